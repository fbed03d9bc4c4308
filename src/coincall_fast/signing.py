"""What the venues sign, and how: pure functions of their arguments.

Rules of Coincall: protocol page, section 1.1 (REST) and 1.2 (WebSocket); seeds 000 and 003,
Signature. The secret is the text as given, and the digest upper-case hex: the "Base64" of the
seeds' prose was an error of theirs. Of Bybit: seed 002, Authentication. Of Gate: seed 004,
Authentication, and the protocol page, section 2.2. Theirs are lower-case hex.
"""

import hashlib
import hmac
import math
import re
from collections.abc import Mapping
from decimal import Decimal
from json.encoder import encode_basestring
from urllib.parse import quote

from .errors import UsageError

__all__ = [
    "Credentials",
    "Hidden",
    "bybit_signature",
    "canonical",
    "gate_signature",
    "json_text",
    "rest_prehash",
    "sign",
    "texts",
    "ws_url",
]

LONGEST = 64  # digits before or behind the point, of any number that is sent


def sign(api_secret: str, prehash: str) -> str:
    """The signature of a prehash: HMAC-SHA256 in 64 upper-case hex digits."""
    return hmac.digest(api_secret.encode(), prehash.encode(), hashlib.sha256).hex().upper()


def rest_prehash(
    method: str,
    path: str,
    params: Mapping[str, object],
    api_key: str,
    ts_ms: int,
    window_ms: int,
) -> str:
    """What a REST request signs, the same whether `params` go into the query, a form or JSON.

    Parameters stand in byte order of their names, with raw values (the URL may encode them, the
    prehash does not); ``None`` is left out at every depth; lists and objects stand as compact JSON
    with their own keys in the order given.
    """
    shown = canonical(params)
    joint = "&" if shown else ""
    return f"{method}{path}?{shown}{joint}uuid={api_key}&ts={ts_ms}&x-req-ts-diff={window_ms}"


def canonical(params: Mapping[str, object]) -> str:
    """The part of a prehash that the parameters decide."""
    return "&".join(f"{name}={text}" for name, text in texts(params).items())


def texts(params: Mapping[str, object]) -> dict[str, str]:
    """Parameters as the texts that are signed, in their order: by the bytes of their names."""
    try:
        # The order of code points is that of their bytes.
        shown = {name: _text(params[name]) for name in sorted(params) if params[name] is not None}
        "".join([*shown, *shown.values()]).encode()
    except UnicodeEncodeError:
        raise UsageError(
            "a parameter has half a character in it, which nothing can be sent as"
        ) from None
    return shown


def _text(value: object) -> str:
    return str(value) if isinstance(value, str) else json_text(value)


def ws_url(
    base_url: str, api_key: str, api_secret: str, ts_ms: int, prehash_key: str = "apiKey"
) -> str:
    """The signed address of a stream; `base_url` ends in the product, as in ``…/options``.

    `prehash_key` is how the signed text spells the key: "apiKey" today, "uuid" in the page of 2023,
    and both were seen to work. The key stands raw in the URL: the venue answers 403 to an encoded
    one. The URL opens the account's streams until the timestamp is stale: it must not be printed.
    """
    if prehash_key not in ("apiKey", "uuid"):
        raise UsageError(f"prehash_key is 'apiKey' or 'uuid', not {prehash_key!r}")
    signature = sign(api_secret, f"GET/users/self/verify?{prehash_key}={api_key}&ts={ts_ms}")
    return f"{base_url}?code=10&uuid={api_key}&ts={ts_ms}&sign={signature}&apiKey={api_key}"


def bybit_signature(api_secret: str, expires_ms: int) -> str:
    """What logs in to Bybit's private streams until `expires_ms`, which is of the future."""
    prehash = f"GET/realtime{expires_ms}"
    return hmac.digest(api_secret.encode(), prehash.encode(), hashlib.sha256).hex()


def gate_signature(api_secret: str, channel: str, event: str, time_s: int) -> str:
    """What one request on Gate's streams is signed with; `time_s` is that of the request itself."""
    prehash = f"channel={channel}&event={event}&time={time_s}"
    return hmac.digest(api_secret.encode(), prehash.encode(), hashlib.sha512).hex()


def json_text(value: object) -> str:
    """Compact JSON as the venue re-serialises it: no blanks, nulls, exponents or \\u escapes.

    A float stands for its shortest repr. Body and prehash use the same text, since a signature is
    over what is sent.
    """
    match value:
        case bool():
            return "true" if value else "false"
        case str():
            return encode_basestring(value)
        case int():
            return str(int(value))
        case float() | Decimal():
            return _plain_decimal(value)
        case Mapping():
            members = (
                f"{_member(key)}:{json_text(item)}"
                for key, item in value.items()
                if item is not None
            )
            return "{" + ",".join(members) + "}"
        case list() | tuple():
            return "[" + ",".join(json_text(item) for item in value if item is not None) + "]"
        case _:
            raise UsageError(f"a parameter cannot be a {type(value).__name__}")


def _member(key: object) -> str:
    if not isinstance(key, str):
        raise UsageError(f"a parameter's key cannot be a {type(key).__name__}")
    return json_text(key)


def _plain_decimal(value: float | Decimal) -> str:
    if not math.isfinite(value):
        raise UsageError(f"a parameter cannot be {value}")
    plain = value if isinstance(value, Decimal) else Decimal(float.__repr__(value))
    if plain and abs(plain.adjusted()) > LONGEST:
        raise UsageError(f"a parameter of more than {LONGEST} digits")
    return format(plain, "f")


class Hidden(dict[str, str]):
    """Headers that sign a request: no traceback or log shows what is in them."""

    def __repr__(self) -> str:
        return f"<{len(self)} headers>"

    __str__ = __repr__

    def __reduce__(self) -> str:
        raise TypeError("signed headers are not pickled")


class Credentials:
    """An API key and its secret, which no repr, pickle or copy of this gives away."""

    __slots__ = ("_secret", "key")

    def __init__(self, key: str, secret: str) -> None:
        # From here on no frame that can fail has them as locals, since tracebacks may show these.
        self.key, self._secret = key, secret
        del key, secret
        if not (_is_plain(self.key) and _is_plain(self._secret)):
            raise UsageError("an API key or secret that is no printable ASCII without blanks")

    def rest_headers(
        self, method: str, path: str, shown: str, ts_ms: int, window_ms: int
    ) -> Hidden:
        """The headers of a REST request whose parameters are `shown`, as `canonical` gives them."""
        joint = "&" if shown else ""
        signature = sign(
            self._secret,
            f"{method}{path}?{shown}{joint}uuid={self.key}&ts={ts_ms}&x-req-ts-diff={window_ms}",
        )
        return Hidden(
            {
                "X-CC-APIKEY": self.key,
                "sign": signature,
                "ts": str(ts_ms),
                "X-REQ-TS-DIFF": str(window_ms),
            }
        )

    def revealed(self) -> Hidden:
        """The pair itself, for another process of ours."""
        return Hidden(api_key=self.key, api_secret=self._secret)

    def hide(self, said: str) -> str:
        """A text of somebody else's, without what signs requests, if it should repeat that."""
        for own in (self.key, self._secret):
            said = said.replace(own, "…").replace(quote(own, safe=""), "…")
        return said

    def hidden(self, body: bytes, headers: Hidden) -> bytes:
        """The answer to a request with these headers, without the key, secret and signature."""
        signature = headers.get("sign", "")
        plain = _unescaped(body)
        for own in (self.key, self._secret, signature, signature.lower()):
            if own and own.encode() in plain:
                body = plain = plain.replace(own.encode(), b"*")
        return body

    def ws_url(self, base_url: str, ts_ms: int, prehash_key: str) -> str:
        """`ws_url`, signed with these."""
        return ws_url(base_url, self.key, self._secret, ts_ms, prehash_key)

    def bybit_signature(self, expires_ms: int) -> str:
        """`bybit_signature`, of these."""
        return bybit_signature(self._secret, expires_ms)

    def gate_signature(self, channel: str, event: str, time_s: int) -> str:
        """`gate_signature`, of these."""
        return gate_signature(self._secret, channel, event, time_s)

    def __repr__(self) -> str:
        return f"<Credentials {self.key[:4]}…>"

    def __reduce__(self) -> str:
        raise TypeError("credentials are not pickled or copied")


# An escape of JSON; of printable ASCII, its last two digits.
_ESCAPE = re.compile(rb"\\(?:u00([2-7][0-9a-fA-F])|.)", re.DOTALL)


def _unescaped(body: bytes) -> bytes:
    """The same JSON, its printable ASCII spelt without escapes where these are not needed."""
    return _ESCAPE.sub(_plain_spelling, body) if b"\\" in body else body


def _plain_spelling(escape: re.Match[bytes]) -> bytes:
    if escape[0] == rb"\/":
        return b"/"
    plain = bytes.fromhex(escape[1].decode()) if escape[1] else b""
    return plain if plain not in (b"", b'"', b"\\") else escape[0]


def _is_plain(text: str) -> bool:
    return text.isascii() and text.isprintable() and " " not in text

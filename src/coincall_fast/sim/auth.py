"""Checks signatures, written from the protocol page, sections 1.1 and 1.2."""

import hashlib
import hmac
from collections.abc import Mapping
from typing import Any, Literal

from . import refusals
from .keys import Key, Keyring
from .params import canonical
from .refusals import Refusal, RefusedError

__all__ = [
    "BOOLEANS",
    "PREHASH_KEYS",
    "Booleans",
    "Prehash",
    "RestVerifier",
    "Verifier",
    "is_percent_encoded",
]

Prehash = Literal["both", "apiKey", "uuid"]
Booleans = Literal["lower", "title", "both"]

# Which parameter names the signed text of a socket may use: section 1.2, variants.
PREHASH_KEYS: dict[Prehash, tuple[str, ...]] = {
    "both": ("apiKey", "uuid"),
    "apiKey": ("apiKey",),
    "uuid": ("uuid",),
}

# How booleans are signed: section 7, question 2.
BOOLEANS: dict[Booleans, tuple[tuple[str, str], ...]] = {
    "lower": (("true", "false"),),
    "title": (("True", "False"),),
    "both": (("true", "false"), ("True", "False")),
}

_FUTURE_MS = 1_000  # a timestamp this far ahead is refused
_WINDOW_MS = 5_000  # one older than this is, too; a socket's address cannot ask for another window
_NUMBER_DIGITS = 18


def is_percent_encoded(raw_query: str) -> bool:
    """Whether the key or the uuid was percent-encoded, which the venue answers with HTTP 403.

    The raw query is what counts: decoded, such an address looks right (section 1.2, quirk 1).
    """
    parameters = _parse(raw_query)
    return any("%" in parameters.get(name, "") for name in ("apiKey", "uuid"))


class Verifier:
    """Checks the signed address of a socket."""

    def __init__(self, keys: Keyring, prehash: Prehash) -> None:
        self._keys = keys
        self._names = PREHASH_KEYS[prehash]

    def check(self, raw_query: str, now_ms: int) -> Refusal | None:
        """What is wrong with the query of a socket's address, or None when it may come in."""
        parameters = _parse(raw_query)
        if parameters.get("code") != "10":
            return refusals.INVALID_ARGS
        key = self.key(raw_query)
        if key is None or is_percent_encoded(raw_query):
            return refusals.INVALID_KEY
        ts = parameters.get("ts", "")
        if refusal := _check_time(ts, _WINDOW_MS, now_ms):
            return refusal
        prehashes = [f"GET/users/self/verify?{name}={key.api_key}&ts={ts}" for name in self._names]
        is_signed = _is_signed(key, prehashes, parameters.get("sign", ""))
        return None if is_signed else refusals.INVALID_SIGNATURE

    def key(self, raw_query: str) -> Key | None:
        """Whose address it says it is."""
        return self._keys.find(_parse(raw_query).get("apiKey", ""))


class RestVerifier:
    """Checks the signed headers of a REST request."""

    def __init__(self, keys: Keyring, booleans: Booleans) -> None:
        self._keys = keys
        self._booleans = BOOLEANS[booleans]

    def check(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str],
        fields: dict[str, Any],
        now_ms: int,
    ) -> Key:
        """Whose request it is, or raises what it is refused with. `headers` know no case."""
        key = self._keys.find(headers.get("X-CC-APIKEY", ""))
        if key is None:
            raise RefusedError(refusals.INVALID_KEY)
        ts = headers.get("ts", "")
        window = headers.get("X-REQ-TS-DIFF") or str(_WINDOW_MS)
        if not _is_number(window):
            raise RefusedError(refusals.INVALID_TIMESTAMP)
        if refusal := _check_time(ts, int(window), now_ms):
            raise RefusedError(refusal)
        prehashes = []
        for true, false in self._booleans:
            text = canonical(fields, true=true, false=false)
            tail = f"uuid={key.api_key}&ts={ts}&x-req-ts-diff={window}"
            prehashes.append(f"{method}{path}?{text}{'&' if text else ''}{tail}")
        if not _is_signed(key, prehashes, headers.get("sign", "")):
            raise RefusedError(refusals.INVALID_SIGNATURE)
        return key


def _check_time(ts: str, window_ms: int, now_ms: int) -> Refusal | None:
    """The venue's rule (section 1.1, clock): ts < now + 1000 and now - ts <= window."""
    if not _is_number(ts):
        return refusals.INVALID_TIMESTAMP
    is_timely = int(ts) < now_ms + _FUTURE_MS and now_ms - int(ts) <= window_ms
    return None if is_timely else refusals.TIMESTAMP_EXPIRED


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= _NUMBER_DIGITS


def _is_signed(key: Key, prehashes: list[str], sign: str) -> bool:
    # Every spelling is compared, so that the time taken does not say which one was near.
    secret = key.api_secret.encode()
    made = (hmac.new(secret, _bytes(text), hashlib.sha256).hexdigest() for text in prehashes)
    matches = [hmac.compare_digest(_bytes(sign), text.upper().encode()) for text in made]
    return any(matches)


def _bytes(text: str) -> bytes:
    # What the other side sent need not be valid text: "\ud800" is JSON, too.
    return text.encode("utf-8", "surrogatepass")


def _parse(raw_query: str) -> dict[str, str]:
    """Names and values as they are on the wire: nothing is decoded, `+` stays `+`."""
    pairs = (part.partition("=") for part in raw_query.split("&"))
    return {name: value for name, _, value in pairs}

"""Checks the signed address of a socket, written from the protocol page, sections 1.1 and 1.2."""

import hashlib
import hmac
from typing import Literal

from . import refusals
from .refusals import Refusal

__all__ = ["PREHASH_KEYS", "Prehash", "Verifier", "is_percent_encoded"]

Prehash = Literal["both", "apiKey", "uuid"]

# Which parameter names the signed text may use: protocol page, section 1.2, variants.
PREHASH_KEYS: dict[Prehash, tuple[str, ...]] = {
    "both": ("apiKey", "uuid"),
    "apiKey": ("apiKey",),
    "uuid": ("uuid",),
}

_FUTURE_MS = 1_000  # a timestamp this far ahead is refused
_WINDOW_MS = 5_000  # one older than this is, too; a socket's address cannot ask for another window
_TS_DIGITS = 18


def is_percent_encoded(raw_query: str) -> bool:
    """Whether the key or the uuid was percent-encoded, which the venue answers with HTTP 403.

    The raw query is what counts: decoded, such an address looks right (section 1.2, quirk 1).
    """
    parameters = _parse(raw_query)
    return any("%" in parameters.get(name, "") for name in ("apiKey", "uuid"))


class Verifier:
    """Knows one key pair. Its repr shows neither half."""

    def __init__(self, api_key: str, api_secret: str, prehash: Prehash) -> None:
        self._api_key = api_key
        self._secret = api_secret.encode()
        self._names = PREHASH_KEYS[prehash]

    def check(self, raw_query: str, now_ms: int) -> Refusal | None:
        """What is wrong with the query of a socket's address, or None when it may come in."""
        parameters = _parse(raw_query)
        if parameters.get("code") != "10":
            return refusals.INVALID_ARGS
        known = _same(parameters.get("apiKey", ""), self._api_key)
        if not known or is_percent_encoded(raw_query):
            return refusals.INVALID_KEY
        ts = parameters.get("ts", "")
        if not (ts.isascii() and ts.isdigit() and len(ts) <= _TS_DIGITS):
            return refusals.INVALID_TIMESTAMP
        # The venue's rule (section 1.1, clock): ts < now + 1000 and now - ts <= window.
        if not (int(ts) < now_ms + _FUTURE_MS and now_ms - int(ts) <= _WINDOW_MS):
            return refusals.TIMESTAMP_EXPIRED
        sign = parameters.get("sign", "")
        # Every spelling is compared, so that the time taken does not say which one was near.
        matches = [_same(sign, self._signature(name, ts)) for name in self._names]
        return None if any(matches) else refusals.INVALID_SIGNATURE

    def _signature(self, name: str, ts: str) -> str:
        prehash = f"GET/users/self/verify?{name}={self._api_key}&ts={ts}"
        return hmac.new(self._secret, prehash.encode(), hashlib.sha256).hexdigest().upper()


def _parse(raw_query: str) -> dict[str, str]:
    """Names and values as they are on the wire: nothing is decoded, `+` stays `+`."""
    pairs = (part.partition("=") for part in raw_query.split("&"))
    return {name: value for name, _, value in pairs}


def _same(given: str, expected: str) -> bool:
    # As bytes: compare_digest takes text only when it is ASCII, and the caller chose this text.
    return hmac.compare_digest(given.encode("utf-8", "surrogateescape"), expected.encode())

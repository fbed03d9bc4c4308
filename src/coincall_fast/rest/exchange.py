"""What every way to the venue has: an address, limits, and words for what went wrong.

A way sends one request and has its answer, before one deadline. Two are made of this: `http`, by
requests, and `direct`, by a socket.
"""

import http.client
import socket
import ssl
from importlib.metadata import version
from typing import Final, NamedTuple, Protocol
from urllib.parse import urlsplit

import urllib3
from urllib3.exceptions import ConnectTimeoutError, NameResolutionError, NewConnectionError

from ..errors import TransportError, UsageError
from ..signing import Hidden
from .request import Answer

__all__ = [
    "AGENT",
    "LARGEST",
    "Place",
    "Timeout",
    "Told",
    "Way",
    "failure_of",
    "is_unsent",
    "seconds",
]

AGENT: Final = f"coincall-fast/{version('coincall-fast')}"
LARGEST = 8 << 20  # bytes of an answer, unpacked; all options of one index have half a megabyte


class Timeout(NamedTuple):
    """Seconds: for a connection to stand, for silence while waiting, and for all of a call.

    Only the look-up of a name, each address that does not answer, and the handshake of TLS may take
    their own time beside the total; then nothing is sent.
    """

    connect_s: float = 3.0
    read_s: float = 5.0
    total_s: float = 10.0


class Way(Protocol):
    """How requests go to one host. Any thread may use it."""

    def send(
        self, method: str, target: str, headers: Hidden, body: bytes | None, end_s: float
    ) -> Answer:
        """Sends it once, and waits for the answer until `time.monotonic()` is `end_s`.

        Raises TransportError, whose `is_sent` tells whether any of the request had left.
        """
        ...

    def warm(self, count: int, target: str, end_s: float) -> None:
        """Has connections ready, as far as it can: up to so many, each of which has had an answer
        to a GET of this. Raises TransportError where there is none."""
        ...

    def close(self) -> None:
        """Closes the connections that are not in use."""
        ...


class Place(NamedTuple):
    """The address of a venue's REST. `name` is how errors call it."""

    base_url: str
    name: str
    host: str
    port: int
    is_secure: bool
    authority: str  # as the header Host has it
    prefix: str  # of every path

    @classmethod
    def parse(cls, base_url: str) -> "Place":
        try:
            parts = urlsplit(base_url)
            port = parts.port
        except ValueError:
            raise UsageError("the address of REST cannot be parsed") from None
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.username:
            raise UsageError("the address of REST begins with http:// or https:// and a host")
        if parts.query or parts.fragment:
            raise UsageError("the address of REST has a query")
        is_secure = parts.scheme == "https"
        return cls(
            base_url.rstrip("/"),
            parts.hostname if port is None else f"{parts.hostname}:{port}",
            parts.hostname,
            port or (443 if is_secure else 80),
            is_secure,
            parts.netloc,
            parts.path.rstrip("/"),
        )


class Told(Exception):
    """What went wrong, in words that may be told."""


def failure_of(error: BaseException, name: str, is_sent: bool) -> BaseException:
    """What an error means, told without the request that it belongs to. To be raised outside of
    any `except`, so that it drags along neither cause, context nor frames."""
    if not isinstance(error, Exception):  # an interrupt, whose frames have seen the headers
        error.__traceback__ = error.__cause__ = error.__context__ = None
        return error
    what = "no answer" if is_sent else "cannot send a request"
    failure = TransportError(f"{name}: {what}: {_reason(error)}")
    failure.is_sent = is_sent
    return failure


def seconds(text: str | None) -> float | None:
    """Of a Retry-After header; the form with a date is not known to be sent."""
    return float(text) if text is not None and text.isdecimal() and len(text) < 7 else None


def is_unsent(error: BaseException) -> bool:
    """Whether an error of urllib3 proves that no connection stood."""
    return any(isinstance(one, NewConnectionError | ConnectTimeoutError) for one in _chain(error))


def _chain(error: BaseException) -> list[BaseException]:
    """An error and those that it came of, the innermost last."""
    seen: list[BaseException] = []
    follow: BaseException | None = error
    while follow is not None and follow not in seen:
        seen.append(follow)
        held = (*follow.args, getattr(follow, "reason", None))
        inside = next((one for one in held if isinstance(one, BaseException)), None)
        follow = inside or follow.__cause__ or follow.__context__
    return seen


def _reason(error: BaseException) -> str:
    """The first thing in a chain of errors that can be told: texts of others have addresses."""
    seen = _chain(error)
    for one in seen:
        if isinstance(one, Told):
            return str(one)
        if isinstance(one, NameResolutionError | socket.gaierror):
            return "its name is not known"
        if isinstance(one, ConnectTimeoutError) and not isinstance(one, NewConnectionError):
            return "connecting took too long"
        if isinstance(one, TimeoutError | urllib3.exceptions.ReadTimeoutError):
            return "it took too long"
        if isinstance(one, ssl.SSLCertVerificationError):
            return f"its certificate is not to be trusted: {one.verify_message}"
        if isinstance(one, urllib3.exceptions.IncompleteRead | http.client.IncompleteRead):
            return "half an answer"
    for one in reversed(seen):
        if isinstance(one, OSError) and one.errno and one.strerror:
            return one.strerror
    return type(seen[-1]).__name__

"""One HTTP request out, one answer in, through requests' adapter and its pool of connections.

What requests leaves open is closed here: a deadline over the whole exchange, since its timeout
begins anew with each byte; a limit on what a peer may make us keep; no redirect followed, which
would carry the key and signature to another host; nothing sent twice; no cookies, no .netrc; and
of an exchange that fails, no request object, address or header in the error.
"""

import contextlib
import functools
import http.client
import io
import os
import socket
import ssl
import threading
import time
from importlib.metadata import version
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

import requests
import urllib3
from requests.adapters import HTTPAdapter
from urllib3.exceptions import ConnectTimeoutError, NameResolutionError, NewConnectionError

from ..errors import TransportError, UsageError
from ..signing import Hidden
from .request import Answer

__all__ = ["Http", "Timeout"]

LARGEST = 8 << 20  # bytes of an answer, unpacked; all options of one index have half a megabyte
POOLED = 16  # connections kept open; more threads than that dial anew
PIECE = 1 << 16


class Timeout(NamedTuple):
    """Seconds: for a connection to stand, for silence while waiting, and for all of a call.

    Only the look-up of a name, each address that does not answer, and the handshake of TLS may take
    their own time beside the total; then nothing is sent.
    """

    connect_s: float = 3.0
    read_s: float = 5.0
    total_s: float = 10.0


class _Exchange(threading.local):
    """The exchange that a thread is in: urllib3 has no way to pass one to its connections."""

    end_s: float = 0.0
    is_sent: bool = False


_exchange = _Exchange()


class Http:
    """The way to one host. Any thread may use it; in a child process after a fork it begins anew.

    Proxies and the bundle of certificates are those that requests would take from the environment,
    looked up once. Certificates are always verified.
    """

    def __init__(self, base_url: str, timeout: Timeout) -> None:
        try:
            parts = urlsplit(base_url)
            port = parts.port
        except ValueError:
            raise UsageError("the address of REST cannot be parsed") from None
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.username:
            raise UsageError("the address of REST begins with http:// or https:// and a host")
        if parts.query or parts.fragment:
            raise UsageError("the address of REST has a query")
        self.base_url: Final = base_url.rstrip("/")
        self.host: Final = parts.hostname if port is None else f"{parts.hostname}:{port}"
        self._timeout = timeout
        with requests.Session() as session:
            found = session.merge_environment_settings(self.base_url, {}, None, None, None)
        self._proxies = Hidden(found["proxies"])  # whose addresses may have passwords
        self._verify = found["verify"] or True
        self._agent = f"coincall-fast/{version('coincall-fast')}"
        self._begin()

    def _begin(self) -> None:
        self._process = os.getpid()
        self._adapter = _Adapter()

    def send(
        self,
        method: str,
        target: str,
        headers: Hidden,
        body: bytes | None,
        end_s: float,
    ) -> Answer:
        """Sends it once, and waits for the answer until `time.monotonic()` is `end_s`.

        Raises TransportError, whose `is_sent` tells whether any of the request had left.
        """
        if http.client.HTTPConnection.debuglevel:
            raise UsageError("http.client's debuglevel prints keys and signatures: turn it off")
        if self._process != os.getpid():
            self._begin()
        _exchange.end_s, _exchange.is_sent = end_s, False
        try:
            return self._exchanged(self._prepared(method, target, headers, body), end_s)
        except BaseException as error:
            # Raised below, out here, so that it drags along neither cause, context nor frames.
            failure = self._failure(error, f"{method} {target.partition('?')[0]}")
        raise failure

    def _prepared(
        self, method: str, target: str, headers: Hidden, body: bytes | None
    ) -> requests.PreparedRequest:
        """Made by hand: requests would encode the query once more, and add what we do not want."""
        request = requests.PreparedRequest()
        request.method = method
        request.url = self.base_url + target
        sent = Hidden(headers)
        sent["User-Agent"] = self._agent
        sent["Accept"] = "application/json"
        sent["Accept-Encoding"] = "gzip"
        if body is not None:
            sent["Content-Length"] = str(len(body))
        request.headers = sent  # type: ignore[assignment]
        request.body = body
        return request

    def _exchanged(self, request: requests.PreparedRequest, end_s: float) -> Answer:
        left_s = max(0.001, end_s - time.monotonic())
        timeout = (min(self._timeout.connect_s, left_s), min(self._timeout.read_s, left_s))
        response = self._adapter.send(
            request, stream=True, timeout=timeout, verify=self._verify, proxies=self._proxies
        )
        try:
            body = bytearray()
            while piece := response.raw.read(PIECE, decode_content=True):
                body += piece
                if len(body) > LARGEST:
                    raise _TooMuch
        except BaseException:
            response.close()  # what is left of it is not for the next request
            raise
        return Answer(
            response.status_code, bytes(body), _seconds(response.headers.get("Retry-After"))
        )

    def _failure(self, error: BaseException, name: str) -> BaseException:
        """What an error means, told without the request that it belongs to."""
        if not isinstance(error, Exception):  # an interrupt, whose frames have seen the headers
            error.__traceback__ = error.__cause__ = error.__context__ = None
            return error
        reason = _reason(error)
        is_sent = _exchange.is_sent
        what = "no answer" if is_sent else "cannot send a request"
        failure = TransportError(f"{self.host} {name}: {what}: {reason}")
        failure.is_sent = is_sent
        return failure

    def close(self) -> None:
        """Closes the connections that are not in use."""
        self._adapter.close()


def _seconds(text: str | None) -> float | None:
    """Of a Retry-After header; the form with a date is not known to be sent."""
    return float(text) if text is not None and text.isdecimal() and len(text) < 7 else None


class _TooMuch(Exception):
    pass


def _reason(error: BaseException) -> str:
    """The first thing in a chain of errors that can be told: texts of others have addresses."""
    seen: list[BaseException] = []
    follow: BaseException | None = error
    while follow is not None and follow not in seen:
        seen.append(follow)
        held = (*follow.args, getattr(follow, "reason", None))
        inside = next((one for one in held if isinstance(one, BaseException)), None)
        follow = inside or follow.__cause__ or follow.__context__
    for one in seen:
        if isinstance(one, _TooMuch):
            return f"more than {LARGEST} bytes"
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


# ---------------------------------------------------------------- urllib3, with a deadline


class _Reads(io.RawIOBase):
    """What comes from a socket, until the exchange's deadline."""

    def __init__(self, opened: socket.socket) -> None:
        self._socket = opened
        self._reads = opened.makefile("rb", buffering=0)
        self._longest_s = opened.gettimeout()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        left_s = _exchange.end_s - time.monotonic()
        if left_s <= 0:
            raise TimeoutError("the deadline has passed")
        with contextlib.suppress(OSError):  # closed behind its last bytes
            self._socket.settimeout(min(left_s, self._longest_s or left_s))
        return self._reads.readinto(buffer)

    def close(self) -> None:
        self._reads.close()
        super().close()


class _Response(http.client.HTTPResponse):
    """Status, headers and body, all before the deadline."""

    def __init__(self, sock: socket.socket, *args: Any, **how: Any) -> None:
        super().__init__(sock, *args, **how)
        self.fp.close()
        self.fp = io.BufferedReader(_Reads(sock))


class _Timed:
    """A connection that sends nothing after the deadline, and knows when it has sent something."""

    response_class = _Response
    sock: socket.socket | None
    _is_dialling = False

    def connect(self) -> None:
        self._is_dialling = True
        try:
            super().connect()  # type: ignore[misc]
        finally:
            self._is_dialling = False

    def send(self, data: Any) -> None:
        if not self._is_dialling:  # else it is for the proxy
            if self.sock is None:
                self.connect()
            if time.monotonic() >= _exchange.end_s:
                raise TimeoutError("the deadline has passed")
            _exchange.is_sent = True
        super().send(data)  # type: ignore[misc]


@functools.cache
def _timed(pool: type[urllib3.HTTPConnectionPool]) -> type[urllib3.HTTPConnectionPool]:
    connection = type("Timed", (_Timed, pool.ConnectionCls), {})
    return type(pool.__name__, (pool,), {"ConnectionCls": connection})


class _Adapter(HTTPAdapter):
    """requests' own, but for the connections, whichever proxy they go through."""

    def __init__(self) -> None:
        super().__init__(pool_connections=1, pool_maxsize=POOLED, max_retries=0)

    def init_poolmanager(self, *args: Any, **how: Any) -> None:
        super().init_poolmanager(*args, **how)
        _with_deadline(self.poolmanager)

    def proxy_manager_for(self, proxy: str, **how: Any) -> Any:
        is_new = proxy not in self.proxy_manager
        manager = super().proxy_manager_for(proxy, **how)
        if is_new:
            _with_deadline(manager)
        return manager


def _with_deadline(manager: urllib3.PoolManager) -> None:
    manager.pool_classes_by_scheme = {
        scheme: _timed(pool) for scheme, pool in manager.pool_classes_by_scheme.items()
    }

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
import threading
import time
from typing import Any, Final

import requests
import urllib3
from requests.adapters import HTTPAdapter
from requests.utils import select_proxy

from ..errors import UsageError
from ..signing import Hidden
from .exchange import AGENT, LARGEST, Place, Timeout, Told, failure_of, is_unsent, seconds
from .request import Answer

__all__ = ["Http"]

POOLED = 16  # connections kept open; more threads than that dial anew
PIECE = 1 << 16


class _Exchange(threading.local):
    """The exchange that a thread is in: urllib3 has no way to pass one to its connections."""

    end_s: float = 0.0
    is_sent: bool = False


_exchange = _Exchange()


class Http:
    """The way to one host. Any thread may use it; in a child process after a fork it begins anew.

    Proxies and the bundle of certificates are those that requests would take from the environment,
    looked up once. Certificates are always verified. `adapter` is one of the user's, of which is
    not known when it sends.
    """

    def __init__(
        self, place: Place, timeout: Timeout, adapter: requests.adapters.BaseAdapter | None = None
    ) -> None:
        self.place: Final = place
        self._timeout = timeout
        with requests.Session() as session:
            found = session.merge_environment_settings(place.base_url, {}, None, None, None)
        self._proxies = Hidden(found["proxies"])  # whose addresses may have passwords
        self.certificates: Final = found["verify"] or True
        self._given = adapter
        self._begin()

    @property
    def has_proxy(self) -> bool:
        """Whether requests go through one."""
        return select_proxy(self.place.base_url, self._proxies) is not None

    def _begin(self) -> None:
        self._process = os.getpid()
        self._adapter = self._given or _Adapter()

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
            if self._given is not None:
                self._given.close()  # the child's copies
            self._begin()
        _exchange.end_s, _exchange.is_sent = end_s, self._given is not None
        try:
            return self._exchanged(self._prepared(method, target, headers, body), end_s)
        except BaseException as error:
            name = f"{self.place.name} {method} {target.partition('?')[0]}"
            failure = failure_of(error, name, _exchange.is_sent and not is_unsent(error))
        raise failure

    def _prepared(
        self, method: str, target: str, headers: Hidden, body: bytes | None
    ) -> requests.PreparedRequest:
        """Made by hand: requests would encode the query once more, and add what we do not want."""
        request = requests.PreparedRequest()
        request.method = method
        request.url = self.place.base_url + target
        sent = Hidden(headers)
        sent["User-Agent"] = AGENT
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
            request, stream=True, timeout=timeout, verify=self.certificates, proxies=self._proxies
        )
        try:
            body = bytearray()
            for piece in response.iter_content(PIECE):
                body += piece
                if len(body) > LARGEST:
                    raise Told(f"more than {LARGEST} bytes")
                if time.monotonic() >= end_s:
                    raise TimeoutError("the deadline has passed")
        except BaseException:
            response.close()  # what is left of it is not for the next request
            raise
        return Answer(
            response.status_code, bytes(body), seconds(response.headers.get("Retry-After"))
        )

    def warm(self, count: int, target: str, end_s: float) -> None:
        """One connection: urllib3 has no way to dial ahead."""
        self.send("GET", target, Hidden(), None, end_s)

    def close(self) -> None:
        """Closes the connections that are not in use."""
        self._adapter.close()


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

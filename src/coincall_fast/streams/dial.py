"""From an address to an upgraded socket, before one deadline.

Names, addresses, TCP, a proxy, TLS and the upgrade: whatever waits, asks one object how long it
still may, which knows the deadline and whether we are still wanted. websocket-client does the
upgrade, on a socket of ours: no redirect, no cookie of another account, nothing from the
environment.
"""

import contextlib
import errno
import json
import os
import queue
import selectors
import socket
import ssl
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit

import websocket
from websocket import _handshake, _http

from ..errors import AuthError, CoincallFastError, TransportError, UsageError
from .tls import TlsSocket

__all__ = ["Address", "Proxy", "dial"]

DIAL_S = 5.0  # over names, every address, TCP, TLS and upgrade
NEXT_S = 0.25  # after which the next address is tried too
GLANCE_S = 0.1  # how long nobody asks whether we are still wanted
MOST_HEAD = 1 << 14  # bytes of an answer to an upgrade

# What the system is told, where it knows of it. Data that nobody acknowledges for ten seconds end
# the connection; without it, Linux goes on for a quarter of an hour.
TCP_OPTIONS = {
    "TCP_NODELAY": 1,
    "TCP_KEEPIDLE": 10,  # seconds
    "TCP_KEEPALIVE": 10,  # the same on macOS
    "TCP_KEEPINTVL": 3,
    "TCP_KEEPCNT": 3,
    "TCP_USER_TIMEOUT": 10_000,  # milliseconds
}

BEGUN = {0, errno.EINPROGRESS, errno.EWOULDBLOCK, getattr(errno, "WSAEWOULDBLOCK", 0)}
Found = list[tuple[Any, Any, int, str, Any]]  # by getaddrinfo
_last_found: dict[tuple[str, int], Found] = {}  # where a connection came about


class Address(NamedTuple):
    """Where a stream is, without anything secret."""

    url: str
    host: str
    port: int
    is_secure: bool

    @classmethod
    def parse(cls, url: str) -> "Address":
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            raise UsageError("the address of a stream cannot be parsed") from None
        if parts.scheme not in ("ws", "wss") or not parts.hostname:
            raise UsageError("the address of a stream begins with ws:// or wss:// and a host")
        is_secure = parts.scheme == "wss"
        return cls(url, parts.hostname, port or (443 if is_secure else 80), is_secure)

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


class Proxy:
    """An HTTP proxy, which is asked for a tunnel: ``http://user:password@host:port``."""

    def __init__(self, url: str) -> None:
        self.host = ""
        self._user = self._password = ""
        with contextlib.suppress(ValueError):  # told below
            parts = urlsplit(url)
            self.port = parts.port or 80
            self._user = unquote(parts.username or "")
            self._password = unquote(parts.password or "")
            self.host = parts.hostname or "" if parts.scheme == "http" else ""
        if not self.host:
            url = parts = ""  # type: ignore[assignment]  # no error may show the password
            raise UsageError("the address of a proxy begins with http:// and a host")

    def tunnel(self, through: "_Patient", address: Address) -> None:
        """Has a connection to the proxy go on to the address."""
        host = f"[{address.host}]" if ":" in address.host else address.host
        auth = (self._user, self._password)
        try:
            _http._tunnel(through, host, address.port, auth)  # type: ignore[arg-type]
        except websocket.WebSocketException as error:
            raise OSError(f"proxy {self}: {error}") from None

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"

    def __repr__(self) -> str:
        return f"<Proxy {self}>"


def dial(
    address: Address,
    sign: Callable[[str], str],
    *,
    proxy: Proxy | None = None,
    is_cut: Callable[[], bool] = lambda: False,
) -> socket.socket | TlsSocket:
    """A non-blocking socket on which WebSocket frames may go both ways.

    `sign` makes the signed URL of the plain one. It is called last, so that the signature is fresh,
    and its value exists only inside the call that needs it. `is_cut` tells, from any thread, that
    nobody wants the connection any more. Raises AuthError or TransportError.
    """
    if websocket.isEnabledForTrace():
        raise UsageError("websocket.enableTrace prints keys and signatures: turn it off")
    with contextlib.ExitStack() as unless_done:
        patience = _Patience(is_cut)
        opened = _connect(address, proxy, patience, unless_done)
        _upgrade(address, sign, _Patient(opened, patience))
        unless_done.pop_all()
    return opened


class _Patience:
    """How long a dial may still wait, for whatever it is."""

    def __init__(self, is_cut: Callable[[], bool]) -> None:
        self._end_s = time.monotonic() + DIAL_S
        self._is_cut = is_cut

    def left_s(self, end_s: float | None = None) -> float:
        """Seconds until the next look, which `end_s` may bring forward. Raises TimeoutError."""
        now_s = time.monotonic()
        if self._is_cut():
            raise TimeoutError("given up")
        if now_s >= self._end_s:
            raise TimeoutError(f"not done within {DIAL_S:g} s")
        ends_s = self._end_s if end_s is None else min(self._end_s, end_s)
        return max(0.0, min(GLANCE_S, ends_s - now_s))


def _connect(
    address: Address,
    proxy: Proxy | None,
    patience: _Patience,
    unless_done: contextlib.ExitStack,
) -> socket.socket | TlsSocket:
    """A connection to the address, through a proxy where there is one, under TLS where asked."""
    try:
        opened = _open(proxy or address, patience)
        unless_done.callback(opened.close)
        if proxy is not None:
            proxy.tunnel(_Patient(opened, patience), address)
        if not address.is_secure:
            return opened
        # Not create_default_context: it writes keys to a file where the environment says so.
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_default_certs()
        secure = TlsSocket(opened, context, address.host)
        _wait(secure, patience, secure.do_handshake)
    except (OSError, UnicodeError) as error:  # UnicodeError: a host that is no IDNA name
        raise TransportError(f"cannot connect to {address}: {error}") from None
    return secure


def _open(place: Address | Proxy, patience: _Patience) -> socket.socket:
    """The first TCP connection that comes about, with its options."""
    found = _resolve(place.host, place.port, patience)
    opened = _first(found, patience)
    _last_found[place.host, place.port] = found
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in TCP_OPTIONS.items():
        if hasattr(socket, name):
            with contextlib.suppress(OSError):  # Python may know of it where the system does not
                opened.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
    return opened


def _resolve(host: str, port: int, patience: _Patience) -> Found:
    """The addresses of a host; where its name server fails or dawdles, those that worked last."""
    answers: queue.SimpleQueue[Found | Exception] = queue.SimpleQueue()

    def ask() -> None:
        try:
            answers.put(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        except (OSError, UnicodeError) as error:
            answers.put(error)

    # In a thread of its own, since nothing else can be done about a name server that is silent.
    asking = threading.Thread(target=ask, name="coincall-fast names", daemon=True)
    asking.start()
    known = _last_found.get((host, port))
    give_up_s = time.monotonic() + DIAL_S / 2
    while True:
        with contextlib.suppress(queue.Empty):
            answer = answers.get(timeout=patience.left_s())
            asking.join()
            break
        if known is not None and time.monotonic() > give_up_s:
            return known
    if not isinstance(answer, Exception):
        return answer
    if known is not None and isinstance(answer, OSError):
        return known
    raise answer


def _first(found: Found, patience: _Patience) -> socket.socket:
    """The first connection that comes about, of attempts at all addresses in order: the next begins
    as soon as one is refused, or has been silent for NEXT_S."""
    waiting = deque(found)
    failure = OSError("the host has no address")
    next_s = 0.0
    with selectors.DefaultSelector() as trying:
        try:
            while waiting or trying.get_map():
                if waiting and (time.monotonic() >= next_s or not trying.get_map()):
                    family, kind, protocol, _, place = waiting.popleft()
                    opened = socket.socket(family, kind, protocol)
                    opened.setblocking(False)
                    trying.register(opened, selectors.EVENT_WRITE, opened)
                    next_s = time.monotonic() + NEXT_S
                    code = opened.connect_ex(place)
                    ready = [] if code in BEGUN else [(opened, code)]
                else:
                    wait_s = patience.left_s(next_s if waiting else None)
                    ready = [
                        (key.data, key.data.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR))
                        for key, _ in trying.select(wait_s)
                    ]
                for opened, code in ready:
                    trying.unregister(opened)
                    if code == 0:
                        return opened
                    opened.close()
                    failure = OSError(code, os.strerror(code))
                    next_s = 0.0
        finally:
            for key in trying.get_map().values():
                key.data.close()
    raise failure


def _wait(
    opened: socket.socket | TlsSocket, patience: _Patience, act: Callable[..., Any], *args: Any
) -> Any:
    """Does what a non-blocking socket may not be ready for, as soon as it is."""
    while True:
        try:
            return act(*args)
        except BlockingIOError:
            with selectors.DefaultSelector() as selector:
                selector.register(opened, selectors.EVENT_READ)
                while not selector.select(patience.left_s()):
                    pass


class _Patient:
    """What websocket-client takes for a blocking socket, with a deadline and an end."""

    def __init__(self, opened: socket.socket | TlsSocket, patience: _Patience) -> None:
        self._opened = opened
        self._patience = patience
        self._left = MOST_HEAD

    def recv(self, size: int) -> bytes:
        """It asks for the head byte by byte, so what comes behind stays in the socket."""
        if size > self._left:
            raise websocket.WebSocketProtocolException("an answer that does not end")
        received: bytes = _wait(self._opened, self._patience, self._opened.recv, size)
        self._left -= len(received)
        return received

    def send(self, data: bytes) -> int:
        """It asks but once, so this is all or nothing."""
        left = data
        while left:
            left = left[_wait(self._opened, self._patience, self._opened.send, left) :]
        return len(data)

    def gettimeout(self) -> float:
        return 0.0  # it is not to wait by itself

    def settimeout(self, seconds: float | None) -> None: ...

    def close(self) -> None: ...


def _upgrade(address: Address, sign: Callable[[str], str], through: _Patient) -> None:
    failure: CoincallFastError | None = None
    _handshake.CookieJar.jar.clear()  # one for the process: another account's cookies
    try:
        upgraded = websocket.WebSocket(enable_multithread=False)
        upgraded.connect(  # type: ignore[no-untyped-call]
            sign(address.url), socket=through, redirect_limit=0, suppress_origin=True
        )
        chosen = {"sec-websocket-extensions", "sec-websocket-protocol"} & {*upgraded.headers}
        if chosen:
            failure = TransportError(f"{address} chose {min(chosen)}, which nobody offered")
    except Exception as error:  # whatever it is, its frames hold the signed URL
        failure = _refusal(error, address)
    if failure is not None:
        raise failure  # out here, so that it drags neither cause nor context along


def _refusal(error: Exception, address: Address) -> CoincallFastError:
    """What a failed upgrade means, told without the request that it answers."""
    if not isinstance(error, websocket.WebSocketBadStatusException):
        return TransportError(f"{address} did not upgrade the connection: {type(error).__name__}")
    code: int | None = None
    reason = f"the upgrade was answered with HTTP {error.status_code}"
    with contextlib.suppress(ValueError, AttributeError, TypeError, KeyError):
        body = json.loads(error.resp_body or b"")
        code, reason = int(body["code"]), f"{reason}: {body['msg']}"
    if error.status_code in (401, 403):
        return AuthError(reason, code)
    return TransportError(f"{address}: {reason}")

"""From a host and a port to a connected socket, before one deadline.

Names, addresses, TCP and TLS: whatever waits, asks one object how long it still may, which knows
the deadline and whether we are still wanted. Sockets that come of it do not block.
"""

import contextlib
import errno
import os
import queue
import selectors
import socket
import ssl
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from .tls import TlsSocket

__all__ = ["Patience", "connect", "secured", "wait"]

NEXT_S = 0.25  # after which the next address is tried too
GLANCE_S = 0.1  # how long nobody asks whether we are still wanted

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


class Patience:
    """How long may still be waited, for whatever it is. `is_cut` tells, from any thread, that
    nobody wants what is waited for any more."""

    def __init__(self, seconds: float, is_cut: Callable[[], bool] = lambda: False) -> None:
        self.seconds = seconds
        self._end_s = time.monotonic() + seconds
        self._is_cut = is_cut

    def left_s(self, end_s: float | None = None) -> float:
        """Seconds until the next look, which `end_s` may bring forward. Raises TimeoutError."""
        now_s = time.monotonic()
        if self._is_cut():
            raise TimeoutError("given up")
        if now_s >= self._end_s:
            raise TimeoutError(f"not done within {self.seconds:g} s")
        ends_s = self._end_s if end_s is None else min(self._end_s, end_s)
        return max(0.0, min(GLANCE_S, ends_s - now_s))


def connect(host: str, port: int, patience: Patience) -> socket.socket:
    """The first TCP connection that comes about, with its options. Raises OSError, or UnicodeError
    for a host that is no IDNA name."""
    found = _resolve(host, port, patience)
    opened = _first(found, patience)
    _last_found[host, port] = found
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in TCP_OPTIONS.items():
        if hasattr(socket, name):
            with contextlib.suppress(OSError):  # Python may know of it where the system does not
                opened.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
    return opened


def _resolve(host: str, port: int, patience: Patience) -> Found:
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
    give_up_s = time.monotonic() + patience.seconds / 2
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


def _first(found: Found, patience: Patience) -> socket.socket:
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


def secured(
    opened: socket.socket, context: ssl.SSLContext, host: str, patience: Patience
) -> TlsSocket:
    """The connection under TLS, its certificate verified as the context says. Raises OSError."""
    secure = TlsSocket(opened, context, host)
    wait(secure, patience, secure.do_handshake)
    return secure


def wait(
    opened: socket.socket | TlsSocket, patience: Patience, act: Callable[..., Any], *args: Any
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

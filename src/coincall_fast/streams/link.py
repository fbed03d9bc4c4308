"""One connection of a stream, and the thread that owns it.

It alone dials, reads, writes and closes, since reading and sending on one TLS connection from two
threads drops healthy connections. What others want of it is put into a queue, and it is woken.
"""

import contextlib
import logging
import random
import selectors
import socket
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from .._book import OrderBook
from ..backoff import Backoff
from ..errors import AuthError, CoincallFastError, TransportError
from ..reading import reading
from .connection import Address, Connection, Proxy
from .fetcher import Fetcher
from .latency import Latency
from .listeners import Listeners
from .session import SECOND_NS, Session

__all__ = ["Link"]

log = logging.getLogger("coincall_fast")

TICK_NS = SECOND_NS // 4
REFUSALS = 4  # by a venue that has never accepted us: each of two spellings twice

Sign = Callable[[str, str], str]  # the signed URL of a plain one, in one of the venue's spellings


class Link(threading.Thread):
    """Keeps a session connected until it is stopped, or refused for good.

    `on_state` is called, on the link's own thread, whenever its `state` is another one.
    """

    def __init__(
        self,
        name: str,
        address: Address,
        proxy: Proxy | None,
        session: Session,
        listeners: Listeners,
        latency: Latency,
        *,
        spellings: tuple[str, ...],
        sign: Sign,
        on_state: Callable[[], None],
        fetcher: Fetcher | None = None,
        is_wanted: bool = True,
    ) -> None:
        super().__init__(name=f"coincall-fast {name}", daemon=True)
        self.track = name
        self.session = session
        self.state = "new"
        self._address = address
        self._proxy = proxy
        self._listeners = listeners
        self._latency = latency
        self._spellings = spellings
        self._sign = sign
        self._on_state = on_state
        self._fetcher = fetcher
        self.is_wanted = is_wanted  # whether anything is to come over it
        self._asks: deque[tuple[str, *tuple[Any, ...]]] = deque()  # calls of the session
        self._stopping = threading.Event()
        self._connection: Connection | None = None
        self._waker: socket.socket | None = None
        self._spelling = 0
        self._refusals: int | None = 0  # None once the venue has accepted us

    # ---------------------------------------------------------------- from any thread

    def ask(self, method: str, *arguments: Any) -> None:
        """Has the session told, on the link's thread, with the time as the last argument."""
        self._asks.append((method, *arguments))
        self._wake()

    def stop(self) -> None:
        self._stopping.set()
        self._wake()
        connection = self._connection
        if connection is not None and self.state != "open":
            connection.cut()  # a dial ends at once

    def wait(self, end_s: float) -> None:
        if self.is_alive() and self is not threading.current_thread():
            self.join(max(0.0, end_s - time.monotonic()))

    def cut(self) -> None:
        """For a thread that may be stuck: its connection goes."""
        connection = self._connection
        if connection is not None and self.is_alive() and self is not threading.current_thread():
            connection.cut()

    def abandon(self) -> None:
        """The end of a link, even where its thread is stuck: its books go."""
        for book in self.session.books():
            book.clear()
        self.state = "failed" if self.state == "failed" else "closed"

    def orphan(self) -> None:
        """What a forked child does with the connection of its parent: forget it."""
        self._stopping.set()
        if self._connection is not None:
            self._connection.close()  # the child's copy: no goodbye, which would be the parent's
        self.state = "closed"

    def _wake(self) -> None:
        waker = self._waker
        if waker is not None:
            with contextlib.suppress(OSError):  # full: awake already; closed: nothing to wake
                waker.send(b"!")

    # ---------------------------------------------------------------- the owning thread

    def run(self) -> None:
        with reading():
            self._run()

    def _run(self) -> None:
        backoff = Backoff()
        self._waker, wakened = socket.socketpair()
        try:
            self._waker.setblocking(False)
            wakened.setblocking(False)
            self._become("connecting")
            while not self._stopping.is_set():
                begin_s = time.monotonic()
                try:
                    self._converse(wakened)
                except AuthError as error:
                    if self._is_final(error):
                        return
                except Exception as error:  # ours to mend, but a stream does not die of it
                    if not isinstance(error, CoincallFastError):
                        log.exception("the %s link failed", self.track)
                    self._listeners.report(error)
                backoff.lasted(time.monotonic() - begin_s)
                if not self._stopping.is_set():
                    self._become("connecting")
                    self._stopping.wait(backoff.next_s(random.random()))
        finally:
            if self.state != "failed":
                self._become("closed")
            self._waker.close()
            wakened.close()

    def _is_final(self, error: AuthError) -> bool:
        """Refused: the other spelling is next, until a venue that never let us in has had both."""
        self._spelling += 1
        self._listeners.report(error)
        if self._refusals is None:
            return False
        self._refusals += 1
        if self._refusals < REFUSALS:
            return False
        self._become("failed")
        return True

    def _converse(self, wakened: socket.socket) -> None:
        """One connection, from its dial until we are stopping or it is lost (TransportError)."""
        connection = self._connection = Connection(self._address, self._proxy)
        if self._stopping.is_set():
            return
        spelling = self._spellings[self._spelling % len(self._spellings)]
        self.session.refusal = None  # what an earlier connection was told is not about this one
        try:
            connection.dial(lambda url: self._sign(url, spelling))
            self._exchange(connection, wakened)
            connection.say_goodbye()
        except TransportError:
            if self._stopping.is_set():
                return
            if self.session.refusal is not None:
                raise AuthError(self.session.refusal) from None
            raise
        finally:
            if self.session.is_accepted:
                self._refusals = None
            self.session.closed(time.monotonic_ns())
            self._tell_events()
            connection.close()

    def _exchange(self, connection: Connection, wakened: socket.socket) -> None:
        session = self.session
        session.opened(time.monotonic_ns())
        self._become("open")
        tick_ns = 0
        watched = selectors.EVENT_READ
        with selectors.DefaultSelector() as selector:
            selector.register(connection.socket, watched)
            selector.register(wakened, selectors.EVENT_READ)
            while not self._stopping.is_set():
                now_ns = time.monotonic_ns()
                while self._asks:
                    method, *arguments = self._asks.popleft()
                    if (item := getattr(session, method)(*arguments, now_ns)) is not None:
                        self._listeners.deliver(item)  # a book that was begun
                if now_ns >= tick_ns:
                    session.tick(now_ns)
                    connection.tick()
                    self._tell_events()
                    tick_ns = now_ns + TICK_NS
                self._fetch()
                for text in session.to_send(now_ns, time.time_ns() // 1_000_000):
                    connection.send(text)
                connection.flush()
                if not connection.has_more:
                    due_ns = session.next_send_ns()
                    wait_ns = TICK_NS if due_ns is None else min(TICK_NS, max(0, due_ns - now_ns))
                    wanted = selectors.EVENT_READ
                    if connection.has_unsent:
                        wanted |= selectors.EVENT_WRITE
                    if wanted != watched:
                        selector.modify(connection.socket, wanted)
                        watched = wanted
                    ready = {
                        key.fileobj: mask for key, mask in selector.select(wait_ns / SECOND_NS)
                    }
                    if wakened in ready:
                        wakened.recv(4096)
                    if not ready.get(connection.socket, 0) & selectors.EVENT_READ:
                        continue
                self._read(connection, tick_ns)

    def _read(self, connection: Connection, until_ns: int) -> None:
        """Takes what has come, for as long as nothing else is due. Each book passes here."""
        session, ledgers = self.session, self._latency.ledgers
        listeners, monotonic_ns = self._listeners, time.monotonic_ns
        deliver = listeners.deliver
        wall_ms = time.time_ns() // 1_000_000
        for frame in connection.read():
            if listeners.is_closed:  # perhaps by a callback of the frame before
                break
            now_ns = monotonic_ns()
            if frame is None:
                session.heard(now_ns)
                continue
            item = session.receive(frame, now_ns, wall_ms)
            if type(item) is OrderBook:
                book_ns, symbol, ts_ms = monotonic_ns(), item.symbol, item.ts_ms
                deliver(item)
                ledgers[symbol].record(
                    connection.came_ns, book_ns, monotonic_ns(), connection.came_wall_ns, ts_ms
                )
            elif item is not None:
                for one in item if isinstance(item, list) else (item,):
                    deliver(one)
            if session.events:
                self._tell_events()
            if now_ns >= until_ns:
                break

    def _fetch(self) -> None:
        """Has the bases fetched that have become wanted: that takes longer than frames may wait."""
        for want in self.session.take_wants():
            assert self._fetcher is not None
            self._fetcher.fetch(want, self)

    def _tell_events(self) -> None:
        for event in self.session.take_events():
            self._listeners.tell(event)

    def _become(self, state: str) -> None:
        self.state = state
        self._on_state()

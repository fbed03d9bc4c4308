"""A stream that stays connected: threads and clocks around `session` and `connection`.

One thread a product owns its connection: it alone dials, reads, writes and closes, since reading
and sending on one TLS connection from two threads drops healthy connections. Whatever the user says
is handed to that thread, and callbacks run on it.
"""

import contextlib
import logging
import os
import random
import selectors
import socket
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Protocol, Self

from . import session
from ._book import BookStore, OrderBook
from .connection import Address, Connection, Proxy
from .errors import AuthError, CoincallFastError, TransportError, UsageError
from .latency import Latency
from .message import Message
from .model import Channel
from .recorder import Recorder
from .session import SECOND_NS, Backoff, Event, Session
from .signing import Credentials

__all__ = ["Stream"]

log = logging.getLogger("coincall_fast")

TICK_NS = SECOND_NS // 4
REFUSALS = 4  # by a venue that has never accepted us: each of two spellings twice
EVENTS = ("gap", "stale", "error", "state")
KEPT_MESSAGES = 10_000  # that an iteration may lag behind

Item = OrderBook | Message


class Dialect(session.Dialect, Protocol):
    """What else a stream asks a venue: who we are, where it is, and what it calls things."""

    products: tuple[str, ...]
    spellings: tuple[str, ...]

    def credentials(self, api_key: str | None, api_secret: str | None) -> Credentials: ...

    def ws_url(self, env: str | None) -> str: ...

    def data_types(self, channel: str, symbol: str | None) -> dict[str, str]: ...

    def names_of(self, dt: int | None) -> tuple[str, ...]: ...

    def is_name(self, name: str) -> bool: ...


class Stream:
    """A signed, self-healing stream of one venue into a store of books.

    Use it as a context manager, or `start` and `close` it. Books of a lost connection are invalid
    until a fresh frame comes; it is dialled again with growing, jittered waits, signed anew, and
    everything wanted is subscribed again. Every method may be called from any thread, callbacks
    included. In a child process after a fork it is closed.
    """

    dialect: Dialect

    def __init__(
        self,
        *products: str,
        api_key: str | None = None,
        api_secret: str | None = None,
        env: str | None = None,
        ws_url: str | None = None,
        store: BookStore | None = None,
        stale_after_ms: int | None = 5_000,
        proxy: str | None = None,
    ) -> None:
        chosen = products or self.dialect.products
        for product in chosen:
            if product not in self.dialect.products:
                raise UsageError(f"{product!r} is none of {', '.join(self.dialect.products)}")
        self.store = BookStore() if store is None else store
        self.latency = Latency()
        self.error: Exception | None = None
        self._credentials = self.dialect.credentials(api_key, api_secret)
        base = (ws_url or self.dialect.ws_url(env)).rstrip("/")
        self._callbacks: dict[str, list[Callable[..., object]]] = {}
        self._feeds: list[_Feed] = []
        self._lock = threading.Lock()  # over the two below
        self._is_closed = False
        self._state_told = "new"
        self._recorder: Recorder | None = None
        stale_after_ns = None if stale_after_ms is None else stale_after_ms * 1_000_000
        self._proxy = None if proxy is None else Proxy(proxy)
        self._links = {
            product: _Link(self, product, Address.parse(f"{base}/{product}"), stale_after_ns)
            for product in dict.fromkeys(chosen)
        }
        _streams.add(self)

    # ---------------------------------------------------------------- life

    def start(self) -> Self:
        """Begins to dial, unless it has begun already; returns at once."""
        if self._is_closed:
            raise UsageError("a closed stream is not started again")
        for link in self._links.values():
            if link.ident is None:
                link.start()
        return self

    def close(self) -> None:
        """Ends it for good: within a second every book is invalid and every thread gone.

        No callback begins and nothing is dialled once this has returned. Idempotent.
        """
        with self._lock:
            self._is_closed = True
        for link in self._links.values():
            link.stop()
        end_s = time.monotonic() + 0.5
        for link in self._links.values():
            link.wait(end_s)
        for link in self._links.values():
            link.abandon()  # one that is stuck: in a callback, in a name server
        if self._recorder is not None:
            self._recorder.end(0.2)
        self._tell_state(self.state)
        for feed in list(self._feeds):
            feed.end()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def state(self) -> str:
        """The least of its connections: "new", "connecting", "open", "failed" or "closed".

        "failed" is final, and `error` says why: the venue refused the keys.
        """
        states = [link.state for link in self._links.values()]
        if "failed" in states:
            return "failed"
        if self._is_closed:
            return "closed"
        return next(state for state in ("closed", "new", "connecting", "open") if state in states)

    def wait_open(self, timeout_s: float) -> None:
        """Blocks until every connection is open; raises what went wrong, or TransportError."""
        end_s = time.monotonic() + timeout_s
        while self.state != "open":
            if self.state in ("failed", "closed") or time.monotonic() > end_s:
                raise self.error or TransportError(f"not connected within {timeout_s:g} s")
            time.sleep(0.005)

    # ---------------------------------------------------------------- what the user wants

    def subscribe(
        self, channel: str, symbols: str | Iterable[str] | None = None, **payload: Any
    ) -> None:
        """Wants a `Channel`, or a channel by the venue's own name, now and after reconnects.

        Each symbol goes to the connection of its product. Raises UsageError for a channel or
        product that this stream does not have.
        """
        self._want("subscribe", channel, symbols, payload)

    def unsubscribe(
        self, channel: str, symbols: str | Iterable[str] | None = None, **payload: Any
    ) -> None:
        """Wants it no longer; without symbols the whole channel. Books concerned are cleared."""
        self._want("unsubscribe", channel, symbols, payload)

    def _want(
        self,
        action: str,
        channel: str,
        symbols: str | Iterable[str] | None,
        payload: dict[str, Any],
    ) -> None:
        if self._is_closed:
            raise UsageError("the stream is closed")
        if "symbol" in payload:
            raise UsageError("symbols are given as the second argument, not as symbol=")
        named: list[str | None] = [symbols] if isinstance(symbols, str) else [*(symbols or ())]
        wanted: dict[tuple[_Link, str], list[str]] = {}
        for symbol in [None] if symbols is None else named:
            data_types = self.dialect.data_types(channel, symbol)
            links = [self._links[product] for product in data_types if product in self._links]
            if not links:
                raise UsageError(
                    f"{symbol or channel} belongs to {' and '.join(data_types)}, "
                    f"and this stream has {' and '.join(self._links)}"
                )
            for link in links:
                held = wanted.setdefault((link, data_types[link.product]), [])
                held += [] if symbol is None else [symbol]
        for (link, data_type), held in wanted.items():
            try:  # what cannot be written is refused here, not on the link's thread
                self.dialect.request(action, data_type, tuple(held), payload)
            except (TypeError, ValueError) as error:
                raise UsageError(f"no payload: {error}") from None
            link.ask(action, data_type, tuple(held), payload)

    def on(self, event: str, callback: Callable[..., object]) -> None:
        """Calls back on the reading thread, which waits for it.

        A channel's callback gets each item: a book is consistent during the call. "gap" gets
        (start_ns, end_ns) by ``time.monotonic_ns()``, "stale" a symbol, "error" the exception,
        "state" the new `state` ("closed" on the thread that closes). A callback that raises is
        reported to "error" and kept. Raises UsageError for an event that never comes.
        """
        if event not in EVENTS and not self.dialect.is_name(event):
            raise UsageError(f"{event!r} is neither a channel nor one of {', '.join(EVENTS)}")
        self._callbacks.setdefault(event, []).append(callback)

    def record(self, path: str | os.PathLike[str]) -> Recorder:
        """Records all that comes from now on, frame by frame as received; `replay` plays it.

        Ends with the stream, or with what is returned: use that as a context manager. A recording
        that is there already is continued. What is wrong with it later, such as a full disk, goes
        to "error" and ends the recording alone. Raises RecordingError where it cannot begin.
        """
        if self._is_closed:
            raise UsageError("the stream is closed")
        if self._recorder is not None and not self._recorder.has_ended:
            raise UsageError("the stream is being recorded already")
        self._recorder = Recorder(path, {"products": [*self._links]}, self._recorder_failed)
        for link in self._links.values():
            link.ask("record", self._recorder.track(link.product))
        return self._recorder

    def _recorder_failed(self, error: CoincallFastError) -> None:
        """Told on the reading thread of an open connection; while there is none, logged."""
        links = sorted(self._links.values(), key=lambda link: link.state != "open")
        links[0].ask("report", error)
        if links[0].state != "open":
            log.error("%s", error)

    def __iter__(self) -> Iterator[Item]:
        """Every message, and each book that has changed since it was last given, until closed.

        A book comes once however many frames it missed, and once more when it became invalid;
        messages are never dropped: a consumer that lags 10 000 of them behind gets TransportError.
        Begins with what comes after the first step; each iteration gets everything.
        """
        feed = _Feed()
        self._feeds.append(feed)
        try:
            if self.state in ("failed", "closed"):
                feed.end()
            while (item := feed.take()) is not None:
                yield item
        finally:
            self._feeds.remove(feed)
        if self.state == "failed" and self.error is not None:
            raise self.error

    def __repr__(self) -> str:
        return f"<Stream {' '.join(self._links)}: {self.state}, {len(self.store)} books>"

    # ---------------------------------------------------------------- called by the links

    def _deliver(self, item: Item) -> None:
        if isinstance(item, OrderBook):
            names: tuple[str, ...] = (Channel.BOOK, self.dialect.book_type)
        else:
            names = self.dialect.names_of(item.dt)
        for name in names:
            self._call(name, item)
        for feed in self._feeds:
            feed.put(item)

    def _report(self, error: Exception) -> None:
        self.error = error
        if not self._callbacks.get("error"):
            log.warning("%s", error)
        self._call("error", error)

    def _tell(self, event: Event) -> None:
        if event.name == "error":
            self._report(*event.arguments)
        elif event.name == "cleared":
            for feed in self._feeds:
                feed.put(*event.arguments)
        else:
            self._call(event.name, *event.arguments)

    def _tell_state(self, final: str | None = None) -> None:
        with self._lock:
            if self._state_told == "closed" or (self._is_closed and final is None):
                return
            state = final or self.state
            is_news, self._state_told = state != self._state_told, state
        if is_news:
            self._call("state", state, even_closed=True)
        if state == "failed":
            for feed in list(self._feeds):
                feed.end()

    def _call(self, name: str, *arguments: Any, even_closed: bool = False) -> None:
        for callback in tuple(self._callbacks.get(name, ())):
            if self._is_closed and not even_closed:
                return
            try:
                callback(*arguments)
            except BaseException as error:  # SystemExit too: this is not the user's thread
                log.exception("a callback for %s raised", name)
                if name != "error" and isinstance(error, Exception):
                    self._call("error", error)


class _Feed:
    """What one iteration has not been given yet, in order: each changed book once."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._items: deque[Item] = deque()
        self._books: set[int] = set()  # of those that wait already
        self._has_ended = False

    def end(self) -> None:
        with self._changed:
            self._has_ended = True
            self._changed.notify_all()

    def put(self, item: Item) -> None:
        with self._changed:
            if isinstance(item, OrderBook):
                if id(item) in self._books:
                    return
                self._books.add(id(item))
            if len(self._items) - len(self._books) <= KEPT_MESSAGES:  # one more tells the consumer
                self._items.append(item)
            self._changed.notify()

    def take(self) -> Item | None:
        """Waits for the next; None when it has ended and nothing is left."""
        with self._changed:
            self._changed.wait_for(lambda: self._items or self._has_ended)
            behind = len(self._items) - len(self._books)
            if behind > KEPT_MESSAGES:
                raise TransportError(f"this consumer is more than {KEPT_MESSAGES} messages behind")
            if not self._items:
                return None
            item = self._items.popleft()
            self._books.discard(id(item))
            return item


class _Link(threading.Thread):
    """One product's connection, and the thread that owns it."""

    def __init__(
        self, stream: Stream, product: str, address: Address, stale_after_ns: int | None
    ) -> None:
        super().__init__(name=f"coincall-fast {product}", daemon=True)
        self.product = product
        self.state = "new"
        self._stream = stream
        self._address = address
        self._session = Session(
            stream.dialect, product, stream.store, stale_after_ns=stale_after_ns
        )
        self._asks: deque[tuple[str, *tuple[Any, ...]]] = deque()  # calls of the session
        self._stopping = threading.Event()
        self._connection: Connection | None = None
        self._waker: socket.socket | None = None
        self._spelling = 0
        self._refusals: int | None = 0  # None once the venue has accepted us

    # ---------------------------------------------------------------- from any thread

    def ask(self, method: str, *arguments: Any) -> None:
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

    def abandon(self) -> None:
        """The end of a link whose thread may be stuck: its books go, and its connection."""
        connection = self._connection
        if self.is_alive() and self is not threading.current_thread():
            if connection is not None:
                connection.cut()
            self.join(0.3)
        for book in self._session.books():
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
                        log.exception("the %s link failed", self.product)
                    self._stream._report(error)
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
        self._stream._report(error)
        if self._refusals is None:
            return False
        self._refusals += 1
        if self._refusals < REFUSALS:
            return False
        self._become("failed")
        return True

    def _converse(self, wakened: socket.socket) -> None:
        """One connection, from its dial until we are stopping or it is lost (TransportError)."""
        connection = self._connection = Connection(self._address, self._stream._proxy)
        if self._stopping.is_set():
            return
        spellings = self._stream.dialect.spellings
        spelling = spellings[self._spelling % len(spellings)]
        try:
            connection.dial(
                lambda url: self._stream._credentials.ws_url(
                    url, time.time_ns() // 1_000_000, spelling
                )
            )
            self._exchange(connection, wakened)
            connection.say_goodbye()
        except TransportError:
            if self._stopping.is_set():
                return
            if self._session.refusal is not None:
                raise AuthError(self._session.refusal) from None
            raise
        finally:
            self._session.closed(time.monotonic_ns())
            self._tell_events()
            connection.close()

    def _exchange(self, connection: Connection, wakened: socket.socket) -> None:
        session = self._session
        session.opened(time.monotonic_ns())
        self._become("open")
        tick_ns = 0
        with selectors.DefaultSelector() as selector:
            selector.register(connection.socket, selectors.EVENT_READ)
            selector.register(wakened, selectors.EVENT_READ)
            while not self._stopping.is_set():
                now_ns = time.monotonic_ns()
                while self._asks:
                    method, *arguments = self._asks.popleft()
                    getattr(session, method)(*arguments, now_ns)
                if now_ns >= tick_ns:
                    session.tick(now_ns)
                    connection.tick()
                    self._tell_events()
                    tick_ns = now_ns + TICK_NS
                for text in session.to_send(now_ns):
                    connection.send(text)
                connection.flush()
                if not connection.has_more:
                    due_ns = session.next_send_ns()
                    wait_ns = TICK_NS if due_ns is None else min(TICK_NS, max(0, due_ns - now_ns))
                    writing = selectors.EVENT_WRITE if connection.has_unsent else 0
                    selector.modify(connection.socket, selectors.EVENT_READ | writing)
                    ready = {
                        key.fileobj: mask for key, mask in selector.select(wait_ns / SECOND_NS)
                    }
                    if wakened in ready:
                        wakened.recv(4096)
                    if not ready.get(connection.socket, 0) & selectors.EVENT_READ:
                        continue
                for frame in connection.read():
                    recv_ns = time.monotonic_ns()
                    self._take(frame, recv_ns)
                    if recv_ns >= tick_ns or self._stopping.is_set():
                        break

    def _take(self, frame: memoryview | None, recv_ns: int) -> None:
        if frame is None:
            self._session.heard(recv_ns)
            return
        wall_ns = time.time_ns()
        item = self._session.receive(frame, recv_ns, wall_ns // 1_000_000)
        if isinstance(item, OrderBook):
            book_ns = time.monotonic_ns()
            ts_ms = item.ts_ms
            self._stream._deliver(item)
            ledger = self._stream.latency.of(item.symbol or "")
            ledger.record(recv_ns, book_ns, time.monotonic_ns(), wall_ns, ts_ms)
        elif item is not None:
            for one in item if isinstance(item, list) else (item,):
                self._stream._deliver(one)
        if self._session.is_accepted:
            self._refusals = None
        self._tell_events()

    def _tell_events(self) -> None:
        for event in self._session.take_events():
            self._stream._tell(event)

    def _become(self, state: str) -> None:
        self.state = state
        self._stream._tell_state()


_streams: "weakref.WeakSet[Stream]" = weakref.WeakSet()


def _abandon_in_child() -> None:
    """After a fork: the threads and connections are the parent's alone."""
    for stream in list(_streams):
        stream._is_closed = True
        for link in stream._links.values():
            link.orphan()
        for book in stream.store.values():
            book.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_abandon_in_child)

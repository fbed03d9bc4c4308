"""Sockets, threads and clocks around `session`: a stream that stays connected.

One thread a product owns its socket: it alone dials, reads, writes and closes it, since reading and
sending on one TLS connection from two threads drops healthy connections. Whatever the user says is
handed to that thread, and callbacks run on it. websocket-client does the upgrade and the framing,
never its own per-frame UTF-8 check, which costs more than everything else together: the core
refuses what is not UTF-8.
"""

import contextlib
import json
import logging
import random
import selectors
import socket
import ssl
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Protocol, Self
from urllib.parse import urlsplit

import websocket

from . import session
from ._book import BookStore, OrderBook
from .errors import AuthError, CoincallFastError, TransportError, UsageError
from .latency import Latency
from .model import Channel, Message, UnknownMessage
from .session import SECOND_NS, Backoff, Event, Session
from .signing import Credentials

__all__ = ["Stream"]

log = logging.getLogger("coincall_fast")

DIAL_S = 5.0  # each of: connecting, TLS, upgrade
FRAME_S = 2.0  # a frame that has begun must end within
TICK_NS = SECOND_NS // 4
REFUSALS = 4  # by a venue that has never accepted us: each spelling twice
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


class Stream:
    """A signed, self-healing stream of one venue into a store of books.

    Use it as a context manager, or `start` and `close` it. Books of a lost connection are invalid
    until a fresh frame comes; it is dialled again with growing, jittered waits, signed anew, and
    everything wanted is subscribed again. Every method may be called from any thread, callbacks
    included.
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
        stale_after_ms: int | None = None,
    ) -> None:
        chosen = products or self.dialect.products
        for product in chosen:
            if product not in self.dialect.products:
                raise UsageError(f"{product!r} is none of {', '.join(self.dialect.products)}")
        self.store = BookStore() if store is None else store
        self.latency = Latency()
        self.error: CoincallFastError | None = None
        self._credentials = self.dialect.credentials(api_key, api_secret)
        self._base_url = (ws_url or self.dialect.ws_url(env)).rstrip("/")
        self._callbacks: dict[str, list[Callable[..., object]]] = {}
        self._feed = _Feed()
        stale_after_ns = None if stale_after_ms is None else stale_after_ms * 1_000_000
        self._links = {
            product: _Link(self, product, stale_after_ns) for product in dict.fromkeys(chosen)
        }
        self._state_told = "new"
        self._is_silent = False

    # ---------------------------------------------------------------- life

    def start(self) -> Self:
        """Begins to dial, unless it has begun already; returns at once."""
        if self.state == "closed":
            raise UsageError("a closed stream is not started again")
        for link in self._links.values():
            if link.ident is None:
                link.start()
        return self

    def close(self) -> None:
        """Ends it for good: no callback and no dial once this has returned. Idempotent."""
        for link in self._links.values():
            link.stop()
        for link in self._links.values():
            if link.is_alive() and link is not threading.current_thread():
                link.join(timeout=1.0)
        self._tell_state()
        self._is_silent = True
        self._feed.end()

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
        return next(
            state for state in ("failed", "closed", "new", "connecting", "open") if state in states
        )

    def wait_open(self, timeout_s: float) -> None:
        """Blocks until every connection is open; raises what went wrong, or TransportError."""
        end_s = time.monotonic() + timeout_s
        while self.state != "open":
            if self.state in ("failed", "closed") or time.monotonic() > end_s:
                raise self.error or TransportError(f"not connected within {timeout_s:g} s")
            time.sleep(0.005)

    # ---------------------------------------------------------------- what the user wants

    def subscribe(self, channel: str, symbols: str | Iterable[str] = (), **payload: Any) -> None:
        """Wants a `Channel`, or a channel by the venue's own name, now and after reconnects.

        Each symbol goes to the connection of its product. Raises UsageError for a channel or
        product that this stream does not have.
        """
        self._want("subscribe", channel, symbols, payload)

    def unsubscribe(self, channel: str, symbols: str | Iterable[str] = (), **payload: Any) -> None:
        """Wants it no longer; without symbols the whole channel. Books concerned are cleared."""
        self._want("unsubscribe", channel, symbols, payload)

    def _want(
        self, action: str, channel: str, symbols: str | Iterable[str], payload: dict[str, Any]
    ) -> None:
        wanted: dict[tuple[_Link, str], list[str]] = {}
        named: list[str | None] = [symbols] if isinstance(symbols, str) else [*symbols]
        for symbol in named or [None]:
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
            link.ask(action, data_type, tuple(held), payload)

    def on(self, event: str, callback: Callable[..., object]) -> None:
        """Calls back on the reading thread, which waits for it.

        A channel's callback gets each item: a book is consistent during the call. "gap" gets
        (start_ns, end_ns) by ``time.monotonic_ns()``, "stale" a symbol, "error" the exception,
        "state" the new `state`. A callback that raises is reported to "error" and kept.
        """
        self._callbacks.setdefault(event, []).append(callback)

    def __iter__(self) -> Iterator[Item]:
        """Every message, and each book that has changed since it was last given, until closed.

        A book comes once however many frames it missed; messages are never dropped: a consumer
        that lags 10 000 of them behind gets TransportError. Begins with what comes after the call.
        """
        self._feed.begin()
        while (item := self._feed.take(None)) is not None:
            yield item
        if self.state == "failed" and self.error is not None:
            raise self.error

    def __repr__(self) -> str:
        return f"<Stream {' '.join(self._links)}: {self.state}, {len(self.store)} books>"

    # ---------------------------------------------------------------- called by the links

    def _deliver(self, item: Item) -> None:
        if isinstance(item, OrderBook):
            names: tuple[str, ...] = (Channel.BOOK, "orderBook")
        else:
            names = self.dialect.names_of(item.dt) if isinstance(item, UnknownMessage) else ()
        for name in names:
            self._call(name, item)
        self._feed.put(item)

    def _tell(self, event: Event) -> None:
        self._call(event.name, *event.arguments)

    def _tell_state(self) -> None:
        state = self.state
        if state != self._state_told:
            self._state_told = state
            self._call("state", state)
        if state == "failed":
            self._feed.end()

    def _call(self, name: str, *arguments: Any) -> None:
        for callback in () if self._is_silent else self._callbacks.get(name, ()):
            try:
                callback(*arguments)
            except Exception as error:
                log.exception("a callback for %s raised", name)
                if name != "error":
                    self._call("error", error)


class _Feed:
    """What an iteration has not been given yet: each changed book once, every message."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._books: dict[int, OrderBook] = {}
        self._messages: deque[Message] = deque()
        self._wanted = False
        self._ended = False

    def begin(self) -> None:
        self._wanted = True

    def end(self) -> None:
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def put(self, item: Item) -> None:
        if not self._wanted:
            return
        with self._changed:
            if isinstance(item, OrderBook):
                self._books[id(item)] = item
            else:
                self._messages.append(item)
            self._changed.notify()

    def take(self, timeout_s: float | None) -> Item | None:
        with self._changed:
            self._changed.wait_for(lambda: self._books or self._messages or self._ended, timeout_s)
            if len(self._messages) > KEPT_MESSAGES:
                raise TransportError(f"this consumer is {len(self._messages)} messages behind")
            if self._messages:
                return self._messages.popleft()
            if self._books:
                return self._books.pop(next(iter(self._books)))
            return None


class _Link(threading.Thread):
    """One product's connection, and the thread that owns it."""

    def __init__(self, stream: Stream, product: str, stale_after_ns: int | None) -> None:
        super().__init__(name=f"coincall-fast {product}", daemon=True)
        self.product = product
        self.state = "new"
        self._stream = stream
        self._session = Session(
            stream.dialect, product, stream.store, stale_after_ns=stale_after_ns
        )
        self._asks: deque[tuple[str, str, tuple[str, ...], dict[str, Any]]] = deque()
        self._stopping = threading.Event()
        self._waker, self._wakened = socket.socketpair()
        self._wakened.setblocking(False)
        self._spelling = 0
        self._refusals: int | None = 0  # None once the venue has accepted us

    # ---------------------------------------------------------------- from any thread

    def ask(self, *request: Any) -> None:
        self._asks.append(request)
        self._wake()

    def stop(self) -> None:
        self._stopping.set()
        self._wake()
        if self.ident is None:
            self._end()

    def _wake(self) -> None:
        with contextlib.suppress(OSError):  # closed already: nothing to wake
            self._waker.send(b"!")

    # ---------------------------------------------------------------- the owning thread

    def run(self) -> None:
        backoff = Backoff()
        try:
            while not self._stopping.is_set():
                self._become("connecting")
                connected_s = None
                try:
                    connection = self._dial()
                    connected_s = time.monotonic()
                    try:
                        self._converse(connection)
                    finally:
                        self._session.closed(time.monotonic_ns())
                        connection.shutdown()  # type: ignore[no-untyped-call]
                except AuthError as error:
                    if self._is_final(error):
                        return
                except CoincallFastError as error:
                    self._report(error)
                if connected_s is not None:
                    backoff.lasted(time.monotonic() - connected_s)
                if not self._stopping.is_set():
                    self._become("connecting")
                    self._stopping.wait(backoff.next_s(random.random()))
        finally:
            self._end()

    def _is_final(self, error: AuthError) -> bool:
        """Refused: the other spelling is next, until a venue that never let us in has had both."""
        self._spelling += 1
        self._report(error)
        if self._refusals is None:
            return False
        self._refusals += 1
        if self._refusals < REFUSALS:
            return False
        self._stream.error = error
        self._become("failed")
        return True

    def _dial(self) -> websocket.WebSocket:
        """Connects, wraps, signs, upgrades. The URL exists only inside the call that needs it."""
        address = urlsplit(f"{self._stream._base_url}/{self.product}")
        secure = address.scheme == "wss"
        place = f"{address.hostname}:{address.port or (443 if secure else 80)}"
        failure: CoincallFastError | None = None
        connection = websocket.WebSocket(
            skip_utf8_validation=True, enable_multithread=False, fire_cont_frame=False
        )
        try:
            plain = socket.create_connection(
                (address.hostname or "", address.port or (443 if secure else 80)), DIAL_S
            )
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if secure:
                plain = ssl.create_default_context().wrap_socket(
                    plain, server_hostname=address.hostname
                )
        except OSError as error:
            raise TransportError(f"cannot connect to {place}: {error}") from None
        try:
            connection.connect(  # type: ignore[no-untyped-call]
                self._stream._credentials.ws_url(
                    address.geturl(),
                    time.time_ns() // 1_000_000,
                    self._stream.dialect.spellings[
                        self._spelling % len(self._stream.dialect.spellings)
                    ],
                ),
                socket=plain,
                redirect_limit=0,
                suppress_origin=True,
            )
        except Exception as error:  # whatever it is, its frames hold the signed URL
            plain.close()
            failure = _refusal(error, place)
        if failure is not None:
            raise failure  # out here, so that it drags neither cause nor context along
        connection.settimeout(FRAME_S)
        return connection

    def _converse(self, connection: websocket.WebSocket) -> None:
        """Reads and writes until we are stopping, or the connection is lost (TransportError)."""
        try:
            self._exchange(connection)
        except TransportError:
            if self._session.refusal is not None:
                raise AuthError(self._session.refusal) from None
            raise
        with contextlib.suppress(OSError, websocket.WebSocketException):
            connection.send_close()

    def _exchange(self, connection: websocket.WebSocket) -> None:
        sock, session = connection.sock, self._session
        assert sock is not None
        session.opened(time.monotonic_ns())
        if not self._stopping.is_set():
            self._become("open")
        tick_ns = 0
        with selectors.DefaultSelector() as selector:
            selector.register(sock, selectors.EVENT_READ)
            selector.register(self._wakened, selectors.EVENT_READ)
            while not self._stopping.is_set():
                now_ns = time.monotonic_ns()
                while self._asks:
                    action, data_type, symbols, payload = self._asks.popleft()
                    getattr(session, action)(data_type, symbols, payload)
                if now_ns >= tick_ns:
                    session.tick(now_ns)
                    self._tell_events()
                    tick_ns = now_ns + TICK_NS
                for text in session.to_send(now_ns):
                    _guarded(connection.send, text)
                if not (isinstance(sock, ssl.SSLSocket) and sock.pending()):
                    due_ns = session.next_send_ns()
                    wait_ns = TICK_NS if due_ns is None else min(TICK_NS, max(0, due_ns - now_ns))
                    ready = selector.select(wait_ns / SECOND_NS)
                    if any(key.fileobj is self._wakened for key, _ in ready):
                        self._wakened.recv(4096)
                    if not any(key.fileobj is sock for key, _ in ready):
                        continue
                self._read(connection)

    def _read(self, connection: websocket.WebSocket) -> None:
        opcode, frame = _guarded(connection.recv_data)
        recv_ns = time.monotonic_ns()
        if opcode == websocket.ABNF.OPCODE_CLOSE:
            raise TransportError(f"{self.product}: the venue closed the connection")
        item = self._session.receive(frame, recv_ns, time.time_ns() // 1_000_000)
        if isinstance(item, OrderBook):
            self._stream.latency.record(item.symbol or "", time.monotonic_ns() - recv_ns)
        if self._session.is_accepted:
            self._refusals = None
        if item is not None:
            self._stream._deliver(item)
        self._tell_events()

    def _tell_events(self) -> None:
        for event in self._session.take_events():
            if event.name == "error":
                self._stream.error = event.arguments[0]
            self._stream._tell(event)

    def _report(self, error: CoincallFastError) -> None:
        self._stream.error = error
        self._stream._tell(Event("error", (error,)))

    def _become(self, state: str) -> None:
        self.state = state
        self._stream._tell_state()

    def _end(self) -> None:
        if self.state != "failed":
            self.state = "closed"
        self._waker.close()
        self._wakened.close()


def _guarded(call: Callable[..., Any], *arguments: Any) -> Any:
    """A call on the connection, whose every failure means that the connection is lost."""
    try:
        return call(*arguments)
    except (OSError, websocket.WebSocketException) as error:
        reason = str(error) or type(error).__name__
    raise TransportError(f"connection lost: {reason}")


def _refusal(error: Exception, place: str) -> CoincallFastError:
    """What a failed upgrade means, told without the request that it answers."""
    if not isinstance(error, websocket.WebSocketBadStatusException):
        return TransportError(f"{place} did not upgrade the connection: {type(error).__name__}")
    code: int | None = None
    reason = f"the upgrade was answered with HTTP {error.status_code}"
    with contextlib.suppress(ValueError, AttributeError, TypeError):
        body = json.loads(error.resp_body or b"")
        code, reason = int(body["code"]), f"{reason}: {body['msg']}"
    if error.status_code in (401, 403):
        return AuthError(reason, code)
    return TransportError(f"{place}: {reason}")

"""One connection to a venue, as a state machine: bytes and a time in, items, events and text out.

Nothing here knows a socket, a thread or a clock, so everything that can go wrong on a connection is
tested by passing times. How a venue spells its requests is a `Dialect`.

Truth about freshness is kept here (contract, section 6): a book whose connection is lost, whose
frame was refused, or whose time is a minute ahead of ours is cleared, so that an old price cannot
be read by forgetting to look.
"""

from collections import deque
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple, Protocol

from ._book import BookStore, OrderBook
from .errors import CoincallFastError, DecodeError, TransportError, VenueError
from .model import Ack, Heartbeat, Message

__all__ = ["Backoff", "Dialect", "Event", "Session"]

SECOND_NS = 1_000_000_000
REQUESTS_PER_S = 100  # protocol page, section 2.9: per connection, heartbeats included
FUTURE_MS = 60_000


class Dialect(Protocol):
    """How one venue spells what a session says. A data type is the venue's name of a channel."""

    heartbeat: str

    def symbols_per_request(self, product: str, data_type: str) -> int: ...

    def request(
        self, action: str, data_type: str, symbols: tuple[str, ...], payload: Mapping[str, Any]
    ) -> str:
        """The text of a request; `action` is "subscribe" or "unsubscribe"."""


class Event(NamedTuple):
    """Something that happened other than an item: the arguments are those of the callback."""

    name: str  # "gap" (start_ns, end_ns), "stale" (symbol), "error" (exception)
    arguments: tuple[Any, ...]


class _Topic(NamedTuple):
    data_type: str
    payload: tuple[tuple[str, Any], ...]


class Session:
    """What one connection is subscribed to, what it owes the venue, and what the venue owes it.

    Every ``now_ns`` is ``time.monotonic_ns()``. Silence for `quiet_ns` brings a heartbeat, silence
    for as long again the end (seed 000: less than 30 s each). Not thread safe: one owner.
    """

    def __init__(
        self,
        dialect: Dialect,
        product: str,
        store: BookStore,
        *,
        quiet_ns: int = 5 * SECOND_NS,
        stale_after_ns: int | None = None,
    ) -> None:
        self.store = store
        self.product = product
        self._dialect = dialect
        self._quiet_ns = quiet_ns
        self._stale_after_ns = stale_after_ns
        self._topics: dict[_Topic, dict[str, None]] = {}
        self._fed: dict[str, OrderBook] = {}  # the books of this connection, by their own symbols
        self._dropped: set[str] = set()
        self._outbox: deque[str] = deque()
        self._sent_ns: deque[int] = deque(maxlen=REQUESTS_PER_S)
        self._events: list[Event] = []
        self._stale: set[str] = set()
        self._is_open = False
        self._heard_ns = 0
        self._asked_ns: int | None = None  # when a heartbeat was sent that nothing has followed
        self._gap_start_ns: int | None = None
        self.is_accepted = False  # whether this connection has brought anything but refusals
        self.refusal: str | None = None  # what the venue said instead, before it closed

    # ---------------------------------------------------------------- what the user wants

    def subscribe(
        self, data_type: str, symbols: tuple[str, ...], payload: Mapping[str, Any]
    ) -> None:
        """Wants a channel from now on and after every reconnect; what is held already is kept."""
        topic = _Topic(data_type, tuple(payload.items()))
        is_new_topic = topic not in self._topics
        held = self._topics.setdefault(topic, {})
        new = tuple(symbol for symbol in dict.fromkeys(symbols) if symbol not in held)
        held.update(dict.fromkeys(new))
        self._dropped.difference_update(new)
        if self._is_open and (new or is_new_topic):
            self._outbox.extend(self._requests("subscribe", topic, new))

    def unsubscribe(
        self, data_type: str, symbols: tuple[str, ...], payload: Mapping[str, Any]
    ) -> None:
        """Wants it no longer; without symbols the whole channel. Books concerned are cleared."""
        topic = _Topic(data_type, tuple(payload.items()))
        held = self._topics.get(topic)
        if held is None:
            return
        gone = tuple(symbol for symbol in (symbols or tuple(held)) if held.pop(symbol, 0) is None)
        if not held:
            del self._topics[topic]
        for symbol in gone:
            self._dropped.add(symbol)
            self._fed.pop(symbol, None)
            self._clear(symbol)
        if self._is_open and (gone or not symbols):
            self._outbox.extend(self._requests("unsubscribe", topic, gone))

    def _requests(self, action: str, topic: _Topic, symbols: tuple[str, ...]) -> Iterator[str]:
        step = self._dialect.symbols_per_request(self.product, topic.data_type)
        for start in range(0, max(len(symbols), 1), step):
            yield self._dialect.request(
                action, topic.data_type, symbols[start : start + step], dict(topic.payload)
            )

    # ---------------------------------------------------------------- what the connection does

    def opened(self, now_ns: int) -> None:
        """The connection stands: everything that is wanted is asked for."""
        self._is_open = True
        self._heard_ns = now_ns
        self._asked_ns = None
        self._sent_ns.clear()
        self.is_accepted = False
        self.refusal = None
        for topic, symbols in self._topics.items():
            self._outbox.extend(self._requests("subscribe", topic, tuple(symbols)))

    def closed(self, now_ns: int) -> None:
        """The connection is gone: every book of it is invalid until a fresh frame."""
        if self._is_open and self._gap_start_ns is None:
            self._gap_start_ns = self._heard_ns or now_ns
        self._is_open = False
        self._outbox.clear()
        self._stale.clear()
        for book in self._fed.values():
            book.clear()

    def receive(self, frame: bytes, now_ns: int, wall_ms: int) -> OrderBook | Message | None:
        """One whole frame; returns the book it updated, or the message it is, or None if it was
        refused or nobody wants it any more. `wall_ms` is our epoch clock."""
        self._heard_ns = now_ns
        self._asked_ns = None
        try:
            item = self.store.feed(frame, now_ns)
        except DecodeError as error:
            self._clear(error.symbol)
            self._report(error)
            return None
        if isinstance(item, Ack) and not item.ok:
            asked = item.action or "stream"
            self._report(VenueError(f"a {asked} request failed: {item.detail}"))
            if not self.is_accepted and item.action is None:
                self.refusal = str(item.detail)
            return item
        self.is_accepted = True
        self.refusal = None
        if self._gap_start_ns is not None and not isinstance(item, Ack | Heartbeat):
            self._events.append(Event("gap", (self._gap_start_ns, now_ns)))
            self._gap_start_ns = None
        return self._checked(item, wall_ms) if isinstance(item, OrderBook) else item

    def _checked(self, book: OrderBook, wall_ms: int) -> OrderBook | None:
        symbol = str(book.symbol)
        if symbol not in self._fed:
            if symbol in self._dropped:
                book.clear()  # its last frames, still on their way when it was unsubscribed
                return None
            self._fed[symbol] = book
        if book.ts_ms > wall_ms + FUTURE_MS:
            ahead = f"a frame of {book.symbol} is {book.ts_ms - wall_ms} ms ahead of our clock"
            book.clear()
            self._report(VenueError(ahead))
            return None
        return book

    def tick(self, now_ns: int) -> None:
        """Time has passed. Raises TransportError when the venue has been silent for too long."""
        if not self._is_open:
            return
        if self._asked_ns is not None:
            if now_ns - self._asked_ns >= self._quiet_ns:
                silent_s = (now_ns - self._heard_ns) / SECOND_NS
                raise TransportError(f"{self.product}: nothing heard for {silent_s:.1f} s")
        elif now_ns - self._heard_ns >= self._quiet_ns:
            self._asked_ns = now_ns
            self._outbox.append(self._dialect.heartbeat)
        if self._stale_after_ns is not None:
            self._watch_ages(now_ns, self._stale_after_ns)

    def _watch_ages(self, now_ns: int, limit_ns: int) -> None:
        for symbol, book in self._fed.items():
            if not book.is_valid or book.age_ns(now_ns) <= limit_ns:
                self._stale.discard(symbol)
            elif symbol not in self._stale:
                self._stale.add(symbol)
                self._events.append(Event("stale", (symbol,)))

    def to_send(self, now_ns: int) -> Iterator[str]:
        """The requests that may be sent now: no more than the venue takes in any second."""
        while self._outbox and self._may_send_ns() <= now_ns:
            self._sent_ns.append(now_ns)
            yield self._outbox.popleft()

    def next_send_ns(self) -> int | None:
        """When the next request may be sent; None when none waits."""
        return self._may_send_ns() if self._outbox else None

    def _may_send_ns(self) -> int:
        if len(self._sent_ns) < REQUESTS_PER_S:
            return 0
        return self._sent_ns[0] + SECOND_NS

    def take_events(self) -> list[Event]:
        """What has happened since the last call, in order."""
        events, self._events = self._events, []
        return events

    def _clear(self, symbol: str | None) -> None:
        book = self.store.get(symbol) if symbol is not None else None
        if book is not None:
            book.clear()

    def _report(self, error: CoincallFastError) -> None:
        self._events.append(Event("error", (error,)))


class Backoff:
    """How long to wait before the next dial: exponential, full jitter, forgiving after a while.

    Times are seconds. `chance` is a number in [0, 1), such as ``random.random()``.
    """

    FIRST_S = 0.25
    LONGEST_S = 30.0
    HEALTHY_S = 60.0

    def __init__(self) -> None:
        self._ceiling_s = self.FIRST_S

    def lasted(self, seconds: float) -> None:
        """A connection lasted this long; a minute proves that the venue is well."""
        if seconds >= self.HEALTHY_S:
            self._ceiling_s = self.FIRST_S

    def next_s(self, chance: float) -> float:
        wait_s = self._ceiling_s * chance
        self._ceiling_s = min(2 * self._ceiling_s, self.LONGEST_S)
        return wait_s

"""One connection to a venue, as a state machine: bytes and a time in, items, events and text out.

Nothing here knows a socket, a thread or a clock, so everything that can go wrong on a connection is
tested by passing times. How a venue spells its requests is a `Dialect`.

Truth about freshness is kept here (contract, section 6): a book whose connection is lost, whose
frame was refused, or whose time is a minute ahead of ours is cleared, so that an old price cannot
be read by forgetting to look.
"""

import json
from collections import deque
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple, Protocol

from .._book import BookStore, OrderBook
from ..errors import AuthError, CoincallFastError, DecodeError, TransportError, VenueError
from ..message import Ack, Heartbeat, Message
from .recording import Kind

__all__ = ["Dialect", "Event", "Session", "Tape"]

SECOND_NS = 1_000_000_000
REQUESTS_PER_S = 100  # protocol page, section 2.9: per connection, heartbeats included
FUTURE_MS = 60_000
CONFIRM_NS = 2 * SECOND_NS  # what was asked for so long ago has been taken, answered or not
BEHIND_NS = 2 * SECOND_NS  # a book that gets only frames older than itself for so long is wrong


class Dialect(Protocol):
    """How one venue spells what a session says. A data type is the venue's name of a channel."""

    heartbeat: str
    book_type: str  # the data type of order books

    def symbols_per_request(self, product: str, data_type: str) -> int: ...

    def request(
        self, action: str, data_type: str, symbols: tuple[str, ...], payload: Mapping[str, Any]
    ) -> str:
        """The text of a request; `action` is "subscribe" or "unsubscribe"."""

    def looks_like_a_book(self, frame: bytes) -> bool:
        """Whether a frame that cannot be read may have been an order book."""

    def refusal(self, ack: Ack) -> AuthError | None:
        """What an answer that names no action says of key, signature or timestamp, if it does."""


class Tape(Protocol):
    """What keeps all that a session is told, so that it can be told again."""

    def put(
        self, kind: Kind, recv_ns: int, payload: bytes = b"", wall_ms: int | None = None
    ) -> None: ...


class Event(NamedTuple):
    """Something that happened other than an item: the arguments are those of the callback."""

    # "gap" (start_ns, end_ns), "stale" (symbol), "error" (exception), "cleared" (book), and, where
    # it is wanted, "confirmed" and "lost" (product)
    name: str
    arguments: tuple[Any, ...]


class _Topic(NamedTuple):
    """A channel as it is subscribed to; the payload as text, so that any can be compared."""

    data_type: str
    payload: str


class _Request(NamedTuple):
    action: str
    topic: _Topic
    symbols: tuple[str, ...]


class _Beat(NamedTuple):
    """A heartbeat; `confirms` that all that was asked before it has been taken."""

    confirms: bool = False


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
        self.is_accepted = False  # whether this connection has brought anything but refusals
        self.refusal: str | None = None  # what the venue said instead, before it closed
        self.events: list[Event] = []  # to be taken
        self._dialect = dialect
        self._quiet_ns = quiet_ns
        self._stale_after_ns = stale_after_ns
        self._topics: dict[_Topic, dict[str, int]] = {}  # symbols, and since when they are wanted
        self._fed: dict[str, OrderBook] = {}  # the books of this connection, by their own symbols
        self._dropped: set[str] = set()  # books that nobody wants any more
        self._outbox: deque[_Request | _Beat] = deque()
        self._beats: deque[_Beat] = deque(maxlen=1000)  # that the venue has not answered
        self._confirms = False  # whether anybody wants to know when subscriptions hold
        self._unconfirmed_ns: int | None = None  # since when that is waited for
        self._unanswered: deque[_Request] = deque(maxlen=1000)
        self._proven = 0  # the first so many of them, by books
        self._says_yes = False  # whether this connection answers what succeeds
        self._sent_ns: deque[int] = deque(maxlen=REQUESTS_PER_S)
        self._stale: set[str] = set()
        self._is_open = False
        self._heard_ns = 0
        self._asked_ns: int | None = None  # when a heartbeat was sent that nothing has followed
        self._gap_start_ns: int | None = None
        self._tape: Tape | None = None

    # ---------------------------------------------------------------- what the user wants

    def subscribe(
        self, data_type: str, symbols: tuple[str, ...], payload: Mapping[str, Any], now_ns: int
    ) -> None:
        """Wants a channel from now on and after every reconnect; what is held already is kept."""
        self._tell_tape(Kind.SUBSCRIBE, now_ns, data_type, symbols, payload)
        topic = _Topic(data_type, json.dumps(payload))
        is_new_topic = topic not in self._topics
        held = self._topics.setdefault(topic, {})
        new = tuple(symbol for symbol in dict.fromkeys(symbols) if symbol not in held)
        held.update(dict.fromkeys(new, now_ns))
        if data_type == self._dialect.book_type:
            self._dropped.difference_update(new)
        if self._is_open and (new or (is_new_topic and not symbols)):
            self._outbox.extend(self._requests("subscribe", topic, new))

    def unsubscribe(
        self, data_type: str, symbols: tuple[str, ...], payload: Mapping[str, Any], now_ns: int
    ) -> None:
        """Wants it no longer; without symbols the whole channel. Books concerned are cleared."""
        self._tell_tape(Kind.UNSUBSCRIBE, now_ns, data_type, symbols, payload)
        topic = _Topic(data_type, json.dumps(payload))
        held = self._topics.get(topic)
        if held is None:
            return
        gone = tuple(symbol for symbol in dict.fromkeys(symbols or held) if symbol in held)
        for symbol in gone:
            del held[symbol]
        if not held:
            del self._topics[topic]
        if data_type == self._dialect.book_type:
            for symbol in gone:
                if self._is_wanted(data_type, symbol):
                    continue  # with another payload
                self._dropped.add(symbol)
                self._stale.discard(symbol)
                self._fed.pop(symbol, None)
                self._clear(self.store.get(symbol))
        if self._is_open and (gone or not symbols):
            self._outbox.extend(self._requests("unsubscribe", topic, gone))

    def _is_wanted(self, data_type: str, symbol: str) -> bool:
        return any(
            topic.data_type == data_type and symbol in held for topic, held in self._topics.items()
        )

    def _requests(self, action: str, topic: _Topic, symbols: tuple[str, ...]) -> Iterator[_Request]:
        step = self._dialect.symbols_per_request(self.product, topic.data_type)
        for start in range(0, max(len(symbols), 1), step):
            yield _Request(action, topic, symbols[start : start + step])

    def confirm(self, now_ns: int) -> None:
        """Tells "confirmed" when the venue has taken all that was asked until now, and again after
        each reconnect; and "lost" when the connection is.

        Answers name no request, and there may be none; but the venue takes one request after the
        other, so that the answer to a heartbeat answers for all before it. (Inference; where none
        comes, the time has to do.)
        """
        self._confirms = True
        if self._is_open:
            self._outbox.append(_Beat(confirms=True))

    def _confirmed(self) -> None:
        self._unconfirmed_ns = None
        self.events.append(Event("confirmed", (self.product,)))

    def record(self, tape: Tape | None, now_ns: int) -> None:
        """Tells a tape all that comes from now on, and first how things are; None: no more."""
        self._tape = tape
        if tape is None:
            return
        for topic, symbols in self._topics.items():
            payload = json.loads(topic.payload)
            self._tell_tape(Kind.SUBSCRIBE, now_ns, topic.data_type, tuple(symbols), payload)
        if self._dropped:
            for kind in (Kind.SUBSCRIBE, Kind.UNSUBSCRIBE):
                dropped = tuple(self._dropped)
                self._tell_tape(kind, now_ns, self._dialect.book_type, dropped, {})
        if self._is_open:
            tape.put(Kind.OPENED, now_ns)

    def _tell_tape(
        self,
        kind: Kind,
        now_ns: int,
        data_type: str,
        symbols: tuple[str, ...],
        payload: Mapping[str, Any],
    ) -> None:
        if self._tape is not None:
            told = {"data_type": data_type, "symbols": symbols, "payload": payload}
            self._tape.put(kind, now_ns, json.dumps(told).encode())

    # ---------------------------------------------------------------- what the connection does

    def opened(self, now_ns: int) -> None:
        """The connection stands: everything that is wanted is asked for."""
        if self._tape is not None:
            self._tape.put(Kind.OPENED, now_ns)
        self._is_open = True
        self._hear(now_ns)
        self._sent_ns.clear()
        self._unanswered.clear()
        self._beats.clear()
        self._proven = 0
        self._says_yes = False
        self.is_accepted = False
        self.refusal = None
        for topic, symbols in self._topics.items():
            symbols.update(dict.fromkeys(symbols, now_ns))
            self._outbox.extend(self._requests("subscribe", topic, tuple(symbols)))
        if self._confirms:
            self._outbox.append(_Beat(confirms=True))

    def closed(self, now_ns: int) -> None:
        """The connection is gone: every book of it is invalid until a fresh frame."""
        if self._tape is not None and self._is_open:
            self._tape.put(Kind.CLOSED, now_ns)
        if self._is_open and self._gap_start_ns is None:
            self._gap_start_ns = self._heard_ns or now_ns
        if self._is_open and self._confirms:
            self.events.append(Event("lost", (self.product,)))
        self._unconfirmed_ns = None
        self._is_open = False
        self._outbox.clear()
        self._stale.clear()
        for book in self._fed.values():
            self._clear(book)

    def heard(self, now_ns: int) -> None:
        """Something has come that is no message, such as a ping."""
        if self._tape is not None:
            self._tape.put(Kind.HEARD, now_ns)
        self._hear(now_ns)

    def _hear(self, now_ns: int) -> None:
        self._heard_ns = now_ns
        self._asked_ns = None

    def receive(
        self, frame: bytes | memoryview, now_ns: int, wall_ms: int
    ) -> OrderBook | Message | list[Message] | None:
        """One frame; returns the book it updated, or the message or messages it is, or None if it
        was refused, too old, or of a book that nobody wants. `wall_ms` is our epoch clock.

        Raises AuthError where the venue refuses not a request but us.
        """
        if self._tape is not None:
            self._tape.put(Kind.FRAME, now_ns, bytes(frame), wall_ms)
        self._hear(now_ns)
        try:
            item = self.store.feed(frame, now_ns)
        except DecodeError as error:
            self._refused(frame, error)
            return None
        if type(item) is not OrderBook:
            if isinstance(item, Ack):
                self._answered(item)
                return item
            self.is_accepted = True
            self.refusal = None
            if not isinstance(item, Heartbeat):
                self._end_gap(now_ns)
            elif self._beats and self._beats.popleft().confirms:
                self._confirmed()
            return item
        self.is_accepted = True
        self.refusal = None
        if self._gap_start_ns is not None:
            self._end_gap(now_ns)
        return self._checked(item, now_ns, wall_ms)

    def _end_gap(self, now_ns: int) -> None:
        if self._gap_start_ns is not None:
            self.events.append(Event("gap", (self._gap_start_ns, now_ns)))
            self._gap_start_ns = None

    def _refused(self, frame: bytes | memoryview, error: DecodeError) -> None:
        """Whichever book missed an update must not go on as if it had not."""
        if error.symbol is not None:
            self._clear(self.store.get(error.symbol))
        elif self._dialect.looks_like_a_book(bytes(frame)):
            for book in self._fed.values():
                self._clear(book)
        self._report(error)

    def _checked(self, book: OrderBook, now_ns: int, wall_ms: int) -> OrderBook | None:
        symbol = str(book.symbol)
        if self._unanswered and not self._says_yes:
            self._proved(symbol)
        if symbol not in self._fed:
            if symbol in self._dropped:
                book.clear()  # its last frames, still on their way when it was unsubscribed
                return None
            self._fed[symbol] = book
        if book.recv_ns != now_ns:  # older than the book, and not applied
            if now_ns - book.recv_ns > BEHIND_NS:
                self._clear(book)
                self._report(VenueError(f"frames of {symbol} are older than its book"))
            return None
        if book.ts_ms > wall_ms + FUTURE_MS:
            ahead = f"a frame of {symbol} is {book.ts_ms - wall_ms} ms ahead of our clock"
            self._clear(book)
            self._report(VenueError(ahead))
            return None
        return book

    def _proved(self, symbol: str) -> None:
        """A book is answer enough where the venue says nothing else: a list fails as a whole."""
        if self._proven < len(self._unanswered):
            next_one = self._unanswered[self._proven]
            self._proven += next_one.action == "subscribe" and symbol in next_one.symbols

    def _answered(self, ack: Ack) -> None:
        """Answers name no request, so they are matched by order (protocol page, section 3.1).

        A refusal may not even name the action; then too it is taken for the next answer, unless
        it comes first and is of what the address was signed with.
        """
        asked = None
        names_none = ack.action is None and not ack.ok
        if names_none and not self.is_accepted and (refusal := self._dialect.refusal(ack)):
            self._is_open = False  # and has never been: its end is no gap
            if self._tape is not None:
                self._tape.put(Kind.CLOSED, self._heard_ns)
            raise refusal
        if names_none or ack.action in ("subscribe", "unsubscribe"):
            if not ack.ok and not self._says_yes:  # an answer to what has not succeeded
                for _ in range(self._proven):
                    self._unanswered.popleft()
                self._proven = 0
            if self._unanswered:
                asked = self._unanswered.popleft()
                self._proven = max(0, self._proven - 1)
        self._says_yes |= ack.ok
        if ack.ok:
            self.is_accepted = True
            self.refusal = None
            return
        what = "a request" if ack.action is None else f"a {ack.action} request"
        if asked is not None:
            what += f" for {', '.join(asked.symbols) or asked.topic.data_type}"
            if asked.action == "subscribe" and len(asked.symbols) > 1:
                # One wrong symbol fails the list: each is asked for by itself.
                held = self._topics.get(asked.topic, {})
                alone = (asked._replace(symbols=(one,)) for one in asked.symbols if one in held)
                self._outbox.extend(alone)
        self._report(VenueError(f"{what} failed: {ack.detail}"))
        if not self.is_accepted and ack.action is None:
            self.refusal = str(ack.detail)

    def tick(self, now_ns: int) -> None:
        """Time has passed. Raises TransportError when the venue has been silent for too long."""
        if not self._is_open:
            return
        if self._tape is not None:
            self._tape.put(Kind.TICK, now_ns)
        if self._asked_ns is not None:
            if now_ns - self._asked_ns >= self._quiet_ns:
                silent_s = (now_ns - self._heard_ns) / SECOND_NS
                raise TransportError(f"{self.product}: nothing heard for {silent_s:.1f} s")
        elif now_ns - self._heard_ns >= self._quiet_ns:
            self._asked_ns = now_ns
            self._outbox.append(_Beat())
        if self._unconfirmed_ns is not None and now_ns - self._unconfirmed_ns >= CONFIRM_NS:
            self._confirmed()
        if self._stale_after_ns is not None:
            self._watch_ages(now_ns, self._stale_after_ns)

    def _watch_ages(self, now_ns: int, limit_ns: int) -> None:
        """Tells each book once that has had nothing for so long, since it is wanted or ever."""
        for topic, symbols in self._topics.items():
            if topic.data_type != self._dialect.book_type:
                continue
            for symbol, since_ns in symbols.items():
                book = self._fed.get(symbol)
                last_ns = max(since_ns, 0 if book is None else book.recv_ns)
                if now_ns - last_ns <= limit_ns:
                    self._stale.discard(symbol)
                elif symbol not in self._stale:
                    self._stale.add(symbol)
                    self.events.append(Event("stale", (symbol,)))

    def to_send(self, now_ns: int) -> Iterator[str]:
        """The requests that may be sent now: no more than the venue takes in any second."""
        while self._outbox and self._may_send_ns() <= now_ns:
            self._sent_ns.append(now_ns)
            request = self._outbox.popleft()
            if isinstance(request, _Beat):
                self._beats.append(request)
                if request.confirms:
                    self._unconfirmed_ns = now_ns
                yield self._dialect.heartbeat
            else:
                if len(self._unanswered) == self._unanswered.maxlen:
                    self._proven = max(0, self._proven - 1)
                self._unanswered.append(request)
                yield self._dialect.request(
                    request.action,
                    request.topic.data_type,
                    request.symbols,
                    json.loads(request.topic.payload),
                )

    def next_send_ns(self) -> int | None:
        """When the next request may be sent; None when none waits."""
        return self._may_send_ns() if self._outbox else None

    def _may_send_ns(self) -> int:
        if len(self._sent_ns) < REQUESTS_PER_S:
            return 0
        return self._sent_ns[0] + SECOND_NS

    def report(self, error: CoincallFastError, now_ns: int) -> None:
        """Tells of an error that is none of the connection's, such as a full disk."""
        self._report(error)

    def take_events(self) -> list[Event]:
        """What has happened since the last call, in order."""
        events, self.events = self.events, []
        return events

    def books(self) -> list[OrderBook]:
        """The books that this connection has brought."""
        return list(self._fed.values())

    def _clear(self, book: OrderBook | None) -> None:
        if book is not None and book.is_valid:
            book.clear()
            self.events.append(Event("cleared", (book,)))

    def _report(self, error: CoincallFastError) -> None:
        self.events.append(Event("error", (error,)))

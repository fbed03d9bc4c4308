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
from ..errors import CoincallFastError, DecodeError, GapError, TransportError, VenueError
from ..message import Ack, Heartbeat, Message, UnknownMessage
from ..signing import Credentials
from .answers import Unanswered
from .dialect import SECOND_NS, About, Dialect, Numbered, Reply, Request
from .recording import Kind
from .repairs import Repair, Want
from .sequences import Sequences
from .topics import Topic, Topics

__all__ = ["SECOND_NS", "Dialect", "Event", "LastUpdate", "Session", "Tape"]

FUTURE_MS = 60_000
CONFIRM_NS = 2 * SECOND_NS  # what was asked for so long ago has been taken, answered or not
BEHIND_NS = 2 * SECOND_NS  # a book that gets only frames older than itself for so long is wrong
BEHIND = 3  # ... and a numbered one that gets so many of them in a row
LOGIN_NS = 10 * SECOND_NS
REST_NS = SECOND_NS  # a book is not asked for anew again sooner

_CONTROL = (Ack, Heartbeat, UnknownMessage)  # what may be about the connection


class Tape(Protocol):
    """What keeps all that a session is told, so that it can be told again."""

    def put(
        self, kind: Kind, recv_ns: int, payload: bytes = b"", wall_ms: int | None = None
    ) -> None: ...


class LastUpdate(NamedTuple):
    """When the last message of a channel came, and when the venue says that it was."""

    recv_ns: int
    ts_ms: int | None


class Event(NamedTuple):
    """Something that happened other than an item: the arguments are those of the callback."""

    # "gap" (start_ns, end_ns), "stale" (symbol), "error" (exception), "cleared" (book), and, where
    # it is wanted, "confirmed" and "lost" (product)
    name: str
    arguments: tuple[Any, ...]


class _Beat(NamedTuple):
    """A heartbeat whose answer confirms that all that was asked before it has been taken."""


class Session:
    """What one connection is subscribed to, what it owes the venue, and what the venue owes it.

    Every ``now_ns`` is ``time.monotonic_ns()``. Silence for `quiet_ns` brings a heartbeat, silence
    for as long again the end, unless the dialect says otherwise (seed 000: less than 30 s each).
    `wants` are bases of books that whoever owns the session has to fetch. Not thread safe: one
    owner.
    """

    def __init__(
        self,
        dialect: Dialect,
        product: str,
        store: BookStore,
        *,
        quiet_ns: int | None = None,
        stale_after_ns: int | None = None,
        keys: Credentials | None = None,
    ) -> None:
        self.store = store
        self.product = product
        self.is_accepted = False  # whether this connection has brought anything but refusals
        self.refusal: str | None = None  # what the venue said instead, before it closed
        self.events: list[Event] = []  # to be taken
        self.wants: list[Want] = []  # likewise
        self.last: dict[str, LastUpdate] = {}  # of each channel, but those of books
        self._dialect = dialect
        self._keys = keys
        self._quiet_ns = dialect.quiet_ns if quiet_ns is None else quiet_ns
        self._stale_after_ns = stale_after_ns
        self._topics = Topics(dialect, product)
        self._fed: dict[str, OrderBook] = {}  # the books of this connection, by their own symbols
        self._dropped: set[str] = set()  # books that nobody wants any more
        self._outbox: deque[Request | _Beat] = deque()
        self._beats: deque[bool] = deque(maxlen=1000)  # unanswered; whether one confirms
        self._confirms = False  # whether anybody wants to know when subscriptions hold
        self._unconfirmed_ns: int | None = None  # since when that is waited for
        self._number = 0  # of the last request
        self._unanswered = Unanswered(dialect)
        self._sequences = Sequences()
        self._repairs: dict[str, Repair] = {}
        self._rested: dict[str, int] = {}  # when each book was asked for anew
        self._behind: dict[str, int] = {}  # frames in a row that were older than the book
        self._serial = 0  # of the last base that was wanted
        self._sent_ns: deque[int] = deque(maxlen=dialect.requests_per_s)
        self._stale: set[str] = set()
        self._is_open = False
        self._login_ns: int | None = None  # since when we have been asking to be let in
        self._owes_login = False
        self._owes_beat = False
        self._beat_ns = 0
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
        topic = Topic.of(data_type, payload)
        before = self._topics.named(topic)
        new = self._topics.add(topic, symbols, now_ns)
        if new is None:
            return
        if data_type in self._dialect.book_types:
            self._dropped.difference_update(new)
        if self._is_open:
            self._outbox.extend(self._topics.requests("subscribe", topic, new, before))

    def unsubscribe(
        self, data_type: str, symbols: tuple[str, ...], payload: Mapping[str, Any], now_ns: int
    ) -> None:
        """Wants it no longer; without symbols the whole channel. Books concerned are cleared."""
        self._tell_tape(Kind.UNSUBSCRIBE, now_ns, data_type, symbols, payload)
        topic = Topic.of(data_type, payload)
        gone = self._topics.remove(topic, symbols)
        if gone is None:
            return
        if data_type in self._dialect.book_types:
            for symbol in gone:
                if self._topics.of_book(symbol):
                    continue  # with another payload
                self._dropped.add(symbol)
                self._stale.discard(symbol)
                self._fed.pop(symbol, None)
                self._repairs.pop(symbol, None)
                self._clear(self.store.get(symbol))
        if self._is_open and (gone or not symbols):
            others = self._topics.named(topic)
            self._outbox.extend(self._topics.requests("unsubscribe", topic, gone, others))

    def confirm(self, now_ns: int) -> None:
        """Tells "confirmed" when the venue has taken all that was asked until now, and again after
        each reconnect; and "lost" when the connection is.

        Answers name no request, and there may be none; but the venue takes one request after the
        other, so that the answer to a heartbeat answers for all before it. (Inference; where none
        comes, the time has to do.)
        """
        self._confirms = True
        if self._is_open:
            self._outbox.append(_Beat())

    def _confirmed(self) -> None:
        self._unconfirmed_ns = None
        self.events.append(Event("confirmed", (self.product,)))

    def record(self, tape: Tape | None, now_ns: int) -> None:
        """Tells a tape all that comes from now on, and first how things are; None: no more."""
        self._tape = tape
        if tape is None:
            return
        for topic, symbols in self._topics:
            self._tell_tape(Kind.SUBSCRIBE, now_ns, topic.data_type, symbols, topic.payload)
        if self._dropped:
            for kind in (Kind.SUBSCRIBE, Kind.UNSUBSCRIBE):
                dropped = tuple(self._dropped)
                self._tell_tape(kind, now_ns, min(self._dialect.book_types), dropped, {})
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
        self._outbox.clear()
        self._sent_ns.clear()
        self._unanswered.clear()
        self._beats.clear()
        self._sequences.clear()
        self._forget_repairs()
        self.is_accepted = False
        self.refusal = None
        self._number = 0
        self._owes_login = self._dialect.login(self.product, self._keys, 0) is not None
        self._login_ns = now_ns if self._owes_login else None
        self._owes_beat = self._dialect.beats_always
        self._outbox.extend(self._topics.restart(now_ns))
        if self._confirms:
            self._outbox.append(_Beat())

    def closed(self, now_ns: int) -> None:
        """The connection is gone: every book of it is invalid until a fresh frame."""
        if self._tape is not None and self._is_open:
            self._tape.put(Kind.CLOSED, now_ns)
        if self._is_open and self._gap_start_ns is None:
            self._gap_start_ns = self._heard_ns or now_ns
        if self._is_open and self._confirms:
            self.events.append(Event("lost", (self.product,)))
        self._is_open = self._owes_beat = self._owes_login = False
        self._login_ns = self._unconfirmed_ns = None
        self._outbox.clear()
        self._forget_repairs()
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
        except GapError as error:
            self._prove(now_ns)
            self._missed(frame, error, now_ns)
            return None
        except DecodeError as error:
            self._refused(frame, error)
            return None
        if type(item) is OrderBook:
            self.is_accepted = True
            self.refusal = None
            if self._gap_start_ns is not None:
                self._end_gap(now_ns)
            return self._checked(item, now_ns, wall_ms)
        if isinstance(item, _CONTROL) and (reply := self._dialect.reply(item)) is not None:
            self._replied(reply, now_ns)
            return item
        self._prove(now_ns)
        return item if self._is_new(item, now_ns) else None

    def _prove(self, now_ns: int) -> None:
        """Data has come."""
        self.is_accepted = True
        self.refusal = None
        if self._gap_start_ns is not None:
            self._end_gap(now_ns)

    def _is_new(self, item: Message | list[Message], now_ns: int) -> bool:
        """Whether messages have not come before; tells of those that should have."""
        one = item[0] if type(item) is list and item else item
        channel: str | None = getattr(one, "channel", None)
        if channel is not None:
            self.last[channel] = LastUpdate(now_ns, getattr(one, "ts_ms", None))
        numbered = self._dialect.numbered(item)
        if numbered is None:
            return True
        step = self._sequences.follow(numbered)
        if step.gap is not None:
            self._report(step.gap)
            if numbered.comes_whole:
                self._sequences.forget(numbered.channel)
                self._again(numbered)
        return step.is_new

    def _again(self, numbered: Numbered) -> None:
        """Subscribes to a channel once more, for all of what it has to say."""
        for topic, held in self._topics:
            if topic.data_type == numbered.channel:
                self._ask_again(topic, held)

    def _ask_again(self, topic: Topic, symbols: tuple[str, ...]) -> None:
        for action in ("unsubscribe", "subscribe"):
            self._outbox.extend(self._topics.requests(action, topic, symbols))

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
        if not self._unanswered.says_yes:
            self._unanswered.proved(symbol)
        if symbol not in self._fed:
            if symbol in self._dropped:
                book.clear()  # its last frames, still on their way when it was unsubscribed
                return None
            self._fed[symbol] = book
        if book.recv_ns != now_ns:  # older than the book, and not applied
            self._fell_behind(book, now_ns)
            return None
        if self._behind:
            self._behind.pop(symbol, None)
        if book.ts_ms > wall_ms + FUTURE_MS:
            ahead = f"a frame of {symbol} is {book.ts_ms - wall_ms} ms ahead of our clock"
            self._clear(book)
            self._report(VenueError(ahead, venue=self._dialect.venue))
            return None
        if self._repairs and symbol in self._repairs:
            self._repaired(symbol, now_ns)
        return book

    # ---------------------------------------------------------------- books that missed something

    def _fell_behind(self, book: OrderBook, now_ns: int) -> None:
        """A frame was not newer than its book, which is nothing yet."""
        symbol = str(book.symbol)
        self._behind[symbol] = self._behind.get(symbol, 0) + 1
        if now_ns - book.recv_ns > BEHIND_NS:
            self._clear(book)
            older = f"frames of {symbol} are older than its book"
            self._report(VenueError(older, venue=self._dialect.venue))
        elif book.version is not None and self._behind[symbol] >= BEHIND:
            topic = self._topics.of_book(symbol)
            if topic is not None and self._dialect.base(symbol, topic.payload) is None:
                older = f"{BEHIND} frames of {symbol} in a row are older than its book"
                self._break(symbol, VenueError(older, venue=self._dialect.venue), now_ns)

    def _missed(self, frame: bytes | memoryview, error: GapError, now_ns: int) -> None:
        """An update does not follow its book: it has to be whole again first."""
        symbol = error.symbol
        if self._topics.of_book(symbol) is None:
            return  # its last frames, still on their way when it was unsubscribed
        repair = self._repairs.get(symbol)
        if repair is None:
            is_news = error.expected is not None  # and has neither been told nor not begun
            repair = self._break(symbol, error if is_news else None, now_ns)
        if repair.want is not None:
            repair.frames.append(bytes(frame))

    def _break(self, symbol: str, why: CoincallFastError | None, now_ns: int) -> Repair:
        """A book is not to be trusted until it is whole again, and is asked for anew.

        Where it has not begun yet, nothing is wrong, and nothing need be asked for twice.
        """
        book = self._fed.get(symbol)
        topic = self._topics.of_book(symbol)
        assert topic is not None
        is_news = why is not None
        since_ns = now_ns if book is None else book.recv_ns or now_ns
        repair = self._repairs[symbol] = Repair(since_ns, now_ns, is_news=is_news)
        self._behind.pop(symbol, None)
        if book is not None and is_news:
            book.clear()
            self.events.append(Event("cleared", (book,)))
        if why is not None:
            self._report(why)
        base = self._dialect.base(symbol, topic.payload)
        if base is not None:
            self._serial += 1
            repair.want = Want(base, self._serial)
            self.wants.append(repair.want)
        elif book is not None:
            if now_ns - self._rested.get(symbol, now_ns - REST_NS) < REST_NS:
                repair.retry_ns = now_ns + REST_NS
            else:
                self._resubscribe(symbol, repair, now_ns)
        return repair

    def _resubscribe(self, symbol: str, repair: Repair, now_ns: int) -> None:
        repair.asked_ns, repair.retry_ns = now_ns, 0
        self._rested[symbol] = now_ns
        topic = self._topics.of_book(symbol)
        if topic is not None:
            self._ask_again(topic, (symbol,))

    def _repaired(self, symbol: str, now_ns: int) -> None:
        repair = self._repairs.pop(symbol)
        if repair.is_news:
            self.events.append(Event("gap", (repair.since_ns, now_ns)))

    def _forget_repairs(self) -> None:
        self._repairs.clear()
        self._rested.clear()
        self._behind.clear()
        self.wants.clear()

    def rebase(self, want: Want, body: bytes, wall_ms: int, now_ns: int) -> OrderBook | None:
        """The answer to one of `wants`; returns the book that begins from it."""
        repair = self._repairs.get(want.base.symbol)
        if repair is None or repair.want is not want:
            return None  # of a connection that is gone, or a book that nobody wants any more
        return self.begin(want.base.symbol, body, now_ns, wall_ms)

    def no_base(self, want: Want, error: CoincallFastError, now_ns: int) -> None:
        """One of `wants` could not be had: it is wanted again a little later."""
        repair = self._repairs.get(want.base.symbol)
        if repair is not None and repair.want is want:
            self._report(error)
            repair.wait(now_ns)

    def begin(self, symbol: str, body: bytes, now_ns: int, wall_ms: int) -> OrderBook | None:
        """A whole book that did not come over this connection, and the updates that wait for it."""
        if self._tape is not None:
            self._tape.put(Kind.BASE, now_ns, symbol.encode() + b"\n" + body, wall_ms)
        repair = self._repairs.get(symbol)
        try:
            bids, asks, ts_ms, version = self._dialect.based(body)
            book = self.store.load(symbol, bids, asks, ts_ms, now_ns, version=version)
            for update in repair.frames if repair is not None else ():
                self.store.feed(update, now_ns)
        except (CoincallFastError, TypeError) as error:
            if not isinstance(error, GapError):
                self._report(DecodeError(f"no snapshot of a book: {error}", 0, symbol))
            # Else it is older than the updates, or some of these are missing: the next will do.
            if (unseen := self.store.get(symbol)) is not None:
                unseen.clear()
            if repair is not None:
                repair.wait(now_ns)
            return None
        return self._checked(book, now_ns, wall_ms)

    def _mend(self, now_ns: int) -> None:
        """Asks again for what did not come. Raises TransportError where that is in vain."""
        for symbol, repair in self._repairs.items():
            if repair.is_late(now_ns):
                raise TransportError(f"{self.product}: no whole book of {symbol} came")
            if not repair.retry_ns or now_ns < repair.retry_ns:
                continue
            if repair.want is None:
                self._resubscribe(symbol, repair, now_ns)
            else:
                self._serial += 1
                repair.want = Want(repair.want.base, self._serial)
                repair.asked_ns, repair.retry_ns = now_ns, 0
                self.wants.append(repair.want)

    # ---------------------------------------------------------------- what the venue answers

    def _replied(self, reply: Reply, now_ns: int) -> None:
        if reply.final is not None and (reply.about is About.LOGIN or not self.is_accepted):
            self._is_open = False  # and has never been: its end is no gap
            if self._tape is not None:
                self._tape.put(Kind.CLOSED, self._heard_ns)
            raise reply.final
        if reply.about is About.FAREWELL:
            raise TransportError(f"{self.product}: the venue is about to close: {reply.said}")
        if reply.about is About.LOGIN:
            self._login_ns = None
        if reply.ok and self._login_ns is None:  # a heartbeat is answered to anybody
            self._unanswered.says_yes = True
            self.is_accepted = True
            self.refusal = None
        if reply.about is About.REQUEST:
            self._answered(reply, now_ns)
        elif reply.about is About.PULSE and self._beats and self._beats.popleft():
            self._confirmed()

    def _answered(self, reply: Reply, now_ns: int) -> None:
        """A refusal may not even name the action; then too it is taken for the next answer."""
        names_none = reply.action is None and not reply.ok
        is_ours = reply.number is not None or reply.topics is not None or names_none
        asked = None
        if is_ours or reply.action in ("subscribe", "unsubscribe"):
            asked = self._unanswered.answer(reply)
        action = reply.action or (asked.action if asked is not None else None)
        what = "a request" if action is None else f"a {action} request"
        for topic in reply.failed:
            self._report(self._dialect.failure(reply, f"{what} for {topic}"))
        if reply.ok:
            if asked is not None and asked.action == "subscribe":
                self._begin_books(asked, now_ns)
            return
        if reply.failed:
            return
        if asked is not None:
            what += f" for {', '.join(asked.symbols) or asked.data_type}"
            if asked.action == "subscribe" and len(asked.symbols) > 1:
                # One wrong symbol fails the list: each is asked for by itself.
                wanted = self._topics.named(Topic.of(asked.data_type, asked.payload))
                alone = (asked._replace(symbols=(one,)) for one in asked.symbols if one in wanted)
                self._outbox.extend(alone)
        self._report(self._dialect.failure(reply, what))
        if not self.is_accepted and reply.action is None:
            self.refusal = reply.said

    def _begin_books(self, asked: Request, now_ns: int) -> None:
        """Books that begin from a base are asked for as soon as their updates will be kept."""
        if asked.data_type not in self._dialect.book_types:
            return
        for symbol in asked.symbols:
            if self._dialect.base(symbol, asked.payload) is None:
                return
            book = self._fed.get(symbol)
            is_begun = symbol in self._repairs or (book is not None and book.is_valid)
            if not is_begun and self._topics.of_book(symbol) is not None:
                self._break(symbol, None, now_ns)

    # ---------------------------------------------------------------- what time does

    def tick(self, now_ns: int) -> None:
        """Time has passed. Raises TransportError when the venue has been silent for too long."""
        if not self._is_open:
            return
        if self._tape is not None:
            self._tape.put(Kind.TICK, now_ns)
        if self._login_ns is not None and now_ns - self._login_ns >= LOGIN_NS:
            raise TransportError(f"{self.product}: no answer to who we are")
        patience_ns = self._dialect.patience_ns or self._quiet_ns
        if self._asked_ns is not None and now_ns - self._asked_ns >= patience_ns:
            silent_s = (now_ns - self._heard_ns) / SECOND_NS
            raise TransportError(f"{self.product}: nothing heard for {silent_s:.1f} s")
        if self._is_beat_due(now_ns):
            self._owes_beat = True
            if self._asked_ns is None:
                self._asked_ns = now_ns
            self._beat_ns = now_ns
        if self._unconfirmed_ns is not None and now_ns - self._unconfirmed_ns >= CONFIRM_NS:
            self._confirmed()
        if self._repairs:
            self._mend(now_ns)
        if self._stale_after_ns is not None:
            self._watch_ages(now_ns, self._stale_after_ns)

    def _is_beat_due(self, now_ns: int) -> bool:
        if self._dialect.beats_always:
            return now_ns - self._beat_ns >= self._quiet_ns
        return self._asked_ns is None and now_ns - self._heard_ns >= self._quiet_ns

    def _watch_ages(self, now_ns: int, limit_ns: int) -> None:
        """Tells each book once that has had nothing for so long, since it is wanted or ever."""
        for symbol, since_ns in self._topics.books():
            book = self._fed.get(symbol)
            last_ns = max(since_ns, 0 if book is None else book.recv_ns)
            if now_ns - last_ns <= limit_ns:
                self._stale.discard(symbol)
            elif symbol not in self._stale:
                self._stale.add(symbol)
                self.events.append(Event("stale", (symbol,)))

    def to_send(self, now_ns: int, wall_ms: int = 0) -> Iterator[str]:
        """The requests that may be sent now: no more than the venue takes in any second, and none
        before it has let us in. `wall_ms` is our epoch clock, by which some are signed."""
        while self._has_more and self._may_send_ns() <= now_ns:
            self._sent_ns.append(now_ns)
            if self._owes_beat:
                self._owes_beat = False
                self._beat_ns = now_ns
                self._beats.append(False)
                yield self._dialect.heartbeat(wall_ms)
            elif self._owes_login:
                self._owes_login = False
                login = self._dialect.login(self.product, self._keys, wall_ms)
                assert login is not None
                yield login
            elif isinstance(request := self._outbox.popleft(), _Beat):
                self._unconfirmed_ns = now_ns
                self._beats.append(True)
                yield self._dialect.heartbeat(wall_ms)
            else:
                self._number += 1
                request = request._replace(number=self._number)
                self._unanswered.sent(request)
                yield self._dialect.request(request, self._keys, wall_ms)

    @property
    def _has_more(self) -> bool:
        if self._owes_beat or self._owes_login:
            return True
        return bool(self._outbox) and self._login_ns is None

    def next_send_ns(self) -> int | None:
        """When the next request may be sent; None when none waits."""
        return self._may_send_ns() if self._has_more else None

    def _may_send_ns(self) -> int:
        if len(self._sent_ns) < self._dialect.requests_per_s:
            return 0
        return self._sent_ns[0] + SECOND_NS

    def report(self, error: CoincallFastError, now_ns: int) -> None:
        """Tells of an error that is none of the connection's, such as a full disk."""
        self._report(error)

    def take_events(self) -> list[Event]:
        """What has happened since the last call, in order."""
        events, self.events = self.events, []
        return events

    def take_wants(self) -> list[Want]:
        """The bases that have become wanted since the last call."""
        wants, self.wants = self.wants, []
        return wants

    def books(self) -> list[OrderBook]:
        """The books that this connection has brought."""
        return list(self._fed.values())

    def _clear(self, book: OrderBook | None) -> None:
        if book is not None and book.is_valid:
            book.clear()
            self.events.append(Event("cleared", (book,)))

    def _report(self, error: CoincallFastError) -> None:
        self.events.append(Event("error", (error,)))

"""One connection to a venue, as a state machine: bytes and a time in, items, events and text out.

Nothing here knows a socket, a thread or a clock, so everything that can go wrong on a connection is
tested by passing times. How a venue spells its requests is a `Dialect`.

Which of its books may be believed, and what makes them whole again, is the matter of `Books`.
"""

import json
from collections import deque
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple, Protocol

from .._book import BookStore, OrderBook
from ..errors import CoincallFastError, DecodeError, GapError, TransportError
from ..message import Ack, Heartbeat, Message, UnknownMessage
from ..signing import Credentials
from .answers import Unanswered
from .books import Books
from .dialect import SECOND_NS, About, Dialect, Numbered, Reply, Request
from .events import Event
from .recording import Kind
from .repairs import Want
from .sequences import Sequences
from .topics import Topic, Topics

__all__ = ["SECOND_NS", "LastUpdate", "Session", "Tape"]

CONFIRM_NS = 2 * SECOND_NS  # what was asked for so long ago has been taken, answered or not
LOGIN_NS = 10 * SECOND_NS

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


class _Beat(NamedTuple):
    """A heartbeat whose answer confirms that all that was asked before it has been taken."""


class Session:
    """What one connection is subscribed to, what it owes the venue, and what the venue owes it.

    Every ``now_ns`` is ``time.monotonic_ns()``. Silence for `quiet_ns` brings a heartbeat, silence
    for as long again the end, unless the dialect says otherwise (seed 000: less than 30 s each).
    Whoever owns the session has to fetch the bases of books that are in `take_wants`. Not thread
    safe: one owner.
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
        self.last: dict[str, LastUpdate] = {}  # of each channel, but those of books
        self._dialect = dialect
        self._keys = keys
        self._quiet_ns = dialect.quiet_ns if quiet_ns is None else quiet_ns
        self._stale_after_ns = stale_after_ns
        self._topics = Topics(dialect, product)
        self._outbox: deque[Request | _Beat] = deque()
        self._books = Books(dialect, product, store, self._topics, self.events, self._outbox.extend)
        self._beats: deque[bool] = deque(maxlen=1000)  # unanswered; whether one confirms
        self._confirms = False  # whether anybody wants to know when subscriptions hold
        self._unconfirmed_ns: int | None = None  # since when that is waited for
        self._number = 0  # of the last request
        self._unanswered = Unanswered(dialect)
        self._sequences = Sequences()
        self._sent_ns: deque[int] = deque(maxlen=dialect.requests_per_s)
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
            self._books.want(new)
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
            self._books.drop(gone)
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
        if self._books.dropped:
            for kind in (Kind.SUBSCRIBE, Kind.UNSUBSCRIBE):
                dropped = tuple(self._books.dropped)
                self._tell_tape(kind, now_ns, min(self._dialect.book_types), dropped, {})
        if self._is_open:
            tape.put(Kind.OPENED, now_ns)
            for state in self._books.states():
                tape.put(Kind.BOOK, now_ns, state)
            for frame in self._books.waiting():
                tape.put(Kind.FRAME, now_ns, frame)

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
        self._books.forget_repairs()
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
        self._books.closed()

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
            self._books.missed(frame, error, now_ns)
            return None
        except DecodeError as error:
            self._books.refused(frame, error)
            return None
        if type(item) is OrderBook:
            self.is_accepted = True
            self.refusal = None
            if self._gap_start_ns is not None:
                self._end_gap(now_ns)
            symbol = str(item.symbol)
            if self._unanswered.is_unproven and not self._unanswered.says_yes:
                self._unanswered.proved(symbol)
            return self._books.checked(item, symbol, now_ns, wall_ms)
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
                self._outbox.extend(self._topics.again(topic, held))

    def _end_gap(self, now_ns: int) -> None:
        if self._gap_start_ns is not None:
            self.events.append(Event("gap", (self._gap_start_ns, now_ns)))
            self._gap_start_ns = None

    # ---------------------------------------------------------------- books that begin from a base

    def rebase(self, want: Want, body: bytes, wall_ms: int, now_ns: int) -> OrderBook | None:
        """The answer to one of `take_wants`; returns the book that begins from it."""
        if not self._books.awaits(want):
            return None
        return self.begin(want.base.symbol, body, now_ns, wall_ms)

    def fetching(self, want: Want, now_ns: int) -> None:
        """The turn of one of `take_wants` has come, which has so long from now on."""
        self._books.fetching(want, now_ns)

    def no_base(self, want: Want, error: CoincallFastError, now_ns: int) -> None:
        """One of `take_wants` could not be had: it is wanted again a little later."""
        self._books.no_base(want, error, now_ns)

    def begin(self, symbol: str, body: bytes, now_ns: int, wall_ms: int) -> OrderBook | None:
        """A whole book that did not come over this connection, and the updates that wait for it."""
        if self._tape is not None:
            self._tape.put(Kind.BASE, now_ns, symbol.encode() + b"\n" + body, wall_ms)
        return self._books.begin(symbol, body, now_ns, wall_ms)

    def go_on(self, state: bytes, now_ns: int, wall_ms: int) -> OrderBook | None:
        """A book as it was when it began to be recorded."""
        return self._books.go_on(state, now_ns, wall_ms)

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
                self._books.subscribed(asked, now_ns)
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
        self._books.mend(now_ns)
        if self._stale_after_ns is not None:
            self._books.watch_ages(now_ns, self._stale_after_ns)

    def _is_beat_due(self, now_ns: int) -> bool:
        if self._dialect.beats_always:
            return now_ns - self._beat_ns >= self._quiet_ns
        return self._asked_ns is None and now_ns - self._heard_ns >= self._quiet_ns

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
        events = self.events[:]
        self.events.clear()  # and no other: the books add to it
        return events

    def take_wants(self) -> list[Want]:
        """The bases that have become wanted since the last call."""
        wants = self._books.wants[:]
        self._books.wants.clear()
        return wants

    def books(self) -> list[OrderBook]:
        """The books that this connection has brought."""
        return self._books.all()

    def _report(self, error: CoincallFastError) -> None:
        self.events.append(Event("error", (error,)))

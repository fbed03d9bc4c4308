"""The books of one connection: which of them may be believed, and what makes the others whole.

Truth about freshness is kept here (contract, section 6): a book whose connection is lost, whose
frame was refused, that missed an update, or whose time is a minute ahead of ours is cleared, so
that an old price cannot be read by forgetting to look. Like the session it has no socket and no
clock; every ``now_ns`` is ``time.monotonic_ns()``.
"""

import json
from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal

from .._book import BookStore, OrderBook
from ..errors import CoincallFastError, DecodeError, GapError, TransportError, VenueError
from .dialect import SECOND_NS, Base, Dialect, Request
from .events import Event
from .repairs import Repair, Want
from .topics import Topics

__all__ = ["Books"]

FUTURE_MS = 60_000
BEHIND_NS = 2 * SECOND_NS  # a book that gets only frames older than itself for so long is wrong
BEHIND = 3  # ... and a numbered one that gets so many of them in a row
REST_NS = SECOND_NS  # a book is not asked for anew again sooner


class Books:
    """Takes what a frame did to a book, and sees to it that each that is wanted is whole.

    `wants` are bases to be fetched. What happens is added to `events`, which are the session's as
    the `topics` are; `ask` is told what is to be asked of the venue.
    """

    def __init__(
        self,
        dialect: Dialect,
        product: str,
        store: BookStore,
        topics: Topics,
        events: list[Event],
        ask: Callable[[Iterable[Request]], None],
    ) -> None:
        self.dropped: set[str] = set()  # books that nobody wants any more
        self.wants: list[Want] = []  # to be taken
        self._dialect = dialect
        self._product = product
        self._store = store
        self._topics = topics
        self._events = events
        self._ask = ask
        self._fed: dict[str, OrderBook] = {}  # the books of this connection, by their own symbols
        self._stale: set[str] = set()
        self._repairs: dict[str, Repair] = {}
        self._rested: dict[str, int] = {}  # when each book was asked for anew
        self._behind: dict[str, int] = {}  # frames in a row that were older than the book

    def all(self) -> list[OrderBook]:
        """The books that this connection has brought."""
        return list(self._fed.values())

    # ---------------------------------------------------------------- what the user wants

    def want(self, symbols: Iterable[str]) -> None:
        """Somebody does, perhaps again."""
        self.dropped.difference_update(symbols)

    def drop(self, symbols: Iterable[str]) -> None:
        """Nobody wants them any more."""
        for symbol in symbols:
            if self._topics.of_book(symbol):
                continue  # with another payload
            self.dropped.add(symbol)
            self._stale.discard(symbol)
            self._fed.pop(symbol, None)
            if (repair := self._repairs.pop(symbol, None)) is not None:
                repair.give_up()
            self._clear(self._store.get(symbol))

    # ---------------------------------------------------------------- what the connection does

    def closed(self) -> None:
        """The connection is gone: every book of it is invalid until a fresh frame."""
        self.forget_repairs()
        self._stale.clear()
        self._clear_all()

    def forget_repairs(self) -> None:
        """Another connection begins everything anew."""
        for repair in self._repairs.values():
            repair.give_up()
        self._repairs.clear()
        self._rested.clear()
        self._behind.clear()
        self.wants.clear()

    def refused(self, frame: bytes | memoryview, error: DecodeError) -> None:
        """Whichever book missed an update must not go on as if it had not."""
        if error.symbol is not None:
            self._clear(self._store.get(error.symbol))
        elif self._dialect.looks_like_a_book(bytes(frame)):
            self._clear_all()
        self._report(error)

    def checked(self, book: OrderBook, symbol: str, now_ns: int, wall_ms: int) -> OrderBook | None:
        """A frame was this book's; returns it if it may be believed."""
        if symbol not in self._fed:
            if symbol in self.dropped:
                book.clear()  # its last frames, still on their way when it was unsubscribed
                return None
            self._fed[symbol] = book
        if book.recv_ns != now_ns:  # older than the book, and not applied
            self._fell_behind(book, symbol, now_ns)
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

    def _fell_behind(self, book: OrderBook, symbol: str, now_ns: int) -> None:
        """A frame was not newer than its book, which is nothing yet."""
        behind = self._behind[symbol] = self._behind.get(symbol, 0) + 1
        topic = self._topics.of_book(symbol) if book.version is not None else None
        is_wrong = now_ns - book.recv_ns > BEHIND_NS
        if topic is not None and behind >= BEHIND:  # but a base may well be ahead of the updates
            is_wrong |= self._dialect.base(symbol, topic.payload) is None
        if not is_wrong:
            return
        error = VenueError(f"frames of {symbol} are older than its book", venue=self._dialect.venue)
        if topic is not None:  # it goes on from what it holds, so that the next will not do
            self._break(symbol, error, now_ns)
        else:
            self._clear(book)
            self._report(error)

    def missed(self, frame: bytes | memoryview, error: GapError, now_ns: int) -> None:
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
            self._events.append(Event("cleared", (book,)))
        if why is not None:
            self._report(why)
        base = self._dialect.base(symbol, topic.payload)
        if base is not None:
            self._fetch(repair, base)
        elif book is not None:
            if now_ns - self._rested.get(symbol, now_ns - REST_NS) < REST_NS:
                repair.retry_ns = now_ns + REST_NS
            else:
                self._resubscribe(symbol, repair, now_ns)
        return repair

    def _fetch(self, repair: Repair, base: Base) -> None:
        repair.want = Want(base)
        self.wants.append(repair.want)

    def _resubscribe(self, symbol: str, repair: Repair, now_ns: int) -> None:
        repair.asked_ns, repair.retry_ns = now_ns, 0
        self._rested[symbol] = now_ns
        topic = self._topics.of_book(symbol)
        if topic is not None:
            self._ask(self._topics.again(topic, (symbol,)))

    def _repaired(self, symbol: str, now_ns: int) -> None:
        repair = self._repairs.pop(symbol)
        if repair.is_news:
            self._events.append(Event("gap", (repair.since_ns, now_ns)))

    def awaits(self, want: Want) -> bool:
        """Whether it is not of a connection that is gone, nor a book that nobody wants any more."""
        repair = self._repairs.get(want.base.symbol)
        return repair is not None and repair.want is want

    def fetching(self, want: Want, now_ns: int) -> None:
        """The turn of one of `wants` has come, which has so long from now on."""
        want.begun_ns = now_ns

    def no_base(self, want: Want, error: CoincallFastError, now_ns: int) -> None:
        """One of `wants` could not be had: it is wanted again a little later."""
        repair = self._repairs.get(want.base.symbol)
        if repair is not None and repair.want is want:
            self._report(error)
            repair.wait(now_ns)

    def begin(self, symbol: str, body: bytes, now_ns: int, wall_ms: int) -> OrderBook | None:
        """A whole book that did not come over this connection, and the updates that wait for it."""
        repair = self._repairs.get(symbol)
        try:
            bids, asks, ts_ms, version = self._dialect.based(body)
            book = self._store.load(symbol, bids, asks, ts_ms, now_ns, version=version)
            for update in repair.frames if repair is not None else ():
                self._store.feed(update, now_ns)
        except (CoincallFastError, TypeError) as error:
            if not isinstance(error, GapError):
                why = error.reason if isinstance(error, DecodeError) else error
                self._report(DecodeError(f"no snapshot of a book: {why}", 0, symbol))
            # Else it is older than the updates, or some of these are missing: the next will do.
            if (unseen := self._store.get(symbol)) is not None:
                unseen.clear()
            if repair is not None:
                repair.wait(now_ns)
            return None
        begun = self.checked(book, symbol, now_ns, wall_ms)
        if begun is None and repair is not None:  # perhaps of another minute than ours
            repair.wait(now_ns)
        return begun

    def subscribed(self, asked: Request, now_ns: int) -> None:
        """The updates of books that begin from a base will be kept from now on: that is fetched."""
        if asked.data_type not in self._dialect.book_types:
            return
        for symbol in asked.symbols:
            if self._dialect.base(symbol, asked.payload) is None:
                return
            book = self._fed.get(symbol)
            is_begun = symbol in self._repairs or (book is not None and book.is_valid)
            if not is_begun and self._topics.of_book(symbol) is not None:
                self._break(symbol, None, now_ns)

    # ---------------------------------------------------------------- recorded half-way

    def states(self) -> Iterator[bytes]:
        """The books that go on from what they hold, which no frame to come says as a whole."""
        for symbol, book in self._fed.items():
            version, ts_ms, rows = book.version, book.ts_ms, book.snapshot()
            if not book.is_valid or version is None:
                continue
            bids = rows[0:2, : book.bid_count].T.tolist()
            asks = rows[2:4, : book.ask_count].T.tolist()
            state = {"symbol": symbol, "version": version, "ts_ms": ts_ms}
            yield json.dumps({**state, "bids": bids, "asks": asks}).encode()

    def waiting(self) -> Iterator[bytes]:
        """The updates that have come before their base."""
        for repair in self._repairs.values():
            yield from repair.frames

    def go_on(self, state: bytes, now_ns: int, wall_ms: int) -> OrderBook | None:
        """One of `states`."""
        said = json.loads(state, parse_int=Decimal)
        bids, asks = (
            [(price.scaleb(-8), size.scaleb(-8)) for price, size in said[side]]
            for side in ("bids", "asks")
        )
        symbol, version, ts_ms = said["symbol"], int(said["version"]), int(said["ts_ms"])
        book = self._store.load(symbol, bids, asks, ts_ms, now_ns, version=version)
        return self.checked(book, symbol, now_ns, wall_ms)

    # ---------------------------------------------------------------- what time does

    def mend(self, now_ns: int) -> None:
        """Asks again for what did not come. Raises TransportError where that is in vain."""
        for symbol, repair in self._repairs.items():
            if repair.is_late(now_ns):
                raise TransportError(f"{self._product}: no whole book of {symbol} came")
            if not repair.retry_ns or now_ns < repair.retry_ns:
                continue
            if repair.want is None:
                self._resubscribe(symbol, repair, now_ns)
            else:
                repair.asked_ns, repair.retry_ns = now_ns, 0
                self._fetch(repair, repair.want.base)

    def watch_ages(self, now_ns: int, limit_ns: int) -> None:
        """Tells each book once that has had nothing for so long, since it is wanted or ever."""
        for symbol, since_ns in self._topics.books():
            book = self._fed.get(symbol)
            last_ns = max(since_ns, 0 if book is None else book.recv_ns)
            if now_ns - last_ns <= limit_ns:
                self._stale.discard(symbol)
            elif symbol not in self._stale:
                self._stale.add(symbol)
                self._events.append(Event("stale", (symbol,)))

    # ---------------------------------------------------------------- what is told

    def _clear_all(self) -> None:
        for book in self._fed.values():
            self._clear(book)

    def _clear(self, book: OrderBook | None) -> None:
        if book is not None and book.is_valid:
            book.clear()
            self._events.append(Event("cleared", (book,)))

    def _report(self, error: CoincallFastError) -> None:
        self._events.append(Event("error", (error,)))

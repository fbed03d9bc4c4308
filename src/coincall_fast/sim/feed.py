"""Who listens to what, and the pushes: one rendering a push, however many listen."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator
from typing import NamedTuple

from . import private_pushes, pushes
from .connection import Connection
from .events import BalanceChanged, Event, Filled, OrderChanged, PositionChanged
from .instruments import Instrument
from .tape import Print
from .topics import Topic
from .venue import Venue
from .wire import Renderer

__all__ = ["Feed", "Taste"]

_BATCH = 32  # frames pushed before other tasks get a turn
_TICKERS_MS = 500  # between tickers, chains and bars
_SNAPSHOT_ROUNDS = 2  # positions and balances come every second round of those
_BACKLOG = 20  # old trades that a new listener gets

_PERIODIC = ("bsInfo", "spotPrice", "tOption", "kline", "premiumIndex")
_SNAPSHOTS = ("position", "accountBalance")


class Taste(NamedTuple):
    """How pushes look where the sources leave a choice."""

    sorted_levels: bool = True  # of books
    repeats_unchanged: bool = True  # books: today's docs; the 2023 ones say "on change"
    ticker_texts: bool = False  # bsInfo: numbers as strings, as seen live in 2026


class Feed:
    """Subscriptions and pushes of everything; used on the loop's thread only."""

    def __init__(self, venue: Venue, taste: Taste) -> None:
        self.is_stalled = False  # no market data is pushed
        self.silenced: set[str] = set()  # symbols of which none is
        self._venue = venue
        self._engine = venue.engine
        self._market = venue.engine.market
        self._clock = venue.clock
        self._taste = taste
        self._renderer = Renderer(
            is_first=venue.edition == "2023-05", is_sorted=taste.sorted_levels
        )
        # Connections in the order they came, which is the order they are served in.
        self._listeners: dict[Topic, dict[Connection, None]] = {}
        self._pushed: dict[str, str] = {}  # the latest book frame of each symbol with listeners
        self._events: list[Event] = []
        self._holds = 0
        self._engine.listeners.append(self._events.append)

    def subscribe(self, connection: Connection, topics: Iterable[Topic]) -> None:
        """Adds a listener, who gets what there is at once."""
        self.advance()
        for topic in topics:
            self._listeners.setdefault(topic, {})[connection] = None
            if not self._is_held_back(topic):
                for frame in self._first(topic):
                    connection.send(frame)

    def unsubscribe(self, connection: Connection, topics: Iterable[Topic]) -> None:
        for topic in topics:
            listeners = self._listeners.get(topic, {})
            listeners.pop(connection, None)
            if not listeners:
                self._listeners.pop(topic, None)
                if topic.channel == "orderBook":
                    self._pushed.pop(topic.symbol, None)

    def leave(self, connection: Connection) -> None:
        """Forgets a connection that has ended."""
        self.unsubscribe(connection, list(self._listeners))

    def counts(self) -> dict[str, int]:
        """How many connections listen to the book of each symbol that has any."""
        return {
            topic.symbol: len(listeners)
            for topic, listeners in self._listeners.items()
            if topic.channel == "orderBook"
        }

    def frame(self, symbol: str) -> str:
        """The latest book frame pushed; where nobody listens, the one that would be pushed now."""
        self._market.instruments[symbol]  # KeyError for a symbol that is not listed
        if symbol in self._pushed:
            return self._pushed[symbol]
        self.advance()
        return self._book(symbol)

    def close(self) -> None:
        """Listens to the engine no more."""
        self._engine.listeners.remove(self._events.append)

    # Events

    def advance(self) -> None:
        """Lets time pass, and tells what came of it."""
        self._engine.advance(self._clock.market_ms())
        self.flush()

    def hold(self) -> None:
        """Keeps events back, until as many `release`: an answer is on its way that comes first."""
        self._holds += 1

    def release(self) -> None:
        self._holds -= 1
        self.flush()

    def flush(self) -> None:
        """Tells all that has happened, in order, unless it is held back."""
        if self._holds or not self._events:
            return
        events, self._events[:] = list(self._events), []
        prints: dict[str, list[Print]] = {}
        poorer: dict[int, None] = {}
        for event in events:
            if isinstance(event, Print):
                prints.setdefault(event.symbol, []).append(event)
            elif isinstance(event, BalanceChanged):
                poorer[event.user_id] = None
            else:
                self._tell_user(event)
        for symbol, printed in prints.items():
            self._tell_trades(self._market.instruments[symbol], printed)
        for user_id in poorer:
            for topic in self._topics("accountBalance", user_id):
                self._send(topic, private_pushes.balance(self._venue, user_id))

    def _tell_user(self, event: OrderChanged | Filled | PositionChanged) -> None:
        if isinstance(event, PositionChanged):
            product, user_id = event.position.instrument.product, event.user_id
            topic = Topic(product, "positionEvent", user_id=user_id)
            if topic in self._listeners:
                held = event.position
                frame = private_pushes.position(self._venue, user_id, held, is_event=True)
                self._send(topic, frame)
            return
        product, user_id = event.order.instrument.product, event.order.user_id
        if isinstance(event, Filled):
            topic = Topic(product, "trade", user_id=user_id)
            if topic in self._listeners:
                self._send(topic, private_pushes.fill(self._venue, event))
            return
        topic = Topic(product, "order", user_id=user_id)
        if topic in self._listeners:
            self._send(topic, private_pushes.order(self._venue, event))

    def _tell_trades(self, instrument: Instrument, printed: list[Print]) -> None:
        newest_first = printed[::-1]
        product, symbol = instrument.product, instrument.symbol
        for channel, show in (("lastTrade", pushes.trades), ("lastTradeV2", pushes.trades_v2)):
            topic = Topic(product, channel, symbol)
            if topic in self._listeners and not self._is_held_back(topic):
                self._send(topic, show(self._venue, instrument, newest_first))
        topic = Topic(product, "fillSignal", symbol)
        if topic in self._listeners and not self._is_held_back(topic):
            for trade in printed:
                self._send(topic, pushes.fill_signal(instrument, trade))

    # Periodic pushes

    async def run(self, product: str, period_ms: int) -> None:
        """Moves the market and pushes one product's books, every `period_ms`, for ever.

        The pushes keep step with the market, which moves in whole steps from its start: `ts` is
        then the time of the push, give or take the event loop's delay.
        """
        symbols = self._market.symbols(product)
        topics = [Topic(product, "orderBook", symbol) for symbol in symbols]
        async for _ in self._rounds(period_ms):
            await self._push(topic for topic in topics if topic in self._listeners)

    async def run_tickers(self) -> None:
        """Pushes everything else that comes periodically."""
        count = 0
        async for _ in self._rounds(_TICKERS_MS):
            count += 1
            channels = _PERIODIC + (_SNAPSHOTS if count % _SNAPSHOT_ROUNDS == 0 else ())
            await self._push([topic for topic in self._listeners if topic.channel in channels])

    async def _rounds(self, period_ms: int) -> AsyncIterator[None]:
        """Every `period_ms` of real time, in whole steps of the market's."""
        clock = self._clock
        while True:
            period = max(1, round(period_ms * clock.speed))
            now_ms = clock.market_ms()
            due_ms = now_ms + period - (now_ms - self._market.start_ms) % period
            # Some systems' timers fire early; and a clock set back must not stop the pushes.
            while 0 < (wait_ms := due_ms - clock.market_ms()) <= period:
                await asyncio.sleep(wait_ms / 1000 / clock.speed)
            await asyncio.sleep(0)  # on a busy machine it may be late for every round
            self.advance()
            yield

    async def _push(self, topics: Iterable[Topic]) -> None:
        pushed = 0
        for topic in topics:
            # Somebody may have left while others had their turn.
            if topic not in self._listeners or self._is_held_back(topic):
                continue
            for frame in self._now(topic):
                self._send(topic, frame)
            pushed += 1
            if pushed % _BATCH == 0:
                await asyncio.sleep(0)

    def _send(self, topic: Topic, frame: str) -> None:
        for connection in self._listeners[topic]:
            connection.send(frame)

    def _is_held_back(self, topic: Topic) -> bool:
        return not topic.user_id and (self.is_stalled or topic.symbol in self.silenced)

    def _topics(self, channel: str, user_id: int) -> list[Topic]:
        return [t for t in self._listeners if t.channel == channel and t.user_id == user_id]

    # Frames

    def _first(self, topic: Topic) -> Iterator[str]:
        """What a new listener gets at once."""
        if topic.channel == "orderBook":
            frame = self._pushed[topic.symbol] = self._book(topic.symbol)
            yield frame
        elif topic.channel == "lastTrade":
            # Old trades: with no id, they cannot be told from new ones (section 5, quirk 16).
            if prints := self._engine.tape.prints(topic.symbol)[:_BACKLOG]:
                instrument = self._market.instruments[topic.symbol]
                yield pushes.trades(self._venue, instrument, prints)
        else:
            yield from self._now(topic)

    def _now(self, topic: Topic) -> Iterator[str]:
        """What a periodic topic tells now; none of the others tells anything."""
        venue = self._venue
        if topic.channel == "orderBook":
            before, frame = self._pushed.get(topic.symbol), self._book(topic.symbol)
            if self._taste.repeats_unchanged or not _same_book(before, frame):
                self._pushed[topic.symbol] = frame
                yield frame
        elif topic.channel == "accountBalance":
            yield private_pushes.balance(venue, topic.user_id)
        elif topic.channel == "position":
            for held in venue.desk.account(topic.user_id).open_positions:
                if held.instrument.product == topic.product:
                    yield private_pushes.position(venue, topic.user_id, held, is_event=False)
        elif topic.channel == "tOption":
            yield pushes.chain(venue, self._options_of(topic.symbol, int(topic.detail)))
        elif topic.channel in _PERIODIC:
            instrument = self._market.instruments[topic.symbol]
            if topic.channel == "kline":
                yield pushes.kline(venue, instrument, topic.detail)
            elif topic.channel == "bsInfo":
                as_texts = self._taste.ticker_texts
                yield pushes.options_ticker(venue, instrument, as_texts=as_texts)
            elif topic.channel == "spotPrice":
                yield pushes.perpetual_ticker(venue, instrument)
            else:
                yield pushes.premium_index(venue, instrument)

    def _options_of(self, index: str, expiry_ms: int) -> list[Instrument]:
        return [
            listed
            for listed in self._market.instruments.values()
            if listed.terms is not None
            and listed.pair.name == index
            and listed.terms.expiry_ms == expiry_ms
        ]

    def _book(self, symbol: str) -> str:
        book = self._market.books[symbol]
        return self._renderer.book(book.instrument, book.bids, book.asks, self._market.now_ms)


def _same_book(before: str | None, after: str) -> bool:
    """Whether two frames differ in nothing but their time, which comes last."""
    return before is not None and before.rpartition(",")[0] == after.rpartition(",")[0]

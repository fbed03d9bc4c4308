"""Who listens to what, and the periodic pushes: one rendering a push, however many listen."""

import asyncio
from collections.abc import Callable, Iterable

from .connection import Connection
from .venue import Venue
from .wire import Renderer

__all__ = ["Feed"]

_BATCH = 32  # frames pushed before other tasks get a turn


class Feed:
    """Subscriptions and pushes of all symbols; used on the loop's thread only."""

    def __init__(self, venue: Venue, now_ms: Callable[[], int]) -> None:
        self.is_stalled = False  # nobody is pushed anything
        self.silenced: set[str] = set()  # symbols that are not pushed
        self._engine = venue.engine
        self._market = venue.engine.market
        self._now_ms = now_ms
        self._renderer = Renderer()
        # Connections in the order they came, which is the order they are served in.
        self._listeners: dict[str, dict[Connection, None]] = {}
        self._pushed: dict[str, str] = {}  # the latest frame of each symbol with listeners

    def subscribe(self, connection: Connection, symbols: Iterable[str]) -> None:
        """Adds a listener, who gets the whole book at once."""
        self._engine.advance(self._now_ms())
        for symbol in symbols:
            self._listeners.setdefault(symbol, {})[connection] = None
            if not self._is_held_back(symbol):
                connection.send(self._render(symbol))

    def unsubscribe(self, connection: Connection, symbols: Iterable[str]) -> None:
        for symbol in symbols:
            listeners = self._listeners.get(symbol, {})
            listeners.pop(connection, None)
            if not listeners:
                self._listeners.pop(symbol, None)
                self._pushed.pop(symbol, None)

    def leave(self, connection: Connection) -> None:
        """Forgets a connection that has ended."""
        self.unsubscribe(connection, list(self._listeners))

    def counts(self) -> dict[str, int]:
        """How many connections listen to each symbol that has any."""
        return {symbol: len(listeners) for symbol, listeners in self._listeners.items()}

    def frame(self, symbol: str) -> str:
        """The latest frame pushed; where nobody listens, the one that would be pushed now."""
        self._market.instruments[symbol]  # KeyError for a symbol that is not listed
        if symbol in self._pushed:
            return self._pushed[symbol]
        self._engine.advance(self._now_ms())
        return self._text(symbol)

    async def run(self, product: str, period_ms: int) -> None:
        """Moves the market and pushes one product's books, every `period_ms`, for ever.

        The pushes keep step with the market, which moves in whole steps from its start: `ts` is
        then the time of the push, give or take the event loop's delay.
        """
        symbols = self._market.symbols(product)
        while True:
            now_ms = self._now_ms()
            due_ms = now_ms + period_ms - (now_ms - self._market.start_ms) % period_ms
            # Some systems' timers fire early; and a clock set back must not stop the pushes.
            while 0 < (wait_ms := due_ms - self._now_ms()) <= period_ms:
                await asyncio.sleep(wait_ms / 1000)
            self._engine.advance(self._now_ms())
            await self._push(symbols)

    async def _push(self, symbols: Iterable[str]) -> None:
        pushed = 0
        for symbol in symbols:
            if symbol not in self._listeners or self._is_held_back(symbol):
                continue
            frame = self._render(symbol)
            for connection in self._listeners[symbol]:
                connection.send(frame)
            pushed += 1
            if pushed % _BATCH == 0:
                await asyncio.sleep(0)

    def _is_held_back(self, symbol: str) -> bool:
        return self.is_stalled or symbol in self.silenced

    def _render(self, symbol: str) -> str:
        frame = self._pushed[symbol] = self._text(symbol)
        return frame

    def _text(self, symbol: str) -> str:
        book = self._market.books[symbol]
        return self._renderer.book(book.instrument, book.bids, book.asks, self._market.now_ms)

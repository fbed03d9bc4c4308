"""What there is to show: one row a symbol, taken while its book stands still."""

import math
import threading
from typing import Any, NamedTuple

from .._book import BookStore, OrderBook

__all__ = ["Board", "Row", "text_of"]

NAN = math.nan


class Row(NamedTuple):
    """One book at one moment. No value is nan."""

    symbol: str
    ts_ms: int
    best_bid: float
    best_bid_size: float
    best_ask: float
    best_ask_size: float
    mid: float
    microprice: float
    spread: float
    spread_bps: float
    imbalance: float
    update_count: int
    bids: list[list[float]]
    asks: list[list[float]]

    @classmethod
    def of(cls, book: OrderBook, levels: int) -> "Row":
        """Call it on the thread that writes the book, so that the values are of one moment."""
        mid = book.mid
        depth = book.depth(levels) if levels else None
        return cls(
            book.symbol or "",
            book.ts_ms,
            *book.bbo,
            mid,
            book.microprice,
            book.spread,
            book.spread / mid * 1e4,
            book.imbalance(5),
            book.update_count,
            [] if depth is None else depth.bids.tolist(),
            [] if depth is None else depth.asks.tolist(),
        )

    @classmethod
    def invalid(cls, symbol: str) -> "Row":
        """Of a book that is not valid: no value, no time."""
        return cls(symbol, 0, NAN, 0.0, NAN, 0.0, NAN, NAN, NAN, NAN, NAN, 0, [], [])

    @property
    def is_valid(self) -> bool:
        return self.ts_ms != 0

    def document(self) -> dict[str, Any]:
        """For `--json`."""
        fields = {"type": "book", **self._asdict()}
        if not (self.bids or self.asks):
            del fields["bids"], fields["asks"]
        return fields


class Board:
    """The latest row of each symbol, and which of them changed since they were last taken.

    `put` is for the reading thread and never waits for a screen; the rest is for the main thread.
    """

    def __init__(self, levels: int = 0) -> None:
        self.rows: dict[str, Row] = {}
        self.updates = 0
        self.trouble = ""  # the last error, for people
        self._levels = levels
        self._changed: dict[str, Row] = {}
        self._lock = threading.Lock()
        self.news = threading.Event()

    def put(self, book: OrderBook) -> None:
        row = Row.of(book, self._levels)
        with self._lock:
            self.updates += 1
            self.rows[row.symbol] = self._changed[row.symbol] = row
        self.news.set()

    def drop_invalid(self, store: BookStore) -> None:
        """Takes the values away of every book that has none any more."""
        with self._lock:
            for symbol, row in self.rows.items():
                if row.is_valid and not store[symbol].is_valid:
                    self.rows[symbol] = self._changed[symbol] = Row.invalid(symbol)
        self.news.set()

    def take_changed(self) -> list[Row]:
        """One row for each symbol that has changed since the last call: its latest."""
        with self._lock:
            changed, self._changed = self._changed, {}
            self.news.clear()
        return list(changed.values())


def text_of(value: float, decimals: int | None = None) -> str:
    """A number for people: plain digits, a dash where there is none."""
    if math.isnan(value):
        return "-"
    if decimals is None:
        return f"{value:.8f}".rstrip("0").rstrip(".")
    return f"{value:.{decimals}f}"

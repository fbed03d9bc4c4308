"""The plain values that queries and messages give back, and the venue's codes."""

import math
from enum import IntEnum, StrEnum
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

__all__ = [
    "Channel",
    "Depth",
    "OrderState",
    "OrderType",
    "PositionState",
    "Side",
    "Stats",
    "Sweep",
    "TimeInForce",
]


class Channel(StrEnum):
    """What a stream can be subscribed to, whatever a venue calls it."""

    BOOK = "book"
    TICKER = "ticker"
    CHAIN = "chain"
    TRADES = "trades"
    KLINE = "kline"
    ORDERS = "orders"
    FILLS = "fills"
    POSITIONS = "positions"
    ACCOUNT = "account"


class Side(IntEnum):
    """The side of a trade or an order: Coincall's codes (seed 003, Field Type Enumeration)."""

    BUY = 1
    SELL = 2


class OrderType(IntEnum):
    """What an order is: Coincall's codes (protocol page, section 4)."""

    LIMIT = 1
    MARKET = 2
    POST_ONLY = 3
    STOP_LIMIT = 4
    STOP_MARKET = 5
    BLOCK_TRADE = 14


class TimeInForce(IntEnum):
    """How long an order stands: Coincall's codes on streams, its words in REST (section 3.4)."""

    GTC = 0
    POST_ONLY = 1  # until cancelled, and never taking
    IOC = 2
    FOK = 3


class OrderState(IntEnum):
    """The state of an order: Coincall's codes of both products (protocol page, section 4)."""

    ILLEGAL = -10
    WAITING_EFFECT = -2  # a stop that has not been triggered
    PRE = -1
    NEW = 0
    FILLED = 1
    PARTIALLY_FILLED = 2
    CANCELED = 3
    PRE_CANCEL = 4
    CANCELING = 5
    INVALID = 6
    CANCEL_BY_EXERCISE = 10

    @property
    def is_open(self) -> bool:
        """Whether it may still be filled: an order that is being cancelled may."""
        return self in _OPEN

    @property
    def is_terminal(self) -> bool:
        return self not in _OPEN


_OPEN = frozenset(
    (
        OrderState.WAITING_EFFECT,
        OrderState.PRE,
        OrderState.NEW,
        OrderState.PARTIALLY_FILLED,
        OrderState.PRE_CANCEL,
        OrderState.CANCELING,
    )
)


class PositionState(IntEnum):
    """The state of a position: options send 5 for a closed one, futures 2 (section 3.3)."""

    OPEN = 1
    CLOSED = 5

    @classmethod
    def _missing_(cls, value: object) -> "PositionState | None":
        return cls.CLOSED if value == 2 else None


class Depth(NamedTuple):
    """Copies of the best levels of both sides at one moment, best first.

    ``bids`` and ``asks`` are float64 arrays of shape (n, 2): price, size. The caller owns them.
    What is computed of them is nan where a side that it needs is empty.
    """

    bids: "npt.NDArray[np.float64]"
    asks: "npt.NDArray[np.float64]"
    ts_ms: int
    update_count: int

    @property
    def bbo(self) -> tuple[float, float, float, float]:
        """Bid, bid size, ask, ask size; an empty side has price nan and size 0."""
        return (*_best(self.bids), *_best(self.asks))

    @property
    def best_bid(self) -> float:
        return _best(self.bids)[0]

    @property
    def best_ask(self) -> float:
        return _best(self.asks)[0]

    @property
    def mid(self) -> float:
        return (_e8(self.best_bid) + _e8(self.best_ask)) / 2 / 1e8

    @property
    def microprice(self) -> float:
        """(bid * ask size + ask * bid size) / (bid size + ask size), as a book forms it."""
        bid, bid_size, ask, ask_size = map(_e8, self.bbo)
        if not (bid_size and ask_size):
            return math.nan
        between = (bid * ask_size + ask * bid_size) / (bid_size + ask_size)
        return sorted((bid, between, ask))[1] / 1e8


def _best(side: "npt.NDArray[np.float64]") -> tuple[float, float]:
    return (float(side[0, 0]), float(side[0, 1])) if len(side) else (math.nan, 0.0)


def _e8(number: float) -> float:
    """In units of 1e-8, whole as it was before it became a float."""
    return number if math.isnan(number) else float(round(number * 1e8))


class Sweep(NamedTuple):
    """What a market order of the asked size would do to the book as it stands.

    ``price`` is the average and ``worst`` the last price paid (``nan`` where nothing fills),
    ``filled`` the size that the kept levels hold of it, ``levels`` how many of them it touches,
    ``exhausted`` whether they hold less than asked.
    """

    price: float
    worst: float
    filled: float
    levels: int
    exhausted: bool


class Stats(NamedTuple):
    """What a book has been given since it was made. All but ``inexact`` count calls.

    ``applied``     frames and loads that became the book, the unchanged included
    ``unchanged``   of these, the ones in which no price and no size differed
    ``stale``       legal frames that were older than the book, and not applied
    ``unsorted``    applied, with a side whose levels were not in order and were sorted
    ``truncated``   applied, with a side of more than 100 levels, of which the best 100 were kept
    ``inexact``     sizes with more than 8 decimals, rounded down to 1e-8
    ``rejected``    refused: not legal, or of another symbol
    ``absent``      deletions of a level that was not there
    """

    applied: int
    unchanged: int
    stale: int
    unsorted: int
    truncated: int
    inexact: int
    rejected: int
    absent: int

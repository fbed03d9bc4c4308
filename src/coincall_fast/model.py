"""The plain values that queries and frames give back."""

from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

__all__ = [
    "Ack",
    "Channel",
    "Depth",
    "Heartbeat",
    "Message",
    "Side",
    "Stats",
    "Sweep",
    "UnknownMessage",
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


class Depth(NamedTuple):
    """Copies of the best levels of both sides at one moment, best first.

    ``bids`` and ``asks`` are float64 arrays of shape (n, 2): price, size. The caller owns them.
    """

    bids: "npt.NDArray[np.float64]"
    asks: "npt.NDArray[np.float64]"
    ts_ms: int
    update_count: int


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


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """The venue's answer to a heartbeat: ``{"c":11,"rc":1}`` (seed 000, HeartBeat)."""

    rc: int | None


@dataclass(frozen=True, slots=True)
class Ack:
    """The venue's answer to a request on a stream (protocol page, section 3.1).

    ``action`` is lower case, or ``None`` where the venue did not say; ``detail`` is the whole body.
    """

    action: str | None
    ok: bool
    detail: dict[str, Any]


@dataclass(frozen=True, slots=True)
class UnknownMessage:
    """A frame of a channel that this version does not decode; ``body`` is it, parsed."""

    dt: int | None
    body: Any


Message = Heartbeat | Ack | UnknownMessage

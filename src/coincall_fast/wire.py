"""How each venue writes an order-book frame, as data for the compiled core.

The core knows JSON, levels and books; what the value of which key means, a `Wire` tells it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum

__all__ = ["BYBIT", "COINCALL", "Role", "Wire"]


class Role(IntEnum):
    """What the value of a key is. Keys without one may be there or not, and are skipped."""

    IGNORED = 0  # skipped too, but so common that it is worth knowing
    CHANNEL = 1  # what the frame is: a code, or a text that ends in the symbol
    DATA = 2  # the object with the rest
    SYMBOL = 3
    TIME = 4  # epoch milliseconds
    VERSION = 5  # counts the states of one book
    KIND = 6  # whether the frame is a whole book or a change of one
    BIDS = 7  # the levels of a side, all of them
    ASKS = 8
    LEVELS = 9  # the levels of both sides, all of them
    DELETE = 10  # levels that are no more
    UPDATE = 11  # levels with new sizes
    INSERT = 12  # levels that are new
    PRICE = 13
    SIZE = 14
    SIDE = 15


@dataclass(frozen=True, eq=False)
class Wire:
    """The keys of one venue's order-book frames, by the object they stand in.

    ``channels`` are the values of the channel that mean "this is an order book": codes, or what a
    text begins with whose rest is the symbol. ``sides`` says bid and ask, ``kinds`` a whole book
    and a change. A level has one of its sizes, whichever edition it is of.
    """

    channels: tuple[int, ...] | tuple[str, ...]
    frame: Mapping[str, Role]
    data: Mapping[str, Role]
    level: Mapping[str, Role]
    sides: tuple[str, str] = field(default=("", ""))
    kinds: tuple[str, str] = field(default=("", ""))


# Seeds 000 and 003 (OrderBook) spell the size "sz"; seed 001, of May 2023, "v". 5 is options and
# 32 futures: protocol page, sections 3.2 and 3.3.
COINCALL = Wire(
    channels=(5, 32),
    frame={"dt": Role.CHANNEL, "c": Role.IGNORED, "d": Role.DATA},
    data={"s": Role.SYMBOL, "asks": Role.ASKS, "bids": Role.BIDS, "ts": Role.TIME},
    level={"pr": Role.PRICE, "sz": Role.SIZE, "v": Role.SIZE},
)

# USDC options, version 1: seed 002, OrderBook and OrderBook(delta). "orderBooks" became
# "orderBook" in June 2022; what is deleted has no size: protocol page, sections 1.6 and 1.7.
BYBIT = Wire(
    channels=("orderbook100.", "orderbook25.", "delta.orderbook100."),
    frame={
        "id": Role.IGNORED,
        "topic": Role.CHANNEL,
        "creationTime": Role.TIME,
        "data": Role.DATA,
    },
    data={
        "orderBooks": Role.LEVELS,
        "orderBook": Role.LEVELS,
        "version": Role.VERSION,
        "dataType": Role.KIND,
        "delete": Role.DELETE,
        "update": Role.UPDATE,
        "insert": Role.INSERT,
    },
    level={"price": Role.PRICE, "size": Role.SIZE, "side": Role.SIDE},
    sides=("Buy", "Sell"),
    kinds=("NEW", "CHANGE"),
)

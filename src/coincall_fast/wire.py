"""How each venue writes an order-book frame, as data for the compiled core.

The core knows how to scan JSON and how to keep levels; which key holds what, a `Wire` tells it.
"""

from typing import NamedTuple

__all__ = ["COINCALL", "Wire"]


class Wire(NamedTuple):
    """The keys of one venue's order-book frames, and the channel codes that mark them."""

    channel: str  # envelope key of the channel code
    channels: tuple[int, ...]  # its values that mean "this is an order book"
    data: str  # envelope key of the object with the keys below
    symbol: str
    time: str  # epoch milliseconds
    bids: str
    asks: str
    price: str  # key of a level's price
    sizes: tuple[str, ...]  # keys of a level's size, one for each edition; a level has just one


# Seeds 000 and 003 (OrderBook) spell the size "sz"; seed 001, of May 2023, "v". 5 is options and
# 32 futures: protocol page, sections 3.2 and 3.3.
COINCALL = Wire(
    channel="dt",
    channels=(5, 32),
    data="d",
    symbol="s",
    time="ts",
    bids="bids",
    asks="asks",
    price="pr",
    sizes=("sz", "v"),
)

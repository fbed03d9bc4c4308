"""A book without one's own size: what others quote.

On thin options one's own quote is the best bid, and whoever quotes by the microprice of a book that
he is in follows himself.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from decimal import ROUND_UP, Decimal
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from .._book import SCALE, OrderBook
from ..model import Depth, OrderState, OrderType, Side, TimeInForce
from .exactly import EXACT, times_e8
from .orders import TrackedOrder

__all__ = ["Own", "Shadow", "net", "shadows"]

MOST_SHADOWS = 64  # of one symbol: some of a second's, and books are ten times as fresh
_PRICED = (OrderType.LIMIT, OrderType.POST_ONLY, OrderType.STOP_LIMIT, None)
_SIDES = (Side.BUY, Side.SELL)
_NEVER_RESTING = (TimeInForce.IOC, TimeInForce.FOK)


class _Size(NamedTuple):
    """How much of one's own stands at a price, in units of 1e-8."""

    is_bid: bool
    price_e8: int
    size_e8: int


class Shadow(NamedTuple):
    """Size that went at a time of the venue's, and stands in every book from before it."""

    size: _Size
    until_ms: int


def _sizes(order: TrackedOrder) -> Iterator[_Size]:
    """Where in the book it stands, or may stand: what is on its way counts at either end."""
    if not order.is_open or order.order_type not in _PRICED or order.side not in _SIDES:
        return
    if order.time_in_force in _NEVER_RESTING or order.state is OrderState.WAITING_EFFECT:
        return
    if order.order_type is OrderType.STOP_LIMIT and order.state is None:
        return
    terms = {order.price: order.qty}
    for change in order.changes:
        at = order.price if change.price is None else change.price
        most = (terms.get(at), order.qty if change.qty is None else change.qty)
        terms[at] = max((one for one in most if one is not None), default=None)
    for price, qty in terms.items():
        if price is None or qty is None or qty <= order.filled_qty:
            continue
        left = EXACT.subtract(qty, order.filled_qty)
        yield _Size(order.side == Side.BUY, _whole_e8(price), _whole_e8(left))


def _whole_e8(number: Decimal) -> int:
    return int(times_e8(number).to_integral_value(ROUND_UP))


def shadows(before: TrackedOrder, after: TrackedOrder) -> Iterator[Shadow]:
    """What stood where it no longer stands, in the books that are older than this."""
    if after.ts_ms is None:
        return
    left = {(size.is_bid, size.price_e8): size.size_e8 for size in _sizes(after)}
    for is_bid, price_e8, size_e8 in _sizes(before):
        gone_e8 = size_e8 - left.get((is_bid, price_e8), 0)
        if gone_e8 > 0:
            yield Shadow(_Size(is_bid, price_e8, gone_e8), after.ts_ms)


class Own:
    """One's own size in one book, by price, of its bids and of its asks."""

    def __init__(self, orders: Iterable[TrackedOrder], gone: Iterable[Shadow]) -> None:
        self.bids: dict[int, int] = {}
        self.asks: dict[int, int] = {}
        self._gone = deque(gone)
        for order in orders:
            for size in _sizes(order):
                self._add(self.bids, self.asks, size)

    @staticmethod
    def _add(bids: dict[int, int], asks: dict[int, int], size: _Size) -> None:
        side = bids if size.is_bid else asks
        side[size.price_e8] = side.get(size.price_e8, 0) + size.size_e8

    def at(self, ts_ms: int) -> tuple[Mapping[int, int], Mapping[int, int]]:
        """That of a book of this time; 0 is a book that has none."""
        if not ts_ms or not any(ts_ms < shadow.until_ms for shadow in self._gone):
            return self.bids, self.asks
        bids, asks = self.bids.copy(), self.asks.copy()
        for shadow in self._gone:
            if ts_ms < shadow.until_ms:
                self._add(bids, asks, shadow.size)
        return bids, asks


def net(book: OrderBook, own: Own) -> Depth:
    """The book's levels without what is one's own there: never less than nothing, and no level
    where nothing is left."""
    while True:
        ts_ms, update_count = book.ts_ms, book.update_count
        levels = book.snapshot()
        if (book.ts_ms, book.update_count) == (ts_ms, update_count):
            break
    bids, asks = own.at(ts_ms)
    return Depth(_left(levels[:2], bids), _left(levels[2:], asks), ts_ms, update_count)


def _left(levels: npt.NDArray[np.int64], own: Mapping[int, int]) -> npt.NDArray[np.float64]:
    """Of one side, its prices and its sizes."""
    prices, sizes = levels[:, : np.count_nonzero(levels[0])]
    for price_e8, size_e8 in own.items():
        sizes[prices == price_e8] -= size_e8
    is_left = sizes > 0
    left: npt.NDArray[np.float64] = np.column_stack((prices[is_left], sizes[is_left])) / SCALE
    return left

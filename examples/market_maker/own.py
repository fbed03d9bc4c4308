"""One's own orders as the stream tells of them, and books without them."""

import threading
from dataclasses import dataclass, replace
from decimal import Decimal

import numpy as np

from coincall_fast import Channel, Depth, Order, OrderBook, Side, Stream

__all__ = ["Own", "View", "microprice"]


@dataclass(frozen=True, slots=True)
class View:
    """One order at one moment."""

    symbol: str
    side: Side
    price: Decimal
    qty: Decimal
    filled_qty: Decimal = Decimal(0)
    order_id: int | None = None
    is_open: bool = True

    @property
    def remaining_qty(self) -> Decimal:
        return self.qty - self.filled_qty


class Own:
    """Told of each order before it is sent, and by the stream's pushes from then on."""

    def __init__(self, stream: Stream) -> None:
        self._lock = threading.Lock()
        self._views: dict[int, View] = {}
        stream.on(Channel.ORDERS, self._hear)
        stream.subscribe(Channel.ORDERS)

    def placing(
        self, client_order_id: int, symbol: str, side: Side, price: Decimal, qty: Decimal
    ) -> None:
        with self._lock:
            self._views[client_order_id] = View(symbol, side, price, qty)

    def refused(self, client_order_id: int) -> None:
        with self._lock:
            view = self._views[client_order_id]
            self._views[client_order_id] = replace(view, is_open=False)

    def get(self, client_order_id: int) -> View:
        with self._lock:
            return self._views[client_order_id]

    def _hear(self, order: Order) -> None:
        with self._lock:
            view = self._views.get(order.client_order_id or 0)
            if view is None:
                return
            filled = max(view.filled_qty, order.exact("filled_qty") or Decimal(0))
            self._views[order.client_order_id or 0] = replace(
                view,
                price=order.exact("price") or view.price,
                qty=order.exact("qty") or view.qty,
                filled_qty=filled,
                order_id=order.order_id,
                is_open=view.is_open and order.is_open is not False,
            )

    def net(self, book: OrderBook) -> Depth:
        depth = book.depth()
        with self._lock:
            mine = [v for v in self._views.values() if v.is_open and v.symbol == book.symbol]
        bids = _without(depth.bids, [v for v in mine if v.side is Side.BUY])
        asks = _without(depth.asks, [v for v in mine if v.side is Side.SELL])
        return depth._replace(bids=bids, asks=asks)


def _without(levels: np.ndarray, views: list[View]) -> np.ndarray:
    for view in views:
        levels[levels[:, 0] == float(view.price), 1] -= float(view.remaining_qty)
    return levels[levels[:, 1] > 1e-9]


def microprice(depth: Depth) -> float:
    if not (len(depth.bids) and len(depth.asks)):
        return float("nan")
    (bid, bid_size), (ask, ask_size) = depth.bids[0], depth.asks[0]
    return float((bid * ask_size + ask * bid_size) / (bid_size + ask_size))

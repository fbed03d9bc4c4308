"""The quoting loop: where our orders stand, where they should, and the requests in between."""

import itertools
import time
from collections import Counter
from collections.abc import Mapping
from concurrent.futures import Future
from decimal import Decimal
from typing import Any, NamedTuple

from quotes import Limits, Quote, moved, wanted

from coincall_fast import Client, Instrument, Side, Stream, TrackedOrder

__all__ = ["Maker", "Target"]


class Target(NamedTuple):
    """What is quoted, and how."""

    instrument: Instrument
    limits: Limits


class Maker:
    """Quotes both sides of each target. One thread steps; requests run in others.

    Of each side there is one order at the most, and nothing new is asked for while a request about
    it is on its way. What may be open counts against the position limit, so that no sequence of
    fills goes beyond it.
    """

    def __init__(
        self,
        client: Client,
        stream: Stream,
        targets: Mapping[str, Target],
        positions: Mapping[str, Decimal],
    ) -> None:
        self._client = client
        self._stream = stream
        self._targets = targets
        self._tracker = stream.orders
        self._settled = dict(positions)  # with what orders that have ended were filled
        self._orders: dict[tuple[str, Side], list[int]] = {}  # client order ids
        self._asked: dict[tuple[str, Side], Future[Any]] = {}
        self._ids = itertools.count(time.time_ns() // 1000)
        self.sent: Counter[str] = Counter()  # requests, by verb
        self.failed: Counter[str] = Counter()  # by error
        self.took_ms: list[float] = []  # from a request to its answer

    def step(self) -> None:
        """Looks at everything once. Never waits."""
        for symbol, target in self._targets.items():
            # Orders before the position: a fill in between is seen in neither, or in both.
            orders = {side: self._view(symbol, side) for side in Side}
            position = self.position(symbol)
            book = self._stream.store.get(symbol)
            fair = float("nan") if book is None else self._tracker.net(book).microprice
            quotes = wanted(fair, position, target.instrument, target.limits)
            for side in Side:
                if (symbol, side) not in self._asked:
                    self._approach(target, side, orders[side], quotes.get(side))

    def position(self, symbol: str) -> Decimal:
        """With all that open orders have been filled by now."""
        position = self._settled.get(symbol, Decimal(0))
        for side in Side:
            for view in self._view(symbol, side):
                position += view.filled_qty if side is Side.BUY else -view.filled_qty
        return position

    def close(self) -> None:
        """Asks for nothing more, and waits for what has been asked."""
        for future in list(self._asked.values()):
            future.exception(timeout=20)

    def _view(self, symbol: str, side: Side) -> list[TrackedOrder]:
        """The orders of a side that may still be filled, unknown ones among them; those that have
        ended go into the position."""
        product, views = self._targets[symbol].instrument.product, []
        # Before the tracker is looked at: what has been answered by then, it has been told of.
        is_asked = (symbol, side) in self._asked
        for client_order_id in list(self._orders.get((symbol, side), ())):
            view = self._tracker.get(product, client_order_id=client_order_id)
            if view is None:
                if not is_asked:  # it was refused before it could be sent
                    self._orders[symbol, side].remove(client_order_id)
            elif view.is_open:
                views.append(view)
            else:
                self._orders[symbol, side].remove(client_order_id)
                filled = view.filled_qty if side is Side.BUY else -view.filled_qty
                self._settled[symbol] = self._settled.get(symbol, Decimal(0)) + filled
        return views

    def _approach(
        self, target: Target, side: Side, orders: list[TrackedOrder], quote: Quote | None
    ) -> None:
        """One request at the most, towards what is wanted."""
        symbol = target.instrument.symbol
        if not orders:
            if quote is not None:
                self._place(target, side, quote)
            return
        order = orders[0]
        if order.order_id is None or order.price is None or order.remaining_qty is None:
            return  # the venue has not told of it yet
        if quote is None or order.remaining_qty > quote.qty:
            self._ask("cancel_order", symbol, side, {"order_id": order.order_id})
        elif moved(order.price, quote, target.instrument, target.limits):
            change = {"symbol": symbol, "order_id": order.order_id, "price": quote.price}
            self._ask("modify_order", symbol, side, change)

    def _place(self, target: Target, side: Side, quote: Quote) -> None:
        symbol, client_order_id = target.instrument.symbol, next(self._ids)
        self._orders.setdefault((symbol, side), []).append(client_order_id)
        order = {"symbol": symbol, "side": side, "qty": quote.qty, "price": quote.price}
        ids = {"order_type": "post_only", "client_order_id": client_order_id}
        self._ask("place_order", symbol, side, {**order, **ids})

    def _ask(self, verb: str, symbol: str, side: Side, arguments: dict[str, Any]) -> None:
        product = self._targets[symbol].instrument.product
        begin_s = time.monotonic()

        def done(future: Future[Any]) -> None:
            self.took_ms.append((time.monotonic() - begin_s) * 1e3)
            error = future.exception()
            if error is not None:
                self.failed[type(error).__name__] += 1
            del self._asked[symbol, side]

        self.sent[verb] += 1
        future = self._client.submit(f"{product}.{verb}", **arguments)
        self._asked[symbol, side] = future
        future.add_done_callback(done)

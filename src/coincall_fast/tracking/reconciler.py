"""A thread that asks REST how all orders stand: after every gap of a stream, and for lost ones.

Neither the threads that read streams nor those that place orders wait for it.
"""

import contextlib
import logging
import random
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from functools import partial
from typing import Any, Protocol

from ..backoff import Backoff
from ..errors import CoincallFastError, OrderNotFound, TransportError, UsageError
from ..message import Account, Fill, Order, Position
from .events import OrderEvent
from .orders import TrackedOrder
from .tracker import OrderTracker, Reconciliation

__all__ = ["Market", "Reconciler"]

log = logging.getLogger("coincall_fast")

LOOK_S = 0.25  # between two looks for orders that should be asked for
LAG_S = 3.0  # what REST tells of orders was seen to be up to 2 s old: it is asked once more
SLACK_MS = 60_000  # histories are read from so long before the last push
TRIES = 3  # for the fills of one order
LONGEST_MS = 89 * 86_400_000  # of a history; the venue gives 90 days at the most (section 2.4)


class Market(Protocol):
    """What is asked of a product, such as `client.options`."""

    def open_orders(self) -> list[Order]: ...

    def order(
        self, *, order_id: int | None = None, client_order_id: int | None = None
    ) -> Order: ...

    def order_history(self, *, start_ms: int | None = None) -> Iterable[Order]: ...

    def trade_history(self, *, start_ms: int | None = None) -> Iterable[Fill]: ...

    def positions(self) -> list[Position]: ...


class Reconciler(threading.Thread):
    """Keeps a tracker true by REST. `wait` blocks until it is; `close` ends it.

    After each gap it asks twice, since REST may tell late. `wait` is for the first time.

    markets: by product. account: gives the balances. report: is told each error, after which it
    asks again, with growing waits.
    """

    def __init__(
        self,
        tracker: OrderTracker,
        markets: Mapping[str, Market],
        account: Callable[[], Account],
        report: Callable[[Exception], object],
    ) -> None:
        super().__init__(name="coincall-fast reconciler", daemon=True)
        self._tracker = tracker
        self._markets = markets
        self._account = account
        self._report = report
        self._changed = threading.Condition()  # over what is below
        self._wanted = dict.fromkeys(markets, 0)  # how often each product has been asked for
        self._done = dict.fromkeys(markets, -1)  # ... when it was last reconciled
        self._since_ms: dict[str, int | None] = {}  # the last push before the gap
        self._again_s: dict[str, float] = {}  # when what was told late is asked for
        self._is_lost = set(markets)  # products without a connection, as far as we were told
        # Of orders whose fills were not all told, how much is too old to be asked for, and of which
        # amount the rest was asked for, and how often; for one asking thread at a time.
        self._old: dict[int | None, Decimal] = {}
        self._tries: dict[int | None, tuple[Decimal, int]] = {}
        self._is_closing = False
        self._error: CoincallFastError | None = None

    # ---------------------------------------------------------------- from any thread

    def lost(self, product: str) -> None:
        """Its connection is gone: what is known of it grows old."""
        with self._changed:
            self._is_lost.add(product)
            self._begin_gap(product)

    def confirmed(self, product: str) -> None:
        """It pushes again, whatever happens from now on; what happened before, REST must tell."""
        with self._changed:
            self._is_lost.discard(product)
            self._begin_gap(product)
            self._wanted[product] += 1
            self._changed.notify_all()

    def _begin_gap(self, product: str) -> None:
        self._since_ms.setdefault(product, self._tracker.latest_ms(product))

    @property
    def is_current(self) -> bool:
        """Whether each product is connected, and reconciled since it is."""
        with self._changed:
            return not self._is_lost and self._done == self._wanted

    def wait(self, timeout_s: float) -> None:
        """Blocks until it `is_current`. Raises what keeps it from that, or TransportError."""
        with self._changed:
            self._changed.wait_for(lambda: self._is_closing or self.is_current, timeout_s)
            if not self.is_current:
                raise self._error or TransportError(f"not reconciled within {timeout_s:g} s")

    def close(self, timeout_s: float = 0.2) -> None:
        """Ends it, after the request that it is in; waits for that so long at the most."""
        with self._changed:
            self._is_closing = True
            self._changed.notify_all()
        if self.is_alive() and self is not threading.current_thread():
            self.join(timeout_s)

    # ---------------------------------------------------------------- what it asks

    def reconcile(self, product: str) -> Reconciliation:
        """Asks for all that stands, and for what has ended since the gap began; blocks.

        Returns what had changed. Raises what REST raises, and then is to be called again.
        """
        tracker, market = self._tracker, self._markets[product]
        with self._changed:
            number = self._wanted[product]
            since_ms = self._since_ms.get(product)
        mark = tracker.mark()
        open_orders = market.open_orders()
        ended = [] if since_ms is None else market.order_history(start_ms=since_ms - SLACK_MS)
        report = tracker.reconcile(
            product,
            open_orders,
            ended=list(ended),
            positions=market.positions(),
            account=self._account(),
            mark=mark,
        )
        events = list(report.events)
        for order in report.missing:
            events += self._ask(order)
        if number == 0:  # what was filled before we came is not looked into
            self._old |= {one.order_id: one.filled_qty for one in tracker.incomplete(product)}
        self._fetch_fills(product)
        with self._changed:
            if number == self._done[product]:  # for the second time
                self._again_s.pop(product, None)
                if number == self._wanted[product] and product not in self._is_lost:
                    self._since_ms.pop(product, None)
            else:
                self._again_s[product] = time.monotonic() + LAG_S
            self._done[product] = max(self._done[product], number)
            self._changed.notify_all()
        return report._replace(events=events)

    def _ask(self, order: TrackedOrder) -> list[OrderEvent]:
        ids: dict[str, Any] = {"order_id": order.order_id}
        if order.order_id is None:
            ids = {"client_order_id": order.client_order_id}
        try:
            found = self._markets[order.product].order(**ids)
        except OrderNotFound:
            return self._tracker.not_found(order)
        return self._tracker.feed(found, order.product)

    def _fetch_fills(self, product: str) -> None:
        """The fills of what was filled unheard of, one by one: their prices are money."""
        wanted, tries = {}, {}
        for order in self._tracker.incomplete(product):
            filled, tried = self._tries.get(order.order_id, (order.filled_qty, 0))
            tried = tried if filled == order.filled_qty else 0  # there is more to be asked for
            is_old = order.filled_qty == self._old.get(order.order_id)
            if order.created_ms is not None and not is_old and tried < TRIES:
                wanted[order.order_id] = order.created_ms
                tries[order.order_id] = order.filled_qty, tried + 1
        if not wanted:
            return
        latest_ms = max(self._tracker.latest_ms(product) or 0, *wanted.values())
        start_ms = max(min(wanted.values()) - SLACK_MS, latest_ms - LONGEST_MS)
        for fill in self._markets[product].trade_history(start_ms=start_ms):
            if fill.order_id in wanted:
                self._tracker.feed(fill, product)
        self._tries |= tries

    # ---------------------------------------------------------------- its thread

    def run(self) -> None:
        waits = {name: Backoff() for name in (*self._markets, "lost orders")}
        due_s = dict.fromkeys(waits, 0.0)
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._is_closing or self._due(due_s), LOOK_S)
                if self._is_closing:
                    return
            for product in self._due(due_s):
                if self._tried(partial(self.reconcile, product)):
                    waits[product] = Backoff()
                else:
                    due_s[product] = time.monotonic() + waits[product].next_s(random.random())
            if time.monotonic() >= due_s["lost orders"]:
                if doubtful := self._tracker.doubtful():
                    # One failure is enough: where the network is gone, all others would fail, too.
                    all(self._tried(partial(self._find, order)) for order in doubtful)
                    wait_s = waits["lost orders"].next_s(random.random())
                    due_s["lost orders"] = time.monotonic() + wait_s
                else:
                    waits["lost orders"] = Backoff()

    def _due(self, due_s: Mapping[str, float]) -> list[str]:
        now_s = time.monotonic()
        return [
            name
            for name in self._markets
            if now_s >= due_s[name]
            and (
                self._wanted[name] > self._done[name] or now_s >= self._again_s.get(name, now_s + 1)
            )
        ]

    def _find(self, order: TrackedOrder) -> None:
        self._ask(order)
        self._fetch_fills(order.product)

    def _tried(self, ask: Callable[[], object]) -> bool:
        with self._changed:
            if self._is_closing:
                return False
        try:
            ask()
        except CoincallFastError as error:
            failure = error
        except Exception as error:  # ours to mend, but orders are watched all the same
            log.exception("the reconciler failed")
            failure = UsageError(f"the reconciler failed: {error!r}")
        else:
            return True
        with self._changed:
            self._error = failure
            is_over = self._is_closing  # then the client may be closed, too
        if not is_over:
            with contextlib.suppress(Exception):
                self._report(failure)
        return False

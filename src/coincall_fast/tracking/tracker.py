"""`OrderTracker`: every order of an account, of all that REST, streams and clients tell.

No socket and no clock: messages and steps come in, and what they mean comes out. Any thread may
call; a lock is held for as long as one message takes.
"""

import logging
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from decimal import Decimal
from functools import partial
from typing import Any, NamedTuple

from .._book import OrderBook
from ..errors import UsageError
from ..message import Account, ChainRow, Fill, Message, Order, Position
from ..model import Depth
from ..steps import Stage, Step
from ..wire import COINCALL, FUTURES, OPTIONS
from .events import EventKind, OrderEvent
from .holdings import Holdings, signed_qty
from .net import net
from .orders import Life, Standing, TrackedOrder
from .register import Register
from .rules import is_trade, listed, stepped

__all__ = ["OrderTracker", "Reconciliation"]

log = logging.getLogger("coincall_fast")

RECONCILED = "reconciled"
_PRODUCTS = {row.dt: row.product for row in COINCALL.rows}

Callback = Callable[[Any], object]


class Reconciliation(NamedTuple):
    """What REST told that the streams had not: of one product, after a gap.

    ``missing`` are orders that were open and are in no list, or whose terms are in doubt: ask for
    each, and `feed` the answer, or tell that it was `not_found`.
    """

    product: str
    events: list[OrderEvent]
    missing: list[TrackedOrder]


class OrderTracker:
    """One view of orders, positions and balances; what it has learned it never unlearns.

    Feed it messages, pushed or of REST, in any order and as often as they come, and the `Step`s of
    the clients that send orders. An order is forgotten when it has ended and `keep_ended` others
    have ended since, and never before; a later message about it makes it a foreign one.

    Iteration gives the open orders: those that may still be filled as far as anybody knows, on
    their way and unknown ones among them. ``tracker[id]`` takes a client's or the venue's order id.
    """

    def __init__(
        self, *, keep_ended: int = 10_000, on_error: Callable[[Exception], object] | None = None
    ) -> None:
        self._on_error = on_error
        self._lock = threading.RLock()  # over all below; a signal handler may call
        self._count = 0  # of messages and steps
        self._known = Register(keep_ended)
        self._holdings = Holdings()
        self._latest_ms: dict[str, int] = {}
        self._callbacks: dict[str, tuple[Callback, ...]] = {}
        self._untold: deque[OrderEvent | Reconciliation] = deque()
        self._is_telling = False

    # ---------------------------------------------------------------- what comes in

    def feed(self, message: Message, product: str | None = None) -> list[OrderEvent]:
        """Takes an `Order`, `Fill`, `Position` or `Account`, pushed or of REST; others are not
        looked at. Returns what it changed, which callbacks are told as well.

        product: "options" or "futures", where neither channel nor symbol tells. Raises DecodeError
        for an order without an id, or a fill without a size.
        """
        with self._lock:
            self._count += 1
            events = self._fed(message, product or _product_of(message))
            self._untold.extend(events)
        self._tell()
        return events

    def _fed(self, message: Message, product: str) -> list[OrderEvent]:
        if isinstance(message, Position):
            self._holdings.hear(message, self._count)
        elif isinstance(message, Account):
            self._holdings.hear_account(message)
        elif isinstance(message, Order) or (isinstance(message, Fill) and is_trade(message)):
            if message.ts_ms is not None and message.dt is not None:
                latest_ms = self._latest_ms.get(product, 0)
                self._latest_ms[product] = max(message.ts_ms, latest_ms)
            life = self._known.of(product, message.order_id, message.client_order_id)
            if isinstance(message, Order):
                return self._known.changed(life, partial(life.hear, message), self._count)
            return self._known.changed(life, partial(life.hear_fill, message), self._count)
        return []

    def step(self, step: Step) -> list[OrderEvent]:
        """Takes what a client tells of an order that it sends: `Client.on_step(tracker.step)`."""
        with self._lock:
            self._count += 1
            events = self._stepped(step)
            self._untold.extend(events)
        self._tell()
        return events

    def _stepped(self, step: Step) -> list[OrderEvent]:
        asked, is_new = step.order, step.verb == "place_order"
        life = self._known.found(step.product, asked.order_id, asked.client_order_id)
        if is_new and step.stage is Stage.SENT and (life is None or life.has_ended):
            life = self._known.again(step.product, asked.client_order_id)
        elif life is None:
            if not is_new and step.stage not in (Stage.FOUND, Stage.LATE):
                return []  # nothing is known of it, and nothing is said
            ids = asked.order_id, asked.client_order_id
            life = self._known.new(step.product, *ids, is_foreign=not is_new)
        else:
            life = self._known.of(step.product, asked.order_id, asked.client_order_id)
        return self._known.changed(life, partial(stepped, life, step), self._count)

    def mark(self) -> int:
        """This moment, to be given to `reconcile`: take it before asking."""
        with self._lock:
            return self._count

    def reconcile(
        self,
        product: str,
        open_orders: Iterable[Order],
        *,
        ended: Iterable[Order] = (),
        fills: Iterable[Fill] = (),
        positions: Iterable[Position] | None = None,
        account: Account | None = None,
        mark: int | None = None,
    ) -> Reconciliation:
        """Takes what REST tells of a whole product: all its open orders, and what else was asked.

        mark: the moment before the first of it was asked for; what has been heard of since is not
        missed in any list. Without it, nothing has been.
        """
        with self._lock:
            mark = self._count if mark is None else mark
            self._count += 1
            waiting = [
                life
                for life in self._known.lives()
                if life.product == product
                and life.standing is not Standing.SENT
                and life.touched <= mark
            ]
            events: list[OrderEvent] = []
            found: dict[Life, None] = {}
            for order in open_orders:
                life = self._known.of(product, order.order_id, order.client_order_id)
                is_after = life.touched <= mark  # it was read after all that was said of it
                told = partial(listed, life, order, is_after)
                events += self._known.changed(life, told, self._count)
                found[life] = None
            for message in (*ended, *fills):
                events += self._fed(message, product)
            if positions is not None:
                self._settle_positions(product, positions, mark)
            if account is not None:
                self._holdings.hear_account(account)
            missing = [
                self._known.views[life]
                for life in dict.fromkeys((*waiting, *found))
                if not life.has_ended and (life not in found or life.is_doubtful)
            ]
            report = Reconciliation(product, events, missing)
            self._untold.extend((*events, report))
        self._tell()
        return report

    def _settle_positions(self, product: str, told: Iterable[Position], mark: int) -> None:
        symbols = [s for s, one in self._holdings.positions.items() if _product_of(one) == product]
        listed = []
        for position in told:
            listed.append(position.symbol or "")
            self._holdings.hear(position, self._count)
        self._holdings.keep_only(listed, symbols, mark)

    def not_found(self, order: TrackedOrder) -> list[OrderEvent]:
        """The venue was asked for it and does not find it. It is unknown from now on, and kept;
        unless it has been heard of since, as it no longer is what it was."""
        with self._lock:
            life = self._known.found(order.product, order.order_id, order.client_order_id)
            if life is None or self._known.views[life] != order:
                return []
            self._count += 1
            events = self._known.changed(life, life.lose, self._count)
            self._untold.extend(events)
        self._tell()
        return events

    def doubtful(self, product: str | None = None) -> list[TrackedOrder]:
        """The orders that the venue should be asked for: the unknown ones, and those that may have
        ended since a cancellation or modification was refused."""
        with self._lock:
            return [
                self._known.views[life]
                for life in self._known.lives()
                if life.is_doubtful and product in (None, life.product)
            ]

    def incomplete(self, product: str) -> list[TrackedOrder]:
        """The orders, ended ones too, of which more is filled than was told fill by fill."""
        with self._lock:
            lives = (
                life for life in self._known.views if life.product == product and life.lacks_fills
            )
            return [self._known.views[life] for life in lives]

    def latest_ms(self, product: str) -> int | None:
        """The latest time of the venue's in a push about an order of this product."""
        return self._latest_ms.get(product)

    # ---------------------------------------------------------------- what is known

    def __iter__(self) -> Iterator[TrackedOrder]:
        return iter(self.open())

    def open(self, symbol: str | None = None) -> list[TrackedOrder]:
        """The open orders, all or those of a symbol, the oldest first."""
        with self._lock:
            lives = self._known.lives() if symbol is None else self._known.open.get(symbol, ())
            return [self._known.views[life] for life in lives]

    def __getitem__(self, order_id: int | str) -> TrackedOrder:
        """By the client's order id, else by the venue's. Raises KeyError, and UsageError where it
        names one order of each product."""
        with self._lock:
            found = self._known.named(order_id, (OPTIONS, FUTURES))
        if len(found) > 1:
            raise UsageError(f"{order_id} names orders of both products")
        if not found:
            raise KeyError(order_id)
        return found[0]

    def __contains__(self, order_id: object) -> bool:
        with self._lock:
            return bool(self._known.named(order_id, (OPTIONS, FUTURES)))

    def get(
        self,
        product: str,
        *,
        order_id: int | str | None = None,
        client_order_id: int | str | None = None,
    ) -> TrackedOrder | None:
        """An order of a product, by either id; None where there is none."""
        with self._lock:
            life = self._known.found(product, order_id, client_order_id)
            return None if life is None else self._known.views[life]

    def fills(self, order: TrackedOrder) -> list[Fill]:
        """What was told of its fills one by one, each once; where some were missed, their sum is
        less than its `filled_qty`."""
        with self._lock:
            life = self._known.found(order.product, order.order_id, order.client_order_id)
            return [] if life is None else list(life.fills.values())

    @property
    def positions(self) -> Mapping[str, Position]:
        """By symbol, as they were told last; a closed one may be among them."""
        with self._lock:
            return dict(self._holdings.positions)

    def position(self, symbol: str) -> Position | None:
        """The one of a symbol as it was told last; None where none was, or none is left."""
        return self._holdings.positions.get(symbol)

    def position_qty(self, symbol: str) -> Decimal:
        """Its exact size, below 0 where it is short, 0 where there is none."""
        return signed_qty(self.position(symbol))

    @property
    def account(self) -> Account | None:
        """Balances and margins as they were told last."""
        return self._holdings.account

    def net(self, book: OrderBook) -> Depth:
        """The book without one's own resting and in-flight size, at most its 100 levels a side.

        At each price where one's own orders stand or may stand, that much less, and no level where
        nothing is left; what has gone by an order's time still stands in a book from before it.
        `Depth.microprice` and its like are nan where a side is empty.
        """
        with self._lock:
            own = self._known.own(book.symbol or "")
        return net(book, own)

    def __repr__(self) -> str:
        with self._lock:
            numbers = len(list(self._known.lives())), len(self._holdings.positions)
        return "<OrderTracker: {} open orders, {} positions>".format(*numbers)

    # ---------------------------------------------------------------- who is told

    def on(self, kind: EventKind | str, callback: Callback) -> None:
        """Calls back with each `OrderEvent` of a kind, of "any" kind, or with each `Reconciliation`
        for "reconciled", on the thread that fed what it came of.

        One thread calls at a time, in the order in which it happened. A callback that raises is
        logged and kept.
        """
        if kind not in (*EventKind, "any", RECONCILED):
            raise UsageError(f"{kind!r} is none of {', '.join(EventKind)}, any, {RECONCILED}")
        with self._lock:
            self._callbacks[kind] = (*self._callbacks.get(kind, ()), callback)

    def _tell(self) -> None:
        """One thread at a time; what the others have, and what callbacks cause, it tells too."""
        while True:
            with self._lock:
                if self._is_telling or not self._untold:
                    return
                self._is_telling, told = True, self._untold.popleft()
            try:
                self._call(told)
            finally:  # an interrupt ends this thread's telling alone
                self._is_telling = False

    def _call(self, told: OrderEvent | Reconciliation) -> None:
        names = (told.kind, "any") if isinstance(told, OrderEvent) else (RECONCILED,)
        for name in names:
            for callback in self._callbacks.get(name, ()):
                try:
                    callback(told)
                except Exception as error:
                    log.exception("a callback for %s orders raised", name)
                    if self._on_error is not None:
                        self._on_error(error)

    def orphan(self) -> None:
        """In a child after a fork: the lock may be held by a thread that is not here."""
        self._lock = threading.RLock()
        self._is_telling = False


def _product_of(message: Any) -> str:
    """By its channel; of REST by its symbol, since an option's names a strike."""
    if message.dt is not None and message.dt in _PRODUCTS:
        return _PRODUCTS[message.dt]
    strike, _ = ChainRow.terms_of(getattr(message, "symbol", None) or "")
    return FUTURES if strike != strike else OPTIONS

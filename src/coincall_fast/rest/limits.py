"""`Limits`: an `order_guard` that knows the largest order, and prices that are too far away.

What it cannot judge it forbids: a reference that is missing, old or nan, a change of an order that
nobody knows. Numbers are exact: what a caller gave, against what the venue's digits say.
"""

import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from decimal import Context, Decimal
from fnmatch import fnmatchcase
from typing import NamedTuple, TypeAlias

from .._book import BookStore, OrderBook
from ..errors import CoincallFastError, OrderVetoed, StaleError, UsageError
from ..message import Order, Ticker
from ..model import OrderType, Side
from ..steps import Stage, Step
from .decimals import Number, exactly

__all__ = ["Limit", "Limits", "MarkPrices", "Reference"]

MAX_AGE_MS = 2000
KEPT = 10_000  # orders whose changes can be judged without being asked for

_EXACT = Context(prec=80)

# The price of a symbol by which others are judged; None or nan where there is none.
Reference: TypeAlias = BookStore | Callable[[str], Number | None]


class Limit(NamedTuple):
    """What an order may be at the most; None is no limit.

    ``max_qty``       its quantity
    ``max_notional``  its quantity times its price, in dollars: of Coincall's instruments quantities
                      are in base units, so that no multiplier comes in (protocol page, section 5,
                      row 23)
    ``price_band``    how much worse than the reference its price is, as a part of that: 0.05 lets a
                      buy pay 5 % more and a sell get 5 % less. A better price is never too far
    """

    max_qty: Number | None = None
    max_notional: Number | None = None
    price_band: Number | None = None


class _Exact(NamedTuple):
    """A `Limit` in the caller's own digits."""

    max_qty: Decimal | None
    max_notional: Decimal | None
    price_band: Decimal | None

    @classmethod
    def of(cls, limit: Limit) -> "_Exact":
        return cls(*(_given(name, getattr(limit, name)) for name in cls._fields))


class Limits:
    """Limits(max_qty=None, max_notional=None, price_band=None, *, by_symbol={}, reference=None,
    max_age_ms=2000, known=None)

    An `order_guard`: `Client(order_guard=Limits(max_notional=50_000, price_band="0.02",
    reference=stream.store))`. Raises OrderVetoed for an order, a modification or an item of a batch
    that is beyond a limit, or that it cannot judge. Any thread may call.

    by_symbol: a `Limit` by symbol, or by a pattern such as "BTCUSD-*", which is all options of that
    index; the first that fits decides, and what it leaves open is as for all others.
    reference: the mid of the books of a store, if they are valid, not crossed and not older than
    `max_age_ms`; or a function from the symbol to a price, such as `MarkPrices`. A band needs one,
    and a market order needs a store, since its price is the worst one that it would trade at now; a
    stop-market order cannot be judged by price.
    known: the order that a modification changes, as it stands, or None; beside those that its
    client has placed, each step of which it is told. A band needs it, for the side; and so does a
    `max_notional`, unless a modification has both quantity and price.
    """

    def __init__(
        self,
        max_qty: Number | None = None,
        max_notional: Number | None = None,
        price_band: Number | None = None,
        *,
        by_symbol: Mapping[str, Limit] | None = None,
        reference: Reference | None = None,
        max_age_ms: int = MAX_AGE_MS,
        known: Callable[[Order], Order | None] | None = None,
    ) -> None:
        self._overall = _Exact.of(Limit(max_qty, max_notional, price_band))
        self._by_symbol = {name: _Exact.of(limit) for name, limit in (by_symbol or {}).items()}
        every = (self._overall, *self._by_symbol.values())
        if reference is None and any(limit.price_band is not None for limit in every):
            raise UsageError("a price_band needs a reference")
        self._reference = reference
        self._max_age_ns = max_age_ms * 1_000_000
        self._known = known
        self._orders: OrderedDict[tuple[str, int], Order] = OrderedDict()
        self._locked = threading.Lock()  # over these

    def _limit(self, symbol: str) -> _Exact:
        own = self._by_symbol.get(symbol)
        if own is None:
            fitting = (name for name in self._by_symbol if fnmatchcase(symbol, name))
            own = self._by_symbol.get(next(fitting, ""), self._overall)
        both = zip(own, self._overall, strict=True)
        return _Exact(*(overall if one is None else one for one, overall in both))

    def __call__(self, order: Order) -> None:
        """Raises OrderVetoed for what may not be sent."""
        symbol = order.symbol or ""
        limit = self._limit(symbol)
        if order.order_type is None:  # a modification
            with _judging(symbol):
                order = self._changed(order, limit)
        qty = order.exact("qty")
        if limit.max_qty is not None and qty is not None and not 0 < qty <= limit.max_qty:
            raise OrderVetoed(f"{symbol}: a quantity of {qty:f} is beyond {limit.max_qty:f}")
        if limit.max_notional is None and limit.price_band is None:
            return
        with _judging(symbol):
            lowest, highest = self._prices(order, symbol)
            if limit.max_notional is not None:
                notional = _EXACT.multiply(_needed(qty, "its quantity"), highest)
                if not notional <= limit.max_notional:
                    raise OrderVetoed(
                        f"{symbol}: {notional:f} dollars are beyond {limit.max_notional:f}"
                    )
            if limit.price_band is not None:
                self._check_band(order.side, lowest, highest, limit.price_band, symbol)

    def _check_band(
        self, side: object, lowest: Decimal, highest: Decimal, band: Decimal, symbol: str
    ) -> None:
        reference = self._reference_of(symbol)
        width = _EXACT.multiply(reference, band)
        if side == Side.BUY:
            price, bound = highest, _EXACT.add(reference, width)
            is_within = price <= bound
        elif side == Side.SELL:
            price, bound = lowest, _EXACT.subtract(reference, width)
            is_within = price >= bound
        else:
            raise _Unknown("its side is not known")
        if not is_within:
            raise OrderVetoed(
                f"{symbol}: a price of {price:f} is beyond {bound:f}, for one of {reference:f}"
            )

    # ---------------------------------------------------------------- prices

    def _prices(self, order: Order, symbol: str) -> tuple[Decimal, Decimal]:
        """The lowest and the highest price that an order may trade at: its own, or those at which a
        market order would trade now."""
        price = order.exact("price")
        if price is not None:
            return price, price
        if order.order_type != OrderType.MARKET:
            raise _Unknown("its price is not known")
        if not isinstance(self._reference, BookStore):
            raise _Unknown("only a book tells what a market order trades at")
        if order.side not in (Side.BUY, Side.SELL):
            raise _Unknown("its side is not known")
        side = Side(order.side)
        book = self._book(symbol)
        best = book.best_ask if side is Side.BUY else book.best_bid
        swept = book.sweep(side, _needed(order.exact("qty"), "its quantity"))
        if swept.exhausted:
            raise _Unknown("the book is not deep enough for it")
        prices = _price(swept.worst), _price(swept.price), _price(best)
        return min(prices), max(prices)

    def _reference_of(self, symbol: str) -> Decimal:
        if isinstance(self._reference, BookStore):
            book = self._book(symbol)
            bid, _, ask, _ = book.bbo
            if not bid <= ask:  # crossed, or one of them is nan
                raise _Unknown(f"the book has a bid of {bid} and an ask of {ask}")
            return _EXACT.divide(_EXACT.add(_price(bid), _price(ask)), Decimal(2))
        assert self._reference is not None
        return _price(self._reference(symbol))

    def _book(self, symbol: str) -> OrderBook:
        assert isinstance(self._reference, BookStore)
        book = self._reference.get(symbol)
        if book is None:
            raise _Unknown("there is no book of it")
        book.check(self._max_age_ns, time.monotonic_ns())
        return book

    # ---------------------------------------------------------------- modifications

    def on_step(self, step: Step) -> None:
        """Remembers orders as they are placed and changed. A client that it guards tells it; of
        another one, `client.on_step(limits.on_step)` does."""
        keys = [
            (name, value)
            for name in ("order_id", "client_order_id")
            if (value := getattr(step.order, name)) is not None
        ]
        with self._locked:
            known = next((self._orders[key] for key in keys if key in self._orders), None)
            told: Order | None = None
            if step.stage is Stage.TAKEN and step.verb == "place_order":
                told = step.order
            elif step.stage is Stage.TAKEN and step.verb == "modify_order" and known is not None:
                told = _merged(known, step.order)
            elif step.stage in (Stage.FOUND, Stage.LATE):
                told = step.order
            elif step.stage is Stage.REFUSED:
                return
            if told is not None:
                keys = list(dict.fromkeys([*keys, *_keys_of(told)]))
                self._orders.update(dict.fromkeys(keys, told))
            elif step.stage is Stage.UNKNOWN:  # nobody knows which of the two it is now
                for key in [*keys, *_keys_of(known)]:
                    self._orders.pop(key, None)
            while len(self._orders) > 2 * KEPT:
                self._orders.popitem(last=False)

    def _changed(self, change: Order, limit: _Exact) -> Order:
        """What an order would be after a change; the change alone, where that says enough."""
        needs_qty = limit.max_notional is not None
        needs_price = needs_qty or limit.price_band is not None
        has = [change.exact(name) is not None for name in ("qty", "price")]
        if not needs_price or (all(has) and limit.price_band is None):
            return change
        with self._locked:
            known = next((self._orders[k] for k in _keys_of(change) if k in self._orders), None)
        if known is None and self._known is not None:
            known = self._known(change)
        if known is None or known.symbol not in (None, change.symbol):
            raise _Unknown("the order that is to be changed is not known")
        return _merged(known, change)


class MarkPrices:
    """MarkPrices(max_age_ms=2000): the mark prices of a stream's tickers as a reference.

    `stream.on(Channel.TICKER, marks.put)`; then `Limits(reference=marks, …)`. One that is older is
    none.
    """

    def __init__(self, max_age_ms: int = MAX_AGE_MS) -> None:
        self._max_age_ns = max_age_ms * 1_000_000
        self._prices: dict[str, tuple[int, Decimal | None]] = {}

    def put(self, ticker: Ticker) -> None:
        """Any thread; one without a mark price takes away the last one."""
        if ticker.symbol is not None:
            self._prices[ticker.symbol] = time.monotonic_ns(), ticker.exact("mark_price")

    def __call__(self, symbol: str) -> Decimal | None:
        put_ns, price = self._prices.get(symbol, (0, None))
        return price if time.monotonic_ns() - put_ns <= self._max_age_ns else None


class _Unknown(Exception):
    """Why an order cannot be judged."""


@contextmanager
def _judging(symbol: str) -> Iterator[None]:
    try:
        yield
    except (_Unknown, StaleError) as error:
        raise OrderVetoed(f"{symbol}: it cannot be judged: {error}") from None
    except OrderVetoed:
        raise
    except CoincallFastError as error:
        raise OrderVetoed(f"{symbol}: it cannot be judged: {error}") from error


def _given(name: str, value: Number | None) -> Decimal | None:
    if value is None:
        return None
    number = exactly(value, name)
    if number < 0:
        raise UsageError(f"{name} is not negative: {number}")
    return number


def _price(value: Number | None) -> Decimal:
    if value is None or (isinstance(value, float | Decimal) and not math.isfinite(value)):
        raise _Unknown(f"its reference is {value}")
    price = exactly(value, "reference")
    if price <= 0:
        raise _Unknown(f"its reference is {price}")
    return price


def _needed(value: Decimal | None, what: str) -> Decimal:
    if value is None:
        raise _Unknown(f"{what} is not known")
    return value


def _merged(known: Order, change: Order) -> Order:
    """The known order with what a change says."""
    said = {
        name: change.exact(name) if change.exact(name) is not None else known.exact(name)
        for name in ("qty", "price")
    }
    kept = {
        name: getattr(known, name)
        for name in ("symbol", "side", "order_type", "order_id", "client_order_id")
    }
    return Order(**{name: value for name, value in {**kept, **said}.items() if value is not None})


def _keys_of(order: Order | None) -> list[tuple[str, int]]:
    names = ("order_id", "client_order_id") if order is not None else ()
    return [(name, value) for name in names if (value := getattr(order, name)) is not None]

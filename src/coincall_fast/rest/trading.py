"""Orders: the verbs that options and futures have in common.

Seed 003; protocol page, sections 2.4 and 2.5. What the venue answers is that it has taken a
request, not that it is done: how an order stands, a query or the stream says.
"""

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from .._book import OrderBook
from ..errors import (
    CoincallFastError,
    DecodeError,
    OrderNotFound,
    OrderVetoed,
    SymbolMismatch,
    TransportError,
    Unavailable,
    UsageError,
    VenueError,
)
from ..message import Fill, Order, Position, Trade
from ..model import OrderState, OrderType, Side, TimeInForce
from .answers import Levels, Page
from .calls import Rest
from .codes import GONE
from .decimals import Number
from .endpoints import ENDPOINTS
from .instruments import Instrument
from .pages import by_cursor, by_page
from .tickets import (
    Outcome,
    answered_id,
    as_order,
    check_change,
    check_grid,
    check_new,
    given,
    id_of,
    one_id,
    outcome_of,
    pieces,
    rows_of,
)

__all__ = ["Guard", "Trading"]

# Sees what is about to be asked for, as an `Order` without a state; raises to forbid it.
Guard = Callable[[Order], object]

MOST_IN_A_PAGE = 500
ASK_AGAIN_S = 60.0  # for the instruments of an index, when a symbol is in none of them


class Trading:
    """One product's orders. Any thread may call; every call but `open_orders` is one request, or
    one a page.

    Prices and quantities are `str`, `int`, `Decimal` or `float` (which stands for its repr).
    """

    product: str

    def __init__(self, rest: Rest, guard: Guard | None, is_read_only: bool) -> None:
        self._rest = rest
        self._guard = guard
        self._is_read_only = is_read_only
        self._instruments: dict[str, Instrument] = {}  # never changed, but replaced
        self._listing = threading.Lock()  # over the replacing
        self._asked_s: dict[str, float] = {}  # when each index's instruments were asked for
        self.traded: set[str] = set()  # indexes in which orders were placed

    def _read(self, verb: str, *, end_s: float | None = None, **arguments: Any) -> Any:
        return self._rest.call(f"{self.product}.{verb}", arguments, end_s)

    def _write(self, verb: str, *, end_s: float | None = None, **arguments: Any) -> Any:
        self._refuse_if_read_only(verb)
        return self._rest.call(f"{self.product}.{verb}", arguments, end_s)

    def _refuse_if_read_only(self, verb: str) -> None:
        if self._is_read_only:
            raise UsageError(f"this client is read-only: no {verb}")

    # ---------------------------------------------------------------- markets

    def order_book(self, symbol: str) -> OrderBook:
        """The book as it stands, up to 100 levels a side; a new one, and the caller's own."""
        levels: Levels = self._read("order_book", symbol=symbol)
        if levels.symbol not in (None, symbol):
            raise SymbolMismatch(f"asked for the book of {symbol}, got that of {levels.symbol}")
        book = OrderBook(symbol)
        book.load(levels.bids, levels.asks, levels.ts_ms, time.monotonic_ns())
        return book

    def last_trades(self, symbol: str) -> list[Trade]:
        """The last public trades. Live, an option's `symbol` was seen to be its pair here."""
        trades: list[Trade] = self._read("last_trades", symbol=symbol)
        return trades

    def _load_instruments(self, index: str) -> None:
        raise NotImplementedError

    @staticmethod
    def index_of(symbol: str) -> str:
        """The index of an option, such as BTCUSD; of a perpetual, itself."""
        return symbol.partition("-")[0]

    @staticmethod
    def base_of(index: str) -> str:
        """The pair and its base differ by the dollar: BTCUSD and BTC (section 5, quirk 19)."""
        return index.removesuffix("USD")

    def instrument(self, symbol: str) -> Instrument | None:
        """The instrument of a symbol; None where the venue does not list it, or it has expired.

        Asks the venue the first time, and once a minute for a symbol that it did not know: `None`
        of one that was listed within this minute ends with a call of `instruments`.
        """
        found = self._listed(symbol)
        if found is not None or not isinstance(symbol, str):
            return found
        index = self.index_of(symbol)
        now_s = time.monotonic()
        if now_s - self._asked_s.get(index, -ASK_AGAIN_S) >= ASK_AGAIN_S:
            self._load_instruments(index)
            self._asked_s[index] = now_s
        return self._listed(symbol)

    def _listed(self, symbol: str) -> Instrument | None:
        found = self._instruments.get(symbol)
        if found is None or found.expiry_ms is None:
            return found
        return found if self._rest.now_ms() < found.expiry_ms else None

    def _list(self, found: Mapping[str, Instrument], base: str | None = None) -> None:
        """What orders are checked against from now on: of a base, or of all."""
        with self._listing:
            others = {
                symbol: one
                for symbol, one in self._instruments.items()
                if base is not None and self.base_of(one.index) != base
            }
            self._instruments = {**others, **found}

    # ---------------------------------------------------------------- orders

    def place_order(
        self,
        *,
        symbol: str,
        side: Side | str,
        qty: Number,
        order_type: OrderType | str,
        price: Number | None = None,
        client_order_id: int | None = None,
        time_in_force: TimeInForce | str | None = None,
        stp: int | None = None,
        reduce_only: bool | None = None,
        mmp: bool | None = None,
        trigger_price: Number | None = None,
    ) -> Order:
        """Places one order, and returns it as it was asked for, with its `order_id`; its `state` is
        None until somebody asks.

        Refused before sending (UsageError): an order without the price that its type needs or with
        one that it does not take, what is off the instrument's tick or lot, and a symbol that is
        not listed (see `instrument`). The first order of an index asks the venue for its
        instruments, unless `instruments` was called.
        Sent once: after a DecodeError (an answer that nobody can read), or a TransportError or
        Unavailable with `is_sent`, it may stand.
        """
        fields = given(locals())
        self._allow([fields], check_new)
        self.traded.add(self.index_of(symbol))
        return as_order(fields, self._write("place_order", **fields))

    def place_orders(self, orders: Iterable[Mapping[str, Any]]) -> list[Outcome]:
        """Places several, each a mapping of what `place_order` takes; one outcome each, in order.

        One that is refused here, or by the guard, refuses them all before anything is sent.
        """
        tickets = [given(order) for order in orders]
        self._allow(tickets, check_new)
        for fields in tickets:
            self.traded.add(self.index_of(fields["symbol"]))
        return self._placed(tickets)

    def _placed(self, tickets: Sequence[dict[str, Any]]) -> list[Outcome]:
        """One by one, since the venue has no batch for this product."""
        return [self._tried("place_order", fields) for fields in tickets]

    def modify_order(
        self,
        *,
        symbol: str,
        order_id: int | None = None,
        client_order_id: int | None = None,
        qty: Number | None = None,
        price: Number | None = None,
    ) -> Order:
        """Changes an order's size or price; what is refused leaves it as it was.

        A `qty` at or below what is filled makes it FILLED. Checked, guarded and sent as a new one.
        """
        fields = given(locals())
        self._allow([fields], check_change)
        return as_order(fields, self._write("modify_order", **fields))

    def modify_orders(self, orders: Iterable[Mapping[str, Any]]) -> list[Outcome]:
        """Changes several, each a mapping of what `modify_order` takes, by `order_id`; one outcome
        each, in order. The venue answers in another order, and names no other id."""
        changes = [given(order) for order in orders]
        if not all("order_id" in fields for fields in changes):
            raise UsageError("a batch of modifications goes by order_id")
        self._allow(changes, check_change)
        return self._modified(changes)

    def _modified(self, changes: Sequence[dict[str, Any]]) -> list[Outcome]:
        return [self._tried("modify_order", fields) for fields in changes]

    def cancel_order(
        self, *, order_id: int | None = None, client_order_id: int | None = None
    ) -> None:
        """Asks for the end of an order. For one that is not open, raises OrderNotFound, whose
        `state` is how it ended: asked for where the refusal does not say."""
        self._refuse_if_read_only("cancel_order")
        ids = one_id(locals())
        try:
            self._write("cancel_order", **ids)
            return
        except VenueError as error:
            if error.code not in GONE:
                raise
            gone = OrderNotFound(error.message, error.code, error.venue, error.endpoint)
        gone.state = self._state_of(gone, ids)
        raise gone

    def _state_of(self, gone: OrderNotFound, ids: Mapping[str, int]) -> int | None:
        known = {11101: OrderState.CANCELED, 11102: OrderState.FILLED}.get(gone.code or 0)
        try:
            state: int | None = self.order(**ids).state
        except CoincallFastError:
            return known
        # What is told of orders may lag behind what is done to them.
        return known if isinstance(state, OrderState) and state.is_open else state

    def cancel_orders(self, orders: Iterable[int | Order | Mapping[str, int]]) -> list[Outcome]:
        """Asks for the end of several: an order id, an `Order`, or a mapping with `order_id` or
        `client_order_id` each; one outcome each, in order."""
        self._refuse_if_read_only("cancel_orders")
        wanted = [id_of(order) for order in orders]
        found: dict[tuple[str, int], Outcome] = {}
        failures = []
        for name in ("order_id", "client_order_id"):
            for some in pieces([value for kind, value in wanted if kind == name]):
                try:
                    found |= self._cancelled(name, some)
                except (VenueError, TransportError, DecodeError) as error:
                    failures.append(error)
                    found |= {(name, value): Outcome(None, error) for value in some}
        outcomes = [found.get(key) or self._untold("cancel_orders", *key) for key in wanted]
        if failures and all(outcome.error in failures for outcome in outcomes):
            raise failures[-1]
        return outcomes

    def _cancelled(self, name: str, ids: Sequence[int]) -> dict[tuple[str, int], Outcome]:
        """The outcomes of one request, by the ids that its rows name."""
        told = "ordId" if name == "order_id" else "clOrdId"
        rows = rows_of(self._write("cancel_orders", end_s=None, **{f"{name}s": ids}))
        path, hide = self._path("cancel_orders"), self._rest.hide
        return {
            (name, said): outcome_of(row, {name: said}, path, hide)
            for row in rows
            if (said := answered_id(row, told)) is not None
        }

    def _untold(self, verb: str, name: str, value: object) -> Outcome:
        what = f"no answer for {name} {value}"
        return Outcome(None, VenueError(what, endpoint=self._path(verb)))

    def _path(self, verb: str) -> str:
        """How errors call what a verb asks for."""
        endpoint = ENDPOINTS[f"{self.product}.{verb}"]
        return f"{endpoint.method} {endpoint.path}"

    def cancel_all(self, index: str, *, end_s: float | None = None) -> None:
        """Asks for the end of all orders of an index, such as "BTCUSD". `end_s`, of the clock of
        `time.monotonic`, ends the call before its own timeout does."""
        self._write("cancel_all", index=index, end_s=end_s)

    # ---------------------------------------------------------------- what stands and what was

    def positions(self) -> list[Position]:
        """All open positions."""
        positions: list[Position] = self._read("positions")
        return positions

    def order(self, *, order_id: int | None = None, client_order_id: int | None = None) -> Order:
        """One order as it stands, open or not. Raises OrderNotFound."""
        order: Order = self._read("order", **one_id(locals()))
        return order

    def open_orders(
        self,
        *,
        currency: str | None = None,
        symbol: str | None = None,
        end_s: float | None = None,
    ) -> list[Order]:
        """All open orders: of a currency ("BTC"), of a symbol, else all. The venue is documented to
        know the one of options and the other of futures; both are looked at here too.

        The list is read by pages, between which orders may come and go. `end_s` is as for
        `cancel_all`.
        """

        def read(page: int) -> Page:
            fields = {"currency": currency, "symbol": symbol, "page_size": MOST_IN_A_PAGE}
            rows: Page = self._read("open_orders", end_s=end_s, page=page, **fields)
            return rows

        def is_asked_for(order: Order) -> bool:
            if order.symbol is None:  # rather one too many than one that nobody knows of
                return True
            base = self.base_of(self.index_of(order.symbol))
            return symbol in (None, order.symbol) and currency in (None, base)

        found = {order.order_id: order for order in by_page(read, MOST_IN_A_PAGE)}
        return [order for order in found.values() if is_asked_for(order)]

    def order_history(
        self,
        *,
        start_ms: int | None = None,
        end_ms: int | None = None,
        page_size: int = MOST_IN_A_PAGE,
    ) -> Iterator[Order]:
        """Orders that have ended, the newest first: of the last 24 hours unless told, of 90 days
        at the most. Iterates over all pages, each of them asked for when it is needed."""
        return self._by_cursor(
            "order_history", "order_id", start_ms=start_ms, end_ms=end_ms, page_size=page_size
        )

    def trade_history(
        self,
        *,
        start_ms: int | None = None,
        end_ms: int | None = None,
        page_size: int = MOST_IN_A_PAGE,
    ) -> Iterator[Fill]:
        """One's own fills, the newest first; as `order_history`."""
        return self._by_cursor(
            "trade_history", "trade_id", start_ms=start_ms, end_ms=end_ms, page_size=page_size
        )

    def _by_cursor(self, verb: str, key: str, **arguments: Any) -> Iterator[Any]:
        """All rows of a history whose pages begin below an id (protocol page, section 2.10)."""
        return by_cursor(lambda from_id: self._read(verb, from_id=from_id, **arguments), key)

    # ---------------------------------------------------------------- checks, before sending

    def _allow(
        self, orders: Sequence[dict[str, Any]], check: Callable[[Mapping[str, Any]], None]
    ) -> None:
        """All of them, or raises: what this client may do, what can be right, what the instruments
        allow, and at last what the guard says."""
        self._refuse_if_read_only("orders")
        for fields in orders:
            check(fields)
            check_grid(fields, self._instrument_of_order(fields["symbol"]))
        for fields in orders:
            if self._guard is not None and self._guard(as_order(fields)) is False:
                raise OrderVetoed("the order_guard does not allow this order")

    def _instrument_of_order(self, symbol: str) -> Instrument | None:
        """`instrument`, whose failure tells that nothing of the order was sent."""
        try:
            return self.instrument(symbol)
        except (TransportError, Unavailable) as error:
            error.is_sent = False
            raise
        except DecodeError as error:
            failure = Unavailable(f"nothing was sent, since its instrument is not known: {error}")
        failure.is_sent = False
        raise failure

    def _tried(self, verb: str, fields: dict[str, Any]) -> Outcome:
        """One item by itself; what goes wrong with it does not end the batch."""
        try:
            return Outcome(as_order(fields, self._write(verb, **fields)), None)
        except (VenueError, TransportError, DecodeError) as error:
            return Outcome(None, error)

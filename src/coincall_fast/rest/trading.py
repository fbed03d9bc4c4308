"""Orders: the verbs that options and futures have in common.

Seed 003; protocol page, sections 2.4 and 2.5. What the venue answers is that it has taken a
request, not that it is done: how an order stands, a query or the stream says. Where it does not
answer, inquiry.py finds out what became of it.
"""

import threading
import time
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from typing import Any

from .._book import OrderBook
from ..errors import (
    CoincallFastError,
    DecodeError,
    OrderNotFound,
    OrderVetoed,
    RateLimited,
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
from .ids import NEXT_ID
from .inquiry import KNOWN, Asked, Attempt, Desk
from .instruments import Instrument
from .outcomes import is_unknown
from .pages import by_cursor, by_page
from .tickets import (
    Outcome,
    as_order,
    check_change,
    check_grid,
    check_new,
    failed,
    given,
    id_of,
    identified,
    is_done,
    numbered,
    one_id,
    pieces,
    rows_of,
    said_id,
)

__all__ = ["Guard", "Trading", "outcome"]

# Sees what is about to be asked for, as an `Order` without a state; raises to forbid it.
Guard = Callable[[Order], object]

MOST_IN_A_PAGE = 500
MOST_LOOKED_AT = 20 * MOST_IN_A_PAGE  # of the history, for an order whose outcome is unknown
ASK_AGAIN_S = 60.0  # for the instruments of an index, when a symbol is in none of them


class Trading:
    """One product's orders. Any thread may call. A call is one request, or one a page; and more
    where the outcome of a write is unknown.

    Prices and quantities are `str`, `int`, `Decimal` or `float` (which stands for its repr).
    """

    product: str

    def __init__(
        self, rest: Rest, guard: Guard | None, is_read_only: bool, desk: Callable[[Asked], Desk]
    ) -> None:
        self._rest = rest
        self._asking = Asking(self, rest)
        self._desk = desk(self._asking)
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
        """Places one order, and returns it as it was asked for, with its ids; its `state` is None
        until somebody asks. Without a `client_order_id` it gets one.

        Refused before sending (UsageError): an order without the price that its type needs or with
        one that it does not take, what is off the instrument's tick or lot, and a symbol that is
        not listed (see `instrument`). The first order of an index asks the venue for its
        instruments, unless `instruments` was called.
        Sent once. Where its outcome is unknown the venue is asked for it, for about 6 s: then it is
        returned as the venue has it, with its state; or the first error is raised, `is_inferred`,
        since the venue does not have it; or AmbiguousOrderError, where it could not be asked.
        """
        fields = given(locals())
        own = numbered([fields], NEXT_ID)
        orders = self._allow("place_order", [fields], check_new)
        self.traded.add(self.index_of(symbol))
        return self._one("place_order", fields, orders, own)

    def place_orders(self, orders: Iterable[Mapping[str, Any]]) -> list[Outcome]:
        """Places several, each a mapping of what `place_order` takes; one outcome each, in order.

        One that is refused here, or by the guard, refuses them all before anything is sent.
        """
        tickets = [given(order) for order in orders]
        own = numbered(tickets, NEXT_ID)
        asked = self._allow("place_orders", tickets, check_new)
        if len({order.client_order_id for order in asked}) < len(asked):
            raise UsageError("two orders of a batch have one client_order_id")
        for fields in tickets:
            self.traded.add(self.index_of(fields["symbol"]))
        return self._placed(tickets, asked, own)

    def _placed(
        self, tickets: Sequence[dict[str, Any]], asked: Sequence[Order], own: Container[int]
    ) -> list[Outcome]:
        """One by one, since the venue has no batch for this product."""
        return self._each("place_order", tickets, asked, own)

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
        Where its outcome is unknown the venue is asked for the order: it is returned where it has
        the new values; OrderNotFound is raised where it has ended, and else as by `place_order`.
        """
        fields = given(locals())
        orders = self._allow("modify_order", [fields], check_change)
        return self._one("modify_order", fields, orders)

    def modify_orders(self, orders: Iterable[Mapping[str, Any]]) -> list[Outcome]:
        """Changes several, each a mapping of what `modify_order` takes; one outcome each, in
        order. The venue answers in another order, and names order ids only."""
        changes = [given(order) for order in orders]
        asked = self._allow("modify_orders", changes, check_change)
        return self._modified(changes, asked)

    def _modified(self, changes: Sequence[dict[str, Any]], asked: Sequence[Order]) -> list[Outcome]:
        return self._each("modify_order", changes, asked)

    def cancel_order(
        self, *, order_id: int | None = None, client_order_id: int | None = None
    ) -> None:
        """Asks for the end of an order. For one that is not open, raises OrderNotFound, whose
        `state` is how it ended: asked for where the refusal does not say.

        Where its outcome is unknown the venue is asked for the order, and the cancellation
        repeated, until either says that it is done.
        """
        self._refuse_if_read_only("cancel_order")
        ids = one_id(locals())
        end_s = self._rest.clock() + self._rest.total_s
        with self._desk.about("cancel_order", [Order(**ids)]) as (attempt,):
            self._desk.sent(attempt)
            try:
                self._write("cancel_order", end_s=end_s, **ids)
            except CoincallFastError as error:
                if isinstance(error, VenueError) and error.code in GONE:
                    gone = OrderNotFound(error.message, error.code, error.venue, error.endpoint)
                    gone.state = self._state_of(gone, ids, end_s)
                    self._desk.failed(attempt, gone)
                else:
                    self._desk.failed(attempt, error)
            else:
                self._desk.taken(attempt, attempt.order)
        attempt.result()

    def _state_of(self, gone: OrderNotFound, ids: Mapping[str, int], end_s: float) -> int | None:
        known = KNOWN.get(gone.code)
        try:
            state: int | None = self._order(ids, end_s).state
        except CoincallFastError:
            return known
        # What is told of orders may lag behind what is done to them.
        return known if isinstance(state, OrderState) and state.is_open else state

    def cancel_orders(self, orders: Iterable[int | Order | Mapping[str, int]]) -> list[Outcome]:
        """Asks for the end of several: an order id, an `Order`, or a mapping with `order_id` or
        `client_order_id` each; one outcome each, in order."""
        self._refuse_if_read_only("cancel_orders")
        wanted = [id_of(order) for order in orders]
        whole: list[CoincallFastError] = []
        with self._desk.about("cancel_order", [Order(**dict([key])) for key in wanted]) as attempts:
            for name in ("order_id", "client_order_id"):
                mine = [a for a, key in zip(attempts, wanted, strict=True) if key[0] == name]
                for some in pieces(mine):
                    failure = self._cancelled(name, some)
                    whole += [failure] * len(some) if failure is not None else []
        # A refusal of every request, and so of no single order.
        if wanted and len(whole) == len(wanted) and not any(map(is_unknown, whole)):
            raise whole[-1]
        return [outcome(attempt) for attempt in attempts]

    def _cancelled(self, name: str, attempts: Sequence[Attempt]) -> CoincallFastError | None:
        """Sends one request, and reads its rows by the ids that they name; or gives its error."""
        for attempt in attempts:
            self._desk.sent(attempt)
        try:
            ids = [getattr(attempt.order, name) for attempt in attempts]
            rows = rows_of(self._write("cancel_orders", end_s=None, **{f"{name}s": ids}))
        except CoincallFastError as error:
            for attempt in attempts:
                self._desk.failed(attempt, error)
            return error
        told = "ordId" if name == "order_id" else "clOrdId"
        by_id: dict[int | None, dict[str, Any]] = {}
        for row in rows:
            said = said_id(row, told)
            if said not in by_id or is_done(row):  # of two that contradict, something was done
                by_id[said] = row
        for attempt in attempts:
            self._read_row("cancel_orders", attempt, by_id.get(getattr(attempt.order, name)))
        return None

    def _read_row(self, verb: str, attempt: Attempt, row: Mapping[str, Any] | None) -> None:
        """What a batch's answer says of one item; None: nothing."""
        if row is None:
            self._desk.unknown(attempt, DecodeError(f"coincall {self._path(verb)}: no answer"))
        elif is_done(row):
            self._desk.taken(attempt, attempt.order)
        else:
            self._row_failed(verb, attempt, row)

    def _row_failed(
        self, verb: str, attempt: Attempt, row: Mapping[str, Any], *, is_sure: bool = True
    ) -> None:
        error = failed(row, self._path(verb), self._rest.hide)
        if isinstance(error, RateLimited):
            self._rest.shut(f"{self.product}.{verb}", error.wait_s)
        self._desk.failed(attempt, error, is_sure=is_sure)

    def _path(self, verb: str) -> str:
        """How errors call what a verb asks for."""
        endpoint = ENDPOINTS[f"{self.product}.{verb}"]
        return f"{endpoint.method} {endpoint.path}"

    def cancel_all(self, index: str, *, end_s: float | None = None) -> None:
        """Asks for the end of all orders of an index, such as "BTCUSD". `end_s`, of the clock of
        `time.monotonic`, ends the call before its own timeout does.

        Repeated until it is acknowledged, as long as there is time: to do it twice does no harm.
        """
        self._repeated("cancel_all", end_s, index=index)

    def _cancel_all_once(self, index: str, *, end_s: float) -> None:
        """The same, by one request: for those who repeat it themselves."""
        self._write("cancel_all", index=index, end_s=end_s)

    def _repeated(self, verb: str, end_s: float | None, **arguments: Any) -> None:
        rest = self._rest
        own_s = rest.clock() + rest.total_s
        end_s = own_s if end_s is None else min(own_s, end_s)
        for wait_s in (*self._desk.pace.looks_s, None):
            try:
                self._write(verb, end_s=end_s, **arguments)
                return
            except CoincallFastError as error:
                if not is_unknown(error) or wait_s is None or rest.clock() + wait_s >= end_s:
                    raise
            rest.pause(wait_s)

    # ---------------------------------------------------------------- requests about orders

    def _one(
        self,
        verb: str,
        fields: Mapping[str, Any],
        orders: Sequence[Order],
        own: Container[int] = (),
    ) -> Order:
        with self._desk.about(verb, orders, own) as (attempt,):
            self._try(verb, attempt, fields)
        return attempt.result()

    def _each(
        self,
        verb: str,
        items: Sequence[Mapping[str, Any]],
        orders: Sequence[Order],
        own: Container[int] = (),
    ) -> list[Outcome]:
        """A request each; what goes wrong with one does not end the others."""
        with self._desk.about(verb, orders, own) as attempts:
            for attempt, fields in zip(attempts, items, strict=True):
                self._try(verb, attempt, fields)
        if attempts and all(isinstance(attempt.error, UsageError) for attempt in attempts):
            attempts[0].result()  # nothing was sent: the client is closed, or has no key
        return [outcome(attempt) for attempt in attempts]

    def _try(self, verb: str, attempt: Attempt, fields: Mapping[str, Any]) -> None:
        self._desk.sent(attempt)
        try:
            order_id = self._write(verb, **fields)
        except CoincallFastError as error:
            self._desk.failed(attempt, error)
        else:
            self._desk.taken(attempt, identified(attempt.order, order_id))

    # ---------------------------------------------------------------- what stands and what was

    def positions(self) -> list[Position]:
        """All open positions."""
        positions: list[Position] = self._read("positions")
        return positions

    def order(self, *, order_id: int | None = None, client_order_id: int | None = None) -> Order:
        """One order as it stands, open or not. Raises OrderNotFound."""
        return self._order(one_id(locals()), None)

    def _order(self, ids: Mapping[str, int], end_s: float | None) -> Order:
        order: Order = self._read("order", end_s=end_s, **ids)
        return self._desk.heard(order)

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

        found = {order.order_id: self._desk.heard(order) for order in by_page(read, MOST_IN_A_PAGE)}
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
        return self._ended(start_ms=start_ms, end_ms=end_ms, page_size=page_size)

    def _ended(self, **arguments: Any) -> Iterator[Order]:
        return map(self._desk.heard, self._by_cursor("order_history", "order_id", **arguments))

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
        self,
        verb: str,
        orders: Sequence[dict[str, Any]],
        check: Callable[[Mapping[str, Any]], None],
    ) -> list[Order]:
        """All of them, as they are asked for, or raises: what this client may do, what can be
        right, what the instruments allow, and at last what the guard says."""
        self._refuse_if_read_only(verb)
        for fields in orders:
            check(fields)
            check_grid(fields, self._instrument_of_order(fields["symbol"]))
        asked = [as_order(fields) for fields in orders]
        for order in asked:
            if self._guard is not None and self._guard(order) is False:
                raise OrderVetoed("the order_guard does not allow this order")
        return asked

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


class Asking:
    """What the venue is asked about orders whose outcome nobody knows; an `inquiry.Asked`."""

    def __init__(self, market: Trading, rest: Rest) -> None:
        self.product = market.product
        self.window_ms = rest.order_window_ms
        self.clock = rest.clock
        self.wait = rest.wait
        self.now_ms = rest.now_ms
        self.known_ms = rest.known_ms
        self._market = market
        self._rest = rest

    def asked_time(self, end_s: float) -> int:
        time_ms: int = self._rest.call("time", {}, end_s)
        return time_ms

    def asked_order(self, order: Order, end_s: float) -> Order:
        return self._market._order(dict([id_of(order)]), end_s)

    def asked_open(self, end_s: float) -> list[Order]:
        return self._market.open_orders(end_s=end_s)

    def asked_ended(self, since_ms: int, end_s: float) -> list[Order]:
        """The history, back to then; its pages come newest first."""
        found: list[Order] = []
        for order in self._market._ended(end_s=end_s, page_size=MOST_IN_A_PAGE):
            if order.created_ms is not None and order.created_ms < since_ms:
                break
            found.append(order)
            if len(found) > MOST_LOOKED_AT:
                raise Unavailable(f"more than {MOST_LOOKED_AT} orders since {since_ms}")
        return found

    def cancelled_again(self, order: Order, end_s: float) -> None:
        self._market._write("cancel_order", end_s=end_s, **dict([id_of(order)]))

    def end_order(self, order: Order) -> None:
        self._market.cancel_order(**dict([id_of(order)]))


def outcome(attempt: Attempt) -> Outcome:
    """What a batch tells of an item."""
    return Outcome(None if attempt.error is not None else attempt.order, attempt.error)

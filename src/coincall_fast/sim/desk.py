"""What a user may do: every request to trade, checked against the rules and then done.

REST calls nothing but this to change the state, and reads the engine for the rest.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Literal, NamedTuple

from . import refusals
from .accounts import Account
from .engine import Engine
from .events import Event, Filled
from .guards import Countdowns, Mmps, is_watched
from .instruments import LIMITS, OPTIONS, PAIRS, Instrument
from .margin import order_margins, summarise
from .orders import Kind, Order, State, TimeInForce
from .refusals import RefusedError
from .tickets import Ticket, change, find_instrument, integer, ticket

__all__ = ["USUAL", "Customs", "Desk", "PostOnly"]

_STOPS = (Kind.STOP_LIMIT, Kind.STOP_MARKET)
_MAX_LEVERAGE = 100
_SPARE_IDS = 1_000  # client order ids of forgotten orders, before they are looked for

Fields = Mapping[str, Any]
PostOnly = Literal["cancel", "refuse"]


class Customs(NamedTuple):
    """How trading goes where the venue's documents leave a choice."""

    post_only: PostOnly = "cancel"  # one that would trade: taken and CANCELED, or refused
    options_fok: bool = True  # 12012 names GTC and IOC only
    ids_return: bool = False  # whether a client order id is free again when its order has ended


USUAL = Customs()


class Desk:
    """The rules of trading, over one engine."""

    def __init__(self, engine: Engine, customs: Customs = USUAL) -> None:
        self.engine = engine
        self._customs = customs
        self.mmps = Mmps()
        self.countdowns = Countdowns()
        self._by_client: dict[tuple[int, str, int], int] = {}  # to the order that has it
        self._frozen: list[tuple[int, str]] = []  # whose protected orders must go
        engine.listeners.append(self._watch)
        engine.after_step.append(self._after_step)

    # Time and events pass through here, so that protection acts at once

    def _after_step(self) -> None:
        self.protect()
        for user_id, product, symbol in self.countdowns.lapse(self.engine.now_ms):
            for order in self.engine.open_orders(user_id):
                if is_watched(order, product, symbol):
                    self.engine.cancel(order)

    def _watch(self, event: Event) -> None:
        if isinstance(event, Filled):
            instrument = event.order.instrument
            delta = self.engine.valuation.of(instrument).greeks.delta
            if self.mmps.filled(event, delta):
                self._frozen.append((event.order.user_id, instrument.pair.name))

    def protect(self) -> None:
        """Cancels the protected orders of those who were filled too much."""
        while self._frozen:
            user_id, index = self._frozen.pop()
            for order in self.engine.open_orders(user_id):
                if order.is_mmp and order.instrument.pair.name == index:
                    self.engine.cancel(order)

    # Orders

    def place(self, user_id: int, product: str, fields: Fields) -> Order:
        """Places one order, or raises what the venue refuses it with."""
        asked = ticket(fields, product, self.engine.market)
        if product == OPTIONS and asked.tif is TimeInForce.FOK and not self._customs.options_fok:
            raise RefusedError(refusals.WRONG_TIF)
        order = self._order(user_id, asked)
        self._check_client_id(user_id, product, asked.client_id)
        self._check_count(order)
        if self.countdowns.has_lapsed(user_id, order.instrument):
            raise RefusedError(refusals.COUNTDOWN_LAPSED)
        if order.is_mmp and not self.mmps.admits(user_id, order.instrument, self.engine.now_ms):
            raise RefusedError(refusals.MMP_OFF)
        if order.is_reduce_only and order.lots > self.engine.reducible(order):
            raise RefusedError(refusals.NO_POSITION)
        must_rest = order.kind is Kind.POST_ONLY and self._customs.post_only == "refuse"
        if must_rest and self.engine.crosses(order):
            raise RefusedError(refusals.WRONG_PRICE)
        self._check_funds(order)
        if asked.client_id is not None:
            self._remember(order)
        self.engine.submit(order)
        self.protect()
        return order

    def modify(self, user_id: int, product: str, fields: Fields) -> Order:
        """Changes one order; what is refused leaves it as it was."""
        order = self.find_open(user_id, product, fields)
        symbol = fields.get("symbol")
        if symbol not in (None, "", order.instrument.symbol):
            raise RefusedError(refusals.UNKNOWN_ORDER)
        wanted = change(fields, order.instrument, order.kind)
        if self.countdowns.has_lapsed(user_id, order.instrument):
            raise RefusedError(refusals.COUNTDOWN_LAPSED)
        after = Order(
            order.order_id,
            user_id,
            order.instrument,
            order.side,
            order.kind,
            order.lots if wanted.lots is None else wanted.lots,
            order.price if wanted.price is None else wanted.price,
            order.created_ms,
            filled=order.filled,
        )
        if after.remaining > 0:
            self._check_change(order, after)
        self.engine.amend(order, wanted)
        self.protect()
        return order

    def cancel(self, user_id: int, product: str, fields: Fields) -> Order:
        order = self.find_open(user_id, product, fields)
        self.engine.cancel(order)
        return order

    def cancel_all(
        self, user_id: int, product: str, *, index: str | None = None, symbol: str | None = None
    ) -> list[Order]:
        """Cancels all open orders of an index, or of one symbol."""
        if index is not None and all(pair.name != index for pair in PAIRS):
            raise RefusedError(refusals.UNKNOWN_INDEX)
        if symbol is not None:
            find_instrument(symbol, product, self.engine.market)
        gone = [
            order
            for order in self.engine.open_orders(user_id)
            if order.instrument.product == product
            and index in (None, order.instrument.pair.name)
            and symbol in (None, order.instrument.symbol)
        ]
        for order in gone:
            self.engine.cancel(order)
        return gone

    def find(self, user_id: int, product: str, fields: Fields) -> Order:
        """The order that a request names; the venue's id wins over the client's."""
        order_id = integer(fields, "orderId")
        client_id = integer(fields, "clientOrderId")
        if order_id is None and client_id is None:
            raise RefusedError(refusals.NO_ORDER_ID)
        if order_id is None:
            order_id = self._by_client.get((user_id, product, client_id or 0), -1)
        order = self.engine.orders.get(order_id)
        # Another user's order does not exist.
        if order is None or order.user_id != user_id or order.instrument.product != product:
            raise RefusedError(refusals.UNKNOWN_ORDER)
        return order

    def find_open(self, user_id: int, product: str, fields: Fields) -> Order:
        order = self.find(user_id, product, fields)
        if order.state is State.FILLED:
            raise RefusedError(refusals.ALREADY_FILLED)
        if not order.state.is_open:
            raise RefusedError(refusals.ALREADY_CANCELED)
        return order

    # Leverage

    def set_leverage(self, user_id: int, instrument: Instrument, leverage: int) -> None:
        account = self.account(user_id)
        if not 1 <= leverage <= _MAX_LEVERAGE:
            raise RefusedError(refusals.wrong("leverage"))
        is_in_use = account.position(instrument) is not None or any(
            order.instrument is instrument for order in self.engine.open_orders(user_id)
        )
        if is_in_use:
            raise RefusedError(refusals.LEVERAGE_IN_USE)
        account.leverage[instrument.symbol] = leverage

    def account(self, user_id: int) -> Account:
        return self.engine.ledger.accounts[user_id]

    # The checks

    def _order(self, user_id: int, asked: Ticket) -> Order:
        is_above = False
        if asked.trigger is not None:
            mark_e8 = self.engine.valuation.mark_e8(asked.instrument)
            is_above = asked.trigger * asked.instrument.tick_e8 >= mark_e8
        return Order(
            self.engine.next_id(),
            user_id,
            asked.instrument,
            asked.side,
            asked.kind,
            asked.lots,
            asked.price,
            self.engine.now_ms,
            client_id=asked.client_id,
            tif=asked.tif,
            stp=asked.stp,
            is_reduce_only=asked.is_reduce_only,
            is_mmp=asked.is_mmp,
            trigger=asked.trigger,
            is_trigger_above=is_above,
            updated_ms=self.engine.now_ms,
        )

    def _remember(self, order: Order) -> None:
        """Client order ids are known for as long as their orders are."""
        assert order.client_id is not None
        known = self.engine.orders
        if len(self._by_client) > 2 * len(known) + _SPARE_IDS:
            kept = {key: order_id for key, order_id in self._by_client.items() if order_id in known}
            self._by_client = kept
        self._by_client[order.user_id, order.instrument.product, order.client_id] = order.order_id

    def _check_client_id(self, user_id: int, product: str, client_id: int | None) -> None:
        if client_id is None or (user_id, product, client_id) not in self._by_client:
            return
        holder = self.engine.orders.get(self._by_client[user_id, product, client_id])
        has_ended = holder is None or not holder.state.is_open
        if not (has_ended and self._customs.ids_return):
            raise RefusedError(refusals.DUPLICATE_CLIENT_ID)

    def _check_count(self, order: Order) -> None:
        mine = self._beside(order)
        limits = LIMITS[order.instrument.product]
        stops = sum(other.kind in _STOPS for other in mine if other.is_waiting)
        if order.kind in _STOPS and stops >= limits.max_stops:
            raise RefusedError(refusals.TOO_MANY_STOPS)
        if order.kind not in _STOPS and len(mine) - stops >= limits.max_orders:
            raise RefusedError(refusals.TOO_MANY_ORDERS)

    def _beside(self, order: Order) -> list[Order]:
        """The user's open orders that count with this one: those of its product and pair."""
        return [
            other
            for other in self.engine.open_orders(order.user_id)
            if other.instrument.product == order.instrument.product
            and other.instrument.pair is order.instrument.pair
        ]

    def _check_funds(self, order: Order, instead_of: Iterable[Order] = ()) -> None:
        account = self.account(order.user_id)
        valuation = self.engine.valuation
        replaced = {id(other) for other in instead_of}
        others = [o for o in self.engine.open_orders(order.user_id) if id(o) not in replaced]
        needed = order_margins([*others, order], account, valuation)[order.order_id]
        if needed and needed > summarise(account, others, valuation).available:
            raise RefusedError(refusals.NO_FUNDS)

    def _check_change(self, order: Order, after: Order) -> None:
        # What is asked for must still be allowed; what only shrinks always is.
        if order.is_reduce_only and after.remaining > self.engine.reducible(order):
            raise RefusedError(refusals.NO_POSITION)
        moves = after.price != order.price or after.lots > order.lots
        if moves and order.kind is Kind.POST_ONLY and self.engine.crosses(after):
            raise RefusedError(refusals.WRONG_PRICE)
        if moves:
            self._check_funds(after, instead_of=[order])

"""The life of orders: matching, resting, triggering, ending. The one state of the exchange.

Everything that REST and the sockets tell is read from here. The engine asks no permission and
checks no limits (that is the desk's business); it matches by price and time, books every trade in
the ledger, prints it on the tape and tells what happened, in order.
"""

from collections import deque
from collections.abc import Callable
from copy import copy
from random import Random
from typing import NamedTuple

from .accounts import MODEL, Ledger
from .events import BalanceChanged, Event, Filled, OrderChanged, PositionChanged
from .instruments import LIMITS, OPTIONS, Instrument
from .market import SCALE, Book, Market
from .matching import Front
from .orders import Kind, Order, Side, State, Stp, TimeInForce
from .recording import Recording, Replay
from .tape import Print, Tape
from .tickets import Change
from .valuation import Valuation

__all__ = ["Engine", "Settlement"]

_UNPRICED = (Kind.MARKET, Kind.STOP_MARKET)
_STOPS = {Kind.STOP_LIMIT: Kind.LIMIT, Kind.STOP_MARKET: Kind.MARKET}
_KEPT = 100_000  # ended orders, and fills of each user: what the histories know
_ID_SHIFT = 20  # ids are times with room for a million of them in a millisecond

# The model's own takers: how many come to a perpetual and to an option in a second, and how much
# of a level they take at most.
_PERPETUAL_FLOW = 2.0
_OPTION_FLOW = 0.02
_FLOW_SHARE = 0.5
_FLOW_LEVELS = 3


class Settlement(NamedTuple):
    """What one account got for one position at an expiry."""

    user_id: int
    instrument: Instrument
    lots: int
    cost_e16: int
    value_e16: int
    price_e8: int  # of the underlying
    ts_ms: int


class Engine:
    """Markets, orders and accounts. Pure: times come in through `advance`, which never goes back.

    `flow` scales how often the model's own takers come; 0 keeps them away.
    """

    def __init__(
        self,
        seed: int,
        start_ms: int,
        *,
        step_ms: int = 100,
        flow: float = 1.0,
        expiries: int = 2,
        recording: Recording | None = None,
    ) -> None:
        self.market: Market
        if recording is None:
            self.market = Market(
                seed, start_ms, step_ms=step_ms, expiries=expiries, after_step=self._after_step
            )
        else:
            start_ms = recording.start_ms
            self.market = Replay(recording, step_ms=step_ms, after_step=self._after_step)
        self.ledger = Ledger()
        self.tape = Tape()
        self.valuation = Valuation(self.market)
        self.now_ms = start_ms
        self.orders: dict[int, Order] = {}
        self.fills: dict[int, deque[Filled]] = {}  # by user
        self.settlements: list[Settlement] = []
        self.delivery_e8: dict[str, dict[int, int]] = {}  # pair -> expiry -> settlement price
        self.listeners: list[Callable[[Event], None]] = []
        self.after_step: list[Callable[[], None]] = []
        self._open: dict[int, dict[int, Order]] = {}  # by user
        self._waiting: dict[int, Order] = {}  # stops
        self._flow = flow
        self._random = Random(f"{seed}:takers")
        self._ids = 0
        self._ended: deque[int] = deque()  # orders, the oldest first
        self._unsettled = {
            i.symbol: i for i in self.market.instruments.values() if i.terms is not None
        }
        for instrument in self.market.instruments.values():
            mark = self.valuation.mark_e8(instrument) // instrument.tick_e8
            self.tape.enlist(instrument, max(1, mark))

    # What is asked of it

    def advance(self, now_ms: int) -> None:
        """Lets time pass: the model moves, its takers come, stops trigger, options expire."""
        expiries = {i.terms.expiry_ms for i in self._unsettled.values() if i.terms is not None}
        for expiry_ms in sorted(expiries):
            # A long gap is one step: it must not carry the price past an expiry.
            if expiry_ms < now_ms:
                self.market.advance(expiry_ms + self.market.step_ms)
        self.market.advance(now_ms)
        self.now_ms = max(self.now_ms, now_ms)

    def open_orders(self, user_id: int) -> list[Order]:
        """A user's orders that may still trade, oldest first."""
        return list(self._open.get(user_id, {}).values())

    def submit(self, order: Order) -> None:
        """Takes an order in: it waits, trades, rests or ends."""
        self.orders[order.order_id] = order
        self._open.setdefault(order.user_id, {})[order.order_id] = order
        if order.kind in _STOPS:
            order.state = State.WAITING
            self._waiting[order.order_id] = order
            self._tell_order(order)
        else:
            self._tell_order(order)
            self._match(order)
        self._tell_margin(order)

    def cancel(self, order: Order, state: State = State.CANCELED) -> None:
        """Ends an open order."""
        self._leave_book(order)
        self._end(order, state)

    def amend(self, order: Order, change: Change) -> None:
        """Changes an open order. Less at the same price keeps its place; anything else is new."""
        lots = order.lots if change.lots is None else change.lots
        price = order.price if change.price is None else change.price
        if lots <= order.filled:
            self._leave_book(order)
            order.lots = order.filled
            self._end(order, State.FILLED)
            return
        keeps_place = order.is_waiting or (price == order.price and lots <= order.lots)
        if not keeps_place:
            self._leave_book(order)
        order.lots, order.price, order.updated_ms = lots, price, self.now_ms
        self._tell_order(order)
        if not keeps_place:
            self._match(order)
        self._tell_margin(order)

    def crosses(self, order: Order) -> bool:
        """Whether an order would trade at once."""
        front = self._book(order).sides[order.side.other].front()
        return front is not None and order.reaches(front.price)

    def reducible(self, order: Order) -> int:
        """How many lots a reduce-only order may have, beside the user's others."""
        others = sum(
            other.remaining
            for other in self.open_orders(order.user_id)
            if other.is_reduce_only
            and other.instrument is order.instrument
            and other.side is order.side
            and other is not order
            and not other.is_waiting
        )
        account = self.ledger.accounts[order.user_id]
        return account.reducible(order.instrument, order.side) - others

    def next_id(self) -> int:
        """An id that no other has and that does not fit a float, as the venue's do not."""
        self._ids += 1
        return (self.now_ms << _ID_SHIFT) + self._ids

    # Matching

    def _match(self, order: Order) -> None:
        side = self._book(order).sides[order.side.other]
        if order.kind is Kind.POST_ONLY and self.crosses(order):
            self._end(order, State.CANCELED)
            return
        if order.tif is TimeInForce.FOK and side.available(order) < order.remaining:
            self._end(order, State.CANCELED)
            return
        while order.state.is_open and (front := side.front()) and order.reaches(front.price):
            maker = front.maker
            if maker is not None and maker.user_id == order.user_id:
                if order.stp is not Stp.TAKER:
                    self.cancel(maker)
                if order.stp is not Stp.MAKER:
                    self._end(order, State.CANCELED)
                continue
            lots = min(order.remaining, front.lots)
            self._trade(order.instrument, order.side, order, front._replace(lots=lots))
        if not order.state.is_open:
            return
        if order.price is None or order.tif in (TimeInForce.IOC, TimeInForce.FOK):
            self._end(order, State.CANCELED)
        else:
            self._book(order).sides[order.side].add(order)

    def _trade(self, instrument: Instrument, side: Side, taker: Order | None, front: Front) -> None:
        """One trade with what stands in front; `side` is the taker's, who may be the model."""
        price, lots, maker = front
        trade_id = self.next_id()
        if maker is None:
            self.market.books[instrument.symbol].sides[side.other].take_from_model(lots)
        printed = Print(trade_id, instrument.symbol, price, lots, side, self.now_ms)
        self.tape.add(printed)
        self.tell(printed)
        if maker is None and taker is None:
            return
        limits = LIMITS[instrument.product]
        users, rates = {side: MODEL, side.other: MODEL}, {}
        for order, rate in ((maker, limits.maker_e8), (taker, limits.taker_e8)):
            if order is not None:
                users[order.side] = order.user_id
                rates[order.user_id] = rate
        booked = self.ledger.trade(
            instrument, price, lots, users, rates, self.next_id(), self.now_ms
        )
        value = self.valuation.of(instrument)
        for order in (maker, taker):
            if order is None:
                continue
            order.fee_e16 += booked.fees_e16[order.user_id]
            order.realised_e16 += booked.realised_e16[order.user_id]
            self._fill(order, price, lots, order is taker)
            fill = Filled(
                trade_id=trade_id,
                order=copy(order),
                price=price,
                lots=lots,
                is_taker=order is taker,
                fee_e16=booked.fees_e16[order.user_id],
                rate_e8=rates[order.user_id],
                mark_e8=value.mark_e8,
                index_e8=self.valuation.index_e8(instrument.pair),
                iv=value.iv,
                ts_ms=self.now_ms,
            )
            self.fills.setdefault(order.user_id, deque(maxlen=_KEPT)).append(fill)
            self.tell(fill)
            position = self.ledger.accounts[order.user_id].positions[instrument.symbol]
            position.order_id = order.order_id
            self.tell(PositionChanged(order.user_id, copy(position)))
            self.tell(BalanceChanged(order.user_id))
        for order in (maker, taker):
            if order is not None:
                self._trim(order.user_id, instrument)

    def _fill(self, order: Order, price: int, lots: int, is_taker: bool) -> None:
        order.filled += lots
        order.tick_lots += price * lots
        order.updated_ms = self.now_ms
        order.state = State.PARTIALLY_FILLED if order.remaining else State.FILLED
        if not order.remaining:
            if not is_taker:
                self._book(order).sides[order.side].remove(order)
            self._forget(order)
        self._tell_order(order, (price, lots), is_taker)

    def _trim(self, user_id: int, instrument: Instrument) -> None:
        """Cancels reduce-only orders, the newest first, until the rest fit the position."""
        orders = [
            order
            for order in self.open_orders(user_id)
            if order.is_reduce_only and order.instrument is instrument and not order.is_waiting
        ]
        account = self.ledger.accounts[user_id]
        for side in Side:
            mine = [order for order in orders if order.side is side]
            excess = sum(o.remaining for o in mine) - account.reducible(instrument, side)
            while excess > 0:
                order = mine.pop()
                excess -= order.remaining
                self.cancel(order)

    def _leave_book(self, order: Order) -> None:
        if order.is_waiting:
            self._waiting.pop(order.order_id, None)
            return
        side = self._book(order).sides[order.side]
        if side.holds(order):  # else it is on its way in
            side.remove(order)

    def _end(self, order: Order, state: State) -> None:
        order.state = state
        order.updated_ms = self.now_ms
        self._forget(order)
        self._tell_order(order)
        self.tell(BalanceChanged(order.user_id))

    def _forget(self, order: Order) -> None:
        """Takes an order off the open ones, and the oldest ended one off the history."""
        del self._open[order.user_id][order.order_id]
        self._ended.append(order.order_id)
        if len(self._ended) > _KEPT:
            del self.orders[self._ended.popleft()]

    def _tell_order(
        self, order: Order, match: tuple[int, int] | None = None, is_taker: bool = False
    ) -> None:
        self.tell(OrderChanged(copy(order), match, is_taker))

    def _tell_margin(self, order: Order) -> None:
        """What still stands holds margin; whatever ended or traded has told of it already."""
        if order.state.is_open:
            self.tell(BalanceChanged(order.user_id))

    def tell(self, event: Event) -> None:
        for listener in self.listeners:
            listener(event)

    def _book(self, order: Order) -> Book:
        return self.market.books[order.instrument.symbol]

    # Time

    def _after_step(self, dt_ms: int) -> None:
        self.now_ms = max(self.now_ms, self.market.now_ms)
        self._expire()
        for book in self.market.books.values():
            if any(side.has_orders for side in book.sides.values()):
                for side in Side:
                    self._model_crosses(book, side)
            if self._flow:
                self._model_takes(book, dt_ms)
        self._trigger_stops()
        for act in self.after_step:
            act()

    def _model_crosses(self, book: Book, side: Side) -> None:
        """The model has quoted through users' orders on `side`: it trades with them at their price.

        Its size is one order's that came after theirs.
        """
        users, model = book.sides[side], book.sides[side.other]
        while (level := model.model_front()) and (front := users.front()):
            # A recorded book may be crossed in itself: that is nobody's trade.
            if front.maker is None or (front.price - level[0]) * side.sign < 0:
                return
            lots = min(front.lots, level[1])
            model.take_from_model(lots)
            self._trade(book.instrument, side.other, None, front._replace(lots=lots))

    def _model_takes(self, book: Book, dt_ms: int) -> None:
        """Now and then somebody else takes what is best, be it the model's or a user's."""
        instrument = book.instrument
        rate = _PERPETUAL_FLOW if instrument.terms is None else _OPTION_FLOW
        if self._random.random() * 1000 >= rate * self._flow * dt_ms:
            return
        side = Side.BUY if self._random.random() < 0.5 else Side.SELL
        lots = 1 + int(instrument.max_lots * _FLOW_SHARE * self._random.random() ** 3)
        for _ in range(_FLOW_LEVELS):
            front = book.sides[side.other].front()
            if front is None or not lots:
                return
            taken = min(lots, front.lots)
            lots -= taken
            self._trade(instrument, side, None, front._replace(lots=taken))

    def _trigger_stops(self) -> None:
        for order in list(self._waiting.values()):
            assert order.trigger is not None
            trigger_e8 = order.trigger * order.instrument.tick_e8
            mark_e8 = self.valuation.mark_e8(order.instrument)
            is_met = mark_e8 >= trigger_e8 if order.is_trigger_above else mark_e8 <= trigger_e8
            if not is_met or order.order_id not in self._waiting:
                continue
            del self._waiting[order.order_id]
            order.state, order.updated_ms = State.NEW, self.now_ms
            self._tell_order(order)
            if self._fits(order):
                self._match(order)
            else:
                self._end(order, State.CANCELED)

    def _fits(self, order: Order) -> bool:
        """Whether a reduce-only order that was waiting still reduces."""
        return not order.is_reduce_only or order.remaining <= self.reducible(order)

    def _expire(self) -> None:
        """At 08:00 UTC of an option's last day: its orders end, its positions are paid out."""
        expired = [i for i in self._unsettled.values() if self.market.is_expired(i)]
        for instrument in expired:
            del self._unsettled[instrument.symbol]
            for side in self.market.books[instrument.symbol].sides.values():
                for order in side.orders:
                    self.cancel(order, State.CANCELED_BY_EXERCISE)
            self._settle(instrument)

    def _settle(self, instrument: Instrument) -> None:
        assert instrument.product == OPTIONS
        assert instrument.terms is not None
        strike, right, expiry_ms = instrument.terms
        prices = self.delivery_e8.setdefault(instrument.pair.name, {})
        # The first option of an expiry fixes the price for all of them.
        price_e8 = prices.setdefault(expiry_ms, self.valuation.index_e8(instrument.pair))
        worth_e8 = price_e8 - strike * SCALE if right == "C" else strike * SCALE - price_e8
        held = {
            account.user_id: copy(position)
            for account in self.ledger.accounts.values()
            if (position := account.position(instrument)) is not None
        }
        flows = self.ledger.settle(instrument, max(0, worth_e8), self.now_ms)
        for user_id, value in flows.items():
            if user_id == MODEL:
                continue
            before = held[user_id]
            self.settlements.append(
                Settlement(
                    user_id, instrument, before.lots, before.cost_e16, value, price_e8, self.now_ms
                )
            )
            after = self.ledger.accounts[user_id].positions[instrument.symbol]
            self.tell(PositionChanged(user_id, copy(after)))
            self.tell(BalanceChanged(user_id))

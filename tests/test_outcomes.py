"""What became of orders, against a venue that keeps the truth and a time of its own.

None is doubled, none forgotten, and every outcome is what the venue did. COINCALL_FAST_LONG=1 sends
a hundred thousand orders.
"""

import os
from collections import Counter
from decimal import Decimal
from random import Random
from typing import Any

import pytest

from coincall_fast import (
    AmbiguousOrderError,
    CoincallFastError,
    Instrument,
    Order,
    OrderNotFound,
    Outcome,
    Stage,
    Step,
)
from coincall_fast.rest.futures import Futures
from coincall_fast.rest.inquiry import Desk
from coincall_fast.rest.options import Options
from coincall_fast.rest.outcomes import Pace, Placing, Question, Verdict
from coincall_fast.rest.sightings import Sightings, Steps
from coincall_fast.rest.watch import Watch
from truth_venue import CANCELED, OPEN, Truth, TruthVenue

ORDERS = 100_000 if os.environ.get("COINCALL_FAST_LONG") else 1500
SEEDS = range(20 if os.environ.get("COINCALL_FAST_LONG") else 3)
SYMBOL = "BTCUSD"
OPTION = "BTCUSD-1JAN40-5-C"


class Trader:
    """The client's verbs over the venue; remembers what it was told of each order."""

    def __init__(self, seed: int, **how: Any) -> None:
        self.venue = TruthVenue(seed, **how)
        self.dice = Random(seed + 1)
        self.steps: dict[int, list[Stage]] = {}
        self.told: dict[int, Order | CoincallFastError] = {}  # by client order id
        self.stands: list[Truth] = []
        self.unchanged: list[tuple[int, Decimal]] = []  # orders, and prices that they never had
        self.ambiguous = 0
        steps = Steps()
        steps.add(self._step)
        self.sightings = Sightings()
        self.venue.push = self.sightings.heard
        self.watch = Watch(self.sightings, steps.tell, self.venue.clock, has_thread=False)

        def desk(market: Any) -> Desk:
            return Desk(market, self.sightings, steps.tell, self.watch)

        self.markets: list[Any] = []
        for kind, symbol in ((Futures, SYMBOL), (Options, OPTION)):
            market = kind(self.venue, None, False, desk)  # type: ignore[arg-type]
            tick = Decimal("0.0001")
            market._list({symbol: Instrument(symbol, kind.product, SYMBOL, tick, tick, tick)})
            self.markets.append((market, symbol))

    def _step(self, step: Step) -> None:
        if step.verb == "place_order":
            number = step.order.client_order_id
            assert number is not None
            self.steps.setdefault(number, []).append(step.stage)

    def trade(self, orders: int) -> None:
        while len(self.told) < orders:
            self.venue.pause(self.dice.uniform(0, 0.2))
            if self.dice.random() < 0.0005:
                self.venue.is_down_until_s = self.venue.now_s + self.dice.uniform(10, 60)
            self.look_after()
            market, symbol = self.dice.choice(self.markets)
            mine = [t for t in self.stands[-20:] if t.symbol == symbol]
            chance = self.dice.random()
            if chance < 0.55 or not mine:
                self.place(market, symbol)
            elif chance < 0.7:
                self.place_several(market, symbol)
            elif chance < 0.8:
                self.modify(market, self.dice.choice(mine))
            elif chance < 0.9:
                self.cancel(market, self.dice.choice(mine))
            else:
                self.cancel_several(market, self.dice.sample(mine, min(len(mine), 4)))

    def look_after(self) -> None:
        """What the watch's thread does."""
        while (due_s := self.watch.next_s) is not None and due_s <= self.venue.now_s:
            self.watch.turn()
        if self.watch._seen:
            self.watch.turn()

    def new(self, symbol: str) -> dict[str, Any]:
        price = Decimal(self.dice.randrange(1, 10**9)) / 10_000
        side = self.dice.choice(("buy", "sell"))
        return {
            "symbol": symbol,
            "side": side,
            "qty": Decimal("0.5"),
            "order_type": "limit",
            "price": price,
        }

    def place(self, market: Any, symbol: str) -> None:
        fields, begin_s = self.new(symbol), self.venue.now_s
        try:
            order = market.place_order(**fields)
        except CoincallFastError as error:
            self._failed(error, begin_s)
        else:
            self._placed(order, fields)

    def place_several(self, market: Any, symbol: str) -> None:
        fields = [self.new(symbol) for _ in range(self.dice.randint(1, 6))]
        begin_s = self.venue.now_s
        try:
            outcomes: list[Outcome] = market.place_orders(fields)
        except CoincallFastError as error:  # of all of them alike
            self._failed(error, begin_s)
            return
        assert len(outcomes) == len(fields)
        for one, outcome in zip(fields, outcomes, strict=True):
            if outcome.error is not None:
                assert outcome.order is None
                self._failed(outcome.error, begin_s)
            else:
                assert outcome.order is not None
                self._placed(outcome.order, one)

    def _placed(self, order: Order, fields: dict[str, Any]) -> None:
        assert order.client_order_id is not None
        self.told[order.client_order_id] = order
        truth = self.venue.by_client[order.client_order_id]
        assert order.order_id in (None, truth.order_id)
        assert truth.values[0] == (fields["qty"], fields["price"])
        if truth.state is OPEN:
            self.stands.append(truth)

    def _failed(self, error: CoincallFastError, begin_s: float) -> None:
        assert error.client_order_id is not None
        self.told[error.client_order_id] = error
        self._check_ambiguous(error, begin_s)

    def _check_ambiguous(self, error: CoincallFastError, begin_s: float) -> None:
        """Only if the venue could not be asked."""
        if isinstance(error, AmbiguousOrderError):
            self.ambiguous += 1
            assert self.venue.is_down_until_s > begin_s

    def modify(self, market: Any, truth: Truth) -> None:
        price = Decimal(self.dice.randrange(1, 10**9)) / 10_000
        ids = self._ids(truth)
        begin_s = self.venue.now_s
        try:
            if self.dice.random() < 0.5:
                market.modify_order(symbol=truth.symbol, price=price, **ids)
            else:
                (outcome,) = market.modify_orders([{"symbol": truth.symbol, "price": price} | ids])
                if outcome.error is not None:
                    raise outcome.error
        except OrderNotFound:
            assert truth.state.is_terminal
        except CoincallFastError as error:
            if isinstance(error, AmbiguousOrderError):
                self._check_ambiguous(error, begin_s)
            else:
                self.unchanged.append((truth.order_id, price))
        else:
            assert (truth.qty, price) in truth.values

    def cancel(self, market: Any, truth: Truth) -> None:
        self._ended(truth, self._cancel_one, market)

    def _cancel_one(self, market: Any, truth: Truth) -> None:
        market.cancel_order(**self._ids(truth))

    def cancel_several(self, market: Any, some: list[Truth]) -> None:
        try:
            outcomes = market.cancel_orders([self._ids(truth) for truth in some])
        except CoincallFastError:
            return

        def told(outcome: Outcome, _: Truth) -> None:
            if outcome.error is not None:
                raise outcome.error

        for truth, outcome in zip(some, outcomes, strict=True):
            self._ended(truth, told, outcome)

    def _ended(self, truth: Truth, call: Any, what: Any) -> None:
        begin_s = self.venue.now_s
        try:
            call(what, truth)
        except OrderNotFound as error:
            self._check_gone(truth, error)
        except CoincallFastError as error:
            self._check_ambiguous(error, min(begin_s, self.venue.is_down_until_s - 1))
        else:
            assert truth.state is CANCELED

    def _check_gone(self, truth: Truth, error: OrderNotFound) -> None:
        assert truth.state.is_terminal
        assert error.state in (None, truth.state)
        assert not error.is_inferred  # the venue has said so

    def _ids(self, truth: Truth) -> dict[str, int]:
        if self.dice.random() < 0.5:
            return {"order_id": truth.order_id}
        return {"client_order_id": truth.client_id}

    def finish(self) -> Counter[str]:
        """Lets everything happen that may still, and holds what was told against the truth."""
        venue = self.venue
        venue.is_down_until_s = 0.0
        while (due_s := self.watch.next_s) is not None:
            venue.pause(max(0.0, due_s - venue.now_s))
            self.look_after()
        venue.pause(100.0)
        assert set(venue.by_client) <= set(self.told) | set(self.steps)
        assert len(venue.by_client) == len(venue.orders)
        assert set(venue.sent.values()) <= {1}  # nothing was sent twice
        outcomes: Counter[str] = Counter()
        for number, stages in self.steps.items():
            told, truth = self.told.get(number), venue.by_client.get(number)
            assert stages[0] is Stage.SENT
            is_late = Stage.LATE in stages
            if isinstance(told, Order):
                outcomes["found" if Stage.FOUND in stages else "taken"] += 1
                assert truth is not None
                assert not is_late
                assert stages[-1] in (Stage.TAKEN, Stage.FOUND)
            elif truth is None:
                outcomes["not there"] += 1
                assert stages[-1] in (Stage.REFUSED, Stage.ABSENT)
                assert (Stage.ABSENT in stages) == (Stage.UNKNOWN in stages)
            else:  # it is there although nobody counts on it
                outcomes["late"] += 1
                assert stages.count(Stage.LATE) == 1
                assert truth.state.is_terminal
            if isinstance(told, CoincallFastError):
                outcomes["inferred"] += told.is_inferred
        for order_id, price in self.unchanged:
            assert price not in [price for _, price in venue.orders[order_id].values]
        return outcomes


@pytest.mark.parametrize("seed", SEEDS)
def test_every_outcome_is_the_truth(seed: int) -> None:
    trader = Trader(seed)
    trader.trade(ORDERS // len(SEEDS))
    seen = trader.finish()
    assert seen["found"] > 100
    assert seen["inferred"] > 20
    # A venue that keeps to its window has nothing late, but what nobody could ask about, or what
    # it said to be refused.
    assert seen["late"] <= trader.ambiguous + trader.venue.lies


@pytest.mark.parametrize("seed", range(10, 12))
def test_what_comes_after_its_window_is_cancelled(seed: int) -> None:
    """By a venue that breaks its promise: pushes tell of it, or the watch itself sees it."""
    writes = {"done": 10, "after its window": 10}
    trader = Trader(seed, breaks=0.5, writes=writes)
    trader.venue.pushes = 0.5 if seed % 2 else 0.0
    for market, symbol in trader.markets * 100:
        trader.place(market, symbol)
        trader.look_after()
    seen = trader.finish()
    assert seen["late"] > 10
    assert not trader.sightings.is_watching  # all of it has an end
    assert CANCELED in {truth.state for truth in trader.venue.orders.values()}


def placing(window_s: float = 4.5) -> Placing:
    asked = Order(client_order_id=5, symbol=SYMBOL, side=1)
    return Placing(asked, horizon_ms=4500, horizon_s=window_s, now_s=0.0, pace=Pace())


def look(case: Placing, now_s: float, venue_ms: int | None) -> None:
    """A look in which there is no such order; without a time, that one was not heard."""
    for question in case.begin(now_s):
        if question is not Question.TIME:
            case.missed(question)
        elif venue_ms is not None:
            case.time(venue_ms, now_s)
    case.end(now_s)


def test_the_time_is_the_venues_own() -> None:
    """Our idea of it decides when to ask, and proves nothing."""
    case = placing()
    for now_s, venue_ms in ((4.5, 4000), (4.6, None), (5.1, 4500), (5.2, 4501)):
        look(case, now_s, venue_ms)
        assert case.verdict is None
    look(case, 6.2, None)
    assert case.verdict is Verdict.NOT_DONE


def test_nothing_counts_before_the_window_has_passed() -> None:
    case = placing()
    for now_s in (0.2, 0.5, 1.0, 2.0, 4.0, 4.4):
        assert case.begin(now_s) == (Question.ORDER,)
        look(case, now_s, 4501)
        assert case.verdict is None
    assert case.due_s == 4.5


@pytest.mark.parametrize("silent", [Question.ORDER, Question.OPEN, Question.HISTORY])
def test_absence_is_said_by_all_three(silent: Question) -> None:
    """And what one has not answered, is asked again, and nothing else."""
    case = placing()
    for now_s in range(5, 20):
        for question in case.begin(now_s):
            if question is Question.TIME:
                case.time(10_000, now_s)
            elif question is not silent:
                case.missed(question)
        case.end(now_s)
        assert case.verdict is None
    assert case.begin(20) == (silent,)

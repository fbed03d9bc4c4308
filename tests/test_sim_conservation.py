"""Nothing is lost and nothing is made: the simulated exchange's books add up after any orders."""

from collections import Counter
from fractions import Fraction
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coincall_fast.sim.accounts import FEES, Position, fee_e16
from coincall_fast.sim.events import Event, Filled
from coincall_fast.sim.instruments import LIMITS, list_instruments
from coincall_fast.sim.margin import summarise, upnl
from coincall_fast.sim.orders import Kind, TimeInForce
from coincall_fast.sim.refusals import RefusedError
from sim_desk import ANN, BOB, E16, FUTURE, START_MS, STEP_MS, Floor, check_books

INSTRUMENT = list_instruments(START_MS)[0]
E8 = 10**8
KINDS = {"futures": (1, 1, 1, 2, 3, 4, 5), "options": (1, 1, 3)}


class Audit:
    """Every account once more, from nothing but the fills that were told, in plain fractions."""

    def __init__(self, floor: Floor) -> None:
        self.floor = floor
        self.start = dict.fromkeys((ANN, BOB), Fraction(1_000_000))

    def check(self) -> None:
        floor = self.floor
        cash, lots, fees = dict(self.start), dict[tuple[int, str], int](), Fraction(0)
        for event in floor.events:
            if not isinstance(event, Filled):
                continue
            order, instrument = event.order, event.order.instrument
            limits = LIMITS[instrument.product]
            rate = limits.taker_e8 if event.is_taker else limits.maker_e8
            value = Fraction(event.price * instrument.tick_e8 * event.lots * instrument.lot_e8, E16)
            fee = Fraction(event.fee_e16, E16)
            assert abs(fee - value * rate / E8) <= Fraction(1, 2 * E8)  # to 8 decimals
            cash[order.user_id] -= value * order.side.sign + fee
            fees += fee
            key = order.user_id, instrument.symbol
            lots[key] = lots.get(key, 0) + event.lots * order.side.sign
        for paid in floor.engine.settlements:
            cash[paid.user_id] += Fraction(paid.value_e16, E16)
            lots[paid.user_id, paid.instrument.symbol] -= paid.lots
        accounts = floor.engine.ledger.accounts
        assert Fraction(accounts[FEES].cash_e16, E16) == fees
        for user_id in (ANN, BOB):
            account = accounts[user_id]
            held = {p.instrument.symbol: p.lots for p in account.open_positions}
            assert held == {s: n for (u, s), n in lots.items() if u == user_id and n}
            # What was paid for open perpetuals is not gone; for options it is.
            unsettled = sum(
                p.cost_e16 for p in account.open_positions if p.instrument.product == "futures"
            )
            assert Fraction(account.cash_e16 - unsettled, E16) == cash[user_id]
            # Worth at the mark, computed both ways.
            summary = summarise(account, [], floor.engine.valuation)
            marked = sum(
                Fraction(
                    floor.engine.valuation.mark_e8(p.instrument) * p.instrument.lot_e8 * p.lots,
                    E16,
                )
                for p in account.open_positions
            )
            assert Fraction(summary.equity, E16) == cash[user_id] + marked


def check_rules(floor: Floor) -> None:
    """What orders promise, read off what was told of them."""
    lots = dict[tuple[int, str], int]()
    for order in floor.engine.orders.values():
        if order.tif is TimeInForce.FOK:
            assert order.filled in (0, order.lots)
        if order.tif in (TimeInForce.FOK, TimeInForce.IOC):
            assert order.is_waiting or not order.state.is_open
    for event in floor.events:
        if not isinstance(event, Filled):
            continue
        order, key = event.order, (event.order.user_id, event.order.instrument.symbol)
        assert not (event.is_taker and order.kind is Kind.POST_ONLY)
        if order.price is not None:
            assert (order.price - event.price) * order.side.sign >= 0  # its limit, or better
        before = lots.get(key, 0)
        lots[key] = before + event.lots * order.side.sign
        if order.is_reduce_only:
            assert abs(lots[key]) == abs(before) - event.lots
    # Nobody trades with himself.
    sides = Counter((e.trade_id, e.order.user_id) for e in floor.events if isinstance(e, Filled))
    assert set(sides.values()) <= {1}  # a short history may have no trade


def act(floor: Floor, random: Random, symbols: list[str]) -> None:
    """Something a user may do, right or wrong."""
    user_id = random.choice((ANN, BOB))
    symbol = random.choice(symbols)
    product = "futures" if symbol == FUTURE else "options"
    book = floor.engine.market.books[symbol]
    draw = random.random()
    orders = floor.engine.open_orders(user_id)
    fields: dict[str, Any]
    try:
        if draw < 0.62 or draw >= 0.97:
            # Near the best prices, so that it trades about as often as it rests.
            levels = book.bids or book.asks or [(1000, 1)]
            price = max(1, levels[0][0] + round(random.gauss(0, 12)))
            fields = {
                "symbol": symbol,
                "tradeSide": random.choice((1, 2)),
                "tradeType": random.choice(
                    (1, 1, 1, 2, 3, 4, 5) if product == "futures" else (1, 3)
                ),
                "qty": random.randint(1, 400) * book.instrument.lot_e8 / E8,
                "timeInForce": random.choice((None, "GTC", "IOC", "FOK")),
                "stp": random.choice((None, 1, 2, 3)),
                "reduceOnly": int(random.random() < 0.2),
            }
            if fields["tradeType"] not in (2, 5):
                fields["price"] = f"{price * book.instrument.tick_e8 / E8:.8f}"
            if fields["tradeType"] in (2, 3, 5):
                fields["timeInForce"] = None
            if fields["tradeType"] in (4, 5):
                fields["triggerPrice"] = round(26_436 + random.gauss(0, 3), 1)
            floor.desk.place(user_id, product, fields)
        elif draw < 0.8 and orders:
            floor.desk.cancel(
                user_id,
                (order := random.choice(orders)).instrument.product,
                {"orderId": order.order_id},
            )
        elif draw < 0.93 and orders:
            order = random.choice(orders)
            fields = {"orderId": order.order_id}
            if random.random() < 0.7:
                fields["qty"] = random.randint(1, 400) * order.instrument.lot_e8 / E8
            if order.price is not None and random.random() < 0.7:
                ticks = max(1, order.price + random.randint(-10, 10))
                fields["price"] = f"{ticks * order.instrument.tick_e8 / E8:.8f}"
            floor.desk.modify(user_id, order.instrument.product, fields)
        elif draw < 0.95:
            floor.desk.cancel_all(user_id, product, symbol=symbol)
        elif draw < 0.97:
            floor.engine.advance(floor.engine.now_ms + STEP_MS)
    except RefusedError:
        pass


@pytest.mark.parametrize("seed", range(4))  # a hundred thousand in all
def test_twenty_five_thousand_random_actions(seed: int) -> None:
    floor = Floor(seed=seed, flow=5.0)
    random = Random(seed)
    symbols = [FUTURE, *floor.engine.market.symbols("options")[:3]]
    audit = Audit(floor)
    for number in range(25_000):
        act(floor, random, symbols)
        if number % 500 == 0:
            check_books(floor.engine)
    audit.check()
    check_rules(floor)
    taken = [event for event in floor.events if isinstance(event, Filled)]
    assert len(taken) > 2_500  # that something has happened
    assert {fill.is_taker for fill in taken} == {True, False}
    # Both sides of one trade were users', now and then.
    assert len({fill.trade_id for fill in taken}) < len(taken) - 100
    # To the last option's expiry, when only perpetuals are left.
    floor.engine.advance(START_MS + 60 * 86_400_000)
    assert floor.engine.settlements
    audit.check()
    check_books(floor.engine)
    assert all(
        p.instrument.product == "futures"
        for account in floor.engine.ledger.accounts.values()
        for p in account.open_positions
    )


def test_the_same_seed_and_actions_tell_the_same_story() -> None:
    def story(seed: int) -> list[Event]:
        floor = Floor(seed=seed, flow=5.0)
        random = Random(1)
        symbols = [FUTURE, floor.option]
        for _ in range(1_500):
            act(floor, random, symbols)
        return floor.events

    assert story(1) == story(1)
    assert story(1) != story(2)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32), flow=st.sampled_from([0.0, 20.0]))
def test_short_random_histories(seed: int, flow: float) -> None:
    floor = Floor(seed=seed, flow=flow)
    random = Random(seed)
    audit = Audit(floor)
    symbols = [FUTURE, floor.option]
    for _ in range(60):
        act(floor, random, symbols)
        check_books(floor.engine)
    audit.check()
    check_rules(floor)


TRADES = st.lists(
    st.tuples(st.integers(1, 10**7), st.integers(-(10**6), 10**6).filter(bool)), max_size=30
)


@given(trades=TRADES, mark=st.integers(0, 10**7))
def test_what_a_position_realised_and_what_it_still_holds_add_up(
    trades: list[tuple[int, int]], mark: int
) -> None:
    """P&L so far = what was received less what was paid, with the rest at the mark."""
    position = Position(1, INSTRUMENT)
    paid = 0
    for price, lots in trades:
        value = price * INSTRUMENT.tick_e8 * lots * INSTRUMENT.lot_e8
        before = position.lots
        realised = position.trade(lots, value)
        paid += value
        if before * lots >= 0:
            assert realised == 0  # only closing realises
        # The average price of what is open lies among the prices traded at.
        if position.lots:
            average = Fraction(position.cost_e16, position.lots * INSTRUMENT.lot_e8)
            ticks = average / INSTRUMENT.tick_e8
            slack = Fraction(len(trades), INSTRUMENT.tick_e8 * INSTRUMENT.lot_e8)
            prices = [p for p, _ in trades]
            assert min(prices) - slack <= ticks <= max(prices) + slack
        else:
            assert position.cost_e16 == 0
    assert position.lots == sum(lots for _, lots in trades)
    gain = upnl(position, mark * INSTRUMENT.tick_e8) + position.realised_e16
    held = mark * INSTRUMENT.tick_e8 * INSTRUMENT.lot_e8 * position.lots
    assert gain == held - paid


@given(st.integers(0, 10**24), st.integers(0, 10**6))
def test_a_fee_is_rounded_to_eight_decimals_once(value: int, rate_e8: int) -> None:
    fee = fee_e16(value, rate_e8)
    assert fee % E8 == 0
    assert abs(Fraction(fee) - Fraction(value * rate_e8, E8)) <= E8 // 2

"""Margin, protection, funding and expiry of the simulated exchange, without a server."""

from decimal import Decimal
from typing import Any

import pytest

from coincall_fast.sim.accounts import FEES, MODEL
from coincall_fast.sim.events import BalanceChanged, PositionChanged
from coincall_fast.sim.funding import Funding
from coincall_fast.sim.guards import Mmp
from coincall_fast.sim.margin import Summary, position_margin, summarise
from coincall_fast.sim.orders import State
from coincall_fast.sim.refusals import RefusedError
from sim_desk import ANN, BOB, E16, FUTURE, START_MS, STEP_MS, Floor, check_books

E8 = 10**8
DAY_MS = 86_400_000


@pytest.fixture
def floor() -> Floor:
    floor = Floor()
    floor.quote(FUTURE, [(196_420, 50_000)], [(196_425, 50_000)])
    return floor


def worth(floor: Floor, user_id: int = ANN) -> Summary:
    account = floor.desk.account(user_id)
    return summarise(account, floor.engine.open_orders(user_id), floor.engine.valuation)


def dollars(value_e16: int) -> Decimal:
    return Decimal(value_e16) / E16


def test_the_printed_futures_position(floor: Floor) -> None:
    """Seed 003: 0.009 at 19642.5 and five times leverage: value 176.7825, margins 35.3565 and
    1.767825."""
    floor.place(tradeType=2, qty="0.009")
    account = floor.desk.account(ANN)
    (held,) = account.open_positions
    assert dollars(held.cost_e16) == Decimal("176.7825")
    valuation = floor.engine.valuation
    assert dollars(position_margin(held, account, valuation)) == Decimal("35.3565")
    maintenance = position_margin(held, account, valuation, maintenance=True)
    assert dollars(maintenance) == Decimal("1.767825")


def test_the_printed_fee_is_the_rate_of_the_value(floor: Floor) -> None:
    """Seed 003 prints 0.1389 for 1389 dollars: a part of the value. The rate is the config's."""
    floor.place(tradeType=2, qty="0.1")
    (fill,) = floor.engine.fills[ANN]
    assert dollars(fill.fee_e16) == Decimal("1964.25") * Decimal("0.0006")
    assert floor.engine.ledger.accounts[FEES].cash_e16 == fill.fee_e16
    assert dollars(floor.desk.account(ANN).cash_e16) == 1_000_000 - dollars(fill.fee_e16)


def test_an_account_through_a_round_trip(floor: Floor) -> None:
    start = worth(floor)
    assert start.equity == start.available == start.cash == 1_000_000 * E16
    floor.place(tradeType=2, qty="1")
    open_ = worth(floor)
    mark = Decimal(floor.engine.valuation.mark_e8(floor.engine.market.instruments[FUTURE])) / E8
    fee = Decimal("19642.5") * Decimal("0.0006")
    assert dollars(open_.upnl) == mark - Decimal("19642.5")
    assert dollars(open_.equity) == 1_000_000 - fee + mark - Decimal("19642.5")
    assert dollars(open_.initial) == Decimal("19642.5") / 5
    assert open_.available == open_.margin_balance - open_.initial
    floor.place(tradeType=2, qty="1", tradeSide=2)
    closed = worth(floor)
    fee += 19642 * Decimal("0.0006")
    assert dollars(closed.equity) == 1_000_000 - fee - Decimal("0.5")
    assert (closed.upnl, closed.initial, closed.maintenance) == (0, 0, 0)
    order_ids = floor.engine.fills[ANN][-1].order.order_id
    assert dollars(floor.engine.orders[order_ids].realised_e16) == Decimal("-0.5")


def test_open_orders_hold_margin(floor: Floor) -> None:
    """Seed 003: 1 at 500 with three times leverage holds 166.66666667; a bought option's holds its
    premium, 1047.8."""
    floor.desk.set_leverage(ANN, floor.engine.market.instruments[FUTURE], 3)
    order = floor.place(qty="1", price="500")
    assert dollars(worth(floor).initial) == pytest.approx(Decimal(500) / 3)
    floor.desk.cancel(ANN, "futures", {"orderId": order.order_id})
    floor.place(tradeType=2, qty="0.3")  # what it has become holds as much
    assert dollars(worth(floor).initial) == Decimal("19642.5") * Decimal("0.3") / 3
    floor.place(BOB, symbol=floor.option, qty="0.5", price="0.2")
    assert dollars(worth(floor, BOB).initial) == Decimal("0.1")
    floor.place(tradeType=2, qty="0.1")
    before = worth(floor).initial
    floor.place(tradeSide=2, qty="0.1", price="30000")  # it would close: nothing more is held
    assert worth(floor).initial == before


def test_the_balance_is_told_whenever_the_margin_changes(floor: Floor) -> None:
    def told() -> bool:
        found = BalanceChanged(ANN) in floor.events
        floor.events.clear()
        return found

    limit = floor.place(price="500")
    assert told()
    stop = floor.place(tradeType=5, triggerPrice="20000")
    assert told()
    for order, change in ((limit, {"price": "600"}), (limit, {"qty": "0.05"}), (stop, {"qty": 1})):
        floor.desk.modify(ANN, "futures", {"orderId": order.order_id} | change)
        assert told()
    floor.desk.cancel(ANN, "futures", {"orderId": limit.order_id})
    assert told()


def test_nobody_can_spend_more_than_he_has() -> None:
    floor = Floor(cash=1_000)
    floor.quote(FUTURE, [(264_290, 50_000)], [(264_300, 50_000)])
    assert floor.refused(price="26000", qty="0.193") == 10529  # 1003.6 at five times
    floor.place(price="26000", qty="0.19")
    assert floor.refused(price="26000", qty="0.01") == 10529
    assert floor.refused(BOB, symbol=floor.option, tradeSide=2, price="5", qty="1") == 10529
    floor.place(BOB, tradeType=2, qty="0.15")
    assert floor.refused(BOB, tradeType=2, qty="0.05") == 10529
    floor.place(BOB, tradeType=2, qty="0.15", tradeSide=2)  # closing needs nothing


def test_a_low_price_does_not_sell_on_credit() -> None:
    """It trades at what is bid, so that is what the order holds."""
    floor = Floor(cash=1_000)
    floor.quote(FUTURE, [(264_290, 50_000)], [(264_300, 50_000)])
    assert floor.refused(tradeSide=2, price="0.1", qty="1") == 10529  # 5286 at five times
    floor.place(tradeSide=2, price="0.1", qty="0.18")
    assert worth(floor).margin_balance >= worth(floor).initial


def test_a_position_is_closed_once() -> None:
    """The second order that would close it opens another one, and holds the margin for it."""
    floor = Floor(cash=1_000)
    floor.quote(FUTURE, [(264_290, 50_000)], [(264_300, 50_000)])
    floor.place(tradeType=2, qty="0.1")
    before = worth(floor).initial
    floor.place(tradeSide=2, qty="0.1", price="30000")
    assert worth(floor).initial == before
    floor.place(tradeSide=2, qty="0.01", price="30000")
    assert dollars(worth(floor).initial - before) == 30_000 * Decimal("0.01") / 5
    assert floor.refused(tradeSide=2, qty="0.1", price="30000") == 10529


def test_leverage_cannot_be_changed_under_an_order_or_a_position(floor: Floor) -> None:
    listed = floor.engine.market.instruments[FUTURE]

    def refused(leverage: int = 3) -> int:
        with pytest.raises(RefusedError) as caught:
            floor.desk.set_leverage(ANN, listed, leverage)
        return caught.value.refusal.code

    assert refused(0) == refused(101) == 10573
    order = floor.place(price="500")
    assert refused() == 40038
    floor.desk.cancel(ANN, "futures", {"orderId": order.order_id})
    floor.place(tradeType=2)
    assert refused() == 40038


def test_a_bought_option_is_worth_its_mark_and_is_no_collateral(floor: Floor) -> None:
    option = floor.engine.market.instruments[floor.option]
    floor.quote(option.symbol, [(5_000, 1000)], [(5_010, 1000)])
    floor.place(symbol=option.symbol, price="501", qty="2")
    mark = Decimal(floor.engine.valuation.mark_e8(option)) / E8
    fee = Decimal(1002) * Decimal("0.0004")
    now = worth(floor)
    assert dollars(now.cash) == dollars(now.margin_balance) == 1_000_000 - 1002 - fee
    assert dollars(now.equity) == 1_000_000 - 1002 - fee + 2 * mark
    assert dollars(now.upnl) == 2 * mark - 1002
    assert now.initial == now.maintenance == 0
    floor.place(BOB, symbol=option.symbol, price="500", qty="1", tradeSide=2)
    short = worth(floor, BOB)
    assert short.initial > short.maintenance > 0


# Expiry


def test_a_long_gap_does_not_carry_the_price_past_an_expiry() -> None:
    floor = Floor()
    expiries = sorted(
        {i.terms.expiry_ms for i in floor.engine.market.instruments.values() if i.terms}
    )
    floor.place(symbol=floor.option, price="5000", qty="0.1")
    floor.engine.advance(START_MS + 100 * DAY_MS)
    prices = floor.engine.delivery_e8["BTCUSD"]
    assert sorted(prices) == expiries
    assert prices[expiries[0]] != prices[expiries[1]]
    (paid,) = floor.engine.settlements
    assert expiries[0] <= paid.ts_ms <= expiries[0] + 2 * STEP_MS


def test_options_are_paid_out_at_expiry() -> None:
    floor = Floor()
    call = floor.engine.market.instruments[floor.option]
    put = floor.engine.market.instruments[floor.option[:-1] + "P"]
    assert call.terms is not None
    for option in (call, put):
        floor.quote(option.symbol, [(5_000, 1000)], [(5_010, 1000)])
        floor.place(symbol=option.symbol, price="501", qty="2")
        floor.place(BOB, symbol=option.symbol, price="500", qty="1", tradeSide=2)
    cash = {user: floor.desk.account(user).cash_e16 for user in (ANN, BOB)}
    floor.engine.advance(call.terms.expiry_ms - STEP_MS)
    assert floor.engine.settlements == []
    resting = floor.place(symbol=put.symbol, price="0.1", qty="2")
    floor.engine.market.underlyings["BTCUSD"].fair = call.terms.strike + 123.0
    floor.engine.advance(call.terms.expiry_ms + STEP_MS)
    assert resting.state is State.CANCELED_BY_EXERCISE
    price = Decimal(floor.engine.delivery_e8["BTCUSD"][call.terms.expiry_ms]) / E8
    worth_call = price - call.terms.strike
    assert 100 < worth_call < 150
    paid = {user: floor.desk.account(user).cash_e16 - cash[user] for user in (ANN, BOB)}
    assert dollars(paid[ANN]) == 2 * worth_call
    assert dollars(paid[BOB]) == -worth_call
    assert floor.lots(ANN, call.symbol) == floor.lots(BOB, put.symbol) == 0
    told = [event for event in floor.events if isinstance(event, PositionChanged)][-4:]
    assert {event.position.lots for event in told} == {0}
    assert floor.refused(symbol=call.symbol, price="1") == 10540
    check_books(floor.engine)


# Funding


def test_funding_is_paid_three_times_a_day_and_adds_up(floor: Floor) -> None:
    funding = Funding(floor.engine, 1)
    floor.place(tradeType=2, qty="2")
    floor.place(BOB, tradeType=2, qty="0.5", tradeSide=2)
    cash = {user: floor.desk.account(user).cash_e16 for user in (ANN, BOB, MODEL)}
    first_ms = funding.next_ms(START_MS)
    assert (first_ms % DAY_MS, first_ms - START_MS < DAY_MS // 3) == (DAY_MS // 3, True)
    floor.engine.advance(first_ms - STEP_MS)
    assert funding.payments == []
    floor.engine.advance(first_ms + STEP_MS)
    assert len(funding.payments) == 2
    assert {p.rate_e8 for p in funding.payments} == {funding.rate_e8(FUTURE, first_ms)}
    floor.engine.advance(first_ms + DAY_MS - STEP_MS)
    assert len(funding.payments) == 2 * 3
    for user in (ANN, BOB):
        paid = sum(p.fee_e16 for p in funding.payments if p.user_id == user)
        assert floor.desk.account(user).cash_e16 == cash[user] - paid
    # The last two came in one gap, and each was due at its own time.
    due = [first_ms + n * DAY_MS // 3 for n in range(3)]
    assert [p.ts_ms for p in funding.payments[::2]] == due
    (first, second) = funding.payments[:2]
    assert (first.lots, second.lots) == (2000, -500)
    assert (first.fee_e16 > 0) == (first.rate_e8 > 0) == (second.fee_e16 < 0)
    check_books(floor.engine)


# Protection


def mmp(**how: Any) -> Mmp:
    given: dict[str, Any] = {"qty_limit": Decimal(0), "delta_limit": Decimal(0)}
    return Mmp(**(given | {"interval_ms": 5_000, "frozen_ms": 1_000, "created_ms": 0} | how))


def test_too_many_fills_take_the_protected_orders_away(floor: Floor) -> None:
    option = floor.option
    floor.desk.mmps.set(ANN, "BTCUSD", mmp(qty_limit=Decimal("0.5")))
    floor.quote(option, [], [])
    protected = [
        floor.place(symbol=option, tradeSide=2, price=price, qty="0.3", mmp=True)
        for price in ("600", "601", "602")
    ]
    plain = floor.place(symbol=option, tradeSide=2, price="603", qty="0.3")
    cheap = floor.place(symbol=option, tradeSide=2, price="599", qty="0.3")
    floor.place(BOB, symbol=option, price="599", qty="0.3")
    assert cheap.state is State.FILLED  # was not protected, and does not count
    floor.place(BOB, symbol=option, price="600", qty="0.3")
    assert protected[1].state is State.NEW  # 0.3 is not yet too much
    floor.place(BOB, symbol=option, price="601", qty="0.2")
    assert [order.state for order in protected] == [
        State.FILLED,
        State.CANCELED,
        State.CANCELED,
    ]
    assert plain.state is State.NEW
    assert floor.refused(symbol=option, tradeSide=2, price="600", mmp=True) == 60008
    floor.engine.advance(START_MS + 900)
    assert floor.refused(symbol=option, tradeSide=2, price="600", mmp=True) == 60008
    floor.engine.advance(START_MS + 1_100)
    floor.place(symbol=option, tradeSide=2, price="9000", mmp=True)


def test_protection_by_delta_and_over_a_window() -> None:
    config = mmp(delta_limit=Decimal(1), frozen_ms=0)
    assert not config.count(START_MS, Decimal(9), Decimal("0.6"))
    assert not config.count(START_MS + 1, Decimal(9), Decimal("-0.6"))  # deltas cancel out
    assert not config.count(START_MS + 2, Decimal(9), Decimal("0.9"))
    assert not config.count(START_MS + 5_000, Decimal(9), Decimal("0.1"))  # the first has left
    assert config.count(START_MS + 5_000, Decimal(9), Decimal("0.7"))
    assert config.is_frozen(START_MS + 10 * DAY_MS)  # until it is reset


def test_the_countdown_takes_orders_away_and_keeps_others_out(floor: Floor) -> None:
    countdowns = floor.desk.countdowns
    countdowns.set(ANN, "futures", FUTURE, 1_000, floor.engine.now_ms)
    btc = floor.place(price="500")
    eth = floor.place(symbol="ETHUSD", price="50")
    other = floor.place(BOB, price="500")
    floor.engine.advance(START_MS + 900)
    assert countdowns.beat(ANN, "futures", FUTURE, floor.engine.now_ms)
    floor.engine.advance(START_MS + 1_800)
    assert btc.state is State.NEW
    floor.engine.advance(START_MS + 2_000)
    states = [order.state for order in (btc, eth, other)]
    assert states == [State.CANCELED, State.NEW, State.NEW]
    assert floor.refused(price="500") == 10619
    assert not countdowns.beat(ANN, "futures", FUTURE, floor.engine.now_ms)
    countdowns.set(ANN, "futures", FUTURE, 1_000, floor.engine.now_ms)
    floor.place(price="500")
    countdowns.set(ANN, "futures", FUTURE, 0, floor.engine.now_ms)
    floor.engine.advance(START_MS + 10_000)
    assert countdowns.listed(ANN, "futures") == {}

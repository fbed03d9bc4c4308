"""The rules of the simulated exchange's trading, one by one, without a server."""

from typing import Any

import pytest

from coincall_fast.sim import desk, engine
from coincall_fast.sim.events import Filled, OrderChanged
from coincall_fast.sim.orders import Order, Side, State
from coincall_fast.sim.refusals import RefusedError
from sim_desk import ANN, BOB, FUTURE, START_MS, STEP_MS, Floor, check_books


@pytest.fixture
def floor() -> Floor:
    """The model shows 1.0 at three prices a side; ticks are 0.1 and lots 0.001."""
    floor = Floor()
    floor.quote(
        FUTURE,
        [(264_290, 1000), (264_280, 1000), (264_270, 1000)],
        [(264_300, 1000), (264_310, 1000), (264_320, 1000)],
    )
    return floor


def states(floor: Floor, order: Order) -> list[State]:
    """The states that were told of an order, in turn."""
    return [
        event.order.state
        for event in floor.events
        if isinstance(event, OrderChanged) and event.order.order_id == order.order_id
    ]


def fills(floor: Floor, user_id: int) -> list[tuple[int, int, bool]]:
    return [
        (event.price, event.lots, event.is_taker)
        for event in floor.events
        if isinstance(event, Filled) and event.order.user_id == user_id
    ]


# Matching


def test_a_limit_order_rests_and_is_published(floor: Floor) -> None:
    order = floor.place(price="26429.5", qty="0.25")
    assert floor.book()["bids"][:2] == [(264_295, 250), (264_290, 1000)]
    floor.desk.cancel(ANN, "futures", {"orderId": order.order_id})
    assert floor.book()["bids"][0] == (264_290, 1000)
    assert states(floor, order) == [State.NEW, State.CANCELED]


def test_a_limit_order_takes_what_it_reaches_and_the_rest_rests(floor: Floor) -> None:
    order = floor.place(price="26431", qty="2.5")
    assert fills(floor, ANN) == [(264_300, 1000, True), (264_310, 1000, True)]
    assert (order.state, order.filled, order.remaining) == (State.PARTIALLY_FILLED, 2000, 500)
    assert floor.book()["asks"] == [(264_320, 1000)]
    assert floor.book()["bids"][0] == (264_310, 500)
    assert [trade.side for trade in floor.engine.tape.prints(FUTURE)] == [Side.BUY, Side.BUY]
    check_books(floor.engine)


def test_users_trade_with_each_other_at_the_makers_price(floor: Floor) -> None:
    sell = floor.place(BOB, tradeSide=2, price="26429.5", qty="0.3")
    buy = floor.place(ANN, price="26430", qty="0.3")
    assert sell.state is buy.state is State.FILLED
    assert fills(floor, ANN) == [(264_295, 300, True)]
    assert fills(floor, BOB) == [(264_295, 300, False)]
    assert floor.lots(ANN) == -floor.lots(BOB) == 300
    check_books(floor.engine)


def test_at_one_price_the_model_and_users_trade_in_the_order_they_came(floor: Floor) -> None:
    first = floor.place(BOB, tradeSide=2, price="26430", qty="0.2")  # behind the model's 1.0
    floor.place(ANN, tradeType=2, qty="1")
    assert first.filled == 0
    floor.quote(FUTURE, [], [(264_300, 50)])  # the model comes back, behind
    floor.place(ANN, tradeType=2, qty="0.2")
    assert first.state is State.FILLED
    assert floor.book()["asks"] == [(264_300, 50)]


def test_a_market_order_takes_the_book_and_cancels_what_it_does_not_offer(floor: Floor) -> None:
    order = floor.place(tradeType=2, qty="3.5", tradeSide=2)
    assert [price for price, _, _ in fills(floor, ANN)] == [264_290, 264_280, 264_270]
    assert (order.state, order.filled) == (State.CANCELED, 3000)
    assert floor.book()["bids"] == []


def test_post_only_rests_or_goes(floor: Floor) -> None:
    assert floor.place(tradeType=3, price="26429.9").state is State.NEW
    crossing = floor.place(tradeType=3, price="26430")
    assert states(floor, crossing) == [State.NEW, State.CANCELED]
    assert fills(floor, ANN) == []


def test_immediate_or_cancel(floor: Floor) -> None:
    order = floor.place(price="26430", qty="1.5", timeInForce="IOC")
    assert (order.state, order.filled) == (State.CANCELED, 1000)
    assert floor.book()["bids"][0] == (264_290, 1000)


def test_fill_or_kill(floor: Floor) -> None:
    killed = floor.place(price="26431", qty="2.001", timeInForce="FOK")
    assert (killed.state, killed.filled) == (State.CANCELED, 0)
    filled = floor.place(price="26431", qty="2", timeInForce="FOK")
    assert (filled.state, filled.filled) == (State.FILLED, 2000)


@pytest.mark.parametrize(
    ("stp", "maker", "taker"),
    [
        (1, State.CANCELED, State.FILLED),
        (2, State.NEW, State.CANCELED),
        (3, State.CANCELED, State.CANCELED),
        (0, State.CANCELED, State.CANCELED),
        (None, State.CANCELED, State.CANCELED),
    ],
)
def test_nobody_trades_with_himself(floor: Floor, stp: Any, maker: State, taker: State) -> None:
    resting = floor.place(tradeSide=2, price="26429.5")
    incoming = floor.place(price="26430", stp=stp)
    assert (resting.state, incoming.state) == (maker, taker)
    assert floor.lots() == incoming.filled


def test_the_model_trades_with_a_user_whom_it_quotes_through(floor: Floor) -> None:
    order = floor.place(price="26429.9", qty="0.4")
    fair = floor.engine.market.underlyings[FUTURE]
    fair.fair = 26_000.0
    floor.engine.advance(START_MS + STEP_MS)
    assert order.state is State.FILLED
    assert fills(floor, ANN)
    assert {price for price, _, _ in fills(floor, ANN)} == {264_299}
    assert not any(is_taker for _, _, is_taker in fills(floor, ANN))
    check_books(floor.engine)


def test_the_models_takers_come(floor: Floor) -> None:
    busy = Floor(flow=50.0)
    order = busy.place(price="26436.3", qty="0.05", tradeType=3)  # inside the spread
    busy.engine.advance(START_MS + 5_000)
    assert order.filled
    assert len(busy.engine.tape.prints(FUTURE)) > 20
    assert {trade.side for trade in busy.engine.tape.prints(FUTURE)} == set(Side)
    check_books(busy.engine)


# Stops


def test_a_stop_waits_until_the_mark_reaches_it(floor: Floor) -> None:
    stop = floor.place(tradeType=5, tradeSide=2, triggerPrice="26000", qty="0.1")
    above = floor.place(tradeType=4, triggerPrice="27000", price="27010", qty="0.1")
    assert stop.state is above.state is State.WAITING
    assert floor.book()["bids"][0] == (264_290, 1000)  # neither stands in the book
    floor.engine.advance(START_MS + STEP_MS)
    assert stop.state is State.WAITING
    floor.engine.market.underlyings[FUTURE].fair = 25_999.0
    floor.engine.advance(START_MS + 2 * STEP_MS)
    assert states(floor, stop) == [State.WAITING, State.NEW, State.FILLED]
    assert above.state is State.WAITING
    floor.desk.cancel(ANN, "futures", {"orderId": above.order_id})
    floor.engine.market.underlyings[FUTURE].fair = 27_001.0
    floor.engine.advance(START_MS + 3 * STEP_MS)
    assert states(floor, above) == [State.WAITING, State.CANCELED]


# Reduce-only


def test_reduce_only_needs_a_position_to_reduce(floor: Floor) -> None:
    assert floor.refused(reduceOnly=1, price="26429") == 10536
    floor.place(tradeType=2, qty="0.2")
    assert floor.refused(tradeSide=2, reduceOnly=1, qty="0.201", price="26500") == 10536
    assert floor.refused(tradeSide=1, reduceOnly=1, qty="0.1", price="26400") == 10536
    first = floor.place(tradeSide=2, reduceOnly=1, qty="0.15", price="26500")
    assert floor.refused(tradeSide=2, reduceOnly=1, qty="0.051", price="26500") == 10536
    second = floor.place(tradeSide=2, reduceOnly=1, qty="0.05", price="26499")
    floor.place(tradeSide=2, tradeType=2, qty="0.02")
    assert (first.state, second.state) == (State.NEW, State.CANCELED)  # the newest goes first
    assert floor.lots() == 180


def test_a_reduce_only_order_never_turns_a_position(floor: Floor) -> None:
    floor.place(tradeType=2, qty="0.2")
    reduce = floor.place(tradeSide=2, reduceOnly=1, qty="0.2", price="26429.5")
    floor.place(BOB, tradeType=2, qty="0.5")
    assert reduce.state is State.FILLED
    assert floor.lots() == 0


def test_a_reduce_only_stop_that_no_longer_reduces_is_cancelled(floor: Floor) -> None:
    floor.place(tradeType=2, qty="0.2")
    stop = floor.place(tradeType=5, tradeSide=2, triggerPrice="26000", qty="0.2", reduceOnly=1)
    floor.place(tradeSide=2, tradeType=2, qty="0.1")
    assert stop.state is State.WAITING  # what waits stands in nobody's way
    floor.engine.market.underlyings[FUTURE].fair = 25_999.0
    floor.engine.advance(START_MS + STEP_MS)
    assert states(floor, stop) == [State.WAITING, State.NEW, State.CANCELED]
    assert floor.lots() == 100


# Modifying


def test_less_at_the_same_price_keeps_its_place_and_more_loses_it(floor: Floor) -> None:
    def queue() -> list[int]:
        return [order.order_id for order in bids.orders]

    bids = floor.engine.market.books[FUTURE].sides[Side.BUY]
    first = floor.place(ANN, price="26429.5", qty="0.2")
    second = floor.place(BOB, price="26429.5", qty="0.2")
    ids = [first.order_id, second.order_id]
    floor.desk.modify(ANN, "futures", {"orderId": first.order_id, "qty": "0.1"})
    assert queue() == ids
    floor.desk.modify(ANN, "futures", {"orderId": str(first.order_id), "qty": "0.3"})
    assert queue() == ids[::-1]
    assert floor.book()["bids"][0] == (264_295, 500)
    floor.desk.modify(ANN, "futures", {"orderId": first.order_id, "price": "26430"})
    assert first.state is State.FILLED  # it has moved to where it trades


def test_a_size_that_is_filled_already_makes_it_filled(floor: Floor) -> None:
    order = floor.place(price="26430", qty="1.5")
    floor.desk.modify(ANN, "futures", {"orderId": order.order_id, "qty": "0.9"})
    assert (order.state, order.lots, order.filled) == (State.FILLED, 1000, 1000)
    assert floor.book()["bids"][0] == (264_290, 1000)


def test_a_refused_change_leaves_the_order_as_it_was(floor: Floor) -> None:
    order = floor.place(price="26429.5", qty="0.2", tradeType=3)
    for fields, code in (
        ({"price": "26429.55"}, 40035),
        ({"price": "26431"}, 40035),  # post-only would trade
        ({"qty": "0"}, 10558),
        ({"qty": "0.2005"}, 40036),
        ({"qty": "1000.001"}, 10534),
        ({"qty": "900"}, 10529),
        ({}, 10533),
        ({"symbol": "ETHUSD", "qty": "0.1"}, 10584),
    ):
        with pytest.raises(RefusedError) as caught:
            floor.desk.modify(ANN, "futures", {"orderId": order.order_id} | fields)
        assert caught.value.refusal.code == code
        assert (order.lots, order.price, order.state) == (200, 264_295, State.NEW)
        assert floor.book()["bids"][0] == (264_295, 200)


def test_a_changed_stop_is_no_larger_than_a_new_one(floor: Floor) -> None:
    stop: dict[str, Any] = {"tradeType": 5, "triggerPrice": "20000", "qty": "0.1"}
    assert floor.refused(**stop | {"qty": "120.001"}) == 10534
    order = floor.place(**stop)
    with pytest.raises(RefusedError) as caught:
        floor.desk.modify(ANN, "futures", {"orderId": order.order_id, "qty": "120.001"})
    assert (caught.value.refusal.code, order.lots) == (10534, 100)


# Refusals


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"symbol": None}, 10570),
        ({"symbol": "DOGEUSD"}, 10574),
        ({"symbol": 5}, 10574),
        ({"tradeSide": None}, 10570),
        ({"tradeSide": 3}, 10573),
        ({"tradeSide": "BUY"}, 10573),
        ({"tradeSide": True}, 10573),
        ({"tradeType": None}, 10570),
        ({"tradeType": 14}, 10573),
        ({"qty": None}, 10533),
        ({"qty": "0.0005"}, 10558),
        ({"qty": 0}, 10558),
        ({"qty": "-1"}, 40036),
        ({"qty": "0.1005"}, 40036),
        ({"qty": "much"}, 40036),
        ({"qty": "NaN"}, 40036),
        ({"qty": True}, 40036),
        ({"qty": "1E+400"}, 40036),
        ({"qty": "1e999999999999999999"}, 40036),
        ({"qty": "0.1000000000000000000000000000000001"}, 40036),  # no lot, however little over
        ({"qty": "1_0"}, 40036),
        ({"qty": " 1"}, 40036),
        ({"qty": "\uff11"}, 40036),  # a digit, but not of JSON
        ({"qty": 1001}, 10534),
        ({"tradeType": 2, "price": None, "qty": 121}, 10534),
        ({"price": None}, 10530),
        ({"price": ""}, 10530),
        ({"price": "0"}, 40035),
        ({"price": "-5"}, 40035),
        ({"price": "26400.05"}, 40035),
        ({"price": "Infinity"}, 40035),
        ({"tradeType": 2}, 12013),
        ({"tradeType": 2, "price": None, "timeInForce": "IOC"}, 12011),
        ({"timeInForce": "GTD"}, 12012),
        ({"tradeType": 3, "timeInForce": "IOC"}, 12012),
        ({"tradeType": 4}, 10542),
        ({"tradeType": 5, "price": None}, 10542),
        ({"clientOrderId": "one"}, 10573),
        ({"clientOrderId": 2**63}, 10573),
        ({"clientOrderId": "9" * 5000}, 10573),
        ({"stp": 4}, 10573),
        ({"reduceOnly": 2}, 10573),
        ({"mmp": "perhaps"}, 10573),
        ({"mmp": True}, 60008),
        ({"qty": 1000}, 10529),
    ],
)
def test_refusals_by_code(floor: Floor, fields: dict[str, Any], code: int) -> None:
    assert floor.refused(**({"price": "26429"} | fields)) == code


def test_options_refuse_what_only_futures_know(floor: Floor) -> None:
    for kind in (2, 4, 5):
        assert floor.refused(symbol=floor.option, tradeType=kind, price="100") == 10573
    assert floor.refused(symbol="BTCUSD-1JAN99-1-C", price="100") == 40034
    assert floor.refused(symbol=floor.option, price="100.05") == 40035


def test_a_client_order_id_is_used_once(floor: Floor) -> None:
    order = floor.place(price="26429", clientOrderId=2**62)
    assert floor.refused(price="26429", clientOrderId=str(2**62)) == 10577
    floor.desk.cancel(ANN, "futures", {"clientOrderId": 2**62})
    assert order.state is State.CANCELED
    assert floor.refused(price="26429", clientOrderId=2**62) == 10577
    floor.place(BOB, price="26429", clientOrderId=2**62)  # another user's is another's
    assert floor.refused(price="26429.05", clientOrderId=1) == 40035
    floor.place(price="26429", clientOrderId=1)  # what was refused has not used it up


def test_client_order_ids_are_forgotten_with_their_orders(
    floor: Floor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "_KEPT", 10)
    monkeypatch.setattr(desk, "_SPARE_IDS", 10)
    resting = floor.place(clientOrderId=0, price="500")
    for number in range(1, 500):
        order = floor.place(clientOrderId=number, price="500")
        floor.desk.cancel(ANN, "futures", {"clientOrderId": number})
        assert len(floor.desk._by_client) < 40
    assert floor.refused(clientOrderId=0, price="500") == 10577
    assert floor.refused(clientOrderId=499, price="500") == 10577
    assert floor.desk.find(ANN, "futures", {"clientOrderId": 0}) is resting
    assert floor.desk.find(ANN, "futures", {"clientOrderId": 499}) is order
    floor.place(clientOrderId=1, price="500")


def test_two_hundred_open_orders_and_no_more(floor: Floor) -> None:
    orders = [floor.place(price=1, qty="0.001") for _ in range(200)]
    assert floor.refused(price=1, qty="0.001") == 10535
    floor.place(symbol="ETHUSD", price=1, qty="0.01")  # each pair has its own
    for _ in range(20):
        floor.place(tradeType=5, triggerPrice=1, qty="0.001")
    assert floor.refused(tradeType=5, triggerPrice=1, qty="0.001") == 10541
    floor.desk.cancel(ANN, "futures", {"orderId": orders[0].order_id})
    floor.place(price=1, qty="0.001")


def test_cancelling_what_is_not_open(floor: Floor) -> None:
    filled = floor.place(price="26430")
    canceled = floor.place(price="26429")
    floor.desk.cancel(ANN, "futures", {"orderId": canceled.order_id})
    for user_id, product, fields, code in (
        (ANN, "futures", {"orderId": filled.order_id}, 11102),
        (ANN, "futures", {"orderId": canceled.order_id}, 11101),
        (ANN, "futures", {"orderId": 5}, 10584),
        (ANN, "futures", {"clientOrderId": 5}, 10584),
        (ANN, "futures", {}, 10575),
        (ANN, "options", {"orderId": canceled.order_id}, 10584),
        (BOB, "futures", {"orderId": canceled.order_id}, 10584),
    ):
        with pytest.raises(RefusedError) as caught:
            floor.desk.cancel(user_id, product, fields)
        assert caught.value.refusal.code == code


def test_cancel_all_of_an_index_or_a_symbol(floor: Floor) -> None:
    option, other = floor.engine.market.symbols("options")[:2]
    for symbol in (option, other, FUTURE):
        floor.place(symbol=symbol, price="1")
    floor.place(BOB, price="1")
    assert len(floor.desk.cancel_all(ANN, "options", symbol=option)) == 1
    assert len(floor.desk.cancel_all(ANN, "options", index="ETHUSD")) == 0
    assert len(floor.desk.cancel_all(ANN, "options", index="BTCUSD")) == 1
    assert len(floor.desk.cancel_all(ANN, "futures", symbol="BTCUSD")) == 1
    assert floor.engine.open_orders(ANN) == []
    assert len(floor.engine.open_orders(BOB)) == 1
    with pytest.raises(RefusedError) as caught:
        floor.desk.cancel_all(ANN, "options", index="BTC")
    assert caught.value.refusal.code == 10579

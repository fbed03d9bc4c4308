"""Orders over a stub: what is refused before anything is sent, batches, cancellations, pages."""

import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from functools import partial
from typing import Any

import pytest

from coincall_fast import (
    Client,
    DecodeError,
    DuplicateOrder,
    Instrument,
    Order,
    OrderNotFound,
    OrderRejected,
    OrdersRemain,
    OrderState,
    OrderType,
    Outcome,
    Rate,
    Side,
    SymbolMismatch,
    TimeInForce,
    TransportError,
    Unavailable,
    UsageError,
    VenueError,
)
from coincall_fast.rest.endpoints import RATES
from stub_server import KEY, SECRET, Asked, Raw, Stub, envelope, params, serving

pytestmark = pytest.mark.usefixtures("short_waits")

WIDE = {name: Rate(1000, 0.1, name) for name in RATES}
OPTION = "BTCUSD-14SEP23-22500-C"
CONFIG = {
    "optionConfig": {"BTCUSD": {"tickSize": 0.1, "qtyDecimal": 2}},
    "futuresConfig": {"BTCUSD": {"tickSize": 0.1, "qtyDecimal": 3, "minQty": 0.001}},
}
LISTED = [
    {
        "baseCurrency": "BTC",
        "expirationTimestamp": 1893484800000,  # 2030, whatever the symbol says
        "strike": 22500.0,
        "symbolName": OPTION,
        "isActive": True,
        "minQty": 0.01,
        "tickSize": 1,  # the pair's counts
    }
]
NEW: dict[str, Any] = {
    "symbol": "BTCUSD",
    "side": "buy",
    "qty": "0.1",
    "order_type": "limit",
    "price": 19000.1,
}


class Venue:
    """What a stub answers, by the end of the path; the rest succeeds."""

    def __init__(self, answers: dict[str, Raw] | None = None) -> None:
        self.answers = answers or {}

    def __call__(self, asked: Asked) -> Raw:
        for end, answer in self.answers.items():
            if end in asked.path:
                return answer
        if asked.path.endswith("config/v1"):
            return envelope(CONFIG)
        if "getInstruments" in asked.path:
            return envelope(LISTED)
        if "singleQuery" in asked.path:
            return envelope(None, 10584, "Order does not exist.")
        if "pending" in asked.path or "history" in asked.path:
            return envelope({"list": []})
        return envelope(7 if "create" in asked.path or "modify" in asked.path else None)


@pytest.fixture
def venue() -> Venue:
    return Venue()


@pytest.fixture
def stub(venue: Venue) -> Iterator[Stub]:
    with serving(venue) as running:
        yield running


@pytest.fixture
def client(stub: Stub) -> Iterator[Client]:
    stub.keeps_time = False  # so that nobody has to wait long for the end of a window
    with Client(KEY, SECRET, rest_url=stub.url, rates=WIDE, order_window_ms=100) as made:
        yield made


def written(stub: Stub) -> list[Asked]:
    """What was asked for by orders; not what the venue was asked about them."""
    reads = ("singleQuery", "pending", "history")
    return [a for a in stub.asked if a.is_signed and not any(read in a.path for read in reads)]


# Before anything is sent


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"price": None}, "a limit order needs a price"),
        ({"order_type": "post_only", "price": None}, "a post_only order needs a price"),
        ({"order_type": OrderType.STOP_LIMIT}, "needs a trigger_price"),
        ({"order_type": "market"}, "a market order takes no price"),
        ({"trigger_price": 5}, "a limit order takes no trigger_price"),
        ({"price": 19000.15}, r"off its tick of 0\.1: the nearest legal value is 19000\.2"),
        ({"price": "1e-9"}, "off its tick"),
        ({"qty": 0.1 + 0.2}, r"0\.30000000000000004 of BTCUSD is off its lot"),
        ({"qty": "0.0005"}, "off its lot"),
        ({"qty": 0}, "qty is more than 0"),
        ({"price": -5}, "price is more than 0"),
        ({"qty": float("nan")}, "qty cannot be NaN"),
        ({"qty": True}, "no whole number"),
        ({"side": "bid"}, "side is one of buy, sell"),
        ({"side": 3}, "side is one of"),
        ({"side": True}, "side is one of"),
        ({"side": 1.0}, "side is one of"),
        ({"side": OrderType.MARKET}, "side is one of"),
        ({"order_type": "iceberg"}, "order_type is one of"),
        ({"order_type": Side.BUY}, "order_type is one of"),
        ({"order_type": TimeInForce.POST_ONLY}, "order_type is one of"),
        ({"time_in_force": OrderType.POST_ONLY}, "time_in_force is one of"),
        ({"order_type": OrderType.BLOCK_TRADE}, "a block_trade order is not placed here"),
        ({"order_type": 14, "price": None}, "a block_trade order is not placed here"),
        ({"symbol": "XYZUSD"}, "XYZUSD is not listed: its tick and lot are not known"),
        ({"time_in_force": "GTD"}, "time_in_force is one of"),
        ({"time_in_force": TimeInForce.POST_ONLY}, "post-only is an order_type"),
        ({"client_order_id": 1.0}, "client_order_id is no whole number"),
        ({"client_order_id": 0}, "client_order_id is more than 0"),
        ({"client_order_id": -5}, "client_order_id is more than 0"),
        ({"client_order_id": 2**63}, "fits in 63 bits"),
        ({"reduce_only": 1}, "reduce_only is True or False"),
        ({"symbol": 5}, "symbol is a text"),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else "",
)
def test_orders_that_are_not_sent(
    stub: Stub, client: Client, change: dict[str, Any], told: str
) -> None:
    with pytest.raises(UsageError, match=told):
        client.futures.place_order(**(NEW | change))
    with pytest.raises(UsageError, match=told):  # the good one before it does not go either
        client.futures.place_orders([NEW, NEW | change])
    assert written(stub) == []


def test_an_order_type_has_no_default(client: Client) -> None:
    with pytest.raises(TypeError, match="order_type"):
        client.futures.place_order(symbol="BTCUSD", side="buy", qty=1, price=1)  # type: ignore[call-arg]
    with pytest.raises(TypeError):
        client.futures.place_order("BTCUSD", "buy", 1, "limit", 1)  # type: ignore[call-arg]
    batch = [{name: NEW[name] for name in NEW if name != "order_type"}]
    with pytest.raises(UsageError, match="an order needs order_type"):
        client.futures.place_orders(batch)
    with pytest.raises(UsageError, match="an order has no prize"):
        client.futures.place_orders([NEW | {"prize": 5}])


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({}, "changes qty, price or both"),
        ({"price": 1, "client_order_id": 5}, "named by order_id or by client_order_id"),
        ({"price": 1.05}, "off its tick"),
        ({"qty": -1}, "qty is more than 0"),
    ],
)
def test_modifications_that_are_not_sent(
    stub: Stub, client: Client, fields: dict[str, Any], told: str
) -> None:
    with pytest.raises(UsageError, match=told):
        client.futures.modify_order(symbol="BTCUSD", order_id=5, **fields)
    with pytest.raises(UsageError):
        client.options.modify_orders(
            [{"symbol": OPTION, "order_id": 5, "client_order_id": 5, "price": 1}]
        )
    assert written(stub) == []


@pytest.mark.parametrize("ids", [{"order_id": 7}, {"order_id": 5}, {"client_order_id": 5}])
def test_what_was_asked_for_has_the_id_that_the_venue_says(
    client: Client, ids: dict[str, int]
) -> None:
    """All else is as it was given, digit by digit."""
    order = client.futures.modify_order(symbol="BTCUSD", price="19000.10", qty=0.5, **ids)
    given = {"symbol": "BTCUSD", "price": "19000.10", "qty": 0.5} | ids | {"order_id": 7}
    assert order == Order(**given)
    assert (str(order.exact("price")), str(order.exact("qty"))) == ("19000.10", "0.5")
    assert order.extra == {}


def test_the_grid_is_asked_for_once(stub: Stub, client: Client) -> None:
    """The pair's tick counts, not the option's; for what is not listed nobody knows any."""
    order: dict[str, Any] = {"symbol": OPTION, "side": "sell", "qty": 1, "order_type": "limit"}
    client.options.place_order(**order, price="0.1")
    with pytest.raises(UsageError, match=r"off its tick of 0\.1"):
        client.options.place_order(**order, price="0.15")
    for _ in range(2):
        with pytest.raises(UsageError, match="not listed"):
            client.options.place_order(**(order | {"symbol": "BTCUSD-1JAN30-5-C"}), price="0.1")
    paths = [asked.path for asked in stub.asked if not asked.is_signed]
    # For a symbol that is not in the list, it is asked for once a minute.
    assert paths.count("/open/option/getInstruments/BTC") == 1
    instrument = client.options.instrument(OPTION)
    assert isinstance(instrument, Instrument)
    assert instrument.tick_size == Decimal("0.1")


def test_what_is_listed_no_more(stub: Stub, client: Client, venue: Venue) -> None:
    """A list replaces the one of its base before, and no other base's."""
    more = {"baseCurrency": "ETH", "symbolName": "ETHUSD-1JAN30-5-C"}
    venue.answers["getInstruments/ETH"] = envelope([LISTED[0] | more])
    assert len(client.options.instruments("BTC")) == len(client.options.instruments("ETH")) == 1
    venue.answers["getInstruments/BTC"] = envelope([])
    assert client.options.instruments("BTC") == []
    assert client.options.instrument(OPTION) is None
    assert client.options.instrument("ETHUSD-1JAN30-5-C") is not None
    assert len(client.futures.instruments()) == 1
    venue.answers["config"] = envelope(
        {"futuresConfig": {"ETHUSD": CONFIG["futuresConfig"]["BTCUSD"]}}
    )
    client.futures.instruments()
    assert client.futures.instrument("BTCUSD") is None
    assert client.futures.instrument("ETHUSD") is not None


def test_what_has_expired_is_not_listed(stub: Stub, client: Client, venue: Venue) -> None:
    """By the venue's clock, not by ours."""
    stub.ahead_ms = 3_600_000
    client.sync_clock()
    for minutes, is_listed in ((59, False), (61, True)):
        ends = {"expirationTimestamp": time.time_ns() // 1_000_000 + minutes * 60_000}
        venue.answers["getInstruments"] = envelope([LISTED[0] | ends])
        assert len(client.options.instruments("BTC")) == 1
        assert (client.options.instrument(OPTION) is not None) == is_listed


def test_the_guard_sees_everything_before_it_is_signed(stub: Stub) -> None:
    seen: list[Order] = []

    def guard(order: Order) -> object:
        seen.append(order)
        assert written(stub) == []
        return None if order.exact("qty") != 9 else False

    with Client(KEY, SECRET, rest_url=stub.url, rates=WIDE, order_guard=guard) as client:
        with pytest.raises(UsageError, match="order_guard"):
            client.futures.place_order(**(NEW | {"qty": 9}))
        with pytest.raises(UsageError, match="order_guard"):
            client.futures.place_orders([NEW, NEW | {"qty": 9}])
        with pytest.raises(UsageError, match="order_guard"):
            client.futures.modify_order(symbol="BTCUSD", order_id=5, qty=9)
        with pytest.raises(UsageError, match="order_guard"):
            client.options.modify_orders([{"symbol": OPTION, "order_id": 5, "qty": 9}])
        with pytest.raises(UsageError, match="order_guard"):
            client.options.place_orders([NEW | {"symbol": OPTION, "qty": 9}])
    assert written(stub) == []
    assert [order.exact("qty") for order in seen] == [9, Decimal("0.1"), 9, 9, 9, 9]
    assert (seen[0].side, seen[0].order_type, seen[0].exact("price")) == (
        *(Side.BUY, OrderType.LIMIT, Decimal("19000.1")),
    )
    assert seen[3].order_id == 5


def test_read_only(stub: Stub, venue: Venue) -> None:
    """Whatever trades or changes something, by the table: nothing is left out."""
    with Client(KEY, SECRET, rest_url=stub.url, rates=WIDE, read_only=True) as client:
        calls: list[Callable[[], object]] = [
            lambda: client.deadman("BTCUSD", 5000),
            lambda: client.cancel_everything(1.0),
            lambda: client.account.transfer(
                from_user_id=1, to_user_id=2, amount=1, currency="USDT"
            ),
            lambda: client.options.mmp.set(
                "BTCUSD", interval_ms=0, frozen_ms=0, qty_limit=1, delta_limit=1
            ),
            lambda: client.options.mmp.reset("BTCUSD"),
            lambda: client.futures.set_leverage("BTCUSD", 5),
        ]
        for market in (client.options, client.futures):
            calls += [
                partial(market.place_order, **NEW),
                partial(market.place_orders, [NEW]),
                partial(market.modify_order, symbol="BTCUSD", order_id=1, price=1),
                partial(market.modify_orders, [{"symbol": "X", "order_id": 1, "price": 1}]),
                partial(market.cancel_order, order_id=1),
                partial(market.cancel_orders, [1]),
                partial(market.cancel_symbol, "BTCUSD"),
                partial(market.cancel_all, "BTCUSD"),
            ]
        for call in calls:
            with pytest.raises(UsageError, match="read-only"):
                call()
        assert stub.asked == []
        venue.answers["user/info"] = envelope({"userId": 5})
        assert client.account.user().user_id == 5


# Batches


def option(**more: Any) -> dict[str, Any]:
    return {**NEW, "symbol": OPTION, "price": 1, **more}


def test_a_batch_of_new_orders(stub: Stub, client: Client, venue: Venue) -> None:
    no_funds = {"code": 10529, "msg": "no funds", "i18nArgs": None, "data": None}
    venue.answers["batchCreate"] = envelope(
        [{"code": 0, "data": 11}, no_funds, {"scode": "0", "smsg": "", "sdata": "13"}]
    )
    stand = [{"orderId": 11, "clientOrderId": 2}, {"orderId": 13, "clientOrderId": 1}]
    venue.answers["pending"] = envelope({"list": stand})
    first, second, third = client.options.place_orders(
        [option(client_order_id=n, qty=n) for n in (1, 2, 3)]
    )
    assert first.ok
    assert first.order is not None
    assert (first.order.order_id, first.order.client_order_id, first.order.qty) == (13, 1, 1.0)
    assert second.order is not None
    assert second.order.order_id == 11
    assert not third.ok
    assert isinstance(third.error, OrderRejected)
    assert str(third.error).endswith("batchCreate/v1 10529: no funds")
    assert third.error.client_order_id == 3
    assert len(written(stub)) == 1


def test_batches_that_are_too_large_or_empty(stub: Stub, client: Client) -> None:
    with pytest.raises(UsageError, match="a batch takes 40 orders, not 41"):
        client.options.place_orders([option()] * 41)
    assert client.options.place_orders([]) == []
    assert client.options.modify_orders([]) == []
    assert client.options.cancel_orders([]) == []
    assert written(stub) == []


def test_a_batch_with_too_few_answers(client: Client, venue: Venue) -> None:
    """Nobody can tell which order has none, until the venue is asked for them."""
    venue.answers["batchCreate"] = envelope([{"code": 0, "data": 11}])
    venue.answers["pending"] = envelope({"list": [{"orderId": 11, "clientOrderId": 2}]})
    first, second = client.options.place_orders([option(client_order_id=n) for n in (1, 2)])
    assert isinstance(first.error, DecodeError)
    assert "1 answers to 2 orders" in str(first.error)
    assert first.error.is_inferred
    assert second.order is not None
    assert second.order.order_id == 11
    shapes: list[Any] = [[], None, {}, [5]]
    for data in shapes:
        venue.answers["batchCreate"] = envelope(data)
        (only,) = client.options.place_orders([option()])
        assert isinstance(only.error, DecodeError)
        assert only.error.is_inferred


@pytest.mark.parametrize("item", [{"code": 0, "data": None}, {"code": 0, "data": "x"}, {"code": 0}])
def test_an_item_without_an_id_is_no_success(client: Client, venue: Venue, item: Any) -> None:
    """Nor does it take from the others what they were told."""
    venue.answers["batchCreate"] = envelope([{"code": 0, "data": 11}, item])
    venue.answers["pending"] = envelope({"list": [{"orderId": 11, "clientOrderId": 1}]})
    first, second = client.options.place_orders([option(client_order_id=n) for n in (1, 2)])
    assert first.order is not None
    assert first.order.order_id == 11
    assert (second.ok, second.order) == (False, None)
    assert isinstance(second.error, DecodeError)
    assert second.error.is_inferred


def test_modifications_are_matched_by_id(client: Client, venue: Venue) -> None:
    """The venue answers in another order."""
    venue.answers["batchModify"] = envelope(
        [
            {"code": 10558, "msg": "less.than.min.amount", "data": 3},
            {"code": 0, "msg": "", "data": "1"},
        ]
    )
    one, two, three = client.options.modify_orders(
        [{"symbol": OPTION, "order_id": n, "qty": n} for n in (1, "2", 3)]
    )
    assert one.order is not None
    assert (one.order.order_id, one.order.qty) == (1, 1.0)
    assert isinstance(two.error, DecodeError)
    assert "2 answers to 3 orders" in str(two.error)
    assert two.error.is_inferred  # asked for it, the venue does not have that order
    assert isinstance(three.error, OrderRejected)
    assert three.error.message == "less.than.min.amount"


def test_cancellations_by_either_id(stub: Stub, client: Client, venue: Venue) -> None:
    """Each kind of id is one request; outcomes stand in the order asked."""

    def answer(asked: Asked) -> Raw:
        sent = params(asked)
        name, key = ("orderIdList", "ordId") if "orderIdList" in sent else ("", "clOrdId")
        ids = [int(value) for value in sent[name or "clientOrderIdList"]]
        rows = [
            {"clOrdId": None, "ordId": None, "ts": 1, "scode": 0, "smsg": "", key: value}
            if value != 4
            else {key: "4", "scode": 1, "smsg": "Order does not exist."}
            for value in reversed(ids)
        ]
        return envelope(rows)

    stub.answer = answer
    wanted: list[Any] = [1, {"client_order_id": 2}, Order(order_id=3), 4, Order(client_order_id=5)]
    outcomes = client.options.cancel_orders(wanted)
    assert [outcome.ok for outcome in outcomes] == [True, True, True, False, True]
    assert [o.order and (o.order.order_id or o.order.client_order_id) for o in outcomes] == [
        *(1, 2, 3, None, 5),
    ]
    assert isinstance(outcomes[3].error, OrderNotFound)
    assert outcomes[3].error.code == 10584
    assert len(written(stub)) == 2


def test_many_cancellations_go_in_pieces(stub: Stub, client: Client) -> None:
    def answer(asked: Asked) -> Raw:
        if "batchCancel" not in asked.path:
            return other(asked)
        ids = [int(value) for value in params(asked)["orderIdList"]]
        if ids[0] > 40:
            return broken
        return envelope([{"ordId": value, "scode": 0} for value in ids])

    other: Callable[[Asked], Raw] = Venue()
    broken = envelope(None, 10004, "Parameter illegal")
    stub.answer = answer
    outcomes = client.options.cancel_orders(range(1, 61))
    assert [len(params(asked)["orderIdList"]) for asked in written(stub)] == [40, 20]
    assert [outcome.ok for outcome in outcomes] == [True] * 40 + [False] * 20
    assert isinstance(outcomes[-1].error, VenueError)
    with pytest.raises(VenueError, match="Parameter illegal"):  # nothing of it worked
        client.options.cancel_orders(range(50, 60))
    broken = Raw(b'{"code":0,"da')
    outcomes = client.options.cancel_orders(range(1, 42))  # the second answer is; so, one by one
    assert [outcome.ok for outcome in outcomes] == [True] * 41
    assert params(written(stub)[-1]) == {"orderId": "41"}
    stub.answer = lambda asked: envelope([]) if "batch" in asked.path else gone(asked)
    gone = Venue({"cancel/v1": envelope(None, 11102, "Order has been filled.")})
    (silence,) = client.options.cancel_orders([5])
    assert isinstance(silence.error, OrderNotFound)
    assert silence.error.state is OrderState.FILLED
    for wrong in (None, "x", {"order_id": 1, "client_order_id": 2}, {}):
        with pytest.raises(UsageError):
            client.options.cancel_orders([wrong])  # type: ignore[list-item]


def test_futures_have_no_batches(stub: Stub, client: Client, venue: Venue) -> None:
    """One request each; one that fails does not end the others."""
    half = Raw(b"", close=True, length=9)
    left = [envelope(1), envelope(None, 10577, "dup"), half, Raw(b'{"code":0,"da'), envelope(5)]

    def answer(asked: Asked) -> Raw:
        return left.pop(0) if "create" in asked.path else venue(asked)

    stub.answer = answer
    outcomes = client.futures.place_orders([NEW | {"client_order_id": n} for n in range(1, 6)])
    assert [outcome.ok for outcome in outcomes] == [True, False, False, False, True]
    assert isinstance(outcomes[1].error, DuplicateOrder)
    assert isinstance(outcomes[2].error, TransportError)
    assert outcomes[2].error.is_sent
    assert isinstance(outcomes[3].error, DecodeError)
    assert [o.error and o.error.is_inferred for o in outcomes] == [None, False, True, True, None]
    assert outcomes[4] == Outcome(outcomes[4].order, None)
    assert len(written(stub)) == 5


# Cancellations of what has ended


@pytest.mark.parametrize("code", [10537, 10540, 10584, 11101, 11102])
@pytest.mark.parametrize(
    ("query", "state"),
    [
        (envelope({"orderId": 5, "state": 1}), {11101: 1}),
        (envelope({"orderId": 5, "state": 3}), {}),
        (envelope({"orderId": 5, "state": 0}), {}),  # told before it is true
        (envelope(None, 10584, "Order does not exist."), {}),
        (Raw(b"<html>", status=500), {}),
    ],
    ids=["filled", "canceled", "lagging", "unknown", "down"],
)
def test_cancelling_a_finished_order(
    client: Client, venue: Venue, code: int, query: Raw, state: Any
) -> None:
    venue.answers = {"cancel/v1": envelope(None, code, "gone"), "singleQuery": query}
    with pytest.raises(OrderNotFound) as caught:
        client.options.cancel_order(order_id=5)
    error = caught.value
    by_code = {11101: OrderState.CANCELED, 11102: OrderState.FILLED}.get(code)
    said = {b'"state": 1': OrderState.FILLED, b'"state": 3': OrderState.CANCELED}
    told = next((state for text, state in said.items() if text in query.body), by_code)
    assert (error.code, error.state) == (code, told)
    assert error.message == "gone"


def test_cancelling_names_one_order(stub: Stub, client: Client) -> None:
    for ids in ({}, {"order_id": 1, "client_order_id": 2}, {"order_id": "x"}):
        with pytest.raises(UsageError):
            client.options.cancel_order(**ids)
        with pytest.raises(UsageError):
            client.options.order(**ids)
    assert stub.asked == []


def test_another_refusal_of_a_cancellation(client: Client, venue: Venue) -> None:
    venue.answers = {"cancel/v1": envelope(None, 10004, "Parameter illegal")}
    with pytest.raises(VenueError) as caught:
        client.options.cancel_order(order_id=5)
    assert not isinstance(caught.value, OrderNotFound)


@pytest.mark.parametrize("amount", [0, -0.0, "-1", Decimal("-0.5"), float("nan")])
def test_a_transfer_is_of_more_than_nothing(stub: Stub, client: Client, amount: Any) -> None:
    with pytest.raises(UsageError, match="amount"):
        client.account.transfer(from_user_id=1, to_user_id=2, amount=amount, currency="USDT")
    assert stub.asked == []


# The end of all orders


def test_cancel_everything_says_what_is_left(stub: Stub, client: Client, venue: Venue) -> None:
    stuck = {"list": [{"orderId": 77, "symbol": OPTION}], "pageTotal": 1, "total": 1}
    venue.answers["option/order/pending"] = envelope(stuck)
    venue.answers["futures/order/pending"] = envelope({"list": []})
    with pytest.raises(OrdersRemain, match=f"{OPTION} 77") as caught:
        client.cancel_everything(1.0)
    (order,) = caught.value.orders
    assert isinstance(order, Order)
    assert order.order_id == 77
    assert "/open/option/order/cancelOpenOrders/v1/BTCUSD" in [a.path for a in stub.asked]


def test_cancel_everything_without_an_answer(client: Client, venue: Venue) -> None:
    venue.answers["/order/"] = envelope(None, 10000, "Try again later")
    with pytest.raises(OrdersRemain, match="nobody knows") as caught:
        client.cancel_everything(0.05)
    assert caught.value.orders == ()


def test_one_that_fails_keeps_no_other(stub: Stub, client: Client, venue: Venue) -> None:
    """Options fail until futures have been cancelled, and one index among these the first time."""
    cancelled: list[str] = []

    def answer(asked: Asked) -> Raw:
        if "option/order" in asked.path and len(set(cancelled)) < 3:
            return envelope(None, 10000, "Try again later")
        if "futures/order/cancel" in asked.path:
            cancelled.append(asked.path.rpartition("/")[2])
            if cancelled[-1] == "BUSD" and cancelled.count("BUSD") == 1:
                return envelope(None, 10579, "Index does not exist.")
        if "pending" not in asked.path:
            return venue(asked)
        left = {"AUSD", "BUSD", "CUSD"} - set(cancelled)
        return envelope({"list": [{"orderId": ord(s[0]), "symbol": s} for s in sorted(left)]})

    stub.answer = answer
    client.cancel_everything(30)
    assert cancelled[:3] == ["AUSD", "BUSD", "CUSD"]
    assert cancelled[3:] == ["BUSD"]


def test_cancel_everything_begins_with_what_was_traded(
    stub: Stub, client: Client, venue: Venue
) -> None:
    """The list of open orders may not have them yet."""
    venue.answers["pending"] = envelope({"list": []})
    client.futures.place_order(**NEW)
    stub.asked.clear()
    client.cancel_everything(10)
    paths = [asked.path.removeprefix("/open/") for asked in stub.asked]
    assert "futures/order/cancelOpenOrders/v1/BTCUSD" in paths
    assert paths.count("futures/order/pending/v1") == 2
    assert paths.count("option/order/pending/v1") == 2


def test_the_book_of_another_symbol(client: Client, venue: Venue) -> None:
    venue.answers["orderbook"] = envelope({"symbol": "ETHUSD", "bids": [], "asks": []})
    with pytest.raises(SymbolMismatch):
        client.futures.order_book("BTCUSD")
    shapes: list[Any] = [{"bids": []}, {"bids": [5], "asks": []}, {"bids": [{}], "asks": []}]
    for data in shapes:
        venue.answers["orderbook"] = envelope(data)
        with pytest.raises(DecodeError):
            client.futures.order_book("BTCUSD")
    pairs = {"symbol": "BTCUSD", "bids": [["1.5", "2"]], "asks": [], "timestamp": 5}
    venue.answers["orderbook"] = envelope(pairs)
    book = client.futures.order_book("BTCUSD")
    assert (book.best_bid, book.ts_ms) == (1.5, 5)


@pytest.mark.parametrize(
    "row",
    [
        {"tickSize": 0},
        {"tickSize": None},
        {"tickSize": "x"},
        {"tickSize": True},
        {"qtyDecimal": None},
        {"qtyDecimal": "3"},
        {"minQty": -1},
    ],
    ids=str,
)
def test_instruments_that_are_none(
    stub: Stub, client: Client, venue: Venue, row: dict[str, Any]
) -> None:
    """An order that cannot be checked is not sent."""
    future = {"tickSize": 0.1, "qtyDecimal": 3, "minQty": 0.001} | row
    venue.answers["config"] = envelope({"futuresConfig": {"BTCUSD": future}})
    with pytest.raises(Unavailable, match=r"nothing was sent.* an instrument") as caught:
        client.futures.place_order(**NEW)
    assert not caught.value.is_sent
    assert written(stub) == []
    with pytest.raises(DecodeError, match="an instrument"):
        client.futures.instruments()


@pytest.mark.parametrize(
    ("answer", "kind"),
    [(Raw(b"", close=True, length=9), TransportError), (Raw(b"", status=503), Unavailable)],
    ids=["half", "503"],
)
def test_a_failed_look_up_is_no_order_that_may_stand(
    stub: Stub, client: Client, venue: Venue, answer: Raw, kind: type[Exception]
) -> None:
    """What was sent asked for the instruments, and nothing else."""
    venue.answers["config"] = answer
    with pytest.raises(kind) as caught:
        client.futures.place_order(**NEW)
    assert caught.value.is_sent is False  # type: ignore[attr-defined]
    assert written(stub) == []
    venue.answers = {"create": answer}  # that of the order itself is another matter
    with pytest.raises(kind) as caught:
        client.futures.place_order(**NEW)
    assert caught.value.is_sent is True  # type: ignore[attr-defined]


def test_instruments_whose_pair_is_not_configured(client: Client, venue: Venue) -> None:
    venue.answers["config"] = envelope({})
    (option,) = client.options.instruments("BTC")
    assert (option.tick_size, option.lot_size) == (Decimal(1), Decimal("0.01"))
    assert client.futures.instruments() == []
    assert client.futures.instrument("BTCUSD") is None


@pytest.mark.parametrize("data", [None, "x", 1.5, {"orderId": 5}, True])
def test_what_is_no_order_id(client: Client, venue: Venue, data: Any) -> None:
    venue.answers["create"] = envelope(data)
    with pytest.raises(DecodeError, match="no order id"):
        client.futures.place_order(**NEW)
    venue.answers["create"] = envelope("1663820914095300608")
    assert client.futures.place_order(**NEW).order_id == 1663820914095300608

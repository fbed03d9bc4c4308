"""Every endpoint as it goes out, byte by byte, and every documented body as it comes in."""

import json
import math
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from coincall_fast import (
    Account,
    Client,
    Instrument,
    OptionChain,
    Order,
    OrderBook,
    Position,
    Rate,
    Side,
    Ticker,
    Trade,
    VenueError,
)
from coincall_fast.rest.endpoints import ENDPOINTS, RATES
from stub_server import KEY, SECRET, Asked, Raw, Stub, envelope, serving

BODIES = {
    row["line"]: row["body"]
    for row in map(
        json.loads,
        (Path(__file__).parent / "conformance" / "rest.jsonl").read_text("utf-8").splitlines(),
    )
}
OPTION = "BTCUSD-14SEP23-22500-C"
JSON, FORM = "application/json", "application/x-www-form-urlencoded"


class Case(NamedTuple):
    """A call, the request that it must make, and the body that it gets: a line of seed 003, or
    data."""

    name: str
    call: Callable[[Client], Any]
    method: str
    path: str
    sent: str = ""
    gets: Any = None
    content: str | None = None


def get(name: str, call: Any, path: str, query: str = "", gets: Any = None) -> Case:
    return Case(name, call, "GET", path, query, gets)


def post(name: str, call: Any, path: str, body: str, gets: Any = None, how: str = JSON) -> Case:
    return Case(name, call, "POST", path, body, gets, how)


def new(**more: Any) -> dict[str, Any]:
    return {"symbol": OPTION, "side": "buy", "qty": 0.5, "order_type": "limit", **more}


ORDER = f'{{"symbol":"{OPTION}","tradeSide":1,"tradeType":1,"qty":0.5,"price":'
FUTURE = (
    '{"symbol":"BTCUSD","tradeSide":2,"tradeType":3,"qty":0.010,"price":19000.1,"clientOrderId":5}'
)
DAY = {"start_ms": 1686308840388, "end_ms": 1686395240388}
DAY_QUERY = "endTime=1686395240388"
WHEN = "startTime=1686308840388"
NO_ROWS = {"list": [], "hasNext": False, "hasPre": False}
ITEM = {"code": 0, "msg": "Success", "i18nArgs": None, "data": 7}

CASES = [
    get("time", lambda c: c.server_time(), "/time"),
    get("config", lambda c: c.config(), "/open/public/config/v1", gets=155),
    get(
        "funding_rates",
        lambda c: c.funding_rates("BTCUSD", "ETHUSD"),
        "/open/public/fundingRate/v1",
        "symbol=BTCUSD,ETHUSD",
        208,
    ),
    post(
        "countdown",
        lambda c: c.deadman("BTCUSD", 5000),
        "/open/futures/countdown/cancel/v1",
        '{"type":1,"symbol":"BTCUSD","countdownTime":5000}',
        True,
    ),
    post(
        "beat",
        lambda c: c.deadman(["BTCUSD", "ETHUSD"], 5000).beat(),
        "/open/futures/countdown/cancel/heartbeat/v1",
        '{"type":1,"symbols":"BTCUSD,ETHUSD"}',
        ["BTCUSD", "ETHUSD"],
    ),
    get(
        "countdowns",
        lambda c: c.countdowns(),
        "/open/futures/countdown/cancel/get/v1",
        "type=1",
        [{"type": 1, "symbol": "BTCUSD", "countdownTime": 5000}],
    ),
    get("account.user", lambda c: c.account.user(), "/open/user/info/v1", gets=231),
    get("account.summary", lambda c: c.account.summary(), "/open/account/summary/v1", gets=248),
    get(
        "account.key",
        lambda c: c.account.key(),
        "/open/auth/user/query-api",
        gets={"userId": 1, "apiKey": KEY, "readOnly": 1, "isMaster": 1, "parentUid": "0"},
    ),
    get(
        "account.referrals",
        lambda c: c.account.referrals(9905700, 2),
        "/open/referral/sub/v1",
        "page=2&subAgentId=9905700",
        1899,
    ),
    post(
        "account.transfer",
        lambda c: c.account.transfer(
            from_user_id=1695796692726153,
            to_user_id=1695796692779320,
            amount="111",
            currency="USDT",
        ),
        "/open/user/subAccount/fund/transfer/v1",
        "amount=111&currency=USDT&fromUserId=1695796692726153&toUserId=1695796692779320",
        how=FORM,
    ),
    get(
        "account.exercises",
        lambda c: list(c.account.exercises(symbol=OPTION, **DAY, page_size=50)),
        "/open/settle/exercise/history/v1",
        f"{DAY_QUERY}&page=1&pageSize=50&{WHEN}&symbol={OPTION}",
        {"list": [{"symbol": OPTION, "qty": 1, "strike": 22500}], "hasNext": False},
    ),
    get(
        "account.funding",
        lambda c: list(c.account.funding("BTCUSD")),
        "/open/settle/future/record/v1",
        "page=1&pageSize=50&symbol=BTCUSD",
        {"list": [{"id": 5, "fundFee": -5.4e-7}], "pageTotal": 1, "total": 1},
    ),
    get(
        "account.latest_funding",
        lambda c: c.account.latest_funding("BTCUSD", start_ms=5),
        "/open/settle/future/latestRecord/v1",
        "startTime=5&symbol=BTCUSD",
        [],
    ),
    get(
        "options.instruments",
        lambda c: c.options.instruments("BTC"),
        "/open/option/getInstruments/BTC",
        gets=281,
    ),
    get(
        "options.chain",
        lambda c: c.options.chain("BTCUSD", 1666771200000),
        "/open/option/get/v1/BTCUSD",
        "endTime=1666771200000",
        328,
    ),
    get(
        "options.details",
        lambda c: c.options.details(OPTION),
        f"/open/option/detail/v1/{OPTION}",
        gets=410,
    ),
    get(
        "options.order_book",
        lambda c: c.options.order_book("BTCUSD-26OCT22-15000-C"),
        "/open/option/order/orderbook/v1/BTCUSD-26OCT22-15000-C",
        gets=457,
    ),
    get(
        "options.last_trades",
        lambda c: c.options.last_trades(OPTION),
        f"/open/option/trade/lasttrade/v1/{OPTION}",
        gets=484,
    ),
    get(
        "options.klines",
        lambda c: c.options.klines(OPTION, "D1", 1, 2),
        f"/open/option/market/kline/history/v1/{OPTION}",
        "end=2&limit=1&period=D1&start=1",
        [{"open": 1, "close": 2, "low": 0.5, "high": 3, "volume": 4, "time": 5, "period": "D1"}],
    ),
    get(
        "options.deliveries",
        lambda c: c.options.delivery_prices("BTCUSD"),
        "/open/option/get-delivery-prices/v1",
        "symbol=BTCUSD",
        {"data": [{"date": "2024-12-23", "delivery_price": 95000.5}], "records_total": 1},
    ),
    get(
        "options.expiry_estimates",
        lambda c: c.options.expiry_estimates("BTCUSD", 5),
        "/open/option/getEstimatedExpirationPrice/v1",
        "endTime=5&index=BTCUSD",
        [{"estimatedExpirationPrice": "95000.5", "index": "BTCUSD", "endTime": 5}],
    ),
    get(
        "options.positions",
        lambda c: c.options.positions(),
        "/open/option/position/get/v1",
        gets=508,
    ),
    post(
        "options.place_order",
        lambda c: c.options.place_order(**new(price="19000.10", client_order_id=123123123)),
        "/open/option/order/create/v1",
        ORDER + '19000.10,"clientOrderId":123123123}',
        548,
    ),
    post(
        "options.place_orders",
        lambda c: c.options.place_orders(
            [
                new(price=1, mmp=True, client_order_id=1),
                new(price=Decimal("2.0"), client_order_id=2),
            ]
        ),
        "/open/option/order/batchCreate/v1",
        f'{{"orders":[{ORDER}1,"clientOrderId":1,"timeInForce":"GTC","mmp":true}},'
        f'{ORDER}2.0,"clientOrderId":2,"timeInForce":"GTC"}}]}}',
        [ITEM, ITEM | {"data": 8}],
    ),
    post(
        "options.modify_order",
        lambda c: c.options.modify_order(symbol=OPTION, order_id=7, price=1.5),
        "/open/option/order/modify/v1",
        f'{{"symbol":"{OPTION}","orderId":7,"price":1.5}}',
        7,
    ),
    post(
        "options.modify_orders",
        lambda c: c.options.modify_orders([{"symbol": OPTION, "order_id": 7, "qty": "0.50"}]),
        "/open/option/order/batchModify/v1",
        f'{{"orders":[{{"symbol":"{OPTION}","orderId":7,"qty":0.50}}]}}',
        [ITEM],
    ),
    post(
        "options.cancel_order",
        lambda c: c.options.cancel_order(order_id=1663820914095300608),
        "/open/option/order/cancel/v1",
        '{"orderId":1663820914095300608}',
        568,
    ),
    post(
        "options.cancel_orders",
        lambda c: c.options.cancel_orders([7, Order(order_id=8)]),
        "/open/option/order/batchCancel/v1",
        '{"orderIdList":[7,8]}',
        [{"clOrdId": None, "ordId": n, "ts": 1, "scode": 0, "smsg": "ok"} for n in (7, 8)],
    ),
    get(
        "options.cancel_symbol",
        lambda c: c.options.cancel_symbol("KASUSD-31MAY24-0.1250-C"),
        "/open/option/order/batchCancelByOption/v1/KASUSD-31MAY24-0.1250-C",
    ),
    get(
        "options.cancel_all",
        lambda c: c.options.cancel_all("BTCUSD"),
        "/open/option/order/cancelOpenOrders/v1/BTCUSD",
        gets=586,
    ),
    get(
        "options.open_orders",
        lambda c: c.options.open_orders(currency="BTC"),
        "/open/option/order/pending/v1",
        "currency=BTC&page=1&pageSize=500",
        602,
    ),
    get(
        "options.order",
        lambda c: c.options.order(client_order_id=123123123),
        "/open/option/order/singleQuery/v1",
        "clientOrderId=123123123",
        642,
    ),
    get(
        "options.order_history",
        lambda c: list(c.options.order_history(**DAY, page_size=20)),
        "/open/option/order/history/v1",
        f"{DAY_QUERY}&pageSize=20&{WHEN}",
        679,
    ),
    get(
        "options.trade_history",
        lambda c: next(c.options.trade_history(page_size=20)),
        "/open/option/trade/history/v1",
        "pageSize=20",
        719,
    ),
    post(
        "options.mmp.set",
        lambda c: c.options.mmp.set(
            "BTCUSD", interval_ms=1000, frozen_ms=0, qty_limit="1.50", delta_limit=0.5
        ),
        "/open/mmp/set-mmp-config/v1",
        '{"indexName":"BTCUSD","intervalTime":1000,"frozenTime":0,"qtyLimit":1.50,"deltaLimit":0.5}',
        True,
    ),
    get(
        "options.mmp.get",
        lambda c: c.options.mmp.get("BTCUSD"),
        "/open/mmp/get-mmp-config/v1",
        "indexName=BTCUSD",
        {"indexName": "BTCUSD", "intervalTime": 1000, "mmpFrozenUntil": "", "qtyLimit": "1.5"},
    ),
    post(
        "options.mmp.reset",
        lambda c: c.options.mmp.reset("BTCUSD"),
        "/open/mmp/reset-mmp/v1",
        '{"instType":"OPTION","indexName":"BTCUSD"}',
        Raw(b'{"code":"0","msg":"","data":[{"result":true}]}'),
    ),
    get(
        "futures.symbols", lambda c: c.futures.symbols(), "/open/futures/market/symbol/v1", gets=762
    ),
    get(
        "futures.order_book",
        lambda c: c.futures.order_book("BTCUSD"),
        "/open/futures/order/orderbook/v1/BTCUSD",
        gets=795,
    ),
    get(
        "futures.last_trades",
        lambda c: c.futures.last_trades("BTCUSD"),
        "/open/futures/trade/lasttrade/v1/BTCUSD",
        gets=820,
    ),
    get(
        "futures.klines",
        lambda c: c.futures.klines("BTCUSD", "m1", 1, 2),
        "/open/futures/market/kline/history/v2/BTCUSD",
        "end=2&period=m1&start=1",
        [],
    ),
    get(
        "futures.leverage",
        lambda c: c.futures.leverage("BTCUSD"),
        "/open/futures/leverage/current/v1",
        "symbol=BTCUSD",
        841,
    ),
    post(
        "futures.set_leverage",
        lambda c: c.futures.set_leverage("BTCUSD", 1),
        "/open/futures/leverage/set/v1",
        '{"symbol":"BTCUSD","leverage":1}',
        860,
    ),
    get(
        "futures.positions",
        lambda c: c.futures.positions(),
        "/open/futures/position/get/v1",
        gets=876,
    ),
    post(
        "futures.place_order",
        lambda c: c.futures.place_order(
            symbol="BTCUSD",
            side=Side.SELL,
            qty="0.010",
            order_type="post_only",
            price=19000.1,
            client_order_id=5,
        ),
        "/open/futures/order/create/v1",
        FUTURE,
        911,
    ),
    post(
        "futures.modify_order",
        lambda c: c.futures.modify_order(symbol="BTCUSD", client_order_id=5, qty=1, price=2),
        "/open/futures/order/modify/v1",
        '{"symbol":"BTCUSD","clientOrderId":5,"qty":1,"price":2}',
        7,
    ),
    post(
        "futures.cancel_order",
        lambda c: c.futures.cancel_order(client_order_id=5),
        "/open/futures/order/cancel/v1",
        '{"clientOrderId":5}',
        931,
    ),
    post(
        "futures.cancel_orders",
        lambda c: c.futures.cancel_orders([{"client_order_id": 5}]),
        "/open/futures/order/batchCancel/v1",
        '{"clientOrderIdList":[5]}',
        [{"clOrdId": 5, "ordId": 9, "ts": 1, "scode": 0, "smsg": "ok"}],
    ),
    get(
        "futures.cancel_all",
        lambda c: c.futures.cancel_symbol("BTCUSD"),
        "/open/futures/order/cancelOpenOrders/v1/BTCUSD",
        gets=949,
    ),
    get(
        "futures.open_orders",
        lambda c: c.futures.open_orders(symbol="BTCUSD"),
        "/open/futures/order/pending/v1",
        "page=1&pageSize=500&symbol=BTCUSD",
        965,
    ),
    get(
        "futures.order",
        lambda c: c.futures.order(order_id=111),
        "/open/futures/order/singleQuery/v1",
        "orderId=111",
        1007,
    ),
    get(
        "futures.order_history",
        lambda c: list(c.futures.order_history(page_size=10)),
        "/open/futures/order/history/v1",
        "pageSize=10",
        1045,
    ),
    get(
        "futures.trade_history",
        lambda c: next(c.futures.trade_history()),
        "/open/futures/trade/history/v1",
        "pageSize=500",
        1086,
    ),
]
UNSIGNED = {
    *("time", "config", "funding_rates"),
    *("options.instruments", "options.chain", "options.details", "options.order_book"),
    *("options.last_trades", "options.klines", "options.deliveries", "options.expiry_estimates"),
    *("futures.symbols", "futures.order_book", "futures.last_trades", "futures.klines"),
}


def body_of(gets: Any) -> Raw:
    if isinstance(gets, Raw):
        return gets
    # A line of the documents; an order id is no line.
    return Raw(BODIES[gets].encode()) if type(gets) is int and gets in BODIES else envelope(gets)


IN_2023_MS = 1_693_526_400_000  # 1 September


@pytest.fixture(scope="module")
def stub() -> Iterator[Stub]:
    """In the days of the samples, whose options have not expired."""
    with serving(lambda asked: envelope()) as running:
        running.ahead_ms = IN_2023_MS - running.now_ms()
        yield running


@pytest.fixture(scope="module")
def client(stub: Stub) -> Iterator[Client]:
    wide = {name: Rate(1000, 0.1, name) for name in RATES}
    with Client(KEY, SECRET, rest_url=stub.url, rates=wide) as made:
        made.sync_clock()
        yield made


def script(stub: Stub, path: str, gets: Any) -> None:
    """The answer to this path; what orders are checked against beside."""

    def answer(asked: Asked) -> Raw:
        if asked.path == path:
            return body_of(gets)
        others = {
            "/open/public/config/v1": 155,
            "/open/option/getInstruments/BTC": 281,
            "/open/futures/countdown/cancel/v1": True,
            "/open/option/order/pending/v1": {
                "list": [
                    {"orderId": 8, "clientOrderId": 2},
                    {"orderId": 7, "clientOrderId": 1},
                ]
            },
        }
        return body_of(others[asked.path])

    stub.answer = answer
    stub.asked.clear()


def test_every_row_of_the_table_is_tested() -> None:
    assert {case.name for case in CASES} == set(ENDPOINTS)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_request(stub: Stub, client: Client, case: Case) -> None:
    """Method, path, query, body and content type, to the byte; the signature the stub checks."""
    script(stub, case.path, case.gets)
    before = stub.times_asked
    case.call(client)
    if case.name == "time":
        assert stub.times_asked == before + 1
        return
    # Those of a dead-man's switch are sent side by side; of others there is one, or the first.
    asked = min((asked for asked in stub.asked if asked.path == case.path), key=lambda a: a.body)
    assert asked.method == case.method
    assert asked.headers.get("content-type") == case.content
    assert asked.query == (case.sent if case.method == "GET" else "")
    assert asked.body == (b"" if case.method == "GET" else case.sent.encode())
    assert asked.is_signed == (case.name not in UNSIGNED)
    if asked.is_signed:
        # Whatever changes something must not be done late.
        is_read = case.method == "GET" and "ancel" not in case.path.replace("countdown/cancel", "")
        assert asked.headers["x-req-ts-diff"] == ("5000" if is_read else "1500")
    assert asked.headers["user-agent"].startswith("coincall-fast/")
    assert "cookie" not in asked.headers
    assert stub.wrong == []


def test_every_documented_body_has_a_reader() -> None:
    lines = {case.gets for case in CASES if type(case.gets) is int} - {7}
    # Beside the time, which the stub tells itself, and the body of an error.
    assert lines | {115, 140} == set(BODIES)


def result(stub: Stub, client: Client, name: str, gets: Any = None) -> Any:
    """What a call gives for its documented body, or for another one."""
    case = next(case for case in CASES if case.name == name)
    script(stub, case.path, case.gets if gets is None else gets)
    return case.call(client)


def test_results(stub: Stub, client: Client) -> None:
    """One of each class; the rows themselves are the subject of test_message_rest.py."""

    def of(name: str, gets: Any = None) -> Any:
        return result(stub, client, name, gets)

    assert of("config")["optionConfig"]["BTCUSD"]["takerFee"] == Decimal("0.0004")
    (rate,) = of("funding_rates")
    assert (rate.rate, rate.exact("rate")) == (-0.005, Decimal("-0.00500000"))
    assert (rate.contract_id, rate.ts_ms) == (1, 1687250525704)
    assert of("account.user").user_id == 123456
    summary = of("account.summary")
    assert isinstance(summary, Account)
    assert summary.exact("available_balance") == Decimal("99999.16966405")
    key = of("account.key")
    assert (key.is_read_only, key.is_master, key.parent_id) == (True, True, 0)
    assert KEY not in repr(key)
    (referral,) = of("account.referrals")
    assert (referral.user_id, referral.trades_futures, referral.trades_options) == (
        *(9804700, True, False),
    )
    assert of("account.exercises")[0].strike == 22500.0
    assert of("account.funding")[0].exact("fee") == Decimal("-5.4E-7")
    chain = of("options.chain")
    assert isinstance(chain, OptionChain)
    assert chain["BTCUSD-15JUN23-26000-P"].bid == 658.6
    assert math.isnan(chain["BTCUSD-15JUN23-26000-P"].ask)
    details = of("options.details")
    assert isinstance(details, Ticker)
    assert details.iv == 0.58
    book = of("options.order_book")
    assert isinstance(book, OrderBook)
    assert book.bbo == (5251.0, 0.5, 8888.0, 1.0)
    assert book.recv_ns > 0
    (trade,) = of("options.last_trades")
    assert isinstance(trade, Trade)
    assert trade.exact("price") == Decimal("10.3")
    assert of("options.klines")[0].period == "D1"
    (delivery,) = of("options.deliveries")
    assert (delivery.date, delivery.exact("price")) == ("2024-12-23", Decimal("95000.5"))
    assert of("options.expiry_estimates")[0].expiry_ms == 5
    (position,) = of("options.positions")
    assert isinstance(position, Position)
    assert position.extra["roi"] == 8.55403659
    order = of("options.place_order")
    assert (order.order_id, order.client_order_id) == (1663820914095300608, 123123123)
    assert (order.exact("price"), order.state, order.is_open) == (Decimal("19000.10"), None, None)
    assert of("options.cancel_order") is None
    assert [outcome.ok for outcome in of("options.place_orders")] == [True, True]
    assert of("options.order").is_open
    assert of("options.open_orders")[0].initial_margin == 1047.8
    assert of("options.order_history")[0].state == 1
    assert of("options.trade_history").trade_id == 1584745239911469056
    protection = of("options.mmp.get")
    assert (protection.qty_limit, protection.frozen_until_ms) == (1.5, None)
    assert of("futures.symbols")[0].last_price == 25614.7
    assert of("futures.order_book").bbo == (18801.0, 0.001, 18898.0, 0.992)
    assert of("futures.leverage") == 5
    assert of("futures.positions")[0].leverage == 5.0
    assert of("futures.place_order").order_id == 1673571411341475840
    assert of("futures.open_orders")[0].exact("filled_qty") == Decimal("0E-8")
    assert of("futures.order_history")[0].symbol == "XRPUSD"
    assert of("futures.trade_history").is_taker


def test_instruments(stub: Stub, client: Client) -> None:
    rows = result(stub, client, "options.instruments")
    assert rows[0] == Instrument(
        symbol=OPTION,
        product="options",
        index="BTCUSD",
        tick_size=Decimal("0.1"),
        lot_size=Decimal("0.01"),
        min_qty=Decimal("0.01"),
        strike=Decimal("22500.0"),
        right="C",
        expiry_ms=1694678400000,
    )
    assert [row.right for row in rows] == ["C", "P", "C", "P"]
    assert rows[0].extra["greeksDecimal"] == 5
    (future,) = client.futures.instruments()
    assert (future.lot_size, future.expiry_ms, future.right) == (Decimal("0.001"), None, None)


def test_an_error_body(stub: Stub, client: Client) -> None:
    with pytest.raises(VenueError) as caught:
        result(stub, client, "account.user", 115)
    error = caught.value
    assert (error.code, error.message, error.venue) == (-40004, "Invalid symbol.", "coincall")
    assert str(error) == "coincall GET /open/user/info/v1 -40004: Invalid symbol."


def test_everything_that_an_order_may_have(stub: Stub, client: Client) -> None:
    path = "/open/futures/order/create/v1"
    script(stub, path, 7)
    client.futures.place_order(
        symbol="BTCUSD",
        side="SELL",
        qty=Decimal("1.000"),
        order_type="stop limit",
        price="19000.1",
        trigger_price="19000.0",
        client_order_id="123",  # type: ignore[arg-type]
        time_in_force="ioc",
        stp=3,
        reduce_only=True,
        mmp=False,
    )
    asked = next(asked for asked in stub.asked if asked.path == path)
    assert asked.body == (
        b'{"symbol":"BTCUSD","tradeSide":2,"tradeType":4,"qty":1.000,"price":19000.1,'
        b'"clientOrderId":123,"timeInForce":"IOC","stp":3,"reduceOnly":1,"mmp":false,'
        b'"triggerPrice":19000.0}'
    )

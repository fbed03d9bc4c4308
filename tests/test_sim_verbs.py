"""Trading over the simulated exchange's REST: verbs, batches, pages, and that it all adds up."""

import json
import time
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
import requests

from coincall_fast.sim import Exchange
from sim_client import WAIT_S, Plain

FUTURE = "BTCUSD"
OPTIONS, FUTURES = "/open/option/order", "/open/futures/order"


@pytest.fixture(scope="module")
def exchange() -> Iterator[Exchange]:
    with Exchange(seed=1, throttle="off", flow=0.0) as running:
        running.freeze()
        yield running


@pytest.fixture
def client(exchange: Exchange) -> Plain:
    """A user of its own for every test."""
    return Plain(exchange, exchange.add_user())


@pytest.fixture
def option(exchange: Exchange) -> str:
    return exchange.symbols("options")[0]


def digits(text: str) -> Any:
    """A body's numbers as decimals, whatever their size and spelling."""
    return json.loads(text, parse_float=Decimal, parse_int=Decimal)


def test_the_book_shows_an_order_and_the_order_shows_its_fate(
    client: Plain, exchange: Exchange
) -> None:
    book = client.get(f"{FUTURES}/orderbook/v1/ETHUSD")["data"]
    price = str(Decimal(book["bids"][0]["price"]) + Decimal("0.01"))
    order_id = client.place("ETHUSD", 1, "0.37", price, clientOrderId=77)
    assert order_id > 2**53
    bids = client.get(f"{FUTURES}/orderbook/v1/ETHUSD")["data"]["bids"]
    assert {"size": "0.37", "price": price} in bids
    (pending,) = client.get(f"{FUTURES}/pending/v1", symbol="ETHUSD")["data"]["list"]
    assert (pending["orderId"], pending["clientOrderId"]) == (order_id, 77)
    for wanted in ({"orderId": order_id}, {"clientOrderId": 77}):
        info = client.get(f"{FUTURES}/singleQuery/v1", **wanted)["data"]
        assert (info["orderId"], info["state"]) == (order_id, 0)
    assert client.post(f"{FUTURES}/cancel/v1", orderId=order_id)["data"] is None
    assert client.get(f"{FUTURES}/pending/v1")["data"]["total"] == 0
    assert client.get(f"{FUTURES}/singleQuery/v1", orderId=order_id)["data"]["state"] == 3
    bids = client.get(f"{FUTURES}/orderbook/v1/ETHUSD")["data"]["bids"]
    assert all(level["price"] != price for level in bids)


def test_a_trade_is_everywhere_the_same(client: Plain, option: str) -> None:
    book = client.get(f"{OPTIONS}/orderbook/v1/{option}")["data"]
    best = Decimal(book["asks"][0]["price"])
    order_id = client.place(option, 1, "0.3", str(best), timeInForce="IOC")
    info = digits(client.raw("GET", f"{OPTIONS}/singleQuery/v1", {"orderId": order_id}).text)
    order = info["data"]
    (trade,) = digits(client.raw("GET", "/open/option/trade/history/v1", {}).text)["data"]["list"]
    (held,) = digits(client.raw("GET", "/open/option/position/get/v1", {}).text)["data"]
    (print_, *_) = client.get(f"/open/option/trade/lasttrade/v1/{option}")["data"]
    assert order["fillQty"] == trade["qty"] == held["qty"] == Decimal(print_["qty"])
    assert order["avgPrice"] == trade["price"] == held["avgPrice"] == Decimal(print_["price"])
    assert order["fee"] == trade["fee"] == trade["price"] * trade["qty"] * Decimal("0.0004")
    assert (trade["orderId"], trade["isTaker"], print_["tradeSide"]) == (order_id, 1, 1)
    assert held["value"] == trade["price"] * trade["qty"]
    assert held["upnlByMarkPrice"] == (held["markPrice"] - held["avgPrice"]) * held["qty"]
    assert held["roiByMarkPrice"] == pytest.approx(  # in percent
        100 * held["upnlByMarkPrice"] / held["value"], abs=Decimal("1e-7")
    )
    assert held["roi"] == pytest.approx(100 * held["upnl"] / held["value"], abs=Decimal("1e-7"))
    row = client.get("/open/account/summary/v1")["data"]["accounts"][0]
    cash = 1_000_000 - held["value"] - trade["fee"]
    assert Decimal(row["marginBalance"]) == cash
    # Time takes a little of the mark away between the two requests.
    assert Decimal(row["equityAmount"]) - cash == pytest.approx(
        held["markPrice"] * held["qty"], rel=Decimal("0.001")
    )
    size = {level["price"]: Decimal(level["size"]) for level in book["asks"]}[str(best)]
    after = client.get(f"{OPTIONS}/orderbook/v1/{option}")["data"]["asks"]
    assert all(Decimal(a["size"]) < size for a in after if a["price"] == str(best))


def test_a_perpetuals_position(client: Plain) -> None:
    client.place(FUTURE, 2, "0.25", None)
    (held,) = digits(client.raw("GET", "/open/futures/position/get/v1", {}).text)["data"]
    assert (held["tradeSide"], held["qty"], held["delta"]) == (2, Decimal("0.25"), Decimal("-0.25"))
    assert held["value"] == held["avgPrice"] * held["qty"]
    assert held["initMargin"] == held["value"] / 5
    assert held["upnl"] == (held["avgPrice"] - held["markPrice"]) * held["qty"]
    # A fraction, not percent as an option's.
    assert held["roi"] == pytest.approx(held["upnl"] / held["value"], abs=Decimal("1e-7"))


def test_open_interest_is_what_is_held_long(client: Plain, exchange: Exchange) -> None:
    option = exchange.symbols("options")[4]

    def interest() -> Decimal:
        path = f"/open/option/detail/v1/{option}"
        found = digits(client.raw("GET", path, {}).text)["data"]["openInterest"]
        assert isinstance(found, Decimal)
        return found

    def best(side: str) -> str:
        book = client.get(f"{OPTIONS}/orderbook/v1/{option}")["data"]
        return str(book[side][0]["price"])

    before = interest()
    client.place(option, 1, "0.05", best("asks"))
    assert interest() - before == Decimal("0.05")
    client.place(option, 2, "0.08", best("bids"))  # closes 0.05 and opens 0.03
    assert interest() - before == Decimal("0.03")


@pytest.mark.parametrize("root", [OPTIONS, FUTURES])
def test_cancel_answers_as_its_product_does(client: Plain, option: str, root: str) -> None:
    symbol = option if root == OPTIONS else FUTURE
    order_id = client.place(symbol, 1, "0.1", "1", clientOrderId=5)
    assert client.post(f"{root}/cancel/v1", clientOrderId=5)["data"] == (
        "success" if root == OPTIONS else None
    )
    assert client.post(f"{root}/cancel/v1", orderId=order_id)["code"] == 11101
    assert client.post(f"{root}/cancel/v1", orderId=1)["code"] == 10584
    assert client.post(f"{root}/cancel/v1")["code"] == 10575


def test_cancelling_by_index_and_by_option(client: Plain, exchange: Exchange) -> None:
    one, two = exchange.symbols("options")[:2]
    ids = [client.place(symbol, 1, "0.1", "1") for symbol in (one, two, two, FUTURE)]
    assert client.get(f"{OPTIONS}/batchCancelByOption/v1/{one}")["code"] == 0
    assert client.get(f"{OPTIONS}/pending/v1")["data"]["total"] == 2
    assert client.get(f"{OPTIONS}/pending/v1", currency="ETH")["data"]["total"] == 0
    assert client.get(f"{OPTIONS}/cancelOpenOrders/v1/BTCUSD")["data"] is None
    assert client.get(f"{OPTIONS}/pending/v1")["data"] == {"list": [], "pageTotal": 0, "total": 0}
    assert client.get(f"{FUTURES}/pending/v1")["data"]["list"][0]["orderId"] == ids[-1]
    assert client.get(f"{FUTURES}/cancelOpenOrders/v1/BTCUSD")["code"] == 0
    assert client.get(f"{FUTURES}/cancelOpenOrders/v1/DOGEUSD")["code"] == 10579
    # It changes the state, so another version of it is no endpoint.
    assert client.raw("GET", f"{FUTURES}/cancelOpenOrders/v2/BTCUSD", {}).status_code == 404


def test_modify(client: Plain, option: str) -> None:
    order_id = client.place(option, 1, "0.5", "1")
    answer = client.post(f"{OPTIONS}/modify/v1", symbol=option, orderId=str(order_id), price="1.5")
    assert answer["data"] == order_id
    info = client.get(f"{OPTIONS}/singleQuery/v1", orderId=order_id)["data"]
    assert (info["price"], info["qty"]) == (1.5, 0.5)
    assert client.post(f"{OPTIONS}/modify/v1", orderId=order_id, price="1.55")["code"] == 40035
    assert client.get(f"{OPTIONS}/singleQuery/v1", orderId=order_id)["data"]["price"] == 1.5


def test_batches(client: Plain, option: str) -> None:
    def order(**more: Any) -> dict[str, Any]:
        fields = {"symbol": option, "tradeSide": 1, "tradeType": 1, "qty": 0.1, "price": 1}
        return fields | {"timeInForce": "GTC"} | more

    answer = client.post(
        f"{OPTIONS}/batchCreate/v1",
        orders=[
            order(clientOrderId=1),
            order(clientOrderId=1),
            order(qty=0.001),
            order(timeInForce=None),
            order(price=2, stp=None),
        ],
    )
    assert answer["code"] == 0
    assert [item["code"] for item in answer["data"]] == [0, 10577, 10558, 10570, 0]
    ids = [item["data"] for item in answer["data"]]
    assert ids[1:4] == [None] * 3
    changed = client.post(
        f"{OPTIONS}/batchModify/v1",
        orders=[
            {"symbol": option, "orderId": str(ids[0]), "price": "3"},
            {"symbol": option, "orderId": "7", "price": "3"},
            {"symbol": option, "orderId": str(ids[4]), "qty": "0.0001"},
        ],
    )["data"]
    # Not in the order of the request.
    assert [(item["data"], item["code"]) for item in changed] == [
        (ids[4], 10558),
        (7, 10584),
        (ids[0], 0),
    ]
    gone = client.post(f"{OPTIONS}/batchCancel/v1", orderIdList=[ids[0], 7], clientOrderIdList=[1])[
        "data"
    ]
    assert [(row["ordId"], row["scode"]) for row in gone] == [(ids[0], 0), (7, 1)]
    assert client.get(f"{OPTIONS}/pending/v1")["data"]["total"] == 1
    (row,) = client.post(f"{OPTIONS}/batchCancel/v1", clientOrderIdList=[99])["data"]
    assert (row["clOrdId"], row["ordId"], row["scode"]) == (99, None, 1)
    for wrong, code in (([], 10570), ([order()] * 41, 10572), ([5], 10573)):
        assert client.post(f"{OPTIONS}/batchCreate/v1", orders=wrong)["code"] == code
    assert client.post(f"{OPTIONS}/batchCancel/v1", orderIdList=[1] * 41)["code"] == 10572
    assert client.post(f"{OPTIONS}/batchCancel/v1")["code"] == 10575


def test_open_orders_come_by_pages(client: Plain) -> None:
    ids = [client.place(FUTURE, 1, "0.001", str(n)) for n in range(1, 6)]
    seen, page = [], 1
    while True:
        data = client.get(f"{FUTURES}/pending/v1", page=page, pageSize=2)["data"]
        assert (data["pageTotal"], data["total"]) == (3, 5)
        if not data["list"]:
            break
        seen += [row["orderId"] for row in data["list"]]
        page += 1
    assert seen == ids[::-1]
    assert client.get(f"{FUTURES}/pending/v1", pageSize=501)["code"] == 10573


def test_histories_come_by_cursor(client: Plain) -> None:
    ids = [client.place(FUTURE, 1, "0.001", None) for _ in range(5)]
    for path, name in (
        (f"{FUTURES}/history/v1", "orderId"),
        ("/open/futures/trade/history/v1", "tradeId"),
    ):
        seen: list[int] = []
        fields: dict[str, Any] = {"pageSize": 2}
        flags = []
        while True:
            data = client.get(path, **fields)["data"]
            seen += [row[name] for row in data["list"]]
            flags.append((data["hasNext"], data["hasPre"]))
            if not data["hasNext"]:
                break
            fields["fromId"] = seen[-1]
        assert flags == [(True, False), (True, True), (False, True)]
        assert seen == sorted(seen, reverse=True)
        assert len(seen) == 5
        if name == "orderId":
            assert seen == ids[::-1]
        late = {"pageSize": 2, "startTime": int(time.time() * 1000) + 60_000}
        assert client.get(path, **late, endTime=late["startTime"])["data"]["list"] == []
        long = {"pageSize": 2, "startTime": 1, "endTime": 91 * 86_400_000}
        assert client.get(path, **long)["code"] == 20034
    assert client.get(f"{FUTURES}/history/v1")["code"] == 10570


def test_the_countdown_over_rest(client: Plain) -> None:
    root = "/open/futures/countdown/cancel"
    assert client.post(f"{root}/v1", symbol=FUTURE, type=2, countdownTime=60_000)["data"] is True
    assert client.get(f"{root}/get/v1", type=2)["data"] == [
        {"type": 2, "symbol": FUTURE, "countdownTime": 60_000}
    ]
    assert client.get(f"{root}/get/v1", type=1)["data"] == []
    beat = client.post(f"{root}/heartbeat/v1", symbols="BTCUSD,ETHUSD", type=2)
    assert beat["data"] == ["BTCUSD"]
    assert client.post(f"{root}/v1", symbol=FUTURE, type=3, countdownTime=1)["code"] == 10573
    assert client.post(f"{root}/v1", symbol=FUTURE, type=2, countdownTime=1)["data"] is True
    order = {"symbol": FUTURE, "tradeSide": 1, "tradeType": 1, "qty": "0.001", "price": "1"}
    deadline_s = time.monotonic() + WAIT_S
    while (code := client.post(f"{FUTURES}/create/v1", **order)["code"]) != 10619:
        assert code == 0
        assert time.monotonic() < deadline_s
    assert client.get(f"{FUTURES}/pending/v1")["data"]["total"] == 0


def test_the_countdown_of_a_fast_market() -> None:
    """A client beats by its own clock: hours of the market may pass between two beats."""
    root = "/open/futures/countdown/cancel"
    with Exchange(speed=2_000.0, start_ms=0) as exchange:
        client = Plain(exchange, exchange.add_user())
        assert (
            client.post(f"{root}/v1", symbol=FUTURE, type=2, countdownTime=60_000)["data"] is True
        )
        while json.loads(exchange.book_frame(FUTURE))["d"]["ts"] < 600_000:
            time.sleep(0.01)
        assert client.get(f"{root}/get/v1", type=2)["data"] == [
            {"type": 2, "symbol": FUTURE, "countdownTime": 60_000}
        ]
        assert client.post(f"{root}/heartbeat/v1", symbols=FUTURE, type=2)["data"] == [FUTURE]


def test_market_maker_protection_over_rest(client: Plain) -> None:
    path = "/open/mmp/get-mmp-config/v1"
    assert client.get(path, indexName=FUTURE)["data"] is None
    config = {"indexName": FUTURE, "intervalTime": "1000", "frozenTime": "0", "qtyLimit": "0.5"}
    assert client.post("/open/mmp/set-mmp-config/v1", **config)["code"] == 0
    found = client.get(path, indexName=FUTURE)["data"]
    assert (found["qtyLimit"], found["deltaLimit"], found["mmpFrozenUntil"]) == ("0.5", "0", "")
    assert found["ctime"].endswith("Z")
    reset = client.post("/open/mmp/reset-mmp/v1", instType="OPTION", indexName=FUTURE)
    assert reset == {"code": "0", "msg": "", "data": [{"result": True}]}
    for wrong in ({"intervalTime": 5}, {"qtyLimit": "-1"}, {"qtyLimit": "x"}):
        assert client.post("/open/mmp/set-mmp-config/v1", **(config | wrong))["code"] == 10573
    assert client.post("/open/mmp/set-mmp-config/v1", **(config | {"indexName": "X"}))["code"]


def test_the_chain_agrees_with_books_and_positions(client: Plain, exchange: Exchange) -> None:
    listed = client.get("/open/option/getInstruments/BTC")["data"]
    expiries = {row["expirationTimestamp"] for row in listed}
    everything = client.get("/open/option/get/v1/BTCUSD")["data"]
    assert 2 * len(everything) == len(listed)
    assert len(expiries) == 2
    rows = client.get("/open/option/get/v1/BTCUSD", endTime=min(expiries))["data"]
    strikes = [row["strike"] for row in rows]
    assert strikes == sorted(strikes)
    assert {row["callOption"]["endTime"] for row in rows} == {min(expiries)}
    for row in rows:
        call, put = row["callOption"], row["putOption"]
        assert call["symbol"][:-1] == put["symbol"][:-1]
        # Parity of the marks, and the greeks' signs.
        parity = call["markPrice"] - put["markPrice"]
        assert parity == pytest.approx(call["underlyingPrice"] - row["strike"], abs=1e-6)
        assert call["delta"] >= 0 >= put["delta"]
        for side in (call, put):
            assert not side["ask"] or side["bid"] < side["ask"]
            assert side["lastPriceIv"] == 1.7976931348623157e308 or side["lastPrice"]
        if call["ask"] and call["bid"] > parity + 1:
            assert call["bidIv"] <= call["markIv"] <= call["askIv"]
    assert client.get("/open/option/get/v1/DOGE")["code"] == 10579


def test_klines_are_made_of_the_trades(client: Plain) -> None:
    path = "/open/futures/market/kline/history/v2/ETHUSD"
    before = client.get(path, period="D1")["data"][-1]
    client.place("ETHUSD", 1, "0.5", None)
    trade = client.get("/open/futures/trade/lasttrade/v1/ETHUSD")["data"][0]
    after = client.get(path, period="d1")["data"][-1]
    assert after["volume"] - before["volume"] == pytest.approx(0.5)
    assert str(after["close"]) == str(float(trade["price"]))
    assert after["high"] >= after["close"] >= after["low"]
    assert after["period"] == "D1"
    ticker = next(
        row
        for row in client.get("/open/futures/market/symbol/v1")["data"]
        if row["symbol"] == "ETHUSD"
    )
    assert ticker["price"] == after["close"]
    assert ticker["volume24h"] == after["volume"]
    assert client.get(path, period="m2")["code"] == 10573
    assert client.get(path)["code"] == 10570
    assert client.get(path.replace("ETH", "DOGE"), period="d1")["code"] == 10574


def test_settlement_endpoints_are_quiet_and_well_formed(client: Plain) -> None:
    done = client.get("/open/settle/exercise/history/v1")["data"]
    assert done == {"list": [], "hasNext": False, "hasPrev": False}
    assert client.get("/open/settle/future/record/v1")["code"] == 10570
    paid = client.get("/open/settle/future/record/v1", symbol=FUTURE)["data"]
    assert paid == {"list": [], "pageTotal": 0, "total": 0}
    assert client.get("/open/settle/future/latestRecord/v1")["data"] == []
    assert client.get("/open/referral/sub/v1", subAgentId=5)["code"] == 10004
    url = f"{client.url}/open/option/getEstimatedExpirationPrice/v1?index=BTCUSD"
    rows = requests.get(url, timeout=WAIT_S).json()["data"]
    assert len(rows) == 2
    assert all(isinstance(row["estimatedExpirationPrice"], str) for row in rows)
    prices = client.get("/open/option/get-delivery-prices/v1", symbol=FUTURE)["data"]
    assert prices == {"data": [], "records_total": 0}

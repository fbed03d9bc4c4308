"""The simulated exchange's channels: shapes against the printed frames, and what they tell."""

import json
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from coincall_fast.sim import Exchange
from coincall_fast.sim.refusals import RefusedError
from coincall_fast.sim.topics import Catalog
from sim_client import Plain
from sim_socket import Socket

CONFORMANCE = Path(__file__).parent / "conformance"
FUTURE = "BTCUSD"
SEEDS = {"2023-05": "001_", "2023-09": "003_"}


def shape(value: Any) -> Any:
    """The keys and JSON types of a value, of every item of a list."""
    if isinstance(value, dict):
        return {key: shape(item) for key, item in value.items()}
    if isinstance(value, list):
        return [shape(item) for item in value]
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return "number"
    return type(value).__name__


def printed(edition: str) -> list[Any]:
    rows = map(json.loads, (CONFORMANCE / "frames.jsonl").read_text().splitlines())
    return [
        json.loads(row["frame"])
        for row in rows
        if row["kind"] == "push" and row["seed"].startswith(SEEDS[edition])
    ]


def market_of(edition: str) -> Exchange:
    return Exchange(seed=1, throttle="off", flow=0.0, edition=edition)  # type: ignore[arg-type]


def heard(exchange: Exchange) -> list[Any]:
    """At least one frame of everything that can be heard of a user who does everything."""
    exchange.freeze()
    client, option = Plain(exchange), exchange.symbols("options")[0]
    frames = []
    expiry = client.get("/open/option/getInstruments/BTC")["data"][0]["expirationTimestamp"]
    for product, symbol in (("options", option), ("futures", FUTURE)):
        with Socket(exchange, product) as socket:
            for channel, payload in wanted(product, symbol, expiry):
                socket.send("subscribe", channel, **payload)
            trade_every_way(client, symbol)
            socket.pushes()
            frames += socket.log
        with Socket(exchange, product) as socket:  # for what one who comes later gets
            for channel, payload in wanted(product, symbol, expiry):
                socket.send("subscribe", channel, **payload)
            socket.pushes()
            frames += socket.log
    return frames


def wanted(product: str, symbol: str, expiry: int) -> list[tuple[str, dict[str, Any]]]:
    public = ["kline", "bsInfo", "spotPrice", "orderBook", "lastTrade", "lastTradeV2"]
    public += ["fillSignal", "premiumIndex"]
    private = ["accountBalance", "order", "position", "positionEvent", "trade"]
    asked = [(channel, {"symbol": symbol, "period": "h1"}) for channel in public]
    asked += [(channel, {}) for channel in private]
    return [*asked, ("tOption", {"symbol": FUTURE, "end": expiry})]


def trade_every_way(client: Plain, symbol: str) -> None:
    """New, canceled, partly filled, filled; then the position is closed."""
    product = "option" if "-" in symbol else "futures"
    root = f"/open/{product}/order"
    book = client.get(f"{root}/orderbook/v1/{symbol}")["data"]
    first, second = book["asks"][:2]
    order_id = client.place(symbol, 1, "0.5", "1", clientOrderId=1)
    client.post(f"{root}/cancel/v1", orderId=order_id)
    size = Decimal(first["size"]) + min(Decimal("0.1"), Decimal(second["size"]))
    client.place(symbol, 1, str(size), second["price"], clientOrderId=2)
    bids = client.get(f"{root}/orderbook/v1/{symbol}")["data"]["bids"]
    client.place(symbol, 2, "0.01", bids[-1]["price"], clientOrderId=3)


@pytest.fixture(scope="module")
def recorded() -> dict[str, list[Any]]:
    """What is heard of each edition."""
    found = {}
    for edition in ("today", *SEEDS):
        with market_of(edition) as exchange:
            found[edition] = heard(exchange)
    return found


@pytest.mark.parametrize("edition", SEEDS)
def test_frames_are_shaped_like_the_printed_ones(
    recorded: dict[str, list[Any]], edition: str
) -> None:
    ours: dict[Any, list[Any]] = {}
    for frame in recorded[edition]:
        if "dt" in frame:
            ours.setdefault(kind(frame), []).append(frame)
    examples = printed(edition)
    assert len(examples) > 10
    for example in examples:
        # What cannot be brought about: an order that is invalid.
        if kind(example)[1] == 6:
            continue
        found = ours[kind(example)]
        assert any(alike(frame, example) for frame in found), f"{found[0]}\n{example}"


def kind(frame: Any) -> tuple[int, int | None]:
    """The channel, and the state of an order."""
    data = frame["d"]
    return frame["dt"], data.get("os") if isinstance(data, dict) else None


def alike(ours: Any, example: Any) -> bool:
    """The same keys and types; orders and their keys may stand in the other product's order."""
    if isinstance(example["d"], list):
        rows = example["d"], ours["d"]
        shapes = [{json.dumps(shape(row), sort_keys=True) for row in side} for side in rows]
        return bool(rows[1]) and bool(shapes[0] & shapes[1])
    a, b = shape(ours), shape(example)
    for one in (a, b):
        for side in ("asks", "bids"):
            if side in one["d"]:
                one["d"][side] = one["d"][side][:1]
    return a == b and (list(a["d"]) == list(b["d"]) or "oid" in b["d"])


def test_todays_frames_say_more(recorded: dict[str, list[Any]]) -> None:
    frames = {frame["dt"]: frame for frame in recorded["today"] if "dt" in frame}
    options, futures = (
        {2, 3, 4, 5, 6, 7, 11, 12, 15, 24, 27},
        {30, 31, 32, 33, 35, 36, 38, 43, 44, 46},
    )
    assert set(frames) == options | futures
    assert all(isinstance(row["miv"], float) for row in frames[4]["d"])
    assert frames[7]["d"]["assets"][0]["coin"] == "USD"
    assert {"oi", "ts"} <= set(frames[30]["d"])
    assert frames[36]["d"]["ctp"] == "E"
    assert frames[36]["d"]["os"] == frames[12]["d"]["os"] == "1"
    for dt in (15, 38):
        assert all(isinstance(value, str) for value in frames[dt]["d"].values())
    for dt in (24, 43):
        assert all(isinstance(v, str) for row in frames[dt]["d"] for v in row.values())
    assert isinstance(frames[11]["d"]["tif"], int)
    for dt in (12, 24, 27, 30, 36, 43, 46):
        assert isinstance(frames[dt]["ts"], int)


def test_the_2023_editions_have_not_todays_channels() -> None:
    with market_of("2023-09") as exchange, Socket(exchange, "futures") as socket:
        for channel in ("lastTradeV2", "trade", "positionEvent", "premiumIndex", "fillSignal"):
            socket.send("subscribe", channel, symbol=FUTURE)
            assert socket.receive()["code"] == 10586


# What is told


@pytest.fixture(scope="module")
def exchange() -> Iterator[Exchange]:
    with Exchange(seed=1, throttle="off", flow=0.0) as running:
        running.freeze()
        yield running


def test_the_life_of_an_order(exchange: Exchange) -> None:
    one, two = exchange.add_user(), exchange.add_user()
    maker, taker = Plain(exchange, one), Plain(exchange, two)
    with Socket(exchange, "futures", one) as mine, Socket(exchange, "futures", two) as theirs:
        for socket in (mine, theirs):
            for channel in ("order", "trade", "positionEvent"):
                socket.subscribe(channel)
        book = maker.get("/open/futures/order/orderbook/v1/BTCUSD")["data"]
        price = str(Decimal(book["asks"][0]["price"]) - 1)
        made = maker.place(FUTURE, 2, "0.3", price, clientOrderId=9)
        taken = taker.place(FUTURE, 1, "0.2", price, timeInForce="IOC")
        maker.post("/open/futures/order/cancel/v1", orderId=made)
        frames = mine.pushes()
        orders = [frame["d"] for frame in frames if frame["dt"] == 35]
        assert [order["os"] for order in orders] == [0, 2, 3]
        assert {(order["oid"], order["coid"]) for order in orders} == {(made, 9)}
        assert "fq" not in orders[0]
        assert (orders[1]["fq"], orders[1]["rq"], orders[1]["mq"]) == ("0.2", "0.1", "0.2")
        assert (orders[1]["mpr"], orders[1]["ap"], orders[1]["it"]) == (price, price, 0)
        assert (orders[2]["cq"], orders[2]["fq"]) == ("0.1", "0.2")
        (trade,) = [frame["d"] for frame in frames if frame["dt"] == 38]
        assert (trade["oid"], trade["mq"], trade["it"]) == (str(made), "0.2", "0")
        assert Decimal(trade["tf"]) == Decimal(trade["mv"]) * Decimal("-0.0002")
        (held,) = [frame["d"] for frame in frames if frame["dt"] == 46]
        assert (held["q"], held["si"], held["os"]) == ("0.2", "2", "1")
        others = theirs.pushes()
        # A user hears of nobody else's orders.
        assert {frame["d"]["oid"] for frame in others if frame["dt"] == 35} == {taken}
        (other,) = [frame["d"] for frame in others if frame["dt"] == 38]
        assert (other["tid"], other["it"]) == (trade["tid"], "1")
        # Closed: state 2 of futures.
        maker.place(FUTURE, 1, "0.2", None)
        assert mine.push(46)["d"]["os"] == "2"


def test_a_change_of_a_partly_filled_order_is_told_without_a_match(exchange: Exchange) -> None:
    key = exchange.add_user()
    client = Plain(exchange, key)
    with Socket(exchange, "futures", key) as socket:
        socket.subscribe("order")
        book = client.get("/open/futures/order/orderbook/v1/ETHUSD")["data"]["asks"][0]
        qty = Decimal(book["size"]) + 1
        order_id = client.place("ETHUSD", 1, str(qty), book["price"])
        client.post(
            "/open/futures/order/modify/v1", orderId=order_id, qty=str(qty - Decimal("0.5"))
        )
        client.post("/open/futures/order/modify/v1", orderId=order_id, qty="0.01")
        told = [frame["d"] for frame in socket.pushes() if frame["dt"] == 35]
        assert [(order["os"], order.get("rq")) for order in told] == [
            (0, None),
            (2, "1"),
            (2, "0.5"),
            (1, "0"),
        ]
        assert ["mq" in order for order in told] == [False, True, False, False]
        assert told[3]["q"] == told[3]["fq"] == book["size"]
        client.place("ETHUSD", 2, book["size"], None)


def test_the_answer_comes_before_its_effect_or_behind_it() -> None:
    """The socket hears nothing while the answer is held back, and the other way round."""
    for pushes_first in (False, True):
        with Exchange(pushes_first=pushes_first, flow=0.0) as exchange:
            order: list[str] = []
            client = Plain(exchange)

            def look(server: Any, order: list[str] = order, exchange: Exchange = exchange) -> None:
                feed, gate = server.feed, server._gate
                told, answered = feed._tell_user, gate.answer

                def tell(event: Any) -> None:
                    order.append("push")
                    told(event)

                def answer(*request: Any) -> Any:
                    response = answered(*request)
                    write_eof = response.write_eof

                    async def written(*data: Any) -> None:
                        await write_eof(*data)
                        order.append("answer")

                    response.write_eof = written
                    return response

                feed._tell_user, gate.answer = tell, answer

            exchange._call(look)
            client.place(FUTURE, 1, "0.1", "1")
        expected = ["push", "answer"] if pushes_first else ["answer", "push"]
        assert list(dict.fromkeys(order)) == expected


def test_nothing_is_told_while_an_answer_is_on_its_way(exchange: Exchange) -> None:
    """Whoever else has the server's attention meanwhile."""
    key = exchange.add_user()
    with Socket(exchange, "futures", key) as socket:
        socket.subscribe("order")
        exchange._call(lambda server: server.feed.hold())
        Plain(exchange, key).place(FUTURE, 1, "0.1", "1000")
        time.sleep(0.3)
        assert socket.pushes() == []
        exchange._call(lambda server: server.feed.release())
        assert socket.push(35)["d"]["os"] == 0


def test_a_trade_is_told_to_all_who_listen(exchange: Exchange) -> None:
    client = Plain(exchange)
    with Socket(exchange, "futures") as socket:
        socket.subscribe("lastTrade", symbol=[FUTURE, "ETHUSD"])
        socket.subscribe("lastTradeV2", symbol="ETHUSD")
        socket.subscribe("orderBook", symbol="ETHUSD")
        before = socket.push(32)["d"]["asks"][0]
        client.place("ETHUSD", 1, "0.01", None)
        v1 = socket.push(33)["d"][0]
        v2 = socket.push(43)["d"][0]
        assert (v1["s"], v1["q"], v1["sd"]) == ("ETHUSD", "0.01", 1)
        assert Decimal(v1["pr"]) == Decimal(v2["matchPrice"]) == Decimal(before["pr"])
        assert (v2["matchQty"], v2["tradeSide"]) == ("0.01", "1")
        after = socket.push(32)["d"]["asks"][0]
        if Decimal(before["sz"]) > Decimal("0.01"):
            assert Decimal(before["sz"]) - Decimal(after["sz"]) == Decimal("0.01")
        # Who comes later gets the backlog again.
        with Socket(exchange, "futures") as later:
            later.subscribe("lastTrade", symbol="ETHUSD")
            assert v1 in later.push(33)["d"]


def test_balance_and_positions_come_every_second(exchange: Exchange) -> None:
    key = exchange.add_user()
    option = exchange.symbols("options")[0]
    with Socket(exchange, "options", key) as socket:
        socket.subscribe("accountBalance")
        first = socket.push(7)["d"]
        assert first["e"] == first["ab"] == 1_000_000
        assert first["uid"] == key.user_id
        Plain(exchange, key).place(option, 1, "0.1", "100000", timeInForce="IOC")
        assert socket.push(7)["d"]["ab"] < 1_000_000
        socket.subscribe("position")
        times = [socket.push(12)["ts"] for _ in range(3)]
        assert 900 <= times[2] - times[1] <= 1_300


def test_the_ticker_agrees_with_rest(exchange: Exchange) -> None:
    client = Plain(exchange)
    client.place(FUTURE, 1, "0.05", None)
    with Socket(exchange, "futures") as socket:
        socket.subscribe("spotPrice", symbol=FUTURE)
        push = socket.push(30)["d"]
        row = client.get("/open/futures/market/symbol/v1")["data"][0]
        assert (push["pr"], push["mp"], push["v24"], push["h"]) == (
            row["price"],
            row["markPrice"],
            row["volume24h"],
            row["price24hHigh"],
        )
        socket.subscribe("kline", symbol=FUTURE, period="D1")
        bar = socket.push(31)["d"]
        (kline,) = client.get("/open/futures/market/kline/history/v2/BTCUSD", period="d1")["data"]
        assert (bar["close"], bar["v"], bar["ts"]) == (
            kline["close"],
            kline["volume"],
            kline["time"],
        )


def test_the_chain_is_whole_and_agrees_with_the_ticker(exchange: Exchange) -> None:
    client = Plain(exchange)
    expiries = {
        row["expirationTimestamp"] for row in client.get("/open/option/getInstruments/BTC")["data"]
    }
    with Socket(exchange, "options") as socket:
        socket.subscribe("tOption", symbol=FUTURE, end=min(expiries))
        rows = {row["s"]: row for row in socket.push(4)["d"]}
        assert len(rows) == 30
        symbol = exchange.symbols("options")[0]
        socket.subscribe("bsInfo", symbol=[symbol])
        ticker = socket.push(3)["d"]
        assert (rows[symbol]["delta"], rows[symbol]["miv"]) == (ticker["delta"], ticker["iv"])
        socket.subscribe("orderBook", symbol=symbol)
        book = socket.push(5)["d"]
        for side, price, size in (("bids", "bid", "bs"), ("asks", "ask", "as")):
            if book[side]:
                assert float(book[side][0]["pr"]) == rows[symbol][price]
                assert float(book[side][0]["sz"]) == rows[symbol][size]


def test_bs_info_as_texts() -> None:
    with Exchange(ticker_texts=True, flow=0.0) as exchange, Socket(exchange, "options") as socket:
        socket.subscribe("bsInfo", symbol=exchange.symbols("options")[0])
        ticker = socket.push(3)["d"]
        assert {type(ticker[name]) for name in ("mp", "iv", "delta", "v24")} == {str}
        assert isinstance(ticker["ts"], int)


@pytest.mark.parametrize("repeats", [True, False])
def test_unchanged_books_are_repeated_or_not(repeats: bool) -> None:
    with Exchange(repeats_unchanged=repeats, flow=0.0, futures_period_ms=20) as exchange:
        exchange.freeze()
        client = Plain(exchange)
        with Socket(exchange, "futures") as socket:
            socket.subscribe("orderBook", symbol=FUTURE)
            socket.push(32)
            time.sleep(0.2)
            assert bool(socket.pushes()) == repeats
            client.place(FUTURE, 1, "0.001", "1000")  # far below all that is shown
            time.sleep(0.2)
            assert bool(socket.pushes()) == repeats
            client.place(FUTURE, 1, "0.002", "26430.1")
            assert socket.until(lambda frame: frame["d"]["bids"][0]["pr"] == "26430.1")


@pytest.mark.parametrize(
    ("product", "request_", "code"),
    [
        ("options", {"dataType": "tOption", "payload": {"end": 5}}, 10570),
        ("options", {"dataType": "tOption", "payload": {"symbol": FUTURE}}, 10570),
        ("options", {"dataType": "tOption", "payload": {"symbol": FUTURE, "end": 5}}, 10579),
        ("options", {"dataType": "tOption", "payload": {"symbol": [FUTURE], "end": 7}}, 10579),
        ("futures", {"dataType": "tOption", "payload": {"symbol": FUTURE, "end": 7}}, 10586),
        ("options", {"dataType": "lastTradeV2", "payload": {"symbol": [FUTURE]}}, 10574),
        ("futures", {"dataType": "kline", "payload": {"symbol": FUTURE}}, 10570),
        ("futures", {"dataType": "kline", "payload": {"symbol": FUTURE, "period": "m2"}}, 10573),
        ("futures", {"dataType": "kline", "payload": {"symbol": [FUTURE], "period": "m1"}}, 10574),
        ("futures", {"dataType": "accountBalance"}, 10586),
        ("options", {"dataType": "spotPrice", "payload": {"symbol": FUTURE}}, 10586),
        ("options", {"dataType": 5}, 10586),
        ("options", {}, 10586),
    ],
)
def test_requests_that_ask_for_nothing_there_is(
    product: str, request_: dict[str, Any], code: int
) -> None:
    catalog = Catalog(product, {FUTURE}, {(FUTURE, 7)})
    with pytest.raises(RefusedError) as caught:
        catalog.topics(request_)
    assert caught.value.refusal.code == code

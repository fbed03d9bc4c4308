"""The simulated exchange's signed REST, by a plain client that is not ours."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from coincall_fast.sim import Exchange
from coincall_fast.sim.auth import RestVerifier
from coincall_fast.sim.keys import READ, TRADE, Key, Keyring
from coincall_fast.sim.params import canonical, from_form, from_json
from coincall_fast.sim.rates import CLASSES, Rates
from coincall_fast.sim.refusals import RefusedError
from sim_client import WAIT_S, Plain

CONFORMANCE = Path(__file__).parent / "conformance"
DEEP = {"timeInForce": "GTC"}


@pytest.fixture(scope="module")
def exchange() -> Iterator[Exchange]:
    with Exchange(seed=1, throttle="off", flow=0.0) as running:
        running.freeze()
        yield running


@pytest.fixture
def client(exchange: Exchange) -> Plain:
    """A user of its own for every test."""
    return Plain(exchange, exchange.add_user())


# Signatures


@pytest.mark.parametrize(
    "vector", json.loads((CONFORMANCE / "signing.json").read_text())["rest"], ids=lambda v: v["id"]
)
def test_printed_and_live_signatures_are_accepted(vector: dict[str, Any]) -> None:
    keys = Keyring()
    keys.add(Key(vector["apiKey"], vector["secret"], 1, frozenset()))
    headers = {
        "X-CC-APIKEY": vector["apiKey"],
        "ts": str(vector["ts"]),
        "X-REQ-TS-DIFF": str(vector["tsDiff"]),
        "sign": vector["sign"],
    }
    if vector.get("encoding") == "json":
        fields = from_json(json.dumps(vector["params"]))
        assert fields is not None
    else:
        fields = {name: str(value) for name, value in vector["params"].items()}
    verifier = RestVerifier(keys, "lower")
    who = vector["method"], vector["path"], headers, fields
    assert verifier.check(*who, now_ms=vector["ts"] + 100).user_id == 1
    headers["sign"] = f"{int(vector['sign'], 16) ^ 1:064X}"
    with pytest.raises(RefusedError):
        verifier.check(*who, now_ms=vector["ts"] + 100)


def test_what_is_signed() -> None:
    body = (
        '{"b": 1.50, "a": "é x", "n": null, "l": [{"z": 1, "y": null, "é": "ü"}, null], "t": true}'
    )
    fields = from_json(body)
    assert fields is not None
    assert canonical(fields) == 'a=é x&b=1.50&l=[{"z":1,"é":"ü"}]&t=true'
    assert "t=True" in canonical(fields, true="True")
    assert canonical({}) == ""
    assert canonical(from_form("b=2&a=1+2")) == "a=1 2&b=2"
    for wrong in ("", "[]", "{", '{"a":NaN}', "[" * 100_000):
        assert from_json(wrong) is None


def test_what_is_refused(exchange: Exchange, client: Plain) -> None:
    path = "/open/user/info/v1"
    now_ms = int(time.time() * 1000)

    def code(change: dict[str, str], ts: int | None = None, diff: int = 5000) -> int:
        headers = client.headers("GET", path, {}, ts, diff) | change
        answer = requests.get(client.url + path, headers=headers, timeout=WAIT_S)
        assert answer.status_code == 200
        body = answer.json()
        assert set(body) == {"code", "msg", "i18nArgs", "data"}
        found = body["code"]
        assert isinstance(found, int)
        return found

    assert code({}) == 0
    assert code({"X-CC-APIKEY": "nobody's"}) == 10560
    assert code({"sign": "A" * 64}) == 10562
    assert code({"sign": "é"}) == 10562
    assert code({"ts": "soon"}) == 10561
    assert code({"X-REQ-TS-DIFF": "long"}) == 10561
    assert code({}, ts=now_ms - 5_500) == 10557
    assert code({}, ts=now_ms - 5_500, diff=60_000) == 0
    assert code({}, ts=now_ms + 1_500) == 10557
    headers = client.headers("GET", path, {})
    lower = {"sign": headers["sign"].lower()}
    answer = requests.get(client.url + path, headers=headers | lower, timeout=WAIT_S)
    assert answer.json()["code"] == 10562
    del headers["sign"]
    assert requests.get(client.url + path, headers=headers, timeout=WAIT_S).json()["code"] == 10562


def test_the_window_is_five_seconds_unless_told(client: Plain) -> None:
    headers = client.headers("GET", "/open/user/info/v1", {})
    del headers["X-REQ-TS-DIFF"]
    url = client.url + "/open/user/info/v1"
    assert requests.get(url, headers=headers, timeout=WAIT_S).json()["code"] == 0


def test_the_body_is_json_and_signed_as_one(exchange: Exchange, client: Plain) -> None:
    path = "/open/futures/leverage/set/v1"
    fields = {"symbol": "BTCUSD", "leverage": 7}
    headers = client.headers("POST", path, fields)

    def post(body: str, content_type: str) -> int:
        sent = headers | {"Content-Type": content_type}
        answer = requests.post(client.url + path, data=body, headers=sent, timeout=WAIT_S)
        code = answer.json()["code"]
        assert isinstance(code, int)
        return code

    assert post("symbol=BTCUSD&leverage=7", "application/x-www-form-urlencoded") == 10004
    assert post(json.dumps(fields), "text/plain") == 10567
    assert post("{", "application/json") == 10589
    assert post(json.dumps(fields | {"leverage": 8}), "application/json") == 10562
    # Blanks in the body do not matter: what is signed is what it says.
    assert post(json.dumps(fields, indent=2), "application/json") == 0
    current = client.get("/open/futures/leverage/current/v1", symbol="BTCUSD")["data"]
    assert current["currentLeverage"] == 7


def test_booleans_may_be_signed_either_way() -> None:
    path = "/open/option/order/create/v1"
    for booleans, lower, title in (("lower", 0, 10562), ("title", 10562, 0), ("both", 0, 0)):
        with Exchange(booleans=booleans, flow=0.0) as exchange:  # type: ignore[arg-type]
            client = Plain(exchange)
            fields: dict[str, Any] = {
                "symbol": exchange.symbols("options")[0],
                "tradeSide": 1,
                "tradeType": 1,
                "qty": "0.1",
                "price": "0.1",
            }
            for spelling, expected in (("false", lower), ("False", title)):
                signed = client.headers("POST", path, fields | {"mmp": spelling})
                body = json.dumps(fields | {"mmp": False})
                signed["Content-Type"] = "application/json"
                answer = requests.post(client.url + path, data=body, headers=signed, timeout=WAIT_S)
                assert answer.json()["code"] == expected


# Permissions and rates


def test_permissions(exchange: Exchange) -> None:
    reader = Plain(exchange, exchange.add_user(permissions=(READ,)))
    assert reader.get("/open/auth/user/query-api")["data"]["readOnly"] == 1
    assert reader.get("/open/futures/position/get/v1")["code"] == 0
    fields = {"symbol": "BTCUSD", "tradeSide": 1, "tradeType": 1, "qty": "0.1", "price": "1000"}
    assert reader.post("/open/futures/order/create/v1", **fields)["code"] == 10554
    assert reader.get("/open/futures/order/cancelOpenOrders/v1/BTCUSD")["code"] == 10554
    trader = Plain(exchange, exchange.add_user(permissions=(READ, TRADE)))
    assert trader.get("/open/auth/user/query-api")["data"]["readOnly"] == 0
    batch = {"orders": [fields | DEEP]}
    path = "/open/option/order/batchCreate/v1"
    assert trader.raw("POST", path, batch).status_code == 404
    with Exchange(makers_only="code", permissions=(TRADE,)) as other:
        assert Plain(other).post(path, **batch)["code"] == 7001


@pytest.mark.parametrize(("throttle", "told"), [("code", 10605), ("429", 429)])
def test_rate_classes(throttle: Any, told: int) -> None:
    with Exchange(throttle=throttle) as exchange:
        one, two = Plain(exchange), Plain(exchange, exchange.add_user())
        codes = []
        for client in (one, one, one, two):
            answer = client.raw("GET", "/open/user/info/v1", {})
            codes.append(answer.json()["code"] if answer.status_code == 200 else 429)
        assert codes == [0, 0, told, 0]  # two a second, for each user
        url = f"{exchange.rest_url}/open/option/get-delivery-prices/v1"
        answers = [requests.get(url, timeout=WAIT_S) for _ in range(2)]
        assert answers[0].json()["code"] == 0
        if throttle == "429":
            assert answers[1].status_code == 429
        else:
            assert answers[1].json()["code"] == 10605


def test_no_window_ever_holds_more_than_its_class_allows() -> None:
    rates = Rates()
    most, seconds = CLASSES["place"]
    admitted = [n * 0.01 for n in range(2_000) if rates.admits("place", "me", n * 0.01)]
    for start in admitted:
        assert sum(start <= at < start + seconds for at in admitted) <= most
    assert len(admitted) == pytest.approx(20.0 / seconds * most, abs=most)
    assert rates.admits("place", "another", 0.0)
    assert rates.admits("cancel", "me", 0.0)


# Bodies


def shape(value: Any) -> Any:
    """The keys and JSON types of a value; of a list, those of its first item."""
    if isinstance(value, dict):
        return {key: shape(item) for key, item in value.items()}
    if isinstance(value, list):
        return [shape(item) for item in value[:1]]
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return "number"
    return type(value).__name__


def fits(ours: Any, printed: Any) -> bool:
    """The same keys in the same order with the same types; null goes with everything."""
    if isinstance(ours, dict) and isinstance(printed, dict):
        return list(ours) == list(printed) and all(fits(ours[k], printed[k]) for k in ours)
    if isinstance(ours, list) and isinstance(printed, list):
        return all(fits(a, b) for a, b in zip(ours, printed, strict=False))
    return ours == printed or "NoneType" in (ours, printed)


def printed(heading: str) -> Any:
    rows = map(json.loads, (CONFORMANCE / "rest.jsonl").read_text().splitlines())
    (found,) = [json.loads(row["body"]) for row in rows if row["heading"].startswith(heading)]
    return found


OPTION, FUTURE = "{option}", "BTCUSD"
# What the page prints, and where it is had from.
BODIES = {
    "Check Server Time": "/time",
    "Get trading-related configuration": "/open/public/config/v1",
    "Get real-time funding rate": "/open/public/fundingRate/v1",
    "Get user information": "/open/user/info/v1",
    "Get account summary": "/open/account/summary/v1",
    "Get all option instruments": "/open/option/getInstruments/BTC",
    "Get option details": "/open/option/detail/v1/{option}",
    "Get option order book": "/open/option/order/orderbook/v1/{option}",
    "Get option last trade": "/open/option/trade/lasttrade/v1/{option}",
    "Get All option positions": "/open/option/position/get/v1",
    "Get option open orders": "/open/option/order/pending/v1",
    "Get an order information (options)": "/open/option/order/singleQuery/v1?clientOrderId=1",
    "Get Option Order History": "/open/option/order/history/v1?pageSize=20",
    "Get option transaction history": "/open/option/trade/history/v1?pageSize=20",
    "Get futures symbol": "/open/futures/market/symbol/v1",
    "Get futures order book": "/open/futures/order/orderbook/v1/BTCUSD",
    "Get futures last trade": "/open/futures/trade/lasttrade/v1/BTCUSD",
    "Get current futrues leverage": "/open/futures/leverage/current/v1?symbol=BTCUSD",
    "Get futures positions": "/open/futures/position/get/v1",
    "Get open orders": "/open/futures/order/pending/v1",
    "Get an order information (futures)": "/open/futures/order/singleQuery/v1?clientOrderId=1",
    "Get futures order history": "/open/futures/order/history/v1?pageSize=20",
    "Get futrues transaction history": "/open/futures/trade/history/v1?pageSize=20",
}


@pytest.fixture(scope="module")
def busy() -> Iterator[dict[str, Any]]:
    """Every printed body, of the edition that it was printed in, by a user who has everything."""
    with Exchange(seed=1, throttle="off", flow=0.0, edition="2023-09") as exchange:
        exchange.freeze()
        client = Plain(exchange)
        option = exchange.symbols("options")[0]
        for symbol, qty in ((option, "0.2"), (FUTURE, "0.3")):
            product = "option" if symbol == option else "futures"
            path = f"/open/{product}/order/orderbook/v1/{symbol}"
            best = client.get(path)["data"]["asks"][0]["price"]
            client.place(symbol, 1, qty, best, timeInForce="IOC")
            client.place(symbol, 1, qty, "0.1", clientOrderId=1)
        bodies = {}
        for heading, address in BODIES.items():
            path, _, query = address.replace(OPTION, option).partition("?")
            asked = dict(part.split("=") for part in query.split("&")) if query else {}
            bodies[heading] = client.get(path, **asked)
        expiry = client.get("/open/option/getInstruments/BTC")["data"][0]["expirationTimestamp"]
        bodies["Get option chain"] = client.get("/open/option/get/v1/BTCUSD", endTime=expiry)
        bodies["Get referrals record"] = client.get("/open/referral/sub/v1")
        fields: dict[str, Any] = {"symbol": option, "tradeSide": 1, "tradeType": 1}
        fields |= {"qty": "0.1", "price": "0.2"}
        bodies["Place an option order"] = client.post("/open/option/order/create/v1", **fields)
        bodies["Cancel an option order"] = client.post(
            "/open/option/order/cancel/v1", orderId=bodies["Place an option order"]["data"]
        )
        fields |= {"symbol": FUTURE}
        bodies["Place a futures order"] = client.post("/open/futures/order/create/v1", **fields)
        bodies["Cancel a futures order"] = client.post(
            "/open/futures/order/cancel/v1", orderId=bodies["Place a futures order"]["data"]
        )
        for product, name in (("option", "option"), ("futures", "futures")):
            bodies[f"Cancel {name} orders by symbol"] = client.get(
                f"/open/{product}/order/cancelOpenOrders/v1/BTCUSD"
            )
        bodies["Set futures leverage"] = client.post(
            "/open/futures/leverage/set/v1", symbol="ETHUSD", leverage=3
        )
        yield bodies


HEADINGS = [
    json.loads(row)["heading"] for row in (CONFORMANCE / "rest.jsonl").read_text().splitlines()
]


@pytest.mark.parametrize("heading", [heading for heading in HEADINGS if heading])
def test_bodies_are_shaped_like_the_printed_ones(busy: dict[str, Any], heading: str) -> None:
    ours = next(body for name, body in busy.items() if heading.startswith(name))
    example = printed(heading)
    if "configuration" in heading:  # one pair is printed
        for product in ("optionConfig", "futuresConfig"):
            del ours["data"][product]["ETHUSD"]
    assert fits(shape(ours), shape(example)), f"{shape(ours)}\n{shape(example)}"
    assert ours["msg"] == example["msg"]
    assert ours["code"] == 0
    if isinstance(example["data"], list):
        assert ours["data"], "an empty list has no shape"
    if isinstance(example["data"], dict) and "list" in example["data"]:
        assert ours["data"]["list"] or "referral" in heading


def test_todays_bodies_have_their_later_keys(exchange: Exchange, client: Plain) -> None:
    option = exchange.symbols("options")[0]
    best = client.get(f"/open/option/order/orderbook/v1/{option}")["data"]["asks"][0]["price"]
    client.place(option, 1, "0.1", best, timeInForce="IOC")
    (held,) = client.get("/open/option/position/get/v1")["data"]
    assert {"lastPrice", "upnlByMarkPrice", "roiByMarkPrice"} <= set(held)
    (trade,) = client.get("/open/option/trade/history/v1")["data"]["list"]
    assert trade["mmp"] is False
    summary = client.get("/open/account/summary/v1")["data"]
    assert isinstance(summary["equity"], str)
    assert isinstance(summary["accounts"][0]["equityAmount"], str)
    assert "nextFundingTime" in client.get("/open/public/fundingRate/v1")["data"][0]

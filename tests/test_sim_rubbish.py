"""Whatever is asked of the simulated exchange, it answers or refuses: it does not fall over."""

import contextlib
import json
import time
from typing import Any

import pytest
import requests as http
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from coincall_fast.sim import Exchange
from coincall_fast.sim.clock import Clock
from coincall_fast.sim.endpoints import ENDPOINTS, Endpoint
from coincall_fast.sim.keys import MAKER, READ, TRADE, Key
from coincall_fast.sim.numerals import compact
from coincall_fast.sim.refusals import RefusedError
from coincall_fast.sim.session import Rules, Session
from coincall_fast.sim.topics import Catalog
from coincall_fast.sim.venue import Venue
from coincall_fast.sim.verbs import Call

FUTURE = "BTCUSD"
JSON = "application/json"


@pytest.fixture(scope="module")
def venue() -> Venue:
    venue = Venue(1, Clock())
    venue.open_account(10**6, "key", "secret", READ, TRADE, MAKER)
    return venue


def symbols(venue: Venue) -> list[str]:
    return [FUTURE, "ETHUSD", "BTC", "BTC-USD", *venue.engine.market.symbols("options")[:2]]


AWKWARD: list[Any] = [
    *("", " ", "1E+400", "-0", "1e-400", "٣", "²", "0x10", "1_000", " 1", "NaN", "-Infinity"),
    *("007", "9" * 5000, "1e999999999999999999", "\ud800", 2**63 - 1),
    *(None, True, False, -1, 2**63, 2**70, 1.5, -0.0, float("inf"), float("nan")),
    *([], [None], [[]], {}, {"a": None}, ["²"], ["9" * 5000]),
]
RUBBISH = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-5, 5),
    st.integers(),
    st.floats(),
    st.text(max_size=5),
    st.decimals().map(str),
    st.sampled_from(AWKWARD),
    st.lists(st.one_of(st.none(), st.integers(0, 9), st.text(max_size=3)), max_size=3),
    st.dictionaries(st.text(max_size=3), st.integers(0, 9), max_size=2),
)
# Right, now and then, so that it gets past the first check.
SENSIBLE = {
    "tradeSide": st.sampled_from([1, 2, "1"]),
    "tradeType": st.integers(1, 5),
    "qty": st.sampled_from(["0.1", "1", 0.5, 2]),
    "price": st.sampled_from(["1", "26000", 26440.5, None]),
    "triggerPrice": st.sampled_from(["26000", "27000"]),
    "timeInForce": st.sampled_from(["GTC", "IOC", "FOK", None]),
    "clientOrderId": st.integers(1, 9),
    "orderId": st.integers(1, 9),
    "stp": st.integers(0, 3),
    "reduceOnly": st.sampled_from([0, 1]),
    "mmp": st.booleans(),
    "page": st.integers(0, 3),
    "pageSize": st.integers(1, 60),
    "fromId": st.integers(0, 2**62),
    "startTime": st.integers(0, 2**42),
    "endTime": st.integers(0, 2**42),
    "start": st.integers(0, 2**42),
    "end": st.integers(0, 2**42),
    "period": st.sampled_from(["d1", "W1", "mn1", "quarter"]),
    "type": st.integers(0, 4),
    "countdownTime": st.integers(0, 9),
    "leverage": st.integers(0, 200),
    "depth": st.sampled_from(["1", "100"]),
    "intervalTime": st.sampled_from([0, 1000]),
    "orderIdList": st.lists(st.integers(0, 9), max_size=3),
    "clientOrderIdList": st.lists(st.integers(0, 9), max_size=3),
}
NAMES = [*SENSIBLE, "symbol", "indexName", "symbols", "currency", "frozenTime", "qtyLimit"]
NAMES += ["deltaLimit", "subAgentId", "index", "instType"]


@st.composite
def requests(draw: st.DrawFn) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    for name in draw(st.lists(st.sampled_from(NAMES), unique=True, max_size=12)):
        kind = SENSIBLE.get(name, RUBBISH)
        fields[name] = draw(st.one_of(kind, kind, RUBBISH))
    return fields


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda e: f"{e.method} {e.path}")
@given(data=st.data())
def test_every_endpoint_answers_or_refuses(
    venue: Venue, endpoint: Endpoint, data: st.DataObject
) -> None:
    known = st.sampled_from(symbols(venue))
    fields = data.draw(requests())
    if "symbol" in fields and data.draw(st.booleans()):
        fields["symbol"] = data.draw(known)
    if "/batch" in endpoint.path and data.draw(st.booleans()):
        fields["orders"] = data.draw(st.lists(st.one_of(requests(), RUBBISH), max_size=3))
    name = endpoint.path.partition("{")[2].partition("}")[0]
    path = {name: data.draw(st.one_of(known, st.text(max_size=8)))} if name else {}
    ask(venue, endpoint, path, fields)
    assert venue.engine.ledger.total_e16() == 0


def ask(venue: Venue, endpoint: Endpoint, path: dict[str, str], fields: dict[str, Any]) -> None:
    """It may refuse, or answer with JSON; anything else that it raises is its fault."""
    key = Key("key", "secret", 8_095_151_726, frozenset())
    with contextlib.suppress(RefusedError):
        answer = endpoint.answer(Call(venue, key, endpoint.product, path, fields))
        json.loads(compact(answer))


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda e: f"{e.method} {e.path}")
def test_one_awkward_value_at_a_time(venue: Venue, endpoint: Endpoint) -> None:
    option = venue.engine.market.symbols("options")[0]
    symbol = option if endpoint.product == "options" else FUTURE
    right: dict[str, Any] = {"symbol": symbol, "tradeSide": 1, "tradeType": 1, "qty": "0.1"}
    right |= {"price": "1", "pageSize": 5, "period": "d1", "type": 2, "indexName": FUTURE}
    right |= {"intervalTime": 1000, "timeInForce": "IOC", "countdownTime": 0, "leverage": 5}
    name = endpoint.path.partition("{")[2].partition("}")[0]
    path = {name: symbol} if name else {}
    # A chain takes long, and knows one field.
    for field in ["endTime"] if "{index}" in endpoint.path else NAMES:
        for value in AWKWARD:
            fields = right | {field: value}
            ask(venue, endpoint, path, fields)
            if "/batch" in endpoint.path:
                ask(venue, endpoint, path, {"orders": [fields]})
            if field == "start":
                for period in ("w1", "mn1"):  # which ask the calendar
                    ask(venue, endpoint, path, fields | {"period": period})


@given(
    st.recursive(
        st.one_of(
            RUBBISH,
            st.sampled_from(
                ["subscribe", "unSubscribe", "orderBook", "kline", "tOption", "BTCUSD", "h1"]
            ),
        ),
        lambda inner: (
            st.dictionaries(
                st.sampled_from(["action", "dataType", "payload", "symbol", "period", "end"]), inner
            )
            | st.lists(inner, max_size=3)
        ),
        max_leaves=8,
    )
)
def test_every_message_is_answered(message: Any) -> None:
    session = Session(Catalog("options", {"BTCUSD"}, {("BTCUSD", 5)}), Rules(), now_s=0.0)
    for text in (json.dumps(message), json.dumps({"action": "subscribe", "payload": message})):
        json.loads(session.receive(text, 1.0).text)


@pytest.mark.parametrize("end", [5.0, [5], {}, "5", True])
def test_a_chain_is_asked_for_by_a_whole_number(end: Any) -> None:
    session = Session(Catalog("options", {"BTCUSD"}, {("BTCUSD", 5), ("BTCUSD", 1)}), Rules(), 0.0)
    payload = {"symbol": "BTCUSD", "end": end}
    request = {"action": "subscribe", "dataType": "tOption", "payload": payload}
    reply = session.receive(json.dumps(request), 1.0)
    assert (json.loads(reply.text)["code"], reply.subscribe) == (10579, ())


@pytest.mark.parametrize(
    ("path", "body", "content_type", "status"),
    [
        ("/open/futures/order/create/v1", b"\xff\xfe", "application/json", 200),
        ("/open/futures/order/create/v1", b"{}", "application/json; charset=klingon", 200),
        ("/open/futures/order/create/v1", b"{}", "", 200),
        ("/open/futures/order/create/v1", b"[" * 50_000, "application/json", 200),
        ("/open/futures/order/create/v1", b'{"a":' + b"[" * 500 + b"]" * 500 + b"}", JSON, 200),
        ("/open/futures/order/create/v1", b'{"symbol":"\\ud800"}', JSON, 200),
        ("/open/futures/order/create/v1", b" " * 3_000_000, "application/json", 413),
        ("/open/option/order/cancelOpenOrders/v1/%FF%00", None, "", 200),
        ("/open/option/get/v1/%E2%82?endTime=%FF&endTime=%zz", None, "", 200),
        ("/sim/skip", b"\xff", "application/json", 400),
        ("/sim/skip", b'{"ms": "x"}', "", 400),
        ("/sim/faults/" + "9" * 5_000, "DELETE", "", 404),
    ],
)
def test_rubbish_over_http(
    exchange: Exchange, path: str, body: Any, content_type: str, status: int
) -> None:
    method = "DELETE" if body == "DELETE" else "GET" if body is None else "POST"
    data = body if isinstance(body, bytes) else None
    # Of a known key, so that it gets as far as its signature.
    headers = {"X-CC-APIKEY": exchange.api_key, "ts": str(time.time_ns() // 1_000_000)}
    if content_type:
        headers["Content-Type"] = content_type
    answer = http.request(method, exchange.rest_url + path, data=data, headers=headers, timeout=10)
    assert answer.status_code == status
    # And it still stands.
    assert http.get(f"{exchange.rest_url}/time", timeout=10).json()["code"] == 0

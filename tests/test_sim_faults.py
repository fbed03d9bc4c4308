"""Every fault of the simulated exchange, seen from outside by clients that are not ours."""

import json
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
import requests
import websocket

from coincall_fast.sim import Exchange
from coincall_fast.sim.clock import Clock
from coincall_fast.sim.faults import REST_KINDS, SOCKET_KINDS, Faults
from sim_client import WAIT_S, Plain
from sim_socket import Socket

FUTURE = "BTCUSD"
CREATE, PENDING = "/open/futures/order/create/v1", "/open/futures/order/pending/v1"
ORDER = {"symbol": FUTURE, "tradeSide": 1, "tradeType": 1, "qty": "0.1", "price": "1000"}


@pytest.fixture(scope="module")
def shared() -> Iterator[Exchange]:
    with Exchange(seed=1, throttle="off", flow=0.0, futures_period_ms=50) as running:
        yield running


@pytest.fixture
def exchange(shared: Exchange) -> Iterator[Exchange]:
    yield shared
    shared.mend()


def frames(kind: str, count: int = 4, **how: Any) -> list[str]:
    """What becomes of frames one to `count`."""
    faults, kept = Faults(), list[str]()
    faults.add(kind=kind, **how)
    return [text for n in range(count) for text in faults.socket(f"frame {n}", kept).frames]


# By value


def test_what_becomes_of_frames() -> None:
    whole = [f"frame {n}" for n in range(4)]
    assert frames("lose", skip=1, times=1) == [whole[0], *whole[2:]]
    assert frames("duplicate", skip=3) == [*whole, whole[3]]
    assert frames("reorder", skip=1, times=1) == [whole[0], whole[2], whole[1], whole[3]]
    assert frames("reorder") == [whole[1], whole[0], whole[3], whole[2]]  # none is kept for ever
    cut, *rest = frames("truncate", times=1)
    assert rest == whole[1:]
    assert whole[0].startswith(cut)
    assert cut != whole[0]
    spoilt, *rest = frames("corrupt", times=1)
    assert rest == whole[1:]
    assert sum(a != b for a, b in zip(spoilt, whole[0], strict=True)) == 1
    faults = Faults()
    faults.add(kind="delay", amount=30)
    faults.add(kind="delay", amount=12)
    assert faults.socket("frame", []).delay_ms == 42


def test_a_frame_that_was_cut_short_may_be_spoilt_as_well() -> None:
    faults = Faults()
    faults.add(kind="truncate")
    faults.add(kind="corrupt")
    assert {len(faults.socket("x", []).frames[0]) for _ in range(9)} == {0}


def test_a_fault_is_the_same_under_the_same_seed() -> None:
    def pattern(seed: int) -> list[str]:
        return frames("corrupt", 200, probability=0.3, seed=seed)

    assert pattern(1) == pattern(1) != pattern(2)
    struck = sum(a != f"frame {n}" for n, a in enumerate(pattern(1)))
    assert 30 < struck < 90


@pytest.mark.parametrize("kind", SOCKET_KINDS + REST_KINDS)
def test_every_kind_is_the_same_under_the_same_seed(kind: str) -> None:
    """Whatever it does, to which frames or requests and where in them the seed alone decides."""

    def pattern(seed: int) -> list[Any]:
        faults, kept = Faults(), list[str]()
        faults.add(kind=kind, probability=0.4, seed=seed, amount=500)
        if kind in REST_KINDS:
            return [bool(faults.rest("GET", PENDING)) for _ in range(100)]
        return [faults.socket(f"frame {n}", kept) for n in range(100)]

    assert pattern(1) == pattern(1) != pattern(2)


def test_a_fault_strikes_only_what_it_is_meant_for() -> None:
    faults = Faults()
    number = faults.add(kind="lose", symbol="BTCUSD", channel=32)
    book = '{"dt":32,"c":20,"d":{"s":"BTCUSD"}}'
    assert faults.socket(book, []).frames == []
    for other in (book.replace("BTC", "ETH"), book.replace("32", "3"), '{"c":11,"rc":1}'):
        assert faults.socket(other, []).frames == [other]
    assert faults.listed()[number]["struck"] == 1
    faults.remove(number)
    assert faults.socket(book, []).frames == [book]
    faults.add(kind="status", path="/order/create", method="POST", amount=503)
    assert [fault.amount for fault in faults.rest("POST", CREATE)] == [503]
    assert not faults.rest("GET", CREATE)
    assert not faults.rest("POST", PENDING)


@pytest.mark.parametrize(
    "how",
    [
        {"kind": "rain"},
        {"kind": "lose", "when": "often"},
        {"kind": "lose", "probability": 2},
        {"kind": "lose", "times": "3"},
        {"kind": "lose", "probability": "1"},
        {"kind": "status"},
        {"kind": "status", "amount": 99_999},
        {"kind": "wait", "amount": "10"},
        {"kind": "wait", "path": 3},
    ],
)
def test_wrong_faults_are_told(how: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"must be|between"):
        Faults().add(**how)
    with pytest.raises(ValueError, match="no such setting of a fault: colour"):
        Faults().add(kind="lose", colour="red")


# Over sockets


def listening(exchange: Exchange) -> Socket:
    socket = Socket(exchange, "futures")
    socket.subscribe("orderBook", symbol=FUTURE)
    socket.push(32)
    return socket


def until_it_ends(socket: Socket) -> list[Any]:
    """What still comes before the connection is gone."""
    ends = (websocket.WebSocketConnectionClosedException, ConnectionError, ValueError)
    before = len(socket.log)
    with pytest.raises(ends):
        socket.until(lambda _: False)
    return socket.log[before:]


def test_lost_delayed_and_doubled_frames(exchange: Exchange) -> None:
    with listening(exchange) as socket:
        exchange.fault("duplicate", channel=32, times=1)
        times = [socket.push(32)["d"]["ts"] for _ in range(4)]
        assert len(set(times)) == 3
        number = exchange.fault("lose", channel=32)
        socket.pushes()
        time.sleep(0.2)
        assert socket.pushes() == []  # and the connection stands
        exchange.mend(number)
        exchange.fault("delay", channel=32, amount=400, times=1)
        began_s = time.monotonic()
        socket.push(32)
        assert time.monotonic() - began_s >= 0.4


def test_reordered_frames(exchange: Exchange) -> None:
    with listening(exchange) as socket:
        exchange.fault("reorder", channel=32, times=1)
        times = [socket.push(32)["d"]["ts"] for _ in range(4)]
        assert times[1] < times[0] < times[2] < times[3]


@pytest.mark.parametrize("kind", ["truncate", "corrupt"])
def test_spoilt_frames(exchange: Exchange, kind: str) -> None:
    exchange.freeze()
    with listening(exchange) as socket:
        exchange.fault(kind, channel=32, times=1, seed=3)
        time.sleep(0.2)
        texts = [str(socket._ws.recv()) for _ in range(6)]
    exchange.freeze(False)
    # But for their times, the frames of a frozen book are one and the same.
    counted = Counter(text.rpartition(',"ts":')[0] or text for text in texts)
    (whole, often), (spoilt, once) = counted.most_common()
    assert (often, once) == (5, 1)
    if kind == "truncate":
        assert whole.startswith(spoilt)
    else:
        assert sum(a != b for a, b in zip(whole, spoilt, strict=True)) == 1


def is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def test_cut_at_a_frame(exchange: Exchange) -> None:
    with listening(exchange) as socket:
        exchange.fault("cut", channel=32, skip=2, times=1)
        assert len(until_it_ends(socket)) <= 4


def test_half_open(exchange: Exchange) -> None:
    with listening(exchange) as socket:
        exchange.fault("half_open", channel=32, times=1)
        socket._ws.settimeout(0.4)
        with pytest.raises(websocket.WebSocketTimeoutException):
            socket.until(lambda _: False)
        socket.send("heartbeat")  # is not answered, and nothing says that it is not
        with pytest.raises(websocket.WebSocketTimeoutException):
            socket.receive()
        with listening(exchange) as other:  # others are not affected
            other.push(32)
    exchange.drop_connections()


# Over REST


@pytest.fixture
def client(exchange: Exchange) -> Plain:
    return Plain(exchange, exchange.add_user())


@pytest.mark.parametrize(("when", "landed"), [("before", 0), ("after", 1)])
def test_an_error_before_or_after_the_effect(
    exchange: Exchange, client: Plain, when: str, landed: int
) -> None:
    exchange.fault("status", path="/order/create", amount=502, when=when, times=1)
    answer = client.raw("POST", CREATE, ORDER)
    assert answer.status_code == 502
    assert not is_json(answer.text)
    assert client.get(PENDING)["data"]["total"] == landed
    assert client.post(CREATE, **ORDER)["code"] == 0


@pytest.mark.parametrize(("when", "landed"), [("before", 0), ("after", 1)])
def test_no_answer_at_all(exchange: Exchange, client: Plain, when: str, landed: int) -> None:
    exchange.fault("hang_up", path="/order/create", when=when, times=1)
    with pytest.raises(requests.ConnectionError):
        client.raw("POST", CREATE, ORDER)
    assert client.get(PENDING)["data"]["total"] == landed


@pytest.mark.parametrize("when", ["before", "after"])
def test_an_order_that_lands_late_or_is_answered_late(
    exchange: Exchange, client: Plain, when: str
) -> None:
    exchange.fault("wait", path="/order/create", when=when, amount=400, times=1)
    headers = client.headers("POST", CREATE, ORDER) | {"Content-Type": "application/json"}
    with pytest.raises(requests.ReadTimeout):
        requests.post(client.url + CREATE, data=json.dumps(ORDER), headers=headers, timeout=0.15)
    assert client.get(PENDING)["data"]["total"] == (0 if when == "before" else 1)


def test_effects_are_told_though_the_answer_is_late(exchange: Exchange) -> None:
    key = exchange.add_user()
    with Socket(exchange, "futures", key) as socket:
        socket.subscribe("order")
        exchange.fault("status", path="/order/create", amount=500, when="after", times=1)
        assert Plain(exchange, key).raw("POST", CREATE, ORDER).status_code == 500
        assert socket.push(35)["d"]["os"] == 0


def test_codes_and_429(exchange: Exchange, client: Plain) -> None:
    exchange.fault("code", path="/order", amount=10000, times=1)
    assert client.get(PENDING)["code"] == 10000
    exchange.fault("status", amount=429, times=2)
    assert client.raw("GET", PENDING, {}).status_code == 429
    assert requests.get(f"{client.url}/time", timeout=WAIT_S).status_code == 429
    assert client.get(PENDING)["code"] == 0


# Clocks


def test_a_skewed_clock() -> None:
    with Exchange(flow=0.0) as exchange:
        client = Plain(exchange)
        exchange.skew(20_000)
        assert client.get("/open/user/info/v1")["code"] == 10557
        told = requests.get(f"{client.url}/time", timeout=WAIT_S).json()["data"]["serverTime"]
        assert 18_000 < told - time.time() * 1000 < 22_000
        exchange.skew(0)
        assert client.get("/open/user/info/v1")["code"] == 0


def test_the_market_jumps_to_an_expiry_and_signatures_do_not() -> None:
    with Exchange(flow=0.0, throttle="off") as exchange:
        client = Plain(exchange)
        listed = client.get("/open/option/getInstruments/BTC")["data"]
        expiry_ms = min(row["expirationTimestamp"] for row in listed)
        option = next(r["symbolName"] for r in listed if r["expirationTimestamp"] == expiry_ms)
        book = client.get(f"/open/option/order/orderbook/v1/{option}")["data"]
        client.place(option, 1, "0.5", str(float(book["asks"][0]["price"]) + 100))
        with Socket(exchange, "options") as socket:
            socket.subscribe("positionEvent")
            exchange.skip(round(expiry_ms - time.time() * 1000) + 1_000)
            assert socket.push(27)["d"]["os"] == "5"
        assert client.get("/open/option/position/get/v1")["data"] == []
        (done,) = client.get("/open/settle/exercise/history/v1")["data"]["list"]
        assert (done["symbol"], done["qty"]) == (option, 0.5)
        prices = client.get("/open/option/get-delivery-prices/v1", symbol="BTCUSD")["data"]
        assert prices["data"][0]["delivery_price"] == done["exercisePrice"]
        rows = client.get("/open/option/getInstruments/BTC")["data"]
        assert {row["isActive"] for row in rows if row["expirationTimestamp"] == expiry_ms} == {
            False
        }


def test_a_fast_clock() -> None:
    with Exchange(flow=0.0, speed=20.0) as exchange, listening(exchange) as socket:
        began_s = time.monotonic()
        times = [socket.push(32)["d"]["ts"] for _ in range(6)]
        passed_s = time.monotonic() - began_s
        assert (times[-1] - times[0]) / 1000 > 10 * passed_s
        assert Plain(exchange).get("/open/user/info/v1")["code"] == 0


def test_a_clock_by_value() -> None:
    clock = Clock(skew_ms=5_000, speed=2.0)
    assert abs(clock.wall_ms - time.time() * 1000 - 5_000) < 1_000
    first = clock.market_ms()
    clock.skew(-5_000)
    assert 0 <= clock.market_ms() - first < 1_000  # no jump
    clock.skip(3_600_000)
    assert 3_600_000 <= clock.market_ms() - first < 3_601_000
    with pytest.raises(ValueError, match="back"):
        clock.skip(-1)


# Restarting


@pytest.mark.parametrize("keep_state", [True, False])
def test_restart(keep_state: bool) -> None:
    with Exchange(flow=0.0, throttle="off") as exchange:
        client = Plain(exchange)
        order_id = client.place(FUTURE, 1, "0.1", "1000")
        with listening(exchange) as socket:
            url = exchange.rest_url
            exchange.restart(keep_state=keep_state)
            assert exchange.rest_url == url
            until_it_ends(socket)
        info = client.get("/open/futures/order/singleQuery/v1", orderId=order_id)
        assert info["code"] == (0 if keep_state else 10584)
        with listening(exchange) as socket:
            socket.push(32)


def test_restart_over_http() -> None:
    with Exchange(flow=0.0, throttle="off") as exchange:
        client = Plain(exchange)
        order_id = client.place(FUTURE, 1, "0.1", "1000")
        with listening(exchange) as socket:
            url = f"{exchange.rest_url}/sim/restart"
            requests.post(url, json={"keep_state": True}, timeout=WAIT_S)
            until_it_ends(socket)
        deadline_s = time.monotonic() + WAIT_S
        while True:
            try:
                info = client.get("/open/futures/order/singleQuery/v1", orderId=order_id)
                break
            except requests.ConnectionError:
                assert time.monotonic() < deadline_s
        assert info["data"]["state"] == 0


@pytest.mark.parametrize("after_s", [0.04, 0.05, 0.06, 0.07])
def test_an_exchange_may_be_closed_while_it_restarts(after_s: float) -> None:
    with Exchange(flow=0.0) as exchange:
        requests.post(f"{exchange.rest_url}/sim/restart", json={}, timeout=WAIT_S)
        time.sleep(after_s)
    with pytest.raises(RuntimeError, match="not running"):
        exchange.connections  # noqa: B018


# The control endpoint


def test_faults_from_the_start() -> None:
    with Exchange(faults=[{"kind": "code", "path": "/user/info", "amount": 500}]) as exchange:
        client = Plain(exchange)
        assert client.get("/open/user/info/v1")["code"] == 500
        exchange.mend()
        assert client.get("/open/user/info/v1")["code"] == 0
    with pytest.raises(ValueError, match="rain"):
        Exchange(faults=[{"kind": "rain"}])


def test_faults_over_http(exchange: Exchange, client: Plain) -> None:
    url = f"{exchange.rest_url}/sim"

    def post(verb: str, **how: Any) -> requests.Response:
        return requests.post(f"{url}/{verb}", json=how, timeout=WAIT_S)

    number = post("faults", kind="code", path="/pending", amount=10002).json()["id"]
    assert client.get(PENDING)["code"] == 10002
    listed = requests.get(f"{url}/faults", timeout=WAIT_S).json()
    assert listed[str(number)]["struck"] == 1
    requests.delete(f"{url}/faults/{number}", timeout=WAIT_S)
    assert client.get(PENDING)["code"] == 0
    with listening(exchange) as socket:
        post("silence", symbol=FUTURE)
        socket.pushes()
        time.sleep(0.2)
        assert socket.pushes() == []
        post("silence", symbol=FUTURE, on=False)
        socket.push(32)
        post("stall")
        socket.pushes()
        time.sleep(0.2)
        assert socket.pushes() == []
        post("stall", on=False)
        before = socket.push(32)["d"]["ts"]
        post("skip", ms=60_000)
        assert socket.until(lambda frame: frame["d"]["ts"] > before + 50_000)
        post("cut")
        until_it_ends(socket)
    # Each kind is the one that Python would have ordered.
    orders = [{"kind": kind, "amount": 200, "times": 0} for kind in SOCKET_KINDS + REST_KINDS]
    here = Faults()
    told = {str(post("faults", **how).json()["id"]): here.add(**how) for how in orders}
    listed = requests.get(f"{url}/faults", timeout=WAIT_S).json()
    assert listed == {there: here.listed()[number] for there, number in told.items()}
    requests.delete(f"{url}/faults", timeout=WAIT_S)
    assert requests.get(f"{url}/faults", timeout=WAIT_S).json() == {}
    post("skew", ms=20_000)
    assert client.get(PENDING)["code"] == 10557
    post("skew", ms=0)
    assert client.get(PENDING)["code"] == 0
    post("freeze")
    book = "/open/futures/order/orderbook/v1/BTCUSD"
    before = client.get(book)["data"]
    post("skip", ms=600_000)
    assert client.get(book)["data"] == before
    post("freeze", on=False)
    post("skip", ms=600_000)
    assert client.get(book)["data"] != before
    assert post("rain").status_code == 404
    assert post("faults", kind="rain").status_code == 400
    assert post("skip").status_code == 400
    assert requests.post(f"{url}/skip", data="{", timeout=WAIT_S).status_code == 400


@pytest.mark.parametrize(
    ("verb", "body"),
    [
        ("skip", '{"ms": 0.5}'),
        ("skip", '{"ms": NaN}'),
        ("skip", '{"ms": -1}'),
        ("skip", '{"ms": 1000000000000000000}'),
        ("skew", '{"ms": 0.5}'),
        ("skew", '{"ms": 1e300}'),
        ("silence", '{"symbol": "BTCUSDT"}'),
        ("stall", '{"on": "no"}'),
        ("restart", '{"keep_state": 0}'),
        ("faults", '{"kind": "wait", "amount": "10"}'),
        ("faults", "[]"),
    ],
)
def test_wrong_orders_are_refused_and_do_nothing(
    exchange: Exchange, client: Plain, verb: str, body: str
) -> None:
    assert (
        requests.post(f"{exchange.rest_url}/sim/{verb}", data=body, timeout=10).status_code == 400
    )
    assert client.get("/open/user/info/v1")["code"] == 0
    with listening(exchange) as socket:
        assert socket.push(32)["d"]["s"] == FUTURE

"""The simulated exchange over real sockets, driven by plain clients that are not ours."""

import hashlib
import hmac
import json
import socket
import subprocess
import sys
import threading
import time
import urllib.parse
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import requests
import websocket

from coincall_fast.sim import Exchange

CONFORMANCE = Path(__file__).parent / "conformance"
WAIT_S = 10  # far more than anything here takes


@pytest.fixture(scope="module")
def exchange() -> Iterator[Exchange]:
    with Exchange(seed=1, flow=0.0) as running:  # nobody takes a level before it is counted
        yield running


@pytest.fixture
def connect(exchange: Exchange) -> Iterator[Callable[..., Any]]:
    """Opens plain sockets, to the shared exchange unless told, and closes them all."""
    opened = []

    def connect(product: str = "options", to: Exchange = exchange, **how: Any) -> Any:
        opened.append(websocket.create_connection(signed_url(to, product, **how), timeout=WAIT_S))
        return opened[-1]

    yield connect
    for ws in opened:
        end(ws)


def end(ws: Any) -> None:
    """Closes a socket; `close` alone leaves it open when the server has said goodbye first."""
    ws.close()
    ws.shutdown()


def now_ms() -> int:
    return int(time.time() * 1000)


def signed_url(
    exchange: Exchange,
    product: str = "options",
    *,
    spelling: str = "apiKey",
    ts: int | str | None = None,
    key: str | None = None,
    url_key: str | None = None,
    secret: str | None = None,
    code: str = "10",
) -> str:
    """Typed from the protocol page, section 1.2."""
    ts = now_ms() if ts is None else ts
    key = key or exchange.api_key
    url_key = url_key or key
    prehash = f"GET/users/self/verify?{spelling}={key}&ts={ts}"
    secret = secret or exchange.api_secret
    sign = hmac.new(secret.encode(), prehash.encode(), hashlib.sha256).hexdigest().upper()
    query = f"code={code}&uuid={url_key}&ts={ts}&sign={sign}&apiKey={url_key}"
    return f"{exchange.ws_url}/{product}?{query}"


def refused(url: str) -> int:
    """The code that HTTP 403 comes with."""
    with pytest.raises(websocket.WebSocketBadStatusException) as caught:
        websocket.create_connection(url, timeout=WAIT_S)
    assert caught.value.status_code == 403
    body = json.loads(caught.value.resp_body or b"")
    assert set(body) == {"code", "msg", "i18nArgs", "data"}
    code = body["code"]
    assert isinstance(code, int)
    return code


def ask(ws: Any, action: str, symbol: Any = None, data_type: str = "orderBook") -> Any:
    """Sends a request and returns the next frame that is no push."""
    message: dict[str, Any] = {"action": action}
    if symbol is not None:
        message |= {"dataType": data_type, "payload": {"symbol": symbol}}
    ws.send(json.dumps(message))
    while True:
        answer = json.loads(ws.recv())
        if "dt" not in answer:
            return answer


def book(ws: Any, symbol: str | None = None) -> Any:
    """The next book frame, of one symbol if told."""
    while True:
        frame = json.loads(ws.recv())
        if "dt" in frame and symbol in (None, frame["d"]["s"]):
            return frame


def eventually(holds: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + WAIT_S
    while not holds():
        assert time.monotonic() < deadline_s
        time.sleep(0.01)


def shape(value: Any) -> Any:
    """The keys and JSON types of a value; of a list, those of its first item."""
    if isinstance(value, dict):
        return {key: shape(item) for key, item in value.items()}
    if isinstance(value, list):
        return [shape(item) for item in value[:1]]
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return "number"
    return type(value).__name__


# The signed address


@pytest.mark.parametrize("spelling", ["apiKey", "uuid"])
@pytest.mark.parametrize("product", ["options", "futures"])
def test_both_spellings_open_both_products(
    connect: Callable[..., Any], spelling: str, product: str
) -> None:
    assert ask(connect(product, spelling=spelling), "heartbeat") == {"c": 11, "rc": 1}


@pytest.mark.parametrize(("accepted", "other"), [("apiKey", "uuid"), ("uuid", "apiKey")])
def test_one_spelling_only(connect: Callable[..., Any], accepted: Any, other: str) -> None:
    with Exchange(prehash=accepted) as strict:
        end(connect(to=strict, spelling=accepted))
        assert refused(signed_url(strict, spelling=other)) == 10562


def test_printed_signatures_are_accepted() -> None:
    """The signing vectors of other connectors, with the venue's clock moved to their time."""
    for vector in json.loads((CONFORMANCE / "signing.json").read_text())["ws"]:
        with Exchange(
            api_key=vector["apiKey"],
            api_secret=vector["secret"],
            clock_offset_ms=vector["ts"] - now_ms(),
        ) as then:
            for name in ("sign_apiKey", "sign_uuid"):
                query = f"code=10&ts={vector['ts']}&sign={vector[name]}&apiKey={vector['apiKey']}"
                end(websocket.create_connection(f"{then.ws_url}/options?{query}"))


def test_what_is_refused(exchange: Exchange) -> None:
    def url(**how: Any) -> str:
        return signed_url(exchange, **how)

    assert refused(url(secret="not the secret")) == 10562
    assert refused(url(key="unknown")) == 10560
    assert refused(url(ts="yesterday")) == 10561
    assert refused(url(ts=now_ms() - 6_500)) == 10557
    assert refused(url(ts=now_ms() + 3_000)) == 10557
    assert refused(url(code="11")) == 10590
    assert refused(f"{exchange.ws_url}/options") == 10590
    before, _, after = url().partition("&sign=")
    assert refused(f"{before}&sign={after[:64].lower()}{after[64:]}") == 10562
    assert refused(f"{before}{after[64:]}") == 10562


def test_the_window_is_five_seconds_back_and_one_ahead(connect: Callable[..., Any]) -> None:
    connect(ts=now_ms() - 3_500)
    connect(ts=now_ms() + 500)


def test_the_venues_clock_may_be_off(exchange: Exchange, connect: Callable[..., Any]) -> None:
    with Exchange(clock_offset_ms=60_000) as ahead:
        assert refused(signed_url(ahead)) == 10557
        server_ms = requests.get(f"{ahead.rest_url}/time", timeout=WAIT_S).json()["data"]
        assert 50_000 < server_ms["serverTime"] - now_ms() < 70_000
        ws = connect(to=ahead, ts=now_ms() + 60_000)
        assert ask(ws, "heartbeat") == {"c": 11, "rc": 1}
        end(ws)


@pytest.mark.parametrize("refuse", ["403", "frame"])
def test_a_percent_encoded_key_is_403(refuse: Any) -> None:
    with Exchange(refuse=refuse) as exchange:
        encoded = urllib.parse.quote(exchange.api_key, safe="")
        assert encoded != exchange.api_key
        assert refused(signed_url(exchange, url_key=encoded)) == 10560
        only_uuid = signed_url(exchange).replace(exchange.api_key, encoded, 1)
        assert f"uuid={encoded}&" in only_uuid
        assert refused(only_uuid) == 10560


def test_refusal_as_a_frame(connect: Callable[..., Any]) -> None:
    with Exchange(refuse="frame") as exchange:
        ws = connect(to=exchange, secret="not the secret")
        assert json.loads(ws.recv()) == {"c": 10562, "msg": "Invalid signature."}
        assert ws.recv_data()[0] == websocket.ABNF.OPCODE_CLOSE
        end(ws)
        assert exchange.connections == 0


def test_no_secret_is_shown(exchange: Exchange) -> None:
    assert any(character in exchange.api_key for character in "+/=")
    assert exchange.api_secret not in repr(exchange)
    assert exchange.api_key not in repr(exchange)


# Subscriptions


def test_subscribe_one(exchange: Exchange, connect: Callable[..., Any]) -> None:
    symbol = exchange.symbols("options")[0]
    ws = connect()
    ws.send(
        json.dumps({"action": "subscribe", "dataType": "orderBook", "payload": {"symbol": symbol}})
    )
    # The ack comes first, then the whole book, at once.
    assert ws.recv() == '{"action":"SUBSCRIBE","result":"success"}'
    frame = json.loads(ws.recv())
    assert frame["dt"] == 5
    assert frame["d"]["s"] == symbol
    assert exchange.subscriptions()[symbol] >= 1


def test_subscribe_a_list(exchange: Exchange, connect: Callable[..., Any]) -> None:
    ws = connect()
    symbols = exchange.symbols("options")
    assert ask(ws, "subscribe", symbols)["result"] == "success"
    assert {book(ws)["d"]["s"] for _ in symbols} == set(symbols)


@pytest.mark.parametrize(
    ("product", "action", "symbol", "data_type", "code"),
    [
        ("options", "subscribe", "BTCUSD-1JAN99-1-C", "orderBook", 10574),
        ("options", "subscribe", "BTCUSD", "orderBook", 10574),  # the other product's
        ("futures", "subscribe", ["BTCUSD", "DOGE"], "orderBook", 10574),
        ("futures", "subscribe", ["BTCUSD"] * 101, "orderBook", 10572),
        ("futures", "subscribe", "BTCUSD", "bsInfo", 10586),
        ("futures", "unsubscribe", "BTCUSD", "orderBook", 10593),
        ("futures", "shout", "BTCUSD", "orderBook", 10593),
    ],
)
def test_refused_requests(
    connect: Callable[..., Any], product: str, action: str, symbol: Any, data_type: str, code: int
) -> None:
    ws = connect(product)
    answer = ask(ws, action, symbol, data_type)
    assert answer["result"] == "failed"
    assert answer["code"] == code
    assert ask(ws, "heartbeat") == {"c": 11, "rc": 1}  # and the connection stands


def test_nothing_is_pushed_unasked_and_unsubscribe_stops(
    exchange: Exchange, connect: Callable[..., Any]
) -> None:
    ws = connect("futures")
    assert ask(ws, "subscribe", ["BTCUSD", "ETHUSD"])["result"] == "success"
    for symbol in ("BTCUSD", "ETHUSD"):
        book(ws, symbol)
    answer = ask(ws, "unSubscribe", "BTCUSD")
    assert answer == {"action": "UNSUBSCRIBE", "result": "success"}
    assert {book(ws)["d"]["s"] for _ in range(3)} == {"ETHUSD"}
    assert ask(ws, "unSubscribe", "ETHUSD")["result"] == "success"
    ws.settimeout(0.5)
    with pytest.raises(websocket.WebSocketTimeoutException):
        ws.recv()
    assert exchange.subscriptions() == {}


def test_lower_case_unsubscribe_when_honoured(connect: Callable[..., Any]) -> None:
    with Exchange(lower_case_unsubscribe=True) as exchange:
        ws = connect("futures", to=exchange)
        ask(ws, "subscribe", "BTCUSD")
        assert ask(ws, "unsubscribe", "BTCUSD")["result"] == "success"
        assert exchange.subscriptions() == {}
        end(ws)


@pytest.mark.parametrize(("product", "period_ms"), [("options", 100), ("futures", 200)])
def test_push_periods(
    exchange: Exchange, connect: Callable[..., Any], product: str, period_ms: int
) -> None:
    ws = connect(product)
    ask(ws, "subscribe", exchange.symbols(product)[0])
    book(ws)  # the first comes at once, between two pushes
    times_ms = [book(ws)["d"]["ts"] for _ in range(8)]
    gaps_ms = [b - a for a, b in pairwise(times_ms)]
    # A busy machine may be late for a push, and then that one comes late or not at all.
    assert sorted(gaps_ms)[len(gaps_ms) // 2] in (period_ms, period_ms + 100)
    assert all(gap > 0 and gap % 100 == 0 for gap in gaps_ms)
    assert abs(now_ms() - times_ms[-1]) < 2_000


def test_two_listeners_hear_the_same(exchange: Exchange, connect: Callable[..., Any]) -> None:
    pair = [connect("futures"), connect("futures")]
    for ws in pair:
        ask(ws, "subscribe", "BTCUSD")
    heard = []
    for ws in pair:
        texts = [ws.recv() for _ in range(6)]
        heard.append({json.loads(text)["d"]["ts"]: text for text in texts})
    common = heard[0].keys() & heard[1].keys()
    assert len(common) >= 3
    assert all(heard[0][ts] == heard[1][ts] for ts in common)


def test_book_frame_is_what_the_client_got(exchange: Exchange, connect: Callable[..., Any]) -> None:
    ws = connect("futures")
    ask(ws, "subscribe", "BTCUSD")
    try:
        exchange.stall(True)
        ws.send('{"action":"heartbeat"}')  # its answer comes after everything that was pushed
        texts = [""]
        while not texts[-1].startswith('{"c":11'):
            texts.append(ws.recv())
        pushed = [text for text in texts if '"dt":32' in text]
        if pushed:  # else `ask` has taken the only one, and there is nothing to compare
            assert pushed[-1].encode() == exchange.book_frame("BTCUSD")
    finally:
        exchange.stall(False)
    book(ws)
    assert json.loads(exchange.book_frame("ETHUSD"))["d"]["s"] == "ETHUSD"
    with pytest.raises(KeyError):
        exchange.book_frame("DOGEUSD")


# Keeping and losing a connection


def test_a_silent_connection_is_closed(connect: Callable[..., Any]) -> None:
    with Exchange(silence_s=0.3) as exchange:
        began_s = time.monotonic()
        ws = connect(to=exchange)
        assert ws.recv_data()[0] == websocket.ABNF.OPCODE_CLOSE
        assert time.monotonic() - began_s >= 0.3
        end(ws)
        eventually(lambda: exchange.connections == 0)


def test_pings_do_not_keep_a_connection(connect: Callable[..., Any]) -> None:
    with Exchange(silence_s=0.3) as exchange:
        ws = connect(to=exchange)
        opcode = websocket.ABNF.OPCODE_PONG
        for _ in range(500):  # far longer than it may last
            ws.ping()
            opcode = ws.recv_data(control_frame=True)[0]
            if opcode == websocket.ABNF.OPCODE_CLOSE:
                break
            time.sleep(0.02)
        assert opcode == websocket.ABNF.OPCODE_CLOSE
        end(ws)


def test_pushes_keep_a_connection_until_they_stop(connect: Callable[..., Any]) -> None:
    with Exchange(silence_s=0.6, futures_period_ms=50, options_period_ms=50) as exchange:
        ws = connect("futures", to=exchange)
        ask(ws, "subscribe", "BTCUSD")
        until_s = time.monotonic() + 1.2
        while time.monotonic() < until_s:
            book(ws)
        exchange.stall(True)
        while ws.recv_data()[0] != websocket.ABNF.OPCODE_CLOSE:
            pass
        end(ws)


def test_a_hundred_messages_a_second(connect: Callable[..., Any]) -> None:
    ws = connect()
    for _ in range(300):
        ws.send('{"action":"heartbeat"}')
    answers = [json.loads(ws.recv()) for _ in range(300)]
    assert answers[:100] == [{"c": 11, "rc": 1}] * 100
    assert "too many request" in {answer.get("msg") for answer in answers}


def test_drop_connections(exchange: Exchange, connect: Callable[..., Any]) -> None:
    ws = connect("futures")
    ask(ws, "subscribe", "BTCUSD")
    exchange.drop_connections()
    with pytest.raises((websocket.WebSocketConnectionClosedException, ConnectionError)):
        book(ws, "none of these")
    eventually(lambda: exchange.connections == 0 and exchange.subscriptions() == {})
    assert ask(connect("futures"), "heartbeat") == {"c": 11, "rc": 1}


def test_silence_one_symbol(exchange: Exchange, connect: Callable[..., Any]) -> None:
    ws = connect("futures")
    exchange.silence("BTCUSD", True)
    try:
        ask(ws, "subscribe", ["BTCUSD", "ETHUSD"])
        assert {book(ws)["d"]["s"] for _ in range(3)} == {"ETHUSD"}
    finally:
        exchange.silence("BTCUSD", False)
    book(ws, "BTCUSD")


def test_a_reader_that_does_not_read_is_cut_off() -> None:
    with Exchange(options_period_ms=20, max_queued_bytes=2_000_000) as exchange:
        ws = websocket.create_connection(
            signed_url(exchange),
            timeout=WAIT_S,
            sockopt=((socket.SOL_SOCKET, socket.SO_RCVBUF, 4096),),
        )
        ask(ws, "subscribe", exchange.symbols("options"))
        eventually(lambda: exchange.connections == 0)
        end(ws)


# Bodies and frames


def printed_rest() -> dict[int, Any]:
    rows = map(json.loads, (CONFORMANCE / "rest.jsonl").read_text().splitlines())
    return {row["line"]: json.loads(row["body"]) for row in rows}


@pytest.mark.parametrize(
    ("line", "path", "extra"),
    [
        (140, "/time", set()),
        (281, "/open/option/getInstruments/BTC", {"startTimestamp"}),  # in live answers
        (457, "/open/option/order/orderbook/v1/{option}", set()),
        (762, "/open/futures/market/symbol/v1", set()),
        (795, "/open/futures/order/orderbook/v1/BTCUSD", set()),
    ],
)
def test_bodies_are_shaped_like_the_printed_ones(
    exchange: Exchange, line: int, path: str, extra: set[str]
) -> None:
    url = exchange.rest_url + path.format(option=exchange.symbols("options")[0])
    answer = requests.get(url, timeout=WAIT_S)
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("application/json")
    ours, printed = shape(answer.json()), shape(printed_rest()[line])
    row = ours["data"][0] if isinstance(ours["data"], list) else ours["data"]
    for key in extra:
        del row[key]
    assert ours == printed
    assert list(answer.json()) == list(printed)


def test_config_is_the_printed_one(exchange: Exchange) -> None:
    data = requests.get(f"{exchange.rest_url}/open/public/config/v1", timeout=WAIT_S).json()["data"]
    printed = printed_rest()[155]["data"]
    for kind in ("optionConfig", "futuresConfig"):
        assert data[kind]["BTCUSD"] == printed[kind]["BTCUSD"]
        assert list(data[kind]["BTCUSD"]) == list(printed[kind]["BTCUSD"])
        assert shape(data[kind]["ETHUSD"]) == shape(printed[kind]["BTCUSD"])


def test_instruments_are_the_listed_symbols(exchange: Exchange) -> None:
    listed = []
    for base in ("BTC", "ETH"):
        url = f"{exchange.rest_url}/open/option/getInstruments/{base}"
        listed += requests.get(url, timeout=WAIT_S).json()["data"]
    assert {row["symbolName"] for row in listed} == set(exchange.symbols("options"))
    assert all(row["isActive"] and row["expirationTimestamp"] > now_ms() for row in listed)


def test_later_futures_endpoints(exchange: Exchange) -> None:
    base = f"{exchange.rest_url}/open/futures/market"
    rows = requests.get(f"{base}/instruments/v1", timeout=WAIT_S).json()["data"]
    assert [row["ticker_id"] for row in rows] == ["BTC-USD", "ETH-USD"]
    assert float(rows[0]["bid"]) < float(rows[0]["ask"])
    for depth, levels in ((None, 1), ("20", 20), ("100", 100)):
        query = {"symbol": "BTC-USD"} | ({"depth": depth} if depth else {})
        data = requests.get(f"{base}/orderbook", params=query, timeout=WAIT_S).json()["data"]
        assert len(data["bids"]) == len(data["asks"]) == levels
        assert abs(data["timestamp"] - now_ms()) < 5_000
        assert all(isinstance(text, str) for text in data["bids"][0])


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/open/option/getInstruments/DOGE", 40034),
        ("/open/option/order/orderbook/v1/BTCUSD-1JAN99-1-C", 40034),
        ("/open/option/order/orderbook/v1/BTCUSD", 40034),
        ("/open/futures/order/orderbook/v1/DOGEUSD", 10574),
        ("/open/futures/market/orderbook?symbol=BTCUSD", 10574),
        ("/open/futures/market/orderbook", 10574),
        ("/open/futures/market/orderbook?symbol=BTC-USD&depth=7", 10573),
    ],
)
def test_rest_refusals(exchange: Exchange, path: str, code: int) -> None:
    answer = requests.get(exchange.rest_url + path, timeout=WAIT_S)
    assert answer.status_code == 200
    assert answer.json()["code"] == code
    assert answer.json()["data"] is None


def test_an_unknown_path_is_404(exchange: Exchange) -> None:
    assert requests.get(f"{exchange.rest_url}/open/nothing/v1", timeout=WAIT_S).status_code == 404


@pytest.mark.parametrize(("product", "dt"), [("options", 5), ("futures", 32)])
def test_frames_are_shaped_like_the_printed_ones(exchange: Exchange, product: str, dt: int) -> None:
    rows = map(json.loads, (CONFORMANCE / "frames.jsonl").read_text().splitlines())
    printed = [
        json.loads(row["frame"])
        for row in rows
        if row["seed"].startswith("003_") and row["kind"] == "push" and "asks" in row["frame"]
    ]
    example = next(frame for frame in printed if frame["dt"] == dt)
    text = exchange.book_frame(exchange.symbols(product)[0]).decode()
    ours = json.loads(text)
    assert shape(ours) == shape(example)
    assert list(ours) == list(example)
    assert list(ours["d"]) == list(example["d"])
    assert list(ours["d"]["asks"][0]) == ["pr", "sz"]
    assert text == json.dumps(ours, separators=(",", ":"))  # compact, keys in order


# Starting and ending


def test_without_aiohttp_the_message_says_what_to_install() -> None:
    script = "import sys; sys.modules['aiohttp'] = None; import coincall_fast.sim"
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, check=False)
    assert ended.returncode == 1
    assert b"pip install 'coincall-fast[sim]'" in ended.stderr


def test_closes_quickly_and_leaves_nothing() -> None:
    before = threading.active_count()
    exchange = Exchange()
    with pytest.raises(RuntimeError):
        exchange.symbols("options")
    clients = []
    with exchange:
        with pytest.raises(RuntimeError):
            exchange.start()
        with pytest.raises(ValueError, match="product"):
            exchange.symbols("spot")
        for _ in range(3):
            clients.append(websocket.create_connection(signed_url(exchange), timeout=WAIT_S))
            ask(clients[-1], "subscribe", exchange.symbols("options"))
        began_s = time.monotonic()
    assert time.monotonic() - began_s < 2.0
    assert threading.active_count() == before
    with pytest.raises(RuntimeError):
        exchange.drop_connections()
    exchange.close()  # once more does nothing
    for ws in clients:
        end(ws)


def test_starts_again() -> None:
    exchange = Exchange()
    for _ in range(2):
        with exchange:
            assert requests.get(f"{exchange.rest_url}/time", timeout=WAIT_S).json()["code"] == 0


def test_a_taken_port_is_told_at_start(exchange: Exchange) -> None:
    port = int(exchange.ws_url.rpartition(":")[2])
    with pytest.raises(OSError, match=str(port)):
        Exchange(port=port).start()


def test_wrong_switches_are_told() -> None:
    wrong: list[dict[str, Any]] = [
        {"prehash": "key"},
        {"refuse": "500"},
        {"options_period_ms": 0},
    ]
    for switches in wrong:
        with pytest.raises(ValueError, match=r"must be|at least"):
            Exchange(**switches)


def test_an_error_of_the_server_surfaces(monkeypatch: pytest.MonkeyPatch) -> None:
    before = threading.active_count()
    exchange = Exchange().start()

    def break_down(*_: Any) -> None:
        raise ZeroDivisionError("a bug")

    assert exchange._venue is not None
    monkeypatch.setattr(exchange._venue.engine, "advance", break_down)
    eventually(lambda: threading.active_count() == before)
    with pytest.raises(ZeroDivisionError, match="a bug"):
        exchange.close()

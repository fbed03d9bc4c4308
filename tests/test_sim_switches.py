"""The simulated exchange's alternatives, its pytest plugin, and the venue's own sample script."""

import hashlib
import hmac
import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
import requests
import websocket

from coincall_fast.sim import Exchange
from sim_client import Plain
from sim_socket import Socket

FUTURE = "BTCUSD"


@pytest.mark.parametrize(
    ("failures", "expected"),
    [
        ("result", {"action": "SUBSCRIBE", "result": "failed", "code": 10574}),
        ("rc", {"c": 20, "rc": 0, "code": 10574}),
        ("c", {"c": 10574}),
    ],
)
def test_the_shapes_of_a_failure(failures: Any, expected: dict[str, Any]) -> None:
    with Exchange(failures=failures) as exchange, Socket(exchange, "futures") as socket:
        socket.send("subscribe", "orderBook", symbol="DOGEUSD")
        answer = socket.receive()
        assert answer.pop("msg") == "Instrument ID does not exist."
        assert answer == expected


def test_acks_may_be_left_unsaid() -> None:
    with Exchange(acks=False) as exchange, Socket(exchange, "futures") as socket:
        socket.send("subscribe", "orderBook", symbol=FUTURE)
        assert socket.receive()["dt"] == 32
        socket.send("unSubscribe", "orderBook", symbol=FUTURE)
        assert all("dt" in frame for frame in socket.pushes())
        assert exchange.subscriptions() == {}


def test_reads_may_lag() -> None:
    with Exchange(reads_lag_ms=60_000, flow=0.0, throttle="off") as exchange:
        client = Plain(exchange)
        exchange.skip(61_000)  # the exchange is older than its lag
        resting = client.place(FUTURE, 1, "0.1", "1000", clientOrderId=4)
        client.place(FUTURE, 1, "0.1", None)

        def seen() -> tuple[Any, ...]:
            root = "/open/futures"
            return (
                client.get(f"{root}/order/singleQuery/v1", orderId=resting)["code"],
                client.get(f"{root}/order/pending/v1")["data"]["total"],
                len(client.get(f"{root}/order/history/v1", pageSize=5)["data"]["list"]),
                len(client.get(f"{root}/trade/history/v1")["data"]["list"]),
            )

        assert seen() == (10584, 0, 0, 0)
        # It is there all the same: the id is taken, and it can be cancelled.
        order = {"symbol": FUTURE, "tradeSide": 1, "tradeType": 1, "qty": "0.1", "price": "1"}
        again = client.post("/open/futures/order/create/v1", **order, clientOrderId=4)
        assert again["code"] == 10577
        exchange.skip(61_000)
        assert seen() == (0, 1, 1, 1)


def test_a_request_may_be_accepted_late() -> None:
    """Looked at in time, answered by nobody, and done when its timestamp has long expired."""
    with Exchange(flow=0.0, throttle="off") as exchange:
        client = Plain(exchange)
        for kind, amount in (("hang_up", 0), ("wait", 1_500)):
            path = "/order/create"
            exchange.fault(kind, path=path, when="between", amount=amount, times=1)
        path = "/open/futures/order/create/v1"
        order = {"symbol": FUTURE, "tradeSide": 1, "tradeType": 1, "qty": "0.1", "price": "1"}
        fields = {**order, "clientOrderId": 4}
        headers = client.headers("POST", path, fields, diff=1_000)
        with pytest.raises(requests.ConnectionError):
            requests.post(client.url + path, json=fields, headers=headers, timeout=9)
        sent_s = time.monotonic()

        def query() -> Any:
            return client.get("/open/futures/order/singleQuery/v1", clientOrderId=4)["code"]

        assert query() == 10584
        while query() == 10584:
            assert time.monotonic() < sent_s + 20
            time.sleep(0.1)
        assert time.monotonic() > sent_s + 1.0
        assert query() == 0


@pytest.mark.parametrize("post_only", ["cancel", "refuse"])
def test_a_post_only_order_that_would_trade(post_only: Any) -> None:
    with Exchange(post_only=post_only, flow=0.0) as exchange:
        client = Plain(exchange)
        best = json.loads(exchange.book_frame(FUTURE))["d"]["asks"][0]["pr"]
        order = {"symbol": FUTURE, "tradeSide": 1, "tradeType": 3, "qty": "0.1", "price": best}
        answer = client.post("/open/futures/order/create/v1", **order)
        if post_only == "refuse":
            assert answer["code"] == 40035
        else:
            told = client.get("/open/futures/order/singleQuery/v1", orderId=answer["data"])
            assert told["data"]["state"] == 3
        resting = client.post("/open/futures/order/create/v1", **(order | {"price": "1"}))
        assert resting["code"] == 0


@pytest.mark.parametrize("options_fok", [True, False])
def test_options_may_not_know_fok(options_fok: bool) -> None:
    with Exchange(options_fok=options_fok, flow=0.0) as exchange:
        client = Plain(exchange)
        option = exchange.symbols("options")[0]
        order = {"tradeSide": 1, "tradeType": 1, "qty": "0.1", "price": "1", "timeInForce": "FOK"}
        path = "/open/{}/order/create/v1"
        on_option = client.post(path.format("option"), symbol=option, **order)["code"]
        assert on_option == (0 if options_fok else 12012)
        assert client.post(path.format("futures"), symbol=FUTURE, **order)["code"] == 0


@pytest.mark.parametrize("ids_return", [False, True])
def test_a_client_order_id_may_come_back(ids_return: bool) -> None:
    with Exchange(ids_return=ids_return, flow=0.0) as exchange:
        client = Plain(exchange)
        path = "/open/futures/order/create/v1"
        order = {"symbol": FUTURE, "tradeSide": 1, "tradeType": 1, "qty": "0.1", "price": "1"}
        client.place(FUTURE, 1, "0.1", "1", clientOrderId=4)
        assert client.post(path, **order, clientOrderId=4)["code"] == 10577
        client.post("/open/futures/order/cancel/v1", clientOrderId=4)
        again = client.post(path, **order, clientOrderId=4)["code"]
        assert again == (0 if ids_return else 10577)


def test_rate_classes_may_be_others() -> None:
    with Exchange(rates={"account": (5, 60)}) as exchange:
        client = Plain(exchange)
        codes = [client.get("/open/user/info/v1")["code"] for _ in range(6)]
        assert codes == [0] * 5 + [10605]
    with pytest.raises(ValueError, match="acount"):
        Exchange(rates={"acount": (5, 60)})


@pytest.mark.parametrize(
    ("flood", "expected"),
    [("code", '{"c":10605,"msg":"too many request"}'), ("text", "too many request")],
)
def test_the_shapes_of_too_many_requests(flood: Any, expected: str) -> None:
    with Exchange(flood=flood) as exchange, Socket(exchange, "futures") as socket:
        for _ in range(300):
            socket.send("heartbeat")
        answers = [socket.receive_text() for _ in range(300)]
        assert set(answers) == {'{"c":11,"rc":1}', expected}


@pytest.mark.parametrize("sorted_levels", [True, False])
def test_levels_may_come_anyhow(sorted_levels: bool) -> None:
    with Exchange(sorted_levels=sorted_levels) as exchange:
        frame = json.loads(exchange.book_frame(FUTURE))["d"]
        asks = [float(level["pr"]) for level in frame["asks"]]
        bids = [-float(level["pr"]) for level in frame["bids"]]
        assert max(bids) < min(asks)
        assert len(asks) == len(bids) == 100
        assert ([asks, bids] == [sorted(asks), sorted(bids)]) is sorted_levels


def test_more_expiries_make_more_symbols() -> None:
    with Exchange(expiries=10, options_period_ms=1_000) as exchange:
        symbols = exchange.symbols("options")
        assert len(set(symbols)) == len(symbols) == 480
        with Socket(exchange, "options") as socket:
            for start in range(0, 480, 80):
                socket.subscribe("orderBook", symbol=symbols[start : start + 80])
            heard: set[str] = set()
            while len(heard) < 480:
                heard.add(socket.push(5)["d"]["s"])


def test_the_same_seed_and_start_are_the_same_market() -> None:
    heard = []
    for _ in range(2):
        with Exchange(seed=3, start_ms=1_688_169_600_000, speed=1e-6) as exchange:  # stands still
            symbols = exchange.symbols("options")
            heard.append((symbols, [exchange.book_frame(symbol) for symbol in symbols]))
    assert heard[0] == heard[1]
    assert {symbol.split("-")[1] for symbol in heard[0][0]} == {"7JUL23", "28JUL23"}


# The plugin


def pytest_in(folder: Path, *arguments: str, **variables: str) -> Any:
    run = [sys.executable, "-m", "pytest", "-q", "--strict-markers", "-p", "no:cacheprovider"]
    environ = {**os.environ, **variables}
    return subprocess.run(
        [*run, "-W", "error", *arguments],
        cwd=folder,
        env=environ,
        check=False,
        capture_output=True,
        text=True,
    )


def test_the_plugin_makes_a_users_test_short(tmp_path: Path) -> None:
    (tmp_path / "test_mine.py").write_text(
        "import pytest, requests\n"
        "@pytest.mark.coincall_exchange(seed=5, flow=0.0)\n"
        "def test_mine(coincall_exchange):\n"
        "    assert coincall_exchange.seed == 5\n"
        "    assert requests.get(coincall_exchange.rest_url + '/time', timeout=9).ok\n"
        "def test_other(coincall_exchange):\n"
        "    assert coincall_exchange.symbols('futures') == ['BTCUSD', 'ETHUSD']\n"
    )
    done = pytest_in(tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 passed" in done.stdout


def test_without_the_extra_only_those_tests_fail_that_ask(tmp_path: Path) -> None:
    (tmp_path / "aiohttp.py").write_text("raise ImportError('no aiohttp')")
    (tmp_path / "test_mine.py").write_text(
        "def test_mine(coincall_exchange): pass\ndef test_other(): pass\n"
    )
    done = pytest_in(tmp_path, PYTHONPATH=str(tmp_path))
    assert "1 passed, 1 error" in done.stdout, done.stdout + done.stderr
    assert "pip install 'coincall-fast[sim]'" in done.stdout


# Seed 003, "Sample code": typed from the page, with the addresses of this machine.


def test_the_sample_script_of_the_page_receives_books() -> None:
    with Exchange() as exchange:
        api_key, api_sec = exchange.api_key, exchange.api_secret
        symbol = exchange.symbols("options")[0]
        received: list[Any] = []
        enough, answered = threading.Event(), threading.Event()

        def on_open(ws: Any) -> None:
            ws.send(
                json.dumps(
                    {"action": "subscribe", "dataType": "orderBook", "payload": {"symbol": symbol}}
                )
            )

        def on_message(ws: Any, message: str) -> None:
            received.append(json.loads(message))
            if len(received) > 5:
                enough.set()
            if "rc" in received[-1]:
                answered.set()

        def get_signed_header(ts: int) -> str:
            verb = "GET"
            uri = "/users/self/verify"
            auth = verb + uri + "?uuid=" + api_key + "&ts=" + str(ts)
            signature = hmac.new(
                api_sec.encode("utf-8"), auth.encode("utf-8"), hashlib.sha256
            ).hexdigest()
            return signature.upper()

        ts = int(time.time() * 1000)
        sign = get_signed_header(ts)
        socket = (
            f"{exchange.ws_url}/options?code=10&uuid={api_key}&ts={ts}&sign={sign}&apiKey={api_key}"
        )
        ws = websocket.WebSocketApp(socket, on_open=on_open, on_message=on_message)
        ws_thread = threading.Thread(target=ws.run_forever)
        ws_thread.start()
        try:
            assert enough.wait(10)
            ws.send(json.dumps({"action": "heartbeat"}))
            assert answered.wait(10)
        finally:
            exchange.drop_connections()
            ws_thread.join()
        assert received[0] == {"action": "SUBSCRIBE", "result": "success"}
        books = [frame["d"] for frame in received[1:] if frame != {"c": 11, "rc": 1}]
        assert len(books) >= 5
        assert {book["s"] for book in books} == {symbol}
        assert {"asks", "bids"} <= set(books[0])

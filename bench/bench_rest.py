"""What an order, a modification and a cancellation cost the client, signed, on a warm connection.

The server is a process of its own, and answers at once, with the headers that such answers have.
Times are the CPU time of the client's process, not the time that passes: what the network adds is
the same for all. Before anything is timed, both contenders have sent the same, and heard the same.
"""

import json
import subprocess
import sys
import time
from decimal import Decimal

import pytest
import requests
import trustme

from coincall_fast import Client, Rate, signing
from coincall_fast.rest.endpoints import RATES

pytestmark = pytest.mark.benchmark(timer=time.process_time, max_time=1.0, min_rounds=500)

ORDER_ID = 1673571411341475840
KEY, SECRET = "key", "secret"
NEW = {"clientOrderId": 7, "symbol": "BTCUSD", "price": 19000.1, "qty": 0.5}
NEW |= {"tradeSide": 1, "tradeType": 1}
CHANGE = {"symbol": "BTCUSD", "orderId": ORDER_ID, "price": 19000.2, "qty": 0.4}

# By verb: the path, the body, and the call that sends it.
VERBS = {
    "place_order": (
        "/open/futures/order/create/v1",
        NEW,
        {
            "symbol": "BTCUSD",
            "side": "buy",
            "qty": 0.5,
            "order_type": "limit",
            "price": 19000.1,
            "client_order_id": 7,
        },
    ),
    "modify_order": (
        "/open/futures/order/modify/v1",
        CHANGE,
        {"symbol": "BTCUSD", "order_id": ORDER_ID, "price": 19000.2, "qty": 0.4},
    ),
    "cancel_order": (
        "/open/futures/order/cancel/v1",
        {"orderId": ORDER_ID},
        {"order_id": ORDER_ID},
    ),
}

SERVER = r"""
import json, socketserver, ssl, sys, time

CONFIG = {"futuresConfig": {"BTCUSD": {"tickSize": 0.1, "qtyDecimal": 3, "minQty": 0.001}}}
HEAD = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nServer: nginx\r\n"
HEAD += "Date: Sun, 22 Nov 2026 01:29:27 GMT\r\nConnection: keep-alive\r\nContent-Length: "
last = None


class Handler(socketserver.StreamRequestHandler):
    disable_nagle_algorithm = True

    def handle(self):
        global last
        while line := self.rfile.readline():
            length = 0
            while (header := self.rfile.readline()) not in (b"\r\n", b""):
                name, _, value = header.partition(b":")
                if name.lower() == b"content-length":
                    length = int(value)
            sent = self.rfile.read(length)
            path, data = line.split()[1], ORDER_ID
            if path == b"/open/public/config/v1":
                data = CONFIG
            elif path == b"/time":
                data = {"serverTime": time.time_ns() // 1_000_000}
            elif path == b"/last":
                data = last.decode()
            else:
                last = sent
            body = json.dumps({"code": 0, "msg": "success", "i18nArgs": None, "data": data})
            self.wfile.write(f"{HEAD}{len(body)}\r\n\r\n{body}".encode())


class Server(socketserver.ThreadingTCPServer):
    daemon_threads = True

    def get_request(self):
        opened, place = self.socket.accept()
        return (context.wrap_socket(opened, server_side=True) if context else opened), place


ORDER_ID, context = int(sys.argv[1]), None
if certificate := sys.argv[2]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
with Server(("127.0.0.1", 0), Handler) as server:
    print(server.server_address[1], flush=True)
    server.serve_forever()
"""


@pytest.fixture(scope="module", params=["http", "https"])
def url(request, tmp_path_factory):
    where, certificate = tmp_path_factory.mktemp("certificates"), ""
    with pytest.MonkeyPatch.context() as environment:
        if request.param == "https":
            authority, certificate = trustme.CA(), str(where / "server.pem")
            authority.cert_pem.write_to_path(str(where / "ca.pem"))
            issued = authority.issue_cert("127.0.0.1")
            issued.private_key_and_cert_chain_pem.write_to_path(certificate)
            environment.setenv("REQUESTS_CA_BUNDLE", str(where / "ca.pem"))
        run = [sys.executable, "-c", SERVER, str(ORDER_ID), certificate]
        with subprocess.Popen(run, stdout=subprocess.PIPE, text=True) as server:
            yield f"{request.param}://127.0.0.1:{int(server.stdout.readline())}"
            server.terminate()


@pytest.fixture(scope="module")
def client(url):
    wide = {name: Rate(1_000_000, 0.001, name) for name in RATES}
    with Client(KEY, SECRET, rest_url=url, rates=wide) as client:
        yield client


@pytest.fixture(scope="module")
def session(url):
    with requests.Session() as session:
        yield session


def timed(benchmark, url, session, verb, contender, send):
    send()
    sent = session.get(f"{url}/last").json()["data"]
    assert json.loads(sent, parse_float=Decimal) == json.loads(
        json.dumps(VERBS[verb][1]), parse_float=Decimal
    )
    benchmark.group = f"{verb} over {url.partition(':')[0]} on a warm connection, client CPU"
    benchmark.extra_info.update(contender=contender, calls=1)
    benchmark(send)


@pytest.mark.parametrize("verb", VERBS)
def test_client(benchmark, url, session, client, verb):
    """With all its checks: what kind of order it is, tick, lot, rate window, clock."""
    call, arguments = getattr(client.futures, verb), VERBS[verb][2]
    answer = call(**arguments)
    assert answer is None if verb == "cancel_order" else answer.order_id == ORDER_ID
    timed(benchmark, url, session, verb, verb, lambda: call(**arguments))


@pytest.mark.parametrize("verb", VERBS)
def test_requests(benchmark, url, session, verb):
    """Nothing but signing and `requests.Session.post`."""
    path, fields, _ = VERBS[verb]

    def send():
        ts = time.time_ns() // 1_000_000
        prehash = signing.rest_prehash("POST", path, fields, KEY, ts, 5000)
        headers = {
            "X-CC-APIKEY": KEY,
            "sign": signing.sign(SECRET, prehash),
            "ts": str(ts),
            "X-REQ-TS-DIFF": "5000",
        }
        return session.post(url + path, json=fields, headers=headers).json()["data"]

    assert send() == ORDER_ID
    timed(benchmark, url, session, verb, "requests", send)


def test_python_coincall(benchmark, url, session):
    futures = pytest.importorskip("coincall.Futures", reason="python-coincall")
    if url.startswith("https"):
        pytest.skip("it takes no certificates but the system's")
    api = futures.FuturesAPI(KEY, SECRET, domain=url, debug=False)

    def send():
        answer = api.place_order("BTCUSD", 0.5, 1, 1, clientOrderId=7, price=19000.1)
        return (json.loads(answer) if isinstance(answer, str) else answer)["data"]

    assert send() == ORDER_ID
    timed(benchmark, url, session, "place_order", "python-coincall", send)
    api.client.close()

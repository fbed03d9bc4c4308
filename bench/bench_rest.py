"""What one signed order costs the client, on a warm connection on loopback.

The server is a process of its own, and answers with the same bytes at once. Times are the CPU time
of the client's process, not the time that passes: what the network adds is the same for all.
"""

import json
import subprocess
import sys
import time

import pytest
import requests

from coincall_fast import Client, Rate, signing
from coincall_fast.rest.endpoints import RATES

pytestmark = pytest.mark.benchmark(timer=time.process_time, max_time=1.0, min_rounds=200)

ORDER_ID = 1673571411341475840
PATH = "/open/futures/order/create/v1"
KEY, SECRET = "key", "secret"
FIELDS = {"clientOrderId": 7, "symbol": "BTCUSD", "price": 19000.1, "qty": 0.5}
FIELDS |= {"tradeSide": 1, "tradeType": 1}

SERVER = r"""
import json, socketserver, sys

CONFIG = {"futuresConfig": {"BTCUSD": {"tickSize": 0.1, "qtyDecimal": 3, "minQty": 0.001}}}
DATA = {b"/open/public/config/v1": CONFIG, b"/time": {"serverTime": 1}}


class Handler(socketserver.StreamRequestHandler):
    def handle(self):
        while line := self.rfile.readline():
            length = 0
            while (header := self.rfile.readline()) not in (b"\r\n", b""):
                name, _, value = header.partition(b":")
                if name.lower() == b"content-length":
                    length = int(value)
            self.rfile.read(length)
            data = DATA.get(line.split()[1], ORDER_ID)
            body = json.dumps({"code": 0, "msg": "success", "i18nArgs": None, "data": data})
            head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: "
            self.wfile.write(f"{head}{len(body)}\r\n\r\n{body}".encode())


ORDER_ID = int(sys.argv[1])
with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
    server.daemon_threads = True
    print(server.server_address[1], flush=True)
    server.serve_forever()
"""


@pytest.fixture(scope="module")
def url():
    run = [sys.executable, "-c", SERVER, str(ORDER_ID)]
    with subprocess.Popen(run, stdout=subprocess.PIPE, text=True) as server:
        yield f"http://127.0.0.1:{int(server.stdout.readline())}"
        server.terminate()


def timed(benchmark, contender, place):
    assert place() == ORDER_ID
    benchmark.group = "one signed order on a warm connection, client CPU"
    benchmark.extra_info.update(contender=contender, calls=1)
    assert benchmark(place) == ORDER_ID


def test_client(benchmark, url):
    """With all its checks: what kind of order it is, tick, lot, rate window, clock."""
    wide = {name: Rate(1_000_000, 0.001, name) for name in RATES}
    with Client(KEY, SECRET, rest_url=url, rates=wide) as client:
        timed(
            benchmark,
            "place_order",
            lambda: (
                client.futures.place_order(
                    symbol="BTCUSD",
                    side="buy",
                    qty=0.5,
                    order_type="limit",
                    price=19000.1,
                    client_order_id=7,
                ).order_id
            ),
        )


def test_requests(benchmark, url):
    """Nothing but signing and `requests.Session.post`."""
    with requests.Session() as session:

        def place():
            ts = time.time_ns() // 1_000_000
            prehash = signing.rest_prehash("POST", PATH, FIELDS, KEY, ts, 5000)
            headers = {
                "X-CC-APIKEY": KEY,
                "sign": signing.sign(SECRET, prehash),
                "ts": str(ts),
                "X-REQ-TS-DIFF": "5000",
            }
            return session.post(url + PATH, json=FIELDS, headers=headers).json()["data"]

        timed(benchmark, "requests", place)


def test_python_coincall(benchmark, url):
    futures = pytest.importorskip("coincall.Futures", reason="python-coincall")
    api = futures.FuturesAPI(KEY, SECRET, domain=url, debug=False)

    def place():
        answer = api.place_order("BTCUSD", 0.5, 1, 1, clientOrderId=7, price=19000.1)
        return (json.loads(answer) if isinstance(answer, str) else answer)["data"]

    timed(benchmark, "python-coincall", place)
    api.client.close()

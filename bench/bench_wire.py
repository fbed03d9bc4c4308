"""From the socket to the applied book: what a client's process takes of the processor a frame, all
threads and the kernel's part counted, while a server sends as fast as it can.

Frames of 100 levels a side, 5.9 kB, in which every level is new, on loopback, with TLS and without.
`Connection`, `Stream` and websocket-client's default check that text is UTF-8, as RFC 6455 wants;
the other two hand it on unchecked.
"""

import asyncio
import contextlib
import os
import re
import selectors
import ssl
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import trustme
import websocket
from flood import floods
from frames import SYMBOL

from coincall_fast import BookStore, Channel, OrderBook, Stream
from coincall_fast.connection import Address, Connection

picows = pytest.importorskip("picows")

pytestmark = pytest.mark.benchmark(timer=time.process_time)

COUNT = 20_000
FEW = 200  # of the one that takes most of a millisecond
ROUNDS = 7


@contextlib.contextmanager
def on_processors(choose):
    """Has this process, and what it starts, run on those alone, where the system can."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, choose(before))
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@pytest.fixture(scope="module", params=["ws", "wss"])
def flood(request, tmp_path_factory):
    """The address of a flood, on a processor of its own, and a context that trusts it."""
    argv, context = [], None
    with pytest.MonkeyPatch.context() as patch, contextlib.ExitStack() as running:
        if request.param == "wss":
            authority, directory = trustme.CA(), tmp_path_factory.mktemp("tls")
            server, trusted = str(directory / "server.pem"), str(directory / "ca.pem")
            authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(server)
            authority.cert_pem.write_to_path(trusted)
            argv, context = [server], ssl.create_default_context(cafile=trusted)
            patch.setenv("SSL_CERT_FILE", trusted)
        command = [sys.executable, str(Path(__file__).parent / "flood.py"), *argv]
        with on_processors(lambda known: {min(known)}):
            server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        running.enter_context(server)
        running.callback(server.kill)
        running.enter_context(on_processors(lambda known: {max(known)}))
        yield f"{request.param}://127.0.0.1:{server.stdout.readline().strip()}", context


def expected_book(count):
    book = OrderBook()
    for flood in floods(count):
        for body in re.split(rb"\x81\x7e..", flood, flags=re.DOTALL)[1:]:
            book.apply(body)
    assert book.update_count == count
    return book


def assert_equal(store, expected):
    (symbol,) = store
    assert store[symbol].update_count == expected.update_count
    assert store[symbol].ts_ms == expected.ts_ms
    assert (store[symbol].snapshot() == expected.snapshot()).all()


def measured(benchmark, flood, name, dial, take, hang_up, count=COUNT):
    """Times `take(dialled, store)`, which asks for `count` frames and feeds the store with them."""
    url, context = flood
    benchmark.group = f"socket to book, {'TLS' if context else 'no TLS'}, processor time a frame"
    benchmark.extra_info.update(contender=name, calls=count)
    expected = expected_book(count)

    def set_up():
        store = BookStore()
        return (dial(f"{url}/{count}", context, store), store), {}

    def tear_down(dialled, store):
        assert_equal(store, expected)
        hang_up(dialled)

    benchmark.pedantic(take, setup=set_up, teardown=tear_down, rounds=ROUNDS, warmup_rounds=1)


def test_connection(benchmark, flood):
    def dial(url, context, store):
        connection = Connection(Address.parse(url))
        connection.dial(lambda plain: plain)
        return connection

    def take(connection, store):
        left = COUNT
        connection.send("go")
        with selectors.DefaultSelector() as selector:
            selector.register(connection.socket, selectors.EVENT_READ)
            while left:
                if not connection.has_more:
                    selector.select()
                for message in connection.read():
                    store.feed(message, time.monotonic_ns())
                    left -= 1

    measured(benchmark, flood, "Connection", dial, take, Connection.close)


def test_stream(benchmark, flood):
    """The whole of it: clocks, heartbeats, freshness, latency, and a callback for each book."""
    left, done = [0], threading.Event()

    def count(book):
        left[0] -= 1
        if not left[0]:
            done.set()

    def dial(url, context, store):
        left[0] = COUNT
        done.clear()
        stream = Stream("futures", api_key="k", api_secret="s", ws_url=url, store=store)
        stream.on(Channel.BOOK, count)
        stream.start()
        stream.wait_open(30)
        return stream

    def take(stream, store):
        stream.subscribe(Channel.BOOK, SYMBOL)
        assert done.wait(30)

    measured(benchmark, flood, "Stream", dial, take, Stream.close)


@pytest.mark.parametrize("is_checked", [False, True], ids=["unchecked", "default"])
def test_peer_websocket_client(benchmark, flood, is_checked):
    count = FEW if is_checked else COUNT

    def dial(url, context, store):
        client = websocket.WebSocket(skip_utf8_validation=not is_checked, enable_multithread=False)
        client.connect(url)
        return client

    def take(client, store):
        client.send("go")
        for _ in range(count):
            store.feed(client.recv_data()[1], time.monotonic_ns())

    name = "websocket-client" if is_checked else "... without its check"
    measured(benchmark, flood, name, dial, take, websocket.WebSocket.shutdown, count)


def test_peer_picows(benchmark, flood):
    class Listener(picows.WSListener):
        def __init__(self, store):
            self.store, self.left = store, COUNT

        def on_ws_frame(self, transport, frame):
            self.store.feed(frame.get_payload_as_memoryview(), time.monotonic_ns())
            self.left -= 1
            if not self.left:
                transport.disconnect()

    def dial(url, context, store):
        runner = asyncio.Runner()
        connect = picows.ws_connect(lambda: Listener(store), url, ssl_context=context)
        return runner, runner.run(connect)[0]

    def take(dialled, store):
        runner, transport = dialled

        async def run():
            transport.send(picows.WSMsgType.TEXT, b"go")
            await transport.wait_disconnected()

        runner.run(run())

    measured(benchmark, flood, "picows", dial, take, lambda dialled: dialled[0].close())

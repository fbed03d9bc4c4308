"""From the socket to the applied book: what a client's process takes of the processor a frame, all
threads and the kernel's part counted, while a server sends as fast as it can.

    pytest bench/bench_wire.py
    python bench/bench_wire.py     the same in turn, round by round: fairer on a busy machine

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
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import NamedTuple

import pytest
import trustme
import websocket
from flood import floods
from frames import SYMBOL

from coincall_fast import BookStore, Channel, OrderBook, Stream
from coincall_fast.streams.connection import Address, Connection

picows = pytest.importorskip("picows")

pytestmark = pytest.mark.benchmark(timer=time.process_time)

ROUNDS = 7


class Flood(NamedTuple):
    """Who floods, and what trusts it."""

    url: str
    context: ssl.SSLContext | None


class OfConnection:
    count = 20_000

    def __init__(self, flood, store):
        self.connection = Connection(Address.parse(f"{flood.url}/{self.count}"))
        self.connection.dial(lambda plain: plain)
        self.store = store

    def take(self):
        connection, store, left = self.connection, self.store, self.count
        connection.send("go")
        with selectors.DefaultSelector() as selector:
            selector.register(connection.socket, selectors.EVENT_READ)
            while left:
                if not connection.has_more:
                    selector.select()
                for message in connection.read():
                    store.feed(message, time.monotonic_ns())
                    left -= 1

    def hang_up(self):
        self.connection.close()


class OfStream:
    """The whole of it: clocks, heartbeats, freshness, latency, and a callback for each book."""

    count = 20_000

    def __init__(self, flood, store):
        url = f"{flood.url}/{self.count}"
        self.left, self.done = self.count, threading.Event()
        self.stream = Stream("futures", api_key="k", api_secret="s", ws_url=url, store=store)
        self.stream.on(Channel.BOOK, self.counted)
        self.stream.start()
        self.stream.wait_open(30)

    def counted(self, book):
        self.left -= 1
        if not self.left:
            self.done.set()

    def take(self):
        self.stream.subscribe(Channel.BOOK, SYMBOL)
        assert self.done.wait(30)

    def hang_up(self):
        self.stream.close()


class OfWebsocketClient:
    count = 20_000
    skips_check = True

    def __init__(self, flood, store):
        self.client = websocket.WebSocket(
            skip_utf8_validation=self.skips_check, enable_multithread=False
        )
        self.client.connect(f"{flood.url}/{self.count}")
        self.store = store

    def take(self):
        self.client.send("go")
        for _ in range(self.count):
            self.store.feed(self.client.recv_data()[1], time.monotonic_ns())

    def hang_up(self):
        self.client.shutdown()


class OfWebsocketClientByDefault(OfWebsocketClient):
    count = 200  # each takes most of a millisecond
    skips_check = False


class OfPicows:
    count = 20_000

    class Listener(picows.WSListener):
        def __init__(self, store):
            self.store, self.left = store, OfPicows.count

        def on_ws_frame(self, transport, frame):
            self.store.feed(frame.get_payload_as_memoryview(), time.monotonic_ns())
            self.left -= 1
            if not self.left:
                transport.disconnect()

    def __init__(self, flood, store):
        self.runner = asyncio.Runner()
        connect = picows.ws_connect(
            lambda: self.Listener(store), f"{flood.url}/{self.count}", ssl_context=flood.context
        )
        self.transport, _ = self.runner.run(connect)

    def take(self):
        self.runner.run(self.run())

    async def run(self):
        self.transport.send(picows.WSMsgType.TEXT, b"go")
        await self.transport.wait_disconnected()

    def hang_up(self):
        self.runner.close()


CONTENDERS = {
    "Connection": OfConnection,
    "Stream": OfStream,
    "picows": OfPicows,
    "... without its check": OfWebsocketClient,
    "websocket-client": OfWebsocketClientByDefault,
}


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


@contextlib.contextmanager
def flooding(scheme):
    """A Flood by a process of its own, on a processor of its own."""
    argv, context = [], None
    with pytest.MonkeyPatch.context() as patch, contextlib.ExitStack() as running:
        if scheme == "wss":
            directory = Path(running.enter_context(tempfile.TemporaryDirectory()))
            identity, trusted = str(directory / "server.pem"), str(directory / "ca.pem")
            authority = trustme.CA()
            authority.cert_pem.write_to_path(trusted)
            authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(identity)
            argv, context = [identity], ssl.create_default_context(cafile=trusted)
            patch.setenv("SSL_CERT_FILE", trusted)
        command = [sys.executable, str(Path(__file__).parent / "flood.py"), *argv]
        with on_processors(lambda known: {min(known)}):
            server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        running.enter_context(server)
        running.callback(server.kill)
        running.enter_context(on_processors(lambda known: {max(known)}))
        yield Flood(f"{scheme}://127.0.0.1:{server.stdout.readline().strip()}", context)


@pytest.fixture(scope="module", params=["ws", "wss"])
def flood(request):
    with flooding(request.param) as flood:
        yield flood


def expected_book(count):
    book = OrderBook()
    for flood in floods(count):
        for body in re.split(rb"\x81\x7e..", flood, flags=re.DOTALL)[1:]:
            book.apply(body)
    assert book.update_count == count
    return book


def end(contender, store, expected):
    """Every frame has been applied, and the last one is what the book holds."""
    book = store[SYMBOL]
    assert (book.update_count, book.ts_ms) == (expected.update_count, expected.ts_ms)
    assert (book.snapshot() == expected.snapshot()).all()
    contender.hang_up()


@pytest.mark.parametrize("name", CONTENDERS)
def test_from_socket_to_book(benchmark, flood, name):
    made = CONTENDERS[name]
    benchmark.group = f"socket to book, {'TLS' if flood.context else 'no TLS'}, processor time"
    benchmark.extra_info.update(contender=name, calls=made.count)
    expected = expected_book(made.count)
    store = None

    def set_up():
        nonlocal store
        store = BookStore()
        return (made(flood, store),), {}

    benchmark.pedantic(
        lambda contender: contender.take(),
        setup=set_up,
        teardown=lambda contender: end(contender, store, expected),
        rounds=ROUNDS,
        warmup_rounds=1,
    )


def main():
    for scheme in ("ws", "wss"):
        expected = {made.count: expected_book(made.count) for made in CONTENDERS.values()}
        took = {name: [] for name in CONTENDERS}
        with flooding(scheme) as flood:
            for _ in range(1 + 2 * ROUNDS):
                for name, made in CONTENDERS.items():
                    store = BookStore()
                    contender = made(flood, store)
                    begin_s = time.process_time()
                    contender.take()
                    took[name].append((time.process_time() - begin_s) / made.count * 1e6)
                    end(contender, store, expected[made.count])
        ours = statistics.median(took["Connection"][1:])
        print(f"{scheme + ', µs a frame':<24}{'median':>9}{'least':>9}{'x Connection':>14}")
        for name, times in took.items():
            median = statistics.median(times[1:])
            print(f"{name:<24}{median:9.2f}{min(times[1:]):9.2f}{median / ours:14.2f}")


if __name__ == "__main__":
    main()

"""What orders from a callback cost the frames behind it.

    python bench/bench_submit.py [ROUNDS]

A thread marked as one that reads a stream takes frames of 100 levels a side from a socket into a
store, each stamped with the time at which another process sent it, one every half millisecond; a
book's callback then submits 100 orders at once, which go to a server in a third process. Printed
are the time that a call of `submit` takes, how long the callback takes, and how late frames were:
without any orders, and in the tenth of a second from when they are submitted. (CLOCK_MONOTONIC is
one for all processes of a machine.) Where the sender, the server or the reader waits for a core,
frames are late for that: compare the latest ones with orders with the latest ones without.
"""

import socket
import statistics
import struct
import subprocess
import sys
import threading
import time

from bench_rest import KEY, ORDER_ID, SECRET, SERVER

from coincall_fast import BookStore, Client, Rate
from coincall_fast.reading import reading
from coincall_fast.rest.endpoints import RATES

ORDERS = 100
PERIOD_S = 0.0005
HEAD = struct.Struct("!qI")  # when it was sent, and how long it is

SENDER = r"""
import socket, struct, sys, time
sys.path.insert(0, sys.argv[2])
from frames import frames
wire, HEAD = frames("successive", 100), struct.Struct("!qI")
with socket.create_connection(("127.0.0.1", int(sys.argv[1]))) as opened:
    opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    n, next_s = 0, time.monotonic()
    try:
        while True:
            frame = wire[n % len(wire)]
            opened.sendall(HEAD.pack(time.monotonic_ns(), len(frame)) + frame)
            n, next_s = n + 1, next_s + float(sys.argv[3])
            time.sleep(max(0.0, next_s - time.monotonic()))
    except OSError:
        pass
"""


class Reader(threading.Thread):
    """Reads frames; when `orders` is set, its callback submits them and notes how long it took."""

    def __init__(self, opened, client):
        super().__init__(daemon=True)
        self.opened, self.client = opened, client
        self.late_us = []
        self.wanted = False
        self.calls_us, self.futures = [], []

    def run(self):
        store, buffer = BookStore(), b""
        with reading():
            while piece := self.opened.recv(1 << 18):
                buffer += piece
                while len(buffer) >= HEAD.size:
                    sent_ns, length = HEAD.unpack_from(buffer)
                    if len(buffer) < HEAD.size + length:
                        break
                    store.feed(buffer[HEAD.size : HEAD.size + length])
                    buffer = buffer[HEAD.size + length :]
                    self.late_us.append((time.monotonic_ns() - sent_ns) / 1000)
                    if self.wanted:
                        self.wanted = False
                        self.trade()

    def trade(self):
        for n in range(ORDERS):
            begin_ns = time.perf_counter_ns()
            future = self.client.submit(
                "futures.place_order",
                symbol="BTCUSD",
                side="buy",
                qty=0.5,
                order_type="limit",
                price=19000.1 + n,
            )
            self.calls_us.append((time.perf_counter_ns() - begin_ns) / 1000)
            self.futures.append(future)


def row(name, values):
    values = sorted(values)
    shares = (0.5, 0.9, 0.99)
    cells = [values[int(share * (len(values) - 1))] for share in shares] + [values[-1]]
    print(f"{name:<44}" + "".join(f"{cell:10,.1f}" for cell in cells))


def main():
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    run = [sys.executable, "-c", SERVER, str(ORDER_ID), ""]
    with subprocess.Popen(run, stdout=subprocess.PIPE, text=True) as server:
        url = f"http://127.0.0.1:{int(server.stdout.readline())}"
        wide = {name: Rate(1_000_000, 0.001, name) for name in RATES}
        with (
            Client(KEY, SECRET, rest_url=url, rates=wide) as client,
            socket.create_server(("127.0.0.1", 0)) as listening,
        ):
            client.futures.instruments()
            for future in [client.submit("server_time") for _ in range(4)]:
                future.result()
            command = [sys.executable, "-c", SENDER, str(listening.getsockname()[1])]
            with subprocess.Popen([*command, sys.path[0], str(PERIOD_S)]) as sender:
                reader = Reader(listening.accept()[0], client)
                reader.start()
                quiet, busy, callbacks, latest, control, wall_ms = [], [], [], [], [], []
                for _ in range(rounds):
                    time.sleep(0.3)
                    reader.late_us = []
                    time.sleep(0.1)
                    quiet += reader.late_us
                    control.append(max(reader.late_us))
                    before = len(reader.calls_us)
                    reader.late_us, reader.futures, reader.wanted = [], [], True
                    begin_s = time.monotonic()
                    while len(reader.futures) < ORDERS:
                        time.sleep(0.001)
                    assert all(f.result().order_id == ORDER_ID for f in reader.futures)
                    wall_ms.append((time.monotonic() - begin_s) * 1000)
                    time.sleep(max(0.0, 0.1 - (time.monotonic() - begin_s)))
                    callbacks.append(sum(reader.calls_us[before:]))
                    busy += reader.late_us
                    latest.append(max(reader.late_us))
                sender.terminate()
        server.terminate()
    print(f"{'microseconds':<44}{'median':>10}{'90 %':>10}{'99 %':>10}{'most':>10}")
    row("one submit", reader.calls_us)
    row(f"a callback that submits {ORDERS}", callbacks)
    row("lateness of a frame, no orders", quiet)
    row(f"... with {ORDERS} orders", busy)
    row("the latest frame of a round, no orders", control)
    row(f"... with {ORDERS} orders", latest)
    print(f"all answered after {statistics.median(wall_ms):.1f} ms (median)")


if __name__ == "__main__":
    main()

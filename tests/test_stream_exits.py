"""The ends of a process that has a stream: it leaves nothing behind and waits for nothing."""

import os
import subprocess
import sys
import threading
import time
from typing import Any

import pytest

from coincall_fast import Channel
from coincall_fast.sim import Exchange
from streams import PATIENCE_S, stream_to, until, valid

PROGRAM = """
import os, signal, sys, threading, time
from coincall_fast import Channel, Stream
api_key, api_secret, ws_url = sys.argv[1:]
stream = Stream("futures", api_key=api_key, api_secret=api_secret, ws_url=ws_url)
came = threading.Event()
stream.on(Channel.BOOK, lambda book: came.set())
stream.start()
stream.subscribe(Channel.BOOK, ["BTCUSD", "ETHUSD"])
assert came.wait(20)
"""


def ended(exchange: Exchange, ending: str) -> subprocess.CompletedProcess[str]:
    """A process that has books, and then does as it is told."""
    where = (exchange.api_key, exchange.api_secret, exchange.ws_url)
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", PROGRAM + ending, *where],
        check=False,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
    )


@pytest.mark.parametrize(
    "ending",
    [
        "",
        "sys.exit(0)",
        "iter(stream); next(iter(stream))",
        "import atexit; atexit.register(stream.close)",
        "stream.on(Channel.BOOK, lambda book: time.sleep(0.01))",
        "stream.close(); del stream",
        "import threading; threading.Thread(target=stream.close).start()",
        "threading.Thread(target=lambda: list(stream), daemon=True).start(); time.sleep(0.1)",
    ],
)
def test_the_interpreter_exits_with_a_stream_open(exchange: Exchange, ending: str) -> None:
    done = ended(exchange, ending)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(os.name != "posix", reason="has no signals to send")
@pytest.mark.parametrize("busy", ["time.sleep(30)", "for item in stream: pass"])
def test_close_in_a_signal_handler(exchange: Exchange, busy: str) -> None:
    """Which runs wherever the main thread happens to be, in a wait for the next item too."""
    done = ended(
        exchange,
        f"""
def stop(*_):
    begin = time.monotonic()
    stream.close()
    print(time.monotonic() - begin, stream.state, threading.active_count())
    raise SystemExit
signal.signal(signal.SIGTERM, stop)
threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGTERM)).start()
{busy}
""",
    )
    assert (done.returncode, done.stderr) == (0, "")
    took_s, state, threads = done.stdout.split()
    assert float(took_s) < 1.0
    assert (state, threads) == ("closed", "1")


def test_many_threads_close_at_once(exchange: Exchange) -> None:
    begun = threading.Barrier(8)
    took_s: list[float] = []
    with stream_to(exchange) as stream:
        stream.subscribe(Channel.BOOK, "BTCUSD")
        until(lambda: valid(stream, ["BTCUSD"]), "the book")

        def close() -> None:
            begun.wait()
            begin_s = time.monotonic()
            stream.close()
            took_s.append(time.monotonic() - begin_s)

        threads = [threading.Thread(target=close) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE_S)
    assert len(took_s) == 8
    assert stream.state == "closed"
    assert not stream.store["BTCUSD"].is_valid


def test_streams_come_and_go_and_leave_nothing(exchange: Exchange) -> None:
    def held() -> tuple[int, int]:
        files = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0
        return files, threading.active_count()

    def once() -> Any:
        with stream_to(exchange, "futures") as stream:
            stream.subscribe(Channel.BOOK, "BTCUSD")
            until(lambda: valid(stream, ["BTCUSD"]), "the book")

    once()
    until(lambda: exchange.connections == 0, "the end of the first")
    before = held()
    for _ in range(10):
        once()
    until(lambda: exchange.connections == 0, "the end of all")
    until(lambda: all(map(int.__le__, held(), before)), "what the first one had held")

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
from streams import PATIENCE_S, listening, stream_to, text_frame, until, upgrade, valid

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


def books_at_once(count: int) -> bytes:
    ts_ms = time.time_ns() // 1_000_000
    level = '[{"pr":"1","sz":"1"}]'
    return b"".join(
        text_frame(f'{{"dt":32,"c":20,"d":{{"s":"S{i}","asks":[],"bids":{level},"ts":{ts_ms}}}}}')
        for i in range(count)
    )


def test_no_book_is_valid_when_a_callback_has_closed_the_stream() -> None:
    """Though more of them have come with the one that it was called for."""
    valid_then: list[int] = []

    def close(_: object) -> None:
        stream.close()
        valid_then.append(sum(book.is_valid for book in stream.store.values()))

    with listening() as (server, stream, _):
        stream.on(Channel.BOOK, close)
        with stream:
            peer, _ = server.accept()
            with peer:
                upgrade(peer)
                peer.sendall(books_at_once(300))
                until(lambda: valid_then, "the close")
                while any(link.is_alive() for link in stream._all_links):
                    assert not any(book.is_valid for book in list(stream.store.values()))
        assert valid_then == [0]


def test_close_is_quick_though_every_callback_is_stuck(exchange: Exchange) -> None:
    stuck, leave = threading.Semaphore(0), threading.Event()

    def dawdle(_: object) -> None:
        stuck.release()
        leave.wait(PATIENCE_S)

    symbols = exchange.symbols("futures") + exchange.symbols("options")[:4]
    stream = stream_to(exchange, sockets=2)
    stream.on(Channel.BOOK, dawdle)
    stream.subscribe(Channel.BOOK, symbols)
    stream.start()
    try:
        for _ in range(4):
            assert stuck.acquire(timeout=PATIENCE_S)
        begin_s = time.monotonic()
        stream.close()
        took_s = time.monotonic() - begin_s
    finally:
        leave.set()
    assert took_s < 1.4  # a busy machine may take longer than the second of the promise
    until(lambda: not any(link.is_alive() for link in stream._all_links), "the end")
    assert not any(book.is_valid for book in stream.store.values())


@pytest.mark.skipif(not hasattr(os, "fork"), reason="has no fork")
def test_an_iteration_ends_in_a_forked_child(exchange: Exchange) -> None:
    done = ended(
        exchange,
        """
import warnings
warnings.simplefilter("ignore")
child = None
for item in stream:
    if child is None:
        child = os.fork()
    if child:
        break
if child == 0:
    os._exit(7)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
stream.close()
""",
    )
    assert (done.returncode, done.stdout.split()) == (0, ["7"]), done.stderr


def test_the_state_told_last_is_the_state_that_is() -> None:
    """Though one link's callback still waits when another link has news."""
    told: list[str] = []
    slow = threading.Event()

    def dawdle(state: str) -> None:
        if state == "open" and not slow.is_set():
            slow.set()
            time.sleep(0.4)

    with Exchange(seed=11) as exchange:
        stream = stream_to(exchange)
        stream.on("state", dawdle)
        stream.on("state", told.append)
        with stream:
            assert slow.wait(PATIENCE_S)
            exchange.close()
            until(lambda: "open" in told, "the end of the wait")
            until(lambda: told[-1] == "connecting", "the state of now")
    assert told[-1] == "closed"

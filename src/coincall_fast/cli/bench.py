"""`bench`: how fast it is on this machine, the core alone and from the socket on."""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import orjson

from .._book import OrderBook
from ..coincall import Channel, Stream
from ..errors import CoincallFastError
from ..streams.latency import Quantiles

__all__ = ["bench"]

FRAMES = 64  # successive ones of one book, so that no frame is known by heart
ROUNDS_S = 0.3
STEP_MS = 200
SYMBOL = "BTCUSD"
SHOWN = ("p50", "p99", "p999", "max")


def bench(asked: argparse.Namespace) -> None:
    """Decodes the simulated exchange's frames, then listens to all of it for some seconds."""
    symbols, frames = _market()
    book = OrderBook(SYMBOL)
    for frame in frames:
        book.apply(frame)
        depth = book.depth()
        if [depth.bids.tolist(), depth.asks.tolist()] != _by_orjson(frame):
            raise CoincallFastError("two decoders disagree about a frame")
    core = {
        "apply": _median_us(book.apply, frames),
        "orjson and float": _median_us(_by_orjson, frames),
    }
    with _exchange_process() as where:
        stream = _listen(where, symbols, asked.seconds)
    taken = {
        "to book": stream.latency.book_ns(),
        "to the end of callbacks": stream.latency.callbacks_ns(),
        "age": stream.latency.age_ns(),
    }
    if asked.json:
        document = {
            "core_us": core,
            "stream_ns": {name: quantiles._asdict() for name, quantiles in taken.items()},
        }
        print(json.dumps(document))
        return
    levels = len(json.loads(frames[0])["d"]["asks"])
    print(f"one frame of {levels} levels a side, {FRAMES} successive ones in turn")
    for name, us in core.items():
        print(f"  {name:24} {us:9.2f} µs {us / core['apply']:7.1f} ×")
    books, seconds = len(stream.store), asked.seconds
    print(f"\n{taken['to book'].frames} frames of {books} books in {seconds:g} s, in microseconds")
    print(f"  {'from socket ...':24}", *(f"{name:>9}" for name in SHOWN))
    for name, quantiles in taken.items():
        print(f"  {name:24}", *(f"{_us(quantiles, shown):9.1f}" for shown in SHOWN))


def _us(quantiles: Quantiles, name: str) -> float:
    return float(getattr(quantiles, name)) / 1e3


def _market() -> tuple[list[str], list[bytes]]:
    """What the simulated exchange lists, and a book of it, one step after the other."""
    from ..sim import Exchange  # what it stands on is an extra

    frames = []
    with Exchange() as exchange:
        symbols = exchange.symbols("futures") + exchange.symbols("options")
        for _ in range(FRAMES):
            frames.append(exchange.book_frame(SYMBOL))
            exchange.skip(STEP_MS)
    return symbols, frames


def _by_orjson(frame: bytes) -> Any:
    """What one would write without this library: the same levels as pairs of floats."""
    data = orjson.loads(frame)["d"]
    sides = [[[float(x["pr"]), float(x["sz"])] for x in data[side]] for side in ("bids", "asks")]
    sides[0].sort(reverse=True)
    sides[1].sort()
    return sides


def _median_us(take: Callable[[bytes], Any], frames: list[bytes]) -> float:
    """Of rounds over all frames: what each of them takes."""
    rounds = []
    end_s = time.perf_counter() + ROUNDS_S
    while time.perf_counter() < end_s:
        begin_s = time.perf_counter()
        for frame in frames:
            take(frame)
        rounds.append(time.perf_counter() - begin_s)
    return sorted(rounds)[len(rounds) // 2] / len(frames) * 1e6


@contextmanager
def _exchange_process() -> Iterator[dict[str, str]]:
    """The exchange in a process of its own, so that it does not take our time."""
    command = [sys.executable, "-m", "coincall_fast", "sim", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as exchange:
        try:
            assert exchange.stdout is not None
            line = exchange.stdout.readline()
            if not line:
                raise CoincallFastError("the simulated exchange did not start")
            yield json.loads(line)
        finally:
            exchange.terminate()


def _listen(where: dict[str, str], symbols: list[str], seconds: float) -> Stream:
    """A stream that has heard every book for so long, and is closed."""
    api_key, api_secret, ws_url = (where[name] for name in ("api_key", "api_secret", "ws_url"))
    with Stream(api_key=api_key, api_secret=api_secret, ws_url=ws_url) as stream:
        stream.on(Channel.BOOK, lambda book: book.microprice)
        stream.subscribe(Channel.BOOK, symbols)
        stream.wait_open(15.0)
        time.sleep(1.0)  # everything has come once
        stream.latency.clear()
        time.sleep(seconds)
        return stream

"""on_demand.cpp, compiled for this processor and called through ctypes."""

import shutil
import subprocess
from collections.abc import Sequence
from ctypes import CDLL, POINTER, Structure, c_char, c_char_p, c_double, c_int, c_int64, c_size_t
from pathlib import Path

import numpy as np
import pytest

SOURCE = Path(__file__).with_name("on_demand.cpp")
FLAGS = ["-std=c++17", "-O3", "-march=native", "-fPIC", "-shared"]

# The numbers that it puts into doubles, in its order.
TICKER = (
    "trade_value mark_price last_price index_price delta high_24h low_24h iv theta price_change "
    "open_24h price_change_rate volume_usd_24h volume volume_24h open_interest underlying_price "
    "gamma vega"
).split()
CHAIN = (
    "mark_price last_price delta theta price_change bid_iv ask_iv mark_iv price_change_rate "
    "bid_size ask_size volume ask volume_24h open_interest underlying_value underlying_price bid "
    "gamma vega"
).split()

Side = list[tuple[int, int]]


class _Side(Structure):
    _fields_ = (("n", c_int), ("price", c_int64 * 100), ("size", c_int64 * 100))

    def levels(self) -> Side:
        return list(zip(self.price, self.size, strict=True))[: self.n]


class _Book(Structure):
    _fields_ = (("ts", c_int64), ("bids", _Side), ("asks", _Side))


class _Ticker(Structure):
    _fields_ = (
        ("symbol", c_char * 64),
        ("number", c_double * len(TICKER)),
        ("rt", c_int64),
        ("ts", c_int64),
    )


class OnDemand:
    def __init__(self, library: CDLL) -> None:
        library.hold_frame.argtypes = [c_char_p, c_size_t]
        library.last_book.restype = POINTER(_Book)
        library.last_ticker.restype = POINTER(_Ticker)
        library.last_numbers.restype = POINTER(c_double * 100 * len(CHAIN))
        library.last_times.restype = POINTER(c_int64 * 100)
        library.last_symbol.restype = c_char_p
        self._library = library

    def hold(self, frames: Sequence[bytes]) -> None:
        self._library.forget_frames()
        for frame in frames:
            self._library.hold_frame(frame, len(frame))

    def apply_all(self) -> int:
        return self._library.apply_frames(-1)

    def levels(self, i: int) -> tuple[Side, Side]:
        """The book, in units of 1e-8, after frame i."""
        assert self._library.apply_frames(i) == 1
        book = self._library.last_book().contents
        return book.bids.levels(), book.asks.levels()

    def read_tickers(self) -> int:
        return self._library.read_tickers(-1)

    def ticker(self, i: int) -> dict[str, object]:
        """The attributes of frame i."""
        assert self._library.read_tickers(i) == 1
        ticker = self._library.last_ticker().contents
        return {
            "symbol": ticker.symbol.decode(),
            "remaining_ms": ticker.rt,
            "ts_ms": ticker.ts,
            **dict(zip(TICKER, ticker.number, strict=True)),
        }

    def read_chains(self) -> int:
        return self._library.read_chains(-1)

    def chain(self, i: int) -> dict[str, object]:
        """The columns of frame i, and the symbols."""
        assert self._library.read_chains(i) == 1
        n = self._library.last_rows()
        numbers = np.array(self._library.last_numbers().contents)[:, :n]
        return {
            "symbols": [self._library.last_symbol(row).decode() for row in range(n)],
            "ts_ms": np.array(self._library.last_times().contents)[:n],
            **dict(zip(CHAIN, numbers, strict=True)),
        }


def build(directory: Path) -> OnDemand:
    """Compiles it there, or skips the test where a compiler or simdjson is not installed."""
    compiler = shutil.which("c++")
    if not compiler:
        pytest.skip("needs a C++ compiler")
    header = [compiler, "-xc++", "-fsyntax-only", "-include", "simdjson.h", "/dev/null"]
    if subprocess.run(header, capture_output=True, check=False).returncode:
        pytest.skip("needs simdjson's header (libsimdjson-dev)")
    made = directory / "on_demand.so"
    subprocess.run([compiler, *FLAGS, SOURCE, "-o", made, "-lsimdjson"], check=True)
    return OnDemand(CDLL(str(made)))

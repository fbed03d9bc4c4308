"""on_demand.cpp, compiled for this processor and called through ctypes."""

import shutil
import subprocess
from collections.abc import Sequence
from ctypes import CDLL, POINTER, Structure, c_char_p, c_int, c_int64, c_size_t
from pathlib import Path

import pytest

SOURCE = Path(__file__).with_name("on_demand.cpp")
FLAGS = ["-std=c++17", "-O3", "-march=native", "-fPIC", "-shared"]

Side = list[tuple[int, int]]


class _Side(Structure):
    _fields_ = (("n", c_int), ("price", c_int64 * 100), ("size", c_int64 * 100))

    def levels(self) -> Side:
        return list(zip(self.price, self.size, strict=True))[: self.n]


class _Book(Structure):
    _fields_ = (("ts", c_int64), ("bids", _Side), ("asks", _Side))


class OnDemand:
    def __init__(self, library: CDLL) -> None:
        library.hold_frame.argtypes = [c_char_p, c_size_t]
        library.last_book.restype = POINTER(_Book)
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

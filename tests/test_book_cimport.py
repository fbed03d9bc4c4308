"""The C view of a book: another package cimports it, and is told what Python is told.

And where the core may be loaded: by one interpreter of a process, under the GIL.
"""

import importlib.util
import os
import re
import subprocess
import sys
import sysconfig
from decimal import Decimal
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from coincall_fast import OrderBook, _book
from small_book import E8, cleared, loaded, same
from strategies import TIME, book_frame, levels

LARGEST = Decimal(2**63 - 1) / E8
FULL = [(Decimal(n) / 1000, Decimal(n + 1) / E8) for n in range(1, 101)]
NAMES = """
    best_bid best_bid_size best_ask best_ask_size microprice best_bid_e8 best_ask_e8
    bid_count ask_count update_count
""".split()


def applied_twice() -> OrderBook:
    book = OrderBook()
    book.apply(book_frame(levels(*((str(n), "1") for n in range(1, 50)))))
    book.apply(book_frame(ts=str(TIME + 1)))
    return book


BOOKS = {
    "new": OrderBook,
    "cleared": cleared,
    "applied twice": applied_twice,
    "both sides": loaded,
    "no bids": lambda: loaded(bids=[]),
    "no asks": lambda: loaded(asks=[]),
    "no levels": lambda: loaded([], []),
    "crossed": lambda: loaded([("101", "1")], [("100", "3")]),
    "full": lambda: loaded(FULL, FULL),
    "least": lambda: loaded([("1e-8", "1e-8")], [("2e-8", "1e-8")]),
    "largest": lambda: loaded([(LARGEST, LARGEST)], [(LARGEST, LARGEST)]),
}


def no_price(value: Any, reader: ModuleType) -> Any:
    return reader.NO_PRICE if value is None else value


@pytest.mark.parametrize("make", BOOKS.values(), ids=BOOKS.keys())
def test_it_says_in_c_what_it_says_in_python(make: Any, reader: ModuleType) -> None:
    book = make()
    said = reader.said(book)
    assert said.pop("snapshot") == book.snapshot().tolist()
    assert set(said) == set(NAMES)
    for name in NAMES:
        assert same(said[name], no_price(getattr(book, name), reader)), name


def test_what_is_said_of_a_book_known_by_heart(reader: ModuleType) -> None:
    said = reader.said(loaded([("99", "2"), ("98", "3")], [("101", "6")]))
    bid, bid_size, ask, ask_size = (row[:3] for row in said.pop("snapshot"))
    assert (bid, bid_size) == ([99 * E8, 98 * E8, 0], [2 * E8, 3 * E8, 0])
    assert (ask, ask_size) == ([101 * E8, 0, 0], [6 * E8, 0, 0])
    assert said == {
        "best_bid": 99.0,
        "best_bid_size": 2.0,
        "best_ask": 101.0,
        "best_ask_size": 6.0,
        "microprice": 99.5,
        "best_bid_e8": 99 * E8,
        "best_ask_e8": 101 * E8,
        "bid_count": 2,
        "ask_count": 1,
        "update_count": 1,
    }


def test_an_empty_side_has_no_price(reader: ModuleType) -> None:
    """`NO_PRICE` is none that a level can have: those are 1 to 2**63-1."""
    assert reader.NO_PRICE <= 0
    said = reader.said(loaded(bids=[]))
    assert (said["best_bid_e8"], said["bid_count"]) == (reader.NO_PRICE, 0)
    assert same((said["best_bid"], said["best_bid_size"]), (float("nan"), 0.0))
    assert same((said["microprice"], said["best_ask"]), (float("nan"), 101.0))
    assert reader.said(loaded(asks=[]))["best_ask_e8"] == reader.NO_PRICE


def test_as_many_levels_as_the_snapshot_has(reader: ModuleType) -> None:
    assert OrderBook().snapshot().shape == (4, reader.KEPT)


def test_the_declarations_ship_with_what_they_declare() -> None:
    """Whoever cimports looks for them where Python finds the package."""
    package = importlib.util.find_spec("coincall_fast")
    assert package is not None
    assert package.origin is not None
    declarations = Path(package.origin).with_name("_book.pxd").read_text(encoding="utf-8")
    assert re.findall(r"c_\w+(?=\(self)", declarations)


# Interpreters --------------------------------------------------------------------------------

# Makes the module as an import would, up to where its own code would begin to run: that imports
# numpy, which refuses some of the same interpreters.
MAKE = f"""
from importlib.machinery import ExtensionFileLoader
from importlib.util import module_from_spec, spec_from_file_location
name, file = {_book.__name__!r}, {_book.__file__!r}
try:
    spec = spec_from_file_location(name, file, loader=ExtensionFileLoader(name, file))
    print("made", module_from_spec(spec).__name__, flush=True)
except ImportError as error:
    print("refused:", error, flush=True)
"""

IN_TWO_INTERPRETERS = f"""
import sys
try:
    from _interpreters import create, run_string
except ImportError:  # before Python 3.13
    import _xxsubinterpreters
    from _xxsubinterpreters import run_string
    create = lambda kind: _xxsubinterpreters.create(isolated=kind == "isolated")
make = {MAKE!r}
exec(make)
run_string(create(sys.argv[1]), make)
"""


def run(code: str, *argv: str) -> list[str]:
    """The lines that it prints, in a process of its own."""
    environ = {name: value for name, value in os.environ.items() if name != "PYTHON_GIL"}
    command = [sys.executable, "-c", code, *argv]
    done = subprocess.run(
        command, check=False, env=environ, capture_output=True, encoding="utf-8", timeout=50
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.mark.skipif(
    not any(map(importlib.util.find_spec, ("_interpreters", "_xxsubinterpreters"))),
    reason="this Python has one interpreter",
)
@pytest.mark.parametrize("kind", ["isolated", "legacy"])  # from 3.12: with a GIL of its own, or not
def test_a_second_interpreter_is_refused(kind: str) -> None:
    """Types and layouts of the core are those of one interpreter: it is an error, not a crash."""
    first, second = run(IN_TWO_INTERPRETERS, kind)
    assert first == f"made {_book.__name__}"
    assert re.match("refused: .*interpreter", second)


@pytest.mark.skipif(
    not sysconfig.get_config_var("Py_GIL_DISABLED"), reason="this Python always has its GIL"
)
def test_without_a_gil_it_asks_for_one() -> None:
    """Nothing but the GIL keeps two writers apart, so the core must not say that it needs none."""
    off, _, on = run(
        f"import sys\nis_on = sys._is_gil_enabled\nprint(is_on())\n{MAKE}\nprint(is_on())"
    )
    assert (off, on) == ("False", "True")

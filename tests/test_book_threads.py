"""One thread writes a book and others read it, with the GIL and without: proven by value.

A read is torn if it is the book of no generation (see `generations`), or of one that was not there
while it was read. Run with COINCALL_FAST_LONG=1 after any change of how a book is shared.
"""

import math
import os
import sys
import threading
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
import pytest

from generations import CLEARED_AFTER, CYCLE, KEPT, State, Writer
from small_book import E8
from strategies import LONG, TIME

READERS = 4
# Of all readers together.
READS = 100_000_000 if LONG else 12_000_000
READS_OF_TOP = 100_000_000 if LONG else 6_000_000
# Of each reader with the GIL: how often it sees that time has gone on, and its reads at most.
CHANGES = 500 if LONG else 20
ROUNDS = 1_000 * CHANGES

FLOATS = "best_bid best_bid_size best_ask best_ask_size microprice".split()
INTS = "best_bid_e8 best_ask_e8".split()
ONE_BY_ONE = [*FLOATS, *INTS, *"bbo mid bid_count ask_count".split()]


class Seen(NamedTuple):
    reads: int
    torn: int
    fell: int  # times that the update count was less than before
    generations: int  # times that it was another


@pytest.fixture(params=["one core", "all cores"])
def cores(request: pytest.FixtureRequest) -> Iterator[None]:
    """On one core a thread is stopped wherever it is, in the midst of a copy too."""
    if not hasattr(os, "sched_setaffinity"):
        if request.param == "one core":
            pytest.skip("a thread cannot choose its core here")
        yield
        return
    allowed = os.sched_getaffinity(0)
    if request.param == "all cores" and len(allowed) == 1:
        pytest.skip("there is one core")
    os.sched_setaffinity(0, allowed if request.param == "all cores" else {min(allowed)})
    yield  # the threads that this one starts stay where it is
    os.sched_setaffinity(0, allowed)


@pytest.fixture(scope="module")
def writer() -> Writer:
    return Writer()


def read_and_written(writer: Writer, read: Callable[[], tuple[int, ...]]) -> tuple[list[Seen], int]:
    """What readers in threads of their own see, and how much is published in this one meanwhile."""
    seen: list[Seen] = []
    start = writer.generation
    # Daemons: a reader that never comes back fails its test and keeps nothing else from ending.
    threads = [
        threading.Thread(target=lambda: seen.append(Seen(*read())), daemon=True)
        for _ in range(READERS)
    ]
    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            writer.publish(1)
    finally:
        sys.setswitchinterval(usual)
    assert len(seen) == READERS
    return seen, writer.generation - start


# With the GIL --------------------------------------------------------------------------------


def alike(value: Any, wanted: Any) -> bool:
    if isinstance(wanted, tuple):
        return len(value) == len(wanted) and all(map(alike, value, wanted))
    if isinstance(wanted, float):  # an average is rounded
        return math.isclose(value, wanted, rel_tol=1e-12) or (value != value and wanted != wanted)
    return bool(value == wanted)


def read_with_the_gil(writer: Writer, out: Any, before: int) -> tuple[int, bool]:
    """The update count after one read of each member, and whether one of them is torn."""
    book = writer.book
    snapshot = book.snapshot(out).tobytes()
    depth = book.depth()
    values = {name: getattr(book, name) for name in ONE_BY_ONE}
    after = book.update_count

    def is_of(state: State, time: int) -> bool:
        arrays = (depth.bids.tobytes(), depth.asks.tobytes())
        return arrays == state.depth and depth.ts_ms == (time if state.has_time else 0)

    g = depth.update_count
    was = [state for g in range(before, after + 1)[-CYCLE:] for state in writer.states[g % CYCLE]]
    return after, not (
        before <= g <= after
        and any(is_of(state, TIME + g) for state in writer.states[g % CYCLE])
        and any(snapshot == state.snapshot for state in was)
        and all(
            any(alike(value, getattr(state, name)) for state in was)
            for name, value in values.items()
        )
    )


def rounds_with_the_gil(writer: Writer, most: int) -> Seen:
    out = np.empty((4, KEPT), np.int64)
    reads = torn = fell = generations = 0
    before = writer.book.update_count
    while reads < most and generations < CHANGES:
        after, is_torn = read_with_the_gil(writer, out, before)
        reads += 1
        torn += is_torn
        fell += after < before
        generations += after != before
        before = after
    return Seen(reads, torn, fell, generations)


@pytest.mark.usefixtures("cores")
def test_readers_with_the_gil(writer: Writer) -> None:
    seen, published = read_and_written(writer, lambda: rounds_with_the_gil(writer, ROUNDS))
    assert [(reader.torn, reader.fell) for reader in seen] == [(0, 0)] * READERS, seen
    assert min(reader.generations for reader in seen) == CHANGES, (seen, published)
    assert writer.book.update_count == writer.generation


# Without the GIL -----------------------------------------------------------------------------


def levels_in_c(writer: Writer) -> bytes:
    """What copies must be, in the layout of the reader's `struct Levels`."""
    layout = np.dtype([("rows", np.int64, (4, KEPT)), ("n", np.intc, (2,))], align=True)
    states = [state for both in writer.states for state in both]
    rows = [(state.rows, (state.bid_count, state.ask_count)) for state in states]
    return np.array(rows, layout).tobytes()


def top_in_c(writer: Writer, no_price: int) -> bytes:
    """What single values must be, in the layout of the reader's `struct Top`."""
    layout = np.dtype([("floats", np.float64, len(FLOATS)), ("ints", np.int64, len(INTS))])
    rows = []
    for state in (state for both in writer.states for state in both):
        prices = [getattr(state, name) for name in INTS]
        floats = [getattr(state, name) for name in FLOATS]
        rows.append((floats, [no_price if price is None else price for price in prices]))
    return np.array(rows, layout).tobytes()


Read = Callable[[Writer, int], tuple[int, int, int, int]]


@pytest.fixture(scope="module")
def reads(writer: Writer, reader: ModuleType) -> dict[str, Read]:
    levels, top = levels_in_c(writer), top_in_c(writer, reader.NO_PRICE)
    return {
        "levels": lambda writer, n: reader.read_levels(writer.book, levels, n),
        "top": lambda writer, n: reader.read_top(writer.book, top, n),
    }


@pytest.mark.usefixtures("cores")
@pytest.mark.parametrize(("what", "n"), [("levels", READS), ("top", READS_OF_TOP)])
def test_readers_without_the_gil(writer: Writer, reads: dict[str, Read], what: str, n: int) -> None:
    """They end by themselves; had the writer waited for them, it would have published nothing."""
    seen, published = read_and_written(writer, lambda: reads[what](writer, n // READERS))
    assert [(reader.torn, reader.fell) for reader in seen] == [(0, 0)] * READERS, (seen, published)
    assert min(reader.generations for reader in seen) >= 3, (seen, published)
    assert sum(reader.generations for reader in seen) >= 40, (seen, published)
    assert published >= 1_000
    assert writer.book.update_count == writer.generation


# Of the readers ------------------------------------------------------------------------------


def test_alone_each_generation_is_what_was_published(
    writer: Writer, reads: dict[str, Read]
) -> None:
    out = np.empty((4, KEPT), np.int64)
    for _ in range(2 * CYCLE):
        writer.publish(1)
        assert writer.book.update_count == writer.generation
        assert reads["levels"](writer, 2)[:3] == (2, 0, 0)
        assert reads["top"](writer, 2)[:3] == (2, 0, 0)
        assert read_with_the_gil(writer, out, writer.generation) == (writer.generation, False)


def test_a_mixture_is_torn(reads: dict[str, Read]) -> None:
    """Books of which one side, the bids and the asks in turn, is that of a generation before."""
    mixed, out = Writer(), np.empty((4, KEPT), np.int64)
    mixtures = 0
    for k in range(CYCLE):
        now, before = mixed.cycle[k], mixed.cycle[k - 1]
        bids, asks = (before.bids, now.asks) if k % 2 else (now.bids, before.asks)
        while mixed.generation % CYCLE != (k - 1) % CYCLE:
            mixed.publish(1)
        in_units = [[(p // E8, s // E8) for p, s in side] for side in (bids, asks)]
        mixed.book.load(in_units[0], in_units[1], TIME + mixed.generation + 1)
        mixed.generation += 1
        if (bids, asks) == (now.bids, now.asks):
            continue  # they differ in the other side only
        if now.place in CLEARED_AFTER and not (bids and asks):
            continue  # the best price of an empty side is right for as long as it is cleared
        mixtures += 1
        assert reads["levels"](mixed, 1)[1] == 1
        assert reads["top"](mixed, 1)[1] == 1
        assert read_with_the_gil(mixed, out, mixed.generation) == (mixed.generation, True)
    assert mixtures > CYCLE / 2

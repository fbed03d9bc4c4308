"""What it costs to find the book: `BookStore.feed` beside `OrderBook.apply` of the right book.

A sample is one pass over all frames, in turn one of each symbol; the tables are per frame.
"""

import pytest
from frames import COUNT, frames

from coincall_fast import BookStore, OrderBook

pytestmark = pytest.mark.benchmark(max_time=0.5)

SYMBOLS = (1, 50)
EACH = 16  # frames of each of many symbols


# Of the module, so that pytest runs all the tests of one row before those of the next.
@pytest.fixture(
    params=[
        (kind, levels, symbols)
        for levels in (100, 20)
        for kind in ("steady", "successive")
        for symbols in SYMBOLS
    ],
    ids=lambda row: f"{row[1]}x{row[1]}-{row[0]}-{row[2]}",
    scope="module",
)
def row(request):
    return request.param


def round_robin(row):
    """All frames in the order in which they come, each with the number of its symbol."""
    kind, levels, symbols = row
    if symbols == 1:
        return [(0, frame) for frame in frames(kind, levels)]
    names = [f"BTCUSD-25DEC26-{1_000 * (50 + i)}-C" for i in range(symbols)]
    histories = [frames(kind, levels, name, EACH) for name in names]
    return [(i, history[moment]) for moment in range(EACH) for i, history in enumerate(histories)]


def timed(benchmark, row, contender, all_frames, calls):
    kind, levels, symbols = row
    benchmark.group = f"{levels} levels a side, {kind}, {symbols} symbols in turn"
    benchmark.extra_info.update(contender=contender, calls=calls)
    benchmark(all_frames)


def start_over(books):
    for book in books:
        book.clear()


def test_apply(benchmark, row):
    books = [OrderBook() for _ in range(row[2])]
    wire = [(books[i].apply, frame) for i, frame in round_robin(row)]

    def all_frames():
        start_over(books)
        for apply, frame in wire:
            apply(frame)

    timed(benchmark, row, "OrderBook.apply", all_frames, len(wire))
    assert not any(book.stats.stale or book.stats.rejected for book in books)


def test_feed(benchmark, row):
    store = BookStore()
    wire = [(store.feed, frame) for _, frame in round_robin(row)]

    def all_frames():
        start_over(books)
        for feed, frame in wire:
            feed(frame)

    books = [store.feed(frame) for _, frame in wire[: row[2]]]
    timed(benchmark, row, "BookStore.feed", all_frames, len(wire))
    assert len(store) == row[2]
    assert len(wire) == (COUNT if row[2] == 1 else EACH * row[2])
    assert not any(book.stats.stale or book.stats.rejected for book in books)

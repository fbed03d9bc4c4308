"""A raw frame to a readable book, beside what a user can pick today.

A sample is one pass over 64 frames; the tables at the end are per frame. Each contender first
proves that its levels are those of the book. One of 64 steady frames follows an empty book.
"""

import on_demand
import pytest
from frames import COUNT, KINDS, LEVELS, frames
from peers import PEERS, levels_of

from coincall_fast import BookStore, OrderBook

pytestmark = pytest.mark.benchmark(max_time=0.5)


# Of the module, so that pytest runs all the tests of one row before those of the next.
@pytest.fixture(
    params=[(kind, levels) for levels in LEVELS for kind in KINDS],
    ids=lambda row: f"{row[1]}x{row[1]}-{row[0]}",
    scope="module",
)
def row(request):
    return request.param


@pytest.fixture(scope="module")
def simdjson(tmp_path_factory):
    return on_demand.build(tmp_path_factory.mktemp("on_demand"))


def timed(benchmark, row, contender, all_frames):
    kind, levels = row
    benchmark.group = f"{levels} levels a side, {kind}"
    benchmark.extra_info.update(contender=contender, calls=COUNT)
    return benchmark(all_frames)


def each(row, call, start_over=lambda: None):
    wire = frames(*row)

    def all_frames():
        start_over()
        for frame in wire:
            call(frame)

    return all_frames


def test_order_book(benchmark, row):
    book = OrderBook()
    # Cleared before each pass, or else the frames would be older than the book and not applied.
    timed(benchmark, row, "OrderBook.apply", each(row, book.apply, book.clear))
    assert book.stats.stale == book.stats.rejected == 0


def test_store(benchmark, row):
    store = BookStore()
    book = store.feed(frames(*row)[0])
    timed(benchmark, row, "BookStore.feed", each(row, store.feed, book.clear))
    assert book.stats.stale == book.stats.rejected == 0


@pytest.mark.parametrize("peer", PEERS)
def test_peer(benchmark, row, peer):
    decode = PEERS[peer]()
    book = OrderBook()
    for frame in frames(*row):
        book.apply(frame)
        bids, asks = levels_of(decode(frame))
        depth = book.depth()
        assert [tuple(level) for level in depth.bids.tolist()] == bids
        assert [tuple(level) for level in depth.asks.tolist()] == asks
    timed(benchmark, row, peer, each(row, decode))


def test_peer_simdjson(benchmark, row, simdjson):
    """Timed from outside: one call into C++ for all the frames, which it holds already."""
    wire = frames(*row)
    simdjson.hold(wire)
    book = OrderBook()
    for i, frame in enumerate(wire):
        book.apply(frame)
        bid, bid_size, ask, ask_size = book.snapshot()[:, : book.bid_count].tolist()
        bids, asks = simdjson.levels(i)
        assert list(zip(bid, bid_size, strict=True)) == bids
        assert list(zip(ask, ask_size, strict=True)) == asks
    assert timed(benchmark, row, "simdjson, C++", simdjson.apply_all) == COUNT

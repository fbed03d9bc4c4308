"""A raw frame to a readable book, beside what a user can pick today.

A sample is one pass over 64 frames; the table at the end is per frame. Each contender first proves
that its levels are those of the book.
"""

import pytest
from frames import COUNT, KINDS, frames
from peers import PEERS, levels_of

from coincall_fast import BookStore, OrderBook

LEVELS = (100, 20, 8)


@pytest.fixture(params=LEVELS, ids=lambda levels: f"{levels}x{levels}")
def levels(request):
    return request.param


@pytest.fixture(params=KINDS)
def kind(request):
    return request.param


def timed(benchmark, kind, levels, contender, call, start_over=lambda: None):
    wire = frames(kind, levels)
    benchmark.group = f"{levels} levels a side, {kind}"
    benchmark.extra_info.update(contender=contender, calls=COUNT)

    def all_frames():
        start_over()
        for frame in wire:
            call(frame)

    benchmark(all_frames)


def test_order_book(benchmark, kind, levels):
    book = OrderBook()
    # Cleared before each pass, or else the frames would be older than the book and not applied.
    timed(benchmark, kind, levels, "OrderBook.apply", book.apply, book.clear)
    assert book.stats.stale == book.stats.rejected == 0


def test_store(benchmark, kind, levels):
    store = BookStore()
    book = store.feed(frames(kind, levels)[0])
    timed(benchmark, kind, levels, "BookStore.feed", store.feed, book.clear)
    assert book.stats.stale == book.stats.rejected == 0


@pytest.mark.parametrize("peer", PEERS)
def test_peer(benchmark, kind, levels, peer):
    decode = PEERS[peer]
    book = OrderBook()
    for frame in frames(kind, levels):
        book.apply(frame)
        bids, asks = levels_of(decode(frame))
        depth = book.depth()
        assert [tuple(level) for level in depth.bids.tolist()] == bids
        assert [tuple(level) for level in depth.asks.tolist()] == asks
    timed(benchmark, kind, levels, peer, decode)

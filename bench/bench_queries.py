"""What it costs to ask: a query beside the least that Python can take for the same answer.

A sample is 100 times the same expression, without a loop; the table at the end is per query.
"""

import bare
import numpy as np
import pytest
from frames import frames
from unrolled import TIMES, unrolled

from coincall_fast import OrderBook

pytestmark = pytest.mark.benchmark(max_time=0.5)

QUERIES = {
    "best_bid": "book.best_bid",
    "microprice": "book.microprice",
    "bbo": "book.bbo",
    "depth(10)": "book.depth(10)",
    "imbalance(5)": "book.imbalance(5)",
    "sweep": "book.sweep('buy', 3)",
    "snapshot()": "book.snapshot()",
    "snapshot(out)": "book.snapshot(out)",
}
BARE = {  # what it is beside: the query, and the same of bare.pyx, which only gives what it has
    ("best_bid", "bare @property"): "bare.price",
    ("microprice", "bare @property"): "bare.price",
    ("bbo", "bare method"): "bare.call_four()",
    ("bbo", "bare @property"): "bare.four",
}


@pytest.fixture
def book():
    made = OrderBook()
    made.apply(frames("steady", 100)[0])
    return made


@pytest.fixture(scope="module")
def bare_class(tmp_path_factory):
    return bare.build(tmp_path_factory.mktemp("bare"))


def timed(benchmark, query, contender, expression, **names):
    benchmark.group = f"{query} of a book of 100 levels a side, from Python"
    benchmark.extra_info.update(contender=contender, calls=TIMES)
    benchmark(unrolled(expression, **names))


@pytest.mark.parametrize("query", QUERIES)
def test_query(benchmark, book, query):
    out = np.empty((4, 100), np.int64)
    timed(benchmark, query, "OrderBook", QUERIES[query], book=book, out=out)


@pytest.mark.parametrize(("query", "contender"), BARE)
def test_peer_bare(benchmark, book, bare_class, query, contender):
    answer = eval(QUERIES[query], {"book": book})
    held = bare_class(*(answer if query == "bbo" else (answer, 0, 0, 0)))
    expression = BARE[query, contender]
    assert eval(expression, {"bare": held}) == answer
    timed(benchmark, query, contender, expression, bare=held)


def test_peer_two_lists(benchmark, book):
    depth = book.depth(10)
    bids, asks = two_lists(book)
    assert [tuple(level) for level in depth.bids.tolist()] == bids
    assert [tuple(level) for level in depth.asks.tolist()] == asks
    names = {"two_lists": two_lists, "book": book}
    timed(benchmark, "depth(10)", "two lists of tuples", "two_lists(book)", **names)


def two_lists(book):
    bid, bid_size, ask, ask_size = book.snapshot()[:, :10].tolist()
    return (
        [(price / 1e8, size / 1e8) for price, size in zip(bid, bid_size, strict=True)],
        [(price / 1e8, size / 1e8) for price, size in zip(ask, ask_size, strict=True)],
    )

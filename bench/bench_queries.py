"""What it costs to ask: each query beside the least that a compiled class can take for its kind."""

import numpy as np
import pytest
from frames import frames

from coincall_fast import OrderBook

QUERIES = {
    "best_bid": lambda book: book.best_bid,
    "microprice": lambda book: book.microprice,
    "bbo": lambda book: book.bbo,
    "imbalance(5)": lambda book: book.imbalance(5),
    "sweep": lambda book: book.sweep("buy", 3),
    "depth(10)": lambda book: book.depth(10),
    "snapshot()": lambda book: book.snapshot(),
}


@pytest.fixture
def book():
    made = OrderBook()
    made.apply(frames("steady", 100)[0])
    return made


@pytest.mark.parametrize("query", QUERIES)
def test_query(benchmark, book, query):
    benchmark.group = "one query of a book of 100 levels a side, from Python"
    benchmark.extra_info.update(contender=query, calls=1)
    benchmark(QUERIES[query], book)


def test_snapshot_into_an_array(benchmark, book):
    benchmark.group = "one query of a book of 100 levels a side, from Python"
    benchmark.extra_info.update(contender="snapshot(out)", calls=1)
    out = np.empty((4, 100), np.int64)
    assert benchmark(book.snapshot, out) is out


def test_nothing(benchmark, book):
    """The floor: the lambda and the clock themselves."""
    benchmark.group = "one query of a book of 100 levels a side, from Python"
    benchmark.extra_info.update(contender="(an empty call)", calls=1)
    benchmark(lambda _: None, book)

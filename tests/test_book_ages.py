"""How old each level is: since its price came, and since its size last changed.

The examples are by hand; `Both` compares the ages of every level with the model's in every test
that uses it, and `test_book_near.py` does so over long sequences.
"""

from collections.abc import Callable
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from both import Both
from coincall_fast import BookStore, OrderBook
from coincall_fast.errors import CoincallFastError, UsageError
from coincall_fast.model import Side
from model_book import NOW, observe
from small_book import NO_AGE
from strategies import SYMBOL, TIME, book_frame, examples, levels, seeds

Pairs = list[tuple[Any, Any]]


def apply(book: OrderBook, bids: Pairs, asks: Pairs, recv_ns: int) -> None:
    texts = ([(str(price), str(size)) for price, size in side] for side in (bids, asks))
    book.apply(book_frame(*(levels(*side) for side in texts)), recv_ns)


def load(book: OrderBook, bids: Pairs, asks: Pairs, recv_ns: int) -> None:
    book.load(bids, asks, recv_ns=recv_ns)


def update_each(book: OrderBook, bids: Pairs, asks: Pairs, recv_ns: int) -> None:
    """The same by single levels: what differs is deleted, changed or added."""
    for name, side in ("bid", bids), ("ask", asks):
        depth = book.depth()
        held = dict((depth.bids if name == "bid" else depth.asks).tolist())
        for price in held.keys() - {float(price) for price, _ in side}:
            book.update(name, price, 0, recv_ns=recv_ns)
        for price, size in side:
            if held.get(float(price)) != float(size):
                book.update(name, price, size, recv_ns=recv_ns)


every_way = pytest.mark.parametrize("put", [apply, load, update_each])
Put = Callable[[OrderBook, Pairs, Pairs, int], None]


def ages(book: OrderBook, side: str, now_ns: int) -> list[tuple[int, int]]:
    """Of each level from the best: since its price came, and since its size changed."""
    count = book.bid_count if side == "bid" else book.ask_count
    return [
        (book.level_age_ns(side, i, now_ns), book.changed_ns(side, i, now_ns)) for i in range(count)
    ]


# What makes a level older or new -------------------------------------------------------------


@every_way
def test_a_level_that_stays(put: Put) -> None:
    book = OrderBook()
    put(book, [(9, 1), (8, 1)], [(11, 1)], 100)
    assert ages(book, "bid", 100) == [(0, 0), (0, 0)]
    put(book, [(9, 1), (8, 1)], [(11, 1)], 200)
    assert ages(book, "bid", 205) == [(105, 105), (105, 105)]
    assert ages(book, "ask", 305) == [(205, 205)]


@every_way
def test_a_size_that_changes(put: Put) -> None:
    book = OrderBook()
    put(book, [(9, 1), (8, 1)], [(9, 1), (12, 1)], 100)
    put(book, [(9, 1), (8, 2)], [(9, 3), (12, 1)], 200)
    assert ages(book, "bid", 250) == [(150, 150), (150, 50)]
    assert ages(book, "ask", 250) == [(150, 50), (150, 150)]
    put(book, [(9, 1), (8, 1)], [(9, 3), (12, 1)], 300)
    assert ages(book, "bid", 350) == [(250, 250), (250, 50)]  # what it was before does not count
    assert ages(book, "ask", 350) == [(250, 150), (250, 250)]


@every_way
def test_a_price_keeps_its_age_wherever_it_stands(put: Put) -> None:
    """Up the book as better ones go, and down as better ones come."""
    book = OrderBook()
    put(book, [(9, 1), (8, 1), (7, 1)], [], 100)
    put(book, [(8, 1), (7, 1)], [], 200)
    assert ages(book, "bid", 300) == [(200, 200), (200, 200)]
    put(book, [(7, 1)], [], 210)
    assert ages(book, "bid", 300) == [(200, 200)]
    put(book, [(9, 1), (8.5, 1), (8, 1), (7, 2)], [], 220)
    assert ages(book, "bid", 300) == [(80, 80), (80, 80), (80, 80), (200, 80)]
    put(book, [(9.5, 4), (9, 1), (8.5, 1), (8, 2), (7, 2), (6, 1)], [], 230)
    assert ages(book, "bid", 300) == [
        *[(70, 70), (80, 80), (80, 80), (80, 70), (200, 80), (70, 70)]
    ]


@every_way
def test_a_price_that_comes_back_is_new(put: Put) -> None:
    book = OrderBook()
    put(book, [(9, 1), (8, 1)], [(11, 1), (12, 1)], 100)
    put(book, [(9, 1)], [(12, 1)], 200)
    put(book, [(9, 1), (8, 1)], [(11, 1), (12, 1)], 300)
    assert ages(book, "bid", 400) == [(300, 300), (100, 100)]
    assert ages(book, "ask", 400) == [(100, 100), (300, 300)]


@every_way
def test_the_sides_do_not_share_their_prices(put: Put) -> None:
    book = OrderBook()
    put(book, [(9, 1)], [(10, 1)], 100)
    put(book, [(10, 1), (9, 1)], [], 200)
    put(book, [(10, 1)], [(9, 1)], 300)
    assert ages(book, "bid", 400) == [(200, 200)]
    assert ages(book, "ask", 400) == [(100, 100)]


def ladder(first: int, count: int) -> Pairs:
    return [(price, 1) for price in range(first, first + count)]


@pytest.mark.parametrize("put", [apply, load])
def test_a_price_that_is_pushed_out_is_forgotten(put: Put) -> None:
    """It was sent all the time, but it was not among the 100 that are kept."""
    book = OrderBook()
    put(book, [], ladder(1000, 102), 100)
    assert ages(book, "ask", 150) == [(50, 50)] * 100
    put(book, [], ladder(998, 104), 200)
    assert ages(book, "ask", 250) == [(50, 50)] * 2 + [(150, 150)] * 98
    put(book, [], ladder(1000, 102), 300)
    assert ages(book, "ask", 350) == [(250, 250)] * 98 + [(50, 50)] * 2


def test_a_price_that_an_update_pushes_out_is_forgotten() -> None:
    book = OrderBook()
    book.load([], ladder(1000, 100), recv_ns=100)
    book.update("ask", 999, 1, recv_ns=200)
    book.update("ask", 999, 0, recv_ns=300)
    assert book.ask_count == 99
    book.update("ask", 1099, 1, recv_ns=400)
    assert ages(book, "ask", 500) == [(400, 400)] * 99 + [(100, 100)]


def test_an_update_that_is_not_kept_has_no_age() -> None:
    book = OrderBook()
    book.load([], ladder(1000, 100), recv_ns=100)
    book.update("ask", 1100, 1, recv_ns=200)
    book.update("ask", 1000, 0, recv_ns=300)
    book.update("ask", 1100, 1, recv_ns=400)
    assert ages(book, "ask", 500) == [(400, 400)] * 99 + [(100, 100)]


@every_way
def test_after_clear_everything_is_new(put: Put) -> None:
    book = OrderBook()
    put(book, [(9, 1), (8, 1)], [(11, 1)], 100)
    book.clear()
    put(book, [(9, 1), (8, 1)], [(11, 1)], 200)
    assert ages(book, "bid", 250) == [(50, 50), (50, 50)]
    assert ages(book, "ask", 250) == [(50, 50)]


def test_the_same_price_in_another_spelling() -> None:
    book = OrderBook()
    book.apply(book_frame(levels(("10", "1.5")), "[]"), 100)
    book.apply(book_frame('[{"v":15e-1,"pr":" 1E1"}]', "[]"), 200)
    book.load([(10.0, "1.50")], [], recv_ns=300)
    book.update("bid", "10.00", 1.5, recv_ns=400)
    assert ages(book, "bid", 500) == [(400, 400)]


def test_frames_and_loads_out_of_order() -> None:
    """Levels are found by price, however a side is sorted on the wire."""
    book = OrderBook()
    apply(book, [(9, 1), (8, 1), (7, 1)], [], 100)
    apply(book, [(7, 1), (9, 1), (8, 2)], [], 200)
    load(book, [(8, 2), (6, 1), (9, 1)], [], 300)
    assert ages(book, "bid", 400) == [(300, 300), (300, 200), (100, 100)]


def test_what_is_not_applied_does_not_count() -> None:
    book = OrderBook()
    book.apply(book_frame(), 100)
    size_of_the_best = book_frame(levels(("99.5", "7"), ("99", "1")), ts="1")
    for frame in size_of_the_best, size_of_the_best + b"x", book_frame("[]", s='"ETHUSD"'):
        try:
            book.apply(frame, 200)
        except CoincallFastError:
            continue
        assert book.stats.stale == 1
    with pytest.raises(CoincallFastError):
        book.load([("99.5", 7), ("x", 1)], [], recv_ns=200)
    with pytest.raises(CoincallFastError):
        book.update("bid", "99.5", -1, recv_ns=200)
    book.update("bid", "98", 0, recv_ns=200)  # is not there
    assert ages(book, "bid", 300) == [(200, 200)] * 2
    assert ages(book, "ask", 300) == [(200, 200)] * 2


def test_ages_in_a_store() -> None:
    store = BookStore()
    for recv_ns, symbol in enumerate((SYMBOL, "ETHUSD", SYMBOL, "ETHUSD"), 1):
        store.feed(book_frame(levels(("9", str(recv_ns))), "[]", s=f'"{symbol}"'), recv_ns * 100)
    assert ages(store[SYMBOL], "bid", 500) == [(400, 200)]
    assert ages(store["ETHUSD"], "bid", 500) == [(300, 100)]


# Times that were not given -------------------------------------------------------------------


@every_way
def test_a_level_that_came_without_a_time_is_never_fresh(put: Put) -> None:
    book = OrderBook()
    put(book, [(9, 1)], [], 0)
    assert ages(book, "bid", 10) == ages(book, "bid", 0) == [(NO_AGE, NO_AGE)]
    put(book, [(9, 1), (8, 1)], [], 100)
    assert ages(book, "bid", 150) == [(NO_AGE, NO_AGE), (50, 50)]
    put(book, [(9, 2), (8, 1)], [], 200)
    assert ages(book, "bid", 250) == [(NO_AGE, 50), (150, 150)]


@every_way
def test_a_later_frame_without_a_time(put: Put) -> None:
    """It makes of unknown age what it brings, and leaves alone what was there."""
    book = OrderBook()
    put(book, [(9, 1), (8, 1)], [], 100)
    put(book, [(9, 1), (8, 2), (7, 1)], [], 0)
    assert book.recv_ns == 0
    assert ages(book, "bid", 150) == [(50, 50), (50, NO_AGE), (NO_AGE, NO_AGE)]
    put(book, [(9, 1), (8, 3), (7, 1)], [], 200)
    assert ages(book, "bid", 250) == [(150, 150), (150, 50), (NO_AGE, NO_AGE)]


def test_times_as_large_as_they_come() -> None:
    book = OrderBook()
    book.load([(9, 1)], [], recv_ns=2**63 - 1000)
    assert ages(book, "bid", 2**63 - 1) == [(999, 999)]


# The question itself -------------------------------------------------------------------------

QUERIES = "level_age_ns", "changed_ns"


@pytest.mark.parametrize("query", QUERIES)
@pytest.mark.parametrize(
    "side", ["buy", "sell", "bids", "asks", "Bid", "BID", "", " bid", Side.BUY, Side.SELL], ids=repr
)
def test_sides_that_no_book_has(book: OrderBook, query: str, side: Any) -> None:
    with pytest.raises(UsageError):
        getattr(book, query)(side, 0, NOW)


@pytest.mark.parametrize("query", QUERIES)
@pytest.mark.parametrize(
    "index",
    [3, 4, 99, 100, 101, 10**6, 2**31, 2**32, 2**32 + 1, 2**63 - 1, 10**30, -1, -3, -(2**32)],
)
def test_levels_that_are_not_there(book: OrderBook, query: str, index: int) -> None:
    for side in "bid", "ask":
        with pytest.raises(IndexError):
            getattr(book, query)(side, index, NOW)


@pytest.mark.parametrize("query", QUERIES)
def test_each_side_has_its_own_last_level(query: str) -> None:
    book = OrderBook()
    for make in lambda: None, book.clear:
        make()
        for side in "bid", "ask":
            with pytest.raises(IndexError):
                getattr(book, query)(side, 0, NOW)
        book.load(ladder(1, 1), ladder(2, 2), recv_ns=5)
        assert getattr(book, query)("ask", 1, 7) == getattr(book, query)("bid", 0, 7) == 2
        with pytest.raises(IndexError):
            getattr(book, query)("bid", 1, NOW)


@pytest.mark.parametrize("query", QUERIES)
def test_asking_changes_nothing_and_takes_keywords(book: OrderBook, query: str) -> None:
    before = observe(book)
    value = getattr(book, query)(side="bid", index=2, now_ns=NOW)
    assert value == getattr(book, query)("bid", 2, NOW)
    assert type(value) is int
    for wrong in ("buy", 0), ("bid", 3):
        with pytest.raises((UsageError, IndexError)):
            getattr(book, query)(*wrong, NOW)
    assert observe(book) == before


# At random -----------------------------------------------------------------------------------


@examples(200, 10_000)
@given(st.lists(st.tuples(st.sampled_from((apply, load, update_each)), seeds), max_size=6))
def test_a_crowded_grid(steps: list[tuple[Put, int]]) -> None:
    """So few prices and sizes that levels come, go, come back and move at every step."""
    both = Both()
    for number, (put, seed) in enumerate(steps, 1):
        random = Random(seed)
        width = random.choice((3, 10, 100, 140))
        sides: list[Pairs] = [
            [(price, random.randrange(1, 3)) for price in range(1, width) if random.random() < 0.8]
            for _ in "ba"
        ]
        recv_ns = random.choice((0, number, number, number))
        if put is not update_each:
            alike: tuple[Any, Any] = (both.book, both.model)
            for book in alike:
                put(book, sides[0], sides[1], recv_ns)
            both.agreed("put")
            continue
        for name, side in zip(("bid", "ask"), sides, strict=True):
            for price, size in side[:2] + side[-2:]:
                both.update(name, price, size - 1, TIME, recv_ns)

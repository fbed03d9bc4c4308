"""`OrderBook.update`: one level of one side, by its price and its new size."""

from decimal import Decimal
from math import inf, nan
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from both import Both
from coincall_fast import OrderBook
from coincall_fast.errors import DecodeError, StaleError, UsageError
from coincall_fast.model import Side, Stats
from model_book import ALL, ASK, ASK_SIZE, BID, BID_SIZE, DEPTH, LIMIT, observe
from small_book import E8, NO_AGE, cleared, loaded
from strategies import SYMBOL, TIME, book_frame, examples, levels, seeds
from tables import read

# A level anywhere ----------------------------------------------------------------------------

BEFORE: dict[str, list[tuple[float, float]]] = {
    "bid": [(99, 2), (98, 3), (90, 5)],
    "ask": [(101, 6), (102, 1), (110, 0.5)],
}

# side, price, size; the side afterwards; the change bits
UPDATES: dict[str, tuple[str, float, float, list[tuple[float, float]], int]] = {
    "a better bid": ("bid", 100, 7, [(100, 7), (99, 2), (98, 3), (90, 5)], BID | BID_SIZE | DEPTH),
    "a better bid of that size": (
        "bid",
        100,
        2,
        [(100, 2), (99, 2), (98, 3), (90, 5)],
        BID | DEPTH,
    ),
    "a bid between": ("bid", 98.5, 7, [(99, 2), (98.5, 7), (98, 3), (90, 5)], DEPTH),
    "a worst bid": ("bid", 1, 7, [(99, 2), (98, 3), (90, 5), (1, 7)], DEPTH),
    "the best bid's size": ("bid", 99, 7, [(99, 7), (98, 3), (90, 5)], BID_SIZE),
    "the second bid's size": ("bid", 98, 7, [(99, 2), (98, 7), (90, 5)], DEPTH),
    "the last bid's size": ("bid", 90, 7, [(99, 2), (98, 3), (90, 7)], DEPTH),
    "no best bid": ("bid", 99, 0, [(98, 3), (90, 5)], BID | BID_SIZE | DEPTH),
    "no second bid": ("bid", 98, 0, [(99, 2), (90, 5)], DEPTH),
    "no last bid": ("bid", 90, 0, [(99, 2), (98, 3)], DEPTH),
    "a better ask": (
        "ask",
        100,
        7,
        [(100, 7), (101, 6), (102, 1), (110, 0.5)],
        ASK | ASK_SIZE | DEPTH,
    ),
    "a better ask of that size": (
        "ask",
        100,
        6,
        [(100, 6), (101, 6), (102, 1), (110, 0.5)],
        ASK | DEPTH,
    ),
    "an ask between": ("ask", 101.5, 7, [(101, 6), (101.5, 7), (102, 1), (110, 0.5)], DEPTH),
    "a worst ask": ("ask", 200, 7, [(101, 6), (102, 1), (110, 0.5), (200, 7)], DEPTH),
    "the best ask's size": ("ask", 101, 7, [(101, 7), (102, 1), (110, 0.5)], ASK_SIZE),
    "the second ask's size": ("ask", 102, 7, [(101, 6), (102, 7), (110, 0.5)], DEPTH),
    "the last ask's size": ("ask", 110, 7, [(101, 6), (102, 1), (110, 7)], DEPTH),
    "no best ask": ("ask", 101, 0, [(102, 1), (110, 0.5)], ASK | ASK_SIZE | DEPTH),
    "no second ask": ("ask", 102, 0, [(101, 6), (110, 0.5)], DEPTH),
    "no last ask": ("ask", 110, 0, [(101, 6), (102, 1)], DEPTH),
    "the same bid": ("bid", 98, 3, BEFORE["bid"], 0),
    "the same ask": ("ask", 101, 6, BEFORE["ask"], 0),
    "a bid at an ask's price": ("bid", 101, 6, [(101, 6), *BEFORE["bid"]], BID | BID_SIZE | DEPTH),
    "an ask below the bids": ("ask", 1, 6, [(1, 6), *BEFORE["ask"]], ASK | DEPTH),
}


@pytest.mark.parametrize(
    ("side", "price", "size", "after", "bits"), UPDATES.values(), ids=UPDATES.keys()
)
def test_one_level(
    side: str, price: float, size: float, after: list[tuple[float, float]], bits: int
) -> None:
    book = loaded(BEFORE["bid"], BEFORE["ask"])
    given = book.update(side, price, size)
    assert given == book.last_change == bits
    assert type(given) is int
    expected = {**BEFORE, side: after}
    assert book.depth().bids.tolist() == [list(level) for level in expected["bid"]]
    assert book.depth().asks.tolist() == [list(level) for level in expected["ask"]]
    assert book.stats == Stats(2, bits == 0, 0, 0, 0, 0, 0, 0)
    assert book.update_count == 2


def test_the_only_level_comes_and_goes() -> None:
    book = OrderBook()
    book.load([], [])
    assert book.update("ask", 5, 1) == ASK | ASK_SIZE
    assert book.bbo[2:] == (5.0, 1.0)
    assert book.update("ask", 5, 0) == ASK | ASK_SIZE
    assert book.best_ask_e8 is None
    assert not book.snapshot().any()


def test_a_book_of_updates_equals_a_loaded_one() -> None:
    """In any order of the levels, up to a full side."""
    bids, asks = [(n, n) for n in range(100, 0, -1)], [(n, n) for n in range(101, 201)]
    whole = loaded(bids, asks)
    random = Random(5)
    for order in bids + asks, asks[::-1] + bids[::-1], random.sample(bids + asks, 200):
        book = OrderBook()
        book.load([], [])
        for price, size in order:
            book.update("bid" if price <= 100 else "ask", price, size)
        assert np.array_equal(book.snapshot(), whole.snapshot())
        assert (book.bid_count, book.ask_count) == (100, 100)
        assert book.stats.truncated == 0


# A full side ---------------------------------------------------------------------------------


def full() -> OrderBook:
    return loaded([(n, 1) for n in range(200, 100, -1)], [(n, 1) for n in range(301, 401)])


@pytest.mark.parametrize(
    ("side", "price", "at", "gone", "bits"),
    [
        ("bid", 201, 0, 101, BID | DEPTH),
        ("bid", 150.5, 50, 101, DEPTH),
        ("bid", 101.5, 99, 101, DEPTH),
        ("ask", 300, 0, 400, ASK | DEPTH),
        ("ask", 350.5, 50, 400, DEPTH),
        ("ask", 399.5, 99, 400, DEPTH),
    ],
)
def test_the_worst_makes_room(side: str, price: float, at: int, gone: int, bits: int) -> None:
    book = full()
    assert book.update(side, price, 1) == bits
    assert (book.bid_count, book.ask_count) == (100, 100)
    row = 0 if side == "bid" else 2
    prices = (book.snapshot()[row] / E8).tolist()
    assert prices[at] == price
    assert gone not in prices
    assert len(set(prices)) == 100
    assert prices == sorted(prices, reverse=side == "bid")
    assert (book.stats.truncated, book.stats.applied, book.stats.unchanged) == (1, 2, 0)


@pytest.mark.parametrize(("side", "price"), [("bid", 100), ("bid", "1e-8"), ("ask", 400.5)])
def test_what_is_worse_than_all_100_is_not_kept(side: str, price: Any) -> None:
    book = full()
    before = book.snapshot()
    assert book.update(side, price, 1, TIME + 1, 7) == 0
    assert book.last_change == 0
    assert np.array_equal(book.snapshot(), before)
    assert (book.stats.truncated, book.stats.absent) == (1, 0)
    assert book.update(side, price, 0) == 0
    assert (book.stats.truncated, book.stats.absent) == (1, 1)


@pytest.mark.parametrize(
    ("side", "price"), [("bid", 101), ("bid", 200), ("ask", 301), ("ask", 400)]
)
def test_a_level_of_a_full_side(side: str, price: int) -> None:
    """Its size changes without a level being one too many, and it makes room when it goes."""
    book = full()
    assert book.update(side, price, 2) != 0
    assert book.update(side, price, 0) != 0
    assert (book.bid_count, book.ask_count) == ((99, 100) if side == "bid" else (100, 99))
    book.update(side, "250.5", 1)
    assert (book.bid_count, book.ask_count) == (100, 100)
    assert book.stats.truncated == 0


# Deletions of what is not there --------------------------------------------------------------


@pytest.mark.parametrize(
    ("side", "price"),
    [("bid", 98.5), ("bid", 100), ("bid", 1), ("bid", 101), ("ask", 99), ("ask", "101.00000001")],
)
def test_an_absent_level_is_counted_and_that_is_all(side: str, price: Any) -> None:
    book = loaded()
    book.apply(book_frame(), 5)
    before = observe(book)
    assert before["last_change"] != 0
    assert book.update(side, price, 0, TIME + 9, 6) == 0
    after = observe(book)
    assert after.pop("stats") == Stats(2, 0, 0, 0, 0, 0, 0, 1)
    assert after.pop("last_change") == 0
    del before["stats"], before["last_change"]
    assert after == before


def test_an_empty_book_has_nothing_to_delete() -> None:
    book = OrderBook()
    for absent in 1, 2:
        assert book.update("bid", 1, 0) == 0
        assert (book.stats.absent, book.stats.applied, book.update_count) == (absent, 0, 0)


# Numbers -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("number", "units"),
    [
        (1, E8),
        (92_233_720_368, 92_233_720_368 * E8),
        (0.1, 10_000_000),
        (1e-8, 1),
        (1e10, 10**18),
        (26444.4, 2_644_440_000_000),
        (np.float64(0.1), 10_000_000),
        (np.int64(7), 7 * E8),
        ("0.1", 10_000_000),
        (" 0.10 ", 10_000_000),
        ("1.05E-4", 10_500),
        (Decimal("0.10"), 10_000_000),
        (Decimal("1E+2"), 100 * E8),
        (Decimal("0.1000000000000000000000000000000000000"), 10_000_000),
        (Decimal("92233720368.54775807"), LIMIT),
    ],
    ids=repr,
)
def test_any_number(number: Any, units: int) -> None:
    book = OrderBook()
    book.update("bid", number, number)
    assert (book.best_bid_e8, book.best_bid_size_e8) == (units, units)
    book.update("bid", Decimal(units).scaleb(-8), "7")  # the same level in other words
    assert (book.best_bid_size_e8, book.bid_count, book.stats.inexact) == (7 * E8, 1, 0)


@pytest.mark.parametrize(
    "zero", [0, 0.0, -0.0, "0", "-0", "0e99", Decimal("0E-30"), Decimal("-0")], ids=repr
)
def test_zero_deletes(book: OrderBook, zero: Any) -> None:
    book.update("bid", 98, zero)
    assert book.depth().bids.tolist() == [[99, 2], [90, 5]]
    with pytest.raises(UsageError):
        book.update("bid", zero, 1)


def test_a_size_is_rounded_down_and_counted(book: OrderBook) -> None:
    book.update("bid", 99, 0.1 + 0.2)
    assert (book.best_bid_size_e8, book.stats.inexact) == (30_000_000, 1)
    book.update("ask", 101, "1e-9")  # which leaves nothing
    assert (book.best_ask, book.stats.inexact) == (102.0, 2)


# Errors --------------------------------------------------------------------------------------

NO_NUMBERS = [-1, -1e-300, nan, inf, 1e11, 10**11, 10**400, "x", "", " ", "+1", "01", ".5", "1."]
NO_NUMBERS += ["0x1", "1 2", "1\t", "1\0", "\ud800", "9" * 400, Decimal("NaN"), Decimal(-1)]
NO_NUMBERS += [Decimal("92233720368.54775808"), Decimal("-Infinity")]
TOO_PRECISE = [1e-9, 0.1 + 0.2, "99.000000001", Decimal("1E-9")]

REFUSED: dict[str, tuple[type[Exception], tuple[Any, Any, Any]]] = {
    **{f"price {n!r:.20}": (DecodeError, ("bid", n, 1)) for n in NO_NUMBERS + TOO_PRECISE},
    **{f"size {n!r:.20}": (DecodeError, ("ask", 1, n)) for n in NO_NUMBERS},
    **{f"size {n!r:.20} of a held level": (DecodeError, ("bid", 98, n)) for n in NO_NUMBERS[:3]},
    **{
        f"{name} {wrong!r}": (
            TypeError,
            ("bid", wrong, 1) if name == "price" else ("bid", 1, wrong),
        )
        for name in ("price", "size")
        for wrong in (None, b"1", True, 1j, [1], (1,))
    },
    **{
        f"side {side!r}": (UsageError, (side, 98, 0))
        for side in ("buy", "sell", "Buy", "bids", "BID", "", "bid ", "ask\0", Side.BUY, Side.SELL)
    },
    "price too long for str()": (DecodeError, ("bid", 10**5000, 1)),
    "size too long for str()": (DecodeError, ("bid", 1, 10**5000)),
    "price 0": (UsageError, ("bid", 0, 1)),
    "price 0, size 0": (UsageError, ("ask", "0.0", 0)),
}


@pytest.mark.parametrize(("error", "args"), REFUSED.values(), ids=REFUSED.keys())
@pytest.mark.parametrize("make", [loaded, cleared])
def test_refused_and_nothing_changed(make: Any, error: type[Exception], args: Any) -> None:
    book = make()
    before = observe(book)
    with pytest.raises(error):
        book.update(*args, TIME + 1, 7)
    after = observe(book)
    counted, had = after.pop("stats"), before.pop("stats")
    assert after == before
    if error is DecodeError:
        assert counted == (*had[:6], had[6] + 1, had[7])


@pytest.mark.parametrize("args", [(), ("bid",), ("bid", 1), ("bid", 1, 1, TIME, 5, 6)], ids=len)
def test_the_wrong_number_of_arguments(book: OrderBook, args: Any) -> None:
    with pytest.raises(TypeError):
        book.update(*args)


def test_keywords(book: OrderBook) -> None:
    assert book.update(side="bid", price=99, size=7, ts_ms=TIME + 1, recv_ns=5) == BID_SIZE
    assert (book.ts_ms, book.recv_ns) == (TIME + 1, 5)


# Time and validity ---------------------------------------------------------------------------


def test_times() -> None:
    book = OrderBook()
    book.apply(book_frame(), 1_000)
    book.update("bid", 50, 1, TIME + 5, 2_000)
    assert (book.ts_ms, book.recv_ns, book.age_ns(2_500)) == (TIME + 5, 2_000, 500)
    book.update("bid", 50, 2, recv_ns=3_000)
    assert (book.ts_ms, book.recv_ns) == (TIME + 5, 3_000)  # no venue time given: it stays
    book.update("bid", 50, 2)
    assert (book.ts_ms, book.recv_ns, book.age_ns(4_000)) == (TIME + 5, 0, NO_AGE)


def test_never_stale() -> None:
    book = OrderBook()
    book.apply(book_frame(), 1_000)
    assert book.update("bid", "99.5", 7, TIME - 5, 2_000) == BID_SIZE
    assert (book.ts_ms, book.best_bid_size, book.stats.stale) == (TIME - 5, 7.0, 0)
    assert book.apply(book_frame(ts=str(TIME - 4))) == BID_SIZE  # the book is as old as it says
    assert book.stats.stale == 0


def test_a_later_time_makes_earlier_frames_stale() -> None:
    book = OrderBook()
    book.apply(book_frame())
    book.update("bid", "99.5", 7, TIME + 5)
    assert book.apply(book_frame(ts=str(TIME + 4))) == 0
    assert (book.best_bid_size, book.stats.stale) == (7.0, 1)


@pytest.mark.parametrize("make", [OrderBook, cleared])
def test_an_update_makes_no_book_valid(make: Any) -> None:
    """It is one level of a book of which nobody knows the others."""
    book = make()
    book.update("bid", 9, 1, TIME, 1_000)
    assert (book.best_bid, book.best_bid_size, book.bid_count) == (9.0, 1.0, 1)
    assert not book.is_valid
    with pytest.raises(StaleError):
        book.check(10**18, 1_001)
    assert book.apply(book_frame(levels(("9", "1")), "[]", ts="1"), 2_000) == ALL
    assert (book.is_valid, book.ts_ms, book.stats.stale) == (True, 1, 0)


@pytest.mark.parametrize("full_replacement", [True, False], ids=["load", "apply"])
def test_a_full_replacement_knows_nothing_of_updates(full_replacement: bool) -> None:
    """The next snapshot is the book, whatever had been put in or taken out."""
    book = OrderBook()
    book.apply(book_frame(levels(("9", "1"), ("8", "1")), levels(("11", "1"))))
    book.update("bid", 8, 0)
    book.update("bid", 7, 5)
    book.update("ask", 11, 3)
    if full_replacement:
        book.load([(9, 1), (8, 1)], [(11, 1)])
    else:
        book.apply(book_frame(levels(("9", "1"), ("8", "1")), levels(("11", "1"))))
    assert read(book) == ([(9 * E8, E8), (8 * E8, E8)], [(11 * E8, E8)])
    assert book.last_change == DEPTH | ASK_SIZE


def test_clear_after_updates(book: OrderBook) -> None:
    book.update("bid", 99.5, 1, TIME + 1, 5)
    book.clear()
    assert (book.bid_count, book.ask_count, book.ts_ms, book.is_valid) == (0, 0, 0, False)
    assert not book.snapshot().any()


def test_the_symbol_is_not_touched() -> None:
    book = OrderBook()
    book.update("bid", 1, 1)
    assert book.symbol is None
    book.apply(book_frame())
    book.update("bid", 1, 1)
    assert book.symbol == SYMBOL


@pytest.mark.parametrize("as_size", [False, True], ids=["price", "size"])
def test_a_number_that_writes_the_book_under_it(book: OrderBook, as_size: bool) -> None:
    """Nobody should; the level goes into the book that it left, and the two are not mixed."""

    class Number:
        def __index__(self) -> int:
            book.load([(50, 1), (49, 1)], [(60, 1)], TIME)
            return 7

    number: Any = Number()
    book.update("bid", 48 if as_size else number, number if as_size else 3)
    expected = [[50, 1], [49, 1], [48, 7] if as_size else [7, 3]]
    assert book.depth().bids.tolist() == expected
    assert book.depth().asks.tolist() == [[60, 1]]
    assert (book.update_count, book.last_change) == (3, DEPTH)


# At random -----------------------------------------------------------------------------------


@examples(150, 10_000)
@given(st.sampled_from((0, 3, 60, 99, 100)), seeds, st.lists(seeds, min_size=1, max_size=40))
def test_any_updates(count: int, opening: int, steps: list[int]) -> None:
    """Of sides that are empty, half full or full; a snapshot or a clear here and there."""
    both = Both()
    random = Random(opening)
    prices = random.sample(range(1, 220), count), random.sample(range(1, 220), count)
    if opening % 5:
        both.load(*([(price, 2) for price in side] for side in prices), TIME, 1)
    for number, seed in enumerate(steps, 2):
        random = Random(seed)
        recv_ns = random.choice((0, number, number, number))
        side = random.choice(("bid", "ask"))
        held = both.model.bids if side == "bid" else both.model.asks
        at = random.choice((0, -1, random.randrange(-len(held), 0) if held else 0))
        price = held[at][0] if held and random.random() < 0.6 else random.randrange(1, 220) * E8
        size = random.choice((0, 0, 1, 2, 3)) * E8
        match random.randrange(30):
            case 0:
                both.clear()
            case 1:
                both.apply(book_frame(ts=str(random.choice((TIME - 1, TIME)))), recv_ns)
            case 2:
                both.load([(p / E8, s / E8) for p, s in held], [], 0, recv_ns)
            case _:
                venue_time = random.choice((0, 0, TIME - 5, TIME, TIME + 5))
                both.update(side, price / E8, size / E8, venue_time, recv_ns)

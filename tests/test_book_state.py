"""What changes a book, and what it says of it: age, `load`, `clear`, change bits, counters."""

import array
import dataclasses
from collections.abc import Callable, Iterator
from decimal import Decimal
from math import inf, nan
from typing import Any

import numpy as np
import pytest

from coincall_fast import OrderBook, change
from coincall_fast.errors import CoincallFastError, DecodeError, StaleError
from coincall_fast.model import Stats
from coincall_fast.wire import COINCALL, Role, Wire
from model_book import ALL, ASK, ASK_SIZE, BID, BID_SIZE, DEPTH, LIMIT, observe
from small_book import ASKS, BIDS, E8, NO_AGE, cleared, loaded
from strategies import SYMBOL, TIME, book_frame, levels

# Times ---------------------------------------------------------------------------------------


def test_age() -> None:
    book = OrderBook()
    book.apply(book_frame(), 1_000)
    assert book.recv_ns == 1_000
    assert book.age_ns(1_000) == 0
    assert book.age_ns(1_234) == 234
    book.apply(book_frame(), recv_ns=10**18)
    assert book.age_ns(10**18 + 1) == 1
    book.load([], [], recv_ns=10**18 + 5)
    assert book.age_ns(10**18 + 7) == 2


@pytest.mark.parametrize("give", ["apply", "load"])
def test_a_time_that_is_not_given_is_no_time(give: str) -> None:
    """The age would otherwise be that of an earlier frame, and the book not what was seen then."""
    book = OrderBook()
    book.apply(book_frame(), 1_000)
    if give == "apply":
        book.apply(book_frame())
    else:
        book.load([], [])
    assert book.recv_ns == 0
    assert book.age_ns(1_001) == NO_AGE


def test_a_frame_that_changes_nothing_makes_the_book_younger() -> None:
    book = OrderBook()
    book.apply(book_frame(), 1_000)
    assert book.apply(book_frame(ts=str(TIME + 1)), 2_000) == 0
    assert (book.recv_ns, book.ts_ms, book.update_count) == (2_000, TIME + 1, 2)


@pytest.mark.parametrize("frame", [book_frame(ts="1"), b"x", book_frame(s='"ETHUSD"')])
def test_a_frame_that_is_not_applied_does_not_make_it_younger(frame: bytes) -> None:
    book = OrderBook()
    book.apply(book_frame(), 1_000)
    try:
        book.apply(frame, 2_000)
    except CoincallFastError:
        assert book.stats.rejected == 1
    else:
        assert book.stats.stale == 1
    assert (book.recv_ns, book.age_ns(3_000)) == (1_000, 2_000)


def test_check_passes() -> None:
    book = OrderBook()
    book.apply(book_frame(), 1_000)
    assert book.check(500, 1_500) is None  # type: ignore[func-returns-value]
    assert book.check(0, 1_000) is None  # type: ignore[func-returns-value]
    assert book.check(max_age_ns=10**18, now_ns=1_001) is None  # type: ignore[func-returns-value]


def aged() -> OrderBook:
    book = OrderBook()
    book.apply(book_frame(), 1_000)
    return book


def of_unknown_age() -> OrderBook:
    book = OrderBook()
    book.apply(book_frame())
    return book


@pytest.mark.parametrize(
    ("make", "now_ns"),
    [(OrderBook, 1_001), (cleared, 6), (aged, 1_501), (of_unknown_age, 1), (of_unknown_age, 0)],
)
def test_check_refuses(make: Callable[[], OrderBook], now_ns: int) -> None:
    with pytest.raises(StaleError):
        make().check(500, now_ns)


# load ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("number", "units"),
    [
        (1, E8),
        (92_233_720_368, 92_233_720_368 * E8),
        (0.1, 10_000_000),
        (1e-05, 1_000),
        (1e-8, 1),
        (1e10, 10**18),
        (26444.4, 2_644_440_000_000),
        (np.float64(0.1), 10_000_000),
        ("0.1", 10_000_000),
        (" 0.10 ", 10_000_000),
        ("1.05E-4", 10_500),
        (Decimal("0.10"), 10_000_000),
        (Decimal("1E-8"), 1),
        (Decimal("1E+2"), 100 * E8),
        (Decimal("0.1000000000000000000000000000000000000"), 10_000_000),
        (Decimal("92233720368.54775807"), LIMIT),
    ],
    ids=repr,
)
def test_load_takes_any_number(number: Any, units: int) -> None:
    book = OrderBook()
    book.load([(number, 1)], [(1, number)])
    assert (book.best_bid_e8, book.best_ask_size_e8) == (units, units)
    assert book.stats.inexact == 0


@pytest.mark.parametrize(
    "zero", [0, 0.0, -0.0, "0", "-0", Decimal("0E-30"), Decimal("-0")], ids=repr
)
def test_load_skips_zero(zero: Any) -> None:
    book = loaded([(zero, 1), (2, 2)], [(3, 3), (4, zero)])
    assert (book.bid_count, book.ask_count) == (1, 1)


def test_load_rounds_a_size_down() -> None:
    book = loaded([(1, 0.1 + 0.2)], [(2, 5e-324), (3, Decimal("1.999999999"))])
    assert (book.best_bid_size_e8, book.best_ask_e8) == (30_000_000, 3 * E8)
    assert book.best_ask_size_e8 == 199_999_999
    assert book.stats.inexact == 3


GOOD = (1, 1)
BAD_NUMBERS = [-1, nan, inf, -inf, 1e11, 10**11, "x", "", " ", "+1", "01", ".5", "1.", "0x1", "NaN"]
BAD_NUMBERS += ["1 2", "1\t", "1\0", "\ud800", Decimal("NaN"), Decimal("Infinity"), Decimal(-1)]
BAD_NUMBERS += [-5e-324, 1e300, "9" * 400, 10**400, Decimal("92233720368.54775808")]
BAD_LEVELS = {
    **{f"price {number!r:.20}": (number, 1) for number in BAD_NUMBERS},
    **{f"size {number!r:.20}": (1, number) for number in BAD_NUMBERS},
    "price too long for str()": (10**5000, 1),
    "size too long for str()": (1, -(10**5000)),
    "size just over what fits": (1, "92233720368.547758071"),
    "price that is not exact": (1e-9, 1),
    "price of a sum of floats": (0.1 + 0.2, 1),
    "the price of the other": (1.0, 2),
}


@pytest.mark.parametrize("level", BAD_LEVELS.values(), ids=BAD_LEVELS.keys())
@pytest.mark.parametrize("side", ["bids", "asks"])
def test_load_refuses(book: OrderBook, level: Any, side: str) -> None:
    before = observe(book)
    sides: dict[str, Any] = {"bids": [], "asks": [], side: [GOOD, level]}
    with pytest.raises(DecodeError):
        book.load(**sides, ts_ms=TIME + 1, recv_ns=1)
    after = observe(book)
    assert after.pop("stats") == (1, 0, 0, 0, 0, 0, 1, 0)
    before.pop("stats")
    assert after == before


class Broken:
    """Iterates over one level, then fails in the caller's own way."""

    def __iter__(self) -> Iterator[tuple[int, int]]:
        yield GOOD
        raise LookupError


WRONG_TYPES = {
    "price None": [(None, 1)],
    "size None": [(1, None)],
    "bytes": [(b"1", 1)],
    "bool": [(True, 1)],
    "complex": [(1j, 1)],
    "a list for a number": [([1], 1)],
    "one number": [(1,)],
    "three numbers": [(1, 1, 1)],
    "no numbers": [()],
    "numbers for levels": [1, 1],
    "None for a level": [None],
    "no iterable": 5,
    "None": None,
}


@pytest.mark.parametrize("wrong", WRONG_TYPES.values(), ids=WRONG_TYPES.keys())
@pytest.mark.parametrize("side", ["bids", "asks"])
def test_load_of_a_wrong_type(book: OrderBook, wrong: Any, side: str) -> None:
    before = observe(book)
    sides: dict[str, Any] = {"bids": [GOOD], "asks": [(2, 2)], side: wrong}
    with pytest.raises(TypeError):
        book.load(**sides)
    after = observe(book)
    after.pop("stats"), before.pop("stats")
    assert after == before


@pytest.mark.parametrize("side", ["bids", "asks"])
def test_an_error_of_the_iterable_is_the_callers(book: OrderBook, side: str) -> None:
    before = observe(book)
    sides: dict[str, Any] = {"bids": [GOOD], "asks": [(2, 2)], side: Broken()}
    with pytest.raises(LookupError):
        book.load(**sides)
    assert observe(book) | {"stats": None} == before | {"stats": None}


@pytest.mark.parametrize("kind", [list, tuple, iter, lambda side: (pair for pair in side)])
@pytest.mark.parametrize("pair", [tuple, list])
def test_load_takes_any_iterables(kind: Any, pair: Any) -> None:
    book = loaded(kind([pair(level) for level in BIDS]), kind([pair(level) for level in ASKS]))
    assert observe(book)["bids"] == observe(loaded())["bids"]
    assert observe(book)["asks"] == observe(loaded())["asks"]


def test_an_iterable_that_changes_the_book_under_it(book: OrderBook) -> None:
    """Nobody should; the outcome is the load all the same, not a mixture."""

    def meddling() -> Iterator[tuple[str, str]]:
        yield "50", "1"
        book.apply(book_frame(levels(("7", "7"), ("6", "6")), levels(("8", "8")), ts=str(TIME)))
        yield "49", "2"
        book.clear()
        yield "48", "3"

    book.load(meddling(), [("51", "1")])
    assert book.depth().bids.tolist() == [[50, 1], [49, 2], [48, 3]]
    assert book.depth().asks.tolist() == [[51, 1]]


def test_load_is_never_stale(book: OrderBook) -> None:
    assert book.load([(1, 1)], [], TIME - 1) != 0
    assert (book.ts_ms, book.best_bid, book.stats.stale) == (TIME - 1, 1.0, 0)


def test_load_without_a_time_leaves_the_time(book: OrderBook) -> None:
    book.load([(1, 1)], [])
    assert (book.ts_ms, book.best_bid) == (TIME, 1.0)
    book.load([(2, 1)], [], ts_ms=0)
    assert (book.ts_ms, book.best_bid) == (TIME, 2.0)
    assert book.apply(book_frame(ts=str(TIME - 1))) == 0
    assert book.stats.stale == 1


def test_load_does_not_bind_a_symbol() -> None:
    book = OrderBook()
    book.load(BIDS, ASKS)
    assert book.symbol is None
    assert book.is_valid
    book.apply(book_frame(s='"ETHUSD"'))
    assert book.symbol == "ETHUSD"


# clear ---------------------------------------------------------------------------------------


def test_clear_keeps_symbol_and_counters() -> None:
    book = OrderBook()
    book.apply(book_frame(), 5)
    with pytest.raises(DecodeError):
        book.apply(b"")
    stats = book.stats
    book.clear()
    assert (book.symbol, book.update_count, book.stats) == (SYMBOL, 1, stats)
    assert (book.ts_ms, book.recv_ns, book.is_valid) == (0, 0, False)
    book.clear()
    assert (book.symbol, book.update_count, book.stats) == (SYMBOL, 1, stats)


@pytest.mark.parametrize("ts", [0, 1, TIME - 1, TIME, TIME + 1])
def test_after_clear_any_time_is_new(ts: int) -> None:
    book = OrderBook()
    book.apply(book_frame())
    book.clear()
    assert book.apply(book_frame(ts=str(ts))) == ALL
    assert (book.ts_ms, book.is_valid, book.stats.stale) == (ts, True, 0)


def test_after_clear_time_starts_again() -> None:
    book = OrderBook()
    book.apply(book_frame())
    book.clear()
    book.apply(book_frame(ts="5"))
    book.apply(book_frame(ts="4"))
    assert (book.ts_ms, book.stats.stale) == (5, 1)


def test_load_after_clear() -> None:
    book = loaded()
    book.clear()
    assert book.load(BIDS, ASKS) == ALL
    assert (book.ts_ms, book.is_valid) == (0, True)


def test_a_refused_frame_leaves_a_cleared_book_cleared() -> None:
    book = cleared()
    before = observe(book)
    with pytest.raises(DecodeError):
        book.apply(book_frame() + b"x")
    assert observe(book) | {"stats": None} == before | {"stats": None}
    assert book.apply(book_frame(ts="1")) == ALL


# Change bits ---------------------------------------------------------------------------------

OLD_BIDS, OLD_ASKS = (("9", "1"), ("8", "1"), ("7", "1")), (("11", "1"), ("12", "1"), ("13", "1"))

CHANGES = {
    "nothing": (OLD_BIDS, OLD_ASKS, 0),
    "best bid's size": ((("9", "2"), *OLD_BIDS[1:]), OLD_ASKS, BID_SIZE),
    "best ask's size": (OLD_BIDS, (("11", "2"), *OLD_ASKS[1:]), ASK_SIZE),
    "best bid's price": ((("9.1", "1"), *OLD_BIDS[1:]), OLD_ASKS, BID),
    "best ask's price": (OLD_BIDS, (("10.9", "1"), *OLD_ASKS[1:]), ASK),
    "best bid": ((("9.1", "2"), *OLD_BIDS[1:]), OLD_ASKS, BID | BID_SIZE),
    "best ask": (OLD_BIDS, (("10.9", "2"), *OLD_ASKS[1:]), ASK | ASK_SIZE),
    "both best": (
        (("9.1", "2"), *OLD_BIDS[1:]),
        (("10.9", "2"), *OLD_ASKS[1:]),
        BID | ASK | BID_SIZE | ASK_SIZE,
    ),
    "second bid's size": ((*OLD_BIDS[:1], ("8", "2"), *OLD_BIDS[2:]), OLD_ASKS, DEPTH),
    "second bid's price": ((*OLD_BIDS[:1], ("8.1", "1"), *OLD_BIDS[2:]), OLD_ASKS, DEPTH),
    "last bid's size": ((*OLD_BIDS[:2], ("7", "2")), OLD_ASKS, DEPTH),
    "last ask's size": (OLD_BIDS, (*OLD_ASKS[:2], ("13", "2")), DEPTH),
    "last ask's price": (OLD_BIDS, (*OLD_ASKS[:2], ("14", "1")), DEPTH),
    "last bid gone": (OLD_BIDS[:2], OLD_ASKS, DEPTH),
    "last ask gone": (OLD_BIDS, OLD_ASKS[:2], DEPTH),
    "one bid more": ((*OLD_BIDS, ("6", "1")), OLD_ASKS, DEPTH),
    "one ask more": (OLD_BIDS, (*OLD_ASKS, ("14", "1")), DEPTH),
    "only the best left": (OLD_BIDS[:1], OLD_ASKS[:1], DEPTH),
    "best bid gone": (OLD_BIDS[1:], OLD_ASKS, BID | DEPTH),
    "new best bid of the same size": ((("9.5", "1"), *OLD_BIDS), OLD_ASKS, BID | DEPTH),
    "new best ask of another size": (
        OLD_BIDS,
        (("10.5", "3"), *OLD_ASKS),
        ASK | ASK_SIZE | DEPTH,
    ),
    "no bids": ((), OLD_ASKS, BID | BID_SIZE | DEPTH),
    "no asks": (OLD_BIDS, (), ASK | ASK_SIZE | DEPTH),
    "nothing left": ((), (), ALL),
    "everything": ((("5", "5"), ("4", "4")), (("6", "6"),), ALL),
}


@pytest.mark.parametrize("way", ["apply", "load"])
@pytest.mark.parametrize(("bids", "asks", "bits"), CHANGES.values(), ids=CHANGES.keys())
def test_change_bits(bids: Any, asks: Any, bits: int, way: str) -> None:
    def give(book: OrderBook, bids: Any, asks: Any) -> int:
        if way == "load":
            return book.load(bids, asks)
        return book.apply(book_frame(levels(*bids), levels(*asks)))

    book = OrderBook()
    assert give(book, OLD_BIDS, OLD_ASKS) == ALL
    given = give(book, bids, asks)
    assert given == bits == book.last_change
    assert type(given) is int
    assert book.stats.unchanged == (bits == 0)
    # The same way back gives the same bits: a difference has no direction.
    assert give(book, OLD_BIDS, OLD_ASKS) == bits


@pytest.mark.parametrize("way", ["apply", "load"])
def test_one_side_appears_alone(way: str) -> None:
    book = OrderBook()
    book.load([], [])
    if way == "load":
        assert book.load([(1, 1)], []) == BID | BID_SIZE
        assert book.load([(1, 1)], [(2, 2)]) == ASK | ASK_SIZE
    else:
        assert book.apply(book_frame(levels(("1", "1")), "[]")) == BID | BID_SIZE
        assert book.apply(book_frame(levels(("1", "1")), levels(("2", "2")))) == ASK | ASK_SIZE


@pytest.mark.parametrize("at", [0, 1, 50, 98, 99])
@pytest.mark.parametrize("field", [0, 1])
def test_a_change_anywhere_in_a_full_book(at: int, field: int) -> None:
    asks: list[Any] = [[1000 + 2 * n, n + 1] for n in range(100)]
    book = OrderBook()
    book.load([], asks)
    asks[at][field] += 1
    bit = DEPTH if at else (ASK, ASK_SIZE)[field]
    assert book.load([], asks) == bit
    assert book.snapshot()[2 + field, at] == asks[at][field] * E8


def test_the_first_frame_changes_everything() -> None:
    assert OrderBook().apply(book_frame("[]", "[]")) == ALL
    assert OrderBook().load([], []) == ALL
    assert ALL == change.BBO | change.DEPTH == 31


def test_the_same_numbers_in_another_spelling_change_nothing() -> None:
    book = OrderBook()
    book.apply(book_frame(levels(("10", "1.5")), "[]"))
    other = '[{"v":15e-1,"x":0,"pr":"1E1 "},{"pr":3,"sz":0}]'
    assert book.apply(book_frame(other, " [ ] ", ts=str(TIME + 1))) == 0
    assert book.stats.unchanged == 1


def test_last_change_is_of_the_last_call_that_did_not_raise() -> None:
    book = OrderBook()
    book.apply(book_frame())
    assert book.last_change == ALL
    with pytest.raises(DecodeError):
        book.apply(b"x")
    assert book.last_change == ALL
    book.load(BIDS, ASKS)
    assert book.last_change not in (0, ALL)
    book.clear()
    book.apply(book_frame())
    assert book.last_change == ALL
    book.apply(book_frame(ts="1"))
    assert (book.last_change, book.stats.stale) == (0, 1)


def test_the_bits_by_name() -> None:
    names = {"BID": BID, "ASK": ASK, "BID_SIZE": BID_SIZE, "ASK_SIZE": ASK_SIZE, "DEPTH": DEPTH}
    assert {member.name: member.value for member in change.Change} == names
    assert {name: getattr(change, name) for name in names} == names
    assert "BID|DEPTH" in repr(change.Change(BID | DEPTH))


# stats ---------------------------------------------------------------------------------------


def test_each_counter() -> None:
    book = OrderBook(SYMBOL)
    expected = dict.fromkeys(Stats._fields, 0)

    def counted(**more: int) -> None:
        expected.update({name: expected[name] + n for name, n in more.items()})
        assert book.stats._asdict() == expected

    assert isinstance(book.stats, Stats)
    counted()
    book.apply(book_frame())
    counted(applied=1)
    book.apply(book_frame())
    counted(applied=1, unchanged=1)
    book.apply(book_frame(ts="1"))
    counted(stale=1)
    book.apply(book_frame(asks=levels(("3", "1"), ("2", "1"))))
    counted(applied=1, unsorted=1)
    book.load([], [(n + 1, 1) for n in range(101)])
    counted(applied=1, truncated=1)
    book.load([], [(n + 1, 1) for n in range(300)])
    counted(applied=1, unchanged=1, truncated=1)
    book.apply(book_frame(bids=levels(("1", "1.123456789"), ("0.5", "0.123456789"))))
    counted(applied=1, inexact=2)
    for refused in b"", book_frame(s='"ETHUSD"'), book_frame(bids=levels(("1", "1"), ("1", "1"))):
        with pytest.raises(CoincallFastError):
            book.apply(refused)
        counted(rejected=1)
    with pytest.raises(DecodeError):
        book.load([("x", 1)], [])
    counted(rejected=1)
    book.clear()
    counted()
    assert book.update_count == expected["applied"]


# Another layout ------------------------------------------------------------------------------


def test_the_layout_is_data() -> None:
    wire = Wire(
        channels=(7,),
        frame={"kind": Role.CHANNEL, "body": Role.DATA},
        data={
            "instrument": Role.SYMBOL,
            "at": Role.TIME,
            "buys": Role.BIDS,
            "sells": Role.ASKS,
        },
        level={"rate": Role.PRICE, "amount": Role.SIZE},
    )
    frame = (
        b'{"body":{"sells":[{"amount":"1","rate":"3"}],"buys":[{"rate":"2","amount":4,"pr":"x"}],'
        b'"s":1,"at":9,"instrument":"X"},"kind":7,"dt":"x"}'
    )
    book = OrderBook(wire=wire)
    book.apply(frame)
    assert (book.symbol, book.ts_ms, book.bbo) == ("X", 9, (2.0, 4.0, 3.0, 1.0))
    with pytest.raises(DecodeError):
        book.apply(book_frame())
    with pytest.raises(DecodeError):
        OrderBook().apply(frame)
    with pytest.raises(DecodeError):
        book.apply(frame.replace(b'"kind":7', b'"kind":5'))


def test_coincalls_layout_is_the_default() -> None:
    book = OrderBook(SYMBOL, wire=COINCALL)
    book.apply(book_frame())
    assert book.bbo == (99.5, 2.0, 100.5, 1.0)


def test_buffers_that_are_no_frames() -> None:
    with pytest.raises(TypeError):
        OrderBook().apply(array.array("B", book_frame()))  # type: ignore[arg-type]


def test_books_do_not_share_anything() -> None:
    first, second = OrderBook(), OrderBook()
    first.apply(book_frame())
    second.apply(book_frame(levels(("1", "1")), "[]", s='"ETHUSD"'))
    assert (first.best_bid, second.best_bid) == (99.5, 1.0)
    assert (first.symbol, second.symbol) == (SYMBOL, "ETHUSD")
    second.clear()
    assert first.bbo == (99.5, 2.0, 100.5, 1.0)


@pytest.mark.parametrize("pair", ["12", b"12"])
def test_a_text_is_no_pair(book: OrderBook, pair: Any) -> None:
    with pytest.raises(TypeError, match="no pair"):
        book.load([pair], [])


def test_keys_that_the_short_way_cannot_compare() -> None:
    """A NUL in a frame is no price key, however long the key that a venue would have."""
    wire = dataclasses.replace(
        COINCALL, level={"price_of_a_level": Role.PRICE, "sz": Role.SIZE, "v": Role.SIZE}
    )
    book = OrderBook(wire=wire)
    with pytest.raises(DecodeError):
        book.apply(book_frame('[\0001","sz":"1"},{"pr":"1","sz":"1"}]' + " " * 200, "[]"))
    level = '{"price_of_a_level":"3","sz":"1"}'
    book.apply(book_frame(f"[{level}]", "[]").replace(b"}}", b"}" + b" " * 200 + b"}"))
    assert book.best_bid == 3.0


def test_the_bits_print_by_name() -> None:
    assert str(change.Change(change.BID | change.DEPTH)) == "Change.BID|DEPTH"

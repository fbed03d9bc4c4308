"""What a book answers: attributes, queries, `load`, `clear`, times, counters, change bits."""

import array
from collections.abc import Callable, Iterator
from decimal import Decimal
from fractions import Fraction
from math import inf, isnan, nan
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import coincall_fast
from coincall_fast import OrderBook, change
from coincall_fast.errors import CoincallFastError, DecodeError, StaleError, UsageError
from coincall_fast.model import Depth, Side, Stats, Sweep
from coincall_fast.wire import COINCALL, Wire
from model_book import ALL, ASK, ASK_SIZE, BID, BID_SIZE, DEPTH, LIMIT, observe
from strategies import SYMBOL, TIME, book_frame, examples, levels

E8 = 10**8
NO_AGE = 2**63 - 1

BIDS = [("99", "2"), ("98", "3"), ("90", "5")]
ASKS = [("101", "6"), ("102", "1"), ("110", "0.5")]


def loaded(bids: Any = BIDS, asks: Any = ASKS) -> OrderBook:
    book = OrderBook(SYMBOL)
    book.load(bids, asks, TIME)
    return book


@pytest.fixture
def book() -> OrderBook:
    return loaded()


def same(value: Any, expected: Any) -> bool:
    """Equal, `nan` to `nan` included."""
    if isinstance(expected, tuple):
        return len(value) == len(expected) and all(map(same, value, expected))
    return bool(value == expected or (value != value and expected != expected))


# A new book, and an emptied one --------------------------------------------------------------

NO_VALUE = {
    "ts_ms": 0,
    "recv_ns": 0,
    "bid_count": 0,
    "ask_count": 0,
    "best_bid": nan,
    "best_ask": nan,
    "best_bid_size": 0.0,
    "best_ask_size": 0.0,
    "best_bid_e8": None,
    "best_ask_e8": None,
    "best_bid_size_e8": None,
    "best_ask_size_e8": None,
    "mid": nan,
    "spread": nan,
    "microprice": nan,
    "bbo": (nan, 0.0, nan, 0.0),
    "is_valid": False,
    "is_crossed": False,
    "is_locked": False,
}


def with_frame_without_levels() -> OrderBook:
    book = OrderBook()
    book.apply(book_frame("[]", "[]", ts="0"))
    return book


def cleared() -> OrderBook:
    book = OrderBook()
    book.apply(book_frame(), 5)
    book.clear()
    return book


@pytest.mark.parametrize("make", [OrderBook, cleared, with_frame_without_levels])
@pytest.mark.parametrize("name", NO_VALUE)
def test_no_value(make: Callable[[], OrderBook], name: str) -> None:
    expected = NO_VALUE[name]
    if name == "is_valid":
        expected = make is with_frame_without_levels
    value = getattr(make(), name)
    assert same(value, expected)
    assert type(value) is type(expected)


@pytest.mark.parametrize("make", [OrderBook, cleared, with_frame_without_levels])
def test_queries_of_an_empty_book(make: Callable[[], OrderBook]) -> None:
    book = make()
    assert isnan(book.imbalance())
    assert isnan(book.weighted_mid(5))
    assert not book.snapshot().any()
    assert book.depth().bids.shape == book.depth().asks.shape == (0, 2)
    for side in "buy", "sell":
        assert same(book.sweep(side, 1), (nan, nan, 0.0, 0, True))
        assert book.size_to(side, 1) == 0.0
    assert book.age_ns(10**18) == NO_AGE


def test_a_new_book() -> None:
    book = OrderBook()
    assert (book.symbol, book.update_count, book.last_change) == (None, 0, 0)
    assert book.stats == (0,) * 8
    assert OrderBook("X").symbol == OrderBook(symbol="X").symbol == "X"


@pytest.mark.parametrize(("bids", "asks"), [(BIDS, []), ([], ASKS)], ids=["no asks", "no bids"])
def test_one_side(bids: Any, asks: Any) -> None:
    book = loaded(bids, asks)
    bid, ask = (99.0, 2.0) if bids else (nan, 0.0), (101.0, 6.0) if asks else (nan, 0.0)
    assert same(book.bbo, bid + ask)
    assert same((book.best_bid, book.best_bid_size), bid)
    assert same((book.best_ask, book.best_ask_size), ask)
    for value in book.mid, book.spread, book.microprice, book.weighted_mid(3):
        assert isnan(value)
    assert book.imbalance() == book.imbalance(3) == (1.0 if bids else -1.0)
    assert (book.is_valid, book.is_crossed, book.is_locked) == (True, False, False)


# Attributes ----------------------------------------------------------------------------------


def test_the_best_and_what_is_between(book: OrderBook) -> None:
    assert book.bbo == (99.0, 2.0, 101.0, 6.0)
    assert (book.best_bid, book.best_bid_size) == (99.0, 2.0)
    assert (book.best_ask, book.best_ask_size) == (101.0, 6.0)
    assert (book.best_bid_e8, book.best_bid_size_e8) == (99 * E8, 2 * E8)
    assert (book.best_ask_e8, book.best_ask_size_e8) == (101 * E8, 6 * E8)
    assert (book.mid, book.spread) == (100.0, 2.0)
    assert book.microprice == (99 * 6 + 101 * 2) / 8  # the larger size pushes the price away
    assert (book.bid_count, book.ask_count) == (3, 3)


def test_attributes_are_read_only(book: OrderBook) -> None:
    for name in (*NO_VALUE, "symbol", "update_count", "last_change", "stats"):
        with pytest.raises(AttributeError):
            setattr(book, name, getattr(book, name))


def test_the_scale() -> None:
    assert coincall_fast.SCALE == E8
    assert loaded([("1", "1")]).best_bid_e8 == coincall_fast.SCALE


@pytest.mark.parametrize(
    ("bid", "ask", "crossed", "locked"),
    [
        ("99", "100", False, False),
        ("100", "100", False, True),
        ("100.00000001", "100", True, False),
        ("100", "100.00000001", False, False),
    ],
)
def test_crossed_and_locked(bid: str, ask: str, crossed: bool, locked: bool) -> None:
    book = loaded([(bid, 1)], [(ask, 3)])
    assert (book.is_crossed, book.is_locked) == (crossed, locked)
    assert book.is_valid
    assert (book.best_bid, book.best_ask) == (float(bid), float(ask))
    assert book.spread == float(Decimal(ask) - Decimal(bid))
    assert (book.spread < 0, book.spread == 0) == (crossed, locked)


@pytest.mark.parametrize(
    ("bid", "ask"),
    [
        ("0.00000001", "0.00000002"),
        ("0.1", "0.3"),
        ("30831.73", "30831.74"),
        ("92233720368.54775806", "92233720368.54775807"),
        ("92233720368.54775807", "92233720368.54775807"),
        ("0.00000001", "92233720368.54775807"),
        ("92233720368.54775807", "0.00000001"),
    ],
)
def test_mid_and_spread_are_formed_in_integers(bid: str, ask: str) -> None:
    book = loaded([(bid, LIMIT / 1e8 - 1)], [(ask, 1)])
    bid_e8, ask_e8 = int(Decimal(bid) * E8), int(Decimal(ask) * E8)
    assert book.mid == (bid_e8 + ask_e8) / 2e8
    assert book.spread == (ask_e8 - bid_e8) / 1e8


def test_a_tick_at_a_large_price_is_a_spread() -> None:
    """The difference of the two floats would be 0.0."""
    book = loaded([("92233720368.54775806", 1)], [("92233720368.54775807", 1)])
    assert book.best_bid == book.best_ask
    assert book.spread == 1e-8
    assert not book.is_locked


# Averages over levels ------------------------------------------------------------------------

Levels = list[tuple[int, int]]  # (price, size) in units of 1e-8, best first


def exact_imbalance(bids: Levels, asks: Levels) -> float:
    bid_size, ask_size = sum(s for _, s in bids), sum(s for _, s in asks)
    both = bid_size + ask_size
    return float(Fraction(bid_size - ask_size, both)) if both else nan


def exact_weighted_mid(bids: Levels, asks: Levels) -> float:
    if not bids or not asks:
        return nan
    bid_size, ask_size = sum(s for _, s in bids), sum(s for _, s in asks)
    bid = Fraction(sum(p * s for p, s in bids), bid_size)
    ask = Fraction(sum(p * s for p, s in asks), ask_size)
    return float((bid * ask_size + ask * bid_size) / (bid_size + ask_size) / E8)


def exact_sweep(hit: Levels, size: int) -> tuple[float, float, float, int, bool]:
    """What a market order of so many units does to the side that it hits."""
    paid, filled, worst, touched = 0, 0, nan, 0
    for price, available in hit:
        if filled == size:
            break
        take = min(available, size - filled)
        paid, filled, worst, touched = paid + price * take, filled + take, price, touched + 1
    average = float(Fraction(paid, filled * E8)) if filled else nan
    return average, worst / 1e8, filled / 1e8, touched, filled < size


units = st.one_of(
    st.integers(1, 10**12), st.integers(1, 100), st.integers(1, LIMIT), st.just(LIMIT)
)
sides = st.dictionaries(units, units, max_size=12)


def text(amount: int) -> Decimal:
    return Decimal(amount).scaleb(-8)


@examples(400, 20_000)
@given(sides, sides, st.integers(1, 13), units)
def test_averages_are_right(bid_side: Any, ask_side: Any, n: int, size: int) -> None:
    bids = sorted(bid_side.items(), reverse=True)
    asks = sorted(ask_side.items())
    book = loaded(*([(text(price), text(size)) for price, size in side] for side in (bids, asks)))

    largest = max((price for price, _ in bids + asks), default=0) / 1e8

    def close(value: float, expected: float, scale: float = largest) -> bool:
        return value == pytest.approx(expected, rel=1e-15, abs=1e-14 * scale, nan_ok=True)

    assert close(book.microprice, exact_weighted_mid(bids[:1], asks[:1]))
    assert close(book.weighted_mid(n), exact_weighted_mid(bids[:n], asks[:n]))
    if bids and asks:
        lowest, highest = sorted((book.best_bid, book.best_ask))
        assert lowest <= book.microprice <= highest
    assert close(book.imbalance(), exact_imbalance(bids[:1], asks[:1]), 1.0)
    assert close(book.imbalance(n), exact_imbalance(bids[:n], asks[:n]), 1.0)
    for side, hit in ("buy", asks), ("sell", bids):
        sweep = book.sweep(side, text(size))
        average, worst, filled, touched, exhausted = exact_sweep(hit, size)
        assert close(sweep.price, average)
        assert close(sweep.filled, filled, filled)
        assert same((sweep.worst, sweep.levels, sweep.exhausted), (worst, touched, exhausted))
        if touched:
            lowest, highest = sorted((hit[0][0] / 1e8, worst))
            assert lowest <= sweep.price <= highest
        for price in {size, *(price for price, _ in hit[:2])}:
            reached = sum(s for p, s in hit if (p <= price if side == "buy" else p >= price))
            assert close(book.size_to(side, text(price)), reached / 1e8, reached / 1e8)


def test_imbalance(book: OrderBook) -> None:
    assert book.imbalance() == book.imbalance(1) == (2 - 6) / (2 + 6)
    assert book.imbalance(2) == (5 - 7) / (5 + 7)
    assert book.imbalance(levels=3) == (10 - 7.5) / (10 + 7.5)
    assert book.imbalance(100) == book.imbalance(10**9) == book.imbalance(3)


def test_weighted_mid(book: OrderBook) -> None:
    assert book.weighted_mid(1) == book.microprice
    bid, ask = (99 * 2 + 98 * 3) / 5, (101 * 6 + 102 * 1) / 7
    assert book.weighted_mid(2) == pytest.approx((bid * 7 + ask * 5) / 12, rel=1e-15)
    assert book.weighted_mid(100) == book.weighted_mid(10**9) == book.weighted_mid(3)


@pytest.mark.parametrize("query", ["imbalance", "weighted_mid", "depth"])
@pytest.mark.parametrize("count", [0, -1, -(10**9)])
def test_less_than_one_level(book: OrderBook, query: str, count: int) -> None:
    with pytest.raises(UsageError):
        getattr(book, query)(count)


def test_full_sides_are_summed_whole() -> None:
    """More than 2**63 units in all, at prices whose products with them pass 2**127."""
    prices = [92_233_720_368 - n for n in range(100)]
    book = loaded([(p, "92233720368.54775807") for p in prices], [(92_233_720_368, LIMIT // E8)])
    assert book.imbalance(100) == pytest.approx(99 / 101, rel=1e-9)
    assert book.size_to("sell", 1) == pytest.approx(100 * LIMIT / 1e8, rel=1e-15)
    sweep = book.sweep("sell", "92233720368.54775807")
    assert (sweep.levels, sweep.price, sweep.exhausted) == (1, 92_233_720_368.0, False)
    bid = sum(prices) / 100
    assert book.weighted_mid(100) == pytest.approx((bid + 92_233_720_368 * 100) / 101, rel=1e-9)


# sweep and size_to ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("side", "size", "expected"),
    [
        ("buy", 1, (101.0, 101.0, 1.0, 1, False)),
        ("buy", 6, (101.0, 101.0, 6.0, 1, False)),
        ("buy", 7, ((101 * 6 + 102) / 7, 102.0, 7.0, 2, False)),
        ("buy", 7.5, ((101 * 6 + 102 + 55) / 7.5, 110.0, 7.5, 3, False)),
        ("buy", "7.50000001", ((101 * 6 + 102 + 55) / 7.5, 110.0, 7.5, 3, True)),
        ("buy", 1000, ((101 * 6 + 102 + 55) / 7.5, 110.0, 7.5, 3, True)),
        ("sell", 2, (99.0, 99.0, 2.0, 1, False)),
        ("sell", 3, ((99 * 2 + 98) / 3, 98.0, 3.0, 2, False)),
        ("sell", 10, ((99 * 2 + 98 * 3 + 90 * 5) / 10, 90.0, 10.0, 3, False)),
        ("sell", Decimal("10.1"), ((99 * 2 + 98 * 3 + 90 * 5) / 10, 90.0, 10.0, 3, True)),
        ("sell", "0.00000001", (99.0, 99.0, 1e-8, 1, False)),
        ("sell", 1e-8, (99.0, 99.0, 1e-8, 1, False)),
        ("sell", 0.1 + 0.2, (99.0, 99.0, 0.3, 1, False)),
        ("sell", "2.000000009", (99.0, 99.0, 2.0, 1, False)),
        ("buy", 0, (nan, nan, 0.0, 0, False)),
        ("buy", "-0", (nan, nan, 0.0, 0, False)),
        ("buy", 1e-9, (nan, nan, 0.0, 0, False)),
    ],
)
def test_sweep(book: OrderBook, side: str, size: Any, expected: Any) -> None:
    sweep = book.sweep(side, size)
    assert isinstance(sweep, Sweep)
    assert same(sweep[1:], expected[1:])
    assert sweep.price == pytest.approx(expected[0], rel=1e-15, nan_ok=True)
    assert [type(field) for field in sweep] == [float, float, float, int, bool]
    same_side = Side.BUY if side == "buy" else Side.SELL
    assert same(book.sweep(same_side, size), sweep)


@pytest.mark.parametrize("price", ["0.1", "0.3", "30831.73", "4038.58", "92233720368.54775807"])
def test_one_level_is_paid_at_its_price(price: str) -> None:
    sweep = loaded([], [(price, "0.7")]).sweep("buy", "0.33333333")
    assert sweep.price == sweep.worst == float(price)


def test_an_empty_side_is_exhausted() -> None:
    book = loaded([], ASKS)
    assert same(book.sweep("sell", 1), (nan, nan, 0.0, 0, True))
    assert book.sweep("buy", 1).filled == 1.0


@pytest.mark.parametrize(
    ("side", "price", "size"),
    [
        ("buy", "100.99999999", 0.0),
        ("buy", 101, 6.0),
        ("buy", "101.5", 6.0),
        ("buy", 102.0, 7.0),
        ("buy", Decimal(110), 7.5),
        ("buy", "92233720368.54775807", 7.5),
        ("sell", "99.00000001", 0.0),
        ("sell", 99, 2.0),
        ("sell", 98.5, 2.0),
        ("sell", " 98 ", 5.0),
        ("sell", "9e1", 10.0),
        ("sell", 1e-8, 10.0),
    ],
)
def test_size_to(book: OrderBook, side: str, price: Any, size: float) -> None:
    assert book.size_to(side, price) == size
    assert book.size_to(Side.BUY if side == "buy" else Side.SELL, price) == size


@pytest.mark.parametrize("query", ["sweep", "size_to"])
@pytest.mark.parametrize("side", ["bid", "ask", "bids", "asks", "", "hold"])
def test_sides_that_no_order_has(book: OrderBook, query: str, side: str) -> None:
    with pytest.raises(UsageError):
        getattr(book, query)(side, 1)


NO_NUMBERS = [-1, "-0.00000001", -5e-324, nan, inf, "x", "", "1 2", "+1", "\ud800"]


@pytest.mark.parametrize("query", ["sweep", "size_to"])
@pytest.mark.parametrize("number", NO_NUMBERS, ids=ascii)
def test_numbers_that_are_no_size_and_no_price(book: OrderBook, query: str, number: Any) -> None:
    with pytest.raises(UsageError):
        getattr(book, query)("buy", number)


@pytest.mark.parametrize("price", [0, 0.0, "-0", "0e5", 1e-9, "99.000000001", 0.1 + 0.2])
def test_prices_that_no_level_can_have(book: OrderBook, price: Any) -> None:
    with pytest.raises(UsageError):
        book.size_to("sell", price)


@pytest.mark.parametrize("query", ["sweep", "size_to"])
@pytest.mark.parametrize("number", [None, b"1", True, [1]], ids=repr)
def test_types_that_are_no_number(book: OrderBook, query: str, number: Any) -> None:
    with pytest.raises(TypeError):
        getattr(book, query)("buy", number)


# depth and snapshot --------------------------------------------------------------------------


def test_depth(book: OrderBook) -> None:
    depth = book.depth()
    assert isinstance(depth, Depth)
    assert depth.bids.tolist() == [[99, 2], [98, 3], [90, 5]]
    assert depth.asks.tolist() == [[101, 6], [102, 1], [110, 0.5]]
    assert (depth.ts_ms, depth.update_count) == (TIME, 1)
    assert depth.bids.dtype == depth.asks.dtype == np.float64


@pytest.mark.parametrize("count", [1, 2, 3, 4, 100, 101, 10**9])
def test_depth_of_so_many_levels(count: int) -> None:
    book = loaded(BIDS, ASKS[:2])
    depth = book.depth(count)
    assert depth.bids.tolist() == book.depth().bids.tolist()[:count]
    assert depth.asks.tolist() == book.depth().asks.tolist()[:count]
    assert depth.bids.shape == (min(count, 3), 2)
    assert depth.asks.shape == (min(count, 2), 2)


def test_depth_of_a_full_book() -> None:
    book = loaded([(n, n + 1) for n in range(100, 0, -1)], [(n, n + 1) for n in range(101, 201)])
    depth = book.depth()
    assert depth.bids.tolist() == [[n, n + 1] for n in range(100, 0, -1)]
    assert depth.asks.tolist() == [[n, n + 1] for n in range(101, 201)]


def test_depth_is_a_copy(book: OrderBook) -> None:
    depth = book.depth()
    before = depth.bids.copy()
    book.load([], ASKS)
    assert np.array_equal(depth.bids, before)
    book.load(BIDS, ASKS)
    depth.bids[:] = depth.asks[:] = 7
    assert book.bbo == (99.0, 2.0, 101.0, 6.0)
    assert np.array_equal(book.depth().bids, before)


def test_snapshot(book: OrderBook) -> None:
    snapshot = book.snapshot()
    assert snapshot.shape == (4, 100)
    assert snapshot.dtype == np.int64
    expected = np.zeros((4, 100), np.int64)
    for row, values in enumerate(([99, 98, 90], [2, 3, 5], [101, 102, 110], [6, 1, 0.5])):
        expected[row, :3] = np.array(values) * E8
    assert np.array_equal(snapshot, expected)


def test_snapshot_is_a_copy(book: OrderBook) -> None:
    first = book.snapshot()
    first[:] = 7
    assert book.best_bid == 99.0
    assert book.snapshot()[0, 0] == 99 * E8
    assert (first == 7).all()


@pytest.mark.parametrize(
    "out",
    [
        np.full((4, 100), -1, np.int64),
        np.full((8, 100), -1, np.int64)[2:6],
        np.full((1, 4, 100), -1, np.int64)[0],
    ],
    ids=["array", "rows of another", "plane of another"],
)
def test_snapshot_into(book: OrderBook, out: Any) -> None:
    assert book.snapshot(out) is out
    assert np.array_equal(out, book.snapshot())
    book.load([], ASKS[:1])
    assert book.snapshot(out=out) is out
    assert np.array_equal(out, book.snapshot())
    if out.base is not None:
        assert (out.base == -1).sum() == out.base.size - 400


def read_only() -> Any:
    out = np.full((4, 100), 7, np.int64)
    out.flags.writeable = False
    return out


@pytest.mark.parametrize(
    "out",
    [
        np.full((4, 99), 7, np.int64),
        np.full((4, 101), 7, np.int64),
        np.full((3, 100), 7, np.int64),
        np.full((5, 100), 7, np.int64),
        np.full((100, 4), 7, np.int64),
        np.full((400,), 7, np.int64),
        np.full((4, 100, 1), 7, np.int64),
        np.full((0, 100), 7, np.int64),
        np.full((4, 100), 7, np.int32),
        np.full((4, 100), 7, np.float64),
        np.full((4, 100), 7, np.uint64),
        np.full((4, 100), 7, "datetime64[ns]"),
        np.full((4, 100), 7, np.dtype(np.int64).newbyteorder()),
        np.full((4, 100), 7, object),
        np.full((4, 100), 7, np.int64, order="F"),
        np.full((100, 4), 7, np.int64).T,
        np.full((4, 200), 7, np.int64)[:, ::2],
        np.full((8, 100), 7, np.int64)[::2],
        np.full((4, 100), 7, np.int64)[::-1],
        np.full((4, 200), 7, np.int64)[:, :100],
        read_only(),
    ],
    ids=lambda out: f"{out.dtype}{out.shape}{out.strides}",
)
def test_snapshot_into_what_it_does_not_fit(book: OrderBook, out: Any) -> None:
    before = out.copy()
    with pytest.raises(UsageError):
        book.snapshot(out)
    assert (out == before).all()


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
        channel="kind",
        channels=(7,),
        data="body",
        symbol="instrument",
        time="at",
        bids="buys",
        asks="sells",
        price="rate",
        sizes=("amount",),
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

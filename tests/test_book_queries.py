"""What a book answers: attributes, sums over levels, sweeps, depth, snapshots."""

from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from math import inf, isnan, nan
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import coincall_fast
from coincall_fast import OrderBook
from coincall_fast.errors import UsageError
from coincall_fast.model import Depth, Side, Sweep
from model_book import LIMIT
from small_book import ASKS, BIDS, E8, NO_AGE, cleared, loaded, same
from strategies import TIME, book_frame, examples

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


@examples(400, 10_000)
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

"""The compiled book does what the obvious one does, on any frame: legal, odd, spoilt or mutated."""

from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from fractions import Fraction
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from both import Both, as_any_type
from coincall_fast import OrderBook
from coincall_fast.errors import DecodeError
from model_book import LIMIT
from strategies import (
    LONG,
    SYMBOL,
    TIME,
    Content,
    book_frame,
    deep_side,
    documented_books,
    examples,
    frames,
    levels,
    seeds,
    spell,
    unhurried,
)

# Successive calls ----------------------------------------------------------------------------


odd_floats = 0.1 + 0.2, 1e16, 5e-324, -0.0, -1.5, float("nan"), float("inf")
odd_texts = "", " 1 ", "1E-8", "1e-9", "x", "+1", "0e999999999999", "92233720368.54775807"
odd_decimals = map(Decimal, ("1E+2", "0E-30", "-0", "NaN", "1E-9", "92233720368.54775808"))
numbers = st.one_of(
    st.integers(0, 9),
    st.integers(0, 9).map(str),
    st.integers(0, 9).map(lambda n: Decimal(n) / 2),
    st.integers(0, 9).map(lambda n: n / 4),
    st.sampled_from((*odd_floats, *odd_texts, *odd_decimals, 10**11, -1, LIMIT)),
)
loaded_sides = st.lists(st.tuples(numbers, numbers), max_size=3)
book_sides = st.sampled_from(("bid", "ask"))
prices = st.one_of(
    st.integers(1, 9),
    st.integers(1, 9).map(lambda n: n / 4),
    st.sampled_from((" 1 ", "9e0", Decimal("1E+2"), 0.1 + 0.2, "1e-9", "x", -1, 10**11, LIMIT)),
)
sizes = st.one_of(
    st.integers(0, 3),
    st.integers(0, 3).map(str),
    st.sampled_from(("-0", "0e999999999999", 0.1 + 0.2, "2.000000009", "", "+1", -0.5, 10**11)),
)
recv_times = st.integers(0, 10**15)
load_times = st.sampled_from((0, TIME - 1, TIME + 1))


@st.composite
def calls(draw: Any) -> tuple[Any, ...]:
    """The name of a method and its arguments; seven in ten are `apply`."""
    match draw(st.integers(0, 9)):
        case 7:
            return ("update", *map(draw, (book_sides, prices, sizes, load_times, recv_times)))
        case 8:
            return ("load", *map(draw, (loaded_sides, loaded_sides, load_times, recv_times)))
        case 9:
            return ("clear",)
        case _:
            frame = as_any_type(draw(frames()), draw(st.integers(0, 3)))
            return ("apply", frame, draw(recv_times))


@unhurried
def test_any_calls() -> None:
    outcomes: Counter[str] = Counter()

    @examples(400, 12_000)
    @given(st.sampled_from((None, SYMBOL)), st.lists(calls(), min_size=1, max_size=6))
    def agree(symbol: str | None, calls: list[tuple[Any, ...]]) -> None:
        both = Both(symbol)
        outcomes.update(getattr(both, name)(*args) for name, *args in calls)

    agree()
    rare = {
        "applied": 0.2,
        "absent": 0.005,
        "refused": 0.1,
        "stale": 0.01,
        "of another symbol": 0.01,
        "cleared": 0.02,
    }
    for outcome, share in rare.items():
        assert outcomes[outcome] > share * outcomes.total(), f"{outcome} is too rare: {outcomes}"


@examples(150, 10_000)
@given(seeds, st.lists(seeds, min_size=1, max_size=8))
def test_successive_snapshots(seed: int, steps: list[int]) -> None:
    """Deep books of which a little changes, so that nearly every combination of bits occurs."""
    both = Both()
    bids, asks = deep_side(True, seed % 130, seed), deep_side(False, seed // 7 % 130, seed + 1)
    for number, step in enumerate(steps):
        random = Random(step)
        for side in random.choice(([], [bids], [asks], [bids, asks])):
            at = random.choice((0, 0, 1, len(side) - 1, random.randrange(len(side) + 1)))
            match random.randrange(3) if 0 <= at < len(side) else 2:
                case 0:
                    del side[at]
                case 1:
                    side[at] = (side[at][0], side[at][1] + 1)
                case 2:
                    side.insert(max(at, 0), (random.randrange(1, 10**11), 10**8))
        both.apply(spell(Content(SYMBOL, TIME + number, bids, asks), step), number)


# Numbers -------------------------------------------------------------------------------------


@examples(1_000, 100_000)
@given(
    digits=st.one_of(st.integers(0, 10**20), st.sampled_from((LIMIT, LIMIT + 1, 0, 10**8))),
    point=st.integers(0, 25),
    zeros=st.integers(0, 25),
    exponent=st.one_of(st.none(), st.integers(-40, 40)),
    form=st.sampled_from(("{}", '"{}"', '" {}  "')),
)
def test_numbers(digits: int, point: int, zeros: int, exponent: int | None, form: str) -> None:
    """Against `Fraction`, not the model: digits with a point and an exponent anywhere."""
    text = str(digits).zfill(point + 1)
    text = f"{text[: len(text) - point]}.{text[len(text) - point :]}".rstrip(".")
    if "." in text:
        text += "0" * zeros
    if exponent is not None:
        text += f"e{exponent}"
    value, token = Fraction(text) * 10**8, form.format(text)

    book = OrderBook()
    price = book_frame(f'[{{"pr":{token},"sz":"1"}}]', "[]")
    if value.denominator == 1 and value <= LIMIT:
        book.apply(price)
        assert book.best_bid_e8 == (value or None)
    else:
        with pytest.raises(DecodeError):
            book.apply(price)

    book = OrderBook()
    size = book_frame("[]", f'[{{"pr":"1","sz":{token}}}]')
    if value <= LIMIT:
        book.apply(size)
        assert book.best_ask_size_e8 == (int(value) or None)
        assert book.stats.inexact == (value.denominator != 1)
    else:
        with pytest.raises(DecodeError):
            book.apply(size)


# Mutations -----------------------------------------------------------------------------------

HELD = book_frame(levels(("7", "7"), ("6", "6")), levels(("8", "8")), ts=str(TIME - 1))
SHORT = (
    rb'{"dt":5,"c":[{}, null],"d":{"s":"BTCUSD","asks":[{"pr":"1.5","sz":2}],"bids":[{"\u0070r":1'
    rb',"v":"2e0 ","x":-1.5e+3}],"ts":1700000000000}}'
)
LONG_FRAMES = [
    *documented_books(),
    *(
        spell(Content(SYMBOL, TIME, deep_side(True, n, n), deep_side(False, n, -n)), seed=n * odd)
        for n in (3, 20, 101)
        for odd in (0, 1)
    ),
]


def check_mutants(mutants: Iterator[bytes | memoryview]) -> Counter[str]:
    """Each is given to a book that holds something else, so that any trace of it would show."""
    both = Both()
    both.apply(HELD)
    outcomes: Counter[str] = Counter()
    for mutant in mutants:
        outcome = both.apply(mutant)
        outcomes[outcome] += 1
        if outcome == "applied":
            both = Both()
            both.apply(HELD)
    return outcomes


@unhurried
@pytest.mark.parametrize("frame", [SHORT, *LONG_FRAMES], ids=lambda frame: f"{len(frame)} bytes")
def test_truncated_anywhere(frame: bytes) -> None:
    step = 1 if LONG or len(frame) < 3000 else 7
    view = memoryview(frame)  # the bytes after the end are there, and none of the book's business
    assert set(check_mutants(view[:end] for end in range(0, len(frame), step))) == {"refused"}
    assert set(check_mutants(view[start:] for start in range(1, len(frame), step))) == {"refused"}


@unhurried
def test_each_byte_replaced() -> None:
    outcomes = check_mutants(
        SHORT[:at] + bytes([byte]) + SHORT[at + 1 :]
        for at in range(len(SHORT))
        for byte in range(256)
    )
    assert outcomes["applied"] > 500
    assert outcomes["refused"] > 10_000


def test_each_byte_deleted_or_doubled() -> None:
    deleted = (SHORT[:at] + SHORT[at + 1 :] for at in range(len(SHORT)))
    doubled = (SHORT[:at] + SHORT[at:][:1] + SHORT[at:] for at in range(len(SHORT)))
    for outcomes in check_mutants(deleted), check_mutants(doubled):
        assert {"applied", "refused"} <= set(outcomes)


@unhurried
def test_a_byte_inserted_anywhere() -> None:
    inserted = bytes(range(256)) if LONG else b' \t\0\x1f"\\,:[]{}+-.019eEnu\x7f\x80\xc3\xef\xff'
    outcomes = check_mutants(
        SHORT[:at] + bytes([byte]) + SHORT[at:] for at in range(len(SHORT) + 1) for byte in inserted
    )
    assert outcomes["applied"] > 200
    assert outcomes["refused"] > 1_000


def mutate(seed: int) -> bytes:
    """A few bytes flipped, cut, moved or swapped in a frame, or two frames spliced."""
    random = Random(seed)
    frame = bytearray(random.choice(LONG_FRAMES))
    for _ in range(random.choice((1, 1, 2, 5))):
        at, to = sorted(random.randrange(len(frame) + 1) for _ in "ab")
        if random.random() < 0.5:
            to = min(to, at + random.randrange(1, 40))
        match random.randrange(6):
            case 0:
                frame[at : at + 1] = bytes([random.randrange(256)])
            case 1:
                frame[at : at + 1] = random.choice(
                    (b'"', b"\\", b"0", b"9", b"-", b"e", b",", b" ")
                )
            case 2:
                del frame[at:to]
            case 3:
                frame[at:at] = frame[at:to]
            case 4:
                other = random.choice(LONG_FRAMES)
                frame[at:] = other[random.randrange(len(other)) :]
            case 5:
                frame[at:to] = frame[at:to][::-1]
    return bytes(frame)


@unhurried
def test_mutated_at_random() -> None:
    outcomes = check_mutants(map(mutate, range(300_000 if LONG else 10_000)))
    assert outcomes["applied"] > 0.005 * outcomes.total()
    assert outcomes["refused"] > 0.5 * outcomes.total()

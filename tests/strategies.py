"""Order-book frames for tests: in pieces by hand, and drawn with every spelling that JSON allows.

A drawn frame is a few hypothesis choices (which levels, which time) and one seed for how it is
spelled; seed 0 is the venue's own compact spelling, so that a failure shrinks to something legible.
"""

import json
import os
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

LONG = os.environ.get("COINCALL_FAST_LONG") == "1"  # many more cases, for a quarter of an hour
# What only computes cannot hang, but takes as long as a busy machine lets it.
unhurried = pytest.mark.timeout(0 if LONG else 300)
SYMBOL = "BTCUSD"
TIME = 1_700_000_000_000

ENVELOPE_KEYS = ("dt", "d")
DATA_KEYS = ("s", "asks", "bids", "ts")
LEVEL_KEYS = ("pr", "sz", "v")
MUST_ESCAPE = re.compile('["\\\\\0-\x1f\ud800-\udfff]')
SHORT_ESCAPES = {'"': r"\"", "\\": r"\\", "/": r"\/", "\b": r"\b", "\t": r"\t", "\n": r"\n"}
TRAPS = ("", "c", "x", "PR", "pr ", "Bids", "as", "pr\0", "é", "\U0001f4c8", "\ud83d", "k" * 70)

# JSON texts in the place of a number: on both sides of every border of contract section 1.
ODD_NUMBERS = (
    *r"""
    92233720368.54775807 92233720368.54775808 "92233720368.54775807" "92233720368.54775808"
    9223372036854775807e-8 9223372036854775808E-8 1e10 1e11 1E+400 "1e999999999999"
    0.00000001 0.000000001 0.123456789 0.30000000000000004 1e-8 1E-9 1e-400 "1e-99999999999"
    1e4294967296 1e-4294967296 1e18446744073709551616 1e-18446744073709551616
    100000000000000000000e-20 0.000000010000000000000000000000 12.3400000000000000000000000000
    0 0.0 -0 "-0.0" 0E-8 "0e999999999999" 0e-999999999999 -1 "-0.5" -1e-9 "-1e-99999999999"
    "" "1\u00a0" "1\t" "\u0031" "\u0020\u0031\u0020" "1\u0000" "1\ud800" "+1" "01" "-01" ".5" "1."
    "1.e5" "1e" "1e+" "0x1" "1_0" "1,0" "NaN" "Infinity" "null"
    null true false [] {} ["1"] {"pr":"1"}
    """.split(),
    *('" "', '"1 2"', '" 1"', '"1 "', '"   0.5   "', '"- 1"', '" -0 "'),
)


def examples(normal: int, long: int) -> Callable[[Any], Any]:
    """The size of a property test: the same cases in each suite, new ones in each long run."""

    def decorate(test: Any) -> Any:
        sized = settings(
            max_examples=long if LONG else normal,
            derandomize=not LONG,
            database=None,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
        )
        return unhurried(sized(test))

    return decorate


# From the venue ------------------------------------------------------------------------------


def documented_frames() -> list[dict[str, Any]]:
    """Coincall's rows of the conformance file: frames as the venue's own documents print them."""
    path = Path(__file__).parent / "conformance" / "frames.jsonl"
    rows = map(json.loads, path.read_text(encoding="utf-8").splitlines())
    return [row for row in rows if row["venue"] == "coincall"]


def documented_books() -> list[bytes]:
    """Of these, the order books."""
    frames = (row["frame"] for row in documented_frames() if row["kind"] == "push")
    return [f.encode() for f in frames if f.startswith(('{"dt":5,', '{"dt":32,'))]


# By hand -------------------------------------------------------------------------------------


def levels(*pairs: tuple[str, str]) -> str:
    """A side as the venue writes it: ``levels(("1", "2"))`` is ``[{"pr":"1","sz":"2"}]``."""
    return "[" + ",".join(f'{{"pr":"{price}","sz":"{size}"}}' for price, size in pairs) + "]"


BIDS = levels(("99.5", "2"), ("99", "1"))
ASKS = levels(("100.5", "1"), ("101", "4"))


def book_frame(
    bids: str = BIDS,
    asks: str = ASKS,
    *,
    s: str = f'"{SYMBOL}"',
    ts: str = str(TIME),
    dt: str = "5",
    more: str = "",
    more_data: str = "",
) -> bytes:
    """A frame out of JSON texts; `more` and `more_data` are extra pairs, each with its comma."""
    data = f'"s":{s},"asks":{asks},"bids":{bids},"ts":{ts}{more_data}'
    return f'{{"dt":{dt},"c":20,"d":{{{data}}}{more}}}'.encode()


# Drawn ---------------------------------------------------------------------------------------


class Pairs(list[tuple[str, Any]]):
    """A JSON object to be written; a plain list is an array, a `str` JSON text as it stands."""


class Speller:
    """Writes JSON in the many ways it allows, as its seed decides; seed 0 writes it compactly."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.oddness = self.random.choice((0.0, 0.02, 0.2, 0.6)) if seed else 0.0

    def sometimes(self) -> bool:
        return self.random.random() < self.oddness

    def space(self) -> str:
        return "".join(self.random.choices(" \t\n\r", k=2)) if self.sometimes() else ""

    def string(self, text: str) -> str:
        odd = self.sometimes()
        if not odd and not MUST_ESCAPE.search(text):
            return f'"{text}"'
        return '"' + "".join(self.character(char, odd) for char in text) + '"'

    def character(self, char: str, odd: bool) -> str:
        if not MUST_ESCAPE.match(char) and not (odd and self.random.random() < 0.5):
            return char
        if char in SHORT_ESCAPES and self.random.random() < 0.5:
            return SHORT_ESCAPES[char]
        utf16 = char.encode("utf-16-be", "surrogatepass").hex()
        if self.random.random() < 0.5:
            utf16 = utf16.upper()
        return "".join(rf"\u{utf16[i : i + 4]}" for i in range(0, len(utf16), 4))

    def number(self, units: int) -> str:
        """Some spelling of so many units of 1e-8, as a bare number."""
        if not self.sometimes():
            return f"{units // 10**8}.{units % 10**8:08}".rstrip("0").rstrip(".")
        zeros = self.random.randrange(12)
        digits = str(units) + "0" * zeros
        point = self.random.randint(0, len(digits)) if units else 1
        whole, fraction = digits[:point] or "0", digits[point:]
        if whole == "0":
            fraction = "0" * self.random.randrange(12) + fraction
        text = f"{whole}.{fraction}" if fraction else whole
        # Without its point it is units * 10**zeros; the exponent makes that units * 10**-8.
        exponent = len(fraction) - zeros - 8
        if exponent or self.sometimes():
            sign = "-" if exponent < 0 else self.random.choice(("", "+"))
            leading = "0" * self.random.randrange(3)
            text += f"{self.random.choice('eE')}{sign}{leading}{abs(exponent)}"
        return "-" + text if units == 0 and self.sometimes() else text

    def quoted(self, units: int) -> str:
        """A spelling of a number as the venue sends it, mostly in quotes, at times with blanks."""
        text = self.number(units)
        if self.oddness and self.random.random() < 0.2:
            return text
        before, after = (" " * self.random.randrange(3) if self.sometimes() else "" for _ in "ab")
        return self.string(before + text + after)

    def anything(self, depth: int = 3) -> Any:
        """Any legal JSON value, for a place where nobody looks at it."""
        kind = self.random.randrange(8 if depth else 5)
        if kind == 0:
            return self.random.choice(("true", "false", "null", "[]", "{}", '""'))
        if kind == 1:
            return self.string(self.random.choice((*TRAPS, *DATA_KEYS, '"\\/\b\f\n\r\t\x1f\x7f')))
        if kind <= 4:
            odd = "-0", "0", "-1.5E+30", "1e400", "1.7976931348623157E308", "9" * 40, "0.1e-7"
            return self.random.choice(odd)
        keys = (*TRAPS, *ENVELOPE_KEYS, *DATA_KEYS, *LEVEL_KEYS)
        values = [self.anything(depth - 1) for _ in range(self.random.randrange(4))]
        if kind == 5:
            return values
        return Pairs((self.random.choice(keys), value) for value in values)

    def object(self, pairs: Iterable[tuple[str, Any]], known: tuple[str, ...]) -> Pairs:
        """These pairs in some order, among unknown ones."""
        mixed = Pairs(pairs)
        while self.sometimes():
            keys = {*TRAPS, *ENVELOPE_KEYS, *DATA_KEYS, *LEVEL_KEYS} - {*known}
            mixed.append((self.random.choice(sorted(keys)), self.anything()))
        if self.sometimes():
            self.random.shuffle(mixed)
        return mixed

    def write(self, value: Any) -> str:
        if isinstance(value, str):
            return self.space() + value + self.space()
        if isinstance(value, Pairs):
            inside = ",".join(
                f"{self.space()}{self.string(key)}{self.space()}:{self.write(item)}"
                for key, item in value
            )
            return f"{self.space()}{{{inside or self.space()}}}{self.space()}"
        inside = ",".join(map(self.write, value))
        return f"{self.space()}[{inside or self.space()}]{self.space()}"


class Content(NamedTuple):
    """What a frame says: levels are (price, size) in units of 1e-8, in wire order."""

    symbol: str
    ts_ms: int
    bids: list[tuple[int, int]]
    asks: list[tuple[int, int]]


def spell(content: Content, seed: int, odd_number: str | None = None, spoil: bool = False) -> bytes:
    """The frame of a content, with one number replaced or one pair spoilt if asked."""
    speller = Speller(seed)
    random = speller.random

    def spell_level(price: int, size: int) -> Pairs:
        size_key = "v" if speller.sometimes() else "sz"
        pairs = [("pr", speller.quoted(price)), (size_key, speller.quoted(size))]
        return speller.object(pairs, LEVEL_KEYS)

    bids = [spell_level(*level) for level in content.bids]
    asks = [spell_level(*level) for level in content.asks]
    all_levels = bids + asks
    if odd_number is not None and all_levels:
        level = random.choice(all_levels)
        at = random.choice([i for i, (key, _) in enumerate(level) if key in LEVEL_KEYS])
        level[at] = (level[at][0], odd_number)
    data = speller.object(
        [
            ("s", speller.string(content.symbol)),
            ("asks", asks),
            ("bids", bids),
            ("ts", str(content.ts_ms)),
        ],
        DATA_KEYS,
    )
    envelope = speller.object(
        [("dt", random.choice(("5", "32"))), ("c", "20"), ("d", data)], ENVELOPE_KEYS
    )
    if spoil:
        spoil_one_pair(random.choice([envelope, data, *all_levels[:3]]), speller)
    return speller.write(envelope).encode()


def spoil_one_pair(pairs: Pairs, speller: Speller) -> None:
    """Drops, repeats, renames or overwrites one pair: illegal mostly, and sometimes legal still."""
    at = speller.random.randrange(len(pairs))
    key, value = pairs[at]
    match speller.random.randrange(5):
        case 0:
            del pairs[at]
        case 1:
            pairs.insert(speller.random.randint(0, len(pairs)), (key, value))
        case 2:
            pairs[at] = (speller.random.choice((*TRAPS, *DATA_KEYS, *LEVEL_KEYS)), value)
        case 3:
            pairs[at] = (key, speller.anything())
        case 4:
            wrong = r'"5" 5.0 05 -0 1e3 111111111111111111 1111111111111111111 "" "\ud800" nul ['
            pairs[at] = (key, speller.random.choice(wrong.split()))


def tidy(side: Iterable[tuple[int, int]], is_bids: bool) -> list[tuple[int, int]]:
    """One level a price, best first, as the venue means to send them."""
    return sorted({price: (price, size) for price, size in side}.values(), reverse=is_bids)


def deep_side(is_bids: bool, count: int, seed: int) -> list[tuple[int, int]]:
    """Up to 300 levels, in order or nearly so, at times with two at one price."""
    random = Random(seed)
    tick = random.choice((1, 1_000, 10**7, 10**8))
    prices = random.sample(range(1, 1000), count)
    side = tidy(((price * tick, random.randrange(1, 10**9)) for price in prices), is_bids)
    if side and random.random() < 0.5:
        for _ in range(random.choice((1, 1, 3, 100))):
            i, j = random.randrange(count), random.randrange(count)
            side[i], side[j] = side[j], side[i]
    if side and random.random() < 0.2:
        side.insert(random.randrange(count), side[random.randrange(count)])
    return side


def sides(is_bids: bool) -> st.SearchStrategy[list[tuple[int, int]]]:
    """A few levels on a grid so small that they collide and cross, or many."""
    tick = 25_000_000
    price = st.integers(0, 9).map(lambda n: n * tick)
    size = st.integers(0, 3).map(lambda n: n * tick)
    few = st.lists(st.tuples(price, size), max_size=8)
    count = st.one_of(st.integers(0, 30), st.sampled_from((99, 100, 101)), st.integers(0, 300))
    return st.one_of(
        few.map(lambda side: tidy(side, is_bids)),
        few,
        st.builds(deep_side, st.just(is_bids), count, st.integers(0, 2**32)),
    )


SYMBOLS = (*[SYMBOL] * 5, "BTCUSD-27MAY23-26000-C", "\u00e9\u20ac\U0001f4c8")

contents = st.builds(
    Content,
    symbol=st.sampled_from(SYMBOLS),
    ts_ms=st.sampled_from((TIME, TIME, TIME + 1, TIME - 1, 0, 10**18 - 1)),
    bids=sides(is_bids=True),
    asks=sides(is_bids=False),
)
seeds = st.one_of(st.just(0), st.integers(1, 2**32))


@st.composite
def frames(draw: Any) -> bytes:
    """A frame, legal more often than not."""
    fault = draw(st.sampled_from((None, None, None, "number", "pair")))
    return spell(
        draw(contents),
        draw(seeds),
        odd_number=draw(st.sampled_from(ODD_NUMBERS)) if fault == "number" else None,
        spoil=fault == "pair",
    )

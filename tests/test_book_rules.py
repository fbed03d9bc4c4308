"""What `OrderBook.apply` accepts, and what it makes of it: contract sections 1 and 2."""

import re
from itertools import permutations
from typing import Any

import pytest

from coincall_fast import OrderBook
from coincall_fast.errors import DecodeError
from strategies import ASKS, BIDS, SYMBOL, TIME, book_frame, levels
from tables import (
    ASKS_READ,
    BIDS_READ,
    DATA,
    E8,
    ENVELOPE,
    PLAIN,
    Side,
    bid_number,
    read,
    refuse,
    table,
    texts,
)

# Whole frames that say what book_frame() says ------------------------------------------------

SPACED = re.sub(rb"([{}\[\],:])", rb" \t\1\r\n", PLAIN)
NESTED = '{"asks":[[{"pr":"x"}]],"bids":null,"d":{"d":{}},"":[[],{},[{}],"]}",-0.0e-0]}'

SAME_BOOK = {
    "as the venue writes it": PLAIN,
    "futures": book_frame(dt="32"),
    "white space everywhere": SPACED,
    "white space around": b"\r\n\t " + PLAIN + b" \t\n\r",
    "levels with v": PLAIN.replace(b'"sz"', b'"v"'),
    "levels of both editions": PLAIN.replace(b'"sz"', b'"v"', 1),
    "bare numbers": PLAIN.replace(b'"2"', b"2").replace(b'"99.5"', b"99.5"),
    "size before price": book_frame(bids='[{"sz":"2","pr":"99.5"},{"pr":"99","sz":"1"}]'),
    "no c": PLAIN.replace(b'"c":20,', b""),
    "c of another kind": PLAIN.replace(b'"c":20', b'"c":{"c":[11]}'),
    "c twice": PLAIN.replace(b'"c":20', b'"c":20,"c":11'),
    "unknown keys in the envelope": book_frame(
        more=f',"x":{NESTED},"e":[],"y":"\\ud83d","z":-1.5e3'
    ),
    "an envelope with the keys of its data": book_frame(
        more=',"s":null,"ts":"x","bids":{},"asks":1,"pr":1,"sz":2'
    ),
    "unknown keys in the data": book_frame(
        more_data=f',"x":{NESTED},"version":"1","pr":[],"c":{{}}'
    ),
    "data with the keys of the envelope": book_frame(more_data=',"dt":7,"d":[],"c":1'),
    "unknown keys in a level": PLAIN.replace(
        b'"pr":"99.5"', f'"pr":"99.5","n":{NESTED},"s":"x","ts":null,"p":1,"":0'.encode()
    ),
    "repeated unknown keys": book_frame(more=',"x":1,"x":2', more_data=',"x":[],"x":{}'),
    "keys like known ones": book_frame(
        more=',"Dt":6,"dt ":6,"dt\\u0000":6,"D":1', more_data=',"S":1,"bid":0,"bidss":0,"asks ":0'
    ),
    "escapes in keys": PLAIN.replace(b'"dt"', rb'"\u0064\u0074"')
    .replace(b'"bids"', rb'"\u0062ids"')
    .replace(b'"pr"', rb'"p\u0072"')
    .replace(b'"sz"', rb'"\u0073\u007A"')
    .replace(b'"ts"', rb'"\u0074s"')
    .replace(b'"d"', rb'"\u0064"'),
    "escapes in the symbol": book_frame(s=r'"\u0042TC\u0055SD"'),
    "escapes in numbers": PLAIN.replace(b'"99.5"', rb'"\u00399\u002e5"'),
    "every escape in a skipped string": book_frame(
        more=r',"x":"\"\\\/\b\f\n\r\t\u0000\uFFFF\ud83d"'
    ),
    "every escape in a skipped key": book_frame(more=r',"\"\\\/\b\f\n\r\t\u0000\uFfFf\udc00":0'),
    "UTF-8 of every length in a skipped string": book_frame(
        more=',"x":"\x7f\x80\u07ff\u0800\ud7ff\ue000\ufffd\uffff\U00010000\U0010ffff\u2028"'
    ),
    "numbers of any size where nobody looks": book_frame(
        more=f',"x":[1e999999,-1E-999999,{"9" * 5000},0.{"0" * 5000}1,-0,1.7976931348623157E308]'
    ),
    "a deep value where nobody looks": book_frame(more=',"x":' + "[" * 50 + "]" * 50),
    "deep objects where nobody looks": book_frame(more=',"x":' + '{"":' * 50 + "0" + "}" * 50),
    "many values beside each other": book_frame(more=',"x":[' + "[]," * 5000 + "{}]"),
    "a zero size": book_frame(bids=BIDS[:-1] + ',{"pr":"98","sz":"0"}]'),
    "a zero size first": book_frame(bids='[{"pr":"99.7","sz":"0.00"},' + BIDS[1:]),
    "a zero size at the price of another": book_frame(bids='[{"pr":"99.5","sz":"0"},' + BIDS[1:]),
    "zero sizes at one price": book_frame(bids='[{"pr":"9","sz":0},{"pr":"9","sz":0},' + BIDS[1:]),
    "a zero price": book_frame(asks='[{"pr":"0","sz":"1"},' + ASKS[1:]),
    "zero prices": book_frame(asks='[{"pr":"0.0","sz":"1"},{"pr":0,"sz":"1"},' + ASKS[1:]),
    "a zero with every exponent": book_frame(
        asks='[{"pr":"0e999999999999","sz":1},{"pr":1,"sz":-0.0E-99999999999},' + ASKS[1:]
    ),
    "a size that rounds down to zero": book_frame(bids='[{"pr":"99.7","sz":1e-9},' + BIDS[1:]),
}


@table(SAME_BOOK)
def test_the_same_book(case: bytes) -> None:
    book = OrderBook()
    book.apply(case)
    assert read(book) == (BIDS_READ, ASKS_READ)
    assert (book.symbol, book.ts_ms, book.is_valid) == (SYMBOL, TIME, True)
    assert (book.stats.applied, book.stats.rejected, book.stats.unsorted) == (1, 0, 0)


def test_keys_in_any_order() -> None:
    frames = [f"{{{','.join(order)}}}" for order in permutations(ENVELOPE)]
    frames += [f'{{"d":{{{",".join(order)}}},"dt":5}}' for order in permutations(DATA)]
    assert len(frames) == 6 + 24
    for frame in frames:
        book = OrderBook()
        book.apply(frame.encode())
        assert read(book) == (BIDS_READ, ASKS_READ), frame


# Sides ---------------------------------------------------------------------------------------


def units(*pairs: tuple[str, str]) -> Side:
    return [(int(price) * E8, int(size) * E8) for price, size in pairs]


# bids, asks as sent; bids, asks as read; sides to find in (unsorted, truncated)
SIDES: dict[str, tuple[Any, Any, Any, Any, tuple[int, int]]] = {
    "empty": ([], [], [], [], (0, 0)),
    "bids only": ([("2", "1")], [], units(("2", "1")), [], (0, 0)),
    "asks only": ([], [("2", "1")], [], units(("2", "1")), (0, 0)),
    "all of size zero": ([("2", "0"), ("1", "0")], [("3", "0")], [], [], (0, 0)),
    "bids out of order": (
        [("1", "1"), ("3", "3"), ("2", "2")],
        [("4", "4")],
        units(("3", "3"), ("2", "2"), ("1", "1")),
        units(("4", "4")),
        (1, 0),
    ),
    "asks out of order": (
        [("1", "1")],
        [("5", "5"), ("6", "6"), ("4", "4")],
        units(("1", "1")),
        units(("4", "4"), ("5", "5"), ("6", "6")),
        (1, 0),
    ),
    "both out of order count once": (
        [("1", "1"), ("2", "2")],
        [("4", "4"), ("3", "3")],
        units(("2", "2"), ("1", "1")),
        units(("3", "3"), ("4", "4")),
        (1, 0),
    ),
    "out of order but for zeros": (
        [("1", "0"), ("2", "2"), ("9", "0"), ("1", "1")],
        [],
        units(("2", "2"), ("1", "1")),
        [],
        (0, 0),
    ),
    "100 levels": (
        texts(100, -1),
        texts(100, start=2000),
        units(*texts(100, -1)),
        units(*texts(100, start=2000)),
        (0, 0),
    ),
    "100 levels backwards": (
        texts(100),
        texts(100, -1, start=2000),
        units(*texts(100)[::-1]),
        units(*texts(100, -1, start=2000)[::-1]),
        (1, 0),
    ),
    "101 bids": (texts(101, -1), [], units(*texts(100, -1)), [], (0, 1)),
    "101 asks": ([], texts(101), [], units(*texts(100)), (0, 1)),
    "101 on both sides count once": (
        texts(101, -1),
        texts(101, start=2000),
        units(*texts(100, -1)),
        units(*texts(100, start=2000)),
        (0, 1),
    ),
    "300 bids backwards: the best are last": (
        texts(300),
        [],
        units(*texts(300)[:-101:-1]),
        [],
        (1, 1),
    ),
    "300 asks backwards: the best are last": (
        [],
        texts(300, -1),
        [],
        units(*texts(300, -1)[:-101:-1]),
        (1, 1),
    ),
    "the best ask after 150 others": (
        [],
        [*texts(150), ("1", "7")],
        [],
        units(("1", "7"), *texts(99)),
        (1, 1),
    ),
    "zeros do not count towards 100": (
        [pair for price, size in texts(100, -1) for pair in ((price, size), (price, "0"))],
        [],
        units(*texts(100, -1)),
        [],
        (0, 0),
    ),
    "two at one price past the cut": (
        [],
        [*texts(100), ("5000", "1"), ("5000", "2")],
        [],
        units(*texts(100)),
        (0, 1),
    ),
    "two at one price across the cut: the first is kept": (
        [],
        [*texts(99), ("5000", "1"), ("5000", "2")],
        [],
        units(*texts(99), ("5000", "1")),
        (0, 1),
    ),
    "the same, of bids out of order": (
        [("5", "2"), ("5", "1"), *texts(99)],
        [],
        units(*texts(99)[::-1], ("5", "2")),
        [],
        (1, 1),
    ),
    "crossed": ([("3", "1")], [("2", "1")], units(("3", "1")), units(("2", "1")), (0, 0)),
    "locked": ([("2", "3")], [("2", "4")], units(("2", "3")), units(("2", "4")), (0, 0)),
}


@table(SIDES)
def test_sides(case: tuple[Any, Any, Any, Any, tuple[int, int]]) -> None:
    sent_bids, sent_asks, bids, asks, counts = case
    applied, loaded = OrderBook(), OrderBook()
    applied.apply(book_frame(levels(*sent_bids), levels(*sent_asks)))
    loaded.load(sent_bids, sent_asks)
    for book in applied, loaded:
        assert read(book) == (bids, asks)
        assert (book.stats.unsorted, book.stats.truncated) == counts
        assert (book.bid_count, book.ask_count) == (len(bids), len(asks))


# Numbers -------------------------------------------------------------------------------------

LARGEST = 2**63 - 1

# JSON text: units of 1e-8, or None where only a size may be so (it is rounded down)
NUMBERS = {
    "1": E8,
    '"1"': E8,
    '"1.50"': 150_000_000,
    '"180.30200000"': 18_030_200_000,
    '"0.40000000 "': 40_000_000,
    '"1 "': E8,
    '" 1"': E8,
    '"   1.5   "': 150_000_000,
    r'"\u0031\u0020"': E8,
    "1.05E-4": 10_500,
    '"1.05E-4"': 10_500,
    "1e0": E8,
    "1E+1": 10 * E8,
    "1e-00008": 1,
    "12e+01": 120 * E8,
    "0.00000001": 1,
    '"1E-8"': 1,
    "0.1e-7": 1,
    "100e-10": 1,
    "0.000000010000000000000000000": 1,
    "1.0000000000000000000000000000000000000000000": E8,
    "100000000000000000000e-20": E8,
    "0.00000000000000000001e20": E8,
    f'"{"0." + "0" * 400}1e401"': E8,
    f'"1{"0" * 400}e-400"': E8,
    "92233720368.54775807": LARGEST,
    '"92233720368.54775807"': LARGEST,
    "9223372036854775807e-8": LARGEST,
    "0.9223372036854775807e11": LARGEST,
    "92233720368.547758070000000": LARGEST,
    "92233720368": 92_233_720_368 * E8,
}

# JSON text: what a size becomes; the same as a price is refused
ROUNDED_SIZES = {
    "0.30000000000000004": 30_000_000,
    '"0.30000000000000004"': 30_000_000,
    "1.000000019": 100_000_001,
    "1.999999999": 199_999_999,
    "123456789e-9": 12_345_678,
    "19e-9": 1,
    "92233720368.547758069": LARGEST - 1,
    "1e-9": None,  # a level of size 0 is skipped
    "0.000000009999999": None,
    '"1e-99999999999"': None,
    "1e-4294967296": None,
    "1e-18446744073709551616": None,
    f"0.{'0' * 400}1": None,
}

ZEROS = (
    "0 0.0 -0 -0.0 0E-8 0e+8 -0E0 0e999999999999 0.0e-999999999999 0e99999999999999999999".split()
)

REFUSED_NUMBERS = {
    **{name: name for name in "92233720368.54775808 9223372036854775808e-8 1e11 1e400".split()},
    "just over as a size to round": "92233720368.547758071",
    "2**64": "184467440737.09551616",
    "2**64 + 1 unit": '"184467440737.09551617"',
    "huge exponent": "1e999999999999",
    "exponent of 2**32": "1e4294967296",
    "exponent of 2**64": "1e18446744073709551616",
    "exponent past 64 bits": '"1e99999999999999999999999"',
    "many digits": "9" * 400,
    **{
        name: name
        for name in "-1 -0.5 -1e-9 -1e-99999999999 -92233720368.54775808 -1e999999999999".split()
    },
    "quoted negative": '"-1"',
    "empty": '""',
    "blank": '" "',
    "plus": '"+1"',
    "leading zero": '"01"',
    "negative leading zero": '"-01"',
    "no whole part": '".5"',
    "no fraction": '"1."',
    "no fraction before exponent": '"1.e5"',
    "no exponent": '"1e"',
    "signed no exponent": '"1e+"',
    "fractional exponent": '"1e1.5"',
    "hexadecimal": '"0x1"',
    "quoted NaN": '"NaN"',
    "quoted Infinity": '"Infinity"',
    "quoted null": '"null"',
    "two numbers": '"1 2"',
    "blank inside": '"1 .5"',
    "blank after minus": '"- 1"',
    "minus": '"-"',
    "two minuses": '"--0"',
    "two points": '"1.0.0"',
    "comma": '"1,0"',
    "underscore": '"1_0"',
    "letters after": '"1x"',
    "tab": r'"1\t"',
    "newline": r'"\n1"',
    "no-break space": '"1\u00a0"',
    "NUL": r'"1\u0000"',
    "other digits": '"\u0661"',
    "lone surrogate": r'"1\ud800"',
    "quote": r'"\"1\""',
    "null": "null",
    "true": "true",
    "false": "false",
    "array": "[]",
    "array of a number": '["1"]',
    "object": "{}",
    "object with a number": '{"pr":"1"}',
    "bare NaN": "NaN",
    "bare Infinity": "Infinity",
    "bare -Infinity": "-Infinity",
    "bare plus": "+1",
    "bare leading zero": "01",
    "bare no whole part": ".5",
    "bare no fraction": "1.",
    "bare no exponent": "1e",
    "bare hexadecimal": "0x1",
    "bare minus": "-",
    "nothing": "",
}


@pytest.mark.parametrize("text", NUMBERS)
def test_numbers_are_exact(text: str) -> None:
    for key in "sz", "v":
        book = OrderBook()
        book.apply(bid_number(text, key))
        assert book.best_bid_size_e8 == NUMBERS[text]
        assert book.stats.inexact == 0
    book = OrderBook()
    book.apply(bid_number(text))
    assert book.best_bid_e8 == NUMBERS[text]


@pytest.mark.parametrize("text", ROUNDED_SIZES)
def test_a_size_is_rounded_down_and_counted(text: str) -> None:
    book = OrderBook()
    book.apply(bid_number(text, "sz"))
    assert book.best_bid_size_e8 == ROUNDED_SIZES[text]
    assert book.bid_count == (ROUNDED_SIZES[text] is not None)
    assert book.stats.inexact == 1


@pytest.mark.parametrize("text", ROUNDED_SIZES)
def test_a_price_is_never_rounded(text: str) -> None:
    with pytest.raises(DecodeError):
        OrderBook().apply(bid_number(text))


def test_inexact_counts_sizes() -> None:
    book = OrderBook()
    three = [("3", "0.1234567891"), ("2", "1"), ("1", "1e-9")]
    book.apply(book_frame(levels(*three), levels(("4", "1.000000001"))))
    assert book.stats.inexact == 3
    book.load(three, [])
    assert book.stats.inexact == 5


@pytest.mark.parametrize("text", ZEROS)
@pytest.mark.parametrize("form", ["{}", '"{}"', '" {} "'])
@pytest.mark.parametrize("key", ["pr", "sz", "v"])
def test_zero_is_zero_whatever_its_exponent(text: str, form: str, key: str) -> None:
    book = OrderBook()
    book.apply(bid_number(form.format(text), key))
    assert book.bid_count == 0
    assert book.stats.inexact == 0


@table(REFUSED_NUMBERS)
@pytest.mark.parametrize("key", ["pr", "sz", "v"])
def test_numbers_that_are_refused(case: str, key: str) -> None:
    refuse(bid_number(case, key))

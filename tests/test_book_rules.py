"""What `OrderBook.apply` accepts and what it refuses: contract sections 1 and 2, rule by rule."""

import json
import re
from itertools import permutations
from typing import Any

import pytest

from coincall_fast import OrderBook
from coincall_fast.errors import DecodeError, SymbolMismatch
from model_book import observe
from strategies import ASKS, BIDS, ODD_NUMBERS, SYMBOL, TIME, book_frame, levels

E8 = 10**8
Side = list[tuple[int, int]]

BIDS_READ = [(9_950_000_000, 2 * E8), (99 * E8, E8)]
ASKS_READ = [(10_050_000_000, E8), (101 * E8, 4 * E8)]


def read(book: OrderBook) -> tuple[Side, Side]:
    bid, bid_size, ask, ask_size = book.snapshot().tolist()
    return (
        list(zip(bid, bid_size, strict=True))[: book.bid_count],
        list(zip(ask, ask_size, strict=True))[: book.ask_count],
    )


def table(cases: dict[str, Any]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("case", cases.values(), ids=cases.keys())


def level(pairs: str) -> str:
    return f"[{{{pairs}}}]"


def bid_number(token: str, key: str = "pr") -> bytes:
    """A frame with one bid, one number of which is this JSON text."""
    other = '"pr":1' if key != "pr" else '"sz":1'
    return book_frame(level(f'"{key}":{token},{other}'), "[]")


# Whole frames that say what book_frame() says ------------------------------------------------

PLAIN = book_frame()
ENVELOPE = ['"dt":5', '"c":20', f'"d":{{"s":"{SYMBOL}","asks":{ASKS},"bids":{BIDS},"ts":{TIME}}}']
DATA = [f'"s":"{SYMBOL}"', f'"asks":{ASKS}', f'"bids":{BIDS}', f'"ts":{TIME}']
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


def texts(count: int, step: int = 1, start: int = 1000) -> list[tuple[str, str]]:
    return [(str(start + step * n), str(n + 1)) for n in range(count)]


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


# Refusals ------------------------------------------------------------------------------------


def refuse(frame: bytes | str) -> None:
    """It is a DecodeError to an unbound book and to one that holds levels, and leaves no trace."""
    held = OrderBook()
    held.apply(book_frame(levels(("7", "7"), ("6", "6")), levels(("8", "8")), ts="1"), 5)
    for book in OrderBook(), held:
        before = observe(book)
        length = len(frame.encode("utf-8", "replace") if isinstance(frame, str) else frame)
        with pytest.raises(DecodeError) as error:
            book.apply(frame, 6)
        assert 0 <= error.value.offset <= length
        after = observe(book)
        assert after.pop("stats") == (*before.pop("stats")[:6], 1, 0)
        assert after == before


def without(pair: str) -> bytes:
    """The plain frame without one pair and its comma."""
    text = PLAIN.decode()
    assert pair in text
    return text.replace(pair + ",", "").replace("," + pair, "").encode()


SYNTAX = {
    "empty": b"",
    "white space": b" \n",
    "null": b"null",
    "array": b"[" + PLAIN + b"]",
    "string": json.dumps(PLAIN.decode()).encode(),
    "number": b"5",
    "empty object": b"{}",
    "garbage after": PLAIN + b"x",
    "another frame after": PLAIN + PLAIN,
    "bracket after": PLAIN + b"}",
    "comma after": PLAIN + b",",
    "NUL after": PLAIN + b"\0",
    "garbage before": b"x" + PLAIN,
    "byte order mark": b"\xef\xbb\xbf" + PLAIN,
    "UTF-16": PLAIN.decode().encode("utf-16"),
    "UTF-16, no mark": PLAIN.decode().encode("utf-16-le"),
    "form feed as space": b"\f" + PLAIN,
    "vertical tab as space": PLAIN.replace(b",", b",\v", 1),
    "no-break space as space": PLAIN.replace(b",", b",\xc2\xa0", 1),
    "comment": PLAIN.replace(b",", b",/**/", 1),
    "trailing comma in the envelope": PLAIN[:-1] + b",}",
    "trailing comma in the data": PLAIN[:-2] + b",}}",
    "trailing comma in a side": book_frame(bids=BIDS[:-1] + ",]"),
    "trailing comma in a level": book_frame(bids=level('"pr":1,"sz":1,')),
    "comma first in a side": book_frame(bids="[," + BIDS[1:]),
    "comma first in a level": book_frame(bids=level(',"pr":1,"sz":1')),
    "only a comma in a side": book_frame(bids="[,]"),
    "two commas": PLAIN.replace(b",", b",,", 1),
    "no comma between pairs": PLAIN.replace(b",", b" ", 1),
    "no comma between levels": PLAIN.replace(b"},{", b"} {"),
    "no colon": PLAIN.replace(b'"pr":', b'"pr" ', 1),
    "two colons": PLAIN.replace(b'"pr":', b'"pr"::', 1),
    "equals sign": PLAIN.replace(b'"pr":', b'"pr"=', 1),
    "key without quotes": PLAIN.replace(b'"pr"', b"pr", 1),
    "single quotes": PLAIN.replace(b'"', b"'"),
    "number as a key": PLAIN.replace(b'"pr"', b"1", 1),
    "brackets swapped": PLAIN.replace(b"]", b"}", 1),
    "bracket missing": PLAIN.replace(b"]", b"", 1),
    "a skipped array that closes as an object": book_frame(more=',"x":[1}'),
    "a skipped object that closes as an array": book_frame(more=',"x":{"a":1]'),
    "a skipped array never closed": book_frame(more=',"x":[1'),
    "a skipped object without a value": book_frame(more=',"x":{"a"}'),
    "a skipped object without a key": book_frame(more=',"x":{:1}'),
    "a skipped object with a trailing comma": book_frame(more=',"x":{"a":1,}'),
    "a skipped array with a trailing comma": book_frame(more=',"x":[1,]'),
    "a key without a value": book_frame(more=',"x":'),
    "deep and never closed": book_frame(more=',"x":' + "[" * 1_000_000),
    "deep objects never closed": b'{"dt":' * 200_000,
}

SKIPPED_VALUES = {
    name: name
    for name in "nul nulls True tru falsE NaN -NaN Infinity -Infinity undefined 01 -01 00 1. .5 +1 "
    "-.5 - -- 1e 1e+ 1E- 1.e1 1.5.5 0x10 1_0 0b1 1e5.5 1d 'a' a".split()
} | {
    "unclosed string": '"x',
    "control character": '"\x00"',
    "newline in a string": '"\n"',
    "tab in a string": '"\t"',
    "last control character": '"\x1f"',
    "unknown escape": r'"\x41"',
    "escaped quote": r'"\'"',
    "upper case escape": r'"\N"',
    "escape at the end": '"\\',
    "short \\u": r'"\u12"',
    "\\u of no digits": r'"\u"',
    "\\u of other letters": r'"\u12G4"',
    "\\u with a sign": r'"\u+123"',
    "\\u with a space": r'"\u 123"',
    "upper case \\U": r'"\U00000041"',
    "lone surrogate, then a short \\u": r'"\ud83d\ude"',
}

INVALID_UTF8 = {
    "continuation alone": b"\x80",
    "last continuation alone": b"\xbf",
    "two bytes cut": b"\xc3",
    "three bytes cut": b"\xe2\x82",
    "four bytes cut": b"\xf0\x9f\x93",
    "two bytes, no continuation": b"\xc3A",
    "three bytes, no continuation": b"\xe2\x82A",
    "overlong of two": b"\xc0\x80",
    "overlong of two, last": b"\xc1\xbf",
    "overlong of three": b"\xe0\x80\x80",
    "overlong of three, last": b"\xe0\x9f\xbf",
    "overlong of four": b"\xf0\x80\x80\x80",
    "overlong of four, last": b"\xf0\x8f\xbf\xbf",
    "surrogate": b"\xed\xa0\x80",
    "last surrogate": b"\xed\xbf\xbf",
    "surrogate pair": b"\xed\xa0\xbd\xed\xb3\x88",
    "past U+10FFFF": b"\xf4\x90\x80\x80",
    "five bytes": b"\xf8\x88\x80\x80\x80",
    "fe": b"\xfe",
    "ff": b"\xff",
    "latin-1": b"\xe9t\xe9",
}


@table(SYNTAX)
def test_no_json(case: bytes) -> None:
    refuse(case)


@table(SKIPPED_VALUES)
def test_no_json_where_nobody_looks(case: str) -> None:
    refuse(book_frame(more=f',"x":{case}'))
    refuse(book_frame(more_data=f',"x":[{case}]'))
    refuse(book_frame(bids=level(f'"pr":1,"sz":1,"x":{{"y":{case}}}')))
    refuse(book_frame().replace(b'"c":20', f'"c":{case}'.encode()))
    if case.startswith('"'):
        refuse(book_frame(more=f",{case}:0"))


@table(INVALID_UTF8)
def test_invalid_utf8(case: bytes) -> None:
    places = (
        book_frame(more=',"x":"@"'),
        book_frame(more=',"x":"' + "a" * 40 + '@"'),
        book_frame(more=',"@":0'),
        book_frame(more_data=',"x":[{"y":"@ and more"}]'),
        book_frame(bids=level('"pr":1,"sz":1,"@":0')),
        book_frame(bids=level('"pr":"1@","sz":1')),
        book_frame(s='"@"'),
        book_frame(more=",@"),
    )
    for frame in places:
        refuse(frame.replace(b"@", case))


SHAPE = {
    "no dt": without('"dt":5'),
    "dt twice": book_frame(more=',"dt":5'),
    "dt of both products": book_frame(more=',"dt":32'),
    "dt twice, once escaped": book_frame(more=r',"\u0064t":5'),
    **{
        f"dt {dt}": book_frame(dt=dt)
        for dt in '"5" "" 5.0 5e0 50e-1 05 -5 +5 0 3 4 6 31 33 50 55 325 null true [5] {}'.split()
    },
    "dt past 64 bits": book_frame(dt=str(2**64 + 5)),
    "dt past 32 bits": book_frame(dt=str(2**32 + 5)),
    "no d": b'{"dt":5,"c":20}',
    "d twice": PLAIN[:-1] + b"," + ENVELOPE[2].encode() + b"}",
    **{f"d {d}": f'{{"dt":5,"d":{d}}}'.encode() for d in 'null [] "x" 1 true {}'.split()},
    "d in an array": PLAIN.replace(b'"d":{', b'"d":[{').replace(b"}}", b"}]}"),
    "d as a string": b'{"dt":5,"d":' + json.dumps(f"{{{','.join(DATA)}}}").encode() + b"}",
    "the data without an envelope": f"{{{','.join(DATA)}}}".encode(),
    **{f"no {pair[:7]}": without(pair) for pair in DATA},
    **{f"{pair[:7]} twice": book_frame(more_data="," + pair) for pair in DATA},
    "s of two values": book_frame(more_data=',"s":"ETHUSD"'),
    "bids twice, once empty": book_frame(more_data=',"bids":[]'),
    "asks twice, once null": book_frame(more_data=',"asks":null'),
    "ts twice, once escaped": book_frame(more_data=r',"\u0074s":1'),
    "bids twice, once escaped": book_frame(more_data=r',"b\u0069ds":[]'),
    **{f"s {s}": book_frame(s=s) for s in '"" null 1 true [] {} ["BTCUSD"]'.split()},
    "s with a lone surrogate": book_frame(s=r'"BTC\ud83d"'),
    "s with a lone low surrogate": book_frame(s=r'"\udcc8USD"'),
    "s with its surrogates swapped": book_frame(s=r'"\udcc8\ud83d"'),
    "s with two high surrogates": book_frame(s=r'"\ud83d\ud83d\udcc8"'),
    "s with a broken escape": book_frame(s=r'"BTC\USD"'),
    "s with a short escape": book_frame(s=r'"BTC\u12"'),
    "s with a control character": book_frame(s='"BTC\x01"'),
    **{
        f"{side} {value}": book_frame(**{side: value})
        for side in ("bids", "asks")
        for value in 'null {} "" 0 true "[]" [null] [[]] ["1"] [1] [{}] [["1","2"]]'.split()
    },
    "a side in a side": book_frame(bids=f"[{BIDS}]"),
    "a side as an object": book_frame(bids='{"pr":"1","sz":"1"}'),
    "a side as a string": book_frame(bids=json.dumps(BIDS)),
    **{
        f"ts {ts}": book_frame(ts=ts)
        for ts in 'null "1" -1 -0 +1 1.0 1. 1e3 1E3 01 00 0x1 "" true [] {} NaN'.split()
    },
    "ts of 19 digits": book_frame(ts="1" * 19),
    "ts of 19 digits, most of them 0": book_frame(ts="1" + "0" * 18),
    "ts of 40 digits": book_frame(ts="1" * 40),
}

LEVELS = {
    "no price": '"sz":1',
    "no size": '"pr":1',
    "price twice": '"pr":1,"pr":1,"sz":1',
    "price twice, apart": '"pr":1,"sz":1,"pr":2',
    "price twice, once escaped": r'"pr":1,"sz":1,"p\u0072":1',
    "size twice": '"pr":1,"sz":1,"sz":1',
    "v twice": '"pr":1,"v":1,"v":2',
    "sz and v": '"pr":1,"sz":1,"v":1',
    "v and sz": '"v":1,"sz":1,"pr":1',
    "v null beside sz": '"pr":1,"sz":1,"v":null',
    "sz and v, once escaped": r'"pr":1,"sz":1,"\u0076":1',
    "the full names": '"price":1,"size":1',
    "other case": '"PR":1,"SZ":1',
    "key with a blank": '"pr ":1,"sz":1',
    "key with NUL": r'"pr\u0000":1,"sz":1',
    "no price where size is 0": '"sz":0',
    "no size where price is 0": '"pr":0',
    "inexact price of size 0": '"pr":1e-9,"sz":0',
    "negative size at price 0": '"pr":0,"sz":-1',
    "size too large at price 0": '"pr":0,"sz":1e11',
    "negative price of size 0": '"pr":-1,"sz":0',
}

BAD_SIDES = {
    "two at one price": levels(("1", "1"), ("1", "2")),
    "the same level twice": levels(("1", "1"), ("1", "1")),
    "one price in two spellings": levels(("1", "1"), ("1.0", "1")),
    "one price, and an exponent": levels(("10", "1"), ("1e1", "1")),
    "two at one price, apart": levels(("1", "1"), ("2", "1"), ("1", "2")),
    "two at one price, zero between": levels(("1", "1"), ("1", "0"), ("1", "2")),
    "three at one price": levels(("1", "1"), ("1", "1"), ("1", "1")),
    "the 100 best with two at one price": levels(("1050", "1"), *texts(100)),
    "a bad number after 100 good ones": levels(*texts(100), ("x", "1")),
    "a negative price after 100 good ones": levels(*texts(100), ("-1", "1")),
    "a bad size after 300 good ones": levels(*texts(300), ("1", "")),
    "a bad level after 300 good ones": levels(*texts(300))[:-1] + ",[]]",
}


@table(SHAPE)
def test_wrong_shape(case: bytes) -> None:
    refuse(case)


@table(LEVELS)
def test_wrong_levels(case: str) -> None:
    refuse(book_frame(bids=level(case)))
    refuse(book_frame(asks=level(case)))
    refuse(book_frame(asks=ASKS[:-1] + "," + level(case)[1:]))


@table(BAD_SIDES)
def test_wrong_sides(case: str) -> None:
    refuse(book_frame(bids=case))
    refuse(book_frame(asks=case))


@pytest.mark.parametrize("end", range(0, len(PLAIN), 5))
def test_truncated(end: int) -> None:
    refuse(PLAIN[:end])


@pytest.mark.parametrize(
    "deep", ["[" * 100_000 + "]" * 100_000, '{"":' * 50_000 + "0" + "}" * 50_000]
)
def test_nesting_is_a_matter_of_size_not_of_the_stack(deep: str) -> None:
    book = OrderBook()
    try:
        book.apply(book_frame(more=f',"x":{deep}'))
    except DecodeError:
        assert book.update_count == 0
    else:
        assert read(book) == (BIDS_READ, ASKS_READ)


# ts, symbol, and the order of the checks -----------------------------------------------------


@pytest.mark.parametrize("ts", [0, 1, 9, TIME, 20_201_116_024_818, 10**17, 10**18 - 1])
def test_times(ts: int) -> None:
    book = OrderBook()
    book.apply(book_frame(ts=str(ts)))
    assert book.ts_ms == ts


@pytest.mark.parametrize(
    ("token", "symbol"),
    [
        ('"BTCUSD-26OCT22-15000.50-C"', "BTCUSD-26OCT22-15000.50-C"),
        (r'"\u0042\u0054C"', "BTC"),
        (r'"a\"\\\/\b\f\n\r\t"', 'a"\\/\b\f\n\r\t'),
        ('"\u00e9\u20ac\U0001f4c8"', "\u00e9\u20ac\U0001f4c8"),
        (r'"\u00e9\u20AC\ud83d\udcc8"', "\u00e9\u20ac\U0001f4c8"),
        (r'"\ud83d\udcc8\uD83D\uDCC8"', "\U0001f4c8\U0001f4c8"),
        (r'"\uffff\ue000\ud7ff"', "\uffff\ue000\ud7ff"),
        ('" "', " "),
        (r'"a\u0000b"', "a\0b"),
        (f'"{"X" * 60}"', "X" * 60),
    ],
    ids=str.split("venue ascii short UTF-8 surrogates astral bmp blank NUL long"),
)
def test_symbols(token: str, symbol: str) -> None:
    unbound, bound = OrderBook(), OrderBook(symbol)
    for book in unbound, bound:
        book.apply(book_frame(s=token))
        assert book.symbol == symbol
        book.apply(book_frame(s=json.dumps(symbol)))
        book.apply(book_frame(s=json.dumps(symbol, ensure_ascii=False)))
        with pytest.raises(SymbolMismatch):
            book.apply(book_frame(s='"BTCUSD"'))
    with pytest.raises(SymbolMismatch):
        OrderBook("BTCUSD").apply(book_frame(s=token))


@pytest.mark.parametrize("other", ["BTCUSDT", "BTCUS", "btcusd", "ETHUSD", "BTCUSD ", "BTCUSD\0"])
def test_another_symbol_is_refused_and_counted(other: str) -> None:
    book = OrderBook()
    book.apply(book_frame(), 5)
    before = observe(book)
    with pytest.raises(SymbolMismatch):
        book.apply(book_frame(levels(("1", "1")), "[]", s=json.dumps(other)), 6)
    after = observe(book)
    assert after.pop("stats") == (1, 0, 0, 0, 0, 0, 1, 0)
    before.pop("stats")
    assert after == before


def test_a_refused_frame_does_not_bind_the_symbol() -> None:
    book = OrderBook()
    with pytest.raises(DecodeError):
        book.apply(book_frame(asks="[1]"))
    assert book.symbol is None
    book.apply(book_frame(s='"ETHUSD"'))
    assert book.symbol == "ETHUSD"


@pytest.mark.parametrize("clear", [False, True], ids=["held", "cleared"])
def test_the_symbol_stays(clear: bool) -> None:
    book = OrderBook()
    book.apply(book_frame())
    if clear:
        book.clear()
    with pytest.raises(SymbolMismatch):
        book.apply(book_frame(s='"ETHUSD"'))
    assert book.symbol == SYMBOL


OTHER, OLD = {"s": '"ETHUSD"'}, {"ts": str(TIME - 1)}


@pytest.mark.parametrize(
    ("frame", "outcome"),
    [
        (book_frame(bids="[1]", **OTHER, **OLD), DecodeError),
        (book_frame(bids=levels(("1", "1"), ("1", "1")), **OTHER, **OLD), DecodeError),
        (book_frame(**OTHER, **OLD) + b"x", DecodeError),
        (book_frame(more_data=',"s":"x"', **OTHER, **OLD), DecodeError),
        (book_frame(bids="[1]", **OLD), DecodeError),
        (book_frame(**OLD) + b"x", DecodeError),
        (book_frame(more=',"dt":5', **OLD), DecodeError),
        (book_frame(**OTHER, **OLD), SymbolMismatch),
        (book_frame(**OTHER), SymbolMismatch),
    ],
    ids=lambda value: value.__name__ if isinstance(value, type) else None,
)
def test_validity_then_symbol_then_age(frame: bytes, outcome: type[Exception]) -> None:
    book = OrderBook()
    book.apply(book_frame())
    with pytest.raises(outcome):
        book.apply(frame)
    assert (book.stats.rejected, book.stats.stale) == (1, 0)


def test_an_older_frame_is_not_applied() -> None:
    book = OrderBook()
    book.apply(book_frame(), 5)
    before = observe(book)
    assert book.apply(book_frame(levels(("1", "1")), "[]", ts=str(TIME - 1)), 6) == 0
    after = observe(book)
    assert after.pop("stats") == (1, 0, 1, 0, 0, 0, 0, 0)
    before.pop("stats")
    assert (before.pop("last_change"), after.pop("last_change")) == (31, 0)
    assert after == before


@pytest.mark.parametrize("later", [0, 1, 10**17])
def test_an_equal_or_later_frame_is_applied(later: int) -> None:
    book = OrderBook()
    book.apply(book_frame())
    book.apply(book_frame(levels(("1", "1")), "[]", ts=str(TIME + later)))
    assert read(book) == ([(E8, E8)], [])
    assert book.ts_ms == TIME + later
    assert book.stats.stale == 0


def test_unsorted_and_truncated_count_applied_frames_only() -> None:
    side = levels(*texts(101))
    book = OrderBook()
    book.apply(book_frame(side, "[]"))
    assert (book.stats.unsorted, book.stats.truncated) == (1, 1)
    book.apply(book_frame(side, "[]", ts="1"))
    with pytest.raises(DecodeError):
        book.apply(book_frame(side, "[]") + b"x")
    with pytest.raises(SymbolMismatch):
        book.apply(book_frame(side, "[]", s='"ETHUSD"'))
    assert (book.stats.unsorted, book.stats.truncated) == (1, 1)
    assert (book.stats.stale, book.stats.rejected) == (1, 2)


# What a frame may be -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "kind", [bytes, bytearray, memoryview, bytes.decode], ids=lambda k: k.__name__
)
def test_types_of_frames(kind: Any) -> None:
    book = OrderBook()
    book.apply(kind(book_frame(s='"\u00e9"')))
    assert read(book) == (BIDS_READ, ASKS_READ)
    assert book.symbol == "\u00e9"


def test_a_slice_of_a_larger_buffer() -> None:
    book = OrderBook()
    book.apply(memoryview(b"xx" + PLAIN + b"}}yy")[2 : 2 + len(PLAIN)])
    assert read(book) == (BIDS_READ, ASKS_READ)


def test_a_bytearray_is_free_again() -> None:
    frame = bytearray(PLAIN)
    OrderBook().apply(frame)
    frame += b"x"  # BufferError while anybody holds it
    with pytest.raises(DecodeError):
        OrderBook().apply(frame)
    frame += b"x"


@pytest.mark.parametrize(
    "frame",
    [
        None,
        5,
        5.0,
        [PLAIN],
        json.loads(PLAIN),
        object(),
        memoryview(PLAIN * 2)[::2],
        memoryview(PLAIN)[::-1],
    ],
    ids=lambda frame: type(frame).__name__,
)
def test_other_types_are_a_type_error(frame: Any) -> None:
    book = OrderBook()
    with pytest.raises(TypeError):
        book.apply(frame)
    assert book.update_count == 0


@pytest.mark.parametrize(
    "text", ["\ud800", PLAIN.decode() + "\udc80", PLAIN.decode()[:-1] + ',"\ud83d":1}']
)
def test_a_str_that_cannot_be_encoded(text: str) -> None:
    refuse(text)


@pytest.mark.parametrize("as_text", [False, True], ids=["bytes", "str"])
def test_offsets_count_bytes(as_text: bool) -> None:
    frame = book_frame(s='"\u20ac\u20ac"', bids='[{"pr":x').decode()
    with pytest.raises(DecodeError) as error:
        OrderBook().apply(frame if as_text else frame.encode())
    assert error.value.offset == frame.encode().index(b"x")


@pytest.mark.parametrize("cut", [b'"ts"', b'"bids"', b'"99.5'])
def test_the_offset_of_a_truncation_is_near_its_end(cut: bytes) -> None:
    frame = PLAIN[: PLAIN.index(cut) + len(cut)]
    with pytest.raises(DecodeError) as error:
        OrderBook().apply(frame)
    assert len(frame) - len(cut) <= error.value.offset <= len(frame)


@pytest.mark.parametrize(
    ("frame", "symbol"),
    [
        (book_frame(bids="[1]"), SYMBOL),
        (book_frame(s=r'"\u20ac"', bids="[1]"), "\u20ac"),
        (PLAIN + b"x", SYMBOL),
        (b"x", None),
        (book_frame(s="1"), None),
        (book_frame(s=r'"BTC\x"'), None),
        (book_frame(s='"BTC\n"'), None),
        (b'{"dt":5,"d":{"s":"BTC', None),
        (b'{"dt":5,"d":{"bids":[1],"s":"BTCUSD","asks":[],"ts":1}}', None),
    ],
    ids=["level", "escaped", "after", "before", "no text", "escape", "control", "cut", "later"],
)
def test_the_error_names_the_symbol_if_it_was_read(frame: bytes, symbol: str | None) -> None:
    with pytest.raises(DecodeError) as error:
        OrderBook("ADAUSD").apply(frame)
    assert error.value.symbol == symbol
    assert error.value.reason


def test_odd_numbers_are_odd() -> None:
    """The numbers that the model tests put into frames are some of each kind."""
    outcomes = set()
    for token in ODD_NUMBERS:
        for key in "pr", "sz":
            book = OrderBook()
            try:
                book.apply(bid_number(token, key))
            except DecodeError:
                outcomes.add(f"{key} refused")
            else:
                outcomes.add(f"{key} {'kept' if book.bid_count else 'skipped'}")
    assert len(outcomes) == 6

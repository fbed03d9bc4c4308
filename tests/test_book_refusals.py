"""What `OrderBook.apply` refuses, in which order, and what a frame may be: contract section 2."""

import json
from typing import Any

import pytest

from coincall_fast import OrderBook
from coincall_fast.errors import DecodeError, SymbolMismatch
from model_book import observe
from strategies import ASKS, BIDS, ODD_NUMBERS, SYMBOL, TIME, book_frame, levels
from tables import (
    ASKS_READ,
    BIDS_READ,
    DATA,
    E8,
    ENVELOPE,
    PLAIN,
    bid_number,
    level,
    read,
    refuse,
    table,
    texts,
)

# Refusals ------------------------------------------------------------------------------------


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

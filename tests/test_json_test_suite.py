"""JSONTestSuite: what is JSON and what is none, judged by somebody else (data/*.LICENSE).

A file begins with y_ (a parser must accept it), n_ (it must refuse it) or i_ (RFC 8259 leaves it
open; then Python's own parser decides, on strict UTF-8).
"""

import json
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from coincall_fast import BookStore, OrderBook, decode
from coincall_fast.errors import DecodeError
from coincall_fast.message import UnknownMessage
from model_book import Refused, observe, parse
from strategies import SYMBOL, book_frame
from tables import ASKS_READ, BIDS_READ, level, read, refuse

DEEP = "i_structure_500_nested_arrays"  # past 64 a frame may be refused
MANY = 10_000  # bytes; a longer file is nested deeper than Python's parser can follow


def files() -> dict[str, bytes]:
    path = Path(__file__).parent / "data" / "json_test_suite.jsonl"
    return {
        row["name"]: content(row)
        for row in map(json.loads, path.read_text(encoding="utf-8").splitlines())
    }


def content(row: dict[str, Any]) -> bytes:
    if "hex" in row:
        return bytes.fromhex(row["hex"])
    pieces: list[tuple[str, int]] = row.get("repeated") or [(row["text"], 1)]
    return "".join(text * times for text, times in pieces).encode()


FILES = files()
every_file = pytest.mark.parametrize("name", FILES)

# As the value of an unknown key, where the venue could put one: last, first, and in between.
MARK = '"@"'
PLACES = [
    book_frame(more=f',"x":{MARK}'),
    b'{"x":"@",' + book_frame()[1:],
    book_frame(more_data=f',"x":{MARK}'),
    book_frame().replace(b'"asks"', b'"x":"@","asks"'),
    book_frame(bids=level(f'"x":{MARK},"pr":"99.5","sz":"2"')),
    book_frame(asks=level(f'"pr":"100.5","sz":"1","x":{MARK}')),
    book_frame(more=f',"x":[0,{{"y":{MARK},"z":0}}]'),
    book_frame()[:-1].replace(b'{"dt":5,', b'{"x":"@",') + b',"dt":5}',
]


def put(frame: bytes, text: bytes) -> bytes:
    return frame.replace(MARK.encode(), text)


def is_json(text: bytes) -> bool:
    try:
        parse(text)
    except Refused:
        return False
    return True


def must_accept(name: str) -> bool | None:
    """None where a frame may be accepted or refused."""
    if name == DEEP:
        return None
    return is_json(FILES[name]) if name.startswith("i_") else name.startswith("y_")


def test_the_suite_is_whole() -> None:
    assert Counter(name[:2] for name in FILES) == {"y_": 95, "n_": 188, "i_": 35}


def test_python_and_the_suite_agree_on_what_is_json() -> None:
    """So that Python may decide about the i_ files, and about frames with a file in them."""
    for name, text in FILES.items():
        if len(text) < MANY and not name.startswith("i_"):
            assert is_json(text) == name.startswith("y_"), name


@every_file
def test_a_file_alone(name: str) -> None:
    text = FILES[name]
    store = BookStore()
    book = store.feed(book_frame(), 5)
    assert isinstance(book, OrderBook)
    before = observe(book)
    for take in decode, store.feed, lambda frame: BookStore().feed(memoryview(frame)):
        message: Any = None
        with suppress(DecodeError):
            message = take(text)
        if must_accept(name) is not None:
            assert (message is not None) == must_accept(name)
        if message is not None:
            assert message == UnknownMessage(None, json.loads(text.decode()))
    assert (list(store), observe(book)) == ([SYMBOL], before)
    if must_accept(name) is not True:
        refuse(text)


@every_file
def test_a_file_where_nobody_looks(name: str) -> None:
    expected = must_accept(name)
    for place in PLACES:
        frame, plain = put(place, FILES[name]), put(place, b"0")
        if len(frame) < MANY and expected is not None:
            assert is_json(frame) == expected  # what is no value stays none with a frame around it
        book, same = OrderBook(), OrderBook()
        same.apply(plain, 6)
        accepted = True
        try:
            book.apply(frame, 6)
        except DecodeError:
            accepted = False
            refuse(frame)
        assert accepted == expected or expected is None, place
        if accepted:
            assert observe(book) == observe(same)
            assert read(book)[0][0] == BIDS_READ[0]
            assert read(book)[1][0] == ASKS_READ[0]


def strings() -> dict[str, bytes]:
    """The strings among the files, each with its quotes, out of the list that it stands in."""
    inside = {name: text.strip()[1:-1].strip() for name, text in FILES.items() if text[:1] == b"["}
    return {
        name: text
        for name, text in inside.items()
        if len(text) > 1 and text[:1] == text[-1:] == b'"' and len(text) < MANY
    }


STRINGS = strings()


@pytest.mark.parametrize("name", STRINGS)
def test_a_string_as_a_key_and_as_a_symbol(name: str) -> None:
    """Where strings are read in other ways than those that nobody looks at."""
    text = STRINGS[name]
    as_key = put(book_frame(more=',"@":0'), text)
    as_symbol = put(book_frame(s=MARK), text)
    if not is_json(text):
        refuse(as_key)
        refuse(as_symbol)
        return
    book = OrderBook()
    book.apply(as_key)
    assert read(book) == (BIDS_READ, ASKS_READ)
    symbol: str = json.loads(text.decode())
    try:
        symbol.encode()
    except UnicodeEncodeError:  # an escaped surrogate alone is JSON, and the name of nothing
        symbol = ""
    if not symbol:
        refuse(as_symbol)
        return
    book = OrderBook()
    book.apply(as_symbol)
    assert book.symbol == symbol


def test_strings_of_each_kind_are_tried() -> None:
    kinds = Counter(is_json(text) for text in STRINGS.values())
    assert min(kinds[True], kinds[False]) > 20

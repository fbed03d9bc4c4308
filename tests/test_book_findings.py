"""What fuzzing (tests/fuzz) and reviews have found, each as small as it gets."""

import dataclasses
from typing import Any

import pytest

from coincall_fast import BookStore, OrderBook
from coincall_fast.errors import DecodeError, UsageError
from coincall_fast.message import UnknownMessage
from coincall_fast.wire import BYBIT, COINCALL, Role, Wire
from strategies import book_frame, levels
from tables import read

ROWS = '{"price":"99","size":"2","side":"Buy"},{"price":"101","size":"3","side":"Sell"}'


def bybit(topic: str, data: str, time_ms: int = 1) -> bytes:
    return f'{{"topic":"{topic}","creationTime":{time_ms},"data":{{{data}}}}}'.encode()


def test_levels_of_size_zero_come_first_where_others_stood() -> None:
    """The core looked at the level before the first one; the sanitizers of .ci/run see that."""
    book = OrderBook()
    book.apply(book_frame(bids=levels(("9", "1"), ("8", "1"))))
    book.apply(book_frame(bids=levels(("9", "0"), ("8", "0"), ("7", "1"))))
    assert [book.best_bid, book.bid_count] == [7.0, 1]


@pytest.mark.parametrize("topic", [r"\u00ffrderbook100.BTC", r"orderbook100\u00BEBTC"])
def test_a_topic_that_is_another_one_is_another_one(topic: str) -> None:
    """ÿ is o, and ¾ a point, to whoever drops the highest bit."""
    message = BookStore(wire=BYBIT).feed(bybit(topic, f'"orderBook":[{ROWS}]'))
    assert isinstance(message, UnknownMessage)


@pytest.mark.parametrize("symbol", ["BTC", r"\u0042TC", r"BT\u0043"])
def test_a_change_is_one_of_its_book_however_the_symbol_is_spelled(symbol: str) -> None:
    store = BookStore(wire=BYBIT)
    topic = "delta.orderbook100."
    book = store.feed(bybit(topic + "BTC", f'"version":"1","dataType":"NEW","orderBook":[{ROWS}]'))
    change = '"version":"2","dataType":"CHANGE","delete":[{"price":"99","side":"Buy"}]'
    assert store.feed(bybit(topic + symbol, change, 2)) is book
    assert isinstance(book, OrderBook)
    assert read(book) == ([], [(101 * 10**8, 3 * 10**8)])
    assert book.stats.absent == 0


class Misspelled(str):
    """A text with an encoding of its own, and one that is no bytes."""

    __slots__ = ()

    def encode(self, *args: Any, **kwargs: Any) -> Any:
        return 5


def test_a_text_is_encoded_as_text() -> None:
    with pytest.raises(DecodeError, match="UTF-8") as refused:
        OrderBook().apply(Misspelled('{"dt":5,"x":"\ud800"}'))
    assert refused.value.offset == 13
    book = OrderBook(Misspelled("BTCUSD"))
    assert book.apply(book_frame()) == 31


LISTS = {"s": Role.SYMBOL, "t": Role.TIME, "a": Role.ASKS, "b": Role.BIDS}
BOTH = {"s": Role.SYMBOL, "t": Role.TIME, "l": Role.LEVELS}
PLAIN = {"p": Role.PRICE, "z": Role.SIZE}
SIDED = {**PLAIN, "side": Role.SIDE}


@pytest.mark.parametrize(
    ("frame", "data", "level"),
    [
        ({}, {**LISTS, "x": Role.CHANNEL}, PLAIN),
        ({}, {**LISTS, "x": Role.PRICE}, PLAIN),
        ({"s": Role.SYMBOL}, LISTS, PLAIN),
        ({}, LISTS, {**PLAIN, "x": Role.DATA}),
        ({}, BOTH, PLAIN),
        ({}, {**BOTH, "d": Role.DELETE}, PLAIN),
        ({}, {**BOTH, "a": Role.ASKS}, SIDED),
        ({}, {**LISTS, "i": Role.INSERT}, PLAIN),
        ({}, {**LISTS, "k": Role.KIND}, PLAIN),
        ({}, LISTS, SIDED),
        ({}, LISTS, {}),
        ({}, LISTS, {"p": Role.PRICE}),
        ({}, LISTS, {**PLAIN, "q": Role.PRICE}),
        ({}, {"s": Role.SYMBOL, "t": Role.TIME}, PLAIN),
    ],
)
def test_a_wire_that_makes_no_sense_is_refused(
    frame: dict[str, Role], data: dict[str, Role], level: dict[str, Role]
) -> None:
    """Roles where the scanner does not look for them wrote past the ends of its arrays."""
    wire = Wire(
        channels=(5,),
        frame={"dt": Role.CHANNEL, "d": Role.DATA, **frame},
        data=data,
        level=level,
        sides=("b", "a"),
        kinds=("n", "c"),
    )
    for make in OrderBook, BookStore:
        with pytest.raises(UsageError):
            make(wire=wire)


def test_wires_that_make_sense() -> None:
    OrderBook(wire=dataclasses.replace(COINCALL, data=LISTS, level=PLAIN))
    OrderBook(wire=dataclasses.replace(BYBIT, data=BOTH, level=SIDED))

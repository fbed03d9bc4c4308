"""What fuzzing (tests/fuzz) and reading its model have found, each as small as it gets."""

import pytest

from coincall_fast import BookStore, OrderBook
from coincall_fast.model import UnknownMessage
from coincall_fast.wire import BYBIT
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

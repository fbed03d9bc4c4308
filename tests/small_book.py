"""A book of three levels a side that the tests of queries and of state are about."""

from typing import Any

from coincall_fast import OrderBook
from strategies import SYMBOL, TIME, book_frame

E8 = 10**8
NO_AGE = 2**63 - 1
BIDS = [("99", "2"), ("98", "3"), ("90", "5")]
ASKS = [("101", "6"), ("102", "1"), ("110", "0.5")]


def loaded(bids: Any = BIDS, asks: Any = ASKS) -> OrderBook:
    book = OrderBook(SYMBOL)
    book.load(bids, asks, TIME)
    return book


def cleared() -> OrderBook:
    book = OrderBook()
    book.apply(book_frame(), 5)
    book.clear()
    return book


def same(value: Any, expected: Any) -> bool:
    """Equal, `nan` to `nan` included."""
    if isinstance(expected, tuple):
        return len(value) == len(expected) and all(map(same, value, expected))
    return bool(value == expected or (value != value and expected != expected))

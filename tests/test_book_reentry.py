"""Python code that runs in the middle of a call: finalizers, arguments with code of their own."""

import contextlib
import functools
import gc
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from coincall_fast import BookStore, OrderBook
from coincall_fast.errors import CoincallFastError, DecodeError
from strategies import SYMBOL, TIME, book_frame


class Garbage:
    """A cycle that calls back when it is collected."""

    def __init__(self, callback: Callable[[], object]) -> None:
        self.callback, self.me = callback, self

    def __del__(self) -> None:
        with contextlib.suppress(CoincallFastError):
            self.callback()


@contextlib.contextmanager
def collecting_after(allocations: int, callback: Callable[[], object]) -> Iterator[None]:
    """A collector that comes after so many allocations, when there is something to collect."""
    kept = gc.get_threshold()
    gc.collect()
    gc.set_threshold(0)
    Garbage(callback)
    gc.set_threshold(allocations)
    try:
        yield
    finally:
        gc.set_threshold(*kept)


def quoting(price: int, ts: int, symbol: str = SYMBOL) -> bytes:
    """A bid and an ask one above it, and between them a key that has no UTF-8."""
    bids, asks = (f'[{{"pr":{p},"sz":1}}]' for p in (price, price + 1))
    return book_frame(bids, asks, s=f'"{symbol}"', ts=str(ts)).replace(
        b'"bids"', b'"\\ud800":1,"bids"'
    )


KINDS = [bytes, bytearray, memoryview, bytes.decode]


@pytest.mark.parametrize("allocations", range(1, 12))
@pytest.mark.parametrize("kind", KINDS)
def test_a_finalizer_that_writes_the_book_under_a_frame(kind: Any, allocations: int) -> None:
    """What is live afterwards is one frame, and never one that was refused."""
    for last, legal in ((quoting(300, 3), True), (quoting(300, 3)[:-2] + b"!", False)):
        book = OrderBook(SYMBOL)
        book.apply(quoting(100, 1))
        frame = kind(last)
        write = functools.partial(book.apply, quoting(200, 2))
        with contextlib.suppress(DecodeError), collecting_after(allocations, write):
            book.apply(frame)
        held = (book.best_bid, book.best_ask, book.ts_ms)
        assert held in ([(300, 301, 3)] if legal else [(100, 101, 1), (200, 201, 2)])


@pytest.mark.parametrize("allocations", range(1, 12))
def test_a_finalizer_that_writes_the_book_under_a_query(allocations: int) -> None:
    book = OrderBook(SYMBOL)
    book.apply(quoting(100, 1))

    def write_twice() -> None:
        book.apply(quoting(200, 2))
        book.apply(quoting(300, 3))

    with collecting_after(allocations, write_twice):
        depth = book.depth()
    assert depth.bids[0, 0] == depth.ts_ms * 100
    assert depth.asks[0, 0] == depth.ts_ms * 100 + 1


@pytest.mark.parametrize("allocations", range(1, 12))
@pytest.mark.parametrize("symbol", [SYMBOL, "ETHUSD"])
def test_a_finalizer_that_feeds_a_store_while_a_book_is_made(symbol: str, allocations: int) -> None:
    store = BookStore()
    inner: list[Any] = []
    with collecting_after(allocations, lambda: inner.append(store.feed(quoting(200, 2, symbol)))):
        book = store.feed(quoting(100, 1))
    assert isinstance(book, OrderBook)
    assert store[SYMBOL] is book
    if symbol != SYMBOL:
        assert (book.best_bid, book.best_ask, book.ts_ms) == (100, 101, 1)
    elif inner:
        assert inner[0] is book
    for held in store.values():
        assert (held.best_bid, held.best_ask) == (held.ts_ms * 100, held.ts_ms * 100 + 1)


def test_an_argument_that_writes_the_book(book: OrderBook) -> None:
    class Side:
        def __eq__(self, other: object) -> bool:
            book.load([("50", "1")], [("60", "5")], TIME)
            with pytest.raises(DecodeError):
                book.apply(book_frame('[{"pr":"1","sz":"1"}]', '[{"pr":"9","sz":"-1"}]'))
            return other == "buy"

        __hash__ = None  # type: ignore[assignment]

    assert book.sweep(Side(), 1).price == 60.0  # type: ignore[arg-type]

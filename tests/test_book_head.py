"""Frames that begin as the last one did: what they said there is taken over unread."""

import pytest

from coincall_fast import BookStore, OrderBook
from coincall_fast.errors import DecodeError, SymbolMismatch
from strategies import levels
from tables import read

ASKS = levels(("101", "1"))
BIDS = levels(("99", "2"))
ONE = ([(99 * 10**8, 2 * 10**8)], [(101 * 10**8, 10**8)])


def frame(*fields: str, dt: str = '"dt":5', behind: str = "") -> bytes:
    return f'{{{dt},"c":20,"d":{{{",".join(fields)}}}{behind}}}'.encode()


S, TS, A, B = '"s":"BTC"', '"ts":7', f'"asks":{ASKS}', f'"bids":{BIDS}'


def test_the_head_is_not_all_that_must_be_said() -> None:
    book = OrderBook()
    book.apply(frame(A, B, S, TS))
    with pytest.raises(DecodeError) as refused:
        book.apply(frame(A, B, TS))
    assert refused.value.symbol is None
    with pytest.raises(DecodeError):
        book.apply(frame(A, B, S))
    with pytest.raises(DecodeError):
        book.apply(frame(A, TS, S))
    assert read(book) == ONE
    assert (book.ts_ms, book.stats.applied, book.stats.rejected) == (7, 1, 3)


@pytest.mark.parametrize("fields", [(S, TS, A, B), (TS, A, S, B), (A, TS, S, B), (B, A, TS, S)])
def test_what_was_said_there_still_holds_and_may_not_be_said_twice(fields: tuple[str, ...]) -> None:
    book = OrderBook()
    book.apply(frame(*fields))
    empty = [field.replace(BIDS, "[]") for field in fields]
    assert book.apply(frame(*empty)) & 1
    assert (book.ts_ms, read(book)) == (7, ([], ONE[1]))
    for again in S, TS, A, B:
        with pytest.raises(DecodeError):
            book.apply(frame(*fields, again))
    with pytest.raises(DecodeError):
        book.apply(frame(*fields, behind=',"dt":5'))
    assert book.apply(frame(*fields, behind=',"x":{"dt":5}')) & 1


@pytest.mark.parametrize("blank", [" ", "\n\t", ""])
def test_blanks_where_the_head_ends(blank: str) -> None:
    book = OrderBook()
    book.apply(frame(S, A, B, TS))
    wide = f'"asks":{blank}{ASKS}'
    assert book.apply(frame(S, wide, B, TS)) == 0
    assert book.apply(frame(S, A, B, TS)) == 0
    assert book.stats.applied == 3


def test_a_head_that_differs_in_one_byte_is_read() -> None:
    book = OrderBook()
    book.apply(frame(S, TS, A, B))
    with pytest.raises(SymbolMismatch):
        book.apply(frame('"s":"BTD"', TS, A, B))
    book.apply(frame(S, '"ts":8', A, B))
    assert book.ts_ms == 8
    with pytest.raises(DecodeError):
        book.apply(frame(S, '"ts":9', f'"asks";{ASKS}', B))
    with pytest.raises(DecodeError):
        book.apply(frame(S, '"ts":9', A, B, dt='"dt":6'))
    assert read(book) == ONE


def test_a_channel_behind_the_data_is_waited_for() -> None:
    book = OrderBook()
    for _ in range(3):
        book.apply(frame(S, TS, A, B, dt='"x":0', behind=',"dt":5'))
    with pytest.raises(DecodeError):
        book.apply(frame(S, TS, A, B, dt='"x":0'))
    assert book.stats.applied == 3


def test_a_frame_too_long_to_remember_leaves_no_head() -> None:
    book = OrderBook()
    book.apply(frame(S, TS, A, B))
    book.apply(frame(S, TS, A, B, f'"x":"{"y" * 20_000}"'))
    book.apply(frame(S, '"ts":8', A, B))
    book.apply(frame(S, TS.replace("7", "9"), A, B))
    assert (book.ts_ms, book.stats.applied) == (9, 4)


def test_each_book_of_a_store_has_a_head_of_its_own() -> None:
    store = BookStore()
    for symbol in ("BTC", "ETH", "BTC", "ETH"):
        for ts_ms in (1, 2):
            book = store.feed(frame(f'"s":"{symbol}"', f'"ts":{ts_ms}', A, B))
            assert isinstance(book, OrderBook)
            assert book.symbol == symbol
            assert book.apply(frame(f'"s":"{symbol}"', '"ts":2', A, B)) in (0, 31)
    assert [book.stats.applied + book.stats.stale for book in store.values()] == [8, 8]

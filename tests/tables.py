"""What the tables of accepted and refused frames are written with."""

from typing import Any

import pytest

from coincall_fast import OrderBook
from coincall_fast.errors import DecodeError
from model_book import observe
from strategies import ASKS, BIDS, SYMBOL, TIME, book_frame, levels

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
    """A frame with one bid as the venue writes it, but that one number of it is this JSON text."""
    pairs = f'"pr":{token},"sz":"1"' if key == "pr" else f'"pr":"1","{key}":{token}'
    return book_frame(level(pairs), "[]")


PLAIN = book_frame()
ENVELOPE = ['"dt":5', '"c":20', f'"d":{{"s":"{SYMBOL}","asks":{ASKS},"bids":{BIDS},"ts":{TIME}}}']
DATA = [f'"s":"{SYMBOL}"', f'"asks":{ASKS}', f'"bids":{BIDS}', f'"ts":{TIME}']


def texts(count: int, step: int = 1, start: int = 1000) -> list[tuple[str, str]]:
    return [(str(start + step * n), str(n + 1)) for n in range(count)]


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

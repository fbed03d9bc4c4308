"""A book and its model side by side: what the tests with random calls are written with."""

from collections.abc import Callable
from typing import Any

import pytest

from coincall_fast import OrderBook
from coincall_fast.errors import CoincallFastError, DecodeError, GapError, SymbolMismatch
from model_book import Gap, Model, OtherSymbol, Refused, observe

Frame = bytes | bytearray | memoryview | str
ERRORS: dict[type[Exception], tuple[type[CoincallFastError], str]] = {
    Refused: (DecodeError, "refused"),
    OtherSymbol: (SymbolMismatch, "of another symbol"),
    Gap: (GapError, "gap"),
}


def as_any_type(frame: bytes, choice: int) -> Frame:
    return (frame, bytearray(frame), memoryview(frame), frame.decode(errors="replace"))[choice]


class Both:
    """A book and its model, given the same calls; after each one they must show the same."""

    def __init__(
        self, symbol: str | None = None, make_model: Callable[..., Model] = Model, **wire: Any
    ) -> None:
        self.book, self.model = OrderBook(symbol, **wire), make_model(symbol)

    def apply(self, frame: Frame, recv_ns: int = 0) -> str:
        length = len(frame.encode("utf-8", "replace") if isinstance(frame, str) else frame)
        return self.call(lambda book: book.apply(frame, recv_ns), length)

    def load(self, *args: Any) -> str:
        return self.call(lambda book: book.load(*args))

    def update(self, *args: Any) -> str:
        return self.call(lambda book: book.update(*args))

    def clear(self) -> str:
        self.book.clear()
        self.model.clear()
        return self.agreed("cleared")

    def call(self, change: Callable[[Any], int], frame_length: int = 0) -> str:
        before = self.model.stats.copy()
        try:
            expected = change(self.model)
        except tuple(ERRORS) as fault:
            error, outcome = ERRORS[type(fault)]
            with pytest.raises(error) as raised:
                change(self.book)
            if isinstance(raised.value, DecodeError):
                assert 0 <= raised.value.offset <= frame_length
            return self.agreed(outcome)
        assert change(self.book) == expected
        counted = self.model.stats - before
        return self.agreed(next(name for name in ("stale", "applied", "absent") if counted[name]))

    def agreed(self, outcome: str) -> str:
        assert observe(self.book) == self.model.state()
        return outcome

"""What the tests of messages compare with: a decoded message against what `model_messages` says."""

from collections import Counter
from collections.abc import Iterable
from enum import IntEnum
from typing import Any

import numpy as np
import pytest

import coincall_fast
from coincall_fast import BookStore, OrderBook, decode
from coincall_fast.errors import DecodeError
from model_book import Refused
from model_messages import Chain, Other, Outcome, Row, Rows, expected
from strategies import SYMBOL, book_frame

ENUMS: dict[tuple[str, str], Any] = {
    **{(name, "side"): coincall_fast.Side for name in ("Trade", "Order", "Position", "Fill")},
    ("Order", "order_type"): coincall_fast.OrderType,
    ("Order", "state"): coincall_fast.OrderState,
    ("Order", "time_in_force"): coincall_fast.TimeInForce,
    ("Position", "state"): coincall_fast.PositionState,
}


def alike(value: Any) -> Any:
    """The value so that it compares by type too, and nan as nan."""
    if isinstance(value, dict):
        return {key: alike(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [alike(item) for item in value]
    if isinstance(value, float):
        return repr(value + 0.0)  # the contract has no zero below zero
    return (type(value).__name__, value)


def with_enums(row: Row) -> dict[str, Any]:
    """The values of the row with the known codes as members."""

    def member(name: str, value: Any) -> Any:
        codes = ENUMS.get((row.name, name))
        return codes(value) if codes and value in list(codes) else value

    return {name: member(name, value) for name, value in row.values.items()}


def check_row(row: Row, message: Any) -> None:
    assert type(message).__name__ == row.name
    assert (message.dt, message.channel) == (row.dt, row.channel)
    values = with_enums(row)
    for name in "strike", "is_call":  # which the symbol says
        if (right := values.pop(name, ...)) is not ...:
            assert alike(getattr(message, name)) == alike(right), name
    found = message.to_dict()
    assert not values.keys() - found.keys()
    for name, value in found.items():
        if name in ("strike", "is_call"):
            continue
        right = values.get(name)
        assert alike(value) == alike(right), name
        assert alike(getattr(message, name)) == alike(right), name
        assert isinstance(value, IntEnum) == isinstance(right, IntEnum)
    for name, digits in row.exact.items():
        if digits is not ...:
            exact = message.exact(name)
            # Not ==, for which 1.50 is 1.5.
            assert str(exact) == str(digits), name
            assert type(exact) is type(digits)
    assert alike(message.extra) == alike(row.extra)


def check_chain(chain: Chain, message: Any) -> None:
    assert type(message) is coincall_fast.OptionChain
    assert len(message) == len(chain.rows)
    assert message.symbol is None
    found = message.to_dict()
    assert found.keys() == chain.columns.keys()
    for name, column in chain.columns.items():
        array = getattr(message, name)
        if name == "symbols":
            assert array == column
            continue
        kind = {"is_call": np.bool_, "ts_ms": np.int64}.get(name, np.float64)
        assert (array.dtype, array.shape) == (kind, (len(column),)), name
        for value, right in zip(array.tolist(), column, strict=True):
            assert right is ... or alike(value) == alike(right), name
        assert found[name].tobytes() == array.tobytes()
    symbols = chain.columns["symbols"]
    for row, item in zip(chain.rows, message, strict=True):
        check_row(row, item)
        if len({*symbols}) == len(symbols):
            check_row(row, message[row.values["symbol"]])


def check(outcome: Outcome, message: Any) -> None:
    """They are the same to the last attribute."""
    match outcome:
        case Row():
            check_row(outcome, message)
        case Chain():
            check_chain(outcome, message)
        case Rows("Trades", rows):
            assert type(message) is coincall_fast.Trades
            assert len(message) == len(rows)
            head = rows[0].values if rows else {"symbol": None, "ts_ms": None}
            assert (message.symbol, message.ts_ms) == (head["symbol"], head["ts_ms"])
            for row, item in zip(rows, message, strict=True):
                check_row(row, item)
        case Rows("list", rows):
            assert type(message) is list
            for row, item in zip(rows, message, strict=True):
                check_row(row, item)
        case Other("Heartbeat", fields):
            assert isinstance(message, coincall_fast.Heartbeat)
            assert alike((message.rc,)) == alike(fields)
        case Other("Ack", fields):
            assert isinstance(message, coincall_fast.Ack)
            assert alike((message.action, message.ok, message.detail)) == alike(fields)
        case Other(_, fields):
            assert isinstance(message, coincall_fast.UnknownMessage)
            assert alike((message.dt, message.body)) == alike(fields)


def name_of(outcome: Outcome) -> str:
    return "OptionChain" if isinstance(outcome, Chain) else outcome.name


def agree(frame: Any, read: Any = decode) -> str:
    """Decoder and model make the same of a frame; which is the name of it, or ``"refused"``."""
    length = len(frame.encode("utf-8", "replace") if isinstance(frame, str) else frame)
    try:
        outcome = expected(frame)
    except Refused:
        with pytest.raises(DecodeError) as error:
            read(frame)
        assert 0 <= error.value.offset <= length
        return "refused"
    if outcome == Other("OrderBook", ()):
        return "order book"  # which has a model of its own
    check(outcome, read(frame))
    return name_of(outcome)


def agree_on_all(frames: Iterable[bytes]) -> Counter[str]:
    """Of frames that are given to one store, how many there were of each name."""
    store = BookStore()
    outcomes: Counter[str] = Counter()
    for number, frame in enumerate(frames):
        if number % 8 == 0:  # so that the store expects another book
            assert isinstance(store.feed(book_frame()), OrderBook)
        outcomes[agree(frame, decode if number % 2 else store.feed)] += 1
    assert set(store) <= {SYMBOL}
    return outcomes

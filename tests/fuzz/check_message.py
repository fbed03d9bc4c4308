"""What must hold of the messages that the core makes, checked against model_message.py.

An `AssertionError`, or any error that no frame may raise, is a finding.
"""

import copy
import math
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
from model_message import (
    ANSWERS,
    OPEN,
    Plain,
    Refused,
    Row,
    Several,
    Undecided,
    of_answer,
    of_frame,
)

import coincall_fast
from coincall_fast import BookStore, OptionChain, OrderBook, Trades, decode_into
from coincall_fast.coincall import decode_rest
from coincall_fast.errors import DecodeError, UsageError
from coincall_fast.message import Account, Fill, Kline, Order, Position, Ticker
from coincall_fast.model import OrderState

OPEN_STATES = {-2, -1, 0, 2, 4, 5}
CLASSES = (Order, Fill, Trades, Position, Ticker, Kline, Account, OptionChain)  # as ANSWERS
NAMES = {**vars(coincall_fast), "nan": math.nan}


def ensure(holds: object, *what: object) -> None:
    if not holds:
        raise AssertionError(*what)


def same(want: Any, got: Any) -> bool:
    """Equal and of one type; nan is equal to nan, and 0.0 is not to -0.0."""
    if want is OPEN:
        return True
    if isinstance(want, float):
        return repr(want) == repr(got)
    return type(want) is type(got) and want == got


def error_of(call: Callable[..., Any], *args: Any) -> Any:
    try:
        call(*args)
    except Exception as error:
        return type(error)
    return None


# ------------------------------------------------------------------------------- one of each kind


def compare(want: Any, got: Any, fully: bool = True) -> None:
    """A message, or a list of them, is what the model says.

    fully: in all that can be asked of a row, and not in its values alone.
    """
    if isinstance(want, Row):
        compare_row(want, got, fully)
    elif isinstance(want, Plain):
        compare_plain(want, got)
    elif want.made == "OptionChain":
        compare_chain(want, got, fully)
    else:
        ensure(type(got).__name__ == want.made, "of another class", got)
        ensure(len(got) == len(want.rows), "another number of rows", len(got))
        for row, record in zip(want.rows, got, strict=True):
            compare_row(row, record, fully)
        if want.made == "Trades":
            ensure(same(want.rows[0].symbol if want.rows else None, got.symbol), "symbol")
            ensure(same(want.rows[0].ts_ms if want.rows else None, got.ts_ms), "ts_ms")
            compare_channel(want, got)
            ensure(got.to_dict() == {"trades": [record.to_dict() for record in got]}, "to_dict()")


def compare_channel(want: Row | Several, got: Any) -> None:
    ensure((want.columns.dt, want.columns.channel) == (got.dt, got.channel), "dt, channel", got.dt)


def compare_row(want: Row, got: Any, fully: bool = True) -> None:
    made = want.columns.made
    ensure(type(got).__name__ == made, "of another class", got)
    if not holdable(want):
        refusals = {error_of(getattr, got, name) for name in want.values}
        ensure(refusals == {None, DecodeError}, "what Python cannot hold", refusals)
        return
    for name, value in want.values.items():
        ensure(same(value, getattr(got, name)), name, value)
    if not fully:
        return
    said = got.to_dict()
    nothing = math.nan if made == "ChainRow" else None
    for name, value in want.values.items():
        if name in said:
            ensure(same(value, said[name]), "to_dict()", name, value, said[name])
    for name in said.keys() - want.values.keys():
        ensure(same(None if name == "ts_ms" else nothing, getattr(got, name)), name, "from nowhere")
    missing = want.values.keys() - said.keys() - {"strike", "is_call"}
    ensure(not missing or missing == {"ts_ms"}, "missing", missing)
    compare_channel(want, got)
    for name, value in want.exact.items():
        if value is Refused:
            ensure(error_of(got.exact, name) is DecodeError, "exact()", name)
        else:
            digits = got.exact(name)
            ensure(same(value, digits), "exact()", name, value, digits)
    if want.extra is Refused:
        ensure(error_of(lambda: got.extra) in (DecodeError, None), "extra")
    else:
        ensure(repr(want.extra) == repr(got.extra), "extra", want.extra, got.extra)
    if made == "Order":
        state = got.state
        known = type(state) is OrderState
        ensure(got.is_open is (state in OPEN_STATES if known else None), "is_open", state)
        ensure(got.is_terminal is (state not in OPEN_STATES if known else None), "is_terminal")


def holdable(want: Row) -> bool:
    """Whether Python can hold all values; one that it cannot is refused when it is read."""
    return not any(value is Refused for value in want.values.values())


def compare_plain(want: Plain, got: Any) -> None:
    ensure(want.made in ("", type(got).__name__), "of another class", want, got)
    for name, value in want.values.items():
        read = getattr(got, name)
        ensure(value is OPEN or repr(value) == repr(read), name, value, read)
    ensure(got.symbol is None and got.ts_ms is None, "of no instrument")


def compare_chain(want: Several, got: Any, fully: bool) -> None:
    """Columns against the chain's own rows, and these against the model."""
    ensure(type(got) is OptionChain and len(got) == len(want.rows), "the rows", got)
    ensure(got.symbols == [row.symbol for row in want.rows], "symbols", got.symbols)
    ensure(got.symbol is None, "symbol", got.symbol)
    compare_channel(want, got)
    rows = list(got)
    for row, record in zip(want.rows, rows, strict=True):
        compare_row(row, record, fully)
    for name, column in got.to_dict().items():
        if name == "symbols":
            continue
        kind = {"is_call": np.bool_, "ts_ms": np.int64}.get(name, np.float64)
        ensure(column is getattr(got, name), "to_dict()", name)
        ensure(column.dtype == kind and column.shape == (len(rows),), name, column)
        values = [getattr(record, name) for record in rows]
        if name == "ts_ms":
            values = [ts_ms or 0 for ts_ms in values]
        ensure(repr(column.tolist()) == repr(values), name, column)
    unique = len(set(got.symbols)) == len(rows)
    for row in want.rows[:3]:
        if unique:
            ensure(got[row.symbol] == rows[got.symbols.index(row.symbol)], "by symbol", row)
        else:
            ensure(error_of(got.__getitem__, row.symbol) is DecodeError, "a symbol twice")
    ensure("no symbol" not in got, "in")


def thorough(want: Any, got: Any) -> None:
    """What is not looked at with every message: copies, and equal ones that are made otherwise."""
    rows = [want] if isinstance(want, Row) else want.rows if isinstance(want, Several) else []
    if not all(map(holdable, rows)):
        return
    for protocol in (2, pickle.HIGHEST_PROTOCOL):
        again = pickle.loads(pickle.dumps(got, protocol))
        compare(want, again)
        ensure(again == got, "pickled", again)
    compare(want, copy.copy(got))
    compare(want, copy.deepcopy(got))
    for record in ([got] if isinstance(want, Row) else list(got) if rows else [])[:4]:
        ensure(record == pickle.loads(pickle.dumps(record)), "a row alone, pickled", record)
        said = {k: v for k, v in record.to_dict().items() if v is not None and v == v}
        if "inf" in repr([value for value in said.values() if not isinstance(value, str)]):
            continue  # which nobody may give by hand
        by_hand = type(record)(**said)
        ensure(by_hand == record and record == by_hand, "by hand", by_hand, record)
        ensure(hash(by_hand) == hash(record), "hash()", by_hand)
        ensure(eval(repr(record), NAMES) == record, "repr()", record)
        ensure(error_of(record.exact, "symbol") is UsageError, "exact('symbol')")


def spend(steps: list[bytes]) -> None:
    """Makes and reads messages, and nothing else that would need memory.

    Pickling looks names up, and Python remembers some thousands of those.
    """
    store = BookStore()
    chain = None
    for step in steps:
        for make in (store.feed, coincall_fast.decode):
            try:
                message: Any = (
                    decode_rest(CLASSES[step[2] % len(CLASSES)], step[3:])
                    if step[:2] == b"\xfer" and len(step) > 2
                    else make(step)
                )
                if type(message) is OptionChain and chain is None:
                    chain = message
                if chain is not None:
                    decode_into(chain, step)
                for one in message if isinstance(message, list) else [message]:
                    if not isinstance(one, OrderBook):
                        repr(one), one.extra, one == one
                        repr([row.extra for row in one] if hasattr(one, "row") else one.to_dict())
            except (DecodeError, UsageError):
                pass


# --------------------------------------------------------------------------------------- an input


class Checker:
    """The messages of one input.

    fenced: calls a function with a buffer behind whose last byte nothing may be read, and which
    says something else as soon as the function returns.
    """

    def __init__(self, fenced: Callable[..., Any]) -> None:
        self.fenced = fenced
        self.chain: Any = None  # decoded into as long as it lives

    def meaning(self, text: bytes) -> Any:
        """What a frame that is no book means; None if it is refused, ... if that is left open."""
        try:
            return of_frame(text)
        except Refused:
            return None
        except Undecided:
            return ...

    def frame(self, text: bytes, want: Any, answer: Any, rarely: bool) -> None:
        """want: its meaning; answer: what a store made of it, a book among others."""
        if want is not None:
            compare(want, answer)
        kind = (memoryview, bytearray)[len(text) & 1]
        self.decoded(text, want, isinstance(answer, OrderBook), kind)
        if rarely and want is not None:
            thorough(want, answer)
            self.decoded(text, want, False, str)
        if rarely or b"4" in text[:12]:
            self.table(text, want, isinstance(answer, OrderBook))

    def decoded(self, text: bytes, want: Any, is_book: bool, kind: Any) -> None:
        try:
            message = self.fenced(coincall_fast.decode, kind, text)
        except DecodeError:
            ensure(want is None and not is_book, "decode() refuses what a store takes", kind)
            return
        if is_book:
            ensure(type(message) is OrderBook, "no book", message)
        elif want is None:
            ensure(isinstance(message, OrderBook), "decode() takes what a store refuses", message)
        else:
            compare(want, message, len(text) & 6 == 0)

    def table(self, text: bytes, want: Any, is_book: bool) -> None:
        """Into the chain that is kept."""
        is_chain = isinstance(want, Several) and want.made == "OptionChain"
        if self.chain is None:
            self.chain = coincall_fast.decode(text) if is_chain else None
            return
        chain = self.chain
        columns = {k: v for k, v in chain.to_dict().items() if isinstance(v, np.ndarray)}
        before = {name: column.tobytes() for name, column in columns.items()}
        rows = len(chain)
        symbols, records, envelope = chain.symbols, list(chain), chain.dt
        try:
            taken = self.fenced(decode_into_this, memoryview, text, chain)
        except (DecodeError, UsageError) as error:
            ensure(not is_chain, "decode_into() refuses what decode() takes", error)
            kind = DecodeError if want is None and not is_book else UsageError
            ensure(type(error) is kind, "decode_into() raises", error)
            ensure(chain.symbols == symbols and len(chain) == rows, "rows of a refused frame")
            for name, column in columns.items():
                ensure(getattr(chain, name) is column, name, "is replaced by a refused frame")
                ensure(column.tobytes() == before[name], name, "is changed by a refused frame")
            ensure(list(chain) == records and chain.dt == envelope, "records of a refused frame")
            return
        ensure(is_chain and taken is chain, "decode_into() takes what decode() refuses", taken)
        compare(want, chain, len(text) & 6 == 0)
        for name, column in columns.items():
            if len(chain) == rows:
                ensure(getattr(chain, name) is column, name, "is another array")
            else:
                ensure(column.tobytes() == before[name], name, "was given out")

    def answer(self, which: int, text: bytes, rarely: bool) -> None:
        """A REST answer."""
        which %= len(CLASSES)
        try:
            want = of_answer(text, ANSWERS[which])
        except Undecided:
            want = ...
        except Refused:
            want = None
        kind = (memoryview, bytearray, bytes)[len(text) % 3]
        try:
            message = self.fenced(decode_rest_of, kind, text, CLASSES[which])
        except DecodeError:
            ensure(want in (None, ...), "decode_rest() refuses", want)
            return
        ensure(want is not None, "decode_rest() takes", message)
        if want is ...:
            return
        compare(want, message)
        if rarely:
            thorough(want, message)


def decode_into_this(frame: Any, chain: Any) -> Any:
    return decode_into(chain, frame)


def decode_rest_of(body: Any, made: Any) -> Any:
    return decode_rest(made, body)

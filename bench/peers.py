"""What a user can pick instead, from Python: each made here as one function, frame to levels.

All of them keep binary floats and trust the order of the levels; `OrderBook` keeps exact decimals
and checks it. Only order-book keeps a book that can be read while the next frame comes.
"""

import json
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import orjson
import pytest

Levels = Sequence[tuple[float, float]]


class Level(msgspec.Struct, gc=False):
    pr: float
    sz: float


class Data(msgspec.Struct, gc=False):
    s: str
    asks: list[Level]
    bids: list[Level]
    ts: int


class Frame(msgspec.Struct, gc=False):
    dt: int
    d: Data


def msgspec_structs() -> Callable[[bytes], Frame]:
    """The fastest general way in Python: typed, floats made in C, no collector."""
    return msgspec.json.Decoder(Frame, strict=False).decode


def msgspec_into_order_book() -> Callable[[bytes], Any]:
    """The C book that is closest in role. It sorts when it is first asked, so it is asked."""
    book = pytest.importorskip("order_book", reason="needs order-book").OrderBook()
    decode = msgspec_structs()

    def apply(frame: bytes) -> Any:
        data = decode(frame).d
        book.bids = {level.pr: level.sz for level in data.bids}
        book.asks = {level.pr: level.sz for level in data.asks}
        book.bids.index(0)
        book.asks.index(0)
        return book

    return apply


def orjson_floats() -> Callable[[bytes], tuple[Levels, Levels]]:
    return _floats(orjson.loads)


def json_floats() -> Callable[[bytes], tuple[Levels, Levels]]:
    """The loop of the venue's own sample (seed 000), which stops at `json.loads`."""
    return _floats(json.loads)


def pysimdjson_floats() -> Callable[[bytes], tuple[Levels, Levels]]:
    """Proxies into one parser's memory; only the numbers become Python objects."""
    return _floats(pytest.importorskip("simdjson", reason="needs pysimdjson").Parser().parse)


def _floats(loads: Callable[[bytes], Any]) -> Callable[[bytes], tuple[Levels, Levels]]:
    def decode(frame: bytes) -> tuple[Levels, Levels]:
        data = loads(frame)["d"]
        return (
            [(float(level["pr"]), float(level["sz"])) for level in data["bids"]],
            [(float(level["pr"]), float(level["sz"])) for level in data["asks"]],
        )

    return decode


def levels_of(answer: Any) -> tuple[Levels, Levels]:
    """What a peer answered, to be compared."""
    if isinstance(answer, Frame):
        sides = answer.d.bids, answer.d.asks
        bids, asks = ([(level.pr, level.sz) for level in side] for side in sides)
        return bids, asks
    if isinstance(answer, tuple):
        return answer
    return answer.bids.to_list(), answer.asks.to_list()


PEERS = {
    "msgspec": msgspec_structs,
    "msgspec, order-book": msgspec_into_order_book,
    "orjson": orjson_floats,
    "pysimdjson": pysimdjson_floats,
    "json": json_floats,
}

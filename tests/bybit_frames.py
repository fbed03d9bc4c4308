"""Bybit's order-book frames for tests, out of rows ``("Buy", "10", "1.5")``.

A frame is a few texts of JSON, so that a test can put anything in the place of one of them.
"""

import json
from collections.abc import Iterable
from pathlib import Path
from random import Random
from typing import Any

from coincall_fast import OrderBook
from coincall_fast.wire import BYBIT
from strategies import TIME, Pairs, Speller

OPTION = "BTC-4MAR22-25000-P"
DELTA = f"delta.orderbook100.{OPTION}"
WHOLE = f"orderbook100.{OPTION}"

Row = tuple[str, ...]  # side, price and size; a row of a deletion has no size


def documented_frames() -> list[dict[str, Any]]:
    """Bybit's rows of the conformance file."""
    path = Path(__file__).parent / "conformance" / "frames.jsonl"
    lines = map(json.loads, path.read_text(encoding="utf-8").splitlines())
    return [line for line in lines if line["venue"] == "bybit"]


def documented_books() -> list[bytes]:
    """Of these, the order books: a whole one, then one with a version and a change to that."""
    frames = (row["frame"] for row in documented_frames() if row["kind"] == "push")
    return [f.encode() for f in frames if '"topic":"orderbook' in f or '"topic":"delta.' in f]


def row_text(row: Row) -> str:
    keys = ("side", "price", "size") if len(row) == 3 else ("side", "price")
    side, *numbers = (f'"{key}":"{text}"' for key, text in zip(keys, row, strict=True))
    return f"{{{','.join([*numbers, side])}}}"


def rows_text(rows: Iterable[Row]) -> str:
    return f"[{','.join(map(row_text, rows))}]"


def frame(data: str, topic: str = DELTA, ts: Any = TIME, more: str = "") -> bytes:
    text = f'"topic":"{topic}","creationTime":{ts},"data":{{{data}}}{more}'
    return f'{{"id":"{topic}-1-{ts}",{text}}}'.encode()


def whole(*rows: Row, key: str = "orderBook", topic: str = WHOLE, ts: Any = TIME) -> bytes:
    """A full replacement without a version."""
    return frame(f'"{key}":{rows_text(rows)}', topic, ts)


def new(version: int, *rows: Row, topic: str = DELTA, ts: Any = TIME) -> bytes:
    """A full replacement with a version."""
    data = f'"version":"{version}","dataType":"NEW","orderBook":{rows_text(rows)}'
    return frame(data, topic, ts)


def change(
    version: int,
    delete: Iterable[Row] = (),
    update: Iterable[Row] = (),
    insert: Iterable[Row] = (),
    topic: str = DELTA,
    ts: Any = TIME,
) -> bytes:
    lists = (("delete", delete), ("update", update), ("insert", insert))
    data = ",".join(f'"{name}":{rows_text(rows)}' for name, rows in lists)
    return frame(f'"version":"{version}","dataType":"CHANGE",{data}', topic, ts)


# Books ---------------------------------------------------------------------------------------

HELD: list[Row] = [("Buy", "10", "1"), ("Buy", "9", "2"), ("Sell", "11", "3"), ("Sell", "12", "4")]


def book_of(*frames: bytes) -> OrderBook:
    book = OrderBook(wire=BYBIT)
    for number, text in enumerate(frames, 1):
        book.apply(text, number * 100)
    return book


def sides(book: OrderBook) -> tuple[list[list[float]], list[list[float]]]:
    depth = book.depth()
    return depth.bids.tolist(), depth.asks.tolist()


# Drawn ---------------------------------------------------------------------------------------

KNOWN = (
    *("topic", "creationTime", "data", "version", "dataType", "orderBook", "orderBooks"),
    *("delete", "update", "insert", "side", "price", "size"),
)


def spell(
    topic: str, ts_ms: int, data: dict[str, Any], seed: int, odd_number: str | None = None
) -> bytes:
    """A frame in some spelling; the values of `data` are texts, or rows of (side, e8, e8)."""
    speller = Speller(seed)
    rows: list[Pairs] = []

    def row(side: str, *units: int) -> Pairs:
        numbers = zip(("price", "size"), map(speller.quoted, units), strict=False)
        pairs = speller.object([*numbers, ("side", speller.string(side))], KNOWN)
        rows.append(pairs)
        return pairs

    fields = [
        (key, speller.string(value) if isinstance(value, str) else [row(*r) for r in value])
        for key, value in data.items()
    ]
    if odd_number is not None and rows:
        pairs = speller.random.choice(rows)
        at = speller.random.choice([i for i, (key, _) in enumerate(pairs) if key == "price"])
        pairs[at] = ("price", odd_number)
    envelope = [
        ("id", speller.string("x")),
        ("topic", speller.string(topic)),
        ("creationTime", str(ts_ms)),
        ("data", speller.object(fields, KNOWN)),
    ]
    return speller.write(speller.object(envelope, KNOWN)).encode()


def shuffled(rows: Iterable[Any], random: Random) -> list[Any]:
    mixed = list(rows)
    if random.random() < 0.7:
        random.shuffle(mixed)
    return mixed

"""The obvious book of Bybit's frames: whole books, and numbered changes of some levels.

Protocol page, section 1.7: a CHANGE deletes, updates and inserts levels of the version before it.
As in `model_book.py`, with no thought of speed.
"""

import re
from collections import Counter
from typing import Any, NamedTuple

from both import Both
from coincall_fast.model import Stats
from coincall_fast.wire import BYBIT
from model_book import (
    KEPT,
    Gap,
    Model,
    Number,
    Object,
    OtherSymbol,
    Refused,
    Side,
    best_of,
    ensure,
    observe,
    one,
    parse,
    units,
)

TOPIC = re.compile(r"(delta\.)?orderbook(25|100)\.(.+)", re.DOTALL)
BOOK_SIDES = {"Buy": "bid", "Sell": "ask"}
LISTS = "delete", "update", "insert"  # in the order in which they are applied

Row = tuple[str, str, str]  # side, price and size as they are written; of a deletion, size "0"


class Unclear(Exception):
    """No rule says what such a frame means: a book may refuse it or make something of it."""


def clear_if(condition: object) -> None:
    if not condition:
        raise Unclear


class Frame(NamedTuple):
    symbol: str
    ts_ms: int
    version: int | None
    rows: list[Row]  # the whole book
    changes: dict[str, list[Row]] | None  # or the changes of each list


def read_rows(rows: Any, deletions: bool = False) -> list[Row]:
    ensure(type(rows) is list)
    return [read_row(row, deletions) for row in rows]


def read_row(row: Any, is_deletion: bool) -> Row:
    side, price = one(row, "side"), one(row, "price")
    ensure(type(side) is str and side in BOOK_SIDES)
    _, inexact = units(price)
    ensure(not inexact)
    if is_deletion:
        clear_if(sum(key == "size" for key, _ in row) < 2)
        return side, price, "0"
    size = one(row, "size")
    units(size)
    return side, price, size


def read_version(data: Any) -> int:
    version = one(data, "version")
    ensure(type(version) in (str, Number) and re.fullmatch("0|[1-9][0-9]{0,17}", version))
    return int(version)


def read_changes(data: Any) -> dict[str, list[Row]]:
    changes = {}
    for name in LISTS:
        if any(key == name for key, _ in data):
            rows = one(data, name)
            clear_if(rows is not None)
            changes[name] = read_rows(rows, name == "delete")
            prices = [(side, units(price)[0]) for side, price, _ in changes[name]]
            clear_if(len(set(prices)) == len(prices))
            clear_if(all(price for _, price in prices))
    return changes


def read_frame(frame: Any) -> Frame:
    envelope = parse(frame)
    topic, time, data = (one(envelope, key) for key in ("topic", "creationTime", "data"))
    ensure(isinstance(time, Number) and re.fullmatch("[0-9]{1,18}", time))
    ensure(type(topic) is str and not re.search("[\ud800-\udfff]", topic))
    found = TOPIC.fullmatch(topic)
    ensure(found and found.groups()[:2] != ("delta.", "25") and type(data) is Object)
    assert found
    keys = {key for key, _ in data}
    kind = one(data, "dataType") if "dataType" in keys else None
    ensure("dataType" not in keys or kind in ("NEW", "CHANGE"))
    clear_if((kind is not None) == (found[1] is not None))
    if kind == "CHANGE":
        clear_if(not keys & {"orderBook", "orderBooks"})
        rows, changes = [], read_changes(data)
    else:
        clear_if(not keys & {*LISTS} and ("version" in keys) == (kind == "NEW"))
        rows, changes = read_rows(one(data, "orderBook", "orderBooks")), None
    version = read_version(data) if kind else None
    return Frame(found[3], int(time), version, rows, changes)


class DeltaModel(Model):
    version: int | None = None
    # A level that a frame takes out and puts in again: its ages are those of either.
    of_unclear_age: frozenset[tuple[str, int]] = frozenset()

    def apply(self, frame: Any, recv_ns: int = 0) -> int:
        try:
            read = read_frame(frame)
            if read.changes is None:
                bids, asks, counts = self.read(
                    *([row[1:] for row in read.rows if row[0] == side] for side in BOOK_SIDES)
                )
            if self.symbol not in (None, read.symbol):
                raise OtherSymbol
            if read.changes is None:
                stale = self.is_valid and read.version is None and read.ts_ms < self.ts_ms
            else:
                if self.version is None or read.version is None:
                    raise Gap
                if read.version > self.version + 1:
                    self.clear()
                    raise Gap
                stale = read.version <= self.version
                bids, asks, counts = self.changed_by(read.changes)
        except (Refused, OtherSymbol, Gap):
            self.stats["rejected"] += 1
            raise
        self.symbol = read.symbol
        if stale:
            self.stats["stale"] += 1
            self.last_change = 0
            return 0
        self.version = read.version
        return self.replace(bids, asks, counts, read.ts_ms, recv_ns)

    def changed_by(self, changes: dict[str, list[Row]]) -> tuple[Side, Side, Counter[str]]:
        held = {"Buy": dict(self.bids), "Sell": dict(self.asks)}
        counts, gone, back = Counter[str](), set(), set()
        for name in LISTS:
            for side, price_text, size_text in changes.get(name, []):
                (price, _), (size, inexact) = units(price_text), units(size_text)
                counts["inexact"] += inexact
                if size:
                    held[side][price] = size
                    if (side, price) in gone:
                        back.add((BOOK_SIDES[side], price))
                else:
                    counts["absent"] += price not in held[side]
                    held[side].pop(price, None)
                    gone.add((side, price))
        self.of_unclear_age |= back
        bids, asks = best_of(held["Buy"].items(), -1), best_of(held["Sell"].items(), +1)
        counts["truncated"] = len(bids) > KEPT or len(asks) > KEPT
        return bids[:KEPT], asks[:KEPT], counts

    def load(self, *args: Any) -> int:
        change = super().load(*args)
        self.version = None
        return change

    def update(self, *args: Any) -> int:
        """What is changed by hand is no version of the venue's, though it look the same."""
        count = self.update_count
        change = super().update(*args)
        if self.update_count != count:
            self.version = None
        return change

    def clear(self) -> None:
        super().clear()
        self.version = None


class BothDelta(Both):
    """As `Both`, of Bybit's frames; an unclear one is not given to either."""

    def __init__(self, symbol: str | None = None) -> None:
        super().__init__(symbol, DeltaModel, wire=BYBIT)
        self.model: DeltaModel

    def apply(self, frame: Any, recv_ns: int = 0) -> str:
        try:
            return super().apply(frame, recv_ns)
        except Unclear:
            return "unclear"

    def agreed(self, outcome: str) -> str:
        assert isinstance(self.model, DeltaModel)
        shown, expected = observe(self.book), self.model.state()
        self.model.of_unclear_age &= self.model.since.keys()
        for name, side in ("bid", self.model.bids), ("ask", self.model.asks):
            for i, (price, _) in enumerate(side[: len(shown[f"{name}_ages"])]):
                if (name, price) in self.model.of_unclear_age:
                    shown[f"{name}_ages"][i] = expected[f"{name}_ages"][i]
        # Rows come in any order: whether that is worth counting is nowhere said.
        for state in shown, expected:
            state["stats"] = Stats(*state["stats"])._replace(unsorted=0)
        assert shown == expected
        if self.model.is_valid:
            assert self.book.version == self.model.version
        return outcome

"""The obvious book of frames that change the levels of a side: Bybit's V5 and Gate's.

Protocol page, section 2.5, and the venue's page of V5: the levels of a change have absolute sizes,
0 deletes, and its numbers follow those that are held. As in `model_delta.py`, with no thought of
speed; what a frame is called in which dialect is told here once more, not taken from `wire.py`.
"""

import re
from typing import Any, NamedTuple

from both import Both
from coincall_fast.wire import BYBIT_V5, GATE
from model_book import Gap, Number, Object, OtherSymbol, Refused, ensure, one, parse, units
from model_delta import BothDelta, DeltaModel, clear_if

TOPIC = re.compile(r"orderbook\.(?:25|100)\.(.+)", re.DOTALL)
INTEGER = re.compile("0|[1-9][0-9]{0,17}")


class Frame(NamedTuple):
    symbol: str
    ts_ms: int
    is_change: bool
    first: int | None
    version: int | None
    bids: list[Any]
    asks: list[Any]


def integer(text: Any, quoted: bool = True) -> int:
    ensure(isinstance(text, Number if not quoted else (str, Number)) and INTEGER.fullmatch(text))
    return int(text)


def time(text: Any) -> int:
    ensure(isinstance(text, Number) and re.fullmatch("[0-9]{1,18}", text))
    return integer(text, quoted=False)


def speakable(symbol: Any) -> str:
    ensure(type(symbol) is str and symbol and not re.search("[\ud800-\udfff]", symbol))
    return str(symbol)


def keys(pairs: Any) -> set[str]:
    ensure(type(pairs) is Object)
    return {key for key, _ in pairs}


def side(data: Any, key: str, is_change: bool) -> list[Any]:
    if is_change and key not in keys(data):
        return []
    rows = one(data, key)
    if is_change and rows is None:
        return []
    ensure(type(rows) is list)
    return list(rows)


def pair(row: Any) -> tuple[str, str]:
    ensure(type(row) is list and len(row) == 2)
    return row[0], row[1]


def read_v5(frame: Any) -> Frame:
    envelope = parse(frame)
    kind, data = one(envelope, "type"), one(envelope, "data")
    topic = one(envelope, "topic")
    ensure(type(topic) is str and kind in ("snapshot", "delta"))
    found = TOPIC.fullmatch(topic)
    ensure(found and type(data) is Object)
    assert found
    clear_if(sum(key in ("topic", "type") for key, _ in envelope) == 2)
    version = integer(one(data, "u")) if kind == "delta" or "u" in keys(data) else None
    bids, asks = ([pair(row) for row in side(data, key, kind == "delta")] for key in "ba")
    symbol = speakable(found[1])
    return Frame(symbol, time(one(envelope, "ts")), kind == "delta", version, version, bids, asks)


def read_gate(frame: Any) -> Frame:
    envelope = parse(frame)
    kind, data = one(envelope, "event"), one(envelope, "result")
    ensure(one(envelope, "channel") == "options.order_book_update")
    ensure(type(one(envelope, "channel")) is str and kind in ("all", "update"))
    ensure(type(data) is Object)
    clear_if(kind == "update")
    first, version = integer(one(data, "U")), integer(one(data, "u"))
    ensure(first <= version)
    bids, asks = ([(one(r, "p"), one(r, "s")) for r in side(data, key, True)] for key in "ba")
    return Frame(speakable(one(data, "s")), time(one(data, "t")), True, first, version, bids, asks)


class ListModel(DeltaModel):
    reader: Any
    is_base = False

    def apply(self, frame: Any, recv_ns: int = 0) -> int:
        try:
            read = type(self).reader(frame)
            rows = [("Buy", *row) for row in read.bids] + [("Sell", *row) for row in read.asks]
            if read.is_change:
                for _, price, size in rows:
                    ensure(not units(price)[1])
                    units(size)
                prices = [(row[0], units(row[1])[0]) for row in rows]
                clear_if(len(set(prices)) == len(prices) and all(price for _, price in prices))
            else:
                bids, asks, counts = self.read(read.bids, read.asks)
            if self.symbol not in (None, read.symbol):
                raise OtherSymbol
            if read.is_change:
                stale = self.follows(read)
                bids, asks, counts = self.changed_by({"update": rows})
            else:
                stale = self.is_valid and read.version is None and read.ts_ms < self.ts_ms
        except (Refused, OtherSymbol, Gap):
            self.stats["rejected"] += 1
            raise
        self.symbol = read.symbol
        if stale:
            self.stats["stale"] += 1
            self.last_change = 0
            return 0
        self.version, self.is_base = read.version, False
        return self.replace(bids, asks, counts, read.ts_ms, recv_ns)

    def follows(self, read: Frame) -> bool:
        """Whether a change is stale."""
        if self.version is None:
            raise Gap
        assert read.first is not None
        assert read.version is not None
        if read.version <= self.version:
            return True
        straddles = self.is_base and read.first <= self.version
        if read.first != self.version + 1 and not straddles:
            self.clear()
            raise Gap
        return False

    def load_base(self, bids: Any, asks: Any, ts_ms: int, recv_ns: int, version: int) -> int:
        change = self.load(bids, asks, ts_ms, recv_ns)
        self.version, self.is_base = version, True
        return change


class V5Model(ListModel):
    reader = staticmethod(read_v5)


class GateModel(ListModel):
    reader = staticmethod(read_gate)


class BothLists(BothDelta):
    """As `BothDelta`, of V5's or Gate's frames."""

    def __init__(self, is_gate: bool, symbol: str | None = None) -> None:
        model, wire = (GateModel, GATE) if is_gate else (V5Model, BYBIT_V5)
        Both.__init__(self, symbol, model, wire=wire)
        self.model: ListModel

    def load_base(self, bids: Any, asks: Any, recv_ns: int, version: int) -> str:
        expected = self.model.load_base(bids, asks, 0, recv_ns, version)
        assert self.book.load(bids, asks, 0, recv_ns, version=version) == expected
        return self.agreed("loaded")

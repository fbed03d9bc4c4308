"""Whole books and changes of the other venues into a readable book, beside msgspec's typed decode.

msgspec only decodes: the levels are not sorted, not put anywhere, and no number is compared. Each
venue first proves that its book is that of a dict of Decimals after the same frames. A sample is a
pass over all frames; the table at the end is per frame. Changes have 5 rows: one level that goes,
three with a new size, one that comes, as one of 100 levels a side.
"""

import json
import random
from decimal import Decimal

import msgspec
import pytest

from coincall_fast import OrderBook
from coincall_fast.wire import BYBIT, BYBIT_V5, GATE

pytestmark = pytest.mark.benchmark(max_time=0.5)

SYMBOL = "BTC-26JUN26-90000-C"
COUNT = 512
VENUES = {"Bybit V1": BYBIT, "Bybit V5": BYBIT_V5, "Gate": GATE}
TS = 1_700_000_000_000


class Row(msgspec.Struct, gc=False):
    price: float
    side: str
    size: float | None = None


class V1Data(msgspec.Struct, gc=False):
    version: str
    dataType: str
    orderBook: list[Row] | None = None
    delete: list[Row] | None = None
    update: list[Row] | None = None
    insert: list[Row] | None = None


class V1(msgspec.Struct, gc=False):
    id: str
    topic: str
    creationTime: int
    data: V1Data


class V5Data(msgspec.Struct, gc=False):
    s: str
    b: list[tuple[float, float]]
    a: list[tuple[float, float]]
    u: int
    seq: int


class V5(msgspec.Struct, gc=False):
    topic: str
    type: str
    ts: int
    data: V5Data
    cts: int


class Level(msgspec.Struct, gc=False):
    p: float
    s: int


class GateData(msgspec.Struct, gc=False):
    t: int
    s: str
    U: int
    u: int
    b: list[Level]
    a: list[Level]


class Gate(msgspec.Struct, gc=False):
    time: int
    time_ms: int
    channel: str
    event: str
    result: GateData


TYPED = {"Bybit V1": V1, "Bybit V5": V5, "Gate": Gate}
Rows = list[tuple[str, str, str]]  # Buy or Sell, price, size; size "0" is gone


def steps(seed: int = 10) -> tuple[Rows, list[Rows]]:
    """A book of 100 levels a side, and changes of 5 rows that leave it so many."""
    chance = random.Random(seed)
    start = chance.randrange(500)
    held = {
        (side, str(start + first + direction * 5 * i)): size(chance)
        for side, first, direction in (("Buy", 5000, -1), ("Sell", 5005, 1))
        for i in range(100)
    }
    whole = [(side, price, held[side, price]) for side, price in held]
    changes = []
    for _ in range(COUNT):
        side = chance.choice(("Buy", "Sell"))
        prices = [price for of, price in held if of == side]
        gone, *kept = chance.sample(prices, 4)
        other = gone
        while other in prices:
            offset = chance.randrange(1, 1000)
            far = -offset / 2 if side == "Buy" else 5 + offset / 2
            other = str(start + 5000 + far)
        rows = [(side, gone, "0")]
        rows += [(side, price, size(chance)) for price in kept]
        rows += [(side, other, size(chance))]
        for _, price, new in rows:
            held[side, price] = new
        del held[side, gone]
        changes.append(rows)
    return whole, changes


def size(chance: random.Random) -> str:
    return str(chance.randrange(1, 5000))  # contracts; Gate has no others


def compact(value) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def frame(venue: str, number: int, rows: Rows, whole: bool) -> bytes:
    ts = TS + number
    if venue == "Bybit V1":
        objects = [{"price": p, "size": s, "side": side} for side, p, s in rows]
        lists = {"orderBook": objects}
        if not whole:
            gone = [{"price": p, "side": side} for side, p, s in rows if s == "0"]
            left = [row for row in objects if row["size"] != "0"]
            lists = {"delete": gone, "update": left[:-1], "insert": left[-1:]}
        data = {"version": str(number), "dataType": "NEW" if whole else "CHANGE"} | lists
        topic = f"delta.orderbook100.{SYMBOL}"
        return compact(
            {"id": f"{topic}-{number}-{ts}", "topic": topic, "creationTime": ts, "data": data}
        )
    sides = [[(p, s) for of, p, s in rows if of == side] for side in ("Buy", "Sell")]
    if venue == "Bybit V5":
        bids, asks = sides
        data = {"s": SYMBOL, "b": bids, "a": asks, "u": number, "seq": 7 * number}
        kind = "snapshot" if whole else "delta"
        topic = f"orderbook.100.{SYMBOL}"
        return compact({"topic": topic, "type": kind, "ts": ts, "data": data, "cts": ts})
    bids, asks = ([{"p": p, "s": int(s)} for p, s in side] for side in sides)
    data = {"t": ts, "s": SYMBOL, "U": number, "u": number, "b": bids, "a": asks}
    event = "all" if whole else "update"
    channel = "options.order_book_update"
    head = {"time": ts // 1000, "time_ms": ts, "channel": channel, "event": event}
    return compact(head | {"result": data})


def frames(venue: str) -> tuple[bytes, list[bytes]]:
    whole, changes = steps()
    later = [frame(venue, i, rows, False) for i, rows in enumerate(changes, 2)]
    return frame(venue, 1, whole, True), later


def prove(venue: str) -> OrderBook:
    """The book after each frame is that of the dict."""
    whole, changes = steps()
    first, later = frames(venue)
    book = OrderBook(wire=VENUES[venue])
    held: dict[str, dict[Decimal, Decimal]] = {"Buy": {}, "Sell": {}}
    decode = msgspec.json.Decoder(TYPED[venue], strict=False).decode
    for text, rows in zip([first, *later], [whole, *changes], strict=True):
        assert decode(text)
        book.apply(text)
        for side, price, new in rows:
            held[side][Decimal(price)] = Decimal(new)
            if new == "0":
                del held[side][Decimal(price)]
        depth = book.depth()
        for shown, side, best in ((depth.bids, "Buy", True), (depth.asks, "Sell", False)):
            expected = sorted(held[side].items(), reverse=best)
            assert shown.tolist() == [[float(p), float(s)] for p, s in expected[:100]]
    assert book.stats.applied == COUNT + 1
    assert book.stats.absent == 0
    return book


@pytest.fixture(params=VENUES, scope="module")
def venue(request):
    return request.param


def timed(benchmark, group, contender, calls, run, setup=None):
    benchmark.group = group
    benchmark.extra_info.update(contender=contender, calls=calls)
    if setup is None:
        return benchmark(run)
    return benchmark.pedantic(run, setup=setup, rounds=200, warmup_rounds=5)


@pytest.mark.parametrize("contender", ["OrderBook.apply", "msgspec"])
def test_whole(benchmark, venue, contender):
    book = prove(venue)
    call = book.apply
    if contender == "msgspec":
        call = msgspec.json.Decoder(TYPED[venue], strict=False).decode
    every = [frame(venue, i, steps(i)[0], True) for i in range(1, 33)]

    def run():
        for text in every:
            call(text)

    timed(benchmark, f"{venue}, 100 levels a side", contender, len(every), run)


@pytest.mark.parametrize("contender", ["OrderBook.apply", "msgspec"])
def test_change(benchmark, venue, contender):
    book = prove(venue)
    first, later = frames(venue)
    call, start = book.apply, lambda: book.apply(first)
    if contender == "msgspec":
        call, start = msgspec.json.Decoder(TYPED[venue], strict=False).decode, lambda: None

    def run():
        for text in later:
            call(text)

    timed(benchmark, f"{venue}, 5 rows", contender, COUNT, run, lambda: start() and None)

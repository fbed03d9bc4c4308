"""The obvious order book: what `OrderBook` must mean, with no thought of speed.

A frame goes through `json` and `Decimal`; a side is a list of (price, size) in units of 1e-8, best
first. No value is `None` here, where the book has `nan`. Averages over levels are in
`test_book_queries.py`, frames that change some levels in `model_delta.py`.
"""

import json
import re
from collections import Counter
from collections.abc import Iterable
from decimal import MAX_EMAX, MIN_EMIN, ROUND_DOWN, Context, Decimal
from functools import lru_cache
from typing import Any

from coincall_fast import OrderBook
from coincall_fast.model import Stats

SCALE = 10**8
LIMIT = 2**63 - 1  # of a price or a size, in units of 1e-8
KEPT = 100  # levels a side
NO_AGE = 2**63 - 1  # of what came without a time
NOW = 10**18  # when tests look at ages; later than any time that they give
BID, ASK, BID_SIZE, ASK_SIZE, DEPTH, ALL = 1, 2, 4, 8, 16, 31

NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
EXACT = Context(prec=100_000, Emin=MIN_EMIN, Emax=MAX_EMAX)
FAR = 1_000_000  # an exponent beyond it makes any number of a test too large, or less than 1e-8

Side = list[tuple[int, int]]


class Refused(Exception):
    """Where the book raises `DecodeError`."""


class OtherSymbol(Exception):
    """Where the book raises `SymbolMismatch`."""


class Gap(Exception):
    """Where the book raises `GapError`."""


class Number(str):
    """A JSON number as it is written."""


class Object(list[tuple[str, Any]]):
    """A JSON object as its pairs, in wire order, repeated keys and all."""


def ensure(condition: object) -> None:
    if not condition:
        raise Refused


def parse(frame: Any) -> Any:
    """The frame as RFC 8259 reads it, with numbers as text and objects as pairs."""
    try:
        raw = frame.encode() if isinstance(frame, str) else bytes(frame)
        return json.loads(
            raw.decode(),
            object_pairs_hook=Object,
            parse_int=Number,
            parse_float=Number,
            parse_constant=lambda name: ensure(name == "NaN and Infinity are no JSON"),
        )
    except ValueError as error:
        raise Refused from error


def one(pairs: Any, *keys: str) -> Any:
    """The value of the one pair that has one of these keys."""
    ensure(isinstance(pairs, Object))
    values = [value for key, value in pairs if key in keys]
    ensure(len(values) == 1)
    return values[0]


def units(number: Any) -> tuple[int, bool]:
    """A number, bare or quoted, rounded down to units of 1e-8, and whether that lost anything."""
    ensure(isinstance(number, str))
    return units_of_text(number.strip(" "))


@lru_cache(10_000)  # successive frames have most of their numbers in common
def units_of_text(text: str) -> tuple[int, bool]:
    ensure(NUMBER.fullmatch(text))
    mantissa, _, exponent = text.lower().partition("e")
    power = max(-FAR, min(FAR, int(exponent or 0)))
    value = EXACT.multiply(Decimal(f"{mantissa}e{power}"), SCALE)
    ensure(0 <= value <= LIMIT)
    whole = value.to_integral_value(ROUND_DOWN, EXACT)
    return int(whole), whole != value


def best_of(levels: Iterable[tuple[int, int]], direction: int) -> Side:
    """Sorted with the best first; direction -1 puts the highest first. Equal prices stay put."""
    return sorted(levels, key=lambda level: direction * level[0])


def read_side(levels: Iterable[Any], direction: int, counts: Counter[str]) -> Side:
    """The kept levels of (price, size) texts in wire order."""
    read = []
    for price_text, size_text in levels:
        (price, price_rounded), (size, size_rounded) = units(price_text), units(size_text)
        ensure(not price_rounded)
        counts["inexact"] += size_rounded
        if price and size:
            read.append((price, size))
    best_first = best_of(read, direction)
    kept = best_first[:KEPT]
    ensure(len({price for price, _ in kept}) == len(kept))
    counts["unsorted"] |= best_first != read
    counts["truncated"] |= len(read) > KEPT
    return kept


def read_frame(frame: Any) -> tuple[str, int, Any, Any]:
    """(symbol, ts_ms, bids, asks) of a frame; the sides are (price, size) texts."""
    envelope = parse(frame)
    channel, data = one(envelope, "dt"), one(envelope, "d")
    ensure(isinstance(channel, Number) and channel in ("5", "32"))
    symbol, ts, bids, asks = (one(data, key) for key in ("s", "ts", "bids", "asks"))
    ensure(type(symbol) is str and symbol and not re.search("[\ud800-\udfff]", symbol))
    ensure(isinstance(ts, Number) and re.fullmatch("[0-9]{1,18}", ts))
    ensure(type(bids) is list and type(asks) is list)
    bids, asks = ([(one(level, "pr"), one(level, "sz", "v")) for level in s] for s in (bids, asks))
    return symbol, int(ts), bids, asks


def age(time_ns: int) -> int:
    return NOW - time_ns if time_ns > 0 else NO_AGE


def best(side: Side) -> tuple[int | None, int | None]:
    return side[0] if side else (None, None)


class Model:
    def __init__(self, symbol: str | None = None) -> None:
        self.symbol = symbol
        self.bids: Side = []
        self.asks: Side = []
        self.ts_ms = self.recv_ns = self.update_count = self.last_change = 0
        self.is_valid = False
        self.stats = Counter[str]()
        # The recv_ns with which the price of a kept level came, and that with which its size did.
        self.since: dict[tuple[str, int], int] = {}
        self.changed: dict[tuple[str, int], int] = {}

    def apply(self, frame: Any, recv_ns: int = 0) -> int:
        try:
            symbol, ts_ms, *sides = read_frame(frame)
            bids, asks, counts = self.read(*sides)
            if self.symbol not in (None, symbol):
                raise OtherSymbol
        except (Refused, OtherSymbol):
            self.stats["rejected"] += 1
            raise
        self.symbol = symbol
        if self.is_valid and ts_ms < self.ts_ms:
            self.stats["stale"] += 1
            self.last_change = 0
            return 0
        return self.replace(bids, asks, counts, ts_ms, recv_ns)

    def load(self, bids: Any, asks: Any, ts_ms: int = 0, recv_ns: int = 0) -> int:
        try:
            # A number of a caller stands for its text; a float's is its repr, which str() gives.
            bids, asks, counts = self.read(*([map(str, lv) for lv in s] for s in (bids, asks)))
        except Refused:
            self.stats["rejected"] += 1
            raise
        return self.replace(bids, asks, counts, ts_ms or self.ts_ms, recv_ns)

    def read(self, bids: Any, asks: Any) -> tuple[Side, Side, Counter[str]]:
        counts = Counter[str]()
        return read_side(bids, -1, counts), read_side(asks, +1, counts), counts

    def update(self, side: str, price: Any, size: Any, ts_ms: int = 0, recv_ns: int = 0) -> int:
        counts, direction = Counter[str](), -1 if side == "bid" else +1
        try:
            (price_e8, price_rounded), (size_e8, size_rounded) = units(str(price)), units(str(size))
            ensure(not price_rounded)
        except Refused:
            self.stats["rejected"] += 1
            raise
        held = dict(self.bids if side == "bid" else self.asks)
        counts["inexact"] += size_rounded
        if size_e8 == 0 and price_e8 not in held:
            self.stats["absent"] += 1
            self.last_change = 0
            return 0
        held[price_e8] = size_e8
        levels = best_of(((price, size) for price, size in held.items() if size), direction)
        counts["truncated"] = len(levels) > KEPT
        sides = (levels[:KEPT], self.asks) if side == "bid" else (self.bids, levels[:KEPT])
        return self.replace(*sides, counts, ts_ms or self.ts_ms, recv_ns, whole=False)

    def replace(
        self, bids: Side, asks: Side, counts: Any, ts_ms: int, recv_ns: int, whole: bool = True
    ) -> int:
        """Makes this the book; `whole` where it is all there is, and not one change to it."""
        change = 0
        for old, new, price, size in (
            (self.bids, bids, BID, BID_SIZE),
            (self.asks, asks, ASK, ASK_SIZE),
        ):
            (old_price, old_size), (new_price, new_size) = best(old), best(new)
            change |= price * (old_price != new_price) | size * (old_size != new_size)
            change |= DEPTH * (old[1:] != new[1:])
        if whole and not self.is_valid:
            change = ALL  # there is nothing that the book could equal
        self.keep_times("bid", self.bids, bids, recv_ns)
        self.keep_times("ask", self.asks, asks, recv_ns)
        self.bids, self.asks, self.ts_ms, self.recv_ns = bids, asks, ts_ms, recv_ns
        self.is_valid |= whole
        self.last_change = change
        self.update_count += 1
        self.stats.update(counts, applied=1, unchanged=change == 0)
        return change

    def keep_times(self, name: str, old: Side, new: Side, recv_ns: int) -> None:
        """Levels are the same by price, wherever they stand; what is not kept is forgotten."""
        before, after = dict(old), dict(new)
        for price in before.keys() - after.keys():
            del self.since[name, price], self.changed[name, price]
        for price in after.keys() - before.keys():
            self.since[name, price] = recv_ns
        for price in after:
            if before.get(price) != after[price]:
                self.changed[name, price] = recv_ns

    def clear(self) -> None:
        self.bids, self.asks = [], []
        self.since, self.changed = {}, {}
        self.ts_ms = self.recv_ns = 0
        self.is_valid = False

    def ages(self, name: str, side: Side) -> list[tuple[int, int]]:
        """At `NOW`, of each level: since its price came, and since its size did."""
        times = ((self.since[name, price], self.changed[name, price]) for price, _ in side)
        return [(age(since), age(changed)) for since, changed in times]

    def state(self) -> dict[str, Any]:
        """Every attribute of the book, under its name there, the snapshot as rows, and ages."""
        (bid, bid_size), (ask, ask_size) = best(self.bids), best(self.asks)
        stored = "symbol", "ts_ms", "recv_ns", "update_count", "last_change", "is_valid"
        bbo = {
            "best_bid": None if bid is None else bid / 1e8,
            "best_bid_size": (bid_size or 0) / 1e8,
            "best_ask": None if ask is None else ask / 1e8,
            "best_ask_size": (ask_size or 0) / 1e8,
        }
        mid = spread = None
        if bid is not None and ask is not None:
            mid, spread = (bid + ask) / 2e8, (ask - bid) / 1e8
        unused = (0, 0)
        return {
            **{name: getattr(self, name) for name in stored},
            **bbo,
            "bbo": tuple(bbo.values()),
            "best_bid_e8": bid,
            "best_bid_size_e8": bid_size,
            "best_ask_e8": ask,
            "best_ask_size_e8": ask_size,
            "mid": mid,
            "spread": spread,
            "is_crossed": spread is not None and spread < 0,
            "is_locked": spread == 0,
            "bid_count": len(self.bids),
            "ask_count": len(self.asks),
            "stats": tuple(self.stats[name] for name in Stats._fields),
            "bids": self.bids + [unused] * (KEPT - len(self.bids)),
            "asks": self.asks + [unused] * (KEPT - len(self.asks)),
            "bid_ages": self.ages("bid", self.bids),
            "ask_ages": self.ages("ask", self.asks),
        }


LISTS = "bids", "asks", "bid_ages", "ask_ages"
ATTRIBUTES = [name for name in Model().state() if name not in LISTS]


def observe(book: OrderBook) -> dict[str, Any]:
    """What `Model.state()` gives, of the compiled book; `nan` is `None`, so that it compares."""

    def same(value: Any) -> Any:
        if isinstance(value, tuple):
            return tuple(map(same, value))
        return None if value != value else value

    def ages(side: str, count: int) -> list[tuple[int, int]]:
        return [
            (book.level_age_ns(side, i, NOW), book.changed_ns(side, i, NOW)) for i in range(count)
        ]

    bid, bid_size, ask, ask_size = book.snapshot().tolist()
    return {
        **{name: same(getattr(book, name)) for name in ATTRIBUTES},
        "bids": list(zip(bid, bid_size, strict=True)),
        "asks": list(zip(ask, ask_size, strict=True)),
        "bid_ages": ages("bid", book.bid_count),
        "ask_ages": ages("ask", book.ask_count),
    }

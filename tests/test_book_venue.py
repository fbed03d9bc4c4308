"""A venue whose book is a dict, and what becomes of it on a bad line.

Frames are lost, doubled and swapped on the way. Whatever comes, a book that says that it is valid
holds what the venue's book held at its version, level by level; it is invalid from the first frame
that does not follow until the next whole book or base. Shares nothing with the core, and no model.
"""

import re
from collections import Counter
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import bybit_frames
from coincall_fast import BookStore, OrderBook
from coincall_fast.errors import GapError
from coincall_fast.wire import BYBIT, BYBIT_V5, GATE
from list_frames import CONTRACT, OPTION, gate, v5
from strategies import examples, seeds

Side = dict[int, int]  # size by price, both in whole units


class Venue:
    """Its book, and each of its states by number; up to `depth` levels a side are shown."""

    depth = 100

    def __init__(self, random: Random) -> None:
        self.random, self.number = random, random.choice((0, 5, 10**9))
        count = random.choice((0, 3, 40, 100, 100))
        self.sides: tuple[Side, Side] = (
            dict.fromkeys(random.sample(range(1, 300), count), 1),
            dict.fromkeys(random.sample(range(200, 500), count), 2),
        )
        self.states: dict[int, tuple[Side, Side]] = {}
        self.note()

    def note(self) -> None:
        bids, asks = self.sides
        self.states[self.number] = (dict(bids), dict(asks))

    def move(self) -> tuple[Side, Side]:
        """One change of some levels: what has another size now, 0 where it is gone."""
        changes: tuple[Side, Side] = ({}, {})
        for side, change, prices in zip(
            self.sides, changes, (range(1, 300), range(200, 500)), strict=True
        ):
            for _ in range(self.random.choice((0, 0, 1, 2, 5, 30))):
                is_held = side and self.random.random() < 0.6
                price = self.random.choice([*side] if is_held else prices)
                size = self.random.choice((0, 0, 1, 2, 3))
                if price in change or (size == 0 and price not in side):
                    continue
                change[price] = size
            for price, size in change.items():
                if size:
                    side[price] = size
                else:
                    del side[price]
            while len(side) > self.depth:  # what leaves the window is said to
                worst = min(side) if change is changes[0] else max(side)
                del side[worst]
                change[worst] = 0
        self.number += 1
        self.note()
        return changes

    def shuffled(self, side: Side) -> list[tuple[str, Any]]:
        rows = [(self.spelled(price), size) for price, size in side.items()]
        self.random.shuffle(rows)
        return rows

    def rows_of(self, sides: tuple[Side, Side]) -> tuple[Any, Any]:
        bids, asks = sides
        return self.shuffled(bids), self.shuffled(asks)

    def spelled(self, price: int) -> str:
        return str(price) + self.random.choice(("", "", ".0", ".00000000"))


class BybitV1(Venue):
    wire, symbol = BYBIT, bybit_frames.OPTION

    def whole(self) -> bytes:
        rows = self.rows("Buy", self.sides[0]) + self.rows("Sell", self.sides[1])
        return bybit_frames.new(self.number, *rows)

    def rows(self, name: str, side: Side, sized: bool = True) -> list[Any]:
        pairs = self.shuffled(side)
        return [(name, price, str(size)) if sized else (name, price) for price, size in pairs]

    def change(self) -> bytes:
        before = self.states[self.number]
        lists: dict[str, Any] = {"delete": [], "update": [], "insert": []}
        for name, held, change in zip(("Buy", "Sell"), before, self.move(), strict=True):
            gone: Side = {price: size for price, size in change.items() if not size}
            lists["delete"] += self.rows(name, gone, sized=False)
            for price, size in change.items():
                if size:
                    lists["update" if price in held else "insert"] += self.rows(name, {price: size})
        return bybit_frames.change(self.number, **lists)


class BybitV5(Venue):
    wire, symbol = BYBIT_V5, OPTION

    def whole(self) -> bytes:
        return v5("snapshot", self.number, *self.rows_of(self.sides))

    def change(self) -> bytes:
        changes = self.move()
        return v5("delta", self.number, *self.rows_of(changes))


class Gate(Venue):
    wire, symbol, depth = GATE, CONTRACT, 50

    def change(self) -> bytes:
        """Of up to three steps at once, of which the last sizes are sent."""
        first, total = self.number + 1, ({}, {})  # type: tuple[int, tuple[Side, Side]]
        for _ in range(self.random.choice((1, 1, 2, 3))):
            for all_of_it, change in zip(total, self.move(), strict=True):
                all_of_it.update(change)
        return gate(first, self.number, *self.rows_of(total))

    def base(self, store: BookStore) -> OrderBook:
        """A REST snapshot of some state since the last frames, or before."""
        number = self.random.choice([*self.states][-6:])
        bids, asks = self.rows_of(self.states[number])
        return store.load(self.symbol, bids, asks, version=number)


def check(book: OrderBook, venue: Venue) -> None:
    if not book.is_valid:
        assert (book.bid_count, book.ask_count, book.version) == (0, 0, None)
        return
    assert book.version is not None
    bids, asks = venue.states[book.version]
    depth = book.depth()
    assert depth.bids.tolist() == [[p, bids[p]] for p in sorted(bids, reverse=True)[:100]]
    assert depth.asks.tolist() == [[p, asks[p]] for p in sorted(asks)[:100]]


def number_of(frame: bytes) -> tuple[int, int]:
    found = [re.search(rb'"%s":"?(\d+)' % key, frame) for key in (b"U", b"u", b"version")]
    first, last = found[0], found[1] or found[2]
    assert last
    return int((first or last)[1]), int(last[1])


def line(venue: Any, random: Random) -> list[bytes]:
    """The next frames, as a bad line delivers them."""
    frames = [venue.change() for _ in range(random.choice((1, 2, 3)))]
    at = random.randrange(len(frames))
    match random.randrange(7):
        case 0:
            del frames[at]
        case 1:
            frames.insert(at, frames[at])
        case 2:
            frames.append(frames[at])
        case 3:
            random.shuffle(frames)
    return frames


@pytest.mark.parametrize("make", [BybitV1, BybitV5, Gate])
def test_a_book_is_the_venues_or_none(make: Any) -> None:
    outcomes: Counter[str] = Counter()

    @examples(120, 10_000)
    @given(seeds, st.lists(seeds, min_size=3, max_size=20))
    def agree(opening: int, steps: list[int]) -> None:
        venue = make(Random(opening))
        store = BookStore(wire=make.wire)
        is_new = True  # nothing but a base has come
        for step in steps:
            random = venue.random = Random(step)
            book = store.get(venue.symbol)
            if book is None or not book.is_valid or random.random() < 0.05:
                if make is Gate:
                    venue.base(store)
                    is_new = True
                else:
                    store.feed(venue.whole())
            for frame in line(venue, random):
                first, last = number_of(frame)
                book = store[venue.symbol]
                held = book.version
                follows = held is not None and first == held + 1
                straddles = make is Gate and is_new and held is not None and first <= held < last
                if not follows and not straddles and (held is None or last > held):
                    outcomes["gap" if held is not None else "no version"] += 1
                    with pytest.raises(GapError) as gap:
                        store.feed(frame)
                    assert gap.value.expected == (None if held is None else held + 1)
                    assert not book.is_valid
                else:
                    assert store.feed(frame) is book
                    outcomes["stale" if book.version == held else "applied"] += 1
                    assert book.version == (last if follows or straddles else held)
                    is_new = is_new and book.version == held
                check(book, venue)

    agree()
    total = outcomes.total()
    assert outcomes["applied"] > 0.4 * total, outcomes
    for outcome in "gap", "no version", "stale":
        assert outcomes[outcome] > 0.005 * total, f"{outcome} is too rare: {outcomes}"

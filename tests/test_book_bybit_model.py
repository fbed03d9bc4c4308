"""Any sequence of Bybit's frames leaves what it leaves in the obvious book of `model_delta.py`."""

from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from random import Random
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from both import as_any_type
from bybit_frames import (
    DELTA,
    HELD,
    OPTION,
    WHOLE,
    change,
    new,
    shuffled,
    spell,
    whole,
)
from coincall_fast.errors import CoincallFastError
from model_delta import BOOK_SIDES, BothDelta
from strategies import LONG, ODD_NUMBERS, TIME, examples, seeds, unhurried
from tables import table

TICK = 10**8
Level = tuple[str, int, int]  # side, price and size in units of 1e-8


def a_level(random: Random) -> Level:
    size = random.choice((1, 1, 2, 3, 0))
    return random.choice(("Buy", "Sell")), random.randrange(1, 220) * TICK, size * TICK // 2


def distinct(levels: list[Level]) -> list[Level]:
    """The first of each price and side."""
    return list({level[:2]: level for level in reversed(levels)}.values())[::-1]


class Venue:
    """Draws what comes next, from what the model of the book holds by now."""

    def __init__(self, both: BothDelta, opening: int) -> None:
        self.both, self.ts_ms = both, TIME
        random = Random(opening)
        sides = (("Buy", range(1, 221)), ("Sell", range(80, 300)))
        self.opening = [
            (side, price * TICK, TICK)
            for side, prices in sides
            for price in random.sample(prices, random.choice((0, 3, 60, 98, 100, 100, 130)))
        ]

    def held(self) -> list[Level]:
        model = self.both.model
        bids = [("Buy", price, size) for price, size in model.bids]
        return bids + [("Sell", price, size) for price, size in model.asks]

    def a_book(self, random: Random) -> list[Level]:
        """What is held, but for a few levels, or something else."""
        levels = self.held() or self.opening
        if random.random() < 0.3:
            return distinct([a_level(random) for _ in range(random.choice((0, 2, 30, 300)))])
        for _ in range(random.choice((0, 1, 3))):
            if levels:
                at = random.choice((0, len(levels) - 1, random.randrange(len(levels))))
                side, price, size = levels[at]
                replaced = random.choice(([], [(side, price, size + 1)], [a_level(random)]))
                levels[at : at + 1] = replaced
        return shuffled(distinct(levels), random)

    def a_list(self, random: Random) -> list[Level]:
        """Rows of a change, of levels that are held more often than not."""
        held, rows = self.held(), []
        for _ in range(random.choice((0, 0, 1, 1, 2, 5, 30))):
            side, price, size = a_level(random)
            if held and random.random() < 0.7:
                side, price, _ = random.choice((held[0], held[-1], random.choice(held)))
            # Levels that go as others come to a full side: which of them stay is nowhere said.
            if size or len(held) < 60:
                rows.append((side, price, size))
        return shuffled(distinct(rows), random)

    def frame(self, seed: int, topic: str = "", odd_number: str | None = None) -> bytes:
        """A change that follows, most of the time."""
        random = Random(seed)
        self.ts_ms += random.choice((0, 1, 1, -1))
        data: dict[str, Any]
        kind = random.choice((*["CHANGE"] * 14, "again", "again", "gap", "NEW", "whole"))
        version = self.both.model.version
        if version is None:
            version, kind = 5, random.choice(("NEW", "NEW", "whole", kind))
        if kind == "whole":
            data = {random.choice(("orderBook", "orderBooks")): self.a_book(random)}
            topic = topic or random.choice((WHOLE, WHOLE.replace("100", "25", 1)))
        elif kind == "NEW":
            version = random.choice((version, version + 1, 0, 10**9))
            data = {"version": str(version), "dataType": "NEW", "orderBook": self.a_book(random)}
        else:
            version += {"CHANGE": 1, "again": -random.randrange(2), "gap": 2}[kind]
            data = {"version": str(max(version, 0)), "dataType": "CHANGE"}
            for name in "delete", "update", "insert":
                rows = self.a_list(random)
                if name == "delete" and random.random() < 0.8:
                    data[name] = [row[:2] for row in rows]
                elif rows or random.random() < 0.8:
                    data[name] = rows
        spelling = random.choice((0, 0, seed))
        return spell(topic or DELTA, self.ts_ms, data, spelling, odd_number)


def play(both: BothDelta, venue: Venue, seed: int, recv_ns: int) -> str:
    random = Random(seed)
    held = venue.held()
    match random.randrange(25):
        case 0 | 5:
            return both.clear()
        case 1:
            sides = ([(p / 1e8, s / 1e8) for of, p, s in held if of == side] for side in BOOK_SIDES)
            return both.load(*sides, 0, recv_ns)
        case 2 if held:
            side, price, _ = random.choice(held)
            size = random.choice((0, 0.5, 7))
            return both.update(BOOK_SIDES[side], price / 1e8, size, 0, recv_ns)
        case 3:
            return both.apply(venue.frame(seed, odd_number=random.choice(ODD_NUMBERS)), recv_ns)
        case 4:
            return both.apply(venue.frame(seed, topic=DELTA + "X"), recv_ns)
        case _:
            frame = as_any_type(venue.frame(seed), random.randrange(4))
            return both.apply(frame, recv_ns)


@unhurried
def test_any_sequence() -> None:
    outcomes: Counter[str] = Counter()

    @examples(300, 10_000)
    @given(seeds, st.lists(seeds, min_size=2, max_size=15))
    def agree(opening: int, steps: list[int]) -> None:
        both = BothDelta()
        venue = Venue(both, opening)
        data = {"version": "5", "dataType": "NEW", "orderBook": venue.opening}
        both.apply(spell(DELTA, TIME, data, seed=0), 1)
        for number, seed in enumerate(steps, 2):
            recv_ns = Random(seed).choice((0, number, number, number))
            outcomes[play(both, venue, seed, recv_ns)] += 1

    agree()
    total = outcomes.total()
    for outcome in "stale", "gap", "refused", "of another symbol", "cleared":
        assert outcomes[outcome] > 0.01 * total, f"{outcome} is too rare: {outcomes}"
    assert outcomes["applied"] > 0.4 * total, outcomes
    assert outcomes["unclear"] < 0.15 * total, outcomes


# One character away --------------------------------------------------------------------------

SHORT = {
    "CHANGE": change(56, [("Buy", "10")], [("Sell", "11", "5")], [("Buy", "9.5", "1")]),
    "NEW": new(56, *HELD[:2], ts=TIME + 1),
    "whole": whole(*HELD[1:3], key="orderBooks", ts=TIME + 1),
}


def mutants(frame: bytes) -> Iterator[bytes]:
    put = bytes(range(256)) if LONG else b'",]}5e \0'
    for at in range(len(frame)):
        yield frame[:at]
        yield frame[:at] + frame[at + 1 :]
        for byte in put:
            yield frame[:at] + bytes([byte]) + frame[at:]
            yield frame[:at] + bytes([byte]) + frame[at + 1 :]


@unhurried
@table(SHORT)
def test_every_frame_one_byte_away(case: bytes) -> None:
    """Each is given to a book of version 55; then comes a book that has to replace it all."""
    outcomes: Counter[str] = Counter()
    first, last = new(55, *HELD), new(1, *HELD, ts=10**18 - 1)
    for frame in mutants(case):
        both = BothDelta(OPTION)
        both.apply(first, 1)
        outcome = both.apply(frame, 2)
        outcomes[outcome] += 1
        if outcome == "unclear":
            with suppress(CoincallFastError):
                both.book.apply(frame, 2)
            both = BothDelta(OPTION)
            both.apply(first, 1)
        assert both.apply(last, 3) == "applied"
    assert outcomes["applied"] > 0.05 * outcomes.total(), outcomes
    assert outcomes["refused"] > 0.4 * outcomes.total(), outcomes
    assert outcomes["unclear"] < 0.05 * outcomes.total(), outcomes

"""Any sequence of V5's or Gate's frames, in any spelling, leaves what `model_lists.py` says."""

from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from both import as_any_type
from coincall_fast.errors import CoincallFastError
from list_frames import CONTRACT, OPTION, gate, v5
from model_lists import BothLists
from strategies import LONG, ODD_NUMBERS, TIME, Speller, examples, seeds, unhurried

TICK = 10**8 // 2
KNOWN = (*"sbauUpt", "topic", "type", "ts", "data", "channel", "event", "result")
Level = tuple[int, int]  # price and size in units of 1e-8


def drawn(random: Random, held: list[Level]) -> list[Level]:
    """Levels of a change, of held ones more often than not, each price once."""
    change: dict[int, int] = {}
    for _ in range(random.choice((0, 0, 1, 1, 2, 5, 16, 17, 40))):
        price = random.randrange(1, 260) * TICK
        if held and random.random() < 0.7:
            price = random.choice((held[0], held[-1], random.choice(held)))[0]
        change.setdefault(price, random.choice((0, 0, 1, 2, 3)) * TICK)
    return list(change.items())


def spelled(both: BothLists, is_gate: bool, seed: int, topic: str = "") -> bytes:
    """A change that follows, most of the time, in some spelling."""
    random, speller = Random(seed), Speller(seed if seed % 3 else 0)
    model = both.model
    version = model.version
    step = random.choice((1, 1, 1, 1, 1, 1, 1, 0, 2))
    is_whole = not is_gate and (version is None or random.random() < 0.1)
    number = (version or 5) + step
    first = number - (is_gate and random.random() < 0.1)

    def rows(levels: list[Level]) -> list[Any]:
        random.shuffle(levels)
        out: list[Any] = []
        for price, size in levels:
            p, s = speller.quoted(price), speller.quoted(size)
            if random.random() < 0.02:
                p = random.choice(ODD_NUMBERS)
            out.append(speller.object([("p", p), ("s", s)], KNOWN) if is_gate else [p, s])
        return out

    bids, asks = (rows(drawn(random, list(side))) for side in (model.bids, model.asks))
    ts = str(TIME + random.randrange(3))
    lists: list[Any] = [("b", bids), ("a", asks)]
    if is_gate:
        numbers = [("U", str(max(first, 0))), ("u", str(number))]
        data = [("t", ts), ("s", speller.string(topic or CONTRACT)), *numbers, *lists]
        frame = [
            ("channel", speller.string("options.order_book_update")),
            ("event", speller.string("update")),
            ("result", speller.object(data, KNOWN)),
        ]
    else:
        kind = "snapshot" if is_whole else "delta"
        frame = [
            ("topic", speller.string(f"orderbook.25.{topic or OPTION}")),
            ("type", speller.string(kind)),
            ("ts", ts),
            ("data", speller.object([("s", '"x"'), *lists, ("u", str(number))], KNOWN)),
        ]
    return speller.write(speller.object(frame, KNOWN)).encode()


def play(both: BothLists, is_gate: bool, seed: int, recv_ns: int) -> str:
    random, model = Random(seed), both.model
    if is_gate and (model.version is None and random.random() < 0.9):
        held = ([(p / 1e8, s / 1e8) for p, s in side] for side in (model.bids, model.asks))
        count = random.choice((0, 3, 100))
        new = [(price / 2, 1.0) for price in random.sample(range(1, 260), count)]
        bids, asks = (side or new for side in held)
        return both.load_base(bids, asks, recv_ns, random.choice((5, 6, 7)))
    match random.randrange(25):
        case 0:
            return both.clear()
        case 1 if model.bids:
            price = random.choice(model.bids)[0]
            return both.update("bid", price / 1e8, random.choice((0, 0.5, 7)), 0, recv_ns)
        case 2:
            return both.apply(spelled(both, is_gate, seed, "OTHER"), recv_ns)
        case _:
            return both.apply(as_any_type(spelled(both, is_gate, seed), seed % 4), recv_ns)


@unhurried
@pytest.mark.parametrize("is_gate", [False, True], ids=["v5", "gate"])
def test_any_sequence(is_gate: bool) -> None:
    outcomes: Counter[str] = Counter()

    @examples(150, 10_000)
    @given(st.lists(seeds, min_size=3, max_size=18))
    def agree(steps: list[int]) -> None:
        both = BothLists(is_gate)
        for number, seed in enumerate(steps, 1):
            recv_ns = Random(seed).choice((0, number, number, number))
            outcomes[play(both, is_gate, seed, recv_ns)] += 1

    agree()
    total = outcomes.total()
    for outcome in "stale", "gap", "refused", "of another symbol", "cleared":
        assert outcomes[outcome] > 0.01 * total, f"{outcome} is too rare: {outcomes}"
    assert outcomes["applied"] > 0.3 * total, outcomes


# One character away --------------------------------------------------------------------------

SHORT = {
    "delta": v5("delta", 56, [("10", "0"), ("9.5", "1")], [("11", "5")], symbol="X"),
    "snapshot": v5("snapshot", 56, [("10", "3")], [("12", "4")], ts=TIME + 1, symbol="X"),
    "update": gate(50, 56, [("10", 0), ("9.5", 1)], [("11", 5)], symbol="X"),
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
@pytest.mark.parametrize("kind", SHORT)
def test_every_frame_one_byte_away(kind: str) -> None:
    """Each is given to a book of version 55; then comes what has to replace it all."""
    outcomes: Counter[str] = Counter()
    is_gate = kind == "update"

    def held() -> BothLists:
        both = BothLists(is_gate, "X")
        both.load_base([("10", "1"), ("9", "2")], [("11", "3"), ("12", "4")], 1, 55)
        return both

    for frame in mutants(SHORT[kind]):
        both = held()
        outcome = both.apply(frame, 2)
        outcomes[outcome] += 1
        if outcome == "unclear":
            with suppress(CoincallFastError):
                both.book.apply(frame, 2)
            both = held()
        assert both.load_base([("7", "1")], [], 3, 9) == "loaded"
    assert outcomes["applied"] > 0.05 * outcomes.total(), outcomes
    assert outcomes["refused"] > 0.4 * outcomes.total(), outcomes
    assert outcomes["unclear"] < 0.05 * outcomes.total(), outcomes

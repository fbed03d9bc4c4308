"""Frames to time, the same every time, in the kinds that decide speed.

A processor that has seen the last frame guesses most of the next one's branches, so how alike the
frames are matters as much as how long they are: "successive" are snapshots of one market in which
every level has moved, "steady" ones in which 6 levels of each frame have changed, "unrelated" ones
of as many different markets.
"""

import random

COUNT = 64
KINDS = ("successive", "unrelated", "steady")


def frames(kind: str, levels: int) -> list[bytes]:
    chance = random.Random(f"{kind} {levels}")
    if kind == "unrelated":
        return [frame(_book(chance, levels, chance.randint(10_000, 9_000_000)), i)
                for i in range(COUNT)]  # fmt: skip
    made = []
    book = _book(chance, levels, 2_643_635)
    for i in range(COUNT):
        made.append(frame(book, i))
        if kind == "steady":
            for _ in range(6):
                chance.choice(chance.choice(book))[1] = _size(chance)
        else:
            book = _book(chance, levels, 2_643_635 + chance.randint(-300, 300))
    return made


def frame(book: list[list[list[int]]], i: int) -> bytes:
    """A futures frame of today's edition (seed 003, OrderBook), compact, as the venue is taken to
    send it: prices without trailing zeros, sizes with them now and then."""
    bids, asks = (
        ",".join(f'{{"pr":"{_cents(price)}","sz":"{_thousandths(size)}"}}' for price, size in side)
        for side in book
    )
    ts_ms = 1_700_000_000_000 + 200 * i
    data = f'{{"s":"BTCUSD","asks":[{asks}],"bids":[{bids}],"ts":{ts_ms}}}'
    return f'{{"dt":32,"c":20,"d":{data}}}'.encode()


def _book(chance: random.Random, levels: int, mid: int) -> list[list[list[int]]]:
    """Bids and asks around a mid price, as [price in cents, size in thousandths]."""
    sides = []
    step = min(90, mid // (3 * levels))  # the bids of the cheapest stay above 0
    for direction in (-1, 1):
        price, side = mid, []
        for _ in range(levels):
            price += direction * chance.randint(1, step)
            side.append([price, _size(chance)])
        sides.append(side)
    return sides


def _size(chance: random.Random) -> int:
    return int(10 ** chance.uniform(0, 5))


def _cents(price: int) -> str:
    return f"{price / 100:.2f}".rstrip("0").rstrip(".")


def _thousandths(size: int) -> str:
    text = f"{size / 1000:.3f}"
    return f"{text}00000" if size % 3 == 0 else text.rstrip("0").rstrip(".")

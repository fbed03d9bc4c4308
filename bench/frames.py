"""Frames to time, the same every time, in the kinds that decide speed.

A processor that has seen the last frame guesses most of the next one's branches, and a core can
remember it, so how alike the frames are matters as much as how long they are: "successive" are
snapshots of one market in which every price is new, "steady" ones in which 6 levels of each frame
have changed, "unrelated" ones of as many different markets.
"""

import random

COUNT = 64
KINDS = ("successive", "unrelated", "steady")
LEVELS = (100, 20, 8)
SYMBOL = "BTCUSD"

Book = list[dict[int, int]]  # bids and asks, each {price in cents: size in thousandths}


def frames(kind: str, levels: int, symbol: str = SYMBOL, count: int = COUNT) -> list[bytes]:
    """Each symbol has a history of its own."""
    chance = random.Random(f"{kind} {levels}" if symbol == SYMBOL else f"{kind} {levels} {symbol}")
    if kind == "unrelated":
        return [frame(_book(chance, levels, chance.randint(10_000, 9_000_000)), i, symbol)
                for i in range(count)]  # fmt: skip
    made = []
    book = _book(chance, levels, 2_643_635)
    for i in range(count):
        made.append(frame(book, i, symbol))
        if kind == "steady":
            book = _soon_after(chance, book)
        else:
            book = _book(chance, levels, 2_643_635 + chance.randint(-300, 300))
    return made


def frame(book: Book, i: int, symbol: str = SYMBOL) -> bytes:
    """A futures frame of today's edition (seed 003, OrderBook), compact, as the venue is taken to
    send it: prices without trailing zeros, sizes with them now and then."""
    bids, asks = (
        ",".join(
            f'{{"pr":"{_cents(price)}","sz":"{_thousandths(size)}"}}'
            for price, size in sorted(side.items(), reverse=highest_first)
        )
        for side, highest_first in zip(book, (True, False), strict=True)
    )
    ts_ms = 1_700_000_000_000 + 200 * i
    data = f'{{"s":"{symbol}","asks":[{asks}],"bids":[{bids}],"ts":{ts_ms}}}'
    return f'{{"dt":32,"c":20,"d":{data}}}'.encode()


def _book(chance: random.Random, levels: int, mid: int) -> Book:
    """Bids and asks around a mid price."""
    sides = []
    step = min(90, mid // (3 * levels))  # the bids of the cheapest stay above 0
    for direction in (-1, 1):
        price, side = mid, {}
        for _ in range(levels):
            price += direction * chance.randint(1, step)
            side[price] = _size(chance)
        sides.append(side)
    return sides


def _soon_after(chance: random.Random, book: Book) -> Book:
    """The same market with 3 sizes changed, 3 levels gone and 3 others come.

    The venue shows a fixed number of levels. So when one is taken away the next worse comes into
    view at the far end, and when one is placed among them the worst goes out of view.
    """
    while True:
        later = [dict(side) for side in book]
        for _ in range(3):
            side = chance.choice(later)
            side[chance.choice(list(side))] = _size(chance)
        for _ in range(3):
            side, worst, away = chance.choice(
                ((later[0], min(later[0]), -1), (later[1], max(later[1]), 1))
            )
            if chance.random() < 0.5:
                del side[chance.choice(list(side))]
                side[worst + away * chance.randint(1, 90)] = _size(chance)
            else:
                del side[worst]
                side[chance.randint(min(side), max(side))] = _size(chance)
        # Chance may pick one level twice: then once more, so that it is always 6.
        if _difference(book, later) == (3, 3, 3):
            return later


def _difference(before: Book, after: Book) -> tuple[int, int, int]:
    """How many levels have another size, are gone, and have come."""
    sides = list(zip(before, after, strict=True))
    return (
        sum(old[price] != new[price] for old, new in sides for price in old.keys() & new.keys()),
        sum(len(old.keys() - new.keys()) for old, new in sides),
        sum(len(new.keys() - old.keys()) for old, new in sides),
    )


def _size(chance: random.Random) -> int:
    return int(10 ** chance.uniform(0, 5))


def _cents(price: int) -> str:
    return f"{price / 100:.2f}".rstrip("0").rstrip(".")


def _thousandths(size: int) -> str:
    text = f"{size / 1000:.3f}"
    return f"{text}00000" if size % 3 == 0 else text.rstrip("0").rstrip(".")

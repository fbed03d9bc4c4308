"""A book that is written again and again, such that what is read of it tells when it was read.

The writer goes round a cycle of generations, each with prices and sizes of its own: a mixture of
two is the book of none. The number of a generation is the update count. What a reader must find is
reckoned here, in Python's integers.
"""

import contextlib
import math
from collections.abc import Callable, Iterator
from fractions import Fraction
from random import Random
from typing import Any, NamedTuple

import numpy as np

from coincall_fast import BookStore
from coincall_fast.errors import DecodeError
from small_book import E8
from strategies import SYMBOL, TIME, book_frame, levels

KEPT = 100
Side = list[tuple[int, int]]  # price and size in 1e-8, best first

# Whole books by every way that there is, and after some of them one level more or less. The book is
# cleared at the end of some; before others a frame is refused that was scanned to its last byte.
KINDS = "apply feed apply insert feed load delete apply".split()
REFUSED_BEFORE = {2, 5, 6}  # places in KINDS
CLEARED_AFTER = {1, 7}
CYCLE = 18 * len(KINDS)
REFUSED = book_frame(levels(*((str(1000 - n), "7") for n in range(KEPT)))) + b"!"


class State:
    """Each member of a book of these levels, under the book's own name for it."""

    def __init__(self, bids: Side, asks: Side, *, has_time: bool) -> None:
        bid, bid_size = bids[0] if bids else (None, 0)
        ask, ask_size = asks[0] if asks else (None, 0)
        self.has_time = has_time
        self.bid_count, self.ask_count = len(bids), len(asks)
        self.best_bid_e8, self.best_ask_e8 = bid, ask
        self.best_bid, self.best_ask = (math.nan if e8 is None else e8 / E8 for e8 in (bid, ask))
        self.best_bid_size, self.best_ask_size = bid_size / E8, ask_size / E8
        self.bbo = (self.best_bid, self.best_bid_size, self.best_ask, self.best_ask_size)
        self.mid = self.microprice = math.nan
        if bid is not None and ask is not None:
            self.mid = (bid + ask) / (2 * E8)
            weighed = Fraction(bid * ask_size + ask * bid_size, bid_size + ask_size)
            self.microprice = float(weighed / E8)
        self.rows = np.zeros((4, KEPT), np.int64)
        for which, side in enumerate((bids, asks)):
            self.rows[2 * which : 2 * which + 2, : len(side)] = np.array(side).reshape(-1, 2).T
        self.snapshot = self.rows.tobytes()
        self.depth = tuple((np.array(side).reshape(-1, 2) / E8).tobytes() for side in (bids, asks))


class Generation(NamedTuple):
    place: int  # in KINDS
    publish: Callable[[int], Any]  # with the venue's time
    bids: Side
    asks: Side

    def states(self) -> tuple[State, State]:
        """As it was published and as it was left."""
        published = State(self.bids, self.asks, has_time=True)
        is_cleared = self.place in CLEARED_AFTER
        return published, State([], [], has_time=False) if is_cleared else published


def shapes(random: Random) -> Iterator[tuple[int, int]]:
    """Bids and asks of whole books: none and all of both, then each number from 0 to 100."""
    yield from ((0, 0), (KEPT, KEPT), (0, KEPT), (KEPT, 0))
    while True:
        yield from zip(*(random.sample(range(KEPT + 1), KEPT + 1) for _ in range(2)), strict=True)


class Writer:
    """A book of a store, which has gone round its cycle once."""

    def __init__(self) -> None:
        self.store = BookStore()
        self.store.feed(book_frame("[]", "[]"))
        self.book = self.store[SYMBOL]
        self.generation = 1  # which is of no cycle
        random = Random(5)
        shape = shapes(random)
        self.cycle: list[Generation] = []
        for k in range(CYCLE):
            place = k % len(KINDS)
            if KINDS[place] in ("insert", "delete"):
                self.cycle.append(self.one_level(k, place, self.cycle[-1]))
            else:
                self.cycle.append(self.whole(k, place, random.randrange(1000, 10**7), *next(shape)))
        self.states = [generation.states() for generation in self.cycle]
        self.publish(CYCLE)

    def whole(self, k: int, place: int, middle: int, bids: int, asks: int) -> Generation:
        size = 1000 * (k + 1)
        sides = (
            [(middle - 1 - i, size + i) for i in range(bids)],
            [(middle + 1 + i, size + 500 + i) for i in range(asks)],
        )
        bid_texts, ask_texts = ([(str(p), str(s)) for p, s in side] for side in sides)
        if KINDS[place] == "load":

            def publish(ts_ms: int) -> None:
                self.book.load(bid_texts, ask_texts, ts_ms)
        else:
            frame = bytearray(book_frame(levels(*bid_texts), levels(*ask_texts)))
            start = frame.index(str(TIME).encode())
            give: Callable[[bytearray], Any] = self.store.feed
            if KINDS[place] == "apply":
                give = self.book.apply

            def publish(ts_ms: int) -> None:
                frame[start : start + len(str(TIME))] = b"%d" % ts_ms
                give(frame)

        bids_e8, asks_e8 = ([(p * E8, s * E8) for p, s in side] for side in sides)
        return Generation(place, publish, bids_e8, asks_e8)

    def one_level(self, k: int, place: int, before: Generation) -> Generation:
        """Of the side that has more levels: a best one more, or the best one less."""
        sides = [list(before.bids), list(before.asks)]
        which = len(before.asks) > len(before.bids)
        side, size = sides[which], 0
        price = side[0][0] // E8
        if KINDS[place] == "delete":
            del side[0]
        else:
            price, size = price + (-1 if which else 1), 1000 * (k + 1)
            side[:] = [(price * E8, size * E8), *side[: KEPT - 1]]
        name = "ask" if which else "bid"
        return Generation(place, lambda ts: self.book.update(name, price, size, ts), *sides)

    def publish(self, generations: int) -> None:
        for _ in range(generations):
            self.generation += 1
            generation = self.cycle[self.generation % CYCLE]
            if generation.place in REFUSED_BEFORE:
                with contextlib.suppress(DecodeError):
                    self.book.apply(REFUSED)
            generation.publish(TIME + self.generation)
            if generation.place in CLEARED_AFTER:
                self.book.clear()

"""One side of a simulated order book: a list of levels that lives from step to step."""

from collections.abc import Iterable
from math import ceil, floor
from random import Random
from typing import NamedTuple

__all__ = ["MAX_LEVELS", "Ladder", "Level", "Target"]

Level = tuple[int, int]  # price in ticks, size in lots

MAX_LEVELS = 100

# A front level stays while it is this close to its target distance from the fair price. The band
# is what makes successive books resemble each other: the best moves only now and then.
_NEAREST = 0.5
_FARTHEST = 1.5

_FRONT_RUN = 4  # levels that step in at once in front of a side that the price has left behind
_BACK_RUN = 3  # levels that a step may add behind a side that is thinner than its target
_CHURN = 0.04  # changes a step, for each level


class Target(NamedTuple):
    """What the liquidity of a book is aiming at."""

    fair_ticks: float
    half_ticks: float  # from the fair price to the best, typically
    gap_ticks: float  # between levels, typically
    depth: int  # levels a side
    max_lots: int


class Ladder:
    """The asks (`sign` +1) or the bids (`sign` -1), best first, strictly ordered.

    No level is nearer to the fair price than half the half-spread, so two ladders that follow the
    same target are never locked or crossed.
    """

    __slots__ = ("_random", "_sign", "levels")

    def __init__(self, sign: int, random: Random, levels: Iterable[Level] = ()) -> None:
        self.levels = list(levels)
        self._sign = sign
        self._random = random.random

    def clear(self) -> None:
        self.levels.clear()

    def fill(self, target: Target) -> None:
        """Grows the side to its whole depth at once."""
        self._mend_front(target)
        self._grow_back(target, MAX_LEVELS)

    def step(self, target: Target) -> None:
        """Moves the side one step on: follow the price, change a handful of levels."""
        self._mend_front(target)
        self._churn(target.max_lots)
        self._grow_back(target, _BACK_RUN)

    def _mend_front(self, target: Target) -> None:
        levels, sign = self.levels, self._sign
        fair, half = target.fair_ticks, target.half_ticks
        while levels and (levels[0][0] - fair) * sign < half * _NEAREST:
            del levels[0]
        if levels and (levels[0][0] - fair) * sign <= half * _FARTHEST:
            return
        edge = fair + sign * half * (0.75 + 0.5 * self._random())
        price = ceil(edge) if sign > 0 else floor(edge)
        run: list[Level] = []
        while len(run) < _FRONT_RUN and price > 0:
            if levels and (levels[0][0] - price) * sign <= 0:
                break
            run.append((price, self._size(target.max_lots)))
            price += sign * self._gap(target.gap_ticks)
        levels[:0] = run

    def _churn(self, max_lots: int) -> None:
        levels, random = self.levels, self._random
        for _ in range(int(_CHURN * len(levels) + random())):
            # The square favours the front, where real books are busiest.
            index = int(len(levels) * random() ** 2)
            price = levels[index][0]
            kind = random()
            if kind < 0.7:
                levels[index] = (price, self._size(max_lots))
            elif kind < 0.85:
                if len(levels) > 1:
                    del levels[index]
            elif index + 1 < len(levels):
                between = (price + levels[index + 1][0]) // 2
                if between not in (price, levels[index + 1][0]):
                    levels.insert(index + 1, (between, self._size(max_lots)))

    def _grow_back(self, target: Target, limit: int) -> None:
        levels = self.levels
        del levels[target.depth :]
        for _ in range(min(limit, target.depth - len(levels)) if levels else 0):
            price = levels[-1][0] + self._sign * self._gap(target.gap_ticks)
            if price <= 0:
                return
            levels.append((price, self._size(target.max_lots)))

    def _gap(self, typical_ticks: float) -> int:
        return 1 + int(typical_ticks * (0.5 + self._random()))

    def _size(self, max_lots: int) -> int:
        return 1 + int(max_lots * self._random())

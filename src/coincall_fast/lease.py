"""The lease that a trader has of its guard process, as the guard sees it, and the words for it.

The trader renews it each second; three beats missed, or the end of the pipe, and it has lapsed: the
guard cancels everything. A lapsed lease is not renewed by a beat: the trader must hear that its
orders are gone, and take a new one. Pure: times are given, in seconds of `time.monotonic`, which
all processes of a machine share.

Trader to guard, one a line: ``beat N S …``, ``set N S …``, ``release N S …``, each with the time at
which it was said and the indexes in which orders were placed so far, as ``options:BTCUSD``. Guard
to trader: ``ready``, or ``failed`` and why; then N and one of `Answer`.
"""

from enum import StrEnum
from typing import NamedTuple

__all__ = ["BEATS_MISSED", "MODULE", "PERIOD_S", "Answer", "Lease", "Said", "Word"]

PERIOD_S = 1.0  # between two beats
BEATS_MISSED = 3

MODULE = "coincall_fast.guardian"  # what a trader starts


class Word(StrEnum):
    """What a trader says."""

    BEAT = "beat"
    SET = "set"
    RELEASE = "release"


class Answer(StrEnum):
    """What it hears.

    ``HELD``      it holds the lease
    ``LAPSED``    it does not: everything has been or is being cancelled
    ``BUSY``      not yet: it is being cancelled still
    ``RELEASED``  the guard ends
    """

    HELD = "held"
    LAPSED = "lapsed"
    BUSY = "busy"
    RELEASED = "released"


class Said(NamedTuple):
    """One line of a trader's. ``traded``: where it has placed orders, as ``options:BTCUSD``."""

    word: Word
    number: int
    said_s: float
    traded: frozenset[str] = frozenset()

    def line(self) -> str:
        return " ".join([self.word, str(self.number), repr(self.said_s), *sorted(self.traded)])

    @classmethod
    def parse(cls, line: str) -> "Said":
        """Raises ValueError for what is none."""
        word, number, said_s, *traded = line.split()
        return cls(Word(word), int(number), float(said_s), frozenset(traded))


class Lease:
    """Lease(period_s, now_s, has_lapsed=False): one trader's, held from now on or lapsed already.

    ``cleanings`` counts how often there was a reason to cancel everything; whoever does it says
    with `cleaned` which of them it has answered.
    """

    def __init__(self, period_s: float, now_s: float, *, has_lapsed: bool = False) -> None:
        self._lasts_s = BEATS_MISSED * period_s
        self.due_s = now_s + self._lasts_s
        self.has_lapsed = has_lapsed
        self.is_released = False
        self.is_orphan = False
        self.cleanings = int(has_lapsed)
        self._cleaned = 0
        self._is_told = False  # that it has lapsed

    @property
    def is_clean(self) -> bool:
        return self._cleaned == self.cleanings

    def hear(self, said: Said) -> Answer:
        """What a trader's word does, and the answer to it. It counts from when it was said, so that
        a guard that was kept from listening blames nobody else."""
        self.look(said.said_s)
        if self.has_lapsed:
            if said.word is Word.BEAT:
                # It lives, and did not know: what it has sent until now has to go as well.
                self.cleanings += not self._is_told
                self._is_told = True
                return Answer.LAPSED
            if not self.is_clean:
                return Answer.BUSY
            self.has_lapsed = self._is_told = False
        self.due_s = said.said_s + self._lasts_s
        self.is_released = said.word is Word.RELEASE
        return Answer.RELEASED if self.is_released else Answer.HELD

    def look(self, now_s: float) -> None:
        """Time has passed, and all that was said until then has been heard."""
        if now_s >= self.due_s and not (self.has_lapsed or self.is_released):
            self.has_lapsed = True
            self.cleanings += 1

    def end(self) -> None:
        """The pipe has ended, and so has the trader."""
        self.is_orphan = True
        if not self.is_released:
            self.has_lapsed = True
            self.cleanings += 1

    def cleaned(self, cleanings: int) -> None:
        """Nothing is open any more of what was sent before `cleanings` was read."""
        self._cleaned = cleanings

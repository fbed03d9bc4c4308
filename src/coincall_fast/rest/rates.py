"""How often a venue may be asked: sliding windows, with the time passed in.

A token bucket lets a burst after idling overrun a strict window; here every request is remembered.
It counts from its sending until its window has passed since its answer: whenever between these two
the venue counted it, the venue saw no more than the window allows, however the network delays.
"""

import math
from collections.abc import Mapping
from typing import NamedTuple

from ..errors import UsageError

__all__ = ["Rate", "Slot", "Windows"]


LONGEST_SHUT_S = 10.0


class Rate(NamedTuple):
    """At most so many requests in so many seconds, counted in a window that classes may share.

    Of two classes in one window the one that takes more has a reserve: what the other leaves it.
    """

    most: int
    seconds: float
    window: str


class Slot:
    """One request's place in a window."""

    __slots__ = ("done_s", "window")

    def __init__(self, window: str) -> None:
        self.window = window
        self.done_s = math.inf  # until it is answered


class Windows:
    """All requests that still count, by window. Not thread safe: whoever waits also locks.

    Every ``now_s`` is of one clock that never goes back.
    """

    def __init__(self, rates: Mapping[str, Rate]) -> None:
        self._rates = dict(rates)
        self._slots: dict[str, list[Slot]] = {rate.window: [] for rate in rates.values()}
        self._shut_s: dict[str, float] = {}
        for window in self._slots:
            lengths = {rate.seconds for rate in rates.values() if rate.window == window}
            if len(lengths) > 1 or min(lengths) <= 0:
                raise UsageError(f"the rate classes of window {window!r} have not one length")
        if min(rate.most for rate in rates.values()) < 1:
            raise UsageError("a rate class that takes no request at all")

    def wait_s(self, name: str, now_s: float) -> float:
        """How long, at the least, a request of this class has to wait; 0: `take` it now."""
        rate = self._rates[name]
        slots = self._slots[rate.window]
        slots[:] = [slot for slot in slots if slot.done_s + rate.seconds > now_s]
        free_s = self._shut_s.get(rate.window, -math.inf)
        if len(slots) >= rate.most:
            # What is under way is not answered before now.
            ends = sorted(min(slot.done_s, now_s) + rate.seconds for slot in slots)
            free_s = max(free_s, ends[len(ends) - rate.most])
        return max(0.0, free_s - now_s)

    def take(self, name: str) -> Slot:
        """A place in the window; the request may be sent."""
        slot = Slot(self._rates[name].window)
        self._slots[slot.window].append(slot)
        return slot

    def done(self, slot: Slot, now_s: float) -> None:
        """The request was answered, or given up."""
        slot.done_s = now_s

    def withdraw(self, slot: Slot) -> None:
        """The request was not sent after all."""
        self._slots[slot.window].remove(slot)

    def shut(self, name: str, now_s: float, seconds: float | None = None) -> None:
        """The venue says that it was too much: nothing for so long, but for a window at the least,
        and for LONGEST_SHUT_S at the most, unless the window is longer: an answer that says a day
        (or means another limit) must not keep us from cancelling."""
        rate = self._rates[name]
        longest_s = max(rate.seconds, LONGEST_SHUT_S)
        until_s = now_s + min(max(rate.seconds, seconds or 0.0), longest_s)
        self._shut_s[rate.window] = max(until_s, self._shut_s.get(rate.window, -math.inf))

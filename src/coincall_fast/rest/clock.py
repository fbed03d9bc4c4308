"""How far the venue's clock is from ours: an estimate, from round trips that somebody else makes.

The venue refuses what is a second ahead of it, and what is older than the request allows (protocol
page, section 1.1, clock): so of two errors the one that is late is the better one.
"""

from collections.abc import Sequence
from statistics import median
from typing import NamedTuple

from ..errors import UsageError

__all__ = ["Offset", "RoundTrip", "estimate"]

AHEAD_MS = 500  # of the venue's clock, at the most; it takes less than 1000


class RoundTrip(NamedTuple):
    """One question for the time: when it was sent and answered by our clock, and the answer."""

    sent_ms: float
    answered_ms: float
    server_ms: float


class Offset(NamedTuple):
    """What to add to our clock to have the venue's: the likely value, and one surely not above."""

    likely_ms: float
    least_ms: float

    def timestamp(self, our_ms: float) -> int:
        """The venue's time, never more than AHEAD_MS after what it can be."""
        return int(our_ms + min(self.likely_ms, self.least_ms + AHEAD_MS))


def estimate(trips: Sequence[RoundTrip]) -> Offset:
    """The median over several round trips, each taken to be answered half-way.

    The venue read its clock between sending and answer: each trip gives bounds. The tightest lower
    one is kept, unless a clock was set meanwhile and the bounds contradict each other.
    """
    if not trips:
        raise UsageError("no round trip to estimate a clock from")
    likely = median(trip.server_ms - (trip.sent_ms + trip.answered_ms) / 2 for trip in trips)
    least = max(trip.server_ms - trip.answered_ms for trip in trips)
    most = min(trip.server_ms - trip.sent_ms for trip in trips) + 1  # its time is in whole ms
    if least > most:
        least = min(trip.server_ms - trip.answered_ms for trip in trips)
        return Offset(likely, least)
    return Offset(min(max(likely, least), most), least)

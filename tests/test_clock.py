"""The clock's offset, with a venue whose clock is known."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coincall_fast import UsageError
from coincall_fast.rest.clock import AHEAD_MS, Offset, RoundTrip, estimate

delays = st.floats(0, 20_000)


@given(
    offset_ms=st.floats(1.6e12, 1.9e12),  # from a clock that began at boot to the epoch's
    trips=st.lists(st.tuples(st.floats(0, 1e6), delays, delays), min_size=1, max_size=9),
    later_ms=st.floats(0, 1e6),
)
def test_a_timestamp_is_never_a_second_ahead(
    offset_ms: float, trips: list[tuple[float, float, float]], later_ms: float
) -> None:
    """Whatever way and how long the question and the answer took."""
    asked = [
        RoundTrip(sent_ms, sent_ms + there_ms + back_ms, int(sent_ms + there_ms + offset_ms))
        for sent_ms, there_ms, back_ms in trips
    ]
    found = estimate(asked)
    our_ms = max(trip.answered_ms for trip in asked) + later_ms
    assert found.timestamp(our_ms) < our_ms + offset_ms + AHEAD_MS + 1 < our_ms + offset_ms + 1000


def test_the_median_of_jittered_trips_is_near() -> None:
    dice = random.Random(1)
    for _ in range(200):
        offset_ms = dice.uniform(-5000, 5000)
        trips = []
        for n in range(5):
            there_ms, back_ms = dice.uniform(10, 30), dice.uniform(10, 30)
            if n == 2:
                back_ms += 2000  # one answer that was held up
            sent_ms = 1000.0 * n
            trips.append(
                RoundTrip(sent_ms, sent_ms + there_ms + back_ms, sent_ms + there_ms + offset_ms)
            )
        assert abs(estimate(trips).likely_ms - offset_ms) <= 10.001


def test_clocks_that_contradict_each_other() -> None:
    """Somebody set one between two trips: the cautious bound holds."""
    found = estimate([RoundTrip(0, 10, 5), RoundTrip(100, 110, 5105)])
    assert found.least_ms == -5
    assert found.timestamp(200) <= 200 - 5 + AHEAD_MS


def test_one_trip_is_enough_and_none_is_not() -> None:
    assert estimate([RoundTrip(0, 100, 3050)]) == Offset(3000, 2950)
    with pytest.raises(UsageError):
        estimate([])

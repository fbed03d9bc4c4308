"""Histograms of time against a sorted list."""

import math
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coincall_fast._latency import Histogram, Ledger
from coincall_fast.streams.latency import Latency, Quantiles

QUANTILES = (0.0, 0.25, 0.5, 0.9, 0.99, 0.999, 1.0)
LONGEST = 2**41  # buckets end here


def filled(durations: list[int]) -> Histogram:
    histogram = Histogram()
    for ns in durations:
        histogram.record(ns)
    return histogram


@given(st.lists(st.integers(0, LONGEST - 1) | st.integers(0, 200), min_size=1, max_size=60))
def test_quantiles(durations: list[int]) -> None:
    histogram = filled(durations)
    ordered = sorted(durations)
    for quantile in QUANTILES:
        true = ordered[max(0, math.ceil(quantile * len(ordered)) - 1)]
        assert abs(histogram.quantile_ns(quantile) - true) <= true / 32
    assert histogram.max_ns == ordered[-1]
    assert histogram.min_ns == ordered[0]
    assert histogram.count == len(durations)


@pytest.mark.parametrize("power", range(42))
def test_around_each_power_of_two(power: int) -> None:
    for ns in {max(0, 2**power + step) for step in (-1, 0, 1)}:
        assert abs(filled([ns, 2**60]).quantile_ns(0.5) - ns) <= ns / 32


def test_what_lasts_longer_than_the_buckets_reach() -> None:
    histogram = filled([LONGEST, 2**62 - 1])
    assert histogram.quantile_ns(0.5) >= LONGEST * 31 / 32
    assert histogram.max_ns == float(2**62 - 1)


def test_below_zero_is_zero_but_for_the_least() -> None:
    histogram = filled([-5, 7])
    assert (histogram.quantile_ns(0.5), histogram.min_ns, histogram.max_ns) == (0, -5, 7)
    assert filled([-5]).quantile_ns(1) == 0


def test_nothing_is_nan() -> None:
    empty = Histogram()
    assert empty.count == 0
    assert math.isnan(empty.quantile_ns(0.5))
    assert math.isnan(empty.max_ns)
    assert math.isnan(empty.min_ns)
    with pytest.raises(ValueError, match="between 0 and 1"):
        empty.quantile_ns(1.5)


def test_the_sum_of_two_is_one_of_all() -> None:
    random = Random(1)
    durations = [int(math.exp(random.uniform(0, 28))) for _ in range(2000)]
    whole, first, second = filled(durations), filled(durations[:700]), filled(durations[700:])
    first.add(second)
    first.add(Histogram())
    assert first.count == whole.count
    assert first.max_ns == whole.max_ns
    assert first.min_ns == whole.min_ns
    for quantile in QUANTILES:
        assert first.quantile_ns(quantile) == whole.quantile_ns(quantile)


def test_a_ledger_keeps_three_apart() -> None:
    ledger, other = Ledger(), Ledger()
    ledger.record(100, 101, 102, 5_000_003, 5)
    other.record(100, 110, 112, 5_000_013, 5)
    ledger.add(other)
    seen = [(h.min_ns, h.max_ns) for h in (ledger.book, ledger.callbacks, ledger.age)]
    assert seen == [(1, 10), (2, 12), (3, 13)]


def test_by_symbol_and_altogether() -> None:
    latency = Latency()
    latency.ledgers["A"].record(0, 10, 11, 12, 0)
    latency.ledgers["B"].record(0, 14, 15, 16, 0)
    assert latency.book_ns("A") == Quantiles(1, 10, 10, 10, 10)
    assert latency.callbacks_ns("B") == Quantiles(1, 15, 15, 15, 15)
    assert latency.age_ns() == Quantiles(2, 12, 16, 16, 16)
    assert latency.book_ns("C").frames == 0
    latency.clear()
    assert latency.book_ns().frames == 0


def test_ages_go_by_the_venues_clock() -> None:
    latency = Latency()
    early = latency.ledgers["A"]
    latency.clock_offset_ms = -3.5  # the venue's is behind ours
    assert latency.clock_offset_ms == -3.5
    for ledger in (early, latency.ledgers["B"]):
        ledger.record(0, 0, 0, 5_000_000_000, 4_990)
        assert ledger.age.max_ns == 6_500_000

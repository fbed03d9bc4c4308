"""Sliding windows against counting, for a venue that may see a request anywhere on its way."""

import os
import random
from bisect import bisect_right
from collections import defaultdict

import pytest

from coincall_fast import UsageError
from coincall_fast.rest.endpoints import RATES
from coincall_fast.rest.rates import Rate, Slot, Windows

CALLS = 1_000_000 if os.environ.get("COINCALL_FAST_LONG") else 300_000


def overrun(times: list[float], rate: Rate) -> list[float]:
    """Where more than `most` of these fall into one window, half open, of `seconds`."""
    times = sorted(times)
    return [
        at for i, at in enumerate(times) if i - bisect_right(times, at - rate.seconds) >= rate.most
    ]


@pytest.mark.timeout(600)
@pytest.mark.parametrize("seed", range(3))
def test_no_window_is_overrun(seed: int) -> None:
    """Random calls of random classes, answered late and in any order: whenever between sending and
    answer the venue counts each, no window has more than it allows, at any moment."""
    dice = random.Random(seed)
    rates = {
        **RATES,
        "place": Rate(20, 2.0, "orders"),  # two classes and a reserve in one window
        "cancel": Rate(30, 2.0, "orders"),
    }
    windows, names = Windows(rates), list(rates)
    now_s, under_way = 1_000.0, list[tuple[float, Slot, str, float]]()
    arrived: dict[str, list[float]] = defaultdict(list)
    refused = 0
    for _ in range(CALLS // 3):
        now_s += dice.choice((0.0, 0.0, 0.001, 0.02, dice.expovariate(20), dice.expovariate(1)))
        for done in sorted((one for one in under_way if one[0] <= now_s), key=lambda one: one[0]):
            end_s, slot, name, sent_s = done
            windows.done(slot, end_s)
            arrived[name].append(dice.choice((sent_s, end_s, dice.uniform(sent_s, end_s))))
            under_way.remove(done)
        name = dice.choice(names)
        wait_s = windows.wait_s(name, now_s)
        if wait_s:
            refused += 1
            assert windows.wait_s(name, now_s + wait_s / 2) > 0
            continue
        latency_s = dice.choice((0.0, 0.01, dice.expovariate(2)))
        under_way.append((now_s + latency_s, windows.take(name), name, now_s))
    assert refused > CALLS // 50
    seen: dict[str, list[float]] = defaultdict(list)
    for name, times in arrived.items():
        seen[rates[name].window] += times
    assert sum(map(len, seen.values())) > CALLS // 20
    for window, times in seen.items():
        widest = max((r for r in rates.values() if r.window == window), key=lambda r: r.most)
        assert overrun(times, widest) == []


def test_the_check_itself() -> None:
    rate = Rate(2, 1.0, "x")
    assert overrun([0.0, 0.5, 1.0, 1.5], rate) == []
    assert overrun([0.0, 0.5, 0.9], rate) == [0.9]


def test_all_of_a_window_at_once_and_then_none() -> None:
    """After idling too: a bucket that had filled up would let more through."""
    windows = Windows({"x": Rate(3, 2.0, "x")})
    for start_s in (0.0, 100.0):
        for _ in range(3):
            assert windows.wait_s("x", start_s) == 0
            windows.done(windows.take("x"), start_s + 0.5)
        assert windows.wait_s("x", start_s + 1) == 1.5
        assert windows.wait_s("x", start_s + 2.49) > 0
        assert windows.wait_s("x", start_s + 2.5) == 0


def test_what_is_not_answered_counts() -> None:
    windows = Windows({"x": Rate(1, 2.0, "x")})
    slot = windows.take("x")
    assert windows.wait_s("x", 50.0) == 2.0  # it is answered now at the earliest
    windows.done(slot, 60.0)
    assert windows.wait_s("x", 61.0) == 1.0
    assert windows.wait_s("x", 62.0) == 0


def test_a_reserve() -> None:
    """The cancellations of many orders have what those of one leave."""
    windows = Windows(RATES)
    taken = 0
    while not windows.wait_s("cancel", 0.0):
        windows.done(windows.take("cancel"), 0.0)
        taken += 1
    assert taken == 25
    while not windows.wait_s("cancel_all", 0.0):
        windows.done(windows.take("cancel_all"), 0.0)
        taken += 1
    assert taken == 30
    assert windows.wait_s("place", 0.0) == 0


def test_the_wait_of_a_class_with_less() -> None:
    """It is over when enough of what others took has passed too."""
    windows = Windows({"less": Rate(2, 5.0, "w"), "more": Rate(4, 5.0, "w")})
    for done_s in (0.0, 1.0, 2.0, 3.0):
        windows.done(windows.take("more"), done_s)
    assert windows.wait_s("more", 3.0) == 2.0
    assert windows.wait_s("less", 3.0) == 4.0  # then those of 0, 1 and 2 are gone
    assert windows.wait_s("less", 7.0) == 0


def test_a_window_that_the_venue_shut() -> None:
    windows = Windows({"x": Rate(10, 2.0, "w"), "y": Rate(8, 2.0, "w"), "z": Rate(1, 1.0, "z")})
    windows.shut("x", 5.0)
    assert [windows.wait_s(name, 5.0) for name in "xyz"] == [2.0, 2.0, 0.0]
    windows.shut("x", 5.0, 8.0)
    windows.shut("y", 5.0)  # does not open it earlier
    assert windows.wait_s("y", 12.0) == 1.0
    assert windows.wait_s("y", 13.0) == 0
    windows.shut("z", 5.0, 0.0)
    assert windows.wait_s("z", 5.0) == 1.0


@pytest.mark.parametrize(("seconds", "longest_s"), [(2.0, 10.0), (60.0, 60.0)])
def test_what_the_venue_says_is_believed_up_to_a_bound(seconds: float, longest_s: float) -> None:
    windows = Windows({"x": Rate(10, seconds, "w")})
    windows.shut("x", 5.0, 86_400.0)
    assert windows.wait_s("x", 5.0) == longest_s


@pytest.mark.parametrize(
    "rates", [{"x": Rate(1, 2.0, "w"), "y": Rate(1, 1.0, "w")}, {"x": Rate(0, 1.0, "w")}]
)
def test_rates_that_cannot_be_kept(rates: dict[str, Rate]) -> None:
    with pytest.raises(UsageError):
        Windows(rates)

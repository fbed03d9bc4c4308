"""What the simulated exchange computes from its market: greeks, volatilities, tape and bars."""

import math
from datetime import UTC, datetime
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coincall_fast.sim import black76
from coincall_fast.sim.instruments import list_instruments
from coincall_fast.sim.market import SCALE, Market
from coincall_fast.sim.orders import Side
from coincall_fast.sim.tape import PERIODS, Print, Tape
from coincall_fast.sim.valuation import Valuation

START_MS = 1_732_000_000_000
MINUTE_MS = 60_000
DAY_MS = 86_400_000

RIGHTS = st.sampled_from(["C", "P"])
STRIKES = st.floats(20_000, 35_000)
YEARS = st.floats(0.005, 1.0)
VOLS = st.floats(0.2, 1.5)


@given(RIGHTS, STRIKES, YEARS, VOLS)
def test_greeks_are_the_slopes_of_the_price(
    right: str, strike: float, years: float, vol: float
) -> None:
    forward = 26_436.0

    def price(forward: float = forward, years: float = years, vol: float = vol) -> float:
        return black76.price(right, forward, strike, years, vol)

    greeks = black76.greeks(right, forward, strike, years, vol)
    step = 2.0
    up, here, down = price(forward + step), price(), price(forward - step)
    assert greeks.delta == pytest.approx((up - down) / (2 * step), abs=1e-4)
    assert greeks.gamma == pytest.approx((up - 2 * here + down) / step**2, rel=0.02, abs=2e-8)
    wider = price(vol=vol + 0.0005) - price(vol=vol - 0.0005)
    assert greeks.vega == pytest.approx(wider / 0.001 / 100, rel=1e-3, abs=1e-4)
    hour = 1 / 365 / 24
    later = (price(years=years - hour / 2) - price(years=years + hour / 2)) * 24
    assert greeks.theta == pytest.approx(later, rel=1e-2, abs=1e-2)
    # Discounted at a rate r the price is e^(-r years) of this one.
    slope = here * (math.exp(-0.0001 * years) - 1) / 0.0001 / 100
    assert greeks.rho == pytest.approx(slope, rel=1e-3, abs=1e-9)


@given(STRIKES, YEARS, VOLS)
def test_put_and_call_have_one_gamma_and_deltas_one_apart(
    strike: float, years: float, vol: float
) -> None:
    call, put = (black76.greeks(right, 26_436.0, strike, years, vol) for right in "CP")
    assert call.gamma == put.gamma
    assert call.delta - put.delta == pytest.approx(1.0)


@given(RIGHTS, STRIKES, YEARS, VOLS)
def test_the_implied_volatility_gives_the_price_back(
    right: str, strike: float, years: float, vol: float
) -> None:
    value = black76.price(right, 26_436.0, strike, years, vol)
    found = black76.implied(right, 26_436.0, strike, years, value)
    assert black76.price(right, 26_436.0, strike, years, found) == pytest.approx(value, abs=1e-3)


def test_what_has_no_volatility_gets_the_printed_floor() -> None:
    assert black76.implied("C", 26_436.0, 20_000.0, 0.1, 100.0) == 0.01  # below intrinsic
    assert black76.implied("C", 26_436.0, 20_000.0, 0.0, 7_000.0) == 0.01  # expired
    assert black76.greeks("C", 110.0, 100.0, 0.0, 0.5).delta == 1.0
    assert black76.greeks("P", 110.0, 100.0, 0.0, 0.5).delta == 0.0


def test_marks_are_the_models_values() -> None:
    market = Market(1, START_MS)
    valuation = Valuation(market)
    for instrument in market.instruments.values():
        mark = valuation.mark_e8(instrument) / SCALE
        forward = market.underlyings[instrument.pair.name].fair
        if instrument.terms is None:
            assert mark == pytest.approx(forward, abs=1e-8)
        else:
            _, years, vol = market.surface(instrument.pair, instrument.terms)
            strike, right, expiry_ms = instrument.terms
            assert years == pytest.approx((expiry_ms - START_MS) / (365 * DAY_MS))
            expected = black76.price(right, forward, strike, years, vol)
            assert mark == pytest.approx(expected, abs=1e-8)
            assert valuation.of(instrument).iv == vol
    before = valuation.mark_e8(instrument)
    market.advance(START_MS + 10_000)
    assert valuation.mark_e8(instrument) != before


# The tape


def tape(*trades: tuple[int, int, int]) -> Tape:
    """Of one symbol, listed at 100: (time after the start, price, lots)."""
    made = Tape()
    future = list_instruments(START_MS)[0]
    made.enlist(future, 100)
    for number, (after_ms, price, lots) in enumerate(trades):
        made.add(Print(number, future.symbol, price, lots, Side.BUY, START_MS + after_ms))
    return made


def at(text: str) -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


def test_bars_are_made_of_the_trades_and_have_no_holes() -> None:
    made = tape((0, 101, 2), (10_000, 99, 1), (200_000, 105, 3), (200_001, 104, 1))
    first = START_MS // MINUTE_MS * MINUTE_MS
    bars = made.bars("BTCUSD", "m1", first, first + 5 * MINUTE_MS)
    assert [bar.start_ms - first for bar in bars] == [n * MINUTE_MS for n in range(6)]
    assert [(b.open, b.high, b.low, b.close, b.lots) for b in bars] == [
        (100, 101, 99, 99, 3),
        (99, 99, 99, 99, 0),
        (99, 99, 99, 99, 0),
        (99, 99, 99, 99, 0),
        (99, 105, 99, 104, 4),
        (104, 104, 104, 104, 0),
    ]
    assert made.bars("BTCUSD", "m1", first + 60_001, first + 5 * MINUTE_MS) == bars[2:]
    assert made.bars("BTCUSD", "m1", first + 1, first + 5 * MINUTE_MS) == bars[1:]
    (hour,) = made.bars("BTCUSD", "h1", first // 3_600_000 * 3_600_000, first)
    assert (hour.open, hour.high, hour.low, hour.close, hour.lots) == (100, 105, 99, 104, 7)
    assert hour.tick_lots == 101 * 2 + 99 + 105 * 3 + 104


@given(st.lists(st.tuples(st.integers(0, 3 * DAY_MS), st.integers(1, 9), st.integers(1, 9))))
def test_bars_of_every_period_hold_all_that_traded(trades: list[tuple[int, int, int]]) -> None:
    made = tape(*sorted(trades))
    for period in PERIODS[4:]:
        bars = made.bars("BTCUSD", period, START_MS - 100 * DAY_MS, START_MS + 4 * DAY_MS)
        assert sum(bar.lots for bar in bars) == sum(lots for _, _, lots in trades)
        assert all(a.close == b.open for a, b in pairwise(bars))
    for period in PERIODS[2:4]:  # minutes are kept for two days
        bars = made.bars("BTCUSD", period, START_MS - DAY_MS, START_MS + 4 * DAY_MS)
        late = [t for t in trades if START_MS + t[0] >= bars[0].start_ms]
        assert sum(bar.lots for bar in bars) == sum(lots for _, _, lots in late)
        assert all(a.close == b.open for a, b in pairwise(bars))
        last_ms = START_MS + max((t[0] for t in trades), default=0)
        assert bars[0].start_ms <= last_ms - DAY_MS + 30 * MINUTE_MS
    day = made.day("BTCUSD", START_MS + 3 * DAY_MS)
    recent = [
        t for t in trades if (START_MS + t[0]) // MINUTE_MS * MINUTE_MS > START_MS + 2 * DAY_MS
    ]
    assert day.lots == sum(lots for _, _, lots in recent)


def test_the_tape_of_a_long_run_is_bounded() -> None:
    """A trade a minute for ten days: hours hold what the minutes no longer do."""
    made = tape(*((n * MINUTE_MS, 100 + n % 7, 1 + n % 3) for n in range(10 * 1440)))
    line = made._lines["BTCUSD"]
    assert len(line.minutes) + len(line.hours) < 2 * 1440 + 10 * 24
    bars = made.bars("BTCUSD", "h4", START_MS, START_MS + 11 * DAY_MS)
    for bar in bars[:60]:
        count, first = 240, (bar.start_ms - START_MS // MINUTE_MS * MINUTE_MS) // MINUTE_MS
        inside = range(first, min(first + count, 10 * 1440))
        if inside:
            assert bar.lots == sum(1 + n % 3 for n in inside)
            assert (bar.close, bar.high, bar.low) == (100 + inside[-1] % 7, 106, 100)
    minutes = made.bars("BTCUSD", "m1", 0, START_MS + 10 * DAY_MS)
    assert (minutes[0].open, minutes[1].open) == (minutes[0].low, minutes[0].close)


def test_the_last_day_is_not_added_up_for_every_ticker() -> None:
    made = tape((0, 101, 2), (70_000, 99, 1))
    now_ms = START_MS // MINUTE_MS * MINUTE_MS + 2 * MINUTE_MS
    day = made.day("BTCUSD", now_ms)
    assert made.day("BTCUSD", now_ms + MINUTE_MS - 1) is day
    future = list_instruments(START_MS)[0]
    made.add(Print(9, future.symbol, 120, 5, Side.BUY, START_MS + 71_000))
    assert made.day("BTCUSD", now_ms)[1:6] == (100, 120, 99, 120, 8)
    assert made.day("BTCUSD", now_ms + DAY_MS).lots == 0


def test_periods_of_the_calendar() -> None:
    made = tape()
    now_ms = at("2024-11-19T07:06:40")
    starts = {period: made.bar("BTCUSD", period, now_ms).start_ms for period in PERIODS}
    assert starts["m15"] == at("2024-11-19T07:00:00")
    assert starts["h4"] == at("2024-11-19T04:00:00")
    assert starts["d1"] == at("2024-11-19")
    assert starts["w1"] == at("2024-11-18")  # a Monday
    assert starts["mn1"] == at("2024-11-01")
    assert starts["quarter"] == at("2024-10-01")
    months = made.bars("BTCUSD", "mn1", at("2024-01-15"), at("2024-04-02"))
    assert [bar.start_ms for bar in months] == [at(f"2024-0{m}-01") for m in (2, 3, 4)]
    quarters = made.bars("BTCUSD", "quarter", at("2024-01-01"), at("2024-12-31"))
    assert [bar.start_ms for bar in quarters] == [
        at(f"2024-{m}-01") for m in ("01", "04", "07", 10)
    ]

"""What the simulated exchange lists: two perpetuals and a grid of options over two expiries."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

__all__ = [
    "FUTURES",
    "LIMITS",
    "MONTHS",
    "OPTIONS",
    "PAIRS",
    "Instrument",
    "Limits",
    "Pair",
    "Terms",
    "list_instruments",
]

OPTIONS = "options"
FUTURES = "futures"

_DAY_MS = 86_400_000
_FRIDAY = 4
# Not strftime("%b"), which speaks the machine's language.
MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")


class Limits(NamedTuple):
    """What the public configuration says of a product: fee rates in 1e-8, sizes in base units."""

    maker_e8: int
    taker_e8: int
    max_orders: int
    limit_max_qty: int
    market_max_qty: int
    max_stops: int


# As printed for BTCUSD (seed 003, public config).
LIMITS = {
    OPTIONS: Limits(30_000, 40_000, 200, 1000, 100, 0),
    FUTURES: Limits(20_000, 60_000, 200, 1000, 120, 20),
}


class Pair(NamedTuple):
    """A base currency against the dollar: the grid of its perpetual and of its options."""

    name: str
    base: str
    contract_id: int
    open_price: float
    vol: float  # at the money, a year
    future_tick_e8: int
    future_lot_e8: int
    future_max_lots: int  # the largest size that the model shows at one level
    option_tick_e8: int
    option_lot_e8: int
    option_max_lots: int
    multiplier: float
    strike_step: int
    strike_offsets: tuple[int, ...]  # in steps from the strike at the money


class Terms(NamedTuple):
    """What makes an option that option."""

    strike: int
    right: str  # "C" or "P"
    expiry_ms: int


class Instrument(NamedTuple):
    """One tradable symbol; prices are whole ticks and sizes whole lots of it."""

    symbol: str
    product: str  # OPTIONS or FUTURES: which socket serves it
    pair: Pair
    tick_e8: int
    lot_e8: int
    max_lots: int
    terms: Terms | None  # None for a perpetual


# BTCUSD's ticks and lots are printed (seed 003, public config); ETHUSD's are not, and are chosen
# near what its price calls for.
PAIRS = (
    Pair(
        name="BTCUSD",
        base="BTC",
        contract_id=1,
        open_price=26436.35,  # the middle of the printed book
        vol=0.45,
        future_tick_e8=10_000_000,
        future_lot_e8=100_000,
        future_max_lots=830,
        option_tick_e8=10_000_000,
        option_lot_e8=1_000_000,
        option_max_lots=1000,
        multiplier=0.01,
        strike_step=500,
        strike_offsets=(-12, -8, -6, -4, -3, -2, -1, 0, 1, 2, 3, 4, 6, 8, 12),
    ),
    Pair(
        name="ETHUSD",
        base="ETH",
        contract_id=2,
        open_price=1830.27,
        vol=0.5,
        future_tick_e8=1_000_000,
        future_lot_e8=1_000_000,
        future_max_lots=1200,
        option_tick_e8=10_000_000,
        option_lot_e8=10_000_000,
        option_max_lots=600,
        multiplier=0.1,
        strike_step=50,
        strike_offsets=(-8, -5, -3, -1, 0, 1, 3, 5, 8),
    ),
)


def list_instruments(start_ms: int, expiries: int = 2) -> list[Instrument]:
    """Everything listed at `start_ms`: perpetuals first, then options nearest the money first."""
    dates_ms = _expiries_ms(start_ms, expiries)
    perpetuals = [
        Instrument(
            symbol=pair.name,
            product=FUTURES,
            pair=pair,
            tick_e8=pair.future_tick_e8,
            lot_e8=pair.future_lot_e8,
            max_lots=pair.future_max_lots,
            terms=None,
        )
        for pair in PAIRS
    ]
    return perpetuals + [option for pair in PAIRS for option in _options(pair, dates_ms)]


def _options(pair: Pair, dates_ms: list[int]) -> Iterator[Instrument]:
    at_the_money = round(pair.open_price / pair.strike_step)
    for offset in sorted(pair.strike_offsets, key=abs):
        strike = (at_the_money + offset) * pair.strike_step
        for expiry_ms in dates_ms:
            for right in "CP":
                yield Instrument(
                    symbol=f"{pair.name}-{_expiry_text(expiry_ms)}-{strike}-{right}",
                    product=OPTIONS,
                    pair=pair,
                    tick_e8=pair.option_tick_e8,
                    lot_e8=pair.option_lot_e8,
                    max_lots=pair.option_max_lots,
                    terms=Terms(strike, right, expiry_ms),
                )


def _expiries_ms(start_ms: int, count: int) -> list[int]:
    """A Friday of the coming week, and the last Friday of a month at least three weeks off; then
    the other Fridays."""
    near = _friday_from(start_ms + 2 * _DAY_MS)
    far = _friday_from(start_ms + 21 * _DAY_MS)
    while (far + timedelta(days=7)).month == far.month:
        far += timedelta(days=7)
    dates, friday = [near, far], near
    while len(dates) < count:
        friday += timedelta(days=7)
        if friday != far:
            dates.append(friday)
    return [round(date.timestamp() * 1000) for date in dates[:count]]


def _friday_from(time_ms: int) -> datetime:
    """The first Friday 08:00 UTC, the venue's hour of expiry, at or after `time_ms`."""
    earliest = datetime.fromtimestamp(time_ms / 1000, UTC)
    day = earliest.replace(hour=8, minute=0, second=0, microsecond=0)
    day += timedelta(days=(_FRIDAY - day.weekday()) % 7)
    return day if day >= earliest else day + timedelta(days=7)


def _expiry_text(expiry_ms: int) -> str:
    """`4JUL23`: the day is not zero-padded (protocol page, section 5, quirk 20)."""
    day = datetime.fromtimestamp(expiry_ms / 1000, UTC)
    return f"{day.day}{MONTHS[day.month - 1]}{day.year % 100:02d}"

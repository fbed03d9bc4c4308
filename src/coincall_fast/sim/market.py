"""The seeded market model: prices walk, options follow, books breathe.

Pure: no clock, no socket, no thread. Time comes in through `Market.advance`, and the same seed
with the same times gives the same market, level for level.
"""

from collections.abc import Callable, Iterable
from decimal import Decimal
from math import exp, log, sqrt
from random import Random

from . import black76, opening
from .instruments import FUTURES, PAIRS, Instrument, Pair, Terms, list_instruments
from .ladder import MAX_LEVELS, Ladder, Level, Target
from .matching import BookSide
from .orders import Side

__all__ = ["SCALE", "Book", "Market", "Underlying", "implied_vol"]

SCALE = 100_000_000
_YEAR_MS = 365 * 86_400_000
_LEAP_MS = 60_000  # a longer gap than this (a machine that slept) is crossed in one step

_FUTURE_HALF = 3.05e-4  # half the printed spread, as a part of the price
_FUTURE_GAP = 0.05  # between levels, as a part of the half-spread: the printed book's spacing
_OPTION_HALF = 0.01
_OPTION_GAP = 0.1

_FAR = 1.5  # standard deviations from the money, beyond which makers come and go
_MOODS = ((0.5, (True, True)), (0.8, (False, True)), (1.0, (False, False)))  # quotes bid, ask
_MOOD_MEAN_MS = 8_000


def implied_vol(pair: Pair, log_moneyness: float, years: float) -> float:
    """The one vol surface: a skewed smile in log-moneyness over the root of time."""
    x = max(-3.0, min(3.0, log_moneyness / sqrt(years)))
    return pair.vol * (1.0 - 0.04 * x + 0.04 * x * x)


class Underlying:
    """The fair price of one pair, which is its perpetual's and every option's forward."""

    __slots__ = ("_random", "fair", "high", "low", "open", "pair")

    def __init__(self, pair: Pair, seed: int) -> None:
        self.pair = pair
        self.fair = self.open = self.high = self.low = pair.open_price
        self._random = Random(f"{seed}:{pair.name}:price")

    def step(self, dt_ms: int) -> None:
        """One step of a driftless geometric random walk."""
        deviation = self.pair.vol * sqrt(dt_ms / _YEAR_MS)
        drift = self._random.gauss(0.0, deviation) - 0.5 * deviation * deviation
        self.show(self.fair * exp(drift))

    def show(self, fair: float) -> None:
        self.fair = fair
        self.high = max(self.high, fair)
        self.low = min(self.low, fair)


class Book:
    """The order book of one instrument: the makers who quote it, and users' orders among them."""

    __slots__ = (
        "_asks",
        "_bids",
        "_quotes_ask",
        "_quotes_bid",
        "_random",
        "instrument",
        "sides",
    )

    def __init__(
        self,
        instrument: Instrument,
        seed: int,
        bids: Iterable[Level] = (),
        asks: Iterable[Level] = (),
    ) -> None:
        self.instrument = instrument
        # A generator of its own, so that listing another symbol leaves this one as it was.
        self._random = Random(f"{seed}:{instrument.symbol}:book")
        self._bids = Ladder(-1, self._random, bids)
        self._asks = Ladder(+1, self._random, asks)
        self.sides = {
            Side.BUY: BookSide(Side.BUY, self._bids),
            Side.SELL: BookSide(Side.SELL, self._asks),
        }
        self._quotes_bid, self._quotes_ask = self._mood()

    @property
    def bids(self) -> list[Level]:
        """Best first; price in ticks, size in lots. The live list: read it, do not keep it."""
        return self.sides[Side.BUY].levels

    @property
    def asks(self) -> list[Level]:
        """Best first; price in ticks, size in lots. The live list: read it, do not keep it."""
        return self.sides[Side.SELL].levels

    def clear(self) -> None:
        """Takes away what the makers quote; users' orders stay."""
        self._bids.clear()
        self._asks.clear()
        self._requeue()

    def show(self, bids: Iterable[Level], asks: Iterable[Level]) -> None:
        """Sets what the makers quote."""
        self._bids.levels[:] = bids
        self._asks.levels[:] = asks
        self._requeue()

    def move(self, target: Target, *, far: bool, dt_ms: int, whole: bool) -> None:
        """Follows `target`; `far` lets the makers come and go, `whole` builds to full depth."""
        if far and self._random.random() * _MOOD_MEAN_MS < dt_ms:
            self._quotes_bid, self._quotes_ask = self._mood()
        sides = (
            (self._bids, self._quotes_bid or not far),
            (self._asks, self._quotes_ask or not far),
        )
        for ladder, is_quoted in sides:
            if not is_quoted:
                ladder.clear()
            elif whole:
                ladder.fill(target)
            else:
                ladder.step(target)
        self._requeue()

    def _requeue(self) -> None:
        for side in self.sides.values():
            side.requeue()

    def _mood(self) -> tuple[bool, bool]:
        draw = self._random.random()
        return next(quotes for limit, quotes in _MOODS if draw < limit)


class Market:
    """Every listed book at one moment.

    The model moves in whole steps of `step_ms` counted from `start_ms`, so how often `advance` is
    called does not matter, only how far. `now_ms` is the time of the last step; `after_step` is
    called behind each with how long it was.
    """

    def __init__(
        self,
        seed: int,
        start_ms: int,
        *,
        step_ms: int = 100,
        expiries: int = 2,
        listed: Iterable[Instrument] | None = None,
        after_step: Callable[[int], None] | None = None,
    ) -> None:
        self.after_step = after_step
        self.is_frozen = False  # time passes, but prices and makers' quotes stand still
        self.start_ms = self.now_ms = start_ms
        self.step_ms = step_ms
        listed = list_instruments(start_ms, expiries) if listed is None else listed
        self.instruments = {instrument.symbol: instrument for instrument in listed}
        self.underlyings = {pair.name: Underlying(pair, seed) for pair in PAIRS}
        self.books = {
            symbol: Book(instrument, seed, *_opening(instrument))
            for symbol, instrument in self.instruments.items()
        }
        self._open()

    def symbols(self, product: str) -> list[str]:
        """The symbols of one product; options nearest the money first."""
        return [i.symbol for i in self.instruments.values() if i.product == product]

    def is_expired(self, instrument: Instrument) -> bool:
        return instrument.terms is not None and self.now_ms >= instrument.terms.expiry_ms

    def surface(self, pair: Pair, terms: Terms) -> tuple[float, float, float]:
        """The forward, the years to expiry and the volatility that an option is valued at."""
        forward = self.underlyings[pair.name].fair
        years = (terms.expiry_ms - self.now_ms) / _YEAR_MS
        if years <= 0.0:
            return forward, 0.0, 0.0
        return forward, years, implied_vol(pair, log(terms.strike / forward), years)

    def advance(self, now_ms: int) -> None:
        """Moves the market on to the last whole step at or before `now_ms`; never back."""
        steps = (now_ms - self.now_ms) // self.step_ms
        if steps * self.step_ms > _LEAP_MS:
            self._step(steps * self.step_ms, whole=True)
            return
        for _ in range(steps):
            self._step(self.step_ms, whole=False)

    def _step(self, dt_ms: int, *, whole: bool) -> None:
        self.now_ms += dt_ms
        if not self.is_frozen:
            self._move(dt_ms, whole=whole)
        if self.after_step is not None:
            self.after_step(dt_ms)

    def _open(self) -> None:
        self._move_books(self.step_ms, whole=True)

    def _move(self, dt_ms: int, *, whole: bool) -> None:
        for underlying in self.underlyings.values():
            underlying.step(dt_ms)
        if whole:
            for book in self.books.values():
                book.clear()
        self._move_books(dt_ms, whole=whole)

    def _move_books(self, dt_ms: int, *, whole: bool) -> None:
        for book in self.books.values():
            instrument = book.instrument
            if instrument.terms is None:
                target = self._future_target(instrument)
                book.move(target, far=False, dt_ms=dt_ms, whole=whole)
            elif self.is_expired(instrument):
                book.clear()
            else:
                target, far = self._option_target(instrument, instrument.terms)
                book.move(target, far=far, dt_ms=dt_ms, whole=whole)

    def _future_target(self, instrument: Instrument) -> Target:
        fair_ticks = self.underlyings[instrument.pair.name].fair * SCALE / instrument.tick_e8
        half_ticks = fair_ticks * _FUTURE_HALF
        gap_ticks = half_ticks * _FUTURE_GAP
        return Target(fair_ticks, half_ticks, gap_ticks, MAX_LEVELS, instrument.max_lots)

    def _option_target(self, instrument: Instrument, terms: Terms) -> tuple[Target, bool]:
        """The target, thinner away from the money, and whether that is far away."""
        forward, years, vol = self.surface(instrument.pair, terms)
        log_moneyness = log(terms.strike / forward)
        value = black76.price(terms.right, forward, terms.strike, years, vol)
        distance = abs(log_moneyness) / (vol * sqrt(years))
        fair_ticks = value * SCALE / instrument.tick_e8
        half_ticks = 1.0 + fair_ticks * _OPTION_HALF
        depth = 1 + int((MAX_LEVELS - 1) * exp(-(max(0.0, distance - 0.5) ** 2) / 0.8))
        gap_ticks = half_ticks * _OPTION_GAP
        target = Target(fair_ticks, half_ticks, gap_ticks, depth, instrument.max_lots)
        return target, distance > _FAR


def _opening(instrument: Instrument) -> tuple[list[Level], list[Level]]:
    """The levels that a book starts with: the printed ones for the BTCUSD perpetual."""
    if instrument.symbol != "BTCUSD" or instrument.product != FUTURES:
        return [], []

    def levels(printed: Iterable[tuple[str, str]]) -> list[Level]:
        return [
            (
                int(Decimal(price) * SCALE) // instrument.tick_e8,
                int(Decimal(size) * SCALE) // instrument.lot_e8,
            )
            for price, size in printed
        ]

    return levels(opening.BTCUSD_BIDS), levels(opening.BTCUSD_ASKS)

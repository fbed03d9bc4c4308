"""What the venue takes an instrument to be worth now: mark, index, volatility, greeks."""

from . import black76
from .black76 import Greeks
from .instruments import Instrument, Pair
from .market import SCALE, Market

__all__ = ["Valuation", "Value"]


class Value:
    """One instrument at one moment; prices in 1e-8 dollars, as the venue marks to 8 decimals."""

    __slots__ = ("greeks", "iv", "mark_e8")

    def __init__(self, mark_e8: int, iv: float, greeks: Greeks) -> None:
        self.mark_e8 = mark_e8
        self.iv = iv
        self.greeks = greeks


class Valuation:
    """Values of a market, each computed once a step."""

    def __init__(self, market: Market) -> None:
        self._market = market
        self._at_ms = -1
        self._values: dict[str, Value] = {}

    def index_e8(self, pair: Pair) -> int:
        """The index of a pair, which is also its perpetual's fair price."""
        return round(self._market.underlyings[pair.name].fair * SCALE)

    def of(self, instrument: Instrument) -> Value:
        if self._at_ms != self._market.now_ms:
            self._at_ms = self._market.now_ms
            self._values.clear()
        value = self._values.get(instrument.symbol)
        if value is None:
            value = self._values[instrument.symbol] = self._compute(instrument)
        return value

    def mark_e8(self, instrument: Instrument) -> int:
        return self.of(instrument).mark_e8

    def _compute(self, instrument: Instrument) -> Value:
        terms = instrument.terms
        if terms is None:
            return Value(self.index_e8(instrument.pair), 0.0, Greeks(delta=1.0))
        forward, years, vol = self._market.surface(instrument.pair, terms)
        price = black76.price(terms.right, forward, terms.strike, years, vol)
        greeks = black76.greeks(terms.right, forward, terms.strike, years, vol)
        return Value(round(price * SCALE), vol, greeks)

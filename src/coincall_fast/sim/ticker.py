"""What a ticker tells of an instrument, in whole units of 1e-8: one computation for every channel
and endpoint that shows any of it."""

from typing import NamedTuple

from . import black76
from .engine import Engine
from .instruments import OPTIONS, Instrument
from .market import SCALE
from .orders import Side

__all__ = ["Quote", "Ticker", "implied_vol", "open_interest_e8", "quote", "ticker"]


class Ticker(NamedTuple):
    """Prices and the last 24 hours of one instrument."""

    last_e8: int
    mark_e8: int
    index_e8: int
    open_e8: int
    high_e8: int
    low_e8: int
    volume_e8: int
    value_e8: int  # dollars: of an option, of what it is an option on

    @property
    def change_e8(self) -> int:
        return self.last_e8 - self.open_e8

    @property
    def change_rate(self) -> float:
        return round(self.last_e8 / self.open_e8 - 1, 4) if self.open_e8 else 0.0


class Quote(NamedTuple):
    """The best of both sides; 0 where there is none."""

    bid_e8: int = 0
    bid_size_e8: int = 0
    ask_e8: int = 0
    ask_size_e8: int = 0


def ticker(engine: Engine, instrument: Instrument) -> Ticker:
    tick_e8, lot_e8 = instrument.tick_e8, instrument.lot_e8
    day = engine.tape.day(instrument.symbol, engine.now_ms)
    index_e8 = engine.valuation.index_e8(instrument.pair)
    volume_e8 = day.lots * lot_e8
    if instrument.product == OPTIONS:
        value_e8 = volume_e8 * index_e8 // SCALE
    else:
        value_e8 = day.tick_lots * tick_e8 * lot_e8 // SCALE
    return Ticker(
        last_e8=engine.tape.last(instrument.symbol) * tick_e8,
        mark_e8=engine.valuation.mark_e8(instrument),
        index_e8=index_e8,
        open_e8=day.open * tick_e8,
        high_e8=day.high * tick_e8,
        low_e8=day.low * tick_e8,
        volume_e8=volume_e8,
        value_e8=value_e8,
    )


def quote(engine: Engine, instrument: Instrument) -> Quote:
    sides = engine.market.books[instrument.symbol].sides
    bids, asks = sides[Side.BUY].levels, sides[Side.SELL].levels
    bid, ask = bids[0] if bids else (0, 0), asks[0] if asks else (0, 0)
    return Quote(
        bid[0] * instrument.tick_e8,
        bid[1] * instrument.lot_e8,
        ask[0] * instrument.tick_e8,
        ask[1] * instrument.lot_e8,
    )


def open_interest_e8(engine: Engine, instrument: Instrument) -> int:
    """What is held long, which is what is held short."""
    return sum(lots for lots in engine.ledger.lots(instrument) if lots > 0) * instrument.lot_e8


def implied_vol(engine: Engine, instrument: Instrument, price_e8: int) -> float:
    """The volatility of a price, to 4 decimals; the venue's floor where there is no price."""
    assert instrument.terms is not None
    forward, years, _ = engine.market.surface(instrument.pair, instrument.terms)
    strike, right, _ = instrument.terms
    return round(black76.implied(right, forward, strike, years, price_e8 / SCALE), 4)

"""What to quote: pure functions of a price, a position and limits. Nothing here knows a venue."""

import math
from decimal import Decimal
from typing import NamedTuple

from coincall_fast import Instrument, Side

__all__ = ["Limits", "Quote", "moved", "wanted"]


class Limits(NamedTuple):
    """Of one instrument. Sizes are in its own units, `half_spread` is a part of its price.

    `ticks` is the least half spread. At the position limit, the middle of both quotes is moved by
    `skew` half spreads against it.
    """

    clip: Decimal
    most: Decimal
    half_spread: float
    ticks: int = 2
    skew: float = 1.0


class Quote(NamedTuple):
    price: Decimal
    qty: Decimal


def wanted(
    fair: float, position: Decimal, instrument: Instrument, limits: Limits
) -> dict[Side, Quote]:
    """The quotes that one should have now; a side that would go beyond the limit is left out.

    Of a price that is not known (nan) there are none. With a long position both quotes are lower:
    the ask is nearer to being taken, and the bid further from it.
    """
    if math.isnan(fair):
        return {}
    half = max(fair * limits.half_spread, float(instrument.tick_size) * limits.ticks)
    middle = fair - half * limits.skew * float(position / limits.most)
    found = {}
    for side, sign in ((Side.BUY, +1), (Side.SELL, -1)):
        room = limits.most - sign * position
        price = instrument.round_price(repr(middle - sign * half), side)
        qty = instrument.round_qty(min(limits.clip, max(room, Decimal(0))))
        if price > 0 and qty > 0:
            found[side] = Quote(price, qty)
    return found


def moved(price: Decimal, quote: Quote, instrument: Instrument, limits: Limits) -> bool:
    """Whether an order at this price is too far from what is wanted: by a quarter of the half
    spread, or two ticks. Each change costs its place in the queue, and a request."""
    far = max(float(quote.price) * limits.half_spread / 4, 2 * float(instrument.tick_size))
    return abs(float(price - quote.price)) >= far

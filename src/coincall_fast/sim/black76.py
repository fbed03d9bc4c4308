"""Black-76: what a European option on a forward is worth, and how that changes."""

from math import erf, exp, log, pi, sqrt
from typing import NamedTuple

__all__ = ["Greeks", "greeks", "implied", "price"]

_LOWEST_VOL = 0.01  # what the venue prints where a price has none (seed 003: biv, aiv)
_HIGHEST_VOL = 10.0
_HALVINGS = 30

_SQRT2 = sqrt(2.0)


def _normal_cdf(x: float) -> float:
    return 0.5 * (1.0 + erf(x / _SQRT2))


def price(right: str, forward: float, strike: float, years: float, vol: float) -> float:
    """The undiscounted price of a call (`right` "C") or a put ("P").

    Coincall margins in dollars and quotes no rate curve, so the discount factor is 1 and
    call - put = forward - strike exactly. At or after expiry this is the intrinsic value.
    """
    intrinsic = max(0.0, forward - strike if right == "C" else strike - forward)
    deviation = vol * sqrt(years) if years > 0.0 else 0.0
    if deviation == 0.0:
        return intrinsic
    d1 = log(forward / strike) / deviation + 0.5 * deviation
    d2 = d1 - deviation
    if right == "C":
        value = forward * _normal_cdf(d1) - strike * _normal_cdf(d2)
    else:
        value = strike * _normal_cdf(-d2) - forward * _normal_cdf(-d1)
    # Deep in the money the two terms cancel, and rounding may leave a hair less than intrinsic.
    return max(value, intrinsic)


class Greeks(NamedTuple):
    """Of one option: theta is per day, vega and rho are per percentage point."""

    delta: float = 0.0
    gamma: float = 0.0
    vega: float = 0.0
    theta: float = 0.0
    rho: float = 0.0


def greeks(right: str, forward: float, strike: float, years: float, vol: float) -> Greeks:
    """The derivatives of `price`; at or after expiry only the intrinsic delta is left."""
    deviation = vol * sqrt(years) if years > 0.0 else 0.0
    if deviation == 0.0:
        is_in = forward > strike if right == "C" else forward < strike
        return Greeks(delta=(1.0 if right == "C" else -1.0) if is_in else 0.0)
    d1 = log(forward / strike) / deviation + 0.5 * deviation
    density = exp(-0.5 * d1 * d1) / sqrt(2.0 * pi)
    cdf = _normal_cdf(d1)
    return Greeks(
        delta=cdf if right == "C" else cdf - 1.0,
        gamma=density / (forward * deviation),
        vega=forward * density * sqrt(years) / 100.0,
        theta=-forward * density * vol / (2.0 * sqrt(years)) / 365.0,
        # Discounting alone: the forward is given and does not move with the rate.
        rho=-years * price(right, forward, strike, years, vol) / 100.0,
    )


def implied(right: str, forward: float, strike: float, years: float, value: float) -> float:
    """The volatility at which the option is worth `value`, within what the venue prints."""
    low, high = _LOWEST_VOL, _HIGHEST_VOL
    if years <= 0.0 or value <= price(right, forward, strike, years, low):
        return low
    for _ in range(_HALVINGS):
        middle = 0.5 * (low + high)
        if price(right, forward, strike, years, middle) < value:
            low = middle
        else:
            high = middle
    return 0.5 * (low + high)

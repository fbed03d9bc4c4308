"""Black-76: what a European option on a forward is worth."""

from math import erf, log, sqrt

__all__ = ["price"]

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

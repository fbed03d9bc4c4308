"""Decimal arithmetic that never rounds, whatever the caller's thread has set (contract, section 1).

The default context keeps 28 digits, which a balance of the venue's documents has nearly used up.
"""

from decimal import MAX_EMAX, MIN_EMIN, Context, Decimal, Inexact, InvalidOperation

__all__ = ["EXACT", "ZERO", "times_e8"]

EXACT = Context(prec=2_000, Emin=MIN_EMIN, Emax=MAX_EMAX, traps=[Inexact, InvalidOperation])
ZERO = Decimal(0)
_E8 = Decimal(100_000_000)


def times_e8(number: Decimal) -> Decimal:
    """In units of 1e-8, as prices and sizes of books are."""
    return EXACT.multiply(number, _E8)

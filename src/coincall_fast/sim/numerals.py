"""Numbers as the venue prints them: decimals keep their scale, and zero is `0E-8`."""

import json
from decimal import Decimal
from typing import Any

__all__ = ["NO_IV", "Numeral", "compact", "decimal_text", "fixed", "money", "plain", "rounded"]

_SCALE = 100_000_000


class Numeral(str):
    """The text of a JSON number."""

    __slots__ = ()


NO_IV = Numeral("1.7976931348623157E308")  # the largest double: no volatility (seed 003)


def decimal_text(value_e8: int) -> str:
    """The shortest exact text: `26450`, `0.686`."""
    sign, value_e8 = ("-", -value_e8) if value_e8 < 0 else ("", value_e8)
    whole, fraction = divmod(value_e8, _SCALE)
    return sign + (f"{whole}.{fraction:08d}".rstrip("0") if fraction else str(whole))


def plain(value_e8: int) -> Numeral:
    """`0.5`, `26450`."""
    return Numeral(decimal_text(value_e8))


def fixed(value_e8: int) -> Numeral:
    """With its 8 decimals: `1.00000000`, `0E-8`."""
    return Numeral(Decimal(value_e8).scaleb(-8))


def money(value_e16: int) -> Numeral:
    """The product of two numbers of 8 decimals has 16: `11294.2000000000000000`."""
    digits = Decimal((value_e16 < 0, tuple(map(int, str(abs(value_e16)))), -16))
    return Numeral(digits)


def rounded(value_e16: int) -> int:
    """To 8 decimals, as the venue keeps balances."""
    quotient = (2 * abs(value_e16) + _SCALE) // (2 * _SCALE)
    return quotient if value_e16 >= 0 else -quotient


def compact(value: Any) -> str:
    """JSON without blanks, keys in the order given."""
    if isinstance(value, dict):
        return "{" + ",".join(f"{json.dumps(k)}:{compact(v)}" for k, v in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ",".join(map(compact, value)) + "]"
    if isinstance(value, Numeral):
        return str(value)
    return json.dumps(value)

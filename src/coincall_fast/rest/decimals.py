"""Numbers as callers give them, exactly.

Contract, section 1: a float stands for its shortest repr, a text for the digits in it.
"""

import operator
import re
from decimal import Decimal
from typing import TypeAlias

from ..errors import UsageError

__all__ = ["Number", "exactly", "integer"]

Number: TypeAlias = str | int | float | Decimal

# What JSON calls a number, with the signs and points that people add. ASCII digits only.
_PLAIN = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,4})?")


def exactly(value: Number, name: str) -> Decimal:
    """The number itself, with the digits that it was given with; `name` is for the error."""
    if isinstance(value, Decimal):
        number = value
    elif isinstance(value, float):
        number = Decimal(float.__repr__(value))
    elif isinstance(value, str):
        if not _PLAIN.fullmatch(value):
            raise UsageError(f"{name} is no number: {value!r}")
        number = Decimal(value)
    else:
        number = Decimal(integer(value, name))
    if not number.is_finite():
        raise UsageError(f"{name} cannot be {number}")
    return number


def integer(value: object, name: str) -> int:
    """An id, a time or a count: an int, one of numpy's, or its digits as text."""
    if isinstance(value, str) and re.fullmatch("-?[0-9]{1,19}", value):
        return int(value)
    try:
        if not isinstance(value, bool):
            return operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        pass
    raise UsageError(f"{name} is no whole number: {value!r}")

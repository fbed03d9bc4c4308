"""What can be traded, and on which grid: prices on ticks, sizes in lots, exactly.

Two answers say it (protocol page, sections 2.1 and 2.3; 5, quirk 22): the public configuration has
the tick and the lot of each pair, the list of options their strikes and expiries.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_EVEN, Context, Decimal, DecimalException
from typing import Any

from ..errors import DecodeError, UsageError
from ..model import Side
from .decimals import Number, exactly
from .parameters import side_of

__all__ = ["FUTURES", "OPTIONS", "Instrument", "futures_of", "options_of", "parsed"]

OPTIONS = "options"
FUTURES = "futures"

_EXACT = Context(prec=80)


@dataclass(frozen=True, slots=True)
class Instrument:
    """One tradable symbol. All numbers are the venue's own digits.

    ``strike``, ``right`` ("C" or "P") and ``expiry_ms`` are None for a perpetual; the expiry is
    what the venue says (08:00 UTC), never read off the symbol. ``extra`` has what else the venue
    tells.
    """

    symbol: str
    product: str
    index: str
    tick_size: Decimal
    lot_size: Decimal
    min_qty: Decimal
    is_active: bool = True
    strike: Decimal | None = None
    right: str | None = None
    expiry_ms: int | None = None
    extra: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)

    def round_price(self, price: Number, side: Side | str) -> Decimal:
        """The nearest legal price that is no worse for an order of this side: a buy pays no more,
        a sell gets no less."""
        rounding = ROUND_FLOOR if side_of(side) is Side.BUY else ROUND_CEILING
        return _on_grid(exactly(price, "price"), self.tick_size, rounding)

    def round_qty(self, qty: Number) -> Decimal:
        """The largest legal quantity that is no larger; 0 where that is below the minimum."""
        wanted = exactly(qty, "qty")
        if wanted < 0:
            raise UsageError(f"a quantity is not negative: {wanted}")
        legal = _on_grid(wanted, self.lot_size, ROUND_FLOOR)
        return legal if legal >= self.min_qty else Decimal(0)

    def check(self, *, price: Decimal | None = None, qty: Decimal | None = None) -> None:
        """Raises UsageError, with the nearest legal value, for what the venue would refuse."""
        if price is not None:
            self._check("price", price, "tick", self.tick_size)
        if qty is not None:
            self._check("qty", qty, "lot", self.lot_size)
            if qty < self.min_qty:
                raise UsageError(
                    f"qty {qty:f} of {self.symbol} is less than the least, {self.min_qty:f}"
                )

    def _check(self, name: str, value: Decimal, unit: str, step: Decimal) -> None:
        nearest = _on_grid(value, step, ROUND_HALF_EVEN)
        if nearest != value:
            raise UsageError(
                f"{name} {value:f} of {self.symbol} is off its {unit} of {step:f}: "
                f"the nearest legal value is {nearest:f}"
            )


def _on_grid(value: Decimal, step: Decimal, rounding: str) -> Decimal:
    try:
        steps = _EXACT.divide(value, step)
        return _EXACT.multiply(steps.to_integral_value(rounding, _EXACT), step)
    except DecimalException:
        raise UsageError(f"{value} is no price or quantity of a market") from None


def parsed(body: bytes) -> Any:
    """The data of an answer, its numbers with all their digits."""
    return json.loads(body, parse_float=Decimal)["data"]


def options_of(config: Mapping[str, Any], rows: list[Mapping[str, Any]]) -> dict[str, Instrument]:
    """By symbol, the options of these rows.

    The tick and the lot are the pair's, since the list of options was seen with another tick; its
    own ones are taken where the configuration does not know the pair.
    """
    found = {}
    for row in rows:
        symbol = _said(row, "symbolName", str)
        index, _, right = symbol.partition("-")[0], "", symbol.rpartition("-")[2]
        pair = _pair(config, "optionConfig", index)
        min_qty = _number(row, "minQty")
        found[symbol] = Instrument(
            symbol,
            OPTIONS,
            index,
            _number(pair if "tickSize" in pair else row, "tickSize"),
            _lot(pair, min_qty),
            min_qty,
            bool(row.get("isActive", True)),
            _number(row, "strike"),
            right if right in ("C", "P") else None,
            _said(row, "expirationTimestamp", int),
            {**pair, **row},
        )
    return found


def futures_of(config: Mapping[str, Any]) -> dict[str, Instrument]:
    """By symbol, the perpetuals of the public configuration."""
    found = {}
    for symbol, pair in (config.get("futuresConfig") or {}).items():
        lot = _lot(pair, None)
        min_qty = lot if pair.get("minQty") is None else _number(pair, "minQty")
        found[symbol] = Instrument(
            symbol, FUTURES, symbol, _number(pair, "tickSize"), lot, min_qty, extra=pair
        )
    return found


def _pair(config: Mapping[str, Any], product: str, index: str) -> Mapping[str, Any]:
    pair = (config.get(product) or {}).get(index)
    return pair if isinstance(pair, dict) else {}


def _lot(pair: Mapping[str, Any], otherwise: Decimal | None) -> Decimal:
    if otherwise is not None and pair.get("qtyDecimal") is None:
        return otherwise
    return Decimal(1).scaleb(-_said(pair, "qtyDecimal", int))


def _number(row: Mapping[str, Any], name: str) -> Decimal:
    value = row.get(name)
    try:
        number = exactly(value.strip(" ") if isinstance(value, str) else value, name)  # type: ignore[arg-type]
    except UsageError as error:
        raise DecodeError(f"an instrument: {error}") from None
    if number <= 0:
        raise DecodeError(f"an instrument: {name} is {number}")
    return number


def _said(row: Mapping[str, Any], name: str, kind: type[Any]) -> Any:
    value = row.get(name)
    if isinstance(value, bool) or not isinstance(value, kind):
        raise DecodeError(f"an instrument without {name}")
    return value

"""Requests to trade, as they come: checked field by field, refused with the table's codes."""

import re
from collections.abc import Mapping
from fractions import Fraction
from typing import Any, NamedTuple

from . import refusals
from .instruments import FUTURES, LIMITS, OPTIONS, Instrument
from .market import SCALE, Market
from .orders import Kind, Side, Stp, TimeInForce
from .refusals import RefusedError

__all__ = ["Change", "Ticket", "change", "find_instrument", "integer", "lots", "ticket", "ticks"]

_KINDS = {
    OPTIONS: {Kind.LIMIT, Kind.POST_ONLY},
    FUTURES: {Kind.LIMIT, Kind.MARKET, Kind.POST_ONLY, Kind.STOP_LIMIT, Kind.STOP_MARKET},
}
_UNPRICED = {Kind.MARKET, Kind.STOP_MARKET}
_TIFS = {"GTC": TimeInForce.GTC, "IOC": TimeInForce.IOC, "FOK": TimeInForce.FOK}
_STPS = {0: Stp.BOTH, 1: Stp.MAKER, 2: Stp.TAKER, 3: Stp.BOTH}
_MAX_INT = 2**63 - 1
_INTEGER = re.compile(r"[0-9]{1,19}")
# As JSON and Java write them; longer than any that means something here.
_NUMBER = re.compile(r"-?[0-9]{1,40}(\.[0-9]{1,40})?([eE][+-]?[0-9]{1,3})?")

Fields = Mapping[str, Any]


class Ticket(NamedTuple):
    """A well-formed order: whole ticks, whole lots, known codes."""

    instrument: Instrument
    side: Side
    kind: Kind
    lots: int
    price: int | None
    client_id: int | None
    tif: TimeInForce
    stp: Stp
    is_reduce_only: bool
    is_mmp: bool
    trigger: int | None


class Change(NamedTuple):
    """What an order is to become: None leaves it as it is."""

    lots: int | None
    price: int | None


def ticket(fields: Fields, product: str, market: Market) -> Ticket:
    instrument = find_instrument(fields.get("symbol"), product, market)
    side = _code(fields, "tradeSide", Side)
    kind = _code(fields, "tradeType", Kind)
    if kind not in _KINDS[product]:
        raise RefusedError(refusals.wrong("tradeType"))
    if fields.get("qty") in (None, ""):
        raise RefusedError(refusals.NO_QUANTITY)
    size = lots(fields["qty"], instrument)
    _check_size(size, kind, instrument)
    return Ticket(
        instrument,
        side,
        kind,
        size,
        _price(fields, kind, instrument),
        integer(fields, "clientOrderId"),
        _tif(fields, kind),
        _STPS[_small(fields, "stp", _STPS)],
        bool(_small(fields, "reduceOnly", (0, 1))),
        _flag(fields, "mmp"),
        _trigger(fields, kind, instrument),
    )


def change(fields: Fields, instrument: Instrument, kind: Kind) -> Change:
    """The new size and price of a modification."""
    qty, price = fields.get("qty"), fields.get("price")
    if qty in (None, "") and price in (None, ""):
        raise RefusedError(refusals.NO_QUANTITY)
    new_lots = None if qty in (None, "") else lots(qty, instrument)
    if new_lots is not None:
        _check_size(new_lots, kind, instrument)
    new_price = None
    if price not in (None, ""):
        if kind in _UNPRICED:
            raise RefusedError(refusals.PRICE_OF_MARKET)
        new_price = ticks(price, instrument)
    return Change(new_lots, new_price)


def find_instrument(symbol: Any, product: str, market: Market) -> Instrument:
    if symbol in (None, ""):
        raise RefusedError(refusals.NO_SYMBOL)
    found = market.instruments.get(symbol) if isinstance(symbol, str) else None
    if found is None or found.product != product:
        unknown = refusals.UNKNOWN_OPTION if product == OPTIONS else refusals.UNKNOWN_INSTRUMENT
        raise RefusedError(unknown)
    if market.is_expired(found):
        raise RefusedError(refusals.EXPIRED)
    return found


def integer(fields: Fields, name: str) -> int | None:
    """A 64-bit id, as a number or as its digits; None where it is not given."""
    value = fields.get(name)
    if value in (None, ""):
        return None
    text = str(value)
    if isinstance(value, bool) or not _INTEGER.fullmatch(text) or int(text) > _MAX_INT:
        raise RefusedError(refusals.wrong(name))
    return int(text)


def lots(value: Any, instrument: Instrument) -> int:
    size = _units(value, instrument.lot_e8)
    if size is None or size < 0:
        raise RefusedError(refusals.WRONG_QUANTITY)
    if size < 1:
        raise RefusedError(refusals.TOO_SMALL)
    if size != int(size):
        raise RefusedError(refusals.WRONG_QUANTITY)
    return int(size)


def ticks(value: Any, instrument: Instrument) -> int:
    price = _units(value, instrument.tick_e8)
    if price is None or price <= 0 or price != int(price):
        raise RefusedError(refusals.WRONG_PRICE)
    return int(price)


def _check_size(size: int, kind: Kind, instrument: Instrument) -> None:
    limits = LIMITS[instrument.product]
    most = limits.market_max_qty if kind in _UNPRICED else limits.limit_max_qty
    if size * instrument.lot_e8 > most * SCALE:
        raise RefusedError(refusals.TOO_LARGE)


def _units(value: Any, unit_e8: int) -> Fraction | None:
    """How many units a number is, exactly; None for what is no number."""
    text = str(value)
    if isinstance(value, bool) or not _NUMBER.fullmatch(text):
        return None
    number = Fraction(text)
    return None if abs(number) > _MAX_INT else number * SCALE / unit_e8


def _code(fields: Fields, name: str, codes: Any) -> Any:
    value = integer(fields, name)
    if value is None:
        raise RefusedError(refusals.missing(name))
    try:
        return codes(value)
    except ValueError:
        raise RefusedError(refusals.wrong(name)) from None


def _small(fields: Fields, name: str, allowed: Any) -> int:
    value = integer(fields, name) or 0
    if value not in allowed:
        raise RefusedError(refusals.wrong(name))
    return value


def _flag(fields: Fields, name: str) -> bool:
    value = fields.get(name)
    if value in (None, "", False, "false", "False", 0, "0"):
        return False
    if value in (True, "true", "True", 1, "1"):
        return True
    raise RefusedError(refusals.wrong(name))


def _price(fields: Fields, kind: Kind, instrument: Instrument) -> int | None:
    price = fields.get("price")
    if kind in _UNPRICED:
        if price not in (None, ""):
            raise RefusedError(refusals.PRICE_OF_MARKET)
        return None
    if price in (None, ""):
        raise RefusedError(refusals.NO_PRICE)
    return ticks(price, instrument)


def _tif(fields: Fields, kind: Kind) -> TimeInForce:
    given = fields.get("timeInForce")
    if given in (None, ""):
        return TimeInForce.POST_ONLY if kind is Kind.POST_ONLY else TimeInForce.GTC
    if kind in _UNPRICED:
        raise RefusedError(refusals.TIF_OF_MARKET)
    if (
        not isinstance(given, str)
        or given not in _TIFS
        or (kind is Kind.POST_ONLY and given != "GTC")
    ):
        raise RefusedError(refusals.WRONG_TIF)
    return TimeInForce.POST_ONLY if kind is Kind.POST_ONLY else _TIFS[given]


def _trigger(fields: Fields, kind: Kind, instrument: Instrument) -> int | None:
    if kind not in (Kind.STOP_LIMIT, Kind.STOP_MARKET):
        return None
    if fields.get("triggerPrice") in (None, ""):
        raise RefusedError(refusals.NO_STOP_PRICE)
    return ticks(fields["triggerPrice"], instrument)

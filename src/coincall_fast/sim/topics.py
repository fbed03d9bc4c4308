"""What can be subscribed to, and what a request must say for it.

Protocol page, sections 3.1 to 3.3; `fillSignal` is in seed 001 alone.
"""

from collections.abc import Collection
from typing import Any, NamedTuple

from . import refusals
from .instruments import FUTURES, OPTIONS
from .refusals import RefusedError
from .tape import PERIODS
from .venue import Edition

__all__ = ["PRIVATE", "Catalog", "Topic"]

_MAX_SYMBOLS = 100  # in one request: section 3.1, batch


class Topic(NamedTuple):
    """One stream of frames. `detail` is a kline's period or a chain's expiry."""

    product: str
    channel: str
    symbol: str = ""
    detail: str = ""
    user_id: int = 0  # whose, where it is private


PRIVATE = frozenset({"accountBalance", "order", "position", "positionEvent", "trade"})

# Those that take a list of symbols, those that take one, and the rest.
_BY_LIST = {
    OPTIONS: {"orderBook", "bsInfo", "lastTrade"},
    FUTURES: {"orderBook", "spotPrice", "lastTrade", "lastTradeV2", "premiumIndex"},
}
_BY_SYMBOL = {OPTIONS: {"lastTradeV2", "fillSignal", "kline"}, FUTURES: {"kline"}}
_PRIVATE = {OPTIONS: PRIVATE, FUTURES: PRIVATE - {"accountBalance"}}
# What the 2023 editions have not, and what only the first has.
_LATER = {"lastTradeV2", "premiumIndex", "positionEvent", "trade"}
_EARLIEST = {"fillSignal"}


class Catalog:
    """What one product offers in one edition."""

    def __init__(
        self,
        product: str,
        symbols: Collection[str],
        expiries: Collection[tuple[str, int]] = (),
        edition: Edition = "today",
    ) -> None:
        self._product = product
        self._symbols = symbols
        self._expiries = expiries  # (index, milliseconds)
        gone = _EARLIEST if edition != "2023-05" else set()
        self._missing = gone | (_LATER if edition != "today" else set())

    def topics(self, request: dict[str, Any]) -> tuple[Topic, ...]:
        """The topics of a request: all of it is right, or it does nothing."""
        channel = request.get("dataType")
        if not isinstance(channel, str) or channel in self._missing:
            raise RefusedError(refusals.CHANNEL_FAILED)
        payload = request.get("payload")
        payload = payload if isinstance(payload, dict) else {}
        product = self._product
        if channel in _PRIVATE[product]:
            return (Topic(product, channel),)  # the 2023 payloads change nothing
        if channel == "fillSignal" and product == FUTURES:
            return tuple(Topic(product, channel, symbol) for symbol in self._symbols)
        if channel == "tOption" and product == OPTIONS:
            return (self._chain(payload),)
        if channel not in _BY_LIST[product] | _BY_SYMBOL[product]:
            raise RefusedError(refusals.CHANNEL_FAILED)
        wanted = self._wanted(payload, is_list=channel in _BY_LIST[product])
        detail = _period(payload) if channel == "kline" else ""
        return tuple(Topic(product, channel, symbol, detail) for symbol in wanted)

    def _wanted(self, payload: dict[str, Any], *, is_list: bool) -> list[str]:
        wanted = payload.get("symbol")
        if isinstance(wanted, str) and wanted:
            wanted = [wanted]
        elif not is_list and wanted:
            raise RefusedError(refusals.UNKNOWN_INSTRUMENT)
        if not wanted or not isinstance(wanted, list):
            raise RefusedError(refusals.NO_SYMBOL)
        if len(wanted) > _MAX_SYMBOLS:
            raise RefusedError(refusals.TOO_MANY_SYMBOLS)
        if not all(isinstance(symbol, str) and symbol in self._symbols for symbol in wanted):
            raise RefusedError(refusals.UNKNOWN_INSTRUMENT)
        return list(dict.fromkeys(wanted))

    def _chain(self, payload: dict[str, Any]) -> Topic:
        index, end_ms = payload.get("symbol"), payload.get("end")
        if not index:
            raise RefusedError(refusals.NO_SYMBOL)
        if end_ms is None:
            raise RefusedError(refusals.missing("end"))
        is_time = type(end_ms) is int  # else 5.0 would be found where 5 is, and True where 1 is
        if not isinstance(index, str) or not is_time or (index, end_ms) not in self._expiries:
            raise RefusedError(refusals.UNKNOWN_INDEX)
        return Topic(OPTIONS, "tOption", index, str(end_ms))


def _period(payload: dict[str, Any]) -> str:
    period = payload.get("period")
    if not period:
        raise RefusedError(refusals.missing("period"))
    if not isinstance(period, str) or period.lower() not in PERIODS:
        raise RefusedError(refusals.wrong("period"))
    return period.lower()

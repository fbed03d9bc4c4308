"""What requests carry: by our names, the venue's names and the values that they take.

Protocol page, sections 2 and 4. A parameter that endpoints have not had yet is one line.
"""

from collections.abc import Callable, Iterable, Mapping
from enum import Enum, IntEnum
from functools import lru_cache
from numbers import Integral
from typing import Any, Final, NamedTuple, TypeVar

from ..errors import UsageError
from ..model import OrderType, Side, TimeInForce
from .decimals import exactly, integer

__all__ = ["PARAMETERS", "Parameter", "order_type_of", "side_of", "time_in_force_of", "wired"]

_E = TypeVar("_E", bound=IntEnum)


def text(value: Any, name: str) -> str:
    if not isinstance(value, str) or not value:
        raise UsageError(f"{name} is a text, not {value!r}")
    return str(value)


def texts(value: Any, name: str) -> str:
    """Several in one, between commas."""
    values = [value] if isinstance(value, str) else value
    if not isinstance(values, Iterable):
        raise UsageError(f"{name} is a list of texts, not {value!r}")
    return ",".join(text(one, name) for one in values)


def flag(value: Any, name: str) -> bool:
    if not isinstance(value, bool):
        raise UsageError(f"{name} is True or False, not {value!r}")
    return value


def zero_or_one(value: Any, name: str) -> int:
    return int(flag(value, name))


def rows(value: Any, name: str) -> list[Any]:
    """Made already."""
    return list(value)


def _member(enumeration: type[_E], value: Any, name: str) -> _E:
    """A member, its code, or its name in any case; of another family not even the same code."""
    try:
        if isinstance(value, enumeration):
            return value
        if isinstance(value, str):
            found: _E = _named(enumeration, value)
            return found
        if isinstance(value, Integral) and not isinstance(value, bool | Enum):
            return enumeration(int(value))
    except (KeyError, ValueError):
        pass
    known = ", ".join(member.name.lower() for member in enumeration)
    raise UsageError(f"{name} is one of {known}, not {value!r}")


@lru_cache(512)
def _named(enumeration: type[_E], name: str) -> _E:
    return enumeration[name.strip().upper().replace(" ", "_").replace("-", "_")]


def side_of(value: Any, name: str = "side") -> Side:
    """A trade side: "buy", "sell" or a `Side`."""
    return _member(Side, value, name)


def order_type_of(value: Any, name: str = "order_type") -> OrderType:
    return _member(OrderType, value, name)


def time_in_force_of(value: Any, name: str = "time_in_force") -> str:
    """Its word: REST has three, since post-only is an order type there."""
    member = _member(TimeInForce, value, name)
    if member is TimeInForce.POST_ONLY:
        raise UsageError('post-only is an order_type in REST, with a time_in_force of "GTC"')
    return member.name


class Parameter(NamedTuple):
    """What the venue calls it, and how a value of ours becomes one of the venue's."""

    wire: str
    of: Callable[[Any, str], Any]


# fmt: off
PARAMETERS: Final[Mapping[str, Parameter]] = {
    "amount":           Parameter("amount", exactly),
    "base":             Parameter("baseCurrency", text),
    "client_order_id":  Parameter("clientOrderId", integer),
    "client_order_ids": Parameter("clientOrderIdList", rows),
    "countdown_ms":     Parameter("countdownTime", integer),
    "currency":         Parameter("currency", text),
    "delta_limit":      Parameter("deltaLimit", exactly),
    "end_ms":           Parameter("endTime", integer),
    "from_id":          Parameter("fromId", integer),
    "from_user_id":     Parameter("fromUserId", integer),
    "frozen_ms":        Parameter("frozenTime", integer),
    "index":            Parameter("index", text),
    "index_name":       Parameter("indexName", text),
    "instrument_type":  Parameter("instType", text),
    "interval_ms":      Parameter("intervalTime", integer),
    "kline_end_ms":     Parameter("end", integer),
    "kline_start_ms":   Parameter("start", integer),
    "leverage":         Parameter("leverage", exactly),
    "limit":            Parameter("limit", integer),
    "mmp":              Parameter("mmp", flag),
    "order_id":         Parameter("orderId", integer),
    "order_ids":        Parameter("orderIdList", rows),
    "order_type":       Parameter("tradeType", order_type_of),
    "orders":           Parameter("orders", rows),
    "page":             Parameter("page", integer),
    "page_size":        Parameter("pageSize", integer),
    "period":           Parameter("period", text),
    "price":            Parameter("price", exactly),
    "product":          Parameter("type", integer),
    "qty":              Parameter("qty", exactly),
    "qty_limit":        Parameter("qtyLimit", exactly),
    "reduce_only":      Parameter("reduceOnly", zero_or_one),
    "side":             Parameter("tradeSide", side_of),
    "start_ms":         Parameter("startTime", integer),
    "stp":              Parameter("stp", integer),
    "sub_agent_id":     Parameter("subAgentId", integer),
    "symbol":           Parameter("symbol", text),
    "symbol_list":      Parameter("symbol", texts),
    "symbols":          Parameter("symbols", texts),
    "time_in_force":    Parameter("timeInForce", time_in_force_of),
    "to_user_id":       Parameter("toUserId", integer),
    "trigger_price":    Parameter("triggerPrice", exactly),
}
# fmt: on


def wired(names: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of these names, as the venue calls and takes them; None is left out."""
    taken = {}
    for name in names.split():
        value = arguments.get(name)
        if value is not None:
            wire, of = PARAMETERS[name]
            taken[wire] = of(value, name)
    return taken

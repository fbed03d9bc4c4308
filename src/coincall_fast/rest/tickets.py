"""Orders as they are asked for: checked before anything is sent, and told what became of each.

Protocol page, sections 2.4 and 4. Nothing here sends; `fields` are what callers gave, by our names.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from ..errors import CoincallFastError, DecodeError, UsageError, VenueError
from ..message import Order
from ..model import OrderType
from .answers import identifier, plain
from .codes import code_of, refusal
from .decimals import integer
from .endpoints import MOST_IN_A_BATCH, ORDER, ORDER_CHANGE
from .instruments import Instrument
from .parameters import PARAMETERS, order_type_of, wired

__all__ = [
    "Outcome",
    "as_order",
    "check_change",
    "check_grid",
    "check_new",
    "failed",
    "given",
    "id_of",
    "identified",
    "is_done",
    "numbered",
    "one_id",
    "pieces",
    "rows_of",
    "said_id",
]

_PRICED: Final = (OrderType.LIMIT, OrderType.POST_ONLY, OrderType.STOP_LIMIT)
_UNPRICED: Final = (OrderType.MARKET, OrderType.STOP_MARKET)
_STOPS: Final = (OrderType.STOP_LIMIT, OrderType.STOP_MARKET)
LARGEST_ID: Final = 2**63 - 1  # the venue takes a long (protocol page, section 2.4)
_TOLD: Final = (
    "symbol side order_type qty price order_id client_order_id time_in_force reduce_only"
    " trigger_price"
).split()


class Outcome(NamedTuple):
    """What became of one item of a batch: the order as the single verb returns it, or the error
    that it would have raised."""

    order: Order | None
    error: CoincallFastError | None

    @property
    def ok(self) -> bool:
        return self.error is None


# ---------------------------------------------------------------- before sending


def given(fields: Mapping[str, Any]) -> dict[str, Any]:
    """What was given at all."""
    return {name: value for name, value in fields.items() if value is not None and name != "self"}


def numbered(orders: Iterable[dict[str, Any]], next_id: Callable[[], int]) -> set[int]:
    """Gives each order without a client order id one, and tells which these are."""
    own = set()
    for fields in orders:
        if "client_order_id" not in fields:
            fields["client_order_id"] = next_id()
            own.add(fields["client_order_id"])
    return own


def check_new(fields: Mapping[str, Any]) -> None:
    """Raises UsageError for a new order that lacks what its type needs, or has what it does not
    take."""
    _demand(fields, needed="symbol side qty order_type", allowed=ORDER)
    if not 0 < integer(fields["client_order_id"], "client_order_id") <= LARGEST_ID:
        raise UsageError("a client_order_id is more than 0, and fits in 63 bits")
    kind = order_type_of(fields["order_type"])
    name = kind.name.lower()
    if kind not in _PRICED + _UNPRICED:
        raise UsageError(f"a {name} order is not placed here")
    if kind in _PRICED and "price" not in fields:
        raise UsageError(f"a {name} order needs a price")
    if kind in _UNPRICED and "price" in fields:
        raise UsageError(f"a {name} order takes no price")
    if (kind in _STOPS) != ("trigger_price" in fields):
        raise UsageError(
            f"a {name} order {'needs a' if kind in _STOPS else 'takes no'} trigger_price"
        )


def check_change(fields: Mapping[str, Any]) -> None:
    """The same for a modification."""
    _demand(fields, needed="symbol", allowed=ORDER_CHANGE)
    one_id(fields)
    if "qty" not in fields and "price" not in fields:
        raise UsageError("a modification changes qty, price or both")


def check_grid(fields: Mapping[str, Any], instrument: Instrument | None) -> None:
    """Raises UsageError for numbers that are not above 0, or off the instrument's tick or lot; and
    for all numbers where that is None, since nobody knows these."""
    for name in ("qty", "price", "trigger_price"):
        if name in fields:
            number = PARAMETERS[name].of(fields[name], name)
            if number <= 0:
                raise UsageError(f"{name} is more than 0, not {number}")
            if instrument is None:
                raise UsageError(
                    f"{fields['symbol']} is not listed: its tick and lot are not known"
                )
            instrument.check(**{"qty" if name == "qty" else "price": number})


def _demand(fields: Mapping[str, Any], *, needed: str, allowed: str) -> None:
    if missing := [name for name in needed.split() if name not in fields]:
        raise UsageError(f"an order needs {', '.join(missing)}")
    if unknown := fields.keys() - set(allowed.split()):
        raise UsageError(f"an order has no {', '.join(sorted(unknown))}")
    wired(allowed, fields)


def as_order(fields: Mapping[str, Any]) -> Order:
    """What is asked for, as an `Order` without a state."""
    told = {name: PARAMETERS[name].of(fields[name], name) for name in _TOLD if name in fields}
    return Order(**told)


def identified(asked: Order, order_id: int | None) -> Order:
    """What was asked for, by the id that the venue's answer says, if it says one."""
    if order_id is None or order_id == asked.order_id:
        return asked
    return asked._numbered("order_id", order_id)


# ---------------------------------------------------------------- which order is meant


def one_id(fields: Mapping[str, Any]) -> dict[str, int]:
    """The one id that names an order: the venue's or the client's."""
    names = [n for n in ("order_id", "client_order_id") if fields.get(n) is not None]
    if len(names) != 1:
        raise UsageError("an order is named by order_id or by client_order_id")
    return {names[0]: integer(fields[names[0]], names[0])}


def id_of(order: int | Order | Mapping[str, int]) -> tuple[str, int]:
    """The name and the value of the id of an `Order`, of a mapping that has one, or of an id."""
    if isinstance(order, Order):
        name = "client_order_id" if order.order_id is None else "order_id"
        ids = one_id({name: getattr(order, name)})
    else:
        ids = one_id(order if isinstance(order, Mapping) else {"order_id": order})
    return next(iter(ids.items()))


def pieces(items: Sequence[Any]) -> Iterator[Sequence[Any]]:
    """As many as one batch takes, and the rest."""
    for start in range(0, len(items), MOST_IN_A_BATCH):
        yield items[start : start + MOST_IN_A_BATCH]


# ---------------------------------------------------------------- what became of them


def rows_of(data: Any) -> list[Any]:
    """The rows of a batch's answer, one an item."""
    if not isinstance(data, list) or not all(isinstance(row, dict) for row in data):
        raise DecodeError("a batch was answered with no list of rows")
    return data


def said_id(row: Mapping[str, Any], *names: str) -> int | None:
    """The id that a row is about, under the first of these names that has one; None for what is
    none."""
    found = next((row[name] for name in names if row.get(name) not in (None, "")), None)
    try:
        return None if found is None else identifier(b"", found)
    except DecodeError:
        return None


def is_done(row: Mapping[str, Any]) -> bool:
    """Whether an item was taken: its code is `code` or `scode`, by edition."""
    return str(row.get("code", row.get("scode"))) == "0"


def failed(row: Mapping[str, Any], name: str, hide: Callable[[str], str]) -> VenueError:
    """The error of an item: by its code, else by its text, where 1 says no more than that."""
    said = row.get("msg", row.get("smsg"))
    text = plain(said, hide) if isinstance(said, str) else ""
    code = row.get("code", row.get("scode"))
    number = int(code) if isinstance(code, int | str) and str(code).isdecimal() else None
    return refusal(code_of(text) if number in (None, 1) else number, text, name)

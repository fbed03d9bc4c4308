"""What happens to users, in the order in which it happens: the pushes are made of these."""

from typing import NamedTuple

from .accounts import Position
from .orders import Order
from .tape import Print

__all__ = ["BalanceChanged", "Event", "Filled", "OrderChanged", "PositionChanged"]


class OrderChanged(NamedTuple):
    """An order as it was just then. `match` is the price and size of a fill, if it was one."""

    order: Order
    match: tuple[int, int] | None
    is_taker: bool


class Filled(NamedTuple):
    """One fill of one order, as the trade history keeps it."""

    trade_id: int
    order: Order  # as it was just then
    price: int
    lots: int
    is_taker: bool
    fee_e16: int
    rate_e8: int
    mark_e8: int
    index_e8: int
    iv: float
    ts_ms: int


class PositionChanged(NamedTuple):
    """A position as it was just then; `lots` is 0 when it was closed."""

    user_id: int
    position: Position


class BalanceChanged(NamedTuple):
    """Something that the account's margin depends on has changed."""

    user_id: int


Event = OrderChanged | Filled | PositionChanged | BalanceChanged | Print

"""What has happened to an order, told by how it is known before and after."""

from collections.abc import Iterator
from decimal import Decimal
from enum import StrEnum
from typing import NamedTuple

from ..model import OrderState
from .exactly import EXACT, ZERO
from .orders import Standing, TrackedOrder

__all__ = ["EventKind", "OrderEvent", "happened"]


class EventKind(StrEnum):
    """What may happen to an order.

    ``OPENED``    the venue has it, or is known to have it once more
    ``FILLED``    a part or the rest of it has traded: `OrderEvent.qty`
    ``REPLACED``  its size or price is another one
    ``FINISHED``  all of it has traded
    ``CANCELED``  it ended before that, by whoever's wish, or with its instrument
    ``REJECTED``  it was refused, or is proved never to have been there
    ``UNKNOWN``   nobody knows how it stands
    ``LATE``      it was thought never to have been there, and is
    """

    OPENED = "opened"
    FILLED = "filled"
    REPLACED = "replaced"
    FINISHED = "finished"
    CANCELED = "canceled"
    REJECTED = "rejected"
    UNKNOWN = "unknown"
    LATE = "late"


class OrderEvent(NamedTuple):
    """One of these, and the order after it. ``qty`` is how much was filled now, in all zero where
    nothing was, and ``price`` at which price, where that was told; the sum over an order's events
    is its ``filled_qty``."""

    kind: EventKind
    order: TrackedOrder
    qty: Decimal = ZERO
    price: Decimal | None = None


_ENDS = {
    OrderState.FILLED: EventKind.FINISHED,
    OrderState.CANCELED: EventKind.CANCELED,
    OrderState.CANCEL_BY_EXERCISE: EventKind.CANCELED,
}


def happened(
    before: TrackedOrder | None, after: TrackedOrder, price: Decimal | None
) -> Iterator[OrderEvent]:
    """What lies between the two, in the order in which it must have been; `price` is that of what
    was filled last."""
    was = Standing.SENT if before is None else before.standing
    told = None if before is None else before.state
    is_known = after.state is not None or after.standing is Standing.OPEN
    was_known = told is not None or was is Standing.OPEN
    is_refused = after.standing is Standing.ENDED and _end(after) is EventKind.REJECTED
    is_back = was is Standing.UNKNOWN and after.standing is Standing.OPEN
    if is_known and not is_refused and (is_back or not was_known):
        is_late = was is Standing.ENDED
        yield OrderEvent(EventKind.LATE if is_late else EventKind.OPENED, after)
    if before is not None and told is not None and _terms(before) != _terms(after):
        yield OrderEvent(EventKind.REPLACED, after)
    filled = EXACT.subtract(after.filled_qty, ZERO if before is None else before.filled_qty)
    if filled:
        yield OrderEvent(EventKind.FILLED, after, filled, price)
    if after.standing is was:
        return
    if after.standing is Standing.UNKNOWN:
        yield OrderEvent(EventKind.UNKNOWN, after)
    elif after.standing is Standing.ENDED:
        yield OrderEvent(_end(after), after)


def _end(order: TrackedOrder) -> EventKind:
    """How it has ended. Some words of other venues tell that it has, not how: then its fills do."""
    if isinstance(order.state, str):
        is_whole = order.qty is not None and order.filled_qty >= order.qty
        return EventKind.FINISHED if is_whole else EventKind.CANCELED
    kind = _ENDS.get(order.state) if isinstance(order.state, OrderState) else None
    return kind or EventKind.REJECTED


def _terms(order: TrackedOrder) -> tuple[Decimal | None, Decimal | None]:
    return order.qty, order.price

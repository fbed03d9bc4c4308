"""What steps of one's own requests, and rows of a list, mean for what is known of an order."""

from ..errors import OrderNotFound
from ..message import Fill, Order
from ..steps import Stage, Step
from .orders import Life, Standing

__all__ = ["is_trade", "listed", "stepped"]

# Of Bybit's `execType`: what is booked without an order, https://bybit-exchange.github.io/docs/v5/enum
_BOOKINGS = frozenset({"delivery", "funding", "settle"})


def is_trade(fill: Fill) -> bool:
    """Whether it is one of an order; some venues book deliveries and funding as executions."""
    return (fill.execution_type or "").lower() not in _BOOKINGS


def stepped(life: Life, step: Step) -> None:
    """Has an order know of a step of a request about it."""
    match step.verb:
        case "modify_order":
            _modified(life, step)
        case "cancel_order":
            _canceled(life, step)
        case _:
            _placed(life, step)


def _placed(life: Life, step: Step) -> None:
    life.ask(step.order)
    match step.stage:
        case Stage.SENT:
            life.is_again = life.standing is Standing.UNKNOWN and not life.is_told
        case Stage.TAKEN:
            life.take()
        case Stage.ABSENT:
            life.is_again = False
            life.refuse(step.error)
        case Stage.REFUSED:
            life.refuse(step.error)
        case Stage.UNKNOWN if not life.is_told:
            life.lose(step.error)
        case Stage.FOUND | Stage.LATE:
            life.hear(step.order)
            life.is_canceling |= step.stage is Stage.LATE and not life.has_ended


def _modified(life: Life, step: Step) -> None:
    asked = step.order.exact("qty"), step.order.exact("price")
    match step.stage:
        case Stage.SENT:
            life.change(*asked)
        case Stage.TAKEN:
            life.change_taken(*asked)
        case Stage.REFUSED | Stage.ABSENT:
            life.change_gone(*asked)
            if step.stage is Stage.ABSENT or isinstance(step.error, OrderNotFound):
                life.doubt()
        case Stage.FOUND | Stage.LATE:
            life.hear(step.order)
            life.change_gone(*asked)


def _canceled(life: Life, step: Step) -> None:
    match step.stage:
        case Stage.SENT:
            life.is_canceling = not life.has_ended
        case Stage.REFUSED | Stage.ABSENT:
            life.is_canceling = False
            if step.stage is Stage.ABSENT or isinstance(step.error, OrderNotFound):
                life.doubt()
        case Stage.FOUND | Stage.LATE:
            life.hear(step.order)


def listed(life: Life, order: Order, is_after: bool) -> None:
    """An order of a list; what time its terms are of, a list does not tell. Where they are others
    than those that we know of, somebody should ask."""
    life.hear(order)
    if is_after:
        life.changes_told()
    qty, price = order.exact("qty"), order.exact("price")
    if qty not in (None, life.qty) or price not in (None, life.price):
        life.doubt()

"""What becomes of an order, step by step, as the client that sends it sees it.

A client tells each step to whoever watches (`Client.on_step`): so a tracker learns of an order
before it leaves, and of one whose outcome nobody knows yet.
"""

from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from .errors import CoincallFastError

if TYPE_CHECKING:
    from .message import Order

__all__ = ["Stage", "Step"]


class Stage(StrEnum):
    """How far a request about one order has come.

    ``SENT``     it is about to leave; from now on it may be done
    ``TAKEN``    the venue has acknowledged it, which is not yet its effect
    ``REFUSED``  it has not been done and will not be: refused, or it never left
    ``UNKNOWN``  nobody knows; the venue is being asked
    ``FOUND``    after UNKNOWN: the order as the venue tells it, with its state
    ``ABSENT``   after UNKNOWN: the venue does not have the order, and would refuse it by now
    ``LATE``     after ABSENT or UNKNOWN: it has appeared nevertheless, and is being cancelled
    """

    SENT = "sent"
    TAKEN = "taken"
    REFUSED = "refused"
    UNKNOWN = "unknown"
    FOUND = "found"
    ABSENT = "absent"
    LATE = "late"


class Step(NamedTuple):
    """One step of one order. A request about several orders is a step of each.

    ``verb`` is "place_order", "modify_order" or "cancel_order"; ``product`` "options" or "futures".
    ``order`` is as it was asked for, with the ids that are known by then; after FOUND and LATE as
    the venue tells it. ``error`` is why, of REFUSED and UNKNOWN.
    """

    product: str
    verb: str
    stage: Stage
    order: "Order"
    error: CoincallFastError | None = None

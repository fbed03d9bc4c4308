"""What is known of one order, from whatever is said of it in whatever order it comes.

Protocol page, sections 3.4 and 4. What has been learned is never unlearned: fills only add up, an
end is an end, and a message that is older than what is known changes nothing that is newer.
"""

from dataclasses import dataclass
from decimal import Context, Decimal
from enum import StrEnum
from typing import Any, NamedTuple

from ..errors import CoincallFastError, DecodeError
from ..message import Fill, Order
from ..model import OrderState, OrderType, Side, TimeInForce
from .exactly import EXACT, ZERO

__all__ = ["Change", "Life", "Standing", "TrackedOrder"]


class Standing(StrEnum):
    """What we may count on.

    ``SENT``     on its way; the venue has said nothing yet
    ``OPEN``     the venue has it, and more may happen to it
    ``UNKNOWN``  nobody knows: no answer came, or the venue has it in no list and does not find it
    ``ENDED``    nothing more will happen to it: filled, cancelled, refused, or never there
    """

    SENT = "sent"
    OPEN = "open"
    UNKNOWN = "unknown"
    ENDED = "ended"


class Change(NamedTuple):
    """A modification that is on its way: None is what it leaves alone. ``is_taken``: the venue has
    acknowledged it, which is not yet its effect."""

    qty: Decimal | None
    price: Decimal | None
    is_taken: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackedOrder:
    """An order as it is known at one moment; a later moment is another object. Any thread.

    All amounts are exact. ``state`` is the venue's word, None before it has said one.
    ``is_foreign``: no client that tells the tracker has sent it. ``changes`` are modifications, and
    ``is_canceling`` says that a cancellation is, on their way. ``ts_ms`` is the venue's time of the
    latest that it told; ``error`` why an order was refused, or is unknown. Ids are ints, of other
    venues than Coincall texts.
    """

    product: str
    order_id: Any
    client_order_id: Any
    symbol: str | None
    side: Side | int | None
    order_type: OrderType | int | None
    time_in_force: TimeInForce | int | str | None
    reduce_only: bool | None
    qty: Decimal | None
    price: Decimal | None
    filled_qty: Decimal
    average_price: Decimal | None
    state: OrderState | int | None
    standing: Standing
    is_foreign: bool
    is_canceling: bool
    changes: tuple[Change, ...]
    created_ms: int | None
    ts_ms: int | None
    error: CoincallFastError | None

    @property
    def is_open(self) -> bool:
        """Whether it may still be filled, as far as anybody knows: on its way or unknown, too."""
        return self.standing is not Standing.ENDED

    @property
    def remaining_qty(self) -> Decimal | None:
        """What may still be filled: 0 of an order that has ended, None where its size is not
        known."""
        if not self.is_open:
            return ZERO
        if self.qty is None:
            return None
        return max(ZERO, EXACT.subtract(self.qty, self.filled_qty))


# How far a state is on its way; of two that are told, the one that is farther holds. The venue's
# numbers are in no order, and messages may be.
_RANK = {
    OrderState.PRE: 0,
    OrderState.WAITING_EFFECT: 1,
    OrderState.NEW: 2,
    OrderState.PARTIALLY_FILLED: 3,
    OrderState.PRE_CANCEL: 4,
    OrderState.CANCELING: 5,
}
_TRAITS = ("symbol", "side", "order_type", "time_in_force", "reduce_only")  # never another one
_MEAN = Context(prec=28)  # an average need not be exact; the caller's context may be anything
_NOT_KNOWN = 2  # a code that this version does not know is not taken for an end


class Life:
    """One order, from the moment that it is sent or first heard of. For one thread at a time."""

    def __init__(self, product: str, *, is_foreign: bool) -> None:
        self.product = product
        self.order_id: Any = None
        self.client_order_id: Any = None
        self.symbol: str | None = None
        self.side: Side | int | None = None
        self.order_type: OrderType | int | None = None
        self.time_in_force: TimeInForce | int | str | None = None
        self.reduce_only: bool | None = None
        self.qty: Decimal | None = None
        self.price: Decimal | None = None
        self.state: OrderState | int | None = None
        self.standing = Standing.SENT
        self.is_foreign = is_foreign
        self.is_canceling = False
        self.changes: tuple[Change, ...] = ()
        self.created_ms: int | None = None
        self.error: CoincallFastError | None = None
        self.fills: dict[object, Fill] = {}
        self.last_price: Decimal | None = None  # of what was filled last, where it was told
        self.is_doubtful = False  # the venue should be asked how it stands
        self.is_again = False  # sent once more, while nobody knew what had become of it
        self.touched = 0  # the number of the last message or step about it
        self.told_ms: int | None = None  # the latest time that an `Order` told
        self._filled_ms: int | None = None  # ... and that a `Fill` did
        self._versions: list[tuple[Decimal | None, Decimal | None]] = []  # told of that time
        self._told_filled = ZERO  # the most that an `Order` told
        self._told_average: Decimal | None = None  # ... with it
        self._sum = ZERO  # of the fills
        self._value = ZERO  # ... at their prices

    # ---------------------------------------------------------------- what is known

    @property
    def filled_qty(self) -> Decimal:
        """What orders tell and what fills add up to may lag behind each other; neither exceeds
        the truth."""
        return max(self._told_filled, self._sum)

    @property
    def average_price(self) -> Decimal | None:
        if self._sum and self._sum >= self._told_filled:
            return _MEAN.divide(self._value, self._sum)
        return self._told_average

    @property
    def lacks_fills(self) -> bool:
        return self._told_filled > self._sum

    @property
    def is_told(self) -> bool:
        """Whether the venue has ever said a word about it, and not only taken it."""
        return self.state is not None

    @property
    def has_ended(self) -> bool:
        return self.standing is Standing.ENDED

    def view(self) -> TrackedOrder:
        times_ms = [ms for ms in (self.told_ms, self._filled_ms) if ms is not None]
        return TrackedOrder(
            product=self.product,
            order_id=self.order_id,
            client_order_id=self.client_order_id,
            symbol=self.symbol,
            side=self.side,
            order_type=self.order_type,
            time_in_force=self.time_in_force,
            reduce_only=self.reduce_only,
            qty=self.qty,
            price=self.price,
            filled_qty=self.filled_qty,
            average_price=self.average_price,
            state=self.state,
            standing=self.standing,
            is_foreign=self.is_foreign,
            is_canceling=self.is_canceling,
            changes=self.changes,
            created_ms=self.created_ms,
            ts_ms=max(times_ms, default=None),
            error=self.error,
        )

    # ---------------------------------------------------------------- what the venue says

    def hear(self, order: Order) -> None:
        """What the venue says of it, pushed or asked for, however late and however often.

        An `Order` without a state but with an id is one of a list of open orders, or has just been
        taken: it is open.
        """
        self._count(order)
        is_news = self._is_news(order.ts_ms)
        self._describe(order)
        self._advance(order, is_news)

    def _is_news(self, ts_ms: int | None) -> bool:
        return ts_ms is None or self.told_ms is None or ts_ms > self.told_ms

    def _count(self, order: Order) -> None:
        filled = order.exact("filled_qty")
        if filled is None:
            qty = order.exact("qty")
            left = order.exact("remaining_qty")
            if left is None:
                left = order.exact("canceled_qty")
            filled = ZERO if qty is None or left is None else EXACT.subtract(qty, left)
        if not filled and order.state is OrderState.FILLED:  # as in the options' printed sample
            filled = order.exact("qty") or ZERO
        before = self.filled_qty
        if filled > self._told_filled:
            self._told_filled = filled
            self._told_average = order.exact("average_price")
        if self.filled_qty > before:
            is_last = order.exact("match_qty") == EXACT.subtract(self.filled_qty, before)
            self.last_price = order.exact("match_price") if is_last else None

    def _describe(self, order: Order) -> None:
        """Its terms; they may change, and of two that were told the later ones hold."""
        for name in (*_TRAITS, "created_ms"):
            if (value := getattr(order, name)) is not None:
                setattr(self, name, value)
        ts_ms, version = order.ts_ms, (order.exact("qty"), order.exact("price"))
        if self.is_told and self.has_ended and not order.is_terminal:
            return
        if ts_ms is None:
            # From a list, which may be older than what was pushed; but nothing follows an end.
            if self.told_ms is not None and not order.is_terminal:
                return
        elif self.told_ms is None or ts_ms > self.told_ms:
            self.told_ms = ts_ms
            self._versions = [version]
        elif ts_ms < self.told_ms or version in self._versions:
            return
        else:
            self._versions.append(version)
        self.qty = self.qty if version[0] is None else version[0]
        self.price = self.price if version[1] is None else version[1]
        self._settle_changes()

    def _settle_changes(self) -> None:
        """The first that now holds, and those that were asked for before it, are no longer on
        their way."""
        for number, (qty, price, _) in enumerate(self.changes):
            if qty in (None, self.qty) and price in (None, self.price):
                self.changes = self.changes[number + 1 :]
                return

    def _advance(self, order: Order, is_news: bool) -> None:
        state = order.state
        if state is None:
            if order.order_id is None:
                return  # nobody's word but ours
            state = OrderState.NEW
        if self.is_told and self.has_ended:
            return
        if order.is_terminal:
            self._end(state)
            return
        # A push that tells nothing new does not end a doubt; an answer to a question does.
        if order.dt is None or is_news or not self.is_told:
            self._stand()
        if not self.is_told or _rank(state) > _rank(self.state):
            self.state = state
        self._has_begun()

    def _has_begun(self) -> None:
        if self.filled_qty and _rank(self.state) < _RANK[OrderState.PARTIALLY_FILLED]:
            self.state = OrderState.PARTIALLY_FILLED

    def hear_fill(self, fill: Fill) -> None:
        """A fill, once or many times. Raises DecodeError for one without a size."""
        qty, price = fill.exact("qty"), fill.exact("price")
        if qty is None or qty < 0:
            raise DecodeError("a fill of nobody knows how much")
        key: object = fill.trade_id
        if key is None:
            key = (fill.ts_ms, price, qty)
        known = self.fills.get(key)
        if known is not None:
            if known.fee is None and fill.fee is not None:  # REST knows more than the stream
                self.fills[key] = fill
            return
        before = self.filled_qty
        self.fills[key] = fill
        self._sum = EXACT.add(self._sum, qty)
        if price is not None:
            self._value = EXACT.add(self._value, EXACT.multiply(price, qty))
        if self.filled_qty > before:
            self.last_price = price
        if fill.ts_ms is not None:
            self._filled_ms = max(fill.ts_ms, self._filled_ms or 0)
        for name in ("symbol", "side"):
            if getattr(self, name) is None:
                setattr(self, name, getattr(fill, name))
        if not (self.is_told and self.has_ended):  # it has been there, whatever else we thought
            if self.standing is not Standing.UNKNOWN or not self.is_told:
                self._stand()
            self._has_begun()

    def _stand(self) -> None:
        self.standing = Standing.OPEN
        self.is_doubtful = self.is_again = False
        self.error = None

    def _end(self, state: OrderState | int | None) -> None:
        if state is not None:
            self.state = state
            self.error = None
        self.standing = Standing.ENDED
        self.is_canceling = self.is_doubtful = False
        self.changes = ()

    # ---------------------------------------------------------------- what we do, and conclude

    def ask(self, order: Order) -> None:
        """It is about to be sent as it is asked for."""
        self.is_foreign = False
        if not self.is_told:
            self._describe(order)

    def take(self) -> None:
        """The venue has it; how it stands is not said."""
        if not self.is_told:
            self._stand()

    def refuse(self, error: CoincallFastError | None) -> None:
        """It is not there and will not be; unless the venue has taken it or told of it: then what
        was refused is another one of the same id; and of one that was sent twice, that says
        nothing of the first."""
        if self.is_again:
            self.is_again = False
            self.lose(error)
        elif not self.is_told and self.standing is not Standing.OPEN:
            self._end(None)
            self.error = error

    def lose(self, error: CoincallFastError | None = None) -> None:
        """Nobody knows whether it is there, or any more; it is kept."""
        if not self.has_ended:
            self.standing = Standing.UNKNOWN
            self.error = error or self.error
            self.is_doubtful = True

    def doubt(self) -> None:
        """It may have ended: the venue should be asked."""
        if not self.has_ended:
            self.is_doubtful = True

    def change(self, qty: Decimal | None, price: Decimal | None) -> None:
        """A modification is about to be sent."""
        if not self.has_ended:
            self.changes = (*self.changes, Change(qty, price))

    def change_taken(self, qty: Decimal | None, price: Decimal | None) -> None:
        """The venue has acknowledged one."""
        at = self._where(qty, price)
        if at is not None:
            taken = Change(qty, price, is_taken=True)
            self.changes = (*self.changes[:at], taken, *self.changes[at + 1 :])

    def change_gone(self, qty: Decimal | None, price: Decimal | None) -> None:
        """One will not be, or is no longer waited for."""
        at = self._where(qty, price)
        if at is not None:
            self.changes = (*self.changes[:at], *self.changes[at + 1 :])

    def changes_told(self) -> None:
        """The venue has told the terms after it had acknowledged these."""
        self.changes = tuple(change for change in self.changes if not change.is_taken)

    def _where(self, qty: Decimal | None, price: Decimal | None) -> int | None:
        same = (at for at, one in enumerate(self.changes) if one[:2] == (qty, price))
        return next(same, None)

    def absorb(self, sent: "Life") -> None:
        """This order, heard of by its id, is the one that we know as sent by its client's id."""
        self.client_order_id = sent.client_order_id
        self.is_foreign = sent.is_foreign
        self.is_canceling = not self.has_ended and (self.is_canceling or sent.is_canceling)
        for name in (
            "symbol",
            "side",
            "order_type",
            "time_in_force",
            "reduce_only",
            "qty",
            "price",
        ):
            if getattr(self, name) is None:
                setattr(self, name, getattr(sent, name))
        for fill in sent.fills.values():
            self.hear_fill(fill)


def _rank(state: OrderState | int | None) -> int:
    if state is None:
        return -1
    return _RANK.get(state, _NOT_KNOWN) if isinstance(state, OrderState) else _NOT_KNOWN

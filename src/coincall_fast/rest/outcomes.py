"""What became of a write whose answer did not come: what to ask the venue, and what that proves.

State machines without a clock: they are told the time and what was seen, and say when to look, what
to ask, and at last a verdict. The rules (protocol page, sections 1.1 and 4):

- What is seen of an order proves what was done. A new order exists; a changed one has the new
  values; a cancelled one has ended, or is about to.
- The venue refuses a request whose window has passed. So what it does not have, it will not have,
  once its own clock, asked for before, is past the window, and by a margin for what it tells late:
  its single query, its open orders and its history must say so, twice.
- A cancellation may be repeated: it does the same as the first one, and its answer says more.
"""

from enum import StrEnum
from typing import NamedTuple

from ..errors import CoincallFastError, DecodeError, TransportError, Unavailable, VenueError
from ..message import Order
from ..model import OrderState
from .codes import UNDECIDED

__all__ = [
    "Cancelling",
    "Changing",
    "Pace",
    "Placing",
    "Question",
    "Resolution",
    "Verdict",
    "is_same",
    "is_unknown",
]


PROOFS = 2  # that an order is not there, by all its questions each


class Pace(NamedTuple):
    """How an outcome is asked for.

    looks_s: the waits before the first look, the second, ...; the last one then for ever.
    margin_ms: after the window, until absence counts. The venue's order reads lag by up to 2 s, and
    an order is told of after it was taken. apart_s: between the two looks that prove it.
    total_s: when to give up, but never before spare_s after the horizon, and each_s later for each
    order. question_s: how long one question may take.
    """

    looks_s: tuple[float, ...] = (0.2, 0.3, 0.5, 1.0, 2.0, 5.0)
    margin_ms: int = 3000
    apart_s: float = 1.0
    total_s: float = 20.0
    spare_s: float = 10.0
    each_s: float = 0.5
    question_s: float = 3.0


class Question(StrEnum):
    """What a look asks. ``AGAIN`` repeats a cancellation."""

    TIME = "time"
    ORDER = "order"
    OPEN = "open_orders"
    HISTORY = "order_history"
    AGAIN = "again"


class Verdict(StrEnum):
    """What a request has come to.

    ``DONE``      it was done
    ``ENDED``     it was not, or nobody can tell and it does not matter: the order has ended
    ``ANOTHER``   the id is that of another order
    ``NOT_DONE``  it was not done, and will not be; a conclusion
    """

    DONE = "done"
    ENDED = "ended"
    ANOTHER = "another"
    NOT_DONE = "not done"


def is_unknown(error: CoincallFastError) -> bool:
    """Whether a write that failed so may have been done all the same.

    What was too much (429, 10605) was refused before anything was looked at.
    """
    if isinstance(error, TransportError | Unavailable):
        return error.is_sent
    if isinstance(error, DecodeError):
        return True
    return isinstance(error, VenueError) and error.code in UNDECIDED


def is_same(asked: Order, seen: Order, since_ms: int = 0) -> bool:
    """Whether a sighting can be of this order: its id may be used for another one, too, or may
    have been used before, for one that is older than since_ms."""
    if seen.created_ms is not None and seen.created_ms < since_ms:
        return False
    pairs = ((asked.symbol, seen.symbol), (asked.side, seen.side))
    return all(None in pair or pair[0] == pair[1] for pair in pairs)


class Resolution:
    """One request whose outcome is unknown.

    asked: the order as it was asked for. horizon_ms: the venue's time from which on absence counts;
    horizon_s: when that will be by our clock, as far as we know. since_ms: the venue's time before
    which a new order cannot have come, or 0. All other times are by our clock.
    """

    proof: frozenset[Question] = frozenset()  # what must say so, for NOT_DONE
    sure: tuple[Question, ...] = (Question.ORDER,)  # what is asked before the horizon

    def __init__(
        self,
        asked: Order,
        horizon_ms: int,
        horizon_s: float,
        now_s: float,
        pace: Pace,
        since_ms: int = 0,
    ) -> None:
        self.asked = asked
        self._since_ms = since_ms
        self.order: Order | None = None  # as it was seen last
        self.state: int | None = None  # how it has ended, where that is known
        self.verdict: Verdict | None = None
        self.due_s = now_s + pace.looks_s[0]
        self.horizon_ms = horizon_ms
        self._horizon_s = horizon_s
        self._pace = pace
        self._looks = 0
        self.is_past = False  # beyond the horizon, by the venue's clock
        self._missing: set[Question] = set()  # of the proof that is being made
        self._proofs = 0

    def begin(self, now_s: float) -> tuple[Question, ...]:
        """Begins a look: what to ask, in this order. TIME comes before what it makes count."""
        if not self.proof or now_s < self._horizon_s:
            return self.sure
        left = [question for question in Question if question in self.proof - self._missing]
        return tuple(left) if self.is_past else (Question.TIME, *left)

    def time(self, venue_ms: int, now_s: float) -> None:
        """The venue's clock, as it says."""
        self.is_past = venue_ms > self.horizon_ms
        if not self.is_past:  # our clock was ahead of it
            self._horizon_s = now_s + (self.horizon_ms - venue_ms + 1) / 1000

    def saw(self, order: Order, question: Question | None = None) -> None:
        """The order as it stands, in the answer to a question or wherever else it was seen."""
        raise NotImplementedError

    def missed(self, question: Question) -> None:
        """The answer to a question is that there is no such order, or that nothing was done."""
        if self.is_past:
            self._missing.add(question)

    def end(self, now_s: float) -> None:
        """Ends a look: a verdict, or when the next one is due."""
        if self.verdict is not None:
            return
        self._looks += 1
        if self.proof and self._missing >= self.proof:
            self._missing.clear()
            self._proofs += 1
            if self._proofs == PROOFS:
                self.verdict = Verdict.NOT_DONE
        if self.is_past:
            self.due_s = now_s + self._pace.apart_s
            return
        waits_s = self._pace.looks_s
        self.due_s = now_s + waits_s[min(self._looks, len(waits_s) - 1)]
        if self.proof:
            self.due_s = min(self.due_s, max(now_s, self._horizon_s))


class Placing(Resolution):
    """A new order, by its client order id."""

    proof = frozenset((Question.ORDER, Question.OPEN, Question.HISTORY))

    def saw(self, order: Order, question: Question | None = None) -> None:
        if is_same(self.asked, order, self._since_ms):
            self.order = order
            self.verdict = Verdict.DONE
        elif question is not None and order.is_open:
            self.order = order
            self.verdict = Verdict.ANOTHER
        elif question is not None:  # the id was free again
            self.missed(question)


class Changing(Resolution):
    """A modification: done where the order has the new values, which only it could have brought."""

    proof = frozenset((Question.ORDER,))

    def saw(self, order: Order, question: Question | None = None) -> None:
        if self.verdict is Verdict.DONE:
            return
        self.order = order
        if self._is_changed(order):
            self.verdict = Verdict.DONE
        elif order.is_terminal:
            self.state = order.state
            self.verdict = Verdict.ENDED
        elif question is not None:
            self.missed(question)

    def _is_changed(self, order: Order) -> bool:
        if order.state is OrderState.FILLED and self._is_below(order):
            return True  # a size at or below what is filled makes it so
        for name in ("qty", "price"):
            wanted, has = self.asked.exact(name), order.exact(name)
            if wanted is not None and wanted != has:
                return False
        return True

    def _is_below(self, order: Order) -> bool:
        wanted, filled = self.asked.exact("qty"), order.exact("filled_qty")
        return wanted is not None and filled is not None and wanted <= filled


class Cancelling(Resolution):
    """A cancellation: repeated until its answer comes, or until the order is seen to have ended."""

    sure = (Question.ORDER, Question.AGAIN)

    def __init__(
        self,
        asked: Order,
        horizon_ms: int,
        horizon_s: float,
        now_s: float,
        pace: Pace,
        since_ms: int = 0,
    ) -> None:
        super().__init__(asked, horizon_ms, horizon_s, now_s, pace, since_ms)
        self._gone_s: float | None = None

    def begin(self, now_s: float) -> tuple[Question, ...]:
        super().begin(now_s)
        return self.sure if self._gone_s is None else (Question.ORDER,)

    def saw(self, order: Order, question: Question | None = None) -> None:
        self.order = order
        if order.state in _CANCELED:
            self.verdict = Verdict.DONE
        elif order.is_terminal:
            self.state = order.state
            self.verdict = Verdict.ENDED

    def taken(self) -> None:
        """The repetition was acknowledged."""
        self.verdict = Verdict.DONE

    def gone(self, state: OrderState | None, now_s: float) -> None:
        """The repetition was refused, since the order is not open any more; maybe by the first."""
        if state is not None:
            self.state = state
            self.verdict = Verdict.DONE if state in _CANCELED else Verdict.ENDED
        elif self._gone_s is None:
            self._gone_s = now_s

    def end(self, now_s: float) -> None:
        """How it ended is told late; that it has is certain."""
        super().end(now_s)
        if self.verdict is None and self._gone_s is not None:
            until_s = self._gone_s + self._pace.margin_ms / 1000
            if now_s >= until_s:
                self.verdict = Verdict.ENDED
            self.due_s = min(self.due_s, max(until_s, now_s))


_CANCELED = (OrderState.CANCELED, OrderState.PRE_CANCEL, OrderState.CANCELING)

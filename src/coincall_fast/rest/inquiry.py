"""Writes about orders: each is followed and told, and the venue asked about what it did not answer.

The waits and questions around the state machines of outcomes.py.
"""

import contextlib
import copy
import logging
import threading
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from typing import Final, Protocol

from ..errors import (
    AmbiguousOrderError,
    CoincallFastError,
    DuplicateOrder,
    OrderNotFound,
    RateLimited,
    UsageError,
    VenueError,
)
from ..message import Order
from ..model import OrderState
from ..steps import Stage, Step
from .codes import GONE
from .outcomes import (
    Cancelling,
    Changing,
    Pace,
    Placing,
    Question,
    Resolution,
    Verdict,
    is_unknown,
)
from .sightings import Flight, Key, Sightings

__all__ = ["KNOWN", "PACE", "SINCE_MS", "Asked", "Attempt", "Desk"]

log = logging.getLogger("coincall_fast")

PACE = Pace()
FEW = 3  # orders that are asked for one by one, before the horizon; more by lists
SINCE_MS = 30_000  # how far before a request the history is looked at
AHEAD_MS = (
    1000  # how far beyond its own time the venue takes a request (protocol page, section 1.1)
)

# How an order has ended, by the code that says that it is not open.
KNOWN: Final[Mapping[int | None, OrderState]] = {
    11101: OrderState.CANCELED,
    11102: OrderState.FILLED,
}

_MACHINES: Final[Mapping[str, type[Resolution]]] = {
    "place_order": Placing,
    "modify_order": Changing,
    "cancel_order": Cancelling,
}


class Asked(Protocol):
    """What one product's orders can be asked, each until `end_s` of the clock; the last two act.

    `window_ms`: how old a write may be when the venue has it. `known_ms`: as `now_ms`, but 0 before
    the venue's time was heard.
    """

    product: str

    @property
    def window_ms(self) -> int: ...
    def clock(self) -> float: ...
    def wait(self, wake: threading.Event, seconds: float) -> bool: ...
    def now_ms(self) -> int: ...
    def known_ms(self) -> int: ...
    def asked_time(self, end_s: float) -> int: ...
    def asked_order(self, order: Order, end_s: float) -> Order: ...
    def asked_open(self, end_s: float) -> list[Order]: ...
    def asked_ended(self, since_ms: int, end_s: float) -> list[Order]: ...
    def cancelled_again(self, order: Order, end_s: float) -> None: ...
    def end_order(self, order: Order) -> None: ...


class Watching(Protocol):
    """Who looks after new orders that are not there as far as anyone knows."""

    def add(self, venue: Asked, attempt: "Attempt") -> None: ...
    def leave(self, number: int) -> "Attempt | None": ...


class Attempt:
    """One request about one order: `order` is as it was asked for, then as it is known; `error` is
    why it was not done; `stage` is the last one told, None before it is sent."""

    __slots__ = (
        *("error", "flight", "horizon_ms", "is_own_id", "order"),
        *("since_ms", "stage", "verb", "watched"),
    )

    def __init__(self, verb: str, order: Order, flight: Flight, is_own_id: bool) -> None:
        self.verb = verb
        self.order = order
        self.is_own_id = is_own_id  # a new client order id, which nobody else can have
        self.flight = flight
        self.stage: Stage | None = None
        self.error: CoincallFastError | None = None
        self.horizon_ms = 0  # by the venue's clock: absence counts from then on
        self.since_ms = 0  # and it was not there before; not above 0 where nobody knows
        self.watched: Attempt | None = (
            None  # an earlier one of this id, which was on the watch list
        )

    @property
    def is_given_id(self) -> bool:
        """Whether it is a new order whose client order id its caller may have used before."""
        return self.verb == "place_order" and not self.is_own_id

    def begins(self, signed_ms: int) -> None:
        """It is signed at this time of the venue's, or later. An earlier one of its id, of which
        nobody knows either, may be what is seen of it."""
        self.since_ms = signed_ms - AHEAD_MS
        if self.watched is not None:
            self.since_ms = min(self.since_ms, self.watched.since_ms)

    def result(self) -> Order:
        """The order, or raises why there is none."""
        if self.error is not None:
            raise self.error
        return self.order


class Desk:
    """One product's writes about orders. Any thread may use it.

    tell: is told each step, where somebody wants to know. watch: is given new orders that are not
    there as far as anyone knows, until somebody places one of the same id again.
    """

    def __init__(
        self,
        venue: Asked,
        sightings: Sightings,
        tell: Callable[[Step], None],
        watch: Watching,
        pace: Pace | None = None,
    ) -> None:
        self._venue = venue
        self._sightings = sightings
        self._tell = tell
        self._watch = watch
        self.pace = PACE if pace is None else pace

    # ---------------------------------------------------------------- requests

    @contextlib.contextmanager
    def about(
        self, verb: str, orders: Iterable[Order], own: Container[int] = ()
    ) -> Iterator[list[Attempt]]:
        """Follows the requests about these orders, from before they leave until all is known.

        own: the client order ids that are new, and nobody else's.

        Within it each is `sent`, and then `taken` or `failed`. At its end the venue is asked about
        those that are unknown.
        """
        product = self._venue.product
        attempts = [
            Attempt(
                verb,
                order,
                self._sightings.follow(product, _key(order)),
                order.client_order_id in own,
            )
            for order in orders
        ]
        try:
            yield attempts
            unknown = [attempt for attempt in attempts if attempt.stage is Stage.UNKNOWN]
            if unknown:
                self._settle(unknown)
        except BaseException:  # an interrupt: what has left may be done, and nobody will ask now
            for attempt in attempts:
                if attempt.stage in (Stage.SENT, Stage.UNKNOWN):
                    self._give_up(attempt)
            raise
        finally:
            for attempt in attempts:
                self._sightings.leave(attempt.flight)

    def seen(self, attempt: Attempt) -> list[Order]:
        """What was seen of its order since it was sent, or since the last time."""
        return self._sightings.taken(attempt.flight)

    def sent(self, attempt: Attempt) -> None:
        """It is about to leave."""
        number = attempt.order.client_order_id
        if attempt.is_given_id and number is not None:
            attempt.watched = self._watch.leave(number)  # its caller counts on it again
            attempt.begins(self._venue.known_ms())
        self._step(Stage.SENT, attempt)

    def taken(self, attempt: Attempt, order: Order) -> None:
        """The venue has acknowledged it."""
        attempt.order = order
        self._step(Stage.TAKEN, attempt)

    def failed(self, attempt: Attempt, error: CoincallFastError, *, is_sure: bool = True) -> None:
        """It was refused or never left; or nobody knows, as the error says. If it is not `is_sure`,
        a new order is watched all the same."""
        is_twice = isinstance(error, DuplicateOrder) and attempt.is_own_id  # something repeated it
        if is_unknown(error) or is_twice:
            self.unknown(attempt, error)
            return
        attempt.error = _own(error, attempt.order)
        self._step(Stage.REFUSED, attempt, attempt.error)
        is_unread = isinstance(error, RateLimited) and error.is_sent  # as far as anyone knows
        if isinstance(error, DuplicateOrder) and not attempt.is_own_id:
            return  # the order that has the id is one that its caller has placed
        if is_unread or not is_sure:
            self._watched(attempt)
        elif attempt.watched is not None:
            self._watch.add(self._venue, attempt.watched)

    def unknown(self, attempt: Attempt, error: CoincallFastError) -> None:
        """Nobody knows; `error` is why."""
        attempt.error = _own(error, attempt.order)
        attempt.horizon_ms = self._horizon_ms(error)
        if attempt.is_given_id and error.signed_ms:
            attempt.begins(error.signed_ms)
        self._step(Stage.UNKNOWN, attempt, attempt.error)

    def heard(self, order: Order) -> Order:
        """The order, seen as it stands."""
        self._sightings.heard(order)
        return order

    def _step(self, stage: Stage, attempt: Attempt, error: CoincallFastError | None = None) -> None:
        attempt.stage = stage
        self._tell(Step(self._venue.product, attempt.verb, stage, attempt.order, error))

    def _horizon_ms(self, error: CoincallFastError) -> int:
        signed_ms = error.signed_ms or self._venue.now_ms()
        return signed_ms + self._venue.window_ms + self.pace.margin_ms

    def _watched(self, attempt: Attempt) -> None:
        attempt.watched = None  # this one is in its place
        attempt.horizon_ms = attempt.horizon_ms or self._horizon_ms(UsageError())
        if attempt.verb == "place_order":
            self._watch.add(self._venue, attempt)

    # ---------------------------------------------------------------- whose outcome is unknown

    def _settle(self, attempts: Sequence[Attempt]) -> None:
        """Asks until there is a verdict on each, or no more time for it."""
        venue, pace = self._venue, self.pace
        now_s, now_ms = venue.clock(), venue.now_ms()
        wake = threading.Event()
        cases: dict[Attempt, Resolution] = {}
        last_s = now_s
        for attempt in attempts:
            horizon_s = now_s + max(0.0, (attempt.horizon_ms - now_ms) / 1000)
            machine = _MACHINES[attempt.verb]
            cases[attempt] = machine(
                attempt.order, attempt.horizon_ms, horizon_s, now_s, pace, attempt.since_ms
            )
            if machine.proof:
                last_s = max(last_s, horizon_s)
            self._sightings.await_with(attempt.flight, wake)
        # A question about each takes its place in the rates.
        end_s = max(now_s + pace.total_s, last_s + pace.spare_s) + len(cases) * pace.each_s
        while cases:
            wake.clear()
            for attempt, case in cases.items():
                for order in self._sightings.taken(attempt.flight):
                    case.saw(order)
            now_s = venue.clock()
            due = [c for c in cases.values() if c.verdict is None and c.due_s <= now_s]
            if due and now_s < end_s and not self._sightings.is_closed:
                self._look(due)
            for attempt, case in list(cases.items()):
                if case.verdict is not None:
                    del cases[attempt]
                    self._found_out(attempt, case)
            if not cases:
                return
            next_s = min(case.due_s for case in cases.values())
            now_s = venue.clock()
            if now_s >= end_s or self._sightings.is_closed:
                break
            venue.wait(wake, max(0.0, min(next_s, end_s) - now_s))
        for attempt in cases:
            self._give_up(attempt)

    def _look(self, cases: Sequence[Resolution]) -> None:
        """One look: what several want to know is asked once."""
        wants = {case: case.begin(self._venue.clock()) for case in cases}
        wanted = {question for questions in wants.values() for question in questions}
        is_proof = Question.TIME in wanted or any(case.is_past for case in cases)
        if len(cases) > FEW and not is_proof:
            wanted = wanted - {Question.ORDER} | {Question.OPEN, Question.HISTORY}
        if Question.TIME in wanted:
            with _unanswered():
                venue_ms = self._venue.asked_time(self._soon_s())
                for case in cases:
                    case.time(venue_ms, self._venue.clock())
        for question in (Question.OPEN, Question.HISTORY):
            if question in wanted:
                with _unanswered():
                    self._listed(question, cases)
        for case, questions in wants.items():
            if Question.ORDER in questions and Question.ORDER in wanted:
                self._asked(case)
            if Question.AGAIN in questions and case.verdict is None:
                self._again(case)
            case.end(self._venue.clock())

    def _listed(self, question: Question, cases: Sequence[Resolution]) -> None:
        if question is Question.OPEN:
            rows = self._venue.asked_open(self._soon_s())
        else:
            since_ms = min(case.horizon_ms for case in cases) - SINCE_MS - self._venue.window_ms
            rows = self._venue.asked_ended(since_ms, self._soon_s())
        rows = rows[::-1]  # the newest last, which has its id now
        by_key = {("client_order_id", row.client_order_id): row for row in rows}
        by_key |= {("order_id", row.order_id): row for row in rows}
        for case in cases:
            order = by_key.get(_key(case.asked))
            if order is None:
                case.missed(question)
            else:
                case.saw(order, question)

    def _asked(self, case: Resolution) -> None:
        if case.verdict is not None:
            return
        with _unanswered():
            try:
                order = self._venue.asked_order(case.asked, self._soon_s())
            except OrderNotFound:
                case.missed(Question.ORDER)
            else:
                case.saw(order, Question.ORDER)

    def _again(self, case: Resolution) -> None:
        assert isinstance(case, Cancelling)
        with _unanswered():
            try:
                self._venue.cancelled_again(case.asked, self._soon_s())
            except VenueError as error:
                if error.code in GONE:
                    case.gone(KNOWN.get(error.code), self._venue.clock())
            else:
                case.taken()

    def _soon_s(self) -> float:
        return self._venue.clock() + self.pace.question_s

    def _found_out(self, attempt: Attempt, case: Resolution) -> None:
        error = attempt.error
        assert error is not None
        verdict, order = case.verdict, case.order
        if verdict is Verdict.NOT_DONE:
            error.is_inferred = True
            error.add_note("The venue has not done it, nor would it any more: it was asked for it.")
            is_new = attempt.verb == "place_order"
            self._step(Stage.ABSENT if is_new else Stage.REFUSED, attempt, error)
            self._watched(attempt)
            return
        if order is not None:
            attempt.order = order
        failure = self._failure(case, error)
        attempt.error = None if failure is None else _own(failure, attempt.order)
        stage = Stage.REFUSED if verdict is Verdict.ANOTHER else Stage.FOUND
        self._step(stage, attempt, attempt.error)

    def _failure(self, case: Resolution, error: CoincallFastError) -> VenueError | None:
        if case.verdict is Verdict.DONE:
            return None
        if case.verdict is Verdict.ANOTHER:
            return DuplicateOrder("another order has this client order id")
        ended = OrderNotFound(f"the order had ended; what the request did was unknown: {error}")
        ended.state = case.state
        return ended

    def _give_up(self, attempt: Attempt) -> None:
        """The venue could not be asked, or not for long enough."""
        error = attempt.error or UsageError("interrupted before there was an answer")
        attempt.error = AmbiguousOrderError(
            f"{attempt.verb} {_name(attempt.order)}: nobody knows whether it was done, nor did the "
            f"venue say so when it was asked; {error}",
            attempt.order,
            error,
        )
        self._watched(attempt)


@contextlib.contextmanager
def _unanswered() -> Iterator[None]:
    """What the venue does not answer is asked again in the next look."""
    try:
        yield
    except CoincallFastError as error:
        log.debug("asked what became of an order, in vain: %s", error)


def _key(order: Order) -> Key:
    """The id by which an order is followed."""
    name = "client_order_id" if order.order_id is None else "order_id"
    value: int | None = getattr(order, name)
    assert value is not None
    return name, value


def _name(order: Order) -> str:
    return " ".join(str(part) for part in (order.symbol, *_key(order)) if part is not None)


def _own(error: CoincallFastError, order: Order) -> CoincallFastError:
    """The error as that of this order: several may share a request, and so its failure."""
    mine = copy.copy(error)
    mine.client_order_id = order.client_order_id
    return mine

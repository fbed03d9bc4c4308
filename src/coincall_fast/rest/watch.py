"""The watch list: new orders that are not there as far as anyone knows, if they appear after all.

What appears is late: nobody counts on it any more. It is told, and cancelled until it has ended.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Final

from ..errors import AmbiguousOrderError, CoincallFastError, OrderNotFound
from ..message import Order
from ..steps import Stage, Step
from .inquiry import SINCE_MS, Asked, Attempt
from .outcomes import is_same
from .sightings import Sightings

__all__ = ["Watch"]

log = logging.getLogger("coincall_fast")

WATCHED_S: Final = 600.0  # how long an order is watched that the venue was asked about
CHECKS_S: Final = (1.0, 2.0, 5.0, 10.0, 20.0, 30.0)  # between looks; then always the last one
PROOFS: Final = 2  # looks that find nothing
QUESTION_S: Final = 5.0


class _Watched:
    """One order on the list."""

    __slots__ = ("attempt", "is_late", "is_unknown", "proofs", "until_s", "venue")

    def __init__(self, venue: Asked, attempt: Attempt, until_s: float) -> None:
        self.venue = venue
        self.attempt = attempt
        self.until_s = until_s
        self.is_unknown = isinstance(attempt.error, AmbiguousOrderError)
        self.is_late = False
        self.proofs = 0  # that one which is unknown is not there

    def is_of(self, order: Order) -> bool:
        """Whether a sighting can be of it."""
        return is_same(self.attempt.order, order, self.attempt.since_ms)


class Watch:
    """The list, and the thread that looks after it as long as it is not empty.

    Any thread may add, and may tell what it sees; only the watch's own asks the venue. tell: is
    told of late orders, and of the absence of those that nobody knew of. Without a thread, somebody
    else calls `turn`.
    """

    def __init__(
        self,
        sightings: Sightings,
        tell: Callable[[Step], None],
        clock: Callable[[], float] = time.monotonic,
        *,
        has_thread: bool = True,
    ) -> None:
        self._sightings = sightings
        self._tell = tell
        self._clock = clock
        self._has_thread = has_thread
        self._lock = threading.Lock()  # over what follows
        self._watched: dict[int, _Watched] = {}  # by client order id
        self._seen: deque[Order] = deque()
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None
        self._is_closing = False
        self._looks = 0
        self._due_s = 0.0
        sightings.late = self._note

    def add(self, venue: Asked, attempt: Attempt) -> None:
        """Watches for a new order from now on."""
        number = attempt.order.client_order_id
        assert number is not None
        with self._lock:
            now_s = self._clock()
            self._watched[number] = _Watched(venue, attempt, now_s + WATCHED_S)
            self._looks, self._due_s = 0, now_s + CHECKS_S[0]
            self._sightings.is_watching = True
            if self._is_closing or not self._has_thread:
                return
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(
                    target=self._run, name="coincall-fast watch", daemon=True
                )
                self._thread.start()
        self._wake.set()

    def leave(self, number: int) -> Attempt | None:
        """Watches for the order of this id no longer; what was on the list."""
        with self._lock:
            watched = self._watched.pop(number, None)
            self._sightings.is_watching = bool(self._watched)
        return None if watched is None else watched.attempt

    def _note(self, order: Order) -> None:
        """Somebody has seen an order."""
        if order.client_order_id in self._watched:
            self._seen.append(order)
            self._wake.set()

    def close(self, timeout_s: float) -> None:
        """Ends the thread, and tells what is left that nobody knows the outcome of."""
        with self._lock:
            self._is_closing = True
            left = [w.attempt.order for w in self._watched.values() if w.is_unknown or w.is_late]
            thread = self._thread  # which takes itself off when it ends
        self._wake.set()
        if thread is not None and thread is not threading.current_thread():
            thread.join(timeout_s)
        for order in left:
            log.warning("nobody looks any more for order %s", order.client_order_id)

    def _run(self) -> None:
        while True:
            with self._lock:
                if self._is_closing or not self._watched:
                    self._thread = None
                    return
                wait_s = self._due_s - self._clock()
            if wait_s > 0 and not self._seen:
                self._wake.wait(wait_s)
                self._wake.clear()
            self.turn()

    @property
    def next_s(self) -> float | None:
        """When it is time for a `turn`; None where nothing is watched."""
        with self._lock:
            return self._due_s if self._watched else None

    def turn(self) -> None:
        """Deals with what was seen, and looks where it is time to."""
        try:
            self._deal()
            if self._clock() >= self._due_s:
                self._look()
                self._deal()
        except CoincallFastError as error:
            log.warning("late orders could not be looked for: %s", error)
        except Exception:
            log.exception("looking for late orders")

    # ---------------------------------------------------------------- the watch's own thread

    def _deal(self) -> None:
        while self._seen:
            order = self._seen.popleft()
            watched = self._watched.get(order.client_order_id or 0)
            if watched is None or not watched.is_of(order):
                continue
            if not watched.is_late:
                watched.is_late = True
                watched.is_unknown = False
                step = Step(watched.venue.product, "place_order", Stage.LATE, order)
                log.warning(
                    "order %s of %s, which was not there, has appeared",
                    order.client_order_id,
                    order.symbol,
                )
                self._tell(step)
            if order.is_terminal:
                self.leave(order.client_order_id or 0)
            else:
                self._cancel(watched, order)

    def _cancel(self, watched: _Watched, order: Order) -> None:
        """Asks for its end. It is on the list until it is seen to have ended."""
        try:
            watched.venue.end_order(order)
        except OrderNotFound as error:
            if error.state is not None:
                self.leave(order.client_order_id or 0)
        except CoincallFastError as error:
            log.warning("a late order could not be cancelled: %s", error)

    def _look(self) -> None:
        """Asks the venue for the orders on the list."""
        now_s = self._clock()
        with self._lock:
            self._looks += 1
            self._due_s = now_s + CHECKS_S[min(self._looks, len(CHECKS_S) - 1)]
            watched = dict(self._watched)
        for venue in {one.venue for one in watched.values()}:
            mine = [one for one in watched.values() if one.venue is venue]
            try:
                self._look_at(venue, mine)
            except CoincallFastError as error:
                log.warning("late orders could not be looked for: %s", error)
        for number, one in watched.items():
            if self._clock() >= one.until_s and not (one.is_unknown or one.is_late):
                self.leave(number)

    def _look_at(self, venue: Asked, watched: list[_Watched]) -> None:
        """Whoever reads orders tells what is seen, and so does this thread."""
        venue_ms = venue.asked_time(self._clock() + QUESTION_S)
        since_ms = min(one.attempt.horizon_ms for one in watched) - SINCE_MS - venue.window_ms
        venue.asked_open(self._clock() + QUESTION_S)
        venue.asked_ended(since_ms, self._clock() + QUESTION_S)
        seen = {order.client_order_id for order in self._seen}
        for one in watched:
            number = one.attempt.order.client_order_id
            if number in seen or not (one.is_late or one.is_unknown):
                continue
            try:
                found = venue.asked_order(one.attempt.order, self._clock() + QUESTION_S)
                is_there = one.is_of(found)
            except OrderNotFound:
                is_there = False
            if not is_there:
                one.proofs += venue_ms > one.attempt.horizon_ms
            if one.is_unknown and one.proofs == PROOFS:
                one.is_unknown = False
                one.until_s = self._clock() + WATCHED_S
                step = Step(venue.product, "place_order", Stage.ABSENT, one.attempt.order)
                self._tell(step)

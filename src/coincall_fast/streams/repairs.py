"""Books that cannot go on from what they hold, and how long they have been waiting to."""

from collections import deque
from dataclasses import dataclass, field

from .dialect import SECOND_NS, Base

__all__ = ["Repair", "Want"]

FRESH_NS = 5 * SECOND_NS  # a whole book that was asked for has come by then
BASE_NS = 15 * SECOND_NS  # ... and one by REST, which has a deadline of its own
KEPT_FRAMES = 1000  # updates that wait for their base
FIRST_WAIT_NS = SECOND_NS // 4  # between two attempts at a base; twice as long each time
ATTEMPTS = 8


@dataclass(slots=True)
class Want:
    """A base that is to be fetched. Any thread may look whether it still is.

    `begun_ns` is when its turn came, 0 until then: it may have to wait behind others.
    """

    base: Base
    begun_ns: int = 0
    is_void: bool = False


@dataclass(slots=True)
class Repair:
    """One book's: since when it is not to be trusted, and what has come meanwhile.

    `want` is the base that is being fetched, None where the venue sends the whole book itself.
    `retry_ns` is when that is to be asked for again, 0 while it is under way.
    """

    since_ns: int
    asked_ns: int
    want: Want | None = None
    is_news: bool = True  # whether a book was lost by it, and not only late
    retry_ns: int = 0
    attempts: int = 0
    frames: deque[bytes] = field(default_factory=lambda: deque(maxlen=KEPT_FRAMES))

    def is_late(self, now_ns: int) -> bool:
        if self.attempts >= ATTEMPTS:
            return True
        if self.retry_ns:
            return False
        if self.want is None:
            return now_ns - self.asked_ns >= FRESH_NS
        return self.want.begun_ns > 0 and now_ns - self.want.begun_ns >= BASE_NS

    def give_up(self) -> None:
        """Nobody waits for the book any more."""
        if self.want is not None:
            self.want.is_void = True

    def wait(self, now_ns: int) -> None:
        """The last attempt was in vain."""
        self.retry_ns = now_ns + (FIRST_WAIT_NS << self.attempts)
        self.attempts += 1

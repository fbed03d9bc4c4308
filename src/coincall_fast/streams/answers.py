"""Which of our requests a venue's answer is to."""

from collections import deque

from .dialect import Dialect, Reply, Request

__all__ = ["Unanswered"]


class Unanswered:
    """The requests of one connection that have no answer yet, oldest first.

    An answer names the request's number, or what it was for, or neither. In the last case they are
    matched by order (Coincall: protocol page, section 3.1), and where such a venue answers nothing
    that succeeds, a book is answer enough.
    """

    KEPT = 1000

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect
        self._waiting: deque[Request] = deque()
        self._proven = 0  # the first so many of them, by books
        self.says_yes = False  # whether this connection answers what succeeds
        self.is_unproven = False  # whether there is one that a book may prove

    def clear(self) -> None:
        self._waiting.clear()
        self._proven = 0
        self.says_yes = self.is_unproven = False

    def sent(self, request: Request) -> None:
        if len(self._waiting) == self.KEPT:
            self._waiting.popleft()
            self._proven = max(0, self._proven - 1)
        self._waiting.append(request)
        self.is_unproven = True

    def proved(self, symbol: str) -> None:
        """A book has come. A list fails as a whole, so that one of it stands for all."""
        if self._proven < len(self._waiting):
            next_one = self._waiting[self._proven]
            self._proven += next_one.action == "subscribe" and symbol in next_one.symbols
        self.is_unproven = self._proven < len(self._waiting)

    def answer(self, reply: Reply) -> Request | None:
        """The request that a reply is to, which is not waiting any more."""
        if reply.number is None and reply.topics is None and not reply.ok and not self.says_yes:
            for _ in range(self._proven):  # an answer to what has not succeeded
                self._waiting.popleft()
            self._proven = 0
        for place, request in enumerate(self._waiting):
            if self._is_to(reply, request):
                del self._waiting[place]
                self._proven -= place < self._proven
                return request
        return None

    def _is_to(self, reply: Reply, request: Request) -> bool:
        if reply.number is not None:
            return request.number == reply.number
        if reply.data_type not in (None, request.data_type):
            return False
        if reply.topics is None:
            return True
        return reply.topics == self._dialect.topics(request)

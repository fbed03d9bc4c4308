"""What one iteration over a stream has not been given yet."""

import threading
from collections import deque

from .._book import OrderBook
from ..errors import TransportError
from ..message import Message

__all__ = ["Inbox", "Item"]

KEPT_MESSAGES = 10_000  # that an iteration may lag behind

Item = OrderBook | Message


class Inbox:
    """Items in order, each changed book once. One thread puts or several do, one takes."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._items: deque[Item] = deque()
        self._books: set[int] = set()  # of those that wait already
        self._has_ended = False

    def end(self) -> None:
        with self._changed:
            self._has_ended = True
            self._changed.notify_all()

    def orphan(self) -> None:
        self._changed = threading.Condition()
        self._has_ended = True

    def put(self, item: Item) -> None:
        with self._changed:
            if isinstance(item, OrderBook):
                if id(item) in self._books:
                    return
                self._books.add(id(item))
            if len(self._items) - len(self._books) <= KEPT_MESSAGES:  # one more tells the consumer
                self._items.append(item)
            self._changed.notify()

    def take(self) -> Item | None:
        """Waits for the next; None when it has ended and nothing is left."""
        with self._changed:
            while not self._items and not self._has_ended:
                # Not for ever: a signal handler that ends it here, before we wait, wakes nobody.
                self._changed.wait(0.25)
            behind = len(self._items) - len(self._books)
            if behind > KEPT_MESSAGES:
                raise TransportError(f"this consumer is more than {KEPT_MESSAGES} messages behind")
            if not self._items:
                return None
            item = self._items.popleft()
            self._books.discard(id(item))
            return item

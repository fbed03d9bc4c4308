"""Who is told what comes over a stream: callbacks, and the inboxes of iterations."""

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from .._book import OrderBook
from ..message import Message
from ..model import Channel
from .events import Event
from .inbox import Inbox, Item

__all__ = ["Listeners", "Names"]

log = logging.getLogger("coincall_fast")

Callback = Callable[..., object]


class Names(Protocol):
    """What a venue calls its channels."""

    book_types: frozenset[str]

    def names_of(self, message: Message) -> tuple[str, ...]: ...


class Listeners:
    """Told by the reading threads, each of which waits for the callbacks that it calls.

    Whoever adds one replaces a tuple, so that nobody who is calling need wait for the lock.
    """

    def __init__(self, names: Names) -> None:
        self.error: Exception | None = None  # the last one that was told
        self.is_closed = False  # nothing is called any more, but for the last state
        self._names = names
        self._callbacks: dict[str, tuple[Callback, ...]] = {}
        self._of_books: tuple[Callback, ...] = ()
        self._inboxes: tuple[Inbox, ...] = ()
        self._lock = threading.RLock()  # over the replacing of the three

    def add(self, event: str, callback: Callback) -> None:
        """Calls it after those that are there."""
        with self._lock:
            self._callbacks[event] = (*self._callbacks.get(event, ()), callback)
            if event == Channel.BOOK or event in self._names.book_types:
                self._of_books = (*self._of_books, callback)

    @contextmanager
    def inbox(self) -> Iterator[Inbox]:
        """One that gets everything as long as it is wanted."""
        wanted = Inbox()
        with self._lock:
            self._inboxes = (*self._inboxes, wanted)
        try:
            yield wanted
        finally:
            with self._lock:
                self._inboxes = tuple(inbox for inbox in self._inboxes if inbox is not wanted)

    @property
    def iterations(self) -> int:
        """How many are under way."""
        return len(self._inboxes)

    def end_iterations(self) -> None:
        for inbox in self._inboxes:
            inbox.end()

    def orphan(self) -> None:
        """In a child after a fork: nobody will tell anything any more."""
        self._lock = threading.RLock()  # the other may be held by a thread that is not here
        self.is_closed = True
        for inbox in self._inboxes:
            inbox.orphan()

    # ---------------------------------------------------------------- called by the reading threads

    def deliver(self, item: Item) -> None:
        """A book that has changed, or a message."""
        if type(item) is OrderBook:
            for callback in self._of_books:
                self._call(callback, Channel.BOOK, item)
        else:
            for name in self._names.names_of(item):
                self._call_all(name, item)
        for inbox in self._inboxes:
            inbox.put(item)

    def report(self, error: Exception) -> None:
        self.error = error
        if not self._callbacks.get("error"):
            log.warning("%s", error)
        self._call_all("error", error)

    def tell(self, event: Event) -> None:
        """What a session tells: an error, a book that was cleared, or what callbacks get as is."""
        if event.name == "error":
            self.report(*event.arguments)
        elif event.name == "cleared":
            for inbox in self._inboxes:
                inbox.put(*event.arguments)
        else:
            self._call_all(event.name, *event.arguments)

    def tell_state(self, state: str) -> None:
        for callback in self._callbacks.get("state", ()):
            self._call(callback, "state", state, even_closed=True)

    def _call_all(self, name: str, *arguments: Any) -> None:
        for callback in self._callbacks.get(name, ()):
            self._call(callback, name, *arguments)

    def _call(
        self, callback: Callback, name: str, *arguments: Any, even_closed: bool = False
    ) -> None:
        if self.is_closed and not even_closed:
            return
        try:
            callback(*arguments)
        except BaseException as error:  # SystemExit too: this is not the user's thread
            log.exception("a callback for %s raised", name)
            if name != "error" and isinstance(error, Exception):
                self.error = error
                self._call_all("error", error)

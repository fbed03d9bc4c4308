"""Calls whose answers nobody waits for: a few threads make them, and futures tell.

Three lanes, each with threads of its own, so that a cancellation waits neither behind a hundred
orders that wait for their place in the rate limits, nor behind a history. A lane takes its calls in
the order in which they were submitted. Calls about one order (the same `order_id` or
`client_order_id`) run one after the other, in that order, whichever lanes they are in.
"""

import atexit
import contextlib
import logging
import os
import queue
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from typing import Any, Final

from ..errors import UsageError

__all__ = ["Submitting"]

log = logging.getLogger("coincall_fast")

CANCELS, ORDERS, OTHERS = range(3)
THREADS: Final = {CANCELS: 2, ORDERS: 4, OTHERS: 2}
_ORDERS: Final = {"place_order", "place_orders", "modify_order", "modify_orders"}
_IDS: Final = ("client_order_id", "order_id")

Key = tuple[str, Any]


def _key_of(arguments: Mapping[str, Any]) -> Key | None:
    """Which order a call is about, where it says so."""
    for name in _IDS:
        order_id = arguments.get(name)
        if isinstance(order_id, int | str):
            return name, int(order_id) if str(order_id).isdecimal() else order_id
    return None


def lane_of(verb: str) -> int:
    """Which lane a verb such as "options.cancel_order" is in."""
    name = verb.rpartition(".")[2]
    return CANCELS if name.startswith("cancel") else ORDERS if name in _ORDERS else OTHERS


class Call:
    """One that has been submitted."""

    __slots__ = ("call", "arguments", "future", "key", "lane", "next", "verb")

    def __init__(
        self, verb: str, call: Callable[..., Any], arguments: Mapping[str, Any], key: Key | None
    ) -> None:
        self.verb = verb
        self.call = call
        self.arguments = arguments
        self.key = key
        self.lane = lane_of(verb)
        self.next: Call | None = None  # about the same order
        self.future: Future[Any] = Future()

    def run(self) -> None:
        if not self.future.set_running_or_notify_cancel():
            return
        try:
            result = self.call(**self.arguments)
            if isinstance(result, Iterator):  # a history: its pages are wanted, too
                result = list(result)
        except BaseException as error:  # the caller's, as everything is that his guard raises
            self.future.set_exception(error)
        else:
            self.future.set_result(result)

    def __repr__(self) -> str:
        return self.verb if self.key is None else f"{self.verb}({self.key[0]}={self.key[1]})"


class Submitting:
    """The threads, which begin with the first call. Any thread may submit, a reading one too.

    at_first: called once, by a thread of its own, before the first call.
    """

    def __init__(self, at_first: Callable[[], object] = lambda: None) -> None:
        self._at_first = at_first
        self._begin()

    def _begin(self) -> None:
        self._process = os.getpid()
        self._lanes: dict[int, queue.SimpleQueue[Call | None]] = {
            lane: queue.SimpleQueue() for lane in THREADS
        }
        self._last: dict[Key, Call] = {}  # about each order, of those that are not done
        self._running: set[Call] = set()
        self._threads: list[threading.Thread] = []
        self._locked = threading.Lock()  # over the two above, and the beginning and the end
        self._has_begun = self._is_closed = False

    def submit(self, verb: str, call: Callable[..., Any], arguments: dict[str, Any]) -> Future[Any]:
        """Has it called in its turn. Never waits."""
        if self._process != os.getpid():
            self._begin()  # in a child after a fork: the parent's calls are the parent's
        key = _key_of(arguments)
        made = Call(verb, call, arguments, key)
        with self._locked:
            if self._is_closed:
                raise UsageError("the client is closed")
            if key is not None:
                before, self._last[key] = self._last.get(key), made
                if before is not None:
                    before.next = made
                    return made.future
            self._lanes[made.lane].put(made)
            if not self._has_begun:
                self._has_begun = True
                self._start()
        return made.future

    def _start(self) -> None:
        """One thread is started here, and starts the others: that takes longer than a call."""
        atexit.register(self.close, 10.0)
        starter = threading.Thread(
            target=self._start_others, name="coincall-fast submits", daemon=True
        )
        self._threads.append(starter)
        starter.start()

    def _start_others(self) -> None:
        lanes = [lane for lane, count in THREADS.items() for _ in range(count)]
        with self._locked:
            if self._is_closed:
                return
            for lane in lanes:
                thread = threading.Thread(
                    target=self._work, args=(lane,), name="coincall-fast submits", daemon=True
                )
                self._threads.append(thread)
                thread.start()
        self._at_first()

    def _work(self, lane: int) -> None:
        calls = self._lanes[lane]
        while (made := calls.get()) is not None:
            with self._locked:
                self._running.add(made)
            made.run()
            with self._locked:
                self._running.discard(made)
                self._done(made)
            del made  # its future may have an error, whose frames have us

    def _done(self, made: Call) -> None:
        """What is about the same order has its turn."""
        if made.key is not None and self._last.get(made.key) is made:
            del self._last[made.key]
        if made.next is not None:
            self._lanes[made.next.lane].put(made.next)

    def close(self, wait_s: float) -> None:
        """Withdraws what has not had its turn (its futures raise UsageError), and waits so long for
        what has. Neither is silent: what is withdrawn, or not done by then, is logged."""
        atexit.unregister(self.close)
        if self._process != os.getpid():
            return
        with self._locked:
            self._is_closed = True
            withdrawn = list(self._queued())
            for lane, count in THREADS.items():
                for _ in range(count):
                    self._lanes[lane].put(None)
        if withdrawn:
            log.warning("closed before their turn, and not sent: %s", _names(withdrawn))
        for made in withdrawn:
            if made.future.set_running_or_notify_cancel():
                made.future.set_exception(
                    UsageError(f"{made} was not sent: the client was closed before its turn")
                )
        end_s = time.monotonic() + wait_s
        for thread in self._threads:
            if thread is not threading.current_thread():
                thread.join(max(0.0, end_s - time.monotonic()))
        with self._locked:
            left = list(self._running)
        if left:
            log.error("closed while nobody knows what became of: %s", _names(left))

    def _queued(self) -> Iterator[Call]:
        """What has not had its turn; afterwards it has none any more."""
        for calls in self._lanes.values():
            with contextlib.suppress(queue.Empty):
                while True:
                    yield from _from(calls.get_nowait())
        for made in self._running:
            yield from _from(made.next)
            made.next = None


def _from(made: Call | None) -> Iterator[Call]:
    """A call, and those about the same order that wait for it."""
    while made is not None:
        yield made
        made = made.next


def _names(calls: list[Call]) -> str:
    return ", ".join(repr(made) for made in calls)

"""`Deadman`: signs of life, from threads of its own, to whoever cancels all orders without them.

That is the venue (`countdown`), or a guard process on this machine (`guard_process`).
"""

import logging
import os
import queue
import threading
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import NamedTuple, Protocol

from ..errors import CoincallFastError, GuardLost, OrderRejected
from .calls import refuse_to_block
from .countdown import LAPSED, together

__all__ = ["Deadman", "Keeper", "Late"]

EXIT_S = 10.0
LATE = 0.5  # of the time between two beats: what comes later than that is told
AGAIN_S = 0.25  # after a beat that failed, at the most

log = logging.getLogger("coincall_fast")


class Late(NamedTuple):
    """A sign of life that came late, or not yet.

    ``of`` is "options", "futures" or "the guard process"; ``by_s`` how much later than it was due.
    ``error`` is why it has not been heard, None where it was heard after all. ``has_lapsed``: it
    was too late; all orders are cancelled, and new ones refused until `Deadman.set`.
    """

    of: str
    by_s: float
    error: CoincallFastError | None
    has_lapsed: bool


class Keeper(Protocol):
    """Who cancels where no sign of life comes. Deadlines are of `time.monotonic`."""

    keeper: str
    every_s: float

    def set(self, end_s: float | None = None) -> None: ...
    def beats(self) -> Mapping[str, Callable[[float], None]]: ...
    def release(self, end_s: float | None = None) -> None: ...
    def abandon(self) -> None: ...


class Deadman:
    """A dead-man's switch that is set, and is beaten every third of its time or more often.

    At the end of a `with`, all orders of both products are cancelled, unless it was made with
    `cancel_on_exit=False`, and the switch is taken back. Where they cannot be cancelled it is
    left to do its work, and OrdersRemain raised; with a guard process, this client then sends no
    orders any more. Whatever ends the program or the client before leaves it to its work as well.

    ``keeper`` is "venue" or "process". ``has_lapsed``: all orders have been or are being cancelled,
    and new ones are refused (OrderRejected, 10619) until it is `set` again.
    """

    def __init__(
        self,
        keeper: Keeper,
        symbols: tuple[str, ...],
        timeout_ms: int,
        cancel: Callable[[float], None],
        *,
        on_late: Callable[[Late], object] | None = None,
        cancel_on_exit: bool = True,
    ) -> None:
        self.symbols = symbols
        self.timeout_ms = timeout_ms
        self.has_lapsed = False
        self._keeper = keeper
        self._cancel = cancel
        self._on_late = on_late
        self._cancels_on_exit = cancel_on_exit
        self._process = os.getpid()
        self._ending = threading.Event()
        self.is_closed = False
        self._sets = 0
        self._told: queue.SimpleQueue[Late | None] = queue.SimpleQueue()
        self._threads = [
            threading.Thread(
                target=self._keep_beating, args=one, name="coincall-fast beats", daemon=True
            )
            for one in keeper.beats().items()
        ]
        for thread in self._threads:
            thread.start()
        # Callbacks have a thread of their own: what they do cannot keep a beat waiting.
        threading.Thread(target=self._tell, name="coincall-fast late", daemon=True).start()

    @property
    def keeper(self) -> str:
        return self._keeper.keeper

    @property
    def pid(self) -> int | None:
        """Of the guard process, where there is one."""
        return getattr(self._keeper, "pid", None)

    # ---------------------------------------------------------------- by hand

    def set(self) -> None:
        """Starts it again after it has lapsed. A guard process first cancels everything: raises
        OrderRejected (10619) where that takes too long."""
        refuse_to_block("set")
        self._sets += 1
        self._keeper.set()
        self.has_lapsed = False

    def beat(self) -> None:
        """One more sign of life. Raises OrderRejected (10619) where it has lapsed meanwhile."""
        refuse_to_block("beat")
        end_s = time.monotonic() + EXIT_S
        together(partial(self._heard, beat, end_s) for beat in self._keeper.beats().values())

    def close(self, *, cancel: bool | None = None, timeout: float = EXIT_S) -> None:
        """Cancels all orders, if it is to (`cancel`, else as it was made), and takes the switch
        back. Raises OrdersRemain after `timeout` seconds; then nothing is taken back."""
        if self.is_closed or self._process != os.getpid():  # a child after a fork has no say
            return
        refuse_to_block("close")
        self.is_closed = True
        if self._cancels_on_exit if cancel is None else cancel:
            try:
                self._cancel(timeout)
            except BaseException:
                self.abandon()
                raise
        self._end()
        end_s = time.monotonic() + EXIT_S
        for thread in self._threads:
            if thread is not threading.current_thread():
                thread.join(min(2 * self._keeper.every_s, max(0.0, end_s - time.monotonic())))
        self._keeper.release(end_s)

    def abandon(self) -> None:
        """Ends the beats: whoever waits for them cancels everything."""
        if self._process == os.getpid():
            self.is_closed = True
            self._end()
            self._keeper.abandon()

    def _end(self) -> None:
        self._ending.set()
        self._told.put(None)

    def __enter__(self) -> "Deadman":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Deadman {', '.join(self.symbols)}: {self.timeout_ms} ms, by the {self.keeper}>"

    # ---------------------------------------------------------------- the threads

    def _keep_beating(self, of: str, beat: Callable[[float], None]) -> None:
        """A thread each: where one of what is to be beaten hangs, the others go on."""
        every_s = self._keeper.every_s
        due_s = next_s = time.monotonic() + every_s
        told_s = 0.0
        while not self._ending.wait(max(0.0, next_s - time.monotonic())):
            error: CoincallFastError | None = None
            was_lapsed = self.has_lapsed
            try:
                self._heard(beat, time.monotonic() + every_s)
            except CoincallFastError as failure:
                error = failure
            except Exception as bug:  # whatever it is, the next beat must come
                log.exception("a sign of life to %s failed", of)
                error = CoincallFastError(f"{type(bug).__name__}: {bug}")
            now_s = time.monotonic()
            is_late = now_s - due_s > LATE * every_s or isinstance(error, GuardLost)
            has_lapsed = _has_lapsed(error)
            is_due = error is None or now_s >= told_s  # one that fails is told once in a while
            if (has_lapsed and not was_lapsed) or (is_late and is_due):
                told_s = now_s + every_s
                self._late(Late(of, now_s - due_s, error, has_lapsed))
            if error is None or has_lapsed:
                due_s = next_s = max(due_s + every_s, now_s)
            else:
                next_s = now_s + min(AGAIN_S, every_s / 4)

    def _heard(self, beat: Callable[[float], None], end_s: float) -> None:
        sets = self._sets
        try:
            beat(end_s)
        except OrderRejected as error:
            if _has_lapsed(error) and sets == self._sets:  # else it was set meanwhile
                self.has_lapsed = True
            raise

    def _late(self, late: Late) -> None:
        if self._ending.is_set():
            return
        why = "it was heard" if late.error is None else str(late.error)
        log.warning("a sign of life to %s is %.3f s late: %s", late.of, late.by_s, why)
        self._told.put(late)

    def _tell(self) -> None:
        while (late := self._told.get()) is not None:
            if self._on_late is not None:
                try:
                    self._on_late(late)
                except Exception:
                    log.exception("on_late failed")


def _has_lapsed(error: BaseException | None) -> bool:
    return isinstance(error, OrderRejected) and error.code == LAPSED

"""Client order ids: whole numbers below 2**53 that only grow, and never come twice.

An id is a millisecond of the epoch, which fits until 2039, two bits that say how it became unique,
and a count of ten. A clock alone does not do it: processes share it, and it goes back. So a process
takes milliseconds for itself, each above all that were taken before, which a file of one line
remembers under a lock. Whoever trades one account from several machines has one clock the more to
trust, and may give ids of his own instead.
"""

import logging
import os
import stat
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from random import SystemRandom

from ..errors import UsageError

__all__ = ["NEXT_ID", "ClientIds", "state_dirs"]

log = logging.getLogger("coincall_fast")

WAY_BITS, COUNT_BITS = 2, 10
MS_BITS = WAY_BITS + COUNT_BITS
END_MS = 1 << (53 - MS_BITS)
BY_CHANCE = 3  # the way of ids for which no file can be had; others count the places for a file
DIGITS = 20  # of the file's line, always: it is written over, never cut
LOCKED_S = 0.5  # for another process to give the file back, which it holds for microseconds


def state_dirs() -> list[Path]:
    """Where the file may be: where programs keep state, else where all can write."""
    if sys.platform == "win32":
        home = os.environ.get("LOCALAPPDATA") or str(Path("~/AppData/Local").expanduser())
        whose = os.environ.get("USERNAME", "user")
    else:
        home = os.environ.get("XDG_STATE_HOME") or str(Path("~/.local/state").expanduser())
        whose = str(os.getuid())
    return [
        Path(home) / "coincall-fast",
        Path(tempfile.gettempdir()) / f"coincall-fast-{whose}",
    ]


class ClientIds:
    """A source of ids for one process. Any thread may ask; a child after a fork begins anew.

    dirs: where to keep the file, the first one that can be written. Where none can, an id is the
    clock's and a random count: a warning says so, once. now_ms: the epoch's milliseconds.
    """

    def __init__(
        self,
        dirs: Callable[[], Sequence[Path]] = state_dirs,
        now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        self._dirs = dirs
        self._now_ms = now_ms
        self._warned = False
        self._begin()

    def _begin(self) -> None:
        self._process = os.getpid()
        self._lock = threading.Lock()
        self._next = self._end = 0

    def __call__(self) -> int:
        """The next id. Raises UsageError where the clock is beyond 2039."""
        if self._process != os.getpid():
            self._begin()
        with self._lock:
            if self._next >= self._end:
                self._next, self._end = self._range()
            number = self._next
            self._next += 1
        return number

    def _range(self) -> tuple[int, int]:
        """The next ids that no other process has."""
        last_ms = self._next >> MS_BITS
        clock_ms = max(self._now_ms(), last_ms + 1)  # within one process they grow, come what may
        for way, folder in enumerate(self._dirs()[:BY_CHANCE]):
            try:
                taken_ms = _taken(folder, clock_ms)
            except (OSError, ValueError) as error:
                reason = error
                continue
            first = _first(taken_ms, way)
            return first, first + (1 << COUNT_BITS)
        if not self._warned:
            self._warned = True
            log.warning("client order ids are unique by clock and chance only: %s", reason)
        first = _first(clock_ms, BY_CHANCE) + SystemRandom().randrange(1 << COUNT_BITS)
        return first, first + 1


def _first(ms: int, way: int) -> int:
    if ms >= END_MS:
        raise UsageError("this machine's clock is, or was, beyond 2039: no client order id")
    return ms << MS_BITS | way << COUNT_BITS


def _taken(folder: Path, clock_ms: int) -> int:
    """A millisecond that is this process's from now on: the clock's, or that after the last."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if sys.platform != "win32":
        found = folder.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
            raise ValueError("a directory of somebody else")
    flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOFOLLOW", 0)
    opened = os.open(folder / "client-order-ids", flags, 0o600)
    try:
        _lock(opened)
        line = os.read(opened, DIGITS)
        taken_ms = max(clock_ms, int(line) + 1 if line.isdigit() else 0)
        if taken_ms < END_MS:  # else a clock that is wrong for once would end all ids
            os.lseek(opened, 0, os.SEEK_SET)
            os.write(opened, b"%0*d\n" % (DIGITS, taken_ms))
            os.fsync(opened)  # a machine that loses power may wake up with an older clock
    finally:
        os.close(opened)  # which gives back the lock
    return taken_ms


def _lock(opened: int) -> None:
    end_s = time.monotonic() + LOCKED_S
    while True:
        try:
            if sys.platform == "win32":
                import msvcrt

                msvcrt.locking(opened, msvcrt.LK_NBLCK, 1)
            else:
                import fcntl

                fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except OSError:
            if time.monotonic() >= end_s:
                raise
            time.sleep(0.001)


# Of this process: clients share it.
NEXT_ID = ClientIds()

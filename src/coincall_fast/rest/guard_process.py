"""The trader's end of its guard process: starts it, renews the lease, notices when it is gone.

What the process does is in `guardian`, what the two say to each other in `lease`.
"""

import contextlib
import json
import logging
import math
import os
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ..errors import (
    AuthError,
    CoincallFastError,
    GuardLost,
    OrderRejected,
    TransportError,
    UsageError,
)
from ..lease import BEATS_MISSED, MODULE, PERIOD_S, Answer, Said, Word
from ..signing import Credentials
from .countdown import LAPSED

__all__ = ["GuardProcess"]

# `python -m` of it, but that it is found wherever this package was found.
_PROGRAM = f"import sys; sys.path.append(sys.argv[1]); from {MODULE} import main; sys.exit(main())"

START_S = 30.0  # for an interpreter that begins on a busy machine, and its first look at the venue
HUNG_S = 3.0  # without an answer: it is replaced
ASK_AGAIN_S = 0.1

log = logging.getLogger("coincall_fast")


class GuardProcess:
    """One after the other, as long as the trader lives: `beat` starts another where one is gone.

    settings: of the guard's own client. traded: where orders were placed so far. conditions: what
    has to hold whenever an order is sent; `check` is one of these until the guard is released.
    """

    keeper = "process"

    def __init__(
        self,
        settings: Mapping[str, Any],
        credentials: Credentials,
        timeout_ms: int,
        traded: Callable[[], frozenset[str]],
        conditions: list[Callable[[], None]],
    ) -> None:
        self.every_s = min(PERIOD_S, timeout_ms / 1000 / BEATS_MISSED)
        self._settings = {**settings, "period_s": self.every_s}
        self._credentials = credentials
        self._traded = traded
        self._conditions = conditions
        self._asking = threading.Lock()  # over beginnings, and one question at a time
        self._pipe: _Pipe | None = None
        self._is_first = True
        self._is_over = False
        self._until_s = math.inf  # we hold the lease, once there is one
        self._has_lapsed = False

    @property
    def pid(self) -> int | None:
        return None if self._pipe is None else self._pipe.process.pid

    def set(self, end_s: float | None = None) -> None:
        """Takes a lease; after one has lapsed, as soon as everything has been cancelled. Raises
        OrderRejected (10619) where that has not come to be by `end_s`."""
        end_s = time.monotonic() + START_S if end_s is None else end_s
        while (answer := self._ask(Word.SET, end_s)) is not Answer.HELD:
            if time.monotonic() + ASK_AGAIN_S >= end_s:
                raise OrderRejected(f"the guard process is {answer}: it still cancels", LAPSED)
            time.sleep(ASK_AGAIN_S)
        self._has_lapsed = False
        if self.check not in self._conditions:
            self._conditions.append(self.check)

    def beats(self) -> dict[str, Callable[[float], None]]:
        return {"the guard process": self._beat}

    def _beat(self, end_s: float) -> None:
        if self._ask(Word.BEAT, end_s) is Answer.LAPSED:
            self._has_lapsed = True
            self.check()

    def check(self) -> None:
        """Raises OrderRejected (10619) where the lease is not held."""
        if self._has_lapsed or time.monotonic() >= self._until_s:
            what = "the guard process has not heard of us in time, and cancels everything"
            raise OrderRejected(what, LAPSED)

    def release(self, end_s: float | None = None) -> None:
        """Ends the process, which cancels nothing. One that is cancelling may do so until `end_s`;
        then it goes on by itself, and orders stay refused."""
        end_s = time.monotonic() + START_S if end_s is None else end_s
        self._is_over = True
        pipe = self._pipe
        if pipe is not None:
            try:
                while self._ask(Word.RELEASE, end_s) is not Answer.RELEASED:
                    if time.monotonic() + ASK_AGAIN_S >= end_s:
                        self.abandon()
                        return
                    time.sleep(ASK_AGAIN_S)
                pipe.wait(end_s)
            except GuardLost as error:
                log.warning("%s", error)
                pipe.kill()  # if it is only slow, it would cancel
        if self.check in self._conditions:
            self._conditions.remove(self.check)
        self.abandon()

    def abandon(self) -> None:
        """Closes the pipe: the guard cancels everything, unless it was released."""
        self._is_over = True
        self._until_s = -math.inf
        pipe, self._pipe = self._pipe, None
        if pipe is not None:
            pipe.close()

    def _start(self) -> float:
        """Another process; returns how long it took. Where the lease had run out before, nobody
        knows what has become of the orders: it begins with cancelling them."""
        if self._is_over:
            raise GuardLost("the guard process has been given up")
        began_s = time.monotonic()
        try:
            pipe = _Pipe()
        except OSError as error:
            raise GuardLost(f"no guard process can be started: {error}") from None
        begins = {
            "is_first": self._is_first,
            "has_lapsed": self._has_lapsed or began_s >= self._until_s,
        }
        try:
            # Written in one go and kept in no name, for what a traceback might show.
            pipe.write(json.dumps({**self._settings, **begins, **self._credentials.revealed()}))
            pipe.ready(began_s + START_S)
        except BaseException:
            pipe.kill()
            raise
        self._pipe, self._is_first = pipe, False
        if self._is_over:  # meanwhile
            self.abandon()
        return time.monotonic() - began_s

    def _ask(self, word: Word, end_s: float) -> Answer:
        with self._asking:
            if self._pipe is None:
                end_s += self._start()
            pipe = self._pipe
            if pipe is None:
                raise GuardLost("the guard process has been given up")
            said_s = time.monotonic()
            try:
                answer = pipe.ask(word, said_s, self._traded(), end_s)
            except GuardLost:
                # It could wake up when another one has taken its place, and cancel.
                if pipe.has_ended or time.monotonic() >= pipe.unanswered_s + HUNG_S:
                    self._pipe = None
                    pipe.kill()
                raise
            if answer is Answer.HELD:
                self._until_s = said_s + BEATS_MISSED * self.every_s
            return answer


_pipes: "weakref.WeakSet[_Pipe]" = weakref.WeakSet()


class _Pipe:
    """One process, what it is told and what it answers."""

    def __init__(self) -> None:
        if not sys.executable:
            raise UsageError("a guard process needs an interpreter, and sys.executable is empty")
        self._heard = threading.Condition()
        self._number = 0
        self._answer: tuple[int, Answer | None] = (0, None)
        self._first = ""  # its first line, in which it says that it is ready, or why not
        self.has_ended = False
        self.unanswered_s = math.inf  # since when it owes an answer
        self.process = subprocess.Popen(
            # -P: no module of the working directory is taken for one of Python's.
            [sys.executable, "-P", "-c", _PROGRAM, str(Path(__file__).parents[2])],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
            start_new_session=True,  # Ctrl-C and a terminal's end are not for it
            creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
        )
        _pipes.add(self)
        # A guard that does not read must keep us from nothing. Windows has it since Python 3.12.
        with contextlib.suppress(AttributeError, OSError):
            os.set_blocking(self._words.fileno(), False)
        threading.Thread(target=self._listen, name="coincall-fast guard", daemon=True).start()

    @property
    def _words(self) -> Any:
        assert self.process.stdin is not None
        return self.process.stdin

    def write(self, line: str) -> None:
        """Raises GuardLost where nobody reads it."""
        try:
            written = self._words.write(line.encode() + b"\n")
        except (OSError, ValueError):
            written = None
        del line  # the first one has the keys, and tracebacks may show locals
        if not written:
            raise GuardLost("the guard process does not listen")

    def ready(self, end_s: float) -> None:
        """Waits until it guards; raises what kept it from that."""
        with self._heard:
            self._until(lambda: bool(self._first), end_s)
        if not self._first:
            what = "has ended" if self.has_ended else "took too long"
            raise GuardLost(f"the guard process {what} before it was ready")
        word, _, why = self._first.partition(" ")
        if word != "ready":
            kind, _, text = why.partition(" ")
            known: dict[str, type[CoincallFastError]] = {"AuthError": AuthError}
            raise known.get(kind, TransportError)(f"the guard process: {text or kind}")

    def ask(self, word: Word, said_s: float, traded: frozenset[str], end_s: float) -> Answer:
        """What it answers. Raises GuardLost where it does not until then."""
        self._number += 1
        number = self._number
        self.unanswered_s = min(self.unanswered_s, said_s)
        self.write(Said(word, number, said_s, traded).line())
        with self._heard:
            self._until(lambda: self._answer[0] >= number, end_s)
            answered, answer = self._answer
        if answered != number or answer is None:
            what = "has ended" if self.has_ended else "does not answer"
            raise GuardLost(f"the guard process {what}")
        return answer

    def _until(self, is_so: Callable[[], bool], end_s: float) -> None:
        left_s = max(0.0, end_s - time.monotonic())
        self._heard.wait_for(lambda: is_so() or self.has_ended, left_s)

    def _listen(self) -> None:
        """Its answers as they come, to its end, which is waited for: it leaves no zombie."""
        process = self.process
        assert process.stdout is not None
        with process.stdout as answers:
            for line in iter(answers.readline, b""):
                text = line.decode(errors="replace").strip()
                with self._heard:
                    self.unanswered_s = math.inf
                    if not self._first:
                        self._first = text
                    else:
                        number, _, answer = text.partition(" ")
                        self._answer = int(number), Answer(answer)
                    self._heard.notify_all()
        process.wait()
        with self._heard:
            self.has_ended = True
            self._heard.notify_all()

    def wait(self, end_s: float) -> None:
        """For its end."""
        with self._heard:
            self._until(lambda: False, end_s)

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._words.close()

    def kill(self) -> None:
        self.close()
        with contextlib.suppress(OSError):
            self.process.kill()

    def forget(self) -> None:
        """In the child of a fork: the pipe has to end with the trader, whoever lives on."""
        self.close()
        if self.process.stdout is not None:
            with contextlib.suppress(OSError):
                self.process.stdout.close()
        self.process.returncode = 0  # it is nobody's child here


def _forget_all() -> None:
    for pipe in tuple(_pipes):
        pipe.forget()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_all)

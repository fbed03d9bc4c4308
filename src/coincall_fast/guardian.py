"""The guard process of a trader, which `Client.deadman` starts (`rest.guard_process`).

It outlives the trader, to cancel everything on both products once that has died or hung, again and
again until nothing is open any more. It has a session, connection and clock of its own, hears of
the trader by a pipe (see `lease`), and gets the keys by it too, which so stand in no list of
processes. It ends with the trader: Ctrl-C, a hang-up or SIGTERM, which may be meant for both, end
neither it nor its work.
"""

import contextlib
import json
import logging
import os
import random
import signal
import sys
import threading
import time
from collections.abc import Iterable
from typing import Any

from .backoff import Backoff
from .errors import CoincallFastError
from .lease import Lease, Said
from .rest.client import Client
from .rest.exchange import Timeout

__all__ = ["main"]

CLOCK_S = 60.0  # between two looks at the venue's clock
ROUND_S = 5.0  # of one attempt to cancel everything
PAUSE_S = 0.5  # between two of them that succeed
MARGIN_S = 1.0  # on top of the time for which the venue takes a trader's last order
STARVED_S = 0.25  # who wakes up later than that has not had the chance to hear
DEAF_TO = ("SIGINT", "SIGHUP", "SIGTERM", "SIGTSTP", "SIGBREAK")

log = logging.getLogger("coincall_fast")


class _Urgent(Backoff):
    LONGEST_S = 2.0


class Guard:
    """Guard(client, lease, settle_s): watches one lease. `listen` on one thread, `run` on another.

    settle_s: how long after the last sign of life an order of the trader's may still come to be.
    """

    def __init__(self, client: Client, lease: Lease, settle_s: float) -> None:
        self._client = client
        self._lease = lease
        self._settle_s = settle_s
        self._changed = threading.Condition()  # over the lease and what was traded
        self._traded: frozenset[str] = frozenset()

    def listen(self, lines: Iterable[bytes]) -> None:
        """Hears and answers the trader, to its end."""
        for line in lines:
            try:
                said = Said.parse(line.decode())
            except ValueError:
                log.error("what the trader says is not understood")
                continue
            with self._changed:
                self._traded |= said.traded
                answer = self._lease.hear(said)
                self._changed.notify()
            _say(f"{said.number} {answer}")
        with self._changed:
            self._lease.end()
            self._changed.notify()

    def run(self) -> None:
        """Returns once the lease is released, or the trader is gone and so are its orders."""
        while self._wait():
            self._clear()
        log.info("the guard process ends")

    def _wait(self) -> bool:
        """Until there is something to do; False where there never will be."""
        lease = self._lease
        is_excused = False
        with self._changed:
            while lease.is_clean and not (lease.is_released or lease.is_orphan):
                late_s = time.monotonic() - lease.due_s
                if lease.has_lapsed:  # and all is cancelled: it is for the trader to speak
                    self._changed.wait()
                elif late_s < 0:
                    is_excused = False
                    self._changed.wait(-late_s)
                elif late_s > STARVED_S and not is_excused:
                    is_excused = True
                    self._changed.wait(STARVED_S)
                else:
                    lease.look(time.monotonic())
            return not lease.is_clean

    def _clear(self) -> None:
        """Cancels everything until nothing is open any more, and nothing can come any more."""
        self._tell_why()
        backoff = _Urgent()
        cleanings, since_s = -1, 0.0
        while True:
            with self._changed:
                if cleanings != self._lease.cleanings:
                    cleanings, since_s = self._lease.cleanings, time.monotonic()
                self._remember()
            try:
                self._client.cancel_everything(ROUND_S)
            except CoincallFastError as error:
                log.error("not all is cancelled yet: %s", error)
                time.sleep(backoff.next_s(random.random()))
                continue
            if time.monotonic() >= since_s + self._settle_s:
                break
            time.sleep(PAUSE_S)
        log.warning("no order is open any more")
        with self._changed:
            self._lease.cleaned(cleanings)

    def _remember(self) -> None:
        """Where the trader has placed orders is cancelled, whatever lists say."""
        for market in (self._client.options, self._client.futures):
            own = f"{market.product}:"
            market.traded |= {one.removeprefix(own) for one in self._traded if one.startswith(own)}

    def _tell_why(self) -> None:
        why = "has ended" if self._lease.is_orphan else "gives no sign of life"
        log.warning("the trader %s: everything is cancelled", why)


def main() -> int:
    """Runs until the trader has released its lease, or is gone and nothing is open any more."""
    for name in DEAF_TO:
        with contextlib.suppress(AttributeError, OSError):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    # Unbuffered: an interpreter that ends must find no lock held by a thread that still reads.
    with open(0, "rb", buffering=0, closefd=False) as pipe:
        lines = iter(pipe.readline, b"")
        try:
            told: dict[str, Any] = json.loads(next(lines, b""))
        except ValueError:
            print("a guard process is started by Client.deadman", file=sys.stderr)
            return 2
        _log_to(told.pop("log_path"))
        try:
            return _guard(told, lines)
        except CoincallFastError as error:
            log.error("no guard process: %s", error)
            _say(f"failed {type(error).__name__} {error}")
            return 1


def _guard(told: dict[str, Any], lines: Iterable[bytes]) -> int:
    period_s, is_first = told.pop("period_s"), told.pop("is_first")
    has_lapsed = told.pop("has_lapsed")
    settle_s = told["order_window_ms"] / 1000 + MARGIN_S
    told["timeout"] = Timeout(*told["timeout"])
    with Client(**told) as client:
        told.clear()  # of the keys
        try:
            client.sync_clock(every_s=CLOCK_S)
            client.warm()
            for market in (client.options, client.futures):
                market.open_orders()
        except CoincallFastError as error:
            if is_first:  # else there are orders to be guarded, as well as may be
                raise
            log.warning("the guard process begins in the dark: %s", error)
        lease = Lease(period_s, time.monotonic(), has_lapsed=has_lapsed)
        guard = Guard(client, lease, settle_s)
        _say("ready")
        threading.Thread(target=guard.listen, args=(lines,), daemon=True).start()
        guard.run()
    return 0


def _log_to(path: str | None) -> None:
    logging.raiseExceptions = False  # a terminal that is gone is no news
    logging.basicConfig(
        filename=path, format="%(asctime)s coincall-fast guard %(process)d: %(message)s"
    )
    log.setLevel(logging.WARNING if path is None else logging.INFO)


def _say(text: str) -> None:
    with contextlib.suppress(OSError):  # a trader that is gone hears nothing
        os.write(1, f"{text}\n".encode())

"""What streams need from REST, fetched on threads of its own: no frame waits for it."""

import threading
import time
from collections import deque
from typing import Any, Protocol

from ..errors import CoincallFastError, TransportError, Unavailable
from ..rest.exchange import Place, Timeout
from ..rest.http import Http
from ..signing import Hidden
from .repairs import Want

__all__ = ["Fetcher"]

AT_ONCE = 4  # so that one that hangs holds up no other
PACE_S = 0.05  # between two: a venue takes only so many in a time
LIMITS = Timeout(connect_s=3.0, read_s=5.0, total_s=10.0)  # less than a session waits
OK = 200


class Asker(Protocol):
    """Who is told what came, on whichever thread."""

    def ask(self, method: str, *arguments: Any) -> None: ...


class Fetcher:
    """Fetches what is wanted in the order asked for, as long as there is something to fetch."""

    def __init__(self, rest_url: str, venue: str) -> None:
        self._http = Http(Place.parse(rest_url), LIMITS)
        self._venue = venue
        self._lock = threading.Lock()
        self._wanted: deque[tuple[Want, Asker]] = deque()
        self._running = 0  # threads, each of which is busy
        self._next_s = 0.0  # when the next may be asked for
        self._closing = threading.Event()

    def fetch(self, want: Want, asker: Asker) -> None:
        """Has `asker` call "fetching" when its turn comes, and then "rebase" with what came, or
        "no_base" with why nothing did. What has become void meanwhile is not asked for."""
        with self._lock:
            self._wanted.append((want, asker))
            if self._running < AT_ONCE:
                self._running += 1
                run = threading.Thread(target=self._run, name="coincall-fast bases", daemon=True)
                run.start()

    def close(self) -> None:
        self._closing.set()
        self._http.close()

    def orphan(self) -> None:
        """In a child after a fork, where the threads are not."""
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._closing.set()

    def _run(self) -> None:
        while (taken := self._take()) is not None:
            want, asker, wait_s = taken
            if self._closing.wait(wait_s) or want.is_void:
                continue
            asker.ask("fetching", want)
            self._fetch_one(want, asker)

    def _take(self) -> tuple[Want, Asker, float] | None:
        """The next one, and how long it has to wait; None where nothing is left."""
        with self._lock:
            while self._wanted and not self._closing.is_set():
                want, asker = self._wanted.popleft()
                if want.is_void:
                    continue
                now_s = time.monotonic()
                wait_s = max(0.0, self._next_s - now_s)
                self._next_s = now_s + wait_s + PACE_S
                return want, asker, wait_s
            self._running -= 1
            return None

    def _fetch_one(self, want: Want, asker: Asker) -> None:
        what = f"the base of {want.base.symbol}"
        try:
            end_s = time.monotonic() + LIMITS.total_s
            answer = self._http.send("GET", want.base.target, Hidden(), None, end_s)
            if answer.status != OK:
                raise Unavailable(f"{what}: HTTP {answer.status}", venue=self._venue)
        except CoincallFastError as error:
            asker.ask("no_base", want, error)
        except Exception as error:  # whatever it is, the book is not there
            asker.ask("no_base", want, TransportError(f"{what}: {error}"))
        else:
            asker.ask("rebase", want, answer.body, time.time_ns() // 1_000_000)

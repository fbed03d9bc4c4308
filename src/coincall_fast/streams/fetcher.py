"""What streams need from REST, fetched on a thread of its own: no frame waits for it."""

import queue
import threading
import time
from typing import Any, Protocol

from ..errors import CoincallFastError, TransportError, Unavailable
from ..rest.exchange import Place, Timeout
from ..rest.http import Http
from ..signing import Hidden
from .repairs import Want

__all__ = ["Fetcher"]

LIMITS = Timeout(connect_s=3.0, read_s=5.0, total_s=10.0)  # less than a session waits
OK = 200


class Asker(Protocol):
    """Who is told what came, on whichever thread."""

    def ask(self, method: str, *arguments: Any) -> None: ...


class Fetcher:
    """Fetches one thing after the other, as long as there is something to fetch."""

    def __init__(self, rest_url: str, venue: str) -> None:
        self._http = Http(Place.parse(rest_url), LIMITS)
        self._venue = venue
        self._wanted: queue.SimpleQueue[tuple[Want, Asker]] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._left = 0
        self._is_closed = False

    def fetch(self, want: Want, asker: Asker) -> None:
        """Has `asker` call "rebase" with what came, or "no_base" with why nothing did."""
        with self._lock:
            self._wanted.put((want, asker))
            self._left += 1
            if self._left == 1:
                run = threading.Thread(target=self._run, name="coincall-fast bases", daemon=True)
                run.start()

    def close(self) -> None:
        self._is_closed = True
        self._http.close()

    def orphan(self) -> None:
        """In a child after a fork, where the thread is not."""
        self._lock = threading.Lock()
        self._is_closed = True

    def _run(self) -> None:
        while True:
            want, asker = self._wanted.get()
            if not self._is_closed:
                self._fetch_one(want, asker)
            with self._lock:
                self._left -= 1
                if not self._left:
                    return

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

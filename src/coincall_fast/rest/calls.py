"""Signed requests within a venue's limits: the time and the threads around request and answer.

A request waits for its place in the rate limits, is signed last with the venue's time, and sent:
what is urgent in one way, all else in another. The first signed one asks for that time before, in
one round trip; while that fails, the machine's own clock has to do. Reads are repeated, with
growing and jittered waits, until a deadline; writes never are, but for the one case where the venue
has refused the timestamp and so the request.
"""

import contextlib
import logging
import math
import random
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ..backoff import Backoff
from ..errors import (
    ClockError,
    CoincallFastError,
    DecodeError,
    RateLimited,
    TransportError,
    Unavailable,
    UsageError,
)
from ..reading import is_reading
from ..signing import Credentials, Hidden
from .clock import Offset, RoundTrip, estimate
from .exchange import Way
from .rates import Rate, Slot, Windows
from .request import Answer, Endpoint, Request, build

__all__ = ["Rest", "refuse_to_block"]

log = logging.getLogger("coincall_fast")

ATTEMPTS = 4  # of a read
ROUND_TRIPS = 5
ASK_AGAIN_S = 3.0  # for the time, as long as it is not known
LEAST_S = 0.001  # a wait for less is none

RETRIED = (TransportError, Unavailable, RateLimited, DecodeError)


def refuse_to_block(name: str) -> None:
    """Raises UsageError on a thread that reads a stream."""
    if is_reading():
        raise UsageError(
            f"{name} would wait for the venue on a thread that reads a stream: "
            "call it with client.submit, and do not wait for its result here"
        )


class Rest:
    """Calls of one venue's endpoints by their names in its table. Any thread may call, but for one
    that reads a stream: frames would wait for the answer.

    ordinary, urgent: how requests go there; writes and what the table says are urgent.
    read: makes the endpoint's value, or raises its error, of a request's answer; what it is given
    last takes secrets out of a text of the venue's. endpoints: "time" is among them.
    rates: the limits, by class. rate_wait_s: how long a request may wait for its place, before
    RateLimited is raised. total_s: over all of a call. window_ms, order_window_ms: how old a read
    or a write may be when the venue has it.
    """

    def __init__(
        self,
        ordinary: Way,
        urgent: Way,
        endpoints: Mapping[str, Endpoint],
        read: Callable[[Request, Answer, Callable[[str], str]], Any],
        credentials: Credentials | None,
        *,
        rates: Mapping[str, Rate],
        rate_wait_s: float,
        total_s: float,
        window_ms: int,
        order_window_ms: int,
    ) -> None:
        self._ordinary = ordinary
        self._urgent = urgent
        self.credentials = credentials
        self.hide: Callable[[str], str] = str if credentials is None else credentials.hide
        self._endpoints = endpoints
        self._read = read
        self._windows = Windows(rates)
        self._locked = threading.Lock()  # over the windows
        self._rate_wait_s = rate_wait_s
        self._total_s = total_s
        self._window_ms = window_ms
        self._order_window_ms = order_window_ms
        self._offset: Offset | None = None  # to be added to time.monotonic, in milliseconds
        self._syncing = threading.Lock()
        self._synced = 0
        self._ask_s = -math.inf  # when the venue's time is wanted before we sign
        self._keeper: threading.Thread | None = None
        # Each raises where no order may be sent now: asked at the last moment, behind all waits.
        self.conditions: list[Callable[[], None]] = []
        self._closing = threading.Event()

    @property
    def total_s(self) -> float:
        """How long a call may take, unless it is told otherwise."""
        return self._total_s

    @property
    def order_window_ms(self) -> int:
        """How old a write may be when the venue has it."""
        return self._order_window_ms

    def clock(self) -> float:
        """The clock of every `end_s`."""
        return time.monotonic()

    def wait(self, wake: threading.Event, seconds: float) -> bool:
        """Waits for an event; whether it came."""
        return wake.wait(seconds)

    def pause(self, seconds: float) -> None:
        """Waits, until `close` at the longest."""
        self._closing.wait(seconds)

    def shut(self, name: str, wait_s: float | None) -> None:
        """The venue says that this endpoint was asked too often, in a part of an answer."""
        rate = self._endpoints[name].rate
        if rate:
            with self._locked:
                self._windows.shut(rate, time.monotonic(), wait_s)

    def call(self, name: str, arguments: Mapping[str, Any], end_s: float | None = None) -> Any:
        """What the endpoint gives for these arguments.

        end_s: when to give up, by `time.monotonic()`; without it after `total_s`.
        """
        refuse_to_block(name)
        request = build(self._endpoints[name], arguments)
        if self._closing.is_set():
            raise UsageError("the client is closed")
        if request.endpoint.is_signed and self.credentials is None:
            raise UsageError(
                f"{request.name} is signed: give api_key and api_secret, "
                "or set COINCALL_API_KEY and COINCALL_API_SECRET"
            )
        own_s = time.monotonic() + self._total_s
        end_s = own_s if end_s is None else min(own_s, end_s)
        if request.endpoint.is_write:
            return self._in_time(request, end_s)
        backoff = Backoff()
        failure: CoincallFastError | None = None
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return self._in_time(request, end_s)
            except RETRIED as error:
                if isinstance(error, RateLimited) and not error.is_sent:
                    failure = failure or error  # why there had to be one more attempt says more
                    break
                failure = error
            wait_s = backoff.next_s(random.random())
            if isinstance(failure, RateLimited):
                wait_s = max(wait_s, failure.wait_s or 0.0)
            if attempt == ATTEMPTS or time.monotonic() + wait_s >= end_s:
                break
            if self._closing.wait(wait_s):
                break
        assert failure is not None
        raise failure

    def _in_time(self, request: Request, end_s: float) -> Any:
        """One attempt; where the venue refused the timestamp, a second one with the clock set."""
        if request.endpoint.is_signed and self._wants_time():
            self._sync_first(end_s)
        synced = self._synced
        try:
            return self._attempt(request, end_s)
        except ClockError as error:
            failure = error
        with contextlib.suppress(CoincallFastError):
            self._sync_since(synced, end_s)
        if self._synced == synced:
            raise failure
        return self._attempt(request, end_s)

    def _attempt(self, request: Request, end_s: float) -> Any:
        slot = self._admitted(request, end_s)
        is_sent = True
        signed_ms = self.now_ms()
        try:
            try:
                for condition in self.conditions if request.endpoint.rate == "place" else ():
                    condition()
                answer = self._sent(request, signed_ms, end_s)
            except TransportError as error:
                is_sent = error.is_sent
                raise
            finally:
                self._answered(slot, is_sent)
            return self._read(request, answer, self.hide)
        except CoincallFastError as error:
            error.signed_ms = signed_ms
            if isinstance(error, RateLimited) and slot is not None:
                with self._locked:
                    self._windows.shut(request.endpoint.rate, time.monotonic(), error.wait_s)
            raise

    def _sent(self, request: Request, signed_ms: int, end_s: float) -> Answer:
        endpoint = request.endpoint
        headers = Hidden()
        if endpoint.is_signed and self.credentials is not None:
            window_ms = self._order_window_ms if endpoint.is_write else self._window_ms
            headers = self.credentials.rest_headers(
                endpoint.method, request.path, request.shown, signed_ms, window_ms
            )
        if endpoint.encoding:
            headers["Content-Type"] = endpoint.encoding
        way = self._way(endpoint)
        answer = way.send(endpoint.method, request.target, headers, request.body, end_s)
        if self.credentials is None:
            return answer
        # Some venues repeat what they refuse; then it would be among the locals of a traceback.
        return answer._replace(body=self.credentials.hidden(answer.body, headers))

    def warm(self, connections: int) -> None:
        """Has so many urgent connections stand until `close`, and the venue's time known."""
        refuse_to_block("warm")
        end_s = time.monotonic() + self._total_s
        if self.credentials is not None and self._wants_time():
            self._sync_first(end_s)
        self._urgent.warm(connections, build(self._endpoints["time"], {}).target, end_s)

    def _way(self, endpoint: Endpoint) -> Way:
        return self._urgent if endpoint.is_write or endpoint.is_urgent else self._ordinary

    # ---------------------------------------------------------------- rates

    def _admitted(self, request: Request, end_s: float) -> Slot | None:
        """Waits for a place in the window of its class; None where it has no class."""
        rate = request.endpoint.rate
        if not rate:
            return None
        limit_s = min(time.monotonic() + self._rate_wait_s, end_s)
        while True:
            with self._locked:
                now_s = time.monotonic()
                wait_s = self._windows.wait_s(rate, now_s)
                if not wait_s:
                    return self._windows.take(rate)
            if now_s + wait_s > limit_s:
                break
            if self._closing.wait(max(wait_s, LEAST_S)):
                raise UsageError("the client is closed")
        error = RateLimited(
            f"held back: {rate} has had its requests for the next {wait_s:.1f} s",
            endpoint=request.name,
        )
        error.wait_s, error.is_sent = wait_s, False
        raise error

    def _answered(self, slot: Slot | None, is_sent: bool) -> None:
        if slot is not None:
            with self._locked:
                if is_sent:
                    self._windows.done(slot, time.monotonic())
                else:
                    self._windows.withdraw(slot)

    # ---------------------------------------------------------------- the clock

    def now_ms(self) -> int:
        """The venue's time as far as we know it; our own where it could not be asked."""
        if self._offset is None:
            return time.time_ns() // 1_000_000
        return self._offset.timestamp(time.monotonic() * 1000)

    def known_ms(self) -> int:
        """The venue's time; 0 where it has not been heard yet."""
        return 0 if self._offset is None else self.now_ms()

    def sync(self) -> float:
        """Asks the venue for its time; returns how far it is ahead of this machine's clock, ms."""
        refuse_to_block("time")
        self._sync_since(self._synced, time.monotonic() + self._total_s)
        offset = self._offset
        assert offset is not None
        return offset.likely_ms - (time.time() - time.monotonic()) * 1000

    def _sync_since(self, synced: int, end_s: float) -> None:
        """Synchronises, unless another thread has done so since."""
        with self._only_one(end_s) as is_free:
            if not is_free:
                raise TransportError("the venue's time was not heard: another thread still asks")
            if self._synced == synced:
                self._synchronise(end_s, ROUND_TRIPS)

    def _wants_time(self) -> bool:
        return time.monotonic() >= self._ask_s

    def _sync_first(self, end_s: float) -> None:
        """Asks for the time before anything is signed; threads wait for the first of them.

        It takes a quarter of what is left at the most. Where it fails, our own clock must do until
        it is asked again.
        """
        now_s = time.monotonic()
        end_s = now_s + max(0.0, end_s - now_s) / 4
        with self._only_one(end_s) as is_free:
            if is_free and self._wants_time():
                with contextlib.suppress(CoincallFastError):
                    self._synchronise(end_s, 1)
                if self._offset is None:
                    self._ask_s = time.monotonic() + ASK_AGAIN_S

    @contextlib.contextmanager
    def _only_one(self, end_s: float) -> Iterator[bool]:
        """Whether this thread is the one that synchronises, which it waits for until then."""
        is_free = self._syncing.acquire(timeout=max(0.0, end_s - time.monotonic()))
        try:
            yield is_free
        finally:
            if is_free:
                self._syncing.release()

    def _synchronise(self, end_s: float, round_trips: int) -> None:
        trips: list[RoundTrip] = []
        failure: CoincallFastError | None = None
        for _ in range(round_trips):
            try:
                trips.append(self._round_trip(end_s))
            except RETRIED as error:
                failure = error
        if failure is not None and not trips:
            raise failure
        self._offset = estimate(trips)
        self._ask_s = math.inf
        self._synced += 1

    def _round_trip(self, end_s: float) -> RoundTrip:
        request = build(self._endpoints["time"], {})
        sent_s = time.monotonic()
        answer = self._sent(request, self.now_ms(), end_s)
        answered_s = time.monotonic()
        time_ms = self._read(request, answer, self.hide)
        return RoundTrip(sent_s * 1000, answered_s * 1000, time_ms)

    def keep_clock(self, every_s: float) -> None:
        """Synchronises every so often, from a thread of its own, until `close`."""
        if self._keeper is None:
            self._keeper = threading.Thread(
                target=self._keep_clock, args=(every_s,), name="coincall-fast clock", daemon=True
            )
            self._keeper.start()

    def _keep_clock(self, every_s: float) -> None:
        while not self._closing.wait(every_s):
            try:
                self.sync()
            except CoincallFastError as error:
                log.warning("the venue's clock was not heard: %s", error)

    def let_go(self) -> None:
        """Ends waits between attempts and for places; nothing begins any more."""
        self._closing.set()

    def close(self) -> None:
        """The same, and ends the clock's thread and the connections that are idle."""
        self.let_go()
        if self._keeper is not None:
            self._keeper.join(self._total_s)
        self._ordinary.close()
        self._urgent.close()

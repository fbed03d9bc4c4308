"""What is seen of orders, by whoever sees it, for those who wait for exactly that; and who is told
of their steps.

A push of the order stream may come before the answer to the request, or instead of it: so a request
is followed from before it leaves.
"""

import logging
import threading
from collections.abc import Callable
from functools import partial

from ..message import Order
from ..steps import Step
from .instruments import FUTURES, OPTIONS

__all__ = ["Flight", "Key", "Sightings", "Steps"]

log = logging.getLogger("coincall_fast")

Key = tuple[str, int]  # "order_id" or "client_order_id", and the id

_IDS = ("client_order_id", "order_id")
MOST_KEPT = 64  # sightings of one request; of more, the last ones


class Flight:
    """A request under way: what was seen of its order since. Used with its `Sightings` only."""

    __slots__ = ("key", "product", "seen", "wake")

    def __init__(self, product: str, key: Key) -> None:
        self.product = product
        self.key = key
        self.seen: list[Order] = []
        self.wake: threading.Event | None = None


class Sightings:
    """All requests under way, by the id of their order. Any thread may use it; nothing blocks.

    late: is told of every order that is seen while `is_watching`.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._flights: dict[Key, list[Flight]] = {}
        self.late: Callable[[Order], None] = _nobody
        self.is_watching = False
        self.is_closed = False

    def follow(self, product: str, key: Key) -> Flight:
        """From now on, what is seen of this order is kept, until `leave`."""
        flight = Flight(product, key)
        with self._lock:
            self._flights.setdefault(key, []).append(flight)
        return flight

    def leave(self, flight: Flight) -> None:
        with self._lock:
            flights = self._flights.get(flight.key, [])
            if flight in flights:
                flights.remove(flight)
            if not flights:
                self._flights.pop(flight.key, None)

    def await_with(self, flight: Flight, wake: threading.Event) -> None:
        """From now on, `wake` is set by what is seen; at once where something has been."""
        with self._lock:
            flight.wake = wake
            if flight.seen or self.is_closed:
                wake.set()

    def close(self) -> None:
        """Nobody will see anything any more: whoever waits is let go."""
        with self._lock:
            self.is_closed = True
            for flight in (flight for flights in self._flights.values() for flight in flights):
                if flight.wake is not None:
                    flight.wake.set()

    def taken(self, flight: Flight) -> list[Order]:
        """What was seen since the last time."""
        with self._lock:
            seen, flight.seen = flight.seen, []
        return seen

    def heard(self, order: Order) -> None:
        """Somebody has seen this order as it stands."""
        if not self._flights and not self.is_watching:
            return
        keys = [(name, value) for name in _IDS if (value := getattr(order, name)) is not None]
        product = _product_of(order)
        with self._lock:
            flights = [flight for key in keys for flight in self._flights.get(key, ())]
            for flight in flights:
                if product not in (None, flight.product):  # which may have the same ids
                    continue
                flight.seen.append(order)
                del flight.seen[:-MOST_KEPT]
                if flight.wake is not None:
                    flight.wake.set()
        if self.is_watching:
            self.late(order)


class Steps:
    """Who wants to know what becomes of orders. Any thread may use it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()  # over the replacing of what follows
        self._callbacks: tuple[Callable[[Step], object], ...] = ()

    def add(self, callback: Callable[[Step], object]) -> Callable[[], None]:
        """Returns what ends it, which may be called again."""
        kept = partial(callback)  # an object of its own: one callback may be added twice

        def end() -> None:
            with self._lock:
                self._callbacks = tuple(one for one in self._callbacks if one is not kept)

        with self._lock:
            self._callbacks = (*self._callbacks, kept)
        return end

    def tell(self, step: Step) -> None:
        """Tells everybody; who raises ends nothing, least of all the way of an order."""
        for callback in self._callbacks:
            try:
                callback(step)
            except Exception:
                log.exception("a callback of on_step, told that %s is %s", step.verb, step.stage)


def _product_of(order: Order) -> str | None:
    """Of an order without a symbol, it may be either."""
    if order.symbol is None:
        return None
    return OPTIONS if "-" in order.symbol else FUTURES


def _nobody(order: Order) -> None:
    """Nobody watches."""

"""The venue's own dead-man's switch: a countdown for each product and pair (protocol page, 2.1)."""

import threading
from collections.abc import Callable, Iterable, Sequence
from functools import partial

from ..errors import CoincallFastError, OrderRejected, VenueError
from .calls import Rest

__all__ = ["LAPSED", "Countdowns", "is_not_permitted"]

LAPSED = 10619

PRODUCTS = {1: "options", 2: "futures"}  # what the venue calls the products of a countdown
NOT_PERMITTED = (7001, 10001, 10554)
PARTS = 3  # of the time that a countdown runs lie between two beats


class Countdowns:
    """Those of some pairs, on both products, as the venue holds them."""

    keeper = "venue"

    def __init__(self, rest: Rest, symbols: Sequence[str], timeout_ms: int) -> None:
        self._rest = rest
        self._symbols = symbols
        self._timeout_ms = timeout_ms
        self.every_s = timeout_ms / 1000 / PARTS

    def set(self, end_s: float | None = None) -> None:
        """Starts the countdowns, or starts them again. All are asked at once, and what fails for
        one is raised when all have answered."""
        self._each(self._timeout_ms, end_s)

    def beats(self) -> dict[str, Callable[[float], None]]:
        """What has to be called with a deadline ever so often, by product."""
        return {name: partial(self._beat, product) for product, name in PRODUCTS.items()}

    def _beat(self, product: int, end_s: float | None) -> None:
        arguments = {"product": product, "symbols": self._symbols}
        heard = self._rest.call("beat", arguments, end_s)
        if lapsed := [symbol for symbol in self._symbols if symbol not in heard]:
            what = f"the countdown of {PRODUCTS[product]} has lapsed: {', '.join(lapsed)}"
            raise OrderRejected(what, LAPSED)

    def release(self, end_s: float | None = None) -> None:
        """Takes them back."""
        self._each(0, end_s)

    def abandon(self) -> None:
        """They lapse by themselves."""

    def _each(self, countdown_ms: int, end_s: float | None) -> None:
        together(
            partial(
                self._rest.call,
                "countdown",
                {"product": product, "symbol": symbol, "countdown_ms": countdown_ms},
                end_s,
            )
            for product in PRODUCTS
            for symbol in self._symbols
        )


def together(calls: Iterable[Callable[[], object]]) -> None:
    """All of them at the same time, so that one that hangs delays no other; raises the first error
    that there was, by the order of the calls."""
    failures: dict[int, BaseException] = {}

    def run(number: int, call: Callable[[], object]) -> None:
        try:
            call()
        except BaseException as error:
            failures[number] = error

    threads = [
        threading.Thread(target=run, args=one, name="coincall-fast countdown", daemon=True)
        for one in enumerate(calls)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[min(failures)]


def is_not_permitted(error: CoincallFastError) -> bool:
    """Whether a countdown was refused since this key is no market maker's. Elsewhere the venue says
    so in a code, in the text `not.allow`, or as if there were no such path."""
    if not isinstance(error, VenueError):
        return False
    return error.code in NOT_PERMITTED or error.status == 404 or "not.allow" in error.message

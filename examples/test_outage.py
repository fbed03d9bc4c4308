"""A pytest that kills the exchange under a strategy: `pytest examples/test_outage.py`

The fixture `coincall_exchange` comes with coincall-fast and pytest finds it by itself: a simulated
exchange of its own for each test. What must hold of a strategy is said here of a small one; put
your own in its place.
"""

import math
import time
from collections.abc import Callable, Iterator

import pytest

from coincall_fast import Channel, OrderBook, Stream
from coincall_fast.sim import Exchange


class Quoter:
    """Quotes around the microprice, and nothing where there is none."""

    def __init__(self, stream: Stream) -> None:
        self.quotes: tuple[float, float] | None = None
        self.gaps = 0
        self._store = stream.store
        stream.on(Channel.BOOK, self._quote)
        stream.on("error", self._pull)  # whatever makes a book invalid is told here, at once
        stream.on("gap", self._count)
        stream.subscribe(Channel.BOOK, "BTCUSD")

    def _quote(self, book: OrderBook) -> None:
        fair = book.microprice
        self.quotes = None if math.isnan(fair) else (fair * 0.999, fair * 1.001)

    def _pull(self, error: Exception) -> None:
        if not self._store["BTCUSD"].is_valid:
            self.quotes = None

    def _count(self, start_ns: int, end_ns: int) -> None:
        self.gaps += 1


def until(holds: Callable[[], object]) -> None:
    end_s = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < end_s, "it did not come about"
        time.sleep(0.01)


@pytest.fixture
def quoter(coincall_exchange: Exchange) -> Iterator[Quoter]:
    with Stream(
        "futures",
        ws_url=coincall_exchange.ws_url,
        api_key=coincall_exchange.api_key,
        api_secret=coincall_exchange.api_secret,
    ) as stream:
        quoter = Quoter(stream)
        until(lambda: quoter.quotes)
        yield quoter


def test_it_quotes_nothing_while_the_exchange_is_away(
    quoter: Quoter, coincall_exchange: Exchange
) -> None:
    coincall_exchange.close()
    until(lambda: quoter.quotes is None)
    coincall_exchange.start()
    assert quoter.quotes is None


def test_it_comes_back(quoter: Quoter, coincall_exchange: Exchange) -> None:
    coincall_exchange.stall()  # or it is back before anybody has looked
    coincall_exchange.drop_connections()
    until(lambda: quoter.quotes is None)
    coincall_exchange.stall(False)
    until(lambda: quoter.quotes)
    assert quoter.gaps == 1


@pytest.mark.coincall_exchange(
    futures_period_ms=20, faults=[{"kind": "corrupt", "probability": 0.1}]
)
def test_harmed_frames_do_not_end_it(quoter: Quoter) -> None:
    seen: list[object] = []
    for _ in range(20):
        until(lambda: quoter.quotes not in (None, *seen[-1:]))
        seen.append(quoter.quotes)

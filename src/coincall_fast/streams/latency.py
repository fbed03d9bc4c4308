"""How long frames take, symbol by symbol: from the socket to the book and through callbacks."""

from typing import NamedTuple

from .._latency import Histogram, Ledger

__all__ = ["Histogram", "Latency", "Quantiles"]


class Quantiles(NamedTuple):
    """Of so many frames; nan where there are none. Right to 1/32, `max` exactly."""

    frames: int
    p50: float
    p99: float
    p999: float
    max: float


class _Ledgers(dict[str | None, Ledger]):
    """Made as they are asked for."""

    clock_offset_ns = 0

    def __missing__(self, symbol: str | None) -> Ledger:
        ledger = self[symbol] = Ledger()
        ledger.clock_offset_ns = self.clock_offset_ns
        return ledger


class Latency:
    """Where the time of a stream's book frames goes. One thread a symbol records, any asks."""

    def __init__(self) -> None:
        self.ledgers = _Ledgers()  # by symbol, to be written

    @property
    def clock_offset_ms(self) -> float:
        """How far the venue's clock is ahead of ours, for the ages; 0 until it is set."""
        return self.ledgers.clock_offset_ns / 1e6

    @clock_offset_ms.setter
    def clock_offset_ms(self, offset_ms: float) -> None:
        self.ledgers.clock_offset_ns = round(offset_ms * 1e6)
        for ledger in list(self.ledgers.values()):
            ledger.clock_offset_ns = self.ledgers.clock_offset_ns

    def book_ns(self, symbol: str | None = None) -> Quantiles:
        """Nanoseconds from the bytes of a frame to its book, of one symbol or of all."""
        return _quantiles(self._merged(symbol).book)

    def callbacks_ns(self, symbol: str | None = None) -> Quantiles:
        """The same to the return of the last callback, or of the last put to an iteration."""
        return _quantiles(self._merged(symbol).callbacks)

    def age_ns(self, symbol: str | None = None) -> Quantiles:
        """Nanoseconds from the venue's own time of a frame to its bytes."""
        return _quantiles(self._merged(symbol).age)

    def clear(self) -> None:
        """Counts anew from here."""
        self.ledgers.clear()

    def _merged(self, symbol: str | None) -> Ledger:
        if symbol is not None:
            return self.ledgers.get(symbol, Ledger())
        whole = Ledger()
        for ledger in list(self.ledgers.values()):
            whole.add(ledger)
        return whole


def _quantiles(taken: Histogram) -> Quantiles:
    p50, p99, p999 = map(taken.quantile_ns, (0.5, 0.99, 0.999))
    return Quantiles(taken.count, p50, p99, p999, taken.max_ns)

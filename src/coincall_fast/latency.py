"""How long frames take, over the last few hundred of each symbol."""

from array import array
from collections.abc import Iterable

import numpy as np

__all__ = ["Latency"]

KEPT = 512  # a power of two


class Latency:
    """Nanoseconds by symbol; one thread a symbol records, any thread asks.

    Recording is one store into a ring, so that measuring does not become what is measured.
    """

    def __init__(self) -> None:
        self._rings: dict[str, array[int]] = {}
        self._counts: dict[str, int] = {}

    def record(self, symbol: str, ns: int) -> None:
        ring = self._rings.get(symbol)
        if ring is None:
            self._counts[symbol] = 0
            ring = self._rings[symbol] = array("q", bytes(8 * KEPT))
        count = self._counts[symbol]
        ring[count % KEPT] = ns
        self._counts[symbol] = count + 1

    def quantiles_ns(
        self, quantiles: Iterable[float] = (0.5, 0.99), symbol: str | None = None
    ) -> tuple[float, ...]:
        """Quantiles over the frames kept of one symbol, or of all; nan where there are none."""
        wanted = tuple(quantiles)
        symbols = list(self._rings) if symbol is None else [symbol]
        kept = [
            np.array(self._rings[name][: min(self._counts[name], KEPT)])
            for name in symbols
            if name in self._rings
        ]
        if not kept or not sum(map(len, kept)):
            return (float("nan"),) * len(wanted)
        return tuple(float(value) for value in np.quantile(np.concatenate(kept), wanted))

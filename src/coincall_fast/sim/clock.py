"""The venue's two clocks: the one that requests are checked against, and the market's."""

import time

__all__ = ["Clock"]

_MAX_MS = 10 * 366 * 86_400_000  # ten years: calendars end, and each funding on the way takes time


def _check(ms: int) -> None:
    if type(ms) is not int or abs(ms) > _MAX_MS:
        raise ValueError(f"{ms!r}: must be whole milliseconds, and at most ten years")


class Clock:
    """`wall_ms` is this machine's, give or take the skew; the market's may run fast or jump.

    Signatures, `/time`, silence and rates go by the wall clock, or no client could keep up with a
    fast market. Whatever the market tells of itself goes by its own. Both agree until the market
    is told otherwise.
    """

    def __init__(
        self, *, skew_ms: int = 0, speed: float = 1.0, start_ms: int | None = None
    ) -> None:
        self.skew_ms = skew_ms
        self.speed = speed
        self._began_ms = self.wall_ms
        # How far the market's is ahead, from the start or by jumps.
        self._skipped_ms = 0 if start_ms is None else start_ms - self._began_ms

    @property
    def wall_ms(self) -> int:
        return time.time_ns() // 1_000_000 + self.skew_ms

    def market_ms(self) -> int:
        passed_ms = self.wall_ms - self._began_ms
        return self._began_ms + round(passed_ms * self.speed) + self._skipped_ms

    def skew(self, skew_ms: int) -> None:
        """Sets how far the wall clock is off; the market's goes on from where it is."""
        _check(skew_ms)
        moved_ms = skew_ms - self.skew_ms
        self.skew_ms = skew_ms
        self._began_ms += moved_ms
        self._skipped_ms -= moved_ms

    def skip(self, by_ms: int) -> None:
        """Jumps ahead."""
        _check(by_ms)
        if by_ms < 0:
            raise ValueError("time does not go back")
        self._skipped_ms += by_ms

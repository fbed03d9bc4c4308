"""How long to wait before the next attempt."""

__all__ = ["Backoff"]


class Backoff:
    """How long to wait before the next dial: exponential, full jitter, forgiving after a while.

    Times are seconds. `chance` is a number in [0, 1), such as ``random.random()``.
    """

    FIRST_S = 0.25
    LONGEST_S = 30.0
    HEALTHY_S = 60.0

    def __init__(self) -> None:
        self._ceiling_s = self.FIRST_S

    def lasted(self, seconds: float) -> None:
        """A connection lasted this long; a minute proves that the venue is well."""
        if seconds >= self.HEALTHY_S:
            self._ceiling_s = self.FIRST_S

    def next_s(self, chance: float) -> float:
        wait_s = self._ceiling_s * chance
        self._ceiling_s = min(2 * self._ceiling_s, self.LONGEST_S)
        return wait_s

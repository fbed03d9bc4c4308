"""How often a user may ask: the venue's rate classes, over exact sliding windows.

Protocol page, section 2.9.
"""

from collections import deque
from collections.abc import Hashable, Mapping

__all__ = ["CLASSES", "Limits", "Rates"]

Limits = Mapping[str, tuple[int, float]]

# class: (requests, seconds)
CLASSES: Limits = {
    "config": (10, 2.0),
    "funding": (10, 2.0),
    "positions": (5, 1.0),
    "pending": (5, 1.0),
    "history": (5, 1.0),
    "account": (2, 1.0),
    "orderbook": (30, 2.0),
    "place": (30, 2.0),
    "cancel": (30, 2.0),
    "delivery": (1, 1.0),
}


class Rates:
    """Counts requests of each class by whoever makes them."""

    def __init__(self, limits: Limits = CLASSES) -> None:
        self._limits = limits
        self._asked: dict[tuple[str, Hashable], deque[float]] = {}

    def admits(self, name: str, who: Hashable, now_s: float) -> bool:
        """Whether one more request is allowed now; one that is not does not count."""
        most, seconds = self._limits[name]
        asked = self._asked.setdefault((name, who), deque())
        while asked and asked[0] <= now_s - seconds:
            asked.popleft()
        if len(asked) >= most:
            return False
        asked.append(now_s)
        return True

"""What stops a market maker: protection against too many fills, and the dead-man's switch.

Protocol page, sections 2.1 and 2.7.
"""

from collections import deque
from dataclasses import dataclass, field
from decimal import Decimal

from .events import Filled
from .instruments import OPTIONS, Instrument
from .orders import Order

__all__ = ["Countdown", "Countdowns", "Mmp", "Mmps"]

_SCALE = 100_000_000


@dataclass(slots=True)
class Mmp:
    """The protection of one user on the options of one index. Limits of 0 are off."""

    interval_ms: int
    frozen_ms: int  # 0: until it is reset
    qty_limit: Decimal
    delta_limit: Decimal
    created_ms: int
    frozen_until_ms: int | None = None  # None: not frozen; 0: until it is reset
    recent: deque[tuple[int, Decimal, Decimal]] = field(default_factory=deque)

    def is_frozen(self, now_ms: int) -> bool:
        until_ms = self.frozen_until_ms
        return until_ms is not None and (until_ms == 0 or now_ms < until_ms)

    def count(self, ts_ms: int, qty: Decimal, delta: Decimal) -> bool:
        """Adds a fill; whether that is now too much."""
        if self.is_frozen(ts_ms):
            return False
        self.frozen_until_ms = None
        self.recent.append((ts_ms, qty, delta))
        while self.recent[0][0] <= ts_ms - self.interval_ms:
            self.recent.popleft()
        total_qty = sum((row[1] for row in self.recent), Decimal(0))
        total_delta = abs(sum((row[2] for row in self.recent), Decimal(0)))
        if not (0 < self.qty_limit <= total_qty or 0 < self.delta_limit <= total_delta):
            return False
        self.frozen_until_ms = ts_ms + self.frozen_ms if self.frozen_ms else 0
        self.recent.clear()
        return True


class Mmps:
    """All users' protections."""

    def __init__(self) -> None:
        self._configs: dict[tuple[int, str], Mmp] = {}

    def set(self, user_id: int, index: str, config: Mmp) -> None:
        """An interval of 0 turns it off."""
        if config.interval_ms:
            self._configs[user_id, index] = config
        else:
            self._configs.pop((user_id, index), None)

    def get(self, user_id: int, index: str) -> Mmp | None:
        return self._configs.get((user_id, index))

    def admits(self, user_id: int, instrument: Instrument, now_ms: int) -> bool:
        """Whether an order that asks for protection gets it."""
        config = self.get(user_id, instrument.pair.name)
        return config is not None and not config.is_frozen(now_ms)

    def filled(self, fill: Filled, delta: float) -> bool:
        """Counts a fill of a protected order; whether the user's others must go now."""
        order = fill.order
        if not order.is_mmp:
            return False
        config = self.get(order.user_id, order.instrument.pair.name)
        if config is None:
            return False
        qty = Decimal(fill.lots * order.instrument.lot_e8) / _SCALE
        return config.count(fill.ts_ms, qty, qty * order.side.sign * Decimal(delta))


@dataclass(slots=True)
class Countdown:
    """All of a user's orders in one symbol go when nothing has been heard for so long."""

    countdown_ms: int
    due_ms: int
    has_lapsed: bool = False


class Countdowns:
    """All users' dead-man's switches, by product and symbol (of options: their index)."""

    def __init__(self) -> None:
        self._running: dict[tuple[int, str, str], Countdown] = {}

    def set(self, user_id: int, product: str, symbol: str, countdown_ms: int, now_ms: int) -> None:
        """Starts one, or starts it again; 0 ends it."""
        if countdown_ms:
            running = Countdown(countdown_ms, now_ms + countdown_ms)
            self._running[user_id, product, symbol] = running
        else:
            self._running.pop((user_id, product, symbol), None)

    def listed(self, user_id: int, product: str) -> dict[str, Countdown]:
        return {
            symbol: running
            for (user, kind, symbol), running in self._running.items()
            if (user, kind) == (user_id, product)
        }

    def beat(self, user_id: int, product: str, symbol: str, now_ms: int) -> bool:
        """A sign of life; whether there is a countdown that still runs."""
        running = self._running.get((user_id, product, symbol))
        if running is None or running.has_lapsed:
            return False
        running.due_ms = now_ms + running.countdown_ms
        return True

    def has_lapsed(self, user_id: int, instrument: Instrument) -> bool:
        running = self._running.get((user_id, instrument.product, watched(instrument)))
        return running is not None and running.has_lapsed

    def lapse(self, now_ms: int) -> list[tuple[int, str, str]]:
        """Those that lapse now: whose orders go."""
        due = [
            key
            for key, running in self._running.items()
            if not running.has_lapsed and running.due_ms <= now_ms
        ]
        for key in due:
            self._running[key].has_lapsed = True
        return due


def watched(instrument: Instrument) -> str:
    """The symbol that a countdown knows an instrument by."""
    return instrument.pair.name if instrument.product == OPTIONS else instrument.symbol


def is_watched(order: Order, product: str, symbol: str) -> bool:
    return order.instrument.product == product and watched(order.instrument) == symbol

"""What has traded: the public trades of each symbol, and the bars they make."""

from collections import deque
from datetime import UTC, datetime
from typing import NamedTuple

from .instruments import Instrument
from .orders import Side

__all__ = ["PERIODS", "Bar", "Print", "Tape"]

_KEPT = 200  # trades of a symbol
_MINUTE_MS = 60_000
_DAY_MS = 86_400_000
_KEPT_MINUTES = 45 * 1440

# The periods of equal length; those of the calendar are in `_start_ms`.
_LENGTH_MS = {
    "m1": _MINUTE_MS,
    "m5": 5 * _MINUTE_MS,
    "m15": 15 * _MINUTE_MS,
    "m30": 30 * _MINUTE_MS,
    "h1": 60 * _MINUTE_MS,
    "h4": 240 * _MINUTE_MS,
    "d1": _DAY_MS,
}
PERIODS = (*_LENGTH_MS, "w1", "mn1", "quarter")


class Print(NamedTuple):
    """One public trade; `side` is the taker's."""

    trade_id: int
    symbol: str
    price: int
    lots: int
    side: Side
    ts_ms: int


class Bar(NamedTuple):
    """What traded in one period, in ticks and lots."""

    start_ms: int
    open: int
    high: int
    low: int
    close: int
    lots: int
    tick_lots: int = 0  # the sum of price times size

    def with_trade(self, price: int, lots: int) -> "Bar":
        return Bar(
            self.start_ms,
            self.open,
            max(self.high, price),
            min(self.low, price),
            price,
            self.lots + lots,
            self.tick_lots + price * lots,
        )

    def joined(self, later: "Bar") -> "Bar":
        return Bar(
            self.start_ms,
            self.open,
            max(self.high, later.high),
            min(self.low, later.low),
            later.close,
            self.lots + later.lots,
            self.tick_lots + later.tick_lots,
        )


class _Line:
    """The tape of one symbol."""

    __slots__ = ("first", "last", "minutes", "prints")

    def __init__(self, price: int) -> None:
        self.first = self.last = price
        self.prints: deque[Print] = deque(maxlen=_KEPT)
        self.minutes: deque[Bar] = deque(maxlen=_KEPT_MINUTES)  # those in which something traded


class Tape:
    """All symbols. A symbol that has not traded has the price that it was listed at."""

    def __init__(self) -> None:
        self._lines: dict[str, _Line] = {}

    def enlist(self, instrument: Instrument, price: int) -> None:
        self._lines[instrument.symbol] = _Line(price)

    def add(self, trade: Print) -> None:
        line = self._lines[trade.symbol]
        line.last = trade.price
        line.prints.append(trade)
        start_ms = trade.ts_ms // _MINUTE_MS * _MINUTE_MS
        if line.minutes and line.minutes[-1].start_ms >= start_ms:
            line.minutes[-1] = line.minutes[-1].with_trade(trade.price, trade.lots)
        else:
            before = line.minutes[-1].close if line.minutes else line.first
            bar = Bar(start_ms, before, before, before, before, 0)
            line.minutes.append(bar.with_trade(trade.price, trade.lots))

    def prints(self, symbol: str) -> list[Print]:
        """The latest trades, newest first."""
        return list(reversed(self._lines[symbol].prints))

    def last(self, symbol: str) -> int:
        return self._lines[symbol].last

    def day(self, symbol: str, now_ms: int) -> Bar:
        """The last 24 hours."""
        line = self._lines[symbol]
        bar = None
        for minute in reversed(line.minutes):
            if minute.start_ms <= now_ms - _DAY_MS:
                break
            bar = minute if bar is None else minute.joined(bar)
        return bar or Bar(now_ms - _DAY_MS, line.last, line.last, line.last, line.last, 0)

    def bar(self, symbol: str, period: str, now_ms: int) -> Bar:
        """The bar of the current period, flat at the last price where nothing has traded in it."""
        bars = self.bars(symbol, period, _start_ms(period, now_ms), now_ms)
        return bars[-1]

    def bars(self, symbol: str, period: str, start_ms: int, end_ms: int) -> list[Bar]:
        """The bars that begin from `start_ms` to `end_ms`, without holes."""
        line = self._lines[symbol]
        traded: dict[int, Bar] = {}
        close = line.first
        for minute in line.minutes:
            start = _start_ms(period, minute.start_ms)
            if start > end_ms:
                break
            if start < _start_ms(period, start_ms):
                close = minute.close
            elif start in traded:
                traded[start] = traded[start].joined(minute)
            else:
                traded[start] = minute._replace(start_ms=start)
        bars = []
        at_ms = _start_ms(period, start_ms)
        if at_ms < start_ms:
            at_ms = _next_ms(period, at_ms)
        while at_ms <= end_ms:
            bar = traded.get(at_ms) or Bar(at_ms, close, close, close, close, 0)
            close = bar.close
            bars.append(bar)
            at_ms = _next_ms(period, at_ms)
        return bars


def _start_ms(period: str, time_ms: int) -> int:
    """When the period that `time_ms` lies in began."""
    if period in _LENGTH_MS:
        length = _LENGTH_MS[period]
        return time_ms // length * length
    day = datetime.fromtimestamp(time_ms / 1000, UTC)
    if period == "w1":  # from Monday
        return (time_ms // _DAY_MS - day.weekday()) * _DAY_MS
    month = day.month if period == "mn1" else (day.month - 1) // 3 * 3 + 1
    return round(datetime(day.year, month, 1, tzinfo=UTC).timestamp() * 1000)


def _next_ms(period: str, start_ms: int) -> int:
    if period in _LENGTH_MS:
        return start_ms + _LENGTH_MS[period]
    if period == "w1":
        return start_ms + 7 * _DAY_MS
    days = 31 if period == "mn1" else 100
    return _start_ms(period, start_ms + days * _DAY_MS)

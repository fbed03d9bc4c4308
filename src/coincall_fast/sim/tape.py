"""What has traded: the public trades of each symbol, and the bars they make.

All of it is bounded: trades by number, minutes by age. What is older is kept by the hour.
"""

from collections import deque
from datetime import UTC, datetime
from itertools import chain, takewhile
from typing import NamedTuple

from .instruments import Instrument
from .orders import Side

__all__ = ["PERIODS", "Bar", "Print", "Tape", "period_start_ms"]

_KEPT = 200  # trades of a symbol
_MINUTE_MS = 60_000
_DAY_MS = 86_400_000
_HOUR_MS = 60 * _MINUTE_MS
_KEPT_MINUTES_MS = 2 * _DAY_MS
_KEPT_HOURS = 400 * 24

# The periods of equal length; those of the calendar are in `period_start_ms`.
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

    __slots__ = ("day", "day_of", "first", "hours", "last", "minutes", "minutes_from_ms", "prints")

    def __init__(self, price: int) -> None:
        self.first = self.last = price  # before all bars, and now
        self.prints: deque[Print] = deque(maxlen=_KEPT)
        # Those in which something traded; the hours end where the minutes begin.
        self.minutes: deque[Bar] = deque()
        self.hours: deque[Bar] = deque()
        self.minutes_from_ms = 0
        self.day: Bar | None = None
        self.day_of: tuple[int, Bar | None] = (-1, None)  # the minute and the bar it was made at

    def age(self, now_ms: int) -> None:
        """Keeps minutes that are too old by the hour, and forgets hours that are."""
        while self.minutes[0].start_ms < now_ms - _KEPT_MINUTES_MS:
            minute = self.minutes.popleft()
            self.minutes_from_ms = minute.start_ms + _MINUTE_MS
            hour_ms = minute.start_ms // _HOUR_MS * _HOUR_MS
            if self.hours and self.hours[-1].start_ms == hour_ms:
                self.hours[-1] = self.hours[-1].joined(minute)
            else:
                self.hours.append(minute._replace(start_ms=hour_ms))
        while len(self.hours) > _KEPT_HOURS:
            self.first = self.hours.popleft().close


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
            line.age(start_ms)

    def prints(self, symbol: str) -> list[Print]:
        """The latest trades, newest first."""
        return list(reversed(self._lines[symbol].prints))

    def last(self, symbol: str) -> int:
        return self._lines[symbol].last

    def day(self, symbol: str, now_ms: int) -> Bar:
        """The last 24 hours."""
        line = self._lines[symbol]
        # Every ticker asks for it, and it is the same until a minute ends or something trades.
        now_of = (now_ms // _MINUTE_MS, line.minutes[-1] if line.minutes else None)
        if line.day is None or line.day_of != now_of:
            line.day, line.day_of = _day(line, now_ms), now_of
        return line.day

    def bar(self, symbol: str, period: str, now_ms: int) -> Bar:
        """The bar of the current period, flat at the last price where nothing has traded in it."""
        bars = self.bars(symbol, period, period_start_ms(period, now_ms), now_ms)
        return bars[-1]

    def bars(self, symbol: str, period: str, start_ms: int, end_ms: int) -> list[Bar]:
        """The bars that begin from `start_ms` to `end_ms`, without holes."""
        line = self._lines[symbol]
        if _LENGTH_MS.get(period, _DAY_MS) < _HOUR_MS:
            start_ms = max(start_ms, line.minutes_from_ms)
        at_ms = period_start_ms(period, start_ms)
        if at_ms < start_ms:
            at_ms = _next_ms(period, at_ms)
        traded: dict[int, Bar] = {}
        close = line.first
        for part in chain(line.hours, line.minutes):
            if part.start_ms < at_ms:
                close = part.close
                continue
            start = period_start_ms(period, part.start_ms)
            if start > end_ms:
                break
            if start in traded:
                traded[start] = traded[start].joined(part)
            else:
                traded[start] = part._replace(start_ms=start)
        bars = []
        while at_ms <= end_ms:
            bar = traded.get(at_ms) or Bar(at_ms, close, close, close, close, 0)
            close = bar.close
            bars.append(bar)
            at_ms = _next_ms(period, at_ms)
        return bars


def _day(line: _Line, now_ms: int) -> Bar:
    """The last 24 hours; of nothing, the last price."""
    since_ms = now_ms - _DAY_MS
    bars = list(takewhile(lambda bar: bar.start_ms > since_ms, reversed(line.minutes)))
    if not bars:
        return Bar(since_ms, line.last, line.last, line.last, line.last, 0)
    return Bar(
        bars[-1].start_ms,
        bars[-1].open,
        max(bar.high for bar in bars),
        min(bar.low for bar in bars),
        bars[0].close,
        sum(bar.lots for bar in bars),
        sum(bar.tick_lots for bar in bars),
    )


def period_start_ms(period: str, time_ms: int) -> int:
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
    return period_start_ms(period, start_ms + days * _DAY_MS)

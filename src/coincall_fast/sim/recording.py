"""Recorded frames as the market, instead of the model: the books are what they were then.

A file has one frame a line, as it came, or an object with the text of one under `frame`; or it is
what `coincall-fast record` makes (docs/recording.md, read here by itself). Books of both products
and tickers are read, whatever their edition; everything else is passed over.
"""

import json
import re
import struct
import zlib
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from decimal import Decimal
from math import gcd
from pathlib import Path
from typing import Any, NamedTuple

from .instruments import FUTURES, MONTHS, OPTIONS, PAIRS, Instrument, Pair, Terms
from .ladder import Level
from .market import SCALE, Market

__all__ = ["Recording", "Replay"]

_BOOKS = {5: OPTIONS, 32: FUTURES}
_TICKERS = (3, 30)
_OPTION = re.compile(r"([A-Z0-9]+USD)-(\d{1,2})([A-Z]{3})(\d{2})-(\d+)-([CP])")

_MAGIC = b"\xf5coincall-fast\n\x01"  # the file's name and version, and then their checksum
_RECORD = struct.Struct("<4sIQqqBBII")
_FRAME = 5  # the kind of a record

Side = list[tuple[int, int]]  # price and size in 1e-8


class _Row(NamedTuple):
    """One recorded moment: a book, or the index of a pair, which is what is fair."""

    ts_ms: int
    symbol: str
    bids: Side
    asks: Side
    fair: float | None = None


class Recording:
    """What was recorded, in the order of its times."""

    def __init__(self, frames: Iterable[str]) -> None:
        products: dict[str, str] = {}
        rows = []
        for frame in frames:
            row = _read(frame, products)
            if row is not None:
                rows.append(row)
        self.rows = sorted(rows, key=lambda row: row.ts_ms)
        if not products:
            raise ValueError("there is no book among the recorded frames")
        self.start_ms = self.rows[0].ts_ms
        self.instruments = [self._instrument(symbol, products[symbol]) for symbol in products]

    @classmethod
    def read(cls, path: str | Path) -> "Recording":
        content = Path(path).read_bytes()
        if content.startswith(_MAGIC):
            return cls(_frames(content))
        return cls(line for line in content.decode().split("\n") if line.strip())

    def _instrument(self, symbol: str, product: str) -> Instrument:
        pair, terms = _terms(symbol, product)
        tick_e8, lot_e8 = pair.future_tick_e8, pair.future_lot_e8
        if product == OPTIONS:
            tick_e8, lot_e8 = pair.option_tick_e8, pair.option_lot_e8
        for row in self.rows:
            if row.symbol == symbol and row.fair is None:
                for price_e8, size_e8 in row.bids + row.asks:
                    # Finer where the recorded numbers are.
                    tick_e8, lot_e8 = gcd(tick_e8, price_e8), gcd(lot_e8, size_e8)
        return Instrument(symbol, product, pair, tick_e8, lot_e8, pair.option_max_lots, terms)


class Replay(Market):
    """A market that shows what was recorded, when its time has come; then it stands still."""

    def __init__(
        self,
        recording: Recording,
        *,
        step_ms: int = 100,
        after_step: Callable[[int], None] | None = None,
    ) -> None:
        self._rows = iter(recording.rows)
        self._next: _Row | None = next(self._rows)
        super().__init__(
            0,
            recording.start_ms,
            step_ms=step_ms,
            listed=recording.instruments,
            after_step=after_step,
        )

    def _open(self) -> None:
        self._move(0, whole=True)

    def _move(self, dt_ms: int, *, whole: bool) -> None:
        while self._next is not None and self._next.ts_ms <= self.now_ms:
            row, self._next = self._next, next(self._rows, None)
            if row.fair is not None:
                self.underlyings[row.symbol].show(row.fair)
            else:
                book = self.books[row.symbol]
                sides = (_levels(book.instrument, side) for side in (row.bids, row.asks))
                book.show(*sides)
                if book.instrument.product == FUTURES and row.bids and row.asks:
                    middle_e8 = (row.bids[0][0] + row.asks[0][0]) / 2
                    self.underlyings[book.instrument.pair.name].show(middle_e8 / SCALE)


def _levels(instrument: Instrument, side: Side) -> list[Level]:
    return [(price // instrument.tick_e8, size // instrument.lot_e8) for price, size in side]


def _frames(content: bytes) -> Iterator[str]:
    """The frames of a recording, up to an end that may be torn."""
    at = len(_MAGIC) + 4
    while at < len(content):
        begin = at
        fields = content[at : at + _RECORD.size]
        if len(fields) < _RECORD.size:
            return
        _, size, _, _, _, kind, product_size, body_check, check = _RECORD.unpack(fields)
        at += _RECORD.size + product_size + size
        if zlib.crc32(fields[:-4]) != check:
            raise ValueError(f"the recording is damaged at byte {begin}")
        if at > len(content):
            return
        body = content[begin + _RECORD.size : at]
        if zlib.crc32(body) != body_check:
            raise ValueError(f"the recording is damaged at byte {begin}")
        text = body[product_size:].decode(errors="replace")
        if kind == _FRAME and _is_message(text):
            yield text


def _is_message(text: str) -> bool:
    """Whether it is one: a recording has what was received, the broken frames among it."""
    try:
        return isinstance(json.loads(text), dict)
    except ValueError:
        return False


def _read(line: str, products: dict[str, str]) -> _Row | None:
    """What one line tells; a book's symbol is entered with its product."""
    frame = json.loads(line, parse_float=Decimal)
    if "frame" in frame:
        frame = json.loads(frame["frame"], parse_float=Decimal)
    data, number = frame.get("d"), frame.get("dt")
    if number in _BOOKS:
        products[data["s"]] = _BOOKS[number]
        return _Row(data["ts"], data["s"], _side(data["bids"], -1), _side(data["asks"], 1))
    if number in _TICKERS and "ts" in data and data.get("ip"):
        pair = data["s"].partition("-")[0]
        if any(known.name == pair for known in PAIRS):
            return _Row(data["ts"], pair, [], [], float(data["ip"]))
    return None


def _side(levels: list[dict[str, Any]], sign: int) -> Side:
    found = [(_e8(level["pr"]), _e8(level.get("sz", level.get("v")))) for level in levels]
    return sorted(level for level in found if level[0] and level[1])[::sign]


def _e8(text: Any) -> int:
    return int(Decimal(str(text).strip()) * SCALE)


def _terms(symbol: str, product: str) -> tuple[Pair, Terms | None]:
    pairs = {pair.name: pair for pair in PAIRS}
    if product == FUTURES and symbol in pairs:
        return pairs[symbol], None
    match = _OPTION.fullmatch(symbol)
    if product == FUTURES or match is None or match[1] not in pairs:
        raise ValueError(f"the simulated exchange cannot list {symbol}")
    name, day, month, year, strike, right = match.groups()
    date = datetime(2000 + int(year), MONTHS.index(month) + 1, int(day), 8, tzinfo=UTC)
    return pairs[name], Terms(int(strike), right, round(date.timestamp() * 1000))

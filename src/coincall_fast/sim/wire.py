"""What the venue puts on the wire, as text: book frames, acks, refusals, REST envelopes.

Today's edition (`sz`), compact JSON, keys in the order of the printed samples, number texts with
the venue's habits.
"""

from collections.abc import Sequence
from random import Random
from typing import Any, Literal

from .instruments import FUTURES, OPTIONS, Instrument
from .ladder import Level
from .numerals import compact, decimal_text
from .refusals import Refusal

__all__ = [
    "FAILURES",
    "HEARTBEAT_ACK",
    "Failures",
    "Renderer",
    "ack",
    "envelope",
    "failure",
    "refused_frame",
]

_SCALE = 100_000_000
BOOK_DT = {OPTIONS: 5, FUTURES: 32}  # protocol page, sections 3.2 and 3.3
_CACHED_LEVELS = 800  # of each book: four times what a frame can hold

Failures = Literal["result", "rc", "c"]
FAILURES: tuple[Failures, ...] = ("result", "rc", "c")

HEARTBEAT_ACK = '{"c":11,"rc":1}'  # seed 003, HeartBeat


def ack(action: str) -> str:
    """`{"action":"SUBSCRIBE","result":"success"}`: upper case, and no word of what it answers."""
    return compact({"action": action.upper(), "result": "success"})


def failure(action: str, refusal: Refusal, shape: Failures = "result") -> str:
    """A refused request, in one of the shapes that connectors look for (section 3.1, failure)."""
    told = {"code": refusal.code, "msg": refusal.msg}
    if shape == "rc":
        return compact({"c": 20, "rc": 0, **told})
    if shape == "c":
        return refused_frame(refusal)
    return compact({"action": action.upper(), "result": "failed", **told})


def refused_frame(refusal: Refusal) -> str:
    """A refusal that answers no action: a numeric `c` with a `msg` (section 3.1, failure)."""
    return compact({"c": refusal.code, "msg": refusal.msg})


def envelope(
    data: Any, *, code: int | str = 0, msg: str | None = "Success", has_i18n: bool = True
) -> str:
    """A REST body (protocol page, section 2)."""
    i18n = {"i18nArgs": None} if has_i18n else {}
    return compact({"code": code, "msg": msg, **i18n, "data": data})


def _size_text(size_e8: int, habit: int) -> str:
    """A size the way the venue may print it: `1`, `1 `, `180.30200000`, `0.40000000 `.

    All four are in the printed frames (seed 003, OrderBook); how often each occurs is not known.
    """
    text = decimal_text(size_e8)
    if habit in (1, 2):
        text = f"{size_e8 // _SCALE}.{size_e8 % _SCALE:08d}"
    return text + " " if habit in (2, 3) else text


class _LevelTexts(dict[Level, str]):
    """Level -> JSON text. Most levels of a push were in the one before, and cost one lookup."""

    def __init__(self, tick_e8: int, lot_e8: int, *, is_first: bool) -> None:
        super().__init__()
        self._is_first = is_first
        self._tick_e8 = tick_e8
        self._lot_e8 = lot_e8

    def __missing__(self, level: Level) -> str:
        if len(self) >= _CACHED_LEVELS:
            self.clear()
        price, size = level
        price_text, size_e8 = decimal_text(price * self._tick_e8), size * self._lot_e8
        if self._is_first:  # seed 001: the size is a number
            text = self[level] = f'{{"pr":"{price_text}","v":{decimal_text(size_e8)}}}'
            return text
        # The habit hangs on the level alone, so that a level keeps its text while it stands.
        size_text = _size_text(size_e8, (price * 31 + size) % 16)
        text = f'{{"pr":"{price_text}","sz":"{size_text}"}}'
        self[level] = text
        return text


class Renderer:
    """Renders book frames, remembering the texts of each book's levels.

    `is_first` is the spelling of the first edition, seed 001: `v` and a number. No page says that
    levels are sorted; where they are not, an unchanged book still is the same text.
    """

    def __init__(self, *, is_first: bool = False, is_sorted: bool = True) -> None:
        self._is_first = is_first
        self._is_sorted = is_sorted
        self._texts: dict[str, _LevelTexts] = {}

    def book(
        self, instrument: Instrument, bids: Sequence[Level], asks: Sequence[Level], ts_ms: int
    ) -> str:
        """One full `orderBook` push; an empty side is `[]`."""
        texts = self._texts.get(instrument.symbol)
        if texts is None:
            texts = _LevelTexts(instrument.tick_e8, instrument.lot_e8, is_first=self._is_first)
            self._texts[instrument.symbol] = texts
        if not self._is_sorted:
            dice = Random(instrument.symbol)
            bids, asks = dice.sample(bids, len(bids)), dice.sample(asks, len(asks))
        text_of = texts.__getitem__
        return (
            f'{{"dt":{BOOK_DT[instrument.product]},"c":20,"d":{{"s":"{instrument.symbol}",'
            f'"asks":[{",".join(map(text_of, asks))}],"bids":[{",".join(map(text_of, bids))}],'
            f'"ts":{ts_ms}}}}}'
        )

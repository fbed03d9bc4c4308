"""The ways to show a board: a live table or ladder, plain lines, JSON lines."""

import sys
import time
from typing import Protocol

import orjson
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from ..streams.latency import Latency
from .board import Board, Row, text_of

__all__ = ["Json", "Plain", "Screen", "View"]

COLUMNS = (
    *("symbol", "bid", "size", "ask", "size", "mid", "microprice", "bps", "imbal."),
    *("upd/s", "age ms", "p50 ns", "p99 ns"),
)
# What a narrow terminal goes without, the first to go first.
EXPENDABLE = [COLUMNS.index(name) for name in ("mid", "imbal.", "p50 ns", "upd/s", "bps", "age ms")]
EXPENDABLE += [COLUMNS.index("p99 ns"), 4, 2, COLUMNS.index("microprice")]


class View(Protocol):
    """Something that shows a board, asked to do so every `period_s` until it is closed."""

    period_s: float

    def show(self, state: str) -> None: ...

    def close(self) -> None: ...


class Lines:
    """A view that leaves nothing to be restored."""

    def close(self) -> None:
        sys.stdout.flush()


class Json(Lines):
    """One JSON document a line for every book that changed; a book that became invalid included."""

    period_s = 0.02

    def __init__(self, board: Board) -> None:
        self._board = board

    def show(self, state: str) -> None:
        for row in self._board.take_changed():
            sys.stdout.buffer.write(orjson.dumps(row.document(), option=orjson.OPT_APPEND_NEWLINE))
        sys.stdout.buffer.flush()


class Plain(Lines):
    """A line a symbol and second, for what is no terminal."""

    period_s = 1.0

    def __init__(self, board: Board, latency: Latency) -> None:
        self._board = board
        self._latency = latency

    def show(self, state: str) -> None:
        for row in self._board.take_changed():
            _, p50_ns, p99_ns, *_ = self._latency.book_ns(row.symbol)
            print(
                f"{row.symbol} bid {text_of(row.best_bid)} x {text_of(row.best_bid_size)} "
                f"ask {text_of(row.best_ask)} x {text_of(row.best_ask_size)} "
                f"mid {text_of(row.mid)} microprice {text_of(row.microprice, 4)} "
                f"spread {text_of(row.spread_bps, 1)} bps imbalance {text_of(row.imbalance, 2)} "
                f"ts_ms {row.ts_ms} p50 {text_of(p50_ns, 0)} ns p99 {text_of(p99_ns, 0)} ns",
                *(f"{_sides(row)}" if row.bids or row.asks else ()),
                sep="",
                flush=True,
            )


def _sides(row: Row) -> str:
    def side(levels: list[list[float]]) -> str:
        return " ".join(f"{text_of(price)}x{text_of(size)}" for price, size in levels)

    return f" bids {side(row.bids)} asks {side(row.asks)}"


class Screen:
    """A table of all symbols, or the ladder of one, redrawn in place."""

    period_s = 0.25

    def __init__(self, board: Board, latency: Latency, symbols: list[str], levels: int) -> None:
        self._board = board
        self._latency = latency
        self._symbols = symbols
        self._levels = levels
        self._console = Console()
        self._live = Live(console=self._console, auto_refresh=False, transient=False)
        self._counted: dict[str, tuple[float, int]] = {}
        self._live.start()

    def close(self) -> None:
        self._live.stop()

    def show(self, state: str) -> None:
        body = self._ladder(self._symbols[0]) if self._levels else self._table()
        self._live.update(Group(body, self._footer(state)), refresh=True)

    def _footer(self, state: str) -> RenderableType:
        _, p50_ns, p99_ns, *_ = self._latency.book_ns()
        mood = "green" if state == "open" else "red"
        return Text.assemble(
            (f"{state}  ", mood),
            (f"{self._board.updates} updates, frame to book p50 {text_of(p50_ns, 0)} ns, "
             f"p99 {text_of(p99_ns, 0)} ns, Ctrl-C ends", "dim"),
            (f"\n{self._board.trouble}" if self._board.trouble else "", "red"),
        )  # fmt: skip

    def _table(self) -> RenderableType:
        rows = [[Text(symbol), *self._cells(symbol)] for symbol in self._symbols]
        table = Table(box=None, padding=(0, 1), header_style="bold", pad_edge=False)
        columns = self._fitting(rows)
        for column in columns:
            table.add_column(COLUMNS[column], justify="right" if column else "left", no_wrap=True)
        for row in rows:
            table.add_row(*(row[column] for column in columns if column < len(row)))
        return table

    def _fitting(self, rows: list[list[Text]]) -> list[int]:
        """The columns that fit the terminal whole: half a number would be a wrong one."""
        columns = list(range(len(COLUMNS)))
        for least_wanted in EXPENDABLE:
            widths = (
                max(
                    [len(COLUMNS[column]), *(len(row[column]) for row in rows if column < len(row))]
                )
                for column in columns
            )
            if sum(width + 2 for width in widths) <= self._console.width + 2:
                break
            columns.remove(least_wanted)
        return columns

    def _cells(self, symbol: str) -> list[Text]:
        row = self._board.rows.get(symbol)
        if row is None or not row.is_valid:
            return [Text("invalid", style="red")]
        _, p50_ns, p99_ns, *_ = self._latency.book_ns(symbol)
        lean = row.imbalance if row.imbalance == row.imbalance else 0.0
        return [
            Text(text_of(row.best_bid), style="green"),
            Text(text_of(row.best_bid_size)),
            Text(text_of(row.best_ask), style="red"),
            Text(text_of(row.best_ask_size)),
            Text(text_of(row.mid)),
            Text(text_of(row.microprice, 4), style="bold"),
            Text(text_of(row.spread_bps, 1)),
            Text(text_of(row.imbalance, 2), style="green" if lean > 0 else "red"),
            Text(text_of(self._rate(symbol, row.update_count), 1)),
            Text(text_of(time.time() * 1e3 - row.ts_ms, 0)),
            Text(text_of(p50_ns, 0)),
            Text(text_of(p99_ns, 0)),
        ]

    def _rate(self, symbol: str, count: int) -> float:
        """Updates a second since the symbol was first shown."""
        now_s = time.monotonic()
        since_s, since_count = self._counted.setdefault(symbol, (now_s, count))
        return (count - since_count) / (now_s - since_s) if now_s > since_s else float("nan")

    def _ladder(self, symbol: str) -> RenderableType:
        table = Table(box=None, padding=(0, 1), header_style="bold", title=symbol)
        for heading in ("total", "bid size", "bid", "ask", "ask size", "total"):
            table.add_column(heading, justify="right", no_wrap=True)
        row = self._board.rows.get(symbol)
        if row is None or not row.is_valid:
            return Text(f"{symbol}: no valid book", style="red")
        totals = [0.0, 0.0]
        for i in range(self._levels):
            cells: list[RenderableType] = []
            for side, levels in enumerate((row.bids, row.asks)):
                shown = ["", "", ""]
                if i < len(levels):
                    price, size = levels[i]
                    totals[side] += size
                    shown = [text_of(totals[side]), text_of(size), text_of(price)]
                cells += shown if side == 0 else reversed(shown)
            table.add_row(*cells)
        top = (
            f"mid {text_of(row.mid)}  microprice {text_of(row.microprice, 4)}  "
            f"spread {text_of(row.spread_bps, 1)} bps  imbalance {text_of(row.imbalance, 2)}"
        )
        return Group(table, Text(top, style="bold"))

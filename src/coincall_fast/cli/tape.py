"""`record` and `replay`: a stream into a file, and a file into books."""

import argparse
import sys
import time
from contextlib import ExitStack, suppress
from typing import Any

import orjson

from .._book import OrderBook
from ..coincall import Channel
from ..errors import CoincallFastError, RecordingError, TransportError
from ..streams.player import Replay
from ..streams.recorder import Recorder
from ..streams.recording import about
from ..streams.stream import Stream
from .board import Row, text_of
from .live import OPEN_S, VENUES, from_exchange, from_venue, split

__all__ = ["record", "replay"]

TOLD_S = 1.0  # between two lines of progress
PRIVATE = {Channel.ORDERS, Channel.FILLS, Channel.POSITIONS, Channel.ACCOUNT}  # of all symbols


def record(asked: argparse.Namespace) -> None:
    """All that comes of some symbols, into a file."""
    symbols = split(asked.symbols)
    with ExitStack() as held:
        if asked.sim:
            stream, symbols = held.enter_context(from_exchange(asked.seed, symbols))
        else:
            stream = from_venue(asked, symbols)
        recording = _Recording(asked, stream, symbols)
        held.enter_context(suppress(KeyboardInterrupt))
        recorder = stream.record(asked.path)  # before anything is dialled
        with stream, recorder:  # which ends first, and so with the books as they were
            recording.run(recorder)


class _Recording:
    """One run of `record`, and what is told of it."""

    def __init__(self, asked: argparse.Namespace, stream: Stream, symbols: list[str]) -> None:
        self._asked = asked
        self._stream = stream
        self._has_come = False  # anything of the channels
        self._trouble = ""
        self._began_s = time.monotonic()
        stream.on("error", self._complain)
        for name in split(asked.channels):
            channel = Channel(name) if name in [*Channel] else name
            stream.on(channel, self._come)
            stream.subscribe(channel, None if channel in PRIVATE else symbols)

    def run(self, recorder: Recorder) -> None:
        """Until it is asked to end, has lasted for as long as it should, or cannot go on."""
        self._stream.wait_open(OPEN_S)
        self._began_s = time.monotonic()
        with suppress(KeyboardInterrupt):
            self._wait(recorder)
        recorder.close()
        self._tell("end", recorder)
        if recorder.error is not None:
            raise recorder.error
        if not self._has_come and self._asked.seconds:
            raise CoincallFastError(f"nothing came: {self._trouble or 'the venue sent nothing'}")

    def _wait(self, recorder: Recorder) -> None:
        told_s = 0.0
        while recorder.error is None:
            passed_s = time.monotonic() - self._began_s
            if self._stream.state == "failed":
                raise self._stream.error or TransportError("the stream failed")
            if self._asked.seconds and passed_s >= self._asked.seconds:
                return
            if passed_s >= told_s + TOLD_S:
                told_s = passed_s
                self._tell("recording", recorder)
            time.sleep(0.02)

    def _come(self, _: object) -> None:
        self._has_come = True

    def _complain(self, error: Exception) -> None:
        self._trouble = str(error)
        # What ends us is told once, at the end.
        if self._stream.state == "open" and not isinstance(error, RecordingError):
            print(f"coincall-fast: {error}", file=sys.stderr)

    def _tell(self, what: str, recorder: Recorder) -> None:
        seconds, state = time.monotonic() - self._began_s, self._stream.state
        if self._asked.json:
            told = {
                "type": what,
                "path": str(recorder.path),
                "seconds": round(seconds, 3),
                "records": recorder.written,
                "bytes": recorder.size,
                "missing": recorder.missing,
                "state": state,
            }
            _print_json(told)
        else:
            missing = f", {recorder.missing} frames missing" if recorder.missing else ""
            print(
                f"{seconds:.1f} s  {state}  {recorder.written} records, "
                f"{recorder.size / 1e6:.1f} MB in {recorder.path}{missing}",
                flush=True,
            )


def replay(asked: argparse.Namespace) -> None:
    """The books of a recording as they come, or as they are in the end; and their fingerprint."""
    venue = VENUES.get(about(asked.path).get("venue", "coincall"))
    if venue is None:
        raise RecordingError(f"{asked.path}: a recording of a venue that is not known")
    player: Replay = venue.replay(asked.path, speed=asked.speed, skip_damage=asked.skip_damage)
    player.on("error", lambda error: print(f"coincall-fast: {error}", file=sys.stderr))
    player.on("damage", lambda damage: print(f"coincall-fast: {damage}", file=sys.stderr))
    began_s = time.monotonic()
    with suppress(KeyboardInterrupt):
        if asked.json:
            _play_as_json(player)
        elif asked.speed:
            _play_in_time(player)
        else:
            player.run()
    _sum_up(player, time.monotonic() - began_s, as_json=asked.json)


def _play_as_json(player: Replay) -> None:
    """One document for every state of a book, and for what happens to the stream."""
    player.on("gap", lambda start_ns, end_ns: _print_json(
        {"type": "gap", "start_ns": start_ns, "end_ns": end_ns}
    ))  # fmt: skip
    player.on("note", lambda text: _print_json({"type": "note", "text": text}))
    for item in player:
        if isinstance(item, OrderBook):
            _print_json(_row(item).document())


def _play_in_time(player: Replay) -> None:
    """A line for each book that has changed, once a second."""
    told_s = time.monotonic()
    changed: dict[str, OrderBook] = {}
    for item in player:
        if isinstance(item, OrderBook):
            changed[item.symbol or ""] = item
        if time.monotonic() >= told_s + TOLD_S:
            told_s = time.monotonic()
            for book in changed.values():
                print(_line(_row(book)), flush=True)
            changed.clear()


def _sum_up(player: Replay, seconds: float, *, as_json: bool) -> None:
    fingerprint = player.fingerprint.hexdigest()
    if as_json:
        counted = {
            name: getattr(player, name)
            for name in ("records", "frames", "gaps", "damages", "torn_bytes", "is_complete")
        }
        _print_json({"type": "end", **counted, "books": len(player.store), "hash": fingerprint})
        return
    for symbol in sorted(player.store):
        print(_line(_row(player.store[symbol])))
    ends = ["" if player.is_complete else "its recorder was killed, or goes on"]
    ends += [f"{player.gaps} gaps" if player.gaps else ""]
    ends += [f"a torn end of {player.torn_bytes} bytes" if player.torn_bytes else ""]
    ends += [f"{player.damages} times damage" if player.damages else ""]
    print(
        f"{player.frames} frames of {len(player.store)} books in {seconds:.1f} s",
        *filter(None, ends),
        sep=", ",
    )
    print(f"sha256 {fingerprint}")


def _row(book: OrderBook) -> Row:
    return Row.of(book, 0) if book.is_valid else Row.invalid(book.symbol or "")


def _line(row: Row) -> str:
    if not row.is_valid:
        return f"{row.symbol} invalid"
    return (
        f"{row.symbol} bid {text_of(row.best_bid)} x {text_of(row.best_bid_size)} "
        f"ask {text_of(row.best_ask)} x {text_of(row.best_ask_size)} "
        f"microprice {text_of(row.microprice, 4)} ts_ms {row.ts_ms}"
    )


def _print_json(document: dict[str, Any]) -> None:
    sys.stdout.buffer.write(orjson.dumps(document, option=orjson.OPT_APPEND_NEWLINE))
    sys.stdout.buffer.flush()

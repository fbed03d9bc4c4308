"""`demo` and `watch`: from a stream to what is shown."""

import argparse
import os
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager, suppress

from .. import bybit, coincall, gate
from ..coincall import Channel, Dialect
from ..errors import AuthError, CoincallFastError, TransportError, UsageError
from ..streams.stream import Stream
from .board import Board
from .screen import Json, Plain, Screen, View

__all__ = ["OPEN_S", "VENUES", "demo", "from_exchange", "from_venue", "split", "watch"]

VENUES = {"coincall": coincall, "bybit": bybit, "gate": gate}

OPEN_S = 15.0  # a connection that has not come about by then is a failure


def demo(asked: argparse.Namespace) -> None:
    """The main job, whole: a simulated exchange, a signed stream, compiled books, a screen."""
    with from_exchange(asked.seed, _symbols(asked)) as (stream, symbols):
        _show(asked, symbols, stream)


def watch(asked: argparse.Namespace) -> None:
    """The same against the venue, with keys from the environment."""
    symbols = _symbols(asked)
    if not symbols and asked.venue == "coincall":
        symbols = ["BTCUSD", "ETHUSD"]
    if not symbols:
        raise UsageError(f"{asked.venue} has options only: name some with --symbols")
    _show(asked, symbols, from_venue(asked, symbols))


@contextmanager
def from_exchange(seed: int, wanted: list[str]) -> Iterator[tuple[Stream, list[str]]]:
    """A stream from a simulated exchange, and its symbols: those wanted, or some of each kind."""
    from ..sim import Exchange  # what it stands on is an extra

    with Exchange(seed=seed) as exchange:
        options, futures = exchange.symbols("options"), exchange.symbols("futures")
        symbols = wanted or _interesting(futures, options)
        for symbol in symbols:
            if symbol not in options and symbol not in futures:
                raise UsageError(f"the simulated exchange has no {symbol}")
        stream = coincall.Stream(
            *_products(symbols),
            api_key=exchange.api_key,
            api_secret=exchange.api_secret,
            ws_url=exchange.ws_url,
        )
        yield stream, symbols


def from_venue(asked: argparse.Namespace, symbols: list[str]) -> Stream:
    """A stream from a venue, whose keys are in the environment, where it needs them."""
    if asked.venue != "coincall":
        given = {"edition": asked.edition, "rest_url": asked.rest_url}
        options = {name: value for name, value in given.items() if value}
        try:
            stream: Stream = VENUES[asked.venue].Stream(
                env=asked.env, ws_url=asked.ws_url, **options
            )
        except TypeError:
            raise UsageError(f"{asked.venue} takes no {' or '.join(options)}") from None
        return stream
    if asked.edition or asked.rest_url:
        raise UsageError("coincall takes no edition, and its books no REST")
    if not (os.environ.get("COINCALL_API_KEY") and os.environ.get("COINCALL_API_SECRET")):
        raise AuthError("streams are signed: set COINCALL_API_KEY and COINCALL_API_SECRET")
    return coincall.Stream(*_products(symbols), env=asked.env, ws_url=asked.ws_url)


def _symbols(asked: argparse.Namespace) -> list[str]:
    given = split(asked.symbols or ())
    if asked.levels and len(given) > 1:
        raise UsageError("--levels shows one symbol")
    is_elsewhere = getattr(asked, "venue", "coincall") != "coincall"
    return given or (["BTCUSD"] if asked.levels and not is_elsewhere else [])


def split(texts: Iterable[str]) -> list[str]:
    """Words that are given apart or by commas, each once."""
    return list(dict.fromkeys(word for text in texts for word in text.split(",") if word))


def _interesting(futures: list[str], options: list[str]) -> list[str]:
    """The perpetuals, options at the money, and two so far from it that they hardly quote."""
    expiry = options[0].split("-")[1]
    return [*futures, *options[:8], *[name for name in options if expiry in name][-2:]]


def _products(symbols: list[str]) -> list[str]:
    dialect = Dialect()
    return list(
        dict.fromkeys(
            product for symbol in symbols for product in dialect.data_types(Channel.BOOK, symbol)
        )
    )


def _show(asked: argparse.Namespace, symbols: list[str], stream: Stream) -> None:
    levels = asked.levels or 0
    board = Board(levels)
    view: View
    is_screen = sys.stdout.isatty() and not asked.json

    def trouble(error: Exception) -> None:
        board.drop_invalid(stream.store)  # whatever clears a book is an error
        board.trouble = str(error)
        # What keeps a stream from opening is told once, at the end; a screen shows the last.
        if stream.state == "open" and not is_screen:
            print(f"coincall-fast: {error}", file=sys.stderr)

    stream.on(Channel.BOOK, board.put)
    stream.on("error", trouble)
    began_s = time.monotonic()
    try:
        with stream:
            stream.subscribe(Channel.BOOK, symbols)
            stream.wait_open(OPEN_S)
            began_s = time.monotonic()
            if asked.json:
                view = Json(board)
            elif is_screen:
                view = Screen(board, stream.latency, symbols, levels)
            else:
                view = Plain(board, stream.latency)
            with closing(view), suppress(KeyboardInterrupt):
                _until_ended(asked, stream, board, view, began_s)
    except KeyboardInterrupt:
        return  # before anything could be shown
    if not board.updates and asked.seconds:
        raise CoincallFastError(f"no book came: {board.trouble or 'the venue sent none'}")
    _summary(board, stream, symbols, time.monotonic() - began_s, to_stderr=asked.json)


def _until_ended(
    asked: argparse.Namespace, stream: Stream, board: Board, view: View, began_s: float
) -> None:
    while not asked.seconds or time.monotonic() < began_s + asked.seconds:
        if stream.state == "failed":
            raise stream.error or TransportError("the stream failed")
        board.news.wait(view.period_s)
        view.show(stream.state)
        time.sleep(view.period_s)
    view.show(stream.state)


def _summary(
    board: Board, stream: Stream, symbols: list[str], seconds: float, *, to_stderr: bool
) -> None:
    _, p50_ns, p99_ns, *_ = stream.latency.book_ns()
    shown = sum(symbol in stream.store for symbol in symbols)
    print(
        f"{board.updates} updates of {shown} books in {seconds:.1f} s, "
        f"frame to book p50 {p50_ns:.0f} ns, p99 {p99_ns:.0f} ns",
        file=sys.stderr if to_stderr else sys.stdout,
    )

"""The command line: `coincall-fast` and `python -m coincall_fast`.

Exit codes: 0 done, 1 failed, 2 usage, 3 connection or authentication.
"""

import argparse
import contextlib
import os
import signal
import sys
from collections.abc import Sequence
from typing import NoReturn

from .. import __version__
from ..errors import AuthError, CoincallFastError, TransportError, UsageError
from . import bench, doctor, exchange, live, tape
from .cancel_all import cancel_all
from .money import add_trading

__all__ = ["main"]

DONE, FAILED, USAGE, CONNECTION = range(4)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command; returns the exit code."""
    asked = _parser().parse_args(arguments)
    signal.signal(signal.SIGTERM, _interrupt)  # `timeout` and service managers end us like Ctrl-C
    try:
        return int(asked.run(asked) or DONE)
    except KeyboardInterrupt:
        return DONE
    except BrokenPipeError:  # the reader of our lines has seen enough
        with contextlib.suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE
    except UsageError as error:
        return _complain(error, USAGE)
    except (AuthError, TransportError) as error:
        return _complain(error, CONNECTION)
    except (CoincallFastError, ImportError, OSError) as error:
        return _complain(error, FAILED)


def _complain(error: Exception, code: int) -> int:
    print(f"coincall-fast: {error}", file=sys.stderr)
    return code


def _interrupt(*_: object) -> NoReturn:
    raise KeyboardInterrupt


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="coincall-fast", description="Compiled order books for Coincall."
    )
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(required=True, metavar="command")

    demo = commands.add_parser(
        "demo", help="live books from a simulated exchange on this machine; no keys, no network"
    )
    demo.add_argument("--seed", type=int, default=0, help="the market; the same seed, the same one")
    _add_view(demo, "two perpetuals and options around the money")
    demo.set_defaults(run=live.demo)

    watch = commands.add_parser(
        "watch", help="live books from a venue; keys from COINCALL_API_KEY and COINCALL_API_SECRET"
    )
    _choose_venue(watch)
    _add_venue(watch)
    _add_view(watch, "BTCUSD and ETHUSD")
    watch.set_defaults(run=live.watch)

    record = commands.add_parser(
        "record", help="write what a venue sends into a file, until stopped"
    )
    record.add_argument("path", help="a new file, or a recording that is to be continued")
    record.add_argument("symbols", nargs="+", metavar="SYMBOL", help="apart or by commas")
    record.add_argument(
        "--channels",
        nargs="+",
        metavar="CHANNEL",
        default=["book,trades,ticker"],
        help="apart or by commas, by our names or the venue's; default: book, trades, ticker",
    )
    record.add_argument("--sim", action="store_true", help="from a simulated exchange; no keys")
    record.add_argument("--seed", type=int, default=0, help="its market")
    _choose_venue(record)
    _add_venue(record)
    record.add_argument("--seconds", type=_positive, metavar="N", help="end after N seconds")
    record.add_argument("--json", action="store_true", help="one JSON document a line")
    record.set_defaults(run=tape.record)

    replay = commands.add_parser("replay", help="the books of a recording, and their fingerprint")
    replay.add_argument("path")
    replay.add_argument(
        "--speed", type=_positive, metavar="X", help="1: in its own time; default: at full speed"
    )
    replay.add_argument(
        "--skip-damage", action="store_true", help="go on behind it, as after a gap"
    )
    replay.add_argument("--json", action="store_true", help="one JSON document a line")
    replay.set_defaults(run=tape.replay)

    cancel = commands.add_parser(
        "cancel-all", help="cancel all orders of both products, and see that none is left"
    )
    add_trading(cancel)
    cancel.add_argument(
        "--timeout", type=_positive, metavar="S", default=30.0, help="seconds; default: 30"
    )
    cancel.add_argument("--json", action="store_true", help="one JSON document a line")
    cancel.set_defaults(run=cancel_all)

    speed = commands.add_parser("bench", help="how fast it is on this machine; no keys, no network")
    speed.add_argument("--seconds", type=_positive, metavar="N", default=5.0, help="default: 5")
    speed.add_argument("--json", action="store_true", help="one JSON document")
    speed.set_defaults(run=bench.bench)

    look = commands.add_parser(
        "doctor", help="is all in order: this machine, the network, the clock, the keys; read-only"
    )
    look.add_argument("--sim", action="store_true", help="a simulated exchange instead; no keys")
    _add_venue(look)
    look.add_argument("--rest-url", help="another address of REST")
    look.add_argument(
        "--probe",
        action="store_true",
        help="instead, ask the venue what its documents leave open; takes a minute or two",
    )
    look.add_argument("--json", action="store_true", help="one JSON document a line")
    look.set_defaults(run=doctor.doctor)

    sim = commands.add_parser("sim", help="the simulated exchange alone, until stopped")
    sim.add_argument("--port", type=_port, default=0, help="default: a free one")
    sim.add_argument("--seed", type=int, default=0, help="the market; the same seed, the same one")
    sim.add_argument(
        "--speed",
        type=_positive,
        default=1.0,
        metavar="X",
        help="of the market's clock; default: 1",
    )
    sim.add_argument(
        "--set",
        action="append",
        metavar="NAME=VALUE",
        help="anything else that coincall_fast.sim.Exchange takes, as JSON or text; repeatable",
    )
    sim.add_argument("--seconds", type=_positive, metavar="N", help="end after N seconds")
    sim.add_argument("--json", action="store_true", help="says where it is as one JSON document")
    sim.set_defaults(run=exchange.simulate)
    return parser


def _choose_venue(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--venue",
        choices=tuple(live.VENUES),
        default="coincall",
        help="default: coincall; the books of the others need no keys",
    )
    parser.add_argument("--edition", help="of Bybit's interface: v5 (default) or v1")
    parser.add_argument("--rest-url", help="another address of Gate's REST, where books begin")


def _add_venue(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--env",
        choices=("prod", "beta", "testnet"),
        help="beta is Coincall's, testnet the others'; default: COINCALL_ENV, else prod",
    )
    parser.add_argument("--ws-url", help="another base address, without the product")


def _add_view(parser: argparse.ArgumentParser, symbols: str) -> None:
    parser.add_argument(
        "--symbols", nargs="+", metavar="SYMBOL", help=f"apart or by commas; default: {symbols}"
    )
    parser.add_argument("--levels", type=_count, metavar="N", help="a ladder of one symbol")
    parser.add_argument("--seconds", type=_positive, metavar="N", help="end after N seconds")
    parser.add_argument("--json", action="store_true", help="one JSON document a line")


def _positive(text: str) -> float:
    number = float(text)
    if not 0 < number < 1e9:
        raise ValueError
    return number


def _port(text: str) -> int:
    number = int(text)
    if not 0 <= number < 65536:
        raise ValueError
    return number


def _count(text: str) -> int:
    number = int(text)
    if not 1 <= number <= 100:
        raise argparse.ArgumentTypeError(f"{number}: must be 1 to 100")
    return number

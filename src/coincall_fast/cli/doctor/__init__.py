"""`doctor`: what stands between this machine and a running stream, and what to do about it.

Read-only. Nothing that it prints has a secret in it.
"""

import argparse
import json
import textwrap
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from ...environment import hosts
from . import machine, probe, reach
from .access import Access
from .checks import Check, Verdict

__all__ = ["doctor"]

FAILED, CONNECTION = 1, 3
WIDTH, NAME = 100, 16  # columns


def doctor(asked: argparse.Namespace) -> int:
    """Looks at everything, in the order in which it depends on each other."""
    show: Callable[[Check], None] = _as_json if asked.json else _as_text
    code = 0
    with _access(asked) as access:
        if asked.probe:
            return probe.report(access, as_json=asked.json)
        for failure, checks in _all(access):
            for check in checks:
                show(check)
                if check.verdict is Verdict.FAIL:
                    code = max(code, failure)
    return code


def _all(access: Access) -> Iterator[tuple[int, Iterator[Check]]]:
    """Each group of checks, and what a failure of one ends the command with."""
    yield FAILED, machine.look()
    yield CONNECTION, reach.look("rest", access.rest_url)
    yield FAILED, access.time()
    yield CONNECTION, reach.look("ws", access.ws_url)
    yield CONNECTION, access.keys()
    yield CONNECTION, access.streams()


@contextmanager
def _access(asked: argparse.Namespace) -> Iterator[Access]:
    """To the venue, or to a simulated one."""
    if not asked.sim:
        known = hosts(asked.env)
        with Access(asked.rest_url or known.rest, asked.ws_url or known.ws) as access:
            yield access
        return
    from ...sim import Exchange  # what it stands on is an extra

    with Exchange() as exchange:
        urls = exchange.rest_url, exchange.ws_url
        with Access(*urls, exchange.api_key, exchange.api_secret) as access:
            yield access


def _as_json(check: Check) -> None:
    print(json.dumps({"type": "check", **check._asdict()}), flush=True)


def _as_text(check: Check) -> None:
    begin = f"{check.verdict:5} {check.name:{NAME}} "
    lines = textwrap.wrap(
        check.seen, WIDTH, initial_indent=begin, subsequent_indent=" " * len(begin)
    )
    lines += textwrap.wrap(
        check.advice,
        WIDTH,
        initial_indent=" " * len(begin) + "→ ",
        subsequent_indent=" " * (len(begin) + 2),
    )
    print(*lines, sep="\n", flush=True)

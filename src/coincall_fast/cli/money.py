"""Real money asks for `--live`: the one place where commands and examples that trade ask.

Beta and what runs on this machine, such as the simulated exchange, have none; whatever else an
address leads to is taken for prod.
"""

import argparse
import ipaddress
import os
from typing import Any
from urllib.parse import urlsplit

from ..coincall import Client
from ..environment import HOSTS, hosts
from ..errors import AuthError, UsageError

__all__ = ["add_trading", "demand_live", "trading_client"]

_PLAY = {urlsplit(address).hostname for address in HOSTS["coincall"]["beta"]} | {"localhost"}


def add_trading(parser: argparse.ArgumentParser) -> None:
    """The options of what trades: where, and whether it is meant."""
    parser.add_argument("--env", choices=("prod", "beta"), help="default: COINCALL_ENV, else prod")
    parser.add_argument("--rest-url", metavar="URL", help="another base address")
    parser.add_argument(
        "--live", action="store_true", help="it is meant: prod is refused without this"
    )


def demand_live(address: str, is_live: bool) -> None:
    """Raises UsageError for an address where there is real money, unless that is meant."""
    if not (is_live or _is_play(address)):
        raise UsageError(f"{_host(address)} trades real money: say --live, or --env beta")


def trading_client(asked: argparse.Namespace, **how: Any) -> Client:
    """The client of what `add_trading` asks for, with keys from the environment."""
    address = asked.rest_url or hosts(asked.env).rest
    demand_live(address, asked.live)
    if not (os.environ.get("COINCALL_API_KEY") and os.environ.get("COINCALL_API_SECRET")):
        raise AuthError("orders are signed: set COINCALL_API_KEY and COINCALL_API_SECRET")
    return Client(rest_url=address, **how)


def _is_play(address: str) -> bool:
    host = _host(address)
    try:
        return host in _PLAY or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _host(address: str) -> str:
    try:
        return urlsplit(address).hostname or ""
    except ValueError:
        raise UsageError("an address cannot be parsed") from None

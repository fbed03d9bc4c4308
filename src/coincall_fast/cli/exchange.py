"""`sim`: the simulated exchange alone, for other programs."""

import argparse
import inspect
import json
import time
from contextlib import suppress
from typing import Any

from ..errors import UsageError

__all__ = ["simulate"]

OWN = ("port", "seed", "speed")  # settings that have an option of their own


def simulate(asked: argparse.Namespace) -> None:
    """Says where the exchange is and which key it knows, and runs it until stopped."""
    from ..sim import Exchange  # what it stands on is an extra

    settings = {name: getattr(asked, name) for name in OWN}
    known = dict(inspect.signature(Exchange).parameters)
    for name in OWN:
        del known[name]
    for text in asked.set or ():
        name, value = _setting(text)
        if name not in known:
            raise UsageError(f"--set {name}: must be one of {', '.join(known)}")
        if not _fits(value, known[name].default):
            raise UsageError(f"--set {name}: {value!r} is none")
        settings[name] = value
    try:
        exchange = Exchange(**settings)
    except (TypeError, ValueError) as error:
        raise UsageError(f"no such exchange: {error}") from None
    with exchange:
        names = ("rest_url", "ws_url", "api_key", "api_secret")
        where = {name: getattr(exchange, name) for name in names}
        if asked.json:
            print(json.dumps(where), flush=True)
        else:
            print(f"REST       {where['rest_url']}")
            print(f"WebSocket  {where['ws_url']}/options  {where['ws_url']}/futures")
            print(f"test key   {where['api_key']}")
            print(f"secret     {where['api_secret']}", flush=True)
        with suppress(KeyboardInterrupt):
            time.sleep(asked.seconds or 10**9)


def _setting(text: str) -> tuple[str, Any]:
    """NAME=VALUE; a value that is no JSON is a text."""
    name, separator, value = text.partition("=")
    if not separator:
        raise UsageError(f"--set {text}: a setting is NAME=VALUE")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value


def _fits(value: Any, default: Any) -> bool:
    """Whether a value is of the kind of the one that it replaces."""
    if default is None:
        return True
    if isinstance(default, tuple):
        return isinstance(value, list)
    if isinstance(default, float):
        return type(value) in (int, float)
    return type(value) is type(default)

"""A client and a scripted server that it asks, for the tests of what goes wrong between them."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import trustme

from coincall_fast import (
    Client,
    Rate,
    Timeout,
)
from coincall_fast.rest.endpoints import RATES
from stub_server import KEY, SECRET, Asked, Raw, Stub, serving

USER = {"name": "x", "email": "y", "userId": 5}
QUICK = Timeout(connect_s=0.5, read_s=0.5, total_s=0.5)
WIDE = {name: Rate(1000, 0.1, name) for name in RATES}

HTML = Raw(b"<html><body>Attention required</body></html>", headers={"Content-Type": "text/html"})


@contextmanager
def connected(
    answer: Callable[[Asked], Raw], *, tls: trustme.LeafCert | None = None, **how: Any
) -> Iterator[tuple[Stub, Client]]:
    how.setdefault("rates", WIDE)
    with serving(answer, tls=tls) as stub, Client(KEY, SECRET, rest_url=stub.url, **how) as client:
        yield stub, client


def cancel(client: Client) -> None:
    """A write, sent once."""
    client.futures._cancel_all_once("BTCUSD", end_s=time.monotonic() + 60)


def answering(*answers: Raw) -> Callable[[Asked], Raw]:
    """These in turn, and then the last one for ever."""
    left = list(answers)
    return lambda asked: left.pop(0) if len(left) > 1 else left[0]


def client_to(exchange, url=None, **how):
    """A client of an exchange that counts no requests; `url` is that of a proxy before it."""
    keys = {"api_key": exchange.api_key, "api_secret": exchange.api_secret}
    usual = {"rest_url": url or exchange.rest_url, "timeout": 5.0, "rates": WIDE}
    return Client(**(keys | usual | how))

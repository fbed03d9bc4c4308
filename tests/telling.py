"""A client that tells each step of its orders, in the simplest way there is.

It numbers its orders, tells what it knows, and asks nobody: whatever is unknown stays so until
somebody else finds out.
"""

import itertools
from collections.abc import Callable
from typing import Any

from coincall_fast import Client, CoincallFastError, TransportError, Unavailable
from coincall_fast.rest.endpoints import RATES
from coincall_fast.rest.rates import Rate
from coincall_fast.rest.tickets import as_order
from coincall_fast.steps import Stage, Step

WIDE = {name: Rate(1000, 0.1, name) for name in RATES}
NUMBERS = itertools.count(1)


class _Market:
    """A product's verbs, of which those that trade tell."""

    def __init__(self, market, tell):
        self._market = market
        self._tell = tell

    def __getattr__(self, name):
        return getattr(self._market, name)

    def _told(self, verb, fields):
        order, product = as_order(fields), self._market.product
        self._tell(Step(product, verb, Stage.SENT, order))
        try:
            answer = getattr(self._market, verb)(**fields)
        except CoincallFastError as error:
            is_unknown = isinstance(error, TransportError | Unavailable) and error.is_sent
            stage = Stage.UNKNOWN if is_unknown else Stage.REFUSED
            self._tell(Step(product, verb, stage, order, error))
            raise
        self._tell(Step(product, verb, Stage.TAKEN, answer or order))
        return answer

    def place_order(self, **fields):
        return self._told("place_order", {"client_order_id": next(NUMBERS)} | fields)

    def modify_order(self, **fields):
        return self._told("modify_order", fields)

    def cancel_order(self, **fields):
        return self._told("cancel_order", fields)


class Telling:
    """`Client.on_step` and `Client.heard`, and the nouns."""

    def __init__(self, client: Client) -> None:
        self._callbacks: list[Callable[[Step], object]] = []
        self.account = client.account
        self.options = _Market(client.options, self._tell)
        self.futures = _Market(client.futures, self._tell)

    def on_step(self, callback):
        self._callbacks.append(callback)

    def heard(self, order):
        """It waits for none."""

    def _tell(self, step):
        for callback in self._callbacks:
            callback(step)


def telling(client: Client) -> Any:
    return client if hasattr(client, "on_step") else Telling(client)


def client_to(exchange, url=None, **how):
    """A client of an exchange that counts no requests."""
    keys = {"api_key": exchange.api_key, "api_secret": exchange.api_secret}
    usual = {"rest_url": url or exchange.rest_url, "timeout": 5.0, "rates": WIDE}
    return Client(**(keys | usual | how))

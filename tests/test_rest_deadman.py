"""The end of all orders where one product fails: the other is asked all the same, and in time."""

import contextlib
import json
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from coincall_fast import (
    AuthError,
    Client,
    DecodeError,
    OrderRejected,
    OrdersRemain,
    Unavailable,
)
from coincall_fast.rest.client import Deadman
from rest_clients import WIDE, connected
from stub_server import Asked, Raw, envelope

pytestmark = pytest.mark.usefixtures("short_waits", "no_names")

NO = envelope(None, 10558, "no")
DOWN = envelope(None, 10000, "Try again later")


class Counted:
    """A venue of countdowns: `fails` has the answers of products that fail."""

    def __init__(self) -> None:
        self.fails: dict[int, Raw] = {}
        self.standing: set[tuple[int, str]] = set()
        self.beaten: list[int] = []

    def __call__(self, asked: Asked) -> Raw:
        sent = json.loads(asked.body)
        product: int = sent["type"]
        if "heartbeat" in asked.path:
            self.beaten.append(product)
            return self.fails.get(product) or envelope(sent["symbols"].split(","))
        one = product, sent["symbol"]
        if not sent["countdownTime"]:
            self.standing.discard(one)
        elif product not in self.fails:
            self.standing.add(one)
        return self.fails.get(product) or envelope(True)


@pytest.fixture
def venue() -> Counted:
    return Counted()


@pytest.fixture
def client(venue: Counted) -> Iterator[Client]:
    with connected(venue) as (_, made):
        yield made


@pytest.mark.parametrize("product", [1, 2])
@pytest.mark.parametrize(
    ("answer", "kind"),
    [(DOWN, Unavailable), (envelope([]), OrderRejected), (Raw(b"{"), DecodeError)],
    ids=["down", "lapsed", "broken"],
)
def test_a_beat_reaches_the_other_product(
    client: Client, venue: Counted, product: int, answer: Raw, kind: type[Exception]
) -> None:
    switch = client.deadman(["BTCUSD", "ETHUSD"], 5000)
    venue.fails = {product: answer}
    with pytest.raises(kind):
        switch.beat()
    assert venue.beaten == [1, 2]


@pytest.mark.parametrize("product", [1, 2])
def test_what_was_set_half_way_is_taken_back(client: Client, venue: Counted, product: int) -> None:
    venue.fails = {product: envelope(None, 10008, "IP illegal")}
    with pytest.raises(AuthError, match="IP illegal"):
        client.deadman(["BTCUSD", "ETHUSD"], 5000)
    assert venue.standing == set()


def test_closing_takes_back_all_that_it_can(client: Client, venue: Counted) -> None:
    switch = client.deadman(["BTCUSD", "ETHUSD"], 5000)
    assert len(venue.standing) == 4
    venue.fails = {1: DOWN}
    with pytest.raises(Unavailable):
        switch.close()
    assert venue.standing == set()  # the venue may well have done what it answers no more


def test_a_countdown_that_was_not_set(client: Client, venue: Counted) -> None:
    """Whoever takes `false` for yes has no switch at all."""
    venue.fails = {1: envelope(False), 2: envelope(False)}
    with pytest.raises(DecodeError, match="it was not done"):
        client.deadman(["BTCUSD"], 5000)
    venue.fails = {}
    assert isinstance(client.deadman(["BTCUSD"], 5000), Deadman)


@pytest.mark.parametrize("rows", [[{"result": False}], [{"result": True}, {"result": False}], [{}]])
def test_a_freeze_that_did_not_end(rows: Any) -> None:
    with (
        connected(lambda asked: envelope(rows)) as (_, client),
        pytest.raises(DecodeError, match="it was not done"),
    ):
        client.options.mmp.reset("BTCUSD")


@pytest.mark.parametrize("hanging", ["option", "futures"])
def test_a_product_that_hangs_keeps_none_of_the_others_orders(hanging: str) -> None:
    """Whatever one is asked it never answers; the other has an order, and loses it."""
    well = {"option": "futures", "futures": "option"}[hanging]
    ending = threading.Event()
    cancelled: list[str] = []

    def answer(asked: Asked) -> Raw:
        if f"/{hanging}/" in asked.path:
            ending.wait(60)
        if "cancelOpenOrders" in asked.path:
            cancelled.append(asked.path)
        if "pending" not in asked.path:
            return envelope(None)
        symbol = "BTCUSD" if well == "futures" else "BTCUSD-1JAN40-1-C"
        return envelope({"list": [] if cancelled else [{"orderId": 5, "symbol": symbol}]})

    with connected(answer, rates=WIDE) as (_, client):
        for market in (client.options, client.futures):
            market.traded |= {"AUSD", "BUSD"}
        begin_s = time.monotonic()
        with contextlib.ExitStack() as stack:
            stack.callback(ending.set)
            with pytest.raises(OrdersRemain, match="no answer"):
                client.cancel_everything(2.0)
        assert time.monotonic() - begin_s < 30
    assert f"/open/{well}/order/cancelOpenOrders/v1/AUSD" in cancelled
    assert f"/open/{well}/order/cancelOpenOrders/v1/BUSD" in cancelled

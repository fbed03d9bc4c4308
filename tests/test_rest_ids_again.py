"""Ids that a caller gives himself, and gives again: no order is taken for another one's."""

import time
from typing import Any

import pytest

from coincall_fast import (
    AmbiguousOrderError,
    DuplicateOrder,
    Order,
    OrderRejected,
    OrderState,
    Stage,
    TransportError,
    UsageError,
)
from stub_server import Raw, envelope
from test_rest_outcomes import CUT, NEW, OPTION, Venue, once, stages, trading, until

pytestmark = pytest.mark.usefixtures("short_waits", "no_names")


def earlier(venue: Venue, number: int, *, state: int, seconds: float = 5, **how: Any) -> int:
    """An order of this client order id, from before; its order id."""
    order_id = 77_000 + number
    venue.orders[number] = {
        "orderId": order_id,
        "clientOrderId": number,
        "symbol": "BTCUSD",
        "tradeSide": 1,
        "qty": "0.1",
        "price": "1000",
        "createTime": time.time_ns() // 1_000_000 - int(seconds * 1000),
        "state": state,
    } | how
    return order_id


@pytest.mark.parametrize("state", [1, 3])
def test_an_order_of_this_id_that_has_ended(state: int) -> None:
    """The request was lost, and what the venue has of this id is older than it."""
    with trading() as (venue, client, steps):
        earlier(venue, 5, state=state)
        venue.fate = once(CUT, executes=False)
        with pytest.raises(TransportError) as caught:
            client.futures.place_order(**NEW, client_order_id=5)
        assert caught.value.is_inferred
        assert stages(steps) == [Stage.SENT, Stage.UNKNOWN, Stage.ABSENT]


def test_an_order_of_this_id_that_is_open() -> None:
    with trading() as (venue, client, steps):
        earlier(venue, 5, state=0)
        venue.fate = once(CUT, executes=True)
        with pytest.raises(DuplicateOrder, match="another order"):
            client.futures.place_order(**NEW, client_order_id=5)
        assert stages(steps) == [Stage.SENT, Stage.UNKNOWN, Stage.REFUSED]


def test_a_refusal_in_a_batch_for_an_id_that_an_earlier_order_has() -> None:
    with trading() as (venue, client, _):
        old = earlier(venue, 5, state=0, symbol=OPTION)

        def fate(verb: str, sent: dict[str, Any]) -> tuple[Raw, bool]:
            earlier(venue, 6, state=0, symbol=OPTION, seconds=0)
            rows = [
                {"code": 10577, "msg": "Duplicated client order ID.", "data": None},
                {"code": 0, "msg": "", "data": 77_006},
            ]
            return envelope(rows), False

        venue.fate = fate
        new = NEW | {"symbol": OPTION}
        first, second = client.options.place_orders(
            [new | {"client_order_id": 5}, new | {"client_order_id": 6}]
        )
        assert isinstance(first.error, DuplicateOrder)
        assert second.order is not None
        assert second.order.order_id == 77_006
        client._watch.turn()
        client.options.open_orders()
        client._watch.turn()
        assert (venue.orders[5]["orderId"], venue.orders[5]["state"]) == (old, 0)


def test_two_changes_of_one_order_in_a_batch() -> None:
    """Nothing would tell which of them an answer is about."""
    with trading() as (venue, client, _):
        for name in ("order_id", "client_order_id"):
            changes = [{"symbol": OPTION, name: 1, "price": price} for price in (1, 2)]
            with pytest.raises(UsageError, match="one order"):
                client.options.modify_orders(changes)
        assert venue.writes == []


@pytest.mark.parametrize("known", [True, False])
def test_an_order_that_is_placed_again_by_its_id(known: bool) -> None:
    """Its caller counts on it again: it is not late, and stays."""
    with trading() as (venue, client, steps):
        venue.fate, venue.reads = once(CUT, executes=False), known
        with pytest.raises(TransportError if known else AmbiguousOrderError):
            client.futures.place_order(**NEW, client_order_id=5)
        venue.reads = True
        order = client.futures.place_order(**NEW, client_order_id=5)
        assert [seen.order_id for seen in client.futures.open_orders()] == [order.order_id]
        client._watch.turn()
        assert venue.orders[5]["state"] == 0
        assert Stage.LATE not in stages(steps)
        assert not client._sightings.is_watching


def test_an_order_that_is_placed_again_and_was_there() -> None:
    """That says that it is there, and whoever placed it may build on it."""
    with trading() as (venue, client, steps):
        venue.fate, venue.reads = once(CUT, executes=True), False
        with pytest.raises(AmbiguousOrderError):
            client.futures.place_order(**NEW, client_order_id=5)
        with pytest.raises(DuplicateOrder):
            client.futures.place_order(**NEW, client_order_id=5)
        venue.reads = True
        client.futures.open_orders()
        client._watch.turn()
        assert venue.orders[5]["state"] == 0
        assert Stage.LATE not in stages(steps)


def test_an_order_that_is_placed_again_in_vain_is_still_watched() -> None:
    with trading() as (venue, client, steps):
        venue.fate, venue.reads = once(CUT, executes=False), False
        with pytest.raises(AmbiguousOrderError):
            client.futures.place_order(**NEW, client_order_id=5)
        venue.fate = once(envelope(None, 10529, "no funds"), executes=False)
        with pytest.raises(OrderRejected):
            client.futures.place_order(**NEW, client_order_id=5)
        venue.reads = True
        earlier(venue, 5, state=0, seconds=0)  # the first request has come at last
        client.futures.open_orders()
        until(lambda: venue.orders[5]["state"] == 3)
        assert Stage.LATE in stages(steps)


def test_a_cancellation_by_an_id_that_an_order_of_the_other_product_has() -> None:
    with trading() as (venue, client, _):
        earlier(venue, 5, state=0)

        def fate(verb: str, sent: dict[str, Any]) -> tuple[Raw, bool]:
            if len(venue.writes) == 1:
                client.heard(
                    Order(order_id=6, client_order_id=5, symbol=OPTION, state=OrderState.CANCELED)
                )
            return CUT, len(venue.writes) > 1

        venue.fate = fate
        client.futures.cancel_order(client_order_id=5)
        assert venue.orders[5]["state"] == 3

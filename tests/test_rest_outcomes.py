"""Outcomes over real sockets: what a client tells of an order, step by step."""

import logging
import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from random import Random
from typing import Any

import pytest

from coincall_fast import (
    AmbiguousOrderError,
    Client,
    CoincallFastError,
    DuplicateOrder,
    Order,
    OrderNotFound,
    OrderRejected,
    OrderState,
    Rate,
    RateLimited,
    Stage,
    Step,
    TransportError,
    Unavailable,
    UsageError,
)
from coincall_fast.rest import inquiry, watch
from coincall_fast.rest.endpoints import RATES, with_reserve
from coincall_fast.rest.outcomes import Pace
from rest_clients import WIDE
from stub_server import KEY, SECRET, Asked, Raw, envelope, params, serving

pytestmark = pytest.mark.usefixtures("short_waits", "no_names")

ORDERS = 3000 if os.environ.get("COINCALL_FAST_LONG") else 150
CONFIG = {
    "optionConfig": {"BTCUSD": {"tickSize": 0.1, "qtyDecimal": 2}},
    "futuresConfig": {"BTCUSD": {"tickSize": 0.1, "qtyDecimal": 3, "minQty": 0.001}},
}
OPTION = "BTCUSD-1JAN40-5-C"
LISTED = {"symbolName": OPTION, "expirationTimestamp": 2**41, "strike": 5, "minQty": 0.01}
NEW: dict[str, Any] = {
    "symbol": "BTCUSD",
    "side": "buy",
    "qty": "0.1",
    "order_type": "limit",
    "price": 1000,
}
CUT = Raw(b"", close=True, length=9)
HALF = Raw(b'{"code":0,"da')
DOWN = Raw(b"<html>", status=500)
LATER = envelope(None, 10582, "Order timed out, please try again later.")


class Venue:
    """Orders as they are. `fate` answers a write instead of it, or None; `executes` says whether it
    is done all the same, and `reads` whether the venue can be asked."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.orders: dict[int, dict[str, Any]] = {}  # by client order id
        self.writes: list[tuple[str, dict[str, Any]]] = []
        self.fate: Callable[[str, dict[str, Any]], tuple[Raw | None, bool]] = lambda *_: (
            *(None, True),
        )
        self.reads = True
        self.is_hidden = False

    def __call__(self, asked: Asked) -> Raw:
        path, sent = asked.path, params(asked)
        if path.endswith("config/v1"):
            return envelope(CONFIG)
        if "getInstruments" in path:
            return envelope([LISTED])
        with self.lock:
            if asked.method == "GET" and "ancel" not in path:
                return self._told(path, sent) if self.reads else DOWN
            verb = path.split("/")[-2]
            self.writes.append((verb, sent))
        answer, executes = self.fate(verb, sent)
        with self.lock:
            done = self.execute(verb, sent) if executes else None
        return answer or done or envelope()

    def execute(self, verb: str, sent: dict[str, Any]) -> Raw | None:
        if verb not in ("create", "modify", "cancel"):
            return None
        if verb == "create":
            number = int(sent["clientOrderId"])
            if number in self.orders:
                return envelope(None, 10577, "Duplicated client order ID.")
            self.orders[number] = {
                "orderId": 10**15 + len(self.orders),
                "clientOrderId": number,
                "symbol": sent["symbol"],
                "tradeSide": int(sent["tradeSide"]),
                "qty": str(sent["qty"]),
                "price": str(sent["price"]),
                "createTime": time.time_ns() // 1_000_000,
                "state": 0,
            }
            return envelope(self.orders[number]["orderId"])
        order = self.find(sent)
        if order is None or order["state"] != 0:
            return envelope(None, 10584, "Order does not exist.")
        if verb == "cancel":
            order["state"] = 3
            return envelope()
        order |= {name: str(sent[name]) for name in ("qty", "price") if name in sent}
        return envelope(order["orderId"])

    def find(self, sent: dict[str, Any]) -> dict[str, Any] | None:
        if "clientOrderId" in sent:
            return self.orders.get(int(sent["clientOrderId"]))
        wanted = int(sent["orderId"])
        return next((o for o in self.orders.values() if o["orderId"] == wanted), None)

    def _told(self, path: str, sent: dict[str, Any]) -> Raw:
        shown = {} if self.is_hidden else self.orders
        if "singleQuery" in path:
            found = None if self.is_hidden else self.find(sent)
            return envelope(None, 10584, "Order does not exist.") if not found else envelope(found)
        is_open = "pending" in path
        rows = [order for order in shown.values() if (order["state"] == 0) == is_open]
        return envelope({"list": rows[::-1][:500], "hasNext": False})


def once(answer: Raw, *, executes: bool, verb: str = "create") -> Any:
    """This fate for the first write of this verb; the others are done."""
    left = [answer]

    def fate(asked: str, _: dict[str, Any]) -> tuple[Raw | None, bool]:
        return (left.pop(), executes) if asked == verb and left else (None, True)

    return fate


@contextmanager
def trading(**how: Any) -> Iterator[tuple[Venue, Client, list[Step]]]:
    venue, steps = Venue(), list[Step]()
    switches: dict[str, Any] = {"rates": WIDE, "order_window_ms": 100} | how
    with serving(venue) as stub:
        stub.keeps_time = False
        with Client(KEY, SECRET, rest_url=stub.url, **switches) as client:
            client.on_step(steps.append)
            client.futures.instruments()
            yield venue, client, steps


def stages(steps: list[Step]) -> list[Stage]:
    return [step.stage for step in steps]


def until(is_so: Callable[[], object]) -> None:
    end_s = time.monotonic() + 20
    while not is_so():
        assert time.monotonic() < end_s
        time.sleep(0.005)


def test_the_steps_of_an_order() -> None:
    with trading() as (venue, client, steps):
        order = client.futures.place_order(**NEW)
        assert order.client_order_id in venue.orders
        assert stages(steps) == [Stage.SENT, Stage.TAKEN]
        assert steps[0].order.order_id is None
        assert steps[0].order.client_order_id == order.client_order_id
        assert steps[1] == Step("futures", "place_order", Stage.TAKEN, order)
        client.futures.modify_order(symbol="BTCUSD", order_id=order.order_id, price=1001)
        client.futures.cancel_order(order_id=order.order_id)
        with pytest.raises(OrderNotFound) as caught:
            client.futures.cancel_order(client_order_id=order.client_order_id)
        assert caught.value.state is OrderState.CANCELED
        told = [(step.verb, step.stage) for step in steps[2:]]
        assert told == [
            ("modify_order", Stage.SENT),
            ("modify_order", Stage.TAKEN),
            ("cancel_order", Stage.SENT),
            ("cancel_order", Stage.TAKEN),
            ("cancel_order", Stage.SENT),
            ("cancel_order", Stage.REFUSED),
        ]
        venue.fate = once(envelope(None, 10529, "no funds"), executes=False)
        with pytest.raises(OrderRejected) as refused:
            client.futures.place_order(**NEW, client_order_id=7)
        assert (refused.value.client_order_id, refused.value.is_inferred) == (7, False)
        assert steps[-1].error is refused.value


def test_the_step_before_is_told_before() -> None:
    """Whoever keeps orders knows of one before the venue can."""
    with trading() as (venue, client, _):
        seen: list[int] = []
        client.on_step(lambda step: seen.append(len(venue.writes)))
        client.futures.place_order(**NEW)
        client.options.place_order(**(NEW | {"symbol": OPTION}))
        assert seen == [0, 1, 1, 2]


def test_a_callback_that_raises(caplog: pytest.LogCaptureFixture) -> None:
    def wrong(step: Step) -> None:
        raise ZeroDivisionError

    with trading() as (venue, client, steps):
        client._steps._callbacks = ()
        client.on_step(wrong)
        client.on_step(steps.append)
        order = client.futures.place_order(**NEW)
        assert venue.find({"orderId": order.order_id})
        assert stages(steps) == [Stage.SENT, Stage.TAKEN]
    assert caplog.text.count("a callback of on_step, told that place_order is ") == 2


@pytest.mark.parametrize("answer", [CUT, HALF, DOWN, LATER], ids=["cut", "half", "500", "10582"])
@pytest.mark.parametrize("executes", [True, False])
def test_an_answer_that_does_not_come(answer: Raw, executes: bool) -> None:
    with trading() as (venue, client, steps):
        venue.fate = once(answer, executes=executes)
        if executes:
            order = client.futures.place_order(**NEW)
            assert order.order_id == venue.orders[order.client_order_id or 0]["orderId"]
            assert order.state is OrderState.NEW
            assert stages(steps) == [Stage.SENT, Stage.UNKNOWN, Stage.FOUND]
        else:
            with pytest.raises(CoincallFastError) as caught:
                client.futures.place_order(**NEW)
            assert caught.value.is_inferred
            assert caught.value.client_order_id is not None
            assert not isinstance(caught.value, AmbiguousOrderError)
            assert "asked for it" in caught.value.__notes__[0]
            assert stages(steps) == [Stage.SENT, Stage.UNKNOWN, Stage.ABSENT]
        assert [verb for verb, _ in venue.writes] == ["create"]


def test_a_venue_that_cannot_be_asked() -> None:
    with trading() as (venue, client, steps):
        venue.fate, venue.reads = once(CUT, executes=True), False
        with pytest.raises(AmbiguousOrderError) as caught:
            client.futures.place_order(**NEW)
        error = caught.value
        assert error.client_order_id in venue.orders
        assert isinstance(error.error, TransportError)
        assert error.order.symbol == "BTCUSD"
        assert stages(steps) == [Stage.SENT, Stage.UNKNOWN]
        venue.reads = True  # then it is seen by the watch, and does not stand for long
        until(lambda: venue.orders[error.client_order_id or 0]["state"] == 3)
        assert Stage.LATE in stages(steps)


def test_who_cannot_be_asked_and_was_not_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """The watch proves the absence that the call could not."""
    monkeypatch.setattr(watch, "CHECKS_S", (0.05,))
    with trading() as (venue, client, steps):
        venue.fate, venue.reads = once(CUT, executes=False), False
        with pytest.raises(AmbiguousOrderError):
            client.futures.place_order(**NEW)
        venue.reads = True
        until(lambda: stages(steps)[-1] is Stage.ABSENT)
        assert venue.orders == {}


def test_what_is_heard_ends_the_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """A push of the order is as good as an answer, and comes sooner: no question is asked."""
    pace = Pace(looks_s=(50.0,), total_s=100.0)
    monkeypatch.setattr(inquiry, "PACE", pace)
    with trading() as (venue, client, steps):
        venue.fate, venue.reads = once(CUT, executes=True), False

        def push(step: Step) -> None:
            if step.stage is Stage.UNKNOWN:
                pushed = Order(order_id=5, client_order_id=step.order.client_order_id)
                threading.Timer(0.05, client.heard, (pushed,)).start()

        client.on_step(push)
        assert client.futures.place_order(**NEW).order_id == 5
        assert stages(steps)[-1] is Stage.FOUND


def test_what_was_heard_before_the_answer_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A push may well come before the answer, or what is in its place."""
    monkeypatch.setattr(inquiry, "PACE", Pace(looks_s=(50.0,), total_s=100.0))
    with trading() as (venue, client, _):

        def fate(verb: str, sent: dict[str, Any]) -> tuple[Raw, bool]:
            client.heard(Order(order_id=6, client_order_id=int(sent["clientOrderId"])))
            return CUT, True

        venue.fate = fate
        assert client.futures.place_order(**NEW).order_id == 6


@pytest.mark.parametrize("by", ["push", "read", "watch"])
def test_an_order_that_appears_late(by: str, caplog: pytest.LogCaptureFixture) -> None:
    """Whoever sees it: it is told, and cancelled."""
    with trading() as (venue, client, steps):
        venue.fate, venue.is_hidden = once(CUT, executes=True), True
        with pytest.raises(TransportError):
            client.futures.place_order(**NEW)
        (number,) = venue.orders
        assert venue.orders[number]["state"] == 0
        venue.is_hidden = False
        if by == "push":
            client.heard(Order(client_order_id=number, order_id=venue.orders[number]["orderId"]))
        elif by == "read":
            client.futures.open_orders()
        until(lambda: venue.orders[number]["state"] == 3)
        until(lambda: not client._sightings.is_watching)
        late = [step for step in steps if step.stage is Stage.LATE]
        assert [step.order.client_order_id for step in late] == [number]
        assert f"order {number} of " in caplog.text
    assert not [t for t in threading.enumerate() if t.name == "coincall-fast watch"]


def test_the_order_of_somebody_else_is_left_alone() -> None:
    with trading() as (venue, client, steps):
        venue.fate = once(CUT, executes=False)
        with pytest.raises(TransportError):
            client.futures.place_order(**NEW)
        number = steps[0].order.client_order_id
        client.heard(Order(client_order_id=number, order_id=5, symbol="ETHUSD"))
        client.heard(Order(client_order_id=(number or 0) + 1, order_id=5, symbol="BTCUSD"))
        client.futures.place_order(**NEW)
        assert Stage.LATE not in stages(steps)


def test_something_that_sends_it_twice() -> None:
    """An id of ours is new: that it is taken proves that the order is there. One of the caller's
    may have been used before."""
    with trading() as (venue, client, _):

        def fate(verb: str, sent: dict[str, Any]) -> tuple[Raw | None, bool]:
            with venue.lock:
                venue.execute(verb, sent)
            return None, True

        venue.fate = fate
        order = client.futures.place_order(**NEW)
        assert order.order_id == venue.orders[order.client_order_id or 0]["orderId"]
        with pytest.raises(DuplicateOrder):
            client.futures.place_order(**NEW, client_order_id=77)


def test_an_id_that_another_order_has() -> None:
    with trading() as (venue, client, steps):
        client.futures.place_order(**NEW, client_order_id=5)
        venue.fate = once(CUT, executes=True)
        with pytest.raises(DuplicateOrder, match="another order"):
            client.futures.place_order(**(NEW | {"side": "sell"}), client_order_id=5)
        assert stages(steps)[-1] is Stage.REFUSED


@pytest.mark.parametrize("executes", [True, False])
def test_a_modification(executes: bool) -> None:
    with trading() as (venue, client, steps):
        order = client.futures.place_order(**NEW)
        change: dict[str, Any] = {"symbol": "BTCUSD", "order_id": order.order_id, "price": 1002}
        venue.fate = once(CUT, executes=executes, verb="modify")
        if executes:
            changed = client.futures.modify_order(**change)
            assert (changed.price, changed.client_order_id) == (1002.0, order.client_order_id)
            assert stages(steps)[-1] is Stage.FOUND
        else:
            with pytest.raises(TransportError) as caught:
                client.futures.modify_order(**change)
            assert caught.value.is_inferred
            assert stages(steps)[-1] is Stage.REFUSED
        assert venue.orders[order.client_order_id or 0]["price"] == str(1002 if executes else 1000)
        venue.fate = once(CUT, executes=False, verb="modify")
        venue.orders[order.client_order_id or 0]["state"] = 1
        with pytest.raises(OrderNotFound) as gone:
            client.futures.modify_order(**change | {"price": 1003})
        assert gone.value.state is OrderState.FILLED


@pytest.mark.parametrize("executes", [True, False])
@pytest.mark.parametrize("ended", [None, 1])
def test_a_cancellation(executes: bool, ended: int | None) -> None:
    with trading() as (venue, client, _):
        order = client.futures.place_order(**NEW)
        mine = venue.orders[order.client_order_id or 0]
        venue.fate = once(CUT, executes=executes, verb="cancel")
        if ended is None:
            client.futures.cancel_order(order_id=order.order_id)
            assert mine["state"] == 3
            assert [verb for verb, _ in venue.writes].count("cancel") == (1 if executes else 2)
            return
        mine["state"] = ended
        with pytest.raises(OrderNotFound) as caught:
            client.futures.cancel_order(order_id=order.order_id)
        assert caught.value.state is OrderState.FILLED


def test_closing_ends_the_search() -> None:
    with trading(order_window_ms=60_000) as (venue, client, _):
        venue.fate = once(CUT, executes=True)
        venue.reads = False

        def close(step: Step) -> None:
            if step.stage is Stage.UNKNOWN:
                threading.Timer(0.1, client.close).start()

        client.on_step(close)
        begin_s = time.monotonic()
        with pytest.raises(AmbiguousOrderError):
            client.futures.place_order(**NEW)
        assert time.monotonic() - begin_s < 30  # and not a minute


def test_closing_amid_a_batch_of_futures() -> None:
    """What has happened is told; what was not sent says so."""
    with trading() as (venue, client, _):

        def fate(verb: str, sent: dict[str, Any]) -> tuple[Raw | None, bool]:
            if len(venue.writes) == 2:
                client._rest._closing.set()
            return None, True

        venue.fate = fate
        outcomes = client.futures.place_orders([NEW] * 4)
        assert [outcome.ok for outcome in outcomes] == [True, True, False, False]
        assert isinstance(outcomes[3].error, UsageError)
        with pytest.raises(UsageError, match="closed"):
            client.futures.place_orders([NEW] * 2)


def test_what_was_too_much_is_watched() -> None:
    """It is refused at once, and would be noticed if it was not."""
    with trading() as (venue, client, steps):
        venue.fate = once(Raw(b"", status=429), executes=True)
        with pytest.raises(RateLimited) as caught:
            client.futures.place_order(**NEW)
        assert not caught.value.is_inferred
        until(lambda: Stage.LATE in stages(steps))
        until(lambda: [order["state"] for order in venue.orders.values()] == [3])


def test_an_item_that_was_too_much_shuts_the_window() -> None:
    much = {"code": 10605, "msg": "Operation is too frequent.", "data": None}
    with trading(rates={}, rate_wait_s=0.0) as (venue, client, _):
        venue.fate = lambda *_: (envelope([much]), False)
        (outcome,) = client.options.place_orders([NEW | {"symbol": OPTION}])
        assert isinstance(outcome.error, RateLimited)
        with pytest.raises(RateLimited, match="held back"):
            client.futures.place_order(**NEW)


def test_refusals_of_modifications_that_name_no_order() -> None:
    with trading() as (venue, client, _):
        rows = [
            {"code": 10534, "msg": "too large", "data": None},
            {"code": 0, "msg": "", "data": 3},
            {"code": 10558, "msg": "too small", "data": ""},
        ]
        venue.fate = lambda *_: (envelope(rows), False)
        changes = [{"symbol": OPTION, "order_id": n, "qty": 1} for n in (1, 2, 3)]
        one, two, three = client.options.modify_orders(changes)
        assert [one.ok, two.ok, three.ok] == [False, False, True]
        assert isinstance(one.error, OrderRejected)
        assert {str(one.error).rpartition(": ")[2], str(two.error).rpartition(": ")[2]} == {
            "too large",
            "too small",
        }
        rows = [{"code": 0, "msg": "", "data": 9}]
        (by_client,) = client.options.modify_orders(
            [{"symbol": OPTION, "client_order_id": 5, "qty": 1}]
        )
        assert by_client.ok


def test_two_orders_of_one_id() -> None:
    with trading() as (venue, client, _):
        with pytest.raises(UsageError, match="one client_order_id"):
            client.futures.place_orders([NEW | {"client_order_id": 5}] * 2)
        assert venue.writes == []


def test_the_guard_sees_the_id_and_no_cancellation() -> None:
    seen: list[Order] = []
    with trading(order_guard=seen.append) as (venue, client, _):
        order = client.futures.place_order(**NEW)
        client.futures.cancel_order(order_id=order.order_id)
        client.futures.cancel_orders([5])
        client.futures.cancel_all("BTCUSD")
        assert [one.client_order_id for one in seen] == [order.client_order_id]
        assert order.client_order_id in venue.orders


def test_the_share_of_those_that_cancel_many() -> None:
    """Whoever says how often the venue takes cancellations gives none of it away."""
    given = {"cancel": Rate(60, 1.0, "cancel")}
    rates = with_reserve({**RATES, **given}, given)
    assert rates["cancel_all"] == Rate(60, 1.0, "cancel")
    assert rates["cancel"] == Rate(55, 1.0, "cancel")
    assert with_reserve(RATES, {}) == RATES
    few = {"cancel": Rate(1, 1.0, "cancel")}
    assert with_reserve({**RATES, **few}, few)["cancel"].most == 1
    with Client(KEY, SECRET, rates=given) as client:
        assert client._rest._windows._rates["cancel"].most == 55


def test_the_look_at_how_an_order_ended_keeps_the_deadline() -> None:
    with trading(timeout=1.0) as (venue, client, _):
        venue.fate = lambda *_: (envelope(None, 10584, "gone"), False)
        wanted: list[float | None] = []
        read = client.futures._order

        def noted(ids: Any, end_s: float | None) -> Order:
            wanted.append(end_s)
            return read(ids, end_s)

        client.futures._order = noted  # type: ignore[method-assign]
        begin_s = time.monotonic()
        with pytest.raises(OrderNotFound):
            client.futures.cancel_order(order_id=5)
        assert wanted[0] is not None
        assert wanted[0] <= begin_s + 1.5


def test_many_orders(caplog: pytest.LogCaptureFixture) -> None:
    """From several threads, over sockets: none twice, none forgotten, and all as it is told."""
    caplog.set_level(logging.CRITICAL)
    fates = [(None, True), (CUT, True), (CUT, False), (HALF, True), (DOWN, True), (LATER, False)]
    dice = Random(5)

    def fate(verb: str, sent: dict[str, Any]) -> tuple[Raw | None, bool]:
        return dice.choice(fates) if verb == "create" else (None, True)

    with trading() as (venue, client, steps):
        venue.fate = fate

        def place(_: int) -> tuple[int | None, str]:
            try:
                order = client.futures.place_order(**NEW)
            except (TransportError, Unavailable) as error:
                return error.client_order_id, "inferred" if error.is_inferred else "refused"
            return order.client_order_id, "stands"

        with ThreadPoolExecutor(8) as pool:
            told = dict(pool.map(place, range(ORDERS)))
        assert len(told) == ORDERS == len([v for v, _ in venue.writes if v == "create"])
        assert {n for n, what in told.items() if what == "stands"} == set(venue.orders)
        counts = Counter(told.values())
        assert min(counts["stands"], counts["inferred"]) > ORDERS // 10
        assert Stage.LATE not in stages(steps)
        assert {order["state"] for order in venue.orders.values()} == {0}

"""The dead-man's switch at the venue, and the end of all orders where one product fails.

Where one hangs or fails the other is asked all the same, and in time.
"""

import contextlib
import itertools
import json
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from coincall_fast import (
    AuthError,
    Client,
    Deadman,
    DecodeError,
    Late,
    OrderRejected,
    OrdersRemain,
    TransportError,
    Unavailable,
)
from rest_clients import WIDE, connected
from streams import until
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
    assert sorted(venue.beaten) == [1, 2]


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
        switch.close(cancel=False)
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


@pytest.mark.parametrize("product", ["option", "futures"])
def test_an_order_that_comes_after_an_empty_list(product: str) -> None:
    """It was accepted late: one list without orders does not prove that there are none."""
    symbol = "BTCUSD" if product == "futures" else "BTCUSD-1JAN40-1-C"
    looks, cancelled = 0, False

    def answer(asked: Asked) -> Raw:
        nonlocal looks, cancelled
        if f"{product}/order/cancelOpenOrders" in asked.path:
            cancelled = True
        if f"{product}/order/pending" in asked.path:
            looks += 1
            is_there = looks > 1 and not cancelled
            return envelope({"list": [{"orderId": 5, "symbol": symbol}] if is_there else []})
        return envelope({"list": []} if "pending" in asked.path else None)

    with connected(answer) as (_, client):
        client.cancel_everything(30)
    assert cancelled
    assert looks >= 4


# The beats that it gives by itself


class Scripted:
    """A venue that answers beats as it is told, and nothing else: `beats` maps a product to a
    function of how many there were."""

    def __init__(self) -> None:
        self.answers: dict[int, Callable[[int], Raw]] = {}
        self.beaten: dict[int, list[float]] = {1: [], 2: []}
        self.ending = threading.Event()

    def __call__(self, asked: Asked) -> Raw:
        if "heartbeat" not in asked.path:
            return envelope(True)
        sent = json.loads(asked.body)
        product: int = sent["type"]
        self.beaten[product].append(time.monotonic())
        if product in self.answers:
            return self.answers[product](len(self.beaten[product]))
        return envelope(sent["symbols"].split(","))


@pytest.fixture
def script() -> Iterator[Scripted]:
    made = Scripted()
    yield made
    made.ending.set()


def beating() -> set[str]:
    return {thread.name for thread in threading.enumerate() if "coincall-fast" in thread.name}


def test_it_beats_by_itself_until_it_is_closed(script: Scripted) -> None:
    told: list[Late] = []
    with connected(script) as (_, client):
        switch = client.deadman("BTCUSD", 300, on_late=told.append, cancel_on_exit=False)
        until(lambda: min(map(len, script.beaten.values())) >= 5, "five beats of each")
        for times in script.beaten.values():
            assert times[4] - times[0] > 0.2  # a third of 300 ms lies between two
        switch.close()
        until(lambda: not beating(), "the end of the threads")
        counted = dict(script.beaten)
        time.sleep(0.2)
        assert script.beaten == counted
        assert not switch.has_lapsed


def test_a_product_that_hangs_keeps_no_beat_from_the_other(script: Scripted) -> None:
    def hang(_: int) -> Raw:
        script.ending.wait(60)
        return DOWN

    script.answers[1] = hang
    told: list[tuple[float, Late]] = []

    def goes_on() -> bool:
        """Five beats of futures in a row were in time. A busy machine may well be late itself, and
        has another go; were it the doing of the product that hangs, each of them would be late."""
        late_s = [when_s for when_s, late in told if late.of == "futures"]
        in_time = [when_s for when_s in script.beaten[2] if when_s > max(late_s, default=0.0)]
        return len(in_time) > 5  # what became of the last is not told yet

    with connected(script) as (_, client):
        switch = client.deadman(
            "BTCUSD",
            600,
            on_late=lambda late: told.append((time.monotonic(), late)),
            cancel_on_exit=False,
        )
        until(lambda: len(script.beaten[1]) >= 3, "another try")  # each has a deadline
        until(goes_on, "beats of futures")
        assert any(late.of == "options" and late.error is not None for _, late in told)
        assert not switch.has_lapsed
        begin_s = time.monotonic()
        switch.close()
        assert time.monotonic() - begin_s < 30


def test_setting_many_over_a_venue_that_hangs_takes_one_timeout() -> None:
    ending = threading.Event()

    def hang(asked: Asked) -> Raw:
        ending.wait(60)
        return DOWN

    with contextlib.ExitStack() as stack:
        _, client = stack.enter_context(connected(hang, timeout=0.5))
        stack.callback(ending.set)
        begin_s = time.monotonic()
        with pytest.raises(TransportError):
            client.deadman([f"{n}USD" for n in range(20)], 5000)
        assert time.monotonic() - begin_s < 10  # one by one, 40 to set and 40 to take back: 40 s


def test_a_beat_that_fails_is_repeated_soon_and_told_once_it_is_late(script: Scripted) -> None:
    script.answers[2] = lambda n: DOWN if n < 12 else envelope(["BTCUSD"])
    told: list[Late] = []
    with connected(script) as (_, client):
        switch = client.deadman("BTCUSD", 1200, on_late=told.append, cancel_on_exit=False)
        until(lambda: any(late.error is None for late in told), "a beat that was heard after all")
        switch.close()
    first, *_, last = told
    assert (first.of, type(first.error), first.has_lapsed) == ("futures", Unavailable, False)
    assert first.by_s > 0.2  # half of a third of 1.2 s
    assert last.by_s > first.by_s
    assert 12 > len(told) > 1  # not of each of them
    times = script.beaten[2]
    gaps = [b - a for a, b in itertools.pairwise(times)]
    assert statistics.median(gaps) < 0.3  # and not a third of 1.2 s


def test_a_lapse_is_told_once_and_ends_when_it_is_set(script: Scripted) -> None:
    has_lapsed = threading.Event()
    has_lapsed.set()
    script.answers[1] = lambda n: envelope([] if has_lapsed.is_set() else ["BTCUSD"])
    told: list[Late] = []
    with connected(script) as (_, client):
        switch = client.deadman("BTCUSD", 300, on_late=told.append, cancel_on_exit=False)
        until(lambda: switch.has_lapsed and len(script.beaten[1]) > 3, "the lapse")
        (lapse,) = (late for late in told if late.has_lapsed)
        assert isinstance(lapse.error, OrderRejected)
        assert lapse.error.code == 10619
        has_lapsed.clear()
        switch.set()
        beaten = len(script.beaten[1])
        until(lambda: len(script.beaten[1]) > beaten + 2, "beats that are heard")
        assert not switch.has_lapsed


def test_a_callback_that_hangs_or_fails_keeps_no_beat(script: Scripted) -> None:
    def hang(late: Late) -> None:
        script.ending.wait(60)
        raise RuntimeError("and fails")

    script.answers[1] = lambda n: DOWN
    with connected(script) as (_, client):
        client.deadman("BTCUSD", 300, on_late=hang, cancel_on_exit=False)
        until(lambda: min(map(len, script.beaten.values())) > 6, "beats")


@pytest.mark.parametrize("leaving", [None, ValueError("trade"), KeyboardInterrupt()])
def test_whatever_ends_the_with_everything_is_cancelled(leaving: BaseException | None) -> None:
    asked_for: list[str] = []

    def answer(asked: Asked) -> Raw:
        asked_for.append(f"{asked.path} {asked.body.decode()}")
        if "pending" in asked.path:
            return envelope({"list": []})
        return envelope(True)

    with connected(answer) as (_, client):
        client.futures.traded.add("BTCUSD")
        with contextlib.suppress(ValueError, KeyboardInterrupt), client.deadman("BTCUSD", 60_000):
            if leaving is not None:
                raise leaving
    cancelled = next(i for i, one in enumerate(asked_for) if "cancelOpenOrders/v1/BTCUSD" in one)
    back = [i for i, one in enumerate(asked_for) if '"countdownTime":0' in one]
    assert len(back) == 2
    assert cancelled < min(back)  # only then


def test_where_orders_stay_the_countdown_stays() -> None:
    standing: list[int] = []

    def answer(asked: Asked) -> Raw:
        if "countdown/cancel/v1" in asked.path:
            standing.append(json.loads(asked.body)["countdownTime"])
        if "pending" in asked.path:
            return envelope({"list": [{"orderId": 5, "symbol": "BTCUSD"}]})
        return envelope(True)

    with connected(answer) as (_, client):
        switch = client.deadman("BTCUSD", 60_000)
        with pytest.raises(OrdersRemain):
            switch.close(timeout=0.6)
    assert standing == [60_000, 60_000]


def test_whatever_a_beat_dies_of_the_next_one_comes(
    script: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[Late] = []
    with connected(script) as (_, client):
        call = client._rest.call

        def broken(name: str, *arguments: Any) -> Any:
            if name == "beat" and len(told) < 2:
                raise RuntimeError("out of threads")
            return call(name, *arguments)

        monkeypatch.setattr(client._rest, "call", broken)
        client.deadman("BTCUSD", 300, on_late=told.append, cancel_on_exit=False)
        until(lambda: min(map(len, script.beaten.values())) > 2, "beats")
    assert "out of threads" in str(told[0].error)

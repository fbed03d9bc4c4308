"""Calls that nobody waits for: their answers arrive, in order where order matters, and none is
dropped in silence. What waits is refused where frames would wait for it."""

import logging
import os
import subprocess
import sys
import threading
import time
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest

from coincall_fast import (
    Channel,
    Client,
    OrderNotFound,
    Rate,
    Side,
    Stream,
    UsageError,
    VenueError,
)
from coincall_fast.reading import is_reading, reading
from coincall_fast.rest.submitting import CANCELS, ORDERS, OTHERS, lane_of
from coincall_fast.sim import Exchange
from rest_clients import USER, WIDE, cancel, connected
from streams import PATIENCE_S, until
from stub_server import KEY, SECRET, Asked, Raw, envelope, params, serving

pytestmark = pytest.mark.usefixtures("short_waits")

LISTED = {"optionConfig": {}, "futuresConfig": {"X": {"tickSize": 0.1, "qtyDecimal": 3}}}
NEW: dict[str, Any] = {"symbol": "X", "side": "buy", "qty": 1, "order_type": "limit"}


def result(future: "Future[Any]") -> Any:
    return future.result(PATIENCE_S)


class Venue:
    """Answers orders; `gate` holds back the answers of those whose path has this in it."""

    def __init__(self) -> None:
        self.held = "nothing"
        self.gate = threading.Event()
        self.done: list[str] = []

    def __call__(self, asked: Asked) -> Raw:
        if asked.path == "/open/public/config/v1":
            return envelope(LISTED)
        if self.held in asked.path:
            self.gate.wait(PATIENCE_S)
        self.done.append(asked.path.rsplit("/", 2)[1])
        return envelope(5)


# What comes back


def test_values_and_errors_arrive() -> None:
    rows = {"list": [{"orderId": 3}, {"orderId": 2}], "hasNext": False}
    answers = {
        "info": envelope(USER),
        "cancel": envelope(None, 11102, "gone"),
        "singleQuery": envelope(None, 10584, "no"),
        "history": envelope(rows),
    }

    def answer(asked: Asked) -> Raw:
        return next(one for name, one in answers.items() if name in asked.path)

    with connected(answer) as (_, client):
        assert result(client.submit("account.user")).user_id == 5
        with pytest.raises(OrderNotFound):
            result(client.submit("futures.cancel_order", order_id=1))
        history = result(client.submit("options.order_history"))
        assert isinstance(history, list)  # nothing is asked for any more
        assert [order.order_id for order in history] == [3, 2]
        with pytest.raises(UsageError, match="named by order_id"):
            result(client.submit("futures.cancel_order"))
        with pytest.raises(TypeError, match="nonsense"):
            result(client.submit("futures.cancel_order", nonsense=1))
        assert result(client.submit("server_time")) > 0


NO_VERBS = (
    "close submit nope options options.nope options._write _rest.call account.user.x options..x"
    " futures.product options.mmp __init__ options.traded"
).split()


@pytest.mark.parametrize("verb", [*NO_VERBS, "", None, 5])
def test_verbs_that_are_none(verb: Any) -> None:
    with Client(KEY, SECRET, rest_url="http://127.0.0.1:9") as client:
        with pytest.raises(UsageError, match="no verb"):
            client.submit(verb)
        assert client._submitting._threads == []


def test_every_verb_of_the_contract_can_be_submitted() -> None:
    verbs = "server_time config funding_rates sync_clock cancel_everything deadman warm".split()
    verbs += ["account." + verb for verb in "user summary referrals".split()]
    both = (
        "order_book last_trades positions place_order place_orders modify_order modify_orders"
        " cancel_order cancel_orders cancel_symbol cancel_all open_orders klines order"
        " order_history trade_history"
    ).split()
    verbs += [f"{noun}.{verb}" for noun in ("options", "futures") for verb in both]
    verbs += ["options." + verb for verb in "instruments chain details mmp.get mmp.set".split()]
    verbs += ["futures." + verb for verb in "symbols leverage set_leverage".split()]
    with Client(rest_url="http://127.0.0.1:9") as client:
        assert all(callable(client._verb(verb)) for verb in verbs)
    assert lane_of("options.cancel_orders") == lane_of("cancel_everything") == CANCELS
    assert lane_of("futures.modify_order") == lane_of("options.place_orders") == ORDERS
    assert lane_of("options.order_history") == lane_of("config") == OTHERS


# Whose turn it is


def test_what_is_about_one_order_keeps_its_order() -> None:
    """The venue has the last price last, and a cancellation behind all; others do not wait."""
    sizes: dict[str, list[str]] = {}

    def answer(asked: Asked) -> Raw:
        if asked.method == "POST":
            fields = params(asked)
            sizes.setdefault(fields["clientOrderId"], []).append(fields.get("qty", "end"))
            time.sleep(0.0005 * (len(sizes) % 3))
            return envelope(5)
        return envelope(LISTED)

    with connected(answer) as (_, client):
        futures = []
        for n in range(1, 8):
            for order_id in range(1, 7):
                new = NEW | {"price": 1} if n == 1 else {"symbol": "X"}
                change = new | {"client_order_id": order_id, "qty": n}
                verb = "place_order" if n == 1 else "modify_order"
                futures.append(client.submit(f"futures.{verb}", **change))
        futures += [
            client.submit("futures.cancel_order", client_order_id=order_id)
            for order_id in range(1, 7)
        ]
        for future in futures:
            result(future)
        assert client._submitting._last == {}
    assert sizes == {str(n): ["1", "2", "3", "4", "5", "6", "7", "end"] for n in range(1, 7)}


def test_cancellations_do_not_wait_behind_orders() -> None:
    """Not even where orders wait for their place in the rates, or for a venue that dawdles."""
    venue = Venue()
    venue.held = "create"
    rates = WIDE | {"place": Rate(2, 15.0, "place")}
    with connected(venue, rates=rates, rate_wait_s=60.0, timeout=60.0) as (_, client):
        orders = [client.submit("futures.place_order", **NEW, price=n) for n in range(1, 20)]
        result(client.submit("futures.cancel_all", index="X"))
        assert len(venue.done) == 1
        assert not any(future.done() for future in orders)
        venue.gate.set()


def test_orders_in_waiting_can_be_withdrawn() -> None:
    venue = Venue()
    venue.held = "create"
    with connected(venue) as (stub, client):
        orders = [client.submit("futures.place_order", **NEW, price=n) for n in range(1, 20)]
        withdrawn = [future for future in orders if future.cancel()]
        assert len(withdrawn) >= 15  # four threads have one each
        venue.gate.set()
        for future in orders:
            if not future.cancelled():
                result(future)
        assert sum("create" in asked.path for asked in stub.asked) == 19 - len(withdrawn)


def test_more_orders_than_the_rates_allow() -> None:
    """A hundred, thirty at a time: each waits, and the venue sees no window overrun."""
    arrived: list[float] = []

    def answer(asked: Asked) -> Raw:
        if asked.method == "POST":
            arrived.append(time.monotonic())
            return envelope(5)
        return envelope(LISTED)

    rates = WIDE | {"place": Rate(30, 0.2, "place")}
    with connected(answer, rates=rates) as (_, client):
        orders = [client.submit("futures.place_order", **NEW, price=n) for n in range(1, 101)]
        assert [result(future).price for future in orders] == list(range(1, 101))
    arrived.sort()
    assert all(
        later - earlier >= 0.2 for earlier, later in zip(arrived, arrived[30:], strict=False)
    )


# The end


def test_closing_withdraws_what_waits_and_awaits_what_was_sent(
    caplog: pytest.LogCaptureFixture,
) -> None:
    venue = Venue()
    venue.held = "create"
    with serving(venue) as stub:
        client = Client(KEY, SECRET, rest_url=stub.url, rates=WIDE)
        new = NEW | {"price": 1}
        orders = [client.submit("futures.place_order", **new, client_order_id=7) for _ in range(3)]
        orders += [client.submit("futures.place_order", **new) for _ in range(12)]
        until(lambda: sum("create" in asked.path for asked in stub.asked) == 4, "four of them")
        closing = threading.Thread(target=client.close)
        closing.start()
        until(lambda: client._submitting._is_closed and orders[-1].done(), "the end")
        assert closing.is_alive()  # it waits for the four
        venue.gate.set()
        closing.join()
        sent = [future for future in orders if future.exception(PATIENCE_S) is None]
        assert len(sent) == 4
        for future in orders:
            if future not in sent:
                with pytest.raises(UsageError, match=r"place_order.* was not sent: the client was"):
                    future.result()
        assert sum("create" in asked.path for asked in stub.asked) == 4
        (record,) = [one for one in caplog.records if one.levelno == logging.WARNING]
        assert record.getMessage().count("futures.place_order") == 11
        assert "client_order_id=7" in record.getMessage()
        with pytest.raises(UsageError, match="closed"):
            client.submit("futures.place_order", **new)
        assert "coincall-fast submits" not in {thread.name for thread in threading.enumerate()}


def test_closing_names_what_it_does_not_know(caplog: pytest.LogCaptureFixture) -> None:
    venue = Venue()
    venue.held = "cancel"
    with serving(venue) as stub:
        client = Client(KEY, SECRET, rest_url=stub.url, rates=WIDE)
        future = client.submit("futures.cancel_order", order_id=77)
        until(lambda: stub.asked, "the request")
        client._submitting.close(0.05)
        assert "nobody knows what became of: futures.cancel_order(order_id=77)" in caplog.text
        venue.gate.set()
        assert result(future) is None
        client.close()


PROGRAM = """
import logging, sys, time
from coincall_fast import Client, Rate
from coincall_fast.rest.endpoints import RATES

logging.basicConfig()
rates = {name: Rate(1000, 0.1, name) for name in RATES}
client = Client(*sys.argv[2:], rest_url=sys.argv[1], rates=rates)
new = dict(symbol="X", side="buy", qty=1, order_type="limit", price=1)
for n in range(6):
    client.submit("futures.place_order", **new)
while sum(not future.running() for future in []) or client._submitting._lanes[1].qsize() > 2:
    time.sleep(0.001)
"""


def test_the_end_of_the_interpreter() -> None:
    """Nobody closed the client: what was sent is waited for, what was not is told."""
    venue = Venue()
    venue.held = "create"
    with serving(venue) as stub:
        run = [sys.executable, "-W", "error", "-c", PROGRAM, stub.url, KEY, SECRET]
        with subprocess.Popen(run, stderr=subprocess.PIPE, text=True) as process:
            until(lambda: sum("create" in asked.path for asked in stub.asked) == 4, "four orders")
            venue.gate.set()
            _, told = process.communicate(timeout=PATIENCE_S)
        assert process.returncode == 0, told
    sent = sum("create" in asked.path for asked in stub.asked)
    assert sent + told.count("futures.place_order") == 6, told
    assert venue.done.count("create") == sent


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_child_has_threads_of_its_own() -> None:
    with connected(Venue()) as (stub, client):
        result(client.submit("futures.cancel_order", order_id=1))
        child = os.fork()
        if child == 0:
            ok = False
            try:
                ok = result(client.submit("futures.cancel_order", order_id=2)) is None
            finally:
                os._exit(0 if ok else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert [str(params(asked)["orderId"]) for asked in stub.asked] == ["1", "2"]


# Threads that frames wait for


def test_what_waits_is_refused_while_reading() -> None:
    with connected(lambda asked: envelope(USER)) as (stub, client):
        blocking: list[Any] = [
            client.server_time,
            client.account.user,
            client.sync_clock,
            client.warm,
            lambda: client.futures.cancel_order(order_id=1),
            lambda: cancel(client),
            lambda: list(client.options.order_history()),
            lambda: client.cancel_everything(0.01),
            lambda: client.deadman("BTCUSD", 5000),
        ]
        with reading():
            assert is_reading()
            for call in blocking:
                with pytest.raises(
                    UsageError, match=r"a thread that reads a stream: call it with client\.submit"
                ):
                    call()
            future = client.submit("account.user")
        assert not is_reading()
        assert result(future).user_id == 5
        assert [asked.path for asked in stub.asked] == ["/open/user/info/v1"]
        assert client.account.user().user_id == 5


def test_orders_from_a_callback() -> None:
    """On the simulated exchange: the blocking verb is an error of the stream, the other trades."""
    with Exchange(seed=5) as venue:
        keys: dict[str, Any] = {"api_key": venue.api_key, "api_secret": venue.api_secret}
        futures: list[Future[Any]] = []
        errors: list[Exception] = []
        with (
            Client(**keys, rest_url=venue.rest_url) as client,
            Stream("futures", ws_url=venue.ws_url, **keys) as stream,
        ):
            order: dict[str, Any] = {"symbol": "BTCUSD", "side": Side.BUY, "qty": "0.001"}
            order |= {"order_type": "limit", "price": 1000}

            def trade(book: Any) -> None:
                if not futures:
                    futures.append(client.submit("futures.place_order", **order))
                    client.futures.place_order(**order)

            stream.on(Channel.BOOK, trade)
            stream.on("error", errors.append)
            stream.subscribe(Channel.BOOK, "BTCUSD")
            until(lambda: futures and errors, "the callback")
            order_id = result(futures[0]).order_id
            until(lambda: [o.order_id for o in client.futures.open_orders()] == [order_id], "it")
        assert isinstance(errors[0], UsageError)
        assert "client.submit" in str(errors[0])


def test_replays_refuse_what_waits_too(tmp_path: Path) -> None:
    from coincall_fast import replay

    path = tmp_path / "x.rec"
    with Exchange(seed=5) as venue:
        keys: dict[str, Any] = {"api_key": venue.api_key, "api_secret": venue.api_secret}
        stream = Stream("futures", ws_url=venue.ws_url, **keys)
        with stream, stream.record(path) as recording:
            stream.subscribe(Channel.BOOK, "BTCUSD")
            until(lambda: "BTCUSD" in stream.store, "a book")
            recording.note("here")
    marks: list[bool] = []
    again = replay(path)
    again.on("note", lambda text: marks.append(is_reading()))
    for _ in again:
        assert not is_reading()
    assert marks == [True]


def test_errors_drag_no_secret_along() -> None:
    with connected(lambda asked: envelope(None, 10562, str(asked.headers))) as (stub, client):
        future = client.submit("futures.cancel_order", order_id=1)
        error = future.exception(PATIENCE_S)
        assert isinstance(error, VenueError)
        told = f"{error!r} {future!r} {vars(future)} {client._submitting!r}"
        for secret in (KEY, SECRET, stub.asked[0].headers["sign"]):
            assert secret not in told

"""`coincall-fast cancel-all` as a user meets it, and what trades with real money asks for."""

import json
import os
import signal
import subprocess
from typing import Any

import pytest

from coincall_fast import Client, UsageError
from coincall_fast.cli.money import demand_live
from coincall_fast.sim import Exchange
from commands import COMMAND, PATIENCE_S, environment, keys_of, run, start

POSIX = pytest.mark.skipif(os.name != "posix", reason="has no signals to send")


@pytest.fixture
def venue() -> Any:
    with Exchange(seed=11, flow=0) as running:
        yield running


def place(venue: Exchange) -> list[int]:
    """An order on each product; their ids."""
    new: dict[str, Any] = {"side": "buy", "qty": "0.5", "order_type": "limit", "price": "1.5"}
    option = venue.symbols("options")[0]
    with Client(venue.api_key, venue.api_secret, rest_url=venue.rest_url) as client:
        orders = [
            client.options.place_order(symbol=option, **new),
            client.futures.place_order(symbol="ETHUSD", **new),
        ]
    return [order.order_id or 0 for order in orders]


def opened(venue: Exchange) -> int:
    return venue._call(lambda server: sum(map(len, server.venue.engine._open.values())))


def at(venue: Exchange, *more: str) -> Any:
    return run("cancel-all", "--rest-url", venue.rest_url, *more, **keys_of(venue))


def test_json(venue: Exchange) -> None:
    ids = place(venue)
    done = at(venue, "--json")
    assert (done.returncode, done.stderr) == (0, "")
    *orders, result = [json.loads(line) for line in done.stdout.splitlines()]
    assert result == {"type": "result", "open": 2, "left": 0}
    assert [(order["type"], order["product"], order["order_id"]) for order in orders] == [
        ("open", "options", ids[0]),
        ("open", "futures", ids[1]),
    ]
    assert {(order["side"], order["qty"], order["price"]) for order in orders} == {
        ("buy", 0.5, 1.5)
    }
    assert opened(venue) == 0


def test_plain_and_nothing_open(venue: Exchange) -> None:
    ids = place(venue)
    done = at(venue)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[1:] == [
        f"open ETHUSD buy 0.50000000 at 1.50000000 (order {ids[1]})",
        "2 orders were open, none is left",
    ]
    assert at(venue).stdout == "0 orders were open, none is left\n"
    assert opened(venue) == 0


def test_what_is_left_is_1(venue: Exchange) -> None:
    ids = place(venue)
    venue.fault("code", amount=10583, path="futures/order/cancelOpenOrders")
    done = at(venue, "--json", "--timeout", "1")
    assert done.returncode == 1
    *_, left, result = [json.loads(line) for line in done.stdout.splitlines()]
    assert (left["type"], left["order_id"], left["symbol"]) == ("left", ids[1], "ETHUSD")
    assert result == {"type": "result", "open": 2, "left": 1}
    assert f"ETHUSD {ids[1]}" in done.stderr
    assert opened(venue) == 1


def test_a_list_that_fails_keeps_nobody_from_cancelling(venue: Exchange) -> None:
    place(venue)
    venue.fault("code", amount=10000, path="option/order/pending", times=4)  # so often it is read
    done = at(venue, "--json")
    assert done.returncode == 0, done.stderr
    assert opened(venue) == 0


def test_a_reader_that_has_seen_enough_keeps_nobody_from_cancelling(venue: Exchange) -> None:
    place(venue)
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [*COMMAND, "cancel-all", "--rest-url", venue.rest_url],
        check=False,
        stdout=write,
        stderr=subprocess.PIPE,
        timeout=PATIENCE_S,
        env=environment(**keys_of(venue)),
    )
    os.close(write)
    assert (done.returncode, done.stderr) == (0, b"")
    assert opened(venue) == 0


@POSIX
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "SIGTERM"])
def test_stopped_it_is_not_done(venue: Exchange, how: signal.Signals) -> None:
    place(venue)
    venue.fault("code", amount=10583, path="cancelOpenOrders")
    with start("cancel-all", "--rest-url", venue.rest_url, **keys_of(venue)) as started:
        assert started.stdout.readline()
        started.send_signal(how)
        _, told = started.communicate(timeout=PATIENCE_S)
    assert started.returncode == 1
    assert told == "coincall-fast: stopped: orders may still be open\n"


def test_nobody_there_and_a_wrong_key_are_3(venue: Exchange) -> None:
    keys = keys_of(venue)
    done = run("cancel-all", "--rest-url", "http://127.0.0.1:9", "--timeout", "1", **keys)
    assert done.returncode == 3
    assert len(done.stderr.splitlines()) == 1
    wrong = {**keys, "COINCALL_API_SECRET": "wrong"}
    done = run("cancel-all", "--rest-url", venue.rest_url, **wrong)
    assert done.returncode == 3
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1
    assert venue.api_key not in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--rest-url", "https://somewhere.example"],
    ],
    ids=["prod", "elsewhere"],
)
def test_prod_without_live_is_2_and_nothing_is_sent(arguments: list[str]) -> None:
    """Keys do not help; a name that cannot be looked up would be 3."""
    keys = {"COINCALL_API_KEY": "key", "COINCALL_API_SECRET": "secret"}
    done = run("cancel-all", *arguments, **keys)
    assert done.returncode == 2
    assert done.stdout == ""
    assert "--live" in done.stderr


def test_with_live_it_asks_for_keys() -> None:
    done = run("cancel-all", "--live")
    assert done.returncode == 3
    assert "COINCALL_API_KEY" in done.stderr
    assert run("cancel-all", COINCALL_ENV="beta").returncode == 3


@pytest.mark.parametrize(
    ("address", "is_play"),
    [
        ("https://api.coincall.com", False),
        ("https://API.coincall.com:443/", False),
        ("wss://ws.coincall.com", False),
        ("https://betaapi.coincall.com", True),
        ("wss://betaws.coincall.com", True),
        ("http://127.0.0.1:8080", True),
        ("http://127.5.5.5", True),
        ("http://[::1]:8080", True),
        ("http://localhost:1", True),
        ("http://10.0.0.1", False),
        ("https://betaapi.coincall.com.example", False),
        ("http://127.0.0.1@api.coincall.com", False),
        ("127.0.0.1", False),
        ("", False),
    ],
)
def test_where_there_is_real_money(address: str, is_play: bool) -> None:
    demand_live(address, is_live=True)
    if is_play:
        demand_live(address, is_live=False)
    else:
        with pytest.raises(UsageError, match="--live"):
            demand_live(address, is_live=False)

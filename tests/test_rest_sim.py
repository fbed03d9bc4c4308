"""The client trades on the simulated exchange, which shares no code with it, under its switches."""

import json
import math
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

import pytest

from coincall_fast import (
    AuthError,
    Client,
    ClockError,
    OrderNotFound,
    OrderRejected,
    OrderState,
    Rate,
    RateLimited,
    Side,
    TransportError,
    Unavailable,
    VenueError,
)
from coincall_fast.rest.endpoints import RATES
from coincall_fast.sim import Exchange

pytestmark = pytest.mark.usefixtures("short_waits")

# Where the exchange counts requests, the client's own rates hold, and it waits for a second or so.
SWITCHES: list[dict[str, Any]] = [
    {"throttle": "code"},
    {"throttle": "429"},
    {"edition": "2023-05"},
    {"edition": "2023-09", "pushes_first": True},
    {"makers_only": "code"},
    {"booleans": "both"},
    {"reads_lag_ms": 60},
    {"clock_offset_ms": -3000},
    {"clock_offset_ms": 3000},
    {"speed": 20, "ticker_texts": True, "refuse": "frame"},
    {"faults": [{"kind": "status", "amount": 503, "method": "GET", "probability": 0.2}]},
    {"faults": [{"kind": "hang_up", "path": "pending", "times": 2}]},
    {"faults": [{"kind": "code", "amount": 10000, "path": "singleQuery", "times": 2}]},
]
WIDE = {name: Rate(1000, 0.1, name) for name in RATES}


@contextmanager
def trading(**switches: Any) -> Iterator[tuple[Exchange, Client]]:
    how: dict[str, Any] = {"seed": 11, "flow": 0.0, "throttle": "off"} | switches
    with Exchange(**how) as exchange:
        exchange.freeze()
        client = Client(
            exchange.api_key,
            exchange.api_secret,
            rest_url=exchange.rest_url,
            timeout=20.0,
            rate_wait_s=20.0,
            rates=WIDE if how["throttle"] == "off" else None,
        )
        with client:
            yield exchange, client


def until(is_so: Any, what: str) -> Any:
    deadline_s = time.monotonic() + 10
    while True:
        try:
            if found := is_so():
                return found
        except OrderNotFound:
            pass
        if time.monotonic() > deadline_s:
            pytest.fail(f"never: {what}")
        time.sleep(0.02)


@pytest.mark.parametrize("switches", SWITCHES, ids=json.dumps)
def test_the_main_job(switches: dict[str, Any]) -> None:
    """Place, look up, change, fill and cancel on both products; then nothing is open."""
    with trading(**switches) as (exchange, client):
        for market, symbol in (
            (client.options, exchange.symbols("options")[0]),
            (client.futures, "BTCUSD"),
        ):
            book = market.order_book(symbol)
            instrument = market.instrument(symbol)
            assert instrument is not None
            low = instrument.round_price(book.best_bid / 2, "buy")
            order = market.place_order(
                symbol=symbol,
                side="buy",
                qty=instrument.min_qty * 3,
                order_type="limit",
                price=low,
                client_order_id=7,
            )
            seen = until(lambda: market.order(client_order_id=7), "the order")  # noqa: B023
            assert (seen.order_id, seen.state) == (order.order_id, OrderState.NEW)
            assert seen.exact("price") == low
            market.modify_order(symbol=symbol, order_id=order.order_id, qty=instrument.min_qty * 2)
            (standing,) = until(market.open_orders, "the list")
            assert standing.exact("remaining_qty") == instrument.min_qty * 2
            market.cancel_order(order_id=order.order_id)
            with pytest.raises(OrderNotFound) as caught:
                market.cancel_order(client_order_id=7)
            assert caught.value.state is OrderState.CANCELED
            taken = market.place_order(
                symbol=symbol,
                side=Side.BUY,
                qty=instrument.min_qty,
                order_type="limit",
                price=book.best_ask,
            )
            fills = until(lambda: list(market.trade_history()), "the fill")  # noqa: B023
            assert fills[0].order_id == taken.order_id
            assert fills[0].exact("price") <= Decimal(str(book.best_ask))
            with pytest.raises(OrderNotFound) as caught:
                market.cancel_order(order_id=taken.order_id)
            assert caught.value.state is OrderState.FILLED
            ended = until(lambda: len(list(market.order_history())) == 2, "the history")  # noqa: B023
            assert ended
            assert [position.symbol for position in market.positions()] == [symbol]
        assert client.account.summary().equity is not None


def test_all_pages_of_a_history() -> None:
    with trading() as (_, client):
        placed = [
            client.futures.place_order(
                symbol="BTCUSD", side="buy", qty="0.001", order_type="limit", price=1000 + n
            ).order_id
            for n in range(7)
        ]
        client.futures.cancel_all("BTCUSD")
        for size in (1, 3, 7, 500):
            found = [order.order_id for order in client.futures.order_history(page_size=size)]
            assert found == placed[::-1]


def test_as_fast_as_the_venue_takes_it() -> None:
    """More than a window has, from several threads: not one is refused by the venue."""
    with trading(throttle="code") as (_, client):
        client.futures.instruments()
        client.sync_clock()
        errors: list[Exception] = []

        def place(first: int) -> None:
            try:
                for n in range(first, first + 9):
                    client.futures.place_order(
                        symbol="BTCUSD", side="buy", qty="0.001", order_type="limit", price=n
                    )
            except Exception as error:
                errors.append(error)

        begin_s = time.monotonic()
        threads = [threading.Thread(target=place, args=(1000 + 9 * n,)) for n in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert errors == []
        assert time.monotonic() - begin_s >= 2.0  # 36 of them, 30 in two seconds
        assert len(client.futures.open_orders()) == 36


def test_a_venue_that_counts_otherwise() -> None:
    """10605 in spite of ours: a read waits and comes back; an order says so and was not placed."""
    with trading(faults=[{"kind": "code", "amount": 10605, "times": 2}]) as (exchange, client):
        client._rest._ask_s = math.inf
        assert client.account.user().user_id is not None
        exchange.mend()
        exchange.fault("code", amount=10605, path="create", times=1)
        with pytest.raises(RateLimited) as caught:
            client.futures.place_order(
                symbol="BTCUSD", side="buy", qty=1, order_type="limit", price=1000
            )
        assert caught.value.is_sent
        assert client.futures.open_orders() == []


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ({"kind": "status", "amount": 500}, Unavailable),
        ({"kind": "code", "amount": 10582}, Unavailable),
        ({"kind": "hang_up"}, TransportError),
    ],
    ids=["500", "10582", "hang up"],
)
@pytest.mark.parametrize("when", ["before", "after"])
def test_an_order_is_sent_once(fault: dict[str, Any], kind: type[Exception], when: str) -> None:
    """It stands once or not at all, and the client finds out which."""
    order: dict[str, Any] = {"symbol": "BTCUSD", "side": "buy", "qty": 1}
    order |= {"order_type": "limit", "price": 1000}
    with trading() as (exchange, client):
        client.futures.instruments()
        exchange.fault(**fault, path="create", when=when)
        if when == "after":
            placed = client.futures.place_order(**order)
            assert placed.state is OrderState.NEW
            assert [o.order_id for o in client.futures.open_orders()] == [placed.order_id]
            return
        with pytest.raises(kind) as caught:
            client.futures.place_order(**order)
        assert caught.value.is_inferred  # type: ignore[attr-defined]
        assert client.futures.open_orders() == []


def test_the_end_of_everything() -> None:
    with trading(reads_lag_ms=200) as (exchange, client):
        option = exchange.symbols("options")[0]
        for n in range(3):
            client.options.place_order(
                symbol=option, side="buy", qty=1, order_type="limit", price=1 + n
            )
        client.futures.place_order(
            symbol="ETHUSD", side="sell", qty=1, order_type="post_only", price=9000
        )
        client.cancel_everything(10)
        exchange.skip(1000)
        assert client.options.open_orders() == []
        assert client.futures.open_orders() == []
        assert [o.state for o in client.futures.order_history()] == [OrderState.CANCELED]


def test_a_dead_mans_switch() -> None:
    with trading() as (exchange, client):
        order: dict[str, Any] = {"symbol": "BTCUSD", "side": "buy", "qty": 1}
        order |= {"order_type": "limit", "price": 1000}
        with client.deadman(["BTCUSD", "ETHUSD"], 60_000, cancel_on_exit=False) as switch:
            assert switch.keeper == "venue"
            client.futures.place_order(**order)
            exchange.skip(50_000)
            switch.beat()
            exchange.skip(50_000)
            assert len(client.futures.open_orders()) == 1
            assert {(row.product, row.symbol) for row in client.countdowns()} == {
                *((1, "BTCUSD"), (1, "ETHUSD"), (2, "BTCUSD"), (2, "ETHUSD")),
            }
            exchange.skip(61_000)
            assert client.futures.open_orders() == []
            with pytest.raises(OrderRejected) as caught:
                switch.beat()
            assert caught.value.code == 10619
            with pytest.raises(OrderRejected) as caught:
                client.futures.place_order(**order)
            assert caught.value.code == 10619
            switch.set()
            client.futures.place_order(**order)
        exchange.skip(120_000)
        assert len(client.futures.open_orders()) == 1
        assert client._rest.call("countdowns", {"product": 2}) == []
        with client.deadman("BTCUSD", 60_000):
            client.futures.place_order(**order)
        assert client.futures.open_orders() == []
        assert client._rest.call("countdowns", {"product": 2}) == []


def test_a_switch_that_nobody_beats_any_more() -> None:
    """The client goes away first: the venue does what it is for."""
    with trading() as (exchange, client):
        client.deadman("BTCUSD", 60_000, cancel_on_exit=False)
        order: dict[str, Any] = {"symbol": "BTCUSD", "side": "buy", "qty": 1, "price": 1000}
        client.futures.place_order(**order, order_type="limit")
        client.close()
        keys = exchange.api_key, exchange.api_secret
        with Client(*keys, rest_url=exchange.rest_url) as other:
            assert len(other.futures.open_orders()) == 1
            exchange.skip(61_000)
            assert other.futures.open_orders() == []


def test_batches_and_protection() -> None:
    with trading() as (exchange, client):
        option = exchange.symbols("options")[0]
        new = {"symbol": option, "side": "buy", "qty": "0.1", "order_type": "limit"}
        with pytest.raises(OrderRejected) as caught:
            client.options.place_order(**new, price=1, mmp=True)  # type: ignore[arg-type]
        assert caught.value.code == 60008
        client.options.mmp.set(
            "BTCUSD", interval_ms=1000, frozen_ms=0, qty_limit=5, delta_limit="0.5"
        )
        protection = client.options.mmp.get("BTCUSD")
        assert protection is not None
        assert protection.exact("delta_limit") == Decimal("0.5")
        first, second, third = client.options.place_orders(
            [new | {"price": 1, "mmp": True}, new | {"price": 2}, new | {"price": 1, "qty": 9999}]
        )
        assert first.order is not None
        assert second.order is not None
        assert isinstance(third.error, OrderRejected)
        changed = client.options.modify_orders(
            [
                {"symbol": option, "order_id": first.order.order_id, "price": 3},
                {"symbol": option, "order_id": 5, "price": 3},
                {"symbol": option, "order_id": second.order.order_id, "qty": "0.2"},
            ]
        )
        assert [outcome.ok for outcome in changed] == [True, False, True]
        assert {(o.price, o.qty) for o in client.options.open_orders()} == {(3.0, 0.1), (2.0, 0.2)}
        ended = client.options.cancel_orders([second.order, 5, first.order])
        assert [outcome.ok for outcome in ended] == [True, False, True]
        assert isinstance(ended[1].error, OrderNotFound)
        client.options.mmp.reset("BTCUSD")


@pytest.mark.parametrize("makers_only", ["404", "code"])
def test_who_is_no_market_maker(makers_only: str) -> None:
    with trading(permissions=("trade",), makers_only=makers_only) as (_, client):
        with pytest.raises(VenueError) as caught:
            client.deadman("BTCUSD", 5000, keeper="venue")
        assert isinstance(caught.value, AuthError) == (makers_only == "code")
        if makers_only == "404":
            assert "not for this key" in str(caught.value)
        with client.deadman("BTCUSD", 5000) as switch:
            assert switch.keeper == "process"


def test_who_may_only_read() -> None:
    with trading(permissions=()) as (_, client):
        assert client.account.key().is_read_only
        with pytest.raises(AuthError) as caught:
            client.futures.cancel_all("BTCUSD")
        assert caught.value.code == 10554


def test_wrong_keys() -> None:
    with Exchange() as exchange:
        for key, secret, code in (("x", "y", 10560), (exchange.api_key, "y", 10562)):
            with Client(key, secret, rest_url=exchange.rest_url) as client:
                with pytest.raises(AuthError) as caught:
                    client.account.user()
                assert caught.value.code == code


def test_a_clock_that_is_set_while_orders_are_placed() -> None:
    with trading() as (exchange, client):
        for by_ms in (-4000, 9000, -9000):
            exchange.skew(by_ms)
            client.futures.place_order(
                symbol="BTCUSD", side="buy", qty=1, order_type="limit", price=1000
            )
        assert len(client.futures.open_orders()) == 3
        exchange.fault("code", amount=10557)
        with pytest.raises(ClockError):
            client.futures.cancel_all("BTCUSD")


def test_market_data_without_keys() -> None:
    """As the streams show it: chain, trades, bars, tickers, what is listed."""
    with Exchange(seed=3) as exchange, Client(rest_url=exchange.rest_url) as client:
        exchange.skip(120_000)
        options = client.options.instruments("BTC") + client.options.instruments("ETH")
        assert sorted(row.symbol for row in options) == sorted(exchange.symbols("options"))
        near = min(row.expiry_ms or 0 for row in options)
        assert near % 86_400_000 == 8 * 3_600_000  # 08:00 UTC
        chain = client.options.chain("BTCUSD", near)
        wanted = {row.symbol for row in options if (row.index, row.expiry_ms) == ("BTCUSD", near)}
        assert set(chain.symbols) == wanted
        symbol = chain.symbols[0]
        assert client.options.details(symbol).symbol == symbol
        (bar, *_) = client.futures.klines("BTCUSD", "m1", 0, 2**42)
        assert bar.high is not None
        assert {trade.symbol for trade in client.futures.last_trades("BTCUSD")} == {"BTCUSD"}
        assert [row.symbol for row in client.funding_rates()] == ["BTCUSD", "ETHUSD"]
        assert {row.symbol for row in client.futures.symbols()} == {"BTCUSD", "ETHUSD"}
        assert client.options.expiry_estimates("BTCUSD")
        assert client.options.delivery_prices("BTCUSD") == []
        exchange.skip(near - client.server_time() + 10_000)
        (settled,) = client.options.delivery_prices("BTCUSD")
        assert settled.price is not None
        with pytest.raises(VenueError) as caught:
            client.options.instruments("DOGE")
        assert caught.value.code == 40034
        config = client.config()
        assert config["futuresConfig"]["BTCUSD"]["minQty"] == Decimal("0.001")


def test_what_an_expiry_and_funding_leave() -> None:
    """Records that only REST has."""
    with trading() as (exchange, client):
        option = client.options.instruments("BTC")[0]
        ask = client.options.order_book(option.symbol).best_ask
        client.options.place_order(
            symbol=option.symbol, side="buy", qty="0.01", order_type="limit", price=ask
        )
        client.futures.place_order(symbol="BTCUSD", side="sell", qty="0.01", order_type="market")
        assert option.expiry_ms is not None
        exchange.freeze(False)
        exchange.skip(option.expiry_ms - client.server_time() + 10_000)
        end_ms = option.expiry_ms + 60_000
        (exercise,) = client.account.exercises(start_ms=end_ms - 86_400_000, end_ms=end_ms)
        assert (exercise.symbol, exercise.strike) == (option.symbol, float(option.strike or 0))
        paid = list(
            client.account.funding("BTCUSD", start_ms=end_ms - 80 * 86_400_000, end_ms=end_ms)
        )
        assert paid
        assert paid[0].side is Side.SELL

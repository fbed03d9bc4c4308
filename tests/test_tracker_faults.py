"""Orders while the network fails: nothing is forgotten, and in the end all is as at the exchange.

Orders are placed, changed, cancelled and taken by another user all the while; what the tracker
shows is held against what the exchange's own REST tells, asked past the network that fails.
"""

import contextlib
import os
import random
from collections import defaultdict
from decimal import Decimal
from typing import Any

import pytest

from coincall_fast import (
    CoincallFastError,
    OrderState,
    Standing,
    VenueError,
)
from coincall_fast.backoff import Backoff
from coincall_fast.sim import Exchange
from proxy import Fault, Proxy
from rest_clients import client_to
from streams import stream_to, until

IS_LONG = bool(os.environ.get("COINCALL_FAST_LONG"))
CUTS = 1000 if IS_LONG else 20
TOGETHER = 10  # after so many cuts everything is compared
OUTAGES = 50 if IS_LONG else 1
RICH = 10**10

pytestmark = [
    pytest.mark.timeout(1800 if IS_LONG else 60),
    pytest.mark.usefixtures("short_waits"),
]


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr(Backoff, "FIRST_S", 0.01)
    monkeypatch.setattr(Backoff, "LONGEST_S", 0.05)


class Market:
    """One product as the tests trade it: a symbol, and prices that stand or trade."""

    def __init__(self, exchange, direct, product):
        self.product = product
        self.noun = getattr(direct, product)
        self.symbol = exchange.symbols(product)[0]
        instrument = self.noun.instrument(self.symbol)
        assert instrument is not None
        self.tick, self.lot = instrument.tick_size, instrument.min_qty
        ask = Decimal(str(self.noun.order_book(self.symbol).best_ask))
        self.best = ask - self.tick  # better than all other bids
        self.low = instrument.round_price(ask / 2, "buy")


class World:
    """The exchange, one who trades over a network that fails, one who takes, and one who knows."""

    def __init__(self, exchange, network, trader, direct, taker, stream):
        self.dice = random.Random(3)
        self.exchange = exchange
        self.network = network
        self.trader = trader
        self.direct = direct
        self.taker = taker
        self.stream = stream
        self.tracker = stream.orders
        self.markets = [Market(exchange, direct, name) for name in ("options", "futures")]
        self.placed: list[tuple[str, int]] = []  # by client order ids
        self.unchecked: list[tuple[str, int]] = []  # those that had not ended at the last check
        self.filled: dict[tuple[str, int | None], Decimal] = defaultdict(Decimal)
        self.tracker.on("filled", self._note)

    def _note(self, event):
        self.filled[event.order.product, event.order.order_id] += event.qty

    def act(self, client):
        """Something that a trader does, or somebody else: at random."""
        dice, market = self.dice, self.dice.choice(self.markets)
        mine = [order for order in self.tracker if order.product == market.product]
        noun = getattr(client, market.product)
        with contextlib.suppress(CoincallFastError):
            what = dice.random()
            if what < 0.4 or not mine:
                number = len(self.placed) + 1
                self.placed.append((market.product, number))
                self.unchecked.append((market.product, number))
                noun.place_order(
                    symbol=market.symbol,
                    side="buy",
                    qty=market.lot * dice.randrange(1, 8),
                    order_type="limit",
                    price=dice.choice((market.best, market.low)),
                    client_order_id=number,
                )
            elif what < 0.55:
                order = dice.choice(mine)
                noun.modify_order(
                    symbol=market.symbol,
                    client_order_id=order.client_order_id,
                    qty=market.lot * dice.randrange(1, 8),
                    price=dice.choice((market.best, market.low)),
                )
            elif what < 0.65 or len(mine) > 20:
                noun.cancel_order(client_order_id=dice.choice(mine).client_order_id)
            else:
                self.take(market)

    def take(self, market):
        getattr(self.taker, market.product).place_order(
            symbol=market.symbol,
            side="sell",
            qty=market.lot * self.dice.randrange(1, 10),
            order_type="limit",
            price=market.best,
            time_in_force="IOC",
        )

    def check(self, orders=None):
        """All is as the exchange has it; what it does not have is not thought to be there.

        orders: which to ask for one by one; without, those that had not ended at the last check.
        """
        for market in self.markets:
            listed = {order.order_id for order in market.noun.open_orders()}
            mine = [order for order in self.tracker if order.product == market.product]
            assert {order.order_id for order in mine if order.order_id is not None} == listed
            held = {p.symbol: p for p in market.noun.positions()}.get(market.symbol)
            qty = Decimal(0) if held is None else held.exact("qty")
            until(lambda m=market, q=qty: self.tracker.position_qty(m.symbol) == q, "the position")
        orders = self.unchecked if orders is None else orders
        self.unchecked = []
        for product, number in orders:
            order = self.tracker.get(product, client_order_id=number)
            assert order is not None, f"{product} {number} is forgotten"
            if order.is_open:
                self.unchecked.append((product, number))
            try:
                true = getattr(self.direct, product).order(client_order_id=number)
            except VenueError:
                is_refused = order.standing is Standing.ENDED and order.state is None
                assert is_refused or order.standing is Standing.UNKNOWN
                assert order.filled_qty == 0
                continue
            told = (order.order_id, order.state, order.filled_qty, order.qty, order.price)
            sizes = (true.exact(name) for name in ("filled_qty", "qty", "price"))
            assert told == (true.order_id, true.state, *sizes)
            assert self.filled[product, order.order_id] == order.filled_qty
            one_by_one = sum(fill.exact("qty") for fill in self.tracker.fills(order))
            assert one_by_one == order.filled_qty


@contextlib.contextmanager
def world(*, over_network, **switches):
    how: dict[str, Any] = {"seed": 11, "throttle": "off", "cash": RICH, "expiries": 1} | switches
    with contextlib.ExitStack() as stack:
        exchange = stack.enter_context(Exchange(**how))
        host, _, port = exchange.rest_url.removeprefix("http://").partition(":")
        network = stack.enter_context(Proxy((host, int(port))))
        direct = stack.enter_context(client_to(exchange))
        url = f"http://127.0.0.1:{network.port}" if over_network else None
        client = stack.enter_context(client_to(exchange, url, timeout=1.0))
        other = exchange.add_user(cash=RICH)
        keys = {"api_key": other.api_key, "api_secret": other.api_secret}
        taker = stack.enter_context(client_to(exchange, **keys))
        stream = stack.enter_context(stream_to(exchange, ws_url=network.ws_url))
        trader = client
        reconciler = stream.track(trader)
        reconciler.wait(20)
        yield World(exchange, network, trader, direct, taker, stream), reconciler


def test_cuts_with_open_orders():
    """At random bytes of what the exchange sends, while orders live; REST is well."""
    with world(over_network=False, flow=0.0) as (one, reconciler):
        one.exchange.freeze()
        for cut in range(1, CUTS + 1):
            struck = one.network.struck
            while one.network.struck == struck:
                one.network.order(Fault("cut", skip=one.dice.randrange(1500)))
                one.act(one.trader)
            for _ in range(one.dice.randrange(4)):
                one.act(one.trader)
            if cut % TOGETHER == 0:
                one.network.order(Fault("cut", skip=1 << 40))  # in place of one that waits
                reconciler.wait(20)
                until(lambda: not one.tracker.doubtful(), "the answers")
                until(lambda: settled(one), "the last pushes")
                one.check()
        one.check(one.placed)
        assert one.network.struck >= CUTS
        assert sum(one.filled.values()) > 0


def settled(one):
    """Whether the pushes of what was done last have come."""
    return all(
        order.order_id in {row.order_id for row in market.noun.open_orders()}
        for market in one.markets
        for order in one.tracker
        if order.product == market.product and order.order_id is not None
    )


def test_ten_minutes_without_a_network():
    """Neither stream nor REST; the market goes on, and others trade with one's orders, or end them.

    The market's clock runs; what waits between dials and questions is shortened.
    """
    with world(over_network=True) as (one, reconciler):
        for _ in range(OUTAGES):
            one.markets = [Market(one.exchange, one.direct, m.product) for m in one.markets]
            for _ in range(12):
                one.act(one.trader)
            one.network.down()
            links = one.stream._all_links
            until(lambda: all(link.state != "open" for link in links), "the end of both")  # noqa: B023
            before = one.tracker.open()
            for part in range(4):
                one.exchange.skip(150_000)
                one.direct.futures.positions()  # lets the market's time pass
                for market in one.markets:
                    with contextlib.suppress(VenueError):
                        one.take(market)
                mine = [order for order in one.tracker if order.order_id is not None]
                with contextlib.suppress(CoincallFastError):
                    gone = one.dice.choice(mine)
                    getattr(one.direct, gone.product).cancel_order(order_id=gone.order_id)
                if part % 2 == 0:
                    one.act(one.trader)  # which cannot know what comes of it
            for order in before:  # nobody can have told of an end, but what was on its way
                now = one.tracker.get(order.product, client_order_id=order.client_order_id)
                assert now is not None
                assert now.is_open or now.state is not None
            one.network.up()
            reconciler.wait(20)
            until(lambda: not answerable(one), "the answers")
            until(lambda: settled(one), "the last pushes")
            one.check()
        one.check(one.placed)
        states = {order.state for order in one.tracker._known.views.values()}
        assert states >= {OrderState.FILLED, OrderState.CANCELED}


def answerable(one):
    """Doubts that the exchange could resolve: the others are of what it never had."""
    return [order for order in one.tracker.doubtful() if order.order_id or exists(one, order)]


def exists(one, order):
    try:
        getattr(one.direct, order.product).order(client_order_id=order.client_order_id)
    except VenueError:
        return False
    return True

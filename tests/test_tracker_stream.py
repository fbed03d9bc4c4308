"""Private channels, and the tracker that a stream feeds, on the simulated exchange."""

import contextlib
import json
import os
import threading
import time
from decimal import Decimal

import pytest

from coincall_fast import (
    BookStore,
    Channel,
    Order,
    OrderEvent,
    OrderState,
    Reconciliation,
    Standing,
    TransportError,
    UsageError,
)
from coincall_fast.backoff import Backoff
from coincall_fast.coincall import Dialect
from coincall_fast.sim import Exchange
from coincall_fast.streams.session import CONFIRM_NS, SECOND_NS, Session
from coincall_fast.tracking import reconciler as reconciler_module
from proxy import Proxy
from rest_clients import client_to
from streams import listen, stream_to, until

pytestmark = pytest.mark.usefixtures("quick", "short_waits")

PRIVATE = (Channel.ORDERS, Channel.FILLS, Channel.POSITIONS, Channel.ACCOUNT)


@pytest.fixture
def quick(monkeypatch):
    """Waits that a test can bear."""
    monkeypatch.setattr(Backoff, "FIRST_S", 0.01)
    monkeypatch.setattr(Backoff, "LONGEST_S", 0.1)


@pytest.fixture
def exchange():
    switches = json.loads(os.environ.get("COINCALL_FAST_EXCHANGE", "{}"))
    with Exchange(**{"seed": 11, "flow": 0.0, "throttle": "off"} | switches) as running:
        running.freeze()
        yield running


@pytest.fixture
def client(exchange):
    with client_to(exchange) as client:
        yield client


def terms_of(exchange, client, product):
    """A symbol of a product, what one lot is, a price far below the market and one that trades."""
    market = getattr(client, product)
    symbol = exchange.symbols(product)[0]
    instrument = market.instrument(symbol)
    book = market.order_book(symbol)
    low = instrument.round_price(book.best_bid / 2, "buy")
    return market, symbol, instrument.min_qty, low, book.best_ask


def place(market, symbol, qty, price, side="buy", **more):
    return market.place_order(
        symbol=symbol, side=side, qty=qty, order_type="limit", price=price, **more
    )


class TestPrivateChannels:
    def test_all_of_both_products(self, exchange, client):
        """Orders, fills, positions and balances of options and of futures."""
        with stream_to(exchange) as stream:
            heard = listen(stream, *PRIVATE)
            tracker = stream.orders
            until(lambda: tracker.account is not None, "the balance")
            placed = {}
            for number, product in enumerate(("options", "futures")):
                terms = market, symbol, lot, low, high = terms_of(exchange, client, product)
                placed[product] = terms
                place(market, symbol, lot, high, client_order_id=number + 1)
                place(market, symbol, 2 * lot, low, client_order_id=number + 11)
            for number, (product, (market, symbol, lot, low, _)) in enumerate(placed.items()):
                until(lambda n=number: n + 1 in tracker and n + 11 in tracker, "the orders")
                until(lambda n=number: not tracker[n + 1].is_open, "the end of one")
                taken, resting = tracker[number + 1], tracker[number + 11]
                assert (taken.product, taken.state) == (product, OrderState.FILLED)
                until(lambda order=taken: tracker.fills(order), "its fill")
                assert sum(f.exact("qty") for f in tracker.fills(taken)) == lot
                assert (resting.price, resting.remaining_qty) == (low, 2 * lot)
                until(lambda s=symbol, lot=lot: tracker.position_qty(s) == lot, "the position")
                market.cancel_order(order_id=resting.order_id)
                until(lambda n=number: not tracker[n + 11].is_open, "the end of the other")
                sold = place(market, symbol, lot, low, side="sell")
                until(lambda s=symbol: tracker.position_qty(s) == 0, "the end of the position")
                until(lambda o=sold: not tracker[o.order_id].is_open, "the end of the sale")
            assert tracker.open() == []
            seen = {(name, type(item).__name__, item.dt) for name, item in heard}
            assert {dt for _, _, dt in seen} >= {7, 11, 35, 15, 38, 27, 46}

    def test_a_stream_of_futures_alone_has_no_balance(self, exchange):
        with stream_to(exchange, "futures") as stream:
            errors = listen(stream, "error")
            assert stream.orders.account is None
            (link,) = stream._links["futures"]
            until(lambda: len(link.session._topics) == 4, "the subscriptions")
            topics = {topic.data_type for topic, _ in link.session._topics}
            assert topics == {"order", "trade", "position", "positionEvent"}
            until(lambda: stream.state == "open", "the connection")
        assert errors == []

    def test_the_tracker_is_fed_before_others_are_told(self, exchange, client):
        seen = []
        with stream_to(exchange) as stream:
            stream.on(Channel.ORDERS, lambda order: seen.append(order.order_id in stream.orders))
            until(lambda: stream.orders.account is not None, "the balance")
            market, symbol, lot, low, _ = terms_of(exchange, client, "options")
            place(market, symbol, lot, low)
            until(lambda: seen, "the push")
        assert seen == [True]

    def test_it_is_the_same_one_and_stays_when_all_is_closed(self, exchange):
        stream = stream_to(exchange)
        tracker = stream.orders
        stream.close()
        assert stream.orders is tracker
        assert stream_to(exchange).start().close() is None
        closed = stream_to(exchange)
        closed.close()
        assert closed.orders.open() == []


class TestSilence:
    def test_heartbeats_alone_keep_a_private_connection(self):
        """Ten minutes in which the venue says nothing but that it is there."""
        session = Session(Dialect(), "futures", BookStore())
        for data_type in ("order", "trade", "position"):
            session.subscribe(data_type, (), {}, 0)
        session.opened(0)
        sent_s = []
        for tick in range(600 * 4):
            now_ns = tick * SECOND_NS // 4
            session.tick(now_ns)
            for text in session.to_send(now_ns):
                if "heartbeat" in text:
                    sent_s.append(now_ns / SECOND_NS)
                    session.receive(b'{"c":11,"rc":1}', now_ns + 1, 0)
        between = [b - a for a, b in zip([0.0, *sent_s], sent_s, strict=False)]
        assert max(between) < 30  # or the venue closes (protocol page, section 3.1)
        assert len(sent_s) > 100
        assert session.take_events() == []

    def test_a_venue_that_closes_what_is_silent(self, monkeypatch):
        """The futures socket has nothing to say, and outlives the silence that ends it."""
        defaults = Session.__init__.__kwdefaults__
        assert defaults is not None
        monkeypatch.setitem(defaults, "quiet_ns", SECOND_NS // 10)
        strict = Exchange(seed=11, silence_s=2.0, throttle="off")
        with strict, client_to(strict) as client, stream_to(strict, "futures") as stream:
            events = listen(stream, "gap", "error")
            assert stream.orders.open() == []
            stream.wait_open(10)
            time.sleep(2.5)  # which is the point
            assert strict.connections == 1
            market, symbol, lot, low, _ = terms_of(strict, client, "futures")
            order = place(market, symbol, lot, low)
            until(lambda: order.order_id in stream.orders, "a push on the same connection")
        assert events == []


class TestConfirmation:
    """When everything that was asked for holds: a session's own account of it."""

    def session(self):
        session = Session(Dialect(), "futures", BookStore())
        session.subscribe("order", (), {}, 0)
        session.confirm(0)
        session.opened(0)
        return session

    def confirmed(self, session):
        return [event.arguments for event in session.take_events() if event.name == "confirmed"]

    def test_the_answer_to_a_heartbeat_that_was_sent_last(self):
        session = self.session()
        assert [json.loads(text)["action"] for text in session.to_send(1)] == [
            "subscribe",
            "heartbeat",
        ]
        session.receive(b'{"action":"SUBSCRIBE","result":"success"}', 2, 0)
        assert self.confirmed(session) == []
        session.receive(b'{"c":11,"rc":1}', 3, 0)
        assert self.confirmed(session) == [("futures",)]
        session.receive(b'{"c":11,"rc":1}', 4, 0)
        assert self.confirmed(session) == []

    def test_an_earlier_heartbeat_does_not_count(self):
        session = self.session()
        list(session.to_send(1))
        session.receive(b'{"c":11,"rc":1}', 2, 0)
        session.take_events()
        session.tick(6 * SECOND_NS)
        session.subscribe("trade", (), {}, 6 * SECOND_NS)
        session.confirm(6 * SECOND_NS)
        assert len(list(session.to_send(6 * SECOND_NS))) == 3
        session.receive(b'{"c":11,"rc":1}', 6 * SECOND_NS + 1, 0)
        assert self.confirmed(session) == []
        session.receive(b'{"c":11,"rc":1}', 6 * SECOND_NS + 2, 0)
        assert self.confirmed(session) == [("futures",)]

    def test_where_no_answer_comes_the_time_has_to_do(self):
        session = self.session()
        list(session.to_send(1))
        session.tick(CONFIRM_NS)
        assert self.confirmed(session) == []
        session.tick(CONFIRM_NS + 1)
        assert self.confirmed(session) == [("futures",)]
        session.tick(CONFIRM_NS + 2)
        assert self.confirmed(session) == []

    def test_after_each_reconnect(self):
        session = self.session()
        list(session.to_send(1))
        session.closed(2)
        assert session.take_events()[-1][:2] == ("lost", ("futures",))
        session.opened(3)
        assert len(list(session.to_send(4))) == 2
        session.receive(b'{"c":11,"rc":1}', 5, 0)
        assert self.confirmed(session) == [("futures",)]

    def test_nobody_is_told_who_does_not_ask(self):
        session = Session(Dialect(), "futures", BookStore())
        session.subscribe("order", (), {}, 0)
        session.opened(0)
        assert len(list(session.to_send(1))) == 1
        session.receive(b'{"c":11,"rc":1}', 2, 0)
        session.closed(3)
        assert session.take_events() == []


class TestTrack:
    def test_all_is_known_before_the_first_order(self, exchange, client, monkeypatch):
        """What another session has left is there when `track` returns: no push tells of it."""
        left = {}
        for product in ("options", "futures"):
            market, symbol, lot, low, high = terms_of(exchange, client, product)
            left[product] = place(market, symbol, lot, low).order_id
            place(market, symbol, lot, high)
        trader = client
        heard: list[Order] = []
        monkeypatch.setattr(trader, "heard", heard.append)
        stream = stream_to(exchange)  # which is not even started
        reconciler = stream.track(trader)
        tracker = stream.orders
        assert {order.order_id for order in tracker} == set(left.values())
        assert all(order.is_foreign and order.state is OrderState.NEW for order in tracker)
        assert tracker.account.equity > 0
        assert [tracker.position_qty(exchange.symbols(p)[0]) > 0 for p in left] == [True, True]
        assert not reconciler.is_current
        with pytest.raises(TransportError, match="not reconciled"):
            reconciler.wait(0.05)
        with stream:
            reconciler.wait(20)
            market, symbol, lot, low, _ = terms_of(exchange, trader, "options")
            order = place(market, symbol, lot, low)
            assert not tracker[order.order_id].is_foreign
            until(lambda: tracker[order.order_id].state is not None, "the push")
            assert {one.order_id for one in heard} == {order.order_id}
            with pytest.raises(UsageError, match="already"):
                stream.track(trader)
        with pytest.raises(UsageError, match="closed"):
            stream.track(trader)

    def test_a_gap(self, exchange, client):
        """Each thing that can happen to an order while nobody listens, and what is told of it."""
        reports: list[Reconciliation] = []
        events: list[OrderEvent] = []
        host, _, port = exchange.rest_url.removeprefix("http://").partition(":")
        with (
            Proxy((host, int(port))) as network,
            stream_to(exchange, ws_url=network.ws_url) as stream,
        ):
            trader = client
            reconciler = stream.track(trader)
            tracker = stream.orders
            reconciler.wait(20)
            market, symbol, lot, _, high = terms_of(exchange, trader, "options")
            best = Decimal(str(high)) - market.instrument(symbol).tick_size  # the best bid by far
            orders = [place(market, symbol, 4 * lot, best) for _ in range(4)]
            filled, gone, changed, kept = (order.order_id for order in orders)
            until(lambda: all(order.ts_ms for order in tracker), "their pushes")
            tracker.on("reconciled", reports.append)
            tracker.on("any", events.append)
            network.down()
            until(lambda: not reconciler.is_current, "the gap")
            other = exchange.add_user()
            keys = {"api_key": other.api_key, "api_secret": other.api_secret}
            with client_to(exchange, **keys) as taker, client_to(exchange) as elsewhere:
                elsewhere.options.cancel_order(order_id=gone)
                elsewhere.options.modify_order(symbol=symbol, order_id=changed, qty=3 * lot)
                place(taker.options, symbol, lot, best, side="sell")
                foreign = place(elsewhere.options, symbol, lot, best).order_id
            network.up()
            reconciler.wait(20)
            assert_as_the_exchange_has_it(tracker, client, "options")
            assert tracker[filled].filled_qty == lot
            assert sum(fill.exact("qty") for fill in tracker.fills(tracker[filled])) == lot
            assert tracker[gone].state is OrderState.CANCELED
            assert tracker[changed].qty == 3 * lot
            assert tracker[foreign].is_foreign
            assert tracker[kept].standing is Standing.OPEN
            told = {(event.order.order_id, str(event.kind)) for event in events}
            assert told == {
                (filled, "filled"),
                (gone, "canceled"),
                (changed, "replaced"),
                (foreign, "opened"),
            }
            assert {report.product for report in reports} == {"options", "futures"}

    def test_what_rest_tells_late(self, monkeypatch):
        """After a gap it tells of an order as it was in the gap; no push will mend that."""
        monkeypatch.setattr(reconciler_module, "LAG_S", 0.4)
        with contextlib.ExitStack() as stack:
            exchange = stack.enter_context(Exchange(seed=11, flow=0.0, throttle="off"))
            exchange.freeze()
            client = stack.enter_context(client_to(exchange))
            stream = stream_to(exchange)
            reconciler = stream.track(client)
            stack.enter_context(stream)
            reconciler.wait(20)
            market, symbol, lot, low, _ = terms_of(exchange, client, "futures")
            order = place(market, symbol, lot, low)
            until(lambda: order.order_id in stream.orders, "its push")
            until(lambda: not reconciler._again_s, "the second look after the beginning")
            listed = market.open_orders()
            exchange.fault("lose", channel="35", times=1)
            market.cancel_order(order_id=order.order_id)
            with monkeypatch.context() as late:
                late.setattr(market, "open_orders", lambda: listed)
                late.setattr(market, "order_history", lambda start_ms: [])
                exchange.drop_connections()
                until(lambda: not reconciler.is_current, "the gap")
                reconciler.wait(20)
                assert stream.orders[order.order_id].is_open  # so REST said
            until(lambda: not stream.orders[order.order_id].is_open, "its end")

    def test_errors_of_rest_are_told_and_it_asks_again(self, exchange, client):
        stream = stream_to(exchange)
        errors = listen(stream, "error")
        reconciler = stream.track(client)
        with stream:
            reconciler.wait(20)
            number = exchange.fault("status", amount=500, path="pending")
            exchange.drop_connections()
            until(lambda: any("500" in str(error) for _, error in errors), "the error")
            assert not reconciler.is_current
            exchange.mend(number)
            reconciler.wait(20)

    def test_an_order_whose_answer_never_came_is_found(self, exchange, client):
        trader = client
        stream = stream_to(exchange)
        reconciler = stream.track(trader)
        with stream:
            reconciler.wait(20)
            market, symbol, lot, low, _ = terms_of(exchange, trader, "futures")
            exchange.fault("lose", channel="35", times=1)  # nor does the push come
            exchange.fault("hang_up", path="order/create", when="after", times=1)
            with contextlib.suppress(TransportError):  # unless the client has found it itself
                place(market, symbol, lot, low, client_order_id=77)
            until(lambda: stream.orders[77].standing is Standing.OPEN, "the order")
            assert stream.orders[77].order_id is not None

    def test_track_raises_what_rest_raises(self, exchange):
        with client_to(exchange, api_secret="wrong") as wrong:
            stream = stream_to(exchange)
            with pytest.raises(Exception, match="signature"):
                stream.track(wrong)
        with client_to(exchange) as client:
            stream.track(client)  # and may be asked again
        stream.close()

    def test_a_closed_stream_is_told_of_no_more_orders(self, exchange, client):
        """Nothing would ever end them there, however many come."""
        with stream_to(exchange) as stream:
            stream.track(client).wait(20)
        market, symbol, lot, low, _ = terms_of(exchange, client, "options")
        order = place(market, symbol, lot, low)
        assert order.order_id not in stream.orders
        assert stream.orders.open() == []

    def test_one_that_is_closed_meanwhile_starts_no_thread(self, exchange, client, monkeypatch):
        stream = stream_to(exchange).start()
        summary = client.account.summary

        def closing():
            stream.close()
            return summary()

        monkeypatch.setattr(client.account, "summary", closing)
        with pytest.raises(UsageError, match="closed"):
            stream.track(client)
        names = {thread.name for thread in threading.enumerate()}
        assert "coincall-fast reconciler" not in names

    def test_its_thread_ends_with_the_stream(self, exchange, client):
        with stream_to(exchange) as stream:
            reconciler = stream.track(client)
            reconciler.wait(20)
            assert reconciler.is_alive()
        until(lambda: not reconciler.is_alive(), "its end")


def assert_as_the_exchange_has_it(tracker, client, product):
    """Each order that is known, and each that there is, by REST."""
    market = getattr(client, product)
    listed = {order.order_id for order in market.open_orders()}
    assert {order.order_id for order in tracker if order.product == product} == listed
    for order in tracker._known.views.values():
        if order.product == product:
            true = market.order(order_id=order.order_id)
            assert (order.state, order.filled_qty) == (true.state, true.exact("filled_qty"))
            assert (order.qty, order.price) == (true.exact("qty"), true.exact("price"))

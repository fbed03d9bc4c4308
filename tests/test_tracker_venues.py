"""The tracker of one's own orders at venues without a client here: it knows what pushes tell.

Against the servers of bybit_server.py and gate_server.py; frames are those of the protocol page,
sections 1.7 and 2.4, and of version 5 as the venue's pages print them.
"""

from decimal import Decimal
from typing import Any

import pytest

import bybit_server
import gate_server
from bybit_frames import OPTION
from bybit_server import BybitServer
from coincall_fast import (
    EventKind,
    Fill,
    Order,
    OrderState,
    OrderTracker,
    Side,
    Standing,
    UsageError,
    bybit,
    gate,
)
from gate_server import GateServer
from streams import until
from venue_market import CONTRACT

V1 = "user.openapi.option"
V5_TOPICS = ("order", "execution", "position", "wallet")
V1_TOPICS = tuple(f"{V1}.{name}" for name in ("order", "trade", "position"))


def v5(topic, **row):
    return {"id": "1", "topic": topic, "creationTime": 1_672_364_262_444, "data": [row]}


def v1(name, number, **row):
    data = {"result": [row], "version": number, "baseLine": 1}
    return {"id": "1", "topic": f"{V1}.{name}", "creationTime": 1_650_000_000_000, "data": data}


def of_gate(channel, result):
    frame = {"time": 1_630_654_851, "channel": f"options.{channel}", "event": "update"}
    return {**frame, "error": None, "result": result}


def topics(server):
    return {topic for peer in server.open_peers for topic in peer.topics}


def sums(tracker, order):
    return sum(fill.exact("qty") for fill in tracker.fills(order))


def bybit_to(server, edition):
    keys: dict[str, Any] = {"api_key": bybit_server.KEY, "api_secret": bybit_server.SECRET}
    return bybit.Stream(ws_url=server.url, edition=edition, **keys)


def gate_to(server, **options):
    keys: dict[str, Any] = {"api_key": gate_server.KEY, "api_secret": gate_server.SECRET}
    urls: dict[str, Any] = {
        "ws_url": f"{server.url}/v4/ws",
        "rest_url": f"http://127.0.0.1:{server.port}/api/v4",
    }
    return gate.Stream(**urls, **keys, **options)


class TestBybit:
    def test_version_5(self):
        row = {"orderId": "5cf98598-39a7", "orderLinkId": "mine-1", "symbol": OPTION, "side": "Buy"}
        order = {**row, "price": "72.5", "qty": "1", "orderType": "Limit", "timeInForce": "GTC"}
        with BybitServer("v5", *V5_TOPICS) as server, bybit_to(server, "v5") as stream:
            tracker = stream.orders
            happened: list[tuple[EventKind, Decimal]] = []
            tracker.on("any", lambda event: happened.append((event.kind, event.qty)))
            until(lambda: topics(server) == {*V5_TOPICS}, "the subscriptions")
            new = v5("order", **order, orderStatus="New", cumExecQty="0", updatedTime="1")
            server.push("order", new)
            until(lambda: "mine-1" in tracker, "the order")
            assert tracker["mine-1"] is tracker["5cf98598-39a7"]
            assert tracker["mine-1"].product == "options"
            trade = {"execId": "e-1", "execPrice": "72.5", "execQty": "0.4", "execType": "Trade"}
            fill = v5("execution", **row, **trade, execTime="2")
            server.push("execution", fill)
            server.push("execution", fill)
            part = {"cumExecQty": "0.4", "leavesQty": "0.6", "updatedTime": "2"}
            server.push("order", v5("order", **order, **part, orderStatus="PartiallyFilled"))
            server.push("order", new)
            server.push("position", v5("position", symbol=OPTION, side="Buy", size="0.4"))
            server.push("wallet", v5("wallet", totalEquity="100.5"))
            until(lambda: tracker.account is not None, "the balance")
            seen = tracker["mine-1"]
            assert (seen.state, seen.remaining_qty) == (
                OrderState.PARTIALLY_FILLED,
                Decimal("0.6"),
            )
            assert sums(tracker, seen) == seen.filled_qty == Decimal("0.4")
            assert tracker.position_qty(OPTION) == Decimal("0.4")
            end = {"cumExecQty": "0.4", "leavesQty": "0", "updatedTime": "3"}
            server.push("order", v5("order", **order, **end, orderStatus="Cancelled"))
            until(lambda: not tracker.open(), "its end")
            assert happened == [
                (EventKind.OPENED, 0),
                (EventKind.FILLED, Decimal("0.4")),
                (EventKind.CANCELED, 0),
            ]

    def test_that_of_2022_has_no_channel_of_the_balance(self):
        row = {"orderId": "id-7", "orderLinkId": "", "symbol": OPTION, "side": "Sell"}
        order = {**row, "price": "10", "qty": "0.3", "updatedAt": 1}
        with BybitServer("v1", *V1_TOPICS) as server, bybit_to(server, "v1") as stream:
            tracker = stream.orders
            errors: list[Exception] = []
            stream.on("error", errors.append)
            until(lambda: topics(server) == {*V1_TOPICS}, "the subscriptions")
            opened = v1("order", 1, **order, orderStatus="New", cumExecQty="0", leavesQty="0.3")
            server.push(f"{V1}.order", opened)
            fill = {"tradeId": "t-1", "execPrice": "10", "execQty": "0.3", "execType": "TRADE"}
            server.push(f"{V1}.trade", v1("trade", 1, **row, **fill, tradeTime=2))
            until(lambda: "id-7" in tracker and tracker["id-7"].filled_qty, "the fill")
            done = {**order, "orderStatus": "Filled", "cumExecQty": "0.3", "updatedAt": 2}
            server.push(f"{V1}.order", v1("order", 2, **done))
            held = {"symbol": OPTION, "side": "Sell", "size": "-0.3", "updatedAt": 2}
            server.push(f"{V1}.position", v1("position", 1, **held))
            until(lambda: tracker.position_qty(OPTION) == Decimal("-0.3"), "the position")
            until(lambda: not tracker.open(), "its end")
            seen = tracker["id-7"]
            assert (seen.state, seen.side) == (OrderState.FILLED, Side.SELL)
            assert sums(tracker, seen) == Decimal("0.3")
            assert errors == []

    @pytest.mark.parametrize("kind", ["Delivery", "Funding", "Settle", "DELIVERY"])
    def test_what_is_booked_without_an_order_is_none(self, kind):
        """It has an id of its own where an order's would be, and nothing would ever end it."""
        tracker = OrderTracker()
        booked = Fill(order_id="b-1", symbol=OPTION, qty="1", price="5", execution_type=kind)
        assert tracker.feed(booked) == []
        assert tracker.open() == []
        traded = Fill(order_id="b-1", symbol=OPTION, qty="1", price="5", execution_type="Trade")
        assert tracker.feed(traded)


class TestGate:
    def test_the_venues_own_form(self):
        order: dict[str, Any] = {
            "id": 5503,
            "contract": CONTRACT,
            "size": -7,
            "price": 12.5,
            "text": "t-mine",
        }
        wanted = {f"options.{name}" for name in ("orders", "usertrades", "positions", "balances")}
        with GateServer() as server, gate_to(server, user_id="9") as stream:
            tracker = stream.orders
            until(lambda: topics(server) == wanted, "the subscriptions")
            opened = {**order, "status": "open", "left": -7, "time_ms": 1}
            server.push("options.orders", of_gate("orders", [opened]))
            trade = {"id": "1", "order": "5503", "contract": CONTRACT, "price": "12.5", "size": -3}
            trade |= {"text": "t-mine", "create_time_ms": 2}
            server.push("options.usertrades", of_gate("usertrades", [trade]))
            until(lambda: "t-mine" in tracker and tracker["t-mine"].filled_qty, "the fill")
            seen = tracker["5503"]
            assert (seen.side, seen.qty, seen.remaining_qty) == (Side.SELL, 7, 4)
            adl = {"status": "finished", "finish_as": "auto_deleveraged", "left": -4, "time_ms": 3}
            server.push("options.orders", of_gate("orders", [order | adl]))
            until(lambda: not tracker.open(), "its end")
            assert (tracker["5503"].filled_qty, sums(tracker, seen)) == (3, 3)

    def test_that_of_the_seed_has_no_channel_of_fills(self):
        order: dict[str, Any] = {"id": "123456789", "contract": CONTRACT, "size": "2", "price": "5"}
        wanted = {f"options.{name}" for name in ("orders", "positions", "balances")}
        with GateServer() as server, gate_to(server) as stream:
            tracker = stream.orders
            until(lambda: topics(server) == wanted, "the subscriptions")
            server.push("options.orders", of_gate("orders", {**order, "status": "open"}))
            until(lambda: "123456789" in tracker, "the order")
            server.push("options.orders", of_gate("orders", {**order, "status": "closed"}))
            until(lambda: not tracker.open(), "its end")
            assert tracker["123456789"].state == "closed"


@pytest.mark.parametrize(
    ("state", "filled", "kind"),
    [
        ("Deactivated", "0", EventKind.CANCELED),
        ("closed", "0.5", EventKind.CANCELED),
        ("finished", "1", EventKind.FINISHED),
    ],
)
def test_a_word_that_says_only_that_it_is_done_is_an_end(state, filled, kind):
    tracker = OrderTracker()
    told = {"order_id": "a", "symbol": OPTION, "qty": "1", "filled_qty": filled, "price": "5"}
    tracker.feed(Order(**told, state=0))
    events = tracker.feed(Order(**told, state=state))
    assert [event.kind for event in events][-1] is kind
    assert tracker["a"].standing is Standing.ENDED
    assert tracker.open() == []


@pytest.mark.parametrize("venue", [bybit, gate])
def test_there_is_no_client_to_track(venue):
    stream = venue.Stream(api_key="k", api_secret="s" * 16, ws_url="ws://127.0.0.1:1")
    with pytest.raises(UsageError, match=f"no Client for {stream.dialect.venue}"):
        stream.track(object())
    stream.close()


@pytest.mark.parametrize(
    ("venue", "how"),
    [
        (bybit, {}),
        (gate, {}),
        (gate, {"api_key": "k", "api_secret": "s" * 16, "edition": "official"}),
    ],
)
def test_a_tracker_that_cannot_be_fed_is_refused_each_time(venue, how, monkeypatch):
    """Without keys, or without the user id: rather than one that never hears of anything."""
    for name in ("BYBIT_API_KEY", "BYBIT_API_SECRET", "GATE_API_KEY", "GATE_API_SECRET"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.delenv("GATE_USER_ID", raising=False)
    stream = venue.Stream(ws_url="ws://127.0.0.1:1", **how)
    for _ in range(2):
        with pytest.raises(UsageError):
            print(stream.orders)
    stream.close()

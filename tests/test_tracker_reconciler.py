"""What a reconciler asks REST after a gap, and what it makes of the answers; no network."""

import json
from decimal import Decimal
from typing import Any

import pytest

from coincall_fast import (
    Account,
    Fill,
    Order,
    OrderNotFound,
    OrderTracker,
    Position,
    Standing,
    TransportError,
    decode_rest,
)
from coincall_fast.tracking.reconciler import SLACK_MS, TRIES, Reconciler
from tracked import NEW, OPTION, PARTIAL, order_push, step

LATEST_MS = 10**12


class Market:
    """Answers what it is told to, and notes what it was asked."""

    def __init__(self):
        self.open: list[Order] = []
        self.ended: list[Order] = []
        self.fills: list[Fill] = []
        self.found: dict[int, Order] = {}
        self.asked: list[Any] = []

    def open_orders(self):
        self.asked.append("open_orders")
        return self.open

    def order_history(self, *, start_ms=None):
        self.asked.append(("order_history", start_ms))
        return iter(self.ended)

    def trade_history(self, *, start_ms=None):
        self.asked.append(("trade_history", start_ms))
        return iter(self.fills)

    def positions(self):
        self.asked.append("positions")
        return [Position(symbol=OPTION, qty="2", side=1)]

    def order(self, **ids):
        self.asked.append(("order", ids))
        found = self.found.get(next(iter(ids.values())))
        if found is None:
            raise OrderNotFound("no such order", 10584)
        return found


def row(oid, **more):
    said = {"orderId": oid, "symbol": OPTION, "qty": "1.0", "price": "10.5", "tradeSide": 1}
    return decode_rest(Order, json.dumps(said | {"createTime": LATEST_MS} | more))


@pytest.fixture
def market():
    return Market()


@pytest.fixture
def tracker():
    return OrderTracker()


@pytest.fixture
def reconciler(tracker, market):
    made = Reconciler(tracker, {"options": market}, lambda: Account(equity="5"), print)
    made.reconcile("options")  # when the client was joined
    market.asked.clear()
    return made


def gap(reconciler):
    reconciler.lost("options")
    reconciler.confirmed("options")


def test_before_the_first_order_nothing_but_what_stands(reconciler, market, tracker):
    made = Reconciler(tracker, {"options": market}, lambda: Account(equity="5"), print)
    market.open = [row(5, fillQty="0.5")]
    report = made.reconcile("options")
    assert market.asked == ["open_orders", "positions"]  # old fills are not asked for
    assert [event.kind for event in report.events] == ["opened", "filled"]
    assert (tracker.account.equity, tracker.position_qty(OPTION)) == (5, 2)
    gap(made)
    made.reconcile("options")
    assert ("trade_history", None) not in market.asked
    assert not [one for one in market.asked if one[0] == "trade_history"]


def test_what_is_in_no_list_is_asked_for(reconciler, market, tracker):
    tracker.feed(order_push(5, NEW, LATEST_MS))
    tracker.feed(order_push(6, NEW, LATEST_MS, coid=8))
    market.found = {5: row(5, state=3, fillQty="0.25", updateTime=LATEST_MS + 1)}
    gap(reconciler)
    report = reconciler.reconcile("options")
    assert [event.kind for event in report.events] == ["filled", "canceled", "unknown"]
    assert [one for one in market.asked if one[0] == "order"] == [
        ("order", {"order_id": 5}),
        ("order", {"order_id": 6}),
    ]
    assert tracker[6].standing is Standing.UNKNOWN
    assert [order.order_id for order in tracker] == [6]


def test_one_that_has_no_id_yet_is_asked_for_by_the_clients(reconciler, market, tracker):
    tracker.step(step("sent"))
    tracker.step(step("unknown", error=TransportError("gone")))
    market.found = {7: row(5, clientOrderId=7, state=0, updateTime=LATEST_MS)}
    gap(reconciler)
    reconciler.reconcile("options")
    assert ("order", {"client_order_id": 7}) in market.asked
    assert tracker[7].standing is Standing.OPEN


def test_what_came_and_went_in_the_gap_is_told(reconciler, market, tracker):
    tracker.feed(order_push(5, NEW, LATEST_MS))
    market.open = [row(5)]
    market.ended = [row(9, state=1, fillQty="1.0")]
    gap(reconciler)
    tracker.feed(order_push(5, PARTIAL, LATEST_MS + 10**6, fq="0.1"))  # it goes on meanwhile
    report = reconciler.reconcile("options")
    assert ("order_history", LATEST_MS - SLACK_MS) in market.asked  # since before the gap
    assert [event.kind for event in report.events] == ["opened", "filled", "finished"]
    assert tracker[9].is_foreign


def test_fills_that_were_missed_are_asked_for(reconciler, market, tracker):
    """Whoever told that something was filled: the list, or a push after the gap."""
    tracker.feed(order_push(5, PARTIAL, LATEST_MS, ct=LATEST_MS, fq="0.4"))
    market.open = [row(5)]
    fill = {"tradeId": 50, "orderId": 5, "symbol": OPTION, "qty": "0.4", "price": "10"}
    market.fills = decode_rest(Fill, json.dumps([fill, fill | {"tradeId": 51, "orderId": 6}]))
    gap(reconciler)
    reconciler.reconcile("options")
    assert ("trade_history", LATEST_MS - SLACK_MS) in market.asked
    assert [one.trade_id for one in tracker.fills(tracker[5])] == [50]
    assert tracker[5].average_price == Decimal(10)
    assert 6 not in tracker


def test_fills_that_the_venue_does_not_tell_are_not_asked_for_for_ever(reconciler, market, tracker):
    tracker.feed(order_push(5, PARTIAL, LATEST_MS, ct=LATEST_MS, fq="0.4"))
    market.open = [row(5)]
    for _ in range(TRIES + 2):
        gap(reconciler)
        reconciler.reconcile("options")
    assert len([one for one in market.asked if one[0] == "trade_history"]) == TRIES


def test_the_fills_of_each_gap_are_asked_for(reconciler, market, tracker):
    """However many there were before, in the life of one order."""
    market.open = [row(5)]
    for number in range(1, TRIES + 3):
        filled = Decimal(number) / 10
        pushed = order_push(5, PARTIAL, LATEST_MS + number, ct=LATEST_MS, fq=str(filled))
        tracker.feed(pushed)
        fill = {"orderId": 5, "symbol": OPTION, "qty": "0.1", "price": "10"}
        told = [fill | {"tradeId": 50 + each} for each in range(number)]
        market.fills = decode_rest(Fill, json.dumps(told))
        gap(reconciler)
        reconciler.reconcile("options")
        assert sum(one.exact("qty") for one in tracker.fills(tracker[5])) == filled


def test_it_is_current_when_every_product_is(reconciler):
    assert not reconciler.is_current  # nobody has said that it is connected
    gap(reconciler)
    assert not reconciler.is_current
    reconciler.reconcile("options")
    assert reconciler.is_current
    reconciler.confirmed("options")  # once more, while nobody asked yet
    assert not reconciler.is_current
    reconciler.reconcile("options")
    reconciler.lost("options")
    assert not reconciler.is_current


def test_a_failure_is_raised_and_the_gap_is_kept(reconciler, market, tracker):
    tracker.feed(order_push(5, NEW, LATEST_MS))
    gap(reconciler)
    market.order_history = None  # whatever it is that fails
    with pytest.raises(TypeError):
        reconciler.reconcile("options")
    assert not reconciler.is_current
    del market.order_history
    tracker.feed(order_push(6, NEW, LATEST_MS + 10**6, coid=8))
    reconciler.reconcile("options")
    assert ("order_history", LATEST_MS - SLACK_MS) in market.asked

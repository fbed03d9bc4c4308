"""The book without one's own size, held against a model that knows who put what there."""

import math
import random
from decimal import Decimal

import numpy as np
import pytest

from coincall_fast import OrderBook, OrderState, OrderTracker
from tracked import (
    CANCELED,
    FILLED,
    NEW,
    OPTION,
    PARTIAL,
    PERPETUAL,
    asked,
    order_push,
    step,
)

BUY, SELL = 1, 2


@pytest.fixture
def tracker():
    return OrderTracker()


def book_of(bids, asks, *, symbol=OPTION, ts_ms=2000):
    book = OrderBook(symbol)
    book.load(bids, asks, ts_ms)
    return book


def levels(depth):
    return depth.bids.tolist(), depth.asks.tolist()


class TestNet:
    def test_one_is_the_best_bid(self, tracker):
        """What a quoter must see: others' quotes, and not that he has raised the microprice."""
        book = book_of([("10.5", "3"), ("9", "1")], [("12", "1")])
        tracker.feed(order_push(5, NEW, 1000, q="3", pr="10.50"))
        net = tracker.net(book)
        assert levels(net) == ([[9.0, 1.0]], [[12.0, 1.0]])
        assert net.microprice == net.mid == 10.5
        assert book.microprice > 11
        assert (net.ts_ms, net.update_count) == (2000, book.update_count)
        assert net.bbo == (9.0, 1.0, 12.0, 1.0)

    def test_nothing_is_left(self, tracker):
        book = book_of([("10.5", "3")], [("12", "1")])
        tracker.feed(order_push(5, NEW, 1000, q="3"))
        net = tracker.net(book)
        assert net.bids.shape == (0, 2)
        assert all(map(math.isnan, (net.best_bid, net.mid, net.microprice)))
        assert net.bbo[1:] == (0.0, 12.0, 1.0)

    def test_others_at_the_same_price_are_left(self, tracker):
        book = book_of([("10.5", "3.30000001")], [("12", "1")])
        for oid, qty in ((5, "1.1"), (6, "2.2")):
            tracker.feed(order_push(oid, NEW, 1000, coid=None, q=qty))
        assert levels(tracker.net(book))[0] == [[10.5, 1e-08]]

    @pytest.mark.parametrize("stage", ["sent", "unknown", "taken"])
    def test_what_is_on_its_way_may_be_there_or_not(self, tracker, stage):
        """And never takes from others more than they have."""
        tracker.step(step("sent", asked(qty="2", side=SELL, price="12")))
        tracker.step(step(stage, asked(qty="2", side=SELL, price="12")))
        for size, left in (("5", [[12.0, 3.0]]), ("2", []), ("1", [])):
            assert levels(tracker.net(book_of([], [("12", size)])))[1] == left

    def test_what_is_changed_may_stand_at_either_end(self, tracker):
        tracker.feed(order_push(5, PARTIAL, 1000, q="3", fq="1", rq="2"))
        book = book_of([("11", "4"), ("10.5", "4")], [])
        tracker.step(step("sent", asked(None, order_id=5, qty="4", price="11"), "modify_order"))
        assert levels(tracker.net(book))[0] == [[11.0, 1.0], [10.5, 2.0]]
        tracker.feed(order_push(5, PARTIAL, 1001, q="4", pr="11", fq="1", rq="3"))
        assert levels(tracker.net(book))[0] == [[11.0, 1.0], [10.5, 4.0]]

    def test_what_is_cancelled_stands_until_it_is_gone(self, tracker):
        tracker.feed(order_push(5, NEW, 1000, q="3"))
        tracker.step(step("sent", asked(order_id=5), "cancel_order"))
        tracker.step(step("taken", asked(order_id=5), "cancel_order"))
        tracker.feed(order_push(5, OrderState.CANCELING, 1001, q="3"))
        assert levels(tracker.net(book_of([("10.5", "4")], [])))[0] == [[10.5, 1.0]]

    def test_what_is_gone_stands_in_older_books(self, tracker):
        """Books come up to 200 ms late: one's own quote in them is still nobody else's."""
        tracker.feed(order_push(5, NEW, 1000, q="3"))
        tracker.feed(order_push(5, PARTIAL, 1500, q="3", fq="1", rq="2"))
        tracker.feed(order_push(5, CANCELED, 1800, q="3", fq="1", cq="2"))
        for ts_ms, left in ((1400, 1), (1499, 1), (1500, 2), (1799, 2), (1800, 4), (0, 4)):
            book = book_of([("10.5", "4")], [], ts_ms=ts_ms)
            assert levels(tracker.net(book))[0] == [[10.5, left]], ts_ms

    @pytest.mark.parametrize(
        "more", [{"tif": 2}, {"tif": 3}, {"ty": 2, "pr": "0"}, {"os": -2}, {"si": 7}]
    )
    def test_what_never_stands_in_a_book(self, tracker, more):
        push = {"oid": 5, "os": NEW, "ts": 1000, "q": "3", **more}
        tracker.feed(order_push(push.pop("oid"), push.pop("os"), push.pop("ts"), **push))
        assert levels(tracker.net(book_of([("10.5", "4")], [])))[0] == [[10.5, 4.0]]

    def test_other_symbols_and_ended_orders_are_no_matter(self, tracker):
        tracker.feed(order_push(5, NEW, 1000, symbol=PERPETUAL))
        tracker.feed(order_push(6, FILLED, 1000, coid=8, fq="1.0"))
        assert levels(tracker.net(book_of([("10.5", "4")], [])))[0] == [[10.5, 4.0]]

    def test_an_invalid_book_has_nothing(self, tracker):
        tracker.feed(order_push(5, NEW, 1000))
        book = book_of([("10.5", "4")], [])
        book.clear()
        assert levels(tracker.net(book)) == ([], [])
        assert levels(tracker.net(OrderBook())) == ([], [])


def test_many_books_against_who_put_what_there():
    """Full books of both sides, one's own orders at random prices of them and beyond."""
    dice = random.Random(5)
    for _ in range(40):
        tracker = OrderTracker()
        others: dict[int, dict[int, int]] = {BUY: {}, SELL: {}}
        mine: dict[int, dict[int, int]] = {BUY: {}, SELL: {}}
        for side, first in ((BUY, 10_000), (SELL, 10_001)):
            for number in range(100):
                tick = first + (number if side == SELL else -number)
                others[side][tick] = dice.randrange(1, 10**9)
        for oid in range(1, dice.randrange(2, 30)):
            side = dice.choice((BUY, SELL))
            tick = dice.choice([*others[side]]) + dice.choice((0, 0, 60))
            size = dice.randrange(1, 10**9)
            mine[side][tick] = mine[side].get(tick, 0) + size
            if dice.random() < 0.2:  # nobody else is there
                others[side].pop(tick, None)
            qty, price = f"{size}E-8", f"{tick}E-2"
            tracker.feed(order_push(oid, NEW, 1000, coid=None, q=qty, pr=price, si=side))
        book, expected = OrderBook(OPTION), []
        sides = []
        for side in (BUY, SELL):
            ticks = sorted(others[side].keys() | mine[side].keys(), reverse=side == BUY)[:100]
            whole = {t: others[side].get(t, 0) + mine[side].get(t, 0) for t in ticks}
            sides.append([(Decimal(t) / 100, Decimal(size) / 10**8) for t, size in whole.items()])
            left = [(t, others[side][t]) for t in ticks if t in others[side]]
            expected.append([[t * 10**6 / 1e8, size / 1e8] for t, size in left])
        book.load(sides[0], sides[1], 2000)
        assert levels(tracker.net(book)) == tuple(expected)


def test_without_orders_it_is_the_book(tracker):
    book = book_of([("0.1", "0.00000001"), ("0.05", "90000000000")], [("0.3", "7")])
    net, depth = tracker.net(book), book.depth()
    assert np.array_equal(net.bids, depth.bids)
    assert np.array_equal(net.asks, depth.asks)
    assert net.microprice == depth.microprice == book.microprice
    assert net.bbo == book.bbo

"""Whatever the order in which an order's messages come: one truth, and no step back.

What the tracker shows after each message is held against a model of two lines, and in the end
against the truth that the messages were made of.
"""

import itertools
import os
import random
from decimal import Decimal

import pytest

from coincall_fast import EventKind, Fill, Order, OrderState, OrderTracker, Standing
from coincall_fast.steps import Stage, Step
from tracked import CANCELED, CANCELING, NEW, PARTIAL, asked, fill_push, order_push, random_life

IS_LONG = bool(os.environ.get("COINCALL_FAST_LONG"))
ORDERS_OF_MESSAGES = 1_000_000 if IS_LONG else 4_000
OF_EACH_LIFE = 100

# How far a state is on its way, as the protocol page lists what is open.
RANK = {None: -1, -1: 0, -2: 1, 0: 2, 2: 3, 4: 4, 5: 5, 1: 9, 3: 9, 6: 9, 10: 9, -10: 9}


class Watch:
    """One tracker that must go forward, and the model of how much is filled."""

    def __init__(self):
        self.tracker = OrderTracker()
        self.told = Decimal(0)  # by events
        self.kinds: list[str] = []
        self.told_by_orders = Decimal(0)
        self.told_by_fills: dict[int | None, Decimal] = {}
        self.rank = -1
        self.filled = Decimal(0)

    def take(self, message):
        if isinstance(message, Step):
            events = self.tracker.step(message)
        else:
            events = self.tracker.feed(message)
        for event in events:
            self.told += event.qty
            self.kinds.append(event.kind)
        if isinstance(message, Order):
            self.told_by_orders = max(
                self.told_by_orders, message.exact("filled_qty") or Decimal(0)
            )
        elif isinstance(message, Fill):
            self.told_by_fills[message.trade_id] = message.exact("qty") or Decimal(0)
        return events

    def check(self, order):
        """After each message."""
        by_fills = sum(self.told_by_fills.values(), Decimal(0))
        assert order.filled_qty == max(self.told_by_orders, by_fills) == self.told
        assert order.filled_qty >= self.filled
        rank = RANK[order.state]
        assert rank >= self.rank
        assert (order.standing is Standing.ENDED) == (rank == 9)
        self.rank, self.filled = rank, order.filled_qty


LIFE = [
    Step("options", "place_order", Stage.TAKEN, asked(order_id=5)),
    order_push(5, NEW, 1000),
    fill_push(5, 501, "0.3", 1001),
    order_push(5, PARTIAL, 1001, rq="0.7", fq="0.3", mpr="10.5", mq="0.3", ap="10.5"),
    order_push(5, PARTIAL, 1003, q="1.5", pr="10.6", rq="1.2", fq="0.3"),
    fill_push(5, 502, "0.4", 1004, price="10.6"),
    order_push(5, CANCELING, 1005, q="1.5", pr="10.6", rq="0.8", fq="0.7"),
    order_push(5, CANCELED, 1006, q="1.5", pr="10.6", cq="0.6", fq="0.9", ap="10.57"),
]


def test_all_orders_of_the_eight_messages_of_a_life():
    """40 320; the suite takes every eleventh, which begins and ends with each of the eight."""
    which = itertools.permutations(LIFE)
    seen = 0
    for messages in which if IS_LONG else itertools.islice(which, 0, None, 11):
        watch = Watch()
        watch.tracker.step(Step("options", "place_order", Stage.SENT, asked()))
        for message in messages:
            watch.take(message)
            watch.check(watch.tracker[7])
        order = watch.tracker[7]
        assert (order.qty, order.price) == (Decimal("1.5"), Decimal("10.6"))
        assert order.filled_qty == watch.told == Decimal("0.9")
        assert order.state is OrderState.CANCELED
        assert (order.order_id, order.is_foreign, order.ts_ms) == (5, False, 1006)
        assert not watch.tracker.open()
        assert len(watch.tracker.fills(order)) == 2
        assert watch.kinds.count(EventKind.OPENED) == 1
        assert watch.kinds.count(EventKind.CANCELED) == 1
        seen += 1
    assert seen == (40_320 if IS_LONG else 3666)


def sent_as(order):
    """An order before it has an id."""
    return Order(
        **{name: order.exact(name) for name in ("qty", "price")},
        symbol=order.symbol,
        side=order.side,
        order_type=order.order_type,
        client_order_id=order.client_order_id,
    )


@pytest.mark.timeout(1800)
def test_any_order_of_any_life():
    """Lives at random, with what is repeated and what is told once only; ids of either kind."""
    dice = random.Random(13)
    for number in range(ORDERS_OF_MESSAGES // OF_EACH_LIFE):
        oid = 10**18 + number
        coid = dice.choice((None, number + 1))
        truth = random_life(dice, oid, coid)
        messages = truth.messages
        for _ in range(OF_EACH_LIFE):
            dice.shuffle(messages)
            watch = Watch()
            tracker = watch.tracker
            if coid is not None and dice.random() < 0.5:
                taken = next(one for one in messages if isinstance(one, Step))
                tracker.step(taken._replace(stage=Stage.SENT, order=sent_as(taken.order)))
            for message in messages:
                watch.take(message)
                order = tracker.get(truth.product, order_id=oid, client_order_id=coid)
                watch.check(order)
            order = tracker[oid]
            assert order.filled_qty == watch.told == truth.filled
            assert order.state == truth.state
            assert (order.qty, order.price) == (truth.qty, truth.price)
            assert not tracker.open()
            assert watch.kinds.count(EventKind.OPENED) == 1

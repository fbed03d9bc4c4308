"""What a tracker makes of steps, pushes and answers: joins, unknowns, lists after a gap, events."""

import json
import threading
from decimal import Decimal, localcontext

import pytest

from coincall_fast import (
    Account,
    DecodeError,
    EventKind,
    Fill,
    Order,
    OrderEvent,
    OrderNotFound,
    OrderRejected,
    OrderState,
    OrderTracker,
    Position,
    Reconciliation,
    Side,
    Standing,
    Ticker,
    TransportError,
    UsageError,
    decode,
    decode_rest,
)
from tracked import (
    CANCELED,
    FILLED,
    NEW,
    OPTION,
    PARTIAL,
    PERPETUAL,
    asked,
    fill_push,
    order_push,
    step,
)


@pytest.fixture
def tracker():
    return OrderTracker()


def kinds(events):
    return [event.kind for event in events]


def listed(oid, *, symbol=OPTION, coid=None, qty="1.0", price="10.5", filled="0", **more):
    """A row of the list of open orders, which has no state and no time of its last change."""
    row = {"orderId": oid, "clientOrderId": coid, "symbol": symbol, "qty": qty, "price": price}
    row |= {"fillQty": filled, "tradeSide": 1, "tradeType": 1, "createTime": 1000}
    return decode_rest(Order, json.dumps(row | more))


class TestIdentity:
    def test_a_push_before_the_answer(self, tracker):
        """Seen of the venue (protocol page, section 5, row 28)."""
        assert kinds(tracker.step(step("sent"))) == []
        order = tracker[7]
        assert (order.standing, order.state, order.is_open) == (Standing.SENT, None, True)
        assert kinds(tracker.feed(order_push(5, NEW, 1000))) == ["opened"]
        assert kinds(tracker.feed(fill_push(5, 50, "0.4", 1001))) == ["filled"]
        assert kinds(tracker.step(step("taken", asked(order_id=5)))) == []
        order = tracker[7]
        assert order is tracker[5]
        assert (order.standing, order.filled_qty) == (Standing.OPEN, Decimal("0.4"))
        assert not order.is_foreign
        assert len(tracker.open()) == 1

    def test_pushes_that_never_name_the_clients_id(self, tracker):
        tracker.step(step("sent"))
        tracker.feed(order_push(5, NEW, 1000, coid=None))
        assert tracker[5].is_foreign
        assert len(tracker.open()) == 2
        tracker.step(step("sent", asked(order_id=5, qty="2"), "modify_order"))  # by the venue's id
        assert kinds(tracker.step(step("taken", asked(order_id=5)))) == []
        (order,) = tracker.open()
        assert order is tracker[7] is tracker[5]
        assert (order.is_foreign, order.state) == (False, OrderState.NEW)

    def test_a_client_may_use_an_id_again(self, tracker):
        """Whether it may is the venue's business."""
        tracker.step(step("sent"))
        tracker.feed(order_push(5, CANCELED, 1001, fq="0", cq="1.0"))
        tracker.step(step("sent"))
        tracker.feed(order_push(6, NEW, 1002))
        tracker.feed(order_push(5, NEW, 1000))  # late
        assert [order.order_id for order in tracker] == [6]
        assert tracker[7].order_id == 6
        assert tracker[5].state is OrderState.CANCELED

    def test_the_products_have_ids_of_their_own(self, tracker):
        tracker.feed(order_push(5, NEW, 1000, coid=7))
        tracker.feed(order_push(5, NEW, 1000, coid=7, symbol=PERPETUAL))
        tracker.feed(listed(6), product="futures")
        assert {order.product for order in tracker} == {"options", "futures"}
        with pytest.raises(UsageError, match="both products"):
            tracker[7]
        assert tracker.get("futures", client_order_id=7).symbol == PERPETUAL
        assert tracker[6].product == "futures"
        assert 6 in tracker
        assert 8 not in tracker
        with pytest.raises(KeyError):
            tracker[8]

    def test_another_order_is_foreign(self, tracker):
        tracker.feed(order_push(5, NEW, 1000))
        assert tracker[5].is_foreign
        assert tracker.open(OPTION) == [tracker[5]]
        assert tracker.open(PERPETUAL) == []

    @pytest.mark.parametrize("message", [Order(symbol=OPTION), Fill(qty="1"), Fill(trade_id=1)])
    def test_nobodys_message(self, tracker, message):
        with pytest.raises(DecodeError):
            tracker.feed(message)
        assert not tracker.open()

    def test_a_fill_of_no_size_leaves_everything_as_it_was(self, tracker):
        with pytest.raises(DecodeError):
            tracker.feed(Fill(order_id=5, trade_id=1))
        assert 5 not in tracker
        assert tracker.feed(Ticker(symbol=OPTION)) == []


class TestForward:
    def test_what_is_late_or_repeated_changes_nothing(self, tracker):
        tracker.feed(order_push(5, PARTIAL, 1003, q="2", pr="11", fq="0.5", rq="1.5"))
        before = tracker[5]
        for late in (
            order_push(5, NEW, 1000),
            order_push(5, PARTIAL, 1002, fq="0.2", rq="0.8"),
            order_push(5, PARTIAL, 1003, q="2", pr="11", fq="0.5", rq="1.5"),
        ):
            assert tracker.feed(late) == []
        assert tracker[5] == before

    def test_two_versions_of_one_millisecond_and_the_first_again(self, tracker):
        first, second = (order_push(5, NEW, 1000, q=qty) for qty in ("1.0", "2.0"))
        for message in (first, second, first):
            tracker.feed(message)
        assert tracker[5].qty == Decimal("2.0")

    def test_a_late_larger_fill_counts_even_after_the_end(self, tracker):
        tracker.feed(order_push(5, CANCELED, 1005, fq="0.2", cq="0.8"))
        (event,) = tracker.feed(order_push(5, PARTIAL, 1004, fq="0.5", rq="0.5", ap="10.4"))
        assert (event.kind, event.qty) == (EventKind.FILLED, Decimal("0.3"))
        assert tracker[5].state is OrderState.CANCELED
        (event,) = tracker.feed(fill_push(5, 50, "0.6", 1004))
        assert (event.qty, event.price) == (Decimal("0.1"), Decimal("10.5"))
        assert tracker[5].filled_qty == Decimal("0.6")

    def test_a_fill_pushed_and_asked_for_is_one(self, tracker):
        tracker.feed(fill_push(5, 50, "0.25", 1000))
        row = {"orderId": 5, "tradeId": 50, "symbol": OPTION, "qty": 0.25, "price": 10.5}
        row |= {"fee": "0.1", "time": 1000}
        assert tracker.feed(decode_rest(Fill, json.dumps(row))) == []
        (fill,) = tracker.fills(tracker[5])
        assert fill.fee == 0.1  # REST knows more

    def test_filled_as_the_printed_sample_says_it(self, tracker):
        tracker.feed(order_push(5, FILLED, 1000, fq="0", rq="0"))
        assert tracker[5].filled_qty == Decimal("1.0")

    def test_amounts_are_exact_whatever_the_callers_decimals_are(self, tracker):
        many = ["100000000000.50153541", "0.000000000000000001", "10.231632230252217"]
        with localcontext(prec=3):
            for number, qty in enumerate(many):
                tracker.feed(fill_push(5, number, qty, 1000, price="0.1"))
        assert str(tracker[5].filled_qty) == "100000000010.733167640252217001"
        assert tracker[5].average_price == Decimal("0.1")

    def test_the_average_price(self, tracker):
        tracker.feed(order_push(5, PARTIAL, 1001, fq="0.3", ap="10.4"))
        tracker.feed(fill_push(5, 50, "0.1", 1000, price="10.2"))
        assert tracker[5].average_price == Decimal("10.4")
        tracker.feed(fill_push(5, 51, "0.3", 1002, price="10.6"))
        assert tracker[5].average_price == Decimal("10.5")

    def test_a_code_that_nobody_knows_is_no_end(self, tracker):
        tracker.feed(order_push(5, 77, 1000))
        assert tracker[5].is_open
        tracker.feed(order_push(5, CANCELED, 1001, fq="0"))
        assert not tracker[5].is_open


class TestOutcomes:
    def test_refused(self, tracker):
        error = OrderRejected("no funds", 10534)
        tracker.step(step("sent"))
        (event,) = tracker.step(step("refused", error=error))
        assert event.kind == "rejected"
        assert event.order.error is error
        assert not tracker.open()

    def test_unknown_then_found(self, tracker):
        error = TransportError("gone")
        tracker.step(step("sent"))
        assert kinds(tracker.step(step("unknown", error=error))) == ["unknown"]
        assert (tracker[7].standing, tracker[7].error) == (Standing.UNKNOWN, error)
        assert [order.client_order_id for order in tracker] == [7]
        assert tracker.doubtful() == [tracker[7]]
        seen = listed(5, coid=7, filled="0.4", state=2, updateTime=1001)
        assert kinds(tracker.step(step("found", seen))) == ["opened", "filled"]
        assert (tracker[7].standing, tracker[7].error) == (Standing.OPEN, None)
        assert tracker.doubtful() == []

    def test_unknown_then_pushed(self, tracker):
        tracker.step(step("sent"))
        tracker.step(step("unknown", error=TransportError("gone")))
        assert kinds(tracker.feed(order_push(5, NEW, 1000))) == ["opened"]
        assert kinds(tracker.step(step("absent"))) == []
        assert tracker[7].standing is Standing.OPEN

    def test_absent_and_there_after_all(self, tracker):
        tracker.step(step("sent"))
        tracker.step(step("unknown", error=TransportError("gone")))
        assert kinds(tracker.step(step("absent"))) == ["rejected"]
        assert not tracker.open()
        assert kinds(tracker.feed(fill_push(5, 50, "0.4", 1000))) == ["late", "filled"]
        late = listed(5, coid=7, filled="0.4", state=2, updateTime=1001)
        assert kinds(tracker.step(step("late", late))) == []
        (order,) = tracker.open()
        assert order.is_canceling
        assert kinds(tracker.feed(order_push(5, CANCELED, 1002, fq="0.4"))) == ["canceled"]

    def test_an_id_that_is_taken_does_not_end_who_has_it(self, tracker):
        tracker.step(step("sent"))
        tracker.step(step("taken", asked(order_id=5)))
        tracker.step(step("sent"))
        assert kinds(tracker.step(step("refused", error=OrderRejected("duplicate", 10577)))) == []
        assert tracker[7].standing is Standing.OPEN

    def test_the_refusal_of_a_second_copy_says_nothing_of_the_first(self, tracker):
        """Refused may be the copy because the first one is there."""
        tracker.step(step("sent"))
        tracker.step(step("unknown", error=TransportError("gone")))
        tracker.step(step("sent"))
        tracker.step(step("refused", error=OrderRejected("the id is taken")))
        assert tracker[7].standing is Standing.UNKNOWN
        assert tracker.doubtful() == [tracker[7]]
        tracker.step(step("absent"))
        assert tracker.open() == []

    def test_a_modification_on_its_way(self, tracker):
        tracker.feed(order_push(5, NEW, 1000))
        change = asked(None, order_id=5, qty="2", price="11")
        tracker.step(step("sent", change, "modify_order"))
        assert [one[:2] for one in tracker[5].changes] == [(Decimal(2), Decimal(11))]
        tracker.step(step("taken", change, "modify_order"))
        assert tracker[5].qty == Decimal("1.0")  # taken is not done
        assert kinds(tracker.feed(order_push(5, NEW, 1001, q="2.0", pr="11.0"))) == ["replaced"]
        assert tracker[5].changes == ()

    def test_a_modification_that_is_refused(self, tracker):
        tracker.feed(order_push(5, NEW, 1000))
        change = asked(None, order_id=5, qty="2", price="11")
        tracker.step(step("sent", change, "modify_order"))
        tracker.step(step("refused", change, "modify_order", error=OrderRejected("no", 10534)))
        assert (tracker[5].changes, tracker[5].standing) == ((), Standing.OPEN)
        assert tracker.doubtful() == []

    def test_a_cancellation(self, tracker):
        tracker.feed(order_push(5, NEW, 1000))
        gone = Order(order_id=5)
        tracker.step(step("sent", gone, "cancel_order"))
        assert tracker[5].is_canceling
        assert tracker[5].is_open
        tracker.step(step("refused", gone, "cancel_order", error=OrderNotFound("gone", 10537)))
        assert not tracker[5].is_canceling
        assert tracker.doubtful() == [tracker[5]]  # it has ended, and nobody has said how
        tracker.feed(order_push(5, FILLED, 1001, fq="1.0", rq="0"))
        assert tracker.doubtful() == []

    def test_steps_about_what_nobody_knows(self, tracker):
        assert tracker.step(step("sent", Order(order_id=9), "cancel_order")) == []
        assert 9 not in tracker


class TestReconciliation:
    def test_what_happened_during_a_gap(self, tracker):
        for oid in (1, 2, 3, 4):
            tracker.feed(order_push(oid, NEW, 1000, coid=oid + 100))
        told: list[Reconciliation] = []
        tracker.on("reconciled", told.append)
        report = tracker.reconcile(
            "options",
            [listed(1, filled="0.25"), listed(8)],
            ended=[listed(2, state=1, filled="1.0"), listed(9, state=3)],
        )
        assert told == [report]
        assert [(event.order.order_id, event.kind, event.qty) for event in report.events] == [
            (1, "filled", Decimal("0.25")),
            (8, "opened", 0),
            (2, "filled", Decimal("1.0")),
            (2, "finished", 0),
            (9, "opened", 0),
            (9, "canceled", 0),
        ]
        assert [order.order_id for order in report.missing] == [3, 4]
        found = listed(3, state=3, filled="0.5", updateTime=1100)
        assert kinds(tracker.feed(found)) == ["filled", "canceled"]
        assert kinds(tracker.not_found(tracker[4])) == ["unknown"]
        assert tracker[4].standing is Standing.UNKNOWN
        assert [order.order_id for order in tracker] == [1, 4, 8]
        assert tracker.doubtful() == [tracker[4]]
        assert kinds(tracker.feed(order_push(4, NEW, 1000, coid=104))) == []  # a repetition
        assert tracker[4].standing is Standing.UNKNOWN
        assert kinds(tracker.feed(listed(4))) == ["opened"]

    def test_an_empty_list_forgets_nobody(self, tracker):
        tracker.step(step("sent"))
        tracker.feed(order_push(5, NEW, 1000, coid=8))
        report = tracker.reconcile("options", [])
        assert [order.order_id for order in report.missing] == [5]  # the other one is on its way
        assert len(tracker.open()) == 2

    def test_the_other_product_is_none_of_its_business(self, tracker):
        tracker.feed(order_push(5, NEW, 1000, symbol=PERPETUAL))
        assert tracker.reconcile("options", []).missing == []

    def test_what_was_heard_meanwhile_is_not_missed(self, tracker):
        tracker.feed(order_push(1, NEW, 1000, coid=None))
        tracker.feed(order_push(2, NEW, 1000, coid=None))
        mark = tracker.mark()
        tracker.feed(order_push(3, NEW, 1001, coid=None))
        tracker.feed(order_push(2, PARTIAL, 1001, coid=None, fq="0.1"))
        report = tracker.reconcile("options", [], mark=mark)
        assert [order.order_id for order in report.missing] == [1]

    def test_terms_of_a_list_are_no_news_but_a_question(self, tracker):
        """A list does not say how old it is: it may be behind a push."""
        tracker.feed(order_push(5, NEW, 1002, q="2.0"))
        report = tracker.reconcile("options", [listed(5, qty="1.0")])
        assert tracker[5].qty == Decimal("2.0")
        assert report.missing == [tracker[5]]
        tracker.feed(listed(5, qty="3.0", state=0, updateTime=1003))
        assert tracker[5].qty == Decimal("3.0")
        assert tracker.doubtful() == []

    def test_a_modification_whose_push_was_lost(self, tracker):
        tracker.feed(order_push(5, NEW, 1000))
        change = asked(None, order_id=5, price="11")
        for stage in ("sent", "taken"):
            tracker.step(step(stage, change, "modify_order"))
        mark = tracker.mark()
        tracker.step(step("sent", asked(None, order_id=5, price="12"), "modify_order"))
        tracker.reconcile("options", [listed(5)], mark=mark)
        assert len(tracker[5].changes) == 2  # one was sent since
        tracker.reconcile("options", [listed(5)])
        assert [one.price for one in tracker[5].changes] == [Decimal(12)]

    def test_an_answer_older_than_what_has_been_heard_is_not_believed(self, tracker):
        tracker.feed(order_push(5, NEW, 1000))
        lost = tracker[5]
        tracker.feed(order_push(5, PARTIAL, 1001, fq="0.1"))
        assert tracker.not_found(lost) == []
        assert tracker[5].standing is Standing.OPEN


class TestMemory:
    def test_ended_orders_go_and_open_ones_stay(self):
        tracker = OrderTracker(keep_ended=3)
        tracker.feed(order_push(1, NEW, 1000, coid=101))
        for oid in range(2, 10):
            tracker.feed(order_push(oid, NEW, 1000, coid=oid + 100))
            tracker.feed(order_push(oid, CANCELED, 1001, coid=oid + 100, fq="0"))
        assert [oid for oid in range(10) if oid in tracker] == [1, 7, 8, 9]
        assert [oid for oid in range(101, 110) if oid in tracker] == [101, 107, 108, 109]
        known = tracker._known
        assert len(known.views) == len(known._by_id) == len(known._by_client) == 4
        assert list(known.open) == [OPTION]


def position_push(qty, ts, *, symbol=OPTION, side=1, os=1):
    dt = 12 if symbol == OPTION else 36
    return decode(
        f'{{"dt":{dt},"c":20,"ts":{ts},"d":{{"s":"{symbol}","q":"{qty}","si":{side},"os":"{os}"}}}}'
    )


class TestHoldings:
    def test_the_latest_counts(self, tracker):
        for qty, ts in (("1", 1000), ("3", 1002), ("2", 1001)):
            tracker.feed(position_push(qty, ts))
        assert tracker.position_qty(OPTION) == 3
        tracker.feed(Position(symbol=OPTION, qty="4"))  # no time: what comes later is later
        assert tracker.position(OPTION).qty == 4

    @pytest.mark.parametrize(
        ("qty", "side", "os", "signed"),
        [
            ("0.50", 1, 1, "0.50"),
            ("0.50", 2, 1, "-0.50"),
            ("-0.50", 2, 1, "-0.50"),
            ("0.5", 1, 5, "0"),
        ],
    )
    def test_the_sign_is_the_sides(self, tracker, qty, side, os, signed):
        tracker.feed(position_push(qty, 1000, side=side, os=os))
        assert tracker.position_qty(OPTION) == Decimal(signed)

    def test_what_no_list_has_is_no_position(self, tracker):
        tracker.feed(position_push("1", 1000))
        tracker.feed(position_push("1", 1000, symbol=PERPETUAL))
        mark = tracker.mark()
        tracker.feed(position_push("2", 1001, symbol="ETHUSD"))
        tracker.reconcile("futures", [], positions=[], mark=mark)
        assert set(tracker.positions) == {OPTION, "ETHUSD"}
        assert tracker.position(PERPETUAL) is None
        assert tracker.position_qty(PERPETUAL) == 0

    def test_balances(self, tracker):
        for equity, ts_ms in (("10", 1000), ("12", 1002), ("11", 1001)):
            tracker.feed(Account(equity=equity, ts_ms=ts_ms))
        assert tracker.account.equity == 12
        tracker.reconcile("options", [], account=Account(equity="13"))
        assert tracker.account.equity == 13


class TestCallbacks:
    def test_each_kind_and_any(self, tracker):
        heard = []
        tracker.on(EventKind.OPENED, lambda event: heard.append(("opened", event.kind)))
        tracker.on("any", lambda event: heard.append(("any", event.kind)))
        tracker.feed(order_push(5, PARTIAL, 1000, fq="0.5"))
        assert heard == [("opened", "opened"), ("any", "opened"), ("any", "filled")]
        with pytest.raises(UsageError, match="none of"):
            tracker.on("open", print)

    def test_one_that_raises_is_told_and_does_not_matter(self, caplog):
        errors: list[Exception] = []
        heard: list[OrderEvent] = []
        tracker = OrderTracker(on_error=errors.append)
        tracker.on("any", lambda _: 1 / 0)
        tracker.on("any", heard.append)
        tracker.feed(order_push(5, NEW, 1000))
        assert len(heard) == 1
        assert isinstance(errors[0], ZeroDivisionError)
        assert "raised" in caplog.text

    def test_an_interrupt_in_one_does_not_silence_the_others(self, tracker):
        """Ctrl-C may come in any callback, and whoever catches it wants to know of the end."""
        kinds = []

        def interrupted(event):
            kinds.append(event.kind)
            if len(kinds) == 1:
                raise KeyboardInterrupt

        tracker.on("any", interrupted)
        with pytest.raises(KeyboardInterrupt):
            tracker.feed(order_push(1, NEW, 1))
        tracker.feed(order_push(1, CANCELED, 2))
        assert kinds == ["opened", "canceled"]

    def test_what_a_callback_causes_is_told_after_it(self, tracker):
        heard = []

        def answer(event):
            if event.kind == "opened":
                tracker.feed(order_push(5, CANCELED, 1001, fq="0"))
            heard.append(event.kind)

        tracker.on("any", answer)
        tracker.feed(order_push(5, NEW, 1000))
        assert heard == ["opened", "canceled"]

    def test_many_threads(self, tracker):
        """Each feeds orders of its own and all fills of one; nothing is lost or told twice."""
        told: list[OrderEvent] = []
        tracker.on("filled", told.append)
        start = threading.Barrier(4)

        def run(number):
            start.wait()
            for count in range(200):
                oid = 1000 * number + count
                tracker.feed(order_push(oid, NEW, 1000, coid=None))
                tracker.feed(fill_push(5, count, "0.001", 1000))
                tracker.feed(order_push(oid, CANCELED, 1001, coid=None, fq="0"))

        threads = [threading.Thread(target=run, args=(number,)) for number in range(1, 5)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert tracker[5].filled_qty == sum(event.qty for event in told) == Decimal("0.2")
        assert [order.order_id for order in tracker] == [5]


def test_it_says_what_it_is(tracker):
    tracker.feed(order_push(5, NEW, 1000))
    assert repr(tracker) == "<OrderTracker: 1 open orders, 0 positions>"
    assert tracker[5].side is Side.BUY
    assert tracker[5].remaining_qty == Decimal("1.0")

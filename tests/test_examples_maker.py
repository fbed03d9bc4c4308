"""The market maker among the examples: what it quotes, what it adds up, and a whole run."""

import json
from concurrent.futures import Future
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coincall_fast import Fill, Instrument, Side, decode
from commands import run

MAKER = Path(__file__).parent.parent / "examples" / "market_maker"

with pytest.MonkeyPatch.context() as path:
    path.syspath_prepend(MAKER)
    import ledger
    import maker
    import quotes

PERPETUAL = Instrument(
    "BTCUSD", "futures", "BTCUSD", Decimal("0.1"), Decimal("0.001"), Decimal("0.001")
)
LIMITS = quotes.Limits(Decimal("0.05"), Decimal("0.15"), half_spread=0.0004)
BUY, SELL = Side.BUY, Side.SELL


def test_an_order_that_is_answered_while_it_is_looked_for_is_not_forgotten():
    """The tracker is looked at, then the order is sent and taken, and then its request is done: an
    order that stands, and a second one would be placed beside it."""
    target = maker.Target(PERPETUAL, LIMITS)
    order: Any = SimpleNamespace(filled_qty=Decimal(0), is_open=True)
    future: Future[None] = Future()
    tracker: Any = SimpleNamespace()
    client: Any = SimpleNamespace(submit=lambda verb, **arguments: future)
    stream: Any = SimpleNamespace(orders=tracker, store={})
    made = maker.Maker(client, stream, {"BTCUSD": target}, {})
    made._place(target, BUY, quotes.Quote(Decimal(1), Decimal(1)))

    def first_look(product, client_order_id):
        tracker.get = lambda product, client_order_id: order
        future.set_result(None)

    tracker.get = first_look
    made._view("BTCUSD", BUY)
    assert made._view("BTCUSD", BUY) == [order]


class TestQuotes:
    def test_around_the_price(self):
        """Half a spread of 4 in 10 000 on each side, and no better than that."""
        found = quotes.wanted(25_000.0, Decimal(0), PERPETUAL, LIMITS)
        assert found == {
            BUY: (Decimal("24990.0"), Decimal("0.05")),
            SELL: (Decimal("25010.0"), Decimal("0.05")),
        }

    def test_a_long_position_lowers_both(self):
        """At a third of the limit by a third of the half spread: the ask is nearer, the bid not."""
        found = quotes.wanted(25_000.0, Decimal("0.05"), PERPETUAL, LIMITS)
        assert [found[side].price for side in (BUY, SELL)] == [
            Decimal("24986.6"),
            Decimal("25006.7"),
        ]
        found = quotes.wanted(25_000.0, Decimal("-0.05"), PERPETUAL, LIMITS)
        assert [found[side].price for side in (BUY, SELL)] == [
            Decimal("24993.3"),
            Decimal("25013.4"),
        ]

    def test_without_a_price_there_are_none(self):
        assert quotes.wanted(float("nan"), Decimal(0), PERPETUAL, LIMITS) == {}

    def test_a_small_price_has_its_ticks(self):
        found = quotes.wanted(1.0, Decimal(0), PERPETUAL, LIMITS)
        assert [found[side].price for side in (BUY, SELL)] == [Decimal("0.8"), Decimal("1.2")]
        assert BUY not in quotes.wanted(0.2, Decimal(0), PERPETUAL, LIMITS)  # nothing is paid for

    @given(
        st.integers(-300, 300).map(lambda lots: Decimal(lots) / 1000),
        st.floats(1, 1e6),
    )
    def test_no_fill_goes_beyond_the_limit(self, position, fair):
        for side, quote in quotes.wanted(fair, position, PERPETUAL, LIMITS).items():
            after = position + quote.qty * (1 if side is BUY else -1)
            assert abs(after) <= max(LIMITS.most, abs(position))
            assert side is (SELL if position > 0 else BUY) or abs(after) <= LIMITS.most
            PERPETUAL.check(price=quote.price, qty=quote.qty)

    @pytest.mark.parametrize(
        ("price", "far"), [("24990", False), ("24992.4", False), ("24992.5", True)]
    )
    def test_it_moves_where_it_is_worth_it(self, price, far):
        quote = quotes.Quote(Decimal("24990.0"), Decimal("0.05"))
        assert quotes.moved(Decimal(price), quote, PERPETUAL, LIMITS) is far


def fill(trade_id, side, price, qty, **more):
    return Fill(
        trade_id=trade_id, order_id=1, symbol="BTCUSD", side=side, price=price, qty=qty, **more
    )


class TestLedger:
    def test_a_round_trip_by_hand(self):
        """Bought 2 at 100, sold 1 at 110, the other is worth 105; fees of 1 and 0.5."""
        book = ledger.Ledger({}, {})
        assert book.hear(fill(1, BUY, "100", "2", fee="1"))
        assert book.hear(fill(2, SELL, "110", "1", fee="0.5"))
        assert book.profit({"BTCUSD": Decimal(105)}) == Decimal("13.5")
        assert book.positions == {"BTCUSD": 1}
        assert book.most == {"BTCUSD": 2}

    def test_each_fill_counts_once(self):
        book = ledger.Ledger({}, {})
        book.skip([fill(7, BUY, "100", "2")])
        assert not book.hear(fill(7, BUY, "100", "2"))
        assert book.hear(fill(8, BUY, "100", "2"))
        assert not book.hear(fill(8, BUY, "100", "2"))
        assert book.positions == {"BTCUSD": 2}

    def test_what_was_held_before_earns_from_then_on(self):
        book = ledger.Ledger({"BTCUSD": Decimal(-3)}, {"BTCUSD": Decimal(100)})
        assert book.profit({"BTCUSD": Decimal(90)}) == 30
        book.hear(fill(1, BUY, "95", "3"))
        assert book.profit({"BTCUSD": Decimal(1)}) == 15

    def test_fees_by_rest_and_by_pushes(self):
        """Of seed 003, futures `trade`, and an option's with but a rate: a charge below 0."""
        assert ledger.charge(fill(1, BUY, "1", "1", fee="0.25"), Decimal(1)) == Decimal("0.25")
        future = decode(
            b'{"dt":38,"c":20,"d":{"oid":"1","s":"BTCUSD","tf":"-0.25","fr":"-0.0006","tid":"2",'
            b'"si":"1","mpr":"100","mq":"4.1666"}}'
        )
        assert isinstance(future, Fill)
        assert ledger.charge(future, Decimal("416.66")) == Decimal("0.25")
        option = decode(
            b'{"dt":15,"c":20,"d":{"orderId":"1","symbol":"BTCUSD-27MAY23-24000-C","feeRate":"-0.0006",'
            b'"tradeId":"2","orderSide":"2","matchPrice":"33.3","matchQty":"0.15"}}'
        )
        assert isinstance(option, Fill)
        assert ledger.charge(option, Decimal("4.995")) == Decimal("0.00299700")


def test_four_minutes_of_the_market_in_four_seconds():
    done = run("--seconds", "4", "--json", command=(str(MAKER / "run.py"),))
    assert (done.returncode, done.stderr) == (0, "")
    told = json.loads(done.stdout)
    assert told["minutes"] > 3.5
    assert sum(told["fills"].values()) > 5
    assert Decimal(told["fees"]) > 0
    # To the last digit that the venue tells: cash, fees and inventory against its equity.
    assert abs(Decimal(told["profit"]) - Decimal(told["account"])) <= Decimal("0.00000001")
    assert told["positions"] == told["holds"]
    assert set(told["most"]) <= set(told["limits"])
    for symbol, most in told["most"].items():
        assert Decimal(most) <= Decimal(told["limits"][symbol])
    assert told["sent"]["place_order"] > 10
    for took in (told["answer_ms"], told["book_us"]):
        assert 0 < took["p50"] <= took["p99"]


def test_prod_wants_live():
    done = run("--env", "prod", command=(str(MAKER / "run.py"),))
    assert done.returncode == 2
    assert "--live" in done.stderr

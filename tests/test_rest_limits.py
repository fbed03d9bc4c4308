"""The shipped order guard: what is beyond a limit is not sent, nor what it cannot judge."""

import threading
import time
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coincall_fast import (
    BookStore,
    Limit,
    Limits,
    MarkPrices,
    Order,
    OrderVetoed,
    Ticker,
    UsageError,
    VenueError,
)
from coincall_fast.steps import Stage, Step
from rest_clients import connected
from stub_server import Asked, Raw, envelope

HOUR_MS = 3_600_000
OPTION = "BTCUSD-27DEC30-65000-C"


def new(**said: Any) -> Order:
    return Order(
        **{"symbol": "BTCUSD", "side": 1, "order_type": 1, "qty": "1", "price": "100", **said}
    )


def market(side: int, qty: str) -> Order:
    return Order(symbol="BTCUSD", side=side, order_type=2, qty=qty)


def change(**said: Any) -> Order:
    return Order(**{"symbol": "BTCUSD", "order_id": 7, **said})


def store(
    bids: list[tuple[str, str]], asks: list[tuple[str, str]], age_s: float = 0.0, ts_ms: int = 1
) -> BookStore:
    made = BookStore()
    levels = [",".join(f'{{"pr":"{p}","sz":"{s}"}}' for p, s in side) for side in (bids, asks)]
    frame = (
        f'{{"dt":32,"c":20,"d":{{"s":"BTCUSD","bids":[{levels[0]}],"asks":[{levels[1]}],'
        f'"ts":{ts_ms}}}}}'
    )
    made.feed(frame, time.monotonic_ns() - round(age_s * 1e9))
    return made


USUAL = store([("99", "1"), ("98", "2")], [("101", "1"), ("103", "2")])


def is_allowed(limits: Limits, order: Order) -> bool:
    try:
        limits(order)
    except OrderVetoed:
        return False
    return True


# Quantities and notionals


@pytest.mark.parametrize(("qty", "allowed"), [("2", True), ("2.0000000000000000000001", False)])
def test_the_largest_quantity(qty: str, allowed: bool) -> None:
    assert is_allowed(Limits(max_qty=2), new(qty=qty)) == allowed
    assert is_allowed(Limits(max_qty="2.0"), change(qty=qty)) == allowed


@given(*(st.decimals("0.00000001", "1000000", places=8) for _ in range(3)))
def test_the_largest_notional_is_exact(qty: Decimal, price: Decimal, most: Decimal) -> None:
    allowed = Fraction(qty) * Fraction(price) <= Fraction(most)
    assert is_allowed(Limits(max_notional=most), new(qty=qty, price=price)) == allowed
    at_most = Limits(max_notional=f"{Fraction(qty) * Fraction(price) * 10**16 // 1}e-16")
    assert is_allowed(at_most, new(qty=qty, price=price))


def test_floats_stand_for_their_repr() -> None:
    assert is_allowed(Limits(max_notional=0.3), new(qty=0.1, price=3))
    assert not is_allowed(Limits(max_notional=0.3), new(qty=0.1, price="3.00000001"))


# Bands


@pytest.mark.parametrize(
    ("side", "price", "allowed"),
    [
        (1, "105", True),
        (1, "105.00000001", False),
        (1, "1", True),  # better than the reference, however far
        (2, "95", True),
        (2, "94.99999999", False),
        (2, "1000", True),
    ],
)
def test_a_band_keeps_from_worse_prices(side: int, price: str, allowed: bool) -> None:
    """Around 100, the middle of 99 and 101."""
    order = new(side=side, price=price)
    by_book = Limits(price_band="0.05", reference=USUAL, max_age_ms=HOUR_MS)
    assert is_allowed(by_book, order) == allowed
    assert is_allowed(Limits(price_band=0.05, reference=lambda symbol: 100), order) == allowed


@given(
    bid=st.decimals("1", "1000", places=8),
    width=st.decimals("0", "100", places=8),
    price=st.decimals("0.1", "2000", places=8),
    band=st.decimals("0", "0.5", places=6),
    side=st.sampled_from([1, 2]),
)
def test_a_band_is_exact(
    bid: Decimal, width: Decimal, price: Decimal, band: Decimal, side: int
) -> None:
    books = store([(str(bid), "1")], [(str(bid + width), "1")])
    mid = (Fraction(bid) + Fraction(bid + width)) / 2
    worst = mid * (1 + Fraction(band)) if side == 1 else mid * (1 - Fraction(band))
    allowed = Fraction(price) <= worst if side == 1 else Fraction(price) >= worst
    limits = Limits(price_band=band, reference=books, max_age_ms=60_000)
    assert is_allowed(limits, new(side=side, price=price)) == allowed


EMPTY_BID = store([], [("101", "1")])
EMPTY_ASK = store([("99", "1")], [])
CROSSED = store([("102", "1")], [("101", "1")])
OLD = store([("99", "1")], [("101", "1")], age_s=5.0)


def cleared() -> BookStore:
    books = store([("99", "1")], [("101", "1")])
    books["BTCUSD"].clear()
    return books


@pytest.mark.parametrize("side", [1, 2])
@pytest.mark.parametrize(
    "reference",
    [
        *(EMPTY_BID, EMPTY_ASK, CROSSED, OLD, cleared(), BookStore()),
        *(lambda symbol, value=value: value for value in (None, 0, -1, float("nan"), float("inf"))),
        *(lambda symbol, value=value: Decimal(value) for value in ("NaN", "Infinity", "-5")),
        MarkPrices(),
    ],
)
def test_without_a_reference_nothing_passes(reference: Any, side: int) -> None:
    """Neither what is far away nor what is near."""
    max_age_ms = 2000 if reference is OLD else HOUR_MS
    limits = Limits(price_band=1_000_000, reference=reference, max_age_ms=max_age_ms)
    for price in ("0.00000001", "100", "1000000"):
        with pytest.raises(OrderVetoed, match="cannot be judged"):
            limits(new(side=side, price=price))


def test_a_reference_that_raises() -> None:
    def venue_is_down(symbol: str) -> float:
        raise VenueError("no")

    with pytest.raises(OrderVetoed, match="cannot be judged"):
        Limits(price_band=1, reference=venue_is_down)(new())


def test_mark_prices() -> None:
    marks = MarkPrices(max_age_ms=60_000)
    limits = Limits(price_band="0.05", reference=marks)
    marks.put(Ticker(symbol="BTCUSD", mark_price="100"))
    assert is_allowed(limits, new(price="105"))
    assert not is_allowed(limits, new(price="106"))
    assert not is_allowed(limits, new(symbol="ETHUSD", price="1"))
    marks.put(Ticker(symbol="BTCUSD"))  # and no longer
    assert not is_allowed(limits, new(price="100"))
    old = MarkPrices(max_age_ms=0)
    old.put(Ticker(symbol="BTCUSD", mark_price="100"))
    assert not is_allowed(Limits(price_band=1, reference=old), new())


# Market and stop orders


@pytest.mark.parametrize(
    ("order", "limits", "allowed"),
    [
        (market(1, "1"), {"price_band": "0.01"}, True),  # at 101
        (market(1, "2"), {"price_band": "0.029"}, False),  # up to 103
        (market(1, "2"), {"price_band": "0.03"}, True),
        (market(2, "2"), {"price_band": "0.019"}, False),  # down to 98
        (market(2, "2"), {"price_band": "0.02"}, True),
        (market(1, "3.5"), {"price_band": 1000}, False),  # more than there is
        (market(1, "2"), {"max_notional": 206}, True),
        (market(1, "2"), {"max_notional": "205.99"}, False),  # 101 + 103, but it could be 206
        (market(2, "2"), {"max_notional": 198}, True),
        (market(2, "2"), {"max_notional": "197.99"}, False),
        (market(1, "9"), {"max_qty": 9}, True),
        (Order(symbol="BTCUSD", side=1, order_type=5, qty=1), {"max_notional": 10**9}, False),
        (Order(symbol="BTCUSD", side=1, order_type=5, qty=1), {"max_qty": 1}, True),
    ],
)
def test_orders_without_a_price(order: Order, limits: Any, allowed: bool) -> None:
    made = Limits(**limits, reference=USUAL, max_age_ms=HOUR_MS)
    assert is_allowed(made, order) == allowed


def test_market_orders_where_there_is_no_book() -> None:
    for reference in (None, lambda symbol: 100.0):
        assert not is_allowed(Limits(max_notional=10**9, reference=reference), market(1, "1"))
    assert not is_allowed(Limits(max_notional=10**9, reference=OLD), market(1, "1"))


# Whom a limit is for


def test_limits_by_symbol() -> None:
    limits = Limits(
        max_qty=1,
        max_notional=1000,
        by_symbol={"BTCUSD": Limit(max_qty=3), "BTCUSD-*": Limit(max_qty=5), "*-C": Limit(9, 9)},
    )
    for symbol, most in (("BTCUSD", 3), (OPTION, 5), ("ETHUSD-27DEC30-1-C", 9), ("ETHUSD", 1)):
        assert is_allowed(limits, new(symbol=symbol, qty=most, price="0.1"))
        assert not is_allowed(limits, new(symbol=symbol, qty=most + 1, price="0.1"))
    assert not is_allowed(limits, new(qty=3, price=334))  # what it leaves open is as for others


@pytest.mark.parametrize("how", [{"price_band": 1}, {"max_qty": -1}, {"max_notional": "many"}])
def test_limits_that_are_none(how: Any) -> None:
    with pytest.raises(UsageError):
        Limits(**how)
    with pytest.raises(UsageError):
        Limits(by_symbol={"BTCUSD": Limit(**how)})


# Modifications


def test_a_change_of_what_nobody_knows() -> None:
    def limits(**how: Any) -> Limits:
        return Limits(**how, reference=USUAL, max_age_ms=HOUR_MS)

    assert is_allowed(limits(max_qty=1), change(price=1))
    assert is_allowed(limits(max_notional=100), change(qty=1, price=100))
    assert not is_allowed(limits(max_notional=100), change(qty=1, price=101))
    for said in ({"qty": "0.1"}, {"price": "100"}):
        with pytest.raises(OrderVetoed, match="not known"):
            limits(max_notional=10**9)(change(**said))
    for said in ({"qty": "0.1"}, {"price": "100"}, {"qty": "0.1", "price": "100"}):
        with pytest.raises(OrderVetoed, match="not known"):
            limits(price_band=1000)(change(**said))


@pytest.mark.parametrize("by", ["order_id", "client_order_id"])
def test_a_change_of_what_was_placed(by: str) -> None:
    limits = Limits(max_notional=200, price_band="0.05", reference=lambda symbol: 100)
    placed = new(side=2, qty="1", price="100", order_id=7, client_order_id=70)
    limits.on_step(Step("futures", "place_order", Stage.SENT, placed))
    ids = {"order_id": 7} if by == "order_id" else {"order_id": None, "client_order_id": 70}
    assert not is_allowed(limits, change(**ids, price="100"))
    limits.on_step(Step("futures", "place_order", Stage.TAKEN, placed))
    assert is_allowed(limits, change(**ids, price="95"))
    assert not is_allowed(limits, change(**ids, price="94"))  # a sell
    assert is_allowed(limits, change(**ids, price="200"))
    assert not is_allowed(limits, change(**ids, price="201"))
    assert not is_allowed(limits, change(**ids, qty="2.1"))
    assert not is_allowed(limits, change(**ids, symbol="ETHUSD", price="95"))
    limits.on_step(Step("futures", "modify_order", Stage.REFUSED, change(qty=5)))
    assert is_allowed(limits, change(**ids, price="200"))
    limits.on_step(Step("futures", "modify_order", Stage.TAKEN, change(qty="1.9")))
    assert is_allowed(limits, change(**ids, price="100"))
    assert not is_allowed(limits, change(**ids, price="200"))  # 1.9 of them, by now
    limits.on_step(Step("futures", "modify_order", Stage.UNKNOWN, change(qty="1")))
    assert not is_allowed(limits, change(**ids, price="100"))
    limits.on_step(Step("futures", "modify_order", Stage.FOUND, placed))
    assert is_allowed(limits, change(**ids, price="200"))


def test_a_change_of_what_somebody_else_knows() -> None:
    asked: list[Order] = []

    def known(order: Order) -> Order | None:
        asked.append(order)
        return new(qty=3, price=10) if order.order_id == 7 else None

    limits = Limits(max_notional=30, known=known)
    assert is_allowed(limits, change(price=10))
    assert not is_allowed(limits, change(price=11))
    assert not is_allowed(limits, change(order_id=8, price=1))
    assert [order.order_id for order in asked] == [7, 7, 8]


def test_what_is_remembered_has_an_end() -> None:
    limits = Limits(max_notional=100)
    for number in range(30_000):
        limits.on_step(
            Step(
                "futures", "place_order", Stage.TAKEN, new(order_id=number, client_order_id=number)
            )
        )
    assert len(limits._orders) == 20_000
    assert is_allowed(limits, change(order_id=29_999, price=100))
    assert not is_allowed(limits, change(order_id=1, price=100))


def test_many_threads() -> None:
    limits = Limits(max_notional=100)
    failures: list[bool] = []

    def run(first: int) -> None:
        for number in range(first, first + 300):
            limits.on_step(Step("futures", "place_order", Stage.TAKEN, new(order_id=number)))
            failures.append(not is_allowed(limits, change(order_id=number, price=100)))
            failures.append(is_allowed(limits, change(order_id=number, price=101)))

    threads = [threading.Thread(target=run, args=(n * 1000,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(failures) == 2400
    assert not any(failures)


# In a client


@pytest.mark.usefixtures("no_names")
def test_nothing_of_a_batch_is_sent_if_one_is_beyond() -> None:
    config = {
        "futuresConfig": {
            "BTCUSD": {"symbol": "BTCUSD", "tickSize": 0.1, "qtyDecimal": 3, "minQty": 0.001}
        }
    }

    def answer(asked: Asked) -> Raw:
        return envelope(config if "config" in asked.path else 5)

    order: dict[str, Any] = {"symbol": "BTCUSD", "side": "buy", "order_type": "limit"}
    order |= {"qty": 1, "price": 100}
    limits = Limits(max_qty=2, max_notional=150)
    with connected(answer, order_guard=limits) as (stub, client):
        for call in (
            lambda: client.futures.place_order(**{**order, "qty": 2}),
            lambda: client.futures.place_orders([order, {**order, "qty": 3}]),
            lambda: client.futures.modify_order(symbol="BTCUSD", order_id=5, price=1),
            lambda: client.futures.modify_orders(
                [{"symbol": "BTCUSD", "order_id": 5, "price": 10, "qty": 3}]
            ),
        ):
            with pytest.raises(OrderVetoed):
                call()
        assert all("/order/" not in asked.path for asked in stub.asked)
        client.futures.place_orders([order, order])
        assert sum("/order/create" in asked.path for asked in stub.asked) == 2


@pytest.mark.usefixtures("no_names")
def test_a_client_tells_its_limits_of_what_it_places() -> None:
    config = {"futuresConfig": {"BTCUSD": {"tickSize": 0.1, "qtyDecimal": 3, "minQty": 0.001}}}

    def answer(asked: Asked) -> Raw:
        return envelope(config if "config" in asked.path else 5)

    limits = Limits(max_notional=150, price_band="0.1", reference=lambda symbol: 100)
    with connected(answer, order_guard=limits) as (_, client):
        placed = client.futures.place_order(
            symbol="BTCUSD", side="buy", order_type="limit", qty=1, price=100
        )
        for ids in ({"order_id": 5}, {"client_order_id": placed.client_order_id}):
            client.futures.modify_order(symbol="BTCUSD", price=110, **ids)  # 110 dollars
            with pytest.raises(OrderVetoed, match="beyond"):
                client.futures.modify_order(symbol="BTCUSD", price=111, **ids)
        client.futures.modify_order(symbol="BTCUSD", order_id=5, qty="1.3")
        with pytest.raises(OrderVetoed, match="beyond"):
            client.futures.modify_order(symbol="BTCUSD", order_id=5, qty="1.4")
        with pytest.raises(OrderVetoed, match="not known"):
            client.futures.modify_order(symbol="BTCUSD", order_id=6, qty=1)

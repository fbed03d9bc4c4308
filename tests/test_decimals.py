"""Numbers on their way out: what a caller gives is what is sent, digit by digit; and the grid."""

import json
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from coincall_fast import Instrument, Side, UsageError
from coincall_fast.rest.decimals import exactly, integer
from coincall_fast.rest.endpoints import ENDPOINTS
from coincall_fast.rest.request import build

NUMBERS = st.one_of(
    st.integers(1, 10**18),
    st.floats(1e-8, 1e15, allow_subnormal=False),
    st.decimals("1e-12", "1e15", allow_nan=False),
    st.decimals("1e-12", "1e15", allow_nan=False).map(str),
)
BTC = Instrument("BTCUSD", "futures", "BTCUSD", Decimal("0.1"), Decimal("0.001"), Decimal("0.001"))


def sent(qty: Any, price: Any) -> tuple[str, str]:
    """The body and the signed text of an order."""
    fields = {"symbol": "BTCUSD", "side": "buy", "order_type": "limit", "qty": qty, "price": price}
    request = build(ENDPOINTS["futures.place_order"], fields)
    assert request.body is not None
    return request.body.decode(), request.shown


def value_of(number: Any) -> Fraction:
    """A float stands for its shortest repr."""
    return Fraction(repr(number) if isinstance(number, float) else number)


@given(qty=NUMBERS, price=NUMBERS)
def test_the_same_exact_text_in_body_and_signature(qty: Any, price: Any) -> None:
    body, shown = sent(qty, price)
    signed = dict(part.split("=") for part in shown.split("&"))
    tokens = json.loads(body, parse_int=str, parse_float=str)
    for name, given_value in (("qty", qty), ("price", price)):
        assert tokens[name] == signed[name]
        assert "e" not in tokens[name].lower()
        assert Fraction(tokens[name]) == value_of(given_value)
    if isinstance(price, Decimal) and "E" not in str(price):
        assert tokens["price"] == str(price)


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (100.0, "100.0"),
        (0.1 + 0.2, "0.30000000000000004"),
        (1e-05, "0.00001"),
        ("1E-8", "0.00000001"),
        (Decimal("1.50"), "1.50"),
        ("019.0", "19.0"),
        (5, "5"),
    ],
)
def test_texts(number: Any, text: str) -> None:
    assert f'"price":{text}}}' in sent(1, number)[0]


@pytest.mark.parametrize(
    "number",
    [
        *(float("nan"), float("inf"), "nan", "Infinity", "", " 1", "1_000", "0x1", "\uff11", "1,5"),
        *(True, None, b"1", [1], Decimal("sNaN"), "1e99999", "--1", 1j),
    ],
)
def test_what_is_no_number(number: Any) -> None:
    with pytest.raises(UsageError):
        exactly(number, "price")


@pytest.mark.parametrize("number", ["1e999", Decimal("1e-200"), 1e300])
def test_what_is_no_number_of_a_market(number: Any) -> None:
    with pytest.raises(UsageError):
        sent(1, number)


def test_integers() -> None:
    assert integer("1663820914095300608", "id") == 1663820914095300608
    for wrong in (1.0, "1.0", "x", True, None, "9" * 20):
        with pytest.raises(UsageError):
            integer(wrong, "id")


# The grid


GRIDS = st.sampled_from(["0.1", "1", "0.05", "0.001", "0.25", "5"]).map(Decimal)


@given(price=NUMBERS, tick=GRIDS, side=st.sampled_from(list(Side)))
def test_a_rounded_price_is_the_nearest_that_is_no_worse(
    price: Any, tick: Decimal, side: Side
) -> None:
    grid = Instrument("X", "futures", "X", tick, Decimal(1), Decimal(1))
    found = Fraction(grid.round_price(price, side))
    assert found % Fraction(tick) == 0
    ahead = value_of(price) - found if side is Side.BUY else found - value_of(price)
    assert 0 <= ahead < Fraction(tick)


@given(qty=NUMBERS, lot=GRIDS, least=GRIDS)
def test_a_rounded_quantity(qty: Any, lot: Decimal, least: Decimal) -> None:
    grid = Instrument("X", "futures", "X", Decimal(1), lot, least)
    found = Fraction(grid.round_qty(qty))
    below = value_of(qty) // Fraction(lot) * Fraction(lot)
    assert found == (below if below >= Fraction(least) else 0)


def test_the_grid_by_example() -> None:
    assert BTC.round_price("26450.15", "buy") == Decimal("26450.1")
    assert BTC.round_price(26450.15, Side.SELL) == Decimal("26450.2")
    assert BTC.round_price(0.1 + 0.2, "sell") == Decimal("0.4")
    assert str(BTC.round_qty(0.5999)) == "0.599"
    assert BTC.round_qty("0.0009") == 0
    for wrong in ("bid", "", 3, None):
        with pytest.raises(UsageError, match="side"):
            BTC.round_price(1, wrong)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="negative"):
        BTC.round_qty(-1)


@given(price=NUMBERS)
def test_a_check_names_the_nearest(price: Any) -> None:
    number = exactly(price, "price")
    assume(number % Decimal("0.1") != 0 if number < 10**12 else False)
    with pytest.raises(UsageError) as caught:
        BTC.check(price=number)
    nearest = Decimal(str(caught.value).rsplit(" ", 1)[1])
    assert nearest % Decimal("0.1") == 0
    assert abs(Fraction(nearest) - Fraction(number)) <= Fraction(1, 20)


def test_checks() -> None:
    BTC.check(price=Decimal("26450.10"), qty=Decimal("0.0010"))
    with pytest.raises(
        UsageError, match=r"off its tick of 0\.1: the nearest legal value is 26450\.2"
    ):
        BTC.check(price=Decimal("26450.16"))
    with pytest.raises(UsageError, match="off its lot"):
        BTC.check(qty=Decimal("0.0015"))
    larger = Instrument("X", "options", "X", Decimal(1), Decimal("0.01"), Decimal("0.1"))
    with pytest.raises(UsageError, match=r"less than the least, 0\.1"):
        larger.check(qty=Decimal("0.05"))

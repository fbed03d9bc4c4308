"""What holds of the messages of every venue whose channels are texts, whatever the numbers.

The model of a number is `Decimal`, and what the protocol page says in a line or two.
"""

import copy
import pickle
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import coincall_fast
from coincall_fast import (
    Order,
    OrderState,
    Position,
    Side,
    Ticker,
    decode,
    decode_into,
    errors,
)
from coincall_fast.records import number, spelled
from coincall_fast.wire import BYBIT, GATE
from venue_messages import fed, printed

DIGITS = st.text("0123456789", min_size=1, max_size=25)


@st.composite
def numbers(draw: st.DrawFn) -> str:
    """A JSON number, as short or long as any."""
    whole = draw(DIGITS).lstrip("0") or "0"
    text = draw(st.sampled_from(["", "-"])) + whole
    if draw(st.booleans()):
        text += "." + draw(DIGITS)
    if draw(st.booleans()):
        text += draw(st.sampled_from(["e", "E"])) + draw(st.sampled_from(["", "+", "-"]))
        text += str(draw(st.integers(0, 320)))
    return text


def spellings(text: str) -> st.SearchStrategy[str]:
    return st.sampled_from([text, f'"{text}"', f'" {text} "'])


def shuffled(draw: st.DrawFn, row: dict[str, str]) -> str:
    """An object of these keys and JSON values, in any order, with blanks and keys of nobody."""
    fields = [f'"{key}":{value}' for key, value in row.items()]
    fields += draw(st.sampled_from([[], ['"nobody":{"size":[1,"x"]}'], ['"\\u0041":null']]))
    comma = draw(st.sampled_from([",", " ,\n ", ", "]))
    return "{" + comma.join(draw(st.permutations(fields))) + "}"


@st.composite
def orders(draw: st.DrawFn) -> tuple[str, dict[str, Any]]:
    """An order of Gate, and what it says."""
    size, left = abs(draw(st.integers(-(10**30), 10**30))), draw(st.integers(0, 10**30))
    size, left = max(size, left), min(size, left)
    sign = draw(st.sampled_from(["", "-"]))
    status = draw(st.sampled_from(["open", "finished"]))
    finish = draw(st.sampled_from(["", "filled", "cancelled", "ioc", "something"]))
    price = draw(numbers())
    row = {
        "id": str(draw(st.integers(0, 2**70))),
        "size": draw(spellings(f"{sign}{size}")),
        "left": draw(spellings(f"{sign if left else ''}{left}")),
        "price": draw(spellings(price)),
        "status": f'"{status}"',
        "finish_as": f'"{finish}"',
        "create_time": str(draw(st.integers(0, 10**12))),
    }
    state: Any = {"filled": OrderState.FILLED, "cancelled": OrderState.CANCELED}.get(finish)
    state = OrderState.CANCELED if finish == "ioc" else state or "finished"
    if status == "open":
        state = OrderState.NEW if left == size else OrderState.PARTIALLY_FILLED
    says = {
        "order_id": row["id"],
        "qty": Decimal(size),
        "remaining_qty": Decimal(left),
        "filled_qty": Decimal(size - left),
        "side": None if size == 0 else Side.SELL if sign else Side.BUY,
        "price": Decimal(price),
        "state": state,
        "created_ms": int(row["create_time"]) * 1000,
    }
    return shuffled(draw, row), says


@given(st.lists(orders(), max_size=3))
def test_orders_of_gate_say_what_their_rows_say(rows: list[tuple[str, dict[str, Any]]]) -> None:
    text = ",".join(row for row, _ in rows)
    frame = f'{{"channel":"options.orders","event":"update","time":1,"result":[{text}]}}'
    found = fed(GATE, frame)
    assert len(found) == len(rows)
    for order, (_, says) in zip(found, rows, strict=True):
        assert type(order) is Order
        for name, right in says.items():
            value = getattr(order, name)
            assert value == (float(right) if isinstance(right, Decimal) else right)
            if isinstance(right, Decimal):
                assert str(order.exact(name)) == str(right)
            else:
                assert type(value) is type(right)
        assert order.ts_ms == 1000
        assert pickle.loads(pickle.dumps(order)) == order


@given(numbers(), st.data())
def test_numbers_of_bybit_are_the_nearest_floats_and_exact(text: str, data: st.DataObject) -> None:
    size, price = data.draw(spellings(text)), data.draw(spellings(text))
    row = f'{{"symbol":"X","side":"","size":{size},"entryPrice":{price}}}'
    frame = f'{{"topic":"user.openapi.option.position","data":{{"result":[{row}]}}}}'
    (position,) = fed(BYBIT, frame)
    assert position.average_price == float(text)
    assert str(position.exact("average_price")) == str(Decimal(text))
    assert position.qty == abs(float(text))
    assert str(position.exact("qty")) == str(Decimal(text.removeprefix("-")))
    assert position.side is (Side.SELL if float(text) < 0 else None)
    assert pickle.loads(pickle.dumps(position)).to_dict() == position.to_dict()
    if "inf" not in repr(position):
        assert eval(repr(position), vars(coincall_fast)) == position


def test_a_frame_that_changes_later_changes_no_message() -> None:
    for wire, venue in (BYBIT, "bybit"), (GATE, "gate"):
        for text in printed(venue):
            if "orderbook" in text:
                continue
            frame = bytearray(text.encode())
            message = fed(wire, frame)
            frame[:] = b" " * len(frame)
            assert message == fed(wire, text)


def test_no_venue_takes_what_is_anothers() -> None:
    for text in printed("bybit"):
        if "orderbook" not in text:
            assert type(fed(GATE, text)).__name__ in ("UnknownMessage", "Ack")
            assert type(decode(text)).__name__ in ("UnknownMessage", "Ack")
    for text in printed("gate"):
        if '"error"' not in text:
            assert type(fed(BYBIT, text)).__name__ == "UnknownMessage"
            assert type(decode(text)).__name__ in ("UnknownMessage", "Ack")
    chain = '{"dt":4,"c":20,"d":[]}'
    for wire in BYBIT, GATE:
        assert type(fed(wire, chain)).__name__ == "UnknownMessage"


def test_a_topic_is_no_table() -> None:
    chain: Any = decode('{"dt":4,"c":20,"d":[]}')
    frame = '{"topic":"tickers.X","data":{}}'
    with pytest.raises(errors.UsageError, match="Ticker"):
        decode_into(chain, frame, wire=BYBIT)
    assert len(chain) == 0


def test_a_list_of_messages_is_a_list() -> None:
    frame = '{"topic":"greeks","creationTime":5,"data":[{"baseCoin":"A"},{"baseCoin":"B"}]}'
    found = fed(BYBIT, frame)
    assert issubclass(type(found), list)
    assert [one.coin for one in found] == ["A", "B"]
    assert (found.channel, found.ts_ms) == ("greeks", 5)
    assert (found.version, found.base_line, found.is_snapshot) == (None, None, None)
    copies: list[Any] = [copy.copy(found), copy.deepcopy(found)]
    for other in *copies, pickle.loads(pickle.dumps(found)):
        assert other == found
        assert (type(other), other.channel, other.ts_ms) == (type(found), "greeks", 5)


def test_every_message_says_how_it_was_numbered() -> None:
    for message in decode('{"dt":11,"d":{}}'), decode('{"dt":6,"d":[]}'), decode('{"c":11,"rc":1}'):
        assert isinstance(message, coincall_fast.Message)
        assert (message.version, message.base_line, message.is_snapshot) == (None, None, None)
    trades = fed(BYBIT, '{"topic":"publicTrade.BTC","type":"delta","data":[{"p":"1"}]}')
    assert (trades.is_snapshot, trades[0].is_snapshot) == (False, False)
    assert pickle.loads(pickle.dumps(trades)).is_snapshot is False
    other = fed(BYBIT, '{"topic":"publicTrade.BTC","type":"word","data":[{"p":"1"}]}')
    assert other.is_snapshot is None
    big = 10**30
    frame = f'{{"topic":"user.openapi.greeks","data":{{"result":[{{}}],"version":"{big}"}}}}'
    assert fed(BYBIT, frame)[0].version == big


def test_what_an_attribute_is_follows_its_row() -> None:
    """An identifier of Coincall is a number, and one of Bybit a text; by hand it may be both."""
    ours: Any = decode('{"dt":11,"d":{"oid":"7","coid":8}}')
    (theirs,) = fed(BYBIT, '{"topic":"order","data":[{"orderId":"7"}]}')
    assert (ours.order_id, ours.exact("order_id"), theirs.order_id) == (7, 7, "7")
    assert Order(order_id=7).order_id == 7
    assert Order(order_id="7a", state="closed").order_id == "7a"
    assert Order(state="closed").is_terminal is True
    assert Position().version is None


def test_a_column_is_checked_when_it_is_made() -> None:
    for attributes in {"prices": number("p")}, {"mark_price": number("p"), "qtys": number("q")}:
        with pytest.raises(errors.UsageError):
            spelled(Ticker, "new", **attributes)
    with pytest.raises(errors.UsageError):
        spelled(Ticker, "bybit v1")
    with pytest.raises(errors.UsageError):
        spelled(Ticker, "rest")


def test_json_is_json() -> None:
    """Of what is skipped too."""
    for bad in "NaN", "01", "tru", '"\\x"', "[1,]", '{"a":1,}', "'x'", "-Infinity":
        for frame in (
            f'{{"topic":"greeks","x":{bad},"data":[]}}',
            f'{{"x":{bad},"topic":"greeks","data":[]}}',
            f'{{"topic":"greeks","data":[{{"x":{bad}}}]}}',
            f'{{"topic":"unknown","data":{bad}}}',
            f'{{"op":"pong","args":[{bad}]}}',
        ):
            with pytest.raises(errors.DecodeError):
                fed(BYBIT, frame)

"""The rules of messages one by one: codes, digits, equality, making by hand, copies, trades."""

import copy
import json
import math
import pickle
import subprocess
import sys
from decimal import Decimal
from enum import IntEnum
from typing import Any

import pytest

import coincall_fast
from coincall_fast import (
    Account,
    Ack,
    BookStore,
    ChainRow,
    Fill,
    FillSignal,
    Heartbeat,
    Kline,
    Message,
    OptionChain,
    Order,
    OrderState,
    OrderType,
    Position,
    PositionState,
    Record,
    Side,
    Ticker,
    TimeInForce,
    Trade,
    Trades,
    UnknownMessage,
    coincall,
    decode,
)
from coincall_fast.errors import CoincallFastError, UsageError
from message_checks import alike
from message_frames import CHANNEL_CODES, message_frame
from model_messages import FLAGS

RECORDS = [Account, ChainRow, Fill, FillSignal, Kline, Order, Position, Ticker, Trade]


def push(dt: int, row: str, more: str = "") -> Any:
    return decode(f'{{"dt":{dt},"c":20,"d":{row}{more}}}')


# Names and codes -----------------------------------------------------------------------------


def test_the_names_of_a_venue_and_of_all() -> None:
    """The classes are of every venue, what reads a frame is of one."""
    for name in "decode", "decode_into", "decode_rest", "BookStore":
        assert getattr(coincall, name) is getattr(coincall_fast, name)
    for kind in (*RECORDS, Ack, Heartbeat, OptionChain, Trades, UnknownMessage):
        assert issubclass(kind, Message)
        assert getattr(coincall_fast, kind.__name__) is kind
    for kind in RECORDS:
        assert issubclass(kind, Record)
    for kind in Trades, OptionChain, Heartbeat, Ack, UnknownMessage:
        assert not issubclass(kind, Record)


def codes(kind: type[IntEnum]) -> dict[str, int]:
    return {name: int(member) for name, member in kind.__members__.items()}


def test_codes() -> None:
    assert codes(Side) == {"BUY": 1, "SELL": 2}
    assert codes(OrderType) == {
        "LIMIT": 1,
        "MARKET": 2,
        "POST_ONLY": 3,
        "STOP_LIMIT": 4,
        "STOP_MARKET": 5,
        "BLOCK_TRADE": 14,
    }
    assert codes(OrderState) == {
        "ILLEGAL": -10,
        "WAITING_EFFECT": -2,
        "PRE": -1,
        "NEW": 0,
        "FILLED": 1,
        "PARTIALLY_FILLED": 2,
        "CANCELED": 3,
        "PRE_CANCEL": 4,
        "CANCELING": 5,
        "INVALID": 6,
        "CANCEL_BY_EXERCISE": 10,
    }
    assert codes(PositionState) == {"OPEN": 1, "CLOSED": 5}
    assert codes(TimeInForce) == {"GTC": 0, "POST_ONLY": 1, "IOC": 2, "FOK": 3}


def test_a_state_is_open_or_terminal() -> None:
    is_open = {state for state in OrderState if state.is_open}
    is_terminal = {state for state in OrderState if state.is_terminal}
    assert is_open == {-2, -1, 0, 2, 4, 5}
    assert is_terminal == {1, 3, 6, 10, -10}
    for state in OrderState:
        order = push(11, f'{{"os":{int(state)}}}')
        assert order.state is state
        assert order.is_open is (state in is_open)
        assert order.is_terminal is (state in is_terminal)


@pytest.mark.parametrize("state", ["7", "-3", "99", "null", '""', '"  "'])
def test_a_state_that_nobody_knows_is_neither_open_nor_terminal(state: str) -> None:
    order = push(35, f'{{"os":{state}}}')
    assert (order.is_open, order.is_terminal) == (None, None)
    order = push(35, "{}")
    assert (order.state, order.is_open, order.is_terminal) == (None, None, None)


def test_codes_are_members_where_known_and_integers_where_not() -> None:
    row = '{{"si":{0},"ty":{0},"os":{0},"tif":{0}}}'
    for text in "1", '"1"', '" 1 "':
        order = push(11, row.format(text))
        found = [order.side, order.order_type, order.state, order.time_in_force]
        assert found == [Side.BUY, OrderType.LIMIT, OrderState.FILLED, TimeInForce.POST_ONLY]
        assert list(map(type, found)) == [Side, OrderType, OrderState, TimeInForce]
    for text in "77", '"77"':
        order = push(11, row.format(text))
        found = [order.side, order.order_type, order.state, order.time_in_force]
        assert (found, set(map(type, found))) == ([77] * 4, {int})
    assert push(11, '{"si":-10}').side == -10


def test_a_closed_position_is_no_partly_filled_order() -> None:
    """Code 2 of a position is not code 2 of an order, nor is 5."""
    for state, dt in ("2", 36), ("5", 12), ("2", 46), ("5", 27), ("5", 19):
        for token in state, f'"{state}"':
            assert push(dt, f'{{"os":{token}}}').state is PositionState.CLOSED
    assert push(27, '{"os":"1"}').state is PositionState.OPEN
    unknown = push(36, '{"os":"3"}').state
    assert (type(unknown), unknown) == (int, 3)


@pytest.mark.parametrize(("word", "code"), [("GTC", 0), ("IOC", 2), ("FOK", 3)])
def test_the_words_of_time_in_force(word: str, code: int) -> None:
    assert push(11, f'{{"tif":"{word}"}}').time_in_force is TimeInForce(code)


def test_flags() -> None:
    for text, flag in ("0", False), ("1", True), ("false", False), ("true", True):
        for token in text, f'"{text}"':
            assert push(35, f'{{"ro":{token}}}').reduce_only is flag
            assert push(35, f'{{"it":{token}}}').is_taker is flag
            assert push(15, f'{{"isTaker":{token}}}').is_taker is flag
    for token in "null", '""', '" "':
        assert push(35, f'{{"ro":{token}}}').reduce_only is None


# Numbers -------------------------------------------------------------------------------------


def test_exact_has_the_digits_of_the_wire() -> None:
    for text in (
        *("0.10", "-0", "0E-8", "1.05E-4", "1E+1", "100000000000.50153541", "9" * 38, "1e400"),
        *("0." + "123456789" * 100, "1" + "0" * 5000, "0e999999999999"),
    ):
        escaped = f"\\u{ord(text[0]):04x}{text[1:]}"
        for token in text, f'"{text}"', f'"  {text} "', f'"{escaped}"', f'" {escaped} "':
            order = push(11, f'{{"pr":{token}}}')
            assert str(order.exact("price")) == str(Decimal(text))
            assert alike(order.price) == alike(float(text))


def test_exact_of_what_is_not_there() -> None:
    for row in "{}", '{"pr":null}', '{"pr":""}', '{"pr":"   "}':
        order = push(11, row)
        assert order.price is order.exact("price") is None


@pytest.mark.parametrize("name", ["symbol", "is_taker", "pr", "", "exact", "x"])
def test_exact_of_what_is_no_number(name: str) -> None:
    with pytest.raises(UsageError):
        push(11, '{"pr":1}').exact(name)


def test_a_zero_on_the_wire_is_a_zero() -> None:
    ticker = push(3, '{"s":"X","mp":0,"iv":"0","delta":-0.0,"oi":"0E-8"}')
    found = ticker.mark_price, ticker.iv, ticker.delta, ticker.open_interest
    assert alike(found) == alike([0.0, 0.0, -0.0, 0.0])
    assert ticker.last_price is None


def test_no_implied_volatility() -> None:
    for text, value in (
        *(("1.7976931348623157E308", None), ("1e300", None), ("1e400", None)),
        *(("9.99e299", 9.99e299), ("-1e301", -1e301), ("0", 0.0), ("1.1833", 1.1833)),
    ):
        for token in text, f'"{text}"':
            ticker = push(3, f'{{"iv":{token},"mp":{token}}}')
            assert ticker.iv == value
            assert ticker.mark_price == float(text)  # of which nobody says so
            assert ticker.exact("iv") == ticker.exact("mark_price") == Decimal(text)


def test_numbers_beyond_the_floats() -> None:
    position = push(12, '{"q":1e999,"ap":"-1e999","mp":1e-999,"lp":"-1e-999"}')
    found = position.qty, position.average_price, position.mark_price, position.last_price
    assert alike(found) == alike([math.inf, -math.inf, 0.0, -0.0])
    assert position.exact("qty") == Decimal("1e999")


def test_numbers_beyond_decimal() -> None:
    """`Decimal` has no such exponents, and what it has no room for is never something else."""
    position = push(12, '{"q":1e18446744073709551616,"ap":"-1e-18446744073709551616","mp":1}')
    assert alike((position.qty, position.average_price)) == alike((math.inf, -0.0))
    for name in "qty", "average_price":
        with pytest.raises(CoincallFastError):
            position.exact(name)
    assert position.exact("mark_price") == 1


def test_identifiers_are_exact() -> None:
    for number in 1663820914095300608, 2**53 + 1, 2**63, 2**64 + 1, 10**38 + 1, -5, 0:
        for token in number, f'"{number}"', f'" {number} "':
            order = push(11, f'{{"oid":{token},"coid":{token},"uid":{token}}}')
            found = [order.order_id, order.client_order_id, order.user_id]
            assert (found, set(map(type, found))) == ([number] * 3, {int})
    assert push(11, '{"coid":""}').client_order_id is None


def test_the_first_of_two_keys_that_is_there() -> None:
    for dt, name, first, second in (
        *((3, "volume", "v", "tv"), (3, "trade_value", "uv", "tva"), (6, "qty", "q", "v")),
        *((7, "user_id", "uid", "u"), (30, "last_price", "pr", "lp")),
    ):
        for row in f'{{"{first}":1,"{second}":2}}', f'{{"{second}":2,"{first}":1}}':
            message = push(dt, row)
            message = message[0] if dt == 6 else message
            assert getattr(message, name) == 1
            assert message.extra == {}
        for absent in "", f'"{first}":null,', f'"{first}":"",', f'"{first}":"  ",':
            message = push(dt, f'{{{absent}"{second}":2}}')
            assert getattr(message[0] if dt == 6 else message, name) == 2


# The rest of a frame -------------------------------------------------------------------------


def test_extra_is_as_json_reads_it() -> None:
    more = (
        r'{"a":1,"b":"1.50","c":[1,{"d":null}],"":true,"\u00e9\n":"\ud83d\ude00","n":-0.5e3,'
        r'"big":12345678901234567890123,"a":2,"o":{"k":1,"k":2}}'
    )
    row = more[:-1] + ',"s":"X","pr":"1"}'
    order = push(11, row)
    assert alike(order.extra) == alike(json.loads(more))
    assert (order.symbol, order.price) == ("X", 1.0)


def test_extra_is_by_channel() -> None:
    """A key that means something in another channel, or in the envelope, is still unknown here."""
    assert push(3, '{"pr":1,"cv":2}').extra == {"pr": 1, "cv": 2}
    assert push(30, '{"iv":1,"v":2}').extra == {"iv": 1, "v": 2}
    assert push(24, '[{"pr":1}]')[0].extra == {"pr": 1}
    assert push(7, '{"dt":5,"c":11,"d":{},"result":"x"}').extra.keys() == {"dt", "c", "d", "result"}
    assert push(7, "{}", ',"x":1').extra == {}


def test_the_time_is_that_of_the_row_or_the_frame() -> None:
    for dt in CHANNEL_CODES:
        key = "tradeTime" if dt in (15, 24, 43) else "ts"
        row = '{"s":"BTCUSD",' if dt == 4 else "{"
        for of_row, more, right in (
            (f'"{key}":5', "", 5),
            (f'"{key}":"5"', ',"ts":6', 5),
            (f'"{key}":null', ',"ts":6', 6),
            ('"y":0', ',"ts":6', 6),
            ('"y":0', ',"ts":"6"', 6),
            ('"y":0', "", None),
            ('"y":0', ',"ts":null', None),
        ):
            message = push(dt, row + of_row + "}", more)
            if dt == 4:
                assert message.ts_ms.tolist() == [right or 0]
                assert [item.ts_ms for item in message] == [right]
            else:
                assert message.ts_ms == right, (dt, of_row, more)
    early = decode(b'{"ts":6,"d":{"s":"X"},"dt":11}')
    assert early.ts_ms == 6


def test_lists_of_messages() -> None:
    orders = push(11, '[{"s":"A","oid":1},{"s":"B","oid":"2"}]', ',"ts":9')
    assert type(orders) is list
    assert [type(order) for order in orders] == [Order, Order]
    assert [(order.symbol, order.order_id, order.ts_ms) for order in orders] == [
        ("A", 1, 9),
        ("B", 2, 9),
    ]
    assert push(12, "[]") == []
    assert [type(item) for item in push(7, "[{}]")] == [Account]
    assert BookStore().feed('{"dt":11,"d":[{"oid":1}]}') == [Order(order_id=1)]


def test_to_dict_is_in_the_order_of_the_class() -> None:
    forwards = push(11, '{"oid":1,"s":"X","pr":2}')
    backwards = push(11, '{"pr":2,"s":"X","oid":1}')
    assert list(forwards.to_dict()) == list(backwards.to_dict()) == list(Order().to_dict())
    assert forwards.to_dict() == Order().to_dict() | {"order_id": 1, "symbol": "X", "price": 2.0}
    names = list(push(2, "{}").to_dict())
    assert names == ["symbol", "period", "open", "high", "low", "close", "volume", "ts_ms"]
    changed = forwards.to_dict()
    changed["price"] = 7
    assert forwards.price == 2.0


# Values --------------------------------------------------------------------------------------

EVERY = [message_frame(dt, seed) for dt in CHANNEL_CODES for seed in (0, 1)]
OTHERS = [b'{"c":11,"rc":1}', b'{"action":"SUBSCRIBE","result":"success"}', b'{"dt":99,"d":[1]}']


def test_messages_are_equal_by_class_and_value() -> None:
    old, new = push(33, '[{"pr":1.5,"v":2,"sd":1}]'), push(6, '[{"q":"2","sd":"1","pr":"1.50"}]')
    assert old == new
    assert old[0] == new[0]
    assert hash(old[0]) == hash(new[0])
    assert (old != new) is False
    assert old[0] != push(6, '[{"q":"2","sd":"1","pr":"1.51"}]')[0]
    assert old != push(6, "[]")
    assert push(11, '{"x":1}') == push(35, "{}") == Order()
    assert push(11, "{}") != push(12, "{}")
    assert push(11, "{}") != {}
    assert push(11, "{}") != None  # noqa: E711 - what is compared is __ne__
    assert push(11, '{"pr":0}') != push(11, "{}")
    ordered = push(7, '{"assets":{"a":1,"b":2}}'), push(7, '{"assets":{"b":2,"a":1}}')
    assert ordered[0] == ordered[1]
    assert hash(ordered[0]) == hash(ordered[1])
    assert len({push(11, '{"oid":1}'), push(35, '{"oid":"1"}'), push(11, '{"oid":2}')}) == 2


@pytest.mark.parametrize("kind", RECORDS, ids=lambda kind: kind.__name__)
def test_every_attribute_counts(kind: type[Record]) -> None:
    """To `==`, `hash` and `repr`."""
    nothing = kind()
    for name in nothing.to_dict():
        one, other = kind(**{name: "1"}), kind(**{name: "0" if name in FLAGS else "2"})
        assert getattr(one, name) not in (None, getattr(other, name))
        assert one == kind(**{name: "1"})
        assert len({one, other, nothing, kind(**{name: "1"})}) == 3, name
        assert one != other
        assert repr(one) != repr(other)
        assert f"({name}=" in repr(one)


@pytest.mark.parametrize("frame", [*EVERY, *OTHERS], ids=lambda frame: frame[:24].decode())
def test_equal_to_itself_and_its_copies(frame: bytes) -> None:
    message: Any = decode(frame)
    again: Any = decode(bytearray(frame))
    assert message == again
    copies = [copy.copy(message), copy.deepcopy(message)]
    copies += [
        pickle.loads(pickle.dumps(message, n)) for n in range(2, pickle.HIGHEST_PROTOCOL + 1)
    ]
    for other in copies:
        assert type(other) is type(message)
        assert other == message
        assert repr(other) == repr(message)
        if isinstance(message, list):
            continue
        assert (other.dt, other.channel, other.extra) == (
            message.dt,
            message.channel,
            message.extra,
        )
    if isinstance(message, Record):
        assert hash(message) == hash(again) == hash(copies[-1])
        for other in copies:
            for name in message.to_dict():
                if isinstance(getattr(message, name), float):
                    assert str(other.exact(name)) == str(message.exact(name))


@pytest.mark.parametrize("frame", EVERY, ids=lambda frame: frame[:24].decode())
def test_repr_makes_an_equal_message(frame: bytes) -> None:
    message: Any = decode(frame)
    for item in message if isinstance(message, (list, Trades, OptionChain)) else [message]:
        assert type(item) in RECORDS
        text = repr(item)
        assert text.startswith(f"{type(item).__name__}(")
        assert "None" not in text.replace("'", '"').split('"')[0::2]
        names = {**vars(coincall_fast), "nan": math.nan, "inf": math.inf}
        assert alike(eval(text, names).to_dict()) == alike(item.to_dict())


def test_repr_says_what_is_there() -> None:
    ticker = push(3, '{"mp":"1.0","s":"X","lp":null}')
    assert repr(ticker) == "Ticker(symbol='X', mark_price=1.0)"
    order = repr(push(11, '{"si":1,"os":0,"ty":99,"ro":0}'))
    assert order == "Order(side=Side.BUY, order_type=99, reduce_only=False, state=OrderState.NEW)"
    assert repr(Order()) == "Order()"


def test_what_no_frame_has_filled() -> None:
    """In a process of its own: what is asked of it may raise, and must not crash."""
    code = """
import pickle
from coincall_fast import OptionChain, Order, Trades
from coincall_fast.errors import UsageError
for make in Trades, OptionChain, lambda: Order.__new__(Order):
    for name in "dt", "channel", "symbol", "ts_ms", "extra", "price", "symbols", "bid", "strike":
        try:
            getattr(make(), name)
        except (AttributeError, UsageError, TypeError):
            pass
    for ask in len, list, repr, pickle.dumps, lambda it: it.to_dict(), lambda it: it == make():
        try:
            ask(make())
        except (AttributeError, UsageError, TypeError):
            pass
print("alive")
"""
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True)
    assert (done.returncode, done.stdout.strip()) == (0, b"alive"), done.stderr.decode()


def test_trades_and_chains_have_no_hash() -> None:
    for message in push(6, "[]"), push(4, "[]"):
        with pytest.raises(TypeError):
            hash(message)


@pytest.mark.parametrize("frame", EVERY, ids=lambda frame: frame[:24].decode())
def test_messages_are_read_only(frame: bytes) -> None:
    message: Any = decode(frame)
    if isinstance(message, list):
        return
    before = repr(message)
    for name in "symbol", "ts_ms", "dt", "channel", "extra", "price", "unheard_of":
        with pytest.raises(AttributeError):
            setattr(message, name, 1)
        with pytest.raises(AttributeError):
            delattr(message, name)
    assert repr(message) == before


# By hand -------------------------------------------------------------------------------------


def test_made_by_hand() -> None:
    order = Order(order_id=1, symbol="X", price="0.50", side=Side.BUY)
    assert order == push(11, '{"oid":1,"s":"X","pr":0.5,"si":1}')
    assert (order.dt, order.channel, order.extra, order.ts_ms) == (None, None, {}, None)
    assert str(order.exact("price")) == "0.50"
    assert order.exact("qty") is None
    assert Order(state=OrderState.NEW).is_open is True
    assert type(Order(side=2).side) is Side
    assert Order(time_in_force=TimeInForce.IOC, reduce_only=True).reduce_only is True


def test_numbers_by_hand() -> None:
    numbers: tuple[tuple[Any, str], ...] = (
        *((Decimal("1.50"), "1.50"), ("1.50", "1.50"), (0.1, "0.1"), (5, "5"), (-0.0, "-0.0")),
        *((10**30, "1" + "0" * 30), (1e-7, "1E-7"), (None, "None"), ("", "None")),
    )
    for given, digits in numbers:
        made = Ticker(mark_price=given)
        assert str(made.exact("mark_price")) == digits
        assert alike(made.mark_price) == alike(None if digits == "None" else float(given))


@pytest.mark.parametrize(
    "attributes",
    [
        {"prices": 1},
        {"pr": 1},
        {"dt": 11},
        {"price": "x"},
        {"price": []},
        {"price": True},
        {"price": b"1"},
        {"order_id": 1.5},
        {"symbol": 5},
        {"symbol": b"X"},
        {"side": "buy"},
        {"side": 1.0},
        {"is_taker": "yes"},
        {"is_taker": 2},
        {"ts_ms": 1.5},
        {"ts_ms": "soon"},
    ],
    ids=str,
)
def test_refused_by_hand(attributes: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        Order(**attributes)


# Trades --------------------------------------------------------------------------------------


def test_trades_are_a_sequence() -> None:
    rows = [
        f'{{"s":"S{n}","pr":{n},"q":"{n}","sd":{n % 2 + 1},"ts":{n * 10}}}' for n in range(1, 6)
    ]
    trades = push(6, "[" + ",".join(rows) + "]")
    assert type(trades) is Trades
    assert len(trades) == 5
    assert [trade.price for trade in trades] == [1.0, 2.0, 3.0, 4.0, 5.0]
    assert all(type(trade) is Trade for trade in trades)
    assert trades[0] == trades[-5] == Trade(symbol="S1", price=1, qty=1, side=Side.SELL, ts_ms=10)
    assert trades[-1].symbol == trades[4].symbol == "S5"
    for index in 5, -6, 10**30:
        with pytest.raises(IndexError):
            trades[index]
    part = trades[1:4:2]
    assert type(part) is list
    assert [trade.symbol for trade in part] == ["S2", "S4"]
    assert [trade.symbol for trade in trades[::-1]] == ["S5", "S4", "S3", "S2", "S1"]
    assert (trades.symbol, trades.ts_ms) == ("S1", 10)
    assert trades.to_dict() == {"trades": [trade.to_dict() for trade in trades]}
    assert trades[0] in trades
    assert Trade(symbol="S6") not in trades
    assert bool(trades)


def test_no_trades_and_one() -> None:
    none = push(33, "[]", ',"ts":5')
    assert (len(none), list(none), none.symbol) == (0, [], None)
    assert not none
    assert (none.dt, none.channel) == (33, "lastTrade")
    one = push(24, '{"symbol":"X","matchPrice":"1"}', ',"ts":5')
    assert type(one) is Trades
    assert [(trade.symbol, trade.price, trade.ts_ms) for trade in one] == [("X", 1.0, 5)]
    assert (one.symbol, one.ts_ms) == ("X", 5)


@pytest.mark.parametrize("dt", [4, 8])
def test_a_pickle_keeps_the_time_of_an_envelope_that_escapes_its_blanks(dt: int) -> None:
    message = decode(f'{{"ts":"\\u00207 ","dt":{dt},"d":{{"s":"X"}}}}')
    assert message.ts_ms == pickle.loads(pickle.dumps(message)).ts_ms == 7

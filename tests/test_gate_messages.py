"""Gate's messages, field by field: the frames of seed 004, and the venue's own forms of them.

What each says is written out here, from the frames and from section 2 of the protocol page.
"""

import json
import pickle
from decimal import Decimal
from typing import Any

import pytest

from coincall_fast import (
    Account,
    Ack,
    Fill,
    Heartbeat,
    Kline,
    Order,
    OrderState,
    OrderType,
    PortfolioRisk,
    Position,
    Record,
    Side,
    Ticker,
    TimeInForce,
    Trade,
    Trades,
    UnknownMessage,
    errors,
)
from coincall_fast.wire import GATE
from venue_messages import fed, printed, seen

SYMBOL = "BTC_USDT-20230630-30000-C"


def gate(frame: str | bytes) -> Any:
    return fed(GATE, frame)


def push(channel: str, result: Any, event: str = "update", more: str = "") -> Any:
    text = result if isinstance(result, str) else json.dumps(result)
    return gate(
        f'{{"time":1630654851,"channel":"options.{channel}","event":"{event}"{more}'
        f',"result":{text}}}'
    )


def only(channel: str, **result: Any) -> Any:
    """The one message of a push in the venue's own form."""
    (message,) = push(channel, [result])
    return message


# Frames of the seed ---------------------------------------------------------------------------

SEED: list[tuple[type[Record], dict[str, Any]]] = [
    (
        Position,
        {
            "symbol": SYMBOL,
            "qty": "1.0",
            "side": Side.BUY,
            "average_price": "2000",
            "mark_price": "2100",
            "realized_pnl": "0",
            "unrealized_pnl": "100",
            "delta": "0.65",
            "gamma": "0.0001",
            "vega": "10",
            "theta": "-5",
            "ts_ms": 1234567890000,
        },
    ),
    (
        Order,
        {
            "order_id": "123456789",
            "symbol": SYMBOL,
            "qty": "1.0",
            "price": "2000",
            "average_price": "2000",
            "state": "closed",
            "order_type": OrderType.LIMIT,
            "time_in_force": TimeInForce.GTC,
            "created_ms": 1234567890000,
            "ts_ms": 1234567890000,
        },
    ),
    (
        Account,
        {
            "equity": "10000",
            "unrealized_pnl": "500",
            "option_value": "2000",
            "available_balance": "7500",
            "currency": "USDT",
            "margin_ratio": "0.2",
            "ts_ms": 1234567890000,
        },
    ),
    (
        PortfolioRisk,
        {
            "delta": "0.5",
            "gamma": "0.001",
            "vega": "20",
            "theta": "-10",
            "margin_used": "2000",
            "margin_required": "1500",
            "leverage": "2.5",
            "var": "1000",
            "ts_ms": 1234567890000,
        },
    ),
]
UNNAMED = {
    "options.orders": {"status"},
    "options.balances": {"short_positions", "long_positions"},
}


def test_every_frame_of_the_seed() -> None:
    left = list(SEED)
    for text in printed("gate"):
        body = json.loads(text)
        message = gate(text)
        if body["event"] == "error":
            assert message == Ack(None, False, body)
            continue
        kind, values = left.pop(0)
        assert type(message) is kind
        assert seen(message) == values
        assert (message.dt, message.channel) == (None, body["channel"])
        assert set(message.extra) == UNNAMED.get(body["channel"], set())
        assert pickle.loads(pickle.dumps(message)) == message
        assert gate(json.dumps(body, indent=1).encode()) == message
    assert not left


def test_an_order_that_the_seed_calls_closed_is_done() -> None:
    order = push("orders", {"status": "closed"})
    assert (order.state, order.is_open, order.is_terminal) == ("closed", False, True)


# The venue's own forms ------------------------------------------------------------------------


def test_an_order() -> None:
    order = only(
        "orders",
        id=36891234567,
        contract="BTC_USDT-20211130-65000-C",
        underlying="BTC_USDT",
        user="1011",
        create_time=1637897000,
        size=-5,
        left=-2,
        price=1.5,
        fill_price="1.25",
        status="open",
        finish_as="",
        tif="poc",
        iceberg=0,
        is_close=False,
        is_liq=False,
        is_reduce_only=True,
        text="t-mine",
        tkfr=0.0003,
        time=1637897001,
        time_ms=1637897001123,
    )
    assert type(order) is Order
    assert seen(order) == {
        "order_id": "36891234567",
        "client_order_id": "t-mine",
        "user_id": "1011",
        "symbol": "BTC_USDT-20211130-65000-C",
        "side": Side.SELL,
        "qty": "5",
        "remaining_qty": "2",
        "filled_qty": "3",
        "price": "1.5",
        "average_price": "1.25",
        "state": OrderState.PARTIALLY_FILLED,
        "time_in_force": TimeInForce.POST_ONLY,
        "reduce_only": True,
        "created_ms": 1637897000000,
        "ts_ms": 1637897001123,
    }
    assert order.extra["tkfr"] == 0.0003
    assert (order.is_open, order.is_terminal) == (True, False)


@pytest.mark.parametrize(
    ("status", "finish_as", "size", "left", "state", "is_open"),
    [
        ("open", "", 5, 5, OrderState.NEW, True),
        ("open", None, -5, -5, OrderState.NEW, True),
        ("open", "", "5.0", "5", OrderState.NEW, True),
        ("open", "", 5, 2, OrderState.PARTIALLY_FILLED, True),
        ("open", "", 5, None, OrderState.NEW, True),
        ("finished", "filled", 5, 0, OrderState.FILLED, False),
        ("finished", "cancelled", 5, 5, OrderState.CANCELED, False),
        ("finished", "ioc", 5, 2, OrderState.CANCELED, False),
        ("finished", "liquidated", 5, 5, OrderState.CANCELED, False),
        ("finished", "reduce_only", 5, 5, OrderState.CANCELED, False),
        ("finished", "position_closed", 5, 5, OrderState.CANCELED, False),
        ("finished", "auto_deleveraged", 5, 0, "finished", False),
        ("finished", "what_comes_next", 5, 0, "finished", False),
        ("finished", None, 5, 0, "finished", False),
        ("asleep", "", 5, 0, "asleep", None),
        (None, None, 5, 0, None, None),
    ],
)
def test_states(
    status: str | None, finish_as: str | None, size: Any, left: Any, state: Any, is_open: Any
) -> None:
    order = only("orders", status=status, finish_as=finish_as, size=size, left=left)
    assert order.state == state
    assert type(order.state) is type(state)
    assert order.is_open is is_open
    assert order.is_terminal is (None if is_open is None else not is_open)
    assert order.extra["finish_as"] == finish_as
    filled = "None" if left is None else str(abs(Decimal(size)) - abs(Decimal(left)))
    assert str(order.exact("filled_qty")) == filled
    assert order.filled_qty == (None if left is None else float(filled))
    again = pickle.loads(pickle.dumps(order))
    assert again == order
    assert str(again.exact("filled_qty")) == filled


def test_what_is_filled_is_exact() -> None:
    order = push("orders", '[{"size":"-0.3","left":-0.1,"status":"open"}]')[0]
    assert str(order.exact("filled_qty")) == "0.2"
    assert order.filled_qty == 0.2
    assert order == Order(
        side=2, qty="0.3", remaining_qty="0.1", filled_qty="0.2", state=2, ts_ms=1630654851000
    )


@pytest.mark.parametrize(
    ("size", "qty", "side"),
    [
        ("5", "5", Side.BUY),
        ("-5", "5", Side.SELL),
        ("0", "0", None),
        ("-0", "0", None),
        ('"-5"', "5", Side.SELL),
        ('" -5 "', "5", Side.SELL),
        ('"\\u002d5"', "5", Side.SELL),
        ("-5e0", "5", Side.SELL),
        ("-" + "9" * 40, "9" * 40, Side.SELL),
        ("-0.000000000000000000001", "1E-21", Side.SELL),
        ("-1e-400", "1E-400", None),  # which no float can tell from 0
        ("null", None, None),
        ('""', None, None),
    ],
)
@pytest.mark.parametrize("channel", ["orders", "positions", "usertrades", "trades"])
def test_the_sign_of_a_size_is_the_side(
    channel: str, size: str, qty: str | None, side: Side | None
) -> None:
    (message,) = push(channel, f'[{{"size":{size}}}]')
    assert (None if qty is None else str(message.exact("qty"))) == qty
    assert message.qty == (None if qty is None else float(qty))
    assert message.side is side
    assert repr(message.qty) != "-0.0"
    assert message == type(message)(side=side, qty=qty, ts_ms=1630654851000)
    assert pickle.loads(pickle.dumps(message)) == message


def test_the_seed_says_no_side_of_an_order() -> None:
    assert push("orders", {"size": "1.0"}).side is None
    assert push("orders", {"size": "-1.0"}).side is Side.SELL
    assert push("positions", {"size": "-1.0"}).side is Side.SELL


def test_a_rest_that_contradicts_the_size_is_refused() -> None:
    for result in '[{"size":5,"left":-2}]', '[{"size":5,"left":6}]':
        with pytest.raises(errors.DecodeError):
            push("orders", result)


def test_a_position() -> None:
    position = only(
        "positions",
        contract=SYMBOL,
        entry_price=2000.5,
        realised_pnl=-0.1,
        size=-3,
        user="11027586",
        time=1630654851,
        time_ms=1630654851577,
    )
    assert seen(position) == {
        "symbol": SYMBOL,
        "side": Side.SELL,
        "qty": "3",
        "average_price": "2000.5",
        "realized_pnl": "-0.1",
        "user_id": "11027586",
        "ts_ms": 1630654851577,
    }


def test_a_booking() -> None:
    account = only(
        "balances",
        balance=60.79009,
        change=-0.5,
        text="BTC_USDT-20211130-55000-P",
        type="set",
        user="11027586",
        time=1637897000,
        time_ms=1637897000001,
    )
    assert seen(account) == {
        "balance": "60.79009",
        "change": "-0.5",
        "reason": "set",
        "user_id": "11027586",
        "ts_ms": 1637897000001,
    }
    assert account.extra["text"] == "BTC_USDT-20211130-55000-P"


def test_a_fill() -> None:
    fill = only(
        "usertrades",
        id="1",
        order="557",
        contract=SYMBOL,
        underlying="BTC_USDT",
        price="2000.10",
        size=-2,
        role="maker",
        fee="0.01",
        text="t-mine",
        create_time=1639144214,
        create_time_ms=1639144214583,
    )
    assert type(fill) is Fill
    assert seen(fill) == {
        "trade_id": "1",
        "order_id": "557",
        "client_order_id": "t-mine",
        "symbol": SYMBOL,
        "side": Side.SELL,
        "price": "2000.10",
        "qty": "2",
        "fee": "0.01",
        "is_taker": False,
        "ts_ms": 1639144214583,
    }
    assert only("usertrades", role="taker").is_taker is True
    assert only("usertrades", create_time=1639144214).ts_ms == 1639144214000


def test_public_trades() -> None:
    rows = [
        {"contract": SYMBOL, "id": 7, "price": 1.25, "size": -3, "create_time": 1639144214},
        {"contract": SYMBOL, "id": 8, "price": 2, "size": 4, "create_time_ms": 1639144214583},
    ]
    trades = push("trades", rows)
    assert type(trades) is Trades
    assert [seen(trade) for trade in trades] == [
        {
            "symbol": SYMBOL,
            "trade_id": "7",
            "price": "1.25",
            "qty": "3",
            "side": Side.SELL,
            "ts_ms": 1639144214000,
        },
        {
            "symbol": SYMBOL,
            "trade_id": "8",
            "price": "2",
            "qty": "4",
            "side": Side.BUY,
            "ts_ms": 1639144214583,
        },
    ]
    assert type(trades[0]) is Trade
    assert push("ul_trades", rows) == trades


def test_a_ticker() -> None:
    ticker = push(
        "contract_tickers",
        {
            "name": SYMBOL,
            "last_price": "10.5",
            "mark_price": "11",
            "index_price": "",
            "position_size": 3,
            "bid1_price": "10",
            "bid1_size": 5,
            "ask1_price": "12",
            "ask1_size": 6,
            "vega": "1",
            "theta": "-2",
            "rho": "3",
            "gamma": "0.1",
            "delta": "0.5",
            "mark_iv": "0.5",
            "bid_iv": "0.4",
            "ask_iv": "0.6",
            "leverage": "2",
        },
        more=',"time_ms":1630654851577,"error":null',
    )
    assert type(ticker) is Ticker
    assert seen(ticker) == {
        "symbol": SYMBOL,
        "last_price": "10.5",
        "mark_price": "11",
        "open_interest": "3",
        "bid": "10",
        "bid_size": "5",
        "ask": "12",
        "ask_size": "6",
        "vega": "1",
        "theta": "-2",
        "rho": "3",
        "gamma": "0.1",
        "delta": "0.5",
        "iv": "0.5",
        "bid_iv": "0.4",
        "ask_iv": "0.6",
        "leverage": "2",
        "ts_ms": 1630654851577,
    }


def test_the_best_of_a_book() -> None:
    rows = {"t": 1615366379123, "u": 7, "s": SYMBOL, "b": "54.5", "B": 5, "a": "", "A": 0}
    ticker = push("book_ticker", rows)
    assert seen(ticker) == {
        "symbol": SYMBOL,
        "bid": "54.5",
        "bid_size": "5",
        "ask_size": "0",
        "ts_ms": 1615366379123,
    }
    assert ticker.extra == {"u": 7}


def test_a_bar() -> None:
    rows = {"t": 1639039260, "v": 100, "c": "1041.5", "h": "1042", "l": "1041", "o": 1041.4}
    (bar,) = push("contract_candlesticks", [{**rows, "a": "0", "n": f"10s_{SYMBOL}"}])
    assert type(bar) is Kline
    assert seen(bar) == {
        "symbol": SYMBOL,
        "period": "10s",
        "ts_ms": 1639039260000,
        "open": "1041.4",
        "high": "1042",
        "low": "1041",
        "close": "1041.5",
        "volume": "100",
    }
    assert bar == Kline(**bar.to_dict())
    for n in "null", "5", "[]":
        with pytest.raises(errors.DecodeError):
            push("contract_candlesticks", f'[{{"n":{n}}}]')
    with pytest.raises(errors.DecodeError):
        push("contract_candlesticks", [rows])


# One message in two forms ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("channel", "seed", "official", "apart"),
    [
        (
            "orders",
            {
                "id": "123456789",
                "contract": SYMBOL,
                "size": "1.0",
                "price": "2000",
                "fill_price": "2000",
                "status": "open",
                "type": "limit",
                "tif": "gtc",
                "create_time": 1234567890,
            },
            {
                "id": 123456789,
                "contract": SYMBOL,
                "size": 1,
                "left": 1,
                "price": 2000,
                "fill_price": 2000,
                "status": "open",
                "finish_as": "",
                "tif": "gtc",
                "create_time": 1234567890,
                "user": "1",
            },
            {"side", "order_type", "remaining_qty", "filled_qty", "user_id"},
        ),
        (
            "positions",
            {"contract": SYMBOL, "size": "-1.0", "entry_price": "2000", "realised_pnl": "0"},
            {
                "contract": SYMBOL,
                "size": -1,
                "entry_price": 2000.0,
                "realised_pnl": 0,
                "user": "1",
                "time": 1630654851,
            },
            {"user_id"},
        ),
        (
            "balances",
            {"total": "10", "currency": "USDT"},
            {"balance": 10, "change": 1, "time": 1630654851, "type": "fee"},
            {"equity", "currency", "balance", "change", "reason"},
        ),
    ],
)
def test_the_two_forms_are_one_message(
    channel: str, seed: dict[str, Any], official: dict[str, Any], apart: set[str]
) -> None:
    """They differ in nothing that both of them say."""
    one, (other,) = push(channel, seed), push(channel, [official])
    assert type(one) is type(other)
    differ = {name for name, value in one.to_dict().items() if value != other.to_dict()[name]}
    assert differ == apart
    for name in apart:
        assert None in (getattr(one, name), getattr(other, name))
    assert one.ts_ms == other.ts_ms == 1630654851000


# Times ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seconds", "ms"),
    [
        ("1630654851", 1630654851000),
        ('"1630654851"', 1630654851000),
        ("0", 0),
        ("1630654851.5", 1630654851500),
        ("1630654851.123", 1630654851123),
        ('"1630654851.1239999"', 1630654851123),
        ("999999999999999", 999999999999999000),
        ("null", None),
    ],
)
def test_seconds_are_milliseconds(seconds: str, ms: int | None) -> None:
    frame = (
        f'{{"channel":"options.orders","event":"update","result":[{{"create_time":{seconds}}}]}}'
    )
    (order,) = gate(frame)
    assert order.created_ms == ms
    assert order.exact("created_ms") == ms
    (order,) = gate(
        f'{{"time":{seconds},"channel":"options.orders","event":"update","result":[{{}}]}}'
    )
    assert order.ts_ms == ms
    assert order.exact("ts_ms") == ms
    again = pickle.loads(pickle.dumps(order))
    assert (again.ts_ms, again.exact("ts_ms")) == (ms, ms)


@pytest.mark.parametrize(
    "seconds",
    ["-1", "1e9", '"x"', "true", "1.", "01", "1.x", "1000000000000000", "[]", '"1 2"'],
)
def test_times_that_are_none_are_refused(seconds: str) -> None:
    with pytest.raises(errors.DecodeError):
        push("orders", f'[{{"create_time":{seconds}}}]')
    with pytest.raises(errors.DecodeError):
        gate(f'{{"time":{seconds},"channel":"options.orders","event":"update","result":[]}}')


def test_the_nearest_time_is_taken() -> None:
    ms = ',"time_ms":7'
    assert push("positions", [{"time": 1, "time_ms": 2}], more=ms)[0].ts_ms == 2
    assert push("positions", [{"time_ms": "", "time": 1}], more=ms)[0].ts_ms == 1000
    assert push("positions", [{}], more=ms)[0].ts_ms == 7
    assert push("positions", [{}])[0].ts_ms == 1630654851000


# Refusals and answers -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "result",
    [
        *("null", "5", '"x"', "[5]", "[[]]", '[{"size":1,"size":2}]', '[{"size":"x"}]', "[{}"),
        *('[{"size":NaN}]', '[{"size":true}]', '[{"size":[]}]', '[{"id":1.5}]', '[{"id":true}]'),
        *('[{"contract":5}]', '[{"tif":5}]', '[{"status":5}]', '[{"is_reduce_only":2}]'),
        '[{"left":"NaN","size":1}]',
    ],
)
def test_refused(result: str) -> None:
    with pytest.raises(errors.DecodeError):
        push("orders", result)


@pytest.mark.parametrize(
    ("body", "action", "ok"),
    [
        ({"event": "subscribe", "error": None, "result": {"status": "success"}}, "subscribe", True),
        ({"event": "subscribe", "result": {"status": "success"}}, "subscribe", True),
        ({"event": "unsubscribe", "error": None, "result": None}, "unsubscribe", True),
        (
            {
                "event": "subscribe",
                "error": {"code": 2, "message": "unknown contract BTC_USDT_20220318"},
                "result": None,
            },
            "subscribe",
            False,
        ),
        ({"event": "subscribe", "error": {"code": 4, "message": "x"}}, "subscribe", False),
        ({"event": "subscribe", "error": None, "result": {"status": "failed"}}, "subscribe", False),
        ({"event": "update", "error": {"code": 3, "message": "x"}, "result": None}, None, False),
        ({"event": "error", "message": "Authentication failed", "code": 401}, None, False),
    ],
)
def test_acknowledgements(body: dict[str, Any], action: str | None, ok: bool) -> None:
    body = {"time": 1630654851, "channel": "options.orders", **body}
    assert gate(json.dumps(body)) == Ack(action, ok, body)


def test_a_pong() -> None:
    frame = '{"time":1,"channel":"options.pong","event":"","error":null,"result":null}'
    assert gate(frame) == Heartbeat(None)


@pytest.mark.parametrize(
    ("channel", "event"),
    [
        ("options.liquidates", "update"),
        ("options.user_settlements", "update"),
        ("options.orders", "upgrade"),
        ("options.orders", ""),
        ("futures.orders", "update"),
        ("options.orders.x", "update"),
    ],
)
def test_what_is_not_known_is_shown(channel: str, event: str) -> None:
    body = {"channel": channel, "event": event, "result": [{"size": 1}]}
    found = gate(json.dumps(body))
    assert found == UnknownMessage(None, body)
    assert found.channel == channel


def test_an_event_all_has_rows_too() -> None:
    assert push("trades", [{"size": 1}], event="all")[0].side is Side.BUY

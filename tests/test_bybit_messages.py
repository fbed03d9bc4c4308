"""Bybit's messages, field by field: the frames of seed 002, and answers of both versions.

What each says is written out here, from the frames and from section 1 of the protocol page.
"""

import json
import pickle
from pathlib import Path
from typing import Any

import pytest

from coincall_fast import (
    Ack,
    Fill,
    Heartbeat,
    InsuranceFund,
    Order,
    OrderState,
    OrderType,
    PortfolioRisk,
    Position,
    Record,
    RiskEvent,
    Side,
    Ticker,
    TimeInForce,
    Trade,
    Trades,
    UnknownMessage,
    errors,
)
from coincall_fast.bybit_messages import ENVELOPE
from venue_messages import bybit, printed, row, seen, topic

ORDER, TRADE = "user.openapi.option.order", "user.openapi.option.trade"
POSITION = "user.openapi.option.position"

# Frames of the seed ---------------------------------------------------------------------------

# By topic: class, its values, and the keys that have no attribute.
SEED: dict[str, list[tuple[type[Record], dict[str, Any], set[str]]]] = {
    "recenttrades.BTC": [
        (
            Trade,
            {
                "symbol": "BTC-31DEC21-36000-P",
                "trade_id": "787bf079-b6a5-5bc0-a76d-59dad9036e7b",
                "price": "371",
                "qty": "0.01",
                "side": Side.BUY,
                "ts_ms": 1636510323144,
            },
            {"crossSeq"},
        )
    ],
    "instrument_info.BTC-19NOV21-58000-P": [
        (
            Ticker,
            {
                "symbol": "BTC-19NOV21-58000-P",
                "bid": "421",
                "ask": "465",
                "bid_iv": "0.7785",
                "ask_iv": "0.8012",
                "bid_size": "17",
                "ask_size": "18",
                "mark_price": "442.51157238",
                "iv": "0.7897",
                "index_price": "67102.13",
                "underlying_price": "67407.49",
                "last_price": "0",
                "delta": "-0.10385629",
                "gamma": "0.00002132",
                "theta": "-82.72572574",
                "vega": "19.33584131",
                "price_change_rate": "0",
                "volume_24h": "0",
                "volume_usd_24h": "0",
                "high_24h": "0",
                "low_24h": "0",
                "volume": "0",
                "trade_value": "0",
                "open_interest": "0",
                "delivery_price": "62330.90608575",
                "ts_ms": 1636511446299,
            },
            set(),
        )
    ],
    "platform.insurance.USDC": [
        (
            InsuranceFund,
            {"coin": "USDC", "balance": "1180144.86587280", "ts_ms": 1649750400693},
            set(),
        )
    ],
    POSITION: [
        (
            Position,
            {
                "symbol": "BTC-24JUN22-25000-P",
                "side": Side.SELL,
                "qty": "10.0000",
                "average_price": "5915.50000000",
                "initial_margin": "102764.97000000",
                "maintenance_margin": "42404.80581340",
                "unrealized_pnl": "50329.87108660",
                "realized_pnl": "30353.63366693",
                "iv": "0.0000",
                "created_ms": 1644910387920,
                "ts_ms": 1644910387920,
            },
            {"sessionAvgPrice"},
        ),
        (
            Position,
            {
                "symbol": "BTC-4MAR22-25000-P",
                "side": Side.BUY,
                "qty": "0.8",
                "average_price": "10",
                "mark_price": "0.00000364",
                "initial_margin": "0",
                "maintenance_margin": "0",
                "unrealized_pnl": "-7.999997088",
                "created_ms": 1646213811544,
                "ts_ms": 1646213811544,
            },
            {"sessionAvgPrice", "positionStatus"},
        ),
    ],
    TRADE: [
        (
            Fill,
            {
                "order_id": "a64db071-3c98-44db-bcc8-d4a71e7aaf86",
                "trade_id": "55565169-2da0-5cb3-9dc8-6669c6d777c9",
                "symbol": "BTC-4MAR22-42000-P",
                "side": Side.SELL,
                "price": "840",
                "qty": "0.04",
                "fee": "0.52943604",
                "fee_rate": "0.0003",
                "is_taker": True,
                "execution_type": "TRADE",
                "ts_ms": 1646188735862,
            },
            set(),
        )
    ],
    ORDER: [
        (
            Order,
            {
                "order_id": "5fcb8198-b22b-4116-8171-cf40539efbd7",
                "client_order_id": "1000ss0004",
                "created_ms": 1646209468927,
                "ts_ms": 1646209468927,
                "symbol": "BTC-24JUN22-25000-P",
                "state": OrderState.NEW,
                "side": Side.BUY,
                "price": "100",
                "qty": "1.0000",
                "filled_qty": "0.0000",
                "remaining_qty": "1.0000",
                "initial_margin": "110",
                "order_type": OrderType.LIMIT,
                "reduce_only": False,
                "time_in_force": TimeInForce.GTC,
                "fee": "0.00000000",
                "iv": "0.5370",
                "reason": "UNKNOWN",
            },
            {"cashFlow", "orderPnl"},
        ),
        (
            Order,
            {
                "order_id": "41c44ec8-c8ca-40c5-b468-6fc252bfc081",
                "client_order_id": "1000ss0005",
                "created_ms": 1646212354483,
                "ts_ms": 1646212354483,
                "symbol": "BTC-24JUN22-25000-P",
                "state": OrderState.NEW,
                "side": Side.BUY,
                "price": "100",
                "qty": "1",
                "filled_qty": "0",
                "remaining_qty": "1",
                "initial_margin": "110",
                "order_type": OrderType.LIMIT,
                "reduce_only": False,
                "time_in_force": TimeInForce.GTC,
                "fee": "0",
                "iv": "0.533",
                "value": "0",
                "reason": "UNKNOWN",
            },
            {"cashFlow", "orderPnl"},
        ),
    ],
    "user.openapi.greeks": [
        (
            PortfolioRisk,
            {
                "coin": "BTC",
                "delta": "0.0006714372",
                "gamma": "-0.0000000654",
                "vega": "-0.3207237154",
                "theta": "0.1142353260",
                "ts_ms": 1646274372152,
            },
            set(),
        )
    ],
    "user.mmp.event": [
        (
            RiskEvent,
            {
                "coin": "BTC",
                "state": "MMP_FREEZE",
                "frozen_ms": 9999999999999,
                "ts_ms": 1654138213787,
            },
            set(),
        )
    ],
}

# Of the frames that number themselves, in the order of the seed: version, base line, a snapshot?
NUMBERED: dict[str, list[tuple[Any, ...]]] = {
    POSITION: [(1, 3, True), (6, 2, False)],
    TRADE: [(4, 1, None)],
    ORDER: [(12, 2, True), (13, 2, False)],
    "user.openapi.greeks": [(3984, 1, None)],
}


MESSAGES = [text for text in printed("bybit") if "orderbook" not in text]


def test_every_frame_of_the_seed() -> None:
    left = {name: list(messages) for name, messages in SEED.items()}
    numbered = {name: list(numbers) for name, numbers in NUMBERED.items()}
    for text in MESSAGES:
        name = json.loads(text).get("topic", "")
        found = bybit(text)
        if not name:
            assert found == Heartbeat(None)
            continue
        kind, values, unknown = left[name].pop(0)
        if kind is Trade:
            assert type(found) is Trades
        assert isinstance(found, (list, Trades)) is (name in numbered or kind is Trade)
        (message,) = found if isinstance(found, (list, Trades)) else [found]
        assert type(message) is kind
        assert seen(message) == values
        assert set(message.extra) == unknown
        assert (message.dt, message.channel) == (None, name.split(".BTC")[0])
        said = numbered[name].pop(0) if name in numbered else (None, None, None)
        for one in found, message:
            assert (getattr(one, "version", None), one.base_line, one.is_snapshot) == said
    assert len(printed("bybit")) - len(MESSAGES) == 3  # of books
    assert not any(left.values())
    assert not any(numbered.values())


@pytest.mark.parametrize("text", MESSAGES, ids=lambda text: text[:30])
def test_frames_of_the_seed_in_any_type_copied_and_pickled(text: str) -> None:
    message = bybit(text)
    spaced = json.dumps(json.loads(text), indent=1)
    copy = pickle.loads(pickle.dumps(message))
    for again in bybit(text.encode()), bybit(bytearray(text.encode())), bybit(spaced), copy:
        assert again == message
        for one in again, *(again if isinstance(again, list) else ()):
            for name in "channel", "version", "base_line", "is_snapshot":
                held = message if one is again else message[0]
                assert getattr(one, name) == getattr(held, name)


def test_a_snapshot_of_nothing_is_no_nothing() -> None:
    """Or an order that is no more would stay for ever (docs of March 2022: ``result:[]``)."""
    data = '{"result":[],"version":6,"baseLine":1,"dataType":"NEW"}'
    found = topic(ORDER, data)
    assert found == []
    assert (found.version, found.base_line, found.is_snapshot) == (6, 1, True)
    assert (found.channel, found.ts_ms) == (ORDER, 1650000000000)
    assert pickle.loads(pickle.dumps(found)).is_snapshot is True


def test_positions_in_a_row() -> None:
    """Section 5: NEW 1, CHANGE 2, 3, 4, and then NEW 4 with two rows."""
    frames = [(1, "NEW", 1), (2, "CHANGE", 1), (3, "CHANGE", 1), (4, "CHANGE", 1), (4, "NEW", 2)]
    for version, kind, n in frames:
        rows = ",".join(f'{{"symbol":"S{i}","side":"Buy","size":"{version}"}}' for i in range(n))
        found = topic(
            POSITION,
            f'{{"result":[{rows}],"version":{version},"baseLine":3,"dataType":"{kind}"}}',
        )
        assert [one.symbol for one in found] == [f"S{i}" for i in range(n)]
        assert (found.version, found.base_line) == (version, 3)
        assert found.is_snapshot is (kind == "NEW")


# Values ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("word", "state", "is_open"),
    [
        ("New", OrderState.NEW, True),
        ("PartiallyFilled", OrderState.PARTIALLY_FILLED, True),
        ("Filled", OrderState.FILLED, False),
        ("Cancelled", OrderState.CANCELED, False),
        ("Rejected", OrderState.INVALID, False),
        ("PartiallyFilledCanceled", OrderState.CANCELED, False),
        ("Untriggered", OrderState.WAITING_EFFECT, True),
        ("Triggered", "Triggered", True),
        ("Deactivated", "Deactivated", False),
        ("Frozen", "Frozen", None),
        ("new", "new", None),
    ],
)
def test_states(word: str, state: Any, is_open: bool | None) -> None:
    of_v1 = row(ORDER, f'{{"orderStatus":"{word}"}}')
    (of_v5,) = topic("order.option", f'[{{"orderStatus":"{word}"}}]')
    for order in of_v1, of_v5:
        assert order.state == state
        assert type(order.state) is type(state)
        assert order.is_open is is_open
        assert order.is_terminal is (None if is_open is None else not is_open)
    assert eval(repr(of_v1), {"Order": Order, "OrderState": OrderState}) == Order(
        state=state, ts_ms=1650000000000
    )


def test_unknown_words_stay_as_they_were_sent() -> None:
    order = row(ORDER, '{"orderType":"Iceberg","timeInForce":"RPI","side":"None","cancelType":"X"}')
    assert (order.order_type, order.time_in_force, order.reason) == ("Iceberg", "RPI", "X")
    assert order.side is None
    assert row(ORDER, '{"side":"Both"}').side == "Both"
    assert row(TRADE, '{"lastLiquidityInd":"BOTH"}').is_taker is None
    assert row(TRADE, '{"lastLiquidityInd":"MAKER"}').is_taker is False


@pytest.mark.parametrize("nothing", ["null", '""', '"  "', '"None"'])
def test_what_is_not_said_is_none(nothing: str) -> None:
    keys = ["symbol", "side", "size", "entryPrice", "markPrice", "sessionUPL", "positionUPL"]
    keys += ["iv", "createdAt"]
    said = ",".join(f'"{key}":{nothing}' for key in keys)
    position = row(POSITION, f"{{{said}}}")
    assert seen(position) == {"ts_ms": 1650000000000}
    assert position.exact("qty") is None
    order = row(ORDER, f'{{"orderLinkId":{nothing},"orderId":{nothing},"reduceOnly":{nothing}}}')
    assert seen(order) == {"ts_ms": 1650000000000}


@pytest.mark.parametrize(
    ("size", "side", "qty", "means"),
    [
        ('"-10.0000"', '"Sell"', "10.0000", Side.SELL),
        ('"10.0000"', '"Sell"', "10.0000", Side.SELL),  # version 5
        ('"0.8"', '"Buy"', "0.8", Side.BUY),
        ("-2", "null", "2", Side.SELL),
        ('"2"', '""', "2", None),  # + may be either
        ('"0"', '""', "0", None),
        ('"-0.0"', '"None"', "0.0", None),
        ('" -3 "', '"Sell"', "3", Side.SELL),
        ('"\\u002d3"', '"Sell"', "3", Side.SELL),
        (f'"-{"9" * 30}.5"', '"Sell"', f"{'9' * 30}.5", Side.SELL),
        ('"-1e400"', '"Sell"', "1E+400", Side.SELL),
    ],
)
def test_the_size_of_a_position(size: str, side: str, qty: str, means: Side | None) -> None:
    for rows in f'{{"size":{size},"side":{side}}}', f'{{"side":{side},"size":{size}}}':
        position = row(POSITION, rows)
        assert str(position.exact("qty")) == qty
        assert position.qty == float(qty)
        assert position.side is means
        assert position == pickle.loads(pickle.dumps(position))
    assert Position(side=means, qty=qty, ts_ms=1650000000000) == position


def test_a_size_that_contradicts_its_side_is_refused() -> None:
    with pytest.raises(errors.DecodeError, match="another side"):
        row(POSITION, '{"side":"Buy","size":"-1"}')


@pytest.mark.parametrize("flag", ["0", "1", "true", "false", '"1"', '"true"'])
def test_reduce_only(flag: str) -> None:
    assert row(ORDER, f'{{"reduceOnly":{flag}}}').reduce_only is ("1" in flag or "true" in flag)


def test_identifiers_are_texts_as_sent() -> None:
    for text in "1714254779362547", "0", "007", "A-b", " x ", "\u00e9", "\\u0041":
        order = row(ORDER, f'{{"orderId":"{text}","orderLinkId":"{text}"}}')
        assert order.order_id == order.client_order_id == text.replace("\\u0041", "A")
    assert row(ORDER, '{"orderId":12345678901234567890}').order_id == "12345678901234567890"
    with pytest.raises(errors.UsageError):
        row(ORDER, '{"orderId":"1"}').exact("order_id")


def test_the_profit_since_entry_goes_before_that_since_the_settlement() -> None:
    for rows in ('"positionUPL":"1","sessionUPL":"2"', '"sessionUPL":"2","positionUPL":"1"'):
        assert row(POSITION, f"{{{rows}}}").unrealized_pnl == 1
    assert row(POSITION, '{"positionUPL":"","sessionUPL":"2"}').unrealized_pnl == 2


def test_times_of_the_envelope_only_where_the_row_has_none() -> None:
    assert row(ORDER, "{}").ts_ms == 1650000000000
    assert row(ORDER, '{"updatedAt":"7"}').ts_ms == 7


@pytest.mark.parametrize(
    "data",
    [
        *("null", "5", '"x"', "[]", "[{}]", "{}", '{"result":null}', '{"result":5}'),
        *('{"result":[5]}', '{"result":[{}]', '{"result":[{}],"result":[{}]}', '{"rows":[]}'),
        '{"result":[{"size":"1","size":"2"}]}',
        '{"result":[{"size":"x"}]}',
        '{"result":[{"size":NaN}]}',
        '{"result":[{"size":"NaN"}]}',
        '{"result":[{"size":Infinity}]}',
        '{"result":[{"size":true}]}',
        '{"result":[{"size":[]}]}',
        '{"result":[{"size":"01"}]}',
        '{"result":[{"symbol":5}]}',
        '{"result":[{"side":1}]}',
        '{"result":[{"side":true}]}',
        '{"result":[{"createdAt":1.5}]}',
        '{"result":[{"createdAt":"soon"}]}',
        '{"result":[],"version":"x"}',
        '{"result":[],"version":1.5}',
        '{"result":[],"version":1,"version":1}',
        '{"result":[],"x":tru}',
    ],
)
def test_refused(data: str) -> None:
    with pytest.raises(errors.DecodeError):
        topic(POSITION, data)


@pytest.mark.parametrize("more", ['{"topic"', "x", "{}", ',"data":{}'])
def test_a_frame_ends_where_it_ends(more: str) -> None:
    frame = f'{{"topic":"{POSITION}","data":{{"result":[]}}}}'
    assert bybit(frame) == []
    assert bybit(frame + " \n") == []
    with pytest.raises(errors.DecodeError):
        bybit(frame + more)
    for n in range(1, len(frame)):
        with pytest.raises(errors.DecodeError):
            bybit(frame[:n])


# Answers --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "action", "ok"),
    [
        # Section 1.2 and 1.4.
        ({"success": True, "conn_id": "c", "ret_msg": "0", "type": "AUTH_RESP"}, "auth", True),
        ({"success": False, "ret_msg": "3303006", "type": "AUTH_RESP"}, "auth", False),
        (
            {
                "id": "1",
                "success": True,
                "conn_id": "c",
                "data": {"successTopics": ["t1"], "failTopics": []},
                "type": "COMMAND_RESP",
            },
            None,
            True,
        ),
        (
            {
                "id": "1",
                "success": True,
                "data": {"successTopics": ["t1"], "failTopics": ["t2"]},
                "type": "COMMAND_RESP",
            },
            None,
            False,
        ),
        ({"id": "1", "success": True, "conn_id": "c", "type": "COMMAND_RESP"}, None, True),
        ({"ret_msg": "3303001", "success": False, "type": "COMMAND_RESP"}, None, False),
        ({"success": True, "data": None, "type": "COMMAND_RESP"}, None, True),
        ({"success": "true", "type": "COMMAND_RESP"}, None, False),
        ({"type": "COMMAND_RESP"}, None, False),
        # .../docs/v5/ws/connect
        ({"success": True, "ret_msg": "", "op": "auth", "conn_id": "c"}, "auth", True),
        ({"success": True, "ret_msg": "subscribe", "op": "subscribe"}, "subscribe", True),
        ({"success": False, "ret_msg": "error", "op": "subscribe"}, "subscribe", False),
    ],
)
def test_acknowledgements(body: dict[str, Any], action: str | None, ok: bool) -> None:
    assert bybit(json.dumps(body)) == Ack(action, ok, body)


@pytest.mark.parametrize(
    "body",
    [
        '{"op":"pong","args":["1535975085152"]}',
        '{"op":"pong"}',
        '{"req_id":"test","op":"pong","args":["1675418560633"],"conn_id":"c"}',
        '{"success":true,"ret_msg":"pong","conn_id":"c","op":"ping"}',
    ],
)
def test_pongs(body: str) -> None:
    assert bybit(body) == Heartbeat(None)


@pytest.mark.parametrize(
    ("body", "channel"),
    [
        ('{"topic":"user.openapi.perp.order","data":{}}', "user.openapi.perp.order"),
        ('{"topic":"recenttrades","data":{}}', "recenttrades"),
        ('{"topic":"orders","data":[]}', "orders"),
        ('{"topic":5,"data":[]}', None),
        ('{"data":{"result":[]}}', None),
        ('{"op":"subscribe"}', None),
        *(("{}", None), ("[]", None), ("5", None)),
    ],
)
def test_what_is_not_known_is_shown(body: str, channel: str | None) -> None:
    found = bybit(body)
    assert type(found) is UnknownMessage
    assert (found.body, found.channel) == (json.loads(body), channel)


def test_every_topic_of_the_envelope_is_tested_here() -> None:
    here = Path(__file__)
    files = (here, here.with_name("test_bybit_v5_messages.py"))
    source = "".join(file.read_text(encoding="utf-8") for file in files)
    for known in ENVELOPE.topics:
        assert f'"{known.name}' in source or known.name in SEED, known.name

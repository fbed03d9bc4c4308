"""REST results are the same classes as pushes: the documented bodies, typed out, and compared."""

import json
import math
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from coincall_fast import (
    Account,
    Fill,
    FillSignal,
    Heartbeat,
    Kline,
    OptionChain,
    Order,
    OrderBook,
    OrderState,
    OrderType,
    Position,
    Record,
    Side,
    Ticker,
    TimeInForce,
    Trade,
    decode,
)
from coincall_fast.coincall import decode_rest
from coincall_fast.errors import DecodeError, UsageError
from message_checks import alike
from model_messages import COLUMNS

PATH = Path(__file__).parent / "conformance" / "rest.jsonl"
BODIES = {
    row["line"]: row["body"]
    for row in map(json.loads, PATH.read_text(encoding="utf-8").splitlines())
}


def rest(kind: Any, line: int) -> Any:
    """What the body that stands in this line of the documents decodes to."""
    result: Any = decode_rest(kind, BODIES[line].encode())
    for message in result if isinstance(result, list) else [result]:
        assert type(message) is kind
        assert (message.dt, message.channel) == (None, None)
    return result


def check(message: Any, right: dict[str, Any], **exact: str) -> None:
    found = {name: getattr(message, name) for name in right}
    assert alike(found) == alike(right)
    for name, digits in exact.items():
        assert str(message.exact(name)) == digits


def nothing_is_lost(message: Any, row: dict[str, Any]) -> None:
    """Each value is an attribute or an extra, and no attribute is made out of the air."""
    values = [value for value in message.to_dict().values() if value is not None]
    said = [value for value in row.values() if value is not None]
    extra = [value for value in message.extra.values() if value is not None]
    assert len(values) + len(extra) >= len(said) - 1  # `id` is `orderId` once more
    for key, value in message.extra.items():
        assert row[key] == value


# Orders --------------------------------------------------------------------------------------


def test_open_option_orders() -> None:
    (order,) = rest(Order, 602)
    check(
        order,
        {
            "order_id": 1665910350698258432,
            "client_order_id": 123123123,
            "symbol": "BTCUSD-6JUN23-24000-C",
            "qty": 0.5,
            "remaining_qty": 0.5,
            "filled_qty": 0.0,
            "price": 2095.6,
            "average_price": None,
            "side": Side.BUY,
            "order_type": OrderType.LIMIT,
            "created_ms": 1666667584739,
            "reduce_only": False,
            "state": None,
            "is_open": None,
            "ts_ms": None,
        },
    )
    nothing_is_lost(order, json.loads(BODIES[602])["data"]["list"][0])


def test_open_futures_orders() -> None:
    (order,) = rest(Order, 965)
    check(
        order,
        {
            "order_id": 1663004711982333952,
            "client_order_id": 1000200000,
            "symbol": "BTCUSD",
            "qty": 1.0,
            "remaining_qty": 1.0,
            "filled_qty": 0.0,
            "price": 500.0,
            "average_price": 0.0,
            "side": Side.BUY,
            "order_type": OrderType.LIMIT,
            "created_ms": 1685326195118,
            "leverage": 3.0,
            "reduce_only": False,
        },
        qty="1.00000000",
        price="500.00000000",
        filled_qty="0E-8",
    )
    nothing_is_lost(order, json.loads(BODIES[965])["data"]["list"][0])


def test_order_histories() -> None:
    (option,), (future,) = rest(Order, 679), rest(Order, 1045)
    check(
        option,
        {
            "order_id": 1665650442392174592,
            "client_order_id": 1665650442392174592,
            "symbol": "BTCUSD-25NOV22-8000-C",
            "qty": 1.0,
            "filled_qty": 1.0,
            "price": 0.4911,
            "average_price": 0.4911,
            "state": OrderState.FILLED,
            "is_terminal": True,
            "side": Side.BUY,
        },
        price="0.49110000",
    )
    check(future, {"symbol": "XRPUSD", "side": Side.SELL, "leverage": 3.0, "remaining_qty": None})
    nothing_is_lost(option, json.loads(BODIES[679])["data"]["list"][0])
    nothing_is_lost(future, json.loads(BODIES[1045])["data"]["list"][0])


PUSHED = (
    '{"dt":%d,"c":20,"d":{"coid":%d,"oid":%d,"s":"%s","q":"%s","rq":"%s","fq":"0","pr":"%s",%s'
    '"si":1,"ty":1,"ct":%d,"ts":1685326195118,"ro":0,"os":0}}'
)


@pytest.mark.parametrize(
    ("line", "push"),
    [
        (
            1007,
            PUSHED
            % (
                *(35, 1000200000, 1663004711982333952, "BTCUSD", "1", "1", "500"),
                *('"ap":"0","le":3,', 1685326195118),
            ),
        ),
        (
            642,
            PUSHED
            % (
                *(11, 123123123, 1665910350698258432, "BTCUSD-6JUN23-24000-C", "0.5", "0.5"),
                *("2095.6", '"ap":null,', 1666667584739),
            ),
        ),
    ],
    ids=["futures", "options"],
)
def test_a_rest_order_is_the_push_of_the_same_state(line: int, push: str) -> None:
    asked, pushed = rest(Order, line), decode(push)
    assert isinstance(pushed, Order)
    names = COLUMNS[11][1]
    assert {*names} <= {*asked.to_dict()}
    for name in names:
        found, right = getattr(asked, name), getattr(pushed, name)
        assert alike(found) == alike(right), name
        if isinstance(right, float):
            assert asked.exact(name) == pushed.exact(name), name
    assert (asked.state, asked.is_open, asked.is_terminal) == (OrderState.NEW, True, False)
    assert list(asked.to_dict()) == list(pushed.to_dict())
    nothing_is_lost(asked, json.loads(BODIES[line])["data"])


@pytest.mark.parametrize(("word", "code"), [("GTC", 0), ("IOC", 2), ("FOK", 3)])
def test_time_in_force_is_a_word_or_a_code(word: str, code: int) -> None:
    for token in f'"{word}"', str(code), f'"{code}"':
        order: Any = decode_rest(Order, f'{{"code":0,"data":{{"timeInForce":{token}}}}}')
        assert order.time_in_force is TimeInForce(code)


# The others ----------------------------------------------------------------------------------


def test_trade_histories() -> None:
    (option,), (future,) = rest(Fill, 719), rest(Fill, 1086)
    check(
        option,
        {
            "trade_id": 1584745239911469056,
            "order_id": 1584744827800133632,
            "symbol": "BTCUSD-2JUN23-18000-C",
            "side": Side.BUY,
            "price": 951.0,
            "qty": 2.0,
            "fee": 0.001902,
            "is_taker": False,
            "ts_ms": 1666667683034,
        },
        fee="0.00190200",
    )
    check(
        future,
        {
            "trade_id": 1574775820805869568,
            "order_id": 1574775820017352705,
            "symbol": "ETHUSD",
            "side": Side.BUY,
            "price": 1389.0,
            "qty": 1.0,
            "fee": 0.1389,
            "is_taker": True,
            "ts_ms": 1664290788701,
        },
    )
    nothing_is_lost(option, json.loads(BODIES[719])["data"]["list"][0])
    nothing_is_lost(future, json.loads(BODIES[1086])["data"]["list"][0])


def test_last_trades() -> None:
    (option,), (future,) = rest(Trade, 484), rest(Trade, 820)
    check(
        option,
        {
            "symbol": "BTCUSD-26OCT22-20000-P",
            "price": 10.3,
            "qty": 1.0,
            "side": Side.SELL,
            "ts_ms": 1666757622819,
        },
    )
    check(future, {"symbol": "BTCUSD", "price": 18898.0, "qty": 0.001, "side": Side.BUY})
    bare: Any = decode_rest(Trade, '[{"price":10.3,"qty":1,"time":1666757622819,"tradeSide":2}]')
    check(bare[0], {"price": 10.3, "qty": 1.0, "side": Side.SELL, "ts_ms": 1666757622819})


def test_positions() -> None:
    (option,), (future,) = rest(Position, 508), rest(Position, 876)
    check(
        option,
        {
            "symbol": "BTCUSD-25NOV22-8000-C",
            "qty": 1.0,
            "side": Side.BUY,
            "average_price": 11294.2,
            "mark_price": 12260.310000000001,
            "initial_margin": 0.0,
            "maintenance_margin": 0.0,
            "unrealized_pnl": 966.110000000001,
            "user_id": 1536933707941347382,
            "delta": 1.0,
            "gamma": 0.0,
            "rho": 6.610892947742262,
            "ts_ms": 1666665682934,
            "state": None,
        },
        unrealized_pnl="966.11000000000100000000",
    )
    check(
        future,
        {
            "symbol": "BTCUSD",
            "qty": 0.009,
            "leverage": 5.0,
            "liquidation_price": None,
            "initial_margin": 35.3565,
            "maintenance_margin": 1.767825,
            "unrealized_pnl": -6.67905197067,
            "mark_price": 18900.38311437,
        },
    )
    nothing_is_lost(option, json.loads(BODIES[508])["data"][0])
    nothing_is_lost(future, json.loads(BODIES[876])["data"][0])


def test_option_details() -> None:
    ticker = rest(Ticker, 410)
    check(
        ticker,
        {
            "symbol": "BTCUSD-26OCT22-20000-P",
            "mark_price": 10.231632230252217,
            "last_price": 10.231632230252217,
            "underlying_price": 27181.6936,
            "index_price": 20239.96,
            "iv": 0.58,
            "delta": -0.10808987585883545,
            "gamma": 0.0009475995953294489,
            "vega": 0.7794498985827641,
            "theta": 0.0,
            "open_interest": 0.0,
            "volume": 1.0,
            "volume_24h": 0.0,
            "volume_usd_24h": 0.0,
            "high_24h": 0.0,
            "low_24h": 0.0,
            "open_24h": 18215.964,
            "price_change": None,
            "price_change_rate": 2.87,
            "remaining_ms": 13565073,
        },
        open_24h="18215.964000000",
    )
    nothing_is_lost(ticker, json.loads(BODIES[410])["data"])


def test_futures_symbols() -> None:
    (ticker,) = rest(Ticker, 762)
    check(
        ticker,
        {
            "symbol": "BTCUSD",
            "last_price": 25614.7,
            "mark_price": 25661.25861712,
            "index_price": 25754.025,
            "high_24h": 27065.7,
            "low_24h": 18000.0,
            "open_24h": 25692.9,
            "price_change": -78.2,
            "price_change_rate": -0.003,
            "volume_24h": 147370.135,
            "volume_usd_24h": 3846213875.0958,
        },
    )
    # 20201116024818 is a date, and no time of the epoch clock.
    assert ticker.ts_ms in (None, 20201116024818)
    nothing_is_lost(ticker, json.loads(BODIES[762])["data"][0])


def test_option_chain() -> None:
    chain = rest(OptionChain, 328)
    assert chain.symbols == ["BTCUSD-26OCT22-22000-C", "BTCUSD-15JUN23-26000-P"]
    assert chain.strike.tolist() == [22000.0, 26000.0]
    assert chain.is_call.tolist() == [True, False]
    assert alike(chain.bid.tolist()) == alike([math.nan, 658.6])
    assert alike(chain.ask.tolist()) == alike([math.nan, math.nan])
    assert chain.bid_size.tolist() == [0.0, 10.35]
    assert chain.mark_price.tolist() == [0.0, 1138.2277]
    assert chain.mark_iv.tolist() == [0.0, 0.6292]
    assert chain.ask_iv.tolist() == [0.0, 0.01]
    assert chain.delta.tolist() == [0.0, -1.0]
    assert chain.underlying_price.tolist() == [20278.25, 24861.7723]
    assert chain.open_interest.tolist() == [0.0, 7.38]
    assert chain.price_change.tolist() == [-6.1, 199.53688859]
    assert chain.price_change_rate.tolist() == [-1.0, 0.2271]
    assert chain.ts_ms.tolist() == [0, 0]
    assert chain["BTCUSD-15JUN23-26000-P"].bid == 658.6


def test_an_option_chain_with_a_side_missing() -> None:
    call, put = '{"symbol":"B-1MAY23-5-C","bid":1}', '{"symbol":"B-1MAY23-5-P","ask":"2"}'
    for rows, symbols in (
        (f'{{"strike":5,"callOption":{call},"putOption":null}}', ["B-1MAY23-5-C"]),
        (f'{{"strike":5,"putOption":{put}}}', ["B-1MAY23-5-P"]),
        (
            f'{{"strike":5,"callOption":{call},"putOption":{put}}}',
            ["B-1MAY23-5-C", "B-1MAY23-5-P"],
        ),
        ("", []),
    ):
        chain: Any = decode_rest(OptionChain, f'{{"code":0,"msg":null,"data":[{rows}]}}')
        assert type(chain) is OptionChain
        assert chain.symbols == symbols


@pytest.mark.parametrize("side", ["5", '"x"', "true", "[]", '[{"symbol":"X"}]'])
def test_a_chain_whose_option_is_no_object(side: str) -> None:
    for key in "callOption", "putOption":
        with pytest.raises(DecodeError):
            decode_rest(OptionChain, f'[{{"strike":5,"{key}":{side}}}]')


def test_account_summary() -> None:
    account = rest(Account, 248)
    check(
        account,
        {
            "equity": 100000.0,
            "available_balance": 99999.16966405,
            "withdrawable": 99999.16966405,
            "margin_balance": 100000.0,
            "unrealized_pnl": 0.0,
            "initial_margin": 0.0,
            "maintenance_margin": 0.0,
            "btc_value": 3.6848964,
            "dollar_value": 100000.0,
            "delta": None,
        },
    )
    nothing_is_lost(account, json.loads(BODIES[248])["data"])


def test_an_account_summary_of_38_digits() -> None:
    digits = "123456789012345678.12345678901234567890"
    account: Any = decode_rest(Account, f'{{"code":0,"data":{{"totalDollarValue":{digits}}}}}')
    assert account.exact("dollar_value") == Decimal(digits)
    assert account.dollar_value == float(digits)


def test_candles() -> None:
    row = (
        '{"open":1,"close":"2.50","low":0.5,"high":3,"volume":0E-8,"time":1688449080000,'
        '"period":"D1"}'
    )
    (candle,) = decode_rest(Kline, f'{{"code":0,"data":[{row}]}}')
    check(
        candle,
        {
            "open": 1.0,
            "high": 3.0,
            "low": 0.5,
            "close": 2.5,
            "volume": 0.0,
            "ts_ms": 1688449080000,
            "period": "D1",
            "symbol": None,
        },
        close="2.50",
    )


# Forms ---------------------------------------------------------------------------------------

ROW = '{"orderId":1,"qty":"2.0"}'


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview, bytes.decode])
def test_forms_of_a_body(kind: Any) -> None:
    one = Order(order_id=1, qty="2.0")
    for body in ROW, f'{{"code":0,"msg":"Success","data":{ROW}}}', f'{{"data":{ROW},"code":0}}':
        assert decode_rest(Order, kind(body.encode())) == one
    for body in (
        f"[{ROW},{ROW}]",
        f'{{"code":0,"data":[{ROW},{ROW}]}}',
        f'{{"code":0,"data":{{"list":[{ROW},{ROW}],"hasNext":false}}}}',
        f'{{"data":{{"pageTotal":1,"list":[{ROW},{ROW}]}},"code":0,"x":[1]}}',
    ):
        assert decode_rest(Order, kind(body.encode())) == [one, one]
    for body in "[]", '{"code":0,"data":[]}', '{"code":0,"data":{"list":[]}}':
        assert decode_rest(Order, kind(body.encode())) == []


@pytest.mark.parametrize("kind", [int, None, "Order", OrderBook, Heartbeat, FillSignal, Record])
def test_classes_of_which_there_is_no_answer(kind: Any) -> None:
    for body in "{}", "[]", '{"code":0,"data":[{"qty":1}]}':
        with pytest.raises((UsageError, TypeError)):
            decode_rest(kind, body)


@pytest.mark.parametrize(
    "body",
    [
        *("", "{", "x", '{"code":0,"data":[{}}', '{"code":0,"data":{}}x'),
        *('{"code":0,"data":{"qty":"x"}}', '{"code":0,"data":{"qty":true}}', '{"data":[5]}'),
        *('{"code":0,"data":{"orderId":1.5}}', '{"code":0,"data":{"qty":1,"qty":1}}'),
        '{"code":0,"data":{"list":[{"symbol":5}]}}',
    ],
)
def test_refused_bodies(body: str) -> None:
    with pytest.raises(DecodeError) as error:
        decode_rest(Order, body)
    assert 0 <= error.value.offset <= len(body)

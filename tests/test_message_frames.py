"""Every message that Coincall's documents print, attribute by attribute, three times over.

Against a table of wire keys that is written here from the contract and the protocol page, against
the model, and for one message of each class against numbers typed in by hand.
"""

import json
from decimal import Decimal
from math import nan
from typing import Any

import pytest

import coincall_fast
from coincall_fast import (
    Account,
    BookStore,
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
    PositionState,
    Side,
    Ticker,
    TimeInForce,
    Trade,
    Trades,
    UnknownMessage,
    decode,
)
from message_checks import agree, alike
from strategies import documented_books, documented_frames

PUSHES = [
    row["frame"].encode()
    for row in documented_frames()
    if row["kind"] == "push" and row["frame"].encode() not in documented_books()
]
HEARTBEATS = [r["frame"].encode() for r in documented_frames() if r["kind"] == "heartbeat_ack"]


def label(frame: bytes) -> str:
    body = json.loads(frame)
    data = body["d"][0] if isinstance(body["d"], list) else body["d"]
    return f"{body['dt']}-{data.get('s', '')}-{data.get('os', '')}"


every_push = pytest.mark.parametrize("frame", PUSHES, ids=label)


def table(text: str) -> dict[str, str]:
    return dict(pair.split() for pair in text.split(","))


# Wire key to attribute, by dt; each class as the protocol page's sections 3.2 to 3.4 print it.
OHLC = table("s symbol, pe period, open open, high high, low low, close close, v volume, ts ts_ms")
GREEKS = {name: name for name in ("delta", "gamma", "theta", "vega")}
DAY = table("h high_24h, l low_24h, pr0 open_24h, v24 volume_24h, uv24 volume_usd_24h")
CHANGES = table("cp price_change, cr price_change_rate, oi open_interest, ts ts_ms")
BS_INFO = {
    **table("s symbol, mp mark_price, lp last_price, ip index_price, up underlying_price, iv iv"),
    **table("rt remaining_ms, v volume, tv volume, uv trade_value, tva trade_value"),
    **GREEKS,
    **DAY,
    **CHANGES,
}
PERPETUAL = {
    **table("s symbol, pr last_price, mp mark_price, ip index_price, cv volume_change"),
    **DAY,
    **CHANGES,
}
CHAIN = {
    **table("mp mark_price, lp last_price, bid bid, ask ask, bs bid_size, bv bid_size"),
    **table("as ask_size, av ask_size, biv bid_iv, aiv ask_iv, miv mark_iv, v volume, tv volume"),
    **table("v24 volume_24h, up underlying_price, upv underlying_value"),
    **GREEKS,
    **CHANGES,
}
TRADE = table("s symbol, pr price, q qty, v qty, sd side, ts ts_ms")
ACCOUNT = {
    **table("e equity, mb margin_balance, ab available_balance, wb withdrawable"),
    **table("im initial_margin, mm maintenance_margin, upnl unrealized_pnl, dv dollar_value"),
    **table("btcv btc_value, delta delta, atwt available_with_trail, assets assets"),
    **table("uid user_id, u user_id"),
}
FILL_SIGNAL = table("s symbol, et event_type, ts ts_ms")
ORDER = {
    **table("oid order_id, coid client_order_id, uid user_id, s symbol, q qty, pr price"),
    **table("rq remaining_qty, fq filled_qty, cq canceled_qty, mpr match_price, mq match_qty"),
    **table("ap average_price, si side, ty order_type, ct created_ms, ts ts_ms, ro reduce_only"),
    **table("le leverage, it is_taker, os state, tif time_in_force"),
}
POSITION = {
    **table("s symbol, q qty, si side, ap average_price, mp mark_price, lp last_price"),
    **table("im initial_margin, mm maintenance_margin, elp liquidation_price, le leverage"),
    **table("upnl unrealized_pnl, os state, rho rho, uid user_id, ts ts_ms"),
    **GREEKS,
}
WIRE: dict[int, tuple[type, str, dict[str, str]]] = {
    2: (Kline, "kline", OHLC),
    3: (Ticker, "bsInfo", BS_INFO),
    6: (Trade, "lastTrade", TRADE),
    7: (Account, "accountBalance", ACCOUNT),
    8: (FillSignal, "fillSignal", FILL_SIGNAL),
    11: (Order, "order", ORDER),
    12: (Position, "position", POSITION),
    30: (Ticker, "spotPrice", PERPETUAL),
    31: (Kline, "kline", OHLC),
    33: (Trade, "lastTrade", TRADE),
    34: (FillSignal, "fillSignal", FILL_SIGNAL),
    35: (Order, "order", ORDER),
    36: (Position, "position", POSITION),
}
ENUMS: dict[tuple[type, str], type] = {
    (Trade, "side"): Side,
    (Order, "side"): Side,
    (Position, "side"): Side,
    (Order, "order_type"): OrderType,
    (Order, "state"): OrderState,
    (Position, "state"): PositionState,
}


def check_attribute(message: Any, name: str, wire: Any) -> None:
    """`wire` is as `json` has it, with every number as `Decimal`."""
    value = getattr(message, name)
    if name in ("symbol", "period"):
        assert (type(value), value) == (str, wire)
    elif (type(message), name) in ENUMS:
        assert type(value) is ENUMS[type(message), name]
        assert value == Decimal(wire)
    elif name in ("reduce_only", "is_taker"):
        assert value is bool(Decimal(wire))
    elif name.endswith(("_ms", "_id")) or name == "event_type":
        assert (type(value), value) == (int, Decimal(wire))
    else:
        assert (type(value), value) == (float, float(wire))
        assert message.exact(name) == Decimal(wire)


def test_the_documents_have_these_pushes() -> None:
    assert len(PUSHES) == 31
    assert {json.loads(frame)["dt"] for frame in PUSHES} == {*WIRE, 4}


@every_push
def test_each_attribute(frame: bytes) -> None:
    body = json.loads(frame, parse_float=Decimal, parse_int=Decimal)
    if body["dt"] == 4:
        return check_documented_chain(frame)
    kind, channel, keys = WIRE[body["dt"]]
    message: Any = decode(frame)
    rows = body["d"] if isinstance(body["d"], list) else [body["d"]]
    messages = list(message) if isinstance(message, Trades) else [message]
    for row, item in zip(rows, messages, strict=True):
        assert (type(item), item.dt, item.channel) == (kind, body["dt"], channel)
        unread = set(item.to_dict())
        for key in row.keys() & keys.keys():
            # Of the futures ticker's two last prices, `pr` and `lp`, the first counts.
            check_attribute(item, keys[key], row[key])
            unread.remove(keys[key])
        assert {name: getattr(item, name) for name in unread} == dict.fromkeys(unread)
        shadowed = {"lp"} if body["dt"] == 30 else set()
        assert item.extra.keys() == row.keys() - keys.keys() - shadowed
    return None


def check_documented_chain(frame: bytes) -> None:
    rows = json.loads(frame, parse_float=Decimal, parse_int=Decimal)["d"]
    chain: Any = decode(frame)
    assert (type(chain), chain.dt, chain.channel) == (OptionChain, 4, "tOption")
    assert chain.symbols == [row["s"] for row in rows]
    assert len(chain) == len(rows)
    for at, row in enumerate(rows):
        assert chain.strike[at] == float(row["s"].split("-")[2])
        assert bool(chain.is_call[at]) is row["s"].endswith("-C")
        assert chain.ts_ms[at] == row["ts"]
        unread = set(CHAIN.values()) - {"ts_ms"}
        for key, name in CHAIN.items():
            if key in row and key != "ts":
                no_quote = key in ("bid", "ask") and not row[key]
                found = getattr(chain, name)[at]
                assert (found != found) if no_quote else (found == float(row[key])), name
                unread.remove(name)
        for name in unread:
            assert getattr(chain, name)[at] != getattr(chain, name)[at], name


@every_push
def test_the_model_agrees(frame: bytes) -> None:
    assert agree(frame) != "refused"
    assert agree(frame, BookStore().feed) != "refused"


@pytest.mark.parametrize("frame", HEARTBEATS)
def test_heartbeats(frame: bytes) -> None:
    for message in decode(frame), BookStore().feed(frame):
        assert isinstance(message, Heartbeat)
        assert message.rc == 1
        assert (message.dt, message.channel, message.symbol, message.ts_ms) == (None,) * 4
    assert agree(frame) == "Heartbeat"


@every_push
def test_any_type_of_frame(frame: bytes) -> None:
    """`decode` of each type and `feed` of each give one and the same message."""
    message: Any = decode(frame)
    dictionary = message.to_dict()
    store = BookStore()
    for kind in bytes, bytearray, memoryview, bytes.decode:
        for read in decode, store.feed:
            again: Any = read(kind(frame))
            assert again == message
            assert alike_dict(again.to_dict()) == alike_dict(dictionary)
            assert (again.dt, again.channel) == (message.dt, message.channel)
    assert not isinstance(message, OrderBook)
    assert not len(store)


def alike_dict(dictionary: dict[str, Any]) -> Any:
    lists = {name: getattr(value, "tolist", None) for name, value in dictionary.items()}
    return alike({name: tolist() if tolist else dictionary[name] for name, tolist in lists.items()})


@every_push
def test_the_frame_may_be_thrown_away(frame: bytes) -> None:
    """What is read late is of the frame as it was, whatever became of the caller's buffer."""
    buffer = bytearray(frame)
    message: Any = decode(buffer)
    buffer[:] = b"9" * len(buffer)
    assert message == decode(frame)
    message = decode(memoryview(bytearray(frame)))
    assert message == decode(frame)


# By hand -------------------------------------------------------------------------------------


def documented(dt: int, with_text: bytes = b"") -> Any:
    (frame,) = [f for f in PUSHES if f.startswith(b'{"dt":%d,' % dt) and with_text in f]
    return decode(frame)


def filled(message: Any) -> dict[str, Any]:
    return {name: value for name, value in message.to_dict().items() if value is not None}


def test_an_account_to_the_last_digit() -> None:
    account = documented(7, b"99999999902.0327645")
    assert type(account) is Account
    assert filled(account) == {
        "maintenance_margin": 0.0,
        "available_balance": 99999999902.03276,
        "dollar_value": 100000000000.50154,
        "initial_margin": 47.7,
        "user_id": 9804819366,
        "equity": 100000000000.50154,
        "margin_balance": 99999999950.52661,
        "delta": 0.0,
        "btc_value": 3781378.82686887,
        "withdrawable": 99999999902.03276,
        "unrealized_pnl": 1.29492756,
    }
    # 20 digits: a float has room for 17 of them.
    assert account.exact("equity") == Decimal("100000000000.50153541")
    assert str(account.exact("dollar_value")) == "100000000000.50153541"
    assert str(account.exact("margin_balance")) == "99999999950.52660785"
    assert account.exact("available_with_trail") is None
    assert (account.symbol, account.ts_ms, account.extra) == (None, None, {})


def test_a_candle_by_hand() -> None:
    candle = documented(31, b"26471.7")
    assert candle.to_dict() == {
        "symbol": "BTCUSD",
        "period": "h1",
        "open": 26461.7,
        "high": 26471.7,
        "low": 26422.4,
        "close": 26440.7,
        "volume": 351.656,
        "ts_ms": 1685091600000,
    }
    assert str(documented(2, b"4056").exact("close")) == "4056.40850000"


def test_an_option_ticker_by_hand() -> None:
    ticker = documented(3, b"26MAY23-10000-C")  # of the edition that says tv and tva
    assert filled(ticker) == {
        "symbol": "BTCUSD-26MAY23-10000-C",
        "mark_price": 0.0,
        "last_price": 16507.565,
        "index_price": 26498.05,
        "underlying_price": 26498.05,
        "iv": 1.1833,
        **dict.fromkeys(("delta", "gamma", "theta", "vega", "open_interest"), 0.0),
        "high_24h": 16588.9,
        "low_24h": 16194.165,
        "open_24h": 16473.3,
        "price_change": 34.265,
        "price_change_rate": 0.0021,
        **dict.fromkeys(("volume", "volume_24h", "trade_value", "volume_usd_24h"), 0.0),
        "remaining_ms": -3178263,
        "ts_ms": 1685091178263,
    }
    newer = documented(3, b"28JUL23-33000-C")  # v and uv
    assert (newer.volume, newer.trade_value, newer.volume_24h) == (1000.0, 30783000.0, 1000.0)
    assert (newer.remaining_ms, newer.theta, newer.gamma) == (2081914160, -29.14546, 0.0001)
    assert (newer.extra, ticker.extra) == ({}, {})


def test_a_futures_ticker_by_hand() -> None:
    ticker = documented(30, b"26443.9")
    assert filled(ticker) == {
        "symbol": "BTCUSD",
        "mark_price": 26429.30181716,
        "last_price": 26443.9,
        "index_price": 26453.83,
        "high_24h": 26609.9,
        "low_24h": 26163.7,
        "open_24h": 23799.51,
        "price_change": -20.4,
        "price_change_rate": -0.0008,
        "volume_24h": 16958.582,
        "volume_usd_24h": 447242963.9206,
        "volume_change": 0.0,
    }
    assert ticker.extra == {}


def test_trades_by_hand() -> None:
    trades = documented(6, b"486.8")  # of the edition that says v
    assert [filled(trade) for trade in trades] == [
        {
            "symbol": "BTCUSD-27MAY23-26000-C",
            "price": 486.8,
            "qty": 0.1,
            "side": Side.BUY,
            "ts_ms": 1685092744132,
        },
        {
            "symbol": "BTCUSD-27MAY23-26000-C",
            "price": 541.7,
            "qty": 0.19,
            "side": Side.SELL,
            "ts_ms": 1685077759928,
        },
    ]
    assert (trades.symbol, trades.ts_ms) == ("BTCUSD-27MAY23-26000-C", 1685092744132)
    newer = documented(33, b"83.11100000")
    assert [(t.price, t.qty, t.side) for t in newer] == [
        (30831.73, 1.0, Side.BUY),
        (30139.37, 83.111, Side.BUY),
    ]
    assert str(newer[1].exact("qty")) == "83.11100000"


def test_trades_with_ids_by_hand() -> None:
    row = (
        b'{"matchPrice":"57.10","matchQty":"0.02","matchValue":"1.1420","symbol":"BTCUSD-2JUN23'
        b'-24000-C","tradeId":"1665910350698258433","tradeSide":"2","tradeTime":"1750913870123"}'
    )
    trades: Any = decode(b'{"dt":24,"c":20,"d":[' + row + b'],"ts":1750913870200}')
    assert type(trades) is Trades
    found = trades[0].to_dict()
    assert {name: value for name, value in found.items() if value is not None} == {
        "symbol": "BTCUSD-2JUN23-24000-C",
        "price": 57.1,
        "qty": 0.02,
        "value": 1.142,
        "trade_id": 1665910350698258433,
        "side": Side.SELL,
        "ts_ms": 1750913870123,
    }
    assert (trades.channel, trades[0].channel, trades[0].dt) == ("lastTradeV2", "lastTradeV2", 24)
    futures: Any = decode(b'{"dt":43,"c":20,"d":[' + row + b"]}")
    assert (futures, futures.dt, futures.channel) == (trades, 43, "lastTradeV2")


def test_a_fill_signal_by_hand() -> None:
    signal = documented(8)
    assert type(signal) is FillSignal
    assert signal.to_dict() == {
        "symbol": "BTCUSD-27MAY23-26000-C",
        "event_type": 2,
        "ts_ms": 1685092951072,
    }


def test_a_new_order_by_hand() -> None:
    order = documented(35, b'"os":0')
    assert filled(order) == {
        "order_id": 1663004711982333952,
        "client_order_id": 1000200000,
        "user_id": 8095151726,
        "symbol": "BTCUSD",
        "qty": 1.0,
        "price": 500.0,
        "side": Side.BUY,
        "order_type": OrderType.LIMIT,
        "created_ms": 1685326195118,
        "ts_ms": 1685326195118,
        "reduce_only": False,
        "leverage": 3.0,
        "state": OrderState.NEW,
    }
    assert (order.is_open, order.is_terminal) == (True, False)
    assert (order.filled_qty, order.remaining_qty, order.average_price) == (None, None, None)


def test_orders_of_the_other_states_by_hand() -> None:
    filled_order = documented(11, b'"os":1')
    assert (filled_order.match_price, filled_order.match_qty) == (499.0, 0.5)
    assert (filled_order.remaining_qty, filled_order.filled_qty) == (0.5, 0.0)
    assert (filled_order.average_price, filled_order.is_taker) == (2095.6, False)
    assert (filled_order.state, filled_order.is_terminal) == (OrderState.FILLED, True)
    partial = documented(35, b'"os":2')
    assert (partial.filled_qty, partial.remaining_qty, partial.is_open) == (0.5, 0.5, True)
    canceled = documented(35, b'"os":3')
    assert (canceled.canceled_qty, canceled.filled_qty) == (0.5, 0.5)
    assert (canceled.average_price, canceled.state) == (0.0, OrderState.CANCELED)
    invalid = documented(11, b'"os":6')  # whose numbers are bare
    assert (invalid.qty, invalid.price, invalid.is_terminal) == (0.5, 2095.6, True)
    assert invalid.exact("price") == Decimal("2095.6")


def test_an_order_with_all_that_the_newest_edition_has() -> None:
    order: Any = decode(
        b'{"dt":11,"c":20,"d":{"coid":"77","oid":"1663004711982333953","tif":2,"ty":3,"si":"2",'
        b'"os":"10","ro":1,"it":1,"s":"BTCUSD-6JUN23-24000-C","stp":null},"ts":5}'
    )
    assert filled(order) == {
        "order_id": 1663004711982333953,
        "client_order_id": 77,
        "symbol": "BTCUSD-6JUN23-24000-C",
        "side": Side.SELL,
        "order_type": OrderType.POST_ONLY,
        "ts_ms": 5,
        "reduce_only": True,
        "is_taker": True,
        "state": OrderState.CANCEL_BY_EXERCISE,
        "time_in_force": TimeInForce.IOC,
    }
    assert order.extra == {"stp": None}


def test_positions_by_hand() -> None:
    assert filled(documented(36)) == {
        "symbol": "FTMUSD",
        "qty": 4.0,
        "side": Side.BUY,
        "average_price": 0.3435,
        "mark_price": 0.3435,
        "initial_margin": 0.458,
        "maintenance_margin": 0.04122,
        "liquidation_price": -20963.68918261,
        "unrealized_pnl": 0.0,
        "user_id": 8095151726,
    }
    assert filled(documented(12)) == {
        "symbol": "BTCUSD-4JUL23-27000-C",
        "qty": 1.0,
        "side": Side.BUY,
        "average_price": 4274.79,
        "initial_margin": 0.0,
        "maintenance_margin": 0.0,
        "unrealized_pnl": -42.79,
        "user_id": 8095151726,
    }
    newest: Any = decode(
        b'{"dt":27,"c":20,"d":{"elp":"","os":"5","si":"2","gamma":"1.05E-4","rho":"-2.5","tim":"",'
        b'"tmm":"","s":"ETHUSD-4JUL23-1900-P","pnlbmp":"1.0"},"ts":1750913870200}'
    )
    assert filled(newest) == {
        "symbol": "ETHUSD-4JUL23-1900-P",
        "side": Side.SELL,
        "state": PositionState.CLOSED,
        "gamma": 0.000105,
        "rho": -2.5,
        "ts_ms": 1750913870200,
    }
    assert newest.extra == {"tim": "", "tmm": "", "pnlbmp": "1.0"}
    assert newest.channel == "positionEvent"
    closed: Any = decode(b'{"dt":36,"c":20,"d":{"os":"2","le":"10","ctp":"E"}}')
    assert (closed.state, closed.leverage) == (PositionState.CLOSED, 10.0)
    assert (type(closed.state), closed.extra) == (PositionState, {"ctp": "E"})


def test_fills_of_both_styles_by_hand() -> None:
    options: Any = decode(
        b'{"dt":15,"c":20,"d":{"clientOrderId":"123","feeRate":"-0.0006","isTaker":"1",'
        b'"matchPrice":"499.50","matchQty":"0.5","matchValue":"249.75","orderId":'
        b'"1663004711982333952","orderSide":"2","remainQty":"0.25","symbol":"BTCUSD-6JUN23-'
        b'24000-C","tradeId":"1665910350698258433","tradeTime":"1685326195118"},"ts":5}'
    )
    assert filled(options) == {
        "trade_id": 1665910350698258433,
        "order_id": 1663004711982333952,
        "client_order_id": 123,
        "symbol": "BTCUSD-6JUN23-24000-C",
        "side": Side.SELL,
        "price": 499.5,
        "qty": 0.5,
        "value": 249.75,
        "remaining_qty": 0.25,
        "fee_rate": -0.0006,
        "is_taker": True,
        "ts_ms": 1685326195118,
    }
    futures: Any = decode(
        b'{"dt":38,"c":20,"d":{"coid":"123","fr":"-0.0006","tf":"-0.14985","it":"1","mpr":"499.50",'
        b'"mq":"0.5","mv":"249.75","oid":"1663004711982333952","si":"2","rq":"0.25",'
        b'"s":"BTCUSD-6JUN23-24000-C","tid":"1665910350698258433","ts":"1685326195118"}}'
    )
    assert type(options) is type(futures) is Fill
    assert filled(futures) == filled(options) | {"fee": -0.14985}
    assert (options.channel, futures.channel) == ("trade", "trade")
    assert (options.extra, futures.extra) == ({}, {})


def test_an_option_chain_by_hand() -> None:
    chain = documented(4, b"27MAY23")
    assert chain.symbols == ["BTCUSD-27MAY23-24000-C", "BTCUSD-27MAY23-24000-P"]
    assert chain.strike.tolist() == [24000.0, 24000.0]
    assert chain.is_call.tolist() == [True, False]
    assert chain.bid_size.tolist() == [0.52, 0.0]  # bv: a size of 0 is one
    assert chain.ask_size.tolist() == [8.94, 0.54]
    assert chain.ask.tolist() == [3065.9, 1.0]
    assert alike(chain.bid.tolist()) == alike([2499.3, nan])  # no quote
    assert alike(chain.volume.tolist()) == alike([nan, 0.01])
    assert chain.bid_iv.tolist() == [1.26, 0.5]
    assert alike(chain.mark_iv.tolist()) == alike([nan, nan])
    assert chain.ts_ms.tolist() == [1685091838557] * 2
    put = chain["BTCUSD-27MAY23-24000-P"]
    assert (put.symbol, put.ask, put.ask_iv, put.price_change_rate) == (
        "BTCUSD-27MAY23-24000-P",
        1.0,
        0.71,
        -0.7842,
    )
    newer = documented(4, b"4JUL23")
    assert (newer.bid.tolist(), newer.bid_size.tolist()) == ([1.0], [0.2])
    assert alike([*newer.ask.tolist(), *newer.ask_size.tolist()]) == alike([nan, 0.0])


# Of the protocol page's sections 3.2 and 3.3: channels that are no part of the contract.
UNREAD = {
    20: "blockTrade",
    22: "blockTradeDetail",
    23: "blockTradePublic",
    28: "rfqMaker",
    44: "premiumIndex",
    129: "rfqTaker",
    130: "rfqQuote",
    131: "quoteReceived",
}


def test_channels_that_are_not_read() -> None:
    for dt in *UNREAD, 0, 1, 9, 10, 13, 37, 47, 58, 255, 256, 2**40:
        body = {"dt": dt, "c": 20, "d": {"s": "BTCUSD", "pr": "1"}}
        message = decode(json.dumps(body))
        assert message == UnknownMessage(dt, body)
        assert type(message) is coincall_fast.UnknownMessage
        assert (message.dt, message.channel) == (dt, UNREAD.get(dt))

"""What a frame or a REST answer that is no book means, the obvious way.

The contract, section 3, is the table; json does the reading, and keeps numbers as their texts.
Shares nothing with the core but the names of enumerations. `OPEN` stands where neither the contract
nor the protocol page says what has to come out.
"""

import json
import math
import re
from contextlib import suppress
from decimal import Decimal, InvalidOperation
from typing import Any, NamedTuple

from coincall_fast.model import OrderState, OrderType, PositionState, Side, TimeInForce

# Attributes, each with its keys where these are not its own name; of two, the first that has a
# value. Positions are of five channels, and so on.
PUSHES = {
    "2 31": "Kline: symbol s, period pe, open, high, low, close, volume v, ts_ms ts",
    "3": (
        "Ticker: symbol s, mark_price mp, last_price lp, index_price ip, underlying_price up, iv, "
        "delta, gamma, theta, vega, open_interest oi, high_24h h, low_24h l, open_24h pr0, "
        "price_change cp, price_change_rate cr, volume v/tv, volume_24h v24, trade_value uv/tva, "
        "volume_usd_24h uv24, remaining_ms rt, ts_ms ts"
    ),
    "30": (
        "Ticker: symbol s, last_price pr/lp, mark_price mp, index_price ip, high_24h h, low_24h l, "
        "open_24h pr0, price_change cp, price_change_rate cr, volume_24h v24, volume_usd_24h uv24, "
        "volume_change cv, open_interest oi, ts_ms ts"
    ),
    "4": (
        "ChainRow: symbol s, mark_price mp, last_price lp, bid, ask, bid_size bs/bv, "
        "ask_size as/av, bid_iv biv, ask_iv aiv, mark_iv miv, delta, gamma, theta, vega, "
        "price_change cp, price_change_rate cr, volume v/tv, volume_24h v24, open_interest oi, "
        "underlying_price up, underlying_value upv, ts_ms ts"
    ),
    "6 33": "Trade: symbol s, price pr, qty q/v, side sd, ts_ms ts",
    "24 43": (
        "Trade: symbol, price matchPrice, qty matchQty, value matchValue, trade_id tradeId, "
        "side tradeSide, ts_ms tradeTime"
    ),
    "7": (
        "Account: equity e, margin_balance mb, available_balance ab, withdrawable wb, "
        "initial_margin im, maintenance_margin mm, unrealized_pnl upnl, dollar_value dv, "
        "btc_value btcv, delta, available_with_trail atwt, assets, user_id uid/u, ts_ms ts"
    ),
    "8 34": "FillSignal: symbol s, event_type et, ts_ms ts",
    "11 35": (
        "Order: order_id oid, client_order_id coid, user_id uid, symbol s, qty q, price pr, "
        "remaining_qty rq, filled_qty fq, canceled_qty cq, match_price mpr, match_qty mq, "
        "average_price ap, side si, order_type ty, created_ms ct, ts_ms ts, reduce_only ro, "
        "leverage le, is_taker it, state os, time_in_force tif"
    ),
    "12 19 27 36 46": (
        "Position: symbol s, qty q, side si, average_price ap, mark_price mp, last_price lp, "
        "initial_margin im, maintenance_margin mm, liquidation_price elp, unrealized_pnl upnl, "
        "leverage le, state os, delta, gamma, theta, vega, rho, user_id uid, ts_ms ts"
    ),
    "15": (
        "Fill: trade_id tradeId, order_id orderId, client_order_id clientOrderId, symbol, "
        "side orderSide, price matchPrice, qty matchQty, value matchValue, "
        "remaining_qty remainQty, fee_rate feeRate, is_taker isTaker, ts_ms tradeTime"
    ),
    "38": (
        "Fill: trade_id tid, order_id oid, client_order_id coid, symbol s, side si, price mpr, "
        "qty mq, value mv, remaining_qty rq, fee tf, fee_rate fr, is_taker it, ts_ms ts"
    ),
}
NAMES = {
    "bsInfo": "3", "spotPrice": "30", "tOption": "4", "kline": "2 31", "lastTrade": "6 33",
    "lastTradeV2": "24 43", "accountBalance": "7", "fillSignal": "8 34", "order": "11 35",
    "position": "12 19 36", "positionEvent": "27 46", "trade": "15 38",
}  # fmt: skip

# Of channels that are known and not decoded.
OTHER_NAMES = {
    20: "blockTrade", 22: "blockTradeDetail", 23: "blockTradePublic", 28: "rfqMaker",
    129: "rfqTaker", 130: "rfqQuote", 131: "quoteReceived", 44: "premiumIndex",
}  # fmt: skip

# The same of REST answers: protocol page, sections 2.1 to 2.5.
REST = (
    "Order: order_id orderId/id, client_order_id clientOrderId, user_id userId, symbol, qty, "
    "price, remaining_qty remainQty, filled_qty fillQty, average_price avgPrice, side tradeSide, "
    "order_type tradeType, created_ms createTime, ts_ms updateTime, reduce_only reduceOnly, "
    "leverage, is_taker isTaker, state, time_in_force timeInForce, initial_margin initMargin, "
    "index_price indexPrice, trigger_price triggerPrice, fee, realized_pnl rpnl",
    "Fill: trade_id tradeId, order_id orderId, client_order_id clientOrderId, symbol, "
    "side tradeSide, price, qty, fee, is_taker isTaker, ts_ms time",
    "Trade: symbol, price, qty, trade_id tradeId, side tradeSide, ts_ms time",
    "Position: symbol, qty, side tradeSide, average_price avgPrice, mark_price markPrice, "
    "last_price lastPrice, initial_margin initMargin, maintenance_margin maintMargin, "
    "liquidation_price elp, unrealized_pnl upnl, leverage, delta, gamma, theta, vega, rho, "
    "user_id userId, index_price indexPrice, ts_ms updateTime",
    "Ticker: symbol, mark_price markPrice, last_price lastPrice/price, index_price indexPrice, "
    "underlying_price underlyingPrice, iv, delta, gamma, theta, vega, open_interest openInterest, "
    "high_24h price24hHigh, low_24h price24hLow, open_24h price24hOpen, "
    "price_change changePrice, price_change_rate changeRate, volume, volume_24h volume24h, "
    "trade_value volumeUsd, volume_usd_24h volumeUsd24h, remaining_ms remainTime",
    "Kline: period, open, high, low, close, volume, ts_ms time",
    "Account: equity equity/equityAmount, margin_balance marginBalance, "
    "available_balance availableMargin/availableBalance, withdrawable canWithdrawAmount, "
    "initial_margin imAmount, maintenance_margin mmAmount, "
    "unrealized_pnl unrealizedPnL/unrealizedAmount, dollar_value totalDollarValue/dollarValue, "
    "btc_value totalBtcValue/btcValue, delta, assets accounts, user_id accountId",
    "ChainRow: symbol, mark_price markPrice, last_price lastPrice, bid, ask, bid_size bidSize, "
    "ask_size askSize, bid_iv bidIv, ask_iv askIv, mark_iv markIv, delta, gamma, theta, vega, "
    "price_change changePrice, price_change_rate changeRate, volume, open_interest openInterest, "
    "underlying_price underlyingPrice",
)

TEXTS = {"symbol", "period"}
INTEGERS = {"order_id", "client_order_id", "trade_id", "user_id", "event_type"}
FLAGS = {"is_taker", "reduce_only"}
CODES = {
    "side": Side, "order_type": OrderType, "time_in_force": TimeInForce, "state": OrderState,
}  # fmt: skip
WORDS = set(TimeInForce.__members__)
VOLATILITIES = {"iv", "bid_iv", "ask_iv", "mark_iv"}
QUOTES = {"bid", "ask"}

NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")
INTEGER = re.compile(r"-?(0|[1-9][0-9]{0,639})")
OPTION = re.compile(r"[A-Z0-9]+-[0-9]{1,2}[A-Z]{3}[0-9]{2}-([0-9]+(?:\.[0-9]+)?)-([CP])")
SURROGATE = re.compile("[\ud800-\udfff]")


class Open:
    """Equal to whatever comes out."""

    def __eq__(self, other: object) -> bool:
        return True

    __hash__ = None  # type: ignore[assignment]


OPEN = Open()


class Refused(Exception):
    """Where the core has to raise `DecodeError`."""


class Undecided(Exception):
    """Where it may, or may not."""


class Number(str):
    __slots__ = ()


class Object(list[tuple[str, Any]]):
    def all(self, key: str) -> list[Any]:
        return [value for name, value in self if name == key]

    def one(self, key: str) -> Any:
        """The value of a key, None where it is absent; a repeated one is refused."""
        values = self.all(key)
        ensure(len(values) < 2)
        return values[0] if values else None


class Columns(NamedTuple):
    made: str  # the class
    keys: dict[str, list[str]]  # by attribute
    dt: int | None = None
    channel: str | None = None


class Row(NamedTuple):
    columns: Columns
    values: dict[str, Any]
    exact: dict[str, Any]  # of the numbers
    extra: Any

    def __getattr__(self, name: str) -> Any:
        return self.values[name]


class Several(NamedTuple):
    """What has several rows: ``Trades``, ``OptionChain`` or a list."""

    made: str
    rows: list[Row]
    columns: Columns


class Plain(NamedTuple):
    """A heartbeat, an answer to a request, or what nobody knows."""

    made: str
    values: dict[str, Any]


def ensure(condition: object) -> None:
    if not condition:
        raise Refused


def columns_of(text: str, dt: int | None = None, channel: str | None = None) -> Columns:
    made, _, rest = text.partition(": ")
    keys = {}
    for attribute in rest.split(", "):
        name, _, spelled = attribute.partition(" ")
        keys[name] = (spelled or name).split("/")
    return Columns(made, keys, dt, channel)


def channels() -> dict[str, Columns]:
    named = {dt: name for name, dts in NAMES.items() for dt in dts.split()}
    return {
        dt: columns_of(text, int(dt), named[dt])
        for dts, text in PUSHES.items()
        for dt in dts.split()
    }


CHANNELS = channels()
ANSWERS = [columns_of(text) for text in REST]


# ------------------------------------------------------------------------------------------ JSON


def parse(text: bytes) -> Any:
    """Objects as their pairs and numbers as they were written."""
    try:
        return json.loads(
            text.decode(),
            object_pairs_hook=Object,
            parse_int=Number,
            parse_float=Number,
            parse_constant=lambda name: ensure(not name),
        )
    except ValueError:
        raise Refused from None
    except RecursionError:
        raise Undecided from None


def depth(tree: Any) -> int:
    """How deep it is nested."""
    inner = [value for _, value in tree] if isinstance(tree, Object) else tree
    return 1 + max(map(depth, inner), default=0) if isinstance(inner, list) else 0


def plain(tree: Any) -> Any:
    """As json.loads gives it. Raises ValueError for integers of more digits than Python takes."""
    if isinstance(tree, Object):
        return {key: plain(value) for key, value in tree}
    if isinstance(tree, list):
        return [plain(value) for value in tree]
    if isinstance(tree, Number):
        return float(tree) if set(tree) & set(".eE") else int(tree)
    return tree


# ---------------------------------------------------------------------------------------- values


def text_of(value: Any) -> str:
    """A value that may be quoted or not; "" where it says that there is none."""
    if value is None:
        return ""
    ensure(isinstance(value, str))
    text: str = value.strip(" ")
    return text


def number(value: Any) -> Any:
    text = text_of(value)
    ensure(not text or NUMBER.fullmatch(text))
    return (float(text), text) if text else None


def integer(value: Any) -> Any:
    text = text_of(value)
    ensure(not text or INTEGER.fullmatch(text))
    return (int(text), text) if text else None


def flag(value: Any) -> Any:
    if isinstance(value, bool):
        return value, ""
    text = text_of(value)
    ensure(text in ("", "0", "1") or (text in ("true", "false") and not isinstance(value, Number)))
    return (text in ("1", "true"), "") if text else None


def code(value: Any, enumeration: Any) -> Any:
    """A member, or an integer that is no member's; only a time in force comes as a word too."""
    text = text_of(value)
    if not text:
        return None
    if enumeration is TimeInForce and not isinstance(value, Number) and text in WORDS:
        return TimeInForce[text], ""
    ensure(INTEGER.fullmatch(text))
    try:
        return enumeration(int(text)), text
    except ValueError:
        return int(text), text


def string(value: Any) -> Any:
    ensure(value is None or (isinstance(value, str) and not isinstance(value, Number)))
    ensure(not SURROGATE.search(value or ""))
    return (value, "") if (value or "").strip(" ") else None


def anything(value: Any) -> Any:
    if isinstance(value, str) and not isinstance(value, Number) and not value.strip(" "):
        return None if value == "" else (OPEN, "")
    try:
        return None if value is None else (plain(value), "")
    except ValueError:
        return Refused, ""


def read(made: str, attribute: str, value: Any) -> Any:
    if attribute in TEXTS:
        return string(value)
    if attribute in FLAGS:
        return flag(value)
    if attribute == "assets":
        return anything(value)
    if attribute in CODES:
        is_state = (made, attribute) == ("Position", "state")
        return code(value, PositionState if is_state else CODES[attribute])
    return integer(value) if is_integer(attribute) else number(value)


def is_integer(attribute: str) -> bool:
    return attribute in INTEGERS or attribute.endswith("_ms")


def is_number(attribute: str) -> bool:
    """Whether it is a float."""
    return attribute not in TEXTS | FLAGS | CODES.keys() | {"assets"} and not is_integer(attribute)


def digits(text: str) -> Any:
    try:
        return Decimal(text) if text else None
    except InvalidOperation:
        return Refused  # no Decimal has such an exponent


def row_of(tree: Any, columns: Columns, time: Any = None) -> Row:
    ensure(isinstance(tree, Object))
    values: dict[str, Any] = {}
    exact: dict[str, Any] = {}
    nothing = math.nan if columns.made == "ChainRow" else None
    for attribute, keys in columns.keys.items():
        found = [read(columns.made, attribute, tree.one(key)) for key in keys]
        value, text = next((one for one in found if one is not None), (None, ""))
        if attribute not in TEXTS | FLAGS | {"assets"}:
            exact[attribute] = digits(text)
        if is_number(attribute):
            if attribute in VOLATILITIES and value is not None and value >= 1e300:
                value = None
            if columns.made == "ChainRow" and attribute in QUOTES and value == 0:
                value = None
            value = nothing if value is None else value
        values[attribute] = value
    if values.get("ts_ms") is None:
        values["ts_ms"], text = time or (None, "")
        exact["ts_ms"] = digits(text)
    known = {key for keys in columns.keys.values() for key in keys}
    extra: Any = Refused
    with suppress(ValueError):  # an integer that Python cannot hold, an extra one or not
        extra = {key: value for key, value in plain(tree).items() if key not in known}
    return Row(columns, values, exact, extra)


def chain_row_of(tree: Any, columns: Columns, time: Any = None) -> Row:
    row = row_of(tree, columns, time)
    ensure(row.symbol is not None)
    ensure(row.ts_ms is None or abs(row.ts_ms) < 2**63)  # there is an array of them
    option = OPTION.fullmatch(row.symbol)
    strange = not option and row.symbol.count("-") > 2
    row.values["strike"] = float(option[1]) if option else OPEN if strange else math.nan
    row.values["is_call"] = option[2] == "C" if option else OPEN if strange else False
    return row


def message_of(tree: Any, columns: Columns, time: Any = None) -> Any:
    """A message, or messages, out of the data of a frame or an answer.

    time: that of the frame, with its text, for rows that have none.
    """
    made = {"Trade": "Trades", "ChainRow": "OptionChain"}.get(columns.made, "list")
    is_list = isinstance(tree, list) and not isinstance(tree, Object)
    if made == "list" and not is_list:
        return row_of(tree, columns, time)
    one = chain_row_of if made == "OptionChain" else row_of
    if made == "OptionChain" and time:
        ensure(abs(time[0]) < 2**63)  # whether a row needs it or not
    rows = [one(row, columns, time) for row in (tree if is_list else [tree])]
    return Several(made, rows, columns)


# ---------------------------------------------------------------------------------------- frames


def of_frame(text: bytes) -> Any:
    """A frame that is no book. Raises Refused."""
    tree = parse(text)
    dt = None
    if isinstance(tree, Object):
        dt = tree.one("dt")
        tree.one("d")
    if not (isinstance(dt, Number) and dt in CHANNELS):
        return of_others(tree)
    return message_of(tree.one("d"), CHANNELS[dt], integer(tree.one("ts")))


def of_others(tree: Any) -> Plain:
    try:
        body = plain(tree)
    except ValueError:
        raise Refused from None
    if not isinstance(body, dict) or body.get("dt") is not None:
        dt = body["dt"] if isinstance(body, dict) else None
        dt = dt if type(dt) is int else None
        channel = OTHER_NAMES.get(dt) if dt is not None else None
        return Plain("UnknownMessage", {"dt": dt, "channel": channel, "body": body})
    c, rc = (as_integer(body.get(key)) for key in ("c", "rc"))
    if c is OPEN:
        return Plain("", {})
    if c == 11:
        if rc is OPEN:
            raise Undecided
        return Plain("Heartbeat", {"rc": rc, "channel": None})
    if rc is OPEN and not {"result", "msg"} & body.keys():
        return Plain("", {})
    if {"result", "msg"} & body.keys() or rc not in (None, 1):
        action, result = body.get("action"), body.get("result")
        ok: Any = isinstance(result, str) and result.lower() == "success" and rc in (None, 1)
        if rc is OPEN or str(result).lower() == "true":
            ok = OPEN
        action = action.lower() if isinstance(action, str) else None
        return Plain("Ack", {"action": action, "ok": ok, "detail": body})
    return Plain("UnknownMessage", {"dt": None, "body": body})


def as_integer(value: Any) -> Any:
    """An integer or a string of one; open for all else."""
    if isinstance(value, str) and INTEGER.fullmatch(value):
        return int(value)
    return value if value is None or type(value) is int else OPEN


def of_answer(text: bytes, columns: Columns) -> Any:
    """The body of a REST answer. Raises Refused."""
    tree = parse(text)
    if depth(tree) > 64:
        raise Undecided
    for key in "data", "list":
        if isinstance(tree, Object) and tree.all(key):
            if len(tree.all(key)) > 1:
                raise Undecided  # nothing says what of two answers is meant
            tree = tree.one(key)
    if columns.made != "ChainRow":
        return message_of(tree, columns)
    rows = []
    for pair in tree if isinstance(tree, list) and not isinstance(tree, Object) else [tree]:
        ensure(isinstance(pair, Object))
        for key in "callOption", "putOption":
            option = pair.one(key)
            if isinstance(option, Object):
                rows.append(chain_row_of(option, columns))
            elif option is not None:
                raise Undecided
        order = [key for key, _ in pair if key in ("callOption", "putOption")]
        if order == ["putOption", "callOption"]:
            raise Undecided  # "call then put", and "in the order of the wire"
    return Several("OptionChain", rows, columns)

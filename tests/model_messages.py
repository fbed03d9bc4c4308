"""The obvious decoder: what every message must mean, with no thought of speed.

A frame goes through `json`, which keeps each number as its text, and one table: section 3 of the
contract, copied. What comes out is plain: `Row` for a message, `Rows` for trades and lists of
messages, `Chain` for an option chain. Order books (`dt` 5 and 32) are in `model_book.py`.
"""

import math
import re
from decimal import Decimal, InvalidOperation
from types import EllipsisType
from typing import Any, NamedTuple

from model_book import NUMBER, Number, Object, ensure, parse

# By dt: the class, and its attributes with the keys that they come from, the first that is there
# before the others; no key is written where it has the name of the attribute.
TABLE = {
    (2, 31): "Kline symbol s, period pe, open, high, low, close, volume v, ts_ms ts",
    (3,): "Ticker symbol s, mark_price mp, last_price lp, index_price ip, underlying_price up, iv,"
    " delta, gamma, theta, vega, open_interest oi, high_24h h, low_24h l, open_24h pr0,"
    " price_change cp, price_change_rate cr, volume v/tv, volume_24h v24, trade_value uv/tva,"
    " volume_usd_24h uv24, remaining_ms rt, ts_ms ts",
    (4,): "ChainRow symbol s, mark_price mp, last_price lp, bid, ask, bid_size bs/bv,"
    " ask_size as/av, bid_iv biv, ask_iv aiv, mark_iv miv, delta, gamma, theta, vega,"
    " price_change cp, price_change_rate cr, volume v/tv, volume_24h v24, open_interest oi,"
    " underlying_price up, underlying_value upv, ts_ms ts",
    (6, 33): "Trade symbol s, price pr, qty q/v, side sd, ts_ms ts",
    (24, 43): "Trade symbol, price matchPrice, qty matchQty, value matchValue, trade_id tradeId,"
    " side tradeSide, ts_ms tradeTime",
    (7,): "Account equity e, margin_balance mb, available_balance ab, withdrawable wb,"
    " initial_margin im, maintenance_margin mm, unrealized_pnl upnl, dollar_value dv,"
    " btc_value btcv, delta, available_with_trail atwt, assets, user_id uid/u, ts_ms ts",
    (8, 34): "FillSignal symbol s, event_type et, ts_ms ts",
    (11, 35): "Order order_id oid, client_order_id coid, user_id uid, symbol s, qty q, price pr,"
    " remaining_qty rq, filled_qty fq, canceled_qty cq, match_price mpr, match_qty mq,"
    " average_price ap, side si, order_type ty, created_ms ct, ts_ms ts, reduce_only ro,"
    " leverage le, is_taker it, state os, time_in_force tif",
    (12, 19, 27, 36, 46): "Position symbol s, qty q, side si, average_price ap, mark_price mp,"
    " last_price lp, initial_margin im, maintenance_margin mm, liquidation_price elp,"
    " unrealized_pnl upnl, leverage le, state os, delta, gamma, theta, vega, rho, user_id uid,"
    " ts_ms ts",
    (15,): "Fill trade_id tradeId, order_id orderId, client_order_id clientOrderId, symbol,"
    " side orderSide, price matchPrice, qty matchQty, value matchValue, remaining_qty remainQty,"
    " fee_rate feeRate, is_taker isTaker, ts_ms tradeTime",
    (38,): "Fill trade_id tid, order_id oid, client_order_id coid, symbol s, side si, price mpr,"
    " qty mq, value mv, remaining_qty rq, fee tf, fee_rate fr, is_taker it, ts_ms ts",
    (30,): "Ticker symbol s, last_price pr/lp, mark_price mp, index_price ip, high_24h h,"
    " low_24h l, open_24h pr0, price_change cp, price_change_rate cr, volume_24h v24,"
    " volume_usd_24h uv24, volume_change cv, open_interest oi, ts_ms ts",
}
CHANNELS = {
    **dict.fromkeys((2, 31), "kline"),
    **dict.fromkeys((6, 33), "lastTrade"),
    **dict.fromkeys((8, 34), "fillSignal"),
    **dict.fromkeys((11, 35), "order"),
    **dict.fromkeys((12, 36), "position"),
    **dict.fromkeys((15, 38), "trade"),
    **dict.fromkeys((24, 43), "lastTradeV2"),
    **dict.fromkeys((27, 46), "positionEvent"),
    3: "bsInfo",
    4: "tOption",
    7: "accountBalance",
    19: "position",
    30: "spotPrice",
}
BOOKS = 5, 32
TEXTS = "symbol", "period"
INTEGERS = "event_type", "order_id", "client_order_id", "trade_id", "user_id"
FLAGS = "is_taker", "reduce_only", "is_block"
CODES = "side", "order_type", "state", "time_in_force"
IVS = "iv", "bid_iv", "ask_iv", "mark_iv"
WORDS = {"GTC": 0, "IOC": 2, "FOK": 3}  # what REST says for the codes of time_in_force
NO_IV = 1e300  # the venue's "none" is Double.MAX
MOST_DIGITS = 640  # of an integer

INTEGER = re.compile("-?(?:0|[1-9][0-9]*)")
OPTION = re.compile(r"[A-Z0-9]+-[0-9]{1,2}[A-Z]{3}[0-9]{2}-([0-9]+(?:\.[0-9]+)?)-([CP])")
NEARLY = re.compile(r".*-[0-9.eE+-]+-[CP]", re.DOTALL)  # of which the contract does not say


def columns_of(row: str) -> tuple[str, dict[str, tuple[str, ...]]]:
    """``"Kline symbol s, open"`` is ``("Kline", {"symbol": ("s",), "open": ("open",)})``."""
    name, columns = row.split(" ", 1)
    pairs = (column.split() for column in columns.split(","))
    return name, {
        attribute: tuple((keys or [attribute])[0].split("/")) for attribute, *keys in pairs
    }


COLUMNS = {dt: columns_of(row) for dts, row in TABLE.items() for dt in dts}


class Row(NamedTuple):
    """A message: the values of its attributes, `exact` of its numbers, and what goes with it."""

    name: str
    dt: int | None
    channel: str | None
    values: dict[str, Any]
    exact: dict[str, Decimal | EllipsisType | None]
    extra: dict[str, Any]


class Rows(NamedTuple):
    """`Trades`, or a list of messages where the name is ``"list"``."""

    name: str
    rows: list[Row]


class Chain(NamedTuple):
    """Columns by name, and the same as rows."""

    columns: dict[str, list[Any]]
    rows: list[Row]


class Other(NamedTuple):
    """`Heartbeat`, `Ack` or `UnknownMessage`, as the tuple of its fields."""

    name: str
    fields: tuple[Any, ...]


Outcome = Row | Rows | Chain | Other


# Values --------------------------------------------------------------------------------------


def plain(value: Any) -> Any:
    """The value as `json.loads` gives it."""
    if isinstance(value, Object):
        return {key: plain(item) for key, item in value}
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, Number):
        return int(value) if INTEGER.fullmatch(value) else float(value)
    return value


def text_of(value: Any) -> str | None:
    """A number, bare or quoted, as its text without blanks."""
    if value is None:
        return None
    ensure(isinstance(value, str))
    return value.strip(" ") or None


def number(value: Any) -> str | None:
    text = text_of(value)
    ensure(text is None or NUMBER.fullmatch(text))
    return text


def decimal_of(digits: str | None) -> Decimal | EllipsisType | None:
    """What `exact` gives; ``...`` where the exponent is one that `Decimal` does not have."""
    try:
        return None if digits is None else Decimal(digits)
    except InvalidOperation:
        return ...


def integer(value: Any) -> int | None:
    text = text_of(value)
    if text is None:
        return None
    ensure(INTEGER.fullmatch(text) and len(text.lstrip("-")) <= MOST_DIGITS)
    return int(text)


def flag(value: Any) -> bool | None:
    if isinstance(value, bool):
        return value
    text = text_of(value)
    ensure(text in ("0", "1", "true", "false", None))
    return None if text is None else text in ("1", "true")


def code(value: Any) -> int | None:
    """Known or not: the venue sends no words for codes, but those of `time_in_force`."""
    return integer(value)


def time_in_force(value: Any) -> int | None:
    word = value.strip(" ") if type(value) is str else None
    return WORDS[word] if word in WORDS else code(value)


def position_state(value: Any) -> int | None:
    """Options say 5 for closed, and futures 2."""
    state = code(value)
    return 5 if state == 2 else state


def assets(value: Any) -> Any:
    return None if value == "" and type(value) is str else plain(value)


def string(value: Any) -> str | None:
    if value is None:
        return None
    ensure(type(value) is str and not re.search("[\ud800-\udfff]", value))
    return value if value.strip(" ") else None


# Rows ----------------------------------------------------------------------------------------


def one(data: Object, key: str) -> Any:
    """The value of a key, which may not be there twice."""
    values = [value for name, value in data if name == key]
    ensure(len(values) <= 1)
    return values[0] if values else None


def first(data: Object, keys: tuple[str, ...], read: Any) -> Any:
    """What `read` makes of the first of these keys that has a value; each must be legal."""
    values = [read(one(data, key)) for key in keys]
    return next((value for value in values if value is not None), None)


def reader(name: str, attribute: str) -> Any:
    """The function that reads an attribute of a class out of its JSON value."""
    if attribute in TEXTS:
        return string
    if attribute in FLAGS:
        return flag
    if attribute in CODES:
        return {
            ("Order", "time_in_force"): time_in_force,
            ("Position", "state"): position_state,
        }.get((name, attribute), code)
    if attribute == "assets":
        return assets
    return integer if attribute in INTEGERS or attribute.endswith("_ms") else number


def read_row(dt: int, data: Any, envelope_ts: int | None) -> Row:
    ensure(isinstance(data, Object))
    name, columns = COLUMNS[dt]
    values: dict[str, Any] = {}
    exact: dict[str, Decimal | EllipsisType | None] = {}
    for attribute, keys in columns.items():
        read = reader(name, attribute)
        value = first(data, keys, read)
        if read is number:
            exact[attribute] = decimal_of(value)
            value = None if value is None else float(value)
            if attribute in IVS and value is not None and value >= NO_IV:
                value = None
        values[attribute] = value
    if values["ts_ms"] is None:
        values["ts_ms"] = envelope_ts
    known = {key for keys in columns.values() for key in keys}
    extra = {key: plain(value) for key, value in data if key not in known}
    return Row(name, dt, CHANNELS[dt], values, exact, extra)


def option_of(symbol: str) -> tuple[Any, Any]:
    """(strike, is it a call) out of the text of a symbol; ``...`` where either way is right."""
    if option := OPTION.fullmatch(symbol):
        return float(option[1]), option[2] == "C"
    return (..., ...) if NEARLY.fullmatch(symbol) else (math.nan, False)


def chain_row(row: Row) -> Row:
    """The same made to compute with: no quote is no value, and every row has a symbol."""
    symbol, ts_ms = row.values["symbol"], row.values["ts_ms"]
    ensure(symbol is not None)
    ensure(ts_ms is None or -(2**63) <= ts_ms < 2**63)  # which an array holds
    values = {name: math.nan if value is None else value for name, value in row.values.items()}
    for quote in "bid", "ask":
        values[quote] = values[quote] or math.nan  # 0 and -0 are no quote
    strike, is_call = option_of(symbol)
    values |= {"symbol": symbol, "ts_ms": ts_ms, "strike": strike, "is_call": is_call}
    return row._replace(values=values)


def read_chain(rows: list[Row]) -> Chain:
    rows = [chain_row(row) for row in rows]
    names = "strike", "is_call", *COLUMNS[4][1]
    columns = {name: [row.values[name] for row in rows] for name in names}
    columns["ts_ms"] = [ts_ms or 0 for ts_ms in columns["ts_ms"]]
    return Chain({"symbols": columns.pop("symbol"), **columns}, rows)


# Frames --------------------------------------------------------------------------------------


def without_channel(body: Any) -> Other:
    """Of a body that has no `dt`."""
    if not isinstance(body, dict):
        return Other("UnknownMessage", (None, body))
    if body.get("c") == 11:
        rc = body.get("rc")
        return Other("Heartbeat", (int(rc) if isinstance(rc, str) else rc,))
    if "result" in body or "msg" in body or body.get("rc") not in (None, 1, "1"):
        action = body.get("action")
        action = action.lower() if isinstance(action, str) else None
        good = str(body.get("result")).lower() == "success" and body.get("rc") in (None, 1, "1")
        return Other("Ack", (action, good, body))
    return Other("UnknownMessage", (None, body))


def expected(frame: Any) -> Outcome:
    """What `decode` must make of a frame, or `Refused`; of an order book, that it is one."""
    body = parse(frame)
    if not isinstance(body, Object):
        return without_channel(plain(body))
    dt, data = one(body, "dt"), one(body, "d")
    if dt is None:
        return without_channel(plain(body))
    if not (isinstance(dt, Number) and INTEGER.fullmatch(dt)):
        return Other("UnknownMessage", (None, plain(body)))
    channel = int(dt)
    if channel in BOOKS:
        return Other("OrderBook", ())
    if channel not in COLUMNS:
        return Other("UnknownMessage", (channel, plain(body)))
    envelope_ts = integer(one(body, "ts"))
    is_list = isinstance(data, list) and not isinstance(data, Object)
    rows = [read_row(channel, item, envelope_ts) for item in (data if is_list else [data])]
    match COLUMNS[channel][0]:
        case "ChainRow":
            return read_chain(rows)
        case "Trade":
            return Rows("Trades", rows)
        case _ if is_list:
            return Rows("list", rows)
        case _:
            return rows[0]

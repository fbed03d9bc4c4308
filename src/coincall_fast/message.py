"""The messages of all venues: what they are made of, and the keys that say it.

One class a concept: a push, a REST answer and another venue's message of the same thing are one
class. Each attribute is one line: what it is, and its keys, one text for each column of its class.
Where a text has two keys, the first that has a value is taken. A new key is a word here, a new
channel a line in wire.py; the compiled decoder is told both once.

Sources: contract, section 3; seeds 000, 001 and 003; protocol page, sections 2.2 to 2.5 and 3.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, ClassVar

from ._message import Message
from .errors import DecodeError
from .model import OrderState, OrderType, PositionState, Side, TimeInForce
from .records import (
    Plain,
    Record,
    Records,
    Table,
    anything,
    code,
    code_or_name,
    columns,
    flag,
    identifier,
    integer,
    number,
    quote,
    text,
    volatility,
)

__all__ = [
    "Account",
    "Ack",
    "ChainRow",
    "Fill",
    "FillSignal",
    "Heartbeat",
    "InsuranceFund",
    "Kline",
    "Message",
    "OptionChain",
    "Order",
    "PortfolioRisk",
    "Position",
    "Record",
    "RiskEvent",
    "Ticker",
    "Trade",
    "Trades",
    "UnknownMessage",
    "body_of",
    "message_of",
]

# fmt: off


@columns("push", "rest")
class Kline(Record):
    """The bar of a period as it stands."""

    __slots__ = ()
    symbol              = text("s", "")
    period              = text("pe", "period")
    open                = number("open", "open")
    high                = number("high", "high")
    low                 = number("low", "low")
    close               = number("close", "close")
    volume              = number("v", "volume")
    ts_ms               = integer("ts", "time")


@columns("options", "futures", "rest")
class Ticker(Record):
    """Prices, greeks and volumes of one instrument. Coincall's has no bid and no ask.

    ``iv`` is that of the mark price. A bid or ask of 0 is what the venue sent: no quote.
    """

    __slots__ = ()
    symbol              = text("s", "s", "symbol")
    mark_price          = number("mp", "mp", "markPrice")
    last_price          = number("lp", "pr lp", "lastPrice price")
    index_price         = number("ip", "ip", "indexPrice")
    underlying_price    = number("up", "", "underlyingPrice")
    iv                  = volatility("iv", "", "iv")
    delta               = number("delta", "", "delta")
    gamma               = number("gamma", "", "gamma")
    theta               = number("theta", "", "theta")
    vega                = number("vega", "", "vega")
    open_interest       = number("oi", "oi", "openInterest")
    high_24h            = number("h", "h", "price24hHigh")
    low_24h             = number("l", "l", "price24hLow")
    open_24h            = number("pr0", "pr0", "price24hOpen")
    price_change        = number("cp", "cp", "changePrice")
    price_change_rate   = number("cr", "cr", "changeRate")
    volume              = number("v tv", "", "volume")
    volume_24h          = number("v24", "v24", "volume24h")
    volume_change       = number("", "cv", "")
    trade_value         = number("uv tva", "", "volumeUsd")
    volume_usd_24h      = number("uv24", "uv24", "volumeUsd24h")
    remaining_ms        = integer("rt", "", "remainTime")
    ts_ms               = integer("ts", "ts", "")  # that of REST is no epoch time (seed 003, 762)
    bid                 = number()
    ask                 = number()
    bid_size            = number()
    ask_size            = number()
    bid_iv              = volatility()
    ask_iv              = volatility()
    rho                 = number()
    delivery_price      = number()  # as it would be now
    leverage            = number()


class ChainColumns:
    """The numbers of an option in a chain. What is absent is nan, and so is a quote of 0."""

    __slots__ = ()
    mark_price          = number("mp", "markPrice")
    last_price          = number("lp", "lastPrice")
    bid                 = quote("bid", "bid")
    ask                 = quote("ask", "ask")
    bid_size            = number("bs bv", "bidSize")
    ask_size            = number("as av", "askSize")
    bid_iv              = volatility("biv", "bidIv")
    ask_iv              = volatility("aiv", "askIv")
    mark_iv             = volatility("miv", "markIv")
    delta               = number("delta", "delta")
    gamma               = number("gamma", "gamma")
    theta               = number("theta", "theta")
    vega                = number("vega", "vega")
    price_change        = number("cp", "changePrice")
    price_change_rate   = number("cr", "changeRate")
    volume              = number("v tv", "volume")
    volume_24h          = number("v24", "")
    open_interest       = number("oi", "openInterest")
    underlying_price    = number("up", "underlyingPrice")
    underlying_value    = number("upv", "")


@columns("push", "rest", computed=True)
class ChainRow(Record, ChainColumns):
    """One option of an `OptionChain`."""

    __slots__ = ()
    symbol              = text("s", "symbol")
    ts_ms               = integer("ts", "")

    @staticmethod
    def terms_of(symbol: str) -> tuple[float, bool]:
        """The strike that an option's symbol names, and whether it is a call; else nan, False."""
        _, _, end = symbol.partition("-")[2].partition("-")
        strike, _, right = end.partition("-")
        if right not in ("C", "P") or not strike.replace(".", "", 1).isdecimal():
            return float("nan"), False
        return float(strike), right == "C"

    @property
    def strike(self) -> float:
        return self.terms_of(self.symbol or "")[0]

    @property
    def is_call(self) -> bool:
        return self.terms_of(self.symbol or "")[1]


class OptionChain(Table, ChainColumns):
    """All options of one expiry, an option a row, in the order of the wire; an attribute an array.

    ``chain.bid_iv[chain.delta > 0.2]`` is numpy's; ``chain["BTCUSD-27MAY23-24000-C"]`` is a
    `ChainRow`, and iteration gives them all.
    """

    __slots__ = ()
    row: ClassVar[type[Record]] = ChainRow


@columns("lastTrade", "lastTradeV2", "rest")
class Trade(Record):
    """One public trade; the side is the taker's.

    Coincall's lastTrade has no id and says the last ones again.
    """

    __slots__ = ()
    symbol              = text("s", "symbol", "symbol")
    price               = number("pr", "matchPrice", "price")
    qty                 = number("q v", "matchQty", "qty")
    value               = number("", "matchValue", "")
    trade_id            = identifier("", "tradeId", "tradeId")
    side                = code(Side, "sd", "tradeSide", "tradeSide")
    ts_ms               = integer("ts", "tradeTime", "time")
    iv                  = volatility()
    mark_iv             = volatility()
    mark_price          = number()
    index_price         = number()
    underlying_price    = number()
    is_block            = flag()


class Trades(Records):
    """The public trades of one frame, in its order: a sequence of `Trade`."""

    __slots__ = ()
    row: ClassVar[type[Record]] = Trade


@columns("push", "rest")
class Account(Record):
    """Balances and margins of the account, in dollars where nothing else is said."""

    __slots__ = ()
    equity              = number("e", "equity equityAmount")
    margin_balance      = number("mb", "marginBalance")
    available_balance   = number("ab", "availableMargin availableBalance")
    withdrawable        = number("wb", "canWithdrawAmount")
    initial_margin      = number("im", "imAmount")
    maintenance_margin  = number("mm", "mmAmount")
    unrealized_pnl      = number("upnl", "unrealizedPnL unrealizedAmount")
    dollar_value        = number("dv", "totalDollarValue dollarValue")
    btc_value           = number("btcv", "totalBtcValue btcValue")
    delta               = number("delta", "delta")
    available_with_trail = number("atwt", "")
    assets              = anything("assets", "accounts")
    user_id             = identifier("uid u", "accountId")
    ts_ms               = integer("ts", "")
    balance             = number()
    change              = number()  # of the balance; `reason` says what made it
    reason              = text()
    option_value        = number()
    margin_ratio        = number()
    currency            = text()


@columns("push")
class FillSignal(Record):
    """Something was filled, of the edition of May 2023."""

    __slots__ = ()
    symbol              = text("s")
    event_type          = integer("et")
    ts_ms               = integer("ts")


@columns("push", "rest")
class Order(Record):
    """An order of one's own as it stands; ``match_price`` and ``match_qty`` are the last fill's.

    Its ``state`` is an `OrderState` where the venue's means one, else what the venue sent.
    """

    __slots__ = ()
    order_id            = identifier("oid", "orderId id")
    client_order_id     = identifier("coid", "clientOrderId")
    user_id             = identifier("uid", "userId")
    symbol              = text("s", "symbol")
    qty                 = number("q", "qty")
    price               = number("pr", "price")
    remaining_qty       = number("rq", "remainQty")
    filled_qty          = number("fq", "fillQty")
    canceled_qty        = number("cq", "")
    match_price         = number("mpr", "")
    match_qty           = number("mq", "")
    average_price       = number("ap", "avgPrice")
    side                = code(Side, "si", "tradeSide")
    order_type          = code(OrderType, "ty", "tradeType")
    created_ms          = integer("ct", "createTime")
    ts_ms               = integer("ts", "updateTime")
    reduce_only         = flag("ro", "reduceOnly")
    leverage            = number("le", "leverage")
    is_taker            = flag("it", "isTaker")
    state               = code(OrderState, "os", "state")
    time_in_force       = code_or_name(TimeInForce, "tif", "timeInForce")
    initial_margin      = number("", "initMargin")
    index_price         = number("", "indexPrice")
    trigger_price       = number("", "triggerPrice")
    fee                 = number("", "fee")
    realized_pnl        = number("", "rpnl")
    value               = number()  # of what is filled
    iv                  = volatility()
    reason              = text()    # why it is in its state

    @property
    def is_open(self) -> bool | None:
        """Whether more may happen to it; None where its state is not known."""
        state: object = self.state
        if isinstance(state, OrderState):
            return state.is_open
        return _IS_OPEN.get(state) if isinstance(state, str) else None

    @property
    def is_terminal(self) -> bool | None:
        """Whether nothing more will happen to it; None where its state is not known."""
        is_open = self.is_open
        return None if is_open is None else not is_open


# States of other venues that no `OrderState` means; the last two tell that it is done, not how.
_IS_OPEN = {"Triggered": True, "Deactivated": False, "closed": False, "finished": False}


@columns("push", "rest")
class Position(Record):
    """One position. The profit is by last price for options, by mark price for futures."""

    __slots__ = ()
    symbol              = text("s", "symbol")
    qty                 = number("q", "qty")
    side                = code(Side, "si", "tradeSide")
    average_price       = number("ap", "avgPrice")
    mark_price          = number("mp", "markPrice")
    last_price          = number("lp", "lastPrice")
    initial_margin      = number("im", "initMargin")
    maintenance_margin  = number("mm", "maintMargin")
    liquidation_price   = number("elp", "elp")
    unrealized_pnl      = number("upnl", "upnl")
    leverage            = number("le", "leverage")
    state               = code(PositionState, "os", "")
    delta               = number("delta", "delta")
    gamma               = number("gamma", "gamma")
    theta               = number("theta", "theta")
    vega                = number("vega", "vega")
    rho                 = number("rho", "rho")
    user_id             = identifier("uid", "userId")
    index_price         = number("", "indexPrice")
    ts_ms               = integer("ts", "updateTime")
    realized_pnl        = number()
    value               = number()
    iv                  = volatility()
    created_ms          = integer()


@columns("options", "futures", "rest")
class Fill(Record):
    """One fill of an order of one's own."""

    __slots__ = ()
    trade_id            = identifier("tradeId", "tid", "tradeId")
    order_id            = identifier("orderId", "oid", "orderId")
    client_order_id     = identifier("clientOrderId", "coid", "clientOrderId")
    symbol              = text("symbol", "s", "symbol")
    side                = code(Side, "orderSide", "si", "tradeSide")
    price               = number("matchPrice", "mpr", "price")
    qty                 = number("matchQty", "mq", "qty")
    value               = number("matchValue", "mv", "")
    remaining_qty       = number("remainQty", "rq", "")
    fee                 = number("", "tf", "fee")
    fee_rate            = number("feeRate", "fr", "")
    is_taker            = flag("isTaker", "it", "isTaker")
    ts_ms               = integer("tradeTime", "ts", "time")
    user_id             = identifier()
    execution_type      = text()  # whether it is a trade at all, or a delivery, a settlement...
    iv                  = volatility()
    mark_iv             = volatility()
    mark_price          = number()
    index_price         = number()
    underlying_price    = number()


# What Coincall has no channel for.


@columns()
class PortfolioRisk(Record):
    """The risk of one coin's options, or of the whole account where ``coin`` is None."""

    __slots__ = ()
    coin                = text()
    delta               = number()
    gamma               = number()
    vega                = number()
    theta               = number()
    margin_used         = number()
    margin_required     = number()
    leverage            = number()
    var                 = number()  # value at risk
    ts_ms               = integer()

    @property
    def scope(self) -> str:
        """``"coin"`` or ``"account"``."""
        return "coin" if self.coin else "account"


@columns()
class RiskEvent(Record):
    """The venue's market maker protection did something, which ``state`` names."""

    __slots__ = ()
    coin                = text()
    state               = text()
    frozen_ms           = integer()  # for how long; 0 until it is reset by hand
    ts_ms               = integer()


@columns()
class InsuranceFund(Record):
    """What is in the venue's insurance fund."""

    __slots__ = ()
    coin                = text()
    balance             = number()
    ts_ms               = integer()


# fmt: on


@dataclass(frozen=True, slots=True)
class Heartbeat(Plain):
    """The venue's answer to a heartbeat: ``{"c":11,"rc":1}`` (seed 000, HeartBeat)."""

    rc: int | None


@dataclass(frozen=True, slots=True)
class Ack(Plain):
    """The venue's answer to a request on a stream (protocol page, section 3.1).

    ``action`` is lower case, or ``None`` where the venue did not say; ``detail`` is the whole body.
    One that refuses some of what was asked for is not ``ok``.
    """

    action: str | None
    ok: bool
    detail: dict[str, Any]


@dataclass(frozen=True, slots=True)
class UnknownMessage(Plain):
    """A frame of a channel that this version does not decode; ``body`` is it, parsed."""

    dt: int | None = field()  # and not the property of the base
    body: Any = field()
    channel: str | None = field(default=None, compare=False)


def _code(said: Any) -> Any:
    """A code that came as a text; what is none is left alone."""
    text = said.strip(" ") if isinstance(said, str) else ""
    return int(text) if re.fullmatch("-?[0-9]{1,640}", text) else said


def body_of(frame: bytes | bytearray | memoryview | str) -> Any:
    """A frame, parsed; that it is JSON has been checked."""
    try:
        return json.loads(bytes(frame) if isinstance(frame, memoryview) else frame)
    except ValueError as error:  # an integer of more digits than CPython converts
        raise DecodeError(f"a message that Python cannot hold: {error}") from None


def message_of(
    frame: bytes | bytearray | memoryview | str, channels: Mapping[int, str] = MappingProxyType({})
) -> Message:
    """A frame of Coincall that is neither book nor row; that it is JSON has been checked.

    channels: names by code, of those that are known though they are not decoded.
    """
    body = body_of(frame)
    if not isinstance(body, dict):
        return UnknownMessage(None, body)
    dt = body.get("dt")
    if dt is not None:
        code = dt if type(dt) is int else None
        return UnknownMessage(code, body, None if code is None else channels.get(code))
    c, rc = _code(body.get("c")), _code(body.get("rc"))
    if c == 11:
        if rc is not None and type(rc) is not int:
            raise DecodeError("rc: not an integer")
        return Heartbeat(rc)
    if "result" in body or "msg" in body or rc not in (None, 1):
        action = body.get("action")
        return Ack(
            action.lower() if isinstance(action, str) else None,
            str(body.get("result")).lower() in ("success", "true") and rc in (None, 1),
            body,
        )
    return UnknownMessage(None, body)

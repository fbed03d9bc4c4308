"""Bybit's messages: the topics of the USDC options of 2022, and those of today's version 5.

Sources: seed 002; protocol page, sections 1.4, 1.6 and 1.8. Version 5 is from the venue's public
pages alone (https://bybit-exchange.github.io/docs/v5/websocket/...), and was never seen live.
"""

from typing import Any

from .message import (
    Account,
    Ack,
    Fill,
    Heartbeat,
    InsuranceFund,
    Message,
    Order,
    PortfolioRisk,
    Position,
    RiskEvent,
    Ticker,
    Trade,
    Trades,
    UnknownMessage,
    body_of,
)
from .model import Channel, OrderState, OrderType, Side, TimeInForce
from .records import (
    anything,
    flag,
    integer,
    label,
    magnitude,
    number,
    spelled,
    text,
    volatility,
    word,
)
from .topics import Envelope, Part, TopicRow

__all__ = ["ENVELOPE", "other"]

SIDES = {"Buy": Side.BUY, "Sell": Side.SELL}
ORDER_TYPES = {"Limit": OrderType.LIMIT, "Market": OrderType.MARKET}
TIMES_IN_FORCE = {
    "GoodTillCancel": TimeInForce.GTC,
    "ImmediateOrCancel": TimeInForce.IOC,
    "FillOrKill": TimeInForce.FOK,
    "PostOnly": TimeInForce.POST_ONLY,
    "GTC": TimeInForce.GTC,
    "IOC": TimeInForce.IOC,
    "FOK": TimeInForce.FOK,
}
# Of version 5 from "Untriggered" on: .../docs/v5/enum#orderstatus.
STATES = {
    "New": OrderState.NEW,
    "PartiallyFilled": OrderState.PARTIALLY_FILLED,
    "Filled": OrderState.FILLED,
    "Cancelled": OrderState.CANCELED,
    "Rejected": OrderState.INVALID,
    "Untriggered": OrderState.WAITING_EFFECT,
    "PartiallyFilledCanceled": OrderState.CANCELED,
}

# fmt: off

V1, V5 = "bybit v1", "bybit v5"

# instrument_info (seed 002), and .../docs/v5/websocket/public/ticker, which has the same keys but
# for two. The IVs are fractions; a price or size of "0" is no quote.
spelled(
    Ticker, V1,
    symbol=text("symbol"),
    bid=number("bidPrice"), bid_size=number("bidSize"), bid_iv=volatility("bidIv"),
    ask=number("askPrice"), ask_size=number("askSize"), ask_iv=volatility("askIv"),
    last_price=number("lastPrice"),
    mark_price=number("markPrice"), iv=volatility("markPriceIv"),
    index_price=number("indexPrice"), underlying_price=number("underlyingPrice"),
    delta=number("delta"), gamma=number("gamma"), theta=number("theta"), vega=number("vega"),
    open_interest=number("openInterest"),
    price_change_rate=number("change24h"),
    high_24h=number("high24h", "highPrice24h"), low_24h=number("low24h", "lowPrice24h"),
    volume_24h=number("volume24h"), volume_usd_24h=number("turnover24h"),
    volume=number("totalVolume"), trade_value=number("totalTurnover"),
    delivery_price=number("predictedDeliveryPrice"),
)

# recenttrades. The last six keys came in 2022 (protocol page, section 1.6).
spelled(
    Trade, V1,
    symbol=text("symbol"), trade_id=label("tradeId"),
    price=number("price"), qty=number("size"), side=word(SIDES, "side"),
    ts_ms=integer("tradeTime"),
    iv=volatility("iv"), mark_iv=volatility("markIv"),
    mark_price=number("markPrice"), index_price=number("indexPrice"),
    underlying_price=number("underlyingPrice"), is_block=flag("isBlockTrade"),
)

# .../docs/v5/websocket/public/trade
spelled(
    Trade, V5,
    symbol=text("s"), trade_id=label("i"),
    price=number("p"), qty=number("v"), side=word(SIDES, "S"),
    ts_ms=integer("T"),
    iv=volatility("iv"), mark_iv=volatility("mIv"),
    mark_price=number("mP"), index_price=number("iP"), is_block=flag("BT"),
)

spelled(
    InsuranceFund, V1,
    coin=text("baseCoin", "settleCoin"),  # renamed in August 2022
    balance=number("insuranceBalance"), ts_ms=integer("timestamp"),
)

spelled(
    RiskEvent, V1,
    coin=text("baseCoin"), state=text("triggerStatus"),
    frozen_ms=integer("frozenPeriodMs"), ts_ms=integer("triggerTimestamp"),
)

# user.openapi.greeks, and .../docs/v5/websocket/private/greek
for column, coin in (V1, "coin"), (V5, "baseCoin"):
    spelled(
        PortfolioRisk, column,
        coin=text(coin),
        delta=number("totalDelta"), gamma=number("totalGamma"),
        vega=number("totalVega"), theta=number("totalTheta"),
    )

# The size of a short one has a sign, and the side besides. The profit since the last settlement
# stands in where that since entry is not said.
spelled(
    Position, V1,
    symbol=text("symbol"), side=word(SIDES, "side"), qty=magnitude("size"),
    average_price=number("entryPrice"), mark_price=number("markPrice"),
    initial_margin=number("positionIM"), maintenance_margin=number("positionMM"),
    unrealized_pnl=number("positionUPL", "sessionUPL"), realized_pnl=number("sessionRPL"),
    iv=volatility("iv"),
    created_ms=integer("createdAt"), ts_ms=integer("updatedAt"),
)

# .../docs/v5/websocket/private/position
spelled(
    Position, V5,
    symbol=text("symbol"), side=word(SIDES, "side"), qty=magnitude("size"),
    average_price=number("entryPrice", "avgPrice"), mark_price=number("markPrice"),
    initial_margin=number("positionIM"), maintenance_margin=number("positionMM"),
    liquidation_price=number("liqPrice"), leverage=number("leverage"),
    unrealized_pnl=number("unrealisedPnl"), realized_pnl=number("curRealisedPnl"),
    value=number("positionValue"),
    delta=number("delta"), gamma=number("gamma"), vega=number("vega"), theta=number("theta"),
    created_ms=integer("createdTime"), ts_ms=integer("updatedTime"),
)

spelled(
    Fill, V1,
    order_id=label("orderId"), client_order_id=label("orderLinkId"), trade_id=label("tradeId"),
    symbol=text("symbol"), side=word(SIDES, "side"),
    price=number("execPrice"), qty=number("execQty"),
    fee=number("execFee"), fee_rate=number("feeRate"),
    is_taker=word({"TAKER": 1, "MAKER": 0}, "lastLiquidityInd"),
    execution_type=text("execType"),
    iv=volatility("iv"), mark_iv=volatility("markIv"),
    mark_price=number("markPrice"), index_price=number("indexPrice"),
    underlying_price=number("underlyingPrice"),
    ts_ms=integer("tradeTime"),
)

# .../docs/v5/websocket/private/execution
spelled(
    Fill, V5,
    order_id=label("orderId"), client_order_id=label("orderLinkId"), trade_id=label("execId"),
    symbol=text("symbol"), side=word(SIDES, "side"),
    price=number("execPrice"), qty=number("execQty"), value=number("execValue"),
    remaining_qty=number("leavesQty"),
    fee=number("execFee"), fee_rate=number("feeRate"),
    is_taker=word({"true": 0, "false": 1}, "isMaker"),
    execution_type=text("execType"),
    iv=volatility("tradeIv"), mark_iv=volatility("markIv"),
    mark_price=number("markPrice"), index_price=number("indexPrice"),
    underlying_price=number("underlyingPrice"),
    ts_ms=integer("execTime"),
)

_ORDER = {
    "order_id": label("orderId"), "client_order_id": label("orderLinkId"),
    "symbol": text("symbol"), "side": word(SIDES, "side"),
    "price": number("price"), "qty": number("qty"),
    "filled_qty": number("cumExecQty"), "remaining_qty": number("leavesQty"),
    "value": number("cumExecValue"), "fee": number("cumExecFee"),
    "order_type": word(ORDER_TYPES, "orderType"),
    "time_in_force": word(TIMES_IN_FORCE, "timeInForce"),
    "state": word(STATES, "orderStatus"), "reduce_only": flag("reduceOnly"),
}
spelled(
    Order, V1, **_ORDER,
    initial_margin=number("orderIM"), realized_pnl=number("realisedPnl"), iv=volatility("iv"),
    reason=text("cancelType"),
    created_ms=integer("createdAt"), ts_ms=integer("updatedAt"),
)
# .../docs/v5/websocket/private/order. Both reasons are always there: "EC_NoError" of a rejection is
# none, and "UNKNOWN" of a cancellation.
spelled(
    Order, V5, **_ORDER,
    average_price=number("avgPrice"), trigger_price=number("triggerPrice"),
    realized_pnl=number("closedPnl"), iv=volatility("orderIv"), reason=text("cancelType"),
    created_ms=integer("createdTime"), ts_ms=integer("updatedTime"),
)

# .../docs/v5/websocket/private/wallet: a unified account in dollars, its coins in `assets`.
spelled(
    Account, V5,
    equity=number("totalEquity"), balance=number("totalWalletBalance"),
    margin_balance=number("totalMarginBalance"), available_balance=number("totalAvailableBalance"),
    initial_margin=number("totalInitialMargin"),
    maintenance_margin=number("totalMaintenanceMargin"),
    unrealized_pnl=number("totalPerpUPL"),
    assets=anything("coin"),
)

# fmt: on

ENVELOPE = Envelope(
    frame={
        "id": Part.IGNORED,
        "topic": Part.CHANNEL,
        "creationTime": Part.TIME,
        "ts": Part.TIME,
        "type": Part.KIND,
        "data": Part.DATA,
    },
    data={
        "result": Part.ROWS,
        "trades": Part.ROWS,
        "version": Part.VERSION,
        "baseLine": Part.BASE_LINE,
        "dataType": Part.KIND,
    },
    whole=("NEW", "snapshot"),
    parts=("CHANGE", "delta"),
    topics=(
        TopicRow("instrument_info.", Channel.TICKER, Ticker, V1),
        TopicRow("recenttrades.", Channel.TRADES, Trades, V1, nested=True),
        TopicRow("platform.insurance.USDC", None, InsuranceFund, V1),
        TopicRow("user.openapi.option.position", Channel.POSITIONS, Position, V1, nested=True),
        TopicRow("user.openapi.option.trade", Channel.FILLS, Fill, V1, nested=True),
        TopicRow("user.openapi.option.order", Channel.ORDERS, Order, V1, nested=True),
        TopicRow("user.openapi.greeks", None, PortfolioRisk, V1, nested=True),
        TopicRow("user.mmp.event", None, RiskEvent, V1),
        TopicRow("tickers.", Channel.TICKER, Ticker, V1),
        TopicRow("publicTrade.", Channel.TRADES, Trades, V5),
        TopicRow("position", Channel.POSITIONS, Position, V5),
        TopicRow("position.", Channel.POSITIONS, Position, V5),
        TopicRow("execution", Channel.FILLS, Fill, V5),
        TopicRow("execution.", Channel.FILLS, Fill, V5),
        TopicRow("order", Channel.ORDERS, Order, V5),
        TopicRow("order.", Channel.ORDERS, Order, V5),
        TopicRow("wallet", Channel.ACCOUNT, Account, V5),
        TopicRow("greeks", None, PortfolioRisk, V5),
    ),
)


def other(frame: bytes | bytearray | memoryview | str) -> Message:
    """A frame that is neither book nor row: an answer, or what is not known.

    Answers of 2022 say what they are in ``type``, those of today mostly in ``op``; an
    acknowledgement of options says neither what it answers (section 1.4).
    """
    body: Any = body_of(frame)
    if not isinstance(body, dict):
        return UnknownMessage(None, body)
    kind, op = body.get("type"), body.get("op")
    if op == "pong" or (op == "ping" and body.get("ret_msg") == "pong"):
        return Heartbeat(None)
    if kind in ("AUTH_RESP", "COMMAND_RESP") or ("success" in body and "topic" not in body):
        data = body.get("data")
        failed = data.get("failTopics") if isinstance(data, dict) else None
        action = "auth" if kind == "AUTH_RESP" else op
        return Ack(
            action.lower() if isinstance(action, str) else None,
            body.get("success") is True and not failed,
            body,
        )
    topic = body.get("topic")
    return UnknownMessage(None, body, topic if isinstance(topic, str) else None)

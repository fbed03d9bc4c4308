"""Gate's messages: the private channels as the seed has them and as the venue does, and the public.

The seed sends one object, all in texts; the venue a list of them, with sizes whose sign is the
side. Sizes are contracts. Sources: seed 004; protocol page, sections 2.1 and 2.3 to 2.5.
"""

from decimal import Context, Decimal, Inexact, InvalidOperation
from typing import Any

from .errors import DecodeError
from .message import (
    Account,
    Ack,
    Fill,
    Heartbeat,
    Kline,
    Message,
    Order,
    PortfolioRisk,
    Position,
    Ticker,
    Trade,
    Trades,
    UnknownMessage,
    body_of,
)
from .model import Channel, OrderState, OrderType, TimeInForce
from .records import (
    derived,
    flag,
    integer,
    label,
    magnitude,
    number,
    seconds,
    signed,
    spelled,
    text,
    volatility,
    word,
)
from .topics import Envelope, Part, TopicRow

__all__ = ["ENVELOPE", "other"]

ORDER_TYPES = {"limit": OrderType.LIMIT, "market": OrderType.MARKET}
TIMES_IN_FORCE = {
    "gtc": TimeInForce.GTC,
    "ioc": TimeInForce.IOC,
    "poc": TimeInForce.POST_ONLY,
    "fok": TimeInForce.FOK,
}
# What a finished order has come to; of what is not here, it is only known that it is done.
OUTCOMES = {
    "filled": OrderState.FILLED,
    "cancelled": OrderState.CANCELED,
    "ioc": OrderState.CANCELED,
    "reduce_only": OrderState.CANCELED,
    "liquidated": OrderState.CANCELED,
    "position_closed": OrderState.CANCELED,
}


# Where sizes are added up nothing is rounded.
_EXACT = Context(prec=640, traps=[Inexact, InvalidOperation])


def _size(row: dict[str, Any], key: str) -> Decimal | None:
    """A size without its sign; None where it is not said. What it is has been checked."""
    said = row.get(key)
    if said is None or (isinstance(said, str) and said.strip(" ") in ("", "None")):
        return None
    return Decimal(said).copy_abs()


def _state(row: dict[str, Any]) -> Any:
    """That of an order: one that is open may be partly filled, one that is finished may not."""
    status = row.get("status")
    if status is not None and not isinstance(status, str):
        raise DecodeError("status: not a text")
    if status == "open":
        size, left = _size(row, "size"), _size(row, "left")
        is_whole = left is None or left == size
        return OrderState.NEW if is_whole else OrderState.PARTIALLY_FILLED
    outcome = row.get("finish_as")
    return OUTCOMES.get(outcome, status) if isinstance(outcome, str) else status or None


def _filled(row: dict[str, Any]) -> Decimal | None:
    size, left = _size(row, "size"), _size(row, "left")
    if size is None or left is None:
        return None
    if left > size:
        raise DecodeError("left: more than there was")
    return _EXACT.subtract(size, left)


def _bar(row: dict[str, Any]) -> tuple[str, str]:
    """The period and the symbol of a bar: ``"10s_BTC_USDT-20211130-65000-C"``."""
    name = row.get("n")
    if not isinstance(name, str):
        raise DecodeError("n: not a text")
    period, _, symbol = name.partition("_")
    return period, symbol


# fmt: off

SEED, OFFICIAL = "gate seed", "gate"

for column in SEED, OFFICIAL:
    spelled(
        Position, column,
        symbol=text("contract"), qty=signed("size"),
        average_price=number("entry_price"), mark_price=number("mark_price"),
        realized_pnl=number("realised_pnl"), unrealized_pnl=number("unrealised_pnl"),
        delta=number("delta"), gamma=number("gamma"), vega=number("vega"), theta=number("theta"),
        user_id=label("user"), ts_ms=(integer("time_ms"), seconds("time")),
    )

# The size is never negative there, and no side is said.
spelled(
    Order, SEED,
    order_id=label("id"), symbol=text("contract"), qty=magnitude("size"),
    price=number("price"), average_price=number("fill_price"),
    state=derived(_state), order_type=word(ORDER_TYPES, "type"),
    time_in_force=word(TIMES_IN_FORCE, "tif"),
    created_ms=seconds("create_time"), ts_ms=seconds("finish_time"),
)

spelled(
    Order, OFFICIAL,
    order_id=label("id"), client_order_id=text("text"), user_id=label("user"),
    symbol=text("contract"), qty=signed("size"), remaining_qty=magnitude("left"),
    filled_qty=derived(_filled),
    price=number("price"), average_price=number("fill_price"),
    state=derived(_state), time_in_force=word(TIMES_IN_FORCE, "tif"),
    reduce_only=flag("is_reduce_only"),
    created_ms=seconds("create_time"), ts_ms=(integer("time_ms"), seconds("time")),
)

# An account there, a booking here. In the seed's example the total is what is available, the
# options and the profit together.
spelled(
    Account, SEED,
    equity=number("total"), available_balance=number("available"),
    unrealized_pnl=number("unrealized_pnl"), option_value=number("option_value"),
    margin_ratio=number("margin_ratio"), currency=text("currency"),
)
spelled(
    Account, OFFICIAL,
    balance=number("balance"), change=number("change"), reason=text("type"),
    user_id=label("user"), ts_ms=(integer("time_ms"), seconds("time")),
)

# The seed alone has this channel.
spelled(
    PortfolioRisk, SEED,
    delta=number("total_delta"), gamma=number("total_gamma"),
    vega=number("total_vega"), theta=number("total_theta"),
    margin_used=number("margin_occupied"), margin_required=number("margin_required"),
    leverage=number("effective_leverage"), var=number("portfolio_var"),
)

spelled(
    Fill, OFFICIAL,
    trade_id=label("id"), order_id=label("order", "order_id"), client_order_id=text("text"),
    user_id=label("user"), symbol=text("contract"),
    price=number("price"), qty=signed("size"), fee=number("fee"),
    is_taker=word({"taker": 1, "maker": 0}, "role"),
    ts_ms=(integer("create_time_ms"), seconds("create_time")),
)

spelled(
    Trade, OFFICIAL,
    symbol=text("contract"), trade_id=label("id"), price=number("price"), qty=signed("size"),
    ts_ms=(integer("create_time_ms"), seconds("create_time")),
)

spelled(
    Ticker, OFFICIAL,
    symbol=text("name"),
    bid=number("bid1_price"), bid_size=number("bid1_size"), bid_iv=volatility("bid_iv"),
    ask=number("ask1_price"), ask_size=number("ask1_size"), ask_iv=volatility("ask_iv"),
    last_price=number("last_price"), mark_price=number("mark_price"), iv=volatility("mark_iv"),
    index_price=number("index_price"), open_interest=number("position_size"),
    delta=number("delta"), gamma=number("gamma"), theta=number("theta"), vega=number("vega"),
    rho=number("rho"), leverage=number("leverage"),
)

# options.book_ticker
BEST = spelled(
    Ticker, "gate best",
    symbol=text("s"), bid=number("b"), bid_size=number("B"), ask=number("a"), ask_size=number("A"),
    ts_ms=integer("t"),
)

spelled(
    Kline, OFFICIAL,
    symbol=derived(lambda row: _bar(row)[1]), period=derived(lambda row: _bar(row)[0]),
    open=number("o"), high=number("h"), low=number("l"), close=number("c"), volume=number("v"),
    ts_ms=seconds("t"),
)

# fmt: on

ENVELOPE = Envelope(
    frame={
        "time": Part.SECONDS,
        "time_ms": Part.TIME,
        "channel": Part.CHANNEL,
        "event": Part.EVENT,
        "error": Part.ERROR,
        "result": Part.DATA,
    },
    data={},
    events=("update", "all"),
    topics=(
        TopicRow("options.orders", Channel.ORDERS, Order, OFFICIAL, alone=SEED),
        TopicRow("options.positions", Channel.POSITIONS, Position, OFFICIAL, alone=SEED),
        TopicRow("options.balances", Channel.ACCOUNT, Account, OFFICIAL, alone=SEED),
        TopicRow("options.portfolio", None, PortfolioRisk, SEED),
        TopicRow("options.usertrades", Channel.FILLS, Fill, OFFICIAL),
        TopicRow("options.trades", Channel.TRADES, Trades, OFFICIAL),
        TopicRow("options.ul_trades", None, Trades, OFFICIAL),
        TopicRow("options.contract_tickers", Channel.TICKER, Ticker, OFFICIAL),
        TopicRow("options.book_ticker", None, Ticker, BEST),
        TopicRow("options.contract_candlesticks", Channel.KLINE, Kline, OFFICIAL),
        TopicRow("options.ul_candlesticks", None, Kline, OFFICIAL),
    ),
)


def other(frame: bytes | bytearray | memoryview | str) -> Message:
    """A frame that is neither book nor row: an answer, or what is not known (section 2.3).

    An error is told by ``error``, and in the seed's form by its event; the ``result`` is not asked,
    but for a status that is another than "success".
    """
    body: Any = body_of(frame)
    if not isinstance(body, dict):
        return UnknownMessage(None, body)
    channel, event, error = body.get("channel"), body.get("event"), body.get("error")
    if channel == "options.pong":
        return Heartbeat(None)
    if event in ("subscribe", "unsubscribe", "error") or error is not None:
        result = body.get("result")
        status = result.get("status", "success") if isinstance(result, dict) else "success"
        action = event if event in ("subscribe", "unsubscribe") else None
        return Ack(action, event != "error" and error is None and status == "success", body)
    return UnknownMessage(None, body, channel if isinstance(channel, str) else None)

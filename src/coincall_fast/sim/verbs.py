"""What a signed request to trade does, and what it is answered with.

Seed 003 for the single verbs; batches, countdown and protection from today's docs (protocol page,
sections 2.1, 2.4 and 2.7).
"""

from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, NamedTuple

from . import refusals
from .guards import Mmp
from .instruments import FUTURES, OPTIONS, PAIRS
from .keys import Key
from .margin import leverage
from .refusals import RefusedError
from .rest_orders import Fields
from .tickets import find_instrument, integer
from .venue import Venue

__all__ = [
    "Call",
    "batch_cancel",
    "batch_create",
    "batch_modify",
    "beat",
    "cancel",
    "cancel_index",
    "cancel_symbol",
    "countdowns",
    "create",
    "get_leverage",
    "get_mmp",
    "modify",
    "reset_mmp",
    "set_countdown",
    "set_leverage",
    "set_mmp",
]

_MAX_BATCH = 40
_TYPES = {1: OPTIONS, 2: FUTURES}  # 3 is spot, which is not simulated
_MIN_INTERVAL_MS = 1_000
_MAX_INTERVAL_MS = 100_000_000


class Call(NamedTuple):
    """One request: whose, to which product, with what in its path and its parameters."""

    venue: Venue
    key: Key
    product: str
    path: dict[str, str]
    fields: Fields

    @property
    def user_id(self) -> int:
        return self.key.user_id


def create(call: Call) -> int:
    """POST …/order/create/v1."""
    return call.venue.desk.place(call.user_id, call.product, call.fields).order_id


def modify(call: Call) -> int:
    """POST …/order/modify/v1."""
    return call.venue.desk.modify(call.user_id, call.product, call.fields).order_id


def cancel(call: Call) -> str | None:
    """POST …/order/cancel/v1: the two products answer differently (seed 003)."""
    call.venue.desk.cancel(call.user_id, call.product, call.fields)
    return "success" if call.product == OPTIONS else None


def cancel_index(call: Call) -> None:
    """GET …/order/cancelOpenOrders/{version}/{symbol}."""
    call.venue.desk.cancel_all(call.user_id, call.product, index=call.path["symbol"])


def cancel_symbol(call: Call) -> None:
    """GET …/order/batchCancelByOption/v1/{symbol}."""
    call.venue.desk.cancel_all(call.user_id, call.product, symbol=call.path["symbol"])


def batch_create(call: Call) -> list[dict[str, Any]]:
    """POST …/order/batchCreate/v1: each order stands alone, and says when it lives."""

    def place(fields: Fields) -> int:
        if fields.get("timeInForce") in (None, ""):
            raise RefusedError(refusals.missing("timeInForce"))
        return create(call._replace(fields=fields))

    return [_item(place, fields) for fields in _batch(call)]


def batch_modify(call: Call) -> list[dict[str, Any]]:
    """POST …/order/batchModify/v1: the answers are not in the order of the request."""

    def change(fields: Fields) -> int:
        return modify(call._replace(fields=fields))

    answers = [_item(change, fields, id_of=_order_id) for fields in _batch(call)]
    return answers[::-1]


def batch_cancel(call: Call) -> list[dict[str, Any]]:
    """POST …/order/batchCancel/v1: orderIdList wins over clientOrderIdList."""
    name, field = "orderIdList", "orderId"
    if not call.fields.get(name):
        name, field = "clientOrderIdList", "clientOrderId"
    wanted = call.fields.get(name)
    if not wanted or not isinstance(wanted, list):
        raise RefusedError(refusals.NO_ORDER_ID)
    if len(wanted) > _MAX_BATCH:
        raise RefusedError(refusals.too_many(name))
    desk = call.venue.desk
    answers = []
    for given in wanted:
        row: dict[str, Any] = {"clOrdId": None, "ordId": None, "ts": call.venue.now_ms}
        try:
            order = desk.find(call.user_id, call.product, {field: given})
            row |= {"clOrdId": order.client_id, "ordId": order.order_id}
            desk.cancel(call.user_id, call.product, {field: given})
            row |= {"scode": 0, "smsg": "success"}
        except RefusedError as refused:
            if row["ordId"] is None:
                row["ordId" if field == "orderId" else "clOrdId"] = _id(given)
            row |= {"scode": 1, "smsg": refused.refusal.msg}
        answers.append(row)
    return answers


def _batch(call: Call) -> list[Fields]:
    orders = call.fields.get("orders")
    if not orders or not isinstance(orders, list):
        raise RefusedError(refusals.missing("orders"))
    if len(orders) > _MAX_BATCH:
        raise RefusedError(refusals.too_many("orders"))
    if not all(isinstance(order, dict) for order in orders):
        raise RefusedError(refusals.wrong("orders"))
    return orders


def _item(
    do: Callable[[Fields], int], fields: Fields, id_of: Callable[[Fields], Any] = lambda _: None
) -> dict[str, Any]:
    try:
        return {"code": 0, "msg": "Success", "i18nArgs": None, "data": do(fields)}
    except RefusedError as refused:
        code, msg = refused.refusal
        return {"code": code, "msg": msg, "i18nArgs": None, "data": id_of(fields)}


def _order_id(fields: Fields) -> int | None:
    return _id(fields.get("orderId"))


def _id(given: Any) -> int | None:
    """An id as it was given; None for what cannot be one."""
    try:
        return integer({"id": given}, "id")
    except RefusedError:
        return None


# Leverage


def get_leverage(call: Call) -> dict[str, Any]:
    """GET /open/futures/leverage/current/v1."""
    listed = find_instrument(call.fields.get("symbol"), FUTURES, call.venue.engine.market)
    account = call.venue.desk.account(call.user_id)
    return {
        "userId": call.user_id,
        "symbol": listed.symbol,
        "currentLeverage": leverage(account, listed),
    }


def set_leverage(call: Call) -> None:
    """POST /open/futures/leverage/set/v1."""
    listed = find_instrument(call.fields.get("symbol"), FUTURES, call.venue.engine.market)
    wanted = integer(call.fields, "leverage")
    if wanted is None:
        raise RefusedError(refusals.missing("leverage"))
    call.venue.desk.set_leverage(call.user_id, listed, wanted)


# The dead-man's switch


def set_countdown(call: Call) -> bool:
    """POST /open/futures/countdown/cancel/v1. It runs by the client's clock: of a fast market's
    time, which the desk counts in, that is much more."""
    product = _type(call.fields)
    symbol = _watched(call.fields.get("symbol"))
    countdown_ms = integer(call.fields, "countdownTime")
    if countdown_ms is None:
        raise RefusedError(refusals.missing("countdownTime"))
    venue = call.venue
    ms = round(countdown_ms * venue.clock.speed)
    venue.desk.countdowns.set(call.user_id, product, symbol, ms, venue.now_ms)
    return True


def countdowns(call: Call) -> list[dict[str, Any]]:
    """GET /open/futures/countdown/cancel/get/v1."""
    product = _type(call.fields)
    running = call.venue.desk.countdowns.listed(call.user_id, product)
    return [
        {
            "type": integer(call.fields, "type"),
            "symbol": symbol,
            "countdownTime": round(countdown.countdown_ms / call.venue.clock.speed),
        }
        for symbol, countdown in running.items()
    ]


def beat(call: Call) -> list[str]:
    """POST /open/futures/countdown/cancel/heartbeat/v1: the symbols whose countdown began anew."""
    product = _type(call.fields)
    symbols = [_watched(symbol) for symbol in str(call.fields.get("symbols") or "").split(",")]
    venue = call.venue
    return [
        symbol
        for symbol in symbols
        if venue.desk.countdowns.beat(call.user_id, product, symbol, venue.now_ms)
    ]


def _type(fields: Fields) -> str:
    number = integer(fields, "type")
    if number is None:
        raise RefusedError(refusals.missing("type"))
    if number not in _TYPES:
        raise RefusedError(refusals.wrong("type"))
    return _TYPES[number]


def _watched(symbol: Any) -> str:
    if symbol in (None, ""):
        raise RefusedError(refusals.NO_SYMBOL)
    if all(pair.name != symbol for pair in PAIRS):
        raise RefusedError(refusals.UNKNOWN_INSTRUMENT)
    return str(symbol)


# Market maker protection


def set_mmp(call: Call) -> bool:
    """POST /open/mmp/set-mmp-config/v1; an interval of 0 turns it off."""
    fields = call.fields
    index = _watched(fields.get("indexName"))
    interval_ms = integer(fields, "intervalTime")
    if interval_ms is None:
        raise RefusedError(refusals.missing("intervalTime"))
    if interval_ms and not _MIN_INTERVAL_MS <= interval_ms <= _MAX_INTERVAL_MS:
        raise RefusedError(refusals.wrong("intervalTime"))
    config = Mmp(
        interval_ms,
        integer(fields, "frozenTime") or 0,
        _limit(fields, "qtyLimit"),
        _limit(fields, "deltaLimit"),
        call.venue.now_ms,
    )
    call.venue.desk.mmps.set(call.user_id, index, config)
    return True


def get_mmp(call: Call) -> dict[str, Any] | None:
    """GET /open/mmp/get-mmp-config/v1; null where there is none."""
    index = _watched(call.fields.get("indexName"))
    config = call.venue.desk.mmps.get(call.user_id, index)
    if config is None:
        return None
    is_frozen = config.is_frozen(call.venue.now_ms)
    created = datetime.fromtimestamp(config.created_ms / 1000, UTC)
    return {
        "indexName": index,
        "intervalTime": config.interval_ms,
        "frozenTime": config.frozen_ms,
        "qtyLimit": str(config.qty_limit),
        "deltaLimit": str(config.delta_limit),
        "mmpFrozenUntil": (config.frozen_until_ms or 0) if is_frozen else "",
        "ctime": f"{created:%Y-%m-%dT%H:%M:%S}.{config.created_ms % 1000:03d}Z",
    }


def reset_mmp(call: Call) -> list[dict[str, bool]]:
    """POST /open/mmp/reset-mmp/v1."""
    index = _watched(call.fields.get("indexName"))
    config = call.venue.desk.mmps.get(call.user_id, index)
    if config is not None:
        config.frozen_until_ms = None
        config.recent.clear()
    return [{"result": config is not None}]


def _limit(fields: Fields, name: str) -> Decimal:
    given = fields.get(name)
    try:
        value = Decimal(str(given or 0))
    except InvalidOperation:
        raise RefusedError(refusals.wrong(name)) from None
    if not value.is_finite() or value < 0:
        raise RefusedError(refusals.wrong(name))
    return value

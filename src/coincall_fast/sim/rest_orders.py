"""The bodies about orders and trades: seed 003, both products' trading endpoints.

Each body has the keys, their order and the number texts of the printed one; what is marked as
later comes from today's docs (protocol page, sections 2.4 and 2.5).
"""

from collections.abc import Sequence
from typing import Any, TypeVar

from . import refusals
from .events import Filled
from .instruments import FUTURES, OPTIONS, PAIRS, Instrument
from .margin import leverage, order_margins
from .numerals import Numeral, fixed, plain, rounded
from .orders import Kind, Order, TimeInForce
from .refusals import RefusedError
from .tickets import integer
from .venue import Venue

__all__ = ["display_name", "history", "order_info", "page", "pending", "times", "trades"]

_PAGE_SIZE = 20
_MAX_PAGE_SIZE = 500
_DAY_MS = 86_400_000
_MAX_RANGE_MS = 90 * _DAY_MS

Fields = dict[str, Any]
T = TypeVar("T")


def display_name(instrument: Instrument) -> str:
    """`BTC-6JUN23-24000-C`, `BTC-PERP`."""
    base = instrument.pair.base
    if instrument.terms is None:
        return f"{base}-PERP"
    return base + instrument.symbol.removeprefix(instrument.pair.name)


def pending(venue: Venue, user_id: int, product: str, fields: Fields) -> dict[str, Any]:
    """GET …/order/pending/v1: oldest last, by pages."""
    orders = [
        order
        for order in venue.engine.open_orders(user_id)
        if order.instrument.product == product and order.created_ms <= venue.told_until_ms
    ]
    if symbol := fields.get("symbol"):
        orders = [order for order in orders if order.instrument.symbol == symbol]
    if currency := fields.get("currency"):
        if all(pair.base != currency for pair in PAIRS):
            raise RefusedError(refusals.wrong("currency"))
        orders = [order for order in orders if order.instrument.pair.base == currency]
    rows, pages = page(orders[::-1], fields)
    everything = venue.engine.open_orders(user_id)
    margins = order_margins(everything, venue.desk.account(user_id), venue.engine.valuation)
    return {
        "list": [_pending_row(venue, order, margins[order.order_id]) for order in rows],
        "pageTotal": pages,
        "total": len(orders),
    }


def order_info(venue: Venue, order: Order) -> dict[str, Any]:
    """GET …/order/singleQuery/v1."""
    if order.created_ms > venue.told_until_ms:
        raise RefusedError(refusals.UNKNOWN_ORDER)
    row = _ids(order) | _sizes(order)
    tail = {"fee": _fee(order), "updateTime": order.updated_ms, "state": int(order.state)}
    if order.instrument.product == FUTURES:
        return row | {"leverage": _leverage(venue, order)} | tail
    return row | tail | {"mmp": order.is_mmp}  # mmp is later


def history(venue: Venue, user_id: int, product: str, fields: Fields) -> dict[str, Any]:
    """GET …/order/history/v1: orders that have ended, the newest first."""
    if integer(fields, "pageSize") is None:
        raise RefusedError(refusals.missing("pageSize"))
    start_ms, end_ms = times(fields, venue.now_ms)
    ended = [
        order
        for order in reversed(venue.engine.orders.values())
        if order.user_id == user_id
        and order.instrument.product == product
        and not order.state.is_open
        and start_ms <= order.created_ms <= min(end_ms, venue.told_until_ms)
    ]
    return _cursor(ended, [order.order_id for order in ended], fields, venue, _history_row)


def trades(venue: Venue, user_id: int, product: str, fields: Fields) -> dict[str, Any]:
    """GET …/trade/history/v1: the newest first."""
    start_ms, end_ms = times(fields, venue.now_ms)
    fills = [
        fill
        for fill in reversed(venue.engine.fills.get(user_id, []))
        if fill.order.instrument.product == product
        and start_ms <= fill.ts_ms <= min(end_ms, venue.told_until_ms)
    ]
    return _cursor(fills, [fill.trade_id for fill in fills], fields, venue, _trade_row)


def page(rows: Sequence[T], fields: Fields, most: int = _MAX_PAGE_SIZE) -> tuple[Sequence[T], int]:
    """The rows of the page asked for, and how many pages there are."""
    size = _page_size(fields, most)
    number = integer(fields, "page") or 1
    return rows[(number - 1) * size : number * size], -(-len(rows) // size)


def times(fields: Fields, now_ms: int, range_ms: int = _DAY_MS) -> tuple[int, int]:
    """From `startTime`, a day ago unless told, to `endTime`; at most 90 days."""
    start_ms, end_ms = integer(fields, "startTime"), integer(fields, "endTime")
    end_ms = now_ms if end_ms is None else end_ms
    start_ms = end_ms - range_ms if start_ms is None else start_ms
    if end_ms - start_ms > _MAX_RANGE_MS:
        raise RefusedError(refusals.RANGE_TOO_LONG)
    return start_ms, end_ms


def _page_size(fields: Fields, most: int = _MAX_PAGE_SIZE) -> int:
    size = integer(fields, "pageSize")
    size = _PAGE_SIZE if size is None else size
    if not 1 <= size <= most:
        raise RefusedError(refusals.wrong("pageSize"))
    return size


def _cursor(
    rows: list[T], ids: list[int], fields: Fields, venue: Venue, show: Any
) -> dict[str, Any]:
    """The rows below `fromId`, and whether there are more on either side."""
    size = _page_size(fields)
    from_id = integer(fields, "fromId") or 0
    first = next((n for n, row_id in enumerate(ids) if row_id < from_id), len(ids))
    first = first if from_id else 0
    return {
        "list": [show(venue, row) for row in rows[first : first + size]],
        "hasNext": first + size < len(rows),
        "hasPre": first > 0,
    }


def _pending_row(venue: Venue, order: Order, margin_e16: int) -> dict[str, Any]:
    margin = rounded(margin_e16)
    row = {"id": order.order_id} | _ids(order)
    sizes = _sizes(order)
    before = {name: sizes[name] for name in ("qty", "remainQty", "fillQty", "price", "avgPrice")}
    after = {name: sizes[name] for name in sizes if name not in before}
    row |= before | {"initMargin": _number(order, margin)} | after
    if order.instrument.product == OPTIONS:
        index_e8 = venue.engine.valuation.index_e8(order.instrument.pair)
        return row | {"indexPrice": plain(index_e8)}
    tif = order.tif if order.tif is not TimeInForce.POST_ONLY else TimeInForce.GTC
    return row | {"leverage": _leverage(venue, order)} | _stop(order) | {"timeInForce": tif.name}


def _history_row(venue: Venue, order: Order) -> dict[str, Any]:
    sizes = _sizes(order)
    row = _ids(order) | {
        "qty": sizes["qty"],
        "fillQty": sizes["fillQty"],
        "price": sizes["price"],
        "avgPrice": sizes["avgPrice"],
        "fee": _fee(order),
        "rpnl": _number(order, rounded(order.realised_e16)),
        "tradeSide": int(order.side),
        "tradeType": int(order.kind),
        "createTime": order.created_ms,
        "state": int(order.state),
        "reduceOnly": int(order.is_reduce_only),
    }
    if order.instrument.product == FUTURES:
        row |= {"leverage": _leverage(venue, order)} | _stop(order)
    return row


def _trade_row(venue: Venue, fill: Filled) -> dict[str, Any]:
    order, instrument = fill.order, fill.order.instrument
    is_option = instrument.product == OPTIONS
    row: dict[str, Any] = {
        "id": fill.trade_id + int(fill.is_taker),  # a row of its own, on either side of the trade
        "optionId" if is_option else "contractId": None,
        "symbol": instrument.symbol,
        "displayName": display_name(instrument),
        "tradeSide": int(order.side),
        "tradeType": int(order.kind),
        "price": fixed(fill.price * instrument.tick_e8),
        "qty": fixed(fill.lots * instrument.lot_e8),
    }
    if is_option:
        row |= {"iv": round(fill.iv, 4), "markPrice": plain(fill.mark_e8)}
    else:
        row |= {"markPrice": None}
    row |= {
        "indexPrice": plain(fill.index_e8),
        "orderId": order.order_id,
        "tradeId": fill.trade_id,
        "fee": fixed(rounded(fill.fee_e16)),
        "time": fill.ts_ms,
    }
    if is_option:
        mmp = {"mmp": order.is_mmp}  # later
        return row | {"reduceOnly": int(order.is_reduce_only), "isTaker": int(fill.is_taker)} | mmp
    return row | {"leverage": _leverage(venue, order), "isTaker": int(fill.is_taker)}


def _ids(order: Order) -> dict[str, Any]:
    ids = {"orderId": order.order_id, "clientOrderId": order.client_id}
    if order.instrument.product == FUTURES:
        ids = dict(reversed(ids.items()))
    return ids | {
        "symbol": order.instrument.symbol,
        "displayName": display_name(order.instrument),
    }


def _sizes(order: Order) -> dict[str, Any]:
    instrument = order.instrument
    is_option = instrument.product == OPTIONS
    show = plain if is_option else fixed
    average: Numeral | None = None if is_option else fixed(0)
    if order.filled:
        # To 8 decimals, as the ticks and lots are.
        e8 = (2 * order.tick_lots * instrument.tick_e8 + order.filled) // (2 * order.filled)
        average = show(e8)
    price_e8 = 0 if order.price is None else order.price * instrument.tick_e8
    return {
        "qty": show(order.lots * instrument.lot_e8),
        "remainQty": show(order.remaining * instrument.lot_e8),
        "fillQty": show(order.filled * instrument.lot_e8),
        "price": show(price_e8),
        "avgPrice": average,
        "tradeSide": int(order.side),
        "tradeType": int(order.kind),
        "createTime": order.created_ms,
        "reduceOnly": int(order.is_reduce_only),
    }


def _stop(order: Order) -> dict[str, Any]:
    if order.kind not in (Kind.STOP_LIMIT, Kind.STOP_MARKET) or order.trigger is None:
        return {"expression": None, "triggerPrice": None}
    return {
        "expression": "GE" if order.is_trigger_above else "LE",
        "triggerPrice": fixed(order.trigger * order.instrument.tick_e8),
    }


def _leverage(venue: Venue, order: Order) -> int:
    return leverage(venue.desk.account(order.user_id), order.instrument)


def _fee(order: Order) -> Numeral:
    return _number(order, rounded(order.fee_e16))


def _number(order: Order, value_e8: int) -> Numeral:
    """Options print what is needed, futures all 8 decimals."""
    return plain(value_e8) if order.instrument.product == OPTIONS else fixed(value_e8)

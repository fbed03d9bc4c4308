"""The private pushes: orders, fills, positions, balance. One function a channel.

Protocol page, sections 3.2 to 3.4.
"""

from typing import Any

from .accounts import Position
from .events import Filled, OrderChanged
from .instruments import FUTURES, OPTIONS, PAIRS
from .margin import leverage, liquidation_e8, position_margin, summarise, upnl
from .market import SCALE
from .numerals import decimal_text, fixed, plain, rounded
from .orders import State
from .pushes import push
from .venue import Venue

__all__ = ["balance", "fill", "order", "position"]

_ORDER_DT = {OPTIONS: 11, FUTURES: 35}
_FILL_DT = {OPTIONS: 15, FUTURES: 38}
_POSITION_DT = {OPTIONS: 12, FUTURES: 36}
_POSITION_EVENT_DT = {OPTIONS: 27, FUTURES: 46}
_CLOSED = {OPTIONS: "5", FUTURES: "2"}


def order(venue: Venue, change: OrderChanged) -> str:
    """`order`: which keys there are depends on the state (section 3.4)."""
    placed, instrument = change.order, change.order.instrument
    is_option = instrument.product == OPTIONS
    is_invalid = is_option and placed.state is State.INVALID
    show: Any = plain if is_invalid else decimal_text

    def size(lots: int) -> Any:
        return show(lots * instrument.lot_e8)

    def price(ticks: int | None) -> Any:
        return show((ticks or 0) * instrument.tick_e8)

    sizes: dict[str, Any] = {}
    if placed.state in (State.PARTIALLY_FILLED, State.FILLED, State.INVALID):
        sizes = {"rq": size(placed.remaining), "fq": size(placed.filled)}
    elif placed.state in (State.CANCELED, State.CANCELED_BY_EXERCISE):
        sizes = {"cq": size(placed.remaining), "fq": size(placed.filled)}
    matched: dict[str, Any] = {}
    if change.match is not None:
        matched = {"mpr": price(change.match[0]), "mq": size(change.match[1])}
    average: dict[str, Any] = {}
    if sizes:
        tick_lots, filled = placed.tick_lots * instrument.tick_e8, placed.filled
        average_e8 = (2 * tick_lots + filled) // (2 * filled) if filled else 0
        average = {"ap": show(average_e8)}
    ids: dict[str, Any] = {"oid": placed.order_id}
    if placed.client_id is not None:
        ids["coid"] = placed.client_id
    data = {
        **ids,
        "uid": str(placed.user_id),
        "s": instrument.symbol,
        **sizes,
        "q": size(placed.lots),
        "pr": price(placed.price),
        **matched,
        **average,
        "si": int(placed.side),
        "ty": int(placed.kind),
        "ct": placed.created_ms,
        "ts": placed.updated_ms,
        "ro": int(placed.is_reduce_only),
    }
    if not is_option or not sizes:  # options print it for new orders alone (seed 003)
        data["le"] = leverage(venue.desk.account(placed.user_id), instrument)
    if change.match is not None:
        data["it"] = int(change.is_taker)
    data["os"] = int(placed.state)
    if venue.edition == "today":
        data["tif"] = int(placed.tif)
    return push(_ORDER_DT[instrument.product], data)


def fill(venue: Venue, filled: Filled) -> str:
    """`trade`: all texts; the two products name everything differently."""
    placed, instrument = filled.order, filled.order.instrument
    value_e8 = filled.price * instrument.tick_e8 * filled.lots * instrument.lot_e8 // SCALE
    price = decimal_text(filled.price * instrument.tick_e8)
    qty = decimal_text(filled.lots * instrument.lot_e8)
    remaining = decimal_text(placed.remaining * instrument.lot_e8)
    client_id = "" if placed.client_id is None else str(placed.client_id)
    rate = decimal_text(-filled.rate_e8)  # a charge is negative here
    if instrument.product == OPTIONS:
        data = {
            "clientOrderId": client_id,
            "feeRate": rate,
            "isTaker": str(int(filled.is_taker)),
            "matchPrice": price,
            "matchQty": qty,
            "matchValue": decimal_text(value_e8),
            "orderId": str(placed.order_id),
            "orderSide": str(int(placed.side)),
            "remainQty": remaining,
            "symbol": instrument.symbol,
            "tradeId": str(filled.trade_id),
            "tradeTime": str(filled.ts_ms),
        }
    else:
        data = {
            "coid": client_id,
            "fr": rate,
            "tf": decimal_text(-rounded(filled.fee_e16)),
            "it": str(int(filled.is_taker)),
            "mpr": price,
            "mq": qty,
            "mv": decimal_text(value_e8),
            "oid": str(placed.order_id),
            "si": str(int(placed.side)),
            "rq": remaining,
            "s": instrument.symbol,
            "tid": str(filled.trade_id),
            "ts": str(filled.ts_ms),
        }
    return push(_FILL_DT[instrument.product], data)


def position(venue: Venue, user_id: int, held: Position, *, is_event: bool) -> str:
    """`position`, one frame each, and `positionEvent`, which is the same upon a change."""
    product = held.instrument.product
    numbers = _POSITION_EVENT_DT if is_event else _POSITION_DT
    show = _options_position if product == OPTIONS else _futures_position
    data = show(venue, user_id, held)
    ts_ms = venue.now_ms if venue.edition == "today" else None
    return push(numbers[product], data, ts_ms)


def _options_position(venue: Venue, user_id: int, held: Position) -> dict[str, Any]:
    instrument = held.instrument
    value = venue.engine.valuation.of(instrument)
    last_e8 = venue.engine.tape.last(instrument.symbol) * instrument.tick_e8
    shown = _shown(venue, user_id, held)
    by_last = decimal_text(rounded(upnl(held, last_e8)))
    by_mark = upnl(held, value.mark_e8)
    size = held.lots * instrument.lot_e8 / SCALE
    greeks = value.greeks
    today = {
        "ap": shown["ap"],
        "elp": 0,
        "im": shown["im"],
        "mm": shown["mm"],
        "mp": fixed(value.mark_e8),
        "os": shown["os"],
        "q": shown["q"],
        "s": shown["s"],
        "si": shown["si"],
        "tim": "",
        "tmm": "",
        "uid": shown["uid"],
        "upnl": by_last,
        "pnlbmp": decimal_text(rounded(by_mark)),
        "roibmp": _ratio(by_mark, held),
        "rho": _text(greeks.rho * size),
        "vega": _text(greeks.vega * size),
        "delta": _text(greeks.delta * size),
        "gamma": _text(greeks.gamma * size),
        "theta": _text(greeks.theta * size),
    }
    if venue.edition == "today":
        return today
    return {name: today[name] for name in ("q", "ap", "im", "mm", "s", "si", "uid", "upnl")}


def _futures_position(venue: Venue, user_id: int, held: Position) -> dict[str, Any]:
    instrument, account = held.instrument, venue.desk.account(user_id)
    shown = _shown(venue, user_id, held)
    mark_e8 = venue.engine.valuation.mark_e8(instrument)
    last_e8 = venue.engine.tape.last(instrument.symbol) * instrument.tick_e8
    elp = "0"
    if held.lots:
        summary = summarise(account, venue.engine.open_orders(user_id), venue.engine.valuation)
        elp = decimal_text(liquidation_e8(held, summary, mark_e8))
    by_mark, by_last = upnl(held, mark_e8), upnl(held, last_e8)
    mark, gain = decimal_text(mark_e8), decimal_text(rounded(by_mark))
    today = {
        "ap": shown["ap"],
        "elp": elp,
        "im": shown["im"],
        "le": str(leverage(account, instrument)),
        "mm": shown["mm"],
        "mp": mark,
        "os": shown["os"],
        "q": shown["q"],
        "s": shown["s"],
        "si": shown["si"],
        "tim": "",
        "tmm": "",
        "uid": shown["uid"],
        "upnl": gain,
        "upnlblp": decimal_text(rounded(by_last)),
        "roiblp": _ratio(by_last, held),
        "lp": decimal_text(last_e8),
        "ctp": "E",
    }
    if venue.edition == "today":
        return today
    names = ("q", "ap", "elp", "im", "mm", "mp", "s", "si", "uid", "upnl")
    return {name: today[name] for name in names}


def _shown(venue: Venue, user_id: int, held: Position) -> dict[str, str]:
    """What both products show alike."""
    instrument, account = held.instrument, venue.desk.account(user_id)
    valuation = venue.engine.valuation
    size = abs(held.lots) * instrument.lot_e8
    average_e8 = (2 * abs(held.cost_e16) + size) // (2 * size) if size else 0
    return {
        "q": decimal_text(size),
        "ap": decimal_text(average_e8),
        "im": decimal_text(rounded(position_margin(held, account, valuation))),
        "mm": decimal_text(rounded(position_margin(held, account, valuation, maintenance=True))),
        "s": instrument.symbol,
        "si": "2" if held.lots < 0 else "1",
        "uid": str(user_id),
        "os": "1" if held.lots else _CLOSED[instrument.product],
    }


def _ratio(gain: int, held: Position) -> str:
    return f"{gain / abs(held.cost_e16):.8f}" if held.cost_e16 else "0"


def _text(value: float) -> str:
    """A greek as the venue's server prints a small double: `1.05E-4`."""
    if value and abs(value) < 0.001:
        return f"{value:.2E}".replace("E-0", "E-")
    return f"{value:.5f}"


def balance(venue: Venue, user_id: int) -> str:
    """`accountBalance`."""
    account = venue.desk.account(user_id)
    worth = summarise(account, venue.engine.open_orders(user_id), venue.engine.valuation)
    available = plain(rounded(worth.available))
    equity = rounded(worth.equity)
    who = "u" if venue.edition == "2023-05" else "uid"
    data: dict[str, Any] = {
        "mm": plain(rounded(worth.maintenance)),
        "ab": available,
        "dv": plain(equity),
        "im": plain(rounded(worth.initial)),
        who: user_id,
        "e": plain(equity),
        "mb": plain(rounded(worth.margin_balance)),
        "delta": "0",
        "btcv": round(equity / venue.engine.valuation.index_e8(PAIRS[0]), 8),
        "wb": available,
        "upnl": plain(rounded(worth.upnl)),
    }
    if venue.edition == "today":
        data["assets"] = [{"availableBalance": available, "coin": "USD"}]
    return push(7, data)

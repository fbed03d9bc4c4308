"""The bodies about accounts and positions: seed 003, account and position endpoints."""

from typing import Any

from .accounts import Position
from .funding import Payment
from .instruments import FUTURES, OPTIONS, PAIRS
from .keys import TRADE, Key
from .margin import leverage, position_margin, summarise, upnl
from .numerals import Numeral, decimal_text, fixed, money, plain, rounded
from .rest_orders import Fields, display_name, page, times
from .venue import Venue

__all__ = [
    "api_key",
    "exercises",
    "funding_records",
    "futures_positions",
    "options_positions",
    "summary",
    "user",
]

_SCALE = 100_000_000
_MAX_PAGE_SIZE = 50  # of the settlement records


def user(key: Key) -> dict[str, Any]:
    """GET /open/user/info/v1."""
    return {
        "name": f"user{key.user_id}",
        "email": f"user{key.user_id}@example.com",
        "userId": key.user_id,
    }


def api_key(key: Key) -> dict[str, Any]:
    """GET /open/auth/user/query-api; not in the seeds."""
    return {
        "userId": key.user_id,
        "apiKey": key.api_key,
        "readOnly": int(TRADE not in key.permissions),
        "isMaster": 1,
        "parentUid": "0",
    }


def summary(venue: Venue, user_id: int, *, is_flat: bool) -> dict[str, Any]:
    """GET /open/account/summary/v1: one row a coin, or (`is_flat`, 2023) the one row alone."""
    account = venue.desk.account(user_id)
    worth = summarise(account, venue.engine.open_orders(user_id), venue.engine.valuation)
    index_e8 = venue.engine.valuation.index_e8(PAIRS[0])
    equity = rounded(worth.equity)
    btc_value = round(equity / index_e8, 8)
    if is_flat:
        return {
            "accountId": user_id,
            "coin": "USD",
            "coinIconUrl": "",
            "coinDesc": "USD Stablecoins",
            "coinView": "USD",
            "equityAmount": plain(equity),
            "availableBalance": plain(rounded(worth.available)),
            "canWithdrawAmount": plain(rounded(worth.available)),
            "marginMode": 1,
            "marginBalance": plain(rounded(worth.margin_balance)),
            "unrealizedAmount": plain(rounded(worth.upnl)),
            "imAmount": plain(rounded(worth.initial)),
            "mmAmount": plain(rounded(worth.maintenance)),
            "delta": None,
            "chainType": None,
            "btcValue": btc_value,
            "dollarValue": plain(equity),
            "decimal": 8,
        }

    def text(value_e16: int) -> str:
        return decimal_text(rounded(value_e16))

    balance = worth.margin_balance or 1
    row = {
        "accountId": user_id,
        "coin": "USD",
        "coinIconUrl": "",
        "coinDesc": "USD Stablecoins",
        "coinView": "USD",
        "equityAmount": text(worth.equity),
        "availableBalance": text(worth.available),
        "cashBalanceAmount": plain(rounded(worth.cash)),
        "canWithdrawAmount": text(worth.available),
        "marginMode": 1,
        "marginBalance": text(worth.margin_balance),
        "unrealizedAmount": text(worth.upnl),
        "imAmount": text(worth.initial),
        "mmAmount": text(worth.maintenance),
        "delta": None,
        "chainType": None,
        "btcValue": btc_value,
        "dollarValue": plain(equity),
        "usdtValue": plain(equity),
        "decimal": 8,
    }
    return {
        "totalBtcValue": btc_value,
        "totalDollarValue": plain(equity),
        "totalUsdtValue": plain(equity),
        "imAmount": text(worth.initial),
        "mmAmount": text(worth.maintenance),
        "imRatio": f"{worth.initial / balance:.4f}",
        "mmRatio": f"{worth.maintenance / balance:.4f}",
        "equity": text(worth.equity),
        "availableMargin": text(worth.available),
        "marginBalance": text(worth.margin_balance),
        "unrealizedPnL": text(worth.upnl),
        "accounts": [row],
    }


def options_positions(venue: Venue, user_id: int) -> list[dict[str, Any]]:
    """GET /open/option/position/get/v1; the last three keys are live only (protocol page, 2.4)."""
    account = venue.desk.account(user_id)
    valuation = venue.engine.valuation
    rows = []
    for position in account.open_positions:
        instrument = position.instrument
        if instrument.product != OPTIONS:
            continue
        value = valuation.of(instrument)
        last_e8 = venue.engine.tape.last(instrument.symbol) * instrument.tick_e8
        greeks = value.greeks
        size = position.lots * instrument.lot_e8 / _SCALE
        by_mark, by_last = upnl(position, value.mark_e8), upnl(position, last_e8)
        rows.append(
            {
                "id": position.position_id,
                "positionId": position.position_id + 1,
                "updateTime": position.updated_ms,
                "orderId": position.order_id,
                "userId": user_id,
                "value": money(abs(position.cost_e16)),
                "qty": fixed(abs(position.lots) * instrument.lot_e8),
                "initMargin": plain(rounded(position_margin(position, account, valuation))),
                "maintMargin": plain(
                    rounded(position_margin(position, account, valuation, maintenance=True))
                ),
                "avgPrice": fixed(_average_e8(position)),
                "markPrice": plain(value.mark_e8),
                "upnl": money(by_last),
                "roi": _part(by_last, position, 100),
                "rspl": fixed(rounded(position.realised_e16)),
                "symbol": instrument.symbol,
                "displayName": display_name(instrument),
                "tradeSide": _side(position),
                "lockQty": 0,
                "indexPrice": plain(valuation.index_e8(instrument.pair)),
                "delta": round(greeks.delta * size, 8),
                "gamma": round(greeks.gamma * size, 8),
                "vega": round(greeks.vega * size, 8),
                "theta": round(greeks.theta * size, 8),
                "rho": round(greeks.rho * size, 8),
                "baseToken": instrument.pair.base,
                "quoteToken": "USD",
                "lastPrice": plain(last_e8),
                "upnlByMarkPrice": money(by_mark),
                "roiByMarkPrice": _part(by_mark, position, 100),
            }
        )
    return rows


def futures_positions(venue: Venue, user_id: int, fields: Fields) -> list[dict[str, Any]]:
    """GET /open/futures/position/get/v1."""
    account = venue.desk.account(user_id)
    valuation = venue.engine.valuation
    rows = []
    for position in account.open_positions:
        instrument = position.instrument
        if instrument.product != FUTURES or fields.get("symbol") not in (None, instrument.symbol):
            continue
        gain = upnl(position, valuation.mark_e8(instrument))
        maintenance = position_margin(position, account, valuation, maintenance=True)
        rows.append(
            {
                "id": position.position_id,
                "positionId": position.position_id + 1,
                "updateTime": position.updated_ms,
                "userId": user_id,
                "value": plain(rounded(abs(position.cost_e16))),
                "qty": plain(abs(position.lots) * instrument.lot_e8),
                "initMargin": plain(rounded(position_margin(position, account, valuation))),
                "maintMargin": plain(rounded(maintenance)),
                "avgPrice": plain(_average_e8(position)),
                "markPrice": plain(valuation.mark_e8(instrument)),
                "elp": None,
                "roi": _part(gain, position, 1),
                "upnl": money(gain),
                "symbol": instrument.symbol,
                "displayName": display_name(instrument),
                "tradeSide": _side(position),
                "leverage": leverage(account, instrument),
                "delta": plain(position.lots * instrument.lot_e8),
                "baseToken": instrument.pair.base,
                "quoteToken": "USD",
            }
        )
    return rows


def exercises(venue: Venue, user_id: int, fields: Fields) -> dict[str, Any]:
    """GET /open/settle/exercise/history/v1; not in the seeds."""
    start_ms, end_ms = times(fields, venue.now_ms)
    done = [
        paid
        for paid in reversed(venue.engine.settlements)
        if paid.user_id == user_id
        and fields.get("symbol") in (None, "", paid.instrument.symbol)
        and start_ms <= paid.ts_ms <= end_ms
    ]
    rows, pages = page(done, fields, _MAX_PAGE_SIZE)
    number = int(fields.get("page") or 1)
    listed = []
    for paid in rows:
        assert paid.instrument.terms is not None
        listed.append(
            {
                "symbol": paid.instrument.symbol,
                "time": paid.ts_ms,
                "qty": plain(abs(paid.lots) * paid.instrument.lot_e8),
                "tradeSide": 1 if paid.lots > 0 else 2,
                "strike": paid.instrument.terms.strike,
                "exercisePrice": plain(paid.price_e8),
                "openCashFlow": plain(rounded(-paid.cost_e16)),
                "settlementCashFlow": plain(rounded(paid.value_e16)),
                "netCashFlow": plain(rounded(paid.value_e16 - paid.cost_e16)),
                "fees": 0,
            }
        )
    return {"list": listed, "hasNext": number < pages, "hasPrev": number > 1}


def funding_records(
    venue: Venue, user_id: int, fields: Fields, range_ms: int
) -> list[dict[str, Any]]:
    """The payments of GET /open/settle/future/record/v1 and …/latestRecord/v1; not in the seeds."""
    start_ms, end_ms = times(fields, venue.now_ms, range_ms)
    return [
        _funding_row(payment)
        for payment in reversed(venue.funding.payments)
        if payment.user_id == user_id
        and fields.get("symbol") in (None, "", payment.instrument.symbol)
        and start_ms <= payment.ts_ms <= end_ms
    ]


def _funding_row(payment: Payment) -> dict[str, Any]:
    return {
        "id": payment.payment_id,
        "symbol": payment.instrument.symbol,
        "displayName": display_name(payment.instrument),
        "tradeSide": 1 if payment.lots > 0 else 2,
        "qty": plain(abs(payment.lots) * payment.instrument.lot_e8),
        "fundFee": fixed(rounded(-payment.fee_e16)),
        "fundRate": fixed(payment.rate_e8),
        "ctime": payment.ts_ms,
    }


def _side(position: Position) -> int:
    return 1 if position.lots > 0 else 2


def _average_e8(position: Position) -> int:
    """The average price of what is open, to 8 decimals."""
    lots = abs(position.lots) * position.instrument.lot_e8
    return (2 * abs(position.cost_e16) + lots) // (2 * lots)


def _part(gain: int, position: Position, per: int) -> Numeral:
    """The return on what was paid: options print percent, futures a fraction (seed 003)."""
    return (
        fixed(round(gain * _SCALE * per / abs(position.cost_e16)))
        if position.cost_e16
        else fixed(0)
    )

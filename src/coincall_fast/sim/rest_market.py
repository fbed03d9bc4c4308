"""The bodies about markets that have traded: chain, details, trades, bars, funding, settlement.

Seed 003 for those printed there; bars, delivery and estimated prices from today's docs (protocol
page, sections 2.3 and 2.5).
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from . import refusals
from .instruments import OPTIONS, PAIRS, Instrument
from .market import SCALE
from .numerals import NO_IV, decimal_text, fixed, plain
from .refusals import RefusedError
from .rest_orders import Fields, display_name
from .tape import PERIODS, period_start_ms
from .ticker import implied_vol, open_interest_e8, quote, ticker
from .tickets import integer
from .venue import Venue

__all__ = [
    "chain",
    "delivery_prices",
    "detail",
    "estimated_prices",
    "funding_rates",
    "klines",
    "last_trades",
]

_KEPT = 50  # trades in one answer


def find_option(venue: Venue, symbol: str) -> Instrument:
    """An option, expired or not."""
    found = venue.engine.market.instruments.get(symbol)
    if found is None or found.product != OPTIONS:
        raise RefusedError(refusals.UNKNOWN_OPTION)
    return found


def chain(venue: Venue, index: str, fields: Fields, held: dict[str, int]) -> list[dict[str, Any]]:
    """GET /open/option/get/v1/{index}: one row a strike; `held` are the caller's positions."""
    if all(pair.name != index for pair in PAIRS):
        raise RefusedError(refusals.UNKNOWN_INDEX)
    end_ms = integer(fields, "endTime")
    rows: dict[tuple[int, int], dict[str, Any]] = {}
    for listed in venue.engine.market.instruments.values():
        terms = listed.terms
        if terms is None or listed.pair.name != index or venue.engine.market.is_expired(listed):
            continue
        if end_ms not in (None, terms.expiry_ms):
            continue
        row = rows.setdefault(
            (terms.expiry_ms, terms.strike),
            {"strike": fixed(terms.strike * SCALE), "callOption": None, "putOption": None},
        )
        name = "callOption" if terms.right == "C" else "putOption"
        row[name] = _chain_option(venue, listed, held.get(listed.symbol, 0))
    return [rows[key] for key in sorted(rows)]


def _chain_option(venue: Venue, listed: Instrument, held: int) -> dict[str, Any]:
    assert listed.terms is not None
    engine = venue.engine
    now, best = ticker(engine, listed), quote(engine, listed)
    value = engine.valuation.of(listed)
    has_traded = bool(engine.tape.prints(listed.symbol))
    is_call = listed.terms.right == "C"
    premium = now.mark_e8 if is_call else -now.mark_e8
    return {
        "optionId": _option_id(listed),
        # The two printed options of one row disagree here (seed 003).
        "index" if is_call else "underlying": listed.pair.name,
        "symbol": listed.symbol,
        "baseToken": listed.pair.base,
        "displayName": display_name(listed),
        "endTime": listed.terms.expiry_ms,
        "strike": fixed(listed.terms.strike * SCALE),
        "lastPrice": plain(now.last_e8 if has_traded else 0),
        "markPrice": fixed(now.mark_e8),
        "volume": plain(now.volume_e8),
        "openInterest": plain(open_interest_e8(engine, listed)),
        "ask": plain(best.ask_e8),
        "askIv": implied_vol(engine, listed, best.ask_e8),
        "askSize": plain(best.ask_size_e8),
        "bid": plain(best.bid_e8),
        "bidIv": implied_vol(engine, listed, best.bid_e8),
        "bidSize": plain(best.bid_size_e8),
        "markIv": round(value.iv, 4),
        "type": 1 if is_call else 2,
        "lastPriceIv": implied_vol(engine, listed, now.last_e8) if has_traded else NO_IV,
        "underlyingPrice": plain(now.index_e8),
        "breakeven": plain(listed.terms.strike * SCALE + premium),
        "changeRate": now.change_rate,
        "changePrice": fixed(now.change_e8),
        "userPosition": plain(held),
        "delta": round(value.greeks.delta, 5),
        "gamma": round(value.greeks.gamma, 5),
        "vega": round(value.greeks.vega, 5),
        "theta": round(value.greeks.theta, 5),
        "rho": round(value.greeks.rho, 5),
    }


def detail(venue: Venue, symbol: str) -> dict[str, Any]:
    """GET /open/option/detail/v1/{symbol}."""
    listed = find_option(venue, symbol)
    assert listed.terms is not None
    engine = venue.engine
    now, value = ticker(engine, listed), engine.valuation.of(listed)
    is_call = listed.terms.right == "C"
    premium = now.mark_e8 if is_call else -now.mark_e8
    return {
        "optionId": _option_id(listed),
        "symbol": listed.symbol,
        "index": listed.pair.name,
        "displayName": display_name(listed),
        "endTime": listed.terms.expiry_ms,
        "remainTime": listed.terms.expiry_ms - venue.now_ms,
        "strike": fixed(listed.terms.strike * SCALE),
        "markPrice": now.mark_e8 / SCALE,
        "underlyingPrice": plain(now.index_e8),
        "volume": fixed(now.volume_e8),
        "volumeUsd": fixed(now.value_e8),
        "openInterest": plain(open_interest_e8(engine, listed)),
        "lastPrice": now.last_e8 / SCALE,
        "premium": 0,
        "changeRate": now.change_rate,
        "changePrice": plain(now.change_e8),
        "iv": round(value.iv, 4),
        "multiplier": listed.pair.multiplier,
        "type": 1 if is_call else 2,
        "indexPrice": fixed(now.index_e8),
        "price24hHigh": plain(now.high_e8),
        "price24hLow": plain(now.low_e8),
        "volumeUsd24h": plain(now.value_e8),
        "price24hOpen": plain(now.open_e8),
        "volume24h": plain(now.volume_e8),
        "breakeven": plain(listed.terms.strike * SCALE + premium),
        **value.greeks._asdict(),
    }


def last_trades(venue: Venue, product: str, symbol: str) -> list[dict[str, Any]]:
    """GET …/trade/lasttrade/v1/{symbol}: the newest first, no trade id."""
    listed = venue.engine.market.instruments.get(symbol)
    if listed is None or listed.product != product:
        unknown = refusals.UNKNOWN_OPTION if product == OPTIONS else refusals.UNKNOWN_INSTRUMENT
        raise RefusedError(unknown)
    shown = {"displayName": display_name(listed)} if product == OPTIONS else {}
    return [
        {
            "symbol": symbol,
            **shown,
            "price": decimal_text(trade.price * listed.tick_e8),
            "qty": decimal_text(trade.lots * listed.lot_e8),
            "time": trade.ts_ms,
            "tradeSide": int(trade.side),
        }
        for trade in venue.engine.tape.prints(symbol)[:_KEPT]
    ]


def klines(venue: Venue, product: str, symbol: str, fields: Fields) -> list[dict[str, Any]]:
    """GET …/market/kline/history/v…/{symbol}: from when the exchange began, whatever is asked."""
    listed = venue.engine.market.instruments.get(symbol)
    if listed is None or listed.product != product:
        raise RefusedError(refusals.UNKNOWN_INSTRUMENT)
    period = str(fields.get("period") or "").lower()
    if not period:
        raise RefusedError(refusals.missing("period"))
    if period not in PERIODS:
        raise RefusedError(refusals.wrong("period"))
    start_ms, end_ms = integer(fields, "start"), integer(fields, "end")
    # No bar is older than the exchange, but the one that it began in is whole.
    began = period_start_ms(period, venue.engine.market.start_ms)
    first = max(began, start_ms or 0)
    last = min(venue.now_ms, venue.now_ms if end_ms is None else end_ms)
    if first > last:  # perhaps so far off that the calendar does not reach it
        return []
    return [
        {
            "open": plain(bar.open * listed.tick_e8),
            "close": plain(bar.close * listed.tick_e8),
            "low": plain(bar.low * listed.tick_e8),
            "high": plain(bar.high * listed.tick_e8),
            "volume": plain(bar.lots * listed.lot_e8),
            "time": bar.start_ms,
            "period": period.upper(),
        }
        for bar in venue.engine.tape.bars(symbol, period, first, last)
    ]


def funding_rates(venue: Venue, fields: Fields) -> list[dict[str, Any]]:
    """GET /open/public/fundingRate/v1; nextFundingTime is later."""
    wanted = str(fields.get("symbol") or ",".join(pair.name for pair in PAIRS)).split(",")
    pairs = {pair.name: pair for pair in PAIRS}
    if any(name not in pairs for name in wanted):
        raise RefusedError(refusals.UNKNOWN_INSTRUMENT)
    due_ms = venue.funding.next_ms(venue.now_ms)
    return [
        {
            "symbol": name,
            "rate": str(fixed(venue.funding.rate_e8(name, due_ms))),
            "contractId": str(pairs[name].contract_id),
            "nextFundingTime": due_ms,
            "ts": venue.now_ms,
        }
        for name in wanted
    ]


def delivery_prices(venue: Venue, index: str) -> dict[str, Any]:
    """GET /open/option/get-delivery-prices/v1."""
    if all(pair.name != index for pair in PAIRS):
        raise RefusedError(refusals.UNKNOWN_INDEX)
    prices = venue.engine.delivery_e8.get(index, {})
    rows = [
        {
            "date": f"{datetime.fromtimestamp(expiry_ms / 1000, UTC):%Y-%m-%d}",
            "delivery_price": plain(price_e8),
        }
        for expiry_ms, price_e8 in sorted(prices.items(), reverse=True)
    ]
    return {"data": rows, "records_total": len(rows)}


def estimated_prices(venue: Venue, fields: Fields) -> list[dict[str, Any]]:
    """GET /open/option/getEstimatedExpirationPrice/v1: the index of now, of each expiry."""
    index, end_ms = fields.get("index"), integer(fields, "endTime")
    return [
        {
            "estimatedExpirationPrice": decimal_text(venue.engine.valuation.index_e8(pair)),
            "index": pair.name,
            "endTime": expiry_ms,
        }
        for pair in PAIRS
        if index in (None, "", pair.name)
        for expiry_ms in _expiries(venue, pair.name)
        if end_ms in (None, expiry_ms)
    ]


def _expiries(venue: Venue, index: str) -> Iterator[int]:
    market = venue.engine.market
    found = {
        listed.terms.expiry_ms
        for listed in market.instruments.values()
        if listed.terms is not None and listed.pair.name == index and not market.is_expired(listed)
    }
    return iter(sorted(found))


def _option_id(listed: Instrument) -> int:
    """Made of the terms, so that it is the same at every start."""
    assert listed.terms is not None
    strike, right, expiry_ms = listed.terms
    return (expiry_ms << 20) + strike % 2**18 * 4 + (2 if right == "P" else 0)

"""The bodies of the public REST endpoints, from the same market as the pushes. No server here.

Protocol page, sections 2.1, 2.3 and 2.5; seed 003 for the bodies printed there.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from . import refusals
from .instruments import FUTURES, LIMITS, OPTIONS, PAIRS, Instrument, Pair
from .ladder import Level
from .market import SCALE, Book, Market
from .numerals import decimal_text, fixed, plain
from .refusals import RefusedError
from .ticker import Ticker, open_interest_e8, quote, ticker
from .venue import Venue

__all__ = [
    "config",
    "futures_book",
    "futures_depth",
    "futures_instruments",
    "futures_symbols",
    "instruments",
    "options_book",
]

_DEPTHS = (1, 10, 20, 50, 100)


def config() -> dict[str, Any]:
    """GET /open/public/config/v1: BTCUSD as printed in seed 003, ETHUSD alike."""
    return {
        "optionConfig": {pair.name: _option_config(pair) for pair in PAIRS},
        "futuresConfig": {pair.name: _future_config(pair) for pair in PAIRS},
    }


def _option_config(pair: Pair) -> dict[str, Any]:
    limits = LIMITS[OPTIONS]
    return {
        "symbol": pair.name,
        "takerFee": limits.taker_e8 / SCALE,
        "maxOrderNumber": limits.max_orders,
        "multiplier": pair.multiplier,
        "settle": "USD",
        "priceDecimal": 2,
        "limitMaxQty": limits.limit_max_qty,
        "tickDecimal": _decimals(pair.option_tick_e8),
        "tickSize": pair.option_tick_e8 / SCALE,
        "greeksDecimal": 5,
        "makerFee": limits.maker_e8 / SCALE,
        "marketMaxQty": limits.market_max_qty,
        "qtyDecimal": _decimals(pair.option_lot_e8),
        "maxPositionQty": 1000,
        "base": pair.base,
    }


def _future_config(pair: Pair) -> dict[str, Any]:
    limits = LIMITS[FUTURES]
    return {
        "symbol": pair.name,
        "positionQty": 100_000_000,
        "takerFee": limits.taker_e8 / SCALE,
        "maxOrderNumber": limits.max_orders,
        "settle": "USD",
        "priceDecimal": _decimals(pair.future_tick_e8),
        "limitMaxQty": limits.limit_max_qty,
        "tickDecimal": _decimals(pair.future_tick_e8),
        "tickSize": pair.future_tick_e8 / SCALE,
        "makerFee": limits.maker_e8 / SCALE,
        "triggerLimit": limits.max_stops,
        "marketMaxQty": limits.market_max_qty,
        "qtyDecimal": _decimals(pair.future_lot_e8),
        "base": pair.base,
        "minQty": pair.future_lot_e8 / SCALE,
    }


def instruments(market: Market, base: str) -> list[dict[str, Any]]:
    """GET /open/option/getInstruments/{base}; `startTimestamp` is in live answers only."""
    if all(base != pair.base for pair in PAIRS):
        raise RefusedError(refusals.UNKNOWN_OPTION)
    return [
        {
            "baseCurrency": base,
            "startTimestamp": market.start_ms,
            "expirationTimestamp": listed.terms.expiry_ms,
            "strike": float(listed.terms.strike),
            "symbolName": listed.symbol,
            "isActive": not market.is_expired(listed),
            "minQty": listed.lot_e8 / SCALE,
            "tickSize": listed.tick_e8 / SCALE,
        }
        for listed in market.instruments.values()
        if listed.terms is not None and listed.pair.base == base
    ]


def options_book(market: Market, symbol: str) -> dict[str, Any]:
    """GET /open/option/order/orderbook/v1/{symbol}: no time, no sequence."""
    book = market.books.get(symbol)
    terms = book.instrument.terms if book else None
    if book is None or terms is None:
        raise RefusedError(refusals.UNKNOWN_OPTION)
    return {
        "optionName": symbol,
        "displayName": None,
        "strike": terms.strike,
        "bids": _levels(book.instrument, book.bids),
        "asks": _levels(book.instrument, book.asks),
    }


def futures_book(market: Market, symbol: str) -> dict[str, Any]:
    """GET /open/futures/order/orderbook/v1/{symbol}."""
    book = _future(market, symbol)
    return {
        "symbol": symbol,
        "bids": _levels(book.instrument, book.bids),
        "asks": _levels(book.instrument, book.asks),
    }


def futures_depth(market: Market, ticker: str, depth: str, now_ms: int) -> dict[str, Any]:
    """GET /open/futures/market/orderbook: `BTC-USD`, levels as pairs of texts, depth 1 unless told.

    From the venue's later docs; not in the seeds.
    """
    book = _future(market, ticker.replace("-", ""))
    if ticker != _ticker(book.instrument.pair):
        raise RefusedError(refusals.UNKNOWN_INSTRUMENT)
    if depth not in map(str, _DEPTHS):
        raise RefusedError(refusals.INVALID_DEPTH)
    bids = _levels(book.instrument, book.bids[: int(depth)])
    asks = _levels(book.instrument, book.asks[: int(depth)])
    return {
        "symbol": ticker,
        "bids": [[level["price"], level["size"]] for level in bids],
        "asks": [[level["price"], level["size"]] for level in asks],
        "timestamp": now_ms,
    }


def futures_symbols(venue: Venue) -> list[dict[str, Any]]:
    """GET /open/futures/market/symbol/v1."""
    rows = []
    for pair in _listed(venue):
        now = _perpetual(venue, pair)
        rows.append(
            {
                "contractId": pair.contract_id,
                "symbol": pair.name,
                "symbolName": f"{pair.base}/USD",
                "displayName": f"{pair.base}-PERP",
                "baseToken": pair.base,
                "quoteToken": "USD",
                "price": plain(now.last_e8),
                "changeRate": now.change_rate,
                "changePrice": plain(now.change_e8),
                "markPrice": plain(now.mark_e8),
                "indexPrice": plain(now.index_e8),
                "price24hHigh": plain(now.high_e8),
                "price24hLow": plain(now.low_e8),
                "volumeUsd24h": plain(now.value_e8),
                "volume24h": plain(now.volume_e8),
                # Digits of a date, not milliseconds, as printed.
                "ts": int(f"{datetime.fromtimestamp(venue.now_ms / 1000, UTC):%Y%m%d%H%M%S}"),
                "price24hOpen": plain(now.open_e8),
                "hasOption": True,
                "sortIdx": None,
            }
        )
    return rows


def futures_instruments(venue: Venue) -> list[dict[str, Any]]:
    """GET /open/futures/market/instruments/v1: snake case, numbers as text.

    From the venue's later docs; not in the seeds.
    """
    rows = []
    for pair in _listed(venue):
        now = _perpetual(venue, pair)
        listed = venue.engine.market.instruments[pair.name]
        best = quote(venue.engine, listed)
        open_interest = open_interest_e8(venue.engine, listed)
        due_ms = venue.funding.next_ms(venue.now_ms)
        rate = str(fixed(venue.funding.rate_e8(pair.name, due_ms)))
        price, value = str(fixed(now.last_e8)), decimal_text(now.value_e8)
        rows.append(
            {
                "ticker_id": _ticker(pair),
                "base_currency": pair.base,
                "quote_currency": "USD",
                "last_price": price,
                "base_volume": decimal_text(now.volume_e8),
                "usd_volume": value,
                "quote_volume": value,
                "bid": decimal_text(best.bid_e8),
                "ask": decimal_text(best.ask_e8),
                "high": decimal_text(now.high_e8),
                "low": decimal_text(now.low_e8),
                "product_type": "Perpetual",
                "open_interest": decimal_text(open_interest),
                "open_interest_usd": decimal_text(open_interest * now.index_e8 // SCALE),
                "index_price": str(fixed(now.index_e8)),
                "funding_rate": rate,
                "next_funding_rate": rate,
                "next_funding_rate_timestamp": due_ms,
                "contract_type": "Vanilla",
                "contract_price": price,
                "contract_price_currency": "USD",
            }
        )
    return rows


def _listed(venue: Venue) -> list[Pair]:
    """The pairs with a perpetual: all but in a recording that has not all."""
    return [pair for pair in PAIRS if pair.name in venue.engine.market.instruments]


def _perpetual(venue: Venue, pair: Pair) -> Ticker:
    return ticker(venue.engine, venue.engine.market.instruments[pair.name])


def _future(market: Market, symbol: str) -> Book:
    book = market.books.get(symbol)
    if book is None or book.instrument.product != FUTURES:
        raise RefusedError(refusals.UNKNOWN_INSTRUMENT)
    return book


def _levels(instrument: Instrument, levels: Sequence[Level]) -> list[dict[str, str]]:
    return [
        {
            "size": decimal_text(size * instrument.lot_e8),
            "price": decimal_text(price * instrument.tick_e8),
        }
        for price, size in levels
    ]


def _ticker(pair: Pair) -> str:
    return f"{pair.base}-USD"


def _decimals(unit_e8: int) -> int:
    """How many decimals a tick or lot has: 0.01 has 2."""
    return len(decimal_text(unit_e8).partition(".")[2])

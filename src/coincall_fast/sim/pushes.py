"""The public pushes beside the books: tickers, chain, trades, bars. One function a channel.

Protocol page, sections 3.2 and 3.3: keys in the order of the printed samples, today's additions at
the end; seed 001 for the first edition.
"""

from datetime import UTC, datetime
from typing import Any

from .instruments import FUTURES, OPTIONS, Instrument
from .market import SCALE
from .numerals import compact, decimal_text, fixed, plain
from .tape import Print
from .ticker import implied_vol, open_interest_e8, quote, ticker
from .venue import Venue

__all__ = [
    "chain",
    "fill_signal",
    "kline",
    "options_ticker",
    "perpetual_ticker",
    "premium_index",
    "trades",
    "trades_v2",
]

_TRADE = 2  # the one event type that is printed (seed 001, fillSignal)
_MINUTE_MS = 60_000


def push(dt: int, data: Any, ts_ms: int | None = None) -> str:
    """A frame; the newer channels have a time of their own."""
    frame = {"dt": dt, "c": 20, "d": data}
    return compact(frame if ts_ms is None else frame | {"ts": ts_ms})


def kline(venue: Venue, instrument: Instrument, period: str) -> str:
    bar = venue.engine.tape.bar(instrument.symbol, period, venue.now_ms)
    data = {
        "high": fixed(bar.high * instrument.tick_e8),
        "s": instrument.symbol,
        "low": fixed(bar.low * instrument.tick_e8),
        "pe": period,
        "v": fixed(bar.lots * instrument.lot_e8) if bar.lots else 0,
        "close": fixed(bar.close * instrument.tick_e8),
        "open": fixed(bar.open * instrument.tick_e8),
        "ts": bar.start_ms,
    }
    return push(2 if instrument.product == OPTIONS else 31, data)


def options_ticker(venue: Venue, instrument: Instrument, *, as_texts: bool) -> str:
    """`bsInfo`; `as_texts`: numbers as strings, as seen live in 2026."""
    assert instrument.terms is not None
    now, value = ticker(venue.engine, instrument), venue.engine.valuation.of(instrument)
    is_first = venue.edition == "2023-05"
    traded = {"tv" if is_first else "uv": fixed(now.value_e8)}
    greeks = value.greeks
    data: dict[str, Any] = traded | {
        "rt": instrument.terms.expiry_ms - venue.now_ms,
        "mp": fixed(now.mark_e8),
        "lp": fixed(now.last_e8),
        "ip": fixed(now.index_e8),
        "delta": round(greeks.delta, 5),
        "h": fixed(now.high_e8),
        "l": fixed(now.low_e8),
        "iv": round(value.iv, 4),
        "theta": round(greeks.theta, 5),
        "cp": fixed(now.change_e8),
        "pr0": fixed(now.open_e8),
        "cr": now.change_rate,
        "s": instrument.symbol,
        "uv24": fixed(now.value_e8),
        "v": fixed(now.volume_e8),
        "v24": fixed(now.volume_e8),
        "oi": plain(open_interest_e8(venue.engine, instrument)),
        "up": plain(now.index_e8),
        "gamma": round(greeks.gamma, 5),
        "vega": round(greeks.vega, 5),
        "ts": venue.now_ms,
    }
    if is_first:
        data = {name: item for name, item in data.items() if name not in ("v", "ts")}
        data |= {"tva": fixed(now.volume_e8), "ts": venue.now_ms}
    if as_texts:
        times = ("rt", "ts")
        data = {name: item if name in times else str(item) for name, item in data.items()}
    return push(3, data)


def chain(venue: Venue, options: list[Instrument]) -> str:
    """`tOption`: all options of one index and expiry, in one frame."""
    return push(4, [_chain_row(venue, instrument) for instrument in options])


def _chain_row(venue: Venue, instrument: Instrument) -> dict[str, Any]:
    engine = venue.engine
    now, best = ticker(engine, instrument), quote(engine, instrument)
    value = engine.valuation.of(instrument)
    is_first, is_today = venue.edition == "2023-05", venue.edition == "today"
    sizes = plain(best.bid_size_e8), plain(best.ask_size_e8)
    later = {"miv": round(value.iv, 4)} if is_today else {}
    shown: dict[str, Any] = {"s": instrument.symbol}
    if is_first:
        shown |= {"bv": sizes[0], "av": sizes[1]}
    else:
        shown = {"bs": sizes[0], "as": sizes[1]} | shown | {"v": fixed(now.volume_e8)}
    shown |= {"ask": plain(best.ask_e8)}
    if now.volume_e8 or not is_first:  # missing where nothing traded (seed 001)
        shown |= {"v24": fixed(now.volume_e8)}
    traded = {"tv": plain(now.volume_e8)} if is_first and now.volume_e8 else {}
    return {
        **traded,
        "mp": fixed(now.mark_e8),
        "lp": fixed(now.last_e8),
        "delta": round(value.greeks.delta, 5),
        "theta": round(value.greeks.theta, 5),
        "cp": fixed(now.change_e8),
        "biv": implied_vol(engine, instrument, best.bid_e8),
        "aiv": implied_vol(engine, instrument, best.ask_e8),
        **later,
        "cr": now.change_rate,
        **shown,
        "oi": plain(open_interest_e8(engine, instrument)),
        "upv": 0,
        "up": plain(now.index_e8),
        "bid": plain(best.bid_e8),
        "gamma": round(value.greeks.gamma, 5),
        "vega": round(value.greeks.vega, 5),
        "ts": venue.now_ms,
    }


def perpetual_ticker(venue: Venue, instrument: Instrument) -> str:
    """`spotPrice`."""
    now = ticker(venue.engine, instrument)
    data: dict[str, Any] = {"pr": plain(now.last_e8), "mp": plain(now.mark_e8)}
    if venue.edition == "2023-05":
        data["lp"] = plain(now.last_e8)
    data |= {
        "ip": fixed(now.index_e8),
        "h": fixed(now.high_e8),
        "l": fixed(now.low_e8),
        "cp": fixed(now.change_e8),
        "cr": now.change_rate,
        "pr0": plain(now.open_e8),
        "s": instrument.symbol,
    }
    if venue.edition == "2023-05":
        data["cv"] = "0"
    data |= {"uv24": fixed(now.value_e8), "v24": fixed(now.volume_e8)}
    if venue.edition != "today":
        return push(30, data)
    oi_e8 = open_interest_e8(venue.engine, instrument)
    return push(30, data | {"oi": plain(oi_e8), "ts": venue.now_ms}, venue.now_ms)


def premium_index(venue: Venue, instrument: Instrument) -> str:
    """`premiumIndex`: the perpetual's middle over the index, each minute."""
    best = quote(venue.engine, instrument)
    index_e8 = venue.engine.valuation.index_e8(instrument.pair)
    middle_e8 = (best.bid_e8 + best.ask_e8) // 2 if best.bid_e8 and best.ask_e8 else index_e8
    minute_ms = venue.now_ms // _MINUTE_MS * _MINUTE_MS
    data = {
        "minute": _minute(minute_ms),
        "premiumIndex": fixed((middle_e8 - index_e8) * SCALE // index_e8),
        "symbol": instrument.symbol,
        "ts": venue.now_ms,
    }
    return push(44, data)


def _minute(time_ms: int) -> str:
    return f"{datetime.fromtimestamp(time_ms / 1000, UTC):%Y-%m-%d %H:%M:%S}"


def trades(venue: Venue, instrument: Instrument, prints: list[Print]) -> str:
    """`lastTrade`: no id, so that its backlog cannot be told from news."""
    rows: list[dict[str, Any]] = []
    for trade in prints:
        size_e8 = trade.lots * instrument.lot_e8
        if venue.edition == "2023-05":
            row = {
                "sd": int(trade.side),
                "pr": plain(trade.price * instrument.tick_e8),
                "s": trade.symbol,
                "v": plain(size_e8),
                "ts": trade.ts_ms,
            }
        else:
            is_padded = instrument.product == FUTURES  # as printed (seed 003)
            show = fixed if is_padded else plain
            row = {
                "q": decimal_text(size_e8),
                "sd": int(trade.side),
                "pr": str(show(trade.price * instrument.tick_e8)),
                "s": trade.symbol,
                "ts": trade.ts_ms,
            }
        rows.append(row)
    return push(6 if instrument.product == OPTIONS else 33, rows)


def trades_v2(venue: Venue, instrument: Instrument, prints: list[Print]) -> str:
    """`lastTradeV2`: with ids, everything as text."""
    rows = [
        {
            "matchPrice": decimal_text(trade.price * instrument.tick_e8),
            "matchQty": decimal_text(trade.lots * instrument.lot_e8),
            "matchValue": decimal_text(
                trade.price * instrument.tick_e8 * trade.lots * instrument.lot_e8 // SCALE
            ),
            "symbol": trade.symbol,
            "tradeId": str(trade.trade_id),
            "tradeSide": str(int(trade.side)),
            "tradeTime": str(trade.ts_ms),
        }
        for trade in prints
    ]
    return push(24 if instrument.product == OPTIONS else 43, rows, venue.now_ms)


def fill_signal(instrument: Instrument, trade: Print) -> str:
    data = {"s": trade.symbol, "et": _TRADE, "ts": trade.ts_ms}
    return push(8 if instrument.product == OPTIONS else 34, data)

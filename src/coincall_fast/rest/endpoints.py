"""Every REST endpoint of Coincall: where it is, what it takes, how often, what it gives.

Seed 003; protocol page, sections 2.1 to 2.7 and 2.9. A new endpoint is one row here.
"""

from collections.abc import Mapping
from typing import Any, Final

from ..message import Account, Fill, Kline, OptionChain, Order, Position, Ticker, Trade
from .answers import (
    anything,
    detailed,
    done,
    identifier,
    inner,
    levels,
    many,
    maybe,
    nothing,
    one,
    pages,
    server_time,
    table,
)
from .instruments import FUTURES, OPTIONS
from .rates import Rate
from .reports import (
    Countdown,
    Delivery,
    Exercise,
    ExpiryEstimate,
    FundingPayment,
    FundingRate,
    KeyInfo,
    Leverage,
    Protection,
    Referral,
    User,
)
from .request import FORM, JSON, Endpoint

__all__ = ["ENDPOINTS", "MOST_IN_A_BATCH", "ORDER", "ORDER_CHANGE", "RATES", "with_reserve"]

MOST_IN_A_BATCH: Final = 40

# What a new order has, alone or in a batch.
ORDER: Final = (
    "symbol side order_type qty price client_order_id time_in_force stp reduce_only mmp"
    " trigger_price"
)
ORDER_CHANGE: Final = "symbol order_id client_order_id qty price"

RESERVE: Final = 5

# fmt: off
# Of the cancellations' window, the last ones are left to those that cancel many orders at once.
RATES: Final[Mapping[str, Rate]] = {
    "config":     Rate(10, 2.0, "config"),
    "funding":    Rate(10, 2.0, "funding"),
    "positions":  Rate(5, 1.0, "positions"),
    "pending":    Rate(5, 1.0, "pending"),
    "history":    Rate(4, 1.0, "history"),
    "account":    Rate(2, 1.0, "account"),
    "orderbook":  Rate(30, 2.0, "orderbook"),
    "place":      Rate(30, 2.0, "place"),
    "cancel":     Rate(25, 2.0, "cancel"),
    "cancel_all": Rate(30, 2.0, "cancel"),
    "delivery":   Rate(1, 1.0, "delivery"),
}


def with_reserve(rates: Mapping[str, Rate], given: Mapping[str, Rate]) -> dict[str, Rate]:
    """These rates, where single cancellations leave a share of their window to those of many orders
    at once. A rate that was given for "cancel" alone is what the venue takes of both."""
    taken = dict(rates)
    both = given.get("cancel")
    if both is not None and "cancel_all" not in given:
        taken["cancel_all"] = both
        taken["cancel"] = both._replace(most=both.most - min(RESERVE, both.most // 2))
    return taken


def _public(path: str, parameters: str, rate: str, result: Any) -> Endpoint:
    return Endpoint("GET", path, parameters, rate, result, is_signed=False)


def _read(path: str, parameters: str, rate: str, result: Any) -> Endpoint:
    return Endpoint("GET", path, parameters, rate, result)


def _urgent(path: str, parameters: str, rate: str, result: Any) -> Endpoint:
    """A read that somebody waits for who trades."""
    return _read(path, parameters, rate, result)._replace(is_urgent=True)


def _post(path: str, parameters: str, rate: str, result: Any, encoding: str = JSON) -> Endpoint:
    return Endpoint("POST", path, parameters, rate, result, encoding, is_write=True)


def _acting_get(path: str, rate: str) -> Endpoint:
    """A GET that cancels: it is no read, whatever its method says (section 5, quirk 38)."""
    return Endpoint("GET", path, "", rate, nothing, is_write=True)


# By noun and verb: method, path, parameters, rate class, result; encoding of a POST.
_ALL: dict[str, Endpoint] = {
    "time":                    _public("/time", "", "", server_time)._replace(is_urgent=True),
    "config":                  _public("/open/public/config/v1", "", "config", detailed),
    "funding_rates":           _public("/open/public/fundingRate/v1", "symbol_list", "funding", many(FundingRate)),
    "countdown":               _post("/open/futures/countdown/cancel/v1", "product symbol countdown_ms", "", nothing),
    "countdowns":              _read("/open/futures/countdown/cancel/get/v1", "product", "", many(Countdown)),
    "beat":                    _post("/open/futures/countdown/cancel/heartbeat/v1", "product symbols", "", anything),

    "account.user":            _read("/open/user/info/v1", "", "account", one(User)),
    "account.summary":         _read("/open/account/summary/v1", "", "account", one(Account)),
    "account.key":             _read("/open/auth/user/query-api", "", "", one(KeyInfo)),
    "account.referrals":       _read("/open/referral/sub/v1", "sub_agent_id page", "", pages(Referral)),
    "account.transfer":        _post("/open/user/subAccount/fund/transfer/v1", "from_user_id to_user_id amount currency", "", nothing, FORM),
    "account.exercises":       _read("/open/settle/exercise/history/v1", "symbol start_ms end_ms page page_size", "history", pages(Exercise)),
    "account.funding":         _read("/open/settle/future/record/v1", "symbol start_ms end_ms page page_size", "history", pages(FundingPayment)),
    "account.latest_funding":  _read("/open/settle/future/latestRecord/v1", "symbol start_ms", "history", many(FundingPayment)),

    "options.instruments":     _public("/open/option/getInstruments/{base}", "", "", detailed),
    "options.chain":           _public("/open/option/get/v1/{index}", "end_ms", "", table(OptionChain)),
    "options.details":         _public("/open/option/detail/v1/{symbol}", "", "", one(Ticker)),
    "options.order_book":      _public("/open/option/order/orderbook/v1/{symbol}", "", "orderbook", levels),
    "options.last_trades":     _public("/open/option/trade/lasttrade/v1/{symbol}", "", "", many(Trade)),
    "options.klines":          _public("/open/option/market/kline/history/v1/{symbol}", "period kline_start_ms kline_end_ms limit", "", many(Kline)),
    "options.deliveries":      _public("/open/option/get-delivery-prices/v1", "symbol", "delivery", inner(Delivery)),
    "options.expiry_estimates": _public("/open/option/getEstimatedExpirationPrice/v1", "index end_ms", "", many(ExpiryEstimate)),
    "options.place_orders":    _post("/open/option/order/batchCreate/v1", "orders", "place", anything),
    "options.modify_orders":   _post("/open/option/order/batchModify/v1", "orders", "place", anything),
    "options.cancel_symbol":   _acting_get("/open/option/order/batchCancelByOption/v1/{symbol}", "cancel_all"),
    "options.mmp.set":         _post("/open/mmp/set-mmp-config/v1", "index_name interval_ms frozen_ms qty_limit delta_limit", "", nothing),
    "options.mmp.get":         _read("/open/mmp/get-mmp-config/v1", "index_name", "", maybe(Protection)),
    "options.mmp.reset":       _post("/open/mmp/reset-mmp/v1", "instrument_type index_name", "", done),

    "futures.symbols":         _public("/open/futures/market/symbol/v1", "", "", many(Ticker)),
    "futures.order_book":      _public("/open/futures/order/orderbook/v1/{symbol}", "", "orderbook", levels),
    "futures.last_trades":     _public("/open/futures/trade/lasttrade/v1/{symbol}", "", "", many(Trade)),
    "futures.klines":          _public("/open/futures/market/kline/history/v2/{symbol}", "period kline_start_ms kline_end_ms limit", "", many(Kline)),
    "futures.leverage":        _read("/open/futures/leverage/current/v1", "symbol", "", one(Leverage)),
    "futures.set_leverage":    _post("/open/futures/leverage/set/v1", "symbol leverage", "", nothing),
}


def _trading(product: str, root: str) -> dict[str, Endpoint]:
    """What both products have, under their own roots."""
    return {
        f"{product}.positions":     _read(f"{root}/position/get/v1", "", "positions", many(Position)),
        f"{product}.place_order":   _post(f"{root}/order/create/v1", ORDER, "place", identifier),
        f"{product}.modify_order":  _post(f"{root}/order/modify/v1", ORDER_CHANGE, "place", identifier),
        f"{product}.cancel_order":  _post(f"{root}/order/cancel/v1", "order_id client_order_id", "cancel", nothing),
        f"{product}.cancel_orders": _post(f"{root}/order/batchCancel/v1", "order_ids client_order_ids", "cancel", anything),
        f"{product}.cancel_all":    _acting_get(f"{root}/order/cancelOpenOrders/v1/{{index}}", "cancel_all"),
        f"{product}.open_orders":   _read(f"{root}/order/pending/v1", "page page_size currency symbol", "pending", pages(Order)),
        f"{product}.order":         _urgent(f"{root}/order/singleQuery/v1", "order_id client_order_id", "positions", one(Order)),
        f"{product}.order_history": _read(f"{root}/order/history/v1", "page_size from_id start_ms end_ms", "history", pages(Order)),
        f"{product}.trade_history": _read(f"{root}/trade/history/v1", "page_size from_id start_ms end_ms", "history", pages(Fill)),
    }


ENDPOINTS: Final[Mapping[str, Endpoint]] = {
    **_ALL,
    **_trading(OPTIONS, "/open/option"),
    **_trading(FUTURES, "/open/futures"),
}
# fmt: on

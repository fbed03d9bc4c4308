"""Every REST endpoint: where it is, who may use it, how often, and what answers it.

Seed 003, and the starred endpoints of trading of the protocol page, section 2.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from . import refusals, rest, rest_account, rest_market, rest_orders, verbs
from .instruments import FUTURES, OPTIONS
from .keys import MAKER, READ, TRADE
from .refusals import RefusedError
from .verbs import Call

__all__ = ["ENDPOINTS", "Endpoint"]

_DAY_MS = 86_400_000
_FUNDING_MS = 8 * 3_600_000


class Endpoint(NamedTuple):
    """One endpoint. `permission` is None where no signature is needed."""

    method: str
    path: str
    answer: Callable[[Call], Any]
    product: str = ""
    permission: str | None = READ
    rate: str | None = None
    msg: str | None = "Success"
    code: int | str = 0
    has_i18n: bool = True
    later: tuple[str, ...] = ()  # keys that the 2023 editions have not


def _page_of_funding(call: Call) -> dict[str, Any]:
    if call.fields.get("symbol") in (None, ""):
        raise RefusedError(refusals.NO_SYMBOL)
    rows = rest_account.funding_records(call.venue, call.user_id, call.fields, 90 * _DAY_MS)
    shown, pages = rest_orders.page(rows, call.fields, 50)
    return {"list": shown, "pageTotal": pages, "total": len(rows)}


def _referrals(call: Call) -> dict[str, Any]:
    # No account here is an agent's.
    if call.fields.get("subAgentId") not in (None, ""):
        raise RefusedError(refusals.ILLEGAL)
    return {"list": [], "pageTotal": 0, "total": 0}


def _held(call: Call) -> dict[str, int]:
    """The caller's option positions, in 1e-8; nobody's when the request is not signed."""
    account = call.venue.engine.ledger.accounts.get(call.user_id)
    positions = account.open_positions if account else []
    return {p.instrument.symbol: p.lots * p.instrument.lot_e8 for p in positions}


def _public(
    path: str,
    answer: Callable[[Call], Any],
    product: str = "",
    rate: str | None = None,
    msg: str | None = "Success",
) -> Endpoint:
    return Endpoint("GET", path, answer, product, None, rate, msg)


_EVERYWHERE = [
    _public("/time", lambda c: {"serverTime": c.venue.clock.wall_ms}, msg=None),
    _public("/open/public/config/v1", lambda c: rest.config(), rate="config"),
    _public(
        "/open/public/fundingRate/v1",
        lambda c: rest_market.funding_rates(c.venue, c.fields),
        rate="funding",
    )._replace(later=("nextFundingTime",)),
    Endpoint("GET", "/open/user/info/v1", lambda c: rest_account.user(c.key), rate="account"),
    Endpoint(
        "GET",
        "/open/account/summary/v1",
        lambda c: rest_account.summary(c.venue, c.user_id, is_flat=c.venue.edition != "today"),
        rate="account",
    ),
    Endpoint("GET", "/open/auth/user/query-api", lambda c: rest_account.api_key(c.key)),
    Endpoint("GET", "/open/referral/sub/v1", _referrals, msg=None, has_i18n=False),
    Endpoint(
        "GET",
        "/open/settle/exercise/history/v1",
        lambda c: rest_account.exercises(c.venue, c.user_id, c.fields),
        rate="history",
    ),
    Endpoint("GET", "/open/settle/future/record/v1", _page_of_funding, rate="history"),
    Endpoint(
        "GET",
        "/open/settle/future/latestRecord/v1",
        lambda c: rest_account.funding_records(c.venue, c.user_id, c.fields, _FUNDING_MS),
        rate="history",
    ),
]

_OPTIONS_MARKET = [
    _public(
        "/open/option/getInstruments/{base}",
        lambda c: rest.instruments(c.venue.engine.market, c.path["base"]),
    )._replace(later=("startTimestamp",)),
    _public(
        "/open/option/get/v1/{index}",
        lambda c: rest_market.chain(c.venue, c.path["index"], c.fields, _held(c)),
    ),
    _public(
        "/open/option/detail/v1/{symbol}", lambda c: rest_market.detail(c.venue, c.path["symbol"])
    ),
    _public(
        "/open/option/order/orderbook/v1/{symbol}",
        lambda c: rest.options_book(c.venue.engine.market, c.path["symbol"]),
        rate="orderbook",
    ),
    _public(
        "/open/option/trade/lasttrade/v1/{symbol}",
        lambda c: rest_market.last_trades(c.venue, OPTIONS, c.path["symbol"]),
    ),
    _public(
        "/open/option/market/kline/history/v1/{symbol}",
        lambda c: rest_market.klines(c.venue, OPTIONS, c.path["symbol"], c.fields),
    ),
    _public(
        "/open/option/get-delivery-prices/v1",
        lambda c: rest_market.delivery_prices(c.venue, str(c.fields.get("symbol") or "BTCUSD")),
        rate="delivery",
    ),
    _public(
        "/open/option/getEstimatedExpirationPrice/v1",
        lambda c: rest_market.estimated_prices(c.venue, c.fields),
    ),
]

_FUTURES_MARKET = [
    _public(
        "/open/futures/market/symbol/v1", lambda c: rest.futures_symbols(c.venue), msg="success"
    ),
    _public("/open/futures/market/instruments/v1", lambda c: rest.futures_instruments(c.venue)),
    _public(
        "/open/futures/order/orderbook/v1/{symbol}",
        lambda c: rest.futures_book(c.venue.engine.market, c.path["symbol"]),
        rate="orderbook",
        msg="success",
    ),
    _public(
        "/open/futures/market/orderbook",
        lambda c: rest.futures_depth(
            c.venue.engine.market,
            str(c.fields.get("symbol") or ""),
            str(c.fields.get("depth") or "1"),
            c.venue.now_ms,
        ),
        rate="orderbook",
    ),
    _public(
        "/open/futures/trade/lasttrade/v1/{symbol}",
        lambda c: rest_market.last_trades(c.venue, FUTURES, c.path["symbol"]),
        msg="success",
    ),
    _public(
        "/open/futures/market/kline/history/v2/{symbol}",
        lambda c: rest_market.klines(c.venue, FUTURES, c.path["symbol"], c.fields),
    ),
]


def _trading(product: str) -> list[Endpoint]:
    """The verbs that both products have, and how each spells its message (seed 003)."""
    root = "/open/option" if product == OPTIONS else "/open/futures"
    msg = "Success" if product == OPTIONS else "success"

    def get(path: str, answer: Callable[[Call], Any], rate: str) -> Endpoint:
        return Endpoint("GET", root + path, answer, product, READ, rate, msg)

    def post(path: str, answer: Callable[[Call], Any], rate: str, who: str = TRADE) -> Endpoint:
        return Endpoint("POST", root + path, answer, product, who, rate, msg)

    return [
        get("/position/get/v1", _positions, "positions")._replace(
            later=("lastPrice", "upnlByMarkPrice", "roiByMarkPrice")
        ),
        get(
            "/order/pending/v1",
            lambda c: rest_orders.pending(c.venue, c.user_id, c.product, c.fields),
            "pending",
        )._replace(later=("timeInForce",)),
        get(
            "/order/singleQuery/v1",
            lambda c: rest_orders.order_info(
                c.venue, c.venue.desk.find(c.user_id, c.product, c.fields)
            ),
            "positions",
        )._replace(msg="success", later=("mmp",)),
        get(
            "/order/history/v1",
            lambda c: rest_orders.history(c.venue, c.user_id, c.product, c.fields),
            "history",
        ),
        get(
            "/trade/history/v1",
            lambda c: rest_orders.trades(c.venue, c.user_id, c.product, c.fields),
            "history",
        )._replace(later=("mmp",)),
        post("/order/create/v1", verbs.create, "place"),
        post("/order/modify/v1", verbs.modify, "place"),
        post("/order/cancel/v1", verbs.cancel, "cancel"),
        post("/order/batchCancel/v1", verbs.batch_cancel, "cancel"),
        # A GET that changes the state; its message is the same for both products.
        Endpoint(
            "GET",
            root + "/order/cancelOpenOrders/v1/{symbol}",
            verbs.cancel_index,
            product,
            TRADE,
            "cancel",
        ),
    ]


def _positions(call: Call) -> list[dict[str, Any]]:
    if call.product == OPTIONS:
        return rest_account.options_positions(call.venue, call.user_id)
    return rest_account.futures_positions(call.venue, call.user_id, call.fields)


def _maker(
    method: str, path: str, answer: Callable[[Call], Any], product: str = "", rate: str = ""
) -> Endpoint:
    return Endpoint(method, path, answer, product, MAKER, rate or None)


_MAKERS = [
    _maker("POST", "/open/option/order/batchCreate/v1", verbs.batch_create, OPTIONS, "place"),
    _maker("POST", "/open/option/order/batchModify/v1", verbs.batch_modify, OPTIONS, "place"),
    Endpoint(
        "GET",
        "/open/option/order/batchCancelByOption/v1/{symbol}",
        verbs.cancel_symbol,
        OPTIONS,
        TRADE,
        "cancel",
    ),
    Endpoint(
        "GET", "/open/futures/leverage/current/v1", verbs.get_leverage, FUTURES, msg="success"
    ),
    Endpoint(
        "POST",
        "/open/futures/leverage/set/v1",
        verbs.set_leverage,
        FUTURES,
        TRADE,
        msg="success",
    ),
    _maker("POST", "/open/futures/countdown/cancel/v1", verbs.set_countdown),
    _maker("GET", "/open/futures/countdown/cancel/get/v1", verbs.countdowns),
    _maker("POST", "/open/futures/countdown/cancel/heartbeat/v1", verbs.beat),
    _maker("POST", "/open/mmp/set-mmp-config/v1", verbs.set_mmp),
    _maker("GET", "/open/mmp/get-mmp-config/v1", verbs.get_mmp),
    # The one answer whose code is a string (protocol page, section 2).
    _maker("POST", "/open/mmp/reset-mmp/v1", verbs.reset_mmp)._replace(
        code="0", msg="", has_i18n=False
    ),
]

ENDPOINTS = [
    *_EVERYWHERE,
    *_OPTIONS_MARKET,
    *_FUTURES_MARKET,
    *_trading(OPTIONS),
    *_trading(FUTURES),
    *_MAKERS,
]

"""A client that we did not write, `python-coincall` 0.1.0, trades on the simulated exchange.

It signs and asks with its own code. Where it is not installed, this is left out.
"""

from collections.abc import Iterator
from typing import Any

import pytest

from coincall_fast.sim import Exchange

Options: Any = pytest.importorskip("coincall.Options", reason="python-coincall")
Futures: Any = pytest.importorskip("coincall.Futures")
Public: Any = pytest.importorskip("coincall.Public")
Referral: Any = pytest.importorskip("coincall.Referral")
User: Any = pytest.importorskip("coincall.User")


@pytest.fixture(scope="module")
def exchange() -> Iterator[Exchange]:
    with Exchange(seed=1, throttle="off", flow=0.0) as running:
        running.freeze()
        yield running


@pytest.fixture
def make(exchange: Exchange) -> Iterator[Any]:
    made = []

    def make(api: Any) -> Any:
        made.append(
            api(exchange.api_key, exchange.api_secret, domain=exchange.rest_url, debug=False)
        )
        return made[-1]

    yield make
    for client in made:
        client.client.close()


def data(answer: Any) -> Any:
    assert answer["code"] == 0, answer
    return answer["data"]


def test_public_and_account(make: Any) -> None:
    public, user = make(Public.PublicAPI), make(User.UserAPI)
    assert data(public.get_server_time())["serverTime"]
    assert "BTCUSD" in data(public.get_config())["optionConfig"]
    assert data(public.get_realtime_funding_rate("ETHUSD"))[0]["symbol"] == "ETHUSD"
    assert data(user.get_user_info())["userId"]
    assert float(data(user.get_account_summary())["equity"]) > 0
    assert data(make(Referral.ReferralAPI).get_referrals())["list"] == []


@pytest.mark.parametrize("product", ["options", "futures"])
def test_trading(exchange: Exchange, make: Any, product: str) -> None:
    is_option = product == "options"
    api = make(Options.OptionsAPI if is_option else Futures.FuturesAPI)
    symbol = exchange.symbols(product)[0]
    best = float(data(api.get_depth(symbol))["asks"][0]["price"])
    taken = data(api.place_order(symbol, 0.1, 1, 1, clientOrderId=11, price=best))
    resting = data(api.place_order(symbol, 0.1, 1, 3, clientOrderId=12, price=1.5))
    assert data(api.get_order_by_id(orderId=taken))["state"] == 1
    assert data(api.get_order_by_id(clientOrderId=12))["orderId"] == resting
    assert data(api.get_open_orders())["list"][0]["orderId"] == resting
    assert data(api.get_positions())[0]["symbol"] == symbol
    assert data(api.get_lasttrade(symbol))[0]["tradeSide"] == 1
    assert data(api.get_trade_history(pageSize=5))["list"][0]["orderId"] == taken
    data(api.cancel_order(clientOrderId=12))
    resting = data(api.place_order(symbol, 0.1, 1, 1, price=1.5))
    data(api.cancel_orders("BTCUSD"))
    history = data(api.get_order_history(pageSize=10))["list"]
    assert history[0]["orderId"] == resting
    assert [row["state"] for row in history] == [3, 3, 1]


def test_what_only_one_product_has(exchange: Exchange, make: Any) -> None:
    options, futures = make(Options.OptionsAPI), make(Futures.FuturesAPI)
    listed = data(options.get_instruments("BTC"))
    assert data(options.get_options_by_endtime("BTCUSD", listed[0]["expirationTimestamp"]))
    symbol = exchange.symbols("options")[0]
    assert data(options.get_option_by_name(symbol))["symbol"] == symbol
    assert data(futures.get_symbols())[1]["symbol"] == "ETHUSD"
    data(futures.set_leverage("ETHUSD", 9))
    assert data(futures.get_leverage("ETHUSD"))["currentLeverage"] == 9

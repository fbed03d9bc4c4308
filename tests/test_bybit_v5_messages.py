"""Bybit's messages of version 5, field by field: the frames of the venue's own pages."""

from coincall_fast import (
    Account,
    OrderState,
    OrderType,
    PortfolioRisk,
    Side,
    Ticker,
    TimeInForce,
    Trades,
)
from venue_messages import bybit, seen, topic


def test_todays_ticker() -> None:
    """The option of .../docs/v5/websocket/public/ticker."""
    message = bybit(
        '{"id":"tickers.BTC-6JAN23-17500-C-2480334983-1672917511074","topic":"tickers.BTC-6JAN23-17'
        '500-C","ts":1672917511074,"data":{"symbol":"BTC-6JAN23-17500-C","bidPrice":"0","bidSize":'
        '"0","bidIv":"0","askPrice":"10","askSize":"5.1","askIv":"0.514","lastPrice":"10","highPric'
        'e24h":"25","lowPrice24h":"5","markPrice":"7.86976724","indexPrice":"16823.73","markPriceIv'
        '":"0.4896","underlyingPrice":"16815.1","openInterest":"49.85","turnover24h":"446802.8473",'
        '"volume24h":"26.55","totalVolume":"86","totalTurnover":"1437431","delta":"0.047831","gamma'
        '":"0.00021453","vega":"0.81351067","theta":"-19.9115368","predictedDeliveryPrice":"0","cha'
        'nge24h":"-0.33333334"},"type":"snapshot"}'
    )
    assert type(message) is Ticker
    assert (message.channel, message.is_snapshot, message.extra) == ("tickers", True, {})
    assert seen(message) == {
        "symbol": "BTC-6JAN23-17500-C",
        "bid": "0",
        "bid_size": "0",
        "bid_iv": "0",
        "ask": "10",
        "ask_size": "5.1",
        "ask_iv": "0.514",
        "last_price": "10",
        "high_24h": "25",
        "low_24h": "5",
        "mark_price": "7.86976724",
        "index_price": "16823.73",
        "iv": "0.4896",
        "underlying_price": "16815.1",
        "open_interest": "49.85",
        "volume_usd_24h": "446802.8473",
        "volume_24h": "26.55",
        "volume": "86",
        "trade_value": "1437431",
        "delta": "0.047831",
        "gamma": "0.00021453",
        "vega": "0.81351067",
        "theta": "-19.9115368",
        "delivery_price": "0",
        "price_change_rate": "-0.33333334",
        "ts_ms": 1672917511074,
    }


def test_todays_trades_come_by_coin() -> None:
    found = bybit(
        '{"id":"1","topic":"publicTrade.BTC","type":"snapshot","ts":1672304486868,"data":[{"T":1672'
        '304486865,"s":"BTC-6JAN23-17500-C","S":"Sell","v":"0.001","p":"16578.50","i":"20f43950-d8d'
        'd","BT":true,"mP":"1.5","iP":"2","mIv":"0.5","iv":"0.6","L":"PlusTick"},{"T":1,"s":"X","S"'
        ':"Buy","v":"1","p":"2","i":"7","BT":false}]}'
    )
    assert type(found) is Trades
    assert (found.channel, found.is_snapshot, len(found)) == ("publicTrade", True, 2)
    assert seen(found[0]) == {
        "symbol": "BTC-6JAN23-17500-C",
        "price": "16578.50",
        "qty": "0.001",
        "trade_id": "20f43950-d8dd",
        "side": Side.SELL,
        "ts_ms": 1672304486865,
        "iv": "0.6",
        "mark_iv": "0.5",
        "mark_price": "1.5",
        "index_price": "2",
        "is_block": True,
    }
    assert found[0].extra == {"L": "PlusTick"}
    assert found[1].is_block is False


def test_todays_order() -> None:
    """The option of .../docs/v5/websocket/private/order."""
    (order,) = bybit(
        '{"id":"5923240c6880ab-c59f-420b-9adb-3639adc9dd90","topic":"order","creationTime":16723642'
        '62474,"data":[{"symbol":"ETH-30DEC22-1400-C","orderId":"5cf98598-39a7-459e-97bf-76ca765ee0'
        '20","side":"Sell","orderType":"Market","cancelType":"UNKNOWN","price":"72.5","qty":"1","or'
        'derIv":"","timeInForce":"IOC","orderStatus":"Filled","orderLinkId":"","lastPriceOnCreated"'
        ':"","reduceOnly":false,"leavesQty":"","leavesValue":"","cumExecQty":"1","cumExecValue":"75'
        '","avgPrice":"75","blockTradeId":"","positionIdx":0,"cumExecFee":"0.358635","createdTime":'
        '"1672364262444","updatedTime":"1672364262457","rejectReason":"EC_NoError","triggerPrice":"'
        '","category":"option"}]}'
    )
    assert order.channel == "order"
    assert seen(order) == {
        "order_id": "5cf98598-39a7-459e-97bf-76ca765ee020",
        "symbol": "ETH-30DEC22-1400-C",
        "side": Side.SELL,
        "order_type": OrderType.MARKET,
        "time_in_force": TimeInForce.IOC,
        "state": OrderState.FILLED,
        "reason": "UNKNOWN",
        "price": "72.5",
        "qty": "1",
        "filled_qty": "1",
        "value": "75",
        "average_price": "75",
        "fee": "0.358635",
        "reduce_only": False,
        "created_ms": 1672364262444,
        "ts_ms": 1672364262457,
    }
    assert order.extra["rejectReason"] == "EC_NoError"


def test_todays_execution() -> None:
    (fill,) = bybit(
        '{"id":"5","topic":"execution.option","creationTime":1672364174455,"data":[{"category":"opt'
        'ion","symbol":"BTC-6JAN23-17500-C","execFee":"0.005061","execId":"7e2ae69c-4edf-5800-a352-'
        '893d52b446aa","execPrice":"0.3374","execQty":"25","execType":"Delivery","execValue":"8.435'
        '","isMaker":true,"feeRate":"0.0006","tradeIv":"0.5","markIv":"0.6","blockTradeId":"","mark'
        'Price":"0.3391","indexPrice":"3","underlyingPrice":"4","leavesQty":"0","orderId":"f6e324ff'
        '","orderLinkId":"mine","side":"Sell","execTime":"1672364174443"}]}'
    )
    assert fill.channel == "execution"
    assert seen(fill) == {
        "trade_id": "7e2ae69c-4edf-5800-a352-893d52b446aa",
        "order_id": "f6e324ff",
        "client_order_id": "mine",
        "symbol": "BTC-6JAN23-17500-C",
        "side": Side.SELL,
        "price": "0.3374",
        "qty": "25",
        "value": "8.435",
        "remaining_qty": "0",
        "fee": "0.005061",
        "fee_rate": "0.0006",
        "iv": "0.5",
        "mark_iv": "0.6",
        "mark_price": "0.3391",
        "index_price": "3",
        "underlying_price": "4",
        "is_taker": False,
        "execution_type": "Delivery",
        "ts_ms": 1672364174443,
    }
    (taken,) = topic("execution", '[{"isMaker":false}]')
    assert taken.is_taker is True


def test_todays_position_and_greeks() -> None:
    (position,) = topic(
        "position.option",
        '[{"symbol":"X","side":"Sell","size":"2","positionValue":"9","entryPrice":"4.5","markPrice"'
        ':"5","leverage":"","positionIM":"1","positionMM":"0.5","liqPrice":"","unrealisedPnl":"-1",'
        '"curRealisedPnl":"1.26","delta":"0.1","gamma":"0.2","vega":"0.3","theta":"-0.4","createdTi'
        'me":"5","updatedTime":"1697682317038"}]',
    )
    assert seen(position) == {
        "symbol": "X",
        "side": Side.SELL,
        "qty": "2",
        "value": "9",
        "average_price": "4.5",
        "mark_price": "5",
        "initial_margin": "1",
        "maintenance_margin": "0.5",
        "unrealized_pnl": "-1",
        "realized_pnl": "1.26",
        "delta": "0.1",
        "gamma": "0.2",
        "vega": "0.3",
        "theta": "-0.4",
        "created_ms": 5,
        "ts_ms": 1697682317038,
    }
    (closed,) = topic("position", '[{"side":"","size":"0"}]')
    assert (closed.qty, closed.side) == (0, None)
    (risk,) = topic("greeks", '[{"baseCoin":"ETH","totalDelta":"0.06999986"}]')
    assert seen(risk) == {"coin": "ETH", "delta": "0.06999986", "ts_ms": 1650000000000}
    assert risk.scope == "coin"
    assert PortfolioRisk().scope == "account"


def test_todays_wallet() -> None:
    (account,) = topic(
        "wallet",
        '[{"accountIMRate":"0.016","totalEquity":"12837.78330098","totalWalletBalance":"12840.40459'
        '24","totalMarginBalance":"12837.78330188","totalAvailableBalance":"12632.05767702","totalP'
        'erpUPL":"-2.62129051","totalInitialMargin":"205.72562486","totalMaintenanceMargin":"39.428'
        '76721","coin":[{"coin":"USDC","equity":"200.62572554"}],"accountType":"UNIFIED"}]',
    )
    assert type(account) is Account
    assert seen(account) == {
        "equity": "12837.78330098",
        "balance": "12840.4045924",
        "margin_balance": "12837.78330188",
        "available_balance": "12632.05767702",
        "unrealized_pnl": "-2.62129051",
        "initial_margin": "205.72562486",
        "maintenance_margin": "39.42876721",
        "assets": [{"coin": "USDC", "equity": "200.62572554"}],
        "ts_ms": 1650000000000,
    }

"""What an account is worth and what it must keep: all in 1e-16 dollars.

Futures as the printed samples compute them: initial margin is the value at the average price over
the leverage, maintenance 1 % of that value. A bought option is paid for and needs none. For a sold
one no formula is printed; the one used is the usual one of crypto venues.
"""

from collections.abc import Iterable
from typing import NamedTuple

from .accounts import Account, Position, value_e16
from .instruments import OPTIONS, Instrument
from .market import SCALE
from .orders import Order, Side
from .valuation import Valuation

__all__ = [
    "DEFAULT_LEVERAGE",
    "Summary",
    "liquidation_e8",
    "order_margins",
    "position_margin",
    "summarise",
    "upnl",
]

DEFAULT_LEVERAGE = 5  # as printed (seed 003, futures positions)


class Summary(NamedTuple):
    """One account, without its cents' fractions lost."""

    cash: int
    upnl: int
    equity: int
    margin_balance: int
    initial: int
    maintenance: int
    available: int


def upnl(position: Position, price_e8: int) -> int:
    """The unrealised P&L of a position at a price."""
    return price_e8 * position.instrument.lot_e8 * position.lots - position.cost_e16


def position_margin(
    position: Position, account: Account, valuation: Valuation, *, maintenance: bool = False
) -> int:
    """The initial margin of a position, or what it must not fall below."""
    instrument = position.instrument
    if instrument.product == OPTIONS:
        if position.lots >= 0:
            return 0
        return _short_option(instrument, -position.lots, valuation, maintenance=maintenance)
    value = abs(position.cost_e16)
    return value // 100 if maintenance else value // leverage(account, instrument)


def leverage(account: Account, instrument: Instrument) -> int:
    return account.leverage.get(instrument.symbol, DEFAULT_LEVERAGE)


def order_margins(
    orders: Iterable[Order], account: Account, valuation: Valuation
) -> dict[int, int]:
    """What each order holds, by its id: for the part of it that would open a position.

    A position is closed once: the first orders to close it hold nothing, those behind them do.
    """
    margins: dict[int, int] = {}
    left: dict[tuple[str, Side], int] = {}  # of positions, that nobody would close yet
    for order in orders:
        key = order.instrument.symbol, order.side
        reducible = left.get(key)
        if reducible is None:
            reducible = account.reducible(order.instrument, order.side)
        closing = min(order.remaining, reducible)
        left[key] = reducible - closing
        margins[order.order_id] = _opening(order, order.remaining - closing, account, valuation)
    return margins


def _opening(order: Order, lots: int, account: Account, valuation: Valuation) -> int:
    instrument, price = order.instrument, order.price
    mark = -(-valuation.mark_e8(instrument) // instrument.tick_e8)
    if instrument.product != OPTIONS:
        if price is None or (order.side is Side.SELL and price < mark):
            price = mark  # a low price sells at what is bid, not at that
        return value_e16(instrument, price, lots) // leverage(account, instrument)
    if order.side is Side.BUY:
        return value_e16(instrument, mark if price is None else price, lots)
    return _short_option(instrument, lots, valuation, maintenance=False)


def liquidation_e8(position: Position, summary: Summary, mark_e8: int) -> int:
    """Where the mark would have to go for the balance to fall to the maintenance margin."""
    lots = position.lots * position.instrument.lot_e8
    return mark_e8 - (summary.margin_balance - summary.maintenance) // lots


def summarise(account: Account, orders: Iterable[Order], valuation: Valuation) -> Summary:
    futures_upnl = options_upnl = options_value = initial = maintenance = 0
    for position in account.open_positions:
        mark_e8 = valuation.mark_e8(position.instrument)
        gain = upnl(position, mark_e8)
        if position.instrument.product == OPTIONS:
            options_upnl += gain
            options_value += mark_e8 * position.instrument.lot_e8 * position.lots
        else:
            futures_upnl += gain
        initial += position_margin(position, account, valuation)
        maintenance += position_margin(position, account, valuation, maintenance=True)
    initial += sum(order_margins(orders, account, valuation).values())
    balance = account.cash_e16 + futures_upnl
    return Summary(
        cash=account.cash_e16,
        upnl=futures_upnl + options_upnl,
        equity=balance + options_value,
        margin_balance=balance,
        initial=initial,
        maintenance=maintenance,
        available=max(0, balance - initial),
    )


def _short_option(
    instrument: Instrument, lots: int, valuation: Valuation, *, maintenance: bool
) -> int:
    """15 % of the index less what the option is out of the money, at least 10 %, and the mark."""
    assert instrument.terms is not None
    index_e8 = valuation.index_e8(instrument.pair)
    strike_e8 = instrument.terms.strike * SCALE
    otm_e8 = strike_e8 - index_e8 if instrument.terms.right == "C" else index_e8 - strike_e8
    if maintenance:
        part_e8 = index_e8 * 75 // 1000
    else:
        part_e8 = max(index_e8 * 15 // 100 - max(0, otm_e8), index_e8 // 10)
    return (part_e8 + valuation.mark_e8(instrument)) * lots * instrument.lot_e8

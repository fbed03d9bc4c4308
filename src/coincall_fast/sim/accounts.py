"""Who owns what: cash, positions and fees, in whole units of 1e-16 dollars.

A price has 8 decimals and so has a size; their product has 16, so with integers of that unit no
trade rounds anything. What must be rounded (a fee, the cost of a part of a position) is rounded
once and then booked on both sides. The model has an account like everybody else, and the fees
have one: over all accounts the books always balance (`Ledger.total_e16`).

Futures are settled in cash when a position is reduced. An option's premium is paid at the trade,
and its position is worth what it is marked at.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from .instruments import OPTIONS, Instrument
from .orders import Side

__all__ = ["FEES", "MODEL", "Account", "Booked", "Ledger", "Position", "value_e16"]

MODEL = 0  # the user id of the model, which makes and takes without fees
FEES = 1  # the account that fees are paid to

_RATE = 100_000_000  # rates are in 1e-8
_CENT_E16 = 100_000_000  # fees are charged to 8 decimals


def value_e16(instrument: Instrument, price: int, lots: int) -> int:
    """Dollars for `lots` at `price` ticks."""
    return price * instrument.tick_e8 * lots * instrument.lot_e8


def _divided(value: int, by: int) -> int:
    """The nearest integer, halves away from zero."""
    quotient = (2 * abs(value) + by) // (2 * by)
    return quotient if value >= 0 else -quotient


def fee_e16(value: int, rate_e8: int) -> int:
    """The fee on a value, rounded to the 8 decimals that the venue keeps."""
    return _divided(value * rate_e8, _RATE * _CENT_E16) * _CENT_E16


@dataclass(slots=True)
class Position:
    """What a user holds of one instrument: `lots` are negative for a short one."""

    position_id: int
    instrument: Instrument
    lots: int = 0
    cost_e16: int = 0  # paid for what is still open; negative for a short one
    realised_e16: int = 0  # without fees
    order_id: int = 0  # the last order that changed it
    updated_ms: int = 0

    def trade(self, lots: int, value: int) -> int:
        """Books `lots` (negative: sold) for `value`, of the same sign; returns the P&L realised."""
        closed = 0
        if self.lots * lots < 0:
            closed = min(abs(lots), abs(self.lots)) * (1 if lots > 0 else -1)
        # What is closed takes its share of the cost and of the value with it; the shares of the
        # rest are differences, so that nothing is lost in the rounding.
        paid = _divided(value * abs(closed), abs(lots)) if closed != lots else value
        cost = -_divided(self.cost_e16 * abs(closed), abs(self.lots)) if closed else 0
        realised = cost - paid if closed else 0
        self.lots += lots
        self.cost_e16 += cost + (value - paid)
        self.realised_e16 += realised
        return realised


@dataclass(slots=True)
class Account:
    """One user's cash and positions."""

    user_id: int
    cash_e16: int = 0
    positions: dict[str, Position] = field(default_factory=dict)  # by product and symbol
    leverage: dict[str, int] = field(default_factory=dict)  # of a perpetual, where it was set

    def position(self, instrument: Instrument) -> Position | None:
        """The position, if it is open."""
        held = self.positions.get(instrument.symbol)
        return held if held is not None and held.lots else None

    def reducible(self, instrument: Instrument, side: Side) -> int:
        """How many lots an order of `side` may trade before it opens something."""
        held = self.positions.get(instrument.symbol)
        return max(0, -held.lots * side.sign) if held else 0

    @property
    def open_positions(self) -> list[Position]:
        return [position for position in self.positions.values() if position.lots]


class Booked(NamedTuple):
    """What a trade did to those who made it, by user, in 1e-16 dollars; the P&L is before fees."""

    fees_e16: dict[int, int]
    realised_e16: dict[int, int]


class Ledger:
    """All accounts of the venue."""

    def __init__(self) -> None:
        self.accounts = {MODEL: Account(MODEL), FEES: Account(FEES)}

    def open(self, user_id: int, cash_e16: int) -> Account:
        account = self.accounts[user_id] = Account(user_id)
        self.pay(account, cash_e16)
        return account

    def pay(self, account: Account, amount_e16: int) -> None:
        """Pays `amount_e16` to an account out of the model's pocket."""
        account.cash_e16 += amount_e16
        self.accounts[MODEL].cash_e16 -= amount_e16

    def trade(
        self,
        instrument: Instrument,
        price: int,
        lots: int,
        users: dict[Side, int],
        rates_e8: dict[int, int],
        position_id: int,
        now_ms: int,
    ) -> Booked:
        """Books a trade; `rates_e8` are the fee rates of those who pay any."""
        value = value_e16(instrument, price, lots)
        fees: dict[int, int] = {}
        realised: dict[int, int] = {}
        for side, user_id in users.items():
            account = self.accounts[user_id]
            realised[user_id] = self._book(
                account, instrument, lots * side.sign, value * side.sign, position_id, now_ms
            )
            fees[user_id] = fee_e16(value, rates_e8.get(user_id, 0))
            account.cash_e16 -= fees[user_id]
            self.accounts[FEES].cash_e16 += fees[user_id]
        return Booked(fees, realised)

    def settle(self, instrument: Instrument, price_e8: int, now_ms: int) -> dict[int, int]:
        """Closes every position of an instrument at a price; returns what each account got."""
        flows: dict[int, int] = {}
        for account in self.accounts.values():
            held = account.position(instrument)
            if held is not None:
                value = price_e8 * instrument.lot_e8 * held.lots
                flows[account.user_id] = value
                self._book(account, instrument, -held.lots, -value, held.position_id, now_ms)
        return flows

    def total_e16(self) -> int:
        """Cash of all accounts less the cost of their open perpetuals: always 0."""
        return sum(
            account.cash_e16
            - sum(p.cost_e16 for p in account.open_positions if p.instrument.product != OPTIONS)
            for account in self.accounts.values()
        )

    def lots(self, instrument: Instrument) -> Iterable[int]:
        """The positions of all accounts in one instrument; they add up to 0."""
        held = (account.position(instrument) for account in self.accounts.values())
        return [position.lots for position in held if position is not None]

    def _book(
        self,
        account: Account,
        instrument: Instrument,
        lots: int,
        value: int,
        position_id: int,
        now_ms: int,
    ) -> int:
        held = account.positions.get(instrument.symbol)
        if held is None or not held.lots:
            held = account.positions[instrument.symbol] = Position(position_id, instrument)
        held.updated_ms = now_ms
        realised = held.trade(lots, value)
        account.cash_e16 += -value if instrument.product == OPTIONS else realised
        return realised

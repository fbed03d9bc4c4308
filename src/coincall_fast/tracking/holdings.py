"""Positions and balances: of what is told of each, the latest counts."""

from collections.abc import Iterable
from decimal import Decimal

from ..message import Account, Position
from ..model import PositionState, Side
from .exactly import EXACT, ZERO

__all__ = ["Holdings", "signed_qty"]


def signed_qty(position: Position | None) -> Decimal:
    """Its size, below 0 where it is short. What the sign of a size says is what its side says,
    which is told as well (section 5, row 42)."""
    qty = None if position is None else position.exact("qty")
    if position is None or qty is None or position.state is PositionState.CLOSED:
        return ZERO
    if position.side is None:
        return qty
    return EXACT.minus(EXACT.abs(qty)) if position.side == Side.SELL else EXACT.abs(qty)


class Holdings:
    """The latest that was told: by its time where both have one, else by when it came. For one
    thread at a time."""

    def __init__(self) -> None:
        self.account: Account | None = None
        self.positions: dict[str, Position] = {}
        self._touched: dict[str, int] = {}  # by symbol, the number of the last message about it

    def hear(self, position: Position, number: int) -> None:
        symbol = position.symbol or ""
        known = self.positions.get(symbol)
        self._touched[symbol] = number
        if known is None or not _is_older(position.ts_ms, known.ts_ms):
            self.positions[symbol] = position

    def hear_account(self, account: Account) -> None:
        if self.account is None or not _is_older(account.ts_ms, self.account.ts_ms):
            self.account = account

    def keep_only(self, listed: Iterable[str], symbols: Iterable[str], mark: int) -> None:
        """Of these symbols the listed ones have positions, and those told of since the mark may."""
        kept = set(listed)
        for symbol in symbols:
            if symbol not in kept and self._touched[symbol] <= mark:
                del self.positions[symbol]


def _is_older(ts_ms: int | None, known_ms: int | None) -> bool:
    return ts_ms is not None and known_ms is not None and ts_ms < known_ms

"""What was earned: cash, fees and inventory, exactly, from one's own fills."""

from collections.abc import Iterable, Mapping
from decimal import ROUND_HALF_UP, Decimal

from coincall_fast import Fill, Side

__all__ = ["Ledger", "charge"]

CENTS = Decimal("0.00000001")  # fees have 8 decimals
ZERO = Decimal(0)


class Ledger:
    """Adds up fills, each once, whoever tells it of them. Profit counts from when it was made."""

    def __init__(self, positions: Mapping[str, Decimal], marks: Mapping[str, Decimal]) -> None:
        """`positions` are those of the beginning, worth these marks."""
        self.positions = dict(positions)
        self.cash = -sum((qty * marks[symbol] for symbol, qty in positions.items()), ZERO)
        self.fees = ZERO
        self.traded: dict[str, int] = {}  # fills, by symbol
        self.most = {symbol: abs(qty) for symbol, qty in positions.items()}  # ever held
        self.volume = ZERO
        self._known: set[tuple[int | None, int | None]] = set()

    def skip(self, fills: Iterable[Fill]) -> None:
        """These were before the beginning."""
        self._known.update((fill.trade_id, fill.order_id) for fill in fills)

    def hear(self, fill: Fill) -> bool:
        """Whether it was news. A trade with oneself is two fills, of two orders."""
        key = fill.trade_id, fill.order_id
        if key in self._known:
            return False
        self._known.add(key)
        symbol = fill.symbol or ""
        price, qty = fill.exact("price"), fill.exact("qty")
        assert price is not None
        assert qty is not None
        signed = qty if fill.side == Side.BUY else -qty
        held = self.positions[symbol] = self.positions.get(symbol, ZERO) + signed
        self.most[symbol] = max(self.most.get(symbol, ZERO), abs(held))
        self.cash -= price * signed
        self.fees += charge(fill, price * qty)
        self.volume += price * qty
        self.traded[symbol] = self.traded.get(symbol, 0) + 1
        return True

    def inventory(self, marks: Mapping[str, Decimal]) -> Decimal:
        """What the positions are worth."""
        held = ((symbol, qty) for symbol, qty in self.positions.items() if qty)
        return sum((qty * marks[symbol] for symbol, qty in held), ZERO)

    def profit(self, marks: Mapping[str, Decimal]) -> Decimal:
        return self.cash - self.fees + self.inventory(marks)


def charge(fill: Fill, value: Decimal) -> Decimal:
    """What a fill cost. REST tells a fee above 0; in a push a charge is negative, and options have
    but its rate (protocol page, sections 2.4 and 3.3)."""
    fee, rate = fill.exact("fee"), fill.exact("fee_rate")
    if fill.dt is None:
        return ZERO if fee is None else fee
    if fee is not None:
        return -fee
    return ZERO if rate is None else (-rate * value).quantize(CENTS, ROUND_HALF_UP)

"""Funding: every eight hours the holders of a perpetual pay each other."""

from random import Random
from typing import NamedTuple

from .accounts import MODEL
from .engine import Engine
from .events import BalanceChanged
from .instruments import FUTURES, Instrument

__all__ = ["PERIOD_MS", "Funding", "Payment"]

PERIOD_MS = 8 * 3_600_000
_SCALE = 100_000_000
_TYPICAL_E8 = 10_000  # 0.01 %


class Payment(NamedTuple):
    """What one user paid at one funding; negative: received."""

    payment_id: int
    user_id: int
    instrument: Instrument
    lots: int
    fee_e16: int
    rate_e8: int
    ts_ms: int  # when it was due


class Funding:
    """The rates, which the seed decides, and what has been paid."""

    def __init__(self, engine: Engine, seed: int) -> None:
        self.payments: list[Payment] = []
        self._engine = engine
        self._seed = seed
        self._next_ms = self.next_ms(engine.now_ms)
        engine.after_step.append(self._after_step)

    @staticmethod
    def next_ms(now_ms: int) -> int:
        """The next funding after `now_ms`: at 00:00, 08:00 and 16:00 UTC."""
        return (now_ms // PERIOD_MS + 1) * PERIOD_MS

    def rate_e8(self, symbol: str, due_ms: int) -> int:
        """The rate that is due then; above 0 the long pay the short."""
        random = Random(f"{self._seed}:{symbol}:funding:{due_ms}")
        return round(random.gauss(0.0, _TYPICAL_E8))

    def _after_step(self) -> None:
        while self._engine.now_ms >= self._next_ms:  # a long gap may have several
            due_ms, self._next_ms = self._next_ms, self._next_ms + PERIOD_MS
            for instrument in self._engine.market.instruments.values():
                if instrument.product == FUTURES:
                    self._pay(instrument, due_ms)

    def _pay(self, instrument: Instrument, due_ms: int) -> None:
        engine = self._engine
        rate_e8 = self.rate_e8(instrument.symbol, due_ms)
        mark_e8 = engine.valuation.mark_e8(instrument)
        for account in list(engine.ledger.accounts.values()):
            position = account.position(instrument)
            if position is None or account.user_id == MODEL:
                continue  # the model pays and gets what the users get and pay
            value_e16 = mark_e8 * instrument.lot_e8 * position.lots
            fee_e16 = value_e16 * rate_e8 // (_SCALE * _SCALE) * _SCALE
            engine.ledger.pay(account, -fee_e16)
            self.payments.append(
                Payment(
                    engine.next_id(),
                    account.user_id,
                    instrument,
                    position.lots,
                    fee_e16,
                    rate_e8,
                    due_ms,
                )
            )
            engine.tell(BalanceChanged(account.user_id))

"""What a market maker has to tell in the end."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from ledger import ZERO, Ledger

from coincall_fast.streams.latency import Quantiles

__all__ = ["Report"]


@dataclass
class Report:
    seconds: float
    minutes: float  # of the market's time
    ledger: Ledger
    marks: Mapping[str, Decimal]
    funding: Decimal  # positive: received
    account: Decimal  # by how much the venue says that the equity has changed
    holds: Mapping[str, Decimal]  # as the venue says
    limits: Mapping[str, Decimal]
    missed: int  # fills that only REST told of
    sent: Counter[str]
    failed: Counter[str]
    answers_ms: Sequence[float]
    books: Quantiles  # nanoseconds

    @property
    def profit(self) -> Decimal:
        return self.ledger.profit(self.marks) + self.funding

    def document(self) -> dict[str, Any]:
        ledger = self.ledger
        return {
            "minutes": self.minutes,
            "profit": str(self.profit),
            "account": str(self.account),
            "cash": str(ledger.cash),
            "fees": str(ledger.fees),
            "funding": str(self.funding),
            "inventory": str(ledger.inventory(self.marks)),
            "volume": str(ledger.volume),
            "fills": ledger.traded,
            "missed": self.missed,
            "positions": {s: str(q.normalize()) for s, q in ledger.positions.items() if q},
            "holds": {s: str(q.normalize()) for s, q in self.holds.items() if q},
            "most": {s: str(q) for s, q in ledger.most.items()},
            "limits": {s: str(q) for s, q in self.limits.items()},
            "sent": self.sent,
            "failed": self.failed,
            "answer_ms": self._answers(),
            "book_us": {"p50": self.books.p50 / 1e3, "p99": self.books.p99 / 1e3},
        }

    def text(self) -> str:
        ledger, took = self.ledger, self._answers()
        count = sum(ledger.traded.values())
        cash, inventory = ledger.cash, ledger.inventory(self.marks)
        lines = [
            f"{self.minutes:.1f} minutes of market time in {self.seconds:g} s",
            f"profit   {self.profit:10.2f}     cash {cash:.2f}, inventory {inventory:.2f},"
            f" fees {-ledger.fees:.2f}, funding {self.funding:.2f}",
            f"account  {self.account:10.2f}     by the venue's own count",
            f"fills    {count:10}     of {ledger.volume:.0f} dollars, {self.missed} by REST alone",
        ]
        for symbol, limit in self.limits.items():
            held, most = ledger.positions.get(symbol, ZERO), ledger.most.get(symbol, ZERO)
            lines.append(
                f"  {symbol:22} {ledger.traded.get(symbol, 0):5} fills, holds"
                f" {held.normalize():f}, at most {most:f} of {limit:f}"
            )
        lines += [
            f"requests {self.sent.total():10}     {_counted(self.sent)}",
            f"failed   {self.failed.total():10}     {_counted(self.failed)}",
            f"answers  {took['p50']:10.1f} ms  p99 {took['p99']:.1f}",
            f"books    {self.books.p50 / 1e3:10.1f} µs  p99 {self.books.p99 / 1e3:.1f}",
        ]
        return "\n".join(lines)

    def _answers(self) -> dict[str, float]:
        took = sorted(self.answers_ms) or [float("nan")]
        return {"p50": took[len(took) // 2], "p99": took[len(took) * 99 // 100]}


def _counted(counter: Counter[str]) -> str:
    return ", ".join(f"{count} {name}" for name, count in counter.items()) or "none"

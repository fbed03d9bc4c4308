"""What the tests of the simulated exchange's trading share: a desk without a server."""

from typing import Any

import pytest

from coincall_fast.sim.desk import Desk
from coincall_fast.sim.engine import Engine
from coincall_fast.sim.events import Event
from coincall_fast.sim.ladder import Ladder
from coincall_fast.sim.orders import Order, Side
from coincall_fast.sim.refusals import RefusedError

START_MS = 1_732_000_000_000
STEP_MS = 100
E16 = 10**16
FUTURE = "BTCUSD"
ANN, BOB = 101, 102


class Floor:
    """An engine with two users, and the model's liquidity as a test wants it."""

    def __init__(self, *, seed: int = 0, flow: float = 0.0, cash: int = 1_000_000) -> None:
        self.engine = Engine(seed, START_MS, step_ms=STEP_MS, flow=flow)
        self.desk = Desk(self.engine)
        self.events: list[Event] = []
        self.engine.listeners.append(self.events.append)
        for user_id in (ANN, BOB):
            self.engine.ledger.open(user_id, cash * E16)

    @property
    def option(self) -> str:
        """The call nearest the money, of the nearer expiry."""
        return self.engine.market.symbols("options")[0]

    def quote(self, symbol: str, bids: list[tuple[int, int]], asks: list[tuple[int, int]]) -> None:
        """Sets what the model shows, until its next step."""
        book = self.engine.market.books[symbol]
        ladders: list[tuple[Ladder, list[tuple[int, int]]]] = [
            (book._bids, bids),
            (book._asks, asks),
        ]
        for ladder, levels in ladders:
            ladder.levels[:] = levels
        for side in book.sides.values():
            side.requeue()

    def place(self, user_id: int = ANN, symbol: str = FUTURE, **fields: Any) -> Order:
        product = "options" if "-" in str(symbol) else "futures"
        fields = {"symbol": symbol, "tradeSide": 1, "tradeType": 1, "qty": "0.1"} | fields
        return self.desk.place(user_id, product, fields)

    def refused(self, user_id: int = ANN, symbol: str = FUTURE, **fields: Any) -> int:
        """The code that an order is refused with; nothing must have happened."""
        before = len(self.events), dict(self.engine.orders)
        with pytest.raises(RefusedError) as caught:
            self.place(user_id, symbol, **fields)
        assert (len(self.events), dict(self.engine.orders)) == before
        return caught.value.refusal.code

    def book(self, symbol: str = FUTURE) -> dict[str, list[tuple[int, int]]]:
        book = self.engine.market.books[symbol]
        return {"bids": list(book.bids), "asks": list(book.asks)}

    def lots(self, user_id: int = ANN, symbol: str = FUTURE) -> int:
        held = self.desk.account(user_id).positions.get(symbol)
        return held.lots if held else 0


def check_books(engine: Engine) -> None:
    """What must hold at every moment, whatever has happened."""
    assert engine.ledger.total_e16() == 0
    for symbol, instrument in engine.market.instruments.items():
        assert sum(engine.ledger.lots(instrument)) == 0
        book = engine.market.books[symbol]
        bids, asks = book.bids, book.asks
        assert not bids or not asks or bids[0][0] < asks[0][0]
        for side in Side:
            for order in book.sides[side].orders:
                assert order.state.is_open
                assert order.remaining > 0

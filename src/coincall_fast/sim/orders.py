"""An order of a user: what was asked for, and what has become of it."""

from dataclasses import dataclass
from enum import IntEnum

from .instruments import Instrument

__all__ = ["Kind", "Order", "Side", "State", "Stp", "TimeInForce"]


class Side(IntEnum):
    """`tradeSide`; `sign` is what a trade does to the position."""

    BUY = 1
    SELL = 2

    @property
    def sign(self) -> int:
        return 1 if self is Side.BUY else -1

    @property
    def other(self) -> "Side":
        return Side.SELL if self is Side.BUY else Side.BUY


class Kind(IntEnum):
    """`tradeType`."""

    LIMIT = 1
    MARKET = 2
    POST_ONLY = 3
    STOP_LIMIT = 4
    STOP_MARKET = 5


class TimeInForce(IntEnum):
    """REST spells it by name; a push has the number, where post-only has one of its own."""

    GTC = 0
    POST_ONLY = 1
    IOC = 2
    FOK = 3


class Stp(IntEnum):
    """Self-trade prevention: who goes when two orders of one user would trade."""

    MAKER = 1
    TAKER = 2
    BOTH = 3


class State(IntEnum):
    """`state`; the numbers of both products, which agree where they overlap."""

    WAITING = -2  # a stop that has not been triggered: futures only
    NEW = 0
    FILLED = 1
    PARTIALLY_FILLED = 2
    CANCELED = 3
    INVALID = 6
    CANCELED_BY_EXERCISE = 10  # options only

    @property
    def is_open(self) -> bool:
        return self in (State.WAITING, State.NEW, State.PARTIALLY_FILLED)


@dataclass(slots=True)
class Order:
    """Prices are whole ticks and sizes whole lots of its instrument; money is in 1e-16 dollars."""

    order_id: int
    user_id: int
    instrument: Instrument
    side: Side
    kind: Kind
    lots: int
    price: int | None  # None for a market order
    created_ms: int
    client_id: int | None = None
    tif: TimeInForce = TimeInForce.GTC
    stp: Stp = Stp.BOTH
    is_reduce_only: bool = False
    is_mmp: bool = False
    trigger: int | None = None
    is_trigger_above: bool = False  # triggered at or above its price, else at or below
    updated_ms: int = 0
    state: State = State.NEW
    filled: int = 0
    tick_lots: int = 0  # the sum over the fills of price times size
    fee_e16: int = 0
    realised_e16: int = 0

    @property
    def remaining(self) -> int:
        return self.lots - self.filled

    @property
    def is_waiting(self) -> bool:
        """A stop that has not been triggered stands in no book."""
        return self.state is State.WAITING

    def reaches(self, price: int) -> bool:
        """Whether it may trade at `price` of the other side."""
        if self.price is None:
            return True
        return self.price >= price if self.side is Side.BUY else self.price <= price

"""The whole state of the exchange in one object, from which everything is told."""

from typing import Literal

from .clock import Clock
from .desk import USUAL, Customs, Desk
from .engine import Engine
from .funding import Funding
from .keys import Key, Keyring
from .recording import Recording

__all__ = ["EDITIONS", "Edition", "Venue"]

# Of the documents: `today` and the two of 2023, May's (seed 001) and September's (seed 003).
Edition = Literal["today", "2023-09", "2023-05"]
EDITIONS: tuple[Edition, ...] = ("today", "2023-09", "2023-05")

_FIRST_USER = 8_095_151_726  # the printed samples' (seed 003)
_E16 = 10**16


class Venue:
    """One exchange: its engine, its rules and those who may use it."""

    def __init__(
        self,
        seed: int,
        clock: Clock,
        *,
        step_ms: int = 100,
        flow: float = 1.0,
        expiries: int = 2,
        recording: Recording | None = None,
        edition: Edition = "today",
        customs: Customs = USUAL,
    ) -> None:
        self.edition = edition
        self.clock = clock
        self.engine = Engine(
            seed,
            clock.market_ms(),
            step_ms=step_ms,
            flow=flow,
            expiries=expiries,
            recording=recording,
        )
        self.desk = Desk(self.engine, customs)
        self.funding = Funding(self.engine, seed)
        self.keys = Keyring()
        self.reads_lag_ms = 0  # what is younger is not told yet
        self._users = 0

    @property
    def now_ms(self) -> int:
        return self.engine.now_ms

    @property
    def told_until_ms(self) -> int:
        """What was done later than this, reads do not know."""
        return self.engine.now_ms - self.reads_lag_ms

    def open_account(self, cash: int, api_key: str, api_secret: str, *permissions: str) -> Key:
        """A new user with so many dollars, and the key to the account."""
        key = Key(api_key, api_secret, _FIRST_USER + self._users, frozenset(permissions))
        self.keys.add(key)
        self._users += 1
        self.engine.ledger.open(key.user_id, cash * _E16)
        return key

"""The account: `client.account`. Seed 003; protocol page, sections 2.2, 2.4 and 2.5."""

from collections.abc import Iterator
from typing import Any

from ..errors import UsageError
from ..message import Account
from .calls import Rest
from .decimals import Number, exactly
from .pages import by_page
from .reports import Exercise, FundingPayment, KeyInfo, Referral, User

__all__ = ["AccountNoun"]

MOST_IN_A_PAGE = 50  # of settlement records


class AccountNoun:
    """`client.account`: who it is, what it has, and what it was paid."""

    def __init__(self, rest: Rest, is_read_only: bool) -> None:
        self._rest = rest
        self._is_read_only = is_read_only

    def _call(self, verb: str, **arguments: Any) -> Any:
        return self._rest.call(f"account.{verb}", arguments)

    def user(self) -> User:
        """Whose key it is."""
        user: User = self._call("user")
        return user

    def key(self) -> KeyInfo:
        """What the key may do."""
        key: KeyInfo = self._call("key")
        return key

    def summary(self) -> Account:
        """Balances and margins."""
        account: Account = self._call("summary")
        return account

    def referrals(self, sub_agent_id: int | None = None, page: int | None = None) -> list[Referral]:
        """Whom one has invited: one page of them. `sub_agent_id` is for agents alone."""
        rows: list[Referral] = self._call("referrals", sub_agent_id=sub_agent_id, page=page).rows
        return rows

    def exercises(
        self,
        *,
        symbol: str | None = None,
        start_ms: int | None = None,
        end_ms: int | None = None,
        page_size: int = MOST_IN_A_PAGE,
    ) -> Iterator[Exercise]:
        """Option positions that ended at expiry; iterates over all pages."""
        return self._by_page(
            "exercises", page_size, symbol=symbol, start_ms=start_ms, end_ms=end_ms
        )

    def funding(
        self,
        symbol: str,
        *,
        start_ms: int | None = None,
        end_ms: int | None = None,
        page_size: int = MOST_IN_A_PAGE,
    ) -> Iterator[FundingPayment]:
        """What positions in a perpetual paid and got; iterates over all pages."""
        return self._by_page("funding", page_size, symbol=symbol, start_ms=start_ms, end_ms=end_ms)

    def latest_funding(
        self, symbol: str | None = None, *, start_ms: int | None = None
    ) -> list[FundingPayment]:
        """The same of the last eight hours, or of up to a day."""
        rows: list[FundingPayment] = self._call("latest_funding", symbol=symbol, start_ms=start_ms)
        return rows

    def transfer(
        self, *, from_user_id: int, to_user_id: int, amount: Number, currency: str
    ) -> None:
        """Moves money, an amount of more than 0, between the master and its sub-accounts. Sent
        once."""
        if self._is_read_only:
            raise UsageError("this client is read-only: no transfer")
        if exactly(amount, "amount") <= 0:
            raise UsageError(f"amount is more than 0, not {amount}")
        self._call(
            "transfer",
            from_user_id=from_user_id,
            to_user_id=to_user_id,
            amount=amount,
            currency=currency,
        )

    def _by_page(self, verb: str, size: int, **arguments: Any) -> Iterator[Any]:
        return by_page(lambda page: self._call(verb, page=page, page_size=size, **arguments), size)

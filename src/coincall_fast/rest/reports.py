"""What only REST tells: users, funding, settlements, protections. Classes as those of message.py.

Sources: seed 003; protocol page, sections 2.1 to 2.5 and 2.7.
"""

from ..model import Side
from ..records import Record, code, columns, flag, integer, number, text

__all__ = [
    "Countdown",
    "Delivery",
    "Exercise",
    "ExpiryEstimate",
    "FundingPayment",
    "FundingRate",
    "KeyInfo",
    "Leverage",
    "Protection",
    "Referral",
    "User",
]

# fmt: off


@columns("rest")
class FundingRate(Record):
    """What a perpetual pays next; positive: the long side pays."""

    __slots__ = ()
    symbol              = text("symbol")
    rate                = number("rate")
    contract_id         = integer("contractId")
    next_funding_ms     = integer("nextFundingTime")
    ts_ms               = integer("ts")


@columns("rest")
class User(Record):
    """Whose key it is."""

    __slots__ = ()
    user_id             = integer("userId")
    name                = text("name")
    email               = text("email")


@columns("rest")
class KeyInfo(Record):
    """What the key may do. It does not repeat the key, though the venue does (in `extra`)."""

    __slots__ = ()
    user_id             = integer("userId")
    is_read_only        = flag("readOnly")
    is_master           = flag("isMaster")
    parent_id           = integer("parentUid")


@columns("rest")
class Referral(Record):
    """Somebody whom one has invited."""

    __slots__ = ()
    user_id             = integer("inviteeUserId")
    level               = integer("level")  # 0 a user, 1 a sub-agent
    commissions         = number("commissions")
    is_verified         = flag("verification")
    has_deposited       = flag("deposit")
    trades_futures      = flag("futures")
    trades_options      = flag("options")
    registered_ms       = integer("regTime")


@columns("rest")
class Leverage(Record):
    """The leverage that new orders of a future have."""

    __slots__ = ()
    user_id             = integer("userId")
    symbol              = text("symbol")
    leverage            = number("currentLeverage")


@columns("rest")
class FundingPayment(Record):
    """What a position paid or got; ``fee`` is negative where it paid."""

    __slots__ = ()
    payment_id          = integer("id")
    symbol              = text("symbol")
    side                = code(Side, "tradeSide")
    qty                 = number("qty")
    fee                 = number("fundFee")
    rate                = number("fundRate")
    ts_ms               = integer("ctime")


@columns("rest")
class Exercise(Record):
    """An option position that ended at expiry."""

    __slots__ = ()
    symbol              = text("symbol")
    side                = code(Side, "tradeSide")
    qty                 = number("qty")
    strike              = number("strike")
    exercise_price      = number("exercisePrice")
    open_cash_flow      = number("openCashFlow")
    settlement_cash_flow = number("settlementCashFlow")
    net_cash_flow       = number("netCashFlow")
    fees                = number("fees")
    ts_ms               = integer("time")


@columns("rest")
class Delivery(Record):
    """The price at which the options of a day were settled."""

    __slots__ = ()
    date                = text("date")  # 2024-12-23
    price               = number("delivery_price")


@columns("rest")
class ExpiryEstimate(Record):
    """The price at which an expiry would be settled now."""

    __slots__ = ()
    index               = text("index")
    price               = number("estimatedExpirationPrice")
    expiry_ms           = integer("endTime")


@columns("rest")
class Countdown(Record):
    """A dead-man's switch at the venue. ``product`` is 1 options, 2 futures, 3 spot."""

    __slots__ = ()
    product             = integer("type")
    symbol              = text("symbol")
    countdown_ms        = integer("countdownTime")


@columns("rest")
class Protection(Record):
    """A market maker's protection of the options of one index."""

    __slots__ = ()
    index               = text("indexName")
    interval_ms         = integer("intervalTime")
    frozen_ms           = integer("frozenTime")
    qty_limit           = number("qtyLimit")
    delta_limit         = number("deltaLimit")
    frozen_until_ms     = integer("mmpFrozenUntil")
    created             = text("ctime")  # ISO 8601


# fmt: on

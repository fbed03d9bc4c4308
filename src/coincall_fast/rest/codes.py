"""What the venue's codes mean: which error a refusal is, and the text that goes with it.

Sources: seed 003, Error Codes; protocol page, section 4, for the later ones, whose texts are ours,
and for what each means to whoever asked. A new code is one line.
"""

from typing import Final

from ..errors import (
    AuthError,
    ClockError,
    DuplicateOrder,
    OrderNotFound,
    OrderRejected,
    RateLimited,
    Unavailable,
    VenueError,
)

__all__ = ["CODES", "GONE", "UNDECIDED", "code_of", "refusal"]

# What the caller has to do next decides the class.
_CLASSES: Final[dict[str, type[VenueError]]] = {
    "auth": AuthError,
    "clock": ClockError,
    "down": Unavailable,
    "duplicate": DuplicateOrder,
    "missing": OrderNotFound,
    "rate": RateLimited,
    "reject": OrderRejected,
    "-": VenueError,
}

_TABLE = """
500   down      Internal servererror
2015  -         User does not exist.
2016  auth      Public key not exist
2017  auth      Private key not exist
4002  auth      Token expired.
4003  auth      Token auth fail.
4004  auth      Token kicke out.
4005  -         Duplicate request.
4006  -         This country or region is not supported
7001  auth      No Permission.
10000 down      Try again later
10001 -         This operation is not allowed
10002 down      Result api system error
10003 -         Result api resquest illegal
10004 -         Parameter illegal
10005 -         Parameter error
10006 auth      Sign illegal
10007 auth      Token is error
10008 auth      IP illegal
10009 -         Request method not support
10010 -         Param illegal
10101 -         Result header build error
10102 down      Query exception
10103 down      System inner error
10104 -         Params is null
10105 -         Params is blank
10106 -         Param long is blank
10107 -         Param integer is blank
10108 -         Params type error
10500 -         Incorrect or expired email verification code.
10501 -         Incorrect 2FA code.
10502 -         Please enter email verification code.
10503 -         Please enter 2FA code.
10504 -         You are not able to withdraw funds because of the abnormal status of this account.
10505 -         Invalid email address.
10506 -         Please enter your password
10507 -         Must be at least 8 characters .
10508 -         Invalid email address.
10509 -         Please enter your password
10510 -         Must be at least 8 characters .
10511 -         Must not exceed 32 characters.
10512 -         Must contain at least one number (0-9).
10513 -         Must contain at least one special character (!@#$%^&*).
10514 -         The passwords do not match.
10515 -         Please enter correct referral code.
10516 -         Please select a country or region.
10517 -         Please agree to the Terms of Service .
10518 -         Incorrect or expired email verification code.
10519 -         Account blocked
10520 -         Invalid account or password, 5-n attempts remaining.
10521 -         Your account has been restricted to log in.
10522 -         Please enter the email verification code
10523 -         Please enter the 2FA code
10524 -         Incorrect 2FA code.
10525 -         Position the piece in its slot
10526 -         Please enter 2FA code
10527 -         Incorrect the 2FA code.
10528 -         Incorrect password.
10529 reject    Insufficient available balance.
10530 reject    Please enter price
10531 reject    Order price is higher than the maximum limit {0}.
10532 reject    Order price is lower than the minimum limit {0}.
10533 reject    Please enter amount
10534 reject    Order size exceeds the maximum limit per order.
10535 reject    The number of orders exceeds the maximum limit.
10536 reject    Insufficient open positions.
10537 missing   Order cancellation failed.
10538 reject    Order IV is higher than the maximum limit 500%.
10539 reject    Order IV is lower than the minimum limit 50%.
10540 reject    Order has expired.
10541 reject    The number of stop orders exceeds the maximum limit.
10542 reject    Please enter stop price
10543 -         Please enable the 2FA code .
10544 -         Only 10 APIKeys can be created per account.
10545 -         Must not exceed 128 characters.
10546 -         Please enter a name.
10547 -         This name is already used.
10548 -         Each APIKey can bind up to 20 IP addresses.
10549 -         Invalid IP address.
10550 -         Please enter email verification code.
10551 auth      The IP address is not in whitelist.
10552 -         Operation failed.
10553 down      The server is under maintenance, please try again later.
10554 auth      You are not authorized to execute this request.
10555 auth      API frozen
10556 auth      APIKey does not match current environment.
10557 clock     Timestamp request expired.
10560 auth      Invalid CC-ACCESS-KEY.
10561 clock     Invalid CC-ACCESS-TIMESTAMP.
10562 auth      Invalid signature.
10563 auth      Invalid authorization.
10564 -         Invalid request method.
10565 down      Endpoint request timeout
10566 down      API is offline or unavailable.
10567 -         Invalid content_type.
10568 auth      Account does not exist.
10569 -         User ID cannot be empty.
10570 -         Parameter {0} cannot be empty.
10571 -         Parameter {0} does not match parameter {1}.
10572 -         Parameter {0} count exceeds the limit
10573 -         Parameter {0} error.
10574 -         Instrument ID does not exist.
10575 -         Either client order ID or order ID is required.
10576 duplicate Duplicated order ID.
10577 duplicate Duplicated client order ID.
10578 -         Token does not exist.
10579 -         Index does not exist.
10580 -         Instrument ID does not match instrument type.
10581 -         Position does not exist.
10582 down      Order timed out, please try again later.
10583 down      Cancellation timed out, please try again later.
10584 missing   Order does not exist.
10585 -         Either order status or order ID is required.
10586 -         Channel subscription failed.
10587 auth      Login failed.
10588 auth      Please log in.
10589 -         Invalid request.
10590 -         Invalid args.
10591 -         Invalid url path.
10592 -         The {0} does not exist.
10593 -         Invalid op {0}
10594 auth      Wrong passphrase
10595 -         Token subscription amount exceeds the limit
10596 down      Internal system error.
10597 -         Maximum receive of friends is XX%.
10598 -         The number of referral links exceeds the maximum limit.
10599 -         Please enter your name/date of birth/address
10600 -         Name contains numbers or symbols.
10601 -         Please select the type of address proof.
10602 -         Please upload the file
10603 -         File is too large, upload failed.
10604 -         The format of this file is not supported.
10605 rate      Operation is too frequent.
10606 -         The number of exports this month exceeds the maximum limit.
10607 -         File not exists
10608 -         File expired
10609 reject    You are not able to trade temporarily because the contract is abnormal.
20000 -         Coin not exist
20001 -         Account not found
20002 -         Coin not support
20003 -         User not found
20004 -         Please enable the 2FA code.
20005 -         Please select withdrawal coin.
20006 -         Please select withdrawal network.
20007 -         Please enter withdrawal address.
20008 -         Withdrawal network does not match the withdrawal address.
20009 -         Please enter an amount.
20010 -         Insufficient withdrawable balance.
20011 -         Exceed the 24 hours limit of withdrawal.
20012 -         Minimum withdrawal amount is 20 USDC.
20013 -         You are not able to withdraw funds within 24 hours after changing the password.
20014 -         Send code fail
20015 -         User not exist
20016 -         Sub user not allowed withdraw
20018 -         User withdraw restricted
20020 -         Not found withdraw record
20021 -         Not your withdraw record
20022 -         Not supported cancel, now is processing or completed
20023 -         not supported cancel, now is processing
20024 -         Account create fail
20025 -         Account update fail
20027 -         Target mode equals origin mode
20028 -         Option pending order exsist
20029 -         Option hold position exsist
20030 -         Future pending order exsist
20031 -         Future hold position exsist
20032 -         You need to transfer remainning funds to main account or other sub accounts
20033 -         Send code fail
20034 -         Start time and end time range exceeds three months
30000 -         User illegal
30001 auth      Token illegal
30002 -         Check fail
30003 -         Google verification code is wrong
30004 -         Verification code is wrong
40001 -         User is freezed
40002 -         User over login max times
40003 -         Operate code timeout
40004 -         Token error
40005 -         Too many failed attempts, and your account has been locked
40006 -         Error fund transfer type, transfer sub account's parent user wrong
40007 -         Error fund transfer type, transfer to user must be sub account
40008 -         Transfer trade type is invalid
40009 -         Transfer amount exceeds can withdraw balance amount
40010 -         Error fund transfer type, transfer from user must be sub account
40011 -         Sub account size limit
40012 -         User name already used
40013 -         Email already used
40014 -         Sub account id error
40015 -         Referral not found
40016 -         Invite commission rate add invitee commission rate not equals referral total commission rate
40017 -         Company info is exist
40018 -         Age less than 18
40019 -         Company info not exist
40020 -         Jumio workflow not exist error
40021 -         Age format is error
40022 -         Kyc user status error
40023 -         Kyc user check error
40024 -         Upgrade error
40025 -         Check rate error
40026 -         Get temp url error
40027 -         Two grade auth error
40028 -         One grade step1 save error
40029 -         One grade save error
40030 -         Jumio user reference change
40031 -         Kyc processing
40032 -         Jumio status not exist
40033 -         Jumio status enum is not exist
40034 -         Option not exist
40035 reject    Price illegal
40036 reject    Volume illegal
40037 reject    IM more than 100%
40038 reject    You are not able to adjust leverage due to existing open positions or pending orders in the account.
40039 reject    The price exceeds the maximum limit {0}
40040 -         File size limit
40041 -         Upload file frequently
40042 -         File type is unknow
40043 -         File type is error
"""  # noqa: E501

_LATER = """
10558 reject    Order size is less than the minimum.
10619 reject    A countdown has lapsed: orders are taken again once it is set.
10620 reject    The option has not started.
11101 missing   Order has been canceled.
11102 missing   Order has been filled.
12011 reject    A market order takes no timeInForce.
12012 reject    timeInForce is none that is supported.
12013 reject    A market order takes no price.
50012 -         A quote exists already.
60001 reject    Refused for auto-deleveraging.
60008 reject    MMP is off.
"""

# By code: the class of its error, and its text.
CODES: Final[dict[int, tuple[type[VenueError], str]]] = {
    int(code): (_CLASSES[kind], text.strip())
    for code, kind, text in (
        line.split(maxsplit=2) for line in (_TABLE + _LATER).splitlines() if line
    )
}

# The codes by which a cancellation learns that its order is not open. An order has expired (10540)
# or, where one is placed, its option has.
GONE: Final[frozenset[int]] = frozenset((10537, 10540, 10584, 11101, 11102))

# Beside those of `Unavailable`, the codes that leave open whether a write was done: a request that
# came twice, an answer that could not be made, a failure that says no more than that.
UNDECIDED: Final[frozenset[int]] = frozenset((4005, 10101, 10552))


def refusal(
    code: int | None, said: str | None, endpoint: str, otherwise: type[VenueError] = VenueError
) -> VenueError:
    """The error of a code, in the venue's own words where it has any, else in the table's.

    otherwise: the class of what is not in the table.
    """
    kind, text = CODES.get(code or 0, (otherwise, ""))
    return kind(said or text or "no reason given", code, endpoint=endpoint)


def code_of(text: str) -> int | None:
    """The code that has this text: items of some batches have no other reason."""
    plain = _plain(text)
    return next((code for code, (_, own) in CODES.items() if _plain(own) == plain), None)


def _plain(text: str) -> str:
    return text.strip(" .").casefold()

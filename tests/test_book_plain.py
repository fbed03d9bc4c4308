"""Levels in the spellings that venues use, which the core has faster ways to read: they must agree.

Every length that a number can have, and every byte that can be wrong in a level, against the model.
The same suite holds against a core that is built without SSE2 (`COINCALL_FAST_PORTABLE`).
"""

from collections.abc import Iterator
from random import Random

import pytest

from both import Both
from strategies import book_frame
from tables import table

FORMS = {
    "both in quotes": '{{"pr":"{price}","sz":"{size}"}}',
    "a blank behind the size": '{{"pr":"{price}","sz":"{size} "}}',
    "2023, in quotes": '{{"pr":"{price}","v":"{size}"}}',
    "2023": '{{"pr":"{price}","v":{size}}}',
    "no quotes": '{{"pr":{price},"sz":{size}}}',
    "size first": '{{"sz":"{size}","pr":"{price}"}}',
}
LAST = '{"pr":"0.5","sz":"3"}'


def numbers() -> Iterator[str]:
    """Of each number of digits before the point and behind it: the least, the most, and some."""
    for whole in range(11):
        for decimals in range(12):
            n = whole + decimals
            drawn = Random(n).choices("123456789", k=n), Random(n).choices("0123456789", k=n)
            for digits in "0" * n, "1".ljust(n, "0"), "9" * n, *map("".join, drawn):
                yield digits[:whole] + "." * (decimals > 0) + digits[whole:]


def apply(both: Both, level: str, recv_ns: int = 1) -> str:
    """As a bid before another one, and as the last of the asks."""
    outcome = both.apply(book_frame(f"[{level},{LAST}]", "[]"), recv_ns)
    assert both.apply(book_frame("[]", f"[{LAST},{level}]"), recv_ns) == outcome
    return outcome


@table(FORMS)
def test_every_length(case: str) -> None:
    outcomes = set()
    for number in numbers():
        outcomes.add(apply(Both(), case.format(price=number, size="7.25")))
        outcomes.add(apply(Both(), case.format(price="12.75", size=number)))
    assert outcomes == {"applied", "refused"}


@pytest.mark.parametrize(
    ("price", "size"), [("12.5", "300.25"), ("0.00000001", "1"), ("12345678.12345678", "9" * 8)]
)
def test_every_byte(price: str, size: str) -> None:
    level = FORMS["both in quotes"].format(price=price, size=size)
    outcomes = set()
    for at in range(len(level)):
        for byte in '\0 "+,-./0159:;Ee}\x7f\u00b5\u0131':
            outcomes.add(apply(Both(), level[:at] + byte + level[at + 1 :]))
            outcomes.add(apply(Both(), level[:at] + byte + level[at:]))
    assert outcomes == {"applied", "refused"}

"""The table of the venue's codes, against the protocol page's groups typed out here."""

import pytest

from coincall_fast import (
    AuthError,
    ClockError,
    DuplicateOrder,
    OrderNotFound,
    OrderRejected,
    RateLimited,
    Unavailable,
    VenueError,
)
from coincall_fast.rest.codes import CODES, code_of, refusal

GROUPS = {
    AuthError: (4002, 4003, 4004, 10006, 10008, 10551, 10554, 10556, 10560, 10562, 7001),
    ClockError: (10557, 10561),
    RateLimited: (10605,),
    OrderNotFound: (10537, 10584, 11101, 11102),
    DuplicateOrder: (10576, 10577),
    OrderRejected: (10529, 10530, 10535, 10558, 10609, 10619, 12011, 40035, 40036, 60001, 60008),
    Unavailable: (500, 10000, 10002, 10102, 10103, 10553, 10565, 10566, 10582, 10583, 10596),
    VenueError: (4005, 10004, 10005, 10572, 10574, 10579, 20034, 40034, 50012),
}


@pytest.mark.parametrize("kind", GROUPS, ids=lambda kind: kind.__name__)
def test_classes(kind: type[VenueError]) -> None:
    for code in GROUPS[kind]:
        error = refusal(code, None, "GET /x")
        assert type(error) is kind, code
        assert error.code == code
        assert error.message == CODES[code][1]
        assert str(error) == f"coincall GET /x {code}: {error.message}"


def test_the_table_is_whole() -> None:
    assert len(CODES) == 228  # 217 of the page of 2023, and 11 later ones
    assert CODES[10529][1] == "Insufficient available balance."
    assert CODES[40043][1] == "File type is error"
    assert all(text for _, text in CODES.values())


def test_an_unknown_code_is_a_plain_refusal() -> None:
    for code in (99999, -40004, None):
        error = refusal(code, "what it said", "GET /x")
        assert type(error) is VenueError
        assert (error.code, error.message) == (code, "what it said")
    assert refusal(99999, None, "GET /x").message == "no reason given"


def test_codes_by_text() -> None:
    assert code_of("Order does not exist.") == 10584
    assert code_of("order does not exist") == 10584
    assert code_of("less.than.min.amount") is None

"""Lists that come page by page: each row once, none left out, and an end."""

from collections.abc import Iterator

import pytest

from coincall_fast import Client, DecodeError, Order
from coincall_fast.rest.answers import Page
from coincall_fast.rest.pages import by_cursor, by_page
from rest_clients import connected
from stub_server import Asked, Raw, Stub, envelope, params

pytestmark = pytest.mark.usefixtures("short_waits")


@pytest.fixture
def both() -> Iterator[tuple[Stub, Client]]:
    with connected(lambda asked: envelope()) as made:
        yield made


@pytest.fixture
def stub(both: tuple[Stub, Client]) -> Stub:
    return both[0]


@pytest.fixture
def client(both: tuple[Stub, Client]) -> Client:
    return both[1]


def rows(*ids: int) -> list[Order]:
    return [Order(order_id=n) for n in ids]


@pytest.mark.parametrize(
    ("pages", "found"),
    [
        ([Page(rows(9, 8), True), Page(rows(7), False)], [9, 8, 7]),
        ([Page(rows(9, 8), True), Page([], True)], [9, 8]),
        ([Page(rows(9, 8), None), Page(rows(7), None), Page([], None)], [9, 8, 7]),
        ([Page(rows(9, 8), True)] * 50, [9, 8]),  # a cursor that does not move
        ([Page(rows(9, 8), True), Page(rows(8, 9), True), Page(rows(1), True)], [9, 8]),
        ([Page(rows(9, 7), True), Page(rows(7, 6), True), Page([], True)], [9, 7, 6]),
        ([Page([], True)], []),
    ],
    ids=[
        "flag",
        "empty",
        "no flag",
        "same page for ever",
        "backwards",
        "last once more",
        "nothing",
    ],
)
def test_a_history_ends(pages: list[Page], found: list[int]) -> None:
    asked: list[int | None] = []

    def read(from_id: int | None) -> Page:
        asked.append(from_id)
        return pages[len(asked) - 1]

    assert [order.order_id for order in by_cursor(read, "order_id")] == found
    assert asked[0] is None
    assert len(asked) <= 3


def test_a_history_that_cannot_go_on() -> None:
    """Whoever took its end for the end would miss trades."""
    left = [Page(rows(9), True), Page([Order(symbol="X")], True)]
    history = by_cursor(lambda from_id: left.pop(0), "order_id")
    assert [next(history).order_id, next(history).symbol] == [9, "X"]
    with pytest.raises(DecodeError, match="without order_id"):
        next(history)
    (last,) = by_cursor(lambda from_id: Page([Order(symbol="X")], False), "order_id")
    assert last.symbol == "X"


@pytest.mark.parametrize(
    ("pages", "found"),
    [
        ([Page(rows(1, 2), None), Page(rows(2, 3), None), Page(rows(3), None)], [1, 2, 3]),
        ([Page(rows(1), None, 3), Page(rows(2), None, 3), Page(rows(3), None, 3)], [1, 2, 3]),
        ([Page(rows(1), None, 3), Page([], None, 3)], [1]),  # a total that is wrong
        ([Page(rows(1, 2), None, 0), Page(rows(3), None, 0)], [1, 2, 3]),
        ([Page(rows(1, 2), None), Page(rows(3), None)], [1, 2, 3]),
        ([Page(rows(1, 2), None), Page([], None)], [1, 2]),
        ([Page(rows(1, 2), None)] * 50, [1, 2]),  # a venue that knows no pages
        ([Page(rows(1), True), Page(rows(2), False)], [1, 2]),
        ([Page([], None)], []),
    ],
)
def test_numbered_pages_end(pages: list[Page], found: list[int]) -> None:
    asked: list[int] = []

    def read(page: int) -> Page:
        asked.append(page)
        return pages[page - 1]

    assert [order.order_id for order in by_page(read, 2)] == found
    assert asked == list(range(1, len(asked) + 1))
    assert len(asked) <= 3


def test_pages_are_asked_for_when_they_are_needed(stub: Stub, client: Client) -> None:
    left = [
        {"list": [{"orderId": 9}, {"orderId": 8}], "hasNext": True},
        {"list": [{"orderId": 7}], "hasNext": False},
    ]
    stub.answer = lambda asked: envelope(left.pop(0))
    history = client.options.order_history(page_size=2)
    assert stub.asked == []
    assert [next(history).order_id, next(history).order_id] == [9, 8]
    assert len(stub.asked) == 1
    assert [order.order_id for order in history] == [7]
    assert stub.asked[1].query == "fromId=8&pageSize=2"


def test_open_orders_once_each(stub: Stub, client: Client) -> None:
    """An order that came in between moves the others to the next page."""
    full = [{"orderId": n} for n in range(1000, 500, -1)]
    pages = [{"list": full}, {"list": [{"orderId": 501}, {"orderId": 5}]}]
    stub.answer = lambda asked: envelope(pages["page=2" in asked.query])
    orders = client.futures.open_orders()
    assert [order.order_id for order in orders] == [*range(1000, 500, -1), 5]


@pytest.mark.parametrize("product", ["options", "futures"])
def test_open_orders_are_those_asked_for(stub: Stub, client: Client, product: str) -> None:
    """Also where the venue does not heed what it was asked for; and past a page that is short."""
    symbols = ["BTCUSD-1JAN40-1-C", "BTCUSD-1JAN40-2-C", "ETHUSD-1JAN40-1-C", "BTCUSD", "ETHUSD"]
    orders = [{"orderId": n, "symbol": symbol} for n, symbol in enumerate(symbols)]
    orders.append({"orderId": 5})

    def answer(asked: Asked) -> Raw:
        page = int(params(asked)["page"])
        return envelope({"list": orders[page * 2 - 2 : page * 2], "pageTotal": 3, "total": 6})

    stub.answer = answer
    market = getattr(client, product)

    def found(**wanted: str) -> list[int]:
        return [order.order_id for order in market.open_orders(**wanted)]

    assert found() == [0, 1, 2, 3, 4, 5]
    assert found(symbol="BTCUSD-1JAN40-1-C") == [0, 5]
    assert found(symbol="BTCUSD") == [3, 5]
    assert found(currency="BTC") == [0, 1, 3, 5]
    assert found(currency="ETH", symbol="ETHUSD") == [4, 5]

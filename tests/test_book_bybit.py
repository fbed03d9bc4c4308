"""Bybit's order books: whole ones, and numbered changes (protocol page, sections 1.6 and 1.7)."""

import json
from decimal import Decimal
from itertools import permutations
from typing import Any

import pytest

from bybit_frames import (
    DELTA,
    HELD,
    OPTION,
    WHOLE,
    Row,
    book_of,
    change,
    documented_books,
    documented_frames,
    frame,
    new,
    rows_text,
    sides,
    whole,
)
from coincall_fast import BookStore, OrderBook
from coincall_fast.errors import GapError
from coincall_fast.message import UnknownMessage
from coincall_fast.model import Stats
from coincall_fast.wire import BYBIT
from model_book import ALL, BID, BID_SIZE, DEPTH
from small_book import E8, NO_AGE
from strategies import TIME
from tables import read, table

# What the documents print --------------------------------------------------------------------


def test_the_documents_have_three_books() -> None:
    kinds = [json.loads(text)["data"].get("dataType") for text in documented_books()]
    assert kinds == [None, "NEW", "CHANGE"]


@pytest.mark.parametrize("text", documented_books()[:2], ids=["whole", "NEW"])
def test_each_level_of_a_documented_book(text: bytes) -> None:
    envelope = json.loads(text)
    data = envelope["data"]
    rows = data["orderBook"] if "orderBook" in data else data["orderBooks"]
    levels: dict[str, list[list[Decimal]]] = {"Buy": [], "Sell": []}
    for row in rows:
        levels[row["side"]].append([Decimal(row["price"]), Decimal(row["size"])])
    bids, asks = sorted(levels["Buy"], reverse=True), sorted(levels["Sell"])
    assert len(bids) + len(asks) == 2

    book = book_of(text)
    units = [[(int(price * E8), int(size * E8)) for price, size in side] for side in (bids, asks)]
    assert list(read(book)) == units
    assert envelope["topic"].endswith("." + str(book.symbol))
    assert (book.ts_ms, book.is_valid, book.last_change) == (envelope["creationTime"], True, ALL)
    assert book.version == (int(data["version"]) if "version" in data else None)


def test_the_documented_change() -> None:
    """Bids 10 and 5 of version 55; 56 puts 15 in."""
    _, first, second = documented_books()
    book = book_of(first)
    assert (book.symbol, book.version, book.ts_ms) == (OPTION, 55, 1646214405074)
    assert sides(book) == ([[10, 1.67], [5, 0.01]], [])
    assert book.apply(second, 7) == BID | BID_SIZE | DEPTH
    assert sides(book) == ([[15, 1], [10, 1.67], [5, 0.01]], [])
    assert (book.version, book.ts_ms, book.recv_ns) == (56, 1646214587050, 7)
    assert book.stats == Stats(2, 0, 0, 0, 0, 0, 0, 0)


def test_the_sequence_of_the_protocol_page() -> None:
    """Section 5: a deletion as it was seen live, a duplicate, a gap."""
    book = book_of(*documented_books()[1:])
    text = '"version":"57","dataType":"CHANGE","delete":[{"price":"10","side":"Buy"}],"update":[],'
    deletion = frame(text + '"insert":[]', ts=1646214587051)
    assert book.apply(deletion) == DEPTH
    assert sides(book) == ([[15, 1], [5, 0.01]], [])
    assert book.apply(deletion) == 0
    with pytest.raises(GapError) as gap:
        book.apply(change(59, insert=[("Buy", "1", "1")]))
    assert (gap.value.symbol, gap.value.expected, gap.value.last) == (OPTION, 58, 59)
    assert (book.version, book.stats.stale, book.stats.absent) == (None, 1, 0)
    assert (book.is_valid, sides(book)) == (False, ([], []))


@pytest.mark.parametrize(
    "row",
    [row for row in documented_frames() if row["kind"] == "push"],
    ids=lambda row: row["heading"][:30],
)
def test_documented_frames_in_a_store(row: dict[str, Any]) -> None:
    text = row["frame"].encode()
    store = BookStore(wire=BYBIT)
    if text == documented_books()[2]:
        with pytest.raises(GapError):
            store.feed(text)
    elif text in documented_books():
        assert isinstance(store.feed(text), OrderBook)
        assert len(store) == 1
        return
    else:
        message = store.feed(text)
        assert not isinstance(message, OrderBook)
        assert not isinstance(message, UnknownMessage)
    assert len(store) == 0


# Whole books ---------------------------------------------------------------------------------

ROWS: list[Row] = [
    *[("Sell", "12", "3"), ("Buy", "10", "1"), ("Sell", "11", "2")],
    *[("Buy", "9", "4"), ("Buy", "9.5", "0.5")],
]
READ = [[10, 1], [9.5, 0.5], [9, 4]], [[11, 2], [12, 3]]

SAME_BOOK = {
    "orderBooks": whole(*ROWS, key="orderBooks"),
    "orderBook": whole(*ROWS),
    "25 levels": whole(*ROWS, topic=f"orderbook25.{OPTION}"),
    "with a version": new(7, *ROWS),
    "version 0": new(0, *ROWS),
    "version of 18 digits": new(10**18 - 1, *ROWS),
    "best first": whole(*sorted(ROWS, key=lambda row: -float(row[1]))),
    "asks, then bids": whole(*ROWS[::2], *ROWS[1::2]),
    "bare numbers": new(7, *ROWS).replace(b'"10"', b"10").replace(b'"0.5"', b"5e-1"),
    "blanks in numbers": new(7, *ROWS).replace(b'"10"', b'" 10.00 "'),
    "white space": new(7, *ROWS).replace(b",", b" ,\n\t").replace(b":", b" : ", 3),
    "no id": new(7, *ROWS).replace(b'"id"', b'"x"'),
    "id of another kind": whole(*ROWS).replace(b'"id":"', b'"id":{"topic":1},"x":"'),
    "unknown keys": frame(
        f'"version":"7","x":{{"side":[]}},"dataType":"NEW","orderBook":{rows_text(ROWS)},"y":0',
        more=',"type":"MergedSnapshot"',
    ),
    "unknown keys in a row": new(7, *ROWS).replace(b'"price":"9"', b'"n":{"size":1},"price":"9"'),
    "escapes": new(7, *ROWS)
    .replace(b'"side":"Buy"', rb'"s\u0069de":"B\u0075y"', 2)
    .replace(b'"NEW"', rb'"N\u0045W"')
    .replace(b'"orderBook"', rb'"order\u0042ook"')
    .replace(b'"topic":"delta.', rb'"t\u006fpic":"delt\u0061.'),
    "a zero size": new(7, ("Buy", "11", "0"), *ROWS, ("Sell", "10.5", "0.00")),
    "a zero price": whole(("Buy", "0", "5"), *ROWS),
    "Coincall's keys": frame(
        f'"version":"7","dataType":"NEW","orderBook":{rows_text(ROWS)},"s":1,"bids":0,"asks":0,"ts":0',
        more=',"dt":5,"d":{}',
    ),
}


@table(SAME_BOOK)
def test_the_same_book(case: bytes) -> None:
    book = book_of(case)
    assert sides(book) == READ
    assert (book.symbol, book.ts_ms, book.is_valid, book.recv_ns) == (OPTION, TIME, True, 100)
    assert (book.stats.applied, book.stats.rejected) == (1, 0)


def test_keys_in_any_order() -> None:
    """Of the frame and of its data, of whole books and of changes; rows are next."""
    held = new(7, ("Buy", "9", "4"), ("Buy", "10", "7"), ("Sell", "13", "1"))
    lists: dict[str, list[Row]] = {
        "delete": [("Sell", "13")],
        "update": [("Buy", "10", "1")],
        "insert": [ROWS[4], ROWS[0], ROWS[2]],
    }
    pairs = [f'"{name}":{rows_text(rows)}' for name, rows in lists.items()]
    pairs += ['"version":"8"', '"dataType":"CHANGE"']
    whole_pairs = ['"version":"8"', '"dataType":"NEW"', f'"orderBook":{rows_text(ROWS)}']
    data = [",".join(order) for order in [*permutations(pairs), *permutations(whole_pairs)]]
    assert len(data) == 126
    envelope = ['"id":"x"', f'"topic":"{DELTA}"', f'"creationTime":{TIME}', f'"data":{{{data[0]}}}']
    frames = [frame(text) for text in data]
    frames += [f"{{{','.join(order)}}}".encode() for order in permutations(envelope)]
    for text in frames:
        book = book_of(held, text)
        assert sides(book) == READ, text
        assert (book.version, book.stats.applied) == (8, 2)


def test_keys_of_a_row_in_any_order() -> None:
    for order in permutations(['"price":"10"', '"size":"3"', '"side":"Buy"']):
        row = f"[{{{','.join(order)}}}]"
        assert sides(book_of(frame(f'"orderBook":{row}', WHOLE))) == ([[10, 3]], [])
        data = f'"dataType":"CHANGE","version":"2","update":{row}'
        assert sides(book_of(new(1), frame(data))) == ([[10, 3]], [])
    for order in permutations(['"price":"10"', '"side":"Sell"']):
        data = f'"dataType":"CHANGE","version":"2","delete":[{{{",".join(order)}}}]'
        assert sides(book_of(new(1, ("Sell", "10", "1")), frame(data))) == ([], [])


def test_a_whole_book_replaces_whatever_there_was() -> None:
    book = book_of(new(7, *ROWS), whole(("Buy", "10", "1"), ts=TIME + 1))
    assert sides(book) == ([[10, 1]], [])
    assert (book.version, book.stats.applied) == (None, 2)
    book.apply(new(3, ("Sell", "11", "1"), ts=TIME + 2))
    assert (sides(book), book.version) == (([], [[11, 1]]), 3)


def test_more_than_100_a_side() -> None:
    bids: list[Row] = [("Buy", str(price), "1") for price in range(1, 151)]
    asks: list[Row] = [("Sell", str(price), "2") for price in range(501, 351, -1)]
    mixed = [row for pair in zip(bids, asks, strict=True) for row in pair]
    book = book_of(new(1, *mixed))
    assert sides(book)[0] == [[price, 1] for price in range(150, 50, -1)]
    assert sides(book)[1] == [[price, 2] for price in range(352, 452)]
    assert (book.stats.truncated, book.stats.applied) == (1, 1)


# Changes -------------------------------------------------------------------------------------

NOTHING: dict[str, list[Row]] = {}

# The lists of a CHANGE; the bids and the asks afterwards; how many deletions found nothing.
CHANGES: dict[str, tuple[dict[str, list[Row]], Any, Any, int]] = {
    "nothing": (NOTHING, [[10, 1], [9, 2]], [[11, 3], [12, 4]], 0),
    "insert": (
        {"insert": [("Buy", "9.5", "5"), ("Sell", "13", "6"), ("Buy", "10.5", "7")]},
        [[10.5, 7], [10, 1], [9.5, 5], [9, 2]],
        [[11, 3], [12, 4], [13, 6]],
        0,
    ),
    "update": (
        {"update": [("Sell", "12", "5"), ("Buy", "10", "0.00000001")]},
        [[10, 1e-8], [9, 2]],
        [[11, 3], [12, 5]],
        0,
    ),
    "delete": ({"delete": [("Buy", "10"), ("Sell", "12")]}, [[9, 2]], [[11, 3]], 0),
    "delete all": ({"delete": [row[:2] for row in HELD]}, [], [], 0),
    "in another spelling": (
        {"delete": [("Buy", "10.00")], "update": [("Sell", "1.2e1", "5")]},
        [[9, 2]],
        [[11, 3], [12, 5]],
        0,
    ),
    "a size in a deletion is not looked at": (
        {"delete": [("Buy", "10", "5"), ("Sell", "11", "0"), ("Sell", "8", "1")]},
        [[9, 2]],
        [[12, 4]],
        1,
    ),
    "nor whether it is one": (
        {"delete": [("Buy", "10", ""), ("Sell", "11", "x")]},
        [[9, 2]],
        [[12, 4]],
        0,
    ),
    "an absent deletion": ({"delete": [("Buy", "8")]}, [[10, 1], [9, 2]], [[11, 3], [12, 4]], 1),
    "each absent deletion counts": (
        {"delete": [("Buy", "8"), ("Buy", "9"), ("Sell", "9"), ("Buy", "11")]},
        [[10, 1]],
        [[11, 3], [12, 4]],
        3,
    ),
    "a deletion of the other side": (
        {"delete": [("Sell", "10")]},
        [[10, 1], [9, 2]],
        [[11, 3], [12, 4]],
        1,
    ),
    "an update of a missing level inserts": (
        {"update": [("Buy", "9.5", "5")]},
        [[10, 1], [9.5, 5], [9, 2]],
        [[11, 3], [12, 4]],
        0,
    ),
    "an insert of an existing level replaces": (
        {"insert": [("Buy", "10", "5")]},
        [[10, 5], [9, 2]],
        [[11, 3], [12, 4]],
        0,
    ),
    "size 0 deletes": (
        {"update": [("Buy", "10", "0")], "insert": [("Sell", "11", "0.00")]},
        [[9, 2]],
        [[12, 4]],
        0,
    ),
    "size 0 of what is not there": (
        {"update": [("Buy", "8", "0")], "insert": [("Sell", "8", "0")]},
        [[10, 1], [9, 2]],
        [[11, 3], [12, 4]],
        2,
    ),
    "deleted, then inserted": (
        {"delete": [("Buy", "10")], "insert": [("Buy", "10", "7")]},
        [[10, 7], [9, 2]],
        [[11, 3], [12, 4]],
        0,
    ),
    "deleted, then updated": (
        {"delete": [("Buy", "10")], "update": [("Buy", "10", "7")]},
        [[10, 7], [9, 2]],
        [[11, 3], [12, 4]],
        0,
    ),
    "updated, then inserted": (
        {"update": [("Buy", "10", "7")], "insert": [("Buy", "10", "8")]},
        [[10, 8], [9, 2]],
        [[11, 3], [12, 4]],
        0,
    ),
    "absent when deleted, then inserted": (
        {"delete": [("Buy", "8")], "insert": [("Buy", "8", "7")]},
        [[10, 1], [9, 2], [8, 7]],
        [[11, 3], [12, 4]],
        1,
    ),
    "in all three lists": (
        {
            "delete": [("Sell", "11")],
            "update": [("Sell", "11", "7")],
            "insert": [("Sell", "11", "8")],
        },
        [[10, 1], [9, 2]],
        [[11, 8], [12, 4]],
        0,
    ),
}


@table(CHANGES)
def test_a_change(case: tuple[dict[str, list[Row]], Any, Any, int]) -> None:
    """Whatever the order of the lists in the text, and with empty ones left out or not."""
    lists, bids, asks, absent = case
    texts = [f'"{name}":{rows_text(rows)}' for name, rows in lists.items()]
    empty = [f'"{name}":[]' for name in ("insert", "delete", "update") if name not in lists]
    for order in [*permutations(texts), *permutations(texts + empty)]:
        book = book_of(new(1, *HELD))
        given = book.apply(frame(",".join([*order, '"version":"2","dataType":"CHANGE"'])), 200)
        assert given == book.last_change
        assert (given == 0) == ((bids, asks) == sides(book_of(new(1, *HELD))))
        assert sides(book) == (bids, asks)
        assert book.stats == Stats(2, given == 0, 0, 0, 0, 0, 0, absent)
        assert (book.version, book.recv_ns, book.update_count) == (2, 200, 2)


def test_a_change_without_any_change_still_counts() -> None:
    book = book_of(new(1, *HELD))
    data = '"version":"2","dataType":"CHANGE"'
    assert book.apply(frame(data, ts=TIME + 5), 500) == 0
    assert (book.version, book.ts_ms, book.recv_ns, book.update_count) == (2, TIME + 5, 500, 2)
    assert (book.stats.applied, book.stats.unchanged) == (2, 1)


def test_ages_of_changed_levels() -> None:
    book = book_of(new(1, *HELD))  # at 100
    book.apply(change(2, [("Buy", "10")], [("Sell", "11", "9")], [("Buy", "8", "1")]), 200)
    book.apply(change(3, [("Sell", "12")], [("Buy", "8", "1")], [("Buy", "10", "1")]), 0)
    book.apply(whole(*HELD, ("Buy", "8", "2"), ts=TIME + 1), 300)
    ages = [
        (book.level_age_ns(side, i, 400), book.changed_ns(side, i, 400))
        for side, count in (("bid", book.bid_count), ("ask", book.ask_count))
        for i in range(count)
    ]
    assert ages == [
        *[(NO_AGE, NO_AGE), (300, 300), (200, 100)],  # 10 came back in 3, 9 stays, 8 came in 2
        *[(300, 100), (100, 100)],  # 11 has another size, 12 had gone
    ]


def test_a_side_that_grows_past_100() -> None:
    book = book_of(new(1, *[("Buy", str(price), "1") for price in range(101, 201)]))
    book.apply(change(2, insert=[("Buy", "150.5", "1"), ("Buy", "201", "1"), ("Buy", "5", "1")]))
    prices = [price for price, _ in sides(book)[0]]
    assert prices == [201, *range(200, 150, -1), 150.5, *range(150, 102, -1)]
    assert book.stats.truncated == 1
    book.apply(change(3, delete=[("Buy", "5"), ("Buy", "102"), ("Buy", "103")]))
    assert (book.bid_count, book.stats.absent) == (99, 2)


def test_a_full_side_makes_room_before_it_is_filled() -> None:
    book = book_of(new(1, *[("Sell", str(price), "1") for price in range(101, 201)]))
    gone = [("Sell", str(price)) for price in range(101, 151)]
    came: list[Row] = [("Sell", str(price), "1") for price in range(201, 251)]
    book.apply(change(2, delete=gone, insert=came))
    assert [price for price, _ in sides(book)[1]] == [*range(151, 251)]
    assert book.stats.truncated == 0


def test_sizes_are_rounded_down_and_counted() -> None:
    book = book_of(new(1, ("Buy", "10", "0.123456789")))
    book.apply(
        change(2, update=[("Buy", "10", "0.30000000000000004")], insert=[("Sell", "11", "1")])
    )
    assert (book.best_bid_size_e8, book.stats.inexact) == (30_000_000, 2)

"""Bybit's order books: which version follows which, what is refused, what goes to which book."""

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
    frame,
    new,
    row_text,
    rows_text,
    sides,
    whole,
)
from coincall_fast import BookStore, OrderBook
from coincall_fast.errors import DecodeError, GapError, SymbolMismatch
from coincall_fast.message import UnknownMessage
from coincall_fast.model import Stats
from coincall_fast.wire import BYBIT, COINCALL
from model_book import ALL, BID, BID_SIZE, DEPTH, observe
from strategies import SYMBOL, TIME, book_frame
from tables import table

# Versions ------------------------------------------------------------------------------------

INSERT: list[Row] = [("Buy", "10.5", "7")]


@pytest.mark.parametrize("version", [56, 55, 54, 1, 0])
def test_a_version_that_is_held_is_not_applied_again(version: int) -> None:
    book = book_of(new(55, *HELD), change(56))
    before = observe(book)
    assert book.apply(change(version, insert=INSERT, ts=TIME + 9), 900) == 0
    after = observe(book)
    assert after.pop("stats") == Stats(2, 1, 1, 0, 0, 0, 0, 0)
    del before["stats"]
    assert after == before | {"last_change": 0}
    assert book.version == 56


@pytest.mark.parametrize("version", [58, 59, 100, 10**18 - 1])
def test_a_gap(version: int) -> None:
    """What the venue's book holds nobody knows then: this one holds nothing either."""
    book = book_of(new(55, *HELD), change(56, insert=INSERT))
    with pytest.raises(GapError, match=rf"expects 57: {version} ") as gap:
        book.apply(change(version, update=[("Buy", "10", "9")], ts=TIME + 9), 900)
    error = gap.value
    assert (error.symbol, error.expected, error.first) == (OPTION, 57, version)
    assert (book.is_valid, book.version, book.ts_ms) == (False, None, 0)
    assert (sides(book), book.best_bid_size) == (([], []), 0.0)
    assert (book.symbol, book.update_count) == (OPTION, 2)
    assert book.stats == Stats(2, 0, 0, 0, 0, 0, 1, 0)
    for late in 57, version:
        with pytest.raises(GapError) as gap:
            book.apply(change(late))
        assert gap.value.expected is None
    assert book.apply(new(version, *HELD)) == ALL
    assert (book.version, book.stats.rejected) == (version, 3)


@pytest.mark.parametrize("version", [1, 55, 56, 1000])
def test_a_new_book_starts_its_own_numbers(version: int) -> None:
    book = book_of(new(55, *HELD), change(56), new(version, *HELD, *INSERT))
    assert (book.version, book.stats.applied, book.best_bid) == (version, 3, 10.5)
    assert book.apply(change(version)) == 0
    assert book.stats.stale == 1
    book.apply(change(version + 1, update=[("Buy", "10.5", "9")]))
    assert (book.version, book.best_bid_size) == (version + 1, 9.0)


@pytest.mark.parametrize("spelling", ['"%d6"', "%d6", r'"%d\u0036"', r'"\u003%d\u0036"'])
def test_spellings_of_a_version(spelling: str) -> None:
    book = book_of(new(55, *HELD))
    book.apply(frame(f'"version":{spelling % 5},"dataType":"CHANGE"'))
    assert book.version == 56
    book.apply(frame(f'"dataType":"NEW","version":{spelling % 7},{BOOK}'))
    assert book.version == 76


def unversioned() -> OrderBook:
    return book_of(whole(*HELD))


def loaded() -> OrderBook:
    book = OrderBook(wire=BYBIT)
    book.load([(10, 1)], [(11, 1)])
    return book


def loaded_over() -> OrderBook:
    book = book_of(new(1, *HELD))
    book.load([(10, 1)], [(11, 1)])
    return book


def cleared() -> OrderBook:
    book = book_of(new(1, *HELD))
    book.clear()
    return book


def after_an_update() -> OrderBook:
    book = OrderBook(wire=BYBIT)
    book.update("bid", 10, 1)
    return book


def replaced() -> OrderBook:
    return book_of(new(1, *HELD), whole(*HELD, ts=TIME + 1))


@pytest.mark.parametrize(
    "make", [book_of, unversioned, loaded, loaded_over, cleared, after_an_update, replaced]
)
@pytest.mark.parametrize("version", [0, 1, 2, 3])
def test_a_change_needs_a_version_to_change(make: Any, version: int) -> None:
    book = make()
    before = observe(book)
    with pytest.raises(GapError):
        book.apply(change(version, insert=INSERT, ts=TIME + 9), 900)
    after = observe(book)
    rejected = before.pop("stats")[6] + 1
    assert after.pop("stats")[6] == rejected
    assert after == before
    book.apply(new(version, *HELD, ts=TIME + 10))
    assert (book.version, book.is_valid) == (version, True)


def test_a_whole_book_without_a_number_is_judged_by_its_time() -> None:
    book = book_of(new(55, *HELD, ts=TIME))
    before = observe(book)
    assert book.apply(whole(*INSERT, ts=TIME - 1), 900) == 0
    assert observe(book) | {"stats": None, "last_change": 0} == before | {
        "stats": None,
        "last_change": 0,
    }
    assert (book.stats.stale, book.version) == (1, 55)
    book.apply(whole(*INSERT, ts=TIME), 900)
    assert sides(book) == ([[10.5, 7]], [])


def test_a_numbered_whole_book_begins_anew_whatever_its_time() -> None:
    """As after trouble at the venue; kept out, it would let later changes in on top of the old."""
    book = book_of(new(55, *HELD, ts=TIME))
    book.apply(new(9, *INSERT, ts=TIME - 1), 900)
    assert (sides(book), book.version, book.ts_ms) == (([[10.5, 7]], []), 9, TIME - 1)
    assert (book.stats.stale, book.recv_ns) == (0, 900)


def test_changes_are_judged_by_their_version_alone() -> None:
    book = book_of(new(55, *HELD, ts=TIME))
    assert book.apply(change(56, insert=INSERT, ts=TIME - 1000)) == BID | BID_SIZE | DEPTH
    assert (book.best_bid, book.version, book.stats.stale) == (10.5, 56, 0)


def test_what_is_changed_by_hand_is_no_version_any_more() -> None:
    book = book_of(new(5, *HELD))
    book.update("bid", 1, 0)  # which is not there
    assert book.version == 5
    book.update("bid", 10, 7)
    assert book.version is None
    assert book.is_valid
    with pytest.raises(GapError):
        book.apply(change(6))
    book.apply(new(6, *HELD))
    assert (book.version, book.best_bid_size) == (6, 1.0)


def test_coincall_numbers_nothing() -> None:
    book = OrderBook()
    assert book.version is None
    book.apply(book_frame(more_data=',"version":"5"'))
    assert book.version is None
    with pytest.raises(AttributeError):
        book.version = 5  # type: ignore[misc]


# Refusals ------------------------------------------------------------------------------------

GOOD: dict[str, Row] = {
    "delete": ("Buy", "10"),
    "update": ("Sell", "11", "9"),
    "insert": ("Buy", "10.5", "7"),
}
BAD_ROWS = {
    "no side": '{"price":"1","size":"1"}',
    "no price": '{"size":"1","side":"Buy"}',
    "no size": '{"price":"1","side":"Buy"}',
    "side twice": '{"price":"1","size":"1","side":"Buy","side":"Buy"}',
    "price twice": '{"price":"1","size":"1","side":"Buy","price":"1"}',
    "size twice": '{"price":"1","size":"1","size":"1","side":"Buy"}',
    "empty": "{}",
    "null": "null",
    "an array": '["1","1","Buy"]',
    "Coincall's keys": '{"pr":"1","sz":"1","side":"Buy"}',
    "a key in capitals": '{"Price":"1","size":"1","side":"Buy"}',
    **{
        f"side {side}": f'{{"price":"1","size":"1","side":{side}}}'
        for side in r'"buy" "BUY" "Buyer" "Bu" "sell" "Bid" "" "Buy\u0000" 1 null [] {}'.split()
    },
    **{
        f"{key} {number}": row_text(("Buy", "1", "1")).replace(f'"{key}":"1"', f'"{key}":{number}')
        for key in ("price", "size")
        for number in '"x" "" "-1" -1 "01" "1e11" null true [] NaN "+1" "1\t"'.split(" ")
    },
    "a price too precise": row_text(("Buy", "0.000000001", "1")),
    "broken": '{"price":"1","size":"1","side":"Buy"',
}


def with_a_bad_row(row: str, name: str) -> bytes:
    """A change in which one row of one list is bad and all the others could be applied."""
    lists = (
        f'"{key}":[{row_text(good)}{"," + row if key == name else ""}]'
        for key, good in GOOD.items()
    )
    return frame(f'"version":"56","dataType":"CHANGE",{",".join(lists)}')


CHANGE = '"version":"56","dataType":"CHANGE"'
BOOK = f'"orderBook":{rows_text(HELD)}'
NO_VERSIONS = (
    *r"""
    "" "x" "5x" "x5" "5.0" "56.5" "0x38" "5e1" "5_6" "+56" "-56" "-0" "00" "056" "56\u0000" "\ud800"
    "\u00f5\u00b6" "\u00b5" "\uff15\uff16" 5.0 56.0 5e1 -56 -0 056 null true [] {} ["56"] {"56":1}
    """.split(),
    f'"{10**18}"',
    str(10**18),
)
FRAMES = {
    **{
        f"topic {topic}": whole(*HELD, topic=topic)
        for topic in f"""
            orderbook50.{OPTION} orderbook10.{OPTION} orderbook1000.{OPTION} orderbook.{OPTION}
            delta.orderbook25.{OPTION} xorderbook100.{OPTION} Orderbook100.{OPTION} delta.{OPTION}
            delta.delta.orderbook100.{OPTION} recenttrades.BTC orderbook100 {OPTION}
            \\u00ff\\u0072derbook100.{OPTION} orderbook\\u00c1\\u00c0\\u00c0.{OPTION}
            orderbook100\\u00be{OPTION} orderbook100\\u00AE{OPTION} orderbook100\\u012e{OPTION}
            orderbook100\\/.{OPTION}
        """.split()
    },
    **{
        f"topic {topic}": f'{{"topic":{topic},"creationTime":{TIME},"data":{{{BOOK}}}}}'.encode()
        for topic in ("null", "1", "[]", '""', f'["{WHOLE}"]', r'"orderbook100.\ud800"')
    },
    "no topic": whole(*HELD).replace(b'"topic"', b'"x"'),
    "topic twice": frame(BOOK, WHOLE, more=f',"topic":"{WHOLE}"'),
    "topic twice, once escaped": frame(BOOK, WHOLE, more=rf',"t\u006fpic":"{WHOLE}"'),
    "no data": f'{{"topic":"{WHOLE}","creationTime":1}}'.encode(),
    "data twice": frame(BOOK, WHOLE, more=f',"data":{{{BOOK}}}'),
    **{
        f"data {data}": f'{{"topic":"{WHOLE}","creationTime":{TIME},"data":{data}}}'.encode()
        for data in 'null [] "x" 1 {} [{}]'.split()
    },
    "no time": whole(*HELD).replace(b'"creationTime"', b'"x"'),
    "time twice": frame(BOOK, WHOLE, more=',"creationTime":1'),
    **{
        f"time {ts}": whole(*HELD, ts=ts)
        for ts in ('null "1" -1 1.0 1e3 01 true [] ' + "1" * 19).split()
    },
    "both spellings": frame(f'"orderBooks":[],{BOOK}', WHOLE),
    "the book twice": frame(f"{BOOK},{BOOK}", WHOLE),
    "the book twice, once empty": frame(f'{BOOK},"orderBook":[]', WHOLE),
    "NEW without a book": frame('"version":"56","dataType":"NEW"'),
    **{
        f"book {rows}": frame(f'"orderBook":{rows}', WHOLE)
        for rows in 'null {} "x" 1 true [[]] [null] ["1"] [{}]'.split()
    },
    "two at one price": whole(*HELD, ("Buy", "10.0", "5")),
    "the same row twice": new(56, *HELD, HELD[2]),
    **{
        f"dataType {kind}": frame(f'"version":"56","dataType":{kind},{BOOK}')
        for kind in '"OLD" "new" "NEWS" "CHANGES" "" 1 [] {}'.split()
    },
    "dataType twice": frame(f'{CHANGE},"dataType":"CHANGE"'),
    "dataType of two kinds": frame(f'"version":"56","dataType":"NEW",{BOOK},"dataType":"CHANGE"'),
    "CHANGE without a version": frame('"dataType":"CHANGE","insert":[]'),
    "version twice": frame(f'{CHANGE},"version":"56"'),
    "version twice, once escaped": frame(rf'{CHANGE},"versi\u006fn":"56"'),
    **{
        f"version {version}": frame(f'"version":{version},"dataType":"CHANGE"')
        for version in (*NO_VERSIONS, '" 56"', '"56 "', '"5 6"')
    },
    **{
        f"{name} {rows}": frame(f'{CHANGE},"{name}":{rows}')
        for name in GOOD
        for rows in '{} "x" 1 true [[]] [null] ["1"] [{}]'.split()
    },
    **{f"{name} twice": frame(f'{CHANGE},"{name}":[],"{name}":[]') for name in GOOD},
    "a list twice, once escaped": frame(rf'{CHANGE},"delete":[],"d\u0065lete":[]'),
    "a comma too many": frame(f'{CHANGE},"insert":[{row_text(GOOD["insert"])},]'),
    "no comma": frame(f'{CHANGE},"insert":[{row_text(GOOD["insert"]) * 2}]'),
    "garbage after": change(56, insert=[GOOD["insert"]]) + b"x",
    "no JSON where nobody looks": frame(f'{CHANGE},"x":nul'),
    "invalid UTF-8 where nobody looks": change(56).replace(b'"id":"', b'"id":"\xff'),
    "Coincall's": book_frame(),
    "nothing": b"",
}


def refuse(text: bytes) -> None:
    """A DecodeError, to a book without anything and to one with a version; and no trace of it."""
    for book, version in (OrderBook(wire=BYBIT), None), (book_of(new(55, *HELD)), 55):
        before = observe(book)
        had = before.pop("stats")
        with pytest.raises(DecodeError) as error:
            book.apply(text, 900)
        assert 0 <= error.value.offset <= len(text)
        after = observe(book)
        assert after.pop("stats") == (*had[:6], 1, 0)
        assert after == before
        assert book.version == version
        book.apply(new(56, *HELD))
        assert (book.symbol, book.version) == (OPTION, 56)


@table(FRAMES)
def test_frames_that_are_refused(case: bytes) -> None:
    refuse(case)


@table(BAD_ROWS)
def test_rows_that_are_refused(case: str) -> None:
    """In each place of a book and of a change, whatever good rows stand beside it."""
    good = rows_text(HELD)[1:-1]
    refuse(frame(f'"orderBook":[{good},{case}]', WHOLE))
    refuse(frame(f'"version":"56","dataType":"NEW","orderBook":[{case},{good}]'))
    refuse(with_a_bad_row(case, "update"))
    refuse(with_a_bad_row(case, "insert"))


@pytest.mark.parametrize(
    "row", [row for name, row in BAD_ROWS.items() if "size" not in name], ids=repr
)
def test_rows_that_are_refused_as_deletions(row: str) -> None:
    refuse(with_a_bad_row(row, "delete"))


def test_truncated_anywhere() -> None:
    delete, update, insert = ([row] for row in GOOD.values())
    for text in new(56, *HELD), change(56, delete, update, insert):
        for end in range(0, len(text), 3):
            refuse(text[:end])


def test_each_venue_reads_its_own_frames() -> None:
    for wire, text in (COINCALL, new(1, *HELD)), (COINCALL, whole(*HELD)), (BYBIT, book_frame()):
        with pytest.raises(DecodeError):
            OrderBook(wire=wire).apply(text)


OTHER = DELTA.replace("25000", "26000")


def test_the_topic_names_the_symbol() -> None:
    book = OrderBook(OPTION, wire=BYBIT)
    assert book.symbol == OPTION
    book.apply(new(1, *HELD))
    before = observe(book)
    for text in (
        new(2, topic=OTHER),
        change(2, insert=INSERT, topic=OTHER),
        change(9, insert=INSERT, topic=OTHER),  # before its version is looked at
        whole(*INSERT, topic=OTHER.removeprefix("delta.")),
        whole(*INSERT, topic=WHOLE + "X"),
        whole(*INSERT, topic=WHOLE[:-1]),
        whole(*INSERT, topic=f"orderbook25.{OPTION.lower()}"),
        new(2, topic=OTHER, ts=1),  # and before its time is
    ):
        with pytest.raises(SymbolMismatch):
            book.apply(text, 900)
    after = observe(book)
    assert after.pop("stats") == (1, 0, 0, 0, 0, 0, 8, 0)
    del before["stats"]
    assert after == before
    with pytest.raises(DecodeError):  # validity comes first
        book.apply(new(2, topic=OTHER) + b"x")


@pytest.mark.parametrize(
    ("topic", "symbol"),
    [
        (r"orderbook100.BTC\u002d1", "BTC-1"),
        ("orderbook25.\u00e9\u20ac", "\u00e9\u20ac"),
        (r"delta.orderbook100.a\"b", 'a"b'),
        ("orderbook100.x.y", "x.y"),
        ("orderbook100.orderbook100.x", "orderbook100.x"),
        (r"orderbook\u0031\u00300\u002ex", "x"),
    ],
)
def test_symbols(topic: str, symbol: str) -> None:
    data = f'"version":"1","dataType":"NEW",{BOOK}' if topic.startswith("delta") else BOOK
    book = OrderBook(wire=BYBIT)
    book.apply(frame(data, topic))
    assert book.symbol == symbol
    OrderBook(symbol, wire=BYBIT).apply(frame(data, topic))
    assert list(store_of(frame(data, topic))) == [symbol]


def test_a_gap_binds_no_symbol() -> None:
    book = OrderBook(wire=BYBIT)
    with pytest.raises(GapError):
        book.apply(change(2))
    assert book.symbol is None
    book.apply(new(2, topic=OTHER))
    assert book.symbol == OTHER.removeprefix("delta.orderbook100.")


# A store -------------------------------------------------------------------------------------


def store_of(*frames: bytes) -> BookStore:
    store = BookStore(wire=BYBIT)
    for number, text in enumerate(frames, 1):
        store.feed(text, number * 100)
    return store


def test_a_store_keeps_a_book_for_each_symbol() -> None:
    store = store_of(new(1, *HELD), new(7, topic=OTHER), change(2, insert=INSERT))
    symbols = [OPTION, OTHER.removeprefix("delta.orderbook100.")]
    assert list(store) == symbols
    first, second = (store[symbol] for symbol in symbols)
    assert (first.version, first.best_bid, first.recv_ns) == (2, 10.5, 300)
    assert (second.version, second.best_bid_e8, second.recv_ns) == (7, None, 200)
    assert store.feed(change(8, insert=INSERT, topic=OTHER)) is second
    assert second.best_bid == 10.5
    assert store.feed(change(8, topic=OTHER)) is second
    assert (second.last_change, second.stats.stale) == (0, 1)
    with pytest.raises(GapError):
        store.feed(change(10, topic=OTHER))
    assert (second.is_valid, second.stats.rejected, first.stats.rejected) == (False, 1, 0)
    assert store.feed(whole(*HELD)) is first
    assert (first.version, sides(first)) == (None, sides(book_of(new(1, *HELD))))


def test_the_topics_of_one_symbol_are_one_book() -> None:
    store = store_of(whole(*HELD, topic=f"orderbook25.{OPTION}"), whole(*HELD), new(5, *HELD))
    assert list(store) == [OPTION]
    assert store[OPTION].update_count == 3


CUT_SHORT = whole(*HELD)[:-1]


@pytest.mark.parametrize("text", [change(2, insert=INSERT), CUT_SHORT, whole(*HELD, ts="x")])
def test_a_refused_frame_makes_no_book(text: bytes) -> None:
    store = BookStore(wire=BYBIT)
    with pytest.raises((DecodeError, GapError)):
        store.feed(text)
    assert len(store) == 0
    store.feed(new(5, *HELD))
    before = observe(store[OPTION])
    with pytest.raises((DecodeError, GapError)) as refused:
        store.feed(text.replace(b'"2"', b'"7"'))
    if refused.type is DecodeError:
        assert observe(store[OPTION]) | {"stats": None} == before | {"stats": None}
    assert store[OPTION].stats.rejected == 1


@pytest.mark.parametrize(
    "topic",
    [
        "recenttrades",
        f"xinstrument_info.{OPTION}",
        "user.openapi.perp.order",
        f"orderbook50.{OPTION}",
        f"delta.orderbook25.{OPTION}",
        f"xorderbook100.{OPTION}",
    ],
)
def test_other_topics_are_messages(topic: str) -> None:
    store = BookStore(wire=BYBIT)
    text = frame(BOOK + ',"dt":5', topic, more=',"dt":5,"d":{}')
    message = store.feed(text)
    assert isinstance(message, UnknownMessage)
    assert message.body["topic"] == topic
    assert len(store) == 0


def test_coincalls_store_knows_nothing_of_bybit() -> None:
    store = BookStore()
    assert isinstance(store.feed(whole(*HELD)), UnknownMessage)
    assert len(store) == 0
    store.feed(book_frame())
    assert list(store) == [SYMBOL]

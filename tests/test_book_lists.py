"""Bybit's V5 and Gate's order books: changes in the lists of a side, and what they follow.

Sources: protocol page, sections 2.5 and 5; Bybit's page docs/v5/websocket/public/orderbook.
"""

import json
from itertools import permutations

import pytest

from coincall_fast import BookStore, OrderBook
from coincall_fast.errors import DecodeError, GapError, SymbolMismatch, UsageError
from coincall_fast.model import Stats
from coincall_fast.wire import BYBIT_V5, GATE
from list_frames import CONTRACT, OPTION, book_of, gate, gate_book, sides, v5
from model_book import ALL, ASK, ASK_SIZE, BID, BID_SIZE, DEPTH, observe
from strategies import TIME
from tables import table

HELD = [("10", "1"), ("9", "2")], [("11", "3"), ("12", "4")]
READ = [[10, 1], [9, 2]], [[11, 3], [12, 4]]

# V5 ------------------------------------------------------------------------------------------

DATA = '"s":"X","b":[["10","1"],["9","2"]],"a":[["11","3"],["12","4"]],"u":7,"seq":9'


def envelope(data: str, kind: str = "snapshot", topic: str = f"orderbook.25.{OPTION}") -> bytes:
    return f'{{"topic":"{topic}","type":"{kind}","ts":{TIME},"data":{{{data}}},"cts":1}}'.encode()


SAME_BOOK = {
    "25 levels": envelope(DATA),
    "100 levels": envelope(DATA, topic=f"orderbook.100.{OPTION}"),
    "rows in any order": envelope(DATA.replace('["10","1"],["9","2"]', '["9","2"],["10","1"]')),
    "bare numbers": envelope(DATA.replace('["10","1"]', "[10,1e0]")),
    "blanks": envelope(DATA.replace("[", "[ ").replace(",", " ,\n").replace("]", "\t]")),
    "a number in quotes": envelope(DATA.replace('"u":7', '"u":"7"')),
    "a size of 0": envelope(DATA.replace('["9","2"]', '["9","2"],["8","0"]')),
    "no cts": envelope(DATA).replace(b"cts", b"x"),
    "an id": envelope(DATA).replace(b'"topic"', b'"id":"x","topic"'),
    "escapes": envelope(DATA).replace(b"snapshot", rb"snap\u0073hot").replace(b'"b"', rb'"\u0062"'),
}


@table(SAME_BOOK)
def test_the_same_v5_book(case: bytes) -> None:
    book = OrderBook(wire=BYBIT_V5)
    assert book.apply(case, 5) == ALL
    assert (sides(book), book.symbol, book.version) == (READ, OPTION, 7)
    assert (book.ts_ms, book.recv_ns, book.stats.rejected) == (TIME, 5, 0)


@pytest.mark.parametrize("kind", ["snapshot", "delta"])
def test_v5_keys_in_any_order(kind: str) -> None:
    frame = json.loads(v5(kind, 2, [("10", "5"), ("9", "0")], [("11", "0")]))
    for names in permutations(frame):
        book = OrderBook(wire=BYBIT_V5)
        book.apply(v5("snapshot", 1, *HELD))
        book.apply(json.dumps({name: frame[name] for name in names}))
        assert sides(book) == ([[10, 5]], [[12, 4]] if kind == "delta" else [])
        assert book.version == 2
    for names in permutations(frame["data"]):
        book.apply(v5("snapshot", 1, *HELD))
        book.apply(json.dumps(frame | {"data": {name: frame["data"][name] for name in names}}))
        assert sides(book) == ([[10, 5]], [[12, 4]] if kind == "delta" else [])


def test_a_v5_snapshot_begins_anew() -> None:
    """After the venue's service was started again its number is 1."""
    book = book_of(v5("snapshot", 500, *HELD), v5("snapshot", 1, [("8", "1")], []))
    assert (sides(book), book.version) == (([[8, 1]], []), 1)
    book.apply(v5("delta", 2, [], [("9", "1")]))
    assert (sides(book), book.version) == (([[8, 1]], [[9, 1]]), 2)


def test_a_v5_change() -> None:
    book = book_of(v5("snapshot", 7, *HELD))
    assert book.apply(v5("delta", 8, [("10.0", "0"), ("9.5", "3")], [])) == BID | BID_SIZE
    assert book.apply(v5("delta", 9, [], [("13", "1"), ("11", "3.0"), ("5", "0")])) == DEPTH
    assert book.apply(v5("delta", 10, [], [("11", "2")])) == ASK_SIZE
    assert book.apply(v5("delta", 11, [("9", "7"), ("9", "8")], [("11", "0")])) == (
        ASK | ASK_SIZE | DEPTH
    )
    assert sides(book) == ([[9.5, 3], [9, 8]], [[12, 4], [13, 1]])
    assert book.stats == Stats(5, 0, 0, 0, 0, 0, 0, 1)


@pytest.mark.parametrize("more", [0, 30])
@pytest.mark.parametrize("level", ["10", "9.5", "9"])
def test_of_a_level_that_is_said_twice_the_last_counts(level: str, more: int) -> None:
    """Whether there are few changes or many, and whether it was held before."""
    others = [(f"{1 + n / 100:.2f}", "1") for n in range(more)]
    kept = [[float(price), float(size)] for price, size in others]
    held = [row for row in READ[0] if row[0] != float(level)]
    for rows, left in (
        ([(level, "7"), (level, "0")], held),
        ([(level, "0"), (level, "7")], [*held, [float(level), 7]]),
        ([(level, "7"), (level, "6")], [*held, [float(level), 6]]),
    ):
        book = book_of(v5("snapshot", 7, *HELD), v5("delta", 8, [*others, *rows], []))
        assert sides(book)[0] == sorted([*left, *kept], reverse=True)


@pytest.mark.parametrize("late", [0, 6, 7])
def test_a_v5_number_that_is_held_is_not_applied_again(late: int) -> None:
    book = book_of(v5("snapshot", 7, *HELD))
    assert book.apply(v5("delta", late, [("10", "0")], [])) == 0
    assert (sides(book), book.version, book.stats.stale) == (READ, 7, 1)


@pytest.mark.parametrize("number", [9, 10, 10**17])
def test_a_v5_gap(number: int) -> None:
    book = book_of(v5("snapshot", 7, *HELD))
    with pytest.raises(GapError) as gap:
        book.apply(v5("delta", number, [("10", "0")], []))
    assert (gap.value.symbol, gap.value.expected, gap.value.first) == (OPTION, 8, number)
    assert (book.is_valid, sides(book), book.version) == (False, ([], []), None)
    with pytest.raises(GapError) as gap:
        book.apply(v5("delta", 8, [("10", "0")], []))
    assert (gap.value.expected, book.is_valid, book.bid_count) == (None, False, 0)


def test_levels_that_go_make_room_for_others_wherever_they_stand() -> None:
    """A level that comes must not push out one that stays, since the venue sends that no more."""
    full = [(str(price), "1") for price in range(101, 201)]
    for rows in permutations([("150", "0"), ("250", "1"), ("160.5", "2"), ("170", "0")]):
        book = book_of(v5("snapshot", 1, full, []), v5("delta", 2, list(rows), []))
        prices = [price for price, _ in sides(book)[0]]
        assert (len(prices), prices[0], prices[-1], book.stats.truncated) == (100, 250, 101, 0)
    many = [(str(price), "1") for price in range(201, 291)]
    gone = [(str(price), "0") for price in range(101, 191)]
    book = book_of(v5("snapshot", 1, full, []), v5("delta", 2, many + gone, []))
    assert [price for price, _ in sides(book)[0]] == [*range(290, 190, -1)]
    assert book.stats.truncated == 0


def test_many_levels_in_one_change() -> None:
    for count, fits in ((1024, True), (1025, False)):
        book = book_of(v5("snapshot", 1, *HELD))
        change = v5("delta", 2, [(str(price), "1") for price in range(1, count + 1)], [])
        if fits:
            book.apply(change)
            assert (book.bid_count, book.best_bid, book.stats.truncated) == (100, 1024, 1)
        else:
            with pytest.raises(DecodeError):
                book.apply(change)
            assert sides(book) == READ


BAD_V5 = {
    **{
        f"level {level}": envelope(DATA.replace('["10","1"]', level))
        for level in '["10"] ["10","1","2"] [] {} null "10" ["10",] [,"1"] ["-1","1"] ["x","1"] '
        '["1e-9","1"] ["10","1" [["10","1"]] {"p":"10","s":"1"}'.split(" ")
    },
    "a side is missing": envelope(DATA.replace('"b"', '"x"')),
    "a side is null": envelope(DATA.replace('[["10","1"],["9","2"]]', "null")),
    "a side twice": envelope(DATA + ',"b":[]'),
    "two levels at one price": envelope(DATA.replace('"9"', '"10.0"')),
    "u is no integer": envelope(DATA.replace(":7", ":7.0")),
    "no time": envelope(DATA).replace(b'"ts"', b'"x"'),
    "no symbol": envelope(DATA, topic="orderbook.25."),
    "a change without a number": envelope(DATA.replace('"u"', '"x"'), "delta"),
    "cut short": envelope(DATA)[:-1],
    "garbage": envelope(DATA) + b"}",
}


@table(BAD_V5)
def test_a_v5_frame_that_is_refused(case: bytes) -> None:
    book = book_of(v5("snapshot", 1, *HELD))
    before = observe(book)
    with pytest.raises(DecodeError):
        book.apply(case)
    assert observe(book) | {"stats": 0} == before | {"stats": 0}
    assert (book.version, book.stats.rejected) == (1, 1)


# Gate ----------------------------------------------------------------------------------------


def test_the_base_rule_of_the_protocol_page() -> None:
    """Section 5: 95-100 drop, 98-103 apply first, 104 apply, 106-107 gap; the base is 100."""
    store = BookStore(wire=GATE)
    with pytest.raises(GapError) as gap:
        store.feed(gate(95, 100, [("10", 9)], []))
    assert (gap.value.symbol, gap.value.expected) == (CONTRACT, None)
    assert (gap.value.first, gap.value.last, len(store)) == (95, 100, 0)
    book = store.load(CONTRACT, *HELD, TIME, 5, version=100)
    assert (book is store[CONTRACT], sides(book), book.version) == (True, READ, 100)
    assert store.feed(gate(95, 100, [("10", 9)], [])) is book
    assert (book.stats.stale, book.last_change, book.version) == (1, 0, 100)
    assert store.feed(gate(98, 103, [("10", 9)], [("11", 0)])) is book
    assert (sides(book), book.version) == (([[10, 9], [9, 2]], [[12, 4]]), 103)
    store.feed(gate(104, 104, [], []))
    assert (book.version, book.stats.unchanged, book.update_count) == (104, 1, 3)
    with pytest.raises(GapError) as gap:
        store.feed(gate(106, 107, [], [("12", 0)]))
    assert (gap.value.expected, gap.value.first, gap.value.last) == (105, 106, 107)
    assert (book.is_valid, sides(book), len(store)) == (False, ([], []), 1)


@pytest.mark.parametrize(
    ("first", "last", "outcome"),
    [
        *[(1, 99, "stale"), (100, 100, "stale"), (99, 100, "stale")],
        *[(101, 101, "applied"), (101, 105, "applied"), (100, 101, "applied")],
        *[(1, 101, "applied"), (1, 500, "applied")],
        *[(102, 102, "gap"), (102, 105, "gap"), (10**17, 10**17, "gap")],
    ],
)
def test_the_first_change_behind_a_base(first: int, last: int, outcome: str) -> None:
    book = gate_book(100, *HELD)
    change = gate(first, last, [("10", 9)], [])
    if outcome == "gap":
        with pytest.raises(GapError):
            book.apply(change)
        assert not book.is_valid
    else:
        assert book.apply(change) == (BID_SIZE if outcome == "applied" else 0)
        assert book.version == (last if outcome == "applied" else 100)


@pytest.mark.parametrize(("first", "gap"), [(104, False), (103, True), (1, True), (105, True)])
def test_each_next_change_follows_exactly(first: int, gap: bool) -> None:
    book = gate_book(100, *HELD)
    book.apply(gate(98, 103, [], []))
    if gap:
        with pytest.raises(GapError):
            book.apply(gate(first, 110, [("10", 9)], []))
        assert (book.is_valid, book.bid_count) == (False, 0)
    else:
        book.apply(gate(first, 110, [("10", 9)], []))
        assert (book.version, book.best_bid_size) == (110, 9)


@pytest.mark.parametrize("side", ["null", "[]", None])
def test_a_side_of_gates_without_a_change(side: str | None) -> None:
    book = gate_book(100, *HELD)
    text = gate(101, 101, [("10", 7)], []).decode()
    assert '"a":[]' in text
    book.apply(text.replace('"a":[]', '"x":1' if side is None else f'"a":{side}'))
    assert sides(book) == ([[10, 7], [9, 2]], READ[1])


@pytest.mark.parametrize("event", ["subscribe", "unsubscribe", "", "updates", "upgrade"])
def test_other_events_of_gates_channel_are_no_books(event: str) -> None:
    store = BookStore(wire=GATE)
    frame = json.loads(gate(1, 1, [], [])) | {"event": event}
    for order in permutations(frame):
        assert not isinstance(store.feed(json.dumps({k: frame[k] for k in order})), OrderBook)
    assert len(store) == 0


@pytest.mark.parametrize(
    "channel",
    ["options.order_book", "options.order_book_updates", "options.order_book_updat", "x"],
)
def test_other_channels_of_gates_are_no_books(channel: str) -> None:
    frame = json.loads(gate(1, 1, [], [])) | {"channel": channel}
    assert not isinstance(BookStore(wire=GATE).feed(json.dumps(frame)), OrderBook)


def test_gates_keys_in_any_order() -> None:
    """The two numbers differ by their case alone; the symbol may come behind the levels."""
    frame = json.loads(gate(99, 102, [("10", 7), ("9", 0)], [("12", 0)]))
    for order in permutations(frame["result"]):
        store = BookStore(wire=GATE)
        store.load(CONTRACT, *HELD, version=100)
        result = {key: frame["result"][key] for key in order}
        book = store.feed(json.dumps(frame | {"result": result}))
        assert isinstance(book, OrderBook)
        assert (sides(book), book.version) == (([[10, 7]], [[11, 3]]), 102)
        assert (book.ts_ms, book.stats.absent) == (TIME, 0)
    for order in permutations(frame):
        book = gate_book(100, *HELD)
        book.apply(json.dumps({key: frame[key] for key in order}))
        assert sides(book) == ([[10, 7]], [[11, 3]])


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"U":101', '"U":102'),
        ('"U":101', '"x":101'),
        ('"u":101', '"x":101'),
        ('"U":101', '"U":-1'),
        ('"t":', '"x":'),
        ('"s":"', '"x":"'),
        ('"p":"10"', '"p":""'),
        ('"s":7', '"s":-7'),
        ('"s":7', '"x":7'),
        ('"b":[', '"b":[1,'),
    ],
)
def test_a_frame_of_gates_that_is_refused(old: str, new: str) -> None:
    book = gate_book(100, *HELD)
    before = observe(book)
    with pytest.raises(DecodeError):
        book.apply(gate(101, 101, [("10", 7)], []).decode().replace(old, new))
    assert observe(book) | {"stats": 0} == before | {"stats": 0}
    assert book.version == 100


def test_a_frame_of_another_contract() -> None:
    book = gate_book(100, *HELD, symbol="X")
    with pytest.raises(SymbolMismatch):
        book.apply(gate(101, 101, [("10", 7)], []))
    assert (sides(book), book.version) == (READ, 100)


# Bases ---------------------------------------------------------------------------------------


def test_a_base_is_a_load_with_a_number() -> None:
    book = OrderBook("X", wire=GATE)
    assert book.load(*HELD, TIME, 5, version=7) == ALL
    assert (book.version, book.ts_ms, book.recv_ns, book.update_count) == (7, TIME, 5, 1)
    assert book.load(*HELD, version=0) == 0
    assert book.version == 0
    book.load(*HELD)
    assert book.version is None
    with pytest.raises(GapError):
        book.apply(gate(1, 1, [], [], symbol="X"))
    assert (sides(book), book.is_valid) == (READ, True)


@pytest.mark.parametrize("version", [-1, 10**18, 2**70])
def test_a_number_that_no_book_has(version: int) -> None:
    book = gate_book(100, *HELD)
    with pytest.raises(UsageError):
        book.load([], [], version=version)
    with pytest.raises(TypeError):
        book.load([], [], version=1.5)  # type: ignore[arg-type]
    assert (sides(book), book.version) == (READ, 100)


def test_a_base_that_is_refused() -> None:
    store = BookStore(wire=GATE)
    with pytest.raises(DecodeError):
        store.load("X", [("10", "x")], [], version=5)
    assert len(store) == 0
    book = store.load("X", *HELD, version=5)
    with pytest.raises(DecodeError):
        store.load("X", [("10", "1"), ("10.0", "1")], [], version=6)
    assert (sides(book), book.version, book.stats.rejected) == (READ, 5, 1)
    assert store.load("X", [], [], version=6) is book
    assert (sides(book), book.version, list(store)) == (([], []), 6, ["X"])


def test_what_is_changed_by_hand_is_no_base() -> None:
    book = gate_book(100, *HELD)
    book.update("bid", 10, 5)
    assert book.version is None
    with pytest.raises(GapError):
        book.apply(gate(101, 101, [], []))

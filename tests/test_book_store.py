"""`BookStore` and `decode`: one frame of any channel in, a book or a message out."""

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coincall_fast import BookStore, OrderBook, decode
from coincall_fast.errors import DecodeError
from coincall_fast.message import Ack, Heartbeat, UnknownMessage
from model_book import Model, OtherSymbol, Refused, observe
from strategies import (
    SYMBOL,
    TIME,
    book_frame,
    documented_books,
    documented_frames,
    examples,
    frames,
    levels,
)

ETH = "ETHUSD-27MAY23-1800-P"
ETH_FRAME = book_frame(levels(("5", "5")), "[]", s=f'"{ETH}"', dt="32")


# Books ---------------------------------------------------------------------------------------


def test_a_book_appears_with_its_first_frame() -> None:
    store = BookStore()
    assert (len(store), list(store), list(store.values())) == (0, [], [])
    assert SYMBOL not in store
    book = store.feed(book_frame(), 5)
    assert isinstance(book, OrderBook)
    assert (book.symbol, book.recv_ns, book.last_change) == (SYMBOL, 5, 31)
    assert (len(store), list(store), list(store.values())) == (1, [SYMBOL], [book])
    assert SYMBOL in store
    assert store[SYMBOL] is store.get(SYMBOL) is book


def test_a_book_stays_the_same_object() -> None:
    store = BookStore()
    first = store.feed(book_frame())
    other = store.feed(ETH_FRAME)
    again = store.feed(book_frame(levels(("99.5", "2")), ts=str(TIME + 1)), recv_ns=7)
    assert again is first
    assert other is not first
    assert isinstance(again, OrderBook)
    assert (again.last_change, again.bid_count, again.recv_ns) == (16, 1, 7)
    assert store.feed(book_frame(ts="1")) is first  # stale
    assert (again.last_change, again.ts_ms) == (0, TIME + 1)


def test_books_of_different_symbols_do_not_mix() -> None:
    store = BookStore()
    store.feed(book_frame())
    before = observe(store[SYMBOL])
    store.feed(ETH_FRAME)
    assert observe(store[SYMBOL]) == before
    assert store[ETH].bbo[:2] == (5.0, 5.0)
    assert sorted(store) == sorted([SYMBOL, ETH])
    assert [book.symbol for book in store.values()] == list(store)


def test_symbols_that_are_nearly_equal() -> None:
    store = BookStore()
    symbols = ["BTCUSD", "BTCUSDT", "BTCUS", "btcusd", "BTCUSD ", "BTCUSD\0", "\u00e9", "e\u0301"]
    for size in "1", "2":
        for price, symbol in enumerate(symbols, 1):
            store.feed(book_frame(levels((str(price), size)), "[]", s=json.dumps(symbol)))
    assert set(store) == set(symbols)
    assert [store[symbol].bbo[:2] for symbol in symbols] == [(n, 2) for n in range(1, 9)]


def test_an_escaped_symbol_is_the_same_symbol() -> None:
    store = BookStore()
    book = store.feed(book_frame())
    assert store.feed(book_frame(s=r'"\u0042TC\u0055SD"')) is book
    assert list(store) == [SYMBOL]


def test_get_of_what_is_not_there() -> None:
    store = BookStore()
    store.feed(book_frame())
    assert store.get(ETH) is None
    assert store.get(ETH, 5) == 5
    with pytest.raises(KeyError):
        store[ETH]
    for key in ETH, "", None, 5, b"BTCUSD", (SYMBOL,):
        assert key not in store
    assert len(store) == 1


def test_many_symbols() -> None:
    store = BookStore()
    symbols = [f"BTCUSD-27MAY23-{strike}-C" for strike in range(2000)]
    for _ in range(2):
        for strike, symbol in enumerate(symbols, 1):
            store.feed(book_frame(levels((str(strike), "1")), "[]", s=f'"{symbol}"'))
    assert set(store) == set(symbols)
    for strike, symbol in enumerate(symbols, 1):
        assert (store[symbol].best_bid, store[symbol].update_count) == (strike, 2)


REFUSED = {
    "truncated": book_frame(s=f'"{ETH}"')[:-1],
    "truncated after the symbol": book_frame(s=f'"{ETH}"')[:60],
    "garbage after": book_frame(s=f'"{ETH}"') + b"x",
    "wrong level": book_frame(bids="[1]", s=f'"{ETH}"'),
    "two at one price": book_frame(bids=levels(("1", "1"), ("1", "1")), s=f'"{ETH}"'),
    "no symbol": book_frame(s="null"),
    "empty symbol": book_frame(s='""'),
    "broken symbol": book_frame(s=r'"\x"'),
    "no side": book_frame(asks="null", s=f'"{ETH}"'),
    "no data": b'{"dt":5}',
    "data null": b'{"dt":32,"d":null}',
    "data in a list": b'{"dt":5,"d":[]}',
}


@pytest.mark.parametrize("frame", REFUSED.values(), ids=REFUSED.keys())
def test_a_refused_frame_makes_no_book(frame: bytes) -> None:
    store = BookStore()
    book = store.feed(book_frame())
    assert isinstance(book, OrderBook)
    before = observe(book)
    with pytest.raises(DecodeError):
        store.feed(frame)
    assert list(store) == [SYMBOL]
    assert observe(book) == before
    with pytest.raises(DecodeError):
        decode(frame)


def test_a_refused_frame_leaves_the_book_as_it_was() -> None:
    store = BookStore()
    book = store.feed(book_frame(), 5)
    assert isinstance(book, OrderBook)
    before = observe(book)
    bids = levels(("7", "7"), ("6", "6"))[:-1] + ',{"pr":"5"}]'
    with pytest.raises(DecodeError) as error:
        store.feed(book_frame(bids, levels(("8", "8")), ts=str(TIME + 1)), 6)
    assert error.value.symbol == SYMBOL
    assert book.stats.rejected == 1
    assert observe(book) | {"stats": None} == before | {"stats": None}
    assert store[SYMBOL] is book


def test_a_cleared_book_takes_any_time_again() -> None:
    store = BookStore()
    store.feed(book_frame())
    store[SYMBOL].clear()
    book = store.feed(book_frame(ts="1"))
    assert isinstance(book, OrderBook)
    assert (book.last_change, book.ts_ms, book.is_valid) == (31, 1, True)


@pytest.mark.parametrize("frame", [None, 5, [], {"dt": 5}, memoryview(b"{ } ")[::2]], ids=type)
def test_other_types_are_a_type_error(frame: Any) -> None:
    with pytest.raises(TypeError):
        BookStore().feed(frame)
    with pytest.raises(TypeError):
        decode(frame)


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview, bytes.decode])
def test_types_of_frames(kind: Any) -> None:
    for frame in book_frame(), b'{"c":11,"rc":1}', b'{"dt":7,"d":{}}', b'{"result":"success"}':
        fed, decoded = BookStore().feed(kind(frame)), decode(kind(frame))
        if isinstance(fed, OrderBook):
            assert isinstance(decoded, OrderBook)
            assert observe(fed) == observe(decoded)
        else:
            assert fed == decoded == decode(frame)


def test_a_str_that_cannot_be_encoded() -> None:
    for frame in "\ud800", '{"c":11,"x":"\udc00"}', book_frame().decode() + "\ud800":
        with pytest.raises(DecodeError):
            BookStore().feed(frame)
        with pytest.raises(DecodeError):
            decode(frame)


def test_decode_gives_a_book_of_its_own() -> None:
    first, second = decode(book_frame()), decode(book_frame(levels(("1", "1")), ts="1"))
    assert isinstance(first, OrderBook)
    assert isinstance(second, OrderBook)
    assert (first.best_bid, second.best_bid) == (99.5, 1.0)
    assert (second.ts_ms, second.last_change, second.update_count) == (1, 31, 1)


@examples(150, 10_000)
@given(st.lists(frames(), min_size=1, max_size=6))
def test_a_store_is_a_book_for_each_symbol(frames: list[bytes]) -> None:
    """Against one model a symbol, each of which sees every frame."""
    store = BookStore()
    models: dict[str, Model] = {}
    for frame in frames:
        fresh = Model()
        try:
            fresh.apply(frame)
        except Refused:
            before = {symbol: observe(store[symbol]) | {"stats": None} for symbol in store}
            with suppress(DecodeError):  # it may have lost the dt that makes it a book
                assert not isinstance(store.feed(frame), OrderBook)
            assert {s: observe(store[s]) | {"stats": None} for s in store} == before
            continue
        assert fresh.symbol is not None
        mine = models.setdefault(fresh.symbol, Model())
        mine.apply(frame)
        for other in models.values():
            if other is not mine:
                with pytest.raises(OtherSymbol):
                    other.apply(frame)
        book = store.feed(frame)
        assert isinstance(book, OrderBook)
        assert book is store[fresh.symbol]
        assert observe(book) | {"stats": None} == mine.state() | {"stats": None}
        assert book.stats[:5] == mine.state()["stats"][:5]
    assert set(store) == set(models)


# Messages ------------------------------------------------------------------------------------


def body(frame: bytes) -> Any:
    return json.loads(frame)


HEARTBEATS = {
    b'{"c":11,"rc":1}': Heartbeat(1),
    b'{"rc":1,"c":11}': Heartbeat(1),
    b' { "c" : 11 , "rc" : 1 } ': Heartbeat(1),
    b'{"c":11}': Heartbeat(None),
    b'{"c":11,"rc":null}': Heartbeat(None),
    b'{"c":11,"rc":0}': Heartbeat(0),
    rb'{"\u0063":11,"rc":1}': Heartbeat(1),
    b'{"c":11,"rc":1,"ts":5}': Heartbeat(1),
}

# frame: (action, ok)
ACKS = {
    b'{"action":"SUBSCRIBE","result":"success"}': ("subscribe", True),
    b'{"action":"subscribe","result":"success"}': ("subscribe", True),
    b'{"action":"UNSUBSCRIBE","result":"success"}': ("unsubscribe", True),
    b'{"action":"unSubscribe","result":"success"}': ("unsubscribe", True),
    b'{"result":"success","action":"SUBSCRIBE","dataType":"orderBook"}': ("subscribe", True),
    b'{"result":"success"}': (None, True),
    b'{"action":null,"result":"success"}': (None, True),
    b'{"action":"SUBSCRIBE","result":"failed"}': ("subscribe", False),
    b'{"result":"failed","msg":"no such symbol"}': (None, False),
    b'{"c":20,"rc":0}': (None, False),
    b'{"c":20,"rc":2,"d":{}}': (None, False),
    b'{"rc":-1}': (None, False),
    b'{"c":500,"msg":"too many request"}': (None, False),
    b'{"msg":"too many request"}': (None, False),
}

UNKNOWN = {
    b'{"dt":99,"c":20,"d":{"s":"BTCUSD"}}': 99,
    b'{"dt":77,"c":20,"d":{"u":9804819366}}': 77,
    b'{"dt":130,"d":{"requestId":"1663820914095300608"},"ts":5}': 130,
    b'{"d":[1,2],"dt":44}': 44,
    b'{"dt":55}': 55,
    b'{"dt":0,"d":null}': 0,
    b'{"dt":-5}': -5,
    b'{"c":20,"rc":1}': None,
    b'{"c":20}': None,
    b'{"ch":"market.BTC.mbp.20","ts":1,"status":"ok","tick":{}}': None,
    b'{"ping":5}': None,
    b"{}": None,
    b"[]": None,
    b'[{"c":11}]': None,
    b'"pong"': None,
    b"5": None,
    b"null": None,
    b"true": None,
}


@pytest.mark.parametrize(
    "read", [decode, lambda frame: BookStore().feed(frame)], ids=["decode", "feed"]
)
class TestMessages:
    @pytest.mark.parametrize("frame", HEARTBEATS)
    def test_heartbeats(self, frame: bytes, read: Any) -> None:
        assert read(frame) == HEARTBEATS[frame]
        assert isinstance(read(frame), Heartbeat)

    @pytest.mark.parametrize("frame", ACKS)
    def test_acks(self, frame: bytes, read: Any) -> None:
        ack = read(frame)
        assert isinstance(ack, Ack)
        assert (ack.action, ack.ok) == ACKS[frame]
        assert ack.detail == body(frame)

    @pytest.mark.parametrize("frame", UNKNOWN)
    def test_unknown(self, frame: bytes, read: Any) -> None:
        assert read(frame) == UnknownMessage(UNKNOWN[frame], body(frame))
        assert isinstance(read(frame), UnknownMessage)

    @pytest.mark.parametrize(
        "frame",
        [
            b"",
            b" ",
            b"pong",
            b"{",
            b'{"c":11,"rc":1',
            b'{"c":11,"rc":1}x',
            b'{"c":11,"rc":1}{"c":11,"rc":1}',
            b'{"c":11,"rc":01}',
            b'{"c":11,"x":NaN}',
            b'{"c":11,"x":Infinity}',
            b'{"c":11,"x":"\xff"}',
            b'{"c":11,"x":"\n"}',
            b"{'c':11}",
            b'\xef\xbb\xbf{"c":11}',
            b'{"dt":7,"d":{}',
            b'{"dt":7,"d":{}}}',
            b'{"dt":99,"d":nul}',
            b'{"result":"success",}',
            b'{"msg":"\\x"}',
        ],
    )
    def test_text_that_is_no_json(self, frame: bytes, read: Any) -> None:
        with pytest.raises(DecodeError) as error:
            read(frame)
        assert 0 <= error.value.offset <= len(frame)


@pytest.mark.parametrize(
    "frame",
    [
        b'{"dt":99,"d":@}',
        b'{"c":11,"rc":1,"x":[@]}',
        b'{"result":"success","x":-@}',
        b'{"c":20,"x":@}',
        b"[@]",
        b"@",
    ],
)
def test_an_integer_longer_than_python_reads(frame: bytes) -> None:
    """CPython refuses to convert more than 4300 digits; a frame may hold them all the same."""
    digits = b"9" * 5000
    try:
        message = decode(frame.replace(b"@", digits))
    except DecodeError:
        return
    assert not isinstance(message, OrderBook)


def test_messages_make_no_books() -> None:
    store = BookStore()
    store.feed(book_frame())
    for frame in (*HEARTBEATS, *ACKS, *UNKNOWN):
        assert not isinstance(store.feed(frame), OrderBook)
    assert list(store) == [SYMBOL]


def test_no_key_of_the_data_is_taken_for_one_of_the_envelope() -> None:
    """Nested `dt`, `c` and `result` say nothing about the frame they are in."""
    for frame in (
        b'{"c":20,"d":{"dt":5,"c":11,"result":"success"}}',
        b'{"x":[{"dt":5}],"c":20}',
        b'{"x":"{\\"dt\\":5}","c":20}',
    ):
        assert decode(frame) == UnknownMessage(None, body(frame))
    book = decode(book_frame(more=',"x":{"dt":7}', more_data=',"dt":7,"c":11,"result":"failed"'))
    assert isinstance(book, OrderBook)


@pytest.mark.parametrize(
    "row",
    [row for row in documented_frames() if row["kind"] != "request"],
    ids=lambda row: f"{row['edition']} {row['heading'][:30]}",
)
def test_documented_frames(row: dict[str, Any]) -> None:
    """Each frame that the documents print is of the kind that its channel code says."""
    frame = row["frame"].encode()
    store = BookStore()
    message = store.feed(frame)
    if frame in documented_books():
        assert isinstance(message, OrderBook)
        assert list(store) == [body(frame)["d"]["s"]]
    elif row["kind"] == "heartbeat_ack":
        assert message == Heartbeat(1)
    else:
        assert not isinstance(message, (OrderBook, Heartbeat, Ack))
        assert not len(store)


def test_messages_compare_by_value() -> None:
    assert decode(b'{"dt":99,"d":[1]}') == decode(b' {"d":[1], "dt":99} ')
    assert decode(b'{"dt":99,"d":[1]}') != decode(b'{"dt":99,"d":[2]}')

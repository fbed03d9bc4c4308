"""Replays: a recording leads to the books, messages and events that there were live."""

import hashlib
import math
import os
import random
import struct
import time
from typing import Any

import pytest

from coincall_fast import (
    BookStore,
    Channel,
    DecodeError,
    OrderBook,
    RecordingError,
    Ticker,
    UsageError,
    replay,
)
from coincall_fast.coincall import Dialect
from coincall_fast.errors import TransportError
from coincall_fast.streams.fingerprint import Fingerprint
from coincall_fast.streams.recorder import Recorder
from coincall_fast.streams.recording import FILE_HEADER, Kind, encode
from coincall_fast.streams.session import Session
from proxy import Fault, Proxy
from streams import listen, stream_to, until, valid

S = 1_000_000_000
WALL_MS = 1_700_000_000_000


class Tape:
    """A file, made without threads or clocks."""

    def __init__(self, path):
        self.path = path
        self.texts = []
        self.put(Kind.BEGIN, 0, b"{}", product="")

    def put(self, kind, recv_ns, payload=b"", wall_ms=WALL_MS, product="futures"):
        self.texts.append(encode(kind, product, len(self.texts), recv_ns, wall_ms, payload))
        self.path.write_bytes(FILE_HEADER + b"".join(self.texts))


@pytest.fixture
def tape(tmp_path):
    return Tape(tmp_path / "a.rec")


def frame(symbol="BTCUSD", bid="1", ts_ms=WALL_MS):
    levels = f'"asks":[{{"pr":"2000000","sz":"1"}}],"bids":[{{"pr":"{bid}","sz":"1"}}]'
    return f'{{"dt":32,"c":20,"d":{{"s":"{symbol}",{levels},"ts":{ts_ms}}}}}'.encode()


def bids(items):
    return (book.best_bid for book in items)


def shown(book):
    """All that a book shows."""
    return book.symbol, book.is_valid, book.ts_ms, book.recv_ns, book.snapshot().tobytes()


def books_of(store):
    return {symbol: shown(store[symbol]) for symbol in store}


class TestLive:
    def test_the_books_are_those_that_there_were(self, exchange, tmp_path):
        """Two products, a lost connection, an end of a subscription; every state by the hash."""
        path = tmp_path / "a.rec"
        symbols = [*exchange.symbols("futures"), *exchange.symbols("options")[:20]]
        with stream_to(exchange) as stream:
            told = listen(stream, "gap")
            live = Fingerprint()
            stream.on(Channel.BOOK, live.add)
            with stream.record(path):
                stream.subscribe(Channel.BOOK, symbols)
                stream.subscribe(Channel.TICKER, "BTCUSD")
                until(lambda: valid(stream, symbols), "every book")
                exchange.drop_connections()
                until(lambda: len(told) == 2, "both gaps")
                until(lambda: valid(stream, symbols), "every book again")
                stream.unsubscribe(Channel.BOOK, "ETHUSD")
                until(lambda: not valid(stream, ["ETHUSD"]), "the end of one")
                exchange.stall(True)
                time.sleep(0.3)  # for what is on its way; an exchange that stalls sends no more
            books, fingerprint = books_of(stream.store), live.hexdigest()
        replays = [replay(path) for _ in range(2)]
        for again in replays:
            heard: list[Any] = []
            again.on("gap", lambda *interval, heard=heard: heard.append(("gap", *interval)))
            items = list(again)
            assert books_of(again.store) == books
            assert again.fingerprint.hexdigest() == fingerprint
            assert sorted(heard) == sorted(told)
            assert any(isinstance(item, Ticker) for item in items)
            assert again.is_complete
            assert (again.gaps, again.damages, again.torn_bytes) == (2, 0, 0)
        assert not replays[0].store["ETHUSD"].is_valid
        assert replays[0].store["BTCUSD"].is_valid

    def test_each_connection_of_a_product_has_losses_of_its_own(self, exchange, tmp_path):
        """Of two sockets one is cut: only its books become invalid, live and played."""
        path = tmp_path / "a.rec"
        symbols = exchange.symbols("options")[:6]
        host, port = exchange.ws_url.removeprefix("ws://").split(":")
        with (
            Proxy((host, int(port))) as proxy,
            stream_to(exchange, "options", ws_url=proxy.ws_url, sockets=2) as stream,
        ):
            gaps = listen(stream, "gap")
            live = Fingerprint()
            stream.on(Channel.BOOK, live.add)
            with stream.record(path):
                stream.subscribe(Channel.BOOK, symbols)
                until(lambda: valid(stream, symbols), "every book")
                proxy.lines[0].order(Fault("cut"))
                until(lambda: gaps, "the gap")
                until(lambda: valid(stream, symbols), "every book again")
                exchange.stall(True)
                time.sleep(0.3)  # for what is on its way
            books, fingerprint = books_of(stream.store), live.hexdigest()
        again = replay(path)
        invalid = {
            book.symbol for book in again if isinstance(book, OrderBook) and not book.is_valid
        }
        assert again.gaps == 1
        assert 0 < len(invalid) < len(symbols)
        assert again.fingerprint.hexdigest() == fingerprint
        assert books_of(again.store) == books


def life(session, dice):
    """Random things happen to a session; yields what comes of each, events included."""
    now_ns, ts_ms = 0, WALL_MS
    symbols = ["A", "B", "C"]
    is_open = False
    for _ in range(60):
        now_ns += dice.randrange(1, S)
        symbol = dice.choice(symbols)
        for _ in session.to_send(now_ns):
            pass
        what = dice.randrange(14)
        if what == 0:
            session.subscribe("orderBook", tuple(dice.sample(symbols, 2)), {}, now_ns)
        elif what == 1:
            session.unsubscribe("orderBook", (symbol,), {}, now_ns)
        elif what == 2 and not is_open:
            session.opened(now_ns)
            is_open = True
        elif what == 3 and is_open:
            session.closed(now_ns)
            is_open = False
        elif what == 4 and is_open:
            session.heard(now_ns)
        elif what == 5:
            try:
                session.tick(now_ns)
            except TransportError as error:
                yield "error", str(error)
        elif is_open:
            ts_ms += dice.randrange(-500, 2000)
            received = dice.choice(
                [
                    *[frame(symbol, str(dice.randrange(1, 99)), ts_ms)] * 8,
                    frame(symbol, "-1", ts_ms),
                    frame(symbol, "1", ts_ms + 3_600_000),
                    b"rubbish",
                    b'{"asks":[]',
                    b'{"action":"SUBSCRIBE","result":"success"}',
                    b'{"action":"SUBSCRIBE","result":"failed","msg":"no"}',
                    b'{"c":11,"rc":1}',
                ]
            )
            item = session.receive(received, now_ns, WALL_MS + now_ns // 1_000_000)
            if item is not None:
                yield shown(item) if isinstance(item, OrderBook) else item
        for event in session.take_events():
            if event.name == "cleared":
                yield shown(*event.arguments)
            else:
                yield event.name, *map(str, event.arguments)


@pytest.mark.parametrize("seed", range(500 if os.environ.get("COINCALL_FAST_LONG") else 40))
def test_whatever_happens_to_a_session_happens_again(tape, seed):
    """Items and events, in their order."""
    store = BookStore()
    session = Session(Dialect(), "futures", store, stale_after_ns=3 * S)
    tape.texts.clear()
    session.record(tape, 0)
    live = list(life(session, random.Random(seed)))
    again = replay(tape.path, stale_after_ms=3000)
    played: list[Any] = []
    for name in ("gap", "stale", "error"):
        again.on(name, lambda *told, name=name: played.append((name, *map(str, told))))
    # One at a time, since what is heard comes between the items.
    played.extend(shown(item) if isinstance(item, OrderBook) else item for item in again)
    assert played == live
    assert books_of(again.store) == books_of(store)


def test_a_recording_that_begins_in_the_middle_of_things(tape):
    """What is wanted, what is not any more, and that it is open: as if told from the start."""
    session = Session(Dialect(), "futures", BookStore())
    session.subscribe("orderBook", ("A", "B"), {}, 1)
    session.opened(2)
    list(session.to_send(2))
    for symbol in "AB":
        session.receive(frame(symbol), 3, WALL_MS)
    session.unsubscribe("orderBook", ("B",), {}, 4)
    session.record(tape, 5)
    session.receive(frame("B", "7"), 6, WALL_MS)  # was on its way
    session.receive(frame("A", "8"), 7, WALL_MS)
    session.closed(8)
    session.record(None, 9)
    session.opened(10)
    items = [shown(item)[:2] for item in replay(tape.path)]
    assert items == [("A", True), ("A", False)]


class TestPlaying:
    def opened(self, tape):
        tape.put(Kind.OPENED, S)
        for number in range(1, 6):
            tape.put(Kind.FRAME, (number + 1) * S, frame(bid=str(number)))
        return tape.path

    def test_items_at_full_speed_and_in_time_are_the_same(self, tape, monkeypatch):
        path = self.opened(tape)
        waits: list[float] = []
        clock = [100.0]

        def sleep(seconds):
            waits.append(round(seconds, 6))
            clock[0] += seconds

        monkeypatch.setattr(time, "sleep", sleep)
        monkeypatch.setattr(time, "monotonic", lambda: clock[0])
        at_once = [shown(item) for item in replay(path)]
        assert waits == []
        in_time = [shown(item) for item in replay(path, speed=2)]
        assert in_time == at_once
        assert waits == [0.5] * 6
        assert replay(path, speed=1000).run().fingerprint.hexdigest() == (
            replay(path).run().fingerprint.hexdigest()
        )

    def test_a_slow_consumer_is_not_made_to_wait_more(self, tape, monkeypatch):
        """Time is kept from the beginning, so that lateness does not add up."""
        path = self.opened(tape)
        waits: list[float] = []
        clock = [0.0]
        monkeypatch.setattr(time, "monotonic", lambda: clock[0])
        monkeypatch.setattr(time, "sleep", waits.append)
        for _ in replay(path, speed=1):
            clock[0] += 1.5
        assert waits[0] == 1.0
        assert waits[-1] < 1.0

    def test_a_second_recorder_has_another_clock_and_no_books_of_the_first(self, tape):
        self.opened(tape)
        tape.put(Kind.BEGIN, 3, b"{}", product="")
        tape.put(Kind.OPENED, 4)
        tape.put(Kind.FRAME, 5, frame("ETHUSD"))
        tape.put(Kind.END, 6, product="")
        again = replay(tape.path)
        items = [shown(item)[:2] for item in again]
        assert items[-2:] == [("BTCUSD", False), ("ETHUSD", True)]
        assert again.is_complete
        assert (again.now_ns, again.wall_ms) == (6, WALL_MS)

    def test_a_gap_makes_books_invalid(self, tape):
        self.opened(tape)
        tape.put(Kind.FRAME, 8 * S, frame("ETHUSD"))
        tape.put(Kind.GAP, 9 * S, b'{"frames": 7, "start_ns": 8}')
        tape.put(Kind.FRAME, 10 * S, frame("ETHUSD"))
        again = replay(tape.path)
        gaps = []
        again.on("gap", lambda *interval: gaps.append(interval))
        items = [shown(item)[:2] for item in again]
        assert items[-3:] == [("BTCUSD", False), ("ETHUSD", False), ("ETHUSD", True)]
        assert math.isnan(again.store["BTCUSD"].best_bid)
        assert gaps == [(8 * S, 10 * S)]

    def test_damage_raises_after_all_that_is_before_it(self, tape):
        path = self.opened(tape)
        content = bytearray(path.read_bytes())
        content[content.index(b'"pr":"3"')] ^= 1
        path.write_bytes(content)
        again = replay(path)
        seen: list[float] = []
        with pytest.raises(RecordingError, match=r"a\.rec: damage at byte \d+") as caught:
            seen.extend(bids(again))
        assert seen == [1.0, 2.0]
        assert "1 records missing" in str(caught.value)

    def test_damage_that_is_skipped_is_a_gap(self, tape):
        path = self.opened(tape)
        content = bytearray(path.read_bytes())
        content[content.index(b'"pr":"3"')] ^= 1
        path.write_bytes(content)
        again = replay(path, skip_damage=True)
        told: list[Any] = []
        again.on("damage", told.append)
        again.on("gap", lambda *interval: told.append(interval))
        seen = [*bids(again)]
        assert seen[:2] == [1.0, 2.0]
        assert math.isnan(seen[2])
        assert seen[3:] == [4.0, 5.0]
        assert told[0].missing == 1
        assert told[1] == (3 * S, 5 * S)
        assert (again.damages, again.gaps) == (1, 1)

    def test_a_torn_end_is_counted(self, tape):
        path = self.opened(tape)
        path.write_bytes(path.read_bytes()[:-3])
        again = replay(path)
        assert [*bids(again)] == [1.0, 2.0, 3.0, 4.0]
        assert again.torn_bytes == len(tape.texts[-1]) - 3
        assert not again.is_complete
        assert again.store["BTCUSD"].is_valid  # as when it was killed

    def test_remarks_and_errors_are_told(self, tape):
        tape.put(Kind.NOTE, S, "größer".encode(), product="")
        tape.put(Kind.OPENED, S)
        tape.put(Kind.FRAME, 2 * S, b"rubbish")
        again = replay(tape.path)
        told: list[Any] = []
        again.on("note", told.append)
        again.on("error", told.append)
        again.run()
        assert told[0] == "größer"
        assert isinstance(told[1], DecodeError)

    def test_into_a_store_that_there_is(self, tape):
        store = BookStore()
        again = replay(self.opened(tape), store).run()
        assert again.store is store
        assert store["BTCUSD"].best_bid == 5.0

    def test_wrong_usage(self, tape, tmp_path):
        path = self.opened(tape)
        for speed in (0, -1, math.nan):
            with pytest.raises(UsageError, match="speed"):
                replay(path, speed=speed)
        with pytest.raises(UsageError, match="gaps"):
            replay(path).on("gaps", print)
        again = replay(path).run()
        with pytest.raises(UsageError, match="once"):
            list(again)
        with pytest.raises(FileNotFoundError):
            replay(tmp_path / "none").run()
        (tmp_path / "text").write_text("no such thing\n" * 9)
        with pytest.raises(RecordingError, match="no recording"):
            replay(tmp_path / "text").run()


class TestFingerprint:
    def test_it_is_the_documented_one(self):
        """docs/recording.md, typed once more."""
        books = BookStore()
        fingerprint = Fingerprint()
        states = {"A": b"", "B": b""}
        for symbol, bid, ts_ms in (("B", 5, 7), ("A", 1, 8), ("B", 6, 9)):
            book = books.feed(frame(symbol, str(bid), ts_ms))
            assert isinstance(book, OrderBook)
            fingerprint.add(book)
            numbers = [0] * 400
            numbers[0], numbers[100] = bid * 10**8, 10**8
            numbers[200], numbers[300] = 2_000_000 * 10**8, 10**8
            states[symbol] += struct.pack("<401q", ts_ms, *numbers)
        books["A"].clear()
        digest = [hashlib.sha256(states[symbol]).digest() for symbol in "AB"]
        expected = hashlib.sha256(b"A\n\x00" + digest[0] + b"B\n\x01" + digest[1]).hexdigest()
        assert fingerprint.hexdigest() == expected
        assert expected == "21612ef72fb1c6da25a5a7d7528f9eaac1d22fa81e3408b176505d720d6be2b1"

    def test_every_state_counts_and_the_order_of_symbols_does_not(self):
        def of(*frames):
            books, fingerprint = BookStore(), Fingerprint()
            for one in frames:
                book = books.feed(one)
                assert isinstance(book, OrderBook)
                fingerprint.add(book)
            return fingerprint.hexdigest()

        a, b, c = frame("A", "1"), frame("B", "1"), frame("A", "2")
        assert of(a, b, c) == of(b, a, c) == of(a, c, b)
        assert len({of(a, b, c), of(c, b), of(a, b), of(c, a, b), of(a, a, b, c), of()}) == 6


def test_a_recorder_takes_what_a_session_tells(tmp_path):
    """Without a stream: any transport may record."""
    path = tmp_path / "a.rec"
    store = BookStore()
    session = Session(Dialect(), "futures", store)
    with Recorder(path, {}) as made:
        session.record(made.track("futures"), 0)
        session.opened(1)
        session.receive(frame(), 2, WALL_MS)
    assert books_of(replay(path).run().store) == books_of(store)

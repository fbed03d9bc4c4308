"""The session machine by passing times: no socket, no thread, no sleep."""

import json
import math

import pytest

from coincall_fast import (
    Ack,
    AuthError,
    BookStore,
    DecodeError,
    Heartbeat,
    TransportError,
    VenueError,
)
from coincall_fast.backoff import Backoff
from coincall_fast.coincall import Dialect
from coincall_fast.streams.session import Session

S = 1_000_000_000
WALL_MS = 1_700_000_000_000
SUBSCRIBED = b'{"action":"SUBSCRIBE","result":"success"}'


def frame(symbol="BTCUSD", bid="1", ts_ms=WALL_MS):
    levels = f'"asks":[{{"pr":"2","sz":"1"}}],"bids":[{{"pr":"{bid}","sz":"1"}}]'
    return f'{{"dt":32,"c":20,"d":{{"s":"{symbol}",{levels},"ts":{ts_ms}}}}}'.encode()


def opened(*symbols, now_ns=0, **options):
    session = Session(Dialect(), "futures", BookStore(), **options)
    session.subscribe("orderBook", symbols or ("BTCUSD",), {}, 0)
    session.opened(now_ns)
    list(session.to_send(now_ns))
    return session


def sent(session, now_ns=0):
    return [json.loads(text) for text in session.to_send(now_ns)]


def events(session):
    return [(event.name, *event.arguments) for event in session.take_events()]


class TestRequests:
    def test_nothing_is_sent_before_the_connection_stands(self):
        session = Session(Dialect(), "futures", BookStore())
        session.subscribe("orderBook", ("BTCUSD",), {}, 0)
        assert sent(session) == []
        session.opened(0)
        assert sent(session) == [
            {"action": "subscribe", "dataType": "orderBook", "payload": {"symbol": "BTCUSD"}}
        ]
        assert sent(session) == []

    def test_lists_of_at_most_100_symbols(self):
        session = Session(Dialect(), "options", BookStore())
        symbols = [f"BTCUSD-27DEC24-{strike}-C" for strike in range(250)]
        session.subscribe("orderBook", tuple(symbols), {}, 0)
        session.opened(0)
        lists = [request["payload"]["symbol"] for request in sent(session)]
        assert [len(part) for part in lists] == [100, 100, 50]
        assert [symbol for part in lists for symbol in part] == symbols

    def test_a_channel_that_takes_no_list_gets_one_symbol_at_a_time(self):
        session = Session(Dialect(), "futures", BookStore())
        session.subscribe("kline", ("BTCUSD", "ETHUSD"), {"period": "h1"}, 0)
        session.opened(0)
        assert [request["payload"] for request in sent(session)] == [
            {"period": "h1", "symbol": "BTCUSD"},
            {"period": "h1", "symbol": "ETHUSD"},
        ]

    def test_a_private_channel_has_no_payload(self):
        session = Session(Dialect(), "futures", BookStore())
        session.subscribe("order", (), {}, 0)
        session.opened(0)
        assert sent(session) == [{"action": "subscribe", "dataType": "order"}]

    def test_what_is_held_is_not_asked_for_again(self):
        session = opened("BTCUSD")
        session.subscribe("orderBook", ("BTCUSD", "ETHUSD", "ETHUSD"), {}, 0)
        assert [request["payload"] for request in sent(session)] == [{"symbol": "ETHUSD"}]

    def test_everything_is_asked_for_again_after_a_reconnect(self):
        session = opened("BTCUSD", "ETHUSD")
        session.subscribe("order", (), {}, 0)
        session.unsubscribe("orderBook", ("ETHUSD",), {}, 0)
        session.closed(1)
        assert sent(session, 1) == []
        session.opened(2)
        assert sent(session, 2) == [
            {"action": "subscribe", "dataType": "orderBook", "payload": {"symbol": "BTCUSD"}},
            {"action": "subscribe", "dataType": "order"},
        ]

    def test_unsubscribe_is_spelt_as_the_venue_wants_it(self):
        session = opened("BTCUSD", "ETHUSD")
        session.unsubscribe("orderBook", (), {}, 0)
        session.unsubscribe("orderBook", ("BTCUSD",), {}, 0)
        assert sent(session) == [
            {
                "action": "unSubscribe",
                "dataType": "orderBook",
                "payload": {"symbol": ["BTCUSD", "ETHUSD"]},
            }
        ]

    def test_no_more_than_100_requests_in_any_second(self):
        session = Session(Dialect(), "futures", BookStore())
        for i in range(250):
            session.subscribe("kline", (f"S{i}",), {"period": "h1"}, 0)
        session.opened(0)
        times = []
        now_ns = 0
        while session.next_send_ns() is not None:
            times += [now_ns for _ in session.to_send(now_ns)]
            now_ns += S // 20
        assert len(times) == 250
        assert all(b - a >= S for a, b in zip(times, times[100:], strict=False))


class TestHeartbeat:
    def test_silence_brings_a_heartbeat_and_then_the_end(self):
        session = opened(quiet_ns=5 * S)
        session.tick(5 * S - 1)
        assert sent(session, 5 * S) == []
        session.tick(5 * S)
        assert sent(session, 5 * S) == [{"action": "heartbeat"}]
        session.tick(10 * S - 1)
        with pytest.raises(TransportError, match=r"10\.0 s"):
            session.tick(10 * S)

    @pytest.mark.parametrize("answer", [b'{"c":11,"rc":1}', SUBSCRIBED, frame()])
    def test_whatever_comes_is_a_sign_of_life(self, answer):
        session = opened(quiet_ns=5 * S)
        session.tick(5 * S)
        assert sent(session, 5 * S) == [{"action": "heartbeat"}]
        session.receive(answer, 9 * S, WALL_MS)
        session.tick(10 * S)
        session.tick(14 * S)
        assert sent(session, 14 * S) == [{"action": "heartbeat"}]
        session.tick(14 * S)
        assert sent(session, 14 * S) == []

    def test_no_heartbeat_while_frames_come(self):
        session = opened(quiet_ns=5 * S)
        for second in range(60):
            session.receive(frame(ts_ms=WALL_MS + second), second * S, WALL_MS)
            session.tick(second * S + S // 2)
        assert sent(session, 60 * S) == []


class TestFreshness:
    def test_a_book_is_invalid_from_the_loss_until_a_fresh_frame(self):
        session = opened()
        book = session.receive(frame(), 1, WALL_MS)
        assert book.best_bid == 1.0
        session.closed(2 * S)
        assert not book.is_valid
        assert math.isnan(book.best_bid)
        session.opened(3 * S)
        session.receive(SUBSCRIBED, 3 * S, WALL_MS)
        assert not book.is_valid
        assert events(session) == [("cleared", book)]
        session.receive(frame(bid="1.5", ts_ms=WALL_MS - 9), 4 * S, WALL_MS)
        assert book.best_bid == 1.5
        assert events(session) == [("gap", 1, 4 * S)]

    def test_a_book_under_another_name_than_was_asked_for_is_lost_with_its_connection_too(self):
        session = opened("BTC-USD")
        book = session.receive(frame("BTCUSD"), 1, WALL_MS)
        session.closed(2)
        assert not book.is_valid

    def test_a_refused_frame_of_a_known_symbol_clears_its_book_and_no_other(self):
        session = opened("BTCUSD", "ETHUSD")
        btc = session.receive(frame(), 1, WALL_MS)
        eth = session.receive(frame("ETHUSD"), 1, WALL_MS)
        assert session.receive(frame(bid="-1"), 2, WALL_MS) is None
        assert math.isnan(btc.best_bid)
        assert eth.best_bid == 1.0
        [cleared, (name, error)] = events(session)
        assert cleared == ("cleared", btc)
        assert name == "error"
        assert isinstance(error, DecodeError)
        assert error.symbol == "BTCUSD"

    @pytest.mark.parametrize("garbage", [b"{", b"too many request", b"\xff", b""])
    def test_garbage_is_reported_and_clears_nothing(self, garbage):
        session = opened()
        book = session.receive(frame(), 1, WALL_MS)
        assert session.receive(garbage, 2, WALL_MS) is None
        assert book.is_valid
        assert [name for name, _ in events(session)] == ["error"]

    def test_a_broken_book_that_does_not_say_whose_it_is_clears_all(self):
        session = opened("BTCUSD", "ETHUSD")
        books = [session.receive(frame(name), 1, WALL_MS) for name in ("BTCUSD", "ETHUSD")]
        session.receive(b'{"dt":32,"c":20,"d":{"asks":[{"pr":"-1","sz":"1"}],"s":"BTC', 2, WALL_MS)
        assert not any(book.is_valid for book in books)
        assert [name for name, _ in events(session)] == ["cleared", "cleared", "error"]

    def test_frames_older_than_the_book_are_no_updates(self):
        session = opened()
        book = session.receive(frame(bid="1.5", ts_ms=WALL_MS + 59_000), 1, WALL_MS)
        assert session.receive(frame(), 1 + S, WALL_MS) is None
        assert book.best_bid == 1.5
        assert session.receive(frame(ts_ms=WALL_MS + 1), 2 + 2 * S, WALL_MS) is None
        assert not book.is_valid
        assert [name for name, _ in events(session)] == ["cleared", "error"]
        assert session.receive(frame(ts_ms=WALL_MS + 2), 3 * S, WALL_MS) is book
        assert book.best_bid == 1.0

    def test_a_frame_more_than_a_minute_ahead_clears_the_book(self):
        session = opened()
        book = session.receive(frame(ts_ms=WALL_MS + 60_000), 1, WALL_MS)
        assert book.is_valid
        assert session.receive(frame(ts_ms=WALL_MS + 60_001), 2, WALL_MS) is None
        assert not book.is_valid
        assert [name for name, _ in events(session)] == ["cleared", "error"]
        assert session.receive(frame(), 3, WALL_MS) is book

    def test_a_book_that_is_wanted_in_two_ways_is_given_up_in_one(self):
        session = opened("X")
        session.subscribe("orderBook", ("X",), {"depth": 5}, 0)
        session.receive(frame("X"), 1, WALL_MS)
        session.unsubscribe("orderBook", ("X",), {}, 2)
        assert session.receive(frame("X"), 3, WALL_MS).is_valid
        session.unsubscribe("orderBook", ("X",), {"depth": 5}, 4)
        assert not session.store["X"].is_valid

    def test_an_unsubscribed_book_is_cleared_and_late_frames_do_not_revive_it(self):
        session = opened()
        book = session.receive(frame(), 1, WALL_MS)
        session.unsubscribe("orderBook", ("BTCUSD",), {}, 0)
        assert not book.is_valid
        assert session.receive(frame(ts_ms=WALL_MS + 1), 2, WALL_MS) is None
        assert not book.is_valid
        session.subscribe("orderBook", ("BTCUSD",), {}, 0)
        assert session.receive(frame(ts_ms=WALL_MS + 2), 3, WALL_MS) is book
        assert book.is_valid

    def test_a_symbol_that_stops_while_others_go_on_is_told_once(self):
        session = opened("BTCUSD", "ETHUSD", stale_after_ns=2 * S)
        for second in range(5):
            session.receive(frame("ETHUSD", ts_ms=WALL_MS + second), second * S + 1, WALL_MS)
            if second == 0:
                session.receive(frame(), 1, WALL_MS)
            session.tick(second * S + 2)
        assert events(session) == [("stale", "BTCUSD")]
        session.receive(frame(ts_ms=WALL_MS + 9), 6 * S, WALL_MS)
        session.receive(frame("ETHUSD", ts_ms=WALL_MS + 9), 6 * S, WALL_MS)
        session.tick(7 * S)
        assert events(session) == []
        session.tick(9 * S)
        assert sorted(events(session)) == [("stale", "BTCUSD"), ("stale", "ETHUSD")]

    def test_a_symbol_that_never_starts_is_told_too(self):
        session = opened("BTCUSD", stale_after_ns=2 * S)
        session.subscribe("orderBook", ("ETHUSD",), {}, 5 * S)
        session.tick(5 * S)
        session.tick(6 * S)
        session.tick(8 * S)
        assert events(session) == [("stale", "BTCUSD"), ("stale", "ETHUSD")]

    def test_another_channel_of_the_symbol_has_no_say_over_its_book(self):
        session = opened()
        session.subscribe("lastTrade", ("BTCUSD",), {}, 0)
        book = session.receive(frame(), 1, WALL_MS)
        session.unsubscribe("lastTrade", ("BTCUSD",), {}, 0)
        assert book.is_valid
        assert session.receive(frame(ts_ms=WALL_MS + 1), 2, WALL_MS) is book

    def test_a_ping_is_a_sign_of_life(self):
        session = opened(quiet_ns=5 * S)
        session.heard(4 * S)
        session.tick(5 * S)
        assert sent(session, 5 * S) == []


class TestAnswers:
    def test_one_wrong_symbol_does_not_cost_the_others_their_books(self):
        session = Session(Dialect(), "futures", BookStore())
        session.subscribe("orderBook", ("BTCUSD", "NOPEUSD"), {}, 0)
        session.subscribe("order", (), {}, 0)
        session.opened(0)
        assert len(sent(session)) == 2
        session.receive(b'{"action":"SUBSCRIBE","result":"failed"}', 1, WALL_MS)
        session.receive(SUBSCRIBED, 1, WALL_MS)
        [(_, error)] = events(session)
        assert "BTCUSD, NOPEUSD" in str(error)
        assert [request["payload"]["symbol"] for request in sent(session, 1)] == [
            "BTCUSD",
            "NOPEUSD",
        ]
        session.receive(SUBSCRIBED, 2, WALL_MS)
        session.receive(b'{"action":"SUBSCRIBE","result":"failed"}', 2, WALL_MS)
        [(_, error)] = events(session)
        assert "NOPEUSD" in str(error)
        assert "BTCUSD" not in str(error)
        assert sent(session, 2) == []

    def test_acks_and_heartbeats_are_items(self):
        session = opened()
        assert session.receive(SUBSCRIBED, 1, WALL_MS) == Ack(
            "subscribe", True, {"action": "SUBSCRIBE", "result": "success"}
        )
        assert session.receive(b'{"c":11,"rc":1}', 1, WALL_MS) == Heartbeat(1)
        assert events(session) == []
        assert session.is_accepted

    def test_a_failed_request_is_an_error(self):
        session = opened()
        session.receive(b'{"action":"SUBSCRIBE","result":"failed"}', 1, WALL_MS)
        [(name, error)] = events(session)
        assert name == "error"
        assert isinstance(error, VenueError)
        assert session.refusal is None

    @pytest.mark.parametrize(
        "refusal", [b'{"c":10562,"msg":"Invalid signature"}', b'{"code":"10557","msg":"expired"}']
    )
    def test_a_refused_address_is_no_answer_to_a_request(self, refusal):
        """Some venues upgrade first and refuse afterwards."""
        session = opened()
        with pytest.raises(AuthError, match=r"105\d\d") as caught:
            session.receive(refusal, 1, WALL_MS)
        assert caught.value.code in (10557, 10562)
        assert not session.is_accepted
        session.closed(2)
        session.opened(3)
        session.receive(frame(), 4, WALL_MS)
        assert events(session) == []  # no gap, since nothing was open before

    def test_once_accepted_it_is(self):
        session = opened()
        session.receive(SUBSCRIBED, 1, WALL_MS)
        session.receive(b'{"c":10557,"msg":"expired"}', 2, WALL_MS)
        assert [name for name, _ in events(session)] == ["error"]

    def test_a_book_before_its_own_answer_shifts_no_other(self):
        names = [f"S{i}" for i in range(250)]
        session = opened(*names)  # three lists
        session.receive(frame("S0"), 1, WALL_MS)
        session.receive(SUBSCRIBED, 2, WALL_MS)
        session.receive(b'{"action":"SUBSCRIBE","result":"failed"}', 3, WALL_MS)
        again = [one["payload"]["symbol"] for one in sent(session, S)]
        assert again == names[100:200]

    def test_a_venue_that_says_only_no(self):
        """Lists that have brought books have been taken, and what fails comes behind them."""
        names = [f"S{i}" for i in range(250)]
        session = opened(*names)
        session.receive(frame("S0"), 1, WALL_MS)
        session.receive(frame("S100"), 2, WALL_MS)
        session.receive(b'{"action":"SUBSCRIBE","result":"failed"}', 3, WALL_MS)
        assert [one["payload"]["symbol"] for one in sent(session, S)] == names[200:]

    def test_a_failed_list_is_asked_again_for_what_is_still_wanted(self):
        session = opened("A", "B", "C")
        session.unsubscribe("orderBook", ("B",), {}, 1)
        list(session.to_send(1))
        session.receive(b'{"action":"SUBSCRIBE","result":"failed"}', 2, WALL_MS)
        assert [one["payload"]["symbol"] for one in sent(session, S)] == ["A", "C"]

    def test_any_other_refusal_before_anything_else_is_remembered(self):
        """The link makes an AuthError of it, should the venue close."""
        session = opened()
        session.receive(b'{"c":[10999],"msg":"Who are you?"}', 1, WALL_MS)
        assert "Who are you?" in session.refusal
        assert not session.is_accepted
        session.receive(frame(), 2, WALL_MS)
        assert session.refusal is None


class TestBackoff:
    def test_it_doubles_up_to_its_longest(self):
        backoff = Backoff()
        ceilings = [backoff.next_s(1.0) for _ in range(10)]
        assert ceilings[:4] == [0.25, 0.5, 1.0, 2.0]
        assert ceilings[-1] == 30.0

    def test_the_jitter_is_full(self):
        backoff = Backoff()
        assert backoff.next_s(0.0) == 0.0
        assert backoff.next_s(0.5) == 0.25

    def test_a_healthy_minute_is_forgiven_and_less_is_not(self):
        backoff = Backoff()
        for _ in range(5):
            backoff.next_s(1.0)
        backoff.lasted(59.9)
        assert backoff.next_s(1.0) == 8.0
        backoff.lasted(60.0)
        assert backoff.next_s(1.0) == 0.25

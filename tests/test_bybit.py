"""Bybit's streams: what is said, what is answered, and what numbered frames that are missing do.

The session by passing times, the stream against a server on loopback (bybit_server.py). Outcomes
are those of the protocol page, section 5.
"""

import json
import math
import re
import time

import pytest

from bybit_frames import DELTA, OPTION, change, new
from bybit_server import KEY, SECRET, BybitServer
from coincall_fast import (
    AuthError,
    Channel,
    GapError,
    OrderBook,
    RecordingError,
    TransportError,
    UsageError,
    VenueError,
    bybit,
    coincall,
)
from coincall_fast._book import BookStore
from coincall_fast.backoff import Backoff
from coincall_fast.bybit import Dialect, Stream
from coincall_fast.signing import Credentials, bybit_signature
from coincall_fast.streams.recording import Kind
from coincall_fast.streams.session import LOGIN_NS, Session
from coincall_fast.wire import BYBIT, BYBIT_V5
from streams import listen, until, valid

S = 1_000_000_000
MS = 1_000_000
WALL_MS = 1_646_214_405_074
SEED_NEW = new(55, ("Buy", "10", "1.67"), ("Buy", "5", "0.01"), ts=WALL_MS)
SEED_CHANGE = change(56, insert=[("Buy", "15", "1")], ts=WALL_MS)
DELETION = change(57, delete=[("Buy", "10")], ts=WALL_MS)
V5_BOOK = f"orderbook.100.{OPTION}"


def v5(kind, update, bids=(), asks=(), ts=WALL_MS):
    data = {"s": OPTION, "b": bids, "a": asks, "u": update, "seq": 7 * update}
    return json.dumps({"topic": V5_BOOK, "type": kind, "ts": ts, "data": data}).encode()


def session_of(line="public", edition="v1", keys=None, **options):
    dialect = Dialect(edition)
    return Session(dialect, line, BookStore(wire=dialect.wire), keys=keys, **options)


def opened(*symbols, edition="v1"):
    """With its first ping and its subscription sent."""
    session = session_of(edition=edition)
    book_type = "delta.orderbook100" if edition == "v1" else "orderbook.100"
    session.subscribe(book_type, symbols or (OPTION,), {}, 0)
    session.opened(0)
    sent(session)
    return session


def sent(session, now_ns=0):
    return [json.loads(text) for text in session.to_send(now_ns, WALL_MS)]


def events(session):
    return [(event.name, *event.arguments) for event in session.take_events()]


def bids(book):
    return [price for price, _ in book.depth().bids.tolist()]


class TestSignature:
    @pytest.mark.parametrize(
        ("secret", "expires_ms", "signature"),
        [
            (
                "bybit-secret-1",
                1646214405074,
                "1964595149c9ac75cd34ddcf25ddd099369471d5ee27392cc6ce8793065394ec",
            ),
            (
                "X" * 20,
                1662350400000,
                "bce03073b559f3d46d5ecafcdba7b4d19c27ce59e83dbb21095af065fc036645",
            ),
        ],
    )
    def test_the_vectors_of_the_protocol_page(self, secret, expires_ms, signature):
        assert bybit_signature(secret, expires_ms) == signature
        assert Credentials("key", secret).bybit_signature(expires_ms) == signature


class TestWhatIsSaid:
    def test_the_seeds_requests(self):
        session = session_of()
        session.subscribe("orderbook25", ("BTC-12NOV21-40000-P",), {}, 0)
        session.subscribe("platform.insurance.USDC", (), {}, 0)
        session.opened(0)
        ping, book, insurance = sent(session)
        assert ping == {"op": "ping", "args": [str(WALL_MS)]}
        assert (book["op"], book["args"]) == ("subscribe", ["orderbook25.BTC-12NOV21-40000-P"])
        assert insurance["args"] == ["platform.insurance.USDC"]
        assert book["id"] != insurance["id"]

    def test_trades_are_asked_for_by_coin_once(self):
        session = session_of()
        session.opened(0)
        session.subscribe("recenttrades", ("BTC-4MAR22-42000-P", "BTC-4MAR22-9-C", "ETH"), {}, 0)
        assert [body.get("args") for body in sent(session)[1:]] == [
            ["recenttrades.BTC", "recenttrades.ETH"]
        ]
        session.subscribe("recenttrades", ("BTC-4MAR22-1-C",), {}, 0)
        session.unsubscribe("recenttrades", ("BTC-4MAR22-9-C",), {}, 0)
        assert sent(session) == []  # others want the coin
        session.unsubscribe("recenttrades", ("BTC-4MAR22-42000-P", "BTC-4MAR22-1-C"), {}, 0)
        assert [body["args"] for body in sent(session)] == [["recenttrades.BTC"]]

    def test_a_ping_every_20_s_however_much_comes(self):
        """The venue drops who does not ping for 30 s: section 1.3."""
        session = opened()
        session.receive(SEED_NEW, 1, WALL_MS)
        pinged = []
        for step in range(1, 240):
            now_ns = step * S // 4
            session.receive(SEED_NEW, now_ns, WALL_MS)
            session.tick(now_ns)
            pinged += [now_ns / S for body in sent(session, now_ns) if body["op"] == "ping"]
        assert pinged == [20.0, 40.0]

    def test_silence_after_a_ping_is_the_end(self):
        session = opened()
        session.tick(20 * S)
        assert [body["op"] for body in sent(session, 20 * S)] == ["ping"]
        session.tick(30 * S - 1)
        with pytest.raises(TransportError, match="nothing heard for 30"):
            session.tick(30 * S)

    def test_a_pong_is_a_sign_of_life_and_no_data(self):
        session = opened()
        session.tick(20 * S)
        session.receive(b'{"op":"pong","args":["1535975085152"]}', 21 * S, WALL_MS)
        session.tick(31 * S)
        assert events(session) == []


class TestLogin:
    KEYS = Credentials(KEY, SECRET)
    OK = b'{"success":true,"conn_id":"c","ret_msg":"0","type":"AUTH_RESP"}'
    REFUSED = b'{"success":false,"ret_msg":"3303006","conn_id":"c","type":"AUTH_RESP"}'

    def opened(self, edition="v1"):
        session = session_of("private", edition, keys=self.KEYS)
        session.subscribe("user.openapi.option.order", (), {}, 0)
        session.opened(0)
        return session

    def test_nothing_is_asked_for_before_we_are_let_in(self):
        session = self.opened()
        ping, login = sent(session)
        assert (ping["op"], login["op"]) == ("ping", "auth")
        key, expires, signature = login["args"]
        assert key == KEY
        assert expires == WALL_MS + 10_000
        assert signature == bybit_signature(SECRET, expires)
        session.receive(b'{"op":"pong","args":[]}', S, WALL_MS)
        assert sent(session, S) == []
        assert session.next_send_ns() is None
        session.receive(self.OK, 2 * S, WALL_MS)
        assert [body["args"] for body in sent(session, 2 * S)] == [["user.openapi.option.order"]]

    @pytest.mark.parametrize("edition", ["v1", "v5"])
    @pytest.mark.parametrize(
        "refusal", [REFUSED, b'{"success":false,"ret_msg":"Sign error","op":"auth","conn_id":"c"}']
    )
    def test_a_refusal_is_of_us(self, edition, refusal):
        session = self.opened(edition)
        sent(session)
        with pytest.raises(AuthError) as caught:
            session.receive(refusal, 1, WALL_MS)
        assert caught.value.venue == "bybit"
        assert caught.value.code in (3303006, None)

    def test_no_answer_is_the_end(self):
        session = self.opened()
        sent(session)
        session.receive(b'{"op":"pong","args":[]}', 9 * S, WALL_MS)
        session.tick(LOGIN_NS - 1)
        with pytest.raises(TransportError, match="who we are"):
            session.tick(LOGIN_NS)

    def test_a_public_line_says_nothing_of_keys(self):
        session = session_of("public", keys=self.KEYS)
        session.opened(0)
        assert [body["op"] for body in sent(session)] == ["ping"]


class TestAnswers:
    def test_a_success_that_names_what_failed(self):
        """Section 1.4: each failed topic is told, and the others stand."""
        session = opened("A-1-C", "B-1-C", "C-1-C")
        ack = {
            "id": "1",
            "success": True,
            "conn_id": "c",
            "data": {
                "successTopics": ["delta.orderbook100.A-1-C"],
                "failTopics": ["delta.orderbook100.B-1-C", "delta.orderbook100.C-1-C"],
            },
            "type": "COMMAND_RESP",
        }
        session.receive(json.dumps(ack).encode(), 1, WALL_MS)
        told = events(session)
        assert [name for name, _ in told] == ["error", "error"]
        assert [re.findall(r"delta\.\S+", str(error))[0] for _, error in told] == [
            "delta.orderbook100.B-1-C",
            "delta.orderbook100.C-1-C",
        ]
        assert sent(session, 1) == []

    @pytest.mark.parametrize(
        "ack",
        [
            b'{"conn_id":"c","ret_msg":"3303001","success":false,"type":"COMMAND_RESP"}',
            b'{"id":"1","conn_id":"c","ret_msg":"3303001","success":false,"type":"COMMAND_RESP"}',
        ],
    )
    def test_a_refusal_without_lists(self, ack):
        session = opened("A-1-C", "B-1-C")
        session.receive(ack, 1, WALL_MS)
        [(_, error)] = events(session)
        assert isinstance(error, VenueError)
        assert error.code == 3303001
        assert [body["args"] for body in sent(session, 1)] == [
            ["delta.orderbook100.A-1-C"],
            ["delta.orderbook100.B-1-C"],
        ]

    def test_answers_without_a_number_are_told_by_their_topics(self):
        """As on V5's option connection, in any order."""
        session = session_of(edition="v5")
        for symbol in ("A-1-C", "B-1-C"):
            session.subscribe("tickers", (symbol,), {}, 0)
        session.opened(0)
        session.subscribe("tickers", ("C-1-C",), {}, 0)
        sent(session)
        refusal = {"success": False, "ret_msg": "no", "type": "COMMAND_RESP"}
        topics = {"successTopics": [], "failTopics": ["tickers.C-1-C"]}
        session.receive(json.dumps(refusal | {"data": topics}).encode(), 1, WALL_MS)
        assert "tickers.C-1-C" in str(events(session)[0][1])


class TestBooks:
    def test_the_sequence_of_the_protocol_page(self):
        """Section 5: 55, 56, a deletion, the same again, and a gap."""
        session = opened()
        book = session.receive(SEED_NEW, 1 * S, WALL_MS)
        assert session.receive(SEED_CHANGE, 2 * S, WALL_MS) is book
        assert (bids(book), book.ask_count, book.version) == ([15.0, 10.0, 5.0], 0, 56)
        session.receive(DELETION, 3 * S, WALL_MS)
        assert bids(book) == [15.0, 5.0]
        assert session.receive(DELETION, 3 * S + 1, WALL_MS) is None
        assert bids(book) == [15.0, 5.0]
        assert events(session) == []

        assert session.receive(change(59, ts=WALL_MS), 4 * S, WALL_MS) is None
        assert not book.is_valid
        assert math.isnan(book.best_bid)
        cleared, (name, error) = events(session)
        assert cleared == ("cleared", book)
        assert name == "error"
        assert isinstance(error, GapError)
        assert (error.symbol, error.expected, error.first) == (OPTION, 58, 59)
        assert [(body["op"], body["args"]) for body in sent(session, 4 * S)] == [
            ("unsubscribe", [DELTA]),
            ("subscribe", [DELTA]),
        ]
        # Changes that there is nothing to apply to are dropped without another word.
        assert session.receive(change(60, ts=WALL_MS), 4 * S + 1, WALL_MS) is None
        assert (events(session), sent(session, 4 * S + 1)) == ([], [])
        fresh = new(70, ("Buy", "11", "1"), ts=WALL_MS)
        assert session.receive(fresh, 5 * S, WALL_MS) is book
        assert bids(book) == [11.0]
        [(name, start_ns, end_ns)] = events(session)
        assert (name, end_ns) == ("gap", 5 * S)
        assert 0 < start_ns <= 4 * S

    def test_v5(self):
        """A snapshot with u=1 begins anew; a delta that is not u+1 is a gap."""
        session = opened(edition="v5")
        book = session.receive(v5("snapshot", 100, [["10", "1"]], [["12", "1"]]), 1, WALL_MS)
        session.receive(v5("delta", 101, [["10", "0"], ["9", "2"]]), 2, WALL_MS)
        assert (book.best_bid, book.best_bid_size, book.version) == (9.0, 2.0, 101)
        session.receive(v5("snapshot", 1, [["8", "1"]]), 3, WALL_MS)
        assert (book.best_bid, book.version, events(session)) == (8.0, 1, [])
        session.receive(v5("delta", 3), 4, WALL_MS)
        assert not book.is_valid
        assert [body["op"] for body in sent(session, 4)] == ["unsubscribe", "subscribe"]

    def test_a_fresh_book_that_does_not_come_costs_the_connection(self):
        session = opened()
        session.receive(SEED_NEW, 1 * S, WALL_MS)
        session.receive(change(59, ts=WALL_MS), 2 * S, WALL_MS)
        sent(session, 2 * S)
        session.tick(7 * S - 1)
        with pytest.raises(TransportError, match=OPTION):
            session.tick(7 * S)

    def test_changes_before_the_first_book_are_no_gap(self):
        session = opened()
        assert session.receive(SEED_CHANGE, 1 * S, WALL_MS) is None
        assert (events(session), sent(session, 1 * S)) == ([], [])
        assert session.receive(SEED_NEW, 2 * S, WALL_MS).is_valid
        session.tick(9 * S)
        assert events(session) == []

    def test_the_same_number_three_times_in_a_row_is_another_count(self):
        session = opened()
        book = session.receive(SEED_NEW, 1, WALL_MS)
        for number in 54, 55:
            session.receive(change(number, ts=WALL_MS), 2, WALL_MS)
        assert book.is_valid
        session.receive(change(53, ts=WALL_MS), 3, WALL_MS)
        assert not book.is_valid
        assert [body["op"] for body in sent(session, 3)] == ["unsubscribe", "subscribe"]

    def test_a_refused_frame_brings_a_fresh_book(self):
        session = opened()
        book = session.receive(SEED_NEW, 1 * S, WALL_MS)
        broken = change(56, insert=[("Buy", "-1", "1")], ts=WALL_MS)
        assert session.receive(broken, 2 * S, WALL_MS) is None
        assert not book.is_valid
        session.receive(change(57, ts=WALL_MS), 2 * S, WALL_MS)
        assert [body["op"] for body in sent(session, 2 * S)] == ["unsubscribe", "subscribe"]

    def test_no_book_is_asked_for_anew_twice_in_a_second(self):
        """A venue whose every second frame is wrong is not flooded."""
        session = opened()
        asked = 0
        for step in range(100):
            now_ns = S + step * S // 20
            session.receive(new(1, ts=WALL_MS), now_ns, WALL_MS)
            session.receive(change(9, ts=WALL_MS), now_ns, WALL_MS)
            session.tick(now_ns)
            asked += sum(body["op"] == "subscribe" for body in sent(session, now_ns))
        assert 4 <= asked <= 6

    def test_late_frames_of_a_book_that_is_given_up(self):
        session = opened()
        session.receive(SEED_NEW, 1, WALL_MS)
        session.unsubscribe("delta.orderbook100", (OPTION,), {}, 2)
        sent(session, 2)
        events(session)
        assert session.receive(SEED_CHANGE, 3, WALL_MS) is None
        assert (events(session), sent(session, 3)) == ([], [])


def position(version, epoch, kind, *symbols):
    rows = [{"symbol": s, "side": "Buy", "size": "1", "entryPrice": "5"} for s in symbols]
    data = {"result": rows, "version": version, "baseLine": epoch, "dataType": kind}
    topic = "user.openapi.option.position"
    body = {"id": "x", "topic": topic, "creationTime": WALL_MS, "data": data}
    return json.dumps(body).encode()


class TestNumberedMessages:
    """Sections 1.8 and 5."""

    TOPIC = "user.openapi.option.position"

    @pytest.fixture
    def session(self):
        session = session_of("private", keys=TestLogin.KEYS)
        session.subscribe(self.TOPIC, (), {}, 0)
        session.opened(0)
        sent(session)
        session.receive(TestLogin.OK, 1, WALL_MS)
        sent(session, 1)
        return session

    def test_a_whole_one_repeats_its_number(self, session):
        frames = [position(1, 3, "NEW", "A-1-C")]
        frames += [position(v, 3, "CHANGE", "A-1-C") for v in (2, 3, 4)]
        frames += [position(4, 3, "NEW", "A-1-C", "B-1-C")]
        items = [session.receive(frame, 2, WALL_MS) for frame in frames]
        assert all(item is not None for item in items)
        assert (events(session), sent(session, 2)) == ([], [])

    @pytest.mark.parametrize("late", [position(6, 3, "CHANGE", "A-1-C"), position(5, 4, "CHANGE")])
    def test_a_gap_and_another_epoch_are_told_and_asked_for_again(self, session, late):
        session.receive(position(4, 3, "NEW", "A-1-C"), 2, WALL_MS)
        assert session.receive(late, 3, WALL_MS) is not None  # what it says is true
        [(name, error)] = events(session)
        assert name == "error"
        assert isinstance(error, GapError)
        assert error.symbol == self.TOPIC
        assert [(body["op"], body["args"]) for body in sent(session, 3)] == [
            ("unsubscribe", [self.TOPIC]),
            ("subscribe", [self.TOPIC]),
        ]
        session.receive(position(9, 4, "NEW", "A-1-C"), 4, WALL_MS)
        session.receive(position(10, 4, "CHANGE", "A-1-C"), 4, WALL_MS)
        assert events(session) == []

    def test_what_comes_twice_is_given_once(self, session):
        session.receive(position(1, 3, "NEW", "A-1-C"), 2, WALL_MS)
        session.receive(position(2, 3, "CHANGE", "A-1-C"), 2, WALL_MS)
        assert session.receive(position(2, 3, "CHANGE", "A-1-C"), 3, WALL_MS) is None
        assert events(session) == []

    def test_greeks_replace_each_other_whatever_their_numbers(self, session):
        for version in (51, 53, 55):
            data: dict[str, object] = {"result": [], "version": version, "baseLine": 1}
            body = {"topic": "user.openapi.greeks", "creationTime": 1, "data": data}
            assert session.receive(json.dumps(body).encode(), 2, WALL_MS) is not None
        assert events(session) == []

    def test_missed_fills_are_told_and_not_asked_for(self, session):
        """They are not sent again, whatever is subscribed to."""
        for version in (4, 6):
            data: dict[str, object] = {"result": [], "version": version, "baseLine": 1}
            body = {"topic": "user.openapi.option.trade", "creationTime": 1, "data": data}
            session.receive(json.dumps(body).encode(), 2, WALL_MS)
        assert [type(error) for _, error in events(session)] == [GapError]
        assert sent(session, 2) == []


# Streams -------------------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr(Backoff, "FIRST_S", 0.01)
    monkeypatch.setattr(Backoff, "LONGEST_S", 0.05)


def stream_to(server, edition="v1", **options):
    return Stream("options", ws_url=server.url, edition=edition, **options)


ORDERS = "user.openapi.option.order"


@pytest.fixture
def server():
    with BybitServer("v1", DELTA, ORDERS, "recenttrades.BTC") as running:
        running.books[DELTA] = new(55, ("Buy", "10", "1.67"), ts=now_ms()).decode()
        yield running


def now_ms():
    return time.time_ns() // MS


class TestStream:
    def test_a_book_over_a_gap_and_a_lost_connection(self, server):
        with stream_to(server) as stream:
            told = listen(stream, "error", "gap")
            stream.subscribe(Channel.BOOK, OPTION)
            until(lambda: valid(stream, [OPTION]), "the book")
            book = stream.store[OPTION]
            server.push(DELTA, change(56, insert=[("Buy", "15", "1")], ts=now_ms()).decode())
            until(lambda: book.version == 56, "the change")
            server.push(DELTA, change(58, ts=now_ms()).decode())
            until(lambda: book.version == 55, "the book again")
            assert [type(error) for name, error, *_ in told if name == "error"] == [GapError]
            until(lambda: [name for name, *_ in told].count("gap") == 1, "the gap")
            server.drop()
            until(lambda: len(server.peers) == 2 and valid(stream, [OPTION]), "the next one")
            assert [peer.path for peer in server.peers] == ["/trade/option/usdc/public/v1"] * 2
            assert stream.latency.book_ns(OPTION).frames >= 3

    def test_a_private_channel_over_a_connection_of_its_own(self, server):
        server.is_slow_to_let_in = True
        with stream_to(server, api_key=KEY, api_secret=SECRET) as stream:
            until(lambda: server.peers and stream.state == "open", "the public one")
            assert [peer.path for peer in server.peers] == ["/trade/option/usdc/public/v1"]
            listen(stream, ORDERS)
            stream.subscribe(Channel.ORDERS)
            until(lambda: len(server.peers) == 2 and server.peers[1].said("op", "auth"), "log-in")
            private = server.peers[1]
            assert private.path == "/trade/option/usdc/private/v1"
            time.sleep(0.1)
            assert private.said("op", "subscribe") == []
            server.let_in(private)
            until(lambda: private.topics == [ORDERS], "the subscription")
            assert server.peers[0].said("op", "auth") == []

    def test_wrong_keys_are_final(self, server):
        with stream_to(server, api_key=KEY, api_secret="wrong" * 4) as stream:
            told = listen(stream, "error")
            stream.subscribe(Channel.ORDERS)
            until(lambda: stream.state == "failed", "the end")
            assert {type(error) for _, error in told} == {AuthError}
            assert "wrongwrong" not in repr(told)

    def test_a_private_channel_needs_keys_and_a_public_one_none(self, server, monkeypatch):
        monkeypatch.delenv("BYBIT_API_KEY", raising=False)
        with stream_to(server) as stream:
            with pytest.raises(UsageError, match="no keys"):
                stream.subscribe(Channel.ORDERS)
            stream.subscribe(Channel.BOOK, OPTION)
            until(lambda: valid(stream, [OPTION]), "the book")

    def test_what_the_venue_does_not_know(self, server):
        with stream_to(server) as stream:
            told = listen(stream, "error")
            stream.subscribe(Channel.BOOK, [OPTION, "BTC-4MAR22-1-C"])
            until(lambda: told, "the error")
            assert "BTC-4MAR22-1-C" in str(told[0][1])
            until(lambda: valid(stream, [OPTION]), "the other")

    def test_v5(self):
        with BybitServer("v5", V5_BOOK, "order") as server:
            server.books[V5_BOOK] = v5("snapshot", 7, [["10", "1"]], ts=now_ms()).decode()
            with stream_to(server, "v5", api_key=KEY, api_secret=SECRET) as stream:
                stream.subscribe(Channel.BOOK, OPTION)
                stream.subscribe(Channel.ORDERS)
                until(lambda: valid(stream, [OPTION]), "the book")
                until(lambda: len(server.peers) == 2 and server.peers[1].topics, "the orders")
                paths = sorted(peer.path for peer in server.peers)
                assert paths == ["/v5/private", "/v5/public/option"]
                server.push(V5_BOOK, v5("delta", 8, [["11", "1"]], ts=now_ms()).decode())
                until(lambda: stream.store[OPTION].best_bid == 11.0, "the delta")

    def test_a_recording_is_played_to_the_same_books(self, server, tmp_path):
        path = tmp_path / "bybit.rec"
        with stream_to(server) as stream:
            with stream.record(path):
                stream.subscribe(Channel.BOOK, OPTION)
                until(lambda: valid(stream, [OPTION]), "the book")
                book = stream.store[OPTION]
                server.push(DELTA, change(57, ts=now_ms()).decode())
                until(lambda: book.update_count >= 2 and book.version == 55, "the book again")
                server.push(DELTA, change(56, insert=[("Buy", "15", "1")], ts=now_ms()).decode())
                until(lambda: book.version == 56, "the change")
            live = bids(book)
        errors: list[Exception] = []
        played = bybit.replay(path)
        played.on("error", errors.append)
        states = [(b.is_valid, b.version) for b in played if isinstance(b, OrderBook)]
        assert [type(error) for error in errors] == [GapError]
        assert states == [(True, 55), (False, None), (True, 55), (True, 56)]
        assert live == [15.0, 10.0]

    @pytest.mark.parametrize("edition", ["v1", "v5"])
    def test_a_recording_that_begins_half_way_has_the_books_too(self, edition):
        session = opened(edition=edition)
        whole = SEED_NEW if edition == "v1" else v5("snapshot", 55, [["10", "1.67"]])
        book = session.receive(whole, 1, WALL_MS)
        records = []

        class Tape:
            def put(self, kind, recv_ns, payload=b"", wall_ms=None):
                records.append((kind, payload))

        session.record(Tape(), 2)
        states = [payload for kind, payload in records if kind is Kind.BOOK]
        other = session_of(edition=edition)
        other.opened(2)
        for state in states:
            assert other.go_on(state, 2, WALL_MS).snapshot().tolist() == book.snapshot().tolist()
        after = change(56, insert=[("Buy", "15", "1")], ts=WALL_MS)
        if edition == "v5":
            after = v5("delta", 56, [["15", "1"]])
        assert bids(other.receive(after, 3, WALL_MS)) == bids(session.receive(after, 3, WALL_MS))
        assert events(other) == []

    def test_a_book_comes_one_way_at_a_time(self, server):
        """Else two channels, each right by itself, would make one wrong book."""
        with stream_to(server) as stream:
            stream.subscribe(Channel.BOOK, OPTION)
            with pytest.raises(UsageError, match=r"delta\.orderbook100 already"):
                stream.subscribe("orderbook25", ["BTC-4MAR22-1-C", OPTION])
            stream.unsubscribe(Channel.BOOK, OPTION)
            stream.subscribe("orderbook25", OPTION)

    def test_a_recording_is_of_one_venue(self, server, tmp_path):
        path = tmp_path / "bybit.rec"
        with stream_to(server) as stream, stream.record(path):
            stream.wait_open(20)
        with pytest.raises(RecordingError, match="a recording of bybit, and not of coincall"):
            coincall.replay(path).run()
        bybit.replay(path).run()

    def test_an_edition_there_is_not(self):
        with pytest.raises(UsageError, match="v5, v1"):
            Stream(edition="v4")


def test_the_module_has_the_names_of_every_venue():
    assert bybit.decode(SEED_NEW).best_bid == 10.0
    assert bybit.decode(v5("snapshot", 1, [["8", "1"]])).best_bid == 8.0
    assert OPTION in str(bybit.BookStore().feed(v5("snapshot", 1, [["8", "1"]])))
    assert {bybit.WIRE, BYBIT} == {BYBIT_V5, BYBIT}

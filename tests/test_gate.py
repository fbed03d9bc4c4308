"""Gate's streams: what is said and signed, what is answered, and how a book begins from REST.

The session by passing times, the stream against a server on loopback (gate_server.py). Outcomes
are those of the protocol page, section 5.
"""

import itertools
import json
import time

import pytest

from coincall_fast import (
    AuthError,
    BookStore,
    Channel,
    DecodeError,
    GapError,
    OrderBook,
    TransportError,
    UsageError,
    VenueError,
    gate,
)
from coincall_fast.backoff import Backoff
from coincall_fast.errors import Unavailable
from coincall_fast.gate import BOOK, Dialect, Stream
from coincall_fast.signing import Credentials, gate_signature
from coincall_fast.streams.repairs import ATTEMPTS, BASE_NS, KEPT_FRAMES
from coincall_fast.streams.session import Session
from coincall_fast.wire import GATE
from gate_server import KEY, SECRET, GateServer, snapshot, update
from streams import listen, until, valid
from venue_market import CONTRACT

S = 1_000_000_000
WALL_MS = 1_630_654_851_999
KEYS = Credentials(KEY, SECRET)
BASE = f"/options/order_book?contract={CONTRACT}&limit=50&with_id=true"


def session_of(keys=None, **options):
    return Session(Dialect(**options), "options", BookStore(wire=GATE), keys=keys)


def sent(session, now_ns=0):
    return [json.loads(text) for text in session.to_send(now_ns, WALL_MS)]


def events(session):
    return [(event.name, *event.arguments) for event in session.take_events()]


def asked(data_type, symbols=(), keys=None, payload=None, **options):
    """The one request that a subscription makes."""
    session = session_of(keys, **options)
    session.opened(0)
    sent(session)
    session.subscribe(data_type, symbols, payload or {}, 0)
    [body] = sent(session)
    return body


class TestSignature:
    @pytest.mark.parametrize(
        ("secret", "channel", "time_s", "signature"),
        [
            (
                "gate-secret-1",
                "options.orders",
                1630654851,
                "b0cba7892bdeb6f1bf1079610fcc3416a6a95696a51e53851043b1cc35bd2ffe"
                "97a3f4e9134d78f1b186e1fd0ab1471493d96350d4906f49c180ba28fcfe2658",
            ),
            (
                "YOUR_API_SECRET",
                "options.positions",
                1234567890,
                "5b4e7e2d75ce47aa5501c48aa92c593d688185ab653768ed9ff70bac68ea582e"
                "b77c3dee5172f0e63d49ef16681e192a7d735101ebdcdbde8a8ed3fb2d7cccb1",
            ),
        ],
    )
    def test_the_vectors_of_the_protocol_page(self, secret, channel, time_s, signature):
        assert gate_signature(secret, channel, "subscribe", time_s) == signature
        assert Credentials("k", secret).gate_signature(channel, "subscribe", time_s) == signature


class TestWhatIsSaid:
    def test_a_private_request_is_signed_with_its_own_time_in_seconds(self):
        body = asked("options.orders", (CONTRACT,), KEYS)
        assert body.pop("id") < 1 << 31
        assert body == {
            "time": 1_630_654_851,
            "channel": "options.orders",
            "event": "subscribe",
            "payload": [CONTRACT],
            "auth": {
                "method": "api_key",
                "KEY": KEY,
                "SIGN": gate_signature(SECRET, "options.orders", "subscribe", 1_630_654_851),
            },
        }

    def test_every_request_is_signed_anew(self):
        session = session_of(KEYS)
        session.subscribe("options.balances", (), {}, 0)
        signs = []
        for second in (0, 5):
            session.opened(second * S)
            texts = session.to_send(second * S, WALL_MS + 1000 * second)
            signs.append(json.loads(list(texts)[-1])["auth"]["SIGN"])
            session.closed(second * S + 1)
        times = (1_630_654_851, 1_630_654_856)
        assert signs == [gate_signature(SECRET, "options.balances", "subscribe", t) for t in times]

    @pytest.mark.parametrize(
        ("data_type", "symbols", "payload", "given", "expected"),
        [
            ("options.positions", (CONTRACT,), {}, {}, [CONTRACT]),
            ("options.balances", (), {}, {}, []),
            ("options.portfolio", (), {}, {}, []),
            ("options.positions", (CONTRACT,), {}, {"user_id": 9}, ["9", CONTRACT]),
            ("options.orders", (), {}, {"user_id": "9"}, ["9", "!all"]),
            ("options.balances", (), {}, {"user_id": "9"}, ["9"]),
            ("options.orders", (), {"contracts": ["A"]}, {}, {"contracts": ["A"]}),
            (BOOK, (CONTRACT,), {}, {}, [CONTRACT, "100ms", "50"]),
            (
                BOOK,
                (CONTRACT,),
                {"interval": "1000ms", "level": 20},
                {},
                [CONTRACT, "1000ms", "20"],
            ),
            ("options.contract_tickers", ("A", "B"), {}, {}, ["A", "B"]),
            ("options.contract_candlesticks", ("A",), {"interval": "10s"}, {}, ["10s", "A"]),
        ],
    )
    def test_payloads_of_both_forms(self, data_type, symbols, payload, given, expected):
        body = asked(data_type, symbols, KEYS, payload, **given)
        assert body["payload"] == expected
        assert ("auth" in body) == ("contract_" not in data_type and data_type != BOOK)

    @pytest.mark.parametrize(
        ("channel", "payload", "options"),
        [
            (Channel.KLINE, {}, {}),
            (Channel.BOOK, {"depth": 5}, {}),
            (Channel.ORDERS, {}, {"edition": "official"}),
        ],
    )
    def test_what_cannot_be_asked_for(self, channel, payload, options, monkeypatch):
        monkeypatch.delenv("GATE_USER_ID", raising=False)
        stream = Stream(api_key=KEY, api_secret=SECRET, ws_url="ws://127.0.0.1:1", **options)
        with pytest.raises(UsageError):
            stream.subscribe(channel, CONTRACT, **payload)

    def test_a_ping_every_10_s_in_seconds(self):
        session = session_of()
        session.opened(0)
        assert sent(session) == [{"time": 1_630_654_851, "channel": "options.ping"}]
        session.receive(b'{"time":1,"channel":"options.pong","event":"","result":null}', S, WALL_MS)
        session.tick(10 * S - 1)
        assert sent(session, 10 * S - 1) == []
        session.tick(10 * S)
        assert sent(session, 10 * S) == [{"time": 1_630_654_851, "channel": "options.ping"}]
        with pytest.raises(TransportError, match="nothing heard"):
            session.tick(20 * S)


class TestAnswers:
    @pytest.fixture
    def session(self):
        session = session_of(KEYS)
        session.subscribe("options.orders", (), {}, 0)
        session.subscribe(BOOK, ("A", "B"), {}, 0)
        session.opened(0)
        sent(session)
        return session

    @pytest.mark.parametrize(
        ("frame", "kind", "code", "named"),
        [
            (
                b'{"time":1,"id":2,"channel":"options.order_book_update","event":"subscribe",'
                b'"error":{"code":2,"message":"unknown contract A"},"result":null}',
                VenueError,
                2,
                "for A failed: unknown contract A",
            ),
            (
                b'{"time":1,"id":1,"channel":"options.orders","event":"subscribe",'
                b'"error":{"code":4,"message":"bad key"},"result":{"status":"failed"}}',
                AuthError,
                4,
                "options.orders failed: bad key",
            ),
            (
                b'{"time":1,"channel":"options.orders","event":"subscribe",'
                b'"result":{"status":"failed"}}',
                VenueError,
                None,
                "options.orders failed",
            ),
            (
                b'{"time":1234567890,"channel":"options.orders","event":"error",'
                b'"message":"Authentication failed","code":401}',
                AuthError,
                401,
                "options.orders failed: Authentication failed",
            ),
            (
                b'{"time":1,"id":1,"channel":"options.orders","event":"subscribe","error":'
                b'{"code":1,"message":"{\\"label\\":\\"INVALID_KEY\\"}\\n"},"result":null}',
                AuthError,
                1,
                "INVALID_KEY",
            ),
        ],
    )
    def test_both_forms_of_a_refusal(self, session, frame, kind, code, named):
        session.receive(frame, 1, WALL_MS)
        [(name, error)] = events(session)
        assert name == "error"
        assert type(error) is kind
        assert (error.venue, error.code) == ("gate", code)
        assert named in str(error)

    def test_a_server_that_is_about_to_close(self, session):
        with pytest.raises(TransportError, match="about to close"):
            session.receive(b'{"time":1,"channel":"options.system","event":"upgrade"}', 1, WALL_MS)


def ack(number, channel=BOOK):
    body = {"time": 1, "id": number, "channel": channel, "event": "subscribe", "error": None}
    return json.dumps({**body, "result": {"status": "success"}}).encode()


def push(first, last, *bids):
    return update(first, last, *bids, ts_ms=WALL_MS).encode()


def base(number, *bids):
    body = snapshot(number, *bids)
    return json.dumps({**body, "update": WALL_MS / 1000}).encode()


class TestBooks:
    """Section 2.5, and the sequences of section 5."""

    @pytest.fixture
    def session(self):
        session = session_of()
        session.subscribe(BOOK, (CONTRACT,), {}, 0)
        session.opened(0)
        sent(session)
        session.receive(ack(1), 1, WALL_MS)
        return session

    def begin(self, session, body, now_ns=2 * S):
        [want] = session.take_wants()
        assert (want.base.symbol, want.base.target) == (CONTRACT, BASE)
        return session.rebase(want, body, WALL_MS, now_ns)

    def test_the_base_is_wanted_once_updates_are_kept(self):
        session = session_of()
        session.subscribe(BOOK, (CONTRACT,), {}, 0)
        session.opened(0)
        sent(session)
        assert session.take_wants() == []
        session.receive(ack(1), 1, WALL_MS)
        book = self.begin(session, base(100))
        assert (book.version, book.best_bid, book.is_valid) == (100, 10.0, True)
        assert book.ts_ms == WALL_MS  # REST says seconds
        assert events(session) == []

    def test_straddle_stale_and_gap(self, session):
        """baseID=100: (95,100) drop, (98,103) first, (104,104) apply, (106,107) gap."""
        for frame in (push(95, 100, ("10", 77)), push(98, 103, ("10", 5)), push(104, 104)):
            assert session.receive(frame, S, WALL_MS) is None
        book = self.begin(session, base(100))
        assert (book.version, book.best_bid_size) == (104, 5.0)
        assert session.receive(push(106, 107), 3 * S, WALL_MS) is None
        assert not book.is_valid
        cleared, (name, error) = events(session)
        assert cleared == ("cleared", book)
        assert name == "error"
        assert isinstance(error, GapError)
        assert (error.symbol, error.expected, error.first, error.last) == (CONTRACT, 105, 106, 107)
        assert sent(session, 3 * S) == []  # it stays subscribed
        assert session.receive(push(108, 109, ("11", 1)), 3 * S, WALL_MS) is None
        again = self.begin(session, base(107), 4 * S)
        assert again is book
        assert (book.version, book.best_bid) == (109, 11.0)
        [(name, _, end_ns)] = events(session)
        assert (name, end_ns) == ("gap", 4 * S)

    def test_an_update_before_any_base_is_no_error(self, session):
        assert session.receive(push(101, 101), S, WALL_MS) is None
        assert CONTRACT not in session.store or not session.store[CONTRACT].is_valid
        assert events(session) == []
        assert len(session.take_wants()) == 1

    def test_a_base_that_is_older_than_the_updates_is_fetched_again(self, session):
        session.receive(push(105, 106), S, WALL_MS)
        assert self.begin(session, base(100)) is None
        assert not session.store[CONTRACT].is_valid
        session.tick(2 * S)
        assert session.take_wants() == []
        session.tick(3 * S)
        assert self.begin(session, base(104), 3 * S).version == 106
        assert events(session) == []

    def test_a_base_that_cannot_be_had(self, session):
        """It is told each time, wanted again after longer and longer, and costs the connection."""
        times: list[int] = []

        def endure():
            for now_ns in range(2 * S, 200 * S, S // 4):
                for want in session.take_wants():
                    times.append(now_ns)
                    session.no_base(want, Unavailable("HTTP 503", venue="gate"), now_ns)
                session.heard(now_ns)
                session.tick(now_ns)

        with pytest.raises(TransportError, match=CONTRACT):
            endure()
        waits = [b - a for a, b in itertools.pairwise(times)]
        assert len(times) == ATTEMPTS
        assert waits == sorted(waits)
        assert waits[0] <= S // 2 < waits[-1]
        assert [type(error) for _, error in events(session)] == [Unavailable] * ATTEMPTS

    def test_a_base_that_never_comes(self, session):
        [want] = session.take_wants()
        session.fetching(want, 2 * S)
        session.heard(2 * S + BASE_NS)
        session.tick(2 * S + BASE_NS - 1)
        with pytest.raises(TransportError, match=CONTRACT):
            session.tick(2 * S + BASE_NS)

    def test_a_base_whose_turn_has_not_come(self, session):
        """Hundreds of books wait behind one another, which costs no connection."""
        for now_ns in range(S, 10 * BASE_NS, S):
            session.heard(now_ns)
            session.tick(now_ns)
        [want] = session.take_wants()
        assert not want.is_void
        assert session.rebase(want, base(100), WALL_MS, 10 * BASE_NS).version == 100

    @pytest.mark.parametrize("end", ["closed", "unsubscribed"])
    def test_a_base_that_nobody_waits_for_is_void(self, session, end):
        [want] = session.take_wants()
        if end == "closed":
            session.closed(2 * S)
        else:
            session.unsubscribe(BOOK, (CONTRACT,), {}, 2 * S)
        assert want.is_void

    @pytest.mark.parametrize(
        "body",
        [
            b"",
            b"[]",
            b'{"id":1}',
            b'{"id":null,"bids":[],"asks":[]}',
            b'{"id":1,"bids":[{"p":"x","s":1}],"asks":[]}',
            b'{"id":1,"bids":[{"p":null,"s":1}],"asks":[]}',
            b'{"id":-1,"bids":[],"asks":[]}',
            b'{"id":-1,"current":1,"bids":[],"asks":[]}',
            b'{"id":true,"current":1,"bids":[],"asks":[]}',
            b'{"id":1,"bids":[],"asks":[]}',
            b'{"id":1,"current":-1,"bids":[],"asks":[]}',
            b'{"id":1,"current":1e30,"bids":[],"asks":[]}',
            b'{"id":1,"current":1,"bids":[{"p":"x","s":1}],"asks":[]}',
            b"<html>",
            b"[" * 100_000,
        ],
    )
    def test_what_is_no_base(self, session, body):
        assert self.begin(session, body) is None
        [(name, error)] = events(session)
        assert name == "error"
        assert isinstance(error, DecodeError)
        session.tick(3 * S)
        assert self.begin(session, base(7), 3 * S).version == 7

    def test_a_base_ahead_of_our_clock_is_wanted_again(self, session):
        ahead = json.loads(base(100)) | {"update": WALL_MS / 1000 + 61}
        assert self.begin(session, json.dumps(ahead).encode()) is None
        assert not session.store[CONTRACT].is_valid
        session.tick(3 * S)
        assert self.begin(session, base(100), 3 * S).is_valid

    def test_updates_older_than_a_quiet_book_bring_another_base(self, session):
        """None may come for long that would tell that it is not there any more."""
        book = self.begin(session, base(100))
        assert session.receive(push(50, 50), 5 * S, WALL_MS) is None
        assert not book.is_valid
        assert [name for name, _ in events(session)] == ["cleared", "error"]
        assert self.begin(session, base(50), 6 * S).is_valid

    def test_no_more_updates_are_kept_than_so_many(self, session):
        for number in range(KEPT_FRAMES + 5):
            session.receive(push(101 + number, 101 + number), S, WALL_MS)
        assert self.begin(session, base(100)) is None  # the first five are gone
        session.tick(3 * S)
        assert self.begin(session, base(105), 3 * S).version == 100 + KEPT_FRAMES + 5

    def test_the_answer_to_a_question_of_an_earlier_connection(self, session):
        [want] = session.take_wants()
        session.closed(2 * S)
        session.opened(3 * S)
        sent(session, 3 * S)
        session.receive(ack(1), 3 * S, WALL_MS)
        assert session.rebase(want, base(100), WALL_MS, 3 * S) is None
        assert self.begin(session, base(200), 4 * S).version == 200

    def test_a_book_that_nobody_wants_any_more(self, session):
        [want] = session.take_wants()
        session.unsubscribe(BOOK, (CONTRACT,), {}, 2 * S)
        assert session.rebase(want, base(100), WALL_MS, 2 * S) is None
        assert CONTRACT not in session.store


# Streams -------------------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr(Backoff, "FIRST_S", 0.01)
    monkeypatch.setattr(Backoff, "LONGEST_S", 0.05)


@pytest.fixture
def server():
    with GateServer() as running:
        yield running


def stream_to(server, **options):
    keys = {"api_key": KEY, "api_secret": SECRET}
    rest_url = f"http://127.0.0.1:{server.port}/api/v4"
    return Stream("options", ws_url=f"{server.url}/v4/ws", rest_url=rest_url, **keys | options)


class TestStream:
    def test_a_book_from_its_base_over_gaps_and_a_lost_connection(self, server):
        server.holds_rest = True
        server.refuses_rest = 1
        with stream_to(server) as stream:
            told = listen(stream, "error", "gap")
            given = listen(stream, Channel.BOOK)
            stream.subscribe(Channel.BOOK, CONTRACT)
            until(lambda: server.rest, "the question")
            server.push(BOOK, update(95, 100, ("10", 77)))
            server.push(BOOK, update(98, 103, ("10", 5)))
            assert CONTRACT not in stream.store
            server.holds_rest = False
            until(lambda: valid(stream, [CONTRACT]), "the book")
            book = stream.store[CONTRACT]
            until(lambda: given, "the callback")
            assert (book.version, book.best_bid_size) == (103, 5.0)
            assert [type(error) for _, error in told] == [Unavailable]
            server.base = snapshot(107, ("11", 1))
            server.push(BOOK, update(106, 107))
            until(lambda: book.version == 107, "the next base")
            assert [type(e) for name, e, *_ in told if name == "error"] == [Unavailable, GapError]
            server.push(BOOK, update(108, 108, ("11", 0)))
            until(lambda: book.version == 108, "the next update")
            assert book.bid_count == 0
            server.drop()
            until(lambda: book.version == 107, "the same over the next connection")
            assert len(server.peers) == 2

    def test_one_connection_for_everything_of_the_account(self, server):
        with stream_to(server, sockets=2, user_id="7") as stream:
            stream.subscribe(Channel.ORDERS, [CONTRACT, "B"])
            stream.subscribe(Channel.POSITIONS)
            stream.subscribe("options.balances")
            names = {"options.orders", "options.positions", "options.balances"}
            until(lambda: any({*peer.topics} == names for peer in server.peers), "all three")
            until(lambda: len(server.peers) == 2, "the other")
            assert sorted(len(peer.topics) for peer in server.peers) == [0, 4]

    @pytest.mark.parametrize("seed_errors", [False, True])
    def test_wrong_keys_cost_no_public_book(self, server, seed_errors):
        server.seed_errors = seed_errors
        with stream_to(server, api_secret="wrong" * 4) as stream:
            told = listen(stream, "error")
            stream.subscribe(Channel.ORDERS)
            stream.subscribe(Channel.BOOK, CONTRACT)
            until(lambda: told, "the refusal")
            assert isinstance(told[0][1], AuthError)
            until(lambda: valid(stream, [CONTRACT]), "the book")
            assert stream.state == "open"
            assert "wrongwrong" not in repr(told)

    def test_everything_is_subscribed_to_again_and_signed_anew(self, server):
        with stream_to(server) as stream:
            stream.subscribe(Channel.ORDERS)
            until(lambda: server.peers and server.peers[0].topics, "the subscription")
            server.drop()
            until(lambda: len(server.peers) == 2 and server.peers[1].topics, "the next")
            assert server.peers[1].topics == ["options.orders"]

    def test_the_last_update_of_each_channel_is_known(self, server):
        with stream_to(server) as stream:
            stream.subscribe("options.portfolio")
            until(lambda: server.peers and server.peers[0].topics, "the subscription")
            before_ns = time.monotonic_ns()
            risk = {"total_delta": "0.5", "margin_occupied": "2000"}
            frame = {"time": 1234567890, "channel": "options.portfolio", "event": "update"}
            server.push("options.portfolio", {**frame, "result": risk})
            until(lambda: stream.last_updates, "the update")
            last = stream.last_updates["options.portfolio"]
            assert before_ns < last.recv_ns < time.monotonic_ns()

    def test_a_recording_has_the_bases_too(self, server, tmp_path):
        path = tmp_path / "gate.rec"
        with stream_to(server) as stream:
            with stream.record(path):
                stream.subscribe(Channel.BOOK, CONTRACT)
                until(lambda: valid(stream, [CONTRACT]), "the book")
                server.push(BOOK, update(101, 101, ("11", 4)))
                until(lambda: stream.store[CONTRACT].version == 101, "the update")
            live = stream.store[CONTRACT].depth().bids.tolist()
        played = gate.replay(path)
        books = (one for one in played if isinstance(one, OrderBook))
        states = [(book.version, book.depth().bids.tolist()) for book in books]
        assert [version for version, _ in states] == [100, 101]
        assert states[-1] == (101, live)
        assert live[0] == [11.0, 4.0]

    def test_a_recording_that_begins_half_way_has_the_books_too(self, server, tmp_path):
        path = tmp_path / "gate.rec"
        with stream_to(server) as stream:
            stream.subscribe(Channel.BOOK, CONTRACT)
            until(lambda: valid(stream, [CONTRACT]), "the book")
            server.push(BOOK, update(101, 101, ("11", 4)))
            until(lambda: stream.store[CONTRACT].version == 101, "the update")
            with stream.record(path) as recorder:
                until(lambda: recorder.written > 3, "the state")
                server.push(BOOK, update(102, 103, ("11", 5)))
                until(lambda: stream.store[CONTRACT].version == 103, "the next one")
            live = stream.store[CONTRACT].snapshot().tolist()
        played = gate.replay(path)
        books = (one for one in played if isinstance(one, OrderBook))
        versions = [(book.version, book.is_valid) for book in books]
        assert versions == [(101, True), (103, True)]
        assert played.store[CONTRACT].snapshot().tolist() == live

    def test_a_recording_that_begins_before_the_base_has_what_waited(self, server, tmp_path):
        path = tmp_path / "gate.rec"
        server.holds_rest = True
        with stream_to(server) as stream:
            stream.subscribe(Channel.BOOK, CONTRACT)
            until(lambda: server.peers and BOOK in server.peers[0].topics, "the subscription")
            server.push(BOOK, update(101, 102, ("11", 4)))
            [link] = stream._all_links
            until(lambda: list(link.session._books.waiting()), "the update")
            with stream.record(path) as recorder:
                until(lambda: recorder.written > 3, "the update again")
                server.holds_rest = False
                until(lambda: valid(stream, [CONTRACT]), "the book")
                assert stream.store[CONTRACT].version == 102
        assert gate.replay(path).run().store[CONTRACT].version == 102

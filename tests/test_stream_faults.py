"""A live stream through a network that goes wrong: what docs/faults.md says of it.

The exchange is the simulated one, the network a proxy (proxy.py). Whatever a client shows is held
against what the exchange has sent, which is noted where it leaves the exchange.
"""

import contextlib
import gc
import os
import random
import re
import socket
import ssl
import threading
import time
import types
import zlib

import pytest
import trustme

from coincall_fast import AuthError, Channel, OrderBook, TransportError, VenueError
from coincall_fast.backoff import Backoff
from coincall_fast.sim import Exchange
from coincall_fast.sim.connection import Connection
from coincall_fast.streams import connection
from coincall_fast.streams.session import SECOND_NS, Session
from proxy import KINDS, Fault, Proxy
from streams import (
    PATIENCE_S,
    SECRET,
    assert_equal_to_the_exchange,
    listen,
    listening,
    stream_to,
    until,
    valid,
)

IS_LONG = bool(os.environ.get("COINCALL_FAST_LONG"))
CUTS = 1000 if IS_LONG else 25
TOGETHER = 25  # after so many cuts the books are compared
STRIKES = 300 if IS_LONG else 3  # of each kind
FUTURES = ["BTCUSD", "ETHUSD"]


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    """Waits between dials that a test can bear: else they grow to half a minute."""
    monkeypatch.setattr(Backoff, "FIRST_S", 0.01)
    monkeypatch.setattr(Backoff, "LONGEST_S", 0.05)


@pytest.fixture
def quick_to_despair(monkeypatch):
    """Silence of 0.5 s instead of 5 s brings a heartbeat, and as much again the end."""
    defaults = Session.__init__.__kwdefaults__
    assert defaults is not None
    monkeypatch.setitem(defaults, "quiet_ns", SECOND_NS // 2)


class Ledger:
    """What the exchange has sent, and what of it a stream has shown."""

    def __init__(self, monkeypatch):
        self._sent: dict[tuple[str, int], list[str]] = {}
        self._seen: dict[tuple[str, int], set[int]] = {}
        self._lock = threading.Lock()
        send = Connection.send

        def note(connection, frame):
            if frame.startswith(('{"dt":5,', '{"dt":32,')):
                symbol = re.search(r'"s":"([^"]+)"', frame)
                ts_ms = re.search(r'"ts":(\d+)', frame)
                assert symbol is not None
                assert ts_ms is not None
                frames = self._sent.setdefault((symbol[1], int(ts_ms[1])), [])
                if frame not in frames:
                    frames.append(frame)
            send(connection, frame)

        monkeypatch.setattr(Connection, "send", note)

    def watch(self, stream):
        stream.on(Channel.BOOK, self.see)

    def see(self, book):
        """Notes what a book shows; from any thread."""
        depth = book.depth()
        if depth.ts_ms:  # else it is invalid, and shows nothing
            with self._lock:
                self._seen.setdefault((book.symbol, depth.ts_ms), set()).add(_sum(depth))

    def check(self, at_least):
        """Whatever was shown was sent so."""
        assert len(self._seen) >= at_least
        for key, sums in self._seen.items():
            assert key in self._sent, f"{key} was never sent"
            sent = set()
            for frame in self._sent[key]:
                book = OrderBook()
                book.apply(frame)
                sent.add(_sum(book.depth()))
            assert sums <= sent, f"{key} was shown as it was never sent"


def _sum(depth):
    return zlib.crc32(depth.asks.tobytes(), zlib.crc32(depth.bids.tobytes()))


@pytest.fixture
def ledger(monkeypatch):
    return Ledger(monkeypatch)


def hurried():
    """The exchange of all tests, but in a hurry: a book every 30 ms."""
    return Exchange(seed=11, options_period_ms=30, futures_period_ms=30)


@pytest.fixture(scope="module")
def exchange():
    """One for all tests that do nothing to it."""
    with hurried() as running:
        yield running


def address_of(exchange):
    host, _, port = exchange.ws_url.removeprefix("ws://").partition(":")
    return host, int(port)


@pytest.fixture
def proxy(exchange):
    with Proxy(address_of(exchange)) as running:
        yield running


def through(proxy, exchange, *products, **options):
    return stream_to(exchange, *products, ws_url=proxy.ws_url, **options)


def open_files():
    gc.collect()
    return len(os.listdir("/proc/self/fd")) if os.path.exists("/proc/self/fd") else 0


def state_of_process():
    return threading.active_count(), open_files()


@pytest.mark.timeout(1800 if IS_LONG else 60)
def test_cuts_at_random_points(exchange, ledger):
    """Two connections with 50 books are cut at random bytes, of upgrades and of frames.

    A reader looks on all the while. Every book comes back each time, and none is ever shown as the
    exchange did not send it.
    """
    dice = random.Random(1)
    symbols = FUTURES + exchange.symbols("options")[:48]
    before = state_of_process()
    over = threading.Event()
    with Proxy(address_of(exchange)) as proxy, through(proxy, exchange) as stream:
        told = listen(stream, "gap")
        ledger.watch(stream)

        def look_on():
            while not over.wait(0.001):
                if (book := stream.store.get(dice_of_reader.choice(symbols))) is not None:
                    ledger.see(book)

        dice_of_reader = random.Random(2)
        reader = threading.Thread(target=look_on)
        reader.start()
        try:
            stream.subscribe(Channel.BOOK, symbols)
            until(lambda: valid(stream, symbols), "every book")
            for number in range(CUTS):
                gaps, struck = len(told), proxy.struck
                if dice.random() < 0.3:  # and the next, which may still be upgraded
                    proxy.order_next(Fault("cut", dice.randrange(1000)))
                dice.choice(proxy.lines).order(Fault("cut", dice.randrange(5000)))
                until(lambda struck=struck: proxy.struck > struck, "the cut")
                until(lambda gaps=gaps: len(told) > gaps, "the gap")
                until(lambda: valid(stream, symbols), "every book again")
                if number % TOGETHER == TOGETHER - 1:
                    until(lambda: len(proxy.lines) == 2 and valid(stream, symbols), "both lines")
                    assert_equal_to_the_exchange(stream, exchange, symbols)
            assert stream.state == "open"
        finally:
            over.set()
            reader.join()
    assert not valid(stream, ["BTCUSD"])
    for _, start_ns, end_ns in told:
        assert start_ns < end_ns
    ledger.check(at_least=10 * CUTS)
    until(lambda: state_of_process() == before, "the end of every thread and descriptor")


@pytest.mark.timeout(900 if IS_LONG else 60)
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "cut"])
def test_every_fault_at_random_bytes(exchange, proxy, ledger, quick_to_despair, monkeypatch, kind):
    """None of them makes a wrong book, and after each all books come back."""
    monkeypatch.setattr(connection, "FRAME_S", 0.3)
    dice = random.Random(kind)
    symbols = FUTURES + exchange.symbols("options")[:8]
    with through(proxy, exchange) as stream:
        ledger.watch(stream)
        stream.subscribe(Channel.BOOK, symbols)
        until(lambda: valid(stream, symbols), "every book")
        for _ in range(STRIKES):
            struck = proxy.struck
            counts = {symbol: stream.store[symbol].update_count for symbol in symbols}
            amount = 0.1 if kind == "delay" else dice.choice([1, 2, 7, 100, 3000])
            dice.choice(proxy.lines).order(Fault(kind, dice.randrange(3000), amount))
            until(lambda struck=struck: proxy.struck > struck, "the fault")
            until(
                lambda counts=counts: all(
                    stream.store[symbol].is_valid and stream.store[symbol].update_count > count + 3
                    for symbol, count in counts.items()
                ),
                "every book again",
            )
        assert_equal_to_the_exchange(stream, exchange, symbols)
    ledger.check(at_least=20)


class TestOutcomes:
    """docs/faults.md, a line each."""

    @pytest.fixture
    def stream(self, exchange, proxy):
        with through(proxy, exchange, "futures", stale_after_ms=300) as stream:
            stream.subscribe(Channel.BOOK, FUTURES)
            until(lambda: valid(stream, FUTURES), "both books")
            yield stream

    @pytest.fixture
    def told(self, stream):
        return listen(stream, "error", "gap", "stale")

    @pytest.mark.parametrize("kind", ["cut", "close", "half_close"])
    def test_a_lost_connection(self, proxy, stream, told, kind):
        invalid = []
        stream.on("error", lambda _: invalid.append(not any_valid(stream)))
        begin_ns = time.monotonic_ns()
        proxy.order(Fault(kind, 1000))
        until(lambda: names(told, "gap"), "the gap")
        until(lambda: valid(stream, FUTURES), "both books again")
        assert [type(error) for _, error in named(told, "error")] == [TransportError]
        assert invalid == [True]  # when it is told, no book shows anything any more
        ((_, start_ns, end_ns),) = named(told, "gap")
        assert begin_ns < end_ns
        assert start_ns < end_ns < time.monotonic_ns()
        assert proxy.dialled == 2

    def test_a_dead_network(self, proxy, stream, told, quick_to_despair):
        """Nothing comes and nobody says so: stale first, then the end of patience."""
        # The session of this stream was made before it became impatient: the next one's is.
        stream._links["futures"][0].session._quiet_ns = SECOND_NS // 2
        proxy.order(Fault("stall"))
        until(lambda: names(told, "gap"), "the gap")
        until(lambda: valid(stream, FUTURES), "both books again")
        assert sorted(symbol for _, symbol in named(told, "stale")) == FUTURES
        ((_, error),) = named(told, "error")
        assert re.search(r"futures: nothing heard for 1\.\d s", str(error))
        assert told.index(("stale", "BTCUSD")) < told.index(("error", error))
        assert proxy.dialled == 2
        proxy.resume()  # too late

    def test_a_late_frame_is_just_late(self, proxy, stream, told):
        count = stream.store["BTCUSD"].update_count
        proxy.order(Fault("delay", 0, 0.8))
        until(lambda: names(told, "stale"), "staleness")
        assert valid(stream, FUTURES)
        assert stream.store["BTCUSD"].age_ns(time.monotonic_ns()) > 200_000_000
        until(lambda: stream.store["BTCUSD"].update_count > count + 5, "what was held up")
        assert names(told, "error") == names(told, "gap") == []
        assert proxy.dialled == 1

    def test_a_frame_that_does_not_end_in_time(self, proxy, stream, told, monkeypatch):
        """Two seconds, from its first byte; here less, from the next connection on."""
        assert connection.FRAME_S == 2.0
        monkeypatch.setattr(connection, "FRAME_S", 0.3)
        proxy.order(Fault("cut"))
        until(lambda: names(told, "gap"), "the first gap")
        until(lambda: valid(stream, FUTURES), "both books")
        told.clear()
        proxy.order(Fault("delay", 100, PATIENCE_S))
        until(lambda: names(told, "error"), "the error")
        assert isinstance(named(told, "error")[0][1], TransportError)
        until(lambda: valid(stream, FUTURES), "both books again")

    @pytest.mark.parametrize(
        ("fault", "amount"), [("corrupt", 1), ("truncate", 5), ("duplicate", 5)]
    )
    def test_a_harmed_frame(self, proxy, stream, told, fault, amount):
        """Told, and followed by whole books; TCP and TLS let hardly any through."""
        proxy.order(Fault(fault, 1500, amount))
        until(lambda: names(told, "error"), "the error")
        until(lambda: valid(stream, FUTURES), "both books")

    def test_an_upgrade_that_is_cut_anywhere(self, exchange, proxy):
        proxy.order_next(*(Fault("cut", skip) for skip in range(0, 160, 20)))
        with through(proxy, exchange, "futures") as stream:
            told = listen(stream, "error", "gap")
            stream.subscribe(Channel.BOOK, FUTURES)
            until(lambda: valid(stream, FUTURES), "both books")
        assert len(named(told, "error")) >= 7
        assert {type(error) for _, error in named(told, "error")} == {TransportError}
        assert named(told, "gap") == []  # there was nothing yet that could have a hole

    def test_an_upgrade_that_does_not_end(self, exchange, proxy, monkeypatch):
        """Five seconds for all of it."""
        monkeypatch.setattr("coincall_fast.streams.dial.DIAL_S", 0.3)
        proxy.order_next(Fault("stall", 50))
        with through(proxy, exchange, "futures") as stream:
            told = listen(stream, "error")
            stream.subscribe(Channel.BOOK, FUTURES)
            until(lambda: valid(stream, FUTURES), "both books")
        assert len(told) == 1

    def test_an_upgrade_that_drips(self, monkeypatch):
        """Each byte is a sign of life, and the deadline is over all of them."""
        monkeypatch.setattr("coincall_fast.streams.dial.DIAL_S", 0.4)
        with listening() as (server, stream, told), stream:
            peer, _ = server.accept()
            with peer:
                peer.sendall(b"HTTP/1.1 101 Sw")
                end_s = time.monotonic() + 5.0
                with contextlib.suppress(OSError):
                    while not told and time.monotonic() < end_s:
                        peer.sendall(b"i")
                        time.sleep(0.05)
                assert told, "no error within ten times the deadline"
            assert [type(error) for _, error in told[:1]] == [TransportError]


def names(told, name):
    return [one for one, *_ in told if one == name]


def named(told, name):
    return [one for one in told if one[0] == name]


def any_valid(stream):
    return any(stream.store[symbol].is_valid for symbol in stream.store)


class TestVenue:
    @pytest.fixture
    def exchange(self):
        with hurried() as running:
            yield running

    @pytest.mark.parametrize("keep_state", [True, False])
    def test_it_restarts(self, exchange, ledger, keep_state):
        symbols = FUTURES + exchange.symbols("options")[:8]
        with stream_to(exchange) as stream:
            told = listen(stream, "gap", "error")
            ledger.watch(stream)
            stream.subscribe(Channel.BOOK, symbols)
            until(lambda: valid(stream, symbols), "every book")
            exchange.restart(keep_state=keep_state)
            until(lambda: len(named(told, "gap")) == 2, "both gaps")
            until(lambda: valid(stream, symbols), "every book again")
            assert_equal_to_the_exchange(stream, exchange, symbols)
        assert {type(error) for _, error in named(told, "error")} == {TransportError}
        ledger.check(at_least=10)

    def test_it_refuses_keys_that_it_took(self, exchange):
        """Dialled for ever: it knew us, and may again."""
        with stream_to(exchange, "futures") as stream:
            told = listen(stream, "error")
            stream.subscribe(Channel.BOOK, FUTURES)
            until(lambda: valid(stream, FUTURES), "both books")
            exchange.skew(60_000)
            exchange.drop_connections()
            until(lambda: len(told) > 8, "more refusals than would be final at first")
            assert stream.state == "connecting"
            assert not any_valid(stream)
            assert {type(error) for _, error in told[1:]} == {AuthError}
            exchange.skew(0)
            until(lambda: valid(stream, FUTURES), "both books again")

    def test_its_time_jumps_ahead(self, exchange):
        """Ten minutes: whatever it says then is not believed, and no older price is kept."""
        with stream_to(exchange, "futures") as stream:
            told = listen(stream, "error")
            stream.subscribe(Channel.BOOK, FUTURES)
            until(lambda: valid(stream, FUTURES), "both books")
            exchange.skip(600_000)
            until(lambda: len(told) > 4, "refusals")
            assert not any_valid(stream)
            assert stream.state == "open"
        assert {type(error) for _, error in told} == {VenueError}
        assert "ahead of our clock" in str(told[0][1])

    def test_it_cuts_off_who_does_not_read(self, ledger):
        """A callback that does not return holds up the stream, and the stream alone."""
        with Exchange(seed=11, max_queued_bytes=200_000, futures_period_ms=5) as exchange:
            with (
                Proxy(address_of(exchange)) as proxy,
                through(proxy, exchange, "futures") as stream,
            ):
                told = listen(stream, "gap", "error")
                ledger.watch(stream)
                go_on = threading.Event()
                stream.subscribe(Channel.BOOK, FUTURES)
                until(lambda: valid(stream, FUTURES), "both books")
                stream.on(Channel.BOOK, lambda _: go_on.wait(PATIENCE_S))
                until(lambda: exchange.connections == 0, "the end of its patience")
                go_on.set()
                until(lambda: named(told, "gap"), "the gap")
                until(lambda: valid(stream, FUTURES), "both books")
                assert_equal_to_the_exchange(stream, exchange, FUTURES)
            ledger.check(at_least=10)

    def test_a_consumer_that_lags_gets_the_latest_books(self, exchange):
        with stream_to(exchange, "futures") as stream:
            items = iter(stream)
            stream.subscribe(Channel.BOOK, "BTCUSD")
            first = next(item for item in items if isinstance(item, OrderBook))
            count = first.update_count
            until(lambda: first.update_count > count + 4, "more of it")
            exchange.stall(True)
            seen = next(item for item in items if isinstance(item, OrderBook))
            assert seen is first
            threading.Timer(0.3, stream.close).start()
            assert not [item for item in items if isinstance(item, OrderBook) and item.is_valid]

    def test_a_consumer_that_lags_too_far_behind_is_told(self, exchange, monkeypatch):
        monkeypatch.setattr("coincall_fast.streams.inbox.KEPT_MESSAGES", 8)
        with stream_to(exchange, "futures") as stream:
            items = iter(stream)
            tickers = listen(stream, Channel.TICKER)
            stream.subscribe(Channel.TICKER, FUTURES)
            next(items)
            until(lambda: len(tickers) > 10, "more than are kept")
            with pytest.raises(TransportError, match="more than 8 messages behind"):
                list(items)
            assert stream.state == "open"


class TestOurClock:
    @pytest.fixture
    def exchange(self):
        with hurried() as running:
            yield running

    @pytest.fixture
    def clock(self, monkeypatch):
        """The stream's, whose epoch a test may move; the exchange has the machine's."""
        moved = types.SimpleNamespace(by_ns=0)
        shim = types.SimpleNamespace(
            monotonic=time.monotonic,
            monotonic_ns=time.monotonic_ns,
            sleep=time.sleep,
            time_ns=lambda: time.time_ns() + moved.by_ns,
        )
        for module in ("link", "stream"):
            monkeypatch.setattr(f"coincall_fast.streams.{module}.time", shim)
        return moved

    def test_it_jumps_back(self, exchange, clock):
        """Two minutes: what the venue says seems to be of the future, until it is right again."""
        with stream_to(exchange, "futures") as stream:
            told = listen(stream, "error")
            stream.subscribe(Channel.BOOK, FUTURES)
            until(lambda: valid(stream, FUTURES), "both books")
            clock.by_ns = -120 * SECOND_NS
            until(lambda: len(told) > 4 and not any_valid(stream), "their end")
            assert "ahead of our clock" in str(told[0][1])
            clock.by_ns = 0
            until(lambda: valid(stream, FUTURES), "both books again")
            assert stream.state == "open"

    @pytest.mark.parametrize("minutes", [-2, 2])
    def test_it_is_wrong_when_it_dials_again(self, exchange, clock, minutes):
        with stream_to(exchange, "futures") as stream:
            told = listen(stream, "error")
            stream.subscribe(Channel.BOOK, FUTURES)
            until(lambda: valid(stream, FUTURES), "both books")
            clock.by_ns = minutes * 60 * SECOND_NS
            exchange.drop_connections()
            until(lambda: any(isinstance(error, AuthError) for _, error in told), "the refusal")
            until(lambda: not any_valid(stream), "the end of both")
            clock.by_ns = 0
            until(lambda: valid(stream, FUTURES), "both books again")

    def test_it_jumps_ahead(self, exchange, clock):
        """Nothing is wrong with the books: their ages are by the monotonic clock."""
        with stream_to(exchange, "futures") as stream:
            told = listen(stream, "error", "stale", "gap")
            stream.subscribe(Channel.BOOK, FUTURES)
            until(lambda: valid(stream, FUTURES), "both books")
            clock.by_ns = 3600 * SECOND_NS
            count = stream.store["BTCUSD"].update_count
            until(lambda: stream.store["BTCUSD"].update_count > count + 3, "more")
            assert told == []
            assert stream.store["BTCUSD"].age_ns(time.monotonic_ns()) < 5 * SECOND_NS


class TestNames:
    """Of hosts."""

    def test_a_name_that_nobody_knows(self):
        with listening(ws_url="ws://no-such-host.invalid:1") as (_, stream, told), stream:
            until(lambda: len(told) >= 2, "two failed dials")
            assert {type(error) for _, error in told} == {TransportError}
            assert "no-such-host.invalid:1" in str(told[0][1])
            assert stream.state == "connecting"
            begin_s = time.monotonic()
            stream.close()
            assert time.monotonic() - begin_s < 1.0

    def test_a_name_that_was_known_before(self, exchange, monkeypatch):
        """Its addresses are dialled again while the name server fails."""

        def unknown(*arguments, **options):
            asked.append(arguments)
            raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

        asked: list[object] = []
        with stream_to(exchange, "futures") as stream:
            stream.subscribe(Channel.BOOK, FUTURES)
            until(lambda: valid(stream, FUTURES), "both books")
            told = listen(stream, "gap")
            monkeypatch.setattr(socket, "getaddrinfo", unknown)
            exchange.drop_connections()
            until(lambda: told, "the gap")
            until(lambda: valid(stream, FUTURES), "both books again")
            assert asked

    def test_closing_does_not_wait_for_a_name_server(self, monkeypatch):
        answer = threading.Event()

        def slow(*arguments, **options):
            answer.wait(PATIENCE_S)
            raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

        monkeypatch.setattr(socket, "getaddrinfo", slow)
        with listening() as (_, stream, _), stream:
            begin_s = time.monotonic()
            stream.close()
            assert time.monotonic() - begin_s < 1.0
            answer.set()
            until(lambda: not any(link.is_alive() for link in stream._all_links), "its thread")

    def test_a_name_server_that_does_not_answer(self, monkeypatch):
        """The deadline of a dial is over the name, too."""
        monkeypatch.setattr("coincall_fast.streams.dial.DIAL_S", 0.3)
        answer = threading.Event()
        known = socket.getaddrinfo

        def slow(*arguments, **options):
            answer.wait(PATIENCE_S)
            return known(*arguments, **options)

        monkeypatch.setattr(socket, "getaddrinfo", slow)
        with listening() as (_, stream, told), stream:
            try:
                end_s = time.monotonic() + 1.5
                while not told and time.monotonic() < end_s:
                    time.sleep(0.01)
                assert told, "no error within five times the deadline"
            finally:
                answer.set()


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


@pytest.fixture
def tls(authority):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    return context


class TestTls:
    def test_a_certificate_that_nobody_vouches_for(self, exchange, tls):
        """Nothing is said to such a peer, above all no signature."""
        with (
            Proxy(address_of(exchange), tls) as proxy,
            through(proxy, exchange, "futures") as stream,
        ):
            told = listen(stream, "error")
            until(lambda: len(told) >= 2, "two refusals of ours")
            assert {type(error) for _, error in told} == {TransportError}
            assert "certificate verify failed" in str(told[0][1])
            assert exchange.connections == 0

    def test_a_peer_that_does_not_speak_it(self, exchange, proxy):
        """A wss:// address of a server without TLS: what was sent is a hello, and no key."""
        heard = []
        with socket.create_server(("127.0.0.1", 0)) as server:
            url = f"wss://127.0.0.1:{server.getsockname()[1]}"
            with listening(ws_url=url) as (_, stream, told), stream:
                peer, _ = server.accept()
                with peer:
                    heard.append(peer.recv(65536))
                    peer.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
                until(lambda: told, "the error")
                assert type(told[0][1]) is TransportError
        assert heard[0][:2] == b"\x16\x03"
        assert b"GET" not in heard[0]
        assert SECRET.encode() not in heard[0]

    def test_a_handshake_that_does_not_end(self, monkeypatch):
        monkeypatch.setattr("coincall_fast.streams.dial.DIAL_S", 0.3)
        with socket.create_server(("127.0.0.1", 0)) as server:
            url = f"wss://127.0.0.1:{server.getsockname()[1]}"
            with listening(ws_url=url) as (_, stream, told), stream:
                until(lambda: told, "the end of patience")
                assert type(told[0][1]) is TransportError

    @pytest.mark.parametrize("kind", ["cut", "close", "truncate", "duplicate", "corrupt"])
    def test_harm_below_it_loses_the_connection(
        self, exchange, tls, authority, ledger, monkeypatch, tmp_path, kind
    ):
        """Where it is trusted it works; a changed byte of it is noticed by TLS itself."""
        authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
        monkeypatch.setattr(connection, "FRAME_S", 0.3)
        with (
            Proxy(address_of(exchange), tls) as terminated,
            Proxy(("127.0.0.1", terminated.port)) as proxy,
            stream_to(exchange, "futures", ws_url=f"wss://127.0.0.1:{proxy.port}") as stream,
        ):
            told = listen(stream, "error", "gap")
            ledger.watch(stream)
            stream.subscribe(Channel.BOOK, FUTURES)
            until(lambda: valid(stream, FUTURES), "both books")
            proxy.order(Fault(kind, 700, 3))
            until(lambda: named(told, "gap"), "the gap")
            until(lambda: valid(stream, FUTURES), "both books again")
            assert {type(error) for _, error in named(told, "error")} == {TransportError}
        ledger.check(at_least=3)


def test_the_proxy_alone_harms_nothing(exchange, proxy, ledger):
    with through(proxy, exchange) as stream:
        told = listen(stream, "error", "gap")
        ledger.watch(stream)
        symbols = FUTURES + exchange.symbols("options")[:20]
        stream.subscribe(Channel.BOOK, symbols)
        until(lambda: valid(stream, symbols), "every book")
        assert_equal_to_the_exchange(stream, exchange, symbols)
        assert told == []
        assert (proxy.dialled, proxy.struck) == (2, 0)
    ledger.check(at_least=22)

"""The real client against the real simulated exchange, over real sockets.

What a test waits for it polls; nothing here trusts a sleep to be long enough.
"""

import json
import logging
import math
import socket
import threading
import time
import traceback

import pytest

from coincall_fast import (
    AuthError,
    Channel,
    OrderBook,
    Stream,
    TransportError,
    UsageError,
    VenueError,
)
from coincall_fast.sim import Exchange
from model_book import Model

PATIENCE_S = 20.0
SECRET = "the-very-secret"  # a global, so that no frame of a test has it among its locals


def until(condition, what="it"):
    """Waits until a condition holds, and returns what made it true."""
    end_s = time.monotonic() + PATIENCE_S
    while not (value := condition()):
        assert time.monotonic() < end_s, f"{what} did not come about"
        time.sleep(0.005)
    return value


def stream_to(exchange, *products, **options):
    keys = {"api_key": exchange.api_key, "api_secret": exchange.api_secret}
    return Stream(*products, **{**keys, "ws_url": exchange.ws_url, **options})


def listen(stream, *names):
    """What happens on a stream from now on, as (name, arguments)."""
    heard = []
    for name in names:
        stream.on(name, lambda *arguments, name=name: heard.append((name, *arguments)))
    return heard


def valid(stream, symbols):
    return all((book := stream.store.get(symbol)) and book.is_valid for symbol in symbols)


def assert_equal_to_the_exchange(stream, exchange, symbols):
    """Every book is, level by level, what the exchange sent last, read by json and Decimal."""
    exchange.stall(True)
    for symbol in symbols:
        frame = exchange.book_frame(symbol)
        model = Model()
        model.apply(frame)
        book = stream.store[symbol]
        until(lambda book=book, model=model: book.ts_ms == model.ts_ms, f"the last {symbol}")
        kept = book.snapshot()
        assert list(zip(*kept[0:2, : book.bid_count].tolist(), strict=True)) == model.bids
        assert list(zip(*kept[2:4, : book.ask_count].tolist(), strict=True)) == model.asks
    exchange.stall(False)


class TestMainJob:
    def test_both_products_come_into_one_store(self, exchange):
        symbols = exchange.symbols("futures") + exchange.symbols("options")[:40]
        with stream_to(exchange) as stream:
            assert stream.state in ("new", "connecting", "open")
            stream.subscribe(Channel.BOOK, symbols)
            until(lambda: valid(stream, symbols), "every book")
            assert stream.state == "open"
            assert_equal_to_the_exchange(stream, exchange, symbols)
            assert exchange.subscriptions() == dict.fromkeys(symbols, 1)
        assert stream.state == "closed"

    def test_callbacks_run_on_the_reading_thread_with_the_book(self, exchange):
        seen = []
        with stream_to(exchange, "futures") as stream:
            stream.on(
                Channel.BOOK,
                lambda book: seen.append((threading.current_thread().name, book, book.last_change)),
            )
            stream.subscribe(Channel.BOOK, "BTCUSD")
            until(lambda: len(seen) >= 3, "three updates")
        name, book, change = seen[0]
        assert "futures" in name
        assert book is stream.store["BTCUSD"]
        assert change == 31
        p50_ns, p99_ns = stream.latency.quantiles_ns(symbol="BTCUSD")
        assert 0 < p50_ns <= p99_ns

    def test_the_venues_own_channel_name_works_too(self, exchange):
        heard: list[OrderBook] = []
        with stream_to(exchange, "futures") as stream:
            stream.on("orderBook", heard.append)
            stream.subscribe("orderBook", ["BTCUSD"])
            until(lambda: heard, "a book")

    def test_iteration_gives_each_changed_book_once(self, exchange):
        with stream_to(exchange, "futures") as stream:
            stream.subscribe(Channel.BOOK, ["BTCUSD", "ETHUSD"])
            seen = []
            for item in stream:
                seen.append(item)
                if len([x for x in seen if x is stream.store.get("BTCUSD")]) >= 2:
                    time.sleep(0.7)  # three more frames of each meanwhile
                    break
            waiting = [stream._feed.take(0) for _ in range(4)]
        books = [book.symbol for book in waiting if book is not None]
        assert sorted(books) == ["BTCUSD", "ETHUSD"]

    def test_iteration_ends_with_the_stream(self, exchange):
        stream = stream_to(exchange, "futures").start()
        threading.Timer(0.3, stream.close).start()
        assert list(stream) == []

    def test_unsubscribe_ends_the_frames_and_the_book(self, exchange):
        with stream_to(exchange, "futures") as stream:
            stream.subscribe(Channel.BOOK, ["BTCUSD", "ETHUSD"])
            until(lambda: valid(stream, ["BTCUSD", "ETHUSD"]), "both books")
            stream.unsubscribe(Channel.BOOK, "BTCUSD")
            until(lambda: exchange.subscriptions() == {"ETHUSD": 1}, "the end of it")
            until(lambda: not stream.store["BTCUSD"].is_valid, "its invalidity")
            count = stream.store["ETHUSD"].update_count
            until(lambda: stream.store["ETHUSD"].update_count > count + 1, "the other")
            assert math.isnan(stream.store["BTCUSD"].best_bid)


class TestSignature:
    @pytest.mark.parametrize("spelling", ["apiKey", "uuid"])
    def test_whichever_spelling_the_venue_wants(self, spelling):
        with Exchange(prehash=spelling) as exchange, stream_to(exchange, "futures") as stream:
            stream.subscribe(Channel.BOOK, "BTCUSD")
            until(lambda: valid(stream, ["BTCUSD"]), "the book")

    @pytest.mark.parametrize("refuse", ["403", "frame"])
    def test_a_wrong_secret_is_final_and_told(self, refuse):
        with (
            Exchange(refuse=refuse) as exchange,
            stream_to(exchange, "futures", api_secret="wrong") as stream,
        ):
            stream.subscribe(Channel.BOOK, "BTCUSD")
            with pytest.raises(AuthError):
                until_failed(stream)
            assert stream.state == "failed"
            assert isinstance(stream.error, AuthError)
            with pytest.raises(AuthError):
                next(iter(stream))
            assert len(stream.store) == 0

    @pytest.mark.parametrize("offset_ms", [-60_000, 60_000], ids=["future", "stale"])
    def test_a_timestamp_out_of_the_window_is_refused(self, offset_ms):
        with (
            Exchange(clock_offset_ms=offset_ms) as exchange,
            stream_to(exchange, "futures") as stream,
            pytest.raises(AuthError) as caught,
        ):
            until_failed(stream)
        assert caught.value.code == 10557

    def test_no_secret_is_told_anywhere(self, caplog):
        caplog.set_level(logging.DEBUG)
        with Exchange() as exchange:
            with stream_to(exchange, api_secret=SECRET) as stream:
                told = listen(stream, "error", "state")
                with pytest.raises(AuthError) as caught:
                    until_failed(stream)
            with stream_to(exchange) as good:
                good.wait_open(PATIENCE_S)
        errors = [caught.value, *(arguments[0] for name, *arguments in told if name == "error")]
        shown = [caplog.text, repr(stream), repr(vars(stream)), repr(told)]
        for error in errors:
            shown += traceback.TracebackException.from_exception(
                error, capture_locals=True
            ).format()
            assert error.__cause__ is None
            assert error.__context__ is None
        for text in shown:
            assert SECRET not in text
            assert "sign=" not in text
            assert exchange.api_secret not in text

    def test_no_keys_is_a_usage_error(self, monkeypatch):
        monkeypatch.delenv("COINCALL_API_KEY", raising=False)
        with pytest.raises(UsageError, match="COINCALL_API_KEY"):
            Stream("futures")

    def test_keys_come_from_the_environment(self, exchange, monkeypatch):
        monkeypatch.setenv("COINCALL_API_KEY", exchange.api_key)
        monkeypatch.setenv("COINCALL_API_SECRET", exchange.api_secret)
        with Stream("futures", ws_url=exchange.ws_url) as stream:
            stream.wait_open(PATIENCE_S)


def until_failed(stream):
    while True:
        stream.wait_open(PATIENCE_S)
        time.sleep(0.005)  # open for a moment where the venue refuses after the upgrade


class TestLossAndRecovery:
    def test_a_cut_invalidates_and_a_fresh_book_follows(self, exchange):
        symbols = [*exchange.symbols("futures"), *exchange.symbols("options")[:20]]
        with stream_to(exchange) as stream:
            told = listen(stream, "gap", "state")
            stream.subscribe(Channel.BOOK, symbols)
            until(lambda: valid(stream, symbols), "every book")
            invalid: list[str] = []
            stream.on(
                "state",
                lambda state: invalid.extend(
                    symbol for symbol in symbols if not stream.store[symbol].is_valid
                ),
            )
            cut_ns = time.monotonic_ns()
            exchange.drop_connections()
            until(lambda: sum(name == "gap" for name, *_ in told) == 2, "both gaps")
            until(lambda: valid(stream, symbols), "every book again")
            assert invalid
            assert_equal_to_the_exchange(stream, exchange, symbols)
            assert exchange.connections == 2
        for name, *arguments in told:
            if name == "gap":
                start_ns, end_ns = arguments
                assert start_ns < end_ns
                assert cut_ns < end_ns
        states = [arguments[0] for name, *arguments in told if name == "state"]
        assert states[0] == "open"
        assert "connecting" in states
        assert states[-1] == "closed"

    def test_cut_after_cut_no_book_is_ever_valid_and_wrong(self, exchange):
        """Whatever is readable was sent: each valid book equals a frame of the exchange."""
        threads = threading.active_count()
        with stream_to(exchange, "futures") as stream:
            stream.subscribe(Channel.BOOK, "BTCUSD")
            for _ in range(5):
                until(lambda: valid(stream, ["BTCUSD"]), "the book")
                exchange.drop_connections()
                until(lambda: not valid(stream, ["BTCUSD"]), "its invalidity")
            until(lambda: valid(stream, ["BTCUSD"]), "the book")
            assert_equal_to_the_exchange(stream, exchange, ["BTCUSD"])
            assert threading.active_count() == threads + 1
        assert threading.active_count() == threads

    def test_the_venue_goes_away_and_comes_back(self):
        with Exchange() as first:
            port = int(first.ws_url.rpartition(":")[2])
            stream = stream_to(first, "futures")
            told = listen(stream, "error")
            stream.subscribe(Channel.BOOK, "BTCUSD")
            stream.start()
            until(lambda: valid(stream, ["BTCUSD"]), "the book")
        until(lambda: not valid(stream, ["BTCUSD"]), "its invalidity")
        until(lambda: any("cannot connect" in str(error) for _, error in told), "a failed dial")
        assert stream.state == "connecting"
        with Exchange(port=port), stream:  # started already: entering it again changes nothing
            until(lambda: valid(stream, ["BTCUSD"]), "the book again")

    def test_a_silent_symbol_is_told_and_heartbeats_keep_the_line(self):
        with (
            Exchange(silence_s=8.0) as exchange,
            stream_to(exchange, "futures", stale_after_ms=1000) as stream,
        ):
            told = listen(stream, "stale", "error", "gap")
            stream.subscribe(Channel.BOOK, ["BTCUSD", "ETHUSD"])
            until(lambda: valid(stream, ["BTCUSD", "ETHUSD"]), "both books")
            exchange.silence("ETHUSD")
            until(lambda: told, "staleness")
            exchange.stall(True)
            time.sleep(10.0)  # longer than the venue bears silence: heartbeats are due at 5 s
            assert sorted(told) == [("stale", "BTCUSD"), ("stale", "ETHUSD")]
            assert exchange.connections == 1

    def test_a_venue_that_stops_answering_is_given_up(self):
        """A server that accepts, upgrades and then says nothing at all, heartbeats included."""
        with socket.create_server(("127.0.0.1", 0)) as server:
            server.settimeout(PATIENCE_S)
            host, port = server.getsockname()
            stream = Stream("futures", api_key="k", api_secret="s", ws_url=f"ws://{host}:{port}")
            told = listen(stream, "error")
            with stream:
                mute, _ = server.accept()
                upgrade(mute)
                stream.wait_open(PATIENCE_S)
                until(lambda: told, "the end of patience")
                again, _ = server.accept()
                again.close()
                mute.close()
        assert "nothing heard for 10.0 s" in str(told[0][1])

    @pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 500 No\r\n\r\n", b"\x00" * 64, b"HTTP/1.1"])
    def test_a_server_that_does_not_upgrade_is_a_transport_error(self, answer):
        with socket.create_server(("127.0.0.1", 0)) as server:
            server.settimeout(PATIENCE_S)
            host, port = server.getsockname()
            stream = Stream("futures", api_key="k", api_secret="s", ws_url=f"ws://{host}:{port}")
            told = listen(stream, "error")
            with stream:
                peer, _ = server.accept()
                with peer:
                    peer.recv(4096)
                    peer.sendall(answer)
                until(lambda: told, "the error")
        assert type(told[0][1]) is TransportError

    @pytest.mark.parametrize("place", ["http://127.0.0.1/", "/elsewhere"])
    def test_a_redirect_is_not_followed(self, place):
        with socket.create_server(("127.0.0.1", 0)) as server:
            server.settimeout(PATIENCE_S)
            host, port = server.getsockname()
            stream = Stream("futures", api_key="k", api_secret="s", ws_url=f"ws://{host}:{port}")
            told = listen(stream, "error")
            with stream:
                peer, _ = server.accept()
                with peer:
                    peer.recv(4096)
                    peer.sendall(f"HTTP/1.1 302 Found\r\nLocation: {place}\r\n\r\n".encode())
                    until(lambda: told, "the error")
        assert type(told[0][1]) is TransportError


def upgrade(peer):
    """The server's side of an upgrade, by hand."""
    import base64
    import hashlib

    request = b""
    while b"\r\n\r\n" not in request:
        request += peer.recv(4096)
    key = next(
        line.partition(b":")[2].strip()
        for line in request.split(b"\r\n")
        if line.lower().startswith(b"sec-websocket-key")
    )
    guid = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
    accept = base64.b64encode(hashlib.sha1(key + guid, usedforsecurity=False).digest())
    peer.sendall(
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n"
    )
    return request.split(b"\r\n", 1)[0].decode()


def text_frame(text):
    body = text.encode()
    head = bytes([0x81, len(body)]) if len(body) < 126 else b"\x81\x7e" + len(body).to_bytes(2)
    return head + body


class TestByHand:
    """A venue typed byte by byte, for what the simulated exchange never does."""

    @pytest.fixture
    def venue(self):
        with socket.create_server(("127.0.0.1", 0)) as server:
            server.settimeout(PATIENCE_S)
            host, port = server.getsockname()
            stream = Stream(
                "futures", api_key="a+b/c=", api_secret="s", ws_url=f"ws://{host}:{port}"
            )
            told = listen(stream, "error", "gap")
            stream.subscribe(Channel.BOOK, "X")
            with stream:
                peer, _ = server.accept()
                with peer:
                    yield stream, peer, upgrade(peer), told

    def frame(self, bid, ts_ms=1000):
        levels = f'"asks":[],"bids":[{{"pr":"{bid}","sz":"1"}}]'
        return f'{{"dt":32,"c":20,"d":{{"s":"X",{levels},"ts":{ts_ms}}}}}'

    def test_the_key_is_raw_on_the_wire(self, venue):
        _, _, line, _ = venue
        assert line.startswith("GET /futures?code=10&uuid=a+b/c=&ts=")
        assert line.endswith("&apiKey=a+b/c= HTTP/1.1")

    def test_a_refused_frame_clears_the_book_and_the_line_stays(self, venue):
        stream, peer, _, told = venue
        peer.sendall(text_frame(self.frame("5")))
        until(lambda: valid(stream, ["X"]), "the book")
        peer.sendall(text_frame(self.frame("-5", 1001)))
        until(lambda: not valid(stream, ["X"]), "its invalidity")
        assert math.isnan(stream.store["X"].best_bid)
        peer.sendall(text_frame(self.frame("6", 1002)))
        until(lambda: valid(stream, ["X"]), "the book again")
        assert stream.store["X"].best_bid == 6.0
        assert [(name, getattr(error, "symbol", None)) for name, error in told] == [("error", "X")]

    def test_a_failed_subscription_is_told(self, venue):
        _, peer, _, told = venue
        peer.sendall(text_frame('{"action":"SUBSCRIBE","result":"failed","msg":"no such symbol"}'))
        until(lambda: told, "the error")
        assert isinstance(told[0][1], VenueError)
        assert "no such symbol" in str(told[0][1])

    def test_a_frame_in_pieces_and_two_in_one(self, venue):
        stream, peer, _, _ = venue
        whole = text_frame(self.frame("5"))
        for i in range(0, len(whole), 7):
            peer.sendall(whole[i : i + 7])
            time.sleep(0.002)
        until(lambda: valid(stream, ["X"]), "the book")
        peer.sendall(text_frame(self.frame("6", 1001)) + text_frame(self.frame("7", 1002)))
        until(lambda: stream.store["X"].best_bid == 7.0, "the second of two")
        assert stream.store["X"].update_count == 3

    def test_a_message_in_fragments_with_a_ping_between(self, venue):
        stream, peer, _, _ = venue
        body = self.frame("5").encode()
        peer.sendall(bytes([0x01, 50]) + body[:50] + b"\x89\x02hi")
        peer.sendall(bytes([0x80, len(body) - 50]) + body[50:])
        until(lambda: valid(stream, ["X"]), "the book")
        received = b""
        while b"\x8a\x82" not in received:  # a masked pong of two bytes
            received += peer.recv(4096)

    def test_what_is_subscribed_is_asked_for(self, venue):
        _, peer, _, _ = venue
        head = peer.recv(6)
        length, mask = head[1] & 0x7F, head[2:6]
        body = b""
        while len(body) < length:
            body += peer.recv(length - len(body))
        text = bytes(byte ^ mask[i % 4] for i, byte in enumerate(body))
        assert json.loads(text) == {
            "action": "subscribe",
            "dataType": "orderBook",
            "payload": {"symbol": "X"},
        }

    def test_a_frame_that_stops_halfway_loses_the_line(self, venue):
        stream, peer, _, told = venue
        peer.sendall(text_frame(self.frame("5")))
        until(lambda: valid(stream, ["X"]), "the book")
        peer.sendall(text_frame(self.frame("6", 1001))[:20])
        until(lambda: not valid(stream, ["X"]), "its invalidity")
        until(lambda: told, "the error")
        assert isinstance(told[0][1], TransportError)

    def test_a_close_frame_loses_the_line(self, venue):
        stream, peer, _, told = venue
        peer.sendall(b"\x88\x02\x03\xe8")
        until(lambda: told, "the error")
        assert "closed" in str(told[0][1])
        assert stream.state == "connecting"


class TestLife:
    def test_close_is_quick_idempotent_and_final(self, exchange):
        stream = stream_to(exchange)
        stream.subscribe(Channel.BOOK, "BTCUSD")
        stream.start()
        until(lambda: valid(stream, ["BTCUSD"]), "the book")
        told = listen(stream, Channel.BOOK, "state")
        begin_s = time.monotonic()
        stream.close()
        assert time.monotonic() - begin_s < 1.0
        count = len(told)
        assert told[-1] == ("state", "closed")
        stream.close()
        until(lambda: exchange.connections == 0, "the end of the connections")
        assert len(told) == count
        assert not valid(stream, ["BTCUSD"])

    def test_close_before_start(self, exchange):
        stream = stream_to(exchange)
        stream.close()
        assert stream.state == "closed"
        with pytest.raises(UsageError, match="closed"):
            stream.start()

    def test_close_from_a_callback(self, exchange):
        stream = stream_to(exchange, "futures")
        stream.on(Channel.BOOK, lambda _: stream.close())
        stream.subscribe(Channel.BOOK, "BTCUSD")
        stream.start()
        until(lambda: stream.state == "closed", "the end")

    def test_close_while_waiting_to_dial_again(self):
        stream = Stream("futures", api_key="k", api_secret="s", ws_url="ws://127.0.0.1:1")
        told = listen(stream, "error")
        stream.start()
        until(lambda: len(told) >= 3, "some failed dials")
        begin_s = time.monotonic()
        stream.close()
        assert time.monotonic() - begin_s < 1.0
        assert stream.state == "closed"

    def test_a_callback_that_raises_is_reported_and_kept(self, exchange, caplog):
        def broken(book):
            raise KeyError("mine")

        with stream_to(exchange, "futures") as stream:
            told = listen(stream, "error")
            stream.on(Channel.BOOK, broken)
            stream.subscribe(Channel.BOOK, "BTCUSD")
            until(lambda: len(told) >= 2, "two reports")
            assert stream.state == "open"
        assert all(isinstance(error, KeyError) for _, error in told)
        assert "a callback for book raised" in caplog.text

    def test_what_a_stream_does_not_have_is_a_usage_error(self, exchange):
        with pytest.raises(UsageError, match="spot"):
            stream_to(exchange, "spot")
        with pytest.raises(UsageError, match="env"):
            Stream(api_key="k", api_secret="s", env="staging")
        stream = stream_to(exchange, "futures")
        with pytest.raises(UsageError, match="options"):
            stream.subscribe(Channel.BOOK, exchange.symbols("options")[0])
        with pytest.raises(UsageError, match="options"):
            stream.subscribe(Channel.CHAIN, "BTCUSD", end=1)
        stream.close()

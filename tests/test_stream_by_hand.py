"""The client against a venue typed byte by byte, for what the simulated exchange never does."""

import contextlib
import json
import math
import re
import time

import pytest

from coincall_fast import (
    AuthError,
    Channel,
    TransportError,
    VenueError,
)
from coincall_fast.backoff import Backoff
from coincall_fast.coincall import Dialect
from coincall_fast.streams import connection
from coincall_fast.streams.dialect import SECOND_NS
from streams import (
    PATIENCE_S,
    listening,
    text_frame,
    until,
    upgrade,
    valid,
)


class TestByHand:
    """A venue typed byte by byte, for what the simulated exchange never does."""

    @pytest.fixture
    def quick_to_despair(self, monkeypatch):
        """Silence of a second instead of five brings a heartbeat, and as much again the end."""
        monkeypatch.setattr(Dialect, "quiet_ns", SECOND_NS)

    @pytest.fixture
    def short_frames(self, monkeypatch):
        """A frame that has begun ends in 0.3 s instead of 2."""
        monkeypatch.setattr(connection, "FRAME_S", 0.3)

    @pytest.fixture
    def venue(self):
        with listening() as (server, stream, told):
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

    @pytest.mark.parametrize("drip", [b"{", b"\x89\x00"], ids=["a byte", "a ping"])
    def test_a_drip_does_not_keep_a_book_alive(self, quick_to_despair, venue, drip):
        """A byte, or a ping, now and then: no message ever comes, and that must show."""
        stream, peer, _, told = venue
        peer.sendall(text_frame(self.frame("5")))
        until(lambda: valid(stream, ["X"]), "the book")
        if drip == b"{":
            peer.sendall(b"\x81\x7e\x10\x00")  # a frame of 4096 bytes begins
        begin_s = time.monotonic()
        with contextlib.suppress(OSError):
            while valid(stream, ["X"]) and time.monotonic() - begin_s < 3.0:
                peer.sendall(drip)
                time.sleep(0.25)
        if drip == b"{":
            assert isinstance(told[0][1], TransportError)
        else:
            assert stream.state == "open"  # pings are a sign of life, and the age of the book tells
            assert stream.store["X"].age_ns(time.monotonic_ns()) > 2_500_000_000
        begin_s = time.monotonic()
        stream.close()
        assert time.monotonic() - begin_s < 1.0
        assert not valid(stream, ["X"])

    def test_what_waits_behind_slow_callbacks_is_late(self, venue):
        """Longer than a tick, after which the rest of what had come is taken up again."""
        stream, peer, _, _ = venue
        stream.on(Channel.BOOK, lambda _: time.sleep(0.02))
        peer.sendall(b"".join(text_frame(self.frame(1, ts_ms)) for ts_ms in range(1, 31)))
        until(lambda: stream.latency.book_ns().frames == 30, "all of them")
        assert stream.latency.callbacks_ns().max > 29 * 20e6
        assert stream.latency.book_ns().max > 28 * 20e6

    def test_a_ping_and_then_quiet_is_no_loss(self, short_frames, venue):
        stream, peer, _, told = venue
        peer.sendall(text_frame(self.frame("5")) + b"\x89\x02hi")
        time.sleep(1.0)
        assert valid(stream, ["X"])
        assert told == []

    def test_a_frame_of_a_tebibyte_is_not_waited_for(self, venue):
        _, peer, _, told = venue
        peer.sendall(b"\x81\x7f" + (1 << 40).to_bytes(8))
        until(lambda: told, "the error")
        assert "1099511627776" in str(told[0][1])

    def test_endless_fragments_are_not_waited_for(self, venue):
        _, peer, _, told = venue
        peer.sendall(b"\x01\x7e\xff\xff" + b" " * 65535)
        with contextlib.suppress(OSError):
            for _ in range(40):
                peer.sendall(b"\x00\x7e\xff\xff" + b" " * 65535)
        until(lambda: told, "the error")
        assert "more than 1048576 bytes" in str(told[0][1])

    def test_a_close_frame_loses_the_line(self, venue):
        stream, peer, _, told = venue
        peer.sendall(b"\x88\x02\x03\xe8")
        until(lambda: told, "the error")
        assert "closed" in str(told[0][1])
        assert stream.state == "connecting"


class TestDialByHand:
    def test_a_venue_that_stops_answering_is_given_up(self):
        """A server that accepts, upgrades and then says nothing at all, heartbeats included."""
        with listening() as (server, stream, told), stream:
            mute, _ = server.accept()
            upgrade(mute)
            stream.wait_open(PATIENCE_S)
            until(lambda: told, "the end of patience")
            again, _ = server.accept()
            again.close()
            mute.close()
        assert re.search(r"nothing heard for 1\d\.\d s", str(told[0][1]))

    def test_what_an_earlier_connection_was_told_is_no_refusal_of_this_one(self, monkeypatch):
        monkeypatch.setattr(Backoff, "LONGEST_S", 0.1)
        with listening() as (server, stream, told), stream:
            peer, _ = server.accept()
            with peer:
                upgrade(peer)
                peer.sendall(text_frame('{"c":999,"msg":"maintenance"}') + b"\x88\x02\x03\xe9")
                until(lambda: any(isinstance(one[1], AuthError) for one in told), "the refusal")
            server.close()
            until(lambda: sum(name == "error" for name, *_ in told) >= 7, "failed dials")
            assert stream.state == "connecting"
            assert sum(isinstance(one[1], AuthError) for one in told) == 1

    def test_every_dial_is_signed_anew(self):
        """Two dials a moment apart have two timestamps: a signature is never reused."""
        with listening() as (server, stream, _), stream:
            lines = []
            for _ in range(2):
                peer, _ = server.accept()
                with peer:
                    lines.append(upgrade(peer))
                time.sleep(0.01)
        times = [int(line.partition("&ts=")[2].partition("&")[0]) for line in lines]
        assert times[0] < times[1]
        assert abs(times[1] - time.time() * 1000) < 60_000

    @pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 500 No\r\n\r\n", b"\x00" * 64, b"HTTP/1.1"])
    def test_a_server_that_does_not_upgrade_is_a_transport_error(self, answer):
        with listening() as (server, stream, told), stream:
            peer, _ = server.accept()
            with peer:
                peer.recv(4096)
                peer.sendall(answer)
            until(lambda: told, "the error")
        assert type(told[0][1]) is TransportError

    @pytest.mark.parametrize("scheme", ["http", "ws"])
    def test_a_redirect_is_not_followed(self, scheme):
        """The signed address is for the host that it was signed for."""
        with listening() as (server, stream, told), stream:
            host, port = server.getsockname()
            place = f"{scheme}://{host}:{port}/elsewhere"
            peer, _ = server.accept()
            with peer:
                peer.recv(4096)
                peer.sendall(f"HTTP/1.1 302 Found\r\nLocation: {place}\r\n\r\n".encode())
                peer, _ = server.accept()
            with peer:
                assert peer.recv(4096).startswith(b"GET /futures?")  # the next dial, no errand
            assert type(told[0][1]) is TransportError

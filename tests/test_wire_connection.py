"""An open connection: what is lost, when, and what never blocks. Raw sockets on the other side."""

import contextlib
import select
import socket
import struct
import sys
import threading
import time

import pytest

from coincall_fast import Channel, TransportError
from coincall_fast.streams import connection as open_connection
from coincall_fast.streams.connection import GOODBYE_S, PINGS_PER_S, UNSENT
from streams import PATIENCE_S, listening, text_frame, until, upgrade, valid
from wire_echo import dialled, frames_until_close, serving, upgraded
from wire_frames import CLOSE, PING, PONG, TEXT, client_frames, close, frame

# Closed with this as SO_LINGER, a socket resets its connection.
RESET = struct.pack("hh" if sys.platform == "win32" else "ii", 1, 0)
BYE = (CLOSE, b"\x03\xe8")


class Clock:
    """The time that a connection sees, in seconds, set by hand; and a place for the real one."""

    def __init__(self):
        self.now_s = 1000.0

    def monotonic(self):
        return self.now_s

    def monotonic_ns(self):
        return round(self.now_s * 1e9)

    time_ns = monotonic_ns


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(open_connection, "time", clock)
    return clock


@pytest.fixture
def pair():
    """An open connection, and the other end of it."""
    with socket.create_server(("127.0.0.1", 0)) as server, contextlib.ExitStack() as opened:
        server.settimeout(PATIENCE_S)
        server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)  # to be full soon
        host, port = server.getsockname()
        accepted = []

        def accept():
            peer, _ = server.accept()
            accepted.append(opened.enter_context(peer))
            peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            peer.settimeout(PATIENCE_S)
            upgrade(peer)

        accepting = threading.Thread(target=accept)
        accepting.start()
        connection = opened.enter_context(contextlib.closing(dialled(f"ws://{host}:{port}/")))
        accepting.join()
        connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 16)
        yield connection, accepted[0]


def wait(connection):
    assert select.select([connection.socket], [], [], PATIENCE_S)[0], "nothing came"


def arrived(connection, count):
    """Waits until so many bytes lie in the socket."""
    until(lambda: len(connection.socket.recv(count, socket.MSG_PEEK)) == count, f"{count} bytes")


def read(connection):
    return [None if message is None else bytes(message) for message in connection.read()]


@contextlib.contextmanager
def counted(connection):
    """The calls of the system that receive meanwhile, as the room that each has."""
    calls = []

    class Counting:
        def recv_into(self, room):
            calls.append(len(room))
            return real.recv_into(room)

    real, connection._socket = connection.socket, Counting()
    try:
        yield calls
    finally:
        connection._socket = real


def stuff(connection):
    """Sends until the peer takes no more; how many messages that took."""
    for i in range(1000):
        connection.send(f"{i:9999d}")
        if connection.has_unsent and not select.select([], [connection.socket], [], 0.05)[1]:
            return i + 1
    raise AssertionError("there is no end to what the peer takes")


def lost(connection, match):
    """Reads until the connection is lost, which must be for that reason; gives what came before."""
    messages = list[bytes | None]()
    with pytest.raises(TransportError, match=match) as caught:  # noqa: PT012
        while True:
            wait(connection)
            messages.extend(m if m is None else bytes(m) for m in connection.read())
    with pytest.raises(TransportError):
        connection.send("after")
    assert caught.value.__cause__ is None
    return messages


class TestReading:
    def test_one_call_of_the_system_brings_many_messages(self, pair):
        connection, peer = pair
        data = frame(TEXT, b"x" * 100) * 1000
        peer.sendall(data)
        arrived(connection, len(data))
        with counted(connection) as calls:
            assert read(connection) == [b"x" * 100] * 1000
        assert len(calls) == 1

    def test_an_iteration_that_is_left_is_gone_on_with(self, pair):
        connection, peer = pair
        bodies = [b"%d" % i for i in range(100)]
        data = b"".join(frame(TEXT, body) for body in bodies)
        peer.sendall(data)
        arrived(connection, len(data))
        got = list[bytes]()
        assert not connection.has_more
        with counted(connection) as calls:
            while len(got) < 100:
                for message in connection.read():
                    got.append(bytes(message))
                    if len(got) % 9 == 0:
                        break
                assert connection.has_more is (len(got) < 100)
        assert got == bodies
        assert len(calls) == 1  # nothing is received as long as messages wait

    def test_nothing_is_nothing(self, pair):
        connection, _ = pair
        assert read(connection) == []
        assert not connection.has_more

    @pytest.mark.parametrize("control", [PING, PONG])
    def test_a_sign_of_life_is_none(self, pair, control):
        connection, peer = pair
        peer.sendall(frame(control, b"!") * 3)
        arrived(connection, 9)
        assert read(connection) == [None]
        peer.sendall(frame(control) + frame(TEXT, b"news"))
        arrived(connection, 8)
        assert read(connection) == [b"news"]

    def test_what_came_before_the_end_is_given(self, pair):
        connection, peer = pair
        peer.sendall(frame(TEXT, b"last") + frame(TEXT, b"half")[:3])
        peer.close()
        assert lost(connection, "hung up") == [b"last"]

    def test_what_came_before_a_reset_is_given(self, pair):
        connection, peer = pair
        peer.sendall(frame(TEXT, b"last"))
        wait(connection)
        assert read(connection) == [b"last"]
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        peer.close()
        assert lost(connection, "connection lost") == []

    def test_what_came_before_a_broken_rule_is_given(self, pair):
        connection, peer = pair
        peer.sendall(frame(TEXT, b"good") + frame(3) + frame(TEXT, b"late"))
        assert lost(connection, "opcode 3") == [b"good"]
        assert frames_until_close(peer) == [(CLOSE, b"\x03\xea")]

    def test_a_close_is_told_with_its_reason(self, pair):
        connection, peer = pair
        peer.sendall(close(1013, "später".encode()))
        assert lost(connection, "closed the connection with 1013 'später'") == []
        assert frames_until_close(peer) == [(CLOSE, (1013).to_bytes(2))]

    def test_a_message_is_over_when_the_next_is_asked_for(self, pair):
        connection, peer = pair
        peer.sendall(frame(TEXT, b"1") + frame(TEXT, b"2"))
        arrived(connection, 6)
        first, second = connection.read()
        for message in (first, second):
            with pytest.raises(ValueError, match="released"):
                bytes(message)


class TestPatience:
    @pytest.mark.parametrize("offset", [*range(1, 10), 150, 302, 303])
    def test_a_frame_that_stops_anywhere_loses_the_connection(self, pair, clock, offset):
        connection, peer = pair
        data = frame(TEXT, b"x" * 300)
        peer.sendall(data[:offset])
        arrived(connection, offset)
        assert read(connection) == []
        connection.tick()
        clock.now_s += 1.9
        connection.tick()
        clock.now_s += 0.2
        with pytest.raises(TransportError, match="a frame that does not end"):
            connection.tick()

    def test_a_frame_that_drips_is_as_late(self, pair, clock):
        connection, peer = pair
        data = frame(TEXT, b"x" * 300)
        with pytest.raises(TransportError, match="a frame that does not end"):  # noqa: PT012
            for i in range(100):
                peer.sendall(data[i : i + 1])
                wait(connection)
                read(connection)
                connection.tick()
                clock.now_s += 0.25
        assert clock.now_s == 1002.25

    def test_frames_that_end_are_never_late(self, pair, clock):
        """Every look finds half a frame, but never the same one."""
        connection, peer = pair
        data = frame(TEXT, b"x" * 300)
        peer.sendall(data[:100])
        for _ in range(20):
            wait(connection)
            read(connection)
            connection.tick()
            clock.now_s += 1.5
            peer.sendall(data[100:] + data[:100])

    def test_nothing_is_late_where_nothing_has_begun(self, pair, clock):
        connection, peer = pair
        peer.sendall(frame(TEXT, b"x"))
        wait(connection)
        read(connection)
        for _ in range(5):
            connection.tick()
            clock.now_s += 60

    def test_fragments_have_longer(self, pair, clock):
        connection, peer = pair
        peer.sendall(frame(TEXT, b"x", fin=False))
        with pytest.raises(TransportError, match="a message that does not end"):  # noqa: PT012
            for _ in range(100):
                wait(connection)
                read(connection)
                connection.tick()
                clock.now_s += 1.0
                peer.sendall(frame(0, b"y", fin=False) + frame(PING))
        assert clock.now_s == 1011.0


class TestSending:
    def test_a_peer_that_does_not_read_stops_nothing(self, pair):
        """Reading goes on while what is sent waits; and when it reads again, all is there."""
        connection, peer = pair
        count = stuff(connection)
        peer.sendall(frame(TEXT, b"news"))
        wait(connection)
        assert read(connection) == [b"news"]
        received = []
        reading = threading.Thread(target=lambda: received.extend(frames_until_close(peer)))
        reading.start()
        while connection.has_unsent:
            assert select.select([], [connection.socket], [], PATIENCE_S)[1]
            connection.flush()
        connection.say_goodbye()
        connection.close()
        reading.join()
        assert received == [*((TEXT, b"%9999d" % i) for i in range(count)), BYE]

    def test_only_so_much_waits(self, pair):
        connection, _ = pair
        with pytest.raises(TransportError, match=f"more than {UNSENT} bytes"):  # noqa: PT012
            for _ in range(100_000):
                connection.send("x" * 10_000)
        with pytest.raises(TransportError):
            connection.send("after")

    def test_only_so_long_it_waits(self, pair, clock):
        connection, _ = pair
        stuff(connection)
        connection.tick()
        clock.now_s += 2.1
        with pytest.raises(TransportError, match="unread for 2 s"):
            connection.tick()

    def test_a_peer_that_reads_slowly_is_not_lost(self, pair, clock):
        """The two seconds are for what waits, and begin anew when nothing does."""
        connection, peer = pair
        for _ in range(3):
            stuff(connection)
            clock.now_s += 1.5
            connection.tick()
            while connection.has_unsent:
                peer.recv(1 << 20)
                connection.flush()
            clock.now_s += 1.5
            connection.tick()

    def test_to_send_when_the_peer_is_gone_is_an_error_and_stays_one(self, pair):
        connection, peer = pair
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        peer.close()
        wait(connection)
        for _ in range(3):
            with pytest.raises(TransportError):
                connection.send("x")

    def test_masks_are_not_to_be_foreseen(self, pair):
        connection, peer = pair
        for _ in range(50):
            connection.send("")
        data = b""
        while len(data) < 300:
            data += peer.recv(300)
        assert len({data[i + 2 : i + 6] for i in range(0, 300, 6)}) == 50


class TestPings:
    def test_as_many_as_a_second_may_have(self, pair, clock):
        connection, peer = pair
        for _ in range(3):
            peer.sendall(frame(PING, b"?") * PINGS_PER_S)
            arrived(connection, 3 * PINGS_PER_S)
            assert read(connection) == [None]
            clock.now_s += 1.0
        data = b""
        while len(data) < 3 * PINGS_PER_S * 7:
            data += peer.recv(1 << 16)
        assert client_frames(data) == [(PONG, b"?")] * 3 * PINGS_PER_S

    @pytest.mark.parametrize("at_a_time", [1, 50, 101])
    def test_more_lose_the_connection(self, pair, at_a_time):
        connection, peer = pair
        with pytest.raises(TransportError, match=f"more than {PINGS_PER_S} pings"):  # noqa: PT012
            for _ in range(0, 102, at_a_time):
                peer.sendall(frame(PING, b"?") * at_a_time)
                arrived(connection, 3 * at_a_time)
                read(connection)
        assert frames_until_close(peer)[-1] == (CLOSE, (1008).to_bytes(2))

    def test_a_peer_that_reads_no_pongs_gets_the_last_alone(self, pair):
        connection, peer = pair
        stuff(connection)
        before = len(connection._unsent)
        peer.sendall(b"".join(frame(PING, b"%2d" % i) for i in range(50)))
        arrived(connection, 200)
        assert read(connection) == [None]
        assert len(connection._unsent) == before + 8
        assert client_frames(bytes(connection._unsent[-8:])) == [(PONG, b"49")]


class TestGoodbye:
    def test_the_peer_may_hang_up_first(self, monkeypatch):
        """It has not been reset when it answers, however long that takes it."""
        monkeypatch.setattr(open_connection, "GOODBYE_S", PATIENCE_S)

        def linger(peer):
            frames = frames_until_close(peer)
            for _ in range(5):
                time.sleep(0.01)
                peer.sendall(frame(TEXT, b"what was on its way"))
            return frames

        with serving(upgraded(linger)) as (url, said):
            connection = dialled(url)
            connection.say_goodbye()
            connection.close()
            assert said.result() == [BYE]

    def test_a_peer_that_goes_on_talking_is_left(self):
        """What we said gets there although bytes of the peer's are never read."""
        stop = threading.Event()

        def talk(peer):
            upgrade(peer)
            peer.setblocking(False)
            data = b""
            while not stop.is_set():
                with contextlib.suppress(OSError):
                    peer.send(frame(TEXT, b"x" * 1000))
                with contextlib.suppress(OSError):
                    data += peer.recv(100)
                if len(data) >= 8:
                    break
            return client_frames(data[:8])

        with serving(talk) as (url, said):
            connection = dialled(url)
            begin_s = time.monotonic()
            connection.say_goodbye()
            connection.close()
            assert time.monotonic() - begin_s < GOODBYE_S + PATIENCE_S / 2
            try:
                assert said.result(PATIENCE_S) == [BYE]
            finally:
                stop.set()

    def test_a_goodbye_to_nobody_is_quiet(self, pair):
        connection, peer = pair
        peer.close()
        connection.say_goodbye()
        connection.close()
        connection.say_goodbye()


class TestStream:
    """What the stream makes of it."""

    def book(self, bid, ts_ms):
        levels = f'"asks":[],"bids":[{{"pr":"{bid}","sz":"1"}}]'
        return f'{{"dt":32,"c":20,"d":{{"s":"X",{levels},"ts":{ts_ms}}}}}'

    def test_a_frame_that_breaks_off_before_its_symbol_clears_every_book(self):
        with listening() as (server, stream, told):
            stream.subscribe(Channel.BOOK, "X")
            with stream:
                peer, _ = server.accept()
                with peer:
                    upgrade(peer)
                    peer.sendall(text_frame(self.book(5, 1000)))
                    until(lambda: valid(stream, ["X"]), "the book")
                    peer.sendall(text_frame('{"dt":32,"d":{"asks":[],"bids":['))
                    until(lambda: told, "the error")
                    assert not valid(stream, ["X"])

    def test_a_callback_that_dawdles_holds_up_no_heartbeat(self):
        """A batch of messages is left when something is due, and gone on with after it."""
        with listening() as (server, stream, _):
            stream.subscribe(Channel.BOOK, "X")
            counts = []

            def dawdle(book):
                counts.append(book.ts_ms)
                time.sleep(0.05)

            stream.on(Channel.BOOK, dawdle)
            with stream:
                peer, _ = server.accept()
                with peer:
                    upgrade(peer)
                    peer.recv(4096)  # the subscription
                    books = [text_frame(self.book(5, 1000 + i)) for i in range(30)]
                    peer.sendall(b"".join(books))
                    until(lambda: counts, "a callback")
                    stream.subscribe(Channel.BOOK, "Y")
                    assert peer.recv(4096) != b""
                    assert len(counts) < 30
                    until(lambda: len(counts) == 30, "the rest")
                    assert counts == [1000 + i for i in range(30)]

    def test_what_is_not_taken_at_once_is_sent_later(self, monkeypatch):
        def later(connection, text):
            connection._put(TEXT, text.encode())

        monkeypatch.setattr(open_connection.Connection, "send", later)
        with listening() as (server, stream, _):
            stream.subscribe(Channel.BOOK, "X")
            with stream:
                peer, _ = server.accept()
                with peer:
                    peer.settimeout(PATIENCE_S)
                    upgrade(peer)
                    ((opcode, request),) = client_frames(peer.recv(4096))
                    assert opcode == TEXT
                    assert b"subscribe" in request

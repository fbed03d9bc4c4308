"""TLS by way of memory, against the sockets of `ssl` on the other side."""

import contextlib
import os
import random
import select
import socket
import ssl
import threading
import time

import pytest
import trustme

from coincall_fast.streams.connection import Address, Connection
from coincall_fast.tls import TlsSocket
from streams import PATIENCE_S, until
from wire_frames import TEXT, client_frames


@pytest.fixture(scope="module")
def contexts():
    """What a client needs, and what its server does."""
    authority = trustme.CA()
    client, server = ssl.create_default_context(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.configure_trust(client)
    authority.issue_cert("venue.test").configure_cert(server)
    return client, server


@pytest.fixture
def pair(contexts):
    """Both ends of a connection, the handshake done; the server's may wait."""
    client, server = contexts
    with socket.create_server(("127.0.0.1", 0)) as listening:
        ours = socket.create_connection(listening.getsockname())
        theirs, _ = listening.accept()
    for end in (ours, theirs):  # less than a record may be sent, and be taken by halves
        end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 13)
    theirs.settimeout(PATIENCE_S)
    ours.setblocking(False)
    secure = TlsSocket(ours, client, "venue.test")
    done = []
    greeting = threading.Thread(
        target=lambda: done.append(server.wrap_socket(theirs, server_side=True))
    )
    greeting.start()
    patiently(secure, secure.do_handshake)
    greeting.join()
    (peer,) = done
    with contextlib.closing(ours), peer:
        yield secure, peer


def patiently(secure, act, *args):
    while True:
        try:
            return act(*args)
        except BlockingIOError:
            assert select.select([secure], [], [], PATIENCE_S)[0], "nothing came"


@contextlib.contextmanager
def reading(peer, count):
    """Has the peer read so many bytes meanwhile."""
    heard = list[bytes]()

    def read():
        while sum(map(len, heard)) < count:
            heard.append(peer.recv(1 << 16))

    thread = threading.Thread(target=read)
    thread.start()
    yield heard
    thread.join()


def flush(secure):
    while secure.has_unsent:
        assert select.select([], [secure], [], PATIENCE_S)[1], "nothing is taken"
        with contextlib.suppress(BlockingIOError):
            assert secure.send(b"") == 0


def received(secure, count):
    data = b""
    while len(data) < count:
        data += patiently(secure, secure.recv, min(50_000, count - len(data)))
    return data


def test_all_bytes_both_ways_whatever_the_pieces(pair):
    """Both talk at once, more than the system takes; nobody waits for the other for ever."""
    secure, peer = pair
    chance = random.Random(7)
    out = chance.randbytes(1_000_000)
    back = chance.randbytes(1_000_000)
    heard = []

    def talk():
        at = 0
        while at < len(back):  # nothing is sent until it is read, so that neither end is stuck
            size = chance.randint(1, 60_000)
            heard.append(peer.recv(20_000))
            peer.sendall(back[at : at + size])
            at += size
        while sum(map(len, heard)) < len(out):
            heard.append(peer.recv(20_000))

    talking = threading.Thread(target=talk)
    talking.start()
    got, sent = bytearray(), 0
    while len(got) < len(back) or sent < len(out) or secure.has_unsent:
        with contextlib.suppress(BlockingIOError):
            sent += secure.send(out[sent : sent + 70_000])
        with contextlib.suppress(BlockingIOError):
            got += secure.recv(chance.randint(1, 30_000))
    talking.join()
    assert bytes(got) == back
    assert b"".join(heard) == out


def test_what_has_come_with_the_last_record_is_pending(pair):
    secure, peer = pair
    with contextlib.suppress(BlockingIOError):
        secure.recv(1)  # what the handshake left
    assert secure.pending() == 0
    peer.sendall(b"one")
    peer.sendall(b"two")
    with socket.fromfd(secure.fileno(), socket.AF_INET, socket.SOCK_STREAM) as below:
        assert select.select([below], [], [], PATIENCE_S)[0]
        until(lambda: len(below.recv(100, socket.MSG_PEEK)) >= 2 * (3 + 17))
    assert secure.recv(100) == b"one"
    assert secure.pending() > 0
    assert not select.select([secure], [], [], 0)[0]
    assert secure.recv(100) == b"two"
    assert secure.pending() == 0


def test_what_is_not_taken_is_kept_and_refuses_more(pair):
    secure, peer = pair
    sent = 0
    with pytest.raises(BlockingIOError):  # noqa: PT012
        while True:
            sent += secure.send(bytes(100_000))
    assert secure.has_unsent
    with reading(peer, sent) as heard:
        flush(secure)
    assert b"".join(heard) == bytes(sent)


@pytest.mark.parametrize("is_announced", [True, False])
def test_the_end_is_no_bytes_announced_or_not(pair, is_announced):
    secure, peer = pair
    peer.sendall(b"last words")
    if is_announced:
        peer.settimeout(0.0)
        with contextlib.suppress(ssl.SSLWantReadError):
            peer.unwrap()
    else:
        peer.close()
    assert received(secure, 10) == b"last words"
    assert patiently(secure, secure.recv, 10) == b""
    assert patiently(secure, secure.recv, 10) == b""


def test_a_record_that_was_changed_on_the_way_is_refused(contexts):
    client, _ = contexts
    ours, theirs = socket.socketpair()
    with contextlib.closing(ours), contextlib.closing(theirs):
        ours.setblocking(False)
        secure = TlsSocket(ours, client, "venue.test")
        theirs.sendall(b"\x16\x03\x03\x00\x04\xff\x00\x00\x00")
        with pytest.raises(ssl.SSLError):
            patiently(secure, secure.do_handshake)
        theirs.recv(1 << 16)  # what it said first
        assert ours.fileno() >= 0


def test_what_tls_holds_back_is_unsent_to_the_connection_too(pair):
    """A peer that does not read: the last bytes are encrypted already, and wait below."""
    secure, peer = pair
    connection = Connection(Address.parse("wss://venue.test"))
    connection._socket = secure
    count = 0
    while not connection.has_unsent:
        connection.send("x" * 1000)
        count += 1
    assert secure.has_unsent
    with reading(peer, count * 1008) as heard:
        while connection.has_unsent:
            assert select.select([], [secure], [], PATIENCE_S)[1]
            connection.flush()
    assert client_frames(b"".join(heard)) == [(TEXT, b"x" * 1000)] * count


def test_a_record_that_drips_does_not_keep_a_goodbye(pair):
    """The peer's bytes come one by one, and none of them makes a whole record."""
    secure, peer = pair
    connection = Connection(Address.parse("wss://venue.test"))
    connection._socket = secure
    raw = socket.socket(fileno=os.dup(peer.fileno()))
    ended = threading.Event()

    def drip():
        raw.sendall(b"\x17\x03\x03\x40\x00")  # the head of a record of 16 KiB
        while not ended.wait(0.02):
            raw.sendall(b"x")

    dripping = threading.Thread(target=drip)
    dripping.start()
    begin_s = time.monotonic()
    connection.say_goodbye(1002)
    took_s = time.monotonic() - begin_s
    ended.set()
    dripping.join()
    raw.close()
    assert took_s < 2.0

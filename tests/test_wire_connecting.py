"""From an address to an upgraded socket: everything that a dial may meet, on loopback."""

import base64
import contextlib
import datetime
import os
import select
import socket
import ssl
import sys
import threading
import time
from typing import Any

import pytest
import trustme
import websocket

from coincall_fast import TransportError, UsageError, connecting
from coincall_fast.streams import dial as dialling
from coincall_fast.streams.connection import Address, Connection, Proxy
from streams import PATIENCE_S, until, upgrade
from wire_echo import dialled, frames_until_close, messages_until_lost, serving, upgraded
from wire_frames import BINARY, TEXT, close, frame

PASSWORD = "p@ss/word"


@pytest.fixture
def soon(monkeypatch):
    """A dial that gives up after half a second."""
    monkeypatch.setattr(dialling, "DIAL_S", 0.5)


@pytest.fixture
def names(monkeypatch):
    """What the name server says: a list of places, or what it does."""
    answer: list[Any] = []

    def getaddrinfo(host, port, *_, **__):
        if callable(answer[0]):
            return answer[0]()
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", place) for place in answer]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    connecting._last_found.clear()
    yield answer
    connecting._last_found.clear()


@pytest.fixture
def black_hole():
    """A place that neither takes a connection nor refuses it: its queue is full."""
    if sys.platform != "linux":
        pytest.skip("what a full queue does is Linux's")
    with contextlib.ExitStack() as opened:
        full = opened.enter_context(socket.socket())
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for _ in range(4):
            filler = opened.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(full.getsockname())
        yield full.getsockname()


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


@pytest.fixture
def trusted(authority, tmp_path, monkeypatch):
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))


def secured(certificate, act):
    """`act` behind TLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)

    def secure_and_act(peer):
        with context.wrap_socket(peer, server_side=True) as secure:
            return act(secure)

    return secure_and_act


def wss(url):
    return url.replace("ws://", "wss://")


def refused(url, match, **options):
    """The dial must fail as a TransportError that says so; gives the seconds it took."""
    begin_s = time.monotonic()
    with pytest.raises(TransportError, match=match) as caught:
        dialled(url, **options)
    assert caught.value.__cause__ is None
    return time.monotonic() - begin_s


def until_hung_up(peer):
    """How many bytes came before."""
    count = 0
    with contextlib.suppress(OSError):
        while data := peer.recv(1 << 16):
            count += len(data)
    return count


class TestAddresses:
    def test_a_silent_address_holds_up_the_next_one_but_briefly(self, names, black_hole):
        with serving(upgraded(frames_until_close)) as (url, said):
            address = Address.parse(url)
            names[:] = [black_hole, (address.host, address.port)]
            begin_s = time.monotonic()
            with contextlib.closing(dialled(url)) as connection:
                connection.say_goodbye()
            assert time.monotonic() - begin_s < dialling.DIAL_S
            assert said.result() == [(8, b"\x03\xe8")]

    def test_one_refused_and_one_silent_before_the_one_that_answers(self, names, black_hole):
        with socket.socket() as nobody, serving(upgraded(frames_until_close)) as (url, _):
            nobody.bind(("127.0.0.1", 0))  # not listening: refused
            address = Address.parse(url)
            names[:] = [nobody.getsockname(), black_hole, (address.host, address.port)]
            dialled(url).close()

    def test_all_silent(self, names, black_hole, soon):
        names[:] = [black_hole] * 3
        before = descriptors()
        assert refused("ws://venue.test", "cannot connect to venue.test:80: not done") < PATIENCE_S
        assert descriptors() == before

    def test_all_refused(self, names):
        with socket.socket() as nobody:
            nobody.bind(("127.0.0.1", 0))
            names[:] = [nobody.getsockname()] * 3
            refused("ws://venue.test", "cannot connect to venue.test:80: .*refused")

    def test_no_address_at_all(self, names):
        names[:] = [list]
        refused("ws://venue.test", "no address")

    @pytest.mark.parametrize("host", ["no-such-host.invalid", "a" * 64 + ".test", "xn--a.test"])
    def test_a_name_that_is_none(self, host):
        refused(f"ws://{host}", "cannot connect")

    def test_a_name_server_that_is_silent(self, names, soon):
        asked = threading.Event()
        names[:] = [lambda: asked.wait(PATIENCE_S) and []]
        try:
            refused("ws://venue.test", "not done within 0.5 s")
        finally:
            asked.set()
        until(lambda: "coincall-fast names" not in {t.name for t in threading.enumerate()})

    @pytest.mark.parametrize("how", ["fails", "is silent"])
    def test_where_the_name_server_fails_the_last_addresses_do(self, names, how, monkeypatch):
        """Nobody should lose a venue because of a name server."""
        asked = threading.Event()

        def fail():
            raise socket.gaierror(socket.EAI_AGAIN, "try again")

        with serving(upgraded(frames_until_close)) as (url, _):
            names[:] = [(Address.parse(url).host, Address.parse(url).port)]
            dialled("ws://venue.test").close()
        with serving(upgraded(frames_until_close)) as (url, _):
            # The addresses as they were found, but for the port, which this test cannot have twice.
            (entry,) = connecting._last_found.values()
            entry[0] = (*entry[0][:4], (Address.parse(url).host, Address.parse(url).port))
            names[:] = [fail if how == "fails" else lambda: asked.wait(PATIENCE_S) and []]
            monkeypatch.setattr(dialling, "DIAL_S", 2.0)
            dialled("ws://venue.test").close()
        asked.set()
        until(lambda: "coincall-fast names" not in {t.name for t in threading.enumerate()})


class TestDeadline:
    """One for all: whatever drips or is silent ends the dial, and costs no signature."""

    def test_an_upgrade_that_drips(self, soon):
        def drip(peer):
            until_upgrade_is_asked(peer)
            with contextlib.suppress(OSError):
                for byte in b"HTTP/1.1 101 Switching Protocols\r\n" + b"X: y\r\n" * 10_000:
                    peer.sendall(bytes([byte]))
                    if select.select([peer], [], [], 0.01)[0]:
                        return

        with serving(drip) as (url, _):
            refused(url, "did not upgrade")

    def test_a_head_that_does_not_end(self):
        def pour(peer):
            until_upgrade_is_asked(peer)
            sent = 0
            with contextlib.suppress(OSError):
                peer.sendall(b"HTTP/1.1 101 Switching Protocols\r\nX: ")
                while sent < 1 << 26:
                    sent += peer.send(b"y" * 4096)
            return sent

        with serving(pour) as (url, sent):
            refused(url, "did not upgrade")
            assert sent.result() < 1 << 26

    def test_a_body_that_is_too_long(self):
        def pour(peer):
            until_upgrade_is_asked(peer)
            peer.sendall(b"HTTP/1.1 500 No\r\nContent-Length: 100000000000\r\n\r\n")
            return until_hung_up(peer)

        with serving(pour) as (url, _):
            refused(url, "did not upgrade")

    def test_a_tls_server_that_is_silent(self, soon):
        signed = []

        def sign(url):
            signed.append(url)
            return url

        with serving(until_hung_up) as (url, count):
            connection = Connection(Address.parse(wss(url)))
            with pytest.raises(TransportError, match="not done within"):
                connection.dial(sign)
            assert count.result() > 0  # it was greeted
        assert signed == []

    def test_an_upgrade_that_is_never_answered(self, soon):
        with serving(until_hung_up) as (url, count):
            refused(url, "did not upgrade")
            assert count.result() > 0

    @pytest.mark.parametrize("phase", ["names", "tcp"])
    def test_a_cut_ends_it_at_once_before_there_is_a_connection(self, phase, names, request):
        asked = threading.Event()
        if phase == "tcp":
            names[:] = [request.getfixturevalue("black_hole")]
        else:
            names[:] = [lambda: asked.wait(PATIENCE_S) and []]
        self.cut_short("ws://venue.test")
        asked.set()

    @pytest.mark.parametrize("phase", ["tls", "upgrade"])
    def test_a_cut_ends_it_at_once(self, phase):
        with serving(until_hung_up) as (url, count):
            self.cut_short(wss(url) if phase == "tls" else url)
            assert count.result() > 0

    def cut_short(self, url):
        connection = Connection(Address.parse(url))
        timer = threading.Timer(0.2, connection.cut)
        timer.start()
        with pytest.raises(TransportError) as caught:
            connection.dial(lambda url: url)
        assert "not done within" not in str(caught.value)
        timer.join()


def until_upgrade_is_asked(peer):
    request = b""
    while b"\r\n\r\n" not in request:
        request += peer.recv(4096)
    return request


def descriptors():
    return len(os.listdir("/proc/self/fd")) if os.path.exists("/proc/self/fd") else 0


class TestUpgrade:
    @pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
    @pytest.mark.parametrize("to_itself", [True, False])
    def test_no_redirect_is_followed(self, status, to_itself):
        with socket.create_server(("127.0.0.1", 0)) as elsewhere:
            elsewhere.setblocking(False)
            there = elsewhere.getsockname()

            def send_away(peer):
                until_upgrade_is_asked(peer)
                host, port = peer.getsockname() if to_itself else there
                peer.sendall(b"HTTP/1.1 %d Away\r\nLocation: ws://%s:%d/\r\n\r\n"
                             % (status, host.encode(), port))  # fmt: skip

            with serving(send_away) as (url, done):
                refused(url, "did not upgrade")
                done.result()
            with pytest.raises(BlockingIOError):
                elsewhere.accept()

    def test_no_cookie_is_kept(self):
        """One of account A would go along with account B's upgrade, from the same process."""
        seen = []

        def with_cookie(peer):
            talking = Extra(peer, b"Set-Cookie: session=A; Domain=127.0.0.1\r\n\r\n")
            upgrade(talking)
            seen.append(talking.heard)
            return frames_until_close(peer)

        for _ in range(2):
            with serving(with_cookie) as (url, said):
                with contextlib.closing(dialled(url)) as connection:
                    connection.say_goodbye()
                assert said.result()
        assert len(seen) == 2
        assert all(b"upgrade: websocket" in head.lower() for head in seen)
        assert all(b"cookie" not in head.lower() for head in seen)

    @pytest.mark.parametrize("chosen", ["Extensions: permessage-deflate", "Protocol: chat"])
    def test_what_nobody_offered_is_refused(self, chosen):
        def choose(peer):
            upgrade(Extra(peer, f"Sec-WebSocket-{chosen}\r\n\r\n".encode()))

        with serving(choose) as (url, _):
            refused(url, "nobody offered")

    @pytest.mark.parametrize("wrong", [b"Upgrade: websocket", b"Connection: Upgrade", b"Accept: "])
    def test_an_answer_that_is_no_upgrade(self, wrong):
        def answer(peer):
            upgrade(Extra(peer, b"\r\n", drop=wrong))
            return until_hung_up(peer)

        with serving(answer) as (url, _):
            refused(url, "did not upgrade")

    @pytest.mark.parametrize("count", [1, 100])
    def test_frames_right_behind_the_upgrade_are_read(self, count):
        def at_once(peer):
            upgrade(Extra(peer, b"\r\n" + frame(TEXT, b"first") * count + close(1000)))
            return frames_until_close(peer)

        with serving(at_once) as (url, _):
            *messages, lost = [
                item if isinstance(item, TransportError) else bytes(item)
                for item in messages_until_lost(dialled(url))
            ]
            assert messages == [b"first"] * count
            assert "1000" in str(lost)

    def test_a_trace_is_refused(self):
        websocket.enableTrace(True, handler=None)
        try:
            with pytest.raises(UsageError, match="enableTrace"):
                dialled("ws://127.0.0.1:1")
        finally:
            websocket.enableTrace(False)


class Extra:
    """A peer whose answer to an upgrade ends differently, or lacks a line."""

    def __init__(self, peer, end, drop=b"\0"):
        self.heard = b""
        self._peer = peer
        self._end = end
        self._drop = drop

    def recv(self, size):
        received = self._peer.recv(size)
        self.heard += received
        return received

    def sendall(self, data):
        lines = data.split(b"\r\n")[:-2]
        kept = [line for line in lines if self._drop not in line]
        self._peer.sendall(b"\r\n".join([*kept, self._end]))


class TestSystem:
    def test_what_the_system_is_told(self):
        with serving(upgraded(frames_until_close)) as (url, _):
            connection = dialled(url)
            told = connection.socket
            assert told.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
            assert told.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
            if sys.platform == "linux":
                timeout_ms = told.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT)
                assert timeout_ms == 10_000
                assert told.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 10
            assert told.getblocking() is False
            connection.say_goodbye()
            connection.close()

    def test_the_environment_has_no_say(self, authority, trusted, monkeypatch, tmp_path):
        for name in ("http_proxy", "https_proxy", "all_proxy", "WS_PROXY", "HTTPS_PROXY"):
            monkeypatch.setenv(name, "http://127.0.0.1:1")
        monkeypatch.setenv("SSLKEYLOGFILE", str(tmp_path / "keys"))
        act = secured(authority.issue_cert("127.0.0.1"), upgraded(frames_until_close))
        with serving(act) as (url, said):
            connection = dialled(wss(url))
            connection.say_goodbye()
            connection.close()
            assert said.result()
        assert not (tmp_path / "keys").exists()


class TestTls:
    def test_only_a_certificate_that_is_right_will_do(self, authority, trusted):
        ages_ago = datetime.datetime(2001, 1, 1, tzinfo=datetime.UTC)
        wrong = {
            "self.signed|unable to get": trustme.CA().issue_cert("127.0.0.1"),
            "mismatch|not valid for": authority.issue_cert("venue.test"),
            "expired": authority.issue_cert("127.0.0.1", not_after=ages_ago),
        }
        for reason, certificate in wrong.items():
            with serving(secured(certificate, until_upgrade_is_asked)) as (url, request):
                refused(wss(url), f"cannot connect.*({reason})")
                with pytest.raises(OSError, match=r"ALERT|alert|EOF|closed|reset"):
                    request.result()

    def test_an_old_tls_will_not_do(self, authority, trusted):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("127.0.0.1").configure_cert(context)
        context.set_ciphers("ALL:@SECLEVEL=0")
        with pytest.warns(DeprecationWarning, match="TLSv1_1"):
            context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1

        def act(peer):
            with contextlib.suppress(OSError):
                context.wrap_socket(peer, server_side=True).close()

        with serving(act) as (url, _):
            refused(wss(url), "cannot connect")

    def test_messages_of_every_size_come_whole_and_in_order(self, authority, trusted):
        bodies = [bytes([i % 256]) * (i * i % 40_000) for i in range(300)]

        def act(peer):
            upgrade(peer)
            peer.sendall(b"".join(frame(BINARY, body) for body in bodies) + close(1000))
            return frames_until_close(peer)

        with serving(secured(authority.issue_cert("127.0.0.1"), act)) as (url, said):
            connection = dialled(wss(url))
            connection.send("hello")
            *got, lost = [
                item if isinstance(item, TransportError) else bytes(item)
                for item in messages_until_lost(connection)
            ]
            assert got == bodies
            assert "1000" in str(lost)
            assert said.result() == [(TEXT, b"hello"), (8, b"\x03\xe8")]

    def test_what_tls_holds_is_not_waited_for(self, authority, trusted):
        """The rest of a record, of which the socket shows nothing."""

        def act(peer):
            upgrade(peer)
            peer.recv(100)
            peer.sendall(frame(TEXT, b"x" * 10) * 100)
            return frames_until_close(peer)

        with (
            serving(secured(authority.issue_cert("127.0.0.1"), act)) as (url, _),
            contextlib.closing(dialled(wss(url))) as connection,
        ):
            assert list(connection.read()) == []
            assert not connection.has_more
            connection.send("go")
            first = until(lambda: received(connection.socket, 12))
            assert first == frame(TEXT, b"x" * 10)
            assert connection.has_more
            assert not select.select([connection.socket], [], [], 0)[0]
            assert [bytes(message) for message in connection.read()] == [b"x" * 10] * 99
            assert not connection.has_more
            connection.say_goodbye()

    def test_one_read_takes_all_records(self, authority, trusted):
        def act(peer):
            upgrade(peer)
            peer.recv(100)
            for i in range(10):
                peer.sendall(frame(TEXT, b"%d" % i * 1000))
            return frames_until_close(peer)

        with (
            serving(secured(authority.issue_cert("127.0.0.1"), act)) as (url, _),
            contextlib.closing(dialled(wss(url))) as connection,
            socket.fromfd(connection.socket.fileno(), socket.AF_INET, socket.SOCK_STREAM) as below,
        ):
            connection.send("go")
            assert select.select([below], [], [], PATIENCE_S)[0]
            until(lambda: len(below.recv(1 << 16, socket.MSG_PEEK)) > 10 * 1000)
            assert [bytes(m) for m in connection.read()] == [b"%d" % i * 1000 for i in range(10)]
            connection.say_goodbye()


def received(secure, count):
    """The next bytes under TLS; None while only the housekeeping of TLS has come."""
    try:
        return secure.recv(count)
    except BlockingIOError:
        return None


class TestProxy:
    def tunnel(self, answer=b"HTTP/1.1 200 OK\r\n\r\n"):
        """A proxy by hand: the head that it got, and then everything to and fro."""

        def act(peer):
            head = until_upgrade_is_asked(peer)
            peer.sendall(answer)
            place = head.split(b" ")[1].decode().rpartition(":")
            if b" 200 " in answer:
                with socket.create_connection((place[0], int(place[2]))) as there:
                    other = {peer: there, there: peer}
                    while ready := select.select([peer, there], [], [], PATIENCE_S)[0]:
                        data = ready[0].recv(1 << 16)
                        if not data:
                            break
                        other[ready[0]].sendall(data)
            return head

        return act

    @pytest.mark.parametrize("is_secure", [False, True])
    def test_a_tunnel(self, authority, trusted, is_secure):
        act = upgraded(frames_until_close)
        if is_secure:
            act = secured(authority.issue_cert("127.0.0.1"), act)
        with serving(act) as (url, said), serving(self.tunnel()) as (proxy_url, head):
            address = Address.parse(url)
            place = proxy_url.removeprefix("ws://").rstrip("/")
            proxy = Proxy(f"http://me:{PASSWORD.replace('@', '%40').replace('/', '%2F')}@{place}")
            connection = dialled(wss(url) if is_secure else url, proxy=proxy)
            connection.send("through")
            connection.say_goodbye()
            connection.close()
            assert said.result()[0] == (TEXT, b"through")
        lines = head.result().split(b"\r\n")
        assert lines[0] == f"CONNECT {address.host}:{address.port} HTTP/1.1".encode()
        basic = base64.b64encode(f"me:{PASSWORD}".encode())
        assert b"Proxy-Authorization: Basic " + basic in lines
        assert PASSWORD not in repr(proxy) + str(proxy)

    def test_a_proxy_that_refuses(self):
        answer = b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n"
        with serving(self.tunnel(answer)) as (proxy_url, _):
            proxy = Proxy(proxy_url.replace("ws://", f"http://me:{PASSWORD[:1]}ass@"))
            with pytest.raises(TransportError, match="407") as caught:
                dialled("ws://venue.test", proxy=proxy)
            assert "ass" not in str(caught.value).replace("password", "")

    def test_a_proxy_that_is_silent(self, soon):
        with serving(until_hung_up) as (proxy_url, count):
            proxy = Proxy(proxy_url.replace("ws://", "http://"))
            refused("ws://venue.test", "cannot connect", proxy=proxy)
            assert count.result() > 0

    @pytest.mark.parametrize(
        "url", ["", "localhost:80", "https://x", "socks5://x", "http://x:port"]
    )
    def test_what_is_no_proxy(self, url):
        with pytest.raises(UsageError, match="proxy"):
            Proxy(url)

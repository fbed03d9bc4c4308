"""Sockets of our own, under orders: any answer is read as requests reads it, and no connection that
the venue has closed carries a request."""

import contextlib
import gzip
import http.client
import math
import os
import select
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any, cast

import pytest
import requests
from requests.adapters import HTTPAdapter

from coincall_fast import Client, Timeout, TransportError
from coincall_fast.rest import direct
from coincall_fast.rest.connection import Connection
from coincall_fast.rest.direct import Direct
from coincall_fast.rest.exchange import Place
from coincall_fast.rest.http import Http
from coincall_fast.signing import Hidden
from rest_clients import WIDE, cancel, connected
from streams import until
from stub_server import AUTHORITY, KEY, SECRET, Asked, Raw, Stub, bytes_server, envelope, serving

LIMITS = Timeout(5.0, 5.0, 10.0)
BODY = b'{"code":0,"data":5}'
OK = b"HTTP/1.1 200 OK\r\n"
LENGTH = b"Content-Length: %d\r\n" % len(BODY)
PLAIN = OK + LENGTH + b"\r\n" + BODY
PACKED = gzip.compress(BODY)
CHUNKED = b"9;x=y\r\n%b\r\na\r\n%b\r\n0\r\n\r\n" % (BODY[:9], BODY[9:])

# The bytes of an answer; whether the connection may be used again; whether requests reads it so.
ANSWERS: dict[str, tuple[bytes, bool]] = {
    "plain": (PLAIN, True),
    "other spellings": (OK + LENGTH.lower().replace(b": ", b":") + b"\r\n" + BODY, True),
    "many headers": (OK + b"X-Y: z\r\n" * 60 + LENGTH + b"a: \x80\xff\r\n\r\n" + BODY, True),
    "said to be kept": (OK + LENGTH + b"Connection: keep-alive\r\n\r\n" + BODY, True),
    "said to be closed": (OK + LENGTH + b"Connection: close\r\n\r\n" + BODY, False),
    "said to be Closed": (OK + b"connection:Close\r\n" + LENGTH + b"\r\n" + BODY, False),
    "of HTTP/1.0": (b"HTTP/1.0 200 OK\r\n" + LENGTH + b"\r\n" + BODY, False),
    "until the end": (OK + b"\r\n" + BODY, False),
    "in chunks": (OK + b"Transfer-Encoding: chunked\r\n\r\n" + CHUNKED, True),
    "in chunks, with a length": (
        OK + LENGTH + b"Transfer-Encoding: chunked\r\n\r\n" + CHUNKED,
        True,
    ),
    "packed": (
        OK + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(PACKED) + PACKED,
        True,
    ),
    "after 100": (b"HTTP/1.1 100 Continue\r\n\r\n" + PLAIN, True),
    "refused": (PLAIN.replace(b"200 OK", b"503 no"), True),
    "too many": (
        b"HTTP/1.1 429 no\r\nRetry-After: 7\r\n" + LENGTH + b"\r\n" + BODY,
        True,
    ),
    "a redirect": (b"HTTP/1.1 302 there\r\nLocation: /x\r\n" + LENGTH + b"\r\n" + BODY, True),
    "nothing": (b"HTTP/1.1 204 none\r\n\r\n", True),
    "an empty body": (OK + b"Content-Length: 0\r\n\r\n", True),
    "no JSON": (OK + b"Content-Length: 5\r\n\r\n<html", True),
    "a folded header": (OK + b"X: y\r\n and z\r\n" + LENGTH + b"\r\n" + BODY, True),
    "without carriage returns": (PLAIN.replace(b"\r\n", b"\n"), True),
}


@contextmanager
def by_hand(*answers: bytes, pause_s: float = 0.0) -> Iterator[tuple[str, list[bytes]]]:
    """A server that gives these, one a request, whatever is asked, and closes behind them. Gives
    its address, and the connections' requests in one."""
    asked: list[bytes] = []

    def serve(opened: socket.socket) -> None:
        asked.append(b"")
        here = len(asked) - 1
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for answer in answers:
            head = b""
            while b"\r\n\r\n" not in head:
                piece = opened.recv(65536)
                if not piece:
                    return
                head += piece
            asked[here] += head
            pieces = [answer[i : i + 1] for i in range(len(answer))] if pause_s else [answer]
            for piece in pieces:
                opened.sendall(piece)
                time.sleep(pause_s)

    with bytes_server(serve) as url:
        yield url, asked


def straight_to(url: str) -> contextlib.closing[Direct]:
    return contextlib.closing(Direct(Place.parse(url), LIMITS, True))


def get(way: Direct | Http) -> Any:
    return way.send("GET", "/x?y=1", Hidden(sign="s"), None, time.monotonic() + 20)


@pytest.mark.parametrize("name", ANSWERS)
def test_answers_are_read_as_requests_reads_them(name: str) -> None:
    """Whole and byte by byte; and then the next one, on a connection that is where it should be."""
    answer, is_kept = ANSWERS[name]
    with by_hand(*([answer, PLAIN] if is_kept else [answer])) as (url, asked):
        place = Place.parse(url)
        ours, theirs = Direct(place, LIMITS, True), Http(place, LIMITS)
        with contextlib.closing(ours), contextlib.closing(theirs):
            expected = get(theirs)
            assert get(ours) == expected
            before = len(asked)
            assert get(ours).body == (BODY if is_kept else expected.body)
            assert len(asked) == before + (0 if is_kept else 1)
    with by_hand(answer, pause_s=1e-6) as (url, _), straight_to(url) as ours:
        assert get(ours) == expected


@pytest.mark.parametrize(
    "early", [b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n", b"HTTP/1.1 102 wait\r\n\r\n" * 9]
)
def test_what_comes_before_the_answer(early: bytes) -> None:
    """requests would take it for the answer."""
    with by_hand(early + PLAIN, PLAIN) as (url, asked):
        with straight_to(url) as ours:
            assert (get(ours).body, get(ours).body) == (BODY, BODY)
        assert len(asked) == 1


@pytest.mark.parametrize("more", [b"x", PLAIN, b"\r\n"])
def test_what_comes_behind_an_answer(more: bytes) -> None:
    """The next request does not take it for its own."""
    for answer in (PLAIN, ANSWERS["in chunks"][0], ANSWERS["refused"][0]):
        with by_hand(answer + more, PLAIN) as (url, asked):
            with straight_to(url) as ours:
                get(ours)
                get(ours)
            assert len(asked) == 2


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (b"", "RemoteDisconnected"),
        (b"rubbish\r\n\r\n", "BadStatusLine"),
        (PLAIN[:-1], "half an answer"),
        (OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nab", "half an answer"),
        (OK + b"X" * 70_000, "LineTooLong"),
        (OK + b"X: y\r\n" * 200 + b"\r\n", "HTTPException"),
        (OK + b"Content-Length: 99999999999\r\n\r\n", "more than 8388608 bytes"),
        (OK + b"\r\n" + b"x" * (9 << 20), "more than 8388608 bytes"),
        (OK + b"Content-Length: 9\r\n\r\n\x1f\x8bno gzip", "what it has packed cannot be unpacked"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_what_is_no_answer(said: bytes, told: str) -> None:
    with by_hand(said) as (url, _), straight_to(url) as ours:
        with pytest.raises(TransportError, match=f"GET /x: no answer: {told}") as caught:
            get(ours)
        assert caught.value.is_sent
        assert not ours._idle


def test_what_is_sent() -> None:
    """By the letter, so that nobody else's headers come along."""
    with by_hand(PLAIN, PLAIN) as (url, asked), straight_to(url + "/root/") as ours:
        get(ours)
        ours.send("POST", "/a", Hidden({"ts": "1"}), b'{"x":"\xc3\xa9"}', math.inf)
    agent = f"coincall-fast/{version('coincall-fast')}"
    always = (
        f"Host: {url.removeprefix('http://')}\r\nUser-Agent: {agent}\r\n"
        "Accept: application/json\r\nAccept-Encoding: identity\r\n"
    )
    first = f"GET /root/x?y=1 HTTP/1.1\r\n{always}sign: s\r\n\r\n"
    second = f"POST /root/a HTTP/1.1\r\n{always}ts: 1\r\nContent-Length: 10\r\n\r\n"
    until(lambda: asked[0].endswith(b"}"), "all of it")
    assert asked[0] == first.encode() + second.encode() + b'{"x":"\xc3\xa9"}'


class Clocked:
    """What a connection uses of a socket: tells for how long it may wait."""

    def __init__(self) -> None:
        self.may_wait_s: list[float] = []
        self.settimeout = self.may_wait_s.append

    def send(self, data: bytes) -> int:
        return 100

    def recv(self, size: int) -> bytes:
        return b""


@pytest.mark.parametrize(("left_s", "read_s"), [(5.0, 60.0), (60.0, 5.0)])
def test_no_wait_is_longer_than_the_deadline_or_the_silence(left_s: float, read_s: float) -> None:
    opened = Clocked()
    one = Connection(cast(socket.socket, opened), read_s, 10.0)
    with pytest.raises(http.client.RemoteDisconnected):
        one.exchange("GET", b"x" * 150, time.monotonic() + left_s)
    assert len(opened.may_wait_s) >= 3
    assert all(0.0 < wait_s <= 5.0 for wait_s in opened.may_wait_s)
    with pytest.raises(TimeoutError):
        one.exchange("GET", b"x", time.monotonic())


# Connections that are kept


@contextmanager
def counting(
    answer: Raw | None = None, *, is_secure: bool = False, **how: Any
) -> Iterator[tuple[Stub, Client, set[threading.Thread]]]:
    """A stub and a client whose clock is known, and the stub's threads: one a connection."""
    connections: set[threading.Thread] = set()

    def handle(asked: Asked) -> Raw:
        connections.add(threading.current_thread())
        return answer or envelope()

    tls = AUTHORITY.issue_cert("127.0.0.1") if is_secure else None
    with connected(handle, tls=tls, **how) as (stub, client):
        client._rest._ask_s = math.inf  # leave /time out of it
        yield stub, client, connections


@pytest.fixture
def trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    AUTHORITY.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "ca.pem"))


def idle(client: Client) -> Any:
    way = client._rest._urgent
    assert isinstance(way, Direct)
    return way._idle


def has_something(one: Any) -> bool:
    """Whether anything has come over an idle connection."""
    return bool(select.select([one._opened], [], [], 0)[0])


@pytest.mark.parametrize("is_secure", [False, True], ids=["http", "https"])
def test_a_connection_is_used_again(trusted: None, is_secure: bool) -> None:
    with counting(is_secure=is_secure) as (stub, client, connections):
        for _ in range(20):
            cancel(client)
        assert (len(stub.asked), len(connections)) == (20, 1)


@pytest.mark.parametrize("is_secure", [False, True], ids=["http", "https"])
def test_a_connection_that_was_closed_while_idle(trusted: None, is_secure: bool) -> None:
    """The close has come before the order: it goes over another connection, with no doubt left."""
    answer = envelope()._replace(close=True)  # nothing announces it
    with counting(answer, is_secure=is_secure) as (stub, client, connections):
        for n in range(1, 6):
            cancel(client)
            (kept,) = idle(client)
            until(lambda kept=kept: has_something(kept), "the close")
            assert len(stub.asked) == n
        assert len(connections) == 5


def test_rubbish_on_an_idle_connection() -> None:
    """Such as the 408 of a server that has waited for long enough."""
    late = threading.Event()

    def serve(opened: socket.socket) -> None:
        opened.recv(65536)
        opened.sendall(PLAIN)
        late.wait(20)
        opened.sendall(PLAIN.replace(b"5}", b"6}"))
        opened.recv(65536)

    with bytes_server(serve) as url, straight_to(url) as ours:
        get(ours)
        kept = ours._idle[0]
        late.set()
        until(lambda: has_something(kept), "the rubbish")
        assert get(ours).body == BODY
        assert kept not in ours._idle


def test_a_venue_that_announces_the_close() -> None:
    answer = envelope()._replace(headers={"Connection": "close"}, close=True)
    with counting(answer) as (stub, client, connections):
        for _ in range(3):
            cancel(client)
            assert not idle(client)
        assert (len(stub.asked), len(connections)) == (3, 3)


@pytest.mark.parametrize(
    ("headers", "idle_s", "count"),
    [
        ({}, direct.IDLE_S - 1, 1),
        ({}, direct.IDLE_S + 1, 2),
        ({"Keep-Alive": "timeout=5, max=100"}, 3.0, 1),
        ({"Keep-Alive": "timeout=5, max=100"}, 4.5, 2),
        ({"Keep-Alive": "max=100,timeout=x"}, direct.IDLE_S - 1, 1),
        ({"Keep-Alive": "timeout=86400"}, direct.IDLE_S + 1, 2),
    ],
)
def test_a_connection_that_is_too_old(headers: dict[str, str], idle_s: float, count: int) -> None:
    """The venue may be closing it at this very moment."""
    with counting(envelope()._replace(headers=headers)) as (_, client, connections):
        cancel(client)
        idle(client)[0].since_s -= idle_s
        cancel(client)
        assert len(connections) == count


def test_warm_connections() -> None:
    """They stand before the first order, and are used before the venue takes them for idle."""
    connections: set[threading.Thread] = set()
    with serving(lambda asked: envelope()) as stub:
        handle = stub.handle

        def count(asked: Asked) -> Raw:
            connections.add(threading.current_thread())
            return handle(asked)

        stub.handle = count  # type: ignore[method-assign]
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(direct, "WARM_S", 0.05)
            with Client(KEY, SECRET, rest_url=stub.url, rates=WIDE) as client:
                client.warm(3)
                assert (len(idle(client)), len(connections)) == (3, 3)
                cancel(client)
                asked = stub.times_asked
                until(lambda: stub.times_asked >= asked + 9, "being kept warm")
                cancel(client)
                assert len(connections) == 3
        asked = stub.times_asked
        assert "coincall-fast warm" not in {thread.name for thread in threading.enumerate()}
        assert stub.times_asked == asked


def test_warm_connections_that_the_venue_closes() -> None:
    """Others take their place before anybody wants one."""
    with counting() as (stub, client, _), pytest.MonkeyPatch.context() as patch:
        patch.setattr(direct, "WARM_S", 0.05)
        client.warm(2)
        first = set(idle(client))
        for kept in first:
            kept._opened.shutdown(socket.SHUT_RD)  # as if the close had come
        until(lambda: len(idle(client)) == 2 and not first & set(idle(client)), "other ones")
        cancel(client)
        assert len(stub.asked) == 1


def test_nobody_to_be_warm_with() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
    cannot = pytest.raises(TransportError, match="cannot send a request: Connection refused")
    with Client(KEY, SECRET, rest_url=url) as client, cannot:
        client.warm()


def test_threads_get_their_own_answers() -> None:
    """Each exchange has a connection to itself."""
    wrong = []

    def answer(asked: Asked) -> Raw:
        time.sleep(0.001)
        return envelope(int(asked.path.rpartition("/")[2]))

    with serving(answer) as stub, straight_to(stub.url) as ours:

        def ask(first: int) -> None:
            for n in range(first, first + 40):
                body = ours.send("GET", f"/{n}", Hidden(), None, math.inf).body
                if b'"data": %d}' % n not in body:
                    wrong.append((n, body))

        threads = [threading.Thread(target=ask, args=(1000 * n,)) for n in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert wrong == []
        assert len(ours._idle) <= 8


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_child_dials_anew_for_its_orders() -> None:
    with counting() as (stub, client, connections):
        cancel(client)
        child = os.fork()
        if child == 0:
            ok = False
            try:
                cancel(client)
                ok = True
            finally:
                os._exit(0 if ok else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        cancel(client)
        assert (len(stub.asked), len(connections)) == (3, 2)


# Whoever wants requests


class Adapter(HTTPAdapter):
    """A user's own."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[str] = []

    def send(self, request: requests.PreparedRequest, *more: Any, **how: Any) -> requests.Response:
        self.sent.append(request.path_url)
        return super().send(request, *more, **how)


def test_an_adapter_of_the_users() -> None:
    """It carries everything, signed as ever; of what it sends is only known what it proves."""
    adapter = Adapter()
    with connected(lambda asked: envelope(), adapter=adapter) as (stub, client):
        cancel(client)
        assert [asked.path for asked in stub.asked] == [
            "/open/futures/order/cancelOpenOrders/v1/BTCUSD"
        ]
        assert adapter.sent == ["/time", stub.asked[0].path]
        stub.answer = lambda asked: Raw(b"", close=True, length=10)
        with pytest.raises(TransportError, match="no answer") as caught:
            cancel(client)
        assert caught.value.is_sent
    with socket.create_server(("127.0.0.1", 0)) as listening:
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
    with Client(KEY, SECRET, rest_url=url, adapter=Adapter()) as client:
        with pytest.raises(TransportError, match="cannot send a request: Connection ref") as caught:
            cancel(client)
        assert not caught.value.is_sent


def test_where_there_is_a_proxy_requests_carries_orders(monkeypatch: pytest.MonkeyPatch) -> None:
    def goes(url: str) -> type:
        with Client(rest_url=url) as client:
            return type(client._rest._urgent)

    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    assert goes("http://coincall.invalid") is Http
    assert goes("https://coincall.invalid") is Direct
    monkeypatch.setenv("no_proxy", "coincall.invalid")
    assert goes("http://coincall.invalid") is Direct

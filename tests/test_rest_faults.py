"""What goes wrong between a request and its answer: each has its error, in time, and is sent no
more often than it may be."""

import contextlib
import gzip
import math
import os
import socket
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import trustme

from coincall_fast import (
    AuthError,
    Client,
    DecodeError,
    OrderRejected,
    Rate,
    RateLimited,
    Timeout,
    TransportError,
    Unavailable,
    UsageError,
    VenueError,
)
from rest_clients import HTML, QUICK, USER, answering, cancel, connected
from stub_server import AUTHORITY, KEY, SECRET, Asked, Raw, bytes_server, envelope, serving

pytestmark = pytest.mark.usefixtures("short_waits", "no_names", "way")

# What an answer may be


ANSWERS = [
    (HTML, DecodeError, "a page of HTML where JSON belongs"),
    (Raw(b""), DecodeError, "an empty body"),
    (Raw(b'{"code":0,"data":{"userId"'), DecodeError, "broken JSON, or half of it"),
    (Raw(b"[1]"), DecodeError, "no JSON object"),
    (Raw(b'{"data":{"userId":5}}'), DecodeError, "without a code and data"),
    (Raw(b'{"code":0}'), DecodeError, "without a code and data"),
    (Raw(b'{"code":0,"data":null}'), DecodeError, "a NoneType where a dict belongs"),
    (Raw(b'{"code":0,"data":{"userId":1.5}}'), DecodeError, "user_id"),
    (HTML._replace(status=403), AuthError, "HTTP 403: not for this key or address"),
    (HTML._replace(status=404), VenueError, "HTTP 404: no such path, or not for this key"),
    (HTML._replace(status=418), VenueError, "HTTP 418"),
    (HTML._replace(status=503), Unavailable, "HTTP 503"),
    (HTML._replace(status=429), RateLimited, "HTTP 429"),
    (envelope(None, 10560, "Invalid key.")._replace(status=403), AuthError, "10560: Invalid key"),
    (envelope(None, 10529, "no funds")._replace(status=500), Unavailable, "no funds"),
    (envelope(None, 10529, None), OrderRejected, "10529: Insufficient available balance."),
    (envelope(None, "10562", "wrong"), AuthError, "10562: wrong"),
    (envelope(None, 10531, "above \x1b[31m\n"), OrderRejected, "above  [31m "),
    (
        Raw(b'{"code":10531,"msg":"the maximum limit {0}","i18nArgs":["5.5"],"data":null}'),
        OrderRejected,
        "the maximum limit 5.5",
    ),
]


@pytest.mark.parametrize(("answer", "kind", "told"), ANSWERS, ids=lambda value: str(value)[:40])
def test_answers_that_are_none(answer: Raw, kind: type[Exception], told: str) -> None:
    """Each error says which endpoint it was, and why; a write was sent once."""
    with connected(lambda asked: answer) as (stub, client):
        with pytest.raises(kind) as caught:
            client.account.user()
        assert type(caught.value) is kind
        assert "coincall GET /open/user/info/v1" in str(caught.value)
        assert told in str(caught.value)
        # What a cancellation gives nobody reads, if only it is an envelope without a complaint.
        if kind is not DecodeError:
            stub.asked.clear()
            with pytest.raises(kind):
                cancel(client)
            assert len(stub.asked) == 1


def test_a_redirect_is_not_followed() -> None:
    """It would carry the key and the signature to another host."""
    with serving(lambda asked: envelope(USER)) as other:
        where = {"Location": f"{other.url}/open/user/info/v1"}
        for status in (301, 302, 307, 308):
            away = Raw(b"", status, where)
            with connected(lambda asked, away=away: away) as (stub, client):  # type: ignore[misc]
                with pytest.raises(VenueError, match=f"HTTP {status}: sent elsewhere"):
                    client.account.user()
                assert len(stub.asked) == 1
        assert other.asked == []


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(envelope(USER)._replace(pause_s=0.05), id="byte by byte"),
        pytest.param(envelope(USER)._replace(length=5000), id="half of it, and then nothing"),
    ],
)
def test_a_slow_body_ends_with_the_call(answer: Raw) -> None:
    """Each byte restarts requests' own timeout; it does not restart ours."""
    with connected(lambda asked: answer, timeout=Timeout(1.0, 0.9, 0.4)) as (_, client):
        begin_s = time.monotonic()
        with pytest.raises(TransportError, match="no answer: it took too long") as caught:
            client.account.user()
        assert caught.value.is_sent
        assert 0.3 < time.monotonic() - begin_s < 30


def test_slow_headers_end_with_the_call() -> None:
    stopping = threading.Event()

    def drip(opened: socket.socket) -> None:
        opened.recv(65536)
        for byte in b"HTTP/1.1 200 OK\r\nX-Long: " + b"x" * 10_000:
            if stopping.wait(0.02):
                return
            opened.sendall(bytes([byte]))

    with bytes_server(drip) as url, Client(rest_url=url, timeout=QUICK) as client:
        with pytest.raises(TransportError, match="it took too long"):
            client.server_time()
        stopping.set()


def test_half_a_body() -> None:
    half = envelope(USER)._replace(length=5000, close=True)
    with connected(lambda asked: half) as (stub, client):
        with pytest.raises(TransportError, match="half an answer") as caught:
            cancel(client)
        assert caught.value.is_sent
        assert len(stub.asked) == 1


def test_a_body_without_end() -> None:
    flood = Raw(b'{"code":0,"data":"' + b"x" * (9 << 20) + b'"}')
    with connected(lambda asked: flood) as (stub, client):
        with pytest.raises(TransportError, match="more than 8388608 bytes"):
            cancel(client)
        assert len(stub.asked) == 1
        bomb = Raw(gzip.compress(flood.body), headers={"Content-Encoding": "gzip"})
        stub.answer = lambda asked: bomb
        with pytest.raises(TransportError, match="more than 8388608 bytes"):
            cancel(client)


def test_packed_and_chunked_bodies() -> None:
    packed = Raw(gzip.compress(envelope(USER).body), headers={"Content-Encoding": "gzip"})
    body = envelope(USER).body
    chunked = Raw(
        b"".join(b"%x\r\n%b\r\n" % (len(p), p) for p in (body[:9], body[9:])) + b"0\r\n\r\n",
        headers={"Transfer-Encoding": "chunked"},
    )
    with connected(answering(packed, chunked)) as (_, client):
        assert client.account.user() == client.account.user()


def test_a_connection_that_is_cut() -> None:
    """The request had gone out: whether it was obeyed nobody knows, and it is not sent again."""
    cut = []

    def read_and_cut(opened: socket.socket) -> None:
        cut.append(opened.recv(65536))

    with bytes_server(read_and_cut) as url, Client(KEY, SECRET, rest_url=url) as client:
        client._rest._ask_s = math.inf  # leave /time out of it
        with pytest.raises(TransportError, match="no answer") as caught:
            cancel(client)
        assert caught.value.is_sent
        assert len(cut) == 1


def test_nobody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    with Client(KEY, SECRET, rest_url=f"http://127.0.0.1:{port}") as client:
        with pytest.raises(
            TransportError, match="v1/BTCUSD: cannot send a request: Connection refused"
        ) as e:
            cancel(client)
        assert not e.value.is_sent


def test_a_name_that_is_not_known() -> None:
    with Client(rest_url="http://coincall.invalid") as client:
        with pytest.raises(
            TransportError, match=r"coincall\.invalid GET /time: .* its name is not known"
        ) as caught:
            client.server_time()
        assert not caught.value.is_sent


# TLS


@pytest.fixture
def trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The authority of the stub, as requests is told of it."""
    AUTHORITY.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "ca.pem"))


def test_certificates_as_requests_takes_them(trusted: None) -> None:
    right = AUTHORITY.issue_cert("127.0.0.1")
    with connected(lambda asked: envelope(USER), tls=right) as (stub, client):
        assert client.account.user().user_id == 5
        assert len(stub.asked) == 1


@pytest.mark.parametrize(
    ("certificate", "told"),
    [
        (lambda: trustme.CA().issue_cert("127.0.0.1"), "self.signed|unable to get"),
        (lambda: AUTHORITY.issue_cert("venue.test"), "mismatch|not valid for"),
        (
            lambda: AUTHORITY.issue_cert("127.0.0.1", not_after=datetime(2001, 1, 1, tzinfo=UTC)),
            "expired",
        ),
    ],
    ids=["of nobody", "of another", "of old"],
)
def test_a_wrong_certificate(
    trusted: None, certificate: Callable[[], trustme.LeafCert], told: str
) -> None:
    with connected(lambda asked: envelope(USER), tls=certificate()) as (stub, client):
        wrong = f"certificate is not to be trusted: .*({told})"
        with pytest.raises(TransportError, match=wrong) as caught:
            client.account.user()
        assert not caught.value.is_sent
        assert stub.asked == []


def test_a_handshake_that_drips() -> None:
    """Not even TLS may outlast the call."""
    stopping = threading.Event()

    def drip(opened: socket.socket) -> None:
        opened.recv(65536)
        for byte in b"\x16\x03\x03\x40\x00" + b"\x02" * 16384:
            if stopping.wait(0.05):
                return
            opened.sendall(bytes([byte]))

    with bytes_server(drip) as url:
        with Client(rest_url=url.replace("http", "https"), timeout=QUICK) as client:
            begin_s = time.monotonic()
            with pytest.raises(TransportError) as caught:
                client.server_time()
            assert not caught.value.is_sent
            assert time.monotonic() - begin_s < 30
        stopping.set()


# Proxies


def test_a_proxy_as_requests_takes_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of plain HTTP, the proxy gets the whole address; with NO_PROXY, nothing."""
    with serving(lambda asked: envelope(USER)) as stub:
        monkeypatch.setenv("http_proxy", stub.url.replace("://", "://user:pa55w0rd@"))
        monkeypatch.delenv("no_proxy", raising=False)
        stub.handle = lambda asked: (stub.asked.append(asked), envelope(USER))[1]  # type: ignore[method-assign, func-returns-value]
        with Client(KEY, SECRET, rest_url="http://coincall.invalid") as client:
            client._rest._ask_s = math.inf
            assert client.account.user().user_id == 5
        (asked,) = stub.asked
        assert asked.path == "http://coincall.invalid/open/user/info/v1"
        assert "proxy-authorization" in asked.headers
        monkeypatch.setenv("no_proxy", "coincall.invalid")
        client = Client(rest_url="http://coincall.invalid")
        with client, pytest.raises(TransportError, match="its name is not known"):
            client.server_time()


def test_through_a_tunnel(trusted: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """TLS goes through CONNECT; a proxy that refuses means that nothing was sent."""
    asked: list[bytes] = []

    def relay(opened: socket.socket, to: socket.socket) -> None:
        with contextlib.suppress(OSError):  # both ends are closed
            while data := opened.recv(65536):
                to.sendall(data)
            to.shutdown(socket.SHUT_WR)

    def proxy(opened: socket.socket) -> None:
        asked.append(opened.recv(65536))
        if b"CONNECT 127.0.0.1" not in asked[-1]:
            opened.sendall(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n")
            return
        opened.sendall(b"HTTP/1.1 200 Established\r\n\r\n")
        host, port = asked[-1].split()[1].decode().split(":")
        with socket.create_connection((host, int(port))) as beyond:
            threading.Thread(target=relay, args=(beyond, opened), daemon=True).start()
            relay(opened, beyond)

    right = AUTHORITY.issue_cert("127.0.0.1")
    with serving(lambda asked: envelope(USER), tls=right) as stub, bytes_server(proxy) as url:
        monkeypatch.setenv("https_proxy", url)
        monkeypatch.delenv("no_proxy", raising=False)
        with Client(KEY, SECRET, rest_url=stub.url) as client:
            assert client.account.user().user_id == 5
        with Client(KEY, SECRET, rest_url="https://coincall.invalid") as client:
            with pytest.raises(TransportError) as caught:
                cancel(client)
            assert not caught.value.is_sent
    assert len(asked) >= 2
    assert not any(KEY.encode() in head for head in asked)


# Odds and ends


def test_connections_are_kept_and_shared() -> None:
    """Many requests of some threads take no more connections than there are threads."""
    ports = set()

    def answer(asked: Asked) -> Raw:
        return envelope(USER)

    with serving(answer) as stub:
        seen = stub.handle

        def handle(asked: Asked) -> Raw:
            ports.add(threading.get_ident())  # the stub has a thread a connection
            return seen(asked)

        stub.handle = handle  # type: ignore[method-assign]
        with Client(rest_url=stub.url) as client:
            threads = [
                threading.Thread(target=lambda: [client.server_time() for _ in range(20)])
                for _ in range(4)
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
    assert stub.times_asked == 80
    assert len(ports) <= 4


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_child_does_not_use_its_parents_connections() -> None:
    connections = set()

    def answer(asked: Asked) -> Raw:
        connections.add(threading.get_ident())  # the stub has a thread a connection
        return envelope(USER)

    with connected(answer) as (_, client):
        client.account.user()
        assert len(connections) == 1
        child = os.fork()
        if child == 0:
            ok = False
            try:
                ok = client.account.user().user_id == 5
            finally:
                os._exit(0 if ok else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert client.account.user().user_id == 5
    assert len(connections) == 2


def test_what_cannot_be_asked_for() -> None:
    with Client(rest_url="http://127.0.0.1:9") as client:
        with pytest.raises(UsageError, match="is signed: give api_key"):
            client.account.user()
        for wrong in ("../x", "a/b", "a?b", "", "..", "é", None, 5):
            with pytest.raises(UsageError, match="symbol cannot be"):
                client.options.details(wrong)  # type: ignore[arg-type]
        with pytest.raises(UsageError, match="half a character"):
            client.funding_rates("\ud800")
    with pytest.raises(UsageError, match="closed"):
        client.server_time()


@pytest.mark.parametrize(
    "how",
    [
        {"env": "test"},
        {"rest_url": "ftp://x"},
        {"rest_url": "http://"},
        {"rest_url": "http://user:pw@x"},
        {"rest_url": "http://x:y"},
        {"rest_url": "http://x/?a=b"},
        {"timeout": 0},
        {"rates": {"nope": Rate(1, 1.0, "x")}},
        {"rates": {"cancel_all": Rate(1, 9.0, "cancel")}},
        {"api_key": "x"},
        {"api_secret": "y"},
        {"api_key": "with blank", "api_secret": "y"},
        {"api_key": "x\n", "api_secret": "y"},
        {"window_ms": 1.5},
    ],
    ids=str,
)
def test_clients_that_cannot_be(how: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("COINCALL_API_KEY", "COINCALL_API_SECRET", "COINCALL_ENV"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(UsageError):
        Client(**how)


def test_where_clients_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COINCALL_API_KEY", KEY)
    monkeypatch.setenv("COINCALL_API_SECRET", SECRET)
    monkeypatch.delenv("COINCALL_ENV", raising=False)
    assert repr(Client()).startswith("<Client api.coincall.com <Credentials stub")
    assert "betaapi.coincall.com" in repr(Client(env="beta"))
    monkeypatch.setenv("COINCALL_ENV", "beta")
    assert "betaapi.coincall.com" in repr(Client())
    assert " api.coincall.com" in repr(Client(env="prod"))
    with serving(lambda asked: envelope(USER)) as stub, Client(rest_url=f"{stub.url}/") as client:
        assert client.account.user().user_id == 5

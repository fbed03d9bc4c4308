"""The bases of books, fetched from a server on loopback."""

import http.server
import threading

import pytest

from coincall_fast.streams import fetcher
from coincall_fast.streams.dialect import Base
from coincall_fast.streams.fetcher import AT_ONCE, Fetcher
from coincall_fast.streams.repairs import Want
from streams import until


class Heard:
    """Who is told: a session's link, without one."""

    def __init__(self):
        self.told = []

    def ask(self, method, want, *arguments):
        self.told.append((method, want.base.symbol, *arguments))

    def named(self, method):
        return [symbol for name, symbol, *_ in self.told if name == method]


class Server(http.server.ThreadingHTTPServer):
    def __init__(self):
        super().__init__(("127.0.0.1", 0), Rest)
        self.asked = []
        self.letting_go = threading.Event()


class Rest(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def do_GET(self):
        self.server.asked.append(self.path)
        if "hang" in self.path:
            self.server.letting_go.wait(20)
        self.send_response(500 if "fail" in self.path else 200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_):
        pass


@pytest.fixture
def rest():
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.letting_go.set()
        server.shutdown()
        thread.join()


@pytest.fixture
def bases(rest, monkeypatch):
    monkeypatch.setattr(fetcher, "PACE_S", 0.001)
    bases = Fetcher(f"http://127.0.0.1:{rest.server_port}", "gate")
    yield bases
    bases.close()
    rest.letting_go.set()
    until(lambda: not threads(), "the end of the threads")


def threads():
    return [one for one in threading.enumerate() if one.name == "coincall-fast bases"]


def want(symbol):
    return Want(Base(symbol, f"/{symbol}"))


def test_one_that_hangs_holds_up_no_other(rest, bases):
    heard = Heard()
    bases.fetch(want("hang"), heard)
    for number in range(50):
        bases.fetch(want(f"S{number}"), heard)
    until(lambda: len(heard.named("rebase")) == 50)
    assert heard.named("fetching")[0] == "hang"
    assert "hang" not in heard.named("rebase")
    until(lambda: len(threads()) == 1, "the end of the others")
    rest.letting_go.set()
    until(lambda: "hang" in heard.named("rebase"))


def test_no_more_than_so_many_at_once(rest, bases):
    heard = Heard()
    for number in range(3 * AT_ONCE):
        bases.fetch(want(f"hang{number}"), heard)
    until(lambda: len(rest.asked) == AT_ONCE)
    assert len(threads()) == AT_ONCE
    assert len(heard.named("fetching")) == AT_ONCE
    rest.letting_go.set()
    until(lambda: len(heard.named("rebase")) == 3 * AT_ONCE)


def test_what_has_become_void_is_not_asked_for(rest, bases):
    heard = Heard()
    for number in range(AT_ONCE):
        bases.fetch(want(f"hang{number}"), heard)
    until(lambda: len(rest.asked) == AT_ONCE)
    void, last = want("void"), want("last")
    bases.fetch(void, heard)
    bases.fetch(last, heard)
    void.is_void = True
    rest.letting_go.set()
    until(lambda: "last" in heard.named("rebase"))
    assert "/void" not in rest.asked
    assert "void" not in {symbol for _, symbol, *_ in heard.told}


def test_a_failure_is_told_and_the_next_is_fetched(bases):
    heard = Heard()
    bases.fetch(want("fail"), heard)
    bases.fetch(want("well"), heard)
    until(lambda: heard.named("no_base") and heard.named("rebase"))
    [(_, symbol, error)] = [told for told in heard.told if told[0] == "no_base"]
    assert symbol == "fail"
    assert "HTTP 500" in str(error)
    assert ("rebase", "well", b"{}") in [told[:3] for told in heard.told]

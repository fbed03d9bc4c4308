"""The streams of other venues through a network that goes wrong (proxy.py).

The venue is a server on loopback whose book is a dict. Whatever a book shows was the venue's at
that number, and after each fault it is the venue's of now again.
"""

import os
import random

import pytest

from bybit_server import BybitServer
from coincall_fast import Channel, bybit, gate
from coincall_fast.backoff import Backoff
from coincall_fast.streams import connection
from coincall_fast.streams.session import SECOND_NS
from gate_server import GateServer
from proxy import KINDS, Fault, Proxy
from streams import listen, until, valid
from venue_market import CONTRACT, SYMBOL, V1, V5, Gate, Market

STRIKES = 40 if os.environ.get("COINCALL_FAST_LONG") else 1  # of each kind


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr(Backoff, "FIRST_S", 0.01)
    monkeypatch.setattr(Backoff, "LONGEST_S", 0.05)
    monkeypatch.setattr(connection, "FRAME_S", 0.3)
    for dialect in (bybit.Dialect, gate.Dialect):
        monkeypatch.setattr(dialect, "quiet_ns", SECOND_NS // 4)
        monkeypatch.setattr(dialect, "patience_ns", SECOND_NS // 4)


def venue(name):
    """A server, how it speaks, and what a stream of it is made of, but for the address."""
    if name == "gate":
        server = GateServer()
        return server, Gate(), CONTRACT, gate.Stream, "/v4/ws", {}
    speech = V1() if name == "v1" else V5()
    return BybitServer(name, speech.topic), speech, SYMBOL, bybit.Stream, "", {"edition": name}


@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", ["v1", "v5", "gate"])
def test_every_fault_at_random_bytes(name):
    dice = random.Random(name)
    server, speech, symbol, stream_type, path, options = venue(name)
    market = Market(7)
    shown = []
    with server, Proxy(("127.0.0.1", server.port)) as proxy:
        server.trade(market, speech)
        if name == "gate":
            options["rest_url"] = f"http://127.0.0.1:{server.port}/api/v4"
        with stream_type(ws_url=proxy.ws_url + path, **options) as stream:
            told = listen(stream, "gap", "error")
            stream.on(Channel.BOOK, lambda book: shown.append((book.version, book.depth())))
            stream.subscribe(Channel.BOOK, symbol)
            until(lambda: valid(stream, [symbol]), "the book")
            book = stream.store[symbol]
            for kind in KINDS * STRIKES:
                struck = proxy.struck
                until(lambda: proxy.lines, "a line")
                proxy.order(Fault(kind, dice.randrange(1000), 0.1 if kind == "delay" else 3))
                until(lambda struck=struck: proxy.struck > struck, f"the {kind}")
                reached = market.number + 20  # what comes late is over by then
                until(
                    lambda reached=reached: book.is_valid and (book.version or 0) >= reached,
                    f"the book after a {kind}",
                )
            assert stream.state == "open"
    assert len([name for name, *_ in told if name == "gap"]) >= 5
    assert len(shown) > 100
    for version, depth in shown:
        if depth.ts_ms:  # else it was invalid, and showed nothing
            assert (depth.bids.tolist(), depth.asks.tolist()) == market.was[version]

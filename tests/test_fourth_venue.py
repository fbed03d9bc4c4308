"""A fourth venue takes one module, its frames and one module of tests: tests/acme.

Nothing of the package names it. What a venue's own module has to say is all in there.
"""

import json
from pathlib import Path

import pytest

import acme
from coincall_fast import Channel, GapError, OrderBook, Side
from coincall_fast.message import Ack, Heartbeat, Trades, UnknownMessage
from streams import listen, until
from venue_server import Peer, VenueServer

FRAMES = (Path(acme.__file__).parent / "frames.jsonl").read_bytes().splitlines()
WHOLE, CHANGE, BEHIND_A_GAP, TRADES, REFUSAL, BEAT, UNKNOWN = FRAMES


class AcmeServer(VenueServer):
    """Says yes to everything but WORM-1, and begins each book with the whole one of the file."""

    async def hear(self, peer: Peer, body):
        if body["do"] == "beat":
            await self._send(peer, BEAT.decode())
            return
        is_known = "book.WORM-1" not in body["what"]
        answer = {"re": body["do"], "no": body["no"], "ok": is_known, "why": "no such thing"}
        await self._send(peer, json.dumps(answer))
        if body["do"] == "join" and is_known:
            peer.topics += body["what"]
            for topic in body["what"]:
                if topic == "book.NUT-1":
                    await self._send(peer, WHOLE.decode())


def test_its_frames_are_books_and_messages():
    store = acme.BookStore()
    book = store.feed(WHOLE)
    assert isinstance(book, OrderBook)
    assert (book.symbol, book.ts_ms, book.bbo) == ("NUT-1", 1700000000001, (9.5, 2.0, 10.0, 3.0))
    assert store.feed(CHANGE) is book
    assert book.depth().bids.tolist() == [[9.75, 4.0], [9.5, 2.0]]
    with pytest.raises(GapError) as error:
        store.feed(BEHIND_A_GAP)
    assert (error.value.symbol, error.value.expected, error.value.last) == ("NUT-1", 9, 10)
    assert not book.is_valid
    trades = acme.decode(TRADES)
    assert isinstance(trades, Trades)
    (trade,) = trades
    assert (trade.symbol, trade.trade_id, trade.side) == ("NUT-1", "a-1", Side.SELL)
    assert (trade.price, str(trade.exact("qty")), trade.ts_ms) == (9.75, "1.5", 1700000000003)
    refusal = acme.decode(REFUSAL)
    assert isinstance(refusal, Ack)
    assert not refusal.ok
    assert isinstance(acme.decode(BEAT), Heartbeat)
    assert isinstance(acme.decode(UNKNOWN), UnknownMessage)


def test_its_stream_heals_its_books_and_can_be_recorded(tmp_path):
    with (
        AcmeServer() as server,
        acme.Stream("things", ws_url=server.url) as stream,
        stream.record(tmp_path / "acme"),
    ):
        heard = listen(stream, "gap", "error", Channel.TRADES)
        stream.subscribe(Channel.BOOK, ["NUT-1"])
        stream.subscribe(Channel.BOOK, ["WORM-1"])
        stream.subscribe(Channel.TRADES, ["NUT-1"])
        book = until(lambda: stream.store.get("NUT-1"), "a book")
        until(lambda: any("no such thing" in str(what) for _, *what in heard), "the refusal")
        until(lambda: "trades.NUT-1" in server.peers[0].topics, "the trades")
        server.push("trades.NUT-1", TRADES.decode())
        server.push("book.NUT-1", CHANGE.decode())
        until(lambda: book.best_bid == 9.75, "the change")
        server.push("book.NUT-1", BEHIND_A_GAP.decode())
        until(lambda: any(name == "gap" for name, *_ in heard), "the gap's end")
        assert book.is_valid
        assert book.best_bid == 9.5  # the whole one again
        server.drop()
        until(lambda: len(server.peers) == 2 and book.is_valid, "another connection")
        assert sum(name == Channel.TRADES for name, *_ in heard) == 1
    played = acme.replay(tmp_path / "acme")
    played.run()
    assert played.store["NUT-1"].symbol == "NUT-1"

"""Recorded frames as the simulated exchange's market."""

import json
from pathlib import Path
from typing import Any

import pytest

from coincall_fast import BookStore, Channel
from coincall_fast.sim import Exchange
from coincall_fast.sim.recording import Recording, Replay
from coincall_fast.streams.recorder import Recorder
from coincall_fast.streams.recording import Kind
from sim_client import Plain
from sim_socket import Socket
from streams import stream_to, until, valid

CONFORMANCE = Path(__file__).parent / "conformance" / "frames.jsonl"
OPTION = "BTCUSD-4JUL23-27000-C"
START_MS = 1_688_384_138_863


def book(ts_ms: int, bids: list[tuple[str, str]], asks: list[tuple[str, str]]) -> str:
    sides = ([{"pr": pr, "sz": sz} for pr, sz in side] for side in (bids, asks))
    data: dict[str, Any] = {"s": "BTCUSD", **dict(zip(("bids", "asks"), sides, strict=True))}
    return json.dumps({"dt": 32, "c": 20, "d": data | {"ts": ts_ms}})


FRAMES = [
    book(START_MS, [("30000", "1"), ("29999.5", "2 ")], [("30001", "0.40000000 ")]),
    book(START_MS + 250, [("30002.25", "1")], [("30003", "3"), ("30004", "1")]),
    json.dumps({"c": 11, "rc": 1}),
    book(START_MS + 900, [], [("30005", "1")]),
]


def test_books_come_when_their_time_has_come() -> None:
    market = Replay(Recording(FRAMES))
    shown = market.books["BTCUSD"]
    tick_e8, lot_e8 = shown.instrument.tick_e8, shown.instrument.lot_e8
    assert (tick_e8, lot_e8) == (5_000_000, 100_000)  # 0.05, finer than listed
    assert shown.bids == [(600_000, 1000), (599_990, 2000)]
    market.advance(START_MS + 200)
    assert shown.asks == [(600_020, 400)]
    market.advance(START_MS + 300)
    assert shown.bids == [(600_045, 1000)]
    assert market.underlyings["BTCUSD"].fair == 30_002.625
    market.advance(START_MS + 5_000)
    assert shown.bids == []
    assert shown.asks == [(600_100, 1000)]


def test_the_printed_books_can_be_shown() -> None:
    lines = [
        line
        for line in CONFORMANCE.read_text().splitlines()
        if json.loads(line)["venue"] == "coincall" and json.loads(line)["seed"].startswith("003_")
    ]
    market = Replay(Recording(lines))
    assert set(market.instruments) == {"BTCUSD", OPTION}
    terms = market.instruments[OPTION].terms
    assert terms is not None
    assert (terms.strike, terms.right) == (27_000, "C")
    assert terms.expiry_ms == 1_688_457_600_000  # 4 July 2023, 08:00 UTC
    assert len(market.books["BTCUSD"].asks) == 2


def test_orders_trade_with_what_was_recorded(tmp_path: Path) -> None:
    path = tmp_path / "frames.jsonl"
    path.write_text("\n".join(FRAMES[:1]) + "\n\n")
    with Exchange(recording=path, flow=0.0, throttle="off") as exchange:
        assert exchange.symbols("futures") == ["BTCUSD"]
        client = Plain(exchange)
        with Socket(exchange, "futures") as socket:
            socket.subscribe("orderBook", symbol="BTCUSD")
            first = socket.push(32)["d"]
            assert first["asks"][0]["pr"] == "30001"
            assert START_MS <= first["ts"] < START_MS + 20_000
            client.place("BTCUSD", 1, "0.1", "30001")
            assert socket.until(lambda f: float(f["d"]["asks"][0]["sz"]) == pytest.approx(0.3))
        (held,) = client.get("/open/futures/position/get/v1")["data"]
        assert (held["qty"], held["avgPrice"]) == (0.1, 30001)


@pytest.mark.parametrize(
    ("frames", "message"),
    [
        ([], "no book"),
        ([json.dumps({"c": 11, "rc": 1})], "no book"),
        ([FRAMES[0].replace("BTCUSD", "DOGEUSD")], "cannot list DOGEUSD"),
        ([FRAMES[0].replace("BTCUSD", "BTCUSD-1JAN30-1.5-C")], "cannot list"),
        ([FRAMES[0].replace('"dt": 32', '"dt": 5')], "cannot list BTCUSD"),
    ],
)
def test_what_cannot_be_shown_is_told(frames: list[str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Recording(frames)


class TestOfAStream:
    """What `Stream.record` makes is read by the exchange's own reader."""

    def recorded(self, path: Path) -> bytes:
        with Recorder(path, {}) as made:
            track = made.track("futures")
            track.put(Kind.OPENED, 1)
            for number, frame in enumerate([*FRAMES, "rubbish", "[]"]):
                track.put(Kind.FRAME, number, frame.encode())
            track.put(Kind.FRAME, 9, b"\xff")
        return path.read_bytes()

    def test_its_frames_are_the_market(self, tmp_path: Path) -> None:
        path = tmp_path / "a.rec"
        self.recorded(path)
        assert Recording.read(path).rows == Recording(FRAMES).rows

    def test_a_torn_end_is_left_out(self, tmp_path: Path) -> None:
        path = tmp_path / "a.rec"
        content = self.recorded(path)
        last = content.index(b"rubbish")
        for size in range(last - 49, last + 3):
            path.write_bytes(content[:size])
            assert Recording.read(path).rows == Recording(FRAMES).rows

    def test_every_changed_byte_is_told(self, tmp_path: Path) -> None:
        path = tmp_path / "a.rec"
        content = self.recorded(path)
        for at in range(20, len(content)):
            path.write_bytes(content[:at] + bytes([content[at] ^ 4]) + content[at + 1 :])
            with pytest.raises(ValueError, match="damaged at byte"):
                Recording.read(path)

    def test_a_recorded_exchange_is_shown_again(self, tmp_path: Path, exchange: Exchange) -> None:
        """Recorded by the client from one exchange, shown by another, seen by another client."""
        path = tmp_path / "a.rec"
        symbols = ["BTCUSD", exchange.symbols("options")[0]]
        with stream_to(exchange) as stream, stream.record(path):
            stream.subscribe(Channel.BOOK, symbols)
            until(lambda: valid(stream, symbols), "both books")
            exchange.stall(True)
            books = {symbol: stream.store[symbol].snapshot().tolist() for symbol in symbols}
        with Exchange(recording=path, flow=0.0, speed=10) as shown:
            assert sorted(shown.symbols("futures") + shown.symbols("options")) == sorted(symbols)
            shown.skip(600_000)
            store = BookStore()
            for symbol in symbols:
                until(
                    lambda symbol=symbol: (
                        store.feed(shown.book_frame(symbol)),
                        store[symbol].snapshot().tolist() == books[symbol],
                    )[1],
                    f"the last {symbol}",
                )

"""Books of all venues against a dict, while frames are lost, come twice or in another order.

Whatever a book shows was the venue's book at that number; and once nothing is lost any more, it is
the venue's book of now. Bybit answers a new subscription with a whole book, Gate's is REST's.
"""

import json
from collections import deque
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import bybit_frames
from coincall_fast import BookStore, bybit, gate
from coincall_fast.streams.dialect import Dialect
from coincall_fast.streams.session import Session
from venue_market import CONTRACT, V1, V5, Gate, Market, Speech

S = 1_000_000_000
WALL_MS = 1_700_000_000_000
SUBJECTS: dict[str, tuple[Dialect, str, str, str, Speech]] = {
    "v1": (bybit.Dialect("v1"), "public", "delta.orderbook100", bybit_frames.OPTION, V1()),
    "v5": (bybit.Dialect("v5"), "public", "orderbook.100", bybit_frames.OPTION, V5()),
    "gate": (gate.Dialect(), "options", gate.BOOK, CONTRACT, Gate()),
}
PATHS = ("passes",) * 12 + ("lost", "twice", "late", "broken")


class Wire:
    """A session and its venue, with a network between them that does as it is told."""

    def __init__(self, name: str, seed: int) -> None:
        dialect, line, self.data_type, self.symbol, self.speech = SUBJECTS[name]
        self.market = Market(seed)
        self.session = Session(dialect, line, BookStore(wire=dialect.wire))
        self.now_ns = S
        self.late: deque[bytes] = deque()
        self.shown = 0
        self.session.subscribe(self.data_type, (self.symbol,), {}, self.now_ns)
        self.session.opened(self.now_ns)
        self.talk()

    @property
    def book(self) -> Any:
        return self.session.store.get(self.symbol)

    def talk(self) -> None:
        """The venue takes what was asked, and answers."""
        for text in list(self.session.to_send(self.now_ns, WALL_MS)):
            asked = json.loads(text)
            if asked.get("op") == "subscribe":
                self.take(self.speech.whole(self.market, WALL_MS))
            elif asked.get("event") == "subscribe":
                done = {"error": None, "result": {"status": "success"}}
                said = {key: asked[key] for key in ("id", "channel", "event")}
                self.take(json.dumps({"time": 1, **said, **done}).encode())
        for want in self.session.take_wants():
            body = self.speech.whole(self.market, WALL_MS)
            self.session.rebase(want, body, WALL_MS, self.now_ns)
            self.look()

    def take(self, frame: bytes) -> None:
        self.session.receive(frame, self.now_ns, WALL_MS)
        self.look()

    def look(self) -> None:
        book = self.book
        if book is None or not book.is_valid:
            return
        depth = book.depth()
        assert (depth.bids.tolist(), depth.asks.tolist()) == self.market.was[book.version]
        self.shown += 1

    def step(self, path: str) -> None:
        self.now_ns += S // 3
        frame = self.speech.change(self.market, self.market.step(), WALL_MS)
        if path == "late":
            self.late.append(frame)
        elif path == "broken":
            self.take(frame[: len(frame) // 2])
        elif path != "lost":
            self.take(frame)
            if path == "twice":
                self.take(frame)
            while self.late:
                self.take(self.late.popleft())
        self.session.tick(self.now_ns)
        self.talk()


@pytest.mark.parametrize("name", SUBJECTS)
@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 1 << 30), paths=st.lists(st.sampled_from(PATHS), max_size=60))
def test_whatever_is_shown_was_so(name: str, seed: int, paths: list[str]) -> None:
    wire = Wire(name, seed)
    for path in paths:
        wire.step(path)
    for _ in range(12):  # four seconds in which all goes well
        wire.step("passes")
    assert wire.shown > 0
    assert wire.book.is_valid
    assert wire.book.version == wire.market.number

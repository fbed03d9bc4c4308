"""A Gate of a few lines, after the protocol page, sections 2.2 to 2.5."""

import asyncio
import hashlib
import hmac
import json
import time
from typing import Any

from venue_market import CONTRACT
from venue_server import Peer, VenueServer

KEY = "gate-test-key"
SECRET = "gate-test-secret-0123456789"
BOOK = "options.order_book_update"
PRIVATE = tuple(
    f"options.{name}" for name in ("orders", "usertrades", "positions", "balances", "portfolio")
)


class GateServer(VenueServer):
    """Knows one contract; `base` is what REST says of its book, once it is let."""

    def __init__(self) -> None:
        super().__init__()
        self.base: dict[str, Any] = snapshot(100)
        self.holds_rest = False
        self.seed_errors = False  # a flat frame instead of an object in the answer

    def answer(self, path: str, query: dict[str, str]) -> Any:
        assert path == "/api/v4/options/order_book"
        assert query == {"contract": CONTRACT, "limit": "50", "with_id": "true"}
        return self.base

    def begin_from(self, topic: str, whole: str) -> None:
        self.base = json.loads(whole)

    async def before_rest(self) -> None:
        while self.holds_rest:
            await asyncio.sleep(0.005)

    async def hear(self, peer: Peer, body: dict[str, Any]) -> None:
        time_s, channel = body["time"], body["channel"]
        if channel == "options.ping":
            pong = {"time": time_s, "channel": "options.pong", "event": ""}
            await self._send(peer, json.dumps({**pong, "error": None, "result": None}))
            return
        ack = {"time": time_s, "id": body["id"], "channel": channel, "event": body["event"]}
        if channel in PRIVATE and not self._is_right(body):
            await self._send(peer, json.dumps(self._refusal(ack, 4, "Authentication failed")))
        elif channel == BOOK and body["payload"] != [CONTRACT, "100ms", "50"]:
            unknown = f"unknown contract {body['payload'][0]}"
            await self._send(peer, json.dumps(self._refusal(ack, 2, unknown)))
        else:
            done = {"error": None, "result": {"status": "success"}}
            await self._send(peer, json.dumps(ack | done))
            change = peer.topics.append if body["event"] == "subscribe" else peer.topics.remove
            change(channel)

    def _refusal(self, ack: dict[str, Any], code: int, message: str) -> dict[str, Any]:
        if self.seed_errors:
            flat = {"time": ack["time"], "channel": ack["channel"], "event": "error"}
            return {**flat, "message": message, "code": 401 if code == 4 else code}
        error = {"code": code, "message": message}
        return {**ack, "error": error, "result": {"status": "failed"}}

    def _is_right(self, body: dict[str, Any]) -> bool:
        auth = body.get("auth") or {}
        said = f"channel={body['channel']}&event={body['event']}&time={body['time']}"
        right = hmac.new(SECRET.encode(), said.encode(), hashlib.sha512).hexdigest()
        is_timely = isinstance(body["time"], int) and abs(body["time"] - time.time()) < 60
        return auth == {"method": "api_key", "KEY": KEY, "SIGN": right} and is_timely


def snapshot(number: int, *bids: tuple[str, int]) -> dict[str, Any]:
    """What REST says of a book: times are seconds."""
    now_s = round(time.time(), 3)
    rows = [{"p": price, "s": size} for price, size in bids or (("10", 1), ("9", 2))]
    asks = [{"p": "12", "s": 3}]
    return {"id": number, "current": now_s, "update": now_s, "bids": rows, "asks": asks}


def update(first: int, last: int, *bids: tuple[str, int], ts_ms: int | None = None) -> str:
    """A change of the book, which leads through the numbers `first` to `last`."""
    now_ms = time.time_ns() // 1_000_000 if ts_ms is None else ts_ms
    rows = [{"p": price, "s": size} for price, size in bids]
    result = {"t": now_ms, "s": CONTRACT, "U": first, "u": last, "b": rows, "a": []}
    frame = {"time": now_ms // 1000, "time_ms": now_ms, "channel": BOOK, "event": "update"}
    return json.dumps({**frame, "error": None, "result": result})

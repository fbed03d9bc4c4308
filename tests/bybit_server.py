"""A Bybit of a few lines, after the protocol page, sections 1.1 to 1.4 and 1.7."""

import hashlib
import hmac
import json
import time
from typing import Any

from venue_server import Peer, VenueServer

KEY = "bybit-test-key"
SECRET = "bybit-test-secret-0123456789"


class BybitServer(VenueServer):
    """`edition` "v1" or "v5"; knows the topics it is given, and has a book for each symbol."""

    def __init__(self, edition: str, *topics: str) -> None:
        super().__init__()
        self.is_v1 = edition == "v1"
        self.topics = set(topics)
        self.books: dict[str, str] = {}  # by topic, the whole one that a subscription brings
        self.refuses_login = False
        self.refuses_whole = False  # requests as a whole, without lists
        self.is_slow_to_let_in = False  # until `let_in`
        self.echoes = True  # the number of a request

    async def hear(self, peer: Peer, body: dict[str, Any]) -> None:
        match body["op"]:
            case "ping":
                await self._send(peer, json.dumps({"op": "pong", "args": body.get("args", [])}))
            case "auth":
                is_right = not self.refuses_login and self._is_right(peer, body["args"])
                if is_right and self.is_slow_to_let_in:
                    return
                peer.is_let_in = is_right
                await self._send(peer, self._login(is_right))
            case "subscribe" | "unsubscribe":
                await self._change(peer, body)

    def begin_from(self, topic: str, whole: str) -> None:
        self.books[topic] = whole

    def let_in(self, peer: Peer) -> None:
        peer.is_let_in = True
        self.send(peer, self._login(True))

    def _is_right(self, peer: Peer, args: list[Any]) -> bool:
        key, expires, signature = args
        now_ms = time.time() * 1000
        prehash = f"GET/realtime{expires}".encode()
        right = hmac.new(SECRET.encode(), prehash, hashlib.sha256).hexdigest()
        is_timely = isinstance(expires, int) and now_ms < expires < now_ms + 60_000
        return "private" in peer.path and key == KEY and signature == right and is_timely

    def _login(self, is_right: bool) -> str:
        if self.is_v1:
            code = "0" if is_right else "3303006"
            return json.dumps(
                {"success": is_right, "conn_id": "c1", "ret_msg": code, "type": "AUTH_RESP"}
            )
        said = "" if is_right else "Request not authorized"
        return json.dumps({"success": is_right, "ret_msg": said, "op": "auth", "conn_id": "c1"})

    async def _change(self, peer: Peer, body: dict[str, Any]) -> None:
        is_private = "private" in peer.path
        number = body.get("id" if self.is_v1 else "req_id")
        answer: dict[str, Any] = {"conn_id": "c1", "type": "COMMAND_RESP"}
        if self.is_v1 and self.echoes:
            answer["id"] = number
        if self.refuses_whole or (is_private and not peer.is_let_in):
            await self._send(peer, json.dumps(answer | {"success": False, "ret_msg": "3303001"}))
            return
        of_user = tuple(t for t in self.topics if t.split(".")[0] in PRIVATE)
        good = [t for t in body["args"] if t in self.topics and (t in of_user) == is_private]
        bad = [t for t in body["args"] if t not in good]
        if is_private and not self.is_v1:
            done = {"success": not bad, "ret_msg": "", "op": body["op"], "req_id": number}
            await self._send(peer, json.dumps(done))
        else:
            data = {"successTopics": good, "failTopics": bad}
            await self._send(peer, json.dumps(answer | {"success": True, "data": data}))
        for topic in good:
            if body["op"] == "unsubscribe":
                peer.topics.remove(topic)
                continue
            peer.topics.append(topic)
            if topic in self.books:
                await self._send(peer, self.books[topic])


PRIVATE = ("user", "order", "execution", "position", "wallet", "greeks")

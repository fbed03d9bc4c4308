"""A plain socket to the simulated exchange, typed from the protocol page and not ours."""

import hashlib
import hmac
import json
import time
from collections.abc import Callable
from typing import Any

import websocket

from coincall_fast.sim import Exchange
from coincall_fast.sim.keys import Key

WAIT_S = 10


class Socket:
    """One connection; frames come as they came, acks and heartbeats among them."""

    def __init__(self, exchange: Exchange, product: str, key: Key | None = None) -> None:
        api_key = key.api_key if key else exchange.api_key
        secret = key.api_secret if key else exchange.api_secret
        ts = int(time.time() * 1000)
        prehash = f"GET/users/self/verify?apiKey={api_key}&ts={ts}"
        sign = hmac.new(secret.encode(), prehash.encode(), hashlib.sha256).hexdigest().upper()
        query = f"code=10&uuid={api_key}&ts={ts}&sign={sign}&apiKey={api_key}"
        url = f"{exchange.ws_url}/{product}?{query}"
        self._ws = websocket.create_connection(url, timeout=WAIT_S)
        self.log: list[Any] = []  # every frame

    def __enter__(self) -> "Socket":
        return self

    def __exit__(self, *_: object) -> None:
        self._ws.close()
        self._ws.shutdown()

    def send(self, action: str, channel: str | None = None, **payload: Any) -> None:
        message: dict[str, Any] = {"action": action}
        if channel is not None:
            message["dataType"] = channel
        if payload:
            message["payload"] = payload
        self._ws.send(json.dumps(message))

    def receive_text(self) -> str:
        text = self._ws.recv()
        return text if isinstance(text, str) else text.decode()

    def receive(self) -> Any:
        self.log.append(json.loads(self.receive_text()))
        return self.log[-1]

    def subscribe(self, channel: str, **payload: Any) -> None:
        """Subscribes; the ack must be the next frame that is no push."""
        self.send("subscribe", channel, **payload)
        ack = self.until(lambda frame: "dt" not in frame)
        assert ack == {"action": "SUBSCRIBE", "result": "success"}, ack

    def until(self, holds: Callable[[Any], bool]) -> Any:
        """The first frame that is wanted; those before it are dropped."""
        while True:
            frame = self.receive()
            if holds(frame):
                return frame

    def push(self, dt: int) -> Any:
        """The next push of one channel."""
        return self.until(lambda frame: frame.get("dt") == dt)

    def pushes(self) -> list[Any]:
        """All that was pushed until now: a heartbeat's answer comes behind it."""
        self.send("heartbeat")
        found: list[Any] = []
        while (frame := self.receive()) != {"c": 11, "rc": 1}:
            found.append(frame)
        return found

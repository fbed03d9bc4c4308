"""A venue's WebSocket server on loopback, for tests: what it says is up to a subclass.

Real sockets, aiohttp's protocol, and nothing of the client's: `json` and the protocol page.
"""

import asyncio
import contextlib
import json
import threading
import time
from typing import Any, Self

from aiohttp import WSMsgType, web

from venue_market import Market, Speech


class Peer:
    """One connection of a client."""

    def __init__(self, socket: web.WebSocketResponse, path: str) -> None:
        self.socket = socket
        self.path = path
        self.is_let_in = False
        self.topics: list[str] = []
        self.asked: list[tuple[float, dict[str, Any]]] = []  # when, and what

    def said(self, key: str, value: str) -> list[dict[str, Any]]:
        return [body for _, body in self.asked if body.get(key) == value]


class VenueServer:
    """A context manager with `.port`; `peers` are all connections there ever were."""

    def __init__(self) -> None:
        self.peers: list[Peer] = []
        self.rest: list[str] = []  # paths and queries that REST was asked for
        self.refuses_rest = 0  # so many times
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._ready = threading.Event()
        self.port = 0

    # ---------------------------------------------------------------- for subclasses

    async def hear(self, peer: Peer, body: dict[str, Any]) -> None:
        """One message of a client."""
        raise NotImplementedError

    async def before_rest(self) -> None:
        """What it does first."""

    def answer(self, path: str, query: dict[str, str]) -> Any:
        """What REST says."""
        raise NotImplementedError

    # ---------------------------------------------------------------- for tests

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}"

    @property
    def open_peers(self) -> list[Peer]:
        return [peer for peer in self.peers if not peer.socket.closed]

    def push(self, topic: str, text: str | dict[str, Any]) -> None:
        """To all who have subscribed to it."""
        text = text if isinstance(text, str) else json.dumps(text)
        for peer in self.open_peers:
            if topic in peer.topics:
                self.send(peer, text)

    def send(self, peer: Peer, text: str) -> None:
        asyncio.run_coroutine_threadsafe(self._send(peer, text), self._loop).result(10)

    def trade(self, market: Market, speech: Speech, period_s: float = 0.01) -> None:
        """From now on the market goes on, and tells its changes to all who have subscribed."""
        self.begin_from(speech.topic, speech.whole(market, now_ms()).decode())
        asyncio.run_coroutine_threadsafe(self._trade(market, speech, period_s), self._loop)

    def begin_from(self, topic: str, whole: str) -> None:
        """What a book is by now, for whoever asks."""
        raise NotImplementedError

    def drop(self) -> None:
        """Every connection, without a word."""
        for peer in self.open_peers:
            transport = peer.socket._req.transport if peer.socket._req is not None else None
            if transport is not None:
                self._loop.call_soon_threadsafe(transport.abort)

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    # ---------------------------------------------------------------- on the loop

    @staticmethod
    async def _send(peer: Peer, text: str) -> None:
        if not peer.socket.closed:
            await peer.socket.send_str(text)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        runner = self._loop.run_until_complete(self._serve())
        self._ready.set()
        self._loop.run_forever()
        for task in asyncio.all_tasks(self._loop):
            task.cancel()
        self._loop.run_until_complete(runner.cleanup())
        self._loop.run_until_complete(self._loop.shutdown_asyncgens())

    async def _trade(self, market: Market, speech: Speech, period_s: float) -> None:
        while True:
            change = speech.change(market, market.step(), now_ms()).decode()
            self.begin_from(speech.topic, speech.whole(market, now_ms()).decode())
            for peer in [one for one in self.open_peers if speech.topic in one.topics]:
                with contextlib.suppress(ConnectionError, TimeoutError):  # it does not read
                    await asyncio.wait_for(self._send(peer, change), 0.05)
            await asyncio.sleep(period_s)

    async def _serve(self) -> web.AppRunner:
        app = web.Application()
        app.router.add_get("/{path:.*}", self._get)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self.port = site._server.sockets[0].getsockname()[1]  # type: ignore[union-attr]
        return runner

    async def _get(self, request: web.Request) -> web.StreamResponse:
        if request.headers.get("Upgrade", "").lower() != "websocket":
            self.rest.append(request.path_qs)
            await self.before_rest()
            if self.refuses_rest:
                self.refuses_rest -= 1
                return web.json_response({"label": "TOO_BUSY"}, status=503)
            return web.json_response(self.answer(request.path, dict(request.query)))
        socket = web.WebSocketResponse(compress=False)
        await socket.prepare(request)
        peer = Peer(socket, request.path)
        self.peers.append(peer)
        async for message in socket:
            if message.type is WSMsgType.TEXT:
                body = json.loads(message.data)
                peer.asked.append((time.monotonic(), body))
                await self.hear(peer, body)
        return socket


def now_ms() -> int:
    return time.time_ns() // 1_000_000

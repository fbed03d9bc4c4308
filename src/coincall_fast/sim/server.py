"""Routes and sockets: the HTTP and WebSocket surface over the market, the feed and the sessions."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, Literal, NamedTuple

from aiohttp import WSCloseCode, WSMsgType, web

from . import rest, wire
from .auth import Verifier, is_percent_encoded
from .connection import Connection
from .feed import Feed
from .instruments import FUTURES, OPTIONS
from .market import Market
from .refusals import RefusedError
from .session import Rules, Session

__all__ = ["Refuse", "Server", "Switches"]

Refuse = Literal["403", "frame"]

_MAX_REQUEST_BYTES = 64 * 1024
_CLOSE_WAIT_S = 0.5  # for the peer's half of a closing handshake

_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Switches(NamedTuple):
    """How the server behaves where the venue's documents leave a choice."""

    rules: Rules
    refuse: Refuse
    max_queued_bytes: int


class Server:
    """One exchange's HTTP application; used on the loop's thread only."""

    def __init__(
        self,
        market: Market,
        verifier: Verifier,
        now_ms: Callable[[], int],
        switches: Switches,
        on_error: Callable[[Exception], None],
    ) -> None:
        self.feed = Feed(market, now_ms)
        self.connections: set[Connection] = set()
        self._market = market
        self._verifier = verifier
        self._now_ms = now_ms
        self._switches = switches
        self._on_error = on_error

    def app(self) -> web.Application:
        app = web.Application(middlewares=[self._report])
        app.add_routes(
            [
                web.get("/options", self._options_socket),
                web.get("/futures", self._futures_socket),
                web.get("/time", self._time),
                web.get("/open/public/config/v1", self._config),
                web.get("/open/option/getInstruments/{base}", self._instruments),
                web.get("/open/option/order/orderbook/v1/{symbol}", self._options_book),
                web.get("/open/futures/market/symbol/v1", self._futures_symbols),
                web.get("/open/futures/market/instruments/v1", self._futures_instruments),
                web.get("/open/futures/order/orderbook/v1/{symbol}", self._futures_book),
                web.get("/open/futures/market/orderbook", self._futures_depth),
            ]
        )
        return app

    async def close(self) -> None:
        """Says goodbye to every socket, and cuts those that do not answer."""
        farewells = [
            asyncio.create_task(connection.close(_CLOSE_WAIT_S)) for connection in self.connections
        ]
        await asyncio.gather(*farewells)

    def drop_connections(self) -> None:
        for connection in self.connections:
            connection.abort()

    @web.middleware
    async def _report(self, request: web.Request, handler: _Handler) -> web.StreamResponse:
        """Answers refusals with their envelope, and hands on what is a bug of this package."""
        try:
            return await handler(request)
        except RefusedError as refused:
            return _json(wire.envelope(None, code=refused.refusal.code, msg=refused.refusal.msg))
        except (web.HTTPException, ConnectionError):
            raise
        except Exception as error:
            self._on_error(error)
            raise

    # Sockets

    async def _options_socket(self, request: web.Request) -> web.StreamResponse:
        return await self._socket(request, OPTIONS)

    async def _futures_socket(self, request: web.Request) -> web.StreamResponse:
        return await self._socket(request, FUTURES)

    async def _socket(self, request: web.Request, product: str) -> web.StreamResponse:
        raw_query = request.raw_path.partition("?")[2]
        refusal = self._verifier.check(raw_query, self._now_ms())
        if refusal and (self._switches.refuse == "403" or is_percent_encoded(raw_query)):
            body = wire.envelope(None, code=refusal.code, msg=refusal.msg)
            return _json(body, status=403)
        socket = web.WebSocketResponse(
            timeout=_CLOSE_WAIT_S, compress=False, max_msg_size=_MAX_REQUEST_BYTES
        )
        await socket.prepare(request)
        if refusal:
            await socket.send_str(wire.refused_frame(refusal))
            await socket.close(code=WSCloseCode.POLICY_VIOLATION)
            return socket
        if request.transport is not None:  # None: the peer has already gone
            await self._serve(socket, request.transport, product)
        return socket

    async def _serve(
        self, socket: web.WebSocketResponse, transport: asyncio.Transport, product: str
    ) -> None:
        loop = asyncio.get_running_loop()
        symbols = frozenset(self._market.symbols(product))
        session = Session(symbols, self._switches.rules, loop.time())
        connection = Connection(socket, transport, session, self._switches.max_queued_bytes)
        self.connections.add(connection)
        writer = asyncio.create_task(connection.write())
        try:
            await self._read(connection)
        finally:
            self.feed.leave(connection)
            self.connections.discard(connection)
            writer.cancel()
            with suppress(asyncio.CancelledError):
                await writer

    async def _read(self, connection: Connection) -> None:
        """Answers requests until the peer leaves or the silence has lasted too long."""
        loop = asyncio.get_running_loop()
        socket, session = connection.socket, connection.session
        while True:
            wait_s = session.closes_at_s - loop.time()
            if wait_s <= 0:
                await connection.close(_CLOSE_WAIT_S)
                return
            try:
                message = await socket.receive(timeout=wait_s)
            except TimeoutError:
                continue  # a push may have moved the deadline
            if message.type not in (WSMsgType.TEXT, WSMsgType.BINARY):
                return
            reply = session.receive(message.data, loop.time())
            connection.send(reply.text)
            self.feed.unsubscribe(connection, reply.unsubscribe)
            self.feed.subscribe(connection, reply.subscribe)

    # Public REST

    async def _time(self, request: web.Request) -> web.Response:
        return _json(wire.envelope({"serverTime": self._now_ms()}, msg=None))

    async def _config(self, request: web.Request) -> web.Response:
        return _json(wire.envelope(rest.config()))

    async def _instruments(self, request: web.Request) -> web.Response:
        return self._answer(rest.instruments(self._market, request.match_info["base"]))

    async def _options_book(self, request: web.Request) -> web.Response:
        return self._answer(rest.options_book(self._market, request.match_info["symbol"]))

    async def _futures_symbols(self, request: web.Request) -> web.Response:
        return self._answer(rest.futures_symbols(self._market, self._now_ms()), "success")

    async def _futures_instruments(self, request: web.Request) -> web.Response:
        return self._answer(rest.futures_instruments(self._market, self._now_ms()))

    async def _futures_book(self, request: web.Request) -> web.Response:
        book = rest.futures_book(self._market, request.match_info["symbol"])
        return self._answer(book, "success")

    async def _futures_depth(self, request: web.Request) -> web.Response:
        ticker = request.query.get("symbol", "")
        depth = request.query.get("depth", "1")
        return self._answer(rest.futures_depth(self._market, ticker, depth, self._now_ms()))

    def _answer(self, data: Any, msg: str = "Success") -> web.Response:
        return _json(wire.envelope(data, msg=msg))


def _json(body: str, *, status: int = 200) -> web.Response:
    return web.Response(text=body, status=status, content_type="application/json")

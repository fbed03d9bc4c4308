"""Routes and sockets: the HTTP and WebSocket surface over the venue, the feed and the sessions."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Literal, NamedTuple

from aiohttp import WSCloseCode, WSMsgType, web

from . import gate, wire
from .auth import Booleans, Prehash, RestVerifier, Verifier, is_percent_encoded
from .connection import Connection
from .control import Control
from .endpoints import Endpoint
from .faults import WHENS, Fault, Faults
from .feed import Feed, Taste
from .gate import Gate, Habits
from .instruments import FUTURES, OPTIONS
from .keys import READ
from .refusals import Refusal
from .session import Rules, Session
from .topics import PRIVATE, Catalog, Topic
from .venue import Venue

__all__ = ["Refuse", "Server", "Switches"]

Refuse = Literal["403", "frame"]

_MAX_REQUEST_BYTES = 64 * 1024
_HALF_OPEN_S = 3600.0  # nobody waits for more of a connection that is dead to him
_CLOSE_WAIT_S = 0.5  # for the peer's half of a closing handshake

_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Switches(NamedTuple):
    """How the server behaves where the venue's documents leave a choice."""

    rules: Rules
    habits: Habits
    taste: Taste
    refuse: Refuse
    prehash: Prehash
    booleans: Booleans
    max_queued_bytes: int
    pushes_first: bool  # before the answer to the request that they come of


class Server:
    """One exchange's HTTP application; used on the loop's thread only."""

    def __init__(
        self,
        venue: Venue,
        faults: Faults,
        switches: Switches,
        on_error: Callable[[Exception], None],
        restart: Callable[[bool], None],
    ) -> None:
        self.feed = Feed(venue, switches.taste)
        self.connections: set[Connection] = set()
        self.venue = venue
        self._verifier = Verifier(venue.keys, switches.prehash)
        self._gate = Gate(venue, RestVerifier(venue.keys, switches.booleans), switches.habits)
        self.faults = faults
        self.control = Control(venue, self.feed, faults, self.drop_connections, restart)
        self._switches = switches
        self._on_error = on_error

    def app(self) -> web.Application:
        app = web.Application(middlewares=[self._report])
        app.add_routes(
            [
                web.get("/options", self._options_socket),
                web.get("/futures", self._futures_socket),
                *self._gate.routes(self._rest),
                *self.control.routes(),
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
        """Hands on what is a bug of this package."""
        try:
            return await handler(request)
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
        refusal = self._verifier.check(raw_query, self.venue.clock.wall_ms)
        if refusal and (self._switches.refuse == "403" or is_percent_encoded(raw_query)):
            return gate.refusal(refusal, status=403)
        socket = web.WebSocketResponse(
            timeout=_CLOSE_WAIT_S, compress=False, max_msg_size=_MAX_REQUEST_BYTES
        )
        try:
            await socket.prepare(request)
        except ConnectionError:  # the peer has gone already
            return socket
        if refusal:
            await socket.send_str(wire.refused_frame(refusal))
            await socket.close(code=WSCloseCode.POLICY_VIOLATION)
            return socket
        if request.transport is not None:  # None: the peer has already gone
            key = self._verifier.key(raw_query)
            assert key is not None
            await self._serve(socket, request.transport, product, key.user_id)
        return socket

    async def _serve(
        self,
        socket: web.WebSocketResponse,
        transport: asyncio.Transport,
        product: str,
        user_id: int,
    ) -> None:
        loop = asyncio.get_running_loop()
        session = Session(self._catalog(product), self._switches.rules, loop.time())
        connection = Connection(
            socket, transport, session, self._switches.max_queued_bytes, self.faults
        )
        self.connections.add(connection)
        writer = asyncio.create_task(connection.write())
        try:
            await self._read(connection, user_id)
        finally:
            self.feed.leave(connection)
            self.connections.discard(connection)
            writer.cancel()
            with suppress(asyncio.CancelledError):
                await writer

    async def _read(self, connection: Connection, user_id: int) -> None:
        """Answers requests until the peer leaves or the silence has lasted too long."""
        loop = asyncio.get_running_loop()
        socket, session = connection.socket, connection.session
        while True:
            wait_s = session.closes_at_s - loop.time()
            if connection.is_half_open:
                wait_s = _HALF_OPEN_S
            elif wait_s <= 0:
                await connection.close(_CLOSE_WAIT_S)
                return
            try:
                # Not receive's own timeout, which begins anew with each ping: no message.
                async with asyncio.timeout(wait_s):
                    message = await socket.receive()
            except TimeoutError:
                continue  # a push may have moved the deadline
            if message.type not in (WSMsgType.TEXT, WSMsgType.BINARY):
                return
            if connection.is_half_open:
                continue
            reply = session.receive(message.data, loop.time())
            if reply.text:
                connection.send(reply.text)
            self.feed.unsubscribe(connection, _owned(reply.unsubscribe, user_id))
            self.feed.subscribe(connection, _owned(reply.subscribe, user_id))

    def _catalog(self, product: str) -> Catalog:
        market = self.venue.engine.market
        expiries = {
            (listed.pair.name, listed.terms.expiry_ms)
            for listed in market.instruments.values()
            if listed.terms is not None
        }
        symbols = frozenset(market.symbols(product))
        return Catalog(product, symbols, expiries, self.venue.edition)

    # REST

    async def _rest(self, request: web.Request, endpoint: Endpoint) -> web.StreamResponse:
        # Whatever charset it says it is in, JSON is UTF-8; what is not that is no JSON.
        body = (await request.read()).decode(errors="replace")
        faults = self.faults.rest(request.method, request.path)
        before, between, after = ([f for f in faults if f.when == when] for when in WHENS)
        if (faulty := await _go_wrong(request, before)) is not None:
            return faulty
        call = self._gate.admit(request, body, endpoint)
        faulty = await _go_wrong(request, between)
        self.feed.advance()
        if between or after or self._switches.pushes_first:
            response = self._gate.answer(call, endpoint)
            self.feed.flush()
            return await _go_wrong(request, after) or faulty or response
        # The answer goes out before what it answers is told.
        self.feed.hold()
        try:
            response = self._gate.answer(call, endpoint)
            if endpoint.permission not in (None, READ):  # else there is nothing to tell
                await response.prepare(request)
                await response.write_eof()
        finally:
            self.feed.release()
        return response


async def _go_wrong(request: web.Request, faults: list[Fault]) -> web.StreamResponse | None:
    """Does to an answer what is ordered; None when the real one is still to come."""
    answer: web.StreamResponse | None = None
    for fault in faults:
        if fault.kind == "wait":
            await asyncio.sleep(fault.amount / 1000)
        elif fault.kind == "status":
            answer = web.Response(status=fault.amount, text="<html>fault to order</html>")
        elif fault.kind == "code":
            answer = gate.refusal(Refusal(fault.amount, "fault to order"))
        elif request.transport is not None:  # hang up
            request.transport.abort()
            answer = web.Response()
    return answer


def _owned(topics: tuple[Topic, ...], user_id: int) -> list[Topic]:
    """Private topics are those of whoever asks."""
    return [t._replace(user_id=user_id) if t.channel in PRIVATE else t for t in topics]

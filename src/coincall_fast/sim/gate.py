"""The REST surface: from an HTTP request to an endpoint's answer, or to a refusal."""

import asyncio
from typing import Any, Literal, NamedTuple

from aiohttp import web

from . import params, refusals, wire
from .auth import RestVerifier
from .endpoints import ENDPOINTS, Endpoint
from .keys import MAKER, READ, Key
from .rates import CLASSES, Limits, Rates
from .refusals import Refusal, RefusedError
from .venue import Venue
from .verbs import Call

__all__ = ["Gate", "Habits", "Throttle"]

Throttle = Literal["code", "429", "off"]

_NOBODY = Key("", "", -1, frozenset())


class Habits(NamedTuple):
    """How REST behaves where the venue's documents leave a choice."""

    throttle: Throttle = "code"
    makers_only: Literal["404", "code"] = "404"  # what a key without the permission gets
    limits: Limits = CLASSES


class Gate:
    """Checks and answers requests; used on the loop's thread only."""

    def __init__(self, venue: Venue, verifier: RestVerifier, habits: Habits) -> None:
        self._venue = venue
        self._verifier = verifier
        self._habits = habits
        self._rates = Rates(habits.limits)

    def routes(self, handle: Any) -> list[web.RouteDef]:
        """One route an endpoint; `handle(request, endpoint)` is what serves it."""

        def route(endpoint: Endpoint) -> web.RouteDef:
            async def serve(request: web.Request) -> web.StreamResponse:
                response: web.StreamResponse = await handle(request, endpoint)
                return response

            return web.route(endpoint.method, endpoint.path, serve)

        return [route(endpoint) for endpoint in ENDPOINTS]

    # Refusals are answered with HTTP 200 and their code.

    def admit(self, request: web.Request, body: str, endpoint: Endpoint) -> Call | web.Response:
        """The first half of a request's way: may it be? Else what it is refused with."""
        try:
            fields = _fields(request, body)
            key = self._key(request, endpoint, fields)
            self._count(request, endpoint, key)
        except RefusedError as refused:
            return refusal(refused.refusal)
        return Call(self._venue, key, endpoint.product, dict(request.match_info), fields)

    def answer(self, call: Call | web.Response, endpoint: Endpoint) -> web.Response:
        """The second half: it takes effect."""
        if isinstance(call, web.Response):
            return call
        try:
            data = endpoint.answer(call)
        except RefusedError as refused:
            return refusal(refused.refusal)
        if self._venue.edition != "today" and endpoint.later:
            data = _without(data, endpoint.later)
        text = wire.envelope(data, code=endpoint.code, msg=endpoint.msg, has_i18n=endpoint.has_i18n)
        return _json(text)

    def _key(self, request: web.Request, endpoint: Endpoint, fields: dict[str, Any]) -> Key:
        if endpoint.permission is None:
            return _NOBODY
        path = request.rel_url.raw_path
        now_ms = self._venue.clock.wall_ms
        key = self._verifier.check(request.method, path, request.headers, fields, now_ms)
        if endpoint.permission in (READ, *key.permissions):
            return key
        if endpoint.permission != MAKER:
            raise RefusedError(refusals.NOT_AUTHORIZED)
        if self._habits.makers_only == "404":
            raise web.HTTPNotFound
        raise RefusedError(refusals.NOT_ALLOWED)

    def _count(self, request: web.Request, endpoint: Endpoint, key: Key) -> None:
        if endpoint.rate is None or self._habits.throttle == "off":
            return
        who = request.remote if key is _NOBODY else key.user_id
        now_s = asyncio.get_running_loop().time()
        # The two products are counted together, as the table names no product but for the config.
        if not self._rates.admits(endpoint.rate, who, now_s):
            if self._habits.throttle == "429":
                raise web.HTTPTooManyRequests
            raise RefusedError(refusals.TOO_FREQUENT)


def refusal(refused: Refusal, *, status: int = 200) -> web.Response:
    return _json(wire.envelope(None, code=refused.code, msg=refused.msg), status=status)


def _json(body: str, *, status: int = 200) -> web.Response:
    return web.Response(text=body, status=status, content_type="application/json")


def _fields(request: web.Request, body: str) -> dict[str, Any]:
    """What the request asks for: the query of a GET, the body of a POST."""
    if request.method == "GET":
        return params.from_query(request.rel_url.raw_query_string)
    if not body:
        return {}
    if request.content_type == "application/json":
        fields = params.from_json(body)
        if fields is None:
            raise RefusedError(refusals.INVALID_REQUEST)
        return fields
    if request.content_type == "application/x-www-form-urlencoded":
        # All the endpoints here want JSON; the wrong one is told so obscurely (section 5, 32).
        raise RefusedError(refusals.ILLEGAL)
    raise RefusedError(refusals.INVALID_CONTENT)


def _without(data: Any, later: tuple[str, ...]) -> Any:
    """An answer as it was before some keys came."""
    if isinstance(data, dict):
        return {name: _without(item, later) for name, item in data.items() if name not in later}
    if isinstance(data, list):
        return [_without(item, later) for item in data]
    return data

"""The control endpoint: faults and time, ordered over HTTP while the exchange runs.

Not signed: whoever can reach the exchange can break it, which is what it is for.
"""

import json
from collections.abc import Callable
from typing import Any

from aiohttp import web

from .faults import Faults
from .feed import Feed
from .venue import Venue

__all__ = ["Control"]


class Control:
    """`/sim/…`; used on the loop's thread only."""

    def __init__(
        self,
        venue: Venue,
        feed: Feed,
        faults: Faults,
        cut: Callable[[], None],
        restart: Callable[[bool], None],
    ) -> None:
        self._venue = venue
        self._feed = feed
        self._faults = faults
        self._verbs: dict[str, Callable[[dict[str, Any]], Any]] = {
            "faults": lambda how: {"id": faults.add(**how)},
            "cut": lambda _: cut(),
            "stall": lambda how: self.stall(_flag(how, "on")),
            "silence": lambda how: self.silence(how["symbol"], _flag(how, "on")),
            "freeze": lambda how: self.freeze(_flag(how, "on")),
            "skip": lambda how: self.skip(how["ms"]),
            "skew": lambda how: self.skew(how["ms"]),
            "restart": lambda how: restart(_flag(how, "keep_state")),
        }

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/sim/faults", self._list),
            web.delete("/sim/faults", self._remove),
            web.delete(r"/sim/faults/{number:\d{1,9}}", self._remove),
            web.post("/sim/{verb}", self._post),
        ]

    # What `Exchange` has by name, too

    def stall(self, on: bool = True) -> None:
        self._feed.is_stalled = on

    def silence(self, symbol: str, on: bool = True) -> None:
        if symbol not in self._venue.engine.market.instruments:
            raise ValueError(f"symbol {symbol!r} is not listed")
        (self._feed.silenced.add if on else self._feed.silenced.discard)(symbol)

    def freeze(self, on: bool = True) -> None:
        self._venue.engine.market.is_frozen = on

    def skip(self, by_ms: int) -> None:
        self._venue.clock.skip(by_ms)
        self._feed.advance()

    def skew(self, by_ms: int) -> None:
        self._venue.clock.skew(by_ms)

    # Over HTTP

    async def _list(self, request: web.Request) -> web.Response:
        return web.json_response(self._faults.listed())

    async def _remove(self, request: web.Request) -> web.Response:
        number = request.match_info.get("number")
        self._faults.remove(None if number is None else int(number))
        return web.json_response({})

    async def _post(self, request: web.Request) -> web.Response:
        verb = self._verbs.get(request.match_info["verb"])
        if verb is None:
            raise web.HTTPNotFound
        try:
            how = json.loads(await request.read() or b"{}")
            return web.json_response(verb(how) or {})
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise web.HTTPBadRequest(text=f"{type(error).__name__}: {error}") from error


def _flag(how: dict[str, Any], name: str) -> bool:
    """True unless it is told; "no" is not an answer."""
    flag = how.get(name, True)
    if not isinstance(flag, bool):
        raise TypeError(f"{name}={flag!r}: must be true or false")
    return flag

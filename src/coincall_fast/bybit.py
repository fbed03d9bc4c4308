"""Bybit's USDC options: its channels, and how its streams spell what a session says.

Edition "v5" is what the venue serves today; "v1" is that of seed 002, whose addresses it has
retired. Sources: seed 002; protocol page of Bybit and Gate, section 1; for v5 the venue's own
"v5/ws/connect" and "v5/websocket" pages, see docs/unverified.md.
"""

import json
import os
from functools import partial
from typing import Any, NamedTuple

from ._book import BookStore as _BookStore
from ._book import decode as _decode
from .environment import credentials, hosts
from .errors import AuthError, RateLimited, UsageError, VenueError
from .message import Ack, Heartbeat, Message, UnknownMessage
from .model import Channel
from .signing import Credentials, Hidden
from .streams.dialect import SECOND_NS, About, Numbered, Reply, Request
from .streams.dialect import Dialect as _Dialect
from .streams.player import Replay
from .streams.recording import about
from .streams.stream import Stream as _Stream
from .wire import BYBIT, OPTIONS, Wire
from .wire import BYBIT_V5 as WIRE

__all__ = ["WIRE", "BookStore", "Channel", "Stream", "decode", "replay"]

PUBLIC, PRIVATE = "public", "private"
GREEKS = "user.openapi.greeks"

BookStore = partial(_BookStore, wire=WIRE)


def decode(frame: bytes | bytearray | memoryview | str) -> Any:
    """One frame of either edition: a fresh `OrderBook`, or a message. Raises DecodeError."""
    item = _decode(frame, wire=WIRE)
    return _decode(frame, wire=BYBIT) if isinstance(item, UnknownMessage) else item


class Topic(NamedTuple):
    """A channel: what its topics begin with, and whether a symbol or only its coin follows."""

    data_type: str
    line: str
    channel: Channel | None = None
    of_coin: bool = False


# Of several with one channel, the first is what a subscription asks for.
V1 = (
    Topic("delta.orderbook100", PUBLIC, Channel.BOOK),
    Topic("orderbook100", PUBLIC, Channel.BOOK),
    Topic("orderbook25", PUBLIC, Channel.BOOK),
    Topic("recenttrades", PUBLIC, Channel.TRADES, of_coin=True),
    Topic("instrument_info", PUBLIC, Channel.TICKER),
    Topic("platform.insurance.USDC", PUBLIC),
    Topic("user.openapi.option.order", PRIVATE, Channel.ORDERS),
    Topic("user.openapi.option.trade", PRIVATE, Channel.FILLS),
    Topic("user.openapi.option.position", PRIVATE, Channel.POSITIONS),
    Topic(GREEKS, PRIVATE),
    Topic("user.mmp.event", PRIVATE),
)
V5 = (
    Topic("orderbook.100", PUBLIC, Channel.BOOK),
    Topic("orderbook.25", PUBLIC, Channel.BOOK),
    Topic("publicTrade", PUBLIC, Channel.TRADES, of_coin=True),
    Topic("tickers", PUBLIC, Channel.TICKER),
    Topic("order", PRIVATE, Channel.ORDERS),
    Topic("execution", PRIVATE, Channel.FILLS),
    Topic("position", PRIVATE, Channel.POSITIONS),
    Topic("wallet", PRIVATE, Channel.ACCOUNT),
    Topic("greeks", PRIVATE),
)


class Edition(NamedTuple):
    """What differs between the editions, but for the channels' own frames."""

    topics: tuple[Topic, ...]
    paths: dict[str, str]
    number: str  # the key of a request's number
    wire: Wire


EDITIONS = {
    "v5": Edition(V5, {PUBLIC: "/v5/public/option", PRIVATE: "/v5/private"}, "req_id", WIRE),
    "v1": Edition(
        V1,
        {line: f"/trade/option/usdc/{line}/v1" for line in (PUBLIC, PRIVATE)},
        "id",
        BYBIT,
    ),
}

# Section 1.5. What is not here is a VenueError.
_CODES: dict[int | None, type[VenueError]] = {
    3303001: AuthError,
    3303006: AuthError,
    3303007: RateLimited,
    3303008: RateLimited,
}
_LOGGED_IN_ALREADY = 3303005


class Dialect(_Dialect):
    """How Bybit spells what a stream says.

    `login_ms` is how long the signature of a log-in is good for.
    """

    venue = "bybit"
    products = (OPTIONS,)
    requests_per_s = 20
    # Section 1.3: dropped after 30 s without a ping, whatever else comes; asked for at once.
    beats_always = True
    quiet_ns = 20 * SECOND_NS
    patience_ns = 10 * SECOND_NS

    def __init__(self, edition: str = "v5", login_ms: int = 10_000) -> None:
        if edition not in EDITIONS:
            raise UsageError(f"edition is one of {', '.join(EDITIONS)}, not {edition!r}")
        self.edition = edition
        self._edition = EDITIONS[edition]
        self._login_ms = login_ms
        self.wire = self._edition.wire
        rows = self._edition.topics
        self._rows = {row.data_type: row for row in rows}
        self.book_types = frozenset(row.data_type for row in rows if row.channel is Channel.BOOK)
        said = {row.channel for row in rows}  # that of 2022 has no channel of the account's balance
        self.private = tuple(channel for channel in _Dialect.private if channel in said)

    def credentials(self, api_key: str | None, api_secret: str | None) -> Credentials | None:
        given = Hidden(api_key=api_key or "", api_secret=api_secret or "")
        del api_key, api_secret  # or an error would show them among its frame's locals
        return credentials(**given, venue=self.venue)

    def ws_url(self, env: str | None) -> str:
        return hosts(env, self.venue).ws

    def lines(self, product: str) -> tuple[str, ...]:
        return (PUBLIC, PRIVATE)

    def path(self, line: str) -> str:
        return self._edition.paths[line]

    def is_private(self, data_type: str) -> bool:
        return self._line(data_type) == PRIVATE

    def _line(self, data_type: str) -> str:
        """Public and private topics are never on one connection (section 1.1)."""
        row = self._rows.get(data_type)
        if row is not None:
            return row.line
        first = data_type.partition(".")[0]
        known = {row.data_type.partition(".")[0] for row in self._rows.values()}
        private = {name for name in known if self._rows.get(name, _NONE).line == PRIVATE}
        return PRIVATE if first in (private | {"user"}) else PUBLIC

    def data_types(self, channel: str, symbol: str | None) -> dict[str, str]:
        if not isinstance(channel, Channel):
            return {self._line(channel): channel}
        for row in self._edition.topics:
            if row.channel is channel:
                return {row.line: row.data_type}
        raise UsageError(f"Bybit has no channel {channel}")

    def symbols_per_request(self, line: str, data_type: str) -> int:
        return 100  # of some 40 characters, where 21 000 are taken

    def addressed(self, data_type: str, symbol: str) -> str:
        row = self._rows.get(data_type, _NONE)
        return symbol.partition("-")[0] if row.of_coin else symbol

    def topics(self, request: Request) -> frozenset[str]:
        return frozenset(self._args(request))

    def _args(self, request: Request) -> list[str]:
        named = [f"{request.data_type}.{symbol}" for symbol in request.symbols]
        return named or [request.data_type]

    def request(self, request: Request, keys: Credentials | None, wall_ms: int) -> str:
        if request.payload:
            raise ValueError("Bybit's topics say all that there is to say")
        number = {self._edition.number: str(request.number)}
        return _text({"op": request.action, **number, "args": self._args(request)})

    def heartbeat(self, wall_ms: int) -> str:
        return _text({"op": "ping", "args": [str(wall_ms)]})

    def login(self, line: str, keys: Credentials | None, wall_ms: int) -> str | None:
        if line != PRIVATE or keys is None:
            return None
        expires_ms = wall_ms + self._login_ms
        signature = keys.bybit_signature(expires_ms)
        return _text({"op": "auth", "args": [keys.key, expires_ms, signature]})

    def reply(self, message: Message) -> Reply | None:
        if isinstance(message, Heartbeat):
            return Reply(ok=True, about=About.PULSE)
        body = message.detail if isinstance(message, Ack) else None
        body = message.body if isinstance(message, UnknownMessage) else body
        if not isinstance(body, dict):
            return None
        kind, op = body.get("type"), body.get("op")
        if op == "pong" or body.get("ret_msg") == "pong":
            return Reply(ok=True, about=About.PULSE)
        if kind == "AUTH_RESP" or op == "auth":
            return self._let_in(body)
        if kind == "COMMAND_RESP" or op in ("subscribe", "unsubscribe"):
            return self._done(body, op)
        return None

    def _let_in(self, body: dict[str, Any]) -> Reply:
        code, said = _said(body)
        if body.get("success") is True or code == _LOGGED_IN_ALREADY:
            return Reply(ok=True, about=About.LOGIN)
        final = AuthError(f"the log-in was refused: {said}", code, self.venue)
        return Reply(ok=False, about=About.LOGIN, final=final)

    def _done(self, body: dict[str, Any], op: Any) -> Reply:
        """The answer to a request: a success may still name topics that failed (section 1.4)."""
        code, said = _said(body)
        data = body.get("data")
        data = data if isinstance(data, dict) else {}
        done, failed = (_names(data.get(key)) for key in ("successTopics", "failTopics"))
        number = str(body.get(self._edition.number) or "")
        return Reply(
            ok=body.get("success") is True,
            action=op if isinstance(op, str) else None,
            number=int(number) if number.isdecimal() else None,
            topics=frozenset(done + failed) or None,
            failed=failed,
            said=said or "the venue does not say why",
            code=code,
            error=_CODES.get(code, VenueError),
        )

    def numbered(self, item: Message | list[Message]) -> Numbered | None:
        """Section 1.8; of the greeks each replaces the last, whatever its number."""
        channel, number, epoch, is_whole = (getattr(item, name, None) for name in _PLACE)
        if channel is None or number is None or epoch is None or channel == GREEKS:
            return None
        return Numbered(channel, number, epoch, is_whole is True, comes_whole=is_whole is not None)

    def looks_like_a_book(self, frame: bytes) -> bool:
        return b"orderbook" in frame or b"orderBook" in frame

    def names_of(self, message: Message) -> tuple[str, ...]:
        topic = message.channel or ""
        while topic and topic not in self._rows:
            topic = topic.rpartition(".")[0]
        row = self._rows.get(topic)
        if row is None:
            return ()
        return (row.data_type,) if row.channel is None else (row.channel, row.data_type)

    def is_name(self, name: str) -> bool:
        return name in self._rows or any(row.channel == name for row in self._rows.values())


_NONE = Topic("", PUBLIC)
_PLACE = ("channel", "version", "base_line", "is_snapshot")


def _text(body: dict[str, Any]) -> str:
    return json.dumps(body, separators=(",", ":"))


def _said(body: dict[str, Any]) -> tuple[int | None, str]:
    """The code, where that is one, and the words of an answer."""
    said = str(body.get("ret_msg") or "")
    return (int(said) if said.isdecimal() else None), said


def _names(given: Any) -> tuple[str, ...]:
    return tuple(str(name) for name in given) if isinstance(given, list) else ()


class Stream(_Stream):
    """Stream("options", api_key=None, api_secret=None, env=None, ws_url=None, store=None,
    stale_after_ms=5000, sockets=1, proxy=None, edition="v5", login_ms=10000)

    Bybit's streams of USDC options: public channels over one connection, those of the account over
    another, which is there once it is subscribed to.

    Keys come from the arguments or from BYBIT_API_KEY and BYBIT_API_SECRET, and public channels
    need none; `env` is "prod" or "testnet", else BYBIT_ENV, else "prod"; `ws_url` is another base
    address, without the path. `edition` is "v5", or "v1" for what the venue has retired. `login_ms`
    is how long a log-in is valid. The rest is as of Coincall's `Stream`.
    """

    dialect_type = Dialect


def replay(
    path: str | os.PathLike[str],
    store: _BookStore | None = None,
    speed: float | None = None,
    *,
    stale_after_ms: int | None = 5_000,
    skip_damage: bool = False,
    edition: str | None = None,
) -> Replay:
    """Plays what `Stream.record` has recorded, as Coincall's `replay`; of the edition that the
    recording says, unless another is given."""
    dialect = Dialect(edition or about(path).get("edition") or "v5")
    return Replay(
        path, dialect, store, speed, stale_after_ms=stale_after_ms, skip_damage=skip_damage
    )

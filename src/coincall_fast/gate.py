"""Gate's options: its channels, and how its streams spell what a session says.

Private channels are subscribed to in the form of seed 004, or, where the user id is given, in that
of the venue's own documents; what comes is read in both. Books are of the official public channel
alone, and begin from a snapshot of REST. Sources: seed 004; protocol page of Bybit and Gate,
section 2.
"""

import json
import os
from collections.abc import Mapping
from decimal import Decimal
from functools import partial
from typing import Any, NamedTuple
from urllib.parse import urlencode

from ._book import BookStore as _BookStore
from ._book import decode as _decode
from .environment import credentials, hosts
from .errors import AuthError, DecodeError, UsageError, VenueError
from .message import Ack, Heartbeat, Message, UnknownMessage
from .model import Channel
from .signing import Credentials, Hidden
from .streams.dialect import SECOND_NS, About, Base, Reply, Request, Whole
from .streams.dialect import Dialect as _Dialect
from .streams.player import Replay
from .streams.stream import Stream as _Stream
from .wire import GATE as WIRE
from .wire import OPTIONS

__all__ = ["WIRE", "BookStore", "Channel", "Stream", "decode", "replay"]

BookStore = partial(_BookStore, wire=WIRE)
decode = partial(_decode, wire=WIRE)

BOOK = "options.order_book_update"
CANDLES = "options.contract_candlesticks"
BALANCES = "options.balances"
PORTFOLIO = "options.portfolio"
END_MS = 10**15  # no time in ms is later
LEVEL = 50  # of both the updates and their snapshot, which is never to be the deeper


class Row(NamedTuple):
    """A channel, and whether it is of the account."""

    data_type: str
    channel: Channel | None = None
    is_private: bool = False


_ROWS = (
    Row(BOOK, Channel.BOOK),
    Row("options.contract_tickers", Channel.TICKER),
    Row("options.trades", Channel.TRADES),
    Row(CANDLES, Channel.KLINE),
    Row("options.orders", Channel.ORDERS, is_private=True),
    Row("options.usertrades", Channel.FILLS, is_private=True),
    Row("options.positions", Channel.POSITIONS, is_private=True),
    Row(BALANCES, Channel.ACCOUNT, is_private=True),
    Row(PORTFOLIO, is_private=True),
    Row("options.liquidates", is_private=True),
    Row("options.user_settlements", is_private=True),
    Row("options.position_closes", is_private=True),
)
_BY_NAME = {row.data_type: row for row in _ROWS}
_AUTH_CODES = (4, 6, 11, 401)  # section 2.3, and the seed's


class Dialect(_Dialect):
    """How Gate spells what a stream says.

    `edition` is "seed" or "official", and without it the one that the `user_id` allows: it stands
    in each official subscription of the account.
    """

    venue = "gate"
    wire = WIRE
    products = (OPTIONS,)
    book_types = frozenset({BOOK})
    requests_per_s = 50
    beats_always = True  # section 2.3: a ping resets the venue's idle timer, and 10 s are safe
    quiet_ns = 10 * SECOND_NS
    patience_ns = 10 * SECOND_NS

    def __init__(
        self,
        edition: str | None = None,
        user_id: str | int | None = None,
        rest_url: str | None = None,
    ) -> None:
        self._user_id = str(user_id or os.environ.get("GATE_USER_ID") or "")
        edition = edition or ("official" if self._user_id else "seed")
        if edition not in ("seed", "official"):
            raise UsageError(f"edition is seed or official, not {edition!r}")
        self._is_official = edition == "official"
        if not self._is_official:  # the seed has no channel of fills
            self.private = (Channel.ORDERS, Channel.POSITIONS, Channel.ACCOUNT)
        self._rest_url = rest_url

    def credentials(self, api_key: str | None, api_secret: str | None) -> Credentials | None:
        given = Hidden(api_key=api_key or "", api_secret=api_secret or "")
        del api_key, api_secret  # or an error would show them among its frame's locals
        return credentials(**given, venue=self.venue)

    def ws_url(self, env: str | None) -> str:
        return hosts(env, self.venue).ws

    def rest_url(self, env: str | None) -> str | None:
        return self._rest_url or hosts(env, self.venue).rest

    def path(self, line: str) -> str:
        return ""

    def is_private(self, data_type: str) -> bool:
        row = _BY_NAME.get(data_type)
        return row is not None and row.is_private

    def data_types(self, channel: str, symbol: str | None) -> dict[str, str]:
        if not isinstance(channel, Channel):
            return {OPTIONS: channel}
        for row in _ROWS:
            if row.channel is channel:
                return {OPTIONS: row.data_type}
        raise UsageError(f"Gate has no channel {channel}")

    def symbols_per_request(self, line: str, data_type: str) -> int:
        is_listed = not (self._is_official and self.is_private(data_type))
        return 100 if is_listed and data_type not in (BOOK, CANDLES) else 1

    def request(self, request: Request, keys: Credentials | None, wall_ms: int) -> str:
        time_s = wall_ms // 1000
        channel, event = request.data_type, request.action
        body: dict[str, Any] = {
            "time": time_s,
            "id": request.number,
            "channel": channel,
            "event": event,
            "payload": self._payload(request),
        }
        if keys is not None and self.is_private(channel):
            # With the time of this very request: a subscription that is sent again is signed anew.
            sign = keys.gate_signature(channel, event, time_s)
            body["auth"] = {"method": "api_key", "KEY": keys.key, "SIGN": sign}
        return json.dumps(body, separators=(",", ":"))

    def _payload(self, request: Request) -> list[str] | dict[str, Any]:
        """Sections 2.4 and 2.5."""
        given, symbols = dict(request.payload), list(request.symbols)
        if request.data_type == BOOK:
            interval, level = given.pop("interval", "100ms"), given.pop("level", LEVEL)
            payload = [*symbols, str(interval), str(level)]
        elif request.data_type == CANDLES:
            payload = [str(given.pop("interval")), *symbols] if "interval" in given else []
        elif self.is_private(request.data_type) and given:
            return given  # {"underlyings": [...], "contracts": [...]}, which needs no user id
        elif self.is_private(request.data_type) and self._is_official:
            payload = self._of_account(request.data_type, symbols)
        else:
            payload = symbols
        if given or (request.data_type == CANDLES and not payload):
            raise ValueError(f"{request.data_type} with {given or 'no interval'}")
        return payload

    def _of_account(self, data_type: str, symbols: list[str]) -> list[str]:
        if not self._user_id:
            raise ValueError("the official form of the account's channels needs a user_id")
        if data_type in (BALANCES, PORTFOLIO):
            return [self._user_id]
        return [self._user_id, *(symbols or ["!all"])]

    def heartbeat(self, wall_ms: int) -> str:
        return f'{{"time":{wall_ms // 1000},"channel":"options.ping"}}'

    def reply(self, message: Message) -> Reply | None:
        if isinstance(message, Heartbeat):
            return Reply(ok=True, about=About.PULSE)
        body = message.detail if isinstance(message, Ack) else None
        body = message.body if isinstance(message, UnknownMessage) else body
        if not isinstance(body, dict):
            return None
        channel, event, result = body.get("channel"), body.get("event"), body.get("result")
        status = result.get("status") if isinstance(result, dict) else None
        if channel == "options.pong":
            return Reply(ok=True, about=About.PULSE)
        if event == "upgrade" or (isinstance(result, dict) and result.get("type") == "upgrade"):
            return Reply(ok=True, about=About.FAREWELL, said="an upgrade")
        error = body if event == "error" else body.get("error")
        is_refusal = bool(error) or status == "failed"
        if event not in ("subscribe", "unsubscribe") and not is_refusal:
            return None
        number = body.get("id")
        code, said = _said(error)
        return Reply(
            ok=not is_refusal,
            action=event if event in ("subscribe", "unsubscribe") else None,
            number=number if isinstance(number, int) else None,
            data_type=channel if isinstance(channel, str) else None,
            said=said,
            code=code,
            error=AuthError if code in _AUTH_CODES or "INVALID_KEY" in said else VenueError,
        )

    def looks_like_a_book(self, frame: bytes) -> bool:
        return b"order_book" in frame

    def names_of(self, message: Message) -> tuple[str, ...]:
        row = _BY_NAME.get(message.channel or "")
        if row is None:
            return ()
        return (row.data_type,) if row.channel is None else (row.channel, row.data_type)

    def is_name(self, name: str) -> bool:
        return name in _BY_NAME or any(row.channel == name for row in _ROWS)

    def base(self, symbol: str, payload: Mapping[str, Any]) -> Base | None:
        level = payload.get("level", LEVEL)
        asked = {"contract": symbol, "limit": level, "with_id": "true"}
        return Base(symbol, f"/options/order_book?{urlencode(asked)}")

    def based(self, body: bytes) -> Whole:
        """``{"id", "current", "update": seconds, "asks": [{"p", "s"}], "bids": …}``."""
        try:
            said = json.loads(body, parse_float=Decimal)
            bids, asks = ([(row["p"], row["s"]) for row in said[side]] for side in ("bids", "asks"))
            ts_ms = int(Decimal(said.get("update") or said["current"]) * 1000)
            version = said["id"]
        except (ValueError, TypeError, KeyError, AttributeError, ArithmeticError, RecursionError):
            raise DecodeError("the snapshot of a book is none") from None
        if type(version) is not int:
            raise DecodeError("the snapshot of a book has no number")
        if not 0 <= ts_ms < END_MS:
            raise DecodeError("the snapshot of a book has no time")
        return Whole(bids, asks, ts_ms, version)


def _said(error: Any) -> tuple[int | None, str]:
    """The code and the words of an error: an object of its own, or the seed's flat frame."""
    if not isinstance(error, dict):
        return None, str(error or "the venue does not say why")
    code = error.get("code")
    return code if isinstance(code, int) else None, str(error.get("message") or error)


class Stream(_Stream):
    """Stream("options", api_key=None, api_secret=None, env=None, ws_url=None, store=None,
    stale_after_ms=5000, sockets=1, proxy=None, edition=None, user_id=None, rest_url=None)

    Gate's streams of options: public channels and those of the account over one connection, each
    request of the latter signed by itself.

    Keys come from the arguments or from GATE_API_KEY and GATE_API_SECRET, and public channels need
    none; `env` is "prod" or "testnet", else GATE_ENV, else "prod"; `ws_url` and `rest_url` are
    other addresses. With `user_id`, else GATE_USER_ID, the account's channels are asked for in the
    official form, else in that of seed 004, unless `edition` says "official" or "seed". The rest is
    as of Coincall's `Stream`.
    """

    dialect_type = Dialect


def replay(
    path: str | os.PathLike[str],
    store: _BookStore | None = None,
    speed: float | None = None,
    *,
    stale_after_ms: int | None = 5_000,
    skip_damage: bool = False,
) -> Replay:
    """Plays what `Stream.record` has recorded, as Coincall's `replay`."""
    return Replay(
        path, Dialect(), store, speed, stale_after_ms=stale_after_ms, skip_damage=skip_damage
    )

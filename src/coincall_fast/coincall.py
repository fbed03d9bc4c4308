"""Coincall: its client, its channels, and how its streams spell what a session says.

Sources: seeds 000, 001 and 003; protocol page, sections 0, 1.2 and 3.
"""

import json
import os
import re
from collections.abc import Mapping
from typing import Any

from ._book import BookStore, decode, decode_into
from ._message import decode_rest
from .environment import credentials, hosts
from .errors import AuthError, ClockError, UsageError, VenueError
from .message import Ack, Heartbeat, Message
from .model import Channel
from .rest.client import Client, Timeout
from .rest.codes import CODES
from .signing import Credentials, Hidden
from .streams.dialect import About, Reply, Request
from .streams.dialect import Dialect as _Dialect
from .streams.player import Replay
from .streams.stream import Stream as _Stream
from .wire import COINCALL as WIRE
from .wire import FUTURES, OPTIONS, ChannelRow

__all__ = [
    "WIRE",
    "BookStore",
    "Channel",
    "Client",
    "Stream",
    "Timeout",
    "decode",
    "decode_into",
    "decode_rest",
    "replay",
]

# BTCUSD-27DEC24-65000-C; the day is not padded, the strike keeps its zeros (section 5, row 20).
_OPTION = re.compile(r"[A-Z0-9]+-\d{1,2}[A-Z]{3}\d{2}-\d+(?:\.\d+)?-[CP]")


# A key may lack the permission for one channel only: that is an answer to a request.
_NOT_PERMITTED = ("7001", "10554")

# By the code of a channel; each message asks.
_NAMES: dict[int | None, tuple[str, ...]] = {
    row.dt: (row.data_type,) if row.channel is None else (row.channel, row.data_type)
    for row in WIRE.rows
}


class Dialect(_Dialect):
    """How Coincall spells what a stream says."""

    venue = "coincall"
    wire = WIRE
    products = (OPTIONS, FUTURES)
    book_types = frozenset({"orderBook"})
    # The page of today signs "apiKey=", that of 2023 "uuid="; both were seen to work (section 1.2).
    spellings = ("apiKey", "uuid")
    has_client = True
    # The snapshots of positions, a second apart, may leave out those that have been closed.
    private = (
        Channel.ORDERS,
        Channel.FILLS,
        Channel.POSITIONS,
        "positionEvent",
        Channel.ACCOUNT,
    )

    def credentials(self, api_key: str | None, api_secret: str | None) -> Credentials:
        given = Hidden(api_key=api_key or "", api_secret=api_secret or "")
        del api_key, api_secret  # or an error would show them among its frame's locals
        found = credentials(**given)
        if found is None:
            raise UsageError(
                "streams are signed, the public ones too: give api_key and api_secret, "
                "or set COINCALL_API_KEY and COINCALL_API_SECRET"
            )
        return found

    def ws_url(self, env: str | None) -> str:
        return hosts(env).ws

    def signed(self, url: str, keys: Credentials | None, ts_ms: int, spelling: str) -> str:
        assert keys is not None
        return keys.ws_url(url, ts_ms, spelling)

    def symbols_per_request(self, product: str, data_type: str) -> int:
        row = self._row(product, data_type)
        return 100 if row is not None and row.listed else 1

    def data_types(self, channel: str, symbol: str | None) -> dict[str, str]:
        """By product, what the venue calls a channel there; a `symbol` leaves its product only.

        A name that is no `Channel` is taken to be the venue's own, known to us or not.
        """
        having = {
            row.product: row.data_type
            for row in reversed(WIRE.rows)
            if channel in ((row.channel,) if isinstance(channel, Channel) else (row.data_type,))
        } or dict.fromkeys(self.products, channel)
        if symbol is None or len(having) == 1:
            return having
        product = OPTIONS if _OPTION.fullmatch(symbol) else FUTURES
        return {product: having[product]}

    def names_of(self, message: Message) -> tuple[str, ...]:
        return _NAMES.get(message.dt, ())

    def is_name(self, name: str) -> bool:
        return any(name in names for names in _NAMES.values())

    def looks_like_a_book(self, frame: bytes) -> bool:
        return b'"asks"' in frame or b'"bids"' in frame

    def heartbeat(self, wall_ms: int) -> str:
        return '{"action":"heartbeat"}'

    def reply(self, message: Message) -> Reply | None:
        if isinstance(message, Heartbeat):
            return Reply(ok=True, about=About.PULSE)
        if not isinstance(message, Ack):
            return None
        said = str(message.detail)
        final = None if message.action is not None else self._refusal(message.detail)
        return Reply(message.ok, action=message.action, said=said, final=final)

    def _refusal(self, detail: Mapping[str, Any]) -> AuthError | None:
        """What an answer that names no action says of key, signature or timestamp, if it does."""
        code = str(detail.get("code", detail.get("c")))
        if not code.isdecimal() or code in _NOT_PERMITTED:
            return None
        kind, text = CODES.get(int(code[:9]), (VenueError, ""))
        if kind not in (AuthError, ClockError):
            return None
        return AuthError(f"the signed address was refused: {text}", int(code))

    def _row(self, product: str, data_type: str) -> ChannelRow | None:
        rows = (row for row in WIRE.rows if (row.product, row.data_type) == (product, data_type))
        return next(rows, None)

    def request(self, request: Request, keys: Credentials | None, wall_ms: int) -> str:
        content = dict(request.payload)
        if request.symbols:
            symbols = request.symbols
            content["symbol"] = symbols[0] if len(symbols) == 1 else list(symbols)
        body: dict[str, Any] = {
            # Section 3.1: the lower-case spelling is not known to be honoured.
            "action": "unSubscribe" if request.action == "unsubscribe" else request.action,
            "dataType": request.data_type,
        }
        if content:
            body["payload"] = content
        return json.dumps(body, separators=(",", ":"))


class Stream(_Stream):
    """Stream(*products, api_key=None, api_secret=None, env=None, ws_url=None, store=None,
    stale_after_ms=5000, sockets=1, proxy=None)

    Coincall's streams of "options", "futures" or both (the default), in one store.

    Keys come from the arguments or from COINCALL_API_KEY and COINCALL_API_SECRET; `env` is "prod"
    or "beta", else COINCALL_ENV, else "prod"; `ws_url` is another base address, without the
    product. A book that gets no frame for `stale_after_ms` is told to "stale" (None: never), and is
    not cleared, since the venue may have nothing to say. With more `sockets` the symbols of each
    product are shared out among as many connections. `proxy` is ``http://user:password@host:port``.
    """

    dialect_type = Dialect


def replay(
    path: str | os.PathLike[str],
    store: BookStore | None = None,
    speed: float | None = None,
    *,
    stale_after_ms: int | None = 5_000,
    skip_damage: bool = False,
) -> Replay:
    """Plays what `Stream.record` has recorded: iterate it, as a stream, or `run` it.

    As fast as it goes, or with `speed` in time: 1 as it was, 10 ten times as fast. A damaged
    recording raises RecordingError where it is damaged; with `skip_damage` that is a gap.
    """
    return Replay(
        path, Dialect(), store, speed, stale_after_ms=stale_after_ms, skip_damage=skip_damage
    )

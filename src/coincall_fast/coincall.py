"""Coincall: its hosts, its channels, and how its streams spell what a session says.

Sources: seeds 000, 001 and 003; protocol page, sections 0, 1.2 and 3.
"""

import json
import os
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from ._book import BookStore, decode
from .errors import UsageError
from .model import Channel
from .signing import Credentials
from .stream import Stream as _Stream
from .wire import COINCALL as WIRE

__all__ = ["WIRE", "BookStore", "Channel", "Stream", "decode"]

OPTIONS = "options"
FUTURES = "futures"

# Protocol page, section 0. Keys of one environment are refused by the other.
WS_URLS = {"prod": "wss://ws.coincall.com", "beta": "wss://betaws.coincall.com"}

# BTCUSD-27DEC24-65000-C; the day is not padded, the strike keeps its zeros (section 5, row 20).
_OPTION = re.compile(r"[A-Z0-9]+-\d{1,2}[A-Z]{3}\d{2}-\d+(?:\.\d+)?-[CP]")


class _Row(NamedTuple):
    """One channel of one product: protocol page, sections 3.2 and 3.3."""

    dt: int
    product: str
    data_type: str
    channel: Channel | None
    listed: bool = False  # a request takes a list of up to 100 symbols (section 3.1)


# Of two rows with one channel and product, the first is what `subscribe` asks for.
_ROWS = (
    _Row(2, OPTIONS, "kline", Channel.KLINE),
    _Row(3, OPTIONS, "bsInfo", Channel.TICKER, listed=True),
    _Row(4, OPTIONS, "tOption", Channel.CHAIN),
    _Row(5, OPTIONS, "orderBook", Channel.BOOK, listed=True),
    _Row(24, OPTIONS, "lastTradeV2", Channel.TRADES),  # has an id, where lastTrade has none
    _Row(6, OPTIONS, "lastTrade", Channel.TRADES, listed=True),
    _Row(7, OPTIONS, "accountBalance", Channel.ACCOUNT),
    _Row(8, OPTIONS, "fillSignal", None),
    _Row(11, OPTIONS, "order", Channel.ORDERS),
    _Row(15, OPTIONS, "trade", Channel.FILLS),
    _Row(12, OPTIONS, "position", Channel.POSITIONS),
    _Row(19, OPTIONS, "position", Channel.POSITIONS),
    _Row(27, OPTIONS, "positionEvent", Channel.POSITIONS),
    _Row(30, FUTURES, "spotPrice", Channel.TICKER, listed=True),
    _Row(31, FUTURES, "kline", Channel.KLINE),
    _Row(32, FUTURES, "orderBook", Channel.BOOK, listed=True),
    _Row(43, FUTURES, "lastTradeV2", Channel.TRADES, listed=True),
    _Row(33, FUTURES, "lastTrade", Channel.TRADES, listed=True),
    _Row(34, FUTURES, "fillSignal", None),
    _Row(35, FUTURES, "order", Channel.ORDERS),
    _Row(38, FUTURES, "trade", Channel.FILLS),
    _Row(36, FUTURES, "position", Channel.POSITIONS),
    _Row(46, FUTURES, "positionEvent", Channel.POSITIONS),
)


class Dialect:
    """How Coincall spells what a stream says."""

    products: tuple[str, ...] = (OPTIONS, FUTURES)
    heartbeat = '{"action":"heartbeat"}'
    book_type = "orderBook"
    # The page of today signs "apiKey=", that of 2023 "uuid="; both were seen to work (section 1.2).
    spellings: tuple[str, ...] = ("apiKey", "uuid")

    def credentials(self, api_key: str | None, api_secret: str | None) -> Credentials:
        key = api_key or os.environ.get("COINCALL_API_KEY")
        secret = api_secret or os.environ.get("COINCALL_API_SECRET")
        if not (key and secret):
            raise UsageError(
                "streams are signed, the public ones too: give api_key and api_secret, "
                "or set COINCALL_API_KEY and COINCALL_API_SECRET"
            )
        return Credentials(key, secret)

    def ws_url(self, env: str | None) -> str:
        """The base of the stream addresses, without the product."""
        name = env or os.environ.get("COINCALL_ENV") or "prod"
        if name not in WS_URLS:
            raise UsageError(f"env is one of {', '.join(WS_URLS)}, not {name!r}")
        return WS_URLS[name]

    def symbols_per_request(self, product: str, data_type: str) -> int:
        row = self._row(product, data_type)
        return 100 if row is not None and row.listed else 1

    def data_types(self, channel: str, symbol: str | None) -> dict[str, str]:
        """By product, what the venue calls a channel there; a `symbol` leaves its product only.

        A name that is no `Channel` is taken to be the venue's own, known to us or not.
        """
        having = {
            row.product: row.data_type
            for row in reversed(_ROWS)
            if channel in ((row.channel,) if isinstance(channel, Channel) else (row.data_type,))
        } or dict.fromkeys(self.products, channel)
        if symbol is None or len(having) == 1:
            return having
        product = OPTIONS if _OPTION.fullmatch(symbol) else FUTURES
        return {product: having[product]}

    def names_of(self, dt: int | None) -> tuple[str, ...]:
        """The names under which a frame's channel may be listened to."""
        for row in _ROWS:
            if row.dt == dt:
                return (row.data_type,) if row.channel is None else (row.channel, row.data_type)
        return ()

    def is_name(self, name: str) -> bool:
        """Whether frames ever come under this name."""
        return any(name in self.names_of(row.dt) for row in _ROWS)

    def looks_like_a_book(self, frame: bytes) -> bool:
        return b'"asks"' in frame or b'"bids"' in frame

    def _row(self, product: str, data_type: str) -> _Row | None:
        rows = (row for row in _ROWS if (row.product, row.data_type) == (product, data_type))
        return next(rows, None)

    def request(
        self, action: str, data_type: str, symbols: tuple[str, ...], payload: Mapping[str, Any]
    ) -> str:
        content = dict(payload)
        if symbols:
            content["symbol"] = symbols[0] if len(symbols) == 1 else list(symbols)
        body: dict[str, Any] = {
            # Section 3.1: the lower-case spelling is not known to be honoured.
            "action": "unSubscribe" if action == "unsubscribe" else action,
            "dataType": data_type,
        }
        if content:
            body["payload"] = content
        return json.dumps(body, separators=(",", ":"))


class Stream(_Stream):
    """Stream(*products, api_key=None, api_secret=None, env=None, ws_url=None, store=None,
    stale_after_ms=5000)

    Coincall's streams of "options", "futures" or both (the default), in one store.

    Keys come from the arguments or from COINCALL_API_KEY and COINCALL_API_SECRET; `env` is "prod"
    or "beta", else COINCALL_ENV, else "prod"; `ws_url` is another base address, without the
    product. A book that gets no frame for `stale_after_ms` is told to "stale" (None: never), and is
    not cleared, since the venue may have nothing to say. Order books are decoded; frames of other
    channels come as `UnknownMessage`.
    """

    dialect = Dialect()

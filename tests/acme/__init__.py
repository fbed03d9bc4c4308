"""A fourth venue, which exists only here: what it takes to add one, in one module.

Its channels are texts, its books come by changes with numbers, its sides are words.
"""

import json
from functools import partial
from typing import Any

from coincall_fast import Channel, Side
from coincall_fast._book import BookStore as _BookStore
from coincall_fast._book import decode as _decode
from coincall_fast.message import Ack, Heartbeat, Message, Trade, Trades, UnknownMessage, body_of
from coincall_fast.records import integer, label, number, spelled, text, word
from coincall_fast.signing import Credentials
from coincall_fast.streams.dialect import SECOND_NS, About, Reply, Request
from coincall_fast.streams.dialect import Dialect as _Dialect
from coincall_fast.streams.player import Replay
from coincall_fast.streams.stream import Stream as _Stream
from coincall_fast.topics import Envelope, Part, TopicRow
from coincall_fast.wire import Role, Wire

ACME = spelled(
    Trade,
    "acme",
    symbol=text("of"),
    trade_id=label("id"),
    price=number("px"),
    qty=number("n"),
    side=word({"took": Side.BUY, "hit": Side.SELL}, "way"),
    ts_ms=integer("at"),
)


def other(frame: bytes | bytearray | memoryview | str) -> Message:
    body: Any = body_of(frame)
    if isinstance(body, dict) and body.get("re") == "beat":
        return Heartbeat(None)
    if isinstance(body, dict) and "re" in body:
        return Ack(body["re"], body.get("ok") is True, body)
    return UnknownMessage(None, body)


WIRE = Wire(
    channels=("book.",),
    frame={"ch": Role.CHANNEL, "kind": Role.KIND, "at": Role.TIME, "body": Role.DATA},
    data={"no": Role.VERSION, "buy": Role.BIDS, "sell": Role.ASKS},
    level=(Role.PRICE, Role.SIZE),
    kinds=("all", "some"),
    envelope=Envelope(
        frame={"ch": Part.CHANNEL, "at": Part.TIME, "body": Part.DATA},
        topics=(TopicRow("trades.", Channel.TRADES, Trades, ACME),),
        data={},
    ),
    other=other,
)

BookStore = partial(_BookStore, wire=WIRE)
decode = partial(_decode, wire=WIRE)


class Dialect(_Dialect):
    venue = "acme"
    wire = WIRE
    products = ("things",)
    book_types = frozenset({"book"})
    private = ()
    quiet_ns = SECOND_NS

    def credentials(self, api_key: str | None, api_secret: str | None) -> Credentials | None:
        return None

    def ws_url(self, env: str | None) -> str:
        return "wss://acme.invalid"

    def data_types(self, channel: str, symbol: str | None) -> dict[str, str]:
        return {"things": str(channel)}  # ours are theirs

    def request(self, request: Request, keys: Credentials | None, wall_ms: int) -> str:
        what = [f"{request.data_type}.{symbol}" for symbol in request.symbols]
        verb = {"subscribe": "join", "unsubscribe": "leave"}[request.action]
        return json.dumps({"do": verb, "what": what, "no": request.number})

    def heartbeat(self, wall_ms: int) -> str:
        return '{"do":"beat"}'

    def reply(self, message: Message) -> Reply | None:
        if isinstance(message, Heartbeat):
            return Reply(ok=True, about=About.PULSE)
        if not isinstance(message, Ack):
            return None
        said = message.detail
        return Reply(message.ok, number=said.get("no"), said=str(said.get("why", "")))

    def looks_like_a_book(self, frame: bytes) -> bool:
        return b'"book.' in frame

    def names_of(self, message: Message) -> tuple[str, ...]:
        return (message.channel,) if message.channel else ()


class Stream(_Stream):
    dialect_type = Dialect


def replay(path: Any, store: Any = None, speed: float | None = None) -> Replay:
    return Replay(path, Dialect(), store, speed)

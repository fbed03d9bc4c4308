"""A recording played again: the same frames through the same sessions to the same books."""

import json
import os
import time
from collections.abc import Callable, Iterator
from typing import Any

from .._book import BookStore, OrderBook
from ..errors import AuthError, RecordingError, TransportError, UsageError
from ..message import Message
from ..reading import reading
from .dialect import Dialect
from .events import Event
from .fingerprint import Fingerprint
from .recording import Kind, Reader, Record
from .session import Session

__all__ = ["Replay"]

EVENTS = ("gap", "stale", "error", "note", "damage")

Item = OrderBook | Message


class Replay:
    """A recording as a stream: iterate it once for its books and messages, one after the other.

    A book comes with each of its frames, and once more when it became invalid: by a lost
    connection, a refused frame, a gap or a new recorder, as it did live. Its times are those of the
    recorder's clock, and so is `now_ns`, which `age_ns` and `check` want.

    `fingerprint` hashes all books and all of their states. `records`, `frames`, `gaps`, `damages`
    and `torn_bytes` (of a recorder that was killed) count what there was; `is_complete` is whether
    the last recorder ended on purpose. What is left to say is said by `on`.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        dialect: Dialect,
        store: BookStore | None = None,
        speed: float | None = None,
        *,
        stale_after_ms: int | None = 5_000,
        skip_damage: bool = False,
    ) -> None:
        if speed is not None and not speed > 0:
            raise UsageError(f"a speed is more than 0, not {speed}")
        self.store = BookStore(wire=dialect.wire) if store is None else store
        self.fingerprint = Fingerprint()
        self.now_ns = 0
        self.wall_ms = 0
        self.records = self.frames = self.gaps = self.damages = self.torn_bytes = 0
        self.is_complete = False
        self._path = path
        self._dialect = dialect
        self._speed = speed
        self._stale_after_ns = None if stale_after_ms is None else stale_after_ms * 1_000_000
        self._skip_damage = skip_damage
        self._sessions: dict[str, Session] = {}
        self._callbacks: dict[str, list[Callable[..., object]]] = {}
        self._has_begun = False
        self._origin: tuple[int, float] | None = None  # a recorded time, and when it was played

    def on(self, event: str, callback: Callable[..., object]) -> None:
        """Calls back while it is iterated, between the items.

        "gap" gets (start_ns, end_ns), "stale" a symbol and "error" an exception, as of a stream;
        "note" the text of a remark, "damage" a `recording.Damage` that is passed over.
        """
        if event not in EVENTS:
            raise UsageError(f"{event!r} is none of {', '.join(EVENTS)}")
        self._callbacks.setdefault(event, []).append(callback)

    def __iter__(self) -> Iterator[Item]:
        """Raises RecordingError where it is damaged, unless that is to be skipped as a gap."""
        if self._has_begun:
            raise UsageError("a replay is iterated once")
        self._has_begun = True
        with open(self._path, "rb") as file:
            try:
                reader = Reader(file)
            except RecordingError as error:
                raise RecordingError(f"{os.fspath(self._path)}: {error}") from None
            for part in reader:
                if isinstance(part, Record):
                    self.records += 1
                    self._wait_for(part)
                    yield from self._play(part)
                elif part.is_torn_tail:
                    self.torn_bytes = part.size
                elif self._skip_damage:
                    self.damages += 1
                    self._call("damage", part)
                    for product in list(self._sessions):
                        yield from self._lost(product, self.now_ns)
                else:
                    raise RecordingError(f"{os.fspath(self._path)}: {part}")

    def run(self) -> "Replay":
        """Plays all of it, for the books that it ends with, the callbacks and the fingerprint."""
        for _ in self:
            pass
        return self

    def _wait_for(self, record: Record) -> None:
        """Lets as much time pass as did between the records, divided by the speed."""
        if self._speed is None:
            return
        if self._origin is None or record.kind is Kind.BEGIN:  # another one, another clock
            self._origin = record.recv_ns, time.monotonic()
        begin_ns, began_s = self._origin
        due_s = began_s + (record.recv_ns - begin_ns) / 1e9 / self._speed
        wait_s = due_s - time.monotonic()
        if wait_s > 0:
            time.sleep(wait_s)

    def _play(self, record: Record) -> Iterator[Item]:
        kind, product, _, now_ns, self.wall_ms, payload = record
        self.is_complete = kind is Kind.END
        if kind is Kind.BEGIN:  # whatever was before has ended, if only by a kill
            self._check_venue(json.loads(payload))
            for ended, last in self._sessions.items():
                last.closed(self.now_ns)
                yield from self._events(ended)
            self._sessions.clear()
        self.now_ns = now_ns
        if kind is Kind.NOTE:
            self._call("note", payload.decode(errors="replace"))
        if not product:
            return
        session = self._session(product)
        for _ in session.to_send(now_ns):  # what has been sent by now may have been answered
            pass
        match kind:
            case Kind.FRAME:
                self.frames += 1
                try:
                    item = session.receive(payload, now_ns, self.wall_ms)
                except AuthError as error:  # the end of the connection, which comes next
                    self._call("error", error)
                else:
                    yield from self._items(item)
            case Kind.BASE:
                symbol, _, body = payload.partition(b"\n")
                yield from self._items(session.begin(symbol.decode(), body, now_ns, self.wall_ms))
            case Kind.BOOK:
                yield from self._items(session.go_on(payload, now_ns, self.wall_ms))
            case Kind.TICK:
                try:
                    session.tick(now_ns)
                except TransportError as error:
                    self._call("error", error)
            case Kind.HEARD:
                session.heard(now_ns)
            case Kind.OPENED:
                session.opened(now_ns)
            case Kind.CLOSED:
                session.closed(now_ns)
            case Kind.SUBSCRIBE | Kind.UNSUBSCRIBE:
                told = json.loads(payload)
                want = session.subscribe if kind is Kind.SUBSCRIBE else session.unsubscribe
                want(told["data_type"], tuple(told["symbols"]), told["payload"], now_ns)
            case Kind.GAP:
                yield from self._lost(product, now_ns)
        yield from self._events(product)

    def _check_venue(self, said: Any) -> None:
        venue = said.get("venue", "coincall") if isinstance(said, dict) else "coincall"
        if venue != self._dialect.venue:
            raise RecordingError(
                f"{os.fspath(self._path)}: a recording of {venue}, and not of {self._dialect.venue}"
            )

    def _session(self, product: str) -> Session:
        session = self._sessions.get(product)
        if session is None:
            session = self._sessions[product] = Session(
                self._dialect, product.split()[0], self.store, stale_after_ns=self._stale_after_ns
            )
        return session

    def _lost(self, product: str, now_ns: int) -> Iterator[Item]:
        """Frames are missing: no book of the product is to be trusted until the next."""
        session = self._sessions[product]
        session.closed(now_ns)
        session.opened(now_ns)
        yield from self._events(product)

    def _items(self, item: Item | list[Message] | None) -> Iterator[Item]:
        if isinstance(item, OrderBook):
            self.fingerprint.add(item)
            yield item
        elif isinstance(item, list):
            yield from item
        elif item is not None:
            yield item

    def _events(self, product: str) -> Iterator[Item]:
        for event in self._sessions[product].take_events():
            yield from self._tell(event)

    def _tell(self, event: Event) -> Iterator[Item]:
        if event.name == "cleared":
            yield event.arguments[0]
        else:
            self.gaps += event.name == "gap"
            self._call(event.name, *event.arguments)

    def _call(self, name: str, *arguments: Any) -> None:
        with reading():  # what may not be called back live, may not here
            for callback in self._callbacks.get(name, ()):
                callback(*arguments)

"""A venue that keeps the truth, in a time of its own, and answers as badly as it can.

It stands where `calls.Rest` stands, so that everything above that runs against it: no socket, no
thread, no waiting. Rules as the protocol page has them (sections 1.1, 2.4, 4): a request is refused
once it is older than its window, an id is taken once; what it tells of orders may lag by 2 s.
"""

import heapq
import itertools
import threading
from collections.abc import Callable, Mapping
from decimal import Decimal
from random import Random
from typing import Any

from coincall_fast import (
    DecodeError,
    DuplicateOrder,
    Order,
    OrderNotFound,
    OrderRejected,
    OrderState,
    RateLimited,
    TransportError,
    Unavailable,
    VenueError,
)
from coincall_fast.rest.answers import Page
from coincall_fast.rest.parameters import side_of

OPEN, FILLED, CANCELED = OrderState.NEW, OrderState.FILLED, OrderState.CANCELED
WINDOW_MS = 1500
LAG_S = 2.0
READ_S = 5.0  # until the client gives up waiting

# What becomes of a write, and how often. "lost" and what follows it leave the client without an
# answer; a "late" one arrives while it waits or after that.
WRITES = {
    "done": 40,
    "refused": 4,
    "unsent": 3,
    "too much": 2,
    "lost": 8,
    "refused, dropped": 5,
    "done, dropped": 8,
    "done, 500": 6,
    "done, half": 6,
    "done, code": 8,
    "done, delayed": 4,
    "late": 8,
    "at the end of its window": 4,
    "after its window": 4,
    "twice": 4,
}
UNKNOWN_CODES = (500, 10000, 10002, 10103, 10565, 10582, 10583, 10596, 10101, 4005)


class Truth:
    """One order as it is, and as it is told after a while."""

    def __init__(self, order_id: int, fields: Mapping[str, Any], created_ms: int) -> None:
        self.order_id = order_id
        self.client_id: int = fields["client_order_id"]
        self.symbol: str = fields["symbol"]
        self.side = side_of(fields["side"])
        self.qty, self.price = Decimal(str(fields["qty"])), Decimal(str(fields["price"]))
        self.state = OPEN
        self.created_ms = created_ms
        self.values = [(self.qty, self.price)]  # all that it has had
        self.told: list[tuple[float, Order]] = []  # from when on, and what

    def row(self) -> Order:
        return Order(
            order_id=self.order_id,
            client_order_id=self.client_id,
            symbol=self.symbol,
            side=self.side,
            qty=self.qty,
            price=self.price,
            filled_qty=self.qty if self.state is FILLED else 0,
            state=int(self.state),
            created_ms=self.created_ms,
        )

    def seen_at(self, now_s: float) -> Order | None:
        while len(self.told) > 1 and self.told[1][0] <= now_s:
            del self.told[0]
        return self.told[0][1] if self.told and self.told[0][0] <= now_s else None


class TruthVenue:
    """The venue and its time; `call`, `clock`, ... are those of `calls.Rest`.

    breaks: how often a request is executed although its window has passed, which no venue should.
    """

    hide = staticmethod(str)
    total_s = 10.0
    order_window_ms = WINDOW_MS

    def __init__(self, seed: int, *, breaks: float = 0.0, writes: Mapping[str, int] = WRITES):
        self.dice = Random(seed)
        self.breaks = breaks
        self.writes = writes
        self.now_s = 1000.0
        self.skew_ms = self.dice.randint(-300, 300)  # of the client's idea of its clock
        self.events: list[tuple[float, int, Callable[[], None]]] = []
        self.count = itertools.count(1)
        self.orders: dict[int, Truth] = {}
        self.by_client: dict[int, Truth] = {}
        self.recent: list[Truth] = []  # the newest last
        self.is_down_until_s = 0.0
        self.push: Callable[[Order], None] = lambda order: None
        self.pushes = 0.5  # how many changes are pushed
        self.lies = 0
        self.judged: set[str] = set()
        self.asked: dict[str, int] = {}
        self.sent: dict[int, int] = {}  # how often each client order id was sent

    # ------------------------------------------------------------ time

    def clock(self) -> float:
        return self.now_s

    def now_ms(self) -> int:
        return self.venue_ms + self.skew_ms

    def known_ms(self) -> int:
        return self.now_ms()

    @property
    def venue_ms(self) -> int:
        return int(self.now_s * 1000) + 1_700_000_000_000

    def at(self, when_s: float, what: Callable[[], None]) -> None:
        heapq.heappush(self.events, (when_s, next(self.count), what))

    def wait(self, wake: threading.Event, seconds: float) -> bool:
        end_s = self.now_s + seconds
        while not wake.is_set() and self.events and self.events[0][0] <= end_s:
            when_s, _, what = heapq.heappop(self.events)
            self.now_s = max(self.now_s, when_s)
            what()
        if not wake.is_set():
            self.now_s = max(self.now_s, end_s)
        return wake.is_set()

    def pause(self, seconds: float) -> None:
        self.wait(threading.Event(), seconds)

    def shut(self, name: str, wait_s: float | None) -> None:
        pass

    # ------------------------------------------------------------ what is asked

    def call(self, name: str, arguments: Mapping[str, Any], end_s: float | None = None) -> Any:
        end_s = self.now_s + self.total_s if end_s is None else end_s
        verb = name.rpartition(".")[2]
        self.asked[verb] = self.asked.get(verb, 0) + 1
        self.pause(self.dice.uniform(0.001, 0.02))
        given = {key: value for key, value in arguments.items() if value is not None}
        if verb in ("place_orders", "modify_orders"):
            return self._write(lambda signed_ms: self._batch(verb, given["orders"]), end_s)
        if verb == "place_order":
            self.sent[given["client_order_id"]] = self.sent.get(given["client_order_id"], 0) + 1
            return self._write(lambda signed_ms: self._placed(given), end_s)
        if verb == "modify_order":
            return self._write(lambda signed_ms: self._modified(given), end_s)
        if verb == "cancel_order":
            return self._write(lambda signed_ms: self._cancelled(given), end_s)
        if verb == "cancel_orders":
            return self._write(lambda signed_ms: self._all_cancelled(given), end_s)
        return self._read(verb, given, end_s)

    def _read(self, verb: str, given: dict[str, Any], end_s: float) -> Any:
        if self.now_s < self.is_down_until_s or self.dice.random() < 0.05:
            self.pause(min(READ_S, max(0.0, end_s - self.now_s)) * self.dice.random())
            raise _gone_wrong(TransportError("a read that fails"), True)
        if verb == "time":
            return self.venue_ms
        if verb == "order":
            truth = self._find(given)
            seen = None if truth is None else truth.seen_at(self.now_s)
            if seen is None:
                raise OrderNotFound("Order does not exist.", 10584)
            return seen
        rows = []
        for truth in reversed(self.recent):
            if truth.order_id >= given.get("from_id", 2**63):
                continue
            seen = truth.seen_at(self.now_s)
            if seen is not None and seen.is_open == (verb == "open_orders"):
                rows.append(seen)
                if len(rows) == given["page_size"]:
                    break
        if verb == "open_orders":
            return Page(rows if given["page"] == 1 else [], None, len(rows))
        return Page(rows, len(rows) == given["page_size"])

    def _find(self, given: Mapping[str, Any]) -> Truth | None:
        if "order_id" in given:
            return self.orders.get(given["order_id"])
        return self.by_client.get(given["client_order_id"])

    # ------------------------------------------------------------ what is written

    def _write(self, execute: Callable[[int], Any], end_s: float) -> Any:
        """One write, and what becomes of it. `execute` does it, and gives what is answered."""
        (fate,) = self.dice.choices(list(self.writes), list(self.writes.values()))
        signed_ms = self.now_ms()
        try:
            return self._met(fate, execute, signed_ms, end_s)
        except (VenueError, TransportError, DecodeError) as error:
            error.signed_ms = signed_ms
            raise

    def _met(self, fate: str, execute: Callable[[int], Any], signed_ms: int, end_s: float) -> Any:
        def arrive() -> Any:
            is_late = self.venue_ms - signed_ms > WINDOW_MS
            if is_late and self.dice.random() >= self.breaks:
                return None
            try:
                return execute(signed_ms)
            except VenueError:
                return None

        match fate:
            case "done":
                return execute(signed_ms)
            case "refused":
                raise OrderRejected("no funds", 10529)
            case "unsent":
                raise _gone_wrong(TransportError("nobody there"), False)
            case "too much":
                raise RateLimited("too frequent", 10605)
            case "lost" | "refused, dropped":
                self.pause(self._patience(end_s))
                raise _gone_wrong(TransportError("no answer"), True)
            case "done, dropped":
                arrive()
                self.pause(self._patience(end_s))
                raise _gone_wrong(TransportError("reset"), True)
            case "done, delayed":
                self.at(self.now_s + self.dice.uniform(0, 1.0), arrive)
                self.pause(0.01)
                raise Unavailable("HTTP 503")
            case "done, 500":
                arrive()
                raise Unavailable("HTTP 500")
            case "done, half":
                arrive()
                raise DecodeError("half an answer")
            case "done, code":
                arrive()
                code = self.dice.choice(UNKNOWN_CODES)
                raise (Unavailable if code not in (10101, 4005) else VenueError)("later", code)
            case "late":
                self.at(self.now_s + self.dice.uniform(0.1, WINDOW_MS / 1000), arrive)
            case "at the end of its window":
                left_ms = signed_ms + WINDOW_MS - self.venue_ms
                self.at(self.now_s + (left_ms - 1) / 1000, arrive)
            case "after its window":
                self.at(self.now_s + WINDOW_MS / 1000 + self.dice.uniform(0.4, 9), arrive)
            case "twice":
                arrive()
                return execute(signed_ms)
        self.pause(self._patience(end_s))
        raise _gone_wrong(TransportError("no answer in time"), True)

    def _patience(self, end_s: float) -> float:
        """How long until the client notices: a reset at once, or silence to the end."""
        return self.dice.choice((0.0, 0.05, 1.0, min(READ_S, max(0.0, end_s - self.now_s))))

    def _placed(self, fields: Mapping[str, Any]) -> int:
        if fields["client_order_id"] in self.by_client:
            raise DuplicateOrder("Duplicated client order ID.", 10577)
        truth = Truth(10**15 + next(self.count), fields, self.venue_ms)
        self.orders[truth.order_id] = self.by_client[truth.client_id] = truth
        self.recent.append(truth)
        if len(self.recent) > 1200:  # nobody looks further back
            old = [one for one in self.recent[:-600] if one.told[-1][1].is_open]
            self.recent = old[-200:] + self.recent[-600:]
        self._changed(truth)
        if self.dice.random() < 0.5:  # else somebody cancels it, some day
            self.at(self.now_s + self.dice.choice((0.0, 0.3, 5.0, 20.0)), lambda: self._fill(truth))
        return truth.order_id

    def _fill(self, truth: Truth) -> None:
        if truth.state is OPEN:
            truth.state = FILLED
            self._changed(truth)

    def _modified(self, given: Mapping[str, Any]) -> int:
        truth = self._open(given)
        truth.qty = Decimal(str(given.get("qty", truth.qty)))
        truth.price = Decimal(str(given.get("price", truth.price)))
        truth.values.append((truth.qty, truth.price))
        self._changed(truth)
        return truth.order_id

    def _cancelled(self, given: Mapping[str, Any]) -> None:
        truth = self._open(given)
        truth.state = CANCELED
        self._changed(truth)

    def _open(self, given: Mapping[str, Any]) -> Truth:
        truth = self._find(given)
        if truth is None or truth.state is not OPEN:
            code = 10584
            if truth is not None and self.dice.random() < 0.5:
                code = 11102 if truth.state is FILLED else 11101
            raise OrderNotFound("gone", code)
        return truth

    def _changed(self, truth: Truth) -> None:
        row = truth.row()
        lag_s = self.dice.choice((0.0, 0.0, 0.1, LAG_S))
        last_s = truth.told[-1][0] if truth.told else 0.0
        truth.told.append((max(last_s, self.now_s + lag_s), row))
        if self.dice.random() < self.pushes:
            self.at(self.now_s + self.dice.uniform(0, 0.5), lambda: self.push(row))

    # ------------------------------------------------------------ batches: rows anyhow

    def _batch(self, verb: str, items: list[dict[str, Any]]) -> list[dict[str, Any]]:
        names = {
            "symbol": "symbol",
            "tradeSide": "side",
            "qty": "qty",
            "price": "price",
            "clientOrderId": "client_order_id",
            "orderId": "order_id",
        }
        rows = []
        for item in items:
            given = {ours: item[wire] for wire, ours in names.items() if wire in item}
            try:
                # What comes twice is not refused for another reason the second time.
                chance = 1.0 if str(item) in self.judged else self.dice.random()
                self.judged.add(str(item))
                if chance > 0.9 and chance < 1.0:
                    raise OrderRejected("no funds", 10529)
                if chance < 0.05:
                    raise Unavailable("Order timed out, please try again later.", 10582)
                done = self._placed(given) if verb == "place_orders" else self._modified(given)
                if chance < 0.1:
                    raise Unavailable("Order timed out, please try again later.", 10582)
                rows.append({"code": 0, "msg": "Success", "data": done})
            except VenueError as error:
                named = given.get("order_id") if self.dice.random() < 0.5 else None
                rows.append({"code": error.code, "msg": error.message, "data": named})
        rows = self._shuffled(rows)
        if len(rows) > 1 and verb == "place_orders" and self.dice.random() < 0.05:
            self.lies += 1  # as many rows as there were orders, and yet one of them is missing
            rows[-1] = rows[0]
        return rows

    def _all_cancelled(self, given: Mapping[str, Any]) -> list[dict[str, Any]]:
        rows = []
        for name, key in (("order_id", "ordId"), ("client_order_id", "clOrdId")):
            for number in given.get(f"{name}s", ()):
                row: dict[str, Any] = {"ordId": None, "clOrdId": None, key: number}
                try:
                    self._cancelled({name: number})
                    row |= {"scode": 0, "smsg": "success"}
                except OrderNotFound:
                    row |= {"scode": 1, "smsg": "Order does not exist."}
                rows.append(row)
        return self._shuffled(rows)

    def _shuffled(self, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        self.dice.shuffle(rows)
        chance = self.dice.random()
        if rows and chance < 0.1:
            rows.pop()
        elif rows and chance < 0.2:
            rows.append(rows[0])
        return rows


def _gone_wrong(error: TransportError, is_sent: bool) -> TransportError:
    error.is_sent = is_sent
    return error

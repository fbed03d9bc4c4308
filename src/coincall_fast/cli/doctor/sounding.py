"""How `--probe` asks a venue: raw sockets and raw REST, as a client would not use them.

What several questions want to see is looked at once and kept. Everything only reads.
"""

import re
import time
from collections.abc import Callable, Mapping
from functools import cached_property
from types import MappingProxyType
from typing import Any, NamedTuple

import orjson
import requests

from ..._wire import Opcode, masked
from ...coincall import Client
from ...errors import AuthError, TransportError
from ...signing import Credentials
from ...streams.dialect import Request
from .access import Access
from .line import Came, Line

__all__ = ["Found", "Sounding", "is_book", "is_yes", "parsed"]

SHOWN = 160  # characters of what the venue says
ANSWER_S = 3.0  # in which a request is answered, or it will not be
MOMENT_S = 1.0  # in which a book is pushed several times, or is not any more
BOOKS_S = 3.0
PATIENCE_S = 45.0  # for a silent connection to be closed
PING_S = 0.5
PERPETUAL = "BTCUSD"

Sign = Callable[[str], str]
Enough = Callable[[list[dict[str, Any]]], bool]
_SIGNATURE = re.compile(r"[0-9A-Fa-f]{64}")


class Found(NamedTuple):
    """An answer, by the name that the question has for it, and what it was concluded from."""

    answer: str
    seen: str = ""


class Silence(NamedTuple):
    """How a connection on which nobody says anything ends: after so long, and how it is told."""

    idle_s: float | None  # None: not within PATIENCE_S
    told: str
    pinged_s: float | None  # the same where WebSocket pings are sent


class Sounding:
    """One venue and one key. For one thread; takes its time."""

    def __init__(self, access: Access, client: Client, signer: Credentials) -> None:
        self.client = client
        self.signer = signer
        self.dialect = access.dialect
        self._rest_url = access.rest_url
        self._ws_url = access.ws_url
        self.ahead_ms = -client.sync_clock()

    def now_ms(self) -> int:
        """By the venue's clock."""
        return int(time.time() * 1000 - self.ahead_ms)

    def safe(self, said: object) -> str:
        """What the venue says, without what nobody else may know."""
        text = said.decode(errors="replace") if isinstance(said, bytes) else str(said)
        hidden = _SIGNATURE.sub("…", self.signer.hide(text))
        return hidden if len(hidden) <= SHOWN else hidden[:SHOWN] + "…"

    # ---------------------------------------------------------------- sockets

    def signed(self, *, by: str | None = None, late_ms: int = 0) -> Sign:
        """Signs an address, as it would have been so long ago."""
        spelling = by or self.spellings[0]
        return lambda url: self.signer.ws_url(url, self.now_ms() - late_ms, spelling)

    def lets_in(self, sign: Sign, product: str = "futures") -> Found:
        """Whether an address that is signed so opens a socket: "in", or how it is refused."""
        try:
            with Line(f"{self._ws_url}/{product}", sign) as line:
                line.send(self.dialect.heartbeat(0))
                came = line.take(ANSWER_S)
                if came is None:
                    return Found("silence", "an upgrade, and no answer to a heartbeat")
                is_in = parsed(came.frame).get("c") == 11
                return Found("in" if is_in else "frame", self.safe(came.frame))
        except AuthError as error:
            return Found("http", self.safe(error))
        except TransportError as error:
            is_answer = "HTTP" in str(error)
            return Found("http" if is_answer else "closed", self.safe(error))

    @cached_property
    def spellings(self) -> list[str]:
        """Those that open a socket; the usual one where none does."""
        working = [
            spelling
            for spelling in self.dialect.spellings
            if self.lets_in(self.signed(by=spelling)).answer == "in"
        ]
        return working or [self.dialect.spellings[0]]

    def open(self, product: str) -> Line:
        return Line(f"{self._ws_url}/{product}", self.signed())

    def asking(
        self,
        action: str,
        data_type: str,
        symbols: tuple[str, ...] = (),
        payload: Mapping[str, Any] = MappingProxyType({}),
    ) -> str:
        """The text of a request."""
        return self.dialect.request(Request(action, data_type, symbols, payload), None, 0)

    def told(
        self, product: str, action: str, data_type: str, symbols: tuple[str, ...], **how: Any
    ) -> list[Came]:
        """What comes on a new socket after a request; `how` is as for `said`."""
        return self.said(product, self.asking(action, data_type, symbols), **how)

    def said(
        self, product: str, *texts: str, enough: Enough = bool, then_s: float = 0.0
    ) -> list[Came]:
        """What comes on a new socket after texts: until it is `enough`, which is waited for no
        longer than an answer takes, and for `then_s` after that."""
        found: list[Came] = []
        rows: list[dict[str, Any]] = []
        with self.open(product) as line:
            for text in texts:
                line.send(text)
            for came in line.all(ANSWER_S):
                found.append(came)
                rows.append(parsed(came.frame))
                if enough(rows):
                    found += line.all(then_s)
                    break
        return found

    # ---------------------------------------------------------------- REST

    def get(
        self,
        path: str,
        *,
        shown: str = "",
        query: str = "",
        late_ms: int = 0,
        change: Callable[[dict[str, str]], dict[str, str]] = dict,
        is_signed: bool = True,
    ) -> requests.Response:
        """A raw GET. `shown` is what is signed of its parameters, `query` what is sent of them."""
        headers: dict[str, str] = {}
        if is_signed:
            ts_ms = self.now_ms() - late_ms
            headers = change(dict(self.signer.rest_headers("GET", path, shown, ts_ms, 5000)))
        url = f"{self._rest_url.rstrip('/')}{path}{'?' if query else ''}{query}"
        try:
            return requests.get(url, headers=headers, timeout=5, allow_redirects=False)
        except requests.RequestException as error:
            kind = type(error).__name__
        raise TransportError(f"GET {path}: {kind}")  # out here, without the request

    def taken(self, path: str = "/open/auth/user/query-api", **how: Any) -> Found:
        """Whether a GET succeeds: "taken", or "refused" and with what."""
        answer = self.get(path, **how)
        said = _object(answer.content)
        if answer.status_code == 200 and str(said.get("code")) == "0":
            return Found("taken")
        what = f"HTTP {answer.status_code}, code {said.get('code')}: {said.get('msg')}"
        return Found("refused", self.safe(what))

    # ---------------------------------------------------------------- looked at once

    @cached_property
    def options(self) -> list[str]:
        """Options of the first expiry but today's, the strikes nearest to the index first."""
        listed = self.client.options.instruments(PERPETUAL.removesuffix("USD"))
        day_ms = self.now_ms() + 86_400_000
        expiries = {one.expiry_ms for one in listed if one.expiry_ms and one.expiry_ms > day_ms}
        first = [one for one in listed if one.expiry_ms == min(expiries, default=None)]
        rows = self.client.futures.symbols()
        index = next((row.index_price or 0.0 for row in rows if row.symbol == PERPETUAL), 0.0)
        first.sort(key=lambda one: abs(float(one.strike or 0) - index))
        return [one.symbol for one in first]

    @cached_property
    def expiry_ms(self) -> int:
        found = self.client.options.instrument(self.options[0])
        assert found is not None
        return found.expiry_ms or 0

    @cached_property
    def opening(self) -> list[Came]:
        """What comes after a subscription to one futures book, and for a moment after that."""
        return self.told(
            "futures",
            *("subscribe", "orderBook", (PERPETUAL,)),
            enough=lambda rows: is_book(rows[-1]),
            then_s=MOMENT_S,
        )

    @cached_property
    def books(self) -> dict[str, list[Came]]:
        """Book frames of some seconds by symbol: the perpetual, and options near and far."""
        chosen = (*self.options[:3], *self.options[-5:])
        asks = [self.asking("subscribe", "orderBook", (symbol,)) for symbol in chosen]
        came = self.told(
            "futures", "subscribe", "orderBook", (PERPETUAL,), then_s=BOOKS_S
        ) + self.said("options", *asks, then_s=BOOKS_S)
        found: dict[str, list[Came]] = {}
        for one in came:
            row = parsed(one.frame)
            if is_book(row):
                found.setdefault(row["d"]["s"], []).append(one)
        return found

    @cached_property
    def silence(self) -> Silence:
        """Two connections on which nothing is said, one of them with WebSocket pings."""
        ended: dict[str, tuple[float, str]] = {}
        with self.open("futures") as idle, self.open("futures") as pinged:
            lines = {"idle": idle, "pinged": pinged}
            begin_s = ping_s = time.monotonic()
            while len(ended) < len(lines) and time.monotonic() < begin_s + PATIENCE_S:
                for name in lines.keys() - ended.keys():
                    try:
                        if name == "pinged" and time.monotonic() >= ping_s:
                            lines[name].put(masked(Opcode.PING, b"", b"ping"))
                            ping_s = time.monotonic() + PING_S
                        lines[name].take(0.05)
                    except (OSError, TransportError) as error:
                        ended[name] = time.monotonic() - begin_s, self.safe(error)
                if "idle" in ended and time.monotonic() - begin_s > 1.5 * ended["idle"][0]:
                    break
        idle_s, told = ended.get("idle", (None, ""))
        return Silence(idle_s, told, ended.get("pinged", (None, ""))[0])

    @cached_property
    def messages(self) -> dict[str, dict[str, Any] | None]:
        """The first frame of other channels, parsed, by product and data type; None where none
        came."""
        option = self.options[0]
        expiry = {"symbol": PERPETUAL, "end": self.expiry_ms}
        wanted: dict[tuple[str, str], dict[str, Any]] = {
            ("options", "bsInfo"): {"symbol": option},
            ("options", "tOption"): expiry,
            ("options", "accountBalance"): {},
            ("futures", "lastTrade"): {"symbol": PERPETUAL},
        }
        # Of none, there is nothing to wait for.
        for market in (self.client.options, self.client.futures):
            if market.positions():
                wanted[market.product, "position"] = {}
        found: dict[str, dict[str, Any] | None] = {}
        for (product, data_type), payload in wanted.items():
            text = self.asking("subscribe", data_type, (), payload)
            came = self.said(product, text, enough=lambda rows: "d" in rows[-1])
            rows = [row for row in map(parsed, (one.frame for one in came)) if "d" in row]
            found[f"{product} {data_type}"] = rows[0] if rows else None
        return found


def is_yes(row: dict[str, Any]) -> bool:
    """Whether a frame acknowledges a request, in any of the shapes that were seen."""
    return row.get("result") in ("success", True) or (row.get("rc") == 1 and "dt" not in row)


def is_book(row: dict[str, Any]) -> bool:
    return isinstance(row.get("d"), dict) and "asks" in row["d"]


def parsed(frame: bytes) -> dict[str, Any]:
    """A frame as an object; of what is none, nothing."""
    return _object(frame)


def _object(text: bytes) -> dict[str, Any]:
    try:
        found = orjson.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}

"""`Exchange`: the simulated venue as an object, its server in a thread of its own."""

import asyncio
import hashlib
import threading
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, Self, TypeVar

from aiohttp import web

from .auth import BOOLEANS, PREHASH_KEYS, Booleans, Prehash
from .clock import Clock
from .desk import Customs, PostOnly
from .faults import Faults
from .feed import Taste
from .gate import Habits, Throttle
from .instruments import FUTURES, OPTIONS
from .keys import MAKER, READ, TRADE, Key
from .rates import CLASSES, Limits
from .recording import Recording
from .server import Refuse, Server, Switches
from .session import Flood, Rules
from .venue import EDITIONS, Edition, Venue
from .wire import FAILURES, Failures

__all__ = ["Exchange"]

# A pair that opens nothing. The key carries the characters that the venue's keys carry and that
# address builders like to encode: `+`, `/`, `=`.
_API_KEY = "simK+y/4Yz0q3T7Zb1Vd9Xw5Ru2Nj8Lm6Ph+Gf/Ec0Aa="
_API_SECRET = "5ec0de00" * 8

_RESTART_S = 0.05  # for the answer to go out

T = TypeVar("T")


class Exchange:
    """A Coincall on 127.0.0.1: `with Exchange(seed=7) as exchange: ...`.

    seed                  the market; the same seed walks the same walk
    host, port            where to listen; port 0 takes a free one
    api_key, api_secret   the first user's key pair; `add_user` gives more
    permissions           of that key: "trade" and "maker" beside reading, which every key may
    cash                  the dollars that it starts with
    edition               of the documents: "today", "2023-09" or "2023-05"
    flow                  how often the model's own takers come; 1 is a lively market, 0 none
    expiries              how many the options have; each adds 48 symbols, ten make 482
    recording             what `coincall-fast record` made, or a file of frames, one a line, to
                          show instead of the model's books
    speed                 how fast the market's clock runs; signatures go by the real one
    start_ms              where it starts, if not now or with the recording: a fast one soon is
                          ahead of ours, and a client does not believe what comes from the future
    clock_offset_ms       how far the venue's clock is ahead of this machine's
    silence_s             a connection ends after this long without traffic either way
    prehash               which spelling of the signed text it accepts
    refuse                a bad signature gets HTTP 403, or an upgrade, one frame and a close
    options_period_ms, futures_period_ms   between pushes of a subscribed book
    lower_case_unsubscribe   whether "unsubscribe" is honoured beside "unSubscribe"
    failures              how a socket says no: in "result", in "rc" or in "c"
    acks                  whether a socket says yes
    flood                 more than 100 messages a second are answered by a "code" or a "text"
    max_queued_bytes      a reader that is this far behind is cut off
    faults                what is to go wrong from the start: settings of `faults.Fault`
    rates                 requests and seconds of a rate class that is not to be as listed:
                          {"place": (60, 1)}, see `rates.CLASSES`
    throttle              beyond a rate class: "code" 10605, HTTP "429", or "off"
    makers_only           without that permission: HTTP "404", or the "code" 7001
    booleans              signed as "lower" case, as Python's "title" case, or "both"
    reads_lag_ms          how long an order is unknown to what REST tells of orders
    post_only             an order of that kind that would trade: "cancel" or "refuse"
    options_fok           whether options know FOK orders
    ids_return            whether a client order id is free again when its order has ended
    pushes_first          whether private pushes come before the answer to the request
    sorted_levels         whether the levels of a pushed book come best first, or anyhow
    repeats_unchanged     whether a book that has not changed is pushed again; as the edition says
    ticker_texts          whether the numbers of `bsInfo` are strings

    Methods may be called from any thread. An error of the server is raised by the next call, at
    the latest by `close()`.
    """

    def __init__(
        self,
        *,
        seed: int = 0,
        host: str = "127.0.0.1",
        port: int = 0,
        api_key: str = _API_KEY,
        api_secret: str = _API_SECRET,
        permissions: Iterable[str] = (READ, TRADE, MAKER),
        cash: int = 1_000_000,
        edition: Edition = "today",
        flow: float = 1.0,
        expiries: int = 2,
        recording: str | Path | None = None,
        speed: float = 1.0,
        start_ms: int | None = None,
        clock_offset_ms: int = 0,
        silence_s: float = 30.0,
        prehash: Prehash = "both",
        refuse: Refuse = "403",
        options_period_ms: int = 100,
        futures_period_ms: int = 200,
        lower_case_unsubscribe: bool = False,
        failures: Failures = "result",
        acks: bool = True,
        flood: Flood = "code",
        max_queued_bytes: int = 8 * 1024 * 1024,
        faults: Iterable[Mapping[str, Any]] = (),
        rates: Limits = MappingProxyType({}),
        throttle: Throttle = "code",
        makers_only: Literal["404", "code"] = "404",
        booleans: Booleans = "lower",
        reads_lag_ms: int = 0,
        post_only: PostOnly = "cancel",
        options_fok: bool = True,
        ids_return: bool = False,
        pushes_first: bool = False,
        sorted_levels: bool = True,
        repeats_unchanged: bool | None = None,
        ticker_texts: bool = False,
    ) -> None:
        for name, value, allowed in (
            ("prehash", prehash, PREHASH_KEYS),
            ("refuse", refuse, ("403", "frame")),
            ("edition", edition, EDITIONS),
            ("throttle", throttle, ("code", "429", "off")),
            ("makers_only", makers_only, ("404", "code")),
            ("booleans", booleans, BOOLEANS),
            ("failures", failures, FAILURES),
            ("flood", flood, ("code", "text")),
            ("post_only", post_only, ("cancel", "refuse")),
        ):
            if value not in allowed:
                raise ValueError(f"{name}={value!r}: must be one of {', '.join(allowed)}")
        if speed <= 0:
            raise ValueError("a speed is at least something")
        if start_ms is not None and start_ms < 0:
            raise ValueError("no market starts before 1970")
        if expiries < 1:
            raise ValueError("there is at least one expiry")
        if unknown := rates.keys() - CLASSES.keys():
            raise ValueError(f"no such rate class: {', '.join(sorted(unknown))}")
        if min(options_period_ms, futures_period_ms) < 1:
            raise ValueError("a push period is at least 1 ms")
        self.seed = seed
        self.host = host
        self.api_key = api_key
        self.api_secret = api_secret
        self.clock_offset_ms = clock_offset_ms
        self._asked_port = self._port = port
        self._permissions = tuple(permissions)
        self._cash = cash
        self._edition: Edition = edition
        self._flow = flow
        self._expiries = expiries
        self._recording = recording
        self._reads_lag_ms = reads_lag_ms
        self._speed = speed
        self._customs = Customs(post_only, options_fok, ids_return)
        self._start_ms = start_ms
        self._ordered_faults = [dict(fault) for fault in faults]
        self._faults = self._new_faults()  # a wrong one is told at once
        self._periods_ms = {OPTIONS: options_period_ms, FUTURES: futures_period_ms}
        self._switches = Switches(
            Rules(
                silence_s=silence_s,
                lower_case_unsubscribe=lower_case_unsubscribe,
                failures=failures,
                flood=flood,
                acks=acks,
            ),
            Habits(throttle, makers_only, {**CLASSES, **rates}),
            Taste(
                sorted_levels,
                edition == "today" if repeats_unchanged is None else repeats_unchanged,
                ticker_texts,
            ),
            refuse,
            prehash,
            booleans,
            max_queued_bytes,
            pushes_first,
        )
        self._life = threading.RLock()  # over beginnings and ends, which may be ordered over HTTP
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._server: Server | None = None
        self._venue: Venue | None = None
        self._error: BaseException | None = None

    def __repr__(self) -> str:
        where = f"{self.host}:{self._port}" if self._thread else "not running"
        return f"<Exchange seed={self.seed} {where}>"

    # Life

    def start(self) -> Self:
        """Returns when the exchange is listening."""
        with self._life:
            if self._thread is not None:
                raise RuntimeError("the exchange is already running")
            self._begin(None, self._new_faults())
        return self

    def _begin(self, venue: Venue | None, faults: Faults) -> None:
        self._error = None
        self._faults = faults
        self._venue = venue or self._new_venue()
        listening = threading.Event()
        self._thread = threading.Thread(
            target=self._run, args=(self._venue, listening), name="coincall-sim", daemon=True
        )
        self._thread.start()
        listening.wait()
        if self._error is not None:
            self.close()

    def _new_faults(self) -> Faults:
        faults = Faults()
        for fault in self._ordered_faults:
            faults.add(**fault)
        return faults

    def _new_venue(self) -> Venue:
        step_ms = min(self._periods_ms.values()) * max(1.0, self._speed)
        recording = None if self._recording is None else Recording.read(self._recording)
        start_ms = self._start_ms
        if start_ms is None and recording is not None:
            start_ms = recording.start_ms
        venue = Venue(
            self.seed,
            Clock(skew_ms=self.clock_offset_ms, speed=self._speed, start_ms=start_ms),
            step_ms=round(step_ms),
            flow=self._flow,
            expiries=self._expiries,
            recording=recording,
            edition=self._edition,
            customs=self._customs,
        )
        venue.reads_lag_ms = self._reads_lag_ms
        venue.open_account(self._cash, self.api_key, self.api_secret, *self._permissions)
        return venue

    def close(self) -> None:
        """Ends every connection and the thread; raises what went wrong in it, once."""
        with self._life:
            thread, self._thread = self._thread, None
            if thread is not None:
                self._halt()
                thread.join()
            error, self._error = self._error, None
        if error is not None:
            raise error

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.close()

    # What a test wants to know

    @property
    def rest_url(self) -> str:
        return f"http://{self.host}:{self._port}"

    @property
    def ws_url(self) -> str:
        """The base address, without the product."""
        return f"ws://{self.host}:{self._port}"

    def symbols(self, product: str) -> list[str]:
        """The symbols of "options" or "futures"; options nearest the money first."""
        if product not in self._periods_ms:
            raise ValueError(f"product {product!r}: must be one of {', '.join(self._periods_ms)}")
        if self._venue is None:
            raise RuntimeError("the exchange is not running")
        return self._venue.engine.market.symbols(product)

    def add_user(
        self, *, cash: int = 1_000_000, permissions: Iterable[str] = (READ, TRADE, MAKER)
    ) -> Key:
        """Another user, with a key of its own that goes with this run of the exchange."""

        def open_account(server: Server) -> Key:
            number = len(server.venue.engine.ledger.accounts)
            api_key = f"{_API_KEY[:-4]}{number:03d}="
            secret = hashlib.sha256(api_key.encode()).hexdigest()
            return server.venue.open_account(cash, api_key, secret, *permissions)

        return self._call(open_account)

    def book_frame(self, symbol: str) -> bytes:
        """The latest frame pushed of `symbol`; where nobody listens, the one of this moment.

        To compare it with what a client holds, `stall(True)` first.
        """
        return self._call(lambda server: server.feed.frame(symbol)).encode()

    @property
    def connections(self) -> int:
        """How many sockets are open."""
        return self._call(lambda server: len(server.connections))

    def subscriptions(self) -> dict[str, int]:
        """How many connections listen to each symbol that has any."""
        return self._call(lambda server: server.feed.counts())

    # Faults

    def drop_connections(self) -> None:
        """Cuts every socket without a closing handshake."""
        self._call(lambda server: server.drop_connections())

    def fault(self, kind: str, **how: Any) -> int:
        """Orders a fault (see `faults.Fault` for what there is); its number ends it again."""
        return self._call(lambda server: server.faults.add(kind=kind, **how))

    def mend(self, number: int | None = None) -> None:
        """Ends one fault, or all."""
        self._call(lambda server: server.faults.remove(number))

    def stall(self, on: bool = True) -> None:
        """Stops all market data, though connections, acks and heartbeats go on; or resumes."""
        self._call(lambda server: server.control.stall(on))

    def silence(self, symbol: str, on: bool = True) -> None:
        """Stops the market data of one symbol, or resumes it."""
        self._call(lambda server: server.control.silence(symbol, on))

    def freeze(self, on: bool = True) -> None:
        """Stops the model's prices and quotes, though time and trading go on; or resumes.

        For tests that want to know what a book will be when their order comes.
        """
        self._call(lambda server: server.control.freeze(on))

    def skip(self, by_ms: int) -> None:
        """Lets so much time pass at once for the market: to the next expiry, say."""
        self._call(lambda server: server.control.skip(by_ms))

    def skew(self, by_ms: int) -> None:
        """Sets how far the venue's clock, which signatures are held against, is ahead."""
        self._call(lambda server: server.control.skew(by_ms))

    def restart(self, *, keep_state: bool = True) -> None:
        """Goes down and comes back at the same address, with or without orders and accounts."""
        with self._life:
            asked, venue, faults = self._asked_port, self._venue, self._faults
            self._asked_port = self._port
            try:
                self.close()
                self._begin(venue if keep_state else None, faults)
            finally:
                self._asked_port = asked

    def _restart_soon(self, keep_state: bool) -> None:
        """A restart that is asked for over HTTP: the server cannot wait for its own end."""

        def restart() -> None:
            with self._life:
                if self._thread is not None:  # else it has been closed meanwhile
                    self.restart(keep_state=keep_state)

        threading.Timer(_RESTART_S, restart).start()

    # The thread

    def _call(self, ask: Callable[[Server], T]) -> T:
        """Asks the server on its own thread, where its state lives."""
        loop, server, answer = self._loop, self._server, Future[T]()
        if self._error is not None:
            self.close()
        if self._thread is None or loop is None or server is None:
            raise RuntimeError("the exchange is not running")

        def run() -> None:
            try:
                answer.set_result(ask(server))
            except BaseException as error:
                answer.set_exception(error)

        loop.call_soon_threadsafe(run)
        return answer.result(timeout=10)

    def _halt(self) -> None:
        loop, stop = self._loop, self._stop
        if loop is not None and stop is not None:
            loop.call_soon_threadsafe(stop.set)

    def _run(self, venue: Venue, listening: threading.Event) -> None:
        try:
            asyncio.run(self._serve(venue, listening))
        except BaseException as error:
            self._error = self._error or error
        finally:
            self._loop = self._stop = self._server = None
            listening.set()

    async def _serve(self, venue: Venue, listening: threading.Event) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        self._server = Server(venue, self._faults, self._switches, self._fail, self._restart_soon)
        # No access log: it would hold signed addresses.
        runner = web.AppRunner(self._server.app(), access_log=None, shutdown_timeout=0.5)
        pushes: list[asyncio.Task[None]] = []
        try:
            await runner.setup()
            await web.TCPSite(runner, self.host, self._asked_port).start()
            self._port = runner.addresses[0][1]
            feed = self._server.feed
            rounds = [feed.run(product, period) for product, period in self._periods_ms.items()]
            for run in (*rounds, feed.run_tickers()):
                push = asyncio.create_task(run)
                push.add_done_callback(self._push_ended)
                pushes.append(push)
            listening.set()
            await self._stop.wait()
        finally:
            for push in pushes:
                push.cancel()
            await self._server.close()
            self._server.feed.close()
            await runner.cleanup()

    def _push_ended(self, push: asyncio.Task[None]) -> None:
        if not push.cancelled() and (error := push.exception()) is not None:
            self._fail(error)

    def _fail(self, error: BaseException) -> None:
        """Keeps the first error of the server, and ends it: a broken exchange proves nothing."""
        self._error = self._error or error
        if self._stop is not None:
            self._stop.set()

"""`Exchange`: the simulated venue as an object, its server in a thread of its own."""

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Self, TypeVar

from aiohttp import web

from .auth import PREHASH_KEYS, Prehash, Verifier
from .instruments import FUTURES, OPTIONS
from .market import Market
from .server import Refuse, Server, Switches
from .session import Rules

__all__ = ["Exchange"]

# A pair that opens nothing. The key carries the characters that the venue's keys carry and that
# address builders like to encode: `+`, `/`, `=`.
_API_KEY = "simK+y/4Yz0q3T7Zb1Vd9Xw5Ru2Nj8Lm6Ph+Gf/Ec0Aa="
_API_SECRET = "5ec0de00" * 8

T = TypeVar("T")


class Exchange:
    """A Coincall on 127.0.0.1: `with Exchange(seed=7) as exchange: ...`.

    seed                  the market; the same seed walks the same walk
    host, port            where to listen; port 0 takes a free one
    api_key, api_secret   the one key pair it knows
    clock_offset_ms       how far the venue's clock is ahead of this machine's
    silence_s             a connection ends after this long without traffic either way
    prehash               which spelling of the signed text it accepts
    refuse                a bad signature gets HTTP 403, or an upgrade, one frame and a close
    options_period_ms, futures_period_ms   between pushes of a subscribed book
    lower_case_unsubscribe   whether "unsubscribe" is honoured beside "unSubscribe"
    max_queued_bytes      a reader that is this far behind is cut off

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
        clock_offset_ms: int = 0,
        silence_s: float = 30.0,
        prehash: Prehash = "both",
        refuse: Refuse = "403",
        options_period_ms: int = 100,
        futures_period_ms: int = 200,
        lower_case_unsubscribe: bool = False,
        max_queued_bytes: int = 8 * 1024 * 1024,
    ) -> None:
        if prehash not in PREHASH_KEYS:
            raise ValueError(f"prehash={prehash!r}: must be one of {', '.join(PREHASH_KEYS)}")
        if refuse not in ("403", "frame"):
            raise ValueError(f"refuse={refuse!r}: must be '403' or 'frame'")
        if min(options_period_ms, futures_period_ms) < 1:
            raise ValueError("a push period is at least 1 ms")
        self.seed = seed
        self.host = host
        self.api_key = api_key
        self.api_secret = api_secret
        self.clock_offset_ms = clock_offset_ms
        self._asked_port = self._port = port
        self._prehash: Prehash = prehash
        self._periods_ms = {OPTIONS: options_period_ms, FUTURES: futures_period_ms}
        self._switches = Switches(
            Rules(silence_s=silence_s, lower_case_unsubscribe=lower_case_unsubscribe),
            refuse,
            max_queued_bytes,
        )
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._server: Server | None = None
        self._market: Market | None = None
        self._error: BaseException | None = None

    def __repr__(self) -> str:
        where = f"{self.host}:{self._port}" if self._thread else "not running"
        return f"<Exchange seed={self.seed} {where}>"

    # Life

    def start(self) -> Self:
        """Returns when the exchange is listening."""
        if self._thread is not None:
            raise RuntimeError("the exchange is already running")
        self._error = None
        self._market = Market(self.seed, self._now_ms(), step_ms=min(self._periods_ms.values()))
        listening = threading.Event()
        self._thread = threading.Thread(
            target=self._run, args=(self._market, listening), name="coincall-sim", daemon=True
        )
        self._thread.start()
        listening.wait()
        if self._error is not None:
            self.close()
        return self

    def close(self) -> None:
        """Ends every connection and the thread; raises what went wrong in it, once."""
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
        if self._market is None:
            raise RuntimeError("the exchange is not running")
        return self._market.symbols(product)

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

    def stall(self, on: bool = True) -> None:
        """Stops all book frames, though connections, acks and heartbeats go on; or resumes."""

        def apply(server: Server) -> None:
            server.feed.is_stalled = on

        self._call(apply)

    def silence(self, symbol: str, on: bool = True) -> None:
        """Stops the book frames of one symbol, or resumes them."""

        def apply(server: Server) -> None:
            (server.feed.silenced.add if on else server.feed.silenced.discard)(symbol)

        self._call(apply)

    # The thread

    def _now_ms(self) -> int:
        return time.time_ns() // 1_000_000 + self.clock_offset_ms

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

    def _run(self, market: Market, listening: threading.Event) -> None:
        try:
            asyncio.run(self._serve(market, listening))
        except BaseException as error:
            self._error = self._error or error
        finally:
            self._loop = self._stop = self._server = None
            listening.set()

    async def _serve(self, market: Market, listening: threading.Event) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        verifier = Verifier(self.api_key, self.api_secret, self._prehash)
        self._server = Server(market, verifier, self._now_ms, self._switches, self._fail)
        # No access log: it would hold signed addresses.
        runner = web.AppRunner(self._server.app(), access_log=None, shutdown_timeout=0.5)
        pushes: list[asyncio.Task[None]] = []
        try:
            await runner.setup()
            await web.TCPSite(runner, self.host, self._asked_port).start()
            self._port = runner.addresses[0][1]
            for product, period_ms in self._periods_ms.items():
                push = asyncio.create_task(self._server.feed.run(product, period_ms))
                push.add_done_callback(self._push_ended)
                pushes.append(push)
            listening.set()
            await self._stop.wait()
        finally:
            for push in pushes:
                push.cancel()
            await self._server.close()
            await runner.cleanup()

    def _push_ended(self, push: asyncio.Task[None]) -> None:
        if not push.cancelled() and (error := push.exception()) is not None:
            self._fail(error)

    def _fail(self, error: BaseException) -> None:
        """Keeps the first error of the server, and ends it: a broken exchange proves nothing."""
        self._error = self._error or error
        if self._stop is not None:
            self._stop.set()

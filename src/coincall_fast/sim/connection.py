"""The writing half of one socket: a queue that a slow reader cannot grow without bound."""

import asyncio
from collections import deque
from contextlib import suppress

from aiohttp import WSCloseCode, web

from .faults import Faults
from .session import Session

__all__ = ["Connection"]


class Connection:
    """Sends frames in order, never waiting for the reader; used on the loop's thread only."""

    def __init__(
        self,
        socket: web.WebSocketResponse,
        transport: asyncio.Transport,
        session: Session,
        max_queued_bytes: int,
        faults: Faults,
    ) -> None:
        self.socket = socket
        self.session = session
        self.is_half_open = False  # nothing is sent any more, and nothing answered
        self._transport = transport
        self._max_queued_bytes = max_queued_bytes
        self._faults = faults
        self._kept: list[str] = []  # what a fault keeps back
        self._queue: deque[tuple[str, int]] = deque()  # frames, each with a delay
        self._queued_bytes = 0
        self._is_ready = asyncio.Event()

    def send(self, frame: str) -> None:
        """Queues a frame; a reader that has fallen too far behind is cut off instead."""
        if self.is_half_open:
            return
        delay_ms = 0
        frames = [frame]
        if self._faults.has_any:
            out = self._faults.socket(frame, self._kept)
            if out.is_cut:
                self.abort()
                return
            self.is_half_open = out.is_half_open
            frames = [] if out.is_half_open else out.frames
            delay_ms = out.delay_ms
        for text in frames:
            self._queue.append((text, delay_ms))
            self._queued_bytes += len(text)  # frames are ASCII
            delay_ms = 0
        if self._queued_bytes > self._max_queued_bytes:
            self.abort()
        self._is_ready.set()

    async def write(self) -> None:
        """Writes what is queued, for as long as the connection stands."""
        loop = asyncio.get_running_loop()
        try:
            while True:
                await self._is_ready.wait()
                self._is_ready.clear()
                while self._queue:
                    frame, delay_ms = self._queue.popleft()
                    self._queued_bytes -= len(frame)
                    if delay_ms:  # what comes behind waits too, as it would on one wire
                        await asyncio.sleep(delay_ms / 1000)
                    await self.socket.send_str(frame)
                    self.session.sent(loop.time())
        except ConnectionError:
            return  # the reading half sees the end as well, and cleans up

    async def close(self, timeout_s: float) -> None:
        """Says goodbye, and cuts off a peer that has not answered in time or reads no more."""
        with suppress(TimeoutError, ConnectionError):
            async with asyncio.timeout(timeout_s):
                await self.socket.close(code=WSCloseCode.GOING_AWAY)
        self.abort()

    def abort(self) -> None:
        """Ends the TCP connection without a farewell."""
        self._queue.clear()
        self._queued_bytes = 0
        self._transport.abort()

"""One raw connection to a venue's socket, to ask what a `Stream` would not, and to see answers."""

import selectors
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import NamedTuple, Self

from ...errors import TransportError
from ...streams.connection import Address, Connection

__all__ = ["Came", "Line"]

LOOK_S = 0.1  # between two looks at whether something should have ended by now


class Came(NamedTuple):
    """One message, and when it had come."""

    frame: bytes
    ns: int  # of time.monotonic_ns
    wall_ms: int


class Line:
    """A connection that has been upgraded. Nothing is sent on it that is not told to be.

    A context manager. For one thread.
    """

    def __init__(self, url: str, sign: Callable[[str], str]) -> None:
        """`sign` makes the signed URL of the plain one. Raises AuthError or TransportError."""
        self._connection = Connection(Address.parse(url))
        self._came: deque[Came] = deque()
        self._lost: TransportError | None = None
        self._connection.dial(sign)

    def send(self, text: str) -> None:
        self._connection.send(text)

    def put(self, frame: bytes) -> None:
        """Writes what is a WebSocket frame already."""
        self._connection.socket.send(frame)

    def take(self, within_s: float) -> Came | None:
        """The next message; None where none came in time. Raises TransportError at its end."""
        end_s = time.monotonic() + within_s
        while not self._came:
            if self._lost is not None:
                raise self._lost
            left_s = end_s - time.monotonic()
            if left_s <= 0:
                return None
            self._receive(min(left_s, LOOK_S))
        return self._came.popleft()

    def all(self, within_s: float) -> Iterator[Came]:
        """What comes until then, or until the connection ends."""
        end_s = time.monotonic() + within_s
        try:
            while (came := self.take(end_s - time.monotonic())) is not None:
                yield came
        except TransportError:
            return

    def _receive(self, wait_s: float) -> None:
        connection = self._connection
        try:
            if not connection.has_more:
                with selectors.DefaultSelector() as selector:
                    selector.register(connection.socket, selectors.EVENT_READ)
                    if not selector.select(wait_s):
                        connection.flush()
                        connection.tick()
                        return
            for message in connection.read():
                if message is not None:
                    wall_ms = connection.came_wall_ns // 1_000_000
                    self._came.append(Came(bytes(message), connection.came_ns, wall_ms))
        except TransportError as error:
            self._lost = error

    def close(self) -> None:
        if self._lost is None:
            self._connection.say_goodbye()
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

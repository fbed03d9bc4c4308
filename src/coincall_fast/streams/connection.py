"""One WebSocket connection: dialled, read message by message, written, cut.

Whatever can be said without a socket or a clock is `_wire`'s: this is what puts bytes into its
reader, sends what it wants answered, and loses patience.
"""

import contextlib
import os
import selectors
import socket
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import NoReturn

from .._wire import Opcode, Reader, masked
from ..errors import ProtocolError, TransportError
from ..tls import TlsSocket
from .dial import Address, Proxy, dial

__all__ = ["Address", "Connection", "Proxy"]

LARGEST = 1 << 20  # bytes of a message; a book of 100 levels a side has 10 kB
AT_ONCE = 1 << 18  # bytes that one call of `read` takes, or some more
FRAME_S = 2.0  # a frame that has begun must have ended by then
MESSAGE_S = 10.0  # ... and the fragments of a message
SEND_S = 2.0  # what we send must have been taken by then
UNSENT = 1 << 18  # bytes that may wait for the peer to take them
PINGS_PER_S = 100
GOODBYE_S = 0.1  # that a peer is given to hang up first

NORMAL, NO_CODE, UNWANTED = 1000, 1005, 1008  # of a Close (RFC 6455, section 7.4.1)


class Connection:
    """An open connection. One thread reads and writes, and never waits; `cut` may come from any."""

    def __init__(self, address: Address, proxy: Proxy | None = None) -> None:
        self.address = address
        self._proxy = proxy
        self._socket: socket.socket | TlsSocket | None = None
        self._is_cut = False
        self._reader = Reader(LARGEST)
        self._frame = _Unfinished("a frame that does not end", FRAME_S)
        self._message = _Unfinished("a message that does not end", MESSAGE_S)
        self._pings_s: deque[float] = deque(maxlen=PINGS_PER_S)
        self._is_amid_read = False
        self.came_ns = self.came_wall_ns = 0  # when the bytes that `read` gives had come
        self._end: str | None = None  # why nothing more will be received
        self._unsent = bytearray()
        self._unsent_since_s = 0.0

    def dial(self, sign: Callable[[str], str]) -> None:
        """Connects and upgrades with the URL that `sign` makes, or raises what `dial.dial` does."""
        self._socket = dial(self.address, sign, proxy=self._proxy, is_cut=lambda: self._is_cut)
        if self._is_cut:
            self._lost("given up")

    @property
    def socket(self) -> socket.socket | TlsSocket:
        """To be waited for; where `has_more`, there is nothing to wait for."""
        assert self._socket is not None
        return self._socket

    @property
    def has_more(self) -> bool:
        """Whether `read` may give messages without waiting for the socket: those that an earlier
        one was not asked for, or bytes that TLS holds and the socket does not show."""
        return self._is_amid_read or (
            isinstance(self._socket, TlsSocket) and self._socket.pending() > 0
        )

    @property
    def has_unsent(self) -> bool:
        """Whether `flush` is to be called as soon as the socket can be written."""
        return bool(self._unsent) or (
            isinstance(self._socket, TlsSocket) and self._socket.has_unsent
        )

    def read(self) -> Iterator[memoryview | None]:
        """Receives what has come, and gives the messages that are whole by now.

        Each is good until the next is asked for; keep ``bytes(message)``. None stands for frames
        that are no messages, but a sign of life. Raises TransportError where the connection is
        lost, whatever the reason, when all before that has been given.
        """
        reader = self._reader
        frames, messages = reader.frames, reader.messages
        if not self._is_amid_read:
            self._end = self._receive()
            self.came_ns, self.came_wall_ns = time.monotonic_ns(), time.time_ns()
        self._is_amid_read = True
        try:
            while (message := reader.take()) is not None:
                if reader.has_pings:
                    self._answer(reader.take_pings())  # they came before its end
                yield message
        except ProtocolError as error:
            self.say_goodbye(error.close_code)
            self.close()
            raise
        self._answer(reader.take_pings())
        if reader.close is not None:
            code, reason = reader.close
            self.say_goodbye(code)
            self._lost(f"the venue closed the connection with {code} {reason!r}")
        if self._end is not None:
            self._lost(self._end)
        self._is_amid_read = False
        if reader.frames > frames and reader.messages == messages:
            yield None

    def _receive(self) -> str | None:
        """Takes bytes in; tells why there will be no more, where that is so."""
        left = AT_ONCE
        is_secure = isinstance(self._socket, TlsSocket)
        try:
            while left > 0:
                count = self._reader.receive(self.socket.recv_into)
                if count == 0:
                    return "the venue hung up"
                left -= count if is_secure else AT_ONCE  # TLS gives one record at a time
        except BlockingIOError:
            pass
        except OSError as error:
            return str(error) or type(error).__name__
        return None

    def _answer(self, pings: list[bytes]) -> None:
        """Every ping has its pong; to a peer that does not take them, the last alone."""
        now_s = time.monotonic() if pings else 0.0
        for _ in pings:
            if len(self._pings_s) == PINGS_PER_S and now_s - self._pings_s[0] < 1.0:
                self.say_goodbye(UNWANTED)
                self._lost(f"more than {PINGS_PER_S} pings in a second")
            self._pings_s.append(now_s)
        for payload in pings[-1:] if self.has_unsent else pings:
            self._put(Opcode.PONG, payload)
        if pings:
            self.flush()

    def send(self, message: str | bytes) -> None:
        """Sends one message, as far as the peer takes it now; the rest goes by `flush`."""
        if isinstance(message, str):
            self._put(Opcode.TEXT, message.encode())
        else:
            self._put(Opcode.BINARY, message)
        self.flush()

    def _put(self, opcode: Opcode, payload: bytes) -> None:
        frame = masked(opcode, payload, os.urandom(4))
        if not self.has_unsent:
            self._unsent_since_s = time.monotonic()
        self._unsent += frame
        if len(self._unsent) > max(UNSENT, len(frame)):
            self._lost(f"the venue has left more than {UNSENT} bytes unread")

    def flush(self) -> None:
        """Sends what waits, as far as the peer takes it. Raises TransportError."""
        try:
            while self.has_unsent:
                sent = self.socket.send(self._unsent)
                del self._unsent[:sent]
        except BlockingIOError:
            pass
        except OSError as error:
            self._lost(str(error) or type(error).__name__)

    def tick(self) -> None:
        """Time has passed: raises TransportError where what has begun should have ended by now."""
        now_s = time.monotonic()
        reader = self._reader
        late = self._frame.lateness(
            reader.frames if reader.is_amid_frame else None, now_s
        ) or self._message.lateness(reader.messages if reader.is_amid_message else None, now_s)
        if late is None and self.has_unsent and now_s - self._unsent_since_s > SEND_S:
            late = f"the venue has left what we send unread for {SEND_S:g} s"
        if late is not None:
            self._lost(late)

    def _lost(self, reason: str) -> NoReturn:
        """Nothing sent or read from now on may seem to succeed."""
        self.close()
        raise TransportError(f"connection lost: {reason}") from None

    def cut(self) -> None:
        """Makes whatever waits on the connection fail at once. From any thread."""
        self._is_cut = True
        if self._socket is not None:
            with contextlib.suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)

    def say_goodbye(self, code: int = NORMAL) -> None:
        """Tells the peer why we go, if it still listens, and lets it hang up first for a moment:
        to close with bytes unread is a reset, which may overtake what we said."""
        with contextlib.suppress(OSError, TransportError):
            self._put(Opcode.CLOSE, b"" if code == NO_CODE else code.to_bytes(2))
            self.flush()
            end_s = time.monotonic() + GOODBYE_S
            with selectors.DefaultSelector() as selector:
                selector.register(self.socket, selectors.EVENT_READ)
                while (left_s := end_s - time.monotonic()) > 0:
                    try:
                        if not self.socket.recv(1 << 16):
                            break
                    except BlockingIOError:  # of one record, TLS may have had a part
                        selector.select(left_s)

    def close(self) -> None:
        """Closes the socket, which the owning thread alone may do."""
        if self._socket is not None:
            with contextlib.suppress(OSError):
                self._socket.close()


class _Unfinished:
    """Something that has begun, and how long that may last."""

    def __init__(self, name: str, limit_s: float) -> None:
        self._name = name
        self._limit_s = limit_s
        self._which: int | None = None
        self._since_s = 0.0

    def lateness(self, which: int | None, now_s: float) -> str | None:
        """What is wrong, if it is the same that was unfinished so long ago; None if none is."""
        if which is None or which != self._which:
            self._which, self._since_s = which, now_s
            return None
        return self._name if now_s - self._since_s > self._limit_s else None

"""TLS by way of memory: one call of the system brings many records.

A socket of `ssl` asks the system twice for each record, and a record has 16 KiB at most. Here what
has come is taken at once, and is decrypted from memory: a quarter less for a frame at a flood.
"""

import socket
import ssl
from collections.abc import Callable
from typing import Any

__all__ = ["TlsSocket"]

ROOM = 1 << 18  # bytes that one call of the system may bring
RECORD = 1 << 14  # bytes that are encrypted at once


class TlsSocket:
    """What a connection uses of a non-blocking socket, under TLS.

    As with a socket, what cannot be done now raises BlockingIOError. For one thread, but `shutdown`
    may come from any.
    """

    def __init__(self, opened: socket.socket, context: ssl.SSLContext, host: str) -> None:
        self._opened = opened
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=host)
        self._room = memoryview(bytearray(ROOM))
        self._unsent = b""  # encrypted already
        # As the socket's own, since nothing of it is to be hidden:
        self.fileno = opened.fileno
        self.settimeout = opened.settimeout
        self.shutdown = opened.shutdown
        self.close = opened.close

    def do_handshake(self) -> None:
        self._act(self._tls.do_handshake)

    def recv_into(self, room: memoryview) -> int:
        """At most one record; 0 at the end, whether or not the peer has announced it."""
        try:
            count: int = self._act(self._tls.read, len(room), room)
        except ssl.SSLEOFError:  # of OpenSSL 1.1, for what has not been announced
            return 0
        return count

    def recv(self, size: int) -> bytes:
        room = bytearray(size)
        return bytes(room[: self.recv_into(memoryview(room))])

    def send(self, data: bytes | bytearray) -> int:
        """How many bytes it has taken. What then `has_unsent`, goes along with the next call, which
        may be one with nothing."""
        self._flush()
        if self._unsent:
            raise BlockingIOError("what was taken before has not been sent")
        count: int = self._act(self._tls.write, bytes(data[:RECORD])) if data else 0
        return count

    @property
    def has_unsent(self) -> bool:
        """Whether the system has not taken all that `send` has."""
        return bool(self._unsent)

    def pending(self) -> int:
        """How many bytes the socket does not show any more, encrypted or not."""
        return self._tls.pending() + self._incoming.pending

    def _act(self, act: Callable[..., Any], *args: Any) -> Any:
        """Has TLS do something, with as much from the peer as that takes."""
        while True:
            try:
                return act(*args)
            except ssl.SSLWantReadError:
                count = self._opened.recv_into(self._room)
                if count:
                    self._incoming.write(self._room[:count])
                else:
                    self._incoming.write_eof()
            finally:
                self._flush()  # the peer may be waiting for that

    def _flush(self) -> None:
        if self._outgoing.pending:
            self._unsent += self._outgoing.read()
        while self._unsent:
            try:
                sent = self._opened.send(self._unsent)
            except BlockingIOError:
                return
            self._unsent = self._unsent[sent:]

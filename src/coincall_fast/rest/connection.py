"""One kept-alive HTTP connection: a request out, its answer in, before a deadline.

http.client reads the answer; here is what it takes for a file, and what sends, waits and keeps the
connection. One thread at a time.
"""

import re
import socket
import time
import zlib
from http.client import HTTPResponse
from typing import Any, cast

from ..tls import TlsSocket
from .exchange import LARGEST, Told, seconds
from .request import Answer

__all__ = ["Connection"]

PIECE = 1 << 14
HEAD = 1 << 17  # bytes of an answer that are not its body; http.client has limits within these
GZIP = b"\x1f\x8b"  # how what is packed begins, and no JSON
BRACE = ord("{")
OUT_OF_ORDER = range(102, 200)  # answers before the answer; http.client passes over 100 itself

# A head of one status, whole lines that go on in no other, and one length; and what else may say
# where the answer ends, or what becomes of the connection.
_LINE = rb"(?!(?i:content-length))[!-9;-~]+:[ -~\x80-\xff\t]*\r\n"
_PLAIN = re.compile(
    rb"HTTP/1\.1 200 [ -~]*\r\n(?:%b)*(?i:content-length): ?([0-9]{1,7})\r\n(?:%b)*\r\n"
    % (_LINE, _LINE)
)
_SPECIAL = re.compile(rb"(?i)\n(?:transfer-encoding|connection:(?! ?keep-alive\r)|keep-alive)")


class Connection:
    """`is_sent`: whether any of the request of the exchange that is under way, or was last, has
    left. `is_kept`: whether another one may follow."""

    __slots__ = (
        "_end_s",
        "_incoming",
        "_opened",
        "_read_s",
        "idle_s",
        "is_kept",
        "is_sent",
        "since_s",
    )

    def __init__(self, opened: socket.socket | TlsSocket, read_s: float, idle_s: float) -> None:
        self.is_sent = False
        self.is_kept = True
        self.idle_s = idle_s  # for how long it may be idle; the venue may say less
        self.since_s = time.monotonic()  # when it became idle
        self._opened = opened
        self._read_s = read_s
        self._end_s = 0.0
        self._incoming = _Incoming(self)

    def exchange(self, method: str, data: bytes, end_s: float) -> Answer:
        """Sends a request, and waits for its answer until then. Whatever is raised, the connection
        is of no more use."""
        self._end_s = end_s
        self.is_sent = self.is_kept = False
        self._send(data)
        incoming = self._incoming
        incoming.begin()
        body = incoming.plain_body()
        if body is not None:
            answer = Answer(200, body)
            self.is_kept = incoming.is_empty
        else:
            answer = self._read(method, incoming)
        self.since_s = time.monotonic()
        return answer

    def _read(self, method: str, incoming: "_Incoming") -> Answer:
        """Whatever an answer may be."""
        response = _response(incoming, method)
        if (response.length or 0) > LARGEST:
            raise Told(f"more than {LARGEST} bytes")
        body = response.read()
        if body.startswith(GZIP):
            body = _unpacked(body)
        self.is_kept = not response.will_close and incoming.is_empty
        if limit := response.headers.get("Keep-Alive"):
            self._promised(limit)
        return Answer(response.status, body, seconds(response.headers.get("Retry-After")))

    def _promised(self, limit: str) -> None:
        """``timeout=5``: the venue will close it then; so for us it ends a second before."""
        for part in limit.split(","):
            name, _, value = part.strip().partition("=")
            if name == "timeout" and (said_s := seconds(value)) is not None:
                self.idle_s = min(self.idle_s, said_s - 1.0)

    def is_fresh(self, now_s: float) -> bool:
        """Whether a request may go over it: idle for not too long, and nothing has come since the
        last answer, be it the end or what nobody asked for."""
        if now_s - self.since_s > self.idle_s:
            return False
        try:
            self._opened.settimeout(0.0)
            self._opened.recv(1)
        except BlockingIOError:  # nothing; of TLS, nothing for us
            return True
        except OSError:
            pass
        return False

    def close(self) -> None:
        self._opened.close()

    def _send(self, data: bytes) -> None:
        opened = self._opened
        left = data
        while left:
            opened.settimeout(self._left_s())
            left = left[opened.send(left) :]  # what raises has taken nothing of it
            self.is_sent = True

    def receive(self) -> bytes:
        """Some bytes; none at the end."""
        self._opened.settimeout(self._left_s())
        return self._opened.recv(PIECE)

    def _left_s(self) -> float:
        left_s = self._end_s - time.monotonic()
        if left_s <= 0:
            raise TimeoutError("the deadline has passed")
        return min(left_s, self._read_s)


class _Incoming:
    """What http.client takes for the file of a socket: the bytes of one answer, so many at most."""

    __slots__ = ("_at", "_bytes", "_connection", "_left")

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.begin()

    def begin(self) -> None:
        """Another answer."""
        self._bytes = b""
        self._at = 0  # what is before has been read
        self._left = LARGEST + HEAD

    @property
    def is_empty(self) -> bool:
        """Whether all that has come has been read."""
        return self._at == len(self._bytes)

    def plain_body(self) -> bytes | None:
        """The body of the answer that nearly all are: 200, and a length. Of any other, and of what
        has not come yet as a whole, nothing is read, and None returned.

        http.client takes five times as long, most of it for headers that nobody looks at.
        """
        if self.is_empty and not self._more():
            return None
        found = _PLAIN.match(self._bytes)
        if found is None or _SPECIAL.search(self._bytes, 0, found.end()):
            return None
        end = found.end() + int(found[1])
        if found.end() == end or len(self._bytes) < end or self._bytes[found.end()] != BRACE:
            return None
        self._at = end
        return self._bytes[found.end() : end]

    def makefile(self, mode: str) -> "_Incoming":
        return self

    def readline(self, limit: int = -1) -> bytes:
        end = self._bytes.find(b"\n", self._at)
        while end < 0 and (limit < 0 or len(self._bytes) - self._at < limit) and self._more():
            end = self._bytes.find(b"\n", self._at)
        count = len(self._bytes) - self._at if end < 0 else end + 1 - self._at
        return self._take(count if limit < 0 else min(count, limit))

    def read(self, count: int = -1) -> bytes:
        pieces = []
        while count and (not self.is_empty or self._more()):
            piece = self._take(len(self._bytes) - self._at if count < 0 else count)
            pieces.append(piece)
            if count > 0:
                count -= len(piece)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _take(self, count: int) -> bytes:
        taken = self._bytes[self._at : self._at + count]
        self._at += len(taken)
        return taken

    def _more(self) -> bool:
        """Waits for more to come; False at the end."""
        piece = self._connection.receive()
        self._left -= len(piece)
        if self._left < 0:
            raise Told(f"more than {LARGEST} bytes")
        self._bytes = self._bytes[self._at :] + piece
        self._at = 0
        return bool(piece)

    def flush(self) -> None: ...

    def close(self) -> None: ...


def _response(incoming: _Incoming, method: str) -> HTTPResponse:
    """The head of the answer."""
    while True:
        response = HTTPResponse(cast(Any, incoming), method=method)
        response.begin()
        if response.status not in OUT_OF_ORDER:
            return response


def _unpacked(body: bytes) -> bytes:
    unpacking = zlib.decompressobj(16 + zlib.MAX_WBITS)
    try:
        plain = unpacking.decompress(body, LARGEST + 1)
    except zlib.error:
        raise Told("what it has packed cannot be unpacked") from None
    if len(plain) > LARGEST:
        raise Told(f"more than {LARGEST} bytes")
    return plain

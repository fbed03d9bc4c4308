"""One WebSocket connection: dialled, signed, read frame by frame, written, cut.

websocket-client does the upgrade and takes frames apart; what it leaves open is closed here: a
deadline over the whole dial and over each frame, a limit on what a peer may make us keep, no
redirects, no cookies of another account, nothing printed. Its per-frame UTF-8 check is never used:
it costs more than everything else together, and the core refuses what is not UTF-8.
"""

import contextlib
import json
import socket
import ssl
import threading
import time
from collections.abc import Callable
from typing import NamedTuple, NoReturn
from urllib.parse import urlsplit

import websocket
from websocket import _abnf, _handshake

from .errors import AuthError, CoincallFastError, TransportError, UsageError

__all__ = ["Address", "Connection"]

DIAL_S = 5.0  # over every address, TCP, TLS and upgrade
FRAME_S = 2.0  # a frame that has begun must have ended by then
LARGEST = 1 << 20  # bytes of a message; a book of 100 levels a side has 10 kB


class Address(NamedTuple):
    """Where a stream is, without anything secret."""

    url: str
    host: str
    port: int
    is_secure: bool

    @classmethod
    def parse(cls, url: str) -> "Address":
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            raise UsageError("the address of a stream cannot be parsed") from None
        if parts.scheme not in ("ws", "wss") or not parts.hostname:
            raise UsageError("the address of a stream begins with ws:// or wss:// and a host")
        is_secure = parts.scheme == "wss"
        return cls(url, parts.hostname, port or (443 if is_secure else 80), is_secure)

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


class Connection:
    """An open connection. One thread reads and writes; `cut` may come from any other."""

    def __init__(self, address: Address) -> None:
        self.address = address
        self._socket: socket.socket | None = None
        self._is_cut = False
        self._deadline_s = 0.0
        self._fragments: bytearray | None = None
        self._websocket = websocket.WebSocket(skip_utf8_validation=True, enable_multithread=False)
        self._frames = self._websocket.frame_buffer = _Frames(self._receive, True)

    def dial(self, sign: Callable[[str], str]) -> None:
        """Connects and upgrades, or raises AuthError or TransportError.

        `sign` makes the signed URL of the plain one. It is called last, so that the signature is
        fresh, and its value exists only inside the call that needs it.
        """
        if websocket.isEnabledForTrace():
            raise UsageError("websocket.enableTrace prints keys and signatures: turn it off")
        late = threading.Timer(DIAL_S, self.cut)
        late.daemon = True
        late.start()
        try:
            self._connect()
            self._upgrade(sign)
        finally:
            late.cancel()

    def _connect(self) -> None:
        try:
            self._hold(socket.create_connection((self.address.host, self.address.port), DIAL_S))
            assert self._socket is not None
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self.address.is_secure:
                wrapped = ssl.create_default_context().wrap_socket(
                    self._socket,
                    server_hostname=self.address.host,
                    do_handshake_on_connect=False,
                )
                self._hold(wrapped)
                wrapped.do_handshake()
        except (OSError, UnicodeError) as error:  # UnicodeError: a host that is no IDNA name
            self.close()
            raise TransportError(f"cannot connect to {self.address}: {error}") from None

    def _hold(self, opened: socket.socket) -> None:
        self._socket = opened
        if self._is_cut:
            raise TimeoutError("given up")

    def _upgrade(self, sign: Callable[[str], str]) -> None:
        failure: CoincallFastError | None = None
        _handshake.CookieJar.jar.clear()  # one for the process: another account's cookies
        try:
            self._websocket.connect(  # type: ignore[no-untyped-call]
                sign(self.address.url),
                socket=self._socket,
                redirect_limit=0,
                suppress_origin=True,
            )
            self._websocket.settimeout(FRAME_S)
        except Exception as error:  # whatever it is, its frames hold the signed URL
            failure = _refusal(error, self.address)
        if failure is not None:
            self.close()
            raise failure  # out here, so that it drags neither cause nor context along

    @property
    def socket(self) -> socket.socket:
        """To be waited for; where `has_more`, there is nothing to wait for."""
        assert self._socket is not None
        return self._socket

    @property
    def has_more(self) -> bool:
        """Whether TLS holds bytes that the socket does not show any more."""
        return isinstance(self._socket, ssl.SSLSocket) and self._socket.pending() > 0

    def read(self) -> bytes | None:
        """Reads one frame; returns the message that it completes, if it does.

        Raises TransportError where the connection is lost, whatever the reason.
        """
        self._deadline_s = time.monotonic() + FRAME_S
        try:
            frame = self._frames.recv_frame()
            if frame.opcode == websocket.ABNF.OPCODE_PING:
                self._websocket.pong(frame.data)
        except websocket.WebSocketTimeoutException as error:
            if self._frames.header is None and not self._frames.recv_buffer:
                return None  # a TLS record that was not for us
            self._lost(error)
        except (OSError, websocket.WebSocketException) as error:
            self._lost(error)
        if frame.opcode == websocket.ABNF.OPCODE_CLOSE:
            raise TransportError("the venue closed the connection")
        if frame.opcode in (websocket.ABNF.OPCODE_PING, websocket.ABNF.OPCODE_PONG):
            return None
        return self._joined(frame)

    def _joined(self, frame: websocket.ABNF) -> bytes | None:
        """The message that a frame completes: itself, or the fragments before it and itself."""
        data = frame.data if isinstance(frame.data, bytes) else frame.data.encode()
        if (frame.opcode == websocket.ABNF.OPCODE_CONT) != (self._fragments is not None):
            raise TransportError("connection lost: a fragment where none belongs")
        if self._fragments is None:
            if frame.fin:
                return data
            self._fragments = bytearray()
        self._fragments += data
        if len(self._fragments) > LARGEST:
            raise TransportError(f"connection lost: a message of more than {LARGEST} bytes")
        if not frame.fin:
            return None
        message, self._fragments = bytes(self._fragments), None
        return message

    def _receive(self, size: int) -> bytes:
        if time.monotonic() > self._deadline_s:
            raise websocket.WebSocketTimeoutException("a frame that does not end")
        return bytes(self._websocket._recv(size))  # type: ignore[no-untyped-call]

    def send(self, text: str) -> None:
        """Sends one text message, or raises TransportError."""
        try:
            self._websocket.send(text)
        except (OSError, websocket.WebSocketException) as error:
            self._lost(error)

    def _lost(self, error: Exception) -> NoReturn:
        reason = str(error) or type(error).__name__
        raise TransportError(f"connection lost: {reason}") from None

    def cut(self) -> None:
        """Makes whatever waits on the connection fail at once. From any thread."""
        self._is_cut = True
        if self._socket is not None:
            with contextlib.suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)

    def say_goodbye(self) -> None:
        """Tells the peer that this was on purpose, if it still listens."""
        with contextlib.suppress(OSError, websocket.WebSocketException):
            self._websocket.send_close()

    def close(self) -> None:
        """Closes the socket, which the owning thread alone may do."""
        if self._socket is not None:
            with contextlib.suppress(OSError):
                self._socket.close()


class _Frames(_abnf.frame_buffer):
    """websocket-client's reader of frames, with a limit on what it will wait for."""

    def recv_strict(self, bufsize: int) -> bytes:
        if bufsize > LARGEST:
            raise websocket.WebSocketProtocolException(f"a frame of {bufsize} bytes")
        return super().recv_strict(bufsize)


def _refusal(error: Exception, address: Address) -> CoincallFastError:
    """What a failed upgrade means, told without the request that it answers."""
    if not isinstance(error, websocket.WebSocketBadStatusException):
        return TransportError(f"{address} did not upgrade the connection: {type(error).__name__}")
    code: int | None = None
    reason = f"the upgrade was answered with HTTP {error.status_code}"
    with contextlib.suppress(ValueError, AttributeError, TypeError, KeyError):
        body = json.loads(error.resp_body or b"")
        code, reason = int(body["code"]), f"{reason}: {body['msg']}"
    if error.status_code in (401, 403):
        return AuthError(reason, code)
    return TransportError(f"{address}: {reason}")

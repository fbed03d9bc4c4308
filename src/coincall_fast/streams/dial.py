"""From an address to an upgraded socket, before one deadline.

websocket-client speaks with the proxy and does the upgrade, on a socket of ours: no redirect, no
cookie of another account, nothing from the environment.
"""

import contextlib
import json
import socket
import ssl
from collections.abc import Callable
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

import websocket
from websocket import _handshake, _http

from ..connecting import Patience, connect, secured, wait
from ..errors import AuthError, CoincallFastError, TransportError, UsageError
from ..tls import TlsSocket

__all__ = ["Address", "Proxy", "dial"]

DIAL_S = 5.0  # over names, every address, TCP, TLS and upgrade
MOST_HEAD = 1 << 14  # bytes of an answer to an upgrade


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


class Proxy:
    """An HTTP proxy, which is asked for a tunnel: ``http://user:password@host:port``."""

    def __init__(self, url: str) -> None:
        self.host = ""
        self._user = self._password = ""
        with contextlib.suppress(ValueError):  # told below
            parts = urlsplit(url)
            self.port = parts.port or 80
            self._user = unquote(parts.username or "")
            self._password = unquote(parts.password or "")
            self.host = parts.hostname or "" if parts.scheme == "http" else ""
        if not self.host:
            url = parts = ""  # type: ignore[assignment]  # no error may show the password
            raise UsageError("the address of a proxy begins with http:// and a host")

    def tunnel(self, through: "_Patient", address: Address) -> None:
        """Has a connection to the proxy go on to the address."""
        host = f"[{address.host}]" if ":" in address.host else address.host
        auth = (self._user, self._password)
        try:
            _http._tunnel(through, host, address.port, auth)  # type: ignore[arg-type]
        except websocket.WebSocketException as error:
            raise OSError(f"proxy {self}: {error}") from None

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"

    def __repr__(self) -> str:
        return f"<Proxy {self}>"


def dial(
    address: Address,
    sign: Callable[[str], str],
    *,
    proxy: Proxy | None = None,
    is_cut: Callable[[], bool] = lambda: False,
) -> socket.socket | TlsSocket:
    """A non-blocking socket on which WebSocket frames may go both ways.

    `sign` makes the signed URL of the plain one. It is called last, so that the signature is fresh,
    and its value exists only inside the call that needs it. `is_cut` tells, from any thread, that
    nobody wants the connection any more. Raises AuthError or TransportError.
    """
    if websocket.isEnabledForTrace():
        raise UsageError("websocket.enableTrace prints keys and signatures: turn it off")
    with contextlib.ExitStack() as unless_done:
        patience = Patience(DIAL_S, is_cut)
        opened = _connect(address, proxy, patience, unless_done)
        _upgrade(address, sign, _Patient(opened, patience))
        unless_done.pop_all()
    return opened


def _connect(
    address: Address,
    proxy: Proxy | None,
    patience: Patience,
    unless_done: contextlib.ExitStack,
) -> socket.socket | TlsSocket:
    """A connection to the address, through a proxy where there is one, under TLS where asked."""
    try:
        place = proxy or address
        opened = connect(place.host, place.port, patience)
        unless_done.callback(opened.close)
        if proxy is not None:
            proxy.tunnel(_Patient(opened, patience), address)
        if not address.is_secure:
            return opened
        # Not create_default_context: it writes keys to a file where the environment says so.
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_default_certs()
        return secured(opened, context, address.host, patience)
    except (OSError, UnicodeError) as error:
        raise TransportError(f"cannot connect to {address}: {error}") from None


class _Patient:
    """What websocket-client takes for a blocking socket, with a deadline and an end."""

    def __init__(self, opened: socket.socket | TlsSocket, patience: Patience) -> None:
        self._opened = opened
        self._patience = patience
        self._left = MOST_HEAD

    def recv(self, size: int) -> bytes:
        """It asks for the head byte by byte, so what comes behind stays in the socket."""
        if size > self._left:
            raise websocket.WebSocketProtocolException("an answer that does not end")
        received: bytes = wait(self._opened, self._patience, self._opened.recv, size)
        self._left -= len(received)
        return received

    def send(self, data: bytes) -> int:
        """It asks but once, so this is all or nothing."""
        left = data
        while left:
            left = left[wait(self._opened, self._patience, self._opened.send, left) :]
        return len(data)

    def gettimeout(self) -> float:
        return 0.0  # it is not to wait by itself

    def settimeout(self, seconds: float | None) -> None: ...

    def close(self) -> None: ...


def _upgrade(address: Address, sign: Callable[[str], str], through: _Patient) -> None:
    failure: CoincallFastError | None = None
    _handshake.CookieJar.jar.clear()  # one for the process: another account's cookies
    try:
        upgraded = websocket.WebSocket(enable_multithread=False)
        upgraded.connect(  # type: ignore[no-untyped-call]
            sign(address.url), socket=through, redirect_limit=0, suppress_origin=True
        )
        chosen = {"sec-websocket-extensions", "sec-websocket-protocol"} & {*upgraded.headers}
        if chosen:
            failure = TransportError(f"{address} chose {min(chosen)}, which nobody offered")
    except Exception as error:  # whatever it is, its frames hold the signed URL
        failure = _refusal(error, address)
    if failure is not None:
        raise failure  # out here, so that it drags neither cause nor context along


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

"""The quick way to the venue, for what trades: sockets of our own, kept open and warm.

As `http` it keeps one deadline, verifies certificates, follows no redirect and sends nothing twice.
It knows of no proxy; where there is one, `http` has to do. A venue closes connections that are
idle, and a request that meets the close has an outcome that nobody knows: so before one is used,
its age is looked at and what has come over it.
"""

import contextlib
import http.client
import logging
import os
import ssl
import threading
import time
from collections import deque
from pathlib import Path
from typing import Final

from requests.utils import DEFAULT_CA_BUNDLE_PATH

from ..connecting import Patience, connect, secured
from ..signing import Hidden
from .connection import Connection
from .exchange import AGENT, Place, Timeout, Told, failure_of
from .request import Answer

__all__ = ["Direct"]

log = logging.getLogger("coincall_fast")

POOLED = 16  # connections kept open; more threads than that dial anew
IDLE_S = 10.0  # a connection that nobody has used for longer is closed; some venues do so after 15
WARM_S = 3.0  # one that is to be kept is used after so long; no venue was seen to close it before 5


class Direct:
    """The way to one host. Any thread may use it; in a child process after a fork it begins anew.

    `certificates` is the bundle (a file, a directory, or True for requests' own) that it trusts.
    """

    def __init__(self, place: Place, timeout: Timeout, certificates: str | bool) -> None:
        self.place: Final = place
        self._timeout = timeout
        self._certificates = certificates
        self._context: ssl.SSLContext | None = None
        self._always = (
            f"HTTP/1.1\r\nHost: {place.authority}\r\nUser-Agent: {AGENT}\r\n"
            "Accept: application/json\r\nAccept-Encoding: identity\r\n"
        )
        self._begin()

    def _begin(self) -> None:
        self._process = os.getpid()
        self._idle: deque[Connection] = deque()  # the one that was used last is the last
        self._is_closed = False
        self._wanted = 0  # connections that are to be warm
        self._keeper: threading.Thread | None = None
        self._closing = threading.Event()

    def send(
        self, method: str, target: str, headers: Hidden, body: bytes | None, end_s: float
    ) -> Answer:
        """Sends it once, and waits for the answer until `time.monotonic()` is `end_s`.

        Raises TransportError, whose `is_sent` tells whether any of the request had left.
        """
        if self._process != os.getpid():
            self._orphan()
        connection: Connection | None = None
        try:
            connection = self._taken() or self._dialled(end_s)
            answer = connection.exchange(method, self._bytes(method, target, headers, body), end_s)
        except BaseException as error:
            is_sent = connection is not None and connection.is_sent
            name = f"{self.place.name} {method} {target.partition('?')[0]}"
            failure = failure_of(error, name, is_sent)
        else:
            self._put_back(connection)
            return answer
        if connection is not None:
            connection.close()
        raise failure

    def _bytes(self, method: str, target: str, headers: Hidden, body: bytes | None) -> bytes:
        """The request as it is sent. Nothing in it can have a line break: paths and queries are
        quoted, and keys are printable."""
        lines = "".join([f"{name}: {text}\r\n" for name, text in headers.items()])
        length = "" if body is None else f"Content-Length: {len(body)}\r\n"
        head = f"{method} {self.place.prefix}{target} {self._always}{lines}{length}\r\n"
        return head.encode("ascii") + (body or b"")

    # ---------------------------------------------------------------- connections

    def _taken(self) -> Connection | None:
        """The one that was used last of those that are good, if there is one."""
        while True:
            try:
                connection = self._idle.pop()
            except IndexError:
                return None
            if connection.is_fresh(time.monotonic()):
                return connection
            connection.close()

    def _put_back(self, connection: Connection) -> None:
        if connection.is_kept and not self._is_closed and len(self._idle) < POOLED:
            self._idle.append(connection)
        else:
            connection.close()

    # ---------------------------------------------------------------- kept warm

    def warm(self, count: int, target: str, end_s: float) -> None:
        """Dials until so many connections are idle, each of which has had an answer to a GET of
        this, and keeps as many so until `close`, from a thread of its own.

        Raises TransportError where one does not come about.
        """
        if self._process != os.getpid():
            self._orphan()
        self._wanted = min(count, POOLED)
        failure: BaseException | None = None
        try:
            self._refresh(target, end_s)
        except Exception as error:
            failure = failure_of(error, f"{self.place.name} GET {target}", is_sent=False)
        if self._keeper is None and not self._is_closed:
            self._keeper = threading.Thread(
                target=self._keep, args=(target,), name="coincall-fast warm", daemon=True
            )
            self._keeper.start()
        if failure is not None:
            raise failure

    def _keep(self, target: str) -> None:
        while not self._closing.wait(WARM_S / 2):
            try:
                self._refresh(target, time.monotonic() + self._timeout.total_s)
            except Exception as error:  # the next order dials by itself, or says why it cannot
                log.debug("a connection was not kept warm: %s", type(error).__name__)

    def _refresh(self, target: str, end_s: float) -> None:
        """Uses what has been idle for some time, the oldest first, and dials what is missing."""
        while self._idle and time.monotonic() - self._idle[0].since_s > WARM_S:
            try:
                connection = self._idle.popleft()
            except IndexError:  # taken meanwhile
                break
            if len(self._idle) < self._wanted and connection.is_fresh(time.monotonic()):
                with contextlib.suppress(OSError, http.client.HTTPException, Told):
                    self._use(connection, target, end_s)
            else:
                connection.close()
        while len(self._idle) < self._wanted and not self._is_closed:
            if not self._use(self._dialled(end_s), target, end_s):
                break  # a venue that closes each after one answer cannot be had warm

    def _use(self, connection: Connection, target: str, end_s: float) -> bool:
        """One GET. Whether it can be used again."""
        try:
            connection.exchange("GET", self._bytes("GET", target, Hidden(), None), end_s)
        except BaseException:
            connection.close()
            raise
        self._put_back(connection)
        return connection.is_kept

    # ---------------------------------------------------------------- dialling

    def _dialled(self, end_s: float) -> Connection:
        place, timeout = self.place, self._timeout
        patience = Patience(min(timeout.connect_s, end_s - time.monotonic()))
        try:
            opened = connect(place.host, place.port, patience)
            try:
                if not place.is_secure:
                    return Connection(opened, timeout.read_s, IDLE_S)
                secure = secured(opened, self._trusting(), place.host, patience)
            except BaseException:
                opened.close()
                raise
        except TimeoutError:
            raise Told("connecting took too long") from None
        except UnicodeError:
            raise Told("its name is not known") from None
        return Connection(secure, timeout.read_s, IDLE_S)

    def _trusting(self) -> ssl.SSLContext:
        """Made when it is first wanted: that takes as long as a hundred orders do."""
        if self._context is None:
            bundle = self._certificates
            path = DEFAULT_CA_BUNDLE_PATH if bundle is True else str(bundle)
            # Not create_default_context: it writes keys to a file where the environment says so.
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.minimum_version = ssl.TLSVersion.TLSv1_2
            context.set_alpn_protocols(["http/1.1"])
            context.load_verify_locations(**{"capath" if Path(path).is_dir() else "cafile": path})
            self._context = context
        return self._context

    def _orphan(self) -> None:
        """In a child after a fork: the connections are its parent's."""
        for connection in self._idle:
            connection.close()  # the child's copy
        self._begin()

    def close(self) -> None:
        """Closes the connections that are not in use; the others as soon as they are not."""
        self._is_closed = True
        self._closing.set()
        if self._keeper is not None:
            self._keeper.join(self._timeout.connect_s)
        while self._idle:
            with contextlib.suppress(IndexError):
                self._idle.pop().close()

"""A TCP proxy on loopback that goes wrong on order, at a byte of what the server sends.

It knows nothing of what passes through it. Bytes from the client pass unharmed, unless the line is
dead.
"""

import contextlib
import socket
import ssl
import struct
import threading
from collections import deque
from typing import NamedTuple, Self

KINDS = ("cut", "close", "half_close", "stall", "delay", "duplicate", "truncate", "corrupt")

BUFFER = 1 << 16  # bytes of the kernel's each way, so that who does not read is soon noticed


class Fault(NamedTuple):
    """What goes wrong, after so many bytes more.

    cut          a reset to both sides
    close        an orderly end to both sides
    half_close   the client reads an end; what it writes is still taken
    stall        nothing passes any more, either way, and nobody is told; until `Proxy.resume`
    delay        nothing passes for `amount` seconds
    duplicate    `amount` bytes come twice
    truncate     `amount` bytes are left out
    corrupt      the highest bit of one byte is turned
    """

    kind: str
    skip: int = 0
    amount: float = 1


class Proxy:
    """Listens on a free port for as long as it is entered; every line has two threads."""

    def __init__(self, address: tuple[str, int], tls: ssl.SSLContext | None = None) -> None:
        self.address = address
        self.dialled = 0
        self.struck = 0  # faults that have happened
        self.is_down = False
        self._tls = tls
        self._next: deque[Fault] = deque()
        self._lines: list[_Line] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._accepting = threading.Thread(target=self._accept, name="proxy", daemon=True)

    @property
    def ws_url(self) -> str:
        return f"{'wss' if self._tls else 'ws'}://127.0.0.1:{self.port}"

    @property
    def lines(self) -> list["_Line"]:
        """Those through which something passes, the oldest first."""
        return [line for line in tuple(self._lines) if line.passes]

    def order(self, fault: Fault) -> None:
        """Strikes every line that is not dead; its bytes are counted from now on."""
        for line in self.lines:
            line.order(fault)

    def order_next(self, *faults: Fault) -> None:
        """Strikes the lines that will be dialled next, one each, counted from their beginning."""
        self._next.extend(faults)

    def resume(self) -> None:
        """Ends every stall."""
        for line in self._lines:
            line.flows.set()

    def down(self) -> None:
        """The network is gone: every line ends, and nothing that is dialled comes through."""
        self.is_down = True
        for line in self._lines:
            line.end()

    def up(self) -> None:
        """... and is back."""
        self.is_down = False

    def __enter__(self) -> Self:
        self._accepting.start()
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # wakes the accept
        self._listener.close()
        self._accepting.join()
        for line in self._lines:
            line.end()
            line.join()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self.dialled += 1
            fault = self._next.popleft() if self._next else None
            line = _Line(self, client, self._tls, fault)
            self._lines.append(line)
            line.start()


class _Line:
    """One connection of a client to the server."""

    def __init__(
        self, proxy: Proxy, client: socket.socket, tls: ssl.SSLContext | None, fault: Fault | None
    ) -> None:
        self.flows = threading.Event()
        self.flows.set()
        self._proxy = proxy
        self._client = client
        self._server: socket.socket | None = None
        self._tls = tls
        self._fault = fault
        self._passed = 0
        self._is_mute = False  # the client has been told that nothing more comes
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="proxy down", daemon=True)

    @property
    def passes(self) -> bool:
        return self.flows.is_set() and not self._over.is_set()

    def start(self) -> None:
        self._thread.start()

    def join(self) -> None:
        self._thread.join()

    def order(self, fault: Fault) -> None:
        self._fault = fault._replace(skip=self._passed + fault.skip)

    def end(self, how: int = socket.SHUT_RDWR) -> None:
        """Wakes both threads, which end; SHUT_RD tells the peers nothing yet."""
        self._over.set()
        self.flows.set()
        for end in (self._client, self._server):
            if end is not None:
                with contextlib.suppress(OSError):
                    socket.socket.shutdown(end, how)  # of TCP, whatever TLS wants

    def _run(self) -> None:
        threads = []
        try:
            if self._tls is not None:
                self._client = self._tls.wrap_socket(self._client, server_side=True)
            self._client.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER)
            if self._proxy.is_down:
                return
            self._server = socket.create_connection(self._proxy.address)
            self._server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)
            threads = [threading.Thread(target=self._pass_up, name="proxy up", daemon=True)]
            threads[0].start()
            self._pass_down(self._server)
        except OSError:
            pass  # either side has gone
        finally:
            if not self._over.is_set():
                self.end()
            for thread in threads:
                thread.join()
            for end in (self._client, self._server):
                if end is not None:
                    end.close()

    def _pass_up(self) -> None:
        assert self._server is not None
        with contextlib.suppress(OSError):
            while data := self._client.recv(65536):
                self.flows.wait()
                self._server.sendall(data)
        if not self._over.is_set():
            self.end()

    def _pass_down(self, server: socket.socket) -> None:
        while not self._over.is_set() and (data := server.recv(65536)):
            while (fault := self._fault) and self._passed + len(data) > fault.skip:
                before = max(0, fault.skip - self._passed)
                self._send(data[:before])
                self._fault = None
                self._proxy.struck += 1
                data = self._strike(fault, data[before:])
            self._send(data)

    def _send(self, data: bytes) -> None:
        self.flows.wait()
        if data and not self._is_mute and not self._over.is_set():
            self._client.sendall(data)
            self._passed += len(data)

    def _strike(self, fault: Fault, data: bytes) -> bytes:
        """What is left to be sent of the data."""
        amount = int(fault.amount)
        match fault.kind:
            case "cut":
                linger = struct.pack("ii", 1, 0)  # a close is a reset then
                for end in (self._client, self._server):
                    if end is not None:
                        end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                self.end(socket.SHUT_RD)
            case "close":
                self.end()
            case "half_close":
                self._client.shutdown(socket.SHUT_WR)
                self._is_mute = True
            case "stall":
                self.flows.clear()
            case "delay":
                self._over.wait(fault.amount)
            case "duplicate":
                return data[:amount] + data
            case "truncate":
                return data[amount:]
            case "corrupt":
                return bytes([data[0] ^ 0x80]) + data[1:]
        return data

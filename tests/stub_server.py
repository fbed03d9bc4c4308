"""A REST venue of a few lines: checks every signature by itself, answers what a test tells it.

Written from the protocol page, section 1.1. It shares nothing with the simulated exchange, nor with
the client.
"""

import contextlib
import hashlib
import hmac
import json
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import MappingProxyType
from typing import Any, NamedTuple
from urllib.parse import unquote

import trustme

KEY = "stubK+y/With=Signs0123456789abcdefghijklmnop="
SECRET = "5ub5ecre7" * 7
AUTHORITY = trustme.CA()


class Asked(NamedTuple):
    """One request as it came."""

    method: str
    path: str
    query: str
    body: bytes
    headers: dict[str, str]  # names in lower case

    @property
    def is_signed(self) -> bool:
        return "sign" in self.headers


class Raw(NamedTuple):
    """An answer as bytes: status, headers, body; `close` cuts the connection behind it."""

    body: bytes
    status: int = 200
    headers: Mapping[str, str] = MappingProxyType({})
    close: bool = False
    length: int | None = None  # that is promised, where it is not that of the body
    pause_s: float = 0.0  # between two bytes of it


class Token(str):
    """A number of a JSON body, as it stood there."""


def envelope(data: Any = None, code: Any = 0, msg: Any = "Success") -> Raw:
    body = {"code": code, "msg": msg, "i18nArgs": None, "data": data}
    return Raw(json.dumps(body).encode())


def compact(value: Any) -> str:
    if isinstance(value, Token):
        return str(value)
    if isinstance(value, dict):
        return (
            "{" + ",".join(f'"{k}":{compact(v)}' for k, v in value.items() if v is not None) + "}"
        )
    if isinstance(value, list):
        return "[" + ",".join(compact(v) for v in value if v is not None) + "]"
    return json.dumps(value, ensure_ascii=False)


def params(asked: Asked) -> dict[str, Any]:
    """The fields of a request; a query's and a form's are texts."""
    if asked.headers.get("content-type") == "application/json":
        found: dict[str, Any] = json.loads(asked.body, parse_int=Token, parse_float=Token)
        return found
    text = asked.body.decode() if asked.method == "POST" else asked.query
    pairs = (part.partition("=") for part in text.split("&") if part)
    return {name: unquote(value) for name, _, value in pairs}


def right_signature(asked: Asked, key: str = KEY, secret: str = SECRET) -> str:
    shown = {
        name: value if isinstance(value, str) else compact(value)
        for name, value in params(asked).items()
        if value is not None
    }
    text = "&".join(f"{name}={shown[name]}" for name in sorted(shown)) + ("&" if shown else "")
    ts, diff = asked.headers["ts"], asked.headers["x-req-ts-diff"]
    prehash = f"{asked.method}{asked.path}?{text}uuid={key}&ts={ts}&x-req-ts-diff={diff}"
    return hmac.new(secret.encode(), prehash.encode(), hashlib.sha256).hexdigest().upper()


class Stub:
    """What runs: `answer` maps a request to what it gets, `asked` has all requests but /time."""

    def __init__(self, answer: Callable[[Asked], Raw]) -> None:
        self.answer = answer
        self.ahead_ms = 0  # of this machine's clock
        self.keeps_time = True  # whether it refuses what is too old, or too far ahead
        self.asked: list[Asked] = []
        self.times_asked = 0
        self.wrong: list[str] = []
        self.latest_ms: list[int] = []  # how far each timestamp was ahead of this venue's clock
        self.url = ""

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000 + self.ahead_ms

    def handle(self, asked: Asked) -> Raw:
        if asked.path == "/time":
            self.times_asked += 1
            return envelope({"serverTime": self.now_ms()}, msg=None)
        self.asked.append(asked)
        if asked.is_signed:
            if asked.headers["x-cc-apikey"] != KEY:
                self.wrong.append(f"the key of {asked.path}")
            if not hmac.compare_digest(asked.headers["sign"], right_signature(asked)):
                self.wrong.append(f"the signature of {asked.method} {asked.path}")
                return envelope(None, 10562, "Invalid signature.")
            ahead_ms = int(asked.headers["ts"]) - self.now_ms()
            self.latest_ms.append(ahead_ms)
            timely = ahead_ms < 1000 and -ahead_ms <= int(asked.headers["x-req-ts-diff"])
            if self.keeps_time and not timely:
                return envelope(None, 10557, "Timestamp request expired.")
        return self.answer(asked)


def _handler(stub: Stub) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1  # head and body leave together: else the client waits for a delayed ACK

        def serve(self) -> None:
            path, _, query = self.path.partition("?")
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            headers = {name.lower(): value for name, value in self.headers.items()}
            answer = stub.handle(Asked(self.command, path, query, body, headers))
            self.send_response(answer.status)
            length = len(answer.body) if answer.length is None else answer.length
            if "Transfer-Encoding" not in answer.headers:
                self.send_header("Content-Length", str(length))
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.end_headers()
            for i in range(len(answer.body) if answer.pause_s else 0):
                self.wfile.write(answer.body[i : i + 1])
                self.wfile.flush()
                time.sleep(answer.pause_s)
            if not answer.pause_s:
                self.wfile.write(answer.body)
            self.wfile.flush()
            if answer.close:
                self.close_connection = True

        do_GET = do_POST = serve

        def log_message(self, *_: Any) -> None:
            pass

    return Handler


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: Any) -> None:
        """A client that went away is no news."""


@contextmanager
def serving(
    answer: Callable[[Asked], Raw], *, tls: trustme.LeafCert | None = None
) -> Iterator[Stub]:
    """A stub on loopback. At the end, no signature may have been wrong."""
    stub = Stub(answer)
    server = _Server(("127.0.0.1", 0), _handler(stub))
    if tls is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.configure_cert(context)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    stub.url = f"{'https' if tls else 'http'}://127.0.0.1:{server.server_address[1]}"
    try:
        yield stub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
    assert stub.wrong == []


@contextmanager
def bytes_server(serve: Callable[[socket.socket], None]) -> Iterator[str]:
    """What no HTTP server would do: `serve` gets each connection; gives the address."""
    listening = socket.create_server(("127.0.0.1", 0))
    stopping = threading.Event()

    def accept() -> None:
        while not stopping.is_set():
            try:
                opened, _ = listening.accept()
            except OSError:
                return
            threading.Thread(target=one, args=(opened,), daemon=True).start()

    def one(opened: socket.socket) -> None:
        with opened, contextlib.suppress(OSError):  # the client went away
            serve(opened)

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        stopping.set()
        socket.create_connection(listening.getsockname()).close()
        listening.close()
        thread.join()

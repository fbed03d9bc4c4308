"""What the tests of streams have in common: patience, ears, and a venue typed by hand."""

import base64
import contextlib
import hashlib
import socket
import time

from coincall_fast import Stream
from model_book import Model

PATIENCE_S = 40.0
SECRET = "the-very-secret"  # a global, so that no frame of a test has it among its locals


def until(condition, what="it"):
    """Waits until a condition holds, and returns what made it true."""
    end_s = time.monotonic() + PATIENCE_S
    while not (value := condition()):
        assert time.monotonic() < end_s, f"{what} did not come about"
        time.sleep(0.005)
    return value


def stream_to(exchange, *products, **options):
    keys = {"api_key": exchange.api_key, "api_secret": exchange.api_secret}
    return Stream(*products, **{**keys, "ws_url": exchange.ws_url, **options})


def listen(stream, *names):
    """What happens on a stream from now on, as (name, arguments)."""
    heard = []
    for name in names:
        stream.on(name, lambda *arguments, name=name: heard.append((name, *arguments)))
    return heard


def valid(stream, symbols):
    return all((book := stream.store.get(symbol)) and book.is_valid for symbol in symbols)


def assert_equal_to_the_exchange(stream, exchange, symbols):
    """Every book is, level by level, what the exchange sent last, read by json and Decimal."""
    exchange.stall(True)
    for symbol in symbols:
        frame = exchange.book_frame(symbol)
        model = Model()
        model.apply(frame)
        book = stream.store[symbol]
        until(lambda book=book, model=model: book.ts_ms == model.ts_ms, f"the last {symbol}")
        kept = book.snapshot()
        assert list(zip(*kept[0:2, : book.bid_count].tolist(), strict=True)) == model.bids
        assert list(zip(*kept[2:4, : book.ask_count].tolist(), strict=True)) == model.asks
    exchange.stall(False)


@contextlib.contextmanager
def listening(**options):
    """A server typed by hand, a stream that will dial it, and the errors that it tells."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(PATIENCE_S)
        host, port = server.getsockname()
        usual = {"ws_url": f"ws://{host}:{port}", "api_key": "a+b/c=", "api_secret": SECRET}
        stream = Stream("futures", **{**usual, **options})
        yield server, stream, listen(stream, "error", "gap")


def upgrade(peer):
    """The server's side of an upgrade, by hand."""
    request = b""
    while b"\r\n\r\n" not in request:
        request += peer.recv(4096)
    key = next(
        line.partition(b":")[2].strip()
        for line in request.split(b"\r\n")
        if line.lower().startswith(b"sec-websocket-key")
    )
    guid = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
    accept = base64.b64encode(hashlib.sha1(key + guid, usedforsecurity=False).digest())
    peer.sendall(
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n"
    )
    return request.split(b"\r\n", 1)[0].decode()


def text_frame(text):
    body = text.encode()
    head = bytes([0x81, len(body)]) if len(body) < 126 else b"\x81\x7e" + len(body).to_bytes(2)
    return head + body

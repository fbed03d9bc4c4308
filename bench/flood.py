"""A server on loopback that sends order books as fast as they are taken; a process of its own.

    python bench/flood.py [CERTIFICATE.pem]

Prints its port. Whoever connects to ``/N/...`` and says something gets N frames of text, to
``/N@RATE/...`` so many of them a second.
"""

import base64
import hashlib
import os
import re
import socket
import ssl
import sys
import time

from frames import frames

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


def floods(count):
    """So many frames, some at a time, each in a WebSocket frame, and each later than the last."""
    bodies = frames("successive", 100)
    flood = bytearray().join(b"\x81\x7e" + len(body).to_bytes(2) + body for body in bodies)
    places = [stamp.span(1) for stamp in re.finditer(rb'"ts":(\d+)', flood)]
    first = int(flood[slice(*places[0])])
    begins = [found.start() for found in re.finditer(rb"\x81\x7e", flood)]
    ends = [*begins[1:], len(flood)]
    assert len(places) == len(ends) == len(bodies)
    for done in range(0, count, len(bodies)):
        for i, (start, end) in enumerate(places):
            flood[start:end] = b"%d" % (first + done + i)
        yield flood[: ends[min(count - done, len(bodies)) - 1]]


def serve(peer):
    request = b""
    while b"\r\n\r\n" not in request:
        request += peer.recv(4096)
    head, *lines = request.split(b"\r\n")
    (key,) = (line.split()[1] for line in lines if line.lower().startswith(b"sec-websocket-key"))
    accept = base64.b64encode(hashlib.sha1(key + GUID, usedforsecurity=False).digest())
    peer.sendall(
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n"
    )
    peer.recv(4096)  # a message of any kind: it is ready
    count, _, rate = head.split(b"/")[1].split()[0].partition(b"@")
    begin_s, sent = time.monotonic(), 0
    for flood in floods(int(count)):
        peer.sendall(flood)
        sent += flood.count(b"\x81\x7e")
        if rate:
            time.sleep(max(0.0, begin_s + sent / int(rate) - time.monotonic()))
    while peer.recv(1 << 16):
        pass


def main():
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    context = None
    if len(sys.argv) > 1:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(sys.argv[1])
    with socket.create_server(("127.0.0.1", 0)) as server:
        print(server.getsockname()[1], flush=True)
        while True:
            peer, _ = server.accept()
            try:
                with context.wrap_socket(peer, server_side=True) if context else peer as talking:
                    serve(talking)
            except OSError:
                pass


if __name__ == "__main__":
    main()

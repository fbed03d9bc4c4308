"""A client that sends back what it gets, of all that is below `Stream`, and servers for it."""

import contextlib
import selectors
import socket
from concurrent.futures import ThreadPoolExecutor

from coincall_fast._wire import Opcode
from coincall_fast.errors import TransportError
from coincall_fast.streams.connection import Address, Connection
from streams import PATIENCE_S, upgrade
from wire_frames import CLOSE, client_frames


def dialled(url, **options):
    """A connection that needs no signature."""
    connection = Connection(Address.parse(url), **options)
    connection.dial(lambda plain: plain)
    return connection


def messages_until_lost(connection):
    """What comes, until the connection is lost; then the TransportError, as the last item."""
    try:
        with selectors.DefaultSelector() as selector:
            selector.register(connection.socket, selectors.EVENT_READ)
            while True:
                if not connection.has_more:
                    selector.select(0.05)
                connection.flush()
                connection.tick()
                for message in connection.read():
                    if message is not None:
                        yield message
    except TransportError as error:
        yield error
    finally:
        connection.close()


def converse(url, echo=True):
    """One connection, to its end; gives what was received."""
    received = []
    connection = dialled(url)
    for message in messages_until_lost(connection):
        if isinstance(message, TransportError):
            break
        received.append(bytes(message))
        if echo:
            is_text = connection._reader.opcode == Opcode.TEXT
            connection.send(str(message, "utf-8") if is_text else bytes(message))
    return received


@contextlib.contextmanager
def serving(act):
    """The address of a server, and the future of what `act(peer)` gives for its one connection."""
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        ThreadPoolExecutor(1) as pool,
    ):
        server.settimeout(PATIENCE_S)

        def serve():
            peer, _ = server.accept()
            with peer:
                peer.settimeout(PATIENCE_S)
                peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                return act(peer)

        host, port = server.getsockname()
        yield f"ws://{host}:{port}/", pool.submit(serve)


def frames_until_close(peer):
    """What a client sends, until it has sent a Close or hung up."""
    data = b""
    while more := peer.recv(1 << 16):
        data += more
        with contextlib.suppress(AssertionError, ValueError):  # half a frame
            if (frames := client_frames(data))[-1][0] == CLOSE:
                return frames
    return client_frames(data)


def upgraded(act):
    """`act` behind an upgrade."""

    def upgrade_and_act(peer):
        upgrade(peer)
        return act(peer)

    return upgrade_and_act

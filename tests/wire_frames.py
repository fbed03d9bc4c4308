"""Frames of a server, byte by byte, right or wrong; and those of a client, taken apart."""

from coincall_fast import ProtocolError
from coincall_fast._wire import Reader

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10


def frame(opcode, payload=b"", *, fin=True, rsv=0, mask=b"", spelling=None):
    """`spelling` is how many bytes more the length takes: 0, 2 or 8; else the least."""
    n = len(payload)
    if spelling is None:
        spelling = 0 if n < 126 else 2 if n < 65536 else 8
    second = {0: n, 2: 126, 8: 127}[spelling] | (0x80 if mask else 0)
    head = bytes([fin << 7 | rsv << 4 | opcode, second])
    return head + (n.to_bytes(spelling) if spelling else b"") + mask + payload


def close(code, reason=b""):
    return frame(CLOSE, code.to_bytes(2) + reason)


def client_frames(stream):
    """[(opcode, payload)] of what a client sent; it must have masked everything."""
    frames = []
    while stream:
        first, second = stream[:2]
        assert first & 0xF0 == 0x80, "a fragment, or a reserved bit"
        assert second & 0x80, "not masked"
        more = {126: 2, 127: 8}.get(second & 0x7F, 0)
        length = int.from_bytes(stream[2 : 2 + more]) if more else second & 0x7F
        mask, payload = stream[2 + more : 6 + more], stream[6 + more : 6 + more + length]
        assert len(payload) == length, "half a frame"
        frames.append((first & 0x0F, bytes(b ^ mask[i % 4] for i, b in enumerate(payload))))
        stream = stream[6 + more + length :]
    return frames


def receive(reader, data):
    """Has a reader receive bytes, as from a socket that has them all."""
    while data:
        rest: list[bytes] = []

        def recv_into(room, data=data, rest=rest):
            count = min(len(room), len(data))
            room[:count] = data[:count]
            rest.append(data[count:])
            return count

        reader.receive(recv_into)
        (data,) = rest


def taken(reader):
    """The next message, which must be there."""
    message = reader.take()
    assert message is not None
    return message


def messages_of(reader):
    """All whole messages, as (opcode, payload)."""
    found = []
    while (message := reader.take()) is not None:
        found.append((reader.opcode, bytes(message)))
    return found


def refusal(data, largest=1 << 20):
    """The ProtocolError that some bytes are; None if they are none."""
    reader = Reader(largest)
    receive(reader, data)
    try:
        messages_of(reader)
    except ProtocolError as error:
        return error
    return None

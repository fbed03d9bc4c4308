"""A reader of a server's frames as RFC 6455 writes it down, slow and plain: the measure of ours.

It takes all that has come so far at once and says what a client must have made of it by then.
"""

from dataclasses import dataclass, field

# Ends that could make text of a beginning: a character that has begun wants one of these.
ENDS = [b"", b"\x80", b"\x80\x80", b"\x80\x80\x80", b"\xa0\x80", b"\x90\x80\x80"]


@dataclass
class Reading:
    """What came of some bytes. `wrong` is the code that the server is to be told, if any."""

    messages: list[tuple[int, bytes]] = field(default_factory=list)
    pings: list[bytes] = field(default_factory=list)
    frames: int = 0
    close: tuple[int, str] | None = None
    wrong: int | None = None
    is_amid_frame: bool = False
    is_amid_message: bool = False


class Wrong(Exception):
    """A rule is broken; the close code."""


def is_text(text: bytes) -> bool:
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True


def may_become_text(text: bytes) -> bool:
    return any(is_text(text + end) for end in ENDS)


def read(stream: bytes, largest: int) -> Reading:
    found = Reading()
    try:
        _read(stream, largest, found)
    except Wrong as wrong:
        (found.wrong,) = wrong.args
    return found


def _read(stream: bytes, largest: int, found: Reading) -> None:
    opcode, parts = 0, list[bytes]()
    while stream and found.close is None:
        found.is_amid_frame = True
        fin, rsv, kind = stream[0] & 0x80, stream[0] & 0x70, stream[0] & 0x0F
        # 5.2, 5.4, 5.5: what the first byte may say
        if rsv or kind not in (0, 1, 2, 8, 9, 10):
            raise Wrong(1002)
        if kind >= 8 and not fin:
            raise Wrong(1002)
        if (kind == 0 and not parts) or (kind in (1, 2) and parts):
            raise Wrong(1002)
        if len(stream) < 2:
            return
        # 5.1: a server masks nothing; 5.5: a control frame has at most 125 bytes
        if stream[1] >= 128 or (kind >= 8 and stream[1] > 125):
            raise Wrong(1002)
        # 5.2: "the minimal number of bytes MUST be used to encode the length"
        more = {126: 2, 127: 8}.get(stream[1], 0)
        if len(stream) < 2 + more:
            return
        length = int.from_bytes(stream[2 : 2 + more]) if more else stream[1]
        if length < {0: 0, 2: 126, 8: 65536}[more] or length >= 1 << 63:
            raise Wrong(1002)
        if length > largest or (kind < 8 and length + sum(map(len, parts)) > largest):
            raise Wrong(1009)
        payload, rest = stream[2 + more :][:length], stream[2 + more + length :]
        is_whole = len(payload) == length
        # 8.1: a text that is no UTF-8 fails the connection, as soon as that is certain
        if (opcode if kind == 0 else kind) == 1:
            text = b"".join(parts) + payload
            if not (is_text if fin and is_whole else may_become_text)(text):
                raise Wrong(1007)
        if not is_whole:
            return
        stream = rest
        found.frames += 1
        found.is_amid_frame = False
        if kind == 8:
            found.close = _close(payload)
        elif kind == 9:
            found.pings.append(payload)
            if len(found.pings) > 100:
                raise Wrong(1008)
        elif kind != 10:
            opcode = kind or opcode
            parts.append(payload)
            if len(parts) > 1024:
                raise Wrong(1009)
            if fin:
                found.messages.append((opcode, b"".join(parts)))
                parts.clear()
            found.is_amid_message = not fin


def _close(payload: bytes) -> tuple[int, str]:
    if not payload:
        return 1005, ""
    code = int.from_bytes(payload[:2]) if len(payload) > 1 else 0
    # 7.4: those that are defined and may be sent (1012 to 1014 by IANA), and those for others' use
    if not (code in (1000, 1001, 1002, 1003, *range(1007, 1015)) or 3000 <= code <= 4999):
        raise Wrong(1002)
    if not is_text(payload[2:]):
        raise Wrong(1007)
    return code, payload[2:].decode()

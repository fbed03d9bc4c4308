"""Cases of Autobahn's fuzzing server, against the whole stack below `Stream`, on loopback.

The numbers are Autobahn's; the bytes are written from what its reports say of each case. Its own
server is run by tests/autobahn/run. A server that sends a case ends it with a Close of its own,
where the client has not ended it before.
"""

import pytest

from wire_echo import converse, frames_until_close, serving, upgraded
from wire_frames import BINARY, CLOSE, PING, PONG, TEXT, close, frame

BYE = close(1000)
ANSWER = (CLOSE, b"\x03\xe8")
KOSME = "κόσμε".encode()

# number: what the server sends, a piece at a time, and what the client must answer
CASES: dict[str, tuple[list[bytes], list[tuple[int, bytes]]]] = {}


def ends(number, *pieces, answers=()):
    """A case that breaks no rule."""
    CASES[number] = [*pieces, BYE], [*answers, ANSWER]


def fails(number, code, *pieces, answers=()):
    """A case whose last piece must make the client fail the connection, and at once."""
    CASES[number] = [*pieces], [*answers, (CLOSE, code.to_bytes(2))]


def byte_by_byte(data):
    return [data[i : i + 1] for i in range(len(data))]


# 1: frames of every length, whole and in pieces
for opcode, section in ((TEXT, "1.1"), (BINARY, "1.2")):
    for i, length in enumerate([0, 125, 126, 127, 128, 65535, 65536], 1):
        body = b"*" * length
        ends(f"{section}.{i}", frame(opcode, body), answers=[(opcode, body)])
    body = b"*" * 65536
    whole = frame(opcode, body)
    pieces = [whole[i : i + 997] for i in range(0, len(whole), 997)]
    ends(f"{section}.8", *pieces, answers=[(opcode, body)])

# 2: pings and pongs
for i, body in enumerate([b"", b"Hello, world!", bytes([0, 255, 254, 253, 0]), b"\xfe" * 125], 1):
    ends(f"2.{i}", frame(PING, body), answers=[(PONG, body)])
fails("2.5", 1002, frame(PING, b"\xfe" * 126))
ends("2.6", *byte_by_byte(frame(PING, b"\xfe" * 125)), answers=[(PONG, b"\xfe" * 125)])
ends("2.7", frame(PONG))
ends("2.8", frame(PONG, b"unsolicited pong payload"))
ends("2.9", frame(PONG, b"unsolicited"), frame(PING, b"ping"), answers=[(PONG, b"ping")])
TEN = [b"payload-%d" % i for i in range(10)]
ends("2.10", b"".join(frame(PING, body) for body in TEN), answers=[(PONG, body) for body in TEN])
ends(
    "2.11",
    *byte_by_byte(b"".join(frame(PING, body) for body in TEN)),
    answers=[(PONG, body) for body in TEN],
)

# 3: reserved bits
HELLO = (TEXT, b"Hello, world!")
for i, (rsv, opcode) in enumerate(
    [(1, TEXT), (2, TEXT), (3, TEXT), (4, TEXT), (5, BINARY), (6, PING), (7, CLOSE)], 1
):
    before = [frame(*HELLO)] if i in (2, 3, 4) else []
    bad = frame(opcode, b"Hello, world!", rsv=rsv)
    after = byte_by_byte(bad)[:1] if i == 4 else [bad + frame(PING)]
    fails(f"3.{i}", 1002, *before, *after, answers=[HELLO] if before else [])

# 4: opcodes that mean nothing
for section, opcodes in (("4.1", range(3, 8)), ("4.2", range(11, 16))):
    for i, opcode in enumerate(opcodes, 1):
        before = [frame(*HELLO)] if i > 2 else []
        bad = frame(opcode, b"x" if i % 2 == 0 else b"") + frame(PING)
        fails(f"{section}.{i}", 1002, *before, bad, answers=[HELLO] if before else [])

# 5: fragments
one, two = frame(TEXT, b"fragment1", fin=False), frame(0, b"fragment2")
BOTH = (TEXT, b"fragment1fragment2")
ping = frame(PING, b"ping payload")
pong = (PONG, b"ping payload")
fails("5.1", 1002, frame(PING, b"fragment1", fin=False) + two)
fails("5.2", 1002, frame(PONG, b"fragment1", fin=False) + two)
ends("5.3", one, two, answers=[BOTH])
ends("5.4", one + two, answers=[BOTH])
ends("5.5", *byte_by_byte(one + two), answers=[BOTH])
ends("5.6", one, ping, two, answers=[pong, BOTH])
ends("5.7", one + ping + two, answers=[pong, BOTH])
ends("5.8", *byte_by_byte(one + ping + two), answers=[pong, BOTH])
for i, last in enumerate([True, True, True, False, False, False]):
    bad = frame(0, b"non-continuation payload", fin=last)
    fails(f"5.{9 + i}", 1002, *(byte_by_byte(bad)[:1] if i % 3 == 2 else [bad + frame(*HELLO)]))
fails("5.15", 1002, one + two + frame(0, b"fragment3", fin=False), answers=[BOTH])
for i, opcode in ((16, 0), (17, 0)):
    bad = frame(opcode, b"fragment1", fin=i == 17)
    fails(f"5.{i}", 1002, bad + frame(TEXT, b"fragment2", fin=False) + frame(0, b"fragment3"))
fails("5.18", 1002, one + frame(TEXT, b"fragment2"))
for number, joined in (("5.19", False), ("5.20", True)):
    parts = [frame(TEXT if i == 1 else 0, b"fragment%d" % i, fin=i == 5) for i in range(1, 6)]
    sent = [parts[0], parts[1], ping, parts[2], parts[3], ping, parts[4]]
    whole = (TEXT, b"fragment1fragment2fragment3fragment4fragment5")
    ends(number, *([b"".join(sent)] if joined else sent), answers=[pong, pong, whole])

# 6: text
ends("6.1.1", frame(TEXT), answers=[(TEXT, b"")])
ends("6.1.2", frame(TEXT, fin=False), frame(0, fin=False), frame(0), answers=[(TEXT, b"")])
ends(
    "6.1.3",
    frame(TEXT, fin=False) + frame(0, b"middle frame payload", fin=False) + frame(0),
    answers=[(TEXT, b"middle frame payload")],
)
GREETING = "Hello-µ@ßöäüàá-UTF-8!!".encode()
ends("6.2.1", frame(TEXT, GREETING), answers=[(TEXT, GREETING)])
ends(
    "6.2.2",
    frame(TEXT, GREETING[:12], fin=False),
    frame(0, GREETING[12:]),
    answers=[(TEXT, GREETING)],
)
for number, text in (("6.2.3", GREETING), ("6.2.4", KOSME)):
    parts = byte_by_byte(text)
    frames = [frame(0 if i else TEXT, part, fin=False) for i, part in enumerate(parts)]
    ends(number, *frames, frame(0), answers=[(TEXT, text)])
BAD = KOSME + b"\xed\xa0\x80" + b"edited"
fails("6.3.1", 1007, frame(TEXT, BAD))
fails(
    "6.3.2", 1007, *(frame(0 if i else TEXT, b, fin=False) for i, b in enumerate(byte_by_byte(BAD)))
)
# ... and as soon as it is certain: what would follow is never sent
TOO_HIGH = KOSME + b"\xf4\x90\x80\x80edited"
fails("6.4.1", 1007, frame(TEXT, KOSME, fin=False), frame(0, b"\xf4\x90\x80\x80", fin=False))
fails("6.4.2", 1007, frame(TEXT, KOSME + b"\xf4", fin=False), frame(0, b"\x90", fin=False))
fails("6.4.3", 1007, *byte_by_byte(frame(TEXT, TOO_HIGH))[: 2 + len(KOSME) + 2])
fails("6.4.4", 1007, frame(TEXT, TOO_HIGH)[: 2 + len(KOSME) + 2])

VALID = {
    "6.5": [KOSME[:n] for n in (2, 4, 6, 8)],  # whole characters
    "6.6": [KOSME],
    "6.7": [b"\x00", "\u0080".encode(), "\u0800".encode(), "\U00010000".encode()],
    "6.9": ["\u007f".encode(), "\u07ff".encode(), "\uffff".encode(), "\U0010ffff".encode()],
    "6.11": ["\ud7ff".encode(), "\ue000".encode(), "\ufffd".encode()],
    "6.22": ["\ufffe".encode(), "\U0001fffe".encode(), "\U0010fffe".encode()],
    "6.23": ["\ufeff".encode()],
}
INVALID = {
    "6.6.1": [KOSME[:n] for n in (1, 3, 5, 7, 9)],  # cut within a character
    "6.8": [b"\xf8\x88\x80\x80\x80", b"\xfc\x84\x80\x80\x80\x80"],
    "6.10": [b"\xf7\xbf\xbf\xbf", b"\xfb\xbf\xbf\xbf\xbf", b"\xfd\xbf\xbf\xbf\xbf\xbf"],
    "6.11.5": [b"\xf4\x90\x80\x80"],
    "6.12": [b"\x80", b"\xbf", b"\x80\xbf", b"\x80\xbf\x80", bytes(range(0x80, 0xC0))],
    "6.13": [b"".join(bytes([b, 32]) for b in first) for first in (range(0xC0, 0xE0), b"\xf8\xfc")],
    "6.14": [b"\xc0", b"\xe0\x80", b"\xf0\x80\x80", b"\xdf", b"\xef\xbf", b"\xf7\xbf\xbf"],
    "6.15": [b"\xc0\xe0\x80\xf0\x80\x80"],
    "6.16": [b"\xfe", b"\xff", b"\xfe\xfe\xff\xff"],
    "6.17": [b"\xc0\xaf", b"\xe0\x80\xaf", b"\xf0\x80\x80\xaf"],
    "6.18": [b"\xc1\xbf", b"\xe0\x9f\xbf", b"\xf0\x8f\xbf\xbf"],
    "6.19": [b"\xc0\x80", b"\xe0\x80\x80", b"\xf0\x80\x80\x80"],
    "6.20": [b"\xed\xa0\x80", b"\xed\xad\xbf", b"\xed\xae\x80", b"\xed\xbf\xbf"],
    "6.21": [b"\xed\xa0\x80\xed\xb0\x80", b"\xed\xaf\xbf\xed\xbf\xbf"],
}
for section, bodies in VALID.items():
    for i, body in enumerate(bodies, 1):
        ends(f"{section}.{i}", frame(TEXT, body), answers=[(TEXT, body)])
for section, bodies in INVALID.items():
    for i, body in enumerate(bodies, 1):
        fails(f"{section}.{i}", 1007, frame(TEXT, body))

# 7: closing
ends("7.1.1", frame(*HELLO), answers=[HELLO])
ends("7.1.2", BYE)
ends("7.1.3", BYE + ping)
ends("7.1.4", BYE + frame(*HELLO))
ends("7.1.5", one + BYE + frame(0, b"fragment2"))
ends("7.1.6", frame(TEXT, b"*" * 262144), frame(*HELLO), answers=[(TEXT, b"*" * 262144), HELLO])
CASES["7.3.1"] = [frame(CLOSE)], [(CLOSE, b"")]
fails("7.3.2", 1002, frame(CLOSE, b"a"))
ends("7.3.3")
CASES["7.3.4"] = [close(1000, b"Hello World!")], [ANSWER]
CASES["7.3.5"] = [close(1000, b"*" * 123)], [ANSWER]
fails("7.3.6", 1002, close(1000, b"*" * 124))
fails("7.5.1", 1007, close(1000, BAD))
for i, code in enumerate([*range(1000, 1004), *range(1007, 1012), 3000, 3999, 4000, 4999], 1):
    CASES[f"7.7.{i}"] = [close(code)], [(CLOSE, code.to_bytes(2))]
for i, code in enumerate([0, 999, 1004, 1005, 1006, 1016, 1100, 2000, 2999], 1):
    fails(f"7.9.{i}", 1002, close(code))
for i, code in enumerate([5000, 65535], 1):
    fails(f"7.13.{i}", 1002, close(code))

# 10: a message that is cut up for no reason
chunks = [b"*" * min(1300, 65536 - i) for i in range(0, 65536, 1300)]
ends(
    "10.1.1",
    *(frame(0 if i else TEXT, c, fin=i == len(chunks) - 1) for i, c in enumerate(chunks)),
    answers=[(TEXT, b"*" * 65536)],
)


@pytest.mark.parametrize(("pieces", "answers"), CASES.values(), ids=CASES)
def test_case(pieces, answers):
    def act(peer):
        for piece in pieces:
            peer.sendall(piece)
        return frames_until_close(peer)

    with serving(upgraded(act)) as (url, answered):
        converse(url)
        assert answered.result() == answers

"""Recordings as bytes: what a stream was told, record after record, each with its checksums.

A file begins with FILE_HEADER and holds records until it ends. It is only ever appended to, so that
a process that is killed leaves whole records and at most the beginning of one more, which can be
told from damage. docs/recording.md has the layout byte by byte, for whoever reads it without this.
"""

import json
import os
import struct
from collections.abc import Iterator
from enum import IntEnum
from typing import Any, BinaryIO, NamedTuple
from zlib import crc32

from ..errors import RecordingError

__all__ = ["FILE_HEADER", "Damage", "Kind", "Reader", "Record", "about", "encode"]

VERSION = 1
_NAME = b"\xf5coincall-fast\n"  # no UTF-8 text begins so
_VERSIONED = _NAME + bytes([VERSION])
FILE_HEADER = _VERSIONED + struct.pack("<I", crc32(_VERSIONED))

_MARK = b"\xf5rec"
# Mark, bytes of the payload, number, both times, kind, bytes of the product, checksum of these two.
_FIELDS = struct.Struct("<4sIQqqBBI")
_CHECK = struct.Struct("<I")  # of the fields before it: a wrong length must not be believed
_HEADER_SIZE = _FIELDS.size + _CHECK.size
_CHUNK = 1 << 20


class Kind(IntEnum):
    """What a record tells. The payload is empty unless said otherwise."""

    BEGIN = 1  # a recorder begins: JSON about it
    END = 2  # ... and ends on purpose
    OPENED = 3  # the product's connection stands
    CLOSED = 4  # ... and is lost, or closed
    FRAME = 5  # a message, as received
    HEARD = 6  # something came that is no message, such as a ping
    TICK = 7  # time passed
    SUBSCRIBE = 8  # the user wants a channel: JSON of data_type, symbols and payload
    UNSUBSCRIBE = 9  # ... and no longer
    GAP = 10  # frames are missing here: JSON of how many, and since when
    NOTE = 11  # the user's own words
    BASE = 12  # a whole book from elsewhere: its symbol, a line feed, and the body
    BOOK = 13  # a book that updates go on from, as the recorder found it: JSON


class Record(NamedTuple):
    """One thing that a stream was told."""

    kind: Kind
    product: str  # "" where it is about the whole recording
    seq: int  # from 0, without a hole
    recv_ns: int  # the recorder's ``time.monotonic_ns()``
    wall_ms: int  # its epoch clock
    payload: bytes


class Damage(NamedTuple):
    """Bytes that are no record, or records that are not there."""

    offset: int
    size: int
    missing: int  # records, by the number of the next one; 1 where there is none
    is_torn_tail: bool  # what a kill or a power cut leaves at the end: no harm to what is before

    def __str__(self) -> str:
        what = "a torn end" if self.is_torn_tail else "damage"
        return f"{what} at byte {self.offset}: {self.size} bytes, {self.missing} records missing"


def encode(kind: Kind, product: str, seq: int, recv_ns: int, wall_ms: int, payload: bytes) -> bytes:
    """One record, as it stands in a file."""
    name = product.encode()
    check = crc32(payload, crc32(name))
    fields = _FIELDS.pack(_MARK, len(payload), seq, recv_ns, wall_ms, kind, len(name), check)
    return b"".join((fields, _CHECK.pack(crc32(fields)), name, payload))


class _Header(NamedTuple):
    mark: bytes
    payload_size: int
    seq: int
    recv_ns: int
    wall_ms: int
    kind: int
    product_size: int
    check: int

    @classmethod
    def of(cls, text: bytes) -> "_Header | None":
        """The header that a record begins with, if these bytes are one, checksum and all."""
        if len(text) < _HEADER_SIZE or not text.startswith(_MARK):
            return None
        if crc32(text[: _FIELDS.size]) != _CHECK.unpack_from(text, _FIELDS.size)[0]:
            return None
        header = cls._make(_FIELDS.unpack_from(text))
        return header if header.kind in Kind._value2member_map_ else None

    @property
    def body_size(self) -> int:
        return self.product_size + self.payload_size


def about(path: str | os.PathLike[str]) -> dict[str, Any]:
    """What the recorder of a file said of it when it began; nothing where that is damaged.

    Raises RecordingError for a file that is no recording.
    """
    with open(path, "rb") as file:
        first = next(iter(Reader(file)), None)
    if not isinstance(first, Record) or first.kind is not Kind.BEGIN:
        return {}
    said = json.loads(first.payload)
    return said if isinstance(said, dict) else {}


class Reader:
    """Reads a recording once: its records in order, and damage wherever something is wrong.

    Raises RecordingError for a file that is no recording, or one of a later version. `offset` and
    `seq` are the place and the number of the next record.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        begin = file.read(len(FILE_HEADER))
        if begin != FILE_HEADER:
            raise RecordingError(_not_ours(begin))
        self.offset = len(FILE_HEADER)
        self.seq = 0

    def __iter__(self) -> Iterator[Record | Damage]:
        while start := self._file.read(_HEADER_SIZE):
            header = _Header.of(start)
            if header is not None and header.seq >= self.seq:
                body = self._file.read(header.body_size)
                if crc32(body) == header.check and len(body) == header.body_size:
                    if header.seq > self.seq:  # a hole between two that are whole
                        yield Damage(self.offset, 0, header.seq - self.seq, is_torn_tail=False)
                    self.seq = header.seq + 1
                    self.offset += len(start) + len(body)
                    split = header.product_size
                    yield Record(
                        Kind(header.kind),
                        body[:split].decode(),
                        header.seq,
                        header.recv_ns,
                        header.wall_ms,
                        body[split:],
                    )
                    continue
            yield self._damage(start)

    def _damage(self, start: bytes) -> Damage:
        """What is wrong at `offset`, where `start` stands; reading goes on behind it."""
        offset = self.offset
        found = self._find_record(offset + 1)
        if found is None:
            end = self._file.seek(0, os.SEEK_END)
            is_torn = self._is_torn(start, end)
            if not is_torn:
                self.offset = end
            return Damage(offset, end - offset, 1, is_torn)
        self.offset, seq = found
        missing, self.seq = seq - self.seq, seq
        self._file.seek(self.offset)
        return Damage(offset, self.offset - offset, missing, is_torn_tail=False)

    def _find_record(self, at: int) -> tuple[int, int] | None:
        """The place and the number of the first record from `at` on that continues the file."""
        self._file.seek(at)
        window = b""
        while chunk := self._file.read(_CHUNK):
            window += chunk
            mark = window.find(_MARK)
            while 0 <= mark <= len(window) - _HEADER_SIZE:
                header = _Header.of(window[mark : mark + _HEADER_SIZE])
                if header is not None and header.seq >= self.seq:
                    return at + mark, header.seq
                mark = window.find(_MARK, mark + 1)
            passed = mark if mark >= 0 else max(0, len(window) - len(_MARK) + 1)
            window = window[passed:]
            at += passed
        return None

    def _is_torn(self, start: bytes, end: int) -> bool:
        """Whether the last bytes are the beginning of a record, or zeros where one was to be."""
        self._file.seek(-1, os.SEEK_END)
        if self._file.read(1) == b"\0":
            return True
        header = _Header.of(start)
        if header is not None:
            return header.seq == self.seq and end - self.offset < _HEADER_SIZE + header.body_size
        return len(start) < _HEADER_SIZE and start[: len(_MARK)] == _MARK[: len(start)]


def _not_ours(begin: bytes) -> str:
    """Why a file with this beginning cannot be read."""
    if len(begin) < len(FILE_HEADER) or not begin.startswith(_NAME):
        return "this is no recording"
    if struct.pack("<I", crc32(begin[: len(_VERSIONED)])) != begin[len(_VERSIONED) :]:
        return "the beginning of this recording is damaged"
    return f"this recording is of version {begin[len(_NAME)]}, and not of {VERSION}"

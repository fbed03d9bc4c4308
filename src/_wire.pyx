# cython: language_level=3, auto_pickle=False, autotestdict=False
# cython: binding=False, always_allow_keywords=True, embedsignature=True
# cython: embedsignature.format=clinic, cdivision=True
"""The compiled reader of WebSocket frames, as a client reads them (RFC 6455).

Three sections, each to be read alone:

text    whether bytes are UTF-8, in whatever pieces they come
reader  bytes of a server in, whole messages out
writer  what a client sends: a masked frame

It has no socket, no thread and no clock: bytes are put into its buffer by whoever has a socket, a
message is a view of that buffer, and what is to be answered is told, not sent. A server that breaks
a rule of the RFC is refused at the first byte that shows it, with the code that it is to be told.
"""

cimport cython
from cpython.bytearray cimport PyByteArray_AS_STRING, PyByteArray_Resize
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.object cimport PyObject
from libc.stdint cimport uint64_t
from libc.string cimport memcpy, memmove

from enum import IntEnum

from .errors import ProtocolError

cdef extern from "Python.h":
    object PyByteArray_FromStringAndSize(const char*, Py_ssize_t)
    ctypedef struct ByteArray "PyByteArrayObject":
        Py_ssize_t ob_exports  # how many look at it

ctypedef const unsigned char* Bytes

cdef enum:  # opcodes
    CONTINUATION = 0
    TEXT = 1
    BINARY = 2
    CLOSE = 8
    PING = 9
    PONG = 10

Opcode = IntEnum("Opcode", {
    "TEXT": TEXT, "BINARY": BINARY, "CLOSE": CLOSE, "PING": PING, "PONG": PONG,
})

cdef enum:  # codes of a Close frame (RFC 6455, section 7.4.1)
    NORMAL = 1000
    BROKEN_RULE = 1002
    NO_CODE = 1005  # never sent: none was
    NOT_TEXT = 1007
    UNWANTED = 1008
    TOO_BIG = 1009

cdef enum:
    ROOM = 1 << 18      # bytes that one call may bring: they still lie in the cache when taken
    LONGEST_HEAD = 10   # of a frame that is not masked
    FRAGMENTS = 1024    # of a message
    PINGS = 100         # that may wait for an answer


# ========================================================================================== text

cdef struct Utf8:
    int missing               # bytes of the character that has begun
    unsigned char low, high   # between which the next of them is


cdef bint is_text(Utf8* state, Bytes p, Bytes end) noexcept nogil:
    """Whether the text so far goes on with these bytes; a character may end in the next piece."""
    cdef unsigned char bits
    cdef int i
    while p < end:
        if state.missing:
            if not state.low <= p[0] <= state.high:
                return False
            state.missing -= 1
            state.low, state.high = 0x80, 0xBF
        elif p[0] < 0x80:
            while end - p >= 64:  # most text is ASCII, and this is done 64 bytes at a time
                bits = 0
                for i in range(64):
                    bits |= p[i]
                if bits >= 0x80:
                    break
                p += 64
            while p < end and p[0] < 0x80:
                p += 1
            continue
        elif 0xC2 <= p[0] <= 0xF4:
            state.missing = 1 + (p[0] >= 0xE0) + (p[0] >= 0xF0)
            # Neither longer than need be, nor a surrogate, nor beyond U+10FFFF.
            state.low = 0xA0 if p[0] == 0xE0 else 0x90 if p[0] == 0xF0 else 0x80
            state.high = 0x9F if p[0] == 0xED else 0x8F if p[0] == 0xF4 else 0xBF
        else:
            return False
        p += 1
    return True


# ======================================================================================== reader

cdef struct Frame:
    int opcode
    bint is_last          # of its message
    Py_ssize_t head       # bytes before its payload
    Py_ssize_t length     # bytes of its payload


@cython.final
cdef class Reader:
    """Reader(largest=1048576)

    What one connection has brought: `receive` takes bytes in, `take` gives messages out.

    ``largest`` limits the bytes of a frame, and of a message. For one thread at a time. A reader
    that has raised ProtocolError raises it again, and one that has met a Close gives no more.
    """
    cdef readonly Py_ssize_t largest
    cdef readonly uint64_t frames, messages  # that were whole
    cdef readonly int opcode       # of the message begun last: TEXT or BINARY
    cdef readonly tuple close      # the code and the reason of the server's Close; else None
    cdef bytearray block           # where bytes are put; head to tail are not yet taken
    cdef Py_ssize_t head, tail
    cdef object view               # of the block, read-only; None until it is needed
    cdef object given              # the message taken last
    cdef bint is_receiving
    cdef Py_ssize_t read           # bytes of the payload at the head that have been looked at
    cdef Utf8 utf8
    cdef bytearray joined          # the fragments of a message that has not ended; else None
    cdef int fragments
    cdef list pings
    cdef object failure

    def __cinit__(self, Py_ssize_t largest=1 << 20):
        if not 125 <= largest <= 1 << 30:
            raise ValueError("the largest frame has 125 bytes, as a ping may, to 1 GiB")
        self.largest = largest
        self.block = new_block(self)
        self.pings = []

    def receive(self, recv_into):
        """Has bytes put behind those that are here, by one call of ``recv_into(buffer)``.

        Returns what it returned, the number of bytes; lets through what it raises. All messages are
        to be taken between one call and the next, or room may run out (BufferError).
        """
        cdef Py_ssize_t n
        if self.is_receiving:
            raise RuntimeError("a reader is for one thread at a time")
        take_back(self)
        make_room(self)
        room = memoryview(self.block)[self.tail:self.tail + ROOM]
        self.is_receiving = True
        try:
            n = recv_into(room)
            if not 0 <= n <= len(room):
                raise ValueError(f"{n} bytes received into {len(room)}")
        finally:
            self.is_receiving = False
            room.release()
        self.tail += n
        return n

    def take(self):
        """The next whole message, or None where none is.

        A read-only memoryview, of the bytes as they were received unless they came in fragments. It
        is good until the next call of `take` or `receive`; to use it later raises ValueError, so
        keep ``bytes(message)``. A view that was made of it meanwhile stays good as long as it
        lives: what somebody looks at is never written again. Raises ProtocolError.
        """
        cdef Frame frame
        cdef Py_ssize_t start, end
        cdef bytearray joined
        cdef Bytes bytes
        take_back(self)
        if self.failure is not None:
            raise self.failure
        while self.close is None and read_head(self, &frame):
            start = self.head + frame.head
            end = start + frame.length
            bytes = <Bytes>PyByteArray_AS_STRING(self.block)
            if frame.opcode == TEXT or (frame.opcode == CONTINUATION and self.opcode == TEXT):
                if not is_text(
                    &self.utf8, bytes + start + self.read, bytes + min(end, self.tail)
                ) or (frame.is_last and end <= self.tail and self.utf8.missing):
                    raise wrong(self, NOT_TEXT, "a text that is not UTF-8")
                self.read = min(end, self.tail) - start
            if end > self.tail:
                return None
            self.head = end
            self.read = 0
            self.frames += 1
            if frame.opcode >= CLOSE:
                control(self, frame.opcode, bytes[start:end])
            elif frame.is_last and self.joined is None:
                if self.view is None:
                    self.view = memoryview(self.block).toreadonly()
                self.messages += 1
                self.given = self.view[start:end]
                return self.given
            else:
                join(self, bytes + start, frame.length)
                if frame.is_last:
                    joined, self.joined = self.joined, None
                    self.messages += 1
                    self.given = memoryview(joined).toreadonly()
                    return self.given
        return None

    def take_pings(self):
        """The payloads of the pings that came since the last call, in order."""
        pings, self.pings = self.pings, []
        return pings

    @property
    def has_pings(self):
        """Whether `take_pings` would give any."""
        return len(self.pings) > 0

    @property
    def is_amid_frame(self):
        """Whether a frame has begun that is not whole; meant to be asked when all is taken."""
        return self.head < self.tail and self.close is None

    @property
    def is_amid_message(self):
        """Whether a message has begun, by a fragment, that has not ended."""
        return self.joined is not None


cdef bytearray new_block(Reader reader):
    """Not filled with anything, so that only what is used of it is ever given memory."""
    return PyByteArray_FromStringAndSize(NULL, LONGEST_HEAD + reader.largest + ROOM)


cdef int take_back(Reader reader) except -1:
    """The message that was given last is nobody's any more."""
    given, reader.given = reader.given, None
    if given is not None:
        try:
            given.release()
        except BufferError:  # there is a view of it
            pass
    return 0


cdef int make_room(Reader reader) except -1:
    """Moves what is not yet taken to the front, where that is cheap or must be."""
    cdef bytearray fresh = reader.block
    cdef Py_ssize_t left = reader.tail - reader.head
    cdef bint is_seen, is_full = len(fresh) - reader.tail < ROOM
    reader.view = None  # ours; who still sees the block now, made a view of a message
    is_seen = (<ByteArray*><PyObject*>reader.block).ob_exports > 0
    if is_full or (0 < reader.head >= left and not is_seen):
        if is_seen:
            fresh = new_block(reader)
        memmove(
            PyByteArray_AS_STRING(fresh), PyByteArray_AS_STRING(reader.block) + reader.head, left)
        reader.block, reader.head, reader.tail = fresh, 0, left
    if reader.tail == len(reader.block):
        raise BufferError("take what has been received, then receive more")
    return 0


cdef object wrong(Reader reader, int close_code, str reason):
    """An error to be raised, now and ever after."""
    reader.failure = ProtocolError(reason, close_code)
    return reader.failure


cdef bint read_head(Reader reader, Frame* frame) except -1:
    """Whether the head of the next frame is there; what is wrong with it is told byte by byte."""
    cdef Py_ssize_t i, have = reader.tail - reader.head
    cdef Bytes p = <Bytes>PyByteArray_AS_STRING(reader.block) + reader.head
    cdef uint64_t length
    if have < 1:
        return False
    frame.is_last = p[0] >> 7
    frame.opcode = p[0] & 0x0F
    if p[0] & 0x70:
        raise wrong(reader, BROKEN_RULE, "a frame with a reserved bit")
    if frame.opcode > PONG or BINARY < frame.opcode < CLOSE:
        raise wrong(reader, BROKEN_RULE, f"a frame of the unknown opcode {frame.opcode}")
    if frame.opcode >= CLOSE and not frame.is_last:
        raise wrong(reader, BROKEN_RULE, "a fragment of a control frame")
    if frame.opcode == CONTINUATION and reader.joined is None:
        raise wrong(reader, BROKEN_RULE, "a fragment where none belongs")
    if frame.opcode in (TEXT, BINARY):
        if reader.joined is not None:
            raise wrong(reader, BROKEN_RULE, "a message amid the fragments of another")
        reader.opcode = frame.opcode
    if have < 2:
        return False
    if p[1] & 0x80:
        raise wrong(reader, BROKEN_RULE, "a masked frame")
    length = p[1]
    if frame.opcode >= CLOSE and length > 125:
        raise wrong(reader, BROKEN_RULE, "a control frame of more than 125 bytes")
    frame.head = 2 if length < 126 else 4 if length == 126 else LONGEST_HEAD
    if have < frame.head:
        return False
    if frame.head > 2:
        length = 0
        for i in range(2, frame.head):
            length = length << 8 | p[i]
        if length < (126 if frame.head == 4 else 1 << 16) or length >> 63:
            raise wrong(reader, BROKEN_RULE, "a length in other bytes than it takes")
    if length > <uint64_t>reader.largest:
        raise wrong(reader, TOO_BIG, f"a frame of {length} bytes")
    frame.length = length
    if frame.opcode == CONTINUATION and len(reader.joined) + frame.length > reader.largest:
        raise wrong(reader, TOO_BIG, f"a message of more than {reader.largest} bytes")
    return True


cdef int join(Reader reader, Bytes payload, Py_ssize_t n) except -1:
    """A fragment is put behind those before it."""
    cdef Py_ssize_t before
    if reader.joined is None:
        reader.joined = bytearray()
        reader.fragments = 0
    reader.fragments += 1
    if reader.fragments > FRAGMENTS:
        raise wrong(reader, TOO_BIG, f"a message of more than {FRAGMENTS} fragments")
    before = len(reader.joined)
    PyByteArray_Resize(reader.joined, before + n)
    memcpy(PyByteArray_AS_STRING(reader.joined) + before, payload, n)
    return 0


cdef int control(Reader reader, int opcode, bytes payload) except -1:
    """What a Close or a Ping says is kept; a Pong says only that somebody is there."""
    cdef Utf8 utf8
    cdef Bytes p = <Bytes>PyBytes_AS_STRING(payload)
    cdef Py_ssize_t n = len(payload)
    cdef int code
    if opcode == PING:
        if len(reader.pings) == PINGS:
            raise wrong(reader, UNWANTED, f"more than {PINGS} pings at a time")
        reader.pings.append(payload)
    elif opcode == CLOSE and n == 0:
        reader.close = (NO_CODE, "")
    elif opcode == CLOSE:
        code = p[0] << 8 | p[1] if n > 1 else 0
        # Those that are defined and may be sent, and those of libraries and applications.
        if not (1000 <= code <= 1003 or 1007 <= code <= 1014 or 3000 <= code <= 4999):
            raise wrong(reader, BROKEN_RULE, f"a Close with the code {code}")
        utf8.missing = 0
        if not is_text(&utf8, p + 2, p + n) or utf8.missing:
            raise wrong(reader, NOT_TEXT, "a Close whose reason is not UTF-8")
        reader.close = (code, payload[2:].decode())
    return 0


# ======================================================================================== writer

def masked(int opcode, bytes payload not None, bytes mask not None):
    """One unfragmented frame, as a client sends it.

    mask: 4 bytes that nobody can predict (RFC 6455, section 10.3).
    """
    cdef Py_ssize_t i, n = PyBytes_GET_SIZE(payload)
    cdef Bytes text = <Bytes>PyBytes_AS_STRING(payload)
    cdef Bytes key = <Bytes>PyBytes_AS_STRING(mask)
    cdef int head = 2 if n < 126 else 4 if n < 1 << 16 else LONGEST_HEAD
    cdef bytes frame = PyBytes_FromStringAndSize(NULL, head + 4 + n)
    cdef unsigned char* out = <unsigned char*>PyBytes_AS_STRING(frame)
    if len(mask) != 4:
        raise ValueError("a mask has 4 bytes")
    out[0] = 0x80 | opcode
    out[1] = 0x80 | (n if head == 2 else 126 if head == 4 else 127)
    for i in range(2, head):
        out[i] = <uint64_t>n >> 8 * (head - 1 - i) & 0xFF
    memcpy(out + head, key, 4)
    out += head + 4
    for i in range(n):
        out[i] = text[i] ^ key[i & 3]
    return frame

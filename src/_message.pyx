# cython: language_level=3, auto_pickle=False, autotestdict=False
# cython: binding=False, always_allow_keywords=True, embedsignature=True
# cython: embedsignature.format=clinic, cdivision=True
"""The compiled decoder: a frame that is no order book in, a message with full names out.

Four files, each to be read alone, make one module:

_message_rows.pxi    one object of a frame, whose values become Python objects when they are read
_message_tables.pxi  many of them as columns
_message_topics.pxi  the frames of venues that name their channels in texts
_message.pyx         the frames of a venue's channels, and the bodies of its REST answers

A row is scanned once, in C (_rows.h, _table.h), and refused whole with a DecodeError or kept whole;
which attributes it has and under which keys, is data (message.py, wire.py). What is not asked at
every frame is Python's (records.py).
"""

cimport cython
from cpython.buffer cimport PyBUF_C_CONTIGUOUS, PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from cpython.mem cimport PyMem_Free, PyMem_Realloc
from cpython.object cimport PyObject, PyTypeObject
from cpython.ref cimport Py_INCREF, Py_XDECREF
from cpython.unicode cimport PyUnicode_DecodeUTF8
from libc.math cimport fabs, isnan
from libc.stdint cimport UINT32_MAX, int64_t, uint64_t
from libc.string cimport memchr, memcmp, memcpy, memset, strchr

import json
from decimal import Decimal
from enum import IntEnum
from math import nan as _nan
from sys import intern
from types import GenericAlias

import numpy as np

from .errors import DecodeError, UsageError

from _frames cimport *
from _headers cimport *
from _rows cimport *

cdef extern from "Python.h":
    ctypedef struct HeapType "PyTypeObject":
        object tp_new(HeapType*, object, PyObject*)
        unsigned long tp_flags
        void (*tp_free)(void*)
    unsigned long Py_TPFLAGS_HAVE_GC
    void PyObject_Free(void*)
    void PyType_Modified(PyTypeObject*)
    bint PyObject_TypeCheck(object, PyTypeObject*)
    object PyObject_GenericGetAttr(object, object)


cdef enum:
    FEW = 16      # codes whose members are found at once
    FIELDS = 48   # that a class of rows may have; a row has CELLS of them
    PLACES = 128  # for these, a power of 2
    SIGNS = 4     # sizes of a row whose sign says a side
    NO_CELL = -1
    BUY = 1       # of model.Side
    SELL = 2
    NAMES = 1024  # texts that are kept, a power of 2


cdef inline object new(PyTypeObject* made):
    """An instance of a class of this module or below it, before anything has been put in it."""
    return (<HeapType*>made).tp_new(<HeapType*>made, (), NULL)


include "_message_rows.pxi"
include "_message_tables.pxi"


cdef enum:
    CODES = 256  # of the channels of a venue

cdef enum:  # the roles of an envelope
    CHANNEL = 1
    IGNORED
    DATA
    TIME
    TIME_S     # in seconds
    ROWS       # of data that hold more than these
    VERSION
    BASE_LINE
    KIND       # whether all is said, or what has changed
    EVENT      # why the frame was sent
    ERROR      # of the venue, if it is not null
    PARTS

cdef Keys pair_keys  # of an element of the REST chain
cdef Keys data_keys  # of a REST answer
cdef Keys list_keys  # of its data
add_key(&pair_keys, "callOption", 1)
add_key(&pair_keys, "putOption", 2)
add_key(&data_keys, "data", DATA)
add_key(&list_keys, "list", DATA)


cdef object raised(Source* s):
    return DecodeError(s.reason.decode(), s.at - s.start)


cdef bytes kept(Source* s, object frame, Bytes* at):
    """The bytes of a frame, which nobody can change; from now on it is these that are scanned."""
    cdef bytes copy
    if s.end - s.start > UINT32_MAX:
        raise DecodeError("a frame of more than 4 GiB")
    if type(frame) is bytes:
        return frame
    copy = PyBytes_FromStringAndSize(<char*>s.start, s.end - s.start)
    at[0] = bytes_of(copy) + (at[0] - s.start)
    s.end = bytes_of(copy) + (s.end - s.start)
    s.start = bytes_of(copy)
    return copy


cdef enum Holder:  # of the rows of a channel
    ONE       # as they are
    SEQUENCE  # in a Rows
    TABLE     # in a Grid


@cython.final
@cython.internal
cdef class Channel:
    """What comes through one channel: its rows, and what holds them."""
    cdef type made
    cdef Shape shape
    cdef Holder holder
    cdef bint pairs  # two rows under one strike

    def __cinit__(self, made, column, dt=None, name=None):
        if not (isinstance(made, type) and issubclass(made, Message)):
            raise UsageError(f"no class of messages: {made!r}")
        self.made = made
        self.shape = shape_of((getattr(made, "row", made), column, dt, name))
        self.holder = (
            TABLE if issubclass(made, Grid) else SEQUENCE if issubclass(made, Rows) else ONE)
        self.pairs = self.holder == TABLE and column == "rest"


cdef list scan_list(Source* s, Bytes* at, Shape shape, bytes frame):
    """A list of rows, each a record; at[0] goes behind it."""
    cdef list records = []
    cdef bint more = True
    cdef Bytes p = blanks(s, at[0] + 1)
    if peek(s, p) == c"]":
        more = False
        p += 1
    while more:
        records.append(scan_record(s, p, shape, frame, &p))
        p = scan_separator(s, p, c"]", &more)
        if p == NULL:
            raise raised(s)
    at[0] = p
    return records


cdef Bytes draft_pair(Drafted draft, Source* s, Bytes p, int* wrong) noexcept:
    """A call and a put, as the REST chain has them by strike; either may be missing."""
    cdef Walk walk
    wrong[0] = -1
    begin_walk(&walk)
    while True:
        p = next_field(s, p, &pair_keys, &walk)
        if p == NULL or walk.role < 0:
            return p
        if peek(s, p) == c"n":
            p = skip_value(s, p, 0)
        else:
            p = draft_row(&draft.c, s, p, &draft.shape.c, wrong)
        if p == NULL:
            return NULL


cdef Drafted scan_table(Source* s, Bytes* at, Channel channel):
    """A row, or a list of them, of a table; at[0] goes behind it."""
    cdef Drafted draft = draft_for(channel.shape)
    cdef bint many = peek(s, at[0]) == c"[", more = True
    cdef Bytes p = blanks(s, at[0] + 1) if many else at[0]
    cdef int wrong
    if many and peek(s, p) == c"]":
        more = False
        p += 1
    while more:
        if channel.pairs:
            p = draft_pair(draft, s, p, &wrong)
        else:
            p = draft_row(&draft.c, s, p, &channel.shape.c, &wrong)
        if p == NULL:
            raise refusal(s, channel.shape, wrong)
        if not many:
            break
        p = scan_separator(s, p, c"]", &more)
        if p == NULL:
            raise raised(s)
    at[0] = p
    return draft


cdef object scan_rows(Source* s, Bytes* at, Channel channel, bytes frame):
    """The data of a frame: a record, a list of them, or the draft of a table."""
    if channel.holder == TABLE:
        return scan_table(s, at, channel)
    if peek(s, at[0]) == c"[":
        return scan_list(s, at, channel.shape, frame)
    return scan_record(s, at[0], channel.shape, frame, at)


cdef object held(object rows, Channel channel, bytes frame, Cell* time, object into):
    """The message that scanned rows are, with the time that their envelope says."""
    if channel.holder == TABLE:
        if into is None:
            into = channel.made.__new__(channel.made)
        take_over(<Grid?>into, <Drafted>rows, frame, time)
        return into
    if type(rows) is not list:
        if time.n:
            set_time(<Cells>rows, time)
        if channel.holder == ONE:
            return rows
        rows = [rows]
    elif time.n:
        for record in rows:
            set_time(<Cells>record, time)
    return rows if channel.holder == ONE else rows_of(channel.made, channel.shape.id, rows)


cdef class Decoder:
    """The channels of one venue whose frames become messages."""

    cdef object take(self, Source* s, object frame, object into):
        """The message that a frame is; None where it is of no channel that is known here.

        into: the table that it is to become, and must.
        """
        return None


@cython.final
cdef class CodeDecoder(Decoder):
    """CodeDecoder(channels)

    A `Decoder` of a venue that names its channels in codes. ``channels`` are rows with a ``dt``, a
    ``data_type``, a ``message`` (a class, or None) and the ``column`` of its keys.
    """
    cdef list channels
    cdef PyObject* by_code[CODES]  # of these
    cdef Keys envelope
    cdef Keys code                 # of these the one for the channel

    def __cinit__(self, channels):
        self.channels = []
        for row in channels:
            if row.message is None:
                continue
            if not 0 <= row.dt < CODES:
                raise UsageError(f"the code of a channel is 0 to {CODES - 1}, not {row.dt}")
            channel = Channel(row.message, row.column, row.dt, row.data_type)
            self.channels.append(channel)
            self.by_code[row.dt] = <PyObject*>channel
        for name, role in ("dt", CHANNEL), ("c", IGNORED), ("d", DATA), ("ts", TIME):
            add_key(&self.envelope, name, role)
        add_key(&self.code, "dt", CHANNEL)

    cdef PyObject* channel_at(self, Source* s, Bytes* at) noexcept:
        """That of the code at at[0], which goes behind it; NULL where it is none of these."""
        cdef Bytes p = at[0]
        cdef unsigned int code = 0, digit = peek(s, p) - c"0"
        while digit <= 9 and code < CODES:
            code = 10 * code + digit
            p += 1
            digit = peek(s, p) - c"0"
        if p == at[0] or (at[0][0] == c"0" and p != at[0] + 1) or code >= CODES or (
            peek(s, p) != c"," and strchr(b"} \n\r\t", peek(s, p)) == NULL
        ):
            return NULL
        at[0] = p
        return self.by_code[code]

    cdef bint knows(self, Source* s) noexcept:
        """Whether a broken frame says a code that is known here."""
        cdef Source again = s[0]
        cdef Bytes p = value_of_key(&again, blanks(s, s.start), &self.code)
        return p != NULL and self.channel_at(&again, &p) != NULL

    cdef object take(self, Source* s, object frame, object into):
        cdef Walk walk
        cdef Cell time
        cdef Bytes p = blanks(s, s.start)
        cdef Py_ssize_t data = -1, stamp = -1  # where they begin
        cdef Channel channel = None
        cdef bytes own = None
        cdef object rows = None
        cdef PyObject* known
        if peek(s, p) != c"{":
            return None
        begin_walk(&walk)
        while True:
            p = next_field(s, p, &self.envelope, &walk)
            if p == NULL or walk.role < 0:
                break
            if walk.role == CHANNEL:
                known = self.channel_at(s, &p)
                if known == NULL:
                    return None
                channel = <Channel>known
            elif walk.role == DATA and channel is not None:
                data = p - s.start
                own = kept(s, frame, &p)
                if channel.holder == TABLE or peek(s, p) == c"[":
                    rows = scan_rows(s, &p, channel, own)
                else:
                    rows = scan_record(s, p, channel.shape, own, &p)
            else:
                if walk.role == IGNORED:
                    walk.seen &= ~(<uint64_t>1 << IGNORED)  # not even whether it is there twice
                elif walk.role == TIME:
                    stamp = p - s.start
                else:  # what it is may come behind it
                    data = p - s.start
                p = skip_value(s, p, 0)
            if p == NULL:
                break
        if channel is None:
            if p == NULL and self.knows(s):
                raise raised(s)
            return None
        if p != NULL:
            p = blanks(s, p)
            if p != s.end:
                p = refuse(s, p, b"something follows the frame")
            elif data < 0:
                p = refuse(s, p, b"no data")
        if rows is None and p != NULL:
            p = s.start + data
            own = kept(s, frame, &p)
            rows = scan_rows(s, &p, channel, own)
        time.n = 0
        if stamp >= 0 and p != NULL:
            p = scan_time(s, s.start + stamp, &time)
            if p != NULL and time.n and time.integer == UNREAD and channel.holder == TABLE:
                p = refuse(s, s.start + stamp, b"a time that int64 does not hold")
        if p == NULL:
            raise raised(s)
        if into is not None and type(into) is not channel.made:
            raise UsageError(f"a {channel.made.__name__} is no {type(into).__name__}")
        return held(rows, channel, own, &time, into)


include "_message_topics.pxi"


cdef Bytes value_of_key(Source* s, Bytes p, Keys* keys) noexcept:
    """The value of a key of an object; NULL where there is none such."""
    cdef Walk walk
    begin_walk(&walk)
    if peek(s, p) != c"{":
        return NULL
    p = next_field(s, p, keys, &walk)
    return p if walk.role > 0 else NULL


def decode_rest(of, body):
    """What a REST answer holds: a message, or a list of them, or a table; each of class `of`.

    body: the whole answer, or its data alone. These are one row, a list of rows, or an object
    whose "list" is one (protocol page, sections 2.1 to 2.5). What its code says is not looked at.
    Raises DecodeError. Any thread.
    """
    cdef Source s
    cdef Cell time
    cdef Bytes p, data, end
    channel = Channel(of, "rest")
    body_held = hold(&s, body)
    s.reason = b"no data"
    p = blanks(&s, s.start)
    end = skip_value(&s, p, 0)
    if end == NULL or blanks(&s, end) != s.end:
        raise raised(&s)
    for keys in range(2):
        data = value_of_key(&s, p, &list_keys if keys else &data_keys)
        p = p if data == NULL else data
    own = kept(&s, body_held, &p)
    time.n = 0
    return held(scan_rows(&s, &p, channel, own), channel, own, &time, None)

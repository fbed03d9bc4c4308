# cython: language_level=3, auto_pickle=False, autotestdict=False
# cython: binding=False, always_allow_keywords=True, embedsignature=True
# cython: embedsignature.format=clinic, cdivision=True
"""The compiled decoder: a frame that is no order book in, a message with full names out.

Three sections, each to be read alone:

rows      one object of a frame, whose values become Python objects when they are read
tables    many of them as columns
decoder   the frames of a venue's channels, and the bodies of its REST answers

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
from libc.math cimport isnan
from libc.stdint cimport UINT32_MAX, int64_t, uint64_t
from libc.string cimport memchr, memcmp, memcpy, memset, strchr

import json
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
    PLACES = 64   # for the attributes of a class, a power of 2
    NAMES = 1024  # texts that are kept, a power of 2


cdef inline object new(PyTypeObject* made):
    """An instance of a class of this module or below it, before anything has been put in it."""
    return (<HeapType*>made).tp_new(<HeapType*>made, (), NULL)


# ========================================================================================== rows

MOST_FIELDS = CELLS  # that a class of records may have

Kind = IntEnum("Kind", {
    "NUMBER": NUMBER, "VOLATILITY": VOLATILITY, "QUOTE": QUOTE, "INTEGER": INTEGER, "CODE": CODE,
    "FLAG": FLAG, "TEXT": TEXT, "ANYTHING": ANYTHING,
})


@cython.final
cdef class Field:
    """Field(kind, keys, enumeration=(), named=False)

    An attribute of a class of messages, and the keys under which venues send it.

    ``kind`` is a `Kind`. ``enumeration`` has the members that codes mean, by their names too where
    it is ``named``. ``keys`` has one text for each column of its class: the keys in the order
    in which the first that has a value is taken, with blanks between them. Read from an instance it
    gives the value, from the class itself.
    """
    cdef readonly str name
    cdef readonly tuple keys
    cdef readonly int kind
    cdef public int cell  # of a row, for `columns`
    cdef object enumeration
    cdef dict members          # by code
    cdef Words words
    cdef PyObject* few[FEW]    # of these, by code
    cdef PyTypeObject* owner   # which holds this field

    __class_getitem__ = classmethod(GenericAlias)  # for annotations

    def __init__(self, int kind, tuple keys, enumeration=(), bint named=False):
        self.kind, self.keys, self.enumeration = kind, keys, enumeration
        self.members = {}
        for member in enumeration:
            self.member(int(member))
            if not named:
                continue
            if self.words.n == WORDS or not set_key(&self.words.word[self.words.n], member.name, 0):
                raise UsageError(f"no room for {member!r}")
            self.words.code[self.words.n] = member
            self.words.n += 1

    def __set_name__(self, owner, name):
        self.owner = <PyTypeObject*>owner
        self.name = intern(name)

    def __get__(self, instance, owner):
        if instance is None:
            return self
        if not PyObject_TypeCheck(instance, self.owner):
            raise TypeError(f"{self.name} is no attribute of a {type(instance).__name__}")
        if not isinstance(instance, Cells):
            return column_of(<Grid?>instance, self)
        return value_of(<Cells>instance, self)

    cdef object member(self, object code):
        """What of the enumeration a code means; else itself."""
        member = self.members.get(code)
        if member is None:
            try:
                member = self.enumeration(code)
            except ValueError:
                return code
            self.members[code] = member
            if 0 <= code < FEW:
                self.few[code] = <PyObject*>member
        return member


# Where the value of an attribute is, by the address of its name: Python has one str for each name
# that stands in a program. A bare descriptor would take half as long again.
cdef struct Attribute:
    PyObject* name
    PyObject* field
    int cell
    int kind


cdef inline size_t place_of(PyObject* name) noexcept:
    return (<size_t>name >> 4 ^ <size_t>name >> 11) & (PLACES - 1)


@cython.final
@cython.internal
cdef class Shape:
    """One column of a class as the scanner wants it, and the channel that such rows come through.
    """
    cdef RowShape c
    cdef PyTypeObject* type
    cdef tuple id        # (class, column, dt, channel): what shape_of() takes
    cdef tuple names     # by key, of its field
    cdef object nothing  # what an absent number is
    cdef Attribute attributes[PLACES]

    def __cinit__(self, tuple id):
        cdef int i, first
        cdef size_t place
        cdef Field field
        cdef Column* column
        self.id = id
        made, name, _dt, _channel = id
        self.type = <PyTypeObject*>made
        if name and name not in getattr(made, "_columns", ()):
            raise UsageError(f"{made.__name__} has no column {name!r}")
        self.nothing = _nan if made._computed else None
        at = made._columns.index(name) if name else None  # without one it is named by hand
        names = []
        for field in made._fields:
            first = len(names)
            keys = [field.name] if at is None else field.keys[at].split()
            for key in keys:
                i = len(names)
                if not add_key(&self.c.columns.keys, key, i + 1):
                    raise UsageError(f"{made.__name__}: no room for the key {key!r}")
                column = &self.c.columns.of[i]
                column.kind, column.cell, column.alone = field.kind, field.cell, len(keys) == 1
                column.better = (<uint64_t>1 << i) - (<uint64_t>1 << first)
                column.words = &field.words
                names.append(field.name)
            self.c.kind[field.cell] = field.kind
            self.c.numbers += field.kind <= QUOTE
            if field.name == "ts_ms":
                self.c.time = field.cell
            elif field.name == "symbol":
                self.c.symbol = field.cell
            place = place_of(<PyObject*>field.name)
            while self.attributes[place].name != NULL:
                place = (place + 1) & (PLACES - 1)
            self.attributes[place].name = <PyObject*>field.name
            self.attributes[place].field = <PyObject*>field
            self.attributes[place].cell, self.attributes[place].kind = field.cell, field.kind
        self.names = tuple(names)


cdef dict shapes = {}


cdef Shape shape_of(tuple id):
    shape = shapes.get(id)
    if shape is None:
        shape = shapes[id] = Shape(id)
    return shape


cdef class Message:
    """What a frame or a REST answer says that is no order book.

    It never changes, and any thread may read it. Two of one class with equal attributes are equal.
    """

    @property
    def channel(self):
        """The venue's name of the channel; None where it came through none."""
        return None

    @property
    def dt(self):
        """The venue's code of the channel; None where it said none."""
        return None

    @property
    def symbol(self):
        """The instrument that it is about; None where that is no single one."""
        return None

    @property
    def ts_ms(self):
        """The venue's time in epoch milliseconds; None where it said none."""
        return None


def uncollected(type made):
    """Takes the instances of a new class of rows from the collector, as its base has them.

    They refer to bytes alone, and nothing can be added to them; but Python gives the collector
    whatever is made of a class statement.
    """
    cdef HeapType* type = <HeapType*>made
    type.tp_flags &= ~Py_TPFLAGS_HAVE_GC
    type.tp_free = PyObject_Free
    PyType_Modified(<PyTypeObject*>made)


@cython.no_gc  # bytes and a shape refer to nothing that would refer to it
cdef class Cells(Message):
    """One row of a frame. It keeps the bytes of the whole frame alive."""
    cdef bytes frame
    cdef PyObject* shape  # a Shape, which `shapes` keeps; NULL before _fill()
    cdef Py_ssize_t start
    cdef Cell cells[CELLS]

    def __getattribute__(self, name):
        cdef Attribute* attribute
        cdef size_t place = place_of(<PyObject*>name)
        cdef double number
        if self.shape != NULL:
            while True:
                attribute = &(<Shape>self.shape).attributes[place]
                if attribute.name == <PyObject*>name:
                    if attribute.kind <= QUOTE:
                        number = number_in(&self.cells[attribute.cell], attribute.kind)
                        if not isnan(number):
                            return number
                    return value_of(self, <Field>attribute.field)
                if attribute.name == NULL:
                    break
                place = (place + 1) & (PLACES - 1)
        return PyObject_GenericGetAttr(self, name)

    @property
    def channel(self):
        return shape_of_row(self).id[3]

    @property
    def dt(self):
        return shape_of_row(self).id[2]

    @property
    def _row(self):
        """The object, as it stands in the frame."""
        cdef Source s
        shape_of_row(self)
        hold(&s, self.frame)
        return self.frame[self.start:skip_value(&s, s.start + self.start, 0) - s.start]

    @property
    def _keys(self):
        """The keys that are somebody's."""
        cdef Keys* keys = &shape_of_row(self).c.columns.keys
        return {keys.key[i].text[:keys.key[i].n].decode() for i in range(keys.n)}

    def _text(self, Field field not None):
        """What the venue sent as the value of an attribute; None where it sent none."""
        shape_of_row(self)
        return text_of(self, &self.cells[field.cell]) or None

    def _fill(self, bytes row not None):
        """Makes it of a row that has the attributes' names for keys. Raises DecodeError."""
        cdef Source s
        cdef int wrong
        cdef Shape shape = shape_of((type(self), "", None, None))
        if self.shape != NULL:
            raise UsageError(f"a {type(self).__name__} never changes")
        hold(&s, row)
        if scan_row(&s, s.start, &shape.c.columns, self.cells, &wrong) == NULL:
            memset(self.cells, 0, sizeof(self.cells))
            raise refusal(&s, shape, wrong)
        self.frame, self.shape = row, <PyObject*>shape

    def __reduce__(self):
        cdef Shape shape = shape_of_row(self)
        ts = text_of(self, &self.cells[shape.c.time]).strip(" ")  # an escape may stand for a blank
        return restored_row, (shape.id, self._row, ts)


def restored_row(tuple id, bytes row, str ts):
    """A pickled row; its time may have been that of its envelope."""
    cdef Source s
    cdef Cell time
    cdef Bytes after
    frame = row + ts.encode()
    hold(&s, frame)
    record = scan_record(&s, s.start, shape_of(id), frame, &after)
    if ts:
        if scan_time(&s, s.start + len(row), &time) == NULL:
            raise raised(&s)
        set_time(record, &time)
    return record


cdef Shape whole(object message, Shape shape):
    """Its shape, which it has not if nobody has put anything in it."""
    if shape is None:
        raise UsageError(f"a {type(message).__name__} comes of decoding")
    return shape


cdef Shape shape_of_row(Cells record):
    return whole(record, None if record.shape == NULL else <Shape>record.shape)


cdef object refusal(Source* s, Shape shape, int wrong):
    reason = s.reason.decode()
    return DecodeError(
        reason if wrong < 0 else f"{shape.names[wrong]}: {reason}", s.at - s.start)


cdef Cells scan_record(Source* s, Bytes p, Shape shape, bytes frame, Bytes* after):
    """The row at p, which is refused where it is no object."""
    cdef int wrong
    cdef Cells record = <Cells>new(shape.type)
    record.shape, record.frame, record.start = <PyObject*>shape, frame, p - s.start
    after[0] = scan_row(s, p, &shape.c.columns, record.cells, &wrong)
    if after[0] == NULL:
        raise refusal(s, shape, wrong)
    return record


cdef inline void set_time(Cells record, Cell* time) noexcept:
    """The envelope's time, where the row has none."""
    cdef Cell* own = &record.cells[(<Shape>record.shape).c.time]
    if own.n == 0:
        own[0] = time[0]


cdef inline Bytes bytes_of(bytes frame) noexcept:
    return <Bytes>PyBytes_AS_STRING(frame)


cdef str decoded(Bytes p, Py_ssize_t n):
    """The text of a string that has been scanned."""
    cdef Text text
    if memchr(p, c"\\", n) != NULL:
        text.p, text.n = p, n
        return unescaped(&text).decode()
    return PyUnicode_DecodeUTF8(<char*>p, n, NULL)


# Texts that were read before, mostly symbols: the same one again is the same object, whose hash is
# known, and which costs half as much.
cdef struct Name:
    unsigned char text[32]
    PyObject* known

cdef Name names[NAMES]
memset(names, 0, sizeof(names))


cdef str name_at(Bytes p, Py_ssize_t n):
    cdef Name* name
    if n > 31:
        return decoded(p, n)
    name = &names[mixed(p, n) % NAMES]
    if name.known != NULL and name.text[n] == 0 and memcmp(name.text, p, n) == 0:
        return <str>name.known
    text = decoded(p, n)
    Py_XDECREF(name.known)
    memset(name.text, 0, sizeof(name.text))
    memcpy(name.text, p, n)
    Py_INCREF(text)
    name.known = <PyObject*>text
    return text


cdef str text_of(Cells record, Cell* cell):
    return decoded(bytes_of(record.frame) + cell.at, cell.n)


cdef object value_of(Cells record, Field field):
    cdef Cell* cell = &record.cells[field.cell]
    cdef double number
    if field.kind <= QUOTE:
        number = number_in(cell, field.kind)
        return shape_of_row(record).nothing if isnan(number) else number
    if cell.n == 0:
        return None
    if field.kind == FLAG:
        return cell.integer != 0
    if field.kind == ANYTHING:
        try:
            return json.loads(record.frame[cell.at:cell.at + cell.n])
        except ValueError as error:  # an integer of more digits than CPython converts
            raise DecodeError(f"{field.name}: what Python cannot hold: {error}") from None
    if field.kind == TEXT:
        return name_at(bytes_of(record.frame) + cell.at, cell.n)
    if field.kind == CODE and 0 <= cell.integer < FEW and field.few[cell.integer] != NULL:
        return <object>field.few[cell.integer]
    value = cell.integer if cell.integer != UNREAD else int(text_of(record, cell))
    return field.member(value) if field.kind == CODE else value


cdef class Many(Message):
    """What holds several rows of one frame."""
    cdef Shape shape

    @property
    def channel(self):
        return whole(self, self.shape).id[3]

    @property
    def dt(self):
        return whole(self, self.shape).id[2]


cdef class Rows(Many):
    """Several rows, in the order of the frame."""
    cdef list records

    @property
    def _records(self):
        whole(self, self.shape)
        return self.records

    def __reduce__(self):
        return rows_of, (type(self), whole(self, self.shape).id, self.records)


def rows_of(type made, tuple id, list records):
    """Records of one shape as what holds them."""
    cdef Rows rows = <Rows>new(<PyTypeObject*>made)
    rows.shape, rows.records = shape_of(id), records
    return rows


# ======================================================================================== tables

@cython.final
@cython.internal
cdef class Drafted:
    """The memory of a draft."""
    cdef Draft c
    cdef Shape shape

    def __dealloc__(self):
        PyMem_Free(self.c.numbers)
        PyMem_Free(self.c.times)
        PyMem_Free(self.c.places)


cdef Drafted spare = None  # serves the next table


cdef Drafted draft_for(Shape shape):
    global spare
    draft = spare
    spare = None  # code that runs meanwhile makes its own
    if draft is None:
        draft = Drafted()
    draft.shape, draft.c.n = shape, 0
    return draft


cdef class Grid(Many):
    """Many rows as columns; see `Table`. It keeps the bytes of the whole frame alive."""
    cdef bytes frame
    cdef Py_ssize_t n
    cdef Place* places
    cdef Cell envelope_time
    cdef object times           # int64 (rows,)
    cdef object block           # float64 (numbers, rows)
    cdef list views             # of the block, by cell, once one has been asked for
    cdef public dict _known     # what has been read from the symbols

    def __dealloc__(self):
        PyMem_Free(self.places)

    @property
    def ts_ms(self):
        """int64, one a row: the venue's time in epoch milliseconds, 0 where it said none."""
        whole(self, self.shape)
        return self.times

    def __len__(self):
        whole(self, self.shape)
        return self.n

    def _symbols(self):
        cdef Bytes start
        whole(self, self.shape)
        start = bytes_of(self.frame)
        return [name_at(start + self.places[i].at, self.places[i].n) for i in range(self.n)]

    def _record(self, Py_ssize_t i):
        """The row at a place, as a record of its own."""
        cdef Source s
        cdef Bytes after
        if not 0 <= i < self.n:
            raise IndexError(i)
        hold(&s, self.frame)
        record = scan_record(&s, s.start + self.places[i].row, self.shape, self.frame, &after)
        set_time(record, &self.envelope_time)
        return record

    def __reduce__(self):
        shape = whole(self, self.shape)
        return restored_grid, (
            type(self), shape.id, self.frame, [self.places[i].row for i in range(self.n)],
            decoded(bytes_of(self.frame) + self.envelope_time.at, self.envelope_time.n).strip(" "))


def restored_grid(type made, tuple id, bytes frame, list rows, str ts):
    """A pickled table: its frame, where the rows stand in it, and the time of the envelope."""
    cdef Source s
    cdef Cell time
    cdef int wrong
    cdef Drafted draft = draft_for(shape_of(id))
    cdef Grid grid = made.__new__(made)
    cdef Py_ssize_t row, n = len(frame)
    time.n = 0
    frame += ts.encode()
    hold(&s, frame)
    for row in rows:
        if not 0 <= row < n or draft_row(
            &draft.c, &s, s.start + row, &draft.shape.c, &wrong
        ) == NULL:
            raise DecodeError("no pickled table", row)
    if ts and scan_time(&s, s.start + n, &time) == NULL:
        raise raised(&s)
    take_over(grid, draft, frame, &time)
    return grid


cdef object column_of(Grid grid, Field field):
    whole(grid, grid.shape)
    if grid.views is None:
        grid.views = list(grid.block)  # a third of what it costs one by one
    return grid.views[field.cell]


cdef void* memory_of(object array) except NULL:
    """Where the elements of an array are, as long as it lives."""
    cdef Py_buffer view
    PyObject_GetBuffer(array, &view, PyBUF_C_CONTIGUOUS | PyBUF_WRITABLE)
    PyBuffer_Release(&view)
    return view.buf


cdef int take_over(Grid grid, Drafted draft, bytes frame, Cell* time) except -1:
    """The draft becomes what the table holds; arrays of as many rows are written over."""
    global spare
    cdef Py_ssize_t n = draft.c.n
    cdef int width = draft.shape.c.numbers
    cdef bint fits = grid.shape is draft.shape and grid.n == n
    cdef void* numbers
    cdef void* times
    cdef Place* places
    block = grid.block if fits else np.empty((width, n))
    stamps = grid.times if fits else np.empty(n, np.int64)
    views = grid.views if fits else None
    numbers, times = memory_of(block), memory_of(stamps)
    places = <Place*>PyMem_Realloc(grid.places, (n or 1) * sizeof(Place))
    if places == NULL:
        raise MemoryError
    known = grid._known
    # From here on nothing fails, and no Python code runs until all is written.
    grid.places = places
    if not (fits and same_symbols(&draft.c, bytes_of(frame), places, bytes_of(grid.frame))):
        grid._known = None
    put_draft(
        &draft.c, width, time.integer if time.n else 0, <double*>numbers, <int64_t*>times, places)
    grid.envelope_time = time[0]
    grid.n, grid.frame, grid.shape = n, frame, draft.shape
    grid.block, grid.times, grid.views = block, stamps, views
    spare = draft
    if grid._known is None:
        grid._renamed(known if fits else {})
    return 0


# ======================================================================================= decoder

cdef enum:
    CODES = 256  # of the channels of a venue

cdef enum:  # the roles of an envelope
    CHANNEL = 1
    IGNORED
    DATA
    TIME

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


@cython.final
cdef class Decoder:
    """The channels of one venue whose frames become messages.

    channels: rows with a ``dt``, a ``data_type``, a ``message`` (a class, or None) and the
    ``column`` of its keys.
    """

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
        """The message that a frame is; None where it is of no channel that is known here.

        into: the table that it is to become, and must.
        """
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

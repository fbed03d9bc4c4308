# cython: language_level=3, auto_pickle=False, autotestdict=False
# cython: binding=False, always_allow_keywords=True, embedsignature=True
# cython: embedsignature.format=clinic, cdivision=True
"""The compiled decoder: a frame that is no order book in, a message with full names out.

Three sections, each to be read alone:

rows      one object of a frame, whose values become Python objects when they are read
tables    many of them as columns
decoder   the frames of a venue's channels, and the bodies of its REST answers

A row is scanned once, in C (_rows.h), and refused whole with a DecodeError or kept whole; which
attributes it has and under which keys, is data (message.py, wire.py). What is not asked at every
frame is Python's (records.py).
"""

cimport cython
from cpython.buffer cimport PyBUF_C_CONTIGUOUS, PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from cpython.mem cimport PyMem_Free, PyMem_Realloc
from cpython.object cimport PyObject, PyTypeObject
from cpython.unicode cimport PyUnicode_DecodeUTF8
from libc.math cimport isnan
from libc.stdint cimport UINT32_MAX, int64_t, uint32_t, uint64_t
from libc.string cimport memchr, memcmp, memcpy, memset, strchr

import json
from enum import IntEnum
from math import nan as _nan
from types import GenericAlias

import numpy as np

from .errors import DecodeError, UsageError

from _frames cimport *
from _headers cimport *
from _rows cimport *

cdef extern from "Python.h":
    ctypedef struct NewableType "PyTypeObject":
        object tp_new(NewableType*, object, PyObject*)
    bint PyObject_TypeCheck(object, PyTypeObject*)


cdef inline object new(PyTypeObject* made):
    """An instance of a class of this module or below it, before anything has been put in it."""
    return (<NewableType*>made).tp_new(<NewableType*>made, (), NULL)


# ========================================================================================== rows

Kind = IntEnum("Kind", {
    "NUMBER": NUMBER, "VOLATILITY": VOLATILITY, "QUOTE": QUOTE, "INTEGER": INTEGER, "CODE": CODE,
    "FLAG": FLAG, "TEXT": TEXT, "ANYTHING": ANYTHING,
})


@cython.final
cdef class Field:
    """Field(kind, keys, enumeration=None)

    An attribute of a class of messages, and the keys under which venues send it.

    ``kind`` is a `Kind`. ``keys`` has one text for each column of its class: the keys in the order
    in which the first that has a value is taken, with blanks between them. Read from an instance it
    gives the value, from the class itself.
    """
    cdef readonly str name
    cdef readonly tuple keys
    cdef readonly int kind
    cdef int cell
    cdef object enumeration
    cdef dict codes
    cdef PyTypeObject* owner  # which holds this field

    __class_getitem__ = classmethod(GenericAlias)  # for annotations

    def __init__(self, int kind, tuple keys, enumeration=None):
        self.kind, self.keys, self.enumeration = kind, keys, enumeration
        self.codes = {}

    def __set_name__(self, owner, name):
        self.owner = <PyTypeObject*>owner
        self.name = name

    def __get__(self, instance, owner):
        cdef double number
        if instance is None:
            return self
        if not PyObject_TypeCheck(instance, self.owner):
            raise TypeError(f"{self.name} is no attribute of a {type(instance).__name__}")
        if not PyObject_TypeCheck(instance, <PyTypeObject*>Cells):
            return column_of(<Grid?>instance, self)
        if self.kind <= QUOTE:
            number = number_in(&(<Cells>instance).cells[self.cell], self.kind)
            if not isnan(number):
                return number
        return value_of(<Cells>instance, self)

    cdef object member(self, object code):
        """What of the enumeration a code or word means; else itself."""
        known = self.codes.get(code)
        if known is None:
            try:
                known = (
                    self.enumeration[code] if isinstance(code, str) else self.enumeration(code))
            except (KeyError, ValueError):
                return code
            self.codes[code] = known
        return known


def columns(*names, bint computed=False):
    """Decorates a class of records: it has these columns of keys.

    computed: what is absent is nan, and not None.
    """
    def described(made):
        fields = {}
        for base in reversed(made.__mro__):
            fields.update((n, field) for n, field in vars(base).items() if isinstance(field, Field))
        if len(fields) > CELLS or any([len(field.keys) != len(names) for field in fields.values()]):
            raise UsageError(
                f"{made.__name__}: up to {CELLS} attributes, each with a key for each column")
        # Numbers first, so that those of a table stand side by side.
        for cell, field in enumerate(sorted(fields.values(), key=lambda field: field.kind > QUOTE)):
            (<Field>field).cell = cell
        made._fields, made._columns, made._computed = tuple(fields.values()), names, computed
        return made
    return described


@cython.final
@cython.internal
cdef class Shape:
    """One column of a class as the scanner wants it, and the channel that such rows come through.
    """
    cdef Columns columns
    cdef PyTypeObject* type
    cdef tuple id        # (class, column, dt, channel): what shape_of() takes
    cdef tuple fields
    cdef tuple names     # by key, of its field
    cdef object nothing  # what an absent number is
    cdef int time        # the cell of ts_ms
    cdef int symbol      # that of the symbol, or -1
    cdef int numbers     # how many of the fields are numbers; these have the first cells
    cdef unsigned char kind[CELLS]

    def __cinit__(self, tuple id):
        cdef int i, first
        cdef Field field
        cdef Column* column
        self.id = id
        made, name, _dt, _channel = id
        self.type = <PyTypeObject*>made
        self.fields, self.nothing = made._fields, _nan if made._computed else None
        self.symbol = -1
        at = made._columns.index(name) if name else None  # without one it is named by hand
        names = []
        for field in self.fields:
            first = len(names)
            keys = [field.name] if at is None else field.keys[at].split()
            for key in keys:
                i = len(names)
                if not add_key(&self.columns.keys, key, i + 1):
                    raise UsageError(f"{made.__name__}: no room for the key {key!r}")
                column = &self.columns.of[i]
                column.kind, column.cell, column.alone = field.kind, field.cell, len(keys) == 1
                column.better = (<uint64_t>1 << i) - (<uint64_t>1 << first)
                names.append(field.name)
            self.kind[field.cell] = field.kind
            self.numbers += field.kind <= QUOTE
            if field.name == "ts_ms":
                self.time = field.cell
            elif field.name == "symbol":
                self.symbol = field.cell
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


@cython.no_gc  # bytes and a shape refer to nothing that would refer to it
cdef class Cells(Message):
    """One row of a frame. It keeps the bytes of the whole frame alive."""
    cdef bytes frame
    cdef PyObject* shape  # a Shape, which `shapes` keeps; NULL before _fill()
    cdef Py_ssize_t start
    cdef Cell cells[CELLS]

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
        cdef Keys* keys = &shape_of_row(self).columns.keys
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
        if scan_row(&s, s.start, &shape.columns, self.cells, &wrong) == NULL:
            memset(self.cells, 0, sizeof(self.cells))
            raise refusal(&s, shape, wrong)
        self.frame, self.shape = row, <PyObject*>shape

    def __reduce__(self):
        cdef Shape shape = shape_of_row(self)
        return restored_row, (shape.id, self._row, text_of(self, &self.cells[shape.time]))


def restored_row(tuple id, bytes row, str ts):
    """A pickled row; its time may have been that of its envelope."""
    cdef Source s
    cdef Cell time
    cdef Bytes after
    frame = row + ts.encode()
    hold(&s, frame)
    record = scan_record(&s, s.start, shape_of(id), frame, &after)
    if ts:
        scan_cell(&s, s.start + len(row), INTEGER, &time)
        set_time(record, &time)
    return record


cdef Shape shape_of_row(Cells record):
    if record.shape == NULL:
        raise UsageError(f"this {type(record).__name__} was never made")
    return <Shape>record.shape


cdef object refusal(Source* s, Shape shape, int wrong):
    reason = s.reason.decode()
    return DecodeError(
        reason if wrong < 0 else f"{shape.names[wrong]}: {reason}", s.at - s.start)


cdef Cells scan_record(Source* s, Bytes p, Shape shape, bytes frame, Bytes* after):
    """The row at p, which is refused where it is no object."""
    cdef int wrong
    cdef Cells record = <Cells>new(shape.type)
    record.shape, record.frame, record.start = <PyObject*>shape, frame, p - s.start
    after[0] = scan_row(s, p, &shape.columns, record.cells, &wrong)
    if after[0] == NULL:
        raise refusal(s, shape, wrong)
    return record


cdef inline void set_time(Cells record, Cell* time) noexcept:
    """The envelope's time, where the row has none."""
    cdef Cell* own = &record.cells[(<Shape>record.shape).time]
    if own.n == 0:
        own[0] = time[0]


cdef str decoded(Bytes p, Py_ssize_t n):
    """The text of a string that has been scanned."""
    cdef Text text
    if memchr(p, c"\\", n) != NULL:
        text.p, text.n = p, n
        return unescaped(&text).decode()
    return PyUnicode_DecodeUTF8(<char*>p, n, NULL)


cdef str text_of(Cells record, Cell* cell):
    return decoded(<Bytes>PyBytes_AS_STRING(record.frame) + cell.at, cell.n)


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
        return json.loads(record.frame[cell.at:cell.at + cell.n])
    if field.kind == TEXT:
        return text_of(record, cell)
    if cell.integer != UNREAD:
        value = cell.integer
    else:
        value = text_of(record, cell)
        if field.kind == INTEGER or value.lstrip("-").isdecimal():
            value = int(value)
    return field.member(value) if field.kind == CODE else value


cdef class Rows(Message):
    """Several rows of one frame, in its order."""
    cdef Shape shape
    cdef readonly list _records

    @property
    def channel(self):
        return self.shape.id[3]

    @property
    def dt(self):
        return self.shape.id[2]

    def __reduce__(self):
        return rows_of, (type(self), self.shape.id, self._records)


def rows_of(type made, tuple id, list records):
    """Records of one shape as what holds them."""
    cdef Rows rows = <Rows>new(<PyTypeObject*>made)
    rows.shape, rows._records = shape_of(id), records
    return rows


# ======================================================================================== tables

# Where a row of a table stands in its frame, and its symbol.
cdef struct Place:
    uint32_t row
    uint32_t at
    uint32_t n


@cython.final
@cython.internal
cdef class Draft:
    """The rows of a table that is being scanned, row by row."""
    cdef Shape shape
    cdef Py_ssize_t n
    cdef Py_ssize_t room
    cdef double* numbers
    cdef int64_t* times  # 0 where the row has none
    cdef Place* places

    def __dealloc__(self):
        PyMem_Free(self.numbers)
        PyMem_Free(self.times)
        PyMem_Free(self.places)

    cdef bint grow(self) noexcept:
        cdef Py_ssize_t room = 2 * self.room + 64
        cdef void* numbers = PyMem_Realloc(self.numbers, room * CELLS * sizeof(double))
        cdef void* times = PyMem_Realloc(self.times, room * sizeof(int64_t))
        cdef void* places = PyMem_Realloc(self.places, room * sizeof(Place))
        self.numbers = <double*>numbers if numbers != NULL else self.numbers
        self.times = <int64_t*>times if times != NULL else self.times
        self.places = <Place*>places if places != NULL else self.places
        if numbers == NULL or times == NULL or places == NULL:
            return False
        self.room = room
        return True

    cdef Bytes add(self, Source* s, Bytes p, int* wrong) noexcept:
        """One more row, at p."""
        cdef Cell cells[CELLS]
        cdef Shape shape = self.shape
        cdef Bytes begin = p
        cdef Place* place
        cdef double* numbers
        cdef int i
        memset(cells, 0, sizeof(cells))
        wrong[0] = -1
        if self.n == self.room and not self.grow():
            return refuse(s, p, b"more rows than there is memory for")
        p = scan_row(s, p, &shape.columns, cells, wrong)
        if p == NULL:
            return NULL
        place = &self.places[self.n]
        place.row = <uint32_t>(begin - s.start)
        place.at, place.n = cells[shape.symbol].at, cells[shape.symbol].n
        if place.n == 0:
            return refuse(s, begin, b"a row without its symbol")
        self.times[self.n] = cells[shape.time].integer if cells[shape.time].n else 0
        numbers = self.numbers + self.n * shape.numbers
        for i in range(shape.numbers):
            numbers[i] = number_in(&cells[i], shape.kind[i])
        self.n += 1
        return p

    cdef Bytes add_pair(self, Source* s, Bytes p, int* wrong) noexcept:
        """A call and a put, as the REST chain has them by strike; either may be missing."""
        cdef Walk walk
        wrong[0] = -1
        begin_walk(&walk)
        while True:
            p = next_field(s, p, &pair_keys, &walk)
            if p == NULL or walk.role < 0:
                return p
            p = self.add(s, p, wrong) if peek(s, p) == c"{" else skip_value(s, p, 0)
            if p == NULL:
                return NULL


cdef Draft spare_draft = None  # its memory serves the next table


cdef Draft draft_for(Shape shape):
    global spare_draft
    draft = spare_draft
    spare_draft = None  # code that runs in between makes its own
    if draft is None:
        draft = Draft()
    draft.shape, draft.n = shape, 0
    return draft


cdef class Grid(Message):
    """Many rows as columns; see `Table`. It keeps the bytes of the whole frame alive."""
    cdef bytes frame
    cdef Shape shape
    cdef Py_ssize_t n
    cdef Place* places
    cdef Cell envelope_time
    cdef readonly object ts_ms  # int64 (rows,)
    cdef object block           # float64 (numbers, rows)
    cdef list views             # of the block, by cell
    cdef readonly dict _known   # what has been read from the symbols, until they change

    def __dealloc__(self):
        PyMem_Free(self.places)

    @property
    def channel(self):
        return shape_of_grid(self).id[3]

    @property
    def dt(self):
        return shape_of_grid(self).id[2]

    def __len__(self):
        return self.n

    def _symbols(self):
        cdef Bytes start = <Bytes>PyBytes_AS_STRING(self.frame)
        shape_of_grid(self)
        return [decoded(start + self.places[i].at, self.places[i].n) for i in range(self.n)]

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
        shape = shape_of_grid(self)
        return restored_grid, (
            type(self), shape.id, self.frame, [self.places[i].row for i in range(self.n)],
            self.envelope_time.at if self.envelope_time.n else None)


def restored_grid(type made, tuple id, bytes frame, list rows, time_at):
    """A pickled table: its frame, and where the rows and the time of the frame stand there."""
    cdef Source s
    cdef Cell time
    cdef int wrong
    cdef Draft draft = draft_for(shape_of(id))
    cdef Grid grid = made.__new__(made)
    time.n = 0
    hold(&s, frame)
    for row in rows:
        draft.add(&s, s.start + <Py_ssize_t>row, &wrong)
    if time_at is not None:
        scan_cell(&s, s.start + <Py_ssize_t>time_at, INTEGER, &time)
    take_over(grid, draft, frame, &time)
    return grid


cdef Shape shape_of_grid(Grid grid):
    if grid.shape is None:
        raise UsageError(f"this {type(grid).__name__} was never made")
    return grid.shape


cdef object column_of(Grid grid, Field field):
    shape_of_grid(grid)
    view = grid.views[field.cell]
    if view is None:
        view = grid.views[field.cell] = grid.block[field.cell]
    return view


cdef bint same_symbols(Grid grid, Draft draft, bytes frame) noexcept:
    cdef Bytes old = <Bytes>PyBytes_AS_STRING(grid.frame)
    cdef Bytes new = <Bytes>PyBytes_AS_STRING(frame)
    cdef Place* place
    cdef Py_ssize_t i
    for i in range(draft.n):
        place = &draft.places[i]
        if place.n != grid.places[i].n or memcmp(
            new + place.at, old + grid.places[i].at, place.n
        ) != 0:
            return False
    return True


cdef void* memory_of(object array) except NULL:
    """Where the elements of an array are, as long as it lives."""
    cdef Py_buffer view
    PyObject_GetBuffer(array, &view, PyBUF_C_CONTIGUOUS | PyBUF_WRITABLE)
    PyBuffer_Release(&view)
    return view.buf


cdef int take_over(Grid grid, Draft draft, bytes frame, Cell* time) except -1:
    """The draft becomes what the table holds; arrays of as many rows are written over."""
    global spare_draft
    cdef Py_ssize_t n = draft.n, i
    cdef int column, width = draft.shape.numbers
    cdef bint fits = grid.shape is draft.shape and grid.n == n
    cdef Place* places
    cdef int64_t* to_times
    cdef double* to
    block = grid.block if fits else np.empty((width, n))
    times = grid.ts_ms if fits else np.empty(n, np.int64)
    views = grid.views if fits else [None] * width
    to, to_times = <double*>memory_of(block), <int64_t*>memory_of(times)
    places = <Place*>PyMem_Realloc(grid.places, (n or 1) * sizeof(Place))
    if places == NULL:
        raise MemoryError
    # From here on nothing fails, and no Python code runs until all is written.
    grid.places = places
    if not (fits and same_symbols(grid, draft, frame)):
        grid._known = {}
    memcpy(places, draft.places, n * sizeof(Place))
    for i in range(n):
        to_times[i] = time.integer if draft.times[i] == 0 and time.n else draft.times[i]
        for column in range(width):
            to[column * n + i] = draft.numbers[i * width + column]
    grid.envelope_time = time[0]
    grid.n, grid.frame, grid.shape = n, frame, draft.shape
    grid.block, grid.ts_ms, grid.views = block, times, views
    spare_draft = draft
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


cdef bytes kept_bytes(Source* s, object frame):
    """The bytes of a frame, to be kept: nobody may change them."""
    if s.end - s.start > UINT32_MAX:
        raise DecodeError("a frame of more than 4 GiB")
    return frame if type(frame) is bytes else PyBytes_FromStringAndSize(
        <char*>s.start, s.end - s.start)


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


cdef Draft scan_table(Source* s, Bytes* at, Channel channel):
    """A row, or a list of them, of a table; at[0] goes behind it."""
    cdef Draft draft = draft_for(channel.shape)
    cdef bint many = peek(s, at[0]) == c"[", more = True
    cdef Bytes p = blanks(s, at[0] + 1) if many else at[0]
    cdef int wrong
    if many and peek(s, p) == c"]":
        more = False
        p += 1
    while more:
        p = draft.add_pair(s, p, &wrong) if channel.pairs else draft.add(s, p, &wrong)
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
        take_over(<Grid?>into, <Draft>rows, frame, time)
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

    cdef PyObject* channel_at(self, Source* s, Bytes* at) noexcept:
        """That of the code at at[0], which goes behind it; NULL where it is none of these."""
        cdef Bytes p = at[0]
        cdef unsigned int code = 0, digit = peek(s, p) - c"0"
        while digit <= 9 and code < CODES:
            code = 10 * code + digit
            p += 1
            digit = peek(s, p) - c"0"
        if p == at[0] or code >= CODES or strchr(b",} \n\r\t", peek(s, p)) == NULL:
            return NULL
        at[0] = p
        return self.by_code[code]

    cdef object take(self, Source* s, object frame, object into):
        """The message that a frame is; None where it is of no channel that is known here.

        into: the table that it is to become, and must.
        """
        cdef Walk walk
        cdef Cell time
        cdef Bytes p = blanks(s, s.start), data = NULL
        cdef Channel channel = None
        cdef bytes kept = None
        cdef object rows = None
        cdef PyObject* known
        if peek(s, p) != c"{":
            return None
        time.n = 0
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
            elif walk.role == TIME:
                p = scan_cell(s, p, INTEGER, &time)
            elif walk.role == IGNORED:
                p = skip_value(s, p, 0)
            else:
                data = p
                if channel is None:  # what it is may come behind it
                    p = skip_value(s, p, 0)
                else:
                    kept = kept_bytes(s, frame)
                    rows = scan_rows(s, &p, channel, kept)
            if p == NULL:
                break
        if channel is None:
            return None
        if p != NULL:
            p = blanks(s, p)
            if p != s.end:
                p = refuse(s, p, b"something follows the frame")
            elif data == NULL:
                p = refuse(s, p, b"no data")
        if p == NULL:
            raise raised(s)
        if rows is None:
            kept = kept_bytes(s, frame)
            rows = scan_rows(s, &data, channel, kept)
        if into is not None and type(into) is not channel.made:
            raise UsageError(f"a {channel.made.__name__} is no {type(into).__name__}")
        return held(rows, channel, kept, &time, into)


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
    kept = kept_bytes(&s, body_held)
    time.n = 0
    return held(scan_rows(&s, &p, channel, kept), channel, kept, &time, None)

# One object of a frame, whose values become Python objects when they are read; part of _message.

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

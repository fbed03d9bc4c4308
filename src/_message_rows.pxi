# One object of a frame, whose values become Python objects when they are read; part of _message.

MOST_FIELDS = FIELDS  # that a class of records may have

Kind = IntEnum("Kind", {
    "NUMBER": NUMBER, "VOLATILITY": VOLATILITY, "QUOTE": QUOTE, "INTEGER": INTEGER, "CODE": CODE,
    "FLAG": FLAG, "TEXT": TEXT, "ANYTHING": ANYTHING, "WORD": WORD, "LABEL": LABEL,
    "SECONDS": SECONDS,
})


@cython.final
cdef class Field:
    """Field(kind, keys, enumeration=(), words=None)

    An attribute of a class of messages, and the keys under which venues send it.

    ``kind`` is a `Kind`. ``enumeration`` has the members that codes mean, ``words`` the texts that
    stand for some. ``keys`` has one text for each column of its class, or none: the keys in the
    order in which the first that has a value is taken, with blanks between them. Read from an
    instance it gives the value, from the class itself.
    """
    cdef readonly str name
    cdef readonly tuple keys
    cdef readonly int kind
    cdef public int place  # among the fields of its class, for `columns`
    cdef object enumeration
    cdef dict members          # by code
    cdef Words words
    cdef PyObject* few[FEW]    # of these, by code
    cdef PyTypeObject* owner   # which holds this field

    __class_getitem__ = classmethod(GenericAlias)  # for annotations

    def __init__(self, int kind, tuple keys, enumeration=(), words=None):
        self.kind, self.keys, self.enumeration = kind, keys, enumeration
        self.members = {}
        for member in enumeration:
            self.member(int(member))
        for word, code in (words or {}).items():
            if self.words.n == WORDS or not set_key(&self.words.word[self.words.n], word, 0):
                raise UsageError(f"no room for {word!r}")
            self.words.code[self.words.n] = code
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
    int cell  # NO_CELL where no key is for it
    int kind


# A size whose sign says a side: where it is, and whether a plus says one too.
cdef struct Sign:
    int cell
    bint plus


cdef inline size_t place_of(PyObject* name) noexcept:
    return (<size_t>name >> 4 ^ <size_t>name >> 11) & (PLACES - 1)


cdef object venue_of(type made, object column):
    """The `Spelling` of a column, where it has one."""
    return None if type(column) is tuple else getattr(made, "_venues", {}).get(column)


cdef list described(type made, object column):
    """The attributes of a class that a column has: each with its keys, and what each of them is."""
    if type(column) is tuple:  # made by hand, of values of these kinds
        kinds = dict(column)
        return [(f, [(f.name, kinds[f.name], f)] if f.name in kinds else []) for f in made._fields]
    venue = venue_of(made, column)
    if venue is not None:
        return [
            (f, [(key, said.kind, said) for said in venue.keys.get(f.name, ())
                 for key in said.keys])
            for f in made._fields
        ]
    if column not in getattr(made, "_columns", ()):
        raise UsageError(f"{made.__name__} has no column {column!r}")
    at = made._columns.index(column)
    return [(f, [(key, f.kind, f) for key in (f.keys[at] if f.keys else "").split()])
            for f in made._fields]


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
    cdef int cells[FIELDS]  # by the place of a field
    cdef Attribute attributes[PLACES]
    cdef Sign signs[SIGNS]
    cdef int signed      # how many of these there are
    cdef int side        # the cell of the side
    cdef dict derived    # attributes that are made of the whole row, by name
    cdef bint is_more    # whether there is one of either

    def __cinit__(self, tuple id):
        cdef int i, n = 0, first
        cdef size_t place
        cdef Field field, said
        cdef Column* column
        self.id = id
        made, name, _dt, _channel = id
        self.type = <PyTypeObject*>made
        attributes = described(made, name)
        venue = venue_of(made, name)
        self.derived = {} if venue is None else venue.derived
        self.nothing = _nan if made._computed else None
        signed = () if venue is None else venue.signs  # by name, whether a plus says a side
        memset(self.cells, NO_CELL, sizeof(self.cells))
        self.c.time = self.c.symbol = self.side = NO_CELL
        # Numbers first, so that those of a table stand side by side.
        for field, keys in sorted(attributes, key=lambda one: one[0].kind > QUOTE):
            kept = made._computed or field.name in ("ts_ms", "symbol") or (
                field.name == "side" and signed)
            if not keys and (not kept or field.name in self.derived):
                continue
            if n == CELLS:
                raise UsageError(f"{made.__name__} has more than {CELLS} attributes with a value")
            self.cells[field.place] = n
            self.c.kind[n] = keys[0][1] if keys else field.kind
            self.c.numbers += self.c.kind[n] <= QUOTE
            if field.name == "ts_ms":
                self.c.time = n
            elif field.name == "symbol":
                self.c.symbol = n
            elif field.name == "side":
                self.side = n
            if field.name in signed:
                self.signs[self.signed].cell = n
                self.signs[self.signed].plus = signed[field.name]
                self.signed += 1
            n += 1
        self.is_more = self.signed > 0 or len(self.derived) > 0
        names = []
        for field, keys in attributes:
            first = len(names)
            for key, kind, said in keys:
                i = len(names)
                if not add_key(&self.c.columns.keys, key, i + 1):
                    raise UsageError(f"{made.__name__}: no room for the key {key!r}")
                column = &self.c.columns.of[i]
                column.kind = kind if venue is None or kind != TEXT else WORD
                column.cell, column.alone = self.cells[field.place], len(keys) == 1
                column.none = venue is not None
                column.better = (<uint64_t>1 << i) - (<uint64_t>1 << first)
                column.words = &said.words
                names.append(field.name)
        self.names = tuple(names)
        for field in made._fields:
            place = place_of(<PyObject*>field.name)
            while self.attributes[place].name != NULL:
                place = (place + 1) & (PLACES - 1)
            i = self.cells[field.place]
            self.attributes[place].name = <PyObject*>field.name
            self.attributes[place].field = <PyObject*>field
            self.attributes[place].cell = i
            self.attributes[place].kind = ANYTHING if i == NO_CELL else self.c.kind[i]


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

    @property
    def version(self):
        """How the venue counts the frames of its channel; None where it does not."""
        return None

    @property
    def base_line(self):
        """Within which `version` counts: another one begins anew. None where there is none."""
        return None

    @property
    def is_snapshot(self):
        """Whether its frame said all that there is, and not what has changed; None where the venue
        did not say."""
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


@cython.no_gc  # bytes, a shape and plain values refer to nothing that would refer to it
cdef class Cells(Message):
    """One row of a frame. It keeps the bytes of the whole frame alive."""
    cdef bytes frame
    cdef PyObject* shape  # a Shape, which `shapes` keeps; NULL before _fill()
    cdef Py_ssize_t start
    cdef tuple said       # version, base line, whether a snapshot, what is made of the whole row
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
                    return value_in(
                        self, <Field>attribute.field, attribute.cell, attribute.kind)
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
    def version(self):
        return None if self.said is None else self.said[0]

    @property
    def base_line(self):
        return None if self.said is None else self.said[1]

    @property
    def is_snapshot(self):
        return None if self.said is None else self.said[2]

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
        """What the venue sent as the value of an attribute, without a sign that says a side; None
        where it sent none."""
        cdef Shape shape = shape_of_row(self)
        cdef int i = shape.cells[field.place]
        if i == NO_CELL:
            value = made_of(self, field.name)
            return None if value is None else str(value)
        if self.cells[i].n and shape.c.kind[i] > QUOTE and self.cells[i].in_e8:
            return str(self.cells[i].integer)
        text = text_of(self, &self.cells[i])
        for sign in shape.signs[:shape.signed]:
            if sign.cell == i:
                text = text.strip(" ").removeprefix("-")
        return text or None

    def _kind(self, Field field not None):
        """What an attribute is in rows as this one."""
        cdef Shape shape = shape_of_row(self)
        cdef int i = shape.cells[field.place]
        return field.kind if i == NO_CELL else shape.c.kind[i]

    @property
    def _made_of(self):
        """Of one that was made by hand, (name, kind) of the attributes that it was made of."""
        return <tuple?>shape_of_row(self).id[1]

    def _fill(self, bytes row not None, tuple kinds not None):
        """Makes it of a row that has the attributes' names for keys. Raises DecodeError.

        kinds: (name, kind) of those that the row has.
        """
        cdef Source s
        cdef int wrong
        cdef Shape shape = shape_of((type(self), kinds, None, None))
        if self.shape != NULL:
            raise UsageError(f"a {type(self).__name__} never changes")
        hold(&s, row)
        if scan_row(&s, s.start, &shape.c.columns, self.cells, &wrong) == NULL:
            memset(self.cells, 0, sizeof(self.cells))
            raise refusal(&s, shape, wrong)
        self.frame, self.shape = row, <PyObject*>shape

    def __reduce__(self):
        cdef Shape shape = shape_of_row(self)
        ts = time_text(self.frame, &self.cells[shape.c.time])
        return restored_row, (shape.id, self._row, ts, self.said and self.said[:3])


cdef str time_text(bytes frame, Cell* time):
    """A time, as milliseconds; an escape may stand for a blank."""
    if time.n and time.in_e8:
        return str(time.integer)
    return decoded(bytes_of(frame) + time.at, time.n).strip(" ")


def restored_row(tuple id, bytes row, str ts, tuple said=None):
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
    if said is not None:
        tell(record, said)
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
    if shape.is_more:
        take_signs(record, shape)
        if shape.derived:
            derive(record, shape)
    return record


cdef int take_signs(Cells record, Shape shape) except -1:
    """A size with a sign is a size, and a side."""
    cdef Cell* side = &record.cells[shape.side]
    cdef Cell* size
    cdef int i, sign, code
    for i in range(shape.signed):
        size = &record.cells[shape.signs[i].cell]
        if size.n == 0:
            continue
        if size.in_e8:
            sign = (size.integer > 0) - (size.integer < 0)
            size.integer *= sign
        else:
            sign = (size.number > 0) - (size.number < 0)
            size.number = fabs(size.number)  # of -0 too
        code = SELL if sign < 0 else BUY if sign > 0 and shape.signs[i].plus else 0
        if code and side.n == 0:
            side.integer, side.at, side.n, side.in_e8 = code, size.at, size.n, 1
        elif code and (side.integer == BUY or side.integer == SELL) and side.integer != code:
            raise DecodeError("the sign of a size says another side", size.at)
    return 0


cdef int derive(Cells record, Shape shape) except -1:
    """What is made of the whole row. Raises DecodeError."""
    try:
        row = json.loads(record._row, parse_float=Decimal, parse_int=Decimal)
        record.said = None, None, None, {name: made(row) for name, made in shape.derived.items()}
    except DecodeError:
        raise
    except (ArithmeticError, TypeError, ValueError) as error:
        raise DecodeError(f"a row that makes no sense: {error}", record.start) from None
    return 0


cdef object made_of(Cells record, str name):
    """An attribute that is made of the whole row; None where that has none."""
    cdef tuple said = record.said
    return said[3].get(name) if said is not None and len(said) > 3 else None


cdef int tell(Cells record, tuple said) except -1:
    """What the frame says of all its rows: version, base line, whether a snapshot."""
    record.said = said if record.said is None else said + record.said[3:]
    return 0


cdef inline void set_time(Cells record, Cell* time) noexcept:
    """The envelope's time, where the row has none."""
    cdef Cell* own = &record.cells[(<Shape>record.shape).c.time]  # which all have
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
    cdef Shape shape = shape_of_row(record)
    cdef int i = shape.cells[field.place]
    return value_in(record, field, i, ANYTHING if i == NO_CELL else shape.c.kind[i])


cdef object value_in(Cells record, Field field, int i, int kind):
    """The value of an attribute, of which is known where it is in such rows, and what."""
    cdef Cell* cell
    cdef double number
    if i == NO_CELL:
        return derived_value(record, field)
    cell = &record.cells[i]
    if kind <= QUOTE:
        number = number_in(cell, kind)
        return (<Shape>record.shape).nothing if isnan(number) else number
    if cell.n == 0:
        return None
    if kind == FLAG:
        return cell.integer != 0
    if kind == ANYTHING:
        try:
            return json.loads(record.frame[cell.at:cell.at + cell.n])
        except ValueError as error:  # an integer of more digits than CPython converts
            raise DecodeError(f"{field.name}: what Python cannot hold: {error}") from None
    if kind == TEXT or kind == LABEL or (kind == WORD and cell.integer == UNREAD):
        # One that is no text has no words: a flag that is not said is not there.
        return None if field.kind == FLAG else name_at(bytes_of(record.frame) + cell.at, cell.n)
    if field.kind == FLAG:
        return cell.integer != 0
    if field.kind == CODE and 0 <= cell.integer < FEW and field.few[cell.integer] != NULL:
        return <object>field.few[cell.integer]
    value = cell.integer if cell.integer != UNREAD else int(text_of(record, cell))
    return field.member(value) if field.kind == CODE else value


cdef object derived_value(Cells record, Field field):
    """One that no key is for: made of the whole row, or absent."""
    value = made_of(record, field.name)
    return float(value) if value is not None and field.kind <= QUOTE else value


cdef class Many(Message):
    """What holds several rows of one frame."""
    cdef Shape shape
    cdef tuple said

    @property
    def channel(self):
        return whole(self, self.shape).id[3]

    @property
    def dt(self):
        return whole(self, self.shape).id[2]

    @property
    def version(self):
        return None if self.said is None else self.said[0]

    @property
    def base_line(self):
        return None if self.said is None else self.said[1]

    @property
    def is_snapshot(self):
        return None if self.said is None else self.said[2]


cdef class Rows(Many):
    """Several rows, in the order of the frame."""
    cdef list records

    @property
    def _records(self):
        whole(self, self.shape)
        return self.records

    def __reduce__(self):
        return rows_of, (type(self), whole(self, self.shape).id, self.records, self.said)


def rows_of(type made, tuple id, list records, tuple said=None):
    """Records of one shape as what holds them."""
    cdef Rows rows = <Rows>new(<PyTypeObject*>made)
    rows.shape, rows.records, rows.said = shape_of(id), records, said
    return rows

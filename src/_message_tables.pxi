# Many objects of a frame as columns; part of _message, behind its rows.

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
            time_text(self.frame, &self.envelope_time))


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
    return grid.views[grid.shape.cells[field.place]]


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

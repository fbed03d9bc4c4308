# cython: language_level=3, binding=False, cdivision=True
# cython: boundscheck=False, wraparound=False, initializedcheck=False
"""What must hold of any sequence of frames, checked through the C level of the compiled core.

An input is a byte of options and up to STEPS steps, each of which ends at a byte 0xFF: a frame, or,
behind a byte 0xFE, a call of another method. One book (or store) takes them all, in order, and
remembers what it likes of them; model.c takes them too, and remembers levels alone. After each step
all that can be seen of each book is what the model says: whether the frame was taken or how it was
refused, levels and the slots past them, times, version, validity, all counts, the change bits, the
ages of all levels, the symbol. A refused frame changes nothing in the model but a count.

Of a store, frames may be messages. Whether these are refused is model_message.py's to say, and in
an input whose options say so, check_message.py looks at all that is in them; that takes Python.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.object cimport PyObject
from cpython.ref cimport Py_DECREF
from libc.stdint cimport INT64_MAX, int64_t, uint8_t, uint64_t
from libc.stdio cimport fflush, fprintf, snprintf, stderr, stdout
from libc.stdlib cimport abort
from libc.string cimport memchr, memcmp, memcpy, memset

from _levels cimport Age, Book
from coincall_fast._book cimport LEVELS, NO_PRICE, BookStore, OrderBook

import gc
import traceback

from check_message import Checker, spend
from coincall_fast.errors import DecodeError, GapError, SymbolMismatch
from coincall_fast.wire import BYBIT, COINCALL

cdef extern from "Python.h":
    PyObject* PyObject_VectorcallMethod(PyObject*, PyObject**, size_t, PyObject*)
    size_t PY_VECTORCALL_ARGUMENTS_OFFSET
    bint PyErr_ExceptionMatches(PyObject*)
    void PyErr_Print()
    void PyErr_Clear()
    void Py_SET_SIZE(PyObject*, Py_ssize_t)
    Py_ssize_t Py_REFCNT(object)
    object PyMemoryView_FromMemory(char*, Py_ssize_t, int)
    int PyBUF_READ
    object PyLong_FromLongLong(long long)
    object PyUnicode_FromString(const char*)

cdef extern from "harness.h":
    enum: STEPS, REJECTED, TAKEN, MESSAGE, UNDECODED, OTHER_SYMBOL, GAP, ROWS, LEFT_OPEN
    ctypedef struct ModelBook:
        int64_t rows[4][LEVELS]
        int64_t ages[2][LEVELS][2]
        int64_t counts[8]
        int n[2]
        uint64_t updates
        int64_t ts_ms, recv_ns, version
        int valid, last_change, name_n
        uint8_t* name
    ctypedef struct Model:
        ModelBook book[9]
        int books
    void fence(uint8_t*, size_t, size_t) noexcept
    size_t heap_bytes() noexcept
    void model_start(Model*, int) noexcept
    int model_frame(
        Model*, int, int, const uint8_t*, size_t, int64_t, int*) noexcept
    void model_clear(ModelBook*) noexcept
    void model_load(ModelBook*, int, int64_t, int64_t, int64_t) noexcept
    void model_update(ModelBook*, int, int64_t, int64_t, int64_t) noexcept

cdef enum:
    ROOM = 1 << 16   # bytes of the longest frame
    STEP_NS = 1000   # between one step and the next

cdef int64_t E8 = 10 ** 8

cdef enum Option:
    IS_BYBIT = 1   # whose frames they are
    IS_STORE = 2   # they are fed to a store
    IS_VIEW = 4    # as a memoryview
    TIMELESS = 8   # every other one without a time of receipt
    MESSAGES = 16  # all that messages say is looked at; what is fed then is a store of Coincall's

cdef enum:
    RARELY = 16     # one in so many frames is looked at from all sides
    LEAKS = 1024    # one in so many inputs is run once more, to see whether memory is given back

cdef object APPLY = "apply", FEED = "feed"
cdef bytes frame_bytes = PyBytes_FromStringAndSize(NULL, ROOM)
cdef bytes other_bytes = PyBytes_FromStringAndSize(NULL, ROOM)
Py_SET_SIZE(<PyObject*>frame_bytes, 0)  # none has come
cdef Model model
cdef list books = []        # in the order of the model's
cdef OrderBook found        # the book that the last call was about
cdef object said_last       # what it returned
cdef object checker
cdef int step
cdef uint64_t frames_taken = 0, frames_applied = 0, messages_read = 0


cdef int fail(const char* what) except -1:
    """Says what is wrong, and ends the process, so that libFuzzer keeps the input."""
    fflush(stdout)
    fprintf(stderr, "==== FINDING in step %d: %s\n", step, what)
    try:
        print("frame:", bytes(frame_bytes), flush=True)
        for i, book in enumerate(books):
            print(book, book.depth(3), book.stats, flush=True)
            print("model:", [model.book[i].counts[j] for j in range(8)], model.book[i].updates,
                  [[model.book[i].rows[j][k] for k in range(3)] for j in range(4)], flush=True)
    finally:
        abort()


cdef inline int ensure(bint holds, const char* what) except -1:
    if not holds:
        fail(what)
    return 0


cdef int call(object target, object method, object frame, int64_t recv_ns) except -1:
    """The Outcome of `apply` or `feed`; `found` is the book of a frame that was taken."""
    global found, said_last
    cdef object recv = PyLong_FromLongLong(recv_ns)
    cdef PyObject* args[4]
    cdef PyObject* out
    cdef int outcome = UNDECODED
    args[0] = NULL
    args[1] = <PyObject*>target
    args[2] = <PyObject*>frame
    args[3] = <PyObject*>recv
    out = PyObject_VectorcallMethod(
        <PyObject*>method, &args[1], 3 | PY_VECTORCALL_ARGUMENTS_OFFSET, NULL)
    if out != NULL:
        answer = <object>out
        Py_DECREF(answer)
        said_last = answer
        if isinstance(answer, OrderBook):
            found = answer
        elif isinstance(target, OrderBook):
            found = target
            ensure(answer == found.last_change, b"last_change is not what apply() returned")
        else:
            return MESSAGE
        return TAKEN
    if PyErr_ExceptionMatches(<PyObject*>DecodeError):
        outcome = UNDECODED
    elif PyErr_ExceptionMatches(<PyObject*>SymbolMismatch):
        outcome = OTHER_SYMBOL
    elif PyErr_ExceptionMatches(<PyObject*>GapError):
        outcome = GAP
    else:
        PyErr_Print()
        fail(b"an error that no frame may raise")
    PyErr_Clear()
    return outcome


cdef int compare(OrderBook book, ModelBook* said) except -1:
    """All that can be seen of a book is what the model says."""
    cdef int64_t rows[4][LEVELS]
    cdef int n[2]
    cdef Book* core = <Book*>book.levels
    cdef int side
    ensure(book.c_levels(rows, &n[0], &n[1]) == said.updates, b"c_levels() is of another moment")
    ensure(book.update_count == said.updates, b"update_count")
    ensure(n[0] == said.n[0] and n[1] == said.n[1], b"the number of levels")
    ensure(memcmp(rows, said.rows, sizeof(rows)) == 0, b"the levels")
    ensure(memcmp(book.counts, said.counts, sizeof(said.counts)) == 0, b"the counts")
    for side in range(2):
        ensure(
            memcmp(core.ages[core.aged][side], said.ages[side], n[side] * sizeof(Age)) == 0,
            b"the ages")
    ensure(book.last_change == said.last_change, b"the change bits")
    ensure(book.is_valid == said.valid, b"is_valid")
    ensure(book.ts_ms == said.ts_ms and book.recv_ns == said.recv_ns, b"the times")
    ensure(book.held_version == said.version, b"the version")
    ensure(
        book.utf8 is None if said.name_n == 0 else PyBytes_GET_SIZE(book.utf8) == said.name_n
        and memcmp(PyBytes_AS_STRING(book.utf8), said.name, said.name_n) == 0,
        b"the symbol")
    return 0


cdef int compare_members(OrderBook book, ModelBook* said, int64_t now_ns) except -1:
    """The same through members that cost more, or say no more than others do."""
    cdef int side, i
    cdef int64_t since
    ensure(book.c_best_bid_e8() == (said.rows[0][0] or NO_PRICE), b"c_best_bid_e8()")
    ensure(book.c_best_ask_e8() == (said.rows[2][0] or NO_PRICE), b"c_best_ask_e8()")
    ensure(book.c_best_bid_size() == <double>said.rows[1][0] / 1e8, b"c_best_bid_size()")
    ensure(book.c_best_ask_size() == <double>said.rows[3][0] / 1e8, b"c_best_ask_size()")
    ensure(said.name_n == 0 or book.symbol.encode() == book.utf8, b"symbol")
    for side in range(2):
        if said.n[side]:
            i = (7 * said.updates + frames_taken) % said.n[side]
            since = said.ages[side][i][0]
            ensure(
                book.level_age_ns("ask" if side else "bid", i, now_ns)
                == (now_ns - since if since else INT64_MAX), b"level_age_ns()")
            since = said.ages[side][i][1]
            ensure(
                book.changed_ns("ask" if side else "bid", i, now_ns)
                == (now_ns - since if since else INT64_MAX), b"changed_ns()")
    return 0


def fenced(function, kind, bytes text, *args):
    """Calls it with a frame of some type, which afterwards says something else."""
    cdef uint8_t* held = <uint8_t*>PyBytes_AS_STRING(other_bytes)
    cdef Py_ssize_t n = PyBytes_GET_SIZE(text)
    if kind is not memoryview:
        frame = text.decode() if kind is str else kind(text)
        try:
            return function(frame, *args)
        finally:
            if kind is bytearray:
                frame[:] = b"#" * n
    fence(held, ROOM, n)
    memcpy(held, PyBytes_AS_STRING(text), n)
    try:
        return function(PyMemoryView_FromMemory(<char*>held, n, PyBUF_READ), *args)
    finally:
        memset(held, c"#", n)


checker = Checker(fenced)


cdef uint64_t checksum(const uint8_t* p, size_t n) noexcept:
    """By which some inputs are chosen, always the same ones."""
    cdef uint64_t total = 0
    cdef size_t i
    for i in range(n):
        total = total * 31 + p[i]
    return total >> 3


cdef int checked(method, args) except -1:
    """Calls a method of the checker."""
    try:
        method(*args)
    except BaseException:
        traceback.print_exc()
        fail(b"a message")
    return 0


cdef int take_message(int options, const uint8_t* p, size_t n, int outcome, int said) except -1:
    """What may be a message; the Outcome that the frame must have."""
    global messages_read
    cdef bytes text = p[:n]
    want = checker.meaning(text) if said == ROWS or said == MESSAGE else None
    if want is ...:
        return LEFT_OPEN
    if said == ROWS or said == MESSAGE:
        said = UNDECODED if want is None else MESSAGE
    messages_read += said == MESSAGE
    if options & MESSAGES and outcome == said:
        checked(checker.frame, (text, want, said_last, checksum(p, n) % RARELY == 0))
    return said


cdef int take_frame(
    object target, int options, const uint8_t* text, size_t n, int64_t recv_ns
) except -1:
    """Whether to go on."""
    global frames_taken, frames_applied, said_last
    cdef uint8_t* held = <uint8_t*>PyBytes_AS_STRING(frame_bytes)
    cdef Py_ssize_t references = Py_REFCNT(frame_bytes)
    cdef object frame = frame_bytes
    cdef int outcome, said, which, i, rejected = 0
    fence(held, ROOM, n)  # behind the last byte of a frame is memory that must not be read
    memcpy(held, text, n)
    Py_SET_SIZE(<PyObject*>frame_bytes, n)
    if options & IS_VIEW:
        frame = PyMemoryView_FromMemory(<char*>held, n, PyBUF_READ)
    frames_taken += 1
    said_last = None
    outcome = call(target, FEED if options & IS_STORE else APPLY, frame, recv_ns)
    said = model_frame(&model, options & IS_BYBIT, options & IS_STORE, text, n, recv_ns, &which)
    # Of what has no channel, some is refused too: what Python cannot hold, or a broken heartbeat.
    if said == ROWS or (said == MESSAGE and outcome != said) or (
        options & MESSAGES and said != LEFT_OPEN
    ):
        said = take_message(options, text, n, outcome, said)
    said_last = None
    if said == LEFT_OPEN:
        return False
    frame = None
    ensure(Py_REFCNT(frame_bytes) == references, b"somebody still holds the frame")
    ensure(outcome == said, b"refused, or taken, or not for that reason")
    if said == TAKEN:
        frames_applied += 1
        if which == len(books):
            books.append(found)
        ensure(books[which] is found, b"another book")
    ensure(
        not options & IS_STORE or len((<BookStore>target).books) == model.books,
        b"books that nothing was taken for")
    for i in range(model.books):
        if options & IS_STORE and said == UNDECODED:  # as far as the symbol could be read
            rejected += (<OrderBook>books[i]).counts[REJECTED] - model.book[i].counts[REJECTED]
            model.book[i].counts[REJECTED] = (<OrderBook>books[i]).counts[REJECTED]
        compare(books[i], &model.book[i])
    ensure(rejected in (0, 1), b"one refused frame counts as several")
    return True


cdef str text_of(int64_t e8):
    cdef char text[40]
    snprintf(text, sizeof(text), b"%lld.%08lld", <long long>(e8 // E8), <long long>(e8 % E8))
    return PyUnicode_FromString(text)


cdef int take_call(
    OrderBook book, ModelBook* said, const uint8_t* text, Py_ssize_t n, int64_t recv_ns
) except -1:
    """Another method than `apply`, as four bytes say: a letter, a side, a price, a size."""
    cdef int side, letter, a, b, c
    cdef int64_t price, size
    if n < 4:
        return 0
    letter, a, b, c = text[0], text[1], text[2], text[3]
    side = a & 1
    size = (c & 15) * (E8 // 4)
    price = (b + 1) * (E8 // 2)
    if letter == c'c':
        book.clear()
        model_clear(said)
    elif letter == c'l':
        levels = [(text_of(price), text_of(size))]
        book.load(() if side else levels, levels if side else (), 0, recv_ns)
        model_load(said, side, price, size, recv_ns)
    elif letter == c'u':
        if (a & 6) and said.n[side]:  # that of a level, or next to it
            price = said.rows[2 * side][b % said.n[side]]
            if price > INT64_MAX // 2:
                return 0
            price = max(price + ((a >> 1 & 3) - 2) * (E8 // 100), 1)
        book.update("ask" if side else "bid", text_of(price), text_of(size), 0, recv_ns)
        model_update(said, side, price, size, recv_ns)
    compare(book, said)
    return 0


cdef int run(int options, const uint8_t* p, const uint8_t* end) except -1:
    """The steps of an input."""
    global found, step
    cdef int i
    cdef const uint8_t* stop
    cdef Py_ssize_t n
    cdef int64_t recv_ns = 0
    found = None
    step = 0
    books.clear()
    checker.chain = None
    wire = BYBIT if options & IS_BYBIT else COINCALL
    target = BookStore(wire=wire) if options & IS_STORE else OrderBook(wire=wire)
    model_start(&model, options & IS_STORE)
    if not options & IS_STORE:
        books.append(target)
    while p <= end and step < STEPS:
        stop = <const uint8_t*>memchr(p, 0xFF, end - p) if p < end else NULL
        if stop == NULL:
            stop = end
        n = stop - p
        step += 1
        recv_ns = 0 if options & TIMELESS and step & 1 else step * STEP_NS
        if n > 2 and p[0] == 0xFE and p[1] == c'r' and options & MESSAGES:
            checked(checker.answer, (p[2], p[3:n], checksum(p, n) % RARELY == 0))
        elif n and p[0] == 0xFE:
            for i in range(len(books)):
                take_call(books[i], &model.book[i], p + 1, n - 1, recv_ns)
        elif n <= ROOM and not take_frame(target, options, p, n, recv_ns):
            return 0
        p = stop + 1
    for i in range(len(books)):
        compare_members(books[i], &model.book[i], recv_ns + 5 * STEP_NS)
    return 0


cdef int look_for_leaks(const uint8_t* p, const uint8_t* end) except -1:
    """The first times may fill what is kept for good; from then on, memory must not grow."""
    cdef size_t held[4]
    cdef int i
    steps = p[:end - p].split(b"\xff")[:STEPS]
    for i in range(4):
        checked(spend, (steps,))
        gc.collect()
        held[i] = heap_bytes()
    ensure(not held[1] < held[2] < held[3], b"memory that is not given back")
    return 0


cdef public int fuzz_one(const uint8_t* data, size_t size) except -1:
    """One input; ends the process if anything is wrong."""
    cdef int options
    if size < 2:
        return 0
    options = data[0] & 31
    if options & MESSAGES:
        options = (options | IS_STORE) & ~IS_BYBIT
    run(options, data + 1, data + size)
    if options & MESSAGES and checksum(data, size) % LEAKS == 0:
        look_for_leaks(data + 1, data + size)
    return 0


cdef public void fuzz_end():
    fprintf(stderr, "frames: %llu taken, %llu of them applied, %llu read as messages\n",
            <unsigned long long>frames_taken, <unsigned long long>frames_applied,
            <unsigned long long>messages_read)

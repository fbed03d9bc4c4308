# cython: language_level=3, auto_pickle=False, autotestdict=False
# cython: binding=False, always_allow_keywords=True, embedsignature=True
# cython: embedsignature.format=clinic, cdivision=True
"""The compiled core: a raw order-book frame in, a fixed-point book of 100 levels a side out.

Four sections, each to be read alone:

numbers   decimal text <-> int64 in units of 1e-8, exactly
scan      one pass over the bytes of a frame, into a draft of the next book
book      the published levels, and the questions that a market maker asks them
decoder   symbol -> book, and what is no order book

A frame is scanned into a draft, and the draft is published when the whole frame has proved legal:
a refused frame has touched nothing that a reader can see. Nothing here knows a venue (what a key
means comes as a `Wire`), reads a clock or keeps a reference to the frame. Below this file lie six
headers in C, which _headers.pxd declares:

_json.h   JSON text, careful and exact
_fields.h the fields of an object by their keys
_plain.h  a level in its usual spelling, as fast as the machine allows
_levels.h the levels of a book: published, drafted, remembered
_edits.h  a change of some of them
_words.h  words that threads share
"""

cimport cython
from cpython.buffer cimport (
    PyBUF_C_CONTIGUOUS, PyBUF_FORMAT, PyBUF_WRITABLE,
    PyBuffer_Release, PyObject_GetBuffer,
)
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from cpython.dict cimport PyDict_GetItem
from cpython.mem cimport PyMem_Calloc, PyMem_Free
from cpython.object cimport PyObject
from cpython.unicode cimport PyUnicode_DecodeUTF8
from libc.math cimport NAN
from libc.stdint cimport INT64_MAX, int64_t, uint16_t, uint64_t
from libc.string cimport memchr, memcmp, memcpy, strchr

import operator
from collections.abc import Mapping
from decimal import Decimal

import numpy as np

from . import change as _change
from .errors import DecodeError, GapError, StaleError, SymbolMismatch, UsageError
from ._message import CodeDecoder, TopicDecoder
from .model import Depth, Side, Stats, Sweep
from .records import Table
from .wire import COINCALL, Role

from coincall_fast._message cimport Decoder

from _frames cimport *
from _headers cimport *
from _levels cimport *

cdef extern from "Python.h":
    const char* PyUnicode_AsUTF8AndSize(object, Py_ssize_t*) except NULL

# The unit of every price and size that is kept: 1e-8.
SCALE = 100_000_000

# What reads usual levels 16 bytes at a time; None where they are read digit by digit.
SIMD = "SSE2" if HAS_QUOTED_LEVEL else None

cdef double SCALE_F = 1e8
cdef int64_t FOREVER_NS = INT64_MAX


# ======================================================================================= numbers
#
# Numbers on the wire are read in C (_json.h, _plain.h); these are the ones that a caller gives.

cdef Fault caller_number(object value, bint is_size, Number* out) except *:
    """A number that a caller gives: text as on the wire, an int, a Decimal, or a float's repr."""
    cdef Py_ssize_t n
    cdef Bytes p, after
    if isinstance(value, str):
        text = value
    elif isinstance(value, bool):
        raise TypeError("a price or size must be a str, int, float or Decimal, not bool")
    elif isinstance(value, float):
        text = float.__repr__(value)
    elif isinstance(value, Decimal):
        text = Decimal.__str__(value)
    else:
        try:
            text = int.__repr__(operator.index(value))
        except ValueError:  # more digits than CPython converts (sys.set_int_max_str_digits)
            return TOO_LARGE
        except TypeError:
            raise TypeError(
                "a price or size must be a str, int, float or Decimal, "
                f"not {type(value).__name__}"
            ) from None
    try:
        p = <Bytes>PyUnicode_AsUTF8AndSize(text, &n)
    except UnicodeEncodeError:
        return NOT_A_NUMBER
    return padded_number(p, p + n, is_size, out, &after)


# ========================================================================================== scan
#
# As in _json.h, every function takes a position and returns the position behind what it has read,
# or NULL after noting in the Source what is wrong and where. None makes an object that the
# collector tracks, so that no Python code runs, and nobody writes the book, before settle().

include "_book_layout.pxi"

# All that a frame has said when its first side begins; mostly the next one says it byte for byte
# again, and is read on from there.
cdef struct Head:
    int n               # bytes; 0 or less where there is no such thing
    Bytes start         # of the frame
    Bytes data
    Walk frame
    Walk within         # the data
    Text symbol
    int64_t ts_ms
    int64_t version
    int kind

cdef struct Scan:
    Source source
    Rules* rules
    PyObject* book       # the OrderBook that this is for, borrowed; NULL where there is none yet
    int64_t recv_ns
    bint is_book
    uint64_t seen        # the roles that the frame has filled
    int list             # the last one of a change that has been read; they have an order
    bint late            # one could not be read where it stood
    Text symbol          # p is NULL until it is read
    int64_t ts_ms
    int64_t version      # -1 where there is none
    int64_t first        # likewise
    int kind             # -1 where the frame does not say
    Bytes change[6]      # the lists of a change, from BIDS on
    int inexact
    Head head
    Edits edits          # what a change says
    Ladder draft[2]      # bids and asks of the next book, of which a frame says all


cdef Bytes scan_amount(Scan* s, Bytes p, bint is_size, int64_t* e8) noexcept:
    """A price or a size, bare or quoted, in whatever legal spelling."""
    cdef Text text
    cdef Number number
    cdef Bytes after, behind
    cdef Fault fault = NOT_A_NUMBER
    cdef bint quoted = peek(&s.source, p) == c'"'
    cdef bytes plain
    if s.source.end - p > PLAIN + 2:
        after = plain_number(p + quoted, e8)
        if after != NULL and (after[0] == c'"' if quoted else strchr(b",} ", after[0]) != NULL):
            return after + quoted
    if not quoted:
        fault = any_number(p, s.source.end, is_size, &number, &after)
        behind = after
    else:
        behind = scan_string(&s.source, p, &text)
        if behind == NULL:
            return NULL
        if not text.escaped:
            fault = padded_number(text.p, text.p + text.n, is_size, &number, &after)
        else:
            plain = unescaped(&text)
            if plain is not None:
                after = <Bytes>PyBytes_AS_STRING(plain)
                fault = padded_number(
                    after, after + PyBytes_GET_SIZE(plain), is_size, &number, &after)
            after = p
    if fault != LEGAL:
        return refuse(&s.source, after, fault_text(fault))
    s.inexact += number.inexact
    e8[0] = number.e8
    return behind


cdef struct Level:
    int64_t price
    int64_t size
    int side


cdef Bytes scan_level(Scan* s, Bytes p, bint sized, Level* level) noexcept:
    """A level in any legal spelling: keys in any order, unknown ones among them."""
    cdef Walk walk
    cdef Bytes begin = p
    if s.rules.cells:
        return scan_cells(s, p, level)
    begin_walk(&walk)
    level.size = 0
    while True:
        p = next_field(&s.source, p, &s.rules.level, &walk)
        if p == NULL:
            return NULL
        if walk.role < 0:
            if (walk.seen | (0 if sized else 1 << SIZE)) != s.rules.level.roles:
                return refuse(
                    &s.source, begin, b"a level without its price, size or side, or with two")
            return p
        if walk.role == SIDE:
            p = scan_choice(&s.source, p, s.rules.side, &level.side, b"neither side of a book")
        elif walk.role == PRICE:
            p = scan_amount(s, p, False, &level.price)
        elif sized:
            p = scan_amount(s, p, True, &level.size)
        else:
            p = skip_value(&s.source, p, 0)
        if p == NULL:
            return NULL


cdef Bytes scan_cells(Scan* s, Bytes p, Level* level) noexcept:
    """A level that is a list, in any legal spelling."""
    cdef Bytes begin = p
    cdef bint more = peek(&s.source, p) == c'['
    cdef int i
    p = blanks(&s.source, p + more)
    for i in range(s.rules.cells):
        if not more:
            break
        if s.rules.cell[i] == PRICE:
            p = scan_amount(s, p, False, &level.price)
        elif s.rules.cell[i] == SIZE:
            p = scan_amount(s, p, True, &level.size)
        else:
            p = skip_value(&s.source, p, 0)
        if p != NULL:
            p = scan_separator(&s.source, p, c']', &more)
        if p == NULL:
            return NULL
        if more == (i + 1 == s.rules.cells):
            break
    else:
        return p
    return refuse(&s.source, begin, b"a level that is no list of price and size")


cdef int scan_plain_levels(Scan* s, Bytes* at, int side, int most) noexcept:
    """Levels in one of the spellings that venues use; returns how many."""
    cdef Rules* rules = s.rules
    cdef Ladder* ladder = &s.draft[side]
    cdef int _, n
    for _ in range(rules.spellings):
        n = plain_levels(
            at, s.source.end, &rules.spelling[rules.usual], s.source.start, most,
            &ladder.price[ladder.n], &ladder.size[ladder.n], &ladder.where[ladder.n])
        if n:
            add_levels(ladder, side, n)
            return n
        rules.usual = (rules.usual + 1) % rules.spellings
    return 0


cdef Bytes scan_side(Scan* s, Bytes p, int side) noexcept:
    """The list of a side's levels, into the draft.

    Where the last frame was much like the one before, this one is followed along it: see
    follow_levels(). While that does not lead back to what is known, ever more is read at a time.
    """
    cdef Ladder* ladder = &s.draft[side]
    cdef Level level
    cdef Book* book = NULL
    cdef Bytes begin = p
    cdef bint more = True
    cdef int most = LEVELS, patience = 0, reached, inexact = s.inexact
    if peek(&s.source, p) != c'[':
        return refuse(&s.source, p, b"a side must be a list")
    start_ladder(ladder)
    if s.book != NULL:
        book = core(<OrderBook>s.book)
        if book.standing[side] and book.alike[side]:
            patience = most = 8  # levels to be read one by one, then at a time
    p = blanks(&s.source, p + 1)
    if peek(&s.source, p) == c']':
        more = False
        p += 1
    while more:
        reached = BEFORE_LEVEL
        if patience and not ladder.suspect:
            reached = follow_levels(
                book, ladder, side, &s.rules.spelling[s.rules.usual],
                s.source.start, &p, s.source.end, patience, s.recv_ns)
            p = blanks(&s.source, p)
        if reached == BEHIND_LEVEL:
            pass
        elif scan_plain_levels(s, &p, side, most):
            most = min(2 * most, LEVELS)
        else:
            ladder.where[ladder.n] = <uint16_t>(p - s.source.start)
            p = scan_level(s, p, True, &level)
            if p == NULL:
                return NULL
            add_level(ladder, side, level.price, level.size)
        ladder.where[ladder.n] = <uint16_t>(p - s.source.start)
        p = scan_separator(&s.source, p, c']', &more)
        if p == NULL:
            return NULL
    if not unambiguous(ladder):
        return refuse(&s.source, begin, b"two levels at one price")
    ladder.skipped |= s.inexact != inexact  # not to be taken over uncounted
    return p


cdef Bytes scan_both_sides(Scan* s, Bytes p) noexcept:
    """The list of all levels of both sides, into the draft."""
    cdef Level level
    cdef Ladder* ladder
    cdef Bytes begin = p
    cdef bint more = True
    cdef int n, side, missed = 0
    if peek(&s.source, p) != c'[':
        return refuse(&s.source, p, b"levels must be a list")
    for side in range(2):
        start_ladder(&s.draft[side])
        s.draft[side].skipped = True  # they stand among those of the other side
    side = 0
    p = blanks(&s.source, p + 1)
    if peek(&s.source, p) == c']':
        more = False
        p += 1
    while more:
        ladder = &s.draft[side]
        n = plain_rows(
            &p, s.source.end, &s.rules.spelling[0], &s.rules.tail[side], LEVELS,
            &ladder.price[ladder.n], &ladder.size[ladder.n]) if s.rules.spellings else 0
        if n:
            add_levels(ladder, side, n)
            missed = 0
        elif missed == 0 and s.rules.spellings:
            side = 1 - side
            missed = 1
            continue
        else:
            p = scan_level(s, p, True, &level)
            if p == NULL:
                return NULL
            side = level.side
            missed = 0
            add_level(&s.draft[side], side, level.price, level.size)
        p = scan_separator(&s.source, p, c']', &more)
        if p == NULL:
            return NULL
    for side in range(2):
        if not unambiguous(&s.draft[side]):
            return refuse(&s.source, begin, b"two levels at one price")
        s.draft[side].unsorted = False  # nobody promised an order
    return p


cdef int scan_plain_edits(Scan* s, Bytes* at, int role, int side) noexcept:
    """Rows of a change in one of the spellings that venues use; returns how many."""
    cdef Edits* edits = &s.edits
    cdef Rules* rules = s.rules
    cdef Token* tails = NULL if role <= ASKS else rules.tail
    cdef int _, n, i, first = edits.n
    for _ in range(rules.spellings):
        n = plain_edits(
            at, s.source.end, &rules.spelling[rules.usual], tails, role != DELETE, side,
            EDITS - first, &edits.price[first], &edits.size[first], &edits.side[first])
        if n:
            for i in range(first, first + n):
                edits.price[edits.n], edits.size[edits.n] = edits.price[i], edits.size[i]
                edits.side[edits.n] = edits.side[i]
                edits.n += edits.price[i] != 0
            return n
        rules.usual = (rules.usual + 1) % rules.spellings
    return 0


cdef Bytes scan_edits(Scan* s, Bytes p, int role) noexcept:
    """A list of what to change, of one side or of both."""
    cdef Edits* edits = &s.edits
    cdef Level level
    cdef bint more = True
    cdef int side = role - BIDS if role <= ASKS else 0
    if role <= ASKS and s.source.end - p > 4 and memcmp(p, b"null", 4) == 0:
        return p + 4  # of a side without a change
    if peek(&s.source, p) != c'[':
        return refuse(&s.source, p, b"levels must be a list")
    p = blanks(&s.source, p + 1)
    if peek(&s.source, p) == c']':
        return p + 1
    while more:
        if edits.n == EDITS:
            return refuse(&s.source, p, b"a change of more levels than a book has")
        if not scan_plain_edits(s, &p, role, side):
            level.side = side
            p = scan_level(s, p, role != DELETE, &level)
            if p == NULL:
                return NULL
            edits.price[edits.n], edits.size[edits.n] = level.price, level.size
            edits.side[edits.n] = level.side
            edits.n += level.price != 0
        p = scan_separator(&s.source, p, c']', &more)
        if p == NULL:
            return NULL
    return p


cdef Bytes scan_list(Scan* s, Bytes p, Walk* walk) noexcept:
    """A list of levels, as far as it is clear by now what they are; else it is read in the end."""
    cdef int role = walk.role
    if s.kind != DELTA and role <= ASKS:
        if s.head.n == 0:
            note_head(s, p, walk)
        return scan_side(s, p, role - BIDS)
    if s.kind != DELTA and role == BOTH:
        return scan_both_sides(s, p)
    s.change[role - BIDS] = p
    if s.kind != DELTA or role == BOTH or (role > BOTH and role < s.list):
        s.late = True
        return skip_value(&s.source, p, 0)
    s.list = role
    return scan_edits(s, p, role)


cdef inline Bytes scan_time(Scan* s, Bytes p) noexcept:
    return scan_integer(&s.source, p, &s.ts_ms, b"the time is no integer of 1 to 18 digits")


cdef Bytes scan_version(Scan* s, Bytes p, int64_t* version) noexcept:
    """An integer, in quotes or not."""
    cdef const char* wrong = b"the version is no integer of 1 to 18 digits"
    cdef Source inside
    cdef Text text
    cdef Bytes after
    cdef bytes plain
    if peek(&s.source, p) != c'"':
        return scan_integer(&s.source, p, version, wrong)
    after = scan_string(&s.source, p, &text)
    if after == NULL:
        return NULL
    inside.start, inside.end = text.p, text.p + text.n
    if text.escaped:
        plain = unescaped(&text) or b""
        inside.start = <Bytes>PyBytes_AS_STRING(plain)
        inside.end = inside.start + PyBytes_GET_SIZE(plain)
    if scan_integer(&inside, inside.start, version, wrong) != inside.end:
        return refuse(&s.source, p, wrong)
    return after


cdef Bytes scan_symbol(Scan* s, Bytes p, BookStore store) noexcept:
    """The symbol, from its quote; the store's book of that name is what the frame is for."""
    cdef Text text
    cdef Bytes after = NULL
    if peek(&s.source, p) == c'"':
        after = scan_string(&s.source, p, &text)
        if after == NULL:
            return NULL
    if after == NULL or not name_frame(s, &text, store):
        return refuse(&s.source, p, b"the symbol must be a text")
    return after


cdef bint name_frame(Scan* s, Text* symbol, BookStore store) noexcept:
    if symbol.n == 0 or (symbol.escaped and not unescaped(symbol)):
        return False
    s.symbol = symbol[0]
    if store is not None:
        s.book = PyDict_GetItem(store.books, symbol_text(s))
    return True


cdef Bytes scan_channel(Scan* s, Bytes p, BookStore store, uint64_t* seen) noexcept:
    """What the frame is; any JSON value, of which only some mean an order book."""
    cdef Text text
    cdef Bytes first = p
    cdef Bytes symbol
    cdef int i
    if not s.rules.text:
        p = skip_value(&s.source, p, 0)
        if p != NULL:
            text.p, text.n, text.escaped = first, p - first, False
            for i in range(s.rules.channels):
                s.is_book |= is_text(&text, &s.rules.channel[i])
        return p
    if peek(&s.source, p) != c'"':
        return skip_value(&s.source, p, 0)
    p = scan_string(&s.source, p, &text)
    if p == NULL:
        return NULL
    for i in range(s.rules.channels):
        symbol = behind_beginning(&text, &s.rules.channel[i])
        if symbol != NULL and not s.rules.topic:
            s.is_book |= symbol == text.p + text.n
        elif symbol != NULL:
            s.is_book = True
            seen[0] |= 1 << SYMBOL
            text.n -= symbol - text.p
            text.p = symbol
            if not name_frame(s, &text, store):
                return refuse(&s.source, first, b"the symbol must be a text")
            break
    return p


cdef void note_head(Scan* s, Bytes p, Walk* within) noexcept:
    s.head.n = <int>(p - s.source.start)
    s.head.start = s.source.start
    s.head.within = within[0]
    s.head.symbol = s.symbol
    s.head.ts_ms, s.head.version, s.head.kind = s.ts_ms, s.version, s.kind


cdef bint begins_as(OrderBook book, Source* s) noexcept:
    """Whether a frame begins with the head of the book's last one."""
    cdef Head* known = head_of(book)
    return (
        known.n > 0 and s.end - s.start > known.n
        and memcmp(s.start, core(book).text, known.n) == 0)


cdef Bytes known_head(Scan* s, Bytes p) noexcept:
    """What follows the head of the last frame, if this one begins with it; else NULL."""
    cdef Head* known
    if s.book == NULL or not begins_as(<OrderBook>s.book, &s.source):
        return NULL
    known = head_of(<OrderBook>s.book)
    s.head = known[0]
    s.head.start = p
    s.head.data = p + (known.data - known.start)
    if known.symbol.p != NULL:
        s.head.symbol.p = p + (known.symbol.p - known.start)
    s.symbol = s.head.symbol
    s.ts_ms, s.version, s.kind = known.ts_ms, known.version, known.kind
    s.is_book = True
    return blanks(&s.source, p + known.n)


cdef Bytes scan_data(Scan* s, Bytes p, BookStore store, Walk* walk) noexcept:
    """The object that holds the levels, and most of what is said about them.

    The walk may have come to one of its fields already.
    """
    while True:
        if walk.role < 0:
            p = next_field(&s.source, p, &s.rules.data, walk)
            if p == NULL:
                return NULL
        if walk.role < 0:
            s.seen |= walk.seen
            return p
        if walk.role >= BIDS:
            p = scan_list(s, p, walk)
        elif walk.role == SYMBOL:
            p = scan_symbol(s, p, store)
        elif walk.role == TIME:
            p = scan_time(s, p)
        elif walk.role == KIND:
            p = scan_choice(
                &s.source, p, s.rules.kind, &s.kind, b"neither a whole book nor a change")
        else:
            p = scan_version(s, p, &s.version if walk.role == VERSION else &s.first)
        if p == NULL:
            return NULL
        walk.role = -1


cdef Bytes scan_changes(Scan* s, Bytes data) noexcept:
    """What a frame that may be a change lacked until now; `data` is where to complain."""
    cdef uint64_t sides = 1 << BIDS | 1 << ASKS
    cdef uint64_t changes = 1 << DELETE | 1 << UPDATE | 1 << INSERT
    cdef uint64_t needed = 1 << VERSION | (s.rules.data.roles & 1 << FIRST)
    cdef bint whole = s.seen & sides == sides or s.seen & 1 << BOTH
    cdef int i
    if not s.seen & 1 << SYMBOL or not s.seen & 1 << TIME:
        return refuse(&s.source, data, b"symbol or time is missing")
    if s.kind != DELTA:
        if not whole or s.seen & changes:
            return refuse(&s.source, data, b"a side is missing")
        return data
    if s.seen & 1 << BOTH or needed & ~s.seen:
        return refuse(
            &s.source, data, b"a change with levels of a whole book, or without a version")
    if s.first > s.version:
        return refuse(&s.source, data, b"a change whose first version is behind its last")
    if s.late:
        s.edits.n = s.inexact = 0
        for i in range(BIDS, INSERT + 1):
            if s.change[i - BIDS] != NULL and scan_edits(s, s.change[i - BIDS], i) == NULL:
                return NULL
    return data


cdef Bytes scan_kind(Scan* s, Bytes p) noexcept:
    """What the frame says of itself; any JSON value, of which two mean an order book."""
    cdef Text text
    cdef Bytes first = p
    cdef int i
    p = skip_value(&s.source, p, 0)
    if p == NULL or first[0] != c'"':
        return p
    scan_string(&s.source, first, &text)
    for i in range(2):
        if is_text(&text, &s.rules.kind[i]):
            s.kind = i
    return p


cdef Bytes scan_frame(Scan* s, Bytes p, BookStore store) noexcept:
    """A whole frame, and nothing behind it but blanks; `s.is_book` tells what it was.

    What is no order book is checked to be JSON and left alone.
    """
    cdef Walk walk, within
    cdef Bytes data = NULL, time = NULL, after = known_head(s, p)
    cdef uint64_t kinds = s.rules.frame.roles & 1 << KIND
    cdef bint scanned = after != NULL
    begin_walk(&walk)
    begin_walk(&within)
    if after != NULL:
        data, walk, within = s.head.data, s.head.frame, s.head.within
        p = scan_data(s, after, store, &within)
    else:
        p = blanks(&s.source, p)
        if peek(&s.source, p) != c'{':
            p = skip_value(&s.source, p, 0)
            walk.before = 0  # no object, no fields
    while p != NULL and walk.before:
        p = next_field(&s.source, p, &s.rules.frame, &walk)
        if p == NULL or walk.role < 0:
            break
        if walk.role == CHANNEL:
            p = scan_channel(s, p, store, &walk.seen)
        elif walk.role == KIND:
            p = scan_kind(s, p)
        elif walk.role == DATA:
            data = p
            scanned = s.is_book and (not kinds or s.kind >= 0)  # what it is may come behind it
            if scanned:
                s.head.data, s.head.frame = data, walk
                p = scan_data(s, p, store, &within)
            else:
                p = skip_value(&s.source, p, 0)
        elif s.is_book:
            s.head.n = -1  # an earlier frame's time does not tell this one's
            p = scan_time(s, p)
        else:
            time = p
            s.head.n = -1
            p = skip_value(&s.source, p, 0)
    if p == NULL:
        return NULL
    p = blanks(&s.source, p)
    if p != s.source.end:
        return refuse(&s.source, p, b"something follows the frame")
    if kinds and s.kind < 0:
        s.is_book = False
    if not s.is_book:
        return p
    if data == NULL:
        return refuse(&s.source, p, b"no data")
    s.seen |= walk.seen
    if not scanned:
        s.head.n = -1  # it is not where the data begins that the frame is known
        if scan_data(s, data, store, &within) == NULL:
            return NULL
    if time != NULL and scan_time(s, time) == NULL:
        return NULL
    return scan_changes(s, data)


cdef str symbol_text(Scan* s):
    if s.symbol.p == NULL:
        return None
    if s.symbol.escaped:
        return unescaped(&s.symbol).decode()
    return PyUnicode_DecodeUTF8(<char*>s.symbol.p, s.symbol.n, NULL)


cdef object decode_error(Scan* s):
    return DecodeError(s.source.reason.decode(), s.source.at - s.source.start, symbol_text(s))


cdef object start_scan(Scan* s, object frame, Layout layout, int64_t recv_ns):
    """Points a Scan at a frame of any type; what it returns keeps the bytes where they are."""
    cdef object held = hold(&s.source, frame)
    cdef int i
    s.source.reason = b"no order-book frame"
    s.book = NULL
    s.recv_ns = recv_ns
    s.is_book = False
    s.seen = 0
    s.symbol.p, s.symbol.n, s.symbol.escaped = NULL, 0, False
    s.ts_ms = 0
    s.version = s.first = s.kind = -1
    for i in range(6):
        s.change[i] = NULL
    s.inexact = s.head.n = s.edits.n = s.list = 0
    s.late = False
    s.rules = &layout.rules
    return held


# ========================================================================================== book

cdef enum:  # the order of Stats
    APPLIED
    UNCHANGED
    STALE
    UNSORTED
    TRUNCATED
    INEXACT
    REJECTED
    ABSENT

if _change.BBO | _change.DEPTH != ALL_CHANGED or _change.DEPTH != DEPTH_CHANGED:
    raise ImportError("the change bits of the core and of coincall_fast.change differ")


cdef inline Book* core(OrderBook book) noexcept nogil:
    return <Book*>book.levels


cdef inline Head* head_of(OrderBook book) noexcept:
    """What the frame began with that its Book remembers."""
    return <Head*>(core(book) + 1)


cdef inline Half* now(OrderBook book) noexcept:
    """What is published, for a reader that holds the GIL: nothing is written while it looks."""
    return live_half(core(book))


cdef int commit(
    OrderBook book, Ladder* draft, int64_t ts_ms, int64_t recv_ns, bint whole
) noexcept:
    """Makes a draft the book. Everything about it has been checked."""
    cdef int side, change = difference(core(book), draft)
    if whole and not book.is_valid:
        book.is_valid = True
        change = ALL_CHANGED
    for side in range(2):
        pass_ages(core(book), &draft[side], side, recv_ns)
    publish(core(book), draft, book.update_count + 1)
    book.counts[UNSORTED] += draft[0].unsorted or draft[1].unsorted
    book.counts[TRUNCATED] += draft[0].truncated or draft[1].truncated
    return applied(book, change, ts_ms, recv_ns)


cdef int commit_edits(OrderBook book, const Edits* edits, int64_t ts_ms, int64_t recv_ns) noexcept:
    """Makes some changes to the book. Everything about them has been checked."""
    cdef Ladder draft[2]
    cdef int change, absent = 0, truncated = 0
    if not in_any_order(edits):
        book.counts[ABSENT] += draft_edits(draft, core(book), edits)
        return commit(book, draft, ts_ms, recv_ns, False)
    change = amend(core(book), edits, book.update_count + 1, recv_ns, &absent, &truncated)
    book.counts[ABSENT] += absent
    book.counts[TRUNCATED] += truncated
    return applied(book, change, ts_ms, recv_ns)


cdef inline int applied(OrderBook book, int change, int64_t ts_ms, int64_t recv_ns) noexcept:
    """Notes what has been published."""
    book.held_version = -1
    book.is_base = False
    book.last_change = change
    book.ts_ms = ts_ms
    book.recv_ns = recv_ns
    book.update_count += 1
    book.counts[APPLIED] += 1
    book.counts[UNCHANGED] += change == 0
    return change


cdef inline double e8_float(int64_t e8) noexcept nogil:
    return <double>e8 / SCALE_F


cdef inline double total(int64_t* e8, int n) noexcept nogil:
    cdef double total_e8 = 0
    cdef int i
    for i in range(n):
        total_e8 += <double>e8[i]
    return total_e8


cdef inline double between(double value, double one, double other) noexcept nogil:
    """An average of what lies between two values, rid of what rounding put outside."""
    if one > other:
        one, other = other, one
    return one if value < one else other if value > other else value


cdef inline double micro(
    double bid, double bid_size, double ask, double ask_size
) noexcept nogil:
    return between((bid * ask_size + ask * bid_size) / (bid_size + ask_size), bid, ask)


cdef inline double price_of(int64_t e8) noexcept nogil:
    return e8_float(e8) if e8 else NAN


cdef int asked_levels(object levels) except -1:
    n = operator.index(levels)
    if n < 1:
        raise UsageError(f"levels must be at least 1, not {n}")
    return LEVELS if n > LEVELS else n


cdef int hit_side(object side) except -1:
    """0 for the bids, which a sell hits, 1 for the asks."""
    if isinstance(side, Side):
        return 1 if side is Side.BUY else 0
    if side == "buy":
        return 1
    if side == "sell":
        return 0
    raise UsageError(f"a trade side is 'buy', 'sell' or a Side, not {side!r}")


cdef int book_side(object side) except -1:
    if side == "bid":
        return 0
    if side == "ask":
        return 1
    raise UsageError(f"a side of a book is 'bid' or 'ask', not {side!r}")


cdef int load_side(
    Ladder* ladder, int side, object levels, str name, int* inexact
) except -1:
    """The pairs that a caller gives for one side."""
    cdef Number number
    cdef Fault fault
    cdef int64_t price
    cdef int i = 0
    for pair in levels:
        try:
            if isinstance(pair, (str, bytes)):  # "12" is no (1, 2)
                raise TypeError
            price_given, size_given = pair
        except (TypeError, ValueError):
            raise TypeError(f"{name}[{i}] is no pair of price and size") from None
        fault = caller_number(price_given, False, &number)
        price = number.e8
        if fault == LEGAL:
            fault = caller_number(size_given, True, &number)
            inexact[0] += fault == LEGAL and number.inexact
        if fault != LEGAL:
            raise DecodeError(f"{name}[{i}]: {fault_text(fault).decode()}")
        add_level(ladder, side, price, number.e8)
        i += 1
    return 0


cdef int bind(OrderBook book, object symbol) except -1:
    if not isinstance(symbol, str):
        raise TypeError(f"a symbol is a str, not {type(symbol).__name__}")
    try:
        utf8 = str.encode(symbol)
    except UnicodeEncodeError:
        utf8 = b""
    if not utf8:
        raise UsageError(f"no venue has the symbol {symbol!r}")
    book.symbol = symbol
    book.utf8 = utf8
    return 0


cdef bint is_symbol_of(OrderBook book, Scan* s):
    if s.symbol.escaped:
        return unescaped(&s.symbol) == book.utf8
    return (
        s.symbol.n == PyBytes_GET_SIZE(book.utf8)
        and memcmp(s.symbol.p, PyBytes_AS_STRING(book.utf8), s.symbol.n) == 0
    )


cdef bint follows(OrderBook book, Scan* s) except -1:
    """Whether a legal frame follows what the book holds, and is not stale.

    Raises GapError for a change of a version that is not held. Where it leaves some out, nobody
    knows what the venue's book holds by now, and this one is cleared.
    """
    cdef int64_t held = book.held_version
    cdef bint stale
    if s.kind == DELTA:
        first = s.version if s.first < 0 else s.first
        stale = s.version <= held
        # What a snapshot is to be continued with may begin before it, and nothing else.
        if held < 0 or not (stale or first == held + 1 or (book.is_base and first <= held)):
            book.counts[REJECTED] += 1
            if held >= 0:
                clear(book)
            raise GapError(symbol_text(s), None if held < 0 else held + 1, first, s.version)
    else:  # a numbered whole book begins anew whatever its time: protocol page, section 1.7
        stale = book.is_valid and s.version < 0 and s.ts_ms < book.ts_ms
    if stale:
        book.counts[STALE] += 1
        book.last_change = 0
    return not stale


cdef int settle(OrderBook book, Scan* s) noexcept:
    """Makes a frame the book that follows it."""
    cdef int change
    book.counts[INEXACT] += s.inexact
    if s.kind == DELTA:
        change = commit_edits(book, &s.edits, s.ts_ms, s.recv_ns)
        book.held_version = s.version
        head_of(book).n = 0
        return change
    change = commit(book, s.draft, s.ts_ms, s.recv_ns, True)
    book.held_version = s.version
    head_of(book)[0] = s.head
    if not remember(core(book), s.draft, s.source.start, s.source.end - s.source.start):
        head_of(book).n = 0
    return change


cdef int replace(
    OrderBook book, object bids, object asks, int64_t ts_ms, int64_t recv_ns, object version
) except -1:
    """`OrderBook.load`."""
    cdef Ladder draft[2]
    cdef int64_t number = -1
    cdef int change, inexact = 0, side
    if version is not None:
        version = operator.index(version)
        if not 0 <= version <= 999_999_999_999_999_999:
            raise UsageError(f"a version is 0 or more, of up to {INTEGER_DIGITS} digits")
        number = version
    for side, name, given in ((0, "bids", bids), (1, "asks", asks)):
        start_ladder(&draft[side])
        try:
            load_side(&draft[side], side, given, name, &inexact)
            if not unambiguous(&draft[side]):
                raise DecodeError(f"{name}: two levels at one price")
        except DecodeError:
            book.counts[REJECTED] += 1
            raise
    book.counts[INEXACT] += inexact
    change = commit(book, draft, ts_ms or book.ts_ms, recv_ns, True)
    book.held_version = number
    book.is_base = number >= 0
    return change


cdef int clear(OrderBook book) noexcept:
    """`OrderBook.clear`."""
    cdef Ladder draft[2]
    start_ladder(&draft[0])
    start_ladder(&draft[1])
    publish(core(book), draft, book.update_count)
    book.held_version = -1
    book.is_valid = False
    book.ts_ms = 0
    book.recv_ns = 0
    return 0


cdef Age* level_of(OrderBook book, object side, object index) except NULL:
    cdef int of = book_side(side)
    i = operator.index(index)
    if not 0 <= i < now(book).n[of]:
        raise IndexError(f"the {side} side has {now(book).n[of]} levels, none at {i}")
    return &core(book).ages[core(book).aged][of][<int>i]


@cython.final
cdef class OrderBook:
    """OrderBook(symbol=None, *, wire=coincall.WIRE)

    The order book of one symbol: up to 100 levels a side, in arrays that are allocated once.

    Prices and sizes are kept as int64 in units of 1e-8. A name that ends in ``_e8`` gives that
    integer, any other price or size the float ``n_e8 / 1e8``. An empty side has price ``nan`` and
    size ``0.0``. A book without a symbol takes that of the first frame that is not refused. `wire`
    says how the frames are written; the default is Coincall's (seed 003, OrderBook).

    symbol         None until the first frame of an unbound book
    ts_ms          the venue's time of the last applied frame; 0 when empty
    recv_ns        what was given with it
    update_count   frames and loads applied, the unchanged included; never falls
    last_change    the change bits of the last `apply` or `load` that was not refused
    is_valid       whether anything has been applied since the book was made or cleared

    version        the venue's number of the state that is held; None where there is none

    One thread writes a book at a time. "Any thread": any number of Python threads may call this
    while it does; what they get is of one moment between two frames, and nobody waits. The fields
    above may be read by any thread, too, each for itself; without the GIL, see ``_book.pxd``.
    """

    def __cinit__(self, symbol=None, *, wire=COINCALL):
        self.layout = layout_of(wire)
        self.held_version = -1
        self.levels = PyMem_Calloc(1, sizeof(Book) + sizeof(Head))
        if self.levels == NULL:
            raise MemoryError
        if symbol is not None:
            bind(self, symbol)

    def __dealloc__(self):
        PyMem_Free(self.levels)

    # ------------------------------------------------------------------------------- writing

    def apply(self, frame, int64_t recv_ns=0):
        """Replaces the book by what one order-book frame says; returns the change bits.

        frame: one whole text message, as ``bytes``, ``bytearray``, ``memoryview`` or ``str``. It
        is read during the call, in which nobody may change it, and not kept. recv_ns: when it
        came, by ``time.monotonic_ns()``; 0 means not given. Returns an int of the bits in
        `coincall_fast.change`, 0 where no price and no size differs. A frame older than a valid
        book is not applied: 0 as well, and counted in ``stats.stale``. A frame that is refused
        changes nothing but ``stats``.

        Raises DecodeError (it is no legal order-book frame; ``.offset`` says where), then
        SymbolMismatch, then GapError: a change that does not follow the version that is held, which
        clears the book, or that finds no version to follow. Format: seed 003, OrderBook, and
        contract section 2; the protocol page, sections 1.7 and 2.5. For the writing thread.
        """
        cdef Scan s
        _held = start_scan(&s, frame, self.layout, recv_ns)
        s.book = <PyObject*>self  # not before: a memoryview may run Python code
        if scan_frame(&s, s.source.start, None) == NULL or not s.is_book:
            self.counts[REJECTED] += 1
            raise decode_error(&s)
        if self.utf8 is not None and not is_symbol_of(self, &s):
            self.counts[REJECTED] += 1
            raise SymbolMismatch(f"a frame of {symbol_text(&s)} for the book of {self.symbol}")
        is_new = follows(self, &s)
        if self.utf8 is None:
            bind(self, symbol_text(&s))
        return settle(self, &s) if is_new else 0

    def load(self, bids, asks, int64_t ts_ms=0, int64_t recv_ns=0, *, version=None):
        """Replaces the book by pairs of price and size, such as a REST snapshot has.

        bids, asks: iterables of ``(price, size)``, each a ``str``, ``int``, ``float`` (it stands
        for its repr) or ``Decimal``. The rules of a frame hold: levels are sorted, those of price
        or size 0 skipped, the best 100 kept. ts_ms: venue time, 0 leaves that of the book.
        version: the venue's number of this state, where changes are to follow it; the first of
        them may begin before the next number (protocol page, section 2.5). Returns the change
        bits. Never stale.

        Raises DecodeError for a number that does not fit or two levels at one price, TypeError
        for what is no number, UsageError for a version that is no number of the wire's; the book
        is then as it was. For the writing thread.
        """
        return replace(self, bids, asks, ts_ms, recv_ns, version)

    def update(self, side, price, size, int64_t ts_ms=0, int64_t recv_ns=0):
        """Gives one level of the "bid" or "ask" side its new size; 0 deletes it.

        price, size: as in `load`; ts_ms: venue time, 0 leaves that of the book. Returns the change
        bits. Never stale. Deleting a level that is not there changes nothing but ``stats.absent``.
        At most 100 levels stay, the best. A book that is not valid does not become so: what else
        should be in it, one level does not tell; see `load`.

        Raises DecodeError for a number that does not fit, TypeError for what is no number,
        UsageError for another side or a price of 0; the book is then as it was.
        For the writing thread.
        """
        cdef Edits edits
        cdef Number number
        cdef int to = book_side(side)
        cdef Fault fault = caller_number(price, False, &number)
        edits.price[0] = number.e8
        if fault == LEGAL:
            fault = caller_number(size, True, &number)
        if fault != LEGAL:
            self.counts[REJECTED] += 1
            raise DecodeError(f"update: {fault_text(fault).decode()}")
        if edits.price[0] == 0:
            raise UsageError("no level has a price of 0")
        edits.n, edits.size[0], edits.side[0] = 1, number.e8, to
        if number.e8 == 0 and not holds(core(self), to, edits.price[0]):
            self.counts[ABSENT] += 1
            self.last_change = 0
            return 0
        self.counts[INEXACT] += number.inexact
        return commit_edits(self, &edits, ts_ms or self.ts_ms, recv_ns)

    def clear(self):
        """Empties the book and makes it invalid; symbol and counters stay.

        The next frame is accepted whatever its time, and reports all change bits.
        For the writing thread.
        """
        clear(self)

    # --------------------------------------------------------------------------------- state

    @property
    def bid_count(self):
        """The number of bid levels kept, 0 to 100. Any thread."""
        return now(self).n[0]

    @property
    def ask_count(self):
        """The number of ask levels kept, 0 to 100. Any thread."""
        return now(self).n[1]

    @property
    def is_crossed(self):
        """Whether the best bid is above the best ask. Reported, never repaired. Any thread."""
        return self.spread < 0

    @property
    def is_locked(self):
        """Whether the best bid equals the best ask. Any thread."""
        return self.spread == 0

    @property
    def version(self):
        """The venue's number of the state that is held; None where there is none. Any thread."""
        return None if self.held_version < 0 else self.held_version

    @property
    def stats(self):
        """What the book has been given so far, as a `Stats`. For the writing thread."""
        return Stats(*[self.counts[i] for i in range(8)])

    def age_ns(self, int64_t now_ns):
        """Nanoseconds since the last applied frame; 2**63-1 where its time was not given.

        Any thread.
        """
        return now_ns - self.recv_ns if self.recv_ns > 0 else FOREVER_NS

    def level_age_ns(self, side, index, int64_t now_ns):
        """Nanoseconds since the price of a level appeared among the kept ones.

        side: "bid" or "ask"; index: 0 is the best. By the ``recv_ns`` of what brought it; 2**63-1
        where that was not given. A level keeps its age while it moves up and down the book; one
        that had left, or comes after `clear`, is new. Raises UsageError for another side,
        IndexError for an index of no level. Any thread.
        """
        cdef int64_t since_ns = level_of(self, side, index).price_ns
        return now_ns - since_ns if since_ns > 0 else FOREVER_NS

    def changed_ns(self, side, index, int64_t now_ns):
        """Nanoseconds since the size of a level last changed, or the level appeared.

        Otherwise as `level_age_ns`. Any thread.
        """
        cdef int64_t since_ns = level_of(self, side, index).size_ns
        return now_ns - since_ns if since_ns > 0 else FOREVER_NS

    def check(self, int64_t max_age_ns, int64_t now_ns):
        """Raises StaleError if the book is not valid, or older than that by ``recv_ns``.

        Any thread.
        """
        if not self.is_valid:
            raise StaleError(f"the book of {self.symbol} is not valid")
        age_ns = self.age_ns(now_ns)
        if age_ns > max_age_ns:
            raise StaleError(f"the book of {self.symbol} is {age_ns} ns old")

    # --------------------------------------------------------------------------- top of book

    cdef double c_best_bid(self) noexcept nogil:
        return price_of(read_best(core(self), BID_PRICE))

    cdef double c_best_ask(self) noexcept nogil:
        return price_of(read_best(core(self), ASK_PRICE))

    cdef double c_best_bid_size(self) noexcept nogil:
        return e8_float(read_best(core(self), BID_SIZE))

    cdef double c_best_ask_size(self) noexcept nogil:
        return e8_float(read_best(core(self), ASK_SIZE))

    cdef int64_t c_best_bid_e8(self) noexcept nogil:
        return read_best(core(self), BID_PRICE) or NO_PRICE

    cdef int64_t c_best_ask_e8(self) noexcept nogil:
        return read_best(core(self), ASK_PRICE) or NO_PRICE

    cdef double c_microprice(self) noexcept nogil:
        cdef int64_t best[4]
        read_top(core(self), best)
        if not (best[BID_PRICE] and best[ASK_PRICE]):
            return NAN
        return micro(
            <double>best[BID_PRICE], <double>best[BID_SIZE],
            <double>best[ASK_PRICE], <double>best[ASK_SIZE],
        ) / SCALE_F

    cdef uint64_t c_levels(self, int64_t[4][LEVELS] out, int* bids, int* asks) noexcept nogil:
        """Copies all levels (rows as in `snapshot`) and returns the update count of that moment."""
        return <uint64_t>read_levels(core(self), out, bids, asks)

    @property
    def best_bid(self):
        """The highest bid price; nan when there is no bid. Any thread."""
        return self.c_best_bid()

    @property
    def best_ask(self):
        """The lowest ask price; nan when there is no ask. Any thread."""
        return self.c_best_ask()

    @property
    def best_bid_size(self):
        """The size at the best bid; 0.0 when there is none. Any thread."""
        return self.c_best_bid_size()

    @property
    def best_ask_size(self):
        """The size at the best ask; 0.0 when there is none. Any thread."""
        return self.c_best_ask_size()

    @property
    def best_bid_e8(self):
        """The highest bid price in units of 1e-8; None when there is no bid. Any thread."""
        return read_best(core(self), BID_PRICE) or None

    @property
    def best_ask_e8(self):
        """The lowest ask price in units of 1e-8; None when there is no ask. Any thread."""
        return read_best(core(self), ASK_PRICE) or None

    @property
    def best_bid_size_e8(self):
        """The size at the best bid in units of 1e-8; None when there is none. Any thread."""
        return read_best(core(self), BID_SIZE) or None

    @property
    def best_ask_size_e8(self):
        """The size at the best ask in units of 1e-8; None when there is none. Any thread."""
        return read_best(core(self), ASK_SIZE) or None

    @property
    def mid(self):
        """The middle of best bid and best ask; nan when a side is empty. Any thread."""
        cdef int64_t best[4]
        read_top(core(self), best)
        if not (best[BID_PRICE] and best[ASK_PRICE]):
            return NAN
        return <double>(<uint64_t>best[BID_PRICE] + <uint64_t>best[ASK_PRICE]) / (2 * SCALE_F)

    @property
    def spread(self):
        """Best ask minus best bid, negative in a crossed book; nan when a side is empty.

        Any thread.
        """
        cdef int64_t best[4]
        read_top(core(self), best)
        if not (best[BID_PRICE] and best[ASK_PRICE]):
            return NAN
        return e8_float(best[ASK_PRICE] - best[BID_PRICE])

    @property
    def microprice(self):
        """(bid*ask_size + ask*bid_size) / (bid_size + ask_size); nan when a side is empty.

        Any thread.
        """
        return self.c_microprice()

    @property
    def bbo(self):
        """(bid, bid_size, ask, ask_size), all of one moment. Any thread."""
        cdef int64_t best[4]
        read_top(core(self), best)
        return (
            price_of(best[BID_PRICE]), e8_float(best[BID_SIZE]),
            price_of(best[ASK_PRICE]), e8_float(best[ASK_SIZE]),
        )

    # --------------------------------------------------------------------------------- depth

    def imbalance(self, levels=1):
        """(B - A) / (B + A), where B and A are the summed sizes of the best `levels` of a side.

        Positive is bid-heavy, 1.0 and -1.0 mean that the other side is empty, nan that both are.
        Any thread.
        """
        cdef int n = asked_levels(levels)
        cdef Half* book = now(self)
        cdef double bid_size = total(book.rows[BID_SIZE], min(n, <int>book.n[0]))
        cdef double ask_size = total(book.rows[ASK_SIZE], min(n, <int>book.n[1]))
        if bid_size + ask_size == 0:
            return NAN
        return (bid_size - ask_size) / (bid_size + ask_size)

    def weighted_mid(self, levels):
        """The microprice of the best `levels` together: sizes summed, prices weighted by size.

        Any thread.
        """
        cdef int n = asked_levels(levels)
        cdef Half* book = now(self)
        cdef double size[2]
        cdef double value[2]
        cdef int side, i
        if not (book.n[0] and book.n[1]):
            return NAN
        for side in range(2):
            size[side] = total(book.rows[2 * side + 1], min(n, <int>book.n[side]))
            value[side] = 0
            for i in range(min(n, <int>book.n[side])):
                value[side] += (
                    <double>book.rows[2 * side][i]
                    * (<double>book.rows[2 * side + 1][i] / size[side])
                )
        return micro(value[0], size[0], value[1], size[1]) / SCALE_F

    def depth(self, levels=100):
        """The best levels as a `Depth`: float64 arrays (n, 2) of price and size, the caller's own.

        Any thread.
        """
        cdef int n = asked_levels(levels)
        cdef Half book = now(self)[0]  # a copy: what numpy allocates may run Python code
        ts_ms, update_count = self.ts_ms, self.update_count
        return Depth(
            floats_of(&book, 0, min(n, <int>book.n[0])),
            floats_of(&book, 1, min(n, <int>book.n[1])),
            ts_ms, update_count,
        )

    def snapshot(self, out=None):
        """All levels as int64 of shape (4, 100), in units of 1e-8, unused slots 0.

        The rows are bid price, bid size, ask price, ask size. out: a C-contiguous, writable array
        of that shape and type, which is filled and returned; without it a new one, which the
        caller owns. Raises UsageError for any other `out`, and leaves it alone. Any thread.
        """
        cdef Py_buffer view
        if out is None:
            out = np.empty((4, LEVELS), np.int64)
        try:
            PyObject_GetBuffer(out, &view, PyBUF_C_CONTIGUOUS | PyBUF_WRITABLE | PyBUF_FORMAT)
        except (BufferError, TypeError, ValueError) as error:
            raise UsageError(f"snapshot() cannot write into this: {error}") from None
        try:
            if not (
                view.ndim == 2 and view.shape[0] == 4 and view.shape[1] == LEVELS
                and view.itemsize == sizeof(int64_t)
                and view.format[0] in b"lq" and view.format[1] == 0
            ):
                raise UsageError("snapshot() fills an int64 array of shape (4, 100)")
            memcpy(view.buf, now(self).rows, 4 * LEVELS * sizeof(int64_t))
        finally:
            PyBuffer_Release(&view)
        return out

    def sweep(self, side, size):
        """What a market order would pay: a `Sweep` over the asks for "buy", the bids for "sell".

        size: a ``str``, ``int``, ``float`` or ``Decimal``; what is below 1e-8 of it is dropped.
        Any thread.
        """
        cdef int hit = hit_side(side), i = 0
        cdef Number wanted
        cdef Fault fault = caller_number(size, True, &wanted)
        cdef Half* book = now(self)
        cdef int64_t left, take
        cdef double cost = 0
        if fault != LEGAL:
            raise UsageError(f"a size of {size!r}: {fault_text(fault).decode()}")
        left = wanted.e8
        while left and i < book.n[hit]:
            take = min(left, book.rows[2 * hit + 1][i])
            cost += <double>book.rows[2 * hit][i] * <double>take
            left -= take
            i += 1
        if i == 0:
            return Sweep(NAN, NAN, 0.0, 0, left > 0)
        worst = <double>book.rows[2 * hit][i - 1]
        price = between(cost / <double>(wanted.e8 - left), <double>book.rows[2 * hit][0], worst)
        return Sweep(price / SCALE_F, worst / SCALE_F, e8_float(wanted.e8 - left), i, left > 0)

    def size_to(self, side, price):
        """The summed size at `price` or better, of the side that a "buy" or "sell" would hit.

        Any thread.
        """
        cdef int hit = hit_side(side), i = 0
        cdef int64_t sign = 1 if hit else -1
        cdef Number limit
        cdef Fault fault = caller_number(price, False, &limit)
        cdef Half* book = now(self)
        if fault != LEGAL or limit.e8 == 0:
            raise UsageError(
                f"a price of {price!r}: {fault_text(fault).decode() if fault else 'zero'}"
            )
        while i < book.n[hit] and sign * book.rows[2 * hit][i] <= sign * limit.e8:
            i += 1
        return total(book.rows[2 * hit + 1], i) / SCALE_F

    def __repr__(self):
        if not self.is_valid:
            return f"<OrderBook {self.symbol}: not valid>"
        return (
            f"<OrderBook {self.symbol}: {self.best_bid_size:g} @ {self.best_bid:.10g} | "
            f"{self.best_ask:.10g} @ {self.best_ask_size:g}, "
            f"{self.bid_count}+{self.ask_count} levels, ts_ms {self.ts_ms}>"
        )

    def __reduce__(self):
        raise TypeError("an OrderBook is live and cannot be pickled or copied; see snapshot()")


cdef object floats_of(Half* book, int side, int n):
    """Price and size of the best n levels of a side, as a new float64 array (n, 2)."""
    cdef Py_buffer view
    cdef double* out
    cdef int i
    array = np.empty((n, 2))
    PyObject_GetBuffer(array, &view, PyBUF_C_CONTIGUOUS | PyBUF_WRITABLE)
    out = <double*>view.buf
    for i in range(n):
        out[2 * i] = e8_float(book.rows[2 * side][i])
        out[2 * i + 1] = e8_float(book.rows[2 * side + 1][i])
    PyBuffer_Release(&view)
    return array


# ======================================================================================= decoder

cdef PyObject* probable_book(BookStore store, Source* s) noexcept:
    """The book of a frame that begins as the last one of that book did, mostly; else NULL.

    What stands before the symbol is what stood there last, whichever book that was for. No book is
    ever taken out of a store.
    """
    cdef Head* last
    cdef Bytes symbol, quote
    cdef PyObject* book
    cdef Py_ssize_t n
    if store.last is None:
        return NULL
    if begins_as(store.last, s):
        return <PyObject*>store.last
    last = head_of(store.last)
    n = last.symbol.p - last.start
    if last.n <= 0 or last.symbol.p == NULL or s.end - s.start <= last.n:
        return NULL
    symbol = s.start + n
    quote = <Bytes>memchr(symbol, c'"', s.end - symbol)
    if quote == NULL:
        return NULL
    book = store.near[mixed(symbol, quote - symbol) % NEAR]
    return book if book != NULL and begins_as(<OrderBook>book, s) else NULL


@cython.final
cdef class BookStore:
    """BookStore(*, wire=coincall.WIRE)

    The books of one venue by symbol. `feed` routes a frame of any channel to where it belongs.

    One thread feeds a store; any number may look books up and read them. A book, once given out,
    stays the book of its symbol.
    """

    def __cinit__(self, *, wire=COINCALL):
        self.layout = layout_of(wire)
        self.books = {}

    def feed(self, frame, int64_t recv_ns=0):
        """Takes one frame of any channel. Returns its `OrderBook`, with ``last_change`` set, or
        the message that it is; a list of messages where a channel that brings one object brings
        several.

        The arguments are those of `OrderBook.apply`. A book is made by the first frame of its
        symbol that is not refused. Raises DecodeError, whose ``symbol`` says which book missed an
        update, as far as the frame could be read; the book itself is as it was. Raises GapError as
        `OrderBook.apply` does, and makes no book for a change that has nothing to follow.
        """
        cdef Scan s
        cdef OrderBook book
        _held = start_scan(&s, frame, self.layout, recv_ns)
        s.book = probable_book(self, &s.source)
        if s.book == NULL:
            message = (<Layout>self.layout).decoder.take(&s.source, frame, None)
            if message is not None:
                return message
        if scan_frame(&s, s.source.start, self) == NULL:
            error = decode_error(&s)
            if error.symbol in self.books:
                book = self.books[error.symbol]
                book.counts[REJECTED] += 1
            raise error
        if not s.is_book:
            return (<Layout>self.layout).wire.other(frame)
        if s.book != NULL:
            book = <OrderBook>s.book
        else:
            symbol = symbol_text(&s)
            book = self.books.get(symbol)
            if book is None:
                book = OrderBook(symbol, wire=(<Layout>self.layout).wire)
        if follows(book, &s):
            settle(book, &s)
        if s.book == NULL:
            book = self.books.setdefault(book.symbol, book)
        if s.head.n > 0 and s.head.symbol.p != NULL:  # it stands before the levels
            self.near[mixed(s.head.symbol.p, s.head.symbol.n) % NEAR] = <PyObject*>book
            self.last = book
        return book

    def load(self, symbol, bids, asks, int64_t ts_ms=0, int64_t recv_ns=0, *, version=None):
        """`OrderBook.load` for the book of a symbol, which is made where there is none; returns it.

        For a venue that pushes changes alone: what they begin with has come another way.
        """
        cdef OrderBook book = self.books.get(symbol)
        if book is None:
            book = OrderBook(symbol, wire=(<Layout>self.layout).wire)
        replace(book, bids, asks, ts_ms, recv_ns, version)
        return self.books.setdefault(book.symbol, book)

    def get(self, symbol, default=None):
        """The book of a symbol, or `default`."""
        return self.books.get(symbol, default)

    def values(self):
        """The books, in the order of their first frames; a copy, safe to iterate at any time."""
        return list(self.books.values())

    def __getitem__(self, symbol):
        return self.books[symbol]

    def __contains__(self, symbol):
        return symbol in self.books

    def __iter__(self):
        return iter(list(self.books))

    def __len__(self):
        return len(self.books)

    def __repr__(self):
        return f"<BookStore of {len(self.books)} books>"

    def __reduce__(self):
        raise TypeError("a BookStore is live and cannot be pickled or copied")


cdef Layout default_layout = layout_of(COINCALL)


def decode(frame, *, wire=COINCALL):
    """One frame of any channel, on its own: a fresh `OrderBook`, or what `BookStore.feed` gives.

    For books this is for scripts; where their frames keep coming, `BookStore.feed` and
    `OrderBook.apply` make nothing new. Raises DecodeError. Any thread.
    """
    cdef Source s
    cdef Layout layout = default_layout if wire is COINCALL else layout_of(wire)
    _held = hold(&s, frame)
    message = layout.decoder.take(&s, frame, None)
    return BookStore(wire=wire).feed(frame) if message is None else message


def decode_into(table, frame, *, wire=COINCALL):
    """A frame of the channel of a table (an `OptionChain`), into one that there is; returns it.

    Its arrays are written over where they have as many rows as the frame, else they are new ones.
    Raises DecodeError for a frame that is refused, UsageError for one of another channel; the table
    is then as it was. For one thread at a time.
    """
    cdef Source s
    if not isinstance(table, Table):
        raise UsageError(f"a {type(table).__name__} is no table")
    _held = hold(&s, frame)
    if layout_of(wire).decoder.take(&s, frame, table) is None:
        decode(frame, wire=wire)  # tells whether it is broken
        raise UsageError(f"no frame of the channel of a {type(table).__name__}")
    return table

# cython: language_level=3, auto_pickle=False, autotestdict=False
# cython: binding=False, always_allow_keywords=True, embedsignature=True
# cython: embedsignature.format=clinic, cdivision=True
"""The compiled core: a raw order-book frame in, a fixed-point book of 100 levels a side out.

Four sections, each to be read alone:

numbers   decimal text <-> int64 in units of 1e-8, exactly
scan      one pass over the bytes of a frame, into arrays of levels
book      the arrays, and the questions that a market maker asks them
store     symbol -> book, and what is no order book

A frame is scanned into the half of the book that is not live, and the halves are swapped when the
whole frame has proved legal: a refused frame has touched nothing that a reader can see. Nothing
here knows a venue (key names come as a `Wire`), reads a clock or keeps a reference to the frame.
"""

cimport cython
from cpython.buffer cimport (
    PyBUF_C_CONTIGUOUS, PyBUF_FORMAT, PyBUF_WRITABLE,
    PyBuffer_Release, PyObject_GetBuffer,
)
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.dict cimport PyDict_GetItem
from cpython.memoryview cimport PyMemoryView_GET_BUFFER
from cpython.object cimport PyObject
from cpython.unicode cimport PyUnicode_DecodeUTF8
from libc.math cimport NAN
from libc.stdint cimport INT64_MAX, int64_t, uint64_t
from libc.string cimport memcmp, memcpy, memmove, memset, strchr

cdef extern from "Python.h":
    const char* PyUnicode_AsUTF8AndSize(object, Py_ssize_t*) except NULL

import json
import operator
from decimal import Decimal

import numpy as np
import orjson

from . import change as _change
from .errors import DecodeError, StaleError, SymbolMismatch, UsageError
from .model import Ack, Depth, Heartbeat, Side, Stats, Sweep, UnknownMessage
from .wire import COINCALL

ctypedef const unsigned char* Bytes

# The unit of every price and size that is kept: 1e-8.
SCALE = 100_000_000

cdef double SCALE_F = 1e8
cdef int64_t FOREVER_NS = INT64_MAX


# ======================================================================================= numbers
#
# A number is legal if it is a JSON number (RFC 8259, section 6), bare or in quotes, and then with
# blanks around it. Its value times 1e8 must be an integer that fits int64: a price that does not is
# refused, a size with more decimals is rounded down and counted (contract, section 1).

cdef enum:
    DECIMALS = 8
    PLAIN = 21  # bytes that plain_number() may read

cdef int64_t FAR = 10 ** 17  # an exponent past the length of any frame; larger ones mean the same

cdef enum Fault:
    LEGAL = 0
    NOT_A_NUMBER
    NEGATIVE
    TOO_PRECISE
    TOO_LARGE

cdef const char* fault_text(Fault fault) noexcept nogil:
    if fault == NEGATIVE:
        return b"a negative price or size"
    if fault == TOO_PRECISE:
        return b"a price that is no multiple of 1e-8"
    if fault == TOO_LARGE:
        return b"a number beyond 2**63-1 units of 1e-8"
    return b"not a number"


cdef struct Number:
    int64_t e8      # the value, in units of 1e-8
    bint inexact    # digits below 1e-8 were dropped


cdef inline bint is_digit(unsigned char c) noexcept nogil:
    return <unsigned char>(c - 48) < 10


# The spelling that venues use: up to 10 digits, and then maybe a point and 1 to 8 more.
#
# plain_number() returns what follows it, or NULL for whatever the careful way has to look at. It
# reads at most PLAIN bytes, which the caller has made sure of. Digit by digit on purpose, and each
# with a branch of its own: the processor guesses where the number ends and goes on, where a loop
# gives it less to guess by (10 % slower), and eight digits at a time wait for the count (50 %).
cdef extern from *:
    """
    #include <stdint.h>

    #define WHOLE_DIGIT(i) \\
        if ((digit = p[i] - 48u) > 9) { q = p + i; goto decimals; } \\
        value = value * 10 + digit;
    #define DECIMAL(i, unit) \\
        if ((digit = q[i] - 48u) > 9) { *e8 = (int64_t)(value * unit); return i ? q + i : 0; } \\
        value = value * 10 + digit;

    static CYTHON_INLINE const unsigned char *plain_number(const unsigned char *p, int64_t *e8) {
        const unsigned char *q = p + 10;
        unsigned digit = p[0] - 48u;
        uint64_t value = digit;
        if (digit > 9) return 0;
        WHOLE_DIGIT(1) WHOLE_DIGIT(2) WHOLE_DIGIT(3) WHOLE_DIGIT(4) WHOLE_DIGIT(5)
        WHOLE_DIGIT(6) WHOLE_DIGIT(7) WHOLE_DIGIT(8) WHOLE_DIGIT(9)
        if (p[10] - 48u <= 9) return 0;
    decimals:
        if (p[0] == '0' && q != p + 1) return 0;
        if (*q != '.') { *e8 = (int64_t)(value * 100000000u); return q; }
        q++;
        DECIMAL(0, 100000000u) DECIMAL(1, 10000000u) DECIMAL(2, 1000000u) DECIMAL(3, 100000u)
        DECIMAL(4, 10000u) DECIMAL(5, 1000u) DECIMAL(6, 100u) DECIMAL(7, 10u)
        if (q[8] - 48u <= 9) return 0;
        *e8 = (int64_t)value;
        return q + 8;
    }
    """
    Bytes plain_number(Bytes p, int64_t* e8) noexcept nogil


cdef Fault any_number(Bytes p, Bytes end, bint is_size, Number* out, Bytes* after) noexcept nogil:
    """Any JSON number from `p`, exactly. `after` gets what follows it, or where it goes wrong."""
    cdef Bytes first, dot = NULL, last, q = p
    cdef bint negative = False, down, nonzero = False
    cdef int64_t exponent = 0, shift, keep
    cdef uint64_t value = 0, digit

    # What the grammar says it is: digits from `first` to `last`, a point at `dot`, an exponent.
    after[0] = q
    if q < end and q[0] == c'-':
        negative = True
        q += 1
    first = q
    while q < end and is_digit(q[0]):
        q += 1
    if q == first or (first[0] == c'0' and q - first > 1):
        return NOT_A_NUMBER
    if q < end and q[0] == c'.':
        dot = q
        q += 1
        while q < end and is_digit(q[0]):
            q += 1
        if q == dot + 1:
            return NOT_A_NUMBER
    last = q
    if q < end and (q[0] == c'e' or q[0] == c'E'):
        q += 1
        down = q < end and q[0] == c'-'
        if q < end and (q[0] == c'-' or q[0] == c'+'):
            q += 1
        if q == end or not is_digit(q[0]):
            return NOT_A_NUMBER
        while q < end and is_digit(q[0]):
            if exponent < FAR:
                exponent = exponent * 10 + (q[0] - 48)
            q += 1
        if down:
            exponent = -exponent
    after[0] = q

    # What it is worth: its digits as an integer, times 10**shift, where a negative shift leaves
    # off as many of the last digits.
    shift = exponent + DECIMALS
    keep = last - first
    if dot != NULL:
        shift -= last - dot - 1
        keep -= 1
    if shift < 0:
        keep += shift
    out.inexact = False
    while first < last:
        if first == dot:
            first += 1
            continue
        digit = first[0] - 48
        first += 1
        if digit:
            nonzero = True
        if keep > 0:
            keep -= 1
            if value > (<uint64_t>INT64_MAX - digit) // 10:
                return TOO_LARGE
            value = value * 10 + digit
        elif digit:
            out.inexact = True
    if negative and nonzero:
        return NEGATIVE
    if out.inexact and not is_size:
        return TOO_PRECISE
    if value:
        while shift > 0:
            if value > <uint64_t>INT64_MAX // 10:
                return TOO_LARGE
            value *= 10
            shift -= 1
    if out.inexact and value == <uint64_t>INT64_MAX:
        return TOO_LARGE  # what was dropped would have made it so
    out.e8 = <int64_t>value
    return LEGAL


cdef Fault blank_padded(Bytes p, Bytes end, bint is_size, Number* out, Bytes* after) noexcept nogil:
    """A number and nothing else but blanks around it, as in a JSON string."""
    cdef Fault fault
    while p < end and p[0] == c' ':
        p += 1
    fault = any_number(p, end, is_size, out, after)
    if fault == LEGAL:
        p = after[0]
        while p < end and p[0] == c' ':
            p += 1
        after[0] = p
        if p != end:
            fault = NOT_A_NUMBER
    return fault


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
    return blank_padded(p, p + n, is_size, out, &after)


# ========================================================================================== scan
#
# Every function takes a position and returns the position behind what it has read, or NULL after
# noting in the Scan what is wrong and where. Nothing at or behind `end` is ever read: the buffer
# of a frame need not be followed by anything.

cdef enum:
    NESTING = 64      # of skipped values; a deeper frame is refused
    KEY_BYTES = 24    # the longest key name of a Wire
    MAX_SIZES = 2
    MAX_CHANNELS = 4
    ROOM = 96         # more than a level in a plain spelling takes, and 16 bytes to load behind it
    TIME_DIGITS = 18

cdef enum:  # the fields of a frame, of its data and of a level, in the order of the keys below
    CHANNEL = 0
    DATA = 1
    SYMBOL = 0
    TIME = 1
    BIDS = 2
    ASKS = 3
    PRICE = 0
    SIZE = 1

cdef struct Key:
    char text[KEY_BYTES]
    Py_ssize_t n

# A constant of up to 16 bytes, to be compared in two loads whatever its length.
cdef struct Token:
    uint64_t word[2]
    uint64_t mask[2]
    Py_ssize_t n

cdef struct Keys:
    Key frame[2]
    Key data[4]
    Key level[1 + MAX_SIZES]
    int sizes
    int64_t channel_codes[MAX_CHANNELS]
    int channels
    Token opening               # how a level begins whose price is in quotes
    Token between[MAX_SIZES]    # what may stand between its price and its size
    int usual                   # the one of these that fitted last

cdef struct Text:
    Bytes p
    Py_ssize_t n
    bint escaped

# Where a walk over the fields of an object has come to.
cdef struct Walk:
    bint begun
    int field        # an index into the keys that are looked for; -1 behind the object
    unsigned int seen  # a bit for each of them

ctypedef struct Scan:
    Bytes start
    Bytes end
    Keys* keys
    Levels* into
    PyObject* book   # the book that `into` belongs to, borrowed; NULL for a store's scratch
    bint is_book
    Text symbol      # p is NULL until it is read
    int64_t ts_ms
    bint unsorted
    bint truncated
    int inexact
    Bytes at         # where it went wrong
    const char* reason


cdef inline Bytes refuse(Scan* s, Bytes at, const char* reason) noexcept:
    s.at = at
    s.reason = reason
    return NULL


cdef inline unsigned char peek(Scan* s, Bytes p) noexcept:
    """The byte at `p`, or NUL, which is legal nowhere, behind the end."""
    return p[0] if p < s.end else 0


cdef inline Bytes blanks(Scan* s, Bytes p) noexcept:
    while p < s.end and (p[0] == c' ' or p[0] == c'\n' or p[0] == c'\r' or p[0] == c'\t'):
        p += 1
    return p


cdef Bytes scan_escape(Scan* s, Bytes p) noexcept:
    cdef unsigned char c = peek(s, p + 1)
    cdef int i
    if c == c'u':
        for i in range(2, 6):
            c = peek(s, p + i)
            if not (is_digit(c) or c'a' <= (c | 0x20) <= c'f'):
                return refuse(s, p, b"broken escape in a string")
        return p + 6
    if c and strchr(b'"\\/bfnrt', c) != NULL:
        return p + 2
    return refuse(s, p, b"broken escape in a string")


cdef Bytes scan_string(Scan* s, Bytes p, Text* out) noexcept:
    """A string from its opening quote; `out` is what stands between the quotes, escapes and all.

    `out` is left alone by a string that is refused.
    """
    cdef Bytes first = p + 1
    cdef bint escaped = False, ascii = True
    p = first
    while p < s.end and p[0] != c'"':
        if p[0] < 0x20:
            return refuse(s, p, b"control character in a string")
        if p[0] == c'\\':
            escaped = True
            p = scan_escape(s, p)
            if p == NULL:
                return NULL
        else:
            ascii &= p[0] < 0x80
            p += 1
    if p >= s.end:
        return refuse(s, s.end, b"string without an end")
    if not ascii:
        try:
            PyUnicode_DecodeUTF8(<char*>first, p - first, NULL)
        except UnicodeDecodeError as error:
            return refuse(s, first + <Py_ssize_t>error.start, b"invalid UTF-8")
    out.p = first
    out.n = p - first
    out.escaped = escaped
    return p + 1


cdef bytes unescaped(Text* text):
    """The UTF-8 of a string that holds escapes; None for a lone surrogate, which has none.

    Found out here, because an exception of orjson runs Python code (a finalizer, a signal
    handler), which could write the book whose spare half is being scanned into.
    """
    cdef Bytes p = text.p, end = p + text.n
    cdef bint high = False, low, surrogate
    while p < end:
        surrogate = p[0] == c'\\' and p[1] == c'u' and (p[2] | 0x20) == c'd' and p[3] >= c'8'
        low = surrogate and (p[3] | 0x20) >= c'c'
        if low != high:
            return None
        high = surrogate and not low
        p += 1 if p[0] != c'\\' else 6 if p[1] == c'u' else 2
    if high:
        return None
    return orjson.loads(PyBytes_FromStringAndSize(<char*>text.p - 1, text.n + 2)).encode()


cdef bint is_key(Text* text, Key* key) noexcept:
    if text.escaped:
        return unescaped(text) == PyBytes_FromStringAndSize(key.text, key.n)
    return text.n == key.n and memcmp(text.p, key.text, key.n) == 0


cdef Bytes scan_key(Scan* s, Bytes p, Text* key) noexcept:
    """A key of an object and its colon, up to its value."""
    if peek(s, p) != c'"':
        return refuse(s, p, b"no key where one must stand")
    p = scan_string(s, p, key)
    if p != NULL:
        p = blanks(s, p)
        if peek(s, p) != c':':
            return refuse(s, p, b"no colon behind a key")
        p = blanks(s, p + 1)
    return p


cdef inline Bytes scan_separator(Scan* s, Bytes p, unsigned char closing, bint* more) noexcept:
    """What follows a member: a comma and the next one, or the end of the object or list."""
    cdef unsigned char c
    p = blanks(s, p)
    c = peek(s, p)
    more[0] = c == c','
    if c == c',':
        return blanks(s, p + 1)
    if c == closing:
        return p + 1
    return refuse(s, p, b"neither a comma nor the end of an object or list")


cdef Bytes skip_value(Scan* s, Bytes p, int depth) noexcept:
    """Any JSON value, checked and forgotten."""
    cdef unsigned char c = peek(s, p), closing
    cdef Text text
    cdef Number number
    cdef Bytes after
    cdef bint more = True
    if c == c'"':
        return scan_string(s, p, &text)
    if c == c'{' or c == c'[':
        if depth == NESTING:
            return refuse(s, p, b"nested too deep")
        closing = c + 2  # ASCII has '{' '}' and '[' ']' two apart
        p = blanks(s, p + 1)
        if peek(s, p) == closing:
            return p + 1
        while more and p != NULL:
            if c == c'{':
                p = scan_key(s, p, &text)
            if p != NULL:
                p = skip_value(s, p, depth + 1)
            if p != NULL:
                p = scan_separator(s, p, closing, &more)
        return p
    if s.end - p >= 4 and (memcmp(p, b"true", 4) == 0 or memcmp(p, b"null", 4) == 0):
        return p + 4
    if s.end - p >= 5 and memcmp(p, b"false", 5) == 0:
        return p + 5
    # A number that nobody reads may be of any size: only its grammar counts.
    if any_number(p, s.end, True, &number, &after) == NOT_A_NUMBER:
        return refuse(s, p, b"not a JSON value")
    return after


cdef Bytes next_field(Scan* s, Bytes p, Key* keys, int n, Walk* walk) noexcept:
    """Up to the value of the next field of an object that is one of `keys`; others are skipped.

    A field that comes twice is refused: nobody can tell which one is meant.
    """
    cdef Text key
    cdef Bytes key_at
    cdef bint more = True
    cdef int i
    while True:
        if walk.begun:
            p = scan_separator(s, p, c'}', &more)
            if p == NULL:
                return NULL
        else:
            if peek(s, p) != c'{':
                return refuse(s, p, b"an object must stand here")
            p = blanks(s, p + 1)
            if peek(s, p) == c'}':
                more = False
                p += 1
            walk.begun = True
        walk.field = -1
        if not more:
            return p
        key_at = p
        p = scan_key(s, p, &key)
        if p == NULL:
            return NULL
        for i in range(n):
            if is_key(&key, &keys[i]):
                if walk.seen & (1 << i):
                    return refuse(s, key_at, b"a field twice")
                walk.seen |= 1 << i
                walk.field = i
                return p
        p = skip_value(s, p, 0)
        if p == NULL:
            return NULL


cdef inline Bytes begin_walk(Walk* walk, Bytes p) noexcept:
    walk.begun = False
    walk.seen = 0
    return p


cdef Bytes scan_amount(Scan* s, Bytes p, bint is_size, int64_t* e8) noexcept:
    """A price or a size, bare or quoted, in whatever legal spelling."""
    cdef Text text
    cdef Number number
    cdef Bytes after, behind
    cdef Fault fault = NOT_A_NUMBER
    cdef bint quoted = peek(s, p) == c'"'
    cdef bytes plain
    if s.end - p > PLAIN + 2:
        after = plain_number(p + quoted, e8)
        if after != NULL and (after[0] == c'"' if quoted else strchr(b",} ", after[0]) != NULL):
            return after + quoted
    if not quoted:
        fault = any_number(p, s.end, is_size, &number, &after)
        behind = after
    else:
        behind = scan_string(s, p, &text)
        if behind == NULL:
            return NULL
        if not text.escaped:
            fault = blank_padded(text.p, text.p + text.n, is_size, &number, &after)
        else:
            plain = unescaped(&text)
            if plain is not None:
                after = <Bytes>PyBytes_AS_STRING(plain)
                fault = blank_padded(
                    after, after + PyBytes_GET_SIZE(plain), is_size, &number, &after)
            after = p
    if fault != LEGAL:
        return refuse(s, after, fault_text(fault))
    s.inexact += number.inexact
    e8[0] = number.e8
    return behind


cdef Bytes scan_level(Scan* s, Bytes p, int64_t* price, int64_t* size) noexcept:
    """A level in any legal spelling: keys in any order, unknown ones among them."""
    cdef Walk walk
    p = begin_walk(&walk, p)
    while True:
        p = next_field(s, p, s.keys.level, SIZE + s.keys.sizes, &walk)
        if p == NULL:
            return NULL
        if walk.field < 0:
            if walk.seen != 0b011 and walk.seen != 0b101:  # the price, and either of the sizes
                return refuse(s, p, b"a level must have one price and one size")
            return p
        p = scan_amount(s, p, walk.field >= SIZE, size if walk.field >= SIZE else price)
        if p == NULL:
            return NULL


cdef inline bint stands(Bytes p, Token* token) noexcept:
    cdef uint64_t low, high
    memcpy(&low, p, 8)
    memcpy(&high, p + 8, 8)
    return (((low & token.mask[0]) ^ token.word[0]) | ((high & token.mask[1]) ^ token.word[1])) == 0


cdef inline Bytes plain_level(Keys* keys, Bytes p, int64_t* price, int64_t* size) noexcept:
    """A level as venues write it, byte for byte; NULL for any other spelling, legal or not.

    Reads less than ROOM bytes.
    """
    cdef Token* between = &keys.between[keys.usual]
    cdef bint quoted
    if not stands(p, &keys.opening):
        return NULL
    p = plain_number(p + keys.opening.n, price)
    if p == NULL:
        return NULL
    if not stands(p, between):
        keys.usual = (keys.usual + 1) % keys.sizes  # for the next level; this one is read with care
        return NULL
    p += between.n
    quoted = p[0] == c'"'
    p = plain_number(p + quoted, size)
    if p == NULL:
        return NULL
    if quoted:
        p += p[0] == c' '  # sizes come padded with a blank (seed 003, line 1726)
        if p[0] != c'"':
            return NULL
        p += 1
    return p + 1 if p[0] == c'}' else NULL


cdef struct Ladder:
    int64_t* price
    int64_t* size
    int64_t sign      # +1 for asks, -1 for bids: sign * price rises from best to worst
    int64_t worst     # sign * price of the last level kept
    int64_t previous  # sign * price of the level before, kept or not
    int n
    bint unsorted
    bint truncated
    bint suspect      # two levels may be at one price


cdef inline void start_ladder(Ladder* ladder, Levels* levels, int side) noexcept:
    memset(ladder, 0, sizeof(Ladder))
    ladder.price = levels.rows[2 * side]
    ladder.size = levels.rows[2 * side + 1]
    ladder.sign = 1 if side else -1
    ladder.worst = ladder.previous = -INT64_MAX - 1


cdef void insert_level(Ladder* ladder, int64_t price, int64_t size) noexcept:
    """A level that does not belong behind the last one kept: to its place, behind its equals."""
    cdef int64_t rank = ladder.sign * price
    cdef int i = ladder.n
    ladder.suspect = True
    while i and rank < ladder.sign * ladder.price[i - 1]:
        i -= 1
    if ladder.n == LEVELS:
        ladder.truncated = True
        if i == LEVELS:
            return
        ladder.n -= 1
    memmove(&ladder.price[i + 1], &ladder.price[i], (ladder.n - i) * sizeof(int64_t))
    memmove(&ladder.size[i + 1], &ladder.size[i], (ladder.n - i) * sizeof(int64_t))
    ladder.price[i] = price
    ladder.size[i] = size
    ladder.n += 1
    ladder.worst = ladder.sign * ladder.price[ladder.n - 1]


cdef inline void add_level(Ladder* ladder, int64_t price, int64_t size) noexcept:
    cdef int64_t rank = ladder.sign * price
    if price == 0 or size == 0:  # no quote: protocol page, section 5, row 10
        return
    if rank <= ladder.worst:
        insert_level(ladder, price, size)
    elif ladder.n < LEVELS:
        ladder.price[ladder.n] = price
        ladder.size[ladder.n] = size
        ladder.n += 1
        ladder.worst = rank
    else:
        ladder.truncated = True
    ladder.unsorted |= rank < ladder.previous
    ladder.previous = rank


cdef bint finish_ladder(Ladder* ladder, Levels* levels, int side) noexcept:
    """Whether the side is unambiguous; if so, the slots past its count are made 0 again."""
    cdef int i, unused = levels.dirty[side] - ladder.n
    if ladder.suspect:
        for i in range(1, ladder.n):
            if ladder.price[i] == ladder.price[i - 1]:
                return False
    if unused > 0:
        memset(&ladder.price[ladder.n], 0, unused * sizeof(int64_t))
        memset(&ladder.size[ladder.n], 0, unused * sizeof(int64_t))
    levels.n[side] = levels.dirty[side] = ladder.n
    return True


cdef Bytes scan_side(Scan* s, Bytes p, int side) noexcept:
    """The list of a side's levels, into `s.into`."""
    cdef Ladder ladder
    cdef int64_t price = 0, size = 0
    cdef int dirty = s.into.dirty[side]
    cdef Bytes begin = p, after
    cdef bint more = True
    if peek(s, p) != c'[':
        return refuse(s, p, b"a side must be a list")
    start_ladder(&ladder, s.into, side)
    s.into.dirty[side] = LEVELS  # until it is known how many were written
    p = blanks(s, p + 1)
    if peek(s, p) == c']':
        more = False
        p += 1
    while more:
        while s.end - p >= ROOM:
            after = plain_level(s.keys, p, &price, &size)
            if after == NULL or after[0] != c',':
                break
            add_level(&ladder, price, size)
            p = after + 1
        p = scan_level(s, blanks(s, p), &price, &size)
        if p == NULL:
            return NULL
        add_level(&ladder, price, size)
        p = scan_separator(s, p, c']', &more)
        if p == NULL:
            return NULL
    s.into.dirty[side] = dirty if dirty > ladder.n else ladder.n
    if not finish_ladder(&ladder, s.into, side):
        s.into.dirty[side] = LEVELS
        return refuse(s, begin, b"two levels at one price")
    s.unsorted |= ladder.unsorted
    s.truncated |= ladder.truncated
    return p


cdef Bytes scan_time(Scan* s, Bytes p) noexcept:
    """Epoch milliseconds: a JSON integer of 1 to 18 digits."""
    cdef Bytes first = p
    cdef uint64_t value = 0  # of 19 digits, before the last is found to be one too many
    while p < s.end and is_digit(p[0]) and p - first <= TIME_DIGITS:
        value = value * 10 + (p[0] - 48)
        p += 1
    if (
        p == first or p - first > TIME_DIGITS or (first[0] == c'0' and p - first > 1)
        or peek(s, p) == c'.' or (peek(s, p) | 0x20) == c'e'
    ):
        return refuse(s, first, b"the time is no integer of 1 to 18 digits")
    s.ts_ms = <int64_t>value
    return p


cdef Bytes scan_symbol(Scan* s, Bytes p, BookStore store) noexcept:
    """The symbol; what follows it is scanned straight into its book, if the store holds that."""
    cdef Text text
    cdef OrderBook book
    cdef Bytes after = NULL
    if peek(s, p) == c'"':
        after = scan_string(s, p, &text)
        if after == NULL:
            return NULL
    if after == NULL or text.n == 0 or (text.escaped and not unescaped(&text)):
        return refuse(s, p, b"the symbol must be a text")
    s.symbol = text
    if store is not None and not text.escaped:
        s.book = PyDict_GetItem(store.books, symbol_text(s))
        if s.book != NULL:
            book = <OrderBook>s.book
            s.into = &book.half[1 - book.live]
    return after


cdef Bytes scan_data(Scan* s, Bytes p, BookStore store) noexcept:
    """The object that holds symbol, time and both sides, each of them once, in any order."""
    cdef Walk walk
    cdef Bytes begin = begin_walk(&walk, p)
    while True:
        p = next_field(s, p, s.keys.data, 4, &walk)
        if p == NULL:
            return NULL
        if walk.field < 0:
            if walk.seen != 0b1111:
                return refuse(s, begin, b"symbol, time or a side is missing")
            return p
        if walk.field == SYMBOL:
            # Into a book only if no side has been scanned elsewhere.
            p = scan_symbol(s, p, None if walk.seen & (1 << BIDS | 1 << ASKS) else store)
        elif walk.field == TIME:
            p = scan_time(s, p)
        else:
            p = scan_side(s, p, walk.field - BIDS)
        if p == NULL:
            return NULL


cdef Bytes scan_channel(Scan* s, Bytes p) noexcept:
    """The channel code; any JSON value, of which only some integers mean an order book."""
    cdef Bytes first = p
    cdef int64_t code = 0
    cdef int i
    p = skip_value(s, p, 0)
    if p == NULL or p - first > TIME_DIGITS:
        return p
    while first < p and is_digit(first[0]):
        code = code * 10 + (first[0] - 48)
        first += 1
    if first == p:
        for i in range(s.keys.channels):
            s.is_book = s.is_book or code == s.keys.channel_codes[i]
    return p


cdef Bytes scan_frame(Scan* s, Bytes p, BookStore store) noexcept:
    """A whole frame, and nothing behind it but blanks; `s.is_book` tells what it was.

    What is no order book is checked to be JSON and left alone.
    """
    cdef Walk walk
    cdef Bytes data = NULL
    cdef bint scanned = False
    p = begin_walk(&walk, blanks(s, p))
    if peek(s, p) != c'{':
        p = skip_value(s, p, 0)
        walk.field = -1
    else:
        p = next_field(s, p, s.keys.frame, 2, &walk)
    while p != NULL and walk.field >= 0:
        if walk.field == CHANNEL:
            p = scan_channel(s, p)
        else:
            data = p
            scanned = s.is_book  # what it is may come behind it
            p = scan_data(s, p, store) if scanned else skip_value(s, p, 0)
        if p != NULL:
            p = next_field(s, p, s.keys.frame, 2, &walk)
    if p == NULL:
        return NULL
    p = blanks(s, p)
    if p != s.end:
        return refuse(s, p, b"something follows the frame")
    if s.is_book and not scanned:
        return refuse(s, p, b"no data") if data == NULL else scan_data(s, data, store)
    return p


cdef str symbol_text(Scan* s):
    if s.symbol.p == NULL:
        return None
    if s.symbol.escaped:
        return unescaped(&s.symbol).decode()
    return PyUnicode_DecodeUTF8(<char*>s.symbol.p, s.symbol.n, NULL)


cdef object decode_error(Scan* s):
    return DecodeError(s.reason.decode(), s.at - s.start, symbol_text(s))


cdef object start_scan(Scan* s, object frame, Layout layout):
    """Points a Scan at a frame of any type; what it returns keeps the bytes where they are."""
    cdef Py_ssize_t n
    cdef object held = frame
    memset(s, 0, sizeof(Scan))
    if isinstance(frame, bytes):
        s.start = <Bytes>PyBytes_AS_STRING(frame)
        n = PyBytes_GET_SIZE(frame)
    elif isinstance(frame, str):
        try:
            s.start = <Bytes>PyUnicode_AsUTF8AndSize(frame, &n)
        except UnicodeEncodeError as error:
            raise DecodeError("text that has no UTF-8", len(frame[:error.start].encode())) from None
    elif isinstance(frame, (bytearray, memoryview)):
        try:
            held = memoryview(frame).cast("B")
        except TypeError:
            raise TypeError("a frame must be contiguous") from None
        n = PyMemoryView_GET_BUFFER(held).len
        s.start = <Bytes>PyMemoryView_GET_BUFFER(held).buf
    else:
        raise TypeError(
            f"a frame is bytes, bytearray, memoryview or str, not {type(frame).__name__}")
    s.end = s.start + n
    s.keys = &layout.keys
    s.reason = b"no order-book frame"
    s.at = s.start
    return held


cdef int set_key(Key* key, str name) except -1:
    cdef bytes text = name.encode()
    if not 0 < len(text) <= KEY_BYTES:
        raise UsageError(f"a key of a Wire has 1 to {KEY_BYTES} bytes: {name!r}")
    memcpy(key.text, PyBytes_AS_STRING(text), len(text))
    key.n = len(text)
    return 0


cdef bint is_plain(str key):
    return json.dumps(key, ensure_ascii=False) == f'"{key}"'


cdef int set_token(Token* token, str text, bint plain) except -1:
    """A text that is too long, or whose key JSON has to escape, stands nowhere: no bytes have its
    word where its mask is 0, and levels are read the careful way.
    """
    cdef bytes raw = text.encode()
    token.n = len(raw)
    if plain and token.n <= 16:
        memcpy(token.word, PyBytes_AS_STRING(raw), token.n)
        memset(token.mask, 0xFF, token.n)
    else:
        token.word[0] = 1
    return 0


@cython.internal
cdef class Layout:
    """A `Wire`, in the form that the scanner compares bytes with."""
    cdef object wire
    cdef Keys keys

    def __cinit__(self, wire):
        cdef Keys* keys = &self.keys
        cdef int i
        self.wire = wire
        keys.sizes = len(wire.sizes)
        keys.channels = len(wire.channels)
        if not 0 < keys.sizes <= MAX_SIZES or not 0 < keys.channels <= MAX_CHANNELS:
            raise UsageError(f"a Wire has up to {MAX_SIZES} sizes and {MAX_CHANNELS} channels")
        for i, name in enumerate((wire.channel, wire.data)):
            set_key(&keys.frame[i], name)
        for i, name in enumerate((wire.symbol, wire.time, wire.bids, wire.asks)):
            set_key(&keys.data[i], name)
        for i, name in enumerate((wire.price, *wire.sizes)):
            set_key(&keys.level[i], name)
        for i, code in enumerate(wire.channels):
            keys.channel_codes[i] = code
        set_token(&keys.opening, '{"%s":"' % wire.price, is_plain(wire.price))
        for i, name in enumerate(wire.sizes):
            set_token(&keys.between[i], '","%s":' % name, is_plain(name))


cdef dict _layouts = {}


cdef Layout layout_of(object wire):
    layout = _layouts.get(wire)
    if layout is None:
        layout = _layouts[wire] = Layout(wire)
    return layout


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

cdef enum:  # the values of coincall_fast.change; a side's bit is the bids' shifted by the side
    BID = 1
    BID_AND_SIZE_SHIFT = 2
    DEPTH_CHANGED = 16
    ALL_CHANGED = 31

if _change.BBO | _change.DEPTH != ALL_CHANGED or _change.DEPTH != DEPTH_CHANGED:
    raise ImportError("the change bits of the core and of coincall_fast.change differ")


cdef int difference(Levels* old, Levels* new) noexcept nogil:
    cdef int bits = 0, side, row, n
    for side in range(2):
        n = max(old.n[side], new.n[side])
        for row in range(2 * side, 2 * side + 2):
            if old.rows[row][0] != new.rows[row][0]:
                bits |= BID << (side + BID_AND_SIZE_SHIFT * (row & 1))
            if n > 1 and memcmp(&old.rows[row][1], &new.rows[row][1], (n - 1) * sizeof(int64_t)):
                bits |= DEPTH_CHANGED
    return bits


cdef inline double e8_float(int64_t e8) noexcept nogil:
    return <double>e8 / SCALE_F


cdef inline double first_price(Levels* levels, int side) noexcept nogil:
    return e8_float(levels.rows[2 * side][0]) if levels.n[side] else NAN


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


cdef object first_e8(Levels* levels, int side, int row):
    return levels.rows[row][0] if levels.n[side] else None


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


cdef int load_side(Ladder* ladder, object levels, str name, int* inexact) except -1:
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
        add_level(ladder, price, number.e8)
        i += 1
    return 0


cdef int bind(OrderBook book, object symbol) except -1:
    if not isinstance(symbol, str):
        raise TypeError(f"a symbol is a str, not {type(symbol).__name__}")
    try:
        utf8 = symbol.encode()
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


cdef int settle(OrderBook book, Scan* s, int64_t recv_ns) noexcept:
    """A legal frame of this book's symbol: applied, unless it is older than the book."""
    if book.is_valid and s.ts_ms < book.ts_ms:
        book.counts[STALE] += 1
        book.last_change = 0
        return 0
    book.counts[UNSORTED] += s.unsorted
    book.counts[TRUNCATED] += s.truncated
    book.counts[INEXACT] += s.inexact
    return book.commit(s.into, s.ts_ms, recv_ns)


@cython.final
cdef class OrderBook:
    """OrderBook(symbol=None, *, wire=coincall.WIRE)

    The order book of one symbol: up to 100 levels a side, in arrays that are allocated once.

    Prices and sizes are kept as int64 in units of 1e-8. A name that ends in ``_e8`` gives that
    integer, any other price or size the float ``n_e8 / 1e8``. An empty side has price ``nan`` and
    size ``0.0``. A book without a symbol takes that of the first frame it applies. `wire` says
    how the frames are written; the default is Coincall's (seed 003, OrderBook).

    symbol         None until the first frame of an unbound book
    ts_ms          the venue's time of the last applied frame; 0 when empty
    recv_ns        what was given with it
    update_count   frames and loads applied, the unchanged included; never falls
    last_change    the change bits of the last `apply` or `load` that was not refused
    is_valid       whether anything has been applied since the book was made or cleared

    One thread writes a book, any number may read it: whatever a member returns is of one moment,
    between two frames. `stats` and `last_change` are for the thread that writes.
    """

    def __cinit__(self, symbol=None, *, wire=COINCALL):
        self.layout = layout_of(wire)
        if symbol is not None:
            bind(self, symbol)

    # ------------------------------------------------------------------------------- writing

    def apply(self, frame, int64_t recv_ns=0):
        """Replaces the book by what one order-book frame says; returns the change bits.

        frame: one whole text message, as ``bytes``, ``bytearray``, ``memoryview`` or ``str``. It
        is read during the call and not kept. recv_ns: when it came, by ``time.monotonic_ns()``;
        0 means not given. Returns an int of the bits in `coincall_fast.change`, 0 where no price
        and no size differs. A frame older than a valid book is not applied: 0 as well, and
        counted in ``stats.stale``. A frame that is refused changes nothing but ``stats``.

        Raises DecodeError (it is no legal order-book frame; ``.offset`` says where), then
        SymbolMismatch. Format: seed 003, OrderBook, and contract section 2.
        """
        cdef Scan s
        try:
            _held = start_scan(&s, frame, self.layout)
            s.into = &self.half[1 - self.live]  # not before: a memoryview may run Python code
            if scan_frame(&s, s.start, None) == NULL or not s.is_book:
                raise decode_error(&s)
        except DecodeError:
            self.counts[REJECTED] += 1
            raise
        if self.utf8 is None:
            bind(self, symbol_text(&s))
        elif not is_symbol_of(self, &s):
            self.counts[REJECTED] += 1
            raise SymbolMismatch(f"a frame of {symbol_text(&s)} for the book of {self.symbol}")
        return settle(self, &s, recv_ns)

    cdef int commit(self, Levels* levels, int64_t ts_ms, int64_t recv_ns) noexcept:
        """Makes these levels the book. Everything about them has been checked."""
        cdef Levels* now = &self.half[self.live]
        cdef Levels* spare = &self.half[1 - self.live]
        if levels != spare:
            memcpy(spare, levels, sizeof(Levels))
        self.last_change = difference(now, spare) if self.is_valid else ALL_CHANGED
        self.live = 1 - self.live
        self.is_valid = True
        self.ts_ms = ts_ms
        self.recv_ns = recv_ns
        self.update_count += 1
        self.counts[APPLIED] += 1
        self.counts[UNCHANGED] += self.last_change == 0
        return self.last_change

    def load(self, bids, asks, int64_t ts_ms=0, int64_t recv_ns=0):
        """Replaces the book by pairs of price and size, such as a REST snapshot has.

        bids, asks: iterables of ``(price, size)``, each a ``str``, ``int``, ``float`` (it stands
        for its repr) or ``Decimal``. The rules of a frame hold: levels are sorted, those of price
        or size 0 skipped, the best 100 kept. ts_ms: venue time, 0 leaves that of the book.
        Returns the change bits. Never stale.

        Raises DecodeError for a number that does not fit or two levels at one price, TypeError
        for what is no number; the book is then as it was.
        """
        cdef Levels levels
        cdef Ladder ladder
        cdef int inexact = 0, side
        cdef bint unsorted = False, truncated = False
        memset(&levels, 0, sizeof(Levels))
        for side, name, given in ((0, "bids", bids), (1, "asks", asks)):
            start_ladder(&ladder, &levels, side)
            try:
                load_side(&ladder, given, name, &inexact)
                if not finish_ladder(&ladder, &levels, side):
                    raise DecodeError(f"{name}: two levels at one price")
            except DecodeError:
                self.counts[REJECTED] += 1
                raise
            unsorted |= ladder.unsorted
            truncated |= ladder.truncated
        self.counts[UNSORTED] += unsorted
        self.counts[TRUNCATED] += truncated
        self.counts[INEXACT] += inexact
        return self.commit(&levels, ts_ms or self.ts_ms, recv_ns)

    def clear(self):
        """Empties the book and makes it invalid; symbol and counters stay.

        The next frame is accepted whatever its time, and reports all change bits.
        """
        memset(&self.half[1 - self.live], 0, sizeof(Levels))
        self.live = 1 - self.live
        self.is_valid = False
        self.ts_ms = 0
        self.recv_ns = 0

    # --------------------------------------------------------------------------------- state

    @property
    def bid_count(self):
        """The number of bid levels kept, 0 to 100."""
        return self.half[self.live].n[0]

    @property
    def ask_count(self):
        """The number of ask levels kept, 0 to 100."""
        return self.half[self.live].n[1]

    @property
    def is_crossed(self):
        """Whether the best bid is above the best ask. Reported, never repaired."""
        return self.spread < 0

    @property
    def is_locked(self):
        """Whether the best bid equals the best ask."""
        return self.spread == 0

    @property
    def stats(self):
        """What the book has been given so far, as a `Stats`."""
        return Stats(*[self.counts[i] for i in range(8)])

    def age_ns(self, int64_t now_ns):
        """Nanoseconds since the last applied frame; 2**63-1 where its time was not given."""
        return now_ns - self.recv_ns if self.recv_ns > 0 else FOREVER_NS

    def check(self, int64_t max_age_ns, int64_t now_ns):
        """Raises StaleError if the book is not valid, or older than that by ``recv_ns``."""
        if not self.is_valid:
            raise StaleError(f"the book of {self.symbol} is not valid")
        age_ns = self.age_ns(now_ns)
        if age_ns > max_age_ns:
            raise StaleError(f"the book of {self.symbol} is {age_ns} ns old")

    # --------------------------------------------------------------------------- top of book

    cdef double c_best_bid(self) noexcept nogil:
        return first_price(&self.half[self.live], 0)

    cdef double c_best_ask(self) noexcept nogil:
        return first_price(&self.half[self.live], 1)

    cdef double c_best_bid_size(self) noexcept nogil:
        return e8_float(self.half[self.live].rows[BID_SIZE][0])

    cdef double c_best_ask_size(self) noexcept nogil:
        return e8_float(self.half[self.live].rows[ASK_SIZE][0])

    cdef double c_microprice(self) noexcept nogil:
        cdef Levels* now = &self.half[self.live]
        if not (now.n[0] and now.n[1]):
            return NAN
        return micro(
            <double>now.rows[BID_PRICE][0], <double>now.rows[BID_SIZE][0],
            <double>now.rows[ASK_PRICE][0], <double>now.rows[ASK_SIZE][0],
        ) / SCALE_F

    cdef uint64_t c_levels(self, int64_t[4][LEVELS] out, int* bids, int* asks) noexcept nogil:
        """Copies all levels (rows as in `snapshot`) and returns the update count."""
        cdef Levels* now = &self.half[self.live]
        memcpy(out, now.rows, sizeof(now.rows))
        bids[0] = now.n[0]
        asks[0] = now.n[1]
        return self.update_count

    @property
    def best_bid(self):
        """The highest bid price; nan when there is no bid."""
        return self.c_best_bid()

    @property
    def best_ask(self):
        """The lowest ask price; nan when there is no ask."""
        return self.c_best_ask()

    @property
    def best_bid_size(self):
        """The size at the best bid; 0.0 when there is none."""
        return self.c_best_bid_size()

    @property
    def best_ask_size(self):
        """The size at the best ask; 0.0 when there is none."""
        return self.c_best_ask_size()

    @property
    def best_bid_e8(self):
        """The highest bid price in units of 1e-8; None when there is no bid."""
        return first_e8(&self.half[self.live], 0, BID_PRICE)

    @property
    def best_ask_e8(self):
        """The lowest ask price in units of 1e-8; None when there is no ask."""
        return first_e8(&self.half[self.live], 1, ASK_PRICE)

    @property
    def best_bid_size_e8(self):
        """The size at the best bid in units of 1e-8; None when there is none."""
        return first_e8(&self.half[self.live], 0, BID_SIZE)

    @property
    def best_ask_size_e8(self):
        """The size at the best ask in units of 1e-8; None when there is none."""
        return first_e8(&self.half[self.live], 1, ASK_SIZE)

    @property
    def mid(self):
        """The middle of best bid and best ask; nan when a side is empty."""
        cdef Levels* now = &self.half[self.live]
        if not (now.n[0] and now.n[1]):
            return NAN
        return <double>(<uint64_t>now.rows[BID_PRICE][0] + <uint64_t>now.rows[ASK_PRICE][0]) / (
            2 * SCALE_F)

    @property
    def spread(self):
        """Best ask minus best bid, negative in a crossed book; nan when a side is empty."""
        cdef Levels* now = &self.half[self.live]
        if not (now.n[0] and now.n[1]):
            return NAN
        return e8_float(now.rows[ASK_PRICE][0] - now.rows[BID_PRICE][0])

    @property
    def microprice(self):
        """(bid*ask_size + ask*bid_size) / (bid_size + ask_size); nan when a side is empty."""
        return self.c_microprice()

    @property
    def bbo(self):
        """(bid, bid_size, ask, ask_size), all of one moment."""
        return (
            self.c_best_bid(), self.c_best_bid_size(), self.c_best_ask(), self.c_best_ask_size()
        )

    # --------------------------------------------------------------------------------- depth

    def imbalance(self, levels=1):
        """(B - A) / (B + A), where B and A are the summed sizes of the best `levels` of a side.

        Positive is bid-heavy, 1.0 and -1.0 mean that the other side is empty, nan that both are.
        """
        cdef int n = asked_levels(levels)
        cdef Levels* now = &self.half[self.live]
        cdef double bid_size = total(now.rows[BID_SIZE], min(n, now.n[0]))
        cdef double ask_size = total(now.rows[ASK_SIZE], min(n, now.n[1]))
        if bid_size + ask_size == 0:
            return NAN
        return (bid_size - ask_size) / (bid_size + ask_size)

    def weighted_mid(self, levels):
        """The microprice of the best `levels` together: sizes summed, prices weighted by size."""
        cdef int n = asked_levels(levels)
        cdef Levels* now = &self.half[self.live]
        cdef double size[2]
        cdef double value[2]
        cdef int side, i
        if not (now.n[0] and now.n[1]):
            return NAN
        for side in range(2):
            size[side] = total(now.rows[2 * side + 1], min(n, now.n[side]))
            value[side] = 0
            for i in range(min(n, now.n[side])):
                value[side] += (
                    <double>now.rows[2 * side][i] * (<double>now.rows[2 * side + 1][i] / size[side])
                )
        return micro(value[0], size[0], value[1], size[1]) / SCALE_F

    def depth(self, levels=100):
        """The best levels as a `Depth`: float64 arrays (n, 2) of price and size, the caller's own.
        """
        cdef int n = asked_levels(levels)
        cdef Levels now = self.half[self.live]  # a copy: what numpy allocates may run Python code
        ts_ms, update_count = self.ts_ms, self.update_count
        return Depth(
            floats_of(&now, 0, min(n, now.n[0])), floats_of(&now, 1, min(n, now.n[1])),
            ts_ms, update_count,
        )

    def snapshot(self, out=None):
        """All levels as int64 of shape (4, 100), in units of 1e-8, unused slots 0.

        The rows are bid price, bid size, ask price, ask size. out: a C-contiguous, writable array
        of that shape and type, which is filled and returned; without it a new one, which the
        caller owns. Raises UsageError for any other `out`, and leaves it alone.
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
            memcpy(view.buf, self.half[self.live].rows, sizeof(self.half[0].rows))
        finally:
            PyBuffer_Release(&view)
        return out

    def sweep(self, side, size):
        """What a market order would pay: a `Sweep` over the asks for "buy", the bids for "sell".

        size: a ``str``, ``int``, ``float`` or ``Decimal``; what is below 1e-8 of it is dropped.
        """
        cdef int hit = hit_side(side), i = 0
        cdef Number wanted
        cdef Fault fault = caller_number(size, True, &wanted)
        cdef Levels* now = &self.half[self.live]
        cdef int64_t left, take
        cdef double cost = 0
        if fault != LEGAL:
            raise UsageError(f"a size of {size!r}: {fault_text(fault).decode()}")
        left = wanted.e8
        while left and i < now.n[hit]:
            take = min(left, now.rows[2 * hit + 1][i])
            cost += <double>now.rows[2 * hit][i] * <double>take
            left -= take
            i += 1
        if i == 0:
            return Sweep(NAN, NAN, 0.0, 0, left > 0)
        worst = <double>now.rows[2 * hit][i - 1]
        price = between(cost / <double>(wanted.e8 - left), <double>now.rows[2 * hit][0], worst)
        return Sweep(price / SCALE_F, worst / SCALE_F, e8_float(wanted.e8 - left), i, left > 0)

    def size_to(self, side, price):
        """The summed size at `price` or better, of the side that a "buy" or "sell" would hit."""
        cdef int hit = hit_side(side), i = 0
        cdef int64_t sign = 1 if hit else -1
        cdef Number limit
        cdef Fault fault = caller_number(price, False, &limit)
        cdef Levels* now = &self.half[self.live]
        if fault != LEGAL or limit.e8 == 0:
            raise UsageError(
                f"a price of {price!r}: {fault_text(fault).decode() if fault else 'zero'}"
            )
        while i < now.n[hit] and sign * now.rows[2 * hit][i] <= sign * limit.e8:
            i += 1
        return total(now.rows[2 * hit + 1], i) / SCALE_F

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


cdef object floats_of(Levels* levels, int side, int n):
    """Price and size of the best n levels of a side, as a new float64 array (n, 2)."""
    cdef Py_buffer view
    cdef double* out
    cdef int i
    array = np.empty((n, 2))
    PyObject_GetBuffer(array, &view, PyBUF_C_CONTIGUOUS | PyBUF_WRITABLE)
    out = <double*>view.buf
    for i in range(n):
        out[2 * i] = e8_float(levels.rows[2 * side][i])
        out[2 * i + 1] = e8_float(levels.rows[2 * side + 1][i])
    PyBuffer_Release(&view)
    return array


# ========================================================================================= store

cdef object message_of(object frame):
    """A frame that is no order book; that it is JSON has been checked (contract, section 3)."""
    try:
        body = json.loads(bytes(frame) if isinstance(frame, memoryview) else frame)
    except ValueError as error:  # an integer of more digits than CPython converts
        raise DecodeError(f"a message that Python cannot hold: {error}") from None
    if not isinstance(body, dict):
        return UnknownMessage(None, body)
    dt = body.get("dt")
    if dt is not None:
        return UnknownMessage(dt if type(dt) is int else None, body)
    c, rc = (
        int(code) if isinstance(code, str) and code.strip().isdecimal() else code
        for code in (body.get("c"), body.get("rc"))
    )
    if c == 11:
        return Heartbeat(rc)
    if "result" in body or "msg" in body or rc not in (None, 1):
        action = body.get("action")
        return Ack(
            action.lower() if isinstance(action, str) else None,
            str(body.get("result")).lower() in ("success", "true") and rc in (None, 1),
            body,
        )
    return UnknownMessage(None, body)


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
        the message that it is.

        The arguments are those of `OrderBook.apply`. A book is made by the first frame of its
        symbol that is not refused. Raises DecodeError, whose ``symbol`` says which book missed an
        update, as far as the frame could be read; the book itself is as it was.
        """
        cdef Scan s
        cdef OrderBook book
        cdef Levels levels
        _held = start_scan(&s, frame, self.layout)
        s.into = &self.scratch
        if scan_frame(&s, s.start, self) == NULL:
            error = decode_error(&s)
            if error.symbol in self.books:
                book = self.books[error.symbol]
                book.counts[REJECTED] += 1
            raise error
        if not s.is_book:
            return message_of(frame)
        if s.book != NULL:
            book = <OrderBook>s.book
        else:
            symbol = symbol_text(&s)
            book = self.books.get(symbol)
            if book is None:
                levels = self.scratch  # which a finalizer may feed, when Python allocates
                s.into = &levels
                book = OrderBook(symbol, wire=(<Layout>self.layout).wire)
                book = self.books.setdefault(symbol, book)
        settle(book, &s, recv_ns)
        return book

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


def decode(frame):
    """One frame of any channel, on its own: a fresh `OrderBook`, or the message that it is.

    For scripts; where frames keep coming, `BookStore.feed` and `OrderBook.apply` make nothing new.
    Raises DecodeError.
    """
    return BookStore().feed(frame)

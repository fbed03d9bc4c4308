"""The C headers below both compiled modules; what each thing means, they say themselves."""

from libc.stdint cimport int64_t, uint16_t, uint32_t, uint64_t

ctypedef const unsigned char* Bytes

cdef extern from "_json.h" nogil:
    enum: INTEGER_DIGITS
    ctypedef struct Source:
        Bytes start
        Bytes end
        Bytes at
        const char* reason
    ctypedef struct Text:
        Bytes p
        int64_t n
        bint escaped
    ctypedef enum Fault: LEGAL, NOT_A_NUMBER, TOO_LARGE
    ctypedef struct Number:
        int64_t e8
        bint inexact
    Bytes refuse(Source* s, Bytes at, const char* reason)
    unsigned char peek(const Source* s, Bytes p)
    Bytes blanks(const Source* s, Bytes p)
    Bytes scan_string(Source* s, Bytes p, Text* out)
    const char* fault_text(Fault fault)
    Fault any_number(Bytes p, Bytes end, bint is_size, Number* out, Bytes* after)
    Fault padded_number(Bytes p, Bytes end, bint is_size, Number* out, Bytes* after)
    Bytes scan_integer(Source* s, Bytes p, int64_t* value, const char* wrong)
    int unescape(Bytes* at, unsigned char* utf8)
    Bytes scan_separator(Source* s, Bytes p, unsigned char closing, bint* more)
    Bytes skip_value(Source* s, Bytes p, int depth)

cdef extern from "_plain.h" nogil:
    enum: HAS_QUOTED_LEVEL, TOKEN, PLAIN, NUMBERS, SEARCHED
    ctypedef struct Token:
        unsigned char text[TOKEN]
        unsigned char mask[TOKEN]
        int n
    ctypedef struct Spelling:
        Token opening
        Token between
        int quoted
        int room
        unsigned char closing
    uint64_t mixed(Bytes p, int64_t n)
    Bytes plain_number(Bytes p, int64_t* e8)
    int plain_levels(
        Bytes* at, Bytes end, const Spelling* spelling, Bytes base, int most,
        int64_t* price, int64_t* size, uint16_t* where)
    int plain_rows(
        Bytes* at, Bytes end, const Spelling* spelling, const Token* tail, int most,
        int64_t* price, int64_t* size)
    int plain_edits(
        Bytes* at, Bytes end, const Spelling* spelling, const Token* tails, bint sized, int given,
        int most, int64_t* price, int64_t* size, unsigned char* side)

cdef extern from "_fields.h" nogil:
    enum: KEY_BYTES, MAX_KEYS
    ctypedef struct Key:
        Token token
        unsigned char text[KEY_BYTES]
        unsigned char n
        unsigned char role
    ctypedef struct Keys:
        Key key[MAX_KEYS + 1]
        int n
        uint64_t roles
        unsigned char follows[MAX_KEYS + 1]
    ctypedef struct Walk:
        unsigned char before
        int role
        uint64_t seen
    void begin_walk(Walk* walk)
    bint is_text(const Text* text, const Key* key)
    Bytes behind_beginning(const Text* text, const Key* beginning)
    Bytes scan_choice(Source* s, Bytes p, const Key* choices, int* which, const char* wrong)
    Bytes next_field(Source* s, Bytes p, Keys* keys, Walk* walk)

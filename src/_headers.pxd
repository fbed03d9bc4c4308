"""The C headers of the core, as _book.pyx sees them; what each thing means, they say themselves."""

from libc.stdint cimport int64_t, uint16_t

from coincall_fast._book cimport LEVELS

ctypedef const unsigned char* Bytes

cdef extern from "_json.h" nogil:
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
    enum: TOKEN, PLAIN, NUMBERS
    ctypedef struct Token:
        unsigned char text[TOKEN]
        unsigned char mask[TOKEN]
        int n
    ctypedef struct Spelling:
        Token opening
        Token between
        int quoted
        int room
    Bytes plain_number(Bytes p, int64_t* e8)
    int plain_levels(
        Bytes* at, Bytes end, const Spelling* spelling, Bytes base, int most,
        int64_t* price, int64_t* size, uint16_t* where)

cdef extern from "_fields.h" nogil:
    enum: KEY_BYTES, MAX_KEYS
    ctypedef struct Key:
        unsigned char text[KEY_BYTES]
        int n
        int role
        Token token
    ctypedef struct Keys:
        Key key[MAX_KEYS]
        int n
        unsigned int roles
    ctypedef struct Walk:
        unsigned char before
        int role
        unsigned int seen
    void begin_walk(Walk* walk)
    bint is_text(const Text* text, const Key* key)
    Bytes behind_beginning(const Text* text, const Key* beginning)
    Bytes scan_choice(Source* s, Bytes p, const Key* choices, int* which, const char* wrong)
    Bytes next_field(Source* s, Bytes p, const Keys* keys, Walk* walk)

cdef extern from "_levels.h" nogil:
    enum: ALL_CHANGED, DEPTH_CHANGED
    ctypedef struct Half:
        int64_t n[2]
        int64_t rows[4][LEVELS]
    ctypedef struct Age:
        int64_t price_ns
        int64_t size_ns
    ctypedef struct Book:
        Age ages[2][2][LEVELS]
        int aged
        int standing[2]
        int alike[2]
        unsigned char text[1]
    ctypedef struct Ladder:
        int n
        int suspect
        int unsorted
        int truncated
        int skipped
        int64_t* price
        int64_t* size
        uint16_t* where
    Half* live_half(Book* book)
    void start_ladder(Ladder* ladder)
    void add_level(Ladder* ladder, int side, int64_t price, int64_t size)
    void add_levels(Ladder* ladder, int side, int n)
    bint unambiguous(const Ladder* ladder)
    enum: BEFORE_LEVEL, BEHIND_LEVEL
    int follow_levels(
        Book* book, Ladder* ladder, int side, const Spelling* spelling,
        Bytes start, Bytes* at, Bytes end, int patience, int64_t recv_ns)
    void pass_ages(Book* book, Ladder* ladder, int side, int64_t recv_ns)
    void start_from_book(Ladder* ladder, Book* book, int side)
    bint put_level(Ladder* ladder, int side, int64_t price, int64_t size)
    int difference(Book* book, const Ladder* draft)
    void publish(Book* book, const Ladder* draft, int64_t update_count)
    bint remember(Book* book, const Ladder* draft, Bytes text, int64_t n)
    int64_t read_best(const Book* book, int row)
    void read_top(const Book* book, int64_t* best)
    int64_t read_levels(const Book* book, int64_t[LEVELS]* rows, int* bids, int* asks)

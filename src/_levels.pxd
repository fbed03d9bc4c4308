"""The C headers below the books, as _book.pyx sees them; what things mean, they say themselves."""

from libc.stdint cimport int64_t, uint16_t

from _headers cimport Bytes, Spelling
from coincall_fast._book cimport LEVELS

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
    int difference(Book* book, const Ladder* draft)
    void publish(Book* book, const Ladder* draft, int64_t update_count)
    bint remember(Book* book, const Ladder* draft, Bytes text, int64_t n)
    int64_t read_best(const Book* book, int row)
    void read_top(const Book* book, int64_t* best)
    int64_t read_levels(const Book* book, int64_t[LEVELS]* rows, int* bids, int* asks)

cdef extern from "_edits.h" nogil:
    enum: EDITS
    ctypedef struct Edits:
        int n
        int64_t* price
        int64_t* size
        unsigned char* side
    int draft_edits(Ladder* draft, Book* book, const Edits* edits)
    bint holds(Book* book, int side, int64_t price)
    bint in_any_order(const Edits* edits)
    int amend(
        Book* book, const Edits* edits, int64_t update_count, int64_t recv_ns, int* absent,
        int* truncated)

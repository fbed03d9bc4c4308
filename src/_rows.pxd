"""The C headers below the messages, as _message.pyx sees them; what each thing means, they say
themselves."""

from libc.stdint cimport int64_t, uint32_t, uint64_t

from _headers cimport MAX_KEYS, Bytes, Key, Keys, Source

cdef extern from "_rows.h":
    enum: CELLS, WORDS
    const int64_t UNREAD
    enum: NUMBER, VOLATILITY, QUOTE, INTEGER, CODE, FLAG, TEXT, ANYTHING, WORD, LABEL, SECONDS
    ctypedef struct Cell:
        int64_t integer
        double number
        uint32_t at
        uint32_t n
        uint32_t in_e8
    ctypedef struct Words:
        Key word[WORDS]
        int64_t code[WORDS]
        int n
    ctypedef struct Column:
        unsigned char kind
        unsigned char cell
        unsigned char alone
        unsigned char none
        uint64_t better
        const Words* words
    ctypedef struct Columns:
        Keys keys
        Column of[MAX_KEYS]
    double number_in(const Cell* cell, int kind)
    Bytes scan_seconds(Source* s, Bytes p, Cell* cell)
    Bytes scan_time(Source* s, Bytes p, Cell* cell)
    Bytes scan_row(Source* s, Bytes p, Columns* columns, Cell* cells, int* wrong)

cdef extern from "_table.h":
    ctypedef struct RowShape:
        Columns columns
        unsigned char kind[CELLS]
        int numbers
        int symbol
        int time
    ctypedef struct Place:
        uint32_t row
        uint32_t at
        uint32_t n
    ctypedef struct Draft:
        int64_t n
        double* numbers
        int64_t* times
        Place* places
    Bytes draft_row(Draft* draft, Source* s, Bytes p, RowShape* shape, int* wrong)
    bint same_symbols(const Draft* draft, Bytes start, const Place* places, Bytes old)
    void put_draft(
        const Draft* draft, int columns, int64_t time,
        double* numbers, int64_t* times, Place* places)

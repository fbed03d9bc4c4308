"""C's view of the compiled core: `from coincall_fast._book cimport OrderBook`.

The ``c_`` members read what the last applied frame left, without creating a Python object. Call
them on the thread that applies frames, or with the GIL held: a frame is applied under it. The
fields are private. Rebuild what cimports this with each minor version of the package.
"""

from libc.stdint cimport int64_t, uint64_t

cdef enum:
    LEVELS = 100  # levels kept a side

cdef enum:  # the rows of Levels, the axis 0 of OrderBook.snapshot()
    BID_PRICE = 0
    BID_SIZE = 1
    ASK_PRICE = 2
    ASK_SIZE = 3

cdef struct Levels:
    int64_t rows[4][LEVELS]  # 1e-8 units, best first; slots past the count are 0
    int n[2]                 # bids, asks
    int dirty[2]             # slots at and past this one are 0 for sure

cdef class OrderBook:
    cdef readonly object symbol
    cdef readonly int64_t ts_ms
    cdef readonly int64_t recv_ns
    cdef readonly uint64_t update_count
    cdef readonly int last_change
    cdef readonly bint is_valid

    cdef Levels half[2]  # one is live, a frame is scanned into the other
    cdef int live
    cdef int64_t counts[8]
    cdef bytes utf8
    cdef object layout

    cdef double c_best_bid(self) noexcept nogil
    cdef double c_best_ask(self) noexcept nogil
    cdef double c_best_bid_size(self) noexcept nogil
    cdef double c_best_ask_size(self) noexcept nogil
    cdef double c_microprice(self) noexcept nogil
    cdef uint64_t c_levels(self, int64_t[4][LEVELS] out, int* bids, int* asks) noexcept nogil

    cdef int commit(self, Levels* levels, int64_t ts_ms, int64_t recv_ns) noexcept

cdef class BookStore:
    cdef dict books
    cdef Levels scratch
    cdef object layout

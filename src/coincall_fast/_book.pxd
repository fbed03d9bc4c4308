"""C's view of the compiled core: `from coincall_fast._book cimport OrderBook`.

The ``c_`` members need no GIL and create no Python object. Any number of threads may call them
while another one applies frames: each answers for one moment between two frames, never for an
earlier one than before, and none of them makes the writer wait. The caller holds a reference to the
book, and declares it ``OrderBook book not None``, or else Cython lets None through. The fields are
private. Rebuild what cimports this with each minor version of the package.
"""

from cpython.object cimport PyObject
from libc.stdint cimport int64_t, uint64_t

cdef extern from *:
    """
    #include <stdint.h>
    #define COINCALL_FAST_NO_PRICE INT64_MIN
    """
    const int64_t NO_PRICE "COINCALL_FAST_NO_PRICE"  # of an empty side

cdef enum:
    LEVELS = 100  # levels kept a side

cdef enum:  # the rows of a book, the axis 0 of OrderBook.snapshot()
    BID_PRICE = 0
    BID_SIZE = 1
    ASK_PRICE = 2
    ASK_SIZE = 3

cdef class OrderBook:
    cdef readonly object symbol
    cdef readonly int64_t ts_ms
    cdef readonly int64_t recv_ns
    cdef readonly uint64_t update_count
    cdef readonly int last_change
    cdef readonly bint is_valid

    cdef void* levels  # see _levels.h
    cdef int64_t held_version
    cdef bint is_base  # that version was given to load(), and no change has come since
    cdef int64_t counts[8]
    cdef bytes utf8
    cdef object layout

    cdef double c_best_bid(self) noexcept nogil
    cdef double c_best_ask(self) noexcept nogil
    cdef double c_best_bid_size(self) noexcept nogil
    cdef double c_best_ask_size(self) noexcept nogil
    cdef int64_t c_best_bid_e8(self) noexcept nogil
    cdef int64_t c_best_ask_e8(self) noexcept nogil
    cdef double c_microprice(self) noexcept nogil
    cdef uint64_t c_levels(self, int64_t[4][LEVELS] out, int* bids, int* asks) noexcept nogil

cdef enum:
    NEAR = 512

cdef class BookStore:
    cdef dict books
    cdef OrderBook last        # that a frame was for
    cdef PyObject* near[NEAR]  # books, by their symbols
    cdef object layout

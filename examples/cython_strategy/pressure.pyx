# cython: language_level=3, cdivision=True
"""A signal in Cython, which reads books without the GIL and without making a Python object.

It runs in a thread of its own while a stream writes the book; each read is of one moment.
"""

from libc.math cimport isnan
from libc.stdint cimport int64_t, uint64_t

from coincall_fast._book cimport LEVELS, OrderBook


cdef class Pressure:
    """How heavily the bid side of a book weighs, from +1 (bids alone) to -1, nearer levels more.

    `watch` takes as many looks as it is told; it gives the GIL away, so that the reading thread of
    a stream is not delayed for a moment.
    """

    cdef OrderBook book
    cdef readonly uint64_t looks, changes
    cdef readonly double last, highest, lowest

    def __init__(self, OrderBook book not None):
        self.book = book
        self.last = self.highest = self.lowest = 0.0

    cdef double now(self, uint64_t* count) noexcept nogil:
        cdef int64_t levels[4][LEVELS]  # bid price, bid size, ask price, ask size, in 1e-8
        cdef int bids, asks, i
        cdef double bid = 0.0, ask = 0.0
        count[0] = self.book.c_levels(levels, &bids, &asks)
        for i in range(bids):
            bid += levels[1][i] / <double>(i + 1)
        for i in range(asks):
            ask += levels[3][i] / <double>(i + 1)
        return (bid - ask) / (bid + ask)  # nan of an empty book

    def watch(self, uint64_t looks):
        cdef uint64_t count, before = 0
        cdef double value
        with nogil:
            for _ in range(looks):
                value = self.now(&count)
                self.looks += 1
                if count == before or isnan(value):
                    continue
                before = count
                self.changes += 1
                self.last = value
                self.highest = max(self.highest, value)
                self.lowest = min(self.lowest, value)
        return self.last

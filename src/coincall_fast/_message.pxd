"""What the books want of the messages; nobody else's."""

from cpython.object cimport PyObject

from _headers cimport Bytes, Keys, Source

cdef class Decoder:
    cdef list channels
    cdef PyObject* by_code[256]  # of these
    cdef Keys envelope
    cdef Keys code               # of these the one for the channel
    cdef bint knows(self, Source* s) noexcept
    cdef PyObject* channel_at(self, Source* s, Bytes* at) noexcept
    cdef object take(self, Source* s, object frame, object into)

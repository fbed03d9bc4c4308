"""What the books want of the messages; nobody else's."""

from _headers cimport Source

cdef class Decoder:
    cdef object take(self, Source* s, object frame, object into)

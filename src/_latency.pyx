# cython: language_level=3, auto_pickle=False, autotestdict=False, embedsignature=True
# cython: embedsignature.format=clinic, binding=False, always_allow_keywords=True
"""Where time goes: nanoseconds counted in fixed buckets, 16 to an octave.

What is measured takes a microsecond, so that measuring it must take much less: one call a frame,
and no memory beyond the buckets.
"""

cimport cython
from libc.math cimport NAN, frexp
from libc.stdint cimport int64_t, uint64_t

cdef enum:
    STEP_BITS = 4
    STEPS = 1 << STEP_BITS  # to an octave
    LAST_OCTAVE = 40  # 18 minutes and whatever takes longer
    BUCKETS = STEPS * (LAST_OCTAVE - STEP_BITS + 2)


cdef int bucket_of(int64_t ns) noexcept nogil:
    """Each number below 16 has a bucket of its own; each octave from there on has sixteen."""
    cdef int exponent
    if ns < STEPS:
        return <int> ns if ns > 0 else 0
    if ns >= <int64_t> 2 << LAST_OCTAVE:
        return BUCKETS - 1
    frexp(<double> ns, &exponent)
    cdef int octave = exponent - 1
    return (octave - STEP_BITS + 1) * STEPS + ((ns >> (octave - STEP_BITS)) & (STEPS - 1))


cdef double middle_of(int bucket) noexcept nogil:
    """The middle of what a bucket counts."""
    if bucket < STEPS:
        return bucket
    cdef int shift = bucket // STEPS - 1
    cdef int64_t first = <int64_t> (STEPS + bucket % STEPS) << shift
    return first + ((<int64_t> 1 << shift) - 1) / 2.0


@cython.final
cdef class Histogram:
    """Durations in nanoseconds. One thread records, any thread that holds the GIL may ask."""

    cdef uint64_t counts[BUCKETS]
    cdef readonly uint64_t count
    cdef int64_t most, least

    def __cinit__(self):
        self.most = -(<int64_t> 1 << 62)
        self.least = <int64_t> 1 << 62

    cdef void take(self, int64_t ns) noexcept nogil:
        self.counts[bucket_of(ns)] += 1
        self.count += 1
        self.most = max(self.most, ns)
        self.least = min(self.least, ns)

    def record(self, int64_t ns) -> None:
        """Counts one; below 0 counts as 0 but in `min_ns`."""
        self.take(ns)

    @property
    def max_ns(self) -> float:
        return <double> self.most if self.count else NAN

    @property
    def min_ns(self) -> float:
        return <double> self.least if self.count else NAN

    def quantile_ns(self, double quantile) -> float:
        """What this share of all was not above, to 1/32 of it; nan where nothing was recorded."""
        cdef uint64_t passed = 0
        cdef int bucket
        if not 0.0 <= quantile <= 1.0:
            raise ValueError(f"a quantile is between 0 and 1, not {quantile!r}")
        if not self.count:
            return NAN
        for bucket in range(BUCKETS):
            passed += self.counts[bucket]
            if passed and passed >= quantile * self.count:
                return min(middle_of(bucket), <double> max(self.most, 0))
        return <double> self.most

    def add(self, Histogram other not None) -> None:
        """Counts all that another one has counted."""
        cdef int bucket
        for bucket in range(BUCKETS):
            self.counts[bucket] += other.counts[bucket]
        self.count += other.count
        self.most = max(self.most, other.most)
        self.least = min(self.least, other.least)


@cython.final
cdef class Ledger:
    """What became of frames: from socket to `book`, to the end of `callbacks`, and their `age`."""

    cdef readonly Histogram book, callbacks, age
    cdef public int64_t clock_offset_ns  # how far the venue's clock is ahead of ours

    def __cinit__(self):
        self.book, self.callbacks, self.age = Histogram(), Histogram(), Histogram()

    def record(
        self, int64_t recv_ns, int64_t book_ns, int64_t done_ns, int64_t wall_ns, int64_t ts_ms
    ) -> None:
        """One frame: when its bytes had come, its book stood and all callbacks had returned, by one
        clock; and by our epoch clock when its bytes had come, by the venue's when it was made."""
        self.book.take(book_ns - recv_ns)
        self.callbacks.take(done_ns - recv_ns)
        self.age.take(wall_ns + self.clock_offset_ns - ts_ms * 1_000_000)

    def add(self, Ledger other not None) -> None:
        """Counts all that another one has counted."""
        self.book.add(other.book)
        self.callbacks.add(other.callbacks)
        self.age.add(other.age)

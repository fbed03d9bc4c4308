# cython: language_level=3, auto_pickle=False, binding=False, always_allow_keywords=True
# cython: cdivision=True, boundscheck=False, wraparound=False, initializedcheck=False
"""The least that a compiled class can take to answer: directives are those of the core."""

cdef class Bare:
    """Four doubles, given and read back."""

    cdef double bid, bid_size, ask, ask_size

    def __init__(self, double bid, double bid_size, double ask, double ask_size):
        self.bid, self.bid_size, self.ask, self.ask_size = bid, bid_size, ask, ask_size

    @property
    def price(self):
        return self.bid

    @property
    def four(self):
        return self.bid, self.bid_size, self.ask, self.ask_size

    def call_four(self):
        return self.bid, self.bid_size, self.ask, self.ask_size

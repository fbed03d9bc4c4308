# cython: language_level=3, cdivision=True
"""Reads books of coincall_fast without the GIL, as a strategy in Cython would.

What it should find comes from the caller, as bytes in the machine's order: for each generation g of
a cycle two states of the book, 2g as it was published and 2g + 1 as it was left, which is another
where the book was cleared in between. The generation is the update count, modulo the cycle.
"""

from libc.math cimport fabs, isnan
from libc.stdint cimport int64_t, uint64_t
from libc.string cimport memcmp, memset

from coincall_fast._book cimport LEVELS, NO_PRICE as C_NO_PRICE, OrderBook

NO_PRICE = C_NO_PRICE
KEPT = LEVELS

cdef enum:
    FLOATS = 5
    INTS = 2
    UNTOUCHED = 0xAB  # in each byte of what c_levels is to overwrite


cdef struct Levels:
    int64_t rows[4][LEVELS]
    int n[2]


cdef struct Top:
    double floats[FLOATS]
    int64_t ints[INTS]


cdef inline uint64_t copied(OrderBook book, Levels* out) noexcept nogil:
    return book.c_levels(out.rows, &out.n[0], &out.n[1])


cdef inline void read(OrderBook book, Top* top) noexcept nogil:
    top.floats[0] = book.c_best_bid()
    top.floats[1] = book.c_best_bid_size()
    top.floats[2] = book.c_best_ask()
    top.floats[3] = book.c_best_ask_size()
    top.floats[4] = book.c_microprice()
    top.ints[0] = book.c_best_bid_e8()
    top.ints[1] = book.c_best_ask_e8()


def said(OrderBook book not None):
    """What each member says, under the name that it has in Python."""
    cdef Levels levels
    cdef Top top
    cdef uint64_t count
    memset(&levels, UNTOUCHED, sizeof(levels))
    with nogil:
        read(book, &top)
        count = copied(book, &levels)
    return {
        "best_bid": top.floats[0],
        "best_bid_size": top.floats[1],
        "best_ask": top.floats[2],
        "best_ask_size": top.floats[3],
        "microprice": top.floats[4],
        "best_bid_e8": top.ints[0],
        "best_ask_e8": top.ints[1],
        "snapshot": [[levels.rows[row][i] for i in range(LEVELS)] for row in range(4)],
        "bid_count": levels.n[0],
        "ask_count": levels.n[1],
        "update_count": count,
    }


cdef inline bint is_one(double value, double wanted) noexcept nogil:
    if isnan(value) or isnan(wanted):
        return isnan(value) and isnan(wanted)
    return fabs(value - wanted) <= 1e-12 * fabs(wanted)  # an average is rounded


cdef int strange(
    Top* top, const Top* states, uint64_t cycle, uint64_t before, uint64_t after
) noexcept nogil:
    """How many of the values are of no generation from `before` to `after`."""
    cdef bint found[FLOATS + INTS]
    cdef const Top* state
    cdef uint64_t g
    cdef int i, left = FLOATS + INTS, last
    memset(found, 0, sizeof(found))
    if after - before >= cycle:
        before = after - cycle + 1
    for g in range(before, after + 1):
        for last in range(2):
            state = &states[2 * (g % cycle) + last]
            for i in range(FLOATS + INTS):
                if not found[i] and (
                    is_one(top.floats[i], state.floats[i]) if i < FLOATS
                    else top.ints[i - FLOATS] == state.ints[i - FLOATS]
                ):
                    found[i] = True
                    left -= 1
        if left == 0:
            break
    return left


def read_levels(OrderBook book not None, bytes states, uint64_t reads):
    """So many copies by c_levels: (reads, torn, fell, generations).

    Torn is a copy that is not, word for word, the book of its own update count. Fell says how often
    the update count did, generations how often it was another than in the read before.
    """
    cdef const Levels* wanted = <const Levels*><const char*>states
    cdef uint64_t cycle = len(states) // sizeof(Levels) // 2
    cdef uint64_t count, last = 0, torn = 0, fell = 0, generations = 0
    cdef const Levels* state
    cdef Levels out
    with nogil:
        for _n in range(reads):
            count = copied(book, &out)
            state = &wanted[2 * (count % cycle)]
            if memcmp(&out, state, sizeof(out)) and memcmp(&out, state + 1, sizeof(out)):
                torn += 1
            fell += count < last
            generations += count != last
            last = count
    return reads, torn, fell, generations


def read_top(OrderBook book not None, bytes states, uint64_t reads):
    """As read_levels, of the members that give one value: so many reads of all seven.

    Torn is a read with a value that the book had in no generation from the update count right
    before to the one right after.
    """
    cdef const Top* wanted = <const Top*><const char*>states
    cdef uint64_t cycle = len(states) // sizeof(Top) // 2
    cdef uint64_t before = 0, after, torn = 0, fell = 0, generations = 0
    cdef Levels out
    cdef Top top
    with nogil:
        before = copied(book, &out)
        for _n in range(reads):
            read(book, &top)
            after = copied(book, &out)
            if after < before:
                fell += 1
            elif strange(&top, wanted, cycle, before, after):
                torn += 1
            generations += after != before
            before = after
    return reads, torn, fell, generations

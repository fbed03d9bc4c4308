"""What instructions.py counts, to be run under callgrind: calls of the core, between marks.

Prints each row's name and how many calls it was, once and then twice.
"""

import gc
import os

import numpy as np
from frames import COUNT, KINDS, LEVELS, frames
from unrolled import TIMES, unrolled

from coincall_fast import BookStore, OrderBook


def passes(call, wire, start_over):
    def one_pass():
        start_over()
        for frame in wire:
            call(frame)

    return one_pass, COUNT


def rows():
    for levels in LEVELS:
        for kind in KINDS:
            book = OrderBook()
            yield f"apply {kind} {levels}", *passes(book.apply, frames(kind, levels), book.clear)
        store = BookStore()
        wire = frames("steady", levels)
        clear = store.feed(wire[0]).clear
        yield f"feed steady {levels}", *passes(store.feed, wire, clear)
    book = OrderBook()
    book.apply(frames("steady", 100)[0])
    out = np.empty((4, 100), np.int64)
    for query in ("best_bid", "microprice", "bbo", "depth(10)", "snapshot(out)"):
        yield query, unrolled(f"book.{query}", book=book, out=out), TIMES


def mark():
    """callgrind begins to count anew when this is entered: see instructions.py."""
    os.getppid()


def main():
    gc.disable()
    for name, call, calls in rows():
        for _ in range(4):  # the interpreter has adapted to it, and every cache is filled
            call()
        mark()
        call()
        mark()
        call()
        call()
        mark()
        print(calls, name, flush=True)


main()

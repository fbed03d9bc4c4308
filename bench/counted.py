"""What instructions.py counts, to be run under callgrind: calls of the core, between marks.

Prints each row's name and how many calls it was, once and then twice.
"""

import gc
import os
from functools import partial

import numpy as np
from frames import COUNT, KINDS, LEVELS, frames
from message_wire import FIELDS, message_frames
from message_wire import KINDS as MESSAGES
from unrolled import TIMES, decoded_and_read, unrolled

from coincall_fast import BookStore, OrderBook, decode, decode_into


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
    yield from message_rows()


def message_rows():
    """Decoding alone, and decoding and reading every attribute."""
    feed = BookStore().feed
    for kind in MESSAGES:
        wire = message_frames(kind)
        record = "frame[0]" if kind == "trades" else "frame"
        values = [f"record.{name}" for name in FIELDS[kind]]
        yield f"decode {kind}", decoded_and_read(decode, wire, "frame", []), COUNT
        yield f"decode, read {kind}", decoded_and_read(decode, wire, record, values), COUNT
        yield f"feed {kind}", decoded_and_read(feed, wire, "frame", []), COUNT
    chain = decode(wire[0])
    yield "decode_into", decoded_and_read(partial(decode_into, chain), wire, "frame", []), COUNT


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

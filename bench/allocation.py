"""That a book in use needs no memory: `python bench/allocation.py [FRAMES]`, on Linux.

Fails if the blocks of Python's allocator change by more than a handful, or the resident memory
grows by more than 1 MB, while that many frames are applied.
"""

import gc
import os
import sys
from pathlib import Path

from frames import COUNT, frames

from coincall_fast import OrderBook

BLOCKS = 8  # the script's own numbers, and some
BYTES = 1_000_000


def resident() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def apply(book: OrderBook, wire: list[bytes], passes: int) -> None:
    for i in range(passes):
        book.clear()  # or else the first frame would be older than the book
        for frame in wire:
            book.apply(frame, i + 1)


def main(count: int = 10_000_000) -> int:
    wire = frames("steady", 20)
    book = OrderBook()
    apply(book, wire, 100)
    resident()  # whatever reading it leaves behind
    gc.collect()
    memory, blocks = resident(), sys.getallocatedblocks()
    apply(book, wire, -(-count // COUNT))
    more_blocks, more_memory = sys.getallocatedblocks() - blocks, resident() - memory
    assert book.stats.applied == book.update_count >= count
    print(f"frames applied     {book.update_count:>12,}")
    print(f"allocated blocks   {blocks:>12,} {more_blocks:>+12,}")
    print(f"resident memory, B {memory:>12,} {more_memory:>+12,}")
    return int(abs(more_blocks) > BLOCKS or more_memory > BYTES)


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))

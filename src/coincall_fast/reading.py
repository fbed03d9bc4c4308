"""Which threads read a stream: while one is in a callback, its frames wait.

So what blocks until a venue has answered refuses to be called there.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["is_reading", "reading"]


class _Thread(threading.local):
    reads: bool = False


_thread = _Thread()


def is_reading() -> bool:
    """Whether the calling thread is one that frames wait for."""
    return _thread.reads


@contextmanager
def reading() -> Iterator[None]:
    """Marks the calling thread as one, until the end of the block."""
    before, _thread.reads = _thread.reads, True
    try:
        yield
    finally:
        _thread.reads = before

"""Where time goes: nanoseconds counted in fixed buckets, 16 to an octave."""

from typing import final

@final
class Histogram:
    """Durations in nanoseconds. One thread records, any thread that holds the GIL may ask."""

    def __init__(self) -> None: ...
    @property
    def count(self) -> int: ...
    @property
    def max_ns(self) -> float: ...
    @property
    def min_ns(self) -> float: ...
    def record(self, ns: int) -> None:
        """Counts one; below 0 counts as 0 but in `min_ns`."""
    def quantile_ns(self, quantile: float) -> float:
        """What this share of all was not above, to 1/32 of it; nan where nothing was recorded."""
    def add(self, other: Histogram) -> None:
        """Counts all that another one has counted."""

@final
class Ledger:
    """What became of frames: from socket to `book`, to the end of `callbacks`, and their `age`."""

    def __init__(self) -> None: ...
    @property
    def book(self) -> Histogram: ...
    @property
    def callbacks(self) -> Histogram: ...
    @property
    def age(self) -> Histogram: ...
    clock_offset_ns: int
    def record(self, recv_ns: int, book_ns: int, done_ns: int, wall_ns: int, ts_ms: int) -> None:
        """One frame: when its bytes had come, its book stood and all callbacks had returned, by one
        clock; and by our epoch clock when its bytes had come, by the venue's when it was made."""
    def add(self, other: Ledger) -> None:
        """Counts all that another one has counted."""

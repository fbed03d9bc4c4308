"""What a session tells besides items."""

from typing import Any, NamedTuple

__all__ = ["Event"]


class Event(NamedTuple):
    """Something that happened other than an item: the arguments are those of the callback."""

    # "gap" (start_ns, end_ns), "stale" (symbol), "error" (exception), "cleared" (book), and, where
    # it is wanted, "confirmed" and "lost" (product)
    name: str
    arguments: tuple[Any, ...]

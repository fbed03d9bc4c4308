"""Histories, page after page (protocol page, section 2.10). What reads a page is passed in."""

from collections.abc import Callable, Iterator
from typing import Any

from .answers import Page

__all__ = ["by_cursor", "by_page"]


def by_cursor(read: Callable[[int | None], Page], key: str) -> Iterator[Any]:
    """Rows of page after page, each below the last id of the one before.

    Ends where the venue says so, where a page is empty, and where its last id is no lower: then the
    same page would come for ever.
    """
    from_id: int | None = None
    while True:
        page = read(from_id)
        yield from page.rows
        last: int | None = getattr(page.rows[-1], key) if page.rows else None
        if page.has_next is False or last is None or (from_id is not None and last >= from_id):
            return
        from_id = last


def by_page(read: Callable[[int], Page], size: int) -> Iterator[Any]:
    """Rows of page after page by number. Ends with a page that is not full, or that came before."""
    before: list[Any] = []
    number = 1
    while True:
        page = read(number)
        if page.rows == before:
            return
        yield from page.rows
        if page.has_next is False or (page.has_next is None and len(page.rows) < size):
            return
        before = page.rows
        number += 1

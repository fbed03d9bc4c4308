"""Histories, page after page (protocol page, section 2.10). What reads a page is passed in."""

from collections.abc import Callable, Iterator
from typing import Any

from ..errors import DecodeError
from .answers import Page

__all__ = ["by_cursor", "by_page"]


def by_cursor(read: Callable[[int | None], Page], key: str) -> Iterator[Any]:
    """Rows of page after page, each below the last id of the one before; none twice.

    Ends where the venue says so, where a page is empty, and where its last id is no lower: then the
    same page would come for ever. Raises DecodeError where there is more that nobody can ask for.
    """
    from_id: int | None = None
    while True:
        page = read(from_id)
        for row in page.rows:
            row_id = getattr(row, key)
            if from_id is None or row_id is None or row_id < from_id:
                yield row
        if page.has_next is False or not page.rows:
            return
        last: int | None = getattr(page.rows[-1], key)
        if last is None and page.has_next:
            raise DecodeError(f"a page of a history that goes on, without {key} in its last row")
        if last is None or (from_id is not None and last >= from_id):
            return
        from_id = last


def by_page(read: Callable[[int], Page], size: int) -> Iterator[Any]:
    """Rows of page after page by number, without those that the page before had: a row that came in
    meanwhile moves the others on.

    Ends where the venue says so, by a flag or by how many rows there are; else with a page that is
    not full; and in any case with one that is empty or that came before.
    """
    before: list[Any] = []
    number = 1
    seen = 0
    while True:
        page = read(number)
        if not page.rows or page.rows == before:
            return
        had = set(before)
        yield from (row for row in page.rows if row not in had)
        seen += len(page.rows)
        if page.has_next is False:
            return
        # A total of 0 beside rows was seen: it says nothing, and a full page still goes on.
        is_all = len(page.rows) < size and (page.total is None or seen >= page.total)
        if page.has_next is None and is_all:
            return
        before = page.rows
        number += 1

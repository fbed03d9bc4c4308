"""One hash of many books, and of every state that they went through."""

import hashlib

import numpy as np

from .._book import OrderBook

__all__ = ["Fingerprint"]


class Fingerprint:
    """What two runs have in common that showed the same books, whatever came between.

    SHA-256 over, for each symbol in order of its characters: the symbol in UTF-8, a byte 10, a byte
    that is 1 where the book is valid now and 0 where it is not, and the SHA-256 of its states; of
    each of them `ts_ms` and the 400 numbers of `snapshot()`, as 64-bit little-endian integers. The
    same on every machine. Give it each book when it has changed, on the thread that writes it:
    ``stream.on(Channel.BOOK, fingerprint.add)``.
    """

    def __init__(self) -> None:
        self._books: dict[str, _States] = {}

    def add(self, book: OrderBook) -> None:
        """Another state of a book."""
        symbol = book.symbol or ""
        states = self._books.get(symbol)
        if states is None:
            states = self._books[symbol] = _States(book)
        states.add()

    def hexdigest(self) -> str:
        whole = hashlib.sha256()
        for symbol in sorted(self._books):
            states = self._books[symbol]
            whole.update(symbol.encode() + bytes([10, states.book.is_valid]))
            whole.update(states.hash.digest())
        return whole.hexdigest()


class _States:
    """One book's, whose numbers have a place of their own: each product has its own thread."""

    def __init__(self, book: OrderBook) -> None:
        self.book = book
        self.hash = hashlib.sha256()
        self._numbers = np.empty((4, 100), np.int64)

    def add(self) -> None:
        self.book.snapshot(self._numbers)
        self.hash.update(self.book.ts_ms.to_bytes(8, "little"))
        self.hash.update(self._numbers.astype("<i8", copy=False).data)

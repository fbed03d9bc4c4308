"""Compiled order books for Coincall."""

from ._book import SCALE, BookStore, OrderBook, decode

__version__ = "0.1.0"

__all__ = ["SCALE", "BookStore", "OrderBook", "__version__", "decode"]

"""Compiled order books for Coincall, and the signed streams that keep them.

Here are Coincall's names and those that know no venue. `coincall_fast.coincall` is the venue as a
module, `coincall_fast.sim` the simulated exchange.
"""

from . import change, signing
from ._book import SCALE, OrderBook
from .coincall import BookStore, Stream, decode
from .errors import (
    AuthError,
    CoincallFastError,
    DecodeError,
    GapError,
    StaleError,
    SymbolMismatch,
    TransportError,
    UsageError,
    VenueError,
)
from .model import Ack, Channel, Depth, Heartbeat, Side, Stats, Sweep, UnknownMessage

__version__ = "0.1.0"

__all__ = [
    "SCALE",
    "Ack",
    "AuthError",
    "BookStore",
    "Channel",
    "CoincallFastError",
    "DecodeError",
    "Depth",
    "GapError",
    "Heartbeat",
    "OrderBook",
    "Side",
    "StaleError",
    "Stats",
    "Stream",
    "Sweep",
    "SymbolMismatch",
    "TransportError",
    "UnknownMessage",
    "UsageError",
    "VenueError",
    "__version__",
    "change",
    "decode",
    "signing",
]

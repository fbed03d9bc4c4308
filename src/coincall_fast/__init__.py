"""Compiled order books for Coincall, and the signed streams that keep them.

Here are Coincall's names and those that know no venue. `coincall_fast.coincall` is the venue as a
module, `coincall_fast.sim` the simulated exchange.
"""

from . import change, signing
from ._book import SCALE, OrderBook
from .coincall import BookStore, Stream, decode, decode_into, decode_rest, replay
from .errors import (
    AuthError,
    CoincallFastError,
    DecodeError,
    GapError,
    ProtocolError,
    RecordingError,
    StaleError,
    SymbolMismatch,
    TransportError,
    UsageError,
    VenueError,
)
from .message import (
    Account,
    Ack,
    ChainRow,
    Fill,
    FillSignal,
    Heartbeat,
    Kline,
    Message,
    OptionChain,
    Order,
    Position,
    Record,
    Ticker,
    Trade,
    Trades,
    UnknownMessage,
)
from .model import (
    Channel,
    Depth,
    OrderState,
    OrderType,
    PositionState,
    Side,
    Stats,
    Sweep,
    TimeInForce,
)

__version__ = "0.1.0"

__all__ = [
    "SCALE",
    "Account",
    "Ack",
    "AuthError",
    "BookStore",
    "ChainRow",
    "Channel",
    "CoincallFastError",
    "DecodeError",
    "Depth",
    "Fill",
    "FillSignal",
    "GapError",
    "Heartbeat",
    "Kline",
    "Message",
    "OptionChain",
    "Order",
    "OrderBook",
    "OrderState",
    "OrderType",
    "Position",
    "PositionState",
    "ProtocolError",
    "Record",
    "RecordingError",
    "Side",
    "StaleError",
    "Stats",
    "Stream",
    "Sweep",
    "SymbolMismatch",
    "Ticker",
    "TimeInForce",
    "Trade",
    "Trades",
    "TransportError",
    "UnknownMessage",
    "UsageError",
    "VenueError",
    "__version__",
    "change",
    "decode",
    "decode_into",
    "decode_rest",
    "replay",
    "signing",
]

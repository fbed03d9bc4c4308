"""How each venue writes its frames, as data for the compiled core.

The core knows JSON, levels, books and rows; what the value of which key of a book means, and which
channel's rows are which messages, a `Wire` tells it. The keys of rows are in message.py.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from functools import partial
from typing import NamedTuple

from . import bybit_messages, gate_messages
from .message import (
    Account,
    Fill,
    FillSignal,
    Kline,
    Message,
    OptionChain,
    Order,
    Position,
    Ticker,
    Trades,
    message_of,
)
from .model import Channel
from .topics import Envelope

__all__ = [
    "BYBIT",
    "BYBIT_V5",
    "COINCALL",
    "FUTURES",
    "GATE",
    "OPTIONS",
    "ChannelRow",
    "Role",
    "Wire",
]

OPTIONS = "options"
FUTURES = "futures"


class ChannelRow(NamedTuple):
    """One channel of one product: its code in frames, its name in requests, what comes through it.

    ``message`` is None where that is a book, or nothing that is decoded; ``column`` names the keys
    of its rows. ``listed``: one request takes a list of up to 100 symbols.
    """

    dt: int
    product: str
    data_type: str
    channel: Channel | None = None
    message: type[Message] | None = None
    column: str = "push"
    listed: bool = False


class Role(IntEnum):
    """What the value of a key is. Keys without one may be there or not, and are skipped."""

    IGNORED = 0  # skipped too, but so common that it is worth knowing
    CHANNEL = 1  # what the frame is: a code, or a text that ends in the symbol
    DATA = 2  # the object with the rest
    SYMBOL = 3
    TIME = 4  # epoch milliseconds
    VERSION = 5  # counts the states of one book: the one that the frame leads to
    FIRST = 6  # the first of several that a change leads through
    KIND = 7  # whether the frame is a whole book or a change of one
    BIDS = 8  # the levels of a side: all of them, in a change those with a new size
    ASKS = 9
    LEVELS = 10  # the levels of both sides, all of them
    DELETE = 11  # levels that are no more
    UPDATE = 12  # levels with new sizes
    INSERT = 13  # levels that are new
    PRICE = 14
    SIZE = 15
    SIDE = 16


@dataclass(frozen=True, eq=False)
class Wire:
    """The keys of one venue's order-book frames, by the object they stand in.

    ``channels`` are the values of the channel that mean "this is an order book": codes, texts, or,
    where the data has no symbol, what a text begins with whose rest is the symbol. ``kinds`` says a
    whole book and a change; where the frame says it and not its data, any other kind is no order
    book. A level is an object, or a list of what these roles say; of its sizes it has one,
    whichever edition it is of. ``sides`` says bid and ask in it.

    What is no book: ``rows`` are all channels that have codes, books and those that are not decoded
    among them; ``envelope`` has those that have texts; ``other`` makes a message of what is left.
    """

    channels: tuple[int, ...] | tuple[str, ...]
    frame: Mapping[str, Role]
    data: Mapping[str, Role]
    level: Mapping[str, Role] | tuple[Role, ...]
    sides: tuple[str, str] = field(default=("", ""))
    kinds: tuple[str, str] = field(default=("", ""))
    rows: tuple[ChannelRow, ...] = ()
    envelope: Envelope | None = None
    other: Callable[[bytes | bytearray | memoryview | str], Message] = message_of


# Protocol page, sections 3.2 and 3.3. Of two rows with one channel and product, the first is what a
# subscription asks for: lastTradeV2 has an id, where lastTrade has none.
_COINCALL_ROWS = (
    ChannelRow(2, OPTIONS, "kline", Channel.KLINE, Kline),
    ChannelRow(3, OPTIONS, "bsInfo", Channel.TICKER, Ticker, "options", listed=True),
    ChannelRow(4, OPTIONS, "tOption", Channel.CHAIN, OptionChain),
    ChannelRow(5, OPTIONS, "orderBook", Channel.BOOK, listed=True),
    ChannelRow(24, OPTIONS, "lastTradeV2", Channel.TRADES, Trades, "lastTradeV2"),
    ChannelRow(6, OPTIONS, "lastTrade", Channel.TRADES, Trades, "lastTrade", listed=True),
    ChannelRow(7, OPTIONS, "accountBalance", Channel.ACCOUNT, Account),
    ChannelRow(8, OPTIONS, "fillSignal", None, FillSignal),
    ChannelRow(11, OPTIONS, "order", Channel.ORDERS, Order),
    ChannelRow(15, OPTIONS, "trade", Channel.FILLS, Fill, "options"),
    ChannelRow(12, OPTIONS, "position", Channel.POSITIONS, Position),
    ChannelRow(19, OPTIONS, "position", Channel.POSITIONS, Position),
    ChannelRow(27, OPTIONS, "positionEvent", Channel.POSITIONS, Position),
    ChannelRow(20, OPTIONS, "blockTrade"),
    ChannelRow(22, OPTIONS, "blockTradeDetail"),
    ChannelRow(23, OPTIONS, "blockTradePublic"),
    ChannelRow(28, OPTIONS, "rfqMaker"),
    ChannelRow(129, OPTIONS, "rfqTaker"),
    ChannelRow(130, OPTIONS, "rfqQuote"),
    ChannelRow(131, OPTIONS, "quoteReceived"),
    ChannelRow(30, FUTURES, "spotPrice", Channel.TICKER, Ticker, "futures", listed=True),
    ChannelRow(31, FUTURES, "kline", Channel.KLINE, Kline),
    ChannelRow(32, FUTURES, "orderBook", Channel.BOOK, listed=True),
    ChannelRow(43, FUTURES, "lastTradeV2", Channel.TRADES, Trades, "lastTradeV2", listed=True),
    ChannelRow(33, FUTURES, "lastTrade", Channel.TRADES, Trades, "lastTrade", listed=True),
    ChannelRow(34, FUTURES, "fillSignal", None, FillSignal),
    ChannelRow(35, FUTURES, "order", Channel.ORDERS, Order),
    ChannelRow(38, FUTURES, "trade", Channel.FILLS, Fill, "futures"),
    ChannelRow(36, FUTURES, "position", Channel.POSITIONS, Position),
    ChannelRow(46, FUTURES, "positionEvent", Channel.POSITIONS, Position),
    ChannelRow(44, FUTURES, "premiumIndex", listed=True),
)

# Seeds 000 and 003 (OrderBook) spell the size "sz"; seed 001, of May 2023, "v". 5 is options and
# 32 futures: protocol page, sections 3.2 and 3.3.
COINCALL = Wire(
    channels=(5, 32),
    frame={"dt": Role.CHANNEL, "c": Role.IGNORED, "d": Role.DATA},
    data={"s": Role.SYMBOL, "asks": Role.ASKS, "bids": Role.BIDS, "ts": Role.TIME},
    level={"pr": Role.PRICE, "sz": Role.SIZE, "v": Role.SIZE},
    rows=_COINCALL_ROWS,
    other=partial(message_of, channels={row.dt: row.data_type for row in _COINCALL_ROWS}),
)

# USDC options, version 1: seed 002, OrderBook and OrderBook(delta). "orderBooks" became
# "orderBook" in June 2022; what is deleted has no size: protocol page, sections 1.6 and 1.7.
BYBIT = Wire(
    channels=("orderbook100.", "orderbook25.", "delta.orderbook100."),
    frame={
        "id": Role.IGNORED,
        "topic": Role.CHANNEL,
        "creationTime": Role.TIME,
        "data": Role.DATA,
    },
    data={
        "orderBooks": Role.LEVELS,
        "orderBook": Role.LEVELS,
        "version": Role.VERSION,
        "dataType": Role.KIND,
        "delete": Role.DELETE,
        "update": Role.UPDATE,
        "insert": Role.INSERT,
    },
    level={"price": Role.PRICE, "size": Role.SIZE, "side": Role.SIDE},
    sides=("Buy", "Sell"),
    kinds=("NEW", "CHANGE"),
    envelope=bybit_messages.ENVELOPE,
    other=bybit_messages.other,
)

# Options, version 5: the venue's page docs/v5/websocket/public/orderbook (25 levels each 20 ms, 100
# each 100 ms). A size of 0 deletes; "u" counts by one and starts anew with a snapshot. The symbol
# is that of the topic; "cts" is the matching engine's time, "seq" compares depths and is no count.
BYBIT_V5 = Wire(
    channels=("orderbook.25.", "orderbook.100."),
    frame={
        "topic": Role.CHANNEL,
        "type": Role.KIND,
        "ts": Role.TIME,
        "data": Role.DATA,
        "cts": Role.IGNORED,
    },
    data={
        "s": Role.IGNORED,
        "b": Role.BIDS,
        "a": Role.ASKS,
        "u": Role.VERSION,
        "seq": Role.IGNORED,
    },
    level=(Role.PRICE, Role.SIZE),
    kinds=("snapshot", "delta"),
    envelope=bybit_messages.ENVELOPE,
    other=bybit_messages.other,
)

# Options, official form: protocol page, section 2.5. Only changes come, "U" to "u" of them in a
# frame; what they begin with is the REST snapshot, see OrderBook.load. Sizes are contracts, 0
# deletes. The answer to a subscription has the same channel and another event.
GATE = Wire(
    channels=("options.order_book_update",),
    frame={
        "time": Role.IGNORED,
        "time_ms": Role.IGNORED,
        "channel": Role.CHANNEL,
        "event": Role.KIND,
        "result": Role.DATA,
    },
    data={
        "t": Role.TIME,
        "s": Role.SYMBOL,
        "U": Role.FIRST,
        "u": Role.VERSION,
        "b": Role.BIDS,
        "a": Role.ASKS,
    },
    level={"p": Role.PRICE, "s": Role.SIZE},
    kinds=("all", "update"),
    envelope=gate_messages.ENVELOPE,
    other=gate_messages.other,
)

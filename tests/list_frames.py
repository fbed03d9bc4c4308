"""Bybit's V5 and Gate's order-book frames for tests, out of pairs of price and size."""

from collections.abc import Sequence
from typing import Any

from coincall_fast import OrderBook
from coincall_fast.wire import BYBIT_V5, GATE
from strategies import TIME

OPTION = "BTC-26JUN26-90000-C"
CONTRACT = "BTC_USDT-20260626-90000-C"
Rows = Sequence[tuple[Any, Any]]


def v5(
    kind: str, number: int, bids: Rows, asks: Rows, ts: int = TIME, symbol: str = OPTION
) -> bytes:
    """As the venue's page prints it, but for the blanks."""
    sides = (",".join(f'["{price}","{size}"]' for price, size in rows) for rows in (bids, asks))
    lists = '"b":[{}],"a":[{}]'.format(*sides)
    data = f'{{"s":"{symbol}",{lists},"u":{number},"seq":{number * 7}}}'
    return (
        f'{{"topic":"orderbook.100.{symbol}","type":"{kind}","ts":{ts},'
        f'"data":{data},"cts":{ts - 1}}}'
    ).encode()


def gate(
    first: int, last: int, bids: Rows, asks: Rows, ts: int = TIME, symbol: str = CONTRACT
) -> bytes:
    """Protocol page, section 2.5; sizes are integers."""
    sides = (",".join(f'{{"p":"{p}","s":{s}}}' for p, s in rows) for rows in (bids, asks))
    lists = '"b":[{}],"a":[{}]'.format(*sides)
    result = f'{{"t":{ts},"s":"{symbol}","U":{first},"u":{last},{lists}}}'
    return (
        f'{{"time":{ts // 1000},"time_ms":{ts},"channel":"options.order_book_update",'
        f'"event":"update","result":{result}}}'
    ).encode()


def book_of(*frames: bytes) -> OrderBook:
    book = OrderBook(wire=BYBIT_V5)
    for number, text in enumerate(frames, 1):
        book.apply(text, number * 100)
    return book


def gate_book(version: int, bids: Rows, asks: Rows, symbol: str = CONTRACT) -> OrderBook:
    """What a REST snapshot of this number leaves."""
    book = OrderBook(symbol, wire=GATE)
    book.load(bids, asks, TIME, version=version)
    return book


def sides(book: OrderBook) -> tuple[list[list[float]], list[list[float]]]:
    depth = book.depth()
    return depth.bids.tolist(), depth.asks.tolist()

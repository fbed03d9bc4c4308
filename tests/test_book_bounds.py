"""Nothing past the end of a frame is read: frames that end where the next byte cannot be read.

Behind the frame is a page without permission, so that one byte too many ends the process.
"""

import contextlib
import ctypes
import mmap
import os
import subprocess
import sys

import pytest

from coincall_fast import BookStore, OrderBook
from coincall_fast.errors import CoincallFastError
from coincall_fast.wire import BYBIT, BYBIT_V5, GATE, Wire
from model_book import observe
from strategies import ASKS, ODD_NUMBERS, book_frame, levels

PAGE = mmap.PAGESIZE
PROT_NONE = 0

pytestmark = pytest.mark.skipif(os.name != "posix", reason="protects pages with mprotect")

FRAMES = {
    "plain": book_frame(),
    "levels with v": book_frame(bids='[{"pr":"99.5","v":0.25},{"pr":"99","v":1}]'),
    "padded": book_frame(asks='[{"pr":"100","sz":"0.40000000 "},{"pr":"101","sz":"1 "}]'),
    "long numbers": book_frame(
        levels(*((f"{1234567890 + n}.12345678", "1234567890.12345678") for n in range(5))), "[]"
    ),
    "many levels": book_frame(levels(*((str(n), "1.5") for n in range(1, 40))), "[]"),
    "escapes and text": book_frame(s='"\\u20ac\\ud83d\\ude00\u20ac"', more=',"x":"\u20ac\\n"'),
    "white space": book_frame().replace(b",", b" ,\n\t"),
    "skipped values": book_frame(more=',"x":[true,false,null,-1.5e-3,{"a":{}}]'),
    "heartbeat": b'{"c":11,"rc":1}',
    "bare number": b"12345.5",
    "digits": b'{"dt":5,"d":{"asks":[{"pr":"123456789012345678901234567890',
    "a point": b'{"dt":5,"d":{"asks":[{"pr":"1.',
}
FRAMES |= {
    f"number {number}": book_frame(f'[{{"pr":{number},"sz":{number}}}]', ASKS)
    for number in ODD_NUMBERS
}


@pytest.fixture(scope="module")
def page() -> memoryview:
    """A page of memory whose neighbour must not be touched; it lives as long as it is held."""
    pages = mmap.mmap(-1, 2 * PAGE)
    neighbour = ctypes.addressof(ctypes.c_char.from_buffer(pages)) + PAGE
    mprotect = ctypes.CDLL(None).mprotect
    assert mprotect(ctypes.c_void_p(neighbour), ctypes.c_size_t(PAGE), PROT_NONE) == 0
    return memoryview(pages)[:PAGE]


@pytest.mark.parametrize("frame", FRAMES.values(), ids=FRAMES.keys())
def test_no_prefix_is_read_past_its_end(page: memoryview, frame: bytes) -> None:
    assert len(frame) <= PAGE
    for end in range(len(frame) + 1):
        part = frame[:end]
        page[PAGE - end :] = part
        at_the_edge, anywhere = OrderBook(), OrderBook()
        for book, given in (at_the_edge, page[PAGE - end :]), (anywhere, part):
            with contextlib.suppress(CoincallFastError):
                book.apply(given)
        assert observe(at_the_edge) == observe(anywhere)
        with contextlib.suppress(CoincallFastError):
            BookStore().feed(page[PAGE - end :])


def rows(pattern: str, *numbers: tuple[str, str]) -> str:
    return ",".join(pattern % number for number in numbers)


def of_v5(kind: str, u: int, *levels: tuple[str, str]) -> bytes:
    body = f'"u":{u},"b":[{rows(PAIR, *levels)}],"a":[]'
    return f'{{"topic":"orderbook.25.X","type":"{kind}","ts":1,"data":{{{body}}}}}'.encode()


def of_v1(kind: str, version: int, key: str, *levels: tuple[str, str]) -> bytes:
    body = f'"version":"{version}","dataType":"{kind}","{key}":[{rows(ROW, *levels)}]'
    topic = '"topic":"delta.orderbook100.X","creationTime":1'
    return f'{{"id":"1",{topic},"data":{{{body}}}}}'.encode()


def of_gate(kind: str, first: int, u: int, *levels: tuple[str, str]) -> bytes:
    body = f'"t":1,"s":"X","U":{first},"u":{u},"b":[{rows(CONTRACTS, *levels)}],"a":[]'
    head = '"time":1,"channel":"options.order_book_update"'
    return f'{{{head},"event":"{kind}","result":{{{body}}}}}'.encode()


PAIR, CONTRACTS = '["%s","%s"]', '{"p":"%s","s":%s}'
ROW = '{"price":"%s","size":"%s","side":"Buy"}'
SHORT = [(str(n), "1") for n in range(9, 1, -1)]
LONG = [(f"{12345678 - n}.12345678", "12345678.1234567") for n in range(4)]
WHOLES = [(str(n), str(n)) for n in range(9, 1, -1)]
OF_VENUES: dict[str, tuple[Wire, bytes, bytes]] = {
    "v5 short": (BYBIT_V5, of_v5("snapshot", 1, *SHORT), of_v5("delta", 2, *SHORT[2:])),
    "v5 long": (BYBIT_V5, of_v5("snapshot", 1, *LONG), of_v5("delta", 2, *LONG[2:])),
    "v1": (BYBIT, of_v1("NEW", 1, "orderBook", *SHORT), of_v1("CHANGE", 2, "update", *LONG)),
    "gate": (GATE, of_gate("all", 1, 1, *WHOLES), of_gate("update", 2, 3, *WHOLES[3:])),
}


@pytest.mark.parametrize("venue", OF_VENUES)
def test_no_prefix_of_another_venue_is_read_past_its_end(page: memoryview, venue: str) -> None:
    """Its whole book, and a change behind it: short levels leave the least room behind them."""
    wire, whole, change = OF_VENUES[venue]
    for before, frame in ((b"", whole), (whole, change)):
        for end in range(len(frame) + 1):
            page[PAGE - end :] = frame[:end]
            at_the_edge, anywhere = OrderBook(wire=wire), OrderBook(wire=wire)
            for book, given in (at_the_edge, page[PAGE - end :]), (anywhere, frame[:end]):
                if before:
                    book.apply(before)
                with contextlib.suppress(CoincallFastError):
                    book.apply(given)
            assert observe(at_the_edge) == observe(anywhere)
        assert at_the_edge.is_valid
        assert at_the_edge.bid_count


@pytest.mark.parametrize(("offset", "survives"), [(-1, True), (0, False)], ids=["inside", "behind"])
def test_the_page_behind_is_really_out_of_bounds(offset: int, survives: bool) -> None:
    """The same set-up in a process of its own, which reads one byte."""
    code = f"""
import ctypes, mmap
pages = mmap.mmap(-1, {2 * PAGE})
address = ctypes.addressof(ctypes.c_char.from_buffer(pages)) + {PAGE}
assert ctypes.CDLL(None).mprotect(ctypes.c_void_p(address), ctypes.c_size_t({PAGE}), 0) == 0
ctypes.string_at(address + {offset}, 1)
"""
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True)
    assert (done.returncode == 0) == survives

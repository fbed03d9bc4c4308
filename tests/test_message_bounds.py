"""Nothing outside a frame is read: frames between two pages that cannot be read.

Of a `memoryview` the decoder copies the rows before it reads them, so that `bytes` objects at the
edge are what shows whether rows are read past their end.
"""

import contextlib
import ctypes
import mmap
import os
import sys
import sysconfig

import pytest

from coincall_fast import BookStore, decode
from coincall_fast.errors import CoincallFastError
from message_checks import agree
from message_frames import CHANNEL_CODES, message_frame
from strategies import LONG

PAGE = mmap.PAGESIZE
PROT_NONE = 0

pytestmark = pytest.mark.skipif(os.name != "posix", reason="protects pages with mprotect")


def guarded_page() -> memoryview:
    """A page of memory neither of whose neighbours may be touched."""
    pages = mmap.mmap(-1, 3 * PAGE)
    start = ctypes.addressof(ctypes.c_char.from_buffer(pages))
    mprotect = ctypes.CDLL(None).mprotect
    for neighbour in start, start + 2 * PAGE:
        assert mprotect(ctypes.c_void_p(neighbour), ctypes.c_size_t(PAGE), PROT_NONE) == 0
    return memoryview(pages)[PAGE : 2 * PAGE]


@pytest.fixture(scope="module")
def page() -> memoryview:
    return guarded_page()


SHORT = [
    b'{"dt":11,"d":{"pr":"1.5","q":-2,"oid":12,"ts":1700000000000}}',
    b'{"d":{"s":"X","e":"12345678.12345678","uid":9223372036854775807},"dt":7,"ts":5}',
    b'{"dt":4,"d":[{"s":"X","bid":"","ask":" 1 "},{"s":"BTCUSD-27MAY23-24000-C"}],"ts":"5"}',
    b'{"dt":6,"d":[{"s":"","pr":0,"q":"-","sd":1}]}',
    b'{"c":11,"rc":1}',
]
FRAMES = [*SHORT, *(message_frame(dt, seed) for dt in CHANNEL_CODES for seed in (0, 1, 2))]
FRAMES = [frame for frame in FRAMES if len(frame) <= PAGE]


def test_whole_frames_at_both_edges(page: memoryview) -> None:
    for frame in FRAMES:
        for place in slice(0, len(frame)), slice(PAGE - len(frame), PAGE):
            page[place] = frame
            agree(page[place])


@pytest.mark.parametrize("frame", FRAMES, ids=lambda frame: frame[:12].decode(errors="replace"))
def test_parts_at_both_edges(page: memoryview, frame: bytes) -> None:
    store = BookStore()
    for end in range(0, len(frame), 1 if LONG or frame in SHORT else 3):
        page[PAGE - end :] = frame[:end]
        for read in decode, store.feed:
            with contextlib.suppress(CoincallFastError):
                read(page[PAGE - end :])
        page[:end] = frame[len(frame) - end :]
        with contextlib.suppress(CoincallFastError):
            decode(page[:end])


KEPT: list[memoryview] = []  # for as long as anybody may hold what stands there


def bytes_at_the_end(frame: bytes) -> bytes:
    """A `bytes` object whose last byte, the zero behind the frame, is the last of a page."""
    page = guarded_page()
    KEPT.append(page)
    header = bytes.__basicsize__ - 1
    frame = b" " * (-(header + len(frame) + 1) % 16) + frame  # so that the header is aligned
    start = PAGE - header - len(frame) - 1
    page[start:] = ctypes.string_at(id(frame), header + len(frame) + 1)
    address = ctypes.addressof(ctypes.c_char.from_buffer(page, start))
    ctypes.c_int32.from_address(address).value = 1 << 29  # nobody shall free it
    made: bytes = ctypes.cast(address, ctypes.py_object).value
    assert made == frame
    return made


@pytest.mark.skipif(
    sys.implementation.name != "cpython" or bool(sysconfig.get_config_var("Py_GIL_DISABLED")),
    reason="knows how CPython lays out an object",
)
@pytest.mark.parametrize("frame", FRAMES, ids=lambda frame: frame[:12].decode(errors="replace"))
def test_bytes_at_the_edge(frame: bytes) -> None:
    if len(frame) > PAGE - 100:
        pytest.skip("no room for its header")
    agree(bytes_at_the_end(frame))
    for end in range(0, len(frame), 1 if LONG and frame in SHORT else 3 + len(frame) // 20):
        with contextlib.suppress(CoincallFastError):
            decode(bytes_at_the_end(frame[:end]))

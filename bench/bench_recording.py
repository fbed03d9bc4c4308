"""What recording costs the thread that receives, and how fast a recording is played.

A sample is one pass over all frames; the tables are per frame.
"""

import time

import pytest
from frames import frames

from coincall_fast import BookStore, OrderBook, replay
from coincall_fast.streams.recorder import Recorder
from coincall_fast.streams.recording import Kind

pytestmark = pytest.mark.benchmark(max_time=0.5)


@pytest.fixture(params=[100, 20], ids=lambda levels: f"{levels}x{levels}", scope="module")
def levels(request):
    return request.param


@pytest.fixture
def tape(levels, tmp_path):
    """A recording of all the frames."""
    path = tmp_path / "a.rec"
    with Recorder(path, {}) as made:
        track = made.track("futures")
        track.put(Kind.OPENED, 1)
        for number, frame in enumerate(wire(levels)):
            track.put(Kind.FRAME, number + 2, frame, 4_000_000_000_000)
    return path


def wire(levels):
    return frames("successive", levels)


def timed(benchmark, group, contender, calls, act):
    benchmark.group = group
    benchmark.extra_info.update(contender=contender, calls=calls)
    benchmark(act)


def test_put(benchmark, levels, tmp_path):
    """On the receiving thread, while another one writes."""
    with Recorder(tmp_path / "a.rec", {}) as made:
        put, all_frames = made.track("futures").put, wire(levels)
        records = 1

        def until_all_is_written():  # else frames would be left out, which costs nothing
            nonlocal records
            while made.written < records:
                time.sleep(0.0001)
            records += len(all_frames)

        def act():
            for frame in all_frames:
                put(Kind.FRAME, 1, frame, 1)

        benchmark.group = f"{levels} levels a side, recorded"
        benchmark.extra_info.update(contender="Track.put", calls=len(all_frames))
        benchmark.pedantic(act, setup=until_all_is_written, rounds=300)
        assert made.missing == 0


def test_feed(benchmark, levels, tape):
    """Beside a replay: the decoding alone."""
    store, all_frames = BookStore(), wire(levels)

    def act():
        for book in store.values():
            book.clear()
        for frame in all_frames:
            store.feed(frame)

    timed(benchmark, f"{levels} levels a side, played", "BookStore.feed", len(all_frames), act)


def test_replay(benchmark, levels, tape):
    """From the file, with checksums, session and fingerprint."""
    again = replay(tape)
    all_frames = wire(levels)
    assert sum(isinstance(item, OrderBook) for item in again) == len(all_frames)
    store = BookStore()
    for frame in all_frames:
        store.feed(frame)
    (symbol,) = store
    assert (again.store[symbol].snapshot() == store[symbol].snapshot()).all()
    group = f"{levels} levels a side, played"
    timed(benchmark, group, "replay", len(all_frames), lambda: replay(tape).run())

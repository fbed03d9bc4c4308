"""Client order ids come once: across threads, processes, restarts, and clocks that go back."""

import multiprocessing
import os
import sys
import threading
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from coincall_fast import UsageError
from coincall_fast.rest.ids import COUNT_BITS, MS_BITS, ClientIds, state_dirs

IS_LONG = bool(os.environ.get("COINCALL_FAST_LONG"))
EACH = 25_000 if IS_LONG else 2_500
STARTS = 10 if IS_LONG else 3
PROCESSES = 4
FORKS = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="has no fork"),
    pytest.mark.filterwarnings("ignore:This process:DeprecationWarning"),  # of threads, from 3.12
]


def forking(test: Any) -> Any:
    for mark in FORKS:
        test = mark(test)
    return test


def source(folder: Path, now_ms: Callable[[], int] = lambda: 1_700_000_000_000) -> ClientIds:
    return ClientIds(lambda: [folder], now_ms)


@forking
def test_processes_and_restarts(tmp_path: Path) -> None:
    """All at once, and all in the same millisecond; each process again and again."""
    context = multiprocessing.get_context("fork")
    seen: set[int] = set()
    for start in range(STARTS):
        now_ms = 1_700_000_000_000 - 1000 * start  # a clock that goes back at each restart
        ready = context.Barrier(PROCESSES)
        pipes = [context.Pipe(duplex=False) for _ in range(PROCESSES)]

        def run(to: Any, now_ms: int = now_ms, ready: Any = ready) -> None:
            ids = source(tmp_path, lambda: now_ms)
            ready.wait(30)
            to.send([ids() for _ in range(EACH)])

        running = [context.Process(target=run, args=(writes,)) for _, writes in pipes]
        for process in running:
            process.start()
        for reads, _ in pipes:
            assert reads.poll(60)
            ids = reads.recv()
            assert len(ids) == EACH
            assert all(a < b for a, b in pairwise(ids))
            seen.update(ids)
        for process in running:
            process.join()
    assert len(seen) == EACH * STARTS * PROCESSES
    assert max(seen) < 2**53
    assert min(seen) > 0


def test_threads(tmp_path: Path) -> None:
    ids = source(tmp_path)
    seen: list[int] = []
    threads = [
        threading.Thread(target=lambda: seen.extend([ids() for _ in range(3000)])) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(seen)) == 12_000


@forking
def test_a_child_after_a_fork(tmp_path: Path) -> None:
    """It does not go on with its parent's; not even where another thread held the lock."""
    ids = source(tmp_path)
    first = ids()
    context = multiprocessing.get_context("fork")
    reads, writes = context.Pipe()
    with ids._lock:
        child = context.Process(target=lambda: writes.send([ids() for _ in range(2000)]))
        child.start()
    mine = [first, *(ids() for _ in range(2000))]
    assert reads.poll(30)
    theirs = reads.recv()
    child.join()
    assert len({*mine, *theirs}) == 4001


def test_a_clock_that_goes_back(tmp_path: Path) -> None:
    now_ms = 1_700_000_000_000
    ids = source(tmp_path, lambda: now_ms)
    seen = [ids() for _ in range(1500)]
    now_ms -= 3_600_000
    seen += [ids() for _ in range(1500)]
    seen += [source(tmp_path, lambda: now_ms)() for _ in range(3)]
    assert all(a < b for a, b in pairwise(seen))
    assert seen[0] >> MS_BITS == 1_700_000_000_000


@pytest.mark.parametrize("content", [b"", b"rubbish", b"\xff" * 50, b"00000000000000000012"])
def test_a_file_that_says_nothing(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "client-order-ids").write_bytes(content)
    first, second = source(tmp_path)(), source(tmp_path)()
    assert first >> MS_BITS == 1_700_000_000_000
    assert second > first


def test_no_place_for_a_file(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The next place is taken, whose ids are none of the first one's; without any, chance helps."""
    blocked, other = tmp_path / "file", tmp_path / "other"
    blocked.write_text("no directory")
    now_ms = 1_700_000_000_000
    by_file = ClientIds(lambda: [other], lambda: now_ms)
    second = ClientIds(lambda: [blocked, other], lambda: now_ms)
    assert not {by_file() for _ in range(1000)} & {second() for _ in range(1000)}
    assert caplog.text == ""
    chances = [ClientIds(lambda: [blocked], lambda: now_ms) for _ in range(2)]
    one = [chances[0]() for _ in range(500)]
    assert all(a < b for a, b in pairwise(one))
    assert len({number >> COUNT_BITS & 3 for number in one}) == 1
    assert caplog.text.count("unique by clock and chance only") == 1
    chances[1]()
    assert caplog.text.count("unique by clock and chance only") == 2


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="needs owners")
def test_the_directory_of_somebody_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """In a place where all can write, a directory proves nothing."""
    owner = os.getuid()
    monkeypatch.setattr(os, "getuid", lambda: owner + 1)
    source(tmp_path)()
    assert "a directory of somebody else" in caplog.text


def test_a_lock_that_nobody_gives_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    fcntl = pytest.importorskip("fcntl")
    monkeypatch.setattr("coincall_fast.rest.ids.LOCKED_S", 0.01)
    with open(tmp_path / "client-order-ids", "w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert source(tmp_path)() > 0
    assert "unique by clock and chance only" in caplog.text


def test_a_clock_beyond_the_ids(tmp_path: Path) -> None:
    """It is refused, and does not keep the right clock from going on afterwards."""
    with pytest.raises(UsageError, match="beyond 2039"):
        source(tmp_path, lambda: 2_300_000_000_000)()
    assert source(tmp_path)() >> MS_BITS == 1_700_000_000_000


def test_where_the_file_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if sys.platform != "win32":
        monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
        assert state_dirs()[0] == tmp_path / "coincall-fast"
        monkeypatch.delenv("XDG_STATE_HOME")
        assert state_dirs()[0] == Path("~/.local/state/coincall-fast").expanduser()

"""The file of a recording, and the two threads that own it: one writes, one makes it last.

The threads that receive never wait for a disk: what they put is queued, and with the kernel a
moment later, where it outlives the process. The disk itself is asked for twice a second, by a
thread of its own, so that nothing is kept from the kernel meanwhile.
"""

import atexit
import contextlib
import json
import logging
import os
import threading
import time
import weakref
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from queue import SimpleQueue
from typing import Any, NamedTuple, Self

from ..errors import RecordingError, UsageError
from .recording import FILE_HEADER, Damage, Kind, Reader, encode

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

__all__ = ["Recorder", "Track"]

log = logging.getLogger("coincall_fast")

SYNC_S = 0.5  # half of what may be lost when the power goes: the disk takes its time, too
QUEUED = 64 << 20  # bytes of a product that may wait for the disk before frames are left out
BATCH = 1 << 20  # bytes of one write


class _Entry(NamedTuple):
    """A record without its number, which it gets when it is written."""

    kind: Kind
    product: str
    recv_ns: int
    wall_ms: int
    payload: bytes
    track: "Track | None" = None


def _entry(kind: Kind, payload: bytes = b"", product: str = "", recv_ns: int = 0) -> _Entry:
    now_ns, wall_ms = time.monotonic_ns(), time.time_ns() // 1_000_000
    return _Entry(kind, product, recv_ns or now_ns, wall_ms, payload)


class Track:
    """Where one product's reading thread puts what it is told; no other thread may."""

    def __init__(self, recorder: "Recorder", product: str) -> None:
        self.product = product
        self.taken = 0  # bytes, counted by the writing thread
        self._put = 0  # bytes, counted by the reading thread
        self._recorder = recorder
        self._missing = 0
        self._missing_since_ns = 0

    def put(
        self, kind: Kind, recv_ns: int, payload: bytes = b"", wall_ms: int | None = None
    ) -> None:
        """Records it, without waiting. Too many frames are left out, and recorded as a gap."""
        if self._recorder.has_ended:
            return
        if kind is Kind.FRAME and self._put - self.taken > QUEUED:
            if not self._missing:
                self._missing_since_ns = recv_ns
                self._recorder.fell_behind()
            self._missing += 1
            self._recorder.missing += 1
            return
        if self._missing:
            self._recorder.put(self.gap(recv_ns))
        if wall_ms is None:
            wall_ms = time.time_ns() // 1_000_000
        self._put += len(payload)
        self._recorder.put(_Entry(kind, self.product, recv_ns, wall_ms, bytes(payload), self))

    @property
    def is_behind(self) -> bool:
        return self._missing > 0

    def gap(self, recv_ns: int) -> _Entry:
        """What tells of the frames that were left out, which is told once."""
        told = {"frames": self._missing, "start_ns": self._missing_since_ns}
        self._missing = 0
        return _entry(Kind.GAP, json.dumps(told).encode(), self.product, recv_ns)


class Recorder:
    """A recording that is being made; `Stream.record` begins one. A context manager.

    `written` counts the records that the kernel has, which no kill of this process can lose;
    `synced` those that the disk has; `missing` the frames that were left out because the disk was
    too slow. `error` says why it stopped by itself: a full disk, as a rule. Appends to a recording
    that there is, whose torn end is cut off. Nothing secret is in it: it holds what was received
    and which channels were asked for, no addresses and no keys.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        about: Mapping[str, Any],
        on_error: Callable[[RecordingError], object] = lambda error: log.error("%s", error),
    ) -> None:
        self.path = Path(path)
        self.written = self.synced = self.missing = 0
        self.error: RecordingError | None = None
        self.has_ended = False
        self._on_error = on_error
        self._tracks: list[Track] = []
        self._queue: SimpleQueue[_Entry | None] = SimpleQueue()
        self._lock = threading.RLock()  # over the end, which comes once; a signal handler may ask
        self._written_out = threading.Event()
        try:
            self._open(about)
        except OSError as error:
            raise RecordingError(f"cannot record to {self.path}: {_reason(error)}") from None
        self._threads = [
            threading.Thread(target=run, name=f"coincall-fast {name}", daemon=True)
            for run, name in ((self._write, "recorder"), (self._keep_synced, "recorder's disk"))
        ]
        for thread in self._threads:
            thread.start()
        atexit.register(self.close)
        _recorders.add(self)

    @property
    def size(self) -> int:
        """Bytes of the file."""
        return self._size

    def track(self, product: str) -> Track:
        """What the stream of a product puts its records into."""
        track = Track(self, product)
        self._tracks.append(track)
        return track

    def note(self, text: str) -> None:
        """Records a remark of yours, where it is now. From any thread."""
        if not self.has_ended:
            self._queue.put(_entry(Kind.NOTE, text.encode()))

    def end(self, timeout_s: float) -> bool:
        """Nothing more is recorded; whether what was is on the disk by then. It goes there."""
        with self._lock:
            is_first, self.has_ended = not self.has_ended, True
        if is_first:
            self._queue.put(None)
        end_s = time.monotonic() + timeout_s
        for thread in self._threads:
            thread.join(max(0.0, end_s - time.monotonic()))
        if not self._is_open:
            atexit.unregister(self.close)
        return not self._is_open

    def close(self, timeout_s: float = 5.0) -> None:
        """Ends it, and waits for the disk. Idempotent; where the disk does not come, `error`."""
        if not self.end(timeout_s):
            self._fail(f"the disk has not taken all of it within {timeout_s:g} s")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        state = self.error or ("ended" if self.has_ended else f"{self.written} records")
        return f"<Recorder {self.path}: {state}>"

    # ---------------------------------------------------------------- called by the tracks

    def put(self, entry: _Entry) -> None:
        self._queue.put(entry)

    def fell_behind(self) -> None:
        """The first frame of a gap is left out."""
        self._on_error(RecordingError(f"{self.path}: the disk is too slow, frames are missing"))

    # ---------------------------------------------------------------- the file

    def _open(self, about: Mapping[str, Any]) -> None:
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND
        flags |= getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
        is_new = not self.path.exists()
        self._fd = os.open(self.path, flags, 0o600)
        self._is_open = True
        try:
            self._lock_file()
            self._size, self._seq, cut = self._end_of_what_is_there()
            os.ftruncate(self._fd, self._size)
            if not self._size:
                self._append([FILE_HEADER])
                self.written = 0
            start = {"recorder": 1, "at": datetime.now(UTC).isoformat(), **about}
            if cut:
                start["cut_bytes"] = cut
            self._queue.put(_entry(Kind.BEGIN, json.dumps(start).encode()))
            if is_new and os.name == "posix":
                _sync_directory(self.path.absolute().parent)
        except BaseException:
            os.close(self._fd)
            raise

    def _lock_file(self) -> None:
        if fcntl is None:
            return
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UsageError(f"{self.path} is being recorded to already") from None

    def _end_of_what_is_there(self) -> tuple[int, int, int]:
        """Where the next record goes, its number, and the bytes of a torn end behind it."""
        with open(self._fd, "rb", closefd=False) as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(0)
            if size < len(FILE_HEADER) and FILE_HEADER.startswith(file.read(size)):
                return 0, 0, 0  # killed at its very beginning, or empty
            file.seek(0)
            try:
                reader = Reader(file)
            except RecordingError as error:
                raise RecordingError(f"{self.path}: {error}; it is left as it is") from None
            for part in reader:
                if isinstance(part, Damage) and not part.is_torn_tail:
                    raise RecordingError(f"{self.path}: {part}; it is left as it is")
            return reader.offset, reader.seq, size - reader.offset

    # ---------------------------------------------------------------- the writing thread

    def _write(self) -> None:
        try:
            while self._write_some():
                pass
        except Exception as error:  # whatever it is, nobody must go on as if it were recorded
            self._fail(_reason(error))
        finally:
            self._written_out.set()

    def _write_some(self) -> bool:
        """Whatever waits, as one write; False at the end."""
        entries: list[_Entry] = []
        size = 0
        entry = self._queue.get()
        while entry is not None and self.error is None:
            entries.append(entry)
            size += len(entry.payload)
            if size >= BATCH or self._queue.empty():
                self._write_down(entries)
                return True
            entry = self._queue.get()
        if self.error is None:
            gaps = [track.gap(0) for track in self._tracks if track.is_behind]
            self._write_down([*entries, *gaps, _entry(Kind.END)])
        return False

    def _write_down(self, entries: list[_Entry]) -> None:
        texts = []
        for kind, product, recv_ns, wall_ms, payload, _ in entries:
            texts.append(encode(kind, product, self._seq, recv_ns, wall_ms, payload))
            self._seq += 1
        self._append(texts)
        for entry in entries:
            if entry.track is not None:
                entry.track.taken += len(entry.payload)

    def _append(self, texts: list[bytes]) -> None:
        """Hands records to the kernel. Where it does not take all, only whole ones stay."""
        waiting = memoryview(b"".join(texts))
        done = 0
        try:
            while done < len(waiting):
                done += os.write(self._fd, waiting[done:])
        except OSError:
            whole, count = 0, 0
            while whole + len(texts[count]) <= done:
                whole += len(texts[count])
                count += 1
            with contextlib.suppress(OSError):
                os.ftruncate(self._fd, self._size + whole)
            self.written += count
            raise
        self._size += done
        self.written += len(texts)

    # ---------------------------------------------------------------- the disk's thread

    def _keep_synced(self) -> None:
        try:
            while not self._written_out.wait(SYNC_S):
                self._sync()
            self._sync()
        except OSError as error:
            self._fail(_reason(error))
            self._written_out.wait()  # the file is open until the other thread is done with it
        finally:
            self._is_open = False
            os.close(self._fd)

    def _sync(self) -> None:
        written = self.written
        if written != self.synced:
            _sync_file(self._fd)
            self.synced = written

    # ---------------------------------------------------------------- its end

    def _fail(self, reason: str) -> None:
        """It stops here, and says so; whoever put something goes on as if nothing had been."""
        with self._lock:
            if self.error is not None:
                return
            self.error = RecordingError(f"the recording {self.path} has stopped: {reason}")
            self.has_ended = True
        self._queue.put(None)
        self._on_error(self.error)

    def abandon(self) -> None:
        """What a forked child does with its parent's recording: nothing, and never will."""
        self.has_ended = True
        self._threads = []
        self._lock = threading.RLock()  # the other may be held by a thread that is not here
        if self._is_open:
            self._is_open = False
            os.close(self._fd)


def _reason(error: Exception) -> str:
    """What went wrong, in the system's words where it has some."""
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def _sync_file(fd: int) -> None:
    if hasattr(os, "fdatasync"):
        os.fdatasync(fd)
    elif hasattr(fcntl, "F_FULLFSYNC"):  # macOS, whose fsync leaves it in the disk's cache
        fcntl.fcntl(fd, fcntl.F_FULLFSYNC)
    else:
        os.fsync(fd)


def _sync_directory(path: Path) -> None:
    """So that the name of a new file outlives a power cut as well."""
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


_recorders: "weakref.WeakSet[Recorder]" = weakref.WeakSet()


def _abandon_in_child() -> None:
    for recorder in list(_recorders):
        recorder.abandon()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_abandon_in_child)

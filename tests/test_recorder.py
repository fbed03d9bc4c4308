"""The file of a recording: what a kill, a full disk, a slow one and another recorder do to it."""

import contextlib
import errno
import gc
import json
import os
import random
import signal
import stat
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Callable
from typing import Any

import pytest

from coincall_fast import Channel, RecordingError, UsageError, replay
from coincall_fast.streams import recorder
from coincall_fast.streams.recorder import Recorder
from coincall_fast.streams.recording import FILE_HEADER, Damage, Kind, Reader, Record
from streams import PATIENCE_S, listen, stream_to, until, valid

POSIX = pytest.mark.skipif(os.name != "posix", reason="has no signals, limits or forks")
KILLS = 200 if os.environ.get("COINCALL_FAST_LONG") else 4


def parts_of(path):
    with open(path, "rb") as file:
        return list(Reader(file))


def records_of(path):
    """All of a recording that must be whole."""
    parts = parts_of(path)
    assert all(isinstance(part, Record) for part in parts), parts
    assert [part.seq for part in parts] == list(range(len(parts)))
    return parts


def payloads_of(path, kind=Kind.FRAME):
    return [record.payload for record in records_of(path) if record.kind is kind]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "a.rec"


class Disk:
    """Stands between a recorder and its file, and does what a test tells it to."""

    def __init__(self, monkeypatch, path):
        self.path = path
        self.real = {name: getattr(os, name) for name in ("write", "fdatasync", "fsync")}
        self.on_write: Callable[..., Any] = self.real["write"]
        self.on_sync: Callable[[], Any] = lambda: None
        monkeypatch.setattr(os, "write", self._write)
        for name in ("fdatasync", "fsync"):
            monkeypatch.setattr(os, name, lambda fd, name=name: self._sync(name, fd))

    def _is_ours(self, fd):
        with contextlib.suppress(OSError):
            return os.path.sameopenfile(fd, fd) and os.path.samestat(
                os.fstat(fd), os.stat(self.path)
            )
        return False

    def _write(self, fd, data):
        return self.on_write(fd, data) if self._is_ours(fd) else self.real["write"](fd, data)

    def _sync(self, name, fd):
        if self._is_ours(fd):
            self.on_sync()
        return self.real[name](fd)


@pytest.fixture
def disk(monkeypatch, path):
    return Disk(monkeypatch, path)


class TestFile:
    def test_what_is_put_is_there_in_order(self, path):
        with Recorder(path, {"products": ["futures"]}) as made:
            track = made.track("futures")
            track.put(Kind.OPENED, 5)
            track.put(Kind.FRAME, 7, b"{}", 1_700_000_000_000)
            made.note("hear, hear")
        begin, opened, frame, note, end = records_of(path)
        assert json.loads(begin.payload)["products"] == ["futures"]
        assert (opened.kind, opened.product, opened.recv_ns) == (Kind.OPENED, "futures", 5)
        assert frame == Record(Kind.FRAME, "futures", 2, 7, 1_700_000_000_000, b"{}")
        assert (note.kind, note.payload) == (Kind.NOTE, b"hear, hear")
        assert end.kind is Kind.END
        assert (made.written, made.synced, made.error) == (5, 5, None)

    def test_after_the_end_nothing_is_recorded(self, path):
        with Recorder(path, {}) as made:
            track = made.track("futures")
        track.put(Kind.FRAME, 1, b"late")
        made.note("late")
        made.close()
        assert [record.kind for record in records_of(path)] == [Kind.BEGIN, Kind.END]

    @POSIX
    def test_it_is_its_owners_alone(self, path):
        Recorder(path, {}).close()
        assert stat.S_IMODE(path.stat().st_mode) == 0o600

    def test_a_recording_is_continued(self, path):
        for number in range(3):
            with Recorder(path, {}) as made:
                made.track("futures").put(Kind.FRAME, 1, b"%d" % number)
        assert payloads_of(path) == [b"0", b"1", b"2"]

    @pytest.mark.parametrize(
        ("kept", "cut"), [(0, 0), (5, 0), (19, 0), (20, 0), (23, 3), (60, 40), (-1, 41)]
    )
    def test_a_torn_end_is_cut_off(self, path, kept, cut):
        with Recorder(path, {}) as made:
            made.track("futures").put(Kind.FRAME, 1, b"first")
        whole = path.read_bytes()
        kept %= len(whole)
        path.write_bytes(whole[:kept])
        before = [part for part in parts_of(path) if isinstance(part, Record)] if kept > 19 else []
        with Recorder(path, {}) as made:
            made.track("futures").put(Kind.FRAME, 2, b"second")
        records = records_of(path)
        assert records[: len(before)] == before
        begin = records[len(before)]
        assert begin.kind is Kind.BEGIN
        assert json.loads(begin.payload).get("cut_bytes", 0) == cut
        assert records[-2].payload == b"second"

    @pytest.mark.parametrize("harm", ["text", "damage", "garbled end"])
    def test_what_is_no_whole_recording_is_left_as_it_is(self, path, harm):
        with Recorder(path, {}) as made:
            made.track("futures").put(Kind.FRAME, 1, b"x" * 100)
        content = bytearray(path.read_bytes())
        if harm == "text":
            content = bytearray(b"my diary\n" * 10)
        elif harm == "damage":
            content[content.index(b"xxx")] ^= 1
        else:
            content += b"more of it"
        path.write_bytes(content)
        with pytest.raises(RecordingError, match="left as it is"):
            Recorder(path, {})
        assert path.read_bytes() == content

    @POSIX
    def test_two_do_not_write_to_one_file(self, path):
        with Recorder(path, {}) as made:
            with pytest.raises(UsageError, match="already"):
                Recorder(path, {})
            made.track("futures").put(Kind.FRAME, 1, b"mine")
        assert payloads_of(path) == [b"mine"]

    def test_where_there_is_no_place_for_it(self, tmp_path):
        for place in (tmp_path, tmp_path / "no" / "such"):
            with pytest.raises(RecordingError, match="cannot record to"):
                Recorder(place, {})

    def test_it_leaves_no_thread_and_no_descriptor(self, path):
        threads = threading.active_count()
        before = open_files()
        with Recorder(path, {}):
            assert threading.active_count() == threads + 2
        assert threading.active_count() == threads
        assert open_files() == before

    @POSIX
    @pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of forking with threads, from 3.12
    def test_a_forked_child_writes_nothing(self, path):
        with Recorder(path, {}) as made:
            track = made.track("futures")
            track.put(Kind.FRAME, 1, b"parent")
            child = os.fork()
            if child == 0:
                track.put(Kind.FRAME, 2, b"child")
                made.close()
                os._exit(0)
            assert os.waitpid(child, 0)[1] == 0
            track.put(Kind.FRAME, 3, b"parent again")
        assert payloads_of(path) == [b"parent", b"parent again"]

    def test_an_interpreter_that_exits_ends_it(self, path):
        program = """
import sys
from coincall_fast.streams.recorder import Recorder
from coincall_fast.streams.recording import Kind
track = Recorder(sys.argv[1], {}).track("futures")
for n in range(1000):
    track.put(Kind.FRAME, n, b"x" * 10_000)
"""
        run = [sys.executable, "-W", "error", "-c", program, str(path)]
        done = subprocess.run(run, check=False, capture_output=True, timeout=PATIENCE_S)
        assert done.returncode == 0
        assert done.stderr == b""
        assert len(payloads_of(path)) == 1000
        assert records_of(path)[-1].kind is Kind.END


def open_files():
    return len(os.listdir("/proc/self/fd")) if os.path.exists("/proc/self/fd") else 0


FLOOD = """
import os, sys, threading, time
from coincall_fast.streams.recorder import Recorder
from coincall_fast.streams.recording import Kind

made = Recorder(sys.argv[1], {})
track = made.track("futures")

def acknowledge():
    while True:
        os.write(1, b"%d\\n" % made.written)
        time.sleep(0.0005)

threading.Thread(target=acknowledge, daemon=True).start()
number = 0
while True:
    for _ in range(20):
        track.put(Kind.FRAME, number, b"%d " % number * 300)
        number += 1
    time.sleep(0.0005)
"""


@POSIX
@pytest.mark.timeout(600)
def test_a_kill_loses_nothing_that_was_acknowledged(path):
    """`written` is what cannot be lost: each time it is said, so many records are in the file."""
    dice = random.Random(6)
    torn = 0
    for _ in range(KILLS):
        before = len(records_of(path)) if path.exists() else 0
        run = [sys.executable, "-W", "error", "-c", FLOOD, str(path)]
        with subprocess.Popen(run, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            acknowledged = b""
            for _ in range(dice.randrange(1, 200)):
                acknowledged = process.stdout.readline()
            time.sleep(dice.random() * 0.01)
            process.send_signal(signal.SIGKILL)
            for line in process.stdout.read().splitlines(keepends=True):
                acknowledged = line if line.endswith(b"\n") else acknowledged
        parts = parts_of(path)
        if isinstance(parts[-1], Damage):
            assert parts[-1].is_torn_tail
            del parts[-1]
            torn += 1
        records = [part for part in parts if isinstance(part, Record)]
        assert len(records) == len(parts)
        assert [record.seq for record in records] == list(range(len(records)))
        mine = records[before:]
        assert len(mine) >= int(acknowledged) > 0
        frames = [record for record in mine if record.kind is Kind.FRAME]
        assert [record.recv_ns for record in frames] == list(range(len(frames)))
        assert all(record.payload == b"%d " % n * 300 for n, record in enumerate(frames))
        with Recorder(path, {}):
            pass  # cuts a torn end off
        if path.stat().st_size > 50_000_000:
            path.unlink()
    print(f"{KILLS} kills, {torn} torn ends")


class TestDisk:
    @pytest.mark.parametrize("taken", [0, 1, 41, 42, 60, 500])
    def test_a_full_disk_ends_it_with_whole_records(self, path, disk, taken):
        """The kernel takes a part of the last write, and then nothing."""
        told: list[Any] = []
        made = Recorder(path, {}, told.append)
        track = made.track("futures")
        track.put(Kind.FRAME, 1, b"before")
        until(lambda: made.written == 2, "what was before")
        left = [taken]

        def full(fd, data):
            size, left[0] = min(left[0], len(data)), 0
            if not size:
                raise OSError(errno.ENOSPC, "No space left on device")
            return disk.real["write"](fd, data[:size])

        disk.on_write = full
        for number in range(20):
            track.put(Kind.FRAME, 2, b"%d" % number * 20)
        until(lambda: made.error is not None, "the end of it")
        made.close()
        assert told == [made.error]
        assert "No space left" in str(made.error)
        assert str(path) in str(made.error)
        frames = payloads_of(path)  # nothing torn
        assert frames[0] == b"before"
        assert frames[1:] == [b"%d" % number * 20 for number in range(len(frames) - 1)]
        assert made.written == len(records_of(path))
        disk.on_write = disk.real["write"]
        track.put(Kind.FRAME, 3, b"after")
        with Recorder(path, {}) as again:
            again.track("futures").put(Kind.FRAME, 4, b"again")
        assert payloads_of(path) == [*frames, b"again"]

    def test_where_nobody_listens_it_is_logged(self, path, disk, caplog):
        def full(fd, data):
            raise OSError(errno.ENOSPC, "No space left on device")

        made = Recorder(path, {})
        until(lambda: made.written == 1, "its beginning")
        disk.on_write = full
        made.note("x")
        until(lambda: made.error is not None, "the end of it")
        made.close()
        assert [record.getMessage() for record in caplog.records] == [str(made.error)]

    def test_a_record_that_cannot_be_written_ends_it_too(self, path):
        """A product with a name of a kilobyte: ours to mend, but not in silence."""
        told: list[Any] = []
        made = Recorder(path, {}, told.append)
        made.track("p" * 1000).put(Kind.FRAME, 1, b"x")
        until(lambda: told, "the report")
        made.close()
        assert told == [made.error]
        assert [record.kind for record in records_of(path)] == [Kind.BEGIN]

    def test_a_disk_that_fails_to_sync_ends_it(self, path, disk):
        told: list[Any] = []
        made = Recorder(path, {}, told.append)

        def broken():
            raise OSError(errno.EIO, "Input/output error")

        disk.on_sync = broken
        made.note("x")
        until(lambda: told, "the report")
        disk.on_sync = lambda: None
        made.close()
        assert "Input/output error" in str(made.error)
        assert told == [made.error]

    def test_a_slow_disk_holds_nobody_up_and_leaves_a_gap(self, path, disk, monkeypatch):
        monkeypatch.setattr(recorder, "QUEUED", 10_000)
        told: list[Any] = []
        made = Recorder(path, {}, told.append)
        track = made.track("futures")
        until(lambda: made.written == 1, "its beginning")
        stuck = threading.Event()

        def slow(fd, data):
            assert stuck.wait(PATIENCE_S)
            return disk.real["write"](fd, data)

        disk.on_write = slow
        for number in range(100):
            track.put(Kind.FRAME, 1000 + number, b"%03d" % number * 100)
        assert "too slow" in str(told)
        assert len(told) == 1
        left_out = made.missing
        assert left_out == 100 - 34  # the 34th is the one that does not fit any more
        stuck.set()
        until(lambda: made.written > 20, "the backlog")
        track.put(Kind.FRAME, 2000, b"after")
        made.close()
        assert made.error is None
        records = records_of(path)
        (at,) = [i for i, record in enumerate(records) if record.kind is Kind.GAP]
        gap = json.loads(records[at].payload)
        last = records[at - 1]
        assert gap == {"frames": left_out, "start_ns": last.recv_ns + 1}
        assert records[at + 1].payload == b"after"
        assert len(payloads_of(path)) == 100 - left_out + 1

    def test_a_gap_at_the_very_end_is_recorded_too(self, path, disk, monkeypatch):
        monkeypatch.setattr(recorder, "QUEUED", 0)
        made = Recorder(path, {})
        track = made.track("futures")
        until(lambda: made.written == 1, "its beginning")
        stuck = threading.Event()
        disk.on_write = lambda fd, data: stuck.wait(PATIENCE_S) and disk.real["write"](fd, data)
        for number in range(5):
            track.put(Kind.FRAME, number, b"x")
        threading.Timer(0.1, stuck.set).start()
        made.close()
        *_, gap, end = records_of(path)
        assert (gap.kind, end.kind) == (Kind.GAP, Kind.END)
        assert json.loads(gap.payload)["frames"] == 4

    def test_a_disk_that_does_not_come_back_is_not_waited_for(self, path, disk):
        told: list[Any] = []
        made = Recorder(path, {}, told.append)
        until(lambda: made.written == 1, "its beginning")
        stuck = threading.Event()
        disk.on_write = lambda fd, data: stuck.wait(PATIENCE_S) and disk.real["write"](fd, data)
        made.note("x")
        begin_s = time.monotonic()
        made.close(timeout_s=0.2)
        assert time.monotonic() - begin_s < 5.0
        assert "within 0.2 s" in str(told)
        stuck.set()
        until(lambda: not any(thread.is_alive() for thread in made._threads), "its threads' end")

    def test_it_is_synced_without_being_asked(self, path, disk, monkeypatch):
        """Within the second that a power cut may cost."""
        assert recorder.SYNC_S <= 0.5
        monkeypatch.setattr(recorder, "SYNC_S", 0.05)
        synced: list[float] = []
        disk.on_sync = lambda: synced.append(time.monotonic())
        with Recorder(path, {}) as made:
            until(lambda: made.synced == 1, "its beginning")
            made.note("x")
            until(lambda: made.synced == 2, "the remark")
        assert len(synced) >= 2

    @POSIX
    def test_a_limit_of_the_system_ends_the_recording_and_not_the_stream(self, path, exchange):
        """In a process of its own, where no file may have more than 60 kB."""
        program = """
import resource, sys, time
from coincall_fast import Channel, RecordingError, Stream
url, key, secret, path = sys.argv[1:]
resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000))
with Stream("futures", ws_url=url, api_key=key, api_secret=secret) as stream:
    told = []
    stream.on("error", told.append)
    made = stream.record(path)
    stream.subscribe(Channel.BOOK, ["BTCUSD", "ETHUSD"])
    end_s = time.monotonic() + 20
    while not told and time.monotonic() < end_s:
        time.sleep(0.01)
    assert told == [made.error] and isinstance(told[0], RecordingError), told
    count = stream.store["BTCUSD"].update_count
    while stream.store["BTCUSD"].update_count < count + 3 and time.monotonic() < end_s:
        time.sleep(0.01)
    assert stream.state == "open" and stream.store["BTCUSD"].is_valid
    assert stream.store["BTCUSD"].update_count >= count + 3
"""
        arguments = (exchange.ws_url, exchange.api_key, exchange.api_secret, str(path))
        run = [sys.executable, "-W", "error", "-c", program, *arguments]
        done = subprocess.run(run, check=False, capture_output=True, timeout=40, text=True)
        assert done.returncode == 0, done.stderr
        assert done.stderr == ""
        assert len(payloads_of(path)) > 3
        assert path.stat().st_size <= 60_000


class TestStream:
    def test_the_times_and_the_frames_are_those_that_were_received(self, path, exchange):
        with stream_to(exchange, "futures") as stream:
            with stream.record(path):
                books = []
                stream.on(Channel.BOOK, lambda book: books.append((book.recv_ns, book.ts_ms)))
                stream.subscribe(Channel.BOOK, "BTCUSD")
                until(lambda: len(books) >= 3, "three frames")
            until(lambda: len(books) >= 5, "two more")  # which nobody records
        frames = [
            (record.recv_ns, json.loads(record.payload)["d"]["ts"], record.wall_ms)
            for record in records_of(path)
            if record.kind is Kind.FRAME and b'"dt":32' in record.payload
        ]
        assert [frame[:2] for frame in frames] == books[: len(frames)]
        assert 3 <= len(frames) <= 4
        for _, _, wall_ms in frames:
            assert abs(wall_ms - time.time() * 1000) < 60_000

    def test_a_stream_that_is_open_already(self, path, exchange):
        """What is subscribed to and dropped by then is told first."""
        with stream_to(exchange, "futures") as stream:
            stream.subscribe(Channel.BOOK, ["BTCUSD", "ETHUSD"])
            until(lambda: valid(stream, ["BTCUSD", "ETHUSD"]), "both books")
            stream.unsubscribe(Channel.BOOK, "ETHUSD")
            until(lambda: not valid(stream, ["ETHUSD"]), "the end of one")
            stream.record(path)
            count = stream.store["BTCUSD"].update_count
            until(lambda: stream.store["BTCUSD"].update_count > count + 2, "frames")
        kinds = [record.kind for record in records_of(path)]
        begin = [Kind.BEGIN, Kind.SUBSCRIBE, Kind.SUBSCRIBE, Kind.UNSUBSCRIBE, Kind.OPENED]
        assert kinds[:5] == begin
        assert kinds[-2:] == [Kind.CLOSED, Kind.END]  # it ends with its stream

    def test_one_at_a_time(self, path, exchange, tmp_path):
        stream = stream_to(exchange, "futures")
        with stream.record(path), pytest.raises(UsageError, match="already"):
            stream.record(tmp_path / "b.rec")
        stream.record(tmp_path / "b.rec")
        stream.close()
        assert records_of(tmp_path / "b.rec")[-1].kind is Kind.END
        with pytest.raises(UsageError, match="closed"):
            stream.record(path)

    def test_there_is_nothing_secret_in_it(self, path, exchange):
        with stream_to(exchange) as stream, stream.record(path) as made:
            symbols = ["BTCUSD", exchange.symbols("options")[0]]
            stream.subscribe(Channel.BOOK, symbols)
            stream.subscribe(Channel.ORDERS)
            stream.subscribe(Channel.ACCOUNT)
            until(lambda: valid(stream, symbols), "both books")
            exchange.drop_connections()  # and sign anew
            gaps = listen(stream, "gap")
            until(lambda: len(gaps) == 2, "both gaps")
        content = path.read_bytes()
        assert len(content) > 10_000
        for text in (exchange.api_key, exchange.api_secret, exchange.ws_url, "sign", "apiKey"):
            assert text.encode() not in content
        for text in (exchange.api_key, exchange.api_secret):
            assert text not in repr(made)

    def test_it_ends_in_time_with_its_stream(self, path, exchange):
        threads = threading.active_count()
        stream = stream_to(exchange).start()
        stream.record(path)
        stream.subscribe(Channel.BOOK, "BTCUSD")
        until(lambda: valid(stream, ["BTCUSD"]), "the book")
        begin_s = time.monotonic()
        stream.close()
        assert time.monotonic() - begin_s < 1.0
        assert threading.active_count() == threads
        assert replay(path).run().is_complete


def test_a_file_that_was_killed_at_its_very_beginning(path):
    path.write_bytes(FILE_HEADER[:7])
    with Recorder(path, {}):
        pass
    assert [record.kind for record in records_of(path)] == [Kind.BEGIN, Kind.END]


def test_one_that_has_ended_is_kept_by_nobody(path, exchange):
    with stream_to(exchange, "futures") as stream:
        made = weakref.ref(stream.record(path))
    del stream
    gc.collect()
    assert made() is None

"""The bytes of a recording: what comes back, and what becomes of every way to damage them."""

import io
import struct
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coincall_fast import RecordingError
from coincall_fast.streams import recording
from coincall_fast.streams.recording import FILE_HEADER, Damage, Kind, Reader, Record, encode

PARTS = [
    (Kind.BEGIN, "", 10, 1_700_000_000_000, b'{"products":["futures"]}'),
    (Kind.OPENED, "futures", 11, 1_700_000_000_001, b""),
    (Kind.FRAME, "futures", 12, 1_700_000_000_002, b'{"dt":32}'),
    (Kind.FRAME, "futures", 13, 1_700_000_000_003, b"\xf5rec\x00" * 9),
    (Kind.END, "", 14, 1_700_000_000_004, b""),
]
TEXTS = [
    encode(kind, product, seq, recv_ns, wall_ms, payload)
    for seq, (kind, product, recv_ns, wall_ms, payload) in enumerate(PARTS)
]
RECORDS = [
    Record(kind, product, seq, recv_ns, wall_ms, payload)
    for seq, (kind, product, recv_ns, wall_ms, payload) in enumerate(PARTS)
]
FILE = FILE_HEADER + b"".join(TEXTS)


def read(content):
    return list(Reader(io.BytesIO(content)))


def records(parts):
    return [part for part in parts if isinstance(part, Record)]


def test_the_layout_is_the_documented_one():
    """docs/recording.md, typed once more."""
    head = b"\xf5coincall-fast\n\x01"
    assert head + struct.pack("<I", zlib.crc32(head)) == FILE_HEADER
    body = b"futures" + b'{"dt":32}'
    fields = b"\xf5rec" + struct.pack("<I", 9) + struct.pack("<Q", 2) + struct.pack("<q", 12)
    fields += struct.pack("<q", 1_700_000_000_002) + bytes([5, 7])
    fields += struct.pack("<I", zlib.crc32(body))
    assert TEXTS[2] == fields + struct.pack("<I", zlib.crc32(fields)) + body


def test_what_was_written_is_read():
    assert read(FILE) == RECORDS
    assert read(FILE_HEADER) == []


@given(
    st.lists(
        st.tuples(
            st.sampled_from(Kind),
            st.sampled_from(["", "options", "futures"]),
            st.integers(-(2**63), 2**63 - 1),
            st.integers(-(2**63), 2**63 - 1),
            st.binary(),
        ),
        max_size=8,
    )
)
def test_anything_is_read_as_it_was_written(parts):
    texts = [
        encode(kind, product, seq, recv_ns, wall_ms, payload)
        for seq, (kind, product, recv_ns, wall_ms, payload) in enumerate(parts)
    ]
    got = read(FILE_HEADER + b"".join(texts))
    assert [(r.kind, r.product, r.recv_ns, r.wall_ms, r.payload) for r in got] == parts
    assert [r.seq for r in got] == list(range(len(parts)))


def test_an_end_torn_at_any_byte_leaves_what_was_whole():
    ends = [len(FILE_HEADER)]
    for text in TEXTS:
        ends.append(ends[-1] + len(text))
    for size in range(len(FILE_HEADER), len(FILE)):
        reader = Reader(io.BytesIO(FILE[:size]))
        parts = list(reader)
        whole = sum(end <= size for end in ends[1:])
        assert records(parts) == RECORDS[:whole]
        assert (reader.offset, reader.seq) == (ends[whole], whole)
        if size == ends[whole]:
            assert len(parts) == whole
        else:
            assert parts[whole:] == [Damage(ends[whole], size - ends[whole], 1, is_torn_tail=True)]


@pytest.mark.parametrize("zeros", [1, 41, 5000])
def test_zeros_at_the_end_are_what_a_power_cut_leaves(zeros):
    for whole in (FILE, FILE[:-7], FILE[: -len(TEXTS[-1]) + 2]):
        damage = read(whole + bytes(zeros))[-1]
        assert isinstance(damage, Damage)
        assert damage.is_torn_tail


@pytest.mark.parametrize("chunk", [1 << 20, 3, 50])
def test_every_changed_bit_is_noticed_and_no_wrong_record_comes(monkeypatch, chunk):
    monkeypatch.setattr(recording, "_CHUNK", chunk)
    for at in range(len(FILE)):
        for bit in range(8):
            damaged = bytearray(FILE)
            damaged[at] ^= 1 << bit
            try:
                parts = read(bytes(damaged))
            except RecordingError:
                assert at < len(FILE_HEADER)
                continue
            assert any(isinstance(part, Damage) for part in parts), at
            got = records(parts)
            assert got == [record for record in RECORDS if record in got]
            assert len(got) == len(RECORDS) - 1  # one bit costs one record


def test_damage_says_where_and_how_much():
    at = FILE.index(TEXTS[2])
    damaged = FILE[:at] + b"x" + FILE[at + 1 :]
    damage = Damage(at, len(TEXTS[2]), 1, is_torn_tail=False)
    assert read(damaged) == [*RECORDS[:2], damage, *RECORDS[3:]]
    assert str(damage) == f"damage at byte {at}: {len(TEXTS[2])} bytes, 1 records missing"


@pytest.mark.parametrize(
    ("texts", "missing", "size"),
    [
        ([0, 1, 4], 2, 0),
        ([0, 1, 1, 2, 3, 4], 0, len(TEXTS[1])),
        ([0, 2, 1, 3, 4], 1, 0),
    ],
    ids=["left out", "twice", "swapped"],
)
def test_whole_records_in_the_wrong_place_are_damage(texts, missing, size):
    content = FILE_HEADER + b"".join(TEXTS[i] for i in texts)
    damages = [part for part in read(content) if isinstance(part, Damage)]
    assert damages
    assert (damages[0].missing, damages[0].size) == (missing, size)
    seqs = [record.seq for record in records(read(content))]
    assert seqs == sorted(set(seqs))


def test_a_foreign_byte_between_records():
    at = FILE.index(TEXTS[3])
    parts = read(FILE[:at] + b"\xf5rec" + FILE[at:])
    assert records(parts) == RECORDS
    assert Damage(at, 4, 0, is_torn_tail=False) in parts


def test_an_end_that_is_no_beginning_of_a_record_is_damage():
    for rest in (b"more", b"\xf5rec" * 20):
        damage = read(FILE + rest)[-1]
        assert damage == Damage(len(FILE), len(rest), 1, is_torn_tail=False)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "no recording"),
        (b"{}\n" * 20, "no recording"),
        (FILE_HEADER[:19], "no recording"),
        (FILE_HEADER[:-1] + b"?", "damaged"),
    ],
)
def test_what_is_no_recording_is_refused(content, message):
    with pytest.raises(RecordingError, match=message):
        read(content)


def test_a_later_version_is_refused_by_its_number():
    head = FILE_HEADER[:15] + b"\x02"
    with pytest.raises(RecordingError, match="version 2, and not of 1"):
        read(head + struct.pack("<I", zlib.crc32(head)))

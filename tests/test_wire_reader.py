"""The compiled reader of frames, rule by rule: RFC 6455 sections 5, 7 and 8."""

import gc
import tracemalloc

import numpy as np
import pytest

from coincall_fast import BookStore, ProtocolError, Ticker, TransportError, decode
from coincall_fast._wire import Opcode, Reader, masked
from wire_frames import (
    BINARY,
    CLOSE,
    PING,
    PONG,
    TEXT,
    client_frames,
    close,
    frame,
    messages_of,
    receive,
    refusal,
    taken,
)

LARGEST = 1 << 20


class TestMessages:
    @pytest.mark.parametrize("length", [0, 1, 125, 126, 127, 65535, 65536, LARGEST])
    @pytest.mark.parametrize("opcode", [TEXT, BINARY])
    def test_every_length(self, opcode, length):
        reader = Reader()
        payload = bytes(i % 128 for i in range(length))
        receive(reader, frame(opcode, payload) + frame(TEXT, b"next"))
        assert messages_of(reader) == [(opcode, payload), (TEXT, b"next")]
        assert not reader.is_amid_frame
        assert (reader.frames, reader.messages) == (2, 2)

    def test_fragments_with_control_frames_between(self):
        reader = Reader()
        receive(
            reader,
            frame(BINARY, b"\xff\xfe", fin=False)
            + frame(PING, b"1")
            + frame(0, b"", fin=False)
            + frame(PONG, b"2")
            + frame(0, b"\x00"),
        )
        assert messages_of(reader) == [(BINARY, b"\xff\xfe\x00")]
        assert reader.take_pings() == [b"1"]
        assert reader.take_pings() == []

    def test_a_character_in_pieces(self):
        reader = Reader()
        euro = "€".encode()
        for i, byte in enumerate(euro):
            receive(reader, frame(TEXT if i == 0 else 0, bytes([byte]), fin=i == 2))
            assert messages_of(reader) == ([] if i < 2 else [(TEXT, euro)])
            assert reader.is_amid_message is (i < 2)

    def test_what_is_amid(self):
        reader = Reader()
        data = frame(TEXT, b"x" * 200)
        for i in range(len(data) - 1):
            receive(reader, data[i : i + 1])
            assert reader.take() is None
            assert reader.is_amid_frame
        receive(reader, data[-1:])
        assert messages_of(reader) == [(TEXT, b"x" * 200)]
        assert not reader.is_amid_frame

    def test_1024_fragments_and_no_more(self):
        pieces = frame(TEXT, b"a", fin=False) + frame(0, b"b", fin=False) * 1022
        reader = Reader()
        receive(reader, pieces + frame(0, b"c"))
        assert messages_of(reader) == [(TEXT, b"a" + b"b" * 1022 + b"c")]
        error = refusal(pieces + frame(0, b"", fin=False) + frame(0, b"c"))
        assert error is not None
        assert error.close_code == 1009


RULES = {
    "masked": (frame(TEXT, b"hi", mask=b"abcd"), 1002),
    "rsv1": (frame(TEXT, b"hi", rsv=4), 1002),
    "rsv2": (frame(PING, rsv=2), 1002),
    "rsv3": (frame(BINARY, rsv=1), 1002),
    **{f"opcode {n}": (frame(n), 1002) for n in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15)},
    "a ping in fragments": (frame(PING, fin=False), 1002),
    "a close in fragments": (frame(CLOSE, b"\x03\xe8", fin=False), 1002),
    "a ping of 126 bytes": (frame(PING, b"x" * 126), 1002),
    "a close of 126 bytes": (frame(CLOSE, b"\x03\xe8" + b"x" * 124), 1002),
    "a continuation of nothing": (frame(0, b"x"), 1002),
    "a continuation of what has ended": (
        frame(TEXT, b"x", fin=False) + frame(0) + frame(0, b"y"),
        1002,
    ),
    "a text amid fragments": (frame(TEXT, b"x", fin=False) + frame(TEXT, b"y"), 1002),
    "a binary amid fragments": (frame(TEXT, b"x", fin=False) + frame(BINARY, b"y"), 1002),
    "125 in two bytes": (frame(TEXT, b"x" * 125, spelling=2), 1002),
    "65535 in eight bytes": (frame(TEXT, b"x" * 65535, spelling=8), 1002),
    "a length of 2**63": (b"\x82\x7f\x80" + bytes(7), 1002),
    "a frame too large": (b"\x82\x7f" + (LARGEST + 1).to_bytes(8), 1009),
    "a message too large": (
        frame(BINARY, bytes(LARGEST), fin=False) + frame(0, b"x"),
        1009,
    ),
    "a byte that no text has": (frame(TEXT, b"a\xffb"), 1007),
    "a text cut short": (frame(TEXT, "€".encode()[:2]), 1007),
    "a text cut short by its last fragment": (
        frame(TEXT, "€".encode()[:2], fin=False) + frame(0),
        1007,
    ),
    "a surrogate": (frame(TEXT, b"\xed\xa0\x80"), 1007),
    "an overlong slash": (frame(TEXT, b"\xc0\xaf"), 1007),
    "beyond U+10FFFF": (frame(TEXT, b"\xf4\x90\x80\x80"), 1007),
    "bad behind much good": (frame(TEXT, b"a" * 1000 + b"\x80" + b"b" * 100), 1007),
    "a close of one byte": (frame(CLOSE, b"\x03"), 1002),
    "a reason that is no text": (close(1000, b"\xce\xba\xe1"), 1007),
    "101 pings": (frame(PING) * 101, 1008),
}


class TestRules:
    @pytest.mark.parametrize(("data", "code"), RULES.values(), ids=RULES)
    def test_a_broken_rule_has_its_code(self, data, code):
        error = refusal(data)
        assert error is not None
        assert error.close_code == code
        assert isinstance(error, TransportError)

    @pytest.mark.parametrize("data", [data for data, _ in RULES.values()], ids=RULES)
    def test_a_broken_rule_stays_broken(self, data):
        reader = Reader()
        receive(reader, data)
        for more in (b"", frame(TEXT, b"good"), frame(PING)):
            receive(reader, more)
            with pytest.raises(ProtocolError):
                messages_of(reader)

    def test_what_stands_next_to_a_broken_rule_is_none(self):
        """One byte less, or the last value that is allowed."""
        for good in (
            frame(PING, b"x" * 125),
            frame(TEXT, b"x" * 126, spelling=2),
            frame(TEXT, b"x" * 65536, spelling=8),
            frame(BINARY, bytes(LARGEST - 1), fin=False) + frame(0, b"x"),
            frame(BINARY, b"\xff"),
            frame(TEXT, "\ud7ff\ue000\U0010ffff/".encode()),
            frame(PING) * 100,
        ):
            assert refusal(good) is None

    @pytest.mark.parametrize(
        "beginning",
        [b"\xc1", b"\x83", b"\x09", b"\x00", b"\x81\x80", b"\x89\x7e", b"\x81\x7f\x80" + bytes(7)],
    )
    def test_it_is_told_at_the_first_byte_that_shows_it(self, beginning):
        assert refusal(beginning[:-1] if len(beginning) < 3 else beginning[:9]) is None
        assert refusal(beginning) is not None

    @pytest.mark.parametrize(
        "bad", [b"\x80", b"\xc1", b"\xe0\x9f", b"\xed\xa0", b"\xf0\x8f", b"\xf5"]
    )
    def test_no_text_is_known_before_its_frame_ends(self, bad):
        reader = Reader()
        begun = frame(TEXT, b"a" * 70 + bad + b"x" * 99)
        at = 2 + 2 + 70 + len(bad) - 1
        receive(reader, begun[:at])
        assert reader.take() is None
        receive(reader, begun[at : at + 1])
        with pytest.raises(ProtocolError, match="UTF-8"):
            reader.take()

    def test_what_came_before_is_given_and_nothing_after(self):
        reader = Reader()
        receive(reader, frame(TEXT, b"good") + frame(3) + frame(TEXT, b"late"))
        message = taken(reader)
        assert bytes(message) == b"good"
        for _ in range(3):
            with pytest.raises(ProtocolError, match="opcode 3"):
                reader.take()
        receive(reader, frame(TEXT, b"later"))
        with pytest.raises(ProtocolError, match="opcode 3"):
            reader.take()

    def test_a_smaller_limit(self):
        assert refusal(frame(TEXT, b"x" * 200), largest=200) is None
        error = refusal(frame(TEXT, b"x" * 201), largest=200)
        assert error is not None
        assert error.close_code == 1009
        for wrong in (124, -1, (1 << 30) + 1):
            with pytest.raises(ValueError, match="125"):
                Reader(wrong)

    def test_nothing_is_allocated_for_what_is_refused(self):
        reader = Reader()
        tracemalloc.start()
        try:
            receive(reader, b"\x82\x7f" + (1 << 62).to_bytes(8))
            with pytest.raises(ProtocolError, match=str(1 << 62)):
                reader.take()
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert peak < 100_000


class TestClose:
    @pytest.mark.parametrize("code", [1000, 1001, 1002, 1003, *range(1007, 1015), 3000, 4999])
    def test_codes_that_may_be_sent(self, code):
        reader = Reader()
        receive(reader, close(code, "später".encode()) + frame(TEXT, b"late"))
        assert reader.take() is None
        assert reader.close == (code, "später")
        assert reader.take() is None
        assert not reader.is_amid_frame

    @pytest.mark.parametrize(
        "code", [0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535]
    )
    def test_codes_that_may_not(self, code):
        error = refusal(close(code))
        assert error is not None
        assert error.close_code == 1002
        assert str(code) in str(error)

    def test_a_close_without_a_code(self):
        reader = Reader()
        receive(reader, frame(TEXT, b"last") + frame(CLOSE))
        assert messages_of(reader) == [(TEXT, b"last")]
        assert reader.close == (1005, "")


class TestMemory:
    """A message is the bytes that were received; nobody ever sees others in their place."""

    def test_a_message_is_no_copy_and_cannot_be_written(self):
        reader = Reader()
        rooms = []

        def recv_into(room):
            data = frame(BINARY, b"x" * 300)
            room[: len(data)] = data
            rooms.append(np.frombuffer(room, np.uint8).ctypes.data)
            return len(data)

        reader.receive(recv_into)
        message = taken(reader)
        assert message.readonly
        assert np.frombuffer(message, np.uint8).ctypes.data == rooms[0] + 4

    @pytest.mark.parametrize("pieces", [1, 2])
    def test_a_message_is_over_when_the_next_is_asked_for(self, pieces):
        first = frame(TEXT, b"one") if pieces == 1 else frame(TEXT, b"o", fin=False) + frame(0, b"")
        for go_on in (Reader.take, lambda reader: receive(reader, b"\x81")):
            reader = Reader()
            receive(reader, first)
            message = taken(reader)
            assert bytes(message[:1]) == b"o"
            go_on(reader)
            with pytest.raises(ValueError, match="released"):
                bytes(message)

    def test_a_view_of_a_message_outlives_everything(self):
        """Each stays right while far more bytes come than the reader has room for."""
        reader = Reader(1 << 16)
        held = []
        for i in range(300):
            receive(reader, frame(BINARY, bytes([i % 251]) * 5000))
            message = taken(reader)
            if i % 7 == 0:
                held.append((i, np.frombuffer(message, np.uint8)))
        del reader, message
        gc.collect()
        assert len(held) == 43
        for i, view in held:
            assert view.shape == (5000,)
            assert (view == i % 251).all()

    def test_where_nobody_looks_no_memory_is_taken(self):
        reader = Reader()
        data = frame(BINARY, b"x" * 5000) * 100
        for chunk in (len(data), 4999):  # with frames whole, and with frames cut
            tracemalloc.start()
            try:
                for _ in range(20):
                    for at in range(0, len(data), chunk):
                        receive(reader, data[at : at + chunk])
                        while (message := reader.take()) is not None:
                            assert len(message) == 5000
                _, peak = tracemalloc.get_traced_memory()
            finally:
                tracemalloc.stop()
            assert peak < len(data) + 100_000, chunk  # the slices of this test, and no new block

    def test_a_decoded_message_outlives_the_buffer(self):
        ticker = b'{"dt":30,"c":20,"d":{"s":"BTCUSD","mp":"%d.5","ts":1}}'
        reader, store = Reader(1000), BookStore()
        kept = []
        for i in range(100, 900):
            receive(reader, frame(TEXT, ticker % i))
            kept.append(store.feed(taken(reader)))
        for i, message in zip(range(100, 900), kept, strict=True):
            assert message == decode(ticker % i)
            assert isinstance(message, Ticker)
            assert message.mark_price == i + 0.5

    def test_a_receiver_that_raises_costs_nothing(self):
        reader = Reader()
        data = frame(TEXT, b"hello")
        receive(reader, data[:3])

        def blocked(room):
            raise BlockingIOError

        for _ in range(3):
            with pytest.raises(BlockingIOError):
                reader.receive(blocked)
            assert reader.take() is None
        receive(reader, data[3:])
        assert messages_of(reader) == [(TEXT, b"hello")]

    @pytest.mark.parametrize("count", [-1, (1 << 18) + 1])
    def test_a_receiver_that_lies_is_refused(self, count):
        reader = Reader()
        with pytest.raises(ValueError, match="received into"):
            reader.receive(lambda room: count)
        receive(reader, frame(TEXT, b"hello"))
        assert messages_of(reader) == [(TEXT, b"hello")]

    def test_nobody_receives_while_somebody_does(self):
        reader = Reader()

        def again(room):
            with pytest.raises(RuntimeError, match="one thread"):
                reader.receive(again)
            assert reader.take() is None
            room[:7] = frame(TEXT, b"hello")
            return 7

        assert reader.receive(again) == 7
        assert messages_of(reader) == [(TEXT, b"hello")]

    def test_room_runs_out_where_nobody_takes(self):
        reader = Reader(1000)
        with pytest.raises(BufferError, match="take"):
            receive(reader, frame(BINARY, b"x" * 900) * 1000)
        assert len(messages_of(reader)) >= (1 << 18) // 904


class TestWriter:
    @pytest.mark.parametrize("length", [0, 1, 3, 4, 125, 126, 65535, 65536])
    @pytest.mark.parametrize("opcode", [Opcode.TEXT, Opcode.PONG])
    def test_a_frame_of_ours_is_read_as_it_was_meant(self, opcode, length):
        payload = bytes(i % 256 for i in range(length))
        sent = masked(opcode, payload, b"\x00\x01\x80\xff")
        assert client_frames(sent) == [(opcode, payload)]
        assert len(sent) == length + 6 + (0 if length < 126 else 2 if length < 65536 else 8)

    def test_the_example_of_the_rfc(self):
        """Section 5.7: a single-frame masked text message."""
        sent = masked(Opcode.TEXT, b"Hello", bytes.fromhex("37fa213d"))
        assert sent == bytes.fromhex("818537fa213d7f9f4d5158")

    def test_a_mask_has_four_bytes(self):
        with pytest.raises(ValueError, match="4"):
            masked(Opcode.TEXT, b"x", b"abc")

"""The compiled reader against the plain one (model_wire.py), on streams cut at random places.

After every piece both must have made the same of all bytes until there.
"""

import os

from hypothesis import given, settings
from hypothesis import strategies as st

import model_wire
from coincall_fast import ProtocolError
from coincall_fast._wire import Reader
from wire_frames import close, frame, messages_of, receive

LARGEST = 300  # small, so that it is met
EXAMPLES = 20_000 if os.environ.get("COINCALL_FAST_LONG") else 500

texts = st.text(st.sampled_from("aé€\U0001f600\x00"), max_size=60).map(str.encode)
spoilt = st.tuples(texts, st.binary(max_size=3), texts).map(b"".join)
lengths = st.sampled_from([0, 1, 63, 64, 65, 124, 125, 126, 150, 299, 300, 301])
payloads = texts | spoilt | lengths.map(lambda n: b"x" * n)
reasons = st.one_of(
    st.builds(close, st.sampled_from([999, 1000, 1004, 1005, 1011, 1015, 4999]), payloads),
    st.builds(frame, st.just(8), st.binary(max_size=3)),
)
anything = st.builds(
    frame,
    st.sampled_from([0, 1, 2, 3, 8, 9, 10, 15]),
    payloads,
    fin=st.booleans(),
    rsv=st.sampled_from([0, 0, 0, 1, 4]),
    mask=st.sampled_from([b"", b"", b"", b"mask"]),
    spelling=st.sampled_from([None, None, 2, 8]),
)


@st.composite
def messages(draw):
    """A message as it should be, but for its text perhaps: in fragments, with pings between."""
    opcode = draw(st.sampled_from([1, 1, 2]))
    payload = draw(payloads)
    cuts = sorted(draw(st.lists(st.integers(0, len(payload)), max_size=4)))
    parts = [payload[a:b] for a, b in zip([0, *cuts], [*cuts, len(payload)], strict=True)]
    data = b""
    for i, part in enumerate(parts):
        data += frame(opcode if i == 0 else 0, part, fin=i == len(parts) - 1)
        if draw(st.integers(0, 5)) == 0:
            data += frame(draw(st.sampled_from([9, 10])), draw(st.binary(max_size=125)))
    return data


mostly_right = st.lists(
    st.one_of(messages(), messages(), messages(), messages(), anything, reasons)
)
streams = st.one_of(
    mostly_right.map(b"".join),
    st.lists(messages(), max_size=8).map(b"".join),
    st.tuples(st.lists(messages(), max_size=3).map(b"".join), st.binary(max_size=20)).map(b"".join),
)


@settings(max_examples=EXAMPLES, deadline=None)
@given(streams, st.lists(st.integers(0, 400), max_size=12))
def test_after_every_piece_both_say_the_same(stream, cuts):
    cuts = sorted({min(cut, len(stream)) for cut in cuts} | {len(stream)})
    reader = Reader(LARGEST)
    told = model_wire.Reading()
    before = 0
    for cut in cuts:
        receive(reader, stream[before:cut])
        before = cut
        try:
            while (message := reader.take()) is not None:
                told.messages.append((reader.opcode, bytes(message)))
        except ProtocolError as error:
            told.wrong = error.close_code
        expected = model_wire.read(stream[:cut], LARGEST)
        assert told.wrong == expected.wrong
        assert told.messages == expected.messages
        if told.wrong is not None:
            return
        told.pings += reader.take_pings()
        assert told.pings == expected.pings
        assert reader.close == expected.close
        assert reader.is_amid_message == expected.is_amid_message
        assert reader.is_amid_frame == expected.is_amid_frame
        assert (reader.frames, reader.messages) == (expected.frames, len(expected.messages))


@settings(max_examples=EXAMPLES, deadline=None)
@given(st.binary(max_size=200) | spoilt, st.integers(0, 200))
def test_text_is_what_python_takes_for_text(text, cut):
    """In two fragments, against ``bytes.decode`` alone."""
    reader = Reader()
    receive(reader, frame(1, text[:cut], fin=False) + frame(0, text[cut:]))
    try:
        accepted = messages_of(reader)
    except ProtocolError:
        accepted = []
    assert accepted == ([(1, text)] if model_wire.is_text(text) else [])

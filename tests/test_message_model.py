"""The decoder does what the obvious one does, on any frame: legal, odd, spoilt or mutated."""

import json
import re
from collections import Counter
from decimal import Decimal
from fractions import Fraction
from random import Random
from types import NoneType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from both import as_any_type
from coincall_fast import decode
from message_checks import agree, agree_on_all
from message_frames import CHANNEL_CODES, message_frame, message_frames, mutate
from model_book import NUMBER
from model_messages import COLUMNS
from strategies import LONG, documented_books, documented_frames, examples, seeds, unhurried

CLASSES = {"Kline", "Ticker", "OptionChain", "Trades", "Account", "FillSignal", "Order", "Position"}


@unhurried
def test_any_frames() -> None:
    outcomes: Counter[str] = Counter()

    @examples(1_000, 40_000)
    @given(message_frames, st.integers(0, 3))
    def all_agree(frame: bytes, kind: int) -> None:
        outcomes[agree(as_any_type(frame, kind))] += 1

    all_agree()
    assert outcomes.keys() >= {*CLASSES, "Fill", "list", "UnknownMessage", "refused"}
    assert outcomes["refused"] > 0.1 * outcomes.total()
    assert min(outcomes[name] for name in CLASSES) > 0.01 * outcomes.total(), outcomes


@pytest.mark.parametrize("dt", CHANNEL_CODES)
def test_every_channel(dt: int) -> None:
    """As the venue spells it, in full, and in a hundred other ways."""
    assert agree(message_frame(dt, 0)) != "refused"
    frames = [message_frame(dt, seed) for seed in range(1, 1000 if LONG else 60)]
    outcomes = agree_on_all(frames)
    assert outcomes["refused"] < 0.1 * len(frames)


@pytest.mark.parametrize("dt", CHANNEL_CODES)
def test_every_fault(dt: int) -> None:
    frames = [
        message_frame(dt, seed, fault)
        for fault in ("value", "pair", "row", "envelope")
        for seed in range(1, 1000 if LONG else 30)
    ]
    outcomes = agree_on_all(frames)
    assert 0.1 * len(frames) < outcomes["refused"] < 0.7 * len(frames)


# Single values -------------------------------------------------------------------------------

# Of each kind of attribute: the channel and the attribute.
PLACES = [
    *((3, "mark_price"), (3, "iv"), (3, "remaining_ms"), (6, "side"), (8, "event_type")),
    *((4, "bid"), (4, "ask_iv"), (4, "bid_size"), (4, "ts_ms"), (4, "symbol")),
    *((7, "equity"), (7, "assets"), (7, "user_id"), (11, "order_id"), (11, "is_taker")),
    *((11, "leverage"), (11, "state"), (11, "time_in_force"), (11, "order_type"), (2, "period")),
    *((36, "state"), (24, "ts_ms"), (15, "fee_rate"), (38, "fee")),
]
pieces = st.sampled_from(
    [*'0123456789+-.eE" \\tu', "00", "10", "20", "null", "true", "false", "\\u0030", "\\u0020"]
)
tokens = st.one_of(
    st.lists(pieces, max_size=6).map("".join),
    st.lists(pieces, max_size=6).map(lambda some: '"' + "".join(some) + '"'),
    st.from_regex(NUMBER, fullmatch=True),
    st.from_regex(NUMBER, fullmatch=True).map(lambda text: f'"{text}"'),
    st.from_regex(re.compile("-?(0|[1-9][0-9]{0,40})", re.ASCII), fullmatch=True),
    st.text(max_size=8).map(json.dumps),
    st.recursive(
        st.none() | st.booleans() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
        max_leaves=5,
    ).map(json.dumps),
)


def frame_with(dt: int, attribute: str, token: str) -> bytes:
    """A frame in which this attribute, or the last key that it may come from, is this text."""
    key = COLUMNS[dt][1][attribute][-1]
    row = f'{{"{key}":{token}}}'
    if dt == 4 and key != "s":
        row = f'{{"s":"BTCUSD-27MAY23-24000-C","{key}":{token}}}'
    return f'{{"dt":{dt},"c":20,"d":[{row}]}}'.encode()


@examples(700, 60_000)
@given(st.sampled_from(PLACES), tokens)
def test_any_text_in_the_place_of_a_value(place: tuple[int, str], token: str) -> None:
    agree(frame_with(*place, token))


@pytest.mark.parametrize(("dt", "attribute"), PLACES)
def test_every_short_text_in_the_place_of_a_value(dt: int, attribute: str) -> None:
    one = ["", *'0123456789+-.eE" []{},:ntf\\']
    outcomes = agree_on_all(
        frame_with(dt, attribute, quote + first + second + third + quote)
        for quote in ("", '"')
        for first in one[:19]
        for second in (one if LONG else ["", "0", "5", ".", "e", " "])
        for third in (one if LONG else ["", "1", " "])
    )
    assert outcomes["refused"]
    assert outcomes.total() > outcomes["refused"]


@examples(500, 30_000)
@given(
    digits=st.one_of(*(st.integers(-(10**n), 10**n) for n in (3, 8, 16, 17, 20, 45))),
    point=st.one_of(st.just(8), st.integers(0, 9), st.integers(0, 50)),
    exponent=st.one_of(st.none(), st.none(), st.integers(-30, 30), st.integers(-400, 400)),
    form=st.sampled_from(("{}", '"{}"', '" {}  "')),
)
def test_numbers(digits: int, point: int, exponent: int | None, form: str) -> None:
    """Against `Fraction`, not the model: the nearest float, and every digit."""
    text = str(abs(digits)).zfill(point + 1)
    text = f"{text[: len(text) - point]}.{text[len(text) - point :]}".rstrip(".")
    text = "-" * (digits < 0) + text + (f"e{exponent}" if exponent is not None else "")
    message: Any = decode(f'{{"dt":12,"d":{{"q":{form.format(text)}}}}}')
    value = Fraction(text)
    exact = message.exact("qty")
    assert Fraction(exact) == value
    assert exact.as_tuple() == Decimal(text).as_tuple()
    try:
        assert message.qty == float(value)  # correctly rounded, as Fraction divides integers
    except OverflowError:
        assert message.qty == (float("inf") if value > 0 else float("-inf"))


def test_numbers_at_the_border_of_the_floats() -> None:
    """Those of 15 to 18 digits, where a number that is rounded twice shows: against `Fraction`."""
    random = Random(1)
    texts = [
        f"{random.choice(('', '-'))}{digits[:point]}.{digits[point:]}"
        for n in (15, 16, 16, 16, 17, 18)
        for digits in (str(random.randrange(9 * 10 ** (n - 1), 10**n)) for _ in range(500))
        for point in (8, n - 8, random.randrange(1, n))
    ]
    rows = (f'{{"pr":"{text}","q":{text}}}' for text in texts)
    trades: Any = decode(f'{{"dt":6,"c":20,"d":[{",".join(rows)}]}}')
    for text, trade in zip(texts, trades, strict=True):
        assert trade.price == trade.qty == float(Fraction(text)), text


@examples(300, 10_000)
@given(st.integers(-(10**640) + 1, 10**640 - 1), st.booleans())
def test_identifiers(identifier: int, quoted: bool) -> None:
    token = f'"{identifier}"' if quoted else str(identifier)
    order: Any = decode(f'{{"dt":35,"d":{{"oid":{token},"coid":{token},"uid":{token}}}}}')
    assert order.order_id == order.client_order_id == order.user_id == identifier


# Bodies without a channel --------------------------------------------------------------------

words = st.sampled_from(
    ("success", "SUCCESS", "failed", "SUBSCRIBE", "unSubscribe", "x", "", "1", "11", None)
)
codes: st.SearchStrategy[Any] = st.sampled_from(
    (0, 1, 2, -1, 11, 20, 500, None, "1", "11", 1.0, True, [], {})
)
bodies = st.dictionaries(
    st.sampled_from(("c", "rc", "result", "msg", "action", "x", "ts", "d")), words | codes
)


@examples(500, 10_000)
@given(bodies)
def test_bodies_without_a_channel(body: dict[str, Any]) -> None:
    strange = float, bool, list, dict, str
    if (
        isinstance(body.get("c"), str)
        or isinstance(body.get("rc"), strange)
        or not isinstance(body.get("result"), (str, NoneType))
    ):
        return  # of which the contract says nothing
    assert agree(json.dumps(body).encode()) in ("Heartbeat", "Ack", "UnknownMessage")


# Mutations -----------------------------------------------------------------------------------

DOCUMENTED = [
    row["frame"].encode()
    for row in documented_frames()
    if row["kind"] == "push" and row["frame"].encode() not in documented_books()
]
SHORT = (
    rb'{"dt":11,"c":[{}],"ts":7,"d":{"s":"B\u0054","\u0070r":"1.5 ","oid":12,"ro":0,"os":"2",'
    rb'"x":-1e3,"le":3,"tif":"GTC","ts":null}}'
)
CHAIN = (
    b'{"dt":4,"d":[{"s":"B-1MAY23-5.0-C","bid":0,"ask":"2","biv":1e300,"ts":5},'
    b'{"bv":1,"s":"B"}],"ts":9}'
)
ACCOUNT = b'{"d":{"e":1e2,"uid":"9","assets":[{"coin":"B"}],"y":{"y":[]}},"ts":"8","dt":7}'
TRADES = b'{"dt":33,"d":[{"s":"B","pr":"1","v":2,"sd":1,"ts":3},{"q":null,"v":4}]}'
SHORTS = [SHORT, CHAIN, ACCOUNT, TRADES, b'{"c":11,"rc":1}', b'{"action":"X","result":"success"}']
ALL = [*DOCUMENTED, *SHORTS, *(message_frame(dt, seed) for dt in CHANNEL_CODES for seed in (0, 5))]


@pytest.mark.parametrize("frame", SHORTS, ids=lambda frame: frame[:9].decode())
def test_one_byte_more_less_or_other(frame: bytes) -> None:
    if not LONG and frame in (CHAIN, ACCOUNT, TRADES):
        bytes_tried = b'"0}e'
    else:
        bytes_tried = b'"\\09-.eE ,:[]{}tnx\x00\xff'
    places = range(len(frame))
    outcomes = agree_on_all(
        mutant
        for at in places
        for mutant in (
            frame[:at] + frame[at + 1 :],
            *(frame[:at] + bytes([byte]) + frame[at:] for byte in bytes_tried),
            *(frame[:at] + bytes([byte]) + frame[at + 1 :] for byte in bytes_tried),
        )
    )
    assert outcomes["refused"] > 0.3 * outcomes.total()
    assert outcomes.total() > outcomes["refused"] + 10


@pytest.mark.parametrize("dt", CHANNEL_CODES)
def test_truncated_anywhere(dt: int) -> None:
    frame = message_frame(dt, 0)
    assert set(agree_on_all(frame[:end] for end in range(len(frame)))) == {"refused"}
    view = memoryview(
        frame
    )  # the bytes after the end are there, and none of the decoder's business
    for end in range(0, len(frame), 1 if LONG else 9):
        assert agree(view[:end]) == "refused"
        assert agree(view[end + 1 :]) == "refused"


@unhurried
def test_mutated_at_random() -> None:
    outcomes = agree_on_all(mutate(ALL, seed) for seed in range(300_000 if LONG else 10_000))
    assert outcomes["refused"] > 0.5 * outcomes.total()
    assert outcomes.total() - outcomes["refused"] > 0.08 * outcomes.total()


@examples(300, 10_000)
@given(st.sampled_from(CHANNEL_CODES), seeds, seeds)
def test_two_frames_in_one(dt: int, first: int, second: int) -> None:
    """Of which the decoder may read neither, nor a part."""
    frames = message_frame(dt, first), message_frame(dt, second)
    assert agree(frames[0] + frames[1]) == "refused"
    assert agree(frames[0] + b"," + frames[1]) == "refused"
    assert agree(frames[0].rstrip() + b"\0") == "refused"

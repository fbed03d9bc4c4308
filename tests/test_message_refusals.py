"""Frames that no message can be made of: refused whole, with the place of the fault."""

import json
from itertools import permutations
from typing import Any

import pytest

from coincall_fast import BookStore, Heartbeat, decode
from coincall_fast.errors import DecodeError
from message_checks import agree
from message_frames import CHANNEL_CODES, message_frame

TEXT, NUMBER, INTEGER, FLAG, CODE = "s", "pr", "oid", "ro", "os"
FAULTS: dict[str, list[str]] = {
    TEXT: ["5", "1.5", "true", "false", "[]", "{}", '["X"]', r'"\ud800"', r'"x\udc00"'],
    NUMBER: [
        *('"x"', '"1x"', '"+1"', '".5"', '"1."', '"01"', '"1e"', '"0x1"', '"1_0"', '"1,0"'),
        *('"NaN"', '"Infinity"', '"-"', '"1 2"', '"- 1"', '"\\u0661"', '"1\\u00a0"', '"null"'),
        *("true", "false", "[]", "{}", "[1]", '{"pr":1}'),
    ],
    INTEGER: [
        *("1.5", "1.0", "1e3", "1E0", '"1.5"', '"1e3"', '"x"', '"+1"', '"01"', '"0x1"', '"1_0"'),
        *("true", "false", "[]", "{}", '"- 1"', "-0.0", '"\u0661"', '"--1"', "7" * 641),
    ],
    FLAG: ["2", "-1", "0.5", "1.0", '"2"', '"yes"', '"TRUE"', "[]", "{}", "10", '"00"'],
    CODE: [
        *("1.5", "1e0", "true", "false", "[]", "{}", '"x"', '"NEW"', '"1.0"', '"01"', '"--5"'),
        *('"\u0663"', r'"\u0663"', "9" * 5000, f'"{"9" * 5000}"'),
    ],
}
PLACED = [
    pytest.param(key, token, id=f"{key}-{token[:20]}")
    for key, tokens in FAULTS.items()
    for token in tokens
]


def refused(frame: str) -> int:
    """The offset that both ways in give."""
    with pytest.raises(DecodeError) as error:
        decode(frame.encode())
    with pytest.raises(DecodeError) as of_feed:
        BookStore().feed(frame)
    assert of_feed.value.offset == error.value.offset
    assert agree(frame.encode()) == "refused"
    return error.value.offset


@pytest.mark.parametrize(("key", "token"), PLACED)
def test_the_fault_is_where_the_value_is(key: str, token: str) -> None:
    for before, after in (
        ('{"dt":11,"c":20,"d":{"q":"1",', ',"mpr":"2"}}'),
        ('{"d":{', '},"dt":35}'),
        ('{"dt":35,"d":[{},{"x":["\u00e9"]},{', "}]}"),
    ):
        place = len((before + f'"{key}": ').encode())
        offset = refused(f'{before}"{key}": {token}{after}')
        assert place <= offset <= place + len(token)


@pytest.mark.parametrize("key", FAULTS)
def test_a_key_twice(key: str) -> None:
    value = '"X"' if key == TEXT else "1"
    before = f'{{"dt":11,"d":{{"{key}":{value},"x":5,'
    for again in f'"{key}":{value}', f'"{key}":null', f'"\\u00{ord(key[0]):02x}{key[1:]}":{value}':
        offset = refused(f'{before}{again}}},"c":20}}')
        assert len(before) <= offset <= len(before) + len(again)


@pytest.mark.parametrize("dt", CHANNEL_CODES)
def test_any_key_twice(dt: int) -> None:
    """In a frame as the venue writes it: behind itself, or at the end of the row."""
    body = json.loads(message_frame(dt, 0))
    row = body["d"][0] if isinstance(body["d"], list) else body["d"]
    pairs = [json.dumps({key: value})[1:-1].replace(" ", "") for key, value in row.items()]
    assert agree(f'{{"dt":{dt},"c":20,"d":{{{",".join(pairs)}}}}}'.encode()) != "refused"
    for at, pair in enumerate(pairs):
        for twice in [*pairs[: at + 1], *pairs[at:]], [*pairs, pair]:
            refused(f'{{"dt":{dt},"c":20,"d":{{{",".join(twice)}}}}}')


@pytest.mark.parametrize("dt", CHANNEL_CODES)
def test_no_data(dt: int) -> None:
    refused(f'{{"dt":{dt}}}')
    refused(f'{{"dt":{dt},"c":20,"ts":5}}')
    for data in "null", "5", '"x"', '""', "true", "[5]", "[null]", "[[]]", '[{"ts":1},5]', '"{}"':
        text = f'{{"dt":{dt},"d":'
        offset = refused(f"{text}{data}}}")
        assert len(text) <= offset <= len(text + data)


@pytest.mark.parametrize("dt", [4, 6, 7, 11, 99])
def test_an_envelope_key_twice(dt: int) -> None:
    row = '{"s":"BTCUSD"}'
    refused(f'{{"dt":{dt},"d":{row},"d":{row}}}')
    refused(f'{{"dt":{dt},"d":{row},"dt":{dt}}}')
    refused(f'{{"dt":{dt},"d":{row},"\\u0064":{row}}}')


@pytest.mark.parametrize("dt", CHANNEL_CODES)
def test_a_wrong_time_of_the_envelope(dt: int) -> None:
    """Wherever it stands: it is not an unknown message only because its channel comes late."""
    pairs = [f'"dt":{dt}', '"d":[{"s":"BTCUSD"}]']
    for ts in '"x"', "1.5", "1e3", "true", "[]", "{}", '"1.5"', '"01"':
        for place in 0, 1, 2:
            for two in pairs, pairs[::-1]:
                refused("{" + ",".join([*two[:place], f'"ts":{ts}', *two[place:]]) + "}")
    for order in permutations([*pairs, '"ts":1', '"ts":2']):
        refused("{" + ",".join(order) + "}")


@pytest.mark.parametrize("dt", [*CHANNEL_CODES, 5, 32, 99])
@pytest.mark.parametrize("zeros", ["0", "00", "-0", "+"])
def test_a_channel_that_is_no_json_number(dt: int, zeros: str) -> None:
    data = '{"s":"BTCUSD","asks":[],"bids":[],"ts":1}'
    for frame in f'{{"dt":{zeros}{dt},"d":{data}}}', f'{{"d":{data},"dt":{zeros}{dt}}}':
        with pytest.raises(DecodeError):
            decode(frame)


@pytest.mark.parametrize("dt", CHANNEL_CODES)
def test_nobody_looks_at_c(dt: int) -> None:
    """Nor at what else an envelope says, in whatever order."""
    right = decode(f'{{"dt":{dt},"d":[{{"s":"BTCUSD"}}]}}')
    pairs = f'"dt":{dt}', '"d":[{"s":"BTCUSD"}]', '"c":[{}]', '"c":11', '"rc":0'
    for order in permutations(pairs):
        message = decode("{" + ",".join(order) + "}")
        assert type(message) is type(right)
        assert message == right


@pytest.mark.parametrize("ts", [2**63, -(2**63) - 1, 2**64, 10**30])
def test_a_time_that_no_column_holds(ts: int) -> None:
    for token in str(ts), f'"{ts}"':
        refused(f'{{"dt":4,"d":[{{"s":"A"}},{{"s":"X","ts":{token}}}]}}')
        refused(f'{{"dt":4,"ts":{token},"d":[{{"s":"X"}}]}}')


@pytest.mark.parametrize(
    "row",
    ["{}", '{"mp":1}', '{"s":null}', '{"s":""}', '{"s":" "}', '{"s":5}', '{"S":"X"}', "5", "null"],
)
def test_a_row_of_a_chain_without_a_symbol(row: str) -> None:
    for data in row, f"[{row}]", f'[{{"s":"X"}},{row}]', f'[{row},{{"s":"X"}}]':
        refused(f'{{"dt":4,"c":20,"d":{data}}}')


BROKEN = """
    {"dt":11,"d":{"s":"X"} | {"dt":11,"d":{"s":"X"}}} | {"dt":11,"d":{"s":"X",}} | {"dt":11,"d":{,}}
    {"dt":11,"d":{"s":"X"}}x | {"dt":11,"d":{s:"X"}} | {"dt":11,"d":{"s" "X"}} | {"dt":11,"d":{"s"}}
    {"dt":11,"d":{"pr":01}} | {"dt":11,"d":{"pr":+1}} | {"dt":11,"d":{"pr":.5}} | {"dt":11,"d":nul}
    {"dt":11,"d":{"pr":1.}} | {"dt":11,"d":{"pr":1e}} | {"dt":11,"d":{"pr":NaN}} | {"dt":11,"d":{}
    {"dt":11,"d":{"pr":Infinity}} | {"dt":11,"d":{"pr":-}} | {"dt":11,"d":{"x":tru}} | {"dt":11,
    {"dt":11,"d":{"x":[1,]}} | {"dt":11,"d":{"x":[}} | {"dt":11,"d":{"x":{]}} | {"dt":11,"d":[{}}
    {"dt":11,"d":{"x":"\\x"}} | {"dt":11,"d":{"x":"\\u12"}} | {"dt":11,"d":{"x":"}} | "dt":11,"d":{}
    {"dt":11,"d":{"pr":"1}} | {"dt":11,"d":{}} {} | {"dt":11,"d":{"x":'y'}} | {"dt":11,"d":{}},
    {"dt":4,"d":[{"s":"X"},]} | {"dt":4,"d":[{"s":"X"}{"s":"Y"}]} | {"dt":4,"d":[,{"s":"X"}]}
"""


@pytest.mark.parametrize("frame", [text.strip() for text in BROKEN.replace("\n", "|").split("|")])
def test_broken_json(frame: str) -> None:
    if frame:
        refused(frame)
    else:
        refused(" ")


@pytest.mark.parametrize(
    "bad",
    [b"\xff", b"\xc3", b"\xc3(", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xc0\xaf", b"\n", b"\0"],
)
def test_strings_that_are_no_text(bad: bytes) -> None:
    for frame in (
        b'{"dt":11,"d":{"s":"@"}}',
        b'{"dt":11,"d":{"x":"@"}}',
        b'{"dt":11,"d":{"@":1}}',
        b'{"dt":11,"d":{"pr":"1@"}}',
        b'{"dt":11,"d":{},"@":1}',
        b'{"dt":11,"d":{"x":[{"y":"@"}]}}',
        b'{"dt":4,"d":[{"s":"X","@":5}]}',
    ):
        with pytest.raises(DecodeError):
            decode(frame.replace(b"@", bad))


@pytest.mark.parametrize("frame", [None, 5, [], {"dt": 11}, memoryview(b"{ } ")[::2]], ids=type)
def test_other_types_are_a_type_error(frame: Any) -> None:
    with pytest.raises(TypeError):
        decode(frame)


def test_a_refused_frame_is_refused_whole() -> None:
    """However much of it could be read, and at once, not when somebody looks."""
    rows = ",".join('{"s":"X","pr":1,"q":2,"sd":1,"ts":5}' for _ in range(50))
    refused(f'{{"dt":6,"d":[{rows},{{"s":"X","pr":"one"}}]}}')
    refused(f'{{"dt":11,"d":[{rows},{{"pr":"one"}}]}}')
    refused('{"dt":7,"d":{"e":1,"assets":[}}')


@pytest.mark.parametrize("rc", ["1.5", '"x"', "[]", "{}", "true", '"\u0661"', f'"{"1" * 5000}"'])
def test_a_heartbeat_of_another_kind(rc: str) -> None:
    for frame in f'{{"c":11,"rc":{rc}}}', f'{{"rc":{rc},"c":" 11 "}}':
        for read in decode, BookStore().feed:
            with pytest.raises(DecodeError, match="rc"):
                read(frame)


@pytest.mark.parametrize("rc", [-1, 184233129265914408370, 10**639])
def test_a_heartbeat_with_any_integer(rc: int) -> None:
    assert decode(f'{{"c":"11","rc":" {rc} "}}') == decode(f'{{"c":11,"rc":{rc}}}') == Heartbeat(rc)


def test_assets_that_python_cannot_hold() -> None:
    account = decode('{"dt":7,"d":{"e":1,"assets":[' + "9" * 5000 + "]}}")
    assert account.equity == 1
    with pytest.raises(DecodeError, match="assets"):
        _ = account.assets

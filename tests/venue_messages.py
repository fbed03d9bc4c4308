"""The stores that the tests of other venues' messages feed, and how a message is looked at."""

import json
from pathlib import Path
from typing import Any

from coincall_fast import BookStore
from coincall_fast.wire import BYBIT, Wire

FRAMES = Path(__file__).parent / "conformance" / "frames.jsonl"


def fed(wire: Wire, frame: str | bytes | bytearray) -> Any:
    """What a store of a venue makes of a frame."""
    return BookStore(wire=wire).feed(frame)


def printed(venue: str) -> list[str]:
    """The frames that a seed says its venue sends."""
    rows = map(json.loads, FRAMES.read_text(encoding="utf-8").splitlines())
    return [row["frame"] for row in rows if row["venue"] == venue and row["kind"] == "push"]


def seen(message: Any) -> dict[str, Any]:
    """What a message says: digits where it has numbers, what it is where it has a code."""
    values = {name: value for name, value in message.to_dict().items() if value is not None}
    for name, value in values.items():
        if isinstance(value, float):
            digits = message.exact(name)
            assert float(digits) == value
            values[name] = format(digits, "f")  # 0E-8 is what was sent as 0.00000000
    return values


def bybit(frame: str | bytes | bytearray) -> Any:
    return fed(BYBIT, frame)


def topic(name: str, data: str, more: str = "") -> Any:
    return bybit(f'{{"topic":"{name}","creationTime":1650000000000{more},"data":{data}}}')


def row(name: str, data: str) -> Any:
    """The one message of a private topic of 2022."""
    (message,) = topic(name, f'{{"result":[{data}],"version":1,"baseLine":1}}')
    return message

"""What a user can pick instead to decode messages: msgspec and orjson, each as fast as it goes.

Favoured where it can be: they know which message comes, and which of its keys there are; they
take any text for a symbol, and numbers without blanks around them only. None keeps the wire's
digits for `exact`, or what it has no name for.
"""

from collections.abc import Callable, Mapping
from itertools import chain
from math import nan
from operator import attrgetter, itemgetter
from typing import Any, NamedTuple

import msgspec
import numpy as np
import orjson
from message_wire import FIELDS, message_frames

from coincall_fast import OrderState, OrderType, PositionState, Side


class Peer(NamedTuple):
    """A way to decode frames of one kind, and the Python expressions that read the answer."""

    decode: Callable[[bytes], Any]
    record: str  # the record in the `frame` that decode() answered
    attributes: Mapping[str, str]  # each attribute of the `record`


def type_of(kind: str, name: str) -> Any:
    if name.endswith(("_id", "_ms")):
        return int
    if name == "state":
        return PositionState if kind == "position" else OrderState
    others = {"symbol": str, "side": Side, "order_type": OrderType}
    return bool if name in ("is_taker", "reduce_only") else others.get(name, float)


def ours(kind: str, decode: Callable[[bytes], Any]) -> Peer:
    attributes = {name: f"record.{name}" for name in FIELDS[kind]}
    return Peer(decode, "frame[0]" if kind == "trades" else "frame", attributes)


def msgspec_structs(kind: str, names: list[str] | None = None) -> Peer:
    """Typed and renamed, floats made in C, no collector. Given names, these alone are decoded."""
    fields = {name: FIELDS[kind][name] for name in names or FIELDS[kind]}
    inside = {name: key for name, key in fields.items() if not key.startswith(".")}
    record = msgspec.defstruct(
        "Record",
        [(name, type_of(kind, name) | None, None) for name in inside],
        rename=inside,
        gc=False,
    )
    data = list[record] if kind == "trades" else record
    outside = [("ts", int | None, None)] if "ts_ms" in fields.keys() - inside.keys() else []
    frame = msgspec.defstruct("Frame", [("dt", int), ("d", data), *outside], gc=False)
    attributes = {
        name: f"record.{name}" if name in inside else f"frame{key}" for name, key in fields.items()
    }
    decode = msgspec.json.Decoder(frame, strict=False).decode
    return Peer(decode, "frame.d[0]" if kind == "trades" else "frame.d", attributes)


def orjson_bare(kind: str) -> Peer:
    """The dict that comes, by the venue's keys; what came in quotes is converted when read."""
    data = "frame['d'][0]" if kind == "trades" else "frame['d']"
    sample = orjson.loads(message_frames(kind)[0])
    record = eval(data, {"frame": sample})
    attributes = {}
    for name, key in FIELDS[kind].items():
        expected = type_of(kind, name)
        value = f"frame[{key[1:]!r}]" if key.startswith(".") else f"record[{key!r}]"
        if isinstance(eval(value, {"frame": sample, "record": record}), str):
            if expected is bool:
                value = f"{value} == '1'"
            elif expected is not str:
                value = f"{'float' if expected is float else 'int'}({value})"
        attributes[name] = value
    return Peer(orjson.loads, data, attributes)


def orjson_renamed(kind: str) -> Peer:
    """A dict by our names, all of it converted."""
    bare = orjson_bare(kind)
    items = ", ".join(f"{name!r}: {value}" for name, value in bare.attributes.items())
    scope = {"loads": orjson.loads}
    exec(
        "def decode(text, loads=loads):\n"
        "    frame = loads(text)\n"
        f"    record = {bare.record}\n"
        f"    return {{{items}}}",
        scope,
    )
    return Peer(scope["decode"], "frame", {name: f"record[{name!r}]" for name in FIELDS[kind]})


PEERS = {"msgspec": msgspec_structs, "orjson": orjson_renamed, "orjson, bare": orjson_bare}


# ----------------------------------------------------------------------------------------- chains

Columns = dict[str, Any]


def msgspec_rows() -> Callable[[bytes], Any]:
    names = FIELDS["chain"]
    row = msgspec.defstruct(
        "Row",
        [*[(name, float, nan) for name in names], ("symbol", str, ""), ("ts_ms", int, 0)],
        rename={**names, "symbol": "s", "ts_ms": "ts"},
        gc=False,
    )
    frame = msgspec.defstruct("Frame", [("d", list[row])], gc=False)
    return msgspec.json.Decoder(frame, strict=False).decode


def msgspec_arrays() -> Callable[[bytes], Columns]:
    decode, names = msgspec_rows(), list(FIELDS["chain"])
    return _columns(
        lambda frame: decode(frame).d,
        attrgetter(*names),
        attrgetter("symbol"),
        attrgetter("ts_ms"),
    )


def orjson_arrays() -> Callable[[bytes], Columns]:
    keys = FIELDS["chain"].values()
    return _columns(
        lambda frame: orjson.loads(frame)["d"], itemgetter(*keys), itemgetter("s"), itemgetter("ts")
    )


def _columns(
    rows_of: Callable[[bytes], Any],
    numbers: Callable[[Any], Any],
    symbol: Callable[[Any], str],
    ts_ms: Callable[[Any], int],
) -> Callable[[bytes], Columns]:
    """The fastest of seven ways from rows to arrays. Strikes are parsed when symbols change."""
    names = list(FIELDS["chain"])
    held = [], None, None

    def decode(frame: bytes) -> Columns:
        nonlocal held
        rows = rows_of(frame)
        n = len(rows)
        flat = np.fromiter(chain.from_iterable(map(numbers, rows)), float, n * len(names))
        columns = dict(zip(names, flat.reshape(n, -1).T.copy(), strict=True))
        for name in ("bid", "ask"):
            columns[name][columns[name] == 0] = nan
        columns["ts_ms"] = np.fromiter(map(ts_ms, rows), np.int64, n)
        symbols = list(map(symbol, rows))
        if symbols != held[0]:
            texts = [text.rsplit("-", 2)[1:] for text in symbols]
            held = (
                symbols,
                np.array([float(strike) for strike, _ in texts]),
                np.array([right == "C" for _, right in texts]),
            )
        columns["symbols"], columns["strike"], columns["is_call"] = held
        return columns

    return decode

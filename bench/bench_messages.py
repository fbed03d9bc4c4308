"""A raw frame of a message to the values in it, beside what a user can pick today.

A sample is one pass over 64 frames; the tables at the end are per frame. What is timed is
decoding and reading, for ours makes the values when they are read. Each contender first proves
that its answers are those of `decode`.
"""

from collections.abc import Callable

import numpy as np
import on_demand
import pytest
from frames import COUNT
from message_peers import (
    PEERS,
    Peer,
    msgspec_arrays,
    msgspec_rows,
    msgspec_structs,
    orjson_arrays,
    ours,
)
from message_wire import FIELDS, HANDFUL, ROWS, message_frames
from unrolled import decoded_and_read

from coincall_fast import BookStore, decode, decode_into

pytestmark = pytest.mark.benchmark(max_time=0.5)

COLUMNS = ("symbols", "strike", "is_call", "ts_ms", *FIELDS["chain"])


SOME = [(kind, HANDFUL[kind]) for kind in HANDFUL]
ALL = [(kind, list(FIELDS[kind])) for kind in FIELDS if kind != "chain"]


def id_of(row):
    kind, names = row
    return f"{kind}-{len(names)}"


# Of the module, so that pytest runs all the tests of one row before those of the next.
@pytest.fixture(params=SOME + ALL, ids=id_of, scope="module")
def row(request):
    return request.param


@pytest.fixture(scope="module")
def simdjson(tmp_path_factory):
    return on_demand.build(tmp_path_factory.mktemp("on_demand"))


def timed(benchmark, group, contender, all_frames):
    benchmark.group = group
    benchmark.extra_info.update(contender=contender, calls=COUNT)
    return benchmark(all_frames)


def title(row):
    kind, names = row
    return f"{kind}: {len(names)} attributes of {len(FIELDS[kind])}"


def reading(peer: Peer, wire: list[bytes], names: list[str]) -> Callable[[], None]:
    return decoded_and_read(peer.decode, wire, peer.record, [peer.attributes[n] for n in names])


def prove_equal(peer: Peer, kind: str, wire: list[bytes], names: list[str]) -> None:
    """The values that are read, and that there are no others."""
    for text in wire:
        message = decode(text)
        values = (message[0] if kind == "trades" else message).to_dict()
        frame = peer.decode(text)
        record = eval(peer.record, {"frame": frame})
        for name in names:
            value = eval(peer.attributes[name], {"frame": frame, "record": record})
            assert value == values[name], name
        assert not [
            name for name in values.keys() - FIELDS[kind].keys() if values[name] is not None
        ]


def compare(benchmark, row, contender, peer):
    kind, names = row
    wire = message_frames(kind)
    prove_equal(peer, kind, wire, names)
    timed(benchmark, title(row), contender, reading(peer, wire, names))


def test_decode(benchmark, row):
    compare(benchmark, row, "decode", ours(row[0], decode))


def test_store(benchmark, row):
    compare(benchmark, row, "BookStore.feed", ours(row[0], BookStore().feed))


@pytest.mark.parametrize("peer", PEERS)
def test_peer(benchmark, row, peer):
    compare(benchmark, row, peer, PEERS[peer](row[0]))


@pytest.mark.parametrize("row", SOME, ids=id_of, indirect=True, scope="module")
def test_peer_msgspec_without_the_others(benchmark, row):
    """Of what is not read it does not even know."""
    compare(benchmark, row, "msgspec, these only", msgspec_structs(*row))


def test_peer_simdjson_ticker(benchmark, simdjson):
    """Timed from outside: one call into C++ for all the frames, which it holds already."""
    wire = message_frames("ticker")
    simdjson.hold(wire)
    for i, text in enumerate(wire):
        message, ticker = decode(text), simdjson.ticker(i)
        assert {name: getattr(message, name) for name in ticker} == ticker
        assert ticker.keys() == FIELDS["ticker"].keys()
    group = title(("ticker", FIELDS["ticker"]))
    assert timed(benchmark, group, "simdjson, C++", simdjson.read_tickers) == COUNT


# ----------------------------------------------------------------------------------------- chains

CHAIN = f"chain of {ROWS} options: {len(COLUMNS)} columns"


def read_columns(chain):
    return {name: getattr(chain, name) for name in COLUMNS}


def assert_same_columns(columns, expected):
    assert columns["symbols"] == expected["symbols"]
    for name in COLUMNS[1:]:
        assert columns[name].dtype == expected[name].dtype
        np.testing.assert_array_equal(columns[name], expected[name], name)


def test_chain_decode(benchmark):
    wire = message_frames("chain")
    attributes = {name: f"record.{name}" for name in COLUMNS}
    peer = Peer(decode, "frame", attributes)
    timed(benchmark, CHAIN, "decode", reading(peer, wire, COLUMNS))


def test_chain_decode_into(benchmark):
    wire = message_frames("chain")
    chain = decode(wire[0])
    delta = chain.delta
    for text in wire:
        decode_into(chain, text)
        assert_same_columns(read_columns(chain), read_columns(decode(text)))
    peer = Peer(lambda text: decode_into(chain, text), "frame", {n: f"record.{n}" for n in COLUMNS})
    timed(benchmark, CHAIN, "decode_into", reading(peer, wire, COLUMNS))
    assert chain.delta is delta


@pytest.mark.parametrize(
    ("peer", "columns_of"),
    [("msgspec, arrays", msgspec_arrays), ("orjson, arrays", orjson_arrays)],
)
def test_chain_peer(benchmark, peer, columns_of):
    wire = message_frames("chain")
    columns = columns_of()
    for text in wire:
        assert_same_columns(columns(text), read_columns(decode(text)))
    timed(benchmark, CHAIN, peer, reading(Peer(columns, "frame", {}), wire, []))


def test_chain_peer_msgspec_rows(benchmark):
    """A list of objects, and no arrays."""
    wire = message_frames("chain")
    rows = msgspec_rows()
    for text in wire:
        chain = decode(text)
        for i, row in enumerate(rows(text).d):
            assert (row.symbol, row.delta, row.ts_ms) == (
                chain.symbols[i], chain.delta[i], chain.ts_ms[i],
            )  # fmt: skip
    timed(benchmark, CHAIN, "msgspec, rows", reading(Peer(rows, "frame", {}), wire, []))


def test_chain_peer_simdjson(benchmark, simdjson):
    """Without strikes; what it puts symbols into has room for them."""
    wire = message_frames("chain")
    simdjson.hold(wire)
    for i, text in enumerate(wire):
        chain, columns = decode(text), simdjson.chain(i)
        assert columns.keys() == {*FIELDS["chain"], "ts_ms", "symbols"}
        for name, column in columns.items():
            np.testing.assert_array_equal(getattr(chain, name), column, name)
    assert timed(benchmark, CHAIN, "simdjson, C++", simdjson.read_chains) == COUNT

"""Option chains: columns to compute with, rows to look at, and decoding into what is there."""

import copy
from typing import Any

import numpy as np
import pytest

from coincall_fast import BookStore, ChainRow, OptionChain, decode, decode_into
from coincall_fast.errors import DecodeError, UsageError
from message_checks import check, name_of
from message_frames import message_frame
from model_book import Refused
from model_messages import expected

COLUMNS = (
    *("strike", "is_call", "mark_price", "last_price", "bid", "ask", "bid_size", "ask_size"),
    *("bid_iv", "ask_iv", "mark_iv", "delta", "gamma", "theta", "vega", "price_change"),
    *("price_change_rate", "volume", "volume_24h", "open_interest", "underlying_price"),
    *("underlying_value", "ts_ms"),
)


def chain_frame(*rows: str, more: str = "") -> str:
    return f'{{"dt":4,"c":20,"d":[{",".join(rows)}]{more}}}'


def chain_of(*rows: str, more: str = "") -> OptionChain:
    chain = decode(chain_frame(*rows, more=more))
    assert isinstance(chain, OptionChain)
    return chain


CALL = '{"s":"BTCUSD-27MAY23-24000-C","bid":10,"ask":"12.5","bs":1,"as":2,"delta":0.6,"ts":7}'
PUT = '{"s":"BTCUSD-27MAY23-24000-P","bid":0,"ask":3,"bv":"4","av":0,"delta":-0.4,"ts":8}'


def is_nan(values: Any) -> list[bool]:
    return [bool(flag) for flag in np.isnan(values)]


def bytes_of(chain: OptionChain) -> dict[str, bytes]:
    """All that there is to see of it, to the last bit."""
    return {"symbols": repr(chain.symbols).encode()} | {
        name: getattr(chain, name).tobytes() for name in COLUMNS
    }


# Columns -------------------------------------------------------------------------------------


def test_columns() -> None:
    chain = chain_of(CALL, PUT)
    assert chain.symbols == ["BTCUSD-27MAY23-24000-C", "BTCUSD-27MAY23-24000-P"]
    assert [chain.strike.dtype, chain.is_call.dtype, chain.ts_ms.dtype] == ["f8", "?", "i8"]
    for name in COLUMNS:
        column = getattr(chain, name)
        assert type(column) is np.ndarray
        assert column.shape == (2,)
        assert column.dtype == {"is_call": "?", "ts_ms": "i8"}.get(name, "f8")
        assert getattr(chain, name) is column
    assert chain.strike.tolist() == [24000.0, 24000.0]
    assert chain.is_call.tolist() == [True, False]
    assert chain.ask.tolist() == [12.5, 3.0]
    assert chain.bid_size.tolist() == [1.0, 4.0]
    assert chain.ask_size.tolist() == [2.0, 0.0]
    assert chain.delta.tolist() == [0.6, -0.4]
    assert chain.ts_ms.tolist() == [7, 8]
    assert (chain.dt, chain.channel, chain.symbol) == (4, "tOption", None)
    assert list(chain.to_dict()) == ["symbols", *COLUMNS]


def test_no_quote_is_no_number() -> None:
    rows = [
        f'{{"s":"X{n}","bid":{text},"ask":{text},"bs":{text},"mp":{text},"oi":{text}}}'
        for n, text in enumerate(("0", "-0", '"0.000"', "0E-8", "null", '""', '"  "', "1e-400"))
    ]
    chain = chain_of(*rows, '{"s":"Y"}', '{"s":"Z","bid":1e-8,"ask":"0.5"}')
    assert is_nan(chain.bid) == is_nan(chain.ask) == [True] * 9 + [False]
    assert is_nan(chain.bid_size) == is_nan(chain.mark_price) == is_nan(chain.open_interest)
    assert is_nan(chain.bid_size) == [False] * 4 + [True] * 3 + [False, True, True]
    assert (chain.bid[9], chain.ask[9]) == (1e-8, 0.5)


def test_no_implied_volatility() -> None:
    for key, name in ("biv", "bid_iv"), ("aiv", "ask_iv"), ("miv", "mark_iv"):
        texts = "1.7976931348623157E308", '"1e300"', "1e999", "9.9e299", "0.01", "0", "-1e300"
        chain = chain_of(*(f'{{"s":"X","{key}":{text}}}' for text in texts))
        column = getattr(chain, name)
        assert is_nan(column) == [True] * 3 + [False] * 4
        assert column[3:].tolist() == [9.9e299, 0.01, 0.0, -1e300]
    chain = chain_of('{"s":"X","delta":1e300,"mp":1.7976931348623157E308}')
    assert (chain.delta[0], chain.mark_price[0]) == (1e300, 1.7976931348623157e308)


@pytest.mark.parametrize(
    ("symbol", "strike", "is_call"),
    [
        ("BTCUSD-27MAY23-24000-C", 24000.0, True),
        ("BTCUSD-4JUL23-27000-P", 27000.0, False),
        ("KASUSD-31MAY24-0.1250-C", 0.125, True),
        ("ETHUSD-27MAY23-1925.00-P", 1925.0, False),
        ("BTCUSD-6JUN23-100000-P", 100000.0, False),
        ("BTCUSD", None, False),
        ("BTCUSD-27MAY23", None, False),
        ("BTCUSD-27MAY23-24000", None, False),
        ("BTCUSD-27MAY23-24000-", None, False),
        ("BTCUSD-27MAY23-24000-X", None, False),
        ("BTCUSD-27MAY23-24000-CALL", None, False),
        ("BTCUSD-27MAY23-abc-C", None, False),
        ("BTCUSD-27MAY23--C", None, False),
        ("-C", None, False),
        ("\u00e9\u20ac", None, False),
    ],
)
def test_strike_and_kind_are_of_the_text(symbol: str, strike: float | None, is_call: bool) -> None:
    chain = chain_of(f'{{"s":"{symbol}"}}')
    assert chain.symbols == [symbol]
    assert chain.strike.tolist() == [strike] if strike else is_nan(chain.strike) == [True]
    assert chain.is_call.tolist() == [is_call]
    escaped = "".join(f"\\u{ord(char):04x}" for char in symbol)
    assert bytes_of(chain_of(f'{{"s":"{escaped}"}}')) == bytes_of(chain)


def test_the_time_of_a_row() -> None:
    rows = '{"s":"A","ts":5}', '{"s":"B"}', '{"s":"C","ts":null}', '{"s":"D","ts":"6"}'
    assert chain_of(*rows).ts_ms.tolist() == [5, 0, 0, 6]
    assert chain_of(*rows, more=',"ts":9').ts_ms.tolist() == [5, 9, 9, 6]
    assert chain_of('{"s":"A","ts":0}', more=',"ts":9').ts_ms.tolist() == [0]  # which it says
    assert decode('{"ts":"9","dt":4,"d":[{"s":"B"}]}').ts_ms.tolist() == [9]


def test_empty_and_single() -> None:
    empty = chain_of()
    assert (len(empty), list(empty), empty.symbols) == (0, [], [])
    assert all(getattr(empty, name).shape == (0,) for name in COLUMNS)
    single = decode(f'{{"dt":4,"d":{CALL}}}')
    assert isinstance(single, OptionChain)
    assert bytes_of(single) == bytes_of(chain_of(CALL))


# Rows ----------------------------------------------------------------------------------------


def test_rows() -> None:
    chain = chain_of(CALL, PUT)
    call, put = chain
    assert type(call) is type(put) is ChainRow
    assert (call.symbol, call.strike, call.is_call, call.bid) == (
        "BTCUSD-27MAY23-24000-C",
        24000.0,
        True,
        10.0,
    )
    assert (put.ask, put.bid_size, put.ask_size, put.ts_ms) == (3.0, 4.0, 0.0, 8)
    assert is_nan([put.bid, call.mark_iv]) == [True, True]
    assert chain["BTCUSD-27MAY23-24000-P"] == put
    assert chain["BTCUSD-27MAY23-24000-C"] == call != put
    for key in "BTCUSD-27MAY23-24000", "", "BTCUSD":
        with pytest.raises(KeyError):
            chain[key]


def test_a_row_of_a_large_chain() -> None:
    symbols = [f"BTCUSD-27MAY23-{strike}-{kind}" for strike in range(1, 300) for kind in "CP"]
    chain = chain_of(*(f'{{"s":"{s}","mp":{n}}}' for n, s in enumerate(symbols)))
    assert chain.symbols == symbols
    for n, symbol in enumerate(symbols):
        assert (chain[symbol].symbol, chain[symbol].mark_price) == (symbol, n)
    assert [row.mark_price for row in chain] == list(range(len(symbols)))


def test_to_compute_with() -> None:
    chain = chain_of(CALL, PUT, '{"s":"BTCUSD","bid":5,"ask":6}')
    assert chain.ask[chain.is_call].tolist() == [12.5]
    quoted = ~np.isnan(chain.bid) & ~np.isnan(chain.ask)
    assert ((chain.bid + chain.ask) / 2)[quoted].tolist() == [11.25, 5.5]
    assert float(np.nanmax(chain.strike)) == 24000.0


def test_chains_are_equal_by_value() -> None:
    assert chain_of(CALL, PUT) == chain_of(CALL, PUT.replace('"bv":"4"', '"bs":4.0,"x":1'))
    assert chain_of(CALL, PUT) != chain_of(PUT, CALL)
    assert chain_of(CALL) != chain_of(CALL, PUT)
    assert chain_of(CALL) != chain_of(CALL.replace("24000-C", "24001-C"))
    assert chain_of(CALL) != chain_of(CALL.replace('"ts":7', '"ts":8'))
    assert chain_of(CALL) != chain_of(CALL.replace('"bid":10', '"bid":0'))
    assert chain_of() == chain_of()


# In place ------------------------------------------------------------------------------------


def addresses(chain: OptionChain) -> list[tuple[int, int]]:
    return [(id(getattr(chain, n)), getattr(chain, n).ctypes.data) for n in COLUMNS]


NEWER = chain_frame(
    '{"s":"ETHUSD-4JUL23-1900.5-P","bid":7,"ask":0,"miv":"0.5"}',
    '{"s":"X","mp":1}',
    more=',"ts":99',
)


@pytest.mark.parametrize(
    "frame", [chain_frame(CALL.replace("10", "11"), PUT), NEWER], ids=["same", "other"]
)
def test_decode_into_keeps_the_arrays(frame: str) -> None:
    """Whether the frame is of the same instruments or of as many others."""
    chain = chain_of(CALL, PUT)
    held, before = [getattr(chain, name) for name in COLUMNS], addresses(chain)
    assert decode_into(chain, frame) is chain
    assert addresses(chain) == before
    assert all(getattr(chain, n) is array for n, array in zip(COLUMNS, held, strict=True))
    fresh = decode(frame)
    assert isinstance(fresh, OptionChain)
    assert bytes_of(chain) == bytes_of(fresh)


def test_decode_into_other_symbols() -> None:
    chain = chain_of(CALL, PUT)
    assert chain["BTCUSD-27MAY23-24000-C"].bid == 10.0
    assert bytes_of(decode_into(chain, NEWER)) == bytes_of(chain)
    fresh = decode(NEWER)
    assert isinstance(fresh, OptionChain)
    assert chain == fresh
    assert bytes_of(chain) == bytes_of(fresh)
    assert chain["X"].mark_price == 1.0
    assert is_nan([chain["ETHUSD-4JUL23-1900.5-P"].ask]) == [True]
    with pytest.raises(KeyError):
        chain["BTCUSD-27MAY23-24000-C"]


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview, bytes.decode])
def test_decode_into_of_any_type(kind: Any) -> None:
    chain = chain_of(CALL)
    assert decode_into(chain, kind(chain_frame(PUT).encode())) is chain
    assert bytes_of(chain) == bytes_of(chain_of(PUT))


def test_decode_into_another_number_of_rows() -> None:
    chain = chain_of(CALL, PUT)
    for rows in [CALL], [], [PUT, CALL, CALL.replace("24000", "25000")], [PUT] * 1, [CALL, PUT]:
        held = chain.bid
        copied = held.copy()
        different = len(rows) != len(chain)
        assert decode_into(chain, chain_frame(*rows)) is chain
        assert (len(chain), bytes_of(chain)) == (len(rows), bytes_of(chain_of(*rows)))
        if different:  # whoever kept the old arrays still has the old numbers
            np.testing.assert_array_equal(held, copied)


def test_decode_into_leaves_nothing_of_before() -> None:
    """Every column is written in every row, with nan where the newer frame says nothing."""
    chain = decode(message_frame(4, 0))
    assert isinstance(chain, OptionChain)
    bare = ['{"s":"A"}'] * len(chain)
    decode_into(chain, chain_frame(*bare))
    assert bytes_of(chain) == bytes_of(chain_of(*bare))
    assert is_nan(chain.theta) == [True] * len(chain)


REFUSED = {
    "no symbol in the last row": chain_frame(PUT, '{"bid":1}'),
    "a wrong number in the last row": chain_frame(PUT, '{"s":"X","vega":"x"}'),
    "a key twice in the last row": chain_frame(PUT, '{"s":"X","bid":1,"bid":1}'),
    "a wrong time": chain_frame(PUT, '{"s":"X","ts":1.5}'),
    "no object": chain_frame(PUT, "5"),
    "no end": chain_frame(PUT, PUT)[:-1],
    "garbage after": chain_frame(PUT, PUT) + "x",
    "garbage in the envelope": chain_frame(PUT, PUT, more=',"x":nul'),
    "no data": '{"dt":4}',
    "data null": '{"dt":4,"d":null}',
    "data twice": chain_frame(PUT, PUT, more=',"d":[]'),
    "another number of rows": chain_frame(PUT, PUT, PUT, '{"s":"X","bid":true}'),
    "nothing": "",
}


@pytest.mark.parametrize("frame", REFUSED.values(), ids=REFUSED.keys())
def test_a_refused_frame_changes_nothing(frame: str) -> None:
    chain = chain_of(CALL, PUT)
    before, places, copied = bytes_of(chain), addresses(chain), copy.deepcopy(chain)
    rows = [row.to_dict() for row in chain]
    with pytest.raises(DecodeError):
        decode_into(chain, frame)
    assert (bytes_of(chain), addresses(chain)) == (before, places)
    assert chain == copied
    np.testing.assert_equal([row.to_dict() for row in chain], rows)
    assert (chain.dt, chain.channel) == (4, "tOption")


@pytest.mark.parametrize(
    "frame",
    [
        '{"c":11,"rc":1}',
        '{"dt":6,"d":[{"s":"X"},{"s":"Y"}]}',
        '{"dt":99,"d":[{"s":"X"},{"s":"Y"}]}',
        '{"dt":5,"d":{"s":"X","asks":[],"bids":[],"ts":1}}',
        "[]",
    ],
)
def test_a_frame_of_no_chain_is_a_misuse(frame: str) -> None:
    chain = chain_of(CALL, PUT)
    before = bytes_of(chain)
    with pytest.raises(UsageError):
        decode_into(chain, frame)
    assert bytes_of(chain) == before


def test_what_is_no_chain_cannot_be_decoded_into() -> None:
    others: tuple[Any, ...] = (None, decode('{"dt":11,"d":{}}'), [], {})
    for other in others:
        with pytest.raises((TypeError, UsageError)):
            decode_into(other, chain_frame(CALL))


def test_decode_into_many() -> None:
    """One object for all frames, and after each of them it is what the model says."""
    chain = chain_of()
    outcomes = []
    store = BookStore()
    for seed in range(400):
        frame = message_frame(4, seed, (None, None, "value", "pair", "row")[seed % 5])
        before = bytes_of(chain)
        try:
            outcome = expected(frame)
        except Refused:
            with pytest.raises(DecodeError):
                decode_into(chain, frame)
            assert bytes_of(chain) == before
            outcomes.append("refused")
            continue
        decode_into(chain, frame)
        check(outcome, chain)
        assert chain == store.feed(frame)
        outcomes.append(name_of(outcome))
    assert outcomes.count("OptionChain") > 200
    assert outcomes.count("refused") > 30


def test_copies_have_arrays_of_their_own() -> None:
    chain = chain_of(CALL, PUT)
    copied = copy.deepcopy(chain)
    decode_into(chain, chain_frame(PUT, CALL))
    assert bytes_of(copied) == bytes_of(chain_of(CALL, PUT))

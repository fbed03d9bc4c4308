"""The simulated exchange's model and protocol, without a socket: times go in, values come out."""

import json
import math
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from coincall_fast.sim import black76
from coincall_fast.sim.market import SCALE, Market, implied_vol
from coincall_fast.sim.numerals import decimal_text
from coincall_fast.sim.session import Rules, Session
from coincall_fast.sim.topics import Catalog, Topic
from coincall_fast.sim.wire import Renderer

CONFORMANCE = Path(__file__).parent / "conformance"
START_MS = 1_732_000_000_000  # 19 November 2024, 07:06:40 UTC
YEAR_MS = 365 * 86_400_000


def frames(market: Market) -> list[str]:
    renderer = Renderer()
    return [
        renderer.book(book.instrument, book.bids, book.asks, market.now_ms)
        for book in market.books.values()
    ]


def mid(market: Market, symbol: str) -> tuple[float, float] | None:
    """The mid of a book and half its spread, in dollars; None when a side is empty."""
    book = market.books[symbol]
    if not book.bids or not book.asks:
        return None
    tick = book.instrument.tick_e8 / SCALE
    bid, ask = book.bids[0][0] * tick, book.asks[0][0] * tick
    return (bid + ask) / 2, (ask - bid) / 2


def test_black76_against_a_textbook_value() -> None:
    # Hull, "Options, Futures, and Other Derivatives", example on a crude oil put: forward 20,
    # strike 20, four months, volatility 25 %, rate 9 %: 1.12 discounted.
    put = black76.price("P", 20.0, 20.0, 4 / 12, 0.25) * math.exp(-0.09 * 4 / 12)
    assert put == pytest.approx(1.12, abs=0.005)


def test_black76_parity_and_bounds() -> None:
    for strike in (10_000.0, 25_000.0, 26_436.35, 28_000.0, 90_000.0):
        for years in (1e-6, 0.01, 0.5):
            call = black76.price("C", 26_436.35, strike, years, 0.5)
            put = black76.price("P", 26_436.35, strike, years, 0.5)
            assert call - put == pytest.approx(26_436.35 - strike, abs=1e-6)
            assert max(0.0, 26_436.35 - strike) <= call <= 26_436.35
    assert black76.price("C", 110.0, 100.0, 0.0, 0.5) == 10.0
    assert black76.price("P", 110.0, 100.0, -1.0, 0.5) == 0.0


def test_lists_what_the_venue_lists() -> None:
    market = Market(0, START_MS)
    assert market.symbols("futures") == ["BTCUSD", "ETHUSD"]
    on_btc = [i.terms for i in market.instruments.values() if i.pair.base == "BTC" and i.terms]
    assert len(on_btc) >= 40
    assert {terms.right for terms in on_btc} == {"C", "P"}
    expiries = sorted({terms.expiry_ms for terms in on_btc})
    assert len(expiries) == 2
    for expiry_ms in expiries:
        assert expiry_ms > START_MS
        assert expiry_ms % 86_400_000 == 8 * 3_600_000  # 08:00 UTC
    strikes = {terms.strike for terms in on_btc}
    assert min(strikes) < 26_436 < max(strikes)


def test_the_day_of_a_symbol_is_not_zero_padded() -> None:
    # 4 July 2023 08:00 UTC was a Tuesday; the Friday of that week is the 7th.
    symbols = Market(0, 1_688_457_600_000).symbols("options")
    assert "BTCUSD-7JUL23-26500-C" in symbols
    assert not any("-07JUL23-" in symbol for symbol in symbols)


def test_the_first_book_is_the_printed_one() -> None:
    rows = map(json.loads, (CONFORMANCE / "frames.jsonl").read_text().splitlines())
    printed = next(
        json.loads(row["frame"])["d"]
        for row in rows
        if row["seed"].startswith("001_") and row["line"] == 530
    )
    first = json.loads(frames(Market(0, START_MS))[0])["d"]
    assert first["s"] == printed["s"] == "BTCUSD"
    for side in ("asks", "bids"):
        assert len(first[side]) == 100
        ours = [(level["pr"], Decimal(level["sz"].strip())) for level in first[side][:20]]
        assert ours == [(level["pr"], Decimal(str(level["v"]))) for level in printed[side]]


def test_same_seed_same_times_same_market() -> None:
    one, two, other = Market(7, START_MS), Market(7, START_MS), Market(8, START_MS)
    for step in range(1, 20):
        for market in (one, two, other):
            market.advance(START_MS + 137 * step)
        assert frames(one) == frames(two)
    assert frames(one) != frames(other)


def test_how_often_it_is_advanced_does_not_matter() -> None:
    often, once = Market(3, START_MS), Market(3, START_MS)
    for now_ms in range(START_MS, START_MS + 5_001, 10):
        often.advance(now_ms)
    once.advance(START_MS + 5_000)
    assert often.now_ms == once.now_ms == START_MS + 5_000
    assert frames(often) == frames(once)


def test_never_goes_back() -> None:
    market = Market(3, START_MS)
    market.advance(START_MS + 1_000)
    before = frames(market)
    market.advance(START_MS - 86_400_000)
    assert frames(market) == before


@pytest.mark.parametrize("seed", [0, 1])
def test_every_book_is_well_formed_at_every_step(seed: int) -> None:
    market = Market(seed, START_MS)
    empty_sides = empty_books = 0
    for step in range(300):
        market.advance(START_MS + 100 * step)
        for book in market.books.values():
            for levels, best_first in ((book.bids, -1), (book.asks, 1)):
                prices = [price * best_first for price, _ in levels]
                assert all(a < b for a, b in pairwise(prices))
                assert len(levels) <= 100
                # Whole ticks and lots, by being ints; and none of them nothing.
                assert all(type(p) is int and type(s) is int for p, s in levels)
                assert all(price > 0 and size > 0 for price, size in levels)
            if book.bids and book.asks:
                assert book.bids[0][0] < book.asks[0][0]
            empty_sides += bool(book.bids) != bool(book.asks)
            empty_books += not book.bids and not book.asks
            if book.instrument.terms is None:
                assert len(book.bids) >= 90
                assert len(book.asks) >= 90
    assert empty_sides
    assert empty_books


def test_successive_books_resemble_each_other() -> None:
    market = Market(5, START_MS)
    book = market.books["BTCUSD"]
    changed, best_moved = [], 0
    bids = list(book.bids)
    for step in range(1, 301):
        market.advance(START_MS + 100 * step)
        changed.append(len(set(bids) ^ set(book.bids)))
        best_moved += bids[0][0] != book.bids[0][0]
        bids = list(book.bids)
    assert 1 < sum(changed) / len(changed) < 25  # counts a changed level twice, old and new
    assert 3 < best_moved < 150


def test_mids_agree_with_black76_and_parity() -> None:
    market = Market(1, START_MS)
    market.advance(START_MS + 30_000)
    compared = 0
    for symbol, instrument in market.instruments.items():
        if instrument.terms is None or instrument.terms.right == "P":
            continue
        strike, _, expiry_ms = instrument.terms
        forward = market.underlyings[instrument.pair.name].fair
        years = (expiry_ms - market.now_ms) / YEAR_MS
        vol = implied_vol(instrument.pair, math.log(strike / forward), years)
        assert 0.2 < vol < 1.2
        put_symbol = f"{symbol[:-1]}P"
        call, put = mid(market, symbol), mid(market, put_symbol)
        for quote, right in ((call, "C"), (put, "P")):
            if quote:
                assert abs(quote[0] - black76.price(right, forward, strike, years, vol)) < quote[1]
        if call and put:
            assert abs(call[0] - put[0] - (forward - strike)) < call[1] + put[1]
            compared += 1
    assert compared > 30
    perpetual = mid(market, "BTCUSD")
    assert perpetual is not None
    assert abs(perpetual[0] - market.underlyings["BTCUSD"].fair) < perpetual[1]


def test_a_frozen_market_stands_while_time_passes() -> None:
    market = Market(3, START_MS)
    market.advance(START_MS + 1_000)
    before = {symbol: (list(book.bids), list(book.asks)) for symbol, book in market.books.items()}
    market.is_frozen = True
    market.advance(START_MS + 200_000)
    assert market.now_ms == START_MS + 200_000
    assert before == {symbol: (book.bids, book.asks) for symbol, book in market.books.items()}
    market.is_frozen = False
    market.advance(START_MS + 201_000)
    assert before != {symbol: (book.bids, book.asks) for symbol, book in market.books.items()}


def test_a_long_gap_is_one_step_and_options_expire() -> None:
    market = Market(0, START_MS)
    market.advance(START_MS + 10 * 86_400_000)
    assert market.now_ms == START_MS + 10 * 86_400_000
    expired = [book for book in market.books.values() if market.is_expired(book.instrument)]
    alive = [book for book in market.books.values() if not market.is_expired(book.instrument)]
    assert len(expired) == 48
    assert not any(book.bids or book.asks for book in expired)
    assert len(market.books["BTCUSD"].bids) == 100
    assert sum(len(book.asks) > 30 for book in alive) > 20


def test_numbers_have_the_venues_habits() -> None:
    assert [decimal_text(n) for n in (26_450 * SCALE, 68_600_000, 1, 0)] == [
        "26450",
        "0.686",
        "0.00000001",
        "0",
    ]
    book = json.loads(frames(Market(0, START_MS))[0])["d"]
    levels = book["asks"] + book["bids"]
    assert not any("." in level["pr"] and level["pr"].endswith("0") for level in levels)
    sizes = [level["sz"] for level in levels]
    assert any(size.endswith(" ") for size in sizes)
    assert any(size.endswith("0") and len(size.partition(".")[2]) == 8 for size in sizes)
    assert any(len(size) < 6 for size in sizes)


# The protocol, by value: times are arguments.


def session(**rules: Any) -> Session:
    return Session(Catalog("futures", {"BTCUSD", "ETHUSD"}), Rules(**rules), now_s=0.0)


def request(action: str, symbol: Any = "BTCUSD", data_type: str = "orderBook") -> str:
    return json.dumps({"action": action, "dataType": data_type, "payload": {"symbol": symbol}})


def test_the_hundred_and_first_message_of_a_second_is_refused() -> None:
    one = session()
    answers = [one.receive('{"action":"heartbeat"}', n * 0.009).text for n in range(101)]
    assert answers[:100] == ['{"c":11,"rc":1}'] * 100
    assert json.loads(answers[100])["msg"] == "too many request"
    assert one.receive('{"action":"heartbeat"}', 0.5 + 1.5).text == '{"c":11,"rc":1}'


def test_invalid_messages_count_for_the_rate() -> None:
    one = session()
    for n in range(100):
        one.receive("no json", n * 0.001)
    assert "too many" in one.receive('{"action":"heartbeat"}', 0.2).text


def test_silence_ends_when_anything_is_heard_or_sent() -> None:
    one = session(silence_s=30.0)
    assert one.closes_at_s == 30.0
    one.receive('{"action":"heartbeat"}', 12.0)
    assert one.closes_at_s == 42.0
    one.sent(20.0)
    assert one.closes_at_s == 50.0


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("no json", None),
        ("[" * 100_000, None),
        (b'{"action":"heartbeat"}', None),
        ("[]", None),
        ('{"action":5}', None),
        (request("subscribe", "BTCUSD-27DEC24-65000-X"), 10574),
        (request("subscribe", ["BTCUSD", "NOPE"]), 10574),
        (request("subscribe", ["BTCUSD", 5]), 10574),
        (request("subscribe", ["BTCUSD"] * 101), 10572),
        (request("subscribe", []), 10570),
        (request("subscribe", {"BTCUSD": 1}), 10570),
        ('{"action":"subscribe","dataType":"orderBook"}', 10570),
        (request("subscribe", data_type="kline"), 10570),
        (request("subscribe", data_type="bsInfo"), 10586),
        (request("subscribe", data_type="fillSignal"), 10586),
        ('{"action":"subscribe"}', 10586),
        (request("unsubscribe"), 10593),
        (request("login"), 10593),
    ],
)
def test_a_refused_request_does_nothing(text: str | bytes, code: int | None) -> None:
    reply = session().receive(text, 1.0)
    body = json.loads(reply.text)
    assert reply.subscribe == reply.unsubscribe == ()
    if code is None:
        assert body == {"c": 10589, "msg": "Invalid request."}
    else:
        assert body["result"] == "failed"
        assert body["code"] == code
        assert body["action"] == body["action"].upper()


def test_lower_case_unsubscribe_is_a_switch() -> None:
    reply = session(lower_case_unsubscribe=True).receive(request("unsubscribe"), 1.0)
    assert json.loads(reply.text) == {"action": "UNSUBSCRIBE", "result": "success"}
    assert reply.unsubscribe == (Topic("futures", "orderBook", "BTCUSD"),)

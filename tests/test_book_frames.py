"""Every order book that Coincall's documents print, level by level against `json` and `Decimal`."""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from coincall_fast import SCALE, BookStore, OrderBook, decode
from model_book import Model, observe
from strategies import SYMBOL, documented_books

BOOKS = documented_books()
Side = list[tuple[Decimal, Decimal]]


def label(frame: bytes) -> str:
    data = json.loads(frame)["d"]
    return f"{data['s']}-{len(data['bids'])}x{len(data['asks'])}"


every_book = pytest.mark.parametrize("frame", BOOKS, ids=label)


def independent(frame: bytes) -> tuple[dict[str, Any], Side, Side]:
    """(the data, bids, asks) of a documented frame, best first, with not a line of the model."""
    data = json.loads(frame, parse_float=Decimal, parse_int=Decimal)["d"]

    def side(levels: list[dict[str, Any]]) -> Side:
        return [(Decimal(lv["pr"]), Decimal(lv["v"] if "v" in lv else lv["sz"])) for lv in levels]

    return data, sorted(side(data["bids"]), reverse=True), sorted(side(data["asks"]))


def test_the_documents_have_four_books() -> None:
    assert len(BOOKS) == 4
    assert max(len(json.loads(frame)["d"]["bids"]) for frame in BOOKS) >= 20


@every_book
def test_each_level(frame: bytes) -> None:
    book = OrderBook()
    book.apply(frame)
    data, bids, asks = independent(frame)
    assert (book.symbol, book.ts_ms) == (data["s"], data["ts"])
    assert (book.bid_count, book.ask_count) == (len(bids), len(asks))
    depth = book.depth()
    snapshot = book.snapshot()
    for side, floats, rows in (bids, depth.bids, snapshot[:2]), (asks, depth.asks, snapshot[2:]):
        assert floats.tolist() == [[float(price), float(size)] for price, size in side]
        assert rows.T[: len(side)].tolist() == [[p * SCALE, s * SCALE] for p, s in side]
        assert not rows.T[len(side) :].any()


@every_book
def test_the_best(frame: bytes) -> None:
    book = OrderBook()
    book.apply(frame)
    _, [(bid, bid_size), *_], [(ask, ask_size), *_] = independent(frame)
    assert book.bbo == (float(bid), float(bid_size), float(ask), float(ask_size))
    assert book.bbo == (book.best_bid, book.best_bid_size, book.best_ask, book.best_ask_size)
    assert book.mid == float((bid + ask) / 2)
    assert book.spread == float(ask - bid)
    assert book.microprice == pytest.approx(
        float((bid * ask_size + ask * bid_size) / (bid_size + ask_size)), rel=1e-14
    )
    assert book.best_bid < book.microprice < book.best_ask
    assert not book.is_crossed


@every_book
def test_the_model_agrees(frame: bytes) -> None:
    book, model = OrderBook(), Model()
    assert book.apply(frame, 5) == model.apply(frame, 5)
    assert observe(book) == model.state()


@every_book
def test_the_four_ways_in(frame: bytes) -> None:
    """`apply`, `load` of the same texts, `feed` and `decode` give one and the same book."""
    applied, loaded = OrderBook(), OrderBook(json.loads(frame)["d"]["s"])
    applied.apply(frame)
    data, bids, asks = independent(frame)
    loaded.load(bids, asks, int(data["ts"]))
    fed, decoded = BookStore().feed(frame), decode(frame)
    assert isinstance(fed, OrderBook)
    assert isinstance(decoded, OrderBook)
    assert observe(applied) == observe(fed) == observe(decoded)
    assert (loaded.symbol, loaded.ts_ms) == (applied.symbol, applied.ts_ms)
    assert np.array_equal(loaded.snapshot(), applied.snapshot())


def test_rest_order_books_load() -> None:
    """The books of the REST documents, whose levels have the full names."""
    path = Path(__file__).parent / "conformance" / "rest.jsonl"
    rows = map(json.loads, path.read_text(encoding="utf-8").splitlines())
    bodies = [row["body"] for row in rows if "order book for 100 depth" in row["heading"]]
    books = [json.loads(body)["data"] for body in bodies if '"bids":[' in body]
    assert len(books) == 2
    expected = [(5251.0, 0.5, 8888.0, 1.0), (18801.0, 0.001, 18898.0, 0.992)]
    for data, bbo in zip(books, expected, strict=True):
        book = OrderBook(SYMBOL)
        bids, asks = ([(lv["price"], lv["size"]) for lv in data[side]] for side in ("bids", "asks"))
        book.load(bids, asks)
        assert book.bbo == bbo

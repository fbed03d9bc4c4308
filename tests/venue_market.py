"""One book as a venue keeps it: a dict a side, and what it was at each number."""

import json
from random import Random
from typing import Any

import bybit_frames

SYMBOL = bybit_frames.OPTION
CONTRACT = "BTC_USDT-20211231-59800-C"
Row = tuple[str, int, int]  # "Buy" or "Sell", price, size; a size of 0 deletes


class Market:
    """Bids at 1 to 49, asks at 51 to 99, in whole numbers."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.number = 1
        self.levels: dict[str, dict[int, int]] = {"Buy": {10: 1}, "Sell": {60: 1}}
        self.was: dict[int, Any] = {1: self.sides()}

    def sides(self) -> tuple[list[list[float]], list[list[float]]]:
        """As `OrderBook.depth` gives them."""
        buy, sell = self.levels["Buy"], self.levels["Sell"]
        bids = [[float(price), float(buy[price])] for price in sorted(buy, reverse=True)]
        return bids, [[float(price), float(sell[price])] for price in sorted(sell)]

    def step(self) -> list[Row]:
        """The book becomes the next one, by these rows."""
        rows: list[Row] = []
        for _ in range(self.random.randrange(4)):
            side = self.random.choice(("Buy", "Sell"))
            price = self.random.randrange(1, 50) + (50 if side == "Sell" else 0)
            if any(price == changed for _, changed, _ in rows):
                continue
            held = self.levels[side]
            size = 0 if price in held and self.random.random() < 0.5 else self.random.randrange(9)
            if size or price in held:
                rows.append((side, price, size))
        for side, price, size in rows:
            if size:
                self.levels[side][price] = size
            else:
                del self.levels[side][price]
        self.number += 1
        self.was[self.number] = self.sides()
        return rows


class Speech:
    """How a venue says what its market is, and what has changed."""

    topic: str

    def whole(self, market: Market, ts_ms: int) -> bytes:
        raise NotImplementedError

    def change(self, market: Market, rows: list[Row], ts_ms: int) -> bytes:
        """Of the market as it is by now, by these rows."""
        raise NotImplementedError


class V1(Speech):
    topic = bybit_frames.DELTA

    def whole(self, market, ts_ms):
        rows = [(s, str(p), str(q)) for s, held in market.levels.items() for p, q in held.items()]
        market.random.shuffle(rows)
        return bybit_frames.new(market.number, *rows, ts=ts_ms)

    def change(self, market, rows, ts_ms):
        before = {(side, price) for side, price, _ in rows}
        bids, asks = market.was[market.number - 1]
        held = {("Buy", int(p)) for p, _ in bids} | {("Sell", int(p)) for p, _ in asks}
        gone = [(s, str(p)) for s, p, q in rows if not q]
        new = [(s, str(p), str(q)) for s, p, q in rows if q and (s, p) in before - held]
        rest = [(s, str(p), str(q)) for s, p, q in rows if q and (s, p) in held]
        return bybit_frames.change(market.number, gone, rest, new, ts=ts_ms)


class V5(Speech):
    topic = f"orderbook.100.{SYMBOL}"

    def whole(self, market, ts_ms):
        rows = [(s, p, q) for s, held in market.levels.items() for p, q in held.items()]
        return self._frame("snapshot", market, rows, ts_ms)

    def change(self, market, rows, ts_ms):
        return self._frame("delta", market, rows, ts_ms)

    def _frame(self, kind, market, rows, ts_ms):
        sides = {
            key: [[str(p), str(q)] for s, p, q in rows if s == side]
            for key, side in (("b", "Buy"), ("a", "Sell"))
        }
        data = {"s": SYMBOL, **sides, "u": market.number, "seq": 7 * market.number}
        return json.dumps({"topic": self.topic, "type": kind, "ts": ts_ms, "data": data}).encode()


class Gate(Speech):
    topic = "options.order_book_update"

    def whole(self, market, ts_ms):
        sides = {
            key: [{"p": str(p), "s": q} for p, q in market.levels[side].items()]
            for key, side in (("bids", "Buy"), ("asks", "Sell"))
        }
        told = {"id": market.number, "current": ts_ms / 1000, "update": ts_ms / 1000}
        return json.dumps(told | sides).encode()

    def change(self, market, rows, ts_ms):
        sides = {
            key: [{"p": str(p), "s": q} for s, p, q in rows if s == side]
            for key, side in (("b", "Buy"), ("a", "Sell"))
        }
        number = market.number
        result = {"t": ts_ms, "s": CONTRACT, "U": number, "u": number, **sides}
        frame = {"time": ts_ms // 1000, "channel": self.topic, "event": "update"}
        return json.dumps({**frame, "error": None, "result": result}).encode()

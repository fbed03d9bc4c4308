"""REST, pushes and books of the simulated exchange tell one story, after any orders."""

import json
import time
from collections import defaultdict
from contextlib import ExitStack
from decimal import Decimal
from random import Random
from typing import Any

import pytest

from coincall_fast.sim import Exchange
from coincall_fast.sim.keys import Key
from sim_client import Plain
from sim_socket import Socket

FUTURE = "BTCUSD"
OPEN = {-2, 0, 2}


def digits(text: str) -> Any:
    return json.loads(text, parse_float=Decimal, parse_int=Decimal)["data"]


def act(client: Plain, random: Random, symbol: str, ids: list[int]) -> None:
    """One request to trade, which may well be refused."""
    product = "option" if "-" in symbol else "futures"
    root = f"/open/{product}/order"
    draw = random.random()
    if draw < 0.7 or not ids:
        book = client.get(f"{root}/orderbook/v1/{symbol}")["data"]
        tick = Decimal("0.1")
        best = Decimal(random.choice(book["bids"][:2] + book["asks"][:2])["price"])
        answer = client.post(
            f"{root}/create/v1",
            symbol=symbol,
            tradeSide=random.choice((1, 2)),
            tradeType=random.choice((1, 1, 1, 3)),
            qty=str(Decimal(random.randint(1, 60)) / 100),
            price=str(max(tick, best + tick * random.randint(-3, 3))),
        )
        if answer["code"] == 0:
            ids.append(answer["data"])
    elif draw < 0.85:
        client.post(f"{root}/cancel/v1", orderId=random.choice(ids))
    else:
        qty = str(Decimal(random.randint(1, 60)) / 100)
        client.post(f"{root}/modify/v1", orderId=random.choice(ids), qty=qty)


class Listener:
    """A user as the pushes tell of him."""

    def __init__(self, frames: list[Any]) -> None:
        self.orders: dict[int, Any] = {}
        self.positions: dict[str, Decimal] = defaultdict(Decimal)
        self.fills: dict[str, Decimal] = defaultdict(Decimal)
        self.trades: set[str] = set()
        self.available: Any = None
        for frame in frames:
            number, data = frame.get("dt"), frame.get("d")
            if number in (11, 35):
                self.orders[data["oid"]] = data
            elif number in (15, 38):
                side = data["orderSide" if number == 15 else "si"]
                qty = data["matchQty" if number == 15 else "mq"]
                symbol = data["symbol" if number == 15 else "s"]
                self.fills[symbol] += Decimal(qty) if side == "1" else -Decimal(qty)
                self.trades.add(data["tradeId" if number == 15 else "tid"])
            elif number in (27, 46):
                sign = 1 if data["si"] == "1" else -1
                self.positions[data["s"]] = sign * Decimal(data["q"])
            elif number == 7:
                self.available = data["ab"]


def test_what_was_pushed_is_what_rest_tells() -> None:
    random = Random(4)
    with Exchange(seed=2, flow=0.0, throttle="off") as exchange, ExitStack() as stack:
        exchange.freeze()
        option = exchange.symbols("options")[0]
        keys: list[Key] = [exchange.add_user(), exchange.add_user()]
        clients = [Plain(exchange, key) for key in keys]
        sockets = {
            (number, product): stack.enter_context(Socket(exchange, product, key))
            for number, key in enumerate(keys)
            for product in ("options", "futures")
        }
        for (_, product), socket in sockets.items():
            for channel in ("order", "trade", "positionEvent"):
                socket.subscribe(channel)
            socket.subscribe("orderBook", symbol=FUTURE if product == "futures" else option)
            if product == "options":
                socket.subscribe("accountBalance")
        ids: dict[tuple[int, str], list[int]] = defaultdict(list)
        for _ in range(300):
            number, symbol = random.randrange(2), random.choice((FUTURE, option))
            act(clients[number], random, symbol, ids[number, symbol])
        time.sleep(0.5)  # for the last books
        for socket in sockets.values():
            socket.pushes()
        for number, client in enumerate(clients):
            log = sockets[number, "options"].log + sockets[number, "futures"].log
            told = Listener(log)
            assert len(told.trades) > 10
            held: dict[str, Decimal] = {}
            for product in ("option", "futures"):
                root = f"/open/{product}"
                pending = client.get(f"{root}/order/pending/v1", pageSize=500)["data"]["list"]
                still = {
                    oid
                    for oid, order in told.orders.items()
                    if order["os"] in OPEN and ("-" in order["s"]) == (product == "option")
                }
                assert {row["orderId"] for row in pending} == still
                for row in pending:
                    order = told.orders[row["orderId"]]
                    assert Decimal(order.get("fq", "0")) == Decimal(str(row["fillQty"]))
                    assert Decimal(order["q"]) == Decimal(str(row["qty"]))
                for row in digits(client.raw("GET", f"{root}/position/get/v1", {}).text):
                    held[row["symbol"]] = row["qty"] if row["tradeSide"] == 1 else -row["qty"]
            assert held == {s: q for s, q in told.positions.items() if q}
            assert held == {s: q for s, q in told.fills.items() if q}
            rows = client.get("/open/account/summary/v1")["data"]["accounts"]
            # Time goes on, and takes a little off what sold options are marked at.
            assert float(rows[0]["availableBalance"]) == pytest.approx(told.available, rel=1e-6)
        for product, symbol in (("options", option), ("futures", FUTURE)):
            last = [f["d"] for f in sockets[0, product].log if f.get("dt") in (5, 32)][-1]
            kind = "option" if product == "options" else "futures"
            book = clients[0].get(f"/open/{kind}/order/orderbook/v1/{symbol}")["data"]
            for side in ("bids", "asks"):
                pushed = [(row["pr"], Decimal(row["sz"].strip())) for row in last[side]]
                assert pushed == [(row["price"], Decimal(row["size"])) for row in book[side]]

"""Lives of orders, made up with the truth known, and what the venue would say of them.

Frames as the protocol page prints them (section 3.4), decoded; no code of the tracker.
"""

import json
import random
from dataclasses import dataclass, field
from decimal import Decimal

from coincall_fast import Message, Order, decode
from coincall_fast.steps import Stage, Step

OPTION, PERPETUAL = "BTCUSD-27NOV26-26500-C", "BTCUSD"
NEW, FILLED, PARTIAL, CANCELED, CANCELING = 0, 1, 2, 3, 5


def order_push(oid, os, ts, *, symbol=OPTION, coid=7, q="1.0", pr="10.5", si=1, **more):
    """An `order` frame; what is more goes into its row as it is."""
    row = {"oid": oid, "uid": "1", "s": symbol, "q": q, "pr": pr, "si": si, "ty": 1}
    row |= {"ct": 1000, "ts": ts, "ro": 0, "os": os, "tif": 0} | more
    if coid is not None:
        row["coid"] = coid
    dt = 11 if symbol == OPTION else 35
    return decode(json.dumps({"dt": dt, "c": 20, "d": row}))


def fill_push(oid, tid, qty, ts, *, symbol=OPTION, coid=7, price="10.5", si=1):
    """A `trade` frame, of either product's spelling."""
    if symbol == OPTION:
        names = "orderId tradeId matchQty tradeTime symbol clientOrderId matchPrice orderSide"
    else:
        names = "oid tid mq ts s coid mpr si"
    said = (oid, tid, qty, ts, symbol, "" if coid is None else coid, price, si)
    row = {name: str(value) for name, value in zip(names.split(), said, strict=True)}
    return decode(json.dumps({"dt": 15 if symbol == OPTION else 38, "c": 20, "d": row}))


def asked(coid=7, *, symbol=OPTION, qty="1.0", price="10.5", side=1, **more):
    """An order as a client asks for it."""
    return Order(
        symbol=symbol,
        qty=qty,
        price=price,
        side=side,
        order_type=1,
        client_order_id=coid,
        **more,
    )


def step(stage, order=None, verb="place_order", *, error=None, product="options"):
    return Step(product, verb, Stage(stage), asked() if order is None else order, error)


@dataclass
class Truth:
    """One order that a venue had: what it came to, and every message about it."""

    product: str
    state: int
    qty: Decimal
    price: Decimal
    filled: Decimal
    messages: list[Message | Step] = field(default_factory=list)


def random_life(dice: random.Random, oid: int, coid: int | None) -> Truth:
    """An order that is taken, changed, filled in parts and ended, at random; what of it is told by
    fills, by orders or by both is random too, but for its end."""
    symbol = dice.choice((OPTION, PERPETUAL))
    lot = dice.choice((Decimal("0.1"), Decimal("0.01"), Decimal("0.000000000000000003")))
    ts = 1000
    qty, price, filled = (
        lot * dice.randrange(1, 30),
        Decimal(dice.randrange(100, 900)) / 10,
        0 * lot,
    )
    ids = {"coid": coid, "symbol": symbol}
    product = "options" if symbol == OPTION else "futures"
    truth = Truth(product, NEW, qty, price, filled)
    told = truth.messages
    told.append(order_push(oid, NEW, ts, q=str(qty), pr=str(price), **ids))
    for number in range(dice.randrange(5)):
        ts += dice.randrange(3)
        if dice.random() < 0.3:
            ts += 1  # two versions of one millisecond cannot be told apart
            qty, price = filled + lot * dice.randrange(1, 30), price + dice.choice((-1, 0, 1))
            state = PARTIAL if filled else NEW
            more = {"rq": str(qty - filled), "fq": str(filled)} if filled else {}
            told.append(order_push(oid, state, ts, q=str(qty), pr=str(price), **ids, **more))
            ts += 1
            continue
        match = min(qty - filled, lot * dice.randrange(1, 12))
        if not match or filled + match == qty:
            continue
        filled += match
        how = dice.randrange(3)
        if how != 0:
            told.append(fill_push(oid, oid * 100 + number, str(match), ts, price=str(price), **ids))
        if how != 1:
            more = {"rq": str(qty - filled), "fq": str(filled), "mq": str(match), "ap": str(price)}
            told.append(order_push(oid, PARTIAL, ts, q=str(qty), pr=str(price), **ids, **more))
    ts += 1
    truth.state = dice.choice((FILLED, CANCELED, CANCELED, 10))
    if truth.state == FILLED:
        match, filled = qty - filled, qty
        if dice.random() < 0.5:
            told.append(fill_push(oid, oid * 100 + 99, str(match), ts, price=str(price), **ids))
    sizes = {"cq": str(qty - filled)} if truth.state != FILLED else {"rq": "0"}
    end = {"q": str(qty), "pr": str(price), "fq": str(filled), **sizes, **ids}
    told.append(order_push(oid, truth.state, ts, **end))
    truth.qty, truth.price, truth.filled = qty, price, filled
    if dice.random() < 0.5:
        told.append(dice.choice(told))  # once more
    if coid is not None:
        taken = asked(coid, symbol=symbol, qty=str(qty), price=str(price), order_id=oid)
        told.append(Step(product, "place_order", Stage.TAKEN, taken))
    return truth

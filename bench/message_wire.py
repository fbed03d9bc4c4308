"""Message frames to time, the same every time: each of another market, so all digits differ.

Keys stand in the order of seed 003, and what the page of today added follows where it lists it
(protocol page, sections 3.2 to 3.4). Today's ticker has its numbers in quotes, as seen live.
"""

import random
from collections.abc import Callable

from frames import COUNT

ROWS = 100  # of a chain: 50 strikes, a call and a put each

# By kind of frame, the attributes of its message and their keys; ".ts" stands beside the data.
FIELDS = {
    kind: dict(pair.split("=") for pair in pairs.split())
    for kind, pairs in {
        "ticker": """
            symbol=s mark_price=mp last_price=lp index_price=ip underlying_price=up iv=iv
            delta=delta gamma=gamma theta=theta vega=vega open_interest=oi high_24h=h low_24h=l
            open_24h=pr0 price_change=cp price_change_rate=cr volume=v volume_24h=v24
            trade_value=uv volume_usd_24h=uv24 remaining_ms=rt ts_ms=ts""",
        "order": """
            order_id=oid client_order_id=coid user_id=uid symbol=s qty=q price=pr
            remaining_qty=rq filled_qty=fq match_price=mpr match_qty=mq average_price=ap side=si
            order_type=ty created_ms=ct ts_ms=ts reduce_only=ro is_taker=it state=os""",
        "trades": "symbol=s price=pr qty=q side=sd ts_ms=ts",
        "fill": """
            trade_id=tid order_id=oid client_order_id=coid symbol=s side=si price=mpr qty=mq
            value=mv remaining_qty=rq fee=tf fee_rate=fr is_taker=it ts_ms=ts""",
        "position": """
            symbol=s qty=q side=si average_price=ap mark_price=mp initial_margin=im
            maintenance_margin=mm liquidation_price=elp unrealized_pnl=upnl state=os delta=delta
            gamma=gamma theta=theta vega=vega rho=rho user_id=uid ts_ms=.ts""",
        "chain": """
            mark_price=mp last_price=lp bid=bid ask=ask bid_size=bs ask_size=as bid_iv=biv
            ask_iv=aiv mark_iv=miv delta=delta gamma=gamma theta=theta vega=vega price_change=cp
            price_change_rate=cr volume=v volume_24h=v24 open_interest=oi underlying_price=up
            underlying_value=upv""",
    }.items()
}
FIELDS["quoted ticker"] = FIELDS["ticker"]

# What a market maker looks at first; of a trade it is all of it.
HANDFUL = {
    "ticker": "symbol mark_price underlying_price iv delta ts_ms".split(),
    "order": "order_id client_order_id symbol state filled_qty remaining_qty average_price".split(),
    "fill": "order_id symbol side price qty fee".split(),
    "position": "symbol side qty average_price unrealized_pnl delta".split(),
}
HANDFUL["quoted ticker"] = HANDFUL["ticker"]

Fields = dict[str, str]  # the keys of an object, and their values as JSON text


def message_frames(kind: str) -> list[bytes]:
    chance = random.Random(kind)
    return [KINDS[kind](chance, i).encode() for i in range(COUNT)]


def _ticker(chance: random.Random, i: int) -> str:
    return _frame(3, _object(_ticker_fields(chance, i)))


def _quoted_ticker(chance: random.Random, i: int) -> str:
    fields = _ticker_fields(chance, i)
    numbers = {key: _text(value) for key, value in fields.items() if key not in ("s", "ts")}
    return _frame(3, _object(fields | numbers))


def _ticker_fields(chance: random.Random, i: int) -> Fields:
    spot = chance.uniform(20_000, 120_000)
    price = chance.uniform(5, 9_000)
    volume = chance.randint(1, 999_999) / 100
    return {
        "uv": f"{spot * volume:.4f}0000",
        "rt": str(chance.randint(10**6, 3 * 10**9)),
        "mp": _fixed(price, 8),
        "lp": _fixed(price * chance.uniform(0.97, 1.03), 8),
        "ip": f"{spot:.2f}000000",
        "delta": _fixed(chance.uniform(-1, 1), 5),
        "h": _fixed(price * 1.1, 8),
        "l": _fixed(price * 0.9, 8),
        "iv": _fixed(chance.uniform(0.2, 1.5), 4),
        "theta": _fixed(-chance.uniform(1, 90), 5),
        "cp": _fixed(chance.uniform(-99, 99), 8),
        "pr0": _fixed(price * chance.uniform(0.9, 1.1), 8),
        "cr": _fixed(chance.uniform(-0.3, 0.3), 4),
        "s": _text(_option(chance)),
        "uv24": f"{spot * volume:.4f}0000",
        "v": f"{volume:.2f}000000",
        "v24": f"{volume:.2f}000000",
        "oi": f"{volume / 3:.2f}000000",
        "up": _fixed(spot, 2),
        "gamma": _fixed(chance.uniform(0, 0.001), 5),
        "vega": _fixed(chance.uniform(1, 90), 5),
        "ts": str(_ms(i)),
    }


def _order(chance: random.Random, i: int) -> str:
    qty = chance.randint(1, 9_999) / 100
    price = _price(chance)
    return _frame(
        11,
        _object({
            "oid": str(chance.randint(10**18, 2 * 10**18)),
            "coid": str(chance.randint(10**8, 10**12)),
            "uid": _text("8095151726"),
            "s": _text(_option(chance)),
            "rq": _text("0"),
            "fq": _text(f"{qty:g}"),
            "q": _text(f"{qty:g}"),
            "pr": _text(price),
            "mpr": _text(price),
            "mq": _text(f"{chance.randint(1, int(qty * 100)) / 100:g}"),
            "ap": _text(price),
            "si": str(chance.randint(1, 2)),
            "ty": "1",
            "ct": str(_ms(i) - chance.randint(1, 9_999)),
            "ts": str(_ms(i)),
            "ro": "0",
            "it": str(chance.randint(0, 1)),
            "os": "1",
        }),
    )  # fmt: skip


def _trades(chance: random.Random, i: int) -> str:
    trade = {
        "q": _text(f"{chance.randint(1, 9_999) / 100:g}"),
        "sd": str(chance.randint(1, 2)),
        "pr": _text(_price(chance)),
        "s": _text(_option(chance)),
        "ts": str(_ms(i)),
    }
    return _frame(6, f"[{_object(trade)}]")


def _fill(chance: random.Random, i: int) -> str:
    """A futures fill, in which everything is a text."""
    price, qty = float(_price(chance)), chance.randint(1, 9_999) / 1_000
    fields = {
        "coid": str(chance.randint(10**8, 10**12)),
        "fr": "0.0004",
        "tf": _fixed(price * qty * 0.0004, 8),
        "it": str(chance.randint(0, 1)),
        "mpr": f"{price:g}",
        "mq": f"{qty:g}",
        "mv": _fixed(price * qty, 8),
        "oid": str(chance.randint(10**18, 2 * 10**18)),
        "si": str(chance.randint(1, 2)),
        "rq": f"{chance.randint(0, 999) / 1_000:g}",
        "s": "BTCUSD",
        "tid": str(chance.randint(10**18, 2 * 10**18)),
        "ts": str(_ms(i)),
    }
    return _frame(38, _object({key: _text(value) for key, value in fields.items()}))


def _position(chance: random.Random, i: int) -> str:
    """The time stands outside."""
    price = _price(chance)
    fields = {
        "ap": _text(price),
        "elp": _fixed(chance.uniform(1, 20_000), 8),
        "im": _text(_fixed(chance.uniform(0, 9_000), 8)),
        "mm": _text(_fixed(chance.uniform(0, 5_000), 8)),
        "mp": _fixed(float(price), 8),
        "os": _text("1"),
        "q": _text(f"{chance.randint(1, 9_999) / 100:g}"),
        "s": _text(_option(chance)),
        "si": _text(str(chance.randint(1, 2))),
        "tim": _text(""),
        "tmm": _text(""),
        "uid": _text("8095151726"),
        "upnl": _text(_fixed(chance.uniform(-900, 900), 2)),
        "pnlbmp": _text(_fixed(chance.uniform(-900, 900), 8)),
        "roibmp": _text(_fixed(chance.uniform(-1, 1), 4)),
        "rho": _text(_fixed(chance.uniform(-9, 9), 5)),
        "vega": _text(_fixed(chance.uniform(1, 90), 5)),
        "delta": _text(_fixed(chance.uniform(-1, 1), 5)),
        "gamma": _text(f"{chance.randint(100, 999) / 100}E-{chance.randint(4, 6)}"),
        "theta": _text(_fixed(-chance.uniform(1, 90), 5)),
    }
    return f'{{"dt":12,"c":20,"d":{_object(fields)},"ts":{_ms(i)}}}'


def _chain(chance: random.Random, i: int) -> str:
    """Of one expiry, so the symbols stay while all else is another market's."""
    up = _fixed(chance.uniform(40_000, 120_000), 4)
    rows = (
        _object(_chain_fields(chance, i, up, f"BTCUSD-25DEC26-{strike}-{right}"))
        for strike in range(40_000, 40_000 + ROWS // 2 * 2_000, 2_000)
        for right in "CP"
    )
    return _frame(4, f"[{','.join(rows)}]")


def _chain_fields(chance: random.Random, i: int, up: str, symbol: str) -> Fields:
    price = chance.uniform(5, 9_000)
    quoted = chance.random() < 0.9  # else nobody bids
    iv = chance.uniform(0.2, 1.5)
    volume = f"{chance.randint(0, 99_999) / 100:.2f}000000"
    return {
        "mp": _fixed(price, 8),
        "lp": _fixed(price * chance.uniform(0.97, 1.03), 8),
        "delta": _fixed(chance.uniform(-1, 1), 5),
        "theta": _fixed(-chance.uniform(1, 90), 5),
        "cp": _fixed(chance.uniform(-99, 99), 8),
        "biv": f"{iv - 0.01:.4g}" if quoted else "0.01",
        "aiv": f"{iv + 0.01:.4g}",
        "miv": f"{iv:.4f}",
        "cr": _fixed(chance.uniform(-0.3, 0.3), 4),
        "bs": f"{chance.randint(1, 9_999) / 100:g}" if quoted else "0",
        "as": f"{chance.randint(1, 9_999) / 100:g}",
        "s": _text(symbol),
        "v": volume,
        "ask": f"{price * 1.02:.1f}",
        "v24": volume,
        "oi": f"{chance.randint(0, 99_999) / 100:.2f}000000",
        "upv": "0",
        "up": up,
        "bid": f"{price * 0.98:.1f}" if quoted else "0",
        "gamma": _fixed(chance.uniform(0, 0.001), 5),
        "vega": _fixed(chance.uniform(1, 90), 5),
        "ts": str(_ms(i)),
    }


def _frame(dt: int, data: str) -> str:
    return f'{{"dt":{dt},"c":20,"d":{data}}}'


def _object(fields: Fields) -> str:
    members = ",".join(f'"{key}":{value}' for key, value in fields.items())
    return f"{{{members}}}"


def _text(value: str) -> str:
    return f'"{value}"'


def _fixed(value: float, decimals: int) -> str:
    return f"{value:.{decimals}f}"


def _price(chance: random.Random) -> str:
    return f"{chance.randint(50, 900_000) / 100:g}"


def _option(chance: random.Random) -> str:
    return f"BTCUSD-{_day(chance)}-{chance.randint(20, 120)}000-{chance.choice('CP')}"


def _day(chance: random.Random) -> str:
    return f"{chance.randint(1, 31)}{chance.choice(('JUN', 'SEP', 'DEC'))}26"


def _ms(i: int) -> int:
    return 1_785_000_000_000 + 200 * i + i * i


KINDS: dict[str, Callable[[random.Random, int], str]] = {
    "ticker": _ticker,
    "quoted ticker": _quoted_ticker,
    "order": _order,
    "trades": _trades,
    "fill": _fill,
    "position": _position,
    "chain": _chain,
}

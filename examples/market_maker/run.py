"""A market maker: `python examples/market_maker/run.py`

Quotes both sides of one perpetual and of some options of one expiry, around the microprice of the
books without its own orders, with inventory limits and a dead-man's switch; then tells what it
earned, what it did and how long that took. On the simulated exchange, where it needs no keys, an
hour of market time takes a minute.

quotes.py says what to quote, maker.py sees to it, ledger.py adds up. Against the venue it trades
with real money: `--env prod` is refused without `--live`.
"""

import argparse
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import NamedTuple

from ledger import ZERO, Ledger
from maker import Maker, Target
from quotes import Limits
from report import Report

from coincall_fast import (
    Channel,
    Client,
    CoincallFastError,
    Instrument,
    Rate,
    Side,
    Stream,
    UsageError,
)
from coincall_fast.cli.money import demand_live
from coincall_fast.environment import hosts
from coincall_fast.sim import Exchange

PERPETUAL = "BTCUSD"
PERPETUAL_LIMITS = Limits(Decimal("0.05"), Decimal("0.15"), half_spread=0.0004)
OPTION_LIMITS = Limits(Decimal("0.2"), Decimal("0.6"), half_spread=0.01)
STEP_S = 0.02  # between two looks at everything
COUNTDOWN_MS = 10_000
PATIENCE_S = 20.0
DAY_MS = 86_400_000


class Venue(NamedTuple):
    client: Client
    stream: Stream
    exchange: Exchange | None  # None where it is a real one


@contextmanager
def simulated(seed: int, speed: float, seconds: float) -> Iterator[Venue]:
    """An exchange whose market runs fast. It begins in the past, so that it does not get ahead of
    us, and its limits are those of the venue in the market's time."""
    start_ms = int(time.time() * 1000 - (seconds + 60) * speed * 1000)
    rates = {name: (round(30 * speed), 2.0) for name in ("place", "cancel")}
    with Exchange(seed=seed, speed=speed, start_ms=start_ms, rates=rates) as exchange:
        key, secret = exchange.api_key, exchange.api_secret
        ours = {name: Rate(*limit, name) for name, limit in rates.items()}
        with (
            Client(key, secret, rest_url=exchange.rest_url, rates=ours) as client,
            Stream(api_key=key, api_secret=secret, ws_url=exchange.ws_url) as stream,
        ):
            yield Venue(client, stream, exchange)


@contextmanager
def real(env: str) -> Iterator[Venue]:
    """Keys from COINCALL_API_KEY and COINCALL_API_SECRET."""
    with Client(env=env) as client, Stream(env=env) as stream:
        yield Venue(client, stream, None)


def targets(client: Client, options: int) -> dict[str, Target]:
    """The perpetual, and the options nearest to it of the first expiry but today's."""
    perpetual = client.futures.instrument(PERPETUAL)
    assert perpetual is not None
    listed = client.options.instruments(PERPETUAL.removesuffix("USD"))
    soon_ms = client.server_time() + DAY_MS
    expiry_ms = min(one.expiry_ms for one in listed if one.expiry_ms and one.expiry_ms > soon_ms)
    price = client.futures.order_book(PERPETUAL).mid

    def distance(one: Instrument) -> float:
        return abs(float(one.strike or 0) - price)

    chain = sorted((one for one in listed if one.expiry_ms == expiry_ms), key=distance)
    chosen = {one.symbol: Target(one, OPTION_LIMITS) for one in chain[:options]}
    return {PERPETUAL: Target(perpetual, PERPETUAL_LIMITS), **chosen}


class Standing(NamedTuple):
    """An account at one moment."""

    equity: Decimal
    positions: dict[str, Decimal]
    marks: dict[str, Decimal]


def standing(client: Client) -> Standing:
    """The equity is asked for before and after: if it is the same, so was all between."""
    for _ in range(20):
        before = client.account.summary().exact("equity")
        rows = [*client.options.positions(), *client.futures.positions()]
        equity = client.account.summary().exact("equity")
        if before == equity:
            break
    sizes = {row.symbol or "": row.exact("qty") or ZERO for row in rows}
    marks = {row.symbol or "": row.exact("mark_price") or ZERO for row in rows}
    signs = {row.symbol or "": 1 if row.side == Side.BUY else -1 for row in rows}
    return Standing(equity or ZERO, {s: q * signs[s] for s, q in sizes.items()}, marks)


def trade(venue: Venue, seconds: float, options: int) -> Report:
    """Quotes for so long, takes all orders back, and adds up."""
    client, stream, exchange = venue
    markets = (client.options, client.futures)
    wanted = targets(client, options)
    before = standing(client)
    ledger = Ledger(before.positions, before.marks)
    for market in markets:
        ledger.skip(market.trade_history())
    stream.on(Channel.FILLS, ledger.hear)
    stream.subscribe(Channel.BOOK, list(wanted))
    stream.track(client)  # whose orders `stream.orders` knows from now on
    begin_ms = _first_ms(stream)

    maker = Maker(client, stream, wanted, before.positions)
    # It beats by itself. At its end, whatever ends it, all orders are cancelled.
    with client.deadman([PERPETUAL], COUNTDOWN_MS):
        end_s = time.monotonic() + seconds
        while time.monotonic() < end_s:
            maker.step()
            time.sleep(STEP_S)
        maker.close()

    end_ms = stream.store[PERPETUAL].ts_ms
    if exchange is not None:
        exchange.freeze()
    missed = sum(ledger.hear(fill) for market in markets for fill in market.trade_history())
    after = standing(client)
    payments = client.account.latest_funding(PERPETUAL)
    return Report(
        seconds=seconds,
        minutes=(end_ms - begin_ms) / 60_000,
        ledger=ledger,
        marks=after.marks,
        funding=sum((p.exact("fee") or ZERO for p in payments if (p.ts_ms or 0) > begin_ms), ZERO),
        account=after.equity - before.equity,
        holds=after.positions,
        limits={symbol: target.limits.most for symbol, target in wanted.items()},
        missed=missed,
        sent=maker.sent,
        failed=maker.failed,
        answers_ms=maker.took_ms,
        books=stream.latency.book_ns(),
    )


def _first_ms(stream: Stream) -> int:
    """The market's time, when the first book has come."""
    stream.wait_open(PATIENCE_S)
    end_s = time.monotonic() + PATIENCE_S
    while time.monotonic() < end_s:
        book = stream.store.get(PERPETUAL)
        if book is not None and book.is_valid:
            return book.ts_ms
        time.sleep(STEP_S)
    raise CoincallFastError(f"no book of {PERPETUAL} came")


def main() -> None:
    parser = argparse.ArgumentParser(description="A market maker, simulated unless told otherwise.")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--options", type=int, default=6, help="how many of them are quoted")
    parser.add_argument("--json", action="store_true", help="one JSON document")
    parser.add_argument("--speed", type=float, default=60.0, help="of the simulated market")
    parser.add_argument("--seed", type=int, default=0, help="which simulated market")
    parser.add_argument("--env", choices=("prod", "beta"), help="a real one instead")
    parser.add_argument("--live", action="store_true", help="with real money")
    asked = parser.parse_args()
    if asked.env:
        try:
            demand_live(hosts(asked.env).rest, asked.live)
        except UsageError as error:
            parser.error(str(error))
    where = real(asked.env) if asked.env else simulated(asked.seed, asked.speed, asked.seconds)
    with where as venue:
        report = trade(venue, asked.seconds, asked.options)
    print(json.dumps(report.document()) if asked.json else report.text())


if __name__ == "__main__":
    main()

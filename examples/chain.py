"""An option chain as a table, calls left and puts right, by strike: `python examples/chain.py`

A chain is columns, so whole expiries are computed with numpy at once: here the spread of each
option in volatility, and the strike at which calls and puts are worth the same. On the simulated
exchange, which needs no keys; `Client()` without arguments asks the real one.
"""

import argparse
from datetime import UTC, datetime

import numpy as np

from coincall_fast import Client, OptionChain
from coincall_fast.sim import Exchange

COLUMNS = ("bid_iv", "ask_iv", "bid", "ask")


def show(chain: OptionChain, rows: int) -> None:
    strikes = np.unique(chain.strike)
    # Where the calls and the puts stand in the chain, by strike; each strike has both.
    calls, puts = (
        rights[np.argsort(chain.strike[rights])]
        for rights in (np.flatnonzero(chain.is_call), np.flatnonzero(~chain.is_call))
    )
    left = [getattr(chain, name)[calls] for name in COLUMNS]
    right = [getattr(chain, name)[puts] for name in reversed(COLUMNS)]
    table = np.column_stack([*left, strikes, *right])
    middle = int(np.nanargmin(abs(chain.mark_price[calls] - chain.mark_price[puts])))

    print(*(f"{name:>8}" for name in (*COLUMNS, "strike", *reversed(COLUMNS))))
    for row in table[max(0, middle - rows // 2) :][:rows]:
        print(*("       –" if np.isnan(cell) else f"{cell:8.6g}" for cell in row))

    spread = chain.ask_iv - chain.bid_iv  # nan where a side has no quote
    mark_iv = chain.mark_iv[calls[middle]]
    print(f"\nat the money: {strikes[middle]:g}, mark IV {mark_iv:.3f}")
    print(f"median spread of {np.isfinite(spread).sum()} quotes: {np.nanmedian(spread):.3f} in IV")


def main() -> None:
    asked = argparse.ArgumentParser(description="An option chain by strike.")
    asked.add_argument("--base", default="BTC")
    asked.add_argument("--rows", type=int, default=12)
    wanted = asked.parse_args()
    with Exchange() as venue:
        keys = venue.api_key, venue.api_secret
        with Client(*keys, rest_url=venue.rest_url, read_only=True) as client:
            listed = client.options.instruments(wanted.base)
            expiry_ms = min(one.expiry_ms for one in listed if one.expiry_ms is not None)
            chain = client.options.chain(f"{wanted.base}USD", expiry_ms)
    expiry = datetime.fromtimestamp(expiry_ms / 1000, UTC)
    print(f"{wanted.base}USD, {len(chain)} options that expire {expiry:%d %b %Y %H:%M} UTC\n")
    show(chain, wanted.rows)


if __name__ == "__main__":
    main()

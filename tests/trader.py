"""A program that trades under a dead-man's switch, for tests that kill it or stop it.

`python trader.py REST_URL [KEEPER [TIMEOUT_MS]]`, with the keys in the environment. Says each thing
that happens as a line of JSON: ``ready`` once orders are open, ``late``, ``refused``.
"""

import json
import sys
import time

from coincall_fast import Client, OrderRejected, Rate
from coincall_fast.rest.endpoints import RATES

WIDE = {name: Rate(1000, 0.1, name) for name in RATES}


def say(what: str, **more: object) -> None:
    print(json.dumps({"what": what, **more}), flush=True)


def main(rest_url: str, keeper: str = "process", timeout_ms: str = "5000") -> None:
    # A short window, since a guard waits for its end.
    with Client(rest_url=rest_url, rates=WIDE, order_window_ms=300) as client:
        option = client.options.instruments("BTC")[0].symbol
        new = {"side": "buy", "qty": 1, "order_type": "limit", "price": 1}
        with client.deadman(
            ["BTCUSD", "ETHUSD"],
            int(timeout_ms),
            keeper=keeper,  # type: ignore[arg-type]
            on_late=lambda late: say("late", error=str(late.error), lapsed=late.has_lapsed),
        ) as switch:
            for placed in range(10**9):
                try:
                    client.futures.place_order(symbol=("BTCUSD", "ETHUSD")[placed % 2], **new)  # type: ignore[arg-type]
                    client.options.place_order(symbol=option, **new)  # type: ignore[arg-type]
                    if placed == 0:
                        say("ready", guard=switch.pid)
                except OrderRejected as error:
                    say("refused", code=error.code, lapsed=switch.has_lapsed)
                time.sleep(0.05)


if __name__ == "__main__":
    main(*sys.argv[1:])

"""A simulated Coincall on loopback: real HTTP, real WebSockets, a seeded market, no keys.

Written from the protocol page and the printed frames, not from this library's client: its signing
check, its parsing and its field names share no code with what they test.

    from coincall_fast.sim import Exchange

    with Exchange(seed=7) as exchange:
        print(exchange.ws_url, exchange.symbols("options")[:3])

How it is built, from the bottom; each layer knows only what is below it:

    wiring      exchange -> server -> gate (REST), session and connection (sockets), control
    telling     endpoints -> rest*, verbs;  feed -> pushes, private_pushes;  wire, numerals
    rules       desk -> tickets, guards;  topics, rates, auth, params, keys
    state       venue -> engine, funding -> accounts, margin, valuation, tape, events
    matching    matching, orders: the model's levels and users' orders by price and time
    model       market -> ladder, black76, instruments, opening;  recording in its place

There is one state, `venue.Venue`. REST, pushes and books are read from it and nowhere kept, so that
they cannot disagree. The state is pure: time comes in, events come out; sockets and clocks are the
wiring's. What it assumes of the venue is listed in docs/unverified.md.
"""

try:
    import aiohttp as _aiohttp  # noqa: F401 (asked for here, so that its absence has one message)
except ImportError as error:
    raise ImportError(
        "the simulated exchange needs aiohttp: pip install 'coincall-fast[sim]'"
    ) from error

from .exchange import Exchange

__all__ = ["Exchange"]

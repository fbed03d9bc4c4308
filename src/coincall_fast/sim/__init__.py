"""A simulated Coincall on loopback: real HTTP, real WebSockets, a seeded market, no keys.

Written from the protocol page and the printed frames, not from this library's client: its signing
check, its parsing and its field names share no code with what they test.

    from coincall_fast.sim import Exchange

    with Exchange(seed=7) as exchange:
        print(exchange.ws_url, exchange.symbols("options")[:3])
"""

try:
    import aiohttp as _aiohttp  # noqa: F401 (asked for here, so that its absence has one message)
except ImportError as error:
    raise ImportError(
        "the simulated exchange needs aiohttp: pip install 'coincall-fast[sim]'"
    ) from error

from .exchange import Exchange

__all__ = ["Exchange"]

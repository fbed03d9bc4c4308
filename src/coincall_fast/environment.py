"""Where the venues are, and who we are there: arguments first, environment variables next.

Protocol page of Coincall, section 0; of Bybit and Gate, sections 1.1 and 2.1; contract, section 5.
"""

import os
from typing import Final, NamedTuple

from .errors import UsageError
from .signing import Credentials, Hidden

__all__ = ["HOSTS", "Hosts", "credentials", "hosts"]


class Hosts(NamedTuple):
    """The base addresses of one environment; of streams, without the product."""

    rest: str
    ws: str


# Keys of one environment are refused by the other. Of Gate's options no test network is known to
# work (section 2.1); of Bybit, REST is not spoken.
HOSTS: Final = {
    "coincall": {
        "prod": Hosts("https://api.coincall.com", "wss://ws.coincall.com"),
        "beta": Hosts("https://betaapi.coincall.com", "wss://betaws.coincall.com"),
    },
    "bybit": {
        "prod": Hosts("https://api.bybit.com", "wss://stream.bybit.com"),
        "testnet": Hosts("https://api-testnet.bybit.com", "wss://stream-testnet.bybit.com"),
    },
    "gate": {
        "prod": Hosts("https://api.gateio.ws/api/v4", "wss://op-ws.gateio.live/v4/ws"),
        "testnet": Hosts(
            "https://api-testnet.gateapi.io/api/v4", "wss://op-ws-testnet.gateio.live/v4/ws"
        ),
    },
}


def hosts(env: str | None, venue: str = "coincall") -> Hosts:
    """Of an environment of the venue; else of COINCALL_ENV (BYBIT_ENV, GATE_ENV), else of prod."""
    name = env or os.environ.get(f"{venue.upper()}_ENV") or "prod"
    if name not in HOSTS[venue]:
        raise UsageError(f"env is one of {', '.join(HOSTS[venue])}, not {name!r}")
    return HOSTS[venue][name]


def credentials(
    api_key: str | None, api_secret: str | None, venue: str = "coincall"
) -> Credentials | None:
    """The key and secret given, else those of COINCALL_API_KEY and COINCALL_API_SECRET (BYBIT_…,
    GATE_…); None where there is no key at all."""
    given = Hidden(
        key=api_key or os.environ.get(f"{venue.upper()}_API_KEY") or "",
        secret=api_secret or os.environ.get(f"{venue.upper()}_API_SECRET") or "",
    )
    del api_key, api_secret  # from here on, no frame that can fail shows them among its locals
    if not any(given.values()):
        return None
    if not all(given.values()):
        raise UsageError("an API key and its secret go together: one is missing")
    return Credentials(**given)

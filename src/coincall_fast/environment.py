"""Where Coincall is, and who we are there: arguments first, environment variables next.

Protocol page, section 0; contract, section 5.
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


# Keys of one environment are refused by the other.
HOSTS: Final = {
    "prod": Hosts("https://api.coincall.com", "wss://ws.coincall.com"),
    "beta": Hosts("https://betaapi.coincall.com", "wss://betaws.coincall.com"),
}


def hosts(env: str | None) -> Hosts:
    """Of "prod" or "beta"; else of COINCALL_ENV, else of prod."""
    name = env or os.environ.get("COINCALL_ENV") or "prod"
    if name not in HOSTS:
        raise UsageError(f"env is one of {', '.join(HOSTS)}, not {name!r}")
    return HOSTS[name]


def credentials(api_key: str | None, api_secret: str | None) -> Credentials | None:
    """The key and secret given, else those of COINCALL_API_KEY and COINCALL_API_SECRET; None where
    there is no key at all."""
    given = Hidden(
        key=api_key or os.environ.get("COINCALL_API_KEY") or "",
        secret=api_secret or os.environ.get("COINCALL_API_SECRET") or "",
    )
    del api_key, api_secret  # from here on, no frame that can fail shows them among its locals
    if not any(given.values()):
        return None
    if not all(given.values()):
        raise UsageError("an API key and its secret go together: one is missing")
    return Credentials(**given)

"""`doctor`, of one account at one venue: keys, clock, permissions, and both sockets. Read-only."""

import time
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from typing import Self
from urllib.parse import urlsplit

from ...coincall import Client, Dialect, decode
from ...environment import credentials
from ...errors import AuthError, CoincallFastError, TransportError, UsageError, VenueError
from ...message import Ack, Heartbeat
from ...signing import Credentials
from ...streams.connection import Address
from .checks import Check, failed, ok, skipped, tried, warned
from .line import Line

__all__ = ["Access"]

PATIENCE_S = 5.0
# A timestamp a second ahead of the venue's clock is refused. REST asks for the venue's time;
# a stream is signed with this machine's, and may be 5 s late.
AHEAD_MS, BEHIND_MS, OFF_MS = 700.0, 4_000.0, 250.0

SET_KEYS = "set COINCALL_API_KEY and COINCALL_API_SECRET, or try it with --sim"
WRONG_KEYS = "is it a key of this environment (prod, beta), whole, and allowed from this address?"
SET_CLOCK = "have this machine's clock kept by NTP (timedatectl set-ntp true)"
NO_ANSWER = "the host was reached: is it the right address, and is the venue up?"


class Access:
    """What stands between somebody with a key and a venue. A context manager; one thread.

    Raises UsageError for what is no address; what is wrong with keys is told by a check.
    """

    def __init__(
        self, rest_url: str, ws_url: str, api_key: str | None = None, api_secret: str | None = None
    ) -> None:
        self.rest_url = rest_url
        self.ws_url = ws_url.rstrip("/")
        self.dialect = Dialect()
        self.credentials: Credentials | None = None
        self.trouble = "there are none"  # with the keys
        self.client: Client | None = None
        self._exits = ExitStack()
        Address.parse(self.ws_url)
        if urlsplit(rest_url).scheme not in ("http", "https"):
            raise UsageError("the address of REST begins with http:// or https:// and a host")
        try:
            self.credentials = credentials(api_key, api_secret)
        except UsageError as error:
            self.trouble = str(error)
            return
        self.client = self._exits.enter_context(
            Client(api_key, api_secret, rest_url=rest_url, read_only=True)
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._exits.close()

    # ---------------------------------------------------------------- the checks

    def time(self) -> Iterator[Check]:
        """The venue's time, and so whether REST answers; and how far this clock is from it."""
        if self.client is None:
            yield skipped("rest answer", "the keys cannot be used")
            yield skipped("clock", "REST was not asked")
            return
        begin_s = time.monotonic()
        try:
            self.client.server_time()
        except CoincallFastError as error:
            yield failed("rest answer", error, NO_ANSWER)
            yield skipped("clock", "the venue did not tell its time")
            return
        yield ok("rest answer", f"{(time.monotonic() - begin_s) * 1e3:.0f} ms, with TCP and TLS")
        try:
            yield clock(-self.client.sync_clock())
        except CoincallFastError as error:
            yield failed("clock", error, NO_ANSWER)

    def keys(self) -> Iterator[Check]:
        """Whether there are keys, the venue takes them, and what they may do."""
        steps = ("signed read", "permissions", "market maker")
        if self.credentials is None or self.client is None:
            yield failed("keys", self.trouble, SET_KEYS)
            yield from (skipped(step, "no keys") for step in steps)
            return
        yield ok("keys", "a key and its secret")
        client = self.client
        accepted = tried("signed read", lambda: f"user {client.account.user().user_id}", WRONG_KEYS)
        yield accepted
        if accepted.advice:
            yield from (skipped(step, "nothing is told to this key") for step in steps[1:])
            return
        yield _permissions(client)
        yield _market_maker(client)

    def streams(self) -> Iterator[Check]:
        """Whether both sockets let us in, and answer."""
        for product in self.dialect.products:
            name = f"{product} socket"
            if self.credentials is None:
                yield skipped(name, "no keys")
                continue
            yield self._socket(name, f"{self.ws_url}/{product}", self.credentials)

    def _socket(self, name: str, url: str, signer: Credentials) -> Check:
        failure: CoincallFastError | None = None
        for spelling in self.dialect.spellings:
            begin_s = time.monotonic()
            try:
                with Line(url, partial(_signed, signer, spelling)) as line:
                    open_ms = (time.monotonic() - begin_s) * 1e3
                    return ok(
                        name,
                        f"open in {open_ms:.0f} ms, signed with {spelling}=; "
                        f"a heartbeat was answered in {self._beat_ms(line):.1f} ms",
                    )
            except AuthError as error:
                failure = failure or error
            except CoincallFastError as error:
                return failed(name, error, NO_ANSWER)
        return failed(name, failure, WRONG_KEYS)

    def _beat_ms(self, line: Line) -> float:
        begin_ns = time.monotonic_ns()
        line.send(self.dialect.heartbeat(0))
        for came in line.all(PATIENCE_S):
            said = decode(came.frame)
            if isinstance(said, Heartbeat):
                return (came.ns - begin_ns) / 1e6
            reply = self.dialect.reply(said) if isinstance(said, Ack) else None
            if reply is not None and reply.final is not None:
                raise reply.final
        raise TransportError("no answer to a heartbeat")


def clock(ahead_ms: float) -> Check:
    """How far this machine's clock is ahead of the venue's; negative is behind."""
    seen = f"{abs(ahead_ms):.0f} ms {'ahead of' if ahead_ms > 0 else 'behind'} the venue's"
    if ahead_ms > AHEAD_MS or ahead_ms < -BEHIND_MS:
        return failed("clock", f"{seen}: streams will be refused", SET_CLOCK)
    if abs(ahead_ms) > OFF_MS:
        return warned("clock", seen, SET_CLOCK)
    return ok("clock", seen)


def _permissions(client: Client) -> Check:
    name = "permissions"
    try:
        key = client.account.key()
    except CoincallFastError as error:
        return warned(name, f"not told: {error}", "an order will tell; nothing else does")
    seen = "" if key.is_master is None else f", of a {'master' if key.is_master else 'sub'} account"
    if key.is_read_only:
        advice = "right for looking on; to trade, make a key that may"
        return warned(name, f"reads only{seen}", advice)
    if key.is_read_only is None:
        return warned(name, f"the venue does not say{seen}", "an order will tell")
    return ok(name, f"reads and trades{seen}")


def _market_maker(client: Client) -> Check:
    name = "market maker"
    without = "no dead-man's switch and no batches: ask the venue for a market maker's permission"
    try:
        standing = client.countdowns()
    except VenueError as error:
        return warned(name, error, without)
    except CoincallFastError as error:
        return failed(name, error, NO_ANSWER)
    return ok(name, f"countdowns may be set; {len(standing)} stand")


def _signed(signer: Credentials, spelling: str, url: str) -> str:
    """By this machine's clock, as a `Stream` does."""
    return signer.ws_url(url, time.time_ns() // 1_000_000, spelling)

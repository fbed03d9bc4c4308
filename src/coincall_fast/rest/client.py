"""`Client`: Coincall's signed REST, by nouns and verbs (contract, section 5)."""

import contextlib
import inspect
import logging
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from functools import partial
from itertools import count
from typing import Any, Literal, Self

from requests.adapters import BaseAdapter

from ..environment import credentials, hosts
from ..errors import CoincallFastError, OrdersRemain, UsageError
from ..message import Order
from ..signing import Hidden
from ..steps import Step
from .account import AccountNoun
from .answers import read
from .calls import Rest, refuse_to_block
from .countdown import PRODUCTS, Countdowns, is_not_permitted
from .deadman import Deadman, Keeper, Late
from .decimals import integer
from .direct import Direct
from .endpoints import ENDPOINTS, RATES, with_reserve
from .exchange import Place, Timeout, Way
from .futures import Futures
from .guard_process import GuardProcess
from .http import Http
from .inquiry import Desk
from .limits import Limits
from .options import Options
from .rates import Rate
from .reports import Countdown, FundingRate
from .sightings import Sightings, Steps
from .submitting import Submitting
from .trading import Guard, Trading
from .watch import Watch

__all__ = ["Client", "Timeout"]

log = logging.getLogger("coincall_fast")

TIMEOUT = Timeout()
PAUSE_S = 0.25  # between two looks at whether all orders are gone
WARM = 4  # connections for what is submitted
EMPTY_LOOKS = 2  # one list without orders does not prove that there are none (section 5, quirk 27)


class Client:
    """Client(api_key=None, api_secret=None, *, env=None, rest_url=None, window_ms=5000,
    order_window_ms=1500, read_only=False, order_guard=None, timeout=Timeout(3, 5, 10), rates=None,
    rate_wait_s=5.0, adapter=None)

    Coincall's REST. Use it as a context manager, or `close` it. Any thread may call.

    Keys come from the arguments or from COINCALL_API_KEY and COINCALL_API_SECRET; without them
    public verbs work. `env` is "prod" or "beta", else COINCALL_ENV, else "prod"; `rest_url` is
    another address. The venue refuses what is older than `window_ms`, an order than
    `order_window_ms`. With `read_only`, verbs that trade or change something raise UsageError.
    `order_guard(order)` sees every new or changed order before it is signed, and raises (or
    returns False) to forbid it; `Limits` is one. `timeout` is a `Timeout` or, as seconds, its
    total. `rates` replaces some of `endpoints.RATES`; a request waits for its place in them for up
    to `rate_wait_s`, then RateLimited is raised and nothing sent. Of a "cancel" among them, what
    cancels many orders at once keeps a share.

    What trades goes over connections of our own, which cost far less than requests does. With an
    `adapter` of requests (``requests.adapters.HTTPAdapter()``, or one of yours) everything goes
    through that one, whose connections are not shared with a child after a fork; `is_sent` is then
    true unless it can be ruled out, and dialling has no deadline but connect_s for each address.
    Where the environment has a proxy, requests carries everything, too.

    Reads are repeated within the total. What trades is sent once, but for cancellations, which may
    be repeated; where its outcome is unknown the venue is asked for it, beyond the total. An order
    that appears when nobody counts on it any more is cancelled, from a thread of the client's. The
    first signed request asks the venue for its time before.
    """

    def __init__(
        self,
        api_key: str | None = None,
        api_secret: str | None = None,
        *,
        env: str | None = None,
        rest_url: str | None = None,
        window_ms: int = 5000,
        order_window_ms: int = 1500,
        read_only: bool = False,
        order_guard: Guard | None = None,
        timeout: Timeout | float = TIMEOUT,
        rates: Mapping[str, Rate] | None = None,
        rate_wait_s: float = 5.0,
        adapter: BaseAdapter | None = None,
    ) -> None:
        # First of all, so that no error shows them among its frame's locals.
        given = Hidden(api_key=api_key or "", api_secret=api_secret or "")
        del api_key, api_secret
        base_url = rest_url or hosts(env).rest
        limits = timeout if isinstance(timeout, Timeout) else Timeout(total_s=timeout)
        if min(limits) <= 0:
            raise UsageError("a timeout is more than 0 seconds")
        if unknown := (rates or {}).keys() - RATES.keys():
            raise UsageError(f"no rate classes: {', '.join(sorted(unknown))}")
        place = Place.parse(base_url)
        ordinary = Http(place, limits, adapter)
        urgent: Way = ordinary
        if adapter is None and not ordinary.has_proxy:
            urgent = Direct(place, limits, ordinary.certificates)
        self._name = place.name
        self._rest = Rest(
            ordinary,
            urgent,
            ENDPOINTS,
            read,
            credentials(**given),
            rates=with_reserve({**RATES, **(rates or {})}, rates or {}),
            rate_wait_s=rate_wait_s,
            total_s=limits.total_s,
            window_ms=integer(window_ms, "window_ms"),
            order_window_ms=integer(order_window_ms, "order_window_ms"),
        )
        self._total_s = limits.total_s
        self._verbs: dict[str, Callable[..., Any]] = {}  # those that were submitted
        self._submitting = Submitting(self._warm_for_submits)
        # What a guard process needs to be a client like this one.
        self._settings = {
            "rest_url": base_url,
            "timeout": list(limits),
            "window_ms": window_ms,
            "order_window_ms": order_window_ms,
        }
        self._switches: list[Deadman] = []
        self._is_read_only = read_only
        self.account = AccountNoun(self._rest, read_only)
        self._steps = Steps()
        if isinstance(order_guard, Limits):  # it judges changes by what they change
            self._steps.add(order_guard.on_step)
        self._sightings = Sightings()
        self._watch = Watch(self._sightings, self._steps.tell)
        desk = partial(Desk, sightings=self._sightings, tell=self._steps.tell, watch=self._watch)
        self.options = Options(self._rest, order_guard, read_only, desk)
        self.futures = Futures(self._rest, order_guard, read_only, desk)

    def close(self) -> None:
        """Closes what is open; the client cannot be used any more.

        What was submitted and has not had its turn is not sent, and its futures say so; for what
        has been sent, the answer is waited for, as long as the timeout says. What is not sent, or
        not answered by then, is logged. Whoever waits for the outcome of an order gets
        AmbiguousOrderError. A dead-man's switch that was not closed before gets no more beats, so
        that its orders are cancelled.
        """
        self._rest.let_go()
        self._sightings.close()
        try:
            self._submitting.close(self._total_s)
        finally:
            for switch in self._switches:
                switch.abandon()
            self._rest.close()
            self._watch.close(self._rest.total_s)

    # ---------------------------------------------------------------- without waiting

    def submit(self, verb: str, **arguments: Any) -> Future[Any]:
        """Has a verb called by another thread: ``submit("options.place_order", symbol=...)``.

        For threads that must not wait, such as one that reads a stream: it takes some microseconds.
        `verb` is any public one of this client or its nouns, which takes its arguments by name;
        UsageError for one that does not exist. What it returns (of a history, all rows) or raises
        arrives in the future. Do not wait for that on a reading thread: frames would wait, too.

        Cancellations have threads of their own, orders and modifications others, and what else
        there is others again: so a cancellation may overtake an order that was submitted before and
        waits for its place in the rate limits. What is about one order, by the same `order_id` or
        `client_order_id`, keeps its order. What waits for its turn can be withdrawn by
        `future.cancel()`; `rate_wait_s` counts from its turn on. The first call has some
        connections dialled and kept warm; `warm` does it before.
        """
        call = self._verbs.get(verb)
        if call is None:
            call = self._verbs[verb] = self._verb(verb)
        return self._submitting.submit(verb, call, arguments)

    def _verb(self, name: str) -> Callable[..., Any]:
        found: Any = self
        for part in str(name).split("."):
            found = getattr(found, part, None) if part and not part.startswith("_") else None
        if not inspect.ismethod(found) or name in ("close", "submit"):
            raise UsageError(f"no verb {name!r}: one such as 'options.place_order'")
        return found

    def warm(self, connections: int = 2) -> None:
        """Has so many connections for orders ready, and asks the venue for its time. From then on
        each is used (by a public GET of the time) before the venue may take it for idle, from a
        thread of its own, until `close`. Raises TransportError where they do not come about."""
        self._rest.warm(integer(connections, "connections"))

    def _warm_for_submits(self) -> None:
        with contextlib.suppress(CoincallFastError):  # whatever it is, the call will say it
            self._rest.warm(WARM)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        rest = getattr(self, "_rest", None)  # of a client that could not be made, there is none
        if rest is None:
            return "<Client>"
        return f"<Client {self._name} {rest.credentials or 'no key'}>"

    def __reduce__(self) -> str:
        raise TypeError("a client is not pickled or copied")

    # ---------------------------------------------------------------- what becomes of orders

    def on_step(self, callback: Callable[[Step], object]) -> Callable[[], None]:
        """Has every step of every order told to a callback: on the thread of the call that it is a
        step of, or of the watch for late orders. One that raises is logged, and ends nothing.
        Returns what, when it is called, has it told no more."""
        return self._steps.add(callback)

    def heard(self, order: Order) -> None:
        """Tells the client of an order that was seen, as a push of a stream shows it. It ends the
        wait for an unknown outcome at once, and finds orders that come late. Any thread may call;
        it never waits."""
        self._sightings.heard(order)

    # ---------------------------------------------------------------- the venue

    def server_time(self) -> int:
        """The venue's clock, epoch milliseconds."""
        time_ms: int = self._rest.call("time", {})
        return time_ms

    def sync_clock(self, *, every_s: float | None = None) -> float:
        """Asks for the venue's time, in several round trips, and signs with it from now on.

        Returns how far it is ahead of this machine's clock, in milliseconds. With `every_s`, it is
        asked again so often, from a thread of its own, until `close`.
        """
        ahead_ms = self._rest.sync()
        if every_s is not None:
            self._rest.keep_clock(every_s)
        return ahead_ms

    def config(self) -> dict[str, Any]:
        """The public configuration, as the venue says it: fees, ticks and limits by pair. Numbers
        with a point are Decimal."""
        config: dict[str, Any] = self._rest.call("config", {})
        return config

    def funding_rates(self, *symbols: str) -> list[FundingRate]:
        """Of these perpetuals, or of all."""
        rates: list[FundingRate] = self._rest.call(
            "funding_rates", {"symbol_list": symbols or None}
        )
        return rates

    def countdowns(self) -> list[Countdown]:
        """The account's countdowns (see `deadman`), as the venue has them. A read, which needs a
        market maker's permission all the same."""
        rows: list[Countdown] = []
        for product in PRODUCTS:
            rows += self._rest.call("countdowns", {"product": product})
        return rows

    # ---------------------------------------------------------------- the end of all orders

    def cancel_everything(self, timeout: float) -> None:
        """Cancels all orders of both products; returns once none was open twice in a row.

        Cancels what this client has placed orders in, and whatever is listed as open, again and
        again for `timeout` seconds; then raises OrdersRemain, with the orders that are left. An
        error of the venue or the network does not end it before, and no request takes more than
        half of what is left of the time: if one product hangs, the other has its turn all the same.
        """
        if self._is_read_only:
            raise UsageError("this client is read-only: no cancel_everything")
        refuse_to_block("cancel_everything")
        end_s = time.monotonic() + timeout
        looks = 0
        markets: tuple[Trading, ...] = (self.options, self.futures)
        wanted = {market: set(market.traded) for market in markets}
        left: dict[Trading, list[Order]] = {market: [] for market in markets}
        failure: CoincallFastError | None = None
        for turn in count():
            failure = None
            for market in markets:
                share_s = _half(end_s)
                for index in sorted(wanted[market]):
                    try:
                        market._cancel_all_once(index, end_s=_half(share_s))
                        wanted[market].remove(index)
                    except CoincallFastError as error:  # the others' turn all the same
                        failure = error
            for market in markets:
                try:
                    left[market] = market.open_orders(end_s=_half(end_s))
                except CoincallFastError as error:
                    failure = error
                wanted[market] |= {market.index_of(order.symbol or "") for order in left[market]}
            looks = 0 if failure or any(left.values()) else looks + 1
            if looks == EMPTY_LOOKS:
                return
            if turn or not any(wanted.values()):  # what the first list has goes at once
                if time.monotonic() + PAUSE_S >= end_s:
                    break
                time.sleep(PAUSE_S)
        orders = tuple(order for some in left.values() for order in some)
        ids = ", ".join(f"{order.symbol} {order.order_id}" for order in orders) or "nobody knows"
        why = "" if failure is None else f" ({failure})"
        raise OrdersRemain(f"open after {timeout} s: {ids}{why}", orders)

    def deadman(
        self,
        symbols: Iterable[str],
        timeout_ms: int,
        *,
        keeper: Literal["venue", "process"] | None = None,
        on_late: Callable[[Late], object] | None = None,
        cancel_on_exit: bool = True,
        log_path: str | None = None,
    ) -> Deadman:
        """Has all orders cancelled unless this program gives a sign of life; see `Deadman`, which
        it comes back as, already running.

        The venue does it, of both products in these pairs, such as "BTCUSD", after `timeout_ms`
        without a beat. That needs a market maker's permission. Without it, or with
        `keeper="process"`, a guard process on this machine does, of all orders of the account:
        when this program has ended, or has missed three beats of one a second (or of a third of
        `timeout_ms`, where that is shorter). It writes what it does to `log_path`, or what went
        wrong to stderr.

        `on_late(late)` hears of each beat that is late, on a thread of its own.
        Where a countdown cannot be set for another reason, raises, after it took back the others.
        """
        if self._is_read_only:
            raise UsageError("this client is read-only: no deadman")
        refuse_to_block("deadman")
        if keeper not in (None, "venue", "process"):
            raise UsageError(f"keeper is 'venue' or 'process', not {keeper!r}")
        pairs = (symbols,) if isinstance(symbols, str) else symbols
        indexes = tuple(dict.fromkeys(Trading.index_of(symbol) for symbol in pairs))
        timeout_ms = integer(timeout_ms, "timeout_ms")
        if not indexes or timeout_ms <= 0:
            raise UsageError("a dead-man's switch has symbols, and a time of more than 0 ms")
        switch = Deadman(
            self._kept(keeper, indexes, timeout_ms, log_path),
            indexes,
            timeout_ms,
            self.cancel_everything,
            on_late=on_late,
            cancel_on_exit=cancel_on_exit,
        )
        self._switches = [*(one for one in self._switches if not one.is_closed), switch]
        return switch

    def _kept(
        self, keeper: str | None, indexes: tuple[str, ...], timeout_ms: int, log_path: str | None
    ) -> Keeper:
        """Who is to cancel, once it has begun to wait for beats."""
        if keeper != "process":
            countdowns = Countdowns(self._rest, indexes, timeout_ms)
            try:
                countdowns.set()
                return countdowns
            except CoincallFastError as error:
                with contextlib.suppress(CoincallFastError):
                    countdowns.release()
                if keeper == "venue" or not is_not_permitted(error):
                    raise
                log.info("no countdown at the venue, but a guard process: %s", error)
        if self._rest.credentials is None:
            raise UsageError("a guard process needs an API key and secret")
        settings = {**self._settings, "log_path": log_path}
        credentials, conditions = self._rest.credentials, self._rest.conditions
        guard = GuardProcess(settings, credentials, timeout_ms, self._traded, conditions)
        try:
            guard.set()
        except BaseException:
            guard.abandon()
            raise
        return guard

    def _traded(self) -> frozenset[str]:
        """Where orders were placed, as ``options:BTCUSD``."""
        markets: tuple[Trading, ...] = (self.options, self.futures)
        return frozenset(
            f"{market.product}:{index}" for market in markets for index in market.traded
        )


def _half(end_s: float) -> float:
    """When half of the time until then has passed."""
    now_s = time.monotonic()
    return now_s + max(0.0, end_s - now_s) / 2

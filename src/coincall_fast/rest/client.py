"""`Client`: Coincall's signed REST, by nouns and verbs (contract, section 5)."""

import contextlib
import inspect
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from functools import partial
from itertools import count
from typing import Any, Self

from requests.adapters import BaseAdapter

from ..environment import credentials, hosts
from ..errors import CoincallFastError, OrderRejected, OrdersRemain, UsageError
from ..message import Order
from ..signing import Hidden
from ..steps import Step
from .account import AccountNoun
from .answers import read
from .calls import Rest, refuse_to_block
from .decimals import integer
from .direct import Direct
from .endpoints import ENDPOINTS, RATES, with_reserve
from .exchange import Place, Timeout, Way
from .futures import Futures
from .http import Http
from .inquiry import Desk
from .options import Options
from .rates import Rate
from .reports import Countdown, FundingRate
from .sightings import Sightings, Steps
from .submitting import Submitting
from .trading import Guard, Trading
from .watch import Watch

__all__ = ["Client", "Deadman", "Timeout"]

TIMEOUT = Timeout()
PAUSE_S = 0.25  # between two looks at whether all orders are gone
WARM = 4  # connections for what is submitted
EMPTY_LOOKS = 2  # one list without orders does not prove that there are none (section 5, quirk 27)

_COUNTED = {1: "options", 2: "futures"}  # what the venue calls the products of a countdown


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
    returns False) to forbid it. `timeout` is a `Timeout` or, as seconds, its total. `rates`
    replaces some of `endpoints.RATES`; a request waits for its place in them for up to
    `rate_wait_s`, then RateLimited is raised and nothing sent. Of a "cancel" among them, what
    cancels many orders at once keeps a share.

    What trades goes over connections of our own, which cost a fifth of what requests does. With an
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
        self._is_read_only = read_only
        self.account = AccountNoun(self._rest, read_only)
        self._steps = Steps()
        self._sightings = Sightings()
        self._watch = Watch(self._sightings, self._steps.tell)
        desk = partial(
            Desk, sightings=self._sightings, tell=self._steps.tell, watch=self._watch.add
        )
        self.options = Options(self._rest, order_guard, read_only, desk)
        self.futures = Futures(self._rest, order_guard, read_only, desk)

    def close(self) -> None:
        """Closes what is open; the client cannot be used any more.

        What was submitted and has not had its turn is not sent, and its futures say so; for what
        has been sent, the answer is waited for, as long as the timeout says. What is not sent, or
        not answered by then, is logged. Whoever waits for the outcome of an order gets
        AmbiguousOrderError.
        """
        self._rest.let_go()
        self._sightings.close()
        self._submitting.close(self._total_s)
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

    def on_step(self, callback: Callable[[Step], object]) -> None:
        """Has every step of every order told to a callback: on the thread of the call that it is a
        step of, or of the watch for late orders. One that raises is logged, and ends nothing."""
        self._steps.add(callback)

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
        for product in _COUNTED:
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
                        market.cancel_all_once(index, end_s=_half(share_s))
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

    def deadman(self, symbols: Iterable[str], timeout_ms: int) -> "Deadman":
        """Has the venue cancel all orders of both products in these pairs, such as "BTCUSD", unless
        it hears `beat()` within `timeout_ms`. Needs a market maker's permission. Where one of
        the countdowns cannot be set, raises, after it took back the others."""
        if self._is_read_only:
            raise UsageError("this client is read-only: no deadman")
        pairs = (symbols,) if isinstance(symbols, str) else symbols
        indexes = tuple(dict.fromkeys(Trading.index_of(symbol) for symbol in pairs))
        switch = Deadman(self._rest, indexes, integer(timeout_ms, "timeout_ms"))
        try:
            switch.set()
        except CoincallFastError:
            with contextlib.suppress(CoincallFastError):
                switch.close()
            raise
        return switch


def _half(end_s: float) -> float:
    """When half of the time until then has passed."""
    now_s = time.monotonic()
    return now_s + max(0.0, end_s - now_s) / 2


class Deadman:
    """The venue's countdown over some pairs, as long as it is beaten. Nothing beats it by itself.

    At the end of a `with` the countdown is taken back; orders stay. Once it has lapsed the venue
    takes no orders until it is `set` again (OrderRejected, 10619). What fails for one product or
    symbol is raised once all others have been asked.
    """

    def __init__(self, rest: Rest, symbols: tuple[str, ...], timeout_ms: int) -> None:
        if not symbols or timeout_ms <= 0:
            raise UsageError("a countdown has symbols, and a time of more than 0 ms")
        self.symbols = symbols
        self.timeout_ms = timeout_ms
        self._rest = rest

    def set(self) -> None:
        """Starts the countdowns, or starts them again."""
        self._each(self.timeout_ms)

    def beat(self) -> None:
        """A sign of life. Raises OrderRejected (10619) where a countdown has lapsed meanwhile."""
        _all(partial(self._beat, product) for product in _COUNTED)

    def _beat(self, product: int) -> None:
        heard = self._rest.call("beat", {"product": product, "symbols": self.symbols})
        if lapsed := [symbol for symbol in self.symbols if symbol not in heard]:
            what = f"the countdown of {_COUNTED[product]} has lapsed: {', '.join(lapsed)}"
            raise OrderRejected(what, 10619)

    def standing(self) -> list[Countdown]:
        """The account's countdowns, as the venue has them."""
        rows: list[Countdown] = []
        for product in _COUNTED:
            rows += self._rest.call("countdowns", {"product": product})
        return rows

    def close(self) -> None:
        """Takes the countdowns back."""
        self._each(0)

    def _each(self, countdown_ms: int) -> None:
        _all(
            partial(
                self._rest.call,
                "countdown",
                {"product": product, "symbol": symbol, "countdown_ms": countdown_ms},
            )
            for product in _COUNTED
            for symbol in self.symbols
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Deadman {', '.join(self.symbols)}: {self.timeout_ms} ms>"


def _all(calls: Iterable[Callable[[], object]]) -> None:
    """Each of them, whatever becomes of the others; then raises the first error that there was."""
    failure: CoincallFastError | None = None
    for call in calls:
        try:
            call()
        except CoincallFastError as error:
            failure = failure or error
    if failure is not None:
        raise failure

"""A stream that stays connected: what the user wants of it, over links that see to it.

Whatever the user says is handed to the threads of the links, and callbacks run on those.
"""

import logging
import os
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any, ClassVar, Protocol, Self

from .._book import BookStore
from ..errors import TransportError, UsageError
from ..message import Message, Order
from ..model import Channel
from ..signing import Hidden
from ..steps import Step
from ..tracking.reconciler import Reconciler
from ..tracking.tracker import OrderTracker
from .connection import Address, Proxy
from .dialect import Dialect, Request
from .fetcher import Fetcher
from .inbox import Item
from .latency import Latency
from .link import Link
from .listeners import Listeners
from .recorder import Recorder
from .session import LastUpdate, Session

__all__ = ["Stream"]

log = logging.getLogger("coincall_fast")

EVENTS = ("gap", "stale", "error", "state")
OWN = (Channel.ORDERS, Channel.FILLS, Channel.POSITIONS, Channel.ACCOUNT)


class Trader(Protocol):
    """What a stream asks a `Client`, beside its nouns."""

    account: Any

    def on_step(self, callback: Callable[[Step], object]) -> Callable[[], object]: ...

    def heard(self, order: Order) -> object: ...


class Stream:
    """A signed, self-healing stream of one venue into a store of books.

    Use it as a context manager, or `start` and `close` it. Books of a lost connection are invalid
    until a fresh frame comes; it is dialled again with growing, jittered waits, signed anew, and
    everything wanted is subscribed again. Every method may be called from any thread, callbacks
    included. In a child process after a fork it is closed.
    """

    dialect_type: ClassVar[type[Dialect]]

    def __init__(
        self,
        *products: str,
        api_key: str | None = None,
        api_secret: str | None = None,
        env: str | None = None,
        ws_url: str | None = None,
        store: BookStore | None = None,
        stale_after_ms: int | None = 5_000,
        sockets: int = 1,
        proxy: str | None = None,
        **venue: Any,
    ) -> None:
        # First of all, so that no error shows them among its frame's locals.
        given = Hidden(api_key=api_key or "", api_secret=api_secret or "", proxy=proxy or "")
        del api_key, api_secret, proxy
        through = Proxy(given["proxy"]) if given["proxy"] else None
        del given["proxy"]
        self.dialect = self.dialect_type(**venue)
        chosen = tuple(dict.fromkeys(products or self.dialect.products))
        for product in chosen:
            if product not in self.dialect.products:
                raise UsageError(f"{product!r} is none of {', '.join(self.dialect.products)}")
        if sockets < 1:
            raise UsageError("a product has at least one socket")
        self.products = chosen
        self.store = BookStore(wire=self.dialect.wire) if store is None else store
        self.latency = Latency()
        self._credentials = self.dialect.credentials(**given)
        self._listeners = Listeners(self.dialect)
        self._lock = threading.RLock()  # over what is below; a signal handler may close
        self._state_told = "new"
        self._states: deque[str] = deque()  # to be told, by one thread at a time, in order
        self._is_telling = False
        self._homes: dict[tuple[str, str], Link] = {}  # of symbols, by product
        self._book_types: dict[str, str] = {}  # of symbols: they have one book each
        self._recorder: Recorder | None = None
        self._tracker: OrderTracker | None = None
        self._reconciler: Reconciler | None = None
        self._client: Trader | None = None  # that is told of orders
        self._untrack: Callable[[], object] | None = None  # has it tell of its steps no more
        for own in OWN:  # before anybody else
            self._listeners.add(own, self._hear)
        rest_url = self.dialect.rest_url(env)
        self._fetcher = Fetcher(rest_url, self.dialect.venue) if rest_url else None
        self._is_started = False
        base = (ws_url or self.dialect.ws_url(env)).rstrip("/")
        stale_after_ns = None if stale_after_ms is None else stale_after_ms * 1_000_000
        made: dict[str, list[Link]] = {}
        for product in chosen:
            for place, line in enumerate(self.dialect.lines(product)):
                made[line] = [
                    Link(
                        line if number == 0 else f"{line} {number + 1}",
                        Address.parse(f"{base}{self.dialect.path(line)}"),
                        through,
                        Session(
                            self.dialect,
                            line,
                            self.store,
                            stale_after_ns=stale_after_ns,
                            keys=self._credentials,
                        ),
                        self._listeners,
                        self.latency,
                        spellings=self.dialect.spellings,
                        sign=self._signed,
                        on_state=self._tell_state,
                        fetcher=self._fetcher,
                        is_wanted=place == 0,
                    )
                    for number in range(sockets if place == 0 else 1)
                ]
        self._links = made
        self._all_links = [link for links in self._links.values() for link in links]
        _streams.add(self)

    def _signed(self, url: str, spelling: str) -> str:
        now_ms = time.time_ns() // 1_000_000
        return self.dialect.signed(url, self._credentials, now_ms, spelling)

    # ---------------------------------------------------------------- life

    def start(self) -> Self:
        """Begins to dial, unless it has begun already; returns at once."""
        if self._listeners.is_closed:
            raise UsageError("a closed stream is not started again")
        self._is_started = True
        self._start_wanted()
        return self

    def _start_wanted(self) -> None:
        with self._lock:  # two threads may start them
            for link in self._all_links:
                if link.is_wanted and link.ident is None and not self._listeners.is_closed:
                    link.start()

    def close(self) -> None:
        """Ends it for good: within a second every book is invalid and every thread gone.

        No callback begins and nothing is dialled once this has returned. Idempotent.
        """
        with self._lock:
            self._listeners.is_closed = True
        if self._fetcher is not None:
            self._fetcher.close()
        for link in self._all_links:
            link.stop()
        end_s = time.monotonic() + 0.5
        for link in self._all_links:
            link.wait(end_s)
        for link in self._all_links:
            link.cut()
        for link in self._all_links:
            link.wait(end_s + 0.2)
        for link in self._all_links:
            link.abandon()  # one that is stuck: in a callback, in a name server
        if self._recorder is not None:
            self._recorder.end(0.2)
        if self._reconciler is not None:
            self._reconciler.close()
        if self._untrack is not None:  # or each order of the client's would stay open for ever
            self._untrack()
        self._tell_state(self.state)
        self._listeners.end_iterations()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def error(self) -> Exception | None:
        """The last one that was told."""
        return self._listeners.error

    @property
    def state(self) -> str:
        """The least of its connections: "new", "connecting", "open", "failed" or "closed".

        "failed" is final, and `error` says why: the venue refused the keys.
        """
        states = [link.state for link in self._all_links if link.is_wanted]
        if "failed" in states:
            return "failed"
        if self._listeners.is_closed:
            return "closed"
        return next(state for state in ("closed", "new", "connecting", "open") if state in states)

    @property
    def last_updates(self) -> dict[str, LastUpdate]:
        """By the venue's name of each channel, when it last had something to say.

        A venue sends nothing again after a lost connection ("gap"): what a channel of the account
        may have missed is what has happened since then. Books know it themselves.
        """
        found: dict[str, LastUpdate] = {}
        for link in self._all_links:
            for channel, last in list(link.session.last.items()):
                if channel not in found or last.recv_ns > found[channel].recv_ns:
                    found[channel] = last
        return found

    def wait_open(self, timeout_s: float) -> None:
        """Blocks until every connection is open; raises what went wrong, or TransportError."""
        end_s = time.monotonic() + timeout_s
        while self.state != "open":
            if self.state in ("failed", "closed") or time.monotonic() > end_s:
                raise self.error or TransportError(f"not connected within {timeout_s:g} s")
            time.sleep(0.005)

    # ---------------------------------------------------------------- what the user wants

    def subscribe(
        self, channel: str, symbols: str | Iterable[str] | None = None, **payload: Any
    ) -> None:
        """Wants a `Channel`, or a channel by the venue's own name, now and after reconnects.

        Each symbol goes to the connection of its product. Raises UsageError for a channel or
        product that this stream does not have.
        """
        self._want("subscribe", channel, symbols, payload)

    def unsubscribe(
        self, channel: str, symbols: str | Iterable[str] | None = None, **payload: Any
    ) -> None:
        """Wants it no longer; without symbols the whole channel. Books concerned are cleared."""
        self._want("unsubscribe", channel, symbols, payload)

    def _want(
        self,
        action: str,
        channel: str,
        symbols: str | Iterable[str] | None,
        payload: dict[str, Any],
    ) -> None:
        if self._listeners.is_closed:
            raise UsageError("the stream is closed")
        if "symbol" in payload:
            raise UsageError("symbols are given as the second argument, not as symbol=")
        named: list[str | None] = [symbols] if isinstance(symbols, str) else [*(symbols or ())]
        wanted: dict[tuple[Link, str], list[str]] = {}
        for symbol in [None] if symbols is None else named:
            data_types = self.dialect.data_types(channel, symbol)
            products = [product for product in data_types if product in self._links]
            if not products:
                raise UsageError(
                    f"{symbol or channel} belongs to {' and '.join(data_types)}, "
                    f"and this stream has {' and '.join(self._links)}"
                )
            for product in products:
                if symbol is not None:
                    links = [self._home(product, symbol)]
                else:  # a whole channel: there is nothing to spread, but perhaps much to give up
                    links = self._links[product][: 1 if action == "subscribe" else None]
                if self.dialect.is_private(data_types[product]):
                    if self._credentials is None:
                        raise UsageError(f"{data_types[product]} is private, and there are no keys")
                    links = self._links[product][:1]
                for link in links:
                    held = wanted.setdefault((link, data_types[product]), [])
                    held += [] if symbol is None else [symbol]
        for (_, data_type), held in wanted.items():
            try:  # what cannot be written is refused here, not on the link's thread
                self.dialect.request(Request(action, data_type, tuple(held), payload), None, 0)
            except (TypeError, ValueError) as error:
                raise UsageError(f"no payload: {error}") from None
        for (_, data_type), held in wanted.items():
            self._one_book_each(action, data_type, held)
        for (link, data_type), held in wanted.items():
            link.is_wanted = True
            link.ask(action, data_type, tuple(held), payload)
        if self._is_started:
            self._start_wanted()

    def _one_book_each(self, action: str, data_type: str, symbols: list[str]) -> None:
        """Two channels of one book would be mixed up in it. Raises UsageError."""
        if data_type not in self.dialect.book_types:
            return
        with self._lock:
            for symbol in symbols:
                other = self._book_types.get(symbol, data_type)
                if action == "subscribe" and other != data_type:
                    raise UsageError(f"the book of {symbol} comes by {other} already")
            for symbol in symbols or list(self._book_types):
                if action == "subscribe":
                    self._book_types[symbol] = data_type
                elif self._book_types.get(symbol) == data_type:
                    del self._book_types[symbol]

    def _home(self, product: str, symbol: str) -> Link:
        """The link of a symbol, with all its channels: the one that had the fewest at first."""
        links = self._links[product]
        if len(links) == 1:
            return links[0]
        with self._lock:
            home = self._homes.get((product, symbol))
            if home is None:
                held = list(self._homes.values())
                home = self._homes[product, symbol] = min(links, key=held.count)
            return home

    def on(self, event: str, callback: Callable[..., object]) -> None:
        """Calls back on the reading thread, which waits for it.

        A channel's callback gets each item: a book is consistent during the call. "gap" gets
        (start_ns, end_ns) by ``time.monotonic_ns()``, "stale" a symbol, "error" the exception,
        "state" the new `state` ("closed" on the thread that closes). A callback that raises is
        reported to "error" and kept. Raises UsageError for an event that never comes.
        """
        if event not in EVENTS and not self.dialect.is_name(event):
            raise UsageError(f"{event!r} is neither a channel nor one of {', '.join(EVENTS)}")
        self._listeners.add(event, callback)

    def record(self, path: str | os.PathLike[str]) -> Recorder:
        """Records all that comes from now on, frame by frame as received; `replay` plays it.

        Ends with the stream, or with what is returned: use that as a context manager. A recording
        that is there already is continued. What is wrong with it later, such as a full disk, goes
        to "error" and ends the recording alone. Raises RecordingError where it cannot begin.
        """
        if self._listeners.is_closed:
            raise UsageError("the stream is closed")
        if self._recorder is not None and not self._recorder.has_ended:
            raise UsageError("the stream is being recorded already")
        about = {"venue": self.dialect.venue, "products": [*self.products]}
        if self.dialect.edition:
            about["edition"] = self.dialect.edition
        self._recorder = Recorder(path, about, self._report)
        for link in self._all_links:
            link.ask("record", self._recorder.track(link.track))
        return self._recorder

    def _report(self, error: Exception) -> None:
        """Told on the reading thread of an open connection; while there is none, logged."""
        links = sorted(self._all_links, key=lambda link: link.state != "open")
        links[0].ask("report", error)
        if links[0].state != "open":
            log.error("%s", error)

    # ---------------------------------------------------------------- one's own

    @property
    def orders(self) -> OrderTracker:
        """The tracker of one's own orders, positions and balances, fed before other callbacks.

        Its first use subscribes to all private channels of the stream's products; UsageError where
        there are no keys. It knows what it is told from then on; what there was before, and what
        happens while there is no connection ("gap"), REST must tell: see `track`, which only
        Coincall has.
        """
        with self._lock:
            if self._tracker is None:
                self._tracker = OrderTracker(on_error=self._report)
                try:
                    for channel in () if self._listeners.is_closed else self.dialect.private:
                        data_types = self.dialect.data_types(channel, None)
                        if not self._links.keys().isdisjoint(data_types):
                            self.subscribe(channel)
                except BaseException:  # not one that nobody would ever tell anything
                    self._tracker = None
                    raise
            return self._tracker

    def _hear(self, message: Message) -> None:
        tracker, client = self._tracker, self._client
        if tracker is not None:
            tracker.feed(message)
        if client is not None and isinstance(message, Order):
            client.heard(message)

    def track(self, client: Trader) -> Reconciler:
        """Joins a `Client` to `orders`, which it tells of each order that it sends.

        Asks REST for all that stands, and returns what it came to: place no order before. From then
        on a thread of the stream asks again whenever a connection is there anew, and for orders
        that nobody knows of; placing goes on meanwhile. What is returned can `wait` until all of
        that is done. Raises what REST raises; then it may be called again. With the stream it
        ends, and the client tells no more. Raises UsageError for a venue without a `Client`.
        """
        if not self.dialect.has_client:
            raise UsageError(f"there is no Client for {self.dialect.venue}, which could be tracked")
        if self._listeners.is_closed:
            raise UsageError("the stream is closed")
        tracker = self.orders
        markets = {product: getattr(client, product) for product in self.products}
        reconciler = Reconciler(tracker, markets, client.account.summary, self._report)
        for product in markets:
            reconciler.reconcile(product)
        with self._lock:
            if self._reconciler is not None:
                raise UsageError("the stream tracks a client already")
            if self._listeners.is_closed:  # while REST was asked
                raise UsageError("the stream is closed")
            self._reconciler, self._client = reconciler, client
            self._untrack = client.on_step(tracker.step)
        self._listeners.add("confirmed", reconciler.confirmed)
        self._listeners.add("lost", reconciler.lost)
        reconciler.start()
        for product in markets:
            self._links[product][0].ask("confirm")  # private channels are its
        return reconciler

    # ---------------------------------------------------------------- iteration

    def __iter__(self) -> Iterator[Item]:
        """Every message, and each book that has changed since it was last given, until closed.

        A book comes once however many frames it missed, and once more when it became invalid;
        messages are never dropped: a consumer that lags 10 000 of them behind gets TransportError.
        Begins with what comes after the first step; each iteration gets everything.
        """
        with self._listeners.inbox() as inbox:
            if self.state in ("failed", "closed"):
                inbox.end()
            while (item := inbox.take()) is not None:
                yield item
        if self.state == "failed" and self.error is not None:
            raise self.error

    def __repr__(self) -> str:
        if not hasattr(self, "_links"):  # it could not be made
            return "<Stream>"
        return f"<Stream {' '.join(self._links)}: {self.state}, {len(self.store)} books>"

    def _tell_state(self, final: str | None = None) -> None:
        """Of the state that all links together are in, where it is another one now."""
        with self._lock:
            if self._state_told == "closed" or (self._listeners.is_closed and final is None):
                return
            state = final or self.state
            is_news, self._state_told = state != self._state_told, state
            if final is not None:
                self._states.clear()
            elif is_news:
                self._states.append(state)
        if final is not None and is_news:
            self._listeners.tell_state(state)
        self._tell_states()
        if state == "failed":
            self._listeners.end_iterations()

    def _tell_states(self) -> None:
        """One thread at a time, so that the last that is told is the last that was."""
        while True:
            with self._lock:
                if self._is_telling or not self._states:
                    return
                self._is_telling, state = True, self._states.popleft()
            self._listeners.tell_state(state)
            self._is_telling = False


_streams: "weakref.WeakSet[Stream]" = weakref.WeakSet()


def _abandon_in_child() -> None:
    """After a fork: the threads and connections are the parent's alone."""
    for stream in list(_streams):
        stream._lock = threading.RLock()  # the other may be held by a thread that is not here
        stream._listeners.orphan()
        if stream._tracker is not None:
            stream._tracker.orphan()
        for link in stream._all_links:
            link.orphan()
        if stream._fetcher is not None:
            stream._fetcher.orphan()
        for book in stream.store.values():
            book.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_abandon_in_child)

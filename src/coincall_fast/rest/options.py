"""Options: `client.options`. Seed 003; protocol page, sections 2.3, 2.4 and 2.7."""

import contextlib
from collections.abc import Callable, Container, Iterable, Sequence
from functools import partial
from typing import Any, TypeAlias

from ..errors import CoincallFastError, DecodeError, DuplicateOrder, UsageError
from ..message import Kline, OptionChain, Order, Ticker
from .calls import Rest
from .decimals import Number
from .endpoints import MOST_IN_A_BATCH, ORDER, ORDER_CHANGE
from .inquiry import SINCE_MS, Asked, Attempt, Desk
from .instruments import OPTIONS, Instrument, options_of
from .outcomes import is_unknown
from .parameters import wired
from .reports import Delivery, ExpiryEstimate, Protection
from .tickets import Outcome, failed, id_of, identified, is_done, rows_of, said_id
from .trading import Guard, Trading, outcome

__all__ = ["Mmp", "Options"]

Items: TypeAlias = dict[Attempt, dict[str, Any]]  # a batch as it was asked for
Rows: TypeAlias = list[dict[str, Any]]  # and as it was answered

_SAID = ("data", "sdata")  # the order id of a row, by edition


class Options(Trading):
    """`client.options`: the market, and one's own orders and positions."""

    product = OPTIONS

    def __init__(
        self, rest: Rest, guard: Guard | None, is_read_only: bool, desk: Callable[[Asked], Desk]
    ) -> None:
        super().__init__(rest, guard, is_read_only, desk)
        self.mmp = Mmp(self)

    def instruments(self, base: str) -> list[Instrument]:
        """All options of a base currency, such as "BTC"; what orders are checked against is made
        anew with it. Two requests: the public configuration has the ticks and lots."""
        config = self._rest.call("config", {})
        found = options_of(config, self._read("instruments", base=base))
        self._list(found, base)
        return list(found.values())

    def _load_instruments(self, index: str) -> None:
        self.instruments(self.base_of(index))

    def chain(self, index: str, end_time_ms: int | None = None) -> OptionChain:
        """The options of an index and expiry as columns: "BTCUSD", and the venue's expiry in ms."""
        chain: OptionChain = self._read("chain", index=index, end_ms=end_time_ms)
        return chain

    def details(self, symbol: str) -> Ticker:
        """Prices, greeks and volumes of one option; no bid or ask."""
        ticker: Ticker = self._read("details", symbol=symbol)
        return ticker

    def klines(self, symbol: str, period: str, start_ms: int, end_ms: int) -> list[Kline]:
        """Bars: `period` is m1 m5 m15 m30 h1 h4 d1 w1 mn1 or quarter."""
        bars: list[Kline] = self._read(
            "klines",
            symbol=symbol,
            period=period,
            kline_start_ms=start_ms,
            kline_end_ms=end_ms,
            limit=1,  # what the docs demand; the venue sends the whole series all the same
        )
        return bars

    def delivery_prices(self, index: str) -> list[Delivery]:
        """What past expiries of an index were settled at. One call a second."""
        prices: list[Delivery] = self._read("deliveries", symbol=index)
        return prices

    def expiry_estimates(
        self, index: str | None = None, end_time_ms: int | None = None
    ) -> list[ExpiryEstimate]:
        """What expiries would be settled at now: of an index, of one expiry, or of all."""
        estimates: list[ExpiryEstimate] = self._read(
            "expiry_estimates", index=index, end_ms=end_time_ms
        )
        return estimates

    def cancel_symbol(self, symbol: str) -> None:
        """Asks for the end of all orders of one option; repeated as by `cancel_all`."""
        self._repeated("cancel_symbol", None, symbol=symbol)

    # ---------------------------------------------------------------- batches, for market makers

    def _placed(
        self, tickets: Sequence[dict[str, Any]], asked: Sequence[Order], own: Container[int]
    ) -> list[Outcome]:
        for fields in tickets:
            fields.setdefault("time_in_force", "GTC")  # batches demand one
        return self._batch("place_order", ORDER, tickets, asked, self._read_placed, own)

    def _modified(self, changes: Sequence[dict[str, Any]], asked: Sequence[Order]) -> list[Outcome]:
        if len({id_of(order) for order in asked}) < len(asked):
            raise UsageError("two changes of a batch are of one order")
        return self._batch("modify_order", ORDER_CHANGE, changes, asked, self._read_modified)

    def _batch(
        self,
        verb: str,
        parameters: str,
        items: Sequence[dict[str, Any]],
        asked: Sequence[Order],
        read: Callable[[Items, Rows], None],
        own: Container[int] = (),
    ) -> list[Outcome]:
        """One request, whose rows `read` attributes. Raises what refuses them all."""
        if len(items) > MOST_IN_A_BATCH:
            raise UsageError(f"a batch takes {MOST_IN_A_BATCH} orders, not {len(items)}")
        if not items:
            return []
        is_refused = False
        with self._desk.about(verb, asked, own) as attempts:
            for attempt in attempts:
                self._desk.sent(attempt)
            try:
                orders = [wired(parameters, fields) for fields in items]
                rows = rows_of(self._write(f"{verb}s", orders=orders))
            except CoincallFastError as error:
                is_refused = not is_unknown(error)
                for attempt in attempts:
                    self._desk.failed(attempt, error)
            else:
                read(dict(zip(attempts, items, strict=True)), rows)
        if is_refused:
            attempts[0].result()
        return [outcome(attempt) for attempt in attempts]

    def _read_placed(self, items: Items, rows: Rows) -> None:
        """Rows name new order ids, not whose they are, and nobody says that they keep the order.
        So the orders themselves have to: by a push that came already, or by a look at them. Those
        that are refused are watched, in case that a row stands there twice and another is missing.
        """
        ids = {said_id(row, *_SAID) for row in rows if is_done(row)}
        refused = [row for row in rows if not is_done(row)]
        if len(rows) != len(items) or None in ids or len(ids) + len(refused) < len(rows):
            self._unread("place_orders", items, f"{len(rows)} answers to {len(items)} orders")
            return
        if len(rows) == 1:
            (attempt,) = items
            if ids:
                self._taken(attempt, ids.pop())
            else:
                self._row_failed("place_orders", attempt, rows[0])
            return
        left = self._attributed(items, ids) if ids else list(items)
        if len(left) == len(refused):
            self._refused("place_orders", left, items, rows)
        elif not refused:  # all stand, whichever id is whose
            for attempt in left:
                self._taken(attempt, None)
        else:
            self._unread("place_orders", left, "nothing says whose answer is whose")

    def _attributed(self, items: Items, ids: set[int | None]) -> list[Attempt]:
        """Finds the orders that have these ids, by their client order ids; gives those that are not
        there, or were not seen in time."""
        left = list(items)
        end_s = self._rest.clock() + self._desk.pace.margin_ms / 1000
        since_ms = self._rest.now_ms() - SINCE_MS

        def seen() -> bool:
            for attempt in list(left):
                for order in self._desk.seen(attempt):
                    # What is there is there, whatever the rows say; but an id of the caller's may
                    # be that of an order from before.
                    if attempt in left and (attempt.is_own_id or order.order_id in ids):
                        left.remove(attempt)
                        self._taken(attempt, order.order_id)
            return len(left) <= len(items) - len(ids)

        looks = (self._asking.asked_open, partial(self._asking.asked_ended, since_ms))
        for wait_s in self._desk.pace.looks_s:
            for look in looks:
                if seen() or self._rest.clock() >= end_s:
                    return left
                with contextlib.suppress(CoincallFastError):
                    look(end_s)
            if seen():
                break
            self._rest.pause(wait_s)
        return left

    def _read_modified(self, items: Items, rows: Rows) -> None:
        """Rows come in any order, and name an order id, or none where they refuse."""
        named = {attempt.order.order_id for attempt in items}
        by_id: dict[int | None, dict[str, Any]] = {}
        for row in rows:
            said = said_id(row, *_SAID)
            if said not in by_id or is_done(row):  # of two that contradict, something was done
                by_id[said] = row
        nameless = [row for row in rows if said_id(row, *_SAID) not in named]
        left = []
        for attempt in items:
            number = attempt.order.order_id
            if number is not None and number in by_id:
                self._read_row("modify_orders", attempt, by_id[number])
            else:
                left.append(attempt)
        if len(left) == len(nameless) and not any(map(is_done, nameless)):
            self._refused("modify_orders", left, items, rows)
        elif len(left) == len(nameless) == 1:
            self._read_row("modify_orders", left[0], nameless[0])
        else:
            self._unread("modify_orders", left, f"{len(rows)} answers to {len(items)} orders")

    def _refused(self, verb: str, attempts: Sequence[Attempt], items: Items, rows: Rows) -> None:
        """These are refused, which is certain; which reason is whose is not, where rows do not say:
        a refusal that stands in its own place is taken for its own. If one of them is no refusal
        but a failure, nobody knows whose it is; and if one says that its id is taken, the request
        may have come twice, and been refused the second time: then all are unknown."""
        places = {attempt: place for place, attempt in enumerate(items)}
        named = {attempt.order.order_id for attempt in items} - {None}
        reasons = {
            place: row
            for place, row in enumerate(rows)
            if not is_done(row) and said_id(row, *_SAID) not in named
        }
        own = {a: reasons.pop(places[a]) for a in attempts if places[a] in reasons}
        spare = iter(reasons.values())
        mine = {attempt: own.get(attempt) or next(spare) for attempt in attempts}
        errors = {a: failed(row, self._path(verb), self._rest.hide) for a, row in mine.items()}
        is_doubtful = len(attempts) > 1 and any(
            is_unknown(error) or isinstance(error, DuplicateOrder) for error in errors.values()
        )
        for attempt, row in mine.items():
            if is_doubtful:
                self._desk.unknown(attempt, errors[attempt])
            else:
                self._row_failed(verb, attempt, row, is_sure=False)

    def _taken(self, attempt: Attempt, order_id: int | None) -> None:
        self._desk.taken(attempt, identified(attempt.order, order_id))

    def _unread(self, verb: str, attempts: Iterable[Attempt], why: str) -> None:
        """The answer does not tell what became of these."""
        for attempt in attempts:
            self._desk.unknown(attempt, DecodeError(f"coincall {self._path(verb)}: {why}"))


class Mmp:
    """`client.options.mmp`: a market maker's protection, by index. Needs that permission."""

    def __init__(self, options: Options) -> None:
        self._options = options

    def get(self, index: str) -> Protection | None:
        """How it is set; None where it is not."""
        protection: Protection | None = self._options._read("mmp.get", index_name=index)
        return protection

    def set(
        self,
        index: str,
        *,
        interval_ms: int,
        frozen_ms: int,
        qty_limit: Number,
        delta_limit: Number,
    ) -> None:
        """Fills of more than a limit within the interval cancel all orders with `mmp=True`, and
        keep new ones out for `frozen_ms` (0: until `reset`). An interval of 0 turns it off."""
        self._options._write(
            "mmp.set",
            index_name=index,
            interval_ms=interval_ms,
            frozen_ms=frozen_ms,
            qty_limit=qty_limit,
            delta_limit=delta_limit,
        )

    def reset(self, index: str) -> None:
        """Ends a freeze."""
        self._options._write("mmp.reset", instrument_type="OPTION", index_name=index)

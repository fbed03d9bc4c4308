"""Options: `client.options`. Seed 003; protocol page, sections 2.3, 2.4 and 2.7."""

from collections.abc import Sequence
from typing import Any

from ..errors import DecodeError, UsageError
from ..message import Kline, OptionChain, Ticker
from .calls import Rest
from .decimals import Number, integer
from .endpoints import MOST_IN_A_BATCH, ORDER, ORDER_CHANGE
from .instruments import OPTIONS, Instrument, options_of
from .parameters import wired
from .reports import Delivery, ExpiryEstimate, Protection
from .tickets import Outcome, answered_id, outcome_of, placed, rows_of
from .trading import Guard, Trading

__all__ = ["Mmp", "Options"]


class Options(Trading):
    """`client.options`: the market, and one's own orders and positions."""

    product = OPTIONS

    def __init__(self, rest: Rest, guard: Guard | None, is_read_only: bool) -> None:
        super().__init__(rest, guard, is_read_only)
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
        """Asks for the end of all orders of one option."""
        self._write("cancel_symbol", symbol=symbol)

    # ---------------------------------------------------------------- batches, for market makers

    def _placed(self, tickets: Sequence[dict[str, Any]]) -> list[Outcome]:
        for fields in tickets:
            fields.setdefault("time_in_force", "GTC")  # batches demand one
        items = [wired(ORDER, fields) for fields in tickets]
        rows = self._batch("place_orders", items)
        # The page does not say that answers keep the order; nothing in them names the item.
        if len(rows) != len(tickets):
            raise DecodeError(f"{len(rows)} answers to {len(tickets)} orders")
        both = zip(tickets, rows, strict=True)
        name = self._path("place_orders")
        return [placed(row, fields, name, self._rest.hide) for fields, row in both]

    def _modified(self, changes: Sequence[dict[str, Any]]) -> list[Outcome]:
        items = [wired(ORDER_CHANGE, fields) for fields in changes]
        rows = self._batch("modify_orders", items)
        by_id = {answered_id(row, "data", "sdata"): row for row in rows}
        name, outcomes = self._path("modify_orders"), []
        for fields in changes:
            order_id = integer(fields["order_id"], "order_id")
            outcomes.append(
                outcome_of(by_id[order_id], fields, name, self._rest.hide)
                if order_id in by_id
                else self._untold("modify_orders", "order_id", order_id)
            )
        return outcomes

    def _batch(self, verb: str, items: list[dict[str, Any]]) -> list[Any]:
        if len(items) > MOST_IN_A_BATCH:
            raise UsageError(f"a batch takes {MOST_IN_A_BATCH} orders, not {len(items)}")
        return rows_of(self._write(verb, orders=items)) if items else []


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

"""Perpetuals: `client.futures`. Seed 003; protocol page, section 2.5."""

from decimal import Decimal

from ..errors import DecodeError
from ..message import Kline, Ticker
from .instruments import FUTURES, Instrument, futures_of
from .trading import Trading

__all__ = ["Futures"]


class Futures(Trading):
    """`client.futures`: the market, and one's own orders and positions.

    The venue has no batches of new orders or of modifications here: `place_orders` and
    `modify_orders` send one request each.
    """

    product = FUTURES

    def instruments(self) -> list[Instrument]:
        """All perpetuals, of the public configuration; what orders are checked against is made
        anew with it."""
        found = futures_of(self._rest.call("config", {}))
        self._list(found)
        return list(found.values())

    def _load_instruments(self, index: str) -> None:
        self.instruments()

    def symbols(self) -> list[Ticker]:
        """Prices and volumes of all perpetuals."""
        tickers: list[Ticker] = self._read("symbols")
        return tickers

    def klines(self, symbol: str, period: str, start_ms: int, end_ms: int) -> list[Kline]:
        """Bars: `period` is m1 m5 m15 m30 h1 h4 d1 w1 mn1 or quarter."""
        bars: list[Kline] = self._read(
            "klines", symbol=symbol, period=period, kline_start_ms=start_ms, kline_end_ms=end_ms
        )
        return bars

    def leverage(self, symbol: str) -> int:
        """The leverage that new orders of a symbol have."""
        leverage: Decimal | None = self._read("leverage", symbol=symbol).exact("leverage")
        if leverage is None or leverage != int(leverage):
            raise DecodeError(f"a leverage of {leverage}")
        return int(leverage)

    def set_leverage(self, symbol: str, leverage: int) -> None:
        """Changes it. Raises OrderRejected (40038) while there is a position or an open order."""
        self._write("set_leverage", symbol=symbol, leverage=leverage)

    def cancel_symbol(self, symbol: str) -> None:
        """Asks for the end of all orders of a symbol; for a perpetual the same as `cancel_all`."""
        self.cancel_all(symbol)

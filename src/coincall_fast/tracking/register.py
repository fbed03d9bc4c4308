"""All orders that are known, found by whatever names them, and what is kept of each."""

from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

from ..errors import DecodeError
from .events import OrderEvent, happened
from .net import MOST_SHADOWS, Own, Shadow, shadows
from .orders import Life, TrackedOrder

__all__ = ["Register"]


class Register:
    """Orders by their ids, by symbol, and by whether they have ended. For one thread at a time.

    An order is forgotten when it has ended and `keep_ended` others have since.
    """

    def __init__(self, keep_ended: int) -> None:
        self.views: dict[Life, TrackedOrder] = {}
        self.open: dict[str, dict[Life, None]] = {}  # by symbol
        self._keep_ended = keep_ended
        self._ended: dict[Life, None] = {}  # the oldest first
        self._by_id: dict[tuple[str, Any], Life] = {}
        self._by_client: dict[tuple[str, Any], Life] = {}
        self._own: dict[str, Own] = {}  # made when wanted
        self._shadows: dict[str, deque[Shadow]] = {}

    def lives(self) -> Iterator[Life]:
        return (life for lives in self.open.values() for life in lives)

    def found(self, product: str, order_id: Any, client_order_id: Any) -> Life | None:
        """By the venue's id; else by the client's, unless that one is known to be another order: a
        client may use an id again when its order has ended."""
        if order_id is not None and (life := self._by_id.get((product, order_id))) is not None:
            return life
        if client_order_id is None:
            return None
        life = self._by_client.get((product, client_order_id))
        if life is None or (order_id is not None and life.order_id not in (None, order_id)):
            return None
        return life

    def of(self, product: str, order_id: Any, client_order_id: Any) -> Life:
        """The order that a message is about, joined by its ids; a foreign one where it is new."""
        if order_id is None and client_order_id is None:
            raise DecodeError("an order without an id")
        life = self.found(product, order_id, client_order_id)
        if life is None:
            return self.new(product, order_id, client_order_id, is_foreign=True)
        if client_order_id is not None and life.client_order_id is None:
            self._join(life, product, client_order_id)
        if order_id is not None and life.order_id is None:
            life.order_id = order_id
            self._by_id[product, order_id] = life
        return life

    def _join(self, life: Life, product: str, client_order_id: Any) -> None:
        """Of an order that was heard of by the venue's id, the client's is told now."""
        sent = self._by_client.get((product, client_order_id))
        life.client_order_id = client_order_id
        if sent is not None and sent.order_id is None:
            life.absorb(sent)
            self.forget(sent)
        self._by_client[product, client_order_id] = life

    def named(self, number: object, products: tuple[str, ...]) -> list[TrackedOrder]:
        """Those of these products with this client's id; else with this id of the venue's."""
        for index in (self._by_client, self._by_id):
            lives = (index.get((product, number)) for product in products)
            if found := [self.views[life] for life in lives if life is not None]:
                return found
        return []

    def again(self, product: str, client_order_id: Any) -> Life:
        """A new order by an id that an ended one may have had."""
        self._by_client.pop((product, client_order_id), None)
        return self.new(product, None, client_order_id, is_foreign=False)

    def own(self, symbol: str) -> Own:
        """One's own size in the book of a symbol."""
        own = self._own.get(symbol)
        if own is None:
            orders = [self.views[life] for life in self.open.get(symbol, ())]
            own = self._own[symbol] = Own(orders, self._shadows.get(symbol, ()))
        return own

    def new(self, product: str, order_id: Any, client_order_id: Any, *, is_foreign: bool) -> Life:
        life = Life(product, is_foreign=is_foreign)
        life.order_id, life.client_order_id = order_id, client_order_id
        if order_id is not None:
            self._by_id[product, order_id] = life
        if client_order_id is not None:
            self._by_client[product, client_order_id] = life
        return life

    def forget(self, life: Life) -> None:
        """Of all that is known, this order; its ids may be others' by now."""
        for index, order_id in (
            (self._by_id, life.order_id),
            (self._by_client, life.client_order_id),
        ):
            if index.get((life.product, order_id)) is life:
                del index[life.product, order_id]
        view = self.views.pop(life, None)
        self._ended.pop(life, None)
        if view is not None:
            self._leave(life, view.symbol or "")

    def changed(self, life: Life, change: Callable[[], None], number: int) -> list[OrderEvent]:
        """Changes what is known of an order, and all that is kept of what is known."""
        before = self.views.get(life)
        price, life.last_price = life.last_price, None
        try:
            change()
        except DecodeError:
            life.last_price = price
            if before is None:
                self.forget(life)
            raise
        life.touched = number
        after = life.view()
        if after == before:
            return []
        self.views[life] = after
        symbol = after.symbol or ""
        if before is not None:
            if gone := list(shadows(before, after)):
                self._shadows.setdefault(symbol, deque(maxlen=MOST_SHADOWS)).extend(gone)
            if before.symbol != after.symbol:
                self._leave(life, before.symbol or "")
        self._own.pop(symbol, None)
        if after.is_open:
            self.open.setdefault(symbol, {})[life] = None
            self._ended.pop(life, None)
        else:
            self._leave(life, symbol)
            self._ended[life] = None
            if len(self._ended) > self._keep_ended:
                self.forget(next(iter(self._ended)))
        return list(happened(before, after, life.last_price))

    def _leave(self, life: Life, symbol: str) -> None:
        lives = self.open.get(symbol, {})
        lives.pop(life, None)
        if not lives:
            self.open.pop(symbol, None)

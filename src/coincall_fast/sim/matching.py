"""One book in which the model's liquidity and users' orders stand by price and time.

At each price the model is one maker. It was there before every user who comes later; what it adds
goes to the end of the queue, and what it takes away it takes from there. So all there is to know
of a user's place is how much of the model's size stands before it: `_Place.ahead`.

What is published is the sum of both. What trades is taken from the same two places, so that books,
trades and fills cannot disagree.
"""

from collections.abc import Iterator
from typing import NamedTuple

from .ladder import MAX_LEVELS, Ladder, Level
from .orders import Order, Side, Stp

__all__ = ["BookSide", "Front"]


class Front(NamedTuple):
    """Who trades next on a side: `maker` is None for the model."""

    price: int
    lots: int
    maker: Order | None


class _Place:
    """A user's order in the queue of its price."""

    __slots__ = ("ahead", "order")

    def __init__(self, order: Order, ahead: int) -> None:
        self.order = order
        self.ahead = ahead  # lots of the model that were there before it


class BookSide:
    """The bids or the asks of one book."""

    __slots__ = ("_is_bids", "_ladder", "_queues", "_sign")

    def __init__(self, side: Side, ladder: Ladder) -> None:
        self._is_bids = side is Side.BUY
        self._sign = -side.sign  # the better price is the lower one times this
        self._ladder = ladder
        self._queues: dict[int, list[_Place]] = {}  # price -> users' orders, first come first

    @property
    def levels(self) -> list[Level]:
        """What is published: best first, at most 100. Read it, do not keep or change it."""
        if not self._queues:
            return self._ladder.levels
        sizes = dict(self._ladder.levels)
        for price, queue in self._queues.items():
            sizes[price] = sizes.get(price, 0) + sum(place.order.remaining for place in queue)
        return sorted(sizes.items(), reverse=self._is_bids)[:MAX_LEVELS]

    @property
    def orders(self) -> list[Order]:
        """Users' orders, by price and time."""
        prices = sorted(self._queues, reverse=self._is_bids)
        return [place.order for price in prices for place in self._queues[price]]

    @property
    def has_orders(self) -> bool:
        return bool(self._queues)

    def walk(self) -> Iterator[Front]:
        """All that stands here, in the order in which it would trade."""
        sizes = dict(self._ladder.levels)
        for price in sorted(sizes.keys() | self._queues.keys(), reverse=self._is_bids):
            passed = 0
            for place in self._queues.get(price, ()):
                if place.ahead > passed:
                    yield Front(price, place.ahead - passed, None)
                    passed = place.ahead
                yield Front(price, place.order.remaining, place.order)
            if (rest := sizes.get(price, 0) - passed) > 0:
                yield Front(price, rest, None)

    def front(self) -> Front | None:
        """The next to trade, or None when the side is empty: the first of `walk`."""
        model = self.model_front()
        if not self._queues:
            return Front(*model, None) if model else None
        price = max(self._queues) if self._is_bids else min(self._queues)
        if model and (model[0] - price) * self._sign < 0:
            return Front(*model, None)
        first = self._queues[price][0]
        if first.ahead:
            return Front(price, first.ahead, None)
        return Front(price, first.order.remaining, first.order)

    def model_front(self) -> Level | None:
        """The best level of the model alone."""
        return self._ladder.levels[0] if self._ladder.levels else None

    def take_from_model(self, lots: int) -> None:
        """Takes `lots` off the model's best level, from before every user."""
        price, size = self._ladder.levels[0]
        if lots < size:
            self._ladder.levels[0] = (price, size - lots)
        else:
            del self._ladder.levels[0]
        for place in self._queues.get(price, ()):
            place.ahead -= lots

    def available(self, order: Order) -> int:
        """How much of `order` could trade here at once: never too much, and seldom too little.

        A maker's reduce-only order counts for nothing behind another order of the same user: when
        that one trades there may be no position left to reduce.
        """
        total = 0
        met: set[int] = set()
        for price, lots, maker in self.walk():
            if not order.reaches(price):
                break
            if maker is None:
                total += lots
            elif maker.user_id == order.user_id:
                if order.stp is not Stp.MAKER:
                    break  # it ends there
            else:
                if not (maker.is_reduce_only and maker.user_id in met):
                    total += lots
                met.add(maker.user_id)
        return total

    def holds(self, order: Order) -> bool:
        queue = self._queues.get(order.price or 0, ())
        return any(place.order is order for place in queue)

    def add(self, order: Order) -> None:
        """Lets an order join the queue of its price, behind all that is there."""
        assert order.price is not None
        self._queues.setdefault(order.price, []).append(
            _Place(order, dict(self._ladder.levels).get(order.price, 0))
        )

    def remove(self, order: Order) -> None:
        assert order.price is not None
        queue = self._queues[order.price]
        queue[:] = [place for place in queue if place.order is not order]
        if not queue:
            del self._queues[order.price]

    def requeue(self) -> None:
        """To be called when the model has moved: what it took away, it took from the back."""
        if self._queues:
            sizes = dict(self._ladder.levels)
            for price, queue in self._queues.items():
                size = sizes.get(price, 0)
                for place in queue:
                    place.ahead = min(place.ahead, size)

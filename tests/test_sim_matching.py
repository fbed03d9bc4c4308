"""Price and time: one side of a simulated book against a model that lists every single place."""

from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from coincall_fast.sim.instruments import list_instruments
from coincall_fast.sim.ladder import Ladder
from coincall_fast.sim.matching import BookSide
from coincall_fast.sim.orders import Kind, Order, Side, Stp

INSTRUMENT = list_instruments(1_732_000_000_000)[0]
MODEL = "the model"


def order(side: Side, price: int, lots: int, *, user_id: int, order_id: int = 0) -> Order:
    return Order(order_id, user_id, INSTRUMENT, side, Kind.LIMIT, lots, price, 0)


class Listed:
    """The obvious way: every price has a list of (owner, lots), first come first."""

    def __init__(self, side: Side) -> None:
        self.sign = -side.sign
        self.queues: dict[int, list[tuple[int | str, int]]] = {}

    def quote(self, price: int, size: int) -> None:
        """The model now shows `size` here: more joins the end, less leaves from the end."""
        queue = self.queues.setdefault(price, [])
        change = size - sum(lots for owner, lots in queue if owner == MODEL)
        if change > 0:
            queue.append((MODEL, change))
        for place in reversed(range(len(queue))):
            owner, lots = queue[place]
            if owner == MODEL and change < 0:
                gone = min(lots, -change)
                change += gone
                queue[place] = (owner, lots - gone)
        self.tidy()

    def add(self, price: int, owner: int, lots: int) -> None:
        self.queues.setdefault(price, []).append((owner, lots))

    def cancel(self, owner: int) -> None:
        for queue in self.queues.values():
            queue[:] = [place for place in queue if place[0] != owner]
        self.tidy()

    def take(self, lots: int, limit: int) -> list[tuple[int, int | str, int]]:
        trades = []
        for price in sorted(self.queues, key=lambda price: price * self.sign):
            for place, (owner, size) in enumerate(self.queues[price]):
                taken = min(lots, size)
                if taken and (limit - price) * self.sign >= 0:
                    trades.append((price, owner, taken))
                    lots -= taken
                    self.queues[price][place] = (owner, size - taken)
        self.tidy()
        return trades

    def tidy(self) -> None:
        kept = {p: [place for place in queue if place[1]] for p, queue in self.queues.items()}
        self.queues = {price: queue for price, queue in kept.items() if queue}

    @property
    def levels(self) -> list[tuple[int, int]]:
        totals = {price: sum(lots for _, lots in queue) for price, queue in self.queues.items()}
        return sorted(totals.items(), key=lambda level: level[0] * self.sign)[:100]


def take(side: BookSide, lots: int, limit: int, sign: int) -> list[tuple[int, int | str, int]]:
    """As the engine takes: what is in front, again and again; joined where the owner repeats."""
    trades: list[tuple[int, int | str, int]] = []
    while lots and (front := side.front()) and (limit - front.price) * sign >= 0:
        taken = min(lots, front.lots)
        lots -= taken
        owner: int | str = MODEL
        if front.maker is None:
            side.take_from_model(taken)
        else:
            owner = front.maker.order_id
            front.maker.filled += taken
            if not front.maker.remaining:
                side.remove(front.maker)
        trades.append((front.price, owner, taken))
    return trades


def joined(trades: list[tuple[int, int | str, int]]) -> list[tuple[int, int | str, int]]:
    """Neighbouring trades with one owner at one price as one."""
    found: list[tuple[int, int | str, int]] = []
    for price, owner, lots in trades:
        before = found.pop()[2] if found and found[-1][:2] == (price, owner) else 0
        found.append((price, owner, before + lots))
    return found


ACTIONS = st.one_of(
    st.tuples(st.just("quote"), st.integers(1, 6), st.integers(0, 9)),
    st.tuples(st.just("add"), st.integers(1, 6), st.integers(1, 9)),
    st.tuples(st.just("cancel"), st.integers(0, 30), st.just(0)),
    st.tuples(st.just("take"), st.integers(0, 7), st.integers(1, 25)),
)


@settings(max_examples=300, deadline=None)
@given(side=st.sampled_from(Side), actions=st.lists(ACTIONS, max_size=40))
def test_who_trades_is_decided_by_price_and_then_by_time(
    side: Side, actions: list[tuple[str, int, int]]
) -> None:
    ladder = Ladder(-side.sign, Random(0))
    ours, model = BookSide(side, ladder), Listed(side)
    orders: list[Order] = []
    for action, one, two in actions:
        if action == "quote":
            sizes = dict(ladder.levels) | {one: two}
            ladder.levels[:] = sorted(
                (level for level in sizes.items() if level[1]), key=lambda x: -x[0] * side.sign
            )
            ours.requeue()
            model.quote(one, two)
        elif action == "add":
            orders.append(order(side, one, two, user_id=7, order_id=len(orders)))
            ours.add(orders[-1])
            model.add(one, orders[-1].order_id, two)
        elif action == "cancel" and one < len(orders):
            if ours.holds(orders[one]):
                ours.remove(orders[one])
            model.cancel(one)
        elif action == "take":
            taker = order(side.other, one, two, user_id=8)
            promised = ours.available(taker)
            trades = joined(take(ours, two, one, -side.sign))
            assert trades == joined(model.take(two, one))
            assert sum(lots for _, _, lots in trades) == min(promised, two)
        assert ours.levels == model.levels
        assert ours.front() == next(ours.walk(), None)
        assert ours.has_orders == any(
            owner != MODEL for queue in model.queues.values() for owner, _ in queue
        )
        assert [o.order_id for o in ours.orders] == [
            owner
            for price, _ in sorted(model.levels, key=lambda level: -level[0] * side.sign)
            for owner, _ in model.queues[price]
            if isinstance(owner, int)
        ]


def test_the_model_cuts_from_behind_and_adds_behind() -> None:
    ladder = Ladder(+1, Random(0), [(10, 8)])
    asks = BookSide(Side.SELL, ladder)
    mine = order(Side.SELL, 10, 5, user_id=1)
    asks.add(mine)
    for shown, before, behind in ((12, 8, 4), (3, 3, 0), (9, 3, 6), (0, 0, 0), (6, 0, 6)):
        ladder.levels[:] = [(10, shown)] if shown else []
        asks.requeue()
        expected = [(10, before, None), (10, 5, mine), (10, behind, None)]
        assert list(asks.walk()) == [front for front in expected if front[1]]


def test_nothing_is_available_behind_an_own_order() -> None:
    asks = BookSide(Side.SELL, Ladder(+1, Random(0), [(10, 5), (11, 5)]))
    asks.add(order(Side.SELL, 11, 3, user_id=1))
    asks.add(order(Side.SELL, 12, 3, user_id=2))
    taker = order(Side.BUY, 12, 99, user_id=1)
    assert asks.available(taker) == 10  # the model was there first
    taker.stp = Stp.MAKER  # then the own one is cancelled and the next is reached
    assert asks.available(taker) == 13
    assert asks.available(order(Side.BUY, 12, 99, user_id=3)) == 16


def test_a_reduce_only_order_behind_the_same_users_other_is_not_counted() -> None:
    asks = BookSide(Side.SELL, Ladder(+1, Random(0)))
    asks.add(order(Side.SELL, 11, 3, user_id=1))
    second = order(Side.SELL, 12, 4, user_id=1)
    second.is_reduce_only = True
    asks.add(second)
    assert asks.available(order(Side.BUY, 12, 99, user_id=3)) == 3


def test_at_most_a_hundred_levels_are_published() -> None:
    levels = [(price, 1) for price in range(10, 110)]
    asks = BookSide(Side.SELL, Ladder(+1, Random(0), levels))
    asks.add(order(Side.SELL, 9, 3, user_id=1))
    assert asks.levels == [(9, 3), *levels[:99]]

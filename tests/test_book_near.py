"""A frame that nearly equals the last one is read as if it were the first: against the model.

Whatever a book remembers of the frames before may save it work, and must never show.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from random import Random
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from both import Both, as_any_type
from coincall_fast import BookStore, OrderBook
from coincall_fast.errors import DecodeError
from model_book import Model, Refused, observe
from near_frames import EDITS, FATES, Feed
from strategies import LONG, SYMBOL, TIME, book_frame, examples, levels, seeds, unhurried
from tables import table

# By hand -------------------------------------------------------------------------------------

OLD_BIDS = levels(("99", "2"), ("98", "1"), ("97", "15"))
OLD_ASKS = levels(("101", "2"), ("102", "1"), ("103", "15"))
OLD = book_frame(OLD_BIDS, OLD_ASKS)


def bids(new: str, old: str = "") -> bytes:
    """The old frame with other bids, or with other text in the place of some of theirs."""
    if old:
        assert old in OLD_BIDS
        new = OLD_BIDS.replace(old, new)
    return book_frame(new, OLD_ASKS)


LAST = '{"pr":"97","sz":"15"}'
SECOND = '{"pr":"98","sz":"1"}'

NEAR = {
    "the same": OLD,
    "a digit of the last size": bids("16", "15"),
    "a digit more in the last size": bids("150", "15"),
    "a digit less in the last size": bids('"1"', '"15"'),
    "a digit before the last size": bids("315", "15"),
    "a zero before the last size": bids("015", "15"),
    "a point in the last size": bids("1.5", "15"),
    "a zero behind the last size": bids("15.0", "15"),
    "an exponent behind the last size": bids("15e1", "15"),
    "a blank behind the last size": bids("15 ", "15"),
    "a size that is rounded, last": bids("15.000000001", "15"),  # and counted each time
    "a size that is rounded, second": bids('"sz":"1.123456789"}', '"sz":"1"}'),
    "a letter behind the last size": bids("15x", "15"),
    "a minus before the last size": bids("-15", "15"),
    "no quotes": bids("15", '"15"'),
    "one quote": bids('15"', '"15"'),
    "a digit of the last price": bids("96", "97"),
    "a digit more in the last price": bids("9.7", "97"),
    "a digit of the first price": bids("99.5", "99"),
    "the first price past the old asks": bids("109", "99"),
    "a price that another level has": bids("98", "97"),
    "v for sz in the last level": bids('"v":"15"', '"sz":"15"'),
    "v for sz in the second": bids('"v":"1"}', '"sz":"1"}'),
    "v for sz everywhere": OLD.replace(b'"sz"', b'"v"'),
    "another key for sz": bids('"sy":"15"', '"sz":"15"'),
    "size first in the second": bids('{"sz":"1","pr":"98"}', SECOND),
    "price and size exchanged": bids('{"pr":"15","sz":"97"}', LAST),
    "the last level gone": bids("", "," + LAST),
    "the second gone": bids("", "," + SECOND),
    "the first gone": bids("[", '[{"pr":"99","sz":"2"},'),
    "one more behind": bids(LAST + ',{"pr":"96","sz":"1"}', LAST),
    "one more between": bids('{"pr":"98.5","sz":"1"},' + SECOND, SECOND),
    "one more in front": bids('[{"pr":"99.5","sz":"1"},', "["),
    "the first once more behind": bids(LAST + ',{"pr":"99","sz":"2"}', LAST),
    "the last once more in front": bids(f"[{LAST},", "["),
    "the last twice": bids(f"{LAST},{LAST}", LAST),
    "the second twice": bids(f"{SECOND},{SECOND}", SECOND),
    "the second once more, spelled otherwise": bids(SECOND + ',{"pr":98.0,"v":3}', SECOND),
    "an old ask behind": bids(LAST + ',{"pr":"102","sz":"1"}', LAST),
    "an old ask in front": bids('[{"pr":"103","sz":"15"},', "["),
    "an old ask between": bids('{"pr":"101","sz":"2"},' + SECOND, SECOND),
    "the second and the last exchanged": bids(f"{LAST},{SECOND}", f"{SECOND},{LAST}"),
    "backwards": bids(levels(("97", "15"), ("98", "1"), ("99", "2"))),
    "no bids": bids("[]"),
    "no bids, but a blank": bids("[ ]"),
    "the sides exchanged": book_frame(OLD_ASKS, OLD_BIDS),
    "the asks on both sides": book_frame(OLD_ASKS, OLD_ASKS),
    "bids before asks": OLD.replace(f',"bids":{OLD_BIDS}'.encode(), b"").replace(
        b'"asks":', f'"bids":{OLD_BIDS},"asks":'.encode()
    ),
    "the keys of the sides exchanged": OLD.replace(b'"asks"', b'"x"')
    .replace(b'"bids"', b'"asks"')
    .replace(b'"x"', b'"bids"'),
    "a zero size in the second": bids('"98","sz":"0"', '"98","sz":"1"'),
    "a zero size in the last": bids('"0"', '"15"'),
    "a zero price in the last": bids('"0"', '"97"'),
    "a blank before a level": bids(" " + SECOND, SECOND),
    "a blank behind the last": bids(LAST + "\n", LAST),
    "a blank in a level": bids(SECOND.replace(":", ": "), SECOND),
    "a comma behind the last": bids(LAST + ",", LAST),
    "no comma": bids(SECOND + LAST, f"{SECOND},{LAST}"),
    "two commas": bids("," + SECOND, SECOND),
    "a level cut in two": bids('{"pr":"98"},{"sz":"1"}', SECOND),
    "a brace behind the last": bids(LAST + "}", LAST),
    "no bracket behind the last": OLD.replace(LAST.encode() + b"]", LAST.encode()),
    "a key more in the last": bids('"15","n":1', '"15"'),
    "the price twice in the last": bids('"15","pr":"97"', '"15"'),
    "a NUL behind the last": bids(LAST + "\0", LAST),
    "invalid UTF-8 in the second": OLD.replace(b'"98"', b'"98\xff"'),
    "all of it later in the frame": book_frame(OLD_BIDS, OLD_ASKS, dt="32").replace(
        b'"c":20', b'"c":20,"x":"' + b"y" * 100 + b'"'
    ),
    "cut behind the second": OLD[: OLD.index(SECOND.encode()) + len(SECOND)],
    "cut behind the last": OLD[: OLD.index(LAST.encode()) + len(LAST)],
    "cut behind its bids": OLD[: OLD.index(LAST.encode()) + len(LAST) + 1],
    "cut in the last number": OLD[: OLD.index(b'15"}],"ts') + 1],
}


@table(NEAR)
def test_there_and_back(case: bytes) -> None:
    """From the old frame to one near it, twice, and back; then the other way round."""
    for frames in (OLD, case, case, OLD, case, OLD), (case, OLD, OLD, case):
        both = Both()
        for recv_ns, frame in enumerate(frames, 1):
            both.apply(frame, recv_ns)
        assert both.apply(OLD, 10) == "applied"


LATER = OLD.replace(str(TIME).encode(), str(TIME + 9).encode())

BETWEEN = {
    "a stale frame": ("apply", OLD.replace(b'"15"', b'"16"').replace(b":17", b":16")),
    "another symbol's": ("apply", OLD.replace(b'"15"', b'"16"').replace(b"BTC", b"ETH")),
    "a refused frame": ("apply", OLD.replace(b'"15"', b'"16"') + b"x"),
    "a frame cut short": ("apply", OLD[: OLD.index(b'],"bids"')]),
    "the asks alone, then a fault": ("apply", OLD.replace(b'"15"', b'"16"').replace(b'"97"', b"x")),
    "a frame too long to be remembered": (
        "apply",
        OLD.replace(b'"15"', b'"16"').replace(b'"c":20', b'"c":20,"x":"' + b"y" * 20_000 + b'"'),
    ),
    "load": ("load", [("5", "5")], [("6", "6")], TIME, 7),
    "load of the same": ("load", [(99, 2), (98, 1), (97, 15)], [(101, 2), (102, 1), (103, 15)]),
    "a bid updated": ("update", "bid", 97, 16, TIME, 7),
    "a bid deleted": ("update", "bid", 98, 0, TIME, 7),
    "an ask added": ("update", "ask", "101.5", 1, TIME, 7),
    "clear": ("clear",),
}


@table(BETWEEN)
def test_the_same_frame_after_something_else(case: tuple[Any, ...]) -> None:
    name, *args = case
    for before in (OLD,), (OLD, OLD), (OLD, OLD, OLD):  # for a core that trusts a habit
        for after in OLD, LATER:
            both = Both()
            for frame in before:
                both.apply(frame, 5)
            getattr(both, name)(*args)
            both.apply(after, 8)
            assert both.apply(LATER, 9) == "applied"


def test_a_time_before_the_sides() -> None:
    """It stands in what frames have in common; one too long to be remembered lies between."""

    def frame(ts: int, more: str = "") -> bytes:
        text = book_frame(OLD_BIDS, OLD_ASKS, s=f'"{SYMBOL}","ts":{ts}', ts="0")
        return text.replace(b',"ts":0}', more.encode() + b"}")

    both = Both()
    for recv_ns in 1, 2, 3:
        assert both.apply(frame(TIME), recv_ns) == "applied"
    assert both.apply(frame(TIME + 5, f',"x":"{"y" * 20_000}"'), 4) == "applied"
    assert both.apply(frame(TIME), 5) == "stale"
    assert both.apply(frame(TIME + 5), 6) == "applied"


@unhurried
def test_every_frame_one_byte_away() -> None:
    """Each after two of the plain one, and one more behind: that is then what the book shows."""
    frame = book_frame(levels(("9.5", "2"), ("9", "10")), levels(("10", "2"), ("11", "10")))
    later = frame.replace(str(TIME).encode(), str(10**18 - 1).encode())
    put = bytes(range(256)) if LONG else b' "\\,:[]{}-.0159ev\0\xff'

    def near() -> Iterator[bytes]:
        for at in range(len(frame)):
            yield frame[:at] + frame[at + 1 :]
            for byte in put:
                yield frame[:at] + bytes([byte]) + frame[at:]
                yield frame[:at] + bytes([byte]) + frame[at + 1 :]

    outcomes: Counter[str] = Counter()
    for other in near():
        both = Both()
        both.apply(frame, 1)
        both.apply(frame, 2)
        outcomes[both.apply(other, 3)] += 1
        assert both.apply(later, 4) == "applied"
    assert outcomes["applied"] > 0.01 * outcomes.total()
    assert outcomes["refused"] > 0.5 * outcomes.total()


def test_a_buffer_that_is_written_over() -> None:
    """The last frame may be gone by the next: what is remembered of it is the book's own."""
    buffer = bytearray(OLD)
    both = Both()
    both.apply(buffer, 1)
    buffer[:] = OLD.replace(b'"15"', b'"16"')
    both.apply(buffer, 2)
    buffer[:] = b"x" * len(OLD)
    both.apply(OLD, 3)
    view = memoryview(buffer)
    view[:] = OLD.replace(b'"97"', b'"96"')
    both.apply(view, 4)
    view[:] = OLD
    assert both.apply(OLD, 5) == "applied"


def test_frames_longer_than_any_venues() -> None:
    """As the same levels take more and more room, the book stays what it is."""
    both = Both()
    recv_ns = 0
    for width in 0, 1, 50, 1_000, 40_000, 1_000, 1, 0:
        pad = " " * width
        frame = OLD.replace(b"},{", f"}},{pad}{{".encode()).replace(b'"}]', f'"}}{pad}]'.encode())
        for _ in "ab":
            recv_ns += 1
            both.apply(frame, recv_ns)
    wide = bids("15." + "0" * 50_000, "15")
    for frame in wide, OLD, wide, wide[:-1], OLD:
        both.apply(frame, 100)
    assert (both.book.stats.applied, both.book.stats.rejected) == (20, 1)
    assert both.book.stats.unchanged == 19


def test_more_levels_than_are_kept() -> None:
    """150 levels of which the first 50, the last 50 or the order change."""
    side = [(str(1000 - n), str(n + 1)) for n in range(150)]
    both = Both()
    orders = [
        side,
        side[50:],
        side,
        side[:100],
        side[:101],
        side,
        side[::-1],
        side[50:] + side[:50],
    ]
    orders += [side[:99] + side[100:], side, [*side, ("1001", "1")], [("1001", "2"), *side], side]
    for recv_ns, order in enumerate(orders, 1):
        assert both.apply(book_frame(levels(*order), levels(*order[::-1])), recv_ns) == "applied"


# At random -----------------------------------------------------------------------------------

edits = st.lists(st.sampled_from(sorted(EDITS)), min_size=1, max_size=2)
frame_steps = st.tuples(edits, st.sampled_from(FATES), seeds)
call_steps = st.tuples(st.sampled_from(("update", "update", "load", "clear")), seeds)
steps = st.one_of(*[frame_steps] * 5, call_steps)


def a_call(both: Both, name: str, random: Random, recv_ns: int) -> str:
    """An update, a load or a clear of what the book holds, mostly of a level of it."""
    model = both.model
    if name == "clear":
        return both.clear()
    if name == "load":  # what is held, in numbers, and at times with a level less
        sides = [
            [(price / 10**8, size / 10**8) for price, size in side if random.random() < 0.9]
            for side in (model.bids, model.asks)
        ]
        return both.load(*sides, random.choice((0, TIME)), recv_ns)
    side = random.choice(("bid", "ask"))
    held = [price for price, _ in (model.bids if side == "bid" else model.asks)]
    price = random.choice((held or [10**11])[:: random.choice((1, -1))][:3] + held)
    price += random.choice((0, 0, 0, 1, -1, 10**8)) if price > 10**8 else 0
    size = random.choice((0, 0, 1, 10**8, 25 * 10**7))
    return both.update(side, price / 10**8, size / 10**8, random.choice((0, TIME)), recv_ns)


@unhurried
def test_successive_frames() -> None:
    outcomes: Counter[str] = Counter()

    @examples(350, 20_000)
    @given(seeds, st.lists(steps, min_size=2, max_size=10))
    def agree(opening: int, steps: list[tuple[Any, ...]]) -> None:
        feed, both = Feed(opening), Both()
        both.apply(feed.sent, 1)
        for number, step in enumerate(steps, 2):
            random = Random(step[-1])
            recv_ns = random.choice((0, *[number] * 9))
            if len(step) == 2:
                outcomes[a_call(both, step[0], random, recv_ns)] += 1
                continue
            frame = as_any_type(feed.next(*step), random.randrange(4))
            outcome = both.apply(frame, recv_ns)
            if outcome == "refused":
                feed.refused()
            outcomes[outcome] += 1
            outcomes["unchanged"] += outcome == "applied" and both.book.last_change == 0

    agree()
    rare = "absent", "cleared", "stale", "of another symbol"
    for outcome in (*rare, "refused", "unchanged", "applied"):
        least = 0.005 if outcome in rare else 0.05
        assert outcomes[outcome] > least * outcomes.total(), f"{outcome} is too rare: {outcomes}"


NAMES = SYMBOL, "ETHUSD", "BTCUSD-27MAY23-26000-C"
of = st.integers(0, len(NAMES) - 1)


@unhurried
@examples(100, 8_000)
@given(seeds, st.lists(st.tuples(of, of, frame_steps), min_size=2, max_size=10))
def test_successive_frames_of_several_symbols(seed: int, steps: list[Any]) -> None:
    """In one store; a frame may have the levels that another symbol's frame just had."""
    feeds = [Feed(seed + at % 2, name) for at, name in enumerate(NAMES)]
    models: dict[str, Model] = {}
    store = BookStore()
    for recv_ns, (at, like, step) in enumerate(steps, 1):
        feed = feeds[at]
        feed.draft.bids, feed.draft.asks = (
            list(feeds[like].draft.bids),
            list(feeds[like].draft.asks),
        )
        frame = feed.next(*step)
        fresh = Model()
        try:
            fresh.apply(frame)
        except Refused:
            feed.refused()
            with suppress(DecodeError):  # it may have lost the dt that makes it a book
                assert not isinstance(store.feed(frame, recv_ns), OrderBook)
        else:
            assert fresh.symbol is not None
            change = models.setdefault(fresh.symbol, Model()).apply(frame, recv_ns)
            book = store.feed(frame, recv_ns)
            assert isinstance(book, OrderBook)
            assert (book.symbol, book.last_change) == (fresh.symbol, change)
        assert set(store) == set(models)
        for symbol, model in models.items():
            shown, expected = observe(store[symbol]), model.state()
            assert shown.pop("stats")[:6] == expected.pop("stats")[:6]
            assert shown == expected

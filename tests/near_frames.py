"""Frames that nearly equal the one before, as a venue's do, and as faults make them.

A core may keep what it knows of the last frame and read again only what differs. What could go
wrong then is text that is equal up to a byte, or equal to that of another place, of the other side,
of a frame that was refused or of one that something else has overtaken. A `Draft` is a frame in
pieces; each edit changes a piece of it, most of them in the text of one level.
"""

import re
from collections.abc import Callable
from copy import deepcopy
from decimal import Decimal
from random import Random

from strategies import SYMBOL, TIME, Speller

TICK = 25_000_000  # in units of 1e-8
MIDDLE = 4_000  # in ticks; bids are below it and asks above
DATA_ORDERS = (
    *[("s", "asks", "bids", "ts")] * 3,  # as the venue writes it
    ("s", "bids", "asks", "ts"),
    ("ts", "s", "asks", "bids"),
    ("asks", "bids", "ts", "s"),
    ("bids", "ts", "asks", "s"),
)
# A price and a size as the venue spells a level, and as it might; {p} and {s} have no quotes.
USUAL = '{"pr":"{p}","sz":"{s}"}'
FORMS = (
    '{"pr":"{p}","v":"{s}"}',
    '{"pr":{p},"sz":{s}}',
    '{"pr":"{p}","v":{s}}',
    '{"pr":"{p} ","sz":"{s} "}',
    '{"pr":" {p}","sz":" {s}"}',
    '{"sz":"{s}","pr":"{p}"}',
    '{"pr":"{p}","sz":"{s}","n":1}',
    '{"n":[{"pr":"1","sz":"1"}],"pr":"{p}","sz":"{s}"}',
    ' { "pr" : "{p}" ,\n\t"sz" : "{s}" } ',
    r'{"p\u0072":"{p}","sz":"{s}"}',
    '{"pr":"{p}0000000000000000000000000","sz":"{s}"}',
    '{"pr":"{p}e0","sz":"{s}E+0"}',
)
PRICE = re.compile(r'"p(?:r|\\u0072)" ?: ?"? *([0-9]+(?:\.[0-9]+)?)')
SIZE = re.compile(r'"(?:sz|v)" ?: ?"? *([0-9]+(?:\.[0-9]+)?)')


def level(random: Random, price: int, size: int, form: str = "") -> str:
    """The text of a level of so many units; a form that adds zeros adds them behind a point."""
    if not form:
        form = random.choice(FORMS) if random.random() < 0.1 else USUAL
    price_text, size_text = map(Speller(0).number, (price, size))
    if "{p}0" in form and "." not in price_text:
        price_text += "."
    return form.replace("{p}", price_text).replace("{s}", size_text)


def price_of(text: str) -> int:
    """The price of a level's text, where it can still be found; else 0."""
    found = PRICE.search(text)
    return int(Decimal(found[1]) * 10**8) if found else 0


def size_of(text: str) -> int:
    found = SIZE.search(text)
    return int(Decimal(found[1]) * 10**8) if found else 10**8


def a_size(random: Random) -> int:
    unit = random.choice((10**8, 10**8, 10**7, 10**5, 1))
    return random.randrange(1, random.choice((10, 10, 1000))) * unit


def ladder(random: Random, is_bids: bool, count: int) -> list[str]:
    """So many levels in order, at most a few ticks apart."""
    price, side = MIDDLE, []
    form = random.choice((USUAL, USUAL, USUAL, "", *FORMS[:3]))
    for _ in range(count):
        price += random.choice((1, 1, 2, 5)) * (-1 if is_bids else 1)
        side.append(level(random, price * TICK, a_size(random), form))
    return side


class Draft:
    """A frame in pieces: texts of levels, and what stands around them."""

    def __init__(self, random: Random, symbol: str = SYMBOL) -> None:
        count = random.choice((1, 2, 3, 5, 20, 99, 100, 100, random.randrange(101)))
        self.symbol = symbol
        self.ts_ms = TIME
        self.bids = ladder(random, True, count)
        self.asks = ladder(random, False, random.choice((count, random.randrange(101))))
        self.order = DATA_ORDERS[0]
        self.comma, self.before, self.after = ",", "", ""

    def frame(self) -> bytes:
        values = {
            "s": f'"{self.symbol}"',
            "ts": str(self.ts_ms),
            "asks": f"[{self.comma.join(self.asks)}]",
            "bids": f"[{self.comma.join(self.bids)}]",
        }
        data = ",".join(f'"{key}":{values[key]}' for key in self.order)
        return f'{{"dt":5,"c":20{self.before},"d":{{{data}{self.after}}}}}'.encode()

    def sides(self, random: Random) -> tuple[list[str], list[str]]:
        """A side that has levels if one has, and the other."""
        one, other = random.sample((self.bids, self.asks), 2)
        return (one, other) if one else (other, one)


Edit = Callable[[Draft, Random], None]
EDITS: dict[str, Edit] = {}


def edit(change: Edit) -> Edit:
    EDITS[change.__name__] = change
    return change


def place(random: Random, side: list[str]) -> int:
    """An index, of the first or the last level often; 0 in an empty side."""
    return random.choice((0, len(side) - 1, random.randrange(len(side)))) if side else 0


def on_a_level(change: Callable[[str, Random], str]) -> Edit:
    """An edit of the text of a level, or rarely of several."""

    def edit(draft: Draft, random: Random) -> None:
        side, _ = draft.sides(random)
        for _ in range(random.choice((1, 1, 1, 3))):
            if side:
                at = place(random, side)
                side[at] = change(side[at], random)

    EDITS[change.__name__] = edit
    return edit


# What a venue does ---------------------------------------------------------------------------


@edit
def nothing(draft: Draft, random: Random) -> None:
    pass


@on_a_level
def another_size(text: str, random: Random) -> str:
    return level(random, price_of(text), a_size(random))


@edit
def remove(draft: Draft, random: Random) -> None:
    side, _ = draft.sides(random)
    at = place(random, side)
    del side[at : at + random.choice((1, 1, 2, 10))]


@edit
def insert(draft: Draft, random: Random) -> None:
    """Levels at new prices, where they belong: between two others or at either end."""
    side, _ = draft.sides(random)
    step = -TICK if side is draft.bids else TICK
    for _ in range(random.choice((1, 1, 2, 10))):
        at = place(random, side)
        if random.random() < 0.5:
            price = price_of(side[at]) - step // random.choice((1, 2, 5)) if side else MIDDLE * TICK
        else:  # behind it
            price = price_of(side[at]) + step // 5 if side else MIDDLE * TICK
            at += 1
        side.insert(at, level(random, max(price, TICK), a_size(random)))


@edit
def slide(draft: Draft, random: Random) -> None:
    """The window of levels moves: some go at one end and some come at the other."""
    side, _ = draft.sides(random)
    step = -TICK if side is draft.bids else TICK
    for _ in range(random.choice((1, 1, 3, 30))):
        if side and random.random() < 0.5:
            at, sign = len(side), +1
            gone = side.pop(0)
        elif side:
            at, sign = 0, -1
            gone = side.pop()
        else:
            break
        end = price_of(side[-1] if sign > 0 else side[0]) if side else price_of(gone)
        side.insert(at, level(random, max(end + sign * step, TICK), a_size(random)))


@edit
def shift(draft: Draft, random: Random) -> None:
    """All prices move by as much, sizes stay with their place."""
    by = random.choice((-5, -1, 1, 5)) * TICK
    for side in draft.bids, draft.asks:
        side[:] = [
            level(random, max(price_of(text) + by, TICK), size_of(text), USUAL) for text in side
        ]


@edit
def renew(draft: Draft, random: Random) -> None:
    """Another book altogether, some time later."""
    new = Draft(random)
    draft.bids, draft.asks = new.bids, new.asks


@edit
def more(draft: Draft, random: Random) -> None:
    """The side grows at its end, at times past the 100 that are kept."""
    side, _ = draft.sides(random)
    step = -TICK if side is draft.bids else TICK
    price = price_of(side[-1]) if side else MIDDLE * TICK
    for _ in range(random.choice((1, 1, 5, 30))):
        price += step
        if price > 0:
            side.append(level(random, price, a_size(random)))


@edit
def fewer(draft: Draft, random: Random) -> None:
    side, _ = draft.sides(random)
    del side[random.choice((1, len(side) - 1, random.randrange(len(side) + 1))) :]


@edit
def empty(draft: Draft, random: Random) -> None:
    side, _ = draft.sides(random)
    side.clear()


# The same numbers in other words, and other numbers in nearly the same ------------------------


@on_a_level
def respell(text: str, random: Random) -> str:
    """Another way of writing it."""
    return level(random, price_of(text), size_of(text), random.choice(FORMS))


@on_a_level
def other_digit(text: str, random: Random) -> str:
    digits = [found.start() for found in re.finditer("[0-9]", text)]
    at = random.choice(digits)
    return text[:at] + random.choice("0123456789") + text[at + 1 :]


def resize_number(text: str, random: Random) -> str:
    """A digit more or a digit less in the price or in the size."""
    start, end = random.choice([found.span() for found in re.finditer("[0-9.]+", text)])
    at = random.choice((start, end, random.randint(start, end)))
    if random.random() < 0.5:
        return text[:at] + random.choice("0123456789") + text[at:]
    at = min(at, end - 1)
    return text[:at] + text[at + 1 :]


@on_a_level
def digit_more_or_less(text: str, random: Random) -> str:
    return resize_number(text, random)


@edit
def digit_in_the_last_level(draft: Draft, random: Random) -> None:
    side, _ = draft.sides(random)
    if side:
        side[-1] = resize_number(side[-1], random)


@on_a_level
def swap_price_and_size(text: str, random: Random) -> str:
    numbers = re.findall("[0-9.]+", text)
    if len(numbers) != 2:
        return text
    again = iter(reversed(numbers))
    return re.sub("[0-9.]+", lambda found: next(again), text)


@on_a_level
def other_key(text: str, random: Random) -> str:
    return text.replace('"sz"', '"v"') if '"sz"' in text else text.replace('"v"', '"sz"')


@edit
def other_keys(draft: Draft, random: Random) -> None:
    """The other edition, of every level or from one on."""
    side, _ = draft.sides(random)
    start = random.choice((0, place(random, side)))
    side[start:] = [text.replace('"sz"', '"v"') for text in side[start:]]


@on_a_level
def blank_in_a_number(text: str, random: Random) -> str:
    return re.sub('([0-9])"', r'\1 "', text, count=random.choice((1, 2)))


@on_a_level
def zero(text: str, random: Random) -> str:
    """No size, or no price, so that the level is skipped."""
    size = random.choice(("0", "0.00", "0e5", "-0"))
    if random.random() < 0.7:
        return USUAL.replace("{p}", str(price_of(text) // 10**8 or 1)).replace("{s}", size)
    return USUAL.replace("{p}", size).replace("{s}", "1")


@on_a_level
def space(text: str, random: Random) -> str:
    blank = random.choice((" ", "\n", "\t\r", " " * 40))
    at = random.choice((0, len(text), random.choice([m.end() for m in re.finditer("[:,{]", text)])))
    return text[:at] + blank + text[at:]


@edit
def spaces(draft: Draft, random: Random) -> None:
    draft.comma = random.choice((",", ", ", " ,", ",\n", " , "))


@edit
def around(draft: Draft, random: Random) -> None:
    """What stands before the levels and behind them, so that they start elsewhere."""
    draft.order = random.choice(DATA_ORDERS)
    filler = ("", "", ',"x":1', ',"x":"' + "y" * random.randrange(90) + '"', ',"x":[{"pr":"1"}]')
    draft.before, draft.after = random.choice(filler), random.choice(filler)


# Levels in the wrong places ------------------------------------------------------------------


@edit
def exchange_sides(draft: Draft, random: Random) -> None:
    """The same two lists, each under the key of the other."""
    draft.bids, draft.asks = draft.asks, draft.bids


@edit
def both_sides_alike(draft: Draft, random: Random) -> None:
    side, other = draft.sides(random)
    other[:] = side


@edit
def level_of_the_other_side(draft: Draft, random: Random) -> None:
    side, other = draft.sides(random)
    at, to = place(random, side), place(random, other)
    if side:
        other[to : to + random.choice((0, 1))] = side[at : at + random.choice((1, 1, 4))]


@edit
def repeat(draft: Draft, random: Random) -> None:
    """A level a second time: beside itself, or before or behind the levels that are equal."""
    side, _ = draft.sides(random)
    at = place(random, side)
    if side:
        text = side[at]
        if random.random() < 0.4:
            text = level(random, price_of(text), a_size(random), random.choice(FORMS))
        side.insert(random.choice((at, at + 1, 0, len(side))), text)


@edit
def reorder(draft: Draft, random: Random) -> None:
    """A run of levels backwards, moved elsewhere, or two levels in each other's place."""
    side, _ = draft.sides(random)
    start, end = sorted((place(random, side), place(random, side)))
    match random.randrange(3):
        case 0:
            side[start : end + 1] = side[start : end + 1][::-1]
        case 1:
            run = side[start : end + 1]
            del side[start : end + 1]
            to = random.randint(0, len(side))
            side[to:to] = run
        case 2 if side:
            side[start], side[end] = side[end], side[start]


@edit
def from_the_start_again(draft: Draft, random: Random) -> None:
    """The first levels once more behind the last ones."""
    side, _ = draft.sides(random)
    side.extend(side[: random.choice((1, 2, len(side)))])


# Frames that are refused, most of them -------------------------------------------------------


def split_levels(draft: Draft, random: Random) -> str:
    """Something other than a comma between two levels, or behind the last."""
    wrong = random.choice(("", " ", ",,", "x", "}", "]", "[", "},{", '"', "\0", ",null,", ",{},"))
    text = draft.frame().decode()
    ends = [found.start() + 1 for found in re.finditer(r"},{|}]", text)] or [len(text) - 1]
    at = random.choice((ends[0], ends[-1], random.choice(ends)))
    return text[:at] + wrong + text[at + 1 :]


def tear_a_level(draft: Draft, random: Random) -> str:
    """One level cut in two, or part of it gone."""
    side, _ = draft.sides(random)
    if side:
        at = place(random, side)
        cut = random.randrange(len(side[at]))
        end = random.randint(cut, len(side[at]))
        glue = random.choice(("", "", "},{", ",", '"', "}]"))
        side[at] = side[at][:cut] + glue + side[at][end:]
    return draft.frame().decode()


def follow_the_last_level(draft: Draft, random: Random) -> str:
    """The last level is what it was, and then there is something else."""
    side, _ = draft.sides(random)
    if side:
        side[-1] += random.choice('x ] } ]} , ,] {} ,{} ,{"pr" "} "e5"} 0 ,null'.split())
    return draft.frame().decode()


def lose_the_end(draft: Draft, random: Random) -> str:
    text = draft.frame().decode()
    return text[: random.choice((len(text) - 1, len(text) - 2, random.randrange(len(text))))]


def other_byte(draft: Draft, random: Random) -> str:
    """One character of the frame replaced, put in, left out or doubled."""
    text = draft.frame().decode()
    at = random.randrange(len(text))
    put = random.choice(('"', "0", "e", "-", ",", " ", "\0", "\x80", "", text[at] * 2))
    return text[:at] + put + text[at + random.choice((0, 1)) :]


def one_side_twice(draft: Draft, random: Random) -> str:
    return draft.frame().decode().replace('"bids"', '"asks"')


BREAKS = (
    split_levels,
    split_levels,
    tear_a_level,
    tear_a_level,
    follow_the_last_level,
    follow_the_last_level,
    lose_the_end,
    other_byte,
    one_side_twice,
)

# Sequences -----------------------------------------------------------------------------------

FATES = (*["sent"] * 12, *["broken"] * 3, "stale", "stale", "old", "of another symbol", "twice")


class Feed:
    """Successive frames of a symbol; what was drafted and not taken may still be drafted on."""

    def __init__(self, seed: int, symbol: str = SYMBOL) -> None:
        self.draft = Draft(Random(seed), symbol)
        self.taken = [self.draft]  # the drafts that were sent as they are, as far as is known
        self.sent = self.draft.frame()

    def next(self, edits: list[str], fate: str, seed: int) -> bytes:
        random = Random(seed)
        if fate == "twice":
            return self.sent
        ts_ms = self.draft.ts_ms + random.choice((0, 1, 1, 7))
        self.draft = deepcopy(random.choice(self.taken[-4:]) if fate == "old" else self.draft)
        self.draft.ts_ms = ts_ms
        if fate == "sent" or random.random() < 0.5:
            for name in edits:
                EDITS[name](self.draft, random)
        draft = deepcopy(self.draft)
        match fate:
            case "broken":
                self.sent = random.choice(BREAKS)(draft, random).encode()
                return self.sent
            case "stale":
                draft.ts_ms = TIME - 1
            case "of another symbol":
                draft.symbol += "T"
            case _:
                self.taken.append(draft)
        self.sent = draft.frame()
        return self.sent

    def refused(self) -> None:
        """The last frame was no good: goes on from the last that was, if its draft was at fault."""
        if self.taken[-1].frame() == self.sent:
            self.taken.pop()
            self.draft = deepcopy(self.taken[-1])

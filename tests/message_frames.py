"""Frames of every channel but the order books, drawn with every spelling that JSON allows.

As in `strategies.py`, a frame is a few hypothesis choices and one seed for what it says and how
that is spelled; seed 0 fills every attribute, as the venue spells it.
"""

from random import Random
from typing import Any

from hypothesis import strategies as st

from model_messages import CODES, COLUMNS, FLAGS, INTEGERS, IVS, TEXTS, WORDS
from strategies import ODD_NUMBERS, TIME, TRAPS, Pairs, Speller, seeds

CHANNEL_CODES = sorted(COLUMNS)
KEYS = sorted({key for _, columns in COLUMNS.values() for keys in columns.values() for key in keys})
SYMBOLS = (
    *("BTCUSD", "BTCUSD-27MAY23-24000-C", "BTCUSD-4JUL23-27000-P", "KASUSD-31MAY24-0.1250-C"),
    *(
        "ETHUSD-27MAY23-1925.00-P",
        "",
        " ",
        "\u00e9\u20ac\U0001f4c8",
        'a"\\/\n',
        " BTCUSD",
        "x" * 70,
    ),
)
NUMBERS = (
    *"0 -0 0.0 -0.00 0E-8 1 -1 1.5 0.1 12.50 1.05E-4 1.0E-4 1E+1 -5.4e-7 2e3 3E3".split(),
    *"26498.05 100000000000.50153541 0.30000000000000004 9007199254740993 1e22 1e23".split(),
    *"5e-324 2e-324 1e-400 1.7976931348623157E308 1.7976931348623159E308 1e400 -1e400".split(),
    *"1e300 9.999999999999999e299 10000000000000000525047602552044202487044685811081.5".split(),
    *("12345678901234567890123456789012345678", "0." + "123456789" * 5, "9" * 310, "1" + "0" * 300),
    *("2.2250738585072011e-308", "0.500000000000000166533453693773481063544750213623046875"),
)
NUMBERS_OF_INTEGERS = (
    *map(str, (0, 1, -1, 2, 5, 11, 99, TIME, 2**31, 2**53 + 1, 2**63 - 1, 2**63, 2**64, 10**19)),
    *("-0", "-3178263", "1663820914095300608", "20201116024818", "-9223372036854775808"),
    *("-9223372036854775809", "9" * 38, "7" * 640, "-" + "7" * 640),
)
ENCODED_FLAGS = "0", "1", '"0"', '"1"', "true", "false", '"true"', '"false"'
KNOWN_CODES = tuple(map(str, (-10, -2, -1, *range(7), 10, 14, 99, -99)))
WRONG = (
    *r'true false [] {} [1] {"s":"1"} "x" "1x" "+1" "01" "1." ".5" "NaN" "1e" 1.0 1e3'.split(),
    *r'"1e3" "1.5" 2 "2" -1 "TRUE" "None" "\ud800" "\u0031" "\u00201\u0020" "1\t" "\t" 0.0'.split(),
    *('"1 2"', '"- 1"', '" 1 "', '"  "', '"\\u0020"', "0x1", "01", "nul", "1.", ""),
)


class MessageSpeller(Speller):
    """Writes messages: what a message says is drawn from the same seed as how it is spelled."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self.fullness = self.random.choice((0.1, 0.5, 0.9, 1.0)) if seed else 1.0
        self.plain = not seed

    def maybe_quoted(self, text: str) -> str:
        if self.random.random() < 0.5:
            return text
        before, after = (" " * self.random.randrange(3) if self.sometimes() else "" for _ in "ab")
        return self.string(before + text + after)

    def value(self, attribute: str) -> Any:
        """A legal JSON text for an attribute, absent ones included."""
        random = self.random
        if not self.plain and random.random() < 0.08:
            return random.choice(("null", '""', '" "', '"    "'))
        if attribute in TEXTS:
            names = ("h1", "m1", "D1") if attribute == "period" else SYMBOLS
            return self.string(names[0] if self.plain else random.choice(names))
        if attribute in FLAGS:
            return "1" if self.plain else random.choice(ENCODED_FLAGS)
        if attribute in CODES:
            if attribute == "time_in_force" and random.random() < 0.2:
                return self.string(random.choice(list(WORDS)))
            return "1" if self.plain else self.maybe_quoted(random.choice(KNOWN_CODES))
        if attribute == "assets":
            return '[{"coin":"BTC","availableBalance":"0.1"}]' if self.plain else self.anything()
        if attribute in INTEGERS or attribute.endswith("_ms"):
            if self.plain:
                return str(TIME)
            if attribute.endswith("_ms"):
                return self.maybe_quoted(random.choice(NUMBERS_OF_INTEGERS[:11]))
            return self.maybe_quoted(random.choice(NUMBERS_OF_INTEGERS))
        if self.plain:
            return '"12.50"'
        if random.random() < 0.5:
            return self.quoted(random.randrange(10 ** random.randrange(1, 15)))
        large = attribute in IVS and random.random() < 0.5
        return self.maybe_quoted("1.7976931348623157E308" if large else random.choice(NUMBERS))

    def row(self, dt: int, attributes: Any = None) -> Pairs:
        pairs = Pairs()
        columns = COLUMNS[dt][1]
        for attribute, keys in columns.items():
            if self.random.random() < self.fullness or (dt == 4 and attribute == "symbol"):
                drawn = [keys[0]] if self.plain else [self.random.choice(keys)]
                if self.sometimes() and self.random.random() < 0.3:
                    drawn = list(keys)
                pairs.extend((key, self.value(attribute)) for key in drawn)
        if dt == 4 and (self.plain or self.random.random() < 0.95):
            month = self.random.choice(("27MAY23", "4JUL23", "31DEC26"))
            strike = self.random.choice(
                ("24000", "0.1250", "1925.00", self.random.randrange(10**6))
            )
            pairs[0] = ("s", self.string(f"BTCUSD-{month}-{strike}-{self.random.choice('CP')}"))
        return self.among_others(pairs, {key for keys in columns.values() for key in keys})

    def among_others(self, pairs: Pairs, known: set[str]) -> Pairs:
        """These pairs in some order, among such as have no meaning there."""
        others = sorted({*TRAPS, *KEYS, "tim", "ctp", "displayName", "S", "s ", "mp\0"} - known)
        while self.sometimes():
            pairs.append((self.random.choice(others), self.anything()))
        if self.sometimes():
            self.random.shuffle(pairs)
        return pairs

    def data(self, dt: int) -> Any:
        is_listed = COLUMNS[dt][0] in ("Trade", "ChainRow")
        if not is_listed if self.plain else self.random.random() < (0.1 if is_listed else 0.9):
            return self.row(dt)
        return [self.row(dt) for _ in range(self.random.choice((0, 1, 2, 2, 5)))]

    def frame(self, dt: int, fault: str | None = None) -> bytes:
        data = self.data(dt)
        rows = [data] if isinstance(data, Pairs) else data
        if fault == "value" and any(rows):
            row = self.random.choice([row for row in rows if row])
            at = self.random.randrange(len(row))
            row[at] = (row[at][0], self.random.choice((*WRONG, *WRONG, *ODD_NUMBERS)))
        elif fault == "pair" and any(rows):
            self.spoil(self.random.choice([row for row in rows if row]), dt)
        elif fault == "row" and isinstance(data, list) and not isinstance(data, Pairs):
            data.insert(self.random.randint(0, len(data)), self.anything())
        envelope = Pairs([("dt", str(dt)), ("c", "20"), ("d", data)])
        if not self.plain and self.random.random() < 0.5:
            ts = self.random.choice((str(TIME + 5), f'"{TIME + 5}"', "null", str(2**62)))
            envelope.insert(self.random.randint(0, len(envelope)), ("ts", ts))
        if fault == "envelope":
            self.spoil(envelope, dt)
        self.among_others(envelope, {"dt", "d", "ts"})
        return self.write(envelope).encode()

    def spoil(self, pairs: Pairs, dt: int) -> None:
        """Drops, repeats, renames or overwrites one pair."""
        random = self.random
        at = random.randrange(len(pairs))
        key, value = pairs[at]
        match random.randrange(4):
            case 0:
                del pairs[at]
            case 1:
                again = value if random.random() < 0.5 else self.anything()
                pairs.insert(random.randint(0, len(pairs)), (key, again))
            case 2:
                pairs[at] = (random.choice((*TRAPS, *KEYS)), value)
            case 3:
                pairs[at] = (key, self.anything())


def message_frame(dt: int, seed: int, fault: str | None = None) -> bytes:
    return MessageSpeller(seed).frame(dt, fault)


faults = st.sampled_from((None, None, None, None, "value", "pair", "row", "envelope"))
message_frames = st.builds(message_frame, st.sampled_from(CHANNEL_CODES), seeds, faults)


def mutate(frames: list[bytes], seed: int) -> bytes:
    """A few bytes flipped, cut, doubled, moved or swapped in a frame, or two frames spliced."""
    random = Random(seed)
    frame = bytearray(random.choice(frames))
    for _ in range(random.choice((1, 1, 1, 2, 5))):
        at, to = sorted(random.randrange(len(frame) + 1) for _ in "ab")
        if random.random() < 0.7:
            to = min(to, at + random.randrange(1, 20))
        match random.randrange(7):
            case 0:
                frame[at : at + 1] = bytes([random.randrange(256)])
            case 1:
                frame[at : at + 1] = random.choice(
                    [b'"', b"\\", b"0", b"e", b",", b" ", b"}", b"]"]
                )
            case 2:
                frame[at:at] = random.choice(
                    [b'"', b"0", b"9", b"-", b".", b"e5", b" ", b"[", b"{}"]
                )
            case 3:
                del frame[at:to]
            case 4:
                frame[at:at] = frame[at:to]
            case 5:
                other = random.choice(frames)
                frame[at:] = other[random.randrange(len(other)) :]
            case 6:
                frame[at:to] = frame[at:to][::-1]
    return bytes(frame)

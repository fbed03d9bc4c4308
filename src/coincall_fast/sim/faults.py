"""Faults to order: what goes wrong, where, how often. Each is deterministic under its seed.

A socket's fault strikes frames that are on their way out; a request's fault strikes a REST answer.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, fields
from random import Random
from types import NoneType
from typing import Any

__all__ = ["REST_KINDS", "SOCKET_KINDS", "WHENS", "Fault", "Faults", "Outgoing"]

SOCKET_KINDS = ("lose", "delay", "duplicate", "reorder", "truncate", "corrupt", "cut", "half_open")
REST_KINDS = ("status", "code", "wait", "hang_up")
WHENS = ("before", "between", "after")

_TYPES: dict[str, tuple[type, ...]] = {
    "probability": (float, int),
    "times": (int, NoneType),
    **dict.fromkeys(("skip", "amount", "seed"), (int,)),
    **dict.fromkeys(("symbol", "path", "method"), (str,)),
}


@dataclass(slots=True)
class Fault:
    """One thing that goes wrong.

    kind         "lose", "delay", "duplicate", "reorder", "truncate", "corrupt" a frame, or "cut"
                 the connection at it, or let it be "half_open" from it on; for REST a HTTP
                 "status", an error "code", a "wait" before the answer, or "hang_up" without one
    probability  of each frame or request that it is meant for
    times        how often at most; None: for ever
    skip         how many pass unharmed first
    symbol, channel   of the frames that it is meant for; the channel is their `dt`
    path         what the request's path has in it
    method       of the request
    when         "before" the request is looked at, "between" that and its effect, which then comes
                 late but comes, or "after" it
    amount       milliseconds of a delay or wait; the HTTP status; the error code
    seed         of this fault's dice
    """

    kind: str
    probability: float = 1.0
    times: int | None = None
    skip: int = 0
    symbol: str = ""
    channel: str = ""
    path: str = ""
    method: str = ""
    when: str = "before"
    amount: int = 0
    seed: int = 0
    struck: int = 0
    _dice: Random = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.channel = str(self.channel)
        if self.kind not in SOCKET_KINDS + REST_KINDS:
            known = ", ".join(SOCKET_KINDS + REST_KINDS)
            raise ValueError(f"kind={self.kind!r}: must be one of {known}")
        for name, kinds in _TYPES.items():
            if type(value := getattr(self, name)) not in kinds:
                raise ValueError(f"{name}={value!r}: must be of another type")
        if self.kind == "status" and not 200 <= self.amount < 600:
            raise ValueError(f"amount={self.amount}: an HTTP status must be from 200 to 599")
        if self.when not in WHENS:
            raise ValueError(f"when={self.when!r}: must be one of {', '.join(WHENS)}")
        if not 0.0 <= self.probability <= 1.0:
            raise ValueError("a probability is between 0 and 1")
        self._dice = Random(f"{self.seed}:{self.kind}")

    def strikes(self) -> bool:
        """Whether it strikes this time; asked once for everything that it is meant for."""
        if self.times is not None and self.struck >= self.times:
            return False
        if self.skip > 0:
            self.skip -= 1
            return False
        if self._dice.random() >= self.probability:
            return False
        self.struck += 1
        return True

    def place(self, length: int) -> int:
        """Where in a text of this length it strikes."""
        return self._dice.randrange(max(1, length))

    def to_dict(self) -> dict[str, Any]:
        return {name: value for name, value in asdict(self).items() if name != "_dice"}


@dataclass(slots=True)
class Outgoing:
    """What becomes of one frame."""

    frames: list[str]
    delay_ms: int = 0
    is_cut: bool = False
    is_half_open: bool = False


class Faults:
    """All faults of an exchange, in the order in which they were ordered."""

    def __init__(self) -> None:
        self._faults: dict[int, Fault] = {}
        self._ordered = 0

    @property
    def has_any(self) -> bool:
        return bool(self._faults)

    def add(self, **how: Any) -> int:
        """Orders a fault; its number is what `remove` wants."""
        known = {item.name for item in fields(Fault)} - {"_dice", "struck"}
        if unknown := how.keys() - known:
            raise ValueError(f"no such setting of a fault: {', '.join(sorted(unknown))}")
        self._ordered += 1
        self._faults[self._ordered] = Fault(**how)
        return self._ordered

    def remove(self, number: int | None = None) -> None:
        """Ends one fault, or all."""
        if number is None:
            self._faults.clear()
        else:
            self._faults.pop(number, None)

    def listed(self) -> dict[int, dict[str, Any]]:
        return {number: fault.to_dict() for number, fault in self._faults.items()}

    def socket(self, frame: str, kept: list[str]) -> Outgoing:
        """What becomes of a frame; `kept` is what a reordering keeps back of its connection."""
        out = Outgoing([frame])
        for fault in self._of(SOCKET_KINDS):
            if _is_meant(fault, frame) and fault.strikes():
                _strike(fault, out, kept)
        if out.frames:
            out.frames += kept
            kept.clear()
        return out

    def rest(self, method: str, path: str) -> list[Fault]:
        """The faults that strike a request."""
        return [
            fault
            for fault in self._of(REST_KINDS)
            if fault.path in path and fault.method in ("", method) and fault.strikes()
        ]

    def _of(self, kinds: tuple[str, ...]) -> Iterator[Fault]:
        return (fault for fault in self._faults.values() if fault.kind in kinds)


def _is_meant(fault: Fault, frame: str) -> bool:
    if fault.symbol and f'"{fault.symbol}"' not in frame:
        return False
    return not fault.channel or frame.startswith(f'{{"dt":{fault.channel},')


def _strike(fault: Fault, out: Outgoing, kept: list[str]) -> None:
    match fault.kind:
        case "lose":
            out.frames.clear()
        case "delay":
            out.delay_ms += fault.amount
        case "duplicate":
            out.frames *= 2
        case "reorder" if not kept:  # what is kept back goes behind the next frame, come what may
            kept += out.frames
            out.frames = []
        case "truncate":
            out.frames = [frame[: fault.place(len(frame))] for frame in out.frames]
        case "corrupt":
            out.frames = [_corrupted(frame, fault.place(len(frame))) for frame in out.frames]
        case "cut":
            out.is_cut = True
        case "half_open":
            out.is_half_open = True


def _corrupted(frame: str, place: int) -> str:
    """With one character changed, which is still a text message; of nothing, nothing is left."""
    if not frame:
        return frame
    return frame[:place] + chr(33 + (ord(frame[place]) - 32) % 94) + frame[place + 1 :]

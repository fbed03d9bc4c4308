"""Whether messages that are numbered come one after the other."""

from typing import NamedTuple

from ..errors import GapError
from .dialect import Numbered

__all__ = ["Sequences", "Step"]


class Step(NamedTuple):
    """What a message is to those before it."""

    is_new: bool
    gap: GapError | None = None  # where messages between were missed


class Sequences:
    """The last number of each channel of one connection (protocol page, section 1.8)."""

    def __init__(self) -> None:
        self._last: dict[str, Numbered] = {}

    def clear(self) -> None:
        self._last.clear()

    def forget(self, channel: str) -> None:
        """Whatever comes next is where the channel begins."""
        self._last.pop(channel, None)

    def follow(self, it: Numbered) -> Step:
        """Takes the next one. A whole one is never a repetition: it counts nothing itself."""
        last = self._last.get(it.channel)
        if last is None or it.is_whole:
            self._last[it.channel] = it
            return Step(True)
        if it.epoch != last.epoch:
            self._last[it.channel] = it
            return Step(True, GapError(it.channel, None, it.number, it.number))
        if it.number <= last.number:
            return Step(False)
        self._last[it.channel] = it
        if it.number == last.number + 1:
            return Step(True)
        return Step(True, GapError(it.channel, last.number + 1, it.number, it.number))

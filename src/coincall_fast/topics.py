"""How a venue that names its channels in texts writes what stands around the rows, as data.

The rows themselves are in the venue's own module: `records.spelled`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from ._message import Message, Part
from .model import Channel

__all__ = ["Envelope", "Part", "TopicRow"]


class TopicRow(NamedTuple):
    """One channel of a venue, and what comes through it.

    ``name`` is the channel's text, or with a dot at its end what comes before a symbol or a coin;
    a message says it without the dot. ``column`` names the keys of its rows, ``alone`` those of a
    row that stands in no list, where they differ. The rows are the data, or ``nested`` in them.
    """

    name: str
    channel: Channel | None
    message: type[Message]
    column: str
    nested: bool = False
    alone: str = ""


@dataclass(frozen=True, eq=False)
class Envelope:
    """What the keys of a venue's frames are, and of data in which rows are nested.

    ``whole`` are the values of the key `Part.KIND` that mean "this is all there is", ``parts``
    those that mean "this is what has changed". Rows come only in frames with one of the ``events``,
    where there are any, and without an error.
    """

    frame: Mapping[str, Part]
    topics: tuple[TopicRow, ...]
    data: Mapping[str, Part]
    whole: tuple[str, ...] = ()
    parts: tuple[str, ...] = ()
    events: tuple[str, ...] = ()

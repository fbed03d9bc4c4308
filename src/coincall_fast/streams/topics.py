"""What one connection is to be subscribed to, and the requests that see to it."""

import json
from collections.abc import Container, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from .dialect import Dialect, Request

__all__ = ["Topic", "Topics"]


class Topic(NamedTuple):
    """A channel as it is subscribed to; the payload as text, so that any can be compared."""

    data_type: str
    text: str

    @classmethod
    def of(cls, data_type: str, payload: Mapping[str, Any]) -> "Topic":
        return cls(data_type, json.dumps(payload))

    @property
    def payload(self) -> dict[str, Any]:
        payload: dict[str, Any] = json.loads(self.text)
        return payload


class Topics:
    """By topic, the symbols that are wanted, and since when."""

    def __init__(self, dialect: Dialect, line: str) -> None:
        self._dialect = dialect
        self._line = line
        self._held: dict[Topic, dict[str, int]] = {}

    def add(self, topic: Topic, symbols: Iterable[str], now_ns: int) -> tuple[str, ...] | None:
        """The symbols that are new; None where nothing is."""
        is_new = topic not in self._held
        held = self._held.setdefault(topic, {})
        new = tuple(symbol for symbol in dict.fromkeys(symbols) if symbol not in held)
        held.update(dict.fromkeys(new, now_ns))
        return new if new or (is_new and not symbols) else None

    def remove(self, topic: Topic, symbols: Iterable[str]) -> tuple[str, ...] | None:
        """The symbols that were held, of none given all; None where the topic is not."""
        held = self._held.get(topic)
        if held is None:
            return None
        gone = tuple(symbol for symbol in dict.fromkeys(symbols or held) if symbol in held)
        for symbol in gone:
            del held[symbol]
        if not held:
            del self._held[topic]
        return gone

    def restart(self, now_ns: int) -> Iterator[Request]:
        """Subscribes to everything: whatever is wanted is so from now on."""
        for topic, held in self._held.items():
            held.update(dict.fromkeys(held, now_ns))
            yield from self.requests("subscribe", topic, held)

    def requests(
        self, action: str, topic: Topic, symbols: Iterable[str], besides: Container[str] = ()
    ) -> Iterator[Request]:
        """For all symbols but those that others want in the same words."""
        named = dict.fromkeys(self._dialect.addressed(topic.data_type, one) for one in symbols)
        wanted = tuple(name for name in named if name not in besides)
        if named and not wanted:
            return
        step = self._dialect.symbols_per_request(self._line, topic.data_type)
        for start in range(0, max(len(wanted), 1), step):
            part = wanted[start : start + step]
            yield Request(action, topic.data_type, part, topic.payload)

    def again(self, topic: Topic, symbols: Iterable[str]) -> Iterator[Request]:
        """Subscribes once more to what is subscribed to, for all of what it has to say."""
        for action in ("unsubscribe", "subscribe"):
            yield from self.requests(action, topic, symbols)

    def named(self, topic: Topic) -> set[str]:
        """What the requests for a topic have named."""
        held = self._held.get(topic, {})
        return {self._dialect.addressed(topic.data_type, symbol) for symbol in held}

    def of_book(self, symbol: str) -> Topic | None:
        """How the book of a symbol is wanted, if it is."""
        for topic, held in self._held.items():
            if topic.data_type in self._dialect.book_types and symbol in held:
                return topic
        return None

    def books(self) -> Iterator[tuple[str, int]]:
        """The symbols whose books are wanted, and since when."""
        for topic, held in self._held.items():
            if topic.data_type in self._dialect.book_types:
                yield from held.items()

    def __len__(self) -> int:
        return len(self._held)

    def __iter__(self) -> Iterator[tuple[Topic, tuple[str, ...]]]:
        for topic, held in self._held.items():
            yield topic, tuple(held)

"""What a stream asks its venue: everything in which one venue differs from another.

A venue is a subclass with its tables; what stands here is what most have in common. No method reads
a clock or knows a socket: the time and the keys come as arguments.
"""

import enum
from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple

from ..errors import AuthError, CoincallFastError, VenueError
from ..message import Message
from ..model import Channel
from ..signing import Credentials
from ..wire import Wire

__all__ = ["About", "Base", "Dialect", "Numbered", "Reply", "Request", "Whole"]

SECOND_NS = 1_000_000_000


class Request(NamedTuple):
    """What is asked of a venue: `action` is "subscribe" or "unsubscribe".

    A data type is the venue's name of a channel. `number` counts the requests of a connection.
    """

    action: str
    data_type: str
    symbols: tuple[str, ...]
    payload: Mapping[str, Any]
    number: int = 0


class About(enum.Enum):
    """What a reply is about."""

    REQUEST = enum.auto()
    LOGIN = enum.auto()
    PULSE = enum.auto()  # a heartbeat
    FAREWELL = enum.auto()  # the venue is about to close the connection


class Reply(NamedTuple):
    """A message about the connection, and what it says whatever the venue's words.

    Which request it answers is said by `number`; else by `topics`, all that were asked for; else by
    what is given of the rest, and by order. `failed` are those topics that were refused while the
    others stand. `final` is the error where the venue refuses not a request but us.
    """

    ok: bool
    about: About = About.REQUEST
    action: str | None = None
    number: int | None = None
    data_type: str | None = None
    topics: frozenset[str] | None = None
    failed: tuple[str, ...] = ()
    said: str = ""
    code: int | None = None
    error: type[VenueError] = VenueError
    final: AuthError | None = None


class Numbered(NamedTuple):
    """How a message stands in the sequence of its channel.

    Numbers count up by one within an `epoch`; a whole one repeats the number that it is as of.
    `comes_whole`: whether to subscribe again brings a whole one.
    """

    channel: str
    number: int
    epoch: int
    is_whole: bool
    comes_whole: bool = True


class Base(NamedTuple):
    """Where the whole book is that a symbol's updates begin from: a target of the venue's REST."""

    symbol: str
    target: str


class Whole(NamedTuple):
    """A whole book: prices and sizes as texts, or as numbers that are exact."""

    bids: list[tuple[Any, Any]]
    asks: list[tuple[Any, Any]]
    ts_ms: int
    version: int


class Dialect:
    """How one venue spells what a stream says, and how long its connections may be silent.

    `products` are what a user chooses from; each has one connection or several, its lines. A method
    that gets credentials may be given none, as when a recording is played.
    """

    venue: ClassVar[str]
    edition = ""  # of the venue's interface, where there are several
    wire: Wire
    products: tuple[str, ...]
    book_types: frozenset[str]  # data types of order books
    # What a tracker of one's own orders is fed with.
    private: tuple[str, ...] = (Channel.ORDERS, Channel.FILLS, Channel.POSITIONS, Channel.ACCOUNT)
    has_client = False  # whether orders are sent from here, and REST is asked for them
    spellings: tuple[str, ...] = ("",)  # of the signed address
    requests_per_s: int = 100  # and connection, heartbeats included
    quiet_ns: int = 5 * SECOND_NS  # so much silence brings a heartbeat
    patience_ns: int | None = None  # and so much more after it the end; None: the same again
    beats_always = False  # whether a heartbeat is due however much comes, the first one at once

    # ---------------------------------------------------------------- who and where

    def credentials(self, api_key: str | None, api_secret: str | None) -> Credentials | None:
        """The keys given, else those of the environment. Raises UsageError where they must be."""
        raise NotImplementedError

    def ws_url(self, env: str | None) -> str:
        """The base of the stream addresses."""
        raise NotImplementedError

    def rest_url(self, env: str | None) -> str | None:
        """The address of REST, where books need their base from there."""
        return None

    def lines(self, product: str) -> tuple[str, ...]:
        """The connections of a product. The first is always open, others once they are needed."""
        return (product,)

    def path(self, line: str) -> str:
        """What the address of a line has behind the base."""
        return f"/{line}"

    def signed(self, url: str, keys: Credentials | None, ts_ms: int, spelling: str) -> str:
        """The address that is dialled, where that is signed."""
        return url

    def is_private(self, data_type: str) -> bool:
        """Whether a channel is of the account, so that it needs keys; all are on one connection."""
        return False

    # ---------------------------------------------------------------- what is said

    def data_types(self, channel: str, symbol: str | None) -> dict[str, str]:
        """By line, what the venue calls a channel there."""
        raise NotImplementedError

    def symbols_per_request(self, line: str, data_type: str) -> int:
        return 1

    def addressed(self, data_type: str, symbol: str) -> str:
        """What a request names where a symbol is wanted: on some channels more than that."""
        return symbol

    def topics(self, request: Request) -> frozenset[str]:
        """What a request is for, as the answer to it may say."""
        return frozenset()

    def request(self, request: Request, keys: Credentials | None, wall_ms: int) -> str:
        """The text of a request. Raises TypeError or ValueError for what cannot be written."""
        raise NotImplementedError

    def heartbeat(self, wall_ms: int) -> str:
        raise NotImplementedError

    def login(self, line: str, keys: Credentials | None, wall_ms: int) -> str | None:
        """What is sent before anything else, whose answer is awaited; None where there is none."""
        return None

    # ---------------------------------------------------------------- what is heard

    def reply(self, message: Message) -> Reply | None:
        """What a message that is no data says of the connection."""
        raise NotImplementedError

    def numbered(self, item: Message | list[Message]) -> Numbered | None:
        """The place of a frame's messages in the sequence of their channel, where they have one."""
        return None

    def looks_like_a_book(self, frame: bytes) -> bool:
        """Whether a frame that cannot be read may have been an order book."""
        raise NotImplementedError

    def names_of(self, message: Message) -> tuple[str, ...]:
        """The names under which a message's channel may be listened to."""
        raise NotImplementedError

    def is_name(self, name: str) -> bool:
        """Whether frames ever come under this name."""
        return name in Channel._value2member_map_

    # ---------------------------------------------------------------- books that need a base

    def base(self, symbol: str, payload: Mapping[str, Any]) -> Base | None:
        """Where a book begins; None where the venue sends whole books itself."""
        return None

    def based(self, body: bytes) -> Whole:
        """What an answer of REST says. Raises DecodeError for what is no such answer."""
        raise NotImplementedError

    def failure(self, reply: Reply, what: str) -> CoincallFastError:
        """The error of a request that was refused."""
        return reply.error(f"{what} failed: {reply.said}", reply.code, self.venue)

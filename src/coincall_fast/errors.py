"""Everything this package raises on purpose, in one tree.

::

    CoincallFastError
    ├── UsageError          you asked for something impossible
    │   └── OrderVetoed     ... or for what your own order_guard forbids
    ├── DecodeError         the venue sent, or you passed, what is not a legal message (.offset)
    ├── SymbolMismatch      a legal frame, but of another symbol than the book's
    ├── GapError            a change does not follow the version of a book (.symbol .expected)
    ├── StaleError          a book is not valid, or older than you allow
    ├── RecordingError      a recording is damaged, or cannot be written any further
    ├── VenueError          the venue said no (.venue .code .message .endpoint)
    │   ├── AuthError       ... to the key, the signature or the address it came from
    │   ├── ClockError      ... to the timestamp, although the clock was synchronised
    │   ├── RateLimited     ... or the client for it, to so many requests (.wait_s)
    │   ├── OrderRejected   ... to this order; the same one will be refused again
    │   ├── OrderNotFound   ... since there is no such open order (.state)
    │   ├── DuplicateOrder  ... since this id is taken: an earlier attempt has landed
    │   └── Unavailable     ... for now, or does not know itself: writes may have landed
    ├── OrdersRemain        orders that had to go are still open (.orders)
    ├── AmbiguousOrderError nobody knows what became of an order: the venue was asked, in vain
    └── TransportError      the network failed (.is_sent)
        ├── GuardLost       ... or the pipe to a guard process, which has ended or hangs
        └── ProtocolError   ... or the server broke a rule of WebSockets (.close_code)

What a verb raises that places, changes or cancels orders means that it was not done: the venue has
refused it, or it did not leave, or it did, and the venue, asked for it, had nothing of it when it
would have refused it for its age; then `is_inferred` is True. Where not even that is known, it is
AmbiguousOrderError.

No message, attribute or cause of these carries an API secret, a signature or a signed URL.
"""

from typing import Any

__all__ = [
    "AmbiguousOrderError",
    "AuthError",
    "ClockError",
    "CoincallFastError",
    "DecodeError",
    "DuplicateOrder",
    "GapError",
    "GuardLost",
    "OrderNotFound",
    "OrderRejected",
    "OrderVetoed",
    "OrdersRemain",
    "ProtocolError",
    "RateLimited",
    "RecordingError",
    "StaleError",
    "SymbolMismatch",
    "TransportError",
    "Unavailable",
    "UsageError",
    "VenueError",
]


class CoincallFastError(Exception):
    """Root of every error of this package.

    Of a write about one order, ``client_order_id`` is the order's, where it has one.
    ``is_inferred``: its outcome was unknown, and that it was not done is a conclusion from what the
    venue said of its orders, after the time when it would have refused the request for its age.
    ``signed_ms`` is when the request was signed, by the venue's clock as far as we knew it.
    """

    client_order_id: int | None = None
    is_inferred: bool = False
    signed_ms: int | None = None


class UsageError(CoincallFastError):
    """The call itself cannot be right, whatever the venue says."""


class OrderVetoed(UsageError):
    """The order_guard does not allow this order, or cannot tell; nothing was sent."""


class DecodeError(CoincallFastError):
    """A frame, body or number that is refused whole; nothing of it was applied.

    ``offset`` is the byte at which it was refused, counted from 0. ``symbol`` is the symbol that
    had been read by then, or ``None``.
    """

    def __init__(self, reason: str, offset: int = 0, symbol: str | None = None) -> None:
        super().__init__(reason, offset, symbol)
        self.reason = reason
        self.offset = offset
        self.symbol = symbol

    def __str__(self) -> str:
        of = f" of {self.symbol}" if self.symbol else ""
        return f"{self.reason} at byte {self.offset}{of}"


class SymbolMismatch(CoincallFastError):
    """A legal frame for another symbol than the one that the book is bound to."""


class GapError(CoincallFastError):
    """A change does not follow the version that is held; a whole book is needed now.

    ``symbol`` says which book, ``expected`` the version that had to come, ``None`` where the book
    holds none. ``first`` to ``last`` are what came. Of messages that are numbered, ``symbol`` is
    their channel.
    """

    def __init__(self, symbol: str, expected: int | None, first: int, last: int) -> None:
        super().__init__(symbol, expected, first, last)
        self.symbol = symbol
        self.expected = expected
        self.first = first
        self.last = last

    def __str__(self) -> str:
        came = str(self.last) if self.first == self.last else f"{self.first} to {self.last}"
        held = "holds no version" if self.expected is None else f"expects {self.expected}"
        return f"{self.symbol} {held}: {came} does not follow"


class StaleError(CoincallFastError):
    """The book is not valid, or older than the caller allows."""


class RecordingError(CoincallFastError):
    """A file is no recording, is damaged, or cannot be written any further (a full disk)."""


class VenueError(CoincallFastError):
    """The venue refused. ``code`` is the venue's own (``None`` where it gave none), ``endpoint``
    the method and path that it refused (``None`` on a stream), ``status`` that of HTTP, where it
    says no more than that."""

    status: int | None = None

    def __init__(
        self,
        message: str,
        code: int | None = None,
        venue: str = "coincall",
        endpoint: str | None = None,
    ) -> None:
        super().__init__(message, code, venue, endpoint)
        self.message = message
        self.code = code
        self.venue = venue
        self.endpoint = endpoint

    def __str__(self) -> str:
        said_by = (self.venue, self.endpoint, self.code)
        return f"{' '.join(str(part) for part in said_by if part is not None)}: {self.message}"


class AuthError(VenueError):
    """The venue refused the key, the signature, or the address it came from."""


class ClockError(VenueError):
    """The venue refused the timestamp, once more after the clock had been synchronised with it."""


class RateLimited(VenueError):
    """Too many requests. ``wait_s`` is how long to wait, where that is known.

    ``is_sent``: whether the venue said so; else the client held the request back.
    """

    wait_s: float | None = None
    is_sent: bool = True


class OrderRejected(VenueError):
    """The venue does not take this order: its price, size or kind, or what the account has."""


class OrderNotFound(VenueError):
    """There is no such open order. ``state`` is how it ended, ``None`` where nobody knows."""

    state: int | None = None


class DuplicateOrder(VenueError):
    """The id was used before: an earlier attempt has landed."""


class Unavailable(VenueError):
    """The venue cannot answer for now. It may have done what was asked nevertheless.

    ``is_sent``: whether it was asked at all; False where an order was not sent, since the venue
    could not say what it has to be checked against.
    """

    is_sent: bool = True


class OrdersRemain(CoincallFastError):
    """Orders that had to be cancelled are still open, or may be.

    ``orders`` are those seen last.
    """

    def __init__(self, message: str, orders: tuple[object, ...] = ()) -> None:
        super().__init__(message, orders)
        self.message = message
        self.orders = orders

    def __str__(self) -> str:
        return self.message


class AmbiguousOrderError(CoincallFastError):
    """Nobody knows whether a write was done: its answer did not come, and the venue could not be
    asked about it, or not for long enough.

    ``order`` is the order as it was asked for, ``client_order_id`` and ``order_id`` are its ids as
    far as they are known, ``error`` is why the outcome was unknown. A new order stays on the
    client's watch list: when it appears it is cancelled, unless it was placed again by the same
    client order id.
    """

    def __init__(self, message: str, order: Any, error: CoincallFastError) -> None:
        super().__init__(message, order, error)
        self.message = message
        self.order = order
        self.error = error
        self.client_order_id = order.client_order_id
        self.order_id = order.order_id

    def __str__(self) -> str:
        return self.message


class TransportError(CoincallFastError):
    """The network failed before the venue could answer.

    ``is_sent``: whether any of the request had left, so that the venue may have acted on it. Of an
    order, the client has asked the venue then (``is_inferred``).
    """

    is_sent: bool = False


class GuardLost(TransportError):
    """The guard process has ended, or does not answer; another one takes its place."""


class ProtocolError(TransportError):
    """The server broke a rule of WebSockets (RFC 6455); ``close_code`` is what it is told."""

    def __init__(self, reason: str, close_code: int) -> None:
        super().__init__(reason, close_code)
        self.reason = reason
        self.close_code = close_code

    def __str__(self) -> str:
        return self.reason

"""Everything this package raises on purpose, in one tree.

::

    CoincallFastError
    ├── UsageError          you asked for something impossible
    ├── DecodeError         the venue sent, or you passed, what is not a legal message (.offset)
    ├── SymbolMismatch      a legal frame, but of another symbol than the book's
    ├── GapError            a delta does not follow the book that is held
    ├── StaleError          a book is not valid, or older than you allow
    ├── RecordingError      a recording is damaged, or cannot be written any further
    ├── VenueError          the venue said no (.venue .code .message)
    │   └── AuthError       ... to the key or the signature
    └── TransportError      the network failed
        └── ProtocolError   ... or the server broke a rule of WebSockets (.close_code)

No message, attribute or cause of these carries an API secret, a signature or a signed URL.
"""

__all__ = [
    "AuthError",
    "CoincallFastError",
    "DecodeError",
    "GapError",
    "ProtocolError",
    "RecordingError",
    "StaleError",
    "SymbolMismatch",
    "TransportError",
    "UsageError",
    "VenueError",
]


class CoincallFastError(Exception):
    """Root of every error of this package."""


class UsageError(CoincallFastError):
    """The call itself cannot be right, whatever the venue says."""


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
    """An update does not follow the book that is held; a fresh snapshot is needed."""


class StaleError(CoincallFastError):
    """The book is not valid, or older than the caller allows."""


class RecordingError(CoincallFastError):
    """A file is no recording, is damaged, or cannot be written any further (a full disk)."""


class VenueError(CoincallFastError):
    """The venue refused. ``code`` is the venue's own (``None`` where it gave none)."""

    def __init__(self, message: str, code: int | None = None, venue: str = "coincall") -> None:
        super().__init__(message, code, venue)
        self.message = message
        self.code = code
        self.venue = venue

    def __str__(self) -> str:
        code = "" if self.code is None else f" {self.code}"
        return f"{self.venue}{code}: {self.message}"


class AuthError(VenueError):
    """The venue refused the key, the signature, the timestamp or the address it came from."""


class TransportError(CoincallFastError):
    """The network failed before the venue could answer."""


class ProtocolError(TransportError):
    """The server broke a rule of WebSockets (RFC 6455); ``close_code`` is what it is told."""

    def __init__(self, reason: str, close_code: int) -> None:
        super().__init__(reason, close_code)
        self.reason = reason
        self.close_code = close_code

    def __str__(self) -> str:
        return self.reason

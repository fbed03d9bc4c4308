"""What a REST answer says: a value of its endpoint's type, or the error that it means.

Protocol page, section 2: an envelope with a code, mostly with HTTP 200; other statuses come with
bodies of any kind.
"""

from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import orjson

from .._message import decode_rest
from ..errors import AuthError, DecodeError, RateLimited, Unavailable, VenueError
from ..message import Message
from ..signing import json_text
from .codes import refusal
from .instruments import parsed
from .request import Answer, Request

__all__ = [
    "Levels",
    "Page",
    "anything",
    "detailed",
    "done",
    "identifier",
    "inner",
    "levels",
    "many",
    "maybe",
    "nothing",
    "one",
    "pages",
    "plain",
    "read",
    "server_time",
    "table",
]

LONGEST_TEXT = 300  # of what a venue says, in an error

_T = TypeVar("_T")


def read(request: Request, answer: Answer, hide: Callable[[str], str] = str) -> Any:
    """The value of an answer, or raises VenueError, one of its kinds, or DecodeError.

    hide: takes out of the venue's text what must not be told.
    """
    body = answer.body
    envelope = _envelope(body)
    code = _code(envelope)
    if answer.status != 200 or code not in (0, None):
        raise _refusal(request, answer, code, _said(envelope, hide))
    if code is None or "data" not in envelope:  # null is data too
        raise DecodeError(f"coincall {request.name}: {_wrong_with(body)}")
    data = envelope["data"]
    try:
        return request.endpoint.result(body, data)
    except DecodeError as error:
        raise DecodeError(
            f"coincall {request.name}: {error.reason}", error.offset, error.symbol
        ) from None


def _refusal(
    request: Request, answer: Answer, code: int | None, said: str | None
) -> VenueError | DecodeError:
    """What an answer means that is none, by its status and then by its code."""
    status = answer.status
    told = f"HTTP {status}" if said is None else f"{said} (HTTP {status})"
    if status == 429:
        error = RateLimited(told, code, endpoint=request.name)
        error.wait_s = answer.retry_after_s
        return error
    if status >= 500 or status in (408, 425):
        return Unavailable(told, code, endpoint=request.name)
    if code is not None and code != 0:
        return refusal(code, said, request.name)
    if status in (401, 403):
        return AuthError(f"{told}: not for this key or address", code, endpoint=request.name)
    if status == 404:
        refused = VenueError(
            f"{told}: no such path, or not for this key", code, endpoint=request.name
        )
        refused.status = status
        return refused
    if 300 <= status < 400:
        return VenueError(
            f"{told}: sent elsewhere, where a signed request does not follow",
            code,
            endpoint=request.name,
        )
    if 200 < status < 300:  # accepted, or so it seems
        return DecodeError(f"coincall {request.name}: {told}, and no answer")
    return VenueError(told, code, endpoint=request.name)


def _envelope(body: bytes) -> dict[str, Any]:
    """Code, text and data; of what is none, nothing."""
    try:
        envelope = orjson.loads(body)
    except ValueError:
        return {}
    return envelope if isinstance(envelope, dict) else {}


def _code(envelope: dict[str, Any]) -> int | None:
    """Its code, which one endpoint sends as text; None where it has none."""
    code = envelope.get("code")
    if isinstance(code, str) and code.removeprefix("-").isdecimal() and len(code) < 19:
        return int(code)
    return code if type(code) is int else None


def _said(envelope: dict[str, Any], hide: Callable[[str], str]) -> str | None:
    """Its message, with the values that belong into it, and nothing that steers a terminal."""
    said = envelope.get("msg")
    if not isinstance(said, str) or not said:
        return None
    arguments = envelope.get("i18nArgs")
    for i, value in enumerate(arguments if isinstance(arguments, list) else ()):
        said = said.replace(f"{{{i}}}", str(value))
    return plain(said, hide)


def plain(said: str, hide: Callable[[str], str]) -> str:
    """A venue's text as it may be told: no secret, no end of it, nothing that steers a terminal."""
    return "".join(c if c.isprintable() else " " for c in hide(said)[:LONGEST_TEXT])


def _wrong_with(body: bytes) -> str:
    start = body[:100].lstrip().lower()
    if start.startswith(b"<"):
        return "a page of HTML where JSON belongs"
    if not start.startswith(b"{"):
        return "no JSON object" if body else "an empty body"
    try:
        orjson.loads(body)
    except ValueError:
        return "broken JSON, or half of it"
    return "JSON without a code and data"


# ---------------------------------------------------------------- what endpoints make of data


class Page(NamedTuple):
    """Some rows of a list. ``has_next`` is None where the venue does not say, as ``total`` is: how
    many rows all pages have."""

    rows: list[Any]
    has_next: bool | None
    total: int | None = None


class Levels(NamedTuple):
    """Both sides of a book, as `OrderBook.load` takes them."""

    symbol: str | None
    bids: list[tuple[Any, Any]]
    asks: list[tuple[Any, Any]]
    ts_ms: int


def one(kind: type[Message]) -> Callable[[bytes, Any], Any]:
    """One row."""

    def result(body: bytes, data: Any) -> Any:
        _demand(data, dict)
        return decode_rest(kind, body)

    return result


def maybe(kind: type[Message]) -> Callable[[bytes, Any], Any]:
    """One row, or None for null."""

    def result(body: bytes, data: Any) -> Any:
        return None if data is None else one(kind)(body, data)

    return result


def many(kind: type[Message]) -> Callable[[bytes, Any], list[Any]]:
    """A list of rows."""

    def result(body: bytes, data: Any) -> list[Any]:
        _demand(data, list)
        rows: list[Any] = decode_rest(kind, body)
        return rows

    return result


def table(kind: type[Message]) -> Callable[[bytes, Any], Any]:
    """A list of rows, as columns."""

    def result(body: bytes, data: Any) -> Any:
        _demand(data, list)
        return decode_rest(kind, body)

    return result


def pages(kind: type[Message]) -> Callable[[bytes, Any], Page]:
    """An object with a list of rows."""

    def result(body: bytes, data: Any) -> Page:
        _demand(data, dict)
        _demand(data.get("list"), list)
        has_next = data.get("hasNext")
        total = data.get("total")
        return Page(
            decode_rest(kind, body),
            has_next if isinstance(has_next, bool) else None,
            total if type(total) is int else None,
        )

    return result


def inner(kind: type[Message]) -> Callable[[bytes, Any], list[Any]]:
    """A list of rows that is the data of the data."""

    def result(body: bytes, data: Any) -> list[Any]:
        _demand(data, dict)
        _demand(data.get("data"), list)
        rows: list[Any] = decode_rest(kind, json_text(parsed(body)["data"]))
        return rows

    return result


def identifier(body: bytes, data: Any) -> int:
    """The id of an order: a number, or the digits of one."""
    if isinstance(data, str) and data.isdecimal() and len(data) < 20:
        return int(data)
    if type(data) is not int:
        raise DecodeError("no order id")
    return data


def server_time(body: bytes, data: Any) -> int:
    """The venue's clock, in epoch milliseconds."""
    time_ms = data.get("serverTime") if isinstance(data, dict) else None
    if type(time_ms) is not int:
        raise DecodeError("no server time")
    return time_ms


def nothing(body: bytes, data: Any) -> None:
    """That it was taken, which two products say differently; what says `false` says that it was
    not."""
    if data is False:
        raise DecodeError("it was not done")


def done(body: bytes, data: Any) -> None:
    """That all of it was done: rows with a `result` each."""
    _demand(data, list)
    if not all(isinstance(row, dict) and row.get("result") is True for row in data):
        raise DecodeError("it was not done")


def anything(body: bytes, data: Any) -> Any:
    """An object or a list, as `json.loads` gives it."""
    if not isinstance(data, dict | list):
        raise DecodeError("neither an object nor a list")
    return data


def detailed(body: bytes, data: Any) -> Any:
    """The same, with numbers that are no integers as Decimal."""
    return parsed(body)


def levels(body: bytes, data: Any) -> Levels:
    """The two sides of a book; of a level, size and price by name or a pair of them."""
    _demand(data, dict)
    try:
        bids, asks = ([_level(level) for level in data[side]] for side in ("bids", "asks"))
    except (KeyError, TypeError, IndexError):
        raise DecodeError("no order book") from None
    symbol = data.get("optionName") or data.get("symbol")
    ts_ms = data.get("timestamp")
    return Levels(
        symbol if isinstance(symbol, str) else None,
        bids,
        asks,
        ts_ms if type(ts_ms) is int else 0,
    )


def _level(level: Any) -> tuple[Any, Any]:
    if isinstance(level, dict):
        return level["price"], level["size"]
    price, size = level[:2]
    return price, size


def _demand(data: Any, kind: type[_T]) -> None:
    """Nothing is an answer only where it is said: an empty list (section 5, quirk 29)."""
    if not isinstance(data, kind):
        raise DecodeError(f"a {type(data).__name__} where a {kind.__name__} belongs")

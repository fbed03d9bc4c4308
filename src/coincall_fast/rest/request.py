"""A REST request as it will be sent and signed, and its answer as it came. Nothing here sends.

Protocol page, section 1.1: body and signed text have the same text for every value; the query is
sent in the order in which it is signed.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple
from urllib.parse import quote

from ..errors import UsageError
from ..signing import json_text, texts
from .parameters import wired

__all__ = ["FORM", "JSON", "QUERY", "Answer", "Endpoint", "Request", "build"]

QUERY: Final = ""
JSON: Final = "application/json"
FORM: Final = "application/x-www-form-urlencoded"

# A value inside a path: what no symbol has would make it another path.
_SEGMENT = re.compile(r"[A-Za-z0-9._-]+")


class Endpoint(NamedTuple):
    """One row of a venue's table.

    ``path`` has parameters in braces, ``parameters`` names the others, both as parameters.py does.
    ``encoding`` is how these travel, ``rate`` the class that it counts in ("" for none), ``result``
    makes a value of an answer's bytes and its parsed data. What ``is_write`` is sent once, and is
    urgent; so is what ``is_urgent`` says.
    """

    method: str
    path: str
    parameters: str
    rate: str
    result: Callable[[bytes, Any], Any]
    encoding: str = QUERY
    is_signed: bool = True
    is_write: bool = False
    is_urgent: bool = False


class Request(NamedTuple):
    """One request, without its signature. ``shown`` is the part of it that is signed."""

    endpoint: Endpoint
    path: str
    shown: str
    query: str
    body: bytes | None

    @property
    def name(self) -> str:
        """How errors call it."""
        return f"{self.endpoint.method} {self.path}"

    @property
    def target(self) -> str:
        return f"{self.path}?{self.query}" if self.query else self.path


class Answer(NamedTuple):
    """What came back. Of its headers one matters: how long to wait, where it says so."""

    status: int
    body: bytes
    retry_after_s: float | None = None


def build(endpoint: Endpoint, arguments: Mapping[str, Any]) -> Request:
    """The request of these arguments. Raises UsageError for values that it cannot have."""
    path = endpoint.path
    if "{" in path:
        path = re.sub(r"\{(\w+)\}", lambda found: _segment(found[1], arguments), path)
    params = wired(endpoint.parameters, arguments)
    shown = texts(params)
    signed = "&".join([f"{name}={text}" for name, text in shown.items()])
    if endpoint.encoding == JSON:
        members = [
            f'"{name}":{json_text(value) if isinstance(value, str) else shown[name]}'
            for name, value in params.items()
        ]
        return Request(endpoint, path, signed, "", f"{{{','.join(members)}}}".encode())
    # What the documents have as values stands as it is signed: a comma needs no escape.
    escaped = "&".join([f"{name}={quote(text, safe=',')}" for name, text in shown.items()])
    if endpoint.encoding == FORM:
        return Request(endpoint, path, signed, "", escaped.encode())
    return Request(endpoint, path, signed, escaped, None)


def _segment(name: str, arguments: Mapping[str, Any]) -> str:
    value = arguments.get(name)
    if not isinstance(value, str) or not _SEGMENT.fullmatch(value) or set(value) <= {"."}:
        raise UsageError(f"{name} cannot be {value!r}")
    return str(value)

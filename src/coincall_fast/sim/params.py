"""The parameters of a REST request, and the one text that they are signed as.

Written from the protocol page, section 1.1. Numbers are kept as the digits that came, because they
are signed so and because ids do not fit a float.
"""

import json
from typing import Any
from urllib.parse import parse_qsl

__all__ = ["canonical", "from_form", "from_json", "from_query"]

_MAX_DEPTH = 32


class _Digits(str):
    """A JSON number as it came."""

    __slots__ = ()


def _refuse(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


def from_json(body: str) -> dict[str, Any] | None:
    """The object of a JSON body; None when it is none."""
    try:
        parsed = json.loads(body, parse_int=_Digits, parse_float=_Digits, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return None
    return parsed if isinstance(parsed, dict) and not _is_deep(parsed) else None


def _is_deep(value: Any) -> bool:
    """Whether it is nested deeper than any request, and than `_nested` could follow."""
    level = [value]
    for _ in range(_MAX_DEPTH):
        inner = (v.values() if isinstance(v, dict) else v for v in level)
        level = [item for items in inner for item in items if isinstance(item, (dict, list))]
        if not level:
            return False
    return True


def from_form(body: str) -> dict[str, Any]:
    return dict(parse_qsl(body, keep_blank_values=True))


def from_query(raw_query: str) -> dict[str, Any]:
    return dict(parse_qsl(raw_query, keep_blank_values=True))


def canonical(fields: dict[str, Any], *, true: str = "true", false: str = "false") -> str:
    """`name=value` joined by `&`, by name; what is null is left out, inside lists and objects too.

    `true` and `false` are what booleans of the top level are signed as: no document says.
    """
    texts = {True: true, False: false}

    def text(value: Any) -> str:
        if isinstance(value, bool):
            return texts[value]
        return value if isinstance(value, str) else _nested(value)

    kept = ((name, value) for name, value in sorted(fields.items()) if value is not None)
    return "&".join(f"{name}={text(value)}" for name, value in kept)


def _nested(value: Any) -> str:
    """Compact JSON, keys in the order in which they came."""
    if isinstance(value, dict):
        kept = [(name, item) for name, item in value.items() if item is not None]
        items = (f"{_quoted(name)}:{_nested(item)}" for name, item in kept)
        return "{" + ",".join(items) + "}"
    if isinstance(value, list):
        return "[" + ",".join(_nested(item) for item in value if item is not None) + "]"
    if isinstance(value, _Digits):
        return str(value)
    return _quoted(value) if isinstance(value, str) else json.dumps(value)


def _quoted(value: str) -> str:
    return json.dumps(value, ensure_ascii=False)

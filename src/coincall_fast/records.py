"""What every message can do, whatever it is about, and the kinds of attributes it may have.

The values and what is asked at every frame are compiled (_message); here is the rest.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from decimal import Decimal, InvalidOperation
from enum import IntEnum
from typing import Any, ClassVar, NoReturn, Self, TypeAlias, TypeVar, overload

import numpy as np
import numpy.typing as npt

from ._message import MOST_FIELDS, Cells, Field, Grid, Kind, Message, Rows, uncollected
from .errors import DecodeError, UsageError

__all__ = [
    "Plain",
    "Record",
    "Records",
    "Table",
    "anything",
    "code",
    "code_or_name",
    "columns",
    "derived",
    "flag",
    "identifier",
    "integer",
    "label",
    "magnitude",
    "number",
    "quote",
    "seconds",
    "signed",
    "spelled",
    "text",
    "volatility",
    "word",
]

_E = TypeVar("_E", bound=IntEnum)
_R = TypeVar("_R", bound="Record")


def number(*keys: str) -> Field[float | None]:
    """A number: the nearest float."""
    return Field(Kind.NUMBER, keys)


def volatility(*keys: str) -> Field[float | None]:
    """An implied volatility: as a number, but 1e300 and more means that there is none."""
    return Field(Kind.VOLATILITY, keys)


def quote(*keys: str) -> Field[float | None]:
    """The price of a best bid or ask: as a number, but 0 means that there is none."""
    return Field(Kind.QUOTE, keys)


def integer(*keys: str) -> Field[int | None]:
    """An identifier, a time or a count: exact, whatever its length."""
    return Field(Kind.INTEGER, keys)


def identifier(*keys: str) -> Field[Any]:
    """An identifier: here an exact int; where a venue sends a `label`, a str."""
    return Field(Kind.INTEGER, keys)


def code(enumeration: type[_E], *keys: str) -> Field[_E | int | None]:
    """A code of an enumeration; one that is not known stays an int, or a word as it was sent."""
    return Field(Kind.CODE, keys, enumeration)


def code_or_name(enumeration: type[_E], *keys: str) -> Field[_E | int | None]:
    """The same, or the name of a member."""
    return Field(Kind.CODE, keys, enumeration, {member.name: int(member) for member in enumeration})


def flag(*keys: str) -> Field[bool | None]:
    """A truth value, sent as such or as 0 or 1."""
    return Field(Kind.FLAG, keys)


def text(*keys: str) -> Field[str | None]:
    return Field(Kind.TEXT, keys)


def anything(*keys: str) -> Field[Any]:
    """Any JSON value, as `json.loads` gives it."""
    return Field(Kind.ANYTHING, keys)


# Only in `spelled`: what some venues have and the columns of a class have not.


def word(words: Mapping[str, int], *keys: str) -> Field[Any]:
    """A word that stands for a code, or for a flag as 0 or 1; another one stays as it was sent."""
    return Field(Kind.WORD, keys, (), words)


def label(*keys: str) -> Field[Any]:
    """An identifier that is a text; a JSON integer is taken as its digits."""
    return Field(Kind.LABEL, keys)


def seconds(*keys: str) -> Field[Any]:
    """A time in seconds, with decimals or without, as milliseconds."""
    return Field(Kind.SECONDS, keys)


@dataclass(frozen=True, slots=True)
class _Signed:
    size: Field[Any]
    plus: bool


def signed(*keys: str) -> Any:
    """A size whose sign is the side, where no other key says one: + is a buy, - a sell."""
    return _Signed(number(*keys), True)


def magnitude(*keys: str) -> Any:
    """A size that may have a sign: - is a sell, but + may be either."""
    return _Signed(number(*keys), False)


@dataclass(frozen=True, slots=True)
class _Derived:
    made: Callable[[dict[str, Any]], Any]


def derived(made: Callable[[dict[str, Any]], Any]) -> Any:
    """What is said with several keys, or with half a one. `made` takes the row as `json.loads`
    gives it, with Decimals, and gives the value; a ValueError refuses the row. Keys that no other
    attribute has stay in `extra`."""
    return _Derived(made)


@dataclass(frozen=True, slots=True)
class Spelling:
    """How one venue writes the rows of one class."""

    keys: Mapping[str, tuple[Field[Any], ...]]
    signs: Mapping[str, bool]
    derived: Mapping[str, Callable[[dict[str, Any]], Any]]


def spelled(made: "type[Record]", column: str, **attributes: Any) -> str:
    """One more column of a class, in the words of another venue; returns its name.

    An attribute is what its keys say, or several such, of which the first with a value is taken.
    What is not named, the venue does not say.
    """
    known = {field.name for field in made._fields}
    if column in made._columns or column in made._venues or not attributes.keys() <= known:
        raise UsageError(f"{made.__name__}: {column} is there, or has an attribute that is not")
    keys: dict[str, tuple[Field[Any], ...]] = {}
    signs: dict[str, bool] = {}
    derivations: dict[str, Callable[[dict[str, Any]], Any]] = {}
    for name, said in attributes.items():
        if isinstance(said, _Derived):
            derivations[name] = said.made
        elif isinstance(said, _Signed):
            keys[name], signs[name] = (said.size,), said.plus
        else:
            keys[name] = said if isinstance(said, tuple) else (said,)
    made._venues[column] = Spelling(keys, signs, derivations)
    return column


def columns(*names: str, computed: bool = False) -> Callable[[type[_R]], type[_R]]:
    """Decorates a class of records: its attributes have their keys in these columns, or none.

    computed: what is absent is nan, and not None.
    """

    def described(made: type[_R]) -> type[_R]:
        fields: dict[str, Field[Any]] = {}
        for base in reversed(made.__mro__):
            fields.update({n: field for n, field in vars(base).items() if isinstance(field, Field)})
        if any(len(field.keys) not in (0, len(names)) for field in fields.values()):
            raise UsageError(f"an attribute of {made.__name__} has not a key for each column")
        if len(fields) > MOST_FIELDS:
            raise UsageError(f"{made.__name__} has more than {MOST_FIELDS} attributes")
        for place, field in enumerate(fields.values()):
            field.place = place
        made._fields, made._columns, made._computed = tuple(fields.values()), names, computed
        made._names = frozenset(fields)
        made._venues = {}
        uncollected(made)
        return made

    return described


class Plain(Message):
    """A message that is a dataclass, parsed whole."""

    __slots__ = ()

    @property
    def extra(self) -> dict[str, Any]:
        """Nothing: it holds all of the frame, or all of it that matters."""
        return {}

    def exact(self, name: str) -> NoReturn:
        raise UsageError(f"{type(self).__name__} has no number {name!r}")

    def to_dict(self) -> dict[str, Any]:
        """The attributes by name."""
        return asdict(self)  # type: ignore[call-overload, no-any-return]


class Record(Cells):
    """One row of a frame or of a REST answer, or made by hand of values by their names.

    Its attributes are made when they are read, from the bytes of the frame, which it keeps alive.
    It never changes, any thread may read it, and it can be pickled. Two of one class are equal if
    their attributes are: neither the channel nor `extra` counts.

    By hand: ``Order(order_id=1, price="0.50")``; a number as text, int, float or Decimal. Raises
    UsageError for what no row could say.
    """

    __slots__ = ()
    _fields: ClassVar[tuple[Field[Any], ...]] = ()
    _names: ClassVar[frozenset[str]] = frozenset()
    _columns: ClassVar[tuple[str, ...]] = ()
    _computed: ClassVar[bool] = False
    _venues: ClassVar[dict[str, Spelling]] = {}

    def __init__(self, **values: Any) -> None:
        if not values.keys() <= self._names:
            unknown = ", ".join(sorted(values.keys() - self._names))
            raise UsageError(f"{type(self).__name__} has no {unknown}")
        made = type(self)
        said = {name: value for name, value in values.items() if value is not None}
        kinds = [(name, _by_hand(getattr(made, name), value)) for name, value in said.items()]
        try:
            self._fill(_encoded(said).encode(), tuple(kinds))
        except (DecodeError, TypeError, ValueError) as error:
            raise UsageError(f"{type(self).__name__}: {error}") from None

    def _numbered(self, name: str, number: int) -> Self:
        """The same, made by hand, with another integer: an id that it has got since."""
        kinds = self._made_of
        if any(name == known for known, _ in kinds):
            return type(self)(**{**json.loads(self._row, parse_float=Decimal), name: number})
        made = type(self).__new__(type(self))
        row = b'%b, "%b": %d}' % (self._row[:-1], name.encode(), number)
        made._fill(row, (*kinds, (name, Kind.INTEGER)))
        return made

    @property
    def extra(self) -> dict[str, Any]:
        """The fields of the row that no attribute has, as `json.loads` gives them; a new dict.

        Raises DecodeError where Python cannot hold them.
        """
        try:
            row: dict[str, Any] = json.loads(self._row)
        except ValueError as error:  # an integer of more digits than CPython converts
            raise DecodeError(f"a row that Python cannot hold: {error}") from None
        known = self._keys
        return {key: value for key, value in row.items() if key not in known}

    def exact(self, name: str) -> Decimal | None:
        """The digits that the venue sent as a number; None where it sent none.

        Raises UsageError for what is no number of this class, DecodeError for an exponent that no
        Decimal has.
        """
        field = next((field for field in self._fields if field.name == name), None)
        kind = Kind.TEXT if field is None else self._kind(field)
        if field is None or kind in (Kind.FLAG, Kind.TEXT, Kind.LABEL, Kind.ANYTHING):
            raise UsageError(f"{type(self).__name__} has no number {name!r}")
        said = self._text(field)
        if said is None:
            return None
        try:
            return Decimal(said)
        except InvalidOperation:
            if kind in (Kind.CODE, Kind.WORD):  # sent by name
                return None
            raise DecodeError(f"{name}: a number that no Decimal holds") from None

    def to_dict(self) -> dict[str, Any]:
        """The attributes by name, those without a value among them."""
        return {field.name: field.__get__(self, None) for field in self._fields}

    def __eq__(self, other: object) -> bool:
        if type(self) is not type(other):
            return NotImplemented
        return _without_nan(self) == _without_nan(other)

    def __hash__(self) -> int:
        said = (value for value in _without_nan(self) if not isinstance(value, dict | list))
        return hash((type(self), *said))

    def __repr__(self) -> str:
        names = (field.name for field in self._fields)
        said = zip(names, _without_nan(self), strict=True)
        # An enumeration as its code: then the text can be pasted, and is equal.
        shown = ", ".join(f"{name}={_shown(value)}" for name, value in said if value is not None)
        return f"{type(self).__name__}({shown})"

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: object) -> Self:
        return self


def _by_hand(field: Field[Any], value: object) -> int:
    """What a value is that somebody gives to an attribute."""
    if isinstance(value, str) and not value.strip(" ").removeprefix("-").isdecimal():
        if field.kind == Kind.INTEGER and field.name.endswith("_id"):
            return Kind.LABEL  # another venue's
        if field.kind == Kind.CODE and field.name != "side":
            return Kind.WORD
    return field.kind


def _digits(value: object) -> str:
    if isinstance(value, Decimal):
        return str(value)
    raise TypeError(f"no {type(value).__name__} is a value of a row")


_encoded = json.JSONEncoder(default=_digits, allow_nan=False).encode


def _without_nan(record: Any) -> list[Any]:
    """The values of a record, None for those that are absent: nan is not equal to itself."""
    values = (field.__get__(record, None) for field in record._fields)
    return [value if value == value else None for value in values]


def _shown(value: object) -> str:
    return f"{type(value).__name__}.{value.name}" if isinstance(value, IntEnum) else repr(value)


class Records(Rows):
    """Several records of one frame, in its order: a sequence that never changes."""

    __slots__ = ()
    row: ClassVar[type[Record]]

    @property
    def symbol(self) -> str | None:
        """Of the first one."""
        return self._records[0].symbol if self._records else None

    @property
    def ts_ms(self) -> int | None:
        """Of the first one."""
        return self._records[0].ts_ms if self._records else None

    @property
    def extra(self) -> dict[str, Any]:
        """Nothing: each record has its own."""
        return {}

    def exact(self, name: str) -> NoReturn:
        raise UsageError(f"{type(self).__name__} has no number {name!r}: its records have")

    def to_dict(self) -> dict[str, list[dict[str, Any]]]:
        return {type(self).__name__.lower(): [record.to_dict() for record in self._records]}

    def __len__(self) -> int:
        return len(self._records)

    @overload
    def __getitem__(self, index: int) -> Any: ...
    @overload
    def __getitem__(self, index: slice) -> list[Any]: ...
    def __getitem__(self, index: int | slice) -> Any:
        return self._records[index]

    def __iter__(self) -> Iterator[Any]:
        yield from tuple(self._records)

    def __reversed__(self) -> Iterator[Any]:
        yield from reversed(tuple(self._records))

    def __contains__(self, record: object) -> bool:
        return record in self._records

    def index(self, record: Record) -> int:
        return self._records.index(record)

    def count(self, record: Record) -> int:
        return self._records.count(record)

    def __eq__(self, other: object) -> bool:
        if type(self) is not type(other) or not isinstance(other, Records):
            return NotImplemented
        return self._records == other._records

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._records!r})"


# By its first symbol, what the symbols of a table name: them all, the strikes, the rights.
_Terms: TypeAlias = tuple[list[str], npt.NDArray[np.float64], npt.NDArray[np.bool_]]
_TERMS: dict[str, _Terms] = {}
MOST_TERMS = 256


class Table(Grid):
    """Many records of one frame as columns: for each attribute that is a number a float64 array.

    The arrays, and the list of symbols, are the table's own, and live as long as anybody refers to
    them; `decode_into` writes the next frame into the arrays. For one thread at a time.
    """

    __slots__ = ()
    row: ClassVar[Any]

    @property
    def symbols(self) -> list[str]:
        """The symbols, in the order of the rows."""
        symbols: list[str] = self._remember("symbols", self._symbols)
        return symbols

    @property
    def strike(self) -> npt.NDArray[np.float64]:
        """The strikes that the symbols name; nan where one names none."""
        strikes: npt.NDArray[np.float64] = self._remember("strike", lambda: self._terms()[0])
        return strikes

    @property
    def is_call(self) -> npt.NDArray[np.bool_]:
        """Whether the symbols name calls."""
        calls: npt.NDArray[np.bool_] = self._remember("is_call", lambda: self._terms()[1])
        return calls

    @property
    def extra(self) -> dict[str, Any]:
        """Nothing: each record has its own."""
        return {}

    def exact(self, name: str) -> NoReturn:
        raise UsageError(f"{type(self).__name__} has no number {name!r}: its records have")

    def to_dict(self) -> dict[str, Any]:
        """The columns by name: `symbols` a list, the others the table's own arrays."""
        numbers = (field for field in self.row._fields if field.kind <= Kind.QUOTE)
        return {
            "symbols": self.symbols,
            "strike": self.strike,
            "is_call": self.is_call,
            **{field.name: field.__get__(self, None) for field in numbers},
            "ts_ms": self.ts_ms,
        }

    def __iter__(self) -> Iterator[Any]:
        yield from [self._record(i) for i in range(len(self))]

    def __contains__(self, symbol: object) -> bool:
        return symbol in self.symbols

    def __getitem__(self, symbol: str) -> Any:
        """The record of a symbol. Raises KeyError, and DecodeError where symbols are not unique."""
        return self._record(self._remember("index", self._index)[symbol])

    def _terms(self) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
        """Strikes and rights, the caller's own. A chain has the symbols of the one before, so that
        they are seldom read."""
        symbols = self.symbols
        first = symbols[0] if symbols else ""
        known = _TERMS.get(first)
        if known is None or known[0] != symbols:
            terms = [self.row.terms_of(symbol) for symbol in symbols]
            strikes = np.array([strike for strike, _ in terms], np.float64)
            calls = np.array([is_call for _, is_call in terms], np.bool_)
            known = (list(symbols), strikes, calls)
            if len(_TERMS) >= MOST_TERMS:
                _TERMS.clear()
            _TERMS[first] = known
        return known[1].copy(), known[2].copy()

    def _index(self) -> dict[str, int]:
        index = {symbol: i for i, symbol in enumerate(self.symbols)}
        if len(index) != len(self):
            raise DecodeError("a symbol twice in one table: nobody can tell which row is meant")
        return index

    def _remember(self, name: str, read: Callable[[], Any]) -> Any:
        """What only the symbols decide."""
        if name not in self._known:
            self._known[name] = read()
        return self._known[name]

    def _renamed(self, known: dict[str, Any]) -> None:
        """The core calls this when the symbols have changed. Arrays that somebody may hold, of as
        many rows as there are, are written over as the others were."""
        self._known = {}
        for i, name in enumerate(("strike", "is_call")):
            if name in known:
                known[name][:] = self._terms()[i]
                self._known[name] = known[name]

    def __eq__(self, other: object) -> bool:
        if type(self) is not type(other) or not isinstance(other, Table):
            return NotImplemented
        others: Mapping[str, Any] = other.to_dict()
        return all(
            column == others[name]
            if isinstance(column, list)
            else np.array_equal(column, others[name], equal_nan=column.dtype == np.float64)
            for name, column in self.to_dict().items()
        )

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {len(self)} rows>"

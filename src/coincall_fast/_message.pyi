"""Python's view of the compiled decoder. What begins with "_" is for records.py."""

from collections.abc import Iterable, Mapping
from enum import IntEnum
from types import GenericAlias
from typing import Any, Final, Generic, Protocol, Self, TypeAlias, TypeVar, final, overload

import numpy as np
import numpy.typing as npt
from typing_extensions import disjoint_base

_T = TypeVar("_T")
_Frame: TypeAlias = bytes | bytearray | memoryview | str

class _ChannelRow(Protocol):
    @property
    def dt(self) -> int: ...
    @property
    def data_type(self) -> str: ...
    @property
    def message(self) -> type[Message] | None: ...
    @property
    def column(self) -> str: ...

class _TopicRow(Protocol):
    @property
    def name(self) -> str: ...
    @property
    def message(self) -> type[Message]: ...
    @property
    def column(self) -> str: ...
    @property
    def nested(self) -> bool: ...
    @property
    def alone(self) -> str: ...

class _Envelope(Protocol):
    @property
    def frame(self) -> Mapping[str, Part]: ...
    @property
    def topics(self) -> Iterable[_TopicRow]: ...
    @property
    def data(self) -> Mapping[str, Part]: ...
    @property
    def whole(self) -> Iterable[str]: ...
    @property
    def parts(self) -> Iterable[str]: ...
    @property
    def events(self) -> Iterable[str]: ...

MOST_FIELDS: Final[int]

class Kind(IntEnum):
    NUMBER = 0
    VOLATILITY = 1
    QUOTE = 2
    INTEGER = 3
    CODE = 4
    FLAG = 5
    TEXT = 6
    ANYTHING = 7
    WORD = 8
    LABEL = 9
    SECONDS = 10

class Part(IntEnum):
    CHANNEL = 1
    IGNORED = 2
    DATA = 3
    TIME = 4
    SECONDS = 5
    ROWS = 6
    VERSION = 7
    BASE_LINE = 8
    KIND = 9
    EVENT = 10
    ERROR = 11

@final
class Field(Generic[_T]):
    def __init__(
        self,
        kind: int,
        keys: tuple[str, ...],
        enumeration: Iterable[IntEnum] = (),
        words: Mapping[str, int] | None = None,
    ) -> None: ...
    def __class_getitem__(cls, item: Any, /) -> GenericAlias: ...
    def __set_name__(self, owner: type, name: str) -> None: ...
    @property
    def name(self) -> str: ...
    place: int
    @property
    def keys(self) -> tuple[str, ...]: ...
    @property
    def kind(self) -> int: ...
    @overload
    def __get__(self, instance: None, owner: type | None = None, /) -> Self: ...
    @overload
    def __get__(self, instance: Grid, owner: type | None = None, /) -> npt.NDArray[np.float64]: ...
    @overload
    def __get__(self, instance: object, owner: type | None = None, /) -> _T: ...

class Message:
    @property
    def channel(self) -> str | None: ...
    @property
    def dt(self) -> int | None: ...
    @property
    def symbol(self) -> str | None: ...
    @property
    def ts_ms(self) -> Any: ...
    @property
    def version(self) -> int | None: ...
    @property
    def base_line(self) -> int | None: ...
    @property
    def is_snapshot(self) -> bool | None: ...

@disjoint_base
class Cells(Message):
    @property
    def _row(self) -> bytes: ...
    @property
    def _keys(self) -> set[str]: ...
    def _text(self, field: Field[Any]) -> str | None: ...
    def _kind(self, field: Field[Any]) -> int: ...
    @property
    def _made_of(self) -> tuple[tuple[str, int], ...]: ...
    def _fill(self, row: bytes, kinds: tuple[tuple[str, int], ...]) -> None: ...

@disjoint_base
class Many(Message): ...

@disjoint_base
class Rows(Many):
    @property
    def _records(self) -> list[Any]: ...

@disjoint_base
class Grid(Many):
    @property
    def ts_ms(self) -> npt.NDArray[np.int64]: ...
    _known: dict[str, Any]
    def __len__(self) -> int: ...
    def _symbols(self) -> list[str]: ...
    def _record(self, i: int) -> Any: ...

class Batch(list[Any]):
    channel: str
    ts_ms: int | None
    version: int | None
    base_line: int | None
    is_snapshot: bool | None
    def __init__(
        self,
        messages: Iterable[Message],
        channel: str,
        ts_ms: int | None,
        said: tuple[int | None, int | None, bool | None] | None,
    ) -> None: ...

@disjoint_base
class Decoder: ...

@final
class CodeDecoder(Decoder):
    def __new__(cls, channels: Iterable[_ChannelRow]) -> Self: ...

@final
class TopicDecoder(Decoder):
    def __new__(cls, envelope: _Envelope) -> Self: ...

def uncollected(made: type[Cells]) -> None: ...
def decode_rest(of: type[Message], body: _Frame) -> Any: ...
def restored_row(
    id: tuple[Any, ...], row: bytes, ts: str, said: tuple[Any, ...] | None = None
) -> Any: ...
def restored_grid(
    made: type[Grid],
    id: tuple[Any, ...],
    frame: bytes,
    rows: list[int],
    ts: str,
) -> Any: ...
def rows_of(
    made: type[Rows],
    id: tuple[Any, ...],
    records: list[Any],
    said: tuple[Any, ...] | None = None,
) -> Any: ...

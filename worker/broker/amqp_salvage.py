"""What can still be read of message properties on which py-amqp fails (AMQP 0-9-1, sections 4.2.5.5 and 4.2.6.1).

Nearly every value has its length before it, or a fixed length, so values that cannot be read are skipped.
"""

import struct
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, Final

from amqp import serialization
from amqp.basic_message import Message

UNREADABLE: Final = object()

_PROPERTIES: Final[dict[str, str]] = dict(Message.PROPERTIES)  # name → kind, in the order of their flags
_NUMBERS: Final = {"o": ">B", "L": ">Q"}  # the other kinds are `s`, short text, and `F`, a table
_FIXED: Final = {
    **dict.fromkeys("tbB", 1),
    **dict.fromkeys("Uus", 2),
    **dict.fromkeys("Iif", 4),
    **dict.fromkeys("LldT", 8),
    "D": 5,
    "V": 0,
}  # bytes of a value, by its type
_MEASURED: Final = frozenset("SxFA")  # types whose values begin with their length
_MAX_DEPTH: Final = 16  # tables within tables that are read at all


def salvaged(frame: bytes, offset: int) -> dict[str, Any]:
    """The properties that stand in *frame* from *offset* on, without those that cannot be read; never raises."""
    return dict(each for each in _until_broken(_properties(frame, offset)) if each[1] is not UNREADABLE)


def _until_broken(parts: Iterator[tuple[str, object]]) -> Iterator[tuple[str, object]]:
    """The *parts* before the place where the data end too early."""
    with suppress(struct.error, IndexError):
        yield from parts


def _properties(frame: bytes, offset: int) -> Iterator[tuple[str, object]]:
    (flags,) = struct.unpack_from(">H", frame, offset)
    at = offset + 2
    for place, (name, kind) in enumerate(_PROPERTIES.items()):
        if not flags & 0x8000 >> place:
            continue
        if kind == "F":
            content, at = _measured(frame, at, ">I")
            yield name, _table(content, _MAX_DEPTH)
        elif kind == "s":
            content, at = _measured(frame, at, ">B")
            yield name, _text(content)
        else:
            yield name, struct.unpack_from(_NUMBERS[kind], frame, at)[0]
            at += struct.calcsize(_NUMBERS[kind])


def _measured(data: bytes, at: int, size: str) -> tuple[bytes, int]:
    (length,) = struct.unpack_from(size, data, at)
    begin = at + struct.calcsize(size)
    return data[begin : begin + length], begin + length


def _table(data: bytes, levels: int) -> dict[str, object]:
    return {name: value for name, value in _until_broken(_items(data, levels, named=True)) if value is not UNREADABLE}


def _array(data: bytes, levels: int) -> list[object]:
    return [value for _, value in _until_broken(_items(data, levels, named=False)) if value is not UNREADABLE]


def _items(data: bytes, levels: int, *, named: bool) -> Iterator[tuple[str, object]]:
    """The entries of a table (*named*) or an array; none after a value of a type without a known length."""
    at, name = 0, b""
    while at < len(data):
        if named:
            name, at = _measured(data, at, ">B")
        item, at = _item(data, at)
        text = _text(name)
        yield (text, _value(item, levels)) if isinstance(text, str) else ("", UNREADABLE)


def _item(data: bytes, at: int) -> tuple[bytes, int]:
    """The bytes of a value with its type, and where the next begins: the end, where that cannot be known.

    Raises IndexError for a value that is longer than what is there.
    """
    kind = chr(data[at])
    if kind in _MEASURED:
        _, end = _measured(data, at + 1, ">I")
    else:
        end = at + 1 + _FIXED[kind] if kind in _FIXED else len(data)
    if end > len(data):
        raise IndexError(end)
    return data[at:end], end


def _value(item: bytes, levels: int) -> object:
    kind = chr(item[0])
    if kind in "FA":
        read = _table if kind == "F" else _array
        return read(item[5:], levels - 1) if levels else UNREADABLE
    try:
        value, _ = serialization._read_item(item, 0)
    except Exception:  # noqa: BLE001 - whatever it is, this value cannot be read
        return UNREADABLE
    return value


def _text(raw: bytes) -> object:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return UNREADABLE

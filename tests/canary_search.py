"""Looking for planted markers: what they look like in disguise, and where each may stand."""

import base64
import contextlib
import os
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from enum import Enum, auto
from pathlib import Path
from urllib.parse import quote


class Kind(Enum):
    """What a marker stands for, and so where it may be found."""

    SECRET = auto()  # a usable credential: nowhere
    SPILLED = auto()  # a token that a producer published in clear: in that very message, nowhere beyond
    NAME = auto()  # a person, an account, a token's reference: where the work needs it


@dataclass(frozen=True, slots=True)
class Marker:
    """A string found nowhere else in the world."""

    name: str
    value: str
    kind: Kind


@dataclass(frozen=True, slots=True)
class Place:
    """Bytes to be searched, and the kinds of markers that have a right to be there."""

    name: str
    content: bytes = field(repr=False)
    may_hold: frozenset[Kind] = frozenset()


def leaks(places: Iterable[Place], markers: Iterable[Marker]) -> list[str]:
    """Every marker found where it has no right to be, and in which form."""
    shapes = [(marker, dict(forms(marker.value))) for marker in markers]
    return [
        f"{place.name}: {marker.name}, {form}"
        for place in places
        for marker, shape in shapes
        if marker.kind not in place.may_hold
        for form, seen in shape.items()
        if seen in place.content
    ]


def files(root: Path, but: Collection[str] = ()) -> Iterator[Place]:
    """Every file under *root*, or *root* and the files whose names begin like its own; not those with *but* in a name.

    Folders, sockets, and what a server removes meanwhile are passed over.
    """
    below = [Path(folder, name) for folder, _, names in os.walk(root) for name in names]  # rglob fails at a lost folder
    for file in sorted(below if root.is_dir() else root.parent.glob(f"{root.name}*")):
        if not any(each in file.name for each in but):
            with contextlib.suppress(OSError):
                yield Place(str(file), file.read_bytes())


def forms(value: str) -> Iterator[tuple[str, bytes]]:
    """The disguises of *value*: encodings that tools and libraries apply, wherever in a longer text it stands."""
    raw = value.encode()
    yield "plain", raw
    yield "reversed", raw[::-1]
    yield "hex", raw.hex().encode()
    yield "HEX", raw.hex().upper().encode()
    yield "UTF-16", value.encode("utf-16-le")
    yield "quoted", quote(value, safe="").encode()
    yield "quoted throughout", "".join(f"%{byte:02X}" for byte in raw).encode()
    yield "JSON escapes", "".join(f"\\u{byte:04x}" for byte in raw).encode()
    for shift in range(3):
        yield f"base64, shifted by {shift}", _base64(raw, shift)
        yield f"base64url, shifted by {shift}", _base64(raw, shift).translate(bytes.maketrans(b"+/", b"-_"))


def _base64(raw: bytes, shift: int) -> bytes:
    """The characters that *raw* alone decides when it stands *shift* bytes into a group of three."""
    whole = base64.b64encode(b"\0" * shift + raw)
    return whole[-(-shift * 8 // 6) : (shift + len(raw)) * 8 // 6]

"""Stdout and stderr as a command finds them: of any coding, closed, or on a disk that is full."""

import codecs
import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, Self

from worker.cli.exits import CommandError

_STAND_INS: Final = str.maketrans({"→": ">", "…": ".", "•": "*", "·": "-", "–": "-", "—": "-"})
_ERRORS: Final = "revoker_stand_ins"
_ASCII: Final = "revoker_ascii"


def prepare() -> None:
    """Have every text written, and a stdout that cannot be written reported.

    A character that the coding lacks becomes a stand-in of one ASCII character. A closed stdout becomes one that
    refuses what is written, so that nobody takes silence for an empty list.
    """
    codecs.register_error(_ERRORS, _stand_in)
    codecs.register(_ascii)
    if sys.stdout is None:
        sys.stdout = _Stdout.at(os.open(os.devnull, os.O_RDONLY), "utf-8")
    elif isinstance(sys.stdout, io.TextIOWrapper) and _has_descriptor(sys.stdout):
        sys.stdout = _Stdout.at(sys.stdout.fileno(), sys.stdout.encoding, line_buffering=sys.stdout.line_buffering)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # click takes a stream of ASCII for a mistake, and writes UTF-8 there: hence one of another name.
            is_ascii = codecs.lookup(stream.encoding).name == "ascii"
            stream.reconfigure(encoding=_ASCII if is_ascii else None, errors=_ERRORS)


def has_every_character() -> bool:
    """Whether stdout is of a coding in which all of Unicode can be written."""
    return codecs.lookup(getattr(sys.stdout, "encoding", None) or "ascii").name.startswith("utf")


class _Stdout(io.TextIOWrapper):
    """Raises CommandError, once, where it cannot be written; Python would try again at the end, with a trace."""

    @classmethod
    def at(cls, descriptor: int, encoding: str, *, line_buffering: bool = False) -> Self:
        """That of *descriptor*, which stays open when this is closed."""
        raw = io.FileIO(descriptor, "w", closefd=False)
        return cls(io.BufferedWriter(raw), encoding, line_buffering=line_buffering)

    def write(self, text: str, /) -> int:
        """Write *text*."""
        with self._reporting():
            return super().write(text)

    def flush(self) -> None:
        """Write what is not written yet."""
        with self._reporting():
            super().flush()

    @contextmanager
    def _reporting(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            os.dup2(os.open(os.devnull, os.O_WRONLY), self.fileno())
            raise CommandError(f"stdout cannot be written ({error.strerror or type(error).__name__})") from None


def _has_descriptor(stream: io.TextIOWrapper) -> bool:
    try:
        return stream.fileno() >= 0
    except OSError:
        return False


def _stand_in(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    shown = error.object[error.start : error.end].translate(_STAND_INS)
    return "".join(each if each.isascii() else "?" for each in shown), error.end


def _ascii(name: str) -> codecs.CodecInfo | None:
    if name != _ASCII:
        return None
    info = codecs.lookup("ascii")
    return codecs.CodecInfo(*info, info.incrementalencoder, info.incrementaldecoder, _ASCII)

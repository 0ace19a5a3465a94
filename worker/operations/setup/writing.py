"""Files that a plan names, written: all of them or none, each for its owner alone unless it is public."""

import errno
import os
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from io import FileIO
from pathlib import Path
from typing import Final

from worker.operations import RefusedRequest

PRIVATE: Final = 0o600
PUBLIC: Final = 0o644
_FOLDER: Final = 0o700


@dataclass(frozen=True, slots=True)
class PlannedFile:
    """A file that is to be written, and what it is for. *extends* is what stands before its content already."""

    path: Path
    purpose: str
    content: bytes = field(default=b"", repr=False)
    mode: int = PRIVATE
    extends: bytes | None = field(default=None, repr=False)
    link: str | None = None  # instead of a content: where it leads

    @property
    def kind(self) -> str:
        """How it is written: `0600` or `0644`, `link`, or `added to`."""
        if self.link:
            return "link"
        return f"{self.mode:04o}" if self.extends is None else "added to"


def require_room(files: Iterable[PlannedFile]) -> None:
    """Raise RefusedRequest where something stands in the place of one of *files*: nothing is overwritten."""
    if taken := [str(each.path) for each in files if each.extends is None and os.path.lexists(each.path)]:
        advice = "Nothing was written. Move it away, or name another --dir"
        raise RefusedRequest("\n".join([*(f"{path}: is there already" for path in taken), advice]))


def write(files: Sequence[PlannedFile]) -> None:
    """Write *files* in their order.

    Raises OSError, which names the file, with nothing of them left, and RefusedRequest as `require_room`.
    """
    require_room(files)
    made: list[Path] = []
    try:
        for each in files:
            _write(each, made)
    except BaseException:
        for path in reversed(made):
            _remove(path)
        raise


def _write(file: PlannedFile, made: list[Path]) -> None:
    try:
        _make_folder(file.path.parent, made)
        _append(file, file.extends) if file.extends is not None else _create(file, made)
    except OSError as error:  # of a full disk it names no file
        raise OSError(error.errno, error.strerror, error.filename or str(file.path)) from None


def _make_folder(folder: Path, made: list[Path]) -> None:
    missing = [each for each in (folder, *folder.parents) if not each.exists()]
    for each in reversed(missing):
        each.mkdir(_FOLDER)
        _sync_folder(each.parent)
        made.append(each)


def _create(file: PlannedFile, made: list[Path]) -> None:
    if file.link:
        file.path.symlink_to(file.link)
        made.append(file.path)
    else:
        descriptor = os.open(file.path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, PRIVATE)
        made.append(file.path)
        with os.fdopen(descriptor, "wb") as stream:
            os.fchmod(descriptor, file.mode)  # whatever the umask is
            stream.write(file.content)
            stream.flush()
            os.fsync(descriptor)
    _sync_folder(file.path.parent)


def _append(file: PlannedFile, before: bytes) -> None:
    """Add to the file, in place: its owner and mode stay. What cannot be added whole is taken off again."""
    with file.path.open("r+b", buffering=0) as stream:  # else its buffer would be written once more when it is closed
        if stream.read() != before:
            raise RefusedRequest(f"{file.path}: was changed meanwhile; nothing was written")
        try:
            _write_whole(stream, file.content)
            os.fsync(stream.fileno())
        except OSError:
            os.ftruncate(stream.fileno(), len(before))
            raise


def _write_whole(stream: FileIO, content: bytes) -> None:
    if stream.write(content) < len(content):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remove(path: Path) -> None:
    with suppress(OSError):  # a folder that somebody else put something into stays
        path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()

"""Word of a new message: who made one ready touches the broker's file, and the kernel tells every consumer at rest."""

import os
import select
from contextlib import suppress
from pathlib import Path
from typing import Self


def tell(path: Path) -> None:
    """Have the consumers of the file *path* look. Where that fails they look by themselves, a little later."""
    with suppress(OSError):
        os.utime(path)


class News:
    """That somebody told of the file *path* since the last `forget`: its descriptor is readable then (inotify(7)).

    Raises OSError where the system's inotify instances are used up.
    """

    def __init__(self, path: Path) -> None:
        from asyncinotify import Inotify, Mask  # noqa: PLC0415 - it runs a program to find the C library

        self._inotify = Inotify(sync_timeout=0)
        self._inotify.add_watch(path, Mask.ATTRIB)  # what SQLite itself writes is none
        self.descriptor = self._inotify.fd
        self._told = select.poll()
        self._told.register(self.descriptor, select.POLLIN)

    @classmethod
    def of(cls, path: Path) -> Self | None:
        """The same; None where there is no inotify."""
        try:
            return cls(path)
        except (ImportError, OSError, RuntimeError):  # not Linux; all in use; a C library without it
            return None

    def wait(self, seconds: float) -> None:
        """Wait until somebody tells, *seconds* at most."""
        self._told.poll(seconds * 1000)
        self.forget()

    def forget(self) -> None:
        """Take in what was told."""
        while self._inotify.sync_get() is not None:
            continue

    def close(self) -> None:
        """Let go of the descriptor."""
        self._inotify.close()

"""Notification of new messages: a publisher touches the broker's file, and the kernel wakes every consumer at rest."""

import os
import select
from contextlib import suppress
from pathlib import Path
from typing import Self


def notify(path: Path) -> None:
    """Wake the consumers of the file *path*. Where that fails they look by themselves, a little later."""
    with suppress(OSError):
        os.utime(path)


class Wakeup:
    """Whether somebody called `notify` for the file *path* since the last `clear`: then its descriptor is readable.

    By inotify(7). Raises OSError where the system's inotify instances are used up.
    """

    def __init__(self, path: Path) -> None:
        from asyncinotify import Inotify, Mask  # noqa: PLC0415 - it runs a program to find the C library

        self._inotify = Inotify(sync_timeout=0)
        self._inotify.add_watch(path, Mask.ATTRIB)  # SQLite itself never changes the attributes
        self.descriptor = self._inotify.fd
        self._poll = select.poll()
        self._poll.register(self.descriptor, select.POLLIN)

    @classmethod
    def of(cls, path: Path) -> Self | None:
        """The same; None where there is no inotify."""
        try:
            return cls(path)
        except (ImportError, OSError, RuntimeError):  # not Linux; all in use; a C library without it
            return None

    def wait(self, seconds: float) -> None:
        """Wait for a notification, at most *seconds*."""
        self._poll.poll(seconds * 1000)
        self.clear()

    def clear(self) -> None:
        """Read all notifications."""
        while self._inotify.sync_get() is not None:
            continue

    def close(self) -> None:
        """Close the descriptor."""
        self._inotify.close()

"""A disk that is full at once: a tmpfs of a few megabytes, for whoever may mount one."""

import contextlib
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

DISK: Final = "disk"  # the folder's name in a row's home
BALLAST: Final = "ballast"
PAGE: Final = 4096  # bytes


class MountRefusedError(Exception):
    """This user or this container may not mount a tmpfs; a limit on file sizes (`prlimit --fsize`) must do."""


class SmallDisk:
    """A folder on a disk of its own. `fill` leaves no byte free, `empty` makes room again."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def fill(self) -> None:
        """Write until nothing more goes."""
        with (self.folder / BALLAST).open("ab", buffering=0) as ballast, contextlib.suppress(OSError):
            while True:
                ballast.write(b"\0" * PAGE)  # a tmpfs gives room by the page

    def empty(self) -> None:
        """Give the room back."""
        (self.folder / BALLAST).unlink()


@contextmanager
def small_disk(folder: Path, megabytes: int = 4) -> Iterator[SmallDisk]:
    """A disk of *megabytes* at *folder*, made for it. Raises MountRefusedError."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise MountRefusedError(done.stderr.strip())
    try:
        yield SmallDisk(folder)
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)

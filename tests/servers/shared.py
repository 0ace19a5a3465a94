"""One server of a kind for the whole test run: the first pytest worker that needs it starts it, under a lock."""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol, TypeVar
from uuid import uuid4

from servers.daemon import stop_all

# Told to the xdist workers, which inherit the environment. No REVOKER_ names: the settings refuse unknown ones.
_ROOT = "TEST_SERVERS_ROOT"
_OWNER = "TEST_SERVERS_OWNER"


class Server(Protocol):
    """What can be shared."""

    @property
    def running(self) -> bool:
        """Whether its process lives."""

    def start(self) -> None:
        """Start it and return when it answers."""


S = TypeVar("S", bound=Server)


def open_root() -> None:
    """Make the folder of this test run's servers; called once, by the process that runs pytest."""
    root = tempfile.mkdtemp(prefix="revoker-servers-")
    Path(root).chmod(0o711)  # the user postgres passes through
    os.environ[_ROOT] = root
    os.environ[_OWNER] = str(os.getpid())


def close_root() -> None:
    """End every server of this test run and forget its data; called once, by the process that runs pytest."""
    stop_all(root())
    shutil.rmtree(root(), ignore_errors=True)


def root() -> Path:
    """Return the folder of this test run's servers."""
    return Path(os.environ[_ROOT])


def own_folder(name: str) -> Path:
    """Return a folder for a server that one test has to itself: no other pytest worker has one of that name."""
    return root() / f"{name}-{uuid4().hex[:8]}"


def shared(kind: Callable[[Path], S], name: str) -> S:
    """Return the server *name* of this test run, started when it does not run yet."""
    with locked(root() / f"{name}.lock"):
        server = kind(root() / name)
        if not server.running:
            server.start()
        return server


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Let one pytest worker at a time in."""
    with path.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield

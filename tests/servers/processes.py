"""The project's own processes, started as an operator starts them and never left behind."""

import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

from servers.daemon import Daemon, ServerMissingError

# The environment of a process under test is what the test says, plus what any program needs to run at all.
_INHERITED = ("PATH", "HOME", "LANG", "TMPDIR", "TZ")


class Processes:
    """Starts processes with their output in *home*; ends all of them at the end of the test."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._started: list[Daemon] = []

    def start(self, *argv: str, env: Mapping[str, str] | None = None, name: str | None = None) -> Daemon:
        """Start *argv* with the variables *env*; "python", "revoker" and "celery" are those of this virtualenv."""
        label = name or Path(argv[0]).name
        process = Daemon(self._home, f"{len(self._started)}-{label}")
        process.start([_program(argv[0]), *argv[1:]], {**_environment(), **(env or {})})
        self._started.append(process)
        return process

    @property
    def tails(self) -> list[tuple[str, str]]:
        """Name and last output of each process, for the report of a failed test."""
        return [(process.name, process.tail) for process in self._started]

    def close(self) -> None:
        """Kill what still runs, with all that it started."""
        for process in self._started:
            process.kill9()


def _environment() -> dict[str, str]:
    inherited = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    return {**inherited, "PYTHONUNBUFFERED": "1"}


def _program(name: str) -> str:
    scripts = str(Path(sys.executable).parent)
    found = shutil.which(name, path=f"{scripts}{os.pathsep}{os.environ['PATH']}")
    if found is None:
        raise ServerMissingError(f"{name} is not installed beside {sys.executable}: make test installs it")
    return found

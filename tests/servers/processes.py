"""The project's own processes, started as an operator starts them and never left behind."""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from servers.daemon import Daemon, ServerMissingError
from servers.forking import ForkServer

# The environment of a process under test is what the test says, plus what any program needs to run at all.
_INHERITED = ("PATH", "HOME", "LANG", "TMPDIR", "TZ")


class Processes:
    """Starts processes with their output in *home*; ends all of them at the end of the test."""

    def __init__(self, home: Path, fork_server: ForkServer | None = None) -> None:
        """*fork_server* forks what it can of them."""
        self._home = home
        self._fork_server = fork_server
        self._started: list[Daemon] = []

    def start(self, *argv: str, env: Mapping[str, str] | None = None, name: str | None = None) -> Daemon:
        """Start *argv* with the variables *env*; "python", "revoker" and "celery" are those of this virtualenv."""
        return self._start(argv, env, name or Path(argv[0]).name)

    def run(self, *argv: str, env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        """Run the command *argv* as `start` would, and return what it said; AssertionError after a minute."""
        process = self._start(argv, env, "-".join(argv[:3]).replace("/", "-"), apart=True)
        code = process.wait(60)
        return subprocess.CompletedProcess(argv, code, process.log.read_text(), process.errors.read_text())

    def _start(self, argv: Sequence[str], env: Mapping[str, str] | None, name: str, *, apart: bool = False) -> Daemon:
        process = Daemon(self._home, f"{len(self._started)}-{name}", apart=apart)
        command, variables = [_program(argv[0]), *argv[1:]], {**environment(), **(env or {})}
        if self._fork_server is not None and self._fork_server.can_fork(command, variables):
            process.fork(self._fork_server, command, variables)
        else:
            process.start(command, variables)
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


def environment() -> dict[str, str]:
    """What a process under test has without the test's saying so."""
    inherited = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    return {**inherited, "PYTHONUNBUFFERED": "1"}


def _program(name: str) -> str:
    scripts = str(Path(sys.executable).parent)
    found = shutil.which(name, path=f"{scripts}{os.pathsep}{os.environ['PATH']}")
    if found is None:
        raise ServerMissingError(f"{name} is not installed beside {sys.executable}: make test installs it")
    return found

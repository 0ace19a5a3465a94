"""A process that tests start: its own process group, its output in a file, and never outliving pytest."""

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Protocol

from servers.forking import ForkServer
from servers.waiting import wait_until

# Ends the group $2 once the process $1 (pytest) is gone, however it went: a fixture cannot clean up after kill -9.
# In a background shell, so that the watch is nobody's child.
_WATCH = '(while kill -0 "$1" && kill -0 "-$2"; do sleep 3; done; kill -KILL "-$2") >/dev/null 2>&1 &'
_TAIL = 4_000  # characters of output shown when something failed

# Kept for the whole run: another pytest worker may use the server long after the one that started it forgot it.
_children: Final[list[subprocess.Popen[bytes]]] = []


class Child(Protocol):
    """A process that was started or forked for this one."""

    pid: int
    returncode: Any

    def poll(self) -> int | None:
        """Its exit code (negative: the signal that ended it), None while it runs."""


class ServerMissingError(Exception):
    """A server that the tests need is not installed, or does not start."""


class Daemon:
    """One process in the folder *home*: NAME.log holds its output, NAME.pid lets any other process find it."""

    def __init__(
        self, home: Path, name: str, *, farewell: signal.Signals = signal.SIGKILL, apart: bool = False
    ) -> None:
        """Name it; *farewell* ends it for good after the test run; *apart*: its standard error goes into NAME.err."""
        self.name = name
        self.log = home / f"{name}.log"
        self.errors = home / f"{name}.err" if apart else self.log
        self._pid_file = home / f"{name}.pid"
        self._farewell = farewell
        self._child: Child | None = None

    def start(self, argv: Sequence[str], env: Mapping[str, str], *, user: str | None = None) -> None:
        """Start *argv* with exactly the environment *env*, as *user* when given (root only)."""
        with self.log.open("ab") as log, self.errors.open("ab") as errors:
            child = subprocess.Popen(
                argv,
                env=dict(env),
                cwd=self.log.parent,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=errors,
                start_new_session=True,
                user=user,
                group=user,
                extra_groups=None if user is None else [],
            )
        _children.append(child)
        self._remember(child)
        _watch(child.pid)

    def fork(self, server: ForkServer, argv: Sequence[str], env: Mapping[str, str]) -> None:
        """Have *server* fork what `start` would start."""
        self._remember(server.fork(argv, env, self.log, self.errors))

    def _remember(self, child: Child) -> None:
        self._child = child
        self._pid_file.write_text(f"{child.pid} {self._farewell}")

    @property
    def pid(self) -> int:
        """The process id, also of a daemon that another pytest worker started; 0 when it never was."""
        if self._child is not None:
            return self._child.pid
        return int(self._pid_file.read_text().split()[0]) if self._pid_file.exists() else 0

    @property
    def running(self) -> bool:
        """Whether the process lives; one that ended but was not yet waited for does not."""
        if self._child is not None:
            return self._child.poll() is None
        return self.pid != 0 and is_alive(self.pid)

    @property
    def output(self) -> str:
        """All that it wrote, standard error included."""
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    @property
    def tail(self) -> str:
        """The end of its output, for a person who wonders what went wrong."""
        return self.output[-_TAIL:]

    def send_signal(self, number: signal.Signals) -> None:
        """Send *number* to the process itself, not to its group."""
        os.kill(self.pid, number)

    def freeze(self) -> None:
        """Stop it where it is, until `thaw`.

        Its main thread takes the signal when a processor is free for it, and the others work until then.
        """
        self.send_signal(signal.SIGSTOP)
        wait_until(lambda: _states(self.pid) == {"T"}, 10, f"every thread of {self.name} to stand still")

    def thaw(self) -> None:
        """Let it go on."""
        self.send_signal(signal.SIGCONT)

    def wait(self, timeout: float = 10.0) -> int:
        """Return the exit code once it ended (negative: the signal that did it); AssertionError after *timeout*."""
        wait_until(lambda: not self.running, timeout, f"{self.name} (pid {self.pid}) to end; it said:\n{self.tail}")
        return self._child.returncode if self._child is not None else 0

    def stop(self, number: signal.Signals = signal.SIGTERM, timeout: float = 15.0) -> int:
        """Ask it to end, return its exit code; AssertionError when it does not within *timeout* seconds."""
        if self.running:
            self.send_signal(number)
        return self.wait(timeout)

    def kill9(self) -> None:
        """Kill it and all that it started, at once, as a power cut would."""
        _kill_group(self.pid)
        self.wait()


def stop_all(root: Path) -> None:
    """End every daemon whose folder is in *root*, whichever process started it."""
    for pid_file in root.glob("*/*.pid"):
        pid, farewell = (int(word) for word in pid_file.read_text().split())
        if is_alive(pid):
            os.kill(pid, farewell)
    for pid_file in root.glob("*/*.pid"):
        _end_group(int(pid_file.read_text().split()[0]))
    for child in _children:
        child.poll()  # leaves no zombie


def _end_group(pid: int) -> None:
    try:
        wait_until(lambda: not is_alive(pid), timeout=5.0)
    except AssertionError:
        sys.stderr.write(f"pid {pid} did not stop in time and is killed\n")
    _kill_group(pid)


def _kill_group(pid: int) -> None:
    try:
        os.killpg(pid, signal.SIGKILL)
    except ProcessLookupError:
        return  # it ended by itself, which is all that was wanted


def is_alive(pid: int) -> bool:
    """Whether the process runs; a zombie, which only waits to be waited for, does not."""
    return _state(Path(f"/proc/{pid}")) not in {"", "Z"}


def _states(pid: int) -> set[str]:
    """Return the states of a process's threads."""
    return {_state(thread) for thread in Path(f"/proc/{pid}/task").iterdir()}


def _state(process: Path) -> str:
    """Return the state letter of a process or thread of proc(5), nothing of one that is gone."""
    try:
        return (process / "stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):  # gone before it is opened, or before it is read
        return ""


def _watch(pid: int) -> None:
    owner = os.environ.get("TEST_SERVERS_OWNER", str(os.getpid()))
    subprocess.run(["/bin/sh", "-c", _WATCH, "watch", owner, str(pid)], start_new_session=True, check=True)

"""The processes of a run: started together, waited for, restarted when they die, stopped in good order."""

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from worker.process import PYTHON

READY_TIMEOUT: Final = 45.0  # seconds until every process is ready, on a slow machine
STOP_TIMEOUT: Final = 6.0  # seconds until those who were asked to stop are killed
SANDBOX_STOP_TIMEOUT: Final = 3.0  # likewise, for the sandbox, which holds nothing
MAX_RESTARTS: Final = 3  # of one process in one run
POLL_INTERVAL: Final = 0.05  # seconds between two looks
TAIL_LINES: Final = 8  # lines of a log that are shown
MAX_LINE: Final = 200  # characters of each


class ProcessFailed(Exception):  # noqa: N818 - what is the case
    """A process of the run did not start, or died too often. The text ends with what it logged last."""


@dataclass(frozen=True, slots=True)
class ProcessSpec:
    """One process: its `revoker` command, and how its log so far shows that it is ready."""

    name: str
    arguments: tuple[str, ...]
    is_ready: Callable[[str], bool]


class _Child:
    """A running `ProcessSpec`: in a process group of its own, so that a Ctrl-C at the terminal does not reach it."""

    def __init__(self, spec: ProcessSpec, log: Path, lock: int) -> None:
        """*lock* is a file descriptor that the process holds open until it ends."""
        self.spec, self._log, self._lock = spec, log, lock
        self.restarts = 0
        self._start()

    def restart(self) -> None:
        self.restarts += 1
        self._start()

    @property
    def is_running(self) -> bool:
        return self._process.poll() is None

    @property
    def is_ready(self) -> bool:
        return self.spec.is_ready(self._output())

    @property
    def exit_report(self) -> str:
        """How it ended, and the last it logged."""
        tail = "\n".join(f"  | {line[:MAX_LINE]}" for line in self._output().splitlines()[-TAIL_LINES:])
        return f"{self.spec.name} ended with {self._process.returncode}; {self._log} says last:\n{tail}"

    def signal(self, number: signal.Signals) -> None:
        """Send *number* to the process and all that it started."""
        if self.is_running:
            os.killpg(self._process.pid, number)

    def wait(self, until: float) -> bool:
        """Whether it ended before the monotonic clock shows *until*."""
        try:
            self._process.wait(max(0.0, until - time.monotonic()))
        except subprocess.TimeoutExpired:
            return False
        return True

    def _start(self) -> None:
        with self._log.open("ab") as log:
            self._began = log.tell()
            command = [*PYTHON, "worker.cli", *self.spec.arguments]
            self._process = subprocess.Popen(  # noqa: S603 - our own interpreter and modules
                [*PYTHON, "worker.demo.die_with_parent", str(os.getpid()), *command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                pass_fds=(self._lock,),
            )

    def _output(self) -> str:
        with self._log.open("rb") as log:
            log.seek(self._began)
            return log.read().decode(errors="replace")


class Supervisor:
    """All processes of a run; use it as a context manager, which stops them whatever happens."""

    def __init__(self, specs: Sequence[ProcessSpec], logs: Path, lock: int, note: Callable[[str], None]) -> None:
        """*logs* is the folder of their logs, begun anew; *note* prints a line for the operator."""
        self._specs, self._logs, self._lock, self._note = specs, logs, lock, note
        self._children: list[_Child] = []

    def start(self, stop: threading.Event) -> None:
        """Start all and wait until each is ready, or *stop* is set. Raises ProcessFailed where one never is."""
        for spec in self._specs:
            log = self._logs / f"{spec.name}.log"
            log.unlink(missing_ok=True)
            self._children.append(_Child(spec, log, self._lock))
        until = time.monotonic() + READY_TIMEOUT
        waiting = list(self._children)
        while waiting and not stop.wait(POLL_INTERVAL):
            waiting = [child for child in waiting if not child.is_ready]
            _check_start(waiting, until)

    def look_after(self) -> None:
        """Start again what died, and note it. Raises ProcessFailed for one that does not stay up."""
        for child in self._children:
            if child.is_running:
                continue
            if child.restarts == MAX_RESTARTS:
                report = f"{child.exit_report}\n{child.spec.name} was restarted {MAX_RESTARTS} times already"
                raise ProcessFailed(report)
            self._note(f"{child.exit_report}\n{child.spec.name} is started again")
            child.restart()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        """Ask those who work to stop, then the sandbox they work on, started first; kill who does not listen."""
        sandbox, workers = self._children[:1], self._children[1:]
        self._end(workers, STOP_TIMEOUT)
        self._end(sandbox, SANDBOX_STOP_TIMEOUT)
        self._children.clear()

    def _end(self, children: Sequence[_Child], seconds: float) -> None:
        for child in children:
            child.signal(signal.SIGTERM)
        until = time.monotonic() + seconds
        for child in children:
            if not child.wait(until):
                self._note(f"{child.spec.name} did not stop within {seconds:g} s and is killed")
                child.signal(signal.SIGKILL)
                child.wait(time.monotonic() + 1.0)


def _check_start(waiting: Sequence[_Child], until: float) -> None:
    for child in waiting:
        if not child.is_running:
            raise ProcessFailed(child.exit_report)
    if waiting and time.monotonic() > until:
        names = ", ".join(child.spec.name for child in waiting)
        raise ProcessFailed(f"not ready after {READY_TIMEOUT:g} s: {names}; their logs say why")

"""A process that has imported the worker, and forks others from itself: they need not import it again.

It has one thread, and no connection, key or event loop. What it forks leads a session of its own, has the folder, the
output, the environment and the arguments of its order, and ends as any Python program does: by return, by exception,
by signal. Run as a program with the number of an open socket (`forking.ForkServer`), it ends when that closes.
"""

import ctypes
import gc
import importlib
import json
import os
import runpy
import signal
import socket
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Final, NoReturn

# What processes and commands import in the end, but for what binds Celery's tracer by name: sentry-sdk puts its own in
# that one's place once the settings are known.
PRELOADED: Final = (
    *("worker.app", "worker.intake.intake", "worker.recorder", "worker.cli.processes", "worker.sandbox"),
    *("worker.cli.explain", "worker.cli.publish", "worker.cli.provider", "worker.broker.embedded.transport"),
    *(f"tasks.providers.{kind}.provider" for kind in ("finbourne", "genesys", "ssf", "wibmo")),
    *("celery.bin.celery", "celery.worker.components", "celery.worker.loops"),
    *("celery.app.amqp", "celery.app.control", "celery.app.log", "celery.backends.base"),
    *("kombu.transport.pyamqp", "sqlalchemy.dialects.postgresql.psycopg"),
)
PR_SET_PDEATHSIG: Final = 1  # prctl(2)


class _ExecutedError(BaseException):
    """The process becomes another program: nothing catches this, as nothing goes on after exec(2)."""

    def __init__(self, _path: str, argv: Sequence[str], env: Mapping[str, str]) -> None:
        at = argv.index("-m") + 1
        self.module, self.argv, self.env = argv[at], argv[at:], env


def serve(orders: socket.socket) -> list[str]:
    """Fork and report as ordered, until the end of *orders*; returns in a forked process: what it has to run."""
    with orders, orders.makefile("rb") as lines:
        for line in lines:
            order = json.loads(line)
            if "ended" in order:
                answer = _exit_code(order["ended"])
            elif (answer := _fork()) == 0:
                return _begin(**order)
            orders.sendall(json.dumps(answer).encode() + b"\n")
    return []


def _exit_code(pid: int) -> int | None:
    """As subprocess.Popen has it; None while the process runs."""
    ended, status = os.waitpid(pid, os.WNOHANG)
    return os.waitstatus_to_exitcode(status) if ended else None


def _fork() -> int:
    assert threading.active_count() == 1, "the locks of other threads would stay locked"
    return os.fork()


def _begin(argv: list[str], env: dict[str, str], cwd: str, output: str, errors: str) -> list[str]:
    """Make of a forked process what exec(2) would have made; returns *argv*."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    os.setsid()
    os.chdir(cwd)
    for number, path in ((1, output), (2, errors)):
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
        os.dup2(file, number)
        os.close(file)
    _set_environment(env)
    sys.path[:0] = [folder for folder in env.get("PYTHONPATH", "").split(os.pathsep) if folder]
    return argv


def _set_environment(env: Mapping[str, str]) -> None:
    os.environ.clear()
    os.environ.update(env)
    time.tzset()


def run(argv: list[str]) -> None:
    """Run a script of this virtualenv as its interpreter would."""
    sys.argv = argv
    os.execve = _execute  # type: ignore[assignment] # str paths are what we give it
    try:
        runpy.run_path(argv[0], run_name="__main__")
    except _ExecutedError as new:
        _set_environment(new.env)
        sys.argv = list(new.argv)
        module = new.module
    else:
        return
    runpy.run_module(module, run_name="__main__", alter_sys=True)


def _execute(path: str, argv: Sequence[str], env: Mapping[str, str]) -> NoReturn:
    raise _ExecutedError(path, argv, env)


if __name__ == "__main__":
    for name in PRELOADED:
        importlib.import_module(name)
    gc.collect()
    gc.freeze()
    if program := serve(socket.socket(fileno=int(sys.argv[1]))):
        run(program)

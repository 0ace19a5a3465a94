"""Processes of the worker forked from one that has imported it, where starting them would take a second of CPU each."""

import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

_PROGRAM: Final = Path(__file__).with_name("fork_server.py")
_FORKED: Final = ("revoker", "celery")
# Variables that only a new interpreter, or the loader of its libraries, would heed.
_OF_A_START: Final = ("PYTHON", "LD_", "MALLOC_")
_HEEDED: Final = ("PYTHONPATH", "PYTHONUNBUFFERED")


class Forked:
    """A forked process, as subprocess.Popen shows one."""

    def __init__(self, server: "ForkServer", pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._server = server

    def poll(self) -> int | None:
        """Its exit code (negative: the signal that ended it), None while it runs."""
        if self.returncode is None:
            self.returncode = self._server.exit_code(self.pid)
        return self.returncode


class ForkServer:
    """The process that forks, started with *env* when it is first needed; it ends with this one, however this ends."""

    def __init__(self, env: Mapping[str, str]) -> None:
        self._env = env
        self._door: socket.socket | None = None
        self._lock = threading.Lock()

    def can_fork(self, argv: Sequence[str], env: Mapping[str, str]) -> bool:
        """Whether *argv* is a program of ours, and *env* asks for nothing that a fork could not give."""
        asked = (name for name in env if name.startswith(_OF_A_START) and name not in _HEEDED)
        folders = filter(None, env.get("PYTHONPATH", "").split(os.pathsep))
        customized = any(Path(folder, "sitecustomize.py").exists() for folder in folders)  # read at a start only
        return Path(argv[0]).name in _FORKED and not customized and not any(asked)

    def fork(self, argv: Sequence[str], env: Mapping[str, str], output: Path, errors: Path) -> Forked:
        """Fork a process that runs the script *argv* in the folder of *output*, with exactly the environment *env*."""
        order = {"argv": argv, "env": env, "cwd": str(output.parent), "output": str(output), "errors": str(errors)}
        return Forked(self, self._asked(order))

    def exit_code(self, pid: int) -> int | None:
        """Its exit code once *pid* has ended, to be asked for no more then; None while it runs."""
        code: int | None = self._asked({"ended": pid})
        return code

    def close(self) -> None:
        """End it and all that it forked."""
        if self._door is not None:
            self._door.close()
            self._process.wait()

    def _asked(self, order: Mapping[str, Any]) -> Any:
        with self._lock:
            door = self._door or self._started()
            door.sendall(json.dumps(order).encode() + b"\n")
            answer = b""
            while not answer.endswith(b"\n"):
                more = door.recv(4096)
                assert more, "the fork server has ended"
                answer += more
        return json.loads(answer)

    def _started(self) -> socket.socket:
        self._door, its_own = socket.socketpair()
        with its_own:
            self._process = subprocess.Popen(
                [sys.executable, "-P", str(_PROGRAM), str(its_own.fileno())],
                env=dict(self._env),
                pass_fds=[its_own.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                start_new_session=True,
            )
        return self._door

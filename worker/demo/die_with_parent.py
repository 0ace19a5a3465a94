"""Runs a command that does not outlive its parent: `python -m worker.demo.die_with_parent PARENT COMMAND…`.

A supervisor that was killed cannot stop its processes, and they would work on beside those of its successor. They are
killed, not asked to stop: the broker delivers again what they had in hand.
"""

import ctypes
import os
import signal
import sys
from typing import Final

PR_SET_PDEATHSIG: Final = 1  # prctl(2): the signal to get when the parent dies; it survives execve(2)


def main(parent: int, command: list[str]) -> None:
    """Become *command*, which dies with *parent*. Elsewhere than on Linux, without that."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            sys.exit("the process that started this one is gone")
    os.execv(command[0], command)  # noqa: S606 - our own interpreter, no shell


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])

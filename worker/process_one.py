"""Process 1 of a container, while it is only starting: the kernel passes over each signal that it does not handle."""

import os
import signal
from types import FrameType
from typing import Final

_STOPS: Final = (signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)  # Python itself handles SIGINT


def end_at_a_signal() -> None:
    """As process 1, end at the first signal to stop, until somebody else handles it: nothing has begun yet.

    It takes seconds of CPU until a process does; whoever stops it meanwhile would wait in vain, and then kill it.
    """
    if os.getpid() == 1:
        for number in _STOPS:
            if signal.getsignal(number) is signal.SIG_DFL:
                signal.signal(number, _end)


def _end(number: int, _frame: FrameType | None) -> None:
    os._exit(128 + number)  # as a shell tells of a process that a signal ended

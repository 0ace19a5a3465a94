"""The signals to stop, handled between two steps of the worker and never in the middle of one."""

import contextlib
import os
import signal
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any, Final

from celery.exceptions import WorkerTerminate

STOPS: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGHUP)
HANDLER_TIMEOUT: Final = 5.0  # seconds: what has not ended by then may never end, as with a broker that is silent


class StopSignals:
    """Keeps Celery's handlers back until what the signal interrupted has ended.

    For a cold stop they talk with the broker. In the middle of a frame that does not end well: py-amqp holds a lock
    while it writes one; and while it waits for an answer, whoever else reads takes that answer from it.
    """

    def __init__(self, listening: Callable[[], bool], at_the_last: Callable[[], object]) -> None:
        """*listening* tells whether somebody will call `run`: a loop once `descriptor` is readable, or who is busy.

        *at_the_last* is called for a signal that breaks off the stop itself, as Celery does at the third one.
        """
        self._listening, self._at_the_last = listening, at_the_last
        self._heard: deque[Callable[[], object]] = deque()
        # Readable when a signal came, also between the last look at the signals and the wait for descriptors.
        self.descriptor, self._wake = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)

    def adopt(self) -> None:
        """Come before the handlers that Celery has set up so far; it replaces them as a stop goes on."""
        signal.set_wakeup_fd(self._wake, warn_on_full_buffer=False)
        for number in STOPS:
            handler = signal.getsignal(number)
            if callable(handler) and getattr(handler, "func", None) != self._hear:
                signal.signal(number, partial(self._hear, handler))
        signal.signal(signal.SIGALRM, lambda *_: self.run())

    def run(self) -> None:
        """Do what Celery does at the signals that came."""
        signal.setitimer(signal.ITIMER_REAL, 0)
        with contextlib.suppress(BlockingIOError):
            os.read(self.descriptor, 4096)
        try:
            while self._heard:
                try:
                    self._heard.popleft()()
                finally:
                    self.adopt()
        except WorkerTerminate:
            self._at_the_last()
            raise

    def _hear(self, handler: Callable[..., Any], number: int, frame: object) -> None:
        self._heard.append(partial(handler, number, frame))
        if self._listening():
            signal.setitimer(signal.ITIMER_REAL, HANDLER_TIMEOUT)
        else:
            self.run()

"""The signals to stop, handled between two callbacks of a loop and never in the middle of one."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any, Final

STOPS: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT)
STUCK: Final = 5.0  # seconds: a loop that has not come back by then may never do so


class StopSignals:
    """Keeps Celery's handlers back until a loop has ended what the signal interrupted.

    For a cold stop they talk with the broker. In the middle of a frame that never ends well: py-amqp holds a lock
    while it writes one, and has taken a part of it out of the socket while it reads one.
    """

    def __init__(self, listening: Callable[[], bool]) -> None:
        """*listening* tells whether a loop runs that calls `run` once `descriptor` is readable."""
        self._listening = listening
        self._heard: deque[tuple[float, Callable[[], object]]] = deque()
        # Readable when a signal came, also between the last look at the signals and the wait for descriptors.
        self.descriptor, self._wake = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)

    def adopt(self) -> None:
        """Come before the handlers that Celery has set up so far; it replaces them as a stop goes on."""
        signal.set_wakeup_fd(self._wake, warn_on_full_buffer=False)
        for number in STOPS:
            handler = signal.getsignal(number)
            if callable(handler) and getattr(handler, "func", None) != self._hear:
                signal.signal(number, partial(self._hear, handler))

    def run(self) -> None:
        """Do what Celery does at the signals that came."""
        with contextlib.suppress(BlockingIOError):
            os.read(self.descriptor, 4096)
        while self._heard:
            _, handle = self._heard.popleft()
            try:
                handle()
            finally:
                self.adopt()

    def _hear(self, handler: Callable[..., Any], number: int, frame: object) -> None:
        now = time.monotonic()
        if self._listening() and not (self._heard and now - self._heard[0][0] > STUCK):
            self._heard.append((now, partial(handler, number, frame)))
        else:
            handler(number, frame)
            self.adopt()

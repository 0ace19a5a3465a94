"""The signals to stop, handled between two steps of the worker and never in the middle of one."""

import contextlib
import os
import signal
from collections import deque
from collections.abc import Callable
from typing import Any, Final

from celery import platforms
from celery.exceptions import WorkerTerminate

Handler = Callable[[int, Any], object]

STOPS: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGHUP)
HANDLER_TIMEOUT: Final = 5.0  # seconds: what has not ended by then may never end, as with a broker that is silent


class StopSignals:
    """Keeps Celery's handlers back until what the signal interrupted has ended.

    For a cold stop they talk with the broker. In the middle of a frame that does not end well: py-amqp holds a lock
    while it writes one; and while it waits for an answer, whoever else reads takes that answer from it.

    A handler is such a thing, too. Celery's for the third signal raises: in the middle of the first, which cancels the
    calls, it would take away the step in which a call was to end, and the stop would wait for that call.
    """

    def __init__(self, listening: Callable[[], bool], at_the_last: Callable[[], object]) -> None:
        """*listening* tells whether somebody will call `run`: a loop once `descriptor` is readable, or who is busy.

        *at_the_last* is called for a signal that breaks off the stop itself, as Celery does at the third one.
        """
        self._listening, self._at_the_last = listening, at_the_last
        self._handlers: dict[int, Handler] = {}  # Celery's: each replaces them by the next ones, as a stop goes on
        self._heard: deque[int] = deque()
        self._handling = False
        # Readable when a signal came, also between the last look at the signals and the wait for descriptors.
        self.descriptor, self._wake = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)

    def adopt(self) -> None:
        """Come before the handlers that Celery has set up so far, and before those that it sets up from now on."""
        signal.set_wakeup_fd(self._wake, warn_on_full_buffer=False)
        for number in STOPS:
            handler = signal.getsignal(number)
            if callable(handler) and handler != self._hear:
                self.keep_back(number, handler)
        signal.signal(signal.SIGALRM, lambda *_: self.run())
        platforms.signals = _KeptBack(self)  # what Celery sets up its handlers through

    def keep_back(self, number: int, handler: Handler) -> None:
        """Have *handler* do what is to be done at the signals that are handled from now on."""
        self._handlers[number] = handler
        signal.signal(number, self._hear)

    def run(self) -> None:
        """Do what Celery does at the signals that came."""
        signal.setitimer(signal.ITIMER_REAL, 0)
        with contextlib.suppress(BlockingIOError):
            os.read(self.descriptor, 4096)
        before, self._handling = self._handling, True
        try:
            while self._heard:
                signal.setitimer(signal.ITIMER_REAL, 0)
                number = self._heard.popleft()
                self._handlers[number](number, None)
        except WorkerTerminate:
            self._at_the_last()
            raise
        finally:
            self._handling = before

    def _hear(self, number: int, _frame: object) -> None:
        self._heard.append(number)
        if self._handling or self._listening():
            signal.setitimer(signal.ITIMER_REAL, HANDLER_TIMEOUT)
        else:
            self.run()


class _KeptBack(platforms.Signals):
    """Celery's own way to set up a handler; those for a stop are kept back."""

    def __init__(self, stops: StopSignals) -> None:
        self._stops = stops

    def __setitem__(self, name: str, handler: Handler) -> None:
        if (number := self.signum(name)) in STOPS and callable(handler):
            self._stops.keep_back(number, handler)
        else:
            super().__setitem__(name, handler)

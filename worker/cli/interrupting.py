"""Ctrl-C as a wish to stop, for what must finish the step it is in."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from worker.hangup import with_hangup


@contextmanager
def stop_wished() -> Iterator[threading.Event]:
    """An event that SIGINT, SIGTERM and SIGHUP set meanwhile, instead of ending the process on the spot."""
    stop = threading.Event()
    numbers = with_hangup(signal.SIGINT, signal.SIGTERM)
    before = {number: signal.signal(number, lambda *_: stop.set()) for number in numbers}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)

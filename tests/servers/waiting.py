"""Waiting for something to become true: polling with a deadline, never a fixed sleep.

A question that takes long is asked less often: at most half of the time goes into asking.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")
_INTERVAL = 0.02


def wait_until(predicate: Callable[[], T], timeout: float = 10.0, what: str = "it to become true") -> T:
    """Return the first true value of *predicate*, asked every 20 ms; AssertionError after *timeout* seconds."""
    asked = time.monotonic()
    deadline = asked + timeout
    while not (value := predicate()):
        now = time.monotonic()
        assert now < deadline, f"waited {timeout:g} s for {what}; last seen: {value!r}"
        time.sleep(max(_INTERVAL, now - asked))
        asked = time.monotonic()
    return value


async def eventually(
    predicate: Callable[[], Awaitable[T]],
    timeout: float = 10.0,  # noqa: ASYNC109 - a deadline for the condition, not for one call
    what: str = "it to become true",
) -> T:
    """Return the first true value of the coroutine function *predicate*, as `wait_until` does, on the event loop."""
    asked = time.monotonic()
    deadline = asked + timeout
    while not (value := await predicate()):
        now = time.monotonic()
        assert now < deadline, f"waited {timeout:g} s for {what}; last seen: {value!r}"
        await asyncio.sleep(max(_INTERVAL, now - asked))
        asked = time.monotonic()
    return value

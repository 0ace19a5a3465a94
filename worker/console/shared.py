"""An answer that several pages share: the ledger and the broker are asked once for all who ask at the same time."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Shared(Generic[T]):
    """What *ask* answers, kept for *seconds*. To be used on one event loop."""

    def __init__(self, seconds: float, ask: Callable[[], Awaitable[T]]) -> None:
        self._seconds, self._ask = seconds, ask
        self._answer: asyncio.Future[T] | None = None
        self._asked_at = 0.0

    async def get(self) -> T:
        """Return the answer, of at most *seconds* ago; raises what it raised."""
        if self._answer is None or (self._answer.done() and time.monotonic() - self._asked_at > self._seconds):
            self._answer, self._asked_at = asyncio.ensure_future(self._ask()), time.monotonic()
        return await asyncio.shield(self._answer)

    def forget(self) -> None:
        """Have the next one who asks get a new answer: something was changed just now."""
        self._answer = None

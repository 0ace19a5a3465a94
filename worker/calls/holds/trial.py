"""A trial: until our credential is known to work, a handful of calls find out and the others wait for them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from worker.calls.holds.breaker import HANDFUL
from worker.calls.holds.symptoms import Symptom


class Trial:
    """Of the worker's own credential at one provider instance. To be used on one event loop."""

    def __init__(self) -> None:
        self._proven = False
        self._inside = 0
        self._news = asyncio.Event()

    @property
    def has_room(self) -> bool:
        """Whether one more call may be made."""
        return self._proven or self._inside < HANDFUL

    @contextmanager
    def inside(self) -> Iterator[None]:
        """While a call is made with the credential."""
        self._inside += 1
        try:
            yield
        finally:
            self._inside -= 1
            if not self._proven:
                self.tell()

    def learn(self, symptom: Symptom) -> None:
        """Know better by what a call with the credential came to."""
        was_proven = self._proven
        self._proven = symptom is Symptom.WELL or (was_proven and symptom is not Symptom.REFUSED)
        if self._proven and not was_proven:
            self.tell()

    def tell(self) -> None:
        """Have those who wait look again."""
        self._news.set()
        self._news = asyncio.Event()

    async def until(self, condition: Callable[[], bool], patience: float | None = None) -> None:
        """Wait until *condition* holds, at most *patience* seconds."""
        with suppress(TimeoutError):
            async with asyncio.timeout(patience):
                while not condition():
                    await self._news.wait()

    async def verdict(self, is_held: Callable[[], bool], patience: float) -> None:
        """Wait until it is known whether a refusal was about the credential."""
        await self.until(lambda: self._proven or is_held(), patience)

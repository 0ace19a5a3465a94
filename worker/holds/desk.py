"""The way to the ledger, in a thread of its own: it may hang, nobody who makes calls waits for it."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable
from typing import Any, TypeVar

from worker.ledger import Ledger, LedgerRefused, LedgerUnavailable

T = TypeVar("T")


class Desk:
    """Asks the ledger at *url*, one question after the other."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._ledger: Ledger | None = None
        self._questions: queue.SimpleQueue[tuple[Callable[[Ledger], Any], asyncio.Future[Any]] | None] = (
            queue.SimpleQueue()
        )
        threading.Thread(target=self._run, name="holds", daemon=True).start()  # at the end nobody waits for it

    async def ask(self, question: Callable[[Ledger], T]) -> T:
        """What the ledger answers. Raises LedgerUnavailable."""
        answer: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._questions.put((question, answer))
        return await answer

    def close(self) -> None:
        """Ask no more."""
        self._questions.put(None)

    def _run(self) -> None:
        while (asked := self._questions.get()) is not None:
            self._answer(*asked)
        if self._ledger:
            self._ledger.close()

    def _answer(self, question: Callable[[Ledger], T], answer: asyncio.Future[T]) -> None:
        try:
            self._ledger = self._ledger or Ledger.open(self._url)
            result = question(self._ledger)
        except (LedgerUnavailable, LedgerRefused) as error:
            _resolve(answer, answer.set_exception, LedgerUnavailable(str(error)))
        except Exception as bug:  # noqa: BLE001 - raised where it was asked
            _resolve(answer, answer.set_exception, bug)
        else:
            _resolve(answer, answer.set_result, result)


def _resolve(answer: asyncio.Future[T], how: Callable[[Any], None], value: object) -> None:
    loop = answer.get_loop()
    if not loop.is_closed():
        loop.call_soon_threadsafe(lambda: None if answer.done() else how(value))

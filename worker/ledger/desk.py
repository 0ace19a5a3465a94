"""The way to the ledger, in a thread of its own: it may hang, nobody who makes calls waits for it."""

from __future__ import annotations

import asyncio
import contextlib
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future, InvalidStateError
from typing import Any, Final, TypeVar

from worker.ledger.errors import LedgerRefused, LedgerUnavailable
from worker.ledger.ledger import Ledger

T = TypeVar("T")

Answer = asyncio.Future[Any] | Future[Any]

PATIENCE: Final = 2.0  # seconds for a lock in the database: whoever asks here would not wait longer for the answer


class Desk:
    """Asks the ledger at *url*, one question after the other. Opened at the first: a ledger may be away for now.

    What is written here is nobody's record: permits, holds of the breaker, whom the guard let pass, ids that came. A
    power cut that takes its last moments costs a call more; a sync for each would cost every event some milliseconds.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._ledger: Ledger | None = None
        self._questions: queue.SimpleQueue[tuple[Callable[[Ledger], Any], Answer] | None] = queue.SimpleQueue()
        threading.Thread(target=self._run, name="ledger", daemon=True).start()  # at the end nobody waits for it

    async def ask(self, question: Callable[[Ledger], T]) -> T:
        """What the ledger answers. Raises LedgerUnavailable."""
        answer: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._questions.put((question, answer))
        return await answer

    def wait(self, question: Callable[[Ledger], T], seconds: float) -> T:
        """What the ledger answers, for a thread without a loop. Raises LedgerUnavailable, after *seconds* as well."""
        answer: Future[T] = Future()
        self._questions.put((question, answer))
        try:
            return answer.result(seconds)
        except TimeoutError:
            answer.cancel()
            raise LedgerUnavailable("the ledger does not answer") from None

    def close(self) -> None:
        """Ask no more."""
        self._questions.put(None)

    def _run(self) -> None:
        while (asked := self._questions.get()) is not None:
            self._answer(*asked)
        if self._ledger:
            self._ledger.close()

    def _answer(self, question: Callable[[Ledger], T], answer: Answer) -> None:
        if answer.cancelled():
            return  # nobody waits for it any more, and what it would take nobody would use
        try:
            self._ledger = self._ledger or Ledger.open(self._url, PATIENCE, durable=False)
            result = question(self._ledger)
        except (LedgerUnavailable, LedgerRefused) as error:
            _resolve(answer, answer.set_exception, LedgerUnavailable(str(error)))
        except Exception as bug:  # noqa: BLE001 - raised where it was asked
            _resolve(answer, answer.set_exception, bug)
        else:
            _resolve(answer, answer.set_result, result)


def _resolve(answer: Answer, how: Callable[[Any], None], value: object) -> None:
    if isinstance(answer, Future):
        with contextlib.suppress(InvalidStateError):  # nobody waits for it any more
            how(value)
    elif not (loop := answer.get_loop()).is_closed():
        loop.call_soon_threadsafe(lambda: None if answer.done() else how(value))

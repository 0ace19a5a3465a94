"""The database, used by a thread of its own: where it hangs, calls go on."""

import asyncio
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, Final, TypeVar

from worker.database.engine import Database, open_database
from worker.database.errors import LedgerRefused, LedgerUnavailable

T = TypeVar("T")

LOCK_TIMEOUT: Final = 2.0  # seconds for a lock in the database: no caller waits longer for the result
CLOSE_TIMEOUT: Final = 2.5  # seconds for what was still asked; a database that hangs holds up no stop for longer


class DatabaseThread:
    """Runs jobs on the database at *url*, one after the other. Opened at the first: a database may be away for now.

    What is written here belongs to no record, unless it is made durable: permits, holds, floods, known ids. Where a
    power cut takes the last moments of it, a call is made once more; a sync for each would cost every event some
    milliseconds.
    """

    def __init__(self, url: str, *, durable: bool = False) -> None:
        """*durable*: what is written is on the disk when the job is answered."""
        self._url, self._durable = url, durable
        self._database: Database | None = None
        self._jobs: queue.SimpleQueue[tuple[Callable[[Database], Any], Future[Any]] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._serve, name="ledger", daemon=True)  # the process ends without it
        self._thread.start()

    async def run(self, job: Callable[[Database], T]) -> T:
        """Return what the job returns. Raises LedgerUnavailable."""
        return await asyncio.wrap_future(self.ask(job))

    def run_sync(self, job: Callable[[Database], T], seconds: float) -> T:
        """Return what the job returns, to a thread without a loop. Raises LedgerUnavailable, also after *seconds*."""
        answer = self.ask(job)
        try:
            return answer.result(seconds)
        except TimeoutError:
            answer.cancel()
            raise LedgerUnavailable("the ledger does not answer") from None

    def close(self) -> None:
        """Ask no more, and wait until the connections are closed: SQLite tidies up its files with the last one."""
        self._jobs.put(None)
        self._thread.join(CLOSE_TIMEOUT)

    def ask(self, job: Callable[[Database], T]) -> Future[T]:
        """Return at once what will hold what the job returns, or LedgerUnavailable."""
        answer: Future[T] = Future()
        self._jobs.put((job, answer))
        return answer

    def _serve(self) -> None:
        while (asked := self._jobs.get()) is not None:
            self._answer(*asked)
        if self._database:
            self._database.engine.dispose()

    def _answer(self, job: Callable[[Database], T], answer: Future[T]) -> None:
        if not answer.set_running_or_notify_cancel():
            return  # the caller gave up: whatever the job takes would be lost
        try:
            self._database = self._database or open_database(self._url, LOCK_TIMEOUT, durable=self._durable)
            result = job(self._database)
        except (LedgerUnavailable, LedgerRefused) as error:
            answer.set_exception(LedgerUnavailable(str(error)))
        except Exception as bug:  # noqa: BLE001 - raised where it was asked
            answer.set_exception(bug)
        else:
            answer.set_result(result)

"""The publisher in a thread, for the embedded broker: what many tasks publish at once leaves in one batch."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Sequence
from typing import Final

from worker.broker.publisher import Message, Publisher, PublishError

BATCH_SIZE: Final = 200  # messages whose confirms are awaited together

_Job = tuple[Sequence[Message], "asyncio.Future[None]"]


class ThreadPublisher:
    """A thread with a `Publisher`. Whatever came in while one batch was on its way makes up the next."""

    def __init__(self, publisher: Publisher) -> None:
        self._publisher = publisher
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="publisher", daemon=True)
        self._thread.start()

    async def publish(self, *messages: Message) -> None:
        """Publish *messages*; returns once the broker confirmed all of them, else raises `PublishError`."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._jobs.put((messages, done))
        await done

    async def close(self) -> None:
        """Publish what is waiting, then close the connection."""
        self._jobs.put(None)
        await asyncio.to_thread(self._thread.join)
        self._publisher.close()

    def _run(self) -> None:
        open_ = True
        while open_:
            jobs = self._take()
            open_ = None not in jobs
            self._publish([job for job in jobs if job is not None])

    def _take(self) -> list[_Job | None]:
        jobs = [self._jobs.get()]
        while not self._jobs.empty() and len(jobs) < BATCH_SIZE:
            jobs.append(self._jobs.get())
        return jobs

    def _publish(self, jobs: list[_Job]) -> None:
        results = iter(self._publisher.publish([message for messages, _ in jobs for message in messages]))
        for messages, done in jobs:
            failures = [failure for failure in (next(results) for _ in messages) if failure is not None]
            done.get_loop().call_soon_threadsafe(_resolve, done, failures[0] if failures else None)


def _resolve(done: asyncio.Future[None], failure: PublishError | None) -> None:
    if done.cancelled():
        return
    if failure is None:
        done.set_result(None)
    else:
        done.set_exception(failure)

"""The publisher in a thread, for the embedded broker: what many tasks publish at once leaves in one batch."""

import asyncio
import queue
import threading
from functools import partial
from typing import Final

from worker.broker.confirms import Answers, Publication, confirmed, resolve
from worker.broker.publication import Message, PublishError
from worker.broker.publisher import Publisher

BATCH_SIZE: Final = 200  # messages whose confirms are awaited together


class ThreadPublisher:
    """A thread with a `Publisher`. Whatever came in while one batch was on its way makes up the next."""

    def __init__(self, publisher: Publisher) -> None:
        self._publisher = publisher
        self._waiting: queue.SimpleQueue[Publication | None] = queue.SimpleQueue()  # None: nothing comes after it
        self._thread = threading.Thread(target=self._run, name="publisher", daemon=True)
        self._thread.start()

    async def publish(self, *messages: Message) -> None:
        """Publish *messages*; returns once the broker confirmed all of them, else raises `PublishError`."""
        answers: Answers = [asyncio.get_running_loop().create_future() for _ in messages]
        for message, answer in zip(messages, answers, strict=True):
            self._waiting.put(Publication(message, partial(_resolve, answer)))
        await confirmed(answers)

    async def close(self) -> None:
        """Publish what is waiting, then close the connection."""
        self._waiting.put(None)
        await asyncio.to_thread(self._thread.join)
        self._publisher.close()

    def _run(self) -> None:
        while batch := self._take():
            self._publisher.settle(batch)

    def _take(self) -> list[Publication]:
        """Return the next batch, once there is one; an empty one is the end."""
        batch, last = list[Publication](), self._waiting.get()
        while last is not None:
            batch.append(last)
            if self._waiting.empty() or len(batch) == BATCH_SIZE:
                return batch
            last = self._waiting.get()
        if batch:
            self._waiting.put(None)
        return batch


def _resolve(answer: asyncio.Future[PublishError | None], failure: PublishError | None) -> None:
    answer.get_loop().call_soon_threadsafe(resolve, answer, failure)

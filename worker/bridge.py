"""The bridge from Celery's threads pool to coroutines: one event loop in a thread, and a task class that awaits on it.

Everything above it is `async def` and knows nothing of threads.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from typing import TYPE_CHECKING, Any, Final, TypeVar

from celery import Task
from celery.exceptions import Reject, Retry

from tasks.outcome import State
from worker.publisher import PublishError

if TYPE_CHECKING:
    from collections.abc import Coroutine

logger = logging.getLogger(__name__)

T = TypeVar("T")
PAUSE_BEFORE_REQUEUE: Final = 2.0  # seconds: a broker that takes nothing must not be asked in a busy loop


class LoopThread:
    """An event loop running in a thread of its own."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="provider-calls", daemon=True)

    def start(self) -> None:
        """Start running the loop."""
        self._thread.start()

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run *coroutine* on the loop and wait for it, from any other thread."""
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()

    def stop(self) -> None:
        """Stop the loop; nothing may be running on it any more."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


class BridgedTask(Task):
    """A task whose body is a coroutine, awaited on the worker's loop. Celery is told the truth of how it ended."""

    abstract = True
    loop: LoopThread  # set by the composition root

    def __call__(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - whatever the body takes and returns
        """Run the body. A message whose fate the broker did not confirm goes back to its queue, unacknowledged."""
        try:
            state = self.loop.run(self.run(*args, **kwargs))
        except PublishError as error:
            logger.warning("task.not_settled", extra={"task_id": self.request.id, "error": str(error)})
            time.sleep(PAUSE_BEFORE_REQUEUE)
            raise Reject(str(error), requeue=True) from None
        if state in (State.RETRYING, State.HELD):
            raise Retry(str(state))
        return state

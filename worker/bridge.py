"""The bridge from Celery's threads pool to coroutines: one event loop in a thread, and a task class that awaits on it.

Everything above it is `async def` and knows nothing of threads.
"""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any, TypeVar

from worker.settling import SettledTask, own_context

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

T = TypeVar("T")


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

    def soon(self, function: Callable[[], object]) -> None:
        """Run *function* on the loop, from any thread."""
        self._loop.call_soon_threadsafe(function)

    def aside(self, function: Callable[..., T], *args: object) -> T:
        """Run blocking *function*: the loop has its own thread, and goes on."""
        return function(*args)

    def stop(self) -> None:
        """Stop the loop; nothing may be running on it any more."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


class BridgedTask(SettledTask):
    """A task whose coroutine runs on the loop's thread, while a thread of Celery's pool waits for it."""

    abstract = True
    loop: LoopThread  # set by the composition root

    def __call__(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - whatever the body takes and returns
        """Run the body; in it, `self.request` is the request that this thread has at hand."""
        own_context(threading.get_ident())
        return self.loop.run(self.settled(*args, **kwargs))

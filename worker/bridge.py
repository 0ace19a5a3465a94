"""The bridge from Celery's threads pool to coroutines: one event loop in a thread, and a task class that awaits on it.

Everything above it is `async def` and knows nothing of threads.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from concurrent import futures
from typing import TYPE_CHECKING, Any, TypeVar

from celery import signals
from celery.concurrency.thread import TaskPool
from celery.exceptions import Reject
from celery.worker import state

from worker.engine.event_loop import cancel_all
from worker.settling import SettledTask, own_context

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

logger = logging.getLogger(__name__)

T = TypeVar("T")


class LoopThread:
    """An event loop running in a thread of its own."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._calls: set[futures.Future[Any]] = set()
        self._gives_back = False
        self._thread = threading.Thread(target=self._loop.run_forever, name="provider-calls", daemon=True)

    def start(self) -> None:
        """Start running the loop."""
        self._thread.start()

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run *coroutine* on the loop and wait for it, from any other thread."""
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()

    def call(self, body: Coroutine[Any, Any, T]) -> T:
        """As `run`, for the body of a task. Raises Reject, which gives its message back, where it may not finish."""
        future = asyncio.run_coroutine_threadsafe(body, self._loop)
        self._calls.add(future)
        if self._gives_back:
            future.cancel()
        try:
            return future.result()
        except futures.CancelledError:
            raise Reject("the worker stops", requeue=True) from None
        finally:
            self._calls.discard(future)

    def wait_for_calls(self, seconds: float) -> None:
        """Let the bodies that run finish within *seconds*, then cancel the others."""
        _, late = futures.wait(tuple(self._calls), seconds)
        if late:
            logger.warning("worker.gives_back", extra={"calls": len(late)})
            self.cancel_calls()

    def cancel_calls(self) -> None:
        """Cancel every body that runs, and those that a thread was about to begin."""
        self._gives_back = True
        self._loop.call_soon_threadsafe(self._cancel_them)  # there no signal interrupts it

    def _cancel_them(self) -> None:
        for future in tuple(self._calls):
            future.cancel()

    def spawn(self, coroutine: Coroutine[Any, Any, None]) -> None:
        """Let *coroutine* run beside everything else on the loop; the end of the process cancels it."""
        asyncio.run_coroutine_threadsafe(coroutine, self._loop)

    def soon(self, function: Callable[[], object]) -> None:
        """Run *function* on the loop, from any thread."""
        self._loop.call_soon_threadsafe(function)

    def aside(self, function: Callable[..., T], *args: object) -> T:
        """Run blocking *function*: the loop has its own thread, and goes on."""
        return function(*args)

    def stop(self) -> None:
        """Stop the loop; nothing may be running on it any more."""
        self.run(cancel_all())
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
        return self.loop.call(self.settled(*args, **kwargs))


class ThreadsPool(TaskPool):
    """Celery's threads pool, which at a stop gives calls the grace and no more."""

    def on_start(self) -> None:
        """Hear of the signals to stop."""
        self._signals = 0
        signals.worker_shutting_down.connect(self._on_signal)

    def on_stop(self) -> None:
        """Let what is in flight finish, within the grace; the rest is given back. In a cold stop there is no grace."""
        self.executor.shutdown(wait=False, cancel_futures=True)
        host = self.app.runtime_host
        host.loop.wait_for_calls(0 if state.should_terminate else host.grace)
        super().on_stop()

    def on_terminate(self) -> None:
        """Give everything back at once."""
        self.on_stop()

    def terminate_job(self, pid: int, signal: object = None) -> None:
        """Leave a single call alone: a thread has no id of its own here, and a stop cancels all of them."""

    def _on_signal(self, how: str, **_: object) -> None:
        """The second signal to stop ends the grace; a cold stop has none."""
        self._signals += 1
        if self._signals > 1 or how == "Cold":
            self.app.runtime_host.loop.cancel_calls()

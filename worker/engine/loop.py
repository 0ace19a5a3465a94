"""The one event loop of a worker process: the consumer, the tasks and the provider calls all run on it."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class EventLoop:
    """Lives as long as the process, over every reconnect. It stands still between two `run`s."""

    def __init__(self) -> None:
        self._runner = asyncio.Runner(loop_factory=asyncio.new_event_loop)
        self.asyncio = self._runner.get_loop()
        self._spawned: set[asyncio.Task[None]] = set()  # the loop itself would let go of them

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run *coroutine*, and everything else that is on the loop, until it is done."""
        return self.asyncio.run_until_complete(coroutine)

    def spawn(self, coroutine: Coroutine[Any, Any, None]) -> None:
        """Let *coroutine* run beside everything else on the loop; the end of the process cancels it."""
        self._spawned.add(task := self.asyncio.create_task(coroutine))
        task.add_done_callback(self._spawned.discard)

    def run_in_thread(self, function: Callable[..., T], *args: object) -> T:
        """Run blocking *function* in a thread while the loop goes on: the calls in flight do not wait for it."""

        async def wait() -> T:  # in a task: run_until_complete never ends for a bare future that holds a SystemExit
            return await self.asyncio.run_in_executor(None, function, *args)

        return self.run(wait())

    def stop(self) -> None:
        """Cancel what is left on it, and close it."""
        self._runner.close()

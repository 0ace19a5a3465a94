"""Celery's pool as asyncio tasks on the worker's event loop: one for each request, none waits for another."""

import asyncio
import contextlib
import itertools
import logging
import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

import click
from billiard.einfo import ExceptionInfo
from celery import signals
from celery.concurrency.base import BasePool
from celery.exceptions import SoftTimeLimitExceeded

from tasks.call import Lane
from worker.engine.tracer import Tracer

logger = logging.getLogger(__name__)

_ROUTINE: Final = f".{Lane.ROUTINE}"  # the end of a routine call's routing key
_UNLIMITED: Final = contextlib.nullcontext()
CANCEL_TIMEOUT: Final = 2.0  # seconds that cancelled tasks get to release what they hold
ROUTINE_STARTS: Final = 4  # calls that begin in one turn of the loop: about forty steps, some milliseconds


class _Job(NamedTuple):
    """What Celery asks of a pool for one request, by its names."""

    accept_callback: Callable[[int, float], None]
    callback: Callable[[Any], None]
    error_callback: Callable[[ExceptionInfo], None]
    timeout_callback: Callable[[bool, float], None]
    soft_timeout: float | None = None
    timeout: float | None = None


class AsyncioPool(BasePool):
    """Runs every request at once; how many there are is decided by what the consumer takes from each queue."""

    def __init__(self, *args: object, **options: object) -> None:
        super().__init__(*args, **options)
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._ids = itertools.count(1)
        self._signals = 0
        self._drained: asyncio.Task[object] | None = None

    def on_start(self) -> None:
        """Get ready; the loop itself was made with the application."""
        host = self.app.runtime_host
        self._loop: asyncio.AbstractEventLoop = host.loop.asyncio
        self._grace: float = host.grace
        self._trace = Tracer(self.app)
        self._turnstile = Turnstile(self._loop)
        signals.worker_shutting_down.connect(self._on_signal)

    def apply_async(self, _target: object, args: tuple[Any, ...], **asked: Any) -> None:
        """Start a request; its id is what `terminate_job` takes."""
        job_id = next(self._ids)
        job = _Job(**{name: asked[name] for name in _Job._fields if name in asked})
        self._tasks[job_id] = self._loop.create_task(self._perform(job_id, job, *args[:3]))

    def terminate_job(self, pid: int, signal: object = None) -> None:  # noqa: ARG002 - celery's signature
        """Cancel one task; who asks for it says what becomes of its message."""
        if task := self._tasks.get(pid):
            task.cancel()

    def on_stop(self) -> None:
        """Let what is in flight finish, within the grace; the rest stays unacknowledged and is delivered again."""
        if self._loop.is_running():  # a signal's handler, which the loop called, asks for a cold shutdown
            self._cancel_all()
        else:
            self._loop.run_until_complete(self._drain())

    def on_terminate(self) -> None:
        """Give everything back at once, whether or not the calls let themselves be cancelled."""
        self._end_grace()
        self.on_stop()

    async def _perform(self, job_id: int, job: _Job, name: str, task_id: str, request: dict[str, Any]) -> None:
        try:
            if _is_routine(request):
                await self._turnstile.passing()
            job.accept_callback(job_id, time.monotonic())
            async with asyncio.timeout(job.timeout) if job.timeout else _UNLIMITED:
                traced = await self._trace(name, task_id, request, job.soft_timeout)
        except TimeoutError:
            job.timeout_callback(False, job.timeout or 0)  # noqa: FBT003 - celery's callback
        except Exception:  # noqa: BLE001 - a fault of the engine's own, told to Celery like a lost process
            job.error_callback(ExceptionInfo())
        else:
            if traced[0] and isinstance(traced[1].exception, SoftTimeLimitExceeded):
                job.timeout_callback(True, job.soft_timeout or 0)  # noqa: FBT003 - celery's callback
            job.callback(traced)
        finally:
            del self._tasks[job_id]

    async def _drain(self) -> None:
        if self._tasks:
            self._drained = self._loop.create_task(asyncio.wait([*self._tasks.values()]))
            await asyncio.wait([self._drained], timeout=self._grace)
        if self._tasks:
            logger.warning("worker.gives_back", extra={"calls": len(self._tasks)})
            self._cancel_all()
            await asyncio.wait(self._tasks.values(), timeout=CANCEL_TIMEOUT)

    def _on_signal(self, **_: object) -> None:
        """The second signal to stop ends the grace."""
        self._signals += 1
        if self._signals > 1:
            self._loop.call_soon_threadsafe(self._end_grace)

    def _end_grace(self) -> None:
        """Cancel the calls, and wait no longer for those that do not end then."""
        self._cancel_all()
        self._grace = min(self._grace, CANCEL_TIMEOUT)
        if self._drained:
            self._loop.call_later(CANCEL_TIMEOUT, self._drained.cancel)

    def _cancel_all(self) -> None:
        for task in tuple(self._tasks.values()):
            task.cancel()

    def _get_info(self) -> dict[str, Any]:
        return {**super()._get_info(), "in-flight": len(self._tasks), "shutdown-grace": self._grace}


def _is_routine(request: Mapping[str, Any]) -> bool:
    key = (request.get("delivery_info") or {}).get("routing_key") or ""
    return str(key).endswith(_ROUTINE)


class Turnstile:
    """Lets ROUTINE_STARTS calls begin in each turn of *loop*, in the order in which they came.

    A call is a dozen steps of the loop, and each step waits for a step of all others that are ready. If a thousand
    calls began at once, an urgent one would wait in each step for all of them. A call that waits here, or for its
    provider, takes no step.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._turns = False  # whether the next turn is asked for

    async def passing(self) -> None:
        """Wait for one's turn; whoever is cancelled meanwhile takes no place."""
        mine: asyncio.Future[None] = self._loop.create_future()
        self._waiting.append(mine)
        self._ask()
        await mine

    def _ask(self) -> None:
        if not self._turns and self._waiting:
            self._turns = True
            self._loop.call_soon(self._turn)

    def _turn(self) -> None:
        self._turns, left = False, ROUTINE_STARTS
        while self._waiting and left:
            mine = self._waiting.popleft()
            if not mine.done():
                mine.set_result(None)
                left -= 1
        self._ask()


class NoAutoscaler:
    """Refuses `--autoscale`: there are no processes to add, and the in-flight limits are settings."""

    def __init__(self, *_: object, **__: object) -> None:
        raise click.UsageError(
            "--autoscale: calls in flight cost no process here; set worker.in_flight_routine and in_flight_urgent"
        )

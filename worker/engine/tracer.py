"""Runs one task from its message, as `celery.app.trace.build_tracer` does, but awaits it.

The same hooks and signals in the same order with the same arguments, Celery's own handling of failures and retries.
Left out is what this project has switched off: results, chords, eager tasks, the loader's hooks, and a log line for
each success, which the line about the attempt says better.
"""

import asyncio
from collections.abc import Coroutine, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from time import monotonic
from typing import Any, NamedTuple

from billiard.einfo import ExceptionInfo
from celery import signals, states
from celery._state import _task_stack
from celery.app import trace
from celery.app.task import Context
from celery.app.trace import TraceInfo, task_has_custom, traceback_clear
from celery.exceptions import Ignore, Reject, Retry, SoftTimeLimitExceeded

from tasks.call import ProviderCall
from worker.broker import topology
from worker.engine.message_check import CELERYS_HEADERS
from worker.engine.sentry import Reports
from worker.engine.task import bind_request_context
from worker.observability import tracing, work

Traced = tuple[int, Any, float | None]  # (1, what failed, None), or (0, what it returned, the seconds it took)


class Tracer:
    """Traces the tasks of *app*."""

    def __init__(self, app: Any) -> None:
        self._reports = Reports.of_this_process()
        self._spans = tracing.spans()
        self._runs = {task.name: _TracedTask(task, self._reports) for task in app.tasks.values()}

    async def __call__(self, name: str, task_id: str, request: dict[str, Any], soft_limit: float | None) -> Traced:
        """Run the task of *request*, for *soft_limit* seconds if any; it fails with SoftTimeLimitExceeded then."""
        bind_request_context(object())
        work.begin(next(iter(request["args"]), None))
        run = self._runs[name]
        if self._reports is None and self._spans is None:
            return await run(task_id, request, soft_limit)
        with self._observed(run.task, task_id, request):
            return await run(task_id, request, soft_limit)

    @contextmanager
    def _observed(self, task: Any, task_id: str, request: dict[str, Any]) -> Iterator[None]:
        with (
            self._spanned(next(iter(request["args"]), None), request),
            self._reports.of_task(task, task_id, request) if self._reports else nullcontext(),
        ):
            yield

    def _spanned(self, call: object, request: dict[str, Any]) -> AbstractContextManager[None]:
        if self._spans is None or not isinstance(call, ProviderCall):
            return nullcontext()
        return self._spans.call(call, topology.calls_queue(call.provider, call.lane).name, request)


class _End(NamedTuple):
    """What a task came to; a task that was cancelled has no state."""

    state: str | None = None
    returned: Any = None  # or raised
    failure: ExceptionInfo | None = None
    seconds: float | None = None


class _TracedTask:
    def __init__(self, task: Any, reports: Reports | None) -> None:
        self.task = task
        self._reports = reports
        self._hooks = {name for name in ("before_start", "on_success", "after_return") if task_has_custom(task, name)}

    async def __call__(self, task_id: str, request: dict[str, Any], soft_limit: float | None) -> Traced:
        about = {"task_id": task_id, "args": request["args"], "kwargs": request["kwargs"]}
        context, end = _context(request), _End()
        _task_stack.push(self.task)
        self.task.request_stack.push(context)
        try:
            self._send(signals.task_prerun, task=self.task, **about)
            end = await self._attempt(context, soft_limit)
            if end.state not in trace.IGNORE_STATES:
                self._hook("after_return", end.state, end.returned, *about.values(), None)
        except Exception as error:
            trace._signal_internal_error(self.task, *about.values(), request, error)
            raise
        finally:
            self._send(signals.task_postrun, task=self.task, **about, retval=end.returned, state=end.state)
            _task_stack.pop()
            self.task.request_stack.pop()
        return (1, end.failure, None) if end.failure else (0, repr(end.returned), end.seconds)

    async def _attempt(self, context: Context, soft_limit: float | None) -> _End:
        started = monotonic()
        try:
            if "before_start" in self._hooks:
                self.task.before_start(context.id, context.args, context.kwargs)
            returned = await _within(soft_limit, self.task.run_settled(*context.args, **context.kwargs))
        except Exception as error:  # noqa: BLE001 - whatever a task raises is what it came to
            if self._reports:
                self._reports.failed(self.task)
            return self._failed(context, error)
        seconds = monotonic() - started
        self._hook("on_success", returned, context.id, context.args, context.kwargs)
        self._send(signals.task_success, result=returned, runtime=seconds)
        return _End(states.SUCCESS, returned, None, seconds)

    def _failed(self, context: Context, error: Exception) -> _End:
        try:
            match error:
                case Reject():
                    TraceInfo(states.REJECTED, error).handle_reject(self.task, context)
                    return _End(states.REJECTED, error, ExceptionInfo(internal=True))
                case Ignore():
                    TraceInfo(states.IGNORED, error).handle_ignore(self.task, context)
                    return _End(states.IGNORED, error, ExceptionInfo(internal=True))
            state = states.RETRY if isinstance(error, Retry) else states.FAILURE
            info = TraceInfo(state, error)
            return _End(state, error, info.handle_error_state(self.task, context, call_errbacks=False))
        finally:
            traceback_clear(error)  # its frames hold what the task had in hand

    def _hook(self, name: str, *args: object) -> None:
        """What a task's own hook raises comes too late to change what the task came to."""
        if name not in self._hooks:
            return
        try:
            getattr(self.task, name)(*args)
        except Exception:  # noqa: BLE001 - the same
            trace.logger.exception("Task handler %s raised", name)

    def _send(self, signal: Any, **about: object) -> None:
        if signal.receivers:
            signal.send(sender=self.task, **about)


def _context(request: dict[str, Any]) -> Context:
    """What the task sees as `self.request`. The sender's own headers are found here, which is cheaper than there."""
    headers = request.get("headers") or {name: request[name] for name in request.keys() - CELERYS_HEADERS}
    return Context(request, headers=headers, called_directly=False, is_eager=False)


async def _within(limit: float | None, body: Coroutine[Any, Any, Any]) -> Any:
    if limit is None:
        return await body
    try:
        async with asyncio.timeout(limit) as clock:
            return await body
    except TimeoutError:
        if clock.expired():
            raise SoftTimeLimitExceeded(limit) from None
        raise

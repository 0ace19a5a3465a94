"""Sentry's view of a task. sentry-sdk wraps Celery's own tracer, which the engine does not use; this does the same.

A scope for each task, the trace of whoever sent it continued, a transaction with the figures of
https://docs.sentry.io/product/insights/backend/queue-monitoring/ and the exception where there is one. No arguments.
"""

import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Self

import sentry_sdk
from sentry_sdk.consts import OP, SPANDATA
from sentry_sdk.integrations.celery import CeleryIntegration, _capture_exception, _make_event_processor
from sentry_sdk.tracing import TransactionSource
from sentry_sdk.tracing_utils import has_tracing_enabled

from tasks.call import ProviderCall

ORIGIN = CeleryIntegration.origin
_ENQUEUED = "sentry-task-enqueued-time"  # seconds since the epoch, set by a sender with sentry-sdk


class Reports:
    """Scopes, transactions and exceptions of tasks."""

    def __init__(self, *, traces: bool) -> None:
        self._traces = traces

    @classmethod
    def of_this_process(cls) -> Self | None:
        """None where nothing is reported: then it costs nothing."""
        client = sentry_sdk.get_client()
        if client.get_integration(CeleryIntegration) is None:
            return None
        return cls(traces=has_tracing_enabled(client.options))

    @contextmanager
    def of_task(self, task: Any, task_id: str, request: Mapping[str, Any]) -> Iterator[None]:
        """Everything reported inside belongs to this task."""
        with sentry_sdk.isolation_scope() as scope:
            scope.clear_breadcrumbs()
            scope.add_event_processor(_make_event_processor(task, task_id, (), {}, None))
            if not self._traces:
                yield
                return
            with self._transaction(task, request), self._span(task, task_id, request):
                yield

    def failed(self, task: Any) -> None:
        """Report the exception being handled, unless it is Celery's way of saying something else."""
        _capture_exception(task, sys.exc_info())

    def _transaction(self, task: Any, request: Mapping[str, Any]) -> Any:
        headers = {**request, **(request.get("headers") or {})}
        transaction = sentry_sdk.continue_trace(
            {name: headers[name] for name in ("sentry-trace", "baggage") if isinstance(headers.get(name), str)},
            op=OP.QUEUE_TASK_CELERY,
            name=task.name,
            source=TransactionSource.TASK,
            origin=ORIGIN,
        )
        transaction.set_status("ok")
        return sentry_sdk.start_transaction(transaction, custom_sampling_context={"celery_job": {"task": task.name}})

    @contextmanager
    def _span(self, task: Any, task_id: str, request: Mapping[str, Any]) -> Iterator[None]:
        with sentry_sdk.start_span(op=OP.QUEUE_PROCESS, name=task.name, origin=ORIGIN) as span:
            span.set_data(SPANDATA.MESSAGING_MESSAGE_ID, task_id)
            span.set_data(SPANDATA.MESSAGING_DESTINATION_NAME, request["delivery_info"]["routing_key"])
            span.set_data(SPANDATA.MESSAGING_MESSAGE_RETRY_COUNT, request.get("retries", 0))
            span.set_data(SPANDATA.MESSAGING_SYSTEM, task.app.connection_for_read().transport.driver_type)
            told = {**request, **(request.get("headers") or {})}.get(_ENQUEUED)
            enqueued = _due(next(iter(request["args"]), None)) or told
            if isinstance(enqueued, int | float):
                span.set_data(SPANDATA.MESSAGING_MESSAGE_RECEIVE_LATENCY, (time.time() - enqueued) * 1000)
            yield


def _due(call: object) -> float | None:
    """Since when *call* could have been taken: from its plan, or from the end of the delay after its last attempt."""
    if not isinstance(call, ProviderCall):
        return None
    if call.attempts:
        last = call.attempts[-1]
        return last.at.timestamp() + (last.delay or 0)
    return call.planned_at.timestamp() if call.planned_at else None

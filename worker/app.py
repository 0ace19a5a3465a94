"""The composition root of the Celery worker: settings in, a wired application out."""

import signal
from contextlib import ExitStack
from typing import Any, Final

from celery import Celery, signals

from tasks import revocations
from worker import process
from worker.broker import connection, topology
from worker.calls.prefetch import Prefetch
from worker.calls.runtime import WorkerRuntime
from worker.engine.loop import EventLoop
from worker.engine.queues import pausing
from worker.engine.steps import RuntimeStep
from worker.engine.task import AsyncTask
from worker.observability import health, metrics, monitoring
from worker.settings import Settings


def create_app(settings: Settings) -> Celery:
    """The Celery application of *settings*: its tasks, its queues, and the runtime that opens with the worker."""
    connection.prepare()
    signals.setup_logging.connect(_logging_is_ours)
    app = Celery("revoker", set_as_current=False)
    app.conf.update(_configuration(settings))
    host = _RuntimeHost(settings)
    app.runtime_host = host
    app.steps["worker"].add(RuntimeStep)
    app.amqp.Consumer = pausing(Prefetch(settings.worker, settings.providers).of_queue, lambda: host.runtime.holds)
    signals.worker_ready.connect(process.mark_ready)
    revocations.register(app, AsyncTask, lambda: host.runtime)
    return app


def _logging_is_ours(**_: object) -> None:
    """A listener of `setup_logging` keeps Celery from configuring the root logger over ours."""


_ALWAYS: Final[dict[str, Any]] = {
    "broker_connection_retry_on_startup": True,
    "broker_connection_max_retries": None,  # the default gives up after about 46 minutes
    "broker_channel_error_retry": True,
    "broker_heartbeat": connection.HEARTBEAT,
    "broker_connection_timeout": connection.CONNECT_TIMEOUT,
    "task_default_queue": topology.DOOR.name,
    "task_default_exchange": topology.CALLS.name,
    "task_default_routing_key": topology.DOOR.routing_key,
    "task_create_missing_queues": False,
    "task_serializer": "json",
    "accept_content": ["json"],
    "task_ignore_result": True,
    "task_acks_late": True,
    # The default acknowledges a message whose task raised: lost, despite acks_late.
    "task_acks_on_failure_or_timeout": False,
    "task_reject_on_worker_lost": True,
    # By name: imported before sentry-sdk is set up, they would bind the tracer that reports no failing task.
    "worker_pool": "worker.engine.pool:AsyncioPool",
    "worker_consumer": "worker.engine.consumer:EngineConsumer",
    "worker_autoscaler": "worker.engine.pool:NoAutoscaler",
    "worker_prefetch_multiplier": 1,  # each queue has its own limit
    "worker_send_task_events": False,
    "worker_hijack_root_logger": False,
    "worker_redirect_stdouts": False,
    "worker_cancel_long_running_tasks_on_connection_loss": False,  # a call under way is let finish
}


def _configuration(settings: Settings) -> dict[str, Any]:
    url = settings.broker_url.get_secret_value()
    return _ALWAYS | {
        "broker_url": url,
        "broker_use_ssl": connection.encryption(url, settings.broker_tls),
        "broker_transport_options": connection.socket_timeouts(url),
        "task_queues": topology.task_queues(settings.providers),
        "worker_enable_remote_control": settings.worker.remote_control,
    }


class _RuntimeHost:
    """The loop and what runs on it: begun before the worker's pool starts, ended after it has stopped."""

    def __init__(self, settings: Settings) -> None:
        self.loop = EventLoop()
        self.grace = settings.worker.shutdown_grace
        # Celery sets up a handler of its own for SIGHUP, even an ignored one.
        self.least_prefetch = min(settings.worker.in_flight_routine, settings.worker.in_flight_urgent)
        self.stops = process.stop_signals(signal.SIGINT)
        self.provider_names = list(settings.providers)
        self.runtime = WorkerRuntime(settings)
        self._settings = settings
        self._shown = ExitStack()

    def begin(self) -> None:
        """Show metrics and health, give signs of the loop, and open the runtime."""
        self._shown.enter_context(monitoring.shown(self._settings.monitoring, metrics.WORKER))
        metrics.BREAKER_STATE.follow(lambda: {(name,): self.runtime.holds.state(name) for name in self.provider_names})
        metrics.EXPOSURE_OBJECTIVE.follow(lambda: {(): self._settings.exposure.objective})
        self.loop.spawn(health.keep_beating())
        self.loop.run(self.runtime.open())

    def end(self) -> None:
        """Close the runtime, stop the loop, and show nothing more."""
        self.loop.run(self.runtime.close())
        self.loop.stop()
        self._shown.close()

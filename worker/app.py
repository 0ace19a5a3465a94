"""The composition root of the Celery worker: settings in, a wired application out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from celery import Celery, bootsteps, signals

from tasks import revocations
from worker import broker, embedded, topology
from worker.bridge import BridgedTask, LoopThread
from worker.observability import logs, sentry
from worker.runtime import WorkerRuntime

if TYPE_CHECKING:
    from worker.settings import Settings


def create_app(settings: Settings) -> Celery:
    """The Celery application of *settings*: its tasks, its queues, and the runtime that opens with the worker."""
    embedded.register()
    logs.configure(settings.log_level)
    sentry.configure(settings)
    signals.setup_logging.connect(_logging_is_ours)
    app = Celery("revoker", set_as_current=False)
    app.conf.update(_configuration(settings))
    host = _RuntimeHost(settings)
    app.runtime_host = host
    app.steps["worker"].add(RuntimeStep)
    signals.worker_shutdown.connect(host.stop, weak=False)
    revocations.register(app, _task_base(host.loop), lambda: host.runtime)
    return app


def _logging_is_ours(**_: object) -> None:
    """A listener of `setup_logging` keeps Celery from configuring the root logger over ours."""


def _configuration(settings: Settings) -> dict[str, Any]:
    url = settings.broker_url.get_secret_value()
    return {
        "broker_url": url,
        "broker_use_ssl": broker.tls(url),
        "broker_transport_options": broker.patience(url),
        "broker_connection_retry_on_startup": True,
        "broker_connection_max_retries": None,  # the default gives up after about 46 minutes
        "broker_channel_error_retry": True,
        "broker_heartbeat": broker.HEARTBEAT,
        "broker_connection_timeout": broker.CONNECT_TIMEOUT,
        "task_queues": topology.task_queues(settings.providers),
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
        "worker_pool": "threads",
        "worker_concurrency": settings.worker.concurrency,
        "worker_prefetch_multiplier": 2,
        # By name: imported before sentry-sdk is set up, it would bind the tracer that reports no failing task.
        "worker_consumer": "worker.task_consumer:TaskConsumer",
        "worker_enable_remote_control": False,  # whoever reaches the broker could shut workers down
        "worker_send_task_events": False,
        "worker_hijack_root_logger": False,
        "worker_redirect_stdouts": False,
        "worker_cancel_long_running_tasks_on_connection_loss": False,  # a call under way is let finish
    }


class _RuntimeHost:
    """The loop and what runs on it, from before the worker's pool starts to after it has stopped."""

    def __init__(self, settings: Settings) -> None:
        self.loop = LoopThread()
        self.provider_names = list(settings.providers)
        self.runtime = WorkerRuntime(settings)

    def start(self) -> None:
        self.loop.start()
        self.loop.run(self.runtime.open())

    def stop(self, **_: object) -> None:
        self.loop.run(self.runtime.close())
        self.loop.stop()


class RuntimeStep(bootsteps.StartStopStep):
    """Opens the runtime before the consumer starts, which is always the last step.

    It is not closed here: Celery leaves the order of steps that do not name each other to chance, and the pool's last
    task still needs it.
    """

    requires = ("celery.worker.components:Hub",)

    def start(self, worker: Any) -> None:  # noqa: ANN401 - celery ships no types
        """Open sessions and connections."""
        worker.app.runtime_host.start()


def _task_base(loop: LoopThread) -> type[BridgedTask]:
    return type("RevocationTask", (BridgedTask,), {"abstract": True, "loop": loop})

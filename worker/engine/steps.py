"""Our steps in Celery's start and stop of a worker and of its consumer."""

import signal
from collections.abc import Sequence
from typing import Any

import click
from celery import bootsteps
from celery.apps.worker import _shutdown_handler
from celery.concurrency import get_implementation

from worker.broker import topology
from worker.observability.health import OF_PROCESS


class RuntimeStep(bootsteps.StartStopStep):
    """Opens the runtime before the consumer starts, which is always the last step.

    The consumer closes it: Celery leaves the order of steps that do not name each other to chance, and the pool's last
    task still needs it.
    """

    requires = ("celery.worker.components:Hub",)

    def __init__(self, worker: Any, **options: Any) -> None:
        """Raises click.UsageError for a pool whose tracer would take a coroutine for a result: events would be lost."""
        super().__init__(worker, **options)
        if worker.pool_cls is not get_implementation(worker.app.conf.worker_pool):
            raise click.UsageError("--pool: tasks are coroutines here, which only the worker's own pool awaits")

    def start(self, worker: Any) -> None:
        """Open sessions and connections. From now on Ctrl-C and SIGHUP are what SIGTERM is.

        Celery would end with exit code 1, or start its command anew, which cannot be done with ours.
        """
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        for number in worker.app.runtime_host.stops:
            _shutdown_handler(worker, sig=number.name)
        worker.app.runtime_host.begin()

    def close(self, worker: Any) -> None:
        """Let no call wait any more for a permit; called before anything is stopped."""
        host = worker.app.runtime_host
        host.loop.asyncio.call_soon_threadsafe(host.runtime.cancel_pending)


class TopologyStep(bootsteps.StartStopStep):
    """Declares every exchange and queue whenever the worker (re)connects."""

    requires = ("celery.worker.consumer.connection:Connection",)

    def start(self, consumer: Any) -> None:
        """Declare them."""
        host = consumer.app.runtime_host
        host.loop.run_in_thread(_declare, consumer.app, host.provider_names)
        OF_PROCESS.topology_seen()
        consumer.availability.found()


def _declare(app: Any, providers: Sequence[str]) -> None:
    with app.connection_for_write() as connection:  # of its own: declaring leaves channels behind
        topology.declare(connection, providers)

"""Celery's consumer on the project's own topology: quiet between workers, and stopped between two callbacks."""

import asyncio
import logging
import time
import warnings
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final, Protocol

from amqp.exceptions import AMQPError, ConsumerCancelled
from celery.exceptions import CPendingDeprecationWarning
from celery.worker import state
from celery.worker.consumer import Consumer
from celery.worker.state import maybe_shutdown

from tasks.outcome import Reason
from tasks.records import DeadLetter
from worker import broker
from worker.broker.availability import BrokerAvailability, log_cancelled
from worker.broker.messages import unreadable_letter
from worker.broker.publication import PublishError
from worker.engine.loop import EventLoop
from worker.engine.message_check import MessageCheck, TaskFault
from worker.engine.queues import CHECK_INTERVAL, Holds
from worker.engine.stop_signals import StopSignals
from worker.engine.task import PAUSE_BEFORE_REQUEUE, AsyncTask
from worker.observability.health import BEAT_INTERVAL, OF_PROCESS

logger = logging.getLogger(__name__)

MAX_NAMED: Final = 3  # queues that are named of those that are not consumed
PAUSE_AFTER_REFUSAL: Final = 5.0  # seconds: a broker that refuses us must not be asked in a busy loop


class Runtime(Protocol):
    """What the consumer needs of what the tasks run on."""

    holds: Holds

    async def dead_letter_message(self, letter: DeadLetter) -> None:
        """Publish *letter*; returns once the broker confirmed it, else raises `PublishError`."""


class TaskConsumer(Consumer):
    """Consumes our tasks, without the chatter between workers (mingle, gossip; heartbeats only beside task events)."""

    def __init__(self, *args: object, worker_options: Mapping[str, object] | None = None, **kwargs: object) -> None:
        quiet = {"without_mingle": True, "without_gossip": True, "without_heartbeat": not kwargs.get("task_events")}
        self.stop_signals = StopSignals(self.is_busy, self.abandon)
        self._is_stopping = False
        self.availability = BrokerAvailability()
        super().__init__(*args, worker_options={**(worker_options or {}), **quiet}, **kwargs)
        self._loop: EventLoop = self.app.runtime_host.loop
        self._runtime: Runtime = self.app.runtime_host.runtime

    class Blueprint(Consumer.Blueprint):
        """The steps of a consumer that only consumes; the delay queues are declared with the rest of the topology."""

        default_steps = (
            "celery.worker.consumer.connection:Connection",
            "worker.engine.steps:TopologyStep",
            "celery.worker.consumer.heart:Heart",
            "celery.worker.consumer.tasks:Tasks",
            "celery.worker.consumer.control:Control",
            "celery.worker.consumer.consumer:Evloop",
        )

    def stop(self) -> None:
        """Consume no more, which the broker is told, and asked to confirm."""
        self._is_stopping = True
        OF_PROCESS.not_consuming("the worker stops")
        try:
            super().stop()
        finally:
            self._is_stopping = False
            if not self.is_busy():
                self.stop_signals.run()

    def is_busy(self) -> bool:
        """Whether signals can wait: something else ends soon, and looks at them then.

        A cold stop ends soon by itself: Celery raises at a further signal, which would leave half a frame. The loop
        also runs without the hub: while the pool is stopped, or the broker is away.
        """
        return self._is_stopping or state.should_terminate is not None or self._loop.asyncio.is_running()

    def abandon(self) -> None:
        """Cut the connection, in which there may be half a frame: the broker delivers everything again."""
        if self.connection and self.connection.connected:
            broker.cut(self.connection)

    def register_with_event_loop(self, hub: Any) -> None:
        """Hear of signals, and let holds stop and start consumers; called again after every reconnect."""
        super().register_with_event_loop(hub)
        self.stop_signals.adopt()
        # The event loop watches it, because it also runs while the hub is not stepped.
        self._loop.asyncio.add_reader(self.stop_signals.descriptor, self._handle_signals, hub)
        adjust = self.task_consumer.adjust
        hub.call_repeatedly(CHECK_INTERVAL, adjust)
        hub.call_repeatedly(CHECK_INTERVAL, self.availability.look)
        hub.call_repeatedly(BEAT_INTERVAL, self._tell_health)
        hub.call_soon(self._tell_health)
        self._runtime.holds.on_opened = lambda: hub.call_soon(adjust)

    def _handle_signals(self, hub: Any) -> None:
        self.stop_signals.run()
        hub.call_soon(lambda: None)  # the hub's step for it looks at what there is to do

    def shutdown(self) -> None:
        """The last thing a worker does, the pool's last task behind it, on a warm stop and a cold one."""
        if self.hub:
            self.hub.close()  # again: the pool may have been stopped after it, and the last acks are waiting there
        if self.connection:
            if self.task_consumer:
                broker.give_back(self.task_consumer.channel)
            broker.let_acks_arrive(self.connection)
        super().shutdown()
        self.app.runtime_host.end()

    def ensure_connected(self, conn: Any) -> Any:
        """The connection, once there is one: waits without end for a broker that is away; the calls in flight go on."""
        return self._loop.run_in_thread(self._wait_for_connection, conn)

    def _wait_for_connection(self, conn: Any) -> Any:
        while (connected := _connected(conn, self._log_away)) is None:
            _wait_before_asking_again()
        self.first_connection_attempt = False
        return connected

    def on_connection_error_after_connected(self, exc: Exception) -> None:
        """Log it once. A broker that cancels a consumer is not away, but its queue may be: it is declared anew."""
        if isinstance(exc, ConsumerCancelled):
            OF_PROCESS.not_consuming("the broker cancelled a consumer")
            log_cancelled(exc)
        else:
            self._log_away(exc)
        with warnings.catch_warnings(action="ignore", category=CPendingDeprecationWarning):  # of a setting that is set
            super().on_connection_error_after_connected(exc)

    def _log_away(self, error: Exception, _interval: float = 0) -> None:
        OF_PROCESS.not_consuming(f"the broker is away or refuses us ({type(error).__name__})")
        self.availability.lost(error)

    def _tell_health(self) -> None:
        """Whether each queue is consumed that is not held; with few calls in hand more would be taken if there were."""
        if idle := self.task_consumer.not_consumed():
            OF_PROCESS.not_consuming(f"not consumed: {', '.join(idle[:MAX_NAMED])}")
            return
        OF_PROCESS.consuming()
        if len(state.reserved_requests) < self.app.runtime_host.least_prefetch:
            OF_PROCESS.active()

    def create_task_handler(self, *args: object) -> Any:
        """Returns what handles a message: our check first, and only then Celery."""
        admit = super().create_task_handler(*args)
        tasks = self.app.tasks.items()
        check = MessageCheck({name: task.argument_type for name, task in tasks if isinstance(task, AsyncTask)})

        def handle(message: Any) -> None:
            fault = check.fault_of(message)
            OF_PROCESS.active()
            if fault is None:
                admit(message)
            else:
                self._give_up(message, fault)

        return handle

    def on_decode_error(self, message: Any, exc: Exception) -> None:  # noqa: ARG002 - celery's signature
        """Give it up; Celery would acknowledge it, and it would be lost."""
        self._give_up(message, TaskFault(Reason.TASK_NOT_JSON))

    def _give_up(self, message: Any, fault: TaskFault) -> None:
        letter = unreadable_letter(message, fault.reason, fault.detail)
        logger.error("task.refused", extra={"reason": letter.reason, "dead_letter_id": letter.dead_letter_id})
        message.body = b""  # it may be large, and waits for the confirm
        self._loop.spawn(self._dead_letter(message, letter))

    async def _dead_letter(self, message: Any, letter: DeadLetter) -> None:
        """Publish the dead letter, and acknowledge the message once it is confirmed."""
        settle = message.ack_log_error
        try:
            await self._runtime.dead_letter_message(letter)
        except PublishError as error:
            logger.warning("task.not_settled", extra={"dead_letter_id": letter.dead_letter_id, "error": str(error)})
            await asyncio.sleep(PAUSE_BEFORE_REQUEUE)
            settle = partial(message.reject_log_error, requeue=True)
        self.call_soon_ack(settle, logger, self.connection_errors)


def _connected(conn: Any, log: Callable[..., None]) -> Any | None:
    """The connection; None where the broker answers and refuses: a wrong password, a virtual host that is gone."""
    try:
        return conn.ensure_connection(log, max_retries=None, callback=maybe_shutdown, interval_max=10)
    except AMQPError as error:  # what kombu does not take for a broker that is away
        log(error)
        return None


def _wait_before_asking_again() -> None:
    until = time.monotonic() + PAUSE_AFTER_REFUSAL
    while time.monotonic() < until:
        maybe_shutdown()
        time.sleep(0.1)

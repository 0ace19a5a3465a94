"""Celery's consumer on the event loop: kombu's hub is stepped whenever it has something to do, and never waits."""

import asyncio
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from contextvars import Context
from functools import partial
from typing import Any, Final, Self

from celery import bootsteps
from celery.worker import loops, state

from worker.broker.pyamqp import one_write
from worker.engine.celery_consumer import TaskConsumer

logger = logging.getLogger(__name__)

DRAIN_TIMEOUT: Final = 0.1  # seconds
MAX_HUB_STEPS: Final = 32  # before the tasks get their turn


class EngineConsumer(TaskConsumer):
    """Its `loop` takes the place of `celery.worker.loops.asynloop`."""

    def __init__(self, *args: object, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._acks = Acks(self._loop.asyncio, self._amqp)

    def loop(self, _consumer: object, *args: Any) -> None:
        """Consume until the worker stops or the connection breaks; returns or raises as Celery's own loop does."""
        self._loop.run(self._consume(*args))

    def call_soon_ack(self, p: Any, *args: object, **kwargs: object) -> None:
        """Acknowledge at the end of this turn of the loop, which is the consumer's own, together with the others."""
        self._acks.add(partial(p, *args, **kwargs))

    def shutdown(self) -> None:
        """The last acknowledgements first."""
        self._acks.flush()
        super().shutdown()

    def _amqp(self) -> Any | None:
        return self.connection.connection if self.connection and self.connection.connected else None

    async def _consume(self, *args: Any) -> None:
        """The body of `asynloop`, step by step; a test fails when that changes."""
        connection, tasks, blueprint, hub, qos, _heartbeat, _clock, rate = args
        broken = self._begin(connection, tasks, hub, rate)
        try:
            with _Pulse(hub).beating() as pulse:
                while blueprint.state == bootsteps.RUN and self.connection:
                    state.maybe_shutdown()
                    _raise_first(broken)
                    if qos.prev != qos.value:
                        qos.update()
                    await pulse.beat()
        except Exception:
            _reset(hub)
            loops._cancel_timer_entries(hub.timer, self.timer_entries_registered)
            raise

    def _begin(self, connection: Any, tasks: Any, hub: Any, rate: float) -> list[list[Exception | None]]:
        """Start heartbeats and consumers; returns where the heartbeats' errors will be found."""
        before = self.timer_entries_before_start
        before = loops._timer_entries(hub.timer) if before is None else before
        beating = [connection, *([self.event_dispatcher.connection] if self.event_dispatcher else [])]
        broken = [loops._enable_amqheartbeats(hub.timer, each, rate=rate) for each in beating]
        tasks.on_message = self.create_task_handler()
        self.controller.register_with_event_loop(hub)
        self.register_with_event_loop(hub)
        self.timer_entries_registered = loops._timer_entries(hub.timer) - before
        tasks.consume()
        self.on_ready()
        if connection.transport.driver_type == "amqp":
            hub.call_soon(_drain, connection)
        hub.propagate_errors = connection.connection_errors
        return broken


class _Pulse:
    """Steps a hub when its descriptors are ready, its timers are due, or `call_soon` was used."""

    def __init__(self, hub: Any) -> None:
        self._hub = hub
        self._steps = self._new_steps()
        self._poll = hub.poller.poll
        self._call_soon = hub.call_soon
        self._due = asyncio.Event()
        self._hub_timeout = 0.0  # seconds that the hub would have waited

    async def beat(self) -> None:
        """Let the hub go round, then wait for its next reason to."""
        self._due.clear()
        for _ in range(MAX_HUB_STEPS):
            self._step()
            if not self._hub._ready:
                break
        else:
            self._due.set()
        timer = asyncio.get_running_loop().call_later(self._hub_timeout, self._due.set)
        await self._due.wait()
        timer.cancel()

    @contextmanager
    def beating(self) -> Iterator[Self]:
        """Between these, the hub never waits by itself."""
        loop, descriptor = asyncio.get_running_loop(), self._hub.poller._epoll.fileno()
        loop.add_reader(descriptor, self._due.set)
        self._hub.poller.poll, self._hub.call_soon = self._peek, self._soon
        try:
            yield self
        finally:
            del self._hub.poller.poll, self._hub.call_soon
            loop.remove_reader(descriptor)

    def _step(self) -> None:
        try:
            next(self._steps)
        except StopIteration:
            self._steps = self._new_steps()

    def _new_steps(self) -> Iterator[None]:
        # A hub that watches no descriptor, as with the embedded broker, does not poll but sleep.
        steps: Iterator[None] = self._hub.create_loop(sleep=self._wait_here)
        return steps

    def _wait_here(self, seconds: float) -> None:
        self._hub_timeout = seconds

    def _peek(self, timeout: float) -> Any:
        self._hub_timeout = timeout
        return () if self._hub._ready else self._poll(0)  # it goes round again at once

    def _soon(self, *args: object) -> Any:
        self._due.set()
        return self._call_soon(*args)


def _drain(connection: Any) -> None:
    """Read what came before the hub watched the socket, as Celery's `_quick_drain` does, which swallows a cancel."""
    with suppress(TimeoutError, BlockingIOError):
        connection.drain_events(timeout=DRAIN_TIMEOUT)


def _raise_first(broken: list[list[Exception | None]]) -> None:
    for (error,) in broken:
        if error is not None:
            raise error


def _reset(hub: Any) -> None:
    try:
        hub.reset()
    except Exception:  # noqa: BLE001 - as in Celery's own
        loops.logger.exception("Error cleaning up after event loop")


class Acks:
    """Sends the acknowledgements of one turn of *loop* in one write: each alone would wake the broker."""

    def __init__(self, loop: asyncio.AbstractEventLoop, connection: Callable[[], Any]) -> None:
        """*connection* gives py-amqp's, which is another one after each reconnect; None where there is none."""
        self._loop, self._connection = loop, connection
        self._waiting: list[Callable[[], object]] = []

    def add(self, settle: Callable[[], object]) -> None:
        """Have *settle*, which acknowledges or rejects a message, called before the loop waits for anything."""
        if not self._waiting:
            self._loop.call_soon(self.flush, context=Context())  # what it says is about several calls
        self._waiting.append(settle)

    def flush(self) -> None:
        """Settle what was gathered. Where that fails the connection is at its end, and the broker delivers again."""
        waiting, self._waiting = self._waiting, []
        if not waiting:
            return
        transport = getattr(self._connection(), "transport", None)
        try:
            with one_write(transport) if transport else nullcontext():
                for settle in waiting:
                    _try(settle)
        except OSError as error:
            logger.warning("acks.not_sent", extra={"count": len(waiting), "error": type(error).__name__})


def _try(settle: Callable[[], object]) -> None:
    """The others must not wait because of this one."""
    try:
        settle()
    except Exception:
        logger.exception("acks.fault")

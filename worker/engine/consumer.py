"""Celery's consumer on the event loop: kombu's hub is stepped whenever it has something to do, and never waits."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, Final, Self

from celery import bootsteps
from celery.worker import loops, state

from worker.engine.acks import Acks
from worker.engine.celery_consumer import TaskConsumer

STEPS_AT_ONCE: Final = 32  # of the hub, before the tasks get their turn


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
            hub.call_soon(loops._quick_drain, connection)
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
        self._patience = 0.0  # seconds the hub would have waited

    async def beat(self) -> None:
        """Let the hub go round, then wait for its next reason to."""
        self._due.clear()
        for _ in range(STEPS_AT_ONCE):
            self._step()
            if not self._hub._ready:
                break
        else:
            self._due.set()
        timer = asyncio.get_running_loop().call_later(self._patience, self._due.set)
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
        self._patience = seconds

    def _peek(self, timeout: float) -> Any:
        self._patience = timeout
        return () if self._hub._ready else self._poll(0)  # it goes round again at once

    def _soon(self, *args: object) -> Any:
        self._due.set()
        return self._call_soon(*args)


def _raise_first(broken: list[list[Exception | None]]) -> None:
    for (error,) in broken:
        if error is not None:
            raise error


def _reset(hub: Any) -> None:
    try:
        hub.reset()
    except Exception:  # noqa: BLE001 - as in Celery's own
        loops.logger.exception("Error cleaning up after event loop")

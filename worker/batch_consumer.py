"""The consuming loop that intake and recorder share: take a batch, make it safe, acknowledge it."""

from __future__ import annotations

import logging
import signal
import threading
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

from kombu import Consumer

from worker import broker, topology
from worker.publisher import BROKER_ERRORS

if TYPE_CHECKING:
    from kombu import Connection, Queue
    from kombu.message import Message

logger = logging.getLogger(__name__)

BATCH: Final = 100  # messages handled together
PREFETCH: Final = 4 * BATCH
LONGEST_PAUSE: Final = 10.0  # seconds between two tries at something that fails

Handle = Callable[[Sequence["Message"]], Sequence["Message"]]


class BatchConsumer:
    """Consumes *queues* until *stop* is set, whatever happens to the broker.

    *handle* makes a batch safe and returns the messages that are not: they stay unacknowledged and are handed to it
    again after a pause, so nothing is lost while what it writes to is away, and no delivery count is spent.
    """

    def __init__(
        self, url: str, queues: Sequence[Queue], providers: Sequence[str], handle: Handle, stop: threading.Event
    ) -> None:
        self._url, self._queues, self._providers = url, queues, providers
        self._handle = handle
        self._stop = stop
        self._inbox: list[Message] = []
        self._lost_since: float | None = None

    def run(self) -> None:
        """Consume until stopped. A broker that is away is said once, and waited for."""
        pause = _Pause(self._stop)
        while not self._stop.is_set():
            try:
                with broker.connect(self._url) as connection:
                    self._consume(connection, pause)
            except BROKER_ERRORS as error:
                self._say_lost(error)
                self._inbox.clear()  # the broker delivers again what was not acknowledged
                pause.wait()

    def _consume(self, connection: Connection, pause: _Pause) -> None:
        connection.connect()
        topology.declare(connection, self._providers)
        consumer = Consumer(
            connection.channel(),
            self._queues,
            on_message=self._inbox.append,
            on_decode_error=lambda message, _: self._inbox.append(message),
            prefetch_count=PREFETCH,
            auto_declare=False,
        )
        with consumer:
            self._say_consuming()
            pause.reset()
            while not self._stop.is_set():
                self._fill(connection)
                self._settle(pause)
            broker.let_acks_arrive(connection)

    def _fill(self, connection: Connection) -> None:
        """Wait up to a second for a first message, then take what is there already: nobody waits for company."""
        waiting = 0.0 if self._inbox else 1.0
        while len(self._inbox) < BATCH and _drain(connection, waiting):
            waiting = 0.0
        if connection.supports_heartbeats:
            connection.heartbeat_check()

    def _settle(self, pause: _Pause) -> None:
        batch, self._inbox[:] = self._inbox[:BATCH], self._inbox[BATCH:]
        if not batch:
            return
        unsafe = {id(message) for message in self._handle(batch)}
        for message in batch:
            if id(message) not in unsafe:
                message.ack()
        self._inbox[:0] = [message for message in batch if id(message) in unsafe]
        if unsafe:
            pause.wait()
        else:
            pause.reset()

    def _say_lost(self, error: Exception) -> None:
        if self._lost_since is None:
            self._lost_since = time.monotonic()
            logger.warning("broker.unreachable", extra={"error": type(error).__name__})

    def _say_consuming(self) -> None:
        names = [queue.name for queue in self._queues]
        if self._lost_since is None:
            logger.info("consumer.ready", extra={"queues": names})
        else:
            away = round(time.monotonic() - self._lost_since, 1)
            logger.warning("broker.back", extra={"queues": names, "away_seconds": away})
            self._lost_since = None


def body_of(message: Message) -> bytes:
    """The bytes that arrived."""
    body: Any = message.body
    return body if isinstance(body, bytes) else str(body).encode()


def stop_on_signals() -> threading.Event:
    """An event that SIGTERM and SIGINT set: the batch at hand is finished first."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    return stop


class _Pause:
    """Pauses that grow from half a second to ten, and end at once when the process is to stop."""

    def __init__(self, stop: threading.Event) -> None:
        self._stop = stop
        self.reset()

    def reset(self) -> None:
        self._seconds = 0.5

    def wait(self) -> None:
        self._stop.wait(self._seconds)
        self._seconds = min(self._seconds * 2, LONGEST_PAUSE)


def _drain(connection: Connection, seconds: float) -> bool:
    """Take in what arrives within *seconds*; whether anything did."""
    try:
        connection.drain_events(timeout=seconds)
    except TimeoutError:
        return False
    return True

"""A queue and its batches: begun, completed and acknowledged, and begun again where something is not safe."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from kombu import Consumer, Queue

from worker.broker import pyamqp

if TYPE_CHECKING:
    from kombu.message import Message

BATCH_SIZE: Final = 100  # messages
IDLE_TIMEOUT: Final = 1.0  # seconds to wait for a first message, until the connection is looked after
MIN_BATCH_SIZE: Final = 20  # messages that a batch has room for, however long each takes
MIN_BACKOFF, MAX_BACKOFF = 0.5, 10.0  # seconds between two tries at something that fails
PREFETCH: Final = 4 * BATCH_SIZE  # of each queue

Handle = Callable[[Sequence["Message"]], Sequence["Message"]]
"""Makes a batch safe; returns the messages that are not."""
Unsafe = Callable[[], Sequence["Message"]]
Begin = Callable[[Sequence["Message"]], Unsafe]
"""Does what makes a batch safe; returns a function that waits until it is, and returns the messages that are not."""


def at_once(handle: Handle) -> Begin:
    """*handle*, which leaves nothing to wait for."""
    return lambda batch: partial(tuple, handle(batch))


class Backoff:
    """Pauses that double from MIN_BACKOFF to MAX_BACKOFF."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Pause no more; the next pause is a short one."""
        self._seconds, self._until = MIN_BACKOFF, 0.0

    def begin(self) -> None:
        """Begin a pause."""
        self._until = time.monotonic() + self._seconds
        self._seconds = min(self._seconds * 2, MAX_BACKOFF)

    @property
    def left(self) -> float:
        """Seconds."""
        return max(0.0, self._until - time.monotonic())


class QueueBatch:
    """A queue, what came from it and is not settled, and the backoff after a batch that could not be made safe."""

    def __init__(self, queue: Queue, begin: Begin, batch_seconds: float) -> None:
        self.queue = queue
        self.inbox: list[Message] = []
        self.size = 0  # bytes in the inbox, and in the batches that are begun
        self.is_failing = False  # from the first message that could not be made safe until none of them is left
        self._begin, self._batch_seconds = begin, batch_seconds
        self._room = BATCH_SIZE
        self._begun: deque[tuple[list[Message], Unsafe]] = deque()
        self._backoff = Backoff()
        self._unsafe: set[int] = set()  # ids of such messages in the inbox

    def consumer(self, channel: Any) -> Consumer:
        """What fills the inbox."""
        return Consumer(
            channel,
            [self.queue],
            on_message=self._receive,
            on_decode_error=lambda message, _: self._receive(message),
            prefetch_count=PREFETCH,
            auto_declare=False,
            tag_prefix=f"{self.queue.name}.",  # by its tag alone the broker says which consumer it has cancelled
        )

    @property
    def is_backing_off(self) -> bool:
        """Whether it pauses, because something was not safe."""
        return self._backoff.left > 0

    @property
    def fill_timeout(self) -> float:
        """Seconds that this queue can wait for messages."""
        return min(self._backoff.left, IDLE_TIMEOUT) if self.inbox else IDLE_TIMEOUT

    @property
    def is_due(self) -> bool:
        """Whether there is a batch to be begun now."""
        return bool(self.inbox) and not self.is_backing_off

    def begin(self) -> None:
        """Begin the next batch."""
        batch, self.inbox[:] = self.inbox[: self._room], self.inbox[self._room :]
        started = time.thread_time()  # on a busy machine small batches would make it the busier
        self._begun.append((batch, self._begin(batch)))
        each = (time.thread_time() - started) / len(batch)
        fits_all = each * BATCH_SIZE <= self._batch_seconds
        self._room = BATCH_SIZE if fits_all else max(MIN_BATCH_SIZE, int(self._batch_seconds / each))

    def complete(self) -> bool:
        """Wait for the first batch that was begun; acknowledge what is safe, and try the rest after the others.

        Returns whether anything was safe.
        """
        batch, wait = self._begun.popleft()
        unsafe = wait()
        kept = {id(message) for message in unsafe}
        pyamqp.acknowledge([message for message in batch if id(message) not in kept])
        self.inbox += unsafe
        self._unsafe = (self._unsafe - {id(message) for message in batch}) | kept
        self.is_failing = bool(unsafe) or (self.is_failing and bool(self._unsafe))
        self._measure()
        if unsafe:
            self._backoff.begin()
        else:
            self._backoff.reset()
        return len(kept) < len(batch)

    def clear(self) -> None:
        """Forget what came. What is begun is waited for, since it may count as done when it is delivered again."""
        while self._begun:
            self._begun.popleft()[1]()
        self.inbox.clear()
        self._unsafe.clear()
        self.size = 0

    def _measure(self) -> None:
        in_hand = [self.inbox, *(batch for batch, _ in self._begun)]
        self.size = sum(len(message.body) for messages in in_hand for message in messages)

    def _receive(self, message: Message) -> None:
        self.inbox.append(message)
        self.size += len(message.body)

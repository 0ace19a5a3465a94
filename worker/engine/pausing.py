"""The valve: the queues of a held provider are not consumed, so that its messages stay where they are.

Returning them to their queue instead would count a delivery each time
(https://www.rabbitmq.com/docs/quorum-queues#poison-message-handling).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any, Final, Protocol

from kombu import Consumer

from worker.broker import topology

PULSE: Final = 0.25  # seconds between two looks at the holds
PULL: Final = 1.0  # seconds a probe has to begin before other messages are taken for one
CANDIDATES: Final = 10  # messages taken for one probe: of another source than the last, if one of them is


class Holds(Protocol):
    """What the valve asks, from the consumer's thread."""

    on_opened: Callable[[], object]  # is called on the event loop, whenever this process opens a hold

    def is_paused(self, provider: str) -> bool:
        """Whether no call to *provider* may go."""

    def may_probe(self, provider: str) -> bool:
        """Whether one call to it may go as the probe."""


def valved(base: type[Consumer], holds: Callable[[], Holds]) -> type[Consumer]:
    """A *base* consumer that leaves the queues of held providers alone, however often it is made to begin anew."""
    return type("ValvedConsumer", (Valve, base), {"holds": staticmethod(holds)})


class Valve(Consumer):
    """To be used in the thread of Celery's consumer; `adjust` is to be called every PULSE."""

    holds: Callable[[], Holds]

    def __init__(self, *args: Any, **options: Any) -> None:
        self._pulled: dict[str, float] = {}
        self._is_over = False
        super().__init__(*args, **options)

    def consume(self, no_ack: bool | None = None) -> None:  # noqa: FBT001 - kombu's signature
        """Begin to consume what may be consumed, and is not yet."""
        closed = [queue.name for queue in self.queues if not self.consuming_from(queue.name)]
        may_open = [name for name in closed if not self._is_shut(name)]
        self._consume_queues(dict.fromkeys(may_open, self.no_ack if no_ack is None else no_ack))

    def adjust(self) -> None:
        """Stop consuming what is held by now, go on with what is not; of what may be probed, take a few messages."""
        if self._is_over:
            return
        for queue in self.queues:
            if self.consuming_from(queue.name) and self._is_shut(queue.name):
                self._pause(queue.name)
        self.consume()
        for provider in dict.fromkeys(topology.provider_of(queue.name) for queue in self.queues):
            if provider is not None and self.holds().may_probe(provider):
                self._pull(provider)

    def cancel(self) -> None:
        """Consume no more, for good."""
        self._is_over = True
        super().cancel()

    close = cancel

    def _is_shut(self, queue_name: str) -> bool:
        provider = topology.provider_of(queue_name)
        return provider is not None and self.holds().is_paused(provider)

    def _pause(self, queue_name: str) -> None:
        self._active_queue_no_ack.pop(queue_name, None)
        self.channel.basic_cancel(self._active_tags.pop(queue_name))

    def _pull(self, provider: str) -> None:
        now = time.monotonic()
        if now < self._pulled.get(provider, 0.0):
            return
        for message in islice(self._waiting(provider), CANDIDATES):
            self._pulled[provider] = now + PULL
            self._receive_callback(message)

    def _waiting(self, provider: str) -> Iterator[Any]:
        """The messages in the queues of *provider*, each taken as it is asked for."""
        for queue in self.queues:  # urgent lanes come first
            if topology.provider_of(queue.name) == provider:
                while message := self.channel.basic_get(queue.name):
                    yield message

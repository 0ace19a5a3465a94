"""Which queues a worker consumes, and how many messages of each it has at most.

The queues of a held provider are not consumed, so that its messages stay where they are. To return them instead would
count a delivery each time, up to RabbitMQ 4.2 (https://www.rabbitmq.com/docs/quorum-queues#poison-message-handling).
"""

import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any, Final, Protocol

from kombu import Consumer

from worker.broker import topology

CHECK_INTERVAL: Final = 0.25  # seconds between two looks at the holds
PROBE_INTERVAL: Final = 1.0  # seconds that a probe has to begin, before other messages are taken for one
PROBES_TIME: Final = 0.05  # seconds of one look after which no more probes are asked for: each stops the calls a moment
CANDIDATES: Final = 10  # messages taken for one probe: of another source than the last, if one of them is


class Holds(Protocol):
    """What the consumer asks about holds."""

    on_opened: Callable[[], object]  # is called on the event loop, whenever this process opens a hold

    def is_paused(self, provider: str) -> bool:
        """Whether no call to *provider* may go."""

    def may_probe(self, provider: str) -> bool:
        """Whether one call to it may go as the probe."""


class PausingConsumer(Consumer):
    """Leaves the queues of held providers alone, however often it begins anew; call `adjust` every CHECK_INTERVAL."""

    auto_declare = False  # the topology declares, by the right of whoever has it
    in_flight: Callable[[str], int]
    holds: Callable[[], Holds]

    def __init__(self, *args: Any, **options: Any) -> None:
        self._next_probes: dict[str, float] = {}
        self._in_turn = deque[str]()  # providers; the one that is asked next for a probe comes first
        self._of_provider = defaultdict[str, list[str]](list)  # its queues, urgent lanes first
        self._is_over = False
        super().__init__(*args, **options)
        self._group()

    def _group(self) -> None:
        for queue in self.queues:
            if provider := topology.provider_of(queue.name):
                self._of_provider[provider].append(queue.name)
        self._in_turn.extend(self._of_provider)

    def _basic_consume(self, queue: Any, **options: Any) -> Any:
        # A prefetch count holds for the consumers begun after it, each on its own
        # (https://www.rabbitmq.com/docs/consumer-prefetch#independent-consumers).
        self.qos(prefetch_count=self.in_flight(queue.name), apply_global=False)
        return super()._basic_consume(queue, **options)

    def _add_tag(self, queue: Any, consumer_tag: str | None = None) -> Any:
        # By its tag alone the broker says which consumer it has cancelled.
        return super()._add_tag(queue, consumer_tag or f"{queue.name}.{next(self._tags)}")

    def consume(self, no_ack: bool | None = None) -> None:  # noqa: FBT001 - kombu's signature
        """Begin to consume what may be consumed, and is not yet."""
        idle = [queue.name for queue in self.queues if not self.consuming_from(queue.name)]
        wanted = [name for name in idle if not self._is_paused(name)]
        self._consume_queues(dict.fromkeys(wanted, self.no_ack if no_ack is None else no_ack))

    def adjust(self) -> None:
        """Stop consuming what is held by now, go on with what is not; of what may be probed, take a few messages."""
        if self._is_over:
            return
        for queue in self.queues:
            if self.consuming_from(queue.name) and self._is_paused(queue.name):
                self._pause(queue.name)
        self.consume()
        self._fetch_probes()

    def not_consumed(self) -> list[str]:
        """The names of the queues that are neither consumed nor held."""
        names = (queue.name for queue in self.queues)
        return [name for name in names if not self.consuming_from(name) and not self._is_paused(name)]

    def cancel(self) -> None:
        """Consume no more, for good."""
        self._is_over = True
        super().cancel()

    close = cancel

    def _is_paused(self, queue_name: str) -> bool:
        provider = topology.provider_of(queue_name)
        return provider is not None and self.holds().is_paused(provider)

    def _pause(self, queue_name: str) -> None:
        self._active_queue_no_ack.pop(queue_name, None)
        self.channel.basic_cancel(self._active_tags.pop(queue_name))

    def _fetch_probes(self) -> None:
        """Ask for the probes of all that may be probed; those that it is too late for come first at the next look."""
        until, may_probe = time.monotonic() + PROBES_TIME, self.holds().may_probe
        for _ in range(len(self._in_turn)):
            provider = self._in_turn[0]
            self._in_turn.rotate(-1)
            if may_probe(provider):
                self._fetch_probe(provider)
                if time.monotonic() > until:
                    return

    def _fetch_probe(self, provider: str) -> None:
        now = time.monotonic()
        if now < self._next_probes.get(provider, 0.0):
            return
        for message in islice(self._waiting(provider), CANDIDATES):
            self._next_probes[provider] = now + PROBE_INTERVAL
            self._receive_callback(message)

    def _waiting(self, provider: str) -> Iterator[Any]:
        """The messages in the queues of *provider*, each taken as it is asked for."""
        for name in self._of_provider[provider]:
            while message := self.channel.basic_get(name):
                yield message


def pausing(in_flight: Callable[[str], int], holds: Callable[[], Holds]) -> type[PausingConsumer]:
    """The consumer of an application: *in_flight* returns how many messages of a queue it may have, by its name."""
    bound = {"in_flight": staticmethod(in_flight), "holds": staticmethod(holds)}
    return type("PausingConsumer", (PausingConsumer,), bound)

"""How many calls of one provider and lane are in flight: what the broker hands out unacknowledged from its queue.

A limit for each queue is a bulkhead: a provider that hangs fills its own, and no other waits for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kombu import Consumer

from tasks.call import Lane
from worker.broker import topology
from worker.settings import WorkerSettings


def in_flight(settings: WorkerSettings, limited: Mapping[str, int], queue_name: str) -> int:
    """The most messages of a queue that are worked on at once in one process; *limited*: queue → by a rate as well."""
    urgent = queue_name.endswith(f".{Lane.URGENT}") or queue_name == topology.DOOR.name
    most = settings.in_flight_urgent if urgent else settings.in_flight_routine
    return min(most, limited.get(queue_name, most))


def bulkheads(settings: WorkerSettings, limited: Mapping[str, int]) -> type[Consumer]:
    """A kombu consumer that takes only so much from each of its queues.

    A prefetch count holds for the consumers begun after it, each on its own
    (https://www.rabbitmq.com/docs/consumer-prefetch#independent-consumers).
    """

    class Bulkheads(Consumer):
        auto_declare = False  # the topology declares, by the right of whoever has it

        def _basic_consume(self, queue: Any, **options: Any) -> Any:
            self.qos(prefetch_count=in_flight(settings, limited, queue.name), apply_global=False)
            return super()._basic_consume(queue, **options)

    return Bulkheads

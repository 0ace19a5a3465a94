"""A kombu consumer that takes from each queue only as many messages as may be in flight."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kombu import Consumer


def bulkheads(in_flight: Callable[[str], int]) -> type[Consumer]:
    """A kombu consumer that takes only so much from each of its queues; *in_flight*: by the queue's name.

    A prefetch count holds for the consumers begun after it, each on its own
    (https://www.rabbitmq.com/docs/consumer-prefetch#independent-consumers).
    """

    class Bulkheads(Consumer):
        auto_declare = False  # the topology declares, by the right of whoever has it

        def _basic_consume(self, queue: Any, **options: Any) -> Any:
            self.qos(prefetch_count=in_flight(queue.name), apply_global=False)
            return super()._basic_consume(queue, **options)

    return Bulkheads

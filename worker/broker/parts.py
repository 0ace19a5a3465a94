"""The parts of the topology as somebody found them, and as the bindings among them should be."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from worker.broker import topology

# An argument of these decides what becomes of a message that its queue gives up, or has no room for.
OF_DEAD_LETTERS: Final = frozenset(
    {"x-dead-letter-exchange", "x-dead-letter-strategy", "x-delivery-limit", "x-overflow"},
)


class Look(Enum):
    """How a part was found."""

    AS_DECLARED = auto()
    UNSEEN = auto()  # it is there; this user is not told with which arguments
    DIFFERENT = auto()
    MISSING = auto()


@dataclass(frozen=True, slots=True)
class Part:
    """An exchange, a queue or a binding, by its name, and how it was found."""

    kind: str
    name: str
    look: Look
    argument: str = ""  # of one that is different: the name of the first argument that differs,
    difference: str = ""  # and how, in words
    waiting: int = 0  # messages, of a queue
    consumers: int | None = None  # of a queue; None: the broker does not count them
    oldest: float | None = None  # seconds that the oldest message has waited; None: nobody knows


@dataclass(frozen=True, slots=True)
class Binding:
    """Messages of exchange *source* under *routing_key* go to *destination*, a queue or another exchange."""

    source: str
    routing_key: str
    destination: str

    def __str__(self) -> str:
        return f"{self.source} to {self.destination}, key {self.routing_key or 'none'}"


def wanted_bindings(providers: Iterable[str]) -> Iterator[Binding]:
    """Every binding of the topology but those of the delays."""
    yield Binding(topology.EVENTS.name, "#", topology.LANES.name)
    for queue in topology.all_queues(providers):
        if queue.exchange:
            yield Binding(queue.exchange.name, queue.routing_key, queue.name)
        for each in queue.bindings:
            yield Binding(each.exchange.name, each.routing_key or "", queue.name)

"""Which rights each process needs at RabbitMQ; none needs to declare, where an operator has."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from worker.broker import topology
from worker.broker.permissions import DOOR

_SETTLING: Final = (topology.CALLS, topology.DEAD, topology.OUTCOMES, topology.OUTCOMES_URGENT)


@dataclass(frozen=True, slots=True)
class Rights:
    """The exchanges that somebody may write to, and the queues that they may read."""

    write: Collection[str]
    read: Collection[str]


def needed_by(providers: Iterable[str]) -> Mapping[str, Rights]:
    """What each process needs, by its name."""
    settling = [each.name for each in _SETTLING]
    records = [each.name for each in (*topology.RECORDS, topology.UNPROVED_QUEUE)]
    return {
        "intake": Rights(
            [*settling, topology.UNPROVED.name, topology.ROUTINE_EVENTS.name], [each.name for each in topology.INTAKES]
        ),
        "worker": Rights(
            [*settling, topology.EVENTS.name, topology.DELAY_ENTRY],
            [each.name for each in topology.task_queues(providers)],
        ),
        "recorder": Rights([], records),
        DOOR: Rights([topology.EVENTS.name], []),
    }

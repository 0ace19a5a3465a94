"""The only speller of exchanges, queues and routing keys.

```
revocation.events  ─▶ revocation.intake                          CloudEvents from producers
revocation.calls   ─▶ revocation.calls.<provider>.<lane>         provider calls, one queue per provider and lane
                   ─▶ revocation.door                            the Celery tasks session.ended and user.disabled
revocation.outcomes─▶ revocation.outcomes                        what became of each call, for the recorder
revocation.dead    ─▶ revocation.dead                            dead letters, for the recorder; every queue's net
```
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from kombu import Exchange, Queue
from kombu.transport.native_delayed_delivery import (
    bind_queue_to_native_delayed_delivery_exchange,
    calculate_routing_key,
    declare_native_delayed_delivery_exchanges_and_queues,
    level_name,
)

from tasks.call import Lane

if TYPE_CHECKING:
    from kombu import Connection

EVENTS: Final = Exchange("revocation.events", type="topic", durable=True)
CALLS: Final = Exchange("revocation.calls", type="topic", durable=True)
OUTCOMES: Final = Exchange("revocation.outcomes", type="topic", durable=True)
DEAD: Final = Exchange("revocation.dead", type="topic", durable=True)

# The longest delay's exchange: a delayed publish enters here and falls through the delay queues, a bit at a time.
DELAY_ENTRY: Final = level_name(27)

# A message that crashes its process this often is given up to the dead letters. Planned restarts count as well
# (RabbitMQ counts every return of an unacknowledged message), hence not fewer.
DELIVERY_LIMIT: Final = 20
# The recorder's own queues have no net below them, so they must never give a message up; RabbitMQ 4 would drop
# one at its default limit of 20.
NEVER: Final = 1_000_000_000

_NET: Final = {
    "x-queue-type": "quorum",
    "x-delivery-limit": DELIVERY_LIMIT,
    "x-overflow": "reject-publish",  # with quorum, the condition for at-least-once dead-lettering
    "x-dead-letter-exchange": DEAD.name,
    "x-dead-letter-strategy": "at-least-once",
}
_LAST: Final = {"x-queue-type": "quorum", "x-delivery-limit": NEVER, "x-overflow": "reject-publish"}

# Bound to everything: a wrong routing key is a dead letter that somebody sees, not a message that nobody gets.
INTAKE: Final = Queue("revocation.intake", EVENTS, routing_key="#", durable=True, queue_arguments=_NET)
DOOR: Final = Queue("revocation.door", CALLS, routing_key="door", durable=True, queue_arguments=_NET)
OUTCOMES_QUEUE: Final = Queue("revocation.outcomes", OUTCOMES, routing_key="#", durable=True, queue_arguments=_LAST)
DEAD_QUEUE: Final = Queue("revocation.dead", DEAD, routing_key="#", durable=True, queue_arguments=_LAST)


def calls_key(provider: str, lane: Lane) -> str:
    """The routing key of a provider's lane."""
    return f"{provider}.{lane}"


def calls_queue(provider: str, lane: Lane) -> Queue:
    """The queue of a provider's lane: a slow or dead provider fills only its own."""
    key = calls_key(provider, lane)
    return Queue(f"revocation.calls.{key}", CALLS, routing_key=key, durable=True, queue_arguments=_NET)


def provider_of(queue_name: str) -> str | None:
    """The provider whose calls wait in the queue of that name; None for a queue of something else."""
    match queue_name.removeprefix("revocation.calls.").split("."):
        case [provider, _] if queue_name.startswith("revocation.calls."):
            return provider
    return None


def task_queues(providers: Iterable[str]) -> list[Queue]:
    """What the Celery worker consumes: urgent lanes first, then routine ones, then the door."""
    names = sorted(providers)
    return [*(calls_queue(name, lane) for lane in (Lane.URGENT, Lane.ROUTINE) for name in names), DOOR]


def all_queues(providers: Iterable[str]) -> list[Queue]:
    """Every queue of the project."""
    return [INTAKE, *task_queues(providers), OUTCOMES_QUEUE, DEAD_QUEUE]


def declare(connection: Connection, providers: Iterable[str]) -> None:
    """Declare exchanges and queues, and on RabbitMQ the delay queues: all durable, all idempotent.

    Raises the transport's channel error where a queue exists with other arguments.
    """
    names = list(providers)
    with connection.channel() as channel:
        DEAD(channel).declare()
        for queue in all_queues(names):
            queue(channel).declare()
    if delays_by_topology(connection):
        declare_native_delayed_delivery_exchanges_and_queues(connection, "quorum")
        for queue in task_queues(names):
            bind_queue_to_native_delayed_delivery_exchange(connection, queue)


def delays_by_topology(connection: Connection) -> bool:
    """Whether this broker delays by queues of ours (RabbitMQ), and not by itself (embedded)."""
    return bool(connection.transport.driver_type == "amqp")


def delayed_key(routing_key: str, seconds: int) -> str:
    """The routing key that carries a message through the delay queues and back to *routing_key*. Whole seconds ≥ 1."""
    return str(calculate_routing_key(seconds, routing_key))

"""Exchanges, queues and routing keys: no other module spells their names. docs/design.md draws them.

What no binding of `revocation.events.lanes` takes goes to its alternate exchange (https://www.rabbitmq.com/docs/ae): no
event is in two queues, and a wrong routing key is a dead letter that somebody sees, not a message that nobody gets.
What is urgent by its key alone the intake moves to `revocation.events.routine`. The argument stands on an exchange of
our own, behind the producers': an exchange keeps what it was first declared with.
"""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Final

from amqp.exceptions import AccessRefused
from kombu import Connection, Exchange, Queue, binding
from kombu.transport.native_delayed_delivery import (
    CELERY_DELAYED_DELIVERY_EXCHANGE,
    MAX_NUMBER_OF_BITS_TO_USE,
    bind_queue_to_native_delayed_delivery_exchange,
    calculate_routing_key,
    declare_native_delayed_delivery_exchanges_and_queues,
    level_name,
)

from tasks.call import Lane
from tasks.events import EVENT_TYPES

URGENT_EVENTS: Final = tuple(name for name, each in EVENT_TYPES.items() if each.lane is Lane.URGENT)

# kombu declares exchanges and queues durable.
EVENTS: Final = Exchange("revocation.events", "topic")
ROUTINE_EVENTS: Final = Exchange("revocation.events.routine", "fanout")
LANES: Final = Exchange("revocation.events.lanes", "direct", arguments={"alternate-exchange": ROUTINE_EVENTS.name})
CALLS: Final = Exchange("revocation.calls", "topic")
OUTCOMES: Final = Exchange("revocation.outcomes", "topic")
OUTCOMES_URGENT: Final = Exchange("revocation.outcomes.urgent", "topic")
DEAD: Final = Exchange("revocation.dead", "topic")
UNPROVED: Final = Exchange("revocation.dead.unproved", "topic")

# The longest delay's exchange: a delayed publish enters here and falls through the delay queues, a bit at a time.
DELAY_ENTRY: Final = level_name(27)
DELAY_EXIT: Final = CELERY_DELAYED_DELIVERY_EXCHANGE  # where what was delayed comes out, with its own routing key

# After so many deliveries a message, which may crash its process, goes to the dead letters. Up to RabbitMQ 4.2 planned
# restarts count as well (it counts every return of an unacknowledged message), hence not fewer.
DELIVERY_LIMIT: Final = 20
# The recorder's own queues have no dead letters below them, so they must never give a message up; RabbitMQ 4 would drop
# one at its default limit of 20.
NEVER: Final = 1_000_000_000
UNPROVED_BYTES: Final = 4 * 1_073_741_824  # of letters that wait for room; an operator's policy may say less

_QUORUM: Final = {"x-queue-type": "quorum", "x-overflow": "reject-publish"}
_LAST: Final = {**_QUORUM, "x-delivery-limit": NEVER}
_NET: Final = {
    **_QUORUM,  # with reject-publish, the condition for at-least-once dead-lettering
    "x-delivery-limit": DELIVERY_LIMIT,
    "x-dead-letter-exchange": DEAD.name,
    "x-dead-letter-strategy": "at-least-once",
}

INTAKE_URGENT: Final = Queue(
    "revocation.intake.urgent",
    queue_arguments=_NET,
    bindings=[binding(LANES, routing_key=name) for name in URGENT_EVENTS],
)
INTAKE: Final = Queue("revocation.intake", ROUTINE_EVENTS, queue_arguments=_NET)
INTAKES: Final = (INTAKE_URGENT, INTAKE)  # in the order of their consumer
DOOR: Final = Queue("revocation.door", CALLS, "door", queue_arguments=_NET)
OUTCOMES_QUEUE: Final = Queue(OUTCOMES.name, OUTCOMES, "#", queue_arguments=_LAST)
OUTCOMES_URGENT_QUEUE: Final = Queue(OUTCOMES_URGENT.name, OUTCOMES_URGENT, "#", queue_arguments=_LAST)
DEAD_QUEUE: Final = Queue(DEAD.name, DEAD, "#", queue_arguments=_LAST)
# Unproved letters may be as many as anybody cares to send: they wait apart from proved ones.
_BOUNDED: Final = {**_LAST, "x-max-length-bytes": UNPROVED_BYTES}
UNPROVED_QUEUE: Final = Queue(UNPROVED.name, UNPROVED, "#", queue_arguments=_BOUNDED)
# What people wait for first: what was given up, then whether somebody who was disabled is out.
RECORDS: Final = (DEAD_QUEUE, OUTCOMES_URGENT_QUEUE, OUTCOMES_QUEUE)


def calls_key(provider: str, lane: Lane) -> str:
    """The routing key of a provider's lane."""
    return f"{provider}.{lane}"


def calls_queue_name(provider: str, lane: Lane) -> str:
    """The name of the queue of a provider's lane."""
    return f"revocation.calls.{calls_key(provider, lane)}"


def calls_queue(provider: str, lane: Lane) -> Queue:
    """The queue of a provider's lane: a slow or dead provider fills only its own."""
    return Queue(calls_queue_name(provider, lane), CALLS, calls_key(provider, lane), queue_arguments=_NET)


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


def door_queue(door: str, exchange: str, routing_keys: Iterable[str]) -> Queue:
    """What a door is told over the broker: by whoever may publish to *exchange*, which is ours or the broker's own."""
    source = Exchange(exchange, "topic")
    bindings = [binding(source, routing_key=key) for key in routing_keys]
    return Queue(f"revocation.doors.{door}", bindings=bindings, queue_arguments=_LAST)


def all_exchanges() -> list[Exchange]:
    """Every exchange of the project; those of the delays are kombu's, see `delay_levels`."""
    return [EVENTS, LANES, ROUTINE_EVENTS, CALLS, OUTCOMES, OUTCOMES_URGENT, DEAD, UNPROVED]


def delay_levels() -> list[str]:
    """The names that on RabbitMQ each belong to an exchange and a queue of the delays."""
    return [level_name(level) for level in range(MAX_NUMBER_OF_BITS_TO_USE)]


def all_queues(providers: Iterable[str]) -> list[Queue]:
    """Every queue of the project."""
    return [*INTAKES, *task_queues(providers), *RECORDS, UNPROVED_QUEUE]


def declare(connection: Connection, providers: Iterable[str]) -> None:
    """Declare exchanges and queues, and on RabbitMQ the delay queues: all durable, all idempotent.

    For a broker user who may not declare, what the operator declared is enough. Raises the transport's channel error
    where something of it is missing, or where a queue exists with other arguments.
    """
    names = list(providers)
    try:
        _declare(connection, names)
    except AccessRefused:
        _check(connection, names)


def declare_door(connection: Connection, queue: Queue) -> None:
    """Declare and bind the *queue* of a door; for a user who may not, what the operator declared is enough."""
    with suppress(AccessRefused), connection.channel() as channel:
        queue(channel).declare()


def _check(connection: Connection, names: Sequence[str]) -> None:
    """A passive declaration needs no permission (https://www.rabbitmq.com/docs/access-control#authorisation)."""
    with connection.channel() as channel:
        for exchange in (EVENTS, CALLS, OUTCOMES, OUTCOMES_URGENT, DEAD, UNPROVED, Exchange(DELAY_ENTRY, type="topic")):
            exchange(channel).declare(passive=True)
        for queue in all_queues(names):
            queue(channel).queue_declare(passive=True)


def _declare(connection: Connection, names: Sequence[str]) -> None:
    with connection.channel() as channel:
        DEAD(channel).declare()
        for queue in all_queues(names):
            queue(channel).declare()
        EVENTS(channel).declare()
        LANES(channel).bind_to(EVENTS, routing_key="#")
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

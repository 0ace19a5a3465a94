"""The publisher in force, opened; exchanges, queues and permissions, made ready before any process runs."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tasks.doors.settings import Subscribed
from worker import broker
from worker.broker import topology
from worker.broker.permissions import DOOR, OPERATOR, USERS, permissions_of
from worker.broker.publication import BROKER_ERRORS, PublishError
from worker.broker.publisher import Publisher
from worker.operations import RefusedRequest
from worker.settings import Settings
from worker.settings.urls import masked_url


@contextmanager
def open_publisher(settings: Settings) -> Iterator[Publisher]:
    """Open a publisher and declare the queues: what is published before any process runs is kept.

    Raises PublishError where the broker cannot be reached or has other queues of these names.
    """
    connect = broker.connector(settings)
    try:
        with connect() as connection:
            topology.declare(connection, settings.providers)
    except BROKER_ERRORS as error:
        place = masked_url(settings.broker_url.get_secret_value())
        raise PublishError(f"broker {place}: not available ({type(error).__name__})") from None
    with Publisher(connect) as publisher:
        yield publisher


def declare_topology(settings: Settings) -> None:
    """Declare the broker's exchanges and queues, those of doors too. Raises PublishError."""
    with open_publisher(settings):
        pass
    for name, door in settings.doors.items():
        if door.subscribed:
            _declare_for(name, door.subscribed, settings)


def _declare_for(door: str, subscribed: Subscribed, settings: Settings) -> None:
    queue = topology.door_queue(door, subscribed.exchange, subscribed.routing_keys)
    try:
        with broker.connector(settings)() as connection, connection.channel() as channel:
            queue(channel).declare()
    except BROKER_ERRORS as error:
        why = f"{queue.name} cannot be bound to it ({type(error).__name__})"
        hint = "this broker user must be allowed to read from it"
        raise PublishError(f"doors.{door}.exchange: {why}; {hint}") from None


def permissions(settings: Settings) -> dict[str, Any]:
    """What a definitions file of RabbitMQ says of the processes' users, whose names begin like that of the operator.

    Without doors it says nothing of theirs: RabbitMQ refuses permissions of a user that it does not have.

    Raises RefusedRequest where `broker_url` is no operator's.
    """
    url = settings.broker_url.get_secret_value()
    vhost, user = broker.vhost(url), broker.user(url)
    if vhost is None or user is None or not user.endswith(OPERATOR):
        raise RefusedRequest(f"broker_url: names no RabbitMQ user whose name ends in {OPERATOR}")
    prefix = user.removesuffix(OPERATOR)
    users = {name: each for name, each in USERS.items() if settings.doors or name != DOOR}
    return {"permissions": [permissions_of(f"{prefix}{name}", each, vhost) for name, each in users.items()]}

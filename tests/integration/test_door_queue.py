"""A door whose source publishes to the broker: real processes, a real RabbitMQ, and messages as Keycloak sends them."""

import json
import time
import uuid
from pathlib import Path
from typing import Any, Final

import pytest
from keycloak_samples import PUBLISHED, USER
from kombu import Connection
from servers import Daemon, Processes, RabbitNode, wait_until
from system import System

from worker import broker
from worker.broker import topology

ISSUER: Final = "https://login.example.com/realms/acme"
UPDATED: Final = "KK.EVENT.ADMIN.acme.SUCCESS.USER.UPDATE"
DOORS: Final = {"keycloak": {"kind": "keycloak", "exchange": "amq.topic", "realms": ["acme"], "issuer": ISSUER}}
SOURCES: Final = {"keycloak": {"source": ISSUER, "doors": ["keycloak"]}}
QUEUE: Final = "revocation.doors.keycloak"


def says(connection: Connection, body: str, key: str = UPDATED) -> None:
    """Publish *body* as the extension does: with neither persistence nor a confirm."""
    headers = {"__TypeId__": "com.github.aznamier.keycloak.event.provider.EventAdminNotificationMqMsg"}
    connection.Producer().publish(
        body.encode(),
        exchange="amq.topic",
        routing_key=key,
        content_type="application/json",
        content_encoding="UTF-8",
        headers=headers,
        app_id="Keycloak",
        delivery_mode=1,
    )


def disabled(user: str) -> str:
    """An administrator disables *user* now."""
    now = str(int(time.time() * 1000))
    return PUBLISHED.replace(USER, user).replace("1596951200408", now)


def published(url: str) -> list[dict[str, Any]]:
    """The events in the intake's queue, taken from it."""
    with broker.connect(url) as connection:
        channel = connection.channel()
        return [
            json.loads(each.body)
            for each in iter(lambda: channel.basic_get(topology.INTAKE_URGENT.name, no_ack=True), None)
        ]


@pytest.fixture
def system(tmp_path: Path, processes: Processes, rabbitmq_url: str) -> System:
    """An installation on RabbitMQ with such a door; none of its processes runs."""
    return System(tmp_path / "system", rabbitmq_url, processes, sources=SOURCES, doors=DOORS, door={"port": 0})


def opened(system: System, processes: Processes) -> Daemon:
    """The door process."""
    return processes.start("revoker", "door", env=system.shown("door"), name="door")


def test_what_keycloak_publishes_is_acknowledged_once_it_is_safe(
    system: System, processes: Processes, rabbitmq: RabbitNode, rabbitmq_vhost: str
) -> None:
    """Killed in between, it loses nothing; what nobody can read is counted and stands in nobody's way."""
    system.revoker("topology", "declare")
    users = [str(uuid.UUID(int=number)) for number in range(1, 41)]
    with broker.connect(system.broker_url) as connection:
        for user in users[:20]:
            says(connection, disabled(user))
        says(connection, "unparseable")
        says(connection, disabled("another"), "KK.EVENT.ADMIN.acme.SUCCESS.GROUP.UPDATE")
        wait_until(lambda: rabbitmq.queue_counts(rabbitmq_vhost)[QUEUE].total == 21, 30, "what the queue is bound for")
        door = opened(system, processes)
        for user in users[20:]:
            says(connection, disabled(user))
        wait_until(lambda: '"word": "accepted"' in door.output, 30, "some to be safe")
        door.kill9()
        opened(system, processes)
    wait_until(lambda: rabbitmq.queue_counts(rabbitmq_vhost)[QUEUE].total == 0, 30, "every message to be acknowledged")
    events = published(system.broker_url)
    assert {event["data"]["sub_id"]["sub"] for event in events} == set(users)
    assert len({event["id"] for event in events}) == len(users)
    wait_until(lambda: 'door="keycloak",word="malformed"' in system.page("door")[1], 10, "the metric")
    system.close()

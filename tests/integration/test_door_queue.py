"""A door whose source publishes to the broker: real processes, a real RabbitMQ, and messages as Keycloak sends them."""

import asyncio
import json
import time
import uuid
from collections.abc import Iterator
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any, Final

import pytest
from keycloak_samples import PUBLISHED, USER
from kombu import Connection
from servers import Daemon, Processes, RabbitNode, wait_until
from system import System

from worker import broker
from worker.broker import topology
from worker.broker.permissions import DOOR, OPERATOR, USERS
from worker.broker.publication import PublishError
from worker.doors.queue_door import consuming
from worker.operations.opening_broker import declare_topology
from worker.settings import Settings

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
        says(connection, "unparseable")
    wait_until(lambda: rabbitmq.queue_counts(rabbitmq_vhost)[QUEUE].total == 0, 30, "every message to be acknowledged")
    events = published(system.broker_url)
    assert {event["data"]["sub_id"]["sub"] for event in events} == set(users)
    assert len({event["id"] for event in events}) == len(users)
    wait_until(lambda: 'door="keycloak",word="malformed"' in system.page("door")[1], 10, "the metric")
    system.close()


ADD_USER = r"""
rabbit_auth_backend_internal:add_user(<<"$USER">>, <<"password">>, <<"tests">>),
rabbit_auth_backend_internal:set_permissions(
  <<"$USER">>, <<"$VHOST">>, <<"$CONFIGURE">>, <<"$WRITE">>, <<"$READ">>, <<"tests">>).
"""


@pytest.fixture
def urls(rabbitmq: RabbitNode, rabbitmq_vhost: str, rabbitmq_url: str) -> Iterator[dict[str, str]]:
    """The broker's URL for users with the shipped permissions of an operator and of the door process."""
    names = {role: f"{role}-{uuid.uuid4().hex[:8]}" for role in (OPERATOR, DOOR)}
    for role, name in names.items():
        rights = {f"${right.upper()}": pattern for right, pattern in asdict(USERS[role]).items()}
        command = ADD_USER.replace("$USER", name).replace("$VHOST", rabbitmq_vhost)
        for placeholder, pattern in rights.items():
            command = command.replace(placeholder, pattern.replace("\\", "\\\\"))
        rabbitmq.control(command)
    yield {role: rabbitmq_url.replace("guest:guest", f"{name}:password") for role, name in names.items()}
    for name in names.values():
        rabbitmq.control(f'rabbit_auth_backend_internal:delete_user(<<"{name}">>, <<"tests">>).')


async def test_the_operator_declares_and_the_door_may_only_read(urls: dict[str, str], rabbitmq_url: str) -> None:
    """Of an exchange that is ours; what is not safe is tried again, and acknowledged by nobody before."""
    ours = {"keycloak": {**DOORS["keycloak"], "exchange": "revocation.keycloak"}}
    document = {"subject_key": "k" * 32, "sources": SOURCES, "broker_url": urls[OPERATOR]}
    declare_topology(Settings.of({**document, "doors": ours}))
    with pytest.raises(PublishError, match=r"doors\.keycloak\.exchange: .* must be allowed to read from it"):
        declare_topology(Settings.of({**document, "doors": DOORS}))
    with broker.connect(rabbitmq_url) as connection:
        for number in range(3):
            connection.Producer().publish(b"%d" % number, exchange="revocation.keycloak", routing_key=UPDATED)
    taken: list[bytes] = []
    done = asyncio.Event()

    async def take(body: bytes) -> bool:
        taken.append(body)
        if taken.count(b"1") > 2 and b"2" in taken:
            done.set()
        return body != b"1" or done.is_set()

    queue = topology.door_queue("keycloak", "revocation.keycloak", [UPDATED])
    async with consuming(partial(broker.connect, urls[DOOR]), [(queue, take)]), asyncio.timeout(10):
        await done.wait()
    assert sorted(taken) == [b"0", b"1", b"1", b"1", b"2"]
    with broker.connect(rabbitmq_url) as connection:
        assert queue(connection.channel()).queue_declare(passive=True).message_count == 0

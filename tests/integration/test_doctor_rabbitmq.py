"""The doctor at a real RabbitMQ: what it says of each fault, and that it leaves everything as it was."""

import json
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from amqp import Channel
from servers import RabbitNode

from worker import broker
from worker.broker import messages, topology
from worker.broker.publisher import Publisher
from worker.operations.doctor import Finding, rabbitmq
from worker.settings import Settings

FILE = Path(__file__).parents[2] / "docker" / "rabbitmq-definitions.json"
USERS = [each["user"] for each in json.loads(FILE.read_text())["permissions"]]
PASSWORD = uuid.uuid4().hex
PROVIDERS = {"finbourne": {"kind": "finbourne", "domain": "example"}}
INTAKE = topology.INTAKE.name
COUNTED = """
{length(rabbit_binding:list(<<"/">>)), length(rabbit_exchange:list(<<"/">>)), length(rabbit_amqqueue:list(<<"/">>)),
 length(rabbit_amqqueue:consumers_all(<<"/">>))}.
"""


@pytest.fixture
def node(private_rabbitmq: RabbitNode) -> RabbitNode:
    """A node as docs/running.md has it: users, permissions, topology; and an event that waits."""
    for user in USERS:
        private_rabbitmq.add_user(user, PASSWORD)
    private_rabbitmq.rabbitmqctl("import_definitions", str(FILE))
    declare(private_rabbitmq)
    with Publisher(lambda: broker.connect(private_rabbitmq.url())) as publisher:
        publisher.publish_all([messages.event(b"{}", "session.ended")])
    return private_rabbitmq


def declare(node: RabbitNode) -> None:
    """Declare the topology."""
    with broker.connect(node.url()) as connection:
        topology.declare(connection, PROVIDERS)


def examined(url: str, process: str | None = None) -> list[Finding]:
    """What the doctor finds."""
    document: dict[str, Any] = {"broker_url": url, "subject_key": "s" * 32, "providers": PROVIDERS}
    return list(rabbitmq.examine(Settings(**document), process))


def as_user(node: RabbitNode, user: str) -> str:
    """Where *user* finds the broker."""
    return f"amqp://{user}:{PASSWORD}@127.0.0.1:{node.port}//"


def faults(found: list[Finding]) -> dict[str, str]:
    """By check the state of each that is not ok; that nobody takes the event that waits is no fault of these tests."""
    return {each.check: each.state for each in found if each.state != "ok" and each.check != "broker.consumers"}


def state_of(node: RabbitNode) -> tuple[str, dict[str, Any]]:
    """How many bindings, exchanges, queues and consumers there are, and the messages of each queue."""
    return node.control(COUNTED), dict(node.queue_counts("/"))


def replaced(queue: str, **arguments: Any) -> Callable[[RabbitNode], None]:
    """A fault: *queue* has other *arguments*; None: it has none of this name."""

    def replace(node: RabbitNode) -> None:
        with broker.connect(node.url()) as connection:
            channel: Channel = connection.channel()
            wanted = topology.INTAKE.queue_arguments | {f"x-{name}": value for name, value in arguments.items()}
            channel.queue_delete(queue)
            left = {name: value for name, value in wanted.items() if value is not None}
            channel.queue_declare(queue, durable=True, auto_delete=False, arguments=left)

    return replace


def deleted(queue: str) -> Callable[[RabbitNode], None]:
    """A fault: there is no *queue*."""

    def delete(node: RabbitNode) -> None:
        with broker.connect(node.url()) as connection:
            connection.channel().queue_delete(queue)

    return delete


def exchange_deleted(node: RabbitNode) -> None:
    """A fault: there is no way in."""
    with broker.connect(node.url()) as connection:
        connection.channel().exchange_delete("revocation.events")


BROKEN: list[tuple[str, Callable[[RabbitNode], None], dict[str, str], str]] = [
    ("missing queue", deleted(INTAKE), {"broker.queues": "failed"}, INTAKE),
    ("missing exchange", exchange_deleted, {"broker.exchanges": "failed"}, "revocation.events"),
    (
        "no dead letters",
        replaced(INTAKE, **{"dead-letter-exchange": None, "dead-letter-strategy": None}),
        {"broker.dead_letters": "failed"},
        "x-dead-letter-exchange is none, wanted revocation.dead",
    ),
    ("other limit", replaced(INTAKE, **{"delivery-limit": 5}), {"broker.dead_letters": "failed"}, "is 5, wanted 20"),
    (
        "other type",
        replaced(INTAKE, **{"queue-type": "classic", "dead-letter-strategy": None, "delivery-limit": None}),
        {"broker.arguments": "failed"},
        "is classic, wanted quorum",
    ),
]


def restore(node: RabbitNode) -> None:
    """Put the topology in order again."""
    deleted(INTAKE)(node)
    declare(node)


def test_each_fault_of_a_rabbitmq_has_its_finding_and_nothing_is_changed(node: RabbitNode) -> None:
    """The healthy one has none. One node for all: a boot costs 4 s of CPU."""
    before = state_of(node)
    found = examined(node.url())
    assert faults(found) == {}, [each.detail for each in found]
    assert [each.state for each in found if each.check == "broker.consumers"] == ["warning"]
    for user in ("intake", "worker", "recorder"):
        assert faults(examined(as_user(node, user), user)) == {"broker.arguments": "warning"}, user
        assert faults(examined(as_user(node, user))) == {"broker.arguments": "warning"}, user
    assert faults(examined(as_user(node, "operator"))) == {}
    assert faults(examined(as_user(node, "producer"))) == {
        "broker.arguments": "warning",
        "broker.permissions": "failed",
    }
    assert faults(examined(as_user(node, "intake"), "worker"))["broker.permissions"] == "failed"
    assert state_of(node) == before
    for name, break_it, expected, words in BROKEN:
        break_it(node)
        broken = state_of(node)
        found = examined(node.url())
        assert faults(found) == expected, name
        assert any(words in each.detail for each in found if each.state != "ok"), name
        assert state_of(node) == broken, name
        restore(node)
    _only_the_connection_fails(node)
    _an_alarm_is_one_finding(node)


def _only_the_connection_fails(node: RabbitNode) -> None:
    wrong = as_user(node, "intake").replace(PASSWORD, "planted-password")
    nowhere = node.url().replace(f":{node.port}", ":9")
    for url in (wrong, nowhere, node.url("no-such-vhost")):
        [found] = examined(url)
        assert (found.check, found.state) == ("broker.connection", "failed")
        assert "planted-password" not in found.text


def _an_alarm_is_one_finding(node: RabbitNode) -> None:
    node.raise_memory_alarm()
    assert faults(examined(node.url())) == {"broker.alarm": "failed"}
    node.clear_memory_alarm()

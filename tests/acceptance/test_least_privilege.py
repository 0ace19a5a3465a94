"""Each process as a broker user of its own, which may do its job and nothing else: the shipped file on a real node."""

import json
import re
import shutil
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from amqp.exceptions import AccessRefused
from servers import Daemon, Processes, RabbitNode, wait_until
from system import PROCESSES, System

from worker import broker
from worker.broker import topology
from worker.broker.permissions import PRODUCER, USERS, permissions_of, topic_permissions_of
from worker.broker.publication import Message, PublishError
from worker.broker.publisher import Publisher
from worker.ledger import DeadLetterState

FILE = Path(__file__).parents[2] / "docker" / "rabbitmq-definitions.json"
PERMISSIONS = {each["user"]: each for each in json.loads(FILE.read_text())["permissions"]}
PASSWORD = uuid.uuid4().hex

EVENTS = {topology.EVENTS.name}
OUTCOMES = {topology.OUTCOMES.name, topology.OUTCOMES_URGENT.name}
UNPROVED = {topology.UNPROVED.name}
SETTLING = {topology.CALLS.name, topology.DEAD.name, *OUTCOMES}
INTAKES = {queue.name for queue in topology.INTAKES}
TASKS = {queue.name for queue in topology.task_queues(["genesys", "genesys-eu", "of_another_kind"])}
RECORDS = {queue.name for queue in (*topology.RECORDS, topology.UNPROVED_QUEUE)}
DOORS = {"revocation.doors.keycloak"}
DELAYS = {f"celery_delayed_{name}" for name in ("delivery", *range(28))}
OURS = {
    *EVENTS,
    *SETTLING,
    *UNPROVED,
    *INTAKES,
    *TASKS,
    *RECORDS,
    *DELAYS,
    *DOORS,
    "revocation.events.lanes",
    "revocation.events.routine",
}
FOREIGN = {"", "amq.default", "amq.topic", "celery", "celeryev", "another.revocation.events", "revocation"}
RIGHTS: dict[tuple[str, str], set[str]] = {
    ("producer", "write"): EVENTS,
    ("door", "write"): EVENTS,
    ("door", "read"): DOORS,
    ("intake", "write"): SETTLING | UNPROVED | {topology.ROUTINE_EVENTS.name},
    ("intake", "read"): INTAKES,
    ("worker", "write"): SETTLING | EVENTS | {topology.DELAY_ENTRY},
    ("worker", "read"): TASKS,
    ("recorder", "read"): RECORDS,
    **{("operator", right): OURS for right in ("configure", "write", "read")},
}


@pytest.mark.parametrize("user", PERMISSIONS)
@pytest.mark.parametrize("right", ["configure", "write", "read"])
def test_the_shipped_permissions_are_in_step_with_the_topology(user: str, right: str) -> None:
    """Of all exchanges and queues of ours, and of names that are not, a user may touch exactly those it must."""
    pattern = re.compile(PERMISSIONS[user][right])
    assert {name for name in OURS | FOREIGN if name and pattern.search(name)} == RIGHTS.get((user, right), set())


def test_the_shipped_file_is_that_of_the_code() -> None:
    """`revoker init` and `revoker topology permissions` write the same for other virtual hosts."""
    users = {"producer": PRODUCER, **USERS}
    assert json.loads(FILE.read_text()) == {
        "permissions": [permissions_of(name, each, "/") for name, each in users.items()],
        "topic_permissions": [topic_permissions_of("producer", (), "/")],
    }


def test_the_shipped_file_holds_no_user_and_no_password() -> None:
    """So it can be imported again without locking anybody out."""
    assert set(json.loads(FILE.read_text())) == {"permissions", "topic_permissions"}


def test_a_producers_routing_keys_are_the_types_of_its_events() -> None:
    """And nothing that is only like one."""
    [topic] = json.loads(FILE.read_text())["topic_permissions"]
    assert (topic["user"], topic["exchange"]) == ("producer", topology.EVENTS.name)
    types = {"session.ended", "user.disabled"}
    others = {"", "#", "door", "sessionXended", "session.ended.x", "x.user.disabled", "genesys.urgent"}
    assert {key for key in types | others if re.search(topic["write"], key)} == types


@pytest.fixture
def node(private_rabbitmq: RabbitNode) -> RabbitNode:
    """A node set up as docs/running.md says: users, then the file."""
    for user in PERMISSIONS:
        private_rabbitmq.add_user(user, PASSWORD)
    private_rabbitmq.rabbitmqctl("import_definitions", str(FILE))
    return private_rabbitmq


@pytest.fixture
def installation(node: RabbitNode, tmp_path: Path, processes: Processes) -> Iterator[System]:
    """An installation whose every process says who it is."""
    made = System(tmp_path / "system", as_user(node, "operator"), processes)
    yield made
    made.close()


def as_user(node: RabbitNode, user: str) -> str:
    """Where *user* finds the broker."""
    return f"amqp://{user}:{PASSWORD}@127.0.0.1:{node.port}//"


def start(system: System, node: RabbitNode, user: str, *command: str) -> Daemon:
    """A `revoker` command whose broker user is *user*."""
    env = system.env | {"REVOKER_BROKER_URL": as_user(node, user)}
    return system.processes.start("revoker", *command, env=env, name=user)


def publish(url: str, message: Message) -> PublishError | None:
    """What became of *message*."""
    with Publisher(lambda: broker.connect(url)) as publisher:
        return publisher.publish([message])[0]


def ready(process: Daemon) -> bool:
    """Whether it consumes."""
    return "ready" in process.output


def test_each_process_does_its_whole_job_with_its_own_rights(installation: System, node: RabbitNode) -> None:
    """Events, calls, retries, refusals, dead letters and a replay, from the producer to the ledger."""
    system = installation
    assert start(system, node, "operator", "topology", "declare").wait(30) == 0
    running = [start(system, node, name, name) for name in PROCESSES]
    sessions = [system.session("finbourne", name) for name in ("sbx-good", "sbx-again", "sbx-forbidden")]
    system.script({"fault": "status", "status": 503, "times": 1, "match": "sbx-again"})
    system.script({"fault": "status", "status": 403, "match": "sbx-forbidden"})
    events = [system.ended(session) for session in sessions]
    events.append(system.disabled(accounts={"genesys": {"user_id": str(uuid.uuid4())}}))
    file = system.home / "events.jsonl"
    file.write_text("".join(f"{json.dumps(event)}\n" for event in events))
    assert start(system, node, "producer", "publish", "--file", str(file)).wait(30) == 0
    system.wait_closed([event["id"] for event in events], 60)
    assert [letter.reason for letter in system.ledger.dead_letters()] == ["auth.forbidden"]
    system.heal()
    assert start(system, node, "operator", "dlq", "replay", "--all", "--yes", "--wait", "20").wait(40) == 0
    wait_until(lambda: system.states(events[2]["id"]) == {"finbourne": "accepted"}, 30, "the replay to be settled")
    assert [letter.state for letter in system.ledger.dead_letters()] in ([], [DeadLetterState.REPLAYED])
    assert [process.running for process in running] == [True] * len(running)


NO_PUBLISHING = [
    ("producer", topology.CALLS.name, "finbourne.routine"),
    ("producer", "", "revocation.calls.finbourne.routine"),  # the default exchange leads to every queue
    ("producer", topology.EVENTS.name, "another.key"),
    ("producer", topology.ROUTINE_EVENTS.name, "session.ended"),
    ("producer", topology.DEAD.name, "call"),
    ("producer", topology.UNPROVED.name, "event"),
    ("worker", topology.UNPROVED.name, "event"),
    ("producer", "revocation.events.lanes", "user.disabled"),
    ("intake", topology.EVENTS.name, "session.ended"),
    ("recorder", topology.EVENTS.name, "session.ended"),
    ("recorder", topology.CALLS.name, "finbourne.routine"),
    ("worker", "", "revocation.intake"),
]
NO_READING = [
    *((user, name) for user in ("producer", "worker", "recorder") for name in sorted(INTAKES)),
    *((user, "revocation.calls.finbourne.routine") for user in ("producer", "intake", "recorder")),
    *((user, "revocation.dead") for user in ("producer", "intake", "worker")),
    *((user, topology.UNPROVED_QUEUE.name) for user in ("producer", "intake", "worker")),
]


def test_what_is_not_a_users_job_is_refused_by_the_broker(node: RabbitNode) -> None:
    """No publish of a producer reaches a task queue, no worker reads events, no recorder publishes one."""
    with broker.connect(as_user(node, "operator")) as connection:
        topology.declare(connection, ["finbourne"])
    for user, exchange, key in NO_PUBLISHING:
        assert "AccessRefused" in str(publish(as_user(node, user), Message(exchange, key, b"{}"))), (user, exchange)
    for user, queue in NO_READING:
        with broker.connect(as_user(node, user)) as connection, pytest.raises(AccessRefused):
            connection.channel().basic_consume(queue)
    assert publish(as_user(node, "producer"), Message(topology.EVENTS.name, "session.ended", b"{}")) is None
    counts = node.queue_counts("/")
    assert {name: count.total for name, count in counts.items() if count.total} == {"revocation.intake": 1}


def test_a_process_that_may_not_declare_waits_for_the_operator(installation: System, node: RabbitNode) -> None:
    """It says what is missing, does not end, and consumes once it is there."""
    running = [start(installation, node, name, name) for name in PROCESSES]
    wait_until(lambda: all("NOT_FOUND" in process.output for process in running), 30, "all to say what is missing")
    assert not any(ready(process) for process in running)
    assert start(installation, node, "operator", "topology", "declare").wait(30) == 0
    installation.wait_closed(installation.publish([installation.ended(installation.session("finbourne", "sbx-late"))]))


def test_rabbitmq_takes_the_users_that_docker_prepare_makes(rabbitmq: RabbitNode, tmp_path: Path) -> None:
    """Each logs in with the broker_url that is made for it, and has the rights of the shipped file."""
    folder = tmp_path / "docker"
    shutil.copytree(FILE.parent, folder, ignore=shutil.ignore_patterns("secrets", "keys", ".env"))
    subprocess.run([folder / "prepare"], check=True, capture_output=True)
    rabbitmq.rabbitmqctl("import_definitions", str(folder / "secrets/rabbitmq-definitions.json"))
    for user in PERMISSIONS:
        url = (folder / f"secrets/broker_url_{user}").read_text().replace("@rabbitmq/", f"@127.0.0.1:{rabbitmq.port}/")
        with broker.connect(url) as connection, pytest.raises(AccessRefused):
            connection.channel().basic_consume("not-theirs")

"""The intake on a real broker that refuses a part of what an event becomes: nothing is lost, nothing made twice."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from prepared_ledgers import make_file
from servers import RabbitNode, wait_until

from tasks.call import Lane
from tasks.plan import Catalogue, Instance
from tasks.providers import KINDS
from tasks.subject_index import SubjectIndex
from worker import broker
from worker.broker import messages, topology
from worker.broker.batch_consumer import BatchConsumer
from worker.broker.provenance import ProvenanceMac
from worker.broker.publication import Message
from worker.broker.publisher import AlternatingPublisher, Publisher
from worker.database.thread import DatabaseThread
from worker.intake.authorization import Authorizer
from worker.intake.dedup import Deduplicator
from worker.intake.flood.gate import FloodGate
from worker.intake.flood.window import Limits
from worker.intake.intake import Controls, Intake
from worker.process import Stop
from worker.settings.sections import SourceSettings

MANY = {"user.disabled": 1000, "session.ended": 1000}
CATALOGUE = Catalogue(
    {"genesys": Instance("genesys", KINDS["genesys"])}, dict.fromkeys(Lane, timedelta(hours=1)), SubjectIndex(b"k" * 32)
)
TRUSTING = Authorizer({"test": SourceSettings(source="urn:test", trusted=True)}, proves_users=True)
CALLS, RECORDS = topology.calls_queue("genesys", Lane.URGENT), topology.OUTCOMES_URGENT_QUEUE
SET_POLICY = """
rabbit_policy:set(<<"$VHOST">>, <<"full">>, <<"^$QUEUE$">>, [{<<"max-length">>, 1}], 0, <<"queues">>, <<"tests">>).
"""
CLEAR_POLICY = 'rabbit_policy:delete(<<"$VHOST">>, <<"full">>, <<"tests">>).'
ADD_USER = r"""
rabbit_auth_backend_internal:add_user(<<"$USER">>, <<"password">>, <<"tests">>),
rabbit_auth_backend_internal:set_permissions(
  <<"$USER">>, <<"$VHOST">>, <<"^$">>, <<"$WRITE">>, <<"^revocation.intake">>, <<"tests">>).
"""
DELETE_USER = 'rabbit_auth_backend_internal:delete_user(<<"$USER">>, <<"tests">>).'


@pytest.fixture
def declared(rabbitmq_url: str) -> str:
    """A broker that knows the topology."""
    with broker.connect(rabbitmq_url) as connection:
        topology.declare(connection, ["genesys"])
    return rabbitmq_url


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[DatabaseThread]:
    """A ledger of the test's own."""
    with closing(DatabaseThread(make_file(f"sqlite:///{tmp_path / 'ledger.sqlite3'}"))) as opened:
        yield opened


@contextmanager
def intake_runs(url: str, desk: DatabaseThread) -> Iterator[None]:
    """An intake process's loop, in a thread, as the broker user of *url*."""
    stop = Stop()
    with AlternatingPublisher(lambda: broker.connect(url)) as publisher:
        gate = FloodGate(desk, Limits(600, MANY, MANY, {}))
        dedup = Deduplicator(desk, dict.fromkeys(MANY, timedelta(days=1)), timedelta(days=30))
        intake = Intake(CATALOGUE, publisher, Controls(ProvenanceMac(b"k" * 32), TRUSTING, dedup, gate))
        loop = BatchConsumer(lambda: broker.connect(url), topology.INTAKES, ["genesys"], intake.begin, stop, ahead=1)
        thread = threading.Thread(target=loop.run)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join(20)
    assert not thread.is_alive()


@contextmanager
def full(node: RabbitNode, vhost: str, queue: str, publisher: Publisher, filler: Message) -> Iterator[None]:
    """A queue that takes nothing more, until the end."""
    node.control(SET_POLICY.replace("$VHOST", vhost).replace("$QUEUE", queue))
    wait_until(lambda: publisher.publish([filler])[0], 20, "the queue to refuse something")
    yield
    node.control(CLEAR_POLICY.replace("$VHOST", vhost))


@pytest.fixture
def user(rabbitmq: RabbitNode, rabbitmq_vhost: str, declared: str) -> Iterator[Callable[[str], str]]:
    """Make the broker user of an intake who may write to what a pattern names; returns its URL."""
    name = f"intake-{uuid4().hex[:8]}"

    def make(write: str) -> str:
        expression = ADD_USER.replace("$WRITE", write).replace("$USER", name).replace("$VHOST", rabbitmq_vhost)
        rabbitmq.control(expression)
        return declared.replace("guest:guest", f"{name}:password")

    yield make
    rabbitmq.control(DELETE_USER.replace("$USER", name))


def disabled(event_id: str) -> Message:
    """Somebody was disabled at genesys."""
    told = {"specversion": "1.0", "id": event_id, "source": "urn:test", "type": "user.disabled"}
    data = {"sub_id": {"format": "opaque", "id": event_id}, "accounts": {"genesys": {"user_id": str(uuid4())}}}
    event = {**told, "time": datetime.now(UTC).isoformat(), "data": data}
    return messages.event(json.dumps(event).encode(), "user.disabled")


def bodies(url: str, queue: str) -> list[str]:
    """What lies in *queue*, which is emptied."""
    found = []
    with broker.connect(url) as connection:
        bound = next(each for each in topology.all_queues(["genesys"]) if each.name == queue)(connection.channel())
        while (got := bound.get(no_ack=True)) is not None:
            found.append(bytes(got.body).decode() if isinstance(got.body, bytes) else str(got.body))
    return found


def test_an_event_whose_call_is_refused_stays_in_its_queue(
    rabbitmq: RabbitNode, rabbitmq_vhost: str, declared: str, desk: DatabaseThread
) -> None:
    """The calls' queue is full while the intake runs; once it is not, every call is there, once."""

    def count(queue: str) -> int:
        return rabbitmq.queue_counts(rabbitmq_vhost)[queue].total

    with Publisher(lambda: broker.connect(declared)) as publisher, intake_runs(declared, desk):
        filler = Message(topology.CALLS.name, topology.calls_key("genesys", Lane.URGENT), b"filler")
        with full(rabbitmq, rabbitmq_vhost, CALLS.name, publisher, filler):
            publisher.publish_all([disabled("event-a"), disabled("event-b")])
            wait_until(lambda: count(RECORDS.name), 20, "the records, which nobody refuses")
            assert count("revocation.intake.urgent") == 2
        wait_until(lambda: count("revocation.intake.urgent") == 0, 30, "the intake to try again")
    calls = [body for body in bodies(declared, CALLS.name) if body != "filler"]
    assert sorted(name for body in calls for name in ("event-a", "event-b") if name in body) == ["event-a", "event-b"]
    assert sum(body.count('"kind":"planned"') for body in bodies(declared, RECORDS.name)) == 2


def test_a_full_queue_of_records_makes_no_call_twice(
    rabbitmq: RabbitNode, rabbitmq_vhost: str, declared: str, desk: DatabaseThread
) -> None:
    """However often the intake tries the record again; the event is done when it is taken."""

    def count(queue: str) -> int:
        return rabbitmq.queue_counts(rabbitmq_vhost)[queue].total

    with Publisher(lambda: broker.connect(declared)) as publisher, intake_runs(declared, desk):
        filler = Message(topology.OUTCOMES_URGENT.name, "filler", b"filler")
        with full(rabbitmq, rabbitmq_vhost, RECORDS.name, publisher, filler):
            publisher.publish_all([disabled("event-a")])
            wait_until(lambda: count(CALLS.name), 20, "the call")
            publisher.publish_all([disabled(f"later-{number}") for number in range(5)])
            wait_until(lambda: count(CALLS.name) >= 6, 30, "further tries")
        wait_until(lambda: count("revocation.intake.urgent") == 0, 30, "the intake to try again")
    assert sum("event-a" in body for body in bodies(declared, CALLS.name)) == 1
    assert sum("event-a" in body for body in bodies(declared, RECORDS.name)) == 1


@pytest.mark.parametrize("forbidden", ["outcomes.urgent", "dead.unproved"])
def test_an_intake_that_may_not_write_somewhere_makes_no_call_twice(
    declared: str, desk: DatabaseThread, user: Callable[[str], str], forbidden: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A new release with the permissions of the old one: what is refused waits, and its neighbours do not."""
    may = "|".join({"calls", "outcomes.urgent", "dead.unproved"} - {forbidden})
    url = user(f"^revocation.({may})$")
    with Publisher(lambda: broker.connect(declared)) as publisher, intake_runs(url, desk):
        publisher.publish_all([disabled("event-a"), Message(topology.EVENTS.name, "user.disabled", b"junk")])
        wait_until(lambda: len(said(caplog)) >= 3, 30, "three tries")
    assert sum("event-a" in body for body in bodies(declared, CALLS.name)) == 1
    taken = {"outcomes.urgent": topology.UNPROVED.name, "dead.unproved": RECORDS.name}[forbidden]
    assert len(bodies(declared, taken)) == 1
    assert set(said(caplog)) == {f"the broker's user may not write to revocation.{forbidden} (AccessRefused)"}


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What the intake said of what it could not publish."""
    return [record.__dict__["error"] for record in caplog.records if record.message == "intake.not_published"]

"""A whole installation on RabbitMQ 4.3, as far as a protocol double before an older one goes."""

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from amqp.spec import Basic
from chaos.newer_rabbitmq import NewerRabbitMQ
from provider_calls import session_call
from servers import Daemon, Processes, RabbitNode, wait_until
from system import System, digest

from tasks.sealing import seal
from worker.broker import messages, topology

CALLS = 20
QUEUE = "revocation.calls.finbourne.routine"


@pytest.fixture
def newer(rabbitmq: RabbitNode) -> Iterator[NewerRabbitMQ]:
    """The double."""
    with NewerRabbitMQ(rabbitmq.port) as double:
        yield double


@pytest.fixture
def system(newer: NewerRabbitMQ, rabbitmq_vhost: str, tmp_path: Path, processes: Processes) -> Iterator[System]:
    """An installation that knows no other broker."""
    url = f"amqp://guest:guest@127.0.0.1:{newer.port}/{rabbitmq_vhost}"
    made = System(tmp_path / "system", url, processes, worker={"shutdown_grace": 1.0})
    yield made
    made.close()


def in_flight(system: System, seconds: float) -> Daemon:
    """A worker whose every call is under way at a provider that takes *seconds*."""
    system.script({"fault": "slow", "seconds": seconds})
    names = [f"newer-{number}" for number in range(CALLS)]
    calls = [session_call(name, jwe=seal(f"sbx-{name}", "finbourne", system.key)) for name in names]
    system.publish_all([messages.call(call) for call in calls])
    [worker] = system.start("worker")
    wait_until(lambda: len(system.journal()) == CALLS, 30, "every call to be under way")
    return worker


def test_nobody_declares_what_rabbitmq_4_3_refuses(system: System, newer: NewerRabbitMQ) -> None:
    """All processes, an operator's commands, remote control: each queue is durable or exclusive, each limit its own."""
    system.env["REVOKER_WORKER__REMOTE_CONTROL"] = "true"
    running = system.start()
    system.wait_closed(system.publish([system.ended(system.session("finbourne", f"sbx-{uuid.uuid4()}"))]))
    system.revoker("topology", "declare")
    pinged = system.processes.run("celery", "-A", "worker", "inspect", "ping", env=system.env)
    assert "pong" in pinged.stdout, pinged.stderr
    declared = dict(newer.declared())
    assert {queue.name for queue in topology.all_queues(system.providers)} <= declared.keys()
    assert any(name.endswith(".pidbox") for name in declared)
    assert [name for name, is_allowed in declared.items() if not is_allowed] == []
    assert not any(method.arguments[2] for method in newer.said if method.name == Basic.Qos), "for a whole channel"
    assert all(process.running for process in running)


def test_a_worker_whose_consumer_times_out_loses_nothing(
    system: System, newer: NewerRabbitMQ, rabbitmq: RabbitNode, rabbitmq_vhost: str
) -> None:
    """Its calls are made to their end, and once more at most; it says which queue, and not that the broker is away."""
    worker = in_flight(system, 2.0)
    assert newer.time_out(QUEUE) == CALLS
    wait_until(lambda: "consumer.cancelled" in worker.output, 10, "the worker to say so")
    system.heal()
    wait_until(lambda: not _left(rabbitmq, rabbitmq_vhost), 30, "its end")
    assert {*system.revoked()} == {digest(f"sbx-newer-{number}") for number in range(CALLS)}
    assert len(system.journal()) <= 2 * CALLS
    assert f'"consumer": "{QUEUE}.' in worker.output
    assert "broker.unreachable" not in worker.output
    assert worker.running


def test_a_stop_blames_no_call_that_it_gives_back(
    system: System, newer: NewerRabbitMQ, rabbitmq: RabbitNode, rabbitmq_vhost: str
) -> None:
    """What the grace was too short for leaves as a `nack`: RabbitMQ 4.3 counts nothing against it."""
    worker = in_flight(system, 8.0)
    newer.said.clear()
    assert worker.stop() == 0
    assert (Basic.Nack, (0, True, True)) in [(each.name, each.arguments) for each in newer.said]
    assert not any(each.name == Basic.Reject for each in newer.said)
    wait_until(lambda: rabbitmq.queue_counts(rabbitmq_vhost)[QUEUE].ready == CALLS, 10, "all to be back")


def _left(rabbitmq: RabbitNode, vhost: str) -> int:
    """Messages that the worker has still to do with."""
    counts = rabbitmq.queue_counts(vhost)
    return sum(each.total for name, each in counts.items() if name.startswith("revocation.calls."))

"""What is away is waited for: every process says so once and goes on by itself, whatever the fault that heals."""

import resource
import statistics
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from chaos.doors import Name
from locked_file import locked
from sentry_inbox import SentryInbox
from servers import Daemon, PostgresCluster, Processes, wait_until
from servers.shared import own_folder
from system import SOURCE, System, digest

from worker.broker import topology
from worker.broker.publication import Message

STALL = 5.0  # seconds: less than one report that nobody answers takes, and there are fifty
LITTLE = 64 * 1024  # bytes a file may have on a "full disk": room for a process's few log lines


def events(system: System, count: int) -> tuple[list[str], set[str]]:
    """Publish *count* events; returns their ids and the digests of the tokens that must die."""
    tokens = [f"sbx-{uuid.uuid4()}" for _ in range(count)]
    ids = system.publish([system.ended(system.session("wibmo", token)) for token in tokens])
    return ids, {digest(token) for token in tokens}


def wait_dead(system: System, tokens: set[str]) -> None:
    """Wait until the provider killed all of these tokens."""
    wait_until(lambda: tokens <= set(system.revoked()), 60, "every token to die")


def said(process: Daemon, what: str, times: int = 1) -> None:
    """Wait until the process said it; and it did so no oftener than that."""
    wait_until(lambda: process.output.count(what) >= times, 40, f"{process.name} to say {what}")
    assert process.output.count(what) == times


@contextmanager
def full_disk(*filling: Daemon) -> Iterator[None]:
    """For these processes no file can grow: a full disk that needs no mount, whoever runs the tests."""
    for process in filling:
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (LITTLE, resource.RLIM_INFINITY))
    yield
    for process in filling:
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


def test_a_ledger_on_a_full_disk_is_waited_for(rabbitmq_url: str, tmp_path: Path, processes: Processes) -> None:
    """Revocations go on, outcomes wait in the broker, and all of them are recorded when there is room."""
    system = System(tmp_path / "system", rabbitmq_url, processes)
    recorder, *others = system.start("recorder", "intake", "worker")
    with full_disk(recorder):
        ids, tokens = events(system, 300)
        wait_dead(system, tokens)
        said(recorder, "ledger.unavailable")
    system.wait_closed(ids)
    said(recorder, "ledger.back")
    assert all(process.running for process in (recorder, *others))
    system.close()


def test_a_ledger_that_cannot_be_made_yet_is_waited_for(system: System, tmp_path: Path) -> None:
    """A recorder started before its disk is there: it says so, and begins when the folder comes."""
    folder = tmp_path / "not" / "mounted"
    env = {**system.env, "REVOKER_LEDGER_URL": f"sqlite:///{folder / 'ledger.sqlite3'}"}
    system.publish([system.ended(system.session("wibmo", "sbx-early"))])
    recorder = system.processes.start("revoker", "recorder", env=env)
    system.start("intake", "worker")
    said(recorder, "ledger.unavailable")
    folder.mkdir(parents=True)
    said(recorder, "ledger.back")
    assert recorder.stop() == 0


@pytest.fixture
def cluster() -> Iterator[PostgresCluster]:
    """A PostgreSQL of the test's own, which it may stop."""
    made = PostgresCluster(own_folder("private"))
    made.start()
    yield made
    made.stop()


def test_a_postgresql_that_is_away_is_waited_for_at_the_start_and_later(
    cluster: PostgresCluster, rabbitmq_url: str, tmp_path: Path, processes: Processes
) -> None:
    """The recorder says so once each time, and catches up by itself."""
    system = System(tmp_path / "system", rabbitmq_url, processes, ledger_url=cluster.url(cluster.new_database()))
    cluster.stop()
    recorder, *_ = system.start("recorder", "intake", "worker")
    for times in (1, 2):
        ids, tokens = events(system, 20)
        wait_dead(system, tokens)
        said(recorder, "ledger.unavailable", times)
        cluster.start()
        system.wait_closed(ids)
        said(recorder, "ledger.back", times)
        cluster.stop()
    cluster.start()
    system.close()


@pytest.fixture
def on_embedded(tmp_path: Path, processes: Processes) -> Iterator[System]:
    """A system on the embedded broker."""
    made = System(tmp_path / "system", f"embedded:///{tmp_path / 'broker.sqlite3'}", processes)
    yield made
    made.close()


def test_an_embedded_broker_that_is_locked_is_waited_for_at_the_start(on_embedded: System, tmp_path: Path) -> None:
    """Each process says it once, and starts when the lock is gone."""
    ids, _ = events(on_embedded, 20)
    with locked(tmp_path / "broker.sqlite3"):
        running = on_embedded.start()
        for process in running:
            said(process, "broker.unreachable")
    on_embedded.wait_closed(ids)
    for process in running:
        said(process, "broker.back")
        said(process, "broker.unreachable")
    assert all(process.running for process in running)


def test_a_name_that_nobody_resolves_is_waited_for(rabbitmq_url: str, tmp_path: Path, processes: Processes) -> None:
    """The broker's: said once, and every process goes on by itself when the name is back."""
    name = Name("broker.test", tmp_path)
    system = System(tmp_path / "system", rabbitmq_url, processes)
    ids, _ = events(system, 20)
    elsewhere = {"REVOKER_BROKER_URL": rabbitmq_url.replace("127.0.0.1", "broker.test")}
    system.env |= {**name.env, **elsewhere, "REVOKER_BROKER_ACCEPT_RISK": "plaintext"}
    running = system.start()
    for process in running:
        said(process, "broker.unreachable")
    name.resolves()
    system.wait_closed(ids)
    for process in running:
        said(process, "broker.back")
    system.close()


def exposures(home: Path, broker_url: str, processes: Processes, **settings: Any) -> list[float]:
    """Seconds to revoke of twenty events, among fifty tasks that are errors worth a report."""
    system = System(home, broker_url, processes, **settings)
    running = system.start()
    wait_until(lambda: all("ready" in process.output for process in running), 30, "every process to be ready")
    faulty = Message(topology.CALLS.name, "wibmo.routine", b"\xff", headers={"task": "wibmo.invalidate_token"})
    system.publish_all([faulty] * 50)
    ids, tokens = events(system, 20)
    system.wait_closed(ids)
    assert tokens == set(system.revoked())
    rows = [row for event_id in ids for row in system.ledger.calls_of_event(event_id, SOURCE)]
    system.close()
    for process in running:
        assert process.stop() == 0
    return [row.exposure_seconds or 0.0 for row in rows]


def test_a_sentry_that_never_answers_costs_a_revocation_nothing(
    rabbitmq_url: str, tmp_path: Path, processes: Processes
) -> None:
    """No call waits for a report, and nothing is lost; the processes end in time. S2 of the fault bench measures it."""
    inbox = SentryInbox(stalls=True)
    without = exposures(tmp_path / "without", rabbitmq_url, processes)
    stalled = exposures(tmp_path / "stalled", rabbitmq_url, processes, sentry_dsn=inbox.dsn)
    assert inbox.envelopes, "nothing was reported: the test proves nothing"
    assert statistics.median(stalled) - statistics.median(without) < STALL
    inbox.close()

"""An upgrade: what the last release has left, and both releases beside each other while one replaces the other."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from last_release import LastRelease
from servers import Processes, wait_until
from system import PROCESSES, SUBJECT_KEY, System, digest

from tasks.outcome import State
from worker.database.revisions import VERSION_TABLE
from worker.database.tables import metadata

ORDER = ("recorder", "worker", "intake")  # of an upgrade, as docs/running.md has it
OUT = {State.CONFIRMED, State.ACCEPTED, State.ALREADY_REVOKED}


@pytest.fixture
def last_release(tmp_path: Path, processes: Processes) -> LastRelease:
    """The release that is replaced."""
    return LastRelease(tmp_path / "last", processes)


@pytest.fixture
def system(
    request: pytest.FixtureRequest, broker_url: str, tmp_path: Path, processes: Processes, last_release: LastRelease
) -> Iterator[System]:
    """An installation whose ledger the last release made: all embedded, or RabbitMQ and PostgreSQL."""
    is_embedded = broker_url.startswith("embedded:")
    url = f"sqlite:///{tmp_path / 'ledger.sqlite3'}" if is_embedded else request.getfixturevalue("postgres_url")
    last_release.run({"ledger_url": url, "subject_key": SUBJECT_KEY}, "ledger", "upgrade")
    made = System(tmp_path / "system", broker_url, processes, migrates=False, ledger_url=url)
    yield made
    made.close()


def sessions(system: System, provider: str, name: str, count: int) -> list[dict[str, Any]]:
    """Events, each of which ends one session at *provider*; their tokens are named alike."""
    return [system.ended(system.session(provider, f"sbx-{name}-{n}")) for n in range(count)]


def test_the_ledger_of_the_last_release_becomes_ours(system: System) -> None:
    """A column added to the code without a revision of its own would be there in new ledgers alone."""
    system.ledger.upgrade()
    with system.ledger.database.reading() as connection:
        options = {"version_table": VERSION_TABLE, "compare_server_default": True}
        assert compare_metadata(MigrationContext.configure(connection, opts=options), metadata) == []


@pytest.mark.timeout(180)
def test_what_the_last_release_left_is_settled_by_this_one(system: System, last_release: LastRelease) -> None:
    """Killed amid its work: calls in hand, retries, unread events and outcomes, and a dead letter to be replayed."""
    system.script(
        {"fault": "status", "status": 403, "match": "sbx-forbidden-0"},
        {"fault": "status", "status": 503, "provider": "finbourne"},
    )
    intake, worker, recorder = last_release.start(system.document, *PROCESSES)
    [forbidden] = system.publish(sessions(system, "genesys", "forbidden", 1))
    ids = system.publish([*sessions(system, "genesys", "recorded", 15), *sessions(system, "finbourne", "waiting", 15)])
    wait_until(system.ledger.dead_letters, 30, "the dead letter")
    wait_until(lambda: len(system.revoked()) == 15, 30, "what can be revoked")
    recorder.kill9()
    ids += system.publish(sessions(system, "genesys", "unrecorded", 15))
    wait_until(lambda: len(system.revoked()) == 30, 30, "what nobody records")
    ids += system.publish(sessions(system, "genesys", "unread", 60))
    worker.kill9()
    intake.kill9()
    system.heal()
    system.start()
    system.wait_closed(ids, 90)
    system.revoker("dead-letter", "replay", "--all", "--reason", "upgraded", "--yes")
    wait_until(lambda: set(system.states(forbidden).values()) <= OUT, 30, "the replay")
    assert {state for each in ids for state in system.states(each).values()} <= OUT
    assert system.ledger.dead_letters() == []
    named = {"forbidden": 1, "recorded": 15, "waiting": 15, "unrecorded": 15, "unread": 60}
    tokens = {digest(f"sbx-{name}-{n}") for name, count in named.items() for n in range(count)}
    assert tokens <= {*system.dead()["genesys"], *system.dead()["finbourne"]}


@contextmanager
def streaming(system: System) -> Iterator[list[str]]:
    """Events all the time, in threes; the ids of those that are published."""
    ids, stop = list[str](), threading.Event()

    def publish() -> None:
        while not stop.wait(0.05):
            ids.extend(system.publish(sessions(system, "genesys", f"stream-{len(ids)}", 3)))

    thread = threading.Thread(target=publish)
    thread.start()
    try:
        yield ids
    finally:
        stop.set()
        thread.join()


def _are_revoked(system: System, count: int) -> bool:
    return len(system.revoked()) >= count


@pytest.mark.timeout(180)
def test_one_release_replaces_the_other_under_load(system: System, last_release: LastRelease) -> None:
    """Process by process, in the order of the documents; meanwhile both read what the other one has written."""
    old = dict(zip(PROCESSES, last_release.start(system.document, *PROCESSES), strict=True))
    with streaming(system) as ids:
        wait_until(lambda: ids and system.ledger.calls_of_event(ids[0]), 30, "the last release to work")
        for name in ORDER:
            system.start_shown(name)
            settled = len(system.revoked()) + 30
            wait_until(partial(_are_revoked, system, settled), 30, "both to work side by side")
            assert old[name].stop() == 0
    system.wait_closed(ids, 60)
    assert {state for each in ids for state in system.states(each).values()} <= OUT
    assert len(system.revoked()) == len(ids)
    assert system.ledger.dead_letters() == []

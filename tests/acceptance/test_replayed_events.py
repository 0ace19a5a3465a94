"""Events that come again: captured, doubled, contradicted, too old, or only waiting for us; on both brokers."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from locked_file import locked
from servers import Processes, wait_until
from system import System

from worker.intake import dedup_store
from worker.intake.dedup_store import SeenEvent

TOO_OLD = timedelta(hours=49)


@pytest.fixture(params=["embedded, sqlite", "rabbitmq, postgresql"])
def system(request: pytest.FixtureRequest, tmp_path: Path, processes: Processes) -> Iterator[System]:
    """A configured system on each broker in turn, and on each database."""
    url, settings = f"embedded:///{tmp_path / 'broker.sqlite3'}", {}
    if request.param == "rabbitmq, postgresql":
        url, settings = request.getfixturevalue("rabbitmq_url"), {"ledger_url": request.getfixturevalue("postgres_url")}
    made = System(tmp_path / "system", url, processes, **settings)
    yield made
    made.close()


def token() -> str:
    """A token as the sandbox's providers hand them out."""
    return f"sbx-{uuid4()}"


def ended(system: System, age: timedelta = timedelta(), event_id: str | None = None) -> dict[str, Any]:
    """A session at Finbourne ended so long ago."""
    event = system.ended(system.session("finbourne", token()), event_id=event_id)
    return event | {"time": (datetime.now(UTC) - age).isoformat()}


def reasons(system: System) -> list[str]:
    """Of all dead letters."""
    return sorted(letter.reason for letter in system.ledger.dead_letters())


def take_in(system: System, *events: dict[str, Any]) -> None:
    """Publish *events*, and wait until all is done that comes of them."""
    system.wait_closed(system.publish(events), 30)
    wait_until(lambda: not system.queued(), 20, "the queues to be empty")


def test_a_captured_event_makes_no_second_call_even_after_a_restart(system: System) -> None:
    """Once everything was published it is done, whichever intake gets the copy; and nobody is bothered with it."""
    intake, *_ = system.start()
    captured = ended(system)
    take_in(system, captured)
    intake.kill9()
    system.start("intake", "intake")
    take_in(system, captured, captured, captured, ended(system))
    assert (len(system.journal()), reasons(system)) == (2, [])


def test_what_is_too_old_or_contradicts_a_known_id_reaches_no_provider(system: System) -> None:
    """Both are dead letters; what the id stood for at first was done, and stays so."""
    system.start()
    first = ended(system)
    take_in(system, first)
    take_in(system, ended(system, TOO_OLD))
    system.publish([ended(system, event_id=first["id"])])
    wait_until(lambda: reasons(system) == ["event.id_conflict", "event.stale"], 20, "the dead letters")
    assert len(system.journal()) == 1
    assert system.states(first["id"])["finbourne"] == "accepted"


@pytest.mark.parametrize("system", ["rabbitmq, postgresql"], indirect=True)
def test_what_waited_for_us_through_an_outage_is_done(system: System) -> None:
    """Nothing was taken in for two weeks; the producers went on. Nobody's token lives because we were away."""
    outage = timedelta(days=14)
    past = SeenEvent(b"i" * 16, b"c" * 16, "session.ended", datetime.now(UTC) - outage)
    dedup_store.claim(system.ledger.database, [past])
    waiting = [ended(system, outage * (10 - n) / 10) for n in range(10)]
    system.publish(waiting)
    system.start()
    system.wait_closed([event["id"] for event in waiting], 30)
    assert (len(system.journal()), reasons(system)) == (10, [])


def test_a_locked_ledger_holds_up_no_revocation(tmp_path: Path, processes: Processes) -> None:
    """Events go on unremembered while somebody else writes: the token is dead long before the ledger is free."""
    system = System(tmp_path / "system", f"embedded:///{tmp_path / 'broker.sqlite3'}", processes)
    intake, _ = system.start("intake", "worker")
    with locked(system.home / "ledger.sqlite3"):
        system.publish([ended(system) for _ in range(3)])
        wait_until(lambda: len(system.journal()) == 3, 15, "the calls")
        wait_until(lambda: intake.output.count("memory.away") == 1, 5, "the intake to say so")
    system.close()

"""Users who were enabled again, from the record of the event to the worker, on each database."""

import asyncio
from collections.abc import Iterator
from contextlib import closing

import pytest
import sqlalchemy as sa
from ledger_records import START, after, planned
from provider_calls import session_call

from tasks.call import Lane, ProviderCall
from tasks.outcome import State
from tasks.providers import genesys
from tasks.records import EventPlanned, PlannedUnit
from worker.calls.enabled import EnabledUsers
from worker.database.thread import DatabaseThread
from worker.ledger import Ledger
from worker.ledger.enabled import _NEWEST, enabled_since

pytest_plugins = ["ledger_fixtures"]


@pytest.fixture
def thread(ledger_url: str) -> Iterator[DatabaseThread]:
    """The ledger as a worker asks it."""
    with closing(DatabaseThread(ledger_url)) as opened:
        yield opened


def enabled(event_id: str, seconds: float, target: str | None = "ada") -> EventPlanned:
    """The record of a user.enabled, so long after START."""
    unit = PlannedUnit(call_id=event_id, provider="genesys", operation=None, state=State.ENABLED, target_key=target)
    times = {"occurred_at": after(seconds), "received_at": after(seconds + 1)}
    return planned(event_id, event_type="user.enabled", units=(unit,), **times)


def call(target: str = "ada") -> ProviderCall:
    """That of a user.disabled at START."""
    usual = {"operation": genesys.DELETE_TOKEN, "lane": Lane.URGENT, "event_type": "user.disabled", "source": "idp"}
    user_id = "6f3f2f0e-52f4-5d2b-9a53-5a8f1f4f2a11"
    return session_call("e1", "genesys", **usual, user_id=user_id, target_key=target, occurred_at=START)


def test_a_worker_learns_whom_the_ledger_knows(ledger: Ledger, thread: DatabaseThread) -> None:
    """At its start what came before, later what is new; whatever order they were recorded in."""
    users = EnabledUsers(thread)
    ledger.record([enabled("later", 9), enabled("sooner", -9), planned("disabled"), enabled("nobody", 9, None)])
    asyncio.run(users.start())
    found = users.known_of(call())
    assert found is not None
    assert (found.state, found.detail) == (State.SUPERSEDED, {"enabled_by": "later"})
    assert users.known_of(call("bob")) is None
    ledger.record([enabled("bob", 1, "bob")])
    asyncio.run(users.look())
    assert users.known_of(call("bob")) is not None


def test_a_ledger_that_is_away_is_asked_from_the_beginning_when_it_is_back(ledger: Ledger, ledger_url: str) -> None:
    """It may have been put back from a backup, with numbers that were given before; what is known stays known."""
    ledger.record([enabled("later", 9)])
    with closing(DatabaseThread(ledger_url)) as near, closing(DatabaseThread("sqlite:////nowhere/l.sqlite3")) as away:
        users = EnabledUsers(near)
        asyncio.run(users.look())
        users._thread = away
        asyncio.run(users.look())
        assert users.known_of(call()) is not None
        assert users._seen == 0


def test_the_newest_count_where_there_are_too_many(ledger: Ledger) -> None:
    """The oldest news first, and nothing twice."""
    ledger.record([enabled(f"e{number}", number, f"user-{number}") for number in range(5)])
    rows = enabled_since(ledger.database, 0, 3)
    assert [row.event_id for row in rows] == ["e2", "e3", "e4"]
    assert enabled_since(ledger.database, rows[-1].change, 3) == []


def test_the_question_is_answered_from_its_own_index(ledger: Ledger) -> None:
    """Each worker asks once a second, however many calls the ledger holds. Of a few PostgreSQL would read all."""
    ledger.record([planned(f"e{number}") for number in range(500)])
    is_sqlite = ledger.database.engine.dialect.name == "sqlite"
    explain = "EXPLAIN QUERY PLAN " if is_sqlite else "EXPLAIN "
    with ledger.database.reading() as connection:
        if not is_sqlite:
            connection.execute(sa.text("SET LOCAL enable_seqscan = off"))
        bound = _NEWEST.params(seen=0, most=10).compile(connection, compile_kwargs={"literal_binds": True})
        plan = [tuple(row) for row in connection.execute(sa.text(explain + str(bound)))]
    assert "calls_enabled" in str(plan)

"""What people ask of a large ledger is found along indexes: a small one, and the plans of its database."""

from datetime import UTC, datetime
from functools import partial

import pytest
from sqlalchemy import func, select

from benchmarks.scale.filling import fill
from benchmarks.scale.plans import Plan, plans_of, whole_tables
from benchmarks.scale.questions import questions
from benchmarks.scale.settings import SECRET, SETTINGS
from benchmarks.scale.world import World
from worker.database.tables import calls
from worker.ledger import Ledger

pytest_plugins = ["ledger_fixtures"]

GROWING = {"calls", "events", "subjects", "dead_letters", "bodies", "attempts"}
CALLS = 4000
OF_MUCH = {"explain: a tenant", "the last 500 changes"}  # in a small ledger that is nearly the whole table
# PostgreSQL's index of what is counted of dead letters is that small there, too: it reads all of it.
OF_FEW = {"sqlite": set[str](), "postgresql": {"dlq list --subject"}}


@pytest.fixture
def world() -> World:
    """Two thousand events of eighty people."""
    return World(CALLS, SETTINGS.subjects(), datetime.now(UTC).replace(microsecond=0), SECRET)


def test_no_question_reads_a_whole_table(ledger: Ledger, world: World) -> None:
    """Neither explain in any form, nor a list: so the answer does not take longer as years go by."""
    fill(world, [ledger])
    found = {}
    for name, variants in questions(world).items():
        if name in OF_MUCH | OF_FEW[ledger.database.engine.name]:
            continue
        plans = plans_of(ledger.database, partial(variants[0], ledger), indexes_only=True)
        assert plans, name
        found[name] = whole_tables(ledger.database, plans, GROWING)
    assert {name: each for name, each in found.items() if each} == {}
    rows = {name: max(ask(ledger) for ask in variants) for name, variants in questions(world).items()}
    assert [name for name, count in rows.items() if not count] == ["explain: nobody"]


def test_a_question_that_reads_a_whole_table_is_noticed(ledger: Ledger) -> None:
    """The check is none if it finds nothing."""

    def ask() -> None:
        with ledger.database.reading() as connection:
            connection.execute(select(func.count()).select_from(calls).where(calls.c.reason == "x")).all()

    plans: list[Plan] = plans_of(ledger.database, ask, indexes_only=True)
    assert whole_tables(ledger.database, plans, GROWING) != []

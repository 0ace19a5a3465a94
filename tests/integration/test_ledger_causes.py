"""Dead letters are grouped by what they died of: how many, of how many people, since when."""

import pytest
import sqlalchemy as sa
from alembic.migration import MigrationContext
from alembic.operations import Operations
from in_one_test import in_one_test
from ledger_records import after, dead, refused

from worker.database.migrations.versions import r0004_causes
from worker.database.tables import dead_letters
from worker.ledger import DeadLetterFilter, DeadLetterState, Ledger
from worker.ledger.fingerprints import fingerprint

pytest_plugins = ["ledger_fixtures"]

MANY = 10_000
# Copies of the one letter that is there, a new one for each number, of 40 causes and 2500 people.
COPIES = """
WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < :many)
INSERT INTO dead_letters ({columns})
SELECT {values} FROM numbers CROSS JOIN dead_letters
"""


@in_one_test
@pytest.mark.parametrize(
    ("one", "other", "is_same"),
    [
        ({}, {"correlation_id": "7"}, True),
        ({"code": "missing.any.permissions"}, {"code": "missing.any.permissions"}, True),
        ({"code": "missing.any.permissions"}, {"code": "not.authorized"}, False),
        ({"code": "missing.any.permissions"}, {}, False),
        ({"res_code": "91"}, {"data_res_code": "91"}, False),
        ({"rule": "signature"}, {"rule": "not_listed"}, False),
        ({"last": "http.5xx"}, {"last": "auth.forbidden"}, False),
        ({"problem": "unknown_key", "kid": "a"}, {"problem": "unknown_key", "kid": "b"}, False),
        ({"problem": "tampered", "kid": "a"}, {"problem": "tampered", "kid": "b"}, True),
    ],
)
def test_a_cause_is_as_fine_as_its_remedy(one: dict[str, str], other: dict[str, str], *, is_same: bool) -> None:
    """Another code of the provider asks for another remedy; what it makes up for each request asks for nothing."""
    found = {fingerprint(dead(detail=detail)) for detail in (one, other)}
    assert (len(found) == 1) is is_same


def test_a_letter_without_a_code_keeps_its_cause() -> None:
    """An upgrade renames no cause that somebody wrote down, and that is no finer than before."""
    assert fingerprint(dead("e1", "http.5xx")) == "1512db"


def fill(ledger: Ledger) -> None:
    """Three of one cause, of two people; one of another code; a refused event that names nobody else."""
    ledger.record(
        [
            dead("e1", "auth.forbidden", at=10, person_key="p1", target_key="t1", detail={"code": "a"}),
            dead("e2", "auth.forbidden", at=30, person_key="p1", target_key="t2", detail={"code": "a", "at": "7"}),
            dead("e3", "auth.forbidden", at=20, target_key="t3", detail={"code": "a"}),
            dead("e4", "auth.forbidden", at=40, target_key="t3", detail={"code": "b"}),
            refused("e5"),
        ]
    )


def test_the_causes_are_told_with_their_figures(ledger: Ledger) -> None:
    """The most frequent first: how many, of how many people, the first death and the last, an example."""
    fill(ledger)
    forbidden, *others = ledger.dead_letter_causes()
    assert (forbidden.count, forbidden.people) == (3, 2)
    assert (forbidden.first_at, forbidden.last_at) == (after(10), after(30))
    assert (forbidden.reason, forbidden.operation, forbidden.detail["code"]) == (
        "auth.forbidden",
        "genesys.delete_token",
        "a",
    )
    assert forbidden.example in {dead(each).dead_letter_id for each in ("e1", "e2", "e3")}
    assert sorted((each.reason, each.count) for each in others) == [("auth.forbidden", 1), ("event.invalid_time", 1)]


def test_causes_are_those_of_what_is_asked_for(ledger: Ledger) -> None:
    """Filters, states and a limit, which is one of causes; each cause has what `--cause` finds."""
    fill(ledger)
    [most] = ledger.dead_letter_causes(DeadLetterFilter(limit=1))
    assert len(ledger.dead_letters(DeadLetterFilter(cause=most.cause))) == most.count == 3
    [some] = ledger.dead_letter_causes(DeadLetterFilter(cause=most.cause, since=after(15)))
    assert (some.count, some.people, some.first_at) == (2, 2, after(20))
    assert ledger.dead_letter_causes(DeadLetterFilter(provider="nobody")) == []
    assert ledger.dead_letter_causes(DeadLetterFilter(states=(DeadLetterState.DISCARDED,))) == []


def test_causes_of_many_are_read_along_an_index(ledger: Ledger) -> None:
    """An operator who has a hundred thousand dead letters asks for causes first: no document is read for that."""
    ledger.record([dead()])
    multiply(ledger, MANY)
    assert sum(each.count for each in ledger.dead_letter_causes()) == MANY + 1
    plan = plan_of(ledger)
    assert "dead_letters_by_cause" in plan
    assert "COVERING INDEX" in plan or "Index Only Scan" in plan


def multiply(ledger: Ledger, many: int) -> None:
    """Copy the one letter that is there *many* times."""
    changed = {
        "dead_letter_id": "dead_letter_id || '-' || n",
        "cause": "'c' || (n % 40)",
        "person": "'person-' || (n % 2500)",
        "change": "change + n",
    }
    values = [changed.get(column.name, column.name) for column in dead_letters.columns]
    text = COPIES.format(columns=", ".join(dead_letters.columns.keys()), values=", ".join(values))
    with ledger.database.writing() as connection:
        connection.execute(sa.text(text), {"many": many})
    if ledger.database.engine.name == "postgresql":  # what autovacuum does soon after, and what its planner goes by
        with ledger.database.engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
            connection.exec_driver_sql("VACUUM ANALYZE dead_letters")


def plan_of(ledger: Ledger) -> str:
    """How the database answers the question."""
    asked: list[tuple[str, object]] = []

    def note(_connection: object, _cursor: object, statement: str, parameters: object, *_: object) -> None:
        asked.append((statement, parameters))

    sa.event.listen(ledger.database.engine, "before_cursor_execute", note)
    ledger.dead_letter_causes()
    sa.event.remove(ledger.database.engine, "before_cursor_execute", note)
    statement, parameters = asked[-1]
    explain = "EXPLAIN QUERY PLAN" if ledger.database.engine.name == "sqlite" else "EXPLAIN"
    with ledger.database.reading() as connection:
        rows = connection.exec_driver_sql(f"{explain} {statement}", parameters)  # type: ignore[arg-type]
        return "\n".join(str(row[-1]) for row in rows)


def test_the_migration_gives_old_letters_the_cause_of_new_ones(ledger: Ledger) -> None:
    """What died before the upgrade and what dies after it, of the same, is one cause."""
    letters = [
        dead("e1", detail={"code": "a"}),
        dead("e2", detail={"problem": "unknown_key", "kid": "k", "last": "net.dns"}),
        refused("e3", detail={"rule": "signature", "pointer": "/source"}),
        dead("e4", detail={"correlation_id": "7"}),
    ]
    ledger.record(letters)
    with ledger.database.writing() as connection:
        connection.execute(sa.update(dead_letters).values(cause="0ld000").where(dead_letters.c.event_id != "e4"))
        connection.exec_driver_sql("DROP INDEX dead_letters_by_cause")
        with Operations.context(MigrationContext.configure(connection)):
            r0004_causes.upgrade()
    found = {row.event_id: row.cause for row in ledger.dead_letters()}
    assert found == {each.event_id: fingerprint(each) for each in letters}

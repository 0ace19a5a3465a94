"""What the ledger forgets: what is over and old, a step at a time, and never what somebody has yet to look at."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from ledger_figures import audits
from ledger_records import after, dead, entry, outcome, planned, refused
from sqlalchemy import Row, Select, event, func, select, update

from tasks.outcome import State
from tasks.records import CallOutcome, DeadLetter, EventPlanned
from worker.database.engine import Database
from worker.database.tables import dead_letters, exposures, metadata
from worker.ledger import DeadLetterFilter, DeadLetterState, Ledger, retention
from worker.ledger.dead_letters import unproved as kept_unproved
from worker.ledger.exposure_counts import SLOT
from worker.ledger.old_rows import OldRows
from worker.ledger.retention import BATCH_SIZE, PIECE_SIZE, Horizons

pytest_plugins = ["ledger_fixtures"]

SOON, LATER = after(3600), after(86_400 * 40_000)
ALL = Horizons(LATER, LATER, LATER, LATER)
NOTHING = Horizons(after(-1), after(-1), after(-1), after(-1))
EVERY = DeadLetterFilter(states=tuple(DeadLetterState))
TOLD = ("events", "calls", "attempts", "subjects", "dead_letters", "bodies", "audit_entries")


def counts(ledger: Ledger) -> dict[str, int]:
    """How many rows each table has that anything is told in."""
    with ledger.database.reading() as connection:
        tables = (metadata.tables[name] for name in TOLD)
        rows = {each.name: connection.execute(select(func.count()).select_from(each)).scalar_one() for each in tables}
    return {name: count for name, count in rows.items() if count}


def forget(ledger: Ledger, horizons: Horizons = ALL) -> None:
    """Everything that is old."""
    list(retention.forget(ledger.database, horizons))


def close(ledger: Ledger, letter: DeadLetter, how: str) -> None:
    """Have an operator replay or discard *letter*."""
    if how == "discarded":
        ledger.discard([letter.dead_letter_id], audit=entry("discard"))
    else:
        ledger.claim([letter.dead_letter_id], audit=entry())
        ledger.mark_replayed({letter.dead_letter_id: 1})


def test_an_event_whose_calls_are_settled_is_forgotten_with_all_that_tells_of_it(ledger: Ledger) -> None:
    """Calls, and the names by which it is found."""
    ledger.record([planned(), outcome(State.ACCEPTED)])
    forget(ledger)
    assert counts(ledger) == {}


@pytest.mark.parametrize("state", [state for state in State if not state.is_settled and state is not State.DISCARDED])
def test_an_event_with_a_call_that_is_open_is_kept_whole(ledger: Ledger, state: State) -> None:
    """However old it is: its token may live."""
    both = planned().units[0], planned("e2").units[0]
    ledger.record([planned(units=both), outcome(State.ACCEPTED), outcome(state, call_id=both[1].call_id)])
    before = counts(ledger)
    forget(ledger)
    assert counts(ledger) == before


@pytest.mark.parametrize("how", ["event", "call"])
def test_an_event_is_young_as_long_as_the_last_word_of_it_is(ledger: Ledger, how: str) -> None:
    """A call may be tried for days; its last second counts, and the last second before the horizon does not."""
    arrived, settled = (10, 5) if how == "event" else (5, 10)
    ledger.record([planned(received_at=after(arrived)), outcome(State.ACCEPTED, at=settled)])
    forget(ledger, replace(ALL, events=after(10)))
    assert counts(ledger)["calls"] == 1
    forget(ledger, replace(ALL, events=after(10.000001)))
    assert counts(ledger) == {}


@pytest.mark.parametrize("how", ["replayed", "discarded"])
def test_a_letter_that_an_operator_closed_is_forgotten_with_what_arrived(ledger: Ledger, how: str) -> None:
    """Its tombstone as well."""
    close_me = refused("e1")
    ledger.record([close_me])
    close(ledger, close_me, how)
    forget(ledger, replace(ALL, letters=after(-1)))
    assert counts(ledger)["dead_letters"] == 1
    forget(ledger)
    assert counts(ledger) == {}


@pytest.mark.parametrize("how", ["replayed", "discarded"])
def test_a_letter_is_kept_from_the_day_it_was_closed(ledger: Ledger, how: str) -> None:
    """One that died long ago and was discarded today can be had back tomorrow."""
    letter = dead()
    ledger.record([letter])
    close(ledger, letter, how)
    forget(ledger, replace(ALL, letters=after(3600), audits=after(-1)))
    assert [row.state for row in ledger.dead_letters(EVERY)] == [how]


def test_what_lies_on_the_desk_is_never_forgotten(ledger: Ledger) -> None:
    """Dead, claimed, held back: with the event and the names it is found by."""
    held = refused("e3", reason="guard.flood")
    ledger.record([planned(), dead(), refused("e2"), held, planned("e4"), dead("e4")])
    ledger.claim([dead("e4").dead_letter_id], audit=entry())
    before = counts(ledger)
    forget(ledger, replace(ALL, audits=after(-1)))
    assert counts(ledger) == before


def test_a_body_stays_as_long_as_a_letter_keeps_it(ledger: Ledger) -> None:
    """Two letters of one message; the one that is left can be replayed."""
    first, second = refused("e1", "unit", provider="a"), refused("e2", "unit", provider="b")
    ledger.record([first, second])
    close(ledger, first, "discarded")
    forget(ledger)
    [row] = ledger.dead_letters(EVERY)
    assert row.letter == second


@pytest.mark.parametrize(("seconds", "most"), [(0.0, PIECE_SIZE), (60.0, BATCH_SIZE)])
def test_a_step_ends_soon_and_the_next_one_goes_on(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch, seconds: float, most: int
) -> None:
    """By the time it takes: whoever has something to write waits for one step."""
    monkeypatch.setattr(retention, "STEP_SECONDS", seconds)
    unit = planned().units[0]
    many: list[EventPlanned] = [
        planned(f"e{number}", units=(unit.model_copy(update={"call_id": f"c{number}", "state": State.COVERED}),))
        for number in range(BATCH_SIZE + 1)
    ]
    ledger.record(many)
    steps = [*retention.forget(ledger.database, ALL)]
    assert max(steps) == most
    assert sum(steps) == len(many)
    assert counts(ledger) == {}


def test_what_is_kept_is_looked_at_once_and_while_others_write(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    """However much of it is old: each page goes on behind the last one, also among rows of the same moment."""
    monkeypatch.setattr(retention, "BATCH_SIZE", 2)
    kept, gone = [f"kept-{number}" for number in range(7)], [f"z-gone-{number}" for number in range(5)]
    plans = [planned(name, received_at=after(number // 3)) for number, name in enumerate(kept + gone)]
    ledger.record([*plans, *map(dead, kept), *(outcome(State.ACCEPTED, name, at=9) for name in gone)])
    looked_at: list[str] = []
    read = OldRows._read

    def reading(database: Database, page: Select[Any]) -> Sequence[Row[Any]]:
        """Read a page, and write as the recorder does while it is held."""
        rows = read(database, page)
        looked_at.extend(row.event_id for row in rows)
        ledger.audit(entry())
        return rows

    monkeypatch.setattr(OldRows, "_read", staticmethod(reading))
    assert sum(retention.forget(ledger.database, replace(ALL, audits=after(-1), exposures=after(-1)))) == len(gone)
    assert looked_at == kept + gone
    assert (counts(ledger)["events"], counts(ledger)["dead_letters"]) == (len(kept), len(kept))


@pytest.mark.parametrize("how", ["letter", "event", "call"])
def test_what_is_wanted_again_since_it_was_looked_at_is_kept(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """Between the look and the step that removes, anybody may write."""
    read = OldRows._read
    begin: dict[str, list[EventPlanned | CallOutcome | DeadLetter]] = {
        "letter": [dead()],
        "event": [planned(), outcome(State.ACCEPTED)],
        "call": [outcome(State.ACCEPTED)],
    }
    ledger.record(begin[how])
    if how == "letter":
        close(ledger, dead(), "discarded")

    def reading(database: Database, page: Select[Any]) -> Sequence[Row[Any]]:
        """Read a page, and have what was found be wanted from now on."""
        if rows := read(database, page):
            with ledger.database.writing() as connection:
                connection.execute(update(dead_letters).values(state=DeadLetterState.DEAD))
            ledger.record([] if how == "letter" else [dead()])
        return rows

    monkeypatch.setattr(OldRows, "_read", staticmethod(reading))
    assert sum(retention.forget(ledger.database, replace(ALL, audits=after(-1), exposures=after(-1)))) == 0
    assert counts(ledger)["dead_letters"] == 1
    assert how == "letter" or counts(ledger)["calls"] == 1


@pytest.mark.parametrize("ledger_url", ["sqlite"], indirect=True)
def test_to_remove_a_little_no_table_is_read_as_a_whole(ledger: Ledger) -> None:
    """On SQLite, where every other writer waits for it meanwhile, and which finds no pair of ids in an index."""
    ledger.record([each for name in ("e1", "e2") for each in (planned(name), outcome(State.ACCEPTED, name))])
    for name in ("e3", "e4"):
        ledger.record([refused(name), outcome(State.ACCEPTED, name)])
        close(ledger, refused(name), "discarded")
    asked: dict[str, object] = {}

    def note(_connection: object, _cursor: object, statement: str, parameters: object, *_: object) -> None:
        asked[statement] = parameters

    event.listen(ledger.database.engine, "before_cursor_execute", note)
    forget(ledger, replace(ALL, audits=after(-1)))
    event.remove(ledger.database.engine, "before_cursor_execute", note)
    with ledger.database.reading() as connection:
        plans = {
            statement: [row[-1] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)]  # type: ignore[arg-type]
            for statement, parameters in asked.items()
            if statement.startswith(("SELECT", "DELETE"))
        }
    removed = {statement.split()[2] for statement in plans if statement.startswith("DELETE")}
    assert {"calls", "events", "subjects", "attempts", "dead_letters", "bodies"} <= removed
    whole = {f"SCAN {table}" for table in ("calls", "events", "subjects", "attempts", "dead_letters", "bodies")}
    assert [plan for plan in plans.values() if any(line.startswith(tuple(whole)) for line in plan)] == []


def test_nothing_that_is_young_is_forgotten(ledger: Ledger) -> None:
    """Of each kind."""
    ledger.record([planned(), outcome(State.ACCEPTED), dead("e2")])
    close(ledger, dead("e2"), "discarded")
    before = counts(ledger)
    assert [*retention.forget(ledger.database, NOTHING)] == []
    assert counts(ledger) == before


@pytest.mark.parametrize(("seconds", "left"), [(0, 1), (2 * SLOT, 0)])
def test_the_counts_of_exposures_are_forgotten_by_the_time_of_their_slot(
    ledger: Ledger, seconds: int, left: int
) -> None:
    """Not before all of what a slot counts is old."""
    ledger.record([outcome(State.ACCEPTED, at=1)])
    forget(ledger, replace(NOTHING, exposures=after(1 + seconds)))
    with ledger.database.reading() as connection:
        assert len(connection.execute(select(exposures)).all()) == left


@pytest.mark.parametrize(("microseconds", "left"), [(0, 1), (1, 0)])
def test_the_audit_is_forgotten_by_its_own_age(ledger: Ledger, microseconds: int, left: int) -> None:
    """To the moment."""
    ledger.audit(replace(entry(), at=after(1)))
    forget(ledger, replace(NOTHING, audits=after(1) + timedelta(microseconds=microseconds)))
    assert len(audits(ledger)) == left


def test_what_is_on_the_desk_and_nobody_proved_is_counted(ledger: Ledger) -> None:
    """What arrived included; what was replayed or discarded made room."""
    assert (kept_unproved(ledger.database).letters, kept_unproved(ledger.database).size) == (0, 0)
    letters = [refused(f"e{number}", body="QUJD" * 1000, unproved=True) for number in range(3)]
    ledger.record([*letters, refused("e4"), dead()])
    known = kept_unproved(ledger.database)
    assert known.letters == 3
    assert 3 * 4000 < known.size < 3 * 5000
    close(ledger, letters[0], "discarded")
    close(ledger, letters[1], "replayed")
    assert kept_unproved(ledger.database).letters == 1

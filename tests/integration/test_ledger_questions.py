"""What people and processes ask of the ledger."""

from datetime import UTC
from typing import Any

import pytest
from ledger_figures import totals, unsettled
from ledger_records import START, after, dead, entry, identity, outcome, planned, refused

from tasks.outcome import State
from tasks.records import CallOutcome, EventPlanned, PlannedUnit
from worker.ledger import CallRow, EventRow, Ledger, subject_calls

pytest_plugins = ["ledger_fixtures"]


def settled(number: int) -> CallOutcome:
    """A call that took *number* seconds to settle."""
    return outcome(State.ACCEPTED, f"s{number:03d}", at=number)


def test_a_subject_is_found_by_each_of_its_hashes(ledger: Ledger) -> None:
    """A person is known by an address and by a user id; either leads to every event of theirs."""
    ledger.record([planned("e1"), planned("e2", subject_keys=("key-2",)), planned("e3", subject_keys=("key-9",))])
    assert {row.event_id for row in ledger.calls_of_subject("key-2")} == {"e1", "e2"}
    assert {row.event_id for row in ledger.calls_of_subject("key-1")} == {"e1"}
    assert ledger.calls_of_subject("unknown") == []


def test_a_subject_is_found_before_its_plan_was_recorded(ledger: Ledger) -> None:
    """Outcomes and dead letters carry the hashes too: messages arrive in any order."""
    ledger.record([outcome(State.RETRYING, "e1"), refused("e2")])
    assert [(row.event_id, row.state) for row in ledger.calls_of_subject("key-1")] == [
        ("e1", State.RETRYING),
        ("e2", State.DEAD),
    ]


@pytest.mark.parametrize("many", [0, 10_000])
def test_of_a_name_the_doubtful_calls_come_first(ledger: Ledger, monkeypatch: pytest.MonkeyPatch, many: int) -> None:
    """Whether its calls are found from the name or, where they are too many, from their states; refused ones, too."""
    monkeypatch.setattr(subject_calls, "MANY", many)
    states = (State.ACCEPTED, State.ALREADY_REVOKED, State.RETRYING, State.CONFIRMED)
    ledger.record([outcome(state, f"e-{state.value}") for state in states])
    ledger.record([outcome(State.HELD, "e-other", subject_keys=("key-9",)), refused("e-refused")])
    rows = ledger.calls_of_subject("key-1", limit=2)
    assert [row.event_id for row in rows] == ["e-already_revoked", "e-refused", "e-retrying"]
    counts = {("genesys", state): 1 for state in states}
    assert ledger.counts_of_subject("key-1") == (counts if many else None)


def test_of_many_kills_the_one_is_asked_that_killed_what_all_did(ledger: Ledger) -> None:
    """An earlier one killed less, and what was told later of an earlier event killed no more than that."""
    wide: dict[str, Any] = {"operation": "genesys.delete_token", "person_key": "person-1"}
    for event_id, happened, at in (("e1", 1, 10), ("e3", 3, 12), ("e2", 2, 40)):
        ledger.record([outcome(State.ACCEPTED, event_id, at=at, occurred_at=after(happened), **wide)])
    ledger.record([outcome(State.DEAD, "e4", at=50, **wide)])
    found = ledger.kills_of_persons({"person-1"}, operations={"genesys.delete_token"})
    assert [row.event_id for row in found] == ["e3"]


def test_of_a_users_many_calls_those_are_asked_that_tell_what_all_of_them_tell(ledger: Ledger) -> None:
    """The last that killed, what was called dead already after it, and the last word that the user is enabled again."""

    def of_user(state: State, event_id: str, happened: int) -> CallOutcome:
        return outcome(state, event_id, at=happened + 10, occurred_at=after(happened), target_key="user-1")

    ledger.record([of_user(State.ACCEPTED, f"killed-{number}", number) for number in (2, 1)])
    ledger.record([of_user(State.ALREADY_REVOKED, f"dead-{number}", number) for number in (1, 3)])
    ledger.record([of_user(State.ENABLED, f"enabled-{number}", number) for number in (5, 4)])
    ledger.record([of_user(State.DEAD, "no-answer", 6), planned("e-other")])
    found = ledger.telling_calls_of_targets({"user-1"})
    assert sorted(row.event_id or "" for row in found) == ["dead-3", "enabled-5", "killed-2"]


def test_a_call_tells_all_that_explain_shows(ledger: Ledger) -> None:
    """Provider, state, tries, the next one, why: and the dead letter to replay, once there is one."""
    ledger.record([planned(), outcome(State.RETRYING, attempt=3, reason="http.429", next_attempt_at=after(30))])
    (row,) = ledger.calls_of_event("e1")
    assert (row.provider, row.state, row.attempt, row.reason) == ("genesys", State.RETRYING, 3, "http.429")
    assert (row.next_attempt_at, row.occurred_at, row.at, row.dead_letter_id) == (after(30), START, after(2), None)
    ledger.record([dead()])
    assert ledger.calls_of_event("e1")[0].dead_letter_id == dead().dead_letter_id


def test_an_event_id_is_told_apart_by_its_source(ledger: Ledger) -> None:
    """Two producers may number their events alike."""
    ledger.record([planned(), outcome(State.HELD, source="other", call_id="c2")])
    assert [row.source for row in ledger.calls_of_event("e1", source="other")] == ["other"]
    assert len(ledger.calls_of_event("e1")) == 2


def test_times_come_back_aware_and_in_utc(ledger: Ledger) -> None:
    """SQLite keeps no zone and PostgreSQL answers in the session's."""
    ledger.record([planned(), dead()])
    letter, call = ledger.dead_letters()[0], ledger.calls_of_event("e1")[0]
    assert {time.tzinfo for time in (letter.at, letter.first_at, call.occurred_at, call.at) if time} == {UTC}


def test_totals_count_states_reasons_and_events(ledger: Ledger) -> None:
    """What `revoker run` sums up at its end."""
    ledger.record([planned("e1"), planned("e2"), outcome(State.CONFIRMED, "e2"), dead("e3"), refused("e4")])
    figures = totals(ledger)
    assert figures.events == 2
    assert figures.calls == {State.PLANNED: 1, State.CONFIRMED: 1, State.DEAD: 1}
    assert figures.dead_letters == {"http.5xx": 1, "event.invalid_time": 1}


def test_exposure_percentiles_are_by_nearest_rank(ledger: Ledger) -> None:
    """Of a hundred calls that took 1 to 100 seconds, the 95th is the p95."""
    ledger.record([settled(number) for number in range(1, 101)])
    assert totals(ledger).exposure_seconds == {"p50": 50.0, "p95": 95.0, "p99": 99.0}


def test_an_empty_ledger_has_no_percentiles(ledger: Ledger) -> None:
    """None is not zero seconds."""
    assert totals(ledger).exposure_seconds == {"p50": None, "p95": None, "p99": None}
    assert ledger.changes_since() == ([], 0)


@pytest.mark.parametrize("state", [State.PLANNED, State.RETRYING, State.HELD])
def test_an_event_with_an_open_call_is_not_done(ledger: Ledger, state: State) -> None:
    """Lost = published minus settled or dead; what is open is neither."""
    other = PlannedUnit(call_id="c2", provider="finbourne", operation=None, state=State.COVERED)
    first = planned().units[0]
    ledger.record([planned(units=(first, other)), outcome(state) if state is not State.PLANNED else planned()])
    assert ledger.settled_or_dead("idp", ["e1"]) == set()
    assert [row.call_id for row in unsettled(ledger)] == [identity("e1")]


def test_settled_dead_discarded_and_refused_events_are_done(ledger: Ledger) -> None:
    """Somebody revoked it, or somebody can see why not."""
    events: list[EventPlanned] = [planned(name) for name in ("e1", "e2", "e3")]
    ledger.record([*events, outcome(State.CONFIRMED, "e1"), dead("e2"), dead("e3"), refused("e4")])
    ledger.discard([dead("e3").dead_letter_id], audit=entry("discard"))
    asked = ["e1", "e2", "e3", "e4", "e5"]
    assert ledger.settled_or_dead("idp", asked) == {"e1", "e2", "e3", "e4"}
    assert ledger.settled_or_dead("another", asked) == set()
    assert unsettled(ledger) == []


def test_a_replayed_call_is_open_again(ledger: Ledger) -> None:
    """Its dead letter left the desk, so it must not count as done."""
    ledger.record([planned(), dead()])
    ledger.claim([dead().dead_letter_id], audit=entry())
    ledger.mark_replayed({dead().dead_letter_id: 1})
    assert ledger.settled_or_dead("idp", ["e1"]) == set()


def test_the_tail_brings_events_calls_and_refusals_in_order(ledger: Ledger) -> None:
    """The live view polls it: each change once, in the order of writing."""
    ledger.record([planned()])
    rows, cursor = ledger.changes_since(0)
    assert [type(row) for row in rows] == [EventRow, CallRow]
    ledger.record([outcome(State.RETRYING), refused("e2")])
    rows, cursor = ledger.changes_since(cursor)
    assert [(row.event_id, row.state) for row in rows if isinstance(row, CallRow)] == [
        ("e1", State.RETRYING),
        ("e2", State.DEAD),
    ]
    assert ledger.changes_since(cursor) == ([], cursor)


def test_the_tail_read_in_small_steps_misses_nothing(ledger: Ledger) -> None:
    """A limit cuts between any two rows, and the cursor goes on from there."""
    ledger.record([*(planned(f"e{number}") for number in range(5)), refused("e9")])
    seen: list[str | None] = []
    cursor = 0
    while step := ledger.changes_since(cursor, limit=3)[0]:
        seen += [row.event_id for row in step]
        cursor = step[-1].change
    assert sorted(map(str, seen)) == sorted(
        [*(f"e{number}" for number in range(5)), *(f"e{n}" for n in range(5)), "e9"]
    )


def said(state: State, person: str, at: float, **changed: Any) -> CallOutcome:
    """What the provider said of *person*, *at* seconds after the event."""
    return outcome(state, f"e-{person}", at=at, call_id=f"{person}-{at}", person_key=person, **changed)


def test_what_an_instance_said_around_a_moment_is_told_between_its_proofs(ledger: Ledger) -> None:
    """The last token that it accepted before, the first one after, and who was dead already between."""
    dead_at = {"p1": 1, "p2": 11, "p3": 12, "p4": 31, "p5": 5000}
    ledger.record([said(State.ALREADY_REVOKED, person, at) for person, at in dead_at.items()])
    ledger.record([said(State.ACCEPTED, "x", 5), said(State.CONFIRMED, "y", 20), said(State.ACCEPTED, "z", 21)])
    ledger.record([said(State.ALREADY_REVOKED, "other", 12, provider="finbourne"), said(State.DEAD, "dead", 12)])
    answers = ledger.answers_around("genesys", after(12))
    assert {each.at for each in answers if each.state is State.ACCEPTED} == {after(5), after(20)}
    assert {each.person for each in answers if each.state is not State.ACCEPTED} == {"p2", "p3"}
    assert {each.person for each in ledger.answers_around("genesys", after(40))} == {"", "p4"}
    assert ledger.answers_around("wibmo", after(12)) == []


def test_a_token_whose_death_is_explained_is_told_as_such(ledger: Ledger) -> None:
    """It expired; the detail of its outcome says so."""
    ledger.record(
        [said(State.ALREADY_REVOKED, "p1", 1, detail={"died": "expired"}), said(State.ALREADY_REVOKED, "p2", 2)]
    )
    told = {each.person: each.explained for each in ledger.answers_around("genesys", after(1))}
    assert told == {"p1": True, "p2": False}

"""The ledger's promise to the recorder: messages in any order, any number of times, and the same rows."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from itertools import permutations
from typing import Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ledger_records import after, dead, outcome, planned

from tasks.call import ProviderCall
from tasks.outcome import State
from tasks.records import CallOutcome, DeadLetter, EventPlanned, PlannedUnit
from worker.ledger import CallRow, EventRow, Ledger

pytest_plugins = ["ledger_fixtures"]

Record = EventPlanned | CallOutcome | DeadLetter
LIFE: Final[Mapping[str, Callable[[str], Record]]] = {
    "planned": planned,
    "retrying": lambda event: outcome(State.RETRYING, event, attempt=1, at=2, reason="http.5xx"),
    "dead": lambda event: dead(event, at=4),
    "retried": lambda event: outcome(State.RETRYING, event, attempt=1, at=5, replays=1),
    "settled": lambda event: outcome(State.ACCEPTED, event, attempt=2, at=6, replays=1, detail={"evidence": "204"}),
    "redelivered": lambda event: outcome(State.ALREADY_REVOKED, event, attempt=2, at=8, replays=1),
}
SETTLED: Final = sorted(state for state in State if state.is_settled)
STORIES: Final = st.lists(
    st.builds(
        partial,
        st.just(outcome),
        st.sampled_from([State.RETRYING, State.HELD, State.ACCEPTED, State.CONFIRMED, State.DEAD]),
        attempt=st.integers(1, 2),
        at=st.integers(2, 3),
        replays=st.integers(0, 1),
        reason=st.sampled_from([None, "http.5xx"]),
    )
    | st.builds(
        partial,
        st.just(dead),
        at=st.integers(2, 3),
        replays=st.integers(0, 1),
        reason=st.sampled_from(["http.5xx", "net.tls"]),
    ),
    max_size=8,
)


def row_of(ledger: Ledger, event_id: str) -> CallRow:
    """The one call of an event, without what differs between two events that are otherwise alike."""
    (row,) = ledger.calls_of_event(event_id)
    return replace(row, call_id="", event_id="", dead_letter_id="", change=0)


def test_any_order_of_a_calls_records_gives_the_same_row(ledger: Ledger) -> None:
    """Queues promise no order across processes: 720 orders, one result."""
    orders = {f"e{number}": order for number, order in enumerate(permutations(LIFE.values()))}
    ledger.record([tell(event) for event, order in orders.items() for tell in order])
    rows = [row_of(ledger, event) for event in list(orders)[::7]]
    assert all(row == rows[0] for row in rows)
    assert (rows[0].state, rows[0].attempt, rows[0].replays) == (State.ALREADY_REVOKED, 2, 1)
    assert rows[0].exposure_seconds == 6.0, "the first settled record ended the exposure"


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(story=STORIES, number=st.uuids(), data=st.data())
def test_a_shuffled_story_told_twice_changes_nothing(
    ledger: Ledger, story: list[Callable[..., Record]], number: object, data: st.DataObject
) -> None:
    """Ties included: the same rank with another content is decided alike in every order."""
    shuffled = data.draw(st.permutations([planned, *story, *story]))
    one, other = f"one-{number}", f"other-{number}"
    ledger.record([tell(event_id=one) for tell in [planned, *story]])
    ledger.record([tell(event_id=other) for tell in shuffled])
    assert row_of(ledger, one) == row_of(ledger, other)


def test_a_tie_is_decided_alike_in_either_order(ledger: Ledger) -> None:
    """Two deliveries of one attempt, in the same microsecond, each with another reason."""
    reasons = ["http.5xx", "net.tls", "net.dns", "http.429"]
    ledger.record([outcome(State.RETRYING, "e1", reason=reason) for reason in reasons])
    ledger.record([outcome(State.RETRYING, "e2", reason=reason) for reason in reversed(reasons)])
    assert row_of(ledger, "e1") == row_of(ledger, "e2")


def test_duplicates_change_nothing_not_even_the_change_number(ledger: Ledger) -> None:
    """A redelivered batch is no news to the live view."""
    batch = [tell("e1") for tell in LIFE.values()]
    ledger.record(batch)
    rows, cursor = ledger.changes_since(0)
    ledger.record(batch)
    assert ledger.changes_since(0) == (rows, cursor)


def test_planned_never_overrides_what_a_worker_said(ledger: Ledger) -> None:
    """The intake's record may arrive long after the call was made."""
    ledger.record([outcome(State.RETRYING)])
    ledger.record([planned()])
    assert row_of(ledger, "e1").state is State.RETRYING


@pytest.mark.parametrize("state", SETTLED)
def test_a_settled_call_stays_settled_in_its_generation(ledger: Ledger, state: State) -> None:
    """A duplicate delivery that retries or dies later does not bring a dead token back to life."""
    ledger.record([outcome(state, at=2), outcome(State.RETRYING, attempt=5, at=7), dead(at=9)])
    assert row_of(ledger, "e1").state is state


def test_exposure_is_event_time_to_the_first_settled_record(ledger: Ledger) -> None:
    """A redelivered call answers already_revoked later; the token died with the first."""
    ledger.record([outcome(State.ALREADY_REVOKED, at=30, attempt=1)])
    ledger.record([outcome(State.ACCEPTED, at=2, attempt=1)])
    assert row_of(ledger, "e1").exposure_seconds == 2.0


def test_units_that_need_no_call_are_rows_without_exposure(ledger: Ledger) -> None:
    """Covered units were never called, so they would only flatter the percentiles."""
    unit = PlannedUnit(call_id="c", provider="genesys", operation=None, state=State.COVERED)
    ledger.record([planned(units=(unit,))])
    row = row_of(ledger, "e1")
    assert (row.state, row.operation, row.exposure_seconds, row.at) == (State.COVERED, None, None, after(1))


TELLERS: Final[Mapping[str, Callable[[], Record]]] = {
    "plan": lambda: planned(units=(planned().units[0].model_copy(update={"target_key": "t"}),), person_key="p"),
    "outcome": lambda: outcome(State.RETRYING).model_copy(update={"target_key": "t", "person_key": "p"}),
    "dead letter": lambda: dead(
        call=ProviderCall.model_validate({**dict(dead().call or {}), "target_key": "t", "person_key": "p"})
    ),
}


@pytest.mark.parametrize("order", [1, -1])
@pytest.mark.parametrize("teller", TELLERS)
def test_what_a_call_hits_and_whom_is_kept_whoever_tells_it(ledger: Ledger, teller: str, order: int) -> None:
    """In either order; the records of an earlier version tell neither."""
    for told in (TELLERS[teller](), outcome(State.ACCEPTED, at=99))[::order]:
        ledger.record([told])
    row = row_of(ledger, "e1")
    assert (row.state, row.target, row.person) == (State.ACCEPTED, "t", "p")


def test_an_event_told_twice_keeps_its_earliest_arrival(ledger: Ledger) -> None:
    """Redelivery to the intake must not make an event look younger."""
    ledger.record([planned(received_at=after(5)), planned(received_at=after(1)), planned(received_at=after(9))])
    events = [row for row in ledger.changes_since(0)[0] if isinstance(row, EventRow)]
    assert [event.received_at for event in events] == [after(1)]


def test_a_name_with_a_nul_character_does_not_stop_the_recorder(ledger: Ledger) -> None:
    """PostgreSQL refuses NUL in text, and a refused batch would come back for ever."""
    ledger.record([outcome(State.DEAD, event_id="a\0b", detail={"pointer": "/\0"})])
    (row,) = ledger.calls_of_event("a\ufffdb")
    assert row.detail == {"pointer": "/\0"}


def test_every_column_of_a_call_is_written_and_read_back(ledger: Ledger) -> None:
    """Each with a value of its own, so that none stands for another."""
    told = outcome(
        State.RETRYING,
        attempt=3,
        at=7,
        replays=2,
        reason="http.429",
        detail={"code": "slow.down"},
        duration_ms=12.5,
        next_attempt_at=after(9),
        target_key="t-1",
        person_key="p-1",
    )
    ledger.record([told])
    [row] = ledger.calls_of_event("e1")
    same = {name for name in CallOutcome.model_fields if hasattr(row, name)} - {"kind"}
    assert {name: getattr(row, name) for name in same} == {name: getattr(told, name) for name in same}
    assert (row.target, row.person, row.kind) == ("t-1", "p-1", "call")
    assert same >= {"call_id", "source", "event_id", "event_type", "provider", "operation", "subject", "occurred_at"}


def test_every_column_of_an_event_is_written_and_read_back(ledger: Ledger) -> None:
    """As it was taken in."""
    ledger.record([planned()])
    [row] = [row for row in ledger.changes_since(0)[0] if isinstance(row, EventRow)]
    names = ("source", "event_id", "event_type", "subject", "occurred_at", "received_at")
    assert {name: getattr(row, name) for name in names} == {name: getattr(planned(), name) for name in names}


def test_every_column_of_a_units_row_is_written_and_read_back(ledger: Ledger) -> None:
    """A unit that needs no call says why, and of what key and target it is."""
    unit = PlannedUnit(
        call_id="c", provider="wibmo", operation=None, state=State.COVERED, reason="why", kid="k-1", target_key="t-1"
    )
    ledger.record([planned(units=(unit,), person_key="p-1")])
    [row] = ledger.calls_of_event("e1")
    assert (row.call_id, row.provider, row.state, row.reason) == ("c", "wibmo", State.COVERED, "why")
    assert (row.target, row.person) == ("t-1", "p-1")
    assert "k-1" not in ledger.key_needs(after(0)), "a unit that is settled needs no key"

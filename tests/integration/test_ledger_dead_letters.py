"""The operators' desk: each dead letter is replayed once, discarded with a reason, and opened by what is new only."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any, Final

import pytest
from ledger_figures import audits
from ledger_records import after, dead, entry, outcome, planned, refused

from tasks.outcome import State
from tasks.records import DeadLetter
from worker.ledger import (
    DeadLetterFilter,
    DeadLetterRow,
    DeadLetterState,
    Ledger,
)

pytest_plugins = ["ledger_fixtures"]


EVERY_STATE: Final = tuple(DeadLetterState)


def desk(ledger: Ledger) -> DeadLetterRow:
    """The only dead letter, in whatever state."""
    (row,) = ledger.dead_letters(DeadLetterFilter(states=EVERY_STATE))
    return row


def replayed(ledger: Ledger, letter: DeadLetter, generation: int = 1) -> None:
    """Claim *letter* and note its replay, as `revoker dead-letter replay` does."""
    assert ledger.claim([letter.dead_letter_id], audit=entry())
    ledger.mark_replayed({letter.dead_letter_id: generation})


def test_a_dead_call_is_on_the_desk_with_all_a_replay_needs(ledger: Ledger) -> None:
    """The document is the dead letter as it came, sealed credential included."""
    ledger.record([planned(), dead()])
    row = desk(ledger)
    assert row.letter == dead()
    assert (row.state, row.call_state, row.tries, row.at) == (DeadLetterState.DEAD, State.DEAD, 1, after(9))


def test_two_replays_at_once_get_each_dead_letter_once(ledger: Ledger) -> None:
    """A claim is atomic, from however many threads and processes."""
    letters = [dead(f"e{number}") for number in range(40)]
    ledger.record(letters)
    ids = [letter.dead_letter_id for letter in letters]
    with ThreadPoolExecutor(4) as threads:
        claims = threads.map(lambda order: ledger.claim(order, audit=entry()), [ids, ids[::-1]] * 2)
        claimed = [row.dead_letter_id for rows in claims for row in rows]
    assert sorted(claimed) == sorted(ids)


def test_a_claim_whose_replay_never_finished_can_be_claimed_again(ledger: Ledger) -> None:
    """A replay that was killed half way must not keep its dead letters for ever."""
    ledger.record([dead()])
    ids = [dead().dead_letter_id]
    assert len(ledger.claim(ids, audit=entry())) == 1
    assert ledger.claim(ids, audit=entry(), lease=timedelta(hours=1)) == []
    assert len(ledger.claim(ids, audit=entry(), lease=timedelta(seconds=-1))) == 1


def test_a_forced_replay_opens_what_was_discarded(ledger: Ledger) -> None:
    """An operator may be wrong; without force the tombstone stays shut."""
    ledger.record([planned(), dead()])
    ids = [dead().dead_letter_id]
    ledger.discard(ids, audit=entry("discard"))
    assert ledger.claim(ids, audit=entry()) == []
    assert len(ledger.claim(ids, audit=entry(), also=[DeadLetterState.DISCARDED])) == 1
    ledger.mark_replayed({ids[0]: 1})
    assert (desk(ledger).state, desk(ledger).call_state) == (DeadLetterState.REPLAYED, State.REPLAYED)


def test_a_released_claim_is_dead_again(ledger: Ledger) -> None:
    """What was not published is free for the next replay."""
    ledger.record([dead()])
    ledger.claim([dead().dead_letter_id], audit=entry())
    ledger.release_claim(dead().dead_letter_id)
    assert (desk(ledger).state, desk(ledger).claimed_by) == (DeadLetterState.DEAD, None)


def test_a_replay_that_settles_shows_at_the_call(ledger: Ledger) -> None:
    """On its way it is `replayed`; the dead letter stays so when the call is settled."""
    ledger.record([planned(), dead()])
    replayed(ledger, dead())
    assert ledger.calls_of_event("e1")[0].state is State.REPLAYED
    ledger.record([outcome(State.ACCEPTED, at=60, replays=1)])
    row = desk(ledger)
    assert (row.state, row.call_state) == (DeadLetterState.REPLAYED, State.ACCEPTED)


def test_a_replay_that_dies_again_returns_to_the_desk(ledger: Ledger) -> None:
    """One row: the first reason is kept, the replays are counted."""
    ledger.record([dead(reason="http.5xx")])
    replayed(ledger, dead())
    ledger.record([dead(reason="auth.forbidden", at=70, replays=1)])
    row = desk(ledger)
    assert (row.state, row.reason, row.first_reason) == (DeadLetterState.DEAD, "auth.forbidden", "http.5xx")
    assert (row.replays, row.first_at, row.at, row.claimed_by) == (1, after(9), after(70), None)


def test_a_second_death_recorded_before_the_replay_was_noted_stays_dead(ledger: Ledger) -> None:
    """The worker may be faster than the command that replays."""
    ledger.record([dead()])
    ledger.claim([dead().dead_letter_id], audit=entry())
    ledger.record([dead(at=70, replays=1)])
    ledger.mark_replayed({dead().dead_letter_id: 1})
    assert (desk(ledger).state, desk(ledger).call_state) == (DeadLetterState.DEAD, State.DEAD)


def test_a_late_note_of_an_old_replay_leaves_the_next_claim_alone(ledger: Ledger) -> None:
    """It died and somebody else has it by now: that replay is still to come."""
    ledger.record([dead()])
    ledger.claim([dead().dead_letter_id], audit=entry())
    ledger.record([dead(at=70, replays=1)])
    ledger.claim([dead().dead_letter_id], audit=entry())
    ledger.mark_replayed({dead().dead_letter_id: 1})
    assert desk(ledger).state is DeadLetterState.CLAIMED


@pytest.mark.parametrize("state", [DeadLetterState.CLAIMED, DeadLetterState.REPLAYED, DeadLetterState.DISCARDED])
def test_an_old_copy_changes_nothing_of_what_an_operator_did(ledger: Ledger, state: DeadLetterState) -> None:
    """The queue may deliver the same death again, hours later."""
    ledger.record([dead()])
    ids = [dead().dead_letter_id]
    match state:
        case DeadLetterState.CLAIMED:
            ledger.claim(ids, audit=entry())
        case DeadLetterState.REPLAYED:
            replayed(ledger, dead())
        case _:
            ledger.discard(ids, audit=entry("discard"))
    before = desk(ledger)
    ledger.record([dead(), dead(at=99, reason="net.tls")])
    assert before.state is state
    assert desk(ledger) == before


KINDS: Final = ("event", "unit", "message")


def closed(ledger: Ledger, letter: DeadLetter, state: DeadLetterState, generation: int = 1) -> None:
    """Have an operator discard or replay *letter*."""
    if state is DeadLetterState.DISCARDED:
        ledger.discard([letter.dead_letter_id], audit=entry("discard"))
    else:
        replayed(ledger, letter, generation)
    assert desk(ledger).state is state


CLOSED: Final = pytest.mark.parametrize("state", [DeadLetterState.REPLAYED, DeadLetterState.DISCARDED])


@CLOSED
@pytest.mark.parametrize("kind", KINDS)
def test_a_new_message_opens_what_was_closed(ledger: Ledger, state: DeadLetterState, kind: str) -> None:
    """Its producer said it once more: that is never gone without a trace, whatever became of the first."""
    ledger.record([refused("e1", kind)])
    closed(ledger, refused("e1", kind), state)
    again = refused("e1", kind, at=after(3.000001), reason="event.access_denied")
    ledger.record([again])
    row = desk(ledger)
    assert (row.state, row.at, row.reason, row.letter) == (DeadLetterState.DEAD, again.at, again.reason, again)
    assert (row.first_at, row.first_reason, row.claimed_by) == (after(3), "event.invalid_time", None)


@CLOSED
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("late", "is_open"),
    [
        ({}, False),
        ({"at": after(2)}, False),
        ({"at": after(4), "redelivered": True}, False),
        ({"at": after(603), "redelivered": True}, False),
        ({"at": after(604), "redelivered": True}, True),
        ({"at": after(9999), "replays": 1}, False),
    ],
)
def test_a_late_copy_of_the_same_message_opens_nothing(
    ledger: Ledger, state: DeadLetterState, kind: str, late: dict[str, Any], *, is_open: bool
) -> None:
    """The letter delivered again; the message, soon after; a captured replay. Later on one too many is shown."""
    replays = late.get("replays", 0)
    ledger.record([refused("e1", kind, replays=replays)])
    closed(ledger, refused("e1", kind), state, replays + 1)
    ledger.record([refused("e1", kind, **late)])
    assert (desk(ledger).state is DeadLetterState.DEAD) == is_open


def test_a_generation_never_goes_back(ledger: Ledger) -> None:
    """A letter that was replayed, died and was discarded, opened by a new message: its next replay is the third."""
    ledger.record([refused("e1")])
    replayed(ledger, refused("e1"))
    ledger.record([refused("e1", at=after(5), replays=1)])
    closed(ledger, refused("e1"), DeadLetterState.DISCARDED)
    new = refused("e1", at=after(9))
    ledger.record([new])
    assert (desk(ledger).state, desk(ledger).replays, desk(ledger).letter) == (DeadLetterState.DEAD, 1, new)
    closed(ledger, refused("e1"), DeadLetterState.REPLAYED, generation=2)
    ledger.record([refused("e1", at=after(5), replays=1)])
    assert desk(ledger).state is DeadLetterState.REPLAYED
    ledger.record([refused("e1", at=after(12), replays=2)])
    assert (desk(ledger).state, desk(ledger).replays) == (DeadLetterState.DEAD, 2)


def test_a_new_message_leaves_a_claim_alone(ledger: Ledger) -> None:
    """Somebody is replaying the same; what comes of that is the trace of both."""
    ledger.record([refused("e1")])
    ledger.claim([refused("e1").dead_letter_id], audit=entry())
    ledger.record([refused("e1", at=after(9))])
    assert desk(ledger).state is DeadLetterState.CLAIMED


def test_deaths_in_any_order_keep_the_first_reason_and_the_last(ledger: Ledger) -> None:
    """The second death may be recorded before the first."""
    ledger.record([dead(reason="net.tls", at=50, replays=1)])
    ledger.record([dead(reason="http.5xx", at=9, replays=0)])
    row = desk(ledger)
    assert (row.first_reason, row.reason, row.first_at, row.at) == ("http.5xx", "net.tls", after(9), after(50))


def test_a_discard_leaves_a_tombstone_and_a_discarded_call(ledger: Ledger) -> None:
    """Nothing is deleted: who, why and what stay readable."""
    ledger.record([planned(), dead()])
    done = ledger.discard([dead().dead_letter_id, "unknown"], audit=entry("discard"))
    row = desk(ledger)
    assert (row.state, row.call_state, row.audit_id) == (DeadLetterState.DISCARDED, State.DISCARDED, done.audit_id)
    assert (done.count, audits(ledger)) == (1, [done])
    assert ledger.dead_letters() == []


def test_what_somebody_is_replaying_cannot_be_discarded(ledger: Ledger) -> None:
    """The claim decides, as it does between two replays."""
    ledger.record([dead()])
    ledger.claim([dead().dead_letter_id], audit=entry())
    assert ledger.discard([dead().dead_letter_id], audit=entry("discard")).count == 0


def test_a_refused_event_and_an_unresolvable_unit_are_dead_letters_too(ledger: Ledger) -> None:
    """They stand among the parts of their event, and a replay marks them."""
    ledger.record([planned(), refused("e1", kind="unit", provider="wibmo", reason="route.unresolvable")])
    unit = next(row for row in ledger.calls_of_event("e1") if row.kind == "unit")
    assert (unit.state, unit.provider, unit.call_id) == (State.DEAD, "wibmo", None)
    replayed(ledger, refused("e1", kind="unit"))
    assert [row.state for row in ledger.calls_of_event("e1")] == [State.PLANNED, State.REPLAYED]

"""Which dead letters a replay leaves alone, and what force can do about it."""

from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pytest
from replay_desk import EVERY, MAX_AGES, Desk, audit, dead_call, dead_unit, told

from tasks.outcome import State
from tasks.providers import genesys
from worker.ledger import DeadLetterRow
from worker.operations.replay_rules import Refusal, plan_replay

pytest_plugins = ["desk_fixtures"]


def refusal_of(desk: Desk, row: DeadLetterRow, *, force: bool = False) -> Refusal | None:
    """Why *row* is not replayed, None where it is."""
    plan = plan_replay([row], desk.ledger, datetime.now(UTC), MAX_AGES, force=force)
    return plan.refused[0][1] if plan.refused else None


def test_a_settled_call_is_not_replayed(local_desk: Desk) -> None:
    """Another delivery of the same call reached the goal."""
    letter = dead_call()
    local_desk.fill(letter)
    local_desk.ledger.record([told(letter, State.ACCEPTED, replays=0)])
    assert refusal_of(local_desk, local_desk.row(letter)) is Refusal.SETTLED
    assert refusal_of(local_desk, local_desk.row(letter), force=True) is None


@pytest.mark.parametrize(
    ("event_type", "age", "expected"),
    [
        ("session.ended", timedelta(hours=47), None),
        ("session.ended", timedelta(hours=49), Refusal.TOO_OLD),
        ("user.disabled", timedelta(days=6), None),
        ("user.disabled", timedelta(days=8), Refusal.TOO_OLD),
    ],
)
def test_an_old_event_is_not_replayed(
    local_desk: Desk, event_type: str, age: timedelta, expected: Refusal | None
) -> None:
    """48 hours for a session, seven days for a user."""
    [row] = local_desk.fill(dead_call(event_type=event_type, occurred_at=datetime.now(UTC) - age))
    assert refusal_of(local_desk, row) is expected


MOMENT: Final = datetime.now(UTC) - timedelta(hours=1)
WIDE: Final[dict[str, Any]] = {
    "provider": "genesys",
    "operation": genesys.DELETE_TOKEN,
    "event_type": "user.disabled",
    "target_key": "alices-id",
    "person_key": "alices-names",
    "occurred_at": MOMENT,
}
SESSION: Final = {**WIDE, "operation": genesys.DELETE_TOKENS_ME, "target_key": "alices-token"}


@pytest.mark.parametrize("dead", [WIDE, SESSION, {**SESSION, "target_key": None}])
@pytest.mark.parametrize(
    ("other", "expected"),
    [
        ({}, Refusal.SUPERSEDED),
        ({"occurred_at": MOMENT}, None),
        ({"occurred_at": MOMENT - timedelta(minutes=1)}, None),
        ({"at": MOMENT - timedelta(seconds=1)}, None),
        ({"provider": "genesys-eu"}, None),
        ({"target_key": "bobs-id", "person_key": "bobs-names"}, None),
        ({"target_key": "bobs-id", "person_key": None}, None),
        ({"target_key": None, "person_key": None}, None),
        *(({"state": state}, None) for state in (State.PLANNED, State.RETRYING, State.HELD, State.DEAD)),
    ],
)
def test_a_superseded_call_is_not_replayed(
    local_desk: Desk, dead: dict[str, Any], other: dict[str, Any], expected: Refusal | None
) -> None:
    """A proven call of a later event, for the same user id or with all names the same; not what many people share."""
    letter = dead_call(**dead)
    later = WIDE | {"occurred_at": MOMENT + timedelta(minutes=1)} | other
    news = {"state": later.pop("state", State.CONFIRMED), "at": later.pop("at", datetime.now(UTC))}
    local_desk.fill(letter)
    local_desk.ledger.record([told(dead_call(**later), **news)])
    assert refusal_of(local_desk, local_desk.row(letter)) is expected
    assert refusal_of(local_desk, local_desk.row(letter), force=True) is None


@pytest.mark.parametrize(("dead", "expected"), [(WIDE, Refusal.SUPERSEDED), (SESSION, None)])
def test_a_call_for_a_user_who_was_enabled_since_is_not_replayed(
    local_desk: Desk, dead: dict[str, Any], expected: Refusal | None
) -> None:
    """By the same source; the session that the event listed is ended all the same."""
    letter = dead_call(**dead)
    enabled = {"event_type": "user.enabled", "occurred_at": MOMENT + timedelta(minutes=1)}
    local_desk.fill(letter)
    local_desk.ledger.record([told(dead_call(**WIDE | enabled), State.ENABLED, at=datetime.now(UTC))])
    assert refusal_of(local_desk, local_desk.row(letter)) is expected
    assert refusal_of(local_desk, local_desk.row(letter), force=True) is None


@pytest.mark.parametrize(
    ("reason", "expected"), [("event.stale", Refusal.TOO_OLD), ("event.id_conflict", Refusal.CONFLICT)]
)
def test_what_the_memory_refused_is_replayed_by_force_alone(local_desk: Desk, reason: str, expected: Refusal) -> None:
    """The intake takes an operator's replay as decided, so a replay of everything must not bring these along."""
    [row] = local_desk.fill(dead_unit(kind="event", provider=None, event_type=None, reason=reason))
    assert refusal_of(local_desk, row) is expected
    assert refusal_of(local_desk, row, force=True) is None


def test_what_cannot_be_replayed_is_refused_even_by_force(local_desk: Desk) -> None:
    """A body that was not stored cannot be sent; a message that is none of ours nobody understands."""
    local_desk.fill(dead_unit(kind="event", body=None), dead_unit(kind="message", provider=None))
    plan = plan_replay(
        local_desk.ledger.dead_letters(EVERY), local_desk.ledger, datetime.now(UTC), MAX_AGES, force=True
    )
    assert sorted(why for _, why in plan.refused) == [Refusal.NOT_OURS, Refusal.NOT_STORED]


def test_a_discarded_dead_letter_comes_back_by_force(local_desk: Desk) -> None:
    """The tombstone holds all that a replay needs."""
    letter = dead_call()
    local_desk.fill(letter)
    local_desk.ledger.discard([letter.dead_letter_id], audit=audit())
    assert refusal_of(local_desk, local_desk.row(letter)) is Refusal.DISCARDED
    assert local_desk.replay([local_desk.row(letter)], force=True).replayed == 1
    assert len(local_desk.replayed()) == 1

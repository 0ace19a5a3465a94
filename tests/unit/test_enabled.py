"""A user who was enabled again: older calls for all their sessions are not made, and no later one is ever spared."""

from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from provider_calls import session_call

from tasks.call import Lane, ProviderCall
from tasks.outcome import Settled, State
from tasks.providers import genesys
from tasks.records import outcome_of_call
from worker.calls.enabled import ENABLED_BY, EnabledUsers
from worker.database.thread import DatabaseThread
from worker.ledger.enabled import EnabledRow

NOON: Final = datetime(2026, 11, 26, 12, tzinfo=UTC)
USER: Final = "6f3f2f0e-52f4-5d2b-9a53-5a8f1f4f2a11"
HR, OTHER, ADA, BOB = "urn:hr", "urn:other", "ada-at-genesys", "bob-at-genesys"


def at(minutes: float) -> datetime:
    """So many minutes after noon."""
    return NOON + timedelta(minutes=minutes)


def disabled(minutes: float, source: str = HR, target: str | None = ADA, **members: Any) -> ProviderCall:
    """The call of a user.disabled of that time, for every session of the user."""
    usual = {"operation": genesys.DELETE_TOKEN, "lane": Lane.URGENT, "user_id": USER, "event_type": "user.disabled"}
    named = {"source": source, "target_key": target, "occurred_at": at(minutes)}
    return session_call("e1", "genesys", **{**usual, **named, **members})


def enabled(
    minutes: float, source: str = HR, target: str = ADA, change: int = 1, received: float | None = None
) -> EnabledRow:
    """That *source* enabled a user then; told at once, unless *received* at another minute."""
    arrived = at(minutes if received is None else received)
    return EnabledRow(source, target, f"enabled-{change}", at(minutes), arrived, change)


def users(*rows: EnabledRow, most: int = 100) -> EnabledUsers:
    """What a worker knows that has learnt *rows*; its ledger is asked nothing."""
    thread = DatabaseThread("sqlite:////nowhere/ledger.sqlite3")
    thread.close()
    known = EnabledUsers(thread, most)
    known.learn(rows)
    return known


@pytest.mark.parametrize(("minutes", "is_spared"), [(-1, True), (0, False), (0.001, False), (5, False)])
def test_only_what_is_older_is_superseded(minutes: float, *, is_spared: bool) -> None:
    """At the same moment the user is disabled: in doubt a call too many."""
    found = users(enabled(0)).known_of(disabled(minutes))
    expected = Settled(State.SUPERSEDED, "a later user.enabled", {ENABLED_BY: "enabled-1"})
    assert found == (expected if is_spared else None)


@pytest.mark.parametrize(
    "other",
    [
        {"source": OTHER},
        {"target": BOB},
        {"target": None},
        {"event_type": "user.compromised"},
        {"event_type": "session.ended"},
        {"user_id": None, "jwe": "a.b.c.d.e", "operation": genesys.DELETE_TOKENS_ME},
    ],
)
def test_nothing_but_the_same_sources_call_for_the_same_user_is_superseded(other: dict[str, Any]) -> None:
    """Not another source's, another user's or another type's, and not that of a session which the event lists."""
    assert users(enabled(0)).known_of(disabled(-1, **other)) is None


@pytest.mark.parametrize(("minutes", "is_spared"), [(-1, True), (0, False), (2, False), (4, False), (5, False)])
def test_a_clock_that_is_ahead_spares_nobody_who_is_disabled_next(minutes: float, *, is_spared: bool) -> None:
    """What is told ahead of its time, as far as that is let in, counts from when it came."""
    assert (users(enabled(5, received=0)).known_of(disabled(minutes)) is not None) is is_spared


@pytest.mark.parametrize(("replayed", "is_spared"), [(-30, True), (4.9, True), (5, False), (30, False), (None, True)])
def test_what_an_operator_replayed_is_superseded_by_what_came_after(replayed: float | None, *, is_spared: bool) -> None:
    """Whatever its time: who forced the replay overruled what was known, and nothing else."""
    call = disabled(-60, replays=1, planned_at=None if replayed is None else at(replayed))
    assert (users(enabled(0, received=5)).known_of(call) is not None) is is_spared
    assert users(enabled(-60, received=5)).known_of(call) is None


MINUTES = st.integers(0, 4)
STEPS: Final = st.lists(
    st.tuples(st.booleans(), MINUTES, MINUTES, st.sampled_from([HR, OTHER]), st.sampled_from([ADA, BOB])), max_size=12
)


@given(STEPS, st.sampled_from([1, 2, 100]))
def test_any_order_of_delivery_ends_as_the_times_say(steps: list[tuple[bool, int, int, str, str]], most: int) -> None:
    """After each step every call that came is asked for: one that was disabled last is spared at no time.

    A worker that has forgotten somebody makes a call too many, and never spares one more.
    """
    known = users(most=most)
    waiting: list[tuple[int, str, str]] = []
    came: list[tuple[int, str, str]] = []
    for number, (is_disabled, minutes, ahead, source, target) in enumerate(steps):
        if is_disabled:
            waiting.append((minutes, source, target))
        else:
            came.append((minutes, source, target))
            known.learn([enabled(minutes + ahead, source, target, change=number, received=minutes)])
        for moment, *whose in waiting:
            is_spared = known.known_of(disabled(moment, *whose)) is not None
            is_over = any(later > moment for later, *others in came if others == whose)
            assert is_spared is is_over if most == 100 else is_over or not is_spared


def test_what_was_superseded_was_not_revoked() -> None:
    """It has no time to revoke: its token may live."""
    assert outcome_of_call(disabled(-1), State.SUPERSEDED, at(9), 0).exposure_seconds is None
    assert outcome_of_call(disabled(-1), State.ACCEPTED, at(9), 1).exposure_seconds == 600

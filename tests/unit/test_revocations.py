"""The story of a task: execute, one match, settle."""

from datetime import timedelta

import pytest
from recording_runtime import NOW, RecordingRuntime, call

from tasks.call import Attempt
from tasks.outcome import Listed, Permanent, Reason, Settled, State, Transient
from tasks.revocations import revoke
from tasks.runtime import Held


@pytest.mark.parametrize("state", [State.ACCEPTED, State.CONFIRMED, State.ALREADY_REVOKED])
async def test_a_reached_goal_is_recorded(state: State) -> None:
    """Once, with its state, and nothing else happens."""
    runtime = RecordingRuntime(Settled(state, "204"))
    assert await revoke(runtime, call()) is state
    assert runtime.settled == [("settle", state)]


async def test_a_transient_failure_is_retried_with_its_history() -> None:
    """The broker brings it back, and the next attempt knows of this one."""
    runtime = RecordingRuntime(Transient(Reason.HTTP_5XX, detail={"code": "x"}))
    assert await revoke(runtime, call()) is State.RETRYING
    assert runtime.settled == [("retry", 1)]
    assert runtime.last is not None
    assert [(each.reason, each.delay, each.detail) for each in runtime.last.attempts] == [
        (Reason.HTTP_5XX, 1, {"code": "x"})
    ]


async def test_what_a_list_holds_gets_calls_before_the_list_is_asked_for_again() -> None:
    """Each item one; also where nobody asks for the list any more, because attempts or budget are spent."""
    first, then = (
        Listed(Reason.PROVIDER_IN_PROGRESS, None, {}, "http.revoke_listed", each) for each in (("a",), ("a", "b"))
    )
    runtime = RecordingRuntime(first, then)
    await revoke(runtime, call())
    assert runtime.last is not None
    await revoke(runtime, runtime.last.model_copy(update={"deadline": NOW}))
    dead = ("dead", Reason.PROVIDER_IN_PROGRESS)
    assert runtime.settled == [("begin", ["a"]), ("retry", 1), ("begin", ["b"]), dead]


async def test_retry_after_is_a_floor() -> None:
    """Never called earlier than asked; a tenth on top spreads the crowd."""
    runtime = RecordingRuntime(Transient(Reason.HTTP_429, retry_after=30))
    await revoke(runtime, call())
    assert runtime.settled == [("retry", 33)]


async def test_a_spent_policy_ends_as_a_dead_letter_with_the_last_reason() -> None:
    """The third failure of three, with all three attempts in the letter."""
    runtime = RecordingRuntime(*[Transient(Reason.NET_TIMEOUT)] * 3)
    made = call()
    for _ in range(3):
        state = await revoke(runtime, made)
        assert runtime.last is not None
        made = runtime.last
    assert (state, runtime.settled[-1], len(made.attempts)) == (State.DEAD, ("dead", Reason.NET_TIMEOUT), 3)


async def test_a_spent_budget_ends_as_a_dead_letter() -> None:
    """No retry is scheduled beyond the deadline."""
    runtime = RecordingRuntime(Transient(Reason.HTTP_5XX))
    assert await revoke(runtime, call(deadline=NOW)) is State.DEAD
    assert runtime.settled == [("dead", Reason.HTTP_5XX)]
    assert runtime.last is not None
    assert [each.reason for each in runtime.last.attempts] == [Reason.HTTP_5XX]


async def test_a_call_of_which_only_the_record_is_missing_is_not_made_again() -> None:
    """Its outcome could not be told: nobody asks the provider once more for that."""
    runtime = RecordingRuntime(Permanent(Reason.AUTH_FORBIDDEN))
    known = Settled(State.CONFIRMED, "204; probe 401", {"died": "x"})
    assert await revoke(runtime, call(deadline=NOW - timedelta(days=1)).knowing(known, NOW)) is State.CONFIRMED
    assert (runtime.executed, runtime.settled) == (0, [("settle", State.CONFIRMED)])


async def test_a_permanent_failure_is_dead_at_once() -> None:
    """Waiting does not help. The attempt that killed it is on record, with what the provider said."""
    runtime = RecordingRuntime(Permanent(Reason.AUTH_FORBIDDEN, detail={"code": "missing.permission"}))
    assert await revoke(runtime, call()) is State.DEAD
    assert (runtime.settled, runtime.detail) == ([("dead", Reason.AUTH_FORBIDDEN)], {"code": "missing.permission"})
    assert runtime.last is not None
    assert runtime.last.attempts == (Attempt(at=NOW, reason=Reason.AUTH_FORBIDDEN, detail=dict(runtime.detail)),)


async def test_a_held_call_burns_no_attempt() -> None:
    """It comes back exactly as it was."""
    runtime = RecordingRuntime(Held(Reason.AUTH_UNAUTHORIZED, 15))
    made = call()
    assert await revoke(runtime, made) is State.HELD
    assert (runtime.settled, runtime.last) == ([("hold", 15)], made)


ONCE = (Attempt(at=NOW, reason=Reason.HTTP_5XX),)


@pytest.mark.parametrize(
    ("tried", "attempts", "left", "expected"),
    [
        (True, (), 10, State.DEAD),
        (False, ONCE, 10, State.DEAD),
        (True, ONCE, 14, State.DEAD),
        (True, ONCE, 15, State.HELD),
        (False, (), 10, State.HELD),
    ],
)
async def test_a_hold_that_outlives_the_budget_is_dead(
    *, tried: bool, attempts: tuple[Attempt, ...], left: int, expected: State
) -> None:
    """Once it was tried, now or ever, a call is not kept for ever: an operator sees it, with what held it."""
    runtime = RecordingRuntime(Held(Reason.AUTH_UNAUTHORIZED, 15, tried=tried))
    late = call(attempts=attempts, deadline=NOW + timedelta(seconds=left))
    assert await revoke(runtime, late) is expected
    if expected is State.DEAD:
        assert runtime.settled == [("dead", Reason.BUDGET_EXHAUSTED)]
        assert runtime.detail == {"last": Reason.AUTH_UNAUTHORIZED}


async def test_a_call_that_was_never_tried_outlives_its_budget_behind_a_hold() -> None:
    """Nobody was asked yet: it is made once when the hold is over, however late."""
    runtime = RecordingRuntime(Held(Reason.AUTH_UNAUTHORIZED, 15), Transient(Reason.HTTP_5XX))
    late = call(deadline=NOW - timedelta(hours=1))
    assert await revoke(runtime, late) is State.HELD
    assert await revoke(runtime, late) is State.DEAD
    assert runtime.settled[-1] == ("dead", Reason.HTTP_5XX)


@pytest.mark.parametrize(
    ("ago", "expected"),
    [
        (timedelta(minutes=5, microseconds=1), State.EXPIRED),
        (timedelta(minutes=5), State.ACCEPTED),
        (timedelta(), State.ACCEPTED),
        (timedelta(minutes=-5), State.ACCEPTED),
    ],
)
async def test_a_token_safely_past_its_expiry_needs_no_call(ago: timedelta, expected: State) -> None:
    """Five minutes of margin: a token that may still live by somebody's clock is revoked."""
    runtime = RecordingRuntime(Settled(State.ACCEPTED, "204"))
    assert await revoke(runtime, call(occurred_at=NOW - ago, expires_at=NOW - ago)) is expected
    assert runtime.executed == (expected is State.ACCEPTED)

"""The story of a task: execute, one match, settle."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import pytest

from tasks.base import Held
from tasks.call import Lane, Operation, ProviderCall
from tasks.outcome import Permanent, Reason, Settled, State, Transient
from tasks.retry import RetryPolicy
from tasks.revocations import revoke

NOW = datetime(2026, 11, 21, 1, 20, tzinfo=UTC)
Verdict = Settled | Transient | Permanent | Held


class RecordingRuntime:
    """A runtime whose provider answers what the test says, and which remembers how each call was settled."""

    def __init__(self, *answers: Verdict) -> None:
        self.policy = RetryPolicy(chance=lambda: 1.0, max_attempts=3)
        self.answers = list(answers)
        self.settled: list[tuple[str, object]] = []
        self.last: ProviderCall | None = None

    def now(self) -> datetime:
        """The time, which stands still."""
        return NOW

    async def execute(self, call: ProviderCall) -> Verdict:
        """Answer as told."""
        return self.answers.pop(0)

    async def settle(self, call: ProviderCall, outcome: Settled) -> None:
        """Note it."""
        self.settled.append(("settle", outcome.state))

    async def retry(self, call: ProviderCall, delay: int) -> None:
        """Note it."""
        self.last = call
        self.settled.append(("retry", delay))

    async def hold(self, call: ProviderCall, held: Held) -> None:
        """Note it."""
        self.last = call
        self.settled.append(("hold", held.delay))

    async def dead_letter(self, call: ProviderCall, reason: str, detail: Mapping[str, str]) -> None:
        """Note it."""
        self.last = call
        self.settled.append(("dead", reason))

    async def publish_event(self, document: Mapping[str, object]) -> None:
        """Note it."""
        self.settled.append(("event", document))


def call(**changes: object) -> ProviderCall:
    """A routine call at its first attempt, but for *changes*."""
    made = ProviderCall(
        call_id="c-1",
        source="urn:test",
        event_id="e-1",
        event_type="session.ended",
        occurred_at=NOW,
        deadline=NOW + timedelta(hours=24),
        provider="finbourne",
        operation=Operation.FINBOURNE_INVALIDATE_TOKEN,
        lane=Lane.ROUTINE,
        subject="al…",
    )
    return made.model_copy(update=changes)


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


async def test_a_permanent_failure_is_dead_at_once() -> None:
    """Waiting does not help."""
    runtime = RecordingRuntime(Permanent(Reason.AUTH_FORBIDDEN))
    assert await revoke(runtime, call()) is State.DEAD
    assert runtime.settled == [("dead", Reason.AUTH_FORBIDDEN)]


async def test_a_held_call_burns_no_attempt() -> None:
    """It comes back exactly as it was."""
    runtime = RecordingRuntime(Held(Reason.AUTH_UNAUTHORIZED, 15))
    made = call()
    assert await revoke(runtime, made) is State.HELD
    assert (runtime.settled, runtime.last) == ([("hold", 15)], made)


async def test_a_hold_that_outlives_the_budget_is_dead() -> None:
    """A call is not kept for ever: an operator sees it, with what held it."""
    runtime = RecordingRuntime(Held(Reason.AUTH_UNAUTHORIZED, 15, tried=True))
    assert await revoke(runtime, call(deadline=NOW + timedelta(seconds=10))) is State.DEAD
    assert runtime.settled == [("dead", Reason.BUDGET_EXHAUSTED)]


async def test_a_call_that_was_never_tried_outlives_its_budget_behind_a_hold() -> None:
    """Nobody was asked yet: it is made once when the hold is over, however late."""
    runtime = RecordingRuntime(Held(Reason.AUTH_UNAUTHORIZED, 15), Transient(Reason.HTTP_5XX))
    late = call(deadline=NOW - timedelta(hours=1))
    assert await revoke(runtime, late) is State.HELD
    assert await revoke(runtime, late) is State.DEAD
    assert runtime.settled[-1] == ("dead", Reason.HTTP_5XX)


@pytest.mark.parametrize(("minutes", "expected"), [(-6, State.EXPIRED), (-4, State.ACCEPTED), (5, State.ACCEPTED)])
async def test_a_token_safely_past_its_expiry_needs_no_call(minutes: int, expected: State) -> None:
    """Five minutes of margin: a token that may still live by somebody's clock is revoked."""
    runtime = RecordingRuntime(Settled(State.ACCEPTED, "204"))
    assert await revoke(runtime, call(expires_at=NOW + timedelta(minutes=minutes))) is expected
    assert runtime.answers == ([] if expected is State.ACCEPTED else [Settled(State.ACCEPTED, "204")])

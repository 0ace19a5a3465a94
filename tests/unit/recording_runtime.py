"""A runtime that remembers what its tasks decided, and a call to try it with."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta

from tasks.call import Lane, ProviderCall
from tasks.outcome import Permanent, Settled, Transient
from tasks.providers import finbourne
from tasks.retry import RetryPolicy
from tasks.runtime import Held

NOW = datetime(2026, 11, 21, 1, 20, tzinfo=UTC)
Verdict = Settled | Transient | Permanent | Held


class LatestRetry(RetryPolicy):
    """The retry policy with chance at its worst."""

    def next_delay(
        self,
        attempt: int,
        remaining: float,
        retry_after: float | None = None,
        chance: Callable[[], float] = lambda: 1.0,
    ) -> int | None:
        """The longest delay that the policy may choose."""
        return super().next_delay(attempt, remaining, retry_after, chance)


class RecordingRuntime:
    """A runtime whose provider answers what the test says, and which remembers how each call was settled."""

    def __init__(self, *answers: Verdict) -> None:
        self.policy: RetryPolicy = LatestRetry(max_attempts=3)
        self.answers = list(answers)
        self.executed = 0  # calls that reached the provider
        self.settled: list[tuple[str, object]] = []
        self.last: ProviderCall | None = None
        self.detail: Mapping[str, str] = {}  # of the last dead letter

    def now(self) -> datetime:
        """The time, which stands still."""
        return NOW

    async def execute(self, call: ProviderCall) -> Verdict:
        """Answer as told."""
        self.executed += 1
        return self.answers.pop(0)

    async def settle(self, call: ProviderCall, outcome: Settled) -> None:
        """Note it."""
        self.settled.append(("settle", outcome.state))

    async def begin(self, call: ProviderCall, parts: Sequence[ProviderCall]) -> None:
        """Note them."""
        self.settled.append(("begin", [each.item_id for each in parts]))

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
        self.last, self.detail = call, dict(detail)
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
        operation=finbourne.INVALIDATE_TOKEN,
        lane=Lane.ROUTINE,
        subject="al…",
    )
    return made.model_copy(update=changes)

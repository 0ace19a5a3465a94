"""Workers with their circuit breakers on one ledger, and a provider that answers as it is told."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

from tasks.call import Lane, ProviderCall
from tasks.outcome import CredentialFault, Outcome, Reason, Settled, State, Transient
from tasks.providers import genesys
from tasks.runtime import Held
from worker.calls.holds.hold import HoldLimits
from worker.calls.holds.policy import CircuitBreakers, Verdict
from worker.database.thread import DatabaseThread

DONE = Settled(State.ACCEPTED, "204")
FAULT = CredentialFault(Reason.AUTH_FORBIDDEN)
DOWN = Transient(Reason.HTTP_5XX)
LIMITS = HoldLimits(
    first=0.4, cap=1.6, longest_pause=5, leases={"genesys": 5.0, "finbourne": 5.0}, worker_only=frozenset({"wibmo"})
)


def call(number: int, provider: str = "genesys", source: str = "urn:test") -> ProviderCall:
    """Call *number* of *source*, about a user of its own."""
    now = datetime.now(UTC)
    return ProviderCall(
        call_id=f"call-{number}",
        source=source,
        event_id=f"event-{number}",
        event_type="user.disabled",
        occurred_at=now,
        deadline=now + timedelta(hours=1),
        provider=provider,
        operation=genesys.DELETE_TOKEN,
        lane=Lane.URGENT,
        subject="a***@example.com",
        subject_keys=(f"user-{number}",),
    )


class Provider:
    """A provider that answers as told, and counts who reached it."""

    def __init__(self, outcome: Outcome, seconds: float = 0.0) -> None:
        self.outcome, self.seconds, self.asked = outcome, seconds, 0

    async def __call__(self) -> Outcome:
        """Answer."""
        self.asked += 1
        await asyncio.sleep(self.seconds)
        return self.outcome

    async def many(self, breakers: CircuitBreakers, count: int, *, own_credential: bool = True) -> list[Verdict]:
        """What *count* calls at once come to."""
        return await asyncio.gather(
            *(breakers.attempt(call(number), self, own_credential=own_credential) for number in range(count))
        )


@asynccontextmanager
async def started(url: str, limits: HoldLimits = LIMITS) -> AsyncIterator[CircuitBreakers]:
    """The breakers of a worker process."""
    thread = DatabaseThread(url)
    breakers = CircuitBreakers(limits, thread, chance=lambda: 0.0)
    await breakers.start()
    yield breakers
    await breakers.stop()
    thread.close()


async def is_free(breakers: CircuitBreakers) -> bool:
    """Whether a call goes, as the probe if need be."""
    return not isinstance(await breakers.attempt(call(99), Provider(DONE), own_credential=True), Held)

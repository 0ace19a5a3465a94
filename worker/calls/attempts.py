"""One attempt at a provider: made, timed, counted, and told in one wide line."""

import logging
import time
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Final

from tasks.call import ProviderCall
from tasks.outcome import Outcome, Reason, Settled
from tasks.providers.provider import Provider
from worker.observability import metrics
from worker.observability.metric import IN_PART, IN_PROGRESS

logger = logging.getLogger(__name__)

_TOOK: Final[ContextVar[float | None]] = ContextVar("took", default=None)


async def make(provider: Provider, call: ProviderCall) -> Outcome:
    """Make *call* at *provider* once, and return what came of it."""
    started = time.perf_counter()
    outcome = await provider.execute(call)
    seconds = time.perf_counter() - started
    _TOOK.set(round(seconds * 1000, 1))
    metrics.CALLS.add(call.provider, call.operation, name_of(outcome), _code_class(outcome))
    metrics.CALL_DURATION.observe(seconds, call.provider, call.operation)
    log(call, outcome)
    return outcome


def took() -> float | None:
    """Return the milliseconds of this task's attempt; None where none was made."""
    return _TOOK.get()


def log(call: ProviderCall, outcome: Outcome) -> None:
    """Write the line of one attempt at *call*."""
    if not logger.isEnabledFor(logging.INFO):
        return
    logger.info(
        "revocation.attempted",
        extra={
            "call_id": call.call_id,
            "event_id": call.event_id,
            "provider": call.provider,
            "operation": call.operation,
            "attempt": call.attempt,
            "outcome": str(name_of(outcome)),
            "reason": None if isinstance(outcome, Settled) else str(outcome.reason),
            "duration_ms": took(),
            "exposure_seconds": round((datetime.now(UTC) - call.occurred_at).total_seconds(), 3),
        },
    )


def name_of(outcome: Outcome) -> str:
    """The word for *outcome* in the log and in the metrics."""
    if isinstance(outcome, Settled):
        return IN_PART if outcome.detail.get("partial") else outcome.state
    return IN_PROGRESS if outcome.reason == Reason.PROVIDER_IN_PROGRESS else type(outcome).__name__.lower()


def _code_class(outcome: Outcome) -> str:
    """The class of the status that was answered, e.g. `2xx` (RFC 9110 section 15)."""
    status = outcome.detail.get("status")
    return f"{status[0]}xx" if status else metrics.NO_ANSWER

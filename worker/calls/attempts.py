"""One attempt at a provider: made, timed, counted, and told in one wide line."""

import logging
import time
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Final

from tasks.call import ProviderCall
from tasks.outcome import Outcome, Settled
from tasks.providers.provider import Provider
from worker.observability import metrics

logger = logging.getLogger(__name__)

_TOOK: Final[ContextVar[float | None]] = ContextVar("took", default=None)


async def make(provider: Provider, call: ProviderCall) -> Outcome:
    """Make *call* at *provider* once, and return what came of it."""
    started = time.perf_counter()
    outcome = await provider.execute(call)
    seconds = time.perf_counter() - started
    _TOOK.set(round(seconds * 1000, 1))
    metrics.CALLS.add(call.provider, call.operation, _name(outcome), _code_class(outcome))
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
            "outcome": str(_name(outcome)),
            "reason": None if isinstance(outcome, Settled) else str(outcome.reason),
            "duration_ms": took(),
            "exposure_seconds": round((datetime.now(UTC) - call.occurred_at).total_seconds(), 3),
        },
    )


def _name(outcome: Outcome) -> str:
    """The word for *outcome* in the log and in the metrics."""
    if not isinstance(outcome, Settled):
        return type(outcome).__name__.lower()
    return "in_part" if outcome.detail.get("partial") else outcome.state


def _code_class(outcome: Outcome) -> str:
    """The class of the status that was answered, e.g. `2xx` (RFC 9110 section 15)."""
    status = outcome.detail.get("status")
    return f"{status[0]}xx" if status else metrics.NO_ANSWER

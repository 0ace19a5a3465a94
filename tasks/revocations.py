"""The Celery tasks: one per provider operation, and one trusted door per event type for producers that speak Celery.

A task reads as its story: execute, one match, settle. Whatever it decides is confirmed by the broker before the
message is acknowledged, so a crash at any point repeats the call (harmless: a dead token stays dead) and loses none.
"""

from collections.abc import Callable, Mapping
from typing import Annotated, Any

from celery import Celery, Task
from pydantic import AfterValidator, TypeAdapter

from tasks.call import Attempt, Operation, ProviderCall
from tasks.events import EVENT_TYPES
from tasks.instants import EXPIRY_MARGIN, before, expiry_of
from tasks.outcome import Listed, Permanent, Reason, Settled, State, Transient
from tasks.providers import operations
from tasks.runtime import Held, Runtime


async def revoke(runtime: Runtime, call: ProviderCall) -> State:
    """Make one attempt at *call* and settle it: done, again later, held, or dead."""
    outcome = await _attempt(runtime, call)
    remaining = (call.deadline - runtime.now()).total_seconds()
    match outcome:
        case Settled(state=state):
            await runtime.settle(call, outcome)
            return state
        case Held(delay=delay, tried=known) if delay <= remaining or not (known or call.attempts):
            await runtime.hold(call, outcome)
            return State.HELD
        case Held(reason=reason):
            await runtime.dead_letter(call, Reason.BUDGET_EXHAUSTED, {"last": reason})
        case Transient(reason=reason, retry_after=asked, detail=detail):
            wait = runtime.policy.next_delay(call.attempt, remaining, asked)
            call = await _with_parts(runtime, call, outcome)
            tried = call.after(Attempt(at=runtime.now(), reason=reason, detail=dict(detail), delay=wait))
            if wait is not None:
                await runtime.retry(tried, wait)
                return State.RETRYING
            await runtime.dead_letter(tried, reason, detail)
        case Permanent(reason=reason, detail=detail):
            tried = call.after(Attempt(at=runtime.now(), reason=reason, detail=dict(detail)))
            await runtime.dead_letter(tried, reason, detail)
    return State.DEAD


async def _with_parts(runtime: Runtime, call: ProviderCall, outcome: Transient) -> ProviderCall:
    """Publish a call for each item that is new in the list; returns *call*, which knows of them.

    Before *call* itself comes back, and with ids of their own for good: after a crash the same are published again.
    """
    if not isinstance(outcome, Listed):
        return call
    parts = call.of_items(outcome.operation, outcome.items)
    if parts:
        await runtime.begin(call, parts)
    return call.having(parts)


async def _attempt(runtime: Runtime, call: ProviderCall) -> Settled | Transient | Permanent | Held:
    """Return a known outcome, expiry for a token that has safely outlived its own, else what the provider answers.

    The margin allows for clocks that differ. An expiry further than that before the session's end is not believed:
    somebody wrote local time for UTC, or never set it.
    """
    if call.known:
        return Settled(call.known.state, call.known.evidence, call.known.detail)
    expires_at = expiry_of(call.expires_at, call.occurred_at)
    earliest = before(call.occurred_at, EXPIRY_MARGIN)
    if expires_at is not None and earliest <= expires_at < before(runtime.now(), EXPIRY_MARGIN):
        return Settled(State.EXPIRED, "expires_at")
    return await runtime.execute(call)


def register(app: Celery, base: type[Task], runtime: Callable[[], Runtime]) -> None:
    """Register every task on *app*, each on *base*, which awaits a coroutine and has an *argument_type*."""
    for operation in operations():
        app.task(_revocation(runtime), name=operation, base=base, argument_type=call_for(operation))
    for door in EVENT_TYPES:
        app.task(_door(runtime), name=door, base=base, argument_type=TypeAdapter(dict[str, Any]))


def call_for(operation: Operation) -> TypeAdapter[ProviderCall]:
    """Return the type of the argument of *operation*'s task: a call for it, and for no other."""

    def same(call: ProviderCall) -> ProviderCall:
        if call.operation != operation:
            raise ValueError("a call for another task")
        return call

    return TypeAdapter(Annotated[ProviderCall, AfterValidator(same)])


def _revocation(runtime: Callable[[], Runtime]) -> Callable[..., Any]:
    async def run(call: ProviderCall | Mapping[str, Any]) -> State:
        return await revoke(runtime(), ProviderCall.model_validate(call))

    return run


def _door(runtime: Callable[[], Runtime]) -> Callable[..., Any]:
    async def run(event: Mapping[str, Any]) -> None:
        await runtime().publish_event(event)

    return run

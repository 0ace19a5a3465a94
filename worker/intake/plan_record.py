"""The record of a plan: what becomes of an event, for the ledger."""

from datetime import datetime

from tasks.call import ProviderCall
from tasks.events import Event
from tasks.outcome import State
from tasks.plan import Plan
from tasks.records import EventPlanned, PlannedUnit
from tasks.sealing import kid_of
from worker.intake.dead_letters import about_event


def plan_record(event: Event, plan: Plan, now: datetime) -> EventPlanned:
    """The record of *plan*, made of *event* at *now*."""
    calls = (_planned_unit(each, call) for call in plan.calls for each in (call, *call.covers))
    return EventPlanned(received_at=now, units=(*calls, *plan.units), **about_event(event, plan.naming))


def _planned_unit(call: ProviderCall, published: ProviderCall) -> PlannedUnit:
    """The line of *call* in the plan; where another one was *published* in its place, it awaits what that comes to."""
    return PlannedUnit(
        call_id=call.call_id,
        provider=call.provider,
        operation=call.operation,
        state=State.PLANNED,
        reason=None if call is published else f"awaits {published.operation}",
        kid=call.jwe and kid_of(call.jwe),
        target_key=call.target_key,
    )

"""The records that a revocation leaves behind, as the recorder hands them to the ledger."""

from datetime import UTC, datetime, timedelta
from typing import Any

from tasks import records
from tasks.call import Attempt, Lane, ProviderCall, call_id
from tasks.outcome import State
from tasks.providers import genesys
from tasks.records import CallOutcome, DeadLetter, EventPlanned, PlannedUnit
from worker.ledger import AuditEntry

START = datetime(2026, 5, 4, 9, 30, tzinfo=UTC)
TOKEN = genesys.DELETE_TOKEN


def after(seconds: float) -> datetime:
    """The time that many seconds after the event."""
    return START + timedelta(seconds=seconds)


def identity(event_id: str, provider: str = "genesys") -> str:
    """The call id of the only unit of an event at a provider."""
    return call_id("idp", event_id, provider, TOKEN, "u1")


def planned(event_id: str = "e1", **changed: object) -> EventPlanned:
    """An event that became one call, arrived a second after it happened."""
    unit = PlannedUnit(call_id=identity(event_id), provider="genesys", operation=TOKEN, state=State.PLANNED)
    told = EventPlanned(**_event(event_id), received_at=after(1), subject_keys=("key-1", "key-2"), units=(unit,))
    return told.model_copy(update=changed)


def outcome(state: State, event_id: str = "e1", *, attempt: int = 1, at: float = 2, **changed: object) -> CallOutcome:
    """What an attempt came to, *at* seconds after the event."""
    call = {"call_id": identity(event_id), "provider": "genesys", "operation": TOKEN, "replays": 0}
    told = CallOutcome(**_event(event_id), **call, at=after(at), state=state, attempt=attempt, subject_keys=("key-1",))
    return told.model_copy(update=changed)


def dead(
    event_id: str = "e1", reason: str = "http.5xx", *, at: float = 9, replays: int = 0, **changed: object
) -> DeadLetter:
    """The dead letter of a call that was tried once."""
    call = ProviderCall(
        **_event(event_id),
        call_id=identity(event_id, str(changed.get("provider", "genesys"))),
        deadline=after(3600),
        provider=str(changed.get("provider", "genesys")),
        operation=TOKEN,
        lane=Lane.URGENT,
        subject_keys=(f"key-of-{event_id}",),
        jwe="sealed",
        attempts=(Attempt(at=after(at), reason=reason),),
        replays=replays,
    )
    return records.dead_letter_of_call(call, reason, after(at)).model_copy(update=changed)


def refused(event_id: str, kind: str = "event", **changed: object) -> DeadLetter:
    """The dead letter of an event, or of one provider's part of it, that never became a call."""
    identity = records.dead_letter_id(kind, event_id)
    told = {"kind": kind, "dead_letter_id": identity, "reason": "event.invalid_time", "at": after(3)}
    return DeadLetter.model_validate(_event(event_id) | told | {"body": "e30=", "subject_keys": ("key-1",)} | changed)


def entry(action: str = "replay") -> AuditEntry:
    """An operator's reason."""
    return AuditEntry(actor="olga", action=action, scope="--provider genesys", reason="provider is back")


def _event(event_id: str) -> dict[str, Any]:
    return {
        "source": "idp",
        "event_id": event_id,
        "event_type": "user.disabled",
        "occurred_at": START,
        "subject": "al…m",
    }

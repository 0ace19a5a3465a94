"""The dead letters of events that become no calls, or not all of theirs: what people see, and what a replay needs."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING, Any

from tasks import records
from tasks.outcome import Reason, event_reason
from tasks.records import DeadLetter
from tasks.subject import masked_subject

if TYPE_CHECKING:
    from tasks.events import InvalidEvent, SessionEnded, UserDisabled
    from tasks.plan import RefusedUnit
    from tasks.subject import SubjectIndex
    from worker.admission.evidence import Evidence
    from worker.admission.judging import Denied


def of_refused(refusal: InvalidEvent, evidence: Evidence, now: datetime) -> DeadLetter:
    """Of what is no event that we could take; its body is kept where that holds no secret."""
    digest = _digest(evidence)
    return DeadLetter(
        kind="event",
        dead_letter_id=records.dead_letter_id("event", digest),
        reason=event_reason(refusal.code.value),
        replays=evidence.replays,
        at=now,
        detail={"pointer": refusal.pointer},
        source=refusal.source,
        event_id=refusal.event_id,
        body_sha256=digest,
        body_size=len(evidence.body),
        **(evidence.carried if refusal.body_storable else {}),
    )


def of_denied(denied: Denied, evidence: Evidence, now: datetime) -> DeadLetter:
    """Of what nobody may say; its body is kept: once the settings are mended a replay has it judged again."""
    letter, event = of_refused(denied.refusal, evidence, now), denied.event
    detail = {**letter.detail, "rule": denied.rule.value}
    return letter.model_copy(update={"detail": detail, "event_type": event.type, "occurred_at": event.time})


def of_held_back(
    event: SessionEnded | UserDisabled, evidence: Evidence, now: datetime, subjects: SubjectIndex
) -> DeadLetter:
    """Of what waits for an operator, because it is part of a flood."""
    return DeadLetter(
        kind="event",
        dead_letter_id=records.dead_letter_id("flood", event.source, event.id, _digest(evidence)),
        reason=Reason.GUARD_FLOOD,
        at=now,
        **_whole(event, evidence, subjects),
    )


def of_units(
    event: SessionEnded | UserDisabled,
    refused: Iterable[RefusedUnit],
    evidence: Evidence,
    now: datetime,
    subjects: SubjectIndex,
) -> list[DeadLetter]:
    """Of the parts of an event that no call could be planned for."""
    return [
        DeadLetter(
            kind="unit",
            dead_letter_id=records.dead_letter_id("unit", event.source, event.id, unit.provider),
            reason=unit.reason,
            at=now,
            provider=unit.provider,
            **_whole(event, evidence, subjects),
        )
        for unit in refused
    ]


def _whole(event: SessionEnded | UserDisabled, evidence: Evidence, subjects: SubjectIndex) -> dict[str, Any]:
    return {
        "source": event.source,
        "event_id": event.id,
        "event_type": event.type,
        "subject": masked_subject(event),
        "subject_keys": subjects.keys(event),
        "person_key": subjects.person(event),
        "occurred_at": event.time,
        "replays": evidence.replays,
        **evidence.carried,
    }


def _digest(evidence: Evidence) -> str:
    return hashlib.sha256(evidence.body).hexdigest()

"""The dead letters of events that become no calls, or not all of theirs: what people see, and what a replay needs.

What dies again on its replay is the same letter, by the id that its voucher tells. Otherwise a letter is named by all
that its replay would use, so that no message takes the place of another one's letter.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from tasks import records
from tasks.events import InvalidEvent
from tasks.outcome import Reason, event_reason
from tasks.records import DeadLetter
from tasks.subject_index import masked_subject

if TYPE_CHECKING:
    from tasks.events import SessionEnded, UserDisabled
    from tasks.plan import RefusedUnit
    from tasks.subject_index import SubjectIndex
    from worker.broker.provenance import Evidence
    from worker.intake.authorization import Denied


def of_refused(refusal: InvalidEvent, evidence: Evidence, now: datetime) -> DeadLetter:
    """Of what is no event that we could take; its body is kept where that holds no secret."""
    return DeadLetter(
        kind="event",
        dead_letter_id=_event_id(evidence),
        reason=event_reason(refusal.code.value),
        at=now,
        detail={"pointer": refusal.pointer},
        source=refusal.source,
        event_id=refusal.event_id,
        provider=evidence.only_provider,
        **_kept(evidence, storable=refusal.body_storable),
    )


def of_denied(denied: Denied, evidence: Evidence, now: datetime) -> DeadLetter:
    """Of what nobody may say; its body is kept: once the settings are mended a replay has it judged again."""
    letter, event = of_refused(denied.refusal, evidence, now), denied.event
    detail = {**letter.detail, "rule": denied.rule.value}
    return letter.model_copy(update={"detail": detail, "event_type": event.type, "occurred_at": event.time})


def of_given_up(
    found: SessionEnded | UserDisabled | InvalidEvent,
    evidence: Evidence,
    reason: str,
    at: datetime,
    detail: Mapping[str, str],
) -> DeadLetter:
    """Of what the broker gave up before an intake was done with it; nobody has judged who says it."""
    if isinstance(found, InvalidEvent):
        named, storable = {"source": found.source, "event_id": found.event_id}, found.body_storable
    else:
        named, storable = _named(found), True
    return DeadLetter(
        kind="event",
        dead_letter_id=_event_id(evidence),
        reason=reason,
        at=at,
        detail=dict(detail),
        provider=evidence.only_provider,
        **named,
        **_kept(evidence, storable=storable),
    )


def of_held_back(
    event: SessionEnded | UserDisabled, evidence: Evidence, now: datetime, subjects: SubjectIndex
) -> DeadLetter:
    """Of what waits for an operator, because it is part of a flood."""
    return DeadLetter(
        kind="event",
        dead_letter_id=evidence.letter or records.dead_letter_id("flood", evidence.digest),
        reason=Reason.GUARD_FLOOD,
        at=now,
        provider=evidence.only_provider,
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
    again = evidence.letter if evidence.only_provider else None
    return [
        DeadLetter(
            kind="unit",
            dead_letter_id=again or records.dead_letter_id("unit", evidence.digest, unit.provider),
            reason=unit.reason,
            at=now,
            provider=unit.provider,
            **_whole(event, evidence, subjects),
        )
        for unit in refused
    ]


def _event_id(evidence: Evidence) -> str:
    """A replay that came too late may be a stranger's copy of one: it opens no letter that is closed."""
    if evidence.voucher_expired:
        return records.dead_letter_id("expired", evidence.digest)
    return evidence.letter or records.dead_letter_id("event", evidence.digest)


def _whole(event: SessionEnded | UserDisabled, evidence: Evidence, subjects: SubjectIndex) -> dict[str, Any]:
    keys = {"subject_keys": subjects.keys(event), "person_key": subjects.person(event)}
    return {**_named(event), **keys, **_kept(evidence, storable=True)}


def _named(event: SessionEnded | UserDisabled) -> dict[str, Any]:
    return {
        "source": event.source,
        "event_id": event.id,
        "event_type": event.type,
        "subject": masked_subject(event),
        "occurred_at": event.time,
    }


def _kept(evidence: Evidence, *, storable: bool) -> dict[str, Any]:
    """What every letter keeps of its message."""
    return {
        "replays": evidence.replays,
        "redelivered": evidence.redelivered,
        "body_sha256": hashlib.sha256(evidence.body).hexdigest(),
        "body_size": len(evidence.body),
        **(evidence.carried if storable else {}),
    }

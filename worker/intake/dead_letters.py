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
from tasks.events import Event, InvalidEvent
from tasks.outcome import Reason, event_reason
from tasks.records import DeadLetter
from tasks.subject_index import masked_subject

if TYPE_CHECKING:
    from tasks.events import Event
    from tasks.plan import RefusedUnit
    from tasks.subject_index import SubjectIndex
    from worker.broker.provenance import Provenance
    from worker.intake.authorization import Denied


def of_refused(refusal: InvalidEvent, provenance: Provenance, now: datetime) -> DeadLetter:
    """Of what is no event that we could take; its body is kept where that holds no secret."""
    return DeadLetter(
        kind="event",
        dead_letter_id=_event_id(provenance),
        reason=event_reason(refusal.code.value),
        at=now,
        detail={"pointer": refusal.pointer},
        source=refusal.source,
        event_id=refusal.event_id,
        provider=provenance.only_provider,
        **_kept(provenance, storable=refusal.body_storable),
    )


def of_denied(denied: Denied, provenance: Provenance, now: datetime) -> DeadLetter:
    """Of what nobody may say; its body is kept: once the settings are mended a replay has it judged again."""
    letter, event = of_refused(denied.refusal, provenance, now), denied.event
    detail = {**letter.detail, "rule": denied.rule.value}
    return letter.model_copy(update={"detail": detail, "event_type": event.type, "occurred_at": event.time})


def of_given_up(
    found: Event | InvalidEvent,
    provenance: Provenance,
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
        dead_letter_id=_event_id(provenance),
        reason=reason,
        at=at,
        detail=dict(detail),
        provider=provenance.only_provider,
        **named,
        **_kept(provenance, storable=storable),
    )


def of_held_back(event: Event, provenance: Provenance, now: datetime, subjects: SubjectIndex) -> DeadLetter:
    """Of what waits for an operator, because it is part of a flood."""
    return DeadLetter(
        kind="event",
        dead_letter_id=provenance.letter or records.dead_letter_id("flood", provenance.digest),
        reason=Reason.GUARD_FLOOD,
        at=now,
        provider=provenance.only_provider,
        **_whole(event, provenance, subjects),
    )


def of_units(
    event: Event,
    refused: Iterable[RefusedUnit],
    provenance: Provenance,
    now: datetime,
    subjects: SubjectIndex,
) -> list[DeadLetter]:
    """Of the parts of an event that no call could be planned for."""
    again = provenance.letter if provenance.only_provider else None
    return [
        DeadLetter(
            kind="unit",
            dead_letter_id=again or records.dead_letter_id("unit", provenance.digest, unit.provider),
            reason=unit.reason,
            at=now,
            provider=unit.provider,
            **_whole(event, provenance, subjects),
        )
        for unit in refused
    ]


def _event_id(provenance: Provenance) -> str:
    """A replay that came too late may be a stranger's copy of one: it opens no letter that is closed."""
    if provenance.voucher_expired:
        return records.dead_letter_id("expired", provenance.digest)
    return provenance.letter or records.dead_letter_id("event", provenance.digest)


def _whole(event: Event, provenance: Provenance, subjects: SubjectIndex) -> dict[str, Any]:
    keys = {"subject_keys": subjects.keys(event), "person_key": subjects.person(event)}
    return {**_named(event), **keys, **_kept(provenance, storable=True)}


def _named(event: Event) -> dict[str, Any]:
    return {
        "source": event.source,
        "event_id": event.id,
        "event_type": event.type,
        "subject": masked_subject(event),
        "occurred_at": event.time,
    }


def _kept(provenance: Provenance, *, storable: bool) -> dict[str, Any]:
    """What every letter keeps of its message."""
    return {
        "replays": provenance.replays,
        "redelivered": provenance.redelivered,
        "body_sha256": hashlib.sha256(provenance.body).hexdigest(),
        "body_size": len(provenance.body),
        **(provenance.carried if storable else {}),
    }

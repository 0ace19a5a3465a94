"""The dead letters of events that become no calls, or not all of theirs: what people see, and what a replay needs.

What dies again on its replay is the same letter, by the id that its voucher tells. Otherwise a letter is named by all
that its replay would use, so that no message takes the place of another one's letter.
"""

import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from tasks import records
from tasks.events import Event, InvalidEvent, RejectionCode
from tasks.outcome import Reason, event_reason
from tasks.plan import RefusedUnit
from tasks.records import DeadLetter
from tasks.subject_index import SubjectIndex, masked_subject
from worker.broker.provenance import Provenance
from worker.intake.authorization import Denied


def of_refused(refusal: InvalidEvent, provenance: Provenance, now: datetime) -> DeadLetter:
    """Of what is no event that we could take; its body is kept where that holds no secret."""
    about = {"source": refusal.source, "event_id": refusal.event_id, "detail": {"pointer": refusal.pointer}}
    reason = event_reason(refusal.code.value)
    return _letter(provenance, _event_id(provenance), reason, now, about, storable=refusal.body_storable)


def of_denied(denied: Denied, provenance: Provenance, now: datetime) -> DeadLetter:
    """Of what its source may not say; its body is kept: once the settings are mended, a replay is authorised again."""
    event, detail = denied.event, {"pointer": denied.pointer, "rule": denied.rule.value}
    reason = event_reason(RejectionCode.ACCESS_DENIED)
    return _letter(provenance, _event_id(provenance), reason, now, about_event(event, {"detail": detail}))


def of_given_up(
    found: Event | InvalidEvent, provenance: Provenance, reason: str, at: datetime, detail: Mapping[str, str]
) -> DeadLetter:
    """Of what the broker gave up before an intake was done with it, and nobody has authorised."""
    if isinstance(found, Event):
        about, storable = about_event(found, {"subject": masked_subject(found)}), True
    else:
        about, storable = {"source": found.source, "event_id": found.event_id}, found.body_storable
    return _letter(provenance, _event_id(provenance), reason, at, {**about, "detail": dict(detail)}, storable=storable)


def of_held_back(event: Event, provenance: Provenance, now: datetime, subjects: SubjectIndex) -> DeadLetter:
    """Of what waits for an operator, because it is part of a flood."""
    flood_id = provenance.letter or records.dead_letter_id("flood", provenance.digest)
    return _letter(provenance, flood_id, Reason.GUARD_FLOOD, now, about_event(event, subjects.naming(event)))


def of_units(
    event: Event, refused: Sequence[RefusedUnit], provenance: Provenance, now: datetime, subjects: SubjectIndex
) -> list[DeadLetter]:
    """Of the parts of an event that no call could be planned for."""
    if not refused:
        return []
    replayed = provenance.letter if provenance.only_provider else None
    about, digest = {"kind": "unit", **about_event(event, subjects.naming(event))}, provenance.digest
    return [
        _letter(
            provenance,
            replayed or records.dead_letter_id("unit", digest, unit.provider),
            unit.reason,
            now,
            {**about, "provider": unit.provider},
        )
        for unit in refused
    ]


def _letter(  # noqa: PLR0913 - a letter has this much to say
    provenance: Provenance,
    dead_letter_id: str,
    reason: str,
    at: datetime,
    about: Mapping[str, Any],
    *,
    storable: bool = True,
) -> DeadLetter:
    """With what every letter keeps of its message."""
    return DeadLetter(
        dead_letter_id=dead_letter_id,
        reason=reason,
        at=at,
        replays=provenance.replays,
        redelivered=provenance.redelivered,
        body_sha256=hashlib.sha256(provenance.body).hexdigest(),
        body_size=len(provenance.body),
        **(provenance.carried if storable else {}),
        **{"kind": "event", "provider": provenance.only_provider, **about},
    )


def _event_id(provenance: Provenance) -> str:
    """A replay that came too late may be a stranger's copy of one: it opens no letter that is closed."""
    if provenance.voucher_expired:
        return records.dead_letter_id("expired", provenance.digest)
    return provenance.letter or records.dead_letter_id("event", provenance.digest)


def about_event(event: Event, others: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a record that name *event*, and *others*: its person in masked form and by keyed hashes, say."""
    named = {"source": event.source, "event_id": event.id, "event_type": event.type, "occurred_at": event.time}
    return {**named, **others}

"""A dead letter's event corrected by an operator: another event, derived from the old one, which is given up."""

import base64
import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from tasks.events.content_mode import UnreadableError, read_envelope
from tasks.events.drafts import DraftError, SealedEvent, read_draft
from worker.broker import messages
from worker.broker.provenance import ProvenanceMac
from worker.broker.publisher import Publisher
from worker.ledger import AuditEntry, DeadLetterRow, DeadLetterState, Ledger, Operator
from worker.operations import RefusedRequest
from worker.operations.publishing import complete, sealer
from worker.operations.replay_rules import doubt_about
from worker.settings import Settings

DERIVED_FROM: Final = "derivedfrom"  # the extension attribute: the id of the event that was corrected
_NAMESPACE: Final = uuid.UUID("5b0a5d0f-3c0e-5f4e-9b55-6a1d5c1f7a10")  # of the ids of corrected events


@dataclass(frozen=True, slots=True)
class PlannedEdit:
    """A corrected event. Nothing has happened yet."""

    dead_letter_id: str
    event: SealedEvent


def original(row: DeadLetterRow) -> Mapping[str, Any]:
    """Return the event that *row* keeps, as structured CloudEvents JSON. Raises RefusedRequest where there is none."""
    letter = row.letter
    if letter.kind not in {"event", "unit"} or letter.body is None:
        raise RefusedRequest(f"{row.dead_letter_id}: no event is kept of it: the producer sends another one")
    try:
        document = read_envelope(base64.b64decode(letter.body), letter.content_type, letter.headers)
    except UnreadableError:
        document = None
    if not isinstance(document, dict):
        raise RefusedRequest(f"{row.dead_letter_id}: what arrived cannot be read: the producer sends another one")
    return document


def plan_edit(settings: Settings, ledger: Ledger, beginning: str, text: str) -> PlannedEdit:
    """Return the event in the JSON *text* as one derived from that of the dead letter whose id begins so.

    Its tokens are sealed where they are not. Without an id of its own it gets one, the same for the same correction.
    Raises RefusedRequest where it may not be, or is no event that the intake takes; DeadLetterNotFound and
    DeadLetterAmbiguous.
    """
    row = ledger.dead_letter(beginning)
    before = original(row)
    _require_proved(settings, row)
    corrected = _read(text)
    if corrected.get("source", row.source) != row.source:
        raise RefusedRequest("source: a correction is told by the source that told the event: nothing was changed")
    old = str(before.get("id", row.dead_letter_id))
    given = {name: value for name, value in corrected.items() if name != "id" or value != before.get("id")}
    name = json.dumps([row.dead_letter_id, given], sort_keys=True)
    draft = {"id": str(uuid.uuid5(_NAMESPACE, name)), **given, "source": row.source, DERIVED_FROM: old}
    return PlannedEdit(row.dead_letter_id, complete(draft, sealer(settings), row.source or ""))


def edit(
    settings: Settings, ledger: Ledger, publisher: Publisher, planned: PlannedEdit, operator: Operator
) -> AuditEntry:
    """Publish the corrected event, then give the old one up; a tombstone stays. Killed in between: edit it again.

    Raises PublishError and LedgerUnavailable, and RefusedRequest where somebody else has the dead letter by now.
    """
    audit = operator.entry("dead-letter.edit", planned.dead_letter_id)
    if ledger.dead_letter(planned.dead_letter_id).state is not DeadLetterState.DEAD:
        raise RefusedRequest(f"{planned.dead_letter_id}: somebody else has it by now: nothing was changed")
    event, door = planned.event, {messages.DOOR: messages.DESK_DOOR}
    message = messages.event(event.body, event.event_type, headers=door)
    publisher.publish_all([ProvenanceMac.of(settings).sign(message)])
    return ledger.discard([planned.dead_letter_id], audit=replace(audit, result=f"event {event.event_id}"))


def _read(text: str) -> Mapping[str, Any]:
    try:
        return read_draft(text)
    except DraftError as error:
        raise RefusedRequest(f"the corrected event: {error}: nothing was changed") from None


def _require_proved(settings: Settings, row: DeadLetterRow) -> None:
    """Raise RefusedRequest where nobody proved who said the event, or it is not open: the desk would vouch for it."""
    doubt = doubt_about(row, ProvenanceMac.of(settings).letters)
    if doubt is not None:
        raise RefusedRequest(f"{row.dead_letter_id}: {doubt.value}: it cannot be edited")
    if row.letter.unproved or row.source is None:
        raise RefusedRequest(f"{row.dead_letter_id}: nobody proved who said it: the producer sends another one")
    if row.state is not DeadLetterState.DEAD:
        raise RefusedRequest(f"{row.dead_letter_id} is {row.state.value}: it cannot be edited")

"""The intake: events in, provider calls out. Parse, plan, publish, and only then acknowledge."""

from __future__ import annotations

import base64
import hashlib
import logging
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from tasks import records
from tasks.events import InvalidEvent, attribute_headers, parse_event
from tasks.outcome import State, event_reason
from tasks.plan import Plan, plan_revocations
from tasks.records import DeadLetter, EventPlanned, PlannedUnit
from tasks.subject import masked_subject
from worker import broker, messages, topology
from worker.admission.memory import Arrival, Judged, Memory
from worker.batch_consumer import BatchConsumer, Stop, body_of
from worker.ledger.desk import Desk
from worker.publisher import Message as Publication
from worker.publisher import Publisher, PublishError

if TYPE_CHECKING:
    from kombu.message import Message

    from tasks.events import SessionEnded, UserDisabled
    from tasks.plan import Catalogue
    from tasks.subject import SubjectIndex
    from worker.settings import Settings

logger = logging.getLogger(__name__)


def run(settings: Settings, stop: Stop) -> None:
    """Take in events until *stop* is set."""
    connect = broker.connector(settings)
    with Publisher(connect) as publisher:
        memory = Memory(Desk(settings.ledger_url.get_secret_value()), settings.max_ages())
        intake = Intake(settings.catalogue(), publisher, memory)
        BatchConsumer(connect, topology.INTAKES, list(settings.providers), intake.handle, stop).run()


class Intake:
    """Turns a batch of events into published calls, records and dead letters."""

    def __init__(self, catalogue: Catalogue, publisher: Publisher, memory: Memory) -> None:
        self._catalogue = catalogue
        self._publisher = publisher
        self._memory = memory

    def handle(self, batch: Sequence[Message]) -> list[Message]:
        """Publish what *batch* becomes; returns the messages of which not everything was confirmed."""
        judged = self._memory.judge([_arrival(message) for message in batch])
        publications = [self.publications(message, event) for message, event in zip(batch, judged, strict=True)]
        results = iter(self._publisher.publish([each for several in publications for each in several]))
        outcomes = [[next(results) for _ in several] for several in publications]
        for failure in {str(result) for several in outcomes for result in several if isinstance(result, PublishError)}:
            logger.warning("intake.not_published", extra={"error": failure})
        self._memory.keep(
            each
            for each, several in zip(judged, outcomes, strict=True)
            if isinstance(each, Arrival) and not any(several)
        )
        return [message for message, several in zip(batch, outcomes, strict=True) if any(several)]

    def publications(self, message: Message, judged: Judged) -> list[Publication]:
        """What one message becomes: calls and a record of the plan, a dead letter, or nothing that was not before."""
        now = datetime.now(UTC)
        if judged is None:
            return []
        if isinstance(judged, InvalidEvent):
            logger.warning("event.refused", extra={"code": judged.code.value, "pointer": judged.pointer})
            return [messages.dead_letter(_refused_event(judged, message, now))]
        event, only = judged.event, judged.only_provider
        plan = plan_revocations(event, self._catalogue)
        if only is not None:
            plan = plan.only(only)
        _log(event, plan)
        return [
            *(messages.call(call) for call in plan.calls),
            *(
                messages.dead_letter(each)
                for each in _refused_units(event, plan, message, now, self._catalogue.subjects)
            ),
            messages.record(_planned(event, plan, self._catalogue, now)),
        ]


def _arrival(message: Message) -> Arrival | InvalidEvent:
    headers = message.headers or {}
    event = parse_event(body_of(message), now=datetime.now(UTC), content_type=message.content_type, headers=headers)
    if isinstance(event, InvalidEvent):
        return event
    only, again = headers.get(messages.REPLAY_PROVIDER), bool(message.delivery_info.get("redelivered"))
    return Arrival(event, _replays(message), only if isinstance(only, str) else None, redelivered=again)


def _planned(event: SessionEnded | UserDisabled, plan: Plan, catalogue: Catalogue, now: datetime) -> EventPlanned:
    published = (
        PlannedUnit(call_id=call.call_id, provider=call.provider, operation=call.operation, state=State.PLANNED)
        for call in plan.calls
    )
    return EventPlanned(
        source=event.source,
        event_id=event.id,
        event_type=event.type,
        occurred_at=event.time,
        received_at=now,
        subject=masked_subject(event),
        subject_keys=catalogue.subjects.keys(event),
        units=(*published, *plan.units),
    )


def _refused_event(refusal: InvalidEvent, message: Message, now: datetime) -> DeadLetter:
    body = body_of(message)
    digest = hashlib.sha256(body).hexdigest()
    return DeadLetter(
        kind="event",
        dead_letter_id=records.dead_letter_id("event", digest),
        reason=event_reason(refusal.code.value),
        replays=_replays(message),
        at=now,
        detail={"pointer": refusal.pointer},
        source=refusal.source,
        event_id=refusal.event_id,
        body_sha256=digest,
        body_size=len(body),
        **(_carried(message) if refusal.body_storable else {}),
    )


def _refused_units(
    event: SessionEnded | UserDisabled, plan: Plan, message: Message, now: datetime, subjects: SubjectIndex
) -> list[DeadLetter]:
    return [
        DeadLetter(
            kind="unit",
            dead_letter_id=records.dead_letter_id("unit", event.source, event.id, unit.provider),
            reason=unit.reason,
            replays=_replays(message),
            at=now,
            source=event.source,
            event_id=event.id,
            event_type=event.type,
            provider=unit.provider,
            subject=masked_subject(event),
            subject_keys=subjects.keys(event),
            occurred_at=event.time,
            **_carried(message),
        )
        for unit in plan.refused
    ]


def _replays(message: Message) -> int:
    """Which replay this is; a refusal of a replayed event must not be taken for the old one, delivered again."""
    told = message.headers.get(messages.REPLAYS)
    return told if isinstance(told, int) and told > 0 else 0


def _carried(message: Message) -> dict[str, Any]:
    """What a replay needs of the message: its body, how it is coded, and the attributes of a binary-mode event."""
    return {
        "body": base64.b64encode(body_of(message)).decode(),
        "content_type": message.content_type,
        "headers": attribute_headers(message.headers),
    }


def _log(event: SessionEnded | UserDisabled, plan: Plan) -> None:
    line = {"event_id": event.id, "source": event.source, "type": event.type, "calls": len(plan.calls)}
    logger.info("event.planned", extra=line)
    for unit in plan.units:
        if unit.state is State.NO_SESSION_KNOWN:
            logger.warning("event.no_session_known", extra={**line, "provider": unit.provider})
    for refused in plan.refused:
        logger.warning("event.unit_refused", extra={**line, "provider": refused.provider, "reason": refused.reason})

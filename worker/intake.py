"""The intake: events in, provider calls out. Parse, judge, plan, publish, and only then acknowledge."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import compress
from typing import TYPE_CHECKING

from tasks import records
from tasks.events import InvalidEvent, parse_event
from tasks.outcome import State, event_reason
from tasks.plan import Plan, plan_revocations
from tasks.records import DeadLetter, EventPlanned, PlannedUnit
from tasks.subject import masked_subject
from worker import broker, messages, topology
from worker.admission.alarm import Alarm
from worker.admission.evidence import Evidence, Voucher
from worker.admission.judging import Admission, Denied
from worker.admission.memory import Arrival, Judged, Memory, Refused
from worker.batch_consumer import BatchConsumer, Stop
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


@dataclass(frozen=True, slots=True)
class Controls:
    """What stands between a message and the plan of its event, in this order."""

    voucher: Voucher  # what it proves
    admission: Admission  # who may say what
    memory: Memory  # what came before


def run(settings: Settings, stop: Stop) -> None:
    """Take in events until *stop* is set."""
    connect = broker.connector(settings)
    _say_who_is_believed(settings)
    memory = Memory(Desk(settings.ledger_url.get_secret_value()), settings.max_ages())
    controls = Controls(Voucher.of(settings), Admission.of(settings), memory)
    with Publisher(connect) as publisher:
        intake = Intake(settings.catalogue(), publisher, controls)
        BatchConsumer(connect, topology.INTAKES, list(settings.providers), intake.handle, stop).run()


class Intake:
    """Turns a batch of events into published calls, records and dead letters."""

    def __init__(self, catalogue: Catalogue, publisher: Publisher, controls: Controls) -> None:
        self._catalogue = catalogue
        self._publisher = publisher
        self._controls = controls
        self._alarm = Alarm()

    def handle(self, batch: Sequence[Message]) -> list[Message]:
        """Publish what *batch* becomes; returns the messages of which not everything was confirmed."""
        read = [self.read(message) for message in batch]
        judged = self._controls.memory.judge([found for _, found in read])
        publications = [self.publications(each, evidence) for each, (evidence, _) in zip(judged, read, strict=True)]
        results = iter(self._publisher.publish([each for several in publications for each in several]))
        outcomes = [[next(results) for _ in several] for several in publications]
        for failure in {str(result) for several in outcomes for result in several if isinstance(result, PublishError)}:
            logger.warning("intake.not_published", extra={"error": failure})
        done = [not any(several) for several in outcomes]
        self._controls.memory.keep(each for each in compress(judged, done) if isinstance(each, Arrival))
        return [message for message, is_done in zip(batch, done, strict=True) if not is_done]

    def read(self, message: Message) -> tuple[Evidence, Arrival | Refused]:
        """What *message* proves, and the event in it, once it is known who says so; or why that is refused."""
        evidence, now = self._controls.voucher.evidence(message), datetime.now(UTC)
        event = parse_event(evidence.body, now=now, content_type=evidence.content_type, headers=message.headers or {})
        if isinstance(event, InvalidEvent):
            return evidence, event
        verdict = self._controls.admission.judge(event, evidence)
        if isinstance(verdict, Denied):
            return evidence, verdict
        told = (evidence.replays, evidence.only_provider, verdict.providers)
        return evidence, Arrival(event, *told, redelivered=bool(message.delivery_info.get("redelivered")))

    def publications(self, judged: Judged, evidence: Evidence) -> list[Publication]:
        """What one message becomes: calls and a record of the plan, a dead letter, or nothing that was not before."""
        now = datetime.now(UTC)
        match judged:
            case None:
                return []
            case InvalidEvent():
                return [messages.dead_letter(_refused_event(judged, evidence, now))]
            case Denied():
                self._alarm.hear(judged)
                return [messages.dead_letter(_denied_event(judged, evidence, now))]
            case Arrival(event=event):
                plan = _reached(plan_revocations(event, self._catalogue), judged)
        _log(event, plan)
        return [
            *(messages.call(call) for call in plan.calls),
            *(
                messages.dead_letter(each)
                for each in _refused_units(event, plan, evidence, now, self._catalogue.subjects)
            ),
            messages.record(_planned(event, plan, self._catalogue, now)),
        ]


def _reached(plan: Plan, arrival: Arrival) -> Plan:
    """What of *plan* its source may reach; of a replayed part, that part."""
    if arrival.only_provider:
        return plan.only(arrival.only_provider)
    return plan.only(*arrival.providers) if arrival.providers else plan


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


def _refused_event(refusal: InvalidEvent, evidence: Evidence, now: datetime) -> DeadLetter:
    logger.warning("event.refused", extra={"code": refusal.code.value, "pointer": refusal.pointer})
    digest = hashlib.sha256(evidence.body).hexdigest()
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


def _denied_event(denied: Denied, evidence: Evidence, now: datetime) -> DeadLetter:
    """Its body is kept: once the settings are mended a replay has it judged again, on the same evidence."""
    letter, event = _refused_event(denied.refusal, evidence, now), denied.event
    detail = {**letter.detail, "rule": denied.rule.value}
    return letter.model_copy(update={"detail": detail, "event_type": event.type, "occurred_at": event.time})


def _refused_units(
    event: SessionEnded | UserDisabled, plan: Plan, evidence: Evidence, now: datetime, subjects: SubjectIndex
) -> list[DeadLetter]:
    return [
        DeadLetter(
            kind="unit",
            dead_letter_id=records.dead_letter_id("unit", event.source, event.id, unit.provider),
            reason=unit.reason,
            replays=evidence.replays,
            at=now,
            source=event.source,
            event_id=event.id,
            event_type=event.type,
            provider=unit.provider,
            subject=masked_subject(event),
            subject_keys=subjects.keys(event),
            occurred_at=event.time,
            **evidence.carried,
        )
        for unit in plan.refused
    ]


def _say_who_is_believed(settings: Settings) -> None:
    """Once, at the start: what operators would else find out from an incident."""
    if broker.is_embedded(settings.broker_url.get_secret_value()):
        logger.warning("producers.unproved", extra={"broker": "embedded", "sources": sorted(settings.sources)})
    elif not settings.sources:
        logger.warning("producers.none_listed", extra={"setting": "sources"})


def _log(event: SessionEnded | UserDisabled, plan: Plan) -> None:
    line = {"event_id": event.id, "source": event.source, "type": event.type, "calls": len(plan.calls)}
    logger.info("event.planned", extra=line)
    for unit in plan.units:
        if unit.state is State.NO_SESSION_KNOWN:
            logger.warning("event.no_session_known", extra={**line, "provider": unit.provider})
    for refused in plan.refused:
        logger.warning("event.unit_refused", extra={**line, "provider": refused.provider, "reason": refused.reason})

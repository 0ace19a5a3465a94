"""The intake: events in, provider calls out. Parse, judge, plan, publish, and only then acknowledge."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import compress
from typing import TYPE_CHECKING, Final

from tasks.events import Event, InvalidEvent, parse_event
from tasks.outcome import State
from tasks.plan import Plan, plan_revocations
from tasks.records import EventPlanned, PlannedUnit
from tasks.sealing import kid_of
from tasks.subject_index import masked_subject
from worker import broker
from worker.broker import messages, topology
from worker.broker.batch_consumer import BatchConsumer
from worker.broker.provenance import Provenance, ProvenanceMac
from worker.broker.publisher import Message as Publication
from worker.broker.publisher import Publisher
from worker.database.thread import DatabaseThread
from worker.intake import dead_letters
from worker.intake.alarm import Alarm
from worker.intake.authorization import Admission, Denied
from worker.intake.dedup import Arrival, Judged, Memory, Refused
from worker.intake.flood.gate import FloodGate
from worker.intake.flood.subject import subjects_of
from worker.intake.flood.window import Limits
from worker.intake.misplaced import Misplaced, Opened
from worker.intake.unfinished import Unfinished

if TYPE_CHECKING:
    from kombu.message import Message

    from tasks.call import ProviderCall
    from tasks.events import Event
    from tasks.plan import Catalogue
    from tasks.records import DeadLetter
    from tasks.subject_index import SubjectIndex
    from worker.intake.flood.subject import Subject
    from worker.process import Stop
    from worker.settings import Settings

logger = logging.getLogger(__name__)

HEAD_START: Final = 1.0  # seconds that the urgent queue is worked on before the routine queue gets a batch


@dataclass(frozen=True, slots=True)
class Controls:
    """What stands between a message and the plan of its event, in this order."""

    voucher: ProvenanceMac  # what it proves
    admission: Admission  # who may say what
    memory: Memory  # what came before
    gate: FloodGate  # how many people at once


def run(settings: Settings, stop: Stop) -> None:
    """Take in events until *stop* is set."""
    connect, url, catalogue = broker.connector(settings), settings.ledger_url.get_secret_value(), settings.catalogue()
    _say_who_is_believed(settings)
    with closing(DatabaseThread(url)) as thread, Publisher(connect) as publisher:
        gate = FloodGate(thread, Limits.set_by(settings.flood))
        memory = Memory(thread, settings.max_ages(), settings.longest_outage())
        intake = Intake(
            catalogue, publisher, Controls(ProvenanceMac.of(settings), Admission.of(settings), memory, gate)
        )
        consumer = BatchConsumer(connect, topology.INTAKES, list(settings.providers), intake.handle, stop)
        consumer.head_start = HEAD_START
        consumer.run()


class Intake:
    """Turns a batch of events into published calls, records and dead letters."""

    def __init__(self, catalogue: Catalogue, publisher: Publisher, controls: Controls) -> None:
        self._catalogue = catalogue
        self._publisher = publisher
        self._controls = controls
        self._alarm = Alarm()
        self._unfinished = Unfinished()
        self._misplaced = Misplaced(publisher, controls.voucher)

    def handle(self, batch: Sequence[Message]) -> list[Message]:
        """Publish what *batch* becomes; returns the messages of which not everything was confirmed."""
        opened = [self._open(message) for message in batch]
        moved = self._misplaced.move(opened)
        waiting = [opened[i].message for i, is_safe in moved.items() if not is_safe]
        return waiting + self._take_in([each for i, each in enumerate(opened) if i not in moved])

    def _take_in(self, opened: Sequence[Opened]) -> list[Message]:
        read = [self._judged(each) for each in opened]
        judged = self._controls.memory.judge([found for _, found in read])
        plans = [self.plan(each) for each in judged]
        held_back = self._controls.gate.held_back(list(map(self._hit, judged, plans)))
        publications = [
            self.publications(each, provenance, plan, is_held=is_held)
            for each, (provenance, _), plan, is_held in zip(judged, read, plans, held_back, strict=True)
        ]
        done = self._published(judged, publications)
        self._controls.memory.keep(each for each in compress(judged, done) if isinstance(each, Arrival))
        return [each.message for each, is_done in zip(opened, done, strict=True) if not is_done]

    def _published(self, judged: Sequence[Judged], publications: Sequence[Sequence[Publication]]) -> list[bool]:
        """Publish what of *publications* was not confirmed before; for each of *judged* whether all of it is now."""
        left = [
            self._unfinished.left(each, several) if isinstance(each, Arrival) else several
            for each, several in zip(judged, publications, strict=True)
        ]
        results = iter(self._publisher.publish([each for several in left for each in several]))
        outcomes = [[next(results) for _ in several] for several in left]
        for failure in {str(result) for several in outcomes for result in several if result is not None}:
            logger.warning("intake.not_published", extra={"error": failure})
        for each, several, became in zip(judged, left, outcomes, strict=True):
            if isinstance(each, Arrival):
                self._unfinished.note(each, several, became)
        return [not any(became) for became in outcomes]

    def _hit(self, judged: Judged, plan: Plan | None) -> tuple[Subject, ...]:
        """Whom the event hits. What an operator sent again does not count, nor what was let through before."""
        if plan is None or not isinstance(judged, Arrival) or judged.replays or self._unfinished.has(judged):
            return ()
        return subjects_of(judged.event, plan, self._catalogue.subjects)

    def read(self, message: Message) -> tuple[Provenance, Arrival | Refused]:
        """What *message* proves, and the event in it, once it is known who says so; or why that is refused."""
        return self._judged(self._open(message))

    def _open(self, message: Message) -> Opened:
        provenance, now = self._controls.voucher.verify(message), datetime.now(UTC)
        headers = message.headers or {}
        event = parse_event(provenance.body, now=now, content_type=provenance.content_type, headers=headers)
        return Opened(message, provenance, event)

    def _judged(self, opened: Opened) -> tuple[Provenance, Arrival | Refused]:
        provenance, event = opened.provenance, opened.event
        if isinstance(event, InvalidEvent):
            return provenance, event
        verdict = self._controls.admission.judge(event, provenance)
        if isinstance(verdict, Denied):
            return provenance, verdict
        told = (
            provenance.replays,
            provenance.only_provider,
            verdict.providers,
            provenance.letter,
            provenance.vouched_at,
        )
        return provenance, Arrival(event, *told)

    def plan(self, judged: Judged) -> Plan | None:
        """What is to be done about an event: what its source may reach; of a replayed part, that part."""
        if not isinstance(judged, Arrival):
            return None
        plan = plan_revocations(judged.event, self._catalogue, datetime.now(UTC))
        if judged.only_provider:
            return plan.only(judged.only_provider)
        return plan.only(*judged.providers) if judged.providers else plan

    def publications(
        self, judged: Judged, provenance: Provenance, plan: Plan | None, *, is_held: bool = False
    ) -> list[Publication]:
        """What one message becomes: calls and a record of the plan, a dead letter, or nothing that was not before."""
        now, subjects = datetime.now(UTC), self._catalogue.subjects
        match judged:
            case InvalidEvent():
                logger.warning("event.refused", extra={"code": judged.code.value, "pointer": judged.pointer})
                return [self._refused(dead_letters.of_refused(judged, provenance, now), provenance)]
            case Denied():
                self._alarm.hear(judged)
                return [self._refused(dead_letters.of_denied(judged, provenance, now), provenance)]
            case Arrival(event=event) if is_held:
                logger.warning("event.held_back", extra=_names(event))
                return [self._dead(dead_letters.of_held_back(event, provenance, now, subjects))]
            case Arrival(event=event) if plan:
                return self._planned(event, plan, provenance)
        return []

    def _refused(self, letter: DeadLetter, provenance: Provenance) -> Publication:
        is_proved = self._controls.admission.proves(letter.source, provenance)
        return self._dead(letter.model_copy(update={"unproved": not is_proved}))

    def _dead(self, letter: DeadLetter) -> Publication:
        return messages.dead_letter(self._vouched(letter))

    def _vouched(self, letter: DeadLetter) -> DeadLetter:
        return self._controls.voucher.letters.sign(letter)

    def _planned(self, event: Event, plan: Plan, provenance: Provenance) -> list[Publication]:
        now, subjects = datetime.now(UTC), self._catalogue.subjects
        _log(event, plan)
        return [
            *(messages.call(call) for call in plan.calls),
            *messages.dead_letters(
                map(self._vouched, dead_letters.of_units(event, plan.refused, provenance, now, subjects))
            ),
            messages.record(_record(event, plan, subjects, now)),
        ]


def _record(event: Event, plan: Plan, subjects: SubjectIndex, now: datetime) -> EventPlanned:
    calls = (_planned_unit(each, call) for call in plan.calls for each in (call, *call.covers))
    return EventPlanned(
        source=event.source,
        event_id=event.id,
        event_type=event.type,
        occurred_at=event.time,
        received_at=now,
        subject=masked_subject(event),
        subject_keys=subjects.keys(event),
        person_key=subjects.person(event),
        units=(*calls, *plan.units),
    )


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


def _say_who_is_believed(settings: Settings) -> None:
    """Once, at the start: what operators would else find out from an incident."""
    if broker.is_embedded(settings.broker_url.get_secret_value()):
        logger.warning("producers.unproved", extra={"broker": "embedded", "sources": sorted(settings.sources)})
    elif not settings.sources:
        logger.warning("producers.none_listed", extra={"setting": "sources"})


def _names(event: Event) -> dict[str, object]:
    return {"event_id": event.id, "source": event.source, "type": event.type}


def _log(event: Event, plan: Plan) -> None:
    line = {**_names(event), "calls": len(plan.calls)}
    logger.info("event.planned", extra=line)
    for unit in plan.units:
        if unit.state is State.NO_SESSION_KNOWN:
            logger.warning("event.no_session_known", extra={**line, "provider": unit.provider})
    for refused in plan.refused:
        logger.warning("event.unit_refused", extra={**line, "provider": refused.provider, "reason": refused.reason})

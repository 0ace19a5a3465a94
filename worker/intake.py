"""The intake: events in, provider calls out. Parse, plan, publish, and only then acknowledge."""

from __future__ import annotations

import base64
import hashlib
import logging
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from tasks import records
from tasks.events import InvalidEvent, attribute_headers, parse_event
from tasks.outcome import Reason, State, event_reason
from tasks.plan import Plan, plan_revocations
from tasks.records import DeadLetter, EventPlanned, PlannedUnit
from tasks.subject import masked_subject
from worker import broker, messages, topology
from worker.batch_consumer import BatchConsumer, Stop, body_of
from worker.blast_radius.gate import PATIENCE, FloodGate
from worker.blast_radius.passport import Passports
from worker.ledger import Ledger
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
    url, catalogue = settings.broker_url.get_secret_value(), settings.catalogue()
    with (
        closing(Ledger.open(settings.ledger_url.get_secret_value(), PATIENCE)) as ledger,
        Publisher(lambda: broker.connect(url)) as publisher,
    ):
        intake = Intake(catalogue, publisher, FloodGate(ledger, settings.guard.limits(), catalogue.subjects))
        BatchConsumer(url, topology.INTAKES, list(settings.providers), intake.handle, stop).run()


class Intake:
    """Turns a batch of events into published calls, records and dead letters."""

    def __init__(self, catalogue: Catalogue, publisher: Publisher, gate: FloodGate) -> None:
        self._catalogue = catalogue
        self._publisher = publisher
        self._gate, self._passports = gate, Passports.of(catalogue.subjects)

    def handle(self, batch: Sequence[Message]) -> list[Message]:
        """Publish what *batch* becomes; returns the messages of which not everything was confirmed."""
        arrivals = [self._read(message) for message in batch]
        held_back = self._gate.held_back([arrival.counted for arrival in arrivals])
        publications = [self._publications(*each) for each in zip(arrivals, held_back, strict=True)]
        results = iter(self._publisher.publish([each for several in publications for each in several]))
        outcomes = [[next(results) for _ in several] for several in publications]
        for failure in {str(result) for several in outcomes for result in several if isinstance(result, PublishError)}:
            logger.warning("intake.not_published", extra={"error": failure})
        return [message for message, several in zip(batch, outcomes, strict=True) if any(several)]

    def _read(self, message: Message) -> _Arrival:
        body, now = body_of(message), datetime.now(UTC)
        headers = dict(message.headers or {})
        only = headers.pop(messages.REPLAY_PROVIDER, None)
        is_sent = self._passports.is_valid(headers.get(messages.PASSPORT), body, message.content_type, headers)
        event = parse_event(body, now=now, content_type=message.content_type, headers=headers)
        return _Arrival(message, now, event, only if isinstance(only, str) else None, is_sent)

    def _publications(self, arrival: _Arrival, held_back: bool) -> list[Publication]:  # noqa: FBT001 - zipped
        """What one message becomes: calls and a record of the plan, or a dead letter."""
        message, now, event = arrival.message, arrival.now, arrival.event
        if isinstance(event, InvalidEvent):
            logger.warning("event.refused", extra={"code": event.code.value, "pointer": event.pointer})
            return [messages.dead_letter(_refused_event(event, message, now))]
        if held_back:
            logger.warning("event.held_back", extra={"event_id": event.id, "source": event.source, "type": event.type})
            return [messages.dead_letter(_held_back(event, message, now, self._catalogue.subjects))]
        plan = plan_revocations(event, self._catalogue)
        if arrival.only is not None:
            plan = plan.only(arrival.only)
        _log(event, plan)
        return [
            *(messages.call(call) for call in plan.calls),
            *(
                messages.dead_letter(each)
                for each in _refused_units(event, plan, message, now, self._catalogue.subjects)
            ),
            messages.record(_planned(event, plan, self._catalogue, now)),
        ]


@dataclass(frozen=True, slots=True)
class _Arrival:
    """A message, read."""

    message: Message
    now: datetime
    event: SessionEnded | UserDisabled | InvalidEvent
    only: str | None  # the provider that a replay is for
    is_sent: bool  # by an operator, on its way again

    @property
    def counted(self) -> SessionEnded | UserDisabled | None:
        """The event, where it counts for the blast radius."""
        return None if self.is_sent or isinstance(self.event, InvalidEvent) else self.event


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
    digest = _digest(message)
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
        body_size=len(body_of(message)),
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
            at=now,
            provider=unit.provider,
            **_whole(event, message, subjects),
        )
        for unit in plan.refused
    ]


def _held_back(
    event: SessionEnded | UserDisabled, message: Message, now: datetime, subjects: SubjectIndex
) -> DeadLetter:
    return DeadLetter(
        kind="event",
        dead_letter_id=records.dead_letter_id("flood", event.source, event.id, _digest(message)),
        reason=Reason.GUARD_FLOOD,
        at=now,
        **_whole(event, message, subjects),
    )


def _whole(event: SessionEnded | UserDisabled, message: Message, subjects: SubjectIndex) -> dict[str, Any]:
    return {
        "source": event.source,
        "event_id": event.id,
        "event_type": event.type,
        "subject": masked_subject(event),
        "subject_keys": subjects.keys(event),
        "occurred_at": event.time,
        "replays": _replays(message),
        **_carried(message),
    }


def _digest(message: Message) -> str:
    return hashlib.sha256(body_of(message)).hexdigest()


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

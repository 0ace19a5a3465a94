"""What a message in the intake becomes: calls and the record of their plan, or a dead letter."""

import logging
from datetime import UTC, datetime

from tasks.catalogue import Catalogue
from tasks.events import Event, InvalidEvent, StartedData
from tasks.outcome import State
from tasks.plan import Plan
from tasks.records import DeadLetter
from worker.broker import messages
from worker.broker.provenance import Provenance, ProvenanceMac
from worker.broker.publication import Message
from worker.intake import dead_letters
from worker.intake.authorization import AlertThrottle, Authorizer, Denied
from worker.intake.dedup import IncomingEvent
from worker.intake.incoming import Incoming
from worker.intake.plan_record import plan_record

logger = logging.getLogger(__name__)


class Outgoing:
    """What one intake process publishes."""

    def __init__(self, mac: ProvenanceMac, authorizer: Authorizer, catalogue: Catalogue) -> None:
        self._mac, self._authorizer, self._catalogue = mac, authorizer, catalogue
        self._alerts = AlertThrottle()

    def of(self, incoming: Incoming) -> list[Message]:
        """What becomes of *incoming*, which is judged and planned."""
        now, provenance = datetime.now(UTC), incoming.provenance
        match incoming.verdict:
            case InvalidEvent() as refusal:
                about = {"event_id": refusal.event_id, "code": refusal.code.value, "pointer": refusal.pointer}
                logger.warning("event.refused", extra=about)
                return [self._refused(dead_letters.of_refused(refusal, provenance, now), provenance)]
            case Denied() as denied:
                self._alerts.report(denied)
                return [self._refused(dead_letters.of_denied(denied, provenance, now), provenance)]
            case IncomingEvent(event=event) if incoming.is_held:
                logger.warning("event.held_back", extra=_names(event))
                return [self._dead(dead_letters.of_held_back(event, provenance, now, self._catalogue.subjects))]
            case IncomingEvent(event=event) if incoming.plan and incoming.is_unresolved:
                return [messages.call(call) for call in incoming.plan.calls]  # all the rest once it is resolved
            case IncomingEvent(event=event) if incoming.plan:
                return self._planned(event, incoming.plan, provenance)
        return []

    def _refused(self, letter: DeadLetter, provenance: Provenance) -> Message:
        is_proved = self._authorizer.proves(letter.source, provenance)
        return self._dead(letter.model_copy(update={"unproved": not is_proved}))

    def _dead(self, letter: DeadLetter) -> Message:
        return messages.dead_letter(self._mac.letters.sign(letter))

    def _planned(self, event: Event, plan: Plan, provenance: Provenance) -> list[Message]:
        now, subjects = datetime.now(UTC), self._catalogue.subjects
        _log(event, plan)
        if isinstance(event.data, StartedData) and not (plan.calls or plan.refused):
            return []  # the session registry has it, and nothing else is to be known of it
        letters = dead_letters.of_units(event, plan.refused, provenance, now, subjects)
        return [
            *(messages.call(call) for call in plan.calls),
            *messages.dead_letters(map(self._mac.letters.sign, letters)),
            messages.record(plan_record(event, plan, now)),
        ]


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

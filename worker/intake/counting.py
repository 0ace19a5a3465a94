"""What the intake has done, in numbers."""

from collections.abc import Callable, Iterable

from tasks.events import InvalidEvent
from worker.intake.authorization import Denied
from worker.intake.incoming import Incoming
from worker.observability import metrics
from worker.observability.metrics import EventOutcome


def count(done: Iterable[Incoming], listed_as: Callable[[str | None], str | None]) -> None:
    """Count messages that the intake is *done* with; *listed_as* returns the settings' name of a source.

    A source counts by the name that its events give themselves, proved or not: of what is refused nothing is proved.
    """
    for each in done:
        event = each.event
        kind = metrics.OTHER if isinstance(event, InvalidEvent) else event.type
        source = listed_as(event.source) or metrics.UNKNOWN
        metrics.EVENTS_RECEIVED.add(kind, source, _outcome(each))


def _outcome(incoming: Incoming) -> EventOutcome:
    if incoming.is_held:
        return EventOutcome.HELD_BACK
    match incoming.verdict:
        case None:
            return EventOutcome.KNOWN
        case InvalidEvent():
            return EventOutcome.REFUSED
        case Denied():
            return EventOutcome.DENIED
    return EventOutcome.PLANNED

"""A message in the intake, and the move of events that are in the intake queue of the other lane.

The producer's routing key chose the queue, but the event's type decides. Thirty thousand session.ended under the key of
a user.disabled would keep every user.disabled waiting while they are authorised, planned and recorded. So they are
moved to their own queue first, which costs a publish each. A user.disabled in the routine queue has waited there
already; it is taken in at once.
"""

import logging
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from kombu.message import Message

from tasks.call import Lane
from tasks.events import EVENT_TYPES, Event, InvalidEvent
from tasks.plan import Plan
from tasks.registry import NOTHING_REGISTERED, Registered
from worker.broker import topology
from worker.broker.provenance import Provenance, ProvenanceMac
from worker.broker.publication import Message as OutgoingMessage
from worker.broker.publication import PublishError, Refused, Unroutable
from worker.broker.publisher import AlternatingPublisher
from worker.intake.authorization import Denied
from worker.intake.dedup import IncomingEvent

logger = logging.getLogger(__name__)

REPORT_INTERVAL: Final = 60.0  # seconds between two reports of who chooses a wrong lane
MAX_REPORTED: Final = 10  # senders in one report: those with the most events
MAX_COUNTED: Final = 1000  # senders counted between two reports
MOVE_RETRY_AFTER: Final = 60.0  # seconds in which nothing is moved after the broker refused it


@dataclass(slots=True, eq=False)
class Incoming:
    """A message in the intake, and what is known of it after each step."""

    message: Message
    provenance: Provenance
    event: Event | InvalidEvent  # not authorised yet
    verdict: IncomingEvent | InvalidEvent | Denied | None = None  # None: everything was published before
    plan: Plan | None = None
    is_held: bool = False  # part of a flood
    registered: Registered = NOTHING_REGISTERED  # what the session registry knows for it
    is_unresolved: bool = False  # the session registry does not answer, and more may become of the event
    publications: list[OutgoingMessage] = field(default_factory=list)  # that were not confirmed before
    results: list[PublishError | None] = field(default_factory=list)  # of each of *publications*

    @property
    def accepted(self) -> IncomingEvent | None:
        """The event, if it is authorised and not refused or known."""
        return self.verdict if isinstance(self.verdict, IncomingEvent) else None

    @property
    def is_done(self) -> bool:
        """Whether everything is known that becomes of it, and the broker has confirmed it."""
        return not any(self.results) and not self.is_unresolved

    @property
    def is_in_urgent_queue(self) -> bool:
        """Whether its routing key led it there."""
        return bool(self.message.delivery_info.get("routing_key") in topology.URGENT_EVENTS)

    @property
    def lane(self) -> Lane | None:
        """The lane of its type; None for what is no event."""
        return None if isinstance(self.event, InvalidEvent) else EVENT_TYPES[self.event.type].lane


@dataclass(frozen=True, slots=True, eq=False)
class Sent:
    """A batch of which everything is sent, and not yet known to be confirmed."""

    batch: Sequence[Incoming]
    unmoved: Sequence[Incoming]  # not known to be moved to their own queue
    confirms: Callable[[], Iterable[PublishError | None]]  # waits for them

    @property
    def unsafe(self) -> list[Message]:
        """Once the confirms are there: the messages of which something is not confirmed."""
        return [each.message for each in (*self.unmoved, *(each for each in self.batch if not each.is_done))]


def identities(batch: Iterable[Incoming]) -> set[bytes]:
    """What names the accepted events of *batch*."""
    return {event.identity for each in batch if (event := each.accepted)}


class MisplacedEvents:
    """Moves what is in the wrong queue, over *publisher*; with *mac* the copy proves what the message proved."""

    def __init__(self, publisher: AlternatingPublisher, mac: ProvenanceMac) -> None:
        self._publisher, self._mac = publisher, mac
        self._move_at = self._report_at = 0.0
        self._counts: Counter[tuple[str, str | None]] = Counter()

    def move(self, batch: Sequence[Incoming]) -> tuple[list[Incoming], list[Incoming]]:
        """Move what must be moved; returns what is to be taken in here, and what is not known to be moved.

        Where the broker refuses a move, all of it is taken in here: its permissions may be of an earlier release.
        """
        for each in batch:
            self._count(each)
        misplaced = [each for each in batch if each.is_in_urgent_queue and each.lane is Lane.ROUTINE]
        if not misplaced or time.monotonic() < self._move_at:
            return [*batch], []
        copies = [self._copy(each) for each in misplaced]
        results = dict(zip(misplaced, self._publisher.publish(copies), strict=True))
        refused = {each: error for each, error in results.items() if isinstance(error, Refused | Unroutable)}
        if refused:
            self._move_at = time.monotonic() + MOVE_RETRY_AFTER
            logger.error("event.not_moved", extra={"error": str(next(iter(refused.values())))})
        here = [each for each in batch if each not in results or each in refused]
        return here, [each for each, error in results.items() if error and each not in refused]

    def _copy(self, incoming: Incoming) -> OutgoingMessage:
        provenance, event = incoming.provenance, incoming.event
        kind = "" if isinstance(event, InvalidEvent) else event.type
        copy = OutgoingMessage(
            topology.ROUTINE_EVENTS.name, kind, provenance.body, content_type=provenance.content_type
        )
        return self._mac.carry_over(incoming.message, copy)

    def _count(self, incoming: Incoming) -> None:
        """Report now and then who chooses a wrong lane, in few lines: a source's name is easily made up."""
        event = incoming.event
        if isinstance(event, InvalidEvent) or (incoming.lane is Lane.URGENT) == incoming.is_in_urgent_queue:
            return
        sender = event.source, incoming.provenance.user
        if sender in self._counts or len(self._counts) < MAX_COUNTED:
            self._counts[sender] += 1
        if time.monotonic() >= self._report_at:
            self._report_at = time.monotonic() + REPORT_INTERVAL
            for (source, user), count in self._counts.most_common(MAX_REPORTED):
                logger.warning("event.wrong_lane", extra={"source": source, "user": user, "count": count})
            self._counts.clear()

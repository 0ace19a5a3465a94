"""Events in the intake queue of the other lane: the producer's routing key chose it, but the type decides.

Thirty thousand session.ended under the key of a user.disabled would keep every user.disabled waiting while they are
judged, planned and recorded. So they are moved to their own queue first, unjudged, which costs a publish each. A
user.disabled in the routine queue has waited there already; it is taken in at once.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tasks.call import Lane
from tasks.events import EVENT_TYPES, Event, InvalidEvent
from worker.broker import topology
from worker.broker.publisher import Message as Publication
from worker.broker.publisher import Refused, Unroutable

if TYPE_CHECKING:
    from kombu.message import Message

    from worker.broker.provenance import Provenance, ProvenanceMac
    from worker.broker.publisher import Publisher

logger = logging.getLogger(__name__)

QUIET: Final = 60.0  # seconds between two times that it is told who chooses a wrong lane
MOST_TOLD: Final = 10  # of those who do, a time: the ones with the most events
MOST_KNOWN: Final = 1000  # of them, between two times
RESTING: Final = 60.0  # seconds in which nothing is moved after the broker refused it


@dataclass(frozen=True, slots=True)
class Opened:
    """A message, what it proves, and the event in it, which nobody has judged yet."""

    message: Message
    provenance: Provenance
    event: Event | InvalidEvent

    @property
    def is_in_urgent_queue(self) -> bool:
        """Whether its routing key led it there."""
        return bool(self.message.delivery_info.get("routing_key") in topology.URGENT_EVENTS)

    @property
    def lane(self) -> Lane | None:
        """The lane of its type; None where there is no event in it."""
        return EVENT_TYPES[self.event.type].lane if isinstance(self.event, Event) else None


class Misplaced:
    """Moves what is in the wrong queue, over *publisher*; *voucher* has it prove as much there as here."""

    def __init__(self, publisher: Publisher, voucher: ProvenanceMac) -> None:
        self._publisher, self._voucher = publisher, voucher
        self._rests_until = self._tell_at = 0.0
        self._counts: Counter[tuple[str, str | None]] = Counter()

    def move(self, opened: Sequence[Opened]) -> dict[int, bool]:
        """Move what must be; by position whether it is safe in its own queue now. What is left out is judged here.

        That is everything, where the broker refuses a move: its permissions may be those of an earlier release.
        """
        for each in opened:
            self._count(each)
        wrong = [i for i, each in enumerate(opened) if each.is_in_urgent_queue and each.lane is Lane.ROUTINE]
        if not wrong or time.monotonic() < self._rests_until:
            return {}
        results = dict(zip(wrong, self._publisher.publish([self._moved(opened[i]) for i in wrong]), strict=True))
        for refusal in [each for each in results.values() if isinstance(each, Refused | Unroutable)][:1]:
            self._rests_until = time.monotonic() + RESTING
            logger.error("event.not_moved", extra={"error": str(refusal)})
        return {i: it is None for i, it in results.items() if not isinstance(it, Refused | Unroutable)}

    def _moved(self, opened: Opened) -> Publication:
        provenance = opened.provenance
        kind = opened.event.type if isinstance(opened.event, Event) else ""
        copy = Publication(topology.ROUTINE_EVENTS.name, kind, provenance.body, content_type=provenance.content_type)
        return self._voucher.carry_over(opened.message, copy)

    def _count(self, opened: Opened) -> None:
        """Tell now and then who chooses a wrong lane, however many they are: a source's name is easily made up."""
        event = opened.event
        if isinstance(event, InvalidEvent) or (opened.lane is Lane.URGENT) == opened.is_in_urgent_queue:
            return
        who = event.source, opened.provenance.user
        if who in self._counts or len(self._counts) < MOST_KNOWN:
            self._counts[who] += 1
        if time.monotonic() >= self._tell_at:
            self._tell_at = time.monotonic() + QUIET
            for (source, user), count in self._counts.most_common(MOST_TOLD):
                logger.warning("event.wrong_lane", extra={"source": source, "user": user, "count": count})
            self._counts.clear()

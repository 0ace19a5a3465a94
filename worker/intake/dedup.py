"""What was taken in before: which event is too old, which came already, and which id stands for something else.

**Too old** is an event that comes after younger ones of its type: later than its limit and what producers' clocks may
differ. A queue keeps its order, so the broker took every event after those delivered before it. Our own clock does not
decide: after an outage of ours a backlog is as young as its neighbours, however long it waited. It decides only if no
outage explains the age, which is then more than the limit and the longest outage together. A second delivery excuses
nothing, because nobody may have seen the first. Operators' replays are never too old here: the desk checks their age.

**Remembered** is an event for as long as it would not be too old, a replay for as long as its voucher is valid. The
first event decides what its id stands for, before anything is published; an event counts as done only once the broker
has confirmed all that becomes of it.

While the ledger is away, events go on unremembered: to revoke a dead token again does no harm, a living one does.
"""

import json
import logging
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cached_property
from hashlib import blake2b
from typing import Final, TypeVar

from tasks.events import Event, InvalidEvent, RejectionCode
from tasks.events.parsing import MAX_AHEAD
from tasks.instants import before
from worker.broker.availability import Availability
from worker.broker.provenance import VOUCHER_LIFE
from worker.broker.publication import Message, PublishError
from worker.database.engine import Database
from worker.database.errors import LedgerUnavailable
from worker.database.thread import DatabaseThread
from worker.intake import dedup_store
from worker.intake.dedup_store import Recorded, SeenEvent
from worker.observability.work import WorkOn

T = TypeVar("T")

logger = logging.getLogger(__name__)

ASK_TIMEOUT: Final = 3.0  # seconds that a batch waits for the ledger
MIN_RETRY_AFTER: Final = 1.0  # seconds until a ledger that was away is asked again
OVERLAP: Final = timedelta(hours=1)  # kept longer: of several intakes, one may not have got as far as the other
FORGET_INTERVAL: Final = 1.0  # seconds
MAX_PARTLY_PUBLISHED: Final = 1000  # events; more than a process has in hand (PREFETCH of each intake queue)
REPLAY: Final = "replay"  # in place of the type of an event that an operator sent again
# What the plan is made of: a hop may write trace contexts, and each content mode has its own attributes.
_CONTENT: Final = {"type", "time", "expirytime", "data"}


@dataclass(frozen=True)
class IncomingEvent:
    """An authorised event."""

    event: Event
    replays: int = 0  # which replay of an operator's this is
    only_provider: str | None = None  # a replay for one provider's part
    providers: frozenset[str] = frozenset()  # that its source may reach; all of them where none is named
    letter: str | None = None  # of a replay: the id of its dead letter
    replayed_at: datetime | None = None

    @cached_property
    def identity(self) -> bytes:
        """What names it. Each replay is an event of its own: it can neither be taken for the first, nor come twice."""
        replay = [self.replays, self.only_provider, self.letter, self.replayed_at and self.replayed_at.isoformat()]
        return _digest([self.event.source, self.event.id, *(replay if self.replays else [])])

    @cached_property
    def content(self) -> bytes:
        """What it asks for: the same in either content mode, and in whatever order members are written."""
        return _digest(self.event.model_dump(mode="json", include=_CONTENT, exclude_unset=True))

    def refused(self, code: RejectionCode, pointer: str) -> InvalidEvent:
        """It as a refused event."""
        return InvalidEvent(code, pointer, body_storable=True, source=self.event.source, event_id=self.event.id)


Classified = IncomingEvent | InvalidEvent | None
"""To be planned; refused; or None, of which everything was published before."""


class Deduplicator:
    """That of one intake process; all of them share what they record in the ledger.

    *max_age* is by event type, *outage* the longest one of ours that may have kept an event waiting. One transaction
    for a batch before it is published, and one after.
    """

    def __init__(self, thread: DatabaseThread, max_age: Mapping[str, timedelta], outage: timedelta) -> None:
        self._thread, self._max_age, self._outage = thread, max_age, outage
        self._youngest: dict[str, datetime] = {}  # event type → the latest time of what came before
        self._knows_past = False
        self._availability = Availability(logger, "memory.away", "memory.back")
        self._ask_at = self._forget_at = 0.0

    def classify(self, batch: Sequence[IncomingEvent]) -> list[Classified]:
        """What is to be done about each event of *batch*, in the order of delivery."""
        if not self._knows_past:
            self._learn()
        aged = [(event, self._is_old(event)) for event in batch]
        young = [_seen(event) for event, is_old in aged if not is_old]
        old = [event.identity for event, is_old in aged if is_old]
        recorded = self._asked(lambda database: dedup_store.claim(database, young, old)) or {}
        return [self._classified(event, recorded, is_old=is_old) for event, is_old in aged]

    def mark_published(self, published: Iterable[IncomingEvent]) -> None:
        """Record that the broker has confirmed all that becomes of *published*, and forget what would be too old."""
        identities, horizons = [each.identity for each in published], self._horizons()
        if identities or horizons:
            self._asked(lambda database: dedup_store.mark_published(database, identities, horizons))

    def _learn(self) -> None:
        """What came before this process did. A type of which nothing ever came was not waiting for us either."""
        past = self._asked(dedup_store.youngest)
        if past is not None:
            self._knows_past = True
            for kind in self._max_age:
                self._came(kind, past.get(kind) or datetime.now(UTC))

    def _came(self, kind: str, at: datetime) -> None:
        self._youngest[kind] = max(at, self._youngest.get(kind, at))

    def _limit(self, kind: str) -> datetime:
        """Events before this time are too old. A clock of ours that was ahead once does no harm."""
        now = datetime.now(UTC)
        waited = before(now, self._outage)
        youngest = min(self._youngest.get(kind, waited), now)
        return before(before(max(youngest, waited), self._max_age[kind]), MAX_AHEAD)

    def _is_old(self, incoming: IncomingEvent) -> bool:
        kind, at = incoming.event.type, incoming.event.time
        if incoming.replays:
            return False
        if at < self._limit(kind):
            return True
        self._came(kind, at)
        return False

    @staticmethod
    def _classified(incoming: IncomingEvent, recorded: dict[bytes, Recorded], *, is_old: bool) -> Classified:
        """What was accepted before is not too old now: it may have failed to be published."""
        match recorded.get(incoming.identity):
            case None if is_old:
                return incoming.refused(RejectionCode.STALE, "/time")
            case Recorded(content=content) if content != incoming.content:
                return incoming.refused(RejectionCode.ID_CONFLICT, "/id")
            case Recorded(published=True):
                with WorkOn(incoming.event):
                    about = {"event_id": incoming.event.id, "source": incoming.event.source}
                    logger.info("event.duplicate", extra=about)
                return None
            case Recorded() as first:
                # Of copies in one batch the first is planned, and stays in the broker until that is published.
                recorded[incoming.identity] = replace(first, published=True)
        return incoming

    def _horizons(self) -> dict[str, datetime]:
        """Event type → what happened before it may be forgotten; now and then."""
        if time.monotonic() < self._forget_at:
            return {}
        self._forget_at = time.monotonic() + FORGET_INTERVAL
        limits = {kind: before(self._limit(kind), OVERLAP) for kind in self._youngest}
        return limits | {REPLAY: datetime.now(UTC) - VOUCHER_LIFE - OVERLAP}

    def _asked(self, question: Callable[[Database], T]) -> T | None:
        """The ledger's answer; None while it is away. One that takes its time to fail is left alone the longer."""
        began = time.monotonic()
        if began < self._ask_at:
            return None
        try:
            answer = self._thread.run_sync(question, ASK_TIMEOUT)
        except LedgerUnavailable as error:
            self._ask_at = time.monotonic() + max(MIN_RETRY_AFTER, 10 * (time.monotonic() - began))
            self._availability.lost(error)
            return None
        self._availability.found()
        return answer


class PartlyPublished:
    """The latest *most* events of one intake process of which the broker has confirmed a part and refused another.

    The whole event stays in the broker until all of it is safe, and is planned again. But a confirmed call must not be
    published again: while a queue refuses the record, the call would be made over and over.
    """

    def __init__(self, most: int = MAX_PARTLY_PUBLISHED) -> None:
        self._most = most
        self._confirmed: OrderedDict[tuple[bytes, bytes], frozenset[str]] = OrderedDict()

    def has(self, event: IncomingEvent) -> bool:
        """Whether a part of *event* was published: it was let through, and what is left of it goes on."""
        return _key(event) in self._confirmed

    def left(self, event: IncomingEvent, planned: Sequence[Message]) -> list[Message]:
        """What of *planned* is still to be published."""
        confirmed = self._confirmed.get(_key(event), frozenset())
        return [message for message in planned if _name(message) not in confirmed]

    def note(
        self,
        event: IncomingEvent,
        sent: Sequence[Message],
        results: Sequence[PublishError | None],
        *,
        is_whole: bool = True,
    ) -> None:
        """Remember which of the messages *sent* for *event* were confirmed; forget it once all are.

        *is_whole*: nothing else becomes of it.
        """
        before = self._confirmed.pop(_key(event), frozenset())
        if any(results) or not is_whole:
            confirmed = (_name(message) for message, failure in zip(sent, results, strict=True) if failure is None)
            self._confirmed[_key(event)] = before.union(confirmed)
        while len(self._confirmed) > self._most:
            self._confirmed.popitem(last=False)


def _key(event: IncomingEvent) -> tuple[bytes, bytes]:
    """The plan of the same event under the same id is the same each time."""
    return event.identity, event.content


def _name(message: Message) -> str:
    """What names a message among those of one event: the id of its call or dead letter, or the way of a record."""
    return message.correlation_id or f"{message.exchange} {message.routing_key}"


def _seen(incoming: IncomingEvent) -> SeenEvent:
    """A replay is kept by its own time, for longer than its voucher lives: its event may be of any age."""
    if incoming.replays:
        return SeenEvent(incoming.identity, incoming.content, REPLAY, incoming.replayed_at or datetime.now(UTC))
    return SeenEvent(incoming.identity, incoming.content, incoming.event.type, incoming.event.time)


def _digest(value: object) -> bytes:
    return blake2b(json.dumps(value, sort_keys=True).encode(), digest_size=16).digest()

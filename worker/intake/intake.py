"""The intake: events in, provider calls out. Parse, authorise, plan, publish, and only then acknowledge."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Final

from tasks.events import InvalidEvent, RejectionCode, parse_event
from tasks.plan import Catalogue, Plan, plan_revocations
from worker import broker
from worker.broker import topology
from worker.broker.batch_consumer import BatchConsumer
from worker.broker.provenance import ProvenanceMac
from worker.broker.publication import Message as OutgoingMessage
from worker.broker.publication import PublishError
from worker.broker.publisher import AlternatingPublisher
from worker.broker.queue_batch import Unsafe
from worker.database.thread import DatabaseThread
from worker.intake import counting
from worker.intake.authorization import Authorizer, Granted
from worker.intake.dedup import Deduplicator, IncomingEvent, PartlyPublished
from worker.intake.event_spans import EventSpans
from worker.intake.flood.gate import FloodGate
from worker.intake.flood.window import Limits, Subject, subjects_of
from worker.intake.incoming import Incoming, MisplacedEvents, Sent, identities
from worker.intake.outgoing import Outgoing
from worker.intake.registry.registry import SessionRegistry, needs_registry, open_registry, says_nothing_without
from worker.intake.sentry_events import SentryEvents
from worker.observability.work import WorkOn
from worker.process import Stop
from worker.settings import Settings

if TYPE_CHECKING:
    from kombu.message import Message

logger = logging.getLogger(__name__)

BATCH_SECONDS: Final = 0.03  # of CPU, in which a batch is judged: as long as a hundred plain events take
HEAD_START: Final = 1.0  # seconds that the urgent queue is worked on before the routine queue gets a batch


@dataclass(frozen=True, slots=True)
class Controls:
    """What stands between a message and the plan of its event, in this order."""

    mac: ProvenanceMac  # what it proves
    authorizer: Authorizer  # who may say what
    deduplicator: Deduplicator  # what came before
    gate: FloodGate  # how many people at once


def run(settings: Settings, stop: Stop) -> None:
    """Take in events until *stop* is set."""
    connect, url, catalogue = broker.connector(settings), settings.ledger_url.get_secret_value(), settings.catalogue()
    _log_who_is_believed(settings)
    opened = closing(DatabaseThread(url)), open_registry(settings, catalogue), AlternatingPublisher(connect)
    with opened[0] as thread, opened[1] as registry, opened[2] as publisher:
        gate = FloodGate(thread, Limits.set_by(settings.flood))
        deduplicator = Deduplicator(thread, settings.max_ages(), settings.longest_outage())
        controls = Controls(ProvenanceMac.of(settings), Authorizer.of(settings), deduplicator, gate)
        intake = Intake(catalogue, publisher, controls, registry)
        consumed = topology.INTAKES, list(settings.providers), intake.begin, stop
        BatchConsumer(connect, *consumed, ahead=1, head_start=HEAD_START, batch_seconds=BATCH_SECONDS).run()


class Intake:
    """Turns batches of messages into calls, records and dead letters; sends one while another waits for confirms."""

    def __init__(
        self,
        catalogue: Catalogue,
        publisher: AlternatingPublisher,
        controls: Controls,
        registry: SessionRegistry | None = None,
    ) -> None:
        self._catalogue, self._publisher, self._controls, self._registry = catalogue, publisher, controls, registry
        self._outgoing = Outgoing(controls.mac, controls.authorizer, catalogue)
        self._partly_published = PartlyPublished()
        self._misplaced = MisplacedEvents(publisher, controls.mac)
        self._observers = [each for each in (EventSpans.of_this_process(), SentryEvents.of_this_process()) if each]
        self._under_way: list[Sent] = []

    def begin(self, batch: Sequence[Message]) -> Unsafe:
        """Send what *batch* becomes; returns what waits for it, and returns the messages with something unconfirmed."""
        started = time.time_ns()
        here, unmoved = self._misplaced.move([self._open(message) for message in batch])
        for each in here:
            self._authorize(each)
        self._wait_for_copies(here)
        self._judge(here)
        sent = Sent(here, unmoved, self._send(here, started))
        self._under_way.append(sent)
        return partial(self._complete, sent)

    def read(self, message: Message) -> Incoming:
        """*message* with the event in it, authorised, or with why that is refused."""
        incoming = self._open(message)
        self._authorize(incoming)
        return incoming

    def plan(self, incoming: Incoming) -> Plan | None:
        """What is to be done about an event: what its source may reach; of a replayed part, that part."""
        event = incoming.accepted
        if event is None:
            return None
        plan = plan_revocations(event.event, self._catalogue, datetime.now(UTC), incoming.registered)
        if event.only_provider:
            return plan.only(event.only_provider)
        return plan.only(*event.providers) if event.providers else plan

    def publications(self, incoming: Incoming) -> list[OutgoingMessage]:
        """What one message becomes: calls and a record of the plan, a dead letter, or nothing that was not before."""
        return self._outgoing.of(incoming)

    def _open(self, message: Message) -> Incoming:
        provenance, headers = self._controls.mac.verify(message), message.headers or {}
        now = datetime.now(UTC)
        event = parse_event(provenance.body, now=now, content_type=provenance.content_type, headers=headers)
        return Incoming(message, provenance, event)

    def _authorize(self, incoming: Incoming) -> None:
        event, provenance = incoming.event, incoming.provenance
        if isinstance(event, InvalidEvent):
            incoming.verdict = event
            return
        answer = self._controls.authorizer.authorize(event, provenance)
        if isinstance(answer, Granted):
            it, replay = provenance, (provenance.letter, provenance.vouched_at)
            accepted = IncomingEvent(event, it.replays, it.only_provider, answer.providers, *replay)
            is_lost = self._registry is None and says_nothing_without(event)
            incoming.verdict = accepted.refused(RejectionCode.NO_REGISTRY, "/data") if is_lost else accepted
        else:
            incoming.verdict = answer

    def _wait_for_copies(self, batch: Sequence[Incoming]) -> None:
        """Complete the batches under way that hold another copy of an event: what it came to decides."""
        here = identities(batch)
        for sent in [each for each in self._under_way if not here.isdisjoint(identities(each.batch))]:
            self._complete(sent)

    def _judge(self, batch: Sequence[Incoming]) -> None:
        """Find out what was taken in before, remember what was not, plan it, and count whom it hits."""
        events = {each: event for each in batch if (event := each.accepted)}
        for each, verdict in zip(events, self._controls.deduplicator.classify([*events.values()]), strict=True):
            each.verdict = verdict
        for each in batch:
            each.plan = self.plan(each)
        for each, is_held in zip(batch, self._controls.gate.held_back([*map(self._people, batch)]), strict=True):
            each.is_held = is_held
        self._resolve([each for each in batch if each.accepted and not each.is_held])

    def _resolve(self, batch: Sequence[Incoming]) -> None:
        """Plan *batch* anew with what the session registry knows, which learns of it; behind the guard of floods."""
        if self._registry is None:
            return
        events = [taken.event for each in batch if (taken := each.accepted)]
        found = self._registry.resolve(events)
        if found is None:
            for each, event in zip(batch, events, strict=True):
                each.is_unresolved = needs_registry(event)
            return
        for each, registered in zip(batch, found, strict=True):
            each.registered = registered
            each.plan = self.plan(each)

    def _people(self, incoming: Incoming) -> tuple[Subject, ...]:
        """Whom the event hits. What an operator sent again does not count, nor what was let through before."""
        event = incoming.accepted
        if event is None or incoming.plan is None or event.replays or self._partly_published.has(event):
            return ()
        return subjects_of(event.event, incoming.plan, self._catalogue.subjects, by_name=self._registry is not None)

    def _send(self, batch: Sequence[Incoming], started: int) -> Callable[[], Iterable[PublishError | None]]:
        """Send what of *batch*, which was *started* at so many nanoseconds since 1970, was not confirmed before."""
        for each in batch:
            with self._work_on(each, started):
                event, publications = each.accepted, self.publications(each)
            each.publications = self._partly_published.left(event, publications) if event else publications
            for observer in self._observers:
                each.publications = [observer.send(each, message) for message in each.publications]
        return self._publisher.begin([message for each in batch for message in each.publications])

    def _work_on(self, incoming: Incoming, started: int) -> WorkOn:
        trace_id = None
        for observer in self._observers:
            trace_id = observer.begin(incoming, started) or trace_id
        return WorkOn(None if isinstance(incoming.event, InvalidEvent) else incoming.event, trace_id)

    def _complete(self, sent: Sent) -> list[Message]:
        """Wait for the confirms, and remember what is published; returns the messages that are not done."""
        if sent in self._under_way:
            self._confirm(sent.batch, sent.confirms())
            self._under_way.remove(sent)
        return sent.unsafe

    def _confirm(self, batch: Sequence[Incoming], confirms: Iterable[PublishError | None]) -> None:
        results = iter(confirms)
        for each in batch:
            each.results = [next(results) for _ in each.publications]
            if event := each.accepted:
                known = not each.is_unresolved
                self._partly_published.note(event, each.publications, each.results, is_whole=known)
            for observer in self._observers:
                observer.end(each)
        done = [each for each in batch if each.is_done]
        counting.count(done, self._controls.authorizer.listed_as)
        for failure in {str(result) for each in batch for result in each.results if result is not None}:
            logger.warning("intake.not_published", extra={"error": failure})
        self._controls.deduplicator.mark_published(event for each in done if (event := each.accepted))


def _log_who_is_believed(settings: Settings) -> None:
    """Once, at the start: what operators would else find out from an incident."""
    if broker.is_embedded(settings.broker_url.get_secret_value()):
        logger.warning("producers.unproved", extra={"broker": "embedded", "sources": sorted(settings.sources)})
    elif not settings.sources:
        logger.warning("producers.none_listed", extra={"setting": "sources"})

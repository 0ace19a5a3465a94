"""The recorder: outcomes and dead letters from the broker into the ledger.

The dead-letter queue is the transport, the ledger is the desk: nobody disturbs a queue to look at it. While the
ledger is away, everything waits in the broker.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Mapping, Sequence
from contextlib import closing, suppress
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from kombu import Connection
from pydantic import ValidationError

from tasks import records
from tasks.call import ProviderCall
from tasks.events import Event, InvalidEvent, RejectionCode, parse_event
from tasks.events.parsing import is_storable
from tasks.outcome import Reason
from tasks.records import DeadLetter, DeadLetters, Records, dead_record, ledger_message, ledger_record
from worker import broker
from worker.broker import deaths, topology
from worker.broker.availability import Availability
from worker.broker.backlog import Backlog
from worker.broker.batch_consumer import BatchConsumer
from worker.broker.messages import body_of, unreadable_letter
from worker.broker.provenance import LetterMac, Provenance, ProvenanceMac
from worker.broker.queue_batch import BATCH_SIZE, at_once
from worker.broker.record_traces import traced
from worker.broker.unproved_queue import UnprovedQueue
from worker.intake import dead_letters
from worker.ledger import Ledger, LedgerRefused, LedgerUnavailable
from worker.ledger.retention import Tidying, forget
from worker.ledger.schema import Schema
from worker.observability import metrics
from worker.observability.health import OF_PROCESS
from worker.process import Stop
from worker.settings import Settings

if TYPE_CHECKING:
    from kombu.message import Message

logger = logging.getLogger(__name__)

# Some 40 ms, so long a lock is held: intakes write to the same database.
COMMIT_RECORDS: Final = 500
COMMIT_INTERVAL: Final = 0.05  # seconds; a commit costs as much as thirty records, so they are gathered meanwhile
_NAMING: Final = {"kind", "event_id", "call_id"}
_DEAD: Final = {topology.DEAD.name, topology.UNPROVED.name}

Record = records.EventPlanned | records.CallOutcome | DeadLetter


def run(settings: Settings, stop: Stop) -> None:
    """Record until *stop* is set. A ledger that is away is logged once, and waited for."""
    ledger = Ledger.open(settings.ledger_url.get_secret_value(), audit_secret=settings.audit_secret())
    recorder = Recorder(ledger, ProvenanceMac.of(settings))
    tidying = Tidying(partial(forget, ledger.database), settings.storage)
    unproved = UnprovedQueue(ledger, recorder.handle, settings.storage)

    def between(connection: Connection) -> None:
        backlog.look(connection)
        with suppress(LedgerUnavailable):  # the next batch of records finds it out, and logs it
            unproved.take(connection)
            tidying.step()
        ledger.database.shorten_log()
        if not recorder.is_behind:
            stop.wait(COMMIT_INTERVAL)
        recorder.is_behind = False

    def caught_up() -> None:
        if not unproved.is_failing:
            recorder.availability.found()

    connect, providers = broker.connector(settings), list(settings.providers)
    with closing(ledger), Backlog(settings) as backlog:
        consumed = topology.RECORDS, providers, at_once(traced(recorder.handle)), stop
        BatchConsumer(connect, *consumed, between=between, caught_up=caught_up).run()


class Recorder:
    """Writes batches of messages into the ledger, at most COMMIT_RECORDS in one transaction."""

    def __init__(self, ledger: Ledger, mac: ProvenanceMac) -> None:
        self._ledger = ledger
        self._mac = mac
        self._schema = Schema(ledger)
        self.is_behind = False  # whether a batch was full, so that more messages wait
        # Found again once all is written: on a full disk a small batch may fit, which heals nothing.
        self.availability = Availability(logger, "ledger.unavailable", "ledger.back")

    def handle(self, batch: Sequence[Message]) -> Sequence[Message]:
        """Write *batch*; returns all of it where the ledger could not be written."""
        self.is_behind |= len(batch) >= BATCH_SIZE
        try:
            self._schema.ensure()
            found = [record for message in batch for record in read(message, self._mac)]
            for start in range(0, len(found), COMMIT_RECORDS):
                OF_PROCESS.beat()
                self._write(found[start : start + COMMIT_RECORDS])
        except LedgerUnavailable as error:
            self.availability.lost(error)
            self._schema.is_ready = False  # whatever comes back may be another database, or an older state of this one
            return batch
        _count(found)
        return []

    def _write(self, batch: Sequence[Record]) -> None:
        """Write *batch*; a record the database will never take must not keep the others out for ever.

        What fails while one record alone is written is that record's fault: a dead letter takes its place.
        """
        try:
            self._ledger.record(batch)
        except LedgerUnavailable:
            raise
        except Exception as error:  # noqa: BLE001 - of a record that another process wrote
            if len(batch) > 1:
                middle = len(batch) // 2
                self._write(batch[:middle])
                self._write(batch[middle:])
                return
            detail = str(error) if isinstance(error, LedgerRefused) else type(error).__name__
            about = {"error": detail, **batch[0].model_dump(include=_NAMING)}
            logger.error("ledger.refused", extra=about)  # noqa: TRY400 - it may tell a value
            self._ledger.record([_refused(batch[0])])


def read(message: Message, mac: ProvenanceMac) -> Sequence[Record]:
    """The records that *message* carries. What is no record of ours becomes a dead letter: nothing is dropped.

    *mac* verifies the provenance of an event that the broker gave up.
    """
    try:
        return _apart(_read(message, mac), mac.letters)
    except ValidationError:
        parts = [_read_part(part, message) for part in _parts_of(message)]
        return parts or [unreadable_letter(message, Reason.RECORD_INVALID)]
    except Exception as error:  # noqa: BLE001 - whatever it is, it is the message's fault
        logger.error("record.unreadable", extra={"error": type(error).__name__})  # noqa: TRY400 - likewise
        return [unreadable_letter(message, Reason.RECORD_INVALID)]


def _read(message: Message, mac: ProvenanceMac) -> Record | Records | DeadLetters:
    body = body_of(message)
    match message.headers.get("x-death"):
        case [dict() as death, *_]:
            return _given_up_by_broker(message, mac, death)
    if message.delivery_info.get("exchange") in _DEAD:
        return dead_record.validate_json(body)
    return ledger_message.validate_json(body)


def _parts_of(message: Message) -> list[bytes]:
    """The records of a pack, as JSON: one that is none must not take its neighbours along."""
    if message.delivery_info.get("exchange") in _DEAD:
        return []
    with suppress(ValueError, RecursionError):
        return records.parts(body_of(message))
    return []


def _read_part(part: bytes, message: Message) -> Record:
    try:
        return ledger_record.validate_json(part)
    except ValidationError:
        return unreadable_letter(message, Reason.RECORD_INVALID, part=part)


def _given_up_by_broker(message: Message, mac: ProvenanceMac, death: Mapping[str, Any]) -> DeadLetter:
    """A message that came through the net: it crashed its process too often, its task raised, or its time ran out."""
    at, detail = deaths.time_of(death), {"queue": str(death.get("queue"))[:64]}
    if death.get("queue") in {queue.name for queue in topology.INTAKES}:
        provenance = mac.verify(message)
        found, reason = _event_in(message, provenance), deaths.reason_of(death, Reason.BROKER_REJECTED)
        return mac.letters.sign(dead_letters.of_given_up(found, provenance, reason, at, detail))
    call = _call_in(body_of(message))
    if call is None:
        return unreadable_letter(message, deaths.reason_of(death, Reason.RECORD_INVALID))
    reason = deaths.reason_of(death, Reason.WORKER_LOST)
    return mac.letters.sign(records.dead_letter_of_call(call, reason, at, detail))


def _event_in(message: Message, provenance: Provenance) -> Event | InvalidEvent:
    """The event, or why it is none. What crashed the intake must not crash the recorder."""
    body, content_type = provenance.body, provenance.content_type
    try:
        return parse_event(body, now=datetime.now(UTC), content_type=content_type, headers=message.headers)
    except Exception:  # noqa: BLE001 - whatever it is, it is the message's fault
        is_harmless = False
        with suppress(Exception):  # a body on which the check fails is not proved harmless
            is_harmless = is_storable(body, content_type)
        return InvalidEvent(RejectionCode.INVALID_REQUEST, "", body_storable=is_harmless)


def _apart(record: Record | Records | DeadLetters, mac: LetterMac) -> Sequence[Record]:
    """A call that the broker gave up takes the sessions it was to cover along: each is a dead letter of its own."""
    match record:
        case Records():
            return record.records
        case DeadLetters():
            return record.apart()
        case DeadLetter(call=ProviderCall(covers=covers)) if covers:
            parts = records.apart(record)
            return [mac.sign(each) for each in parts] if mac.verify(record) else parts
    return [record]


def _call_in(body: bytes) -> ProviderCall | None:
    try:
        return ProviderCall.model_validate(json.loads(body)[0][0])
    except (ValueError, LookupError, TypeError, RecursionError):
        return None


def _count(recorded: Sequence[Record]) -> None:
    """Count what died, and what became of replays."""
    for record in recorded:
        if record.kind == "planned":
            continue
        if record.kind != "outcome":
            metrics.DEAD_LETTERED.add(record.provider or "", record.reason)
        if record.replays and (record.kind != "outcome" or record.state.is_settled):
            metrics.REPLAYS.add(record.provider or "")


def _refused(record: Record) -> DeadLetter:
    """What the ledger keeps in place of a record that it refuses: found by the event."""
    digest = hashlib.sha256(record.model_dump_json().encode()).hexdigest()
    return DeadLetter(
        kind="message",
        dead_letter_id=records.dead_letter_id("message", digest),
        reason=Reason.RECORD_INVALID,
        at=datetime.now(UTC),
        detail={"kind": record.kind},
        source=record.source,
        event_id=record.event_id,
        event_type=record.event_type,
        body_sha256=digest,
    )

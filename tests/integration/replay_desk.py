"""A desk with dead letters on it: a real ledger and a real broker, nobody consuming."""

import base64
import hashlib
import json
import time
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from kombu.message import Message as Delivered
from prepared_ledgers import make_file
from servers import wait_until

from tasks import records
from tasks.call import Attempt, Lane, ProviderCall
from tasks.outcome import State
from tasks.plan import Catalogue
from tasks.providers import finbourne
from tasks.records import CallOutcome, DeadLetter
from tasks.subject_index import SubjectIndex
from worker import broker
from worker.broker import topology
from worker.broker.provenance import ProvenanceMac
from worker.broker.publication import Message
from worker.broker.publisher import AlternatingPublisher, Publisher
from worker.database.thread import DatabaseThread as LedgerDesk
from worker.intake.authorization import Authorizer
from worker.intake.dedup import Deduplicator
from worker.intake.flood.gate import FloodGate
from worker.intake.flood.window import Limits
from worker.intake.intake import Controls, Intake
from worker.ledger import AuditEntry, DeadLetterFilter, DeadLetterRow, DeadLetterState, Job, Ledger, Operator, Pace
from worker.operations import jobs
from worker.operations.job_report import ReplayResult
from worker.operations.jobs import JobStart
from worker.operations.replay import ReplayControls, ReplaySettings
from worker.operations.replay_plan import ReplayPages
from worker.operations.replay_rules import ReplayPlan, only_vouched, plan_replay
from worker.recorder import Recorder
from worker.settings.sections import SourceSettings

PROVIDERS = ("finbourne", "genesys")
SEALED = "sealed-marker-0123456789"
MAX_AGES = {"session.ended": timedelta(hours=48), "user.disabled": timedelta(days=7)}
BUDGETS = {Lane.ROUTINE: timedelta(hours=24), Lane.URGENT: timedelta(hours=72)}
SECRET = b"subject-key-of-a-test-installation"
MAC = ProvenanceMac(SECRET)
TRUSTING = Authorizer(
    {each: SourceSettings(source=f"urn:{each}", trusted=True) for each in ("test", "hr")}, proves_users=True
)
SUBJECTS = SubjectIndex(SECRET)
MANY = {"session.ended": 1000, "user.disabled": 1000}
LIMITS = Limits(600, MANY, MANY, {})
FAST = Pace(rate=1000.0)
EVERY = DeadLetterFilter(states=tuple(DeadLetterState), newest_first=False)
OLGA = Operator("olga", "provider is back")
NOTHING = ReplayResult(0, 0, 0, 0, 0, 0, 0)


def audit() -> AuditEntry:
    """An operator's reason."""
    return AuditEntry("olga", "dead-letter.replay", "--all", "provider is back")


def dead_call(**changed: Any) -> DeadLetter:
    """A session at Finbourne that ended a minute ago, whose call was tried once and given up."""
    now = datetime.now(UTC)
    told: dict[str, Any] = {
        "call_id": str(uuid.uuid4()),
        "source": "urn:test",
        "event_id": str(uuid.uuid4()),
        "event_type": "session.ended",
        "occurred_at": now - timedelta(minutes=1),
        "deadline": now + timedelta(hours=1),
        "provider": "finbourne",
        "operation": finbourne.INVALIDATE_TOKEN,
        "lane": Lane.ROUTINE,
        "subject": "al…@example.com",
        "subject_keys": ("key-of-alice",),
        "jwe": SEALED,
        "attempts": (Attempt(at=now, reason="http.5xx"),),
    }
    call = ProviderCall(**told | changed)
    return records.dead_letter_of_call(call, "http.5xx", now)


def dead_unit(**changed: Any) -> DeadLetter:
    """One provider's part of an event that could not be resolved; with `kind="event"`: a refused event."""
    body = base64.b64encode(b'{"specversion": "1.0"}').decode()
    told = {"event_id": str(uuid.uuid4()), "event_type": "user.disabled", "provider": "genesys", "body": body}
    more = {"content_type": "application/json", "headers": {"ce-id": "7"}, "source": "urn:test", "reason": "route.x"}
    return DeadLetter.model_validate(
        {"kind": "unit", "dead_letter_id": str(uuid.uuid4()), "at": datetime.now(UTC), **told, **more, **changed}
    )


def as_made(letter: DeadLetter) -> DeadLetter:
    """*letter* with the digest of its body and the MAC that a process of ours puts on it."""
    digest = hashlib.sha256(base64.b64decode(letter.body)).hexdigest() if letter.body else None
    return MAC.letters.sign(letter.model_copy(update={"body_sha256": letter.body_sha256 or digest}))


def told(letter: DeadLetter, state: State, **changed: Any) -> CallOutcome:
    """What the worker says of a dead letter's call once it was replayed."""
    call = letter.call
    assert call is not None
    known = call.model_dump(include=set(CallOutcome.model_fields) & set(ProviderCall.model_fields))
    news = {"at": datetime.now(UTC), "state": state, "attempt": 1, "replays": call.replays + 1}
    return CallOutcome(**known | news | changed)


class Desk:
    """A ledger in the folder *home* and the broker at *broker_url*, its queues declared."""

    def __init__(self, home: Path, broker_url: str) -> None:
        self.broker_url = broker_url
        self.authorizer = TRUSTING
        self.ledger_url = make_file(f"sqlite:///{home / 'ledger.sqlite3'}")
        self.ledger = Ledger.open(self.ledger_url, audit_secret=SECRET)
        self.asked = LedgerDesk(self.ledger_url)
        with broker.connect(broker_url) as connection:
            topology.declare(connection, PROVIDERS)

    def close(self) -> None:
        """Let the ledger go."""
        self.asked.close()
        self.ledger.close()

    def fill(self, *letters: DeadLetter) -> list[DeadLetterRow]:
        """Put *letters* on the desk as the intake and the worker make them; every row there is, oldest death first."""
        self.ledger.record([each if each.mac else as_made(each) for each in letters])
        return self.ledger.dead_letters(EVERY)

    def row(self, letter: DeadLetter) -> DeadLetterRow:
        """The row of *letter*."""
        return self.ledger.dead_letter(letter.dead_letter_id)

    @property
    def settings(self) -> ReplaySettings:
        """What the settings of an installation say of replays."""
        return ReplaySettings(BUDGETS, MAX_AGES, MAC, SECRET)

    def replay(self, rows: Sequence[DeadLetterRow], pace: Pace = FAST, **how: Any) -> ReplayResult:
        """Replay those of *rows* that the guards let through, with connections of its own."""
        job = self.planned(rows, pace, force=how.pop("force", False), claims=how.pop("claims", False))
        return NOTHING if job is None else self.run(job, **how)

    def planned(
        self, rows: Sequence[DeadLetterRow], pace: Pace = FAST, *, force: bool = False, claims: bool = False
    ) -> Job | None:
        """The job of a replay of *rows*; None where the guards let none through."""
        plan = plan_replay(rows, self.ledger, datetime.now(UTC), MAX_AGES, force=force)
        vouched = only_vouched(plan, MAC.letters, claims=claims)
        return self.stored(ReplayPages(lambda: [vouched], "--all", is_judged=not force, claims=claims), pace)

    def stored(self, pages: ReplayPages, pace: Pace = FAST) -> Job | None:
        """The job of a replay of *pages*."""
        return jobs.plan(self.settings, self.ledger, pages, pace, OLGA).job

    def release(self, rows: Sequence[DeadLetterRow], publisher: Publisher | None = None) -> ReplayResult:
        """Replay *rows* whatever they are, as a flood is released."""
        job = self.stored(ReplayPages(lambda: [ReplayPlan(tuple(rows), ())], "--all", is_judged=False))
        return NOTHING if job is None else self.run(job, publisher)

    def run(self, job: Job, publisher: Publisher | None = None, **how: Any) -> ReplayResult:
        """Run *job*, with connections of its own."""
        ledger = Ledger.open(self.ledger_url, audit_secret=SECRET)
        start = JobStart(job.job_id, job.hash, OLGA)
        with Publisher(lambda: broker.connect(self.broker_url)) as own:
            try:
                return jobs.run(self.settings, ledger, publisher or own, start, ReplayControls(**how)).result
            finally:
                ledger.close()

    def take_in(self, *outgoing: Message, limits: Limits = LIMITS) -> None:
        """Publish *outgoing*; the intake takes what waits for it, the recorder what came of that."""
        connect = partial(broker.connect, self.broker_url)
        with Publisher(connect) as publisher, AlternatingPublisher(connect) as line:
            publisher.publish_all(outgoing)
            gate = FloodGate(self.asked, limits)
            controls = Controls(MAC, self.authorizer, Deduplicator(self.asked, MAX_AGES, timedelta(days=30)), gate)
            assert not Intake(Catalogue({}, BUDGETS, SUBJECTS), line, controls).begin(self.events())()
        for queue in (*topology.RECORDS, topology.UNPROVED_QUEUE):
            assert not Recorder(self.ledger, MAC).handle(self.replayed(queue.name))

    def events(self) -> list[Delivered]:
        """Every event that waits for the intake, taken out of its queue."""
        return [message for queue in topology.INTAKES for message in self.replayed(queue.name)]

    def replayed(self, queue: str = "revocation.calls.finbourne.routine") -> list[Delivered]:
        """Every message that waits in *queue*, taken out of it."""
        found = []
        with broker.connect(self.broker_url) as connection:
            waiting = next(each for each in topology.all_queues(PROVIDERS) if each.name == queue)(connection.channel())
            while message := _get(waiting):
                message.ack()
                found.append(message)
        return found


def call_in(message: Delivered) -> dict[str, Any]:
    """The provider call in a task message."""
    call: dict[str, Any] = json.loads(message.body)[0][0]
    return call


def wait_for_message(queue: Any) -> Delivered:
    """The next message of a bound *queue*, not yet acknowledged."""
    message: Delivered = wait_until(queue.get, what="a message")
    return message


def _get(queue: Any) -> Delivered | None:
    """A quorum queue may need a moment to show its next message, so nothing is nothing only when asked again."""
    deadline = time.monotonic() + 0.3
    while (message := queue.get()) is None and time.monotonic() < deadline:
        time.sleep(0.02)
    found: Delivered | None = message
    return found

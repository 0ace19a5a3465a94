"""What the ledger keeps of a replay that was planned: plain values, times aware and in UTC."""

import hashlib
import hmac
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from worker.ledger.audit import AuditEntry
from worker.ledger.rows import DeadLetterRow, DeadLetterState


class JobState(StrEnum):
    """Where a job stands."""

    PLANNED = "planned"  # nothing has happened
    RUNNING = "running"
    PAUSED = "paused"  # by an operator, or by itself: `why` says which
    STOPPED = "stopped"  # for good
    DONE = "done"  # nothing is left to be published


class Fate(StrEnum):
    """What became of one dead letter of a job."""

    PLANNED = "planned"  # its turn is yet to come
    REPLAYED = "replayed"  # published, confirmed by the broker; nothing was heard of it since
    SETTLED = "settled"
    DIED = "died"  # again
    TAKEN = "taken"  # by another replay that had it first
    CHANGED = "changed"  # since it was planned, so it was left out
    NOT_PUBLISHED = "not_published"  # free again
    REFUSED = "refused"  # by the plan
    DISCARDED = "discarded"  # by the job


OUT: Final = (Fate.REPLAYED, Fate.SETTLED, Fate.DIED)  # fates of what was published
DONE: Final = (*OUT, Fate.DISCARDED)  # of what a job did its deed on
DISCARDS: Final = ("dead-letter.discard", "guard.discard")  # actions of jobs that give dead letters up
LEFT: Final = (Fate.PLANNED, Fate.NOT_PUBLISHED)  # of what the next run does


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast a replay goes, and what stops it."""

    rate: float  # dead letters per second
    canary: int = 0  # replayed first; the rest follows when all of these have settled
    stop_after_failures: int | None = None  # replayed ones that died again
    wait: float = 0.0  # seconds: longest wait for what becomes of the canary, and of all at the end


@dataclass(frozen=True, slots=True)
class Job:
    """A replay or a discard that was planned. Its id is short; the operator gets it."""

    job_id: str
    hash: str  # of the plan, in hex digits; empty while it is made
    state: JobState
    why: str  # it stands still
    runner: str | None  # the process that has it; None: nobody is at it
    planned_at: datetime
    at: datetime  # the last sign of life
    audit: AuditEntry
    pace: Pace
    is_judged: bool  # whether each is judged again before it goes
    claims: bool  # whether what nobody vouches for goes as a claim
    ends: tuple[tuple[str, str], ...]  # the floods, by source and type, that end before it begins

    @property
    def is_discard(self) -> bool:
        """Whether it gives its dead letters up for good; else it replays them."""
        return self.audit.action in DISCARDS

    @property
    def deed(self) -> str:
        """What becomes of its dead letters, in a word."""
        return "discarded" if self.is_discard else "replayed"


@dataclass(frozen=True, slots=True)
class JobLetter:
    """One dead letter of a job: as it was planned, and what became of it."""

    dead_letter_id: str
    position: int
    provider: str | None
    reason: str  # of its death
    replays: int
    state: DeadLetterState  # when it was planned
    fingerprint: str
    fate: Fate = Fate.PLANNED
    why: str = ""


@dataclass(frozen=True, slots=True)
class JobGroup:
    """How many dead letters of a job are alike."""

    provider: str | None
    reason: str  # of their death
    fate: Fate
    why: str
    count: int


@dataclass(frozen=True, slots=True)
class JobStep:
    """The next dead letters of a job, of whom the job has the claim now, and of whom it needs none."""

    claimed: tuple[DeadLetterRow, ...]
    decided: Mapping[str, tuple[Fate, str]]  # by id: what became of it, and why


def planned_letter(row: DeadLetterRow, position: int, refusal: str | None = None) -> JobLetter:
    """Return *row* as the plan keeps it, at *position*; *refusal* is why the plan leaves it out."""
    fate = Fate.PLANNED if refusal is None else Fate.REFUSED
    known = row.dead_letter_id, position, row.provider, row.reason, row.replays, row.state
    return JobLetter(*known, fingerprint(row), fate, refusal or "")


def fingerprint(row: DeadLetterRow) -> str:
    """Return 32 hex digits that are others once *row* died again, or anybody wrote into what it holds."""
    parts = (row.dead_letter_id, str(row.replays), row.document, row.arrived or "")
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]


def plan_hash(secret: bytes, job: Job, letters: Iterable[JobLetter]) -> str:
    """Return the hash of a plan: of *job* and *letters*, in their order, and the same however far the job got.

    Nobody without *secret* can make it, so a plan that somebody changed in the ledger is found out. A discard has a key
    of its own: a release that takes every job for a replay refuses it.
    """
    kind = b"discard" if job.is_discard else b"replay"
    key = hmac.digest(secret, b"revoker: hash of a planned " + kind, "sha256")
    made = hmac.new(key, _head(job), "sha256")
    for letter in letters:
        made.update(_line(letter))
    return made.hexdigest()


def _head(job: Job) -> bytes:
    pace, audit = job.pace, job.audit
    how = pace.rate, pace.canary, pace.stop_after_failures, pace.wait, job.is_judged, job.claims, job.ends
    return _bytes(job.job_id, audit.actor, audit.action, audit.scope, audit.reason, audit.audit_id, *how)


def _line(letter: JobLetter) -> bytes:
    refusal = letter.why if letter.fate is Fate.REFUSED else ""
    planned = letter.dead_letter_id, letter.provider, letter.reason, letter.replays, letter.state, letter.fingerprint
    return _bytes(*planned, refusal)


def _bytes(*values: object) -> bytes:
    return json.dumps(values).encode() + b"\n"

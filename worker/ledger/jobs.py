"""Replays as they were planned: made, found, taken by who runs them, halted and forgotten."""

import json
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from functools import cache
from typing import Any, Final

import sqlalchemy as sa

from worker.database.tables import job_letters as letters_table
from worker.database.tables import jobs as jobs_table
from worker.database.writing import Insert, insert_all, insert_into, take_changes
from worker.ledger import audit as auditing
from worker.ledger.audit import AuditEntry
from worker.ledger.job_rows import DONE, LEFT, Fate, Job, JobLetter, JobState, Pace
from worker.ledger.rows import DeadLetterState

_JOB: Final = jobs_table.c
_LETTER: Final = letters_table.c


class JobNotFound(LookupError):  # noqa: N818 - what is the case
    """No job has such an id."""


class JobAmbiguous(LookupError):  # noqa: N818 - likewise
    """Several jobs have an id that starts so."""


def create(connection: sa.Connection, job: Job) -> None:
    """Begin the plan of *job*: it has no hash yet, so nobody can run it."""
    take_changes(connection, 0)
    row = {name: getattr(job, name) for name in ("job_id", "state", "why", "runner", "planned_at", "at")}
    audit = {name: getattr(job.audit, name) for name in ("actor", "action", "scope", "reason", "audit_id")}
    how = {"is_judged": job.is_judged, "claims": job.claims, "ends": json.dumps(job.ends), "audited": 0}
    connection.execute(sa.insert(jobs_table).values(hash="", **row, **audit, **asdict(job.pace), **how))


def add(connection: sa.Connection, job_id: str, found: Sequence[JobLetter]) -> None:
    """Take *found* into the plan, each once: one that is in it already stays as it was read first."""
    if found:
        take_changes(connection, 0)
        rows = [{"job_id": job_id, **asdict(letter)} for letter in found]
        insert_all(connection, _added(connection.dialect.name), rows)


@cache
def _added(dialect: str) -> Insert:
    return insert_into(letters_table, dialect).on_conflict_do_nothing()


def complete(connection: sa.Connection, job_id: str, plan_hash: str) -> None:
    """End the plan of a job: from here on it does not change, and can be run."""
    take_changes(connection, 0)
    connection.execute(sa.update(jobs_table).where(_is_unfinished(job_id)).values(hash=plan_hash))


def drop(connection: sa.Connection, job_id: str) -> None:
    """Forget a plan that was not completed."""
    take_changes(connection, 0)
    if connection.execute(sa.delete(jobs_table).where(_is_unfinished(job_id))).rowcount:
        connection.execute(sa.delete(letters_table).where(_LETTER.job_id == job_id))


def get(connection: sa.Connection, prefix: str) -> Job:
    """The job whose id starts with *prefix*. Raises JobNotFound or JobAmbiguous."""
    starts = sa.and_(_JOB.job_id >= prefix.lower(), _JOB.job_id < f"{prefix.lower()}~")
    found = connection.execute(sa.select(jobs_table).where(starts).limit(2)).mappings().all() if prefix else []
    if not found:
        raise JobNotFound(f"{prefix}: no job has an id that starts so")
    if len(found) > 1:
        raise JobAmbiguous(f"{prefix}: several jobs have an id that starts so: give more of it")
    return _job(found[0])


def find(connection: sa.Connection, limit: int, states: Collection[JobState] = tuple(JobState)) -> list[Job]:
    """At most *limit* jobs in one of *states*, the last to be planned first."""
    ready = sa.and_(_JOB.hash != "", _JOB.state.in_(states))
    newest = sa.select(jobs_table).where(ready).order_by(_JOB.planned_at.desc(), _JOB.job_id).limit(limit)
    return [_job(row) for row in connection.execute(newest).mappings()]


def counts(connection: sa.Connection, job_ids: Sequence[str]) -> Mapping[str, Mapping[Fate, int]]:
    """How many dead letters of each of these jobs have which fate, as far as those who ran it noted."""
    columns = _LETTER.job_id, _LETTER.fate
    counted = sa.select(*columns, sa.func.count()).where(_LETTER.job_id.in_(job_ids)).group_by(*columns)
    found = defaultdict[str, dict[Fate, int]](dict)
    for job_id, fate, count in connection.execute(counted):
        found[job_id][Fate(fate)] = count
    return found


def letters_of(
    connection: sa.Connection, job_id: str, limit: int, fate: Fate | None = None, behind: int = -1
) -> list[JobLetter]:
    """At most *limit* dead letters of a job behind the place *behind*, in the order of the plan; with *fate*: of it."""
    theirs = sa.and_(_LETTER.job_id == job_id, _LETTER.position > behind)
    found = sa.select(letters_table).where(theirs if fate is None else sa.and_(theirs, _LETTER.fate == fate))
    rows = connection.execute(found.order_by(_LETTER.position).limit(limit)).mappings()
    return [_job_letter(row) for row in rows]


def take(
    connection: sa.Connection, seen: Job, runner: str, audit: AuditEntry, also: Callable[[sa.Connection], object]
) -> bool:
    """Have *runner* run the job, if it still stands as *seen*, and put *audit* on record; return whether it does.

    What could not be published gets another try. *also* is done in the same transaction.
    """
    take_changes(connection, 0)
    unchanged = (_JOB[name] == getattr(seen, name) for name in ("job_id", "hash", "state", "at"))
    as_seen = sa.and_(*unchanged, _JOB.runner.is_not_distinct_from(seen.runner))
    running = {"state": JobState.RUNNING, "why": "", "runner": runner, "at": datetime.now(UTC)}
    if connection.execute(sa.update(jobs_table).where(as_seen).values(running)).rowcount != 1:
        return False
    failed = sa.and_(_LETTER.job_id == seen.job_id, _LETTER.fate == Fate.NOT_PUBLISHED)
    connection.execute(sa.update(letters_table).where(failed).values(fate=Fate.PLANNED, why=""))
    auditing.write(connection, audit)
    also(connection)
    return True


def renew(connection: sa.Connection, job_id: str, runner: str) -> bool:
    """Give a sign of life; return whether *runner* is still to run the job."""
    take_changes(connection, 0)
    return is_renewed(connection, job_id, runner)


def is_renewed(connection: sa.Connection, job_id: str, runner: str) -> bool:
    """As `renew`, within a transaction that changes something."""
    alive = sa.update(jobs_table).where(_has(job_id, runner), _JOB.state == JobState.RUNNING)
    return connection.execute(alive.values(at=datetime.now(UTC))).rowcount == 1


def is_held(connection: sa.Connection, job_id: str, runner: str) -> bool:
    """Whether *runner* still has the job, halted or not."""
    return connection.execute(sa.select(_JOB.job_id).where(_has(job_id, runner))).first() is not None


def leave(connection: sa.Connection, job_id: str, runner: str, why: str, audit: AuditEntry) -> None:
    """End a run of *runner*, and say *why* it ended early, unless somebody else has the job by now.

    The job is paused where something is left, else done; where it was halted, it stands as it was halted. *audit* goes
    on record with the number of those published, or discarded, that it does not tell of yet.
    """
    take_changes(connection, 0)
    left = sa.exists().where(_LETTER.job_id == job_id, _LETTER.fate.in_(LEFT))
    state = sa.case((left, JobState.PAUSED.value), else_=JobState.DONE.value)
    ended = sa.update(jobs_table).where(_has(job_id, runner), _JOB.state == JobState.RUNNING)
    connection.execute(ended.values(state=state, why=why))
    gone = sa.update(jobs_table).where(_has(job_id, runner)).values(runner=None, at=datetime.now(UTC))
    if connection.execute(gone).rowcount:
        auditing.write(connection, replace(audit, count=_untold(connection, job_id)))


def halt(
    connection: sa.Connection, job_id: str, before: Collection[JobState], after: JobState, audit: AuditEntry
) -> bool:
    """Pause or stop a job that is in one of the states *before*; return whether it was. Its runner ends its step."""
    take_changes(connection, 0)
    standing = sa.and_(_JOB.job_id == job_id, _JOB.hash != "", _JOB.state.in_(before))
    halted = {"state": after, "why": f"by {audit.actor}", "at": datetime.now(UTC)}
    is_halted = connection.execute(sa.update(jobs_table).where(standing).values(halted)).rowcount == 1
    if is_halted:
        auditing.write(connection, replace(audit, count=_untold(connection, job_id)))
    return is_halted


def ask(connection: sa.Connection, job_id: str, why: str, audit: AuditEntry) -> None:
    """Have a job that nobody has begun say *why* it waits; once, and *audit* goes on record with that."""
    take_changes(connection, 0)
    silent = sa.and_(_JOB.job_id == job_id, _JOB.hash != "", _JOB.state == JobState.PLANNED, _JOB.why == "")
    if connection.execute(sa.update(jobs_table).where(silent).values(why=why)).rowcount:
        auditing.write(connection, audit)


def forget(connection: sa.Connection, horizon: datetime, limit: int) -> int:
    """Remove at most *limit* rows of jobs that nobody touched since *horizon*; return how many."""
    old = sa.select(_JOB.job_id).where(_JOB.at < horizon)
    place = sa.tuple_(_LETTER.job_id, _LETTER.dead_letter_id)
    some = sa.select(_LETTER.job_id, _LETTER.dead_letter_id).where(_LETTER.job_id.in_(old)).limit(limit)
    gone = connection.execute(sa.delete(letters_table).where(place.in_(some))).rowcount
    if gone == limit:
        return gone
    empty = sa.and_(_JOB.at < horizon, ~sa.exists().where(_LETTER.job_id == _JOB.job_id))
    return gone + connection.execute(sa.delete(jobs_table).where(empty)).rowcount


def _untold(connection: sa.Connection, job_id: str) -> int:
    """How many were published, or discarded, that the audit does not tell of; from now on it does."""
    out = sa.select(sa.func.count()).where(_LETTER.job_id == job_id, _LETTER.fate.in_(DONE))
    told = sa.select(_JOB.audited).where(_JOB.job_id == job_id)
    total, before = connection.execute(out).scalar_one(), connection.execute(told).scalar_one()
    connection.execute(sa.update(jobs_table).where(_JOB.job_id == job_id).values(audited=total))
    return int(total - before)


def _is_unfinished(job_id: str) -> sa.ColumnElement[bool]:
    return sa.and_(_JOB.job_id == job_id, _JOB.hash == "")


def _has(job_id: str, runner: str) -> sa.ColumnElement[bool]:
    return sa.and_(_JOB.job_id == job_id, _JOB.runner == runner)


def _job(row: sa.RowMapping) -> Job:
    plain = {name: row[name] for name in ("job_id", "hash", "why", "runner", "planned_at", "at", "is_judged", "claims")}
    return Job(
        **plain,
        state=JobState(row["state"]),
        audit=AuditEntry(row["actor"], row["action"], row["scope"], row["reason"], audit_id=row["audit_id"]),
        pace=Pace(row["rate"], row["canary"], row["stop_after_failures"], row["wait"]),
        ends=tuple((source, event_type) for source, event_type in json.loads(row["ends"])),
    )


def _job_letter(row: sa.RowMapping) -> JobLetter:
    values: dict[str, Any] = {name: value for name, value in row.items() if name != "job_id"}
    return JobLetter(**values | {"state": DeadLetterState(row["state"]), "fate": Fate(row["fate"])})

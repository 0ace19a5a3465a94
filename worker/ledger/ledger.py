"""The ledger: what became of every event and call, and the dead letters that wait for an operator."""

import functools
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Concatenate, Final, ParamSpec, Self, TypeVar

from sqlalchemy import Connection

from worker.database.engine import Database, open_database
from worker.ledger import (
    answers,
    audit_check,
    audit_list,
    causes,
    job_steps,
    keys,
    later_calls,
    queries,
    recording,
    retention,
    subject_calls,
)
from worker.ledger import audit as auditing
from worker.ledger import console_sessions as sessions
from worker.ledger import dead_letters as letters
from worker.ledger import exposure as exposures
from worker.ledger import job_news as news_of_jobs
from worker.ledger import jobs as jobbing
from worker.ledger.audit_mac import AuditMac, signing
from worker.ledger.rows import DeadLetterFilter, DeadLetterHead

PAGE: Final = 500  # dead letters in memory; of the largest, 45 MB whole

P = ParamSpec("P")
T = TypeVar("T")
Letter = TypeVar("Letter", bound=DeadLetterHead)


def _reads(query: Callable[Concatenate[Connection, P], T]) -> Callable[Concatenate["Ledger", P], T]:
    """The method of a ledger that asks *query*."""

    @functools.wraps(query)
    def ask(self: "Ledger", /, *args: P.args, **kwargs: P.kwargs) -> T:
        with self.database.reading() as connection:
            return query(connection, *args, **kwargs)

    return ask


def _writes(change: Callable[Concatenate[Connection, P], T]) -> Callable[Concatenate["Ledger", P], T]:
    """The method of a ledger that makes *change*."""

    @functools.wraps(change)
    def make(self: "Ledger", /, *args: P.args, **kwargs: P.kwargs) -> T:
        with self.database.writing() as connection:
            return change(connection, *args, **kwargs)

    return make


class Ledger:
    """One transaction per method, from any thread. Every method raises LedgerUnavailable when the database fails."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.upgrade = database.upgrade

    @classmethod
    def open(
        cls, url: str, lock_timeout: float | None = None, *, durable: bool = True, audit_secret: bytes = b""
    ) -> Self:
        """The ledger at `sqlite:////path/file` (mode 0600; `upgrade` makes it) or `postgresql+psycopg://…`.

        It is reached at the first use; a lock is waited for *lock_timeout* seconds, 10 by default. A power cut
        may take back the last moments of what is not *durable*. The audit is signed with a key made of *audit_secret*:
        whoever writes it must give the same. Raises LedgerUnavailable for other URLs.
        """
        return cls(signing(open_database(url, lock_timeout, durable=durable), AuditMac(audit_secret)))

    def close(self) -> None:
        """Give the connections back."""
        self.database.engine.dispose()

    record = _writes(recording.record)
    audit = _writes(auditing.write)
    audited = _reads(audit_list.find)
    audit_length = _reads(audit_check.length)
    verify_audit = _reads(audit_check.verify)
    count_old = _reads(retention.count_old)

    calls_of_event = _reads(queries.of_event)
    calls_of_subject = _reads(subject_calls.of_subject)
    counts_of_subject = _reads(subject_calls.counts_of_subject)
    calls_of_id = _reads(queries.of_call)
    calls_alike = _reads(queries.alike)
    telling_calls_of_targets = _reads(later_calls.telling_of_targets)
    kills_of_persons = _reads(later_calls.kills_of_persons)
    answers_around = _reads(answers.answers_around)
    among_dead_already = _reads(answers.among_dead_already)
    failed_attempts = _reads(queries.failed_attempts)
    settled_or_dead = _reads(queries.closed)
    changes_since = _reads(queries.changes)
    newest_change = _reads(queries.newest_change)
    key_needs = _reads(keys.needs)

    exposure = _reads(exposures.figures)
    exposure_course = _reads(exposures.course)

    dead_letters = _reads(letters.find)
    dead_letter_heads = _reads(letters.heads)
    dead_letter = _reads(letters.get)
    whole_dead_letters = _reads(letters.whole)
    dead_letter_summary = _reads(letters.summarise)
    dead_letter_causes = _reads(causes.causes)
    claim = _writes(letters.claim)
    mark_replayed = _writes(letters.mark_replayed)
    release_claim = _writes(letters.release)
    discard = _writes(letters.discard)

    create_job = _writes(jobbing.create)
    add_to_job = _writes(jobbing.add)
    complete_job = _writes(jobbing.complete)
    drop_job = _writes(jobbing.drop)
    job = _reads(jobbing.get)
    jobs = _reads(jobbing.find)
    job_counts = _reads(jobbing.counts)
    job_letters = _reads(jobbing.letters_of)
    job_groups = _reads(news_of_jobs.groups)
    job_news = _reads(news_of_jobs.news)
    take_job = _writes(jobbing.take)
    renew_job = _writes(jobbing.renew)
    leave_job = _writes(jobbing.leave)
    halt_job = _writes(jobbing.halt)
    ask_job = _writes(jobbing.ask)
    claim_step = _writes(job_steps.claim_step)
    discard_step = _writes(job_steps.discard_step)
    mark_step = _writes(job_steps.mark_step)
    settle_step = _writes(job_steps.settle)

    add_console_session = _writes(sessions.add)
    console_session = _reads(sessions.find)
    console_sessions = _reads(sessions.every)
    touch_console_session = _writes(sessions.touch)
    end_console_sessions = _writes(sessions.end)
    end_console_sessions_at_idp = _writes(sessions.end_at_idp)
    forget_console_sessions = _writes(sessions.forget)
    is_disabled = _reads(sessions.is_disabled)


def in_pages(
    find: Callable[[DeadLetterFilter], list[Letter]], where: DeadLetterFilter, size: int = PAGE
) -> Iterator[list[Letter]]:
    """What *find* finds for *where*, at most *size* at a time, in its order and up to its limit.

    Each page is read when it is asked for, behind the last of the one before: what was changed meanwhile is neither
    read twice nor left out.
    """
    left = where.limit
    while left is None or left > 0:
        page = find(replace(where, limit=size if left is None else min(size, left)))
        if not page:
            return
        yield page
        where = replace(where, behind=(page[-1].at, page[-1].dead_letter_id))
        left = None if left is None else left - len(page)

"""`dead-letter jobs`: planned replays and large discards, how far each got, and how to pause, resume and stop one."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import click

from worker.cli.consent import Change, changes
from worker.cli.dead_letters.replaying import GROUPS, followed, how_long, per_time, show_result
from worker.cli.exits import finish
from worker.cli.output import Column, Document, Form, Listing, members, note, output_option, show_one
from worker.cli.tree import Commands
from worker.ledger import DONE, LEFT, OUT, Fate, JobGroup, JobLetter, JobState
from worker.operations import holds
from worker.operations import jobs as operations
from worker.operations.job_report import JobReport
from worker.operations.jobs import JobStart, ListedJob, Replayed
from worker.operations.opening import open_ledger
from worker.operations.opening_broker import open_publisher
from worker.operations.replay import ReplaySettings
from worker.operations.text import age, counted
from worker.settings import Settings

if TYPE_CHECKING:
    from worker.ledger import Ledger

jobs = Commands("jobs", help="Replays and discards as jobs: list, show, pause, resume, stop.")

_LISTING: Listing[ListedJob] = Listing(
    "job",
    (
        Column("JOB", lambda each: each.job.job_id),
        Column("STATE", lambda each: each.job.state.value),
        Column("AGE", lambda each: age(each.job.planned_at), right=True),
        Column("WHO", lambda each: each.job.audit.actor, cut=1),
        Column("OUT", lambda each: counted(each.count(DONE)), right=True),
        Column("REMAIN", lambda each: counted(each.count(LEFT)), right=True),
        Column("RATE", lambda each: per_time(each.job.pace.rate) if each.job.pace.rate else None, right=True),
        Column("WHY", lambda each: each.job.why, cut=2),
        Column("SCOPE", lambda each: each.job.audit.scope, wide_only=True),
        Column("REASON", lambda each: each.job.audit.reason, wide_only=True),
        Column("RUNNER", lambda each: each.job.runner, wide_only=True),
        Column("AUDIT", lambda each: each.job.audit.audit_id, wide_only=True),
        Column("PLAN", lambda each: each.job.hash, wide_only=True),
    ),
    lambda each: {
        **members(each.job, "job_id", "state", "why", "planned_at", "at", "runner", "hash"),
        **members(each.job.audit, "actor", "action", "scope", "reason", "audit_id"),
        "replayed": each.count(OUT),
        "discarded": each.count((Fate.DISCARDED,)),
        "remaining": each.count(LEFT),
        "rate": each.job.pace.rate,
    },
)
_LETTERS: Listing[JobLetter] = Listing(
    "job_letter",
    (
        Column("ID", lambda each: each.dead_letter_id[:8]),
        Column("PROVIDER", lambda each: each.provider, cut=1),
        Column("REASON", lambda each: each.reason, cut=2),
        Column("FATE", lambda each: each.fate.value),
        Column("WHY", lambda each: each.why, cut=2),
        Column("WHOLE ID", lambda each: each.dead_letter_id, wide_only=True),
        Column("REPLAYS", lambda each: each.replays, right=True, wide_only=True),
    ),
    lambda each: members(each, "dead_letter_id", "position", "provider", "reason", "replays", "state", "fate", "why"),
)


@jobs.command("list")
@click.option(
    "--state", "states", multiple=True, type=click.Choice(JobState, case_sensitive=False), help="Default: all."
)
@click.option("--limit", type=click.IntRange(1), default=operations.LISTED, show_default=True, help="At most so many.")
@output_option
def list_(states: tuple[JobState, ...], limit: int, form: Form) -> None:
    """List jobs, the last planned first. OUT: published or discarded; REMAIN: what a resume does."""
    with open_ledger(Settings.load()) as ledger:
        found = operations.find(ledger, states, limit)
    if found or form.is_json:
        _LISTING.show(form, found)
    note(f"{len(found)} job{'s' * (len(found) != 1)}" if found else "nothing matches")


@jobs.command()
@click.argument("id_", metavar="JOB")
@click.option(
    "--letters", "with_letters", is_flag=True, help="Each dead letter of it instead, in the order of the plan."
)
@click.option("--fate", type=click.Choice(Fate, case_sensitive=False), help="With --letters: these alone.")
@output_option
def show(id_: str, form: Form, fate: Fate | None, *, with_letters: bool) -> None:
    """Show one replay, by its id or a unique beginning of it: its plan, and what became of what was planned."""
    with open_ledger(Settings.load()) as ledger:
        report = operations.one(ledger, id_)
        if with_letters:
            _LETTERS.show(form, operations.letters(ledger, report.job, fate))
        else:
            show_one(form, "job", _document(report))


def _document(report: JobReport) -> Document:
    job, result = report.job, report.result
    return {
        **members(job, "job_id", "state", "why", "planned_at", "at", "runner", "hash"),
        **members(job.audit, "actor", "action", "scope", "reason", "audit_id"),
        **members(job.pace, "rate", "canary", "stop_after_failures", "wait"),
        **members(
            result,
            "replayed",
            "discarded",
            "settled",
            "died",
            "pending",
            "taken",
            "changed",
            "not_published",
            "remaining",
        ),
        "refused": report.figures.refused.total(),
        "groups": [_group(each) for each in report.groups],
    }


def _group(each: JobGroup) -> Document:
    return {name: value for name, value in members(each, "provider", "reason", "fate", "why", "count").items() if value}


@jobs.command()
@click.argument("id_", metavar="JOB")
@changes(operations.halt)
def pause(id_: str, change: Change) -> None:
    """Have the replay JOB wait. Who runs it ends the step that it is in, within two seconds; `resume` goes on."""
    _halt(id_, change, "pause", JobState.PAUSED)


@jobs.command()
@click.argument("id_", metavar="JOB")
@changes(operations.halt)
def stop(id_: str, change: Change) -> None:
    """End the replay JOB for good. What remains of it is as it was: another replay can have it."""
    _halt(id_, change, "stop", JobState.STOPPED)


def _halt(id_: str, change: Change, action: str, state: JobState) -> None:
    with open_ledger(Settings.load()) as ledger:
        report = operations.one(ledger, id_)
        job = report.job
        if change.is_agreed(f"{action.title()} job {job.job_id}, of which {counted(report.result.remaining)} remain?"):
            done = operations.halt(ledger, job, state, change.operator)
            document = {"audit_id": done.audit_id, "job_id": job.job_id}
            change.show(f"job_{action}", document, f"job {job.job_id} is {state}")


@jobs.command()
@click.argument("id_", metavar="JOB")
@changes(operations.run, reason_required=False)
def resume(id_: str, change: Change) -> None:
    """Run what remains of JOB: planned, paused, or left by a process that was killed.

    It begins with a canary again, if it has one. Where a process had it, its sign of life is waited for, 30 s at most.
    """
    settings = Settings.load()
    with open_ledger(settings) as ledger:
        report = operations.one(ledger, id_)
        job, remaining = report.job, report.result.remaining
        _show_remaining(report, change.form)
        if not job.is_discard:
            note(*holds.in_words(ledger, report.figures.providers))
        what, end = ("Discard", " for good") if job.is_discard else ("Replay", "")
        if change.is_agreed(f"{what} the {counted(remaining)} that remain{end}?"):
            start = JobStart(job.job_id, job.hash, change.operator)
            if job.is_discard:
                done = _discarded(settings, ledger, start, remaining)
            else:
                done = _replayed(settings, ledger, start, remaining)
            finish(show_result(change.form, "replay", report.figures, done))


def _replayed(settings: Settings, ledger: Ledger, start: JobStart, remaining: int) -> Replayed:
    with open_publisher(settings) as publisher, followed(remaining) as controls:
        return operations.run(ReplaySettings.of(settings), ledger, publisher, start, controls)


def _discarded(settings: Settings, ledger: Ledger, start: JobStart, remaining: int) -> Replayed:
    with followed(remaining, "discarding") as controls:
        return operations.discard(ReplaySettings.of(settings), ledger, start, controls)


def _show_remaining(report: JobReport, form: Form) -> None:
    job, remaining = report.job, Counter[tuple[str | None, str]]()
    for group in report.groups:
        if group.fate in LEFT:
            remaining[group.provider, group.reason] += group.count
    if remaining and not form.is_json:
        GROUPS.show(form, remaining.most_common())
    duration = "" if job.is_discard else how_long(remaining.total(), job.pace)
    note(f"{counted(remaining.total())} remain{duration}")
    if job.runner is not None:
        note(f"{job.runner} has it: its sign of life is waited for, {operations.LEASE:g} s at most")

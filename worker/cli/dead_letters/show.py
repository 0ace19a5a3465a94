"""`dead-letter list` and `dead-letter show`."""

from __future__ import annotations

from dataclasses import fields, replace
from datetime import UTC, datetime
from itertools import chain
from typing import Final

import click

from tasks.call import Attempt
from worker.cli.dead_letters.selection import OPEN, Selection, nothing_found, selecting, the_one
from worker.cli.exits import finish
from worker.cli.output import Column, Document, Form, Listing, note, output_option, show_one
from worker.ledger import DeadLetterHead, DeadLetterRow, DeadLetterState, DeadLetterSummary
from worker.ledger.paging import in_pages
from worker.operations.opening import open_ledger
from worker.operations.text import counted, short_duration
from worker.settings import Settings

_INTERNAL = {"document", "arrived"}
LISTED: Final = 100  # where nothing is said of a limit


def row_document(row: DeadLetterHead) -> Document:
    """What JSON tells of a dead letter: all but the message itself."""
    return {each.name: getattr(row, each.name) for each in fields(row) if each.name not in _INTERNAL}


def _ago(at: datetime) -> str:
    return short_duration(datetime.now(UTC) - at)


LISTING: Listing[DeadLetterHead] = Listing(
    "dead_letter",
    (
        Column("ID", lambda row: row.dead_letter_id[:8]),
        Column("AGE", lambda row: _ago(row.first_at), right=True),
        Column("PROVIDER", lambda row: row.provider, cut=1),
        Column("EVENT", lambda row: row.event_type),
        Column("SUBJECT", lambda row: row.subject, cut=1),
        Column("REASON", lambda row: row.reason, cut=2),
        Column("TRIES", lambda row: row.tries, right=True),
        Column("LAST", lambda row: _ago(row.at), right=True),
        Column("STATE", lambda row: row.state.value, wide_only=True),
        Column("CAUSE", lambda row: row.cause, wide_only=True),
        Column("KIND", lambda row: row.kind, wide_only=True),
        Column("OPERATION", lambda row: row.operation, wide_only=True),
        Column("REPLAYS", lambda row: row.replays, right=True, wide_only=True),
        Column("FIRST REASON", lambda row: row.first_reason, wide_only=True),
        Column("DETAIL", lambda row: row.detail, wide_only=True),
        Column("EVENT ID", lambda row: row.event_id, wide_only=True),
        Column("WHOLE ID", lambda row: row.dead_letter_id, wide_only=True),
    ),
    row_document,
)


@click.command("list")
@selecting
@click.option(
    "--state",
    "states",
    multiple=True,
    type=click.Choice(DeadLetterState, case_sensitive=False),
    help="Default: dead and claimed.",
)
@output_option
def list_(selection: Selection, states: tuple[DeadLetterState, ...], form: Form) -> None:
    """List dead letters, the last to die first: 100 of them, or as many as --limit says."""
    settings = Settings.load()
    with open_ledger(settings) as ledger:
        where = replace(selection.where(settings, ledger, states or OPEN), limit=selection.limit or LISTED)
        summary = ledger.dead_letter_summary(where)
        if summary.count or form.is_json:
            rows = chain.from_iterable(in_pages(ledger.dead_letter_heads, where))
            LISTING.show(form, rows, matching=summary.count, oldest_at=summary.oldest_at, causes=summary.causes)
    if not summary.count:
        finish(nothing_found(selection))
        return
    note(_in_words(summary, states, where.limit))


def _in_words(summary: DeadLetterSummary, states: tuple[DeadLetterState, ...], limit: int | None) -> str:
    of = f"{counted(limit)} of " if limit is not None and limit < summary.count else ""
    more = "; more with --limit" if of else ""
    what = ", ".join(state.value for state in states) or "dead"
    oldest = short_duration(datetime.now(UTC) - summary.oldest_at) if summary.oldest_at else "-"
    causes = f"{summary.causes} cause{'s' * (summary.causes != 1)}"
    return f"{of}{counted(summary.count)} {what}, oldest {oldest}, {causes}{more}"


@click.command()
@click.argument("id_", metavar="ID")
@output_option
def show(id_: str, form: Form) -> None:
    """Show one dead letter, found by its id or a unique beginning of it."""
    with open_ledger(Settings.load()) as ledger:
        row = the_one(ledger, id_)
    show_one(form, "dead_letter", _whole(row, form))


def _whole(row: DeadLetterRow, form: Form) -> Document:
    letter = row.letter
    attempts = [attempt.model_dump(mode="json") for attempt in letter.attempts]
    if form in (Form.TABLE, Form.WIDE):
        attempts = [_attempt_line(number, attempt) for number, attempt in enumerate(letter.attempts, 1)]
    return row_document(row) | {
        "attempts": attempts,
        "deadline": letter.call.deadline if letter.call else None,
        "body_stored": letter.body is not None,
        "body_size": letter.body_size,
        "body_sha256": letter.body_sha256,
    }


def _attempt_line(number: int, attempt: Attempt) -> Document:
    waited = {"then_waited": f"{attempt.delay}s"} if attempt.delay else {}
    return {"attempt": number, "at": attempt.at, "reason": attempt.reason, **attempt.detail, **waited}

"""`dead-letter list` and `dead-letter show`."""

import json
from dataclasses import fields

import click

from tasks.call import Attempt
from worker.cli.dead_letters.causes import check_option, show_cause
from worker.cli.dead_letters.selection import nothing_found, selecting, states_option
from worker.cli.exits import finish
from worker.cli.output import Column, Document, Form, Listing, members, note, output_option, show_one
from worker.ledger import DeadLetterHead, DeadLetterRow, DeadLetterState
from worker.operations import dead_letters, editing
from worker.operations.dead_letters import OPEN, Found, Selection
from worker.operations.opening import open_ledger
from worker.operations.remedies import remedy_for
from worker.operations.text import age, counted
from worker.settings import Settings

_INTERNAL = {"document", "arrived"}


def row_document(row: DeadLetterHead) -> Document:
    """What JSON tells of a dead letter: all but the message itself."""
    return members(row, *(each.name for each in fields(row) if each.name not in _INTERNAL))


_LISTING: Listing[DeadLetterHead] = Listing(
    "dead_letter",
    (
        Column("ID", lambda row: row.dead_letter_id[:8]),
        Column("AGE", lambda row: age(row.first_at), right=True),
        Column("PROVIDER", lambda row: row.provider, cut=1),
        Column("EVENT", lambda row: row.event_type),
        Column("SUBJECT", lambda row: row.subject, cut=1),
        Column("REASON", lambda row: row.reason, cut=2),
        Column("TRIES", lambda row: row.tries, right=True),
        Column("LAST", lambda row: age(row.at), right=True),
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
@states_option
@output_option
def list_(selection: Selection, states: tuple[DeadLetterState, ...], form: Form) -> None:
    """List dead letters, the last to die first: 100 of them, or as many as --limit says."""
    settings = Settings.load()
    with open_ledger(settings) as ledger:
        found = dead_letters.find(settings, ledger, selection, states or OPEN)
        summary = found.summary
        if summary.count or form.is_json:
            more = {"matching": summary.count, "oldest_at": summary.oldest_at, "causes": summary.causes}
            _LISTING.show(form, found.heads, **more)
    if not summary.count:
        finish(nothing_found())
        return
    note(_in_words(found, states))


def _in_words(found: Found, states: tuple[DeadLetterState, ...]) -> str:
    summary, limit = found.summary, found.limit
    of, more = (f"{counted(limit)} of ", "; more with --limit") if limit < summary.count else ("", "")
    what = ", ".join(state.value for state in states) or "dead"
    causes = f"{summary.causes} cause{'s' * (summary.causes != 1)}"
    return f"{of}{counted(summary.count)} {what}, oldest {age(summary.oldest_at) or '-'}, {causes}{more}"


@click.command()
@click.argument("id_", metavar="[ID]", required=False)
@click.option("--cause", help="Instead of one: what is known of a cause, six hex digits, as `causes` shows them.")
@check_option
@click.option("--event", "with_event", is_flag=True, help="The event that arrived instead, as JSON for `edit`.")
@output_option
def show(id_: str | None, cause: str | None, form: Form, *, check: bool, with_event: bool) -> None:
    """Show one dead letter, found by its id or a unique beginning of it, or (--cause) one cause."""
    if (id_ is None) == (cause is None) or (check and cause is None) or (with_event and id_ is None):
        raise click.UsageError("give the ID of a dead letter (with --event), or --cause (with --check)")
    if cause is not None:
        show_cause(cause, form, check=check)
        return
    with open_ledger(Settings.load()) as ledger:
        row = dead_letters.one(ledger, str(id_))
    if with_event:
        click.echo(json.dumps(editing.original(row), indent=2))
        return
    show_one(form, "dead_letter", _whole(row, form))


def _whole(row: DeadLetterRow, form: Form) -> Document:
    letter = row.letter
    attempts = [attempt.model_dump(mode="json") for attempt in letter.attempts]
    if form in (Form.TABLE, Form.WIDE):
        attempts = [_attempt_line(number, attempt) for number, attempt in enumerate(letter.attempts, 1)]
    remedy = remedy_for(row.reason, row.detail)
    return row_document(row) | {
        "remedy": remedy.do,
        "runbook": remedy.runbook,
        "attempts": attempts,
        "deadline": letter.call.deadline if letter.call else None,
        "body_stored": letter.body is not None,
        "body_size": letter.body_size,
        "body_sha256": letter.body_sha256,
    }


def _attempt_line(number: int, attempt: Attempt) -> Document:
    waited = {"then_waited": f"{attempt.delay}s"} if attempt.delay else {}
    return {"attempt": number, "at": attempt.at, "reason": attempt.reason, **attempt.detail, **waited}

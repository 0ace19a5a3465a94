"""`revoker explain` tells whether a person is out, everywhere."""

from typing import Final

import click

from worker.cli.exits import CommandError, Exit, finish
from worker.cli.output import Column, Document, Form, Listing, members, note, output_option, print_json
from worker.operations import explain as operation
from worker.operations import holds
from worker.operations.explain import Explanation, Standing, Verdict
from worker.operations.opening import open_ledger
from worker.operations.text import plain
from worker.settings import Settings

_EXITS: Final = {
    Verdict.OUT: Exit.DONE,
    Verdict.UNKNOWN: Exit.EMPTY,
    Verdict.UNPROVED: Exit.FAILED,
    Verdict.NOT_YET_OUT: Exit.FAILED,
}


def _document(standing: Standing) -> Document:
    row = standing.row
    about = ("provider", "operation", "state", "event_type", "event_id", "source", "subject", "occurred_at")
    return {
        "out": standing.is_out,
        **members(row, *about),
        "attempts": row.attempt,
        **members(row, "replays", "reason", "detail"),
        "last_news_at": row.at,
        "next_attempt_at": None if standing.is_out else row.next_attempt_at,
        "time_to_revoke_seconds": row.exposure_seconds,
        **members(row, "call_id", "dead_letter_id"),
    }


def _seconds(span: float | None) -> str:
    return "" if span is None else f"{span:.2f}s"


_LISTING: Listing[Standing] = Listing(
    "standing",
    (
        Column("PROVIDER", lambda each: each.row.provider, cut=1),
        Column("STATE", lambda each: each.row.state.value),
        Column("EVENT", lambda each: each.row.event_type),
        Column("TRIES", lambda each: each.row.attempt, right=True),
        Column("NEXT", lambda each: each.next_attempt),
        Column("REVOKED IN", lambda each: _seconds(each.row.exposure_seconds), right=True),
        Column("EVIDENCE", lambda each: each.row.detail.get("evidence") or each.row.reason, cut=2),
        Column("OPERATION", lambda each: each.row.operation, wide_only=True),
        Column("SUBJECT", lambda each: each.row.subject, wide_only=True),
        Column("EVENT ID", lambda each: each.row.event_id, wide_only=True),
        Column("SOURCE", lambda each: each.row.source, wide_only=True),
        Column("HAPPENED", lambda each: each.row.occurred_at, wide_only=True),
        Column("DEAD LETTER", lambda each: each.row.dead_letter_id, wide_only=True),
    ),
    _document,
)


@click.command()
@click.argument("whom", metavar="SUBJECT|EVENT")
@click.option("--event", "is_event", is_flag=True, help="It is an event's id, and no name.")
@click.option("--source", help="With --event: the event of this source alone; ids are its own.")
@output_option
def explain(whom: str, source: str | None, form: Form, *, is_event: bool) -> None:
    """Is this person out, everywhere? SUBJECT is any name of theirs that events give, EVENT an event's id.

    Ends with 0 where they are out everywhere, 1 where they are not or where it is not proved, 4 where nothing is known
    of them. Where a name is also the id of an event, or the name of a tenant or device, both are told and the worse
    verdict counts.
    """
    if source is not None and not is_event:
        raise CommandError("--source tells whose event is meant: give --event as well", Exit.REFUSED)
    settings = Settings.load()
    with open_ledger(settings) as ledger:
        explanation = operation.explain(settings, ledger, whom, source, is_event=is_event)
        note(*holds.in_words(ledger, explanation.open_providers))
    _show(explanation, form)
    finish(_EXITS[explanation.worst.verdict])


def _show(explanation: Explanation, form: Form) -> None:
    answers, standings = explanation.answers, explanation.standings
    if form is Form.JSON:
        print_json("explanation", {**_summary(explanation), "items": [_document(each) for each in standings]})
    elif standings:
        _LISTING.show(form, standings)
    lines = [f"as {answer.taken_for}: {answer.text}" for answer in answers] if len(answers) > 1 else []
    for line in (*lines, explanation.worst.text):  # data: on stdout with the table, beside JSON only for people
        note(line) if form.is_json else click.echo(plain(line))


def _summary(explanation: Explanation) -> Document:
    about = {name: value for answer in explanation.answers for name, value in answer.about.items()}
    each = [{**it.about, "out": it.verdict is Verdict.OUT, "verdict": it.text} for it in explanation.answers]
    worst = explanation.worst
    return {"about": about, "out": worst.verdict is Verdict.OUT, "verdict": worst.text, "answers": each}

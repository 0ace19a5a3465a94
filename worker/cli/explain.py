"""`revoker explain` tells whether a person is out, everywhere."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

import click

from tasks.names import mask
from worker.cli.exits import CommandError, Exit, finish
from worker.cli.holds import say_held
from worker.cli.opening import open_ledger
from worker.cli.output import Column, Document, Form, Listing, output_option, plain, print_json, say
from worker.cli.verdicts import Standing, Verdict, judged, verdict_on
from worker.ledger import CallRow, Ledger
from worker.operations.superseding import superseding
from worker.operations.unproved import unproved
from worker.settings import Settings

_EXITS: Final = {
    Verdict.OUT: Exit.DONE,
    Verdict.UNKNOWN: Exit.EMPTY,
    Verdict.UNPROVED: Exit.FAILED,
    Verdict.NOT_YET_OUT: Exit.FAILED,
}


@dataclass(frozen=True, slots=True)
class Answer:
    """What is known of the argument, taken for one thing that it may be."""

    about: Document
    taken_for: str
    standings: Sequence[Standing]
    verdict: Verdict
    text: str


def _document(standing: Standing) -> Document:
    row = standing.row
    return {
        "out": standing.is_out,
        "provider": row.provider,
        "operation": row.operation,
        "state": row.state.value,
        "event_type": row.event_type,
        "event_id": row.event_id,
        "source": row.source,
        "subject": row.subject,
        "occurred_at": row.occurred_at,
        "attempts": row.attempt,
        "replays": row.replays,
        "reason": row.reason,
        "detail": dict(row.detail),
        "last_news_at": row.at,
        "next_attempt_at": None if standing.is_out else row.next_attempt_at,
        "time_to_revoke_seconds": row.exposure_seconds,
        "call_id": row.call_id,
        "dead_letter_id": row.dead_letter_id,
    }


_LISTING: Listing[Standing] = Listing(
    "standing",
    (
        Column("PROVIDER", lambda each: each.row.provider, cut=1),
        Column("STATE", lambda each: each.row.state.value),
        Column("EVENT", lambda each: each.row.event_type),
        Column("TRIES", lambda each: each.row.attempt, right=True),
        Column("NEXT", lambda each: each.next_attempt),
        Column("REVOKED IN", lambda each: each.time_to_revoke, right=True),
        Column("EVIDENCE", lambda each: each.evidence, cut=2),
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
@click.option("--json", "as_json", is_flag=True, help="Short for -o json.")
@output_option
def explain(whom: str, source: str | None, form: Form, *, is_event: bool, as_json: bool) -> None:
    """Is this person out, everywhere? SUBJECT is any name of theirs that events give, EVENT an event's id.

    Ends with 0 where they are out everywhere, 1 where they are not or where it is not proved, 4 where nothing is known
    of them. Where a name is also the id of an event, or the name of a tenant or device, both are told and the worse
    verdict counts.
    """
    if source is not None and not is_event:
        raise CommandError("--source tells whose event is meant: give --event as well", Exit.REFUSED)
    settings = Settings.load()
    with open_ledger(settings) as ledger:
        answers = _of_event(ledger, whom, source) if is_event else list(_of_anything(ledger, settings, whom))
        shown = list({_key(each.row): each for answer in answers for each in answer.standings}.values())
        say_held(ledger, {str(each.row.provider) for each in shown if not each.is_out})
    worst = max(answers, key=lambda each: each.verdict)
    _tell(answers, worst, shown, Form.JSON if as_json else form)
    finish(_EXITS[worst.verdict])


def _of_anything(ledger: Ledger, settings: Settings, whom: str) -> Iterator[Answer]:
    """*whom* as the name of a person first; then as whatever else it is known for.

    What is no person's name can make the verdict worse, and never OUT: anybody chooses an event's id.
    """
    index, told = settings.subjects(), mask(whom)
    people = ledger.calls_of_subject(index.lookup(whom), index.earlier(whom))
    yield _answer(ledger, {"subject": told}, "a person", people)
    if labelled := ledger.calls_of_subject(index.label(whom)):
        yield _no_answer(_answer(ledger, {"label": told}, "a tenant, device, group or `subject`", labelled))
    yield from map(_no_answer, _of_events(ledger, whom))


def _of_event(ledger: Ledger, event_id: str, source: str | None) -> list[Answer]:
    asked = {"event_id": event_id, **({"source": source} if source else {})}
    nothing = Answer(asked, "an event's id", (), *verdict_on((), "no event has this id"))
    return list(_of_events(ledger, event_id, source)) or [nothing]


def _of_events(ledger: Ledger, event_id: str, source: str | None = None) -> Iterator[Answer]:
    """One for each source: an id is its source's own."""
    rows = ledger.calls_of_event(event_id, source)
    for each in dict.fromkeys(row.source for row in rows):
        theirs = [row for row in rows if row.source == each]
        yield _answer(
            ledger, {"event_id": event_id, "source": each}, f"an event of {each or 'an unknown source'}", theirs
        )


def _answer(ledger: Ledger, about: Document, taken_for: str, rows: Sequence[CallRow]) -> Answer:
    standings = judged(rows, superseding(ledger), unproved(ledger))
    return Answer(about, taken_for, standings, *verdict_on(standings))


def _no_answer(answer: Answer) -> Answer:
    """*answer* where a person was asked for: it never says that somebody is out."""
    return replace(answer, text="every part is settled") if answer.verdict is Verdict.OUT else answer


def _key(row: CallRow) -> tuple[str | None, str | None]:
    return row.call_id, row.dead_letter_id


def _tell(answers: Sequence[Answer], worst: Answer, shown: Sequence[Standing], form: Form) -> None:
    text = worst.text
    if form is Form.JSON:
        about = {name: value for answer in answers for name, value in answer.about.items()}
        each = [{**answer.about, "out": answer.verdict is Verdict.OUT, "verdict": answer.text} for answer in answers]
        told = {"about": about, "out": worst.verdict is Verdict.OUT, "verdict": text, "answers": each}
        print_json("explanation", {**told, "items": [_document(standing) for standing in shown]})
    elif shown:
        _LISTING.show(form, shown)
    told_apart = [f"as {answer.taken_for}: {answer.text}" for answer in answers] if len(answers) > 1 else []
    for line in (*told_apart, text):
        _pronounce(line, form)


def _pronounce(verdict: str, form: Form) -> None:
    """The verdict is data: on stdout with the table, beside JSON only for people."""
    if form in (Form.TABLE, Form.WIDE):
        click.echo(plain(verdict))
    else:
        say(verdict)

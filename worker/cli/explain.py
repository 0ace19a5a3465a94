"""`revoker explain` tells whether a person is out, everywhere."""

from typing import Final

import click

from worker.cli import explanation as presenting
from worker.cli.exits import CommandError, Exit, finish
from worker.cli.output import Document, Form, note, output_option, print_json
from worker.operations import explain as operation
from worker.operations import holds
from worker.operations.explain import Conclusion, Explanation
from worker.operations.opening import open_ledger
from worker.operations.standings import Verdict
from worker.operations.text import plain
from worker.settings import Settings

_EXITS: Final = {
    Verdict.OUT: Exit.DONE,
    Verdict.IN_PART: Exit.FAILED,
    Verdict.ENABLED: Exit.FAILED,
    Verdict.UNKNOWN: Exit.EMPTY,
    Verdict.UNPROVED: Exit.FAILED,
    Verdict.NOT_YET_OUT: Exit.FAILED,
}


@click.command()
@click.argument("whom", metavar="SUBJECT|EVENT|CALL")
@click.option("--event", "is_event", is_flag=True, help="It is an event's id, and no name.")
@click.option("--source", help="With --event: the event of this source alone; ids are its own.")
@output_option
def explain(whom: str, source: str | None, form: Form, *, is_event: bool) -> None:
    """Is this person out, everywhere? SUBJECT is any name of theirs that events give; or an event's id, or a call's.

    Ends with 0 where they are out everywhere, 1 where they are not, where it is not proved or where they are enabled or
    logged in again, 4 where nothing is known of them. Where a name is also the id of an event, or the name of a tenant
    or device, both are told and the worse verdict counts.
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
    answers = explanation.answers
    if form is Form.JSON:
        print_json("explanation", {**_summary(explanation), **presenting.document(explanation)})
    elif explanation.standings:
        presenting.show(form, explanation)
    note(*explanation.cuts, *explanation.registry)
    lines = [f"as {answer.taken_for}: {answer.text}" for answer in answers] if len(answers) > 1 else []
    for line in (*lines, explanation.worst.text):  # data: on stdout with the table, beside JSON only for people
        note(line) if form.is_json else click.echo(plain(line))


def _summary(explanation: Explanation) -> Document:
    about = {name: value for answer in explanation.answers for name, value in answer.about.items()}
    each = [
        {**it.about, "out": it.verdict is Verdict.OUT, "verdict": it.text, "calls": _calls(it)}
        for it in explanation.answers
    ]
    worst = explanation.worst
    return {
        "about": about,
        "out": worst.verdict is Verdict.OUT,
        "verdict": worst.text,
        "complete": not explanation.is_cut,
        "open_sessions": explanation.open_sessions,
        "answers": each,
    }


def _calls(answer: Conclusion) -> list[Document] | None:
    """How many calls there are of what is not shown whole; None: it is, or they are too many to be counted."""
    if answer.counts is None:
        return None
    return [
        {"provider": name, "state": state, "count": count} for (name, state), count in sorted(answer.counts.items())
    ]

"""`revoker health`: whether the processes of this machine live, are ready, have started."""

from collections.abc import Sequence

import click

from worker.cli.exits import Exit, finish
from worker.cli.output import Column, Form, Listing, members, output_option
from worker.observability.metrics import EVERY_PROCESS
from worker.operations.health import Asked, Question, ask
from worker.settings import Settings

_LISTING: Listing[Asked] = Listing(
    "health",
    (
        Column("PROCESS", lambda each: each.process),
        Column("AT", lambda each: each.place),
        Column("ANSWER", lambda each: each.word),
        Column("WHY", lambda each: each.why, cut=1),
    ),
    lambda each: {**members(each, "process", "why"), "at": each.place, "answer": each.word},
)


@click.command()
@click.argument("question", type=click.Choice(Question, case_sensitive=False))
@click.option("--process", "processes", multiple=True, type=click.Choice(EVERY_PROCESS), help="Ask this one alone.")
@click.option("--any", "some", is_flag=True, help="Who does not answer is not of this machine: one answer is enough.")
@output_option
def health(*, question: Question, processes: Sequence[str], some: bool, form: Form) -> None:
    """Ask the processes of this machine whether they live, are ready, or have started.

    Ends with 1 where one says no, and with 69 where one does not answer.
    """
    asked = list(ask(Settings.load().monitoring, question, processes, some=some))
    _LISTING.show(form, asked)
    answers = {each.word for each in asked}
    if "no" in answers:
        finish(Exit.FAILED)
    silent = answers == {"none"} if some else "none" in answers
    finish(Exit.UNAVAILABLE if silent else Exit.DONE)

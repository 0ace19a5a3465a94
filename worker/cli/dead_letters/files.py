"""`dead-letter export`, `import` and `edit`: dead letters that leave the ledger as JSON, and come back."""

import json
import os
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import IO

import click

from tasks.private_files import create_private
from worker.cli.consent import Change, changes
from worker.cli.dead_letters.selection import nothing_found, selecting, states_option
from worker.cli.exits import Exit, finish
from worker.cli.output import note
from worker.ledger import DeadLetterState
from worker.operations import editing, transfer
from worker.operations.dead_letters import OPEN, Selection
from worker.operations.opening import open_ledger
from worker.operations.opening_broker import open_publisher
from worker.operations.text import counted
from worker.settings import Settings

_FILE = click.Path(dir_okay=False, path_type=Path)


@click.command()
@selecting
@states_option
@click.option("--to", type=_FILE, metavar="FILE", help="A new file that you alone can read; default: stdout.")
def export(selection: Selection, states: tuple[DeadLetterState, ...], to: Path | None) -> None:
    """Print dead letters whole, a JSON object a line, oldest death first: all that match, or --limit of them.

    Tokens are as sealed as in the ledger. What arrived names people: keep it as you keep the ledger.
    """
    settings, count = Settings.load(), 0
    with open_ledger(settings) as ledger, os.fdopen(create_private(to), "w") if to else nullcontext(sys.stdout) as file:
        for document in transfer.export(settings, ledger, selection, states or OPEN):
            click.echo(json.dumps(document), file=file)
            count += 1
    if not count:
        finish(nothing_found())
        return
    note(f"{counted(count)} exported")


@click.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@changes(transfer.import_letters)
def import_(file: Path, change: Change) -> None:
    """Put the dead letters of an export on the desk. What is there already, in whatever state, stays as it is.

    Left out is what no process of this installation made, or of one with the same subject_key.
    """
    settings = Settings.load()
    with open_ledger(settings) as ledger:
        planned = transfer.plan_import(settings, ledger, lambda: _lines(file), file.name)
        note(f"{counted(planned.new)} to import, {counted(planned.known)} known already")
        note(*(f"refused: {counted(count)} {refusal}" for refusal, count in planned.refused.items()))
        if planned.new and change.is_agreed(f"Import {counted(planned.new)}?"):
            done = transfer.import_letters(settings, ledger, planned, change.operator)
            numbers = {"imported": done.count, "known": planned.known, "refused": dict(planned.refused)}
            change.show("import", {"audit_id": done.audit_id, **numbers}, f"{counted(done.count)} imported")
    finish(Exit.PARTIAL if planned.refused else Exit.DONE)


def _lines(file: Path) -> Iterator[str]:
    """The lines of *file*, none longer than an export writes; what is no UTF-8 is no JSON of ours either."""
    with file.open(encoding="utf-8", errors="surrogateescape") as opened:
        yield from iter(lambda: opened.readline(transfer.MAX_LINE + 1), "")


@click.command()
@click.argument("id_", metavar="ID")
@click.option(
    "--file",
    type=click.File(),
    required=True,
    metavar="FILE",
    help="The corrected event, a JSON object; - is stdin. `show ID --event` prints the one that arrived.",
)
@changes(editing.edit)
def edit(id_: str, file: IO[str], change: Change) -> None:
    """Publish a corrected event in place of the one that died, and give that up; a tombstone stays.

    The corrected event has another id, and `derivedfrom` names the old one. It is told by the same source, whose limits
    hold. A credential may be {"token": "…"}, which is sealed.
    """
    settings = Settings.load()
    with open_ledger(settings) as ledger:
        planned = editing.plan_edit(settings, ledger, id_, file.read(transfer.MAX_LINE))
        event = planned.event
        if change.dry_run:
            click.echo(json.dumps(event.document, indent=2))
        note(f"{event.event_type} {event.event_id} would take the place of dead letter {planned.dead_letter_id}")
        if change.is_agreed("Publish it?"):
            with open_publisher(settings) as publisher:
                done = editing.edit(settings, ledger, publisher, planned, change.operator)
            document = {"audit_id": done.audit_id, "event_id": event.event_id, "dead_letter_id": planned.dead_letter_id}
            change.show("edit", document, f"{event.event_id} is published")

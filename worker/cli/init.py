"""`revoker init`: from nothing to a checked configuration."""

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from worker.cli.consent import calls, require_consent
from worker.cli.doctor import LISTING as FINDINGS
from worker.cli.exits import CommandError, Exit
from worker.cli.init_questions import ask
from worker.cli.output import Column, Document, Form, Listing, note, output_option, print_json
from worker.cli.params import gathered
from worker.operations import setup
from worker.operations.doctor import Finding
from worker.operations.setup import PlannedFile, SetupPlan
from worker.operations.setup.answers import MAX_ANSWERS, add_answer, add_secret, parse_answers, read_answers
from worker.operations.setup.plan import existing
from worker.operations.setup.steps import next_steps
from worker.operations.text import plain


@dataclass(frozen=True, slots=True)
class Given:
    """The answers that the command line brings."""

    answers: str | None
    values: tuple[str, ...]
    secrets: tuple[str, ...]

    def document(self, folder: Path) -> dict[str, Any]:
        """Return them; where there are none, a person is asked."""
        if not (self.answers or self.values or self.secrets):
            if not sys.stdin.isatty():
                raise CommandError("without a terminal to ask on, --answers or --set is needed", Exit.REFUSED)
            return ask(existing(folder))
        found = self._document()
        for pair in self.values:
            add_answer(found, *_pair(pair, "VALUE"))
        for pair in self.secrets:
            name, file = _pair(pair, "FILE")
            add_secret(found, name, Path(file))
        return found

    def _document(self) -> dict[str, Any]:
        if self.answers == "-":
            return parse_answers(sys.stdin.buffer.read(MAX_ANSWERS), "stdin")
        return read_answers(Path(self.answers)) if self.answers else {}


def _pair(text: str, what: str) -> tuple[str, str]:
    name, found, value = text.partition("=")
    if not found or not name:
        raise click.UsageError(f"an answer looks like providers.genesys.region={what}")
    return name, value


_GIVEN = (
    click.option("--answers", metavar="FILE|-", help="Answers in TOML, as docs/running.md shows; - is stdin."),
    click.option("--set", "values", multiple=True, metavar="NAME=VALUE", help="One more answer, no secret."),
    click.option("--secret", "secrets", multiple=True, metavar="NAME=FILE", help="A secret: the file that holds it."),
)


@click.command()
@calls(setup.write)
@click.option(
    "--dir",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("/etc/revoker"),
    show_default=True,
    help="Where everything is written.",
)
@gathered("given", Given, _GIVEN)
@click.option("--dry-run", is_flag=True, help="Show what would be written, write nothing.")
@click.option("--yes", is_flag=True, help="Do it without asking; needed where there is no terminal.")
@output_option
def init(folder: Path, given: Given, form: Form, *, dry_run: bool, yes: bool) -> None:
    """Write a configuration: settings, secrets, keys, and a RabbitMQ user for each process.

    Asks on the terminal for broker, ledger, providers and sources where nothing answers beforehand. Shows what it
    would write; overwrites nothing. Where a configuration is there already, providers and sources are added to it.
    """
    folder = folder.absolute()
    plan = setup.plan_setup(folder, given.document(folder))
    if not form.is_json:
        _listing(folder).show(form, [each for each in plan.files if form is Form.WIDE or not each.link])
    if not dry_run:
        require_consent(f"Write this below {folder}?", yes=yes)
        setup.write(plan.files)
    _tell(plan, form, None if dry_run else list(setup.examine(plan.layout)))


def _listing(folder: Path) -> Listing[PlannedFile]:
    columns: tuple[Column[PlannedFile], ...] = (
        Column("FILE", lambda each: os.path.relpath(each.path, folder), cut=2),
        Column("MODE", lambda each: each.kind),
        Column("WHAT FOR", lambda each: each.purpose, cut=1),
    )
    return Listing("planned_file", columns, _file_document)


def _file_document(file: PlannedFile) -> Document:
    return {"path": str(file.path), "mode": file.kind, "purpose": file.purpose}


def _tell(plan: SetupPlan, form: Form, found: Sequence[Finding] | None) -> None:
    """Tell what is left to do; *found* by the doctor, None where nothing is written yet."""
    steps = list(next_steps(plan))
    if form.is_json:
        print_json("init", _document(plan, steps, found), indent=2 if form is Form.JSON else None)
    note(f"{len(plan.files)} files {'would be' if found is None else 'are'} written below {plan.layout.folder}")
    if found is None or form.is_json:
        return
    open_ = [each for each in found if each.state != "ok"]
    note(f"the doctor finds {len(found) - len(open_)} things as they should be, {len(open_)} not so, or not yet")
    if open_:
        FINDINGS.show(form, open_)
    click.echo("\n".join(["", *map(plain, steps)]))


def _document(plan: SetupPlan, steps: Sequence[str], found: Sequence[Finding] | None) -> Document:
    return {
        "dir": str(plan.layout.folder),
        "written": found is not None,
        "files": [_file_document(each) for each in plan.files],
        "findings": [FINDINGS.document(each) for each in found or ()],
        "steps": steps,
    }

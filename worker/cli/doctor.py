"""`revoker doctor`: whether everything is as it should be."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from textwrap import wrap
from typing import Final

import click

from worker.cli.exits import Exit, finish
from worker.cli.output import Column, Form, Listing, note, output_option, progress
from worker.operations.doctor import CHECKS, Finding, diagnose, examine_deployment, is_healthy

PROCESSES: Final = ("intake", "worker", "recorder", "door")
STATES: Final = ("failed", "unknown", "warning", "ok")  # in the order in which they are shown
ROOM: Final = 49  # columns for what was found, beside check and state


def _told(each: Finding) -> list[str]:
    """What was found, and below it what to do."""
    lines = wrap(each.text, ROOM, break_on_hyphens=False)
    advice = f"→ {each.advice}" if each.advice else ""
    return [*lines, *wrap(advice, ROOM, subsequent_indent="  ", break_on_hyphens=False)]


LISTING: Listing[Finding] = Listing(
    "finding",
    (
        Column("CHECK", lambda each: each.check),
        Column("STATE", lambda each: each.state),
        Column("FOUND", _told),
    ),
    lambda each: {
        "check": each.check,
        "about": each.about or None,
        "state": each.state,
        "detail": each.detail,
        "remedy": each.advice or None,
    },
)


@click.command()
@click.option("--process", type=click.Choice(PROCESSES), help="Whose broker user this is, where each has its own.")
@click.option(
    "--against",
    "files",
    multiple=True,
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Look at this compose file, these manifests or the folder that they are in, and at nothing else.",
)
@click.option("--strict", is_flag=True, help="End with 1 where there is a warning, too.")
@output_option
def doctor(process: str | None, files: Sequence[Path], form: Form, *, strict: bool) -> None:
    """Look at broker, ledger, providers, keys and files, and say what to do. Changes nothing. Ends with 1 on a fault.

    Run it as each process is run: with its user, its settings and its secrets. docs/doctor.md explains every check.
    """
    found = list(examine_deployment(files) if files else _watched(process))
    LISTING.show(form, sorted(found, key=lambda each: STATES.index(each.state)))
    counts = {state: sum(each.state == state for each in found) for state in STATES}
    note(", ".join(f"{count} {state}" for state, count in counts.items() if count))
    finish(Exit.DONE if is_healthy(found, strict=strict) else Exit.FAILED)


def _watched(process: str | None) -> Iterator[Finding]:
    total = sum(not name.startswith("deployment.") for name in CHECKS)
    with progress(total, "Looking") as advance:
        for each in diagnose(process):
            yield each
            advance(1)

"""`revoker publish`: build, seal and publish events."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Final

import click

from tasks.events.drafts import SOURCE, Draft, DraftError, Finished, Seal, finish_draft, read_draft
from worker.cli.consent import calls
from worker.cli.event_options import EventOptions, draft_of, event_options
from worker.cli.exits import CommandError, Exit, finish
from worker.cli.output import Form, note, output_option, print_json, progress
from worker.operations import publishing
from worker.operations.opening import open_publisher
from worker.operations.publishing import Published
from worker.operations.text import counted
from worker.settings import Settings

MAX_FAULTS: Final = 20  # faulty lines named


@click.command()
@calls(publishing.publish)
@event_options
@click.option(
    "--file", "file", type=click.File(), metavar="FILE", help="Events instead, a JSON object a line; - is stdin."
)
@click.option("--source", default=SOURCE, show_default=True, help="Who says so, where the event itself does not.")
@click.option(
    "--jwks", type=click.Path(dir_okay=False, path_type=Path), help="Public keys; default: our newest own key."
)
@click.option("--kid", help="The key to seal with; default: the first of them.")
@click.option(
    "--sign",
    "signing",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Sign with the private key in FILE, of `revoker keys generate-signing`.",
)
@click.option("--dry-run", is_flag=True, help="Print the sealed events, publish nothing.")
@output_option
def publish(  # noqa: PLR0913 - one for each option
    *,
    event: EventOptions,
    file: IO[str] | None,
    source: str,
    jwks: Path | None,
    kid: str | None,
    signing: Path | None,
    form: Form,
    dry_run: bool,
) -> None:
    """Publish session.ended or user.disabled, or the events of a file.

    Tokens come from stdin or a file and are sealed before anything leaves. In a file of events a session's credential
    may be {"token": "…"}; a missing id, time, source or specversion is filled in. Prints the ids of what is published.
    """
    if (file is None) == (event.event_type is None):
        raise click.UsageError("give an event type, or --file")
    settings, sign = Settings.load(), publishing.signer(signing)
    seal = publishing.sealer(settings, jwks, kid)
    events = _of_file(file, seal, source) if file else [_finished(draft_of(event, settings), seal, source)]
    if dry_run:
        _show_drafts(events, form)
        return
    with open_publisher(settings) as publisher, progress(len(events), "publishing") as advance:
        published = publishing.publish(settings, publisher, events, sign, advance)
    finish(_show_published(published, form))


def _finished(draft: Draft, seal: Seal, source: str) -> Finished:
    try:
        return finish_draft(draft, seal, source)
    except DraftError as error:
        raise CommandError(f"nothing was published: {error}", Exit.REFUSED) from None


def _of_file(file: IO[str], seal: Seal, source: str) -> list[Finished]:
    """Every event of *file*; where one is faulty, none is published."""
    events, faults = [], []
    lines = [(number, line) for number, line in enumerate(file, 1) if line.strip()]
    with progress(len(lines), "sealing") as advance:
        for number, line in lines:
            try:
                events.append(finish_draft(read_draft(line), seal, source))
            except DraftError as error:
                faults.append(f"line {number}: {error}")
            advance(1)
    if faults:
        more = [f"and {counted(len(faults) - MAX_FAULTS)} more"] if len(faults) > MAX_FAULTS else []
        raise CommandError("\n".join(["nothing was published", *faults[:MAX_FAULTS], *more]), Exit.REFUSED)
    return events


def _show_drafts(events: Sequence[Finished], form: Form) -> None:
    if form is Form.JSON:
        print_json("draft_list", {"count": len(events), "items": [event.document for event in events]})
        return
    indent = 2 if len(events) == 1 and form is not Form.JSONL else None
    for event in events:
        click.echo(json.dumps(event.document, indent=indent))


def _show_published(published: Published, form: Form) -> Exit:
    failures = published.failures
    if form.is_json:
        print_json("publication", {"published": published.confirmed, "unconfirmed": failures}, indent=None)
    else:
        for event_id in published.confirmed:
            click.echo(event_id)
    if failures:
        note(f"{counted(len(failures))} not confirmed: {'; '.join(sorted(set(failures.values())))}")
    note(f"{counted(len(published.confirmed))} published")
    if not failures:
        return Exit.DONE
    return Exit.PARTIAL if published.confirmed else Exit.UNAVAILABLE

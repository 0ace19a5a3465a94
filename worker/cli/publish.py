"""`revoker publish`: build, seal and publish events."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import click

from tasks.events.drafts import SOURCE, SealedEvent
from worker.cli.consent import calls
from worker.cli.event_options import EventOptions, draft_of, event_options
from worker.cli.exits import Exit, finish
from worker.cli.output import Form, note, output_option, print_json, progress
from worker.cli.params import gathered
from worker.operations import publishing
from worker.operations.opening_broker import open_publisher
from worker.operations.publishing import Published
from worker.operations.text import counted
from worker.settings import Settings

_FILE = click.Path(dir_okay=False, path_type=Path)


@dataclass(frozen=True, slots=True)
class ProofOptions:
    """Who tells of the events, and the keys that they are sealed and signed with."""

    source: str
    jwks: Path | None
    kid: str | None
    signing: Path | None


_PROOF = (
    click.option("--source", default=SOURCE, show_default=True, help="Who says so, where the event itself does not."),
    click.option("--jwks", type=_FILE, help="Public keys; default: our newest own key."),
    click.option("--kid", help="The key to seal with; default: the first of them."),
    click.option(
        "--sign",
        "signing",
        type=_FILE,
        metavar="FILE",
        help="Sign with the private key in FILE, of `revoker keys generate-signing`.",
    ),
)


@click.command()
@calls(publishing.publish)
@event_options
@click.option("--file", type=click.File(), metavar="FILE", help="Events instead, a JSON object a line; - is stdin.")
@gathered("proof", ProofOptions, _PROOF)
@click.option("--dry-run", is_flag=True, help="Print the sealed events, publish nothing.")
@output_option
def publish(event: EventOptions, file: IO[str] | None, proof: ProofOptions, form: Form, *, dry_run: bool) -> None:
    """Publish one event of any type, or the events of a file.

    Tokens come from stdin or a file and are sealed before anything leaves. In a file of events a session's credential
    may be {"token": "…"}; a missing id, time, source or specversion is filled in. Prints the ids of what is published.
    """
    if (file is None) == (event.event_type is None):
        raise click.UsageError("give an event type, or --file")
    settings, sign = Settings.load(), publishing.signer(proof.signing)
    seal = publishing.sealer(settings, proof.jwks, proof.kid)
    if file is None:
        events = [publishing.complete(draft_of(event, settings), seal, proof.source)]
    else:
        lines = list(file)
        with progress(len(lines), "sealing") as advance:
            events = publishing.complete_all(lines, seal, proof.source, advance)
    if dry_run:
        _show_drafts(events, form)
        return
    with open_publisher(settings) as publisher, progress(len(events), "publishing") as advance:
        published = publishing.publish(settings, publisher, events, sign, advance)
    finish(_show_published(published, form))


def _show_drafts(events: Sequence[SealedEvent], form: Form) -> None:
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

"""`revoker publish`: build, seal and publish events."""

from __future__ import annotations

import functools
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import IO

import click

from tasks.events.drafts import SOURCE, Draft, DraftError, Finished, Seal, finish_draft, read_draft
from tasks.sealing import SealError, SealingKey, seal
from worker import broker
from worker.broker import messages
from worker.broker.publisher import Message, PublishError
from worker.cli.event_options import Wanted, draft_of, wanted_options
from worker.cli.exits import CommandError, Exit, finish
from worker.cli.output import Form, note, output_option, print_json, progress
from worker.cli.sealing_keys import sealing_key
from worker.intake.signing import SigningKey, read_signing_key, sign
from worker.operations.opening import open_publisher
from worker.operations.text import counted
from worker.settings import Settings

AT_ONCE = 200  # events confirmed together
TOLD = 20  # faulty lines named


@click.command()
@wanted_options
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
    wanted: Wanted,
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
    if (file is None) == (wanted.event_type is None):
        raise click.UsageError("give an event type, or --file")
    settings, signing_key = Settings.load(), read_signing_key(signing) if signing else None
    seal_ = _sealer(settings, jwks, kid)
    events = _of_file(file, seal_, source) if file else [_judged(draft_of(wanted, settings), seal_, source)]
    if dry_run:
        _show_drafts(events, form)
    else:
        finish(_publish(settings, events, signing_key, form))


def _sealer(settings: Settings, jwks: Path | None, kid: str | None) -> Seal:
    """Seals with a key that is looked for when the first token is to be sealed: not every event holds one."""

    @functools.cache
    def key() -> SealingKey:
        try:
            return sealing_key(settings.keys_dir, jwks, kid)
        except SealError as error:
            raise CommandError(str(error), Exit.REFUSED) from None

    return lambda token, provider: seal(token, provider, key())


def _judged(draft: Draft, seal_: Seal, source: str) -> Finished:
    try:
        return finish_draft(draft, seal_, source)
    except DraftError as error:
        raise CommandError(f"nothing was published: {error}", Exit.REFUSED) from None


def _of_file(file: IO[str], seal_: Seal, source: str) -> list[Finished]:
    """Every event of *file*; where one is faulty, none is published."""
    events, faults = [], []
    lines = [(number, line) for number, line in enumerate(file, 1) if line.strip()]
    with progress(len(lines), "sealing") as advance:
        for number, line in lines:
            try:
                events.append(finish_draft(read_draft(line), seal_, source))
            except DraftError as error:
                faults.append(f"line {number}: {error}")
            advance(1)
    if faults:
        more = [f"and {counted(len(faults) - TOLD)} more"] if len(faults) > TOLD else []
        raise CommandError("\n".join(["nothing was published", *faults[:TOLD], *more]), Exit.REFUSED)
    return events


def _show_drafts(events: Sequence[Finished], form: Form) -> None:
    match form:
        case Form.JSON:
            print_json("draft_list", {"count": len(events), "items": [event.document for event in events]})
        case _:
            indent = 2 if len(events) == 1 and form is not Form.JSONL else None
            for event in events:
                click.echo(json.dumps(event.document, indent=indent))


def _publish(settings: Settings, events: Sequence[Finished], key: SigningKey | None, form: Form) -> Exit:
    user = broker.user(settings.broker_url.get_secret_value())
    results: list[PublishError | None] = []
    with open_publisher(settings) as publisher, progress(len(events), "publishing") as advance:
        for start in range(0, len(events), AT_ONCE):
            step = events[start : start + AT_ONCE]
            results += publisher.publish([_message(each, key, user) for each in step])
            advance(len(step))
    failures = {event.event_id: str(why) for event, why in zip(events, results, strict=True) if why is not None}
    _show_published([event.event_id for event in events if event.event_id not in failures], failures, form)
    if not failures:
        return Exit.DONE
    return Exit.PARTIAL if len(failures) < len(events) else Exit.UNAVAILABLE


def _message(event: Finished, key: SigningKey | None, user: str | None) -> Message:
    """*event* with all the proof there is of who publishes it."""
    headers = {messages.SIGNATURE: sign(event.body, key)} if key else {}
    return replace(messages.event(event.body, event.event_type, headers=headers), user_id=user)


def _show_published(published: Sequence[str], failures: dict[str, str], form: Form) -> None:
    if form.is_json:
        print_json("publication", {"published": published, "unconfirmed": failures}, indent=None)
    else:
        for event_id in published:
            click.echo(event_id)
    if failures:
        note(f"{counted(len(failures))} not confirmed: {'; '.join(sorted(set(failures.values())))}")
    note(f"{counted(len(published))} published")

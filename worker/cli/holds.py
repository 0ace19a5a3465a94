"""`revoker provider hold|release`, and how holds are shown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta

import click

from worker.calls.holds.hold import Hold, Opener, Scope
from worker.cli.consent import dry_run_option, operator, require_consent, yes_option
from worker.cli.dead_letters.selection import why_option
from worker.cli.exits import CommandError, Exit
from worker.cli.output import Document, Form, note, output_option, print_json
from worker.cli.params import Span
from worker.ledger import AuditEntry, Ledger
from worker.operations import holds
from worker.operations.opening import open_ledger
from worker.operations.text import short_duration
from worker.settings import Settings


@click.command()
@click.argument("name")
@why_option(required=True)
@click.option("--for", "span", type=Span(), default="1h", show_default=True, help="How long: 90s, 15m, 2h, 1d.")
@click.option("--owner", metavar="WHO", help="Whom to ask about it. Default: you, as user@host.")
@click.option(
    "--scope",
    type=click.Choice(Scope, case_sensitive=False),
    default=Scope.ALL,
    show_default=True,
    help="All calls, or those made with the worker's own credential.",
)
@dry_run_option
@yes_option
@output_option
def hold(  # noqa: PLR0913 - one for each option
    *, name: str, why: str, span: timedelta, owner: str | None, scope: Scope, form: Form, dry_run: bool, yes: bool
) -> None:
    """Have the calls of provider NAME wait in the broker, unattempted. Workers follow within about two seconds."""
    settings = _knowing(name)
    now = datetime.now(UTC)
    wanted = Hold(name, scope, Opener.OPERATOR, owner or operator(), why, now, now + span)
    note(f"{name}: {_scope_in_words(scope)} would wait for {short_duration(span)}, in the name of {wanted.owner}")
    if dry_run:
        return
    require_consent(f"Hold {name}?", yes=yes)
    audit = AuditEntry(operator(), "provider.hold", f"{name} {scope} until {wanted.until:%Y-%m-%dT%H:%MZ}", why, 1)
    with open_ledger(settings) as ledger:
        placed = holds.place(ledger, wanted, audit)
    if form.is_json:
        print_json("hold", {"audit_id": audit.audit_id, **document(placed)})
    note(f"{name} is held until {placed.until:%Y-%m-%d %H:%M:%S} UTC, audit {audit.audit_id}")


@click.command()
@click.argument("name")
@why_option(required=True)
@dry_run_option
@yes_option
@output_option
def release(name: str, why: str, form: Form, *, dry_run: bool, yes: bool) -> None:
    """End what holds provider NAME. A breaker's hold is not ended but probed at once: one call finds out."""
    settings = _knowing(name)
    with open_ledger(settings) as ledger:
        note_held(ledger, [name])
        if dry_run:
            return
        require_consent(f"Release {name}?", yes=yes)
        audit = AuditEntry(operator(), "provider.release", name, why)
        found = holds.release(ledger, name, audit)
    if form.is_json:
        print_json("release", {"audit_id": audit.audit_id, "holds": [document(each) for each in found]})
    note(f"{name}: {_released(found)}, audit {audit.audit_id}")


def document(standing: Hold) -> Document:
    """The JSON of a hold."""
    return {
        "provider": standing.provider,
        "scope": standing.scope.value,
        "source": standing.source or None,
        "opened_by": standing.opened_by.value,
        "owner": standing.owner,
        "reason": standing.reason,
        "since": standing.since,
        "until": standing.until,
        "failed_probes": standing.strikes,
    }


def note_held(ledger: Ledger, providers: Iterable[str]) -> None:
    """Tell people which of *providers* are held."""
    wanted = set(providers)
    for each in holds.in_force(ledger):
        if each.provider in wanted:
            who = each.owner if each.opened_by is Opener.OPERATOR else each.opened_by.value
            note(f"{each.provider} is held by {who}: {_covered_in_words(each)}, {each.reason}, {until(each)}")


def until(standing: Hold) -> str:
    """How it ends, and how soon."""
    left = standing.until - datetime.now(UTC)
    if standing.is_probed:
        return f"probe in {short_duration(left)}" if left > timedelta() else "probe now"
    return f"ends in {short_duration(left)}"


def _scope_in_words(scope: Scope) -> str:
    return "all calls" if scope is Scope.ALL else "calls with our own credential"


def _covered_in_words(standing: Hold) -> str:
    whose = f" of {standing.source}" if standing.source else ""
    return f"{_scope_in_words(standing.scope)}{whose}"


def _released(found: Sequence[Hold]) -> str:
    if not found:
        return "nothing held it"
    probed = sum(each.is_probed for each in found)
    told = {"ended": len(found) - probed, "to be probed now": probed}
    return ", ".join(f"{count} {what}" for what, count in told.items() if count)


def _knowing(name: str) -> Settings:
    settings = Settings.load()
    if name not in settings.providers:
        raise CommandError(f"no provider named {name} is configured", Exit.REFUSED)
    return settings

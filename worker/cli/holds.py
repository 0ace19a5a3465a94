"""`revoker provider hold|release`, and how holds are shown."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING

import click

from worker.calls.holds.hold import Hold, Scope
from worker.cli.consent import Change, changes
from worker.cli.output import Document, note
from worker.cli.params import Span
from worker.operations import holds, providers
from worker.operations.opening import open_ledger
from worker.operations.text import short_duration
from worker.settings import Settings

if TYPE_CHECKING:
    from worker.ledger import Ledger


@click.command()
@click.argument("name")
@changes(holds.place)
@click.option("--for", "span", type=Span(), default="1h", show_default=True, help="How long: 90s, 15m, 2h, 1d.")
@click.option("--owner", metavar="WHO", help="Whom to ask about it. Default: you, as user@host.")
@click.option(
    "--scope",
    type=click.Choice(Scope, case_sensitive=False),
    default=Scope.ALL,
    show_default=True,
    help="All calls, or those made with the worker's own credential.",
)
def hold(name: str, span: timedelta, owner: str | None, scope: Scope, change: Change) -> None:
    """Have the calls of provider NAME wait in the broker, unattempted. Workers follow within about two seconds."""
    settings = Settings.load()
    providers.require_known(settings, [name])
    planned = holds.planned(name, scope, span, change.operator, owner)
    calls, duration = holds.scope_in_words(scope), short_duration(span)
    note(f"{name}: {calls} would wait for {duration}, in the name of {planned.owner}")
    if change.is_agreed(f"Hold {name}?"):
        with open_ledger(settings) as ledger:
            audit, placed = holds.place(ledger, planned, change.operator)
        result = f"{name} is held until {placed.until:%Y-%m-%d %H:%M:%S} UTC"
        change.show("hold", {"audit_id": audit.audit_id, **document(placed)}, result)


@click.command()
@click.argument("name")
@changes(holds.release)
def release(name: str, change: Change) -> None:
    """End what holds provider NAME. A breaker's hold is not ended but probed at once: one call finds out."""
    settings = Settings.load()
    providers.require_known(settings, [name])
    with open_ledger(settings) as ledger:
        note_held(ledger, [name])
        if change.is_agreed(f"Release {name}?"):
            audit, found = holds.release(ledger, name, change.operator)
            told = {"audit_id": audit.audit_id, "holds": [document(each) for each in found]}
            change.show("release", told, f"{name}: {_released(found)}")


def document(each: Hold) -> Document:
    """The JSON of a hold."""
    return {
        "provider": each.provider,
        "scope": each.scope.value,
        "source": each.source or None,
        "opened_by": each.opened_by.value,
        "owner": each.owner,
        "reason": each.reason,
        "since": each.since,
        "until": each.until,
        "failed_probes": each.failed_probes,
    }


def note_held(ledger: Ledger, names: Collection[str]) -> None:
    """Tell people which of the providers *names* are held."""
    for each in holds.in_force(ledger, names):
        note(holds.in_words(each))


def _released(found: Sequence[Hold]) -> str:
    if not found:
        return "nothing held it"
    probed = sum(each.is_probed for each in found)
    counts = {"ended": len(found) - probed, "to be probed now": probed}
    return ", ".join(f"{count} {what}" for what, count in counts.items() if count)

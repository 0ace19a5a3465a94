"""`revoker keys retire|restore`."""

from __future__ import annotations

from pathlib import Path

import click

from worker.cli.consent import Change, changes
from worker.cli.output import note
from worker.operations import sealing_keys
from worker.operations.opening import open_ledger
from worker.operations.sealing_keys import RETIRED, KeyChange
from worker.settings import Settings

keys_dir_option = click.option(
    "--keys-dir",
    type=click.Path(file_okay=False, path_type=Path),
    default=lambda: Settings.load().keys_dir,
    show_default="the setting keys_dir",
    help="Folder of the private keys.",
)


@click.command()
@click.argument("kid")
@keys_dir_option
@click.option("--destroy", is_flag=True, help="Delete a retired key for good.")
@changes(sealing_keys.change_key)
def retire(kid: str, keys_dir: Path, change: Change, *, destroy: bool) -> None:
    """Move key KID aside, unless something still needs it. Workers follow within seconds; `restore` undoes it.

    Something needs it: a dead letter, a call under way, or, while it was in use within the longest retry budget, an
    event that is still on its way. A retired key can be destroyed once it has lain aside for as long.
    """
    settings = Settings.load()
    with open_ledger(settings) as ledger:
        planned = sealing_keys.plan_retirement(settings, ledger, keys_dir, kid, destroy=destroy)
    fate = "deleted for good" if destroy else f"moved to {keys_dir / RETIRED}"
    note(f"{kid}: nothing needs it; it would be {fate}")
    _make(settings, planned, change, f"{'Destroy' if destroy else 'Retire'} {kid}?")


@click.command()
@click.argument("kid")
@keys_dir_option
@changes(sealing_keys.change_key)
def restore(kid: str, keys_dir: Path, change: Change) -> None:
    """Have the retired key KID serve again; then replay the dead letters `crypto.seal` that it was missed for."""
    planned = sealing_keys.plan_restoration(keys_dir, kid)
    note(f"{kid}: would serve again")
    _make(Settings.load(), planned, change, f"Restore {kid}?")


def _make(settings: Settings, planned: KeyChange, change: Change, question: str) -> None:
    if change.is_agreed(question):
        with open_ledger(settings) as ledger:
            audit = sealing_keys.change_key(ledger, planned, change.operator)
        told = {"audit_id": audit.audit_id, "action": audit.action, "kid": audit.scope}
        change.show("key_change", told, f"{audit.scope}: done")

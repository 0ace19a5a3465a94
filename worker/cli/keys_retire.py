"""`revoker keys retire|restore`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import click

from worker.cli.consent import dry_run_option, operator, require_consent, yes_option
from worker.cli.dead_letters.selection import why_option
from worker.cli.exits import CommandError, Exit
from worker.cli.key_needs import quiet_period, read_needs, state_of
from worker.cli.output import Form, note, output_option, print_json
from worker.cli.sealing_keys import RETIRED, StoredKey, move, retired_keys, stored_keys
from worker.ledger import AuditEntry
from worker.operations.opening import open_ledger
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
@why_option(required=True)
@keys_dir_option
@click.option("--destroy", is_flag=True, help="Delete a retired key for good.")
@dry_run_option
@yes_option
@output_option
def retire(  # noqa: PLR0913 - one for each option
    *, kid: str, why: str, keys_dir: Path, destroy: bool, form: Form, dry_run: bool, yes: bool
) -> None:
    """Move key KID aside, unless something still needs it. Workers follow within seconds; `restore` undoes it.

    Something needs it: a dead letter, a call under way, or, while it was in use within the longest retry budget, an
    event that is still on its way. A retired key can be destroyed once it has lain aside for as long.
    """
    settings = Settings.load()
    if destroy:
        key = _the(kid, retired_keys(keys_dir), "retired key")
    else:
        key = _the(kid, stored_keys(keys_dir), "key")
        _require_another(keys_dir)
    _require_unneeded(settings, key)
    note(f"{kid}: nothing needs it; it would be {'deleted for good' if destroy else f'moved to {keys_dir / RETIRED}'}")
    if dry_run:
        return
    require_consent(f"{'Destroy' if destroy else 'Retire'} {kid}?", yes=yes)
    act = key.path.unlink if destroy else lambda: move(key, keys_dir / RETIRED)
    _audited(settings, AuditEntry(operator(), "keys.destroy" if destroy else "keys.retire", kid, why), act, form)


@click.command()
@click.argument("kid")
@why_option(required=True)
@keys_dir_option
@dry_run_option
@yes_option
@output_option
def restore(  # noqa: PLR0913 - one for each option
    *, kid: str, why: str, keys_dir: Path, form: Form, dry_run: bool, yes: bool
) -> None:
    """Have the retired key KID serve again; then replay the dead letters `crypto.seal` that it was missed for."""
    settings = Settings.load()
    key = _the(kid, retired_keys(keys_dir), "retired key")
    note(f"{kid}: would serve again")
    if dry_run:
        return
    require_consent(f"Restore {kid}?", yes=yes)
    _audited(settings, AuditEntry(operator(), "keys.restore", kid, why), lambda: move(key, keys_dir), form)


def _the(kid: str, keys: Sequence[StoredKey], what: str) -> StoredKey:
    for key in keys:
        if key.kid == kid:
            return key
    raise CommandError(f"there is no {what} {kid}", Exit.REFUSED)


def _require_another(keys_dir: Path) -> None:
    if len(stored_keys(keys_dir)) == 1:
        raise CommandError("it is the only key: make another one first (revoker keys generate)", Exit.REFUSED)


def _require_unneeded(settings: Settings, key: StoredKey) -> None:
    if needed_by := state_of(key, read_needs(settings), quiet_period(settings)).needed_by:
        raise CommandError(f"{key.kid} is still needed by: {'; '.join(needed_by)}. Nothing was changed", Exit.REFUSED)


def _audited(settings: Settings, audit: AuditEntry, act: Callable[[], None], form: Form) -> None:
    """Do it between two lines of the audit: whatever happens to us, it is on record that it was begun."""
    with open_ledger(settings) as ledger:
        ledger.audit(replace(audit, result="begun"))
        act()
        ledger.audit(replace(audit, result="done", count=1))
    if form.is_json:
        print_json("key_change", {"audit_id": audit.audit_id, "action": audit.action, "kid": audit.scope})
    note(f"{audit.scope}: done, audit {audit.audit_id}")

"""`dead-letter discard`."""

import click

from worker.cli.consent import Change, changes
from worker.cli.dead_letters.replay import GROUPS
from worker.cli.dead_letters.selection import nothing_found, selecting_for_change
from worker.cli.exits import finish
from worker.operations import dead_letters
from worker.operations.dead_letters import Selection
from worker.operations.opening import open_ledger
from worker.operations.text import counted
from worker.settings import Settings


@click.command()
@selecting_for_change
@changes(dead_letters.discard)
def discard(selection: Selection, change: Change) -> None:
    """Give dead letters up for good: their tokens stay alive, for all we know.

    A tombstone stays. To undo it: `list --state discarded`, then `replay ID --force`.
    """
    settings = Settings.load()
    with open_ledger(settings) as ledger:
        planned = dead_letters.plan_discard(settings, ledger, selection)
        if not planned.ids:
            finish(nothing_found())
            return
        if not change.form.is_json or change.dry_run:
            GROUPS.show(change.form, planned.groups.most_common(), dry_run=change.dry_run)
        if change.is_agreed(f"Discard {counted(len(planned.ids))} for good?"):
            done = dead_letters.discard(ledger, planned, change.operator)
            show_discarded(change, "discard", done.audit_id, done.count)


def show_discarded(change: Change, name: str, audit_id: str, count: int) -> None:
    """Tell how many were given up; *name* is that of the JSON schema."""
    document = {"audit_id": audit_id, "discarded": count, "reason": change.reason}
    change.show(name, document, f"{counted(count)} discarded")

"""`dead-letter discard`."""

from __future__ import annotations

from collections import Counter

import click

from worker.cli.consent import dry_run_option, operator, require_consent, yes_option
from worker.cli.dead_letters.selection import (
    OPEN,
    Selection,
    nothing_found,
    require_narrowing,
    selecting_for_change,
    why_option,
)
from worker.cli.dead_letters.views import GROUPS, groups
from worker.cli.exits import finish
from worker.cli.output import Form, note, output_option, print_json
from worker.ledger import AuditEntry, Ledger
from worker.ledger.paging import in_pages
from worker.operations.opening import open_ledger
from worker.operations.text import counted
from worker.settings import Settings


@click.command()
@selecting_for_change
@why_option(required=True)
@dry_run_option
@yes_option
@output_option
def discard(selection: Selection, why: str, form: Form, *, everything: bool, dry_run: bool, yes: bool) -> None:  # noqa: PLR0913 - one for each option
    """Give dead letters up for good: their tokens stay alive, for all we know.

    A tombstone stays. To undo it: `list --state discarded`, then `replay ID --force`.
    """
    require_narrowing(selection, everything=everything)
    settings = Settings.load()
    with open_ledger(settings) as ledger:
        ids, counted_by = list[str](), Counter[tuple[str | None, str]]()
        for page in in_pages(ledger.dead_letter_heads, selection.where(settings, ledger, OPEN)):
            ids += [head.dead_letter_id for head in page]
            counted_by.update((head.provider, head.reason) for head in page)
        if not ids:
            finish(nothing_found(selection))
            return
        if not form.is_json or dry_run:
            GROUPS.show(form, groups(counted_by), dry_run=dry_run)
        if not dry_run:
            require_consent(f"Discard {counted(len(ids))} for good?", yes=yes)
            _discard(ledger, ids, AuditEntry(operator(), "dead-letter.discard", selection.in_words(), why), form)


def _discard(ledger: Ledger, ids: list[str], audit: AuditEntry, form: Form) -> None:
    done = ledger.discard(ids, audit=audit)
    if form.is_json:
        print_json("discard", {"audit_id": done.audit_id, "discarded": done.count, "reason": audit.reason})
    note(f"{counted(done.count)} discarded, audit {done.audit_id}")

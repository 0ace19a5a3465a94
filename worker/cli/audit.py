"""`revoker audit`: who changed what, and whether the record of it is still what was written."""

from typing import Final

import click

from worker.cli import params
from worker.cli.exits import Exit, finish
from worker.cli.output import Column, Document, Form, Listing, members, note, output_option, progress, show_one
from worker.cli.tree import Commands
from worker.ledger import AuditedChange, AuditFilter, Head, Verified
from worker.operations import audit as operations
from worker.operations.opening import open_ledger
from worker.operations.text import age, counted
from worker.settings import Settings

audit = Commands("audit", help="Who changed what, when and why, and is the record of it whole: list, verify.")

_LISTING: Listing[AuditedChange] = Listing(
    "audited_change",
    (
        Column("ID", lambda each: each.audit_id),
        Column("AGE", lambda each: age(each.at), right=True),
        Column("WHO", lambda each: each.actor, cut=1),
        Column("ACTION", lambda each: each.action, cut=3),
        Column("COUNT", lambda each: counted(each.count), right=True),
        Column("REASON", lambda each: each.reason, cut=2),
        Column("RESULT", lambda each: each.result, cut=2),
        Column("SCOPE", lambda each: each.scope, wide_only=True),
        Column("PLAN", lambda each: each.plan, wide_only=True),
        Column("KIND", lambda each: each.kind, wide_only=True),
        Column("NUMBER", lambda each: each.number, right=True, wide_only=True),
        Column("AT", lambda each: each.at, wide_only=True),
    ),
    lambda each: {
        **members(each, "audit_id", "at", "actor", "action", "scope", "reason", "plan", "count", "result"),
        **members(each, "kind", "number"),
    },
)


_OPTIONS: Final = (
    click.argument("ids", nargs=-1, metavar="[ID]..."),
    click.option("--actor", metavar="WHO", help="Who did it: user@host, or the user alone."),
    click.option("--action", help="What was done: whole, or its leading parts (dead-letter, provider.hold)."),
    click.option("--since", type=params.moment, help="At or after: RFC 3339, or how long ago (6h)."),
    click.option("--until", type=params.moment, help="Before: RFC 3339, or how long ago (6h)."),
    click.option(
        "--limit", type=click.IntRange(1), default=AuditFilter().limit, show_default=True, help="At most so many."
    ),
)


@audit.command("list")
@params.gathered("where", AuditFilter, _OPTIONS)
@click.option("--fail-if-empty", is_flag=True, help="Exit with 4 where nothing matches.")
@output_option
def list_(where: AuditFilter, form: Form, *, fail_if_empty: bool) -> None:
    """List changes, the newest first: who, what, how much, why, and what came of it. `verify` tells if it is true."""
    with open_ledger(Settings.load()) as ledger:
        found = operations.find(ledger, where)
    if found or form.is_json:
        _LISTING.show(form, found)
    if not found:
        note("nothing matches")
        finish(Exit.EMPTY if fail_if_empty else Exit.DONE)
        return
    note(f"changes: {counted(len(found))}{'; perhaps more with --limit' if len(found) == where.limit else ''}")


def _head(_ctx: click.Context, _param: click.Parameter, value: str | None) -> Head | None:
    try:
        return None if value is None else Head.parse(value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


@audit.command()
@click.option(
    "--kept", callback=_head, metavar="HEAD", help="The head of an earlier `verify`, kept outside of the ledger."
)
@output_option
def verify(kept: Head | None, form: Form) -> None:
    """Look at every entry of the audit: whether each is as it was written and in its place, and none is missing.

    Ends with 1 where that is not so, and with 3 where entries stand outside the chain, as release 0.1.0 writes them.
    Keep the head that it prints: only with that a ledger that was put back to an older state is found out.
    """
    with open_ledger(Settings.load()) as ledger, progress(operations.length(ledger), "verifying") as advance:
        verified = operations.verify(ledger, kept, advance)
    show_one(form, "audit_verification", _document(verified, form))
    note(*_in_words(verified, kept))
    if verified.fault_count:
        finish(Exit.FAILED)
    elif verified.outside:
        finish(Exit.PARTIAL)


def _document(verified: Verified, form: Form) -> Document:
    numbers = members(verified, "entries", "taken_over", "outside")
    head = str(verified.head) if verified.head else None
    faults = [{"fault": each.kind.name.lower(), "first": each.first, "last": each.last} for each in verified.faults]
    if not form.is_json:
        return {**numbers, "faults": verified.fault_count, "head": head}
    told = {"ok": not verified.fault_count, "fault_count": verified.fault_count, "faults": faults}
    return {**numbers, **told, "head": head}


def _in_words(verified: Verified, kept: Head | None) -> list[str]:
    """What people are told: each fault, and what it comes to."""
    lines = [f"{_place(each.first, each.last)}{each.kind.value}" for each in verified.faults]
    more = verified.fault_count - len(verified.faults)
    lines += [f"and {counted(more)} more"] if more else []
    if verified.outside:
        lines.append(f"outside the chain, where nothing proves them: {counted(verified.outside)}")
    if verified.is_kept_forgotten:
        lines.append(f"entry {kept.number if kept else ''} was forgotten by its age: its head says nothing any more")
    if not verified.fault_count:
        lines.append(f"as they were written and in their place: {counted(verified.entries)}")
    if not verified.entries:
        lines.append("an audit that was emptied as a whole looks like this, too: only --kept tells")
    return lines


def _place(first: int | None, last: int | None) -> str:
    if first is None:
        return ""
    return f"entry {first}: " if first == last else f"entries {first} to {last}: "

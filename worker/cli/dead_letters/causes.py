"""`dead-letter causes`, and `dead-letter show --cause`."""

from collections.abc import Sequence
from textwrap import wrap
from typing import Final

import click

from worker.cli.dead_letters.selection import nothing_found, selecting, states_option
from worker.cli.exits import finish
from worker.cli.output import NARROW, Column, Document, Form, Listing, members, note, output_option, show_one
from worker.ledger import DeadLetterState
from worker.operations import causes as operation
from worker.operations import holds
from worker.operations.causes import Cause, Causes
from worker.operations.dead_letters import OPEN, Selection
from worker.operations.opening import open_ledger
from worker.operations.text import age, counted, plain
from worker.settings import Settings

INDENT: Final = 8  # columns: a cause's six, and the gap behind them

check_option = click.option(
    "--check", is_flag=True, help="Also find out which are mended by now: asks the providers, revokes nothing."
)


def _now(each: Cause) -> str:
    """Whether it is mended, in a word; empty where nobody looked."""
    return "" if each.now is None else {True: "mended", False: "not yet", None: "unknown"}[each.now.holds]


def _document(each: Cause) -> Document:
    row = members(each.row, "cause", "kind", "provider", "operation", "reason", "detail", "count", "people")
    times = members(each.row, "first_at", "last_at", "example")
    remedy = {"do": each.remedy.do, "runbook": each.remedy.runbook, "replay": each.remedy.replay.name.lower()}
    now = members(each.now, "holds", "told") if each.now else None
    return {**row, "code": each.code or None, **times, "remedy": remedy, "command": each.command or None, "now": now}


_COLUMNS: Final[tuple[Column[Cause], ...]] = (
    Column("CAUSE", lambda each: each.row.cause),
    Column("COUNT", lambda each: counted(each.row.count), right=True),
    Column("PEOPLE", lambda each: counted(each.row.people), right=True),
    Column("FIRST", lambda each: age(each.row.first_at), right=True),
    Column("LAST", lambda each: age(each.row.last_at), right=True),
    Column("PROVIDER", lambda each: each.row.provider, cut=1),
    Column("REASON", lambda each: each.row.reason, cut=2),
    Column("NOW", _now),
    Column("CODE", lambda each: each.code, wide_only=True),
    Column("KIND", lambda each: each.row.kind, wide_only=True),
    Column("OPERATION", lambda each: each.row.operation, wide_only=True),
    Column("DO", lambda each: each.remedy.do, wide_only=True),
    Column("TOLD", lambda each: each.now and each.now.told, wide_only=True),
    Column("THEN", lambda each: each.command, wide_only=True),
    Column("RUNBOOK", lambda each: each.remedy.runbook, wide_only=True),
)
_LISTING: Final = Listing("cause", _COLUMNS, _document)


@click.command()
@selecting
@states_option
@check_option
@output_option
def causes(selection: Selection, states: tuple[DeadLetterState, ...], form: Form, *, check: bool) -> None:
    """List what dead letters died of, and what mends it: the 20 most frequent causes, or as many as --limit says."""
    settings = Settings.load()
    with open_ledger(settings) as ledger:
        found = operation.find(settings, ledger, selection, states or OPEN, check=check)
        held = holds.in_words(ledger, {each.row.provider for each in found.causes if each.row.provider})
    if found.causes or form.is_json:
        more = {"matching": found.summary.count, "oldest_at": found.summary.oldest_at, "causes": found.summary.causes}
        _LISTING.show(form, found.causes, **more)
    if not found.causes:
        finish(nothing_found())
        return
    if form is Form.TABLE:
        _show_remedies(found.causes)
    note(_in_words(found), *held)


def _show_remedies(found: Sequence[Cause]) -> None:
    for each in found:
        first, *others = _lines(each)
        click.echo(f"\n{each.row.cause:<{INDENT}}{first}")
        for line in others:
            click.echo(f"{'':{INDENT}}{line}")


def _lines(each: Cause) -> list[str]:
    """What mends it, whether it is mended, the command, and where it is told at length."""
    code = [f"code: {each.code}"] if each.code else []
    now = [f"now: {_now(each)}; {each.now.told}"] if each.now else []
    said = [each.remedy.do, *code, *now]
    lines = [line for text in said for line in wrap(plain(text), NARROW - INDENT, break_on_hyphens=False)]
    return [*lines, *filter(None, [each.command]), each.remedy.runbook]


def _in_words(found: Causes) -> str:
    summary, shown = found.summary, len(found.causes)
    of, more = (f"{counted(shown)} of ", "; more with --limit") if shown < summary.causes else ("", "")
    many = f"{counted(summary.causes)} cause{'s' * (summary.causes != 1)}"
    return f"{of}{many}, {counted(summary.count)} dead letter{'s' * (summary.count != 1)}{more}"


def show_cause(cause: str, form: Form, *, check: bool) -> None:
    """Show one cause. Raises RefusedRequest where nothing is open that died of it."""
    settings = Settings.load()
    with open_ledger(settings) as ledger:
        found = operation.one(settings, ledger, cause, check=check)
    show_one(form, "cause", _document(found))

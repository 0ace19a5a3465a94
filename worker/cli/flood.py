"""`revoker flood`: the floods that the blast-radius guard holds back, and what becomes of them."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from itertools import chain, islice

import click

from tasks.outcome import Reason
from worker.broker.provenance import ProvenanceMac
from worker.cli.consent import dry_run_option, operator, require_consent, yes_option
from worker.cli.dead_letters.replay import Order, carry_out, note_altered, rate_option
from worker.cli.dead_letters.selection import why_option
from worker.cli.exits import CommandError, Exit, finish
from worker.cli.output import Column, Form, Listing, note, output_option, print_json
from worker.cli.tree import Commands
from worker.intake.flood.store import HELD_BACK, FloodRow
from worker.intake.flood.window import flood_id
from worker.ledger import AuditEntry, DeadLetterFilter, DeadLetterState, Ledger
from worker.ledger.paging import Letter, in_pages
from worker.operations import floods as floods_of
from worker.operations.opening import open_ledger
from worker.operations.replay import Pace
from worker.operations.replay_plan import PAGE, figures
from worker.operations.replay_rules import ReplayPlan
from worker.operations.text import counted, short_duration
from worker.operations.vouching import only_vouched
from worker.settings import Settings

flood = Commands("flood", help="Floods of events that wait for you: list, release, discard.")


def _id(flood: FloodRow) -> str:
    return flood_id((flood.source, flood.event_type))


def _ago(at: datetime | None) -> str:
    return short_duration(datetime.now(UTC) - at) if at else ""


FLOODS: Listing[FloodRow] = Listing(
    "flood",
    (
        Column("ID", _id),
        Column("EVENT", lambda flood: flood.event_type),
        Column("SOURCE", lambda flood: flood.source or "(all sources)", cut=1),
        Column("HELD", lambda flood: counted(flood.held), right=True),
        Column("OLDEST", lambda flood: _ago(flood.oldest_at), right=True),
        Column("OPEN FOR", lambda flood: _ago(flood.opened_at), right=True),
    ),
    lambda flood: {
        "id": _id(flood),
        "event_type": flood.event_type,
        "source": flood.source or None,
        "held": flood.held,
        "oldest_at": flood.oldest_at,
        "opened_at": flood.opened_at,
    },
)


@flood.command("list")
@output_option
def list_(form: Form) -> None:
    """List what is held back, by source and type. OPEN: what else this source tells of that type waits as well."""
    with open_ledger(Settings.load()) as ledger:
        floods = floods_of.standing(ledger)
    if floods or form.is_json:
        FLOODS.show(form, floods)
    note(f"{counted(sum(flood.held for flood in floods))} held back")


def _changing(command: Callable[..., None]) -> Callable[..., None]:
    options = (
        click.argument("ids", nargs=-1, metavar="[ID]..."),
        click.option("--all", "everything", is_flag=True, help="Every flood; else give ids, as `list` shows them."),
        why_option(required=True),
        dry_run_option,
        yes_option,
        output_option,
    )
    for option in reversed(options):
        command = option(command)
    return command


@flood.command()
@_changing
@rate_option
@click.option("--limit", type=click.IntRange(1), metavar="N", help="The first N only; the flood stays open.")
def release(  # noqa: PLR0913 - one for each option
    *,
    ids: tuple[str, ...],
    why: str,
    rate: float,
    limit: int | None,
    form: Form,
    everything: bool,
    dry_run: bool,
    yes: bool,
) -> None:
    """Have what is held back take effect, in the order it came, and end the flood."""
    settings = Settings.load()
    with open_ledger(settings) as ledger:
        floods = _chosen(ledger, ids, everything=everything)
        letters = ProvenanceMac.of(settings).letters

        def pages() -> Iterator[ReplayPlan]:
            held = islice(_held(floods, ledger.dead_letters), limit)
            while rows := tuple(islice(held, PAGE)):
                yield only_vouched(ReplayPlan(rows, ()), letters)

        plan = figures(pages())
        if not _agreed(f"Release {counted(plan.ready)}?", floods, form, dry_run=dry_run, yes=yes):
            return
        if limit is None:
            floods_of.end(ledger, _keys(floods))
        audit = AuditEntry(operator(), "guard.release", _scope(floods), why)
        note_altered(ledger, plan, audit)
        finish(carry_out(settings, ledger, Order(plan, pages, Pace(rate), audit, form, "flood_release")))


@flood.command()
@_changing
def discard(*, ids: tuple[str, ...], why: str, form: Form, everything: bool, dry_run: bool, yes: bool) -> None:  # noqa: PLR0913 - one for each option
    """Give what is held back up for good, and end the flood. A tombstone of each stays."""
    with open_ledger(Settings.load()) as ledger:
        floods = _chosen(ledger, ids, everything=everything)
        held = [head.dead_letter_id for head in _held(floods, ledger.dead_letter_heads)]
        if not _agreed(f"Discard {counted(len(held))} for good?", floods, form, dry_run=dry_run, yes=yes):
            return
        floods_of.end(ledger, _keys(floods))
        audit = AuditEntry(operator(), "guard.discard", _scope(floods), why)
        done = ledger.discard(held, audit=audit, also=[DeadLetterState.WITHHELD])
    if form.is_json:
        print_json("flood_discard", {"audit_id": done.audit_id, "discarded": done.count, "reason": why})
    note(f"{counted(done.count)} discarded, audit {done.audit_id}")


def _chosen(ledger: Ledger, ids: tuple[str, ...], *, everything: bool) -> list[FloodRow]:
    """The floods that *ids* name, each by the beginning of its id. Raises CommandError where one names none."""
    floods = floods_of.standing(ledger)
    if everything:
        return floods
    if not ids:
        raise CommandError("nothing was changed: give ids, or --all for every flood", Exit.REFUSED)
    chosen = [flood for flood in floods if _id(flood).startswith(ids)]
    for prefix in ids:
        if sum(_id(flood).startswith(prefix) for flood in floods) != 1:
            raise CommandError(f"{prefix}: not the beginning of one flood's id", Exit.REFUSED)
    return chosen


def _held(floods: Sequence[FloodRow], look: Callable[[DeadLetterFilter], list[Letter]]) -> Iterator[Letter]:
    """What is held back of *floods*, in the order it came, page by page."""
    waiting = (chain.from_iterable(in_pages(look, _filter(*key), PAGE)) for key in _keys(floods))
    return heapq.merge(*waiting, key=lambda row: (row.at, row.dead_letter_id))


def _filter(source: str, event_type: str) -> DeadLetterFilter:
    return DeadLetterFilter(
        source=source, event_type=event_type, reason=Reason.GUARD_FLOOD, states=HELD_BACK, newest_first=False
    )


def _agreed(question: str, floods: Sequence[FloodRow], form: Form, *, dry_run: bool, yes: bool) -> bool:
    """Whether to go on: what is to be changed was shown, and the operator consents."""
    if not form.is_json or dry_run:
        FLOODS.show(form, floods, dry_run=dry_run)
    if not dry_run:
        require_consent(question, yes=yes)
    return not dry_run


def _keys(floods: Sequence[FloodRow]) -> list[tuple[str, str]]:
    return [(flood.source, flood.event_type) for flood in floods]


def _scope(floods: Sequence[FloodRow]) -> str:
    return ", ".join(f"{source or '(all sources)'} {event_type}" for source, event_type in _keys(floods))

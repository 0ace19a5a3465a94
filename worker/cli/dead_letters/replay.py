"""`dead-letter replay`."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Final

import click

from worker import process
from worker.broker.provenance import ProvenanceMac
from worker.cli.consent import dry_run_option, operator, require_consent, yes_option
from worker.cli.dead_letters.selection import (
    OPEN,
    Selection,
    nothing_found,
    require_narrowing,
    selecting_for_change,
    why_option,
)
from worker.cli.dead_letters.views import GROUPS, RESULT, groups, replay_document, replay_in_words, result_rows
from worker.cli.exits import Exit, finish
from worker.cli.holds import note_held
from worker.cli.output import Form, note, output_option, print_json, progress
from worker.cli.params import Rate
from worker.ledger import AuditEntry, DeadLetterState, Ledger
from worker.ledger.paging import in_pages
from worker.operations.opening import open_ledger, open_publisher
from worker.operations.replay import INTERRUPTED, Pace, Replayer, ReplayResult
from worker.operations.replay_plan import PAGE, Pages, PlanFigures, figures
from worker.operations.replay_rules import Refusal, ReplayPlan, plan_replay
from worker.operations.text import counted
from worker.operations.vouching import only_vouched
from worker.settings import Settings

PATIENCE: Final = 30.0  # seconds a canary is waited for, where --wait says nothing else


@dataclass(frozen=True, slots=True)
class Order:
    """A replay as it was asked for; *name* is that of its result's JSON schema."""

    plan: PlanFigures
    pages: Pages
    pace: Pace
    audit: AuditEntry
    form: Form
    name: str = "replay"
    claims: bool = False  # what nobody vouches for goes as a claim

    @property
    def is_json(self) -> bool:
        """Whether the result is for a program."""
        return self.form.is_json


rate_option = click.option("--rate", type=Rate(), default="50/s", show_default=True, help="How fast: 5/s, 30/m, 100/h.")
_PACE = (
    rate_option,
    click.option("--canary", type=click.IntRange(1), metavar="N", help="Replay N first; go on when all have settled."),
    click.option("--stop-after-failures", type=click.IntRange(1), metavar="N", help="Stop when N have died again."),
    click.option(
        "--wait",
        type=click.FloatRange(0),
        metavar="SECONDS",
        help="Wait so long for what becomes of them. Default: 30 with --canary or --stop-after-failures, else 0.",
    ),
)


def _paced(command: Callable[..., None]) -> Callable[..., None]:
    """Give *command* the options of a pace, which it gets as one `pace`."""

    @functools.wraps(command)
    def with_pace(
        *, rate: float, canary: int | None, stop_after_failures: int | None, wait: float | None, **given: object
    ) -> None:
        patience = PATIENCE if canary or stop_after_failures else 0.0
        pace = Pace(rate, canary or 0, stop_after_failures, patience if wait is None else wait)
        command(pace=pace, **given)

    decorated: Callable[..., None] = with_pace
    for option in reversed(_PACE):
        decorated = option(decorated)
    return decorated


@click.command()
@selecting_for_change
@why_option(required=False)
@_paced
@click.option(
    "--unvouched", is_flag=True, help="Also refused events kept by an older version: as claims, to be proved anew."
)
@click.option(
    "--force", is_flag=True, help="Also what is settled, superseded, too old, a conflict, discarded or replayed."
)
@dry_run_option
@yes_option
@output_option
def replay(  # noqa: PLR0913 - one for each option
    *,
    selection: Selection,
    why: str,
    pace: Pace,
    form: Form,
    everything: bool,
    unvouched: bool,
    force: bool,
    dry_run: bool,
    yes: bool,
) -> None:
    """Give dead letters another try, oldest first, each with a fresh time budget. Shows the plan and asks first."""
    require_narrowing(selection, everything=everything)
    settings = Settings.load()
    with open_ledger(settings) as ledger:
        pages = _pages(settings, ledger, selection, force=force, claims=unvouched)
        plan = figures(pages())
        if not plan.ready and not plan.refused:
            finish(nothing_found(selection))
            return
        audit = AuditEntry(operator(), "dead-letter.replay", selection.in_words(), why)
        order = Order(plan, pages, pace, audit, form, claims=unvouched)
        _show_plan(order, dry_run=dry_run)
        if not dry_run:
            note_altered(ledger, plan, audit)
        note_held(ledger, {provider for provider, _ in plan.groups if provider})
        if dry_run or not plan.ready:
            finish(_nothing_to_do(plan))
            return
        require_consent(f"Replay {counted(plan.ready)}?", yes=yes)
        finish(carry_out(settings, ledger, order))


def _pages(settings: Settings, ledger: Ledger, selection: Selection, *, force: bool, claims: bool) -> Pages:
    """What an id names is looked at in any state, to be told why it is refused; filters find what is open."""
    states = tuple(DeadLetterState) if selection.ids else OPEN
    where = selection.where(settings, ledger, states, newest_first=False)
    now, letters = datetime.now(UTC), ProvenanceMac.of(settings).letters

    def pages() -> Iterator[ReplayPlan]:
        for rows in in_pages(ledger.dead_letters, where, PAGE):
            plan = plan_replay(rows, ledger, now, settings.max_ages(), force=force)
            yield only_vouched(plan, letters, claims=claims)

    return pages


def _show_plan(order: Order, *, dry_run: bool) -> None:
    if not order.is_json and order.plan.ready:
        GROUPS.show(order.form, groups(order.plan.groups))
    elif order.is_json and (dry_run or not order.plan.ready):
        print_json("replay_plan", replay_document(order.plan, order.pace.rate), indent=None)
    note(replay_in_words(order.plan, order.pace.rate))


def _nothing_to_do(plan: PlanFigures) -> Exit:
    return Exit.DONE if plan.ready else Exit.REFUSED


def note_altered(ledger: Ledger, plan: PlanFigures, audit: AuditEntry) -> None:
    """Put on record what somebody wrote into the ledger, as *audit*'s operator came upon it."""
    if count := plan.refused[Refusal.ALTERED.value]:
        told = ", ".join(plan.altered)
        ledger.audit(AuditEntry(audit.actor, "dead-letter.altered", audit.scope, audit.reason, count, told))


def carry_out(settings: Settings, ledger: Ledger, order: Order) -> Exit:
    """Replay what *order* says and tell what it came to. Ctrl-C ends it after the step it is in."""
    with (
        open_publisher(settings) as publisher,
        progress(order.plan.ready, "replaying") as advance,
        process.stop_event() as stop,
    ):
        voucher = ProvenanceMac.of(settings)
        told = (advance, stop.is_set, stop.wait)
        replayer = Replayer(ledger, publisher, settings.budgets(), voucher, *told, claims=order.claims)
        result = replayer.run(order.plan.rows(order.pages), order.pace, order.audit)
    _show_result(order, result)
    return _exit_code(order.plan, result)


def _show_result(order: Order, result: ReplayResult) -> None:
    if order.is_json:
        told = asdict(result) | {"pending": result.pending, "refused": dict(order.plan.refusals)}
        print_json(order.name, {"audit_id": order.audit.audit_id, **told}, indent=None)
    else:
        RESULT.show(order.form, result_rows(order.plan, result))
    if result.stopped:
        note(f"stopped: {result.stopped}")
    note(f"audit {order.audit.audit_id}")


def _exit_code(plan: PlanFigures, result: ReplayResult) -> Exit:
    if result.stopped == INTERRUPTED:
        return Exit.INTERRUPTED
    if result.not_published and not result.replayed:
        return Exit.UNAVAILABLE
    incomplete = result.stopped or result.not_published or result.died or plan.refused
    return Exit.PARTIAL if incomplete else Exit.DONE

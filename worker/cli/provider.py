"""`revoker provider list|check`; `hold` and `release` are at home in `holds`."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import click

from worker.calls.holds.hold import Hold
from worker.cli.exits import Exit, finish
from worker.cli.holds import document, hold, release
from worker.cli.output import Column, Form, Listing, note, output_option
from worker.cli.tree import Commands
from worker.ledger import LedgerUnavailable
from worker.operations import holds, providers
from worker.operations.opening import open_ledger
from worker.operations.providers import Checked, Configured, outcome_in_words
from worker.operations.text import age
from worker.settings import Settings

provider = Commands("provider", help="The configured providers: list, check, hold, release.")
provider.add_command(hold)
provider.add_command(release)


def _of_holds(line: Callable[[Hold], str]) -> Callable[[Configured], list[str]]:
    """A cell with a line about each hold."""
    return lambda each: [line(hold) for hold in each.holds or ()]


_LISTING: Listing[Configured] = Listing(
    "provider",
    (
        Column("NAME", lambda each: each.name),
        Column("KIND", lambda each: each.settings.kind),
        Column("CREDENTIAL", lambda each: each.credential),
        Column("STATE", lambda each: each.state),
        Column("BY", _of_holds(holds.opened_by), cut=1),
        Column("SINCE", _of_holds(lambda hold: age(hold.since))),
        Column("NEXT", _of_holds(holds.until)),
        Column("WHY", _of_holds(lambda hold: hold.reason), cut=1),
        Column("A MINUTE", lambda each: each.per_minute, wide_only=True),
        Column("HOST", lambda each: each.host, wide_only=True),
        Column("OPERATIONS", lambda each: each.operations, wide_only=True),
    ),
    lambda each: {
        "name": each.name,
        "kind": each.settings.kind,
        "host": each.host,
        "operations": each.operations,
        "credential": each.credential,
        "calls_per_minute": each.per_minute,
        "state": each.state,
        "holds": [document(hold) for hold in each.holds or ()],
    },
)

_CHECKS: Listing[Checked] = Listing(
    "provider_check",
    (
        Column("NAME", lambda each: each.name),
        Column("OK", lambda each: each.is_ok),
        Column("TOLD", lambda each: outcome_in_words(each.outcome), cut=1),
    ),
    lambda each: {"name": each.name, "ok": each.is_ok, "told": outcome_in_words(each.outcome)},
)


@provider.command("list")
@output_option
def list_(form: Form) -> None:
    """List the configured provider instances: are they called, and if not, why, and how long."""
    settings = Settings.load()
    found = providers.configured(settings, _holds(settings))
    _LISTING.show(form, found)
    note(f"{len(found)} configured, {sum(bool(each.holds) for each in found)} held")


def _holds(settings: Settings) -> list[Hold] | None:
    try:
        with open_ledger(settings) as ledger:
            return holds.in_force(ledger)
    except LedgerUnavailable as error:
        note(f"what is held is not known: {error}")
        return None


@provider.command()
@click.argument("names", nargs=-1, metavar="[NAME]...")
@output_option
def check(names: Sequence[str], form: Form) -> None:
    """Find out whether calls could succeed now, revoking nothing. Ends with 1 where one fails."""
    checked = providers.check(Settings.load(), names)
    _CHECKS.show(form, checked)
    failed = [each for each in checked if not each.is_ok]
    note(f"{len(checked) - len(failed)} of {len(checked)} can be called")
    finish(Exit.FAILED if failed else Exit.DONE)

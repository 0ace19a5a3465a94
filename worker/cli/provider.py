"""`revoker provider list|check`; `hold` and `release` are at home in `holding`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import click
from pydantic import SecretStr

from tasks.outcome import Outcome, Settled
from tasks.providers import KINDS, ProviderSettings
from worker.calls.holds.hold import Hold, Opener, Scope
from worker.calls.rate_limits import per_minute
from worker.cli.exits import CommandError, Exit, finish
from worker.cli.holds import document, hold, release, until
from worker.cli.output import Column, Form, Listing, note, output_option
from worker.cli.reaching import opened_providers, outcome_in_words
from worker.cli.tree import Commands
from worker.ledger import LedgerUnavailable
from worker.operations import holds
from worker.operations.opening import open_ledger
from worker.operations.text import short_duration
from worker.settings import Settings

provider = Commands("provider", help="The configured providers: list, check, hold, release.")
provider.add_command(hold)
provider.add_command(release)


@dataclass(frozen=True, slots=True)
class Configured:
    """A provider instance, and what holds it; None: nobody knows, the ledger is away."""

    name: str
    settings: ProviderSettings
    holds: Sequence[Hold] | None

    @property
    def state(self) -> str:
        """Whether its calls are made."""
        if self.holds is None:
            return "unknown"
        if not self.holds:
            return "serving"
        return "held" if any(each.scope is Scope.ALL and not each.source for each in self.holds) else "partly held"

    def of_holds(self, told: Callable[[Hold], str]) -> list[str]:
        """A line about each hold."""
        return [told(each) for each in self.holds or ()]


Checked = tuple[str, Outcome]


def _host(settings: ProviderSettings) -> str:
    """Where its API is, without scheme and path."""
    return settings.api.partition("://")[2].partition("/")[0]


def _operations(settings: ProviderSettings) -> list[str]:
    return [plan.operation for plan in KINDS[settings.kind].plans]


def _credential(settings: ProviderSettings) -> str:
    """Whether the worker's own credential is there; `not needed` where calls carry the user's token alone."""
    secrets = [value for value in dict[str, Any](settings).values() if isinstance(value, SecretStr)]
    if not secrets:
        return "not needed"
    return "present" if all(secret.get_secret_value() for secret in secrets) else "missing"


_LISTING: Listing[Configured] = Listing(
    "provider",
    (
        Column("NAME", lambda each: each.name),
        Column("KIND", lambda each: each.settings.kind),
        Column("CREDENTIAL", lambda each: _credential(each.settings)),
        Column("STATE", lambda each: each.state),
        Column("BY", lambda each: each.of_holds(_by), cut=1),
        Column("SINCE", lambda each: each.of_holds(_age)),
        Column("NEXT", lambda each: each.of_holds(until)),
        Column("WHY", lambda each: each.of_holds(lambda hold: hold.reason), cut=1),
        Column("A MINUTE", lambda each: per_minute(each.settings), wide_only=True),
        Column("HOST", lambda each: _host(each.settings), wide_only=True),
        Column("OPERATIONS", lambda each: _operations(each.settings), wide_only=True),
    ),
    lambda each: {
        "name": each.name,
        "kind": each.settings.kind,
        "host": _host(each.settings),
        "operations": _operations(each.settings),
        "credential": _credential(each.settings),
        "calls_per_minute": per_minute(each.settings),
        "state": each.state,
        "holds": [document(hold) for hold in each.holds or ()],
    },
)

_CHECKS: Listing[Checked] = Listing(
    "provider_check",
    (
        Column("NAME", lambda each: each[0]),
        Column("OK", lambda each: isinstance(each[1], Settled)),
        Column("TOLD", lambda each: outcome_in_words(each[1]), cut=1),
    ),
    lambda each: {"name": each[0], "ok": isinstance(each[1], Settled), "told": outcome_in_words(each[1])},
)


@provider.command("list")
@output_option
def list_(form: Form) -> None:
    """List the configured provider instances: are they called, and if not, why, and how long."""
    settings = Settings.load()
    holds = _holds(settings)
    configured = [
        Configured(name, each, None if holds is None else [hold for hold in holds if hold.provider == name])
        for name, each in sorted(settings.providers.items())
    ]
    _LISTING.show(form, configured)
    note(f"{len(configured)} configured, {sum(bool(each.holds) for each in configured)} held")


def _holds(settings: Settings) -> list[Hold] | None:
    try:
        with open_ledger(settings) as ledger:
            return holds.in_force(ledger)
    except LedgerUnavailable as error:
        note(f"what is held is not known: {error}")
        return None


def _by(hold: Hold) -> str:
    return hold.owner if hold.opened_by is Opener.OPERATOR else hold.opened_by.value


def _age(hold: Hold) -> str:
    return short_duration(datetime.now(UTC) - hold.since)


@provider.command()
@click.argument("names", nargs=-1, metavar="[NAME]...")
@output_option
def check(names: Sequence[str], form: Form) -> None:
    """Find out whether calls could succeed now, revoking nothing. Ends with 1 where one fails."""
    settings = Settings.load()
    unknown = [name for name in names if name not in settings.providers]
    if unknown:
        raise CommandError(f"no provider named {unknown[0]} is configured", Exit.REFUSED)
    checked = asyncio.run(_checked(settings, names))
    _CHECKS.show(form, checked)
    failed = [name for name, outcome in checked if not isinstance(outcome, Settled)]
    note(f"{len(checked) - len(failed)} of {len(checked)} can be called")
    finish(Exit.FAILED if failed else Exit.DONE)


async def _checked(settings: Settings, names: Sequence[str]) -> list[Checked]:
    async with opened_providers(settings, *names) as providers:
        outcomes = await asyncio.gather(*(each.check() for each in providers.values()))
    return list(zip(providers, outcomes, strict=True))

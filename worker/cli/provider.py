"""`revoker provider list|check`."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import click
from pydantic import SecretStr

from tasks.outcome import Outcome, Settled
from tasks.providers import KINDS, ProviderSettings
from worker.cli.exits import CommandError, Exit, finish
from worker.cli.output import Column, Form, Listing, output_option, say
from worker.cli.reaching import opened_providers, outcome_in_words
from worker.cli.tree import Commands
from worker.limits import per_minute
from worker.settings import Settings

provider = Commands("provider", help="The configured providers: list, check.")

Configured = tuple[str, ProviderSettings]
Checked = tuple[str, Outcome]


def _host(settings: ProviderSettings) -> str:
    """Where its API is: the first of its URLs, without the scheme."""
    names = ("api", "identity", "base_url")
    url = next(getattr(settings, name) for name in names if getattr(settings, name, None))
    return str(url).partition("://")[2].partition("/")[0]


def _operations(settings: ProviderSettings) -> list[str]:
    kind = KINDS[settings.kind]
    return [each.value for each in (kind.session_operation, kind.user_operation) if each]


def _credential(settings: ProviderSettings) -> str:
    """Whether the worker's own credential is there; `not needed` where calls carry the user's token alone."""
    secrets = [value for value in dict[str, Any](settings).values() if isinstance(value, SecretStr)]
    if not secrets:
        return "not needed"
    return "present" if all(secret.get_secret_value() for secret in secrets) else "missing"


_LISTING: Listing[Configured] = Listing(
    "provider",
    (
        Column("NAME", lambda each: each[0]),
        Column("KIND", lambda each: each[1].kind),
        Column("HOST", lambda each: _host(each[1]), cut=1),
        Column("OPERATIONS", lambda each: _operations(each[1]), cut=1),
        Column("CREDENTIAL", lambda each: _credential(each[1])),
        Column("A MINUTE", lambda each: per_minute(each[1])),
    ),
    lambda each: {
        "name": each[0],
        "kind": each[1].kind,
        "host": _host(each[1]),
        "operations": _operations(each[1]),
        "credential": _credential(each[1]),
        "calls_per_minute": per_minute(each[1]),
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
    """List the configured provider instances."""
    configured = sorted(Settings.load().providers.items())
    _LISTING.show(form, configured)
    say(f"{len(configured)} configured")


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
    say(f"{len(checked) - len(failed)} of {len(checked)} can be called")
    finish(Exit.FAILED if failed else Exit.DONE)


async def _checked(settings: Settings, names: Sequence[str]) -> list[Checked]:
    async with opened_providers(settings, *names) as providers:
        outcomes = await asyncio.gather(*(each.check() for each in providers.values()))
    return list(zip(providers, outcomes, strict=True))

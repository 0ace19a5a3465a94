"""`revoker genesys`: ask Genesys Cloud about a token, or about the idle timeout of an organization's tokens."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import IO, Any, TypeVar, cast

import click
from pydantic import BaseModel, SecretStr

from tasks.outcome import CredentialFault, Outcome, Permanent, Settled, Transient
from tasks.providers.genesys import Genesys, GenesysSettings, IdleTimeout
from worker.cli.consent import dry_run_option, operator, require_consent, yes_option
from worker.cli.event_options import secret_of
from worker.cli.exits import CommandError, Exit, finish
from worker.cli.output import Form, note, output_option, show_one
from worker.cli.reaching import opened_providers, outcome_exit, outcome_in_words
from worker.cli.tree import Commands
from worker.ledger import AuditEntry
from worker.operations.opening import open_ledger
from worker.settings import Settings

T = TypeVar("T")

genesys = Commands("genesys", help="Ask Genesys Cloud about a token, or about its idle timeout.")
idle_timeout = Commands("idle-timeout", help="After how long without use tokens die, if they do.")
genesys.add_command(idle_timeout)

_instance = click.option("--instance", metavar="NAME", help="The provider instance; needed where there are several.")
_token_file = click.option("--token-file", type=click.File(), default="-", help="The token; default: stdin.")


@genesys.command("token-info")
@_instance
@_token_file
@output_option
def token_info(instance: str | None, token_file: IO[str], form: Form) -> None:
    """What Genesys Cloud says of a token (GetTokensMe). The session's idle timer is left alone."""
    token = SecretStr(secret_of(token_file, "Token"))
    info = _ask(instance, lambda provider: provider.token_info(token))
    show_one(form, "genesys_token", _members(info))


@genesys.command()
@_instance
@_token_file
@output_option
def verify(instance: str | None, token_file: IO[str], form: Form) -> None:
    """Whether Genesys Cloud accepts a token (HeadTokensMe). Ends with 0 where it does, with 1 where it says 401."""
    token = SecretStr(secret_of(token_file, "Token"))
    accepted = _ask(instance, lambda provider: provider.verify(token))
    show_one(form, "genesys_verification", {"accepted": accepted})
    finish(Exit.DONE if accepted else Exit.FAILED)


@idle_timeout.command("get")
@_instance
@output_option
def get(instance: str | None, form: Form) -> None:
    """The idle timeout in force (GetTokensTimeout)."""
    show_one(form, "genesys_idle_timeout", _members(_ask(instance, lambda provider: provider.idle_timeout())))


def _changing(command: Callable[..., None]) -> Callable[..., None]:
    """The options of whatever changes the idle timeout."""
    why = click.option("--reason", "why", default="", metavar="TEXT", help="Why you do it; kept in the audit.")
    for option in (output_option, yes_option, dry_run_option, why, _instance):
        command = option(command)
    return command


@idle_timeout.command("set")
@click.argument("seconds", type=click.IntRange(300, 28_800))
@_changing
def set_(seconds: int, **asked: Any) -> None:  # noqa: ANN401 - as _Change names them
    """Have tokens die after SECONDS without use (PutTokensTimeout). It concerns every user of the organization."""
    _Change("set", enabled=True, seconds=seconds, **asked).make()


@idle_timeout.command()
@_changing
def enable(**asked: Any) -> None:  # noqa: ANN401 - as _Change names them
    """Have tokens die without use, after the time that is set. It concerns every user of the organization."""
    _Change("enable", enabled=True, **asked).make()


@idle_timeout.command()
@_changing
def disable(**asked: Any) -> None:  # noqa: ANN401 - as _Change names them
    """Have no token die for not being used; the time that is set stays. It concerns every user of the organization."""
    _Change("disable", enabled=False, **asked).make()


@dataclass(frozen=True, slots=True)
class _Change:
    """A change of the idle timeout, as an operator asks for it."""

    verb: str
    enabled: bool
    instance: str | None
    why: str
    form: Form
    dry_run: bool
    yes: bool
    seconds: int | None = None

    def make(self) -> None:
        """Tell what would be, ask, and do it, with a line in the audit before and after."""
        settings = Settings.load()
        name = _name(settings, self.instance)
        now = _ask(name, lambda provider: provider.idle_timeout())
        wanted = _in_words(IdleTimeout.model_validate(now.changed(enabled=self.enabled, seconds=self.seconds)))
        note(f"{name}: the idle timeout is {_in_words(now)}; it would be {wanted}")
        if self.dry_run:
            return
        require_consent(f"Change it to {wanted}?", yes=self.yes)
        scope = f"{name} {self.seconds}" if self.seconds else name
        audit = AuditEntry(operator(), f"genesys.idle-timeout.{self.verb}", scope, self.why, count=1)
        with open_ledger(settings) as ledger:
            ledger.audit(audit)  # first: what cannot be accounted for is not done
            try:
                changed = _ask(name, self._ask_for)
            except CommandError as failure:
                ledger.audit(replace(audit, count=0, result=failure.message))
                raise
            ledger.audit(replace(audit, count=0, result=f"was {_in_words(now)}"))
        show_one(self.form, "genesys_idle_timeout", _members(changed))
        note(f"audit {audit.audit_id}")

    async def _ask_for(self, provider: Genesys) -> IdleTimeout | Outcome:
        return await provider.set_idle_timeout(self.seconds, enabled=self.enabled)


def _in_words(timeout: IdleTimeout) -> str:
    time = "a time that is not told" if timeout.seconds is None else f"{timeout.seconds} s"
    match timeout.enabled:
        case True:
            return f"on, after {time}"
        case False:
            return f"off, {time} if it were on"
        case _:
            return f"{time}, on or off is not told"


def _name(settings: Settings, instance: str | None) -> str:
    """The instance meant. Raises click.UsageError where that is nobody, or not clear."""
    names = sorted(name for name, each in settings.providers.items() if isinstance(each, GenesysSettings))
    if instance is None and len(names) == 1:
        return names[0]
    if instance not in names:
        raise click.UsageError(f"--instance must be one of: {', '.join(names) or '(none is configured)'}")
    return instance


def _ask(instance: str | None, question: Callable[[Genesys], Awaitable[T | Outcome]]) -> T:
    """The answer to *question*. Where there is none, ends the command with what came instead."""
    settings = Settings.load()
    answer = asyncio.run(_asked(settings, _name(settings, instance), question))
    if isinstance(answer, Settled | Transient | Permanent | CredentialFault):
        raise CommandError(outcome_in_words(answer), outcome_exit(answer) or Exit.FAILED)
    return answer


async def _asked(settings: Settings, name: str, question: Callable[[Genesys], Awaitable[T]]) -> T:
    async with opened_providers(settings, name) as providers:
        return await question(cast("Genesys", providers[name]))


def _members(document: BaseModel) -> dict[str, object]:
    return document.model_dump(mode="json")

"""`revoker genesys`: ask Genesys Cloud about a token, or about the idle timeout of an organization's tokens."""

from typing import IO

import click
from pydantic import SecretStr

from worker.cli.consent import Change, changes
from worker.cli.event_options import secret_of
from worker.cli.exits import Exit, finish
from worker.cli.output import Form, note, output_option, show_one
from worker.cli.tree import Commands
from worker.operations import genesys as operations
from worker.operations.opening import open_ledger
from worker.settings import Settings

genesys = Commands("genesys", help="Ask Genesys Cloud about a token, or about its idle timeout.")
idle_timeout = Commands("idle-timeout", help="After how long without use tokens die, if they do.")
genesys.add_command(idle_timeout)

_instance = click.option("--instance", metavar="NAME", help="The provider instance; needed where there are several.")
_token_file = click.option("--token-file", type=click.File(), default="-", help="The token; default: stdin.")
_changing = changes(operations.change_idle_timeout, reason_required=False)


@genesys.command("token-info")
@_instance
@_token_file
@output_option
def token_info(instance: str | None, token_file: IO[str], form: Form) -> None:
    """What Genesys Cloud says of a token (GetTokensMe). The session's idle timer is left alone."""
    token = SecretStr(secret_of(token_file, "Token"))
    info = operations.ask(Settings.load(), instance, lambda provider: provider.token_info(token))
    show_one(form, "genesys_token", info.model_dump(mode="json"))


@genesys.command()
@_instance
@_token_file
@output_option
def verify(instance: str | None, token_file: IO[str], form: Form) -> None:
    """Whether Genesys Cloud accepts a token (HeadTokensMe). Ends with 0 where it does, with 1 where it says 401."""
    token = SecretStr(secret_of(token_file, "Token"))
    accepted = operations.ask(Settings.load(), instance, lambda provider: provider.verify(token))
    show_one(form, "genesys_verification", {"accepted": accepted})
    finish(Exit.DONE if accepted else Exit.FAILED)


@idle_timeout.command("get")
@_instance
@output_option
def get(instance: str | None, form: Form) -> None:
    """The idle timeout in force (GetTokensTimeout)."""
    timeout = operations.ask(Settings.load(), instance, lambda provider: provider.idle_timeout())
    show_one(form, "genesys_idle_timeout", timeout.model_dump(mode="json"))


@idle_timeout.command("set")
@click.argument("seconds", type=click.IntRange(300, 28_800))
@_instance
@_changing
def set_(seconds: int, instance: str | None, change: Change) -> None:
    """Have tokens die after SECONDS without use (PutTokensTimeout). It concerns every user of the organization."""
    _change(instance, "set", change, enabled=True, seconds=seconds)


@idle_timeout.command()
@_instance
@_changing
def enable(instance: str | None, change: Change) -> None:
    """Have tokens die without use, after the time that is set. It concerns every user of the organization."""
    _change(instance, "enable", change, enabled=True)


@idle_timeout.command()
@_instance
@_changing
def disable(instance: str | None, change: Change) -> None:
    """Have no token die for not being used; the time that is set stays. It concerns every user of the organization."""
    _change(instance, "disable", change, enabled=False)


def _change(instance: str | None, verb: str, change: Change, *, enabled: bool, seconds: int | None = None) -> None:
    """Tell what would be, ask, and do it."""
    settings = Settings.load()
    planned = operations.plan_idle_timeout(settings, instance, verb, enabled=enabled, seconds=seconds)
    now = operations.in_words(planned.was)
    note(f"{planned.instance}: the idle timeout is {now}; it would be {planned.wanted}")
    if change.is_agreed(f"Change it to {planned.wanted}?"):
        with open_ledger(settings) as ledger:
            audit, changed = operations.change_idle_timeout(settings, ledger, planned, change.operator)
        show_one(change.form, "genesys_idle_timeout", changed.model_dump(mode="json"))
        note(f"audit {audit.audit_id}")

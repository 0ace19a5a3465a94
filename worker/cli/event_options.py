"""One event from options: what the operator wants said, and the draft that says it."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import IO, TYPE_CHECKING, Any, Final

import click

from tasks.events import EVENT_TYPES
from tasks.providers import KINDS

if TYPE_CHECKING:
    from tasks.providers.provider import SessionPlan
    from worker.settings import Settings

LONGEST: Final = 64 * 1024  # characters read of a file that holds one secret


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the options say. The files are not read yet."""

    event_type: str | None
    id_: str | None
    iss: str | None
    sub: str | None
    email: str | None
    accounts: tuple[str, ...]
    providers: tuple[str, ...]
    token_file: IO[str] | None
    reference_file: IO[str] | None
    why: str | None

    @property
    def hits_user(self) -> bool:
        """Whether the event is to ask for every token of a user."""
        return self.event_type in EVENT_TYPES and EVENT_TYPES[self.event_type].hits_user


_OPTIONS: Final[tuple[Callable[[Callable[..., None]], Callable[..., None]], ...]] = (
    click.argument("event_type", required=False, type=click.Choice(list(EVENT_TYPES))),
    click.option("--id", "id_", help="The event's id; default: a new one."),
    click.option("--iss", help="The issuer that knows the person as --sub."),
    click.option("--sub", help="The person's name at --iss."),
    click.option("--email", help="The person's address."),
    click.option("--account", "accounts", multiple=True, metavar="PROVIDER=USER_ID", help="The account at a provider."),
    click.option("--provider", "providers", multiple=True, help="A provider instance where sessions must die."),
    click.option("--token-file", type=click.File(), help="The session's token; - is stdin, the default where needed."),
    click.option("--reference-file", type=click.File(), help="The session's token reference id; - is stdin."),
    click.option("--reason", "why", help="Why, for the record: idle-timeout, disabled-by-admin."),
)


def wanted_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give *command* the options of one event, which it gets as one `wanted`."""

    @functools.wraps(command)
    def with_wanted(**given: Any) -> None:  # noqa: ANN401 - whatever the options are
        command(wanted=Wanted(**{each.name: given.pop(each.name) for each in fields(Wanted)}), **given)

    decorated: Callable[..., None] = with_wanted
    for option in reversed(_OPTIONS):
        decorated = option(decorated)
    return decorated


def draft_of(wanted: Wanted, settings: Settings) -> dict[str, Any]:
    """The draft that says what is *wanted*. Raises click.UsageError where it cannot be said."""
    data: dict[str, Any] = {"reason": wanted.why, "sub_id": _sub_id(wanted), "sessions": _sessions(wanted, settings)}
    if wanted.hits_user:
        data |= {"accounts": _accounts(wanted), "providers": list(wanted.providers)}
        if not data["sub_id"]:
            raise click.UsageError(f"{wanted.event_type} needs --iss and --sub, or --email")
    elif not data["sessions"]:
        raise click.UsageError(f"{wanted.event_type} needs --provider for each provider where the session was")
    identity = {"id": wanted.id_} if wanted.id_ else {}
    return {**identity, "type": wanted.event_type, "data": {name: value for name, value in data.items() if value}}


def _sub_id(wanted: Wanted) -> dict[str, Any] | None:
    if (wanted.iss is None) != (wanted.sub is None):
        raise click.UsageError("--iss and --sub go together")
    issued: list[dict[str, Any]] = [{"format": "iss_sub", "iss": wanted.iss, "sub": wanted.sub}] if wanted.sub else []
    names = [*issued, *([{"format": "email", "email": wanted.email}] if wanted.email else [])]
    return {"format": "aliases", "identifiers": names} if len(names) > 1 else next(iter(names), None)


def _accounts(wanted: Wanted) -> dict[str, dict[str, str]]:
    accounts = {}
    for given in wanted.accounts:
        provider, found, user_id = given.partition("=")
        if not found:
            raise click.UsageError("--account looks like genesys=4f1d6a0e-8d5b-4b7e-9b0c-2a1f0d6c9e77")
        accounts[provider] = {"user_id": user_id}
    return accounts


def _sessions(wanted: Wanted, settings: Settings) -> list[dict[str, Any]]:
    """A session at each provider named, by what its kind takes. An event about a user needs no session there."""
    plans = {provider: _session_plan(provider, settings) for provider in wanted.providers}
    if without := [provider for provider, plan in plans.items() if plan is None and not wanted.hits_user]:
        raise click.UsageError(f"{without[0]} ends no single session, only all of a user")
    needs = {provider: plan.credential for provider, plan in plans.items() if plan}
    secrets = {"jwe": _token(wanted, "jwe" in needs.values()), "token_reference_id": _read(wanted.reference_file)}
    missing = [provider for provider, need in needs.items() if secrets[need] is None]
    if missing and not wanted.hits_user:
        raise click.UsageError(f"{missing[0]} needs --reference-file")
    names = {"jwe": "token", "token_reference_id": "token_reference_id"}
    found = {provider: {names[need]: secrets[need]} for provider, need in needs.items() if provider not in missing}
    return [{"provider": provider, "credential": credential} for provider, credential in found.items()]


def _session_plan(provider: str, settings: Settings) -> SessionPlan | None:
    if provider not in settings.providers:
        raise click.UsageError(f"no provider named {provider} is configured")
    return KINDS[settings.providers[provider].kind].session


def _token(wanted: Wanted, needed: bool) -> str | None:  # noqa: FBT001 - said by its one caller
    if wanted.token_file is None and needed and not wanted.hits_user:
        return secret_of(sys.stdin, "Token")
    return _read(wanted.token_file)


def _read(file: IO[str] | None) -> str | None:
    return None if file is None else secret_of(file, "Secret")


def secret_of(file: IO[str], what: str) -> str:
    """The one secret that *file* holds, white space around it left out; a terminal is asked for it, unseen."""
    if file.isatty():
        return str(click.prompt(what, hide_input=True, err=True)).strip()
    return file.read(LONGEST).strip()

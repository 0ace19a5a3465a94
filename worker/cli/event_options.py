"""One event from the options of a command: the options, and the draft made of them."""

import sys
from dataclasses import dataclass
from typing import IO, Any, Final

import click

from tasks.events import EVENT_TYPES, SESSION_ENDED
from tasks.providers import kind_of
from worker.cli.params import gathered
from worker.settings import Settings

MAX_SECRET: Final = 64 * 1024  # characters read of a file that holds one secret


@dataclass(frozen=True, slots=True)
class EventOptions:
    """The values of the options. The files are not read yet."""

    event_type: str | None
    id_: str | None
    iss: str | None
    sub: str | None
    email: str | None
    accounts: tuple[str, ...]
    providers: tuple[str, ...]
    token_file: IO[str] | None
    reference_file: IO[str] | None
    session_id: str | None
    session_issuer: str | None
    reason: str | None

    @property
    def hits_user(self) -> bool:
        """Whether the event is about a user, and not about listed sessions."""
        return self.event_type in EVENT_TYPES and EVENT_TYPES[self.event_type].hits_user


_OPTIONS: Final = (
    click.argument("event_type", required=False, type=click.Choice(list(EVENT_TYPES))),
    click.option("--id", "id_", help="The event's id; default: a new one."),
    click.option("--iss", help="The issuer that knows the person as --sub."),
    click.option("--sub", help="The person's name at --iss."),
    click.option("--email", help="The person's address."),
    click.option("--account", "accounts", multiple=True, metavar="PROVIDER=USER_ID", help="The account at a provider."),
    click.option("--provider", "providers", multiple=True, help="A provider instance where sessions must die."),
    click.option("--token-file", type=click.File(), help="The session's token; - is stdin, the default where needed."),
    click.option("--reference-file", type=click.File(), help="The session's token reference id; - is stdin."),
    click.option("--session-id", help="The session's id; without --provider the session registry knows its tokens."),
    click.option("--session-issuer", help="Whose id it is; default: the event's source."),
    click.option("--reason", help="Why, for the record: idle-timeout, disabled-by-admin."),
)


event_options: Final = gathered("event", EventOptions, _OPTIONS)


def draft_of(event: EventOptions, settings: Settings) -> dict[str, Any]:
    """Return the draft of an event with these options. Raises click.UsageError where they make none."""
    data: dict[str, Any] = {"reason": event.reason, "sub_id": _sub_id(event), "sessions": _sessions(event, settings)}
    if event.hits_user:
        data |= {"accounts": _accounts(event), "providers": list(event.providers)}
        if not data["sub_id"]:
            raise click.UsageError(f"{event.event_type} needs --iss and --sub, or --email")
        if event.providers and not EVENT_TYPES[str(event.event_type)].revokes:
            raise click.UsageError(f"{event.event_type} ends no session: give --account, and no --provider")
    elif not data["sessions"] and (event.session_id is None or event.event_type != SESSION_ENDED):
        raise click.UsageError(f"{event.event_type} needs --provider for each provider where the session was")
    elif event.session_id is not None:
        data |= _by_id(event, data["sessions"])
    identity = {"id": event.id_} if event.id_ else {}
    return {**identity, "type": event.event_type, "data": {name: value for name, value in data.items() if value}}


def _by_id(event: EventOptions, sessions: list[dict[str, Any]]) -> dict[str, Any]:
    """The session's id where it belongs: with the session, or in its place."""
    named = {"sessions": [{**each, "session_id": event.session_id} for each in sessions]}
    return {**(named if sessions else {"session_ids": [event.session_id]}), "session_issuer": event.session_issuer}


def _sub_id(event: EventOptions) -> dict[str, Any] | None:
    if (event.iss is None) != (event.sub is None):
        raise click.UsageError("--iss and --sub go together")
    issued: list[dict[str, Any]] = [{"format": "iss_sub", "iss": event.iss, "sub": event.sub}] if event.sub else []
    names = [*issued, *([{"format": "email", "email": event.email}] if event.email else [])]
    return {"format": "aliases", "identifiers": names} if len(names) > 1 else next(iter(names), None)


def _accounts(event: EventOptions) -> dict[str, dict[str, str]]:
    accounts = {}
    for given in event.accounts:
        provider, found, user_id = given.partition("=")
        if not found:
            raise click.UsageError("--account looks like genesys=4f1d6a0e-8d5b-4b7e-9b0c-2a1f0d6c9e77")
        accounts[provider] = {"user_id": user_id}
    return accounts


def _sessions(event: EventOptions, settings: Settings) -> list[dict[str, Any]]:
    """A session at each provider named, by what its kind takes. An event about a user needs no session there."""
    if unknown := [provider for provider in event.providers if provider not in settings.providers]:
        raise click.UsageError(f"no provider named {unknown[0]} is configured")
    plans = {provider: kind_of(settings.providers[provider]).session for provider in event.providers}
    if without := [provider for provider, plan in plans.items() if plan is None and not event.hits_user]:
        raise click.UsageError(f"{without[0]} ends no single session, only all of a user")
    needs = {provider: plan.credential for provider, plan in plans.items() if plan}
    token_file = event.token_file or (sys.stdin if "jwe" in needs.values() and not event.hits_user else None)
    files = {"jwe": (token_file, "Token"), "token_reference_id": (event.reference_file, "Token reference id")}
    secrets = {need: secret_of(file, what) if file else None for need, (file, what) in files.items()}
    missing = [provider for provider, need in needs.items() if secrets[need] is None]
    if missing and not event.hits_user:
        raise click.UsageError(f"{missing[0]} needs --reference-file")
    names = {"jwe": "token", "token_reference_id": "token_reference_id"}
    found = {provider: {names[need]: secrets[need]} for provider, need in needs.items() if provider not in missing}
    return [{"provider": provider, "credential": credential} for provider, credential in found.items()]


def secret_of(file: IO[str], what: str) -> str:
    """The one secret that *file* holds, white space around it left out; a terminal is asked for it, unseen."""
    if file.isatty():
        return str(click.prompt(what, hide_input=True, err=True)).strip()
    return file.read(MAX_SECRET).strip()

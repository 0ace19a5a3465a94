"""The configured providers, as commands reach them: over real HTTP, without any key to open a user's token."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING

from pydantic import SecretStr

from tasks.outcome import CredentialFault, Outcome, Settled
from tasks.providers import Provider, make_provider, open_session
from tasks.sealing import SealError
from worker.cli.exits import Exit

if TYPE_CHECKING:
    from worker.settings import Settings


class _NoKeys:
    """Opens nothing: commands preview and check, they revoke nothing."""

    def open(self, jwe: str, audience: str) -> SecretStr:  # noqa: ARG002 - the protocol's form
        raise SealError("no sealed credential is opened here")


@asynccontextmanager
async def opened_providers(settings: Settings, *names: str) -> AsyncIterator[Mapping[str, Provider]]:
    """The providers *names*, or all, by name; their sessions are closed at the end."""
    async with AsyncExitStack() as stack:
        providers = {}
        for name in names or settings.providers:
            session = await stack.enter_async_context(open_session(tls=settings.providers[name].tls))
            providers[name] = make_provider(name, settings.providers[name], session, _NoKeys())
        yield providers


def outcome_in_words(outcome: Outcome) -> str:
    """One line about *outcome*: evidence or reason, then what the provider told."""
    first = outcome.evidence if isinstance(outcome, Settled) else str(outcome.reason)
    return " ".join([first, *(f"{name}={value}" for name, value in outcome.detail.items())])


def outcome_exit(outcome: Outcome) -> Exit:
    """How a command ends that came to *outcome*; a credential that is refused is not permitted."""
    match outcome:
        case Settled():
            return Exit.DONE
        case CredentialFault():
            return Exit.NOT_PERMITTED
        case _:
            return Exit.FAILED

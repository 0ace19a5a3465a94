"""The configured providers: what is known of them, whether calls could succeed now, and what a call would be."""

import asyncio
from collections.abc import Callable, Collection, Coroutine, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar, cast

from pydantic import SecretStr

from tasks.call import ProviderCall
from tasks.events import Event, InvalidEvent, parse_event
from tasks.outcome import Outcome, Settled
from tasks.plan import Plan, plan_revocations
from tasks.providers import ProviderSettings, kind_of, make_provider, ssf
from tasks.providers.http import open_session
from tasks.providers.provider import Provider, Request
from tasks.sealing import SealError
from worker.calls.holds.hold import Hold, Scope
from worker.calls.rate_limits import per_minute
from worker.operations import RefusedRequest
from worker.settings import Settings

if TYPE_CHECKING:
    from tasks.providers.ssf.provider import Ssf

T = TypeVar("T")


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

    @property
    def host(self) -> str:
        """Where its API is, without scheme and path."""
        return self.settings.api.partition("://")[2].partition("/")[0]

    @property
    def per_minute(self) -> int | None:
        """How many calls it gets in 60 s, all workers together; None: any number."""
        return per_minute(self.settings)

    @property
    def operations(self) -> list[str]:
        """What it can be asked to do."""
        return [each for plan in kind_of(self.settings).plans for each in plan.operations]

    @property
    def credential(self) -> str:
        """Whether the worker's own credential is there; `not needed` where calls carry the user's token alone."""
        parts = dict[str, Any](self.settings)
        parts |= dict(parts.get("auth") or {})
        secrets = [value for value in parts.values() if isinstance(value, SecretStr)]
        if not secrets:
            return "not needed"
        return "present" if all(secret.get_secret_value() for secret in secrets) else "missing"


@dataclass(frozen=True, slots=True)
class Checked:
    """Whether calls of a provider instance could succeed now, and what it answered."""

    name: str
    outcome: Outcome

    @property
    def is_ok(self) -> bool:
        """Whether they could."""
        return isinstance(self.outcome, Settled)


@dataclass(frozen=True, slots=True)
class Preview:
    """An event, its plan, and each call with its HTTP request, secrets masked."""

    event: Event
    plan: Plan
    calls: list[tuple[ProviderCall, Request]]


class _NoKeys:
    """Opens nothing: operators preview and check, they revoke nothing."""

    def open(self, jwe: str, audience: str) -> SecretStr:  # noqa: ARG002 - the protocol's form
        raise SealError("no sealed credential is opened here")


def ask(
    settings: Settings, names: Collection[str], question: Callable[[Mapping[str, Provider]], Coroutine[Any, Any, T]]
) -> T:
    """Return the answer to *question*, which gets the providers *names*, or all, by name; none can open a token."""

    async def answer() -> T:
        async with AsyncExitStack() as stack:
            clients = {}
            for name in names or settings.providers:
                session = await stack.enter_async_context(open_session(tls=settings.providers[name].tls))
                clients[name] = make_provider(name, settings.providers[name], session, _NoKeys())
            return await question(clients)

    return asyncio.run(answer())


def public_keys(settings: Settings, names: Collection[str] = ()) -> list[Mapping[str, Any]]:
    """Return the public keys of the receivers of signals *names*, or of all, as JWKs. Raises RefusedRequest."""
    require_known(settings, names)
    receivers = [name for name in names or settings.providers if settings.providers[name].kind == ssf.KIND.name]
    if not receivers:
        raise RefusedRequest("no receiver of signals (kind ssf) is configured by that name")

    async def put(clients: Mapping[str, Provider]) -> list[Mapping[str, Any]]:
        return [cast("Ssf", each).public_key for each in clients.values()]

    keys = {key["kid"]: key for key in ask(settings, receivers, put)}
    return [*keys.values()]


def require_known(settings: Settings, names: Collection[str]) -> None:
    """Raise RefusedRequest where one of *names* is that of no configured provider."""
    for name in names:
        if name not in settings.providers:
            raise RefusedRequest(f"no provider named {name} is configured")


def configured(settings: Settings, holds: Sequence[Hold] | None) -> list[Configured]:
    """Return every provider instance by name, with those of *holds* that are its own."""
    return [
        Configured(name, each, None if holds is None else [hold for hold in holds if hold.provider == name])
        for name, each in sorted(settings.providers.items())
    ]


def check(settings: Settings, names: Collection[str] = ()) -> list[Checked]:
    """Find out whether calls of *names*, or all, could succeed now. Revokes nothing. Raises RefusedRequest."""
    require_known(settings, names)

    async def check_all(clients: Mapping[str, Provider]) -> list[Checked]:
        outcomes = await asyncio.gather(*(each.check() for each in clients.values()))
        return [Checked(name, outcome) for name, outcome in zip(clients, outcomes, strict=True)]

    return ask(settings, names, check_all)


def preview(settings: Settings, body: bytes) -> Preview | InvalidEvent:
    """Return what the event in *body* becomes, or the refusal of the intake. Sends nothing."""
    event = parse_event(body, now=datetime.now(UTC))
    if isinstance(event, InvalidEvent):
        return event
    plan = plan_revocations(event, settings.catalogue())

    async def preview_all(clients: Mapping[str, Provider]) -> list[tuple[ProviderCall, Request]]:
        return [(call, clients[call.provider].preview(call)) for call in plan.calls]

    return Preview(event, plan, ask(settings, (), preview_all))


def outcome_in_words(outcome: Outcome) -> str:
    """One line about *outcome*: evidence or reason, then what the provider answered."""
    first = outcome.evidence if isinstance(outcome, Settled) else str(outcome.reason)
    return " ".join([first, *(f"{name}={value}" for name, value in outcome.detail.items())])

"""A declared provider on trial: a twin, made of its own examples, answers it as vendors, gateways and networks do.

Nothing leaves this machine: the twin listens on loopback, and planted secrets stand for the real ones.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from urllib.parse import urlsplit

from aiohttp import web
from joserfc.jwk import ECKey
from pydantic import SecretStr

from tasks.call import Attempt, Lane, ProviderCall
from tasks.outcome import CredentialFault, Listed, Outcome, Permanent, Reason, Settled, State, Transient
from tasks.providers import make_provider
from tasks.providers.declared import REVOKE_LISTED, REVOKE_SESSION, REVOKE_USER, HttpSettings
from tasks.providers.declared.calls import Described, Example, Exchange, ListCall, StatusCall, UserCall, exchanges_of
from tasks.providers.declared.jobs import JOB
from tasks.providers.declared.lists import items_of
from tasks.providers.declared.mistakes import answer_of
from tasks.providers.declared.outcomes import Meaning
from tasks.providers.declared.user_ids import SIBLINGS, sample
from tasks.providers.http import open_session
from worker.operations import RefusedRequest, twin_answers
from worker.operations.twin_answers import TIMEOUT
from worker.settings import Settings

PLANTED: Final = "planted-0815-secret-of-the-trial"
PLANTED_TOKEN: Final = "planted-4711-token-of-the-trial"  # noqa: S105 - of nobody
_SECRETS: Final = ("api_key", "password", "client_secret", "secret_access_key", "session_token")
_OUTCOMES: Final[dict[Meaning, Callable[[Outcome], bool]]] = {
    Meaning.ACCEPTED: lambda it: isinstance(it, Settled) and it.state in {State.ACCEPTED, State.CONFIRMED},
    Meaning.BEGUN: lambda it: isinstance(it, Transient) and it.reason == Reason.PROVIDER_IN_PROGRESS,
    Meaning.ALREADY_REVOKED: lambda it: isinstance(it, Settled) and it.state is State.ALREADY_REVOKED,
    Meaning.NOT_FOUND: lambda it: isinstance(it, Permanent) and it.reason == Reason.PROVIDER_NOT_FOUND,
    Meaning.CREDENTIAL: lambda it: isinstance(it, CredentialFault),
    Meaning.RETRY: lambda it: isinstance(it, Transient),
    Meaning.DEAD: lambda it: isinstance(it, Permanent),
    Meaning.BAD_REPLY: lambda it: isinstance(it, Transient) and it.reason == Reason.PROVIDER_BAD_REPLY,
}
Expected = Callable[[Outcome], bool]


@dataclass(frozen=True, slots=True)
class Tried:
    """One case, and what the provider made of it."""

    call: str
    case: str
    is_ok: bool
    told: str


@dataclass(frozen=True, slots=True)
class _Case:
    name: str
    answering: twin_answers.Answering
    is_expected: Expected
    requests: int = 1


@dataclass(frozen=True, slots=True)
class _Asked:
    place: str  # in the settings, e.g. "user.list"
    call: ProviderCall


class _NoSeal:
    """Opens every sealed credential as the planted token."""

    def open(self, jwe: str, audience: str) -> SecretStr:
        del jwe, audience
        return SecretStr(PLANTED_TOKEN)


@dataclass
class _Twin:
    """The provider's twin: it grants every login, and answers the rest as the case says."""

    login_path: str | None
    answering: twin_answers.Answering
    heard: list[str] = field(default_factory=list)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer *request*, and write it down."""
        if request.path == self.login_path:
            return web.json_response({"access_token": PLANTED, "token_type": "bearer", "expires_in": 3600})
        self.heard.append(f"{request.method} {request.path_qs}")
        return await self.answering(request)


def declared_of(settings: Settings, name: str) -> HttpSettings:
    """Return the table *name*. Raises RefusedRequest where there is none."""
    found = settings.providers.get(name)
    if not isinstance(found, HttpSettings):
        raise RefusedRequest(f"{name} is no configured provider of kind http: only these are tables that can be tried")
    return found


def tried(settings: HttpSettings) -> list[Tried]:
    """Try every call of the table *settings*, in every case."""
    return asyncio.run(_tried(settings))


async def _tried(settings: HttpSettings) -> list[Tried]:
    async with _twin(settings) as (twin, here):
        told = [
            await _one(here, twin, _Asked(f"{place}{name}", _call(call, asked)), case)
            for place, call in here.calls.items()
            for name, asked in exchanges_of(call).items()
            for case in _cases(asked, here)
        ]
        return [*told, *[await _sibling(here, twin, each) for each in sorted(SIBLINGS) if here.user]]


@asynccontextmanager
async def _twin(settings: HttpSettings) -> AsyncIterator[tuple[_Twin, HttpSettings]]:
    """Yield the twin, and *settings* that lead to it."""
    login = getattr(settings.auth, "token_url", None) or ""
    twin = _Twin((urlsplit(login).path or "/") if login else None, twin_answers.silent)
    app = web.Application()
    app.router.add_route("*", "/{anything:.*}", twin.handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.01)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        planted = {each: SecretStr(PLANTED) for each in _SECRETS} | {"private_key": _planted_key()}
        auth: dict[str, Any] = {name: each for name, each in planted.items() if getattr(settings.auth, name, None)}
        auth |= {"token_url": f"{url}{twin.login_path}"} if login else {}
        led = {"base_url": url + urlsplit(settings.base_url).path, "auth": settings.auth.model_copy(update=auth)}
        yield twin, settings.model_copy(update={**led, "timeout": TIMEOUT})
    finally:
        await runner.cleanup()


def _planted_key() -> SecretStr:
    """Return a private key of nobody."""
    return SecretStr(ECKey.generate_key("P-256").as_pem(private=True).decode())


async def _one(settings: HttpSettings, twin: _Twin, about: _Asked, case: _Case) -> Tried:
    twin.answering, made = case.answering, about.call
    twin.heard.clear()
    async with open_session() as session:
        provider = make_provider("trial", settings, session, _NoSeal())
        outcome, preview = await provider.execute(made), provider.preview(made)
    line = f"{preview.method} {preview.url.raw_path_qs}"
    asked = [each for each in twin.heard if each == line]
    faults = [
        *([] if case.is_expected(outcome) else [f"came to {_in_words(outcome)}"]),
        *([] if len(asked) == case.requests else [f"{len(asked)} requests"]),
        *(
            ["gives away a secret"]
            if any(each in f"{outcome!r}{preview!r}" for each in (PLANTED, PLANTED_TOKEN))
            else []
        ),
    ]
    return Tried(about.place, case.name, not faults, "; ".join(faults) or _in_words(outcome))


async def _sibling(settings: HttpSettings, twin: _Twin, user_id: str) -> Tried:
    twin.heard.clear()
    made = _call(settings.calls["user"]).model_copy(update={"user_id": user_id, "operation": REVOKE_USER})
    async with open_session() as session:
        outcome = await make_provider("trial", settings, session, _NoSeal()).execute(made)
    is_ok = isinstance(outcome, Permanent) and not twin.heard
    return Tried("user", f"the user id {user_id or '(none)'!r}", is_ok, "no request" if is_ok else _in_words(outcome))


def _call(described: Described, asked: Exchange | None = None) -> ProviderCall:
    """Return a call at which *asked*, a part of *described*, is what is to be asked now."""
    now, is_user = datetime.now(UTC), isinstance(described, UserCall)
    rule = described.user_id if isinstance(described, UserCall) else described.reference
    whose = {"user_id" if is_user else "token_reference_id": sample(rule)} if rule else {"jwe": "sealed"}
    operation = REVOKE_USER if is_user else REVOKE_SESSION
    if isinstance(described, UserCall) and described.list_ and not isinstance(asked, ListCall):
        operation, whose = REVOKE_LISTED, {**whose, "item_id": sample(described.list_.item)}
    job = {JOB: sample(asked.job_id)} if isinstance(asked, StatusCall) else None
    return ProviderCall(
        call_id="trial",
        source="urn:revoker:trial",
        event_id="trial",
        event_type="user.disabled" if is_user else "session.ended",
        occurred_at=now,
        deadline=now + timedelta(hours=1),
        provider="trial",
        operation=operation,
        lane=Lane.URGENT,
        subject="trial",
        attempts=(Attempt(at=now, reason=Reason.PROVIDER_IN_PROGRESS, detail=job),) if job else (),
        **whose,
    )


def _cases(described: Exchange, settings: HttpSettings) -> Iterator[_Case]:
    """What vendors document, as the examples tell; then what networks and gateways do."""
    buys = bool(getattr(settings.auth, "token_url", None))
    for number, each in enumerate(described.examples, start=1):
        is_renewed = buys and each.means is Meaning.CREDENTIAL and each.status == 401  # noqa: PLR2004 - once more
        yield _Case(
            f"example {number}: {each.status} {each.means}",
            twin_answers.example(each),
            _expected(described, each),
            1 + is_renewed,
        )
    named = {status for row in described.outcomes for status in row.statuses}
    success = next(each for each in described.examples if each.means in {Meaning.ACCEPTED, Meaning.BEGUN})
    yield _Case("silence", twin_answers.silent, _fails(Reason.NET_TIMEOUT))
    yield _Case("a reset", twin_answers.reset, _fails(Reason.NET_CONNECT))
    yield _Case("half a success", twin_answers.half(success.status), lambda it: isinstance(it, Transient))
    yield _Case("a redirect", twin_answers.status(302, Location="/elsewhere"), lambda it: isinstance(it, Permanent))
    yield _Case("a page", twin_answers.page, lambda it: not isinstance(it, Settled))
    yield _Case("an echo", twin_answers.echo, lambda it: not isinstance(it, Settled))
    if 503 not in named:  # noqa: PLR2004 - the number is the name
        yield _Case("503", twin_answers.status(503), _fails(Reason.HTTP_5XX))
    if 429 not in named:  # noqa: PLR2004 - likewise
        waits = twin_answers.status(429, **{"Retry-After": "7"})
        yield _Case("429 with Retry-After", waits, lambda it: isinstance(it, Transient) and it.retry_after == 7.0)  # noqa: PLR2004 - as sent


def _expected(asked: Exchange, example: Example) -> Expected:
    """A list that holds something asks for calls; nothing else does."""
    if isinstance(asked, ListCall) and example.means is Meaning.ACCEPTED:
        items = items_of(asked, answer_of(example, asked))
        return (lambda it: isinstance(it, Listed) and it.items == items) if items else _is_settled
    return _OUTCOMES[example.means]


def _is_settled(outcome: Outcome) -> bool:
    return isinstance(outcome, Settled)


def _fails(reason: Reason) -> Expected:
    return lambda outcome: isinstance(outcome, Transient) and outcome.reason == reason


def _in_words(outcome: Outcome) -> str:
    return outcome.evidence if isinstance(outcome, Settled) else str(outcome.reason)

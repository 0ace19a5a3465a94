"""Genesys Cloud: one session by its own token, every token of a user by the worker's."""

import asyncio
import json
from typing import ClassVar

import aiohttp
import pytest
from aiohttp import web
from calls import CLIENT_SECRET, OPENER, TOKEN, USER_ID, call, sealed_call
from contract import ProviderContract
from fake_provider import FakeProvider, silent
from pydantic import SecretStr
from trial import SHORT, TIMEOUT

from tasks.outcome import CredentialFault, Permanent, Reason, Settled, State, Transient
from tasks.providers.genesys import GenesysSettings
from tasks.providers.genesys.outcomes import IdleTimeout, TokenInfo
from tasks.providers.genesys.provider import Genesys

DELETE_TOKENS_ME = sealed_call("genesys.delete_tokens_me", "genesys-eu")
DELETE_TOKEN = call("genesys.delete_token", "genesys-eu", user_id=USER_ID)
DEAD_TOKEN = {"code": "bad.credentials", "status": 401, "contextId": "c0ffee"}
NO_TOKEN = {"code": "authentication.required", "status": 401}


def genesys(url: str, session: aiohttp.ClientSession, timeout: float = TIMEOUT, **settings: object) -> Genesys:
    """Return the provider, configured for a server at *url*."""
    here = {"api_base_url": url, "login_base_url": url, "client_id": "revoker", "client_secret": CLIENT_SECRET}
    configured = GenesysSettings.model_validate({**here, "timeout": timeout, **settings})
    return Genesys("genesys-eu", configured, session, OPENER)


class TestDeleteTokensMe(ProviderContract):
    """The user's own token."""

    call = DELETE_TOKENS_ME
    foreign = "wibmo.invalidate_token"
    statuses: ClassVar = {401: Transient}  # without an error code
    successes: ClassVar = frozenset({200, 204})

    def make(self, url: str, session: aiohttp.ClientSession, timeout: float = TIMEOUT) -> Genesys:
        """Return the provider under test."""
        return genesys(url, session, timeout)


class TestDeleteToken(ProviderContract):
    """The worker's token."""

    call = DELETE_TOKEN
    foreign = "finbourne.invalidate_token"
    statuses: ClassVar = {401: CredentialFault, 403: CredentialFault}
    successes: ClassVar = frozenset({200, 204})

    def make(self, url: str, session: aiohttp.ClientSession, timeout: float = TIMEOUT) -> Genesys:
        """Return the provider under test."""
        return genesys(url, session, timeout)


async def test_the_requests_are_the_vendors(server: FakeProvider, session: aiohttp.ClientSession) -> None:
    """Login with Basic, then DELETE with the bearer and no body."""
    server.will_answer(200)
    provider = genesys(server.url, session, proof_probe=False)
    await provider.execute(DELETE_TOKEN)
    await provider.execute(DELETE_TOKENS_ME)
    (login,) = server.logins
    assert (login.method, login.body) == ("POST", b"grant_type=client_credentials")
    assert login.headers["Authorization"] == aiohttp.encode_basic_auth("revoker", CLIENT_SECRET)
    assert login.headers["Content-Type"] == "application/x-www-form-urlencoded"
    assert [(heard.method, heard.raw_path, heard.headers["Authorization"], heard.body) for heard in server.heard] == [
        ("DELETE", f"/api/v2/tokens/{USER_ID}", "Bearer worker-bearer-0001", b""),
        ("DELETE", "/api/v2/tokens/me", f"Bearer {TOKEN}", b""),
    ]


@pytest.mark.parametrize(
    ("probe", "state"),
    [(401, State.CONFIRMED), (200, State.ACCEPTED), (404, State.ACCEPTED), (503, State.ACCEPTED)],
)
async def test_a_revoked_token_that_is_refused_is_the_proof(
    server: FakeProvider, session: aiohttp.ClientSession, probe: int, state: State
) -> None:
    """Asked with the dead token, the provider says 401; any other answer proves nothing and takes nothing back."""

    async def answer(request: web.Request) -> web.StreamResponse:
        return web.json_response(DEAD_TOKEN, status=204 if request.method == "DELETE" else probe)

    server.answering = answer
    outcome = await genesys(server.url, session).execute(DELETE_TOKENS_ME)
    assert outcome == Settled(state, f"204; probe {probe}", {"status": "204"})
    assert server.heard[1].raw_path == "/api/v2/tokens/me?preserveIdleTTL=true"


async def test_a_probe_that_hangs_takes_nothing_back(server: FakeProvider, session: aiohttp.ClientSession) -> None:
    """The revocation was accepted; the time budget is the call's."""

    async def answer(request: web.Request) -> web.StreamResponse:
        return web.Response(status=204) if request.method == "DELETE" else await silent(request)

    server.answering = answer
    outcome = await genesys(server.url, session, SHORT).execute(DELETE_TOKENS_ME)
    assert outcome == Settled(State.ACCEPTED, "204; probe net.timeout", {"status": "204"})


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (DEAD_TOKEN, (Settled, "401 bad.credentials")),
        (NO_TOKEN, (Permanent, Reason.AUTH_UNAUTHORIZED)),
        ({"code": "something.else"}, (Permanent, Reason.AUTH_UNAUTHORIZED)),
        (b"<html>", (Transient, Reason.PROVIDER_BAD_REPLY)),
        ({}, (Transient, Reason.PROVIDER_BAD_REPLY)),
    ],
)
async def test_a_users_token_that_is_refused_is_dead_only_where_the_code_says_so(
    server: FakeProvider, session: aiohttp.ClientSession, body: object, expected: tuple[type, str]
) -> None:
    """`authentication.required` means that no token arrived; without a code it could be either: ask again."""
    server.will_answer(401, body)
    outcome = await genesys(server.url, session).execute(DELETE_TOKENS_ME)
    assert (type(outcome), getattr(outcome, "reason", getattr(outcome, "evidence", ""))) == expected
    assert len(server.heard) == 1
    assert server.logins == []


async def test_error_details_that_help_are_told(server: FakeProvider, session: aiohttp.ClientSession) -> None:
    """The vendor's support asks for code, context id and correlation id."""
    server.will_answer(403, {"code": "missing.permission", "contextId": "a-1"}, {"ININ-Correlation-Id": "b-2"})
    outcome = await genesys(server.url, session).execute(DELETE_TOKEN)
    detail = {"status": "403", "code": "missing.permission", "context_id": "a-1", "correlation_id": "b-2"}
    assert outcome == CredentialFault(Reason.AUTH_FORBIDDEN, detail)


NOT_FOUND = {"code": "not.found", "status": 404}
UNKNOWN_USER = Permanent(Reason.PROVIDER_NOT_FOUND, {"status": "404"})


@pytest.mark.parametrize(
    ("setting", "body", "expected"),
    [
        ("dead", NOT_FOUND, Permanent(Reason.PROVIDER_NOT_FOUND, {"status": "404", "code": "not.found"})),
        ("settled", NOT_FOUND, Settled(State.ALREADY_REVOKED, "404", {"status": "404", "code": "not.found"})),
        ("dead", None, UNKNOWN_USER),
        ("settled", None, UNKNOWN_USER),
        ("settled", b"<html>Not Found</html>", UNKNOWN_USER),
        ("settled", {"message": "no Route matched with those values"}, UNKNOWN_USER),
    ],
)
async def test_an_unknown_user_is_what_the_setting_says(
    server: FakeProvider, session: aiohttp.ClientSession, setting: str, body: object, expected: object
) -> None:
    """404: a wrong region, or a deleted user; and where it settles, only the vendor's own 404 does."""
    server.will_answer(404, body)
    assert await genesys(server.url, session, not_found=setting).execute(DELETE_TOKEN) == expected


async def test_a_call_without_its_sealed_token_or_with_anothers_is_dead(
    server: FakeProvider, session: aiohttp.ClientSession
) -> None:
    """Only a token sealed for this instance is used."""
    provider = genesys(server.url, session)
    foreign = sealed_call("genesys.delete_tokens_me", "finbourne")
    detail = {"problem": "other_provider", "kid": "test-2026"}
    assert await provider.execute(foreign) == Permanent(Reason.CRYPTO_SEAL, detail)
    missing = foreign.model_copy(update={"jwe": None})
    assert await provider.execute(missing) == Permanent(Reason.ROUTE_UNRESOLVABLE, {"missing": "jwe"})
    assert server.heard == []


async def test_operators_ask_about_a_token_without_prolonging_it(
    server: FakeProvider, session: aiohttp.ClientSession
) -> None:
    """GetTokensMe and HeadTokensMe."""
    server.will_answer(200, {"organization": {"id": "o"}, "authorizedScope": ["a"], "OAuthClient": {"id": "c"}})
    provider = genesys(server.url, session)
    info = await provider.token_info(SecretStr(TOKEN))
    assert isinstance(info, TokenInfo)
    assert (info.organization, info.authorized_scope, info.client) == ({"id": "o"}, ("a",), {"id": "c"})
    assert await provider.verify(SecretStr(TOKEN)) is True
    server.will_answer(401, DEAD_TOKEN)
    assert await provider.verify(SecretStr(TOKEN)) is False
    assert isinstance(await provider.token_info(SecretStr(TOKEN)), Settled)
    server.will_answer(200, b"<html>")
    assert isinstance(await provider.token_info(SecretStr(TOKEN)), Transient)
    assert [heard.method for heard in server.heard] == ["GET", "HEAD", "HEAD", "GET", "GET"]


async def test_setting_the_idle_timeout_keeps_what_it_does_not_know(
    server: FakeProvider, session: aiohttp.ClientSession
) -> None:
    """PUT replaces the document, so it is read first and sent back with one thing changed."""
    current = {"idleTokenTimeoutSeconds": 900, "enableIdleTokenTimeout": False, "inactivityTimeoutUnit": "MINUTES"}
    server.will_answer(200, current)
    provider = genesys(server.url, session)
    idle = await provider.idle_timeout()
    assert isinstance(idle, IdleTimeout)
    assert (idle.seconds, idle.enabled) == (900, False)
    assert isinstance(await provider.set_idle_timeout(600), IdleTimeout)
    put = server.heard[-1]
    assert (put.method, put.raw_path) == ("PUT", "/api/v2/tokens/timeout")
    wanted = b'{"idleTokenTimeoutSeconds": 600, "enableIdleTokenTimeout": true, "inactivityTimeoutUnit": "MINUTES"}'
    assert put.body == wanted
    with pytest.raises(ValueError, match="300 to 28800"):
        await provider.set_idle_timeout(299)


@pytest.mark.parametrize(
    "current",
    [
        {"enableIdleTokenTimeout": True},
        {"idleTokenTimeoutSeconds": None, "enableIdleTokenTimeout": True},
        {"idleTokenTimeoutSeconds": 900},
        {"idleTokenTimeoutSeconds": 900, "enableIdleTokenTimeout": None, "inactivityTimeoutUnit": "MINUTES"},
    ],
    ids=str,
)
@pytest.mark.parametrize("enabled", [True, False])
async def test_the_idle_timeout_is_switched_whatever_else_is_told_of_it(
    server: FakeProvider, session: aiohttp.ClientSession, current: dict[str, object], *, enabled: bool
) -> None:
    """Both members are optional; what is not there is not made up, and what is there goes back."""
    server.will_answer(200, current)
    provider = genesys(server.url, session)
    idle = await provider.idle_timeout()
    assert isinstance(idle, IdleTimeout)
    assert idle.seconds == current.get("idleTokenTimeoutSeconds")
    assert isinstance(await provider.set_idle_timeout(enabled=enabled), IdleTimeout)
    kept = {name: value for name, value in current.items() if value is not None}
    assert json.loads(server.heard[-1].body) == kept | {"enableIdleTokenTimeout": enabled}


@pytest.mark.parametrize(
    "body",
    [
        {},
        [],
        {"code": "internal.server.error", "message": "x", "idleTokenTimeoutSeconds": 900},
        {"idleTokenTimeoutSeconds": "900"},
        {"idleTokenTimeoutSeconds": True},
        {"idleTokenTimeoutSeconds": 900.5},
        {"enableIdleTokenTimeout": "false"},
        b'{"idleTokenTimeoutSeconds":900,"idleTokenTimeoutSeconds":300}',
        b"",
    ],
    ids=str,
)
async def test_what_is_no_idle_timeout_is_never_sent_back(
    server: FakeProvider, session: aiohttp.ClientSession, body: object
) -> None:
    """PUT would make it the organization's setting."""
    server.will_answer(200, body, {"Content-Type": "application/json"} if isinstance(body, bytes) else None)
    provider = genesys(server.url, session)
    for outcome in (await provider.idle_timeout(), await provider.set_idle_timeout(enabled=False)):
        assert isinstance(outcome, Transient)
        assert outcome.reason == Reason.PROVIDER_BAD_REPLY
    assert {heard.method for heard in server.heard} == {"GET"}


async def test_idle_timeouts_answer_with_the_outcome_where_there_is_none(
    server: FakeProvider, session: aiohttp.ClientSession
) -> None:
    """Forbidden for the worker's client, or not understood: nothing is set."""
    provider = genesys(server.url, session)
    server.will_answer(403)
    assert isinstance(await provider.set_idle_timeout(600), CredentialFault)
    server.will_answer(200, b"[]")
    assert isinstance(await provider.set_idle_timeout(600), Transient)
    assert [heard.method for heard in server.heard] == ["GET", "GET"]


async def test_concurrent_calls_share_nothing_but_the_login(
    server: FakeProvider, session: aiohttp.ClientSession
) -> None:
    """Fifty calls, one login, each its own request."""
    server.will_answer(204)
    provider = genesys(server.url, session)
    outcomes = await asyncio.gather(*(provider.execute(DELETE_TOKEN) for _ in range(50)))
    assert {type(outcome) for outcome in outcomes} == {Settled}
    assert (len(server.logins), len(server.heard)) == (1, 50)

"""The worker's own credential at Genesys Cloud: refreshed once, shared, never hammered."""

import asyncio
import math
from collections.abc import Callable
from itertools import count

import aiohttp
import pytest
from aiohttp import web
from calls import CLIENT_SECRET, USER_ID, call
from fake_provider import Answering, FakeProvider, closing, silent
from pydantic import SecretStr
from trial import TIMEOUT

from tasks.outcome import CredentialFault, Outcome, Permanent, Reason, Settled, State, Transient
from tasks.providers.answers import Answer, StatusMeaning
from tasks.providers.genesys import GenesysSettings
from tasks.providers.genesys.provider import Genesys
from tasks.providers.http import Edge
from tasks.providers.oauth import LOGIN, Login, _refused, client_credentials
from tasks.providers.provider import endpoint
from tasks.sealing import KeyRing

DELETE_TOKEN = call("genesys.delete_token", "genesys", user_id=USER_ID)
REFUSED = {"code": "bad.credentials"}


def genesys(server: FakeProvider, session: aiohttp.ClientSession, timeout: float = TIMEOUT) -> Genesys:
    """Return the provider, configured for *server*."""
    secret = SecretStr(CLIENT_SECRET)
    settings = GenesysSettings(
        api_base_url=server.url, login_base_url=server.url, client_id="c", client_secret=secret, timeout=timeout
    )
    return Genesys("genesys", settings, session, KeyRing([]))


def grants(**members: object) -> Answering:
    """Return a login service that grants bearer-1, bearer-2 and so on."""
    numbers = count(1)

    async def answer(_: web.Request) -> web.StreamResponse:
        granted = {"access_token": f"bearer-{next(numbers)}", "token_type": "bearer", "expires_in": 86400}
        return web.json_response(granted | members)

    return answer


def accepts(*bearers: str) -> Answering:
    """Return an API that accepts *bearers* and refuses the rest."""

    async def answer(request: web.Request) -> web.StreamResponse:
        if request.headers["Authorization"].removeprefix("Bearer ") in bearers:
            return web.Response(status=204)
        return web.json_response(REFUSED, status=401)

    return answer


async def attempts(provider: Genesys, number: int) -> list[Outcome]:
    """Return the outcomes of *number* calls at once."""
    return await asyncio.gather(*(provider.execute(DELETE_TOKEN) for _ in range(number)))


async def test_a_hundred_refused_calls_cause_one_refresh(server: FakeProvider, session: aiohttp.ClientSession) -> None:
    """The bearer died in the middle of a burst: one login serves all of them."""
    server.login, server.answering = grants(), accepts("bearer-2")
    outcomes = await attempts(genesys(server, session), 100)
    assert {getattr(outcome, "state", outcome) for outcome in outcomes} == {State.ACCEPTED}
    assert len(server.logins) == 2


async def test_a_credential_refused_after_its_refresh_is_our_fault_and_no_revocation(
    server: FakeProvider, session: aiohttp.ClientSession
) -> None:
    """401, refresh, repeat once, 401: nobody's token is dead, and nothing is hammered."""
    server.login, server.answering = grants(), accepts()
    outcome = await genesys(server, session).execute(DELETE_TOKEN)
    assert outcome == CredentialFault(Reason.AUTH_UNAUTHORIZED, {"status": "401", "code": "bad.credentials"})
    assert (len(server.logins), len(server.heard)) == (2, 2)


async def test_a_request_without_a_token_is_not_refreshed(server: FakeProvider, session: aiohttp.ClientSession) -> None:
    """`authentication.required`: something takes our header off; another token would fare no better."""
    server.will_answer(401, {"code": "authentication.required"})
    outcome = await genesys(server, session).execute(DELETE_TOKEN)
    assert isinstance(outcome, Permanent)
    assert (len(server.logins), len(server.heard)) == (1, 1)


def test_every_status_of_a_login_is_transient_or_our_fault() -> None:
    """A login that fails dead-letters nobody's call, and a hold knows a refusal for one."""
    failed = [status for status in range(100, 600) if LOGIN[status] is not StatusMeaning.ACCEPTED]
    outcomes = {status: _refused(Answer(status, {}, b'{"error":"invalid_client"}')) for status in failed}
    waits = {status for status in failed if status in {408, 425, 429} or status < 200 or status // 100 == 5} - {501}
    assert {status for status, outcome in outcomes.items() if isinstance(outcome, Transient)} == waits
    refused = {status: outcome for status, outcome in outcomes.items() if isinstance(outcome, CredentialFault)}
    assert {*refused, *waits} == set(failed)
    assert {outcome.reason for outcome in refused.values()} == {Reason.AUTH_UNAUTHORIZED, Reason.AUTH_FORBIDDEN}


@pytest.mark.parametrize("status", [400, 401])
async def test_a_refused_login_is_a_credential_fault_that_tells_the_error(
    server: FakeProvider, session: aiohttp.ClientSession, status: int
) -> None:
    """RFC 6749 section 5.2: `invalid_client`."""

    async def refuse(_: web.Request) -> web.StreamResponse:
        return web.json_response({"error": "invalid_client", "error_description": CLIENT_SECRET}, status=status)

    server.login = refuse
    outcome = await genesys(server, session).execute(DELETE_TOKEN)
    detail = {"status": str(status), "during": "login", "error": "invalid_client"}
    assert outcome == CredentialFault(Reason.AUTH_UNAUTHORIZED, detail)
    assert server.heard == []


async def test_waiting_calls_share_the_login_that_failed(server: FakeProvider, session: aiohttp.ClientSession) -> None:
    """A hundred calls do not make a hundred refused logins."""

    async def refuse(_: web.Request) -> web.StreamResponse:
        return web.json_response({"error": "invalid_client"}, status=401)

    server.login = refuse
    provider = genesys(server, session)
    assert {type(outcome) for outcome in await attempts(provider, 100)} == {CredentialFault}
    assert len(server.logins) == 1
    server.login, server.answering = grants(), accepts("bearer-1")
    assert isinstance(await provider.execute(DELETE_TOKEN), Settled)


@pytest.mark.parametrize(
    ("answering", "reason"), [(silent, Reason.NET_TIMEOUT), (closing, Reason.NET_CONNECT)], ids=["silent", "closing"]
)
async def test_a_login_service_that_does_not_answer_is_transient(
    server: FakeProvider, session: aiohttp.ClientSession, answering: Answering, reason: Reason
) -> None:
    """Every call, first or waiting, is over within its own time budget."""
    server.login = answering
    async with asyncio.timeout(TIMEOUT):
        outcomes = await attempts(genesys(server, session, timeout=0.3), 10)
    assert {(type(outcome), getattr(outcome, "reason", "")) for outcome in outcomes} == {(Transient, reason)}
    assert server.heard == []


async def test_waiting_for_anothers_login_ends_with_ones_own_time(
    server: FakeProvider, session: aiohttp.ClientSession
) -> None:
    """A call whose time is nearly up does not wait for the login of one that has just begun."""
    server.login = silent
    edge = Edge(session, 60)
    request = client_credentials(endpoint(server.url, "oauth", "token"), "c", SecretStr(CLIENT_SECRET))
    login = Login(edge, lambda: request)
    beginner = asyncio.create_task(login.bearer(edge.deadline()))
    await asyncio.sleep(0)  # it holds the lock now
    async with asyncio.timeout(TIMEOUT):
        assert await login.bearer(Edge(session, 0.1).deadline()) == Transient(Reason.NET_TIMEOUT)
    beginner.cancel()
    with pytest.raises(asyncio.CancelledError):
        await beginner
    assert len(server.logins) <= 1


@pytest.mark.parametrize(
    "members",
    [
        {"access_token": None},
        {"access_token": ""},
        {"access_token": "a\r\nb"},
        {"access_token": 7},
        {"expires_in": math.inf},
    ],
)
async def test_a_login_without_a_usable_token_is_a_bad_reply(
    server: FakeProvider, session: aiohttp.ClientSession, members: dict[str, object]
) -> None:
    """What cannot stand in a header is never sent; and Infinity is no JSON."""
    server.login = grants(**members)
    outcome = await genesys(server, session).execute(DELETE_TOKEN)
    assert outcome == Transient(Reason.PROVIDER_BAD_REPLY, None, {"status": "200", "during": "login"})


@pytest.mark.parametrize(
    ("expires_in", "renewed_after"),
    [
        (3600, 3300),
        (86_400, 86_100),
        (3000, 2700),
        (600, 540),
        (100, 90),
        *((unreadable, 270) for unreadable in ("soon", None, True, -5, 0, 10**400, 366 * 86_400)),
    ],
    ids=lambda life: f"{life}"[:9],
)
async def test_a_token_is_renewed_before_it_ends(
    server: FakeProvider,
    session: aiohttp.ClientSession,
    monkeypatch: pytest.MonkeyPatch,
    expires_in: object,
    renewed_after: float,
) -> None:
    """Five minutes before its end, or a tenth of a shorter life; an unreadable life is the vendor's shortest, 300 s."""
    server.login, server.answering = grants(expires_in=expires_in), accepts("bearer-1", "bearer-2")
    step, provider = stepped(monkeypatch), genesys(server, session)
    for seconds, logins in ((0, 1), (renewed_after - 5, 1), (10, 2), (0, 2)):
        step(seconds)
        assert isinstance(await provider.execute(DELETE_TOKEN), Settled)
        assert len(server.logins) == logins, seconds
        assert server.heard[-1].headers["Authorization"] == f"Bearer bearer-{logins}"


async def test_the_life_of_a_token_begins_with_its_login(
    server: FakeProvider, session: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that is refused is replaced at once, and its successor is not renewed when it would have been itself."""
    server.login, server.answering = grants(expires_in=600), accepts("bearer-2", "bearer-3")
    step, provider = stepped(monkeypatch), genesys(server, session)
    await provider._login.bearer(asyncio.get_running_loop().time() + TIMEOUT)
    for seconds, logins in ((300, 2), (245, 2), (290, 2), (10, 3)):
        step(seconds)
        await provider.execute(DELETE_TOKEN)
        assert len(server.logins) == logins, seconds


def stepped(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Return what puts the event loop's clock forward by some seconds."""
    loop, ahead = asyncio.get_running_loop(), [0.0]
    real = loop.time
    monkeypatch.setattr(loop, "time", lambda: real() + sum(ahead))
    return ahead.append


async def test_a_check_logs_in_anew(server: FakeProvider, session: aiohttp.ClientSession) -> None:
    """The cached token says nothing of whether our credential is still accepted."""
    server.login, server.answering = grants(), accepts("bearer-1")
    provider = genesys(server, session)
    await provider.execute(DELETE_TOKEN)
    assert await provider.check() == Settled(State.ACCEPTED, "logged in")
    assert (len(server.logins), len(server.heard)) == (2, 2)
    assert server.heard[-1].headers["Authorization"] == "Bearer bearer-2"

"""The sandbox's providers: they tell the truth about every token, in their vendors' words."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import ClientResponse
from sandbox_caller import CIPHER, FINBOURNE, INVALIDATE, ME, TOKEN, USER, Caller, basic, sandbox

from tasks.providers.wibmo.ciphers.schemes import decrypt_json


@pytest.fixture
async def caller() -> AsyncIterator[Caller]:
    """Call a sandbox with the default settings."""
    async with sandbox() as one:
        yield one


async def code_of(answer: ClientResponse) -> tuple[int, str]:
    """Status and code of a Genesys error."""
    members = await answer.json()
    assert members["contextId"] == answer.headers["ININ-Correlation-Id"]
    assert members["status"] == answer.status
    return answer.status, str(members["code"])


async def test_a_genesys_token_is_live_until_it_revokes_itself(caller: Caller) -> None:
    """GET, HEAD and DELETE /tokens/me answer 200 before, and 401 bad.credentials after."""
    await caller.seed("genesys")
    statuses = [(await caller.ask(method, ME, TOKEN)).status for method in ("GET", "HEAD", "DELETE", "HEAD")]
    assert statuses == [200, 200, 200, 401]
    for method in ("GET", "DELETE"):
        assert await code_of(await caller.ask(method, ME, TOKEN)) == (401, "bad.credentials")
    assert await code_of(await caller.ask("GET", ME)) == (401, "authentication.required")


async def test_a_live_genesys_token_is_described_as_the_vendor_does(caller: Caller) -> None:
    """TokenInfo has no user id."""
    await caller.seed("genesys")
    info = await (await caller.ask("GET", f"{ME}?preserveIdleTTL=true", TOKEN)).json()
    assert set(info) == {"organization", "homeOrganization", "authorizedScope", "dateTokenIdles", "OAuthClient"}


async def test_deleting_a_users_tokens_kills_them_all(caller: Caller) -> None:
    """One call with the worker's token; a second one finds nothing live; nobody else is touched."""
    for number in range(3):
        await caller.seed("genesys", f"{TOKEN}-{number}", user_id=USER)
    await caller.seed("genesys", "other", user_id=str(uuid.uuid4()))
    worker = await caller.login()
    for _ in range(2):
        assert (await caller.ask("DELETE", f"/genesys/api/v2/tokens/{USER}", worker)).status == 200
    assert {(await caller.ask("HEAD", ME, f"{TOKEN}-{number}")).status for number in range(3)} == {401}
    assert (await caller.ask("HEAD", ME, "other")).status == 200
    kills = [entry for entry in await caller.journal() if entry["operation"] == "genesys.delete_token"]
    assert [(entry["key"], entry["revoked"]) for entry in kills] == [(USER, True), (USER, False)]


async def test_genesys_refuses_who_may_not_delete_and_whom_it_does_not_know(caller: Caller) -> None:
    """404 for a stranger or another organisation's user, 403 for a user's token, 401 for a dead or missing one."""
    await caller.seed("genesys-eu", TOKEN, user_id=USER)
    await caller.seed("genesys", "a-users-token")
    worker, path = await caller.login(), f"/genesys/api/v2/tokens/{USER}"
    assert await code_of(await caller.ask("DELETE", path, worker)) == (404, "not.found")
    assert await code_of(await caller.ask("DELETE", path, "a-users-token")) == (403, "missing.permissions")
    assert await code_of(await caller.ask("DELETE", path, "unheard-of")) == (401, "bad.credentials")
    assert await code_of(await caller.ask("DELETE", path)) == (401, "authentication.required")
    assert (await caller.ask("HEAD", "/genesys-eu/api/v2/tokens/me", TOKEN)).status == 200


async def test_a_worker_that_asks_for_me_kills_its_own_token(caller: Caller) -> None:
    """The trap of a badly built path is real here, too."""
    worker = await caller.login()
    assert (await caller.ask("DELETE", ME, worker)).status == 200
    assert await code_of(await caller.ask("DELETE", f"/genesys/api/v2/tokens/{USER}", worker)) == (
        401,
        "bad.credentials",
    )


@pytest.mark.parametrize("auth", [{}, basic(secret="wrong"), basic(client_id="who")])
async def test_a_login_with_wrong_credentials_is_refused_as_oauth_says(caller: Caller, auth: dict[str, str]) -> None:
    """RFC 6749 section 5.2, and the journal tells it from a call."""
    answer = await caller.ask("POST", "/genesys/oauth/token", data={"grant_type": "client_credentials"}, headers=auth)
    assert (answer.status, (await answer.json())["error"]) == (401, "invalid_client")
    assert [entry["operation"] for entry in await caller.journal()] == ["genesys.login"]


async def test_a_login_tells_how_long_its_token_lives_and_keeps_to_it() -> None:
    """After expires_in seconds the worker's token is dead."""
    async with sandbox(token_ttl_seconds=1) as caller:
        answer = await caller.ask("POST", "/genesys/oauth/token", data="grant_type=client_credentials", headers=basic())
        document = await answer.json()
        assert (document["token_type"], document["expires_in"]) == ("bearer", 1)
        deadline = time.monotonic() + 5
        while (await caller.ask("GET", ME, document["access_token"])).status == 200:
            assert time.monotonic() < deadline
            await asyncio.sleep(0.05)


async def test_the_idle_timeout_can_be_read_and_set_within_its_bounds(caller: Caller) -> None:
    """300 to 28800 seconds, anything else is 400 and changes nothing; what is not named stays."""
    worker, path = await caller.login(), "/genesys/api/v2/tokens/timeout"
    wanted = {"idleTokenTimeoutSeconds": 900, "enableIdleTokenTimeout": True}
    assert (await caller.ask("PUT", path, worker, json=wanted)).status == 200
    assert (await caller.ask("PUT", path, worker, json={"idleTokenTimeoutSeconds": 299})).status == 400
    assert await (await caller.ask("GET", path, worker)).json() == wanted
    assert (await caller.ask("PUT", path, worker, json={"enableIdleTokenTimeout": False})).status == 200
    assert await (await caller.ask("GET", path, worker)).json() == wanted | {"enableIdleTokenTimeout": False}


@pytest.mark.parametrize("path", [ME, FINBOURNE])
async def test_the_longest_token_that_an_event_may_carry_is_taken(caller: Caller, path: str) -> None:
    """8192 characters, in one header."""
    token = "t" * 8192
    await caller.seed("genesys" if path == ME else "finbourne", token)
    assert (await caller.ask("DELETE", path, token)).status in {200, 204}
    assert (await caller.ask("DELETE", path, token)).status == 401


async def test_a_worker_beyond_its_rate_limit_is_told_when_to_come_back() -> None:
    """Every answer counts aloud; 429 has Retry-After and kills nothing; another login has a count of its own."""
    async with sandbox(rate_limit_per_minute=2, auto_issue=True) as caller:
        worker, path = await caller.login(), f"/genesys/api/v2/tokens/{USER}"
        answers = [await caller.ask("DELETE", path, worker) for _ in range(3)]
        assert [answer.status for answer in answers] == [200, 200, 429]
        assert [answer.headers["inin-ratelimit-count"] for answer in answers] == ["1", "2", "3"]
        assert {answer.headers["inin-ratelimit-allowed"] for answer in answers} == {"2"}
        refused = answers[-1].headers
        assert 1 <= int(refused["Retry-After"]) == int(refused["inin-ratelimit-reset"]) <= 60
        assert (await caller.ask("DELETE", path, await caller.login())).status == 200


async def test_a_finbourne_token_dies_once(caller: Caller) -> None:
    """204 without a body, then LusidProblemDetails with 401."""
    await caller.seed("finbourne")
    first, second = [await caller.ask("DELETE", FINBOURNE, TOKEN) for _ in range(2)]
    assert (first.status, await first.read()) == (204, b"")
    problem = await second.json(content_type="application/problem+json")
    assert (second.status, problem["name"], problem["status"]) == (401, "Unauthorized", 401)
    assert problem["instance"].endswith((await caller.journal())[-1]["request_id"])


@pytest.mark.parametrize(
    ("shape", "codes"), [("flat", (100, None)), ("nested", (200, 100)), ("text", ("TOK200", None))]
)
async def test_wibmo_answers_encrypted_success_in_each_published_shape(shape: str, codes: tuple[Any, Any]) -> None:
    """HTTP 200, text/plain, and the truth inside."""
    async with sandbox(wibmo_success=shape) as caller:
        await caller.seed("wibmo")
        answer = await caller.invalidate()
        inside = decrypt_json(CIPHER, await answer.read())
        assert (answer.status, answer.content_type) == (200, "text/plain")
        assert (inside["resCode"], inside.get("data", {}).get("resCode")) == codes


async def test_wibmo_refuses_dead_references_and_wrong_keys_alike(caller: Caller) -> None:
    """401 Invalid Token Passed, which is why nobody may take it for success."""
    await caller.seed("wibmo")
    answers = [await caller.invalidate(api_key="wrong"), await caller.invalidate("unknown")]
    assert (await caller.invalidate()).status == 200
    answers.append(await caller.invalidate())
    assert {(answer.status, await answer.text()) for answer in answers} == {(401, "Invalid Token Passed")}


async def test_wibmo_can_be_told_to_accept_a_repeated_invalidation() -> None:
    """Which of both the vendor does is not published; a reference nobody knows stays refused."""
    async with sandbox(wibmo_repeated="accepted") as caller:
        await caller.seed("wibmo")
        assert [(await caller.invalidate()).status for _ in range(2)] == [200, 200]
        assert (await caller.invalidate("unknown")).status == 401
        assert [entry["revoked"] for entry in await caller.journal()] == [True, False, False]


async def test_wibmo_refuses_what_it_cannot_read(caller: Caller) -> None:
    """A body in clear is 400, another content type is 415."""
    for content_type, status in (("text/plain", 400), ("application/json", 415)):
        headers = {"X-API-KEY": "sandbox-api-key", "Content-Type": content_type}
        async with caller.session.post(INVALIDATE, data=b'{"tokenReferenceId":"x"}', headers=headers) as answer:
            assert answer.status == status


async def test_with_auto_issue_a_load_test_needs_no_seeds() -> None:
    """Unknown `sbx-` tokens, references and user ids are live on first sight, once."""
    async with sandbox(auto_issue=True) as caller:
        worker = await caller.login()
        for _ in range(2):
            await caller.ask("DELETE", ME, "sbx-1")
            await caller.ask("DELETE", FINBOURNE, "sbx-1")
            await caller.ask("DELETE", f"/genesys/api/v2/tokens/{USER}", worker)
            await caller.invalidate("sbx-1")
        seen = [entry for entry in await caller.journal() if entry["operation"] != "genesys.login"]
        assert [(entry["revoked"], entry["status"]) for entry in seen] == [
            *[(True, 200), (True, 204), (True, 200), (True, 200)],
            *[(False, 401), (False, 401), (False, 200), (False, 401)],
        ]
        assert (await caller.ask("DELETE", ME, "not-ours")).status == 401

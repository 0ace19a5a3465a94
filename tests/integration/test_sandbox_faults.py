"""The sandbox's scripted faults: who is met, how often, and whether the token died of it."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator

import aiohttp
import pytest
from sandbox_caller import FINBOURNE, ME, TOKEN, USER, Caller, sandbox
from servers.waiting import eventually

from tasks.providers.wibmo.ciphers.config import CipherConfig
from tasks.providers.wibmo.ciphers.schemes import CipherError, decrypt_json, make_cipher


@pytest.fixture
async def caller() -> AsyncIterator[Caller]:
    """Call a sandbox with the default settings."""
    async with sandbox() as one:
        yield one


async def test_faults_take_their_turns(caller: Caller) -> None:
    """503 twice, then 429 with a Retry-After of any value, then fine; only the last request revokes."""
    await caller.seed("genesys")
    await caller.script(
        {"provider": "genesys", "match": TOKEN, "fault": "status", "status": 503, "times": 2},
        {"match": "*", "fault": "status", "status": 429, "retry_after": "soon, maybe", "times": 1},
    )
    answers = [await caller.ask("DELETE", ME, TOKEN) for _ in range(4)]
    assert [answer.status for answer in answers] == [503, 503, 429, 200]
    assert answers[2].headers["Retry-After"] == "soon, maybe"
    assert [entry["revoked"] for entry in await caller.journal()] == [False, False, False, True]


async def test_a_fault_meets_only_whom_it_is_meant_for(caller: Caller) -> None:
    """By provider, by user id, by operation; logins and checks only when they are named."""
    await caller.seed("genesys", user_id=USER)
    await caller.script(
        {"provider": "genesys", "match": USER, "fault": "status", "status": 403},
        {"provider": "finbourne", "fault": "status", "status": 500},
        {"provider": "genesys", "operation": "genesys.get_tokens_me", "fault": "status", "status": 504},
    )
    worker = await caller.login()
    asked = [("DELETE", f"/genesys/api/v2/tokens/{USER}"), ("DELETE", FINBOURNE), ("GET", ME), ("HEAD", ME)]
    assert [(await caller.ask(method, path, worker)).status for method, path in asked] == [403, 500, 504, 200]
    await caller.script({"provider": "genesys", "operation": "*", "fault": "status", "status": 503})
    assert (await caller.ask("POST", "/genesys/oauth/token")).status == 503
    assert (await caller.ask("DELETE", "/_sandbox/faults")).status == 204
    assert (await caller.ask("DELETE", ME, TOKEN)).status == 200


@pytest.mark.parametrize("status", [204, 302, 400, 401, 403, 404, 408, 429, 500, 501, 503])
async def test_any_status_can_be_scripted_at_every_provider(caller: Caller, status: int) -> None:
    """In the vendor's shape, with a Location where one is given; nothing dies of it."""
    location = "https://login.invalid/"
    await caller.script({"fault": "status", "status": status, "location": location})
    answers = [await caller.ask("DELETE", ME, TOKEN), await caller.ask("DELETE", FINBOURNE, TOKEN)]
    answers.append(await caller.invalidate())
    assert {(answer.status, answer.headers["Location"]) for answer in answers} == {(status, location)}
    assert not any(entry["revoked"] for entry in await caller.journal())


@pytest.mark.parametrize(("kind", "revoked", "after"), [("reset", False, 200), ("reset_after", True, 401)])
async def test_a_reset_hides_the_answer(caller: Caller, kind: str, after: int, *, revoked: bool) -> None:
    """A real RST, before or after the token died; the caller cannot know which."""
    await caller.seed("wibmo")
    await caller.script({"fault": kind, "times": 1})
    with pytest.raises(aiohttp.ClientOSError, match="reset by peer"):
        await caller.invalidate()
    assert (await caller.invalidate()).status == after
    first = (await caller.journal())[0]
    assert (first["status"], first["revoked"], first["fault"]) == (None, revoked, kind)


@pytest.mark.parametrize("kind", ["slow", "slow_body"])
async def test_a_slow_provider_revokes_at_once_and_answers_late(caller: Caller, kind: str) -> None:
    """Who hangs up early has revoked all the same, and the journal says so meanwhile."""
    await caller.seed("genesys")
    await caller.script({"fault": kind, "seconds": 0.4, "times": 1})
    started = time.monotonic()
    asking = asyncio.create_task(caller.ask("DELETE", ME, TOKEN))
    entries = await eventually(caller.journal)
    assert (entries[0]["revoked"], asking.done()) == (True, False)
    assert (await asking).status == 200
    assert time.monotonic() - started >= 0.4


@pytest.mark.parametrize("kind", ["wrong_key", "malformed"])
@pytest.mark.parametrize(
    "cipher",
    [
        {"scheme": "aes-gcm", "key": "00" * 16, "key_encoding": "hex"},
        {"scheme": "aes-cbc", "key": "k" * 24, "key_encoding": "raw", "iv": "fixed", "fixed_iv": "i" * 16},
        {"scheme": "jwe", "key": "00" * 32, "key_encoding": "hex"},
        {"scheme": "none", "accept_risk": "none"},
    ],
    ids=lambda cipher: cipher["scheme"],
)
async def test_an_answer_of_another_key_or_of_no_cipher_revokes_nothing(cipher: dict[str, str], kind: str) -> None:
    """Status 200 alone proves nothing."""
    ours = make_cipher(CipherConfig.model_validate(cipher))
    async with sandbox(cipher=cipher, auto_issue=True) as caller:
        await caller.script({"provider": "wibmo", "fault": kind, "times": 1})
        answers = [await caller.invalidate("sbx-1", cipher=ours) for _ in range(2)]
        assert [answer.status for answer in answers] == [200, 200]
        with pytest.raises(CipherError):
            decrypt_json(ours, await answers[0].read())
        assert decrypt_json(ours, await answers[1].read())["resCode"] == 100
        assert [entry["revoked"] for entry in await caller.journal()] == [False, True]


@pytest.mark.parametrize(("path", "status"), [(ME, 200), (FINBOURNE, 200)])
async def test_a_malformed_answer_is_no_json(caller: Caller, path: str, status: int) -> None:
    """What a broken proxy makes of an answer."""
    await caller.script({"fault": "malformed"})
    answer = await caller.ask("DELETE", path, TOKEN)
    assert answer.status == status
    with pytest.raises(json.JSONDecodeError):
        await answer.json()

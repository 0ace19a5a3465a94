"""The sandbox's own door: the journal that judges the worker, the orders it takes, its start and its end."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import ClientSession
from sandbox_caller import CONFIG, FINBOURNE, ME, TOKEN, Caller, sandbox

from tasks.providers.finbourne import FinbourneSettings
from tasks.providers.genesys import GenesysSettings
from tasks.providers.wibmo import WibmoSettings
from worker.sandbox import sandbox_providers, serve


@pytest.fixture
async def caller() -> AsyncIterator[Caller]:
    """Call a sandbox with the default settings."""
    async with sandbox() as one:
        yield one


async def test_the_journal_tells_everything_but_the_token(caller: Caller) -> None:
    """In order, by number, with the digest of a token or the plain user id."""
    await caller.seed("genesys")
    await caller.ask("DELETE", ME, TOKEN)
    await caller.ask("PATCH", "/genesys/nowhere", TOKEN)
    first, second = await caller.journal()
    expected = {
        "n": 1,
        "provider": "genesys",
        "operation": "genesys.delete_tokens_me",
        "key": hashlib.sha256(TOKEN.encode()).hexdigest(),
        "status": 200,
        "revoked": True,
        "fault": None,
    }
    assert first.items() > expected.items()
    assert (second["operation"], second["status"], second["n"]) == ("other", 404, 2)
    assert set(first) == {*expected, "at", "request_id"}


async def test_the_journal_is_read_in_parts_and_forgets_the_oldest() -> None:
    """Numbers go on, so a reader sees what it missed; clearing does not start again."""
    async with sandbox(journal_entries=3) as caller:
        for _ in range(5):
            await caller.ask("DELETE", ME, TOKEN)
        numbers = [
            [entry["n"] for entry in await caller.journal(q)] for q in ("", "?since=4", "?since=2&limit=1", "?since=9")
        ]
        assert numbers == [[3, 4, 5], [5], [3], []]
        await caller.ask("DELETE", "/_sandbox/journal")
        await caller.ask("DELETE", ME, TOKEN)
        assert [entry["n"] for entry in await caller.journal()] == [6]
        assert (await caller.ask("GET", "/_sandbox/journal?since=x")).status == 400


async def test_the_journal_file_outlives_the_sandbox(tmp_path: Path) -> None:
    """Each line is there before its answer, so not even a kill loses one."""
    path = tmp_path / "journal.jsonl"
    for _ in range(2):
        async with sandbox(journal_file=path, journal_entries=1) as caller:
            for _ in range(2):
                await caller.ask("DELETE", ME, TOKEN)
                assert json.loads(path.read_text().splitlines()[-1]) == (await caller.journal())[-1]
    assert [json.loads(line)["n"] for line in path.read_text().splitlines()] == [1, 2, 1, 2]


async def test_faults_can_be_there_from_the_start(tmp_path: Path) -> None:
    """From a file, for a whole process."""
    path = tmp_path / "faults.json"
    path.write_text('[{"provider": "finbourne", "fault": "status", "status": 502}]')
    async with sandbox(faults_file=path) as caller:
        assert (await caller.ask("DELETE", FINBOURNE, TOKEN)).status == 502


@pytest.mark.parametrize(
    ("path", "document", "status"),
    [
        ("tokens", [{"provider": "okta", "token": TOKEN}], 404),
        ("tokens", [{"provider": "genesys"}], 400),
        ("tokens", [{"provider": "genesys", "token": TOKEN, "token_reference_id": TOKEN}], 400),
        ("faults", [{"fault": "explode", "match": TOKEN}], 400),
        ("faults", [{"fault": "status", "status": TOKEN}], 400),
        ("faults", {"fault": TOKEN}, 400),
    ],
)
async def test_a_bad_order_is_refused_without_repeating_it(
    caller: Caller, path: str, document: object, status: int
) -> None:
    """A typing error in a test is told at once, and what may be a token is not."""
    answer = await caller.ask("POST", f"/_sandbox/{path}", json=document)
    assert answer.status == status
    assert TOKEN not in await answer.text()


async def test_the_sandbox_serves_until_it_is_cancelled() -> None:
    """On a free port, told when it is ready; the documents it hands out fit the workers' settings."""
    ready: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    serving = asyncio.create_task(serve(CONFIG, on_ready=ready.set_result))
    base_url = await asyncio.wait_for(ready, 5)
    async with ClientSession(base_url) as session, session.get("/_sandbox/health") as answer:
        assert set((await answer.json())["providers"]) == set(sandbox_providers(base_url))
    serving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await serving


def test_the_documents_for_a_worker_fit_its_settings() -> None:
    """Four instances, the cipher included, that are valid as they stand and survive JSON."""
    documents = json.loads(json.dumps(sandbox_providers("http://127.0.0.1:8080")))
    assert FinbourneSettings.model_validate(documents["finbourne"])
    assert WibmoSettings.model_validate(documents["wibmo"]).cipher == CONFIG.cipher
    settings = [GenesysSettings.model_validate(documents[name]) for name in ("genesys", "genesys-eu")]
    assert len({each.api_base_url for each in settings}) == len({each.subject_issuer for each in settings}) == 2

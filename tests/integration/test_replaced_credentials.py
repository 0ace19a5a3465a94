"""Credentials replaced while a worker runs: real files, a real HTTP server that knows which secret is the right one."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from aiohttp.typedefs import Handler
from certificates import Authority
from provider_calls import session_call

from tasks.outcome import Outcome, Settled
from tasks.providers.provider import Provider
from tasks.sealing import KeyRing, generate_key, load_keys, save_key, seal
from worker.calls.key_uses import KeyUses
from worker.calls.providers import Instances
from worker.calls.reload import SecretsWatch
from worker.database.thread import DatabaseThread
from worker.ledger import Ledger
from worker.observability import logs
from worker.sandbox import SandboxConfig, make_app, sandbox_providers
from worker.settings import Settings

SECRET = "providers__genesys__client_secret"
MARKER = "no header takes this: it has spaces"
USER = "4f1d6a0e-8d5b-4b7e-9b0c-2a1f0d6c9e77"


class Rig:
    """The instances and keys of a worker whose secrets lie in *home*, and the watch over them."""

    def __init__(self, home: Path, url: str, answering: asyncio.Event) -> None:
        self.home, self.url, self.answering, self.replaced = home, url, answering, list[str]()
        answering.set()
        for folder in ("keys", "secrets"):
            (home / folder).mkdir()
        save_key(home / "keys", generate_key("old"))
        self.put("subject_key", "k" * 32)
        self.put("keys_dir", str(home / "keys"))
        self.put("providers", json.dumps({name: _bare(each) for name, each in sandbox_providers(url).items()}))
        self.put(SECRET, "sandbox-client-secret")
        self.put("providers__genesys-eu__client_secret", "sandbox-client-secret")
        self.put("providers__wibmo__api_key", "sandbox-api-key")
        settings = Settings.load()
        self.ring = load_keys(settings.keys_dir)
        self.instances = Instances(settings, self.ring, self.replaced.append)
        self.watch = SecretsWatch(settings.keys_dir, self.ring, self.instances.take_up, self.instances.files)

    def put(self, name: str, value: str, mode: int = 0o600) -> None:
        """Write a secret file, as an operator does: not at once, but in place."""
        (self.home / "secrets" / name).write_text(value)
        (self.home / "secrets" / name).chmod(mode)

    async def looks(self, times: int = 2) -> None:
        """Have the watch look; what has changed is taken up at the second look."""
        for _ in range(times):
            await self.watch.look()

    def genesys(self) -> Provider:
        """The instance in force."""
        found = self.instances.get("genesys")
        assert found
        return found

    async def disable(self) -> Outcome:
        """Make a call with the worker's own credential."""
        call = session_call("e1", "genesys", operation="genesys.delete_token", user_id=USER)
        return await self.genesys().execute(call)

    async def at_sandbox(self, method: str, what: str, document: object = None) -> Any:
        """Say something at the sandbox's own door."""
        async with (
            aiohttp.ClientSession() as session,
            session.request(method, f"{self.url}/_sandbox/{what}", json=document) as answer,
        ):
            assert answer.ok
            return await answer.json() if answer.status == 200 else None


def _bare(provider: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in provider.items() if name not in {"client_secret", "api_key"}}


@pytest.fixture
async def rig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Rig]:
    """A rig at a sandbox that answers while the rig has it `answering`."""
    monkeypatch.setenv("REVOKER_SECRETS_DIR", str(tmp_path / "secrets"))
    monkeypatch.chdir(tmp_path)
    sandbox, answering = make_app(SandboxConfig(auto_issue=True)), asyncio.Event()

    @web.middleware
    async def when_told(request: web.Request, handler: Handler) -> web.StreamResponse:
        answer = await handler(request)
        await answering.wait()
        return answer

    sandbox.middlewares.append(when_told)
    async with TestServer(sandbox) as server:
        made = Rig(tmp_path, str(server.make_url("")).rstrip("/"), answering)
        await made.instances.open()
        await made.looks()
        yield made
        await made.instances.close()


def said(caplog: pytest.LogCaptureFixture, what: str) -> list[logging.LogRecord]:
    """The lines of that name."""
    return [record for record in caplog.records if record.message == what]


async def test_a_new_client_secret_is_used_from_the_next_call_on(rig: Rig) -> None:
    """The token that was bought with the old one is dropped: the first thing that the provider hears is a login."""
    assert isinstance(await rig.disable(), Settled)
    before = len(await rig.at_sandbox("GET", "journal"))
    await rig.at_sandbox("PUT", "client-secret", {"client_secret": "another-secret"})
    rig.put(SECRET, "another-secret")
    await rig.looks()
    assert isinstance(await rig.disable(), Settled)
    asked = (await rig.at_sandbox("GET", "journal"))[before:]
    assert [each["operation"] for each in asked] == ["genesys.login", "genesys.delete_token"]
    assert rig.replaced == ["genesys"]


async def test_a_call_in_flight_finishes_with_what_it_began(rig: Rig) -> None:
    """It keeps instance, session and token, whatever is put in their place."""
    await rig.disable()
    before = len(await rig.at_sandbox("GET", "journal"))
    rig.answering.clear()
    in_flight = asyncio.create_task(rig.disable())
    await asyncio.sleep(0)
    rig.put(SECRET, "wrong-secret")
    await rig.looks()
    assert rig.replaced == ["genesys"]
    assert not in_flight.done()
    rig.answering.set()
    assert isinstance(await in_flight, Settled)
    asked = (await rig.at_sandbox("GET", "journal"))[before:]
    assert [each["operation"] for each in asked] == ["genesys.delete_token"]


@pytest.mark.parametrize(
    ("value", "mode"), [(MARKER, 0o600), ("", 0o600), ("good-but-open-to-all", 0o644)], ids=["unfit", "empty", "open"]
)
async def test_an_ill_formed_secret_is_refused_in_one_line_and_the_old_one_serves(
    rig: Rig, caplog: pytest.LogCaptureFixture, value: str, mode: int
) -> None:
    """The line names the setting and no value; a good one is taken up later."""
    rig.put(SECRET, value, mode)
    await rig.looks(4)
    [line] = said(caplog, "settings.refused")
    assert "genesys" in line.__dict__["error"]
    assert "client_secret" in line.__dict__["error"]
    assert not value or value not in str(line.__dict__)
    assert isinstance(await rig.disable(), Settled)
    assert not rig.replaced
    rig.put(SECRET, "good")
    await rig.looks()
    assert rig.replaced == ["genesys"]


async def test_a_secret_that_is_being_written_is_left_alone(rig: Rig) -> None:
    """Half a secret is well-formed: only what stood still from one look to the next is read."""
    for part in ("ano", "another", "another-secret"):
        rig.put(SECRET, part)
        await rig.looks(1)
    assert not rig.replaced
    await rig.looks(1)
    assert rig.replaced == ["genesys"]


@pytest.mark.parametrize("name", ["providers__wibmo__api_key", "providers__wibmo__cipher__key"])
async def test_api_keys_and_cipher_keys_are_replaced_as_well(rig: Rig, name: str) -> None:
    """The instance of that provider alone."""
    before = {each: rig.instances.get(each) for each in ("genesys", "finbourne", "wibmo")}
    rig.put(name, "another-key-of-32-bytes-for-aes-")
    document = json.loads((rig.home / "secrets/providers").read_text())
    if name.endswith("cipher__key"):
        del document["wibmo"]["cipher"]["key"]
        rig.put("providers", json.dumps(document))
    await rig.looks()
    assert [each for each, old in before.items() if rig.instances.get(each) is not old] == ["wibmo"]


async def test_a_renewed_certificate_is_shown_from_the_next_call_on(rig: Rig) -> None:
    """Under the same path, as what renews certificates writes it; the others' instances stay."""
    authority = Authority(rig.home / "authority")
    mine = str(authority.issue("worker"))
    document = json.loads((rig.home / "secrets/providers").read_text())
    document["finbourne"]["tls"] = {"ca_file": str(authority.file), "certificate_file": mine, "key_file": mine}
    rig.put("providers", json.dumps(document))
    await rig.looks()
    authority.issue("worker")
    await rig.looks()
    assert rig.replaced == ["finbourne", "finbourne"]


async def test_a_certificate_that_fits_no_key_is_refused_and_the_old_one_serves(
    rig: Rig, caplog: pytest.LogCaptureFixture
) -> None:
    """It is told by the name of its setting; the pair that fits is taken up later."""
    authority = Authority(rig.home / "authority")
    mine = authority.issue("worker")
    document = json.loads((rig.home / "secrets/providers").read_text())
    document["finbourne"]["tls"] = {"certificate_file": str(mine), "key_file": str(mine)}
    rig.put("providers", json.dumps(document))
    await rig.looks()
    good = mine.read_bytes()
    mine.write_text("half a certificate")
    await rig.looks()
    [line] = said(caplog, "settings.refused")
    assert "certificate_file" in line.__dict__["error"]
    mine.write_bytes(good)
    await rig.looks()
    assert rig.replaced == ["finbourne", "finbourne"]


async def test_what_needs_a_restart_is_named(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    """An operator must not take a setting for being in force that is not."""
    rig.put("environment", "staging")
    await rig.looks(3)
    [line] = said(caplog, "settings.need_restart")
    assert line.__dict__["settings"] == ["environment"]


async def test_log_levels_are_taken_up(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    """By the worker with its other settings; they need no restart."""
    before = {name: logging.getLogger(name).level for name in ("", "celery", "tasks", "worker", *logs._CHATTY)}
    rig.put("log_level", "DEBUG")
    try:
        await rig.looks(3)
        assert logging.getLogger("worker").level == logging.DEBUG
    finally:
        for name, level in before.items():
            logging.getLogger(name).setLevel(level)
    assert len(said(caplog, "log.levels_changed")) == 1
    assert said(caplog, "settings.need_restart") == []


async def test_a_retired_key_is_dropped_and_a_new_one_taken_up(rig: Rig) -> None:
    """Within two looks, also when no message asks for it."""
    path = save_key(rig.home / "keys", generate_key("new"))
    await rig.looks()
    assert [*rig.ring.kids] == ["new", "old"]
    path.unlink()
    await rig.looks()
    assert [*rig.ring.kids] == ["old"]


async def test_an_unfit_key_is_refused_in_one_line(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    """It names the setting and the file; the keys that were there serve on."""
    save_key(rig.home / "keys", generate_key("new")).chmod(0o644)
    await rig.looks(4)
    [line] = said(caplog, "settings.refused")
    assert line.__dict__["error"].startswith("keys_dir: the key file new.jwk.json")
    assert [*rig.ring.kids] == ["old"]


async def test_uses_of_keys_reach_the_ledger_also_when_it_was_away(tmp_path: Path) -> None:
    """What could not be told is told the next time."""
    key = generate_key("k1")
    ring, desk = KeyRing([key]), DatabaseThread(f"sqlite:///{tmp_path / 'ledger.sqlite3'}")
    uses = KeyUses(ring, desk)
    ring.open(seal("a-token", "genesys", key), "genesys")
    await uses.report()  # not migrated: away
    ledger = Ledger.open(f"sqlite:///{tmp_path / 'ledger.sqlite3'}")
    ledger.upgrade()
    await uses.report()
    [(kid, need)] = ledger.key_needs(datetime.now(UTC)).items()
    assert kid == "k1"
    assert need.last_used
    ledger.close()
    desk.close()

"""Streams of shared signals, managed by their receiver (openid/sharedsignals#315): made, verified, paused, deleted."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final

import pytest
from click.testing import CliRunner, Result
from door_peer import ISSUER, Idp
from prepared_ledgers import prepare
from set_transmitter import AUDIENCE, Transmitter

from tasks.doors.streams import well_known
from worker.cli import main

SECRET: Final = "the-token-that-the-transmitter-gave-us"
SHOWN: Final = "what-the-transmitter-shows-us-0123456789"
Run = Callable[..., Awaitable[Result]]


@pytest.fixture
def transmitter(tmp_path: Path) -> Transmitter:
    """One whose streams can be managed."""
    for name, secret in (("token", SECRET), ("shown", SHOWN)):
        (tmp_path / name).write_text(secret)
        (tmp_path / name).chmod(0o600)
    return Transmitter(Idp(tmp_path), SECRET)


@pytest.fixture
def run(tmp_path: Path, transmitter: Transmitter, monkeypatch: pytest.MonkeyPatch) -> Run:
    """A command of an installation with a door for that transmitter."""
    door = {
        "kind": "security-event-tokens",
        "issuer": ISSUER,
        "audience": AUDIENCE,
        "jwks_file": str(transmitter.idp.jwks),
        "bearer_file": str(tmp_path / "shown"),
        "access_token_file": str(tmp_path / "token"),
        "transmitter_url": f"{transmitter.url}/.well-known/ssf-configuration/tenant",
    }
    values: dict[str, Any] = {
        "LEDGER_URL": f"sqlite:///{tmp_path / 'ledger.sqlite3'}",
        "SUBJECT_KEY": "subject-key-of-a-test-installation",
        "DOORS": json.dumps({"signals": door}),
        "SOURCES": json.dumps({"signals": {"source": ISSUER, "doors": ["signals"]}}),
    }
    for name, value in values.items():
        monkeypatch.setenv(f"REVOKER_{name}", value)
    monkeypatch.chdir(tmp_path)
    prepare(values["LEDGER_URL"])
    return lambda *arguments: asyncio.to_thread(CliRunner().invoke, main, ["streams", *arguments])


async def test_a_stream_is_made_verified_paused_and_deleted(run: Run, transmitter: Transmitter) -> None:
    """Each is agreed to, done at the transmitter, and in the audit; a dry run does nothing."""
    why = ("--reason", "set up", "--yes")
    async with transmitter.serving():
        dry = await run("create", "signals", "--reason", "set up", "--dry-run")
        assert (dry.exit_code, transmitter.streams) == (0, {})
        pushed = await run("create", "signals", "--push", "https://revoker.example.com/signals", *why)
        assert pushed.exit_code == 0, pushed.output
        delivery = transmitter.streams["s0"]["delivery"]
        assert delivery["method"] == "urn:ietf:rfc:8935"
        assert delivery["authorization_header"] == f"Bearer {SHOWN}"
        assert SHOWN not in pushed.output
        polled = await run("create", "signals", *why)
        assert f'doors.signals.poll_url = "{transmitter.url}/poll"' in polled.output
        assert AUDIENCE in polled.output
        assert (await run("verify", "signals", "s0", *why)).exit_code == 0
        assert (await run("status", "signals", "s0", "paused", *why)).exit_code == 0
        listed = json.loads((await run("list", "signals", "-o", "json")).stdout)["items"]
        assert [(each["stream_id"], each["status"], each["method"]) for each in listed] == [
            ("s0", "paused", "push"),
            ("s1", "enabled", "poll"),
        ]
        assert (await run("delete", "signals", "s0", *why)).exit_code == 0
        gone = await run("delete", "signals", "s0", *why)
        assert gone.exit_code == 1
        assert "provider.no_endpoint" in gone.output
        assert transmitter.streams.keys() == {"s1"}
    audit = await asyncio.to_thread(CliRunner().invoke, main, ["audit", "list", "-o", "json"])
    actions = [each["action"] for each in json.loads(audit.stdout)["items"]]
    assert sorted({*actions}) == ["streams.create", "streams.delete", "streams.status", "streams.verify"]


async def test_what_another_issuer_says_of_itself_is_not_believed(run: Run, transmitter: Transmitter) -> None:
    """Our token is shown to nobody then; a transmitter that is away, and a door that is none, are told in a line."""
    transmitter.issuer = "https://evil.example.com"
    async with transmitter.serving():
        refused = await run("list", "signals")
        assert (refused.exit_code, "transmitter.of_another_issuer" in refused.output) == (1, True)
        assert (await run("create", "signals", "--push", "http://example.com", "--reason", "r", "--yes")).exit_code == 2
    away = await run("list", "signals")
    assert (away.exit_code, "net.connect" in away.output) == (1, True)
    assert "the door must be one of: signals" in (await run("list", "other")).output
    assert well_known("https://tr.example.com/a/") == "https://tr.example.com/.well-known/ssf-configuration/a"

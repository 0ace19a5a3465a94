"""`revoker provider` and `revoker genesys`, against a sandbox in a process of its own."""

import json

import pytest
from cli_installation import TOKEN, Installation, tell
from servers import Daemon

pytest_plugins = ["cli_fixtures"]
GENESYS = ("--instance", "genesys")


@pytest.fixture
def live(installation: Installation, sandbox: Daemon) -> Installation:
    """An installation whose marker token is live at genesys."""
    tell(sandbox, "tokens", {"provider": "genesys", "token": TOKEN})
    return installation


def test_the_configured_providers_are_listed(installation: Installation) -> None:
    """Name, kind, host, operations, whether the worker's credential is there, and how many calls it may make."""
    items = {item["name"]: item for item in installation.json("provider", "list")["items"]}
    assert items["genesys"]["operations"] == ["genesys.delete_tokens_me", "genesys.delete_token"]
    assert items["genesys"]["host"] == "127.0.0.1:9"
    assert {name: item["credential"] for name, item in items.items()} == {
        "genesys": "present",
        "genesys-eu": "present",
        "finbourne": "not needed",
        "wibmo": "present",
    }
    assert {name: item["calls_per_minute"] for name, item in items.items()} == {
        "genesys": 300,
        "genesys-eu": 300,
        "finbourne": None,
        "wibmo": None,
    }


def test_a_check_succeeds_where_calls_would(live: Installation) -> None:
    """Every provider over real HTTP, nothing revoked."""
    assert all(item["ok"] for item in live.json("provider", "check")["items"])
    live.run("genesys", "verify", *GENESYS, stdin=TOKEN)


def test_a_check_fails_where_nobody_answers(installation: Installation) -> None:
    """Exit code 1, and the reason."""
    assert "net.connect" in installation.run("provider", "check", "finbourne", code=1).stdout
    assert "nobody" in installation.run("provider", "check", "nobody", code=2).stderr


def test_a_token_is_asked_about_from_stdin(live: Installation) -> None:
    """GetTokensMe: scopes and organization, never the token."""
    assert live.json("genesys", "token-info", *GENESYS, stdin=f"{TOKEN}\n")["schema"] == "revoker.genesys_token/1"


def test_a_live_token_is_accepted_and_a_dead_one_is_not(live: Installation) -> None:
    """HeadTokensMe: exit codes 0 and 1."""
    assert live.json("genesys", "verify", *GENESYS, stdin=TOKEN)["accepted"] is True
    assert live.json("genesys", "verify", *GENESYS, stdin="never-issued", code=1)["accepted"] is False


def test_the_instance_must_be_clear(installation: Installation) -> None:
    """Two organizations are configured: guessing would ask the wrong one."""
    assert "genesys, genesys-eu" in installation.run("genesys", "verify", stdin=TOKEN, code=2).stderr


def test_the_idle_timeout_is_set_with_consent_and_on_record(live: Installation) -> None:
    """It concerns every user: asked for, accounted for."""
    live.run("genesys", "idle-timeout", "set", "900", *GENESYS, code=2)
    live.run("genesys", "idle-timeout", "set", "900", *GENESYS, "--dry-run")
    assert live.desk.ledger.audits() == []
    result = live.run("genesys", "idle-timeout", "set", "900", *GENESYS, "--yes", "--reason", "policy 7")
    assert live.json("genesys", "idle-timeout", "get", *GENESYS)["seconds"] == 900
    [entry] = live.desk.ledger.audits()
    assert (entry.action, entry.scope, entry.reason) == ("genesys.idle-timeout.set", "genesys 900", "policy 7")
    assert entry.audit_id in result.stderr


def test_a_refused_credential_is_not_permitted(live: Installation) -> None:
    """Exit code 77."""
    providers = json.loads(live.setting("providers"))
    providers["genesys"]["client_secret"] = "wrong"
    live.set("providers", json.dumps(providers))
    assert "auth.unauthorized" in live.run("genesys", "idle-timeout", "get", *GENESYS, code=77).stderr

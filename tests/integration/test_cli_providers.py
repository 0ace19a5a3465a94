"""`revoker provider` and `revoker genesys`, against a sandbox in a process of its own."""

import json

import pytest
from cli_installation import TOKEN, Installation, tell
from ledger_figures import audits
from replay_desk import dead_call
from servers import Daemon

from worker.calls.holds import store

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
    assert audits(live.desk.ledger) == []
    result = live.run("genesys", "idle-timeout", "set", "900", *GENESYS, "--yes", "--reason", "policy 7")
    assert live.json("genesys", "idle-timeout", "get", *GENESYS)["seconds"] == 900
    [entry] = audits(live.desk.ledger)
    assert (entry.action, entry.scope, entry.reason) == ("genesys.idle-timeout.set", "genesys 900", "policy 7")
    assert entry.audit_id in result.stderr


def test_the_idle_timeout_is_switched_with_consent_and_on_record(live: Installation) -> None:
    """PutTokensTimeout: "Update or Enable/Disable". The time that is set stays."""
    live.run("genesys", "idle-timeout", "set", "900", *GENESYS, "--yes")
    for verb, is_on in (("disable", False), ("enable", True)):
        live.run("genesys", "idle-timeout", verb, *GENESYS, code=2)
        plan = live.run("genesys", "idle-timeout", verb, *GENESYS, "--dry-run").stderr
        assert live.json("genesys", "idle-timeout", "get", *GENESYS)["enabled"] is not is_on
        done = live.run("genesys", "idle-timeout", verb, *GENESYS, "--yes", "--reason", "policy 8")
        shown = live.json("genesys", "idle-timeout", "get", *GENESYS)
        assert (shown["seconds"], shown["enabled"]) == (900, is_on)
        entry = audits(live.desk.ledger)[0]
        assert (entry.action, entry.scope, entry.reason) == (f"genesys.idle-timeout.{verb}", "genesys", "policy 8")
        assert entry.audit_id in done.stderr
        assert ("on, after 900 s" if is_on else "off, 900 s if it were on") in plan
        assert entry.result == ("was off, 900 s if it were on" if is_on else "was on, after 900 s")


def test_a_refused_credential_is_not_permitted(live: Installation) -> None:
    """Exit code 77."""
    providers = json.loads(live.setting("providers"))
    providers["genesys"]["client_secret"] = "wrong"
    live.set("providers", json.dumps(providers))
    assert "auth.unauthorized" in live.run("genesys", "idle-timeout", "get", *GENESYS, code=77).stderr


def test_a_provider_is_held_and_released_with_consent_and_on_record(installation: Installation) -> None:
    """Owner, reason and expiry are kept; every change prints its audit id, and nothing happens without a yes."""
    hold = ("provider", "hold", "wibmo", "--reason", "vendor maintenance", "--for", "2h", "--owner", "nina")
    installation.run(*hold, code=2)
    installation.run(*hold, "--dry-run")
    assert store.standing(installation.desk.ledger.database) == []
    made = json.loads(installation.run(*hold, "--yes", "-o", "json").stdout)
    assert (made["schema"], made["owner"], made["scope"]) == ("revoker.hold/1", "nina", "all")
    installation.run("provider", "release", "wibmo", "--reason", "back", code=2)
    released = installation.run("provider", "release", "wibmo", "--reason", "back", "--yes")
    assert store.standing(installation.desk.ledger.database) == []
    release, placed = audits(installation.desk.ledger)
    assert (placed.audit_id, placed.reason) == (made["audit_id"], "vendor maintenance")
    assert (release.action, release.reason, release.count) == ("provider.release", "back", 1)
    assert release.audit_id in released.stderr
    assert "nobody" in installation.run("provider", "hold", "nobody", "--reason", "x y", "--yes", code=2).stderr


def test_the_list_tells_who_is_held_by_whom_why_and_until_when(installation: Installation) -> None:
    """In 80 columns, and as JSON."""
    for name, scope in (("genesys", "worker"), ("wibmo", "all")):
        installation.run("provider", "hold", name, "--reason", "vendor maintenance", "--scope", scope, "--yes")
    items = {item["name"]: item for item in installation.json("provider", "list")["items"]}
    assert {name: item["state"] for name, item in items.items()} == {
        "finbourne": "serving",
        "genesys": "partly held",
        "genesys-eu": "serving",
        "wibmo": "held",
    }
    [hold] = items["wibmo"]["holds"]
    assert (hold["opened_by"], hold["reason"]) == ("operator", "vendor maintenance")
    table = installation.run("provider", "list")
    assert max(map(len, table.stdout.splitlines())) <= 80
    assert "ends in 59m" in table.stdout
    assert "2 held" in table.stderr


def test_the_list_needs_no_ledger(installation: Installation) -> None:
    """What is configured is known all the same."""
    installation.set("ledger_url", f"sqlite:///{installation.home / 'empty.sqlite3'}")
    assert {item["state"] for item in installation.json("provider", "list")["items"]} == {"unknown"}


def test_who_asks_about_a_person_or_replays_is_told_of_a_hold(installation: Installation) -> None:
    """Why nothing happens yet: by whom, why, how long."""
    installation.desk.fill(dead_call(event_id="event-7"))
    installation.run("provider", "hold", "finbourne", "--reason", "vendor maintenance", "--owner", "nina", "--yes")
    told = "finbourne is held by nina: all calls, vendor maintenance, ends in 59m"
    assert told in installation.run("explain", "event-7", code=1).stderr
    assert told in installation.run("dlq", "replay", "--all", "--dry-run").stderr

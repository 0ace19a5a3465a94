"""`revoker dlq causes`: what was given up by what it died of, what mends it, and whether that holds now."""

import json
import urllib.request
from typing import Any
from uuid import uuid4

import pytest
from cli_installation import Installation
from in_one_test import in_one_test
from replay_desk import SEALED, dead_call, dead_unit
from servers import Daemon

from tasks.providers import finbourne, genesys
from tasks.records import DeadLetter
from tasks.sealing import generate_key, save_key

pytest_plugins = ["cli_fixtures"]


def letter(reason: str, operation: str = genesys.DELETE_TOKEN, provider: str = "genesys", **detail: str) -> DeadLetter:
    """The dead letter of a call that died of *reason*."""
    made = dead_call(provider=provider, operation=operation, user_id=str(uuid4()), person_key="key-of-alice")
    return made.model_copy(update={"reason": reason, "detail": detail})


def forbidden(count: int) -> list[DeadLetter]:
    """Calls that our role does not permit."""
    return [letter("auth.forbidden", code="missing.any.permissions") for _ in range(count)]


def permit(sandbox: Daemon, *permissions: str) -> None:
    """Let the role of our client at Genesys have *permissions* and no others."""
    url, body = f"{sandbox.output.split()[0]}/_sandbox/permissions", json.dumps({"permissions": permissions})
    with urllib.request.urlopen(urllib.request.Request(url, body.encode(), method="PUT"), timeout=10) as answer:
        assert answer.status == 204


def of(installation: Installation, reason: str, *options: str) -> Any:
    """The one cause of that reason, as JSON tells it."""
    [found] = installation.json("dlq", "causes", "--reason", reason, *options)["items"]
    return found


def test_the_causes_fit_eighty_columns_and_say_what_to_do(installation: Installation) -> None:
    """The most frequent first: figures in a table, below it for each what mends it, the command, its runbook."""
    installation.desk.fill(*forbidden(3), dead_unit(reason="route.unresolvable"), dead_call())
    result = installation.run("dlq", "causes")
    header, first, *_ = lines = result.stdout.splitlines()
    assert header.split() == ["CAUSE", "COUNT", "PEOPLE", "FIRST", "LAST", "PROVIDER", "REASON", "NOW"]
    assert first.split()[1:] == ["3", "1", "0s", "0s", "genesys", "auth.forbidden", "-"]
    assert all(len(line) <= 80 for line in lines)
    told = result.stdout.partition(f"\n\n{first.split()[0]}  ")[2].partition("\n\n")[0]
    assert [line.strip() for line in told.splitlines()] == [
        "grant the permission that the operation needs (Genesys:",
        "oauth:token:delete)",
        "code: missing.any.permissions",
        f"revoker dlq replay --cause {first.split()[0]} --canary 1 --stop-after-failures 3",
        "docs/runbooks.md#authforbidden",
    ]
    assert result.stderr == "3 causes, 5 dead letters\n"


def test_json_of_causes_is_for_programs(installation: Installation) -> None:
    """Figures, an example, remedy and command; no credential, and no answer where nobody looked."""
    installation.desk.fill(*forbidden(2), letter("event.plaintext_token"))
    document = installation.json("dlq", "causes", "--limit", "1")
    [cause] = document["items"]
    assert (document["schema"], document["matching"], document["causes"]) == ("revoker.cause_list/1", 3, 2)
    assert (cause["count"], cause["code"], cause["now"]) == (2, "missing.any.permissions", None)
    assert cause["remedy"]["replay"] == "canary"
    assert cause["command"].startswith(f"revoker dlq replay --cause {cause['cause']} ")
    assert SEALED not in json.dumps(document)
    assert installation.json("dlq", "show", cause["example"])["cause"] == cause["cause"]


def test_what_matches_nothing_is_said(installation: Installation) -> None:
    """As by the list."""
    assert installation.run("dlq", "causes").stderr == "nothing matches\n"
    assert installation.run("dlq", "causes", "--fail-if-empty", code=4).stdout == ""
    assert installation.json("dlq", "causes")["items"] == []
    assert "lists them" in installation.run("dlq", "show", "--cause", "a1b2c3", code=2).stderr


def test_one_cause_is_shown_and_replayed(installation: Installation) -> None:
    """By its six digits; either it or a dead letter."""
    installation.desk.fill(*forbidden(2), dead_call())
    cause = of(installation, "auth.forbidden")["cause"]
    assert installation.json("dlq", "show", "--cause", cause)["count"] == 2
    assert "authforbidden" in installation.run("dlq", "show", "--cause", cause).stdout
    assert installation.json("dlq", "replay", "--cause", cause, "--dry-run")["ready"] == 2
    for wrong in ([], [cause, "--cause", cause], [cause, "--check"]):
        installation.run("dlq", "show", *wrong, code=2)


def test_a_check_says_whether_the_permission_is_granted_now(installation: Installation, sandbox: Daemon) -> None:
    """Not by a revocation: the provider is asked what our role permits, before and after somebody grants it."""
    user_token = letter("auth.forbidden", genesys.DELETE_TOKENS_ME)
    installation.desk.fill(*forbidden(2), letter("budget.exhausted", last="auth.forbidden"))
    permit(sandbox, "directory:user:view")
    missing = {"holds": False, "told": "oauth:token:delete is missing"}
    assert of(installation, "auth.forbidden", "--check")["now"] == missing
    assert of(installation, "budget.exhausted", "--check")["now"] == missing
    assert "now: not yet; oauth:token:delete is missing" in installation.run("dlq", "causes", "--check").stdout
    told = installation.run("provider", "check", "genesys", code=1).stdout
    assert "auth.forbidden missing=oauth:token:delete" in told
    permit(sandbox, "oauth:token:delete")
    assert of(installation, "auth.forbidden", "--check")["now"] == {
        "holds": True,
        "told": "oauth:token:delete is granted",
    }
    assert "granted=oauth:token:delete" in installation.run("provider", "check", "genesys").stdout
    installation.run("dlq", "discard", "--all", "--yes", "--reason", "a test")
    installation.desk.fill(user_token)
    now = of(installation, "auth.forbidden", "--check")["now"]
    assert (now["holds"], "only a canary tells" in now["told"]) == (None, True)


def test_a_check_tells_proof_from_doubt(installation: Installation, sandbox: Daemon) -> None:
    """Where a harmless request proves the remedy it says yes; where it cannot, it says so and never yes."""
    assert sandbox.output
    installation.desk.fill(
        letter("net.dns"),
        letter("http.5xx"),
        letter("auth.unauthorized"),
        letter("auth.unauthorized", "wibmo.invalidate_token", "wibmo"),
        letter("provider.not_found"),
        letter("crypto.cipher"),
        letter("route.unknown_provider", provider="gone-eu"),
        letter("http.5xx", finbourne.INVALIDATE_TOKEN, "gone-us"),
    )
    items = installation.json("dlq", "causes", "--check")["items"]
    assert {(each["reason"], each["provider"]): each["now"]["holds"] for each in items} == {
        ("net.dns", "genesys"): True,
        ("http.5xx", "genesys"): True,
        ("auth.unauthorized", "genesys"): True,
        ("auth.unauthorized", "wibmo"): None,
        ("provider.not_found", "genesys"): None,
        ("crypto.cipher", "genesys"): None,
        ("route.unknown_provider", "gone-eu"): False,
        ("http.5xx", "gone-us"): False,
    }


@in_one_test
@pytest.mark.parametrize("reason", ["net.connect", "http.5xx", "auth.forbidden", "auth.unauthorized", "http.429"])
def test_what_is_away_mends_nothing(installation: Installation, reason: str) -> None:
    """Nobody listens where the providers should be."""
    installation.desk.fill(letter(reason))
    now = of(installation, reason, "--check")["now"]
    assert now["holds"] is False
    assert "127.0.0.1" in now["told"]


def test_a_check_looks_for_the_key_that_was_missing(installation: Installation) -> None:
    """Each missing key is a cause of its own: mended once it lies in keys_dir."""
    key = generate_key("lost-1")
    installation.desk.fill(letter("crypto.seal", problem="unknown_key", kid="lost-1"))
    (installation.home / "keys").mkdir(exist_ok=True)
    assert of(installation, "crypto.seal", "--check")["now"]["holds"] is False
    save_key(installation.home / "keys", key)
    now = of(installation, "crypto.seal", "--check")["now"]
    assert now == {"holds": True, "told": "key lost-1 is in keys_dir"}


def test_a_hold_is_named_beside_the_causes(installation: Installation) -> None:
    """Mend that first: a replay would only join what waits."""
    installation.desk.fill(*forbidden(1))
    installation.run("provider", "hold", "genesys", "--reason", "vendor maintenance", "--yes")
    assert "genesys is held by" in installation.run("dlq", "causes").stderr

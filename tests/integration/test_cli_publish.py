"""`revoker publish` and `revoker plan`: what leaves is sealed and valid, or nothing leaves."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cli_installation import REFERENCE, TOKEN, Installation
from ledger_figures import totals

from tasks.events import parse_event
from tasks.events.model import SessionEnded, UserDisabled
from tasks.sealing import load_keys
from worker.broker.messages import body_of

pytest_plugins = ["cli_fixtures"]
USER = "4f1d6a0e-8d5b-4b7e-9b0c-2a1f0d6c9e77"
ALICE = ("--iss", "https://idp.example.com", "--sub", "alice@example.com")


@pytest.fixture
def sealing(installation: Installation) -> Installation:
    """An installation with a sealing key."""
    installation.run("keys", "generate", "--kid", "k1")
    return installation


def arrived(installation: Installation) -> list[dict[str, Any]]:
    """The events that wait for the intake."""
    return [json.loads(body_of(message)) for message in installation.desk.events()]


def opened(installation: Installation, session: dict[str, Any]) -> str:
    """The token in a session, opened as the worker would."""
    ring = load_keys(installation.home / "keys")
    return ring.open(session["credential"]["jwe"], session["provider"]).get_secret_value()


def read(document: dict[str, Any]) -> Any:
    """The event as the intake reads it."""
    return parse_event(json.dumps(document).encode(), now=datetime.now(UTC))


def test_a_token_from_stdin_is_sealed_for_each_provider(sealing: Installation) -> None:
    """What lies in the broker opens for that provider alone."""
    arguments = ("session.ended", "--provider", "genesys", "--provider", "finbourne", *ALICE)
    result = sealing.run("publish", *arguments, stdin=f"{TOKEN}\n")
    [event] = arrived(sealing)
    assert isinstance(read(event), SessionEnded)
    assert result.stdout == f"{event['id']}\n"
    sessions = event["data"]["sessions"]
    assert [session["provider"] for session in sessions] == ["genesys", "finbourne"]
    assert {opened(sealing, session) for session in sessions} == {TOKEN}


def test_token_and_reference_come_from_files(sealing: Installation, tmp_path: Path) -> None:
    """No secret on the command line, where every user of the machine can read it."""
    (tmp_path / "token").write_text(TOKEN)
    (tmp_path / "reference").write_text(REFERENCE)
    files = ("--token-file", str(tmp_path / "token"), "--reference-file", str(tmp_path / "reference"))
    sealing.run("publish", "session.ended", "--provider", "genesys", "--provider", "wibmo", *files)
    [event] = arrived(sealing)
    genesys, wibmo = event["data"]["sessions"]
    assert opened(sealing, genesys) == TOKEN
    assert wibmo["credential"] == {"token_reference_id": REFERENCE}


def test_a_disabled_user_needs_no_token(installation: Installation) -> None:
    """Accounts and providers by option, the id as given."""
    options = ("--account", f"genesys={USER}", "--provider", "wibmo", "--email", "al@example.com", "--id", "e-1")
    installation.run("publish", "user.disabled", *options, *ALICE, "--reason", "disabled-by-admin")
    [event] = arrived(installation)
    parsed = read(event)
    assert isinstance(parsed, UserDisabled)
    assert (parsed.id, parsed.data.providers, parsed.data.accounts["genesys"].user_id) == ("e-1", ("wibmo",), USER)
    assert event["data"]["sub_id"]["format"] == "aliases"


def test_a_dry_run_prints_the_sealed_event_and_publishes_nothing(sealing: Installation) -> None:
    """The token is nowhere in what is printed."""
    result = sealing.run("publish", "session.ended", "--provider", "genesys", "--dry-run", stdin=TOKEN)
    assert opened(sealing, json.loads(result.stdout)["data"]["sessions"][0]) == TOKEN
    assert arrived(sealing) == []


def test_the_events_of_a_file_are_completed_sealed_and_published(sealing: Installation, tmp_path: Path) -> None:
    """A missing id, time, source or specversion is filled in; a token in clear is sealed here."""
    session = {"provider": "finbourne", "credential": {"token": TOKEN}}
    lines = [json.dumps({"type": "session.ended", "data": {"sessions": [session]}}) for _ in range(3)]
    (tmp_path / "events.jsonl").write_text("\n".join([*lines, "", lines[0]]))
    told = sealing.json("publish", "--file", str(tmp_path / "events.jsonl"), "--source", "urn:test")
    events = arrived(sealing)
    assert sorted(told["published"]) == sorted(event["id"] for event in events)
    assert [event["source"] for event in events] == ["urn:test"] * 4
    assert opened(sealing, events[0]["data"]["sessions"][0]) == TOKEN


def test_one_faulty_line_stops_the_whole_file(sealing: Installation, tmp_path: Path) -> None:
    """Each fault by line, code and place; never by value."""
    bad = {
        "type": "session.ended",
        "data": {"sessions": [{"provider": "genesys", "credential": {"token": TOKEN, "x": 1}}]},
    }
    good = {"type": "user.disabled", "data": {"sub_id": {"format": "email", "email": "al@example.com"}}}
    lines = [json.dumps(good), json.dumps(bad), f'{{"{TOKEN}', "[]"]
    (tmp_path / "events.jsonl").write_text("\n".join(lines))
    error = sealing.run("publish", "--file", str(tmp_path / "events.jsonl"), code=2).stderr
    assert "line 2: plaintext_token at /data/sessions/0/credential/token" in error
    assert "line 3: malformed_json" in error
    assert "line 4: not_cloudevents" in error
    assert arrived(sealing) == []


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("session.ended",),
        ("session.ended", "--provider", "nobody"),
        ("session.ended", "--provider", "wibmo"),
        ("user.disabled",),
        ("user.disabled", "--iss", "https://idp.example.com"),
        ("user.disabled", *ALICE, "--account", "genesys"),
        ("user.disabled", *ALICE, "--file", "-"),
    ],
)
def test_what_cannot_be_said_is_a_usage_error(installation: Installation, arguments: tuple[str, ...]) -> None:
    """Exit code 2, nothing published."""
    installation.run("publish", *arguments, stdin=TOKEN, code=2)
    assert arrived(installation) == []


def test_without_a_key_nothing_is_published(installation: Installation) -> None:
    """And the command says how to make one."""
    result = installation.run("publish", "session.ended", "--provider", "genesys", stdin=TOKEN, code=2)
    assert "revoker keys generate" in result.stderr


def test_a_published_key_set_seals_as_well(sealing: Installation, tmp_path: Path) -> None:
    """What `keys export` prints is all a producer needs."""
    (tmp_path / "jwks.json").write_text(sealing.run("keys", "export").stdout)
    options = ("--provider", "finbourne", "--jwks", str(tmp_path / "jwks.json"), "--kid", "k1")
    sealing.run("publish", "session.ended", *options, stdin=TOKEN)
    [event] = arrived(sealing)
    assert opened(sealing, event["data"]["sessions"][0]) == TOKEN


def test_a_broker_that_is_away_takes_nothing(installation: Installation) -> None:
    """Exit code 69, one line, no password."""
    installation.set("broker_url", f"amqp://revoker:{TOKEN}@127.0.0.1:9//")
    assert "broker" in installation.run("publish", "user.disabled", *ALICE, code=69).stderr


def test_a_plan_shows_the_exact_calls_without_any_secret(sealing: Installation, tmp_path: Path) -> None:
    """Method, URL, headers; the secrets masked; nothing is sent (nobody listens at these providers)."""
    (tmp_path / "reference").write_text(REFERENCE)
    options = ("--provider", "genesys", "--provider", "wibmo", "--reference-file", str(tmp_path / "reference"))
    event = sealing.run("publish", "session.ended", *options, "--dry-run", stdin=TOKEN, shows=REFERENCE)
    plan = sealing.json("plan", "-", stdin=event.stdout)
    genesys, wibmo = plan["calls"]
    assert (genesys["method"], genesys["url"]) == ("DELETE", "http://127.0.0.1:9/genesys/api/v2/tokens/me")
    assert genesys["headers"]["Authorization"] == "Bearer •••"
    assert (wibmo["headers"]["X-API-KEY"], wibmo["body"]) == ("•••", "•••")
    assert "DELETE http://127.0.0.1:9/genesys/api/v2/tokens/me" in sealing.run("plan", "-", stdin=event.stdout).stdout
    assert totals(sealing.desk.ledger).events == 0


def test_a_plan_names_what_needs_no_call_and_what_nobody_can_resolve(installation: Installation) -> None:
    """Covered, unknown, unresolvable: nothing is silent."""
    event = {"type": "user.disabled", "data": {"sub_id": {"format": "opaque", "id": "alice"}, "providers": ["wibmo"]}}
    draft = installation.run("publish", "--file", "-", "--dry-run", stdin=json.dumps(event)).stdout
    plan = installation.json("plan", "-", stdin=draft)
    assert plan["refused"] == [{"provider": "wibmo", "reason": "route.unresolvable"}]
    assert {unit["state"] for unit in plan["units"]} == {"no_session_known"}


def test_a_plan_of_an_event_the_intake_would_refuse_says_why(installation: Installation) -> None:
    """Code and place, exit code 1."""
    assert "malformed_json" in installation.run("plan", "-", stdin=f'{{"token": "{TOKEN}"', code=1).stderr

"""`revoker explain` in full: each provider, the attempts with their times, what to do, any form of a name, a call."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cli_installation import Installation
from replay_desk import dead_call, told

from tasks.outcome import State
from tasks.providers import genesys
from worker.settings import Settings

pytest_plugins = ["cli_fixtures"]


@pytest.fixture
def alice(installation: Installation) -> tuple[str, ...]:
    """How the ledger knows alice@example.com."""
    assert installation
    return (Settings.load().subjects().lookup("alice@example.com"),)


def test_attempts_are_told_with_their_times_and_the_next_one(installation: Installation) -> None:
    """In 80 columns, and for the ticket with all that the provider said; then what to do."""
    letter = dead_call(event_id="event-7")
    tried = datetime(2026, 5, 4, 9, 30, tzinfo=UTC)
    soon = datetime.now(UTC) + timedelta(minutes=5)
    failed: dict[str, Any] = {"state": State.RETRYING, "reason": "http.429", "detail": {"status": "429"}, "replays": 0}
    installation.desk.ledger.record([told(letter, attempt=1, at=tried, next_attempt_at=tried, **failed)])
    installation.desk.ledger.record(
        [told(letter, attempt=2, at=tried + timedelta(seconds=4), next_attempt_at=soon, **failed)]
    )
    lines = installation.run("explain", "--event", "event-7", code=1).stdout.splitlines()
    assert max(map(len, lines)) <= 80
    assert [line.split() for line in lines[:6]] == [
        ["PROVIDER", "STATE", "PARTS", "TRIES", "NEXT", "REVOKED", "IN", "EVIDENCE"],
        ["finbourne", "retrying", "0/1", "2", "in", "4m", "-", "http.429"],
        [],
        ["NOT", "OUT", "AT", "EVENT", "ATTEMPT", "AT", "CAME", "TO"],
        ["finbourne", "session.ended", "1", "2026-05-04T09:30:00Z", "http.429", "429"],
        ["finbourne", "session.ended", "2", "2026-05-04T09:30:04Z", "http.429", "429"],
    ]
    assert lines[6].split()[2::2] == ["next", "in"]
    assert "docs/runbooks.md#http429" in " ".join(lines[7:])
    [item] = installation.json("explain", "--event", "event-7", code=1)["items"]
    assert [(each["number"], each["at"], each["detail"]) for each in item["attempt_history"]] == [
        (1, "2026-05-04T09:30:00.000Z", {"status": "429"}),
        (2, "2026-05-04T09:30:04.000Z", {"status": "429"}),
    ]
    assert (item["attempts"], item["advice"]["runbook"]) == (2, "docs/runbooks.md#http429")


def test_the_attempt_that_settled_a_call_ends_its_history(installation: Installation) -> None:
    """It has no reason, because it did not fail."""
    letter = dead_call(event_id="event-7")
    installation.desk.fill(letter)
    installation.desk.ledger.record([told(letter, State.ACCEPTED, replays=1, detail={"evidence": "204"})])
    [item] = installation.json("explain", "--event", "event-7")["items"]
    assert [(each["replays"], each["number"], each["reason"]) for each in item["attempt_history"]] == [
        (0, 1, "http.5xx"),
        (1, 1, None),
    ]
    assert item["advice"] is None


def test_a_provider_where_some_parts_are_out_is_partial(installation: Installation, alice: tuple[str, ...]) -> None:
    """All of somebody's events count together, by provider."""
    out, dead = dead_call(subject_keys=alice), dead_call(subject_keys=alice)
    confirmed = dead_call(subject_keys=alice, provider="genesys", operation=genesys.DELETE_TOKENS_ME)
    installation.desk.fill(dead)
    installation.desk.ledger.record([told(out, State.ACCEPTED), told(confirmed, State.CONFIRMED)])
    document = installation.json("explain", "alice@example.com", code=1)
    names = ("provider", "state", "out", "parts", "parts_out")
    assert [tuple(each[name] for name in names) for each in document["providers"]] == [
        ("finbourne", "partial", False, 2, 1),
        ("genesys", "confirmed", True, 1, 1),
    ]
    assert document["complete"] is True
    text = installation.run("explain", "alice@example.com", code=1).stdout
    assert f"revoker dlq replay {dead.dead_letter_id[:8]} --reason TEXT" in " ".join(text.split())
    wide = installation.run("explain", "alice@example.com", "-o", "wide", code=1).stdout.splitlines()
    assert len(wide) == 1 + 3 + 1, "each part, everything about it"


def test_a_call_is_asked_for_by_its_id(installation: Installation) -> None:
    """It says OUT of itself alone; whoever has that very name is told first."""
    letter = dead_call(subject_keys=("somebody's",))
    assert letter.call is not None
    installation.desk.fill(letter)
    call_id = letter.call.call_id
    assert installation.json("explain", call_id, code=1)["verdict"] == "NOT YET OUT: finbourne dead (http.5xx)"
    installation.desk.ledger.record([told(letter, State.CONFIRMED)])
    document = installation.json("explain", call_id.upper())
    assert (document["about"], document["out"]) == ({"call_id": call_id}, True)
    assert document["verdict"] == "OUT at finbourne, as far as this call goes"
    installation.desk.fill(dead_call(subject_keys=(Settings.load().subjects().lookup(call_id),)))
    assert installation.json("explain", call_id, code=1)["verdict"] == "NOT YET OUT: finbourne dead (http.5xx)"


def test_a_person_is_found_by_an_address_in_any_form(installation: Installation) -> None:
    """An event may give it as a mailbox or as the URI of an account."""
    keys = (Settings.load().subjects().lookup("acct:alice@example.com"),)
    installation.desk.fill(dead_call(subject_keys=keys))
    for name in ("alice@example.com", "acct:Alice@example.com", "mailto:alice@EXAMPLE.com"):
        assert "NOT YET OUT" in installation.run("explain", name, code=1).stdout


@pytest.mark.parametrize(
    ("states", "verdict"),
    [
        ([State.ACCEPTED] * 5, "OUT everywhere"),
        ([State.DEAD, *[State.ACCEPTED] * 5], "NOT YET OUT: finbourne dead"),
        ([State.ALREADY_REVOKED, *[State.ACCEPTED] * 5], "OUT everywhere"),
        ([State.ALREADY_REVOKED] * 5, "UNPROVED: of more than 3 parts"),
    ],
)
def test_of_very_many_parts_the_first_looked_at_is_what_may_not_be_out(
    installation: Installation,
    alice: tuple[str, ...],
    monkeypatch: pytest.MonkeyPatch,
    states: list[State],
    verdict: str,
) -> None:
    """So a name of thousands of events is answered at once, and OUT is still only said of what is proved."""
    monkeypatch.setattr("worker.operations.explain.PARTS", 3)
    installation.desk.ledger.record([told(dead_call(subject_keys=alice), state) for state in states])
    code = 0 if verdict.startswith("OUT") else 1
    result = installation.run("explain", "alice@example.com", code=code)
    assert result.stdout.splitlines()[-1].startswith(verdict)
    assert installation.json("explain", "alice@example.com", code=code)["complete"] is False

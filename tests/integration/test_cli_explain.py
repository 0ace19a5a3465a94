"""`revoker explain`: out everywhere, or where not and why."""

from datetime import UTC, datetime, timedelta

import pytest
from cli_installation import Installation
from replay_desk import dead_call, dead_unit, told

from tasks.call import Operation
from tasks.outcome import State
from worker.cli.explain import verdict_on
from worker.settings import Settings

pytest_plugins = ["cli_fixtures"]


@pytest.fixture
def alice(installation: Installation) -> tuple[str, ...]:
    """How the ledger knows alice@example.com."""
    assert installation
    return (Settings.load().subjects().lookup("alice@example.com"),)


def test_a_person_whose_every_call_settled_is_out(installation: Installation, alice: tuple[str, ...]) -> None:
    """Exit code 0, with the evidence and the time it took."""
    letter = dead_call(subject_keys=alice)
    installation.desk.fill(letter)
    installation.desk.ledger.record([told(letter, State.CONFIRMED, detail={"evidence": "204; probe 401"})])
    document = installation.json("explain", "ALICE@example.com")
    [item] = document["items"]
    assert (document["out"], document["verdict"], item["state"]) == (True, "OUT everywhere", "confirmed")
    assert item["detail"] == {"evidence": "204; probe 401"}
    assert item["time_to_revoke_seconds"] > 59
    assert installation.run("explain", "alice@example.com").stdout.splitlines()[-1] == "OUT everywhere"


def test_a_dead_letter_means_not_yet_out(installation: Installation, alice: tuple[str, ...]) -> None:
    """Exit code 1, and the reason of death; `--json` is for the ticket."""
    installation.desk.fill(dead_call(subject_keys=alice))
    result = installation.run("explain", "alice@example.com", code=1)
    assert result.stdout.splitlines()[-1] == "NOT YET OUT: finbourne dead (http.5xx)"
    assert '"out": false' in installation.run("explain", "alice@example.com", "--json", code=1).stdout


def test_a_call_that_is_tried_again_tells_when(installation: Installation) -> None:
    """By the event's id, too."""
    letter = dead_call(event_id="event-7")
    installation.desk.fill(letter)
    soon = datetime.now(UTC) + timedelta(minutes=5)
    installation.desk.ledger.record([told(letter, State.RETRYING, next_attempt_at=soon, reason="http.429")])
    verdict = installation.json("explain", "event-7", code=1)["verdict"]
    assert verdict == "NOT YET OUT: finbourne retrying (http.429), next attempt in 4m"


def test_a_refused_unit_counts(installation: Installation) -> None:
    """It never became a call, and somebody may still be logged in."""
    installation.desk.fill(dead_unit(event_id="event-8", reason="route.unresolvable"))
    assert "genesys dead (route.unresolvable)" in installation.run("explain", "event-8", code=1).stdout


def test_a_refused_unit_that_was_replayed_is_told_by_its_calls(installation: Installation) -> None:
    """Once it became calls, only these count."""
    letter = dead_call(event_id="event-9", provider="genesys", source="urn:test")
    rows = installation.desk.fill(dead_unit(event_id="event-9"))
    installation.desk.replay(rows)
    assert "genesys replayed" in installation.run("explain", "event-9", code=1).stdout
    installation.desk.ledger.record([told(letter, State.ACCEPTED)])
    assert installation.json("explain", "event-9")["out"] is True


def test_a_call_that_a_later_one_made_needless_counts_as_out(
    installation: Installation, alice: tuple[str, ...]
) -> None:
    """A user-wide revocation after it killed that token as well."""
    at_genesys = {"provider": "genesys", "subject_keys": alice}
    wide = {
        "operation": Operation.GENESYS_DELETE_TOKEN,
        "event_type": "user.disabled",
        "occurred_at": datetime.now(UTC),
    }
    installation.desk.fill(dead_call(**at_genesys, operation=Operation.GENESYS_DELETE_TOKENS_ME))
    installation.run("explain", "alice@example.com", code=1)
    installation.desk.ledger.record([told(dead_call(**at_genesys, **wide), State.ACCEPTED)])
    assert installation.json("explain", "alice@example.com")["out"] is True


def test_a_stranger_is_unknown(installation: Installation) -> None:
    """Exit code 4: no news is not good news."""
    assert "UNKNOWN" in installation.run("explain", "mallory@example.com", code=4).stdout


def test_no_verdict_is_out_without_a_reason() -> None:
    """Nothing known is never 'out'."""
    assert verdict_on([]).startswith("UNKNOWN")

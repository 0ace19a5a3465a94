"""`revoker explain`: out everywhere, or where not and why."""

from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pytest
from cli_installation import Installation
from replay_desk import dead_call, dead_unit, told

from tasks.doubt import PEOPLE
from tasks.outcome import State
from tasks.providers import genesys
from worker.operations.standings import Verdict, verdict_on
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
    """Exit code 1, and the reason of death; `-o json` is for the ticket."""
    installation.desk.fill(dead_call(subject_keys=alice))
    result = installation.run("explain", "alice@example.com", code=1)
    assert result.stdout.splitlines()[-1] == "NOT YET OUT: finbourne dead (http.5xx)"
    assert '"out": false' in installation.run("explain", "alice@example.com", "-o", "json", code=1).stdout


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
    assert installation.json("explain", "--event", "event-9")["out"] is True


def test_a_replay_is_told_by_no_call_that_was_made_before_it(installation: Installation) -> None:
    """A good session and a bad one at one provider: the good one's success says nothing of the bad one's replay."""
    letter = dead_call(event_id="event-9", provider="genesys", source="urn:test")
    installation.desk.ledger.record([told(letter, State.ACCEPTED)])
    installation.desk.replay(installation.desk.fill(dead_unit(event_id="event-9")))
    assert "genesys replayed" in installation.run("explain", "--event", "event-9", code=1).stdout
    other = dead_call(event_id="event-9", provider="genesys", source="urn:test")
    installation.desk.ledger.record([told(other, State.ACCEPTED)])
    assert installation.json("explain", "--event", "event-9")["out"] is True


WIDE: Final = {
    "provider": "genesys",
    "operation": genesys.DELETE_TOKEN,
    "event_type": "user.disabled",
    "target_key": "alices-id",
    "person_key": "alices-names",
}
SESSION: Final = {**WIDE, "operation": genesys.DELETE_TOKENS_ME, "target_key": "alices-token"}


@pytest.mark.parametrize("dead", [WIDE, SESSION])
@pytest.mark.parametrize(
    ("news", "is_out"),
    [
        ({}, True),
        *(({"state": state}, False) for state in (State.PLANNED, State.RETRYING, State.HELD, State.DEAD)),
        ({"provider": "genesys-eu"}, False),
        ({"target_key": "bobs-id", "person_key": "bobs-names"}, False),
    ],
)
def test_a_call_that_a_later_one_made_needless_counts_as_out(
    installation: Installation, alice: tuple[str, ...], dead: dict[str, Any], news: dict[str, Any], *, is_out: bool
) -> None:
    """A revocation of the same user after it, proven; whoever shares a name with them is somebody else."""
    installation.desk.fill(dead_call(**dead, subject_keys=alice))
    assert installation.json("explain", "alice@example.com", code=1)["out"] is False
    later = dead_call(**WIDE, subject_keys=alice, occurred_at=datetime.now(UTC) - timedelta(seconds=1))
    installation.desk.ledger.record([told(later, State.ACCEPTED).model_copy(update=news)])
    document = installation.json("explain", "alice@example.com", code=0 if is_out else 1)
    assert document["out"] is is_out
    assert is_out or "genesys dead (http.5xx)" in document["verdict"]


def test_people_who_share_a_name_are_each_judged_by_themselves(installation: Installation) -> None:
    """The tenant of two: one is out, the other is not, and the verdict says who."""
    label = (Settings.load().subjects().label("acme"),)
    victim = dead_call(**WIDE, subject_keys=label, subject="vi…")
    other = dead_call(**WIDE | {"target_key": "o", "person_key": "o"}, subject_keys=label, subject="ot…")
    installation.desk.fill(victim)
    installation.desk.ledger.record([told(other, State.ACCEPTED, occurred_at=datetime.now(UTC))])
    document = installation.json("explain", "acme", code=1)
    assert document["verdict"] == "NOT YET OUT: vi… at genesys dead (http.5xx)"
    assert {(item["subject"], item["out"]) for item in document["items"]} == {("vi…", False), ("ot…", True)}


@pytest.mark.parametrize("trap", ["event", "label"])
def test_neither_an_events_id_nor_a_label_answers_for_a_person(installation: Installation, trap: str) -> None:
    """Anybody chooses them. Both are told, and the worse verdict counts, in either order of arrival."""
    index = Settings.load().subjects()
    keys = (index.label("alice@example.com"),) if trap == "label" else ()
    strangers = dead_call(
        event_id="alice@example.com" if trap == "event" else "e-1", source="urn:low", subject_keys=keys
    )
    installation.desk.ledger.record([told(strangers, State.CONFIRMED)])
    unknown = installation.run("explain", "alice@example.com", code=4)
    assert "OUT" not in unknown.stdout
    assert unknown.stdout.splitlines()[-1] == "UNKNOWN: no event names such a person"
    installation.desk.fill(dead_call(subject_keys=(index.lookup("alice@example.com"),)))
    document = installation.json("explain", "alice@example.com", code=1)
    assert document["verdict"] == "NOT YET OUT: finbourne dead (http.5xx)"
    assert [(each["out"], each["verdict"]) for each in document["answers"]] == [
        (False, "NOT YET OUT: finbourne dead (http.5xx)"),
        (True, "every part is settled"),
    ]


def test_an_event_that_is_not_settled_makes_the_verdict_worse(
    installation: Installation, alice: tuple[str, ...]
) -> None:
    """Who is out by name is not, where an event of that very id is dead."""
    out = dead_call(subject_keys=alice)
    installation.desk.fill(dead_call(event_id="alice@example.com"))
    installation.desk.ledger.record([told(out, State.CONFIRMED)])
    lines = installation.run("explain", "alice@example.com", code=1).stdout.splitlines()
    assert lines[-3:] == [
        "as a person: OUT everywhere",
        "as an event of urn:test: NOT YET OUT: finbourne dead (http.5xx)",
        "NOT YET OUT: finbourne dead (http.5xx)",
    ]


def test_an_event_is_asked_for_by_its_id_alone(installation: Installation, alice: tuple[str, ...]) -> None:
    """`--event` looks at no name, and `--source` tells whose event is meant: an id is its source's own."""
    installation.desk.fill(dead_call(event_id="e-1"), dead_call(event_id="other", subject_keys=alice))
    installation.desk.ledger.record([told(dead_call(event_id="e-1", source="urn:low"), State.CONFIRMED)])
    assert "NOT YET OUT" in installation.run("explain", "--event", "e-1", code=1).stdout
    assert installation.json("explain", "--event", "e-1", "--source", "urn:low")["verdict"] == "OUT everywhere"
    nothing = installation.run("explain", "--event", "e-1", "--source", "urn:hr", code=4)
    assert nothing.stdout.splitlines()[-1] == "UNKNOWN: no event has this id"
    installation.run("explain", "--event", "alice@example.com", code=4)
    assert "--event" in installation.run("explain", "e-1", "--source", "urn:low", code=2).stderr


def dead_already(installation: Installation, people: int, **changed: Any) -> None:
    """Have the ledger know *people* other people whose tokens Finbourne called dead already, a minute ago."""
    ago = datetime.now(UTC) - timedelta(minutes=1)
    letters = [dead_call(person_key=f"person-{number}") for number in range(people)]
    said: dict[str, Any] = {"at": ago, **changed}
    installation.desk.ledger.record([told(letter, State.ALREADY_REVOKED, **said) for letter in letters])


DEAD_ALREADY: Final = {"evidence": "401 invalid_token"}


@pytest.mark.parametrize(
    ("others", "theirs", "detail", "is_out"),
    [
        (PEOPLE - 1, {}, DEAD_ALREADY, False),
        (PEOPLE - 2, {}, DEAD_ALREADY, True),
        (PEOPLE, {"detail": {"died": "expired"}}, DEAD_ALREADY, True),
        (PEOPLE, {"provider": "genesys"}, DEAD_ALREADY, True),
        (PEOPLE, {"at": datetime.now(UTC) - timedelta(hours=2)}, DEAD_ALREADY, True),
        (PEOPLE, {}, {**DEAD_ALREADY, "died": "expired"}, True),
        (PEOPLE, {}, {**DEAD_ALREADY, "died": "earlier_attempt"}, False),
    ],
)
def test_the_word_of_an_instance_that_calls_everybody_dead_is_unproved(  # noqa: PLR0913, PLR0917 - a case
    installation: Installation,
    alice: tuple[str, ...],
    others: int,
    theirs: dict[str, Any],
    detail: dict[str, str],
    is_out: bool,  # noqa: FBT001 - a case
) -> None:
    """Ten different people, alice among them, and nobody accepted between: exit 1, and never OUT."""
    dead_already(installation, others, **theirs)
    letter = dead_call(subject_keys=alice, person_key="alice")
    installation.desk.ledger.record([told(letter, State.ALREADY_REVOKED, detail=detail)])
    document = installation.json("explain", "alice@example.com", code=0 if is_out else 1)
    assert document["out"] is is_out
    assert document["verdict"].startswith("OUT" if is_out else "UNPROVED: finbourne called this token dead already")
    assert document["items"][0]["out"] is is_out


@pytest.mark.parametrize("seconds_ago", [90, 30])
def test_a_success_between_proves_that_the_instance_knows_living_tokens(
    installation: Installation, alice: tuple[str, ...], seconds_ago: int
) -> None:
    """What was said before the success is judged by itself, and what was said after it, too."""
    dead_already(installation, PEOPLE)
    accepted = told(
        dead_call(), State.ACCEPTED, at=datetime.now(UTC) - timedelta(seconds=seconds_ago), detail={"evidence": "204"}
    )
    hers = told(dead_call(subject_keys=alice, person_key="alice"), State.ALREADY_REVOKED, detail=DEAD_ALREADY)
    installation.desk.ledger.record([accepted, hers])
    code = 0 if seconds_ago == 30 else 1
    assert installation.json("explain", "alice@example.com", code=code)["out"] is (code == 0)


def test_a_token_that_another_call_killed_is_out_whatever_an_instance_in_doubt_said(
    installation: Installation, alice: tuple[str, ...]
) -> None:
    """The later call for the same token was accepted."""
    dead_already(installation, PEOPLE)
    hers = dead_call(subject_keys=alice, person_key="alice", target_key="alices-token")
    installation.desk.ledger.record([told(hers, State.ALREADY_REVOKED, detail=DEAD_ALREADY)])
    installation.run("explain", "alice@example.com", code=1)
    later = dead_call(
        subject_keys=alice, target_key="alices-token", occurred_at=datetime.now(UTC) - timedelta(seconds=1)
    )
    installation.desk.ledger.record([told(later, State.CONFIRMED)])
    assert installation.json("explain", "alice@example.com")["out"] is True


def test_a_stranger_is_unknown(installation: Installation) -> None:
    """Exit code 4: no news is not good news."""
    assert "UNKNOWN" in installation.run("explain", "mallory@example.com", code=4).stdout


def test_no_verdict_is_out_without_a_reason() -> None:
    """Nothing known is never 'out'."""
    assert verdict_on([]) == (Verdict.UNKNOWN, "UNKNOWN: no event names such a person")

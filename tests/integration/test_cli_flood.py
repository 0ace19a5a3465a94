"""`revoker flood`: what a flood holds back is found, released in order or given up, never by accident."""

import base64
import json
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cli_installation import Installation
from ledger_figures import audits
from tamperings import without_audit

from tasks.records import DeadLetter
from worker.broker import messages
from worker.broker.provenance import ProvenanceMac
from worker.intake.flood import store
from worker.intake.flood.window import Flood, Pending, flood_id
from worker.ledger import AuditEntry, DeadLetterState
from worker.settings import Settings

pytest_plugins = ["cli_fixtures"]

HR, TYPE = "urn:hr", "user.disabled"
WHY = ("--reason", "feed looked at", "--yes")


def event(number: int, source: str = HR) -> bytes:
    """Person *number* was disabled."""
    told = {"specversion": "1.0", "id": f"e-{number}", "source": source, "type": TYPE, "time": "2026-11-21T01:00:00Z"}
    return json.dumps(told | {"data": {"sub_id": {"format": "email", "email": f"p{number}@example.com"}}}).encode()


def held(number: int, source: str = HR) -> DeadLetter:
    """An event as the intake holds it back; a greater number came later."""
    told = {"kind": "event", "reason": "guard.flood", "source": source, "event_id": f"e-{number}", "event_type": TYPE}
    keys = (Settings.load().subjects().lookup(f"p{number}@example.com"),)
    about = {"subject": "p…@example.com", "subject_keys": keys, "content_type": messages.CLOUDEVENTS_JSON}
    at = datetime.now(UTC) - timedelta(minutes=5) + timedelta(seconds=number)
    body = base64.b64encode(event(number, source)).decode()
    return DeadLetter.model_validate({"dead_letter_id": str(uuid.uuid4()), "at": at, "body": body, **told, **about})


def opened(installation: Installation) -> None:
    """Have a flood of urn:hr be open."""
    flood = Flood(HR, TYPE, 1.7e9, 1.7e9)
    with installation.desk.ledger.database.writing() as connection:
        store.save(connection, Pending(floods={flood.key: flood}))


def states(installation: Installation) -> list[DeadLetterState]:
    """How each event stands."""
    return [row.state for row in installation.desk.fill()]


def waiting(installation: Installation) -> list[str]:
    """The ids of the events that wait for the intake, in order; each is vouched for as a replay."""
    found: list[Any] = installation.desk.events()
    voucher = ProvenanceMac.of(Settings.load())
    assert all(voucher.verify(each).replays for each in found)
    return [json.loads(each.body)["id"] for each in found]


def test_the_list_fits_eighty_columns(installation: Installation) -> None:
    """What is held of which source and type, since when, and whether more is being held back."""
    long = "https://example.com/" + "x" * 80
    installation.desk.fill(held(2), held(1), held(3, long))
    opened(installation)
    result = installation.run("flood", "list")
    assert result.stdout.splitlines()[0].split() == ["ID", "EVENT", "SOURCE", "HELD", "OLDEST", "OPEN", "FOR"]
    assert all(len(line) <= 80 for line in result.stdout.splitlines())
    assert result.stderr == "3 held back\n"
    [hr, other] = installation.json("flood", "list")["items"]
    assert (hr["id"], hr["held"], other["source"], other["opened_at"]) == (flood_id((HR, TYPE)), 2, long, None)


def test_a_release_lets_everything_go_in_the_order_it_came(installation: Installation) -> None:
    """Confirmed by the broker, marked, with an audit entry; the other source's events stay; the flood is over."""
    installation.desk.fill(held(3), held(1), held(2), held(9, "urn:other"))
    opened(installation)
    done = installation.json("flood", "release", flood_id((HR, TYPE))[:4], *WHY)
    assert (done["schema"], done["replayed"]) == ("revoker.flood_release/1", 3)
    assert waiting(installation) == ["e-1", "e-2", "e-3"]
    assert sorted(states(installation)) == ["replayed"] * 3 + ["withheld"]
    assert [flood.source for flood in store.standing(installation.desk.ledger.database)] == ["urn:other"]
    [audit] = audits(installation.desk.ledger)
    assert (audit.action, audit.scope, audit.reason, audit.count) == (
        "guard.release",
        f"{HR} {TYPE}",
        "feed looked at",
        3,
    )


def test_the_first_few_can_be_released_to_look_at_them(installation: Installation) -> None:
    """The flood stays open meanwhile."""
    installation.desk.fill(held(2), held(1))
    opened(installation)
    installation.run("flood", "release", "--all", "--limit", "1", *WHY)
    assert waiting(installation) == ["e-1"]
    assert [(flood.held, flood.opened_at is None) for flood in store.standing(installation.desk.ledger.database)] == [
        (1, False)
    ]


def test_a_discard_leaves_tombstones(installation: Installation) -> None:
    """Nothing is published; `explain` knows what became of each; told again, it stays given up."""
    letter = held(1)
    installation.desk.fill(letter, held(2))
    opened(installation)
    assert "held (guard.flood)" in installation.run("explain", "p1@example.com", code=1).output
    done = installation.json("flood", "discard", "--all", *WHY)
    assert (done["schema"], done["discarded"]) == ("revoker.flood_discard/1", 2)
    assert "discarded (guard.flood)" in installation.run("explain", "p1@example.com", code=1).output
    installation.desk.fill(letter)
    assert states(installation) == ["discarded"] * 2
    assert waiting(installation) == []
    assert store.standing(installation.desk.ledger.database) == []
    assert [audit.action for audit in audits(installation.desk.ledger)] == ["guard.discard"]


@pytest.mark.parametrize("command", ["release", "discard"])
def test_a_flood_does_not_end_without_a_line_in_the_audit(installation: Installation, command: str) -> None:
    """Nor does anything of it go."""
    installation.desk.fill(held(1))
    opened(installation)
    with without_audit(installation.desk.ledger):
        installation.run("flood", command, "--all", *WHY, code=69)
    assert [flood.opened_at is None for flood in store.standing(installation.desk.ledger.database)] == [False]
    assert states(installation) == ["withheld"]


@pytest.mark.parametrize("command", ["release", "discard"])
@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["--all", "--reason", "why", "--dry-run"], 0),
        (["--all", "--reason", "why"], 2),
        (["--all", "--yes"], 2),
        (["--reason", "why", "--yes"], 2),
        (["ffff", "--reason", "why", "--yes"], 2),
    ],
)
def test_nothing_changes_by_accident(installation: Installation, command: str, arguments: list[str], code: int) -> None:
    """Not in a dry run, not without consent, a reason, or the name of a flood."""
    installation.desk.fill(held(1))
    opened(installation)
    installation.run("flood", command, *arguments, code=code)
    assert states(installation) == ["withheld"]
    assert [flood.held for flood in store.standing(installation.desk.ledger.database)] == [1]
    assert audits(installation.desk.ledger) == []


def test_the_dead_letters_desk_lets_no_flood_go(installation: Installation) -> None:
    """`dlq replay --all` is for what died: it neither shows nor takes what is held back, not even by force."""
    [row] = installation.desk.fill(held(1))
    assert installation.json("dlq", "list")["matching"] == 0
    installation.run("dlq", "replay", "--all", "--reason", "all of it", "--yes")
    installation.run("dlq", "replay", row.dead_letter_id, "--force", "--reason", "this one", "--yes", code=2)
    installation.run("dlq", "discard", row.dead_letter_id, "--reason", "this one", "--yes")
    assert states(installation) == ["withheld"]


def test_a_release_killed_half_way_repeats_and_loses_nothing(installation: Installation) -> None:
    """Killed between the broker's confirm and the mark: it is released again once the claim has lapsed."""
    [row] = installation.desk.fill(held(1))
    ledger = installation.desk.ledger
    claim = AuditEntry("olga", "guard.release", "--all", "killed")
    assert ledger.claim([row.dead_letter_id], audit=claim, also=[DeadLetterState.WITHHELD])
    assert "left to another replay" in installation.run("flood", "release", "--all", *WHY).output
    assert ledger.claim([row.dead_letter_id], audit=claim, lease=timedelta(0))
    ledger.release_claim(row.dead_letter_id)
    assert states(installation) == ["withheld"]
    installation.run("flood", "release", "--all", *WHY)
    assert waiting(installation) == ["e-1"]

"""Who can write to the ledger gets nothing replayed that a process of ours did not make."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from ledger_figures import totals
from replay_desk import EVERY, MAC, MAX_AGES, Desk, as_made, dead_call, dead_unit
from sqlalchemy import insert, update

from tasks.records import DeadLetter
from worker.broker import messages
from worker.broker.publication import Message
from worker.database.tables import bodies, dead_letters
from worker.intake.authorization import Authorizer
from worker.ledger import DeadLetterRow, DeadLetterState
from worker.operations.replay_rules import Refusal, ReplayPlan, only_vouched, plan_replay
from worker.settings.sections import SourceSettings

pytest_plugins = ["desk_fixtures"]

TYPE = "user.disabled"
ADA = {"sub_id": {"format": "opaque", "id": "ada"}}
AHEAD = timedelta(hours=1)  # refused for now: our clock, or the producer's, is wrong


def structured(age: timedelta = timedelta(), event_id: str = "e1") -> Message:
    """Ada was disabled so long ago, at two providers that nobody configured."""
    told = {"specversion": "1.0", "id": event_id, "source": "urn:hr", "type": TYPE}
    at = (datetime.now(UTC) - age).isoformat()
    return messages.event(json.dumps({**told, "time": at, "data": ADA | {"providers": ["a"]}}).encode(), TYPE)


def states(desk: Desk) -> list[tuple[str | None, str, str]]:
    """Event id, reason and state of all that is on the desk."""
    return [(row.event_id, row.reason, row.state.value) for row in desk.ledger.dead_letters(EVERY)]


LETTERS = {"call": dead_call, "unit": dead_unit, "event": lambda: dead_unit(kind="event", provider=None)}
every_kind = pytest.mark.parametrize("kind", LETTERS)


def refusal(desk: Desk, row: DeadLetterRow, *, force: bool = True) -> Refusal | None:
    """Why *row* is not replayed."""
    plan = plan_replay([row], desk.ledger, datetime.now(UTC), MAX_AGES, force=force)
    refused = only_vouched(plan, MAC.letters).refused
    return refused[0][1] if refused else None


@every_kind
def test_what_was_written_into_the_ledger_is_not_replayed(local_desk: Desk, kind: str) -> None:
    """Neither a row that somebody added nor one that they changed, nor one whose MAC is another letter's."""
    letter = LETTERS[kind]()
    bare, good = letter.model_copy(update={"mac": None}), as_made(letter)
    local_desk.ledger.record([good])
    changed = good.model_copy(update={"headers": {messages.DOOR: messages.CELERY_DOOR}})
    cases: list[tuple[DeadLetter, Refusal | None]] = [
        (good, None),
        (bare, Refusal.NOT_VOUCHED),
        (changed, Refusal.ALTERED),
        (bare.model_copy(update={"mac": as_made(dead_call()).mac}), Refusal.ALTERED),
        (as_made(LETTERS[kind]()), Refusal.ALTERED),
    ]
    for document, expected in cases:
        write(local_desk, good, document)
        row = local_desk.row(good)
        assert refusal(local_desk, row) is expected
        release = only_vouched(ReplayPlan((row,), ()), MAC.letters)
        assert [why for _, why in release.refused] == [why for why in [expected] if why], "nor released by the guard"


def write(desk: Desk, letter: DeadLetter, document: DeadLetter) -> None:
    """Put *document* in the place of *letter*'s, as whoever may write to the database can."""
    with desk.ledger.database.writing() as connection:
        row = dead_letters.c.dead_letter_id == letter.dead_letter_id
        kept = uuid4().bytes
        connection.execute(insert(bodies).values(digest=kept, document=document.arrived or "{}"))
        told = {"document": document.document, "body": None if document.arrived is None else kept}
        connection.execute(update(dead_letters).where(row).values(told))


@every_kind
def test_what_is_changed_between_the_plan_and_the_claim_is_not_replayed(local_desk: Desk, kind: str) -> None:
    """It is looked at when it is published; the claim is given back."""
    good = as_made(LETTERS[kind]())
    rows = local_desk.fill(good)
    write(local_desk, good, good.model_copy(update={"headers": {messages.DOOR: messages.CELERY_DOOR}}))
    result = local_desk.replay(rows)
    assert (result.replayed, local_desk.row(good).state) == (0, DeadLetterState.DEAD)
    assert local_desk.events() == local_desk.replayed() == []


def test_what_the_columns_say_counts_for_nothing(local_desk: Desk) -> None:
    """How old it is, and why it died, stands in the letter, under its MAC."""
    old = as_made(dead_unit(kind="event", occurred_at=datetime.now(UTC) - MAX_AGES[TYPE] * 2, reason="event.stale"))
    local_desk.fill(old)
    with local_desk.ledger.database.writing() as connection:
        connection.execute(update(dead_letters).values(occurred_at=datetime.now(UTC), reason="event.invalid_time"))
    assert refusal(local_desk, local_desk.row(old), force=False) is Refusal.TOO_OLD


@pytest.mark.parametrize(
    ("letter", "expected"),
    [
        (dead_unit(kind="event", provider=None), None),
        (dead_unit(kind="event", provider=None, reason="guard.flood"), Refusal.NOT_VOUCHED),
        (dead_unit(), Refusal.NOT_VOUCHED),
        (dead_call(), Refusal.NOT_VOUCHED),
    ],
)
def test_of_an_older_versions_letters_events_go_as_claims(
    local_desk: Desk, letter: DeadLetter, expected: Refusal | None
) -> None:
    """Where the operator says so; nothing judges the others again."""
    local_desk.ledger.record([letter])
    plan = ReplayPlan((local_desk.row(letter),), ())
    assert [why for _, why in only_vouched(plan, MAC.letters).refused] == [Refusal.NOT_VOUCHED]
    assert [why for _, why in only_vouched(plan, MAC.letters, claims=True).refused] == [expected] * bool(expected)


def test_a_claim_must_prove_itself(local_desk: Desk) -> None:
    """A forged document of a source with users, that says it came through the door, reaches nobody."""
    local_desk.authorizer = Authorizer(
        {"hr": SourceSettings(source="urn:hr", users=frozenset({"hr"}))}, proves_users=True
    )
    headers = {messages.DOOR: messages.CELERY_DOOR, messages.USER: "hr"}
    body = {"body": as_base64(structured().body), "content_type": messages.CLOUDEVENTS_JSON, "headers": headers}
    forged = dead_unit(kind="event", provider=None, event_id="e1", source="urn:hr", **body)
    local_desk.ledger.record([forged])
    assert local_desk.replay([local_desk.row(forged)]).replayed == 0
    assert local_desk.replay([local_desk.row(forged)], claims=True).replayed == 1
    local_desk.take_in()
    assert sorted(reason for _, reason, _ in states(local_desk)) == ["event.access_denied", "route.x"]
    assert totals(local_desk.ledger).events == 0


def as_base64(body: bytes) -> str:
    """*body* as a dead letter keeps it."""
    kept: str = MAC.verify(_Kept(body)).carried["body"]
    return kept


class _Kept:
    """A message of which the body alone matters."""

    def __init__(self, body: bytes) -> None:
        self.body, self.content_type, self.headers = body, None, dict[str, Any]()
        self.properties, self.delivery_info = dict[str, Any](), dict[str, Any]()

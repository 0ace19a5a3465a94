"""What a replay vouches for: what the intake and the worker made, once, for some hours. On each broker."""

import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NoReturn
from uuid import uuid4

import pytest
from replay_desk import BUDGETS, EVERY, FAST, MAX_AGES, VOUCHER, Desk, as_made, audit, dead_call, dead_unit
from sqlalchemy import insert, update

from tasks.records import DeadLetter
from worker import broker, messages
from worker.admission.evidence import VOUCHER_LIFE, Voucher
from worker.admission.judging import Admission
from worker.admission.sources import SourceSettings
from worker.batch_consumer import body_of
from worker.blast_radius.window import Limits
from worker.dead_letters import Refusal, Replayer, ReplayPlan, only_vouched, plan_replay
from worker.ledger import DeadLetterRow, DeadLetterState
from worker.ledger.tables import bodies, dead_letters
from worker.publisher import Message, Publisher

TYPE = "user.disabled"
ADA = {"sub_id": {"format": "opaque", "id": "ada"}}
AHEAD = timedelta(hours=1)  # refused for now: our clock, or the producer's, is wrong


@pytest.fixture
def desk(tmp_path: Path, broker_url: str) -> Iterator[Desk]:
    """A desk on each broker in turn."""
    made = Desk(tmp_path, broker_url)
    yield made
    made.close()


@pytest.fixture
def local_desk(tmp_path: Path) -> Iterator[Desk]:
    """A desk on the embedded broker, for what does not depend on the broker."""
    made = Desk(tmp_path, f"embedded:///{tmp_path / 'broker.sqlite3'}")
    yield made
    made.close()


def binary(event_id: str, source: str = "urn:hr", kind: str = TYPE, ahead: timedelta = AHEAD) -> Message:
    """Ada was disabled, in binary mode: all but her name is in the headers."""
    told = {"specversion": "1.0", "id": event_id, "source": source, "type": kind}
    told["time"] = (datetime.now(UTC) + ahead).isoformat()
    headers = {f"ce-{name}": value for name, value in told.items()}
    return messages.event(json.dumps(ADA).encode(), kind, content_type="application/json", headers=headers)


def structured(age: timedelta = timedelta(), event_id: str = "e1") -> Message:
    """Ada was disabled so long ago, at two providers that nobody configured."""
    told = {"specversion": "1.0", "id": event_id, "source": "urn:hr", "type": TYPE}
    at = (datetime.now(UTC) - age).isoformat()
    return messages.event(json.dumps({**told, "time": at, "data": ADA | {"providers": ["a"]}}).encode(), TYPE)


def states(desk: Desk) -> list[tuple[str | None, str, str]]:
    """Event id, reason and state of all that is on the desk."""
    return [(row.event_id, row.reason, row.state.value) for row in desk.ledger.dead_letters(EVERY)]


def test_two_events_with_the_same_data_are_two_dead_letters(desk: Desk) -> None:
    """Each can be explained, and replayed; neither a stranger's nor one's own takes the place of the other."""
    first = binary("hr-1")
    desk.take_in(first, binary("hr-2"), binary("s-1", "urn:stranger", "no.such.type"), first)
    assert sorted(row.event_id or "" for row in desk.ledger.dead_letters(EVERY)) == ["hr-1", "hr-2", "s-1"]


def test_the_same_message_sent_once_more_is_seen_again(desk: Desk) -> None:
    """Its tombstone does not swallow it."""
    message = binary("hr-1")
    desk.take_in(message)
    [row] = desk.ledger.dead_letters(EVERY)
    desk.ledger.discard([row.dead_letter_id], audit=audit())
    desk.take_in(message)
    assert states(desk) == [("hr-1", "event.invalid_time", "dead")]


def test_a_signature_is_not_lost_to_who_repeats_the_bytes(local_desk: Desk) -> None:
    """In structured mode the body is all the same; the proof beside it is not."""
    signed = structured(-AHEAD)
    local_desk.take_in(Message(**_parts(signed) | {"headers": {messages.SIGNATURE: "a..b"}}), signed)
    kept = [row.letter.headers.get(messages.SIGNATURE) for row in local_desk.ledger.dead_letters(EVERY)]
    assert sorted(map(str, kept)) == ["None", "a..b"]


def _parts(message: Message) -> dict[str, Any]:
    return {name: getattr(message, name) for name in ("exchange", "routing_key", "body", "content_type")}


def sent_again(desk: Desk) -> Message:
    """The message that waits for the intake, as whoever reads the queue would publish it again."""
    [captured] = desk.events()
    ours = {name: value for name, value in captured.headers.items() if name.startswith("x-revocation")}
    event = messages.event(body_of(captured), TYPE, content_type=captured.content_type, headers=ours)
    return Message(**_parts(event) | {"headers": event.headers})


def test_a_captured_replay_makes_no_second_call(desk: Desk) -> None:
    """However old its event is, and whatever came meanwhile: a replay is remembered by the time of the replay."""
    desk.take_in(structured(event_id="young"), structured(MAX_AGES[TYPE] * 2, "old"))
    row = next(row for row in desk.ledger.dead_letters(EVERY) if row.reason == "event.stale")
    assert desk.replay([row], force=True).replayed == 1
    captured = sent_again(desk)
    for number in range(3):
        desk.take_in(captured, structured(event_id=f"other-{number}"))
    assert desk.ledger.totals().events == 5, "the replay was planned once"
    assert [state for event_id, _, state in states(desk) if event_id == "old"] == ["replayed", "dead"], "and its part"


def test_a_captured_replay_is_dead_after_some_hours(local_desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """When nobody remembers it; it is told of, opens no letter that was closed, and can be replayed itself."""
    local_desk.take_in(binary("hr-1"))
    earlier = Voucher(b"subject-key-of-a-test-installation", lambda: datetime.now(UTC) - VOUCHER_LIFE - AHEAD)
    monkeypatch.setattr("replay_desk.VOUCHER", earlier)
    local_desk.replay(local_desk.ledger.dead_letters(EVERY))
    monkeypatch.setattr("replay_desk.VOUCHER", VOUCHER)
    [captured] = local_desk.events()
    now = {**captured.headers, "ce-time": datetime.now(UTC).isoformat()}
    del captured
    still = earlier.put_on(messages.event(json.dumps(ADA).encode(), TYPE, content_type="application/json", headers=now))
    local_desk.take_in(still, still)
    assert sorted(states(local_desk)) == [
        ("hr-1", "event.access_denied", "dead"),
        ("hr-1", "event.invalid_time", "replayed"),
    ]
    assert local_desk.ledger.totals().events == 0


def test_what_was_replayed_by_force_a_second_time_is_not_taken_for_a_copy(local_desk: Desk) -> None:
    """An operator's word counts each time; the generation that died last is the same."""
    local_desk.take_in(structured())
    [row] = local_desk.ledger.dead_letters(EVERY)
    for _ in range(2):
        assert local_desk.replay([local_desk.ledger.dead_letter(row.dead_letter_id)], force=True).replayed == 1
    assert len({message.headers[messages.VOUCHER] for message in local_desk.events()}) == 2


@pytest.mark.parametrize("kind", ["event", "unit"])
def test_each_replay_is_of_the_next_generation(local_desk: Desk, kind: str) -> None:
    """Else it has the identity of the one before, and is dropped while the desk says `replayed`."""
    for generation in range(3):
        letter = as_made(dead_unit(kind=kind, dead_letter_id=f"l-{generation}", replays=generation))
        local_desk.replay([row for row in local_desk.fill(letter) if row.dead_letter_id == letter.dead_letter_id])
        [message] = local_desk.events()
        assert message.headers[messages.REPLAYS] == generation + 1
        assert message.headers[messages.LETTER] == letter.dead_letter_id
        assert local_desk.row(letter).state is DeadLetterState.REPLAYED


def test_what_has_no_content_type_is_replayed_without_one(desk: Desk) -> None:
    """It decides whether the headers are read as attributes."""
    desk.replay(desk.fill(dead_unit(content_type=None)))
    [message] = desk.events()
    assert message.content_type is None


class Interrupted:
    """A publisher that the operator's Ctrl-C, or a bug, ends half way."""

    def __init__(self, error: BaseException) -> None:
        self._error = error

    def publish(self, messages: Sequence[Message]) -> NoReturn:
        """Raise it."""
        raise self._error


@pytest.mark.parametrize("error", [KeyboardInterrupt(), RuntimeError(), SystemExit()])
def test_a_publish_that_raises_leaves_no_claim(local_desk: Desk, error: BaseException) -> None:
    """Every one of them is free at once, not only after the lease."""
    rows = local_desk.fill(*(dead_call() for _ in range(3)), dead_unit())
    with pytest.raises(type(error)):
        Replayer(local_desk.ledger, Interrupted(error), BUDGETS, VOUCHER).run(rows, FAST, audit())
    assert {row.state for row in local_desk.ledger.dead_letters(EVERY)} == {DeadLetterState.DEAD}


LETTERS = {"call": dead_call, "unit": dead_unit, "event": lambda: dead_unit(kind="event", provider=None)}
every_kind = pytest.mark.parametrize("kind", LETTERS)


def refusal(desk: Desk, row: DeadLetterRow, *, force: bool = True) -> Refusal | None:
    """Why *row* is not replayed."""
    plan = plan_replay([row], desk.ledger, datetime.now(UTC), MAX_AGES, force=force)
    refused = only_vouched(plan, VOUCHER.letters).refused
    return refused[0][1] if refused else None


@every_kind
def test_what_was_written_into_the_ledger_is_not_replayed(local_desk: Desk, kind: str) -> None:
    """Neither a row that somebody added nor one that they changed, nor one whose MAC is another letter's."""
    letter = LETTERS[kind]()
    bare, good = letter.model_copy(update={"mac": None}), as_made(letter)
    local_desk.ledger.record([good])
    changed = good.model_copy(update={"headers": {messages.DOOR: True}})
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
        release = only_vouched(ReplayPlan((row,), ()), VOUCHER.letters)
        assert [why for _, why in release.refused] == [why for why in [expected] if why], "nor released by the guard"


def write(desk: Desk, letter: DeadLetter, document: DeadLetter) -> None:
    """Put *document* in the place of *letter*'s, as whoever may write to the database can."""
    with desk.ledger._database.writing() as connection:
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
    write(local_desk, good, good.model_copy(update={"headers": {messages.DOOR: True}}))
    result = local_desk.replay(rows)
    assert (result.replayed, local_desk.row(good).state) == (0, DeadLetterState.DEAD)
    assert local_desk.events() == local_desk.replayed() == []


def test_what_the_columns_say_counts_for_nothing(local_desk: Desk) -> None:
    """How old it is, and why it died, stands in the letter, under its MAC."""
    old = as_made(dead_unit(kind="event", occurred_at=datetime.now(UTC) - MAX_AGES[TYPE] * 2, reason="event.stale"))
    local_desk.fill(old)
    with local_desk.ledger._database.writing() as connection:
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
    assert [why for _, why in only_vouched(plan, VOUCHER.letters).refused] == [Refusal.NOT_VOUCHED]
    assert [why for _, why in only_vouched(plan, VOUCHER.letters, claims=True).refused] == [expected] * bool(expected)


def test_a_claim_must_prove_itself(local_desk: Desk) -> None:
    """A forged document of a source with users, that says it came through the door, reaches nobody."""
    local_desk.admission = Admission(
        {"hr": SourceSettings(source="urn:hr", users=frozenset({"hr"}))}, proves_users=True
    )
    headers = {messages.DOOR: True, messages.USER: "hr"}
    body = {"body": as_base64(structured().body), "content_type": messages.CLOUDEVENTS_JSON, "headers": headers}
    forged = dead_unit(kind="event", provider=None, event_id="e1", source="urn:hr", **body)
    local_desk.ledger.record([forged])
    assert local_desk.replay([local_desk.row(forged)]).replayed == 0
    assert local_desk.replay([local_desk.row(forged)], claims=True).replayed == 1
    local_desk.take_in()
    assert sorted(reason for _, reason, _ in states(local_desk)) == ["event.access_denied", "route.x"]
    assert local_desk.ledger.totals().events == 0


def as_base64(body: bytes) -> str:
    """*body* as a dead letter keeps it."""
    kept: str = VOUCHER.evidence(_Kept(body)).carried["body"]
    return kept


class _Kept:
    """A message of which the body alone matters."""

    def __init__(self, body: bytes) -> None:
        self.body, self.content_type, self.headers = body, None, dict[str, Any]()
        self.properties, self.delivery_info = dict[str, Any](), dict[str, Any]()


def test_what_the_guard_held_back_carries_a_mac(local_desk: Desk) -> None:
    """So does every letter that the intake makes."""
    one = Limits(600, {TYPE: 1}, {TYPE: 9}, {TYPE: 60})
    people = [structured(event_id=f"e{number}").body.replace(b"ada", b"p%d" % number) for number in range(3)]
    local_desk.take_in(*(messages.event(each, TYPE) for each in people), binary("hr-1"), limits=one)
    rows = local_desk.ledger.dead_letters(EVERY)
    assert {row.reason for row in rows} >= {"guard.flood", "event.invalid_time", "route.unknown_provider"}
    assert all(VOUCHER.letters.covers(row.letter) for row in rows)


def test_a_released_flood_cannot_be_released_again_by_a_copy(local_desk: Desk) -> None:
    """What `guard release` sends is remembered like any replay."""
    one = Limits(600, {TYPE: 1}, {TYPE: 9}, {TYPE: 60})
    people = [structured(event_id=f"e{number}").body.replace(b"ada", b"p%d" % number) for number in range(2)]
    local_desk.take_in(*(messages.event(each, TYPE) for each in people), limits=one)
    held = [row for row in local_desk.ledger.dead_letters(EVERY) if row.state is DeadLetterState.WITHHELD]
    with Publisher(lambda: broker.connect(local_desk.broker_url)) as publisher:
        assert Replayer(local_desk.ledger, publisher, BUDGETS, VOUCHER).run(held, FAST, audit()).replayed == 1
    captured = sent_again(local_desk)
    local_desk.take_in(captured, captured, limits=one)
    before = states(local_desk)
    local_desk.take_in(captured, limits=one)
    assert (states(local_desk), local_desk.ledger.totals().events) == (before, 2)

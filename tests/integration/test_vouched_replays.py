"""What a replay vouches for: what the intake and the worker made, once, for some hours. On each broker."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NoReturn

import pytest
from ledger_figures import totals
from replay_desk import EVERY, MAC, MAX_AGES, Desk, as_made, audit, dead_call, dead_unit

from worker.broker import messages
from worker.broker.messages import body_of
from worker.broker.provenance import VOUCHER_LIFE, ProvenanceMac
from worker.broker.publication import Message
from worker.broker.publisher import Publisher
from worker.intake.flood.window import Limits
from worker.ledger import DeadLetterState

pytest_plugins = ["desk_fixtures"]

TYPE = "user.disabled"
ADA = {"sub_id": {"format": "opaque", "id": "ada"}}
AHEAD = timedelta(hours=1)  # refused for now: our clock, or the producer's, is wrong


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
    assert totals(desk.ledger).events == 5, "the replay was planned once"
    assert [state for event_id, _, state in states(desk) if event_id == "old"] == ["replayed", "dead"], "and its part"


def test_a_captured_replay_is_dead_after_some_hours(local_desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """When nobody remembers it; it is told of, opens no letter that was closed, and can be replayed itself."""
    local_desk.take_in(binary("hr-1"))
    earlier = ProvenanceMac(b"subject-key-of-a-test-installation", lambda: datetime.now(UTC) - VOUCHER_LIFE - AHEAD)
    monkeypatch.setattr("replay_desk.MAC", earlier)
    local_desk.replay(local_desk.ledger.dead_letters(EVERY))
    monkeypatch.setattr("replay_desk.MAC", MAC)
    [captured] = local_desk.events()
    now = {**captured.headers, "ce-time": datetime.now(UTC).isoformat()}
    del captured
    still = earlier.sign(messages.event(json.dumps(ADA).encode(), TYPE, content_type="application/json", headers=now))
    local_desk.take_in(still, still)
    assert sorted(states(local_desk)) == [
        ("hr-1", "event.access_denied", "dead"),
        ("hr-1", "event.invalid_time", "replayed"),
    ]
    assert totals(local_desk.ledger).events == 0


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


class Interrupted(Publisher):
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
        local_desk.release(rows, Interrupted(error))
    assert {row.state for row in local_desk.ledger.dead_letters(EVERY)} == {DeadLetterState.DEAD}


def test_what_the_guard_held_back_carries_a_mac(local_desk: Desk) -> None:
    """So does every letter that the intake makes."""
    one = Limits(600, {TYPE: 1}, {TYPE: 9}, {TYPE: 60})
    people = [structured(event_id=f"e{number}").body.replace(b"ada", b"p%d" % number) for number in range(3)]
    local_desk.take_in(*(messages.event(each, TYPE) for each in people), binary("hr-1"), limits=one)
    rows = local_desk.ledger.dead_letters(EVERY)
    assert {row.reason for row in rows} >= {"guard.flood", "event.invalid_time", "route.unknown_provider"}
    assert all(MAC.letters.verify(row.letter) for row in rows)


def test_a_released_flood_cannot_be_released_again_by_a_copy(local_desk: Desk) -> None:
    """What `flood release` sends is remembered like any replay."""
    one = Limits(600, {TYPE: 1}, {TYPE: 9}, {TYPE: 60})
    people = [structured(event_id=f"e{number}").body.replace(b"ada", b"p%d" % number) for number in range(2)]
    local_desk.take_in(*(messages.event(each, TYPE) for each in people), limits=one)
    held = [row for row in local_desk.ledger.dead_letters(EVERY) if row.state is DeadLetterState.WITHHELD]
    assert local_desk.release(held).replayed == 1
    captured = sent_again(local_desk)
    local_desk.take_in(captured, captured, limits=one)
    before = states(local_desk)
    local_desk.take_in(captured, limits=one)
    assert (states(local_desk), totals(local_desk.ledger).events) == (before, 2)

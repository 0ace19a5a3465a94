"""What the broker gave up: a dead letter that tells why, and which call or event it was."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from recorded_messages import CALL, MAC, NOW, Delivered, FussyLedger

from tasks.events.content_mode import MAX_BODY
from tasks.records import DeadLetter, dead_letter_of_call
from worker.broker import messages, topology
from worker.operations.republishing import replay_message
from worker.recorder import Recorder, read


def died(queue: str, reason: str) -> list[dict[str, Any]]:
    """The header by which the broker tells where and why it gave a message up."""
    return [{"queue": queue, "reason": reason, "count": 1}]


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        ("delivery_limit", "broker.delivery_limit"),
        ("rejected", "worker.lost"),
        ("expired", "broker.expired"),
        ("maxlen", "broker.maxlen"),
    ],
)
def test_a_call_the_broker_gave_up_keeps_all_that_a_replay_needs(reason: str, expected: str) -> None:
    """It crashed its process too often, or its task raised: the call itself is in the dead letter."""
    message = Delivered(messages.call(CALL).body, topology.DEAD.name, **{"x-death": died("revocation.calls.x", reason)})
    [letter] = read(message, MAC)
    assert isinstance(letter, DeadLetter)
    assert (letter.kind, letter.reason, letter.call) == ("call", expected, CALL)


def test_the_sessions_that_a_given_up_call_was_to_cover_die_with_it_each_by_itself() -> None:
    """No worker will publish their calls any more; an operator replays them, with the call or without it."""
    covered = [CALL.model_copy(update={"call_id": f"s-{number}", "event_type": "user.disabled"}) for number in (1, 2)]
    call = CALL.model_copy(update={"covers": tuple(covered)})
    ledger: Any = FussyLedger(ValueError())
    history = died("revocation.calls.x", "delivery_limit")
    message: Any = Delivered(messages.call(call).body, topology.DEAD.name, **{"x-death": history})
    assert Recorder(ledger, MAC).handle([message]) == []
    assert [(letter.call, letter.reason) for letter in ledger.taken] == [
        (each, "broker.delivery_limit") for each in (CALL, *covered)
    ]
    assert len({letter.dead_letter_id for letter in ledger.taken}) == len(ledger.taken)
    assert {letter.detail.get("covered_by") for letter in ledger.taken[1:]} == {CALL.call_id}
    assert all(MAC.letters.verify(letter) for letter in ledger.taken)


EVENT = {
    "specversion": "1.0",
    "id": "e-1",
    "source": "urn:hr",
    "type": "user.disabled",
    "time": NOW.isoformat(),
    "data": {"sub_id": {"format": "opaque", "id": "ada"}},
}
BINARY = {f"ce-{name}": value for name, value in EVENT.items() if name != "data"}


def lost_event(reason: str = "expired", body: object = EVENT, **headers: Any) -> DeadLetter:
    """What the recorder makes of an event that the broker gave up in the intake's queue."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    [letter] = read(
        Delivered(content, topology.DEAD.name, **{"x-death": died("revocation.intake", reason), **headers}), MAC
    )
    assert isinstance(letter, DeadLetter)
    return letter


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        ("expired", "broker.expired"),
        ("maxlen", "broker.maxlen"),
        ("delivery_limit", "broker.delivery_limit"),
        ("rejected", "broker.rejected"),
        ("whatever comes next", "broker.rejected"),
    ],
)
@pytest.mark.parametrize(("body", "headers"), [(EVENT, {}), (EVENT["data"], BINARY)])
def test_an_event_the_broker_gave_up_tells_why_and_which_it_was(
    reason: str, expected: str, body: object, headers: dict[str, Any]
) -> None:
    """An operator who reads `delivered 20 times` of a message whose time ran out looks in the wrong place."""
    letter = lost_event(reason, body, **headers)
    assert (letter.kind, letter.reason, letter.detail) == ("event", expected, {"queue": "revocation.intake"})
    assert (letter.source, letter.event_id, letter.event_type) == ("urn:hr", "e-1", "user.disabled")
    assert letter.occurred_at == NOW
    assert MAC.letters.verify(letter)
    assert replay_message(letter, NOW, {}, MAC).body == json.dumps(body).encode()


def test_an_event_that_was_replayed_and_given_up_is_a_death_of_that_replay() -> None:
    """Else it stays `replayed` in the ledger for ever, and nobody sees it."""
    first = lost_event()
    again = replay_message(first.model_copy(update={"replays": 1, "mac": None}), NOW, {}, MAC)
    assert messages.REPLAYS not in again.headers, "nobody vouches for it"
    signed = MAC.letters.sign(first.model_copy(update={"replays": 1}))
    letter = lost_event("delivery_limit", **replay_message(signed, NOW, {}, MAC).headers)
    assert (letter.replays, letter.dead_letter_id) == (2, first.dead_letter_id)


@pytest.mark.parametrize("body", [{**EVENT, "access_token": "x"}, {**EVENT, "note": "Bearer abcdef"}, b"x" * 70_000])
def test_an_event_with_a_token_in_clear_is_not_kept_because_the_broker_gave_it_up(body: object) -> None:
    """Nobody looked into it before."""
    letter = lost_event(body=body)
    assert (letter.body, letter.headers, letter.reason) == (None, {}, "broker.expired")
    assert letter.body_sha256


def test_what_crashes_even_the_reading_of_events_is_a_dead_letter(monkeypatch: pytest.MonkeyPatch) -> None:
    """It came here because it ends the intake; the recorder lives, and keeps the body where it holds no token."""

    def crash(*_: object, **__: object) -> None:
        raise RuntimeError

    monkeypatch.setattr("worker.recorder.parse_event", crash)
    assert lost_event().body
    assert lost_event(body=b"Bearer abcdef").body is None


@pytest.mark.parametrize(
    ("queue", "body"), [("revocation.intake", b"{}"), ("revocation.calls.x", messages.call(CALL).body)]
)
def test_the_broker_tells_when_a_message_died(queue: str, body: bytes) -> None:
    """The same however late, and however often, the recorder gets it: so a copy is known for one."""
    told = NOW.replace(tzinfo=None)
    for time, expected in ((told, NOW), (NOW, NOW), (None, None), ("x", None), (datetime(1, 1, 1), None)):  # noqa: DTZ001 - as py-amqp reads it
        death = {"queue": queue, "reason": "expired", "count": 1, "time": time}
        [letter] = read(Delivered(body, topology.DEAD.name, **{"x-death": [death]}), MAC)
        assert isinstance(letter, DeadLetter)
        if expected:
            assert letter.at == expected
        else:
            assert datetime.now(UTC) - letter.at < timedelta(minutes=1)


def test_an_event_the_broker_gave_up_keeps_its_body() -> None:
    """It crashed the intake again and again: an operator can replay it after the fix."""
    [letter] = read(
        Delivered(b"{}", topology.DEAD.name, **{"x-death": died("revocation.intake", "delivery_limit")}), MAC
    )
    assert isinstance(letter, DeadLetter)
    assert (letter.kind, letter.reason, letter.body) == ("event", "broker.delivery_limit", "e30=")


@pytest.mark.parametrize("forged", ["abc", [], ["abc"], {"queue": "x"}, 5, [5, {}]])
def test_a_history_that_is_none_is_not_believed(forged: object) -> None:
    """Whoever publishes can write `x-death`; the recorder reads what is a record, and lives."""
    letter = dead_letter_of_call(CALL, "http.5xx", NOW)
    assert read(Delivered(messages.dead_letter(letter).body, topology.DEAD.name, **{"x-death": forged}), MAC) == [
        letter
    ]


def test_an_event_that_is_too_large_and_crashed_the_intake_is_told_of_without_its_body() -> None:
    """No event of that size is ever taken, so no replay needs it."""
    body = b" " * (MAX_BODY + 3)  # base64 counts in threes
    message = Delivered(body, topology.DEAD.name, **{"x-death": died("revocation.intake", "delivery_limit")})
    [letter] = read(message, MAC)
    assert isinstance(letter, DeadLetter)
    assert (letter.body, letter.body_size) == (None, len(body))

"""What the recorder reads out of a message: a record of ours, or a dead letter that says what it was."""

import json
import math
import sqlite3
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tasks.call import Lane, ProviderCall
from tasks.events.content_mode import MAX_BODY
from tasks.outcome import State
from tasks.providers import finbourne
from tasks.records import CallOutcome, DeadLetter, dead_letter_of_call, outcome_of_call
from worker.broker import messages, topology
from worker.broker.provenance import ProvenanceMac
from worker.broker.queue_batch import BATCH_SIZE
from worker.ledger import LedgerRefused, LedgerUnavailable
from worker.operations.republishing import replay_message
from worker.recorder import COMMIT_RECORDS, Record, Recorder, read

MAC = ProvenanceMac(b"subject-key-of-a-unit-test")
NOW = datetime(2026, 11, 21, 1, 20, tzinfo=UTC)
CALL = ProviderCall(
    call_id="c-1",
    source="urn:test",
    event_id="e-1",
    event_type="session.ended",
    occurred_at=NOW,
    deadline=NOW + timedelta(hours=1),
    provider="finbourne",
    operation=finbourne.INVALIDATE_TOKEN,
    lane=Lane.ROUTINE,
    subject="al…",
)


class Delivered:
    """A message as kombu hands it over."""

    def __init__(self, body: bytes, exchange: str, **headers: Any) -> None:
        self.body, self.headers = body, headers
        self.properties: dict[str, Any] = {}
        self.content_type: Any = "application/json"
        self.content_encoding = "utf-8"
        self.delivery_info = {"exchange": exchange}


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


@pytest.mark.parametrize("exchange", [topology.DEAD.name, topology.OUTCOMES.name])
@pytest.mark.parametrize("body", [b"", b"[]", b'{"kind":"call"}', b'{"kind":"outcome","token":"x"}', b"\xff"])
def test_what_is_no_record_of_ours_is_a_dead_letter_without_its_body(body: bytes, exchange: str) -> None:
    """Nobody knows what it holds: its hash and size are kept, nothing is dropped."""
    [letter] = read(Delivered(body, exchange), MAC)
    assert isinstance(letter, DeadLetter)
    assert (letter.kind, letter.reason) == ("message", "record.invalid")
    assert (letter.body, letter.body_size) == (None, len(body))


@pytest.mark.parametrize("forged", ["abc", [], ["abc"], {"queue": "x"}, 5, [5, {}]])
def test_a_history_that_is_none_is_not_believed(forged: object) -> None:
    """Whoever publishes can write `x-death`; the recorder reads what is a record, and lives."""
    letter = dead_letter_of_call(CALL, "http.5xx", NOW)
    assert read(Delivered(messages.dead_letter(letter).body, topology.DEAD.name, **{"x-death": forged}), MAC) == [
        letter
    ]


def test_a_record_comes_back_as_it_was_published() -> None:
    """What the worker says is what the ledger is told."""
    letter = dead_letter_of_call(CALL, "http.5xx", NOW)
    assert read(Delivered(messages.dead_letter(letter).body, topology.DEAD.name), MAC) == [letter]


class FussyLedger:
    """A ledger whose database never takes the record of one event, and says so with *fault*."""

    def __init__(self, fault: Exception) -> None:
        self.fault = fault
        self.taken: list[Record] = []
        self.asked = 0

    def upgrade(self) -> None:
        """Find everything in order."""

    def record(self, batch: Sequence[Record]) -> None:
        """Take all or nothing."""
        self.asked += 1
        if any(isinstance(record, CallOutcome) and record.event_id == "bad" for record in batch):
            raise self.fault
        self.taken += batch


def _recorded(ledger: FussyLedger) -> tuple[list[Any], Sequence[Any]]:
    """Three outcomes, the second of which is bad, and those that the recorder gives back."""
    bodies = [json.dumps({**_outcome(), "event_id": event_id}).encode() for event_id in ("a", "bad", "b")]
    batch = [Delivered(body, topology.OUTCOMES.name) for body in bodies]
    return batch, Recorder(ledger, MAC).handle(batch)  # type: ignore[arg-type] # a stand-in for the ledger


@pytest.mark.parametrize(
    "fault",
    [
        LedgerRefused("ledger: DataError"),
        OverflowError("Python int too large to convert to SQLite INTEGER"),
        sqlite3.InterfaceError("Error binding parameter 3"),
        UnicodeEncodeError("utf-8", "\ud800", 0, 1, "surrogates not allowed"),
        *(kind("x") for kind in (ValueError, TypeError, LookupError, RecursionError, ZeroDivisionError)),
    ],
    ids=lambda fault: type(fault).__name__,
)
def test_a_row_the_database_refuses_does_not_keep_the_others_out(fault: Exception) -> None:
    """The good ones are written, the bad one is a dead letter under its event's name, and the batch is done."""
    ledger = FussyLedger(fault)
    assert _recorded(ledger)[1] == []
    assert [record.kind for record in ledger.taken] == ["outcome", "message", "outcome"]
    buried = ledger.taken[1]
    assert (buried.source, buried.event_id, buried.event_type) == ("urn:test", "bad", "session.ended")


def _pack(*parts: object, exchange: str = topology.OUTCOMES.name) -> Any:
    """A message with these records."""
    return Delivered(json.dumps({"kind": "records", "records": parts}).encode(), exchange)


def test_a_pack_is_read_as_the_records_that_were_published() -> None:
    """The recorder takes both forms: one process may be older than the other."""
    outcomes = [outcome_of_call(CALL, state, NOW, 1) for state in (State.RETRYING, State.ACCEPTED)]
    alone = [messages.record(each) for each in outcomes]
    together = messages.pack(alone)
    assert [*read(Delivered(together.body, together.exchange), MAC)] == outcomes
    assert [record for each in alone for record in read(Delivered(each.body, each.exchange), MAC)] == outcomes


LETTER = dead_letter_of_call(CALL, "http.5xx", NOW).model_dump(mode="json")
NO_RECORDS: dict[str, object] = {
    "a member more": {"kind": "outcome", "token": "x"},
    "a dead letter": LETTER,
    "a pack": {"kind": "records", "records": [LETTER]},
    "no object": 5,
    "a lone surrogate": {"kind": "outcome", "call_id": "\ud800"},
    "no number": {"kind": "outcome", "attempt": float("nan")},
}


@pytest.mark.parametrize("bad", NO_RECORDS.values(), ids=NO_RECORDS)
def test_what_is_no_record_in_a_pack_takes_no_neighbour_along(bad: object) -> None:
    """It alone is a dead letter, without its body, and the same one at each delivery; a letter in a pack is none."""
    pack = _pack({**_outcome(), "event_id": "a"}, bad, {**_outcome(), "event_id": "b"})
    first, buried, last = read(pack, MAC)
    assert [first.event_id, last.event_id] == ["a", "b"]
    assert isinstance(buried, DeadLetter)
    assert (buried.kind, buried.reason, buried.body) == ("message", "record.invalid", None)
    assert buried.dead_letter_id == read(pack, MAC)[1].dead_letter_id  # type: ignore[union-attr] # as above
    assert buried.body_size == len(json.dumps(bad))


@pytest.mark.parametrize(
    "body",
    [
        b'{"kind":"records","records":[]}',
        b'{"kind":"records","records":5}',
        b'{"kind":"records","records":[' + b"9" * 5000 + b"]}",
        b'{"kind":"records","records":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    ],
    ids=["empty", "no list", "a number too long", "too deep"],
)
def test_a_pack_that_is_none_is_one_dead_letter(body: bytes) -> None:
    """Like any other message that is no record of ours."""
    [letter] = read(Delivered(body, topology.OUTCOMES.name), MAC)
    assert (letter.kind, letter.body_size) == ("message", len(body))  # type: ignore[union-attr] # as it says


@pytest.mark.parametrize("exchange", [topology.DEAD.name, topology.UNPROVED.name])
def test_a_pack_among_the_dead_letters_is_none(exchange: str) -> None:
    """What comes by there is a dead letter, or becomes one."""
    [letter] = read(_pack(_outcome() | {"event_id": "a"}, exchange=exchange), MAC)
    assert (letter.kind, letter.event_id) == ("message", None)


def test_a_row_the_database_refuses_keeps_nobody_of_its_pack_out() -> None:
    """One record of fifty is buried under its event's name, and the other 49 are written, in few transactions."""
    names = [*map(str, range(30)), "bad", *map(str, range(30, 49))]
    ledger = FussyLedger(LedgerRefused("ledger: DataError"))
    pack = _pack(*({**_outcome(), "event_id": name} for name in names))
    assert Recorder(ledger, MAC).handle([pack]) == []  # type: ignore[arg-type] # a stand-in for the ledger
    assert sorted(record.event_id or "" for record in ledger.taken) == sorted(names)
    assert [record.kind for record in ledger.taken if record.event_id == "bad"] == ["message"]
    assert ledger.asked < 2 * len(f"{len(names):b}") + 3


def test_many_records_are_several_transactions() -> None:
    """An intake that writes to the same file waits for one of them at most; whether more messages wait is told."""
    ledger = FussyLedger(ValueError())
    recorder = Recorder(ledger, MAC)  # type: ignore[arg-type] # likewise
    pack = _pack(*({**_outcome(), "event_id": str(number)} for number in range(50)))
    assert recorder.handle([pack] * (BATCH_SIZE - 1)) == []
    assert ledger.asked == math.ceil(50 * (BATCH_SIZE - 1) / COMMIT_RECORDS)
    assert len(ledger.taken) == 50 * (BATCH_SIZE - 1)
    assert not recorder.is_behind
    recorder.handle([_pack(_outcome())] * BATCH_SIZE)
    assert recorder.is_behind


def test_a_ledger_that_is_away_buries_nothing() -> None:
    """All of the batch waits in the broker."""
    ledger = FussyLedger(LedgerUnavailable("ledger: locked"))
    batch, left = _recorded(ledger)
    assert (left, ledger.taken) == (batch, [])


@pytest.mark.parametrize("content_type", ["\ud800", "x" * 256, 7, {"a": 1}, None])
def test_a_content_type_that_is_none_stops_nobody(content_type: Any) -> None:
    """Whatever a message says of itself; the broker's own is at most 255 bytes of text."""
    message = Delivered(b"{", topology.OUTCOMES.name)
    message.content_type = content_type
    [letter] = read(message, MAC)
    assert isinstance(letter, DeadLetter)
    assert (letter.content_type, letter.body_size) == (None, 1)


def test_an_event_that_is_too_large_and_crashed_the_intake_is_told_of_without_its_body() -> None:
    """No event of that size is ever taken, so no replay needs it."""
    body = b" " * (MAX_BODY + 3)  # base64 counts in threes
    message = Delivered(body, topology.DEAD.name, **{"x-death": died("revocation.intake", "delivery_limit")})
    [letter] = read(message, MAC)
    assert isinstance(letter, DeadLetter)
    assert (letter.body, letter.body_size) == (None, len(body))


def _outcome() -> dict[str, Any]:
    shared = CALL.model_dump(
        mode="json", include={"call_id", "source", "event_type", "provider", "operation", "subject", "occurred_at"}
    )
    return {**shared, "kind": "outcome", "at": NOW.isoformat(), "state": "accepted", "attempt": 1, "replays": 0}

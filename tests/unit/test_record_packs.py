"""Records that travel together: each is read and written for itself."""

import json
import math
from typing import Any

import pytest
from recorded_messages import CALL, MAC, NOW, Delivered, FussyLedger, outcome_document

from tasks.outcome import State
from tasks.records import DeadLetter, dead_letter_of_call, outcome_of_call
from worker.broker import messages, topology
from worker.broker.queue_batch import BATCH_SIZE
from worker.ledger import LedgerRefused
from worker.recorder import COMMIT_RECORDS, Recorder, read


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
    pack = _pack({**outcome_document(), "event_id": "a"}, bad, {**outcome_document(), "event_id": "b"})
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
    [letter] = read(_pack(outcome_document() | {"event_id": "a"}, exchange=exchange), MAC)
    assert (letter.kind, letter.event_id) == ("message", None)


def test_a_row_the_database_refuses_keeps_nobody_of_its_pack_out() -> None:
    """One record of fifty is buried under its event's name, and the other 49 are written, in few transactions."""
    names = [*map(str, range(30)), "bad", *map(str, range(30, 49))]
    ledger = FussyLedger(LedgerRefused("ledger: DataError"))
    pack = _pack(*({**outcome_document(), "event_id": name} for name in names))
    assert Recorder(ledger, MAC).handle([pack]) == []  # type: ignore[arg-type] # a stand-in for the ledger
    assert sorted(record.event_id or "" for record in ledger.taken) == sorted(names)
    assert [record.kind for record in ledger.taken if record.event_id == "bad"] == ["message"]
    assert ledger.asked < 2 * len(f"{len(names):b}") + 3


def test_many_records_are_several_transactions() -> None:
    """An intake that writes to the same file waits for one of them at most; whether more messages wait is told."""
    ledger = FussyLedger(ValueError())
    recorder = Recorder(ledger, MAC)  # type: ignore[arg-type] # likewise
    pack = _pack(*({**outcome_document(), "event_id": str(number)} for number in range(50)))
    assert recorder.handle([pack] * (BATCH_SIZE - 1)) == []
    assert ledger.asked == math.ceil(50 * (BATCH_SIZE - 1) / COMMIT_RECORDS)
    assert len(ledger.taken) == 50 * (BATCH_SIZE - 1)
    assert not recorder.is_behind
    recorder.handle([_pack(outcome_document())] * BATCH_SIZE)
    assert recorder.is_behind
